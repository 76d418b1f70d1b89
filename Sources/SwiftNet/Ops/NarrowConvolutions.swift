import KernelTypes

extension DType {
  /// Whether it is a float of 16 bits.
  var isNarrow: Bool { self == .float16 || self == .bfloat16 }
}

/// Convolutions of bfloat16 and float16, without recording: on pairs where the processor has their dot products and
/// these are faster, else in float32. Then the images are widened, and the results narrowed, a few at a time, which
/// stay in the cache meanwhile. Sums are float32 either way, and results are rounded once.
extension Tensor {
  /// The kernels of pairs, where this convolution should use them. Winograd's algorithm in float32 needs up to four
  /// times fewer multiplications where it applies, pairs half as many.
  private func pairKernels(_ shape: ConvolutionShape, gradient: Bool) -> ProductKernels? {
    guard dtype == .bfloat16, let pairs = kernels.gemm.bf16, shape.suitsPairs else { return nil }
    return WinogradConvolution.paysBesidePairs(shape, gradient: gradient, table: kernels) ? nil : pairs
  }

  /// Float32 room for some images like this tensor's, row-major like these or channels-last.
  private func widePlace(_ images: Int, isResult: Bool = false) throws -> Tensor {
    let sizes = [images] + shape.dropFirst()
    let isRowMajor = isContiguous && !isResult
    return try Tensor(empty: sizes, dtype: .float32, strides: isRowMajor ? nil : Shape.channelsLastStrides(sizes))
  }

  /// Images, from the first on, as float32 in a place made for them.
  private func widen(_ first: Int, _ images: Int, into place: Tensor) throws -> Tensor {
    let wide = try place.narrow(0, 0, images)
    try copyElements(from: narrow(0, first, images), to: wide)
    return wide
  }

  /// `bias` is float32 and dense; `prepared` keeps what is made of the filter, for evaluation.
  func narrowForward(
    _ shape: ConvolutionShape, _ filter: Tensor, _ bias: Tensor?, _ out: Tensor, prepared: PreparedFilters?
  ) throws {
    if let pairs = pairKernels(shape, gradient: false) {
      return try pairConvolutionForward(
        pairs, shape, input: try pointer(), inputStrides: volumeStrides, weight: try filter.pointer(),
        bias: try bias?.pointer(), output: try out.mutablePointer(), prepared: prepared)
    }
    try noGrad {
      let weight = try PreparedFilters.get(prepared, [3], bytes: filter.count * 4) { place in
        let wide = try filter.to(.float32)
        memcpy(place, try wide.pointer(), filter.count * 4)
        withExtendedLifetime(wide) {}
      }
      let (source, target) = (try widePlace(shape.imagesAtOnce), try out.widePlace(shape.imagesAtOnce, isResult: true))
      try shape.forEachBlock { first, block in
        let (x, y) = (try widen(first, block.batch, into: source), try target.narrow(0, 0, block.batch))
        try convolutionForward(
          .float32, block, input: try x.pointer(), inputStrides: x.volumeStrides, weight: weight.pointer,
          epilogue: ConvolutionEpilogue(bias: try bias?.pointer()), output: try y.mutablePointer(), prepared: prepared)
        try copyElements(from: y, to: out.narrow(0, first, block.batch))
      }
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
      let w = try filter.to(.float32)
      let (source, target) = (try widePlace(shape.imagesAtOnce), try out.widePlace(shape.imagesAtOnce, isResult: true))
      try shape.forEachBlock { first, block in
        let (dy, dx) = (try widen(first, block.batch, into: source), try target.narrow(0, 0, block.batch))
        try SwiftNet.convolutionDataGradient(
          .float32, block, gradOutput: try dy.pointer(), gradOutputStrides: dy.volumeStrides, weight: try w.pointer(),
          gradInput: try dx.mutablePointer())
        try copyElements(from: dx, to: out.narrow(0, first, block.batch))
      }
      withExtendedLifetime(w) {}
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
      let (inputs, grads) = (try widePlace(shape.imagesAtOnce), try grad.widePlace(shape.imagesAtOnce))
      let total = try Tensor(empty: out.shape, dtype: .float32)
      let part = shape.imagesAtOnce < shape.batch ? try Tensor(empty: out.shape, dtype: .float32) : total
      try shape.forEachBlock { first, block in
        let (x, dy) = (try widen(first, block.batch, into: inputs), try grad.widen(first, block.batch, into: grads))
        let dw = first == 0 ? total : part
        try SwiftNet.convolutionWeightGradient(
          .float32, block, input: try x.pointer(), inputStrides: x.volumeStrides, gradOutput: try dy.pointer(),
          gradOutputStrides: dy.volumeStrides, gradWeight: try dw.mutablePointer(), gradBias: nil)
        if first > 0 { try total.binaryInPlace(.add, .tensor(dw)) }
      }
      try copyElements(from: total, to: out)
    }
  }
}

extension ConvolutionShape {
  /// Images whose float32 copies take some 8 MB, or four times the filters, which every block reads.
  fileprivate var imagesAtOnce: Int {
    let image = (input.count * inChannels + output.count * outChannels) * 4
    return max(1, min(batch, max(8 << 20, 16 * weightCount) / max(image, 1)))
  }

  /// Calls body(first image, convolution of a block).
  fileprivate func forEachBlock(_ body: (Int, ConvolutionShape) throws -> Void) throws {
    for first in Swift.stride(from: 0, to: batch, by: imagesAtOnce) {
      var block = self
      block.batch = min(imagesAtOnce, batch - first)
      try body(first, block)
    }
  }
}
