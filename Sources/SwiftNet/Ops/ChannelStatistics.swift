import KernelTypes

/// What a batch normalisation does once for each channel, in double; its passes over the elements are kernels.
enum ChannelStatistics {
  /// The channels' parameters: float32 or float64.
  typealias Numbers = UnsafeMutableRawPointer

  /// The element that stands `stride` further for each channel.
  static func pivots(
    _ x: UnsafeRawPointer, _ dtype: DType, stride: Int, _ channels: Int, to pivots: UnsafeMutablePointer<Double>
  ) {
    switch dtype {
    case .float64: for c in 0..<channels { pivots[c] = x.load(fromByteOffset: 8 * c * stride, as: Double.self) }
    case .bfloat16:
      for c in 0..<channels {
        let bits = x.load(fromByteOffset: 2 * c * stride, as: UInt16.self)
        pivots[c] = Double(Float(bitPattern: UInt32(bits) << 16))
      }
    default: for c in 0..<channels { pivots[c] = Double(x.load(fromByteOffset: 4 * c * stride, as: Float.self)) }
    }
  }

  /// Puts means, and after them the (biased) variances, in the place of the sums of x - pivot and of its square.
  static func finish(
    _ sums: UnsafeMutablePointer<Double>, pivots: UnsafePointer<Double>, positions: Double, _ channels: Int
  ) {
    let part = 1 / positions
    for c in 0..<channels {
      let offset = sums[c] * part
      sums[channels + c] = max(0, sums[channels + c] * part - offset * offset)
      sums[c] = pivots[c] + offset
    }
  }

  /// running = (1 - momentum) · running + momentum · value · factor
  static func move(
    _ running: Numbers, _ lane: Lane, toward values: UnsafePointer<Double>, momentum: Double, factor: Double = 1,
    _ channels: Int
  ) {
    func run<S: LaneNumber>(_ running: UnsafeMutablePointer<S>) {
      let (kept, taken) = (1 - momentum, momentum * factor)
      for c in 0..<channels { running[c] = S(kept * running[c].wide + taken * values[c]) }
    }
    if lane == .f64 {
      run(running.assumingMemoryBound(to: Double.self))
    } else {
      run(running.assumingMemoryBound(to: Float.self))
    }
  }

  /// Puts 1 / √(variance + eps) in the place of the variances.
  static func invert(_ variances: UnsafeMutablePointer<Double>, eps: Double, _ channels: Int) {
    for c in 0..<channels { variances[c] = 1 / (variances[c] + eps).squareRoot() }
  }

  /// For each channel the factor, and after all of them what is added, so that `x · factor + summand` is the normalised x.
  ///
  /// - Parameter statistics: means, and after them 1 / √(variance + eps).
  static func scale(
    _ statistics: UnsafePointer<Double>, _ lane: Lane, weight: UnsafeRawPointer?, bias: UnsafeRawPointer?,
    _ channels: Int, to result: Numbers
  ) {
    func run<S: LaneNumber>(_: S.Type) {
      let weight = weight?.assumingMemoryBound(to: S.self), bias = bias?.assumingMemoryBound(to: S.self)
      let result = result.assumingMemoryBound(to: S.self)
      for c in 0..<channels {
        let factor = statistics[channels + c] * (weight?[c].wide ?? 1)
        result[c] = S(factor)
        result[channels + c] = S((bias?[c].wide ?? 0) - statistics[c] * factor)
      }
    }
    if lane == .f64 { run(Double.self) } else { run(Float.self) }
  }

  /// Of the sums of g and of g (x - mean): the gradients of the parameters, where they are wanted, and the coefficients
  /// of `NormGradientCoefficients`, those of all channels one after the other.
  ///
  /// - Parameter positions: elements of a channel; infinite where the statistics are constants.
  static func coefficients(
    _ sums: UnsafePointer<Double>, _ statistics: UnsafePointer<Double>, _ lane: Lane, weight: UnsafeRawPointer?,
    positions: Double, _ channels: Int, to result: Numbers, weightGradient: Numbers?, biasGradient: Numbers?
  ) {
    func run<S: LaneNumber>(_: S.Type) {
      let weight = weight?.assumingMemoryBound(to: S.self), mean = result.assumingMemoryBound(to: S.self)
      let (a, b, k) = (mean + channels, mean + 2 * channels, mean + 3 * channels)
      let part = 1 / positions
      for c in 0..<channels {
        let inverse = statistics[channels + c]
        let factor = inverse * (weight?[c].wide ?? 1)
        mean[c] = S(statistics[c])
        a[c] = S(factor)
        b[c] = S(-factor * inverse * inverse * sums[channels + c] * part)
        k[c] = S(-factor * sums[c] * part)
      }
      if let gradient = weightGradient?.assumingMemoryBound(to: S.self) {
        for c in 0..<channels { gradient[c] = S(sums[channels + c] * statistics[channels + c]) }
      }
      if let gradient = biasGradient?.assumingMemoryBound(to: S.self) {
        for c in 0..<channels { gradient[c] = S(sums[c]) }
      }
    }
    if lane == .f64 { run(Double.self) } else { run(Float.self) }
  }
}

/// Float or Double.
private protocol LaneNumber {
  init(_ value: Double)
  var wide: Double { get }
}

extension Float: LaneNumber {
  var wide: Double { Double(self) }
}

extension Double: LaneNumber {
  var wide: Double { self }
}
