/// A convolution that waits for what follows it. Without recording, its result is computed when somebody reads it; a
/// batch normalisation in evaluation, a residual and a ReLU that come before are done by the convolution itself, while
/// its results are in registers.
struct PendingConvolution {
  let sizes: ConvolutionShape
  let input: Tensor
  let weight: Tensor
  /// Dense float32.
  let bias: Tensor?
  /// Applied after the bias: one number per output channel.
  var scale: [Float]?
  var shift: [Float] = []
  /// Added after that; of the result's shape and strides.
  var residual: Tensor?
  /// The last step.
  var relu = false

  /// Everything that is read.
  var operands: [Tensor] { [input, weight] + [bias, residual].compactMap { $0 } }

  func run(into output: UnsafeMutableRawPointer) throws {
    let filters = PreparedFilters.of(weight)
    let filter =
      weight.isContiguous
      ? nil
      : try PreparedFilters.get(filters, [3], bytes: 4 * weight.count) { copy in
        let dense = try noGrad { try weight.contiguous() }
        copy.copyMemory(from: try dense.pointer(), byteCount: 4 * weight.count)
      }
    let pointer = try filter.map { UnsafeRawPointer($0.pointer) } ?? weight.pointer()
    try scaled { scale, shift in
      let epilogue = ConvolutionEpilogue(
        bias: try bias?.pointer(), scale: scale, shift: shift, residual: try residual?.pointer(), relu: relu)
      try convolutionForward(
        .float32, sizes, input: try input.pointer(), inputStrides: input.volumeStrides, weight: pointer,
        epilogue: epilogue, output: output, prepared: filters)
    }
    withExtendedLifetime(filter) {}
  }

  private func scaled(_ body: (UnsafePointer<Float>?, UnsafePointer<Float>?) throws -> Void) throws {
    guard let scale else { return try body(nil, nil) }
    try scale.withUnsafeBufferPointer { scale in
      try shift.withUnsafeBufferPointer { try body(scale.baseAddress, $0.baseAddress) }
    }
  }
}

extension Tensor {
  /// The result of a convolution that is to be computed later, or nil if it should be computed at once.
  func pendingConvolution(_ sizes: ConvolutionShape, _ weight: Tensor, _ bias: Tensor?, _ shape: [Int]) throws
    -> Tensor?
  {
    let count = try Shape.count(shape)
    guard dtype == .float32, Deferral.isEnabled, !ThreadState.current.isGradEnabled, count >= Deferral.threshold
    else { return nil }
    // What this one reads is complete now: nothing joins it any more.
    _ = try pointer()
    let pending = PendingConvolution(
      sizes: sizes, input: try alias(), weight: try weight.alias(), bias: try noGrad { try bias?.contiguous() })
    let strides = Shape.channelsLastStrides(shape)
    return try Tensor.waiting(pending, shape: shape, strides: strides)
  }

  /// nil if something outside of this library may change what it reads.
  private static func waiting(_ pending: PendingConvolution, shape: [Int], strides: [Int]) throws -> Tensor? {
    let leaves = try pending.operands.map { ElementwiseOperand.tensor(try $0.alias()) }
    let program = ElementwiseProgram(lane: .f32, leaves: leaves, steps: [])
    guard program.canWait else { return nil }
    let count = try Shape.count(shape)
    try MemoryPool.shared.checkPossible(4 * count)
    let recipe = ElementwiseRecipe(
      program: program, dtype: .float32, shape: shape, strides: strides, convolution: pending)
    let storage = Storage(byteCount: 4 * count, recipe: recipe)
    storage.isArranged = !Shape.isContiguous(shape, strides)
    return Tensor(storage: storage, dtype: .float32, shape: shape, strides: strides, offset: 0, count: count)
  }

  /// The convolution that this tensor waits for, if it can take one more step. Only one may be added to each result: a
  /// second reader needs the numbers.
  private func openConvolution() -> PendingConvolution? {
    guard !ThreadState.current.isGradEnabled, let recipe = memory.recipe, let pending = recipe.convolution,
      !pending.relu, offset == 0, shape == recipe.shape, strides == recipe.strides,
      recipe.uses.load(ordering: .relaxed) == 0
    else { return nil }
    return pending
  }

  private func joined(_ pending: PendingConvolution) throws -> Tensor? {
    let recipe = memory.recipe
    guard let result = try Tensor.waiting(pending, shape: shape, strides: strides) else { return nil }
    recipe?.uses.add(1, ordering: .relaxed)
    return result
  }

  /// This tensor times scale plus shift for each channel, done by the convolution that it waits for.
  func joiningScale(_ scale: [Double], _ shift: [Double]) throws -> Tensor? {
    guard var pending = openConvolution(), pending.scale == nil, pending.residual == nil else { return nil }
    pending.scale = scale.map { Float($0) }
    pending.shift = shift.map { Float($0) }
    return try joined(pending)
  }

  private func joiningRelu() throws -> Tensor? {
    guard var pending = openConvolution() else { return nil }
    pending.relu = true
    return try joined(pending)
  }

  private func joiningResidual(_ other: Tensor) throws -> Tensor? {
    guard other.shape == shape, other.strides == strides, other.dtype == .float32, other.memory !== memory,
      var pending = openConvolution(), pending.residual == nil
    else { return nil }
    pending.residual = try other.alias()
    return try joined(pending)
  }

  /// An elementwise operation, done by the convolution that an operand waits for, if one does.
  static func joiningConvolution(
    _ op: ElementwiseOp, _ operands: [ElementwiseOperand], _ scalars: Scalars
  ) throws -> Tensor? {
    guard case .tensor(let a)? = operands.first, a.memory.isDeferred || operands.count > 1 else { return nil }
    switch op {
    case .relu: return try a.joiningRelu()
    case .add:
      guard case .tensor(let b) = operands[1], scalars.p == 1 else { return nil }
      return try a.joiningResidual(b) ?? b.joiningResidual(a)
    default: return nil
    }
  }
}
