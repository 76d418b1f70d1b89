import KernelTypes

/// All kernels as this instruction set's build has them.
public func makeKernelTable() -> KernelTable {
  #if SN_V4
    var table = KernelTable(name: "avx512")
  #elseif SN_V3
    var table = KernelTable(name: "avx2")
  #else
    var table = KernelTable(name: "baseline")
  #endif
  registerConversions(&table.elementwise)
  registerArithmetic(&table.elementwise)
  registerGemm(&table.gemm)
  registerWinograd(&table.winograd)
  return table
}
