/// Residual networks of He et al., 2015, https://arxiv.org/abs/1512.03385, with their wide and grouped relatives
/// (Xie et al., 2016, https://arxiv.org/abs/1611.05431; Zagoruyko and Komodakis, 2016,
/// https://arxiv.org/abs/1605.07146). Names, structure and first values are those of `torchvision.models.ResNet`; the
/// stride of a bottleneck is at its 3×3 convolution.
///
/// Settings beyond torchvision's: "deep_base", a stem of three 3×3 convolutions instead of one of 7×7; "shortcut",
/// "projection" (1×1 convolution and normalisation) or "pad" (`PaddedShortcut`); "cbam", attention in each block;
/// "width", the planes of the first stage; "in_channels". "variant" stands for block, layers, groups and
/// width_per_group of a network with a name.
public final class ResNet: Layer, ModuleFamily {
  static let schemas = [
    (
      name: "ResNet",
      schema: ModuleSchema(optional: [
        "block": nil, "layers": nil, "num_classes": 1000, "zero_init_residual": false, "groups": 1,
        "width_per_group": 64, "replace_stride_with_dilation": nil, "norm_layer": "BatchNorm2d", "deep_base": false,
        "shortcut": "projection", "cbam": false, "width": 64, "in_channels": 3, "variant": nil,
      ])
    )
  ]

  /// What a name stands for.
  struct Variant: Sendable {
    let name: String
    let block: String
    let layers: [Int]
    var groups = 1
    var widthPerGroup = 64
  }

  static let variants = [
    Variant(name: "resnet18", block: "BasicBlock", layers: [2, 2, 2, 2]),
    Variant(name: "resnet34", block: "BasicBlock", layers: [3, 4, 6, 3]),
    Variant(name: "resnet50", block: "Bottleneck", layers: [3, 4, 6, 3]),
    Variant(name: "resnet101", block: "Bottleneck", layers: [3, 4, 23, 3]),
    Variant(name: "resnet152", block: "Bottleneck", layers: [3, 8, 36, 3]),
    Variant(name: "resnext50_32x4d", block: "Bottleneck", layers: [3, 4, 6, 3], groups: 32, widthPerGroup: 4),
    Variant(name: "resnext101_32x8d", block: "Bottleneck", layers: [3, 4, 23, 3], groups: 32, widthPerGroup: 8),
    Variant(name: "resnext101_64x4d", block: "Bottleneck", layers: [3, 4, 23, 3], groups: 64, widthPerGroup: 4),
    Variant(name: "wide_resnet50_2", block: "Bottleneck", layers: [3, 4, 6, 3], widthPerGroup: 128),
    Variant(name: "wide_resnet101_2", block: "Bottleneck", layers: [3, 4, 23, 3], widthPerGroup: 128),
  ]

  /// Names that `ResNet.make` knows.
  public static var variantNames: [String] { variants.map(\.name) }

  /// A network by its name: `ResNet.make("resnet50", ["num_classes": 4])`.
  public static func make(
    _ variant: String, _ settings: [(name: String, value: ConfigValue)] = [], dtype: DType? = nil
  ) throws -> ResNet {
    let module = try Module.make("ResNet", [("variant", .string(variant))] + settings, dtype: dtype)
    guard let network = module as? ResNet else { throw SwiftNetError.type("'\(variant)' is not a ResNet") }
    return network
  }

  public override func configure() throws {
    guard let name = setting("variant")?.string else { return }
    guard let variant = ResNet.variants.first(where: { $0.name == name }) else {
      throw SwiftNetError.value(
        "there is no residual network '\(name)'; there are \(ResNet.variantNames.joined(separator: ", "))")
    }
    for (name, value) in [
      ("block", ConfigValue.string(variant.block)), ("layers", .ints(variant.layers)),
      ("groups", .int(variant.groups)), ("width_per_group", .int(variant.widthPerGroup)), ("variant", .none),
    ] where setting(name)?.isNone != false || name != "layers" {
      store(name, value)
    }
  }

  /// Channels that go into the classifier.
  public var featureCount: Int {
    get throws { try int("width") * 8 * ResidualBlock.expansion(try string("block")) }
  }

  public override func build(_ dtype: DType) throws {
    for name in ["num_classes", "groups", "width_per_group", "width", "in_channels"] {
      try requireSetting(name, atLeast: 1)
    }
    let layers = try ints("layers")
    try require(
      layers.count == 4 && layers.allSatisfy { $0 > 0 && $0 <= 1000 }, .value,
      "layers must be the numbers of blocks of four stages, but got \(Shape.describe(layers))")
    let dilated = try optionalInts("replace_stride_with_dilation") ?? [0, 0, 0]
    try require(
      dilated.count == 3, .value,
      "replace_stride_with_dilation should be None or a 3-element tuple, got \(Shape.describe(dilated))")
    let width = try int("width")
    let stem = try buildStem(width, dtype)
    var stage = Stage(inputs: stem, dilation: 1)
    for (index, blocks) in layers.enumerated() {
      let layer = try makeLayer(
        &stage, planes: width << index, blocks: blocks, stride: index == 0 ? 1 : 2,
        dilate: index > 0 && dilated[index - 1] != 0, dtype)
      setChild("layer\(index + 1)", layer)
    }
    try addChild("avgpool", "AdaptiveAvgPool2d", ["output_size": [1, 1]], dtype)
    try addChild(
      "fc", "Linear", ["in_features": .int(stage.inputs), "out_features": .int(try int("num_classes"))], dtype)
    try initializeResidualNetwork()
    if try bool("zero_init_residual") {
      for case let block as ResidualBlock in modules {
        let last = try block.child(block.typeName == "Bottleneck" ? "bn3" : "bn2")
        if let weight = last.parameter("weight") { try Initializer.constant(weight, 0) }
      }
    }
  }

  /// The first convolutions; returns the number of channels that they give.
  private func buildStem(_ width: Int, _ dtype: DType) throws -> Int {
    let (channels, norm) = (try int("in_channels"), try string("norm_layer"))
    let isDeep = try bool("deep_base")
    if isDeep {
      for (index, (inputs, outputs)) in [(channels, width), (width, width), (width, 2 * width)].enumerated() {
        setChild(
          "conv\(index + 1)",
          try Module.convolution(inputs, outputs, 3, stride: index == 0 ? 2 : 1, padding: 1, dtype: dtype))
        setChild("bn\(index + 1)", try Module.normalization(norm, outputs, dtype: dtype))
      }
    } else {
      setChild("conv1", try Module.convolution(channels, width, 7, stride: 2, padding: 3, dtype: dtype))
      setChild("bn1", try Module.normalization(norm, width, dtype: dtype))
    }
    setChild("relu", try Module.relu())
    try addChild("maxpool", "MaxPool2d", ["kernel_size": 3, "stride": 2, "padding": 1], dtype)
    return isDeep ? 2 * width : width
  }

  /// Where the construction of the stages stands.
  private struct Stage {
    var inputs: Int
    var dilation: Int
  }

  private func makeLayer(
    _ stage: inout Stage, planes: Int, blocks: Int, stride: Int, dilate: Bool, _ dtype: DType
  ) throws -> Sequential {
    let type = try string("block")
    let outputs = try planes * ResidualBlock.expansion(type)
    let firstDilation = stage.dilation
    var stride = stride
    if dilate {
      stage.dilation *= stride
      stride = 1
    }
    let shortcut = try makeShortcut(stage.inputs, outputs, stride, dtype)
    let layer = Sequential()
    for index in 0..<blocks {
      let block = try Module.make(
        type,
        [
          "inplanes": .int(index == 0 ? stage.inputs : outputs), "planes": .int(planes),
          "stride": .int(index == 0 ? stride : 1), "groups": .int(try int("groups")),
          "base_width": .int(try int("width_per_group")),
          "dilation": .int(index == 0 ? firstDilation : stage.dilation),
          "norm_layer": .string(try string("norm_layer")),
          "cbam": .bool(try bool("cbam")),
        ], dtype: dtype)
      if index == 0, let shortcut { block.setChild("downsample", shortcut) }
      layer.setChild(String(index), block)
    }
    stage.inputs = outputs
    return layer
  }

  /// Nil where the identity serves.
  private func makeShortcut(_ inputs: Int, _ outputs: Int, _ stride: Int, _ dtype: DType) throws -> Module? {
    if stride == 1 && inputs == outputs { return nil }
    switch try string("shortcut") {
    case "projection":
      return Sequential(
        try Module.convolution(inputs, outputs, 1, stride: stride, dtype: dtype),
        try Module.normalization(try string("norm_layer"), outputs, dtype: dtype))
    case "pad":
      return try Module.make(
        "PaddedShortcut",
        ["in_channels": .int(inputs), "out_channels": .int(outputs), "stride": .int(stride)])
    case let other:
      throw SwiftNetError.value("shortcut must be 'projection' or 'pad', but got '\(other)'")
    }
  }

  public override func forward(_ x: Tensor) throws -> Tensor {
    let relu = try child("relu")
    var out = try relu(child("bn1")(child("conv1")(x)))
    if let second = optionalChild("conv2") {
      out = try relu(child("bn2")(second(out)))
      out = try relu(child("bn3")(child("conv3")(out)))
    }
    out = try child("maxpool")(out)
    for index in 1...4 { out = try child("layer\(index)")(out) }
    out = try child("avgpool")(out)
    try require(out.rank > 0, "ResNet: what avgpool gives has no dimensions")
    return try child("fc")(out.reshape([out.shape[0], try Shape.count(Array(out.shape.dropFirst()))]))
  }
}
