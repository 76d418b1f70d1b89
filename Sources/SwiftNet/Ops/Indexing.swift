/// Indexing with tensors: `index` reads, `indexPut` writes, each the adjoint of the other. The operations on whole
/// slices along one dimension (`indexSelect`, `indexAdd`, …) are the same with one index.
extension Tensor {
  /// What a list of index tensors selects: int64 indices of one shape on their dimensions.
  struct Selection {
    var indices: [(dim: Int, index: Tensor)]
    var shape: [Int]
  }

  /// Turns masks into indices, checks dtypes and broadcasts the indices to one shape.
  func selection(_ indices: [Tensor?]) throws -> Selection {
    var result: [(dim: Int, index: Tensor)] = []
    var dim = 0
    for index in indices {
      guard let index else {
        dim += 1
        continue
      }
      switch index.dtype {
      case .bool, .uint8:
        for d in 0..<index.rank where dim + d >= rank || index.shape[d] != shape[dim + d] {
          try require(dim + d < rank, .index, "too many indices for tensor of dimension \(rank)")
          throw SwiftNetError.index(
            "The shape of the mask \(Shape.describe(index.shape)) at index \(d) does not match the shape of the "
              + "indexed tensor \(Shape.describe(shape)) at index \(dim + d)")
        }
        for (d, column) in try index.nonzeroColumns().enumerated() { result.append((dim + d, column)) }
        dim += index.rank
      case .int64, .int32:
        result.append((dim, try noGrad { try index.to(.int64) }))
        dim += 1
      default:
        throw SwiftNetError.index("tensors used as indices must be long, int, byte or bool tensors")
      }
    }
    try require(dim <= rank, .index, "too many indices for tensor of dimension \(rank)")
    var common: [Int] = []
    for (_, index) in result {
      guard let wider = try? Shape.broadcast(common, index.shape) else {
        throw SwiftNetError.index(
          "shape mismatch: indexing tensors could not be broadcast together with shapes "
            + result.map { Shape.describe($0.index.shape) }.joined(separator: ", "))
      }
      common = wider
    }
    let expanded = try noGrad { try result.map { ($0.dim, try $0.index.expand(common).contiguous()) } }
    return Selection(indices: expanded, shape: common)
  }

  private func walk(_ selection: Selection) throws -> IndexWalk {
    try IndexWalk(self, selection.indices, indexShape: selection.shape) { value, dim, size in
      .index("index \(value) is out of bounds for dimension \(dim) with size \(size)")
    }
  }

  /// The elements that index tensors select. Entry d of the list indexes dimension d; nil keeps it whole. Masks
  /// (bool or uint8) stand for the indices of their nonzero elements. The indexed dimensions give way to the common
  /// shape of the indices: in their place if they are adjacent, else in front.
  public func index(_ indices: [Tensor?]) throws -> Tensor {
    try index(try selection(indices), "Index")
  }

  private func index(_ selection: Selection, _ name: String) throws -> Tensor {
    let walk = try walk(selection)
    let out = try Tensor(empty: walk.shape, dtype: dtype)
    try walk.read(self, to: out)
    let (source, dims, indexShape) = (shape, selection.indices.map(\.dim), selection.shape)
    return try out.recorded(name, self, saving: selection.indices.map(\.index)) { context in
      let grad = try context.grad
      let selection = Selection(
        indices: try dims.enumerated().map { ($1, try context.saved($0)) }, shape: indexShape)
      return [try Tensor.zeros(source, dtype: grad.dtype).indexPut(selection, grad, accumulate: true)]
    }
  }

  /// A copy in which `values`, broadcast, take the place of the elements that the indices select, or are added to
  /// them. Where an element is selected more than once, the last value stays (or all are added).
  public func indexPut(_ indices: [Tensor?], _ values: Tensor, accumulate: Bool = false) throws -> Tensor {
    try indexPut(try selection(indices), values, accumulate: accumulate)
  }

  private func indexPut(_ selection: Selection, _ values: Tensor, accumulate: Bool) throws -> Tensor {
    let out = try noGrad { try clone() }
    try out.put(selection, values, accumulate: accumulate)
    let (dims, indexShape, dtype) = (selection.indices.map(\.dim), selection.shape, dtype)
    return try out.recorded("IndexPut", self, values, saving: selection.indices.map(\.index)) { context in
      let grad = try context.grad
      let selection = Selection(
        indices: try dims.enumerated().map { ($1, try context.saved($0)) }, shape: indexShape)
      var kept: Tensor?
      if context.needs(0) {
        kept =
          accumulate
          ? grad : try grad.indexPut(selection, try Tensor.scalar(.float(0), dtype: dtype), accumulate: false)
      }
      return [kept, context.needs(1) ? try grad.index(selection, "Index") : nil]
    }
  }

  /// As `indexPut`, in place.
  public func indexPutInPlace(_ indices: [Tensor?], _ values: Tensor, accumulate: Bool = false) throws {
    let selection = try selection(indices)
    if needsRecording([self, values]) {
      return try inPlace { try $0.indexPut(selection, values, accumulate: accumulate) }
    }
    try put(selection, values, accumulate: accumulate)
    bumpVersion()
  }

  /// Writes without recording.
  fileprivate func put(_ selection: Selection, _ values: Tensor, accumulate: Bool) throws {
    try require(
      values.dtype == dtype,
      "Index put requires the source and destination dtypes match, got \(dtype.scalarTypeName) for the destination "
        + "and \(values.dtype.scalarTypeName) for the source.")
    let walk = try walk(selection)
    guard (try? Shape.broadcast(walk.shape, values.shape)) == walk.shape else {
      throw SwiftNetError.runtime(
        "shape mismatch: value tensor of shape \(Shape.describe(values.shape)) cannot be broadcast to indexing "
          + "result of shape \(Shape.describe(walk.shape))")
    }
    if count == 0 || walk.count == 0 { return }
    try noGrad {
      var source = values.count == 1 ? values : try values.expand(walk.shape).contiguous()
      if source.memory === memory { source = try source.clone() }
      if !accumulate { return try walk.write(source, to: self) }
      if dtype.isLane { return try walk.add(source, to: self) }
      // Narrow dtypes are summed in their lane, so each sum is rounded once.
      let wide = try to(dtype.lane.dtype).contiguous()
      let dense = try IndexWalk(wide, selection.indices, indexShape: selection.shape) { _, _, _ in
        .index("index")
      }
      try dense.add(try source.to(dtype.lane.dtype), to: wide)
      try copyElements(from: wide, to: self)
    }
  }
}

/// Whole slices along one dimension.
extension Tensor {
  /// A one-dimensional int64 index for a dimension, and this tensor with at least one dimension.
  private func slices(_ name: String, _ dim: Int, _ index: Tensor) throws -> (Int, Selection) {
    let d = try Shape.dimension(dim, rank: rank)
    try require(
      index.dtype == .int64 || index.dtype == .int32, "\(name)(): Expected dtype int32 or int64 for index")
    try require(index.rank <= 1, .index, "\(name)(): Index is supposed to be a vector")
    let flat = try noGrad { try index.to(.int64).contiguous().reshape([index.count]) }
    return (d, Selection(indices: [(d, flat)], shape: [index.count]))
  }

  /// The slices of a dimension that a vector of indices names.
  public func indexSelect(_ dim: Int, _ index: Tensor) throws -> Tensor {
    if rank == 0 { return try reshape([1]).indexSelect(dim, index).reshape([]) }
    let (_, selection) = try slices("index_select", dim, index)
    return try self.index(selection, "IndexSelect")
  }

  /// Checks the slices that `source` brings for `index`.
  private func checkSource(_ name: String, _ d: Int, _ index: Tensor, _ source: Tensor) throws {
    try require(
      source.dtype == dtype,
      "\(name)(): self (\(dtype.scalarTypeName)) and source (\(source.dtype.scalarTypeName)) must have the same scalar "
        + "type")
    let length = source.rank == 0 ? 1 : try source.size(min(d, source.rank - 1))
    try require(
      index.count == length, name == "index_add_" ? .runtime : .index,
      name == "index_add_"
        ? "index_add_(): Number of indices (\(index.count)) should be equal to source.size(dim): (\(length)), for dim: "
          + "\(d)"
        : "\(name)(): Number of indices (\(index.count)) should be equal to source.size(dim) (\(length))")
    if source.rank == 0 || rank == 0 { return }
    var expected = shape
    expected[d] = index.count
    try require(
      source.shape == expected,
      "\(name)(): Source/destination tensor must have same slice shapes. Destination slice shape: "
        + "\(Shape.describe(shape.enumerated().filter { $0.offset != d }.map(\.element))) at dimension \(d) and source "
        + "slice shape: \(Shape.describe(source.shape.enumerated().filter { $0.offset != d }.map(\.element))) at "
        + "dimension \(d).")
  }

  /// As `indexAdd`, in place.
  public func indexAddInPlace(_ dim: Int, _ index: Tensor, _ source: Tensor, alpha: Scalar = 1) throws {
    if needsRecording([self, source]) || rank == 0 {
      return try inPlace { try $0.indexAdd(dim, index, source, alpha: alpha) }
    }
    let (d, selection) = try slices("index_add", dim, index)
    try checkSource("index_add_", d, index, source)
    do {
      try put(selection, try source.times(alpha), accumulate: true)
    } catch let error as SwiftNetError where error.kind == .index {
      throw SwiftNetError.runtime(error.message)
    }
    bumpVersion()
  }

  /// A copy with alpha · `source` added to the slices that `index` names, slice by slice.
  public func indexAdd(_ dim: Int, _ index: Tensor, _ source: Tensor, alpha: Scalar = 1) throws -> Tensor {
    if rank == 0 { return try reshape([1]).indexAdd(dim, index, source.reshape([1]), alpha: alpha).reshape([]) }
    let (d, selection) = try slices("index_add", dim, index)
    try checkSource("index_add_", d, index, source)
    do {
      return try indexPut(selection, try source.times(alpha), accumulate: true)
    } catch let error as SwiftNetError where error.kind == .index {
      // PyTorch reports a bad index of this operation as a RuntimeError.
      throw SwiftNetError.runtime(error.message)
    }
  }

  /// A copy with the slices of `source` in place of those that `index` names.
  public func indexCopy(_ dim: Int, _ index: Tensor, _ source: Tensor) throws -> Tensor {
    if let out = try autocast(.widest, [self, source], { try $0[0].indexCopy(dim, index, $0[1]) }) { return out }
    if rank == 0 { return try reshape([1]).indexCopy(dim, index, source.reshape([1])).reshape([]) }
    let (d, selection) = try slices("index_copy", dim, index)
    try checkSource("index_copy_", d, index, source)
    return try indexPut(selection, source, accumulate: false)
  }

  /// A copy with one value in the slices that `index` names.
  public func indexFill(_ dim: Int, _ index: Tensor, _ value: Scalar) throws -> Tensor {
    if rank == 0 { return try reshape([1]).indexFill(dim, index, value).reshape([]) }
    let (_, selection) = try slices("index_fill", dim, index)
    return try indexPut(selection, try Tensor.scalar(value, dtype: dtype), accumulate: false)
  }

  /// As `indexFill`, with the value of a tensor without dimensions, which may require a gradient.
  public func indexFill(_ dim: Int, _ index: Tensor, _ value: Tensor) throws -> Tensor {
    try require(
      value.rank == 0,
      "index_fill_ only supports a 0-dimensional value tensor, but got tensor with \(value.rank) dimension(s)."
    )
    let d = try Shape.dimension(dim, rank: rank)
    // Through a mask: an index that comes twice must not count twice in the gradient of the value.
    let length = rank == 0 ? 1 : shape[d]
    let chosen = try Tensor.full([length], false).indexFill(0, index, true)
    var maskShape = [Int](repeating: 1, count: rank)
    if rank > 0 { maskShape[d] = length }
    return try maskedFill(try chosen.reshape(maskShape), value)
  }

  /// The elements at the given positions of the flattened tensor, in the shape of `index`.
  public func take(_ index: Tensor) throws -> Tensor {
    try require(
      index.dtype == .int64, "take(): Expected a long tensor for index, but got \(index.dtype.scalarTypeName)"
    )
    try checkPositions(index)
    return try reshape([count]).index([index])
  }

  /// A copy with `source` at the given positions of the flattened tensor, or added there.
  public func put(_ index: Tensor, _ source: Tensor, accumulate: Bool = false) throws -> Tensor {
    try require(
      index.dtype == .int64, "put_(): Expected a long tensor for index, but got \(index.dtype.scalarTypeName)"
    )
    try require(
      source.dtype == dtype,
      "put_(): self and source expected to have the same dtype, but got self.dtype = \(dtype.scalarTypeName) and "
        + "source.dtype = \(source.dtype.scalarTypeName)")
    try require(
      index.count == source.count, .index,
      "put_(): Expected source and index to have the same number of elements, but got source.numel() = "
        + "\(source.count), index.numel() = \(index.count)")
    try checkPositions(index)
    let flat = try reshape([count]).indexPut(
      [try index.reshape([index.count])], try source.reshape([source.count]), accumulate: accumulate)
    return try flat.reshape(shape)
  }

  private func checkPositions(_ index: Tensor) throws {
    let values = try noGrad { try index.contiguous() }
    let pointer = try values.pointer().assumingMemoryBound(to: Int64.self)
    for i in 0..<values.count where pointer[i] >= Int64(count) || pointer[i] < -Int64(count) {
      throw SwiftNetError.index(
        "out of range: tried to access index \(pointer[i]) on a tensor of \(count) elements.")
    }
    withExtendedLifetime(values) {}
  }
}
