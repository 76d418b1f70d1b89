/// Rows of a table by index.
extension Tensor {
  /// The rows of this table (V, D) at integer indices of any shape. PyTorch: `torch.nn.functional.embedding`.
  ///
  /// - Parameters:
  ///   - padding: an index whose row receives no gradient.
  ///   - maxNorm: rows that are used and longer than this (in `normType`) are shortened, in place.
  ///   - scaleByFrequency: divides the gradient of a row by the number of its uses.
  public func embedding(
    _ indices: Tensor, padding: Int? = nil, maxNorm: Double? = nil, normType: Double = 2,
    scaleByFrequency: Bool = false
  ) throws -> Tensor {
    try require(rank == 2, "'weight' must be 2-D")
    try require(
      indices.dtype == .int64 || indices.dtype == .int32,
      "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
        + "\(indices.dtype.scalarTypeName)Tensor instead (while checking arguments for embedding)")
    let flat = try noGrad { try indices.to(.int64).contiguous() }.reshape([indices.count])
    let places = try flat.pointer().assumingMemoryBound(to: Int64.self)
    for i in 0..<flat.count {
      try require(places[i] >= 0 && places[i] < shape[0], .index, "index out of range in self")
    }
    if let maxNorm {
      var used = Set<Int>()
      for i in 0..<flat.count { used.insert(Int(places[i])) }
      try noGrad {
        for row in used.sorted() {
          let vector = try select(0, row)
          let norm = try vector.vectorNorm(normType).item().double
          if norm > maxNorm { try vector.copyInPlace(try vector * .float(maxNorm / (norm + 1e-7))) }
        }
      }
    }
    let padded = padding.map { $0 < 0 ? $0 + shape[0] : $0 }
    let rows = try embedded(flat, padded, scaleByFrequency)
    return try rows.reshape(indices.shape + [shape[1]])
  }

  private func embedded(_ places: Tensor, _ padding: Int?, _ scaleByFrequency: Bool) throws -> Tensor {
    let (n, d, size) = (places.count, shape[1], dtype.size)
    let table = try noGrad { try contiguous() }
    let out = try Tensor(empty: [n, d], dtype: dtype)
    let at = try places.pointer().assumingMemoryBound(to: Int64.self)
    let (source, target) = (try table.pointer(), try out.mutablePointer())
    parallelFor(n, grain: max(1, 16384 / max(d, 1))) { start, end in
      for i in start..<end { memcpy(target + i * d * size, source + Int(at[i]) * d * size, d * size) }
    }
    let count = shape[0]
    return try out.recorded("Embedding", self, saving: [places]) { context in
      [try context.grad.summedRows(try context.saved(0), count, padding, scaleByFrequency)]
    }
  }

  /// The transpose of `embedded`: rows added up by index.
  private func summedRows(_ places: Tensor, _ count: Int, _ padding: Int?, _ scaleByFrequency: Bool) throws -> Tensor {
    let (n, d) = (places.count, shape[1])
    let at = try places.pointer().assumingMemoryBound(to: Int64.self)
    var grad = self
    if padding != nil || scaleByFrequency {
      var uses = [Int](repeating: 0, count: count)
      for i in 0..<n { uses[Int(at[i])] += 1 }
      let factors = (0..<n).map { i in
        Int(at[i]) == padding ? 0 : scaleByFrequency ? 1 / Double(uses[Int(at[i])]) : 1
      }
      grad = try self * Tensor.of(factors, dtype: dtype).unsqueeze(1)
    }
    if dtype.lane.dtype != dtype {
      return try grad.to(.float32).summedRows(places, count, nil, false).to(dtype)
    }
    let out = try Tensor.zeros([count, d], dtype: dtype)
    let x = try noGrad { try grad.contiguous() }
    func run<T: BinaryFloatingPoint>(_: T.Type) throws {
      let source = try x.pointer().assumingMemoryBound(to: T.self)
      let target = try out.mutablePointer().assumingMemoryBound(to: T.self)
      for i in 0..<n {
        let (from, to) = (source + i * d, target + Int(at[i]) * d)
        for j in 0..<d { to[j] += from[j] }
      }
    }
    if dtype == .float64 { try run(Double.self) } else { try run(Float.self) }
    return try out.recorded("EmbeddingDenseBackward", grad, saving: [places]) { context in
      [try context.grad.embedded(try context.saved(0), nil, false)]
    }
  }
}
