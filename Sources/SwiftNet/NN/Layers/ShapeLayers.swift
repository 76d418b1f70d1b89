/// Joins the dimensions from start_dim to end_dim into one. PyTorch: `torch.nn.Flatten`.
public final class Flatten: Layer, ModuleFamily {
  static let schemas = [
    (name: "Flatten", schema: ModuleSchema(optional: ["start_dim": 1, "end_dim": -1]))
  ]

  private var range = (1, -1)

  public required init(typeName: String = "Flatten") { super.init(typeName: typeName) }

  public override func configure() throws { range = (try int("start_dim"), try int("end_dim")) }

  public override func forward(_ x: Tensor) throws -> Tensor {
    let start = try Shape.dimension(range.0, rank: x.rank)
    let end = try Shape.dimension(range.1, rank: x.rank)
    try require(start <= end, "flatten() has invalid args: start_dim cannot come after end_dim")
    if x.rank == 0 { return try x.reshape([1]) }
    if start == end { return x }
    let joined = try Shape.count(Array(x.shape[start...end]))
    return try x.reshape(Array(x.shape[..<start]) + [joined] + x.shape[(end + 1)...])
  }
}

/// Splits a dimension into several. PyTorch: `torch.nn.Unflatten`.
public final class Unflatten: Layer, ModuleFamily {
  static let schemas = [(name: "Unflatten", schema: ModuleSchema("dim", "unflattened_size"))]

  public override func forward(_ x: Tensor) throws -> Tensor {
    let sizes = try ints("unflattened_size")
    let d = try Shape.dimension(try int("dim"), rank: x.rank)
    try require(x.rank > 0, .index, "Dimension specified as \(d) but tensor has no dimensions")
    try require(!sizes.isEmpty, "unflatten: sizes must be non-empty")
    return try x.reshape(Array(x.shape[..<d]) + inferred(sizes, x.shape[d], d) + x.shape[(d + 1)...])
  }

  private func inferred(_ sizes: [Int], _ total: Int, _ d: Int) throws -> [Int] {
    let open = sizes.indices.filter { sizes[$0] == -1 }
    try require(open.count <= 1, "only one dimension can be inferred")
    let known = try Shape.count(sizes.filter { $0 != -1 })
    let fits = open.isEmpty ? known == total : known > 0 && total % known == 0
    try require(
      fits,
      "unflatten: Provided sizes \(Shape.describe(sizes)) don't multiply up to the size of dim \(d) (\(total)) in the "
        + "input tensor")
    var result = sizes
    if let position = open.first { result[position] = total / known }
    return result
  }
}
