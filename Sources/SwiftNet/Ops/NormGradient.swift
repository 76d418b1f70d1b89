import KernelTypes

/// The gradient of a normalisation's output, as backward of the normalisation reads it: in the memory order of x.
///
/// Activations and dropout behind the normalisation leave a gradient that is still to be computed, or one in another
/// order of memory. Such a one is computed piece by piece just before its sums are taken, while it is in the cache.
final class NormGradient {
  /// As large as x. With a plan, its contents come with `computePieces`.
  let tensor: Tensor
  /// The gradient of a ReLU behind the normalisation is not written at all.
  private let relu: PendingReluGradient?
  private var plan: Plan?
  /// The recipe of the gradient, if the mask or the plan reads what it reads.
  private var taken: TakenRecipe?
  /// The gradient, if it waits for other operations too: they get the contents that are computed here.
  private let others: Tensor?
  /// Whether nobody else reads the tensor: the gradient of x may take its place.
  let isOwn: Bool
  /// Whether nobody else has the gradient itself.
  private let isSole: Bool

  /// What computes some rows.
  private enum Plan {
    case elementwise(ElementwisePlan)
    /// In half precision: those that wait, and where the result goes.
    case steps(PendingConvolution, PendingConvolution.Rows, UnsafeMutableRawPointer)
  }

  /// - Parameters:
  ///   - gradient: a variable, so that one can tell whether anybody else holds it.
  ///   - isSummed: whether backward takes sums of the gradient, in rows: only then pieces can be computed.
  init(_ gradient: inout Tensor, of x: Tensor, isSummed: Bool) throws {
    isSole = isKnownUniquelyReferenced(&gradient) && isKnownUniquelyReferenced(&gradient.memory)
    if gradient.memory.isSpread, gradient.strides != x.strides, gradient.memory.recipe?.readsMany == true {
      // What lies in another order cannot be computed for the others on the way.
      _ = try gradient.memory.pointer
    }
    let taken = TakenRecipe(gradient.memory)
    /// Whether other operations wait for what `recipe` computes here.
    func isWanted(_ tensor: Tensor) -> Bool {
      gradient.memory.isSpread && gradient.strides == x.strides && taken?.recipe.isAll(gradient) == true
        && tensor.memory.byteCount == gradient.memory.byteCount
    }
    if isSummed, let pending = taken?.recipe.convolution, pending.filter == nil, pending.steps.scale == nil,
      pending.steps.residual != nil || gradient.memory.isSpread, gradient.dtype == x.dtype, gradient.shape == x.shape,
      gradient.strides == x.strides, taken?.recipe.isAll(gradient) == true
    {
      relu = nil
      tensor = try Tensor(empty: x.shape, dtype: gradient.dtype, strides: x.strides)
      let target = try tensor.mutablePointer()
      plan = try pending.withRows { .steps(pending, $0, target) }
      others = isWanted(tensor) ? gradient : nil
      (isOwn, self.taken) = (others == nil, taken)
      return
    }
    if let taken, let relu = try gradient.pendingReluGradient(taken.recipe, of: x) {
      (self.relu, tensor, plan, others, isOwn, self.taken) = (relu, relu.gradient, nil, nil, false, taken)
      return
    }
    relu = nil
    if isSummed, x.isDense, let program = try gradient.programForPieces(of: taken?.recipe, in: x) {
      tensor = try Tensor(empty: x.shape, dtype: gradient.dtype, strides: x.strides)
      plan = .elementwise(
        try ElementwisePlan(try program.reordered(shape: x.shape, strides: x.strides), x.shape, x.strides, tensor))
      others = isWanted(tensor) ? gradient : nil
      (isOwn, self.taken) = (others == nil, taken)
      return
    }
    tensor = try gradient.inOrder(of: x)
    (plan, others, self.taken) = (nil, nil, nil)
    isOwn = tensor !== gradient
  }

  /// Called when all pieces are there.
  func finish() throws {
    guard plan != nil else { return }
    try others?.memory.adopt(tensor.memory)
    // What the pieces were computed from is held no longer.
    (plan, taken) = (nil, nil)
  }

  /// A tensor for the gradient of x, in the place of the one that was behind the ReLU: nil if somebody else may read that.
  func successor() -> Tensor? {
    guard isSole, let relu, let taken, isKnownUniquelyReferenced(&relu.gradient.memory),
      let storage = relu.gradient.memory.successor(readBy: taken.storage)
    else { return nil }
    return relu.gradient.moved(to: storage)
  }

  /// Valid while this is.
  func mask() throws -> NormMask { try relu?.mask() ?? NormMask() }

  /// Rows of a piece: it stays in the second-level cache together with what it is computed from.
  private static let piece = 1 << 14

  /// Calls `body(first row, rows)` for pieces of the rows from `start` on, each after its elements are there.
  @inline(__always)
  func computePieces(rows: Int, from start: Int, columns: Int, _ body: (Int, Int) -> Void) {
    switch plan {
    case nil: body(start, rows)
    case .elementwise(let plan):
      NormGradient.forEachPiece(rows, from: start, columns) { row, count in
        plan.runTiles(row * columns, (row + count) * columns, nil)
        body(row, count)
      }
    case .steps(_, let source, let target):
      NormGradient.forEachPiece(rows, from: start, columns) { row, count in
        source.run(row, row + count, into: target)
        body(row, count)
      }
    }
  }

  @inline(__always)
  private static func forEachPiece(_ rows: Int, from start: Int, _ columns: Int, _ body: (Int, Int) -> Void) {
    // The sums add up sixteen rows at a time: pieces of other heights would round otherwise.
    let height = max(piece / max(columns, 1) / 16 * 16, 16)
    var row = start
    while row < start + rows {
      let count = min(height, start + rows - row)
      body(row, count)
      row += count
    }
  }
}

extension Tensor {
  /// What computes this gradient's elements in the order of x; nil if they are there already.
  fileprivate func programForPieces(of recipe: ElementwiseRecipe?, in x: Tensor) throws -> ElementwiseProgram? {
    guard dtype == x.dtype, shape == x.shape else { return nil }
    if let program = recipe.flatMap({ program(of: $0, lane: dtype.lane) }) { return program }
    guard strides != x.strides, let copy = kernels.elementwise[.copy, dtype.lane] else { return nil }
    // What has no program of its own is a leaf of this one.
    return try ElementwiseProgram.fusing(
      .copy, copy, [.tensor(self)], lane: dtype.lane, scalars: Scalars(), roundTo: nil
    ) { $0 }
  }
}
