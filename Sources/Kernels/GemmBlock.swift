import CIntrinsics
import KernelTypes

/// A matrix product whose operands are in the cache:
///
///     for each panel of columns of b (stays in the first-level cache)
///       for each tile of rows of a (streams from the second level)
///         k rank-one updates of the tile in registers, then c = alpha * tile + beta * c
@inline(__always)
func gemmBlock<T: ProductScalar>(_ arguments: BlockArguments, _: T.Type) {
  let x = arguments
  let a = x.a.assumingMemoryBound(to: T.self)
  let b = x.b.assumingMemoryBound(to: T.self)
  let c = x.c.assumingMemoryBound(to: T.self)
  let alpha = T(x.alpha), beta = T(x.beta)
  let columns = T.tileColumns
  let tiles = (x.m + tileRows - 1) / tileRows * ((x.n + columns - 1) / columns)
  var fetcher = Fetcher(x.ahead, steps: tiles)
  TileBuffer<T>.with { buffer in
    var j = 0
    var panel = b
    while j < x.n {
      let width = min(columns, x.n - j)
      let narrow = width <= T.Vector.scalarCount
      var i = 0
      while i < x.m {
        let height = min(tileRows, x.m - i)
        let out = c + i * x.cRowStride + j
        let direct = height == tileRows && width == columns && alpha == 1 && (beta == 0 || beta == 1)
        let target = direct ? out : buffer
        let stride = direct ? x.cRowStride : columns
        let adding = direct && beta == 1
        fetcher.step()
        let first = a + i * (x.aRowStride ?? x.k)
        if let rowStride = x.aRowStride {
          if narrow {
            rowTile(
              first, rowStride, height - 1, panel, x.bRowStride, x.k, target, stride, adding, NarrowTile<T>.self)
          } else {
            rowTile(first, rowStride, height - 1, panel, x.bRowStride, x.k, target, stride, adding, Tile<T>.self)
          }
        } else if narrow {
          stridedTile(
            first, tileRows, panel, x.bRowStride, x.k, 8 * x.bRowStride, target, stride, adding, NarrowTile<T>.self)
        } else if height <= 6 && tileRows > 6 {
          stridedTile(
            first, tileRows, panel, x.bRowStride, x.k, 8 * x.bRowStride, target, stride, adding, SixRows<T>.self)
        } else {
          stridedTile(
            first, tileRows, panel, x.bRowStride, x.k, 8 * x.bRowStride, target, stride, adding, Tile<T>.self)
        }
        if !direct {
          merge(buffer, columns, height, width, alpha, beta, out, x.cRowStride)
        }
        i += tileRows
      }
      j += columns
      panel += x.bPanelStride
    }
  }
}

/// Asks for rows of memory line by line, in equal steps.
private struct Fetcher {
  private static let line = 64
  private var now: RowsAhead
  private var then: RowsAhead?
  private var offset = 0
  private let linesAtOnce: Int

  @inline(__always)
  init(_ ahead: (RowsAhead?, RowsAhead?), steps: Int) {
    func lines(_ rows: RowsAhead?) -> Int {
      rows.map { $0.rows * (($0.rowBytes + Fetcher.line - 1) / Fetcher.line) } ?? 0
    }
    linesAtOnce = (lines(ahead.0) + lines(ahead.1) + steps - 1) / steps
    now = ahead.0 ?? RowsAhead(first: UnsafeRawPointer(bitPattern: 64)!, stride: 0, rows: 0, rowBytes: 0)
    then = ahead.1
  }

  @inline(__always)
  mutating func step() {
    var left = linesAtOnce
    while left > 0 {
      if now.rows == 0 {
        guard let next = then else { return }
        (now, then) = (next, nil)
        continue
      }
      sn_prefetch_second_level(now.first + offset)
      left -= 1
      offset += Fetcher.line
      if offset >= now.rowBytes {
        offset = 0
        now.first += now.stride
        now.rows -= 1
      }
    }
  }
}

/// A tile from columns of a (rows adjacent, `aStride` from one to the next; packed: the number of rows) and rows
/// of b, of which what lies `ahead` numbers further on is fetched. k must not be 0.
@inline(never)
func stridedTile<Rows: ProductTile>(
  _ a: UnsafePointer<Rows.T>, _ aStride: Int, _ b: UnsafePointer<Rows.T>, _ bStride: Int, _ k: Int, _ ahead: Int,
  _ out: UnsafeMutablePointer<Rows.T>, _ outStride: Int, _ adding: Bool, _: Rows.Type
) {
  for row in 0..<tileRows {
    sn_prefetch_write(out + row * outStride)
    sn_prefetch_write(out + row * outStride + Rows.T.Vector.scalarCount)
  }
  var tile = Rows()
  // Constant distances cost no instructions, so that several terms in a row are worth their code.
  if termsAtOnce > 1 && bStride == Rows.T.tileColumns {
    let rest = k % termsAtOnce
    if aStride == tileRows {
      tile.add(k - rest, SomeTerms.self, a, tileRows, b, Rows.T.tileColumns, ahead)
    } else {
      tile.add(k - rest, SomeTerms.self, a, aStride, b, Rows.T.tileColumns, ahead)
    }
    tile.add(rest, OneTerm.self, a + (k - rest) * aStride, aStride, b + (k - rest) * bStride, bStride, ahead)
  } else {
    tile.add(k, OneTerm.self, a, aStride, b, bStride, ahead)
  }
  tile.put(out, outStride, adding: adding)
}

extension ProductTile {
  @inline(__always)
  mutating func add<Terms: TermCount>(
    _ count: Int, _: Terms.Type, _ a: UnsafePointer<T>, _ aStride: Int, _ b: UnsafePointer<T>, _ bStride: Int,
    _ ahead: Int
  ) {
    if count == 0 { return }
    var a = a, b = b
    @inline(__always)
    func fetch(_ step: Int) {
      // Rows of b that are not packed lie on pages of their own, which the processor does not prefetch.
      let row = b + (ahead + step * bStride)
      sn_prefetch(row)
      if T.tileBytes > 64 { sn_prefetch(row + T.Vector.scalarCount) }
    }
    @inline(__always)
    func addTerm(_ index: Int, _ step: Int) {
      add(row: b + step * bStride) { i in
        let a = a + (step * aStride + i)
        return (a[0], a[1], a[2], a[3], a[4], a[5])
      }
    }
    forEachTerm(from: -count, Terms.self, fetching: fetch, addTerm) { terms in
      a += terms * aStride
      b += terms * bStride
    }
  }
}

/// A tile from rows of a with adjacent elements (rows beyond `lastRow` repeat it) and rows of b. k must not be 0.
@inline(never)
func rowTile<Rows: ProductTile>(
  _ a: UnsafePointer<Rows.T>, _ aRowStride: Int, _ lastRow: Int, _ b: UnsafePointer<Rows.T>, _ bStride: Int, _ k: Int,
  _ out: UnsafeMutablePointer<Rows.T>, _ outStride: Int, _ adding: Bool, _: Rows.Type
) {
  let rows = RowPointers<Rows.T> { a + (min($0, lastRow) * aRowStride + k) }
  var tile = Rows()
  var b = b
  @inline(__always)
  func addTerm(_ index: Int, _ step: Int) { tile.add(row: b + step * bStride) { rows.six($0, index) } }
  forEachTerm(k, addTerm) { b += $0 * bStride }
  tile.put(out, outStride, adding: adding)
}

/// `out = alpha * tile + beta * out` for a part of a tile; with beta 0, out is not read.
@inline(__always)
private func merge<T: ProductScalar>(
  _ tile: UnsafePointer<T>, _ tileStride: Int, _ rows: Int, _ columns: Int, _ alpha: T, _ beta: T,
  _ out: UnsafeMutablePointer<T>, _ outStride: Int
) {
  for i in 0..<rows {
    let t = tile + i * tileStride
    let o = out + i * outStride
    if beta == 0 {
      for j in 0..<columns { o[j] = alpha * t[j] }
    } else {
      for j in 0..<columns { o[j] = alpha * t[j] + beta * o[j] }
    }
  }
}

/// Dot products of `count` (1 to 4) vectors with every row: each row is read once.
@inline(__always)
func dotRows<T: ProductScalar>(
  _ rows: UnsafeRawPointer, _ rowStride: Int, _ rowCount: Int, _ vectors: UnsafeRawPointer,
  _ vectorStride: Int, _ count: Int, _ k: Int, _ results: UnsafeMutableRawPointer, _: T.Type
) {
  typealias V = T.Vector
  let lanes = V.scalarCount
  let rows = rows.assumingMemoryBound(to: T.self)
  let x = vectors.assumingMemoryBound(to: T.self)
  let results = results.assumingMemoryBound(to: T.self)
  let s = vectorStride
  // Missing vectors repeat the last one.
  let x0 = x, x1 = x + min(1, count - 1) * s, x2 = x + min(2, count - 1) * s, x3 = x + min(3, count - 1) * s
  for row in 0..<rowCount {
    let r = rows + row * rowStride
    let out = results + row * 4
    var index = 0
    if count == 1 {
      var s0 = V(), s1 = V(), s2 = V(), s3 = V()
      while index + 4 * lanes <= k {
        multiplyAdd(&s0, load(r + index), load(x0 + index))
        multiplyAdd(&s1, load(r + index + lanes), load(x0 + index + lanes))
        multiplyAdd(&s2, load(r + index + 2 * lanes), load(x0 + index + 2 * lanes))
        multiplyAdd(&s3, load(r + index + 3 * lanes), load(x0 + index + 3 * lanes))
        index += 4 * lanes
      }
      while index + lanes <= k {
        multiplyAdd(&s0, load(r + index), load(x0 + index))
        index += lanes
      }
      var sum = ((s0 + s1) + (s2 + s3)).sum()
      while index < k {
        sum += r[index] * x0[index]
        index += 1
      }
      out[0] = sum
      continue
    }
    var a0 = V(), a1 = V(), a2 = V(), a3 = V(), b0 = V(), b1 = V(), b2 = V(), b3 = V()
    while index + 2 * lanes <= k {
      let u: V = load(r + index)
      multiplyAdd(&a0, u, load(x0 + index))
      multiplyAdd(&a1, u, load(x1 + index))
      multiplyAdd(&a2, u, load(x2 + index))
      multiplyAdd(&a3, u, load(x3 + index))
      let v: V = load(r + index + lanes)
      multiplyAdd(&b0, v, load(x0 + index + lanes))
      multiplyAdd(&b1, v, load(x1 + index + lanes))
      multiplyAdd(&b2, v, load(x2 + index + lanes))
      multiplyAdd(&b3, v, load(x3 + index + lanes))
      index += 2 * lanes
    }
    var t0 = (a0 + b0).sum(), t1 = (a1 + b1).sum(), t2 = (a2 + b2).sum(), t3 = (a3 + b3).sum()
    while index < k {
      let u = r[index]
      t0 += u * x0[index]
      t1 += u * x1[index]
      t2 += u * x2[index]
      t3 += u * x3[index]
      index += 1
    }
    out[0] = t0
    out[1] = t1
    out[2] = t2
    out[3] = t3
  }
}

/// Adds rows times their factors to the result, eight rows at a time: eight streams and one pass over the result.
@inline(__always)
func addRows<T: ProductScalar>(
  _ rows: UnsafeRawPointer, _ rowStride: Int, _ rowCount: Int, _ factors: UnsafeRawPointer, _ columns: Int,
  _ result: UnsafeMutableRawPointer, _: T.Type
) {
  typealias V = T.Vector
  let factors = factors.assumingMemoryBound(to: T.self)
  let out = result.assumingMemoryBound(to: T.self)
  var row = 0
  while row < rowCount {
    let r = rows.assumingMemoryBound(to: T.self) + row * rowStride
    let f = factors + row
    var column = 0
    if row + 8 <= rowCount {
      let f0 = f[0], f1 = f[1], f2 = f[2], f3 = f[3], f4 = f[4], f5 = f[5], f6 = f[6], f7 = f[7]
      while column + V.scalarCount <= columns {
        let p = r + column
        var even = (load(p) as V) * f0, odd = (load(p + rowStride) as V) * f1
        multiplyAdd(&even, f2, load(p + 2 * rowStride))
        multiplyAdd(&odd, f3, load(p + 3 * rowStride))
        multiplyAdd(&even, f4, load(p + 4 * rowStride))
        multiplyAdd(&odd, f5, load(p + 5 * rowStride))
        multiplyAdd(&even, f6, load(p + 6 * rowStride))
        multiplyAdd(&odd, f7, load(p + 7 * rowStride))
        store(load(out + column) + (even + odd), out + column)
        column += V.scalarCount
      }
    }
    let count = min(8, rowCount - row)
    while column < columns {
      var sum: T = 0
      for l in 0..<count { sum += f[l] * r[l * rowStride + column] }
      out[column] += sum
      column += 1
    }
    row += 8
  }
}
