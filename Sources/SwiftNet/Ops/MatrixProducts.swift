/// Products beyond `matmul`: of vectors, with an addend, of several matrices.
extension Tensor {
  private static func checkProduct(_ a: Tensor, _ b: Tensor, _ name: String) throws {
    try require(
      a.dtype == b.dtype,
      "\(name): expected both tensors to have the same dtype, but got \(a.dtype.cTypeName) and \(b.dtype.cTypeName)"
    )
  }

  /// Matrix times vector.
  public func mv(_ vector: Tensor) throws -> Tensor { try mv(vector, as: dtype) }

  private func mv(_ vector: Tensor, as result: DType) throws -> Tensor {
    try require(
      rank == 2 && vector.rank == 1,
      "vector + matrix @ vector expected, got 1, \(rank), \(vector.rank)")
    try require(
      shape[1] == vector.shape[0],
      "size mismatch, got input (\(shape[0])), mat (\(shape[0])x\(shape[1])), vec (\(vector.shape[0]))")
    try Tensor.checkProduct(self, vector, "mv")
    return try Autocast.suspended { try mm(vector.unsqueeze(1), as: result).squeeze([1]) }
  }

  /// Σ a·b of two vectors.
  public func dot(_ other: Tensor, name: String = "dot") throws -> Tensor {
    try require(
      rank == 1 && other.rank == 1, "1D tensors expected, but got \(rank)D and \(other.rank)D tensors")
    try require(
      dtype == other.dtype,
      "\(name) : expected both vectors to have same dtype, but found \(dtype.scalarTypeName) and "
        + other.dtype.scalarTypeName)
    try require(
      shape == other.shape,
      "inconsistent tensor size, expected tensor \(Shape.describe(shape)) and src \(Shape.describe(other.shape)) to "
        + "have the same number of elements, but got \(count) and \(other.count) elements respectively")
    try require(dtype != .bool, .notImplemented, "\"\(name)\" not implemented for 'Bool'")
    return try Autocast.suspended { try unsqueeze(0).mm(other.unsqueeze(1)).reshape([]) }
  }

  /// Σ over the last dimension of both.
  public func inner(_ other: Tensor) throws -> Tensor {
    if rank == 0 || other.rank == 0 { return try self * other }
    try require(
      shape[rank - 1] == other.shape[other.rank - 1],
      "inner() the last dimension must match on both input tensors but got shapes \(Shape.describe(shape)) and "
        + Shape.describe(other.shape))
    return try tensordot(other, [rank - 1], [other.rank - 1])
  }

  /// The matrix a_i · b_j.
  public func outer(_ other: Tensor) throws -> Tensor {
    try require(rank == 1, "outer: Expected 1-D argument self, but got \(rank)-D")
    try require(other.rank == 1, "outer: Expected 1-D argument vec2, but got \(other.rank)-D")
    return try unsqueeze(1) * other.unsqueeze(0)
  }

  /// beta · self + alpha · product; where beta is 0, this tensor's values (NaN too) do not matter.
  private func plus(_ beta: Scalar, _ product: Tensor, _ alpha: Scalar, rows: [Int]) throws -> Tensor {
    // Integers take the whole part of the factors.
    let isFloat = product.dtype.isFloatingPoint
    let (beta, alpha) = isFloat ? (beta, alpha) : (.int(beta.int64), .int(alpha.int64))
    let addend = try expand(rows)
    let scaled = try product.times(alpha)
    if beta.isZero {
      let nothing = try Tensor.zeros(rows, dtype: product.dtype).recorded("Zero", addend) {
        [try $0.grad.times(0.0)]
      }
      return try scaled + nothing
    }
    return try Binary.apply(.add, .tensor(scaled), .tensor(addend), alpha: beta)
  }

  /// beta · self + alpha · product, where the product of half-precision operands stays float32 until it is added, so
  /// that the whole is rounded once.
  ///
  /// - Parameter product: of the operands, in the dtype that it is given.
  private func plusProduct(
    _ operands: [Tensor], _ name: String, beta: Scalar, alpha: Scalar, rows: [Int],
    _ product: (DType) throws -> Tensor
  ) throws -> Tensor {
    for tensor in operands {
      try require(
        tensor.dtype == dtype,
        "\(name): expected all tensors to have the same dtype, but got \(dtype.cTypeName) and "
          + tensor.dtype.cTypeName)
    }
    try require(dtype != .bool, .notImplemented, "\"\(name)\" not implemented for 'Bool'")
    guard dtype.isNarrow else { return try plus(beta, try product(dtype), alpha, rows: rows) }
    return try Autocast.suspended {
      try to(.float32).plus(beta, try product(.float32), alpha, rows: rows).to(dtype)
    }
  }

  /// beta · self + alpha · a b
  public func addmm(_ a: Tensor, _ b: Tensor, beta: Scalar = 1, alpha: Scalar = 1) throws -> Tensor {
    if let out = try autocast(.lower, [self, a, b], { try $0[0].addmm($0[1], $0[2], beta: beta, alpha: alpha) }) {
      return out
    }
    try require(a.rank == 2, "mat1 must be a matrix, got \(a.rank)-D tensor")
    try require(b.rank == 2, "mat2 must be a matrix, got \(b.rank)-D tensor")
    return try plusProduct([a, b], "addmm", beta: beta, alpha: alpha, rows: [a.shape[0], b.shape[1]]) {
      try a.mm(b, as: $0)
    }
  }

  /// beta · self + alpha · matrix vector
  public func addmv(_ matrix: Tensor, _ vector: Tensor, beta: Scalar = 1, alpha: Scalar = 1) throws -> Tensor {
    try require(
      matrix.rank == 2 && vector.rank == 1 && rank <= 1,
      "vector + matrix @ vector expected, got \(rank), \(matrix.rank), \(vector.rank)")
    return try plusProduct([matrix, vector], "addmv", beta: beta, alpha: alpha, rows: [matrix.shape[0]]) {
      try matrix.mv(vector, as: $0)
    }
  }

  /// beta · self + alpha · Σ over the stack of a b
  public func addbmm(_ a: Tensor, _ b: Tensor, beta: Scalar = 1, alpha: Scalar = 1) throws -> Tensor {
    if let out = try autocast(.lower, [self, a, b], { try $0[0].addbmm($0[1], $0[2], beta: beta, alpha: alpha) }) {
      return out
    }
    try require(a.rank == 3, "batch1 must be a 3D tensor")
    try require(b.rank == 3, "batch2 must be a 3D tensor")
    return try plusProduct([a, b], "addbmm", beta: beta, alpha: alpha, rows: [a.shape[1], b.shape[2]]) {
      try a.bmm(b, as: $0).sum([0])
    }
  }

  /// beta · self + alpha · a b for stacks of matrices
  public func baddbmm(_ a: Tensor, _ b: Tensor, beta: Scalar = 1, alpha: Scalar = 1) throws -> Tensor {
    if let out = try autocast(.lower, [self, a, b], { try $0[0].baddbmm($0[1], $0[2], beta: beta, alpha: alpha) }) {
      return out
    }
    try require(a.rank == 3, "batch1 must be a 3D tensor")
    try require(b.rank == 3, "batch2 must be a 3D tensor")
    let rows = [a.shape[0], a.shape[1], b.shape[2]]
    return try plusProduct([a, b], "baddbmm", beta: beta, alpha: alpha, rows: rows) { try a.bmm(b, as: $0) }
  }

  /// beta · self + alpha · a bᵀ of two vectors
  public func addr(_ a: Tensor, _ b: Tensor, beta: Scalar = 1, alpha: Scalar = 1) throws -> Tensor {
    try require(a.rank == 1, "addr: Expected 1-D argument vec1, but got \(a.rank)-D")
    try require(b.rank == 1, "addr: Expected 1-D argument vec2, but got \(b.rank)-D")
    return try plus(beta, try a.outer(b), alpha, rows: [a.shape[0], b.shape[0]])
  }

  /// Σ over pairs of dimensions.
  public func tensordot(_ other: Tensor, _ dimsA: [Int], _ dimsB: [Int]) throws -> Tensor {
    try require(
      dimsA.count == dimsB.count, "both dimension lists should have same length")
    let (da, db) = (try Shape.dimensions(dimsA, rank: rank), try Shape.dimensions(dimsB, rank: other.rank))
    for (i, j) in zip(da, db) {
      let (m, n) = (rank == 0 ? 1 : shape[i], other.rank == 0 ? 1 : other.shape[j])
      try require(
        m == n || m == 1 || n == 1,
        "contracted dimensions need to match, but first has size \(m) in dim \(i) and second has size \(n) in dim \(j)"
      )
    }
    if rank == 0 || other.rank == 0 { return try self * other }
    // A contracted dimension of size 1 stands for any size: the other side is summed over it.
    var (a, b) = (self, other)
    for (i, j) in zip(da, db) where shape[i] != other.shape[j] {
      if shape[i] == 1 { b = try b.sum([j], keepdim: true) } else { a = try a.sum([i], keepdim: true) }
    }
    let freeA = a.shape.indices.filter { !da.contains($0) }
    let freeB = b.shape.indices.filter { !db.contains($0) }
    let k = try Shape.count(da.map { a.shape[$0] })
    let left = try a.permute(freeA + da).reshape([try Shape.count(freeA.map { a.shape[$0] }), k])
    let right = try b.permute(db + freeB).reshape([k, try Shape.count(freeB.map { b.shape[$0] })])
    let free = freeA.map { a.shape[$0] } + freeB.map { b.shape[$0] }
    // PyTorch takes one number's sum for a dot product, which mixed precision leaves alone.
    if left.shape[0] == 1, right.shape[1] == 1 { return try left.reshape([k]).dot(right.reshape([k])).reshape(free) }
    return try left.mm(right).reshape(free)
  }

  /// The Kronecker product.
  public func kron(_ other: Tensor) throws -> Tensor {
    let n = max(rank, other.rank)
    let a = [Int](repeating: 1, count: n - rank) + shape
    let b = [Int](repeating: 1, count: n - other.rank) + other.shape
    let left = try reshape(a.flatMap { [$0, 1] })
    let right = try other.reshape(b.flatMap { [1, $0] })
    return try (left * right).reshape(zip(a, b).map(*))
  }

  /// The matrix to a whole power; a negative one is of the inverse.
  public func matrixPower(_ n: Int) throws -> Tensor {
    try checkSquare("linalg.matrix_power")
    if n < 0 {
      try require(n != .min, "linalg.matrix_power: the exponent is too small")
      return try inverse("linalg.inv").matrixPower(-n)
    }
    if n == 0 {
      let ones = try noGrad { try Tensor.eye(shape[rank - 1], dtype: dtype).expand(shape).clone() }
      return try ones.recorded("MatrixPower", self) { [try $0.grad.times(0.0)] }
    }
    var result: Tensor?
    var power = self
    var rest = n
    while true {
      if rest & 1 == 1 { result = try result?.matmul(power) ?? power }
      rest >>= 1
      if rest == 0 { break }
      power = try power.matmul(power)
    }
    return try n == 1 ? clone() : result ?? self
  }

  func checkSquare(_ name: String) throws {
    try require(rank >= 2, "\(name): The input tensor A must have at least 2 dimensions.")
    try require(
      shape[rank - 1] == shape[rank - 2],
      "\(name): A must be batches of square matrices, but they are \(shape[rank - 2]) by \(shape[rank - 1]) matrices"
    )
  }

  /// The product of several matrices in the order of multiplications that needs the fewest (Cormen et al.,
  /// Introduction to Algorithms, matrix-chain multiplication); the first and the last may be vectors.
  public static func multiDot(_ tensors: [Tensor]) throws -> Tensor {
    try require(tensors.count >= 2, "multi_dot(): expected at least 2 tensors but got \(tensors.count)")
    var chain = tensors
    let last = chain.count - 1
    let (first, end) = (chain[0], chain[last])
    for (position, tensor) in tensors.enumerated() {
      let mayBeVector = position == 0 || position == last
      try require(
        tensor.rank == 2 || (mayBeVector && tensor.rank == 1),
        "multi_dot(): tensor \(position) must be \(mayBeVector ? "1D or 2D" : "2D") but got \(tensor.rank)D")
      try require(
        tensor.dtype == tensors[0].dtype,
        "multi_dot(): expected all tensors to have dtype \(tensors[0].dtype.cTypeName), but tensor at position "
          + "\(position) has dtype \(tensor.dtype.cTypeName)")
    }
    if first.rank == 1 { chain[0] = try first.unsqueeze(0) }
    if end.rank == 1 { chain[last] = try end.unsqueeze(1) }
    for i in 0..<last {
      try require(
        chain[i].shape[1] == chain[i + 1].shape[0],
        "multi_dot(): tensors \(i) and \(i + 1) with shapes \(Shape.describe(tensors[i].shape)) and "
          + "\(Shape.describe(tensors[i + 1].shape)) cannot be multiplied")
    }
    let sizes = chain.map { Double($0.shape[0]) } + [Double(chain[last].shape[1])]
    let n = chain.count
    var cost = [[Double]](repeating: [Double](repeating: 0, count: n), count: n)
    var cut = [[Int]](repeating: [Int](repeating: 0, count: n), count: n)
    for length in 1..<n {
      for i in 0..<(n - length) {
        let j = i + length
        cost[i][j] = .infinity
        for k in i..<j {
          let total = cost[i][k] + cost[k + 1][j] + sizes[i] * sizes[k + 1] * sizes[j + 1]
          if total < cost[i][j] { (cost[i][j], cut[i][j]) = (total, k) }
        }
      }
    }
    func product(_ i: Int, _ j: Int) throws -> Tensor {
      i == j ? chain[i] : try product(i, cut[i][j]).mm(product(cut[i][j] + 1, j))
    }
    var result = try product(0, last)
    if end.rank == 1 { result = try result.squeeze([1]) }
    if first.rank == 1 { result = try result.squeeze([0]) }
    return result
  }
}
