/// How an elementwise operation picks the dtype in which it computes and the dtype of its result.
enum ResultRule {
  /// The promoted dtype of the operands.
  case promoted
  /// As promoted, but integers and bool become the default floating dtype.
  case floating
  /// Computes in the promoted dtype; the result is bool.
  case bool

  /// Whether the result has the dtype in which the operation computes.
  var isValue: Bool { if case .bool = self { false } else { true } }
}

/// One elementwise operation on tensors and numbers, without recording it for backward.
///
/// - Parameters:
///   - into: where the result goes (in-place operations); its shape must be the broadcast one.
/// - Throws: a runtime error on shapes that do not broadcast, dtypes for which the operation does not exist, or a
///   result that does not fit the dtype of `into`.
func elementwise(
  _ op: ElementwiseOp, _ operands: [ElementwiseOperand], rule: ResultRule = .promoted,
  scalars: Scalars = Scalars(1, pi: 1), into: Tensor? = nil
) throws -> Tensor {
  var compute = TypePromotion.result(operands)
  if rule == .floating, !compute.isFloatingPoint { compute = TypePromotion.defaultDType }
  let resultType = rule == .bool ? DType.bool : compute
  guard let kernel = kernels.elementwise[op, compute.lane] else {
    throw SwiftNetError.notImplemented("\"\(op.name)\" not implemented for '\(compute.scalarTypeName)'")
  }
  let narrow = compute == .float16 || compute == .bfloat16
  guard let into else {
    if compute == .float32 || narrow, let joined = try Tensor.joiningConvolution(op, operands, scalars) {
      return joined
    }
    let shape = try broadcastShape(operands)
    let strides = outputStrides(shape, operands) ?? Shape.contiguousStrides(shape)
    let roundTo = narrow && resultType != compute && resultType != .bool ? compute : nil
    return try ElementwiseProgram.fusing(
      op, kernel, operands, lane: compute.lane, scalars: scalars, roundTo: roundTo
    ) { try $0.result(dtype: resultType, shape: shape, strides: strides) }
  }
  try require(
    TypePromotion.canCast(resultType, to: into.dtype),
    "result type \(resultType.scalarTypeName) can't be cast to the desired output type \(into.dtype.scalarTypeName)")
  let shape = try broadcastShape(operands)
  try require(
    shape == into.shape,
    "output with shape \(Shape.describe(into.shape)) doesn't match the broadcast shape \(Shape.describe(shape))")
  if into.isDeferred, into.isWhole, resultType == into.dtype {
    // Nobody has the old contents yet: the new ones are to be computed in their place.
    let result = try elementwise(op, operands, rule: rule, scalars: scalars)
    if result.isWhole, result.strides == into.strides, try into.memory.exchangeContents(with: result.memory) {
      into.bumpVersion()
      return into
    }
  }
  try into.memory.willChange()
  try ElementwiseProgram.fusing(
    op, kernel, operands, lane: compute.lane, scalars: scalars,
    roundTo: narrow && into.dtype != compute ? compute : nil
  ) { program in
    if overlaps(into, program.leaves) {
      let whole = try Tensor(empty: into.shape, dtype: into.dtype)
      try program.run(into: whole)
      try copyElements(from: whole, to: into)
    } else {
      try program.run(into: into)
    }
  }
  into.bumpVersion()
  return into
}

extension ElementwiseProgram {
  /// The result as a tensor: computed at once if it is small, deferred if it is large.
  func result(dtype: DType, shape: [Int], strides: [Int]) throws -> Tensor {
    let count = try Shape.count(shape)
    guard Deferral.isEnabled, count >= Deferral.threshold, canWait else {
      let output = try Tensor(empty: shape, dtype: dtype, strides: strides)
      try run(into: output)
      return output
    }
    try MemoryPool.shared.checkPossible(count * dtype.size)
    try limitDepth()
    let recipe = ElementwiseRecipe(program: self, dtype: dtype, shape: shape, strides: strides)
    let storage = Storage(byteCount: count * dtype.size, recipe: recipe)
    storage.isArranged = !Shape.isContiguous(shape, strides)
    return Tensor(
      storage: storage, dtype: dtype, shape: shape, strides: strides,
      offset: 0, count: count)
  }
}

/// Kernels by `op.rawValue * 3 + lane.rawValue`, without the cost of reading a struct of arrays.
private let directKernels: UnsafeMutablePointer<ElementwiseKernel?> = {
  let lanes = Lane.allCases.count
  let table = UnsafeMutablePointer<ElementwiseKernel?>.allocate(capacity: ElementwiseOp.allCases.count * lanes)
  for op in ElementwiseOp.allCases {
    for lane in Lane.allCases {
      (table + op.rawValue * lanes + lane.rawValue).initialize(to: kernels.elementwise[op, lane])
    }
  }
  return table
}()

/// The short way for operands that are dense lane values in the same order, and a result of their dtype: no
/// promotion, no plan. nil if it does not apply. This is what decides the cost of an operation on few elements.
@inline(__always)
func directElementwise(_ op: ElementwiseOp, _ a: Tensor, _ b: Tensor?, _ scalars: Scalars) throws -> Tensor? {
  try directElementwise(op, a, b, nil, isReversed: false, scalars)
}

/// The same with a number as the other operand, of a tensor of floats: the second, or the first if reversed.
func directElementwise(
  _ op: ElementwiseOp, _ a: Tensor, number: Scalar, isReversed: Bool, _ scalars: Scalars
) throws -> Tensor? {
  try directElementwise(op, a, nil, number.double, isReversed: isReversed, scalars)
}

@inline(__always)
private func directElementwise(
  _ op: ElementwiseOp, _ a: Tensor, _ b: Tensor?, _ number: Double?, isReversed: Bool, _ scalars: Scalars
) throws -> Tensor? {
  guard let direct = Direct(op, a, b, number, isReversed: isReversed, scalars) else { return nil }
  let count = a.count
  let storage = try Storage(byteCount: count &* direct.size)
  let from = try a.pointer()
  direct.run(from, try b?.pointer() ?? from, to: try storage.pointer, count)
  return Tensor(storage: storage, dtype: a.dtype, shape: a.shape, strides: a.strides, offset: 0, count: count)
}

/// The short way for an operation in place on a tensor of floats; whether it applies.
func directElementwiseInPlace(_ op: ElementwiseOp, _ a: Tensor, _ b: ElementwiseOperand?, _ scalars: Scalars) throws
  -> Bool
{
  var other: Tensor?
  var number: Double?
  switch b {
  case .tensor(let tensor): other = tensor
  case .scalar(let scalar): number = scalar.double
  case nil: break
  }
  guard a.dtype.isFloatingPoint, let direct = Direct(op, a, other, number, isReversed: false, scalars)
  else { return false }
  // Other elements of the same memory would change before they are read.
  if let other, other.memory === a.memory, other.offset != a.offset { return false }
  let second = try other?.pointer()
  let to = try a.mutablePointer()
  direct.run(to, second ?? UnsafeRawPointer(to), to: to, a.count)
  a.bumpVersion()
  return true
}

extension Tensor {
  /// The short way to set all elements of a tensor of floats; whether it applies.
  func fillDirectly(_ value: Double) throws -> Bool {
    guard let direct = Direct(.copy, self, nil, value, isReversed: true, Scalars()) else { return false }
    let to = try mutablePointer()
    direct.run(to, to, to: to, count)
    return true
  }
}

/// What the short way runs: a kernel on dense lane values, or on such and a number.
private struct Direct {
  let size: Int
  private let kernel: ElementwiseKernel
  private let scalars: Scalars
  private let isReversed: Bool
  private let hasNumber: Bool
  /// The number in the lane.
  private var single: Int64 = 0

  /// nil if it does not apply.
  @inline(__always)
  init?(
    _ op: ElementwiseOp, _ a: Tensor, _ b: Tensor?, _ number: Double?, isReversed: Bool, _ scalars: Scalars
  ) {
    // What an operand still waits for may take this operation over.
    if a.memory.isDeferred || b?.memory.isDeferred ?? false { return nil }
    let dtype = a.dtype
    guard dtype.isLane, !Deferral.isEnabled || a.count < Deferral.threshold,
      let kernel = directKernels[op.rawValue * 3 + dtype.lane.rawValue]
    else { return nil }
    if let b {
      guard b.dtype == dtype, a.shape == b.shape, a.strides == b.strides else { return nil }
    }
    guard a.isContiguous || a.isDense else { return nil }
    size = dtype.size
    self.kernel = kernel
    self.scalars = scalars
    self.isReversed = isReversed
    hasNumber = number != nil
    if let number {
      single = dtype == .float32 ? Int64(Float(number).bitPattern) : Int64(bitPattern: number.bitPattern)
    }
  }

  @inline(__always)
  func run(_ from: UnsafeRawPointer, _ other: UnsafeRawPointer, to: UnsafeMutableRawPointer, _ count: Int) {
    withUnsafePointer(to: single) { value in
      @inline(__always) func run(_ start: Int, _ end: Int) {
        withUnsafeTemporaryAllocation(of: Operand.self, capacity: 2) { operands in
          let tensor = Operand(from + start &* size)
          let second =
            hasNumber ? Operand(UnsafeRawPointer(value), isScalar: true) : Operand(other + start &* size)
          operands[0] = isReversed ? second : tensor
          operands[1] = isReversed ? tensor : second
          kernel(operands.baseAddress.unsafelyUnwrapped, to + start &* size, end - start, scalars)
        }
      }
      if count <= ElementwiseProgram.grain {
        run(0, count)
      } else {
        parallelFor(count, grain: ElementwiseProgram.grain, run)
      }
    }
  }
}

/// Whether writing `output` element by element could change operands that are still to be read.
private func overlaps(_ output: Tensor, _ operands: [ElementwiseOperand]) -> Bool {
  for case .tensor(let tensor) in operands where tensor.memory === output.memory && tensor !== output {
    if tensor.shape != output.shape || tensor.strides != output.strides || tensor.offset != output.offset {
      return true
    }
  }
  return false
}

private func broadcastShape(_ operands: [ElementwiseOperand]) throws -> [Int] {
  var shape: [Int]?
  for case .tensor(let tensor) in operands {
    if let known = shape {
      shape = try Shape.broadcast(known, tensor.shape)
    } else {
      shape = tensor.shape
    }
  }
  return shape ?? []
}

/// The result keeps the memory order of the first operand that has its shape and is dense.
private func outputStrides(_ shape: [Int], _ operands: [ElementwiseOperand]) -> [Int]? {
  for case .tensor(let tensor) in operands where tensor.shape == shape {
    if tensor.isDense { return tensor.strides }
  }
  return nil
}

/// Copies elements with conversion; shapes must broadcast to the target's.
func copyElements(from source: Tensor, to target: Tensor) throws {
  if target.count == 0 { return }
  let isPlain = source.dtype == target.dtype && source.shape == target.shape
  if isPlain, source.strides == target.strides ? target.isDense : source.isContiguous && target.isContiguous {
    let bytes = target.count * target.dtype.size
    let from = try source.pointer()
    let to = try target.mutablePointer()
    parallelFor(bytes, grain: 1 << 20) { start, end in memmove(to + start, from + start, end - start) }
    return
  }
  if isPlain, try copyReordered(from: source, to: target) { return }
  // The lane of the source holds each of its values exactly; the store kernel converts.
  let lane = source.dtype.lane
  guard let kernel = kernels.elementwise[.copy, lane] else {
    throw SwiftNetError.notImplemented("copy kernel missing")
  }
  let program = ElementwiseProgram(
    lane: lane, leaves: [.tensor(source)],
    steps: [.init(.copy, kernel: kernel, sources: [.leaf(0)], scalars: Scalars(), roundTo: nil)])
  try program.run(into: target)
}
