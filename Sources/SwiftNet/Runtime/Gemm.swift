import KernelTypes

/// `c = alpha * a · b + beta * c` for an m×k matrix a and a k×n matrix b, whose strides (in elements) are
/// arbitrary; the columns of c are adjacent. With beta 0, c is not read.
func gemm(
  _ type: DType, m: Int, n: Int, k: Int, alpha: Double,
  a: UnsafeRawPointer, aRowStride: Int, aColumnStride: Int,
  b: UnsafeRawPointer, bRowStride: Int, bColumnStride: Int,
  beta: Double, c: UnsafeMutableRawPointer, cRowStride: Int, using table: KernelTable = kernels
) throws {
  try gemmBatched(
    type, batch: 1, m: m, n: n, k: k, alpha: alpha, a: a, aBatchStride: 0, aRowStride: aRowStride,
    aColumnStride: aColumnStride, b: b, bBatchStride: 0, bRowStride: bRowStride, bColumnStride: bColumnStride,
    beta: beta, c: c, cBatchStride: 0, cRowStride: cRowStride,
    using: table)
}

/// `gemm` for `batch` matrices that lie the given strides (in elements) apart.
func gemmBatched(
  _ type: DType, batch: Int, m: Int, n: Int, k: Int, alpha: Double,
  a: UnsafeRawPointer, aBatchStride: Int, aRowStride: Int, aColumnStride: Int,
  b: UnsafeRawPointer, bBatchStride: Int, bRowStride: Int, bColumnStride: Int,
  beta: Double, c: UnsafeMutableRawPointer, cBatchStride: Int, cRowStride: Int,
  using table: KernelTable = kernels
) throws {
  func run<T: BinaryFloatingPoint>(_: T.Type) {
    let a = a.assumingMemoryBound(to: T.self), b = b.assumingMemoryBound(to: T.self)
    let c = c.assumingMemoryBound(to: T.self)
    parallelFor(batch * m, grain: 8) { start, end in
      for row in start..<end {
        let ai = a + (row / m) * aBatchStride + (row % m) * aRowStride
        let bi = b + (row / m) * bBatchStride
        let ci = c + (row / m) * cBatchStride + (row % m) * cRowStride
        for j in 0..<n {
          var sum: T = 0
          for l in 0..<k { sum += ai[l * aColumnStride] * bi[l * bRowStride + j * bColumnStride] }
          ci[j] = beta == 0 ? T(alpha) * sum : T(alpha) * sum + T(beta) * ci[j]
        }
      }
    }
  }
  switch type {
  case .float32: run(Float.self)
  case .float64: run(Double.self)
  default: throw SwiftNetError.notImplemented("gemm is not implemented for \(type)")
  }
}
