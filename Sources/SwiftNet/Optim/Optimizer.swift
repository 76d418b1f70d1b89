import KernelTypes

/// Parameters that share options, as `torch.optim`'s parameter groups. Options are numbers by PyTorch's names; flags are
/// 0 or 1, `betas` are "beta1" and "beta2". They may be changed at any time, and the next step uses them.
public final class ParameterGroup {
  public var parameters: [Tensor]
  public internal(set) var options: [String: Double]

  init(_ parameters: [Tensor], _ options: [String: Double]) {
    self.parameters = parameters
    self.options = options
  }

  public subscript(name: String) -> Double {
    get { options[name] ?? 0 }
    set { options[name] = newValue }
  }

  func flag(_ name: String) -> Bool { self[name] != 0 }
}

extension UpdateStep {
  /// The options that go by the same name in most optimizers; 0 where a group has none such.
  init(_ group: ParameterGroup) {
    self.init()
    maximize = group.flag("maximize")
    weightDecay = group["weight_decay"]
    eps = group["eps"]
    beta1 = group["beta1"]
    beta2 = group["beta2"]
    rate = group["lr"]
  }
}

/// What an optimizer remembers of one parameter.
public final class ParameterState {
  let parameter: Tensor
  /// Steps taken.
  public var step = 0.0
  /// By PyTorch's names: "momentum_buffer", "exp_avg", …
  public var tensors: [String: Tensor] = [:]
  /// Numbers other than the count of steps: "mu_product", "eta", …
  public var numbers: [String: Double] = [:]

  init(_ parameter: Tensor) { self.parameter = parameter }

  /// The tensor of a name; filled with a value, in the parameter's layout, if there is none yet.
  func filled(_ name: String, _ value: Double) throws -> Tensor {
    if let tensor = tensors[name] { return tensor }
    let made = try Tensor(
      empty: parameter.shape, dtype: parameter.dtype, strides: parameter.isDense ? parameter.strides : nil)
    try made.fillInPlace(.float(value))
    tensors[name] = made
    return made
  }

  func zeros(_ name: String) throws -> Tensor { try filled(name, 0) }

  /// Keeps a number as PyTorch does: in a tensor of the default dtype, which rounds it.
  func setNumber(_ name: String, _ value: Double) {
    numbers[name] = TypePromotion.defaultDType == .float64 ? value : Double(Float(value))
  }

  /// Multiplies a number, 1 at first, as that tensor would be: both factors are of its dtype.
  func multiplyNumber(_ name: String, by factor: Double) {
    let factor = TypePromotion.defaultDType == .float64 ? factor : Double(Float(factor))
    setNumber(name, (numbers[name] ?? 1) * factor)
  }
}

/// Base class of the optimizers: parameter groups, the state of each parameter, and steps over all parameters at once.
open class Optimizer {
  public private(set) var groups: [ParameterGroup] = []
  private var states: [ObjectIdentifier: ParameterState] = [:]
  /// The options of a group that does not set them.
  public let defaults: [String: Double]

  public init(defaults: [String: Double]) { self.defaults = defaults }

  // MARK: Groups

  /// Adds parameters with options of their own; others are the defaults.
  public func addGroup(_ parameters: [Tensor], _ options: [String: Double] = [:]) throws {
    let group = ParameterGroup(parameters, defaults.merging(options) { $1 })
    try check(group)
    groups.append(group)
  }

  public func removeGroups(from index: Int) {
    if index >= 0, index < groups.count { groups.removeLast(groups.count - index) }
  }

  /// Throws if a group's options make no sense.
  open func check(_ group: ParameterGroup) throws {}

  /// Throws unless the options are at least 0. The texts are what the messages call them.
  func checkNotNegative(_ group: ParameterGroup, _ names: KeyValuePairs<String, String>) throws {
    for (name, text) in names { try require(group[name] >= 0, .value, "Invalid \(text): \(group[name])") }
  }

  /// Throws unless both betas are in [0, 1).
  func checkBetas(_ group: ParameterGroup) throws {
    for (index, name) in ["beta1", "beta2"].enumerated() {
      try require(
        group[name] >= 0 && group[name] < 1, .value, "Invalid beta parameter at index \(index): \(group[name])")
    }
  }

  // MARK: State

  /// What is remembered of a parameter; nil before its first step.
  public func state(_ parameter: Tensor) -> ParameterState? { states[ObjectIdentifier(parameter)] }

  /// The state of a parameter, made if it is not there.
  public func makeState(_ parameter: Tensor) -> ParameterState {
    if let state = states[ObjectIdentifier(parameter)] { return state }
    let made = ParameterState(parameter)
    states[ObjectIdentifier(parameter)] = made
    return made
  }

  /// Makes the state of every parameter that has none, for optimizers whose state begins before their first step.
  public final func prepare() throws {
    try noGrad {
      for group in groups { for parameter in group.parameters { try prepare(parameter, group) } }
    }
  }

  open func prepare(_ parameter: Tensor, _ group: ParameterGroup) throws {}

  /// The shape that a tensor of a parameter's state has to have; nil for any.
  open func stateShape(_ name: String, _ parameter: Tensor) -> [Int]? { parameter.shape }

  public func clearState(_ parameter: Tensor) { states[ObjectIdentifier(parameter)] = nil }
  public func clearState() { states.removeAll() }

  // MARK: Steps

  /// Takes the gradients away, or sets them to zero.
  public func zeroGrad(setToNone: Bool = true) throws {
    for group in groups {
      for parameter in group.parameters {
        if setToNone { parameter.grad = nil } else { try parameter.grad?.fillInPlace(0) }
      }
    }
  }

  /// Changes every parameter that has a gradient.
  public final func step() throws {
    try noGrad {
      begin()
      var updates: [Update] = []
      for group in groups {
        for parameter in group.parameters {
          guard let gradient = parameter.grad else { continue }
          try require(
            gradient.shape == parameter.shape,
            "the gradient's shape \(Shape.describe(gradient.shape)) differs from the parameter's "
              + Shape.describe(parameter.shape))
          try update(parameter, gradient, group, &updates)
        }
      }
      try Update.run(updates)
      try finish()
    }
  }

  /// A step of an optimizer that evaluates the loss itself, as often as it needs; others do so once.
  ///
  /// - Parameter closure: takes the gradients away, computes the loss and its gradients anew, and returns the loss.
  open func step(_ closure: () throws -> Double) throws {
    _ = try withGradMode(true, closure)
    try step()
  }

  /// Called before the updates of a step, to forget what a failed one has left.
  open func begin() {}

  /// Called at the end of a step, for what needs all of a tensor.
  open func finish() throws {}

  /// Adds the update of one parameter to the list.
  open func update(
    _ parameter: Tensor, _ gradient: Tensor, _ group: ParameterGroup, _ updates: inout [Update]
  ) throws {
    throw SwiftNetError.notImplemented("an optimizer has to say how it updates")
  }
}

/// The update of one parameter: tensors of one layout and a kernel over runs of their elements.
public struct Update {
  typealias Kernel = ([UnsafeMutableRawPointer], _ offset: Int, _ count: Int) -> Void

  /// The parameter first, then the gradient, then state.
  private let originals: [Tensor]
  private let tensors: [Tensor]
  private let kernel: Kernel

  /// - Parameter tensors: of the same shape; all but the gradient (the second) are changed.
  init(_ tensors: [Tensor], _ kernel: @escaping (Lane) -> Kernel) throws {
    let layout = tensors[0]
    let dtype = layout.dtype.lane.dtype
    let strides = layout.isDense ? layout.strides : Shape.contiguousStrides(layout.shape)
    originals = tensors
    // Half precision is updated in float32 and rounded; what lies differently in memory is copied.
    self.tensors = try tensors.map { tensor in
      if tensor.dtype == dtype, tensor.strides == strides { return tensor }
      let copy = try Tensor(empty: tensor.shape, dtype: dtype, strides: strides)
      try copyElements(from: tensor, to: copy)
      return copy
    }
    self.kernel = kernel(dtype.lane)
  }

  /// With one of the tables of kernels by lane.
  init(_ tensors: [Tensor], _ table: [UpdateKernel], _ step: UpdateStep) throws {
    try self.init(tensors) { lane in
      let kernel = table[lane.rawValue]
      return { pointers, _, count in kernel(pointers, count, step) }
    }
  }

  /// Where the elements of an update are.
  private struct Operands {
    private enum Gradient {
      case there
      /// It is computed part by part, from tensors that nobody changes meanwhile.
      case parts(PendingWeightGradient, TakenRecipe)
      /// It waits for its taps.
      case taps(PendingTaps.Reader)
      /// It is still to be computed, in the order of the elements.
      case program(ElementwisePlan, TakenRecipe)
    }

    private let kernel: Kernel
    private let size: Int
    /// That of the gradient means nothing where the gradient is not there.
    private let pointers: [UnsafeMutableRawPointer]
    private let gradient: Gradient

    /// - Parameter changed: the storages that the step changes.
    init(_ update: Update, changed: Set<ObjectIdentifier>) throws {
      (kernel, size) = (update.kernel, update.tensors[0].dtype.size)
      let weight = update.tensors[0]
      let gradient = try Operands.gradient(
        update.tensors[1], changed: changed, keepsTaps: weight === update.originals[0] && weight.isContiguous)
      pointers = try update.tensors.enumerated().map { position, tensor in
        if position != 1 { return try tensor.mutablePointer() }
        return switch gradient {
        case .there: try tensor.mutablePointer()
        case .taps, .program, .parts: try update.tensors[0].mutablePointer()
        }
      }
      self.gradient = gradient
    }

    private static func gradient(
      _ tensor: Tensor, changed: Set<ObjectIdentifier>, keepsTaps: Bool
    ) throws -> Gradient {
      if let taps = tensor.pendingTaps { return .taps(try PendingTaps.Reader(taps, keeps: keepsTaps)) }
      guard let taken = TakenRecipe(tensor.memory) else { return .there }
      let recipe = taken.recipe, lane = tensor.dtype.lane
      // What it reads takes less memory than the weight: it is neither that nor its state.
      if recipe.isAll(tensor), let pending = recipe.weightGradient { return .parts(pending, taken) }
      // What the step changes must be read before: such a gradient is computed at once.
      let canWait = recipe.program.leaves.allSatisfy { leaf in
        guard case .tensor(let leaf) = leaf else { return true }
        return leaf.shape == tensor.shape && leaf.strides == tensor.strides
          && !changed.contains(ObjectIdentifier(leaf.memory))
      }
      guard canWait, recipe.isElementwise, recipe.isAll(tensor), recipe.dtype == tensor.dtype,
        recipe.program.lane == lane
      else { return .there }
      return .program(try ElementwisePlan(recipe.program, tensor.shape, tensor.strides, nil), taken)
    }

    private func update(_ range: Range<Int>, _ gradients: UnsafeRawPointer) {
      var pieces = pointers.map { $0 + range.lowerBound * size }
      pieces[1] = UnsafeMutableRawPointer(mutating: gradients)
      kernel(pieces, range.lowerBound, range.count)
    }

    /// Runs the whole update where the gradient is computed part by part; false if it is not.
    func runByParts() throws -> Bool {
      guard case .parts(let pending, _) = gradient else { return false }
      try pending.forEachPiece(of: Update.run) { gradients, first, count in
        update(first..<first + count, gradients)
      }
      return true
    }

    /// Elements that a thread updates in one go.
    var atOnce: Int {
      guard case .taps(let taps) = gradient else { return Update.run }
      return taps.elements(about: Update.run)
    }

    /// Called when all of the update's parameter is changed.
    func finish(_ update: Update) {
      if case .taps(let taps) = gradient { taps.finish(update.originals[0]) }
    }

    func run(_ range: Range<Int>) {
      switch gradient {
      case .there, .parts: kernel(pointers.map { $0 + range.lowerBound * size }, range.lowerBound, range.count)
      case .taps(let taps):
        taps.forEachPiece(range) {
          update($1..<$1 + $2, $0)
          taps.keep($1..<$1 + $2, of: pointers[0])
        }
      case .program(let plan, _):
        var first = range.lowerBound
        plan.runTiles(range.lowerBound, range.upperBound) { gradients, count in
          update(first..<first + count, gradients)
          first += count
        }
      }
    }
  }

  private static var run: Int { 1 << 14 }

  /// Runs all updates, shared out over the threads. Gradients that are still to be computed as a whole are so one after the
  /// other, each right before it is read.
  static func run(_ updates: [Update]) throws {
    var changed = Set<ObjectIdentifier>()
    var isShared = false
    for update in updates {
      for (position, (original, tensor)) in zip(update.originals, update.tensors).enumerated() where position != 1 {
        if !changed.insert(ObjectIdentifier(original.memory)).inserted { isShared = true }
        if tensor !== original { changed.insert(ObjectIdentifier(tensor.memory)) }
      }
    }
    if isShared {
      // Parameters that are the same memory, maybe the same elements: each update finds what the last one has left.
      for update in updates {
        for (original, copy) in zip(update.originals, update.tensors) where copy !== original {
          try copyElements(from: original, to: copy)
        }
        try run([update], changed)
      }
      return
    }
    var ready: [Update] = []
    for update in updates {
      if update.tensors[1].pendingWeightGradient == nil {
        ready.append(update)
      } else {
        try run([update], changed)
      }
    }
    try run(ready, changed)
  }

  private static func run(_ updates: [Update], _ changed: Set<ObjectIdentifier>) throws {
    let operands = try updates.map { try Operands($0, changed: changed) }
    if operands.count == 1, try operands[0].runByParts() { return try finish(updates) }
    var pieces: [(update: Int, offset: Int)] = []
    for (index, update) in updates.enumerated() {
      for offset in stride(from: 0, to: update.tensors[0].count, by: operands[index].atOnce) {
        pieces.append((index, offset))
      }
    }
    parallelFor(pieces.count, grain: 1) { start, end in
      for piece in pieces[start..<end] {
        let (update, operands) = (updates[piece.update], operands[piece.update])
        let count = min(operands.atOnce, update.tensors[0].count - piece.offset)
        operands.run(piece.offset..<piece.offset + count)
      }
    }
    try finish(updates)
    for (update, operands) in zip(updates, operands) { operands.finish(update) }
  }

  private static func finish(_ updates: [Update]) throws {
    for update in updates {
      for (position, (original, changed)) in zip(update.originals, update.tensors).enumerated() where position != 1 {
        if original !== changed { try copyElements(from: changed, to: original) }
        original.bumpVersion()
      }
    }
  }
}
