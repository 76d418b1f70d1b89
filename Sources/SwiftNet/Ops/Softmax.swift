/// Softmax and its logarithm along a dimension.
extension Tensor {
  /// exp(x) / Σ exp(x) along a dimension, computed in `dtype` if that is given.
  public func softmax(_ dim: Int, dtype: DType? = nil) throws -> Tensor {
    try softmax(dim, dtype, isLog: false)
  }

  /// ln(softmax(x)) along a dimension.
  public func logSoftmax(_ dim: Int, dtype: DType? = nil) throws -> Tensor {
    try softmax(dim, dtype, isLog: true)
  }

  private func softmax(_ dim: Int, _ dtype: DType?, isLog: Bool) throws -> Tensor {
    let x = try dtype.map { try to($0) } ?? self
    let d = try Shape.dimension(dim, rank: rank)
    try require(
      x.dtype.isFloatingPoint, .notImplemented,
      "\"\(isLog ? "log_softmax" : "softmax")_lastdim_kernel_impl\" not implemented for '\(x.dtype.scalarTypeName)'")
    if x.dtype.lane.dtype != x.dtype {
      return try x.to(.float32).softmax(d, nil, isLog: isLog).to(x.dtype)
    }
    let out = try x.softmaxForward(d, isLog: isLog)
    return try out.recorded(isLog ? "LogSoftmax" : "Softmax", x, saving: [out]) { context in
      let (grad, y) = (try context.grad, try context.saved(0))
      if !ThreadState.current.isGradEnabled { return [try y.softmaxBackward(grad, d, isLog: isLog)] }
      let dims = y.rank == 0 ? nil : [d]
      if isLog { return [try grad - y.unary(.exp) * grad.sum(dims, keepdim: true)] }
      return [try y * (grad - (grad * y).sum(dims, keepdim: true))]
    }
  }

  /// How the lines along a dimension lie in memory.
  private enum Lines {
    /// Each is a run of adjacent elements.
    case rows
    /// The tensor is row-major; the elements of a line lie `inner` apart.
    case columns(inner: Int)
  }

  private func lines(_ d: Int) -> Lines? {
    if rank == 0 { return .rows }
    // Any dense order will do for the lines among each other: the result keeps it.
    if isDense, strides[d] == 1 || shape[d] == 1 { return .rows }
    if isContiguous { return .columns(inner: shape[(d + 1)...].reduce(1, *)) }
    return nil
  }

  private func softmaxForward(_ d: Int, isLog: Bool) throws -> Tensor {
    if count == 0 { return try Tensor(empty: shape, dtype: dtype) }
    guard let lines = lines(d) else { return try noGrad { try contiguous().softmaxForward(d, isLog: isLog) } }
    let out = try Tensor(empty: shape, dtype: dtype, strides: strides)
    let n = rank == 0 ? 1 : shape[d]
    let lane = dtype.lane.rawValue
    let size = dtype.size
    let (x, y) = (try pointer(), try out.mutablePointer())
    switch lines {
    case .rows:
      let kernel = isLog ? kernels.softmax.logRows[lane] : kernels.softmax.rows[lane]
      parallelFor(count / n, grain: max(1, (1 << 15) / n)) { start, end in
        kernel(x + start * n * size, y + start * n * size, MatrixShape(rows: end - start, columns: n))
      }
    case .columns(let inner):
      let kernel = isLog ? kernels.softmax.logColumns[lane] : kernels.softmax.columns[lane]
      forEachColumnBlock(outer: count / (n * inner), n, inner) { at, columns in
        kernel(x + at * size, y + at * size, n, inner, columns)
      }
    }
    return out
  }

  /// The gradient of softmax's input; this is softmax's result.
  private func softmaxBackward(_ grad: Tensor, _ d: Int, isLog: Bool) throws -> Tensor {
    if count == 0 { return grad }
    let out = try Tensor(empty: shape, dtype: dtype, strides: strides)
    var g = grad
    if g.strides != strides {
      g = try Tensor(empty: shape, dtype: dtype, strides: strides)
      try copyElements(from: grad, to: g)
    }
    guard let lines = lines(d) else {
      throw SwiftNetError.runtime("softmax backward: unexpected memory layout")
    }
    let n = rank == 0 ? 1 : shape[d]
    let lane = dtype.lane.rawValue
    let size = dtype.size
    let (y, dy, dx) = (try pointer(), try g.pointer(), try out.mutablePointer())
    switch lines {
    case .rows:
      let kernel = isLog ? kernels.softmax.logRowsGradient[lane] : kernels.softmax.rowsGradient[lane]
      parallelFor(count / n, grain: max(1, 8192 / n)) { start, end in
        let at = start * n * size
        kernel(dy + at, y + at, dx + at, MatrixShape(rows: end - start, columns: n))
      }
    case .columns(let inner):
      let kernel = isLog ? kernels.softmax.logColumnsGradient[lane] : kernels.softmax.columnsGradient[lane]
      forEachColumnBlock(outer: count / (n * inner), n, inner) { at, columns in
        kernel(dy + at * size, y + at * size, dx + at * size, n, inner, columns)
      }
    }
    return out
  }

  /// Softmax of -x.
  public func softmin(_ dim: Int, dtype: DType? = nil) throws -> Tensor {
    try (dtype.map { try to($0) } ?? self).negated().softmax(dim)
  }

  /// A differentiable sample of a categorical distribution (Jang et al., 2017, https://arxiv.org/abs/1611.01144):
  /// softmax((logits + Gumbel noise) / tau). `hard` gives one-hot samples whose gradient is the soft one's.
  public func gumbelSoftmax(
    tau: Double = 1, hard: Bool = false, dim: Int = -1, generator: Generator = .shared
  ) throws -> Tensor {
    let d = try Shape.dimension(dim, rank: rank)
    try require(
      dtype.isFloatingPoint, .notImplemented, "gumbel_softmax not implemented for '\(dtype.scalarTypeName)'")
    let noise = try Tensor(empty: shape, dtype: dtype)
    generator.exponential(try noise.mutablePointer(), count: noise.count, dtype: dtype)
    let gumbels = try noGrad { try noise.unary(.log).negated() }
    let soft = try ((self + gumbels) / .float(tau)).softmax(d)
    guard hard else { return soft }
    let oneHot = try noGrad { () -> Tensor in
      let detached = try soft.detach()
      let best = try detached.amax(rank == 0 ? nil : [d], keepdim: true)
      return try Binary.apply(.eq, .tensor(detached), .tensor(best)).to(dtype)
    }
    return try oneHot - soft.detach() + soft
  }
}

/// Calls `body(first element, columns)` for blocks of neighbouring columns of `outer` stacked n × inner matrices.
private func forEachColumnBlock(outer: Int, _ n: Int, _ inner: Int, _ body: (Int, Int) -> Void) {
  let width = 64
  let blocks = (inner + width - 1) / width
  parallelFor(outer * blocks, grain: max(1, 8192 / (n * width))) { start, end in
    for item in start..<end {
      let column = item % blocks * width
      body(item / blocks * n * inner + column, min(width, inner - column))
    }
  }
}
