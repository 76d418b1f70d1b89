/// Compares gradients with finite differences. https://pytorch.org/docs/stable/generated/torch.autograd.gradcheck
public enum GradCheck {
  public typealias Function = ([Tensor]) throws -> [Tensor]

  public struct Options {
    /// Step of the finite differences.
    public var eps = 1e-6
    /// Greatest absolute and relative difference that passes.
    public var atol = 1e-5
    public var rtol = 1e-3
    /// Greatest difference between two backward runs.
    public var nondeterminism = 0.0

    public init(eps: Double = 1e-6, atol: Double = 1e-5, rtol: Double = 1e-3, nondeterminism: Double = 0) {
      self.eps = eps
      self.atol = atol
      self.rtol = rtol
      self.nondeterminism = nondeterminism
    }
  }

  /// Checks the gradients of a function with respect to those inputs that require one.
  /// - Returns: what is wrong, or nil.
  public static func check(_ function: Function, _ inputs: [Tensor], _ options: Options = Options()) throws
    -> String?
  {
    let wanted = inputs.indices.filter { inputs[$0].requiresGrad }
    try require(
      !wanted.isEmpty, .value,
      "gradcheck expects at least one input tensor to require gradient, but none of the them have requires_grad=True."
    )
    for i in wanted {
      try require(
        inputs[i].isNonOverlapping || inputs[i].count <= 1,
        "The \(i)th input has a dimension with stride 0. gradcheck only supports inputs that are non-overlapping to be "
          + "able to compute the numerical gradients correctly. You should call .contiguous on the input before passing "
          + "it to gradcheck.")
    }
    let outputs = try function(inputs).filter(\.dtype.isFloatingPoint)
    var numerical: [[[Double]]] = []
    for i in wanted { numerical.append(try differences(function, inputs, i, outputs.count, options.eps)) }
    for (j, output) in outputs.enumerated() {
      for (position, i) in wanted.enumerated() {
        let expected = numerical[position][j]
        guard output.requiresGrad else {
          if expected.contains(where: { abs($0) > options.atol }) {
            return
              "Numerical gradient for function expected to be zero: output \(j) does not require a gradient"
          }
          continue
        }
        let analytical = try jacobian(output, inputs[i])
        if analytical.count != expected.count {
          return "the outputs of the function change their size from call to call"
        }
        for (a, n) in zip(analytical, expected) where !close(a, n, options) {
          return message(j, i, expected, analytical)
        }
        let again = try jacobian(output, inputs[i])
        for (a, b) in zip(analytical, again) where abs(a - b) > options.nondeterminism {
          return
            "Backward is not reentrant, i.e., running backward with same input and grad_output multiple times gives "
            + "different values, although analytical gradient matches numerical gradient. The tolerance for "
            + "nondeterminism was \(options.nondeterminism)."
        }
      }
    }
    return nil
  }

  /// Checks second derivatives: the gradients of the function's gradients.
  /// - Parameter gradOutputs: gradients of the outputs to start from; by default random ones.
  public static func checkTwice(
    _ function: Function, _ inputs: [Tensor], gradOutputs: [Tensor]? = nil, _ options: Options = Options()
  ) throws -> String? {
    func differentiable(_ tensors: [Tensor]) -> [Tensor] { tensors.filter(\.requiresGrad) }
    let outputs = differentiable(try function(inputs))
    let gradients =
      try gradOutputs
      ?? outputs.map { output in
        let random = try Tensor(empty: output.shape, dtype: output.dtype)
        try random.uniformInPlace(-1, 1, generator: Generator(seed: 0))
        try random.setRequiresGrad(true)
        return random
      }
    try require(
      gradients.count == outputs.count, .value,
      "gradgradcheck: \(gradients.count) gradients for \(outputs.count) outputs")
    let count = inputs.count
    return try check(
      { all in
        let inputs = Array(all.prefix(count))
        let found = try withGradMode(true) {
          try Engine.gradients(
            of: differentiable(try function(inputs)), inputs: differentiable(inputs),
            gradients: Array(all.suffix(from: count)), retainGraph: true, createGraph: true, allowUnused: true
          )
        }
        return found.compactMap { $0 }
      }, inputs + gradients, options)
  }

  private static func close(_ a: Double, _ n: Double, _ options: Options) -> Bool {
    a == n || (a.isNaN && n.isNaN) || abs(a - n) <= options.atol + options.rtol * abs(n)
  }

  /// For each output the derivatives (f(x + eps) - f(x - eps)) / 2 eps, input element by input element.
  private static func differences(
    _ function: Function, _ inputs: [Tensor], _ position: Int, _ outputCount: Int, _ eps: Double
  ) throws -> [[Double]] {
    let input = inputs[position]
    let places = try Tensor.stridedPositions(input.geometry)
    let at = try places.pointer().assumingMemoryBound(to: Int64.self)
    var result = [[Double]](repeating: [], count: outputCount)
    func evaluate() throws -> [[Double]] {
      try function(inputs).filter(\.dtype.isFloatingPoint).map { try $0.doubles() }
    }
    for element in 0..<input.count {
      let cell = try input.alias(shape: [], strides: [], offset: Int(at[element]), count: 1)
      let value = try cell.item().double
      defer { try? cell.fillUnrecorded(.float(value)) }
      try cell.fillUnrecorded(.float(value + eps))
      let above = try evaluate()
      try cell.fillUnrecorded(.float(value - eps))
      let below = try evaluate()
      try cell.fillUnrecorded(.float(value))
      try require(
        above.count == outputCount && below.count == outputCount, .value,
        "gradcheck: the function does not always give the same number of outputs")
      for j in 0..<outputCount { result[j] += zip(above[j], below[j]).map { ($0 - $1) / (2 * eps) } }
    }
    return result
  }

  /// The derivatives by backward, in the order of `differences`.
  private static func jacobian(_ output: Tensor, _ input: Tensor) throws -> [Double] {
    var rows: [[Double]] = []
    for element in 0..<output.count {
      let seed = try Tensor.zeros(output.shape, dtype: output.dtype)
      try seed.alias(shape: [], strides: [], offset: element, count: 1).fillUnrecorded(1)
      let found = try Engine.gradients(
        of: [output], inputs: [input], gradients: [seed], retainGraph: true, allowUnused: true)
      rows.append(try found[0]?.doubles() ?? [Double](repeating: 0, count: input.count))
    }
    return (0..<input.count).flatMap { i in rows.map { $0[i] } }
  }

  private static func message(_ output: Int, _ input: Int, _ numerical: [Double], _ analytical: [Double])
    -> String
  {
    func list(_ values: [Double]) -> String {
      "[" + values.prefix(64).map { "\($0)" }.joined(separator: ", ") + (values.count > 64 ? ", ...]" : "]")
    }
    return "Jacobian mismatch for output \(output) with respect to input \(input),\n"
      + "numerical:\(list(numerical))\nanalytical:\(list(analytical))\n"
  }
}
