/// Where the elements of a tensor lie in its storage.
struct Geometry {
  var shape: [Int]
  var strides: [Int]
  var offset: Int
}

extension Tensor {
  var geometry: Geometry { Geometry(shape: shape, strides: strides, offset: offset) }

  /// First and one past the last element that a geometry touches.
  static func extent(_ geometry: Geometry) -> Range<Int> {
    if geometry.shape.contains(0) { return geometry.offset..<geometry.offset }
    var low = geometry.offset
    var high = geometry.offset
    for (size, stride) in zip(geometry.shape, geometry.strides) {
      if stride < 0 { low += (size - 1) * stride } else { high += (size - 1) * stride }
    }
    return low..<high + 1
  }

  /// A tensor of the base's shape over memory of its own that also covers the view; the memory is zero.
  private static func buffer(_ base: Geometry, _ view: Geometry, dtype: DType) throws -> (Tensor, Tensor) {
    let a = extent(base)
    let b = extent(view)
    let low = min(a.lowerBound, b.lowerBound)
    let whole = try Tensor.zeros([max(a.upperBound, b.upperBound) - low], dtype: dtype)
    let asBase = try whole.alias(
      shape: base.shape, strides: base.strides, offset: base.offset - low, count: try Shape.count(base.shape))
    let asView = try whole.alias(
      shape: view.shape, strides: view.strides, offset: view.offset - low, count: try Shape.count(view.shape))
    return (asBase, asView)
  }

  /// A part of this tensor, which is row-major from 0.
  func part(_ part: Geometry) throws -> Tensor {
    try alias(shape: part.shape, strides: part.strides, offset: part.offset, count: try Shape.count(part.shape))
  }

  /// The elements of this tensor, which has the base's shape, that a view of the base selects.
  func read(_ view: Geometry, of base: Geometry) throws -> Tensor {
    let result = try noGrad {
      let (asBase, asView) = try Tensor.buffer(base, view, dtype: dtype)
      try copyElements(from: self, to: asBase)
      return try asView.clone()
    }
    return try result.recorded("AsStridedRead", self) { [try $0.grad.scattered(view, into: base)] }
  }

  /// The transpose of `read`: this tensor, of the view's shape, summed into zeros of the base's shape.
  func scattered(_ view: Geometry, into base: Geometry) throws -> Tensor {
    let result = try noGrad {
      let (asBase, asView) = try Tensor.buffer(base, view, dtype: dtype)
      try addElements(of: self, to: asView)
      // Where the base fills the buffer it is the result; only a base with gaps has to be copied out.
      return try asBase.storage.byteCount == asBase.count * asBase.dtype.size ? asBase : try asBase.clone()
    }
    return try result.recorded("AsStridedScatter", self) { [try $0.grad.read(view, of: base)] }
  }

  /// This tensor, of the base's shape, with zeros where the view lies.
  func zeroed(at view: Geometry, of base: Geometry) throws -> Tensor {
    let keep = try noGrad {
      let (asBase, asView) = try Tensor.buffer(base, view, dtype: .bool)
      try asView.fillUnrecorded(true)
      return try asBase.clone()
    }
    return try whereSelect(keep, .scalar(.float(0)), .tensor(self)).to(dtype)
  }
}

/// Adds element by element; where the strides of `target` make elements coincide, all are added.
private func addElements(of source: Tensor, to target: Tensor) throws {
  let overlapping = zip(target.shape, target.strides).contains { $0 > 1 && $1 == 0 } || !target.isNonOverlapping
  if !overlapping { return try copyElements(from: source, to: target) }
  let flat = try source.contiguous()
  let index = try Tensor.stridedPositions(target.geometry)
  let memory = try target.alias(shape: [target.memory.byteCount / target.dtype.size], strides: [1], offset: 0)
  memory.count = memory.shape[0]
  try memory.addAt(index: index, source: flat)
}

func asStridedBackward(base: Geometry, view: Geometry) -> GradNode.Backward {
  { [try $0.grad.scattered(view, into: base)] }
}

extension Tensor {
  /// Whether no two indices reach the same element. May say false for a tensor that does not overlap, never true
  /// for one that does.
  var isNonOverlapping: Bool {
    var order: [(stride: Int, size: Int)] = []
    for d in shape.indices where shape[d] > 1 { order.append((abs(strides[d]), shape[d])) }
    order.sort { $0.stride < $1.stride }
    var reach = 0
    for (stride, size) in order {
      if stride <= reach { return false }
      reach += stride * (size - 1)
    }
    return true
  }

  /// Storage positions of all elements, row-major, as an int64 tensor.
  static func stridedPositions(_ geometry: Geometry) throws -> Tensor {
    let result = try Tensor(empty: geometry.shape, dtype: .int64)
    let out = try result.mutablePointer().assumingMemoryBound(to: Int64.self)
    var index = [Int](repeating: 0, count: geometry.shape.count)
    var position = geometry.offset
    for i in 0..<result.count {
      out[i] = Int64(position)
      var d = geometry.shape.count - 1
      while d >= 0 {
        index[d] += 1
        position += geometry.strides[d]
        if index[d] < geometry.shape[d] { break }
        position -= index[d] * geometry.strides[d]
        index[d] = 0
        d -= 1
      }
    }
    return result
  }

  /// memory[index[i]] += source[i] for a one-dimensional tensor.
  fileprivate func addAt(index: Tensor, source: Tensor) throws {
    let positions = try index.pointer().assumingMemoryBound(to: Int64.self)
    let (wide, summands) = try noGrad { (try self.to(.float64), try source.to(.float64)) }
    let values = try summands.pointer().assumingMemoryBound(to: Double.self)
    let sums = try wide.mutablePointer().assumingMemoryBound(to: Double.self)
    for i in 0..<index.count { sums[Int(positions[i])] += values[i] }
    withExtendedLifetime((index, summands)) {}
    try copyElements(from: wide, to: self)
  }
}
