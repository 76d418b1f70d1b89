/// Searching sorted values, membership, counting.
extension Tensor {
  /// This tensor's elements as doubles or as int64, whichever holds them exactly.
  fileprivate func exact(_ lane: Lane) throws -> Tensor {
    try noGrad { try to(lane == .i64 ? .int64 : .float64).contiguous() }
  }

  /// For each value the position in the sorted last dimension of this tensor before which it belongs: the first
  /// such place, or with `right` the last. This tensor has one dimension, or the leading sizes of `values`.
  ///
  /// - Parameter sorter: positions that sort this tensor, if it is not sorted.
  public func searchsorted(_ values: Tensor, right: Bool = false, sorter: Tensor? = nil) throws -> Tensor {
    try require(rank > 0, "boundaries tensor should have positive dimension, but got 0 dimension")
    try require(
      rank == 1 || (values.rank == rank && Array(shape.dropLast()) == Array(values.shape.dropLast())),
      "boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor and input value tensor "
        + "must match, but we got boundaries tensor \(Shape.describe(shape)) and input value tensor "
        + Shape.describe(values.shape))
    var sorted = self
    if let sorter {
      try require(
        sorter.shape == shape,
        "torch.searchsorted(): boundary and sorter must have the same size, but got boundary tensor "
          + "\(Shape.describe(shape)) and got sorter tensor \(Shape.describe(sorter.shape))")
      try require(
        sorter.dtype == .int64,
        "torch.searchsorted(): sorter must be a tensor of long dtype but got dtype \(sorter.dtype.scalarTypeName)"
      )
      do {
        sorted = try noGrad { try gather(-1, sorter) }
      } catch {
        throw SwiftNetError.runtime("torch.searchsorted(): sorter index out of range")
      }
    }
    let lane: Lane = dtype.isFloatingPoint || values.dtype.isFloatingPoint ? .f64 : .i64
    let bounds = try sorted.exact(lane)
    let wanted = try values.exact(lane)
    let result = try Tensor(empty: values.shape, dtype: .int64)
    let n = shape[rank - 1]
    let perRow = rank == 1 ? values.count : (values.shape.last ?? 1)
    let sharesRow = rank == 1
    func run<T: Comparable>(_ type: T.Type, _ isLess: (T, T) -> Bool) throws {
      let edges = try bounds.pointer().assumingMemoryBound(to: T.self)
      let from = try wanted.pointer().assumingMemoryBound(to: T.self)
      let out = try result.mutablePointer().assumingMemoryBound(to: Int64.self)
      parallelFor(wanted.count, grain: 1 << 12) { start, end in
        for i in start..<end {
          let row = sharesRow ? edges : edges + i / perRow * n
          out[i] = Int64(Tensor.place(from[i], row, n, right: right, isLess))
        }
      }
    }
    if lane == .i64 {
      try run(Int64.self) { $0 < $1 }
    } else {
      // NaN counts as larger than everything.
      try run(Double.self) { $0 < $1 || ($1 != $1 && $0 == $0) }
    }
    withExtendedLifetime((bounds, wanted)) {}
    return result
  }

  @inline(__always)
  private static func place<T>(
    _ value: T, _ sorted: UnsafePointer<T>, _ n: Int, right: Bool, _ isLess: (T, T) -> Bool
  ) -> Int {
    var low = 0
    var high = n
    while low < high {
      let middle = (low + high) / 2
      let goesRight = right ? !isLess(value, sorted[middle]) : isLess(sorted[middle], value)
      if goesRight { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// Whether each element is among the test elements.
  public func isin(_ test: Tensor, invert: Bool = false) throws -> Tensor {
    let lane: Lane = dtype.isFloatingPoint || test.dtype.isFloatingPoint ? .f64 : .i64
    let wanted = try exact(lane)
    let (sorted, _) = try noGrad { try test.exact(lane).reshape([test.count]).sort(0) }
    let result = try Tensor(empty: shape, dtype: .bool)
    let out = try result.mutablePointer().assumingMemoryBound(to: UInt8.self)
    let n = test.count
    func run<T: Comparable>(_ type: T.Type) throws {
      let edges = try sorted.pointer().assumingMemoryBound(to: T.self)
      let from = try wanted.pointer().assumingMemoryBound(to: T.self)
      parallelFor(wanted.count, grain: 1 << 12) { start, end in
        for i in start..<end {
          let place = Tensor.place(from[i], edges, n, right: false) { $0 < $1 }
          let found = place < n && edges[place] == from[i]
          out[i] = found != invert ? 1 : 0
        }
      }
    }
    if lane == .i64 { try run(Int64.self) } else { try run(Double.self) }
    withExtendedLifetime((sorted, wanted)) {}
    return result
  }

  /// How often each of 0, 1, 2, … occurs, or the sum of the weights there.
  public func bincount(weights: Tensor? = nil, minLength: Int = 0) throws -> Tensor {
    try require(minLength >= 0, "minlength should be >= 0")
    try require(
      dtype.isIntegral, .notImplemented, "\"bincount_cpu\" not implemented for '\(dtype.scalarTypeName)'")
    let values = try exact(.i64)
    let from = try values.pointer().assumingMemoryBound(to: Int64.self)
    var largest: Int64 = -1
    var smallest: Int64 = 0
    for i in 0..<values.count {
      largest = max(largest, from[i])
      smallest = min(smallest, from[i])
    }
    try require(rank == 1 && smallest >= 0, "bincount only supports 1-d non-negative integral inputs.")
    try require(largest < Int64(Int.max / 16), .memory, "bincount of values up to \(largest) is too large")
    let length = max(Int(largest) + 1, minLength)
    guard let weights else {
      let result = try Tensor.zeros([length], dtype: .int64)
      let counts = try result.mutablePointer().assumingMemoryBound(to: Int64.self)
      for i in 0..<values.count { counts[Int(from[i])] += 1 }
      return result
    }
    try require(weights.shape == shape, "weights should be 1-d and have the same length as input")
    let result = try Tensor.zeros([length], dtype: .float64)
    let sums = try result.mutablePointer().assumingMemoryBound(to: Double.self)
    let given = try weights.exact(.f64)
    let weight = try given.pointer().assumingMemoryBound(to: Double.self)
    for i in 0..<values.count { sums[Int(from[i])] += weight[i] }
    withExtendedLifetime((values, given)) {}
    return try result.to(weights.dtype == .float32 ? .float32 : .float64)
  }

  /// Counts of the elements in `bins` intervals of equal width from `low` to `high` (both equal: the smallest and
  /// largest element). Elements outside are left out.
  public func histc(bins: Int = 100, low: Double = 0, high: Double = 0) throws -> Tensor {
    try require(
      dtype.isFloatingPoint, .notImplemented,
      "\"histogram_cpu\" not implemented for '\(dtype.scalarTypeName)'")
    try require(bins > 0, "torch.histogram(): bins must be > 0, but got \(bins)")
    let values = try exact(.f64)
    let from = try values.pointer().assumingMemoryBound(to: Double.self)
    var (low, high) = (low, high)
    if low == high, count > 0 {
      low = .infinity
      high = -.infinity
      for i in 0..<count {
        low = from[i].isNaN ? .nan : Swift.min(low, from[i])
        high = from[i].isNaN ? .nan : Swift.max(high, from[i])
        if from[i].isNaN { break }
      }
    }
    try require(low.isFinite && high.isFinite, "torch.histc: range of [\(low), \(high)] is not finite")
    if low == high {
      low -= 1
      high += 1
    }
    try require(low < high, "torch.histc: max must be larger than min")
    let result = try Tensor.zeros([bins], dtype: .float64)
    let counts = try result.mutablePointer().assumingMemoryBound(to: Double.self)
    let scale = Double(bins) / (high - low)
    for i in 0..<count where from[i] >= low && from[i] <= high {
      counts[Swift.min(Int((from[i] - low) * scale), bins - 1)] += 1
    }
    withExtendedLifetime(values) {}
    return try result.to(dtype)
  }

  /// Rows of zeros with a one at the class that each element names.
  public func oneHot(classes: Int = -1) throws -> Tensor {
    try require(dtype == .int64, "one_hot is only applicable to index tensor of type LongTensor.")
    let values = try noGrad { try contiguous() }
    let from = try values.pointer().assumingMemoryBound(to: Int64.self)
    var largest: Int64 = -1
    if count == 0 {
      try require(classes > 0, "Can not infer total number of classes from empty tensor.")
    }
    for i in 0..<count {
      try require(from[i] >= 0, "Class values must be non-negative.")
      largest = Swift.max(largest, from[i])
    }
    var n = classes
    if classes == -1 {
      n = Int(largest) + 1
    } else {
      try require(classes > 0, "num_classes should be positive")
      try require(Int64(classes) > largest, "Class values must be smaller than num_classes.")
    }
    let result = try Tensor.zeros(shape + [n], dtype: .int64)
    let out = try result.mutablePointer().assumingMemoryBound(to: Int64.self)
    for i in 0..<count { out[i * n + Int(from[i])] = 1 }
    withExtendedLifetime(values) {}
    return result
  }
}
