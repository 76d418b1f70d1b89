/// A convolution with the batch normalisation and the ReLU after it; either can be left out.
public final class ConvolutionBlock: Layer, ModuleFamily {
  static let schemas = [
    (
      name: "BasicConv",
      schema: ModuleSchema(
        "in_planes", "out_planes", "kernel_size",
        optional: [
          "stride": 1, "padding": 0, "dilation": 1, "groups": 1, "relu": true, "bn": true, "bias": false,
        ])
    )
  ]

  public override func build(_ dtype: DType) throws {
    setChild(
      "conv",
      try Module.convolution(
        try int("in_planes"), try int("out_planes"), try int("kernel_size"), stride: try int("stride"),
        padding: try int("padding"), dilation: try int("dilation"), groups: try int("groups"), bias: try bool("bias"),
        dtype: dtype))
    if try bool("bn") {
      try addChild(
        "bn", "BatchNorm2d",
        ["num_features": .int(try int("out_planes")), "eps": 1e-5, "momentum": 0.01], dtype)
    }
    if try bool("relu") { setChild("relu", try Module.relu(inPlace: false)) }
  }

  public override func forward(_ x: Tensor) throws -> Tensor {
    var out = try child("conv")(x)
    if let normalization = optionalChild("bn") { out = try normalization(out) }
    if let activation = optionalChild("relu") { out = try activation(out) }
    return out
  }
}

/// A residual bottleneck for each group, side by side in one: the first 1×1 convolution reads the shared input, the
/// others keep to their group. (B, group_channels, H, W) to (B, groups · group_channels, H, W); the input is added to
/// each group's result. The inner width of a group is group_channels / reduction.
public final class ParallelBottleneck: Layer, ModuleFamily {
  static let schemas = [
    (
      name: "Parallel_Bottleneck",
      schema: ModuleSchema("groups", "group_channels", optional: ["stride": 1, "reduction": 1])
    )
  ]

  public override func configure() throws {
    for name in ["groups", "group_channels", "stride", "reduction"] { try requireSetting(name, atLeast: 1) }
  }

  public override func build(_ dtype: DType) throws {
    let (groups, channels) = (try int("groups"), try int("group_channels"))
    let inner = try groups * (channels / int("reduction"))
    setChild("conv1", try Module.convolution(channels, inner, 1, dtype: dtype))
    setChild("bn1", try Module.normalization("BatchNorm2d", inner, dtype: dtype))
    setChild(
      "conv2",
      try Module.convolution(inner, inner, 3, stride: try int("stride"), padding: 1, groups: groups, dtype: dtype))
    setChild("bn2", try Module.normalization("BatchNorm2d", inner, dtype: dtype))
    setChild("conv3", try Module.convolution(inner, groups * channels, 1, groups: groups, dtype: dtype))
    setChild("bn3", try Module.normalization("BatchNorm2d", groups * channels, dtype: dtype))
    setChild("relu", try Module.relu())
  }

  public override func forward(_ x: Tensor) throws -> Tensor {
    let relu = try child("relu")
    var out = try relu(child("bn1")(child("conv1")(x)))
    out = try relu(child("bn2")(child("conv2")(out)))
    out = try child("bn3")(child("conv3")(out))
    let shortcut: Tensor
    if let downsample = optionalChild("downsample") {
      shortcut = try downsample(x)
    } else {
      shortcut = try Tensor.cat([Tensor](repeating: x, count: try int("groups")), 1)
    }
    return try relu(out + shortcut)
  }
}

/// From a backbone's feature maps to two numbers per class: channels are reduced, each group of classes gets feature
/// maps of its own, their maxima become features per class; one head predicts from those (the supplement), the other
/// after an exchange between the classes by graph attention.
public final class GroupClassHead: Module, ModuleFamily {
  static let schemas = [
    (
      name: "GroupClsGatHead",
      schema: ModuleSchema(
        "groups", "nclasses", "nclasses_per_group", "group_channels", "class_channels",
        optional: ["in_planes": 2048, "residual": false])
    )
  ]

  public override func build(_ dtype: DType) throws {
    for name in ["groups", "nclasses", "group_channels", "class_channels", "in_planes"] {
      try requireSetting(name, atLeast: 1)
    }
    let (groups, classes) = (ConfigValue.int(try int("groups")), ConfigValue.int(try int("nclasses")))
    let groupChannels = ConfigValue.int(try int("group_channels"))
    let channels = ConfigValue.int(try int("class_channels"))
    try addChild(
      "reduce_conv", "BasicConv",
      ["in_planes": .int(try int("in_planes")), "out_planes": groupChannels, "kernel_size": 1], dtype)
    try addChild("bottle_nect", "Parallel_Bottleneck", ["groups": groups, "group_channels": groupChannels], dtype)
    try addChild(
      "group_linear", "Parallel_GroupLinear",
      [
        "n_groups": groups, "n_classes": classes, "group_channels": groupChannels, "class_channels": channels,
        "nclasses_per_group": .ints(try ints("nclasses_per_group")),
      ], dtype)
    try addChild("gmp", "AdaptiveMaxPool2d", ["output_size": 1], dtype)
    try addChild(
      "gat", "BGATLayer",
      [
        "in_features": channels, "out_features": channels, "dropout": 0.0, "alpha": 0.2,
        "residual": .bool(try bool("residual")),
      ], dtype)
    func head(_ blocks: Int) throws -> Sequential {
      let result = Sequential()
      for index in 0..<blocks {
        try result.addChild(
          String(index), "parallel_final_fcs_ResidualLinearBlock",
          ["n_classes": classes, "reduction": 2, "class_channels": channels], dtype)
      }
      try result.addChild(
        String(blocks), "parallel_output_linear", ["n_classes": classes, "class_channels": channels], dtype)
      return result
    }
    setChild("final_fcs", try head(1))
    setChild("supplement_output_structure", try head(2))
  }

  public override func forward(_ inputs: [ModuleValue]) throws -> ModuleValue {
    guard inputs.count == 1 else {
      throw SwiftNetError.type("Head.forward() takes 1 input but \(inputs.count) were given")
    }
    let maps = try child("bottle_nect")(child("reduce_conv")(inputs[0].expectTensor("Head.forward", "x")))
    let pooled = try child("gmp")(maps)
    try require(pooled.rank > 0, "Head: what gmp gives has no dimensions")
    let groups = try pooled.reshape([pooled.shape[0], try int("groups"), try int("group_channels")])
    let classes = try child("group_linear")(groups)
    func logits(_ head: String, _ x: Tensor) throws -> ModuleValue {
      try require(x.rank >= 2, .value, "Head: features must be (batch, classes, …), but are \(Shape.describe(x.shape))")
      let out = try child(head)(x)
      return .tensor(try out.reshape([x.shape[0], x.shape[1]]))
    }
    let supplement = try logits("supplement_output_structure", classes)
    return .tuple([try logits("final_fcs", child("gat")(classes)), supplement])
  }
}

/// Classification with many labels per image: a residual backbone and `GroupClassHead`. `forward` takes images, and
/// anything else, which it ignores, and gives two tensors of logits (N, nclasses): the network's and the supplement's,
/// whose loss, with a small weight, teaches the features before the graph attention.
public final class GroupClassNet: Module, ModuleFamily {
  static let schemas = [
    (
      name: "GroupClsGat",
      schema: ModuleSchema(
        "backbone", "groups", "nclasses", "nclasses_per_group", "group_channels", "class_channels",
        optional: ["residual": false, "width": 64, "layers": nil])
    )
  ]

  public override func build(_ dtype: DType) throws {
    let suffix = "_cbam"
    let name = try string("backbone")
    let isAttending = name.hasSuffix(suffix)
    var settings: [(name: String, value: ConfigValue)] = [
      ("width", .int(try int("width"))), ("cbam", .bool(isAttending)),
    ]
    if let layers = try optionalInts("layers") { settings.append(("layers", .ints(layers))) }
    let backbone = try ResNet.make(isAttending ? String(name.dropLast(suffix.count)) : name, settings, dtype: dtype)
    let features = Sequential()
    for name in ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"] {
      features.setChild(String(features.children.count), try backbone.child(name))
    }
    setChild("features", features)
    try addChild(
      "heads", "GroupClsGatHead",
      [
        "groups": .int(try int("groups")), "nclasses": .int(try int("nclasses")),
        "nclasses_per_group": .ints(try ints("nclasses_per_group")),
        "group_channels": .int(try int("group_channels")), "class_channels": .int(try int("class_channels")),
        "in_planes": .int(try backbone.featureCount), "residual": .bool(try bool("residual")),
      ], dtype)
  }

  public override func forward(_ inputs: [ModuleValue]) throws -> ModuleValue {
    guard let first = inputs.first else {
      throw SwiftNetError.type("GroupClsGat.forward() missing 1 required positional argument: 'x'")
    }
    let x = try first.expectTensor("GroupClsGat.forward", "x")
    return try child("heads").call([.tensor(try child("features")(x))])
  }
}
