/// The activations: each has settings and a function of one tensor. Formulas stand with the operations in
/// `Ops/Activations.swift` and `Ops/Unary.swift`.
public final class Activation: Layer, ModuleFamily {
  /// One type of activation: its settings after "inplace", and what it computes from them.
  private struct Definition: Sendable {
    let schema: ModuleSchema
    /// Reads the settings once; the result is the computation.
    let prepare: @Sendable (Activation) throws -> Function
  }

  private typealias Function = (Tensor) throws -> Tensor

  private static func pointwise(_ op: ElementwiseOp) -> Definition {
    Definition(schema: ModuleSchema()) { _ in { try $0.unary(op) } }
  }

  /// An elementwise function that can run in place, with up to two numbers among its settings.
  private static func inPlace(
    _ op: ElementwiseOp, _ numbers: KeyValuePairs<String, ModuleSchema.Fallback> = [:], rest: [Double] = []
  ) -> Definition {
    let schema = ModuleSchema(pairs: numbers.map { ($0.key, $0.value) } + [("inplace", false)])
    let names = numbers.map(\.key)
    return Definition(schema: schema) { module in
      let values = try names.map(module.double) + rest + [0, 0, 0]
      let scalars = Scalars(values[0], values[1], values[2])
      if try module.bool("inplace") {
        return { x in
          try x.unaryInPlace(op, scalars)
          return x
        }
      }
      return { try $0.unary(op, scalars) }
    }
  }

  private static let definitions: [(String, Definition)] = [
    ("ReLU", inPlace(.relu)), ("ReLU6", inPlace(.relu6)), ("SELU", inPlace(.selu)), ("SiLU", inPlace(.silu)),
    ("Mish", inPlace(.mish)), ("Hardsigmoid", inPlace(.hardsigmoid)), ("Hardswish", inPlace(.hardswish)),
    ("LeakyReLU", inPlace(.leakyRelu, ["negative_slope": 0.01])),
    ("ELU", inPlace(.elu, ["alpha": 1.0], rest: [1, 1])), ("CELU", inPlace(.celu, ["alpha": 1.0])),
    ("Hardtanh", inPlace(.hardtanh, ["min_val": -1.0, "max_val": 1.0])),
    ("Sigmoid", pointwise(.sigmoid)), ("Tanh", pointwise(.tanh)), ("LogSigmoid", pointwise(.logSigmoid)),
    ("Softsign", pointwise(.softsign)), ("Tanhshrink", pointwise(.tanhshrink)),
    (
      "Threshold",
      Definition(schema: ModuleSchema("threshold", "value", optional: ["inplace": false])) { module in
        let scalars = Scalars(try module.double("threshold"), try module.double("value"))
        if try !module.bool("inplace") { return { try $0.unary(.threshold, scalars) } }
        return { x in
          try x.unaryInPlace(.threshold, scalars)
          return x
        }
      }
    ),
    (
      "GELU",
      Definition(schema: ModuleSchema(optional: ["approximate": "none"])) { module in
        let approximate = try module.string("approximate")
        return { x in
          try require(
            approximate == "none" || approximate == "tanh", "approximate argument must be either none or tanh.")
          return try x.gelu(tanh: approximate == "tanh")
        }
      }
    ),
    (
      "Softplus",
      Definition(schema: ModuleSchema(optional: ["beta": 1.0, "threshold": 20.0])) { module in
        let (beta, threshold) = (try module.double("beta"), try module.double("threshold"))
        return { try $0.softplus(beta: beta, threshold: threshold) }
      }
    ),
    ("Hardshrink", shrink(.hardshrink)), ("Softshrink", shrink(.softshrink)),
    (
      "GLU",
      Definition(schema: ModuleSchema(optional: ["dim": -1])) { module in
        let dim = try module.int("dim")
        return { try $0.glu(dim) }
      }
    ),
    ("Softmax", softmax { try $0.softmax($1) }), ("LogSoftmax", softmax { try $0.logSoftmax($1) }),
    ("Softmin", softmax { try $0.softmin($1) }),
    (
      "Softmax2d",
      Definition(schema: ModuleSchema()) { _ in
        { x in
          try require(
            x.rank == 3 || x.rank == 4, .value, "Softmax2d: expected input to be 3D or 4D, got \(x.rank)D instead")
          return try x.softmax(-3)
        }
      }
    ),
    (
      "RReLU",
      Definition(
        schema: ModuleSchema(optional: ["lower": 0.125, "upper": .double(1.0 / 3), "inplace": false])
      ) { module in
        let (lower, upper) = (try module.double("lower"), try module.double("upper"))
        let isInPlace = try module.bool("inplace")
        return { [unowned module] x in
          if !isInPlace { return try x.rrelu(lower, upper, training: module.training) }
          let training = module.training
          try x.inPlace { try $0.rrelu(lower, upper, training: training) }
          return x
        }
      }
    ),
  ]

  private static func shrink(_ op: ElementwiseOp) -> Definition {
    Definition(schema: ModuleSchema(optional: ["lambd": 0.5])) { module in
      let lambda = try module.double("lambd")
      return { x in
        try require(
          lambda >= 0 || op != .softshrink, "lambda must be greater or equal to 0, but found to be \(lambda).")
        return try x.unary(op, Scalars(lambda))
      }
    }
  }

  /// Without a dimension: 0 for tensors with 0, 1 or 3 dimensions, else 1, as PyTorch chooses.
  private static func softmax(_ function: @escaping @Sendable (Tensor, Int) throws -> Tensor) -> Definition {
    Definition(schema: ModuleSchema(optional: ["dim": nil])) { module in
      let dim = try module.optionalInt("dim")
      return { try function($0, dim ?? ([0, 1, 3].contains($0.rank) ? 0 : 1)) }
    }
  }

  static let schemas = definitions.map { (name: $0, schema: $1.schema) }

  private static let byName = Dictionary(definitions) { first, _ in first }
  private var function: Function?

  public override func configure() throws { function = try Activation.byName[typeName]?.prepare(self) }

  public override func forward(_ x: Tensor) throws -> Tensor {
    guard let function else { throw SwiftNetError.value("there is no activation '\(typeName)'") }
    return try function(x)
  }
}

/// x for x > 0, otherwise a · x, with one learnt a, or one for each channel (dimension 1).
/// PyTorch: `torch.nn.PReLU`.
public final class PReLU: Layer, ModuleFamily {
  static let schemas = [
    (name: "PReLU", schema: ModuleSchema(optional: ["num_parameters": 1, "init": 0.25]))
  ]

  public override func build(_ dtype: DType) throws {
    try addParameter("weight", Tensor(empty: [try int("num_parameters")], dtype: dtype))
    try resetParameters()
  }

  public override func resetParameters() throws {
    try Initializer.constant(try requiredParameter("weight"), try double("init"))
  }

  public override func forward(_ x: Tensor) throws -> Tensor { try x.prelu(try requiredParameter("weight")) }
}
