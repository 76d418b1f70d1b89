import KernelTypes

/// Group normalisation (Wu and He, 2018, https://arxiv.org/abs/1803.08494): each group of channels of each sample by its
/// own mean and variance.
extension Tensor {
  /// Group normalisation of N, C, …: `(x - mean) / √(variance + eps) · weight + bias`, weight and bias by channel. PyTorch:
  /// `torch.nn.functional.group_norm`.
  @_optimize(size)
  public func groupNorm(_ groups: Int, weight: Tensor? = nil, bias: Tensor? = nil, eps: Double = 1e-5) throws -> Tensor
  {
    try require(rank >= 2, "Expected at least 2 dimensions for input tensor but received \(rank)")
    try require(groups > 0, "Expected num groups to be greater than 0, got \(groups)")
    let channels = shape[1]
    try require(
      channels % groups == 0,
      "Expected number of channels in input to be divisible by num_groups, but got input of shape "
        + "\(Shape.describe(shape)) and num_groups=\(groups)")
    for (name, parameter) in [("weight", weight), ("bias", bias)] {
      guard let parameter else { continue }
      try require(
        parameter.shape == [channels],
        "Expected \(name) to be a vector of size equal to the number of channels in input, but got \(name) of shape "
          + "\(Shape.describe(parameter.shape)) and input of shape \(Shape.describe(shape))")
    }
    try require(
      dtype.isFloatingPoint, .notImplemented, "\"GroupNormKernelImpl\" not implemented for '\(dtype.scalarTypeName)'")
    if dtype.lane.dtype != dtype {
      let wide = try to(.float32).groupNorm(
        groups, weight: try weight?.to(.float32), bias: try bias?.to(.float32), eps: eps)
      return try wide.to(dtype)
    }
    if count == 0 { return try self * 1.0 }
    if let other = [weight, bias].compactMap({ $0 }).first(where: { $0.dtype != dtype }) {
      throw SwiftNetError.runtime(
        "expected scalar type \(dtype.scalarTypeName) but found \(other.dtype.scalarTypeName)")
    }
    return try normalizedByGroups(groups, weight, bias, eps)
  }

  @_optimize(size)
  private func normalizedByGroups(_ groups: Int, _ weight: Tensor?, _ bias: Tensor?, _ eps: Double) throws -> Tensor {
    let inputs = [self] + [weight, bias].compactMap { $0 }
    var saved = try Tensor.save([self], forInputs: inputs)
    let (x, layout) = try inChannelLayout()
    let data = GroupData(x, layout, groups)
    let statistics = try data.statistics(eps: eps)
    let out = try noGrad {
      let (factors, summands) = try data.scale(
        statistics, weight: try weight?.doubles(), bias: try bias?.doubles())
      return try elementwise(.addcmul, [.tensor(summands), .tensor(try x.alias()), .tensor(factors)])
    }
    if saved != nil {
      try saved?.append(contentsOf: [statistics, weight].compactMap { $0 }.map { try SavedTensor($0) })
    }
    let (hasWeight, hasBias) = (weight != nil, bias != nil)
    return try out.recorded("NativeGroupNorm", inputs: inputs, saved: saved) { context in
      let x = try context.saved(0)
      let weight = hasWeight ? try context.saved(2) : nil
      if context.createsGraph {
        var results = try context.gradients(
          ofFormula: { linked in
            guard let x = linked[0] else { throw SwiftNetError.runtime("group_norm: input missing") }
            return try x.groupNormFormula(groups, hasWeight ? linked[1] : nil, eps)
          }, [x] + (weight.map { [$0] } ?? []))
        if hasBias { results.append(try context.grad.sumOverPlaces()) }
        return results
      }
      let (source, layout) = try x.inChannelLayout()
      let data = GroupData(source, layout, groups)
      let grad = try context.grad.inOrder(of: source)
      return try data.gradients(grad, try context.saved(1), weight: try weight?.doubles(), hasBias: hasBias)
    }
  }

  /// Without bias, in differentiable operations.
  @_optimize(size)
  private func groupNormFormula(_ groups: Int, _ weight: Tensor?, _ eps: Double) throws -> Tensor {
    let flat = try contiguous().reshape([shape[0] * groups, count / (shape[0] * groups)])
    let centred = try flat - flat.mean([1], keepdim: true)
    let scale = try ((centred * centred).mean([1], keepdim: true) + .float(eps)).unary(.rsqrt)
    let result = try (centred * scale).reshape(shape)
    return try weight.map { try result * $0.reshape(Tensor.channelShape(shape[1], rank: rank)) } ?? result
  }
}

/// A batch whose channels are normalised in groups. Numbers of a sample and channel, or of a sample and group, lie in the
/// order of samples.
private struct GroupData {
  private let x: Tensor
  private let samples: Int
  private let channels: Int
  private let groups: Int
  /// Of a sample.
  private let positions: Int
  /// Whether the channels of a position are adjacent.
  private let isRows: Bool

  init(_ x: Tensor, _ layout: ChannelLayout, _ groups: Int) {
    self.x = x
    self.groups = groups
    (samples, channels, isRows) = (x.shape[0], x.shape[1], layout.isRows)
    positions = x.count / (samples * channels)
  }

  private var lane: Int { x.dtype.lane.rawValue }
  private var size: Int { x.dtype.size }
  private var groupSize: Int { channels / groups }
  /// Elements of a group.
  private var elements: Double { Double(groupSize * positions) }

  /// Two sums of each channel of each sample: sample by sample those of the first kind, then those of the second.
  /// `rows(first element, positions, sample, sums)` adds to those of a sample, `plane(first element, sample, channel, sums)`
  /// to two.
  @_optimize(size)
  private func sums(
    rows: (Int, Int, Int, UnsafeMutablePointer<Double>) -> Void,
    plane: (Int, Int, Int, UnsafeMutablePointer<Double>) -> Void
  ) throws -> Scratch {
    let width = 2 * channels
    let memory = try Scratch(bytes: 8 * samples * width)
    let totals = memory.of(Double.self)
    guard isRows else {
      let pairs = try Scratch(bytes: 8 * samples * width)
      let found = pairs.of(Double.self)
      parallelFor(samples * channels, grain: max(1, 16384 / positions)) { first, last in
        for index in first..<last {
          let (sample, channel) = (index / channels, index % channels)
          let own = found + 2 * index
          own.update(repeating: 0, count: 2)
          plane(index * positions, sample, channel, own)
          totals[sample * width + channel] = own[0]
          totals[sample * width + channels + channel] = own[1]
        }
      }
      withExtendedLifetime(pairs) {}
      return memory
    }
    let grain = max(64, 16384 / channels)
    let parts = (positions + grain - 1) / grain
    let pieces = try Scratch(bytes: 8 * samples * parts * width)
    let partial = pieces.of(Double.self)
    parallelFor(samples * parts, grain: max(1, grain / positions)) { first, last in
      for task in first..<last {
        let (sample, start) = (task / parts, task % parts * grain)
        let own = partial + task * width
        own.update(repeating: 0, count: width)
        rows((sample * positions + start) * channels, min(grain, positions - start), sample, own)
      }
    }
    parallelFor(samples, grain: max(1, 16384 / (parts * width))) { first, last in
      for sample in first..<last {
        kernels.norm.joinSums(
          partial + sample * parts * width, MatrixShape(rows: parts, columns: width), totals + sample * width, width)
      }
    }
    withExtendedLifetime(pieces) {}
    return memory
  }

  /// Numbers of groups, each for all channels of its group.
  private func byChannel(_ values: UnsafePointer<Double>) throws -> Scratch {
    let result = try Scratch(bytes: 8 * samples * channels)
    let target = result.of(Double.self)
    for index in 0..<samples * channels { target[index] = values[index / groupSize] }
    return result
  }

  /// Float64 [2, N · G]: mean of each group, and 1 / √(variance + eps).
  @_optimize(size)
  func statistics(eps: Double) throws -> Tensor {
    let source = try x.pointer()
    // A value of the group itself keeps both sums free of cancellation.
    let first = try Scratch(bytes: 8 * samples * groups)
    for sample in 0..<samples {
      ChannelStatistics.pivots(
        source + sample * channels * positions * size, x.dtype, stride: groupSize * (isRows ? 1 : positions), groups,
        to: first.of(Double.self) + sample * groups)
    }
    let spread = try byChannel(first.of(Double.self))
    let pivots = spread.of(Double.self)
    let (rows, plane) = (kernels.norm.statisticsRows[lane], kernels.norm.statisticsPlane[lane])
    let found = try sums(
      rows: { at, n, sample, out in
        rows(source + at * size, pivots + sample * channels, out, MatrixShape(rows: n, columns: channels))
      },
      plane: { at, sample, channel, out in
        plane(source + at * size, positions, pivots[sample * channels + channel], out)
      })
    let result = try Tensor(empty: [2, samples * groups], dtype: .float64)
    let mean = try result.mutablePointer().assumingMemoryBound(to: Double.self), inverse = mean + samples * groups
    for index in 0..<samples * groups {
      let (sum, squares) = total(found, index) { _ in 1 }
      let offset = sum / elements
      mean[index] = first.of(Double.self)[index] + offset
      inverse[index] = 1 / (max(0, squares / elements - offset * offset) + eps).squareRoot()
    }
    withExtendedLifetime((first, spread, found)) {}
    return result
  }

  /// The two sums of a group over its channels, each times what the channel counts.
  @_optimize(size)
  private func total(_ sums: Scratch, _ index: Int, _ factor: (Int) -> Double) -> (Double, Double) {
    let (sample, group) = index.quotientAndRemainder(dividingBy: groups)
    let sums = sums.of(Double.self) + 2 * sample * channels
    var (first, second) = (0.0, 0.0)
    for channel in group * groupSize..<(group + 1) * groupSize {
      first += factor(channel) * sums[channel]
      second += factor(channel) * sums[channels + channel]
    }
    return (first, second)
  }

  /// `x · factors + summands` is the result; both [N, C, 1, …].
  @_optimize(size)
  func scale(_ statistics: Tensor, weight: [Double]?, bias: [Double]?) throws -> (factors: Tensor, summands: Tensor) {
    let mean = try statistics.pointer().assumingMemoryBound(to: Double.self), inverse = mean + samples * groups
    var factors = [Double](repeating: 0, count: samples * channels), summands = factors
    for index in factors.indices {
      let (channel, group) = (index % channels, index / groupSize)
      factors[index] = inverse[group] * (weight?[channel] ?? 1)
      summands[index] = (bias?[channel] ?? 0) - mean[group] * factors[index]
    }
    let shape = [samples, channels] + [Int](repeating: 1, count: x.rank - 2)
    withExtendedLifetime(statistics) {}
    return (
      try Tensor.of(factors, dtype: x.dtype).reshape(shape), try Tensor.of(summands, dtype: x.dtype).reshape(shape)
    )
  }

  /// Those of input, weight and bias, from that of the result in the input's order. With g the sums of the gradient times
  /// the weight over a group, and h those of the same times (x - mean): `dx = (w · dy - g / n) / σ - (x - mean) · h / n / σ³`.
  @_optimize(size)
  func gradients(
    _ grad: Tensor, _ statistics: Tensor, weight: [Double]?, hasBias: Bool
  ) throws -> [Tensor?] {
    let (source, from) = (try x.pointer(), try grad.pointer())
    let mean = try statistics.pointer().assumingMemoryBound(to: Double.self), inverse = mean + samples * groups
    let spread = try byChannel(mean)
    let means = spread.of(Double.self)
    let (sumRows, sumPlane) = (kernels.norm.gradientSumsRows[lane], kernels.norm.gradientSumsPlane[lane])
    let found = try sums(
      rows: { at, n, sample, out in
        sumRows(
          from + at * size, source + at * size, means + sample * channels, NormMask(), out,
          MatrixShape(rows: n, columns: channels))
      },
      plane: { at, sample, channel, out in
        sumPlane(from + at * size, source + at * size, means[sample * channels + channel], NormMask(), out, positions)
      })
    // Of each sample, one after the other: mean, a, b and k of all channels.
    var coefficients = [Double](repeating: 0, count: 4 * samples * channels)
    for index in 0..<samples * groups {
      let (g, h) = total(found, index) { weight?[$0] ?? 1 }
      let (sample, group) = index.quotientAndRemainder(dividingBy: groups)
      let scale = inverse[index]
      for channel in group * groupSize..<(group + 1) * groupSize {
        let place = 4 * sample * channels + channel
        coefficients[place] = mean[index]
        coefficients[place + channels] = scale * (weight?[channel] ?? 1)
        coefficients[place + 2 * channels] = -scale * scale * scale * h / elements
        coefficients[place + 3 * channels] = -scale * g / elements
      }
    }
    let numbers = try Tensor.of(coefficients, dtype: x.dtype)
    let start = try numbers.pointer()
    func part(_ sample: Int, _ channel: Int) -> NormGradientCoefficients {
      let first = start + (4 * sample * channels + channel) * size, step = channels * size
      return NormGradientCoefficients(mean: first, a: first + step, b: first + 2 * step, k: first + 3 * step)
    }
    let dx = try Tensor(empty: x.shape, dtype: x.dtype, strides: x.strides)
    let target = try dx.mutablePointer()
    let (rows, plane) = (kernels.norm.gradientRows[lane], kernels.norm.gradientPlane[lane])
    let lines = isRows ? positions : channels, columns = isRows ? channels : positions
    let grain = max(1, 16384 / columns)
    let parts = (lines + grain - 1) / grain
    parallelFor(samples * parts, grain: max(1, grain / lines)) { first, last in
      for task in first..<last {
        let (sample, start) = (task / parts, task % parts * grain)
        let end = min(start + grain, lines)
        func run(_ kernel: NormGradientKernel, _ line: Int, _ count: Int, channel: Int) {
          let at = (sample * lines + line) * columns * size
          kernel(
            from + at, source + at, NormMask(), target + at, part(sample, channel),
            MatrixShape(rows: count, columns: columns))
        }
        if isRows {
          run(rows, start, end - start, channel: 0)
        } else {
          for channel in start..<end { run(plane, channel, 1, channel: channel) }
        }
      }
    }
    var weightGradient = [Double](repeating: 0, count: channels), biasGradient = weightGradient
    for sample in 0..<samples {
      let own = found.of(Double.self) + 2 * sample * channels
      for channel in 0..<channels {
        biasGradient[channel] += own[channel]
        weightGradient[channel] += own[channels + channel] * inverse[sample * groups + channel / groupSize]
      }
    }
    withExtendedLifetime((spread, found, numbers, statistics, grad)) {}
    var results: [Tensor?] = [dx]
    if weight != nil { results.append(try Tensor.of(weightGradient, dtype: x.dtype)) }
    if hasBias { results.append(try Tensor.of(biasGradient, dtype: x.dtype)) }
    return results
  }
}
