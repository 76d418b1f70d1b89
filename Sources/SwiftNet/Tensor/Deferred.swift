import Synchronization

/// How to compute the contents of a storage: mostly an elementwise program, and the order of the elements in memory.
///
/// Operations on large tensors do not compute at once. Their result holds such a recipe; an operation that reads it
/// takes the recipe over into its own, so that a chain (normalisation, residual, activation; a loss written in Python)
/// runs as one pass over memory when something at last needs the numbers. A result that is used twice may be computed
/// twice: that is cheaper than writing and reading it. What a recipe reads is computed with the values of the time it
/// was written: a storage that is about to change first has all its readers computed.
final class ElementwiseRecipe {
  /// What computes the contents. Where that is no elementwise program, `program` has the operands only.
  enum Work {
    case program
    case convolution(PendingConvolution)
    case joining(PendingJoin)
    case pooling(PendingPool)
    case poolGradient(PendingPoolGradient)
    case taps(PendingTaps)
    case dataGradient(PendingDataGradient)
    case weightGradient(PendingWeightGradient)
  }

  let program: ElementwiseProgram
  private let work: Work
  let dtype: DType
  let shape: [Int]
  let strides: [Int]
  /// How often the recipe was taken over into another one.
  let uses = Atomic<Int>(0)
  /// How many recipes have to be computed one inside the other for this one.
  let depth: Int
  /// Through which others that wait read the contents (`Storage.commonView`).
  weak var view: Tensor?
  /// For a sigmoid: what it was taken of, and the version of that.
  var logits: (tensor: Tensor, version: Int)?

  init(
    program: ElementwiseProgram, dtype: DType, shape: [Int], strides: [Int], work: Work = .program
  ) {
    self.program = program
    self.work = work
    self.dtype = dtype
    self.shape = shape
    self.strides = strides
    depth = 1 + program.leafDepth
  }

  var convolution: PendingConvolution? { if case .convolution(let pending) = work { pending } else { nil } }
  var joining: PendingJoin? { if case .joining(let pending) = work { pending } else { nil } }
  var pooling: PendingPool? { if case .pooling(let pending) = work { pending } else { nil } }
  var poolGradient: PendingPoolGradient? { if case .poolGradient(let pending) = work { pending } else { nil } }
  var taps: PendingTaps? { if case .taps(let pending) = work { pending } else { nil } }
  var dataGradient: PendingDataGradient? { if case .dataGradient(let pending) = work { pending } else { nil } }
  var weightGradient: PendingWeightGradient? {
    if case .weightGradient(let pending) = work { pending } else { nil }
  }
  var isElementwise: Bool { if case .program = work { true } else { false } }

  /// Whether a tensor over the storage shows the result as it is, no other view of it.
  func isAll(_ tensor: Tensor) -> Bool { tensor.offset == 0 && tensor.shape == shape && tensor.strides == strides }

  var canBeTakenOver: Bool { uses.load(ordering: .relaxed) < Deferral.maximumUses }

  func reads(_ storage: Storage) -> Bool {
    program.leaves.contains { leaf in
      if case .tensor(let tensor) = leaf { tensor.memory === storage } else { false }
    }
  }

  /// Calls `body` with a recipe for backward, if that may as well compute the contents again as keep them: a short program
  /// over tensors that are held for backward themselves, or are small. In the place of contents that backward computes
  /// again too, it has what those are computed from.
  func repeated<R>(_ body: (ElementwiseRecipe) throws -> R) rethrows -> R? {
    guard isElementwise, let count = try? Shape.count(shape) else { return nil }
    var taken: [TakenRecipe] = []
    defer { withExtendedLifetime(taken) {} }
    var inner: [Int: ElementwiseProgram] = [:]
    for (index, leaf) in program.leaves.enumerated() {
      guard case .tensor(let tensor) = leaf, tensor.count * 8 > count else { continue }
      if !tensor.memory.isDeferred && tensor.memory.isSaved { continue }
      // Those of half precision are rounded one by one, and half as large; of large ones all comes from memory anew.
      if dtype.isNarrow || count * dtype.size > Deferral.maximumRepeatedBytes { return nil }
      guard let twin = tensor.memory.deferredTwin.flatMap({ TakenRecipe($0) }), twin.recipe.isElementwise,
        twin.recipe.dtype == dtype, twin.recipe.program.lane == program.lane, twin.recipe.isAll(tensor)
      else { return nil }
      taken.append(twin)
      inner[index] = twin.recipe.program
    }
    if inner.isEmpty { return program.steps.count <= Deferral.maximumRepeatedSteps ? try body(self) : nil }
    var whole = ElementwiseProgram(lane: program.lane, leaves: [], steps: [])
    _ = whole.take(program, roundTo: dtype, replacing: inner)
    guard whole.steps.count <= Deferral.maximumRepeatedSteps, whole.leaves.count <= Deferral.maximumRepeatedLeaves
    else { return nil }
    // To read several tensors in another order costs more than to keep the result.
    for case .tensor(let tensor) in whole.leaves where tensor.count * 8 > count && tensor.strides != strides {
      return nil
    }
    return try body(ElementwiseRecipe(program: whole, dtype: dtype, shape: shape, strides: strides))
  }

  /// Whether it reads more than two tensors that are not much smaller than its result.
  var readsMany: Bool {
    guard isElementwise, let count = try? Shape.count(shape) else { return false }
    var large = 0
    for case .tensor(let tensor) in program.leaves where tensor.count * 8 > count && !tensor.isOneValue { large += 1 }
    return large > 2
  }

  func run(into storage: Storage) throws {
    if let convolution { return try convolution.run(into: try storage.pointer) }
    if let pooling { return try pooling.run(into: try storage.pointer) }
    if let poolGradient { return try poolGradient.run(into: try storage.pointer) }
    if let taps { return try taps.run(into: try storage.pointer) }
    if let dataGradient { return try dataGradient.run(into: try storage.pointer) }
    let count = try Shape.count(shape)
    let target = Tensor(storage: storage, dtype: dtype, shape: shape, strides: strides, offset: 0, count: count)
    if let joining { return try joining.run(into: target) }
    if let weightGradient { return try weightGradient.run(into: target) }
    try program.run(into: target)
  }
}

/// When elementwise operations are deferred.
public enum Deferral {
  /// Off with SWIFTNET_DEFER=0 in the environment: every operation computes at once.
  nonisolated(unsafe) public static var isEnabled = environment("SWIFTNET_DEFER") != "0"
  /// Below this many elements an operation is a matter of microseconds, and computed at once.
  static let threshold = 1 << 14
  /// A weight of fewer elements gets its gradient at once: what is held for it makes others wait for their memory.
  static let heldWeights = 1 << 18
  /// Longer programs gain nothing, and keep their operands alive for long.
  static let maximumSteps = 24
  static let maximumLeaves = 14
  /// A recipe that was taken over this often is computed at the next use.
  static let maximumUses = 4
  /// Longer programs are computed once, and their result kept for backward.
  static let maximumRepeatedSteps = 12
  /// Larger contents are computed again from what is kept, but not from others that are.
  static let maximumRepeatedBytes = 4 << 20
  /// Fewer than any program may have: backward reads such contents together with gradients.
  static let maximumRepeatedLeaves = 12
  /// Recipes that wait for each other are computed from within one another: without a bound a long chain that nobody
  /// reads would overflow the stack at last.
  static let maximumDepth = 32
}

extension ElementwiseProgram {
  /// Calls `body` with a program of one operation on operands whose deferred parts are taken over where that is possible.
  /// By its end the program must have run or be a recipe: until then nobody changes what those parts read.
  static func fusing<R>(
    _ op: ElementwiseOp, _ kernel: ElementwiseKernel, _ operands: [ElementwiseOperand], lane: Lane,
    scalars: Scalars, roundTo: DType?, _ body: (ElementwiseProgram) throws -> R
  ) throws -> R {
    var taken: [Taken] = []
    defer { endTaking(taken) }
    return try body(fuse(op, kernel, operands, lane, scalars, roundTo, &taken))
  }

  private typealias Taken = (tensor: Tensor, recipe: ElementwiseRecipe, source: Source)

  private static func endTaking(_ taken: [Taken]) { for one in taken { one.tensor.memory.endTaking(one.recipe) } }

  /// (Apart from the above, which the compiler makes anew for each body.)
  @inline(never)
  private static func fuse(
    _ op: ElementwiseOp, _ kernel: ElementwiseKernel, _ operands: [ElementwiseOperand], _ lane: Lane,
    _ scalars: Scalars, _ roundTo: DType?, _ taken: inout [Taken]
  ) throws -> ElementwiseProgram {
    var program = ElementwiseProgram(lane: lane, leaves: [], steps: [])
    var sources: [Source] = []
    for operand in operands {
      guard case .tensor(let tensor) = operand else {
        program.leaves.append(operand)
        sources.append(.leaf(program.leaves.count - 1))
        continue
      }
      if let known = taken.first(where: { $0.tensor.isSameView(as: tensor) }) {
        sources.append(known.source)
        continue
      }
      if let recipe = tensor.memory.beginTaking() {
        if let inner = tensor.program(of: recipe, lane: lane),
          program.steps.count + inner.steps.count < Deferral.maximumSteps,
          program.leaves.count + inner.leaves.count <= Deferral.maximumLeaves
        {
          let source = program.take(inner, roundTo: tensor.dtype)
          taken.append((tensor, recipe, source))
          sources.append(source)
          continue
        }
        tensor.memory.endTaking(recipe)
      }
      sources.append(.leaf(try program.addLeaf(tensor)))
    }
    program.steps.append(Step(op, kernel: kernel, sources: sources, scalars: scalars, roundTo: roundTo))
    return program
  }

  /// A leaf that reads the tensor as it is now. Equal leaves are shared.
  private mutating func addLeaf(_ tensor: Tensor) throws -> Int {
    for (index, leaf) in leaves.enumerated() {
      if case .tensor(let known) = leaf, known.isSameView(as: tensor) { return index }
    }
    leaves.append(.tensor(try tensor.alias()))
    return leaves.count - 1
  }

  /// Appends another program, or what stands in the place of some of its leaves; the result is where its last step ends up.
  fileprivate mutating func take(
    _ inner: ElementwiseProgram, roundTo dtype: DType, replacing programs: [Int: ElementwiseProgram] = [:]
  ) -> Source {
    var leafPlaces: [Source] = []
    for (index, leaf) in inner.leaves.enumerated() {
      if let program = programs[index] {
        leafPlaces.append(take(program, roundTo: dtype))
      } else if case .tensor(let tensor) = leaf, let place = try? addLeaf(tensor) {
        leafPlaces.append(.leaf(place))
      } else {
        leaves.append(leaf)
        leafPlaces.append(.leaf(leaves.count - 1))
      }
    }
    var places: [Int] = []
    for (index, step) in inner.steps.enumerated() {
      var moved = step
      moved.sources = step.sources.map { source in
        switch source {
        case .leaf(let leaf): leafPlaces[leaf]
        case .step(let earlier): .step(places[earlier])
        }
      }
      // What would have been rounded by being stored is rounded here.
      if index == inner.steps.count - 1, dtype == .float16 || dtype == .bfloat16 { moved.roundTo = dtype }
      if let known = steps.firstIndex(where: { $0.identity == moved.identity && $0.roundTo == moved.roundTo }) {
        places.append(known)
      } else {
        steps.append(moved)
        places.append(steps.count - 1)
      }
    }
    return .step(places[places.count - 1])
  }

  /// The greatest depth of a recipe that the program reads.
  var leafDepth: Int {
    var depth = 0
    for case .tensor(let tensor) in leaves { depth = max(depth, tensor.memory.recipe?.depth ?? 0) }
    return depth
  }

  /// Computes what the program reads where too many recipes already wait for each other.
  func limitDepth() throws {
    guard leafDepth >= Deferral.maximumDepth else { return }
    for case .tensor(let tensor) in leaves { _ = try tensor.memory.pointer }
  }

  /// Whether the program may be kept for later: everything it reads is memory of this library's own.
  var canWait: Bool {
    for case .tensor(let tensor) in leaves where tensor.memory.isShared { return false }
    return true
  }
}

extension Tensor {
  /// The program of the recipe behind this tensor, for this tensor's shape, if it can be taken over into another.
  func program(of recipe: ElementwiseRecipe, lane: Lane) -> ElementwiseProgram? {
    guard recipe.isElementwise, recipe.program.lane == lane, recipe.dtype == dtype, offset == 0, recipe.canBeTakenOver
    else { return nil }
    if recipe.isAll(self) {
      recipe.uses.add(1, ordering: .relaxed)
      return recipe.program
    }
    // Another shape over the same row-major elements: the leaves are seen in that shape too.
    guard isContiguous, Shape.isContiguous(recipe.shape, recipe.strides) else { return nil }
    var program = recipe.program
    for (index, leaf) in program.leaves.enumerated() {
      guard case .tensor(let tensor) = leaf, !tensor.isOneValue else { continue }
      guard tensor.count == count, tensor.isContiguous,
        let seen = try? tensor.alias(shape: shape, strides: Shape.contiguousStrides(shape))
      else { return nil }
      program.leaves[index] = .tensor(seen)
    }
    for index in program.leaves.indices {
      if case .tensor(let tensor) = program.leaves[index], tensor.isOneValue, !tensor.shape.isEmpty,
        let seen = try? tensor.alias(shape: [], strides: [], count: 1)
      {
        program.leaves[index] = .tensor(seen)
      }
    }
    recipe.uses.add(1, ordering: .relaxed)
    return program
  }

  /// Calls `body` with the program of a deferred tensor, for a reduction that folds its results; nil if there is none.
  func withProgramToFold<R>(lane: Lane, _ body: (ElementwiseProgram) throws -> R?) rethrows -> R? {
    try memory.takingRecipe { recipe in
      guard let recipe, var program = program(of: recipe, lane: lane) else { return nil }
      // What would have been rounded by being stored is rounded before it is folded.
      if dtype == .float16 || dtype == .bfloat16 { program.steps[program.steps.count - 1].roundTo = dtype }
      return try body(program)
    }
  }

  /// What this tensor is to be converted from, of the same shape, if its recipe says nothing else.
  func unconverted(_ recipe: ElementwiseRecipe) -> Tensor? {
    guard recipe.isElementwise, recipe.isAll(self), recipe.program.steps.count == 1,
      recipe.program.steps[0].op == .copy, case .tensor(let source) = recipe.program.leaves[0], source.shape == shape
    else { return nil }
    return source
  }

  /// Notes that this tensor is the sigmoid of another, as long as it is not computed.
  func noteSigmoid(of logits: Tensor) throws {
    memory.recipe?.logits = (try logits.alias(), logits.memory.version)
  }

  /// If this tensor is a sigmoid, of this recipe: what it is taken of, in this tensor's shape.
  func logits(of recipe: ElementwiseRecipe?) throws -> Tensor? {
    guard let recipe, let (logits, version) = recipe.logits, logits.memory.version == version, logits.dtype == dtype,
      offset == 0, logits.count == count
    else { return nil }
    if shape == recipe.shape, strides == recipe.strides, logits.shape == shape { return logits }
    guard isContiguous, logits.isContiguous, Shape.isContiguous(recipe.shape, recipe.strides) else { return nil }
    return try logits.alias(shape: shape, strides: Shape.contiguousStrides(shape))
  }

  /// Whether another tensor shows the same elements in the same shape.
  func isSameView(as other: Tensor) -> Bool {
    memory === other.memory && offset == other.offset && dtype == other.dtype && shape == other.shape
      && strides == other.strides
  }

  /// Whether the contents are still to be computed.
  public var isDeferred: Bool { memory.isDeferred }
}
