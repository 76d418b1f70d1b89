/// Distinct elements.
extension Tensor {
  /// Distinct values, for each element the position of its value among them, and how often each occurs.
  public typealias Distinct = (values: Tensor, inverse: Tensor, counts: Tensor)

  /// The distinct elements in order; along a dimension, the distinct slices in lexicographic order.
  public func unique(_ dim: Int? = nil) throws -> Distinct {
    if let dim { return try uniqueSlices(dim, sorted: true) }
    let flat = try noGrad { try detach().reshape([count]) }
    let order = try flat.argsort(0)
    let sorted = try noGrad { try flat.index([order]) }
    let runs = try sorted.runs(length: 1)
    return try distinct(flat, 0, order, runs, inverseShape: shape)
  }

  /// Each run of equal neighbours once; along a dimension, of equal slices.
  public func uniqueConsecutive(_ dim: Int? = nil) throws -> Distinct {
    if let dim { return try uniqueSlices(dim, sorted: false) }
    let flat = try noGrad { try detach().reshape([count]).contiguous() }
    let order = try Tensor.arange(0, .int(Int64(count)))
    return try distinct(flat, 0, order, try flat.runs(length: 1), inverseShape: shape)
  }

  private func uniqueSlices(_ dim: Int, sorted: Bool) throws -> Distinct {
    let d = try Shape.dimension(dim, rank: rank)
    if rank == 0 { return try sorted ? unique() : uniqueConsecutive() }
    let n = shape[d]
    try require(
      count > 0 || n == 0,
      "There are 0 sized dimensions, and they aren't selected, so unique cannot be applied")
    let slices = try noGrad { try detach().movedToFront(d).contiguous() }
    let length = n == 0 ? 0 : slices.count / n
    var order = try Tensor.arange(0, .int(Int64(n)))
    if sorted, length > 0 {
      // Sorting by the last element first, stably, leaves the slices in lexicographic order.
      let columns = try slices.reshape([n, length])
      for column in (0..<length).reversed() {
        let keys = try noGrad { try columns.select(1, column).index([order]) }
        order = try noGrad { try order.index([try keys.argsort(0)]) }
      }
    }
    let arranged = try noGrad { try slices.index([order]) }
    return try distinct(detach(), d, order, try arranged.runs(length: length), inverseShape: [n])
  }

  private func movedToFront(_ d: Int) throws -> Tensor {
    try permute([d] + shape.indices.filter { $0 != d })
  }

  /// Where rows of `length` elements differ from the row before: the start of each run.
  private func runs(length: Int) throws -> [Int] {
    let n = shape[0]
    if n == 0 { return [] }
    var starts = [0]
    // Comparing by value, so that -0 equals 0 and NaN differs from NaN.
    let same = try noGrad {
      try Binary.apply(.ne, .tensor(narrow(0, 1, n - 1)), .tensor(narrow(0, 0, n - 1)))
        .reshape([n - 1, length]).any([1])
    }
    let flags = try same.contiguous()
    let changed = try flags.pointer().assumingMemoryBound(to: UInt8.self)
    for i in 0..<n - 1 where changed[i] != 0 { starts.append(i + 1) }
    withExtendedLifetime(flags) {}
    return starts
  }

  private func distinct(_ source: Tensor, _ d: Int, _ order: Tensor, _ starts: [Int], inverseShape: [Int])
    throws
    -> Distinct
  {
    let n = order.count
    let positions = try order.pointer().assumingMemoryBound(to: Int64.self)
    let inverse = try Tensor(empty: inverseShape, dtype: .int64)
    let counts = try Tensor(empty: [starts.count], dtype: .int64)
    let firsts = try Tensor(empty: [starts.count], dtype: .int64)
    let inverseOut = try inverse.mutablePointer().assumingMemoryBound(to: Int64.self)
    let countsOut = try counts.mutablePointer().assumingMemoryBound(to: Int64.self)
    let firstsOut = try firsts.mutablePointer().assumingMemoryBound(to: Int64.self)
    for (run, start) in starts.enumerated() {
      let end = run + 1 < starts.count ? starts[run + 1] : n
      countsOut[run] = Int64(end - start)
      firstsOut[run] = positions[start]
      for i in start..<end { inverseOut[Int(positions[i])] = Int64(run) }
    }
    withExtendedLifetime(order) {}
    return (try noGrad { try source.indexSelect(d, firsts) }, inverse, counts)
  }
}
