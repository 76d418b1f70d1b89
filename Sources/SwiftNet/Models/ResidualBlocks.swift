/// The blocks of ResNet: y = relu(f(x) + shortcut(x)), where f is two 3×3 convolutions (BasicBlock), or a 3×3
/// convolution between two 1×1 convolutions, the last of which makes four times the planes, or "expansion" times
/// (Bottleneck; stride and dilation are the 3×3 convolution's). The shortcut is the child "downsample", the identity if
/// there is none. He et al., 2015, https://arxiv.org/abs/1512.03385. PyTorch: `torchvision.models.resnet.BasicBlock`,
/// `Bottleneck`.
///
/// With "cbam", channel and spatial attention (Woo et al., 2018, https://arxiv.org/abs/1807.06521) weight f(x).
public final class ResidualBlock: Layer, ModuleFamily {
  static let schemas = ["BasicBlock", "Bottleneck"].map {
    (
      name: $0,
      schema: ModuleSchema(
        "inplanes", "planes",
        optional: [
          "stride": 1, "groups": 1, "base_width": 64, "dilation": 1, "norm_layer": "BatchNorm2d", "cbam": false,
          "expansion": nil,
        ])
    )
  }

  /// Channels of a block's result for each plane.
  static func expansion(_ typeName: String) throws -> Int {
    switch typeName {
    case "BasicBlock": return 1
    case "Bottleneck": return 4
    default:
      throw SwiftNetError.value("block must be 'BasicBlock' or 'Bottleneck', but got '\(typeName)'")
    }
  }

  private var isBottleneck: Bool { typeName == "Bottleneck" }

  public override func build(_ dtype: DType) throws {
    for name in ["inplanes", "planes", "stride", "groups", "base_width", "dilation"] {
      try requireSetting(name, atLeast: 1)
    }
    let (inputs, planes, stride) = (try int("inplanes"), try int("planes"), try int("stride"))
    let (groups, baseWidth, dilation) = (try int("groups"), try int("base_width"), try int("dilation"))
    let norm = try string("norm_layer")
    if isBottleneck {
      let width = planes * baseWidth / 64 * groups
      try require(width > 0, .value, "Bottleneck: planes · base_width / 64 must be at least 1")
      if setting("expansion")?.isNone == false { try requireSetting("expansion", atLeast: 1) }
      let outputs = try planes * (setting("expansion")?.int ?? ResidualBlock.expansion(typeName))
      setChild("conv1", try Module.convolution(inputs, width, 1, dtype: dtype))
      setChild("bn1", try Module.normalization(norm, width, dtype: dtype))
      setChild(
        "conv2",
        try Module.convolution(
          width, width, 3, stride: stride, padding: dilation, dilation: dilation, groups: groups, dtype: dtype))
      setChild("bn2", try Module.normalization(norm, width, dtype: dtype))
      setChild("conv3", try Module.convolution(width, outputs, 1, dtype: dtype))
      setChild("bn3", try Module.normalization(norm, outputs, dtype: dtype))
      setChild("relu", try Module.relu())
      try addAttention(outputs, dtype)
      return
    }
    try require(
      groups == 1 && baseWidth == 64, .value, "BasicBlock only supports groups=1 and base_width=64")
    try require(dilation == 1, .notImplemented, "Dilation > 1 not supported in BasicBlock")
    setChild("conv1", try Module.convolution(inputs, planes, 3, stride: stride, padding: 1, dtype: dtype))
    setChild("bn1", try Module.normalization(norm, planes, dtype: dtype))
    setChild("relu", try Module.relu())
    setChild("conv2", try Module.convolution(planes, planes, 3, padding: 1, dtype: dtype))
    setChild("bn2", try Module.normalization(norm, planes, dtype: dtype))
    try addAttention(planes, dtype)
  }

  private func addAttention(_ channels: Int, _ dtype: DType) throws {
    guard try bool("cbam") else { return }
    try addChild("ca", "ChannelAttention", ["in_planes": .int(channels)], dtype)
    try addChild("sa", "SpatialAttention", dtype)
  }

  public override func forward(_ x: Tensor) throws -> Tensor {
    let relu = try child("relu")
    var out = try relu(child("bn1")(child("conv1")(x)))
    out = try child("bn2")(child("conv2")(out))
    if isBottleneck { out = try child("bn3")(child("conv3")(relu(out))) }
    if let channels = optionalChild("ca") { out = try channels(out) * out }
    if let positions = optionalChild("sa") { out = try positions(out) * out }
    return try relu(out + (optionalChild("downsample")?(x) ?? x))
  }
}

/// The shortcut without parameters (option A in He et al., 2015): every stride-th position, and zeros for the channels
/// that x does not have.
public final class PaddedShortcut: Layer, ModuleFamily {
  static let schemas = [
    (
      name: "PaddedShortcut",
      schema: ModuleSchema("in_channels", "out_channels", optional: ["stride": 1])
    )
  ]

  public override func configure() throws {
    for name in ["in_channels", "out_channels", "stride"] { try requireSetting(name, atLeast: 1) }
    let (inputs, outputs) = (try int("in_channels"), try int("out_channels"))
    try require(
      outputs >= inputs, .value,
      "PaddedShortcut: out_channels (\(outputs)) must not be less than in_channels (\(inputs))")
  }

  public override func forward(_ x: Tensor) throws -> Tensor {
    try require(x.rank == 4, .value, "PaddedShortcut: expected 4D input (got \(x.rank)D input)")
    let stride = try int("stride")
    let extra = try int("out_channels") - int("in_channels")
    var out = x
    if stride > 1 { out = try out.slice(2, nil, nil, step: stride).slice(3, nil, nil, step: stride) }
    return extra > 0 ? try out.padded([0, 0, 0, 0, 0, extra]) : out
  }
}

/// A weight in (0, 1) for each channel, from its mean and its maximum: σ(f(mean) + f(max)) with f two 1×1 convolutions
/// and a ReLU between them. Woo et al., 2018, https://arxiv.org/abs/1807.06521.
public final class ChannelAttention: Layer, ModuleFamily {
  static let schemas = [
    (name: "ChannelAttention", schema: ModuleSchema("in_planes", optional: ["ratio": 16]))
  ]

  public override func build(_ dtype: DType) throws {
    try requireSetting("in_planes", atLeast: 1)
    try requireSetting("ratio", atLeast: 1)
    let planes = try int("in_planes")
    let reduced = max(try planes / int("ratio"), 1)
    try addChild("avg_pool", "AdaptiveAvgPool2d", ["output_size": 1], dtype)
    try addChild("max_pool", "AdaptiveMaxPool2d", ["output_size": 1], dtype)
    setChild("fc1", try Module.convolution(planes, reduced, 1, dtype: dtype))
    setChild("relu1", try Module.relu(inPlace: false))
    setChild("fc2", try Module.convolution(reduced, planes, 1, dtype: dtype))
    try addChild("sigmoid", "Sigmoid", dtype)
  }

  public override func forward(_ x: Tensor) throws -> Tensor {
    let (fc1, relu, fc2) = (try child("fc1"), try child("relu1"), try child("fc2"))
    let mean = try fc2(relu(fc1(child("avg_pool")(x))))
    let greatest = try fc2(relu(fc1(child("max_pool")(x))))
    return try child("sigmoid")(mean + greatest)
  }
}

/// A weight in (0, 1) for each position, from the mean and the maximum of its channels. Woo et al., 2018,
/// https://arxiv.org/abs/1807.06521.
public final class SpatialAttention: Layer, ModuleFamily {
  static let schemas = [(name: "SpatialAttention", schema: ModuleSchema(optional: ["kernel_size": 7]))]

  public override func build(_ dtype: DType) throws {
    let kernel = try int("kernel_size")
    try require(kernel == 3 || kernel == 7, .value, "SpatialAttention: kernel_size must be 3 or 7, but got \(kernel)")
    setChild("conv1", try Module.convolution(2, 1, kernel, padding: kernel / 2, dtype: dtype))
    try addChild("sigmoid", "Sigmoid", dtype)
  }

  public override func forward(_ x: Tensor) throws -> Tensor {
    try require(x.rank == 4, .value, "SpatialAttention: expected 4D input (got \(x.rank)D input)")
    let pair = try Tensor.cat([x.mean([1], keepdim: true), x.extremum(1, keepdim: true, largest: true).values], 1)
    return try child("sigmoid")(child("conv1")(pair))
  }
}
