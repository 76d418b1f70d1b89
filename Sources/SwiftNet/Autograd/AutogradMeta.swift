import Synchronization

/// A tensor's place in the graph.
final class AutogradMeta {
  /// Asked for by the user, on a leaf.
  var requiresGrad = false
  var grad: Tensor?
  /// The operation that made the tensor; nil for a leaf.
  var gradNode: GradNode?
  var outputIndex = 0
  /// The node at which graphs end that lead to this leaf; made once. It refers to this object: the leaf's end breaks the
  /// circle.
  var accumulator: GradNode?
  /// Hooks of a leaf, put on its accumulator.
  var leafHooks: [(id: Int, hook: GradNode.Hook)] = []
  var retainsGrad = false
  /// Called after a gradient was added to a leaf's `grad`.
  var postAccumulateHooks: [(id: Int, hook: () throws -> Void)] = []
  /// For a differentiable view: the tensor it was taken from, and the number of the operation that had made that
  /// tensor's contents at the time (-1 for a leaf).
  var base: Tensor?
  var baseSequence = -1

  init() {}

  init(gradNode: GradNode, outputIndex: Int) {
    self.gradNode = gradNode
    self.outputIndex = outputIndex
  }
}

extension Tensor {
  /// Metadata, made on first use.
  var meta: AutogradMeta {
    if let autograd { return autograd }
    let made = AutogradMeta()
    autograd = made
    return made
  }

  /// The recorded operation that made this tensor. A view whose base was changed in place since is traced anew.
  public var gradNode: GradNode? {
    guard let autograd else { return nil }
    if let base = autograd.base, base.historySequence != autograd.baseSequence { retraceView(autograd, base) }
    return autograd.gradNode
  }

  /// The number of the operation that made the contents, -1 for a leaf.
  var historySequence: Int { autograd?.gradNode?.sequence ?? -1 }

  public var isLeaf: Bool { gradNode == nil }

  /// Whether backward computes a gradient for this tensor or passes one through it.
  public var requiresGrad: Bool {
    guard let autograd else { return false }
    return autograd.requiresGrad || gradNode != nil
  }

  /// Turns the collection of gradients on or off for a leaf.
  public func setRequiresGrad(_ value: Bool) throws {
    if value == requiresGrad { return }
    try require(
      !value || dtype.isFloatingPoint,
      "only Tensors of floating point dtype can require gradients, but got \(dtype.name)")
    try require(
      isLeaf,
      "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a "
        + "subgraph that doesn't require differentiation use var_no_grad = var.detach().")
    try require(
      !isInference || !value || ThreadState.current.isInferenceMode,
      "Setting requires_grad=True on inference tensor outside InferenceMode is not allowed.")
    meta.requiresGrad = value
  }

  /// The gradient that backward collected, for a leaf or after `retainGrad()`.
  public var grad: Tensor? {
    get { autograd?.grad }
    set {
      if newValue != nil || autograd != nil { meta.grad = newValue }
    }
  }

  /// Sets the gradient after checking that it fits.
  public func assignGrad(_ value: Tensor?) throws {
    if let value {
      try require(
        value.shape == shape,
        "assigned grad has data of a different size: got \(Shape.describe(value.shape)), expected "
          + Shape.describe(shape))
      try require(
        value.dtype == dtype,
        "assigned grad has data of a different type: got \(value.dtype.name), expected \(dtype.name)")
    }
    grad = value
  }

  /// Where a gradient of this tensor goes, or nil if none is wanted.
  var gradEdge: GradNode.Edge? {
    guard let autograd else { return nil }
    if let node = gradNode { return GradNode.Edge(node: node, index: autograd.outputIndex) }
    guard autograd.requiresGrad else { return nil }
    if let node = autograd.accumulator { return GradNode.Edge(node: node, index: 0) }
    return makeAccumulator(autograd)
  }

  /// Two threads may meet here with a parameter that they share.
  private static let accumulatorLock = Mutex<Void>(())

  private func makeAccumulator(_ autograd: AutogradMeta) -> GradNode.Edge {
    Tensor.accumulatorLock.withLock { _ in
      if let node = autograd.accumulator { return GradNode.Edge(node: node, index: 0) }
      let node = GradNode(accumulatingInto: self)
      for (id, hook) in autograd.leafHooks { node.hooks.append((0, id, hook)) }
      autograd.accumulator = node
      return GradNode.Edge(node: node, index: 0)
    }
  }

  /// Keeps the gradient of a tensor that is not a leaf: what its hooks have made of it, added to what is there.
  public func retainGrad() throws {
    try require(requiresGrad, "can't retain_grad on Tensor that has requires_grad=False")
    guard let node = gradNode, !meta.retainsGrad else { return }
    meta.retainsGrad = true
    node.retainGradient(output: meta.outputIndex, in: meta)
  }

  /// Calls `hook` with the gradient of this tensor in backward; what it returns takes its place.
  public func registerHook(_ hook: @escaping GradNode.Hook) throws -> Int {
    try require(requiresGrad, "cannot register a hook on a tensor that doesn't require gradient")
    if let node = gradNode { return node.addHook(output: meta.outputIndex, hook) }
    guard let node = gradEdge?.node else { return 0 }
    let id = node.addHook(output: 0, hook)
    meta.leafHooks.append((id, hook))
    return id
  }

  /// Calls `hook` each time backward has added to this leaf's gradient.
  public func registerPostAccumulateHook(_ hook: @escaping () throws -> Void) throws -> Int {
    try require(requiresGrad, "cannot register a hook on a tensor that doesn't require gradient")
    try require(isLeaf, "post accumulate grad hooks cannot be registered on non-leaf tensors")
    let id = GradNode.newHookIdentity()
    meta.postAccumulateHooks.append((id, hook))
    return id
  }

  /// Whether `retainGrad()` was called on a tensor that is not a leaf.
  public var retainsGrad: Bool { !isLeaf && autograd?.retainsGrad ?? false }

  public func removeHook(_ id: Int) {
    autograd?.postAccumulateHooks.removeAll { $0.id == id }
    gradNode?.removeHook(id)
    autograd?.accumulator?.removeHook(id)
    autograd?.leafHooks.removeAll { $0.id == id }
  }

  /// Makes this tensor output `index` of a node.
  func setHistory(_ node: GradNode, index: Int = 0) {
    let meta = self.meta
    meta.setNode(node, output: index)
    meta.requiresGrad = false
    if let base = meta.base { meta.baseSequence = base.historySequence }
  }

  private func retraceView(_ meta: AutogradMeta, _ base: Tensor) {
    guard let edge = base.gradEdge else { return }
    let node = GradNode(
      name: "AsStridedBackward0", edges: ShortList(edge), saved: ShortList(), outputs: ShortList((shape, dtype)),
      backward: asStridedBackward(base: base.geometry, view: geometry))
    meta.setNode(node, output: 0)
    meta.baseSequence = base.historySequence
  }
}

extension AutogradMeta {
  /// Makes the tensor an output of a node. The gradient that it retains is from now on that of its new contents.
  func setNode(_ node: GradNode, output: Int) {
    if retainsGrad { gradNode?.endRetention(output: outputIndex) }
    (gradNode, outputIndex) = (node, output)
    if retainsGrad { node.retainGradient(output: output, in: self) }
  }
}
