import KernelTypes

/// All kernels as this instruction set's build has them.
public func makeKernelTable() -> KernelTable {
  #if SN_V4
    let table = KernelTable(name: "avx512")
  #elseif SN_V3
    let table = KernelTable(name: "avx2")
  #else
    let table = KernelTable(name: "baseline")
  #endif
  registerConversions(&table.elementwise)
  registerArithmetic(&table.elementwise)
  registerRounding(&table.elementwise)
  registerComparisons(&table.elementwise)
  registerIntegers(&table.elementwise)
  registerExponentials(&table.elementwise)
  registerTrigonometry(&table.elementwise)
  registerSpecialFunctions(&table.elementwise)
  registerActivations(&table.elementwise)
  registerActivationGradients(&table.elementwise)
  registerReductions(&table.reduce)
  registerArgReductions(&table.reduce)
  registerScans(&table.reduce)
  registerGemm(&table.gemm)
  registerThinProducts(&table.thin)
  registerPooling(&table.pool)
  registerResampling(&table.resampling)
  registerNormalization(&table.norm)
  registerSoftmax(&table.softmax)
  registerSorting(&table.sort)
  registerCrossEntropy(&table.loss)
  registerBinaryLosses(&table.loss)
  registerOptimizers(&table.optimizers)
  registerWinograd(&table.winograd)
  registerRandomNumbers(&table.random)
  registerPeak(table)
  return table
}
