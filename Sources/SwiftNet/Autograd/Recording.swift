/// Whether an operation on these tensors is to be recorded.
@inline(__always)
func needsRecording(_ inputs: [Tensor]) -> Bool {
  for tensor in inputs where tensor.requiresGrad { return ThreadState.current.isGradEnabled }
  return false
}

extension Tensor {
  /// Records the operation that made this tensor, if any input requires a gradient.
  ///
  /// The backward function must not capture tensors: what it needs of them goes through `saving`, where changes in
  /// place are noticed and chains of nodes are freed without recursion.
  ///
  /// - Parameters:
  ///   - name: PyTorch's name of the node without "Backward0".
  ///   - inputs: the inputs in the order of the gradients that `backward` returns.
  ///   - saving: tensors that backward reads, inputs or `self`.
  @discardableResult
  @inline(__always)
  func recorded(
    _ name: @autoclosure () -> String, _ inputs: Tensor..., saving: @autoclosure () -> [Tensor] = [],
    backward: @autoclosure () -> GradNode.Backward
  ) throws -> Tensor {
    guard needsRecording(inputs), dtype.isFloatingPoint else { return self }
    record(name(), edges(inputs), saved: try savedTensors(saving()), backward: backward())
    return self
  }

  /// As `recorded`, for one input: without lists, which cost as much as an operation on few elements.
  @discardableResult
  @inline(__always)
  func recorded(
    _ name: @autoclosure () -> String, _ input: Tensor, saving: @autoclosure () -> [Tensor] = [],
    backward: @autoclosure () -> GradNode.Backward
  ) throws -> Tensor {
    guard ThreadState.current.isGradEnabled, dtype.isFloatingPoint, let edge = input.gradEdge else { return self }
    record(name(), ShortList(edge), saved: try savedTensors(saving()), backward: backward())
    return self
  }

  /// As `recorded`, for any number of inputs.
  @discardableResult
  func recorded(
    _ name: String, inputs: [Tensor], saving: @autoclosure () -> [Tensor] = [],
    backward: @escaping GradNode.Backward
  ) throws -> Tensor {
    guard needsRecording(inputs), dtype.isFloatingPoint else { return self }
    record(name, edges(inputs), saved: try savedTensors(saving()), backward: backward)
    return self
  }

  /// Makes this tensor the result of an operation.
  func record(
    _ name: String, _ edges: ShortList<GradNode.Edge?>, saved: ShortList<SavedTensor>,
    backward: @escaping GradNode.Backward
  ) {
    setHistory(
      GradNode(
        name: name, suffix: "Backward0", edges: edges, saved: saved, outputs: ShortList((shape, dtype)),
        backward: backward))
  }

  /// What an operation whose result this is saves.
  func savedTensors(_ tensors: [Tensor]) throws -> ShortList<SavedTensor> {
    var result = ShortList<SavedTensor>()
    for tensor in tensors { result.append(try SavedTensor(tensor, outputIndex: tensor === self ? 0 : nil)) }
    return result
  }
}

private func edges(_ inputs: [Tensor]) -> ShortList<GradNode.Edge?> {
  var result = ShortList<GradNode.Edge?>()
  for input in inputs { result.append(input.gradEdge) }
  return result
}

extension Tensor {
  /// Saves what backward will read, before the operation itself reads it: what is still to be computed then need not
  /// be kept. nil if nothing is to be recorded.
  static func save(_ tensors: [Tensor], forInputs inputs: [Tensor]) throws -> [SavedTensor]? {
    needsRecording(inputs) ? try tensors.map { try SavedTensor($0) } : nil
  }

  /// As `recorded`, with tensors that were saved before.
  @discardableResult
  func recorded(
    _ name: String, inputs: [Tensor], saved: [SavedTensor]?, backward: @escaping GradNode.Backward
  ) throws -> Tensor {
    if let saved, dtype.isFloatingPoint {
      record(name, edges(inputs), saved: ShortList(saved), backward: backward)
    }
    return self
  }
}

/// Records an operation with several outputs, if any input requires a gradient.
func recordOutputs(
  _ name: String, _ inputs: [Tensor], _ outputs: [Tensor], saving: @autoclosure () -> [Tensor] = [],
  backward: @escaping GradNode.Backward
) throws {
  guard needsRecording(inputs) else { return }
  let node = GradNode(
    name: name, suffix: "Backward0", edges: edges(inputs), saved: try saveAll(saving(), outputs),
    outputs: ShortList(outputs.map { ($0.shape, $0.dtype) }), backward: backward)
  for (index, output) in outputs.enumerated() where output.dtype.isFloatingPoint {
    output.setHistory(node, index: index)
  }
}

private func saveAll(_ tensors: [Tensor], _ outputs: [Tensor]) throws -> ShortList<SavedTensor> {
  ShortList(
    try tensors.map { tensor in try SavedTensor(tensor, outputIndex: outputs.firstIndex { $0 === tensor }) })
}

extension Tensor {
  /// Runs an operation in place: computes it apart, puts the result in this tensor's memory, and takes over the
  /// result's history. Other views of the same memory see the change, in value and in gradient.
  ///
  /// - Parameter isFresh: nobody but the operation's node holds the result, so that its memory may be taken over.
  func inPlace(isFresh: Bool = false, allowsOverlap: Bool = false, _ operation: (Tensor) throws -> Tensor) throws {
    let recording = ThreadState.current.isGradEnabled
    try checkWritable(allowsOverlap: allowsOverlap)
    if recording, requiresGrad { try checkChangeable() }
    let before = try alias()
    if let edge = gradEdge { before.autograd = AutogradMeta(gradNode: edge.node, outputIndex: edge.index) }
    var result = try operation(before)
    try require(
      result.shape == shape,
      "output with shape \(Shape.describe(shape)) doesn't match the broadcast shape \(Shape.describe(result.shape))"
    )
    if result.dtype != dtype {
      try require(
        TypePromotion.canCast(result.dtype, to: dtype),
        "result type \(result.dtype.scalarTypeName) can't be cast to the desired output type "
          + dtype.scalarTypeName)
      result = try result.to(dtype)
    }
    if recording, result.requiresGrad, let base = autograd?.base {
      try require(
        !(base.isLeaf && base.requiresGrad),
        "a view of a leaf Variable that requires grad is being used in an in-place operation.")
    }
    try adopt(result, isFresh: isFresh)
  }

  /// Makes an operation on this tensor, whose result is `result`, one in place.
  public func become(_ result: Tensor) throws { try inPlace { _ in result } }

  /// Runs an operation in place, for users outside of this module.
  public func changeInPlace(_ operation: (Tensor) throws -> Tensor) throws { try inPlace(operation) }

  /// Throws for a leaf that requires a gradient, and for a view of one.
  fileprivate func checkChangeable() throws {
    guard requiresGrad else { return }
    try require(!isLeaf, "a leaf Variable that requires grad is being used in an in-place operation.")
    if let base = autograd?.base {
      try require(
        !base.isLeaf || !base.requiresGrad,
        "a view of a leaf Variable that requires grad is being used in an in-place operation.")
    }
  }

  /// Takes the values and the history of `result`, which has this tensor's shape and dtype.
  private func adopt(_ result: Tensor, isFresh: Bool) throws {
    let (target, source) = (memory, result.memory)
    let node = result.gradNode
    let (old, new) = (node?.saved.map { $0.uses(target) } ?? [], node?.saved.map { $0.uses(source) } ?? [])
    if isFresh, isWhole, result.isWhole, result.strides == strides, try target.exchangeContents(with: source) {
      // What the operation saved of the old and of the new contents goes with them.
      bumpVersion()
      if let node {
        for index in node.saved.indices {
          if old[index] {
            node.saved[index] = try node.saved[index].moved(from: target, to: source)
          } else if new[index] {
            node.saved[index] = try node.saved[index].moved(from: source, to: target)
          }
        }
      }
    } else {
      if let node {
        for index in node.saved.indices where old[index] {
          node.saved[index] = try node.saved[index].detachedFromStorage()
        }
      }
      if source !== target { try copyElements(from: result, to: self) }
      bumpVersion()
    }
    guard let edge = result.gradEdge, ThreadState.current.isGradEnabled else { return }
    takeHistory(edge)
  }

  /// Whether the tensor is all of its memory.
  var isWhole: Bool { offset == 0 && isDense && count * dtype.size == memory.byteCount }

  /// Whether another tensor is all of its memory and has its elements where this one has them.
  func isLike(_ other: Tensor) -> Bool {
    other.dtype == dtype && other.shape == shape && other.strides == strides && other.isWhole
  }

  /// Makes the edge the history of this tensor, whose contents have changed; of a view, of its base too.
  fileprivate func takeHistory(_ edge: GradNode.Edge) {
    if let base = autograd?.base {
      let whole = base.geometry
      let part = geometry
      let node = GradNode(
        name: "CopySlices", edges: [base.gradEdge, edge], saved: ShortList(),
        outputs: ShortList((base.shape, base.dtype))
      ) { context in
        let gradient = try context.grad
        let rest = context.needs(0) ? try gradient.zeroed(at: part, of: whole) : nil
        return [rest, try gradient.read(part, of: whole)]
      }
      base.setHistory(node)
    }
    let meta = self.meta
    meta.setNode(edge.node, output: edge.index)
    meta.requiresGrad = false
    if let base = meta.base { meta.baseSequence = base.historySequence }
  }
}

extension Tensor {
  /// Records outputs that were computed elsewhere, with a backward of their own.
  ///
  /// - Parameters:
  ///   - changed: for each output whether it is an input that was changed in place.
  ///   - saving: tensors for backward: inputs, outputs or others. It gets them from the context.
  public static func recordForeign(
    _ name: String, _ inputs: [Tensor], _ outputs: [Tensor], changed: [Bool] = [], saving: [Tensor] = [],
    backward: @escaping (BackwardContext) throws -> [Tensor?]
  ) throws {
    guard needsRecording(inputs) else { return }
    for (index, output) in outputs.enumerated() where index < changed.count && changed[index] {
      try output.checkChangeable()
    }
    let node = GradNode(
      name: name, edges: edges(inputs), saved: try saveAll(saving, outputs),
      outputs: ShortList(outputs.map { ($0.shape, $0.dtype) }), backward: backward)
    for (index, output) in outputs.enumerated() where output.dtype.isFloatingPoint {
      if index < changed.count, changed[index] {
        output.takeHistory(GradNode.Edge(node: node, index: index))
      } else {
        output.setHistory(node, index: index)
      }
    }
  }
}
