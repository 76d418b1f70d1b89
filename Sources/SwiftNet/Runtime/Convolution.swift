import KernelTypes

/// Convolution with any strides (elements; N, C, D, H, W) of the input. The weight is contiguous (O, I/groups,
/// D, H, W), the output dense and channels-last (N, D, H, W, C).
func convolutionForward(
  _ type: DType, _ shape: ConvolutionShape, input: UnsafeRawPointer, inputStrides: [Int],
  weight: UnsafeRawPointer, epilogue: ConvolutionEpilogue, output: UnsafeMutableRawPointer,
  using table: KernelTable = kernels
) throws {
  let kernels = try productKernels(type, table)
  if shape.outputPixels == 0 || shape.outChannels == 0 {
    epilogue.sums?.update(repeating: 0, count: shape.outChannels)
    epilogue.sumsOfSquares?.update(repeating: 0, count: shape.outChannels)
    return
  }
  if let winograd = WinogradConvolution(type, shape, gradient: false, table: table) {
    return try winograd.run(
      source: input, strides: inputStrides, weight: weight, epilogue: epilogue, output: output)
  }
  if shape.mergesWidth {
    return try lineConvolutionForward(
      type, shape, input: input, inputStrides: inputStrides, weight: weight, epilogue: epilogue,
      output: output,
      kernels: kernels)
  }
  try rowConvolutionForward(
    type, shape, input: input, inputStrides: inputStrides, weight: weight, epilogue: epilogue, output: output,
    kernels: kernels)
}

/// The gradient of a convolution with respect to its input, dense and channels-last; every element is written.
func convolutionDataGradient(
  _ type: DType, _ shape: ConvolutionShape, gradOutput: UnsafeRawPointer, gradOutputStrides: [Int],
  weight: UnsafeRawPointer, gradInput: UnsafeMutableRawPointer, using table: KernelTable = kernels
) throws {
  let kernels = try productKernels(type, table)
  if shape.inputPixels == 0 || shape.inChannels == 0 { return }
  if shape.outputPixels == 0 || shape.outChannels == 0 {
    memset(gradInput, 0, shape.inputPixels * shape.inChannels * type.size)
    return
  }
  if let winograd = WinogradConvolution(type, shape, gradient: true, table: table) {
    return try winograd.run(
      source: gradOutput, strides: gradOutputStrides, weight: weight, epilogue: ConvolutionEpilogue(),
      output: gradInput)
  }
  try rowConvolutionDataGradient(
    type, shape, gradOutput: gradOutput, gradOutputStrides: gradOutputStrides, weight: weight,
    gradInput: gradInput, kernels: kernels)
}

/// The gradients of a convolution with respect to its weight (contiguous O, I/groups, D, H, W) and its bias.
func convolutionWeightGradient(
  _ type: DType, _ shape: ConvolutionShape, input: UnsafeRawPointer, inputStrides: [Int],
  gradOutput: UnsafeRawPointer, gradOutputStrides: [Int], gradWeight: UnsafeMutableRawPointer,
  gradBias: UnsafeMutableRawPointer?, using table: KernelTable = kernels
) throws {
  let kernels = try productKernels(type, table)
  if shape.outputPixels == 0 || shape.outChannels == 0 || shape.groupInChannels == 0 {
    memset(gradWeight, 0, shape.outChannels * shape.groupInChannels * shape.kernel.count * type.size)
    if let gradBias { memset(gradBias, 0, shape.outChannels * type.size) }
    return
  }
  if try winogradWeightGradient(
    shape, input: input, inputStrides: inputStrides, gradOutput: gradOutput,
    gradOutputStrides: gradOutputStrides, gradWeight: gradWeight, gradBias: gradBias, type: type, table: table
  ) {
    return
  }
  if shape.mergesWidth {
    return try lineConvolutionWeightGradient(
      type, shape, input: input, inputStrides: inputStrides, gradOutput: gradOutput,
      gradOutputStrides: gradOutputStrides, gradWeight: gradWeight, gradBias: gradBias, kernels: kernels)
  }
  try rowConvolutionWeightGradient(
    type, shape, input: input, inputStrides: inputStrides, gradOutput: gradOutput,
    gradOutputStrides: gradOutputStrides, gradWeight: gradWeight, gradBias: gradBias, kernels: kernels)
}

private func productKernels(_ type: DType, _ table: KernelTable) throws -> ProductKernels {
  switch type {
  case .float32: return table.gemm.f32
  case .float64: return table.gemm.f64
  default: throw SwiftNetError.notImplemented("convolution is not implemented for \(type)")
  }
}
