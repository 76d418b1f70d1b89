import KernelTypes

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

// g is the incoming gradient, y the saved output, x the saved input.

@inline(__always) private func threshold<V: FloatVector>(_ g: V, _ x: V, _ s: Parameters<V>) -> V {
  V.select(x .<= s.p, V.zero, g)
}
@inline(__always) private func hardtanh<V: FloatVector>(_ g: V, _ x: V, _ s: Parameters<V>) -> V {
  V.select(x .> s.p, V.select(x .< s.q, g, V.zero), V.zero)
}
@inline(__always) private func leakyRelu<V: FloatVector>(_ g: V, _ x: V, _ s: Parameters<V>) -> V {
  V.select(x .> V.zero, g, g * s.p)
}
@inline(__always) private func sigmoid<V: FloatVector>(_ g: V, _ y: V) -> V { g * (V.one - y) * y }
@inline(__always) private func tanhGradient<V: FloatVector>(_ g: V, _ y: V) -> V {
  g * ((V.one - y) * (V.one + y))
}
@inline(__always) private func hardsigmoid<V: FloatVector>(_ g: V, _ x: V) -> V {
  V.select(x .> V(-3), V.select(x .< V(3), g / V(6), V.zero), V.zero)
}
@inline(__always) private func hardswish<V: FloatVector>(_ g: V, _ x: V) -> V {
  V.select(x .<= V(-3), V.zero, V.select(x .>= V(3), g, g * (x / V(3) + V(0.5))))
}
@inline(__always) private func shrink<V: FloatVector>(_ g: V, _ x: V, _ s: Parameters<V>) -> V {
  V.select(x .> s.p, g, V.select(x .< s.p.negated, g, V.zero))
}

@inline(__always) private func elu(_ g: Double, _ x: Double, _ s: Scalars) -> Double {
  x > 0 ? g * s.q : g * s.r * s.p * s.q * exp(x * s.r)
}
@inline(__always) private func celu(_ g: Double, _ x: Double, _ s: Scalars) -> Double {
  x > 0 ? g : g * exp(x / s.p)
}
@inline(__always) private func selu(_ g: Double, _ x: Double) -> Double {
  x > 0 ? g * SELU.scale : g * SELU.alpha * SELU.scale * exp(x)
}
@inline(__always) private func gelu(_ g: Double, _ x: Double, _ s: Scalars) -> Double {
  if s.p == 0 {
    let distribution = 0.5 * erfc(-x * 0.7071067811865476)
    return g * (distribution + x * exp(-0.5 * x * x) * 0.3989422804014327)
  }
  let inner = 0.7978845608028654 * (x + 0.044715 * x * x * x)
  let slope = 0.7978845608028654 * (1 + 3 * 0.044715 * x * x)
  let t = tanh(inner)
  return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope)
}
@inline(__always) private func silu(_ g: Double, _ x: Double) -> Double {
  let sigma = logistic(x)
  return g * sigma * (1 + x * (1 - sigma))
}
@inline(__always) private func mish(_ g: Double, _ x: Double) -> Double {
  let sigma = logistic(x)
  let t = tanh(log1p(exp(x)))
  return g * (t + x * sigma * (1 - t * t))
}
@inline(__always) private func logSigmoid(_ g: Double, _ x: Double) -> Double { g * logistic(-x) }
@inline(__always) private func softplus(_ g: Double, _ x: Double, _ s: Scalars) -> Double {
  x * s.p > s.q ? g : g * logistic(x * s.p)
}

func registerActivationGradients(_ table: inout ElementwiseKernels) {
  table.binary(.thresholdBackward, threshold, threshold)
  table.binary(.hardtanhBackward, hardtanh, hardtanh)
  table.binary(.leakyReluBackward, leakyRelu, leakyRelu)
  table.binary(.sigmoidBackward, sigmoid, sigmoid)
  table.binary(.tanhBackward, tanhGradient, tanhGradient)
  table.binary(.hardsigmoidBackward, hardsigmoid, hardsigmoid)
  table.binary(.hardswishBackward, hardswish, hardswish)
  table.binary(.softshrinkBackward, shrink, shrink)
  table.binary(.hardshrinkBackward, shrink, shrink)
  table.scalarBinary(.eluBackward, elu)
  table.scalarBinary(.celuBackward, celu)
  table.scalarBinary(.seluBackward, selu)
  table.scalarBinary(.geluBackward, gelu)
  table.scalarBinary(.siluBackward, silu)
  table.scalarBinary(.mishBackward, mish)
  table.scalarBinary(.logSigmoidBackward, logSigmoid)
  table.scalarBinary(.softplusBackward, softplus)
}
