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
    let rows = try int("num_embeddings")
    if let padding = try optionalInt("padding_idx") {
      try require(
        padding < rows && padding >= -rows, .value, "Padding_idx must be within num_embeddings")
      if padding < 0 { store("padding_idx", .int(padding + rows)) }
    }
    try require(try !bool("sparse"), .notImplemented, "Embedding: gradients are dense; sparse=True is not possible")
    let (padding, maxNorm) = (try optionalInt("padding_idx"), try optionalDouble("max_norm"))
    let (normType, byFrequency) = (try double("norm_type"), try bool("scale_grad_by_freq"))
    compute = { table, indices in
      try table.embedding(
        indices, padding: padding, maxNorm: maxNorm, normType: normType, scaleByFrequency: byFrequency)
    }
  }

  public override func build(_ dtype: DType) throws {
    try addParameter("weight", Tensor(empty: [try int("num_embeddings"), try int("embedding_dim")], dtype: dtype))
    try resetParameters()
  }

  public override func resetParameters() throws {
    let weight = try requiredParameter("weight")
    try Initializer.normal(weight)
    if let padding = try optionalInt("padding_idx") {
      try noGrad { try weight.detach().select(0, padding).fillInPlace(0) }
    }
  }

  public override func forward(_ x: Tensor) throws -> Tensor {
    guard let compute else { throw SwiftNetError.value("the embedding has no settings") }
    return try compute(try requiredParameter("weight"), x)
  }
}
