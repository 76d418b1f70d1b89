/// Limits on gradients before a step, as `torch.nn.utils`.
public enum GradientClipping {
  /// The p-norm of all tensors as if they were one vector.
  public static func totalNorm(_ tensors: [Tensor], p: Double = 2) throws -> Tensor {
    guard let first = tensors.first else { return try Tensor.scalar(0.0) }
    return try noGrad {
      let norms = try tensors.map { try $0.detach().vectorNorm(p).to(first.dtype).reshape([1]) }
      return try Tensor.cat(norms, 0).vectorNorm(p)
    }
  }

  /// Scales the gradients by min(1, maxNorm / (norm + 1e-6)), the same for all. Returns the norm before.
  @discardableResult
  public static func clipNorm(
    _ parameters: [Tensor], maxNorm: Double, p: Double = 2, errorIfNotFinite: Bool = false
  ) throws -> Tensor {
    let gradients = parameters.compactMap(\.grad)
    let total = try totalNorm(gradients, p: p)
    if errorIfNotFinite, try !total.item().double.isFinite {
      throw SwiftNetError.runtime(
        "The total norm of order \(p) for gradients from `parameters` is non-finite, so it cannot be clipped. To "
          + "disable this error and scale the gradients by the non-finite norm anyway, set `error_if_nonfinite=False`")
    }
    try scale(gradients, maxNorm: maxNorm, total: total)
    return total
  }

  /// Scales gradients whose total norm is known.
  public static func scale(_ gradients: [Tensor], maxNorm: Double, total: Tensor) throws {
    try noGrad {
      let ratio = try Binary.apply(.div, .scalar(.float(maxNorm)), .tensor(total.detach() + 1e-6))
      let factor = try Binary.apply(.minimum, .tensor(ratio), .tensor(Tensor.scalar(1.0, dtype: ratio.dtype)))
      for gradient in gradients { try gradient.binaryInPlace(.mul, .tensor(factor)) }
    }
  }

  /// Limits each element of the gradients to [-limit, limit].
  public static func clipValue(_ parameters: [Tensor], _ limit: Double) throws {
    try noGrad {
      for gradient in parameters.compactMap(\.grad) {
        try gradient.unaryInPlace(.clampScalar, Scalars(-limit, limit))
      }
    }
  }
}
