import KernelTypes

/// `c = a · b + beta * c` for matrices with one long dimension: a linear layer of a flattened map, and its gradients. They
/// are bound by memory, so their long operands are read once, in place. Returns false for other shapes. Strides are in
/// elements; the columns of c are adjacent. The work is cut by the shape alone.
func thinProduct(
  _ type: DType, m: Int, n: Int, k: Int, a: UnsafeRawPointer, aRowStride: Int, aColumnStride: Int,
  b: UnsafeRawPointer, bRowStride: Int, bColumnStride: Int, beta: Double = 0, c: UnsafeMutableRawPointer,
  cRowStride: Int, using table: KernelTable = kernels
) throws -> Bool {
  let thin: ThinProductKernels
  let packing: ProductKernels
  switch type {
  case .float32: (thin, packing) = (table.thin.f32, table.gemm.f32)
  case .float64: (thin, packing) = (table.thin.f64, table.gemm.f64)
  default: return false
  }
  let size = type.size
  if k >= 1 << 15, (1...64).contains(m), (1...64).contains(n), aColumnStride == 1, bRowStride == 1 {
    let product = DeepArguments(m: m, n: n, a: a, aRowStride: aRowStride, b: b, bRowStride: bColumnStride)
    try deepProduct(type, product, k, beta, c, cRowStride, thin)
    return true
  }
  // Rows a multiple of a page apart would drive each other out of the caches.
  if n >= 1 << 14, (3...64).contains(m), (1...64).contains(k), bColumnStride == 1, beta == 0,
    k <= 8 || bRowStride * size % 4096 != 0
  {
    let rows = packing.rows
    let panels = try Scratch(bytes: (m + rows - 1) / rows * rows * k * size)
    packing.packRows(a, aRowStride, aColumnStride, m, k, panels.pointer)
    let aligned = Int(bitPattern: c) % 64 == 0 && cRowStride * size % 64 == 0
    let product = WideArguments(
      m: m, k: k, a: UnsafeRawPointer(panels.pointer), b: b, bRowStride: bRowStride, c: c, cRowStride: cRowStride,
      // More than the caches keep until somebody reads it.
      streams: aligned && m * n * size >= 1 << 24)
    try Interrupt.check()
    let block = 1 << 11
    parallelFor(max(n / block, 1), grain: 1) { first, last in
      // The last block takes what is left.
      thin.wide(product, first * block, last == max(n / block, 1) ? n : last * block)
    }
    return true
  }
  return false
}

/// Each part of the terms has sums of its own, which are added in order.
private func deepProduct(
  _ type: DType, _ product: DeepArguments, _ k: Int, _ beta: Double, _ c: UnsafeMutableRawPointer, _ cRowStride: Int,
  _ thin: ThinProductKernels
) throws {
  let (m, n) = (product.m, product.n)
  let unit = 1 << 10
  let terms = max(8 * unit, ((k + 31) / 32 + unit - 1) / unit * unit)
  let parts = (k + terms - 1) / terms
  let sums = try Scratch(bytes: parts * m * n * type.size)
  let slots = try ScratchSlots(bytes: thin.deepRoom(m, n))
  try Interrupt.check()
  parallelFor(parts, grain: 1) { first, last in
    slots.with { room in
      for part in first..<last {
        thin.deep(product, part * terms, min((part + 1) * terms, k), sums.pointer + part * m * n * type.size, room)
      }
    }
  }
  func addParts<T: BinaryFloatingPoint>(_: T.Type) {
    let sums = sums.of(T.self), c = c.assumingMemoryBound(to: T.self)
    for i in 0..<m {
      for j in 0..<n {
        var total = T.zero
        for part in 0..<parts { total += sums[(part * m + i) * n + j] }
        let at = c + (i * cRowStride + j)
        at.pointee = beta == 0 ? total : total + T(beta) * at.pointee
      }
    }
  }
  if type == .float32 { addParts(Float.self) } else { addParts(Double.self) }
}
