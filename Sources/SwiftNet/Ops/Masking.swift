/// Masks: where elements are nonzero, and reading and writing there.
extension Tensor {
  /// The index along each dimension of every nonzero element, row-major.
  func nonzeroColumns() throws -> [Tensor] {
    let mask = try noGrad { try to(.bool).contiguous() }
    let flags = try mask.pointer().assumingMemoryBound(to: UInt8.self)
    // Counted first, so that each piece of rows knows where its own begin.
    let length = shape.last ?? 1, rank = shape.count
    let rows = length == 0 ? 0 : count / length
    let grain = max(1, (1 << 15) / max(length, 1))
    var starts = [Int](repeating: 0, count: (rows + grain - 1) / grain + 1)
    starts.withUnsafeMutableBufferPointer { starts in
      parallelFor(rows, grain: grain) { first, last in
        var found = 0
        for i in first * length..<last * length { found &+= flags[i] == 0 ? 0 : 1 }
        starts[first / grain + 1] = found
      }
    }
    for piece in 1..<max(starts.count, 1) { starts[piece] += starts[piece - 1] }
    let found = starts.last ?? 0
    let columns = try shape.map { _ in try Tensor(empty: [found], dtype: .int64) }
    let pointers = try columns.map { try $0.mutablePointer().assumingMemoryBound(to: Int64.self) }
    if found == 0 || rank == 0 { return columns }
    pointers.withUnsafeBufferPointer { pointers in
      starts.withUnsafeBufferPointer { starts in
        shape.withUnsafeBufferPointer { shape in
          parallelFor(rows, grain: grain) { first, last in
            var k = starts[first / grain]
            let end = starts[first / grain + 1]
            let places = pointers[rank - 1]
            for row in first..<last {
              let flags = flags + row * length, start = k
              var j = 0
              // Each place is written, and kept if its flag is set.
              while j < length, k < end {
                places[k] = Int64(j)
                k &+= flags[j] == 0 ? 0 : 1
                j &+= 1
              }
              var rest = row
              for d in stride(from: rank - 2, through: 0, by: -1) {
                (pointers[d] + start).update(repeating: Int64(rest % shape[d]), count: k - start)
                rest /= shape[d]
              }
            }
          }
        }
      }
    }
    withExtendedLifetime(mask) {}
    return columns
  }

  /// The indices of all nonzero elements, one row each: [n, rank], int64.
  public func nonzero() throws -> Tensor {
    if rank == 0 { return try Tensor(empty: [try item().isZero ? 0 : 1, 0], dtype: .int64) }
    let columns = try nonzeroColumns()
    return try Tensor.cat(try columns.map { try $0.unsqueeze(1) }, 1)
  }

  /// The same as one tensor per dimension, to index with.
  public func nonzeroIndices() throws -> [Tensor] {
    rank == 0 ? try reshape([1]).nonzeroColumns() : try nonzeroColumns()
  }

  private func checkMask(_ name: String, _ mask: Tensor) throws {
    try require(
      mask.dtype == .bool || mask.dtype == .uint8,
      name == "masked_fill_"
        ? "masked_fill_ only supports boolean masks, but got mask with dtype \(mask.dtype.scalarTypeName)"
        : "\(name): expected BoolTensor for mask")
  }

  /// `value` where the mask is nonzero, this tensor elsewhere. The mask broadcasts.
  public func maskedFill(_ mask: Tensor, _ value: Scalar) throws -> Tensor {
    try checkMask("masked_fill_", mask)
    let out = try noGrad { try whereSelect(mask, .scalar(fitting(value)), .tensor(self)) }
    return try out.recorded("MaskedFill", self, saving: [mask]) {
      [try $0.grad.maskedFill(try $0.saved(0), 0)]
    }
  }

  /// A number of the kind that this tensor holds.
  private func fitting(_ value: Scalar) -> Scalar {
    if dtype.isFloatingPoint { return .float(value.double) }
    return dtype == .bool ? .bool(!value.isZero) : .int(value.int64)
  }

  /// As `maskedFill`, in place.
  public func maskedFillInPlace(_ mask: Tensor, _ value: Scalar) throws {
    if needsRecording([self]) { return try inPlace(allowsOverlap: true) { try $0.maskedFill(mask, value) } }
    try checkMask("masked_fill_", mask)
    _ = try elementwise(.where, [.tensor(mask), .scalar(fitting(value)), .tensor(self)], into: self)
  }

  /// As `maskedFill`, with the value of a tensor without dimensions, which may require a gradient.
  public func maskedFill(_ mask: Tensor, _ value: Tensor) throws -> Tensor {
    try checkMask("masked_fill_", mask)
    try require(
      value.rank == 0,
      "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with \(value.rank) dimension(s)."
    )
    return try whereSelect(mask, .tensor(try value.to(dtype)), .tensor(self))
  }

  /// The elements where the mask is nonzero, row-major, in one dimension. Both broadcast.
  public func maskedSelect(_ mask: Tensor) throws -> Tensor {
    try checkMask("masked_select", mask)
    let common = try Shape.broadcast(mask.shape, shape)
    if common.isEmpty { return try reshape([1]).maskedSelect(mask.reshape([1])) }
    return try expand(common).index([try mask.expand(common)])
  }

  /// A copy in which the elements where the mask is nonzero are taken from `source`, one after the other.
  public func maskedScatter(_ mask: Tensor, _ source: Tensor) throws -> Tensor {
    try checkMask("masked_scatter", mask)
    try require(
      source.dtype == dtype,
      "masked_scatter: expected self and source to have same dtypes but got \(dtype.scalarTypeName) and "
        + source.dtype.scalarTypeName)
    let common = try Shape.broadcast(mask.shape, shape)
    if common.isEmpty { return try reshape([1]).maskedScatter(mask.reshape([1]), source).reshape([]) }
    let indices = try mask.expand(common).nonzeroColumns()
    let n = indices[0].count
    try require(source.count >= n, "Number of elements of source < number of ones in mask")
    return try expand(common).indexPut(indices, try source.reshape([source.count]).narrow(0, 0, n))
  }

  /// An operation in place whose result has this tensor's shape: `value` may not broadcast it.
  public func replaceInPlace(_ operation: (Tensor) throws -> Tensor) throws { try inPlace(operation) }
}
