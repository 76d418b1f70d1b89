/// Diagonals and triangles of matrices.
extension Tensor {
  /// Zeros but for the values of the last dimension, which become diagonals of two new dimensions.
  public func diagEmbed(offset: Int = 0, _ dim1: Int = -2, _ dim2: Int = -1) throws -> Tensor {
    try require(rank > 0, .index, "diag_embed: input must have at least one dimension")
    let (a, b) = (try Shape.dimension(dim1, rank: rank + 1), try Shape.dimension(dim2, rank: rank + 1))
    try require(a != b, "diagonal dimensions cannot be identical \(dim1), \(dim2)")
    let (size, overflow) = shape[rank - 1].addingReportingOverflow(
      offset == .min ? .max : Swift.abs(offset))
    try require(!overflow, .memory, "diag_embed: offset \(offset) is too large")
    var outShape = Array(shape.dropLast())
    outShape.insert(size, at: min(a, b))
    outShape.insert(size, at: max(a, b))
    let out = try Tensor.zeros(outShape, dtype: dtype)
    try noGrad { try copyElements(from: self, to: try out.diagonal(offset: offset, a, b)) }
    return try out.recorded("DiagEmbed", self) { [try $0.grad.diagonal(offset: offset, a, b)] }
  }

  /// A matrix with this vector on a diagonal; or the diagonal of this matrix.
  public func diag(_ offset: Int = 0) throws -> Tensor {
    try require(rank == 1 || rank == 2, "diag(): Supports 1D or 2D tensors. Got \(rank)D")
    return rank == 1 ? try diagEmbed(offset: offset) : try diagonal(offset: offset).clone()
  }

  /// The sum of the diagonal of a matrix.
  public func trace() throws -> Tensor {
    if let out = try autocast(.float32, [self], { try $0[0].trace() }) { return out }
    try require(rank == 2, "trace: expected a matrix, but got tensor with dim \(rank)")
    return try diagonal().sum()
  }

  /// The elements on and below a diagonal of the last two dimensions, zeros above.
  public func tril(_ diagonal: Int = 0) throws -> Tensor { try triangle(diagonal, lower: true) }

  /// The elements on and above a diagonal of the last two dimensions, zeros below.
  public func triu(_ diagonal: Int = 0) throws -> Tensor { try triangle(diagonal, lower: false) }

  private func triangle(_ diagonal: Int, lower: Bool) throws -> Tensor {
    try require(
      rank >= 2, "\(lower ? "tril" : "triu"): input tensor must have at least 2 dimensions")
    let out = try noGrad { try contiguous().clone() }
    let (rows, columns) = (shape[rank - 2], shape[rank - 1])
    let size = dtype.size
    let bytes = try out.mutablePointer()
    let shift = Swift.max(-rows - 1, Swift.min(diagonal, columns + 1))
    parallelFor(count / Swift.max(columns, 1), grain: Swift.max(1, (1 << 15) / Swift.max(columns, 1))) {
      start, end in
      for row in start..<end {
        // The first column above the diagonal.
        let edge = Swift.max(0, Swift.min(columns, row % rows + shift + (lower ? 1 : 0)))
        let (from, to) = lower ? (edge, columns) : (0, edge)
        memset(bytes + (row * columns + from) * size, 0, (to - from) * size)
      }
    }
    return try out.recorded(lower ? "Tril" : "Triu", self) {
      [try $0.grad.triangle(diagonal, lower: lower)]
    }
  }

  /// Row and column of every element of a triangle of a matrix, row-major: [2, n], int64.
  public static func triangleIndices(
    _ rows: Int, _ columns: Int, offset: Int = 0, lower: Bool, dtype: DType = .int64
  )
    throws -> Tensor
  {
    try require(rows >= 0, "row must be non-negative, got\(rows)")
    try require(columns >= 0, "col must be non-negative, got\(columns)")
    let mask = try Tensor.ones([rows, columns], dtype: .bool)
    let indices = try mask.triangle(offset, lower: lower).nonzeroColumns()
    return try Tensor.cat(try indices.map { try $0.unsqueeze(0) }, 0).to(dtype)
  }

  /// The matrices along the diagonal of one larger matrix, zeros elsewhere.
  public static func blockDiagonal(_ blocks: [Tensor]) throws -> Tensor {
    let matrices = try blocks.enumerated().map { position, block in
      try require(
        block.rank <= 2,
        "torch.block_diag: Input tensors must have 2 or fewer dimensions. Input \(position) has \(block.rank) "
          + "dimensions")
      return block.rank == 2 ? block : try block.reshape([1, block.count])
    }
    let width = matrices.reduce(0) { $0 + $1.shape[1] }
    var left = 0
    let rows = try matrices.map { matrix in
      defer { left += matrix.shape[1] }
      return try matrix.padded([left, width - left - matrix.shape[1]], .constant(0))
    }
    return rows.isEmpty ? try Tensor.zeros([1, 0]) : try Tensor.cat(rows, 0)
  }
}
