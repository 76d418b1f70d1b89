import KernelTypes
import Synchronization

/// What a normalisation does to a channel once its statistics are known: `x · scale + shift`.
final class ChannelScale: @unchecked Sendable {
  /// Shape [2, C], of the lane's dtype: nobody changes it once it is there.
  private let numbers: Tensor
  private var channels: Int { numbers.shape[1] }

  /// - Parameters:
  ///   - statistics: Float64 [2, C] in a row: means, and 1 / √(variance + eps).
  ///   - weight: C numbers of dtype `lane` in a row, as is `bias`; nil stands for ones, and for zeros.
  init(_ statistics: Tensor, weight: Tensor?, bias: Tensor?, lane: DType) throws {
    numbers = try Tensor(empty: statistics.shape, dtype: lane)
    ChannelStatistics.scale(
      try statistics.pointer().assumingMemoryBound(to: Double.self), lane.lane, weight: try weight?.pointer(),
      bias: try bias?.pointer(), channels, to: try numbers.mutablePointer())
  }

  /// Shape [1, C, 1, …].
  func factors(rank: Int) throws -> Tensor { try row(0, rank) }
  func summands(rank: Int) throws -> Tensor { try row(1, rank) }

  private func row(_ index: Int, _ rank: Int) throws -> Tensor {
    let shape = Tensor.channelShape(channels, rank: rank)
    return try numbers.alias(
      shape: shape, strides: Shape.contiguousStrides(shape), offset: index * channels, count: channels)
  }

  /// Calls `body` with factors and summands in float32, which they must be.
  func withFloats<R>(_ body: (UnsafePointer<Float>, UnsafePointer<Float>) throws -> R) throws -> R {
    let pointer = try numbers.pointer().assumingMemoryBound(to: Float.self)
    return try body(pointer, pointer + channels)
  }

  /// That of fixed statistics, kept with the variance for the next call: evaluation asks for the same ones image after
  /// image.
  static func fixed(
    mean: Tensor, variance: Tensor, weight: Tensor?, bias: Tensor?, eps: Double, lane: DType
  ) throws -> ChannelScale {
    /// Others may change shared numbers without a word.
    func isOwn(_ source: Tensor?) -> Bool { source.map { !$0.memory.isShared && $0.isContiguous } ?? true }
    guard isOwn(mean), isOwn(variance), isOwn(weight), isOwn(bias) else {
      return try made(mean, variance, weight, bias, eps, lane)
    }
    let key = Key(
      mean: Source(mean), variance: Source(variance), weight: weight.map(Source.init), bias: bias.map(Source.init),
      eps: eps.bitPattern, lane: lane)
    if let kept = lock.withLock({ _ in variance.memory.channelScale }), kept.key == key { return kept.value }
    let value = try made(mean, variance, weight, bias, eps, lane)
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
    let lane: DType
  }

  /// A result and what it was made from.
  struct Kept {
    fileprivate let key: Key
    let value: ChannelScale
  }

  private static let lock = Mutex<Void>(())

  private static func made(
    _ mean: Tensor, _ variance: Tensor, _ weight: Tensor?, _ bias: Tensor?, _ eps: Double, _ lane: DType
  ) throws -> ChannelScale {
    try noGrad {
      try ChannelScale(
        try .statistics(mean: mean, variance: variance, eps: eps), weight: try weight?.to(lane).contiguous(),
        bias: try bias?.to(lane).contiguous(), lane: lane)
    }
  }
}

extension Tensor {
  /// Float64 [2, C]: means, and 1 / √(variance + eps).
  static func statistics(mean: Tensor, variance: Tensor, eps: Double) throws -> Tensor {
    let result = try Tensor(empty: [2, mean.count], dtype: .float64)
    let pointer = try result.mutablePointer().assumingMemoryBound(to: Double.self)
    pointer.update(from: try mean.doubles() + variance.doubles(), count: result.count)
    ChannelStatistics.invert(pointer + mean.count, eps: eps, mean.count)
    return result
  }
}
