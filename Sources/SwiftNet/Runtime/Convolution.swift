import KernelTypes

/// Convolution with any strides (elements; N, C, D, H, W) of the input. The weight is contiguous (O, I/groups,
/// D, H, W), the output dense and channels-last (N, D, H, W, C).
func convolutionForward(
  _ type: DType, _ shape: ConvolutionShape, input: UnsafeRawPointer, inputStrides: [Int],
  weight: UnsafeRawPointer, epilogue: ConvolutionEpilogue, output: UnsafeMutableRawPointer,
  using table: KernelTable = kernels
) throws {
  func run<T: BinaryFloatingPoint>(_: T.Type) {
    let x = input.assumingMemoryBound(to: T.self), w = weight.assumingMemoryBound(to: T.self)
    let y = output.assumingMemoryBound(to: T.self)
    let s = inputStrides
    let channels = shape.outChannels, cg = shape.groupInChannels, og = max(shape.groupOutChannels, 1)
    let bias = epilogue.bias?.assumingMemoryBound(to: T.self)
    let residual = epilogue.residual?.assumingMemoryBound(to: T.self)
    parallelFor(shape.outputPixels, grain: 16) { start, end in
      for pixel in start..<end {
        let (n, d, h, w0) = place(pixel, shape.output)
        for o in 0..<channels {
          var sum: T = 0
          forEachTap(shape, d, h, w0) { tap, id, ih, iw in
            let base = n * s[0] + (o / og) * cg * s[1] + id * s[2] + ih * s[3] + iw * s[4]
            for c in 0..<cg { sum += x[base + c * s[1]] * w[(o * cg + c) * shape.kernel.count + tap] }
          }
          if let bias { sum += bias[o] }
          if let scale = epilogue.scale { sum *= T(scale[o]) }
          if let shift = epilogue.shift { sum += T(shift[o]) }
          if let residual { sum += residual[pixel * channels + o] }
          y[pixel * channels + o] = epilogue.relu && sum < 0 ? 0 : sum
        }
      }
    }
    for o in 0..<channels where epilogue.sums != nil || epilogue.sumsOfSquares != nil {
      var sum = 0.0
      var squares = 0.0
      for pixel in 0..<shape.outputPixels {
        let value = Double(y[pixel * channels + o])
        sum += value
        squares += value * value
      }
      epilogue.sums?[o] = sum
      epilogue.sumsOfSquares?[o] = squares
    }
  }
  try dispatch(type, { run(Float.self) }, { run(Double.self) })
}

/// The gradient of a convolution with respect to its input, dense and channels-last; every element is written.
func convolutionDataGradient(
  _ type: DType, _ shape: ConvolutionShape, gradOutput: UnsafeRawPointer, gradOutputStrides: [Int],
  weight: UnsafeRawPointer, gradInput: UnsafeMutableRawPointer,
  using table: KernelTable = kernels
) throws {
  func run<T: BinaryFloatingPoint>(_: T.Type) {
    let g = gradOutput.assumingMemoryBound(to: T.self), w = weight.assumingMemoryBound(to: T.self)
    let dx = gradInput.assumingMemoryBound(to: T.self)
    let s = gradOutputStrides
    let cg = shape.groupInChannels, og = shape.groupOutChannels
    dx.update(repeating: 0, count: shape.inputPixels * shape.inChannels)
    parallelFor(shape.batch, grain: 1) { first, last in
      for pixel in first * shape.output.count..<last * shape.output.count {
        let (n, d, h, w0) = place(pixel, shape.output)
        forEachTap(shape, d, h, w0) { tap, id, ih, iw in
          let inPixel = ((n * shape.input.depth + id) * shape.input.height + ih) * shape.input.width + iw
          for o in 0..<shape.outChannels {
            let value = g[n * s[0] + o * s[1] + d * s[2] + h * s[3] + w0 * s[4]]
            let base = inPixel * shape.inChannels + (o / og) * cg
            for c in 0..<cg { dx[base + c] += value * w[(o * cg + c) * shape.kernel.count + tap] }
          }
        }
      }
    }
  }
  try dispatch(type, { run(Float.self) }, { run(Double.self) })
}

/// The gradients of a convolution with respect to its weight (contiguous O, I/groups, D, H, W) and its bias.
func convolutionWeightGradient(
  _ type: DType, _ shape: ConvolutionShape, input: UnsafeRawPointer, inputStrides: [Int],
  gradOutput: UnsafeRawPointer, gradOutputStrides: [Int], gradWeight: UnsafeMutableRawPointer,
  gradBias: UnsafeMutableRawPointer?, using table: KernelTable = kernels
) throws {
  func run<T: BinaryFloatingPoint>(_: T.Type) {
    let x = input.assumingMemoryBound(to: T.self), g = gradOutput.assumingMemoryBound(to: T.self)
    let dw = gradWeight.assumingMemoryBound(to: T.self)
    let db = gradBias?.assumingMemoryBound(to: T.self)
    let s = inputStrides, t = gradOutputStrides
    let cg = shape.groupInChannels, og = max(shape.groupOutChannels, 1), taps = shape.kernel.count
    parallelFor(shape.outChannels, grain: 1) { first, last in
      for o in first..<last {
        let filter = dw + o * cg * taps
        filter.update(repeating: 0, count: cg * taps)
        var total: T = 0
        for pixel in 0..<shape.outputPixels {
          let (n, d, h, w0) = place(pixel, shape.output)
          let value = g[n * t[0] + o * t[1] + d * t[2] + h * t[3] + w0 * t[4]]
          total += value
          forEachTap(shape, d, h, w0) { tap, id, ih, iw in
            let base = n * s[0] + (o / og) * cg * s[1] + id * s[2] + ih * s[3] + iw * s[4]
            for c in 0..<cg { filter[c * taps + tap] += value * x[base + c * s[1]] }
          }
        }
        db?[o] = total
      }
    }
  }
  try dispatch(type, { run(Float.self) }, { run(Double.self) })
}

private func dispatch(_ type: DType, _ float: () -> Void, _ double: () -> Void) throws {
  switch type {
  case .float32: float()
  case .float64: double()
  default: throw SwiftNetError.notImplemented("convolution is not implemented for \(type)")
  }
}

/// Batch index and coordinates of a pixel's number.
private func place(_ pixel: Int, _ extents: Extents) -> (Int, Int, Int, Int) {
  let row = pixel / extents.width
  let plane = row / extents.height
  return (plane / extents.depth, plane % extents.depth, row % extents.height, pixel % extents.width)
}

/// Calls `body(tap, depth, height, width)` for each tap of an output place that lies within the input.
@inline(__always)
private func forEachTap(
  _ shape: ConvolutionShape, _ d: Int, _ h: Int, _ w: Int, _ body: (Int, Int, Int, Int) -> Void
) {
  for kd in 0..<shape.kernel.depth {
    let id = d * shape.stride.depth - shape.padding.depth + kd * shape.dilation.depth
    if id < 0 || id >= shape.input.depth { continue }
    for kh in 0..<shape.kernel.height {
      let ih = h * shape.stride.height - shape.padding.height + kh * shape.dilation.height
      if ih < 0 || ih >= shape.input.height { continue }
      for kw in 0..<shape.kernel.width {
        let iw = w * shape.stride.width - shape.padding.width + kw * shape.dilation.width
        if iw < 0 || iw >= shape.input.width { continue }
        body((kd * shape.kernel.height + kh) * shape.kernel.width + kw, id, ih, iw)
      }
    }
  }
}
