import KernelTypes

// What a batch normalisation does once for each channel, in doubles: little work, but nothing else runs meanwhile.

@inline(__always)
private func pivots<S: NormNumber>(_: S.Type) -> ChannelPivotsKernel {
  { x, stride, pivots, channels in
    let x = x.assumingMemoryBound(to: S.self)
    for c in 0..<channels { pivots[c] = x[c * stride].asDouble }
  }
}

/// As `JoinSumsKernel` says.
@inline(never)
private func joinSums(
  _ parts: UnsafePointer<Double>, _ shape: MatrixShape, _ sums: UnsafeMutablePointer<Double>, _ count: Int
) {
  columnBlocks(count, Doubles.scalarCount) { c, n in
    var sum = Doubles(0)
    for part in 0..<shape.rows { sum = sum + loadLanes(parts + (part * shape.columns + c), n, Doubles.self) }
    storeLanes(sum, sums + c, n)
  }
}

/// running = (1 - momentum) · running + momentum · value · factor
@inline(__always)
private func move<S: LaneNumber>(
  _ running: UnsafeMutablePointer<S>, _ values: UnsafePointer<Double>, _ momentum: Double, _ factor: Double,
  _ count: Int
) {
  for c in 0..<count { running[c] = S((1 - momentum) * running[c].asDouble + momentum * (values[c] * factor)) }
}

@inline(__always)
private func statistics<S: LaneNumber>(_: S.Type) -> BatchStatisticsKernel {
  { sums, pivots, channels, options in
    let o = options.pointee
    let (means, variances) = (sums, sums + channels)
    for c in 0..<channels {
      let offset = means[c] / o.positions
      variances[c] = max(0, variances[c] / o.positions - offset * offset)
      means[c] = pivots[c] + offset
    }
    if let running = o.runningMean?.assumingMemoryBound(to: S.self) { move(running, means, o.momentum, 1, channels) }
    if let running = o.runningVariance?.assumingMemoryBound(to: S.self) {
      let correction = o.positions > 1 ? o.positions / (o.positions - 1) : 1
      move(running, variances, o.momentum, correction, channels)
    }
    for c in 0..<channels { variances[c] = 1 / (variances[c] + o.eps).squareRoot() }
  }
}

@inline(__always)
private func scale<S: LaneNumber>(_: S.Type) -> ChannelScaleKernel {
  { statistics, weight, bias, result, channels in
    let weight = weight?.assumingMemoryBound(to: S.self), bias = bias?.assumingMemoryBound(to: S.self)
    let result = result.assumingMemoryBound(to: S.self)
    for c in 0..<channels {
      let scale = statistics[channels + c] * (weight?[c].asDouble ?? 1)
      result[c] = S(scale)
      result[channels + c] = S((bias?[c].asDouble ?? 0) - statistics[c] * scale)
    }
  }
}

@inline(__always)
private func coefficients<S: LaneNumber>(_: S.Type) -> NormCoefficientsKernel {
  { sums, statistics, weight, positions, result, gradients, channels in
    let weight = weight?.assumingMemoryBound(to: S.self)
    let mean = result.assumingMemoryBound(to: S.self)
    let (a, b, k) = (mean + channels, mean + 2 * channels, mean + 3 * channels)
    for c in 0..<channels {
      let inverse = statistics[channels + c]
      let factor = inverse * (weight?[c].asDouble ?? 1)
      mean[c] = S(statistics[c])
      a[c] = S(factor)
      b[c] = S(-factor * inverse * inverse * sums[channels + c] / positions)
      k[c] = S(-factor * sums[c] / positions)
    }
    if let gradient = gradients.weight?.assumingMemoryBound(to: S.self) {
      for c in 0..<channels { gradient[c] = S(sums[channels + c] * statistics[channels + c]) }
    }
    if let gradient = gradients.bias?.assumingMemoryBound(to: S.self) {
      for c in 0..<channels { gradient[c] = S(sums[c]) }
    }
  }
}

/// Float or Double: what channels' parameters are.
private protocol LaneNumber: NormNumber {
  init(_ value: Double)
}

extension Float: LaneNumber {}
extension Double: LaneNumber {}

func registerChannelStatistics(_ table: inout NormKernels) {
  table.pivots = [stored(pivots(Float.self)), stored(pivots(Double.self)), stored(pivots(BrainFloat.self))]
  table.joinSums = { joinSums($0, $1, $2, $3) }
  table.statistics = [stored(statistics(Float.self)), stored(statistics(Double.self))]
  table.scale = [stored(scale(Float.self)), stored(scale(Double.self))]
  table.coefficients = [stored(coefficients(Float.self)), stored(coefficients(Double.self))]
}
