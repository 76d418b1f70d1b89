import KernelTypes

/// Resilient backpropagation (Riedmiller and Braun, 1993): every element has a step size of its own, which grows while
/// the gradient keeps its sign and shrinks when it turns. For whole-batch gradients. PyTorch: `torch.optim.Rprop`.
public final class Rprop: Optimizer {
  public init(
    _ parameters: [Tensor]? = nil, lr: Double = 1e-2, etas: (Double, Double) = (0.5, 1.2),
    stepSizes: (Double, Double) = (1e-6, 50), maximize: Bool = false
  ) throws {
    super.init(
      defaults: [
        "lr": lr, "eta1": etas.0, "eta2": etas.1, "step_size1": stepSizes.0, "step_size2": stepSizes.1,
        "maximize": maximize ? 1 : 0,
      ])
    if let parameters { try addGroup(parameters) }
  }

  public override func check(_ group: ParameterGroup) throws {
    try checkNotNegative(group, ["lr": "learning rate"])
    let (down, up) = (group["eta1"], group["eta2"])
    try require(down > 0 && down < 1 && up > 1, .value, "Invalid eta values: \(down), \(up)")
  }

  public override func update(
    _ parameter: Tensor, _ gradient: Tensor, _ group: ParameterGroup, _ updates: inout [Update]
  ) throws {
    let state = makeState(parameter)
    state.step += 1
    var step = UpdateStep(group)
    step.shrinking = group["eta1"]
    step.growing = group["eta2"]
    step.least = group["step_size1"]
    step.greatest = group["step_size2"]
    let tensors = [parameter, gradient, try state.zeros("prev"), try state.filled("step_size", group["lr"])]
    updates.append(try Update(tensors, kernels.optimizers.rprop, step))
  }
}

/// Lion (Chen et al., 2023, https://arxiv.org/abs/2302.06675): the sign of a mean of gradient and momentum; half of
/// Adam's memory. Its learning rate is three to ten times smaller than Adam's, its weight decay as much larger.
///
///     c = beta1 · m + (1 - beta1) · g
///     p ← p - lr · (sign(c) + weight_decay · p),   m ← beta2 · m + (1 - beta2) · g
public final class Lion: Optimizer {
  public init(
    _ parameters: [Tensor]? = nil, lr: Double = 1e-4, betas: (Double, Double) = (0.9, 0.99), weightDecay: Double = 0,
    maximize: Bool = false
  ) throws {
    super.init(
      defaults: [
        "lr": lr, "beta1": betas.0, "beta2": betas.1, "weight_decay": weightDecay, "maximize": maximize ? 1 : 0,
      ])
    if let parameters { try addGroup(parameters) }
  }

  public override func check(_ group: ParameterGroup) throws {
    try checkNotNegative(group, ["lr": "learning rate", "weight_decay": "weight_decay value"])
    try checkBetas(group)
  }

  public override func update(
    _ parameter: Tensor, _ gradient: Tensor, _ group: ParameterGroup, _ updates: inout [Update]
  ) throws {
    var step = UpdateStep(group)
    step.shrink = 1 - group["lr"] * group["weight_decay"]
    step.weightDecay = 0
    let tensors = [parameter, gradient, try makeState(parameter).zeros("exp_avg")]
    updates.append(try Update(tensors, kernels.optimizers.lion, step))
  }
}
