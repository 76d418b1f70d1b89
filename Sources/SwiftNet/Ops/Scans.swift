#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Running sums, products and extrema along a dimension.
extension Tensor {
  /// The dimension in reverse order, as a copy.
  func reversed(_ d: Int) throws -> Tensor {
    if rank == 0 || shape[d] < 2 { return self }
    var strides = self.strides
    strides[d] = -strides[d]
    let out = try Tensor(empty: shape, dtype: dtype)
    try copyElements(
      from: try alias(strides: strides, offset: offset + (shape[d] - 1) * self.strides[d]), to: out)
    return try out.recorded("Flip", self) { [try $0.grad.reversed(d)] }
  }

  /// Calls `body(line, out)` for every line along `d`, with lane values in a row; not recorded.
  private func mapLines(
    _ d: Int, lane: Lane, to result: DType,
    _ body: @escaping (UnsafeRawPointer, UnsafeMutableRawPointer, Int) -> Void
  ) throws -> Tensor {
    try noGrad {
      let wide = try to(lane.dtype)
      let lines = try (rank == 0 ? wide : wide.transpose(d, -1)).contiguous()
      let out = try Tensor(empty: lines.shape, dtype: lane.dtype)
      let n = rank == 0 ? 1 : shape[d]
      let (source, target) = (try lines.pointer(), try out.mutablePointer())
      let bytes = n * lane.size
      if n > 0 {
        parallelFor(count / n, grain: max(1, 8192 / n)) { start, end in
          for line in start..<end { body(source + line &* bytes, target + line &* bytes, n) }
        }
      }
      let turned = try rank == 0 ? out : out.transpose(d, -1)
      return try turned.to(result).contiguous()
    }
  }

  /// Σ x[0...i] along a dimension. Integers and bool sum as int64.
  public func cumsum(_ dim: Int, dtype: DType? = nil) throws -> Tensor {
    let result = dtype ?? (self.dtype.isFloatingPoint ? self.dtype : .int64)
    let d = try Shape.dimension(dim, rank: rank)
    if result != self.dtype { return try to(result).cumsum(d, dtype: result) }
    let kernel = kernels.reduce.cumsum[result.lane.rawValue]
    let out = try mapLines(d, lane: result.lane, to: result) { from, to, n in
      var carry: Int64 = 0
      kernel(from, to, n, &carry)
    }
    return try out.recorded("Cumsum", self) { [try $0.grad.reversed(d).cumsum(d).reversed(d)] }
  }

  /// Π x[0...i] along a dimension. Integers and bool multiply as int64.
  public func cumprod(_ dim: Int, dtype: DType? = nil) throws -> Tensor {
    let result = dtype ?? (self.dtype.isFloatingPoint ? self.dtype : .int64)
    let d = try Shape.dimension(dim, rank: rank)
    if result != self.dtype { return try to(result).cumprod(d, dtype: result) }
    let kernel = kernels.reduce.cumprod[result.lane.rawValue]
    let isInteger = result.lane == .i64
    let out = try mapLines(d, lane: result.lane, to: result) { from, to, n in
      var carry: Int64 = isInteger ? 1 : Int64(bitPattern: (1.0).bitPattern)
      kernel(from, to, n, &carry)
    }
    return try out.recorded("Cumprod", self, saving: [self, out]) { context in
      let x = try context.saved(0)
      let grad = try context.grad
      let hasZero = try noGrad { try Binary.apply(.eq, .tensor(x), .scalar(0)).any().item() }
      if hasZero.isZero {
        return [try (grad * context.saved(1)).reversed(d).cumsum(d).reversed(d) / x]
      }
      return [try x.cumprodGradient(grad, d)]
    }
  }

  /// The gradient of cumprod without division, for lines with zeros: for each place k the products that leave x[k]
  /// out, Π x[..<k] · cumprod(x[(k+1)...]) with 1 in front, weighted by the gradient from k on.
  private func cumprodGradient(_ grad: Tensor, _ d: Int) throws -> Tensor {
    if rank == 0 { return grad }
    let n = shape[d]
    var before = try Tensor.ones(narrow(d, 0, 1).shape, dtype: dtype)
    let one = before
    var parts: [Tensor] = []
    for k in 0..<n {
      let rest = k + 1 < n ? try Tensor.cat([one, narrow(d, k + 1, n - k - 1).cumprod(d)], d) : one
      parts.append(try (grad.narrow(d, k, n - k) * rest).sum([d], keepdim: true) * before)
      before = try before * narrow(d, k, 1)
    }
    return try Tensor.cat(parts, d)
  }

  /// ln Σ exp(x[0...i]) along a dimension.
  public func logcumsumexp(_ dim: Int) throws -> Tensor {
    let d = try Shape.dimension(dim, rank: rank)
    try require(
      dtype.isFloatingPoint, .notImplemented,
      "\"logcumsumexp_out_cpu\" not implemented for '\(dtype.scalarTypeName)'")
    let out = try mapLines(d, lane: .f64, to: dtype) { from, to, n in
      let x = from.assumingMemoryBound(to: Double.self)
      let y = to.assumingMemoryBound(to: Double.self)
      // Σ exp(x - top), rescaled whenever the top rises.
      var top = -Double.infinity
      var sum = 0.0
      for i in 0..<n {
        let value = x[i]
        if value > top {
          sum = top == -.infinity ? 1 : sum * exp(top - value) + 1
          top = value
        } else if value == top {
          sum += top == -.infinity ? 0 : 1
        } else {
          sum += exp(value - top)
        }
        y[i] = value.isNaN || sum.isNaN ? .nan : (sum == 0 ? -.infinity : top + log(sum))
        if y[i].isNaN { sum = .nan }
      }
    }
    return try out.recorded("Logcumsumexp", self, saving: [self, out]) { context in
      let (x, y, grad) = (try context.saved(0), try context.saved(1), try context.grad)
      // Both signs of the gradient in logarithms, so that nothing overflows.
      func half(_ part: Tensor) throws -> Tensor {
        let positive = try Binary.apply(.gt, .tensor(part), .scalar(0))
        let safe = try whereSelect(positive, .tensor(part), .scalar(1.0))
        let logs = try whereSelect(positive, .tensor(safe.unary(.log) - y), .scalar(.float(-.infinity)))
        return try (logs.reversed(d).logcumsumexp(d).reversed(d) + x).unary(.exp)
      }
      return [try half(grad) - half(grad.negated())]
    }
  }

  /// The largest elements up to each place, and where they stand (the last of equal ones).
  public func cummax(_ dim: Int) throws -> (values: Tensor, indices: Tensor) {
    try runningExtremum(dim, "Cummax") {
      $0 >= $1
    } integer: {
      $0 >= $1
    }
  }

  /// The smallest elements up to each place, and where they stand (the last of equal ones).
  public func cummin(_ dim: Int) throws -> (values: Tensor, indices: Tensor) {
    try runningExtremum(dim, "Cummin") {
      $0 <= $1
    } integer: {
      $0 <= $1
    }
  }

  private func runningExtremum(
    _ dim: Int, _ name: String, float: @escaping (Double, Double) -> Bool,
    integer: @escaping (Int64, Int64) -> Bool
  ) throws -> (Tensor, Tensor) {
    let d = try Shape.dimension(dim, rank: rank)
    let lane: Lane = dtype.isFloatingPoint ? .f64 : .i64
    let indices = try mapLines(d, lane: lane, to: .int64) { from, to, n in
      var best = 0
      if lane == .i64 {
        let x = from.assumingMemoryBound(to: Int64.self)
        let places = to.assumingMemoryBound(to: Int64.self)
        for i in 0..<n {
          if integer(x[i], x[best]) { best = i }
          places[i] = Int64(best)
        }
      } else {
        let x = from.assumingMemoryBound(to: Double.self)
        let places = to.assumingMemoryBound(to: Double.self)
        for i in 0..<n {
          if x[i].isNaN || (!x[best].isNaN && float(x[i], x[best])) { best = i }
          places[i] = Double(best)
        }
      }
    }
    let values = try noGrad { try picked(d, indices) }
    let n = rank == 0 ? 1 : shape[d]
    try recordOutputs(name, [self], [values], saving: [indices]) {
      [try $0.grad.deposited(d, try $0.saved(0), size: n)]
    }
    return (values, indices)
  }

  /// Differences of neighbours along a dimension, n times.
  public func diff(_ n: Int = 1, _ dim: Int = -1, prepend: Tensor? = nil, append: Tensor? = nil) throws
    -> Tensor
  {
    try require(rank > 0, "diff expects input to be at least one-dimensional")
    let d = try Shape.dimension(dim, rank: rank)
    try require(n >= 0, "order must be non-negative but got \(n)")
    for part in [prepend, append] {
      if let part {
        try require(
          part.rank == rank, "diff expects prepend or append to be the same dimension as input")
      }
    }
    var x = self
    if n == 0 { return self }
    if prepend != nil || append != nil { x = try Tensor.cat([prepend, x, append].compactMap { $0 }, d) }
    for _ in 0..<min(n, x.shape[d] + 1) {
      let length = x.shape[d]
      if length == 0 { return x }
      let (later, earlier) = (try x.narrow(d, 1, length - 1), try x.narrow(d, 0, length - 1))
      x =
        dtype == .bool ? try Binary.apply(.logicalXor, .tensor(later), .tensor(earlier)) : try later - earlier
    }
    return x
  }

  /// The integral along a dimension by the trapezoid rule, over positions x or a constant step.
  public func trapezoid(x: Tensor? = nil, dx: Scalar = 1, dim: Int = -1, cumulative: Bool = false) throws
    -> Tensor
  {
    let d = try Shape.dimension(dim, rank: rank)
    let length = rank == 0 ? 1 : shape[d]
    if length < 2 {
      var target = shape
      if cumulative, rank > 0 { target[d] = 0 } else if rank > 0 { target.remove(at: d) }
      return try Tensor.zeros(target, dtype: dtype.isFloatingPoint ? dtype : TypePromotion.defaultDType)
    }
    let sums = try narrow(d, 1, length - 1) + narrow(d, 0, length - 1)
    var areas: Tensor
    if let x {
      var steps = try x.diff(1, x.rank == 1 ? 0 : dim)
      if x.rank == 1 {
        try require(
          x.shape[0] == length,
          "trapezoid: There must be one `x` value for each sample point, got \(x.shape[0]) for \(length)")
        var aligned = [Int](repeating: 1, count: rank)
        aligned[d] = length - 1
        steps = try steps.reshape(aligned)
      }
      areas = try sums * steps / 2.0
    } else {
      areas = try sums * .float(dx.double / 2)
    }
    if cumulative { return try areas.cumsum(d) }
    return try areas.sum([d])
  }
}
