/// Patches of images as columns and back. PyTorch: `torch.nn.Unfold`, `torch.nn.Fold`.
public final class PatchLayer: Layer, ModuleFamily {
  static let schemas = [
    (
      name: "Unfold",
      schema: ModuleSchema("kernel_size", optional: ["dilation": 1, "padding": 0, "stride": 1])
    ),
    (
      name: "Fold",
      schema: ModuleSchema("output_size", "kernel_size", optional: ["dilation": 1, "padding": 0, "stride": 1])
    ),
  ]

  public override func forward(_ x: Tensor) throws -> Tensor {
    let (kernel, dilation) = (try ints("kernel_size"), try ints("dilation"))
    let (padding, stride) = (try ints("padding"), try ints("stride"))
    if typeName == "Unfold" {
      return try x.unfoldPatches(kernel: kernel, dilation: dilation, padding: padding, stride: stride)
    }
    return try x.foldPatches(
      size: try ints("output_size"), kernel: kernel, dilation: dilation, padding: padding, stride: stride)
  }
}

/// Max pooling over windows at random places. PyTorch: `torch.nn.FractionalMaxPool2d`, `FractionalMaxPool3d`.
public final class FractionalPooling: Module, ModuleFamily {
  static let schemas = (2...3).map {
    (
      name: "FractionalMaxPool\($0)d",
      schema: ModuleSchema(
        "kernel_size",
        optional: ["output_size": nil, "output_ratio": nil, "return_indices": false, "_random_samples": nil])
    )
  }

  private var dimensions: Int { typeName.dropLast().last.flatMap { Int(String($0)) } ?? 2 }

  public override func configure() throws {
    for name in ["kernel_size", "output_size"] {
      if let number = setting(name)?.int { store(name, .ints([Int](repeating: number, count: dimensions))) }
    }
    if let ratio = setting("output_ratio")?.double {
      store("output_ratio", .doubles([Double](repeating: ratio, count: dimensions)))
    }
    let (size, ratio) = (try optionalInts("output_size"), setting("output_ratio")?.doubles)
    try require(
      size != nil || ratio != nil, .value, "\(typeName) requires specifying either an output size, or a pooling ratio")
    try require(
      size == nil || ratio == nil, .value, "only one of output_size and output_ratio may be specified")
    if let ratio {
      try require(
        ratio.allSatisfy { $0 > 0 && $0 < 1 }, .value,
        "output_ratio must be between 0 and 1 (got \(ratio))")
    }
  }

  public override func forward(_ inputs: [ModuleValue]) throws -> ModuleValue {
    guard inputs.count == 1 else {
      throw SwiftNetError.type("\(typeName).forward() takes 1 input but \(inputs.count) were given")
    }
    let x = try inputs[0].expectTensor(typeName)
    var size = try optionalInts("output_size") ?? []
    if let ratio = setting("output_ratio")?.doubles {
      try require(x.rank >= ratio.count && ratio.count == dimensions, "\(typeName): the input has too few dimensions")
      size = zip(x.shape.suffix(dimensions), ratio).map { Int(Double($0) * $1) }
    }
    try require(size.count == dimensions, .value, "output_size must have \(dimensions) numbers")
    let (values, indices) = try x.fractionalMaxPool(
      kernel: try ints("kernel_size"), size: size, samples: setting("_random_samples")?.tensor)
    return try bool("return_indices") ? .tuple([.tensor(values), .tensor(indices)]) : .tensor(values)
  }
}
