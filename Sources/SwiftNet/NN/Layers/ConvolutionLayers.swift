/// What convolutions and transposed convolutions have in common: settings, weights and their values at first.
/// Weights and bias are drawn uniformly from ±1/√(in / groups · kernel positions).
public class ConvolutionLayer: Layer {
  fileprivate var stride = [1]
  fileprivate var dilation = [1]
  fileprivate var groups = 1
  private var wasConfigured = false

  /// Number of spatial dimensions, from the name of the type.
  final var dimensions: Int { Int(typeName.dropLast().last.map(String.init) ?? "") ?? 2 }

  /// Settings that are a number for each dimension.
  fileprivate class var spatial: [String] { [] }

  public override func configure() throws {
    if !wasConfigured {
      for name in Self.spatial {
        // At first one number stands for all dimensions, and is shown for each.
        if let number = setting(name)?.int { store(name, .ints([Int](repeating: number, count: dimensions))) }
      }
    }
    stride = try spatialList(try ints("stride"), dimensions, "stride")
    dilation = try spatialList(try ints("dilation"), dimensions, "dilation")
    groups = try int("groups")
    try require(groups > 0, .value, "groups must be a positive integer")
    let (inputs, outputs) = (try int("in_channels"), try int("out_channels"))
    if !wasConfigured {
      try require(inputs % groups == 0, .value, "in_channels must be divisible by groups")
      try require(outputs % groups == 0, .value, "out_channels must be divisible by groups")
    }
    let mode = try string("padding_mode")
    let modes = ["zeros", "reflect", "replicate", "circular"]
    try require(
      modes.contains(mode), .value,
      "padding_mode must be one of {\(modes.map { "'\($0)'" }.joined(separator: ", "))}, but got "
        + "padding_mode='\(mode)'")
    wasConfigured = true
  }

  /// Shape of the weight without its first two dimensions.
  fileprivate func kernel() throws -> [Int] {
    try spatialList(try ints("kernel_size"), dimensions, "kernel_size")
  }

  fileprivate func build(weight shape: [Int], _ dtype: DType) throws {
    try addParameter("weight", Tensor(empty: shape, dtype: dtype))
    if try bool("bias") {
      try addParameter("bias", Tensor(empty: [try int("out_channels")], dtype: dtype))
    } else {
      setParameter("bias", nil)
    }
    try resetParameters()
  }

  public override func resetParameters() throws {
    let weight = try requiredParameter("weight")
    try Initializer.kaimingUniform(weight, slope: 5.0.squareRoot())
    guard let bias = parameter("bias") else { return }
    let fan = try Initializer.fans(weight).in
    if fan == 0 { return }
    let bound = 1 / Double(fan).squareRoot()
    try Initializer.uniform(bias, -bound, bound)
  }
}

/// Convolution with 1, 2 or 3 spatial dimensions. PyTorch: `torch.nn.Conv1d`, `Conv2d`, `Conv3d`.
public final class Convolution: ConvolutionLayer, ModuleFamily {
  static let schemas = (1...3).map {
    (
      name: "Conv\($0)d",
      schema: ModuleSchema(
        "in_channels", "out_channels", "kernel_size",
        optional: [
          "stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": true, "padding_mode": "zeros",
        ])
    )
  }

  fileprivate override class var spatial: [String] { ["kernel_size", "stride", "padding", "dilation"] }

  private var padding = ConvolutionPadding.explicit([0])
  /// Amounts before and after each dimension, the last one first, where the padding is not made of zeros.
  private var border: (mode: PaddingMode, amounts: [Int])?

  public override func configure() throws {
    try super.configure()
    let mode = try string("padding_mode")
    let amounts: [Int]
    if let text = setting("padding")?.string {
      try require(
        text == "same" || text == "valid", .value,
        "Invalid padding string '\(text)', should be one of {'valid', 'same'}")
      if text == "same" {
        try require(
          stride.allSatisfy { $0 == 1 }, .value, "padding='same' is not supported for strided convolutions")
      }
      padding = text == "same" ? .same : .explicit([Int](repeating: 0, count: dimensions))
      let reach = try zip(kernel(), dilation).map { $1 * ($0 - 1) }
      amounts = reach.reversed().flatMap { text == "same" ? [$0 / 2, $0 - $0 / 2] : [0, 0] }
    } else {
      let list = try spatialList(try ints("padding"), dimensions, "padding")
      padding = .explicit(list)
      amounts = list.reversed().flatMap { [$0, $0] }
    }
    let modes: [String: PaddingMode] = ["reflect": .reflect, "replicate": .replicate, "circular": .circular]
    border = modes[mode].map { ($0, amounts) }
  }

  public override func build(_ dtype: DType) throws {
    let shape = [try int("out_channels"), try int("in_channels") / groups] + (try kernel())
    try build(weight: shape, dtype)
  }

  public override func forward(_ x: Tensor) throws -> Tensor {
    let (weight, bias) = (try requiredParameter("weight"), parameter("bias"))
    guard let border else {
      return try x.convolution(weight, bias, stride: stride, padding: padding, dilation: dilation, groups: groups)
    }
    let padded = try x.padded(border.amounts, border.mode)
    return try padded.convolution(
      weight, bias, stride: stride, padding: .explicit([Int](repeating: 0, count: dimensions)), dilation: dilation,
      groups: groups)
  }
}

/// Transposed convolution, the gradient of a convolution with respect to its input.
/// PyTorch: `torch.nn.ConvTranspose1d`, `ConvTranspose2d`, `ConvTranspose3d`.
public final class TransposedConvolution: ConvolutionLayer, ModuleFamily {
  static let schemas = (1...3).map {
    (
      name: "ConvTranspose\($0)d",
      schema: ModuleSchema(
        "in_channels", "out_channels", "kernel_size",
        optional: [
          "stride": 1, "padding": 0, "output_padding": 0, "groups": 1, "bias": true, "dilation": 1,
          "padding_mode": "zeros",
        ])
    )
  }

  fileprivate override class var spatial: [String] {
    ["kernel_size", "stride", "padding", "output_padding", "dilation"]
  }

  private var padding = [0]
  private var outputPadding = [0]

  public override func configure() throws {
    try super.configure()
    let mode = try string("padding_mode")
    try require(mode == "zeros", .value, "Only \"zeros\" padding mode is supported for \(typeName)")
    padding = try spatialList(try ints("padding"), dimensions, "padding")
    outputPadding = try spatialList(try ints("output_padding"), dimensions, "output_padding")
  }

  public override func build(_ dtype: DType) throws {
    let shape = [try int("in_channels"), try int("out_channels") / groups] + (try kernel())
    try build(weight: shape, dtype)
  }

  /// With the size of the result, which decides how much is added at its end.
  public override func forward(_ inputs: [ModuleValue]) throws -> ModuleValue {
    guard let first = inputs.first, inputs.count <= 2 else {
      throw SwiftNetError.type("\(typeName).forward() takes 1 or 2 inputs but \(inputs.count) were given")
    }
    let x = try first.expectTensor(typeName)
    guard inputs.count == 2, let sizes = inputs[1].items else { return .tensor(try forward(x)) }
    let wanted = try sizes.map { item -> Int in
      guard case .int(let size) = item else {
        throw SwiftNetError.type("\(typeName): output_size must be a list of ints")
      }
      return size
    }
    return .tensor(try forward(x, outputPadding: extra(for: wanted, x)))
  }

  public override func forward(_ x: Tensor) throws -> Tensor { try forward(x, outputPadding: outputPadding) }

  private func forward(_ x: Tensor, outputPadding: [Int]) throws -> Tensor {
    try x.transposedConvolution(
      try requiredParameter("weight"), parameter("bias"), stride: stride, padding: padding,
      outputPadding: outputPadding, groups: groups, dilation: dilation)
  }

  private func extra(for sizes: [Int], _ x: Tensor) throws -> [Int] {
    let lead = x.rank - dimensions
    let wanted = sizes.count == x.rank ? Array(sizes.dropFirst(lead)) : sizes
    try require(
      wanted.count == dimensions && lead >= 0, .value,
      "\(typeName): for \(x.rank)D input, output_size must have \(dimensions) or \(x.rank) elements (got "
        + "\(sizes.count))")
    let kernel = try kernel()
    return try wanted.indices.map { d in
      let least = (x.shape[lead + d] - 1) * stride[d] - 2 * padding[d] + dilation[d] * (kernel[d] - 1) + 1
      try require(
        wanted[d] >= least && wanted[d] < least + stride[d], .value,
        "requested an output size of \(wanted), but valid sizes range from \(least) to \(least + stride[d] - 1) in "
          + "dimension \(d) (for an input of \(x.shape))")
      return wanted[d] - least
    }
  }
}
