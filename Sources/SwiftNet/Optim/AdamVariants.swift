import KernelTypes

/// Optimizers with a running mean of the gradient and one of its magnitude: NAdam, RAdam, Adamax.
public class AdamVariant: Optimizer {
  static let shared: [String: Double] = [
    "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0, "maximize": 0, "decoupled_weight_decay": 0,
  ]

  fileprivate init(
    _ parameters: [Tensor]?, _ defaults: [String: Double], lr: Double?, betas: (Double, Double)?, eps: Double?,
    weightDecay: Double?, decoupled: Bool, maximize: Bool
  ) throws {
    var options = AdamVariant.shared.merging(defaults) { $1 }
    if let lr { options["lr"] = lr }
    if let betas { (options["beta1"], options["beta2"]) = betas }
    if let eps { options["eps"] = eps }
    if let weightDecay { options["weight_decay"] = weightDecay }
    options["decoupled_weight_decay"] = decoupled ? 1 : 0
    options["maximize"] = maximize ? 1 : 0
    super.init(defaults: options)
    if let parameters { try addGroup(parameters) }
  }

  public override func check(_ group: ParameterGroup) throws {
    try checkNotNegative(group, ["lr": "learning rate", "eps": "epsilon value"])
    try checkBetas(group)
    try checkNotNegative(group, ["weight_decay": "weight_decay value"])
  }

  /// The numbers that all variants share. Decoupled decay shrinks the parameter instead of changing the gradient.
  fileprivate func settings(_ group: ParameterGroup) -> UpdateStep {
    var step = UpdateStep(group)
    if group.flag("decoupled_weight_decay") {
      step.shrink = 1 - group["lr"] * group["weight_decay"]
      step.weightDecay = 0
    }
    return step
  }
}

/// Adam with Nesterov's momentum (Dozat, 2016, https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ). PyTorch:
/// `torch.optim.NAdam`.
///
///     μₜ = beta1 · (1 - 0.96^(t · momentum_decay) / 2)
///     m ← beta1 · m + (1 - beta1) · g,   v ← beta2 · v + (1 - beta2) · g²
///     p ← p - lr · ((1 - μₜ) · g / (1 - Πμ) + μₜ₊₁ · m / (1 - Πμ · μₜ₊₁)) / (√(v / (1 - beta2ᵗ)) + eps)
public final class NAdam: AdamVariant {
  public init(
    _ parameters: [Tensor]? = nil, lr: Double = 2e-3, betas: (Double, Double)? = nil, eps: Double? = nil,
    weightDecay: Double? = nil, momentumDecay: Double = 4e-3, decoupled: Bool = false, maximize: Bool = false
  ) throws {
    try super.init(
      parameters, ["momentum_decay": momentumDecay], lr: lr, betas: betas, eps: eps, weightDecay: weightDecay,
      decoupled: decoupled, maximize: maximize)
  }

  public override func check(_ group: ParameterGroup) throws {
    try super.check(group)
    try checkNotNegative(group, ["momentum_decay": "momentum_decay value"])
  }

  public override func update(
    _ parameter: Tensor, _ gradient: Tensor, _ group: ParameterGroup, _ updates: inout [Update]
  ) throws {
    let state = makeState(parameter)
    state.step += 1
    func momentum(_ t: Double) -> Double {
      group["beta1"] * (1 - 0.5 * pow(0.96, t * group["momentum_decay"]))
    }
    let (now, next) = (momentum(state.step), momentum(state.step + 1))
    state.multiplyNumber("mu_product", by: now)
    let product = state.numbers["mu_product"] ?? 1
    var step = settings(group)
    step.rate = group["lr"] * (1 - now) / (1 - product)
    step.momentumRate = group["lr"] * next / (1 - product * next)
    step.correction = 1 - pow(group["beta2"], state.step)
    let tensors = [parameter, gradient, try state.zeros("exp_avg"), try state.zeros("exp_avg_sq")]
    updates.append(try Update(tensors, kernels.optimizers.nadam, step))
  }
}

/// Adam with the variance of its early steps put right (Liu et al., 2019, https://arxiv.org/abs/1908.03265): as long as
/// too few steps tell of the variance, it is left out. PyTorch: `torch.optim.RAdam`.
///
///     ρ∞ = 2 / (1 - beta2) - 1,   ρ = ρ∞ - 2t · beta2ᵗ / (1 - beta2ᵗ)
///     r = √((ρ - 4)(ρ - 2) ρ∞ / ((ρ∞ - 4)(ρ∞ - 2) ρ))
///     p ← p - lr · m / (1 - beta1ᵗ) · (r · √(1 - beta2ᵗ) / (√v + eps)  if ρ > 5, else 1)
public final class RAdam: AdamVariant {
  public init(
    _ parameters: [Tensor]? = nil, lr: Double = 1e-3, betas: (Double, Double)? = nil, eps: Double? = nil,
    weightDecay: Double? = nil, decoupled: Bool = false, maximize: Bool = false
  ) throws {
    try super.init(
      parameters, [:], lr: lr, betas: betas, eps: eps, weightDecay: weightDecay, decoupled: decoupled,
      maximize: maximize)
  }

  public override func update(
    _ parameter: Tensor, _ gradient: Tensor, _ group: ParameterGroup, _ updates: inout [Update]
  ) throws {
    let state = makeState(parameter)
    state.step += 1
    let (t, beta2) = (state.step, group["beta2"])
    let correction2 = 1 - pow(beta2, t)
    let limit = 2 / (1 - beta2) - 1
    let length = limit - 2 * t * pow(beta2, t) / correction2
    var step = settings(group)
    step.rate = group["lr"] / (1 - pow(group["beta1"], t))
    step.isAdaptive = length > 5
    if step.isAdaptive {
      let rectification = (length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length)
      step.rate *= (rectification * correction2).squareRoot()
    }
    let tensors = [parameter, gradient, try state.zeros("exp_avg"), try state.zeros("exp_avg_sq")]
    updates.append(try Update(tensors, kernels.optimizers.radam, step))
  }
}

/// Adam by the greatest magnitude instead of the mean of squares (Kingma and Ba, 2014,
/// https://arxiv.org/abs/1412.6980, section 7). PyTorch: `torch.optim.Adamax`.
///
///     m ← beta1 · m + (1 - beta1) · g,   u ← max(beta2 · u, |g| + eps)
///     p ← p - lr / (1 - beta1ᵗ) · m / u
public final class Adamax: AdamVariant {
  public init(
    _ parameters: [Tensor]? = nil, lr: Double = 2e-3, betas: (Double, Double)? = nil, eps: Double? = nil,
    weightDecay: Double? = nil, maximize: Bool = false
  ) throws {
    try super.init(
      parameters, [:], lr: lr, betas: betas, eps: eps, weightDecay: weightDecay, decoupled: false, maximize: maximize)
  }

  public override func update(
    _ parameter: Tensor, _ gradient: Tensor, _ group: ParameterGroup, _ updates: inout [Update]
  ) throws {
    let state = makeState(parameter)
    state.step += 1
    var step = settings(group)
    step.rate = group["lr"] / (1 - pow(group["beta1"], state.step))
    let tensors = [parameter, gradient, try state.zeros("exp_avg"), try state.zeros("exp_inf")]
    updates.append(try Update(tensors, kernels.optimizers.adamax, step))
  }
}
