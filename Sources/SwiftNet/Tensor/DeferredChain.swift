import CIntrinsics
import KernelTypes
import Synchronization

/// Convolutions and poolings that wait for each other, computed for the one who reads the last of them: each thread takes
/// some images at a time through all steps. What one step hands to the next stays in the cache, and no thread waits for
/// another in between. Only what others read as well is in memory as a whole.
final class PendingChain {
  /// What a step reads.
  enum Source {
    /// The result of an earlier step.
    case step(Int)
    /// Numbers that are there, for all images.
    case whole(Tensor)
  }

  private struct Step {
    /// What the following steps read.
    let result: Tensor
    let recipe: ElementwiseRecipe
    let sources: [Source]
    /// How many sources are this result.
    var reads = 0
    /// The last step that reads it; none is behind the reader of the chain.
    var last = 0

    var imageBytes: Int { result.count / result.shape[0] * result.dtype.size }

    func run(_ images: Range<Int>, _ inputs: [Tensor], into output: UnsafeMutableRawPointer) throws {
      if let convolution = recipe.convolution {
        try convolution.images(images, of: inputs[0], residual: inputs.dropFirst().first).compute(into: output)
      } else if let pooling = recipe.pooling {
        pooling.compute(images.count, of: try inputs[0].pointer(), into: output)
      }
    }
  }

  private let images: Int
  private var steps: [Step] = []
  private var places: [ObjectIdentifier: Int] = [:]

  init(images: Int) { self.images = images }

  deinit { for step in steps { step.result.memory.endTaking(step.recipe) } }

  /// What the reader of the chain reads: the result of a step if the tensor waits for one, or else complete.
  func source(_ tensor: Tensor) throws -> Source {
    let source = try find(tensor)
    if case .step(let place) = source { steps[place].last = .max }
    return source
  }

  private func find(_ tensor: Tensor) throws -> Source {
    if let place = places[ObjectIdentifier(tensor.memory)], steps[place].recipe.isAll(tensor) {
      steps[place].reads += 1
      return .step(place)
    }
    if let source = try take(tensor) { return source }
    _ = try tensor.pointer()
    return .whole(tensor)
  }

  /// A new step, behind those that it reads; nil if the tensor does not wait for one. Until the chain ends, nobody changes
  /// what it reads.
  private func take(_ tensor: Tensor) throws -> Source? {
    guard images > 1, tensor.rank > 2, tensor.shape[0] == images, let recipe = tensor.memory.beginTaking() else {
      return nil
    }
    var isTaken = false
    defer { if !isTaken { tensor.memory.endTaking(recipe) } }
    guard recipe.isAll(tensor), recipe.isStepOfChain else { return nil }
    var sources: [Source] = []
    if let convolution = recipe.convolution {
      try convolution.completeParameters()
      sources.append(try find(convolution.input))
      if let residual = convolution.steps.residual { sources.append(try find(residual)) }
    } else if let pooling = recipe.pooling {
      sources.append(try find(pooling.input))
    }
    for case .step(let place) in sources { steps[place].last = max(steps[place].last, steps.count) }
    steps.append(Step(result: tensor, recipe: recipe, sources: sources, reads: 1))
    places[ObjectIdentifier(tensor.memory)] = steps.count - 1
    isTaken = true
    return .step(steps.count - 1)
  }

  /// How the images are taken through the steps, and to a reader with results of so many bytes; nil if there are no steps,
  /// or all images stay in the cache as it is.
  func parts(imageBytes: Int) -> ImageParts? {
    guard let largest = steps.map(\.imageBytes).max() else { return nil }
    return ImageParts(images: images, bytes: max(largest, imageBytes))
  }

  /// Calls `body` with some images at a time, and with what gives these images of a source.
  func run(_ parts: ImageParts, _ body: (Range<Int>, (Source) throws -> Tensor) throws -> Void) throws {
    let wholes = try steps.map { step in
      step.result.isRead(atMost: step.reads)
        ? nil : try Tensor(empty: step.recipe.shape, dtype: step.recipe.dtype, strides: step.recipe.strides)
    }
    try parts.forEach { images in
      var results = [Tensor?](repeating: nil, count: steps.count)
      func part(_ source: Source) throws -> Tensor {
        switch source {
        case .whole(let tensor): return try tensor.images(images)
        case .step(let place):
          guard let result = results[place] else { throw SwiftNetError.runtime("a chain's step is missing") }
          return result
        }
      }
      for (place, step) in steps.enumerated() {
        let recipe = step.recipe
        let result =
          try wholes[place]?.images(images)
          ?? Tensor(empty: [images.count] + recipe.shape.dropFirst(), dtype: recipe.dtype, strides: recipe.strides)
        try step.run(images, try step.sources.map(part), into: try result.mutablePointer())
        results[place] = result
        for case .step(let earlier) in step.sources where steps[earlier].last == place { results[earlier] = nil }
      }
      try body(images, part)
    }
    for case (let step, let whole?) in zip(steps, wholes) { try step.result.memory.adopt(whole.memory) }
  }
}

extension ElementwiseRecipe {
  fileprivate var isStepOfChain: Bool { convolution.map(\.suitsParts) ?? (pooling != nil) }
}

extension Tensor {
  /// Whether it waits for what can be computed some images at a time.
  var isStepOfChain: Bool { memory.recipe.map { $0.isAll(self) && $0.isStepOfChain } ?? false }

  /// The view of contents that still wait through which all who wait for them read them: whether others do besides can be
  /// told then.
  func waitingAlias() throws -> Tensor {
    try memory.commonView(self) ?? alias()
  }

  /// Whether nobody reads these contents but as many who wait for them, through this view.
  fileprivate func isRead(atMost readers: Int) -> Bool {
    isKnownUniquelyReferenced(&memory) && memory.readerCount <= readers
  }

  /// Some of the first dimension, without recording.
  func images(_ range: Range<Int>) throws -> Tensor {
    try alias(
      shape: [range.count] + shape.dropFirst(), offset: offset + range.lowerBound * strides[0],
      count: count / shape[0] * range.count)
  }
}

extension PendingConvolution {
  /// Whether some images at a time have at least half as many results as the filters have numbers: these are read anew for
  /// each part. (With eight times as many asked for, ResNet-50's evaluation of eight images gains 5 instead of 6 %; with
  /// fewer it gains no more.)
  var suitsParts: Bool {
    guard let filter, steps.mask == nil else { return false }
    let image = shape.dropFirst().reduce(1, *)
    guard let parts = ImageParts(images: shape[0], bytes: image * input.dtype.size) else { return false }
    return 2 * parts.atOnce * image >= filter.weight.count
  }

  /// So that whoever computes some of the images finds numbers.
  func completeParameters() throws {
    _ = try (filter?.weight.pointer(), filter?.bias?.pointer())
  }

  /// The same for some images, of which `input` and `residual` have the numbers.
  func images(_ range: Range<Int>, of input: Tensor, residual: Tensor?) -> PendingConvolution {
    let part = filter.map { filter in
      var sizes = filter.sizes
      sizes.batch = range.count
      return Filter(sizes: sizes, weight: filter.weight, bias: filter.bias, isTrained: filter.isTrained)
    }
    var steps = steps
    steps.residual = residual
    return PendingConvolution(filter: part, input: input, shape: [range.count] + shape.dropFirst(), steps: steps)
  }
}

extension ElementwiseProgram {
  /// Where leaves are convolutions or poolings that wait: computes these, and the program, some images at a time. False if
  /// there are none.
  func runByImages(into output: Tensor) throws -> Bool {
    guard output.rank > 2, leaves.contains(where: { $0.waits(output.shape) }) else { return false }
    let images = output.shape[0]
    let chain = PendingChain(images: images)
    let sources = try leaves.map { leaf -> PendingChain.Source? in
      guard case .tensor(let tensor) = leaf else { return nil }
      if leaf.waits(output.shape) { return try chain.source(tensor) }
      _ = try tensor.pointer()
      return nil
    }
    guard let parts = chain.parts(imageBytes: output.count / images * output.dtype.size) else { return false }
    try chain.run(parts) { images, part in
      var some = self
      for (index, leaf) in leaves.enumerated() {
        if let source = sources[index] {
          some.leaves[index] = .tensor(try part(source))
        } else if case .tensor(let tensor) = leaf, tensor.rank == output.rank, tensor.shape[0] == output.shape[0] {
          some.leaves[index] = .tensor(try tensor.images(images))
        }
      }
      try some.run(into: try output.images(images))
    }
    return true
  }
}

extension ElementwiseOperand {
  /// Whether it is a tensor of this shape that waits.
  fileprivate func waits(_ shape: [Int]) -> Bool {
    if case .tensor(let tensor) = self { tensor.memory.isDeferred && tensor.shape == shape } else { false }
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
      for index in first..<last where failure.withLock({ $0 == nil }) {
        do {
          // The host is asked on the thread that it called from.
          if sn_thread_number() == 0 { try Interrupt.check() }
          try MemoryPool.shared.withOwnBlocks { try body(part(index)) }
        } catch {
          failure.withLock { $0 = $0 ?? error }
        }
      }
    }
    if let error = failure.withLock({ $0 }) { throw error }
    for index in whole..<count { try body(part(index)) }
  }
}
