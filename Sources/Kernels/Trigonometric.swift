import KernelTypes

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

@inline(__always) private func sine(_ x: Double) -> Double { sin(x) }
@inline(__always) private func cosine(_ x: Double) -> Double { cos(x) }
@inline(__always) private func tangent(_ x: Double) -> Double { tan(x) }
@inline(__always) private func arcSine(_ x: Double) -> Double { asin(x) }
@inline(__always) private func arcCosine(_ x: Double) -> Double { acos(x) }
@inline(__always) private func arcTangent(_ x: Double) -> Double { atan(x) }
@inline(__always) private func hyperbolicSine(_ x: Double) -> Double { sinh(x) }
@inline(__always) private func hyperbolicCosine(_ x: Double) -> Double { cosh(x) }
@inline(__always) private func areaSine(_ x: Double) -> Double { asinh(x) }
@inline(__always) private func areaCosine(_ x: Double) -> Double { acosh(x) }
@inline(__always) private func areaTangent(_ x: Double) -> Double { atanh(x) }
@inline(__always) private func arcTangent2(_ a: Double, _ b: Double) -> Double { atan2(a, b) }
/// sin(πx) / (πx)
@inline(__always) private func sinc(_ x: Double) -> Double {
  let y = Double.pi * x
  return y == 0 ? 1 : sin(y) / y
}

private enum HyperbolicTangent: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: P.V, _ s: Parameters<P.V>, _ p: P.Type) -> P.V {
    P.tanh(x)
  }
}

private enum HyperbolicSine: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: P.V, _ s: Parameters<P.V>, _ p: P.Type) -> P.V {
    let e = P.expm1(x.absolute)
    let result = P.V(0.5) * (e + e / (e + P.V(1)))
    return P.V.joinBits(result.absolute, x.signBits)
  }
}

private enum HyperbolicCosine: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: P.V, _ s: Parameters<P.V>, _ p: P.Type) -> P.V {
    let e = P.exp(x.absolute)
    return P.V(0.5) * (e + P.V(1) / e)
  }
}

/// A trigonometric function of floats below 1e6; the C library takes the blocks that hold a greater one.
@inline(__always)
private func reduced(_ x: Floats, _ function: (Doubles) -> Doubles, _ fallback: (Double) -> Double) -> Floats {
  if any(x.absolute .> Floats(1e6)) {
    var result = x
    for i in 0..<16 { result[i] = Float(fallback(Double(x[i]))) }
    return result
  }
  let wide = x.widened
  return Floats(narrowing: function(wide.low), function(wide.high))
}

@inline(__always) private func isOdd(_ quadrant: Longs) -> SIMDMask<SIMD8<Int64>> {
  (quadrant & Longs(repeating: 1)) .!= Longs(repeating: 0)
}
/// The sign bit where the quadrant's second bit is set.
@inline(__always) private func flipped(_ x: Doubles, _ quadrant: Longs) -> Doubles {
  let sign = (quadrant & Longs(repeating: 2)) &<< Longs(repeating: 62)
  return unsafeBitCast(unsafeBitCast(x, to: Longs.self) ^ sign, to: Doubles.self)
}
@inline(__always) private func reducedSine(_ x: Doubles) -> Doubles {
  let (s, c, quadrant) = SinglePrecision.sinCos(x)
  return flipped(Doubles.select(isOdd(quadrant), c, s), quadrant)
}
@inline(__always) private func reducedCosine(_ x: Doubles) -> Doubles {
  let (s, c, quadrant) = SinglePrecision.sinCos(x)
  return flipped(Doubles.select(isOdd(quadrant), s, c), quadrant &+ Longs(repeating: 1))
}
@inline(__always) private func reducedTangent(_ x: Doubles) -> Doubles {
  let (s, c, quadrant) = SinglePrecision.sinCos(x)
  let odd = isOdd(quadrant)
  return Doubles.select(odd, c.negated, s) / Doubles.select(odd, s, c)
}
@inline(__always) private func sine(_ x: Floats) -> Floats { reduced(x, reducedSine, sine) }
@inline(__always) private func cosine(_ x: Floats) -> Floats { reduced(x, reducedCosine, cosine) }
@inline(__always) private func tangent(_ x: Floats) -> Floats { reduced(x, reducedTangent, tangent) }

func registerTrigonometry(_ table: inout ElementwiseKernels) {
  table.scalarUnary(.sin, sine)
  table.scalarUnary(.cos, cosine)
  table.scalarUnary(.tan, tangent)
  table.scalarUnary(.asin, arcSine)
  table.scalarUnary(.acos, arcCosine)
  table.scalarUnary(.atan, arcTangent)
  table.scalarUnary(.sinh, hyperbolicSine)
  table.scalarUnary(.cosh, hyperbolicCosine)
  table.math(.tanh, HyperbolicTangent.self)
  table.scalarUnary(.asinh, areaSine)
  table.scalarUnary(.acosh, areaCosine)
  table.scalarUnary(.atanh, areaTangent)
  table.scalarUnary(.sinc, sinc)
  table.mathSingle(.sinh, HyperbolicSine.self)
  table.mathSingle(.cosh, HyperbolicCosine.self)
  table[.sin, .f32] = ElementwiseKernel { a, out, n, _ in map1(a, out, n) { (x: Floats) in sine(x) } }
  table[.cos, .f32] = ElementwiseKernel { a, out, n, _ in map1(a, out, n) { (x: Floats) in cosine(x) } }
  table[.tan, .f32] = ElementwiseKernel { a, out, n, _ in map1(a, out, n) { (x: Floats) in tangent(x) } }
  table.scalarBinary(.atan2, arcTangent2)
}
