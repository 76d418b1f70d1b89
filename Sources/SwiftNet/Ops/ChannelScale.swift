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
    /// Others may change shared numbers without a word.
    func isOwn(_ source: Tensor?) -> Bool { source.map { !$0.memory.isShared && $0.isContiguous } ?? true }
    guard isOwn(mean), isOwn(variance), isOwn(weight), isOwn(bias) else {
      return try made(mean, variance, weight, bias, eps)
    }
    let key = Key(
      mean: Source(mean), variance: Source(variance), weight: weight.map(Source.init), bias: bias.map(Source.init),
      eps: eps.bitPattern)
    if let kept = lock.withLock({ _ in variance.memory.channelScale }), kept.key == key { return kept.value }
    let value = try made(mean, variance, weight, bias, eps)
    lock.withLock { _ in variance.memory.channelScale = Kept(key: key, value: value) }
    return value
  }

  /// Which contents, and which part of them.
  fileprivate struct Source: Equatable {
    let contents: Int
    let offset: Int
    let count: Int
    let dtype: DType

    init(_ tensor: Tensor) {
      (contents, offset, count, dtype) = (tensor.memory.contentsNumber, tensor.offset, tensor.count, tensor.dtype)
    }
  }

  fileprivate struct Key: Equatable {
    let mean: Source
    let variance: Source
    let weight: Source?
    let bias: Source?
    let eps: UInt64
  }

  /// A result and what it was made from.
  struct Kept {
    fileprivate let key: Key
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
