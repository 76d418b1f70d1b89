import KernelTypes

/// The gradient of the input of a convolution where that input is several tensors joined by their channels: each of them
/// reads its own channels of the gradient, which are computed then. The whole, as large as all of them, is never there.
struct PendingDataGradient {
  private let gradient: Tensor
  private let weight: Tensor
  /// The convolution of all channels.
  private let whole: ConvolutionShape
  /// The channels of its input that are asked for.
  private let channels: Range<Int>

  fileprivate init(_ gradient: Tensor, _ weight: Tensor, _ whole: ConvolutionShape, channels: Range<Int>) {
    (self.gradient, self.weight, self.whole, self.channels) = (gradient, weight, whole, channels)
  }

  func run(into output: UnsafeMutableRawPointer) throws {
    var part = whole
    part.inChannels = channels.count
    let taps = whole.kernel.count
    let (source, strides) = (try gradient.pointer(), gradient.volumeStrides)
    let filters = try weight.pointer() + channels.lowerBound * taps * 4
    if let winograd = WinogradConvolution(
      .float32, part, gradient: true, table: kernels, filterChannels: whole.inChannels)
    {
      return try winograd.run(
        source: source, strides: strides, weight: filters, epilogue: ConvolutionEpilogue(), output: output)
    }
    // The algorithm has been switched off since.
    let own = try Scratch(bytes: part.weightCount * 4)
    for filter in 0..<whole.outChannels {
      (own.pointer + filter * channels.count * taps * 4).copyMemory(
        from: filters + filter * whole.inChannels * taps * 4, byteCount: channels.count * taps * 4)
    }
    try convolutionDataGradient(
      .float32, part, gradOutput: source, gradOutputStrides: strides, weight: own.pointer, gradInput: output)
  }

  /// A tensor that waits for these channels.
  fileprivate func waiting() throws -> Tensor? {
    let program = ElementwiseProgram(lane: .f32, leaves: [.tensor(gradient), .tensor(weight)], steps: [])
    guard program.canWait else { return nil }
    try program.limitDepth()
    let input = whole.input
    let sizes = [whole.batch, channels.count] + input.all.suffix(gradient.rank - 2)
    let (strides, count) = (Shape.channelsLastStrides(sizes), try Shape.count(sizes))
    try MemoryPool.shared.checkPossible(count * 4)
    let recipe = ElementwiseRecipe(
      program: program, dtype: .float32, shape: sizes, strides: strides, work: .dataGradient(self))
    let storage = Storage(byteCount: count * 4, recipe: recipe)
    storage.isArranged = true
    return Tensor(storage: storage, dtype: .float32, shape: sizes, strides: strides, offset: 0, count: count)
  }

  fileprivate func waiting(for channels: Range<Int>) throws -> Tensor? {
    let first = self.channels.lowerBound
    return try PendingDataGradient(
      gradient, weight, whole, channels: first + channels.lowerBound..<first + channels.upperBound
    ).waiting()
  }
}

extension Tensor {
  /// The gradient of a convolution's input from that of its output (self), for an input of joined tensors; nil if it is
  /// better computed at once. By Winograd's algorithm only: others would have to gather the filters of a part.
  func waitingDataGradient(_ weight: Tensor, _ options: ConvolutionOptions, _ input: [Int]) throws -> Tensor? {
    let sizes = ConvolutionShape(input: input, weight: weight.shape, output: shape, options)
    guard Deferral.isEnabled, !ThreadState.current.isGradEnabled, dtype == .float32, weight.isContiguous,
      sizes.groups == 1, sizes.inputPixels * sizes.inChannels >= 1 << 20, sizes.kernelPart == nil,
      WinogradConvolution(.float32, sizes, gradient: true, table: kernels) != nil
    else { return nil }
    return try PendingDataGradient(
      try alias(), try weight.alias(), sizes, channels: 0..<sizes.inChannels
    ).waiting()
  }

  /// Some channels of a gradient that waits for its convolution, which wait for theirs; nil for other tensors. To be asked
  /// for all channels, in few parts: each transforms the gradient of the output anew.
  func waitingChannels(_ channels: Range<Int>) throws -> Tensor? {
    try memory.takingRecipe { recipe in
      guard let recipe, let pending = recipe.dataGradient, recipe.isAll(self) else { return nil }
      return try pending.waiting(for: channels)
    }
  }
}
