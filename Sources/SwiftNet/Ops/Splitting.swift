/// Cutting a tensor into views along a dimension, and stacking tensors. See also `cat`.
extension Tensor {
  /// Views that are outputs of one recorded operation: backward puts their gradients together once.
  private func views(
    _ name: String, _ geometries: [Geometry], backward: @escaping GradNode.Backward
  ) throws -> [Tensor] {
    let results = try geometries.map { geometry in
      try alias(
        shape: geometry.shape, strides: geometry.strides, offset: geometry.offset,
        count: try Shape.count(geometry.shape))
    }
    if !dtype.isFloatingPoint || !ThreadState.current.isGradEnabled { return results }
    for result in results {
      let meta = result.meta
      meta.base = autograd?.base ?? self
      meta.baseSequence = meta.base?.historySequence ?? -1
    }
    if !results.isEmpty { try recordOutputs(name, [self], results, backward: backward) }
    return results
  }

  /// Pieces of the given lengths.
  public func split(sizes: [Int], _ dim: Int = 0) throws -> [Tensor] {
    try require(rank > 0, "split expects at least a 1-dimensional tensor")
    let d = try Shape.dimension(dim, rank: rank)
    var total = 0
    for size in sizes {
      try require(
        size >= 0,
        "split_with_sizes expects split_sizes have only non-negative entries, but got split_sizes="
          + Shape.describe(sizes))
      total = total.addingReportingOverflow(size).partialValue
    }
    try require(
      total == shape[d] && sizes.allSatisfy { $0 <= shape[d] },
      "split_with_sizes expects split_sizes to sum exactly to \(shape[d]) (input tensor's size at dimension \(d)), but "
        + "got split_sizes=\(Shape.describe(sizes))")
    var start = 0
    let geometries = sizes.map { size in
      defer { start += size }
      var piece = geometry
      piece.shape[d] = size
      if size > 0 { piece.offset += start * strides[d] }
      return piece
    }
    return try views("SplitWithSizes", geometries) { context in
      [try Tensor.cat(try sizes.indices.map { try context.grad($0) }, d)]
    }
  }

  /// Pieces of one length; the last may be shorter.
  public func split(_ size: Int, _ dim: Int = 0) throws -> [Tensor] {
    try require(rank > 0, "split expects at least a 1-dimensional tensor")
    let d = try Shape.dimension(dim, rank: rank)
    let length = shape[d]
    try require(size >= 0, "split expects split_size be non-negative, but got split_size=\(size)")
    try require(
      size > 0 || length == 0,
      "split_size can only be 0 if dimension size is 0, but got dimension size of \(length)")
    var sizes: [Int] = []
    var left = length
    repeat {
      sizes.append(Swift.min(size, left))
      left -= Swift.min(size, left)
    } while left > 0
    return try split(sizes: sizes, d)
  }

  /// At most `chunks` pieces of equal length; the last may be shorter.
  public func chunk(_ chunks: Int, _ dim: Int = 0) throws -> [Tensor] {
    try require(rank > 0, "chunk expects at least a 1-dimensional tensor")
    try require(chunks > 0, "chunk expects `chunks` to be greater than 0, got: \(chunks)")
    let d = try Shape.dimension(dim, rank: rank)
    let size = shape[d] / chunks + (shape[d] % chunks > 0 ? 1 : 0)
    if size == 0 {
      try require(chunks <= 1 << 20, .memory, "chunk: \(chunks) empty pieces are too many")
      return try split(sizes: Array(repeating: 0, count: chunks), d)
    }
    return try split(size, d)
  }

  /// `sections` pieces whose lengths differ by at most one, the longer ones first.
  public func tensorSplit(sections: Int, _ dim: Int = 0) throws -> [Tensor] {
    try require(
      rank > 0, "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    let d = try Shape.dimension(dim, rank: rank)
    try require(sections > 0, "number of sections must be larger than 0, got \(sections)")
    try require(sections <= 1 << 24, .memory, "tensor_split: \(sections) sections are too many")
    let (least, longer) = (shape[d] / sections, shape[d] % sections)
    return try split(sizes: (0..<sections).map { least + ($0 < longer ? 1 : 0) }, d)
  }

  /// The pieces before, between and after the given positions.
  public func tensorSplit(indices: [Int], _ dim: Int = 0) throws -> [Tensor] {
    try require(
      rank > 0, "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    let d = try Shape.dimension(dim, rank: rank)
    var start = 0
    var pieces: [Tensor] = []
    for end in indices {
      pieces.append(try slice(d, start, end))
      start = end
    }
    pieces.append(try slice(d, start, nil))
    return pieces
  }

  /// The slices of a dimension, without it.
  public func unbind(_ dim: Int = 0) throws -> [Tensor] {
    try require(rank > 0, .index, "Dimension specified as \(dim) but tensor has no dimensions")
    let d = try Shape.dimension(dim, rank: rank)
    var piece = geometry
    piece.shape.remove(at: d)
    piece.strides.remove(at: d)
    let geometries = (0..<shape[d]).map { i in
      Geometry(shape: piece.shape, strides: piece.strides, offset: offset + i * strides[d])
    }
    let n = shape[d]
    return try views("Unbind", geometries) { context in
      [try Tensor.stack(try (0..<n).map { try context.grad($0) }, d)]
    }
  }

  /// The tensors along a new dimension. All shapes must be equal.
  public static func stack(_ tensors: [Tensor], _ dim: Int = 0) throws -> Tensor {
    try require(!tensors.isEmpty, "stack expects a non-empty TensorList")
    let first = tensors[0].shape
    for (position, tensor) in tensors.enumerated() {
      try require(
        tensor.shape == first,
        "stack expects each tensor to be equal size, but got \(Shape.describe(first)) at entry 0 and "
          + "\(Shape.describe(tensor.shape)) at entry \(position)")
    }
    let d = try Shape.dimension(dim, rank: first.count + 1)
    return try cat(try tensors.map { try $0.unsqueeze(d) }, d)
  }

  /// A view with at least `rank` dimensions (1 to 3).
  public func withRank(atLeast rank: Int) throws -> Tensor {
    switch (rank, self.rank) {
    case (1, 0): try reshape([1])
    case (2, 0): try reshape([1, 1])
    case (2, 1): try unsqueeze(0)
    case (3, 0): try reshape([1, 1, 1])
    case (3, 1): try unsqueeze(0).unsqueeze(-1)
    case (3, 2): try unsqueeze(-1)
    default: self
    }
  }

  /// Side by side: along the second dimension, or the first of vectors.
  public static func hstack(_ tensors: [Tensor]) throws -> Tensor {
    try require(!tensors.isEmpty, "hstack expects a non-empty TensorList")
    let wide = try tensors.map { try $0.withRank(atLeast: 1) }
    return try cat(wide, wide[0].rank == 1 ? 0 : 1)
  }

  /// On top of each other: along the first dimension.
  public static func vstack(_ tensors: [Tensor]) throws -> Tensor {
    try require(!tensors.isEmpty, "vstack expects a non-empty TensorList")
    return try cat(try tensors.map { try $0.withRank(atLeast: 2) }, 0)
  }

  /// In depth: along the third dimension.
  public static func dstack(_ tensors: [Tensor]) throws -> Tensor {
    try require(!tensors.isEmpty, "dstack expects a non-empty TensorList")
    return try cat(try tensors.map { try $0.withRank(atLeast: 3) }, 2)
  }

  /// Side by side, with vectors as columns.
  public static func columnStack(_ tensors: [Tensor]) throws -> Tensor {
    try require(!tensors.isEmpty, "column_stack expects a non-empty TensorList")
    return try hstack(try tensors.map { $0.rank <= 1 ? try $0.reshape([$0.count, 1]) : $0 })
  }
}
