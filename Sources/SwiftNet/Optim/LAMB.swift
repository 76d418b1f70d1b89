import KernelTypes

/// LAMB (You et al., 2019, https://arxiv.org/abs/1904.00962): Adam's direction, as long as the parameter itself, for
/// large batches.
///
///     m ← beta1 · m + (1 - beta1) · g,   v ← beta2 · v + (1 - beta2) · g²
///     r = (m / (1 - beta1ᵗ)) / (√(v / (1 - beta2ᵗ)) + eps) + weight_decay · p
///     p ← p - lr · ‖p‖ / ‖r‖ · r                 (the ratio is 1 where a norm is 0)
public final class LAMB: Optimizer {
  /// Directions of a step whose lengths are still to be measured.
  private var directions: [(parameter: Tensor, direction: Tensor, rate: Double)] = []

  public init(
    _ parameters: [Tensor]? = nil, lr: Double = 1e-3, betas: (Double, Double) = (0.9, 0.999), eps: Double = 1e-6,
    weightDecay: Double = 0, maximize: Bool = false
  ) throws {
    super.init(
      defaults: [
        "lr": lr, "beta1": betas.0, "beta2": betas.1, "eps": eps, "weight_decay": weightDecay,
        "maximize": maximize ? 1 : 0,
      ])
    if let parameters { try addGroup(parameters) }
  }

  public override func check(_ group: ParameterGroup) throws {
    try checkNotNegative(group, ["lr": "learning rate", "eps": "epsilon value"])
    try checkBetas(group)
    try checkNotNegative(group, ["weight_decay": "weight_decay value"])
  }

  public override func update(
    _ parameter: Tensor, _ gradient: Tensor, _ group: ParameterGroup, _ updates: inout [Update]
  ) throws {
    let state = makeState(parameter)
    state.step += 1
    var step = UpdateStep(group)
    step.rate = 1 / (1 - pow(group["beta1"], state.step))
    step.correction = 1 - pow(group["beta2"], state.step)
    let direction = try Tensor(
      empty: parameter.shape, dtype: parameter.dtype.lane.dtype,
      strides: parameter.isDense ? parameter.strides : nil)
    let tensors = [parameter, gradient, try state.zeros("exp_avg"), try state.zeros("exp_avg_sq"), direction]
    updates.append(try Update(tensors, kernels.optimizers.lamb, step))
    directions.append((parameter, direction, group["lr"]))
  }

  public override func begin() { directions = [] }

  public override func finish() throws {
    defer { directions = [] }
    for (parameter, direction, rate) in directions {
      let length = try parameter.detach().vectorNorm(2).item().double
      let size = try direction.vectorNorm(2).item().double
      let ratio = length > 0 && size > 0 ? length / size : 1
      try parameter.binaryInPlace(.sub, .tensor(direction), alpha: .float(rate * ratio))
    }
  }
}
