/// Activations with names, defaults and checks as in `torch.nn.functional`. Their kernels and derivatives are in the
/// table `Unary`.
extension Tensor {
  public func relu() throws -> Tensor { try unary(.relu) }
  public func sigmoid() throws -> Tensor { try unary(.sigmoid) }
  public func tanh() throws -> Tensor { try unary(.tanh) }

  /// x for x > 0, otherwise slope · x.
  public func leakyRelu(_ slope: Double = 0.01) throws -> Tensor { try unary(.leakyRelu, Scalars(slope)) }

  /// x for x > 0, otherwise alpha · (eˣ - 1).
  public func elu(_ alpha: Double = 1) throws -> Tensor { try unary(.elu, Scalars(alpha, 1, 1)) }

  /// GELU, x · Φ(x); `tanh` selects its approximation.
  public func gelu(tanh: Bool = false) throws -> Tensor { try unary(.gelu, Scalars(tanh ? 1 : 0)) }

  /// ln(1 + e^(beta·x)) / beta, and x itself where beta · x exceeds the threshold.
  public func softplus(beta: Double = 1, threshold: Double = 20) throws -> Tensor {
    try unary(.softplus, Scalars(beta, threshold))
  }

  /// PReLU: x for x > 0, otherwise weight · x, with one weight or one for each channel (dimension 1).
  public func prelu(_ weight: Tensor) throws -> Tensor {
    if let out = try autocast(.lower, [self, weight], { try $0[0].prelu($0[1]) }) { return out }
    try require(
      dtype == weight.dtype, "prelu: Type promoting not supported. Got \(dtype.name) and \(weight.dtype.name)")
    if weight.count != 1 {
      try require(
        weight.rank <= 1, "prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = \(weight.rank)")
      try require(rank > 0, "Not allow zero-dim input tensor.")
      let channels = rank > 1 ? shape[1] : 1
      try require(
        channels == weight.count,
        "Mismatch of parameter numbers and input channel size. Found parameter numbers = \(weight.count) and channel "
          + "size = \(channels).")
      var view = [Int](repeating: 1, count: max(rank, 2))
      view[1] = weight.count
      return try Binary.apply(.prelu, .tensor(self), .tensor(weight.reshape(view)))
    }
    let single = try weight.reshape(rank == 0 ? [] : [Int](repeating: 1, count: rank))
    return try Binary.apply(.prelu, .tensor(self), .tensor(single))
  }

  /// The first half of a dimension times the sigmoid of the second.
  public func glu(_ dim: Int = -1) throws -> Tensor {
    try require(rank > 0, "glu does not support 0-dimensional tensors")
    try require(
      dtype.isFloatingPoint, .notImplemented, "\"glu_cpu\" not implemented for '\(dtype.scalarTypeName)'")
    let d = try Shape.dimension(dim, rank: rank)
    try require(
      shape[d] % 2 == 0, "Halving dimension must be even, but dimension \(d) is size \(shape[d])")
    let half = shape[d] / 2
    return try narrow(d, 0, half) * narrow(d, half, half).unary(.sigmoid)
  }

  /// Randomised leaky ReLU: in training each x ≤ 0 is scaled by a slope of its own, uniform in [lower, upper];
  /// otherwise by their mean.
  public func rrelu(
    _ lower: Double = 1.0 / 8, _ upper: Double = 1.0 / 3, training: Bool = false, generator: Generator = .shared
  ) throws -> Tensor {
    try require(
      lower <= upper,
      "Lower bound should be less than or equal to the upper bound")
    try require(
      dtype.isFloatingPoint, .notImplemented,
      "\"rrelu_with_noise_out_cpu\" not implemented for '\(dtype.scalarTypeName)'")
    guard training else { return try leakyRelu((lower + upper) / 2) }
    let slopes = try noGrad { () -> Tensor in
      let wide = try to(.float64).contiguous()
      let x = try wide.pointer().assumingMemoryBound(to: Double.self)
      let negative = (0..<count).reduce(0) { x[$1] <= 0 ? $0 + 1 : $0 }
      let draws = try Tensor(empty: [negative], dtype: .float64)
      let u = try draws.mutablePointer().assumingMemoryBound(to: Double.self)
      generator.uniforms(u, count: negative)
      let result = try Tensor(empty: shape, dtype: .float64)
      let slope = try result.mutablePointer().assumingMemoryBound(to: Double.self)
      var next = 0
      for i in 0..<count {
        if x[i] <= 0 {
          slope[i] = lower + u[next] * (upper - lower)
          next += 1
        } else {
          slope[i] = 1
        }
      }
      return try result.to(dtype)
    }
    return try self * slopes
  }
}
