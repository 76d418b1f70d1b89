/// Batch normalisation (Ioffe and Szegedy, 2015, https://arxiv.org/abs/1502.03167): per channel,
/// `y = (x - mean) / √(variance + eps) · weight + bias`.
extension Tensor {
  /// Batch normalisation of N, C, …. In training (or without running statistics) mean and variance are the batch's, and
  /// the running statistics move toward them: `running += momentum · (batch - running)`, in place, the variance with
  /// Bessel's correction. PyTorch: `torch.nn.functional.batch_norm`.
  public func batchNorm(
    runningMean: Tensor? = nil, runningVariance: Tensor? = nil, weight: Tensor? = nil, bias: Tensor? = nil,
    training: Bool = false, momentum: Double = 0.1, eps: Double = 1e-5
  ) throws -> Tensor {
    try require(rank >= 2, "batch_norm: expected at least 2D input, got \(rank)D input")
    try require(
      dtype.isFloatingPoint, .notImplemented, "\"batch_norm\" not implemented for '\(dtype.scalarTypeName)'")
    let channels = shape[1]
    func check(_ tensor: Tensor?, _ name: StaticString) throws {
      guard let tensor, tensor.count != channels else { return }
      throw SwiftNetError.runtime("\(name) should contain \(channels) elements not \(tensor.count)")
    }
    try check(runningMean, "running_mean")
    try check(runningVariance, "running_var")
    try check(weight, "weight")
    try check(bias, "bias")
    try require(
      training || (runningMean != nil && runningVariance != nil),
      "Expected running_mean and running_var to be defined when training=False")
    if dtype.kernelPlace == nil, training || ThreadState.current.isGradEnabled {
      let result = try to(.float32).batchNorm(
        runningMean: runningMean, runningVariance: runningVariance, weight: try weight?.to(.float32),
        bias: try bias?.to(.float32), training: training, momentum: momentum, eps: eps)
      return try result.to(dtype)
    }
    if training {
      let n = shape.enumerated().reduce(1) { $1.offset == 1 ? $0 : $0 * $1.element }
      try require(
        n != 1, .value, "Expected more than 1 value per channel when training, got input size \(Shape.size(shape))")
    }
    let lane = dtype.lane.dtype
    if !training, !ThreadState.current.isGradEnabled, let runningMean, let runningVariance {
      return try scaled(
        try ChannelScale.fixed(
          mean: runningMean, variance: runningVariance, weight: weight, bias: bias, eps: eps, lane: lane))
    }
    let weight = try weight.map { $0.dtype == lane ? $0 : try $0.to(lane) }
    let bias = try bias.map { $0.dtype == lane ? $0 : try $0.to(lane) }
    let inputs = [self] + [weight, bias].compactMap { $0 }
    var saved = try Tensor.save([self], forInputs: inputs)
    let (x, layout) = try inChannelLayout()
    let statistics: Tensor
    if !training, let runningMean, let runningVariance {
      statistics = try .statistics(mean: runningMean, variance: runningVariance, eps: eps)
    } else {
      statistics = try x.batchStatistics(layout, eps, momentum, runningMean, runningVariance)
    }
    let out = try x.scaled(
      try noGrad {
        try ChannelScale(statistics, weight: try weight?.contiguous(), bias: try bias?.contiguous(), lane: lane)
      })
    if saved != nil {
      try saved?.append(contentsOf: [statistics, weight].compactMap { $0 }.map { try SavedTensor($0) })
    }
    let (weightAt, biasAt) = (weight == nil ? nil : 1, bias == nil ? nil : weight == nil ? 1 : 2)
    return try out.recorded("NativeBatchNorm", inputs: inputs, saved: saved) { context in
      try Tensor.batchNormBackward(context, weightAt: weightAt, biasAt: biasAt, training: training, eps: eps)
    }
  }

  /// Float64 [2, C]: mean of each channel, and 1 / √(variance + eps). The running statistics move toward them.
  private func batchStatistics(
    _ layout: ChannelLayout, _ eps: Double, _ momentum: Double, _ runningMean: Tensor?, _ runningVariance: Tensor?
  ) throws -> Tensor {
    let channels = shape[1]
    let result = try Tensor(empty: [2, channels], dtype: .float64)
    let totals = try result.mutablePointer().assumingMemoryBound(to: Double.self)
    if count == 0 {
      totals.update(repeating: .nan, count: 2 * channels)
      return result
    }
    let (x, place, size) = (try pointer(), try normPlace, dtype.size)
    // A value of the channel itself keeps both sums free of cancellation.
    let memory = try Scratch(bytes: 8 * channels)
    let pivots = memory.of(Double.self)
    ChannelStatistics.pivots(x, dtype, stride: strides[1], channels, to: pivots)
    let (rows, plane) = (kernels.norm.statisticsRows[place], kernels.norm.statisticsPlane[place])
    var positions = 0
    if case .planes(_, _, let p) = layout { positions = p }
    try ChannelSums(layout: layout).run(
      into: totals,
      rows: { at, n, out in rows(x + at * size, pivots, out, MatrixShape(rows: n, columns: channels)) },
      plane: { c, at, out in plane(x + at * size, positions, pivots[c], out) })
    let n = Double(count / channels), lane = dtype.lane
    ChannelStatistics.finish(totals, pivots: pivots, positions: n, channels)
    try runningMean?.changingNumbers(as: lane.dtype) {
      ChannelStatistics.move($0, lane, toward: totals, momentum: momentum, channels)
    }
    // Bessel's correction.
    try runningVariance?.changingNumbers(as: lane.dtype) {
      ChannelStatistics.move(
        $0, lane, toward: totals + channels, momentum: momentum, factor: n > 1 ? n / (n - 1) : 1, channels)
    }
    ChannelStatistics.invert(totals + channels, eps: eps, channels)
    withExtendedLifetime(memory) {}
    return result
  }

  /// Where the kernels for this tensor's dtype stand.
  private var normPlace: Int {
    get throws {
      guard let place = dtype.kernelPlace else {
        throw SwiftNetError.notImplemented("\"batch_norm\" not implemented for '\(dtype.scalarTypeName)'")
      }
      return place
    }
  }

  /// x · scale + shift for each channel: an elementwise operation like others, so that what follows joins it in one
  /// pass.
  private func scaled(_ channels: ChannelScale) throws -> Tensor {
    if count == 0 { return try Tensor(empty: shape, dtype: dtype, strides: strides) }
    if let joined = try joiningScale(channels) { return joined }
    if let waiting = try waitingForSteps(channels) { return waiting }
    return try noGrad {
      // addcmul: the first operand plus the product of the others.
      try elementwise(
        .addcmul,
        [
          .tensor(try channels.summands(rank: rank)), .tensor(try alias()), .tensor(try channels.factors(rank: rank)),
        ]
      ).to(dtype)
    }
  }

  private static func batchNormBackward(
    _ context: BackwardContext, weightAt: Int?, biasAt: Int?, training: Bool, eps: Double
  ) throws -> [Tensor?] {
    let x = try context.saved(0)
    let statistics = try context.saved(1)
    let weight = weightAt == nil ? nil : try context.saved(2)
    let count = 1 + (weightAt == nil ? 0 : 1) + (biasAt == nil ? 0 : 1)
    if context.createsGraph {
      var inputs: [Tensor?] = [x]
      if weightAt != nil { inputs.append(weight) }
      var results = try context.gradients(
        ofFormula: { linked in
          guard let x = linked[0] else { throw SwiftNetError.runtime("batch_norm: input missing") }
          return try x.batchNormFormula(
            weight: weightAt == nil ? nil : linked[1], statistics, training: training, eps: eps)
        }, inputs)
      if biasAt != nil { results.append(try context.grad.sumOverPlaces()) }
      return results
    }
    let (data, layout) = try x.inChannelLayout()
    let sums = ChannelSums(layout: layout)
    let needsParameters = [weightAt, biasAt].contains { $0.map(context.needs) ?? false }
    let isSummed = x.count > 0 && (training || needsParameters)
    var gradient = try context.takeGrad()
    let grad = try NormGradient(&gradient, of: data, isSummed: isSummed && layout.isRows)
    let mask = try grad.mask()
    var results = [Tensor?](repeating: nil, count: count)
    let channels = x.shape[1]
    let (place, size) = (try x.normPlace, x.dtype.size)
    let lane = x.dtype.lane
    let laneSize = lane.dtype.size
    var positions = 0
    if case .planes(_, _, let p) = layout { positions = p }
    let means = try statistics.pointer().assumingMemoryBound(to: Double.self)
    let memory = try Scratch(bytes: (2 * 8 + 4 * laneSize) * channels)
    let totals = memory.of(Double.self)
    if isSummed {
      let (source, g) = (try data.pointer(), try grad.tensor.pointer())
      let (rows, plane) = (kernels.norm.gradientSumsRows[place], kernels.norm.gradientSumsPlane[place])
      try sums.run(
        into: totals,
        rows: { at, n, out in
          grad.computePieces(rows: n, from: at / channels, columns: channels) { row, n in
            let at = row * channels
            rows(
              g + at * size, source + at * size, means, mask.from(at * size), out,
              MatrixShape(rows: n, columns: channels))
          }
        },
        plane: { c, at, out in
          plane(
            g + at * size, source + at * size, means[c], mask.from(at * size, channel: c * laneSize), out, positions)
        })
      try grad.finish()
    } else {
      totals.update(repeating: 0, count: 2 * channels)
    }
    func parameterGradient(_ index: Int?) throws -> UnsafeMutableRawPointer? {
      guard let index, context.needs(index) else { return nil }
      let result =
        try x.count > 0 ? Tensor(empty: [channels], dtype: lane.dtype) : Tensor.zeros([channels], dtype: lane.dtype)
      results[index] = result
      return x.count > 0 ? try result.mutablePointer() : nil
    }
    let wide = try noGrad { try weight?.contiguous() }
    let coefficients = UnsafeMutableRawPointer(totals + 2 * channels)
    ChannelStatistics.coefficients(
      totals, means, lane, weight: try wide?.pointer(),
      positions: training ? Double(x.count / max(channels, 1)) : .infinity, channels, to: coefficients,
      weightGradient: try parameterGradient(weightAt), biasGradient: try parameterGradient(biasAt))
    guard context.needs(0) else { return results }
    let (source, g) = (try data.pointer(), try grad.tensor.pointer())
    let taken = grad.isOwn ? grad.tensor : context.successor(of: data, saved: 0) ?? grad.successor()
    let dx = try taken ?? Tensor(empty: x.shape, dtype: x.dtype, strides: data.strides)
    results[0] = dx
    if x.count == 0 { return results }
    let target = try dx.mutablePointer()
    let (rows, plane) = (kernels.norm.gradientRows[place], kernels.norm.gradientPlane[place])
    /// Those from a channel on.
    func part(_ channel: Int) -> NormGradientCoefficients {
      let first = coefficients + channel * laneSize, step = channels * laneSize
      return NormGradientCoefficients(mean: first, a: first + step, b: first + 2 * step, k: first + 3 * step)
    }
    sums.forEach(
      rows: { at, n in
        rows(
          g + at * size, source + at * size, mask.from(at * size), target + at * size, part(0),
          MatrixShape(rows: n, columns: channels))
      },
      plane: { c, at in
        plane(
          g + at * size, source + at * size, mask.from(at * size, channel: c * laneSize), target + at * size, part(c),
          MatrixShape(rows: 1, columns: positions))
      })
    withExtendedLifetime((memory, statistics, wide, data, gradient, grad)) {}
    return results
  }

  /// Batch normalisation without bias in differentiable operations.
  private func batchNormFormula(
    weight: Tensor?, _ statistics: Tensor, training: Bool, eps: Double
  ) throws -> Tensor {
    if dtype.isNarrow {
      let wide = try to(.float32).batchNormFormula(weight: weight, statistics, training: training, eps: eps)
      return try wide.to(dtype)
    }
    let view = Tensor.channelShape(shape[1], rank: rank)
    var result: Tensor
    if training {
      let dims = shape.indices.filter { $0 != 1 }
      let centred = try self - mean(dims, keepdim: true)
      result = try centred * ((centred * centred).mean(dims, keepdim: true) + .float(eps)).unary(.rsqrt)
    } else {
      let numbers = try statistics.to(dtype)
      result = try (self - numbers.select(0, 0).reshape(view)) * numbers.select(0, 1).reshape(view)
    }
    if let weight { result = try result * weight.reshape(view) }
    return result
  }

  /// Normalisation of each channel of each sample by its own statistics. With running statistics, these move toward the
  /// mean over the samples; without `useInputStatistics`, they are used. PyTorch: `torch.nn.functional.instance_norm`.
  public func instanceNorm(
    runningMean: Tensor? = nil, runningVariance: Tensor? = nil, weight: Tensor? = nil, bias: Tensor? = nil,
    useInputStatistics: Bool = true, momentum: Double = 0.1, eps: Double = 1e-5
  ) throws -> Tensor {
    try require(rank >= 3, "instance_norm: expected at least 3D input, got \(rank)D input")
    try require(
      useInputStatistics || (runningMean != nil && runningVariance != nil),
      "Expected running_mean and running_var to be defined when use_input_stats is false")
    if useInputStatistics {
      try require(
        shape.dropFirst(2).reduce(1, *) != 1, .value,
        "Expected more than 1 spatial element when training, got input size \(Shape.size(shape))")
    }
    let (samples, channels) = (shape[0], shape[1])
    for (name, numbers) in [("weight", weight), ("bias", bias)] {
      guard let numbers else { continue }
      // Counted as PyTorch repeats them, for each sample.
      try require(
        numbers.count == channels,
        "\(name) should contain \(samples * channels) elements not \(samples * numbers.count)")
    }
    if useInputStatistics, runningMean == nil, runningVariance == nil, channels > 0, dtype.isFloatingPoint {
      return try groupNorm(channels, weight: weight, bias: bias, eps: eps)
    }
    func repeated(_ tensor: Tensor?) throws -> Tensor? {
      try tensor?.unsqueeze(0).expand([samples, channels]).reshape([samples * channels])
    }
    let (mean, variance) = (
      try noGrad { try repeated(runningMean)?.clone() }, try noGrad { try repeated(runningVariance)?.clone() }
    )
    let flat = try contiguous().reshape([1, samples * channels] + shape.dropFirst(2))
    let out = try flat.batchNorm(
      runningMean: mean, runningVariance: variance, weight: try repeated(weight), bias: try repeated(bias),
      training: useInputStatistics, momentum: momentum, eps: eps)
    if useInputStatistics {
      for (running, moved) in [(runningMean, mean), (runningVariance, variance)] {
        if let running, let moved {
          try noGrad { try running.copyInPlace(try moved.reshape([samples, channels]).mean([0])) }
        }
      }
    }
    return try out.reshape(shape)
  }
}
