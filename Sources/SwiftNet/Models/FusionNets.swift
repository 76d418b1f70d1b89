/// Networks that fuse several inputs, or several extractors of one input, in two or three dimensions.
///
/// An extractor is a 3×3 (3×3×3) convolution without padding, maxima over windows of 2 with stride 1, batch
/// normalisation, LeakyReLU and dropout; "num" its channels, "p" the dropout, "input_size" the sizes of an image, from
/// which the classifier's inputs follow.
///
/// - `CCN`: "cnt" inputs, one extractor for all ("features"); the features are joined before the classifier.
/// - `CCNModels`: an extractor per branch ("features0", "features1", …); one input for all of them or one for each.
/// - `CCNSingle`: one extractor and a classifier, one input.
public final class FusionNet: Module, ModuleFamily {
  private static func schema(_ branches: Int) -> ModuleSchema {
    ModuleSchema(
      "num", "p", "input_size",
      optional: ["cnt": .int(branches), "classes": 30, "in_channels": 1])
  }

  static let schemas = [
    (name: "CCN", schema: schema(2)), (name: "CCNModels", schema: schema(2)), (name: "CCNSingle", schema: schema(1)),
  ]

  public override func configure() throws {
    for name in ["num", "cnt", "in_channels"] { try requireSetting(name, atLeast: 1) }
  }

  public override func build(_ dtype: DType) throws {
    try requireSetting("classes", atLeast: 1, atMost: 1 << 24)
    let (channels, branches, sizes) = (try int("num"), try int("cnt"), try ints("input_size"))
    try require(
      (2...3).contains(sizes.count) && sizes.allSatisfy { $0 > 3 && $0 <= 1 << 16 }, .value,
      "input_size must be two or three sizes greater than 3, but got \(Shape.describe(sizes))")
    if typeName == "CCNModels" {
      for index in 0..<branches { setChild("features\(index)", try extractor(sizes.count, channels, dtype)) }
    } else {
      setChild("features", try extractor(sizes.count, channels, dtype))
    }
    let features = try Shape.count([branches, channels] + sizes.map { $0 - 3 })
    setChild(
      "classifier",
      Sequential(
        try Module.make(
          "Linear", ["in_features": .int(features), "out_features": .int(try int("classes"))], dtype: dtype)))
  }

  private func extractor(_ dimensions: Int, _ channels: Int, _ dtype: DType) throws -> Sequential {
    Sequential(
      try Module.make(
        "Conv\(dimensions)d",
        [
          "in_channels": .int(try int("in_channels")), "out_channels": .int(channels), "kernel_size": 3,
          "bias": false,
        ], dtype: dtype),
      try Module.make("MaxPool\(dimensions)d", ["kernel_size": 2, "stride": 1]),
      try Module.normalization("BatchNorm\(dimensions)d", channels, dtype: dtype), try Module.make("LeakyReLU"),
      try Module.make("Dropout", ["p": .double(try double("p"))]))
  }

  public override func forward(_ inputs: [ModuleValue]) throws -> ModuleValue {
    guard inputs.count == 1 else {
      throw SwiftNetError.type("\(typeName).forward() takes 1 input but \(inputs.count) were given")
    }
    let branches = try int("cnt")
    let items =
      try inputs[0].items ?? (typeName == "CCNModels" ? [ModuleValue](repeating: inputs[0], count: branches) : inputs)
    try require(
      items.count == branches, .value, "\(typeName): expected \(branches) inputs (cnt), but got \(items.count)")
    var parts: [Tensor] = []
    for (index, item) in items.enumerated() {
      let extractor = try child(typeName == "CCNModels" ? "features\(index)" : "features")
      parts.append(try extractor(item.expectTensor("\(typeName).forward", "inputs[\(index)]")))
    }
    let out = parts.count == 1 ? parts[0] : try Tensor.cat(parts, 1)
    try require(out.rank > 0, "\(typeName): what the extractor gives has no dimensions")
    let flat = try out.reshape([out.shape[0], try Shape.count(Array(out.shape.dropFirst()))])
    return .tensor(try child("classifier")(flat))
  }
}

/// Whole models whose outputs are weighted: Σ weight · model(input). Children "model0", "model1", …; one input for all of
/// them, or a list with one for each. With "parts", `forward` gives (the sum, each model's output), so that each model can
/// have a loss of its own.
public final class DecisionFusion: Module, ModuleFamily {
  static let schemas = [
    (name: "DecisionFusion", schema: ModuleSchema(optional: ["weights": nil, "parts": false]))
  ]

  /// - Parameter weights: one for each model; the same for all if nil.
  public convenience init(_ models: [Module], weights: [Double]? = nil) throws {
    self.init(typeName: "DecisionFusion")
    let settings: [(name: String, value: ConfigValue)] = weights.map { [("weights", .doubles($0))] } ?? []
    try setAll(DecisionFusion.schemas[0].schema.complete(settings, typeName: typeName))
    for (index, model) in models.enumerated() { setChild("model\(index)", model) }
  }

  public override func forward(_ inputs: [ModuleValue]) throws -> ModuleValue {
    guard inputs.count == 1 else {
      throw SwiftNetError.type("DecisionFusion.forward() takes 1 input but \(inputs.count) were given")
    }
    let models = children.values.compactMap { $0 }
    try require(!models.isEmpty, "DecisionFusion has no models")
    let weights: [Double]
    if let given = setting("weights")?.doubles {
      weights = given
    } else {
      weights = [Double](repeating: 1 / Double(models.count), count: models.count)
    }
    try require(
      weights.count == models.count, .value,
      "DecisionFusion: \(weights.count) weights do not fit \(models.count) models")
    let items = inputs[0].items ?? [ModuleValue](repeating: inputs[0], count: models.count)
    try require(
      items.count == models.count, .value,
      "DecisionFusion: \(items.count) inputs do not fit \(models.count) models")
    let outputs = try zip(models, items).map { try $0.call([$1]).expectTensor("DecisionFusion", "output") }
    var total = try outputs[0] * .float(weights[0])
    for (output, weight) in zip(outputs, weights).dropFirst() { total = try total + output * .float(weight) }
    return try bool("parts") ? .tuple([.tensor(total)] + outputs.map(ModuleValue.tensor)) : .tensor(total)
  }
}
