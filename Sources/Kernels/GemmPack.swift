import CIntrinsics
import KernelTypes

/// Packs items (rows of a, columns of b) into panels [item / width][k][width]; what stands for missing items is not used.
@inline(__always)
func packPanels<T: ProductScalar>(
  _ source: UnsafeRawPointer, _ itemStride: Int, _ kStride: Int, _ items: Int, _ k: Int,
  _ output: UnsafeMutableRawPointer, width: Int, _: T.Type
) {
  let source = source.assumingMemoryBound(to: T.self)
  let out = output.assumingMemoryBound(to: T.self)
  let full = items / width
  let rest = items % width
  if rest > 0 {
    let panel = out + full * width * k
    let from = source + full * width * itemStride
    let done = kStride == 1 ? transposePanel(from, itemStride, rest, width, k, panel) : 0
    for l in done..<k {
      let row = from + l * kStride, o = panel + l * width
      for i in 0..<rest { o[i] = row[i * itemStride] }
      for i in rest..<width { o[i] = 0 }
    }
  }
  if itemStride == 1 {
    // Rows of the source from end to end. Each begins on another page, which the processor does not prefetch.
    let line = 64 / MemoryLayout<T>.stride
    // Two vectors for 6 or 12 numbers reach into the next row of the panel, which comes later.
    let lanes = T.Vector.scalarCount, reach = (width + lanes - 1) / lanes * lanes
    let wide = items >= reach ? min(full, (items - reach) / width + 1) : 0
    for l in 0..<k {
      let row = source + l * kStride, o = out + l * width
      if l + 8 < k {
        for i in stride(from: 0, to: full * width, by: line) { sn_prefetch(row + (8 * kStride + i)) }
      }
      let vectors = l + 1 < k ? wide : 0
      for panel in 0..<vectors { copyRow(row + panel * width, o + panel * width * k, reach) }
      for panel in vectors..<full { copyRow(row + panel * width, o + panel * width * k, width) }
    }
    return
  }
  for panel in 0..<full {
    let from = source + panel * width * itemStride
    let to = out + panel * width * k
    let done = kStride == 1 ? transposePanel(from, itemStride, width, width, k, to) : 0
    for l in done..<k {
      let row = from + l * kStride, o = to + l * width
      for i in 0..<width { o[i] = row[i * itemStride] }
    }
  }
}

@inline(__always)
private func copyRow<T: ProductScalar>(_ from: UnsafePointer<T>, _ to: UnsafeMutablePointer<T>, _ width: Int) {
  let lanes = T.Vector.scalarCount
  var i = 0
  while i + lanes <= width {
    store(load(from + i) as T.Vector, to + i)
    i += lanes
  }
  while i < width {
    to[i] = from[i]
    i += 1
  }
}

/// Writes source[row][column] to out[column][row] in square blocks, for as many columns as that works; returns how
/// many. Columns of the result have room for `width` rows; missing rows repeat the last one. A block that is higher than
/// the room spills into the next column, which is written later.
@inline(__always)
private func transposePanel<T: ProductScalar>(
  _ source: UnsafePointer<T>, _ stride: Int, _ rows: Int, _ width: Int, _ columns: Int, _ out: UnsafeMutablePointer<T>
) -> Int {
  let lanes = T.Vector.scalarCount, line = 64 / MemoryLayout<T>.stride
  let done = max(0, columns - 1) / lanes * lanes
  var row = 0
  while row < width {
    let from = source + min(row, rows - 1) * stride
    let valid = max(1, min(lanes, rows - row))
    let isBlock = row == 0 || row + lanes <= width
    var column = 0
    while column < done {
      // Too many streams for the processor to prefetch by itself.
      if column % line == 0 {
        for i in 0..<valid { sn_prefetch(from + (i * stride + column + 4 * line)) }
      }
      if isBlock {
        transposeBlock(from + column, stride, valid, out + column * width + row, width)
      } else {
        for c in column..<column + lanes {
          for r in row..<width { out[c * width + r] = source[min(r, rows - 1) * stride + c] }
        }
      }
      column += lanes
    }
    row += lanes
  }
  return done
}

/// Transposes a square block in registers. Rows from `valid` on are read as the last valid one.
/// Each stage riffles the first half of the vectors with the second; after log2(lanes) stages every vector
/// holds a column.
@inline(__always)
func transposeBlock<T: ProductScalar>(
  _ source: UnsafePointer<T>, _ stride: Int, _ valid: Int, _ out: UnsafeMutablePointer<T>, _ outStride: Int
) {
  typealias V = T.Vector
  let lanes = V.scalarCount
  @inline(__always) func row(_ i: Int) -> V { load(source + min(i, valid - 1) * stride) }
  @inline(__always) func put(_ v: V, _ i: Int) { store(v, out + i * outStride) }
  if lanes == 16 {
    var v0 = row(0), v1 = row(1), v2 = row(2), v3 = row(3), v4 = row(4), v5 = row(5), v6 = row(6), v7 = row(7)
    var v8 = row(8), v9 = row(9), va = row(10), vb = row(11), vc = row(12), vd = row(13), ve = row(14)
    var vf = row(15)
    for _ in 0..<4 {
      let (a0, a1) = T.riffle(v0, v8), (a2, a3) = T.riffle(v1, v9), (a4, a5) = T.riffle(v2, va)
      let (a6, a7) = T.riffle(v3, vb), (a8, a9) = T.riffle(v4, vc), (aa, ab) = T.riffle(v5, vd)
      let (ac, ad) = T.riffle(v6, ve), (ae, af) = T.riffle(v7, vf)
      (v0, v1, v2, v3, v4, v5, v6, v7) = (a0, a1, a2, a3, a4, a5, a6, a7)
      (v8, v9, va, vb, vc, vd, ve, vf) = (a8, a9, aa, ab, ac, ad, ae, af)
    }
    put(v0, 0)
    put(v1, 1)
    put(v2, 2)
    put(v3, 3)
    put(v4, 4)
    put(v5, 5)
    put(v6, 6)
    put(v7, 7)
    put(v8, 8)
    put(v9, 9)
    put(va, 10)
    put(vb, 11)
    put(vc, 12)
    put(vd, 13)
    put(ve, 14)
    put(vf, 15)
  } else if lanes == 8 {
    var v0 = row(0), v1 = row(1), v2 = row(2), v3 = row(3), v4 = row(4), v5 = row(5), v6 = row(6), v7 = row(7)
    for _ in 0..<3 {
      let (a0, a1) = T.riffle(v0, v4), (a2, a3) = T.riffle(v1, v5), (a4, a5) = T.riffle(v2, v6)
      let (a6, a7) = T.riffle(v3, v7)
      (v0, v1, v2, v3, v4, v5, v6, v7) = (a0, a1, a2, a3, a4, a5, a6, a7)
    }
    put(v0, 0)
    put(v1, 1)
    put(v2, 2)
    put(v3, 3)
    put(v4, 4)
    put(v5, 5)
    put(v6, 6)
    put(v7, 7)
  } else if lanes == 4 {
    var v0 = row(0), v1 = row(1), v2 = row(2), v3 = row(3)
    for _ in 0..<2 {
      let (a0, a1) = T.riffle(v0, v2), (a2, a3) = T.riffle(v1, v3)
      (v0, v1, v2, v3) = (a0, a1, a2, a3)
    }
    put(v0, 0)
    put(v1, 1)
    put(v2, 2)
    put(v3, 3)
  } else {
    let (v0, v1) = T.riffle(row(0), row(1))
    put(v0, 0)
    put(v1, 1)
  }
}

/// output[c][r] = source[r][c]; strides in elements.
@inline(__always)
func transposeMatrix<T: ProductScalar>(
  _ source: UnsafeRawPointer, _ stride: Int, _ rows: Int, _ columns: Int, _ output: UnsafeMutableRawPointer,
  _ outStride: Int, _: T.Type
) {
  let lanes = T.Vector.scalarCount
  let source = source.assumingMemoryBound(to: T.self)
  let out = output.assumingMemoryBound(to: T.self)
  var row = 0
  while row < rows {
    let height = min(lanes, rows - row)
    var column = 0
    while column < columns {
      let width = min(lanes, columns - column)
      let from = source + row * stride + column, to = out + column * outStride + row
      if height == lanes && width == lanes {
        // Every row of the source and of the result is a stream of its own.
        for i in 0..<lanes {
          sn_prefetch(from + (i * stride + 8 * lanes))
          sn_prefetch_write(to + (i * outStride + 4 * lanes))
        }
        transposeBlock(from, stride, lanes, to, outStride)
      } else if width == lanes && 2 * height > lanes && outStride == height && column + 2 * lanes <= columns {
        // What is stored behind the last row belongs to the columns to come.
        transposeBlock(from, stride, height, to, outStride)
      } else {
        for c in 0..<width {
          for r in 0..<height { to[c * outStride + r] = from[r * stride + c] }
        }
      }
      column += lanes
    }
    row += lanes
  }
}
