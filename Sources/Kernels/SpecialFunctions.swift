import KernelTypes

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

@inline(__always) private func errorFunction(_ x: Double) -> Double { erf(x) }
@inline(__always) private func complementaryErrorFunction(_ x: Double) -> Double { erfc(x) }

/// log |Γ(x)|, without the C library's global sign.
private func logGamma(_ x: Double) -> Double {
  var sign: Int32 = 0
  return lgamma_r(x, &sign)
}

/// ψ(x): reflection below zero, recurrence up to 10, then the asymptotic series in 1/x² with the Bernoulli
/// numbers B2k / 2k (Abramowitz and Stegun 6.3.18).
private func digamma(_ start: Double) -> Double {
  var x = start
  if x == 0 { return x.sign == .minus ? .infinity : -.infinity }
  if x == -.infinity || x.isNaN { return .nan }
  var result = 0.0
  if x < 0 {
    let whole = x.rounded(.towardZero)
    if whole == x { return .nan }
    result = -Double.pi / tan(Double.pi * (x - whole))
    x = 1 - x
  }
  while x < 10 {
    result -= 1 / x
    x += 1
  }
  if x == 10 { return result + 2.25175258906672110764 }
  var series = 0.0
  if x < 1e17 {
    let z = 1 / (x * x)
    let coefficients: (Double, Double, Double, Double, Double, Double, Double) = (
      1.0 / 12, -1.0 / 120, 1.0 / 252, -1.0 / 240, 1.0 / 132, -691.0 / 32760, 1.0 / 12
    )
    series = coefficients.6
    series = series * z + coefficients.5
    series = series * z + coefficients.4
    series = series * z + coefficients.3
    series = series * z + coefficients.2
    series = series * z + coefficients.1
    series = series * z + coefficients.0
    series *= z
  }
  return result + log(x) - 0.5 / x - series
}

/// ψ'(x): reflection, recurrence and the asymptotic series (Abramowitz and Stegun 6.4.12).
private func trigamma(_ start: Double) -> Double {
  var x = start
  if x == 0 { return .infinity }
  var result = 0.0
  var sign = 1.0
  if x < 0.5 {
    sign = -1
    let s = sin(Double.pi * x)
    result -= (Double.pi * Double.pi) / (s * s)
    x = 1 - x
  }
  while x < 12 {
    result += 1 / (x * x)
    x += 1
  }
  let z = 1 / (x * x)
  var series = 7.0 / 6
  series = series * z - 691.0 / 2730
  series = series * z + 5.0 / 66
  series = series * z - 1.0 / 30
  series = series * z + 1.0 / 42
  series = series * z - 1.0 / 30
  series = series * z + 1.0 / 6
  result += (1 + 1 / (2 * x) + series * z) / x
  return sign * result
}

/// Inverse of the normal distribution's function: a start of 1e-9 relative error (P. J. Acklam's rational
/// approximations), then two steps of Halley's method on erfc.
private func inverseNormal(_ p: Double) -> Double {
  if p == 0 { return -.infinity }
  if p == 1 { return .infinity }
  if !(p > 0 && p < 1) { return .nan }
  // The lower half keeps the relative accuracy of small tails.
  let lower = p <= 0.5
  let tail = lower ? p : 1 - p
  let x = inverseNormalTail(tail)
  return lower ? x : -x
}

/// For 0 < p <= 0.5.
private func inverseNormalTail(_ p: Double) -> Double {
  var x: Double
  if p < 0.02425 {
    let q = (-2 * log(p)).squareRoot()
    var top = -7.784894002430293e-03
    top = top * q - 3.223964580411365e-01
    top = top * q - 2.400758277161838
    top = top * q - 2.549732539343734
    top = top * q + 4.374664141464968
    top = top * q + 2.938163982698783
    var bottom = 7.784695709041462e-03
    bottom = bottom * q + 3.224671290700398e-01
    bottom = bottom * q + 2.445134137142996
    bottom = bottom * q + 3.754408661907416
    x = top / (bottom * q + 1)
  } else {
    let q = p - 0.5
    let r = q * q
    var top = -3.969683028665376e+01
    top = top * r + 2.209460984245205e+02
    top = top * r - 2.759285104469687e+02
    top = top * r + 1.383577518672690e+02
    top = top * r - 3.066479806614716e+01
    top = top * r + 2.506628277459239
    var bottom = -5.447609879822406e+01
    bottom = bottom * r + 1.615858368580409e+02
    bottom = bottom * r - 1.556989798598866e+02
    bottom = bottom * r + 6.680131188771972e+01
    bottom = bottom * r - 1.328068155288572e+01
    x = top * q / (bottom * r + 1)
  }
  for _ in 0..<2 {
    // Far in the tail exp overflows where the density is subnormal; the ratio is formed in logarithms.
    let excess = 0.5 * erfc(-x / 2.0.squareRoot()) / p - 1
    let ratio = excess * exp(0.5 * x * x + log(p)) * 2.5066282746310002
    if !ratio.isFinite { break }
    x -= ratio / (1 + x * ratio / 2)
  }
  return x
}

/// Inverse of erf: the normal quantile, refined on erf itself near zero where that one cancels.
private func inverseErrorFunction(_ y: Double) -> Double {
  if y == 0 || y.isNaN { return y }
  if y.magnitude == 1 { return y * .infinity }
  if y.magnitude > 1 { return .nan }
  let a = y.magnitude
  if a > 0.5 { return (y < 0 ? -1 : 1) * -inverseNormalTail((1 - a) / 2) / 2.0.squareRoot() }
  // The first terms of the series at zero, then Halley's method.
  let t = Double.pi * a * a / 4
  var x = 0.8862269254527580 * a * (1 + t * (1.0 / 3 + t * (7.0 / 30 + t * 127.0 / 630)))
  for _ in 0..<2 {
    let step = (erf(x) - a) / (1.1283791670955126 * exp(-x * x))
    x -= step / (1 + x * step)
  }
  return y < 0 ? -x : x
}

/// Modified Bessel function of order 0: its power series up to 20, the asymptotic series beyond.
private func besselI0(_ value: Double) -> Double {
  let x = value.magnitude
  if x <= 20 {
    let z = x * x / 4
    var term = 1.0, sum = 1.0, k = 1.0
    while term > sum * 1e-17 {
      term *= z / (k * k)
      sum += term
      k += 1
    }
    return x.isNaN ? x : sum
  }
  var term = 1.0, sum = 1.0, k = 1.0
  while k < 60 && x <= 1400 {
    let next = term * (2 * k - 1) * (2 * k - 1) / (8 * k * x)
    if next >= term || next < sum * 1e-17 { break }
    term = next
    sum += term
    k += 1
  }
  let half = exp(x / 2)
  return x > 1400 ? .infinity : half * (sum / (2 * Double.pi * x).squareRoot()) * half
}

/// Distribution function of the standard normal.
@inline(__always) private func normalDistribution(_ x: Double) -> Double {
  0.5 * erfc(-x * 0.7071067811865476)
}

/// Float32 only.
private enum ErrorFunction: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: P.V, _ s: Parameters<P.V>, _ p: P.Type) -> P.V {
    P.erf(x)
  }
}

private enum ComplementaryErrorFunction: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: P.V, _ s: Parameters<P.V>, _ p: P.Type) -> P.V {
    P.erfc(x)
  }
}

private enum NormalDistribution: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: P.V, _ s: Parameters<P.V>, _ p: P.Type) -> P.V {
    P.V(0.5) * P.erfc(x * P.V(-0.7071067811865476))
  }
}

func registerSpecialFunctions(_ table: inout ElementwiseKernels) {
  table.scalarUnary(.erf, errorFunction)
  table.mathSingle(.erf, ErrorFunction.self)
  table.scalarUnary(.erfc, complementaryErrorFunction)
  table.mathSingle(.erfc, ComplementaryErrorFunction.self)
  table.scalarUnary(.erfinv, inverseErrorFunction)
  table.scalarUnary(.lgamma, logGamma)
  table.scalarUnary(.digamma, digamma)
  table.scalarUnary(.trigamma, trigamma)
  table.scalarUnary(.i0, besselI0)
  table.scalarUnary(.ndtr, normalDistribution)
  table.mathSingle(.ndtr, NormalDistribution.self)
  table.scalarUnary(.ndtri, inverseNormal)
}
