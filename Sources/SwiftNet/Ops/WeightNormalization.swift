/// Weights as functions of other parameters.
extension Tensor {
  /// The 2-norms over all dimensions but one, which are kept with size one; of everything if `dim` is nil.
  public func normExcept(_ dim: Int?) throws -> Tensor {
    guard let dim else { return try vectorNorm(2) }
    let d = try Shape.dimension(dim, rank: rank)
    let others = (0..<rank).filter { $0 != d }
    return others.isEmpty ? try unary(.abs) : try vectorNorm(2, others, keepdim: true)
  }

  /// magnitude · v / ‖v‖ with v this tensor and norms over all dimensions but one (Salimans and Kingma, 2016,
  /// https://arxiv.org/abs/1602.07868).
  public func weightNormalized(_ magnitude: Tensor, dim: Int?) throws -> Tensor {
    try self * (magnitude / normExcept(dim))
  }

  /// A matrix of one dimension's positions by all others.
  public func flattenedMatrix(_ dim: Int) throws -> Tensor {
    try require(rank > 0, "expected a weight with at least one dimension")
    let d = try Shape.dimension(dim, rank: rank)
    let front = d == 0 ? self : try permute([d] + (0..<rank).filter { $0 != d })
    return try front.reshape([shape[d], count / Swift.max(shape[d], 1)])
  }

  /// Steps of the power method for this matrix: u ← A·v / ‖A·v‖, v ← Aᵀ·u / ‖Aᵀ·u‖, in place.
  public func iteratePower(_ u: Tensor, _ v: Tensor, steps: Int, eps: Double, startsWithV: Bool = false) throws {
    try require(rank == 2, "expected a matrix, got \(rank)D")
    try noGrad {
      for _ in 0..<Swift.max(steps, 0) {
        if startsWithV { try v.copyInPlace(transpose(0, 1).matmul(u).normalize(dims: [0], eps: eps)) }
        try u.copyInPlace(matmul(v).normalize(dims: [0], eps: eps))
        if !startsWithV { try v.copyInPlace(transpose(0, 1).matmul(u).normalize(dims: [0], eps: eps)) }
      }
    }
  }

  /// Divided by its largest singular value, uᵀ·A·v, A being the matrix of dimension `dim` by all others (Miyato et al.,
  /// 2018, https://arxiv.org/abs/1802.05957).
  public func spectralNormalized(_ u: Tensor, _ v: Tensor, dim: Int) throws -> Tensor {
    let matrix = try flattenedMatrix(dim)
    return try self / (u * matrix.matmul(v)).sum()
  }

  /// e^A of square matrices (…, n, n): scaled until its norm is below one half, a series, then squared as often.
  public func matrixExponential() throws -> Tensor {
    // The products that it is made of stay in its own precision.
    let isMixed = Autocast.pause()
    defer { Autocast.resume(isMixed) }
    try require(
      rank >= 2 && shape[rank - 1] == shape[rank - 2],
      "linalg.matrix_exp: A must be batches of square matrices, but they are \(shape.count > 1 ? shape[rank - 2] : 0) by "
        + "\(shape.last ?? 0) matrices")
    try require(
      dtype.isFloatingPoint,
      "linalg.matrix_exp: Expected a floating point or complex tensor as input. Got "
        + dtype.scalarTypeName)
    if count == 0 { return try self * 1.0 }
    if dtype.lane.dtype != dtype { return try to(.float32).matrixExponential().to(dtype) }
    let norm = try noGrad { try unary(.abs).sum([-2]).amax().item().double }
    try require(norm.isFinite, "linalg.matrix_exp: the matrix has entries that are not finite")
    var squarings = 0
    while norm > 0.5 * Double(1 << squarings), squarings < 60 { squarings += 1 }
    let scaled = try self * .float(1 / Double(1 << squarings))
    // The remainder after k terms is below 0.5^k / k!: 1e-17 after 13.
    let n = shape[rank - 1]
    let identity = try Tensor.eye(n, dtype: dtype)
    var result = try scaled / 13.0 + identity
    for k in (1...12).reversed() { result = try scaled.matmul(result) / .float(Double(k)) + identity }
    for _ in 0..<squarings { result = try result.matmul(result) }
    return result
  }

  /// The first columns of the product of reflections I - τᵢ·vᵢ·vᵢᵀ, vᵢ being column i of this tensor (…, m, n) from the
  /// diagonal down, which counts as one. PyTorch: `torch.linalg.householder_product`.
  public func householderProduct(_ tau: Tensor) throws -> Tensor {
    if let out = try autocast(.float32, [self, tau], { try $0[0].householderProduct($0[1]) }) { return out }
    try require(rank >= 2, "torch.linalg.householder_product: input must have at least 2 dimensions.")
    let (m, n) = (shape[rank - 2], shape[rank - 1])
    try require(
      m >= n, "torch.linalg.householder_product: input.shape[-2] must be greater than or equal to input.shape[-1]")
    try require(
      tau.rank == rank - 1 && tau.shape[tau.rank - 1] <= n,
      "torch.linalg.householder_product: input.shape[-1] must be greater than or equal to tau.shape[-1]")
    let rows = try Tensor.arange(0, .int(Int64(m)), dtype: .int64).unsqueeze(1)
    let columns = try Tensor.arange(0, .int(Int64(n)), dtype: .int64).unsqueeze(0)
    let below = try Binary.apply(.gt, .tensor(rows), .tensor(columns))
    let identity = try Tensor.eye(m, n, dtype: dtype)
    let reflectors = try whereSelect(below, .tensor(self), .tensor(identity))
    var result = try identity.expand(Array(shape.dropLast(2)) + [m, n])
    for i in (0..<tau.shape[tau.rank - 1]).reversed() {
      let v = try reflectors.narrow(rank - 1, i, 1)
      let factor = try tau.narrow(tau.rank - 1, i, 1).unsqueeze(tau.rank)
      result = try result - (v * factor).matmul(v.transpose(rank - 2, rank - 1).matmul(result))
    }
    return result
  }

  /// The compact form of A = Q·R for matrices (…, m, n): R on and above the diagonal, below it the reflections whose
  /// product is Q, and their factors (…, min(m, n)). Not differentiable. PyTorch: `torch.geqrf`.
  public func reflections() throws -> (a: Tensor, tau: Tensor) {
    try require(rank >= 2, "geqrf: input must have at least 2 dimensions.")
    try require(dtype.isFloatingPoint, "geqrf: expected a floating-point tensor, got \(dtype.name)")
    let (m, n) = (shape[rank - 2], shape[rank - 1])
    let k = Swift.min(m, n)
    let batch = Array(shape.dropLast(2))
    return try noGrad {
      let work = try Tensor(empty: shape, dtype: .float64)
      try copyElements(from: self, to: work)
      let tau = try Tensor.zeros(batch + [k], dtype: .float64)
      let a = try work.mutablePointer().assumingMemoryBound(to: Double.self)
      let factors = try tau.mutablePointer().assumingMemoryBound(to: Double.self)
      for b in 0..<(try Shape.count(batch)) {
        Tensor.reflect(a + b * m * n, m, n, factors + b * k)
        try Interrupt.check()
      }
      return (try work.to(dtype), try tau.to(dtype))
    }
  }

  /// Householder's reflections of one matrix, in place, column by column.
  private static func reflect(
    _ a: UnsafeMutablePointer<Double>, _ m: Int, _ n: Int, _ tau: UnsafeMutablePointer<Double>
  ) {
    for j in 0..<Swift.min(m, n) {
      var rest = 0.0
      for i in (j + 1)..<Swift.max(m, j + 1) { rest += a[i * n + j] * a[i * n + j] }
      let head = a[j * n + j]
      if rest == 0 {
        tau[j] = 0
        continue
      }
      let length = (head * head + rest).squareRoot()
      let beta = head < 0 ? length : -length
      tau[j] = (beta - head) / beta
      for i in (j + 1)..<m { a[i * n + j] /= head - beta }
      a[j * n + j] = beta
      for column in (j + 1)..<Swift.max(n, j + 1) {
        var sum = a[j * n + column]
        for i in (j + 1)..<m { sum += a[i * n + j] * a[i * n + column] }
        sum *= tau[j]
        a[j * n + column] -= sum
        for i in (j + 1)..<m { a[i * n + column] -= sum * a[i * n + j] }
      }
    }
  }
}
