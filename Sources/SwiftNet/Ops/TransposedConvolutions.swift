extension Tensor {
  /// Transposed convolution of N, C, … or C, … with a weight (in, out / groups, …): the gradient of a convolution as an
  /// operation of its own. PyTorch: `torch.nn.functional.conv_transpose1d`, `2d`, `3d`.
  ///
  /// The output has (size - 1)·stride - 2·padding + dilation·(kernel - 1) + outputPadding + 1 positions.
  public func transposedConvolution(
    _ weight: Tensor, _ bias: Tensor? = nil, stride: [Int] = [1], padding: [Int] = [0], outputPadding: [Int] = [0],
    groups: Int = 1, dilation: [Int] = [1]
  ) throws -> Tensor {
    let converted = try autocast(.lower, [self, weight, bias]) {
      try $0[0].transposedConvolution(
        $0[1], $0[optional: 2], stride: stride, padding: padding, outputPadding: outputPadding, groups: groups,
        dilation: dilation)
    }
    if let converted { return converted }
    let dimensions = weight.rank - 2
    let name = "conv_transpose\(dimensions)d"
    try require(
      dimensions >= 1 && dimensions <= 3,
      "weight should have at least three dimensions and at most five, but got weight of size: "
        + Shape.describe(weight.shape))
    try require(
      rank == dimensions + 1 || rank == dimensions + 2,
      "Expected \(dimensions + 1)D (unbatched) or \(dimensions + 2)D (batched) input to \(name), but got input of size: "
        + Shape.describe(shape))
    if rank == dimensions + 1 {
      return try unsqueeze(0).transposedConvolution(
        weight, bias, stride: stride, padding: padding, outputPadding: outputPadding, groups: groups,
        dilation: dilation
      ).squeeze([0])
    }
    let options = ConvolutionOptions(
      stride: try spatialList(stride, dimensions, "stride"), padding: try spatialList(padding, dimensions, "padding"),
      dilation: try spatialList(dilation, dimensions, "dilation"), groups: groups)
    try options.check(name)
    let extra = try spatialList(outputPadding, dimensions, "output_padding")
    try Tensor.checkConvolution(self, weight, bias, options, transposed: true)
    var output = [shape[0], weight.shape[1] * groups]
    for d in 0..<dimensions {
      try require(extra[d] >= 0, "negative output_padding is not supported")
      try require(
        extra[d] < max(options.stride[d], options.dilation[d]),
        "output padding must be smaller than either stride or dilation, but got output_padding: \(extra[d]), stride: "
          + "\(options.stride[d]), dilation: \(options.dilation[d])")
      let (reach, overflow) = (shape[d + 2] - 1).multipliedReportingOverflow(by: options.stride[d])
      try require(!overflow && reach < 1 << 50, "\(name): the output is too large")
      let size = reach - 2 * options.padding[d] + options.span(weight.shape[d + 2], d) + extra[d]
      try require(
        size > 0 && shape[d + 2] > 0,
        "Given input size per channel: \(Shape.describe(Array(shape.dropFirst(2)))). Calculated output size per channel: "
          + "\(size) in dimension \(d + 2). Output size is too small")
      output.append(size)
    }
    if let bias, dtype.isNarrow {
      // With a bias in float32, so that the sum is rounded once.
      let wide = try to(.float32).convolutionDataGradient(weight.to(.float32), options, output)
      return try wide.adding(channels: bias.to(.float32)).to(dtype)
    }
    return try convolutionDataGradient(weight, options, output).adding(channels: bias)
  }

  /// The sum with one number for each channel (dimension 1).
  private func adding(channels bias: Tensor?) throws -> Tensor {
    guard let bias else { return self }
    var view = [Int](repeating: 1, count: rank)
    view[1] = bias.count
    let shaped = try bias.reshape(view)
    if needsRecording([self, bias]) { return try self + shaped }
    try addInPlace(shaped)
    return self
  }
}
