/// Largest and smallest elements and where they stand.
extension Tensor {
  /// The index of the largest (or smallest) element along a dimension, or in the flattened tensor; the first of
  /// equal ones, and NaN before all numbers.
  public func argExtremum(_ dim: Int?, keepdim: Bool = false, largest: Bool) throws -> Tensor {
    let name = largest ? "argmax" : "argmin"
    try require(dtype != .bool, "\(name)(): does not support bool input")
    guard let dim else {
      try require(
        count > 0, .index,
        "\(name)(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the "
          + "'dim' argument.")
      let flat = try noGrad { try reshape([count]) }.argExtremum(0, largest: largest)
      return try keepdim ? flat.reshape([Int](repeating: 1, count: rank)) : flat
    }
    let d = try Shape.dimension(dim, rank: rank)
    if rank == 0 { return try Tensor.zeros([], dtype: .int64) }
    try require(
      shape[d] > 0, .index, "\(name)(): Expected reduction dim \(d) to have non-zero size.")
    return try indicesOfExtremum(d, keepdim: keepdim, largest: largest)
  }

  private func indicesOfExtremum(_ d: Int, keepdim: Bool, largest: Bool) throws -> Tensor {
    let lane = self.dtype.lane
    let kernel = (largest ? kernels.reduce.argmax : kernels.reduce.argmin)[lane.rawValue]
    let lines = try noGrad { try to(lane.dtype).transpose(d, -1).contiguous() }
    let n = shape[d]
    let out = try Tensor(empty: Array(lines.shape.dropLast()), dtype: .int64)
    let from = try lines.pointer()
    let target = try out.mutablePointer().assumingMemoryBound(to: Int64.self)
    let bytes = n * lane.size
    parallelFor(out.count, grain: max(1, 8192 / n)) { start, end in
      for line in start..<end {
        var best: Int64 = 0
        target[line] = -1
        kernel(from + line &* bytes, n, 0, &best, target + line)
      }
    }
    let turned = try out.unsqueeze(-1).transpose(d, -1)
    return try (keepdim ? turned : turned.squeeze([d])).contiguous()
  }

  /// The largest (or smallest) elements along a dimension and where they stand.
  public func extremum(_ dim: Int, keepdim: Bool = false, largest: Bool) throws -> (
    values: Tensor, indices: Tensor
  ) {
    let name = largest ? "max" : "min"
    let d = try Shape.dimension(dim, rank: rank)
    if rank == 0 {
      let copy = try clone()
      return (copy, try Tensor.zeros([], dtype: .int64))
    }
    try require(shape[d] > 0, .index, "\(name)(): Expected reduction dim \(d) to have non-zero size.")
    let indices = try indicesOfExtremum(d, keepdim: true, largest: largest)
    let picked = try noGrad { try self.picked(d, indices) }
    let left = reducedShape(shape.indices.map { $0 == d }, keepdim: keepdim)
    let values = try picked.alias(shape: left, strides: Shape.contiguousStrides(left))
    let n = shape[d]
    try recordOutputs(capitalized(name), [self], [values], saving: [indices]) { context in
      let grad = try keepdim ? context.grad : context.grad.unsqueeze(d)
      return [try grad.deposited(d, try context.saved(0), size: n)]
    }
    return (values, try keepdim ? indices : indices.squeeze([d]).alias())
  }

  /// Smallest and largest elements.
  public func aminmax(_ dim: Int?, keepdim: Bool = false) throws -> (min: Tensor, max: Tensor) {
    try require(
      count > 0 || dim != nil,
      "aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity.")
    let dims = dim.map { [$0] }
    return (try amin(dims, keepdim: keepdim), try amax(dims, keepdim: keepdim))
  }

  /// The largest (or smallest) element of all, as a tensor without dimensions; equal ones share the gradient.
  public func extremum(largest: Bool) throws -> Tensor {
    try require(
      count > 0,
      "\(largest ? "max" : "min")(): Expected reduction dim to be specified for input.numel() == 0. Specify the "
        + "reduction dim with the 'dim' argument.")
    return try extremum(largest ? .max : .min, largest ? "max" : "min", nil, keepdim: false)
  }
}
