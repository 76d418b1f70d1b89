import KernelTypes

@inline(__always) func equal<V: FloatVector>(_ a: V, _ b: V) -> V { V.flag(a .== b) }
@inline(__always) func notEqual<V: FloatVector>(_ a: V, _ b: V) -> V { V.flag(a .!= b) }
@inline(__always) func less<V: FloatVector>(_ a: V, _ b: V) -> V { V.flag(a .< b) }
@inline(__always) func lessOrEqual<V: FloatVector>(_ a: V, _ b: V) -> V { V.flag(a .<= b) }
@inline(__always) func greater<V: FloatVector>(_ a: V, _ b: V) -> V { V.flag(a .> b) }
@inline(__always) func greaterOrEqual<V: FloatVector>(_ a: V, _ b: V) -> V { V.flag(a .>= b) }

@inline(__always) func logicalNot<V: FloatVector>(_ a: V) -> V { V.flag(a .== V.zero) }
@inline(__always) func logicalAnd<V: FloatVector>(_ a: V, _ b: V) -> V {
  V.select(a .!= V.zero, V.flag(b .!= V.zero), V.zero)
}
@inline(__always) func logicalOr<V: FloatVector>(_ a: V, _ b: V) -> V {
  V.select(a .!= V.zero, V.one, V.flag(b .!= V.zero))
}
@inline(__always) func logicalXor<V: FloatVector>(_ a: V, _ b: V) -> V {
  V.select(a .!= V.zero, V.flag(b .== V.zero), V.flag(b .!= V.zero))
}
@inline(__always) func choose<V: FloatVector>(_ a: V, _ b: V, _ c: V, _ s: Parameters<V>) -> V {
  V.select(a .!= V.zero, b, c)
}
/// 0 below zero, b at zero, 1 above.
@inline(__always) func stepFunction<V: FloatVector>(_ a: V, _ b: V) -> V {
  V.select(a .== V.zero, b, V.flag(a .> V.zero))
}

@inline(__always) private func flag(_ mask: SIMDMask<SIMD8<Int64>>) -> Longs {
  Longs(repeating: 0).replacing(with: Longs(repeating: 1), where: mask)
}
@inline(__always) func equal(_ a: Longs, _ b: Longs, _ p: Int64) -> Longs { flag(a .== b) }
@inline(__always) func notEqual(_ a: Longs, _ b: Longs, _ p: Int64) -> Longs { flag(a .!= b) }
@inline(__always) func less(_ a: Longs, _ b: Longs, _ p: Int64) -> Longs { flag(a .< b) }
@inline(__always) func lessOrEqual(_ a: Longs, _ b: Longs, _ p: Int64) -> Longs { flag(a .<= b) }
@inline(__always) func greater(_ a: Longs, _ b: Longs, _ p: Int64) -> Longs { flag(a .> b) }
@inline(__always) func greaterOrEqual(_ a: Longs, _ b: Longs, _ p: Int64) -> Longs { flag(a .>= b) }

@inline(__always) func logicalAnd(_ a: Int64, _ b: Int64) -> Int64 { a != 0 && b != 0 ? 1 : 0 }
@inline(__always) func logicalOr(_ a: Int64, _ b: Int64) -> Int64 { a != 0 || b != 0 ? 1 : 0 }
@inline(__always) func logicalXor(_ a: Int64, _ b: Int64) -> Int64 { (a != 0) != (b != 0) ? 1 : 0 }
@inline(__always) func logicalNot(_ a: Int64, _ s: Scalars) -> Int64 { a == 0 ? 1 : 0 }
@inline(__always) func choose(_ a: Int64, _ b: Int64, _ c: Int64, _ s: Scalars) -> Int64 { a != 0 ? b : c }
@inline(__always) func stepFunction(_ a: Int64, _ b: Int64) -> Int64 { a == 0 ? b : a > 0 ? 1 : 0 }

func registerComparisons(_ table: inout ElementwiseKernels) {
  table.binary(.eq, equal, equal)
  table.binary(.ne, notEqual, notEqual)
  table.binary(.lt, less, less)
  table.binary(.le, lessOrEqual, lessOrEqual)
  table.binary(.gt, greater, greater)
  table.binary(.ge, greaterOrEqual, greaterOrEqual)
  table.unary(.logicalNot, logicalNot, logicalNot)
  table.binary(.logicalAnd, logicalAnd, logicalAnd)
  table.binary(.logicalOr, logicalOr, logicalOr)
  table.binary(.logicalXor, logicalXor, logicalXor)
  table.ternary(.where, choose, choose)
  table.binary(.heaviside, stepFunction, stepFunction)

  table.integerVector(.eq, equal)
  table.integerVector(.ne, notEqual)
  table.integerVector(.lt, less)
  table.integerVector(.le, lessOrEqual)
  table.integerVector(.gt, greater)
  table.integerVector(.ge, greaterOrEqual)
  table.integerUnary(.logicalNot, logicalNot)
  table.integerBinary(.logicalAnd, logicalAnd)
  table.integerBinary(.logicalOr, logicalOr)
  table.integerBinary(.logicalXor, logicalXor)
  table.integerTernary(.where, choose)
  table.integerBinary(.heaviside, stepFunction)
}
