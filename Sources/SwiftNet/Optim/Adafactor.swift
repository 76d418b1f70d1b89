import KernelTypes

/// Adafactor (Shazeer and Stern, 2018, https://arxiv.org/abs/1804.04235): the mean of squares of a matrix is kept as its
/// row and column means, the change is clipped by its root mean square. PyTorch: `torch.optim.Adafactor`.
///
///     R ← R + t^beta2_decay · (mean of g² over columns - R),   C likewise over rows
///     V = R · C / mean(R),   u = g / √max(V, eps1²)
///     p ← (1 - lr · weight_decay) · p - max(eps2, rms(p)) · min(lr, 1/√t) · u / max(1, rms(u) / d)
public final class Adafactor: Optimizer {
  /// Steps that are taken together at the end.
  private var steps: [FactoredStep] = []

  /// - Parameter eps: eps1 NaN stands for the precision of the parameter's dtype.
  public init(
    _ parameters: [Tensor]? = nil, lr: Double = 1e-2, beta2Decay: Double = -0.8,
    eps: (Double, Double) = (.nan, 1e-3), d: Double = 1, weightDecay: Double = 0, maximize: Bool = false
  ) throws {
    super.init(
      defaults: [
        "lr": lr, "beta2_decay": beta2Decay, "eps1": eps.0, "eps2": eps.1, "d": d, "weight_decay": weightDecay,
        "maximize": maximize ? 1 : 0,
      ])
    if let parameters { try addGroup(parameters) }
  }

  public override func check(_ group: ParameterGroup) throws {
    try require(group["lr"] >= 0, .value, "Learning rate should be >= 0 but is: \(group["lr"])")
    try require(group["beta2_decay"] <= 0, .value, "beta2_decay should be <= 0 but is: \(group["beta2_decay"])")
    try require(
      group["eps1"].isNaN || group["eps1"] >= 0, .value, "epsilon1 should be >= 0 but is: \(group["eps1"])")
    try require(group["eps2"] >= 0, .value, "epsilon2 should be >= 0 but is: \(group["eps2"])")
    try require(group["d"] >= 1, .value, "Clipping threshold d should be >= 1 but is: \(group["d"])")
    try require(
      group["weight_decay"] >= 0, .value, "weight_decay should be >= 0 but is: \(group["weight_decay"])")
  }

  public override func stateShape(_ name: String, _ parameter: Tensor) -> [Int]? {
    var shape = parameter.shape
    if name == "row_var", let last = shape.indices.last { shape[last] = 1 }
    if name == "col_var", shape.count > 1 { shape[shape.count - 2] = 1 }
    return shape
  }

  public override func update(
    _ parameter: Tensor, _ gradient: Tensor, _ group: ParameterGroup, _ updates: inout [Update]
  ) throws {
    let state = makeState(parameter)
    state.step += 1
    let names = parameter.rank > 1 ? ["row_var", "col_var"] : ["variance"]
    let means = try names.map { name in
      if let known = state.tensors[name] { return known }
      let made = try Tensor.zeros(stateShape(name, parameter) ?? parameter.shape, dtype: parameter.dtype)
      state.tensors[name] = made
      return made
    }
    if parameter.count == 0 { return }
    steps.append(try FactoredStep(parameter, gradient, means, group, step: state.step))
  }

  public override func begin() { steps = [] }

  public override func finish() throws {
    defer { steps = [] }
    try FactoredStep.run(steps)
  }
}

/// The step of one parameter. Each part of it runs over all parameters at once, shared out over the threads.
private struct FactoredStep {
  /// The parameter, the gradient, what is remembered; and each as the kernels need it, dense and in their lane's dtype.
  private let originals: [Tensor]
  private let tensors: [Tensor]
  private let matrixMeans: Scratch
  private var update: FactoredUpdate
  private let greatestRate: Double
  private let leastSize: Double
  private let threshold: Double

  private var count: Double { Double(tensors[0].count) }
  private var rows: Int { tensors[0].count / update.columns }
  private var lane: Int { tensors[0].dtype.lane.rawValue }

  init(_ parameter: Tensor, _ gradient: Tensor, _ means: [Tensor], _ group: ParameterGroup, step: Double) throws {
    originals = [parameter, gradient] + means
    let dtype = parameter.dtype.lane.dtype
    tensors = try originals.map { tensor in
      if tensor.dtype == dtype, tensor.isContiguous { return tensor }
      let copy = try Tensor(empty: tensor.shape, dtype: dtype)
      try copyElements(from: tensor, to: copy)
      return copy
    }
    let isFactored = means.count == 2
    let rows = isFactored ? parameter.shape[parameter.rank - 2] : 1
    let columns = isFactored ? parameter.shape[parameter.rank - 1] : parameter.count
    matrixMeans = try Scratch(bytes: parameter.count / (rows * columns) * 8)
    update = FactoredUpdate(
      parameter: try tensors[0].mutablePointer(), gradient: try tensors[1].mutablePointer(),
      rowMeans: isFactored ? try tensors[2].mutablePointer() : nil,
      columnMeans: try tensors[tensors.count - 1].mutablePointer(), matrixMeans: matrixMeans.of(Double.self),
      rows: rows, columns: columns, newness: pow(step, group["beta2_decay"]),
      eps: group["eps1"].isNaN ? parameter.dtype.precision : group["eps1"])
    let lr = group["lr"]
    update.shrink = 1 - lr * group["weight_decay"]
    greatestRate = (group.flag("maximize") ? -1 : 1) * min(lr, 1 / step.squareRoot())
    leastSize = group["eps2"]
    threshold = group["d"]
  }

  static func run(_ steps: [FactoredStep]) throws {
    var steps = steps
    let table = kernels.optimizers
    let sizes = try sums(steps, table.factoredRows)
    _ = try sums(steps, table.factoredColumns, strips: true)
    let changes = try sums(steps, table.factoredSize)
    for i in steps.indices {
      let count = steps[i].count
      let size = max(steps[i].leastSize, (sizes[i] / count).squareRoot())
      let excess = (changes[i] / count).squareRoot() / steps[i].threshold
      steps[i].update.rate = size * steps[i].greatestRate / max(1, excess)
    }
    _ = try sums(steps, table.factoredStep)
    for step in steps {
      for (position, (original, changed)) in zip(step.originals, step.tensors).enumerated() where position != 1 {
        if original !== changed { try copyElements(from: changed, to: original) }
        original.bumpVersion()
      }
    }
  }

  /// Elements that a thread takes in one go, about.
  private static var run: Int { 1 << 14 }

  /// Runs a kernel over all rows, or strips of columns; the sum for each parameter.
  private static func sums(_ steps: [FactoredStep], _ table: [FactoredKernel], strips: Bool = false) throws -> [Double]
  {
    var pieces: [(step: Int, range: Range<Int>)] = []
    for (index, step) in steps.enumerated() {
      let update = step.update
      let units = strips ? step.rows / update.rows * update.strips : step.rows
      let unit = strips ? update.rows * min(update.columns, FactoredUpdate.stripColumns) : update.columns
      let size = max(1, run / unit)
      for first in stride(from: 0, to: units, by: size) { pieces.append((index, first..<min(first + size, units))) }
    }
    let partial = try Scratch(bytes: pieces.count * 8)
    let found = partial.of(Double.self)
    parallelFor(pieces.count, grain: 1) { start, end in
      for index in start..<end {
        let piece = pieces[index], step = steps[piece.step]
        found[index] = table[step.lane](step.update, piece.range.lowerBound, piece.range.upperBound)
      }
    }
    var sums = [Double](repeating: 0, count: steps.count)
    for (index, piece) in pieces.enumerated() { sums[piece.step] += found[index] }
    return sums
  }
}

extension DType {
  /// The distance of 1 to the next number.
  var precision: Double {
    switch self {
    case .float64: Double.ulpOfOne
    case .float16: 0x1p-10
    case .bfloat16: 0x1p-7
    default: Double(Float.ulpOfOne)
    }
  }
}
