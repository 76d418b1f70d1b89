import KernelTypes

/// Cross entropies of segmentations, plain, focused on what is hard, and mixed with losses of overlap.
extension Tensor {
  /// alpha · (1 - e^(-B))^gamma · B, B being the mean binary cross entropy: the focal form of the whole batch's loss.
  public func meanFocalLoss(
    _ target: Tensor, _ options: SegmentationOptions = SegmentationOptions(), alpha: Double = 0.8, gamma: Double = 2
  ) throws -> Tensor {
    let pair = try SegmentationPair(self, target, options)
    let b = try pair.meanEntropy(shape)
    let focus = try (b.negated().unary(.exp).negated() + 1.0).raised(gamma)
    return try (focus * b * .float(alpha)).to(dtype)
  }

  /// (1 - p)^gamma · -ln p with p the probability of what is true at a position (Lin et al., 2017,
  /// https://arxiv.org/abs/1708.02002): of each class on its own (binary, multilabel), or softmax over the classes.
  ///
  /// - Parameters:
  ///   - alpha: factor of positive positions, 1 - alpha being that of negative ones; binary and multilabel only.
  ///   - weight: of each class.
  ///   - threshold: where p is below, the factor is 1; elsewhere it is ((1 - p) / threshold)^gamma.
  ///   - normalized: divide by the sum of the factors.
  public func focalLoss(
    _ target: Tensor, _ options: SegmentationOptions = SegmentationOptions(), alpha: Double? = nil,
    gamma: Double = 2, weight: Tensor? = nil, threshold: Double? = nil, normalized: Bool = false,
    reduction: LossReduction = .mean
  ) throws -> Tensor {
    let pair = try SegmentationPair(self, target, options)
    let classes = pair.scores.shape[1]
    if let weight {
      try require(
        weight.shape == [classes], .value,
        "expected a weight for each of \(classes) classes, got \(Shape.describe(weight.shape))")
    }
    let isPlain = options.mode != .multiclass && options.fromLogits && pair.counted == nil && weight == nil
    if isPlain, threshold == nil, !normalized, gamma >= 0 {
      var settings = BinaryLossSettings()
      settings.gamma = gamma
      (settings.positive, settings.negative) = (alpha ?? 1, 1 - (alpha ?? 0))
      let loss = try pair.scores.fusedLoss(
        "FocalLoss", pair.truth, reduction, kernels.loss.focalSums, kernels.loss.focalGradient, settings
      ) { x, y in try x.focalFormula(y, settings, reduction) }
      if let loss { return try loss.to(dtype) }
    }
    let classWeight = try weight?.to(pair.scores.dtype).reshape([1, classes, 1])
    let (entropy, factor, outShape): (Tensor, Tensor?, [Int])
    if options.mode == .multiclass {
      try require(alpha == nil, .value, "focal_loss: alpha is for binary and multilabel targets; use weight")
      let logs = try options.fromLogits ? pair.scores.logSoftmax(1) : pair.scores.unary(.log)
      entropy = try (logs * pair.truth).sum([1], keepdim: true).negated()
      factor = try classWeight.map { try (pair.truth * $0).sum([1], keepdim: true) }
      outShape = [shape[0]] + shape.dropFirst(2)
    } else {
      entropy = try pair.crossEntropies()
      let balance = try alpha.map { try pair.truth * .float(2 * $0 - 1) + .float(1 - $0) }
      switch (balance, classWeight) {
      case (let balance?, let classWeight?): factor = try balance * classWeight
      default: factor = balance ?? classWeight
      }
      outShape = shape
    }
    let p = try entropy.negated().unary(.exp)
    var focus = try p.negated() + 1.0
    if let threshold {
      let hard = try noGrad { try p.compare(.lt, threshold) }
      focus = try whereSelect(hard, .scalar(1.0), .tensor((focus / .float(threshold)).raised(gamma)))
    } else {
      focus = try focus.raised(gamma)
    }
    var losses = try focus * entropy
    if let factor { losses = try losses * factor }
    if normalized {
      let counted = try pair.counted.map { try focus * $0 } ?? focus
      losses = try losses / counted.sum().atLeast(1e-7)
    }
    return try pair.combined(positions: losses, reduction, shape: outShape).to(dtype)
  }

  /// The plain form in differentiable operations.
  private func focalFormula(_ target: Tensor, _ settings: BinaryLossSettings, _ reduction: LossReduction) throws
    -> Tensor
  {
    let entropy = try binaryCrossEntropyWithLogits(target, reduction: .none)
    let focus = try (entropy.negated().unary(.exp).negated() + 1.0).raised(settings.gamma)
    let balance = try target * .float(settings.positive - settings.negative) + .float(settings.negative)
    return try (focus * entropy * balance).reduced(reduction)
  }

  /// Binary cross entropy with softened targets: y·(1 - smoothing) + (1 - y)·smoothing. The mean is over the positions
  /// that count.
  ///
  /// - Parameters:
  ///   - weight: a factor that broadcasts to the predictions.
  ///   - positiveWeight: of the positive part, one number or one for each class.
  public func softBCELoss(
    _ target: Tensor, _ options: SegmentationOptions = SegmentationOptions(), smoothing: Double = 0,
    weight: Tensor? = nil, positiveWeight: Tensor? = nil, reduction: LossReduction = .mean
  ) throws -> Tensor {
    var options = options
    if options.mode == .binary, rank >= 2, positiveWeight.map({ $0.count > 1 }) ?? false { options.mode = .multilabel }
    try require(options.mode != .multiclass, .value, "soft_bce_loss: the target must be binary or multilabel")
    let pair = try SegmentationPair(self, target, options)
    if smoothing == 0, weight == nil, positiveWeight == nil, reduction == .mean {
      return try pair.meanEntropy(shape).to(dtype)
    }
    var losses = try pair.crossEntropies(smoothing: smoothing, positiveWeight: positiveWeight)
    if let weight { losses = try losses.reshape(shape) * weight.to(losses.dtype) }
    if losses.shape != pair.scores.shape { losses = try losses.reshape(pair.scores.shape) }
    return try pair.combined(positions: losses, reduction, shape: shape).to(dtype)
  }

  /// Binary cross entropy plus Dice loss, weighted.
  public func diceBCELoss(
    _ target: Tensor, _ options: SegmentationOptions = SegmentationOptions(), smooth: Double = 1, eps: Double = 1e-7,
    entropyWeight: Double = 1, diceWeight: Double = 1, weight: Tensor? = nil
  ) throws -> Tensor {
    let pair = try SegmentationPair(self, target, options)
    let totals = try pair.totals(entropy: true)
    let entropy: Tensor
    if options.mode == .multiclass {
      let logs = try options.fromLogits ? pair.scores.logSoftmax(1) : pair.scores.unary(.log)
      let losses = try (logs * pair.truth).sum([1], keepdim: true).negated()
      entropy = try pair.combined(positions: losses, .mean, shape: [])
    } else if let sums = totals.entropy {
      entropy = try sums.sum() / .float(Double(pair.scores.count))
    } else {
      entropy = try pair.meanEntropy(shape)
    }
    let overlap = try pair.overlapLosses(totals, eps) { both, p, y in
      (try both * 2.0 + .float(smooth), try p + y + .float(smooth))
    }
    let dice = try pair.combined(overlap, weight: weight, .mean).to(dtype)
    return try entropy.to(dtype) * .float(entropyWeight) + dice * .float(diceWeight)
  }

  /// alpha · weighted cross entropy - (1 - alpha) · Dice score, where beta weighs the positive part of the cross entropy
  /// and 1 - beta the negative one (Taghanaki et al., 2019, https://arxiv.org/abs/1805.02798).
  public func comboLoss(
    _ target: Tensor, _ options: SegmentationOptions = SegmentationOptions(), alpha: Double = 0.5, beta: Double = 0.5,
    smooth: Double = 1, eps: Double = 1e-7
  ) throws -> Tensor {
    try require(options.mode != .multiclass, .value, "combo_loss: the target must be binary or multilabel")
    let pair = try SegmentationPair(self, target, options)
    let balance = try pair.truth * .float(2 * beta - 1) + .float(1 - beta)
    let entropy = try pair.combined(positions: pair.crossEntropies() * balance, .mean, shape: shape)
    let dice = try diceLoss(target, options, smooth: smooth, eps: eps).negated() + 1.0
    return try entropy.to(dtype) * .float(alpha) - dice * .float(1 - alpha)
  }
}
