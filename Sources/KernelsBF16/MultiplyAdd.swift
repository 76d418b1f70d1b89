import CBFloat16

/// This module links to the float32 tiles of `Kernels` and gives their multiplication another meaning: the lanes of
/// `a` and `b` are pairs of bfloat16 (32 bits, as a float would have), those of `sum` are float32, and
/// `sum += a.0 * b.0 + a.1 * b.1`. Half as many steps, otherwise the same loops.
@inline(__always)
func multiplyAdd<V: SIMD>(_ sum: inout V, _ a: V, _ b: V) where V.Scalar: FloatingPoint {
  let result = sn_add_pair_products(
    unsafeBitCast(sum, to: SIMD16<Float>.self), unsafeBitCast(a, to: SIMD16<Float>.self),
    unsafeBitCast(b, to: SIMD16<Float>.self))
  sum = unsafeBitCast(result, to: V.self)
}

@inline(__always)
func multiplyAdd<V: SIMD>(_ sum: inout V, _ a: V.Scalar, _ b: V) where V.Scalar: FloatingPoint {
  multiplyAdd(&sum, V(repeating: a), b)
}
