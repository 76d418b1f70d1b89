/// Division by a norm, and distances of all pairs.
extension Tensor {
  /// max(x, limit); NaN stays NaN.
  func atLeast(_ limit: Double) throws -> Tensor { try unary(.clampScalar, Scalars(limit, .infinity)) }

  /// Divided by its p-norm along dimensions, or by eps where that is greater. PyTorch:
  /// `torch.nn.functional.normalize`.
  public func normalize(p: Double = 2, dims: [Int] = [1], eps: Double = 1e-12) throws -> Tensor {
    try self / vectorNorm(p, dims, keepdim: true).atLeast(eps)
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
      parts.append(try (select(0, i).unsqueeze(0) - narrow(0, i + 1, n - 1 - i)).vectorNorm(p, [1]))
    }
    return try Tensor.cat(parts, 0)
  }
}
