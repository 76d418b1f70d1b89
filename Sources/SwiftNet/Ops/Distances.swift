/// Norms and distances along a dimension.
extension Tensor {
  /// (Σ |x|ᵖ)^(1/p) over dimensions; its gradient is 0 where the norm is 0.
  func lengths(_ p: Double, _ dims: [Int], keepdim: Bool) throws -> Tensor {
    if p == 0 {
      return try Binary.apply(.ne, .tensor(self), .scalar(0)).to(dtype).sum(dims, keepdim: keepdim)
    }
    if p == 1 { return try unary(.abs).sum(dims, keepdim: keepdim) }
    if p == .infinity { return try unary(.abs).amax(dims, keepdim: keepdim) }
    let out = try noGrad { () -> Tensor in
      if p == 2 { return try (self * self).sum(dims, keepdim: keepdim).unary(.sqrt) }
      let powers = try Binary.apply(.pow, .tensor(unary(.abs)), .scalar(.float(p)))
      return try Binary.apply(.pow, .tensor(powers.sum(dims, keepdim: keepdim)), .scalar(.float(1 / p)))
    }
    let mask = try reductionMask(dims)
    return try out.recorded("LinalgVectorNorm", self, saving: [self, out]) { context in
      let x = try context.saved(0)
      let norm = try Tensor.expandReduced(try context.saved(1), x.shape, mask, keepdim: keepdim)
      let grad = try Tensor.expandReduced(try context.grad, x.shape, mask, keepdim: keepdim)
      let slope: Tensor
      if p == 2 {
        slope = try x / norm
      } else {
        let powers = try Binary.apply(.pow, .tensor(x.unary(.abs)), .scalar(.float(p - 1)))
        slope = try x.unary(.sgn) * powers / Binary.apply(.pow, .tensor(norm), .scalar(.float(p - 1)))
      }
      let zero = try Binary.apply(.eq, .tensor(norm), .scalar(0))
      return [try grad * whereSelect(zero, .scalar(0.0), .tensor(slope))]
    }
  }

  /// max(x, limit); NaN stays NaN.
  func atLeast(_ limit: Double) throws -> Tensor { try unary(.clampScalar, Scalars(limit, .infinity)) }

  /// Divided by its p-norm along dimensions, or by eps where that is greater. PyTorch:
  /// `torch.nn.functional.normalize`.
  public func normalize(p: Double = 2, dims: [Int] = [1], eps: Double = 1e-12) throws -> Tensor {
    try self / lengths(p, dims, keepdim: true).atLeast(eps)
  }

  /// x · y / (|x| |y|) along a dimension, each norm at least eps. PyTorch: `torch.nn.functional.cosine_similarity`.
  public func cosineSimilarity(_ other: Tensor, dim: Int = 1, eps: Double = 1e-8) throws -> Tensor {
    try require(
      dtype.isFloatingPoint && other.dtype.isFloatingPoint,
      "expected common dtype to be floating point, yet common dtype is \(dtype.scalarTypeName)")
    let shape = try Shape.broadcast(self.shape, other.shape)
    let (x, y) = (try expand(shape), try other.expand(shape))
    let a = try x / x.lengths(2, [dim], keepdim: true).atLeast(eps)
    let b = try y / y.lengths(2, [dim], keepdim: true).atLeast(eps)
    return try (a * b).sum([dim])
  }

  /// The p-distances of all pairs of rows i < j of a matrix, in the order of (i, j). PyTorch: `torch.pdist`.
  public func pairDistances(p: Double = 2) throws -> Tensor {
    try require(rank == 2, "pdist only supports 2D tensors, got: \(rank)D")
    try require(dtype.isFloatingPoint, "pdist only supports floating-point dtypes")
    try require(p >= 0, "pdist only supports non-negative p values")
    let n = shape[0]
    if n < 2 { return try Tensor.zeros([0], dtype: dtype) }
    var parts: [Tensor] = []
    for i in 0..<(n - 1) {
      parts.append(try (select(0, i).unsqueeze(0) - narrow(0, i + 1, n - 1 - i)).lengths(p, [1], keepdim: false))
    }
    return try Tensor.cat(parts, 0)
  }
}
