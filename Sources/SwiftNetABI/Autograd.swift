import CSwiftNet
import SwiftNet

@c(sn_is_grad_enabled) @implementation
public func sn_is_grad_enabled() -> Int32 { ThreadState.current.isGradEnabled ? 1 : 0 }

@c(sn_set_grad_enabled) @implementation
public func sn_set_grad_enabled(_ enabled: Int32) -> Int32 {
  ThreadState.current.isGradEnabled = enabled != 0
  return 0
}

@c(sn_is_inference_mode) @implementation
public func sn_is_inference_mode() -> Int32 { ThreadState.current.isInferenceMode ? 1 : 0 }

@c(sn_set_inference_mode) @implementation
public func sn_set_inference_mode(_ enabled: Int32) -> Int32 {
  ThreadState.current.isInferenceMode = enabled != 0
  return 0
}

@c(sn_requires_grad) @implementation
public func sn_requires_grad(_ t: sn_tensor?) -> Int32 { number { try tensor(t).requiresGrad ? 1 : 0 } }

@c(sn_set_requires_grad) @implementation
public func sn_set_requires_grad(_ t: sn_tensor?, _ value: Int32) -> Int32 {
  attempt { try tensor(t).setRequiresGrad(value != 0) }
}

@c(sn_is_leaf) @implementation
public func sn_is_leaf(_ t: sn_tensor?) -> Int32 { number { try tensor(t).isLeaf ? 1 : 0 } }

@c(sn_retain_grad) @implementation
public func sn_retain_grad(_ t: sn_tensor?) -> Int32 { attempt { try tensor(t).retainGrad() } }

@c(sn_grad) @implementation
public func sn_grad(_ t: sn_tensor?) -> sn_tensor? { makeOptional { try tensor(t).grad } }

@c(sn_set_grad) @implementation
public func sn_set_grad(_ t: sn_tensor?, _ grad: sn_tensor?) -> Int32 {
  attempt { try tensor(t).assignGrad(optionalTensor(grad)) }
}

@c(sn_backward) @implementation
public func sn_backward(
  _ outputs: UnsafePointer<sn_tensor?>?, _ gradients: UnsafePointer<sn_tensor?>?, _ count: Int64,
  _ retainGraph: Int32, _ createGraph: Int32, _ inputs: UnsafePointer<sn_tensor?>?, _ inputCount: Int64
) -> Int32 {
  attempt {
    try Engine.backward(
      try tensors(outputs, count), gradients: optionalTensors(gradients, count),
      retainGraph: retainGraph != 0,
      createGraph: createGraph != 0, inputs: inputCount > 0 ? try tensors(inputs, inputCount) : nil)
  }
}

@c(sn_gradients) @implementation
public func sn_gradients(
  _ outputs: UnsafePointer<sn_tensor?>?, _ gradients: UnsafePointer<sn_tensor?>?, _ count: Int64,
  _ inputs: UnsafePointer<sn_tensor?>?, _ inputCount: Int64, _ retainGraph: Int32, _ createGraph: Int32,
  _ allowUnused: Int32, _ results: UnsafeMutablePointer<sn_tensor?>?
) -> Int32 {
  attempt {
    let found = try Engine.gradients(
      of: try tensors(outputs, count), inputs: try tensors(inputs, inputCount),
      gradients: optionalTensors(gradients, count), retainGraph: retainGraph != 0,
      createGraph: createGraph != 0,
      allowUnused: allowUnused != 0)
    for (position, gradient) in found.enumerated() { results?[position] = gradient.map(handle) }
  }
}

/// A node and the C text of its name.
private final class NodeHandle {
  let node: GradNode
  let name: UnsafeMutablePointer<CChar>

  init(_ node: GradNode) {
    self.node = node
    name = strdup(node.name)
  }

  deinit { free(name) }

  static func make(_ node: GradNode?) -> sn_node? {
    node.map { sn_node(Unmanaged.passRetained(NodeHandle($0)).toOpaque()) }
  }

  static func from(_ handle: sn_node) -> NodeHandle {
    Unmanaged<NodeHandle>.fromOpaque(UnsafeRawPointer(handle)).takeUnretainedValue()
  }
}

@c(sn_node_release) @implementation
public func sn_node_release(_ node: sn_node?) {
  if let node { Unmanaged<NodeHandle>.fromOpaque(UnsafeRawPointer(node)).release() }
}

@c(sn_grad_fn) @implementation
public func sn_grad_fn(_ t: sn_tensor?) -> sn_node? {
  LastError.clear()
  return NodeHandle.make(optionalTensor(t)?.gradNode)
}

@c(sn_node_name) @implementation
public func sn_node_name(_ node: sn_node?) -> UnsafePointer<CChar>? {
  node.map { UnsafePointer(NodeHandle.from($0).name) }
}

@c(sn_node_input_count) @implementation
public func sn_node_input_count(_ node: sn_node?) -> Int64 {
  node.map { Int64(NodeHandle.from($0).node.edges.count) } ?? 0
}

@c(sn_node_input) @implementation
public func sn_node_input(
  _ node: sn_node?, _ position: Int64, _ index: UnsafeMutablePointer<Int64>?
) -> sn_node? {
  guard let node else { return nil }
  let edges = NodeHandle.from(node).node.edges
  guard position >= 0, position < edges.count, let edge = edges[Int(position)] else { return nil }
  index?.pointee = Int64(edge.index)
  return NodeHandle.make(edge.node)
}

/// Takes over a handle that a callback made.
func adopt(_ handle: sn_tensor?) -> Tensor? {
  handle.map { Unmanaged<Tensor>.fromOpaque(UnsafeRawPointer($0)).takeRetainedValue() }
}

@c(sn_register_hook) @implementation
public func sn_register_hook(
  _ t: sn_tensor?, _ hook: sn_hook?, _ context: UnsafeMutableRawPointer?,
  _ release: (@convention(c) (UnsafeMutableRawPointer?) -> Void)?
) -> Int64 {
  let owner = ForeignContext(context, release)
  return number {
    guard let hook else { throw SwiftNetError(.type, "hook is NULL") }
    return try tensor(t).registerHook { gradient in
      var status: Int32 = 0
      let result = withExtendedLifetime(gradient) {
        hook(owner.pointer, sn_tensor(Unmanaged.passUnretained(gradient).toOpaque()), &status)
      }
      if status != 0 { throw SwiftNetError(.callback, "a gradient hook failed") }
      return adopt(result)
    }
  }
}

@c(sn_remove_hook) @implementation
public func sn_remove_hook(_ t: sn_tensor?, _ hook: Int64) -> Int32 {
  attempt { try tensor(t).removeHook(Int(hook)) }
}

/// What a backward callback reads saved tensors from.
private final class SavedHandle {
  let context: BackwardContext
  init(_ context: BackwardContext) { self.context = context }
}

@c(sn_saved_tensor) @implementation
public func sn_saved_tensor(_ saved: sn_backward_context?, _ index: Int64) -> sn_tensor? {
  make {
    guard let saved else { throw SwiftNetError(.type, "expected a backward context, got NULL") }
    let context = Unmanaged<SavedHandle>.fromOpaque(UnsafeRawPointer(saved)).takeUnretainedValue().context
    guard index >= 0, index < context.savedCount else {
      throw SwiftNetError(.index, "saved tensor \(index) of \(context.savedCount)")
    }
    return try context.saved(Int(index))
  }
}

@c(sn_record) @implementation
public func sn_record(
  _ name: UnsafePointer<CChar>?, _ inputs: UnsafePointer<sn_tensor?>?, _ inputCount: Int64,
  _ outputs: UnsafePointer<sn_tensor?>?, _ outputCount: Int64, _ changed: UnsafePointer<Int32>?,
  _ saved: UnsafePointer<sn_tensor?>?, _ savedCount: Int64, _ backward: sn_backward_function?,
  _ context: UnsafeMutableRawPointer?, _ release: (@convention(c) (UnsafeMutableRawPointer?) -> Void)?
) -> Int32 {
  let owner = ForeignContext(context, release)
  return attempt {
    guard let backward else { throw SwiftNetError(.type, "backward is NULL") }
    let inputs = try tensors(inputs, inputCount)
    let outputs = try tensors(outputs, outputCount)
    let count = inputs.count
    let outputCount = outputs.count
    try Tensor.recordForeign(
      name.map { String(cString: $0) } ?? "Function", inputs, outputs,
      changed: changed.map { flags in outputs.indices.map { flags[$0] != 0 } } ?? [],
      saving: try tensors(saved, savedCount)
    ) { context in
      let handles: [sn_tensor?] = (0..<outputCount).map { context.gradIfAny($0).map(handle) }
      defer { for handle in handles { sn_release(handle) } }
      var results = [sn_tensor?](repeating: nil, count: count)
      let saved = SavedHandle(context)
      let status = withExtendedLifetime(saved) {
        backward(
          owner.pointer, sn_backward_context(Unmanaged.passUnretained(saved).toOpaque()), handles,
          Int64(handles.count), &results, Int64(count))
      }
      let made = results.map(adopt)
      if status != 0 { throw SwiftNetError(.callback, "the backward of a custom function failed") }
      return made
    }
  }
}
