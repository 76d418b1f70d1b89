/// Modules that hold others.

/// Its children one after the other, each on the result of the one before. PyTorch: `torch.nn.Sequential`.
public final class Sequential: Module, ModuleFamily {
  static let schemas = [(name: "Sequential", schema: ModuleSchema())]

  public required init(typeName: String = "Sequential") { super.init(typeName: typeName) }

  public convenience init(_ modules: Module...) {
    self.init()
    for (index, module) in modules.enumerated() { setChild(String(index), module) }
  }

  public override func forward(_ inputs: [ModuleValue]) throws -> ModuleValue {
    guard inputs.count == 1 else {
      throw SwiftNetError.type("Sequential.forward() takes 1 input but \(inputs.count) were given")
    }
    var value = inputs[0]
    for case let child? in children.values { value = try child.call([value]) }
    return value
  }
}

/// A list of modules, dictionary of modules, list or dictionary of parameters: they hold, they do not compute. Children
/// of a list are named "0", "1", … PyTorch: `torch.nn.ModuleList` and so on.
public final class ModuleContainer: Module, ModuleFamily {
  static let schemas = ["ModuleList", "ModuleDict", "ParameterList", "ParameterDict"].map {
    (name: $0, schema: ModuleSchema())
  }

  public static func list(_ modules: [Module] = []) -> ModuleContainer {
    let result = ModuleContainer(typeName: "ModuleList")
    for module in modules { result.append(module) }
    return result
  }

  public static func dictionary(_ modules: KeyValuePairs<String, Module> = [:]) -> ModuleContainer {
    let result = ModuleContainer(typeName: "ModuleDict")
    for (name, module) in modules { result.setChild(name, module) }
    return result
  }

  public func append(_ module: Module) { setChild(String(children.count), module) }

  public subscript(index: Int) -> Module? {
    children.values.indices.contains(index) ? children.values[index] : nil
  }
}

/// A module written in another language: all it does goes through `forwardOverride`.
public final class ForeignModule: Module {}
