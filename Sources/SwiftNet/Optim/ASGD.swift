import KernelTypes

/// Averaged stochastic gradient descent (Polyak and Juditsky, 1992, https://doi.org/10.1137/0330046): from step t0 on,
/// "ax" holds the average of the parameter. PyTorch: `torch.optim.ASGD`.
///
///     p ← (1 - lambd · η) · p - η · g,   ax ← ax + μ · (p - ax)
///     η ← lr / (1 + lambd · lr · t)^alpha,   μ ← 1 / max(1, t - t0)
public final class ASGD: Optimizer {
  public init(
    _ parameters: [Tensor]? = nil, lr: Double = 1e-2, lambd: Double = 1e-4, alpha: Double = 0.75, t0: Double = 1e6,
    weightDecay: Double = 0, maximize: Bool = false
  ) throws {
    super.init(
      defaults: [
        "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weightDecay, "maximize": maximize ? 1 : 0,
      ])
    if let parameters { try addGroup(parameters) }
  }

  public override func check(_ group: ParameterGroup) throws {
    try checkNotNegative(group, ["lr": "learning rate", "weight_decay": "weight_decay value"])
  }

  public override func update(
    _ parameter: Tensor, _ gradient: Tensor, _ group: ParameterGroup, _ updates: inout [Update]
  ) throws {
    let state = makeState(parameter)
    if state.numbers["eta"] == nil { state.setNumber("eta", group["lr"]) }
    if state.numbers["mu"] == nil { state.setNumber("mu", 1) }
    state.step += 1
    var step = UpdateStep(group)
    step.rate = state.numbers["eta"] ?? group["lr"]
    step.shrink = 1 - group["lambd"] * step.rate
    step.momentum = state.numbers["mu"] ?? 1
    updates.append(
      try Update([parameter, gradient, try state.zeros("ax")], kernels.optimizers.asgd, step))
    state.setNumber("eta", group["lr"] / pow(1 + group["lambd"] * group["lr"] * state.step, group["alpha"]))
    state.setNumber("mu", 1 / max(1, state.step - group["t0"]))
  }
}
