import KernelTypes

func registerConversions(_ table: inout ElementwiseKernels) {
  table[load: .float32, .f32] = { source, stride, out, n in
    let s = source.assumingMemoryBound(to: Float.self), o = out.assumingMemoryBound(to: Float.self)
    for i in 0..<n { o[i] = s[i * stride] }
  }
  table[store: .f32, .float32] = { source, out, stride, n in
    let s = source.assumingMemoryBound(to: Float.self), o = out.assumingMemoryBound(to: Float.self)
    for i in 0..<n { o[i * stride] = s[i] }
  }
}
