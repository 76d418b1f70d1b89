/// Comparisons of whole tensors.
extension Tensor {
  /// Whether shape and all elements are equal.
  public func isEqual(_ other: Tensor) throws -> Bool {
    if shape != other.shape { return false }
    return try !noGrad { try Binary.apply(.eq, .tensor(self), .tensor(other)).all().item() }.isZero
  }

  /// Element by element, whether |a - b| ≤ atol + rtol · |b|. Infinities are close to themselves only.
  public func isClose(_ other: Tensor, rtol: Double = 1e-5, atol: Double = 1e-8, equalNaN: Bool = false)
    throws -> Tensor
  {
    try require(
      dtype == other.dtype, "\(dtype.scalarTypeName) did not match \(other.dtype.scalarTypeName)")
    try require(rtol >= 0, "rtol must be greater than or equal to zero, but got \(rtol)")
    try require(atol >= 0, "atol must be greater than or equal to zero, but got \(atol)")
    return try noGrad {
      let equal = try Binary.apply(.eq, .tensor(self), .tensor(other))
      if rtol == 0, atol == 0, !equalNaN { return equal }
      var close = equal
      if dtype.isFloatingPoint {
        if equalNaN {
          let both = try Binary.apply(.logicalAnd, .tensor(unary(.isnan)), .tensor(other.unary(.isnan)))
          close = try Binary.apply(.logicalOr, .tensor(close), .tensor(both))
        }
      }
      // Bool and integers compare as floats: their difference may not fit.
      let a = dtype.isFloatingPoint ? self : try to(.float64)
      let b = dtype.isFloatingPoint ? other : try other.to(.float64)
      let allowed = try b.unary(.abs) * .float(rtol) + .float(atol)
      let error = try (a - b).unary(.abs)
      let within = try Binary.apply(
        .logicalAnd, .tensor(error.unary(.isfinite)),
        .tensor(Binary.apply(.le, .tensor(error), .tensor(allowed))))
      return try Binary.apply(.logicalOr, .tensor(close), .tensor(within))
    }
  }

  /// Whether all elements are close.
  public func allClose(_ other: Tensor, rtol: Double = 1e-5, atol: Double = 1e-8, equalNaN: Bool = false)
    throws -> Bool
  {
    try !isClose(other, rtol: rtol, atol: atol, equalNaN: equalNaN).all().item().isZero
  }
}
