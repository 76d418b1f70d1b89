/// Losses for samples with several labels, some of which are rare.
extension Tensor {
  /// Weights of labels from how often they are positive: (e^(alpha·(1 - rate)), e^(alpha·rate)) for positive and for
  /// negative labels. This tensor holds the rates, one for each label (Li et al., 2015, "Multi-attribute learning for
  /// pedestrian attribute recognition in surveillance scenarios", DeepMAR).
  public func deepMARWeights(alpha: Double = 1) throws -> (positive: Tensor, negative: Tensor) {
    try require(rank == 1, .value, "expected one rate for each label, got shape \(Shape.describe(shape))")
    let rates = dtype.isFloatingPoint ? self : try to(TypePromotion.defaultDType)
    let inside = try noGrad {
      try Binary.apply(.logicalAnd, .tensor(rates.compare(.ge, 0)), .tensor(rates.compare(.le, 1))).all().item()
    }
    try require(!inside.isZero, .value, "rates of positive labels must be between 0 and 1")
    return (
      try ((rates.negated() + 1.0) * .float(alpha)).unary(.exp), try (rates * .float(alpha)).unary(.exp)
    )
  }

  /// The weight of each element of a target (N, L) of zeros and ones: `positive[l]` or `negative[l]`.
  public func weightedLabels(positive: Tensor, negative: Tensor) throws -> Tensor {
    try require(
      rank >= 1 && positive.shape == [shape[rank - 1]] && negative.shape == positive.shape, .value,
      "weights for \(positive.count) labels do not fit targets of shape \(Shape.describe(shape))")
    return try noGrad {
      let isPositive = try compare(.eq, 1)
      let known = try Binary.apply(.logicalOr, .tensor(isPositive), .tensor(compare(.eq, 0)))
      try require(!(try known.all().item().isZero), .value, "labels must be 0 or 1")
      return try whereSelect(isPositive, .tensor(positive), .tensor(negative)).clone()
    }
  }

  /// Binary cross entropy of logits, each element weighted by its label's rate: see `deepMARWeights`.
  public func deepMARLoss(
    _ target: Tensor, rate: Tensor, alpha: Double = 1, reduction: LossReduction = .mean
  ) throws -> Tensor {
    try require(
      target.shape == shape, .value,
      "Target size (\(Shape.size(target.shape))) must be the same as input size (\(Shape.size(shape)))")
    let (positive, negative) = try noGrad { try rate.to(dtype).deepMARWeights(alpha: alpha) }
    let weight = try target.weightedLabels(positive: positive, negative: negative)
    return try binaryCrossEntropyWithLogits(try target.to(dtype), weight: weight, reduction: reduction)
  }

  /// Each positive label against the sample's negative ones: Σ -ln(e^x[p] / (e^x[p] + Σₙ e^x[n]·w[n, p])) over the
  /// positive labels p, w[n, ·] being the softmax of conditional[n, ·] over the sample's positive labels.
  ///
  /// The mean is over all positive labels of the batch; `none` gives the sum for each sample.
  ///
  /// - Parameter conditional: (L, L), how strongly label n goes with label p; nil: all alike.
  public func multilabelSoftmaxLoss(
    _ target: Tensor, conditional: Tensor? = nil, reduction: LossReduction = .mean
  ) throws -> Tensor {
    try require(rank == 2, .value, "expected predictions of shape (N, L), got \(Shape.describe(shape))")
    try require(
      target.shape == shape, .value,
      "Target size (\(Shape.size(target.shape))) must be the same as input size (\(Shape.size(shape)))")
    let (n, labels) = (shape[0], shape[1])
    let y = try target.to(dtype)
    let shares = try noGrad { () -> Tensor in
      let known = try Binary.apply(.logicalOr, .tensor(y.compare(.eq, 1)), .tensor(y.compare(.eq, 0)))
      try require(!(try known.all().item().isZero), .value, "labels must be 0 or 1")
      guard let conditional else {
        return try (y / y.sum([1], keepdim: true).atLeast(1)).unsqueeze(1).expand([n, labels, labels])
      }
      try require(
        conditional.shape == [labels, labels], .value,
        "expected conditional probabilities of shape [\(labels), \(labels)], got \(Shape.describe(conditional.shape))")
      // A sample without positive labels has no shares at all, and no terms.
      let given = try conditional.to(dtype).unsqueeze(0).expand([n, labels, labels])
      let positive = try y.unsqueeze(1).compare(.gt, 0)
      let hidden = try whereSelect(positive, .tensor(given), .scalar(.float(-1e30)))
      return try hidden.softmax(2) * y.unsqueeze(1)
    }
    // Relative to the sample's largest negative score, so that nothing overflows or vanishes.
    let isNegative = try noGrad { try y.compare(.eq, 0) }
    let top = try noGrad { () -> Tensor in
      if labels == 0 { return try Tensor.zeros([n, 1], dtype: dtype) }
      let highest = try whereSelect(isNegative, .tensor(self), .scalar(.float(-1e30))).amax([1], keepdim: true)
      return try whereSelect(try highest.compare(.gt, -1e30), .tensor(highest), .scalar(0.0))
    }
    let relative = try whereSelect(isNegative, .tensor(self - top), .scalar(.float(-.infinity)))
    let against = try relative.unary(.exp).unsqueeze(1).matmul(shares).squeeze([1])
    let valid = try noGrad {
      try Binary.apply(.logicalAnd, .tensor(y.compare(.gt, 0)), .tensor(against.compare(.gt, 0)))
    }
    let safe = try whereSelect(valid, .tensor(against), .scalar(1.0))
    let terms = try (self - safe.unary(.log) - top).unary(.logSigmoid).negated()
    let losses = try whereSelect(valid, .tensor(terms), .scalar(0.0)).sum([1])
    if reduction == .mean { return try losses.sum() / y.sum().atLeast(1) }
    return try losses.reduced(reduction)
  }
}
