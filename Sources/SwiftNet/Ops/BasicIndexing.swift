/// Indexing that gives a view: integers, slices, new dimensions.
public enum BasicIndex {
  /// One position; the dimension disappears.
  case at(Int)
  /// Positions start, start + step, … before end, clamped as Python clamps a slice.
  case slice(Int?, Int?, step: Int)
  /// The dimension as it is.
  case all
  /// A new dimension of size one.
  case new
  /// As many whole dimensions as the other entries leave.
  case rest

  /// PyTorch's name of the node for the last entry that changes something.
  fileprivate static func name(_ items: [BasicIndex]) -> String {
    for item in items.reversed() {
      switch item {
      case .at: return "Select"
      case .slice: return "Slice"
      case .new: return "Unsqueeze"
      case .all, .rest: continue
      }
    }
    return "Alias"
  }
}

extension Tensor {
  /// The view that a list of basic indices selects; dimensions not mentioned stay whole.
  public func basicIndex(_ items: [BasicIndex]) throws -> Tensor {
    var used = 0
    for item in items {
      switch item {
      case .at, .slice, .all: used += 1
      case .new, .rest: break
      }
    }
    try require(
      used == 0 || rank > 0, .index,
      "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to convert a 0-dim "
        + "tensor to a number")
    try require(used <= rank, .index, "too many indices for tensor of dimension \(rank)")
    let own = try cut(items, strides, offset, whole: rank - used)
    if !needsRecording([self]) {
      return try view("Slice", shape: own.shape, strides: own.strides, offset: own.offset) { [try $0.grad] }
    }
    // Backward maps through the shape laid out row-major, whatever the strides of the input.
    let dense = Shape.contiguousStrides(shape)
    let whole = Geometry(shape: shape, strides: dense, offset: 0)
    let part = try cut(items, dense, 0, whole: rank - used)
    return try view(BasicIndex.name(items), shape: own.shape, strides: own.strides, offset: own.offset) {
      try $0.scattered(part, into: whole)
    }
  }

  /// The view of one position of the first dimension, without a list.
  public func row(_ position: Int) throws -> Tensor {
    rank > 0 ? try select(0, position) : try basicIndex([.at(position)])
  }

  /// The view of some positions of the first dimension: the most common index, without a list.
  public func sliced(_ start: Int?, _ end: Int?, step: Int) throws -> Tensor {
    guard rank > 0, step > 0 else { return try basicIndex([.slice(start, end, step: step)]) }
    let size = shape[0]
    let first = Tensor.clamp(start ?? 0, size)
    let last = max(first, Tensor.clamp(end ?? size, size))
    let stride = min(step, max(size, 1))
    let length = (last - first + stride - 1) / stride
    var (partShape, partStrides) = (shape, strides)
    partShape[0] = length
    if stride != 1 { partStrides[0] = strides[0] &* stride }
    let offset = length > 0 ? self.offset + first * strides[0] : self.offset
    let result = try alias(
      shape: partShape, strides: partStrides, offset: offset, count: size == 0 ? 0 : count / size * length)
    if autograd == nil { return try markView(result, "Slice") { [try $0.grad] } }
    let whole = shape
    return try markView(result, "Slice") { context in
      let grad = try context.grad
      let dense = Shape.contiguousStrides(whole)
      var part = Geometry(shape: grad.shape, strides: dense, offset: length > 0 ? first * dense[0] : 0)
      part.strides[0] = dense[0] &* stride
      return try context.scattered(part, into: Geometry(shape: whole, strides: dense, offset: 0))
    }
  }

  /// Where the selected elements lie; `whole` dimensions are left for `rest`.
  private func cut(_ items: [BasicIndex], _ strides: [Int], _ offset: Int, whole: Int) throws -> Geometry {
    var result = Geometry(shape: [], strides: [], offset: offset)
    result.shape.reserveCapacity(rank + 1)
    result.strides.reserveCapacity(rank + 1)
    var source = 0
    var expanded = false
    for item in items {
      switch item {
      case .at(let index):
        let size = shape[source]
        try require(
          index >= -size && index < size, .index,
          "index \(index) is out of bounds for dimension \(source) with size \(size)")
        result.offset += (index < 0 ? index + size : index) * strides[source]
        source += 1
      case .slice(let start, let end, let step):
        try require(step > 0, .value, "step must be greater than zero")
        let size = shape[source]
        let first = Tensor.clamp(start ?? 0, size)
        let last = max(first, Tensor.clamp(end ?? size, size))
        // Steps beyond the size select the first element alone; clamping them keeps the arithmetic in range.
        let stride = min(step, max(size, 1))
        let length = (last - first + stride - 1) / stride
        if length > 0 { result.offset += first * strides[source] }
        result.shape.append(length)
        result.strides.append(strides[source] &* stride)
        source += 1
      case .all:
        result.shape.append(shape[source])
        result.strides.append(strides[source])
        source += 1
      case .new:
        result.shape.append(1)
        result.strides.append(1)
      case .rest:
        if expanded { continue }
        expanded = true
        for _ in 0..<whole {
          result.shape.append(shape[source])
          result.strides.append(strides[source])
          source += 1
        }
      }
    }
    result.shape += shape[source...]
    result.strides += strides[source...]
    return result
  }

  private static func clamp(_ value: Int, _ size: Int) -> Int {
    let counted = value < 0 ? value &+ size : value
    return max(0, min(counted, size))
  }
}
