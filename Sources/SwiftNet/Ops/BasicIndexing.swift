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
    var own = Cut(shape, strides, offset)
    var dense = Cut(shape, requiresGrad ? Shape.contiguousStrides(shape) : strides, 0)
    var source = 0
    var expanded = false
    var name = "Alias"
    for item in items {
      switch item {
      case .at(let index):
        let size = shape[source]
        try require(
          index >= -size && index < size, .index,
          "index \(index) is out of bounds for dimension \(source) with size \(size)")
        let position = index < 0 ? index + size : index
        own.drop(source, at: position)
        dense.drop(source, at: position)
        source += 1
        name = "Select"
      case .slice(let start, let end, let step):
        try require(step > 0, .value, "step must be greater than zero")
        let size = shape[source]
        let first = Tensor.clamp(start ?? 0, size)
        let last = max(first, Tensor.clamp(end ?? size, size))
        // Steps beyond the size select the first element alone; clamping them keeps the arithmetic in range.
        let stride = min(step, max(size, 1))
        let length = (last - first + stride - 1) / stride
        own.cut(source, first, length, stride)
        dense.cut(source, first, length, stride)
        source += 1
        name = "Slice"
      case .all:
        own.keep(source)
        dense.keep(source)
        source += 1
      case .new:
        own.add()
        dense.add()
        name = "Unsqueeze"
      case .rest:
        if expanded { continue }
        expanded = true
        for _ in used..<rank {
          own.keep(source)
          dense.keep(source)
          source += 1
        }
      }
    }
    while source < rank {
      own.keep(source)
      dense.keep(source)
      source += 1
    }
    let whole = Geometry(shape: shape, strides: dense.sourceStrides, offset: 0)
    let part = dense.geometry
    return try view(name, shape: own.shape, strides: own.strides, offset: own.offset) {
      [try $0.grad.scattered(part, into: whole)]
    }
  }

  private static func clamp(_ value: Int, _ size: Int) -> Int {
    let counted = value < 0 ? value &+ size : value
    return max(0, min(counted, size))
  }

  /// A view in the making.
  private struct Cut {
    let sourceShape: [Int]
    let sourceStrides: [Int]
    var shape: [Int] = []
    var strides: [Int] = []
    var offset: Int

    var geometry: Geometry { Geometry(shape: shape, strides: strides, offset: offset) }

    init(_ shape: [Int], _ strides: [Int], _ offset: Int) {
      sourceShape = shape
      sourceStrides = strides
      self.offset = offset
    }

    mutating func drop(_ d: Int, at position: Int) { offset += position * sourceStrides[d] }

    mutating func cut(_ d: Int, _ first: Int, _ length: Int, _ step: Int) {
      if length > 0 { offset += first * sourceStrides[d] }
      shape.append(length)
      strides.append(sourceStrides[d] &* step)
    }

    mutating func keep(_ d: Int) {
      shape.append(sourceShape[d])
      strides.append(sourceStrides[d])
    }

    mutating func add() {
      shape.append(1)
      strides.append(1)
    }
  }
}
