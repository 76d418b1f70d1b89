/// Affine maps of the last dimension.
extension Tensor {
  /// `x · weightᵀ + bias` for x of shape (…, in), weight (out, in) and bias (out); with a weight of shape (in), the
  /// result has no last dimension. PyTorch: `torch.nn.functional.linear`.
  public func linear(_ weight: Tensor, _ bias: Tensor? = nil) throws -> Tensor {
    if let out = try autocast(.lower, [self, weight, bias], { try $0[0].linear($0[1], $0[optional: 2]) }) {
      return out
    }
    try require(rank > 0, "linear(): argument 'input' must have at least one dimension, got a scalar")
    try require(
      weight.rank == 1 || weight.rank == 2, "linear(): weight must be 1D or 2D, got \(weight.rank)D")
    if weight.rank == 1 {
      let product = try matmul(weight)
      return try bias.map { try product + $0 } ?? product
    }
    let (features, outputs) = (weight.shape[1], weight.shape[0])
    let rows = try Shape.count(Array(shape.dropLast()))
    try require(
      shape[rank - 1] == features,
      "mat1 and mat2 shapes cannot be multiplied (\(rows)x\(shape[rank - 1]) and \(features)x\(outputs))")
    try require(
      dtype == weight.dtype && (bias == nil || bias?.dtype == dtype),
      "mat1 and mat2 must have the same dtype, but got \(dtype.scalarTypeName) and "
        + (dtype == weight.dtype ? bias?.dtype.scalarTypeName ?? "" : weight.dtype.scalarTypeName))
    let matrix = rank == 2 ? self : try reshape([rows, features])
    let out: Tensor
    if let bias {
      guard (try? Shape.broadcast([rows, outputs], bias.shape)) == [rows, outputs] else {
        throw SwiftNetError.runtime(
          "The expanded size of the tensor (\(outputs)) must match the existing size (\(bias.shape.last ?? 0)) at "
            + "non-singleton dimension 1.  Target sizes: [\(rows), \(outputs)].  Tensor sizes: "
            + Shape.describe(bias.shape))
      }
      out = try Tensor.affine(matrix, weight, bias)
      try out.recorded("Addmm", bias, matrix, weight, saving: [matrix, weight]) { context in
        let grad = try context.grad
        let w = context.needs(1) ? try context.saved(1) : nil
        let dw = context.needs(2) ? try context.readingLast(0) { x in try grad.weightGradient(x) } : nil
        return [context.needs(0) ? grad : nil, try w.map { try grad.mm($0) }, dw]
      }
    } else {
      out = try matrix.mm(weight.transpose(0, 1))
    }
    return rank == 2 ? out : try out.reshape(Array(shape.dropLast()) + [outputs])
  }

  /// x · weightᵀ + bias of matrices, without recording.
  private static func affine(_ x: Tensor, _ weight: Tensor, _ bias: Tensor) throws -> Tensor {
    let dtype = x.dtype
    guard dtype.isFloatingPoint else {
      return try noGrad {
        try (product(x.to(.int64), weight.to(.int64).transpose(0, 1)) + bias.to(.int64)).to(dtype)
      }
    }
    let (m, n, k) = (x.shape[0], weight.shape[0], x.shape[1])
    let out = try Tensor(empty: [m, n], dtype: dtype)
    if out.count == 0 { return out }
    if dtype.isNarrow && (bias.count == n || bias.count == 1) {
      try narrowGemm(
        dtype, m: m, n: n, k: k, a: try x.pointer(), aRowStride: x.strides[0], aColumnStride: x.strides[1],
        b: try weight.pointer(), bRowStride: weight.strides[1], bColumnStride: weight.strides[0],
        bias: try bias.pointer(), biasStride: bias.count == 1 ? 0 : bias.strides[bias.rank - 1],
        c: try out.mutablePointer(), cRowStride: n)
      return out
    }
    if dtype.isNarrow {
      return try noGrad { try (product(x, weight.transpose(0, 1), as: .float32) + bias.to(.float32)).to(dtype) }
    }
    try copyElements(from: bias, to: out)
    let isDone = try thinProduct(
      dtype, m: m, n: n, k: k, a: try x.pointer(), aRowStride: x.strides[0], aColumnStride: x.strides[1],
      b: try weight.pointer(), bRowStride: weight.strides[1], bColumnStride: weight.strides[0], beta: 1,
      c: try out.mutablePointer(), cRowStride: n)
    if isDone { return out }
    try gemm(
      dtype, m: m, n: n, k: k, alpha: 1, a: try x.pointer(), aRowStride: x.strides[0], aColumnStride: x.strides[1],
      b: try weight.pointer(), bRowStride: weight.strides[1], bColumnStride: weight.strides[0], beta: 1,
      c: try out.mutablePointer(), cRowStride: n)
    return out
  }

  /// `out[…, o] = Σ x[…, i] · weight[o, i, j] · y[…, j] + bias[o]`. PyTorch: `torch.nn.functional.bilinear`.
  public static func bilinear(_ x: Tensor, _ y: Tensor, _ weight: Tensor, _ bias: Tensor? = nil) throws -> Tensor {
    try require(
      x.rank == y.rank && x.rank > 0,
      "bilinear(): input dimensions do not match: got \(x.rank) and \(y.rank)")
    try require(weight.rank == 3, "bilinear(): weight must be 3D, got \(weight.rank)D")
    let lead = Array(x.shape.dropLast())
    for d in lead.indices {
      try require(
        x.shape[d] == y.shape[d],
        "bilinear(): input batch dimensions do not match at dim \(d): got \(x.shape[d]) and \(y.shape[d])")
    }
    let (outputs, m, n) = (weight.shape[0], weight.shape[1], weight.shape[2])
    try require(
      x.shape[x.rank - 1] == m,
      "bilinear(): input1 size does not match weight size: got \(x.shape[x.rank - 1]) but expected \(m)")
    try require(
      y.shape[y.rank - 1] == n,
      "bilinear(): input2 size does not match weight size: got \(y.shape[y.rank - 1]) but expected \(n)")
    if let bias {
      try require(
        bias.shape == [outputs],
        "bilinear(): bias size does not match weight size: got \(bias.shape.first ?? 0) but expected \(outputs)")
    }
    let rows = try Shape.count(lead)
    let mixed = try Autocast.suspended {
      try x.reshape([rows, m]).mm(weight.permute([1, 0, 2]).reshape([m, outputs * n]))
    }
    let product = try (mixed.reshape([rows, outputs, n]) * y.reshape([rows, 1, n])).sum([2])
    let out = try product.reshape(lead + [outputs])
    return try bias.map { try out + $0 } ?? out
  }
}
