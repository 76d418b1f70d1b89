import KernelTypes

/// The gradient of a ReLU that is still to be computed, behind a normalisation whose backward can take it on the way:
/// the masked gradient is never written.
struct PendingReluGradient {
  /// Of the ReLU's output.
  let gradient: Tensor
  /// Where the output was positive.
  private let output: Tensor?
  /// Or the scale and shift that it was made with.
  private let scale: Tensor?
  private let shift: Tensor?

  init(gradient: Tensor, output: Tensor) {
    (self.gradient, self.output, scale, shift) = (gradient, output, nil, nil)
  }

  init(gradient: Tensor, scale: Tensor, shift: Tensor) {
    (self.gradient, output, self.scale, self.shift) = (gradient, nil, scale, shift)
  }

  /// Valid while this is.
  func mask() throws -> NormMask {
    NormMask(output: try output?.pointer(), scale: try scale?.pointer(), shift: try shift?.pointer())
  }
}

extension Tensor {
  /// What this gradient waits for, if its recipe is the gradient of a ReLU behind a normalisation of `x`.
  func pendingReluGradient(_ recipe: ElementwiseRecipe, of x: Tensor) throws -> PendingReluGradient? {
    guard shape == x.shape, strides == x.strides, recipe.isAll(self), dtype == x.dtype else { return nil }
    if let pending = recipe.convolution {
      guard let mask = pending.steps.mask, pending.steps.residual == nil, isLike(pending.input) else { return nil }
      return PendingReluGradient(gradient: pending.input, output: mask)
    }
    let program = recipe.program
    guard let last = program.steps.last, last.op == .thresholdBackward, last.scalars.p == 0, last.roundTo == nil,
      let gradient = program.leaf(last.sources[0]), isLike(gradient)
    else { return nil }
    if let output = program.leaf(last.sources[1]) {
      return isLike(output) && !output.memory.isDeferred
        ? PendingReluGradient(gradient: gradient, output: output) : nil
    }
    // Or the output is computed again from x.
    guard let relu = program.step(last.sources[1]), relu.op == .relu, let scaled = program.step(relu.sources[0]),
      scaled.op == .addcmul, scaled.scalars.p == 1, let shift = program.leaf(scaled.sources[0]),
      let input = program.leaf(scaled.sources[1]), let scale = program.leaf(scaled.sources[2]),
      input.memory === x.memory, isLike(input), isNumberOfChannel(shift), isNumberOfChannel(scale)
    else { return nil }
    return PendingReluGradient(gradient: gradient, scale: scale, shift: shift)
  }

  /// Whether a tensor holds one number for each channel of this one.
  private func isNumberOfChannel(_ numbers: Tensor) -> Bool {
    numbers.dtype == dtype && numbers.count == shape[1] && numbers.rank == rank && numbers.shape[1] == shape[1]
      && numbers.isContiguous
  }
}
