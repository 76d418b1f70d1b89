/// A residual block with two 3×3 convolutions that have biases, and a ReLU after each: y = relu(relu(f(x)) +
/// shortcut(x)). The branch can only add. The shortcut is the child "shortway", the identity if there is none.
public final class PlainResidualBlock: Layer, ModuleFamily {
  static let schemas = [
    (name: "Residualblock", schema: ModuleSchema("in_channels", "out_channels", optional: ["stride": 1]))
  ]

  public override func build(_ dtype: DType) throws {
    for name in ["in_channels", "out_channels", "stride"] { try requireSetting(name, atLeast: 1) }
    let (inputs, outputs) = (try int("in_channels"), try int("out_channels"))
    setChild(
      "longway",
      Sequential(
        try Module.convolution(inputs, outputs, 3, stride: try int("stride"), padding: 1, bias: true, dtype: dtype),
        try Module.normalization("BatchNorm2d", outputs, dtype: dtype), try Module.relu(),
        try Module.convolution(outputs, outputs, 3, padding: 1, bias: true, dtype: dtype),
        try Module.normalization("BatchNorm2d", outputs, dtype: dtype), try Module.relu()))
  }

  public override func forward(_ x: Tensor) throws -> Tensor {
    try (child("longway")(x) + (optionalChild("shortway")?(x) ?? x)).relu()
  }
}

/// A residual network of four stages for small images. Each stage has one block more than "layers" says: the first one,
/// in a sequence of its own, changes the shape; its shortcut depends on "shortcut": "convolution" (a 1×1 convolution
/// with bias, in every stage), "projection" (1×1 convolution without bias, and batch normalisation, where the shape
/// changes), "pad" (`PaddedShortcut`, where the shape changes).
public final class PlainResNet: Layer, ModuleFamily {
  static let schemas = [
    (
      name: "PlainResNet",
      schema: ModuleSchema(optional: [
        "out_size": 10, "layers": nil, "shortcut": "convolution", "width": 64, "in_channels": 3,
      ])
    )
  ]

  public override func build(_ dtype: DType) throws {
    for name in ["out_size", "width", "in_channels"] { try requireSetting(name, atLeast: 1) }
    let layers = try optionalInts("layers") ?? [2, 3, 5, 2]
    try require(
      layers.count == 4 && layers.allSatisfy { $0 >= 0 && $0 <= 1000 }, .value,
      "layers must be the numbers of further blocks of four stages, but got \(Shape.describe(layers))")
    let width = try int("width")
    setChild(
      "conv1",
      Sequential(
        try Module.convolution(try int("in_channels"), width, 7, stride: 2, padding: 3, bias: true, dtype: dtype),
        try Module.normalization("BatchNorm2d", width, dtype: dtype), try Module.relu(),
        try Module.make("MaxPool2d", ["kernel_size": 3, "stride": 2, "padding": 1])))
    for (index, blocks) in layers.enumerated() {
      let outputs = width << index
      setChild(
        "layer\(index + 1)",
        try makeLayer(max(outputs / 2, width), outputs, blocks, stride: index == 0 ? 1 : 2, dtype))
    }
    try addChild("avg_pool", "AdaptiveAvgPool2d", ["output_size": [1, 1]], dtype)
    try addChild("fc", "Linear", ["in_features": .int(width * 8), "out_features": .int(try int("out_size"))], dtype)
    try initializeResidualNetwork()
  }

  private func makeLayer(
    _ inputs: Int, _ outputs: Int, _ blocks: Int, stride: Int, _ dtype: DType
  ) throws -> Sequential {
    func block(_ inputs: Int, _ stride: Int) throws -> Module {
      try Module.make(
        "Residualblock",
        ["in_channels": .int(inputs), "out_channels": .int(outputs), "stride": .int(stride)], dtype: dtype)
    }
    let shortcut = try makeShortcut(inputs, outputs, stride, dtype)
    let first = try block(inputs, stride)
    if let shortcut { first.setChild("shortway", shortcut) }
    let layer = Sequential(Sequential(first))
    for index in 0..<blocks { layer.setChild(String(index + 1), try block(outputs, 1)) }
    return layer
  }

  private func makeShortcut(_ inputs: Int, _ outputs: Int, _ stride: Int, _ dtype: DType) throws -> Module? {
    let isSame = inputs == outputs && stride == 1
    switch try string("shortcut") {
    case "convolution":
      return Sequential(try Module.convolution(inputs, outputs, 1, stride: stride, bias: true, dtype: dtype))
    case "projection":
      if isSame { return nil }
      return Sequential(
        try Module.convolution(inputs, outputs, 1, stride: stride, dtype: dtype),
        try Module.normalization("BatchNorm2d", outputs, dtype: dtype))
    case "pad":
      if isSame { return nil }
      return try Module.make(
        "PaddedShortcut",
        ["in_channels": .int(inputs), "out_channels": .int(outputs), "stride": .int(stride)])
    case let other:
      throw SwiftNetError.value("shortcut must be 'convolution', 'projection' or 'pad', but got '\(other)'")
    }
  }

  public override func forward(_ x: Tensor) throws -> Tensor {
    var out = try child("conv1")(x)
    for index in 1...4 { out = try child("layer\(index)")(out) }
    out = try child("avg_pool")(out)
    try require(out.rank > 0, "ResNet: what avg_pool gives has no dimensions")
    return try child("fc")(out.reshape([out.shape[0], try Shape.count(Array(out.shape.dropFirst()))]))
  }
}
