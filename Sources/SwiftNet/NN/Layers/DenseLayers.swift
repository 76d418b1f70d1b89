/// y = x · Wᵀ + b for x of shape (…, in_features). W and b are drawn uniformly from ±1/√in_features.
/// PyTorch: `torch.nn.Linear`.
public final class Linear: Layer, ModuleFamily {
  static let schemas = [
    (name: "Linear", schema: ModuleSchema("in_features", "out_features", optional: ["bias": true]))
  ]

  public required init(typeName: String = "Linear") { super.init(typeName: typeName) }

  /// - Parameter bias: whether to add b.
  public convenience init(_ inFeatures: Int, _ outFeatures: Int, bias: Bool = true, dtype: DType = .float32) throws {
    self.init()
    try setAll(
      Linear.schemas[0].schema.complete(
        [("in_features", .int(inFeatures)), ("out_features", .int(outFeatures)), ("bias", .bool(bias))],
        typeName: typeName))
    try build(dtype)
  }

  public override func build(_ dtype: DType) throws {
    let inputs = try int("in_features")
    let weight = try addParameter("weight", Tensor(empty: [try int("out_features"), inputs], dtype: dtype))
    let bias = try bool("bias") ? try Tensor(empty: [weight.shape[0]], dtype: dtype) : nil
    if let bias { try addParameter("bias", bias) } else { setParameter("bias", nil) }
    try resetParameters()
  }

  /// Draws the parameters anew.
  public override func resetParameters() throws {
    let weight = try requiredParameter("weight")
    try Initializer.kaimingUniform(weight, slope: 5.0.squareRoot())
    if let bias = parameter("bias") {
      let bound = weight.shape[1] > 0 ? 1 / Double(weight.shape[1]).squareRoot() : 0
      try Initializer.uniform(bias, -bound, bound)
    }
  }

  public override func forward(_ x: Tensor) throws -> Tensor {
    try x.linear(try requiredParameter("weight"), parameter("bias"))
  }
}

/// yₒ = x₁ᵀ · Aₒ · x₂ + bₒ, with A and b drawn uniformly from ±1/√in1_features. PyTorch: `torch.nn.Bilinear`.
public final class Bilinear: Module, ModuleFamily {
  static let schemas = [
    (
      name: "Bilinear",
      schema: ModuleSchema("in1_features", "in2_features", "out_features", optional: ["bias": true])
    )
  ]

  public override func configure() throws {
    let inputs = try int("in1_features")
    try require(inputs > 0, .value, "in1_features must be > 0, but got \(inputs)")
  }

  public override func build(_ dtype: DType) throws {
    let shape = [try int("out_features"), try int("in1_features"), try int("in2_features")]
    try addParameter("weight", Tensor(empty: shape, dtype: dtype))
    if try bool("bias") {
      try addParameter("bias", Tensor(empty: [shape[0]], dtype: dtype))
    } else {
      setParameter("bias", nil)
    }
    try resetParameters()
  }

  public override func resetParameters() throws {
    let weight = try requiredParameter("weight")
    let bound = 1 / Double(weight.shape[1]).squareRoot()
    try Initializer.uniform(weight, -bound, bound)
    if let bias = parameter("bias") { try Initializer.uniform(bias, -bound, bound) }
  }

  public override func forward(_ inputs: [ModuleValue]) throws -> ModuleValue {
    guard inputs.count == 2 else {
      throw SwiftNetError.type("Bilinear.forward() takes 2 inputs but \(inputs.count) were given")
    }
    let x = try inputs[0].expectTensor("bilinear", "input1")
    let y = try inputs[1].expectTensor("bilinear", "input2")
    return .tensor(try Tensor.bilinear(x, y, try requiredParameter("weight"), parameter("bias")))
  }
}

/// What comes in goes out; arguments of the constructor have no effect. PyTorch: `torch.nn.Identity`.
public final class Identity: Module, ModuleFamily {
  static let schemas = [(name: "Identity", schema: ModuleSchema())]

  public override func forward(_ x: Tensor) throws -> Tensor { x }

  public override func forward(_ inputs: [ModuleValue]) throws -> ModuleValue {
    guard inputs.count == 1 else {
      throw SwiftNetError.type("Identity.forward() takes 1 input but \(inputs.count) were given")
    }
    return inputs[0]
  }
}
