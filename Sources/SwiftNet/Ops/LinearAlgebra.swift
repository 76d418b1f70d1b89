#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Systems of linear equations and factorisations of small matrices, in double precision. Batches of matrices lie in
/// the leading dimensions.
extension Tensor {
  /// The matrices as doubles, row-major, one after another.
  func matrices(_ name: String) throws -> Tensor {
    try require(
      dtype.isFloatingPoint && dtype != .float16 && dtype != .bfloat16,
      "\(name): Expected a floating point or complex tensor as input. Got \(dtype.scalarTypeName)")
    return try noGrad {
      let copy = try Tensor(empty: shape, dtype: .float64)
      try copyElements(from: self, to: copy)
      return copy
    }
  }

  /// P A = L U by Gauss with row pivots, in place. Returns the order of the rows, its sign, and the first zero pivot.
  private static func factorLU(_ a: UnsafeMutablePointer<Double>, _ n: Int) -> (
    rows: [Int], sign: Double, zero: Int?
  ) {
    var rows = Array(0..<n)
    var sign = 1.0
    var zero: Int?
    for k in 0..<n {
      var pivot = k
      for i in k..<n where abs(a[i * n + k]) > abs(a[pivot * n + k]) { pivot = i }
      if a[pivot * n + k] == 0 {
        zero = zero ?? k
        continue
      }
      if pivot != k {
        for j in 0..<n { (a[k * n + j], a[pivot * n + j]) = (a[pivot * n + j], a[k * n + j]) }
        rows.swapAt(k, pivot)
        sign = -sign
      }
      for i in (k + 1)..<max(n, k + 1) {
        let factor = a[i * n + k] / a[k * n + k]
        a[i * n + k] = factor
        if factor != 0 { for j in (k + 1)..<max(n, k + 1) { a[i * n + j] -= factor * a[k * n + j] } }
      }
    }
    return (rows, sign, zero)
  }

  /// X with A X = B for stacks of square matrices; B has the shape of a stack with the same number of rows.
  private func solved(_ right: Tensor, _ name: String) throws -> Tensor {
    let factors = try matrices(name)
    let n = shape[rank - 1]
    let m = right.shape[right.rank - 1]
    let values = try right.matrices(name)
    let out = try Tensor(empty: right.shape, dtype: .float64)
    let batch = n * n == 0 ? 0 : count / (n * n)
    let a = try factors.mutablePointer().assumingMemoryBound(to: Double.self)
    let b = try values.pointer().assumingMemoryBound(to: Double.self)
    let x = try out.mutablePointer().assumingMemoryBound(to: Double.self)
    for item in 0..<batch {
      let lu = a + item * n * n
      let (rows, _, zero) = Tensor.factorLU(lu, n)
      if zero != nil {
        let place = rank > 2 ? "(Batch element \(item)): " : ""
        throw SwiftNetError.runtime(
          name == "linalg.inv"
            ? "linalg.inv: \(place)The diagonal element \((zero ?? 0) + 1) is zero, the inversion could not be "
              + "completed because the input matrix is singular."
            : "\(name): \(place)The solver failed because the input matrix is singular.")
      }
      let (from, to) = (b + item * n * m, x + item * n * m)
      for i in 0..<n {
        for c in 0..<m {
          var sum = from[rows[i] * m + c]
          for k in 0..<i { sum -= lu[i * n + k] * to[k * m + c] }
          to[i * m + c] = sum
        }
      }
      for i in (0..<n).reversed() {
        for c in 0..<m {
          var sum = to[i * m + c]
          for k in (i + 1)..<max(n, i + 1) { sum -= lu[i * n + k] * to[k * m + c] }
          to[i * m + c] = sum / lu[i * n + i]
        }
      }
    }
    return try noGrad { try out.to(dtype) }
  }

  /// The inverse of each matrix.
  public func inverse(_ name: String = "linalg.inv") throws -> Tensor {
    if let out = try autocast(.float32, [self], { try $0[0].inverse(name) }) { return out }
    try checkSquare(name)
    let out = try noGrad { try solved(Tensor.eye(shape[rank - 1], dtype: dtype).expand(shape), name) }
    return try out.recorded("LinalgInvEx", self, saving: [out]) { context in
      let turned = try context.saved(0).transposed()
      return [try turned.matmul(context.grad).matmul(turned).negated()]
    }
  }

  /// X with A X = B. B is a stack of matrices, or of vectors if it has one dimension less than A.
  public func solve(_ right: Tensor) throws -> Tensor {
    if let out = try autocast(.float32, [self, right], { try $0[0].solve($0[1]) }) { return out }
    let name = "linalg.solve"
    try checkSquare(name)
    try require(
      dtype == right.dtype,
      "\(name): Expected A and B to have the same dtype, but got \(dtype.cTypeName) and \(right.dtype.cTypeName)"
    )
    let isVector = right.rank == 1 || (right.rank == rank - 1 && right.shape == Array(shape.dropLast()))
    var b = try isVector ? right.unsqueeze(-1) : right
    try require(
      b.shape[b.rank - 2] == shape[rank - 1],
      "\(name): Incompatible shapes of A and B for the equation AX = B (\(shape[rank - 2])x\(shape[rank - 1]) and "
        + "\(b.shape[b.rank - 2])x\(b.shape[b.rank - 1]))")
    let lead = try Shape.broadcast(Array(shape.dropLast(2)), Array(b.shape.dropLast(2)))
    let a = try expand(lead + shape.suffix(2))
    b = try b.expand(lead + b.shape.suffix(2))
    let out = try noGrad { try a.solved(b, name) }
    try out.recorded("LinalgSolveEx", a, b, saving: [a, out]) { context in
      let (a, x) = (try context.saved(0), try context.saved(1))
      let gradB = try a.transposed().solve(context.grad)
      return [try gradB.matmul(x.transposed()).negated(), gradB]
    }
    return try isVector ? out.squeeze([-1]) : out
  }

  /// Sign and logarithm of the absolute value of each determinant.
  public func slogdet() throws -> (sign: Tensor, logabsdet: Tensor) {
    let (signs, logs) = try determinants("linalg.slogdet", logarithm: true)
    try recordOutputs("LinalgSlogdet", [self], [logs], saving: [self]) { context in
      let inverse = try context.saved(0).inverse().transposed()
      return [try context.grad.unsqueeze(-1).unsqueeze(-1) * inverse]
    }
    return (signs, logs)
  }

  /// The determinant of each matrix.
  public func det() throws -> Tensor {
    let (_, out) = try determinants("linalg.det", logarithm: false)
    return try out.recorded("LinalgDet", self, saving: [self, out]) { context in
      let (a, det) = (try context.saved(0), try context.saved(1))
      let grad = try context.grad
      let singular = try noGrad { try Binary.apply(.eq, .tensor(det), .scalar(0)).any().item() }
      if singular.isZero {
        return [try (grad * det).unsqueeze(-1).unsqueeze(-1) * a.inverse().transposed()]
      }
      return [try grad.unsqueeze(-1).unsqueeze(-1) * a.cofactors()]
    }
  }

  private func determinants(_ name: String, logarithm: Bool) throws -> (Tensor, Tensor) {
    try checkSquare(name)
    let factors = try matrices(name)
    let n = shape[rank - 1]
    let lead = Array(shape.dropLast(2))
    let signs = try Tensor.ones(lead, dtype: .float64)
    let values = try Tensor.full(lead, .float(logarithm ? 0 : 1), dtype: .float64)
    let a = try factors.mutablePointer().assumingMemoryBound(to: Double.self)
    let s = try signs.mutablePointer().assumingMemoryBound(to: Double.self)
    let v = try values.mutablePointer().assumingMemoryBound(to: Double.self)
    for item in 0..<signs.count where n > 0 {
      let lu = a + item * n * n
      let (_, sign, _) = Tensor.factorLU(lu, n)
      s[item] = sign
      v[item] = logarithm ? 0 : sign
      for i in 0..<n {
        let pivot = lu[i * n + i]
        if logarithm {
          s[item] *= pivot == 0 ? 0 : (pivot < 0 ? -1 : 1)
          v[item] += log(abs(pivot))
        } else {
          v[item] *= pivot
        }
      }
    }
    return try noGrad { (try signs.to(dtype), try values.to(dtype)) }
  }

  /// Of one element less in each direction: the signed minors, for the gradient at singular matrices.
  private func cofactors() throws -> Tensor {
    let n = shape[rank - 1]
    func without(_ x: Tensor, _ d: Int, _ i: Int) throws -> Tensor {
      try Tensor.cat([x.narrow(d, 0, i), x.narrow(d, i + 1, n - i - 1)], d)
    }
    if n == 1 { return try Tensor.ones(shape, dtype: dtype) }
    var rows: [Tensor] = []
    for i in 0..<n {
      let cut = try without(self, rank - 2, i)
      var row: [Tensor] = []
      for j in 0..<n {
        row.append(try (without(cut, rank - 1, j).det() * ((i + j) % 2 == 0 ? 1.0 : -1.0)).unsqueeze(-1))
      }
      rows.append(try Tensor.cat(row, rank - 2).unsqueeze(-2))
    }
    return try Tensor.cat(rows, rank - 2)
  }

  /// L with L Lᵀ = A, lower triangular (upper: the transpose); A is symmetric and positive definite.
  public func cholesky(upper: Bool = false) throws -> Tensor {
    if let out = try autocast(.float32, [self], { try $0[0].cholesky(upper: upper) }) { return out }
    let name = "linalg.cholesky"
    try checkSquare(name)
    let source = try matrices(name)
    let n = shape[rank - 1]
    let out = try Tensor.zeros(shape, dtype: .float64)
    let a = try source.pointer().assumingMemoryBound(to: Double.self)
    let l = try out.mutablePointer().assumingMemoryBound(to: Double.self)
    for item in 0..<(n == 0 ? 0 : count / (n * n)) {
      let base = item * n * n
      for j in 0..<n {
        for i in j..<n {
          var sum = upper ? a[base + j * n + i] : a[base + i * n + j]
          for k in 0..<j { sum -= l[base + i * n + k] * l[base + j * n + k] }
          if i == j {
            try require(
              sum > 0,
              "\(name): \(rank > 2 ? "(Batch element \(item)): " : "")The factorization could not be completed because "
                + "the input is not positive-definite (the leading minor of order \(j + 1) is not positive-definite)."
            )
            l[base + j * n + j] = sum.squareRoot()
          } else {
            l[base + i * n + j] = sum / l[base + j * n + j]
          }
        }
      }
    }
    let lower = try noGrad { try out.to(dtype) }
    try lower.recorded("LinalgCholeskyEx", self, saving: [lower]) { context in
      // Murray (2016), https://arxiv.org/abs/1602.07527: A' = L⁻ᵀ Φ(Lᵀ L') L⁻¹, Φ the lower half with half the
      // diagonal, made symmetric.
      let l = try context.saved(0)
      let inner = try l.transposed().matmul(context.grad)
      let half = try Tensor.lowerHalf(n, dtype: l.dtype)
      let inverse = try l.inverse()
      let s = try inverse.transposed().matmul(inner * half).matmul(inverse)
      return [try (s + s.transposed()) * 0.5]
    }
    return try upper ? lower.transposed() : lower
  }

  /// 1 below the diagonal, 1/2 on it.
  private static func lowerHalf(_ n: Int, dtype: DType) throws -> Tensor {
    let rows = try Tensor.arange(0, .int(Int64(n))).unsqueeze(1)
    let columns = try Tensor.arange(0, .int(Int64(n))).unsqueeze(0)
    let below = try Binary.apply(.gt, .tensor(rows), .tensor(columns)).to(dtype)
    return try below + Tensor.eye(n, dtype: dtype) * 0.5
  }
}
