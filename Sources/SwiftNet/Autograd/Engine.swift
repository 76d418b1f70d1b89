import Synchronization

/// Runs recorded operations backward, latest first, each once its gradient is complete.
///
/// The nodes that can be reached are counted first (how many gradients each will receive), then run in the order
/// of a priority queue. Nothing recurses, so depth is limited by memory alone, and a node's saved tensors and
/// gradients are freed as soon as it has run.
public enum Engine {
  private static let runs = Atomic<Int>(1)
  /// Guards the claim of nodes by a run and additions to a leaf's gradient.
  private static let lock = Mutex<Void>(())

  /// Adds the gradients of `outputs` to the `grad` of every leaf that they depend on.
  ///
  /// - Parameters:
  ///   - gradients: one per output; nil stands for 1 where the output has one element.
  ///   - retainGraph: keeps what was saved, so that backward can run again.
  ///   - createGraph: records backward itself.
  ///   - inputs: if given, only these receive gradients.
  public static func backward(
    _ outputs: [Tensor], gradients: [Tensor?], retainGraph: Bool = false, createGraph: Bool = false,
    inputs: [Tensor]? = nil
  ) throws {
    // What is no leaf retains its gradient, from now on, as in PyTorch.
    for input in inputs ?? [] where !input.isLeaf { try input.retainGrad() }
    let captured = try run(
      outputs, gradients: gradients, retainGraph: retainGraph, createGraph: createGraph, inputs: inputs ?? [],
      accumulates: inputs == nil)
    guard let inputs else { return }
    for (tensor, gradient) in zip(inputs, captured) {
      if tensor.isLeaf, var gradient {
        try accumulate(&gradient, into: tensor.meta, strides: tensor.strides, createGraph: createGraph)
      }
    }
  }

  /// The gradients of `outputs` with respect to `inputs`, summed over the outputs; nil where an input does not
  /// matter and `allowUnused` is set.
  public static func gradients(
    of outputs: [Tensor], inputs: [Tensor], gradients: [Tensor?], retainGraph: Bool = false,
    createGraph: Bool = false, allowUnused: Bool = false
  ) throws -> [Tensor?] {
    for input in inputs {
      try require(input.requiresGrad, "One of the differentiated Tensors does not require grad")
    }
    let results = try run(
      outputs, gradients: gradients, retainGraph: retainGraph, createGraph: createGraph, inputs: inputs,
      accumulates: false)
    try require(
      allowUnused || !results.contains { $0 == nil },
      "One of the differentiated Tensors appears to not have been used in the graph. Set allow_unused=True if this "
        + "is the desired behavior.")
    return results
  }

  /// The recorded gradients of `outputs` with respect to `inputs`, from within another backward: walks no further than
  /// to the inputs, whose own history may be in use.
  static func gradientsWithin(
    _ outputs: [Tensor], inputs: [Tensor], gradients: [Tensor?]
  ) throws -> [Tensor?] {
    try run(
      outputs, gradients: gradients, retainGraph: true, createGraph: true, inputs: inputs, accumulates: false,
      stopsAtInputs: true)
  }

  private struct Capture {
    let index: Int
    let input: Int
  }

  private static func run(
    _ outputs: [Tensor], gradients: [Tensor?], retainGraph: Bool, createGraph: Bool, inputs: [Tensor],
    accumulates: Bool, stopsAtInputs: Bool = false
  ) throws -> [Tensor?] {
    try require(
      outputs.count == gradients.count, "got \(outputs.count) tensors and \(gradients.count) gradients")
    var roots: [(edge: GradNode.Edge, gradient: Tensor)] = []
    for (position, output) in outputs.enumerated() {
      guard let edge = output.gradEdge else {
        throw SwiftNetError.runtime(
          "element \(position) of tensors does not require grad and does not have a grad_fn")
      }
      roots.append((edge, try rootGradient(of: output, given: gradients[position])))
    }

    var captures: [ObjectIdentifier: [Capture]] = [:]
    for (position, input) in inputs.enumerated() {
      if let edge = input.gradEdge {
        captures[ObjectIdentifier(edge.node), default: []].append(Capture(index: edge.index, input: position))
      }
    }
    var results = [Tensor?](repeating: nil, count: inputs.count)
    let run = Run(id: runs.add(1, ordering: .relaxed).newValue)
    try run.claim(from: roots.map(\.edge.node), until: stopsAtInputs ? Set(captures.keys) : [])
    let useful = accumulates ? nil : nodesLeading(to: captures, run.nodes)
    let wanted = useful.map { $0.union(captures.keys) }
    // Each root counts as one more gradient to come, so that a root that other roots lead to waits for them.
    for (edge, _) in roots {
      if edge.node.isLeaf { run.leaf(edge.node).pending += 1 } else { edge.node.pending += 1 }
    }
    for (edge, gradient) in roots {
      var gradient = gradient
      try run.add(&gradient, to: edge)
      run.release(edge)
    }
    roots = []

    // The pass forward is over, and what it kept for its next operation.
    ThreadState.current.overlap = nil
    // Backward computes in the dtypes of forward.
    let isAutocast = Autocast.pause()
    defer { Autocast.resume(isAutocast) }
    try withGradMode(createGraph) {
      while let node = run.queue.pop() {
        var gradients = run.take(node)
        if !node.hooks.isEmpty { try applyHooks(node, &gradients) }
        if let wanted = captures[ObjectIdentifier(node)] {
          for capture in wanted { results[capture.input] = gradients[capture.index] }
          if stopsAtInputs { continue }
        }
        if node.isLeaf {
          if accumulates, let leaf = node.leaf, var gradient = gradients[0] {
            gradients = []
            try accumulate(&gradient, into: leaf.meta, strides: leaf.strides, createGraph: createGraph)
            for (_, hook) in leaf.meta.postAccumulateHooks { try hook() }
          }
          continue
        }
        if let useful, !useful.contains(ObjectIdentifier(node)) {
          for case let edge? in node.edges { run.release(edge) }
          continue
        }
        guard let backward = node.backward else {
          throw SwiftNetError.runtime(
            "Trying to backward through the graph a second time (or directly access saved tensors after they have "
              + "already been freed). Specify retain_graph=True if you need to backward through the graph a second "
              + "time.")
        }
        var produced: [Tensor?] = []
        if gradients.contains(where: { $0 != nil }) {
          (node.buffer, gradients) = (gradients, [])
          produced = try backward(
            BackwardContext(
              node: node, createsGraph: createGraph, keepsGraph: retainGraph, wanted: wanted,
              parts: createGraph || ThreadState.current.checksAnomaly ? nil : run))
          node.buffer = []
        }
        if ThreadState.current.checksAnomaly { try checkNumbers(produced, of: node) }
        // What saves nothing may run again, as a conversion that several losses share.
        if !retainGraph, !node.saved.isEmpty { node.releaseSaved() }
        try noteSpread(produced, node)
        for (position, edge) in node.edges.enumerated() {
          guard let edge else { continue }
          if position < produced.count, var gradient = produced[position] {
            produced[position] = nil
            gradient = try fitted(gradient, to: edge, from: node, position)
            try run.add(&gradient, to: edge)
          }
          run.release(edge)
        }
        try Interrupt.check()
      }
    }
    return results
  }

  /// Notes a deferred gradient that both inputs of an operation get. A batch normalisation computes such a one on its way,
  /// for the other too; where neither comes from one, a sum of sums is computed now, lest all that it is the sum of be held
  /// until the end of a chain of residual blocks, and be added up anew in each.
  private static func noteSpread(_ gradients: [Tensor?], _ node: GradNode) throws {
    guard gradients.count == 2, node.edges.count == 2, let memory = gradients[0]?.memory, memory.isDeferred,
      gradients[1]?.memory === memory, let first = node.edges[0]?.node, let second = node.edges[1]?.node
    else { return }
    memory.noteSpread()
    if !first.isBatchNorm, !second.isBatchNorm, memory.recipe?.readsMany == true { _ = try memory.pointer }
  }

  private static func checkNumbers(_ gradients: [Tensor?], of node: GradNode) throws {
    for (position, gradient) in gradients.enumerated() {
      guard let gradient, gradient.dtype.isFloatingPoint else { continue }
      let found = try noGrad { try gradient.unary(.isnan).any().item() }
      try require(
        found.isZero, "Function '\(node.name)' returned nan values in its \(position)th output.")
    }
  }

  private static func rootGradient(of output: Tensor, given: Tensor?) throws -> Tensor {
    if let given {
      try require(
        given.shape == output.shape,
        "Mismatch in shape: grad_output has a shape of \(Shape.describe(given.shape)) and output has a shape of "
          + "\(Shape.describe(output.shape)).")
      return given
    }
    try require(output.count == 1, "grad can be implicitly created only for scalar outputs")
    return try Tensor.full(output.shape, 1, dtype: output.dtype)
  }

  /// What a run knows of a leaf. Leaves are shared between graphs, so their state is not kept in the node.
  private final class Leaf {
    let node: GradNode
    var pending = 0
    var sum: Tensor?

    init(_ node: GradNode) { self.node = node }
  }

  /// One backward: the nodes it has claimed and the leaves it will reach.
  private final class Run: PartCollector {
    let id: Int
    var nodes: [GradNode] = []
    var leaves: [ObjectIdentifier: Leaf] = [:]
    var queue = ReadyQueue()
    /// Sums that nobody else holds, so that more can be added in place.
    private var own: Set<ObjectIdentifier> = []
    /// Sums of two gradients that may still be computed with what reads them.
    private var pairs: Set<ObjectIdentifier> = []

    init(id: Int) { self.id = id }

    deinit {
      for node in nodes {
        node.buffer = []
        node.run = 0
      }
    }

    func leaf(_ node: GradNode) -> Leaf {
      let id = ObjectIdentifier(node)
      if let known = leaves[id] { return known }
      let made = Leaf(node)
      leaves[id] = made
      return made
    }

    /// Claims all nodes that can be reached, and counts the gradients that each will receive.
    func claim(from roots: [GradNode], until ends: Set<ObjectIdentifier>) throws {
      var stack: [GradNode] = []
      func take(_ node: GradNode) throws {
        if node.isLeaf {
          _ = leaf(node)
          return
        }
        if node.run == id { return }
        try lock.withLock { _ in
          try require(
            node.run == 0,
            "this part of the graph is in use by another backward, in another thread or an outer call")
          node.run = id
        }
        node.pending = 0
        node.buffer = []
        nodes.append(node)
        if !ends.contains(ObjectIdentifier(node)) { stack.append(node) }
      }
      for root in roots { try take(root) }
      while let node = stack.popLast() {
        for case let edge? in node.edges {
          try take(edge.node)
          if edge.node.isLeaf { leaf(edge.node).pending += 1 } else { edge.node.pending += 1 }
        }
      }
    }

    /// Replaces what has come for an edge.
    private func change(_ edge: GradNode.Edge, _ body: (Tensor?) throws -> Tensor) throws {
      let node = edge.node
      if node.isLeaf {
        let state = leaf(node)
        state.sum = try body(state.sum)
        return
      }
      if node.buffer.isEmpty { node.buffer = Array(repeating: nil, count: max(node.outputs.count, 1)) }
      let present = node.buffer[edge.index]
      node.buffer[edge.index] = nil
      node.buffer[edge.index] = try body(present)
    }

    /// Adds a gradient to what has come for an edge. (A variable, so that one can tell whether anybody else holds it.)
    func add(_ gradient: inout Tensor, to edge: GradNode.Edge) throws {
      try change(edge) { present in
        guard let present else { return gradient }
        if !own.isEmpty, own.contains(ObjectIdentifier(present)) {
          try present.addInPlace(gradient)
          return present
        }
        let isThird = !pairs.isEmpty && pairs.remove(ObjectIdentifier(present)) != nil
        // Where more than one is still to come, they can be added in place to what the second has taken.
        let takes = isThird ? present.memory.isDeferred : edge.node.pending > 2
        if takes, isKnownUniquelyReferenced(&gradient), gradient.canTake(present) {
          try gradient.addInPlace(present)
          own.insert(ObjectIdentifier(gradient))
          return gradient
        }
        let sum = try present.adding(gradient)
        if sum.memory.isDeferred, !sum.requiresGrad {
          if isThird, sum.memory.recipe?.readsMany != false {
            // More than two maps would all be held until somebody reads their sum.
            _ = try sum.memory.pointer
            own.insert(ObjectIdentifier(sum))
          } else {
            pairs.insert(ObjectIdentifier(sum))
          }
        }
        return sum
      }
    }

    func add(_ gradient: Tensor, at part: Geometry, to edge: GradNode.Edge) throws {
      try change(edge) { present in
        if let present, own.contains(ObjectIdentifier(present)) {
          try present.part(part).addInPlace(gradient)
          return present
        }
        if let present { forget(present) }
        let (shape, dtype) = edge.node.outputs[edge.index]
        let sum: Tensor
        if let present {
          sum = try Tensor(empty: shape, dtype: dtype)
          try copyElements(from: present, to: sum)
          try sum.part(part).addInPlace(gradient)
        } else {
          sum = try Tensor.zeros(shape, dtype: dtype)
          try copyElements(from: gradient, to: sum.part(part))
        }
        own.insert(ObjectIdentifier(sum))
        return sum
      }
    }

    func addInPlace(
      to edge: GradNode.Edge, dtype: DType, strides: [Int], _ body: (Tensor) throws -> Void
    ) throws -> Bool {
      let node = edge.node
      let present = node.isLeaf ? leaf(node).sum : node.buffer.isEmpty ? nil : node.buffer[edge.index]
      guard let present, own.contains(ObjectIdentifier(present)), present.dtype == dtype, present.strides == strides
      else { return false }
      try body(present)
      return true
    }

    /// Notes that one of the gradients for the edge's node has arrived.
    func release(_ edge: GradNode.Edge) {
      let node = edge.node
      if node.isLeaf {
        let state = leaf(node)
        state.pending -= 1
        if state.pending == 0 { queue.push(node) }
      } else {
        node.pending -= 1
        if node.pending == 0 { queue.push(node) }
      }
    }

    @inline(__always)
    private func forget(_ sum: Tensor) {
      if !own.isEmpty { own.remove(ObjectIdentifier(sum)) }
      if !pairs.isEmpty { pairs.remove(ObjectIdentifier(sum)) }
    }

    /// The gradients that a node received; the run lets go of them.
    func take(_ node: GradNode) -> [Tensor?] {
      if node.isLeaf {
        let state = leaf(node)
        defer { state.sum = nil }
        if let sum = state.sum { forget(sum) }
        return [state.sum]
      }
      defer { node.buffer = [] }
      for case let sum? in node.buffer { forget(sum) }
      return node.buffer.isEmpty ? Array(repeating: nil, count: max(node.outputs.count, 1)) : node.buffer
    }
  }

  /// The nodes from which an edge leads, directly or not, to a captured node; others need not run.
  private static func nodesLeading(
    to captures: [ObjectIdentifier: [Capture]], _ visited: [GradNode]
  ) -> Set<ObjectIdentifier> {
    var useful = Set<ObjectIdentifier>()
    // Edges lead to nodes recorded earlier, so this order sees every target before its source.
    for node in visited.sorted(by: { ($0.isLeaf ? -1 : $0.sequence) < ($1.isLeaf ? -1 : $1.sequence) }) {
      for case let edge? in node.edges {
        let id = ObjectIdentifier(edge.node)
        if captures[id] != nil || useful.contains(id) {
          useful.insert(ObjectIdentifier(node))
          break
        }
      }
    }
    return useful
  }

  private static func applyHooks(_ node: GradNode, _ gradients: inout [Tensor?]) throws {
    for (output, _, hook) in node.hooks {
      if let gradient = gradients[output], let replaced = try hook(gradient) { gradients[output] = replaced }
    }
  }

  /// A gradient in the shape and dtype of the tensor it belongs to.
  private static func fitted(
    _ gradient: Tensor, to edge: GradNode.Edge, from node: GradNode, _ position: Int
  ) throws -> Tensor {
    let (shape, dtype) = edge.node.outputs[edge.index]
    var gradient = gradient
    if gradient.shape != shape {
      guard (try? Shape.broadcast(shape, gradient.shape)) == gradient.shape else {
        throw SwiftNetError.runtime(
          "Function \(node.name) returned an invalid gradient at index \(position) - got "
            + "\(Shape.describe(gradient.shape)) but expected shape compatible with \(Shape.describe(shape))")
      }
      gradient = try gradient.sum(to: shape)
    }
    return gradient.dtype == dtype ? gradient : try gradient.to(dtype)
  }

  /// - Parameter gradient: a variable, so that one can tell whether anybody else holds it: a hook, `retain_grad`, or who
  ///   gave it to `backward`.
  private static func accumulate(
    _ gradient: inout Tensor, into leaf: AutogradMeta, strides: [Int], createGraph: Bool
  ) throws {
    let existing = leaf.grad
    if let existing {
      if createGraph {
        leaf.grad = try existing.adding(gradient)
      } else {
        try lock.withLock { _ in try noGrad { try existing.addInPlace(gradient) } }
      }
      return
    }
    if createGraph {
      leaf.grad = gradient
      return
    }
    // The gradient itself becomes `grad` if nobody else holds it and it lies in memory as the leaf does.
    let isOwn = isKnownUniquelyReferenced(&gradient) && isKnownUniquelyReferenced(&gradient.memory)
    if !isOwn || gradient.strides != strides || gradient.requiresGrad {
      let copy = try noGrad {
        let copy = try Tensor(
          empty: gradient.shape, dtype: gradient.dtype,
          strides: Shape.isDense(gradient.shape, strides) ? strides : nil)
        try writeElements(of: gradient, to: copy)
        return copy
      }
      gradient = copy
    } else {
      gradient = try gradient.alias()
    }
    leaf.grad = gradient
  }
}

extension Tensor {
  /// Whether a gradient is a tensor of its own, computed, that another of the same form can be added to. (In another order
  /// in memory only what is computed already.)
  fileprivate func canTake(_ other: Tensor) -> Bool {
    isKnownUniquelyReferenced(&memory) && isWhole && !isDeferred && !memory.isShared && !requiresGrad
      && !other.requiresGrad && dtype == other.dtype && shape == other.shape
      && (strides == other.strides || !other.isDeferred)
  }
}

/// Nodes ready to run, the one recorded last first.
private struct ReadyQueue {
  private var heap: [GradNode] = []

  mutating func push(_ node: GradNode) {
    heap.append(node)
    var child = heap.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      if heap[parent].sequence >= heap[child].sequence { break }
      heap.swapAt(parent, child)
      child = parent
    }
  }

  mutating func pop() -> GradNode? {
    guard let top = heap.first else { return nil }
    let last = heap.removeLast()
    if heap.isEmpty { return top }
    heap[0] = last
    var parent = 0
    while true {
      var child = 2 * parent + 1
      if child >= heap.count { break }
      if child + 1 < heap.count, heap[child + 1].sequence > heap[child].sequence { child += 1 }
      if heap[parent].sequence >= heap[child].sequence { break }
      heap.swapAt(parent, child)
      parent = child
    }
    return top
  }
}
