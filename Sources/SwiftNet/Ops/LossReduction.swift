/// How a loss becomes one number.
public enum LossReduction: Int32, Sendable {
  /// A value for each element (or sample).
  case none = 0
  case mean
  case sum
  /// The sum divided by the size of the first dimension.
  case batchMean
}

extension Tensor {
  func reduced(_ reduction: LossReduction) throws -> Tensor {
    switch reduction {
    case .none: self
    case .mean: try mean()
    case .sum: try sum()
    case .batchMean: try sum() / .float(Double(rank == 0 ? 1 : shape[0]))
    }
  }

  /// Weighted values; their mean is divided by the sum of the weights.
  func reduced(_ reduction: LossReduction, weight: Tensor?) throws -> Tensor {
    guard let weight else { return try reduced(reduction) }
    try require(weight.shape == shape, .value, "Weights and input must have the same size.")
    let weighted = try self * weight
    return reduction == .mean ? try weighted.sum() / weight.sum() : try weighted.reduced(reduction)
  }

  func compare(_ op: ElementwiseOp, _ value: Double) throws -> Tensor {
    try Binary.apply(op, .tensor(self), .scalar(.float(value)))
  }

  func choose(_ a: Tensor, else b: Tensor) throws -> Tensor { try whereSelect(self, .tensor(a), .tensor(b)) }
}
