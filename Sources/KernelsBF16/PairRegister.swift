import KernelTypes

/// The products of bfloat16 pairs. Their sums are float32, biases included; results of convolutions are rounded on their
/// way out. The processor must have AVX512-BF16. Tables of addresses are those of float32: `gatherRows` is left to the
/// caller.
public func makePairKernels() -> ProductKernels {
  let kernels = ProductKernels()
  kernels.rows = tileRows
  kernels.columns = Float.tileColumns
  kernels.packRows = { packPairs($0, $1, $2, $3, $4, $5, width: tileRows) }
  kernels.packColumns = { packColumnPairs($0, $1, $2, $3, $4, $5) }
  kernels.block = { gemmBlock($0, Float.self) }
  kernels.dot = { dotRows($0, $1, $2, $3, $4.stride, $4.count, $5, $6, Float.self) }
  kernels.convolveRows = { convolveRows($0, BrainFloat.self) }
  kernels.convolveLines = { convolveLines($0, $1, $2, $3, $4, BrainFloat.self) }
  kernels.gradientLines = { gradientLines($0, $1, Float.self) }
  kernels.packFilters = { packFilterPairs($0, $1, $2, $3, $4) }
  kernels.transpose = { transposeToPairs($0, $1, $2, $3, $4, $5) }
  kernels.packSources = { packAddressedPairs($0, $1, $2, $3, $4) }
  return kernels
}
