import KernelTypes
import Synchronization

/// Max pooling that waits until somebody reads it, without recording. Then a convolution of which it is the only reader is
/// computed some images at a time, which stay in the cache until they are pooled; so are the pooled images, if an
/// elementwise program is all that reads them.
struct PendingPool {
  /// Perhaps still to be computed; in the memory order of the plan.
  let input: Tensor
  let plan: PoolPlan

  func run(into output: UnsafeMutableRawPointer) throws {
    let imageSize = input.count / plan.input[0] * input.dtype.size
    let resultSize = plan.output.dropFirst().reduce(1, *) * input.dtype.size
    let parts = ImageParts(images: plan.input[0], bytes: imageSize)
    let isDone = try parts.map { parts in
      try input.withSoleConvolution { convolution in
        try parts.forEach { images in try run(images, of: convolution, into: output + images.lowerBound * resultSize) }
      }
    }
    if isDone == true { return }
    plan.poolMaxima(try input.pointer(), output, nil, dtype: input.dtype, images: plan.input[0])
  }

  /// Some images of a convolution, without the rest.
  func run(_ images: Range<Int>, of convolution: PendingConvolution, into output: UnsafeMutableRawPointer) throws {
    let room = try Scratch(bytes: input.count / plan.input[0] * images.count * input.dtype.size)
    try convolution.images(images).run(into: room.pointer)
    plan.poolMaxima(room.pointer, output, nil, dtype: input.dtype, images: images.count)
  }
}

/// Images that are taken through several steps a few at a time. They depend on the sizes alone.
private struct ImageParts {
  let images: Int
  let atOnce: Int

  /// nil if all of them fit into the cache.
  init?(images: Int, bytes: Int) {
    atOnce = max(1, (1 << 21) / max(1, bytes))
    if atOnce >= images { return nil }
    self.images = images
  }

  /// Each thread takes parts of its own, so that none waits for another between the steps; on the last parts, fewer than
  /// there are threads, all work together.
  func forEach(_ body: (Range<Int>) throws -> Void) throws {
    let count = (images + atOnce - 1) / atOnce
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
      return Filter(sizes: sizes, weight: filter.weight, bias: filter.bias)
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
