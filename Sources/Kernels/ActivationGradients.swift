import KernelTypes

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
/// (p - y) / ((1 - p) p), the derivative of the binary cross entropy of a probability p. PyTorch's bound on the divisor.
@inline(__always) private func entropySlope<V: FloatVector>(_ p: V, _ y: V) -> V {
  let spread = (V.one - p) * p, least = V(1e-12)
  return (p - y) / V.select(spread .< least, least, spread)
}
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

private enum ELU: MathFunction2 {
  @inline(__always)
  static func apply<P: MathPrecision>(
    _ g: P.V, _ x: P.V, _ s: Parameters<P.V>, _ p: P.Type
  ) -> P.V {
    P.V.select(x .> P.V(0), g * s.q, g * (s.r * s.p * s.q) * P.exp(x * s.r))
  }
}

private enum CELU: MathFunction2 {
  @inline(__always)
  static func apply<P: MathPrecision>(
    _ g: P.V, _ x: P.V, _ s: Parameters<P.V>, _ p: P.Type
  ) -> P.V {
    P.V.select(x .> P.V(0), g, g * P.exp(x / s.p))
  }
}

private enum ScaledELU: MathFunction2 {
  @inline(__always)
  static func apply<P: MathPrecision>(
    _ g: P.V, _ x: P.V, _ s: Parameters<P.V>, _ p: P.Type
  ) -> P.V {
    let below = g * P.V(SELU.alpha * SELU.scale) * P.exp(x)
    return P.V.select(x .> P.V(0), g * P.V(SELU.scale), below)
  }
}

private enum ExactGELU: MathFunction2 {
  @inline(__always)
  static func apply<P: MathPrecision>(
    _ g: P.V, _ x: P.V, _ s: Parameters<P.V>, _ p: P.Type
  ) -> P.V {
    let distribution = P.V(0.5) * P.erfc(x * P.V(-0.7071067811865476))
    let density = P.exp(P.V(-0.5) * x * x) * P.V(0.3989422804014327)
    return g * distribution.adding(x, times: density)
  }
}

private enum TanhGELU: MathFunction2 {
  @inline(__always)
  static func apply<P: MathPrecision>(
    _ g: P.V, _ x: P.V, _ s: Parameters<P.V>, _ p: P.Type
  ) -> P.V {
    let bound = P.V(100)
    let low = P.V.select(x .< bound.negated, bound.negated, x)
    let x = P.V.select(low .> bound, bound, low)
    let cubic = x * x * P.V(0.044715)
    let sigma = P.sigmoid(P.V(1.5957691216057308) * x * (P.V(1) + cubic))
    let slope = P.V(1.5957691216057308) * (P.V(1) + P.V(3) * cubic)
    return g * sigma * (P.V(1) + x * slope * (P.V(1) - sigma))
  }
}

private enum SiLU: MathFunction2 {
  @inline(__always)
  static func apply<P: MathPrecision>(
    _ g: P.V, _ x: P.V, _ s: Parameters<P.V>, _ p: P.Type
  ) -> P.V {
    let sigma = P.sigmoid(x)
    return g * sigma * (P.V(1) + x * (P.V(1) - sigma))
  }
}

private enum Mish: MathFunction2 {
  @inline(__always)
  static func apply<P: MathPrecision>(
    _ g: P.V, _ x: P.V, _ s: Parameters<P.V>, _ p: P.Type
  ) -> P.V {
    let (t, slope, sigma) = mishParts(x, p)
    return P.V.select(x .> P.V(20), g, g * t.adding(x * sigma, times: slope))
  }
}

private enum LogSigmoid: MathFunction2 {
  @inline(__always)
  static func apply<P: MathPrecision>(
    _ g: P.V, _ x: P.V, _ s: Parameters<P.V>, _ p: P.Type
  ) -> P.V {
    g * P.sigmoid(x.negated)
  }
}

private enum Softplus: MathFunction2 {
  @inline(__always)
  static func apply<P: MathPrecision>(
    _ g: P.V, _ x: P.V, _ s: Parameters<P.V>, _ p: P.Type
  ) -> P.V {
    P.V.select(x * s.p .> s.q, g, g * P.sigmoid(x * s.p))
  }
}

func registerActivationGradients(_ table: inout ElementwiseKernels) {
  table.binary(.thresholdBackward, threshold, threshold)
  table.binary(.hardtanhBackward, hardtanh, hardtanh)
  table.binary(.leakyReluBackward, leakyRelu, leakyRelu)
  table.binary(.sigmoidBackward, sigmoid, sigmoid)
  table.binary(.entropySlope, entropySlope, entropySlope)
  table.binary(.tanhBackward, tanhGradient, tanhGradient)
  table.binary(.hardsigmoidBackward, hardsigmoid, hardsigmoid)
  table.binary(.hardswishBackward, hardswish, hardswish)
  table.binary(.softshrinkBackward, shrink, shrink)
  table.binary(.hardshrinkBackward, shrink, shrink)
  table.fastMath(.eluBackward, ELU.self)
  table.fastMath(.celuBackward, CELU.self)
  table.fastMath(.seluBackward, ScaledELU.self)
  table.math(.geluBackward, ExactGELU.self, where: 0, TanhGELU.self)
  table.fastMath(.siluBackward, SiLU.self)
  table.fastMath(.mishBackward, Mish.self)
  table.fastMath(.logSigmoidBackward, LogSigmoid.self)
  table.fastMath(.softplusBackward, Softplus.self)
}
