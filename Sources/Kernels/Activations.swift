import KernelTypes

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

/// With n = e^x: tanh(log(1 + n)) = w / (w + 2), w = n (n + 2); also 1 - tanh² and the logistic function.
@inline(__always)
func mishParts<P: MathPrecision>(_ x: Doubles, _ p: P.Type) -> (Doubles, Doubles, Doubles) {
  let n = P.exp(Doubles.select(x .> Doubles(40), Doubles(40), x))
  let w = n * (n + Doubles(2))
  let d = w + Doubles(2)
  return (w / d, Doubles(4) * (w + Doubles(1)) / (d * d), n / (n + Doubles(1)))
}

private enum Logistic: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: Doubles, _ s: Parameters<Doubles>, _ p: P.Type) -> Doubles {
    P.sigmoid(x)
  }
}

private enum LogSigmoid: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: Doubles, _ s: Parameters<Doubles>, _ p: P.Type) -> Doubles {
    Doubles.select(x .> Doubles(0), Doubles(0), x) - P.log1p(P.exp(x.absolute.negated))
  }
}

private enum SiLU: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: Doubles, _ s: Parameters<Doubles>, _ p: P.Type) -> Doubles {
    x / (Doubles(1) + P.exp(x.negated))
  }
}

private enum Mish: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: Doubles, _ s: Parameters<Doubles>, _ p: P.Type) -> Doubles {
    let (t, _, _) = mishParts(x, p)
    return x * t
  }
}

private enum Tanhshrink: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: Doubles, _ s: Parameters<Doubles>, _ p: P.Type) -> Doubles {
    x - P.tanh(x)
  }
}

enum SELU {
  static let alpha = 1.6732632423543772848170429916717
  static let scale = 1.0507009873554804934193349852946
}

private enum ScaledELU: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: Doubles, _ s: Parameters<Doubles>, _ p: P.Type) -> Doubles {
    let below = P.expm1(x) * Doubles(SELU.alpha * SELU.scale)
    return Doubles.select(x .> Doubles(0), x * Doubles(SELU.scale), below)
  }
}

private enum ELU: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: Doubles, _ s: Parameters<Doubles>, _ p: P.Type) -> Doubles {
    Doubles.select(x .> Doubles(0), x * s.q, P.expm1(x * s.r) * (s.p * s.q))
  }
}

private enum CELU: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: Doubles, _ s: Parameters<Doubles>, _ p: P.Type) -> Doubles {
    Doubles.select(x .> Doubles(0), x, P.expm1(x / s.p) * s.p)
  }
}

private enum ExactGELU: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: Doubles, _ s: Parameters<Doubles>, _ p: P.Type) -> Doubles {
    Doubles(0.5) * x * P.erfc(x * Doubles(-0.7071067811865476))
  }
}

/// 0.5 x (1 + tanh u) is x times the logistic function of 2u.
private enum TanhGELU: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: Doubles, _ s: Parameters<Doubles>, _ p: P.Type) -> Doubles {
    let inner = x.adding(x * x * x, times: Doubles(0.044715)) * Doubles(-1.5957691216057308)
    return x / (Doubles(1) + P.exp(inner))
  }
}

private enum Softplus: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: Doubles, _ s: Parameters<Doubles>, _ p: P.Type) -> Doubles {
    Doubles.select(x * s.p .> s.q, x, P.log1p(P.exp(x * s.p)) / s.p)
  }
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
  table.math(.sigmoid, Logistic.self)
  table.math(.logSigmoid, LogSigmoid.self)
  table.math(.silu, SiLU.self)
  table.math(.mish, Mish.self)
  table.math(.tanhshrink, Tanhshrink.self)
  table.math(.selu, ScaledELU.self)
  table.math(.elu, ELU.self)
  table.math(.celu, CELU.self)
  table.math(.gelu, ExactGELU.self, where: 0, TanhGELU.self)
  table.math(.softplus, Softplus.self)
}
