/// What PyTorch refuses beyond shapes and promotion: dtypes for which an operation makes no sense, and integers
/// divided by zero.
enum BinaryChecks {
  private static let divisions: Set<ElementwiseOp> = [.floorDivide, .truncDivide, .remainder, .fmod]
  private static let integerOnly: Set<ElementwiseOp> = [
    .bitwiseAnd, .bitwiseOr, .bitwiseXor, .shiftLeft, .shiftRight, .gcd, .lcm,
  ]
  /// Not there for bool, with the name that PyTorch's message has.
  private static let notForBool: [ElementwiseOp: String] = [
    .floorDivide: "div_floor_cpu", .truncDivide: "div_trunc_cpu", .remainder: "remainder_cpu",
    .fmod: "fmod_cpu",
    .pow: "pow", .shiftLeft: "lshift_cpu", .shiftRight: "rshift_cpu", .gcd: "gcd_cpu", .lcm: "lcm_cpu",
  ]
  private static let floatOnly: Set<ElementwiseOp> = [.hypot, .logaddexp, .logaddexp2, .nextafter]
  static let operations = divisions.union(integerOnly).union(floatOnly).union([.add, .sub, .pow])

  /// The name that PyTorch's message has.
  private static func kernelName(_ op: ElementwiseOp) -> String {
    switch op {
    case .bitwiseAnd: "bitwise_and_cpu"
    case .bitwiseOr: "bitwise_or_cpu"
    case .bitwiseXor: "bitwise_xor_cpu"
    default: notForBool[op] ?? "\(op.name)_cpu"
    }
  }

  /// In place the dtype of the result is checked before all else.
  static func checkResult(_ op: ElementwiseOp, _ target: Tensor, _ other: ElementwiseOperand) throws {
    let result = TypePromotion.result([.tensor(target), other])
    try require(
      TypePromotion.canCast(result, to: target.dtype),
      "result type \(result.scalarTypeName) can't be cast to the desired output type \(target.dtype.scalarTypeName)"
    )
  }

  static func check(
    _ op: ElementwiseOp, _ a: ElementwiseOperand, _ b: ElementwiseOperand, _ alpha: Scalar
  ) throws {
    let result = TypePromotion.result([a, b])
    if op == .add || op == .sub { return try checkSum(op, a, b, alpha, result) }
    if floatOnly.contains(op), !result.isFloatingPoint {
      throw SwiftNetError.notImplemented(
        "\"\(kernelName(op))\" not implemented for '\(result.scalarTypeName)'")
    }
    // A bool tensor to the power of True or False is 1 or itself.
    if result == .bool, let name = notForBool[op], op != .pow || b.scalarValue == nil {
      throw SwiftNetError.notImplemented("\"\(name)\" not implemented for 'Bool'")
    }
    if integerOnly.contains(op), result.isFloatingPoint {
      throw SwiftNetError.notImplemented(
        "\"\(kernelName(op))\" not implemented for '\(result.scalarTypeName)'")
    }
    if op == .pow, !result.isFloatingPoint, case .scalar(let exponent) = b {
      try require(exponent.int64 >= 0, "Integers to negative integer powers are not allowed.")
    }
    if divisions.contains(op), result.lane == .i64 {
      switch b {
      case .scalar(let divisor): try require(!divisor.isZero, "ZeroDivisionError")
      case .tensor(let divisor):
        if divisor.count > 0 {
          try require(try noGrad { try !divisor.all().item().isZero }, "ZeroDivisionError")
        }
      }
    }
  }

  private static func checkSum(
    _ op: ElementwiseOp, _ a: ElementwiseOperand, _ b: ElementwiseOperand, _ alpha: Scalar, _ result: DType
  ) throws {
    if op == .sub, a.dtype == .bool, b.dtype == .bool {
      throw SwiftNetError.runtime(
        "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` "
          + "operator instead.")
    }
    if op == .sub, a.dtype == .bool || b.dtype == .bool {
      throw SwiftNetError.runtime(
        "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, use "
          + "the `~` or `logical_not()` operator instead.")
    }
    if case .float = alpha, !result.isFloatingPoint {
      throw SwiftNetError.runtime(
        "For integral input tensors, argument alpha must not be a floating point number.")
    }
    if case .bool = alpha, result != .bool {
      throw SwiftNetError.runtime("Boolean alpha only supported for Boolean results.")
    }
  }
}
