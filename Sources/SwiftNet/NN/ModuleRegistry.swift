/// The settings that a type of module takes, in the order of PyTorch's constructor.
public struct ModuleSchema: Sendable {
  public struct Setting: Sendable {
    public let name: String
    /// Nil for a setting that has to be given.
    let fallback: Fallback?
  }

  enum Fallback: Sendable {
    case none, bool(Bool), int(Int), double(Double), string(String)

    var value: ConfigValue {
      switch self {
      case .none: .none
      case .bool(let value): .bool(value)
      case .int(let value): .int(value)
      case .double(let value): .double(value)
      case .string(let value): .string(value)
      }
    }
  }

  public private(set) var settings: [Setting] = []

  /// `required` settings first, then those with a default, as "name: value" pairs.
  init(_ required: String..., optional: KeyValuePairs<String, Fallback> = [:]) {
    settings = required.map { Setting(name: $0, fallback: nil) }
    settings += optional.map { Setting(name: $0.key, fallback: $0.value) }
  }

  /// Settings with a default, in order.
  init(pairs: [(String, Fallback)]) { settings = pairs.map { Setting(name: $0, fallback: $1) } }

  /// The given settings, completed by the defaults.
  func complete(_ given: [(name: String, value: ConfigValue)], typeName: String) throws -> NamedList<ConfigValue> {
    var result = NamedList<ConfigValue>()
    for setting in settings {
      if let value = given.first(where: { $0.name == setting.name })?.value {
        result[setting.name] = value
      } else if let fallback = setting.fallback {
        result[setting.name] = fallback.value
      } else {
        throw SwiftNetError.type("\(typeName)() missing a required argument: '\(setting.name)'")
      }
    }
    for (name, _) in given where !result.contains(name) {
      throw SwiftNetError.type("\(typeName)() got an unexpected keyword argument '\(name)'")
    }
    return result
  }
}

extension ModuleSchema.Fallback: ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
  ExpressibleByBooleanLiteral, ExpressibleByStringLiteral, ExpressibleByNilLiteral
{
  init(integerLiteral value: Int) { self = .int(value) }
  init(floatLiteral value: Double) { self = .double(value) }
  init(booleanLiteral value: Bool) { self = .bool(value) }
  init(stringLiteral value: String) { self = .string(value) }
  init(nilLiteral: ()) { self = .none }
}

/// All types of modules by name: what `Module.make` can make.
public enum ModuleRegistry {
  struct Entry: Sendable {
    let schema: ModuleSchema
    let type: Module.Type
  }

  private static let entries: [String: Entry] = {
    var result: [String: Entry] = [:]
    for family in families {
      for (name, schema) in family.schemas { result[name] = Entry(schema: schema, type: family.type) }
    }
    return result
  }()

  /// Names of all types.
  public static var typeNames: [String] { entries.keys.sorted() }

  static func entry(_ typeName: String) throws -> Entry {
    guard let entry = entries[typeName] else {
      throw SwiftNetError.value("there is no module type '\(typeName)'")
    }
    return entry
  }

  public static func schema(_ typeName: String) throws -> ModuleSchema { try entry(typeName).schema }
}

/// Types of modules that one class implements.
protocol ModuleFamily: Module {
  static var schemas: [(name: String, schema: ModuleSchema)] { get }
}

extension ModuleRegistry {
  /// A class and the types it implements.
  struct Family {
    let type: Module.Type
    let schemas: [(name: String, schema: ModuleSchema)]

    init<M: ModuleFamily>(_ type: M.Type) {
      self.type = type
      schemas = type.schemas
    }
  }
}

extension Module {
  /// A module by the name of its type and its settings.
  ///
  /// - Parameters:
  ///   - dtype: of the parameters; the default dtype if nil.
  ///   - building: whether to make the parameters and children; without, only the settings are there.
  public static func make(
    _ typeName: String, _ settings: [(name: String, value: ConfigValue)] = [], dtype: DType? = nil,
    building: Bool = true
  ) throws -> Module {
    let entry = try ModuleRegistry.entry(typeName)
    let module = entry.type.init(typeName: typeName)
    try module.setAll(try entry.schema.complete(settings, typeName: typeName))
    if building {
      let dtype = dtype ?? TypePromotion.defaultDType
      guard dtype.isFloatingPoint else {
        throw SwiftNetError.type("only Tensors of floating point dtype can require gradients, got \(dtype.name)")
      }
      try module.build(dtype)
    }
    return module
  }

  /// The same with settings as a dictionary literal: `Module.make("Conv2d", ["in_channels": 3, …])`.
  public static func make(
    _ typeName: String, _ settings: KeyValuePairs<String, ConfigValue>, dtype: DType? = nil
  ) throws -> Module {
    try make(typeName, settings.map { (name: $0.key, value: $0.value) }, dtype: dtype)
  }
}
