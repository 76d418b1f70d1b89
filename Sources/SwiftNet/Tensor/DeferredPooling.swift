import KernelTypes
import Synchronization

/// Max pooling. A convolution that still waits, and of which it is the only reader, is computed some images at a time,
/// which stay in the cache until they are pooled. Without recording the pooling itself waits until somebody reads it: the
/// pooled images stay in the cache as well, if an elementwise program is all that reads them.
struct PendingPool {
  /// Perhaps still to be computed; in the memory order of the plan.
  let input: Tensor
  let plan: PoolPlan

  func run(into output: UnsafeMutableRawPointer, marks: UnsafeMutableRawPointer? = nil) throws {
    let imageSize = input.count / plan.input[0] * input.dtype.size
    let results = plan.output.dropFirst().reduce(1, *)
    let parts = ImageParts(images: plan.input[0], bytes: imageSize)
    let isDone = try parts.map { parts in
      try input.withSoleConvolution { convolution in
        try parts.forEach { images in
          let first = images.lowerBound * results
          try run(
            images, of: convolution, into: output + first * input.dtype.size,
            marks: marks.map { $0 + first * plan.shape.markSize })
        }
      }
    }
    if isDone == true { return }
    plan.poolMaxima(try input.pointer(), output, marks, dtype: input.dtype, images: plan.input[0])
  }

  /// Some images of a convolution, without the rest.
  func run(
    _ images: Range<Int>, of convolution: PendingConvolution, into output: UnsafeMutableRawPointer,
    marks: UnsafeMutableRawPointer? = nil
  ) throws {
    let room = try Scratch(bytes: input.count / plan.input[0] * images.count * input.dtype.size)
    try convolution.images(images).run(into: room.pointer)
    plan.poolMaxima(room.pointer, output, marks, dtype: input.dtype, images: images.count)
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

/// Images that are taken through several steps a few at a time. They depend on the sizes alone.
struct ImageParts {
  private let images: Int
  let atOnce: Int

  var count: Int { (images + atOnce - 1) / atOnce }

  /// nil if all of them fit into the cache.
  init?(images: Int, bytes: Int) {
    atOnce = max(1, (1 << 21) / max(1, bytes))
    if atOnce >= images { return nil }
    self.images = images
  }

  /// Each thread takes parts of its own, so that none waits for another between the steps; on the last parts, fewer than
  /// there are threads, all work together.
  func forEach(_ body: (Range<Int>) throws -> Void) throws {
    func part(_ index: Int) -> Range<Int> { index * atOnce..<min((index + 1) * atOnce, images) }
    let threads = ThreadPool.shared.threadCount
    let whole = count / threads * threads
    let failure = Mutex<(any Error)?>(nil)
    parallelFor(whole, grain: 1) { first, last in
      for index in first..<last {
        do {
          try body(part(index))
        } catch {
          failure.withLock { $0 = $0 ?? error }
        }
      }
    }
    if let error = failure.withLock({ $0 }) { throw error }
    for index in whole..<count { try body(part(index)) }
  }
}

extension PendingConvolution {
  /// Whether an image of the result is so much larger than the filters that these may as well be read for each.
  fileprivate var hasLargeImages: Bool {
    guard let filter else { return false }
    return shape.dropFirst().reduce(1, *) >= 16 * filter.weight.count
  }

  /// So that whoever computes some of the images finds numbers.
  fileprivate func completeOperands() throws {
    for case .tensor(let tensor) in operands { _ = try tensor.pointer() }
  }

  /// The same for some images.
  fileprivate func images(_ range: Range<Int>) throws -> PendingConvolution {
    let part = filter.map { filter in
      var sizes = filter.sizes
      sizes.batch = range.count
      return Filter(sizes: sizes, weight: filter.weight, bias: filter.bias, isTrained: filter.isTrained)
    }
    var steps = steps
    steps.residual = try steps.residual?.images(range)
    steps.mask = try steps.mask?.images(range)
    return PendingConvolution(
      filter: part, input: try input.images(range), shape: [range.count] + shape.dropFirst(), steps: steps)
  }
}

extension Tensor {
  /// The largest elements of the windows, still to be computed; nil if they are better computed at once.
  func pendingPool(_ plan: PoolPlan) throws -> Tensor? {
    let count = try Shape.count(plan.output)
    guard Deferral.isEnabled, !ThreadState.current.isGradEnabled, count >= Deferral.threshold else { return nil }
    let input = try plan.laidOut(self, plan.inputStrides).alias()
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

  /// Calls `body` with the convolution that this tensor waits for, if nothing else reads its result and its images are
  /// large; false if there is none. Nobody changes meanwhile what the convolution reads.
  fileprivate func withSoleConvolution(_ body: (PendingConvolution) throws -> Void) throws -> Bool {
    guard memory.isDeferred, isKnownUniquelyReferenced(&memory) else { return false }
    return try memory.whileComputing { recipe in
      guard let recipe, let convolution = recipe.convolution, recipe.isAll(self), convolution.hasLargeImages else {
        return false
      }
      try convolution.completeOperands()
      try body(convolution)
      return true
    }
  }

  /// Some of the first dimension, without recording.
  fileprivate func images(_ range: Range<Int>) throws -> Tensor {
    try alias(
      shape: [range.count] + shape.dropFirst(), offset: offset + range.lowerBound * strides[0],
      count: count / shape[0] * range.count)
  }
}

extension ElementwiseProgram {
  /// Where a leaf is a pooling of a convolution, and nothing else reads either: computes both, and the program, some images
  /// at a time. False if there is no such leaf.
  func runByImages(into output: Tensor) throws -> Bool {
    guard output.rank > 2, let index = solePooling(output.shape), case .tensor(let leaf) = leaves[index],
      let parts = ImageParts(images: output.shape[0], bytes: output.count / output.shape[0] * lane.size)
    else { return false }
    for (other, leaf) in leaves.enumerated() where other != index {
      if case .tensor(let tensor) = leaf { _ = try tensor.pointer() }
    }
    return try leaf.memory.whileComputing { recipe in
      guard let pool = recipe?.pooling else { return false }
      return try pool.input.withSoleConvolution { convolution in
        try parts.forEach { images in
          let sizes = [images.count] + output.shape.dropFirst()
          let pooled = try Tensor(empty: sizes, dtype: lane.dtype, strides: pool.plan.outputStrides)
          try pool.run(images, of: convolution, into: try pooled.mutablePointer())
          var part = self
          for (other, leaf) in leaves.enumerated() {
            guard case .tensor(let tensor) = leaf, tensor.rank == output.rank, tensor.shape[0] == output.shape[0] else {
              continue
            }
            part.leaves[other] = .tensor(other == index ? pooled : try tensor.images(images))
          }
          try part.run(into: try output.images(images))
        }
      }
    }
  }

  /// A leaf that is a pooling which nothing else reads.
  private func solePooling(_ shape: [Int]) -> Int? {
    for (index, leaf) in leaves.enumerated() {
      guard case .tensor(let tensor) = leaf, tensor.memory.isDeferred, tensor.shape == shape,
        tensor.dtype == lane.dtype, let recipe = tensor.memory.recipe, recipe.pooling != nil, recipe.isAll(tensor),
        isKnownUniquelyReferenced(&tensor.memory)
      else { continue }
      return index
    }
    return nil
  }
}
