/// How the rows of a bag become one.
public enum BagMode: Int32, Sendable {
  case sum = 0
  case mean
  case max
}

extension Tensor {
  /// Rows of this table (V, D) taken together bag by bag. PyTorch: `torch.nn.functional.embedding_bag`.
  ///
  /// - Parameters:
  ///   - indices: (B, n), a bag in each row; or (n) together with `offsets`.
  ///   - offsets: (B), where each bag starts; with `includesLast` one more, the end of the last bag.
  ///   - weights: of each index, for sums.
  ///   - padding: an index that does not count.
  public func embeddingBag(
    _ indices: Tensor, offsets: Tensor? = nil, mode: BagMode = .mean, weights: Tensor? = nil, padding: Int? = nil,
    maxNorm: Double? = nil, normType: Double = 2, scaleByFrequency: Bool = false, includesLast: Bool = false
  ) throws -> Tensor {
    try require(rank == 2, "'weight' must be 2-D")
    let starts: [Int]
    let flat: Tensor
    if indices.rank == 2 {
      try require(
        offsets == nil, .value,
        "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of "
          + "fixed length sequences. However, found offsets")
      flat = try indices.reshape([indices.count])
      starts = (0...indices.shape[0]).map { $0 * indices.shape[1] }
    } else if indices.rank == 1 {
      guard let offsets else { throw SwiftNetError.value("offsets has to be a 1D Tensor but got None") }
      try require(offsets.rank == 1, .value, "offsets has to be a 1D Tensor")
      try require(
        offsets.dtype == .int64 || offsets.dtype == .int32,
        "expected offsets of dtype Long or Int, got \(offsets.dtype.scalarTypeName)")
      let given = try noGrad { try offsets.doubles() }.map { Int(exactly: $0) ?? .min }
      try require(
        !includesLast || !given.isEmpty, "include_last_offset: number of offset should be at least 1")
      try require(
        given.first ?? 0 == 0,
        "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from "
          + "position 0. However, got \(given.first ?? 0)")
      try require(
        given.last ?? 0 <= indices.count,
        "offsets[-1] can not be greater than input's length \(indices.count). But got \(given.last ?? 0)")
      for i in given.indices.dropFirst() {
        try require(given[i] >= given[i - 1], "embedding_bag: offsets must not decrease")
      }
      flat = indices
      starts = includesLast ? given : given + [indices.count]
    } else {
      throw SwiftNetError.value("input has to be 1D or 2D Tensor, but got Tensor of dimension \(indices.rank)")
    }
    let bags = starts.count - 1
    let used = starts.last ?? 0
    let places = used < flat.count ? try flat.narrow(0, 0, used) : flat
    let skipped = padding.map { $0 < 0 ? $0 + shape[0] : $0 }
    var rows = try embedding(
      places, padding: skipped, maxNorm: maxNorm, normType: normType, scaleByFrequency: scaleByFrequency)
    let values = try noGrad { try places.to(.int64).contiguous() }
    let at = try values.pointer().assumingMemoryBound(to: Int64.self)
    let bagOf = try Tensor(empty: [used], dtype: .int64)
    let bag = try bagOf.mutablePointer().assumingMemoryBound(to: Int64.self)
    var counts = [Double](repeating: 0, count: bags)
    var counted = [Double](repeating: 1, count: used)
    for b in 0..<bags {
      for i in starts[b]..<starts[b + 1] {
        bag[i] = Int64(b)
        if let skipped, at[i] == Int64(skipped) { counted[i] = 0 } else { counts[b] += 1 }
      }
    }
    if mode == .max {
      try require(
        weights == nil, .notImplemented,
        "embedding_bag: per_sample_weights was not None. per_sample_weights is "
          + "only supported for mode='sum' (got mode='max'). Please open a feature request on GitHub.")
      return try rows.largestOfBags(starts, counted)
    }
    if let weights {
      try require(
        mode == .sum, .notImplemented,
        "embedding_bag: per_sample_weights was not None. per_sample_weights is only "
          + "supported for mode='sum' (got mode='mean'). Please open a feature request on GitHub.")
      try require(
        weights.shape == indices.shape, .value,
        "embedding_bag: If per_sample_weights (\(Shape.describe(weights.shape))) is not None, then it must have the same "
          + "shape as the input (\(Shape.describe(indices.shape)))")
      let each = try weights.reshape([indices.count])
      rows = try rows * (used < each.shape[0] ? try each.narrow(0, 0, used) : each).unsqueeze(1)
    }
    if skipped != nil { rows = try rows * Tensor.of(counted, dtype: dtype).unsqueeze(1) }
    let sums = try Tensor.zeros([bags, shape[1]], dtype: dtype).indexAdd(0, bagOf, rows)
    if mode == .sum { return sums }
    return try sums * Tensor.of(counts.map { $0 > 0 ? 1 / $0 : 0 }, dtype: dtype).unsqueeze(1)
  }

  /// The largest elements of each bag of rows, column by column; 0 for an empty bag.
  private func largestOfBags(_ starts: [Int], _ counted: [Double]) throws -> Tensor {
    let (bags, d) = (starts.count - 1, shape[1])
    let wide = try noGrad { try to(.float64).contiguous() }
    let x = try wide.pointer().assumingMemoryBound(to: Double.self)
    let best = try Tensor.zeros([bags, d], dtype: .int64)
    let place = try best.mutablePointer().assumingMemoryBound(to: Int64.self)
    var filled = [Double](repeating: 0, count: bags)
    for b in 0..<bags {
      for i in starts[b]..<starts[b + 1] where counted[i] != 0 {
        for j in 0..<d where filled[b] == 0 || x[i * d + j] > x[Int(place[b * d + j]) * d + j] {
          place[b * d + j] = Int64(i)
        }
        filled[b] = 1
      }
    }
    if shape[0] == 0 { return try Tensor.zeros([bags, d], dtype: dtype) }
    let found = try transpose(0, 1).picking(best.transpose(0, 1)).transpose(0, 1)
    return try found * Tensor.of(filled, dtype: dtype).unsqueeze(1)
  }
}
