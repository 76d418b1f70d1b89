import KernelTypes
import Synchronization

/// An operand of an elementwise operation.
public enum ElementwiseOperand {
  case tensor(Tensor)
  case scalar(Scalar)
}

/// A short straight-line program that computes one output element from the elements of its operands at the same
/// place. It runs over tiles of `tile` elements that stay in the first-level cache, so that a chain of
/// operations reads and writes memory once.
///
/// Loop order: threads take blocks of tiles; a block walks its tiles in output order; each tile runs every step.
struct ElementwiseProgram {
  /// Where a step finds an operand: a leaf, or the result of an earlier step.
  enum Source {
    case leaf(Int)
    case step(Int)
  }

  struct Step {
    let op: ElementwiseOp
    var kernel: ElementwiseKernel
    var sources: [Source]
    var scalars: Scalars
    /// float16 and bfloat16 round after every operation, as if each were stored.
    var roundTo: DType?
    /// The same in all copies of a step, so that a program which meets a value twice computes it once.
    let identity = Step.counter.add(1, ordering: .relaxed).newValue

    private static let counter = Atomic<Int>(0)

    init(
      _ op: ElementwiseOp, kernel: ElementwiseKernel, sources: [Source], scalars: Scalars, roundTo: DType?
    ) {
      self.op = op
      self.kernel = kernel
      self.sources = sources
      self.scalars = scalars
      self.roundTo = roundTo
    }
  }

  /// Lane values per tile: 4 KiB of floats.
  static let tile = 1024
  /// Elements that are worth a thread of their own.
  static let grain = 32 * tile

  var lane: Lane
  var leaves: [ElementwiseOperand]
  var steps: [Step]

  /// Computes the program for each element of `output`, whose shape all leaves broadcast to.
  func run(into output: Tensor) throws {
    if output.count == 0 { return }
    if steps.count > 1, try runOverlapGradient(into: output) { return }
    if try runByImages(into: output) { return }
    let walk = walk(shape: output.shape, strides: output.strides)
    let program = try reordered(shape: output.shape, strides: walk)
    let plan = try ElementwisePlan(program, output.shape, output.strides, walk: walk, output)
    let count = output.count
    // The common case, all operands plain: one kernel call per block, nothing copied.
    if steps.count == 1, plan.isDirect {
      let step = steps[0]
      let size = lane.size
      let out = plan.outputPointer
      parallelFor(count, grain: ElementwiseProgram.grain) { start, end in
        withUnsafeTemporaryAllocation(of: Operand.self, capacity: 4) { operands in
          for (index, source) in step.sources.enumerated() {
            guard case .leaf(let leaf) = source else { continue }
            let view = plan.leaves[leaf]
            operands[index] =
              view.kind == .scalar
              ? Operand(view.pointer, isScalar: true) : Operand(view.pointer + start &* size)
          }
          step.kernel(operands.baseAddress.unsafelyUnwrapped, out + start &* size, end - start, step.scalars)
        }
      }
      withExtendedLifetime(plan) {}
      return
    }
    let isConversion = plan.isConversion
    parallelFor(count, grain: ElementwiseProgram.grain) { start, end in
      if isConversion { plan.convert(start, end) } else { plan.runTiles(start, end, nil) }
    }
    withExtendedLifetime(plan) {}
  }

  /// Computes the program for all elements of a row-major shape and folds them, `elements` in a row for each of
  /// `outputs` accumulators, without writing them to memory.
  func fold(
    shape: [Int], outputs: Int, elements: Int, _ kernel: ReduceRowKernel, _ parameters: [Double],
    identity: Int64,
    into accumulators: UnsafeMutablePointer<Int64>, combine: (UnsafeMutablePointer<Int64>, Int64) -> Void
  ) throws {
    let strides = Shape.contiguousStrides(shape)
    let plan = try ElementwisePlan(try reordered(shape: shape, strides: strides), shape, strides, nil)
    let chunk = 1 << 16
    let perOutput = max(1, (elements + chunk - 1) / chunk)
    let partial = UnsafeMutablePointer<Int64>.allocate(capacity: outputs * perOutput)
    defer { partial.deallocate() }
    let tasks = outputs * perOutput
    let grain = max(1, ElementwiseProgram.grain / max(1, min(elements, chunk)))
    parallelFor(tasks, grain: grain) { first, last in
      for task in first..<last {
        let output = task / perOutput
        let start = task % perOutput * chunk
        let parameter = parameters.isEmpty ? 0 : parameters[output]
        partial[task] = identity
        plan.runTiles(output * elements + start, output * elements + min(start + chunk, elements)) { tile, n in
          kernel(tile, n, partial + task, parameter)
        }
      }
    }
    for output in 0..<outputs {
      accumulators[output] = partial[output * perOutput]
      for part in 1..<max(perOutput, 1) where perOutput > 1 {
        combine(accumulators + output, partial[output * perOutput + part])
      }
    }
    withExtendedLifetime(plan) {}
  }
}

extension ElementwiseProgram {
  /// The tensor that a source stands for, if it is one.
  func leaf(_ source: Source) -> Tensor? {
    guard case .leaf(let index) = source, case .tensor(let tensor) = leaves[index] else { return nil }
    return tensor
  }

  /// The two tensors whose sum this is, if it is one.
  var sum: (Tensor, Tensor)? {
    guard steps.count == 1, steps[0].op == .add, steps[0].scalars.p == 1, let a = leaf(steps[0].sources[0]),
      let b = leaf(steps[0].sources[1])
    else { return nil }
    return (a, b)
  }

  /// The earlier step that a source stands for, if it is one.
  func step(_ source: Source) -> Step? {
    guard case .step(let index) = source else { return nil }
    return steps[index]
  }

  /// The same program with what batch normalization, a residual and ReLU make of an element in one step: between steps a
  /// tile goes through the first-level cache, and while a step finds everything there, nothing comes from memory.
  func merged() -> ElementwiseProgram {
    if steps.count < 2 || lane == .i64 { return self }
    var uses = [Int](repeating: 0, count: steps.count)
    for step in steps {
      for case .step(let earlier) in step.sources { uses[earlier] += 1 }
    }
    /// The step that a source is, if it is such an operation and nobody else needs its result.
    func only(_ source: Source, _ op: ElementwiseOp) -> Int? {
      guard case .step(let index) = source, steps[index].op == op, uses[index] == 1, steps[index].roundTo == nil
      else { return nil }
      return index
    }
    var isMerged = [Bool](repeating: false, count: steps.count)
    var merged: [(op: ElementwiseOp, sources: [Source], scalars: Scalars)?] = steps.map { _ in nil }
    for (index, step) in steps.enumerated() where step.op == .relu && step.roundTo == nil {
      if let product = only(step.sources[0], .addcmul) {
        merged[index] = (.addcmulRelu, steps[product].sources, steps[product].scalars)
        isMerged[product] = true
      } else if let sum = only(step.sources[0], .add) {
        isMerged[sum] = true
        let addends = steps[sum].sources
        // Of two products the later one.
        let products = [0, 1].compactMap { side in only(addends[side], .addcmul).map { (step: $0, side: side) } }
        if steps[sum].scalars.p == 1, let last = products.max(by: { $0.step < $1.step }) {
          merged[index] = (
            .addcmulAddRelu, steps[last.step].sources + [addends[1 - last.side]], steps[last.step].scalars
          )
          isMerged[last.step] = true
        } else {
          merged[index] = (.addRelu, addends, steps[sum].scalars)
        }
      }
    }
    if !isMerged.contains(true) { return self }
    var result = ElementwiseProgram(lane: lane, leaves: leaves, steps: [])
    var places = [Int](repeating: 0, count: steps.count)
    for (index, step) in steps.enumerated() where !isMerged[index] {
      places[index] = result.steps.count
      let sources = (merged[index]?.sources ?? step.sources).map { source in
        if case .step(let earlier) = source { Source.step(places[earlier]) } else { source }
      }
      var moved = step
      moved.sources = sources
      if let one = merged[index], let kernel = kernels.elementwise[one.op, lane] {
        moved = Step(one.op, kernel: kernel, sources: sources, scalars: one.scalars, roundTo: nil)
      }
      result.steps.append(moved)
    }
    return result
  }
}

extension Tensor {
  /// Whether all elements are one in memory, as after `expand`.
  var isOneValue: Bool {
    if count == 1 { return true }
    for (size, stride) in zip(shape, strides) where size != 1 && stride != 0 { return false }
    return count > 0
  }
}
