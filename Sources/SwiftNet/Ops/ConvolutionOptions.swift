/// What a convolution does besides its weights: one number per spatial dimension (1 to 3 of them) in each list.
public struct ConvolutionOptions: Equatable, Sendable {
  public var stride: [Int]
  /// Zeros before the first element.
  public var padding: [Int]
  public var dilation: [Int]
  public var groups: Int

  public init(stride: [Int], padding: [Int], dilation: [Int], groups: Int = 1) {
    self.stride = stride
    self.padding = padding
    self.dilation = dilation
    self.groups = groups
  }

  var dimensions: Int { stride.count }

  /// Sizes of this order overflow nothing when they are multiplied with each other.
  static let limit = 1 << 30

  func check(_ name: String) throws {
    try require(groups > 0, "non-positive groups is not supported")
    for d in stride.indices {
      try require(stride[d] > 0, "non-positive stride is not supported")
      try require(padding[d] >= 0, "negative padding is not supported")
      try require(dilation[d] > 0, "dilation should be greater than zero")
      try require(
        max(stride[d], padding[d], dilation[d]) < ConvolutionOptions.limit, .value,
        "\(name): stride \(stride[d]), padding \(padding[d]) or dilation \(dilation[d]) is too large")
    }
  }

  /// Positions that a kernel spans.
  func span(_ kernel: Int, _ d: Int) -> Int { dilation[d] * (max(kernel, 1) - 1) + 1 }
}

/// One number for all spatial dimensions, or one for each.
public func spatialList(_ values: [Int], _ dimensions: Int, _ name: String) throws -> [Int] {
  if values.count == 1 { return [Int](repeating: values[0], count: dimensions) }
  try require(
    values.count == dimensions,
    "expected \(name) to be a single integer value or a list of \(dimensions) values to match the convolution "
      + "dimensions, but got \(name)=\(Shape.describe(values))")
  return values
}

extension Extents {
  /// The last of three dimensions from the one to three numbers of a list that follow the first ones; others `missing`.
  init(_ values: [Int], after first: Int = 0, missing: Int) {
    let (end, count) = (values.count, values.count - first)
    self.init(count > 2 ? values[end - 3] : missing, count > 1 ? values[end - 2] : missing, values[end - 1])
  }
}

extension ConvolutionShape {
  init(input: [Int], weight: [Int], output: [Int], _ options: ConvolutionOptions) {
    self.init(
      batch: input[0], groups: options.groups, inChannels: input[1], outChannels: weight[0],
      input: Extents(input, after: 2, missing: 1), kernel: Extents(weight, after: 2, missing: 1),
      stride: Extents(options.stride, missing: 1), padding: Extents(options.padding, missing: 0),
      dilation: Extents(options.dilation, missing: 1), output: Extents(output, after: 2, missing: 1))
  }
}

extension Tensor {
  /// Strides as N, C, D, H, W for a tensor with one to three spatial dimensions.
  var volumeStrides: [Int] {
    if rank == 5 { return strides }
    var result = [Int](repeating: 0, count: 5)
    for d in strides.indices { result[d < 2 ? d : 5 - rank + d] = strides[d] }
    return result
  }
}
