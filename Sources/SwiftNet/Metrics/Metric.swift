/// A measure of how good predictions are, over as many batches as one likes: `update` takes a batch, `results` gives
/// the values so far by name, `resetParameters` starts anew. What has been counted is kept in buffers, so that a metric
/// is copied, saved and loaded as any module.
open class Metric: Module {
  /// Takes the outputs of a network and what they should have been.
  open func update(_ output: Tensor, _ target: Tensor) throws {
    throw SwiftNetError.notImplemented("Metric [\(typeName)] is missing the required \"update\" function")
  }

  /// The values so far, by name.
  open func results() throws -> [(name: String, value: Tensor)] { [] }

  /// One of the values.
  public final func result(_ name: String) throws -> Tensor {
    let all = try results()
    guard let found = all.first(where: { $0.name == name }) else {
      throw SwiftNetError.value(
        "\(typeName) has no result '\(name)'; there are \(all.map(\.name).joined(separator: ", "))")
    }
    return found.value
  }

  /// With output and target, `update`; without inputs, names and values in turn.
  public override final func forward(_ inputs: [ModuleValue]) throws -> ModuleValue {
    if inputs.isEmpty {
      return .list(try noGrad { try results() }.flatMap { [ModuleValue.string($0.name), .tensor($0.value)] })
    }
    guard inputs.count == 2 else {
      throw SwiftNetError.type(
        "\(typeName).update() takes an output and a target, but \(inputs.count) values were given")
    }
    let (output, target) = (
      try inputs[0].expectTensor("\(typeName).update", "output"),
      try inputs[1].expectTensor("\(typeName).update", "target")
    )
    try noGrad { try update(output.detach(), target.detach()) }
    return .none
  }

  open override func resetParameters() throws {
    for (_, buffer) in buffers { try buffer.tensor?.fillInPlace(0) }
  }

  /// Zeros that are counted in.
  final func addCounts(_ name: String, _ shape: [Int], _ dtype: DType = .int64) throws {
    setBuffer(name, try Tensor.zeros(shape, dtype: dtype))
  }

  /// The counts under a name, of the given shape: settings and buffers may have been replaced.
  final func counts(_ name: String, _ shape: [Int], _ dtype: DType = .int64) throws -> Tensor {
    guard let tensor = buffer(name) else { throw SwiftNetError.runtime("'\(typeName)' object has no buffer '\(name)'") }
    try require(
      tensor.shape == shape && tensor.dtype == dtype && tensor.isContiguous, .value,
      "\(typeName): '\(name)' must be \(dtype.name) of shape \(Shape.describe(shape)), but is \(tensor.dtype.name) of "
        + "shape \(Shape.describe(tensor.shape)); make a new metric for other settings")
    return tensor
  }

  /// Adds to counts of whole numbers.
  final func add(_ name: String, _ values: [Int64], _ shape: [Int]) throws {
    let tensor = try counts(name, shape)
    try require(tensor.count == values.count, "\(values.count) values for shape \(Shape.describe(shape))")
    let pointer = try tensor.mutablePointer().assumingMemoryBound(to: Int64.self)
    for index in values.indices { pointer[index] &+= values[index] }
  }

  /// A float64 tensor of the given values; without a shape, a single number.
  final func tensor(_ values: [Double], _ shape: [Int]? = nil) throws -> Tensor {
    let result = try Tensor(empty: shape ?? (values.count == 1 ? [] : [values.count]), dtype: .float64)
    try require(result.count == values.count, "\(values.count) values for shape \(Shape.describe(result.shape))")
    try result.mutablePointer().copyMemory(from: values, byteCount: 8 * values.count)
    return result
  }

  final func requireCount(_ name: String) throws -> Int {
    let value = try int(name)
    try require((1...(1 << 24)).contains(value), .value, "\(typeName): \(name) must be positive, but got \(value)")
    return value
  }
}

/// The mean of the finite numbers among some; NaN if there are none.
func meanOfDefined(_ values: [Double]) -> Double {
  let defined = values.filter { !$0.isNaN }
  return defined.isEmpty ? .nan : defined.reduce(0, +) / Double(defined.count)
}

/// a / b, or `otherwise` where b is 0.
func ratio(_ a: Double, _ b: Double, otherwise: Double = 0) -> Double { b == 0 ? otherwise : a / b }

extension Tensor {
  /// Elements as 64-bit integers in order, for reading labels.
  func labels(_ function: String, _ argument: String) throws -> [Int64] {
    try require(
      !dtype.isFloatingPoint, .type, "\(function): \(argument) must hold whole numbers, but has dtype \(dtype.name)")
    let whole = try to(.int64).contiguous()
    let pointer = try whole.pointer().assumingMemoryBound(to: Int64.self)
    return Array(UnsafeBufferPointer(start: pointer, count: whole.count))
  }

  /// Classes from logits (N, C, …) for a target (N, …); classes themselves stay as they are.
  func classes(for target: Tensor, _ function: String) throws -> Tensor {
    if shape == target.shape && !dtype.isFloatingPoint { return self }
    try require(
      rank == target.rank + 1 && rank >= 2 && shape[0] == target.shape[0]
        && Array(shape.dropFirst(2)) == Array(target.shape.dropFirst()), .value,
      "\(function): output must be logits (N, C, …) or classes (N, …) for a target (N, …), but output has shape "
        + "\(Shape.describe(shape)) and target \(Shape.describe(target.shape))")
    try require(shape[1] > 0, .value, "\(function): output has no classes: \(Shape.describe(shape))")
    return try argExtremum(1, largest: true)
  }
}
