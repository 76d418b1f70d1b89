/// Puts a tensor's elements in their place in another of its shape. What is still to be computed is computed there,
/// without memory of its own, where that takes one pass.
func writeElements(of source: Tensor, to target: Tensor) throws {
  let isDone = try source.memory.takingRecipe { recipe in
    guard let recipe, source.dtype == target.dtype else { return false }
    if let program = source.program(of: recipe, lane: source.dtype.lane) {
      if !program.isOnePass(into: target) { return false }
      try program.run(into: target)
      return true
    }
    guard recipe.canBeTakenOver else { return false }
    if let weightGradient = recipe.weightGradient {
      recipe.uses.add(1, ordering: .relaxed)
      return try weightGradient.write(source, to: target)
    }
    guard let joining = recipe.joining, recipe.isAll(source) else { return false }
    recipe.uses.add(1, ordering: .relaxed)
    try joining.run(into: target)
    return true
  }
  if !isDone { try copyElements(from: source, to: target) }
}

/// Copies, conversions, and in-place assignment.
extension Tensor {
  /// A copy with memory of its own, in the same memory order where that is dense.
  public func clone() throws -> Tensor {
    let copy = try Tensor(empty: shape, dtype: dtype, strides: isDense ? strides : nil)
    try copyElements(from: self, to: copy)
    return try copy.recorded("Clone", self) { [try $0.grad] }
  }

  /// This tensor if it is row-major, otherwise a row-major copy.
  public func contiguous() throws -> Tensor {
    if isContiguous { return self }
    let copy = try Tensor(empty: shape, dtype: dtype)
    try writeElements(of: self, to: copy)
    return try copy.recorded("Clone", self) { [try $0.grad] }
  }

  /// This tensor if its channels vary fastest in memory, otherwise such a copy.
  public func channelsLast() throws -> Tensor {
    if isChannelsLast { return self }
    let copy = try Tensor(empty: shape, dtype: dtype, strides: Shape.channelsLastStrides(shape))
    try writeElements(of: self, to: copy)
    return try copy.recorded("Clone", self) { [try $0.grad] }
  }

  /// Converted to a dtype; the tensor itself if it has it already.
  public func to(_ dtype: DType) throws -> Tensor {
    if dtype == self.dtype { return self }
    if let converted = try convertedTaps(to: dtype) ?? convertedWeightGradient(to: dtype) { return converted }
    let copy = try converted(to: dtype)
    let source = self.dtype
    return try copy.recorded("ToCopy", self) { [try $0.grad.to(source)] }
  }

  /// Converted to another dtype, unrecorded. Between those that are computed in float32 it is an elementwise operation as
  /// others: who reads it next may convert by the way.
  private func converted(to dtype: DType) throws -> Tensor {
    if isDense, count >= Deferral.threshold, self.dtype.isFloatingPoint, dtype.isFloatingPoint,
      self.dtype.lane == .f32, dtype.lane == .f32, let kernel = kernels.elementwise[.copy, .f32]
    {
      return try ElementwiseProgram.fusing(
        .copy, kernel, [.tensor(self)], lane: .f32, scalars: Scalars(), roundTo: nil
      ) { try $0.result(dtype: dtype, shape: shape, strides: strides) }
    }
    let copy = try Tensor(empty: shape, dtype: dtype, strides: isDense ? strides : nil)
    try copyElements(from: self, to: copy)
    return copy
  }

  /// The same values and memory, outside of any graph.
  public func detach() throws -> Tensor { try alias() }

  /// Takes this tensor itself out of its graph.
  public func detachInPlace() throws {
    try require(
      autograd?.base == nil || !requiresGrad,
      "Can't detach views in-place. Use detach() instead.")
    autograd = nil
  }

  /// Writes `source` into this tensor, broadcast and converted.
  public func copyInPlace(_ source: Tensor) throws {
    guard (try? Shape.broadcast(shape, source.shape)) == shape else {
      throw SwiftNetError.runtime(
        "The expanded size of the tensor must match: cannot copy a tensor of shape \(Shape.describe(source.shape)) "
          + "into one of shape \(Shape.describe(shape))")
    }
    try checkWritable()
    if !needsRecording([self, source]) {
      let source = source.memory === memory ? try noGrad { try source.clone() } : source
      try copyElements(from: source, to: self)
      bumpVersion()
      return
    }
    let dtype = self.dtype
    try inPlace { before in
      let copy = try Tensor(empty: before.shape, dtype: dtype, strides: before.isDense ? before.strides : nil)
      try copyElements(from: source, to: copy)
      return try copy.recorded("CopyInto", before, source) { context in
        [context.needs(0) ? try Tensor.zeros(try context.grad.shape, dtype: dtype) : nil, try context.grad]
      }
    }
  }

  /// Sets every element to a value.
  public func fillInPlace(_ value: Scalar) throws {
    try checkWritable(allowsOverlap: true)
    if !needsRecording([self]) {
      try fillUnrecorded(value)
      bumpVersion()
      return
    }
    let dtype = self.dtype
    try inPlace(allowsOverlap: true) { before in
      let filled = try Tensor.full(before.shape, value, dtype: dtype)
      return try filled.recorded("Fill", before) { [try Tensor.zeros(try $0.grad.shape, dtype: dtype)] }
    }
  }
}
