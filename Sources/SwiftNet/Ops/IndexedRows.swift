/// Picking one element per index along a dimension, and its transpose: the backward of reductions that choose
/// elements.
extension Tensor {
  /// result[.., i, ..] = self[.., index[.., i, ..], ..] along `d`; all other sizes are equal. Indices are in range.
  func picked(_ d: Int, _ index: Tensor) throws -> Tensor {
    let (outer, n, inner) = lineLayout(d)
    let m = index.rank == 0 ? 1 : index.shape[d]
    let source = try noGrad { try contiguous() }
    let places = try index.contiguous()
    let out = try Tensor(empty: index.shape, dtype: dtype)
    let size = dtype.size
    let from = try source.pointer()
    let at = try places.pointer().assumingMemoryBound(to: Int64.self)
    let target = try out.mutablePointer()
    parallelFor(outer, grain: max(1, 8192 / max(1, m * inner))) { start, end in
      for o in start..<end {
        for i in 0..<m {
          for k in 0..<inner {
            let position = (o &* m &+ i) &* inner &+ k
            let place = (o &* n &+ Int(at[position])) &* inner &+ k
            (target + position &* size).copyMemory(from: from + place &* size, byteCount: size)
          }
        }
      }
    }
    return try out.recorded("Gather", self, saving: [index]) {
      [try $0.grad.deposited(d, try $0.saved(0), size: n)]
    }
  }

  /// Adds each element of this tensor to the place along `d` that `index` names, in zeros with `size` places.
  func deposited(_ d: Int, _ index: Tensor, size n: Int) throws -> Tensor {
    let (outer, m, inner) = lineLayout(d)
    var sizes = shape
    if rank > 0 { sizes[d] = n }
    let wide: DType = dtype.isFloatingPoint ? .float64 : .int64
    let source = try noGrad { try to(wide).contiguous() }
    let places = try index.contiguous()
    let sums = try Tensor.zeros(sizes, dtype: wide)
    let at = try places.pointer().assumingMemoryBound(to: Int64.self)
    let from = try source.pointer()
    let target = try sums.mutablePointer()
    parallelFor(outer, grain: max(1, 8192 / max(1, m * inner))) { start, end in
      for o in start..<end {
        for i in 0..<m {
          for k in 0..<inner {
            let position = (o &* m &+ i) &* inner &+ k
            let place = (o &* n &+ Int(at[position])) &* inner &+ k
            if wide == .float64 {
              target.assumingMemoryBound(to: Double.self)[place] +=
                from.assumingMemoryBound(to: Double.self)[position]
            } else {
              target.assumingMemoryBound(to: Int64.self)[place] &+=
                from.assumingMemoryBound(to: Int64.self)[position]
            }
          }
        }
      }
    }
    let out = try noGrad { try sums.to(dtype) }
    return try out.recorded("ScatterAdd", self, saving: [index]) { [try $0.grad.picked(d, try $0.saved(0))] }
  }

  /// The row-major tensor as outer × n × inner around a dimension.
  func lineLayout(_ d: Int) -> (outer: Int, n: Int, inner: Int) {
    if rank == 0 { return (1, 1, 1) }
    return (shape[..<d].reduce(1, *), shape[d], shape[(d + 1)...].reduce(1, *))
  }
}
