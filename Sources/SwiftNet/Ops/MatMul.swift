/// Matrix products.
extension Tensor {
  /// The product of two matrices.
  public func mm(_ other: Tensor) throws -> Tensor {
    if let out = try autocast(.lower, [self, other], { try $0[0].mm($0[1]) }) { return out }
    return try mm(other, as: dtype)
  }

  /// The product of two matrices, in another dtype: float32 instead of half precision keeps the sums as they are.
  func mm(_ other: Tensor, as result: DType) throws -> Tensor {
    try require(rank == 2, "self must be a matrix")
    try require(other.rank == 2, "mat2 must be a matrix")
    try require(
      shape[1] == other.shape[0],
      "mat1 and mat2 shapes cannot be multiplied (\(shape[0])x\(shape[1]) and \(other.shape[0])x\(other.shape[1]))")
    try Tensor.checkSameDType(self, other, "mm")
    let out = try Tensor.product(self, other, as: result)
    return try out.recorded("Mm", self, other, saving: [self, other]) { context in
      let grad = try context.grad.to(try context.saved(0).dtype)
      let right = context.needs(0) ? try context.saved(1) : nil
      let second = context.needs(1) ? try context.readingLast(0) { left in try left.weightGradient(grad) } : nil
      return [try right.map { try grad.mm($0.transpose(0, 1)) }, second]
    }
  }

  static func checkSameDType(_ a: Tensor, _ b: Tensor, _ name: String) throws {
    try require(
      a.dtype == b.dtype,
      "expected m1 and m2 to have the same dtype, but got: \(a.dtype.cTypeName) != \(b.dtype.cTypeName)")
    try require(
      a.dtype != .bool, .notImplemented, "\"\(name)\" not implemented for 'Bool'")
  }

  /// The product of the last two dimensions, without recording; leading dimensions are equal in both.
  static func product(_ a: Tensor, _ b: Tensor, as result: DType? = nil) throws -> Tensor {
    let rank = a.rank
    let (m, k, n) = (a.shape[rank - 2], a.shape[rank - 1], b.shape[rank - 1])
    let shape = Array(a.shape.dropLast(2)) + [m, n]
    if !a.dtype.isFloatingPoint { return try integerProduct(a, b) }
    if k == 1, !a.dtype.isNarrow, result ?? a.dtype == a.dtype {
      // One term: an elementwise product, which may wait for its reader.
      let outer = try noGrad { try elementwise(.mul, [.tensor(a), .tensor(b)]) }
      if outer.isContiguous { return outer }
    }
    let out = try Tensor(empty: shape, dtype: result ?? a.dtype)
    try product(a, b, into: out)
    return out
  }

  /// The same of floating-point numbers, into a row-major tensor.
  static func product(_ a: Tensor, _ b: Tensor, into out: Tensor) throws {
    if out.count == 0 { return }
    let rank = a.rank
    let (m, k, n) = (a.shape[rank - 2], a.shape[rank - 1], b.shape[rank - 1])
    let batch = out.count / (m * n)
    if a.dtype.isNarrow {
      let (x, y) = batch == 1 ? (a, b) : (try batched(a), try batched(b))
      let (i, j) = (x.rank - 2, x.rank - 1)
      try narrowGemm(
        a.dtype, result: out.dtype, batch: batch, m: m, n: n, k: k, a: try x.pointer(),
        aBatchStride: batch == 1 ? 0 : x.strides[0],
        aRowStride: x.strides[i], aColumnStride: x.strides[j], b: try y.pointer(),
        bBatchStride: batch == 1 ? 0 : y.strides[0], bRowStride: y.strides[i], bColumnStride: y.strides[j],
        c: try out.mutablePointer(), cBatchStride: m * n, cRowStride: n)
      return
    }
    if batch == 1 {
      let isDone = try thinProduct(
        a.dtype, m: m, n: n, k: k, a: try a.pointer(), aRowStride: a.strides[rank - 2],
        aColumnStride: a.strides[rank - 1], b: try b.pointer(), bRowStride: b.strides[rank - 2],
        bColumnStride: b.strides[rank - 1], c: try out.mutablePointer(), cRowStride: n)
      if isDone { return }
      try gemm(
        a.dtype, m: m, n: n, k: k, alpha: 1, a: try a.pointer(), aRowStride: a.strides[rank - 2],
        aColumnStride: a.strides[rank - 1], b: try b.pointer(), bRowStride: b.strides[rank - 2],
        bColumnStride: b.strides[rank - 1], beta: 0, c: try out.mutablePointer(), cRowStride: n)
      return
    }
    // Leading dimensions walk with one stride, by a copy where they do not.
    let (a, b) = (try batched(a), try batched(b))
    try gemmBatched(
      a.dtype, batch: batch, m: m, n: n, k: k, alpha: 1, a: try a.pointer(), aBatchStride: a.strides[0],
      aRowStride: a.strides[1], aColumnStride: a.strides[2], b: try b.pointer(), bBatchStride: b.strides[0],
      bRowStride: b.strides[1], bColumnStride: b.strides[2], beta: 0, c: try out.mutablePointer(),
      cBatchStride: m * n, cRowStride: n)
  }

  private static func batched(_ x: Tensor) throws -> Tensor {
    let matrix = Array(x.shape.suffix(2))
    return try noGrad { try x.reshape([x.shape.dropLast(2).reduce(1, *)] + matrix) }
  }

  /// In 64 bits; what is beyond them or the dtype falls away, as it does in sums.
  private static func integerProduct(_ a: Tensor, _ b: Tensor) throws -> Tensor {
    let (m, k, n) = (a.shape[a.rank - 2], a.shape[a.rank - 1], b.shape[b.rank - 1])
    let out = try Tensor(empty: Array(a.shape.dropLast()) + [n], dtype: .int64)
    let (x, y) = try noGrad { (try a.to(.int64).contiguous(), try b.to(.int64).contiguous()) }
    let left = try x.pointer().assumingMemoryBound(to: Int64.self)
    let right = try y.pointer().assumingMemoryBound(to: Int64.self)
    let sums = try out.mutablePointer().assumingMemoryBound(to: Int64.self)
    parallelFor(out.count / max(n, 1), grain: max(1, (1 << 16) / max(1, k * n))) { first, last in
      for row in first..<last {
        let sum = sums + row * n
        sum.update(repeating: 0, count: n)
        for l in 0..<k {
          let factor = left[row * k + l]
          let line = right + (row / m * k + l) * n
          for j in 0..<n { sum[j] &+= factor &* line[j] }
        }
      }
    }
    withExtendedLifetime((x, y)) {}
    return try noGrad { try out.to(a.dtype) }
  }

  /// Batched matrix product with PyTorch's rules: vectors are taken as rows or columns, leading dimensions
  /// broadcast. https://pytorch.org/docs/stable/generated/torch.matmul.html
  public func matmul(_ other: Tensor) throws -> Tensor {
    if let out = try autocast(.lower, [self, other], { try $0[0].matmul($0[1]) }) { return out }
    try require(
      rank > 0 && other.rank > 0,
      "both arguments to matmul need to be at least 1D, but they are \(rank)D and \(other.rank)D")
    if rank == 2 && other.rank == 2 { return try mm(other) }
    if rank == 1 && other.rank == 1 {
      try require(
        shape == other.shape,
        "inconsistent tensor size, expected tensor \(Shape.describe(shape)) and src \(Shape.describe(other.shape)) to "
          + "have the same number of elements, but got \(count) and \(other.count) elements respectively")
      return try unsqueeze(0).mm(other.unsqueeze(1)).reshape([])
    }
    if rank == 1 { return try unsqueeze(0).matmul(other).squeeze([-2]) }
    if other.rank == 1 { return try matmul(other.unsqueeze(1)).squeeze([-1]) }
    try require(
      shape[rank - 1] == other.shape[other.rank - 2],
      "mat1 and mat2 shapes cannot be multiplied (\(shape[rank - 2])x\(shape[rank - 1]) and "
        + "\(other.shape[other.rank - 2])x\(other.shape[other.rank - 1])): shapes \(Shape.describe(shape)) and "
        + Shape.describe(other.shape))
    // A stack times one matrix is one product of a taller matrix.
    if other.rank == 2 {
      let rows = shape.dropLast().reduce(1, *)
      return try reshape([rows, shape[rank - 1]]).mm(other).reshape(Array(shape.dropLast()) + [other.shape[1]])
    }
    let lead = try Shape.broadcast(Array(shape.dropLast(2)), Array(other.shape.dropLast(2)))
    let batch = lead.reduce(1, *)
    let a = try expand(lead + shape.suffix(2)).reshape([batch] + shape.suffix(2))
    let b = try other.expand(lead + other.shape.suffix(2)).reshape([batch] + other.shape.suffix(2))
    return try a.bmm(b).reshape(lead + [shape[rank - 2], other.shape[other.rank - 1]])
  }

  /// The products of two stacks of matrices.
  public func bmm(_ other: Tensor) throws -> Tensor {
    if let out = try autocast(.lower, [self, other], { try $0[0].bmm($0[1]) }) { return out }
    return try bmm(other, as: dtype)
  }

  /// The products of two stacks of matrices, in another dtype; see `mm`.
  func bmm(_ other: Tensor, as result: DType) throws -> Tensor {
    try require(rank == 3 && other.rank == 3, "batch1 and batch2 must be 3D tensors, got \(rank)D and \(other.rank)D")
    try require(
      shape[0] == other.shape[0] && shape[2] == other.shape[1],
      "Expected size for first two dimensions of batch2 tensor to be: [\(shape[0]), \(shape[2])] but got: "
        + "[\(other.shape[0]), \(other.shape[1])].")
    try Tensor.checkSameDType(self, other, "bmm")
    let out = try Tensor.product(self, other, as: result)
    return try out.recorded("Bmm", self, other, saving: [self, other]) { context in
      let grad = try context.grad.to(try context.saved(0).dtype)
      return [
        context.needs(0) ? try grad.bmm(try context.saved(1).transpose(1, 2)) : nil,
        context.needs(1) ? try context.saved(0).weightGradient(grad) : nil,
      ]
    }
  }
}

extension DType {
  /// The C++ name that PyTorch's messages use.
  var cTypeName: String {
    switch self {
    case .float32: "float"
    case .float64: "double"
    case .float16: "c10::Half"
    case .bfloat16: "c10::BFloat16"
    case .int8: "signed char"
    case .int16: "short"
    case .int32: "int"
    case .int64: "long"
    case .uint8: "unsigned char"
    case .bool: "bool"
    }
  }
}
