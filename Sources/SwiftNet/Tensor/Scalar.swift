/// A number that is not a tensor: it takes part in type promotion by its kind only.
public enum Scalar: Sendable, Equatable, ExpressibleByFloatLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByBooleanLiteral
{
  case float(Double)
  case int(Int64)
  case bool(Bool)

  public init(floatLiteral value: Double) { self = .float(value) }
  public init(integerLiteral value: Int64) { self = .int(value) }
  public init(booleanLiteral value: Bool) { self = .bool(value) }

  public var double: Double {
    switch self {
    case .float(let value): value
    case .int(let value): Double(value)
    case .bool(let value): value ? 1 : 0
    }
  }

  /// The value as an integer; a float is cut toward zero, and NaN or a value out of range gives Int64.min.
  public var int64: Int64 {
    switch self {
    case .float(let value): Int64(exactly: value.rounded(.towardZero)) ?? .min
    case .int(let value): value
    case .bool(let value): value ? 1 : 0
    }
  }

  public var isZero: Bool { self == .int(0) || self == .bool(false) || self == .float(0) }

  /// The dtype a tensor made from this number has.
  public var dtype: DType {
    switch self {
    case .float: TypePromotion.defaultDType
    case .int: .int64
    case .bool: .bool
    }
  }

  public var negated: Scalar {
    switch self {
    case .float(let value): .float(-value)
    case .int(let value): .int(0 &- value)
    case .bool(let value): .int(value ? -1 : 0)
    }
  }

  /// As a parameter of a kernel.
  var scalars: Scalars { Scalars(double, pi: int64) }
}
