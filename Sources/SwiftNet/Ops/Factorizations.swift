#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Factorisations of one matrix in double precision, row by row in memory (Golub and Van Loan, Matrix Computations).
enum Factorization {
  typealias Matrix = UnsafeMutablePointer<Double>

  // MARK: Householder's QR

  /// A (m × n) becomes R on and above the diagonal, and below it the reflectors v (1 above their first element) of
  /// Q = H₀ H₁ …, Hₖ = 1 - τₖ v vᵀ. Signs are LAPACK's.
  static func reflect(_ a: Matrix, _ m: Int, _ n: Int) -> [Double] {
    var tau = [Double](repeating: 0, count: min(m, n))
    var sums = [Double](repeating: 0, count: n)
    for k in 0..<min(m, n) {
      var below = 0.0
      for i in (k + 1)..<max(m, k + 1) { below += a[i * n + k] * a[i * n + k] }
      if below == 0 { continue }
      let head = a[k * n + k]
      let beta = -copysign((head * head + below).squareRoot(), head)
      tau[k] = (beta - head) / beta
      for i in (k + 1)..<m { a[i * n + k] /= head - beta }
      a[k * n + k] = beta
      apply(tau[k], vectors: a, n, to: a, n, columns: (k + 1)..<max(n, k + 1), k, m, &sums)
    }
    return tau
  }

  /// C ← H C for the reflector in column k of `vectors`, on some columns of C.
  private static func apply(
    _ tau: Double, vectors v: Matrix, _ width: Int, to c: Matrix, _ n: Int, columns: Range<Int>, _ k: Int, _ m: Int,
    _ sums: inout [Double]
  ) {
    for j in columns { sums[j] = c[k * n + j] }
    for i in (k + 1)..<max(m, k + 1) {
      let factor = v[i * width + k]
      for j in columns { sums[j] += factor * c[i * n + j] }
    }
    for j in columns {
      sums[j] *= tau
      c[k * n + j] -= sums[j]
    }
    for i in (k + 1)..<max(m, k + 1) {
      let factor = v[i * width + k]
      for j in columns { c[i * n + j] -= factor * sums[j] }
    }
  }

  /// The first `columns` columns of Q (m × columns) from the reflectors in A (m × n).
  static func orthogonal(_ a: Matrix, _ m: Int, _ n: Int, _ tau: [Double], _ q: Matrix, columns: Int) {
    for i in 0..<m { for j in 0..<columns { q[i * columns + j] = i == j ? 1 : 0 } }
    var sums = [Double](repeating: 0, count: columns)
    for k in tau.indices.reversed() where tau[k] != 0 {
      apply(tau[k], vectors: a, n, to: q, columns, columns: 0..<columns, k, m, &sums)
    }
  }

  // MARK: Gauss' LU

  /// P A = L U with row pivots, in place, for A (m × n). Returns the row that each step changed places with.
  static func eliminate(_ a: Matrix, _ m: Int, _ n: Int) -> [Int] {
    var pivots: [Int] = []
    for k in 0..<min(m, n) {
      var pivot = k
      for i in k..<m where abs(a[i * n + k]) > abs(a[pivot * n + k]) { pivot = i }
      pivots.append(pivot)
      if a[pivot * n + k] == 0 { continue }
      if pivot != k { for j in 0..<n { (a[k * n + j], a[pivot * n + j]) = (a[pivot * n + j], a[k * n + j]) } }
      for i in (k + 1)..<max(m, k + 1) {
        let factor = a[i * n + k] / a[k * n + k]
        a[i * n + k] = factor
        if factor != 0 { for j in (k + 1)..<max(n, k + 1) { a[i * n + j] -= factor * a[k * n + j] } }
      }
    }
    return pivots
  }

  // MARK: Jacobi's rotations

  /// Rotations are done until nothing is left to turn; this many rounds are more than any matrix needs.
  private static let rounds = 60

  /// (x, y) ← (c x - s y, s x + c y) for two rows.
  private static func rotate(_ x: Matrix, _ y: Matrix, _ count: Int, _ c: Double, _ s: Double, by step: Int = 1) {
    for i in 0..<count {
      let (a, b) = (x[i * step], y[i * step])
      x[i * step] = c * a - s * b
      y[i * step] = s * a + c * b
    }
  }

  /// Cosine and sine of the rotation with (difference of the diagonal) / (twice the element beside it) = zeta.
  private static func rotation(_ zeta: Double) -> (Double, Double) {
    let t = (zeta < 0 ? -1.0 : 1.0) / (abs(zeta) + (1 + zeta * zeta).squareRoot())
    let c = 1 / (1 + t * t).squareRoot()
    return (c, c * t)
  }

  private static func identity(_ n: Int) -> Matrix {
    let rows = Matrix.allocate(capacity: max(n * n, 1))
    for i in 0..<n { for j in 0..<n { rows[i * n + j] = i == j ? 1 : 0 } }
    return rows
  }

  /// A symmetric A (n × n), which is overwritten, as V diag(values) Vᵀ: values ascend, eigenvectors are columns of V.
  static func symmetric(_ a: Matrix, _ n: Int, values: Matrix, vectors: Matrix) {
    let rows = identity(n)
    defer { rows.deallocate() }
    for _ in 0..<rounds {
      var isDone = true
      for p in 0..<n {
        for q in (p + 1)..<max(n, p + 1) {
          let beside = a[p * n + q]
          // What is lost in the rounding of the diagonal needs no turn.
          if abs(beside) <= 1e-17 * (abs(a[p * n + p]) + abs(a[q * n + q])) || abs(beside) < 1e-300 { continue }
          isDone = false
          let (c, s) = rotation((a[q * n + q] - a[p * n + p]) / (2 * beside))
          rotate(a + p * n, a + q * n, n, c, s)
          rotate(a + p, a + q, n, c, s, by: n)
          rotate(rows + p * n, rows + q * n, n, c, s)
          a[p * n + q] = 0
          a[q * n + p] = 0
        }
      }
      if isDone { break }
    }
    let order = (0..<n).sorted { a[$0 * n + $0] < a[$1 * n + $1] }
    for (place, from) in order.enumerated() {
      values[place] = a[from * n + from]
      for i in 0..<n { vectors[i * n + place] = rows[from * n + i] }
    }
  }

  /// A (m × n, m ≥ n) as U diag(values) Vᵀ by rotations of its columns (Hestenes, 1958): values descend. `columns`
  /// holds A's columns one after another and is overwritten; U has `width` columns, n or m of them.
  static func singular(
    _ columns: Matrix, _ m: Int, _ n: Int, values: Matrix, left: Matrix, width: Int, right: Matrix
  ) {
    var scale = 0.0
    for i in 0..<(m * n) { scale = max(scale, abs(columns[i])) }
    if scale > 0 { for i in 0..<(m * n) { columns[i] /= scale } }
    let turns = identity(n)
    defer { turns.deallocate() }
    for _ in 0..<rounds {
      var isDone = true
      for p in 0..<n {
        for q in (p + 1)..<max(n, p + 1) {
          let (x, y) = (columns + p * m, columns + q * m)
          var (xx, yy, xy) = (0.0, 0.0, 0.0)
          for i in 0..<m {
            xx += x[i] * x[i]
            yy += y[i] * y[i]
            xy += x[i] * y[i]
          }
          if abs(xy) <= 1e-16 * (xx * yy).squareRoot() || abs(xy) < 1e-300 { continue }
          isDone = false
          let (c, s) = rotation((yy - xx) / (2 * xy))
          rotate(x, y, m, c, s)
          rotate(turns + p * n, turns + q * n, n, c, s)
        }
      }
      if isDone { break }
    }
    let lengths = (0..<n).map { j -> Double in
      var sum = 0.0
      for i in 0..<m { sum += columns[j * m + i] * columns[j * m + i] }
      return sum.squareRoot()
    }
    let order = (0..<n).sorted { lengths[$0] > lengths[$1] }
    let least = (order.first.map { lengths[$0] } ?? 0) * 1e-15 * Double(max(m, 1))
    var missing: [Int] = []
    for (place, from) in order.enumerated() {
      values[place] = lengths[from] * scale
      for i in 0..<n { right[i * n + place] = turns[from * n + i] }
      // A column of rounding errors says nothing of a direction.
      if lengths[from] <= least {
        missing.append(place)
      } else {
        for i in 0..<m { left[i * width + place] = columns[from * m + i] / lengths[from] }
      }
    }
    complete(left, m, width, missing: missing + Array(n..<max(width, n)))
  }

  /// Fills the missing columns of an orthonormal U (m × width).
  private static func complete(_ u: Matrix, _ m: Int, _ width: Int, missing: [Int]) {
    var known = (0..<width).filter { !missing.contains($0) }
    var candidate = 0
    for column in missing {
      // Some unit vector is at least 1/√m away from what the others span.
      for _ in 0..<m {
        for i in 0..<m { u[i * width + column] = i == candidate ? 1 : 0 }
        candidate = (candidate + 1) % m
        var length = 0.0
        for _ in 0..<2 {
          for other in known {
            var sum = 0.0
            for i in 0..<m { sum += u[i * width + other] * u[i * width + column] }
            for i in 0..<m { u[i * width + column] -= sum * u[i * width + other] }
          }
          length = 0
          for i in 0..<m { length += u[i * width + column] * u[i * width + column] }
        }
        if length * Double(4 * m) > 1 {
          for i in 0..<m { u[i * width + column] /= length.squareRoot() }
          break
        }
      }
      known.append(column)
    }
  }
}
