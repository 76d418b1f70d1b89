import KernelTypes
import Synchronization

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

  /// Computes it into a row-major tensor.
  func run(into target: Tensor) throws {
    if dtype == type { return try compute(nil, into: target) }
    let unconverted = try Tensor(empty: shape, dtype: type)
    try compute(nil, into: unconverted)
    try copyElements(from: unconverted, to: target)
  }

  /// That of the operands, in which it is computed.
  private var type: DType { first.dtype }

  /// All of it, or some rows.
  private func compute(_ rows: Range<Int>?, into out: Tensor) throws {
    try noGrad {
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
    }
  }

  /// How many rows are computed at a time: whole groups, or so many that what is made of the input pays.
  private var rowsAtOnce: Int {
    let unit =
      switch layer {
      case .convolution(let sizes): sizes.groups > 1 ? sizes.groupOutChannels : 256
      case .product: shape.count == 2 ? 256 : 1
      }
    let row = shape.dropFirst().reduce(type.size, *)
    return min(shape[0], max(1, Self.partBytes / row / unit) * unit)
  }

  /// Writes it to a tensor in which its dimensions may be exchanged, as they are in `view`, a tensor that waits for it; some
  /// rows at a time, so that it is not in memory twice. False if the view is another.
  func write(_ view: Tensor, to target: Tensor) throws -> Bool {
    let own = Shape.contiguousStrides(shape)
    guard view.offset == 0, view.rank == shape.count, Set(own).count == own.count else { return false }
    var strides: [Int] = []
    for (size, stride) in zip(shape, own) {
      guard let dim = view.strides.firstIndex(of: stride), view.shape[dim] == size else { return false }
      strides.append(target.strides[dim])
    }
    let whole = try target.alias(shape: shape, strides: strides)
    let part = try Tensor(empty: [rowsAtOnce] + shape.dropFirst(), dtype: type)
    for start in stride(from: 0, to: shape[0], by: rowsAtOnce) {
      let count = min(rowsAtOnce, shape[0] - start)
      let rows = count == rowsAtOnce ? part : try part.narrow(0, 0, count)
      try compute(count == shape[0] ? nil : start..<start + count, into: rows)
      try noGrad { try copyElements(from: rows, to: whole.narrow(0, start, count)) }
    }
    return true
  }

  /// Computes it some rows at a time, which stay in the third-level cache, and calls `body(gradients, first, count)` for
  /// pieces of at most so many elements, on all threads.
  func forEachPiece(of length: Int, _ body: (UnsafeMutableRawPointer, Int, Int) -> Void) throws {
    if try forEachColumns(body) { return }
    let rows = shape[0], row = try Shape.count(shape) / rows
    let atOnce = rowsAtOnce
    let part = try Tensor(empty: [atOnce] + shape.dropFirst(), dtype: type)
    let gradients = try part.mutablePointer()
    let load = kernels.elementwise[load: type, dtype.lane]
    if dtype != type, load == nil {
      throw SwiftNetError.notImplemented("no conversion from \(type.name) to \(dtype.name)")
    }
    let slots = try ScratchSlots(bytes: length * dtype.size)
    for start in stride(from: 0, to: rows, by: atOnce) {
      let count = min(atOnce, rows - start)
      try compute(count == rows ? nil : start..<start + count, into: count == atOnce ? part : part.narrow(0, 0, count))
      parallelFor(count * row, grain: length) { first, end in
        let piece = gradients + first * type.size
        guard dtype != type, let load else { return body(piece, start * row + first, end - first) }
        slots.with { converted in
          load(piece, 1, converted, end - first)
          body(converted, start * row + first, end - first)
        }
      }
    }
    withExtendedLifetime(part) {}
  }

  /// As above for few long rows, as a linear layer of many inputs has them: some columns at a time, which stay in the
  /// second-level cache, each thread its own. False if it is not such a gradient.
  private func forEachColumns(_ body: (UnsafeMutableRawPointer, Int, Int) -> Void) throws -> Bool {
    guard case .product = layer, shape.count == 2, dtype == type, shape[0] <= 256, shape[1] >= 1 << 13,
      second.isContiguous
    else { return false }
    let (rows, columns, terms, size) = (shape[0], shape[1], first.shape[0], type.size)
    let width = min(1 << 13, max(1 << 10, Self.columnBytes / (rows * size) / 16 * 16))
    let slots = try ScratchSlots(bytes: rows * width * size)
    let (a, b) = (try first.pointer(), try second.pointer())
    let failure = Mutex<(any Error)?>(nil)
    parallelFor(columns, grain: width) { start, end in
      slots.with { part in
        let count = end - start
        do {
          try gemm(
            type, m: rows, n: count, k: terms, alpha: 1,
            a: a, aRowStride: first.strides[1], aColumnStride: first.strides[0],
            b: b + start * size, bRowStride: columns, bColumnStride: 1, beta: 0, c: part, cRowStride: count)
        } catch {
          failure.withLock { $0 = error }
          return
        }
        for row in 0..<rows { body(part + row * count * size, row * columns + start, count) }
      }
    }
    if let error = failure.withLock({ $0 }) { throw error }
    return true
  }

  private static let columnBytes = 1 << 20
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
    guard let pendingWeightGradient, dtype.isLane, dtype.isFloatingPoint, !ThreadState.current.isGradEnabled else {
      return nil
    }
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
