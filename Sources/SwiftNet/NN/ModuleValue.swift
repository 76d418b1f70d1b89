/// What goes into a module and comes out of it: mostly a tensor, sometimes lists of tensors, numbers, nothing, or an
/// object of another language that Swift only hands on.
public indirect enum ModuleValue {
  case none
  case tensor(Tensor)
  case list([ModuleValue])
  case tuple([ModuleValue])
  case bool(Bool)
  case int(Int)
  case double(Double)
  case string(String)
  case foreign(AnyObject)

  public init(_ tensor: Tensor?) {
    self = tensor.map(ModuleValue.tensor) ?? .none
  }

  /// The tensor, if it is one.
  public var tensor: Tensor? {
    if case .tensor(let value) = self { value } else { nil }
  }

  /// The items of a list or a tuple.
  public var items: [ModuleValue]? {
    switch self {
    case .list(let items), .tuple(let items): items
    default: nil
    }
  }

  /// The type's name as a Python user knows it.
  public var typeName: String {
    switch self {
    case .none: "NoneType"
    case .tensor: "Tensor"
    case .list: "list"
    case .tuple: "tuple"
    case .bool: "bool"
    case .int: "int"
    case .double: "float"
    case .string: "str"
    case .foreign: "object"
    }
  }

  /// The tensor, or an error that names who wanted one.
  public func expectTensor(_ function: String, _ argument: String = "input") throws -> Tensor {
    guard case .tensor(let value) = self else {
      throw SwiftNetError.type("\(function)(): argument '\(argument)' must be Tensor, not \(typeName)")
    }
    return value
  }
}
