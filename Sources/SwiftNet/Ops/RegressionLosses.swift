import KernelTypes

/// Losses that compare two tensors element by element. Shapes broadcast; names and formulas as in
/// `torch.nn.functional`.
extension Tensor {
  /// (x - y)².
  public func mseLoss(_ target: Tensor, weight: Tensor? = nil, reduction: LossReduction = .mean) throws -> Tensor {
    if let out = try autocast(
      .float32, [self, target, weight], { try $0[0].mseLoss($0[1], weight: $0[optional: 2], reduction: reduction) })
    {
      return out
    }
    // Of what is still to be computed the squares are folded as it is computed.
    if weight == nil, !isDeferred, !target.isDeferred {
      let fused = try fusedLoss(
        "MseLoss", target, reduction, kernels.loss.squareSums, kernels.loss.squareGradient,
        BinaryLossSettings()
      ) { x, y in try (x - y).unary(.square).reduced(reduction) }
      if let fused { return fused }
    }
    return try (self - target).unary(.square).reduced(reduction, weight: weight)
  }

  /// |x - y|.
  public func l1Loss(_ target: Tensor, weight: Tensor? = nil, reduction: LossReduction = .mean) throws -> Tensor {
    if let out = try autocast(
      .float32, [self, target, weight], { try $0[0].l1Loss($0[1], weight: $0[optional: 2], reduction: reduction) })
    {
      return out
    }
    return try (self - target).unary(.abs).reduced(reduction, weight: weight)
  }

  /// (x - y)² / (2 beta) where |x - y| < beta, otherwise |x - y| - beta / 2.
  public func smoothL1Loss(
    _ target: Tensor, beta: Double = 1, reduction: LossReduction = .mean
  ) throws -> Tensor {
    if let out = try autocast(
      .float32, [self, target], { try $0[0].smoothL1Loss($0[1], beta: beta, reduction: reduction) })
    {
      return out
    }
    try require(beta >= 0, "smooth_l1_loss does not support negative values for beta.")
    if beta == 0 { return try l1Loss(target, reduction: reduction) }
    let difference = try self - target
    let distance = try difference.unary(.abs)
    let near = try difference * difference * .float(0.5 / beta)
    return try distance.compare(.lt, beta).choose(near, else: distance - .float(0.5 * beta)).reduced(reduction)
  }

  /// (x - y)² / 2 where |x - y| < delta, otherwise delta · (|x - y| - delta / 2).
  public func huberLoss(
    _ target: Tensor, delta: Double = 1, weight: Tensor? = nil, reduction: LossReduction = .mean
  ) throws -> Tensor {
    if let out = try autocast(
      .float32, [self, target, weight],
      { try $0[0].huberLoss($0[1], delta: delta, weight: $0[optional: 2], reduction: reduction) })
    {
      return out
    }
    try require(delta > 0, "huber_loss does not support non-positive values for delta.")
    let difference = try self - target
    let distance = try difference.unary(.abs)
    let far = try (distance - .float(0.5 * delta)) * .float(delta)
    let loss = try distance.compare(.lt, delta).choose(difference * difference * 0.5, else: far)
    if let weight {
      try require(weight.shape == loss.shape, .value, "Weights and input must have the same size.")
      return try (loss * weight).reduced(reduction)
    }
    return try loss.reduced(reduction)
  }

  /// Kullback-Leibler divergence, pointwise: y · (ln y - x), x being logarithms; `logTarget`: y is one too.
  public func klDivergence(
    _ target: Tensor, logTarget: Bool = false, reduction: LossReduction = .mean
  ) throws -> Tensor {
    if let out = try autocast(
      .float32, [self, target], { try $0[0].klDivergence($0[1], logTarget: logTarget, reduction: reduction) })
    {
      return out
    }
    if logTarget { return try (target.unary(.exp) * (target - self)).reduced(reduction) }
    return try (Binary.apply(.xlogy, .tensor(target), .tensor(target)) - target * self).reduced(reduction)
  }

  /// Negative log likelihood of a Poisson distribution: eˣ - y·x, or x - y·ln(x + eps); `full` adds Stirling's
  /// approximation of ln y! for y > 1.
  public func poissonNLLLoss(
    _ target: Tensor, logInput: Bool = true, full: Bool = false, eps: Double = 1e-8, reduction: LossReduction = .mean
  ) throws -> Tensor {
    if let out = try autocast(
      .float32, [self, target],
      { try $0[0].poissonNLLLoss($0[1], logInput: logInput, full: full, eps: eps, reduction: reduction) })
    {
      return out
    }
    var loss =
      logInput ? try unary(.exp) - target * self : try self - target * (self + .float(eps)).unary(.log)
    if full {
      let stirling = try target * target.unary(.log) - target + (target * .float(2 * Double.pi)).unary(.log) * 0.5
      loss = try loss + whereSelect(try target.compare(.gt, 1), .tensor(stirling), .scalar(0.0))
    }
    return try loss.reduced(reduction)
  }

  /// Negative log likelihood of a Gaussian distribution with the given variance (at least eps):
  /// (ln v + (x - y)² / v) / 2, and ln(2π) / 2 if `full`.
  public func gaussianNLLLoss(
    _ target: Tensor, variance: Tensor, full: Bool = false, eps: Double = 1e-6, reduction: LossReduction = .mean
  ) throws -> Tensor {
    var variance = variance
    if variance.shape != shape {
      if variance.shape == Array(shape.dropLast()) {
        variance = try variance.unsqueeze(-1)
      } else {
        let fits = variance.rank == rank && variance.shape.dropLast() == shape.dropLast() && variance.shape.last == 1
        try require(fits || variance.count == 1 && variance.rank == 0, .value, "var is of incorrect size")
      }
    }
    let negative = try noGrad { try variance.compare(.lt, 0).any().item() }
    try require(negative.isZero, .value, "var has negative entry/entries")
    // The limit does not take part in the gradient.
    let lift = try noGrad { try variance.atLeast(eps) - variance }
    let bounded = try variance + lift
    let difference = try self - target
    var loss = try (bounded.unary(.log) + difference * difference / bounded) * 0.5
    if full { loss = try loss + .float(0.5 * log(2 * Double.pi)) }
    return try loss.reduced(reduction)
  }
}
