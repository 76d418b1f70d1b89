import KernelTypes

#if SN_V4
  private typealias Wide = SIMD16<Float>
#else
  private typealias Wide = SIMD8<Float>
#endif

/// Multiplies and adds in registers only, `rounds` times ten vectors: the rate that no kernel can exceed. Ten
/// independent chains cover the latency of two units. The sum is returned so that the work is not left out.
private func multiplyAdds(_ rounds: Int, _ factor: Float) -> Float {
  let f = Wide(repeating: factor)
  let g = Wide(repeating: 1 - factor)
  var a0 = f, a1 = f + 1, a2 = f + 2, a3 = f + 3, a4 = f + 4
  var a5 = f + 5, a6 = f + 6, a7 = f + 7, a8 = f + 8, a9 = f + 9
  @inline(__always)
  func step(_ a: inout Wide) {
    #if SN_FMA
      a = g.addingProduct(a, f)
    #else
      a = a * f + g
    #endif
  }
  for _ in 0..<rounds {
    step(&a0)
    step(&a1)
    step(&a2)
    step(&a3)
    step(&a4)
    step(&a5)
    step(&a6)
    step(&a7)
    step(&a8)
    step(&a9)
  }
  return (a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7 + a8 + a9).sum()
}

func registerPeak(_ table: KernelTable) {
  table.multiplyAdds = multiplyAdds
  table.multiplyAddsPerRound = 10 * Wide.scalarCount
}
