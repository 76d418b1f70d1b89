/// Losses of how far a predicted region and the true one overlap. With p the predicted probabilities, y the truth,
/// TP = Σ p·y, FP = Σ p·(1 - y) and FN = Σ (1 - p)·y over all positions of a class (and all images, unless
/// `perImage`), each is 1 - score, or -ln score in the logarithmic form.
extension Tensor {
  /// Score (2·TP + smooth) / (Σ p + Σ y + smooth) (Milletari et al., 2016, https://arxiv.org/abs/1606.04797).
  ///
  /// - Parameters:
  ///   - weight: of each class.
  ///   - eps: the least denominator.
  public func diceLoss(
    _ target: Tensor, _ options: SegmentationOptions = SegmentationOptions(), smooth: Double = 1, eps: Double = 1e-7,
    logarithmic: Bool = false, weight: Tensor? = nil, reduction: LossReduction = .mean
  ) throws -> Tensor {
    try overlapLoss(target, options, eps, logarithmic, weight, reduction) { both, p, y in
      (try both * 2.0 + .float(smooth), try p + y + .float(smooth))
    }
  }

  /// Score (TP + smooth) / (Σ p + Σ y - TP + smooth): intersection over union.
  public func jaccardLoss(
    _ target: Tensor, _ options: SegmentationOptions = SegmentationOptions(), smooth: Double = 1, eps: Double = 1e-7,
    logarithmic: Bool = false, weight: Tensor? = nil, reduction: LossReduction = .mean
  ) throws -> Tensor {
    try overlapLoss(target, options, eps, logarithmic, weight, reduction) { both, p, y in
      (try both + .float(smooth), try p + y - both + .float(smooth))
    }
  }

  /// (1 - score)^gamma with score (TP + smooth) / (TP + alpha·FP + beta·FN + smooth) (Salehi et al., 2017,
  /// https://arxiv.org/abs/1706.05721; with gamma other than 1 Abraham and Khan, 2018,
  /// https://arxiv.org/abs/1810.07842).
  public func tverskyLoss(
    _ target: Tensor, _ options: SegmentationOptions = SegmentationOptions(), alpha: Double = 0.5, beta: Double = 0.5,
    gamma: Double = 1, smooth: Double = 1, eps: Double = 1e-7, logarithmic: Bool = false, weight: Tensor? = nil,
    reduction: LossReduction = .mean
  ) throws -> Tensor {
    try overlapLoss(target, options, eps, logarithmic, weight, reduction, exponent: gamma) { both, p, y in
      let rest = try (p - both) * .float(alpha) + (y - both) * .float(beta)
      return (try both + .float(smooth), try both + rest + .float(smooth))
    }
  }

  private func overlapLoss(
    _ target: Tensor, _ options: SegmentationOptions, _ eps: Double, _ logarithmic: Bool, _ weight: Tensor?,
    _ reduction: LossReduction, exponent: Double = 1,
    _ score: (_ both: Tensor, _ p: Tensor, _ y: Tensor) throws -> (Tensor, Tensor)
  ) throws -> Tensor {
    let pair = try SegmentationPair(self, target, options)
    let losses = try pair.overlapLosses(pair.totals(), eps, logarithmic, exponent: exponent, score)
    return try pair.combined(losses, weight: weight, reduction).to(dtype)
  }

  func raised(_ exponent: Double) throws -> Tensor {
    try Binary.apply(.pow, .tensor(self), .scalar(.float(exponent)))
  }

  /// 1 - MCC, the correlation of prediction and truth: (TP·TN - FP·FN) / √((TP+FP)·(TP+FN)·(TN+FP)·(TN+FN)) (Abhishek
  /// and Hamarneh, 2021, https://arxiv.org/abs/2010.13454). eps is added to each of the four counts.
  public func matthewsLoss(
    _ target: Tensor, _ options: SegmentationOptions = SegmentationOptions(), eps: Double = 1e-5,
    weight: Tensor? = nil, reduction: LossReduction = .mean
  ) throws -> Tensor {
    let pair = try SegmentationPair(self, target, options)
    let totals = try pair.totals()
    let (both, predicted, true_) = (totals.both, totals.predicted, totals.present)
    let shape = pair.scores.shape
    let all = try noGrad {
      if let counted = pair.counted { return try pair.total(counted.expand(shape)) }
      return try Tensor.full(
        both.shape, .float(Double(options.perImage ? shape[2] : shape[0] * shape[2])), dtype: both.dtype)
    }
    let tp = try both + .float(eps)
    let fp = try predicted - both + .float(eps)
    let fn = try true_ - both + .float(eps)
    let tn = try all - predicted - true_ + both + .float(eps)
    // Roots one by one: the product of four counts would leave float32's range on large images.
    let below =
      try ((tp + fp).unary(.sqrt) * (tp + fn).unary(.sqrt)) * ((tn + fp).unary(.sqrt) * (tn + fn).unary(.sqrt))
    let losses = try ((tp * tn - fp * fn) / below).negated() + 1.0
    return try pair.combined(losses, weight: weight, reduction).to(dtype)
  }
}

extension SegmentationPair {
  /// The losses of the classes (and images): a score from the three sums, as numerator and denominator, becomes a loss.
  func overlapLosses(
    _ totals: OverlapTotals, _ eps: Double, _ logarithmic: Bool = false, exponent: Double = 1,
    _ score: (_ both: Tensor, _ p: Tensor, _ y: Tensor) throws -> (Tensor, Tensor)
  ) throws -> Tensor {
    let (above, below) = try score(totals.both, totals.predicted, totals.present)
    let ratio = try above / below.atLeast(eps)
    let losses = try logarithmic ? ratio.atLeast(eps).unary(.log).negated() : ratio.negated() + 1.0
    return exponent == 1 ? losses : try losses.raised(exponent)
  }
}
