// An array keeps closures in their most general form. Where a kernel module itself puts one into that form, the
// optimizer merges the kernel's body into the conversion, a thunk, and within thunks Swift marks every call of a C
// function as not to be inlined: each vector operation becomes a call. So kernels pass through one of these first.

@inline(never) public func stored(_ kernel: @escaping AdamKernel) -> AdamKernel { kernel }
@inline(never) public func stored(_ kernel: @escaping ArgReduceKernel) -> ArgReduceKernel { kernel }
@inline(never) public func stored(_ kernel: @escaping AveragePoolKernel) -> AveragePoolKernel { kernel }
@inline(never) public func stored(_ kernel: @escaping BinaryGradientKernel) -> BinaryGradientKernel { kernel }
@inline(never) public func stored(_ kernel: @escaping BinarySumsKernel) -> BinarySumsKernel { kernel }
@inline(never) public func stored(_ kernel: @escaping CrossEntropyGradientKernel) -> CrossEntropyGradientKernel {
  kernel
}
@inline(never) public func stored(_ kernel: @escaping CrossEntropyKernel) -> CrossEntropyKernel { kernel }
@inline(never) public func stored(_ kernel: @escaping FactoredKernel) -> FactoredKernel { kernel }
@inline(never) public func stored(_ kernel: @escaping LayerNormGradientKernel) -> LayerNormGradientKernel { kernel }
@inline(never) public func stored(_ kernel: @escaping LayerNormKernel) -> LayerNormKernel { kernel }
@inline(never) public func stored(_ kernel: @escaping MaxPoolGradientKernel) -> MaxPoolGradientKernel { kernel }
@inline(never) public func stored(_ kernel: @escaping MaxPoolKernel) -> MaxPoolKernel { kernel }
@inline(never) public func stored(_ kernel: @escaping NormGradientKernel) -> NormGradientKernel { kernel }
@inline(never) public func stored(_ kernel: @escaping NormGradientSumsPlaneKernel) -> NormGradientSumsPlaneKernel {
  kernel
}
@inline(never) public func stored(_ kernel: @escaping NormGradientSumsRowsKernel) -> NormGradientSumsRowsKernel {
  kernel
}
@inline(never) public func stored(_ kernel: @escaping SGDKernel) -> SGDKernel { kernel }
@inline(never) public func stored(_ kernel: @escaping ScanKernel) -> ScanKernel { kernel }
@inline(never) public func stored(_ kernel: @escaping SearchKernel) -> SearchKernel { kernel }
@inline(never) public func stored(_ kernel: @escaping SoftmaxColumnsGradientKernel) -> SoftmaxColumnsGradientKernel {
  kernel
}
@inline(never) public func stored(_ kernel: @escaping SoftmaxColumnsKernel) -> SoftmaxColumnsKernel { kernel }
@inline(never) public func stored(_ kernel: @escaping SoftmaxRowsGradientKernel) -> SoftmaxRowsGradientKernel { kernel }
@inline(never) public func stored(_ kernel: @escaping SoftmaxRowsKernel) -> SoftmaxRowsKernel { kernel }
@inline(never) public func stored(_ kernel: @escaping SortKernel) -> SortKernel { kernel }
@inline(never) public func stored(_ kernel: @escaping StatisticsPlaneKernel) -> StatisticsPlaneKernel { kernel }
@inline(never) public func stored(_ kernel: @escaping StatisticsRowsKernel) -> StatisticsRowsKernel { kernel }
@inline(never) public func stored(_ kernel: @escaping TopKKernel) -> TopKKernel { kernel }
@inline(never) public func stored(_ kernel: @escaping UnscaleKernel) -> UnscaleKernel { kernel }
@inline(never) public func stored(_ kernel: @escaping UpdateKernel) -> UpdateKernel { kernel }
