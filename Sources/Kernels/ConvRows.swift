import CIntrinsics
import KernelTypes

/// Fills in the tables of consecutive tiles of a convolution's implicit matrix (see `RowGeometry`). A tap whose
/// rows all lie in the padding is left out.
@inline(__always)
func gatherTables(
  _ geometry: UnsafePointer<RowGeometry>, _ firstRow: Int, _ rows: Int, _ tiles: Int,
  _ tables: UnsafeMutablePointer<Int>
) {
  let g = geometry.pointee
  let words = g.tableWords(tileRows: tileRows)
  let zeros = Int(bitPattern: g.zeros)
  var place = RowPlace(g, firstRow)
  var left = rows
  for tile in 0..<tiles {
    let table = tables + tile * words
    let outputs = table + 1
    let tapWeights = outputs + tileRows
    let addresses = tapWeights + g.taps
    let valid = min(tileRows, left)
    left -= valid
    // Addresses for every tap first; then the taps that matter move together.
    var row = 0
    while row < valid {
      let count = min(valid - row, place.rowsInLine(g))
      place.outputs(g, count, outputs + row)
      place.addresses(g, zeros, count, addresses + row, tileRows)
      place.advance(g, count)
      row += count
    }
    if valid < tileRows {
      for row in valid..<tileRows {
        outputs[row] = outputs[valid - 1]
        for tap in 0..<g.taps { addresses[tap * tileRows + row] = addresses[tap * tileRows + valid - 1] }
      }
    }
    var active = 0
    var tap = 0
    for d in 0..<g.depth.taps {
      for h in 0..<g.height.taps {
        for w in 0..<g.width.taps {
          let from = addresses + tap * tileRows
          var differing = 0
          for row in 0..<tileRows { differing |= from[row] ^ zeros }
          if differing != 0 {
            let to = addresses + active * tileRows
            if active != tap {
              for row in 0..<tileRows { to[row] = from[row] }
            }
            tapWeights[active] = g.depth.weights[d] + g.height.weights[h] + g.width.weights[w]
            active += 1
          }
          tap += 1
        }
      }
    }
    table[0] = active
  }
}

/// The place that a row of the implicit matrix stands for: image and positions on the three axes.
struct RowPlace {
  var image: Int
  var depth: Int
  var height: Int
  var width: Int

  @inline(__always)
  init(_ g: RowGeometry, _ row: Int) {
    var rest = row
    if g.imagesInnermost {
      image = rest % g.batch
      rest /= g.batch
    } else {
      image = 0
    }
    width = rest % g.width.positions
    rest /= g.width.positions
    height = rest % g.height.positions
    rest /= g.height.positions
    depth = rest % g.depth.positions
    if !g.imagesInnermost { image = rest / g.depth.positions }
  }

  /// Rows from here on that differ only in the innermost index: image or width.
  @inline(__always)
  func rowsInLine(_ g: RowGeometry) -> Int {
    g.imagesInnermost ? g.batch - image : g.width.positions - width
  }

  /// Moves on by rows of one line.
  @inline(__always)
  mutating func advance(_ g: RowGeometry, _ count: Int) {
    if g.imagesInnermost {
      image += count
      if image < g.batch { return }
      image = 0
      width += 1
    } else {
      width += count
    }
    if width < g.width.positions { return }
    width = 0
    height += 1
    if height < g.height.positions { return }
    height = 0
    depth += 1
    if depth < g.depth.positions { return }
    depth = 0
    image += 1
  }

  /// Offsets in the output (elements) of `count` rows of one line.
  @inline(__always)
  func outputs(_ g: RowGeometry, _ count: Int, _ to: UnsafeMutablePointer<Int>) {
    let line = image &* g.outputBatchStride &+ g.depth.outputs[depth] &+ g.height.outputs[height]
    if g.imagesInnermost {
      let first = line &+ g.width.outputs[width]
      for i in 0..<count { to[i] = first &+ i &* g.outputBatchStride }
    } else {
      let widths = g.width.outputs + width
      for i in 0..<count { to[i] = line &+ widths[i] }
    }
  }

  /// Source addresses of `count` rows of one line for every tap; a tap's addresses begin `tapStride` words after
  /// those of the tap before.
  @inline(__always)
  func addresses(
    _ g: RowGeometry, _ zeros: Int, _ count: Int, _ to: UnsafeMutablePointer<Int>, _ tapStride: Int
  ) {
    var to = to
    for d in 0..<g.depth.taps {
      let depthOffset = g.depth.sources[d * g.depth.positions + depth]
      for h in 0..<g.height.taps {
        let heightOffset = g.height.sources[h * g.height.positions + height]
        let inside = depthOffset != .min && heightOffset != .min
        let plane = Int(bitPattern: g.source) &+ image &* g.batchStride &+ depthOffset &+ heightOffset
        for w in 0..<g.width.taps {
          let widths = g.width.sources + w * g.width.positions + width
          if !inside || (g.imagesInnermost && widths[0] == .min) {
            for i in 0..<count { to[i] = zeros }
          } else if g.imagesInnermost {
            let first = plane &+ widths[0]
            for i in 0..<count { to[i] = first &+ i &* g.batchStride }
          } else {
            for i in 0..<count {
              let offset = widths[i]
              to[i] = offset == .min ? zeros : plane &+ offset
            }
          }
          to += tapStride
        }
      }
    }
  }
}

/// Longest stretch of terms that one accumulator takes before it is added to the tile: bounds the rounding error
/// like a blocked summation.
private let accumulatedTerms = 256

/// Bytes of the first-level cache that sources may fill beside a panel of weights.
private let firstLevelRoom = 24 << 10

/// How many terms of a tile one accumulator takes: `taps` whole taps, or `length` numbers of one.
private struct Stretch {
  let taps: Int
  let length: Int

  @inline(__always)
  init(run: Int) {
    let pieces = max(1, (run + accumulatedTerms - 1) / accumulatedTerms)
    taps = max(1, accumulatedTerms / max(1, run))
    length = ((run + pieces - 1) / pieces + termsAtOnce - 1) / termsAtOnce * termsAtOnce
  }
}

/// The tables of a convolution's tiles, see `gatherTables`.
private struct Tables {
  let first: UnsafePointer<Int>
  let words: Int
  /// Taps that there is room for.
  let capacity: Int

  @inline(__always)
  init(_ x: ConvolveArguments) {
    first = x.tables
    words = x.tableWords
    capacity = (x.tableWords - 1 - tileRows) / (1 + tileRows)
  }

  @inline(__always)
  subscript(tile: Int) -> TileTable {
    let table = first + tile * words
    return TileTable(
      taps: table[0], places: table + 1, weights: table + (1 + tileRows), addresses: table + (1 + tileRows + capacity))
  }
}

private struct TileTable {
  let taps: Int
  /// In the output, of each row.
  let places: UnsafePointer<Int>
  /// In a panel, of each tap.
  let weights: UnsafePointer<Int>
  /// [tap][row]
  let addresses: UnsafePointer<Int>
}

/// Tiles of a convolution:
///
///     for each few tiles of output places (all, unless they fit in the first-level cache)
///       for each block of output channels (its weight panel stays in the second-level cache)
///         for each tile of output places
///           for each tap, for each input channel: a rank-one update of the tile in registers
///           epilogue on the tile, then its rows go to their places
@inline(__always)
func convolveRows<S: ImageNumber>(_ arguments: UnsafePointer<ConvolveArguments>, _: S.Type) {
  typealias T = S.Wide
  let x = arguments.pointee
  let columns = T.tileColumns
  let weights = x.weights.assumingMemoryBound(to: T.self)
  let tables = Tables(x), stretch = Stretch(run: x.run)
  // Short panels leave room in the first-level cache for the rows of some tiles too.
  let tileBytes = tables.capacity * x.run * tileRows * MemoryLayout<T>.stride
  let tilesAtOnce = 4 * tileBytes <= firstLevelRoom ? firstLevelRoom / max(tileBytes, 1) : x.tiles
  // Where one accumulator takes all terms, whole tiles go through a loop of their own.
  let isOneStretch = tables.capacity <= stretch.taps && x.run <= stretch.length && x.run % termsAtOnce == 0 && x.run > 0
  TileBuffer<T>.with { buffer in
    TileBuffer<T>.with { room in
      var first = 0
      while first < x.tiles {
        let last = min(first + tilesAtOnce, x.tiles)
        var column = 0
        while column < x.columns {
          let width = min(columns, x.columns - column)
          let finish = ConvFinish<S>(x, column: x.firstColumn + column, width: width, room: room)
          let panel = weights + column / columns * x.panelStride
          // Of the last tile, there may be so few rows that a smaller one will do.
          let whole =
            isOneStretch && width == columns
            ? (last == x.tiles && x.lastRows <= 6 && tileRows > 6 ? last - 1 : last) : first
          if whole > first { tapTiles(arguments, first, whole, tables, tilesAtOnce, panel, finish) }
          for tile in whole..<last {
            let table = tables[tile]
            let rows = tile == x.tiles - 1 ? x.lastRows : tileRows
            // The lines are on their way while the tile is computed.
            finish.fetch(table.places, rows, width)
            accumulate(
              table, stretch, x.run, x.sourceOffset, panel, width, rows, ahead(x, tile, tables, tilesAtOnce, T.self),
              buffer, finish)
          }
          column += columns
        }
        first = last
      }
    }
  }
}

/// Terms of a tile for one line that it fetches: they pass 48 bytes of sources, with the larger tile one term does.
private let termsPerFetch = tileRows > 6 ? 1 : 2

/// What a tile fetches into the second-level cache beside its own work: the last two tiles of a chunk fetch the weights
/// behind their panel, a half each; the others the sources of the next tile, if these lie near their own, in bytes from
/// there.
private enum Ahead {
  case sources(Int)
  case weights(elements: Int)
}

@inline(__always)
private func ahead<T>(_ x: ConvolveArguments, _ tile: Int, _ tables: Tables, _ tilesAtOnce: Int, _: T.Type) -> Ahead {
  if tile >= x.tiles - 2 && x.tiles > 2 && tilesAtOnce >= x.tiles {
    let line = 64 / MemoryLayout<T>.stride
    return .weights(elements: x.panelStride + (x.tiles - 1 - tile) * line)
  }
  if tile == x.tiles - 1 { return .sources(0) }
  // From the first row of the first tap to that of the next tile.
  let from = tables[tile].addresses
  let distance = from[tables.words] &- from[0]
  return .sources(distance > 0 && distance <= 4 * tileRows * x.run * MemoryLayout<T>.stride ? distance : 0)
}

/// All taps of one tile, in stretches of limited length, the last of which goes to the output.
@inline(__always)
private func accumulate<S: ImageNumber>(
  _ table: TileTable, _ stretch: Stretch, _ run: Int, _ offset: Int, _ panel: UnsafePointer<S.Wide>,
  _ width: Int, _ rows: Int, _ ahead: Ahead, _ buffer: UnsafeMutablePointer<S.Wide>, _ finish: ConvFinish<S>
) {
  typealias T = S.Wide
  let lanes = T.Vector.scalarCount
  if table.taps == 0 || run == 0 {
    for i in 0..<tileRows * T.tileColumns { buffer[i] = 0 }
    return finish.putRows(buffer, table.places, rows, width)
  }
  // Whole tiles go to their places from registers.
  let target = width == T.tileColumns || width == lanes ? finish : nil
  var adding = false
  var tap = 0
  while tap < table.taps {
    let count = min(stretch.taps, table.taps - tap)
    var start = 0
    while start < run {
      let left = min(stretch.length, run - start)
      // What no loop over several terms takes comes last. (Of a narrow tile, all goes term by term.)
      let isNarrow = width <= lanes
      let length = isNarrow || left < termsAtOnce ? left : left / termsAtOnce * termsAtOnce
      let last = tap + count == table.taps && start + length == run
      let from = table.addresses + tap * tileRows
      @inline(__always)
      func sum<Rows: ImageTile, Terms: TermCount>(_: Rows.Type, _: Terms.Type) where Rows.T == T {
        tapTile(
          from, table.weights + tap, count, offset, start, length, ahead, panel, buffer, adding, last ? target : nil,
          table.places, Rows.self, Terms.self)
      }
      if isNarrow {
        sum(NarrowTile<T>.self, OneTerm.self)
      } else if length < termsAtOnce {
        sum(Tile<T>.self, OneTerm.self)
      } else if rows <= 6 && tileRows > 6 {
        sum(SixRows<T>.self, SomeTerms.self)
      } else {
        sum(Tile<T>.self, SomeTerms.self)
      }
      adding = true
      start += length
    }
    tap += count
  }
  if target == nil { finish.putRows(buffer, table.places, rows, width) }
}

@inline(__always)
private func pointer<T>(_ address: Int, _ offset: Int, _: T.Type) -> UnsafePointer<T> {
  UnsafePointer<T>(bitPattern: address).unsafelyUnwrapped + offset
}

/// Elements `start` to `start + length` of the stretches of `taps` (> 0) taps, from addresses of rows; without a
/// finish, the sums go to the buffer.
@inline(never)
private func tapTile<S: ImageNumber, Rows: ImageTile, Terms: TermCount>(
  _ addresses: UnsafePointer<Int>, _ tapWeights: UnsafePointer<Int>, _ taps: Int, _ offset: Int, _ start: Int,
  _ length: Int, _ ahead: Ahead, _ panel: UnsafePointer<S.Wide>, _ buffer: UnsafeMutablePointer<S.Wide>,
  _ adding: Bool, _ finish: ConvFinish<S>?, _ places: UnsafePointer<Int>, _: Rows.Type,
  _: Terms.Type
) where Rows.T == S.Wide {
  var tile = Rows()
  tile.add(addresses, tapWeights, taps, offset, start, length, ahead, panel, Terms.self)
  if let finish {
    finish.put(tile, places, adding: adding ? UnsafePointer(buffer) : nil)
  } else {
    tile.put(buffer, S.Wide.tileColumns, adding: adding)
  }
}

/// Tiles `first` to `last` of one block of channels, each with all its terms at once.
@inline(never)
private func tapTiles<S: ImageNumber>(
  _ arguments: UnsafePointer<ConvolveArguments>, _ first: Int, _ last: Int, _ tables: Tables, _ tilesAtOnce: Int,
  _ panel: UnsafePointer<S.Wide>, _ finish: ConvFinish<S>
) {
  typealias T = S.Wide
  for index in first..<last {
    let table = tables[index]
    finish.fetch(table.places, tileRows, T.tileColumns)
    var tile = Tile<T>()
    if table.taps > 0 {
      tile.add(
        table.addresses, table.weights, table.taps, arguments.pointee.sourceOffset, 0, arguments.pointee.run,
        ahead(arguments.pointee, index, tables, tilesAtOnce, T.self), panel, SomeTerms.self)
    }
    finish.put(tile, table.places, adding: nil)
  }
}

extension ProductTile {
  /// Beside a tile of full size the sources of the next one are fetched, since twelve short streams at a time are more
  /// than the processor follows by itself.
  @inline(__always)
  fileprivate mutating func add<Terms: TermCount>(
    _ addresses: UnsafePointer<Int>, _ tapWeights: UnsafePointer<Int>, _ taps: Int, _ offset: Int, _ start: Int,
    _ length: Int, _ ahead: Ahead, _ panel: UnsafePointer<T>, _: Terms.Type
  ) {
    let columns = T.tileColumns
    let fetches = Self.self == Tile<T>.self
    var addresses = addresses
    var tap = 0
    repeat {
      let rows = RowPointers<T> { pointer(addresses[$0], offset + start + length, T.self) }
      var b = panel + tapWeights[tap] + start * columns
      var next = b
      var distance = columns
      switch ahead {
      case .weights(let elements): next += elements
      case .sources(0): break
      case .sources(let bytes):
        next = pointer(addresses[0] &+ bytes, offset + start * tileRows, T.self)
        distance = tileRows
      }
      @inline(__always)
      func fetch(_ step: Int) {
        if fetches && step % termsPerFetch == 0 { sn_prefetch_second_level(next + step * distance) }
      }
      @inline(__always)
      func addTerm(_ index: Int, _ step: Int) { add(row: b + step * columns) { rows.six($0, index) } }
      forEachTerm(from: -length, Terms.self, fetching: fetch, addTerm) { terms in
        b += terms * columns
        next += terms * distance
      }
      addresses += tileRows
      tap += 1
    } while tap < taps
  }
}
