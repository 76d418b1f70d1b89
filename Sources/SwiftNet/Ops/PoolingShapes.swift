/// The sizes of a pooling and how its data lie in memory.
struct PoolPlan {
  var shape: PoolShape
  /// N, C and one to three spatial sizes.
  var input: [Int]
  var output: [Int]
  /// Each position's channels are adjacent; otherwise each channel is an image of its own.
  var isChannelsLast: Bool

  var inputStrides: [Int] { PoolPlan.strides(input, isChannelsLast) }
  var outputStrides: [Int] { PoolPlan.strides(output, isChannelsLast) }

  private static func strides(_ shape: [Int], _ isChannelsLast: Bool) -> [Int] {
    isChannelsLast ? Shape.channelsLastStrides(shape) : Shape.contiguousStrides(shape)
  }

  var images: Int { isChannelsLast ? input[0] : input[0] * input[1] }
  var inputRows: Int { images * shape.depth.inputSize * shape.height.inputSize }
  var outputRows: Int { images * shape.depth.outputSize * shape.height.outputSize }
  /// Rows that are worth a chunk of work.
  var grain: Int { max(1, 16384 / max(1, shape.width.inputSize * shape.channels)) }

  init(_ input: [Int], axes: [PoolAxis], divisor: Int = 0, isChannelsLast: Bool) throws {
    self.input = input
    self.output = Array(input.prefix(2)) + axes.map(\.outputSize)
    self.isChannelsLast = isChannelsLast
    let all = [PoolAxis](repeating: .single, count: 3 - axes.count) + axes
    shape = PoolShape(
      channels: isChannelsLast ? input[1] : 1, depth: all[0], height: all[1], width: all[2], divisorOverride: divisor)
    try require(
      (try Shape.count(Array(input.dropFirst(2)))) < Int(Int32.max),
      "pooling: an image of \(Shape.describe(Array(input.dropFirst(2)))) positions is too large")
    _ = try Shape.count(output)
  }

  /// The tensor in this plan's memory order.
  func laidOut(_ x: Tensor, _ strides: [Int]) throws -> Tensor {
    if x.strides == strides || (isChannelsLast ? x.isChannelsLast : x.isContiguous) { return x }
    let copy = try Tensor(empty: x.shape, dtype: x.dtype, strides: strides)
    try copyElements(from: x, to: copy)
    return copy
  }
}

/// Windows of a pooling: one number per spatial dimension in each list.
struct PoolWindows {
  var kernel: [Int]
  var stride: [Int]
  var padding: [Int]
  var dilation: [Int]
  var ceilMode: Bool

  init(
    _ name: String, _ dimensions: Int, kernel: [Int], stride: [Int], padding: [Int], dilation: [Int] = [1],
    ceilMode: Bool
  ) throws {
    func list(_ values: [Int], _ what: String) throws -> [Int] {
      if values.count == 1 { return [Int](repeating: values[0], count: dimensions) }
      try require(
        values.count == dimensions,
        "\(name): \(what) must either be a single int, or a tuple of \(dimensions) ints; got \(Shape.describe(values))")
      return values
    }
    self.kernel = try list(kernel, "kernel_size")
    self.stride = stride.isEmpty ? self.kernel : try list(stride, "stride")
    self.padding = try list(padding, "padding")
    self.dilation = try list(dilation, "dilation")
    self.ceilMode = ceilMode
    for d in 0..<dimensions {
      let (k, s, p, q) = (self.kernel[d], self.stride[d], self.padding[d], self.dilation[d])
      try require(s != 0, "stride should not be zero")
      try require(k > 0, "kernel size should be greater than zero, but got kernel_size: \(k)")
      try require(s > 0, "stride should be greater than zero, but got stride: \(s)")
      try require(q > 0, "dilation should be greater than zero, but got dilation: \(q)")
      try require(p >= 0, "pad must be non-negative, but got pad: \(p)")
      try require(
        max(k, s, p, q) < ConvolutionOptions.limit, "\(name): kernel size, stride, padding or dilation is too large")
      try require(
        p <= ((k - 1) * q + 1) / 2,
        "pad should be at most half of effective kernel size, but got pad=\(p), kernel_size=\(k) and dilation=\(q)")
    }
  }

  /// Number of windows over `size` positions; in ceil mode also one that starts inside the input or its left padding.
  func outputSize(_ size: Int, _ d: Int) -> Int {
    let room = size + 2 * padding[d] - dilation[d] * (kernel[d] - 1) - 1
    let rounded = room + (ceilMode ? stride[d] - 1 : 0)
    if rounded < 0 { return 0 }
    let windows = rounded / stride[d] + 1
    return ceilMode && (windows - 1) * stride[d] >= size + padding[d] ? windows - 1 : windows
  }

  func axes(_ input: [Int], countIncludesPadding: Bool = true) throws -> [PoolAxis] {
    let sizes = input.indices.dropFirst(2).map { outputSize(input[$0], $0 - 2) }
    try require(
      sizes.allSatisfy { $0 > 0 },
      "Given input size: (\(input.dropFirst().map(String.init).joined(separator: "x"))). Calculated output size: "
        + "(\(([input[1]] + sizes).map(String.init).joined(separator: "x"))). Output size is too small")
    return sizes.enumerated().map { d, size in
      PoolAxis(
        inputSize: input[d + 2], outputSize: size, kernel: kernel[d], stride: stride[d], padding: padding[d],
        dilation: dilation[d], countIncludesPadding: countIncludesPadding)
    }
  }
}

extension Tensor {
  /// Runs a pooling on a batch; without a batch dimension, on a batch of one. Of half precision and integers it sees wider
  /// numbers, but for `ownType`.
  func pooled(
    _ name: String, _ dimensions: Int, ownType: DType? = nil, _ body: (Tensor) throws -> [Tensor]
  ) throws -> [Tensor] {
    try require((1...3).contains(dimensions), "\(name)(): sizes for 1 to 3 dimensions expected, got \(dimensions)")
    try require(
      rank == dimensions + 1 || rank == dimensions + 2,
      "\(name)(): non-empty \(dimensions + 1)D or \(dimensions + 2)D (batch mode) tensor expected for input, but got: "
        + Shape.describe(shape))
    for d in shape.indices where d > 0 || rank == dimensions + 1 {
      try require(
        shape[d] > 0,
        "\(name)(): Expected \(dimensions + 1)D or \(dimensions + 2)D (batch mode) tensor with optional 0 dim batch size "
          + "for input, but got: \(Shape.describe(shape))")
    }
    let narrow: DType? = (dtype.lane.dtype == dtype && dtype.isFloatingPoint) || dtype == ownType ? nil : dtype
    let wide = try narrow.map { try to($0.isFloatingPoint ? .float32 : .float64) } ?? self
    let batch = rank == dimensions + 1 ? try wide.unsqueeze(0) : wide
    let results = try body(batch)
    return try results.map { result in
      let single = rank == dimensions + 1 ? try result.squeeze([0]) : result
      return try narrow.map { single.dtype.isFloatingPoint ? try single.to($0) : single } ?? single
    }
  }

  /// Whether a pooling is to see this tensor with adjacent channels. Few channels do not fill vectors.
  var poolsChannelsLast: Bool { !(isContiguous && shape[1] < 8) }
}
