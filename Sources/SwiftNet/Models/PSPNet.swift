/// The feature maps beside means of them over regions of several sizes: for each bin b, means over b × b regions, a 1×1
/// convolution, batch normalisation, ReLU, and enlargement to the size of the input.
public final class PyramidPooling: Layer, ModuleFamily {
  static let schemas = [(name: "PPM", schema: ModuleSchema("in_dim", "reduction_dim", "bins"))]

  public override func build(_ dtype: DType) throws {
    try requireSetting("in_dim", atLeast: 1)
    try requireSetting("reduction_dim", atLeast: 1)
    let (inputs, reduced) = (try int("in_dim"), try int("reduction_dim"))
    let list = ModuleContainer.list()
    let bins = try ints("bins")
    try require(
      bins.allSatisfy { $0 > 0 }, .value, "bins must be positive, but got \(Shape.describe(bins))")
    for bin in bins {
      list.append(
        Sequential(
          try Module.make("AdaptiveAvgPool2d", ["output_size": .int(bin)]),
          try Module.convolution(inputs, reduced, 1, dtype: dtype),
          try Module.normalization("BatchNorm2d", reduced, dtype: dtype), try Module.relu()))
    }
    setChild("features", list)
  }

  public override func forward(_ x: Tensor) throws -> Tensor {
    try require(x.rank == 4, .value, "PPM: expected 4D input (got \(x.rank)D input)")
    var parts = [x]
    for case let feature? in try child("features").children.values {
      parts.append(try feature(x).interpolated(Array(x.shape.dropFirst(2)), mode: .linear, alignCorners: true))
    }
    return try Tensor.cat(parts, 1)
  }
}

/// Pyramid scene parsing network (Zhao et al., 2016, https://arxiv.org/abs/1612.01105): a residual network with a deep
/// stem, whose last two stages are dilated instead of strided, so that the feature maps are an eighth of the image;
/// pyramid pooling; a head that gives each position its logits; and in training a second head on the third stage, whose
/// loss helps the lower layers to learn (deep supervision).
///
/// In training, `forward` takes images and labels (N, H, W) and gives (predicted classes, main loss, auxiliary loss);
/// in evaluation it takes images and gives logits, and the auxiliary head does not run. The total loss is main + 0.4 ·
/// auxiliary by the paper. H and W must be multiples of 8, plus 1.
public final class PSPNet: Module, ModuleFamily {
  static let schemas = [
    (
      name: "PSPNet",
      schema: ModuleSchema(optional: [
        "layers": 50, "bins": nil, "dropout": 0.1, "classes": 2, "zoom_factor": 8, "use_ppm": true, "width": 64,
      ])
    )
  ]

  public override func configure() throws {
    if setting("bins")?.isNone == true { store("bins", [1, 2, 3, 6]) }
    let zoom = try int("zoom_factor")
    try require([1, 2, 4, 8].contains(zoom), .value, "zoom_factor must be 1, 2, 4 or 8, but got \(zoom)")
    let classes = try int("classes")
    try require(classes > 1, .value, "classes must be at least 2, but got \(classes)")
  }

  /// The number of blocks of each stage: given, or by the number of layers in all.
  private func stages() throws -> [Int] {
    let layers = try ints("layers")
    if layers.count == 4 { return layers }
    guard layers.count == 1, let variant = ResNet.variants.first(where: { $0.name == "resnet\(layers[0])" }),
      variant.block == "Bottleneck"
    else {
      throw SwiftNetError.value(
        "layers must be 50, 101 or 152, or the numbers of blocks of four stages, but got \(Shape.describe(layers))")
    }
    return variant.layers
  }

  public override func build(_ dtype: DType) throws {
    try requireSetting("width", atLeast: 1)
    let (width, classes, dropout) = (try int("width"), try int("classes"), try double("dropout"))
    let bins = try ints("bins")
    var channels = 32 * width
    try require(
      !bins.isEmpty && channels % bins.count == 0, .value,
      "the \(channels) channels of the last stage cannot be divided among \(bins.count) bins")
    try addChild("criterion", "CrossEntropyLoss", ["ignore_index": 255], dtype)
    let backbone = try Module.make(
      "ResNet",
      ["block": "Bottleneck", "layers": .ints(try stages()), "deep_base": true, "width": .int(width)], dtype: dtype)
    let relu = try backbone.child("relu")
    let stem = Sequential()
    for name in ["conv1", "bn1", "", "conv2", "bn2", "", "conv3", "bn3", "", "maxpool"] {
      stem.setChild(String(stem.children.count), name.isEmpty ? relu : try backbone.child(name))
    }
    setChild("layer0", stem)
    for index in 1...4 { setChild("layer\(index)", try backbone.child("layer\(index)")) }
    try dilate(child("layer3"), 2)
    try dilate(child("layer4"), 4)
    if try bool("use_ppm") {
      try addChild(
        "ppm", "PPM",
        ["in_dim": .int(channels), "reduction_dim": .int(channels / bins.count), "bins": .ints(bins)], dtype)
      channels *= 2
    }
    setChild("cls", try makeHead(channels, 8 * width, classes, dropout, dtype))
    setChild("aux", try makeHead(16 * width, 4 * width, classes, dropout, dtype))
  }

  /// Dilation in the place of the stride.
  private func dilate(_ stage: Module, _ dilation: Int) throws {
    for (name, module) in stage.namedModules() {
      if name.hasSuffix("conv2") {
        for setting in ["dilation", "padding"] { try module.set(setting, .ints([dilation, dilation])) }
        try module.set("stride", [1, 1])
      } else if name.hasSuffix("downsample.0") {
        try module.set("stride", [1, 1])
      }
    }
  }

  private func makeHead(
    _ inputs: Int, _ hidden: Int, _ classes: Int, _ dropout: Double, _ dtype: DType
  ) throws -> Sequential {
    Sequential(
      try Module.convolution(inputs, hidden, 3, padding: 1, dtype: dtype),
      try Module.normalization("BatchNorm2d", hidden, dtype: dtype), try Module.relu(),
      try Module.make("Dropout2d", ["p": .double(dropout)]),
      try Module.convolution(hidden, classes, 1, bias: true, dtype: dtype))
  }

  public override func forward(_ inputs: [ModuleValue]) throws -> ModuleValue {
    guard inputs.count == 1 || inputs.count == 2 else {
      throw SwiftNetError.type("PSPNet.forward() takes 1 or 2 inputs but \(inputs.count) were given")
    }
    let x = try inputs[0].expectTensor("PSPNet.forward", "x")
    try require(x.rank == 4, .value, "PSPNet: expected images (N, 3, H, W), but got \(Shape.describe(x.shape))")
    let (height, width) = (x.shape[2], x.shape[3])
    try require(
      height > 0 && width > 0 && (height - 1) % 8 == 0 && (width - 1) % 8 == 0, .value,
      "PSPNet: height and width must be multiples of 8, plus 1 (473, 713, …), but got \(height)x\(width); crop or pad "
        + "the images")
    let zoom = try int("zoom_factor")
    let size = [(height - 1) / 8 * zoom + 1, (width - 1) / 8 * zoom + 1]
    func enlarged(_ logits: Tensor) throws -> Tensor {
      zoom == 1 ? logits : try logits.interpolated(size, mode: .linear, alignCorners: true)
    }
    var out = x
    for index in 0...3 { out = try child("layer\(index)")(out) }
    let third = out
    out = try child("layer4")(out)
    if let pyramid = optionalChild("ppm") { out = try pyramid(out) }
    let logits = try enlarged(child("cls")(out))
    if !training { return .tensor(logits) }
    guard inputs.count == 2, case .tensor(let labels) = inputs[1] else {
      throw SwiftNetError.type(
        "PSPNet.forward() in training mode needs the labels: model(x, y); call model.eval() to get logits")
    }
    let criterion = try child("criterion")
    let auxiliary = try enlarged(child("aux")(third))
    let mainLoss = try criterion.call([.tensor(logits), .tensor(labels)])
    let auxiliaryLoss = try criterion.call([.tensor(auxiliary), .tensor(labels)])
    let classes = try noGrad { try logits.extremum(1, largest: true).indices }
    return .tuple([.tensor(classes), mainLoss, auxiliaryLoss])
  }
}
