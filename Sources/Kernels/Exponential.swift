import KernelTypes

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

@inline(__always) private func exponential(_ x: Double) -> Double { exp(x) }
@inline(__always) private func exponential2(_ x: Double) -> Double { exp2(x) }
@inline(__always) private func exponentialMinus1(_ x: Double) -> Double { expm1(x) }
@inline(__always) private func logarithm(_ x: Double) -> Double { log(x) }
@inline(__always) private func logarithm2(_ x: Double) -> Double { log2(x) }
@inline(__always) private func logarithm10(_ x: Double) -> Double { log10(x) }
@inline(__always) private func logarithm1p(_ x: Double) -> Double { log1p(x) }

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

func registerExponentials(_ table: inout ElementwiseKernels) {
  table.scalarUnary(.exp, exponential)
  table.scalarUnary(.exp2, exponential2)
  table.scalarUnary(.expm1, exponentialMinus1)
  table.scalarUnary(.log, logarithm)
  table.scalarUnary(.log2, logarithm2)
  table.scalarUnary(.log10, logarithm10)
  table.scalarUnary(.log1p, logarithm1p)
  table.scalarUnary(.logit, logit)
  table.scalarBinary(.logaddexp, logAddExp)
  table.scalarBinary(.logaddexp2, logAddExp2)
  table.scalarBinary(.xlogy, xLogY)
  table.scalarBinary(.xlog1py, xLog1pY)
}
