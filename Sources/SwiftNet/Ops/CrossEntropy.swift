import KernelTypes

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
    try require(
      dtype.isFloatingPoint, .notImplemented, "cross_entropy not implemented for '\(dtype.scalarTypeName)'")
    let wide = dtype.lane.dtype != dtype ? try to(.float32) : self
    let loss = try wide.crossEntropy(
      ClassTarget(target, of: wide, ignoreIndex), try weight?.to(wide.dtype).contiguous(), reduction, labelSmoothing)
    return try loss.to(dtype)
  }

  /// The fused loss, whose backward needs one pass over the scores. Where all samples count alike, its gradient but for a
  /// factor is computed at once, with the same exponentials, and backward has nothing to do if that factor is 1.
  private func crossEntropy(
    _ target: ClassTarget, _ weight: Tensor?, _ reduction: LossReduction, _ labelSmoothing: Double
  ) throws -> Tensor {
    let layout = try ClassScores(self)
    let kernel = kernels.loss.crossEntropy[dtype.lane.rawValue]
    let losses = try Tensor(empty: target.shape, dtype: .float64)
    let denominators = try Tensor(empty: [losses.count], dtype: .float64)
    let divisor = reduction == .mean ? try target.totalWeight(weight) : 1
    let isEven =
      dtype == .float32 && reduction != .none && weight == nil && labelSmoothing == 0 && needsRecording([self])
    let slopes =
      isEven ? try Tensor(empty: layout.scores.shape, dtype: dtype, strides: layout.scores.strides) : nil
    let size = dtype.size
    var settings = layout.settings(target.ignoreIndex, labelSmoothing)
    settings.factor = 1 / divisor
    let (x, w, y) = (try layout.scores.pointer(), try weight?.pointer(), try slopes?.mutablePointer())
    let t = try target.classes.pointer().assumingMemoryBound(to: Int64.self)
    let l = try losses.mutablePointer().assumingMemoryBound(to: Double.self)
    let d = try denominators.mutablePointer().assumingMemoryBound(to: Double.self)
    layout.forEachBlock { at, first, count in
      kernel(x + at * size, t + first, w, l + first, d + first, y.map { $0 + at * size }, count, settings)
    }
    let out = try noGrad { () -> Tensor in
      if reduction == .none { return try losses.to(dtype) }
      return try (try losses.sum() / .float(divisor)).to(dtype)
    }
    let saved = [self, target.classes, slopes ?? denominators] + (weight.map { [$0] } ?? [])
    let (shape, ignoreIndex) = (target.shape, target.ignoreIndex)
    return try out.recorded("CrossEntropy", self, saving: saved) { context in
      let classes = try context.saved(1)
      let weight = context.savedCount > 3 ? try context.saved(3) : nil
      if context.createsGraph {
        return try context.gradients(
          ofFormula: { linked in
            guard let x = linked[0] else { throw SwiftNetError.runtime("cross_entropy: input missing") }
            return try x.crossEntropyFormula(
              classes.reshape(shape), weight, Int(ignoreIndex), reduction, labelSmoothing)
          }, [try context.saved(0)])
      }
      let grad = try context.grad
      if isEven {
        let factor = try grad.item().double
        return try context.readingLast(2) { slopes in
          [factor == 1 && !context.keepsGraph ? slopes : try slopes * .float(factor)]
        }
      }
      let factors =
        reduction == .none
        ? try grad.to(.float64).contiguous()
        : try Tensor.full([1], .float(grad.item().double / divisor), dtype: .float64)
      return [
        try context.saved(0).crossEntropyGradient(
          classes, weight, denominators: try context.saved(2), factors, ignoreIndex, labelSmoothing)
      ]
    }
  }

  private func crossEntropyGradient(
    _ classes: Tensor, _ weight: Tensor?, denominators: Tensor, _ factors: Tensor, _ ignoreIndex: Int64,
    _ labelSmoothing: Double
  ) throws -> Tensor {
    let layout = try ClassScores(self)
    let out = try Tensor(empty: layout.scores.shape, dtype: dtype, strides: layout.scores.strides)
    let kernel = kernels.loss.crossEntropyGradient[dtype.lane.rawValue]
    let size = dtype.size
    var settings = layout.settings(ignoreIndex, labelSmoothing)
    settings.gradientStride = factors.count == 1 ? 0 : 1
    let perSample = settings.gradientStride
    let (x, w, y) = (try layout.scores.pointer(), try weight?.pointer(), try out.mutablePointer())
    let t = try classes.pointer().assumingMemoryBound(to: Int64.self)
    let d = try denominators.pointer().assumingMemoryBound(to: Double.self)
    let g = try factors.pointer().assumingMemoryBound(to: Double.self)
    layout.forEachBlock { at, first, count in
      kernel(x + at * size, t + first, w, d + first, g + first * perSample, y + at * size, count, settings)
    }
    return try out.reshape(shape)
  }

  /// The same in differentiable operations.
  private func crossEntropyFormula(
    _ target: Tensor, _ weight: Tensor?, _ ignoreIndex: Int, _ reduction: LossReduction, _ labelSmoothing: Double
  ) throws -> Tensor {
    let logs = try logSoftmax(rank == 1 ? 0 : 1)
    let (rows, targetShape) = try logs.classRows(target)
    let samples = try ClassSamples(target, classes: rows.shape[1], weight: weight, ignoreIndex: ignoreIndex)
    let weights = try samples.weights.to(dtype)
    let loss = try rows.nllRows(samples.targets, weights, labelSmoothing > 0 ? .none : reduction)
    if labelSmoothing == 0 { return reduction == .none ? try loss.reshape(targetShape) : loss }
    var spread = try rows.negated()
    if let weight { spread = try spread * weight.to(dtype) }
    let smooth = try spread.sum([1]) * samples.counted.to(dtype)
    let classes = Double(rows.shape[1])
    let mixed = try loss * .float(1 - labelSmoothing) + smooth * .float(labelSmoothing / classes)
    if reduction == .none { return try mixed.reshape(targetShape) }
    return reduction == .mean ? try mixed.sum() / weights.sum() : try mixed.reduced(reduction)
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
    if let weight { products = try products * weight.reshape(Tensor.channelShape(weight.count, rank: rank)) }
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

  /// The shape of a fitting target, which has an element for each row of classes.
  fileprivate func classTargetShape(_ target: Tensor) throws -> [Int] {
    if rank == 1 {
      try require(
        target.count == 1 && target.rank <= 1,
        "For 1D input, 1D target must have size 1, but got target size: \(Shape.describe(target.shape))")
      return target.shape
    }
    try require(
      target.rank > 0 && target.shape[0] == shape[0], .value,
      "Expected input batch_size (\(shape[0])) to match target batch_size (\(target.shape.first ?? 0)).")
    let expected = [shape[0]] + shape.dropFirst(2)
    if rank == 2 {
      try require(target.rank == 1, "0D or 1D target tensor expected, multi-target not supported")
    } else {
      try require(
        target.shape == expected,
        "Expected target size \(Shape.describe(expected)), got \(Shape.describe(target.shape))")
    }
    return expected
  }

  /// The scores as one row of classes for each element of the target, and the target's shape.
  private func classRows(_ target: Tensor) throws -> (Tensor, [Int]) {
    let expected = try classTargetShape(target)
    if rank == 1 { return (try unsqueeze(0), expected) }
    if rank == 2 { return (self, expected) }
    let order = [0] + Array(2..<rank) + [1]
    return (try permute(order).reshape([expected.reduce(1, *), shape[1]]), expected)
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
}

/// Where the scores of a sample lie: in a row, or each class in a plane of its own.
private struct ClassScores {
  /// The scores, or a copy of them in one of the two orders.
  let scores: Tensor
  private let classes: Int
  private let outer: Int
  private let inner: Int
  private let isRows: Bool

  init(_ input: Tensor) throws {
    classes = input.shape[input.rank == 1 ? 0 : 1]
    let isRows = input.rank <= 2 || input.isChannelsLast
    self.isRows = isRows
    scores = try noGrad { try input.rank > 2 && isRows ? input : input.contiguous() }
    let samples = classes == 0 ? 0 : input.count / classes
    outer = isRows ? 1 : input.shape[0]
    inner = outer == 0 ? 0 : samples / outer
  }

  func settings(_ ignoreIndex: Int64, _ labelSmoothing: Double) -> CrossEntropySettings {
    CrossEntropySettings(
      classes: classes, ignoreIndex: ignoreIndex, labelSmoothing: labelSmoothing, classStride: isRows ? 1 : inner,
      sampleStride: isRows ? classes : 1)
  }

  /// Calls body(first element, first sample, samples) for blocks of samples.
  func forEachBlock(_ body: (Int, Int, Int) -> Void) {
    if inner == 0 { return }
    let block = max(1, 16384 / max(classes, 1) / 16 * 16)
    let blocks = (inner + block - 1) / block
    parallelFor(outer * blocks, grain: 1) { start, end in
      for item in start..<end {
        let sample = item % blocks * block
        let plane = item / blocks
        body(
          plane * classes * inner + sample * (isRows ? classes : 1), plane * inner + sample, min(block, inner - sample))
      }
    }
  }
}

/// A target of class indices that has been checked.
private struct ClassTarget {
  /// int64, in a row.
  let classes: Tensor
  /// Of the losses, one for each sample.
  let shape: [Int]
  let ignoreIndex: Int64
  private let counted: Int

  init(_ target: Tensor, of scores: Tensor, _ ignoreIndex: Int) throws {
    shape = try scores.classTargetShape(target)
    try require(
      target.dtype == .int64 || target.dtype == .uint8,
      "expected target dtype to be Long or Byte, but got \(target.dtype.scalarTypeName)")
    classes = try noGrad { try target.to(.int64).contiguous().detach() }
    self.ignoreIndex = Int64(ignoreIndex)
    let count = Int64(scores.shape[scores.rank == 1 ? 0 : 1])
    let values = try classes.pointer().assumingMemoryBound(to: Int64.self)
    let n = classes.count
    let grain = 1 << 14
    let parts = UnsafeMutablePointer<(counted: Int, wrong: Int)>.allocate(capacity: n / grain + 1)
    defer { parts.deallocate() }
    parallelFor(n, grain: grain) { start, end in
      parts[start / grain] = ClassTarget.check(values + start, end - start, count, Int64(ignoreIndex))
    }
    var counted = 0
    for part in 0..<(n + grain - 1) / grain {
      counted += parts[part].counted
      guard parts[part].wrong == 0 else {
        let wrong = (0..<n).first { values[$0] != Int64(ignoreIndex) && !(0..<count).contains(values[$0]) }
        throw SwiftNetError.index("Target \(wrong.map { values[$0] } ?? 0) is out of bounds.")
      }
    }
    self.counted = counted
  }

  /// How many targets count, and whether any of these is none of the classes.
  private static func check(_ values: UnsafePointer<Int64>, _ n: Int, _ classes: Int64, _ ignored: Int64) -> (
    counted: Int, wrong: Int
  ) {
    var (counted, wrong) = (0, 0)
    for i in 0..<n {
      let counts = values[i] != ignored
      counted &+= counts ? 1 : 0
      // As unsigned numbers the negative ones are the greatest.
      wrong |= counts && UInt64(bitPattern: values[i]) >= UInt64(classes) ? 1 : 0
    }
    return (counted, wrong)
  }

  /// The sum of the weights of the samples that count.
  func totalWeight(_ weight: Tensor?) throws -> Double {
    guard let weight else { return Double(counted) }
    let weights = try weight.doubles()
    let values = try classes.pointer().assumingMemoryBound(to: Int64.self)
    var total = 0.0
    for i in 0..<classes.count where values[i] != ignoreIndex { total += weights[Int(values[i])] }
    return total
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
