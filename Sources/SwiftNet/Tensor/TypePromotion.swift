@_exported import KernelTypes

extension DType {
  /// PyTorch's name, without the module.
  public var name: String { String(describing: self) }

  /// PyTorch's name in messages about scalar types ("Float", "Long").
  public var scalarTypeName: String {
    switch self {
    case .float32: "Float"
    case .float64: "Double"
    case .float16: "Half"
    case .bfloat16: "BFloat16"
    case .int8: "Char"
    case .int16: "Short"
    case .int32: "Int"
    case .int64: "Long"
    case .uint8: "Byte"
    case .bool: "Bool"
    }
  }
}

/// PyTorch's rules for the dtype of a result.
/// https://pytorch.org/docs/stable/tensor_attributes.html#type-promotion-doc
public enum TypePromotion {
  /// Dtype of floating-point results where no tensor says otherwise.
  nonisolated(unsafe) public static var defaultDType: DType = .float32

  /// The smallest dtype that both convert to.
  public static func promote(_ a: DType, _ b: DType) -> DType {
    if a == b { return a }
    if a == .bool { return b }
    if b == .bool { return a }
    if a.isFloatingPoint != b.isFloatingPoint { return a.isFloatingPoint ? a : b }
    if a.isFloatingPoint {
      if a == .float64 || b == .float64 { return .float64 }
      return .float32
    }
    if a == .uint8 || b == .uint8 {
      let other = a == .uint8 ? b : a
      return other == .int8 ? .int16 : other
    }
    return a.size >= b.size ? a : b
  }

  /// The common dtype of operands: tensors with dimensions decide, then tensors without, then numbers; a lower
  /// kind only matters if it is of a higher category (bool, integer, float).
  public static func result(_ operands: [ElementwiseOperand]) -> DType {
    var dimensioned: DType?
    var zeroDimensional: DType?
    var wrapped: DType?
    for operand in operands {
      switch operand {
      case .tensor(let tensor):
        if tensor.shape.isEmpty {
          zeroDimensional = zeroDimensional.map { promote($0, tensor.dtype) } ?? tensor.dtype
        } else {
          dimensioned = dimensioned.map { promote($0, tensor.dtype) } ?? tensor.dtype
        }
      case .scalar(let scalar):
        wrapped = wrapped.map { promote($0, scalar.dtype) } ?? scalar.dtype
      }
    }
    return combine(dimensioned, combine(zeroDimensional, wrapped)) ?? defaultDType
  }

  private static func combine(_ higher: DType?, _ lower: DType?) -> DType? {
    guard let higher else { return lower }
    guard let lower else { return higher }
    if higher.isFloatingPoint { return higher }
    if higher == .bool || lower.isFloatingPoint { return promote(higher, lower) }
    return higher
  }

  /// Whether a result of dtype `from` may be written into a tensor of dtype `to`.
  public static func canCast(_ from: DType, to: DType) -> Bool {
    if from.isFloatingPoint && !to.isFloatingPoint { return false }
    if from != .bool && to == .bool { return false }
    return true
  }
}
