import Synchronization

/// One recorded operation. It knows where the gradients of its inputs go (`edges`), what it saved, and how to turn
/// the gradients of its outputs into those of its inputs.
public final class GradNode {
  /// The `index`-th output of an operation.
  public struct Edge {
    public let node: GradNode
    public let index: Int
  }

  public typealias Backward = (BackwardContext) throws -> [Tensor?]
  public typealias Hook = (Tensor) throws -> Tensor?

  /// What PyTorch's name of the node is made of, "Mul" and "Backward0": joined only when somebody asks.
  private let operation: String
  private let suffix: String
  /// One for each input; nil where no gradient is wanted.
  public internal(set) var edges: ShortList<Edge?>
  /// Nodes recorded later run earlier in backward.
  let sequence: Int
  var saved: ShortList<SavedTensor>
  private(set) var backward: Backward?
  /// Shape and dtype of every output, for gradients that nothing flowed into.
  var outputs: ShortList<(shape: [Int], dtype: DType)>
  /// Called on the summed gradient of an output before the node runs.
  var hooks: [(output: Int, id: Int, hook: Hook)] = []
  /// Whether this is the end of the graph at a leaf.
  let isLeaf: Bool
  /// Where a leaf's gradient is collected, and how the leaf lies in memory. (Not a weak reference to the leaf: every use
  /// of an object that has such is several times as slow.)
  let leaf: (meta: AutogradMeta, strides: [Int])?
  /// Used by the engine run that owns the node, nobody else.
  var run: Int = 0
  var pending = 0
  /// The gradients of the outputs, as far as they have come.
  var buffer: [Tensor?] = []

  private static let counter = Atomic<Int>(0)
  private static let hookCounter = Atomic<Int>(0)

  /// PyTorch's name of the node, as "MulBackward0".
  public var name: String { operation + suffix }

  var isBatchNorm: Bool { operation == "NativeBatchNorm" }
  var isCat: Bool { operation == "Cat" }

  init(
    name: String, suffix: String = "", edges: ShortList<Edge?>, saved: ShortList<SavedTensor>,
    outputs: ShortList<(shape: [Int], dtype: DType)>, backward: @escaping Backward
  ) {
    operation = name
    self.suffix = suffix
    self.edges = edges
    self.saved = saved
    self.outputs = outputs
    self.backward = backward
    self.isLeaf = false
    self.leaf = nil
    self.sequence = GradNode.counter.add(1, ordering: .relaxed).oldValue
  }

  /// The node that adds gradients to a leaf's `grad`.
  init(accumulatingInto leaf: Tensor) {
    operation = "AccumulateGrad"
    suffix = ""
    edges = ShortList()
    saved = ShortList()
    backward = nil
    isLeaf = true
    self.leaf = (leaf.meta, leaf.strides)
    outputs = ShortList((leaf.shape, leaf.dtype))
    sequence = .max
  }

  /// What a node holds on to. Freed in a loop: releasing a chain of a hundred thousand nodes recursively would
  /// overflow the stack.
  struct Remains {
    var edges: ShortList<Edge?>
    var saved: ShortList<SavedTensor>
    var backward: Backward?
  }

  deinit {
    // Nothing that leads further: no need for the list.
    if edges.allSatisfy({ $0?.node.isLeaf ?? true }), saved.allSatisfy({ $0.isEnd }) { return }
    // The node must let go of them first: what its own destruction releases would be freed recursively.
    let remains = Remains(edges: edges, saved: saved, backward: backward)
    edges = ShortList()
    saved = ShortList()
    backward = nil
    GradNode.bury(consume remains)
  }

  private static func bury(_ remains: consuming Remains) {
    let state = ThreadState.current
    state.graveyard.append(consume remains)
    if state.isBurying { return }
    state.isBurying = true
    while let next = state.graveyard.popLast() { withExtendedLifetime(next) {} }
    state.isBurying = false
  }

  /// Forgets saved tensors after a backward that does not keep the graph.
  func releaseSaved() {
    guard !isLeaf else { return }
    let remains = Remains(edges: ShortList(), saved: saved, backward: backward)
    saved = ShortList()
    backward = nil
    GradNode.bury(consume remains)
  }

  func addHook(output: Int, _ hook: @escaping Hook) -> Int {
    let id = GradNode.newHookIdentity()
    hooks.insert((output, id, hook), at: hooks.firstIndex { $0.id == GradNode.retention } ?? hooks.endIndex)
    return id
  }

  /// Adds the gradient of an output, when all hooks have seen it, to what a tensor retains.
  func retainGradient(output: Int, in meta: AutogradMeta) {
    hooks.append(
      (
        output, GradNode.retention,
        { [weak meta] gradient in
          if let meta { meta.grad = try meta.grad?.adding(gradient) ?? gradient }
          return nil
        }
      ))
  }

  func endRetention(output: Int) { hooks.removeAll { $0.id == GradNode.retention && $0.output == output } }

  private static let retention = -1

  static func newHookIdentity() -> Int { hookCounter.add(1, ordering: .relaxed).oldValue }

  func removeHook(_ id: Int) { hooks.removeAll { $0.id == id } }
}

/// What a backward function sees: the gradients of the outputs, the saved tensors, and which inputs want one.
public struct BackwardContext {
  let node: GradNode
  /// Whether this backward records itself, for second derivatives.
  public let createsGraph: Bool
  /// Whether the graph is kept for another backward.
  let keepsGraph: Bool
  /// The nodes whose gradients somebody asked for, if not all.
  var wanted: Set<ObjectIdentifier>?
  /// Takes gradients of parts of an input; nil where backward is recorded, or looks at every gradient for NaN.
  var parts: (any PartCollector)?

  /// The gradient of the first output.
  public var grad: Tensor {
    get throws { try grad(0) }
  }

  /// The gradient of an output; zeros if nothing flowed into it.
  public func grad(_ output: Int) throws -> Tensor {
    if let gradient = node.buffer[output] { return gradient }
    let (shape, dtype) = node.outputs[output]
    return try Tensor.zeros(shape, dtype: dtype)
  }

  /// The gradient of an output, or nil if nothing flowed into it.
  public func gradIfAny(_ output: Int) -> Tensor? { node.buffer[output] }

  /// The gradient of the first output, which the run then lets go of: nobody else may hold it.
  func takeGrad() throws -> Tensor {
    let gradient = try grad
    node.buffer[0] = nil
    return gradient
  }

  /// Whether the gradient of an input is of use to this backward.
  public func needs(_ input: Int) -> Bool {
    guard let edge = node.edges[input] else { return false }
    return wanted?.contains(ObjectIdentifier(edge.node)) ?? true
  }

  public var savedCount: Int { node.saved.count }

  /// A saved tensor. Throws if it was changed in place since.
  public func saved(_ index: Int) throws -> Tensor { try node.saved[index].unpack(for: node) }

  /// Calls `body` with a saved tensor that is read for the last time: unless the graph is kept, the node holds it no
  /// longer, and a gradient that is computed afterwards may take its place. What else is to be read has been asked for
  /// before.
  func readingLast<R>(_ index: Int, _ body: (Tensor) throws -> R) throws -> R {
    let tensor = try saved(index)
    if !keepsGraph && !createsGraph { node.releaseSaved() }
    return try body(tensor)
  }

  /// A tensor like a saved one and in its place, for a gradient that is written over it, element after element as it is
  /// read for the last time. nil if the graph is kept, or somebody else holds those contents. As above, what else is to be
  /// read has been asked for before.
  func successor(of tensor: Tensor, saved index: Int) -> Tensor? {
    guard !keepsGraph, !createsGraph, node.saved[index].own === tensor else { return nil }
    node.releaseSaved()
    guard tensor.isWhole, isKnownUniquelyReferenced(&tensor.memory), let storage = tensor.memory.successor() else {
      return nil
    }
    return tensor.moved(to: storage)
  }
}

/// Adds up gradients of parts of a tensor, such as slices, in one tensor of its whole size.
protocol PartCollector: AnyObject {
  /// Adds the gradient of a part, whose geometry is given within the whole laid out row-major from 0, to what has come
  /// for the edge.
  func add(_ gradient: Tensor, at part: Geometry, to edge: GradNode.Edge) throws

  /// Calls `body` with the sum of what has come for the edge, to add one more gradient to it in place; without effect, and
  /// false, unless that is computed, nobody else holds it, and it has this dtype and these strides.
  func addInPlace(
    to edge: GradNode.Edge, dtype: DType, strides: [Int], _ body: (Tensor) throws -> Void
  ) throws -> Bool
}

extension BackwardContext {
  /// Adds the gradient of the only input to what has come for it, in place: `body` gets a tensor of this dtype and these
  /// strides. False, and nothing is done, if there is no such sum.
  func addsInPlace(_ dtype: DType, _ strides: [Int], _ body: (Tensor) throws -> Void) throws -> Bool {
    guard let parts, let edge = node.edges[0] else { return false }
    return try parts.addInPlace(to: edge, dtype: dtype, strides: strides, body)
  }

  /// What backward of a view of its only input returns: the gradient where the view lies, zeros elsewhere.
  func scattered(_ part: Geometry, into whole: Geometry) throws -> [Tensor?] {
    let gradient = try grad
    guard let parts, let edge = node.edges[0], edge.node.outputs[edge.index].dtype == gradient.dtype else {
      return [try gradient.scattered(part, into: whole)]
    }
    try parts.add(gradient, at: part, to: edge)
    return [nil]
  }
}

/// A tensor kept for backward, together with its place in the graph.
public struct SavedTensor {
  private let tensor: Tensor
  private let version: Int
  private let history: GradNode.Edge?
  /// For an output of the node that saves it: its index there. Holding the history would make a cycle.
  private let outputIndex: Int?

  init(_ tensor: Tensor, outputIndex: Int? = nil) throws {
    try require(
      !tensor.isInference,
      "Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode in "
        + "computation tracked by autograd. To work around this, you can make a clone to get a normal tensor and use it "
        + "in autograd, or use `torch.no_grad()` instead of `torch.inference_mode()`.")
    self.outputIndex = outputIndex
    if outputIndex != nil || tensor.gradNode != nil {
      self.tensor = try tensor.alias()
      history = outputIndex == nil ? tensor.gradEdge : nil
      if let twin = tensor.memory.twin() { self.tensor.memory = twin }
    } else {
      self.tensor = tensor
      history = nil
    }
    self.tensor.memory.noteSaved()
    version = tensor.memory.version
  }

  /// Whether nothing of the graph hangs on the tensor: it is contents alone.
  var isEnd: Bool {
    guard history == nil, !tensor.memory.isDeferred else { return false }
    guard let autograd = tensor.autograd else { return true }
    return autograd.gradNode == nil && autograd.base == nil && autograd.grad == nil
  }

  /// The tensor, if it is one that only the graph has.
  var own: Tensor? { history != nil || outputIndex != nil ? tensor : nil }

  /// Whether the saved data are in the given storage.
  func uses(_ storage: Storage) -> Bool { tensor.memory === storage || tensor.memory.isTwin(of: storage) }

  /// The same after the data have moved from one storage to another.
  func moved(from source: Storage, to target: Storage) throws -> SavedTensor {
    var moved = tensor
    if tensor.memory.isTwin(of: source) {
      tensor.memory.follow(target)
    } else {
      moved = try tensor.alias()
      moved.memory = target
      target.noteSaved()
    }
    return SavedTensor(tensor: moved, version: target.version, history: history, outputIndex: outputIndex)
  }

  /// The same with data of its own.
  func detachedFromStorage() throws -> SavedTensor {
    SavedTensor(
      tensor: try noGrad { try tensor.clone() }, version: 0, history: history, outputIndex: outputIndex)
  }

  private init(tensor: Tensor, version: Int, history: GradNode.Edge?, outputIndex: Int?) {
    self.tensor = tensor
    self.version = version
    self.history = history
    self.outputIndex = outputIndex
  }

  func unpack(for node: GradNode) throws -> Tensor {
    if tensor.memory.version != version {
      throw SwiftNetError.runtime(
        "one of the variables needed for gradient computation has been modified by an inplace operation: "
          + "[\(tensor.dtype.scalarTypeName)Tensor \(Shape.describe(tensor.shape))], saved by \(node.name), is at "
          + "version \(tensor.memory.version); expected version \(version) instead. Clone it before changing it."
      )
    }
    var tensor = tensor
    if let original = tensor.memory.computedOriginal {
      tensor = try tensor.alias()
      tensor.memory = original
    }
    guard ThreadState.current.isGradEnabled else { return tensor }
    let edge = outputIndex.map { GradNode.Edge(node: node, index: $0) } ?? history
    guard let edge else { return tensor }
    let linked = try tensor.alias()
    linked.autograd = AutogradMeta(gradNode: edge.node, outputIndex: edge.index)
    return linked
  }
}
