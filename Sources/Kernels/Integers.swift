import KernelTypes

// Arithmetic of the integer lane wraps, and no operation traps: division by zero gives 0 (the caller reports
// it), and the one quotient that does not fit, INT64_MIN / -1, wraps.

@inline(__always) private func copy(_ a: Int64, _ s: Scalars) -> Int64 { a }
@inline(__always) private func magnitude(_ a: Int64, _ s: Scalars) -> Int64 { a < 0 ? 0 &- a : a }
@inline(__always) private func negate(_ a: Int64, _ s: Scalars) -> Int64 { 0 &- a }
@inline(__always) private func sign(_ a: Int64, _ s: Scalars) -> Int64 { a.signum() }
@inline(__always) private func square(_ a: Int64, _ s: Scalars) -> Int64 { a &* a }
@inline(__always) private func zero(_ a: Int64, _ s: Scalars) -> Int64 { 0 }
@inline(__always) private func one(_ a: Int64, _ s: Scalars) -> Int64 { 1 }
@inline(__always) private func signBit(_ a: Int64, _ s: Scalars) -> Int64 { a < 0 ? 1 : 0 }
@inline(__always) private func invert(_ a: Int64, _ s: Scalars) -> Int64 { ~a }
@inline(__always) private func relu(_ a: Int64, _ s: Scalars) -> Int64 { Swift.max(a, 0) }
@inline(__always) private func relu6(_ a: Int64, _ s: Scalars) -> Int64 { Swift.min(Swift.max(a, 0), 6) }
@inline(__always) private func threshold(_ a: Int64, _ s: Scalars) -> Int64 { a > s.pi ? a : s.qi }
@inline(__always) private func clamp(_ a: Int64, _ s: Scalars) -> Int64 {
  Swift.min(Swift.max(a, s.pi), s.qi)
}

@inline(__always) private func add(_ a: Longs, _ b: Longs, _ p: Int64) -> Longs { a &+ b &* p }
@inline(__always) private func subtract(_ a: Longs, _ b: Longs, _ p: Int64) -> Longs { a &- b &* p }
@inline(__always) private func multiply(_ a: Longs, _ b: Longs, _ p: Int64) -> Longs { a &* b }
@inline(__always) private func and(_ a: Longs, _ b: Longs, _ p: Int64) -> Longs { a & b }
@inline(__always) private func or(_ a: Longs, _ b: Longs, _ p: Int64) -> Longs { a | b }
@inline(__always) private func xor(_ a: Longs, _ b: Longs, _ p: Int64) -> Longs { a ^ b }
@inline(__always) private func minimum(_ a: Longs, _ b: Longs, _ p: Int64) -> Longs {
  b.replacing(with: a, where: a .< b)
}
@inline(__always) private func maximum(_ a: Longs, _ b: Longs, _ p: Int64) -> Longs {
  b.replacing(with: a, where: a .> b)
}

@inline(__always) private func truncatingDivide(_ a: Int64, _ b: Int64) -> Int64 {
  b == 0 ? 0 : b == -1 ? 0 &- a : a / b
}
@inline(__always) private func truncatingRemainder(_ a: Int64, _ b: Int64) -> Int64 {
  b == 0 || b == -1 ? 0 : a % b
}
@inline(__always) private func floorDivide(_ a: Int64, _ b: Int64) -> Int64 {
  let quotient = truncatingDivide(a, b)
  return truncatingRemainder(a, b) != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient
}
@inline(__always) private func floorRemainder(_ a: Int64, _ b: Int64) -> Int64 {
  let rest = truncatingRemainder(a, b)
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest
}

/// By squaring, wrapping; a negative exponent gives the truncated quotient: 0 but for bases 1 and -1.
@inline(__always) private func power(_ a: Int64, _ b: Int64) -> Int64 {
  if b < 0 { return a == 1 ? 1 : a == -1 ? (b & 1 == 0 ? 1 : -1) : 0 }
  var base = a, exponent = b, result: Int64 = 1
  while exponent > 0 {
    if exponent & 1 == 1 { result = result &* base }
    base = base &* base
    exponent >>= 1
  }
  return result
}

/// Shifts by less than 0 or more than the width give what shifting out all bits gives.
@inline(__always) private func shiftLeft(_ a: Int64, _ b: Int64) -> Int64 { b < 0 || b > 63 ? 0 : a &<< b }
@inline(__always) private func shiftRight(_ a: Int64, _ b: Int64) -> Int64 {
  b < 0 || b > 63 ? a &>> 63 : a &>> b
}

@inline(__always) private func greatestCommonDivisor(_ a: Int64, _ b: Int64) -> Int64 {
  var x = a.magnitude, y = b.magnitude
  while y != 0 { (x, y) = (y, x % y) }
  return Int64(bitPattern: UInt64(x))
}
@inline(__always) private func leastCommonMultiple(_ a: Int64, _ b: Int64) -> Int64 {
  let divisor = greatestCommonDivisor(a, b)
  let product = truncatingDivide(a, divisor) &* b
  return product < 0 ? 0 &- product : product
}

@inline(__always) private func addProduct(_ a: Int64, _ b: Int64, _ c: Int64, _ s: Scalars) -> Int64 {
  a &+ s.pi &* b &* c
}
@inline(__always) private func addQuotient(_ a: Int64, _ b: Int64, _ c: Int64, _ s: Scalars) -> Int64 {
  a &+ truncatingDivide(s.pi &* b, c)
}
@inline(__always) private func clamp(_ a: Int64, _ b: Int64, _ c: Int64, _ s: Scalars) -> Int64 {
  Swift.min(Swift.max(a, b), c)
}

func registerIntegers(_ table: inout ElementwiseKernels) {
  for op in [ElementwiseOp.copy, .ceil, .floor, .trunc, .round, .nanToNum] { table.integerUnary(op, copy) }
  for op in [ElementwiseOp.isnan, .isinf, .isposinf, .isneginf, .frac] { table.integerUnary(op, zero) }
  table.integerUnary(.isfinite, one)
  table.integerUnary(.abs, magnitude)
  table.integerUnary(.neg, negate)
  table.integerUnary(.sign, sign)
  table.integerUnary(.sgn, sign)
  table.integerUnary(.square, square)
  table.integerUnary(.signbit, signBit)
  table.integerUnary(.bitwiseNot, invert)
  table.integerUnary(.relu, relu)
  table.integerUnary(.relu6, relu6)
  table.integerUnary(.threshold, threshold)
  table.integerUnary(.clampScalar, clamp)
  table.integerUnary(.hardtanh, clamp)

  table.integerVector(.add, add)
  table.integerVector(.sub, subtract)
  table.integerVector(.mul, multiply)
  table.integerVector(.minimum, minimum)
  table.integerVector(.maximum, maximum)
  table.integerVector(.fmin, minimum)
  table.integerVector(.fmax, maximum)
  table.integerVector(.bitwiseAnd, and)
  table.integerVector(.bitwiseOr, or)
  table.integerVector(.bitwiseXor, xor)
  table.integerBinary(.truncDivide, truncatingDivide)
  table.integerBinary(.fmod, truncatingRemainder)
  table.integerBinary(.floorDivide, floorDivide)
  table.integerBinary(.remainder, floorRemainder)
  table.integerBinary(.pow, power)
  table.integerBinary(.shiftLeft, shiftLeft)
  table.integerBinary(.shiftRight, shiftRight)
  table.integerBinary(.gcd, greatestCommonDivisor)
  table.integerBinary(.lcm, leastCommonMultiple)

  table.integerTernary(.addcmul, addProduct)
  table.integerTernary(.addcdiv, addQuotient)
  table.integerTernary(.clampTensor, clamp)
}
