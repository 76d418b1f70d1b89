import KernelTypes

extension DType {
  /// Whether it is a float of 16 bits.
  var isNarrow: Bool { self == .float16 || self == .bfloat16 }
}

/// Convolutions of bfloat16 and float16, without recording: bfloat16 on pairs where the processor has their dot products,
/// or by Winograd's algorithm, whose transforms widen and round; else in float32. Then the images are widened, and the
/// results narrowed, a few at a time, which stay in the cache meanwhile. Sums are float32 in any case, and results are
/// rounded once.
extension Tensor {
  private enum Pass { case forward, dataGradient, weightGradient }

  private enum Way {
    case pairs(ProductKernels)
    case winograd(WinogradConvolution)
    case widened
  }

  /// The fastest way. Winograd's algorithm in float32 needs up to four times fewer multiplications where it applies, pairs
  /// half as many.
  private func way(_ pass: Pass, _ shape: ConvolutionShape) -> Way {
    guard dtype == .bfloat16 else { return .widened }
    let gradient = pass == .dataGradient
    let winograd = WinogradConvolution(.bfloat16, shape, gradient: gradient, table: kernels)
    if let pairs = pairs(pass, shape) {
      let pays = WinogradConvolution.paysBesidePairs(shape, gradient: gradient, table: kernels)
      if winograd == nil || !pays { return .pairs(pairs) }
    }
    return winograd.map { .winograd($0) } ?? .widened
  }

  private func pairs(_ pass: Pass, _ shape: ConvolutionShape) -> ProductKernels? {
    let pays =
      switch pass {
      case .forward: shape.suitsPairs || shape.suitsLinesOfPairs
      case .dataGradient: shape.suitsPairs
      case .weightGradient: shape.suitsPairs || shape.suitsLinesOfPairedPlaces
      }
    return pays ? kernels.gemm.bf16 : nil
  }

  /// This tensor, or a copy, with adjacent channels.
  private func withAdjacentChannels() throws -> Tensor {
    strides[1] == 1 || shape[1] == 1 ? self : try noGrad { try channelsLast() }
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

  private typealias Conversions = (load: LoadKernel, store: StoreKernel)

  /// From this tensor's dtype to float32, and back.
  private var conversions: Conversions {
    get throws {
      guard let load = kernels.elementwise[load: dtype, .f32], let store = kernels.elementwise[store: .f32, dtype]
      else {
        throw SwiftNetError.notImplemented("no conversion from \(dtype.name) to float32")
      }
      return (load, store)
    }
  }

  /// A filter of this tensor's dtype in float32, kept in `prepared` if that is there.
  private func wide(
    _ filter: UnsafeRawPointer, _ shape: ConvolutionShape, _ prepared: PreparedFilters? = nil
  ) throws -> Scratch {
    let load = try conversions.load
    let (count, size) = (shape.weightCount, dtype.size)
    return try PreparedFilters.get(prepared, PreparedFilters.Form(.wide, [count]), bytes: count * 4) { place in
      parallelFor(count, grain: ElementwiseProgram.grain) { start, end in
        load(filter + start * size, 1, place + start * 4, end - start)
      }
    }
  }

  /// The results go to dense channels-last memory. The filter is dense, the epilogue's bias float32, its residual of this
  /// tensor's dtype; `prepared` keeps what is made of the filter, for evaluation.
  func narrowForward(
    _ shape: ConvolutionShape, _ filter: UnsafeRawPointer, _ epilogue: ConvolutionEpilogue,
    _ out: UnsafeMutableRawPointer, prepared: PreparedFilters?
  ) throws {
    if let part = shape.kernelPart {
      let size = dtype.size
      let taps = try PreparedFilters.get(prepared, part.form, bytes: part.shape.weightCount * size) {
        part.gather(filter, of: shape, size: size, into: $0)
      }
      return try narrowForward(part.shape, taps.pointer, epilogue, out, prepared: prepared)
    }
    switch way(.forward, shape) {
    case .pairs(let pairs):
      try pairConvolutionForward(
        pairs, shape, input: try pointer(), inputStrides: volumeStrides, weight: filter, epilogue: epilogue,
        output: out, prepared: prepared)
    case .winograd(let winograd):
      let x = try withAdjacentChannels()
      let weight = try wide(filter, shape, prepared)
      try winograd.run(
        source: try x.pointer(), strides: x.volumeStrides, weight: weight.pointer, epilogue: epilogue, output: out,
        prepared: prepared)
      withExtendedLifetime((x, weight)) {}
    case .widened:
      try noGrad { try widenedForward(shape, filter, epilogue, out, prepared: prepared) }
    }
  }

  private func widenedForward(
    _ shape: ConvolutionShape, _ filter: UnsafeRawPointer, _ epilogue: ConvolutionEpilogue,
    _ out: UnsafeMutableRawPointer, prepared: PreparedFilters?
  ) throws {
    let (load, store) = try conversions
    let weight = try wide(filter, shape, prepared)
    let source = try widePlace(shape.imagesAtOnce)
    let image = shape.output.count * shape.outChannels
    let target = try Scratch(bytes: shape.imagesAtOnce * image * 4)
    let residual = try epilogue.residual.map { _ in try Scratch(bytes: shape.imagesAtOnce * image * 4) }
    let size = dtype.size
    try shape.forEachBlock { first, block in
      let x = try widen(first, block.batch, into: source)
      var wide = epilogue
      if let from = epilogue.residual, let residual {
        parallelFor(block.batch * image, grain: ElementwiseProgram.grain) { start, end in
          load(from + (first * image + start) * size, 1, residual.pointer + start * 4, end - start)
        }
        wide.residual = UnsafeRawPointer(residual.pointer)
      }
      try convolutionForward(
        .float32, block, input: try x.pointer(), inputStrides: x.volumeStrides, weight: weight.pointer,
        epilogue: wide, output: target.pointer, prepared: prepared)
      parallelFor(block.batch * image, grain: ElementwiseProgram.grain) { start, end in
        store(target.pointer + start * 4, out + (first * image + start) * size, 1, end - start)
      }
    }
    withExtendedLifetime((weight, source, target, residual)) {}
  }

  /// From the gradient of the output (self).
  func narrowDataGradient(_ shape: ConvolutionShape, _ filter: UnsafeRawPointer, _ out: Tensor) throws {
    if let part = shape.kernelPart {
      let taps = try Scratch(bytes: part.shape.weightCount * dtype.size)
      part.gather(filter, of: shape, size: dtype.size, into: taps.pointer)
      return try narrowDataGradient(part.shape, taps.pointer, out)
    }
    switch way(.dataGradient, shape) {
    case .pairs(let pairs):
      try pairConvolutionDataGradient(
        pairs, shape, gradOutput: try pointer(), gradOutputStrides: volumeStrides, weight: filter,
        gradInput: try out.mutablePointer())
    case .winograd(let winograd):
      let dy = try withAdjacentChannels()
      let weight = try wide(filter, shape)
      try winograd.run(
        source: try dy.pointer(), strides: dy.volumeStrides, weight: weight.pointer, epilogue: ConvolutionEpilogue(),
        output: try out.mutablePointer())
      withExtendedLifetime((dy, weight)) {}
    case .widened:
      try noGrad { try widenedDataGradient(shape, filter, out) }
    }
  }

  private func widenedDataGradient(_ shape: ConvolutionShape, _ filter: UnsafeRawPointer, _ out: Tensor) throws {
    let w = try wide(filter, shape)
    let (source, target) = (try widePlace(shape.imagesAtOnce), try out.widePlace(shape.imagesAtOnce, isResult: true))
    try shape.forEachBlock { first, block in
      let (dy, dx) = (try widen(first, block.batch, into: source), try target.narrow(0, 0, block.batch))
      try SwiftNet.convolutionDataGradient(
        .float32, block, gradOutput: try dy.pointer(), gradOutputStrides: dy.volumeStrides, weight: w.pointer,
        gradInput: try dx.mutablePointer())
      try copyElements(from: dx, to: out.narrow(0, first, block.batch))
    }
    withExtendedLifetime(w) {}
  }

  /// From the input (self) and the gradient of the output; `out` is dense.
  func narrowWeightGradient(_ shape: ConvolutionShape, _ grad: Tensor, _ out: Tensor) throws {
    if let part = shape.kernelPart {
      let kernel = part.shape.kernel
      let taps = try Tensor(
        empty: [shape.outChannels, shape.groupInChannels, kernel.depth, kernel.height, kernel.width], dtype: dtype)
      try narrowWeightGradient(part.shape, grad, taps)
      return try part.scatter(try taps.pointer(), of: shape, size: dtype.size, into: try out.mutablePointer())
    }
    switch way(.weightGradient, shape) {
    case .pairs(let pairs) where shape.mergesWidth:
      let dw = try Tensor(empty: out.shape, dtype: .float32)
      try lineConvolutionWeightGradient(
        dtype, shape, input: try pointer(), inputStrides: volumeStrides, gradOutput: try grad.pointer(),
        gradOutputStrides: grad.volumeStrides, gradWeight: try dw.mutablePointer(), gradBias: nil,
        kernels: kernels.gemm.f32, pairs: pairs)
      return try noGrad { try copyElements(from: dw, to: out) }
    case .pairs(let pairs):
      return try pairConvolutionWeightGradient(
        pairs, kernels, shape, input: try pointer(), inputStrides: volumeStrides, gradOutput: try grad.pointer(),
        gradOutputStrides: grad.volumeStrides, gradWeight: try out.mutablePointer())
    case .winograd:
      guard let winograd = WinogradWeightGradient(dtype, shape, table: kernels) else { break }
      let (x, dy) = (try withAdjacentChannels(), try grad.withAdjacentChannels())
      let dw = try Tensor(empty: out.shape, dtype: .float32)
      try winograd.run(
        input: try x.pointer(), inputStrides: x.volumeStrides, gradOutput: try dy.pointer(),
        gradOutputStrides: dy.volumeStrides, gradWeight: try dw.mutablePointer(), gradBias: nil)
      return try noGrad { try copyElements(from: dw, to: out) }
    case .widened: break
    }
    try noGrad { try widenedWeightGradient(shape, grad, out) }
  }

  private func widenedWeightGradient(_ shape: ConvolutionShape, _ grad: Tensor, _ out: Tensor) throws {
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
