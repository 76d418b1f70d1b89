/// Attention of each node to all nodes (Veličković et al., 2017, https://arxiv.org/abs/1710.10903), for (B, N, C):
///
///     h = x · W      e[i, j] = leakyrelu(h[i] · a₁ + h[j] · a₂)      y[i] = elu(Σⱼ softmax(e)[i, j] · h[j] + β · h[i])
///
/// The term with β, a learnt number, is there with the setting "residual". a is (2 · out_features, 1): a₁ above a₂. A
/// score is a sum of two numbers, one per node, so that no pair of nodes needs a vector: memory grows with N², not with
/// N² · C.
public final class GraphAttention: Layer, ModuleFamily {
  static let schemas = [
    (
      name: "BGATLayer",
      schema: ModuleSchema(
        "in_features", "out_features", optional: ["dropout": 0.0, "alpha": 0.2, "residual": false])
    )
  ]

  public override func configure() throws {
    let p = try double("dropout")
    try require(p >= 0 && p <= 1, .value, "dropout probability has to be between 0 and 1, but got \(p)")
  }

  public override func build(_ dtype: DType) throws {
    try requireSetting("in_features", atLeast: 1, atMost: 1 << 24)
    try requireSetting("out_features", atLeast: 1, atMost: 1 << 24)
    let outputs = try int("out_features")
    try addParameter("W", Tensor(empty: [try int("in_features"), outputs], dtype: dtype))
    try addParameter("a", Tensor(empty: [2 * outputs, 1], dtype: dtype))
    try addParameter("beta", Tensor.ones([1], dtype: dtype))
    try addChild("leakyrelu", "LeakyReLU", ["negative_slope": .double(try double("alpha"))], dtype)
    try resetParameters()
  }

  public override func resetParameters() throws {
    try Initializer.xavierUniform(try requiredParameter("W"), gain: 1.414)
    try Initializer.xavierUniform(try requiredParameter("a"), gain: 1.414)
    try Initializer.constant(try requiredParameter("beta"), 1)
  }

  public override func forward(_ x: Tensor) throws -> Tensor {
    let (weight, a) = (try requiredParameter("W"), try requiredParameter("a"))
    try require(weight.rank == 2, .value, "BGATLayer: W must have two dimensions")
    try require(
      x.rank == 3 && x.shape[2] == weight.shape[0], .value,
      "BGATLayer: expected nodes (batch, nodes, \(weight.shape[0])), but got \(Shape.describe(x.shape))")
    let h = try x.matmul(weight)
    let scores = try h.matmul(a.reshape([2, weight.shape[1]]).transposed())
    let pairs = try scores.select(2, 0).unsqueeze(2) + scores.select(2, 1).unsqueeze(1)
    let attention = try child("leakyrelu")(pairs).softmax(2).dropout(try double("dropout"), training: training)
    var out = try attention.matmul(h)
    if try bool("residual") { out = try out + requiredParameter("beta") * h }
    return try out.elu()
  }
}

/// Several graph attentions side by side: their mean ("mean"), or their features one after the other ("concat").
public final class MultiHeadGraphAttention: Layer, ModuleFamily {
  static let schemas = [
    (
      name: "NHeadsBGATLayer",
      schema: ModuleSchema(
        "nheads", "aggregate", "in_features", "out_features",
        optional: ["dropout": 0.0, "alpha": 0.2, "residual": false])
    )
  ]

  public override func configure() throws {
    let aggregate = try string("aggregate")
    try require(
      aggregate == "mean" || aggregate == "concat", .value,
      "aggregate must be 'mean' or 'concat', but got '\(aggregate)'")
  }

  public override func build(_ dtype: DType) throws {
    try requireSetting("nheads", atLeast: 1)
    let heads = ModuleContainer.list()
    for _ in 0..<(try int("nheads")) {
      heads.append(
        try Module.make(
          "BGATLayer",
          [
            "in_features": .int(try int("in_features")), "out_features": .int(try int("out_features")),
            "dropout": .double(try double("dropout")), "alpha": .double(try double("alpha")),
            "residual": .bool(try bool("residual")),
          ], dtype: dtype))
    }
    setChild("gats", heads)
  }

  public override func forward(_ x: Tensor) throws -> Tensor {
    let results = try child("gats").children.values.compactMap { try $0?(x) }
    try require(!results.isEmpty, "NHeadsBGATLayer has no heads")
    if try string("aggregate") == "concat" { return try Tensor.cat(results, 2) }
    let sum = try results.dropFirst().reduce(results[0]) { try $0 + $1 }
    return try sum / .float(Double(results.count))
  }
}
