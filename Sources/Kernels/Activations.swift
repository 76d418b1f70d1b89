import KernelTypes

// Rational and piecewise linear activations as vectors.

@inline(__always) private func relu<V: FloatVector>(_ x: V) -> V { V.select(x .< V.zero, V.zero, x) }
@inline(__always) private func addRelu<V: FloatVector>(_ a: V, _ b: V, _ s: Parameters<V>) -> V { relu(add(a, b, s)) }
@inline(__always) private func addProductRelu<V: FloatVector>(_ a: V, _ b: V, _ c: V, _ s: Parameters<V>) -> V {
  relu(addProduct(a, b, c, s))
}
@inline(__always) private func addProductAddRelu<V: FloatVector>(
  _ a: V, _ b: V, _ c: V, _ d: V, _ s: Parameters<V>
) -> V { relu(addProduct(a, b, c, s) + d) }
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
func mishParts<P: MathPrecision>(_ x: P.V, _ p: P.Type) -> (P.V, P.V, P.V) {
  let n = P.exp(P.V.select(x .> P.V(20), P.V(20), x))
  let w = n * (n + P.V(2))
  let d = w + P.V(2)
  return (w / d, P.V(4) * (w + P.V(1)) / (d * d), n / (n + P.V(1)))
}

private enum Logistic: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: P.V, _ s: Parameters<P.V>, _ p: P.Type) -> P.V {
    P.sigmoid(x)
  }
}

private enum LogSigmoid: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: P.V, _ s: Parameters<P.V>, _ p: P.Type) -> P.V {
    P.V.select(x .> P.V(0), P.V(0), x) - P.log1pUpTo1(P.exp(x.absolute.negated))
  }
}

private enum SiLU: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: P.V, _ s: Parameters<P.V>, _ p: P.Type) -> P.V {
    x / (P.V(1) + P.exp(x.negated))
  }
}

private enum Mish: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: P.V, _ s: Parameters<P.V>, _ p: P.Type) -> P.V {
    let (t, _, _) = mishParts(x, p)
    return x * t
  }
}

private enum Tanhshrink: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: P.V, _ s: Parameters<P.V>, _ p: P.Type) -> P.V {
    x - P.tanh(x)
  }
}

enum SELU {
  static let alpha = 1.6732632423543772848170429916717
  static let scale = 1.0507009873554804934193349852946
}

private enum ScaledELU: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: P.V, _ s: Parameters<P.V>, _ p: P.Type) -> P.V {
    let below = P.expm1(x) * P.V(SELU.alpha * SELU.scale)
    return P.V.select(x .> P.V(0), x * P.V(SELU.scale), below)
  }
}

private enum ELU: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: P.V, _ s: Parameters<P.V>, _ p: P.Type) -> P.V {
    P.V.select(x .> P.V(0), x * s.q, P.expm1(x * s.r) * (s.p * s.q))
  }
}

private enum CELU: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: P.V, _ s: Parameters<P.V>, _ p: P.Type) -> P.V {
    P.V.select(x .> P.V(0), x, P.expm1(x / s.p) * s.p)
  }
}

private enum ExactGELU: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: P.V, _ s: Parameters<P.V>, _ p: P.Type) -> P.V {
    P.V(0.5) * x * P.erfc(x * P.V(-0.7071067811865476))
  }
}

/// 0.5 x (1 + tanh u) is x times the logistic function of 2u.
private enum TanhGELU: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: P.V, _ s: Parameters<P.V>, _ p: P.Type) -> P.V {
    let inner = x.adding(x * x * x, times: P.V(0.044715)) * P.V(-1.5957691216057308)
    return x / (P.V(1) + P.exp(inner))
  }
}

private enum Softplus: MathFunction {
  @inline(__always)
  static func apply<P: MathPrecision>(_ x: P.V, _ s: Parameters<P.V>, _ p: P.Type) -> P.V {
    let z = x * s.p
    let raised = P.V.select(z .> P.V(0), z, P.V(0)) + P.log1pUpTo1(P.exp(z.absolute.negated))
    return P.V.select(z .> s.q, x, raised / s.p)
  }
}

func registerActivations(_ table: inout ElementwiseKernels) {
  table.unary(.relu, relu, relu)
  table.binary(.addRelu, addRelu, addRelu)
  table.ternary(.addcmulRelu, addProductRelu, addProductRelu)
  table.quaternary(.addcmulAddRelu, addProductAddRelu, addProductAddRelu)
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
  table.fastMath(.sigmoid, Logistic.self)
  table.fastMath(.logSigmoid, LogSigmoid.self)
  table.fastMath(.silu, SiLU.self)
  table.fastMath(.mish, Mish.self)
  table.math(.tanhshrink, Tanhshrink.self)
  table.fastMath(.selu, ScaledELU.self)
  table.fastMath(.elu, ELU.self)
  table.fastMath(.celu, CELU.self)
  table.math(.gelu, ExactGELU.self, where: 0, TanhGELU.self)
  table.fastMath(.softplus, Softplus.self)
}
