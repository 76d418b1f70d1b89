/// Decompositions of small matrices, computed in double precision; batches lie in the leading dimensions. Gradients
/// are formulas of tensor operations, so they can be differentiated again.
extension Tensor {
  /// Runs a factorisation of each matrix. It gets a copy of the matrix, and the memory of each output's matrix, filled
  /// with zeros.
  private func factored(
    _ name: String, outputs: [[Int]],
    _ body: (UnsafeMutablePointer<Double>, [UnsafeMutablePointer<Double>]) -> Void
  ) throws -> [Tensor] {
    try require(
      rank >= 2, "\(name): The input tensor A must have at least 2 dimensions.")
    return try noGrad {
      let source = try matrices(name)
      let size = shape[rank - 1] * shape[rank - 2]
      let lead = Array(shape.dropLast(2))
      let results = try outputs.map { try Tensor.zeros(lead + $0, dtype: .float64) }
      let a = try source.mutablePointer().assumingMemoryBound(to: Double.self)
      for i in 0..<source.count where !a[i].isFinite {
        throw SwiftNetError.runtime(
          "\(name): The algorithm failed to converge because the input matrix contained non-finite values.")
      }
      let targets = try results.map { try $0.mutablePointer().assumingMemoryBound(to: Double.self) }
      let sizes = outputs.map { $0.reduce(1, *) }
      parallelFor(try Shape.count(lead), grain: 1) { first, last in
        for item in first..<last {
          body(a + item * size, zip(targets, sizes).map { $0 + item * $1 })
        }
      }
      return try results.map { try $0.to(dtype) }
    }
  }

  // MARK: QR

  /// Q R = A with orthonormal columns in Q and R upper triangular, by Householder's reflections, with LAPACK's signs.
  /// PyTorch: `torch.linalg.qr`.
  ///
  /// - Parameter mode: "reduced" (Q is m × min(m, n)), "complete" (m × m) or "r" (Q is empty).
  public func qr(mode: String = "reduced") throws -> (q: Tensor, r: Tensor) {
    if let out = try autocast(.float32, [self], { try $0[0].qr(mode: mode) }) { return out }
    let name = "linalg.qr"
    try require(
      ["reduced", "complete", "r"].contains(mode), .value,
      "qr received unrecognized mode '\(mode)' but expected one of 'reduced' (default), 'r', or 'complete'")
    try require(rank >= 2, "\(name): The input tensor A must have at least 2 dimensions.")
    let (m, n) = (shape[rank - 2], shape[rank - 1])
    let columns = mode == "complete" ? m : min(m, n)
    let found = try factored(name, outputs: [[m, columns], [columns, n]]) { a, outputs in
      let tau = Factorization.reflect(a, m, n)
      if mode != "r" { Factorization.orthogonal(a, m, n, tau, outputs[0], columns: columns) }
      for i in 0..<min(m, n) { for j in i..<max(n, i) { outputs[1][i * n + j] = a[i * n + j] } }
    }
    let (q, r) = (mode == "r" ? try Tensor(empty: [0], dtype: dtype) : found[0], found[1])
    try recordOutputs("LinalgQr", [self], [q, r], saving: [q, r]) { context in
      try require(
        mode != "r",
        "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. "
          + "Please use linalg.qr(A, mode='reduced') if you are going to require gradients.")
      try require(
        mode == "reduced" || m <= n, "The QR decomposition is not differentiable when mode='complete' and nrows > ncols"
      )
      let (q, r) = (try context.saved(0), try context.saved(1))
      return [try Tensor.gradientOfQR(q, r, try context.grad(0), try context.grad(1))]
    }
    return (q, r)
  }

  /// Walter and Lehmann (2018), https://arxiv.org/abs/1009.6112; the columns beyond the m-th follow from A = Q [R S].
  private static func gradientOfQR(_ q: Tensor, _ r: Tensor, _ gradQ: Tensor, _ gradR: Tensor) throws -> Tensor {
    let (k, n) = (r.shape[r.rank - 2], r.shape[r.rank - 1])
    if n > k {
      let (square, rest) = (try r.narrow(-1, 0, k), try gradR.narrow(-1, k, n - k))
      let other = try r.narrow(-1, k, n - k)
      let through = try gradQ + q.matmul(other).matmul(rest.transposed())
      let first = try gradientOfQR(q, square, through, gradR.narrow(-1, 0, k))
      return try Tensor.cat([first, q.matmul(rest)], -1)
    }
    let middle = try r.matmul(gradR.transposed()) - gradQ.transposed().matmul(q)
    let symmetric = try middle.tril() + middle.tril(-1).transposed()
    return try r.solve((gradQ + q.matmul(symmetric)).transposed()).transposed()
  }

  // MARK: Eigenvalues

  /// V diag(L) Vᵀ = A for symmetric matrices, of which one triangle is read; L ascends. By Jacobi's rotations.
  /// PyTorch: `torch.linalg.eigh`.
  public func eigh(upper: Bool = false) throws -> (values: Tensor, vectors: Tensor) {
    if let out = try autocast(.float32, [self], { try $0[0].eigh(upper: upper) }) { return out }
    let name = "linalg.eigh"
    try checkSquare(name)
    let n = shape[rank - 1]
    let found = try factored(name, outputs: [[n], [n, n]]) { a, outputs in
      for i in 0..<n {
        for j in 0..<i { if upper { a[i * n + j] = a[j * n + i] } else { a[j * n + i] = a[i * n + j] } }
      }
      Factorization.symmetric(a, n, values: outputs[0], vectors: outputs[1])
    }
    let (values, vectors) = (found[0], found[1])
    try recordOutputs("LinalgEigh", [self], [values, vectors], saving: [values, vectors]) { context in
      // Giles (2008): V (diag(L') + (Vᵀ V') / E) Vᵀ with E[i, j] = L[j] - L[i].
      let (l, v) = (try context.saved(0), try context.saved(1))
      var inner = try context.grad(0).diagEmbed()
      if let gradV = context.gradIfAny(1) {
        inner = try inner + v.transposed().matmul(gradV) * Tensor.inverseDifferences(l)
      }
      return [try v.matmul(inner).matmul(v.transposed())]
    }
    return (values, vectors)
  }

  /// 1 / (x[j] - x[i]) beside the diagonal, 0 on it.
  private static func inverseDifferences(_ x: Tensor) throws -> Tensor {
    let identity = try Tensor.eye(x.shape[x.rank - 1], dtype: x.dtype)
    let differences = try x.unsqueeze(-2) - x.unsqueeze(-1) + identity
    return try (identity * -1.0 + 1.0) / differences
  }

  // MARK: Singular values

  /// U diag(S) Vᵀ = A; S descends. By Hestenes' rotations. PyTorch: `torch.linalg.svd`.
  ///
  /// - Parameter full: U is m × m and Vᵀ n × n, instead of min(m, n) columns and rows.
  /// - Returns: Vᵀ as the third.
  public func svd(full: Bool = true) throws -> (u: Tensor, s: Tensor, vt: Tensor) {
    if let out = try autocast(.float32, [self], { try $0[0].svd(full: full) }) { return out }
    let name = "linalg.svd"
    try require(rank >= 2, "\(name): The input tensor A must have at least 2 dimensions.")
    let (m, n) = (shape[rank - 2], shape[rank - 1])
    if m < n {
      // Aᵀ = V diag(S) Uᵀ.
      let (v, s, ut) = try transposed().svd(full: full)
      return (try ut.transposed(), s, try v.transposed())
    }
    let width = full ? m : n
    let found = try factored(name, outputs: [[m, width], [n], [n, n]]) { a, outputs in
      let columns = UnsafeMutablePointer<Double>.allocate(capacity: max(m * n, 1))
      defer { columns.deallocate() }
      for i in 0..<m { for j in 0..<n { columns[j * m + i] = a[i * n + j] } }
      Factorization.singular(columns, m, n, values: outputs[1], left: outputs[0], width: width, right: outputs[2])
    }
    let (u, s, v) = (found[0], found[1], found[2])
    try recordOutputs("LinalgSvd", [self], [u, s, v], saving: [u, s, v]) { context in
      let (u, s, v) = (try context.saved(0).narrow(-1, 0, n), try context.saved(1), try context.saved(2))
      let gradU = try context.gradIfAny(0).map { try $0.narrow(-1, 0, n) }
      return [try Tensor.gradientOfSVD(u, s, v, gradU, try context.grad(1), context.gradIfAny(2))]
    }
    return (u, s, try v.transposed())
  }

  /// Giles (2008), "Collected matrix derivative results for forward and reverse mode algorithmic differentiation", for
  /// U (m × n), S (n), V (n × n).
  private static func gradientOfSVD(
    _ u: Tensor, _ s: Tensor, _ v: Tensor, _ gradU: Tensor?, _ gradS: Tensor, _ gradV: Tensor?
  ) throws -> Tensor {
    var inner = try gradS.diagEmbed()
    if gradU != nil || gradV != nil {
      // 1 / (S[j]² - S[i]²)
      let factors = try inverseDifferences(s * s)
      func skew(_ x: Tensor) throws -> Tensor { try (x - x.transposed()) * factors }
      if let gradU { inner = try inner + skew(u.transposed().matmul(gradU)) * s.unsqueeze(-2) }
      if let gradV { inner = try inner + s.unsqueeze(-1) * skew(v.transposed().matmul(gradV)) }
    }
    var left = try u.matmul(inner)
    if let gradU, u.shape[u.rank - 2] > u.shape[u.rank - 1] {
      // What lies beside the columns of U.
      let scaled = try gradU / s.unsqueeze(-2)
      left = try left + scaled - u.matmul(u.transposed().matmul(scaled))
    }
    return try left.matmul(v.transposed())
  }

  // MARK: The inverse of any matrix

  /// The pseudoinverse of Moore and Penrose: singular values up to max(absolute, relative · the largest) count as zero.
  /// PyTorch: `torch.linalg.pinv`.
  ///
  /// - Parameter relative: nil: max(m, n) · the dtype's precision, or 0 if an absolute bound is given.
  public func pinv(absolute: Double? = nil, relative: Double? = nil) throws -> Tensor {
    if let out = try autocast(.float32, [self], { try $0[0].pinv(absolute: absolute, relative: relative) }) {
      return out
    }
    try require(
      rank >= 2,
      "linalg.pinv: Expected a tensor with 2 or more dimensions, but got tensor of size: "
        + Shape.describe(shape))
    let out = try noGrad { () -> Tensor in
      if count == 0 { return try Tensor.zeros(shape.dropLast(2) + [shape[rank - 1], shape[rank - 2]], dtype: dtype) }
      let (u, s, vt) = try to(.float64).svd(full: false)
      let bound = try s.aboveTolerance(self, absolute, relative)
      let inverse = try whereSelect(bound, .tensor(s.unary(.reciprocal)), .scalar(0.0))
      return try (vt.transposed() * inverse.unsqueeze(-2)).matmul(u.transposed()).to(dtype)
    }
    return try out.recorded("LinalgPinv", self, saving: [self, out]) { context in
      // Golub and Pereyra (1973), https://doi.org/10.1137/0710036, for constant rank.
      let (a, p) = (try context.saved(0), try context.saved(1))
      let (grad, pt) = (try context.grad.transposed(), try p.transposed())
      let k = try grad.matmul(p)
      let kpt = try k.matmul(pt)
      let first = try kpt - p.matmul(k).transposed() - a.matmul(p).matmul(kpt)
      return [try first + pt.matmul(p).matmul(grad - k.matmul(a))]
    }
  }

  /// Which singular values of a matrix count.
  func aboveTolerance(_ matrix: Tensor, _ absolute: Double?, _ relative: Double?) throws -> Tensor {
    let size = Double(Swift.max(matrix.shape[matrix.rank - 1], matrix.shape[matrix.rank - 2]))
    let share = relative ?? ((absolute ?? 0) > 0 ? 0 : size * matrix.dtype.precision)
    let largest = try amax([-1], keepdim: true)
    return try Binary.apply(.gt, .tensor(self), .tensor((largest * .float(share)).atLeast(absolute ?? 0)))
  }

  /// How many singular values count. PyTorch: `torch.linalg.matrix_rank`.
  public func matrixRank(absolute: Double? = nil, relative: Double? = nil) throws -> Tensor {
    if let out = try autocast(.float32, [self], { try $0[0].matrixRank(absolute: absolute, relative: relative) }) {
      return out
    }
    try require(
      rank >= 2, "linalg.matrix_rank: The input tensor input must have at least 2 dimensions.")
    return try noGrad {
      if count == 0 { return try Tensor.zeros(Array(shape.dropLast(2)), dtype: .int64) }
      return try svd(full: false).s.aboveTolerance(self, absolute, relative).to(.int64).sum([-1])
    }
  }

  // MARK: LU

  /// L and U (in one matrix; L's diagonal is 1) and int32 pivots from 1: the row that each step changed places with.
  /// PyTorch: `torch.linalg.lu_factor`.
  public func luFactor() throws -> (lu: Tensor, pivots: Tensor) {
    if let out = try autocast(.float32, [self], { try $0[0].luFactor() }) { return out }
    let name = "linalg.lu_factor"
    try require(rank >= 2, "\(name): The input tensor A must have at least 2 dimensions.")
    let (m, n) = (shape[rank - 2], shape[rank - 1])
    let k = min(m, n)
    let found = try factored(name, outputs: [[m, n], [k]]) { a, outputs in
      for (step, pivot) in Factorization.eliminate(a, m, n).enumerated() { outputs[1][step] = Double(pivot + 1) }
      for i in 0..<(m * n) { outputs[0][i] = a[i] }
    }
    let pivots = try found[1].to(.int32)
    try recordOutputs("LinalgLuFactorEx", [self], [found[0]], saving: [found[0], pivots]) { context in
      try require(
        m == n, .notImplemented, "linalg.lu_factor: gradients are there for square matrices only, not for \(m)x\(n)")
      let (lu, pivots) = (try context.saved(0), try context.saved(1))
      let identity = try Tensor.eye(n, dtype: lu.dtype)
      let (l, u) = (try lu.tril(-1) + identity, try lu.triu())
      // P L⁻ᵀ (the lower part of Lᵀ L' and the upper part of U' Uᵀ) U⁻ᵀ.
      let grad = try context.grad
      let inner = try l.transposed().matmul(grad.tril(-1)).tril(-1) + grad.triu().matmul(u.transposed()).triu()
      let left = try l.transposed().solve(inner)
      let both = try u.solve(left.transposed()).transposed()
      return [try Tensor.permutation(pivots, rows: m, dtype: lu.dtype).matmul(both)]
    }
    return (found[0], pivots)
  }

  /// P with A = P L U, from the pivots of `luFactor`.
  public static func permutation(_ pivots: Tensor, rows: Int, dtype: DType) throws -> Tensor {
    let lead = Array(pivots.shape.dropLast())
    let steps = pivots.shape.last ?? 0
    let numbers = try pivots.doubles()
    let places = try (0..<(try Shape.count(lead))).flatMap { item -> [Double] in
      var order = (0..<rows).map(Double.init)
      for step in 0..<steps {
        let other = Int(numbers[item * steps + step]) - 1
        try require(step < rows && (0..<rows).contains(other), "a pivot is out of range: \(other + 1)")
        order.swapAt(step, other)
      }
      return order
    }
    let order = try Tensor.of(places, dtype: .int64).reshape(lead + [rows])
    let columns = try Tensor.arange(0, .int(Int64(rows)), dtype: .int64).unsqueeze(-1)
    return try Binary.apply(.eq, .tensor(order.unsqueeze(-2)), .tensor(columns)).to(dtype)
  }
}
