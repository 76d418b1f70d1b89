/// Max pooling over windows whose places are drawn at random (Graham, 2014, https://arxiv.org/abs/1412.6071).
extension Tensor {
  /// The largest elements and their flat positions in the image (int64), over windows of the given size.
  /// PyTorch: `torch.nn.functional.fractional_max_pool2d`, `fractional_max_pool3d`.
  ///
  /// - Parameters:
  ///   - size: of the result; one number for each of two or three dimensions.
  ///   - samples: (N, C, dimensions) uniform in [0, 1); nil: drawn.
  public func fractionalMaxPool(
    kernel: [Int], size: [Int], samples: Tensor? = nil, generator: Generator = .shared
  ) throws -> (values: Tensor, indices: Tensor) {
    let dimensions = size.count
    let name = "fractional_max_pool\(dimensions)d"
    try require(dimensions == 2 || dimensions == 3, "\(name): sizes for 2 or 3 dimensions expected")
    let kernel = kernel.count == 1 ? [Int](repeating: kernel[0], count: dimensions) : kernel
    try require(
      kernel.count == dimensions,
      "\(name): kernel_size must either be a single Int or tuple of Ints of length \(dimensions)")
    try require(
      rank == dimensions + 1 || rank == dimensions + 2,
      "\(name)(): Expected \(dimensions + 1)D or \(dimensions + 2)D tensor, but got: \(Shape.describe(shape))")
    let batch = rank == dimensions + 1 ? try unsqueeze(0) : self
    let (n, c) = (batch.shape[0], batch.shape[1])
    let input = Array(batch.shape.dropFirst(2))
    try require(
      c > 0 && input.allSatisfy { $0 > 0 },
      "\(name)(): Expected input to have non-zero size for non-batch dimensions, but got \(Shape.describe(shape))")
    for d in 0..<dimensions {
      try require(kernel[d] > 0, "\(name): kernel size must be positive, got \(kernel[d])")
      try require(
        size[d] > 0 && kernel[d] <= input[d] && size[d] <= input[d] - kernel[d] + 1,
        "\(name)(): pool size \(kernel[d]) too large relative to input size \(input[d]) and output size \(size[d])")
    }
    let draws: Tensor
    if let samples {
      try require(
        samples.shape == [n, c, dimensions],
        "\(name): Expect _random_samples of shape [\(n), \(c), \(dimensions)], but got \(Shape.describe(samples.shape))"
      )
      draws = try samples.detach()
    } else {
      draws = try Tensor(empty: [n, c, dimensions], dtype: dtype)
      try draws.uniformInPlace(generator: generator)
    }
    let converted = try autocast(.float32, [self, draws]) {
      try $0[0].fractionalMaxPool(kernel: kernel, size: size, samples: $0[1])
    }
    if let converted { return converted }
    try require(draws.dtype == dtype, "Expect _random_samples to have the same dtype as input")
    let numbers = try draws.doubles()
    try require(
      numbers.allSatisfy { $0 >= 0 && $0 <= 1 }, .value, "\(name): _random_samples must be between 0 and 1")
    let starts = (0..<n * c).map { image in
      (0..<dimensions).map { d in
        // In two dimensions the first number belongs to the width; in three to the depth.
        let place = dimensions == 2 ? dimensions - 1 - d : d
        return windowStarts(
          numbers[image * dimensions + place], input[d], size[d], kernel[d], isWide: dtype == .float64)
      }
    }
    let lane = dtype.lane.dtype == dtype && dtype.isFloatingPoint ? batch : try batch.to(.float64)
    let plain = try noGrad { try lane.contiguous() }
    let positions = try Tensor(empty: [n * c, try Shape.count(size)], dtype: .int64)
    let out = try positions.mutablePointer().assumingMemoryBound(to: Int64.self)
    if plain.dtype == .float64 {
      try plain.findMaxima(Double.self, starts, kernel, size, out)
    } else {
      try plain.findMaxima(Float.self, starts, kernel, size, out)
    }
    let flat = try batch.reshape([n * c, input.reduce(1, *)]).picking(positions)
    let shape = (rank == dimensions + 1 ? [c] : [n, c]) + size
    return (try flat.reshape(shape), try positions.reshape(shape))
  }

  private func findMaxima<T: BinaryFloatingPoint>(
    _: T.Type, _ starts: [[[Int]]], _ kernel: [Int], _ size: [Int], _ out: UnsafeMutablePointer<Int64>
  ) throws {
    let x = try pointer().assumingMemoryBound(to: T.self)
    let three = size.count == 3
    let (depth, height, width) = (three ? shape[2] : 1, shape[rank - 2], shape[rank - 1])
    let outDepth = three ? size[0] : 1
    let (outHeight, outWidth) = (size[size.count - 2], size[size.count - 1])
    let (kd, kh, kw) = (three ? kernel[0] : 1, kernel[kernel.count - 2], kernel[kernel.count - 1])
    let perImage = outDepth * outHeight * outWidth
    parallelFor(starts.count, grain: Swift.max(1, 16384 / Swift.max(1, perImage * kd * kh * kw))) { first, last in
      for image in first..<last {
        let at = starts[image]
        let source = x + image * depth * height * width
        var target = out + image * perImage
        for d in 0..<outDepth {
          let z0 = three ? at[0][d] : 0
          for y0 in at[at.count - 2] {
            for x0 in at[at.count - 1] {
              var best = (z0 * height + y0) * width + x0
              for z in z0..<z0 + kd {
                for y in y0..<y0 + kh {
                  for place in (z * height + y) * width + x0..<(z * height + y) * width + x0 + kw
                  where source[place] > source[best] || source[place].isNaN {
                    best = place
                  }
                }
              }
              target.pointee = Int64(best)
              target += 1
            }
          }
        }
      }
    }
  }
}

/// Where the windows of one dimension start: steps of equal length on average, from a random place on; the last window
/// ends with the input. In the precision of the input, on which the rounding depends.
private func windowStarts(_ sample: Double, _ input: Int, _ output: Int, _ kernel: Int, isWide: Bool) -> [Int] {
  var starts = [Int](repeating: 0, count: output)
  if output > 1 {
    if isWide {
      let alpha = Double(input - kernel) / Double(output - 1)
      for i in 0..<output - 1 { starts[i] = Int((Double(i) + sample) * alpha) - Int(sample * alpha) }
    } else {
      let alpha = Float(input - kernel) / Float(output - 1)
      let u = Float(sample)
      for i in 0..<output - 1 { starts[i] = Int((Float(i) + u) * alpha) - Int(u * alpha) }
    }
  }
  if output > 0 { starts[output - 1] = input - kernel }
  // Rounding may not carry a window over the end.
  return starts.map { Swift.max(0, Swift.min($0, input - kernel)) }
}
