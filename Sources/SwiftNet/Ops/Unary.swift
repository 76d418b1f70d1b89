/// Operations on one tensor, each with its derivative. The table is the list of them.
public enum Unary {
  enum Saves { case nothing, input, output }

  struct Rule {
    var result: ResultRule = .promoted
    var saves: Saves = .nothing
    /// The gradient from that of the result, what was saved (if anything), and the parameters.
    var gradient: ((Tensor, Tensor?, Scalars) throws -> Tensor)?
  }

  /// A derivative that depends on the input.
  private static func input(
    _ result: ResultRule = .floating, _ gradient: @escaping (Tensor, Tensor) throws -> Tensor
  ) -> Rule {
    Rule(result: result, saves: .input) { grad, saved, _ in try gradient(grad, saved!) }
  }

  /// A derivative that depends on the output.
  private static func output(
    _ result: ResultRule = .floating, _ gradient: @escaping (Tensor, Tensor) throws -> Tensor
  ) -> Rule {
    Rule(result: result, saves: .output) { grad, saved, _ in try gradient(grad, saved!) }
  }

  /// A derivative with a kernel of its own; double backward goes through `then` where there is one.
  private static func fused(
    _ op: ElementwiseOp, saves: Saves = .input, result: ResultRule = .promoted,
    recorded: ((Tensor, Tensor, Scalars) throws -> Tensor)? = nil
  ) -> Rule {
    Rule(result: result, saves: saves) { grad, saved, scalars in
      if let recorded, ThreadState.current.isGradEnabled, grad.requiresGrad || saved!.requiresGrad {
        return try recorded(grad, saved!, scalars)
      }
      return try elementwise(op, [.tensor(grad), .tensor(saved!)], scalars: scalars)
    }
  }

  private static let zeroGradient = Rule { grad, _, _ in try grad.times(0.0) }

  private static let rules: [ElementwiseOp: Rule] = [
    .copy: Rule { grad, _, _ in grad },
    .neg: Rule { grad, _, _ in try grad.negated() },
    .abs: input(.promoted) { try $0 * $1.unary(.sgn) },
    .sign: zeroGradient, .sgn: zeroGradient, .ceil: zeroGradient, .floor: zeroGradient, .trunc: zeroGradient,
    .round: zeroGradient, .roundDecimals: zeroGradient,
    .frac: Rule { grad, _, _ in grad },
    .square: input(.promoted) { try $0 * ($1 * 2.0) },
    .reciprocal: output { try ($0 * ($1 * $1)).negated() },
    .sqrt: output { try $0 / ($1 * 2.0) },
    .rsqrt: output { try $0 * ($1 * $1 * $1) * -0.5 },
    .exp: output { try $0 * $1 },
    .exp2: output { try $0 * $1 * .float(M_LN2) },
    .expm1: output { try $0 * ($1 + 1.0) },
    .log: input { try $0 / $1 },
    .log2: input { try $0 / ($1 * .float(M_LN2)) },
    .log10: input { try $0 / ($1 * .float(M_LN10)) },
    .log1p: input { try $0 / ($1 + 1.0) },
    .sin: input { try $0 * $1.unary(.cos) },
    .cos: input { try ($0 * $1.unary(.sin)).negated() },
    .tan: output { try $0 * ($1 * $1 + 1.0) },
    .asin: input { try $0 * (($1 * $1).negated() + 1.0).unary(.rsqrt) },
    .acos: input { try ($0 * (($1 * $1).negated() + 1.0).unary(.rsqrt)).negated() },
    .atan: input { try $0 / ($1 * $1 + 1.0) },
    .sinh: input { try $0 * $1.unary(.cosh) },
    .cosh: input { try $0 * $1.unary(.sinh) },
    .tanh: fused(.tanhBackward, saves: .output, result: .floating) { grad, out, _ in
      try grad * ((out * out).negated() + 1.0)
    },
    .asinh: input { try $0 * ($1 * $1 + 1.0).unary(.rsqrt) },
    .acosh: input { try $0 * ($1 * $1 - 1.0).unary(.rsqrt) },
    .atanh: input { try $0 / (($1 * $1).negated() + 1.0) },
    .erf: input { try $0 * ($1 * $1).negated().unary(.exp) * .float(M_2_SQRTPI) },
    .erfc: input { try $0 * ($1 * $1).negated().unary(.exp) * .float(-M_2_SQRTPI) },
    .erfinv: output { try $0 * ($1 * $1).unary(.exp) * .float(1 / M_2_SQRTPI) },
    .lgamma: input { try $0 * $1.unary(.digamma) },
    .digamma: input { try $0 * $1.unary(.trigamma) },
    .trigamma: input { try $0 * $1.polygamma(2) },
    .i0: input { try $0 * $1.i1() },
    .sinc: input { grad, x in
      // d/dx sin(πx)/(πx) = (cos(πx)·πx - sin(πx)) / (πx²), and 0 at 0.
      let scaled = try x * .float(Double.pi)
      let slope = try (scaled.unary(.cos) * scaled - scaled.unary(.sin)) / (scaled * x)
      let atZero = try Binary.apply(.eq, .tensor(x), .scalar(0))
      return try whereSelect(atZero, .scalar(0.0), .tensor(grad * slope))
    },
    .logit: Rule(result: .floating, saves: .input) { grad, saved, scalars in
      let x = saved!
      let slope = try grad / (x * (x.negated() + 1.0))
      guard scalars.p >= 0 else { return slope }
      let low = try Binary.apply(.lt, .tensor(x), .scalar(.float(scalars.p)))
      let high = try Binary.apply(.gt, .tensor(x), .scalar(.float(1 - scalars.p)))
      return try whereSelect(
        Binary.apply(.logicalOr, .tensor(low), .tensor(high)), .scalar(0.0), .tensor(slope))
    },
    .ndtr: input { try $0 * ($1 * $1 * -0.5).unary(.exp) * .float(0.5 * M_SQRT1_2 * M_2_SQRTPI) },
    .ndtri: output { try $0 * ($1 * $1 * 0.5).unary(.exp) * .float(1 / (0.5 * M_SQRT1_2 * M_2_SQRTPI)) },
    .sigmoid: fused(.sigmoidBackward, saves: .output, result: .floating) { grad, out, _ in
      try grad * (out * (out.negated() + 1.0))
    },
    .logSigmoid: fused(.logSigmoidBackward) { grad, x, _ in try grad * x.negated().unary(.sigmoid) },
    .relu: fused(.thresholdBackward, saves: .output) { grad, out, _ in try masked(grad, out, above: 0) },
    .relu6: Rule(saves: .input) { grad, saved, _ in try hardtanhGradient(grad, saved!, Scalars(0, 6)) },
    .silu: fused(.siluBackward) { grad, x, _ in
      let s = try x.unary(.sigmoid)
      return try grad * (s * (x * (s.negated() + 1.0) + 1.0))
    },
    .mish: fused(.mishBackward) { grad, x, _ in
      let t = try x.unary(.softplus, Scalars(1, 20)).unary(.tanh)
      let s = try x.unary(.sigmoid)
      return try grad * (t + x * s * ((t * t).negated() + 1.0))
    },
    .hardsigmoid: fused(.hardsigmoidBackward) { grad, x, _ in try between(grad * (.float(1.0 / 6)), x, -3, 3)
    },
    .hardswish: fused(.hardswishBackward) { grad, x, _ in
      let inside = try grad * (x / 3.0 + 0.5)
      let high = try whereSelect(Binary.apply(.ge, .tensor(x), .scalar(3.0)), .tensor(grad), .tensor(inside))
      return try whereSelect(Binary.apply(.le, .tensor(x), .scalar(-3.0)), .scalar(0.0), .tensor(high))
    },
    .softsign: input(.promoted) { grad, x in
      let d = try x.unary(.abs) + 1.0
      return try grad / (d * d)
    },
    .tanhshrink: input(.promoted) { grad, x in
      let t = try x.unary(.tanh)
      return try grad * (t * t)
    },
    .selu: fused(.seluBackward) { grad, x, _ in
      let (alpha, scale) = (1.6732632423543772848170429916717, 1.0507009873554804934193349852946)
      let negative = try grad * (x.unary(.exp) * .float(alpha * scale))
      return try whereSelect(
        Binary.apply(.gt, .tensor(x), .scalar(0.0)), .tensor(grad * .float(scale)), .tensor(negative))
    },
    .leakyRelu: fused(.leakyReluBackward) { grad, x, s in
      try whereSelect(Binary.apply(.gt, .tensor(x), .scalar(0.0)), .tensor(grad), .tensor(grad * .float(s.p)))
    },
    .elu: fused(.eluBackward) { grad, x, s in
      let negative = try grad * ((x * .float(s.r)).unary(.exp) * .float(s.p * s.q * s.r))
      return try whereSelect(
        Binary.apply(.gt, .tensor(x), .scalar(0.0)), .tensor(grad * .float(s.q)), .tensor(negative))
    },
    .celu: fused(.celuBackward) { grad, x, s in
      let negative = try grad * (x / .float(s.p)).unary(.exp)
      return try whereSelect(Binary.apply(.gt, .tensor(x), .scalar(0.0)), .tensor(grad), .tensor(negative))
    },
    .gelu: fused(.geluBackward) { grad, x, s in try grad * geluSlope(x, tanh: s.p != 0) },
    .softplus: fused(.softplusBackward) { grad, x, s in
      let slope = try (x * .float(s.p)).unary(.sigmoid)
      let linear = try Binary.apply(.gt, .tensor(x * .float(s.p)), .scalar(.float(s.q)))
      return try whereSelect(linear, .tensor(grad), .tensor(grad * slope))
    },
    .hardshrink: fused(.hardshrinkBackward) { grad, x, s in
      try whereSelect(try outside(x, s.p), .tensor(grad), .scalar(0.0))
    },
    .softshrink: fused(.softshrinkBackward) { grad, x, s in
      try whereSelect(try outside(x, s.p), .tensor(grad), .scalar(0.0))
    },
    .hardtanh: Rule(saves: .input) { grad, saved, s in try hardtanhGradient(grad, saved!, s) },
    .threshold: Rule(saves: .input) { grad, saved, s in try masked(grad, saved!, above: s.p) },
    .clampScalar: Rule(saves: .input) { grad, saved, s in
      let low = try Binary.apply(.ge, .tensor(saved!), .scalar(.float(s.p)))
      let high = try Binary.apply(.le, .tensor(saved!), .scalar(.float(s.q)))
      return try whereSelect(
        Binary.apply(.logicalAnd, .tensor(low), .tensor(high)), .tensor(grad), .scalar(0.0))
    },
    .nanToNum: input(.promoted) { grad, x in
      try whereSelect(x.unary(.isfinite), .tensor(grad), .scalar(0.0))
    },
    .logicalNot: Rule(result: .bool), .isnan: Rule(result: .bool), .isinf: Rule(result: .bool),
    .isfinite: Rule(result: .bool), .isposinf: Rule(result: .bool), .isneginf: Rule(result: .bool),
    .signbit: Rule(result: .bool),
  ]
  private static let table: [Rule] = ElementwiseOp.allCases.map { rules[$0] ?? Rule() }

  static func rule(of op: ElementwiseOp) -> Rule { table[op.rawValue] }

  /// What forward asks of the rule, without its closure: how the dtype of the result is found, and what is saved, nil
  /// where there is no derivative.
  static func forward(of op: ElementwiseOp) -> (result: ResultRule, saves: Saves?) { forwardTable[op.rawValue] }

  private static let forwardTable: [(result: ResultRule, saves: Saves?)] = table.map {
    ($0.result, $0.gradient == nil ? nil : $0.saves)
  }

  private static func masked(_ grad: Tensor, _ x: Tensor, above limit: Double) throws -> Tensor {
    try whereSelect(Binary.apply(.gt, .tensor(x), .scalar(.float(limit))), .tensor(grad), .scalar(0.0))
  }

  private static func hardtanhGradient(_ grad: Tensor, _ x: Tensor, _ limits: Scalars) throws -> Tensor {
    if ThreadState.current.isGradEnabled { return try between(grad, x, limits.p, limits.q) }
    return try elementwise(.hardtanhBackward, [.tensor(grad), .tensor(x)], scalars: limits)
  }

  private static func between(_ grad: Tensor, _ x: Tensor, _ low: Double, _ high: Double) throws -> Tensor {
    let a = try Binary.apply(.gt, .tensor(x), .scalar(.float(low)))
    let b = try Binary.apply(.lt, .tensor(x), .scalar(.float(high)))
    return try whereSelect(Binary.apply(.logicalAnd, .tensor(a), .tensor(b)), .tensor(grad), .scalar(0.0))
  }

  private static func outside(_ x: Tensor, _ limit: Double) throws -> Tensor {
    let low = try Binary.apply(.lt, .tensor(x), .scalar(.float(-limit)))
    let high = try Binary.apply(.gt, .tensor(x), .scalar(.float(limit)))
    return try Binary.apply(.logicalOr, .tensor(low), .tensor(high))
  }

  /// The derivative of GELU, on tensors.
  private static func geluSlope(_ x: Tensor, tanh: Bool) throws -> Tensor {
    if tanh {
      // 0.5(1 + t) + 0.5x(1 - t²)k(1 + 3·0.044715x²), t = tanh(k(x + 0.044715x³)), k = √(2/π)
      let k = M_SQRT2 * M_2_SQRTPI * 0.5
      let square = try x * x
      let t = try (x * (square * 0.044715 + 1.0) * .float(k)).unary(.tanh)
      let inner = try (square * .float(3 * 0.044715) + 1.0) * .float(0.5 * k)
      return try (t + 1.0) * 0.5 + x * ((t * t).negated() + 1.0) * inner
    }
    let density = try (x * x * -0.5).unary(.exp) * .float(0.5 * M_SQRT1_2 * M_2_SQRTPI)
    return try ((x * .float(M_SQRT1_2)).unary(.erf) + 1.0) * 0.5 + x * density
  }
}

extension Tensor {
  /// Applies an operation of the table `Unary`, with its parameters.
  public func unary(_ op: ElementwiseOp, _ scalars: Scalars = Scalars()) throws -> Tensor {
    if !dtype.isFloatingPoint, let replaced = try UnaryChecks.integer(op, self, scalars) { return replaced }
    let (result, saves) = Unary.forward(of: op)
    let short = dtype.isFloatingPoint && result.isValue ? try directElementwise(op, self, nil, scalars) : nil
    let out = try short ?? elementwise(op, [.tensor(self)], rule: result, scalars: scalars)
    if op == .sigmoid, out.isDeferred { try out.noteSigmoid(of: self) }
    guard autograd != nil, ThreadState.current.isGradEnabled, out.dtype.isFloatingPoint, let saves,
      let edge = gradEdge
    else { return out }
    var saved = ShortList<SavedTensor>()
    switch saves {
    case .nothing: break
    case .input: saved.append(try SavedTensor(self))
    case .output: saved.append(try SavedTensor(out, outputIndex: 0))
    }
    out.record(nodeNames[op.rawValue], ShortList(edge), saved: saved) { context in
      guard let gradient = Unary.rule(of: op).gradient else { return [nil] }
      return [try gradient(try context.grad, saves == .nothing ? nil : try context.saved(0), scalars)]
    }
    return out
  }

  /// The same, into this tensor.
  public func unaryInPlace(_ op: ElementwiseOp, _ scalars: Scalars = Scalars()) throws {
    try checkWritable()
    if !dtype.isFloatingPoint, let replaced = try UnaryChecks.integer(op, self, scalars) {
      return try inPlace { _ in replaced }
    }
    if needsRecording([self]) {
      try inPlace(isFresh: true) { try $0.unary(op, scalars) }
    } else {
      let result = Unary.forward(of: op).result
      if result.isValue, try directElementwiseInPlace(op, self, nil, scalars) { return }
      _ = try elementwise(op, [.tensor(self)], rule: result, scalars: scalars, into: self)
    }
  }
}
