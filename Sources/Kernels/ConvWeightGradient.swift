import CIntrinsics
import KernelTypes

/// Addresses [active tap][row] of the sources of consecutive rows, and the numbers of the taps that see more than
/// padding; returns how many these are.
@inline(__always)
func gatherSourceAddresses(
  _ geometry: UnsafePointer<RowGeometry>, _ firstRow: Int, _ rows: Int, _ taps: UnsafeMutablePointer<Int>,
  _ addresses: UnsafeMutablePointer<Int>
) -> Int {
  let g = geometry.pointee
  let zeros = Int(bitPattern: g.zeros)
  var place = RowPlace(g, firstRow)
  var row = 0
  while row < rows {
    let count = min(rows - row, place.rowsInLine(g))
    place.addresses(g, zeros, count, addresses + row, rows)
    place.advance(g, count)
    row += count
  }
  var active = 0
  for tap in 0..<g.taps {
    let from = addresses + tap * rows
    var differing = 0
    for row in 0..<rows { differing |= from[row] ^ zeros }
    if differing == 0 { continue }
    if active != tap {
      let to = addresses + active * rows
      for row in 0..<rows { to[row] = from[row] }
    }
    taps[active] = tap
    active += 1
  }
  return active
}

/// Whether `gradientLines` may read the gradients of a line where they lie.
let readsLinesInPlace = true

/// Copies `columns` channels of the gradients of a line, `step` numbers apart, to rows of one tile's width; missing columns
/// are zero.
@inline(__always)
func packLine<T: ProductScalar>(
  _ line: UnsafePointer<T>, _ step: Int, _ positions: Int, _ columns: Int, _ packed: UnsafeMutablePointer<T>
) {
  let width = T.tileColumns
  for w in 0..<positions {
    let from = line + w * step, to = packed + w * width
    for i in 0..<width { to[i] = i < columns ? from[i] : 0 }
  }
}

/// Copies `columns` channels of the gradients of consecutive output places to rows of one tile's width; missing
/// columns are zero.
@inline(__always)
func packGradientRows<T: ProductScalar>(
  _ geometry: UnsafePointer<RowGeometry>, _ firstRow: Int, _ rows: Int, _ source: UnsafeRawPointer,
  _ columns: Int, _ panel: UnsafeMutableRawPointer, _: T.Type
) {
  let g = geometry.pointee
  let source = source.assumingMemoryBound(to: T.self)
  var to = panel.assumingMemoryBound(to: T.self)
  let lanes = T.Vector.scalarCount
  var place = RowPlace(g, firstRow)
  var row = 0
  while row < rows {
    let count = min(rows - row, place.rowsInLine(g))
    let line =
      place.image * g.outputBatchStride + g.depth.outputs[place.depth] + g.height.outputs[place.height]
    for i in 0..<count {
      let offset =
        g.imagesInnermost
        ? line + g.width.outputs[place.width] + i * g.outputBatchStride
        : line + g.width.outputs[place.width + i]
      let from = source + offset
      // The next block of columns will want what lies behind this one, which nobody else fetches.
      sn_prefetch_second_level(from + T.tileColumns)
      sn_prefetch_second_level(from + T.tileColumns + lanes)
      if columns == T.tileColumns {
        store(load(from) as T.Vector, to)
        store(load(from + lanes) as T.Vector, to + lanes)
      } else if columns == lanes {
        store(load(from) as T.Vector, to)
        store(T.Vector(), to + lanes)
      } else {
        for i in 0..<columns { to[i] = from[i] }
        for i in columns..<T.tileColumns { to[i] = 0 }
      }
      to += T.tileColumns
    }
    place.advance(g, count)
    row += count
  }
}

/// Adds one block of output places to the weight gradient:
///
///     for each group of quads (four adjacent numbers of a tap's stretch; three quads fill a tile of twelve rows; where
///     a tile has six rows, six numbers of a stretch, the last ones by four)
///       for each output place: rank-one update of the tile, sources times gradients
@inline(__always)
func gradientBlock<T: ProductScalar>(_ arguments: UnsafePointer<GradientArguments>, _: T.Type) {
  let x = arguments.pointee
  let columns = T.tileColumns
  let gradient = x.gradient.assumingMemoryBound(to: T.self)
  let result = x.result.assumingMemoryBound(to: T.self)
  #if SN_V4
    let perTap = x.run / 4
    let quads = x.activeTaps * perTap
    TileBuffer<T>.with { dummy in
      TileBuffer<T>.with { room in
        var quad = 0
        while quad < quads {
          @inline(__always)
          func source(_ i: Int) -> (UnsafePointer<Int>, Int, UnsafeMutablePointer<T>) {
            let q = min(quad + i, quads - 1)
            let tap = q / perTap
            let offset = (q - tap * perTap) * 4
            let out = quad + i < quads ? result + (x.taps[tap] * x.run + offset) * columns : dummy
            return (x.sources + tap * x.rows, offset * MemoryLayout<T>.stride, out)
          }
          if x.narrow {
            narrowGradientTile(source(0), source(1), source(2), x.rows, gradient, room)
          } else {
            gradientTile(source(0), source(1), source(2), x.rows, gradient)
          }
          quad += 3
        }
      }
    }
  #else
    for tap in 0..<x.activeTaps {
      let sources = x.sources + tap * x.rows
      let out = result + x.taps[tap] * x.run * columns
      var first = 0
      while first < x.run {
        let left = x.run - first
        if left >= 6 && left != 8 {
          sixGradientRows(sources, first, x.rows, gradient, out + first * columns)
          first += 6
        } else {
          fourGradientRows(sources, first, x.rows, gradient, out + first * columns)
          first += 4
        }
      }
    }
  #endif
}

/// Addresses of the rows' sources, the byte offset of a quad in each, and where its four result rows go.
private typealias Quad<T> = (UnsafePointer<Int>, Int, UnsafeMutablePointer<T>)

@inline(__always)
private func element<T>(_ address: Int, _ index: Int, _: T.Type) -> T {
  UnsafePointer<T>(bitPattern: address).unsafelyUnwrapped[index]
}

@inline(never)
private func gradientTile<T: ProductScalar>(
  _ a: Quad<T>, _ b: Quad<T>, _ c: Quad<T>, _ rows: Int, _ gradient: UnsafePointer<T>
) {
  let lanes = T.Vector.scalarCount
  var top = SixRows<T>(), bottom = SixRows<T>()
  var g = gradient
  var row = 0
  repeat {
    let l: T.Vector = load(g), r: T.Vector = load(g + lanes)
    let p = a.0[row] + a.1, q = b.0[row] + b.1, s = c.0[row] + c.1
    // The tiles to come read on from there, a line of each row, which the processor does not fetch by itself.
    sn_prefetch_second_level(UnsafeRawPointer(bitPattern: s + 64).unsafelyUnwrapped)
    top.add(
      (
        element(p, 0, T.self), element(p, 1, T.self), element(p, 2, T.self), element(p, 3, T.self),
        element(q, 0, T.self), element(q, 1, T.self)
      ), l, r)
    bottom.add(
      (
        element(q, 2, T.self), element(q, 3, T.self), element(s, 0, T.self), element(s, 1, T.self),
        element(s, 2, T.self), element(s, 3, T.self)
      ), l, r)
    g += T.tileColumns
    row += 1
  } while row < rows
  @inline(__always)
  func put(_ row: Int, _ l: T.Vector, _ r: T.Vector) {
    let o = (row < 4 ? a.2 : row < 8 ? b.2 : c.2) + (row & 3) * T.tileColumns
    store(load(o) + l, o)
    store(load(o + lanes) + r, o + lanes)
  }
  top.forEach { put($0, $1, $2) }
  bottom.forEach { put($0 + 6, $1, $2) }
}

/// One vector of columns. The tile goes through a buffer: with several places to add its rows to, the compiler would keep
/// part of it in memory all the time.
@inline(never)
private func narrowGradientTile<T: ProductScalar>(
  _ a: Quad<T>, _ b: Quad<T>, _ c: Quad<T>, _ rows: Int, _ gradient: UnsafePointer<T>,
  _ buffer: UnsafeMutablePointer<T>
) {
  var top = SixNarrowRows<T>(), bottom = SixNarrowRows<T>()
  var g = gradient
  var row = 0
  repeat {
    let l: T.Vector = load(g)
    let p = a.0[row] + a.1, q = b.0[row] + b.1, s = c.0[row] + c.1
    top.add(
      (
        element(p, 0, T.self), element(p, 1, T.self), element(p, 2, T.self), element(p, 3, T.self),
        element(q, 0, T.self), element(q, 1, T.self)
      ), l)
    bottom.add(
      (
        element(q, 2, T.self), element(q, 3, T.self), element(s, 0, T.self), element(s, 1, T.self),
        element(s, 2, T.self), element(s, 3, T.self)
      ), l)
    g += T.tileColumns
    row += 1
  } while row < rows
  top.forEach { store($1, buffer + $0 * T.tileColumns) }
  bottom.forEach { store($1, buffer + ($0 + 6) * T.tileColumns) }
  for row in 0..<12 {
    let o = (row < 4 ? a.2 : row < 8 ? b.2 : c.2) + (row & 3) * T.tileColumns
    store(load(o) + load(buffer + row * T.tileColumns) as T.Vector, o)
  }
}

/// Six numbers of a tap's stretch, from the first on.
@inline(never)
private func sixGradientRows<T: ProductScalar>(
  _ sources: UnsafePointer<Int>, _ first: Int, _ rows: Int, _ gradient: UnsafePointer<T>,
  _ out: UnsafeMutablePointer<T>
) {
  let end = sources + rows, offset = first * MemoryLayout<T>.stride
  var tile = SixRows<T>()
  var g = gradient
  @inline(__always)
  func addTerm(_ index: Int, _ step: Int) {
    let p = end[index] &+ offset
    tile.add(row: g + step * T.tileColumns) { _ in
      (
        element(p, 0, T.self), element(p, 1, T.self), element(p, 2, T.self), element(p, 3, T.self),
        element(p, 4, T.self), element(p, 5, T.self)
      )
    }
  }
  forEachTerm(rows, addTerm) { g += $0 * T.tileColumns }
  tile.put(out, T.tileColumns, adding: true)
}

/// Four of them.
@inline(never)
private func fourGradientRows<T: ProductScalar>(
  _ sources: UnsafePointer<Int>, _ first: Int, _ rows: Int, _ gradient: UnsafePointer<T>,
  _ out: UnsafeMutablePointer<T>
) {
  typealias V = T.Vector
  let lanes = V.scalarCount
  let offset = first * MemoryLayout<T>.stride
  var l0 = V(), r0 = V(), l1 = V(), r1 = V(), l2 = V(), r2 = V(), l3 = V(), r3 = V()
  var g = gradient
  var row = 0
  repeat {
    let l: V = load(g), r: V = load(g + lanes)
    let p = sources[row] &+ offset
    let x0 = element(p, 0, T.self), x1 = element(p, 1, T.self)
    let x2 = element(p, 2, T.self), x3 = element(p, 3, T.self)
    multiplyAdd(&l0, x0, l)
    multiplyAdd(&r0, x0, r)
    multiplyAdd(&l1, x1, l)
    multiplyAdd(&r1, x1, r)
    multiplyAdd(&l2, x2, l)
    multiplyAdd(&r2, x2, r)
    multiplyAdd(&l3, x3, l)
    multiplyAdd(&r3, x3, r)
    g += T.tileColumns
    row += 1
  } while row < rows
  @inline(__always)
  func put(_ row: Int, _ l: V, _ r: V) {
    let o = out + row * T.tileColumns
    store(load(o) + l, o)
    store(load(o + lanes) + r, o + lanes)
  }
  put(0, l0, r0)
  put(1, l1, r1)
  put(2, l2, r2)
  put(3, l3, r3)
}
