/// Dropout: random zeros in training, none otherwise. Random numbers are drawn in the logical order of the elements,
/// whatever their order in memory.
extension Tensor {
  private static func checkProbability(_ p: Double) throws {
    try require(
      p >= 0 && p <= 1, .value, "dropout probability has to be between 0 and 1, but got \(p)")
  }

  /// 1 with probability 1 - p, as bool. Drawn in the logical order, laid out in the given one.
  private static func keep(
    _ shape: [Int], strides: [Int]? = nil, _ p: Double, _ generator: Generator
  ) throws -> Tensor {
    let mask = try Tensor(empty: shape, dtype: .bool)
    if p == 1 {
      try mask.fillUnrecorded(false)
      return mask
    }
    generator.bernoulli(
      try mask.mutablePointer().assumingMemoryBound(to: UInt8.self), count: mask.count, probability: 1 - p)
    guard let strides, strides != mask.strides else { return mask }
    let ordered = try Tensor(empty: shape, dtype: .bool, strides: strides)
    try copyElements(from: mask, to: ordered)
    return ordered
  }

  /// x · mask · scale, deferred as other elementwise operations are.
  private func masked(_ mask: Tensor, scale: Double) throws -> Tensor {
    guard let multiply = kernels.elementwise[.mul, dtype.lane] else {
      throw SwiftNetError.notImplemented("\"dropout\" not implemented for '\(dtype.scalarTypeName)'")
    }
    // The mask's order, which in backward was this tensor's in forward.
    let strides = mask.shape == shape ? mask.strides : isDense ? strides : Shape.contiguousStrides(shape)
    let out = try ElementwiseProgram.fusing(
      .mul, multiply, [.tensor(self), .tensor(mask)], lane: dtype.lane, scalars: Scalars(), roundTo: nil
    ) { product in
      var program = product
      program.leaves.append(.scalar(.float(scale)))
      program.steps.append(
        .init(
          .mul, kernel: multiply, sources: [.step(program.steps.count - 1), .leaf(program.leaves.count - 1)],
          scalars: Scalars(), roundTo: nil))
      return try program.result(dtype: dtype, shape: shape, strides: strides)
    }
    return try out.recorded("Dropout", self, saving: [mask]) { [try $0.grad.masked(try $0.saved(0), scale: scale)] }
  }

  /// Zeroes each element with probability p and scales the others by 1 / (1 - p).
  public func dropout(_ p: Double = 0.5, training: Bool = true, generator: Generator = .shared) throws -> Tensor {
    try dropout(p, training, shape, generator)
  }

  private func dropout(_ p: Double, _ training: Bool, _ shape: [Int], _ generator: Generator) throws -> Tensor {
    try Tensor.checkProbability(p)
    guard training, p > 0, count > 0 else { return self }
    try require(
      dtype.isFloatingPoint,
      "result type Float can't be cast to the desired output type \(dtype.scalarTypeName)")
    let strides = shape == self.shape && isDense ? self.strides : nil
    return try masked(Tensor.keep(shape, strides: strides, p, generator), scale: p == 1 ? 0 : 1 / (1 - p))
  }

  /// Zeroes whole channels (dimension 1).
  public func featureDropout(_ p: Double = 0.5, training: Bool = true, generator: Generator = .shared) throws -> Tensor
  {
    try dropout(p, training, try featureShape(), generator)
  }

  private func featureShape() throws -> [Int] {
    try require(rank >= 2, "Feature dropout requires at least 2 dimensions in the input")
    return Array(shape.prefix(2)) + [Int](repeating: 1, count: rank - 2)
  }

  /// Dropout that keeps mean and variance of self-normalising networks (Klambauer et al., 2017,
  /// https://arxiv.org/abs/1706.02515): dropped elements take SELU's lower limit.
  public func alphaDropout(
    _ p: Double = 0.5, training: Bool = true, features: Bool = false, generator: Generator = .shared
  ) throws -> Tensor {
    try Tensor.checkProbability(p)
    guard training, p > 0, count > 0 else { return self }
    if p == 1 { return try self * 0.0 }
    let alpha = 1.7580993408473766
    let a = 1 / ((alpha * alpha * p + 1) * (1 - p)).squareRoot()
    let mask = try noGrad { try Tensor.keep(features ? featureShape() : shape, p, generator).to(dtype) }
    let shift = try noGrad { try (mask - 1.0) * .float(alpha * a) + .float(alpha * a * p) }
    return try self * (mask * .float(a)) + shift
  }
}
