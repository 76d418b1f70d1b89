/// Pooling by the mean of each window.
extension Tensor {
  /// The mean of each window. The number of spatial dimensions is given, from 1 to 3; an empty stride stands for the
  /// kernel's size. PyTorch: `avg_pool1d`, `2d`, `3d`.
  ///
  /// - Parameters:
  ///   - countIncludesPadding: whether padding counts in the divisor.
  ///   - divisor: divides the window's sum instead of the number of its elements.
  public func averagePool(
    _ dimensions: Int, kernel: [Int], stride: [Int] = [], padding: [Int] = [0], ceilMode: Bool = false,
    countIncludesPadding: Bool = true, divisor: Int? = nil
  ) throws -> Tensor {
    if dimensions == 3 {
      let converted = try autocast(.float32, [self]) {
        try $0[0].averagePool(
          3, kernel: kernel, stride: stride, padding: padding, ceilMode: ceilMode,
          countIncludesPadding: countIncludesPadding, divisor: divisor)
      }
      if let converted { return converted }
    }
    let name = "avg_pool\(dimensions)d"
    let windows = try PoolWindows(
      name, dimensions, kernel: kernel, stride: stride, padding: padding, ceilMode: ceilMode)
    try require(divisor != 0, "divisor must be not zero")
    return try checkedForMean(name).pooled(name, dimensions) { x in
      let axes = try windows.axes(x.shape, countIncludesPadding: countIncludesPadding)
      let plan = try PoolPlan(x.shape, axes: axes, divisor: divisor ?? 0, isChannelsLast: x.poolsChannelsLast)
      return [try x.averaged(plan, "AvgPool\(dimensions)D")]
    }[0]
  }

  /// The mean of each of `size` windows that share the input out evenly; -1 keeps a size.
  public func adaptiveAveragePool(_ size: [Int]) throws -> Tensor {
    if size.count == 3, let out = try autocast(.float32, [self], { try $0[0].adaptiveAveragePool(size) }) { return out }
    let name = "adaptive_avg_pool\(size.count)d"
    return try checkedForMean(name).pooled(name, size.count) { x in
      let plan = try PoolPlan(x.shape, axes: try x.adaptiveAxes(size), isChannelsLast: x.poolsChannelsLast)
      return [try x.averaged(plan, "AdaptiveAvgPool\(size.count)D")]
    }[0]
  }

  private func checkedForMean(_ name: String) throws -> Tensor {
    try require(
      dtype.isFloatingPoint, .notImplemented, "\"\(name)\" not implemented for '\(dtype.scalarTypeName)'")
    return self
  }

  private func averaged(_ plan: PoolPlan, _ name: String) throws -> Tensor {
    let out = try Tensor(empty: plan.output, dtype: dtype, strides: plan.outputStrides)
    try run(kernels.pool.average[dtype.lane.rawValue], plan, from: plan.inputStrides, into: out, rows: plan.outputRows)
    return try out.recorded(name, self) { context in
      let gradient = try context.grad
      let isAdded = try context.addsInPlace(gradient.dtype, plan.inputStrides) {
        var plan = plan
        plan.shape.addsToGradient = true
        try gradient.runBack(plan, into: $0)
      }
      return isAdded ? [nil] : [try gradient.averagedBack(plan, name)]
    }
  }

  private func averagedBack(_ plan: PoolPlan, _ name: String) throws -> Tensor {
    let out = try Tensor(empty: plan.input, dtype: dtype, strides: plan.inputStrides)
    try runBack(plan, into: out)
    return try out.recorded(name + "Backward", self) { [try $0.grad.averaged(plan, name)] }
  }

  private func runBack(_ plan: PoolPlan, into out: Tensor) throws {
    let kernel = kernels.pool.averageGradient[dtype.lane.rawValue]
    try run(kernel, plan, from: plan.outputStrides, into: out, rows: plan.inputRows)
  }

  private func run(
    _ kernel: AveragePoolKernel, _ plan: PoolPlan, from strides: [Int], into out: Tensor, rows: Int
  ) throws {
    if out.count == 0 { return }
    if count == 0 {
      if !plan.shape.addsToGradient { try out.fillUnrecorded(0) }
      return
    }
    let x = try noGrad { try plan.laidOut(self, strides) }
    let (source, target) = (try x.pointer(), try out.mutablePointer())
    parallelFor(rows, grain: plan.grain) { start, end in kernel(source, target, plan.shape, start..<end) }
    withExtendedLifetime(x) {}
  }

  /// The p-norm of each window: (Σ xᵖ)^(1/p), or the largest (p = ∞) or least (p = -∞) magnitude. PyTorch:
  /// `lp_pool1d`, `2d`, `3d`.
  public func normPool(
    _ dimensions: Int, p: Double, kernel: [Int], stride: [Int] = [], ceilMode: Bool = false
  ) throws -> Tensor {
    if p.isInfinite {
      let signed = try p > 0 ? unary(.abs) : unary(.abs).unary(.neg)
      let found = try signed.maxPool(dimensions, kernel: kernel, stride: stride, ceilMode: ceilMode)[0]
      return try p > 0 ? found : found.unary(.neg)
    }
    let sizes = kernel.count == 1 ? [Int](repeating: kernel[0], count: dimensions) : kernel
    let elements = sizes.reduce(1.0) { $0 * Double($1) }
    let powers = try Binary.apply(.pow, .tensor(self), .scalar(.float(p)))
    let means = try powers.averagePool(dimensions, kernel: kernel, stride: stride, ceilMode: ceilMode)
    let positive = try means.unary(.sign) * means.unary(.abs).relu()
    return try Binary.apply(.pow, .tensor(positive * .float(elements)), .scalar(.float(1 / p)))
  }
}
