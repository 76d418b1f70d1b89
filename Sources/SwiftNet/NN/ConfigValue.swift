/// One setting of a module or an optimizer: `stride`, `eps`, `padding_mode`.
public enum ConfigValue {
  case none
  case bool(Bool)
  case int(Int)
  case double(Double)
  case string(String)
  case ints([Int])
  case doubles([Double])
  case tensor(Tensor)
}

extension ConfigValue: ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral, ExpressibleByBooleanLiteral,
  ExpressibleByStringLiteral, ExpressibleByArrayLiteral, ExpressibleByNilLiteral
{
  public init(integerLiteral value: Int) { self = .int(value) }
  public init(floatLiteral value: Double) { self = .double(value) }
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  public init(stringLiteral value: String) { self = .string(value) }
  public init(arrayLiteral elements: Int...) { self = .ints(elements) }
  public init(nilLiteral: ()) { self = .none }
}

extension ConfigValue {
  /// The type's name as a Python user knows it.
  public var typeName: String {
    switch self {
    case .none: "None"
    case .bool: "bool"
    case .int: "int"
    case .double: "float"
    case .string: "str"
    case .ints, .doubles: "tuple"
    case .tensor: "Tensor"
    }
  }

  public var isNone: Bool {
    if case .none = self { true } else { false }
  }

  /// Whether it counts as true in a condition, as in Python.
  public var truth: Bool? {
    switch self {
    case .bool(let value): value
    case .int(let value): value != 0
    case .double(let value): value != 0
    case .none: false
    default: nil
    }
  }

  /// A whole number, also written as a bool or as a float without fraction.
  public var int: Int? {
    switch self {
    case .int(let value): value
    case .bool(let value): value ? 1 : 0
    case .double(let value): Int(exactly: value)
    default: nil
    }
  }

  public var double: Double? {
    switch self {
    case .double(let value): value
    case .int(let value): Double(value)
    case .bool(let value): value ? 1 : 0
    default: nil
    }
  }

  /// Whole numbers; a single one is a list of one.
  public var ints: [Int]? {
    switch self {
    case .ints(let values): values
    case .doubles(let values): values.isEmpty ? [] : nil
    default: int.map { [$0] }
    }
  }

  public var doubles: [Double]? {
    switch self {
    case .doubles(let values): values
    case .ints(let values): values.map(Double.init)
    default: double.map { [$0] }
    }
  }

  public var string: String? {
    if case .string(let value) = self { value } else { nil }
  }

  public var tensor: Tensor? {
    if case .tensor(let value) = self { value } else { nil }
  }
}

/// Named values in the order in which they were added. Lookup is a search, by hash from some size on.
public struct NamedList<Value> {
  public private(set) var names: [String] = []
  public private(set) var values: [Value] = []
  private var positions: [String: Int] = [:]
  private static var searchLimit: Int { 12 }

  public init() {}

  public var count: Int { names.count }
  public var isEmpty: Bool { names.isEmpty }

  public func position(of name: String) -> Int? {
    if names.count > Self.searchLimit { return positions[name] }
    return names.firstIndex(of: name)
  }

  public func contains(_ name: String) -> Bool { position(of: name) != nil }

  /// Setting a new name appends it; setting nil removes it.
  public subscript(name: String) -> Value? {
    get { position(of: name).map { values[$0] } }
    set {
      guard let newValue else {
        remove(name)
        return
      }
      if let position = position(of: name) {
        values[position] = newValue
        return
      }
      names.append(name)
      values.append(newValue)
      if names.count == Self.searchLimit + 1 {
        reindex()
      } else if names.count > Self.searchLimit {
        positions[name] = names.count - 1
      }
    }
  }

  public mutating func remove(_ name: String) {
    guard let position = position(of: name) else { return }
    names.remove(at: position)
    values.remove(at: position)
    if names.count > Self.searchLimit { reindex() }
  }

  private mutating func reindex() {
    positions.removeAll(keepingCapacity: true)
    for (index, name) in names.enumerated() { positions[name] = index }
  }
}

extension NamedList: Sequence {
  public func makeIterator() -> Zip2Sequence<[String], [Value]>.Iterator { zip(names, values).makeIterator() }
}
