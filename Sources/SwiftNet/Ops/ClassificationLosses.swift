import KernelTypes

/// Losses of binary and multi-label classification, margins and embeddings; names and formulas as in
/// `torch.nn.functional`.
extension Tensor {
  /// -(y ln x + (1 - y) ln(1 - x)) for probabilities x; logarithms are at least -100.
  public func binaryCrossEntropy(
    _ target: Tensor, weight: Tensor? = nil, reduction: LossReduction = .mean
  ) throws -> Tensor {
    if let out = try autocast(
      .float32, [self, target, weight],
      { try $0[0].binaryCrossEntropy($0[1], weight: $0[optional: 2], reduction: reduction) })
    {
      return out
    }
    try require(
      target.shape == shape, .value,
      "Using a target size (\(Shape.size(target.shape))) that is different to the input size "
        + "(\(Shape.size(shape))) is deprecated. Please ensure they have the same size.")
    // Of a sigmoid the logarithms are found from what it was taken of: in one function instead of three, and more exactly.
    return try memory.takingRecipe { recipe in
      try binaryCrossEntropy(target, weight, reduction, logits: try logits(of: recipe))
    }
  }

  private func binaryCrossEntropy(
    _ target: Tensor, _ weight: Tensor?, _ reduction: LossReduction, logits: Tensor?
  ) throws -> Tensor {
    if weight == nil, let logits, let loss = try entropyOfSigmoid(logits, target, reduction) { return loss }
    if logits == nil || reduction == .none { try checkProbabilities() }
    let out = try noGrad { () -> Tensor in
      if let logits {
        let x = try logits.unary(.clampScalar, Scalars(-100, 100))
        return try (target.negated() + 1.0) * x - x.unary(.logSigmoid)
      }
      let positive = try unary(.log).atLeast(-100)
      let negative = try negated().unary(.log1p).atLeast(-100)
      return try (target - 1.0) * negative - target * positive
    }
    try out.recorded("BinaryCrossEntropy", self, target, saving: [self, target]) { context in
      let (grad, x, y) = (try context.grad, try context.saved(0), try context.saved(1))
      let dx = try grad * Tensor.entropySlope(x, y, createsGraph: context.createsGraph)
      guard context.needs(1) else { return [dx, nil] }
      return [dx, try grad * (x.negated().unary(.log1p) - x.unary(.log))]
    }
    let loss = try (weight.map { try out * $0 } ?? out).reduced(reduction)
    // A sigmoid is between 0 and 1, or not a number.
    if logits != nil, reduction != .none, try loss.item().double.isNaN { try checkProbabilities() }
    return loss
  }

  /// The derivative of the binary cross entropy of probabilities x.
  private static func entropySlope(_ x: Tensor, _ y: Tensor, createsGraph: Bool) throws -> Tensor {
    createsGraph
      ? try (x - y) / ((x.negated() + 1.0) * x).atLeast(1e-12)
      : try elementwise(.entropySlope, [.tensor(x), .tensor(y)])
  }

  /// The loss of a sigmoid that is still to be computed, in one pass over what it was taken of.
  private func entropyOfSigmoid(_ logits: Tensor, _ target: Tensor, _ reduction: LossReduction) throws -> Tensor? {
    guard reduction == .mean || reduction == .sum, let pair = LossPair(logits, target) else { return nil }
    let total = try pair.entropyOfSigmoid()
    // A sigmoid is between 0 and 1, or not a number.
    if total.isNaN { try checkProbabilities() }
    let divisor = reduction == .mean ? Double(count) : 1
    return try Tensor.full([], .float(total / divisor), dtype: dtype)
      .recorded("BinaryCrossEntropy", self, saving: [self, target]) { context in
        let slope = try Tensor.entropySlope(
          try context.saved(0), try context.saved(1), createsGraph: context.createsGraph)
        return [try (context.grad * .float(1 / divisor)) * slope]
      }
  }

  private func checkProbabilities() throws {
    if count == 0 { return }
    let worst = try noGrad { try ((self - 1.0) * self).amax().item().double }
    try require(worst <= 0, "all elements of input should be between 0 and 1")
  }

  /// Binary cross entropy of sigmoid(x), computed without overflow: (1 - y)·x - w·ln sigmoid(x) with
  /// w = 1 + (positiveWeight - 1)·y.
  public func binaryCrossEntropyWithLogits(
    _ target: Tensor, weight: Tensor? = nil, positiveWeight: Tensor? = nil, reduction: LossReduction = .mean
  ) throws -> Tensor {
    if let out = try autocast(
      .float32, [self, target, weight, positiveWeight],
      {
        try $0[0].binaryCrossEntropyWithLogits(
          $0[1], weight: $0[optional: 2], positiveWeight: $0[optional: 3], reduction: reduction)
      })
    {
      return out
    }
    try require(
      target.shape == shape, .value,
      "Target size (\(Shape.size(target.shape))) must be the same as input size (\(Shape.size(shape)))")
    if weight == nil, positiveWeight == nil {
      let fused = try fusedLoss(
        "BinaryCrossEntropyWithLogits", target, reduction, kernels.loss.entropySums, kernels.loss.overlapGradient
      ) { x, y in try x.binaryCrossEntropyWithLogits(y, reduction: .none).reduced(reduction) }
      if let fused { return fused }
    }
    let logs = try unary(.logSigmoid)
    let rest = try (target.negated() + 1.0) * self
    let loss: Tensor
    if let positiveWeight {
      loss = try rest - ((positiveWeight - 1.0) * target + 1.0) * logs
    } else {
      loss = try rest - logs
    }
    return try (weight.map { try loss * $0 } ?? loss).reduced(reduction)
  }

  /// x where y is 1, max(0, margin - x) where y is -1.
  public func hingeEmbeddingLoss(
    _ target: Tensor, margin: Double = 1, reduction: LossReduction = .mean
  ) throws -> Tensor {
    if let out = try autocast(
      .float32, [self, target], { try $0[0].hingeEmbeddingLoss($0[1], margin: margin, reduction: reduction) })
    {
      return out
    }
    let far = try (negated() + .float(margin)).relu()
    let negative = try whereSelect(try target.compare(.ne, 1), .tensor(far), .scalar(0.0))
    let positive = try whereSelect(try target.compare(.ne, -1), .tensor(self), .scalar(0.0))
    return try (negative + positive).reduced(reduction)
  }

  /// max(0, -y · (x₁ - x₂) + margin).
  public func marginRankingLoss(
    _ other: Tensor, _ target: Tensor, margin: Double = 0, reduction: LossReduction = .mean
  ) throws -> Tensor {
    if let out = try autocast(
      .float32, [self, other, target],
      { try $0[0].marginRankingLoss($0[1], $0[2], margin: margin, reduction: reduction) })
    {
      return out
    }
    try require(
      rank == other.rank && rank == target.rank,
      "margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: "
        + "\(Shape.describe(shape)), input2: \(Shape.describe(other.shape)), target: \(Shape.describe(target.shape)) ")
    return try ((self - other) * target.negated() + .float(margin)).relu().reduced(reduction)
  }

  /// ln(1 + exp(-y · x)).
  public func softMarginLoss(_ target: Tensor, reduction: LossReduction = .mean) throws -> Tensor {
    if let out = try autocast(.float32, [self, target], { try $0[0].softMarginLoss($0[1], reduction: reduction) }) {
      return out
    }
    return try (target.negated() * self).unary(.exp).unary(.log1p).reduced(reduction)
  }

  /// Σᵢ max(0, margin - x[y] + x[i])ᵖ / C over the classes i ≠ y, times the weight of class y.
  public func multiMarginLoss(
    _ target: Tensor, p: Int = 1, margin: Double = 1, weight: Tensor? = nil, reduction: LossReduction = .mean
  ) throws -> Tensor {
    if let out = try autocast(
      .float32, [self, target, weight],
      { try $0[0].multiMarginLoss($0[1], p: p, margin: margin, weight: $0[optional: 2], reduction: reduction) })
    {
      return out
    }
    try require(p == 1 || p == 2, .value, "only p == 1 and p == 2 supported")
    try require(
      rank >= 1 && rank <= 2 && count > 0,
      "Expected non-empty vector or matrix with optional 0-dim batch size, but got: \(Shape.describe(shape))")
    let x = rank == 2 ? self : try unsqueeze(0)
    let (n, classes) = (x.shape[0], x.shape[1])
    try require(
      target.rank <= 1 && target.count == n,
      "multi_margin_loss: target tensor should be 1-D with size equal to the number of input samples (batch size). "
        + "Expected target size [\(n)], but got \(Shape.describe(target.shape)). Input has shape "
        + "\(Shape.describe(shape)).")
    try require(target.dtype == .int64, "expected scalar type Long but found \(target.dtype.scalarTypeName)")
    let places = try target.contiguous().reshape([n, 1])
    try places.checkPlaces(below: classes, "target out of range")
    if let weight {
      try require(
        weight.shape == [classes],
        "inconsistent weight size: \(weight.count) for input of size: \(Shape.describe(shape))")
    }
    let chosen = try noGrad { try Tensor.ones([n, 1], dtype: dtype).placing(places, columns: classes) }
    var terms = try (x - x.picking(places) + .float(margin)).relu()
    if p == 2 { terms = try terms * terms }
    terms = try terms * (chosen.negated() + 1.0)
    if let weight {
      terms = try terms * weight.unsqueeze(0).expand([n, classes]).picking(places)
    }
    let losses = try terms.sum([1]) / .float(Double(classes))
    return try (rank == 2 ? losses : losses.reshape([])).reduced(reduction)
  }

  private func checkPlaces(below limit: Int, _ message: String) throws {
    let values = try pointer().assumingMemoryBound(to: Int64.self)
    for i in 0..<count { try require(values[i] >= 0 && values[i] < limit, message) }
  }

  /// Σⱼᵢ max(0, 1 - (x[y[j]] - x[i])) / C over the target classes y[j] (those before the first -1) and the other
  /// classes i.
  public func multilabelMarginLoss(_ target: Tensor, reduction: LossReduction = .mean) throws -> Tensor {
    if let out = try autocast(
      .float32, [self, target], { try $0[0].multilabelMarginLoss($0[1], reduction: reduction) })
    {
      return out
    }
    try require(
      target.shape == shape && rank >= 1 && rank <= 2,
      "inconsistent target size: \(Shape.describe(target.shape)) for input of size: \(Shape.describe(shape))")
    try require(target.dtype == .int64, "expected scalar type Long but found \(target.dtype.scalarTypeName)")
    let x = rank == 2 ? self : try unsqueeze(0)
    let (n, classes) = (x.shape[0], x.shape[1])
    if count == 0 { return try x.sum([1]).reduced(reduction) }
    let given = try target.reshape([n, classes]).contiguous()
    let places = try Tensor(empty: [n, classes], dtype: .int64)
    let valid = try Tensor.zeros([n, classes], dtype: .float64)
    let isTarget = try Tensor.zeros([n, classes], dtype: .float64)
    let source = try given.pointer().assumingMemoryBound(to: Int64.self)
    let place = try places.mutablePointer().assumingMemoryBound(to: Int64.self)
    let v = try valid.mutablePointer().assumingMemoryBound(to: Double.self)
    let t = try isTarget.mutablePointer().assumingMemoryBound(to: Double.self)
    for row in 0..<n {
      var ended = false
      for j in row * classes..<(row + 1) * classes {
        ended = ended || source[j] == -1
        place[j] = 0
        if ended { continue }
        try require(source[j] >= 0 && source[j] < classes, "target out of range")
        place[j] = source[j]
        v[j] = 1
        t[row * classes + Int(source[j])] = 1
      }
    }
    let mask = try noGrad { try (valid.unsqueeze(2) * (isTarget.negated() + 1.0).unsqueeze(1)).to(dtype) }
    let terms = try (x.unsqueeze(1) - x.picking(places).unsqueeze(2) + 1.0).relu() * mask
    let losses = try terms.sum([1, 2]) / .float(Double(classes))
    return try (rank == 2 ? losses : losses.reshape([])).reduced(reduction)
  }

  /// The mean over the classes of the binary cross entropies of sigmoid(x).
  public func multilabelSoftMarginLoss(
    _ target: Tensor, weight: Tensor? = nil, reduction: LossReduction = .mean
  ) throws -> Tensor {
    let losses = try target * unary(.logSigmoid) + (target.negated() + 1.0) * negated().unary(.logSigmoid)
    let weighted = try weight.map { try losses.negated() * $0 } ?? losses.negated()
    return try weighted.mean([-1]).reduced(reduction)
  }

  /// 1 - cos(x₁, x₂) where y is 1, max(0, cos(x₁, x₂) - margin) where y is -1.
  public func cosineEmbeddingLoss(
    _ other: Tensor, _ target: Tensor, margin: Double = 0, reduction: LossReduction = .mean
  ) throws -> Tensor {
    if let out = try autocast(
      .float32, [self, other, target],
      { try $0[0].cosineEmbeddingLoss($0[1], $0[2], margin: margin, reduction: reduction) })
    {
      return out
    }
    try require(target.rank <= 1, "0D or 1D target tensor expected, multi-target not supported")
    try require(
      rank == target.rank + 1 && other.rank == rank,
      "\(target.rank)D target tensor expects \(target.rank + 1)D input tensors, but found inputs with sizes "
        + "\(Shape.describe(shape)) and \(Shape.describe(other.shape)).")
    let axis = target.rank
    let eps = Scalar.float(1e-12)
    let product = try (self * other).sum([axis])
    let squares = try ((self * self).sum([axis]) + eps) * ((other * other).sum([axis]) + eps)
    let cosine = try product / squares.unary(.sqrt)
    let near = try whereSelect(try target.compare(.eq, 1), .tensor(cosine.negated() + 1.0), .scalar(0.0))
    let far = try whereSelect(
      try target.compare(.eq, -1), .tensor((cosine - .float(margin)).relu()), .scalar(0.0))
    return try (near + far).reduced(reduction)
  }

  /// max(0, d(a, p) - d(a, n) + margin) for p-distances d; `swap` takes the smaller of d(a, n) and d(p, n).
  public func tripletMarginLoss(
    _ positive: Tensor, _ negative: Tensor, margin: Double = 1, p: Double = 2, eps: Double = 1e-6,
    swap: Bool = false, reduction: LossReduction = .mean
  ) throws -> Tensor {
    let converted = try autocast(.float32, [self, positive, negative]) {
      try $0[0].tripletMarginLoss($0[1], $0[2], margin: margin, p: p, eps: eps, swap: swap, reduction: reduction)
    }
    if let converted { return converted }
    try require(
      rank == positive.rank && rank == negative.rank,
      "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: anchor "
        + "\(rank)D, positive \(positive.rank)D, and negative \(negative.rank)D inputs")
    let near = try pairwiseDistance(positive, p: p, eps: eps)
    let far = try pairwiseDistance(negative, p: p, eps: eps)
    let other = swap ? try positive.pairwiseDistance(negative, p: p, eps: eps) : nil
    return try Tensor.tripletLoss(near, far, other, margin: margin, reduction: reduction)
  }

  /// The same from the distances anchor to positive, anchor to negative, and (for swapping) positive to negative.
  public static func tripletLoss(
    _ near: Tensor, _ far: Tensor, _ other: Tensor?, margin: Double, reduction: LossReduction
  ) throws -> Tensor {
    let far = try other.map { try Binary.apply(.minimum, .tensor(far), .tensor($0)) } ?? far
    return try (near - far + .float(margin)).relu().reduced(reduction)
  }
}
