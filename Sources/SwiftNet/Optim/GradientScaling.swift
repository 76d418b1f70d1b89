import KernelTypes
import Synchronization

/// What mixed precision needs of gradients: undoing the loss's scale, and noticing what has overflowed.
public enum GradientScaling {
  /// Multiplies gradients by a factor, in place, in one pass; whether one of them was not finite.
  public static func unscale(_ gradients: [Tensor], by factor: Double) throws -> Bool {
    var found = false
    for gradient in gradients {
      try gradient.checkWritable()
      if try unscale(gradient, factor) { found = true }
      gradient.bumpVersion()
    }
    return found
  }

  private static func unscale(_ gradient: Tensor, _ factor: Double) throws -> Bool {
    try require(gradient.dtype.isFloatingPoint, "gradients to be unscaled have to be floating-point")
    let dtype = gradient.dtype.lane.dtype
    var dense = gradient
    if gradient.dtype != dtype || !gradient.isDense {
      dense = try Tensor(empty: gradient.shape, dtype: dtype)
      try copyElements(from: gradient, to: dense)
    }
    let (pointer, kernel) = (try dense.mutablePointer(), kernels.optimizers.unscale[dtype.lane.rawValue])
    let trouble = Atomic<Bool>(false)
    parallelFor(dense.count, grain: 1 << 14) { start, end in
      if kernel(pointer + start * dtype.size, end - start, factor) { trouble.store(true, ordering: .relaxed) }
    }
    if dense !== gradient { try copyElements(from: dense, to: gradient) }
    return trouble.load(ordering: .relaxed)
  }
}
