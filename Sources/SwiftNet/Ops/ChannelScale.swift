import Synchronization

/// What a normalisation does to a channel once its statistics are known: `x · scale + shift`.
final class ChannelScale: Sendable {
  let scale: [Double]
  let shift: [Double]
  /// The same for the kernels of convolutions.
  let floats: (scale: [Float], shift: [Float])

  init(mean: [Double], inverse: [Double], weight: Tensor?, bias: Tensor?) throws {
    let (w, b) = (try weight?.doubles(), try bias?.doubles())
    let scale = inverse.indices.map { inverse[$0] * (w?[$0] ?? 1) }
    let shift = inverse.indices.map { (b?[$0] ?? 0) - mean[$0] * scale[$0] }
    self.scale = scale
    self.shift = shift
    floats = (scale.map { Float($0) }, shift.map { Float($0) })
  }

  /// That of fixed statistics, kept with the variance for the next call: evaluation asks for the same ones image after
  /// image.
  static func fixed(mean: Tensor, variance: Tensor, weight: Tensor?, bias: Tensor?, eps: Double) throws -> ChannelScale
  {
    let sources = [mean, variance, weight, bias]
    // Others may change shared numbers without a word.
    if sources.contains(where: { $0.map { $0.memory.isShared || !$0.isContiguous } ?? false }) {
      return try made(mean, variance, weight, bias, eps)
    }
    let key =
      sources.flatMap { source in
        source.map { [$0.memory.contentsNumber, $0.offset, $0.count, Int($0.dtype.rawValue)] } ?? [0]
      } + [Int(bitPattern: UInt(eps.bitPattern))]
    if let kept = lock.withLock({ _ in variance.memory.channelScale }), kept.key == key { return kept.value }
    let value = try made(mean, variance, weight, bias, eps)
    lock.withLock { _ in variance.memory.channelScale = Kept(key: key, value: value) }
    return value
  }

  /// A result and what it was made from: which contents, which part of them, and eps.
  struct Kept {
    let key: [Int]
    let value: ChannelScale
  }

  private static let lock = Mutex<Void>(())

  private static func made(
    _ mean: Tensor, _ variance: Tensor, _ weight: Tensor?, _ bias: Tensor?, _ eps: Double
  ) throws -> ChannelScale {
    let inverse = try variance.doubles().map { 1 / ($0 + eps).squareRoot() }
    return try ChannelScale(mean: try mean.doubles(), inverse: inverse, weight: weight, bias: bias)
  }
}
