import KernelTypes

/// Adagrad (Duchi et al., 2011, https://jmlr.org/papers/v12/duchi11a.html). PyTorch: `torch.optim.Adagrad`.
///
///     s ← s + g²,   p ← p - lr / (1 + (t - 1) · lr_decay) · g / (√s + eps)
public final class Adagrad: Optimizer {
  public init(
    _ parameters: [Tensor]? = nil, lr: Double = 1e-2, lrDecay: Double = 0, weightDecay: Double = 0,
    initialAccumulator: Double = 0, eps: Double = 1e-10, maximize: Bool = false
  ) throws {
    super.init(
      defaults: [
        "lr": lr, "lr_decay": lrDecay, "weight_decay": weightDecay, "initial_accumulator_value": initialAccumulator,
        "eps": eps, "maximize": maximize ? 1 : 0,
      ])
    if let parameters { try addGroup(parameters) }
  }

  public override func check(_ group: ParameterGroup) throws {
    try checkNotNegative(
      group,
      [
        "lr": "learning rate", "lr_decay": "lr_decay value", "weight_decay": "weight_decay value",
        "initial_accumulator_value": "initial_accumulator_value value", "eps": "epsilon value",
      ])
  }

  public override func prepare(_ parameter: Tensor, _ group: ParameterGroup) throws {
    _ = try makeState(parameter).filled("sum", group["initial_accumulator_value"])
  }

  public override func update(
    _ parameter: Tensor, _ gradient: Tensor, _ group: ParameterGroup, _ updates: inout [Update]
  ) throws {
    let state = makeState(parameter)
    state.step += 1
    var step = UpdateStep(group)
    step.rate = group["lr"] / (1 + (state.step - 1) * group["lr_decay"])
    let sum = try state.filled("sum", group["initial_accumulator_value"])
    updates.append(try Update([parameter, gradient, sum], kernels.optimizers.adagrad, step))
  }
}

/// Adadelta (Zeiler, 2012, https://arxiv.org/abs/1212.5701). PyTorch: `torch.optim.Adadelta`.
///
///     s ← rho · s + (1 - rho) · g²,   Δ = √(a + eps) / √(s + eps) · g
///     a ← rho · a + (1 - rho) · Δ²,   p ← p - lr · Δ
public final class Adadelta: Optimizer {
  public init(
    _ parameters: [Tensor]? = nil, lr: Double = 1, rho: Double = 0.9, eps: Double = 1e-6, weightDecay: Double = 0,
    maximize: Bool = false
  ) throws {
    super.init(
      defaults: ["lr": lr, "rho": rho, "eps": eps, "weight_decay": weightDecay, "maximize": maximize ? 1 : 0])
    if let parameters { try addGroup(parameters) }
  }

  public override func check(_ group: ParameterGroup) throws {
    try checkNotNegative(group, ["lr": "learning rate"])
    try require(group["rho"] >= 0 && group["rho"] <= 1, .value, "Invalid rho value: \(group["rho"])")
    try checkNotNegative(group, ["eps": "epsilon value", "weight_decay": "weight_decay value"])
  }

  public override func update(
    _ parameter: Tensor, _ gradient: Tensor, _ group: ParameterGroup, _ updates: inout [Update]
  ) throws {
    let state = makeState(parameter)
    state.step += 1
    var step = UpdateStep(group)
    step.beta2 = group["rho"]
    let tensors = [parameter, gradient, try state.zeros("square_avg"), try state.zeros("acc_delta")]
    updates.append(try Update(tensors, kernels.optimizers.adadelta, step))
  }
}

/// RMSprop (Hinton, 2012, lecture 6 of "Neural Networks for Machine Learning"), `centered` after Graves (2013,
/// https://arxiv.org/abs/1308.0850). PyTorch: `torch.optim.RMSprop`.
///
///     s ← alpha · s + (1 - alpha) · g²,   centered: c ← alpha · c + (1 - alpha) · g,   s' = s - c²
///     b ← momentum · b + g / (√s' + eps),   p ← p - lr · b
public final class RMSprop: Optimizer {
  public init(
    _ parameters: [Tensor]? = nil, lr: Double = 1e-2, alpha: Double = 0.99, eps: Double = 1e-8,
    weightDecay: Double = 0, momentum: Double = 0, centered: Bool = false, maximize: Bool = false
  ) throws {
    super.init(
      defaults: [
        "lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weightDecay, "momentum": momentum,
        "centered": centered ? 1 : 0, "maximize": maximize ? 1 : 0,
      ])
    if let parameters { try addGroup(parameters) }
  }

  public override func check(_ group: ParameterGroup) throws {
    try checkNotNegative(
      group,
      [
        "lr": "learning rate", "eps": "epsilon value", "momentum": "momentum value",
        "weight_decay": "weight_decay value", "alpha": "alpha value",
      ])
  }

  public override func update(
    _ parameter: Tensor, _ gradient: Tensor, _ group: ParameterGroup, _ updates: inout [Update]
  ) throws {
    let state = makeState(parameter)
    state.step += 1
    var step = UpdateStep(group)
    step.beta2 = group["alpha"]
    step.momentum = group["momentum"]
    step.isAdaptive = group.flag("centered")
    var tensors = [parameter, gradient, try state.zeros("square_avg")]
    if step.isAdaptive { tensors.append(try state.zeros("grad_avg")) }
    if step.momentum > 0 { tensors.append(try state.zeros("momentum_buffer")) }
    updates.append(try Update(tensors, kernels.optimizers.rmsprop, step))
  }
}
