import CSwiftNet
import SwiftNet

func lossReduction(_ code: Int32) throws -> LossReduction {
  guard let reduction = LossReduction(rawValue: code) else {
    throw SwiftNetError(.value, "\(code) is not a valid value for reduction")
  }
  return reduction
}

@c(sn_cross_entropy) @implementation
public func sn_cross_entropy(
  _ x: sn_tensor?, _ target: sn_tensor?, _ weight: sn_tensor?, _ ignoreIndex: Int64, _ reduction: Int32,
  _ smoothing: Double
) -> sn_tensor? {
  make {
    try tensor(x).crossEntropy(
      try tensor(target), weight: optionalTensor(weight), ignoreIndex: Int(ignoreIndex),
      reduction: try lossReduction(reduction), labelSmoothing: smoothing)
  }
}

@c(sn_nll_loss) @implementation
public func sn_nll_loss(
  _ x: sn_tensor?, _ target: sn_tensor?, _ weight: sn_tensor?, _ ignoreIndex: Int64, _ reduction: Int32
) -> sn_tensor? {
  make {
    try tensor(x).nllLoss(
      try tensor(target), weight: optionalTensor(weight), ignoreIndex: Int(ignoreIndex),
      reduction: try lossReduction(reduction))
  }
}

@c(sn_pointwise_loss) @implementation
public func sn_pointwise_loss(
  _ kind: sn_loss, _ x: sn_tensor?, _ y: sn_tensor?, _ weight: sn_tensor?, _ p: Double, _ reduction: Int32
) -> sn_tensor? {
  make {
    let (x, y, weight) = (try tensor(x), try tensor(y), optionalTensor(weight))
    let reduction = try lossReduction(reduction)
    switch kind {
    case SN_MSE: return try x.mseLoss(y, weight: weight, reduction: reduction)
    case SN_L1: return try x.l1Loss(y, weight: weight, reduction: reduction)
    case SN_SMOOTH_L1: return try x.smoothL1Loss(y, beta: p, reduction: reduction)
    case SN_HUBER: return try x.huberLoss(y, delta: p, weight: weight, reduction: reduction)
    case SN_BCE: return try x.binaryCrossEntropy(y, weight: weight, reduction: reduction)
    case SN_KL_DIVERGENCE: return try x.klDivergence(y, logTarget: p != 0, reduction: reduction)
    case SN_HINGE_EMBEDDING: return try x.hingeEmbeddingLoss(y, margin: p, reduction: reduction)
    case SN_SOFT_MARGIN: return try x.softMarginLoss(y, reduction: reduction)
    case SN_MULTILABEL_MARGIN: return try x.multilabelMarginLoss(y, reduction: reduction)
    case SN_MULTILABEL_SOFT_MARGIN: return try x.multilabelSoftMarginLoss(y, weight: weight, reduction: reduction)
    default: throw SwiftNetError(.value, "unknown loss \(kind.rawValue)")
    }
  }
}

@c(sn_bce_with_logits) @implementation
public func sn_bce_with_logits(
  _ x: sn_tensor?, _ y: sn_tensor?, _ weight: sn_tensor?, _ positiveWeight: sn_tensor?, _ reduction: Int32
) -> sn_tensor? {
  make {
    try tensor(x).binaryCrossEntropyWithLogits(
      try tensor(y), weight: optionalTensor(weight), positiveWeight: optionalTensor(positiveWeight),
      reduction: try lossReduction(reduction))
  }
}

@c(sn_poisson_nll_loss) @implementation
public func sn_poisson_nll_loss(
  _ x: sn_tensor?, _ y: sn_tensor?, _ logInput: Int32, _ full: Int32, _ eps: Double, _ reduction: Int32
) -> sn_tensor? {
  make {
    try tensor(x).poissonNLLLoss(
      try tensor(y), logInput: logInput != 0, full: full != 0, eps: eps, reduction: try lossReduction(reduction))
  }
}

@c(sn_gaussian_nll_loss) @implementation
public func sn_gaussian_nll_loss(
  _ x: sn_tensor?, _ y: sn_tensor?, _ variance: sn_tensor?, _ full: Int32, _ eps: Double, _ reduction: Int32
) -> sn_tensor? {
  make {
    try tensor(x).gaussianNLLLoss(
      try tensor(y), variance: try tensor(variance), full: full != 0, eps: eps,
      reduction: try lossReduction(reduction))
  }
}

@c(sn_margin_ranking_loss) @implementation
public func sn_margin_ranking_loss(
  _ x: sn_tensor?, _ y: sn_tensor?, _ target: sn_tensor?, _ margin: Double, _ reduction: Int32
) -> sn_tensor? {
  make {
    try tensor(x).marginRankingLoss(
      try tensor(y), try tensor(target), margin: margin, reduction: try lossReduction(reduction))
  }
}

@c(sn_cosine_embedding_loss) @implementation
public func sn_cosine_embedding_loss(
  _ x: sn_tensor?, _ y: sn_tensor?, _ target: sn_tensor?, _ margin: Double, _ reduction: Int32
) -> sn_tensor? {
  make {
    try tensor(x).cosineEmbeddingLoss(
      try tensor(y), try tensor(target), margin: margin, reduction: try lossReduction(reduction))
  }
}

@c(sn_multi_margin_loss) @implementation
public func sn_multi_margin_loss(
  _ x: sn_tensor?, _ target: sn_tensor?, _ p: Int64, _ margin: Double, _ weight: sn_tensor?, _ reduction: Int32
) -> sn_tensor? {
  make {
    try tensor(x).multiMarginLoss(
      try tensor(target), p: Int(p), margin: margin, weight: optionalTensor(weight),
      reduction: try lossReduction(reduction))
  }
}

@c(sn_triplet_margin_loss) @implementation
public func sn_triplet_margin_loss(
  _ anchor: sn_tensor?, _ positive: sn_tensor?, _ negative: sn_tensor?, _ margin: Double, _ p: Double, _ eps: Double,
  _ swap: Int32, _ reduction: Int32
) -> sn_tensor? {
  make {
    try tensor(anchor).tripletMarginLoss(
      try tensor(positive), try tensor(negative), margin: margin, p: p, eps: eps, swap: swap != 0,
      reduction: try lossReduction(reduction))
  }
}

@c(sn_triplet_loss) @implementation
public func sn_triplet_loss(
  _ near: sn_tensor?, _ far: sn_tensor?, _ other: sn_tensor?, _ margin: Double, _ reduction: Int32
) -> sn_tensor? {
  make {
    try Tensor.tripletLoss(
      try tensor(near), try tensor(far), optionalTensor(other), margin: margin,
      reduction: try lossReduction(reduction))
  }
}
