/// Padding of the last one to three dimensions: with a value, a mirror image, the border, or the other end.
/// PyTorch: `torch.nn.ZeroPad2d`, `ReflectionPad2d` and so on.
public final class Padding: Layer, ModuleFamily {
  private static let kinds = ["ZeroPad", "ConstantPad", "ReflectionPad", "ReplicationPad", "CircularPad"]

  static let schemas = kinds.flatMap { kind in
    (1...3).map {
      (
        name: "\(kind)\($0)d",
        schema: kind == "ConstantPad" ? ModuleSchema("padding", "value") : ModuleSchema("padding")
      )
    }
  }

  private var amounts: [Int] = []
  private var mode = PaddingMode.constant(0)
  private var dimensions = 1

  public override func configure() throws {
    dimensions = typeName.dropLast().last.flatMap { Int(String($0)) } ?? 1
    // One number stands for both ends of all dimensions.
    if let number = setting("padding")?.int {
      store("padding", .ints([Int](repeating: number, count: 2 * dimensions)))
    }
    amounts = try ints("padding")
    switch typeName.prefix(3) {
    case "Con": mode = .constant(.float(try double("value")))
    case "Ref": mode = .reflect
    case "Rep": mode = .replicate
    case "Cir":
      mode = .circular
    default: mode = .constant(0)
    }
  }

  public override func forward(_ x: Tensor) throws -> Tensor {
    if typeName.hasPrefix("Circular") {
      let ranks = [dimensions + 1, dimensions + 2]
      try require(
        ranks.contains(x.rank), .value,
        "expected \(ranks[0])D or \(ranks[1])D input (got \(x.rank)D input)")
    }
    return try x.padded(amounts, mode)
  }
}
