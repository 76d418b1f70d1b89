import KernelTypes

/// Copies a part to its place. What is still to be computed is computed there.
private func joinElements(from part: Tensor, to target: Tensor) throws {
  guard part.isDeferred, part.dtype == target.dtype, let copy = kernels.elementwise[.copy, part.dtype.lane],
    part.dtype.isLane
  else { return try copyElements(from: part, to: target) }
  let program = try ElementwiseProgram.fusing(
    .copy, copy, [.tensor(part)], lane: part.dtype.lane, scalars: Scalars(), roundTo: nil)
  try program.run(into: target)
}

/// Joining and splitting.
extension Tensor {
  /// The tensors one after another along a dimension.
  public static func cat(_ tensors: [Tensor], _ dim: Int = 0) throws -> Tensor {
    try require(!tensors.isEmpty, .value, "torch.cat(): expected a non-empty list of Tensors")
    // PyTorch lets an empty one-dimensional tensor join anything.
    let parts = tensors.filter { $0.shape != [0] }
    guard let first = parts.first else { return try tensors[0].clone() }
    try require(first.rank > 0, "zero-dimensional tensor (at position 0) cannot be concatenated")
    let d = try Shape.dimension(dim, rank: first.rank)
    var shape = first.shape
    var dtype = first.dtype
    for (position, part) in parts.enumerated().dropFirst() {
      try require(
        part.rank == first.rank,
        "Tensors must have same number of dimensions: got \(first.rank) and \(part.rank)")
      for k in shape.indices where k != d {
        try require(
          part.shape[k] == first.shape[k],
          "Sizes of tensors must match except in dimension \(d). Expected size \(first.shape[k]) but got size "
            + "\(part.shape[k]) for tensor number \(position) in the list.")
      }
      shape[d] += part.shape[d]
      dtype = TypePromotion.promote(dtype, part.dtype)
    }
    let channelsLast = first.rank >= 3 && !first.isContiguous && parts.allSatisfy(\.isChannelsLast)
    let out = try Tensor(
      empty: shape, dtype: dtype, strides: channelsLast ? Shape.channelsLastStrides(shape) : nil)
    var position = 0
    let sizes = tensors.map { $0.shape == [0] ? 0 : $0.shape[d] }
    for part in parts {
      var partShape = shape
      partShape[d] = part.shape[d]
      let target = try out.alias(
        shape: partShape, offset: position * out.strides[d], count: part.count)
      try joinElements(from: part, to: target)
      position += part.shape[d]
    }
    return try out.recorded("Cat", inputs: tensors) { context in
      let grad = try context.grad
      var start = 0
      return try sizes.enumerated().map { index, size in
        defer { start += size }
        guard context.needs(index) else { return nil }
        return size == 0 && grad.rank > 1 ? try Tensor.zeros([0], dtype: grad.dtype) : try grad.narrow(d, start, size)
      }
    }
  }
}
