/// Reductions: each op's rule, forward and backward.
extension Tensor {
  /// A gradient of a reduction, back in the shape of the input.
  static func expandReduced(_ gradient: Tensor, _ shape: [Int], _ mask: [Bool], keepdim: Bool) throws
    -> Tensor
  {
    var gradient = gradient
    if !keepdim {
      for d in shape.indices where mask[d] { gradient = try gradient.unsqueeze(d) }
    }
    return try gradient.expand(shape)
  }

  /// Σ a. Integers and bool sum as int64.
  public func sum(_ dims: [Int]? = nil, keepdim: Bool = false, dtype: DType? = nil) throws -> Tensor {
    if dims?.isEmpty ?? true, dtype == nil, !keepdim, let total = try sumOfFew() {
      let out = try Tensor(number: total, dtype: self.dtype)
      let shape = self.shape
      return try out.recorded("Sum", self) { [try $0.grad.expand(shape)] }
    }
    let result = dtype ?? (self.dtype.isFloatingPoint ? self.dtype : .int64)
    if result.lane == .i64 ? self.dtype.lane != .i64 : false {
      return try to(result).sum(dims, keepdim: keepdim, dtype: result)
    }
    let mask = try reductionMask(dims)
    let lane: Lane =
      result.lane == .i64 ? .i64 : (result == .float64 && self.dtype != .float32 ? .f64 : floatLane)
    let out = try reduce(.sum, mask, keepdim: keepdim, lane: lane).tensor(result)
    let shape = self.shape
    return try out.recorded("Sum", self) {
      [try Tensor.expandReduced(try $0.grad, shape, mask, keepdim: keepdim)]
    }
  }

  /// The sum of a dense tensor of few floats: the same as the engine's, without its preparations.
  private func sumOfFew() throws -> Double? {
    guard dtype == .float32 || dtype == .float64, count < Deferral.threshold, isDense,
      let kernel = kernels.reduce[row: .sum, dtype.lane]
    else { return nil }
    var total: Int64 = 0
    kernel(try pointer(), count, &total, 0)
    withExtendedLifetime(self) {}
    return Double(bitPattern: UInt64(bitPattern: total))
  }

  /// A tensor of no dimensions.
  private convenience init(number: Double, dtype: DType) throws {
    let storage = try Storage(byteCount: dtype.size)
    self.init(storage: storage, dtype: dtype, shape: [], strides: [], offset: 0, count: 1)
    let target = try storage.pointer
    if dtype == .float32 {
      target.storeBytes(of: Float(number), as: Float.self)
    } else {
      target.storeBytes(of: number, as: Double.self)
    }
  }

  /// The floating lane that holds this tensor's values.
  var floatLane: Lane { dtype == .float64 || !dtype.isFloatingPoint ? .f64 : .f32 }

  /// Sums over the dimensions along which `shape` was broadcast to this tensor's.
  func sum(to target: [Int]) throws -> Tensor {
    if shape == target { return self }
    let lead = rank - target.count
    var dims = Array(0..<lead)
    for d in target.indices where target[d] == 1 && shape[lead + d] != 1 { dims.append(lead + d) }
    let reduced = dims.isEmpty ? self : try sum(dims, keepdim: true)
    return try reduced.reshape(target)
  }

  /// Σ a / n.
  public func mean(_ dims: [Int]? = nil, keepdim: Bool = false, dtype: DType? = nil) throws -> Tensor {
    let result = dtype ?? self.dtype
    try require(
      result.isFloatingPoint,
      "mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. Got: "
        + result.scalarTypeName)
    if dims?.isEmpty ?? true, dtype == nil, !keepdim, let total = try sumOfFew() {
      let n = Double(count)
      let out = try Tensor(number: total / n, dtype: self.dtype)
      let shape = self.shape
      return try out.recorded("Mean", self) { [try ($0.grad * .float(1 / n)).expand(shape)] }
    }
    let mask = try reductionMask(dims)
    var reduced = try reduce(.sum, mask, keepdim: keepdim, lane: floatLane)
    let n = Double(reduced.elements)
    reduced.map { $0 / n }
    let shape = self.shape
    return try reduced.tensor(result).recorded("Mean", self) {
      [try Tensor.expandReduced(try $0.grad * .float(1 / n), shape, mask, keepdim: keepdim)]
    }
  }

  /// Π a.
  public func prod(_ dims: [Int]? = nil, keepdim: Bool = false, dtype: DType? = nil) throws -> Tensor {
    if let out = try autocast(.float32, [self], { try $0[0].prod(dims, keepdim: keepdim, dtype: dtype) }) { return out }
    let result = dtype ?? (self.dtype.isFloatingPoint ? self.dtype : .int64)
    if result != self.dtype, !(result == .int64 && self.dtype.lane == .i64) {
      return try to(result).prod(dims, keepdim: keepdim, dtype: result)
    }
    let mask = try reductionMask(dims)
    let out = try reduce(.prod, mask, keepdim: keepdim).tensor(result)
    return try out.recorded("Prod", self, saving: [self, out]) { context in
      let x = try context.saved(0)
      let grad = try Tensor.expandReduced(try context.grad, x.shape, mask, keepdim: keepdim)
      // The product of all other factors: out / x, unless factors are zero.
      let zeros = try Binary.apply(.eq, .tensor(x), .scalar(0))
      if try !zeros.any().item().isZero || context.createsGraph {
        return [try grad * x.productOfOthers(mask)]
      }
      return [try grad * Tensor.expandReduced(try context.saved(1), x.shape, mask, keepdim: keepdim) / x]
    }
  }

  /// For each element the product of the others that share its place in the reduction, without division.
  private func productOfOthers(_ mask: [Bool]) throws -> Tensor {
    let reducedDims = shape.indices.filter { mask[$0] }
    let keptDims = shape.indices.filter { !mask[$0] }
    let order = keptDims + reducedDims
    let rows = keptDims.reduce(1) { $0 * shape[$1] }
    let n = reducedDims.reduce(1) { $0 * shape[$1] }
    let flat = try permute(order).reshape([rows, n])
    // Exclusive running products from both ends; recursive halving keeps it differentiable.
    let others = try Tensor.exclusiveProducts(flat)
    var inverse = order
    for (position, d) in order.enumerated() { inverse[d] = position }
    return try others.reshape(order.map { shape[$0] }).permute(inverse)
  }

  private static func exclusiveProducts(_ rows: Tensor) throws -> Tensor {
    let n = rows.shape[1]
    if n <= 1 { return try Tensor.ones(rows.shape, dtype: rows.dtype) }
    let half = n / 2
    let left = try rows.narrow(1, 0, half)
    let right = try rows.narrow(1, half, n - half)
    return try Tensor.cat(
      [
        try exclusiveProducts(left) * right.prod([1], keepdim: true),
        try exclusiveProducts(right) * left.prod([1], keepdim: true),
      ], 1)
  }

  /// The largest elements; the gradient is shared equally among equal ones.
  public func amax(_ dims: [Int]? = nil, keepdim: Bool = false) throws -> Tensor {
    try extremum(.max, "amax", dims, keepdim: keepdim)
  }

  /// The smallest elements; the gradient is shared equally among equal ones.
  public func amin(_ dims: [Int]? = nil, keepdim: Bool = false) throws -> Tensor {
    try extremum(.min, "amin", dims, keepdim: keepdim)
  }

  func extremum(_ op: ReduceOp, _ name: String, _ dims: [Int]?, keepdim: Bool) throws -> Tensor {
    let mask = try reductionMask(dims)
    try checkNotEmpty(name, mask, hasDims: !(dims ?? []).isEmpty)
    let out = try reduce(op, mask, keepdim: keepdim).tensor(dtype)
    return try out.recorded(capitalized(name), self, saving: [self, out]) { context in
      let x = try context.saved(0)
      let best = try Tensor.expandReduced(try context.saved(1), x.shape, mask, keepdim: keepdim)
      let chosen = try Binary.apply(.eq, .tensor(x), .tensor(best)).to(x.dtype)
      let dims = mask.indices.filter { mask[$0] }
      let share = try chosen / (dims.isEmpty ? chosen : chosen.sum(dims, keepdim: true))
      return [try Tensor.expandReduced(try context.grad, x.shape, mask, keepdim: keepdim) * share]
    }
  }

  func checkNotEmpty(_ name: String, _ mask: [Bool], hasDims: Bool) throws {
    guard count == 0 else { return }
    try require(
      hasDims,
      "\(name)(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the "
        + "'dim' argument.")
    for d in shape.indices where mask[d] {
      try require(
        shape[d] != 0, .index, "\(name)(): Expected reduction dim \(d) to have non-zero size.")
    }
  }

  /// Whether any element is nonzero.
  public func any(_ dims: [Int]? = nil, keepdim: Bool = false) throws -> Tensor {
    try reduce(.any, try reductionMask(dims), keepdim: keepdim).tensor(dtype == .uint8 ? .uint8 : .bool)
  }

  /// Whether all elements are nonzero.
  public func all(_ dims: [Int]? = nil, keepdim: Bool = false) throws -> Tensor {
    try reduce(.all, try reductionMask(dims), keepdim: keepdim).tensor(dtype == .uint8 ? .uint8 : .bool)
  }

  public func countNonzero(_ dims: [Int]? = nil) throws -> Tensor {
    let reduced = try reduce(.countNonzero, try reductionMask(dims), keepdim: false)
    return try reduced.tensor(.int64)
  }

  /// Σ (a - mean)² / (n - correction).
  public func variance(_ dims: [Int]? = nil, correction: Double = 1, keepdim: Bool = false) throws -> Tensor {
    try require(dtype.isFloatingPoint, "std and var only support floating point and complex dtypes")
    let mask = try reductionMask(dims)
    var means = try reduce(.sum, mask, keepdim: keepdim)
    let n = Double(means.elements)
    means.map { $0 / n }
    var reduced = try reduce(.sumSquaredDeviations, mask, keepdim: keepdim, parameters: means.doubles)
    let divisor = max(0, n - correction)
    reduced.map { $0 / divisor }
    let out = try reduced.tensor(dtype)
    return try out.recorded("Var", self, saving: [self]) { context in
      let x = try context.saved(0)
      let dims = mask.indices.filter { mask[$0] }
      let centred = dims.isEmpty ? try x * 0.0 : try x - x.mean(dims, keepdim: true)
      let grad = try Tensor.expandReduced(try context.grad, x.shape, mask, keepdim: keepdim)
      return [try grad * centred * .float(2 / divisor)]
    }
  }

  /// The square root of the variance.
  public func standardDeviation(_ dims: [Int]? = nil, correction: Double = 1, keepdim: Bool = false) throws
    -> Tensor
  {
    let variance = try noGrad { try self.variance(dims, correction: correction, keepdim: keepdim) }
    let out = try noGrad { try variance.unary(.sqrt) }
    let mask = try reductionMask(dims)
    let n = Double(try Shape.count(shape.indices.filter { mask[$0] }.map { shape[$0] }))
    return try out.recorded("Std", self, saving: [self, out]) { context in
      let x = try context.saved(0)
      let dims = mask.indices.filter { mask[$0] }
      let centred = dims.isEmpty ? try x * 0.0 : try x - x.mean(dims, keepdim: true)
      let out = try context.saved(1)
      let zero = try Binary.apply(.eq, .tensor(out), .scalar(0))
      let scaled = try whereSelect(
        zero, .scalar(0.0), .tensor(try context.grad / (out * .float(max(0, n - correction)))))
      return [try Tensor.expandReduced(scaled, x.shape, mask, keepdim: keepdim) * centred]
    }
  }
}
