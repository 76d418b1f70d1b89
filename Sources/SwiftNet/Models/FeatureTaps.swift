extension Module {
  /// Runs the module and gives, beside its output, what the descendants with the given names gave.
  ///
  ///     let (_, features) = try network.outputs(of: ["layer2", "layer4"], from: .tensor(images))
  public func outputs(
    of names: [String], from inputs: ModuleValue...
  ) throws -> (output: ModuleValue, features: [String: ModuleValue]) {
    let known = Dictionary(namedModules().map { ($0.name, $0.module) }) { first, _ in first }
    var taps: [(name: String, module: Module)] = []
    for name in names {
      guard let module = known[name] else {
        throw SwiftNetError.value("'\(typeName)' has no descendant '\(name)'")
      }
      taps.append((name, module))
    }
    var features: [String: ModuleValue] = [:]
    // Unwound in reverse, so that a module with two names gets back what it had first.
    var before: [(Module, (([ModuleValue]) throws -> ModuleValue)?)] = []
    defer { for (module, override) in before.reversed() { module.forwardOverride = override } }
    for (name, module) in taps where module !== self {
      let inner = module.forwardOverride
      before.append((module, inner))
      module.forwardOverride = { [unowned module] inputs in
        let result = try inner?(inputs) ?? module.forward(inputs)
        features[name] = result
        return result
      }
    }
    let output = try call(inputs)
    for (name, module) in taps where module === self { features[name] = output }
    return (output, features)
  }
}
