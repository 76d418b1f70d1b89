import KernelTypes

/// Scores and a truth whose elements lie in memory in the same order, for kernels that take both in one pass.
struct LossPair {
  let x: Tensor
  let y: Tensor
  /// Elements that a call of a kernel gets: the sums of the calls are added up in order, so that they do not depend on
  /// the number of threads.
  private static let chunk = 1 << 14

  /// nil where the kernels do not apply: other dtypes, other orders in memory, no elements at all, or a truth that wants
  /// a gradient of its own.
  init?(_ x: Tensor, _ y: Tensor) {
    guard x.dtype == .float32 || x.dtype == .float64, y.dtype == x.dtype, x.count > 0, x.shape == y.shape,
      x.strides == y.strides, x.isDense, !y.requiresGrad || !ThreadState.current.isGradEnabled
    else { return nil }
    self.x = x
    self.y = y
  }

  /// `width` sums for each of as many rows as there are, in memory one behind the other.
  func sums(
    _ kernel: @escaping BinarySumsKernel, _ width: Int, rows: Int = 1, _ settings: BinaryLossSettings
  ) throws -> [Double] {
    let (size, from, truth) = (x.dtype.size, try x.pointer(), try y.pointer())
    let length = x.count / rows
    let parts = (length + LossPair.chunk - 1) / LossPair.chunk
    let partial = UnsafeMutablePointer<Double>.allocate(capacity: rows * parts * width)
    defer { partial.deallocate() }
    partial.initialize(repeating: 0, count: rows * parts * width)
    parallelFor(rows * parts, grain: LossPair.grain(length)) { first, last in
      for task in first..<last {
        let start = task % parts * LossPair.chunk
        let at = (task / parts * length + start) * size
        kernel(from + at, truth + at, min(LossPair.chunk, length - start), partial + task * width, settings)
      }
    }
    var result = [Double](repeating: 0, count: rows * width)
    for task in 0..<rows * parts {
      for k in 0..<width { result[task / parts * width + k] += partial[task * width + k] }
    }
    withExtendedLifetime(self) {}
    return result
  }

  /// The gradient of the scores, with settings of each row's own.
  func gradient(
    _ kernel: @escaping BinaryGradientKernel, rows: Int = 1, into given: Tensor? = nil,
    _ settings: (Int) -> BinaryLossSettings
  ) throws -> Tensor {
    let out = try given ?? Tensor(empty: x.shape, dtype: x.dtype, strides: x.strides)
    let (size, from, truth, target) = (x.dtype.size, try x.pointer(), try y.pointer(), try out.mutablePointer())
    let length = x.count / rows
    let parts = (length + LossPair.chunk - 1) / LossPair.chunk
    let tasks = rows * parts
    parallelFor(tasks, grain: LossPair.grain(length)) { first, last in
      // From the end: the pass forward has left that in the cache.
      for task in (tasks - last..<tasks - first).reversed() {
        let start = task % parts * LossPair.chunk
        let at = (task / parts * length + start) * size
        kernel(from + at, truth + at, target + at, min(LossPair.chunk, length - start), settings(task / parts))
      }
    }
    withExtendedLifetime(self) {}
    return out
  }

  private static func grain(_ length: Int) -> Int { max(1, chunk / max(1, min(length, chunk))) }
}

extension BinaryLossSettings {
  /// The gradient is `entropy` times that of the loss.
  init(gradient: Double) {
    self.init()
    entropy = gradient
  }
}

extension Tensor {
  /// A loss that is one sum over the elements of scores and truth, with one pass forward and one backward.
  ///
  /// - Parameters:
  ///   - formula: the same in differentiable operations, of scores and truth.
  /// - Returns: nil where the kernels do not apply, or a loss for each element is wanted.
  func fusedLoss(
    _ name: String, _ target: Tensor, _ reduction: LossReduction, _ sums: [BinarySumsKernel],
    _ gradient: [BinaryGradientKernel], _ settings: BinaryLossSettings = BinaryLossSettings(),
    formula: @escaping (Tensor, Tensor) throws -> Tensor
  ) throws -> Tensor? {
    guard reduction == .mean || reduction == .sum, let pair = LossPair(self, target) else { return nil }
    let lane = dtype.lane.rawValue
    let divisor = reduction == .mean ? Double(count) : 1
    let total = try pair.sums(sums[lane], 1, settings)[0]
    let out = try Tensor.full([], .float(total / divisor), dtype: dtype)
    return try out.recorded(name, self, saving: [self, target]) { context in
      let (x, y) = (try context.saved(0), try context.saved(1))
      if context.createsGraph {
        return try context.gradients(
          ofFormula: { linked in
            guard let x = linked[0] else { throw SwiftNetError.runtime("\(name): input missing") }
            return try formula(x, y)
          }, [x])
      }
      var settings = settings
      settings.entropy = try context.grad.item().double / divisor
      guard let pair = LossPair(x, y) else { throw SwiftNetError.runtime("\(name): scores and target have changed") }
      return [try pair.gradient(gradient[lane]) { _ in settings }]
    }
  }
}
