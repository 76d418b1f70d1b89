import KernelTypes

/// A convolution that waits for what follows it. Without recording, its result is computed when somebody reads it; a
/// batch normalisation in evaluation, a residual and a ReLU that come before are done by the convolution itself, while
/// its results are in registers.
///
/// In half precision a batch normalisation in training waits in the same way, without a convolution: the same steps are
/// then done to its input in one pass, and so is the gradient of a ReLU.
final class PendingConvolution {
  /// What is multiplied, if anything.
  final class Filter {
    let sizes: ConvolutionShape
    let weight: Tensor
    /// Dense float32.
    let bias: Tensor?
    /// Whether the weight is being trained: then nothing is kept that was made of it.
    let isTrained: Bool

    init(sizes: ConvolutionShape, weight: Tensor, bias: Tensor?, isTrained: Bool) {
      (self.sizes, self.weight, self.bias, self.isTrained) = (sizes, weight, bias, isTrained)
    }
  }

  let filter: Filter?
  let input: Tensor
  /// The result's.
  let shape: [Int]
  let steps: Steps

  /// What is done to the results.
  struct Steps {
    /// Applied after the bias: one number per output channel.
    var scale: ChannelScale?
    /// Added after that; of the result's shape and strides.
    var residual: Tensor?
    /// A ReLU's output, where this is its gradient: of the result's shape and strides. Nothing follows it.
    var mask: Tensor?
    /// The last step.
    var relu = false
  }

  init(filter: Filter?, input: Tensor, shape: [Int], steps: Steps = Steps()) {
    self.filter = filter
    self.input = input
    self.shape = shape
    self.steps = steps
  }

  /// Everything that is read.
  var operands: [ElementwiseOperand] {
    var result = [ElementwiseOperand.tensor(input)]
    if let filter {
      result.append(.tensor(filter.weight))
      if let bias = filter.bias { result.append(.tensor(bias)) }
    }
    if let residual = steps.residual { result.append(.tensor(residual)) }
    if let mask = steps.mask { result.append(.tensor(mask)) }
    return result
  }

  /// What it reads may wait as well.
  func run(into output: UnsafeMutableRawPointer) throws {
    guard suitsParts, input.isDeferred || steps.residual?.isDeferred == true else { return try compute(into: output) }
    let chain = PendingChain(images: shape[0])
    let (source, residual) = (try chain.source(input), try steps.residual.map(chain.source))
    let imageBytes = shape.dropFirst().reduce(input.dtype.size, *)
    guard let parts = chain.parts(imageBytes: imageBytes) else { return try compute(into: output) }
    try completeParameters()
    try chain.run(parts) { images, part in
      try self.images(images, of: part(source), residual: residual.map(part))
        .compute(into: output + images.lowerBound * imageBytes)
    }
  }

  func compute(into output: UnsafeMutableRawPointer) throws {
    guard let filter else { return try runSteps(into: output) }
    let filters = filter.isTrained ? nil : PreparedFilters.of(filter.weight)
    if input.dtype.isNarrow {
      let weight = try noGrad { try filter.weight.contiguous() }
      try withEpilogue(filter) {
        try input.narrowForward(filter.sizes, try weight.pointer(), $0, output, prepared: filters)
      }
      return withExtendedLifetime(weight) {}
    }
    let weight = filter.weight
    let copy =
      weight.isContiguous
      ? nil
      : try PreparedFilters.get(filters, PreparedFilters.Form(.dense), bytes: 4 * weight.count) { copy in
        let dense = try noGrad { try weight.contiguous() }
        copy.copyMemory(from: try dense.pointer(), byteCount: 4 * weight.count)
      }
    let pointer = try copy.map { UnsafeRawPointer($0.pointer) } ?? weight.pointer()
    try withEpilogue(filter) {
      try convolutionForward(
        .float32, filter.sizes, input: try input.pointer(), inputStrides: input.volumeStrides, weight: pointer,
        epilogue: $0, output: output, prepared: filters)
    }
    withExtendedLifetime(copy) {}
  }

  /// The steps alone, on channels-last bfloat16.
  private func runSteps(into output: UnsafeMutableRawPointer) throws {
    try withRows { rows in
      parallelFor(rows.count, grain: max(1, (1 << 15) / rows.channels)) { first, last in
        rows.run(first, last, into: output)
      }
    }
  }

  /// What the steps alone read, to do them to some rows at a time.
  struct Rows {
    fileprivate let operands: NormalizeOperands
    fileprivate let relu: Bool
    fileprivate let size: Int
    let channels: Int
    let count: Int

    /// The rows from `first` to `last` into those of a result that is as large as the input.
    func run(_ first: Int, _ last: Int, into output: UnsafeMutableRawPointer) {
      let offset = first * channels * size
      var o = operands
      o.x += offset
      o.residual = o.residual.map { $0 + offset }
      o.mask = o.mask.map { $0 + offset }
      kernels.norm.normalizeNarrowRows(
        &o, relu, output + offset, MatrixShape(rows: last - first, columns: channels))
    }
  }

  /// Calls `body` with what is valid until it returns, or as long as this object if there is no scale.
  func withRows<R>(_ body: (Rows) throws -> R) throws -> R {
    let channels = shape[1]
    let (x, rest, positive) = (try input.pointer(), try steps.residual?.pointer(), try steps.mask?.pointer())
    return try scaled { scale, shift in
      try body(
        Rows(
          operands: NormalizeOperands(x: x, scale: scale, shift: shift, residual: rest, mask: positive),
          relu: steps.relu, size: input.dtype.size, channels: channels, count: input.count / channels))
    }
  }

  private func withEpilogue(_ filter: Filter, _ body: (ConvolutionEpilogue) throws -> Void) throws {
    try scaled { scale, shift in
      try body(
        ConvolutionEpilogue(
          bias: try filter.bias?.pointer(), scale: scale, shift: shift, residual: try steps.residual?.pointer(),
          relu: steps.relu))
    }
  }

  private func scaled<R>(_ body: (UnsafePointer<Float>?, UnsafePointer<Float>?) throws -> R) throws -> R {
    guard let scale = steps.scale else { return try body(nil, nil) }
    return try scale.withFloats { try body($0, $1) }
  }
}

extension Tensor {
  /// The result of a convolution that is to be computed later, or nil if it should be computed at once. While gradients
  /// are recorded nothing joins it; but one of few terms, which takes no longer than its results take into memory, waits for
  /// a pooling.
  func pendingConvolution(_ sizes: ConvolutionShape, _ weight: Tensor, _ bias: Tensor?, _ shape: [Int]) throws
    -> Tensor?
  {
    let count = try Shape.count(shape)
    guard dtype == .float32 || dtype.isNarrow, Deferral.isEnabled, count > 0 else { return nil }
    let isTrained = ThreadState.current.isGradEnabled
    if isTrained {
      guard dtype == .float32, sizes.groups == 1, sizes.inChannels * sizes.kernel.count <= 64,
        ImageParts(images: shape[0], bytes: count / shape[0] * dtype.size) != nil
      else { return nil }
    }
    let filter = PendingConvolution.Filter(
      sizes: sizes, weight: try weight.alias(), bias: try noGrad { try bias?.to(.float32).contiguous().alias() },
      isTrained: isTrained)
    let pending = PendingConvolution(filter: filter, input: try waitingAlias(), shape: shape)
    // What this one reads waits with it if both are computed by images; else nothing joins that any more.
    if isTrained || !pending.suitsParts || !isStepOfChain { _ = try pointer() }
    return try Tensor.waiting(pending, strides: Shape.channelsLastStrides(shape))
  }

  /// nil if something outside of this library may change what it reads.
  private static func waiting(_ pending: PendingConvolution, strides: [Int]) throws -> Tensor? {
    let shape = pending.shape
    let program = ElementwiseProgram(lane: .f32, leaves: pending.operands, steps: [])
    guard program.canWait else { return nil }
    let count = try Shape.count(shape)
    let dtype = pending.input.dtype
    try MemoryPool.shared.checkPossible(dtype.size * count)
    try program.limitDepth()
    let recipe = ElementwiseRecipe(
      program: program, dtype: dtype, shape: shape, strides: strides, work: .convolution(pending))
    let storage = Storage(byteCount: dtype.size * count, recipe: recipe)
    storage.isArranged = !Shape.isContiguous(shape, strides)
    return Tensor(storage: storage, dtype: dtype, shape: shape, strides: strides, offset: 0, count: count)
  }

  /// The result of the convolution that this tensor waits for with one more step; nil if there is no such convolution, or
  /// `change` returns false. Only one step may be added to each result: a second reader needs the numbers.
  private func joining(_ change: (inout PendingConvolution.Steps) -> Bool) throws -> Tensor? {
    try memory.takingRecipe { recipe in
      guard let recipe, let pending = recipe.convolution,
        pending.filter == nil || !ThreadState.current.isGradEnabled, !pending.steps.relu, pending.steps.mask == nil,
        recipe.isAll(self), recipe.uses.load(ordering: .relaxed) == 0
      else { return nil }
      var steps = pending.steps
      guard change(&steps) else { return nil }
      let changed = PendingConvolution(
        filter: pending.filter, input: pending.input, shape: pending.shape, steps: steps)
      guard let result = try Tensor.waiting(changed, strides: strides) else { return nil }
      recipe.uses.add(1, ordering: .relaxed)
      return result
    }
  }

  /// This tensor times scale plus shift for each channel, done by the convolution that it waits for.
  func joiningScale(_ scale: ChannelScale) throws -> Tensor? {
    try joining { steps in
      if steps.scale != nil || steps.residual != nil { return false }
      steps.scale = scale
      return true
    }
  }

  /// This tensor times scale plus shift for each channel, to be computed later in one pass with what follows; nil where
  /// there is no kernel for that.
  func waitingForSteps(_ scale: ChannelScale) throws -> Tensor? {
    guard canTakeSteps else { return nil }
    // Complete now: its own steps are not done twice.
    _ = try pointer()
    let pending = PendingConvolution(
      filter: nil, input: try alias(), shape: shape, steps: PendingConvolution.Steps(scale: scale))
    return try Tensor.waiting(pending, strides: strides)
  }

  /// Large, and channels-last bfloat16.
  private var canTakeSteps: Bool {
    guard dtype == .bfloat16, Deferral.isEnabled, count >= Deferral.threshold, rank > 2, isWhole else { return false }
    if case .rows? = channelLayout { return true }
    return false
  }

  /// The gradient of a ReLU whose output is `y` from this one's, to be computed later; if this one is a sum of two that
  /// nobody has asked for, in the same pass.
  private func waitingForMask(_ y: Tensor) throws -> Tensor? {
    guard canTakeSteps, isLike(y) else { return nil }
    let terms = memory.takingRecipe { recipe -> (Tensor, Tensor)? in
      guard let recipe, recipe.isElementwise, recipe.isAll(self), !memory.isSpread,
        recipe.uses.load(ordering: .relaxed) == 0, let (a, b) = recipe.program.sum, isLike(a), isLike(b)
      else { return nil }
      return (a, b)
    }
    let (input, residual) = terms ?? (self, nil)
    _ = try (input.pointer(), residual?.pointer())
    let pending = PendingConvolution(
      filter: nil, input: try input.alias(), shape: shape,
      steps: PendingConvolution.Steps(residual: try residual?.alias(), mask: try y.alias()))
    return try Tensor.waiting(pending, strides: strides)
  }

  private func joiningRelu() throws -> Tensor? {
    try joining { steps in
      steps.relu = true
      return true
    }
  }

  private func joiningResidual(_ other: Tensor) throws -> Tensor? {
    guard memory.isDeferred, other.shape == shape, other.strides == strides, other.dtype == dtype,
      other.memory !== memory
    else { return nil }
    let residual = try other.waitingAlias()
    return try joining { steps in
      if steps.residual != nil { return false }
      steps.residual = residual
      return true
    }
  }

  /// An elementwise operation, done by the convolution that an operand waits for, if one does.
  static func joiningConvolution(
    _ op: ElementwiseOp, _ operands: [ElementwiseOperand], _ scalars: Scalars
  ) throws -> Tensor? {
    guard case .tensor(let a)? = operands.first, a.memory.isDeferred || operands.count > 1 else { return nil }
    switch op {
    case .relu: return try a.joiningRelu()
    case .thresholdBackward:
      guard case .tensor(let y) = operands[1], scalars.p == 0 else { return nil }
      return try a.waitingForMask(y)
    case .add:
      guard case .tensor(let b) = operands[1], scalars.p == 1 else { return nil }
      return try a.joiningResidual(b) ?? b.joiningResidual(a)
    default: return nil
    }
  }
}
