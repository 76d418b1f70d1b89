import Foundation
import KernelTypes

/// An elementwise operation as a plain formula on one element.
struct ReferenceOperation<Number> {
  let operands: Int
  /// Values of the operand at a place that the formula is defined for, made from a normal number.
  let domain: (Int, Number) -> Number
  let scalars: Scalars
  /// Allowed error in float32, and in float64: relative, or absolute below 1.
  let tolerance: (single: Double, double: Double)
  let formula: ([Number], Scalars) -> Number
}

typealias RealOperation = ReferenceOperation<Double>
typealias IntegerOperation = ReferenceOperation<Int64>

private func truth(_ value: Bool) -> Double { value ? 1 : 0 }
private func logistic(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
private func normalDistribution(_ x: Double) -> Double { 0.5 * erfc(-x / 2.0.squareRoot()) }
private func normalDensity(_ x: Double) -> Double { exp(-x * x / 2) / (2 * Double.pi).squareRoot() }

/// psi(x) for x > 0: up to where its asymptotic series holds.
private func digamma(_ x: Double) -> Double {
  var (x, result) = (x, 0.0)
  while x < 20 { (result, x) = (result - 1 / x, x + 1) }
  let s = 1 / (x * x)
  return result + log(x) - 0.5 / x - s * (1.0 / 12 - s * (1.0 / 120 - s * (1.0 / 252 - s * (1.0 / 240 - s / 132))))
}

private func trigamma(_ x: Double) -> Double {
  var (x, result) = (x, 0.0)
  while x < 20 { (result, x) = (result + 1 / (x * x), x + 1) }
  let s = 1 / (x * x)
  return result + 1 / x + s / 2 + s / x * (1.0 / 6 - s * (1.0 / 30 - s * (1.0 / 42 - s * (1.0 / 30 - s * 5 / 66))))
}

/// The modified Bessel function of order 0 by its power series.
private func bessel(_ x: Double) -> Double {
  var (term, sum, k) = (1.0, 1.0, 1.0)
  while term > sum * 1e-18 {
    term *= x * x / (4 * k * k)
    sum += term
    k += 1
  }
  return sum
}

/// The x in an interval where a rising function has a value, by halving.
private func inverse(_ value: Double, _ low: Double, _ high: Double, _ function: (Double) -> Double) -> Double {
  var (low, high) = (low, high)
  for _ in 0..<200 {
    let middle = 0.5 * (low + high)
    if function(middle) < value { low = middle } else { high = middle }
  }
  return 0.5 * (low + high)
}

/// The slope of a smooth function: central differences, extrapolated twice.
private func slope(_ function: (Double) -> Double, _ x: Double) -> Double {
  func difference(_ h: Double) -> Double { (function(x + h) - function(x - h)) / (2 * h) }
  let (a, b, c) = (difference(4e-3), difference(2e-3), difference(1e-3))
  let (ab, bc) = ((4 * b - a) / 3, (4 * c - b) / 3)
  return (16 * bc - ab) / 15
}

private func softplus(_ x: Double) -> Double { max(x, 0) + log1p(exp(-abs(x))) }
private func tanhGELU(_ x: Double) -> Double {
  0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
}
private let seluAlpha = 1.6732632423543772
private let seluScale = 1.0507009873554805

private let anywhere: (Double) -> Double = { 2 * $0 }
private let positive: (Double) -> Double = { abs($0) + 0.05 }
private let inUnit: (Double) -> Double = { 0.999 * sin($0) }
private let probability: (Double) -> Double = { 0.5 + 0.49 * sin($0) }
/// Few different values, so that equal ones meet.
private let coarse: (Double) -> Double = { (2 * $0).rounded() / 2 }

/// Formulas by operation. `references(for: .gelu)` has two: the scalars choose the variant.
func realReferences() -> [(ElementwiseOp, RealOperation)] {
  var table: [(ElementwiseOp, RealOperation)] = []

  func unary(
    _ op: ElementwiseOp, _ scalars: Scalars = Scalars(), in domain: @escaping (Double) -> Double = anywhere,
    single: Double = 1e-6, double: Double = 2e-15, _ formula: @escaping (Double) -> Double
  ) {
    table.append(
      (
        op,
        RealOperation(
          operands: 1, domain: { _, x in domain(x) }, scalars: scalars, tolerance: (single, double),
          formula: { a, _ in formula(a[0]) })
      ))
  }
  func binary(
    _ op: ElementwiseOp, _ scalars: Scalars = Scalars(), in first: @escaping (Double) -> Double = anywhere,
    and second: @escaping (Double) -> Double = anywhere, single: Double = 1e-6, double: Double = 2e-15,
    _ formula: @escaping (Double, Double) -> Double
  ) {
    table.append(
      (
        op,
        RealOperation(
          operands: 2, domain: { $0 == 0 ? first($1) : second($1) }, scalars: scalars, tolerance: (single, double),
          formula: { a, _ in formula(a[0], a[1]) })
      ))
  }
  func ternary(
    _ op: ElementwiseOp, _ scalars: Scalars = Scalars(), third: @escaping (Double) -> Double = anywhere,
    _ formula: @escaping (Double, Double, Double) -> Double
  ) {
    table.append(
      (
        op,
        RealOperation(
          operands: 3, domain: { $0 == 2 ? third($1) : coarse($1) }, scalars: scalars, tolerance: (1e-6, 2e-15),
          formula: { a, _ in formula(a[0], a[1], a[2]) })
      ))
  }
  /// g times the slope of a smooth function. In float32 the factor 1 - sigmoid, times up to 20, cancels.
  func backward(_ op: ElementwiseOp, _ scalars: Scalars = Scalars(), _ function: @escaping (Double) -> Double) {
    binary(op, scalars, single: 4e-6, double: 1e-10) { g, x in g * slope(function, x) }
  }

  unary(.copy) { $0 }
  unary(.abs) { abs($0) }
  unary(.neg) { -$0 }
  for op in [ElementwiseOp.sign, .sgn] { unary(op, in: coarse) { $0 > 0 ? 1 : $0 < 0 ? -1 : 0 } }
  unary(.square) { $0 * $0 }
  unary(.reciprocal, in: positive) { 1 / $0 }
  unary(.sqrt, in: positive) { $0.squareRoot() }
  unary(.rsqrt, in: positive) { 1 / $0.squareRoot() }
  unary(.ceil) { $0.rounded(.up) }
  unary(.floor) { $0.rounded(.down) }
  unary(.trunc) { $0.rounded(.towardZero) }
  unary(.round, in: coarse) { $0.rounded(.toNearestOrEven) }
  unary(.frac) { $0 - $0.rounded(.towardZero) }
  unary(.roundDecimals, Scalars(1), in: coarse) { ($0 * 10).rounded(.toNearestOrEven) / 10 }
  unary(.exp) { exp($0) }
  unary(.exp2) { exp2($0) }
  unary(.expm1) { expm1($0) }
  unary(.log, in: positive) { log($0) }
  unary(.log2, in: positive) { log2($0) }
  unary(.log10, in: positive) { log10($0) }
  unary(.log1p, in: positive) { log1p($0) }
  unary(.sin, in: { 20 * $0 }) { sin($0) }
  unary(.cos, in: { 20 * $0 }) { cos($0) }
  unary(.tan) { tan($0) }
  unary(.asin, in: inUnit) { asin($0) }
  unary(.acos, in: inUnit) { acos($0) }
  unary(.atan) { atan($0) }
  unary(.sinh) { sinh($0) }
  unary(.cosh) { cosh($0) }
  unary(.tanh) { tanh($0) }
  unary(.asinh) { asinh($0) }
  unary(.acosh, in: { 1 + abs($0) }) { acosh($0) }
  unary(.atanh, in: inUnit, double: 1e-14) { atanh($0) }
  unary(.erf) { erf($0) }
  unary(.erfc) { erfc($0) }
  unary(.erfinv, in: inUnit, double: 1e-13) { inverse($0, -6, 6, erf) }
  unary(.lgamma, in: positive, double: 1e-14) { lgamma($0) }
  unary(.digamma, in: positive, double: 1e-13) { digamma($0) }
  unary(.trigamma, in: positive, double: 1e-13) { trigamma($0) }
  unary(.i0, double: 1e-14) { bessel($0) }
  unary(.sinc) { $0 == 0 ? 1 : sin(.pi * $0) / (.pi * $0) }
  unary(.logit, Scalars(-1), in: probability) { log($0 / (1 - $0)) }
  unary(.logit, Scalars(0.1), in: probability) { x in
    let z = min(max(x, 0.1), 0.9)
    return log(z / (1 - z))
  }
  unary(.ndtr) { normalDistribution($0) }
  unary(.ndtri, in: probability, double: 1e-13) { inverse($0, -9, 9, normalDistribution) }
  unary(.sigmoid) { logistic($0) }
  unary(.logSigmoid) { -softplus(-$0) }
  unary(.relu) { max($0, 0) }
  unary(.relu6, in: { 6 * $0 }) { min(max($0, 0), 6) }
  unary(.silu) { $0 * logistic($0) }
  unary(.mish) { $0 * tanh(softplus($0)) }
  unary(.hardsigmoid) { min(max($0 + 3, 0), 6) / 6 }
  unary(.hardswish) { $0 * min(max($0 + 3, 0), 6) / 6 }
  unary(.softsign) { $0 / (1 + abs($0)) }
  unary(.tanhshrink) { $0 - tanh($0) }
  unary(.selu) { seluScale * ($0 > 0 ? $0 : seluAlpha * expm1($0)) }
  unary(.leakyRelu, Scalars(0.1)) { $0 > 0 ? $0 : 0.1 * $0 }
  unary(.elu, Scalars(1.5, 0.7, 2)) { 0.7 * ($0 > 0 ? $0 : 1.5 * expm1(2 * $0)) }
  unary(.celu, Scalars(1.5)) { $0 > 0 ? $0 : 1.5 * expm1($0 / 1.5) }
  unary(.gelu, Scalars(0)) { $0 * normalDistribution($0) }
  unary(.gelu, Scalars(1)) { tanhGELU($0) }
  unary(.softplus, Scalars(2, 3)) { 2 * $0 > 3 ? $0 : softplus(2 * $0) / 2 }
  unary(.hardshrink, Scalars(0.5), in: coarse) { abs($0) > 0.5 ? $0 : 0 }
  unary(.softshrink, Scalars(0.5), in: coarse) { $0 > 0.5 ? $0 - 0.5 : $0 < -0.5 ? $0 + 0.5 : 0 }
  for op in [ElementwiseOp.hardtanh, .clampScalar] { unary(op, Scalars(-0.75, 0.5)) { min(max($0, -0.75), 0.5) } }
  unary(.threshold, Scalars(0.5, -7), in: coarse) { $0 > 0.5 ? $0 : -7 }
  unary(.nanToNum, Scalars(1, 2, 3)) { $0 }
  unary(.logicalNot, in: coarse) { truth($0 == 0) }
  unary(.isfinite) { _ in 1 }
  for op in [ElementwiseOp.isnan, .isinf, .isposinf, .isneginf] { unary(op) { _ in 0 } }
  unary(.signbit) { truth($0 < 0) }

  binary(.add, Scalars(0.5)) { $0 + 0.5 * $1 }
  binary(.sub, Scalars(0.5)) { $0 - 0.5 * $1 }
  binary(.mul) { $0 * $1 }
  binary(.div, and: positive) { $0 / $1 }
  binary(.floorDivide, and: positive) { ($0 / $1).rounded(.down) }
  binary(.truncDivide, and: positive) { ($0 / $1).rounded(.towardZero) }
  binary(.remainder, and: positive) { $0 - ($0 / $1).rounded(.down) * $1 }
  binary(.fmod, and: positive) { fmod($0, $1) }
  binary(.pow, in: positive, double: 1e-14) { pow($0, $1) }
  for op in [ElementwiseOp.minimum, .fmin] { binary(op) { min($0, $1) } }
  for op in [ElementwiseOp.maximum, .fmax] { binary(op) { max($0, $1) } }
  binary(.atan2) { atan2($0, $1) }
  binary(.hypot) { hypot($0, $1) }
  binary(.copysign) { $1 < 0 ? -abs($0) : abs($0) }
  binary(.logaddexp) { log(exp($0) + exp($1)) }
  binary(.logaddexp2) { log2(exp2($0) + exp2($1)) }
  binary(.xlogy, and: positive) { $0 * log($1) }
  binary(.xlog1py, and: positive) { $0 * log1p($1) }
  binary(.eq, in: coarse, and: coarse) { truth($0 == $1) }
  binary(.ne, in: coarse, and: coarse) { truth($0 != $1) }
  binary(.lt, in: coarse, and: coarse) { truth($0 < $1) }
  binary(.le, in: coarse, and: coarse) { truth($0 <= $1) }
  binary(.gt, in: coarse, and: coarse) { truth($0 > $1) }
  binary(.ge, in: coarse, and: coarse) { truth($0 >= $1) }
  binary(.logicalAnd, in: coarse, and: coarse) { truth($0 != 0 && $1 != 0) }
  binary(.logicalOr, in: coarse, and: coarse) { truth($0 != 0 || $1 != 0) }
  binary(.logicalXor, in: coarse, and: coarse) { truth(($0 != 0) != ($1 != 0)) }
  binary(.heaviside, in: coarse) { $0 == 0 ? $1 : truth($0 > 0) }
  binary(.ldexp, and: { $0.rounded() }) { $0 * exp2($1) }
  binary(.prelu) { $0 > 0 ? $0 : $0 * $1 }

  binary(.thresholdBackward, Scalars(0.5), and: coarse) { $1 > 0.5 ? $0 : 0 }
  binary(.hardtanhBackward, Scalars(-1, 0.5), and: coarse) { $1 > -1 && $1 < 0.5 ? $0 : 0 }
  binary(.leakyReluBackward, Scalars(0.1)) { $1 > 0 ? $0 : 0.1 * $0 }
  binary(.sigmoidBackward, and: probability) { $0 * $1 * (1 - $1) }
  binary(.entropySlope, in: probability, and: probability) { ($0 - $1) / max((1 - $0) * $0, 1e-12) }
  binary(.tanhBackward, and: inUnit) { $0 * (1 - $1 * $1) }
  binary(.hardsigmoidBackward, and: { 4 * $0 }) { abs($1) < 3 ? $0 / 6 : 0 }
  binary(.hardswishBackward, and: { 4 * $0 }) { $1 <= -3 ? 0 : $1 >= 3 ? $0 : $0 * ($1 / 3 + 0.5) }
  for op in [ElementwiseOp.softshrinkBackward, .hardshrinkBackward] {
    binary(op, Scalars(0.5), and: coarse) { abs($1) > 0.5 ? $0 : 0 }
  }
  binary(.eluBackward, Scalars(1.5, 0.7, 2)) { $1 > 0 ? 0.7 * $0 : $0 * 2 * 1.5 * 0.7 * exp(2 * $1) }
  binary(.celuBackward, Scalars(1.5)) { $1 > 0 ? $0 : $0 * exp($1 / 1.5) }
  binary(.seluBackward) { $0 * seluScale * ($1 > 0 ? 1 : seluAlpha * exp($1)) }
  binary(.geluBackward, Scalars(0)) { $0 * (normalDistribution($1) + $1 * normalDensity($1)) }
  backward(.geluBackward, Scalars(1), tanhGELU)
  binary(.siluBackward) { g, x in g * logistic(x) * (1 + x * (1 - logistic(x))) }
  backward(.mishBackward) { $0 * tanh(softplus($0)) }
  binary(.logSigmoidBackward) { $0 * logistic(-$1) }
  binary(.softplusBackward, Scalars(2, 3)) { 2 * $1 > 3 ? $0 : $0 * logistic(2 * $1) }

  ternary(.where) { $0 != 0 ? $1 : $2 }
  ternary(.addcmul, Scalars(0.5)) { $0 + 0.5 * $1 * $2 }
  ternary(.addcmulRelu, Scalars(0.5)) { max($0 + 0.5 * $1 * $2, 0) }
  binary(.addRelu, Scalars(0.5)) { max($0 + 0.5 * $1, 0) }
  table.append(
    (
      .addcmulAddRelu,
      RealOperation(
        operands: 4, domain: { coarse($1) }, scalars: Scalars(0.5), tolerance: (1e-6, 2e-15),
        formula: { a, _ in max(a[0] + 0.5 * a[1] * a[2] + a[3], 0) })
    ))
  ternary(.addcdiv, Scalars(0.5), third: positive) { $0 + 0.5 * $1 / $2 }
  ternary(.lerp) { $0 + $2 * ($1 - $0) }
  ternary(.clampTensor) { min(max($0, $1), $2) }
  return table
}

private func truth(_ value: Bool) -> Int64 { value ? 1 : 0 }

private func floored(_ a: Int64, _ b: Int64) -> Int64 { Int64((Double(a) / Double(b)).rounded(.down)) }

private func divisor(_ a: Int64, _ b: Int64) -> Int64 {
  (1...max(abs(a), abs(b), 1)).last { a % $0 == 0 && b % $0 == 0 && (a != 0 || b != 0) } ?? 0
}

func integerReferences() -> [(ElementwiseOp, IntegerOperation)] {
  var table: [(ElementwiseOp, IntegerOperation)] = []
  let notZero: (Int64) -> Int64 = { $0 == 0 ? 3 : $0 }

  func operation(
    _ op: ElementwiseOp, _ operands: Int, _ scalars: Scalars = Scalars(),
    last: @escaping (Int64) -> Int64 = { $0 }, _ formula: @escaping ([Int64]) -> Int64
  ) {
    table.append(
      (
        op,
        IntegerOperation(
          operands: operands, domain: { $0 == operands - 1 ? last($1) : $1 }, scalars: scalars,
          tolerance: (0, 0), formula: { a, _ in formula(a) })
      ))
  }

  for op in [ElementwiseOp.copy, .ceil, .floor, .trunc, .round, .nanToNum] { operation(op, 1) { $0[0] } }
  for op in [ElementwiseOp.isnan, .isinf, .isposinf, .isneginf, .frac] { operation(op, 1) { _ in 0 } }
  operation(.isfinite, 1) { _ in 1 }
  operation(.abs, 1) { abs($0[0]) }
  operation(.neg, 1) { -$0[0] }
  for op in [ElementwiseOp.sign, .sgn] { operation(op, 1) { $0[0].signum() } }
  operation(.square, 1) { $0[0] * $0[0] }
  operation(.signbit, 1) { truth($0[0] < 0) }
  operation(.bitwiseNot, 1) { -$0[0] - 1 }
  operation(.logicalNot, 1) { truth($0[0] == 0) }
  operation(.relu, 1) { max($0[0], 0) }
  operation(.relu6, 1) { min(max($0[0], 0), 6) }
  operation(.threshold, 1, Scalars(pi: 2, qi: -9)) { $0[0] > 2 ? $0[0] : -9 }
  for op in [ElementwiseOp.clampScalar, .hardtanh] {
    operation(op, 1, Scalars(pi: -3, qi: 4)) { min(max($0[0], -3), 4) }
  }
  operation(.add, 2, Scalars(3, pi: 3)) { $0[0] + 3 * $0[1] }
  operation(.sub, 2, Scalars(3, pi: 3)) { $0[0] - 3 * $0[1] }
  operation(.mul, 2) { $0[0] * $0[1] }
  for op in [ElementwiseOp.minimum, .fmin] { operation(op, 2) { min($0[0], $0[1]) } }
  for op in [ElementwiseOp.maximum, .fmax] { operation(op, 2) { max($0[0], $0[1]) } }
  operation(.bitwiseAnd, 2) { $0[0] & $0[1] }
  operation(.bitwiseOr, 2) { $0[0] | $0[1] }
  operation(.bitwiseXor, 2) { $0[0] ^ $0[1] }
  operation(.truncDivide, 2, last: notZero) { $0[0] / $0[1] }
  operation(.fmod, 2, last: notZero) { $0[0] % $0[1] }
  operation(.floorDivide, 2, last: notZero) { floored($0[0], $0[1]) }
  operation(.remainder, 2, last: notZero) { $0[0] - floored($0[0], $0[1]) * $0[1] }
  operation(.pow, 2, last: { abs($0) % 7 }) { a in (0..<a[1]).reduce(1) { total, _ in total * a[0] } }
  operation(.shiftLeft, 2, last: { abs($0) }) { $0[0] << $0[1] }
  operation(.shiftRight, 2, last: { abs($0) }) { $0[0] >> $0[1] }
  operation(.gcd, 2) { divisor($0[0], $0[1]) }
  operation(.lcm, 2, last: notZero) { abs($0[0] * $0[1]) / divisor($0[0], $0[1]) }
  operation(.eq, 2) { truth($0[0] == $0[1]) }
  operation(.ne, 2) { truth($0[0] != $0[1]) }
  operation(.lt, 2) { truth($0[0] < $0[1]) }
  operation(.le, 2) { truth($0[0] <= $0[1]) }
  operation(.gt, 2) { truth($0[0] > $0[1]) }
  operation(.ge, 2) { truth($0[0] >= $0[1]) }
  operation(.logicalAnd, 2) { truth($0[0] != 0 && $0[1] != 0) }
  operation(.logicalOr, 2) { truth($0[0] != 0 || $0[1] != 0) }
  operation(.logicalXor, 2) { truth(($0[0] != 0) != ($0[1] != 0)) }
  operation(.heaviside, 2) { $0[0] == 0 ? $0[1] : truth($0[0] > 0) }
  operation(.where, 3) { $0[0] != 0 ? $0[1] : $0[2] }
  operation(.addcmul, 3, Scalars(2, pi: 2)) { $0[0] + 2 * $0[1] * $0[2] }
  operation(.addcdiv, 3, Scalars(2, pi: 2), last: notZero) { $0[0] + 2 * $0[1] / $0[2] }
  operation(.clampTensor, 3) { min(max($0[0], $0[1]), $0[2]) }
  return table
}
