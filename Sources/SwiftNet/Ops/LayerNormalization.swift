/// Normalisation within a sample.
extension Tensor {
  /// Layer normalisation (Ba et al., 2016, https://arxiv.org/abs/1607.06450) over the last dimensions, whose sizes are
  /// given: `(x - mean) / √(variance + eps) · weight + bias`.
  public func layerNorm(
    _ normalizedShape: [Int], weight: Tensor? = nil, bias: Tensor? = nil, eps: Double = 1e-5
  ) throws -> Tensor {
    try checkNormalizedShape(normalizedShape, weight, bias)
    if dtype.lane.dtype != dtype {
      let wide = try to(.float32).layerNorm(
        normalizedShape, weight: try weight?.to(.float32), bias: try bias?.to(.float32), eps: eps)
      return try wide.to(dtype)
    }
    for parameter in [weight, bias].compactMap({ $0 }) {
      try require(
        parameter.dtype == dtype,
        "expected scalar type \(dtype.scalarTypeName) but found \(parameter.dtype.scalarTypeName)")
    }
    let columns = normalizedShape.reduce(1, *)
    let rows = columns == 0 ? 0 : count / columns
    let x = try noGrad { try contiguous() }
    let (w, b) = (try noGrad { try weight?.contiguous() }, try noGrad { try bias?.contiguous() })
    let out = try Tensor(empty: shape, dtype: dtype)
    let means = try Tensor(empty: [rows], dtype: .float64)
    let inverses = try Tensor(empty: [rows], dtype: .float64)
    if count > 0 {
      let kernel = kernels.norm.layerNorm[dtype.lane.rawValue]
      let (source, target, size) = (try x.pointer(), try out.mutablePointer(), dtype.size)
      let (scale, shift) = (try w?.pointer(), try b?.pointer())
      let m = try means.mutablePointer().assumingMemoryBound(to: Double.self)
      let s = try inverses.mutablePointer().assumingMemoryBound(to: Double.self)
      parallelFor(rows, grain: max(1, 16384 / columns)) { start, end in
        let at = start * columns * size
        kernel(
          source + at, target + at, scale, shift, m + start, s + start, eps,
          MatrixShape(rows: end - start, columns: columns))
      }
    }
    let inputs = [self] + [weight, bias].compactMap { $0 }
    let (hasWeight, hasBias) = (weight != nil, bias != nil)
    return try out.recorded(
      "NativeLayerNorm", inputs: inputs, saving: [self, means, inverses] + [weight].compactMap { $0 }
    ) { context in
      let x = try context.saved(0)
      let weight = hasWeight ? try context.saved(3) : nil
      if context.createsGraph {
        var results = try context.gradients(
          ofFormula: { linked in
            guard let x = linked[0] else { throw SwiftNetError.runtime("layer_norm: input missing") }
            return try x.layerNormFormula(normalizedShape.count, hasWeight ? linked[1] : nil, eps)
          }, [x] + (weight.map { [$0] } ?? []))
        if hasBias {
          let lead = x.rank - normalizedShape.count
          results.append(lead == 0 ? try context.grad : try context.grad.sum(Array(0..<lead)))
        }
        return results
      }
      return try x.layerNormBackward(
        try context.grad, weight, try context.saved(1), try context.saved(2), normalizedShape, hasBias: hasBias)
    }
  }

  private func checkNormalizedShape(_ normalizedShape: [Int], _ weight: Tensor?, _ bias: Tensor?) throws {
    try require(
      !normalizedShape.isEmpty,
      "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got "
        + "normalized_shape = \(Shape.describe(normalizedShape))")
    for (name, parameter) in [("weight", weight), ("bias", bias)] {
      guard let parameter else { continue }
      try require(
        parameter.shape == normalizedShape,
        "Expected \(name) to be of same shape as normalized_shape, but got \(name) of shape "
          + "\(Shape.describe(parameter.shape)) and normalized_shape = \(Shape.describe(normalizedShape))")
    }
    try require(
      Array(shape.suffix(normalizedShape.count)) == normalizedShape,
      "Given normalized_shape=\(Shape.describe(normalizedShape)), expected input with shape [*, "
        + "\(normalizedShape.map(String.init).joined(separator: ", "))], but got input of size\(Shape.describe(shape))")
    try require(
      dtype.isFloatingPoint, .notImplemented,
      "\"LayerNormKernelImpl\" not implemented for '\(dtype.scalarTypeName)'")
  }

  private func layerNormFormula(_ dimensions: Int, _ weight: Tensor?, _ eps: Double) throws -> Tensor {
    let dims = Array(rank - dimensions..<rank)
    let centred = try self - mean(dims, keepdim: true)
    let result = try centred * ((centred * centred).mean(dims, keepdim: true) + .float(eps)).unary(.rsqrt)
    return try weight.map { try result * $0 } ?? result
  }

  private func layerNormBackward(
    _ grad: Tensor, _ weight: Tensor?, _ means: Tensor, _ inverses: Tensor, _ normalizedShape: [Int], hasBias: Bool
  ) throws -> [Tensor?] {
    let columns = normalizedShape.reduce(1, *)
    let rows = means.count
    let (x, g, w) = (try contiguous(), try grad.contiguous(), try weight?.contiguous())
    let dx = try Tensor(empty: shape, dtype: dtype)
    let hasParameters = weight != nil || hasBias
    let grain = max((rows + 63) / 64, 16384 / max(columns, 1), 1)
    let chunks = (rows + grain - 1) / grain
    let sums = UnsafeMutablePointer<Double>.allocate(capacity: max(chunks * 2 * columns, 1))
    sums.initialize(repeating: 0, count: max(chunks * 2 * columns, 1))
    defer { sums.deallocate() }
    if count > 0 {
      let kernel = kernels.norm.layerNormGradient[dtype.lane.rawValue]
      let (source, from, to, size) = (try x.pointer(), try g.pointer(), try dx.mutablePointer(), dtype.size)
      let scale = try w?.pointer()
      let m = try means.pointer().assumingMemoryBound(to: Double.self)
      let s = try inverses.pointer().assumingMemoryBound(to: Double.self)
      ThreadPool.shared.run(chunks: chunks) { chunk in
        let start = chunk * grain
        let at = start * columns * size
        kernel(
          from + at, source + at, scale, m + start, s + start, to + at,
          hasParameters ? sums + chunk * 2 * columns : nil,
          MatrixShape(rows: min(grain, rows - start), columns: columns))
      }
    }
    func total(_ part: Int) throws -> Tensor {
      var values = [Double](repeating: 0, count: columns)
      for chunk in 0..<chunks {
        for c in 0..<columns { values[c] += sums[(chunk * 2 + part) * columns + c] }
      }
      return try Tensor.of(values, dtype: dtype).reshape(normalizedShape)
    }
    var results: [Tensor?] = [dx]
    if weight != nil { results.append(try total(0)) }
    if hasBias { results.append(try total(1)) }
    return results
  }

  /// Root mean square normalisation (Zhang and Sennrich, 2019, https://arxiv.org/abs/1910.07467) over the last
  /// dimensions. Without `eps` it is the dtype's smallest step from 1.
  public func rmsNorm(_ normalizedShape: [Int], weight: Tensor? = nil, eps: Double? = nil) throws -> Tensor {
    try checkNormalizedShape(normalizedShape, weight, nil)
    let wide = dtype.lane.dtype == dtype ? self : try to(.float32)
    let step: Double =
      switch dtype {
      case .float64: Double.ulpOfOne
      case .float16: 0x1p-10
      case .bfloat16: 0x1p-7
      default: Double(Float.ulpOfOne)
      }
    let dims = Array(rank - normalizedShape.count..<rank)
    let scale = try ((wide * wide).mean(dims, keepdim: true) + .float(eps ?? step)).unary(.rsqrt)
    let result = try wide * scale
    return try (weight.map { try result * $0 } ?? result).to(dtype)
  }

  /// Local response normalisation (Krizhevsky et al., 2012): `x / (k + alpha / size · Σ x²)^beta`, the sum over `size`
  /// neighbouring channels.
  public func localResponseNorm(
    _ size: Int, alpha: Double = 1e-4, beta: Double = 0.75, k: Double = 1
  ) throws -> Tensor {
    try require(
      rank >= 3, .value, "Expected 3D or higher dimensionality                          input (got \(rank) dimensions)")
    try require(size > 0, "local_response_norm: size must be positive, got \(size)")
    if count == 0 { return self }
    let squares = try self * self
    func zeros(_ channels: Int) throws -> Tensor {
      var shape = self.shape
      shape[1] = channels
      return try Tensor.zeros(shape, dtype: dtype)
    }
    let padded = try Tensor.cat([try zeros(size / 2), squares, try zeros((size - 1) / 2)], 1)
    let sums = try padded.unfold(1, size, 1).mean([-1])
    let divisor = try Binary.apply(.pow, .tensor(sums * .float(alpha) + .float(k)), .scalar(.float(beta)))
    return try self / divisor
  }
}
