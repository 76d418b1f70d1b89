import CIntrinsics
import KernelTypes

/// Convolution with any strides (elements; N, C, D, H, W) of the input. The weight is contiguous (O, I/groups,
/// D, H, W), the output dense and channels-last (N, D, H, W, C).
///
/// - Parameter key: under what the convolution is kept with the prepared filters; its own sizes if nil.
func convolutionForward(
  _ type: DType, _ shape: ConvolutionShape, input: UnsafeRawPointer, inputStrides: [Int],
  weight: UnsafeRawPointer, epilogue: ConvolutionEpilogue, output: UnsafeMutableRawPointer,
  prepared: PreparedFilters? = nil, key: ConvolutionKey? = nil, using table: KernelTable = kernels
) throws {
  if shape.outputPixels == 0 || shape.outChannels == 0 { return }
  let key = key ?? prepared.map { _ in ConvolutionKey(type: type, shape: shape, strides: inputStrides) }
  if let key, let known = prepared?.convolution(key) {
    let source = try ChannelsLast(
      input, type: type, kernels: known.sizes.kernels, batch: shape.batch, channels: shape.inChannels,
      extents: shape.input, strides: inputStrides, slack: false)
    return try known.run(source: source, weight: weight, epilogue: epilogue, output: output)
  }
  let kernels = try productKernels(type, table)
  if let part = shape.kernelPart {
    let taps = try PreparedFilters.get(prepared, part.form, bytes: part.shape.weightCount * type.size) {
      part.gather(weight, of: shape, size: type.size, into: $0)
    }
    return try convolutionForward(
      type, part.shape, input: input, inputStrides: inputStrides, weight: taps.pointer, epilogue: epilogue,
      output: output, prepared: prepared, key: key, using: table)
  }
  if let winograd = WinogradConvolution(type, shape, gradient: false, table: table) {
    return try winograd.run(
      source: input, strides: inputStrides, weight: weight, epilogue: epilogue, output: output, prepared: prepared)
  }
  if let strided = StridedWinograd(type, shape, gradient: false, table: table) {
    return try strided.run(
      source: input, strides: inputStrides, weight: weight, epilogue: epilogue, output: output, prepared: prepared)
  }
  if let groups = GroupConvolution(type, shape, kernels: kernels) {
    return try groups.run(
      source: input, strides: inputStrides, weight: weight, epilogue: epilogue, output: output, prepared: prepared)
  }
  if shape.mergesWidth {
    return try lineConvolutionForward(
      type, shape, input: input, inputStrides: inputStrides, weight: weight, epilogue: epilogue,
      output: output, prepared: prepared, kernels: kernels)
  }
  try rowConvolutionForward(
    type, shape, input: input, inputStrides: inputStrides, weight: weight, epilogue: epilogue, output: output,
    prepared: prepared, key: key, kernels: kernels)
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
  if let part = shape.kernelPart {
    let taps = try Scratch(bytes: part.shape.weightCount * type.size)
    part.gather(weight, of: shape, size: type.size, into: taps.pointer)
    return try convolutionDataGradient(
      type, part.shape, gradOutput: gradOutput, gradOutputStrides: gradOutputStrides, weight: taps.pointer,
      gradInput: gradInput, using: table)
  }
  if let winograd = WinogradConvolution(type, shape, gradient: true, table: table) {
    return try winograd.run(
      source: gradOutput, strides: gradOutputStrides, weight: weight, epilogue: ConvolutionEpilogue(),
      output: gradInput)
  }
  if let strided = StridedWinograd(type, shape, gradient: true, table: table) {
    return try strided.run(
      source: gradOutput, strides: gradOutputStrides, weight: weight, epilogue: ConvolutionEpilogue(),
      output: gradInput)
  }
  if let groups = GroupConvolution(type, shape, gradient: true, kernels: kernels) {
    return try groups.run(
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
  if let part = shape.kernelPart {
    let taps = try Scratch(bytes: part.shape.weightCount * type.size)
    try convolutionWeightGradient(
      type, part.shape, input: input, inputStrides: inputStrides, gradOutput: gradOutput,
      gradOutputStrides: gradOutputStrides, gradWeight: taps.pointer, gradBias: gradBias, using: table)
    return try part.scatter(taps.pointer, of: shape, size: type.size, into: gradWeight)
  }
  if let winograd = WinogradWeightGradient(type, shape, table: table) {
    return try winograd.run(
      input: input, inputStrides: inputStrides, gradOutput: gradOutput, gradOutputStrides: gradOutputStrides,
      gradWeight: gradWeight, gradBias: gradBias)
  }
  if let strided = StridedWinograd(type, shape, gradient: false, table: table), strided.sumsFit {
    return try strided.weightGradient(
      input: input, inputStrides: inputStrides, gradOutput: gradOutput, gradOutputStrides: gradOutputStrides,
      gradWeight: gradWeight, gradBias: gradBias)
  }
  if let groups = GroupConvolution(type, shape, kernels: kernels) {
    return try groups.weightGradient(
      input: input, inputStrides: inputStrides, gradOutput: gradOutput, gradOutputStrides: gradOutputStrides,
      gradWeight: gradWeight, gradBias: gradBias)
  }
  if shape.mergesWidth {
    return try lineConvolutionWeightGradient(
      type, shape, input: input, inputStrides: inputStrides, gradOutput: gradOutput,
      gradOutputStrides: gradOutputStrides, gradWeight: gradWeight, gradBias: gradBias, kernels: kernels)
  }
  if try pointwiseWeightGradient(
    type, shape, input: input, inputStrides: inputStrides, gradOutput: gradOutput,
    gradOutputStrides: gradOutputStrides, gradWeight: gradWeight, gradBias: gradBias, table: table)
  {
    return
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

/// The taps of a kernel that see more than padding: on images of one pixel the middle one of nine.
struct KernelPart {
  /// The convolution with these taps only.
  var shape: ConvolutionShape
  /// The first of them.
  var first: Extents

  var form: PreparedFilters.Form {
    PreparedFilters.Form(
      .part, [first.depth, first.height, first.width, shape.kernel.depth, shape.kernel.height, shape.kernel.width])
  }

  /// Copies the taps of `count` filters: from their places in the whole kernel to those in the part, or back.
  private func copyTaps<T>(
    _ count: Int, of whole: ConvolutionShape, from: UnsafePointer<T>, to: UnsafeMutablePointer<T>, gathering: Bool
  ) {
    let (part, full) = (shape.kernel, whole.kernel)
    let firstTap = (first.depth * full.height + first.height) * full.width + first.width
    let (step, partStep) = (full.count, part.count)
    for d in 0..<part.depth {
      for h in 0..<part.height {
        for w in 0..<part.width {
          let inWhole = firstTap + (d * full.height + h) * full.width + w
          let inPart = (d * part.height + h) * part.width + w
          if gathering {
            for filter in 0..<count { to[filter &* partStep &+ inPart] = from[filter &* step &+ inWhole] }
          } else {
            for filter in 0..<count { to[filter &* step &+ inWhole] = from[filter &* partStep &+ inPart] }
          }
        }
      }
    }
  }

  @inline(never)
  private func copyTaps(
    _ count: Int, of whole: ConvolutionShape, size: Int, from: UnsafeRawPointer, to: UnsafeMutableRawPointer,
    gathering: Bool
  ) {
    func run<T>(_: T.Type) {
      copyTaps(
        count, of: whole, from: from.assumingMemoryBound(to: T.self), to: to.assumingMemoryBound(to: T.self),
        gathering: gathering)
    }
    switch size {
    case 2: run(UInt16.self)
    case 4: run(UInt32.self)
    default: run(UInt64.self)
    }
  }

  /// Puts the taps of some filters to their places in whole ones, the first of which is at `place`.
  func spread(
    _ filters: Range<Int>, of whole: ConvolutionShape, size: Int, from taps: UnsafeRawPointer,
    into place: UnsafeMutableRawPointer
  ) {
    copyTaps(
      filters.count, of: whole, size: size, from: taps + filters.lowerBound * shape.kernel.count * size, to: place,
      gathering: false)
  }

  /// The way back: takes the taps of some filters from whole ones, the first of which is at `place`.
  func collect(
    _ filters: Range<Int>, of whole: ConvolutionShape, size: Int, from place: UnsafeRawPointer,
    into taps: UnsafeMutableRawPointer
  ) {
    copyTaps(
      filters.count, of: whole, size: size, from: place, to: taps + filters.lowerBound * shape.kernel.count * size,
      gathering: true)
  }

  /// Filters whose taps are copied at a time, which stay in the first-level cache meanwhile.
  func block(_ whole: ConvolutionShape) -> Int { 16 * max(1, 256 / whole.kernel.count) }

  func gather(
    _ weight: UnsafeRawPointer, of whole: ConvolutionShape, size: Int, into taps: UnsafeMutableRawPointer
  ) {
    let filters = shape.outChannels * shape.groupInChannels
    let block = block(whole)
    parallelFor(filters, grain: 16 * block) { start, end in
      for filter in stride(from: start, to: end, by: block) {
        collect(
          filter..<min(filter + block, end), of: whole, size: size, from: weight + filter * whole.kernel.count * size,
          into: taps)
      }
    }
  }

  /// The other taps get zeros. Filters are put together in the cache, where the zeros stay between the taps; a megabyte
  /// and more goes past it from there, since it is read much later.
  func scatter(
    _ taps: UnsafeRawPointer, of whole: ConvolutionShape, size: Int, into weight: UnsafeMutableRawPointer
  ) throws {
    let filters = shape.outChannels * shape.groupInChannels
    let block = block(whole)
    let filterBytes = whole.kernel.count * size
    let isLarge = filters * filterBytes >= 1 << 20
    let slots = try ScratchSlots(bytes: block * filterBytes)
    parallelFor(filters, grain: 16 * block) { start, end in
      slots.with { place in
        memset(place, 0, block * filterBytes)
        for filter in stride(from: start, to: end, by: block) {
          let count = min(block, end - filter)
          spread(filter..<filter + count, of: whole, size: size, from: taps, into: place)
          let target = weight + filter * filterBytes
          if isLarge {
            sn_stream_copy(target, place, count * filterBytes)
          } else {
            target.copyMemory(from: place, byteCount: count * filterBytes)
          }
        }
      }
      if isLarge { sn_stream_fence() }
    }
  }
}

extension ConvolutionShape {
  var weightCount: Int { outChannels * groupInChannels * kernel.count }

  /// nil if every tap sees some of the input.
  var kernelPart: KernelPart? {
    if padding == Extents(0, 0, 0) { return nil }
    /// The taps along an axis that see anything. (Called for every convolution: no key paths, no arrays.)
    func seeing(
      _ taps: Int, input: Int, output: Int, stride: Int, padding: Int, dilation: Int
    ) -> ClosedRange<Int>? {
      var range: ClosedRange<Int>?
      for tap in 0..<taps {
        let offset = tap * dilation - padding
        // The first place whose tap is not before the input.
        let place = offset >= 0 ? 0 : (stride - 1 - offset) / stride
        guard place < output, place * stride + offset < input else { continue }
        range = (range?.lowerBound ?? tap)...tap
      }
      return range
    }
    guard
      let depth = seeing(
        kernel.depth, input: input.depth, output: output.depth, stride: stride.depth, padding: padding.depth,
        dilation: dilation.depth),
      let height = seeing(
        kernel.height, input: input.height, output: output.height, stride: stride.height, padding: padding.height,
        dilation: dilation.height),
      let width = seeing(
        kernel.width, input: input.width, output: output.width, stride: stride.width, padding: padding.width,
        dilation: dilation.width)
    else { return nil }
    if depth.count == kernel.depth, height.count == kernel.height, width.count == kernel.width { return nil }
    var part = self
    part.kernel = Extents(depth.count, height.count, width.count)
    let first = Extents(depth.lowerBound, height.lowerBound, width.lowerBound)
    part.padding = Extents(
      padding.depth - first.depth * dilation.depth, padding.height - first.height * dilation.height,
      padding.width - first.width * dilation.width)
    // A negative padding would mean that the first places of the input are seen by no tap.
    if min(part.padding.depth, part.padding.height, part.padding.width) < 0 { return nil }
    return KernelPart(shape: part, first: first)
  }
}
