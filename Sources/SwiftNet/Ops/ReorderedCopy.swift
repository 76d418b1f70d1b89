import KernelTypes

// Between two memory orders (rows and columns exchanged, channels first and last) elements are copied as transposed
// squares: both sides then read or write whole cache lines, where a plain loop touches a line for every element.

/// A dimension as both sides of a copy see it.
private struct CopyAxis {
  var size: Int
  /// Strides in elements.
  var from: Int
  var to: Int
}

/// Copies elements whose fastest dimension is another one in the target; false where a plain loop does as well.
/// Shapes and dtypes must agree.
func copyReordered(from source: Tensor, to target: Tensor) throws -> Bool {
  let size = target.dtype.size
  guard target.count >= 1024 else { return false }
  var axes: [CopyAxis] = []
  let order = target.shape.indices.filter { target.shape[$0] != 1 }
    .sorted { target.strides[$0] > target.strides[$1] }
  for d in order {
    let axis = CopyAxis(size: target.shape[d], from: source.strides[d], to: target.strides[d])
    if let last = axes.last, last.from == axis.from &* axis.size, last.to == axis.to &* axis.size {
      axes[axes.count - 1] = CopyAxis(size: last.size &* axis.size, from: axis.from, to: axis.to)
    } else {
      axes.append(axis)
    }
  }
  guard let r = axes.firstIndex(where: { $0.to == 1 }), let c = axes.firstIndex(where: { $0.from == 1 }), r != c
  else { return false }
  let (rows, columns) = (axes[r], axes[c])
  let outer = axes.indices.filter { $0 != r && $0 != c }.map { axes[$0] }
  let transpose: TransposeKernel
  switch size {
  case 8: transpose = kernels.gemm.f64.transpose
  case 4: transpose = kernels.gemm.f32.transpose
  case 2: transpose = { transposeBlock($0, $1, $2, $3, $4, $5, UInt16.self) }
  default: transpose = transposeBytes
  }
  // A block's lines on both sides stay in the first-level cache.
  let (height, width) = (64, 64)
  let (down, across) = ((rows.size + height - 1) / height, (columns.size + width - 1) / width)
  let tasks = outer.reduce(down * across) { $0 * $1.size }
  let input = try source.pointer()
  let output = try target.mutablePointer()
  parallelFor(tasks, grain: max(1, (1 << 14) / (min(rows.size, height) * min(columns.size, width)))) { first, last in
    for task in first..<last {
      let x = task % across * width
      let y = task / across % down * height
      var rest = task / across / down
      var from = y &* rows.from &+ x
      var to = x &* columns.to &+ y
      for axis in outer.reversed() {
        from = from &+ rest % axis.size &* axis.from
        to = to &+ rest % axis.size &* axis.to
        rest /= axis.size
      }
      transpose(
        input + from &* size, rows.from, min(height, rows.size - y), min(width, columns.size - x), output + to &* size,
        columns.to)
    }
  }
  return true
}

/// output[c][r] = source[r][c] for bytes, by squares of sixteen. Four times, each row is dealt out with the one eight
/// further on: r0 c0, r8 c0, r0 c1, r8 c1, …; then rows are columns.
private func transposeBytes(
  _ source: UnsafeRawPointer, _ stride: Int, _ rows: Int, _ columns: Int, _ output: UnsafeMutableRawPointer,
  _ outStride: Int
) {
  typealias Row = SIMD16<UInt8>
  let (down, across) = (rows / 16 * 16, columns / 16 * 16)
  withUnsafeTemporaryAllocation(of: Row.self, capacity: 32) { room in
    guard var square = room.baseAddress else { return }
    var other = square + 16
    for r in Swift.stride(from: 0, to: down, by: 16) {
      for c in Swift.stride(from: 0, to: across, by: 16) {
        for i in 0..<16 { square[i] = (source + ((r + i) &* stride &+ c)).loadUnaligned(as: Row.self) }
        for _ in 0..<4 {
          for i in 0..<8 {
            let (a, b) = (square[i], square[i + 8])
            var low = Row(), high = Row()
            low.evenHalf = a.lowHalf
            low.oddHalf = b.lowHalf
            high.evenHalf = a.highHalf
            high.oddHalf = b.highHalf
            other[2 * i] = low
            other[2 * i + 1] = high
          }
          swap(&square, &other)
        }
        for i in 0..<16 { (output + ((c + i) &* outStride &+ r)).storeBytes(of: square[i], as: Row.self) }
      }
    }
  }
  if across < columns {
    transposeBlock(source + across, stride, down, columns - across, output + across &* outStride, outStride, UInt8.self)
  }
  if down < rows {
    transposeBlock(source + down &* stride, stride, rows - down, columns, output + down, outStride, UInt8.self)
  }
}

/// output[c][r] = source[r][c] for small elements, whose block stays in the cache.
private func transposeBlock<T>(
  _ source: UnsafeRawPointer, _ stride: Int, _ rows: Int, _ columns: Int, _ output: UnsafeMutableRawPointer,
  _ outStride: Int, _: T.Type
) {
  let from = source.assumingMemoryBound(to: T.self), to = output.assumingMemoryBound(to: T.self)
  for c in 0..<columns {
    var place = c
    let line = to + c &* outStride
    for r in 0..<rows {
      line[r] = from[place]
      place = place &+ stride
    }
  }
}

extension ElementwiseProgram {
  /// Whether a block of so many rows, of so many columns each, is best exchanged tile by tile: a tile holds enough rows
  /// that the other side is read or written in whole cache lines.
  static func isForSquares(rows: Int, columns: Int) -> Bool { rows >= 16 && (4...64).contains(columns) }

  /// Whether elements with these strides, met in the order of a dense walk, are exchanged tile by tile.
  private static func isForSquares(_ shape: [Int], _ strides: [Int], walk: [Int]) -> Bool {
    let order = shape.indices.filter { shape[$0] != 1 }.sorted { walk[$0] < walk[$1] }
    guard let fastest = order.first, strides[fastest] > 1 else { return false }
    var rows = 1
    for d in order.dropFirst() {
      if strides[d] != rows { break }
      rows = rows &* shape[d]
    }
    return isForSquares(rows: rows, columns: shape[fastest])
  }

  /// The order in which the elements of a result are computed, as strides of a dense tensor: the operands', where all
  /// have the same and the result can be dealt out from it tile by tile; otherwise the result's own.
  func walk(shape: [Int], strides: [Int]) -> [Int] {
    var common: [Int]?
    for case .tensor(let tensor) in leaves where tensor.shape == shape && !tensor.isOneValue {
      if common == nil { common = tensor.strides } else if common != tensor.strides { return strides }
    }
    guard let common, common != strides, Shape.isDense(shape, common),
      ElementwiseProgram.isForSquares(shape, strides, walk: common)
    else { return strides }
    return common
  }

  /// Whether the elements can be computed into a tensor in one pass, whatever its order.
  func isOnePass(into target: Tensor) -> Bool {
    let walk = walk(shape: target.shape, strides: target.strides)
    return !leaves.contains { isCrossed($0, target.shape, walk: walk) }
  }

  /// Whether an operand's fastest dimension is another than that of the walk, and it is not exchanged tile by tile.
  private func isCrossed(_ leaf: ElementwiseOperand, _ shape: [Int], walk: [Int]) -> Bool {
    guard case .tensor(let tensor) = leaf, tensor.shape == shape, tensor.strides != walk, tensor.count >= 4096,
      let fastest = walk.firstIndex(of: 1), shape[fastest] >= 8, tensor.strides[fastest] >= 8
    else { return false }
    return !ElementwiseProgram.isForSquares(shape, tensor.strides, walk: walk)
  }

  /// The program with operands in the memory order in which it is walked: one whose fastest dimension is another is
  /// copied, unless it can be exchanged tile by tile.
  func reordered(shape: [Int], strides: [Int]) throws -> ElementwiseProgram {
    var result = self
    guard Shape.isDense(shape, strides) else { return self }
    for (index, leaf) in leaves.enumerated() where isCrossed(leaf, shape, walk: strides) {
      guard case .tensor(let tensor) = leaf, tensor.dtype.size >= 4,
        tensor.strides.indices.contains(where: { tensor.strides[$0] == 1 && shape[$0] >= 8 })
      else { continue }
      let copy = try Tensor(empty: shape, dtype: tensor.dtype, strides: strides)
      if try copyReordered(from: tensor, to: copy) { result.leaves[index] = .tensor(copy) }
    }
    return result
  }
}
