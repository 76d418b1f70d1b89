import CIntrinsics
import KernelTypes

// Products that memory bounds: a few rows of some ten thousands of numbers. Packing them would read them twice and write
// them once. What the processor does not do by itself for thirty rows at a time, each on a page of its own, is fetching
// ahead: every step asks for the lines of a later one.

/// An element type with stores past the caches.
protocol StreamedScalar: ProductScalar {
  static func stream(_ vector: Vector, _ out: UnsafeMutablePointer<Self>)
}

extension Float: StreamedScalar {
  @inline(__always)
  static func stream(_ vector: Vector, _ out: UnsafeMutablePointer<Float>) {
    #if SN_V4
      sn_stream_f16(vector, out)
    #elseif SN_V3
      sn_stream_f8(vector, out)
    #else
      sn_stream_f4(vector, out)
    #endif
  }
}

extension Double: StreamedScalar {
  @inline(__always)
  static func stream(_ vector: Vector, _ out: UnsafeMutablePointer<Double>) {
    #if SN_V4
      sn_stream_d8(vector, out)
    #elseif SN_V3
      sn_stream_d4(vector, out)
    #else
      sn_stream_d2(vector, out)
    #endif
  }
}

/// How many tiles ahead rows of b are fetched.
private let tilesAhead = 4

/// A tile whose rows can leave it one by one.
private protocol OpenTile: ProductTile {
  func forEach(_ body: (Int, T.Vector, T.Vector) -> Void)
}

extension SixRows: OpenTile {}
extension Tile: OpenTile {}

/// Some rows of a tile's columns, from the registers to where they belong.
@inline(never)
private func wideTile<Rows: OpenTile>(
  _ panel: UnsafePointer<Rows.T>, _ b: UnsafePointer<Rows.T>, _ bStride: Int, _ k: Int, _ ahead: Int,
  _ c: UnsafeMutablePointer<Rows.T>, _ cStride: Int, _ rows: Int, _ streams: Bool, _: Rows.Type
) where Rows.T: StreamedScalar {
  let half = Rows.T.Vector.scalarCount
  var tile = Rows()
  tile.add(k, OneTerm.self, panel, tileRows, b, bStride, ahead)
  tile.forEach { row, l, r in
    if row >= rows { return }
    let to = c + row * cStride
    if streams {
      Rows.T.stream(l, to)
      Rows.T.stream(r, to + half)
    } else {
      store(l, to)
      store(r, to + half)
    }
  }
}

/// Columns `first` to `end` of the product:
///
///     for each block of columns (its rows of b are in the first-level cache after the first tile)
///       for each tile of rows: k rank-one updates in registers
@inline(__always)
private func wideProduct<T: StreamedScalar>(_ x: WideArguments, _ first: Int, _ end: Int, _: T.Type) {
  let columns = T.tileColumns
  let a = x.a.assumingMemoryBound(to: T.self), b = x.b.assumingMemoryBound(to: T.self)
  let c = x.c.assumingMemoryBound(to: T.self)
  var column = first
  while column < end {
    // The last tile takes some columns again.
    let at = min(column, end - columns)
    let streams = x.streams && at == column
    var row = 0
    while row < x.m {
      let rows = min(tileRows, x.m - row)
      let ahead = row == 0 ? tilesAhead * columns : 0
      let (panel, to) = (a + row * x.k, c + (row * x.cRowStride + at))
      if rows <= 6 && tileRows > 6 {
        wideTile(panel, b + at, x.bRowStride, x.k, ahead, to, x.cRowStride, rows, streams, SixRows<T>.self)
      } else {
        wideTile(panel, b + at, x.bRowStride, x.k, ahead, to, x.cRowStride, rows, streams, Tile<T>.self)
      }
      row += rows
    }
    column += columns
  }
  if x.streams { sn_stream_fence() }
}

#if SN_V4
  /// Rows of a in a tile of dot products; the tile has six of b.
  private let dotTileRows = 4
#else
  private let dotTileRows = 2
#endif
private let dotTileColumns = 6

/// Terms that are summed in registers before they are added to the sums in memory. That many of all rows stay in the
/// second-level cache.
private let dotTerms = 512

/// Lines of a row that are fetched at a time.
private let dotLines = 8

/// Dot products over the terms `first` to `end`:
///
///     for each block of terms
///       for each few rows of b (in the first-level cache)
///         for each few rows of a: a tile of sums in registers; meanwhile its share of the next block is fetched
@inline(__always)
private func deepProduct<T: ProductScalar>(
  _ x: DeepArguments, _ first: Int, _ end: Int, _ sums: UnsafeMutableRawPointer, _ room: UnsafeMutableRawPointer,
  _: T.Type
) {
  let lanes = T.Vector.scalarCount
  let a = x.a.assumingMemoryBound(to: T.self), b = x.b.assumingMemoryBound(to: T.self)
  let results = sums.assumingMemoryBound(to: T.self)
  if x.m == 1 { return streamedDots(a, b, x.bRowStride, x.n, first, end, results) }
  if x.n == 1 { return streamedDots(b, a, x.aRowStride, x.m, first, end, results) }
  let partial = room.assumingMemoryBound(to: T.self)
  let (down, across) = dotTiles(x.m, x.n)
  let tileSize = dotTileRows * dotTileColumns * lanes
  for i in 0..<down * across * tileSize { partial[i] = 0 }
  let whole = first + (end - first) / lanes * lanes
  var start = first
  while start < whole {
    let terms = min(dotTerms, whole - start)
    var tile = 0
    for column in 0..<across {
      for row in 0..<down {
        let share = (tile * (x.m + x.n) / (down * across), (tile + 1) * (x.m + x.n) / (down * across))
        dotTile(
          x, a + start, b + start, row * dotTileRows, column * dotTileColumns, terms, share, partial + tile * tileSize)
        tile += 1
      }
    }
    start += terms
  }
  for i in 0..<x.m {
    for j in 0..<x.n {
      let tile = j / dotTileColumns * down + i / dotTileRows
      let pair = i % dotTileRows / 2 * dotTileColumns + j % dotTileColumns
      let at = partial + (tile * tileSize + (2 * pair + i % 2) * lanes)
      var sum = T.zero
      for lane in 0..<lanes { sum += at[lane] }
      for term in whole..<max(end, whole) { sum += a[i * x.aRowStride + term] * b[j * x.bRowStride + term] }
      results[i * x.n + j] = sum
    }
  }
}

/// Terms that are fetched ahead of those that are multiplied, where a row is read from end to end.
private let dotTermsAhead = 2048

/// Dot products of one row with some others over the terms `first` to `end`: one row after the other, each a stream.
@inline(never)
private func streamedDots<T: ProductScalar>(
  _ row: UnsafePointer<T>, _ others: UnsafePointer<T>, _ stride: Int, _ count: Int, _ first: Int, _ end: Int,
  _ out: UnsafeMutablePointer<T>
) {
  typealias V = T.Vector
  let lanes = V.scalarCount, line = 64 / MemoryLayout<T>.stride
  let step = 4 * lanes
  for other in 0..<count {
    let p = others + other * stride
    // What follows the end of this row is the beginning of the next.
    let jump = other + 1 < count ? stride - (end - first) : 0
    var s0 = V(), s1 = V(), s2 = V(), s3 = V()
    var index = first
    while index + step <= end {
      var ahead = p + (index + dotTermsAhead)
      if index + dotTermsAhead >= end { ahead += jump }
      for i in Swift.stride(from: 0, to: step, by: line) { sn_prefetch(ahead + i) }
      multiplyAdd(&s0, load(row + index), load(p + index))
      multiplyAdd(&s1, load(row + (index + lanes)), load(p + (index + lanes)))
      multiplyAdd(&s2, load(row + (index + 2 * lanes)), load(p + (index + 2 * lanes)))
      multiplyAdd(&s3, load(row + (index + 3 * lanes)), load(p + (index + 3 * lanes)))
      index += step
    }
    let total = (s0 + s1) + (s2 + s3)
    var sum = T.zero
    for lane in 0..<lanes { sum += total[lane] }
    while index < end {
      sum += row[index] * p[index]
      index += 1
    }
    out[other] = sum
  }
}

@inline(__always)
private func dotTiles(_ m: Int, _ n: Int) -> (down: Int, across: Int) {
  ((m + dotTileRows - 1) / dotTileRows, (n + dotTileColumns - 1) / dotTileColumns)
}

/// One tile over `terms` terms, a multiple of the vector. `share` are the rows, those of b behind those of a, whose next
/// block is fetched.
@inline(never)
private func dotTile<T: ProductScalar>(
  _ x: DeepArguments, _ a: UnsafePointer<T>, _ b: UnsafePointer<T>, _ row: Int, _ column: Int, _ terms: Int,
  _ share: (Int, Int), _ out: UnsafeMutablePointer<T>
) {
  // Rows that are missing are others once more.
  @inline(__always)
  func left(_ i: Int) -> UnsafePointer<T> { a + min(row + i, x.m - 1) * x.aRowStride }
  @inline(__always)
  func right(_ j: Int) -> UnsafePointer<T> { b + min(column + j, x.n - 1) * x.bRowStride }
  let a0 = left(0), a1 = left(1)
  let b0 = right(0), b1 = right(1), b2 = right(2), b3 = right(3), b4 = right(4), b5 = right(5)
  var top = SixRows<T>()
  #if SN_V4
    let a2 = left(2), a3 = left(3)
    var bottom = SixRows<T>()
  #endif
  let line = 64 / MemoryLayout<T>.stride
  var index = 0
  repeat {
    // Some lines of a row at a time: the addresses of what is fetched leave no registers to the loop over the terms.
    let end = min(index + dotLines * line, terms)
    for other in share.0..<share.1 {
      let row = other < x.m ? a + other * x.aRowStride : b + (other - x.m) * x.bRowStride
      for ahead in 0..<dotLines { sn_prefetch_second_level(row + (dotTerms + index + ahead * line)) }
    }
    repeat {
      let six: Six<T.Vector> = (
        load(b0 + index), load(b1 + index), load(b2 + index), load(b3 + index), load(b4 + index), load(b5 + index)
      )
      top.add(six, load(a0 + index), load(a1 + index))
      #if SN_V4
        bottom.add(six, load(a2 + index), load(a3 + index))
      #endif
      index += T.Vector.scalarCount
    } while index < end
  } while index < terms
  let pair = 2 * T.Vector.scalarCount
  top.put(out, pair, adding: true)
  #if SN_V4
    bottom.put(out + dotTileColumns * pair, pair, adding: true)
  #endif
}

func registerThinProducts(_ table: inout ThinKernels) {
  table.f32 = thinKernels(Float.self)
  table.f64 = thinKernels(Double.self)
}

@inline(__always)
private func thinKernels<T: StreamedScalar>(_: T.Type) -> ThinProductKernels {
  var kernels = ThinProductKernels()
  kernels.wide = { wideProduct($0, $1, $2, T.self) }
  kernels.deep = { deepProduct($0, $1, $2, $3, $4, T.self) }
  kernels.deepRoom = { m, n in
    let (down, across) = dotTiles(m, n)
    return down * across * dotTileRows * dotTileColumns * MemoryLayout<T.Vector>.size
  }
  return kernels
}
