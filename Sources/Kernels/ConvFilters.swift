import CIntrinsics
import KernelTypes

/// Packs filters into weight panels [column block][tap][run][tile columns], see `FilterLayout`.
@inline(__always)
func packFilters<T: ProductScalar>(
  _ layout: FilterLayout, _ weight: UnsafeRawPointer, _ firstPanel: Int, _ panels: Int,
  _ output: UnsafeMutableRawPointer, _: T.Type
) {
  let columns = T.tileColumns
  let lanes = T.Vector.scalarCount
  let weight = weight.assumingMemoryBound(to: T.self)
  let x = layout
  let isWhole = x.merged == 1 && x.tapStride == 1 && lanes <= x.taps
  for panel in firstPanel..<firstPanel + panels {
    let out = output.assumingMemoryBound(to: T.self) + panel * x.taps * x.run * columns
    let first = panel * columns
    let width = min(columns, x.columns - first)
    if isWhole && width == columns {
      transposeTaps(x, weight + first * x.columnStride, out)
      continue
    }
    if x.merged == 1 && x.runStride == x.taps && x.tapStride == 1 && width == columns {
      // The numbers of one column lie in a row: transpose squares of them, then deal out the rows to the taps.
      let length = x.run * x.taps
      let from = weight + first * x.columnStride
      TileBuffer<T>.with { square in
        var q = 0
        while q + lanes <= length {
          // Too many streams for the processor to prefetch by itself.
          if q + 4 * lanes <= length {
            for i in 0..<columns { sn_prefetch(from + i * x.columnStride + (q + 3 * lanes)) }
          }
          for half in 0..<2 {
            transposeSquare(from + half * lanes * x.columnStride + q, x.columnStride, square, lanes)
            var tap = q % x.taps
            var index = q / x.taps
            for i in 0..<lanes {
              store(
                load(square + i * lanes) as T.Vector, out + (tap * x.run + index) * columns + half * lanes)
              tap += 1
              if tap == x.taps {
                tap = 0
                index += 1
              }
            }
          }
          q += lanes
        }
        while q < length {
          let to = out + (q % x.taps * x.run + q / x.taps) * columns
          for i in 0..<columns { to[i] = from[i * x.columnStride + q] }
          q += 1
        }
      }
      continue
    }
    if x.merged == 1 && x.columnStride == x.taps && x.tapStride == 1 && width == columns {
      // The numbers of one element of the run lie in a row, taps innermost.
      for r in 0..<x.run {
        let from = weight + first * x.columnStride + r * x.runStride
        if r + 4 < x.run {
          var ahead = from + 4 * x.runStride
          let end = ahead + columns * x.taps
          while ahead < end {
            sn_prefetch(ahead)
            ahead += 64 / MemoryLayout<T>.stride
          }
        }
        for tap in 0..<x.taps {
          let to = out + (tap * x.run + r) * columns
          for i in 0..<columns { to[i] = from[i * x.taps + tap] }
        }
      }
      continue
    }
    for tap in 0..<x.taps {
      for r in 0..<x.run {
        let to = out + (tap * x.run + r) * columns
        for i in width..<columns { to[i] = 0 }
        if x.merged == 1 {
          let from = weight + first * x.columnStride + r * x.runStride + tap * x.tapStride
          for i in 0..<width { to[i] = from[i * x.columnStride] }
        } else {
          for i in 0..<width { to[i] = mergedElement(x, weight, first + i, r, tap) }
        }
      }
    }
  }
}

/// `transposeBlock` of as many rows as columns. (Not inlined: it is large, and called from several loops.)
@inline(never)
private func transposeSquare<T: ProductScalar>(
  _ source: UnsafePointer<T>, _ stride: Int, _ out: UnsafeMutablePointer<T>, _ outStride: Int
) {
  transposeBlock(source, stride, T.Vector.scalarCount, out, outStride)
}

/// A panel of filters of which a column has at least a vector of taps, which follow each other: a square of taps by columns
/// at a time, then the few taps that are left.
@inline(__always)
private func transposeTaps<T: ProductScalar>(
  _ x: FilterLayout, _ weight: UnsafePointer<T>, _ out: UnsafeMutablePointer<T>
) {
  let columns = T.tileColumns, lanes = T.Vector.scalarCount
  let squares = x.taps / lanes * lanes
  // Columns that follow each other without a gap are one stretch for the processor's own fetching, but a short one.
  let isStretch = x.columnStride == x.taps
  let tapSize = x.run * columns
  for r in 0..<x.run {
    let from = weight + r * x.runStride, to = out + r * columns
    if isStretch {
      if r + 4 < x.run {
        let ahead = from + 4 * x.runStride
        for i in stride(from: 0, to: columns * x.taps, by: 64 / MemoryLayout<T>.stride) { sn_prefetch(ahead + i) }
      }
    } else if r % 2 == 0 && r + 4 < x.run {
      // Too many streams for the processor to fetch by itself.
      for i in 0..<columns { sn_prefetch(from + (i * x.columnStride + 4 * x.runStride)) }
    }
    for tap in stride(from: 0, to: squares, by: lanes) {
      for half in 0..<2 {
        transposeSquare(
          from + (half * lanes * x.columnStride + tap), x.columnStride, to + (tap * tapSize + half * lanes), tapSize)
      }
    }
    for tap in squares..<x.taps {
      for i in 0..<columns { to[tap * tapSize + i] = from[i * x.columnStride + tap] }
    }
  }
}

/// An element of a block-diagonal filter that stands for several groups.
@inline(__always)
private func mergedElement<T: ProductScalar>(
  _ x: FilterLayout, _ weight: UnsafePointer<T>, _ column: Int, _ r: Int, _ tap: Int
) -> T {
  let groupColumns = x.columns / x.merged, groupRun = x.run / x.merged
  let group = column / groupColumns
  if r / groupRun != group { return 0 }
  return weight[
    group * x.groupStride + column % groupColumns * x.columnStride + r % groupRun * x.runStride
      + tap * x.tapStride]
}

/// The way back for a weight gradient: panels [column block][tap][padded run][tile columns], where a stretch may
/// hold several taps of the innermost axis, to filters.
@inline(__always)
func unpackFilters<T: ProductScalar>(
  _ layout: FilterLayout, _ panels: UnsafeRawPointer, _ panel: Int, stretch: Int, paddedRun: Int,
  _ weight: UnsafeMutableRawPointer, _: T.Type
) {
  let columns = T.tileColumns
  let lanes = T.Vector.scalarCount
  let x = layout
  let from = panels.assumingMemoryBound(to: T.self)
  let weight = weight.assumingMemoryBound(to: T.self)
  let first = panel * columns
  let width = min(columns, x.columns - first)
  let groupColumns = x.columns / x.merged, groupRun = x.run / x.merged
  if x.merged > 1 {
    for tap in 0..<x.taps {
      let rows = from + (tap / stretch * paddedRun + tap % stretch * x.run) * columns
      for i in 0..<width {
        let group = (first + i) / groupColumns
        let to = weight + group * x.groupStride + (first + i) % groupColumns * x.columnStride
        for r in 0..<groupRun {
          to[r * x.runStride + tap * x.tapStride] = rows[(group * groupRun + r) * columns + i]
        }
      }
    }
    return
  }
  if lanes <= x.taps && x.tapStride == 1 && stretch == 1 && width == columns {
    // Squares of taps by columns, then the few taps that are left.
    let squares = x.taps / lanes * lanes
    let tapSize = paddedRun * columns
    for r in 0..<x.run {
      let rows = from + r * columns, to = weight + (first * x.columnStride + r * x.runStride)
      for tap in stride(from: 0, to: squares, by: lanes) {
        for half in 0..<2 {
          transposeSquare(
            rows + (tap * tapSize + half * lanes), tapSize, to + (half * lanes * x.columnStride + tap), x.columnStride)
        }
      }
      for tap in squares..<x.taps {
        for i in 0..<columns { to[i * x.columnStride + tap] = rows[tap * tapSize + i] }
      }
    }
    return
  }
  if x.runStride == x.taps && x.tapStride == 1 && width == columns {
    // The numbers of one column lie in a row: squares of them, collected from the taps.
    let length = x.run * x.taps
    let to = weight + first * x.columnStride
    @inline(__always)
    func row(_ tap: Int, _ r: Int) -> UnsafePointer<T> {
      from + (tap / stretch * paddedRun + tap % stretch * x.run + r) * columns
    }
    TileBuffer<T>.with { square in
      var q = 0
      while q + lanes <= length {
        for half in 0..<2 {
          var (r, tap) = q.quotientAndRemainder(dividingBy: x.taps)
          for i in 0..<lanes {
            store(load(row(tap, r) + half * lanes) as T.Vector, square + i * lanes)
            tap += 1
            if tap == x.taps { (r, tap) = (r + 1, 0) }
          }
          transposeSquare(square, lanes, to + (half * lanes * x.columnStride + q), x.columnStride)
        }
        q += lanes
      }
      while q < length {
        let from = row(q % x.taps, q / x.taps)
        for i in 0..<columns { to[i * x.columnStride + q] = from[i] }
        q += 1
      }
    }
    return
  }
  TileBuffer<T>.with { square in
    // All taps of a few elements of the run at a time: they share cache lines of the filters.
    var r = 0
    while r < x.run {
      let height = min(lanes, x.run - r)
      for tap in 0..<x.taps {
        let rows = from + (tap / stretch * paddedRun + tap % stretch * x.run + r) * columns
        let to = weight + first * x.columnStride + tap * x.tapStride + r * x.runStride
        if width == columns && height == lanes {
          for half in 0..<2 {
            transposeSquare(rows + half * lanes, columns, square, lanes)
            for i in 0..<lanes {
              let o = to + (half * lanes + i) * x.columnStride
              for k in 0..<lanes { o[k * x.runStride] = square[i * lanes + k] }
            }
          }
        } else {
          for k in 0..<height {
            for i in 0..<width { to[i * x.columnStride + k * x.runStride] = rows[k * columns + i] }
          }
        }
      }
      r += lanes
    }
  }
}
