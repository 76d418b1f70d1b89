/// Pixels from channels and back. PyTorch: `torch.nn.PixelShuffle`, `PixelUnshuffle`, `ChannelShuffle`.
public final class Shuffle: Layer, ModuleFamily {
  static let schemas = [
    (name: "PixelShuffle", schema: ModuleSchema("upscale_factor")),
    (name: "PixelUnshuffle", schema: ModuleSchema("downscale_factor")),
    (name: "ChannelShuffle", schema: ModuleSchema("groups")),
  ]

  public override func forward(_ x: Tensor) throws -> Tensor {
    switch typeName {
    case "PixelShuffle": try x.pixelShuffle(try int("upscale_factor"))
    case "PixelUnshuffle": try x.pixelUnshuffle(try int("downscale_factor"))
    default: try x.channelShuffle(try int("groups"))
    }
  }
}

/// Resizes N, C, … to given sizes or by factors. PyTorch: `torch.nn.Upsample`.
public final class Upsample: Layer, ModuleFamily {
  private static let schema = ModuleSchema(optional: [
    "size": nil, "scale_factor": nil, "mode": "nearest", "align_corners": nil, "recompute_scale_factor": nil,
  ])

  static let schemas = ["Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d"].map { (name: $0, schema: schema) }

  /// Modes, and for those that interpolate the rank they need.
  private static let modes: [String: (mode: InterpolationMode, rank: Int?)] = [
    "nearest": (.nearest, nil), "nearest-exact": (.nearestExact, nil), "area": (.area, nil), "linear": (.linear, 3),
    "bilinear": (.linear, 4), "trilinear": (.linear, 5), "bicubic": (.cubic, 4),
  ]

  public override func forward(_ x: Tensor) throws -> Tensor {
    let name = try string("mode")
    let only =
      "Input Error: Only 3D, 4D and 5D input Tensors supported (got \(x.rank)D) for the modes: nearest | linear | "
      + "bilinear | bicubic | trilinear | area | nearest-exact (got \(name))"
    guard let (mode, rank) = Upsample.modes[name], (3...5).contains(x.rank) else {
      throw SwiftNetError.notImplemented(only)
    }
    try require(
      rank == nil || rank == x.rank, .notImplemented, "Got \(x.rank)D input, but \(name) mode needs \(rank ?? 0)D input"
    )
    let align = setting("align_corners")
    try require(
      rank != nil || align?.isNone != false, .value,
      "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear")
    let (size, scales) = try target(x)
    return try x.interpolated(size, mode: mode, scales: scales, alignCorners: align?.truth ?? false)
  }

  /// Spatial sizes, and the factors if they are to be used as given.
  private func target(_ x: Tensor) throws -> (size: [Int], scales: [Double]?) {
    let spatial = x.rank - 2
    func each<T>(_ values: [T], _ name: String) throws -> [T] {
      if values.count == 1 { return [T](repeating: values[0], count: spatial) }
      try require(
        values.count == spatial, .value,
        "Input and \(name) must have the same number of spatial dimensions, but got input with spatial dimensions of "
          + "\(Shape.describe(Array(x.shape.dropFirst(2)))) and \(name) of shape \(values)")
      return values
    }
    let factors = setting("scale_factor")
    let recompute = setting("recompute_scale_factor")?.truth ?? false
    if let size = try optionalInts("size") {
      try require(factors?.isNone != false, .value, "only one of size or scale_factor should be defined")
      try require(!recompute, .value, "recompute_scale_factor is not meaningful with an explicit size.")
      return (try each(size, "output size"), nil)
    }
    guard let list = factors?.doubles else {
      throw SwiftNetError.value("either size or scale_factor should be defined")
    }
    let scales = try each(list, "scale_factor")
    let size = try zip(x.shape.dropFirst(2), scales).map { n, factor in
      let wanted = (Double(n) * factor).rounded(.down)
      guard wanted >= 0, wanted < 0x1p31 else {
        throw SwiftNetError.runtime("Input and output sizes should be greater than 0, but got scale \(factor)")
      }
      return Int(wanted)
    }
    return (size, recompute ? nil : scales)
  }
}
