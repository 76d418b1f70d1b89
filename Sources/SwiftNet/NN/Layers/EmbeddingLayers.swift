extension Module {
  /// Checks the settings of a table of rows and makes the place of padding one from the front.
  fileprivate func checkTable(paddingName: String) throws {
    let rows = try int("num_embeddings")
    if let padding = try optionalInt("padding_idx") {
      try require(
        padding < rows && padding >= -rows, .value, "\(paddingName) must be within num_embeddings")
      if padding < 0 { store("padding_idx", .int(padding + rows)) }
    }
    try require(
      try !bool("sparse"), .notImplemented, "\(typeName): gradients are dense; sparse=True is not possible")
  }

  fileprivate func buildTable(_ dtype: DType) throws {
    try addParameter("weight", Tensor(empty: [try int("num_embeddings"), try int("embedding_dim")], dtype: dtype))
    try resetParameters()
  }

  /// Draws the rows from N(0, 1); that of padding is zero.
  fileprivate func resetTable() throws {
    let weight = try requiredParameter("weight")
    try Initializer.normal(weight)
    if let padding = try optionalInt("padding_idx") {
      try noGrad { try weight.detach().select(0, padding).fillInPlace(0) }
    }
  }
}

/// Rows of a learnt table, by index. The table is drawn from N(0, 1). PyTorch: `torch.nn.Embedding`.
public final class Embedding: Layer, ModuleFamily {
  static let schemas = [
    (
      name: "Embedding",
      schema: ModuleSchema(
        "num_embeddings", "embedding_dim",
        optional: [
          "padding_idx": nil, "max_norm": nil, "norm_type": 2.0, "scale_grad_by_freq": false, "sparse": false,
        ])
    )
  ]

  private var compute: ((Tensor, Tensor) throws -> Tensor)?

  public override func configure() throws {
    try checkTable(paddingName: "Padding_idx")
    let (padding, maxNorm) = (try optionalInt("padding_idx"), try optionalDouble("max_norm"))
    let (normType, byFrequency) = (try double("norm_type"), try bool("scale_grad_by_freq"))
    compute = { table, indices in
      try table.embedding(
        indices, padding: padding, maxNorm: maxNorm, normType: normType, scaleByFrequency: byFrequency)
    }
  }

  public override func build(_ dtype: DType) throws { try buildTable(dtype) }

  public override func resetParameters() throws { try resetTable() }

  public override func forward(_ x: Tensor) throws -> Tensor {
    guard let compute else { throw SwiftNetError.value("the embedding has no settings") }
    return try compute(try requiredParameter("weight"), x)
  }
}

/// Rows of a learnt table taken together bag by bag. The table is drawn from N(0, 1). PyTorch: `torch.nn.EmbeddingBag`.
public final class EmbeddingBag: Module, ModuleFamily {
  static let schemas = [
    (
      name: "EmbeddingBag",
      schema: ModuleSchema(
        "num_embeddings", "embedding_dim",
        optional: [
          "max_norm": nil, "norm_type": 2.0, "scale_grad_by_freq": false, "mode": "mean", "sparse": false,
          "include_last_offset": false, "padding_idx": nil,
        ])
    )
  ]

  public override func configure() throws {
    try checkTable(paddingName: "padding_idx")
  }

  public override func build(_ dtype: DType) throws { try buildTable(dtype) }

  public override func resetParameters() throws { try resetTable() }

  public override func forward(_ inputs: [ModuleValue]) throws -> ModuleValue {
    guard (1...3).contains(inputs.count) else {
      throw SwiftNetError.type("EmbeddingBag.forward() takes 1 to 3 inputs but \(inputs.count) were given")
    }
    let modes: [String: BagMode] = ["sum": .sum, "mean": .mean, "max": .max]
    let name = try string("mode")
    guard let mode = modes[name] else {
      throw SwiftNetError.value("mode has to be one of sum, mean or max")
    }
    let result = try requiredParameter("weight").embeddingBag(
      try inputs[0].expectTensor("embedding_bag"), offsets: inputs.count > 1 ? inputs[1].tensor : nil, mode: mode,
      weights: inputs.count > 2 ? inputs[2].tensor : nil, padding: try optionalInt("padding_idx"),
      maxNorm: try optionalDouble("max_norm"), normType: try double("norm_type"),
      scaleByFrequency: try bool("scale_grad_by_freq"), includesLast: try bool("include_last_offset"))
    return .tensor(result)
  }
}
