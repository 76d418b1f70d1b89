/// Adafactor (Shazeer and Stern, 2018, https://arxiv.org/abs/1804.04235): the mean of squares of a matrix is kept as its
/// row and column means, the change is clipped by its root mean square. PyTorch: `torch.optim.Adafactor`.
///
///     R ← R + t^beta2_decay · (mean of g² over columns - R),   C likewise over rows
///     V = R · C / mean(R),   u = g / √max(V, eps1²)
///     p ← (1 - lr · weight_decay) · p - max(eps2, rms(p)) · min(lr, 1/√t) · u / max(1, rms(u) / d)
public final class Adafactor: Optimizer {
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
    let newness = pow(state.step, group["beta2_decay"])
    let lr = group["lr"]
    let eps = group["eps1"].isNaN ? parameter.dtype.precision : group["eps1"]
    let value = try parameter.detach()
    let gradient = try group.flag("maximize") ? gradient.detach().unary(.neg) : gradient.detach()
    let count = Double(max(value.count, 1))
    let size = try value.vectorNorm(2).item().double / count.squareRoot()
    let rate = max(group["eps2"], size) * min(lr, 1 / state.step.squareRoot())
    if group["weight_decay"] != 0 {
      try parameter.binaryInPlace(.mul, .scalar(.float(1 - lr * group["weight_decay"])))
    }

    let squares = try gradient * gradient
    let variance: Tensor
    if value.rank > 1 {
      let rows = try move(state, "row_var", toward: squares.mean([-1], keepdim: true), by: newness)
      let columns = try move(state, "col_var", toward: squares.mean([-2], keepdim: true), by: newness)
      variance = try rows * columns / rows.mean([-2], keepdim: true).atLeast(eps)
    } else {
      variance = try move(state, "variance", toward: squares, by: newness)
    }
    let change = try variance.atLeast(eps * eps).unary(.rsqrt) * gradient
    let excess = try change.vectorNorm(2).item().double / (count.squareRoot() * group["d"])
    try parameter.binaryInPlace(.sub, .tensor(change), alpha: .float(rate / max(1, excess)))
  }

  /// old + share · (new - old), kept as the state's tensor.
  private func move(_ state: ParameterState, _ name: String, toward new: Tensor, by share: Double) throws -> Tensor {
    guard let old = state.tensors[name] else {
      let first = try new * .float(share)
      state.tensors[name] = first
      return first
    }
    try old.copyInPlace(try old + (new - old) * .float(share))
    return old
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
