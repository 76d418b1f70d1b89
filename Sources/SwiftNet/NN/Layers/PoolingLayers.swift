/// Pooling with windows or with a fixed size of the result, in 1, 2 or 3 dimensions. Results with `return_indices` are
/// pairs. PyTorch: `torch.nn.MaxPool1d` and so on.
public final class Pooling: Module, ModuleFamily {
  private enum Kind: CaseIterable {
    case max, average, norm, adaptiveMax, adaptiveAverage

    var prefix: String {
      switch self {
      case .max: "MaxPool"
      case .average: "AvgPool"
      case .norm: "LPPool"
      case .adaptiveMax: "AdaptiveMaxPool"
      case .adaptiveAverage: "AdaptiveAvgPool"
      }
    }

    func schema(_ dimensions: Int) -> ModuleSchema {
      switch self {
      case .max:
        return ModuleSchema(
          "kernel_size",
          optional: ["stride": nil, "padding": 0, "dilation": 1, "return_indices": false, "ceil_mode": false])
      case .average where dimensions == 1:
        return ModuleSchema(
          "kernel_size", optional: ["stride": nil, "padding": 0, "ceil_mode": false, "count_include_pad": true])
      case .average:
        return ModuleSchema(
          "kernel_size",
          optional: [
            "stride": nil, "padding": 0, "ceil_mode": false, "count_include_pad": true, "divisor_override": nil,
          ])
      case .norm:
        return ModuleSchema("norm_type", "kernel_size", optional: ["stride": nil, "ceil_mode": false])
      case .adaptiveMax: return ModuleSchema("output_size", optional: ["return_indices": false])
      case .adaptiveAverage: return ModuleSchema("output_size")
      }
    }
  }

  static let schemas = Kind.allCases.flatMap { kind in
    (1...3).map { (name: "\(kind.prefix)\($0)d", schema: kind.schema($0)) }
  }

  private var compute: ((Tensor) throws -> [Tensor])?

  /// Sizes of the result, where -1 keeps the input's: None in Python, alone or in a tuple.
  private func outputSize(_ dimensions: Int) throws -> [Int] {
    guard let sizes = try optionalInts("output_size") else { return [Int](repeating: -1, count: dimensions) }
    return sizes.count == 1 ? [Int](repeating: sizes[0], count: dimensions) : sizes
  }

  public override func configure() throws {
    guard let kind = Kind.allCases.first(where: { typeName.hasPrefix($0.prefix) }),
      let dimensions = typeName.dropLast().last.flatMap({ Int(String($0)) })
    else { throw SwiftNetError.value("there is no pooling '\(typeName)'") }
    switch kind {
    case .adaptiveMax:
      let (size, indices) = (try outputSize(dimensions), try bool("return_indices"))
      compute = { try $0.adaptiveMaxPool(size, returnIndices: indices) }
      return
    case .adaptiveAverage:
      let size = try outputSize(dimensions)
      compute = { [try $0.adaptiveAveragePool(size)] }
      return
    default: break
    }
    let kernel = try ints("kernel_size")
    if kind == .max || kind == .average, setting("stride")?.isNone == true {
      store("stride", setting("kernel_size") ?? .none)
    }
    let stride = try optionalInts("stride") ?? []
    let ceil = try bool("ceil_mode")
    switch kind {
    case .max:
      let (padding, dilation) = (try ints("padding"), try ints("dilation"))
      let indices = try bool("return_indices")
      compute = {
        try $0.maxPool(
          dimensions, kernel: kernel, stride: stride, padding: padding, dilation: dilation, ceilMode: ceil,
          returnIndices: indices)
      }
    case .average:
      let (padding, counts) = (try ints("padding"), try bool("count_include_pad"))
      let divisor = dimensions == 1 ? nil : try optionalInt("divisor_override")
      compute = {
        [
          try $0.averagePool(
            dimensions, kernel: kernel, stride: stride, padding: padding, ceilMode: ceil,
            countIncludesPadding: counts, divisor: divisor)
        ]
      }
    default:
      let p = try double("norm_type")
      compute = { [try $0.normPool(dimensions, p: p, kernel: kernel, stride: stride, ceilMode: ceil)] }
    }
  }

  private func results(_ x: Tensor) throws -> [Tensor] {
    guard let compute else { throw SwiftNetError.value("there is no pooling '\(typeName)'") }
    return try compute(x)
  }

  public override func forward(_ x: Tensor) throws -> Tensor {
    let results = try results(x)
    try require(results.count == 1, .type, "\(typeName) gives a pair with return_indices")
    return results[0]
  }

  public override func forward(_ inputs: [ModuleValue]) throws -> ModuleValue {
    guard inputs.count == 1 else {
      throw SwiftNetError.type("\(typeName).forward() takes 1 input but \(inputs.count) were given")
    }
    let results = try results(try inputs[0].expectTensor(typeName))
    return results.count == 1 ? .tensor(results[0]) : .tuple(results.map(ModuleValue.tensor))
  }
}

/// The inverse of max pooling with indices: zeros but for the places that the maxima came from.
/// PyTorch: `torch.nn.MaxUnpool1d` to `MaxUnpool3d`.
public final class MaxUnpooling: Module, ModuleFamily {
  static let schemas = (1...3).map {
    (name: "MaxUnpool\($0)d", schema: ModuleSchema("kernel_size", optional: ["stride": nil, "padding": 0]))
  }

  private var dimensions: Int { typeName.dropLast().last.flatMap { Int(String($0)) } ?? 2 }

  public override func configure() throws {
    // At first one number stands for all dimensions, and is shown for each.
    if setting("stride")?.isNone == true { store("stride", setting("kernel_size") ?? .none) }
    for name in ["kernel_size", "stride", "padding"] {
      if let number = setting(name)?.int { store(name, .ints([Int](repeating: number, count: dimensions))) }
      _ = try spatialList(try ints(name), dimensions, name)
    }
  }

  public override func forward(_ inputs: [ModuleValue]) throws -> ModuleValue {
    guard inputs.count == 2 || inputs.count == 3 else {
      throw SwiftNetError.type("\(typeName).forward() takes 2 or 3 inputs but \(inputs.count) were given")
    }
    let x = try inputs[0].expectTensor(typeName)
    let indices = try inputs[1].expectTensor(typeName, "indices")
    let (kernel, stride, padding) = (try ints("kernel_size"), try ints("stride"), try ints("padding"))
    let n = dimensions
    try require(
      x.rank == n + 1 || x.rank == n + 2,
      "Input to max_unpooling\(n)d should be a \(n + 1)d or \(n + 2)d Tensor, but got a tensor with \(x.rank) "
        + "dimensions")
    let usual = (0..<n).map { d in
      (x.shape[x.rank - n + d] - 1) * stride[d] - 2 * padding[d] + kernel[d]
    }
    guard inputs.count == 3, let sizes = inputs[2].items else {
      return .tensor(try x.maxUnpool(indices, size: usual))
    }
    var wanted = try sizes.map { item -> Int in
      guard case .int(let size) = item else { throw SwiftNetError.type("output_size must be a list of ints") }
      return size
    }
    if wanted.count == n + 2 { wanted = Array(wanted.dropFirst(2)) }
    try require(
      wanted.count == n, .value,
      "output_size should be a sequence containing \(n) or \(n + 2) elements, but it has a length of "
        + "'\(wanted.count)'")
    for d in 0..<n {
      let (low, high) = (usual[d] - stride[d], usual[d] + stride[d])
      try require(
        low < wanted[d] && wanted[d] < high, .value,
        "invalid output_size \"\(wanted)\" (dim \(d) must be between \(low) and \(high))")
    }
    return .tensor(try x.maxUnpool(indices, size: wanted))
  }
}
