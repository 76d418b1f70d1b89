import KernelTypes

/// Adam (Kingma and Ba, 2014, https://arxiv.org/abs/1412.6980), AMSGrad (Reddi et al., 2018), and with
/// "decoupled_weight_decay" AdamW (Loshchilov and Hutter, 2017, https://arxiv.org/abs/1711.05101).
/// PyTorch: `torch.optim.Adam`, `torch.optim.AdamW`.
///
///     m ← beta1 · m + (1 - beta1) · g,   v ← beta2 · v + (1 - beta2) · g²
///     p ← p - lr · (m / (1 - beta1ᵗ)) / (√(v / (1 - beta2ᵗ)) + eps)
public final class Adam: Optimizer {
  /// - Parameter decoupled: AdamW: decay the parameters themselves instead of adding to the gradient.
  public static func defaults(decoupled: Bool) -> [String: Double] {
    [
      "lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": decoupled ? 1e-2 : 0, "amsgrad": 0,
      "maximize": 0, "decoupled_weight_decay": decoupled ? 1 : 0,
    ]
  }

  public init(decoupled: Bool = false) { super.init(defaults: Adam.defaults(decoupled: decoupled)) }

  public init(
    _ parameters: [Tensor], lr: Double = 1e-3, betas: (Double, Double) = (0.9, 0.999), eps: Double = 1e-8,
    weightDecay: Double? = nil, amsgrad: Bool = false, maximize: Bool = false, decoupled: Bool = false
  ) throws {
    var options = Adam.defaults(decoupled: decoupled)
    options["lr"] = lr
    options["beta1"] = betas.0
    options["beta2"] = betas.1
    options["eps"] = eps
    if let weightDecay { options["weight_decay"] = weightDecay }
    options["amsgrad"] = amsgrad ? 1 : 0
    options["maximize"] = maximize ? 1 : 0
    super.init(defaults: options)
    try addGroup(parameters)
  }

  public override func check(_ group: ParameterGroup) throws {
    try require(group["lr"] >= 0, .value, "Invalid learning rate: \(group["lr"])")
    try require(group["eps"] >= 0, .value, "Invalid epsilon value: \(group["eps"])")
    for (index, name) in ["beta1", "beta2"].enumerated() {
      try require(
        group[name] >= 0 && group[name] < 1, .value, "Invalid beta parameter at index \(index): \(group[name])")
    }
    try require(group["weight_decay"] >= 0, .value, "Invalid weight_decay value: \(group["weight_decay"])")
  }

  public override func update(
    _ parameter: Tensor, _ gradient: Tensor, _ group: ParameterGroup, _ updates: inout [Update]
  ) throws {
    let state = makeState(parameter)
    state.step += 1
    var tensors = [parameter, gradient, try state.zeros("exp_avg"), try state.zeros("exp_avg_sq")]
    if group.flag("amsgrad") { tensors.append(try state.zeros("max_exp_avg_sq")) }
    let step = AdamStep(
      learningRate: group["lr"], beta1: group["beta1"], beta2: group["beta2"], eps: group["eps"],
      weightDecay: group["weight_decay"], isDecoupled: group.flag("decoupled_weight_decay"),
      maximize: group.flag("maximize"), biasCorrection1: 1 - pow(group["beta1"], state.step),
      biasCorrection2: 1 - pow(group["beta2"], state.step))
    updates.append(
      try Update(tensors) { lane in
        let kernel = kernels.optimizers.adam[lane.rawValue]
        return { pointers, _, count in
          kernel(
            pointers[0], pointers[1], pointers[2], pointers[3], pointers.count > 4 ? pointers[4] : nil, count, step)
        }
      })
  }
}
