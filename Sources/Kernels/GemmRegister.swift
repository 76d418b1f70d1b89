import KernelTypes

func registerGemm(_ table: inout GemmKernels) {
  table.f32 = productKernels(Float.self)
  table.f64 = productKernels(Double.self)
}

@inline(__always)
private func productKernels<T: ProductScalar & ImageNumber>(_: T.Type) -> ProductKernels where T.Wide == T {
  let kernels = ProductKernels()
  kernels.rows = tileRows
  kernels.columns = T.tileColumns
  kernels.packRows = { packPanels($0, $1, $2, $3, $4, $5, width: tileRows, T.self) }
  kernels.packColumns = { packPanels($0, $1, $2, $3, $4, $5, width: T.tileColumns, T.self) }
  kernels.block = { gemmBlock($0, T.self) }
  kernels.dot = { dotRows($0, $1, $2, $3, $4.stride, $4.count, $5, $6, T.self) }
  kernels.addRows = { addRows($0, $1, $2, $3, $4, $5, T.self) }
  kernels.transpose = { transposeMatrix($0, $1, $2, $3, $4, $5, T.self) }
  kernels.gatherRows = { gatherTables($0, $1, $2, $3, $4) }
  kernels.convolveRows = { convolveRows($0, T.self) }
  kernels.gatherSources = { gatherSourceAddresses($0, $1, $2, $3, $4) }
  kernels.packGradient = { packGradientRows($0, $1, $2, $3, $4, $5, T.self) }
  kernels.gradientBlock = { gradientBlock($0, T.self) }
  kernels.convolveGroupLines = { convolveGroupLines($0, $1, $2, $3, $4, T.self) }
  kernels.gradientGroupLines = { gradientGroupLines($0, $1, T.self) }
  kernels.groupWidth = T.spreads ? 8 : 1
  kernels.packFilters = { packFilters($0, $1, $2, $3, $4, T.self) }
  kernels.unpackFilters = { unpackFilters($0, $1, $2, stretch: $3, paddedRun: $4, $5, T.self) }
  kernels.convolveLines = { convolveLines($0, $1, $2, $3, $4, T.self) }
  kernels.gradientLines = { gradientLines($0, $1, T.self) }
  kernels.addColumns = { addColumnSums($0.assumingMemoryBound(to: T.self), T.tileColumns, $1, $2, $3) }
  return kernels
}
