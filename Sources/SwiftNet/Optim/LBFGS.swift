/// Limited-memory BFGS (Liu and Nocedal, 1989, https://doi.org/10.1007/BF01589116), with a fixed step or a line search
/// to the strong Wolfe conditions. One group only; needs a closure. PyTorch: `torch.optim.LBFGS`.
///
/// The state of the first parameter holds everything: the direction "d", the last gradient "prev_flat_grad", the
/// history "old_dirs.0", … (changes of the gradient) and "old_stps.0", … (moves), and their products.
public final class LBFGS: Optimizer {
  public init(
    _ parameters: [Tensor]? = nil, lr: Double = 1, maxIterations: Int = 20, maxEvaluations: Int? = nil,
    toleranceGrad: Double = 1e-7, toleranceChange: Double = 1e-9, historySize: Int = 100, strongWolfe: Bool = false
  ) throws {
    super.init(
      defaults: [
        "lr": lr, "max_iter": Double(maxIterations), "max_eval": Double(maxEvaluations ?? maxIterations * 5 / 4),
        "tolerance_grad": toleranceGrad, "tolerance_change": toleranceChange, "history_size": Double(historySize),
        "line_search_fn": strongWolfe ? 1 : 0,
      ])
    if let parameters { try addGroup(parameters) }
  }

  public override func check(_ group: ParameterGroup) throws {
    try checkNotNegative(group, ["lr": "learning rate"])
  }

  public override func stateShape(_ name: String, _ parameter: Tensor) -> [Int]? { nil }

  public override func step(_ closure: () throws -> Double) throws {
    try require(groups.count == 1, .value, "LBFGS doesn't support per-parameter options (parameter groups)")
    guard let first = groups[0].parameters.first else { return }
    let (group, state) = (groups[0], makeState(first))
    func count(_ name: String) -> Int { Int(exactly: max(0, min(group[name], 1e15)).rounded(.down)) ?? 0 }
    let (iterations, evaluations) = (count("max_iter"), count("max_eval"))
    let (lr, flat, still) = (group["lr"], group["tolerance_grad"], group["tolerance_change"])

    try noGrad {
      func evaluate() throws -> (loss: Double, gradient: Tensor) {
        let loss = try withGradMode(true, closure)
        state.numbers["func_evals", default: 0] += 1
        return (loss, try flatGradient())
      }
      var (loss, gradient) = try evaluate()
      var spent = 1
      state.numbers["n_iter", default: 0] += 0
      if try gradient.greatestMagnitude() <= flat { return }

      var memory = try Memory(state, limit: max(1, count("history_size")))
      defer { memory.save(state) }
      for iteration in stride(from: 1, through: iterations, by: 1) {
        let total = state.numbers["n_iter", default: 0] + 1
        state.numbers["n_iter"] = total
        let direction = try memory.nextDirection(gradient, isFirst: total == 1)
        memory.gradient = try gradient.clone()
        memory.loss = loss
        let before = loss
        var t = lr
        if total == 1 { t = min(1, 1 / (try gradient.unary(.abs).sum().item().double)) * lr }
        memory.t = t
        let slope = try gradient.dot(direction).item().double
        if slope > -still { break }

        let spentBefore = spent
        if group.flag("line_search_fn") {
          let start = try group.parameters.map { try $0.detach().clone() }
          let search = WolfeSearch(
            origin: .init(t: 0, loss: loss, slope: slope, gradient: gradient),
            reach: try direction.greatestMagnitude(), tolerance: 1e-9, limit: evaluations - spent)
          let (found, evaluated) = try search.run(from: t) { t in
            try move(t, direction)
            let (loss, gradient) = try evaluate()
            for (parameter, values) in zip(group.parameters, start) { try parameter.detach().copyInPlace(values) }
            return .init(
              t: t, loss: loss, slope: try gradient.dot(direction).item().double, gradient: gradient)
          }
          (loss, gradient, t) = (found.loss, found.gradient, found.t)
          memory.t = t
          spent += evaluated
          try move(t, direction)
        } else {
          try move(t, direction)
          // After the last move nothing more is asked of the function.
          if iteration != iterations {
            (loss, gradient) = try evaluate()
            spent += 1
          }
        }
        if iteration == iterations || spent >= evaluations { break }
        if spent > spentBefore, try gradient.greatestMagnitude() <= flat { break }
        if try direction.greatestMagnitude() * abs(t) <= still || abs(loss - before) < still { break }
      }
    }
  }

  /// All gradients as one vector, zeros where there is none.
  private func flatGradient() throws -> Tensor {
    try Tensor.cat(
      try groups[0].parameters.map { parameter in
        guard let gradient = parameter.grad else { return try Tensor.zeros([parameter.count], dtype: parameter.dtype) }
        return try gradient.detach().reshape([parameter.count])
      })
  }

  /// Adds t times the direction to the parameters.
  private func move(_ t: Double, _ direction: Tensor) throws {
    var start = 0
    for parameter in groups[0].parameters {
      let part = try direction.narrow(0, start, parameter.count).reshape(parameter.shape)
      try parameter.binaryInPlace(.add, .tensor(part), alpha: .float(t))
      start += parameter.count
    }
  }

  /// What is remembered from step to step.
  private struct Memory {
    let limit: Int
    var direction: Tensor?
    var gradient: Tensor?
    var t: Double
    var loss: Double
    /// Changes of the gradient y, moves s, and 1 / (y · s).
    var changes: [Tensor] = []
    var moves: [Tensor] = []
    var inverses: [Double] = []
    /// The scale of the first guess at the inverse Hessian.
    var scale: Double

    init(_ state: ParameterState, limit: Int) throws {
      self.limit = limit
      direction = state.tensors["d"]
      gradient = state.tensors["prev_flat_grad"]
      t = state.numbers["t"] ?? 0
      loss = state.numbers["prev_loss"] ?? 0
      scale = state.numbers["H_diag"] ?? 1
      while let y = state.tensors["old_dirs.\(changes.count)"], let s = state.tensors["old_stps.\(changes.count)"] {
        inverses.append(state.numbers["ro.\(changes.count)"] ?? 0)
        changes.append(y)
        moves.append(s)
      }
    }

    func save(_ state: ParameterState) {
      state.tensors = state.tensors.filter { !$0.key.hasPrefix("old_") }
      state.numbers = state.numbers.filter { !$0.key.hasPrefix("ro.") }
      state.tensors["d"] = direction
      state.tensors["prev_flat_grad"] = gradient
      state.numbers["t"] = t
      state.numbers["prev_loss"] = loss
      state.numbers["H_diag"] = scale
      for index in changes.indices {
        state.tensors["old_dirs.\(index)"] = changes[index]
        state.tensors["old_stps.\(index)"] = moves[index]
        state.numbers["ro.\(index)"] = inverses[index]
      }
    }

    /// The direction for a gradient, after taking in what the last move has told.
    mutating func nextDirection(_ now: Tensor, isFirst: Bool) throws -> Tensor {
      let next: Tensor
      if !isFirst, let direction, let gradient {
        try learn(try now - gradient, try direction * .float(t))
        next = try newtonDirection(now)
      } else {
        (changes, moves, inverses, scale) = ([], [], [], 1)
        next = try now.unary(.neg)
      }
      direction = next
      return next
    }

    private mutating func learn(_ change: Tensor, _ move: Tensor) throws {
      let product = try change.dot(move).item().double
      guard product > 1e-10 else { return }
      if changes.count >= limit {
        changes.removeFirst()
        moves.removeFirst()
        inverses.removeFirst()
      }
      changes.append(change)
      moves.append(move)
      inverses.append(1 / product)
      scale = product / (try change.dot(change).item().double)
    }

    /// - inverse Hessian · gradient, by the two-loop recursion.
    private func newtonDirection(_ now: Tensor) throws -> Tensor {
      let q = try now.unary(.neg).clone()
      var shares = [Double](repeating: 0, count: changes.count)
      for i in changes.indices.reversed() {
        shares[i] = try moves[i].dot(q).item().double * inverses[i]
        try q.binaryInPlace(.sub, .tensor(changes[i]), alpha: .float(shares[i]))
      }
      try q.binaryInPlace(.mul, .scalar(.float(scale)))
      for i in changes.indices {
        let back = try changes[i].dot(q).item().double * inverses[i]
        try q.binaryInPlace(.add, .tensor(moves[i]), alpha: .float(shares[i] - back))
      }
      return q
    }
  }
}

extension Tensor {
  fileprivate func greatestMagnitude() throws -> Double {
    count == 0 ? 0 : try unary(.abs).amax().item().double
  }
}
