/// The losses: settings, weights as buffers, and a function of the inputs. Formulas stand with the operations in
/// `Ops/RegressionLosses.swift`, `Ops/ClassificationLosses.swift` and `Ops/CrossEntropy.swift`.
/// PyTorch: `torch.nn.MSELoss` and so on.
public final class Loss: Module, ModuleFamily {
  typealias Function = (Loss, [Tensor], LossReduction) throws -> Tensor

  struct Definition: Sendable {
    let schema: ModuleSchema
    let inputs: Int
    /// Names of tensors among the settings, which become buffers.
    let weights: [String]
    /// Reads the settings once; the result is the computation.
    let prepare: @Sendable (Loss) throws -> Function

    /// - Parameters:
    ///   - settings: beside "reduction".
    ///   - weights: names of tensors among the settings, which become buffers.
    init(
      _ settings: KeyValuePairs<String, ModuleSchema.Fallback> = [:], weights: [String] = [], inputs: Int = 2,
      prepare: @escaping @Sendable (Loss) throws -> Function
    ) {
      self.init(
        settings.map { ($0.key, $0.value) }, weights: weights, inputs: inputs, reduces: true, prepare: prepare)
    }

    /// - Parameter reduces: whether there is a setting "reduction".
    init(
      _ settings: [(String, ModuleSchema.Fallback)], weights: [String], inputs: Int = 2, reduces: Bool,
      prepare: @escaping @Sendable (Loss) throws -> Function
    ) {
      schema = ModuleSchema(pairs: weights.map { ($0, .none) } + settings + (reduces ? [("reduction", "mean")] : []))
      self.inputs = inputs
      self.weights = weights
      self.prepare = prepare
    }
  }

  private static let general: [(String, Definition)] = [
    ("L1Loss", Definition { _ in { try $1[0].l1Loss($1[1], reduction: $2) } }),
    ("MSELoss", Definition { _ in { try $1[0].mseLoss($1[1], reduction: $2) } }),
    (
      "SmoothL1Loss",
      Definition(["beta": 1.0]) { loss in
        let beta = try loss.double("beta")
        return { try $1[0].smoothL1Loss($1[1], beta: beta, reduction: $2) }
      }
    ),
    (
      "HuberLoss",
      Definition(["delta": 1.0]) { loss in
        let delta = try loss.double("delta")
        return { try $1[0].huberLoss($1[1], delta: delta, reduction: $2) }
      }
    ),
    (
      "KLDivLoss",
      Definition(["log_target": false]) { loss in
        let isLog = try loss.bool("log_target")
        return { try $1[0].klDivergence($1[1], logTarget: isLog, reduction: $2) }
      }
    ),
    (
      "NLLLoss",
      Definition(["ignore_index": -100], weights: ["weight"]) { loss in
        let ignored = try loss.int("ignore_index")
        return { try $1[0].nllLoss($1[1], weight: $0.buffer("weight"), ignoreIndex: ignored, reduction: $2) }
      }
    ),
    (
      "CrossEntropyLoss",
      Definition(["ignore_index": -100, "label_smoothing": 0.0], weights: ["weight"]) { loss in
        let (ignored, smoothing) = (try loss.int("ignore_index"), try loss.double("label_smoothing"))
        return {
          try $1[0].crossEntropy(
            $1[1], weight: $0.buffer("weight"), ignoreIndex: ignored, reduction: $2, labelSmoothing: smoothing)
        }
      }
    ),
    (
      "BCELoss",
      Definition(weights: ["weight"]) { _ in
        { try $1[0].binaryCrossEntropy($1[1], weight: $0.buffer("weight"), reduction: $2) }
      }
    ),
    (
      "BCEWithLogitsLoss",
      Definition(weights: ["weight", "pos_weight"]) { _ in
        {
          try $1[0].binaryCrossEntropyWithLogits(
            $1[1], weight: $0.buffer("weight"), positiveWeight: $0.buffer("pos_weight"), reduction: $2)
        }
      }
    ),
    (
      "PoissonNLLLoss",
      Definition(["log_input": true, "full": false, "eps": 1e-8]) { loss in
        let (isLog, full, eps) = (try loss.bool("log_input"), try loss.bool("full"), try loss.double("eps"))
        return { try $1[0].poissonNLLLoss($1[1], logInput: isLog, full: full, eps: eps, reduction: $2) }
      }
    ),
    (
      "GaussianNLLLoss",
      Definition(["full": false, "eps": 1e-6], inputs: 3) { loss in
        let (full, eps) = (try loss.bool("full"), try loss.double("eps"))
        return { try $1[0].gaussianNLLLoss($1[1], variance: $1[2], full: full, eps: eps, reduction: $2) }
      }
    ),
    ("HingeEmbeddingLoss", margin(1.0) { try $0[0].hingeEmbeddingLoss($0[1], margin: $1, reduction: $2) }),
    ("SoftMarginLoss", Definition { _ in { try $1[0].softMarginLoss($1[1], reduction: $2) } }),
    ("MultiLabelMarginLoss", Definition { _ in { try $1[0].multilabelMarginLoss($1[1], reduction: $2) } }),
    (
      "MultiLabelSoftMarginLoss",
      Definition(weights: ["weight"]) { _ in
        { try $1[0].multilabelSoftMarginLoss($1[1], weight: $0.buffer("weight"), reduction: $2) }
      }
    ),
    (
      "MultiMarginLoss",
      Definition(["p": 1, "margin": 1.0], weights: ["weight"]) { loss in
        let (p, margin) = (try loss.int("p"), try loss.double("margin"))
        try require(p == 1 || p == 2, .value, "only p == 1 and p == 2 supported")
        return { try $1[0].multiMarginLoss($1[1], p: p, margin: margin, weight: $0.buffer("weight"), reduction: $2) }
      }
    ),
    (
      "MarginRankingLoss",
      margin(0.0, inputs: 3) { try $0[0].marginRankingLoss($0[1], $0[2], margin: $1, reduction: $2) }
    ),
    (
      "CosineEmbeddingLoss",
      margin(0.0, inputs: 3) { try $0[0].cosineEmbeddingLoss($0[1], $0[2], margin: $1, reduction: $2) }
    ),
    (
      "TripletMarginLoss",
      Definition(["margin": 1.0, "p": 2.0, "eps": 1e-6, "swap": false], inputs: 3) { loss in
        let (margin, p, eps) = (try loss.double("margin"), try loss.double("p"), try loss.double("eps"))
        let swap = try loss.bool("swap")
        try require(
          margin > 0, .value, "TripletMarginLoss: expected margin to be greater than 0, got \(margin) instead")
        return {
          try $1[0].tripletMarginLoss($1[1], $1[2], margin: margin, p: p, eps: eps, swap: swap, reduction: $2)
        }
      }
    ),
  ]

  private static func margin(
    _ value: ModuleSchema.Fallback, inputs: Int = 2,
    _ function: @escaping @Sendable ([Tensor], Double, LossReduction) throws -> Tensor
  ) -> Definition {
    Definition(["margin": value], inputs: inputs) { loss in
      let margin = try loss.double("margin")
      return { try function($1, margin, $2) }
    }
  }

  private static let definitions = general + segmentation
  static let schemas = definitions.map { (name: $0, schema: $1.schema) }
  private static let byName = Dictionary(definitions) { first, _ in first }

  private var function: Function?
  private var reduction = LossReduction.mean

  public override func configure() throws {
    let name = settings.contains("reduction") ? try string("reduction") : "mean"
    let known: [String: LossReduction] = ["none": .none, "mean": .mean, "sum": .sum]
    if let found = known[name] {
      reduction = found
    } else if name == "batchmean", typeName == "KLDivLoss" {
      reduction = .batchMean
    } else {
      // As in PyTorch, a wrong reduction is an error when the loss is computed.
      function = { _, _, _ in throw SwiftNetError.value("\(name) is not a valid value for reduction") }
      return
    }
    function = try Loss.byName[typeName]?.prepare(self)
  }

  public override func build(_ dtype: DType) throws {
    for name in Loss.byName[typeName]?.weights ?? [] {
      guard let value = setting(name) else { continue }
      setBuffer(name, value.tensor)
      store(name, .none)
    }
  }

  public override func forward(_ inputs: [ModuleValue]) throws -> ModuleValue {
    let count = Loss.byName[typeName]?.inputs ?? 2
    guard inputs.count == count, let function else {
      throw SwiftNetError.type("\(typeName).forward() takes \(count) inputs but \(inputs.count) were given")
    }
    let names = ["input", "target", "third input"]
    let tensors = try inputs.enumerated().map { try $1.expectTensor(typeName, names[min($0, 2)]) }
    return .tensor(try function(self, tensors, reduction))
  }
}
