/// Masks: where elements are nonzero, and reading and writing there.
extension Tensor {
  /// The index along each dimension of every nonzero element, row-major.
  func nonzeroColumns() throws -> [Tensor] {
    let mask = try noGrad { try to(.bool).contiguous() }
    let flags = try mask.pointer().assumingMemoryBound(to: UInt8.self)
    let n = count
    var found = 0
    for i in 0..<n where flags[i] != 0 { found += 1 }
    let columns = try shape.map { _ in try Tensor(empty: [found], dtype: .int64) }
    let pointers = try columns.map { try $0.mutablePointer().assumingMemoryBound(to: Int64.self) }
    guard let last = shape.last, found > 0 else { return columns }
    let rank = shape.count
    var outer = [Int64](repeating: 0, count: rank)
    var row = 0
    var k = 0
    while row < n {
      for j in 0..<last where flags[row + j] != 0 {
        for d in 0..<rank - 1 { pointers[d][k] = outer[d] }
        pointers[rank - 1][k] = Int64(j)
        k += 1
      }
      row += last
      var d = rank - 2
      while d >= 0 {
        outer[d] += 1
        if outer[d] < Int64(shape[d]) { break }
        outer[d] = 0
        d -= 1
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
