/// Operations on two operands, tensors or numbers, with broadcasting and type promotion.
public enum Binary {
  /// What a gradient rule sees. `a`, `b` and `out` are there if the rule said that it uses them.
  struct Context {
    let grad: Tensor
    let a: ElementwiseOperand
    let b: ElementwiseOperand
    let out: Tensor?
    let alpha: Scalar
  }

  typealias Gradient = (Context) throws -> Tensor

  /// Gradients with respect to both operands, and what each of them reads.
  struct Rule {
    struct Uses: OptionSet {
      let rawValue: Int
      static let a = Uses(rawValue: 1)
      static let b = Uses(rawValue: 2)
      static let out = Uses(rawValue: 4)
    }

    var a: (uses: Uses, gradient: Gradient)?
    var b: (uses: Uses, gradient: Gradient)?
  }

  private static let results: [ElementwiseOp: ResultRule] = [
    .div: .floating, .atan2: .floating, .xlogy: .floating, .xlog1py: .floating,
    .copysign: .floating, .ldexp: .floating,
    .eq: .bool, .ne: .bool, .lt: .bool, .le: .bool, .gt: .bool, .ge: .bool,
    .logicalAnd: .bool, .logicalOr: .bool, .logicalXor: .bool,
  ]
  static let isChecked: [Bool] = ElementwiseOp.allCases.map { BinaryChecks.operations.contains($0) }
  private static let resultRules: [ResultRule] = ElementwiseOp.allCases.map { results[$0] ?? .promoted }

  private static let rules: [ElementwiseOp: Rule] = [
    .add: Rule(a: ([], { $0.grad }), b: ([], { try $0.grad.times($0.alpha) })),
    .sub: Rule(a: ([], { $0.grad }), b: ([], { try $0.grad.times($0.alpha.negated) })),
    .mul: Rule(a: ([.b], { try mul($0.grad, $0.b) }), b: ([.a], { try mul($0.grad, $0.a) })),
    .div: Rule(
      a: ([.b], { try div($0.grad, $0.b) }),
      b: ([.b, .out], { try mul($0.grad, .tensor(div($0.out!, $0.b))).negated() })),
    .pow: Rule(
      a: (
        [.a, .b],
        { context in
          // b·a^(b-1), and 0 where b is 0. A square, which losses are full of, needs no power: one with the exponent 1
          // would take fifteen times as long as all the rest.
          if case .scalar(let exponent) = context.b, exponent.double == 2 {
            return try mul(mul(context.grad, context.a), context.b)
          }
          let power = try apply(.pow, context.a, lowered(context.b))
          let slope = try mul(power, context.b)
          let zero = try apply(.eq, context.b, .scalar(0))
          return try whereSelect(zero, .scalar(0.0), .tensor(try mul(context.grad, .tensor(slope))))
        }
      ),
      b: (
        [.a, .b, .out],
        { context in
          // a^b·ln a, and 0 where a is 0 and b is not negative.
          let log = try operandTensor(context.a).unary(.log)
          let slope = try mul(context.out!, .tensor(log))
          let zero = try apply(
            .logicalAnd, .tensor(apply(.eq, context.a, .scalar(0))), .tensor(apply(.ge, context.b, .scalar(0))))
          return try mul(context.grad, .tensor(whereSelect(zero, .scalar(0.0), .tensor(slope))))
        }
      )),
    .minimum: Rule(a: ([.a, .b], { try share($0, .lt) }), b: ([.a, .b], { try share($0, .gt) })),
    .maximum: Rule(a: ([.a, .b], { try share($0, .gt) }), b: ([.a, .b], { try share($0, .lt) })),
    .fmin: Rule(
      a: ([.a, .b], { try pick($0, .le, first: true) }), b: ([.a, .b], { try pick($0, .le, first: false) })),
    .fmax: Rule(
      a: ([.a, .b], { try pick($0, .ge, first: true) }), b: ([.a, .b], { try pick($0, .ge, first: false) })),
    .remainder: Rule(
      a: ([], { $0.grad }),
      b: ([.a, .b], { try mul($0.grad, .tensor(floorQuotient($0))).negated() })),
    .fmod: Rule(
      a: ([], { $0.grad }),
      b: ([.a, .b], { try mul($0.grad, .tensor(apply(.truncDivide, $0.a, $0.b))).negated() })),
    .atan2: Rule(
      a: ([.a, .b], { try mul($0.grad, .tensor(div(operandTensor($0.b), .tensor(sumOfSquares($0))))) }),
      b: (
        [.a, .b], { try mul($0.grad, .tensor(div(operandTensor($0.a), .tensor(sumOfSquares($0))))).negated() }
      )),
    .hypot: Rule(
      a: ([.a, .out], { try mul($0.grad, .tensor(div(operandTensor($0.a), .tensor($0.out!)))) }),
      b: ([.b, .out], { try mul($0.grad, .tensor(div(operandTensor($0.b), .tensor($0.out!)))) })),
    .copysign: Rule(
      a: (
        [.a, .out],
        { context in
          let ratio = try div(context.out!, context.a)
          let zero = try apply(.eq, context.a, .scalar(0))
          return try mul(context.grad, .tensor(whereSelect(zero, .scalar(0.0), .tensor(ratio))))
        }
      ),
      b: ([], { try $0.grad.times(0.0) })),
    .logaddexp: Rule(
      a: ([.a, .out], { try mul($0.grad, .tensor(apply(.sub, $0.a, .tensor($0.out!)).unary(.exp))) }),
      b: ([.b, .out], { try mul($0.grad, .tensor(apply(.sub, $0.b, .tensor($0.out!)).unary(.exp))) })),
    .logaddexp2: Rule(
      a: ([.a, .out], { try mul($0.grad, .tensor(apply(.sub, $0.a, .tensor($0.out!)).unary(.exp2))) }),
      b: ([.b, .out], { try mul($0.grad, .tensor(apply(.sub, $0.b, .tensor($0.out!)).unary(.exp2))) })),
    .xlogy: Rule(
      a: (
        [.a, .b],
        { context in
          let log = try operandTensor(context.b).unary(.log)
          let zero = try apply(
            .logicalAnd, .tensor(apply(.eq, context.a, .scalar(0))),
            .tensor(apply(.le, context.b, .scalar(0))))
          return try mul(context.grad, .tensor(whereSelect(zero, .scalar(0.0), .tensor(log))))
        }
      ),
      b: ([.a, .b], { try mul($0.grad, .tensor(apply(.div, $0.a, $0.b))) })),
    .xlog1py: Rule(
      a: (
        [.a, .b],
        { context in
          let log = try operandTensor(context.b).unary(.log1p)
          let zero = try apply(
            .logicalAnd, .tensor(apply(.eq, context.a, .scalar(0))),
            .tensor(apply(.le, context.b, .scalar(-1))))
          return try mul(context.grad, .tensor(whereSelect(zero, .scalar(0.0), .tensor(log))))
        }
      ),
      b: ([.a, .b], { try mul($0.grad, .tensor(apply(.div, $0.a, .tensor(operand($0.b, minus: -1))))) })),
    .ldexp: Rule(
      a: ([.b], { try mul($0.grad, .tensor(operandTensor($0.b).to($0.grad.dtype).unary(.exp2))) }),
      b: ([.out], { try mul($0.grad, .tensor($0.out!.times(.float(M_LN2)))) })),
    .floorDivide: notDifferentiable("floor_divide"),
    .heaviside: notDifferentiable("heaviside"),
    .prelu: Rule(
      a: (
        [.a, .b],
        { context in
          let positive = try apply(.gt, context.a, .scalar(0))
          return try whereSelect(positive, .tensor(context.grad), .tensor(mul(context.grad, context.b)))
        }
      ),
      b: (
        [.a],
        { context in
          let positive = try apply(.gt, context.a, .scalar(0))
          return try whereSelect(positive, .scalar(0.0), .tensor(mul(context.grad, context.a)))
        }
      )),
  ]
  private static let ruleTable: [Rule?] = ElementwiseOp.allCases.map { rules[$0] }

  /// Applies an operation; `alpha` scales the second operand of add and sub.
  public static func apply(
    _ op: ElementwiseOp, _ a: ElementwiseOperand, _ b: ElementwiseOperand, alpha: Scalar = 1
  ) throws -> Tensor {
    let rule = resultRules[op.rawValue]
    if case .tensor(let x) = a, case .tensor(let y) = b, isDirect[op.rawValue],
      x.dtype.isFloatingPoint, let out = try directElementwise(op, x, y, alpha.scalars)
    {
      guard x.autograd != nil || y.autograd != nil, ThreadState.current.isGradEnabled else { return out }
      return try recordIfNeeded(op, a, b, out, alpha)
    }
    if isDirect[op.rawValue], !isChecked[op.rawValue] || op == .add || op == .div,
      let (x, number, isReversed) = tensorAndNumber(a, b),
      x.dtype.isFloatingPoint,
      let out = try directElementwise(op, x, number: number, isReversed: isReversed, alpha.scalars)
    {
      guard x.autograd != nil, ThreadState.current.isGradEnabled else { return out }
      return try recordIfNeeded(op, a, b, out, alpha)
    }
    if isChecked[op.rawValue] { try BinaryChecks.check(op, a, b, alpha) }
    let out = try elementwise(op, [a, b], rule: rule, scalars: alpha.scalars)
    guard out.dtype.isFloatingPoint, ThreadState.current.isGradEnabled else { return out }
    return try recordIfNeeded(op, a, b, out, alpha)
  }

  @inline(__always)
  private static func tensorAndNumber(
    _ a: ElementwiseOperand, _ b: ElementwiseOperand
  ) -> (Tensor, Scalar, isReversed: Bool)? {
    switch (a, b) {
    case (.tensor(let x), .scalar(let number)): (x, number, false)
    case (.scalar(let number), .tensor(let x)): (x, number, true)
    default: nil
    }
  }

  /// Operations whose result has the dtype of equal floating operands.
  fileprivate static let isDirect: [Bool] = ElementwiseOp.allCases.map { op in
    if case .bool = results[op] ?? .promoted { return false }
    return op != .where
  }

  private static func recordIfNeeded(
    _ op: ElementwiseOp, _ a: ElementwiseOperand, _ b: ElementwiseOperand, _ out: Tensor, _ alpha: Scalar
  ) throws -> Tensor {
    let needsA = a.requiresGrad
    let needsB = b.requiresGrad
    guard needsA || needsB, let gradients = ruleTable[op.rawValue] else { return out }
    try record(op, gradients, a, b, out, alpha, needsA, needsB)
    return out
  }

  /// What backward needs to know of the operands: numbers, and where the saved tensors are (-1: not saved).
  private struct Operands {
    var a = Scalar.int(0)
    var b = Scalar.int(0)
    var alpha: Scalar
    var slots: (a: Int8, b: Int8, out: Int8) = (-1, -1, -1)
    var needs: (a: Bool, b: Bool)
    /// How many are tensors, and which of those b is.
    var count: Int8 = 0
    var positionOfB: Int8 = 0
  }

  private static func record(
    _ op: ElementwiseOp, _ rule: Rule, _ a: ElementwiseOperand, _ b: ElementwiseOperand, _ out: Tensor,
    _ alpha: Scalar, _ needsA: Bool, _ needsB: Bool
  ) throws {
    var uses: Rule.Uses = []
    if needsA, let a = rule.a { uses.formUnion(a.uses) }
    if needsB, let b = rule.b { uses.formUnion(b.uses) }
    var saved = ShortList<SavedTensor>()
    var edges = ShortList<GradNode.Edge?>()
    var operands = Operands(alpha: alpha, needs: (needsA, needsB))
    switch a {
    case .tensor(let tensor):
      edges.append(tensor.gradEdge)
      if uses.contains(.a) {
        operands.slots.a = 0
        saved.append(try SavedTensor(tensor))
      }
    case .scalar(let scalar): operands.a = scalar
    }
    operands.positionOfB = Int8(edges.count)
    switch b {
    case .tensor(let tensor):
      edges.append(tensor.gradEdge)
      if uses.contains(.b) {
        operands.slots.b = Int8(saved.count)
        saved.append(try SavedTensor(tensor))
      }
    case .scalar(let scalar): operands.b = scalar
    }
    if uses.contains(.out) {
      operands.slots.out = Int8(saved.count)
      saved.append(try SavedTensor(out, outputIndex: 0))
    }
    operands.count = Int8(edges.count)
    out.record(nodeNames[op.rawValue], edges, saved: saved) { [operands] context in
      try gradients(op, operands, context)
    }
  }

  private static func gradients(
    _ op: ElementwiseOp, _ operands: Operands, _ context: BackwardContext
  ) throws -> [Tensor?] {
    func saved(_ slot: Int8) throws -> Tensor? { slot >= 0 ? try context.saved(Int(slot)) : nil }
    let values = Context(
      grad: try context.grad,
      a: try saved(operands.slots.a).map { .tensor($0) } ?? .scalar(operands.a),
      b: try saved(operands.slots.b).map { .tensor($0) } ?? .scalar(operands.b),
      out: try saved(operands.slots.out), alpha: operands.alpha)
    var results = [Tensor?](repeating: nil, count: Int(operands.count))
    guard let rule = ruleTable[op.rawValue] else { return results }
    if operands.needs.a { results[0] = try rule.a?.gradient(values) }
    if operands.needs.b { results[Int(operands.positionOfB)] = try rule.b?.gradient(values) }
    return results
  }

  private static func notDifferentiable(_ name: String) -> Rule {
    let gradient: Gradient = { _ in
      throw SwiftNetError.runtime("derivative for aten::\(name) is not implemented")
    }
    return Rule(a: ([], gradient), b: ([], gradient))
  }

  // Short forms for the rules above.

  /// ⌊a / b⌋, a constant for derivatives.
  private static func floorQuotient(_ context: Context) throws -> Tensor {
    try noGrad { try apply(.floorDivide, context.a, context.b) }
  }

  static func mul(_ a: Tensor, _ b: ElementwiseOperand) throws -> Tensor { try apply(.mul, .tensor(a), b) }
  static func div(_ a: Tensor, _ b: ElementwiseOperand) throws -> Tensor { try apply(.div, .tensor(a), b) }

  private static func operand(_ operand: ElementwiseOperand, minus value: Double) throws -> Tensor {
    if case .scalar(let scalar) = operand { return try operandTensor(.scalar(.float(scalar.double - value))) }
    return try apply(.sub, .tensor(operandTensor(operand)), .scalar(.float(value)))
  }

  /// b - 1; a number stays a number, so that it keeps its precision.
  private static func lowered(_ operand: ElementwiseOperand) throws -> ElementwiseOperand {
    switch operand {
    case .scalar(.float(let value)): .scalar(.float(value - 1))
    case .scalar(let value): .scalar(.int(value.int64 &- 1))
    case .tensor(let tensor): .tensor(try (tensor.dtype == .bool ? tensor.to(.int64) : tensor) - 1)
    }
  }

  /// A number becomes a float64 tensor without dimensions: it keeps its digits and does not widen the result.
  private static func operandTensor(_ operand: ElementwiseOperand) throws -> Tensor {
    switch operand {
    case .tensor(let tensor): tensor
    case .scalar(let scalar): try Tensor.scalar(.float(scalar.double), dtype: .float64)
    }
  }

  private static func sumOfSquares(_ context: Context) throws -> Tensor {
    let a = try operandTensor(context.a)
    let b = try operandTensor(context.b)
    return try mul(a, .tensor(a)).adding(try mul(b, .tensor(b)))
  }

  /// The gradient where the comparison holds, and half of it where the operands are equal.
  private static func share(_ context: Context, _ comparison: ElementwiseOp) throws -> Tensor {
    let chosen = try apply(comparison, context.a, context.b)
    let equal = try apply(.eq, context.a, context.b)
    let rest = try whereSelect(equal, .tensor(context.grad.times(0.5)), .scalar(0.0))
    return try whereSelect(chosen, .tensor(context.grad), .tensor(rest))
  }

  /// fmin and fmax: the gradient goes to the operand that was taken; a NaN is never taken.
  private static func pick(_ context: Context, _ comparison: ElementwiseOp, first: Bool) throws -> Tensor {
    let wins = try apply(comparison, context.a, context.b)
    let other = try operandTensor(context.b).unary(.isnan)
    let taken = try apply(.logicalOr, .tensor(wins), .tensor(other))
    return first
      ? try whereSelect(taken, .tensor(context.grad), .scalar(0.0))
      : try whereSelect(taken, .scalar(0.0), .tensor(context.grad))
  }
}

extension ElementwiseOperand {
  var requiresGrad: Bool {
    if case .tensor(let tensor) = self { return tensor.requiresGrad }
    return false
  }

  var dtype: DType {
    switch self {
    case .tensor(let tensor): tensor.dtype
    case .scalar(let scalar): scalar.dtype
    }
  }
}

/// Names of the nodes that elementwise operations record.
let nodeNames: [String] = ElementwiseOp.allCases.map { capitalized($0.name) }

/// "logSigmoid" to "LogSigmoid".
func capitalized(_ name: String) -> String {
  name.prefix(1).uppercased() + name.dropFirst()
}

extension Tensor {
  public static func + (a: Tensor, b: Tensor) throws -> Tensor {
    try Binary.apply(.add, .tensor(a), .tensor(b))
  }
  public static func - (a: Tensor, b: Tensor) throws -> Tensor {
    try Binary.apply(.sub, .tensor(a), .tensor(b))
  }
  public static func * (a: Tensor, b: Tensor) throws -> Tensor {
    try Binary.apply(.mul, .tensor(a), .tensor(b))
  }
  public static func / (a: Tensor, b: Tensor) throws -> Tensor {
    try Binary.apply(.div, .tensor(a), .tensor(b))
  }
  public static func + (a: Tensor, b: Scalar) throws -> Tensor {
    try Binary.apply(.add, .tensor(a), .scalar(b))
  }
  public static func - (a: Tensor, b: Scalar) throws -> Tensor {
    try Binary.apply(.sub, .tensor(a), .scalar(b))
  }
  public static func * (a: Tensor, b: Scalar) throws -> Tensor {
    try Binary.apply(.mul, .tensor(a), .scalar(b))
  }
  public static func / (a: Tensor, b: Scalar) throws -> Tensor {
    try Binary.apply(.div, .tensor(a), .scalar(b))
  }

  func adding(_ other: Tensor) throws -> Tensor { try Binary.apply(.add, .tensor(self), .tensor(other)) }

  func times(_ scalar: Scalar) throws -> Tensor {
    scalar == 1 ? self : try Binary.apply(.mul, .tensor(self), .scalar(scalar))
  }

  func negated() throws -> Tensor { try unary(.neg) }

  /// self += other, without recording.
  func addInPlace(_ other: Tensor) throws {
    _ = try elementwise(.add, [.tensor(self), .tensor(other)], into: self)
  }

  /// An operation that writes its result into this tensor.
  public func binaryInPlace(_ op: ElementwiseOp, _ other: ElementwiseOperand, alpha: Scalar = 1) throws {
    try checkWritable()
    if needsRecording([self]) || (other.requiresGrad && ThreadState.current.isGradEnabled) {
      try inPlace(isFresh: true) { try Binary.apply(op, .tensor($0), other, alpha: alpha) }
    } else {
      let rule = Binary.rule(of: op)
      if Binary.isChecked[op.rawValue] {
        try BinaryChecks.checkResult(op, self, other)
        try BinaryChecks.check(op, .tensor(self), other, alpha)
      }
      if Binary.isDirect[op.rawValue], try directElementwiseInPlace(op, self, other, alpha.scalars) { return }
      _ = try elementwise(op, [.tensor(self), other], rule: rule, scalars: alpha.scalars, into: self)
    }
  }
}

extension Binary {
  static func rule(of op: ElementwiseOp) -> ResultRule { resultRules[op.rawValue] }
}

/// `condition != 0 ? a : b`, element by element.
public func whereSelect(
  _ condition: Tensor, _ a: ElementwiseOperand, _ b: ElementwiseOperand
) throws -> Tensor {
  let dtype = TypePromotion.result([a, b])
  guard let kernel = kernels.elementwise[.where, dtype.lane] else {
    throw SwiftNetError.notImplemented("\"where\" not implemented for '\(dtype.scalarTypeName)'")
  }
  var shape = condition.shape
  for case .tensor(let tensor) in [a, b] { shape = try Shape.broadcast(shape, tensor.shape) }
  var strides: [Int]?
  for case .tensor(let tensor) in [a, b, .tensor(condition)] where strides == nil && tensor.shape == shape {
    if tensor.isDense { strides = tensor.strides }
  }
  let narrow = dtype == .float16 || dtype == .bfloat16
  let out = try ElementwiseProgram.fusing(
    .where, kernel, [.tensor(condition), a, b], lane: dtype.lane, scalars: Scalars(), roundTo: narrow ? dtype : nil
  ) { try $0.result(dtype: dtype, shape: shape, strides: strides ?? Shape.contiguousStrides(shape)) }
  var inputs: [Tensor] = []
  var isFirst: [Bool] = []
  if case .tensor(let tensor) = a {
    inputs.append(tensor)
    isFirst.append(true)
  }
  if case .tensor(let tensor) = b {
    inputs.append(tensor)
    isFirst.append(false)
  }
  return try out.recorded("Where", inputs: inputs, saving: [condition]) { context in
    let condition = try context.saved(0)
    let grad = try context.grad
    return try isFirst.enumerated().map { position, first in
      guard context.needs(position) else { return nil }
      return first
        ? try whereSelect(condition, .tensor(grad), .scalar(0.0))
        : try whereSelect(condition, .scalar(0.0), .tensor(grad))
    }
  }
}
