import KernelTypes

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

@inline(__always) func copy<V: FloatVector>(_ a: V) -> V { a }
@inline(__always) func magnitude<V: FloatVector>(_ a: V) -> V { a.absolute }
@inline(__always) func negate<V: FloatVector>(_ a: V) -> V { a.negated }
@inline(__always) func square<V: FloatVector>(_ a: V) -> V { a * a }
@inline(__always) func reciprocal<V: FloatVector>(_ a: V) -> V { V.one / a }
@inline(__always) func squareRoot<V: FloatVector>(_ a: V) -> V { a.root }
@inline(__always) func inverseRoot<V: FloatVector>(_ a: V) -> V { V.one / a.root }

/// -1, 0 or 1; 0 for NaN.
@inline(__always) func sign<V: FloatVector>(_ a: V) -> V {
  V.flag(a .> V.zero) - V.flag(a .< V.zero)
}

@inline(__always) func add<V: FloatVector>(_ a: V, _ b: V, _ s: Parameters<V>) -> V {
  a.adding(s.p, times: b)
}
@inline(__always) func subtract<V: FloatVector>(_ a: V, _ b: V, _ s: Parameters<V>) -> V {
  a.adding(-s.p, times: b)
}
@inline(__always) func multiply<V: FloatVector>(_ a: V, _ b: V) -> V { a * b }
@inline(__always) func divide<V: FloatVector>(_ a: V, _ b: V) -> V { a / b }
@inline(__always) func truncatingDivide<V: FloatVector>(_ a: V, _ b: V) -> V { (a / b).rounded(.towardZero) }

/// NaN wins.
@inline(__always) func minimum<V: FloatVector>(_ a: V, _ b: V) -> V {
  let least = V.select(a .< b, a, b)
  return V.select(a .!= a, a, least)
}
@inline(__always) func maximum<V: FloatVector>(_ a: V, _ b: V) -> V {
  let most = V.select(a .> b, a, b)
  return V.select(a .!= a, a, most)
}
/// NaN loses.
@inline(__always) func fmin<V: FloatVector>(_ a: V, _ b: V) -> V {
  let least = V.select(a .< b, a, b)
  return V.select(b .!= b, a, least)
}
@inline(__always) func fmax<V: FloatVector>(_ a: V, _ b: V) -> V {
  let most = V.select(a .> b, a, b)
  return V.select(b .!= b, a, most)
}
@inline(__always) func clamp<V: FloatVector>(_ a: V, _ s: Parameters<V>) -> V {
  minimum(maximum(a, s.p), s.q)
}
@inline(__always) func clamp<V: FloatVector>(_ a: V, _ low: V, _ high: V, _ s: Parameters<V>) -> V {
  minimum(maximum(a, low), high)
}
@inline(__always) func copySign<V: FloatVector>(_ a: V, _ b: V) -> V { V.joinBits(a.absolute, b.signBits) }

@inline(__always) func addProduct<V: FloatVector>(_ a: V, _ b: V, _ c: V, _ s: Parameters<V>) -> V {
  a.adding(s.p * b, times: c)
}
@inline(__always) func addQuotient<V: FloatVector>(_ a: V, _ b: V, _ c: V, _ s: Parameters<V>) -> V {
  a + s.p * b / c
}
/// From whichever end is nearer, so that weight 1 gives the end exactly.
@inline(__always) func interpolate<V: FloatVector>(_ a: V, _ b: V, _ w: V, _ s: Parameters<V>) -> V {
  let span = b - a
  return V.select(w.absolute .< V(0.5), a.adding(w, times: span), b.adding(w - V.one, times: span))
}

/// The remainder of truncating division, with the sign of `a`. The product of a quotient below 2^50 and the divisor leaves
/// it exactly if there is one rounding; where the quotient was rounded up to the next integer, it has the other sign.
@inline(__always)
private func modulus(_ a: Doubles, _ b: Doubles, _ quotient: Doubles) -> Doubles {
  let rest = a.adding(quotient.negated, times: b)
  let isBelow = Doubles.sign(rest) * Doubles.sign(a) .< Doubles(0)
  let result = Doubles.select(isBelow, b.absolute - rest.absolute, rest)
  return Doubles.joinBits(result.absolute, a.signBits)
}

/// Whether the C library has to take a vector: infinite numbers, division by zero, and quotients that are too large.
@inline(__always)
private func isIrregular(_ b: Doubles, _ quotient: Doubles) -> Bool {
  any(quotient.absolute .>= Doubles(0x1p50)) || any(b.absolute .>= Doubles(.infinity))
}

/// (These are called, not put in place: there would be a dozen copies for each instruction set.)
@inline(never)
private func modulus(_ a: Doubles, _ b: Doubles) -> Doubles {
  #if SN_FMA || arch(arm64)
    let quotient = (a / b).rounded(.towardZero)
    if !isIrregular(b, quotient) { return modulus(a, b, quotient) }
  #endif
  var result = a
  for i in 0..<8 { result[i] = fmod(a[i], b[i]) }
  return result
}

@inline(__always)
private func modulus(_ a: Floats, _ b: Floats) -> Floats {
  let (x, y) = (a.widened, b.widened)
  return Floats(narrowing: modulus(x.low, y.low), modulus(x.high, y.high))
}

/// The remainder that has the sign of the divisor, from that of truncating division.
@inline(__always)
private func remainder<V: FloatVector>(_ modulus: V, _ b: V) -> V {
  V.select(V.sign(modulus) * V.sign(b) .< V.zero, modulus + b, modulus)
}

/// Floor of the quotient as Python has it: consistent with `remainder`, and exact for exact quotients.
@inline(__always)
private func floorDivide<V: FloatVector>(_ a: V, _ b: V, _ modulus: V) -> V {
  let quotient = a / b
  var exact = (a - modulus) / b
  exact = V.select(V.sign(modulus) * V.sign(b) .< V.zero, exact - V.one, exact)
  let floor = exact.rounded(.down)
  var result = V.select(exact - floor .> V(0.5), floor + V.one, floor)
  result = V.select(exact .== V.zero, V.joinBits(V.zero, quotient.signBits), result)
  return V.select(b .== V.zero, quotient, result)
}

@inline(never) private func floorDivide(_ a: Floats, _ b: Floats) -> Floats { floorDivide(a, b, modulus(a, b)) }
@inline(never) private func floorDivide(_ a: Doubles, _ b: Doubles) -> Doubles { floorDivide(a, b, modulus(a, b)) }
@inline(never) private func floorRemainder(_ a: Floats, _ b: Floats) -> Floats { remainder(modulus(a, b), b) }
@inline(never) private func floorRemainder(_ a: Doubles, _ b: Doubles) -> Doubles { remainder(modulus(a, b), b) }

extension FloatVector {
  /// 1, -1 or 0.
  @inline(__always)
  fileprivate static func sign(_ x: Self) -> Self { flag(x .> zero) - flag(x .< zero) }
}

/// exp(b log a) where a is positive and both are finite; blocks that hold anything else go to the C library.
@inline(__always) private func power(_ a: Floats, _ b: Floats) -> Floats {
  let infinity = Floats(.infinity)
  let (x, y) = (a.widened, b.widened)
  let result = Floats(
    narrowing: SinglePrecision.exp(y.low * SinglePrecision.log(x.low)),
    SinglePrecision.exp(y.high * SinglePrecision.log(x.high)))
  let isIrregular = Floats.either(a .<= Floats(0), Floats.either(a .>= infinity, b.absolute .>= infinity))
  if !any(Floats.either(isIrregular, Floats.either(a .!= a, b .!= b))) { return result }
  var exact = result
  for i in 0..<16 { exact[i] = powf(a[i], b[i]) }
  return exact
}

/// The common exponents as products, as PyTorch takes them; false where the exponent is another one.
@inline(__always)
private func smallPower<V: FloatVector>(
  _ operands: UnsafePointer<Operand>, _ out: UnsafeMutableRawPointer, _ n: Int, _ type: V.Type
) -> Bool where V.Scalar: BinaryFloatingPoint {
  guard operands[1].isScalar, n > 0 else { return false }
  switch operands[1].pointer.assumingMemoryBound(to: V.Scalar.self)[0] {
  case 2: map1(operands, out, n) { (x: V) in x * x }
  case 3: map1(operands, out, n) { (x: V) in x * x * x }
  case 0.5: map1(operands, out, n) { (x: V) in x.root }
  case -1: map1(operands, out, n) { (x: V) in V.one / x }
  default: return false
  }
  return true
}
@inline(__always) func nextFloat(_ a: Float, _ b: Float) -> Float { nextafterf(a, b) }
@inline(__always) func nextDouble(_ a: Double, _ b: Double) -> Double { nextafter(a, b) }
@inline(__always) func hypotenuse(_ a: Double, _ b: Double) -> Double { hypot(a, b) }
/// a * 2^b
@inline(__always) func scaleByPower(_ a: Double, _ b: Double) -> Double { a * exp2(b) }

func registerArithmetic(_ table: inout ElementwiseKernels) {
  table.unary(.copy, copy, copy)
  table.unary(.abs, magnitude, magnitude)
  table.unary(.neg, negate, negate)
  table.unary(.sign, sign, sign)
  table.unary(.sgn, sign, sign)
  table.unary(.square, square, square)
  table.unary(.reciprocal, reciprocal, reciprocal)
  table.unary(.sqrt, squareRoot, squareRoot)
  table.unary(.rsqrt, inverseRoot, inverseRoot)
  table.unary(.clampScalar, clamp, clamp)

  table.binary(.add, add, add)
  table.binary(.sub, subtract, subtract)
  table.binary(.mul, multiply, multiply)
  table.binary(.div, divide, divide)
  table.binary(.truncDivide, truncatingDivide, truncatingDivide)
  table.binary(.minimum, minimum, minimum)
  table.binary(.maximum, maximum, maximum)
  table.binary(.fmin, fmin, fmin)
  table.binary(.fmax, fmax, fmax)
  table.binary(.copysign, copySign, copySign)
  table.binary(.floorDivide, floorDivide, floorDivide)
  table.binary(.remainder, floorRemainder, floorRemainder)
  table.binary(.fmod, modulus, modulus)
  table[.pow, .f32] = ElementwiseKernel { operands, out, n, _ in
    if smallPower(operands, out, n, Floats.self) { return }
    map2(operands, out, n) { (a: Floats, b: Floats) in power(a, b) }
  }
  table[.pow, .f64] = ElementwiseKernel { operands, out, n, _ in
    if smallPower(operands, out, n, Doubles.self) { return }
    scalarMap(operands, 2, out, n, Double.self) { a, b, _ in pow(a, b) }
  }
  table.scalarBinary(.nextafter, nextFloat, nextDouble)
  table.scalarBinary(.hypot, hypotenuse)
  table.scalarBinary(.ldexp, scaleByPower)

  table.ternary(.addcmul, addProduct, addProduct)
  table.ternary(.addcdiv, addQuotient, addQuotient)
  table.ternary(.lerp, interpolate, interpolate)
  table.ternary(.clampTensor, clamp, clamp)
}
