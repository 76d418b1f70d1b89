import KernelTypes

/// The gradient of a weight that is larger than what it is computed from: it waits until somebody reads it, and memory
/// holds the input of the layer and the gradient of its output instead. An optimizer computes one after the other, some
/// outputs at a time, and reads each from the cache.
final class PendingWeightGradient {
  enum Layer {
    /// Of the input (first) and the gradient of the output (second).
    case convolution(ConvolutionShape)
    /// firstᵀ · second, of matrices or stacks of matrices.
    case product
  }

  private let first: Tensor
  private let second: Tensor
  private let layer: Layer
  private let shape: [Int]
  /// That of the result; it is computed in the operands' dtype.
  private let dtype: DType

  private init(_ first: Tensor, _ second: Tensor, _ layer: Layer, _ shape: [Int], _ dtype: DType) {
    (self.first, self.second, self.layer, self.shape, self.dtype) = (first, second, layer, shape, dtype)
  }

  /// A tensor that waits for it; nil if to wait would take more memory than to compute it.
  static func waiting(_ first: Tensor, _ second: Tensor, _ layer: Layer, _ shape: [Int]) throws -> Tensor? {
    guard Deferral.isEnabled, !ThreadState.current.isGradEnabled, first.dtype == second.dtype,
      first.dtype.isFloatingPoint
    else { return nil }
    let count = try Shape.count(shape)
    guard count >= Deferral.heldWeights,
      first.memory.byteCount + second.memory.byteCount < count * first.dtype.size
    else { return nil }
    // What they wait for themselves may be larger.
    _ = (try first.pointer(), try second.pointer())
    return try PendingWeightGradient(try first.alias(), try second.alias(), layer, shape, first.dtype).waiting()
  }

  private func waiting() throws -> Tensor? {
    let program = ElementwiseProgram(lane: dtype.lane, leaves: [.tensor(first), .tensor(second)], steps: [])
    guard program.canWait else { return nil }
    let (strides, count) = (Shape.contiguousStrides(shape), try Shape.count(shape))
    try MemoryPool.shared.checkPossible(count * dtype.size)
    let recipe = ElementwiseRecipe(
      program: program, dtype: dtype, shape: shape, strides: strides, work: .weightGradient(self))
    let storage = Storage(byteCount: count * dtype.size, recipe: recipe)
    return Tensor(storage: storage, dtype: dtype, shape: shape, strides: strides, offset: 0, count: count)
  }

  fileprivate func converted(to dtype: DType) throws -> Tensor? {
    try PendingWeightGradient(first, second, layer, shape, dtype).waiting()
  }

  /// Computes it into a row-major tensor; or a part of it, of a range of its first dimension.
  func run(into target: Tensor, rows: Range<Int>? = nil) throws {
    try noGrad {
      let out = dtype == first.dtype ? target : try Tensor(empty: target.shape, dtype: first.dtype)
      func part(_ tensor: Tensor, _ dim: Int, _ range: Range<Int>) throws -> Tensor {
        try tensor.narrow(dim, range.lowerBound, range.count)
      }
      var (first, second) = (first, second)
      switch layer {
      case .convolution(var sizes):
        if let rows {
          if sizes.groups > 1 {
            let (inputs, outputs) = (sizes.groupInChannels, sizes.groupOutChannels)
            let groups = rows.lowerBound / outputs..<rows.upperBound / outputs
            first = try part(first, 1, groups.lowerBound * inputs..<groups.upperBound * inputs)
            (sizes.groups, sizes.inChannels) = (groups.count, groups.count * inputs)
          }
          second = try part(second, 1, rows)
          sizes.outChannels = rows.count
        }
        try first.computeWeightGradient(second, sizes, into: out)
      case .product:
        if let rows {
          first = try part(first, first.rank == 2 ? 1 : 0, rows)
          if first.rank == 3 { second = try part(second, 0, rows) }
        }
        try Tensor.product(first.transpose(-2, -1), second, into: out)
      }
      if out !== target { try copyElements(from: out, to: target) }
    }
  }

  /// Computes it part by part: `body(gradients, first, count)` is called with some of its rows, which stay in the
  /// third-level cache, and the range of elements that they are.
  func forEachPart(_ body: (UnsafeMutableRawPointer, Int, Int) -> Void) throws {
    let rows = shape[0], row = try Shape.count(shape) / rows
    // Whole groups, or so many that what is made of the input pays.
    let unit =
      switch layer {
      case .convolution(let sizes): sizes.groups > 1 ? sizes.groupOutChannels : 256
      case .product: shape.count == 2 ? 256 : 1
      }
    let atOnce = max(1, Self.partBytes / (row * dtype.size) / unit) * unit
    for start in stride(from: 0, to: rows, by: atOnce) {
      let count = min(atOnce, rows - start)
      let part = try Tensor(empty: [count] + shape.dropFirst(), dtype: dtype)
      try run(into: part, rows: count == rows ? nil : start..<start + count)
      body(try part.mutablePointer(), start * row, count * row)
    }
  }

  private static let partBytes = 16 << 20
}

extension Tensor {
  /// What this tensor waits for, if that is the gradient of a weight.
  var pendingWeightGradient: PendingWeightGradient? {
    guard let recipe = memory.recipe, recipe.isAll(self) else { return nil }
    return recipe.weightGradient
  }

  /// The same in another dtype, if it waits for the gradient of a weight: it still waits.
  func convertedWeightGradient(to dtype: DType) throws -> Tensor? {
    guard let pendingWeightGradient, !ThreadState.current.isGradEnabled else { return nil }
    return try pendingWeightGradient.converted(to: dtype)
  }

  /// selfᵀ · other, of matrices or stacks of matrices: the gradient of a factor that may be a weight.
  func weightGradient(_ other: Tensor) throws -> Tensor {
    let shape = Array(shape.dropLast(2)) + [shape[rank - 1], other.shape[rank - 1]]
    if let waiting = try PendingWeightGradient.waiting(self, other, .product, shape) { return waiting }
    let transposed = try transpose(rank - 2, rank - 1)
    return try rank == 2 ? transposed.mm(other) : transposed.bmm(other)
  }
}
