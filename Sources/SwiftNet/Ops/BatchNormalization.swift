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
    if NormKernels.place(of: dtype) == nil, training || ThreadState.current.isGradEnabled {
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
    let parameters = dtype.lane.dtype
    if !training, !ThreadState.current.isGradEnabled, let runningMean, let runningVariance {
      return try scaled(
        try ChannelScale.fixed(mean: runningMean, variance: runningVariance, weight: weight, bias: bias, eps: eps))
    }
    let weight = try weight.map { $0.dtype == parameters ? $0 : try $0.to(parameters) }
    let bias = try bias.map { $0.dtype == parameters ? $0 : try $0.to(parameters) }
    let inputs = [self] + [weight, bias].compactMap { $0 }
    var saved = try Tensor.save([self], forInputs: inputs)
    let (x, layout) = try inChannelLayout()
    let sums = ChannelSums(layout: layout, size: dtype.size)
    var mean: [Double]
    var variance: [Double]
    if training {
      let n = channels == 0 ? 0 : count / channels
      (mean, variance) = try x.channelStatistics(sums)
      if n > 0 {
        try runningMean?.moveStatistics(toward: mean, momentum)
        let correction = n > 1 ? Double(n) / Double(n - 1) : 1
        try runningVariance?.moveStatistics(toward: variance.map { $0 * correction }, momentum)
      }
    } else {
      mean = try runningMean?.doubles() ?? []
      variance = try runningVariance?.doubles() ?? []
    }
    let inverse = variance.map { 1 / ($0 + eps).squareRoot() }
    let out = try x.scaled(try ChannelScale(mean: mean, inverse: inverse, weight: weight, bias: bias))
    if saved != nil {
      let statistics = [try Tensor.of(mean, dtype: .float64), try Tensor.of(inverse, dtype: .float64)]
      try saved?.append(contentsOf: (statistics + [weight].compactMap { $0 }).map { try SavedTensor($0) })
    }
    let (weightAt, biasAt) = (weight == nil ? nil : 1, bias == nil ? nil : weight == nil ? 1 : 2)
    return try out.recorded("NativeBatchNorm", inputs: inputs, saved: saved) { context in
      try Tensor.batchNormBackward(context, weightAt: weightAt, biasAt: biasAt, training: training, eps: eps)
    }
  }

  /// this += momentum · (value - this), in double.
  private func moveStatistics(toward values: [Double], _ momentum: Double) throws {
    let old = try doubles()
    try assign(zip(old, values).map { (1 - momentum) * $0 + momentum * $1 })
  }

  /// Mean and (biased) variance of each channel.
  private func channelStatistics(_ sums: ChannelSums) throws -> ([Double], [Double]) {
    let channels = shape[1]
    if count == 0 { return ([Double](repeating: .nan, count: channels), [Double](repeating: .nan, count: channels)) }
    // A value of the channel itself keeps both sums free of cancellation.
    let pivots = try select(0, 0).reshapedFirstPositions().doubles()
    let (x, place, size) = (try pointer(), try normPlace, sums.size)
    let (rows, plane) = (kernels.norm.statisticsRows[place], kernels.norm.statisticsPlane[place])
    var positions = 0
    if case .planes(_, _, let p) = sums.layout { positions = p }
    let (first, second) = pivots.withUnsafeBufferPointer { pivots in
      sums.run(
        rows: { at, n, out in
          rows(x + at * size, pivots.baseAddress, out, MatrixShape(rows: n, columns: channels))
        },
        plane: { c, at, out in plane(x + at * size, positions, pivots[c], out) })
    }
    let n = Double(count / channels)
    return (
      (0..<channels).map { pivots[$0] + first[$0] / n },
      (0..<channels).map { max(0, second[$0] / n - (first[$0] / n) * (first[$0] / n)) }
    )
  }

  /// Where the kernels for this tensor's dtype stand.
  private var normPlace: Int {
    get throws {
      guard let place = NormKernels.place(of: dtype) else {
        throw SwiftNetError.notImplemented("\"batch_norm\" not implemented for '\(dtype.scalarTypeName)'")
      }
      return place
    }
  }

  /// Of C, …: the first position of each channel, without recording.
  private func reshapedFirstPositions() throws -> Tensor {
    try alias(shape: [shape[0]], strides: [strides[0]], count: shape[0])
  }

  /// x · scale + shift for each channel: an elementwise operation like others, so that what follows joins it in one
  /// pass.
  private func scaled(_ channels: ChannelScale) throws -> Tensor {
    if count == 0 { return try Tensor(empty: shape, dtype: dtype, strides: strides) }
    if let joined = try joiningScale(channels) { return joined }
    if let waiting = try waitingForSteps(channels) { return waiting }
    let parameters = dtype.lane.dtype
    let (scales, shifts) = (
      try Tensor.of(channels.scale, dtype: parameters), try Tensor.of(channels.shift, dtype: parameters)
    )
    let view = scales.channelShape(rank: rank)
    return try noGrad {
      let (scales, shifts) = (try scales.reshape(view), try shifts.reshape(view))
      // addcmul: the first operand plus the product of the others.
      return try elementwise(.addcmul, [.tensor(shifts), .tensor(try alias()), .tensor(scales)]).to(dtype)
    }
  }

  private static func batchNormBackward(
    _ context: BackwardContext, weightAt: Int?, biasAt: Int?, training: Bool, eps: Double
  ) throws -> [Tensor?] {
    let x = try context.saved(0)
    let (means, inverses) = (try context.saved(1), try context.saved(2))
    let weight = weightAt == nil ? nil : try context.saved(3)
    let count = 1 + (weightAt == nil ? 0 : 1) + (biasAt == nil ? 0 : 1)
    if context.createsGraph {
      var inputs: [Tensor?] = [x]
      if weightAt != nil { inputs.append(weight) }
      var results = try context.gradients(
        ofFormula: { linked in
          guard let x = linked[0] else { throw SwiftNetError.runtime("batch_norm: input missing") }
          return try x.batchNormFormula(
            weight: weightAt == nil ? nil : linked[1], means, inverses, training: training, eps: eps)
        }, inputs)
      if biasAt != nil { results.append(try context.grad.sumOverPlaces()) }
      return results
    }
    let (data, layout) = try x.inChannelLayout()
    let sums = ChannelSums(layout: layout, size: x.dtype.size)
    let needsParameters = [weightAt, biasAt].contains { $0.map(context.needs) ?? false }
    let isSummed = x.count > 0 && (training || needsParameters)
    var gradient = try context.takeGrad()
    let grad = try NormGradient(&gradient, of: data, isSummed: isSummed && layout.isRows)
    let mask = try grad.mask()
    let (mean, inverse, w) = (try means.doubles(), try inverses.doubles(), try weight?.doubles())
    var results = [Tensor?](repeating: nil, count: count)
    let channels = x.shape[1]
    var first = [Double](repeating: 0, count: channels)
    var second = first
    let (place, size) = (try x.normPlace, x.dtype.size)
    let parameters = x.dtype.lane.dtype
    let laneSize = parameters.size
    var positions = 0
    if case .planes(_, _, let p) = layout { positions = p }
    if isSummed {
      let (source, g) = (try data.pointer(), try grad.tensor.pointer())
      let (rows, plane) = (kernels.norm.gradientSumsRows[place], kernels.norm.gradientSumsPlane[place])
      (first, second) = mean.withUnsafeBufferPointer { mean in
        sums.run(
          rows: { at, n, out in
            guard let means = mean.baseAddress else { return }
            grad.computePieces(rows: n, from: at / channels, columns: channels) { row, n in
              let at = row * channels
              rows(
                g + at * size, source + at * size, means, mask.from(at * size), out,
                MatrixShape(rows: n, columns: channels))
            }
          },
          plane: { c, at, out in
            plane(
              g + at * size, source + at * size, mean[c], mask.from(at * size, channel: c * laneSize), out, positions)
          })
      }
      try grad.finish()
    }
    if let weightAt, context.needs(weightAt) {
      results[weightAt] = try Tensor.of(zip(second, inverse).map { x.count == 0 ? 0 : $0 * $1 }, dtype: parameters)
    }
    if let biasAt, context.needs(biasAt) { results[biasAt] = try Tensor.of(first, dtype: parameters) }
    guard context.needs(0) else { return results }
    let (source, g) = (try data.pointer(), try grad.tensor.pointer())
    let taken = grad.isOwn ? grad.tensor : context.successor(of: data, saved: 0) ?? grad.successor()
    let dx = try taken ?? Tensor(empty: x.shape, dtype: x.dtype, strides: data.strides)
    results[0] = dx
    if x.count == 0 { return results }
    let n = training ? Double(x.count / channels) : .infinity
    let a = inverse.indices.map { inverse[$0] * (w?[$0] ?? 1) }
    let coefficients = [
      mean, a, a.indices.map { -a[$0] * inverse[$0] * inverse[$0] * second[$0] / n },
      a.indices.map { -a[$0] * first[$0] / n },
    ]
    let packed = try coefficients.map { try Tensor.of($0, dtype: parameters) }
    let p = try packed.map { try $0.pointer() }
    let target = try dx.mutablePointer()
    let (rows, plane) = (kernels.norm.gradientRows[place], kernels.norm.gradientPlane[place])
    sums.forEach(
      rows: { at, n in
        rows(
          g + at * size, source + at * size, mask.from(at * size), target + at * size,
          NormGradientCoefficients(mean: p[0], a: p[1], b: p[2], k: p[3]), MatrixShape(rows: n, columns: channels))
      },
      plane: { c, at in
        plane(
          g + at * size, source + at * size, mask.from(at * size, channel: c * laneSize), target + at * size,
          NormGradientCoefficients(
            mean: p[0] + c * laneSize, a: p[1] + c * laneSize, b: p[2] + c * laneSize, k: p[3] + c * laneSize),
          MatrixShape(rows: 1, columns: positions))
      })
    withExtendedLifetime((packed, data, gradient, grad)) {}
    return results
  }

  /// Batch normalisation without bias in differentiable operations.
  private func batchNormFormula(
    weight: Tensor?, _ means: Tensor, _ inverses: Tensor, training: Bool, eps: Double
  ) throws -> Tensor {
    if dtype.isNarrow {
      let wide = try to(.float32).batchNormFormula(weight: weight, means, inverses, training: training, eps: eps)
      return try wide.to(dtype)
    }
    let view = means.channelShape(rank: rank)
    var result: Tensor
    if training {
      let dims = shape.indices.filter { $0 != 1 }
      let centred = try self - mean(dims, keepdim: true)
      result = try centred * ((centred * centred).mean(dims, keepdim: true) + .float(eps)).unary(.rsqrt)
    } else {
      result = try (self - means.to(dtype).reshape(view)) * inverses.to(dtype).reshape(view)
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
