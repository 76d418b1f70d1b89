import KernelTypes

/// Max pooling. A convolution that still waits is computed some images at a time, which stay in the cache until they are
/// pooled. Without recording the pooling itself waits until somebody reads it.
struct PendingPool {
  /// Perhaps still to be computed; in the memory order of the plan.
  let input: Tensor
  let plan: PoolPlan

  func run(into output: UnsafeMutableRawPointer, marks: UnsafeMutableRawPointer? = nil) throws {
    let chain = PendingChain(images: plan.input[0])
    let source = try chain.source(input)
    let results = plan.output.dropFirst().reduce(1, *)
    guard let parts = chain.parts(imageBytes: results * input.dtype.size) else {
      return compute(plan.input[0], of: try input.pointer(), into: output, marks: marks)
    }
    try chain.run(parts) { images, part in
      let first = images.lowerBound * results
      compute(
        images.count, of: try part(source).pointer(), into: output + first * input.dtype.size,
        marks: marks.map { $0 + first * plan.shape.markSize })
    }
  }

  /// The same of some images.
  func compute(
    _ images: Int, of source: UnsafeRawPointer, into output: UnsafeMutableRawPointer,
    marks: UnsafeMutableRawPointer? = nil
  ) {
    plan.poolMaxima(source, output, marks, dtype: input.dtype, images: images)
  }
}

/// The gradient of max pooling's input, which waits until somebody reads it: the weight's gradient of a convolution reads
/// some images at a time, while they are in the cache.
final class PendingPoolGradient {
  /// In the memory order of the plan, as the marks.
  let gradient: Tensor
  let marks: Tensor
  let plan: PoolPlan

  init(gradient: Tensor, marks: Tensor, plan: PoolPlan) {
    (self.gradient, self.marks, self.plan) = (gradient, marks, plan)
  }

  func run(into output: UnsafeMutableRawPointer) throws { try run(0..<plan.input[0], into: output) }

  /// The gradients of some images, at the start of `output`.
  func run(_ images: Range<Int>, into output: UnsafeMutableRawPointer) throws {
    let size = gradient.dtype.size
    if gradient.count == 0 {
      memset(output, 0, plan.input.dropFirst().reduce(images.count, *) * size)
      return
    }
    let first = images.lowerBound * (gradient.count / plan.input[0])
    plan.poolGradients(
      try gradient.pointer() + first * size, try marks.pointer() + first * plan.shape.markSize, output,
      dtype: gradient.dtype, images: images.count)
  }

  /// nil if it is better computed at once.
  func waiting() throws -> Tensor? {
    guard Deferral.isEnabled, !ThreadState.current.isGradEnabled, gradient.count > 0, parts != nil else { return nil }
    let dtype = gradient.dtype, count = try Shape.count(plan.input)
    let program = ElementwiseProgram(lane: dtype.lane, leaves: [.tensor(gradient), .tensor(marks)], steps: [])
    guard program.canWait else { return nil }
    try MemoryPool.shared.checkPossible(count * dtype.size)
    try program.limitDepth()
    let recipe = ElementwiseRecipe(
      program: program, dtype: dtype, shape: plan.input, strides: plan.inputStrides, work: .poolGradient(self))
    let storage = Storage(byteCount: count * dtype.size, recipe: recipe)
    storage.isArranged = !Shape.isContiguous(plan.input, plan.inputStrides)
    return Tensor(
      storage: storage, dtype: dtype, shape: plan.input, strides: plan.inputStrides, offset: 0, count: count)
  }

  fileprivate var parts: ImageParts? {
    ImageParts(images: plan.input[0], bytes: plan.input.dropFirst().reduce(gradient.dtype.size, *))
  }
}

extension Tensor {
  /// The gradient of a convolution's weight from its input (self) and a gradient of its output that still waits for the
  /// backward of max pooling: some images at a time, whose sums are added in order. False if it does not wait for that.
  func weightGradientByImages(
    _ grad: Tensor, _ sizes: ConvolutionShape, to weight: Tensor, bias: Tensor?
  ) throws -> Bool {
    guard dtype == .float32, grad.memory.isDeferred else { return false }
    let sumCount = weight.count + (bias?.count ?? 0)
    return try grad.memory.whileComputing { recipe in
      guard let recipe, let pending = recipe.poolGradient, recipe.isAll(grad), let parts = pending.parts,
        parts.count * sumCount <= grad.count / 16
      else { return false }
      for tensor in [self, pending.gradient, pending.marks] { _ = try tensor.pointer() }
      let sums = try Scratch(bytes: parts.count * sumCount * 4)
      try parts.forEach { images in
        let gradients = try Scratch(bytes: grad.count / sizes.batch * images.count * 4)
        try pending.run(images, into: gradients.pointer)
        var part = sizes
        part.batch = images.count
        let sum = sums.of(Float.self) + images.lowerBound / parts.atOnce * sumCount
        try SwiftNet.convolutionWeightGradient(
          .float32, part, input: try pointer() + images.lowerBound * strides[0] * 4, inputStrides: volumeStrides,
          gradOutput: gradients.pointer, gradOutputStrides: grad.volumeStrides, gradWeight: sum,
          gradBias: bias == nil ? nil : UnsafeMutableRawPointer(sum + weight.count))
      }
      let total = sums.of(Float.self)
      for part in 1..<parts.count { for i in 0..<sumCount { total[i] += total[part * sumCount + i] } }
      try weight.mutablePointer().copyMemory(from: total, byteCount: weight.count * 4)
      if let bias { try bias.mutablePointer().copyMemory(from: total + weight.count, byteCount: bias.count * 4) }
      return true
    }
  }
}

extension Tensor {
  /// The largest elements of the windows, still to be computed; nil if they are better computed at once.
  func pendingPool(_ plan: PoolPlan) throws -> Tensor? {
    let count = try Shape.count(plan.output)
    guard Deferral.isEnabled, !ThreadState.current.isGradEnabled, count >= Deferral.threshold else { return nil }
    let input = try plan.laidOut(self, plan.inputStrides).waitingAlias()
    let program = ElementwiseProgram(lane: dtype.lane, leaves: [.tensor(input)], steps: [])
    guard program.canWait else { return nil }
    try MemoryPool.shared.checkPossible(count * dtype.size)
    try program.limitDepth()
    let recipe = ElementwiseRecipe(
      program: program, dtype: dtype, shape: plan.output, strides: plan.outputStrides,
      work: .pooling(PendingPool(input: input, plan: plan)))
    let storage = Storage(byteCount: count * dtype.size, recipe: recipe)
    storage.isArranged = !Shape.isContiguous(plan.output, plan.outputStrides)
    return Tensor(
      storage: storage, dtype: dtype, shape: plan.output, strides: plan.outputStrides, offset: 0, count: count)
  }
}
