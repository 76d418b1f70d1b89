import CIntrinsics
import KernelTypes

// Convolutions with a few input channels. A row of taps is one stretch of `run` numbers, the input's rows have
// their padding in memory, and the output is computed line by line: neighbouring places lie `step` numbers apart,
// so one address per (depth, height) tap does for a whole line.

/// Output lines of a convolution (forward), with the epilogue of `ConvolveArguments`; its `tables` are room for
/// two words per tap, the places of a line and those of a tile.
@inline(__always)
func convolveLines<S: ImageNumber>(
  _ geometry: UnsafePointer<RowGeometry>, _ firstLine: Int, _ lines: Int, _ step: Int,
  _ arguments: UnsafePointer<ConvolveArguments>, _: S.Type
) {
  typealias T = S.Wide
  let g = geometry.pointee
  let x = arguments.pointee
  let columns = T.tileColumns
  let weights = x.weights.assumingMemoryBound(to: T.self)
  let bases = UnsafeMutablePointer(mutating: x.tables)
  let tapWeights = bases + g.taps
  let line = tapWeights + g.taps
  let positions = g.width.positions
  var place = RowPlace(g, firstLine * positions)
  TileBuffer<T>.with { buffer in
    TileBuffer<T>.with { room in
      for _ in 0..<lines {
        var active = 0
        forEachLineTap(g, place) { address, weight, _ in
          if let address {
            bases[active] = address
            tapWeights[active] = weight
            active += 1
          }
        }
        // The last place stands there some times more, for a tile that has rows left.
        place.outputs(g, positions, line)
        for row in positions..<positions + tileRows { line[row] = line[positions - 1] }
        var column = 0
        while column < x.columns {
          let width = min(columns, x.columns - column)
          let finish = ConvFinish<S>(x, column: x.firstColumn + column, width: width, room: room)
          let panel = weights + column / columns * x.panelStride
          // Whole tiles go to their places from registers.
          let isWhole = active > 0 && (width == columns || width == T.Vector.scalarCount)
          let target = isWhole ? finish : nil
          var first = 0
          while first < positions {
            // The last tile of a line takes some places again where that fills it.
            let refills = isWhole && step == 1 && width <= T.Vector.scalarCount && positions >= tileRows
            let start = refills ? min(first, positions - tileRows) : first
            let valid = min(tileRows, positions - start)
            let outputs = UnsafePointer(line + start)
            finish.fetch(outputs, valid, width)
            if active == 0 {
              for i in 0..<tileRows * columns { buffer[i] = 0 }
            } else if width <= T.Vector.scalarCount && step == 1 && valid == tileRows {
              narrowLineTile(bases, tapWeights, active, start, x.run, panel, buffer, target, outputs)
            } else {
              @inline(__always)
              func sum<Rows: ImageTile, Terms: TermCount>(_: Rows.Type, _: Terms.Type) where Rows.T == T {
                lineTile(
                  bases, tapWeights, active, start, step, valid - 1, x.run, panel, buffer, target, outputs,
                  Rows.self, Terms.self)
              }
              let inThrees = termsAtOnce > 1 && x.run % ThreeTerms.count == 0
              if width <= T.Vector.scalarCount {
                sum(NarrowTile<T>.self, OneTerm.self)
              } else if valid <= 6 && tileRows > 6 {
                sum(SixRows<T>.self, OneTerm.self)
              } else if inThrees {
                sum(Tile<T>.self, ThreeTerms.self)
              } else {
                sum(Tile<T>.self, OneTerm.self)
              }
            }
            if !isWhole { finish.putRows(buffer, outputs, valid, width) }
            first += tileRows
          }
          column += columns
        }
        place.advance(g, positions)
      }
    }
  }
}

/// Calls `body(address of the line's first stretch, weight offset, tap number)` for each depth and height tap; the
/// address is nil in the padding.
@inline(__always)
func forEachLineTap(_ g: RowGeometry, _ place: RowPlace, _ body: (Int?, Int, Int) -> Void) {
  for d in 0..<g.depth.taps {
    let depth = g.depth.sources[d * g.depth.positions + place.depth]
    for h in 0..<g.height.taps {
      let height = g.height.sources[h * g.height.positions + place.height]
      let inside = depth != .min && height != .min
      let address = Int(bitPattern: g.source) &+ place.image &* g.batchStride &+ depth &+ height
      body(inside ? address : nil, g.depth.weights[d] + g.height.weights[h], d * g.height.taps + h)
    }
  }
}

@inline(__always)
private func pointer<T>(_ address: Int, _: T.Type) -> UnsafePointer<T> {
  UnsafePointer<T>(bitPattern: address).unsafelyUnwrapped
}

/// Rows of three taps, or of taps on three channels.
private enum ThreeTerms: TermCount { @inline(__always) static var count: Int { 3 } }

/// A tile of neighbouring places, `step` numbers apart; rows beyond the last repeat it. (Distances are found once: for a
/// row of three taps they would cost as much as the products.)
@inline(never)
private func lineTile<S: ImageNumber, Rows: ImageTile, Terms: TermCount>(
  _ bases: UnsafePointer<Int>, _ tapWeights: UnsafePointer<Int>, _ taps: Int, _ first: Int, _ step: Int,
  _ last: Int, _ run: Int, _ panel: UnsafePointer<S.Wide>, _ buffer: UnsafeMutablePointer<S.Wide>,
  _ finish: ConvFinish<S>?, _ places: UnsafePointer<Int>, _: Rows.Type, _: Terms.Type
) where Rows.T == S.Wide {
  typealias T = S.Wide
  let columns = T.tileColumns
  let distances = RowDistances { min($0, last) * step }
  var tile = Rows()
  var tap = 0
  repeat {
    let rows = RowPointers(pointer(bases[tap], T.self) + (first * step + run), distances)
    var b = panel + tapWeights[tap]
    @inline(__always)
    func addTerm(_ index: Int, _ step: Int) { tile.add(row: b + step * columns) { rows.six($0, index) } }
    forEachTerm(from: -run, Terms.self, addTerm) { b += $0 * columns }
    tap += 1
  } while tap < taps
  if let finish { finish.put(tile, places, adding: nil) } else { tile.put(buffer, columns, adding: false) }
}

/// A full tile of adjacent places (step 1): one address serves all rows.
@inline(never)
private func narrowLineTile<S: ImageNumber>(
  _ bases: UnsafePointer<Int>, _ tapWeights: UnsafePointer<Int>, _ taps: Int, _ first: Int, _ run: Int,
  _ panel: UnsafePointer<S.Wide>, _ buffer: UnsafeMutablePointer<S.Wide>, _ finish: ConvFinish<S>?,
  _ places: UnsafePointer<Int>
) {
  typealias T = S.Wide
  let columns = T.tileColumns
  var tile = NarrowTile<T>()
  var tap = 0
  repeat {
    var p = pointer(bases[tap], T.self) + first
    var b = panel + tapWeights[tap]
    let end = p + run
    repeat {
      tile.add(load(b)) { i in (p[i], p[i + 1], p[i + 2], p[i + 3], p[i + 4], p[i + 5]) }
      b += columns
      p += 1
    } while p < end
    tap += 1
  } while tap < taps
  if let finish { finish.put(tile, places, adding: nil) } else { tile.put(buffer, columns, adding: false) }
}

/// The weight gradient of some lines for one block of columns:
///
///     for each line
///       for each tile of rows (tap, number) of the gradient: the line's places are the terms
///
/// `gradient` is the first channel of the block; `result` is [tap][run][tile columns], padded to whole tiles.
/// `room` has space for the taps' addresses, one tile's row addresses, and a line of the tile's columns.
@inline(__always)
func gradientLines<T: ProductScalar>(
  _ geometry: UnsafePointer<RowGeometry>, _ arguments: UnsafePointer<LineGradientArguments>, _: T.Type
) {
  let g = geometry.pointee
  let x = arguments.pointee
  let columns = T.tileColumns
  let lanes = T.Vector.scalarCount
  let gradient = x.gradient.assumingMemoryBound(to: T.self)
  let result = x.result.assumingMemoryBound(to: T.self)
  let bases = x.room.assumingMemoryBound(to: Int.self)
  let rows = bases + g.taps
  let packed = UnsafeMutableRawPointer(rows + tileRows).assumingMemoryBound(to: T.self)
  let positions = g.width.positions
  let direct = readsLinesInPlace && (x.columns == columns || x.columns == lanes)
  let total = g.taps * x.run
  var place = RowPlace(g, x.firstLine * positions)
  for _ in 0..<x.lines {
    forEachLineTap(g, place) { address, _, tap in bases[tap] = address ?? Int(bitPattern: g.zeros) }
    let line =
      gradient
      + (place.image * g.outputBatchStride + g.depth.outputs[place.depth] + g.height.outputs[place.height])
    if !direct { packLine(line, x.gradientStep, positions, x.columns, packed) }
    if let sums = x.sums {
      addColumnSums(
        direct ? line : UnsafePointer(packed), direct ? x.gradientStep : columns, positions, x.columns, sums)
    }
    let values = direct ? line : UnsafePointer(packed)
    let valueStep = direct ? x.gradientStep : columns
    let inTriples = tileRows == 12 && x.columns <= lanes && x.run % 3 == 0
    var row = 0
    var tap = 0
    var index = 0
    while row < total {
      // Of triples, a row stands for three.
      for i in 0..<(inTriples ? 9 : tileRows) {
        rows[i] = bases[min(tap, g.taps - 1)] + index * MemoryLayout<T>.stride
        index += inTriples ? 3 : 1
        if index == x.run {
          index = 0
          tap += 1
        }
      }
      if inTriples {
        tripleGradientLine(
          rows, x.step, values, valueStep, positions, min(9, (total - row) / 3), result + row * columns)
        row += 27
        continue
      }
      if x.columns <= lanes {
        narrowGradientLine(rows, x.step, values, valueStep, positions, result + row * columns)
      } else {
        gradientLine(rows, x.step, values, valueStep, positions, result + row * columns)
      }
      row += tileRows
    }
    place.advance(g, positions)
  }
}

@inline(never)
private func gradientLine<T: ProductScalar>(
  _ addresses: UnsafePointer<Int>, _ step: Int, _ values: UnsafePointer<T>, _ valueStep: Int, _ count: Int,
  _ out: UnsafeMutablePointer<T>
) {
  let rows = RowPointers<T> { pointer(addresses[$0], T.self) }
  var tile = Tile<T>()
  var v = values
  var index = 0
  let end = count * step
  repeat {
    tile.add(load(v), load(v + T.Vector.scalarCount)) { rows.six($0, index) }
    v += valueStep
    index += step
  } while index < end
  tile.put(out, T.tileColumns, adding: true)
}

@inline(never)
private func narrowGradientLine<T: ProductScalar>(
  _ addresses: UnsafePointer<Int>, _ step: Int, _ values: UnsafePointer<T>, _ valueStep: Int, _ count: Int,
  _ out: UnsafeMutablePointer<T>
) {
  let rows = RowPointers<T> { pointer(addresses[$0], T.self) }
  var tile = NarrowTile<T>()
  var v = values
  var index = 0
  let end = count * step
  repeat {
    tile.add(load(v)) { rows.six($0, index) }
    v += valueStep
    index += step
  } while index < end
  tile.put(out, T.tileColumns, adding: true)
}

/// Three rows of one vector each, whose numbers are neighbours.
private struct Triple<T: ProductScalar> {
  var a = T.Vector(), b = T.Vector(), c = T.Vector()

  @inline(__always)
  mutating func add(_ p: UnsafePointer<T>, _ v: T.Vector) {
    multiplyAdd(&a, p[0], v)
    multiplyAdd(&b, p[1], v)
    multiplyAdd(&c, p[2], v)
  }

  @inline(__always)
  func put(_ out: UnsafeMutablePointer<T>) {
    let columns = T.tileColumns
    store(load(out) + a, out)
    store(load(out + columns) + b, out + columns)
    store(load(out + 2 * columns) + c, out + 2 * columns)
  }
}

/// As `narrowGradientLine`, for up to nine triples of rows: the 27 taps of a 3×3×3 kernel on one channel, or of a 3×3
/// kernel on three, in one pass over the line.
@inline(never)
private func tripleGradientLine<T: ProductScalar>(
  _ addresses: UnsafePointer<Int>, _ step: Int, _ values: UnsafePointer<T>, _ valueStep: Int, _ count: Int,
  _ triples: Int, _ out: UnsafeMutablePointer<T>
) {
  @inline(__always) func row(_ i: Int) -> UnsafePointer<T> { pointer(addresses[i], T.self) }
  let p = (row(0), row(1), row(2), row(3), row(4), row(5), row(6), row(7), row(8))
  var t0 = Triple<T>(), t1 = Triple<T>(), t2 = Triple<T>(), t3 = Triple<T>(), t4 = Triple<T>()
  var t5 = Triple<T>(), t6 = Triple<T>(), t7 = Triple<T>(), t8 = Triple<T>()
  var v = values
  var index = 0
  let end = count * step
  repeat {
    let value: T.Vector = load(v)
    t0.add(p.0 + index, value)
    t1.add(p.1 + index, value)
    t2.add(p.2 + index, value)
    t3.add(p.3 + index, value)
    t4.add(p.4 + index, value)
    t5.add(p.5 + index, value)
    t6.add(p.6 + index, value)
    t7.add(p.7 + index, value)
    t8.add(p.8 + index, value)
    v += valueStep
    index += step
  } while index < end
  @inline(__always)
  func put(_ i: Int, _ triple: Triple<T>) { if i < triples { triple.put(out + 3 * i * T.tileColumns) } }
  put(0, t0)
  put(1, t1)
  put(2, t2)
  put(3, t3)
  put(4, t4)
  put(5, t5)
  put(6, t6)
  put(7, t7)
  put(8, t8)
}
