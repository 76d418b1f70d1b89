/// Operations that give another view of the same memory. Each is a choice of shape, strides and offset; backward
/// applies the inverse to the gradient.
extension Tensor {
  /// A differentiable view: changes in place through it are seen by this tensor's history.
  func view(
    _ name: @autoclosure () -> String, shape: [Int], strides: [Int], offset: Int? = nil,
    backward: @autoclosure () -> GradNode.Backward
  ) throws -> Tensor {
    let result = try alias(shape: shape, strides: strides, offset: offset, count: try Shape.count(shape))
    return try markView(result, name(), backward: backward())
  }

  func markView(
    _ result: Tensor, _ name: @autoclosure () -> String, backward: @autoclosure () -> GradNode.Backward
  ) throws -> Tensor {
    result.isInference = isInference
    if !dtype.isFloatingPoint || !ThreadState.current.isGradEnabled { return result }
    let meta = result.meta
    // A leaf that requires a gradient is a base of its own, even if it is a view: changes stop there.
    meta.base = autograd?.requiresGrad == true ? self : autograd?.base ?? self
    meta.baseSequence = meta.base?.historySequence ?? -1
    if let edge = gradEdge { result.record(name(), ShortList(edge), saved: ShortList(), backward: backward()) }
    return result
  }

  /// Another shape over the same elements. Where the strides do not allow a view because an operation has laid out its
  /// result in an order of its own, the elements are copied; elsewhere it is an error.
  public func view(_ shape: [Int]) throws -> Tensor {
    let target = try inferredShape(shape)
    if let strides = Tensor.viewStrides(self.shape, self.strides, target) { return try reshaped(target, strides) }
    try require(
      memory.isArranged,
      "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
        + "contiguous subspaces). Use .reshape(...) instead.")
    return try reshape(shape)
  }

  private func reshaped(_ target: [Int], _ strides: [Int]) throws -> Tensor {
    let source = shape
    let result = try alias(shape: target, strides: strides)
    return try markView(result, "View") { [try $0.grad.reshape(source)] }
  }

  /// Another shape over the same elements: a view where possible, otherwise a copy.
  public func reshape(_ shape: [Int]) throws -> Tensor {
    let target = try inferredShape(shape)
    let source = self.shape
    if let strides = Tensor.viewStrides(self.shape, self.strides, target) { return try reshaped(target, strides) }
    let copy = try noGrad { try contiguous() }.alias(
      shape: target, strides: Shape.contiguousStrides(target), offset: 0, count: count)
    return try copy.recorded("View", self) { [try $0.grad.reshape(source)] }
  }

  /// The same bytes as elements of another dtype. Sizes may differ where the last dimension is contiguous.
  public func view(as dtype: DType) throws -> Tensor {
    let (from, to) = (self.dtype.size, dtype.size)
    var shape = self.shape
    var strides = self.strides
    var offset = self.offset
    if from != to {
      try require(
        rank > 0,
        "self.dim() cannot be 0 to view \(self.dtype.name) as \(dtype.name) (different element sizes)")
      try require(
        strides[rank - 1] == 1 || shape[rank - 1] <= 1,
        "self.stride(-1) must be 1 to view \(self.dtype.name) as \(dtype.name) (different element sizes), but got "
          + "\(strides[rank - 1])")
      if to < from {
        let ratio = from / to
        for d in shape.indices.dropLast() { strides[d] = strides[d] &* ratio }
        shape[rank - 1] = shape[rank - 1] &* ratio
        offset *= ratio
      } else {
        let ratio = to / from
        let divides = shape[rank - 1] % ratio == 0 && offset % ratio == 0
        try require(
          divides && strides.dropLast().allSatisfy { $0 % ratio == 0 },
          "self.size(-1) must be divisible by \(ratio) to view \(self.dtype.name) as \(dtype.name) (different element "
            + "sizes), but got \(shape[rank - 1])")
        for d in shape.indices.dropLast() { strides[d] /= ratio }
        shape[rank - 1] /= ratio
        offset /= ratio
      }
      strides[rank - 1] = 1
    }
    return Tensor(
      storage: memory, dtype: dtype, shape: shape, strides: strides, offset: offset,
      count: try Shape.count(shape))
  }

  /// Whether `view` would share memory.
  public func canView(_ shape: [Int]) throws -> Bool {
    Tensor.viewStrides(self.shape, strides, try inferredShape(shape)) != nil
  }

  /// Replaces one -1 by the size that fits.
  func inferredShape(_ shape: [Int]) throws -> [Int] {
    var result = shape
    var unknown: Int?
    var known = 1
    for (d, size) in shape.enumerated() {
      if size == -1 {
        try require(unknown == nil, "only one dimension can be inferred")
        unknown = d
      } else {
        try require(size >= 0, "invalid shape dimension \(size)")
        let (product, overflow) = known.multipliedReportingOverflow(by: size)
        try require(!overflow, "shape '\(Shape.describe(shape))' is invalid for input of size \(count)")
        known = product
      }
    }
    if let unknown {
      try require(
        known != 0,
        "cannot reshape tensor of 0 elements into shape \(Shape.describe(shape)) because the unspecified dimension "
          + "size -1 can be any value and is ambiguous")
      try require(
        count % known == 0, "shape '\(Shape.describe(shape))' is invalid for input of size \(count)")
      result[unknown] = count / known
    } else {
      try require(known == count, "shape '\(Shape.describe(shape))' is invalid for input of size \(count)")
    }
    return result
  }

  /// Strides that show the same elements in another shape, or nil if there are none.
  static func viewStrides(_ shape: [Int], _ strides: [Int], _ target: [Int]) -> [Int]? {
    if shape == target { return strides }
    if target.contains(0) || Shape.isContiguous(shape, strides) { return Shape.contiguousStrides(target) }
    // Walk both shapes from the back: each run of dimensions that is contiguous in memory may be cut anew.
    var result = [Int](repeating: 1, count: target.count)
    var t = target.count - 1
    var d = shape.count - 1
    while d >= 0 {
      var run = shape[d]
      let unit = strides[d]
      while d > 0, shape[d - 1] == 1 || strides[d - 1] == unit &* run {
        d -= 1
        run = run &* shape[d]
      }
      if run == 1 {
        d -= 1
        continue
      }
      var left = run
      while t >= 0, left > 1 || target[t] == 1 {
        if left % target[t] != 0 { return nil }
        result[t] = unit &* (run / left)
        left /= target[t]
        t -= 1
      }
      if left != 1 { return nil }
      d -= 1
    }
    while t >= 0 {
      if target[t] != 1 { return nil }
      t -= 1
    }
    return result
  }

  public func permute(_ dims: [Int]) throws -> Tensor {
    try require(
      dims.count == rank,
      "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired "
        + "ordering of dimensions i.e. input.dim() = \(rank) is not equal to len(dims) = \(dims.count)")
    let order = try Shape.dimensions(dims, rank: rank)
    var inverse = order
    for (position, d) in order.enumerated() { inverse[d] = position }
    return try view("Permute", shape: order.map { shape[$0] }, strides: order.map { strides[$0] }) {
      [try $0.grad.permute(inverse)]
    }
  }

  public func transpose(_ a: Int, _ b: Int) throws -> Tensor {
    let (a, b) = (try Shape.dimension(a, rank: rank), try Shape.dimension(b, rank: rank))
    if rank == 0 { return try view("Alias", shape: [], strides: []) { [try $0.grad] } }
    var shape = self.shape
    var strides = self.strides
    shape.swapAt(a, b)
    strides.swapAt(a, b)
    return try view("Transpose", shape: shape, strides: strides) { [try $0.grad.transpose(a, b)] }
  }

  /// The matrix transpose of the last two dimensions.
  public func transposed() throws -> Tensor { try transpose(-2, -1) }

  /// Repeats dimensions of size one without copying; -1 keeps a size.
  public func expand(_ shape: [Int]) throws -> Tensor {
    try require(
      shape.count >= rank,
      "expand(\(dtype.scalarTypeName)Tensor{\(Shape.describe(self.shape))}, size=\(Shape.describe(shape))): the "
        + "number of sizes provided (\(shape.count)) must be greater or equal to the number of dimensions in the "
        + "tensor (\(rank))")
    var target = shape
    var strides = [Int](repeating: 0, count: shape.count)
    let lead = shape.count - rank
    for d in shape.indices {
      if d < lead {
        try require(
          shape[d] >= 0,
          "The expanded size of the tensor (\(shape[d])) isn't allowed in a leading, non-existing dimension \(d)"
        )
        continue
      }
      let size = self.shape[d - lead]
      if shape[d] == -1 || shape[d] == size {
        target[d] = size
        strides[d] = self.strides[d - lead]
      } else {
        try require(
          size == 1 && shape[d] >= 0,
          "The expanded size of the tensor (\(shape[d])) must match the existing size (\(size)) at non-singleton "
            + "dimension \(d).  Target sizes: \(Shape.describe(shape)).  Tensor sizes: \(Shape.describe(self.shape))"
        )
      }
    }
    let source = self.shape
    return try view("Expand", shape: target, strides: strides) { [try $0.grad.sum(to: source)] }
  }

  public func squeeze(_ dims: [Int]? = nil) throws -> Tensor {
    let chosen = try dims.map { try Shape.dimensions($0, rank: rank) }
    let kept = shape.indices.filter { d in shape[d] != 1 || !(chosen?.contains(d) ?? true) }
    let source = shape
    return try view("Squeeze", shape: kept.map { shape[$0] }, strides: kept.map { strides[$0] }) {
      [try $0.grad.reshape(source)]
    }
  }

  public func unsqueeze(_ dim: Int) throws -> Tensor {
    let d = try Shape.dimension(dim, rank: rank + 1)
    var shape = self.shape
    var strides = self.strides
    let stride = d < rank ? strides[d] &* max(shape[d], 1) : 1
    shape.insert(1, at: d)
    strides.insert(stride, at: d)
    return try view("Unsqueeze", shape: shape, strides: strides) { [try $0.grad.squeeze([d])] }
  }

  /// One position of a dimension, which disappears.
  public func select(_ dim: Int, _ index: Int) throws -> Tensor {
    try require(rank > 0, .index, "select() cannot be applied to a 0-dim tensor.")
    let d = try Shape.dimension(dim, rank: rank)
    let size = shape[d]
    try require(
      index >= -size && index < size, .index,
      "index \(index) is out of bounds for dimension \(d) with size \(size)")
    let position = index < 0 ? index + size : index
    var shape = self.shape
    var strides = self.strides
    let offset = self.offset + position * strides[d]
    shape.remove(at: d)
    strides.remove(at: d)
    let source = self.shape
    return try view("Select", shape: shape, strides: strides, offset: offset) {
      let whole = Geometry(dense: source)
      return try $0.scattered(whole.selecting(d, position), into: whole)
    }
  }

  /// Positions start, start + step, … before end of a dimension, clamped as Python clamps a slice.
  public func slice(_ dim: Int, _ start: Int?, _ end: Int?, step: Int = 1) throws -> Tensor {
    try require(rank > 0, .index, "slice() cannot be applied to a 0-dim tensor.")
    let d = try Shape.dimension(dim, rank: rank)
    try require(step > 0, .value, "slice step must be positive")
    let size = shape[d]
    func clamp(_ value: Int) -> Int {
      let counted = value < 0 ? value &+ size : value
      return max(0, min(counted, size))
    }
    let first = clamp(start ?? 0)
    let last = max(first, clamp(end ?? size))
    let length = (last - first + (step - 1)) / step
    if length == size && step == 1 && first == 0 {
      return try view("Alias", shape: shape, strides: strides) { [try $0.grad] }
    }
    var shape = self.shape
    var strides = self.strides
    let offset = self.offset + (length == 0 ? 0 : first * strides[d])
    shape[d] = length
    if length > 1 { strides[d] = strides[d] &* step }
    let source = self.shape
    return try view("Slice", shape: shape, strides: strides, offset: offset) {
      let whole = Geometry(dense: source)
      return try $0.scattered(whole.slicing(d, first, length, step), into: whole)
    }
  }

  public func narrow(_ dim: Int, _ start: Int, _ length: Int) throws -> Tensor {
    try require(rank > 0, "narrow() cannot be applied to a 0-dim tensor.")
    let d = try Shape.dimension(dim, rank: rank)
    let size = shape[d]
    try require(
      start >= -size && start <= size, .index,
      "Dimension out of range (expected to be in range of [\(-size), \(size)], but got \(start))")
    let first = start < 0 ? start + size : start
    try require(length >= 0, "narrow(): length must be non-negative.")
    try require(
      length <= size - first, "start (\(first)) + length (\(length)) exceeds dimension size (\(size)).")
    return try slice(d, first, first + length)
  }

  /// Elements at offset + Σ index·stride of the storage.
  public func asStrided(_ shape: [Int], _ strides: [Int], offset: Int? = nil) throws -> Tensor {
    try require(
      shape.count == strides.count,
      "mismatch in length of strides and shape: \(shape.count) and \(strides.count)")
    try require(!strides.contains { $0 < 0 }, "as_strided: Negative strides are not supported at the moment")
    let start = offset ?? self.offset
    let elements = memory.byteCount / dtype.size
    _ = try Shape.count(shape)
    var last = start
    for (size, stride) in zip(shape, strides) where !shape.contains(0) {
      let (span, overflow) = (size - 1).multipliedReportingOverflow(by: stride)
      try require(
        !overflow && span <= elements, "setStorage: sizes \(Shape.describe(shape)) are out of bounds")
      last += span
    }
    try require(
      start >= 0 && (shape.contains(0) || last < elements),
      "setStorage: sizes \(Shape.describe(shape)), strides \(Shape.describe(strides)), storage offset \(start) are "
        + "out of bounds for storage of size \(elements * dtype.size)")
    let (whole, part) = (geometry, Geometry(shape: shape, strides: strides, offset: start))
    return try view("AsStrided", shape: shape, strides: strides, offset: start) {
      [try $0.grad.scattered(part, into: whole)]
    }
  }

  /// The diagonal of two dimensions, as a new last dimension.
  public func diagonal(offset: Int = 0, _ dim1: Int = 0, _ dim2: Int = 1) throws -> Tensor {
    let (a, b) = (try Shape.dimension(dim1, rank: rank), try Shape.dimension(dim2, rank: rank))
    try require(a != b && rank >= 2, "diagonal dimensions cannot be identical \(dim1), \(dim2)")
    let (rows, columns) = (shape[a], shape[b])
    let length =
      offset >= 0 ? max(0, min(rows, columns &- offset)) : max(0, min(rows &+ offset, columns))
    func cut(_ geometry: Geometry) -> Geometry {
      var result = geometry
      if length > 0 {
        result.offset += offset >= 0 ? offset * geometry.strides[b] : -offset * geometry.strides[a]
      }
      for d in [max(a, b), min(a, b)] {
        result.shape.remove(at: d)
        result.strides.remove(at: d)
      }
      result.shape.append(length)
      result.strides.append(geometry.strides[a] + geometry.strides[b])
      return result
    }
    let (whole, part, own) = (denseGeometry, cut(denseGeometry), cut(geometry))
    return try view("Diagonal", shape: own.shape, strides: own.strides, offset: own.offset) {
      [try $0.grad.scattered(part, into: whole)]
    }
  }

  /// Windows of `size` elements every `step` along a dimension, as a new last dimension.
  public func unfold(_ dim: Int, _ size: Int, _ step: Int) throws -> Tensor {
    let d = try Shape.dimension(dim, rank: rank)
    let length = rank == 0 ? 1 : shape[d]
    try require(size >= 0, "size is \(size) but must be >= 0")
    try require(
      size <= length, "maximum size for tensor at dimension \(d) is \(length) but size is \(size)")
    try require(step > 0, "step is \(step) but must be > 0")
    func cut(_ geometry: Geometry) -> Geometry {
      var result = geometry
      if rank == 0 { return Geometry(shape: [size], strides: [1], offset: geometry.offset) }
      result.shape[d] = (length - size) / step + 1
      result.strides[d] = geometry.strides[d] &* step
      result.shape.append(size)
      result.strides.append(geometry.strides[d])
      return result
    }
    let (whole, part, own) = (denseGeometry, cut(denseGeometry), cut(geometry))
    return try view("Unfold", shape: own.shape, strides: own.strides, offset: own.offset) {
      [try $0.grad.scattered(part, into: whole)]
    }
  }

  /// This shape laid out row-major from 0: gradients are mapped through it, whatever the strides of the input.
  var denseGeometry: Geometry { Geometry(dense: shape) }
}

extension Geometry {
  /// A shape laid out row-major from 0.
  fileprivate init(dense shape: [Int]) {
    self.init(shape: shape, strides: Shape.contiguousStrides(shape), offset: 0)
  }

  fileprivate func selecting(_ d: Int, _ position: Int) -> Geometry {
    var result = self
    result.offset += position * strides[d]
    result.shape.remove(at: d)
    result.strides.remove(at: d)
    return result
  }

  fileprivate func slicing(_ d: Int, _ first: Int, _ length: Int, _ step: Int) -> Geometry {
    var result = self
    if length > 0 { result.offset += first * strides[d] }
    result.shape[d] = length
    result.strides[d] = strides[d] &* step
    return result
  }
}
