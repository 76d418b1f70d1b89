/// Batch normalisation with fixed statistics, folded into the layer before it.
extension Tensor {
  /// Weight and bias of a convolution or linear layer that does what the layer and a batch normalisation after it do in
  /// evaluation: `weight · γ / √(variance + eps)` along the outputs, `(bias - mean) · γ / √(variance + eps) + β`.
  /// PyTorch: `torch.nn.utils.fuse_conv_bn_weights`, `fuse_linear_bn_weights`.
  ///
  /// - Parameters:
  ///   - scale: γ; ones if nil.
  ///   - shift: β; zeros if nil.
  ///   - isTransposed: of a transposed convolution, whose outputs are the weight's second dimension.
  public static func foldBatchNorm(
    weight: Tensor, bias: Tensor?, mean: Tensor, variance: Tensor, eps: Double, scale: Tensor? = nil,
    shift: Tensor? = nil, isTransposed: Bool = false
  ) throws -> (weight: Tensor, bias: Tensor) {
    let axis = isTransposed ? 1 : 0
    try require(weight.rank > axis, "the weight needs at least \(axis + 1) dimensions, got \(weight.rank)")
    try require(
      mean.rank == 1 && variance.shape == mean.shape,
      "mean and variance have shapes \(Shape.describe(mean.shape)) and \(Shape.describe(variance.shape))")
    let outputs = weight.shape[axis]
    try require(
      mean.count == outputs || mean.count == 1 || isTransposed && outputs > 0 && mean.count % outputs == 0,
      "the batch normalisation has \(mean.count) channels, the layer \(outputs)")
    let inverse = try (variance + .float(eps)).unary(.rsqrt)
    let factor = try scale.map { try $0 * inverse } ?? inverse
    var shape = [Int](repeating: 1, count: weight.rank)
    shape[axis] = min(mean.count, outputs)
    // Groups of a transposed convolution lie one after the other in the weight's first dimension.
    let groups = mean.count / max(outputs, 1)
    let folded: Tensor
    if groups > 1 {
      try require(weight.shape[0] % groups == 0, "the weight's \(weight.shape[0]) inputs are no \(groups) groups")
      var parts: [Tensor] = []
      for group in 0..<groups {
        let size = weight.shape[0] / groups
        let part = try weight.narrow(0, group * size, size)
        parts.append(try part * factor.narrow(0, group * outputs, outputs).reshape(shape))
      }
      folded = try Tensor.cat(parts)
    } else {
      folded = try weight * factor.reshape(shape)
    }
    let centred = try bias.map { try $0 - mean } ?? mean.negated()
    let scaled = try centred * factor
    let moved = try shift.map { try scaled + $0 } ?? scaled
    return (try folded.to(weight.dtype), try moved.to(bias?.dtype ?? weight.dtype))
  }
}
