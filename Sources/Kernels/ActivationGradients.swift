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
    _ g: Doubles, _ x: Doubles, _ s: Parameters<Doubles>, _ p: P.Type
  ) -> Doubles {
    Doubles.select(x .> Doubles(0), g * s.q, g * (s.r * s.p * s.q) * P.exp(x * s.r))
  }
}

private enum CELU: MathFunction2 {
  @inline(__always)
  static func apply<P: MathPrecision>(
    _ g: Doubles, _ x: Doubles, _ s: Parameters<Doubles>, _ p: P.Type
  ) -> Doubles {
    Doubles.select(x .> Doubles(0), g, g * P.exp(x / s.p))
  }
}

private enum ScaledELU: MathFunction2 {
  @inline(__always)
  static func apply<P: MathPrecision>(
    _ g: Doubles, _ x: Doubles, _ s: Parameters<Doubles>, _ p: P.Type
  ) -> Doubles {
    let below = g * Doubles(SELU.alpha * SELU.scale) * P.exp(x)
    return Doubles.select(x .> Doubles(0), g * Doubles(SELU.scale), below)
  }
}

private enum ExactGELU: MathFunction2 {
  @inline(__always)
  static func apply<P: MathPrecision>(
    _ g: Doubles, _ x: Doubles, _ s: Parameters<Doubles>, _ p: P.Type
  ) -> Doubles {
    let distribution = Doubles(0.5) * P.erfc(x * Doubles(-0.7071067811865476))
    let density = P.exp(Doubles(-0.5) * x * x) * Doubles(0.3989422804014327)
    return g * distribution.adding(x, times: density)
  }
}

private enum TanhGELU: MathFunction2 {
  @inline(__always)
  static func apply<P: MathPrecision>(
    _ g: Doubles, _ x: Doubles, _ s: Parameters<Doubles>, _ p: P.Type
  ) -> Doubles {
    let bound = Doubles(100)
    let low = Doubles.select(x .< bound.negated, bound.negated, x)
    let x = Doubles.select(low .> bound, bound, low)
    let cubic = x * x * Doubles(0.044715)
    let sigma = P.sigmoid(Doubles(1.5957691216057308) * x * (Doubles(1) + cubic))
    let slope = Doubles(1.5957691216057308) * (Doubles(1) + Doubles(3) * cubic)
    return g * sigma * (Doubles(1) + x * slope * (Doubles(1) - sigma))
  }
}

private enum SiLU: MathFunction2 {
  @inline(__always)
  static func apply<P: MathPrecision>(
    _ g: Doubles, _ x: Doubles, _ s: Parameters<Doubles>, _ p: P.Type
  ) -> Doubles {
    let sigma = P.sigmoid(x)
    return g * sigma * (Doubles(1) + x * (Doubles(1) - sigma))
  }
}

private enum Mish: MathFunction2 {
  @inline(__always)
  static func apply<P: MathPrecision>(
    _ g: Doubles, _ x: Doubles, _ s: Parameters<Doubles>, _ p: P.Type
  ) -> Doubles {
    let (t, slope, sigma) = mishParts(x, p)
    return Doubles.select(x .> Doubles(40), g, g * t.adding(x * sigma, times: slope))
  }
}

private enum LogSigmoid: MathFunction2 {
  @inline(__always)
  static func apply<P: MathPrecision>(
    _ g: Doubles, _ x: Doubles, _ s: Parameters<Doubles>, _ p: P.Type
  ) -> Doubles {
    g * P.sigmoid(x.negated)
  }
}

private enum Softplus: MathFunction2 {
  @inline(__always)
  static func apply<P: MathPrecision>(
    _ g: Doubles, _ x: Doubles, _ s: Parameters<Doubles>, _ p: P.Type
  ) -> Doubles {
    Doubles.select(x * s.p .> s.q, g, g * P.sigmoid(x * s.p))
  }
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
  table.math(.eluBackward, ELU.self)
  table.math(.celuBackward, CELU.self)
  table.math(.seluBackward, ScaledELU.self)
  table.math(.geluBackward, ExactGELU.self, where: 0, TanhGELU.self)
  table.math(.siluBackward, SiLU.self)
  table.math(.mishBackward, Mish.self)
  table.math(.logSigmoidBackward, LogSigmoid.self)
  table.math(.softplusBackward, Softplus.self)
}
