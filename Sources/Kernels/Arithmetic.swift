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

/// Floor of the quotient as Python has it: consistent with `remainder`, and exact for exact quotients.
@inline(__always)
func floorDivide<T: BinaryFloatingPoint>(_ a: T, _ b: T, _ modulus: T) -> T {
  if b == 0 { return a / b }
  var exact = (a - modulus) / b
  if modulus != 0 && (b < 0) != (modulus < 0) { exact -= 1 }
  if exact == 0 { return T(signOf: a / b, magnitudeOf: 0) }
  let floor = exact.rounded(.down)
  return exact - floor > 0.5 ? floor + 1 : floor
}
@inline(__always) func floorDivideFloat(_ a: Float, _ b: Float) -> Float { floorDivide(a, b, fmodf(a, b)) }
@inline(__always) func floorDivideDouble(_ a: Double, _ b: Double) -> Double { floorDivide(a, b, fmod(a, b)) }

@inline(__always) func remainderFloat(_ a: Float, _ b: Float) -> Float {
  let modulus = fmodf(a, b)
  return modulus != 0 && (b < 0) != (modulus < 0) ? modulus + b : modulus
}
@inline(__always) func remainderDouble(_ a: Double, _ b: Double) -> Double {
  let modulus = fmod(a, b)
  return modulus != 0 && (b < 0) != (modulus < 0) ? modulus + b : modulus
}
@inline(__always) func fmodFloat(_ a: Float, _ b: Float) -> Float { fmodf(a, b) }
@inline(__always) func fmodDouble(_ a: Double, _ b: Double) -> Double { fmod(a, b) }

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
  table.scalarBinary(.floorDivide, floorDivideFloat, floorDivideDouble)
  table.scalarBinary(.remainder, remainderFloat, remainderDouble)
  table.scalarBinary(.fmod, fmodFloat, fmodDouble)
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
