/// Losses over classes.
extension Tensor {
  /// Cross entropy between softmax(logits) along the classes and a target: class indices (int64, uint8) or
  /// probabilities. Logits are (C), (N, C) or (N, C, …). PyTorch: `torch.nn.functional.cross_entropy`.
  ///
  /// - Parameters:
  ///   - weight: a factor for each class; the mean is then a weighted one.
  ///   - ignoreIndex: a class index whose samples do not count.
  ///   - labelSmoothing: this part of the target is spread evenly over all classes.
  public func crossEntropy(
    _ target: Tensor, weight: Tensor? = nil, ignoreIndex: Int = -100, reduction: LossReduction = .mean,
    labelSmoothing: Double = 0
  ) throws -> Tensor {
    let converted = try autocast(.float32, [self, target, weight]) {
      try $0[0].crossEntropy(
        $0[1], weight: $0[optional: 2], ignoreIndex: ignoreIndex, reduction: reduction, labelSmoothing: labelSmoothing)
    }
    if let converted { return converted }
    try require(
      labelSmoothing >= 0 && labelSmoothing <= 1,
      "label_smoothing must be between 0.0 and 1.0. Got: \(labelSmoothing)")
    try require(rank > 0, "cross_entropy: input must have a dimension of classes, got a scalar")
    let classes = shape[rank == 1 ? 0 : 1]
    if let weight {
      try require(
        weight.shape == [classes],
        "weight tensor should be defined either for all \(classes) classes or no classes but got weight tensor of shape: "
          + Shape.describe(weight.shape))
    }
    if target.shape == shape {
      return try crossEntropy(probabilities: target, weight, ignoreIndex, reduction, labelSmoothing)
    }
    let wide = dtype.isFloatingPoint && dtype.lane.dtype != dtype ? try to(.float32) : self
    let (rows, targetShape) = try wide.classRows(target)
    let samples = try ClassSamples(target, classes: classes, weight: weight, ignoreIndex: ignoreIndex)
    let weights = try samples.weights.to(wide.dtype)
    var loss = try rows.crossEntropyRows(samples.targets, weights, labelSmoothing > 0 ? .none : reduction)
    if labelSmoothing > 0 {
      var spread = try rows.logSoftmax(1).negated()
      if let weight { spread = try spread * weight.to(wide.dtype) }
      let counted = try samples.counted.to(wide.dtype)
      let smooth = try spread.sum([1]) * counted
      loss = try loss * .float(1 - labelSmoothing) + smooth * .float(labelSmoothing / Double(classes))
      if reduction == .mean { loss = try loss.sum() / weights.sum() } else { loss = try loss.reduced(reduction) }
    }
    return try (reduction == .none ? loss.reshape(targetShape) : loss).to(dtype)
  }

  private func crossEntropy(
    probabilities target: Tensor, _ weight: Tensor?, _ ignoreIndex: Int, _ reduction: LossReduction,
    _ labelSmoothing: Double
  ) throws -> Tensor {
    try require(
      target.dtype.isFloatingPoint,
      "Expected floating point type for target with class probabilities, got \(target.dtype.scalarTypeName)")
    try require(ignoreIndex < 0, "ignore_index is not supported for floating point target")
    let axis = rank == 1 ? 0 : 1
    let classes = shape[axis]
    var target = target
    if labelSmoothing > 0 {
      target = try target * .float(1 - labelSmoothing) + .float(labelSmoothing / Double(max(classes, 1)))
    }
    var products = try logSoftmax(axis) * target
    if let weight { products = try products * weight.reshape(weight.channelShape(rank: rank)) }
    let losses = try products.sum([axis]).negated()
    return reduction == .mean ? try losses.sum() / .float(Double(losses.count)) : try losses.reduced(reduction)
  }

  /// Negative log likelihood: -logProbabilities[target], weighted as in `crossEntropy`.
  public func nllLoss(
    _ target: Tensor, weight: Tensor? = nil, ignoreIndex: Int = -100, reduction: LossReduction = .mean
  ) throws -> Tensor {
    let converted = try autocast(.float32, [self, target, weight]) {
      try $0[0].nllLoss($0[1], weight: $0[optional: 2], ignoreIndex: ignoreIndex, reduction: reduction)
    }
    if let converted { return converted }
    try require(rank > 0, "input tensor should be 1D or 2D")
    let classes = shape[rank == 1 ? 0 : 1]
    if let weight {
      try require(
        weight.shape == [classes],
        "weight tensor should be defined either for all \(classes) classes or no classes but got weight tensor of shape: "
          + Shape.describe(weight.shape))
    }
    let (rows, targetShape) = try classRows(target)
    let samples = try ClassSamples(target, classes: classes, weight: weight, ignoreIndex: ignoreIndex)
    let loss = try rows.nllRows(samples.targets, try samples.weights.to(dtype), reduction)
    return reduction == .none ? try loss.reshape(targetShape) : loss
  }

  /// The scores as one row of classes for each element of the target, and the target's shape.
  private func classRows(_ target: Tensor) throws -> (Tensor, [Int]) {
    if rank == 1 {
      try require(
        target.count == 1 && target.rank <= 1,
        "For 1D input, 1D target must have size 1, but got target size: \(Shape.describe(target.shape))")
      return (try unsqueeze(0), target.shape)
    }
    try require(
      target.rank > 0 && target.shape[0] == shape[0], .value,
      "Expected input batch_size (\(shape[0])) to match target batch_size (\(target.shape.first ?? 0)).")
    let expected = [shape[0]] + shape.dropFirst(2)
    if rank == 2 {
      try require(target.rank == 1, "0D or 1D target tensor expected, multi-target not supported")
      return (self, target.shape)
    }
    try require(
      target.shape == expected,
      "Expected target size \(Shape.describe(expected)), got \(Shape.describe(target.shape))")
    let order = [0] + Array(2..<rank) + [1]
    return (try permute(order).reshape([expected.reduce(1, *), shape[1]]), target.shape)
  }

  /// Negative log likelihood of rows, in differentiable operations.
  private func nllRows(_ targets: Tensor, _ weights: Tensor, _ reduction: LossReduction) throws -> Tensor {
    let picked = try picking(targets.reshape([targets.count, 1])).reshape([targets.count])
    if reduction != .mean { return try (picked * weights).negated().reduced(reduction) }
    // Without any sample that counts the mean is NaN, and its gradient 0.
    let total = try weights.sum().item()
    if total.isZero { return try (picked * weights).sum() + .float(.nan) }
    return try (picked * (weights / total)).sum().negated()
  }

  /// Softmax and negative log likelihood of rows; the backward needs one pass.
  private func crossEntropyRows(_ targets: Tensor, _ weights: Tensor, _ reduction: LossReduction) throws -> Tensor {
    let logs = try noGrad { try logSoftmax(1).contiguous() }
    let out = try noGrad { try logs.nllRows(targets, weights, reduction) }
    return try out.recorded("CrossEntropy", self, saving: [self, logs, targets, weights]) { context in
      let (targets, weights) = (try context.saved(2), try context.saved(3))
      if context.createsGraph {
        return try context.gradients(
          ofFormula: { linked in
            guard let x = linked[0] else { throw SwiftNetError.runtime("cross_entropy: input missing") }
            return try x.logSoftmax(1).nllRows(targets, weights, reduction)
          }, [try context.saved(0)])
      }
      var factors = try context.grad * weights
      if reduction == .mean {
        let total = try weights.sum().item()
        if !total.isZero { factors = try factors / total }
      }
      return [try (try context.saved(1)).crossEntropyGradient(targets, try factors.contiguous())]
    }
  }

  /// factor · (softmax - one-hot target) for each row; this is the logarithm of softmax.
  private func crossEntropyGradient(_ targets: Tensor, _ factors: Tensor) throws -> Tensor {
    let out = try Tensor(empty: shape, dtype: dtype)
    guard let exp = kernels.elementwise[.exp, dtype.lane], let multiply = kernels.elementwise[.mul, dtype.lane] else {
      throw SwiftNetError.notImplemented("\"cross_entropy\" not implemented for '\(dtype.scalarTypeName)'")
    }
    let program = ElementwiseProgram(
      lane: dtype.lane, leaves: [.tensor(self), .tensor(try factors.reshape([factors.count, 1]))],
      steps: [
        .init(kernel: exp, sources: [.leaf(0)], scalars: Scalars(), roundTo: nil),
        .init(kernel: multiply, sources: [.step(0), .leaf(1)], scalars: Scalars(), roundTo: nil),
      ])
    try program.run(into: out)
    let at = try targets.pointer().assumingMemoryBound(to: Int64.self)
    let columns = shape[1]
    func subtract<T: BinaryFloatingPoint>(_: T.Type) throws {
      let factor = try factors.pointer().assumingMemoryBound(to: T.self)
      let target = try out.mutablePointer().assumingMemoryBound(to: T.self)
      parallelFor(factors.count, grain: 1 << 14) { start, end in
        for row in start..<end { target[row * columns + Int(at[row])] -= factor[row] }
      }
    }
    if dtype == .float64 { try subtract(Double.self) } else { try subtract(Float.self) }
    return out
  }
}

/// What a target of class indices says about each sample.
private struct ClassSamples {
  /// int64, ignored samples as 0.
  let targets: Tensor
  /// float64: the weight of the sample's class, 0 for ignored samples.
  let weights: Tensor
  /// float64: 0 for ignored samples, 1 for others.
  let counted: Tensor

  init(_ target: Tensor, classes: Int, weight: Tensor?, ignoreIndex: Int) throws {
    try require(
      target.dtype == .int64 || target.dtype == .uint8,
      "expected target dtype to be Long or Byte, but got \(target.dtype.scalarTypeName)")
    let given = try noGrad { try target.to(.int64).contiguous() }
    let classWeights = try weight?.doubles()
    let n = given.count
    targets = try Tensor(empty: [n], dtype: .int64)
    weights = try Tensor(empty: [n], dtype: .float64)
    counted = try Tensor(empty: [n], dtype: .float64)
    let source = try given.pointer().assumingMemoryBound(to: Int64.self)
    let t = try targets.mutablePointer().assumingMemoryBound(to: Int64.self)
    let w = try weights.mutablePointer().assumingMemoryBound(to: Double.self)
    let c = try counted.mutablePointer().assumingMemoryBound(to: Double.self)
    for i in 0..<n {
      let index = source[i]
      if index == ignoreIndex {
        (t[i], w[i], c[i]) = (0, 0, 0)
        continue
      }
      try require(index >= 0 && index < classes, .index, "Target \(index) is out of bounds.")
      (t[i], w[i], c[i]) = (index, classWeights?[Int(index)] ?? 1, 1)
    }
    try require(classes > 0 || n == 0, "cross_entropy: there are no classes")
  }
}
