/// A part of a network: parameters, buffers and children under names, settings under names, and `forward`.
///
/// Everything can be replaced while the module lives: a child by another module, a parameter by another tensor, a
/// setting by another value. Semantics are those of `torch.nn.Module`.
///
/// A subclass adds its parameters with `setParameter`, its children with `setChild`, and overrides `forward`; a module
/// that maps one tensor to one tensor derives from `Layer`.
open class Module {
  /// The name of the type: "Conv2d".
  public let typeName: String
  public private(set) var parameters = NamedList<Tensor?>()
  public private(set) var buffers = NamedList<Buffer>()
  public private(set) var children = NamedList<Module?>()
  public private(set) var settings = NamedList<ConfigValue>()
  /// Whether this module (not its children) is in training mode.
  public var training = true
  /// Runs instead of `forward` wherever the module is called; set when another language overrides or hooks it.
  public var forwardOverride: (([ModuleValue]) throws -> ModuleValue)?

  /// A tensor that belongs to the module without being trained; a persistent one is part of the state.
  public struct Buffer {
    public var tensor: Tensor?
    public var isPersistent: Bool
  }

  public required init(typeName: String) { self.typeName = typeName }

  // MARK: Forward

  /// The module's computation. Call the module itself rather than this, so that overrides run.
  open func forward(_ inputs: [ModuleValue]) throws -> ModuleValue {
    throw SwiftNetError.notImplemented("Module [\(typeName)] is missing the required \"forward\" function")
  }

  /// `forward` of one tensor, for modules that give one tensor.
  open func forward(_ x: Tensor) throws -> Tensor {
    try forward([.tensor(x)]).expectTensor(typeName, "output")
  }

  /// Runs the module on any values.
  public final func call(_ inputs: [ModuleValue]) throws -> ModuleValue {
    if let forwardOverride { return try forwardOverride(inputs) }
    return try forward(inputs)
  }

  public final func callAsFunction(_ x: Tensor) throws -> Tensor {
    if let forwardOverride { return try forwardOverride([.tensor(x)]).expectTensor(typeName, "output") }
    return try forward(x)
  }

  public final func callAsFunction(_ inputs: Tensor...) throws -> Tensor {
    try call(inputs.map(ModuleValue.tensor)).expectTensor(typeName, "output")
  }

  // MARK: Settings

  /// Called after a setting has changed. A subclass takes over what it keeps in typed form, and throws if the
  /// settings make no sense; the change is then undone.
  open func configure() throws {}

  /// Makes the parameters, buffers and children that the settings ask for, with fresh values.
  open func build(_ dtype: DType) throws {}

  /// Draws the parameters anew, as they were drawn at first.
  open func resetParameters() throws {}

  public final func setting(_ name: String) -> ConfigValue? { settings[name] }

  /// Changes a setting; it takes effect at once. Settings that decided the parameters' shapes change what the module
  /// says of itself, not its parameters.
  public final func set(_ name: String, _ value: ConfigValue) throws {
    guard let before = settings[name] else {
      throw SwiftNetError.value("\(typeName) has no setting '\(name)'")
    }
    settings[name] = value
    do {
      try configure()
    } catch {
      settings[name] = before
      try configure()
      throw error
    }
  }

  /// Gives all settings at once, before the module is used.
  final func setAll(_ values: NamedList<ConfigValue>) throws {
    settings = values
    try configure()
  }

  /// Records a setting under a name of its own without calling `configure`.
  final func store(_ name: String, _ value: ConfigValue) { settings[name] = value }

  // MARK: Members

  /// Registers or replaces a parameter; nil keeps the name without one.
  public final func setParameter(_ name: String, _ tensor: Tensor?) { parameters[name] = .some(tensor) }

  /// Registers a new parameter that requires a gradient.
  @discardableResult
  public final func addParameter(_ name: String, _ tensor: Tensor) throws -> Tensor {
    try tensor.setRequiresGrad(true)
    setParameter(name, tensor)
    return tensor
  }

  public final func setBuffer(_ name: String, _ tensor: Tensor?, persistent: Bool = true) {
    buffers[name] = Buffer(tensor: tensor, isPersistent: persistent)
  }

  /// Registers or replaces a child; nil keeps the name without one.
  public final func setChild(_ name: String, _ child: Module?) { children[name] = .some(child) }

  public final func removeParameter(_ name: String) { parameters.remove(name) }
  public final func removeBuffer(_ name: String) { buffers.remove(name) }
  public final func removeChild(_ name: String) { children.remove(name) }

  /// A parameter by name, nil if it is not there or registered without a value.
  public final func parameter(_ name: String) -> Tensor? { parameters[name] ?? nil }

  /// A buffer by name.
  public final func buffer(_ name: String) -> Tensor? { buffers[name]?.tensor }

  /// A parameter that the module cannot do without.
  public final func requiredParameter(_ name: String) throws -> Tensor {
    guard let tensor = parameter(name) else {
      throw SwiftNetError.runtime("'\(typeName)' object has no parameter '\(name)'")
    }
    return tensor
  }

  /// A child by name.
  public final func child(_ name: String) throws -> Module {
    guard let child = children[name] ?? nil else {
      throw SwiftNetError.runtime("'\(typeName)' object has no child '\(name)'")
    }
    return child
  }
}

/// A module that maps one tensor to one tensor.
open class Layer: Module {
  open override func forward(_ x: Tensor) throws -> Tensor {
    throw SwiftNetError.notImplemented("Module [\(typeName)] is missing the required \"forward\" function")
  }

  open override func forward(_ inputs: [ModuleValue]) throws -> ModuleValue {
    guard inputs.count == 1 else {
      throw SwiftNetError.type("\(typeName).forward() takes 1 input but \(inputs.count) were given")
    }
    return .tensor(try forward(try inputs[0].expectTensor(typeName)))
  }
}

extension Module {
  private func wrongType(_ name: String, _ expected: String) -> SwiftNetError {
    SwiftNetError.type("\(typeName): \(name) must be \(expected), not \(settings[name]?.typeName ?? "missing")")
  }

  /// Settings by type, for `configure`.
  public final func bool(_ name: String) throws -> Bool {
    guard let value = settings[name]?.truth else { throw wrongType(name, "bool") }
    return value
  }

  public final func int(_ name: String) throws -> Int {
    guard let value = settings[name]?.int else { throw wrongType(name, "int") }
    return value
  }

  public final func double(_ name: String) throws -> Double {
    guard let value = settings[name]?.double else { throw wrongType(name, "float") }
    return value
  }

  public final func string(_ name: String) throws -> String {
    guard let value = settings[name]?.string else { throw wrongType(name, "str") }
    return value
  }

  /// Whole numbers; a single one is a list of one.
  public final func ints(_ name: String) throws -> [Int] {
    guard let value = settings[name]?.ints else { throw wrongType(name, "int or a tuple of ints") }
    return value
  }

  /// As the above, for settings that may be None.
  public final func optionalInt(_ name: String) throws -> Int? {
    settings[name]?.isNone != false ? nil : try int(name)
  }

  public final func optionalInts(_ name: String) throws -> [Int]? {
    settings[name]?.isNone != false ? nil : try ints(name)
  }

  public final func optionalDouble(_ name: String) throws -> Double? {
    settings[name]?.isNone != false ? nil : try double(name)
  }
}
