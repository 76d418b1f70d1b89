import KernelTypes

/// Group normalisation (Wu and He, 2018, https://arxiv.org/abs/1803.08494): each group of channels of each sample by its
/// own mean and variance.
extension Tensor {
  /// Group normalisation of N, C, …: `(x - mean) / √(variance + eps) · weight + bias`, weight and bias by channel. PyTorch:
  /// `torch.nn.functional.group_norm`.
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
    try require(
      [weight, bias].allSatisfy { $0?.dtype ?? dtype == dtype },
      "mixed dtype (CPU): expect parameter to have scalar type of \(dtype.scalarTypeName)")
    return try normalizedByGroups(groups, weight, bias, eps)
  }

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
  private func groupNormFormula(_ groups: Int, _ weight: Tensor?, _ eps: Double) throws -> Tensor {
    let flat = try contiguous().reshape([shape[0] * groups, count / (shape[0] * groups)])
    let centred = try flat - flat.mean([1], keepdim: true)
    let scale = try ((centred * centred).mean([1], keepdim: true) + .float(eps)).unary(.rsqrt)
    let result = try (centred * scale).reshape(shape)
    return try weight.map { try result * $0.reshape(Tensor.channelShape(shape[1], rank: rank)) } ?? result
  }
}

/// A batch whose channels are normalised in groups. The channels of all samples are counted through, N · C of them, so that
/// a group is `groupSize` neighbours; numbers of channels lie in that order.
private struct GroupData {
  private let x: Tensor
  private let samples: Int
  private let channels: Int
  private let groupSize: Int
  /// Of a sample.
  private let positions: Int
  /// Whether the channels of a position are adjacent.
  private let isRows: Bool

  init(_ x: Tensor, _ layout: ChannelLayout, _ groups: Int) {
    self.x = x
    (samples, channels, isRows) = (x.shape[0], x.shape[1], layout.isRows)
    groupSize = channels / groups
    positions = x.count / (samples * channels)
  }

  private var lane: Int { x.dtype.lane.rawValue }
  private var size: Int { x.dtype.size }
  private var count: Int { samples * channels }
  /// Elements of a group.
  private var elements: Double { Double(groupSize * positions) }
  private var planes: ChannelSums {
    ChannelSums(layout: .planes(samples: 1, channels: count, positions: positions))
  }
  /// Positions of a chunk of rows.
  private var grain: Int { max(64, 16384 / channels) }

  /// Calls `body(task, first channel, first element, positions)` for chunks of rows, none of which has two samples.
  private func forEachChunk(_ body: (Int, Int, Int, Int) -> Void) {
    let chunks = (positions + grain - 1) / grain
    parallelFor(samples * chunks, grain: max(1, grain / positions)) { first, last in
      for task in first..<last {
        let (sample, start) = (task / chunks, task % chunks * grain)
        body(task, sample * channels, (sample * positions + start) * channels, min(grain, positions - start))
      }
    }
  }

  /// Two sums of each channel, those of the first kind before the others. `rows(first channel, first element, positions,
  /// sums)` adds to those of a sample, `plane(channel, first element, sums)` to two.
  private func sums(
    rows: (Int, Int, Int, UnsafeMutablePointer<Double>) -> Void, plane: (Int, Int, UnsafeMutablePointer<Double>) -> Void
  ) throws -> Scratch {
    let result = try Scratch(bytes: 16 * count)
    let totals = result.of(Double.self)
    if !isRows {
      try planes.run(into: totals, rows: { _, _, _ in }, plane: plane)
      return result
    }
    let shape = MatrixShape(rows: (positions + grain - 1) / grain, columns: 2 * channels)
    let pieces = try Scratch(bytes: 8 * samples * shape.rows * shape.columns)
    let partial = pieces.of(Double.self)
    forEachChunk { task, channel, at, n in
      let own = partial + task * shape.columns
      own.update(repeating: 0, count: shape.columns)
      rows(channel, at, n, own)
    }
    for sample in 0..<samples {
      let from = partial + sample * shape.rows * shape.columns, to = totals + sample * channels
      kernels.norm.joinSums(from, shape, to, channels)
      kernels.norm.joinSums(from + channels, shape, to + count, channels)
    }
    withExtendedLifetime(pieces) {}
    return result
  }

  /// Float64 [2, N · C]: mean of each channel's group, and 1 / √(variance + eps).
  func statistics(eps: Double) throws -> Tensor {
    let source = try x.pointer()
    let result = try Tensor(empty: [2, count], dtype: .float64)
    let mean = try result.mutablePointer().assumingMemoryBound(to: Double.self), inverse = mean + count
    // A value of the group itself keeps both sums free of cancellation: the first one of its first channel.
    for sample in 0..<samples {
      ChannelStatistics.pivots(
        source + sample * channels * positions * size, x.dtype, stride: isRows ? 1 : positions, channels,
        to: mean + sample * channels)
    }
    for channel in 0..<count { mean[channel] = mean[channel - channel % groupSize] }
    let (rows, plane) = (kernels.norm.statisticsRows[lane], kernels.norm.statisticsPlane[lane])
    let memory = try sums(
      rows: { channel, at, n, out in
        rows(source + at * size, mean + channel, out, MatrixShape(rows: n, columns: channels))
      },
      plane: { channel, at, out in plane(source + at * size, positions, mean[channel], out) })
    let found = memory.of(Double.self)
    for first in stride(from: 0, to: count, by: groupSize) {
      var (sum, squares) = (0.0, 0.0)
      for channel in first..<first + groupSize {
        sum += found[channel]
        squares += found[count + channel]
      }
      let offset = sum / elements, variance = max(0, squares / elements - offset * offset)
      (mean + first).update(repeating: mean[first] + offset, count: groupSize)
      (inverse + first).update(repeating: 1 / (variance + eps).squareRoot(), count: groupSize)
    }
    withExtendedLifetime(memory) {}
    return result
  }

  /// `x · factors + summands` is the result; both [N, C, 1, …].
  func scale(_ statistics: Tensor, weight: [Double]?, bias: [Double]?) throws -> (factors: Tensor, summands: Tensor) {
    let mean = try statistics.pointer().assumingMemoryBound(to: Double.self), inverse = mean + count
    var factors = [Double](repeating: 0, count: count), summands = factors
    for channel in 0..<count {
      factors[channel] = inverse[channel] * (weight?[channel % channels] ?? 1)
      summands[channel] = (bias?[channel % channels] ?? 0) - mean[channel] * factors[channel]
    }
    let shape = [samples, channels] + [Int](repeating: 1, count: x.rank - 2)
    withExtendedLifetime(statistics) {}
    return (
      try Tensor.of(factors, dtype: x.dtype).reshape(shape), try Tensor.of(summands, dtype: x.dtype).reshape(shape)
    )
  }

  /// Those of input, weight and bias, from that of the result in the input's order. With g the sums of the gradient times
  /// the weight over a group, and h those of the same times (x - mean): `dx = (w · dy - g / n) / σ - (x - mean) · h / n / σ³`.
  func gradients(_ grad: Tensor, _ statistics: Tensor, weight: [Double]?, hasBias: Bool) throws -> [Tensor?] {
    let (source, from) = (try x.pointer(), try grad.pointer())
    let mean = try statistics.pointer().assumingMemoryBound(to: Double.self), inverse = mean + count
    let (sumRows, sumPlane) = (kernels.norm.gradientSumsRows[lane], kernels.norm.gradientSumsPlane[lane])
    let memory = try sums(
      rows: { channel, at, n, out in
        sumRows(
          from + at * size, source + at * size, mean + channel, NormMask(), out,
          MatrixShape(rows: n, columns: channels))
      },
      plane: { channel, at, out in
        sumPlane(from + at * size, source + at * size, mean[channel], NormMask(), out, positions)
      })
    let found = memory.of(Double.self)
    // Mean, a, b and k of all channels, one after the other.
    var coefficients = [Double](repeating: 0, count: 4 * count)
    var (dw, db) = ([Double](repeating: 0, count: channels), [Double](repeating: 0, count: channels))
    for first in stride(from: 0, to: count, by: groupSize) {
      var (g, h) = (0.0, 0.0)
      for channel in first..<first + groupSize {
        let factor = weight?[channel % channels] ?? 1
        g += factor * found[channel]
        h += factor * found[count + channel]
      }
      for channel in first..<first + groupSize {
        let (scale, place) = (inverse[channel], channel % channels)
        coefficients[channel] = mean[channel]
        coefficients[count + channel] = scale * (weight?[place] ?? 1)
        coefficients[2 * count + channel] = -scale * scale * scale * h / elements
        coefficients[3 * count + channel] = -scale * g / elements
        dw[place] += found[count + channel] * scale
        db[place] += found[channel]
      }
    }
    let numbers = try Tensor.of(coefficients, dtype: x.dtype)
    let start = try numbers.pointer(), step = count * size
    func part(_ channel: Int) -> NormGradientCoefficients {
      let first = start + channel * size
      return NormGradientCoefficients(mean: first, a: first + step, b: first + 2 * step, k: first + 3 * step)
    }
    let dx = try Tensor(empty: x.shape, dtype: x.dtype, strides: x.strides)
    let target = try dx.mutablePointer()
    func run(_ kernel: NormGradientKernel, _ channel: Int, _ at: Int, _ shape: MatrixShape) {
      kernel(from + at * size, source + at * size, NormMask(), target + at * size, part(channel), shape)
    }
    if isRows {
      let kernel = kernels.norm.gradientRows[lane]
      forEachChunk { _, channel, at, n in run(kernel, channel, at, MatrixShape(rows: n, columns: channels)) }
    } else {
      let kernel = kernels.norm.gradientPlane[lane]
      planes.forEach(rows: { _, _ in }) { run(kernel, $0, $1, MatrixShape(rows: 1, columns: positions)) }
    }
    withExtendedLifetime((memory, numbers, statistics, grad)) {}
    var results: [Tensor?] = [dx]
    if weight != nil { results.append(try Tensor.of(dw, dtype: x.dtype)) }
    if hasBias { results.append(try Tensor.of(db, dtype: x.dtype)) }
    return results
  }
}
