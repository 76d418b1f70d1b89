/// Element type of a tensor. Raw values are part of the C ABI.
public enum DType: Int32, CaseIterable, Sendable {
  case float32 = 0
  case float64
  case float16
  case bfloat16
  case int8
  case int16
  case int32
  case int64
  case uint8
  case bool

  /// Bytes of one element.
  @inlinable public var size: Int {
    switch self {
    case .float64, .int64: 8
    case .float32, .int32: 4
    case .float16, .bfloat16, .int16: 2
    case .int8, .uint8, .bool: 1
    }
  }

  @inlinable public var isFloatingPoint: Bool { rawValue <= DType.bfloat16.rawValue }
  @inlinable public var isIntegral: Bool { !isFloatingPoint && self != .bool }
  @inlinable public var isSigned: Bool { self != .uint8 && self != .bool }

  /// The number type in which kernels compute on elements of this type.
  @inlinable public var lane: Lane {
    switch self {
    case .float32, .float16, .bfloat16: .f32
    case .float64: .f64
    default: .i64
    }
  }

  /// Whether an element in memory already is a lane value, so that kernels run on it without conversion.
  @inlinable public var isLane: Bool { self == .float32 || self == .float64 || self == .int64 }
}

/// The three number types of the elementwise and reduction kernels. Narrower types are widened as they are
/// loaded and narrowed as they are stored, so each operation is written three times at most.
public enum Lane: Int, CaseIterable, Sendable {
  case f32 = 0
  case f64
  case i64

  @inlinable public var size: Int { self == .f32 ? 4 : 8 }

  /// The dtype whose elements are lane values.
  @inlinable public var dtype: DType {
    switch self {
    case .f32: .float32
    case .f64: .float64
    case .i64: .int64
    }
  }
}

extension DType {
  /// Where kernels that come for float32, float64 and bfloat16 stand for this dtype; nil if they do not compute on it.
  public var kernelPlace: Int? {
    switch self {
    case .float32: 0
    case .float64: 1
    case .bfloat16: 2
    default: nil
    }
  }
}
