/// Rearrangements between channels and places.
extension Tensor {
  /// (…, C·r², H, W) to (…, C, H·r, W·r) (Shi et al., 2016, https://arxiv.org/abs/1609.05158).
  public func pixelShuffle(_ factor: Int) throws -> Tensor {
    try require(
      rank >= 3, "pixel_shuffle expects input to have at least 3 dimensions, but got input with \(rank) dimension(s)")
    try require(factor > 0 && factor < 1 << 20, "pixel_shuffle expects a positive upscale_factor, but got \(factor)")
    let (c, h, w) = (shape[rank - 3], shape[rank - 2], shape[rank - 1])
    try require(
      c % (factor * factor) == 0,
      "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but "
        + "input.size(-3)=\(c) is not divisible by \(factor * factor)")
    let lead = Array(shape.dropLast(3))
    let k = lead.count
    let split = try reshape(lead + [c / (factor * factor), factor, factor, h, w])
    let order = Array(0..<k) + [k, k + 3, k + 1, k + 4, k + 2]
    return try split.permute(order).reshape(lead + [c / (factor * factor), h * factor, w * factor])
  }

  /// The inverse of `pixelShuffle`.
  public func pixelUnshuffle(_ factor: Int) throws -> Tensor {
    try require(
      rank >= 3, "pixel_unshuffle expects input to have at least 3 dimensions, but got input with \(rank) dimension(s)")
    try require(
      factor > 0 && factor < 1 << 20, "pixel_unshuffle expects a positive downscale_factor, but got \(factor)")
    let (c, h, w) = (shape[rank - 3], shape[rank - 2], shape[rank - 1])
    try require(
      h % factor == 0,
      "pixel_unshuffle expects height to be divisible by downscale_factor, but input.size(-2)=\(h) is not divisible by "
        + "\(factor)")
    try require(
      w % factor == 0,
      "pixel_unshuffle expects width to be divisible by downscale_factor, but input.size(-1)=\(w) is not divisible by "
        + "\(factor)")
    let lead = Array(shape.dropLast(3))
    let k = lead.count
    let split = try reshape(lead + [c, h / factor, factor, w / factor, factor])
    let order = Array(0..<k) + [k, k + 2, k + 4, k + 1, k + 3]
    return try split.permute(order).reshape(lead + [c * factor * factor, h / factor, w / factor])
  }

  /// Channels (dimension 1) dealt out again: (g, C / g) to (C / g, g) (Zhang et al., 2018,
  /// https://arxiv.org/abs/1707.01083).
  public func channelShuffle(_ groups: Int) throws -> Tensor {
    try require(
      rank >= 3, "channel_shuffle expects input with > 2 dims, but got input with sizes \(Shape.describe(shape))")
    try require(
      groups > 0, "Number of groups to divide channels in must be positive. Value of groups:\(groups)")
    try require(
      shape[1] % groups == 0,
      "Number of channels must be divisible by groups. Got \(shape[1]) channels and \(groups) groups.")
    let split = try reshape([shape[0], groups, shape[1] / groups] + shape.dropFirst(2))
    return try split.transpose(1, 2).reshape(shape)
  }
}
