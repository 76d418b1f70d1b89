import KernelTypes

extension DType {
  /// Whether it is a float of 16 bits.
  var isNarrow: Bool { self == .float16 || self == .bfloat16 }
}

/// Convolutions of bfloat16 and float16, without recording: on pairs where the processor has their dot products and
/// these are faster, else in float32 with operands that live for the call only. Sums are float32 either way, and
/// results are rounded once.
extension Tensor {
  /// The kernels of pairs, where this convolution should use them. Winograd's algorithm in float32 needs up to four
  /// times fewer multiplications where it applies, pairs half as many.
  private func pairKernels(_ shape: ConvolutionShape, gradient: Bool) -> ProductKernels? {
    guard dtype == .bfloat16, let pairs = kernels.gemm.bf16, shape.suitsPairs else { return nil }
    return WinogradConvolution.paysBesidePairs(shape, gradient: gradient, table: kernels) ? nil : pairs
  }

  /// A dense float32 copy's place for a result of this tensor's sizes.
  private func widePlace() throws -> Tensor { try Tensor(empty: shape, dtype: .float32, strides: strides) }

  /// `bias` is float32 and dense.
  func narrowForward(_ shape: ConvolutionShape, _ filter: Tensor, _ bias: Tensor?, _ out: Tensor) throws {
    if let pairs = pairKernels(shape, gradient: false) {
      return try pairConvolutionForward(
        pairs, shape, input: try pointer(), inputStrides: volumeStrides, weight: try filter.pointer(),
        bias: try bias?.pointer(), output: try out.mutablePointer())
    }
    try noGrad {
      let (x, w, y) = (try to(.float32), try filter.to(.float32), try out.widePlace())
      try convolutionForward(
        .float32, shape, input: try x.pointer(), inputStrides: x.volumeStrides, weight: try w.pointer(),
        epilogue: ConvolutionEpilogue(bias: try bias?.pointer()), output: try y.mutablePointer())
      try copyElements(from: y, to: out)
      withExtendedLifetime((x, w)) {}
    }
  }

  /// From the gradient of the output (self).
  func narrowDataGradient(_ shape: ConvolutionShape, _ filter: Tensor, _ out: Tensor) throws {
    if let pairs = pairKernels(shape, gradient: true) {
      return try pairConvolutionDataGradient(
        pairs, shape, gradOutput: try pointer(), gradOutputStrides: volumeStrides, weight: try filter.pointer(),
        gradInput: try out.mutablePointer())
    }
    try noGrad {
      let (dy, w, dx) = (try to(.float32), try filter.to(.float32), try out.widePlace())
      try SwiftNet.convolutionDataGradient(
        .float32, shape, gradOutput: try dy.pointer(), gradOutputStrides: dy.volumeStrides, weight: try w.pointer(),
        gradInput: try dx.mutablePointer())
      try copyElements(from: dx, to: out)
      withExtendedLifetime((dy, w)) {}
    }
  }

  /// From the input (self) and the gradient of the output.
  func narrowWeightGradient(_ shape: ConvolutionShape, _ grad: Tensor, _ out: Tensor) throws {
    if let pairs = pairKernels(shape, gradient: false) {
      return try pairConvolutionWeightGradient(
        pairs, kernels, shape, input: try pointer(), inputStrides: volumeStrides, gradOutput: try grad.pointer(),
        gradOutputStrides: grad.volumeStrides, gradWeight: try out.mutablePointer())
    }
    try noGrad {
      let (x, dy, dw) = (try to(.float32), try grad.to(.float32), try out.widePlace())
      try SwiftNet.convolutionWeightGradient(
        .float32, shape, input: try x.pointer(), inputStrides: x.volumeStrides, gradOutput: try dy.pointer(),
        gradOutputStrides: dy.volumeStrides, gradWeight: try dw.mutablePointer(), gradBias: nil)
      try copyElements(from: dw, to: out)
      withExtendedLifetime((x, dy)) {}
    }
  }
}
