#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Connectionist temporal classification (Graves et al., 2006): -ln of the probability of a label sequence, over all
/// ways to spread it over time with blanks between.
struct LabelPaths {
  let blank: Int
  /// The labels with a blank before, between and after.
  private let extended: [Int]
  private let steps: Int
  private var states: Int { extended.count }

  init(labels: [Int], blank: Int, steps: Int) {
    self.blank = blank
    self.steps = steps
    extended = [blank] + labels.flatMap { [$0, blank] }
  }

  private static func addingLogs(_ a: Double, _ b: Double, _ c: Double) -> Double {
    let top = max(a, b, c)
    return top == -.infinity ? top : top + log(exp(a - top) + exp(b - top) + exp(c - top))
  }

  /// Whether a path may come to a state from the one two before it.
  private func skips(_ s: Int) -> Bool {
    s >= 2 && extended[s] != blank && extended[s] != extended[s - 2]
  }

  /// Logarithms of the probability of all ways that end in each state at each time.
  func forward(_ logs: (Int, Int) -> Double) -> [Double] {
    var alpha = [Double](repeating: -.infinity, count: steps * states)
    if steps == 0 { return alpha }
    alpha[0] = logs(0, blank)
    if states > 1 { alpha[1] = logs(0, extended[1]) }
    for t in 1..<max(steps, 1) {
      for s in 0..<states {
        let before = (t - 1) * states + s
        let sum = LabelPaths.addingLogs(
          alpha[before], s > 0 ? alpha[before - 1] : -.infinity, skips(s) ? alpha[before - 2] : -.infinity)
        alpha[t * states + s] = sum + logs(t, extended[s])
      }
    }
    return alpha
  }

  func loss(_ alpha: [Double]) -> Double {
    if steps == 0 { return states == 1 ? 0 : .infinity }
    let last = (steps - 1) * states
    return -LabelPaths.addingLogs(
      alpha[last + states - 1], states > 1 ? alpha[last + states - 2] : -.infinity, -.infinity)
  }

  /// The gradient with respect to normalised logarithms, for one sequence.
  func gradient(
    _ alpha: [Double], _ loss: Double, classes: Int, _ logs: (Int, Int) -> Double, _ add: (Int, Int, Double) -> Void
  ) {
    var beta = [Double](repeating: -.infinity, count: states)
    for t in (0..<steps).reversed() {
      if t == steps - 1 {
        beta[states - 1] = logs(t, blank)
        if states > 1 { beta[states - 2] = logs(t, extended[states - 2]) }
      } else {
        for s in 0..<states {
          let sum = LabelPaths.addingLogs(
            beta[s], s + 1 < states ? beta[s + 1] : -.infinity,
            s + 2 < states && skips(s + 2) ? beta[s + 2] : -.infinity)
          beta[s] = sum + logs(t, extended[s])
        }
      }
      var through = [Double](repeating: -.infinity, count: classes)
      for s in 0..<states {
        let both = alpha[t * states + s] + beta[s]
        through[extended[s]] = LabelPaths.addingLogs(through[extended[s]], both, -.infinity)
      }
      for c in 0..<classes {
        let own = logs(t, c)
        let share = through[c] == -.infinity ? 0 : exp(through[c] + loss - own)
        add(t, c, exp(own) - share)
      }
    }
  }
}

extension Tensor {
  /// The loss of each sequence for logarithms of probabilities (T, N, C) or (T, C). PyTorch:
  /// `torch.nn.functional.ctc_loss`. As there, the gradient takes the logarithms to be normalised.
  ///
  /// - Parameters:
  ///   - targets: (N, S), or all labels one after another.
  ///   - zeroInfinity: labels that do not fit the time count as 0 instead of infinity.
  public func ctcLoss(
    _ targets: Tensor, inputLengths: [Int], targetLengths: [Int], blank: Int = 0, reduction: LossReduction = .mean,
    zeroInfinity: Bool = false
  ) throws -> Tensor {
    try require(rank == 2 || rank == 3, "ctc_loss: log_probs must be 2D or 3D, got \(rank)D")
    try require(
      dtype == .float32 || dtype == .float64, "\"ctc_loss_cpu\" not implemented for '\(dtype.scalarTypeName)'")
    if rank == 2 {
      try require(inputLengths.count == 1 && targetLengths.count == 1, "ctc_loss: one sequence has one length")
      let labels = targets.rank == 1 ? try targets.unsqueeze(0) : targets
      let losses = try unsqueeze(1).ctcLoss(
        labels, inputLengths: inputLengths, targetLengths: targetLengths, blank: blank, reduction: .none,
        zeroInfinity: zeroInfinity)
      if reduction == .mean { return try losses.squeeze([0]) / .float(Double(Swift.max(1, targetLengths[0]))) }
      return try losses.squeeze([0])
    }
    let (steps, n, classes) = (shape[0], shape[1], shape[2])
    try require(blank >= 0 && blank < classes, "blank must be in label range")
    try require(inputLengths.count == n, "input_lengths must be of size batch_size")
    try require(targetLengths.count == n, "target_lengths must be of size batch_size")
    try require(!targets.dtype.isFloatingPoint, "ctc_loss: targets must be integers, got \(targets.dtype.name)")
    let numbers = try noGrad { try targets.doubles() }.map { Int(exactly: $0) ?? -1 }
    var labels: [[Int]] = []
    var start = 0
    for b in 0..<n {
      let length = targetLengths[b]
      try require(length >= 0, "Expected target_lengths to have value at least 0, but got value \(length)")
      try require(
        inputLengths[b] >= 0 && inputLengths[b] <= steps,
        "Expected input_lengths to have value at most \(steps), but got value \(inputLengths[b])")
      if targets.rank == 2 {
        try require(targets.shape[0] == n, "ctc_loss: targets must have \(n) rows, got \(targets.shape[0])")
        try require(
          length <= targets.shape[1],
          "Expected tensor to have size at least \(length) at dimension 1, but got size \(targets.shape[1])")
        start = b * targets.shape[1]
      } else {
        try require(
          targets.rank == 1 && start + length <= numbers.count, "ctc_loss: targets are shorter than target_lengths say")
      }
      let sequence = Array(numbers[start..<start + length])
      for label in sequence {
        try require(
          label >= 0 && label < classes, "ctc_loss: label \(label) is out of range: there are \(classes) classes")
      }
      labels.append(sequence)
      start += length
    }
    let wide = try noGrad { try to(.float64).contiguous() }
    let (losses, slopes) = try wide.ctcSequences(labels, inputLengths, blank, needsRecording([self]))
    let values = zeroInfinity ? losses.map { $0 == .infinity ? 0 : $0 } : losses
    let out = try Tensor.of(values, dtype: dtype)
    if let slopes {
      let gradient = try slopes.to(dtype)
      let finite = try Tensor.of(losses.map { $0 == .infinity ? 0 : 1 }, dtype: dtype)
      try out.recorded("CtcLoss", self, saving: [gradient, finite, self]) { context in
        let incoming = try context.grad
        let result = try noGrad { () -> Tensor in
          let factor = zeroInfinity ? try incoming * context.saved(1) : incoming
          return try context.saved(0) * factor.reshape([1, n, 1])
        }
        // As in PyTorch, the gradient is part of a graph that cannot be gone through.
        guard context.createsGraph else { return [result] }
        return [
          try result.recorded("CtcLossBackward", incoming, context.saved(2)) { _ in
            throw SwiftNetError.runtime("derivative for aten::_ctc_loss_backward is not implemented")
          }
        ]
      }
    }
    if reduction == .mean {
      return try (out / Tensor.of(targetLengths.map { Double(Swift.max(1, $0)) }, dtype: dtype)).mean()
    }
    return try out.reduced(reduction)
  }

  /// The losses of all sequences and, if wanted, their gradients (T, N, C), in float64.
  private func ctcSequences(
    _ labels: [[Int]], _ lengths: [Int], _ blank: Int, _ wantsGradient: Bool
  ) throws -> ([Double], Tensor?) {
    let (n, classes) = (shape[1], shape[2])
    let slopes = wantsGradient ? try Tensor.zeros(shape, dtype: .float64) : nil
    let result = try Tensor.zeros([n], dtype: .float64)
    let x = try pointer().assumingMemoryBound(to: Double.self)
    let target = try slopes?.mutablePointer().assumingMemoryBound(to: Double.self)
    let out = try result.mutablePointer().assumingMemoryBound(to: Double.self)
    parallelFor(n, grain: 1) { first, last in
      for b in first..<last {
        let paths = LabelPaths(labels: labels[b], blank: blank, steps: lengths[b])
        let logs = { (t: Int, c: Int) in x[(t * n + b) * classes + c] }
        let alpha = paths.forward(logs)
        out[b] = paths.loss(alpha)
        guard let target else { continue }
        paths.gradient(alpha, out[b], classes: classes, logs) { t, c, value in
          target[(t * n + b) * classes + c] = value
        }
      }
    }
    return (try result.doubles(), slopes)
  }
}
