/// Dropout in training, nothing otherwise: single elements (Dropout), whole channels (Dropout1d to 3d,
/// FeatureAlphaDropout), or in SELU's sense (AlphaDropout).
public final class Dropout: Layer, ModuleFamily {
  static let schemas = [
    "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout",
  ].map { (name: $0, schema: ModuleSchema(optional: ["p": 0.5, "inplace": false])) }

  private var p = 0.5
  private var isInPlace = false

  public required init(typeName: String = "Dropout") { super.init(typeName: typeName) }

  public convenience init(_ p: Double) throws {
    self.init()
    try setAll(Dropout.schemas[0].schema.complete([("p", .double(p))], typeName: typeName))
  }

  public override func configure() throws {
    let p = try double("p")
    try require(p >= 0 && p <= 1, .value, "dropout probability has to be between 0 and 1, but got \(p)")
    self.p = p
    isInPlace = try bool("inplace")
  }

  public override func forward(_ x: Tensor) throws -> Tensor {
    guard isInPlace, training, p > 0 else { return try dropped(x) }
    try x.inPlace { try dropped($0) }
    return x
  }

  private func dropped(_ x: Tensor) throws -> Tensor {
    switch typeName {
    case "Dropout1d": try x.dropoutChannels(p, training: training, spatial: 1)
    case "Dropout2d": try x.dropoutChannels(p, training: training, spatial: 2)
    case "Dropout3d": try x.dropoutChannels(p, training: training, spatial: 3)
    case "AlphaDropout": try x.alphaDropout(p, training: training)
    case "FeatureAlphaDropout": try x.alphaDropout(p, training: training, features: true)
    default: try x.dropout(p, training: training)
    }
  }
}

extension Tensor {
  /// Dropout of channels for (N, C, …) and, with one dimension less, (C, …). PyTorch's `dropout2d` takes 3-D input
  /// as (N, C, L) for historical reasons.
  func dropoutChannels(_ p: Double, training: Bool, spatial: Int) throws -> Tensor {
    let batched = spatial + 2
    try require(
      spatial == 2 || rank == batched || rank == batched - 1,
      "dropout\(spatial)d: Expected \(batched - 1)D or \(batched)D input, but received a \(rank)D input.")
    if spatial == 2 || rank == batched { return try featureDropout(p, training: training) }
    return try unsqueeze(0).featureDropout(p, training: training).squeeze([0])
  }
}
