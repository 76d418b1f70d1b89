import KernelTypes

/// The gradient of a convolution's weight where only some of the taps see anything but padding: the others have zeros, on
/// images of one place eight ninths of a 3×3 kernel. It waits until somebody reads all of it. An optimizer reads it piece
/// by piece, put together in the cache, so that the zeros are neither written to memory nor read back.
final class PendingTaps {
  /// The gradients of the taps that see something, those of each filter one after the other.
  private let taps: Tensor
  private let part: KernelPart
  private let whole: ConvolutionShape

  fileprivate init(_ taps: Tensor, _ part: KernelPart, of whole: ConvolutionShape) {
    (self.taps, self.part, self.whole) = (taps, part, whole)
  }

  func run(into output: UnsafeMutableRawPointer) throws {
    try part.scatter(try taps.pointer(), of: whole, size: taps.dtype.size, into: output)
  }

  /// A tensor that waits for these.
  fileprivate func waiting(_ shape: [Int]) throws -> Tensor {
    let dtype = taps.dtype, count = try Shape.count(shape)
    try MemoryPool.shared.checkPossible(count * dtype.size)
    let program = ElementwiseProgram(lane: dtype.lane, leaves: [.tensor(taps)], steps: [])
    let strides = Shape.contiguousStrides(shape)
    let recipe = ElementwiseRecipe(program: program, dtype: dtype, shape: shape, strides: strides, work: .taps(self))
    let storage = Storage(byteCount: count * dtype.size, recipe: recipe)
    return Tensor(storage: storage, dtype: dtype, shape: shape, strides: strides, offset: 0, count: count)
  }

  fileprivate func converted(to dtype: DType) throws -> PendingTaps {
    PendingTaps(try noGrad { try taps.to(dtype) }, part, of: whole)
  }

  /// Puts gradients together some filters at a time, and keeps the weight's taps, which the update has in the cache, for
  /// the next step.
  struct Reader {
    private let pending: PendingTaps
    private let taps: UnsafeRawPointer
    private let slots: ScratchSlots
    private let block: Int
    /// The weight's own taps.
    private let kept: Tensor?
    private let keptTaps: UnsafeMutableRawPointer?

    /// - Parameter keeps: whether the weight is updated where it lies.
    init(_ pending: PendingTaps, keeps: Bool) throws {
      self.pending = pending
      taps = try pending.taps.pointer()
      block = pending.part.block(pending.whole)
      slots = try ScratchSlots(bytes: block * pending.whole.kernel.count * pending.taps.dtype.size)
      // Without the memory for it the next step reads them anew.
      kept = keeps ? try? Tensor(empty: [pending.taps.count], dtype: pending.taps.dtype) : nil
      keptTaps = try kept?.mutablePointer()
    }

    /// Elements of so many whole filters that they end where a line of the cache does, about as many as are asked for.
    func elements(about count: Int) -> Int {
      let unit = 16 * pending.whole.kernel.count
      return max(count / unit, 1) * unit
    }

    /// Keeps the taps of some filters' elements, from a weight that is updated there.
    func keep(_ range: Range<Int>, of weight: UnsafeRawPointer) {
      guard let keptTaps else { return }
      let (size, taps) = (pending.taps.dtype.size, pending.whole.kernel.count)
      pending.part.collect(
        range.lowerBound / taps..<range.upperBound / taps, of: pending.whole, size: size,
        from: weight + range.lowerBound * size, into: keptTaps)
    }

    /// Called when all of a weight is updated.
    func finish(_ weight: Tensor) {
      if let kept { PreparedFilters.keepTaps(kept, pending.part.form, of: weight) }
    }

    /// Calls `body(gradients, first, count)` for one piece of a range of the elements after another.
    func forEachPiece(_ range: Range<Int>, _ body: (UnsafeMutableRawPointer, Int, Int) -> Void) {
      let (size, taps) = (pending.taps.dtype.size, pending.whole.kernel.count)
      slots.with { place in
        memset(place, 0, block * taps * size)
        var start = range.lowerBound
        while start < range.upperBound {
          let first = start / taps
          // Pieces end where lines of the cache do.
          let last = min((first + block) & ~15, (range.upperBound + taps - 1) / taps)
          pending.part.spread(first..<last, of: pending.whole, size: size, from: self.taps, into: place)
          let end = min(last * taps, range.upperBound)
          body(place + (start - first * taps) * size, start, end - start)
          start = end
        }
      }
    }
  }
}

extension Tensor {
  /// What this tensor waits for, if that is the taps of a kernel.
  var pendingTaps: PendingTaps? {
    guard let recipe = memory.recipe, recipe.isAll(self) else { return nil }
    return recipe.taps
  }

  /// The same in another dtype, if it waits for the taps of a kernel: it still waits.
  func convertedTaps(to dtype: DType) throws -> Tensor? {
    guard let pendingTaps, !ThreadState.current.isGradEnabled else { return nil }
    return try pendingTaps.converted(to: dtype).waiting(shape)
  }

  /// The gradient of a convolution's weight from its input (self) and the gradient of its output, where most taps see
  /// nothing but padding; `bias` receives that of the bias. nil if they see something, or if all is better computed at
  /// once.
  func gradientOfSeenTaps(
    _ grad: Tensor, _ sizes: ConvolutionShape, _ weight: [Int], bias: Tensor?
  ) throws -> Tensor? {
    guard Deferral.isEnabled, !ThreadState.current.isGradEnabled, sizes.weightCount >= Deferral.threshold,
      let part = sizes.kernelPart, part.shape.weightCount * 2 <= sizes.weightCount
    else { return nil }
    let kernel = part.shape.kernel
    let taps = try Tensor(
      empty: [sizes.outChannels, sizes.groupInChannels, kernel.depth, kernel.height, kernel.width], dtype: dtype)
    if dtype.isNarrow {
      try narrowWeightGradient(part.shape, grad, taps)
    } else {
      try SwiftNet.convolutionWeightGradient(
        dtype, part.shape, input: try pointer(), inputStrides: volumeStrides, gradOutput: try grad.pointer(),
        gradOutputStrides: grad.volumeStrides, gradWeight: try taps.mutablePointer(),
        gradBias: try bias?.mutablePointer())
    }
    return try PendingTaps(taps, part, of: sizes).waiting(weight)
  }
}
