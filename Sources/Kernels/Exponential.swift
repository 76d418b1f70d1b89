import KernelTypes

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

@inline(__always) private func exponential2(_ x: Double) -> Double { exp2(x) }
@inline(__always) private func logarithm2(_ x: Double) -> Double { log2(x) }
@inline(__always) private func logarithm10(_ x: Double) -> Double { log10(x) }

/// log(exp(a) + exp(b)) without overflow.
@inline(__always) private func logAddExp(_ a: Double, _ b: Double) -> Double {
  if a == b && a.magnitude == .infinity { return a }
  let most = a > b || a.isNaN ? a : b
  return most + log1p(exp(-(a - b).magnitude))
}
@inline(__always) private func logAddExp2(_ a: Double, _ b: Double) -> Double {
  if a == b && a.magnitude == .infinity { return a }
  let most = a > b || a.isNaN ? a : b
  return most + log1p(exp2(-(a - b).magnitude)) * 1.4426950408889634
}
/// a log(b), and 0 for a = 0 whatever b but NaN.
@inline(__always) private func xLogY(_ a: Double, _ b: Double) -> Double {
  b.isNaN ? b : a == 0 ? 0 : a * log(b)
}
@inline(__always) private func xLog1pY(_ a: Double, _ b: Double) -> Double {
  b.isNaN ? b : a == 0 ? 0 : a * log1p(b)
}
/// log(x / (1 - x)); p: how near 0 and 1 x may come, negative for no bound.
@inline(__always) private func logit(_ x: Double, _ s: Scalars) -> Double {
  let low = s.p, high = 1 - s.p
  let z = s.p < 0 ? x : x < low ? low : x > high ? high : x
  return log(z / (1 - z))
}

private enum Exponential: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: P.V, _ s: Parameters<P.V>, _ p: P.Type) -> P.V {
    P.exp(x)
  }
}

private enum ExponentialMinus1: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: P.V, _ s: Parameters<P.V>, _ p: P.Type) -> P.V {
    P.expm1(x)
  }
}

private enum PowerOfTwo: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: P.V, _ s: Parameters<P.V>, _ p: P.Type) -> P.V {
    P.exp(x * P.V(0.6931471805599453))
  }
}

private enum Logarithm: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: P.V, _ s: Parameters<P.V>, _ p: P.Type) -> P.V {
    P.log(x)
  }
}

private enum Logarithm1p: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: P.V, _ s: Parameters<P.V>, _ p: P.Type) -> P.V {
    P.log1p(x)
  }
}

private enum Logarithm2: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: P.V, _ s: Parameters<P.V>, _ p: P.Type) -> P.V {
    P.log(x) * P.V(1.4426950408889634)
  }
}

private enum Logarithm10: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: P.V, _ s: Parameters<P.V>, _ p: P.Type) -> P.V {
    P.log(x) * P.V(0.4342944819032518)
  }
}

private enum XLogY: MathFunction2 {
  @inline(__always)
  static func apply<P: MathPrecision>(
    _ g: P.V, _ x: P.V, _ s: Parameters<P.V>, _ p: P.Type
  ) -> P.V {
    let product = g * P.log(x)
    return P.V.select(x .!= x, x, P.V.select(g .== P.V(0), P.V(0), product))
  }
}

func registerExponentials(_ table: inout ElementwiseKernels) {
  table.math(.exp, Exponential.self)
  table.scalarUnary(.exp2, exponential2)
  table.mathSingle(.exp2, PowerOfTwo.self)
  table.math(.expm1, ExponentialMinus1.self)
  table.math(.log, Logarithm.self)
  table.scalarUnary(.log2, logarithm2)
  table.mathSingle(.log2, Logarithm2.self)
  table.scalarUnary(.log10, logarithm10)
  table.mathSingle(.log10, Logarithm10.self)
  table.math(.log1p, Logarithm1p.self)
  table.scalarUnary(.logit, logit)
  table.scalarBinary(.logaddexp, logAddExp)
  table.scalarBinary(.logaddexp2, logAddExp2)
  table.scalarBinary(.xlogy, xLogY)
  table.mathSingle(.xlogy, XLogY.self)
  table.scalarBinary(.xlog1py, xLog1pY)
}
