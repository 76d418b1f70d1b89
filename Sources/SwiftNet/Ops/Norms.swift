#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Norms, distances, and reductions that take a logarithm or leave out NaN.
extension Tensor {
  /// (Σ |x|^p)^(1/p) over dimensions; p = ±inf: the largest or smallest |x|, p = 0: the number of nonzeros.
  public func vectorNorm(
    _ p: Double = 2, _ dims: [Int]? = nil, keepdim: Bool = false, dtype: DType? = nil
  ) throws -> Tensor {
    try require(
      self.dtype.isFloatingPoint,
      "linalg.vector_norm: Expected a floating point or complex tensor as input. Got \(self.dtype.scalarTypeName)"
    )
    if let dtype, dtype != self.dtype { return try to(dtype).vectorNorm(p, dims, keepdim: keepdim) }
    let mask = try reductionMask(dims)
    if p.isInfinite || p < 0 {
      for d in shape.indices where mask[d] {
        try require(
          shape[d] > 0,
          "linalg.vector_norm cannot compute the \(p) norm on the dimension \(d) because this dimension is empty and "
            + "the operation does not have an identity")
      }
    }
    let out = try noGrad { try norm(p, mask, keepdim) }
    return try out.recorded("LinalgVectorNorm", self, saving: [self, out]) { context in
      let x = try context.saved(0)
      let grad = try Tensor.expandReduced(context.grad, x.shape, mask, keepdim: keepdim)
      let norm = try Tensor.expandReduced(context.saved(1), x.shape, mask, keepdim: keepdim)
      return [p == 0 ? nil : try x.normGradient(p, grad, norm, mask)]
    }
  }

  private func norm(_ p: Double, _ mask: [Bool], _ keepdim: Bool) throws -> Tensor {
    if p == 2 || p == 1 {
      var reduced = try reduce(p == 2 ? .sumSquares : .sumAbs, mask, keepdim: keepdim)
      if p == 2 { reduced.map { $0.squareRoot() } }
      return try reduced.tensor(dtype)
    }
    if p == 0 { return try reduce(.countNonzero, mask, keepdim: keepdim, lane: floatLane).tensor(dtype) }
    let magnitude = try unary(.abs)
    if p.isInfinite {
      return try magnitude.reduce(p > 0 ? .max : .min, mask, keepdim: keepdim).tensor(dtype)
    }
    let powers = try Binary.apply(.pow, .tensor(magnitude), .scalar(.float(p)))
    var reduced = try powers.reduce(.sum, mask, keepdim: keepdim)
    reduced.map { pow($0, 1 / p) }
    return try reduced.tensor(dtype)
  }

  /// ∂‖x‖ / ∂x · grad; `grad` and `norm` have the shape of x. 0 where the norm is.
  private func normGradient(_ p: Double, _ grad: Tensor, _ norm: Tensor, _ mask: [Bool]) throws -> Tensor {
    if p == 1 { return try grad * unary(.sgn) }
    if p.isInfinite {
      let reached = try Binary.apply(.eq, .tensor(unary(.abs)), .tensor(norm)).to(dtype)
      let dims = mask.indices.filter { mask[$0] }
      return try grad * unary(.sgn) * (reached / (dims.isEmpty ? reached : reached.sum(dims, keepdim: true)))
    }
    let isZero = try Binary.apply(.eq, .tensor(norm), .scalar(0))
    if p == 2 {
      let safe = try whereSelect(isZero, .scalar(1.0), .tensor(norm))
      return try whereSelect(isZero, .scalar(0.0), .tensor(grad * (self / safe)))
    }
    // sgn(x) (|x| / ‖x‖)^(p-1), where an element 0 counts as none below p = 2.
    let zero = try Binary.apply(.eq, .tensor(self), .scalar(0))
    let safeNorm = try whereSelect(isZero, .scalar(1.0), .tensor(norm))
    let safe = try whereSelect(zero, .scalar(1.0), .tensor(self))
    let ratio = try safe.unary(.abs) / safeNorm
    let slope = try safe.unary(.sgn) * Binary.apply(.pow, .tensor(ratio), .scalar(.float(p - 1)))
    return try whereSelect(zero, .scalar(0.0), .tensor(grad * slope))
  }

  /// Matrix norms over the two given dimensions: Frobenius, or the largest (smallest) sum of magnitudes of columns
  /// (1, -1) or rows (inf, -inf).
  public func matrixNorm(_ order: Double?, _ dims: [Int] = [-2, -1], keepdim: Bool = false) throws -> Tensor {
    try require(
      rank >= 2, "linalg.matrix_norm: The input tensor A must have at least 2 dimensions.")
    try require(
      dims.count == 2, "linalg.matrix_norm: dim must be a 2-tuple. Got \(Shape.describe(dims))")
    let d = try Shape.dimensions(dims, rank: rank)
    guard let order else { return try vectorNorm(2, d, keepdim: keepdim) }
    try require(
      abs(order) == 1 || order.isInfinite, .notImplemented,
      "linalg.matrix_norm: Order \(order) not supported: 'fro', 1, -1, inf and -inf are")
    let summed = abs(order) == 1 ? d[0] : d[1]
    let chosen = abs(order) == 1 ? d[1] : d[0]
    let sums = try unary(.abs).sum([summed], keepdim: true)
    let result = try order > 0 ? sums.amax([chosen], keepdim: true) : sums.amin([chosen], keepdim: true)
    return try keepdim ? result : result.squeeze(d)
  }

  /// ln Σ exp(x) over dimensions, without overflow.
  public func logsumexp(_ dims: [Int]?, keepdim: Bool = false) throws -> Tensor {
    let x = dtype.isFloatingPoint ? self : try to(TypePromotion.defaultDType)
    let mask = try x.reductionMask(dims)
    var tops = try x.reduce(.max, mask, keepdim: keepdim)
    tops.map { $0.isInfinite ? 0 : $0 }
    var reduced = try x.reduce(.sumExp, mask, keepdim: keepdim, parameters: tops.doubles)
    let offsets = tops.doubles
    var position = 0
    reduced.map {
      defer { position += 1 }
      return log($0) + offsets[position]
    }
    let out = try reduced.tensor(x.dtype)
    return try out.recorded("Logsumexp", x, saving: [x, out]) { context in
      let x = try context.saved(0)
      let y = try Tensor.expandReduced(context.saved(1), x.shape, mask, keepdim: keepdim)
      return [try Tensor.expandReduced(context.grad, x.shape, mask, keepdim: keepdim) * (x - y).unary(.exp)]
    }
  }

  /// Σ of the elements that are not NaN.
  public func nansum(_ dims: [Int]? = nil, keepdim: Bool = false, dtype: DType? = nil) throws -> Tensor {
    guard self.dtype.isFloatingPoint else { return try sum(dims, keepdim: keepdim, dtype: dtype) }
    return try withoutNaN().sum(dims, keepdim: keepdim, dtype: dtype)
  }

  /// The mean of the elements that are not NaN.
  public func nanmean(_ dims: [Int]? = nil, keepdim: Bool = false, dtype: DType? = nil) throws -> Tensor {
    try require(
      self.dtype.isFloatingPoint,
      "nanmean(): expected input to have floating point or complex dtype but got \(self.dtype.scalarTypeName)"
    )
    let numbers = try noGrad { try unary(.isnan).unary(.logicalNot).sum(dims, keepdim: keepdim) }
    return try withoutNaN().sum(dims, keepdim: keepdim, dtype: dtype) / numbers
  }

  private func withoutNaN() throws -> Tensor {
    try whereSelect(try noGrad { try unary(.isnan) }, .scalar(0.0), .tensor(self))
  }

  /// The p-norm of the difference of two tensors.
  public func dist(_ other: Tensor, _ p: Double = 2) throws -> Tensor {
    try (self - other).vectorNorm(p)
  }

  /// Distances between all rows of two (stacks of) matrices: [.., P, M] and [.., R, M] to [.., P, R].
  ///
  /// - Parameter usesProducts: whether Euclidean distances come from a matrix product, √(‖a‖² + ‖b‖² - 2 a·b): much faster,
  ///   and less exact for rows that are close to each other. By default where there are more than 25 rows, as in PyTorch.
  public func cdist(_ other: Tensor, _ p: Double = 2, usesProducts: Bool? = nil) throws -> Tensor {
    let wide = try autocast(.float32, [self, other]) { try $0[0].cdist($0[1], p, usesProducts: usesProducts) }
    if let wide { return wide }
    try require(
      dtype.isFloatingPoint, "cdist only supports floating-point dtypes, X1 got: \(dtype.scalarTypeName)")
    try require(
      other.dtype.isFloatingPoint,
      "cdist only supports floating-point dtypes, X2 got: \(other.dtype.scalarTypeName)")
    try require(rank >= 2, "cdist only supports at least 2D tensors, X1 got: \(rank)D")
    try require(other.rank >= 2, "cdist only supports at least 2D tensors, X2 got: \(other.rank)D")
    try require(
      shape[rank - 1] == other.shape[other.rank - 1],
      "X1 and X2 must have the same number of columns. X1: \(shape[rank - 1]) X2: \(other.shape[other.rank - 1])"
    )
    try require(p >= 0, "cdist only supports non-negative p values")
    let isLarge = max(shape[rank - 2], other.shape[other.rank - 2]) > 25
    if p == 2, usesProducts ?? isLarge, dtype == other.dtype, !dtype.isNarrow, count > 0, other.count > 0 {
      let stack = try Shape.broadcast(Array(shape.dropLast(2)), Array(other.shape.dropLast(2)))
      return try expand(stack + shape.suffix(2)).euclideanDistances(try other.expand(stack + other.shape.suffix(2)))
    }
    return try (unsqueeze(-2) - other.unsqueeze(-3)).vectorNorm(p, [-1])
  }

  private func euclideanDistances(_ other: Tensor) throws -> Tensor {
    let out = try noGrad {
      let (a, b) = (try (self * self).sum([-1], keepdim: true), try (other * other).sum([-1]).unsqueeze(-2))
      return try (a + b - matmul(other.transpose(-2, -1)) * 2.0).atLeast(0).unary(.sqrt)
    }
    return try out.recorded("EuclideanDist", self, other, saving: [self, other, out]) { context in
      let (a, b, distances) = (try context.saved(0), try context.saved(1), try context.saved(2))
      // At a distance of 0 the subgradient 0.
      let isZero = try Binary.apply(.eq, .tensor(distances), .scalar(0.0))
      let ratio = try whereSelect(isZero, .scalar(0.0), .tensor(try context.grad / distances))
      return [
        context.needs(0) ? try a * ratio.sum([-1], keepdim: true) - ratio.matmul(b) : nil,
        context.needs(1)
          ? try b * ratio.sum([-2]).unsqueeze(-1) - ratio.transpose(-2, -1).matmul(a) : nil,
      ]
    }
  }

  /// ‖x1 - x2 + eps‖ along the last dimension.
  public func pairwiseDistance(_ other: Tensor, p: Double = 2, eps: Double = 1e-6, keepdim: Bool = false)
    throws -> Tensor
  {
    try (self - other + .float(eps)).vectorNorm(p, [-1], keepdim: keepdim)
  }

  /// Σ a·b / (max(‖a‖, eps) · max(‖b‖, eps)) along a dimension.
  public func cosineSimilarity(_ other: Tensor, _ dim: Int = 1, eps: Double = 1e-8) throws -> Tensor {
    let dtype = TypePromotion.promote(self.dtype, other.dtype)
    try require(
      dtype.isFloatingPoint,
      "expected common dtype to be floating point, yet common dtype is \(dtype.scalarTypeName)")
    let (a, b) = (try to(dtype), try other.to(dtype))
    let shape = try Shape.broadcast(a.shape, b.shape)
    let d = try Shape.dimension(dim, rank: shape.count)
    let (x, y) = (try a.expand(shape), try b.expand(shape))
    let dims = shape.isEmpty ? nil : [d]
    func unit(_ v: Tensor) throws -> Tensor {
      try v / v.vectorNorm(2, dims, keepdim: true).clamp(.scalar(.float(eps)), nil)
    }
    return try (unit(x) * unit(y)).sum(dims)
  }

  /// Slices along a dimension whose p-norm exceeds `limit`, scaled down to it.
  public func renorm(_ p: Double, _ dim: Int, _ limit: Double) throws -> Tensor {
    try require(dtype.isFloatingPoint, "renorm: input must be a floating point tensor")
    try require(p > 0, "renorm: non-positive-norm not supported")
    try require(rank > 1, "renorm: input needs at least 2 dimensions, got \(rank) dimensions")
    try require(limit >= 0, "renorm: expected maxnorm to be >= 0 but got \(limit)")
    let d = try Shape.dimension(dim, rank: rank)
    let norms = try vectorNorm(p, shape.indices.filter { $0 != d }, keepdim: true)
    let over = try Binary.apply(.gt, .tensor(norms), .scalar(.float(limit)))
    let factor = try Binary.apply(.div, .scalar(.float(limit)), .tensor(norms + 1e-7))
    return try self * whereSelect(over, .tensor(factor), .scalar(1.0))
  }

  /// The vector product along a dimension of size 3; by default the first such dimension.
  public func cross(_ other: Tensor, _ dim: Int? = nil) throws -> Tensor {
    let shape = try Shape.broadcast(self.shape, other.shape)
    let (a, b) = (try expand(shape), try other.expand(shape))
    let d: Int
    if let dim {
      d = try Shape.dimension(dim, rank: shape.count)
    } else {
      guard let first = shape.firstIndex(of: 3) else {
        throw SwiftNetError.runtime("no dimension of size 3 in input")
      }
      d = first
    }
    try require(
      !shape.isEmpty && shape[d] == 3,
      "linalg.cross: inputs dimension \(dim ?? d) must have length 3. Got \(self.shape) and \(other.shape)")
    func turned(_ x: Tensor, _ by: Int) throws -> Tensor {
      try Tensor.cat([x.narrow(d, by, 3 - by), x.narrow(d, 0, by)], d)
    }
    return try turned(a, 1) * turned(b, 2) - turned(a, 2) * turned(b, 1)
  }
}
