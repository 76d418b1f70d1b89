/// What PyTorch does differently for integers and bool: operations that they do not have, and other results.
enum UnaryChecks {
  /// Throws for an operation that the dtype does not have; gives the result where it is another operation's, and nil
  /// where the table `Unary` holds.
  static func integer(_ op: ElementwiseOp, _ x: Tensor, _ scalars: Scalars) throws -> Tensor? {
    if op == .frac {
      throw SwiftNetError.notImplemented("\"frac_cpu\" not implemented for '\(x.dtype.scalarTypeName)'")
    }
    if op == .softsign || op == .tanhshrink { return try x.to(TypePromotion.defaultDType).unary(op) }
    if op == .hardtanh, x.dtype != .bool {
      return try x.clamp(.scalar(.int(Scalar.float(scalars.p).int64)), .scalar(.int(Scalar.float(scalars.q).int64)))
    }
    guard x.dtype == .bool else { return nil }
    switch op {
    case .neg:
      throw SwiftNetError.runtime(
        "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use the `~` "
          + "or `logical_not()` operator instead.")
    case .relu: throw SwiftNetError.runtime("Boolean inputs not supported for relu")
    case .abs: throw SwiftNetError.notImplemented("\"abs_cpu\" not implemented for 'Bool'")
    case .ceil, .floor, .trunc, .round:
      throw SwiftNetError.notImplemented("\"\(op.name)_vml_cpu\" not implemented for 'Bool'")
    case .square: return try x.to(.int64)
    case .bitwiseNot: return try x.unary(.logicalNot)
    default: return nil
    }
  }
}
