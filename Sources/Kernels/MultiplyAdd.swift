/// `sum += a * b`, in one rounding where the instruction set has it. (Without, `addProduct` would call the
/// mathematical library for every element.)
@inline(__always)
func multiplyAdd<V: SIMD>(_ sum: inout V, _ a: V, _ b: V) where V.Scalar: FloatingPoint {
  #if SN_FMA
    sum.addProduct(a, b)
  #else
    sum += a * b
  #endif
}

@inline(__always)
func multiplyAdd<V: SIMD>(_ sum: inout V, _ a: V.Scalar, _ b: V) where V.Scalar: FloatingPoint {
  multiplyAdd(&sum, V(repeating: a), b)
}
