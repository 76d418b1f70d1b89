import KernelTypes

/// Stochastic gradient descent with momentum, Nesterov's variant and weight decay. PyTorch: `torch.optim.SGD`.
///
///     g ← ∇f(p) + weight_decay · p
///     b ← momentum · b + (1 - dampening) · g        (b ← g in the first step)
///     p ← p - lr · b                                (nesterov: p - lr · (g + momentum · b))
public final class SGD: Optimizer {
  public static let defaults: [String: Double] = [
    "lr": 1e-3, "momentum": 0, "dampening": 0, "weight_decay": 0, "nesterov": 0, "maximize": 0,
  ]

  public init() { super.init(defaults: SGD.defaults) }

  public init(
    _ parameters: [Tensor], lr: Double = 1e-3, momentum: Double = 0, dampening: Double = 0, weightDecay: Double = 0,
    nesterov: Bool = false, maximize: Bool = false
  ) throws {
    super.init(
      defaults: [
        "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weightDecay,
        "nesterov": nesterov ? 1 : 0, "maximize": maximize ? 1 : 0,
      ])
    try addGroup(parameters)
  }

  public override func check(_ group: ParameterGroup) throws {
    try require(group["lr"] >= 0, .value, "Invalid learning rate: \(group["lr"])")
    try require(group["momentum"] >= 0, .value, "Invalid momentum value: \(group["momentum"])")
    try require(group["weight_decay"] >= 0, .value, "Invalid weight_decay value: \(group["weight_decay"])")
    try require(
      !group.flag("nesterov") || (group["momentum"] > 0 && group["dampening"] == 0), .value,
      "Nesterov momentum requires a momentum and zero dampening")
  }

  public override func update(
    _ parameter: Tensor, _ gradient: Tensor, _ group: ParameterGroup, _ updates: inout [Update]
  ) throws {
    var step = SGDStep(
      learningRate: group["lr"], momentum: group["momentum"], dampening: group["dampening"],
      weightDecay: group["weight_decay"], nesterov: group.flag("nesterov"), maximize: group.flag("maximize"))
    var tensors = [parameter, gradient]
    if step.momentum != 0 {
      let state = makeState(parameter)
      step.isFirst = state.tensors["momentum_buffer"] == nil
      tensors.append(try state.zeros("momentum_buffer"))
    }
    updates.append(
      try Update(tensors) { lane in
        let kernel = kernels.optimizers.sgd[lane.rawValue]
        return { pointers, _, count in
          kernel(pointers[0], pointers[1], pointers.count > 2 ? pointers[2] : nil, count, step)
        }
      })
  }
}
