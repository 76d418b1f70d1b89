import KernelTypes

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

@inline(__always) func ceiling<V: FloatVector>(_ a: V) -> V { a.rounded(.up) }
@inline(__always) func floor<V: FloatVector>(_ a: V) -> V { a.rounded(.down) }
@inline(__always) func truncate<V: FloatVector>(_ a: V) -> V { a.rounded(.towardZero) }
@inline(__always) func roundHalfEven<V: FloatVector>(_ a: V) -> V { a.rounded(.toNearestOrEven) }
@inline(__always) func fraction<V: FloatVector>(_ a: V) -> V { a - a.rounded(.towardZero) }

/// a rounded to a multiple of 1 / q, where q is 10^decimals; for negative decimals, of q.
@inline(__always) func roundDecimals<V: FloatVector>(_ a: V, _ s: Parameters<V>) -> V {
  V.select(
    s.p .< V.zero, (a / s.q).rounded(.toNearestOrEven) * s.q, (a * s.q).rounded(.toNearestOrEven) / s.q)
}

/// p for NaN, q for +inf, r for -inf.
@inline(__always) func replaceNonFinite<V: FloatVector>(_ a: V, _ s: Parameters<V>) -> V {
  let infinity = V(.infinity)
  let upper = V.select(a .== infinity, s.q, a)
  let both = V.select(a .== infinity.negated, s.r, upper)
  return V.select(a .!= a, s.p, both)
}

@inline(__always) func isNaN<V: FloatVector>(_ a: V) -> V { V.flag(a .!= a) }
@inline(__always) func isInfinite<V: FloatVector>(_ a: V) -> V { V.flag(a.absolute .== V(.infinity)) }
@inline(__always) func isFinite<V: FloatVector>(_ a: V) -> V { V.flag(a.absolute .< V(.infinity)) }
@inline(__always) func isPositiveInfinity<V: FloatVector>(_ a: V) -> V { V.flag(a .== V(.infinity)) }
@inline(__always) func isNegativeInfinity<V: FloatVector>(_ a: V) -> V { V.flag(a .== V(-.infinity)) }
/// True of -0 and of a NaN with its sign set.
@inline(__always) func signBit<V: FloatVector>(_ a: V) -> V {
  V.flag(V.joinBits(a.signBits, V.one) .< V.zero)
}

func registerRounding(_ table: inout ElementwiseKernels) {
  table.unary(.ceil, ceiling, ceiling)
  table.unary(.floor, floor, floor)
  table.unary(.trunc, truncate, truncate)
  table.unary(.round, roundHalfEven, roundHalfEven)
  table.unary(.frac, fraction, fraction)
  table[.roundDecimals, .f32] = ElementwiseKernel { a, out, n, s in
    let scaled = Parameters<Floats>(Scalars(s.p, pow(10, abs(s.p))))
    map1(a, out, n) { roundDecimals($0, scaled) }
  }
  table[.roundDecimals, .f64] = ElementwiseKernel { a, out, n, s in
    let scaled = Parameters<Doubles>(Scalars(s.p, pow(10, abs(s.p))))
    map1(a, out, n) { roundDecimals($0, scaled) }
  }
  table.unary(.nanToNum, replaceNonFinite, replaceNonFinite)
  table.unary(.isnan, isNaN, isNaN)
  table.unary(.isinf, isInfinite, isInfinite)
  table.unary(.isfinite, isFinite, isFinite)
  table.unary(.isposinf, isPositiveInfinity, isPositiveInfinity)
  table.unary(.isneginf, isNegativeInfinity, isNegativeInfinity)
  table.unary(.signbit, signBit, signBit)
}
