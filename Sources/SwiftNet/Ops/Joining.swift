/// Tensors that are joined along a dimension when somebody reads the result. Whoever needs it in another order of memory
/// (a linear layer behind maps whose channels vary fastest) has the parts computed straight into that.
struct PendingJoin {
  let parts: [Tensor]
  let dim: Int

  func run(into target: Tensor) throws {
    var position = 0
    for part in parts {
      let place = try target.alias(
        shape: part.shape, offset: target.offset + position * target.strides[dim], count: part.count)
      try writeElements(of: part, to: place)
      position += part.shape[dim]
    }
  }

  /// The result, still to be computed; nil if it is better computed at once: it is small, other programs may change a
  /// part, or nobody could want it in another order.
  func waiting(shape: [Int], strides: [Int], dtype: DType) throws -> Tensor? {
    let program = ElementwiseProgram(lane: dtype.lane, leaves: parts.map { .tensor($0) }, steps: [])
    let count = try Shape.count(shape)
    guard Deferral.isEnabled, count >= Deferral.threshold, program.canWait, !Shape.isContiguous(shape, strides),
      parts.allSatisfy({ $0.dtype == dtype })
    else { return nil }
    try MemoryPool.shared.checkPossible(count * dtype.size)
    try program.limitDepth()
    let recipe = ElementwiseRecipe(
      program: program, dtype: dtype, shape: shape, strides: strides, work: .joining(self))
    let storage = Storage(byteCount: count * dtype.size, recipe: recipe)
    storage.isArranged = true
    return Tensor(storage: storage, dtype: dtype, shape: shape, strides: strides, offset: 0, count: count)
  }
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
    let channelsLast =
      first.rank >= 3 && !first.isContiguous && parts.allSatisfy { Shape.suggestsChannelsLast($0.shape, $0.strides) }
    let strides = channelsLast ? Shape.channelsLastStrides(shape) : Shape.contiguousStrides(shape)
    let sizes = tensors.map { $0.shape == [0] ? 0 : $0.shape[d] }
    let out = try joined(PendingJoin(parts: parts.map { try $0.alias() }, dim: d), shape, strides, dtype)
    return try out.recorded("Cat", inputs: tensors) { context in
      let grad = try context.grad
      var start = 0
      // Few parts may be computed one by one.
      let partsApart = d == 1 && sizes.allSatisfy { $0 >= 256 }
      return try sizes.enumerated().map { index, size in
        defer { start += size }
        guard context.needs(index) else { return nil }
        if partsApart, let part = try grad.waitingChannels(start..<start + size) { return part }
        return size == 0 && grad.rank > 1 ? try Tensor.zeros([0], dtype: grad.dtype) : try grad.narrow(d, start, size)
      }
    }
  }

  private static func joined(_ join: PendingJoin, _ shape: [Int], _ strides: [Int], _ dtype: DType) throws -> Tensor {
    if let waiting = try join.waiting(shape: shape, strides: strides, dtype: dtype) { return waiting }
    let out = try Tensor(empty: shape, dtype: dtype, strides: strides)
    try join.run(into: out)
    return out
  }
}
