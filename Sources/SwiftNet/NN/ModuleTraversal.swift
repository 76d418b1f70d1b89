/// Walks over a module and its descendants, in PyTorch's order: a module before its children, names joined by dots,
/// what is shared only once, under its first name.
extension Module {
  /// This module and all below.
  public func namedModules(prefix: String = "") -> [(name: String, module: Module)] {
    var seen = Set<ObjectIdentifier>()
    var result: [(name: String, module: Module)] = []
    collect(prefix, &seen, &result)
    return result
  }

  private func collect(
    _ prefix: String, _ seen: inout Set<ObjectIdentifier>, _ result: inout [(name: String, module: Module)]
  ) {
    guard seen.insert(ObjectIdentifier(self)).inserted else { return }
    result.append((prefix, self))
    for (name, child) in children {
      child?.collect(prefix.isEmpty ? name : "\(prefix).\(name)", &seen, &result)
    }
  }

  public var modules: [Module] { namedModules().map(\.module) }

  private func named(_ members: (Module) -> [(String, Tensor?)]) -> [(name: String, tensor: Tensor)] {
    var seen = Set<ObjectIdentifier>()
    var result: [(name: String, tensor: Tensor)] = []
    for (prefix, module) in namedModules() {
      for case (let name, let tensor?) in members(module) where seen.insert(ObjectIdentifier(tensor)).inserted {
        result.append((prefix.isEmpty ? name : "\(prefix).\(name)", tensor))
      }
    }
    return result
  }

  /// All parameters with their full names.
  public func namedParameters() -> [(name: String, tensor: Tensor)] {
    named { module in module.parameters.map { ($0, $1) } }
  }

  /// All buffers with their full names.
  public func namedBuffers() -> [(name: String, tensor: Tensor)] {
    named { module in module.buffers.map { ($0, $1.tensor) } }
  }

  /// All parameters, for an optimizer.
  public var allParameters: [Tensor] { namedParameters().map(\.tensor) }

  /// Switches this module and all below to training mode.
  @discardableResult
  public func train(_ mode: Bool = true) -> Self {
    for module in modules { module.training = mode }
    return self
  }

  /// Switches to evaluation: dropout passes on, batch norm uses its running statistics.
  @discardableResult
  public func eval() -> Self { train(false) }

  /// Whether backward computes gradients for the parameters.
  public func requiresGrad(_ value: Bool) throws {
    for (_, parameter) in namedParameters() { try parameter.setRequiresGrad(value) }
  }

  /// Takes the gradients of all parameters away.
  public func zeroGrad() {
    for (_, parameter) in namedParameters() { parameter.grad = nil }
  }

  /// Converts floating-point parameters and buffers to a dtype; the tensors keep their identity.
  public func to(_ dtype: DType) throws {
    guard dtype.isFloatingPoint else {
      throw SwiftNetError.type(
        "nn.Module.to only accepts floating point or complex dtypes, but got desired dtype=\(dtype.name)")
    }
    try noGrad {
      for (_, tensor) in namedParameters() + namedBuffers() where tensor.dtype.isFloatingPoint {
        let gradient = tensor.grad
        try tensor.setData(try tensor.detach().to(dtype))
        if let gradient { tensor.grad = try gradient.detach().to(dtype) }
      }
    }
  }

  /// Parameters and persistent buffers with their full names, detached, in PyTorch's order. They share memory with
  /// the module.
  public func stateDict() throws -> [(name: String, tensor: Tensor)] {
    try state(prefix: "").map { ($0, try $1.detach()) }
  }

  private func state(prefix: String) -> [(String, Tensor)] {
    var result: [(String, Tensor)] = []
    for case (let name, let tensor?) in parameters { result.append((prefix + name, tensor)) }
    for (name, buffer) in buffers where buffer.isPersistent {
      if let tensor = buffer.tensor { result.append((prefix + name, tensor)) }
    }
    for (name, child) in children {
      if let child { result += child.state(prefix: "\(prefix)\(name).") }
    }
    return result
  }

  /// Copies values into the parameters and buffers of the same names.
  ///
  /// - Parameter strict: every name of the module has to be given, and none else.
  /// - Returns: the names that were missing and those that were not expected.
  @discardableResult
  public func loadStateDict(
    _ values: [(name: String, tensor: Tensor)], strict: Bool = true
  ) throws -> (missing: [String], unexpected: [String]) {
    let given = Dictionary(values.map { ($0.name, $0.tensor) }) { $1 }
    let own = state(prefix: "")
    let known = Set(own.map(\.0))
    var missing: [String] = []
    var problems: [String] = []
    try noGrad {
      for (name, target) in own {
        guard let source = given[name] else {
          missing.append(name)
          continue
        }
        if source.shape != target.shape {
          problems.append(
            "size mismatch for \(name): copying a param with shape \(Shape.describe(source.shape)) from checkpoint, "
              + "the shape in current model is \(Shape.describe(target.shape)).")
          continue
        }
        try target.copyInPlace(source)
      }
    }
    let unexpected = values.map(\.name).filter { !known.contains($0) }
    if strict {
      func list(_ names: [String]) -> String { names.map { "\"\($0)\"" }.joined(separator: ", ") }
      if !missing.isEmpty { problems.insert("Missing key(s) in state_dict: \(list(missing)). ", at: 0) }
      if !unexpected.isEmpty { problems.insert("Unexpected key(s) in state_dict: \(list(unexpected)). ", at: 0) }
    }
    if !problems.isEmpty {
      throw SwiftNetError.runtime(
        "Error(s) in loading state_dict for \(typeName):\n\t" + problems.joined(separator: "\n\t"))
    }
    return (missing, unexpected)
  }
}
