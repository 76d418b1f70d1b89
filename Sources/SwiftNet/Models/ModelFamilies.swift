extension ModuleRegistry {
  /// Every class that implements models or parts of them. A new model is added here: it registers as a layer does, by
  /// the names of its types and their settings, and makes its children in `build`.
  static let models: [Family] = [
    Family(ResidualBlock.self), Family(PaddedShortcut.self), Family(ChannelAttention.self),
    Family(SpatialAttention.self), Family(ResNet.self), Family(PlainResidualBlock.self), Family(PlainResNet.self),
    Family(PyramidPooling.self), Family(PSPNet.self), Family(GraphAttention.self),
    Family(MultiHeadGraphAttention.self), Family(ParallelBottleneck.self), Family(GroupLinear.self),
    Family(ClassLinear.self), Family(ClassLinearBlock.self), Family(ConvolutionBlock.self),
    Family(GroupClassHead.self), Family(GroupClassNet.self), Family(FusionNet.self), Family(DecisionFusion.self),
  ]
}

extension ModuleRegistry {
  /// Metrics are modules too: their settings and counts travel as those do.
  static let metrics: [Family] = [
    Family(Accuracy.self), Family(ConfusionMatrix.self), Family(MultiLabelScores.self),
    Family(AveragePrecision.self), Family(AUC.self), Family(RegressionErrors.self),
  ]
}

extension Module {
  /// Makes a child from the name of its type and its settings.
  @discardableResult
  final func addChild(
    _ name: String, _ type: String, _ settings: KeyValuePairs<String, ConfigValue>, _ dtype: DType
  ) throws -> Module {
    let module = try Module.make(type, settings, dtype: dtype)
    setChild(name, module)
    return module
  }

  @discardableResult
  final func addChild(_ name: String, _ type: String, _ dtype: DType) throws -> Module {
    try addChild(name, type, [:], dtype)
  }

  /// A two-dimensional convolution; without bias unless said otherwise, as batch normalisation follows.
  static func convolution(
    _ inputs: Int, _ outputs: Int, _ kernel: Int, stride: Int = 1, padding: Int = 0, dilation: Int = 1,
    groups: Int = 1, bias: Bool = false, dtype: DType
  ) throws -> Module {
    try Module.make(
      "Conv2d",
      [
        "in_channels": .int(inputs), "out_channels": .int(outputs), "kernel_size": .int(kernel),
        "stride": .int(stride), "padding": .int(padding), "dilation": .int(dilation), "groups": .int(groups),
        "bias": .bool(bias),
      ], dtype: dtype)
  }

  /// A normalisation of so many channels, by the name of its type.
  static func normalization(_ type: String = "BatchNorm2d", _ channels: Int, dtype: DType) throws -> Module {
    try Module.make(type, ["num_features": .int(channels)], dtype: dtype)
  }

  static func relu(inPlace: Bool = true) throws -> Module { try Module.make("ReLU", ["inplace": .bool(inPlace)]) }

  /// A child that may be absent.
  final func optionalChild(_ name: String) -> Module? { children[name] ?? nil }

  /// The values of convolutions and normalisations as residual networks begin with them: He et al.'s normal numbers
  /// by the fan of the outputs; scales of 1 and shifts of 0.
  final func initializeResidualNetwork() throws {
    for module in modules {
      switch module.typeName {
      case "Conv2d":
        try Initializer.kaimingNormal(
          try module.requiredParameter("weight"), mode: .fanOut, nonlinearity: "relu")
      case "BatchNorm2d", "GroupNorm":
        if let weight = module.parameter("weight") { try Initializer.constant(weight, 1) }
        if let bias = module.parameter("bias") { try Initializer.constant(bias, 0) }
      default: break
      }
    }
  }

  /// Throws unless a number among the settings lies between two others. The default limit is small enough that
  /// products of three settings do not overflow.
  final func requireSetting(_ name: String, atLeast least: Int, atMost most: Int = 1 << 16) throws {
    let value = try int(name)
    try require(value >= least, .value, "\(typeName): \(name) must be at least \(least), but got \(value)")
    try require(value <= most, .value, "\(typeName): \(name) must be at most \(most), but got \(value)")
  }
}
