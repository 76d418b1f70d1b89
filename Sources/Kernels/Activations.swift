import KernelTypes

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

// Rational and piecewise linear activations as vectors.

@inline(__always) private func relu<V: FloatVector>(_ x: V) -> V { V.select(x .< V.zero, V.zero, x) }
@inline(__always) private func relu6<V: FloatVector>(_ x: V) -> V { bounded(x, V.zero, V(6)) }

/// min(max(x, low), high) for bounds that are numbers; NaN stays.
@inline(__always) private func bounded<V: FloatVector>(_ x: V, _ low: V, _ high: V) -> V {
  let raised = V.select(x .< low, low, x)
  return V.select(raised .> high, high, raised)
}
@inline(__always) private func leakyRelu<V: FloatVector>(_ x: V, _ s: Parameters<V>) -> V {
  V.select(x .> V.zero, x, x * s.p)
}
@inline(__always) private func prelu<V: FloatVector>(_ x: V, _ w: V) -> V { V.select(x .> V.zero, x, x * w) }
@inline(__always) private func hardsigmoid<V: FloatVector>(_ x: V) -> V {
  bounded(x + V(3), V.zero, V(6)) / V(6)
}
@inline(__always) private func hardswish<V: FloatVector>(_ x: V) -> V {
  x * bounded(x + V(3), V.zero, V(6)) / V(6)
}
@inline(__always) private func softsign<V: FloatVector>(_ x: V) -> V { x / (V.one + x.absolute) }
@inline(__always) private func hardshrink<V: FloatVector>(_ x: V, _ s: Parameters<V>) -> V {
  V.select(x .>= s.p.negated, V.select(x .<= s.p, V.zero, x), x)
}
@inline(__always) private func softshrink<V: FloatVector>(_ x: V, _ s: Parameters<V>) -> V {
  V.select(x .> s.p, x - s.p, V.select(x .< s.p.negated, x + s.p, x * V.zero))
}
@inline(__always) private func threshold<V: FloatVector>(_ x: V, _ s: Parameters<V>) -> V {
  V.select(x .<= s.p, s.q, x)
}

@inline(__always) func logistic(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
@inline(__always) private func logSigmoid(_ x: Double) -> Double {
  (x < 0 || x.isNaN ? x : 0) - log1p(exp(-x.magnitude))
}
@inline(__always) private func silu(_ x: Double) -> Double { x / (1 + exp(-x)) }
@inline(__always) private func mish(_ x: Double) -> Double { x * tanh(log1p(exp(x))) }
@inline(__always) private func tanhshrink(_ x: Double) -> Double { x - tanh(x) }

enum SELU {
  static let alpha = 1.6732632423543772848170429916717
  static let scale = 1.0507009873554804934193349852946
}
@inline(__always) private func selu(_ x: Double) -> Double {
  x <= 0 ? expm1(x) * SELU.alpha * SELU.scale : x * SELU.scale
}
@inline(__always) private func elu(_ x: Double, _ s: Scalars) -> Double {
  x <= 0 ? expm1(x * s.r) * s.p * s.q : x * s.q
}
@inline(__always) private func celu(_ x: Double, _ s: Scalars) -> Double {
  x <= 0 ? expm1(x / s.p) * s.p : x
}
@inline(__always) private func gelu(_ x: Double, _ s: Scalars) -> Double {
  if s.p == 0 { return 0.5 * x * erfc(-x * 0.7071067811865476) }
  return 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))
}
@inline(__always) private func softplus(_ x: Double, _ s: Scalars) -> Double {
  x * s.p > s.q ? x : log1p(exp(x * s.p)) / s.p
}

func registerActivations(_ table: inout ElementwiseKernels) {
  table.unary(.relu, relu, relu)
  table.unary(.relu6, relu6, relu6)
  table.unary(.leakyRelu, leakyRelu, leakyRelu)
  table.binary(.prelu, prelu, prelu)
  table.unary(.hardsigmoid, hardsigmoid, hardsigmoid)
  table.unary(.hardswish, hardswish, hardswish)
  table.unary(.softsign, softsign, softsign)
  table.unary(.hardshrink, hardshrink, hardshrink)
  table.unary(.softshrink, softshrink, softshrink)
  table.unary(.threshold, threshold, threshold)
  table.unary(.hardtanh, clamp, clamp)
  table.scalarUnary(.sigmoid, logistic)
  table.scalarUnary(.logSigmoid, logSigmoid)
  table.scalarUnary(.silu, silu)
  table.scalarUnary(.mish, mish)
  table.scalarUnary(.tanhshrink, tanhshrink)
  table.scalarUnary(.selu, selu)
  table.scalarUnary(.elu, elu)
  table.scalarUnary(.celu, celu)
  table.scalarUnary(.gelu, gelu)
  table.scalarUnary(.softplus, softplus)
}
