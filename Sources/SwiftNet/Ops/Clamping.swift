/// Limits, and the operations on three operands.
extension Tensor {
  /// min(max(x, low), high); either limit may be missing. Where low > high the result is high.
  ///
  /// The gradient of x is passed where low ≤ x ≤ high, that of a limit where it is what was taken.
  public func clamp(_ low: ElementwiseOperand?, _ high: ElementwiseOperand?) throws -> Tensor {
    try require(low != nil || high != nil, "torch.clamp: At least one of 'min' or 'max' must not be None")
    let operands = [.tensor(self), low, high].compactMap { $0 }
    let dtype = TypePromotion.result(operands)
    try require(
      dtype != .bool, .notImplemented, "\"clamp_scalar_kernel_impl\" not implemented for 'Bool'")
    if low?.scalarValue != nil || low == nil, high?.scalarValue != nil || high == nil {
      return try clampedByNumbers(low?.scalarValue, high?.scalarValue, dtype)
    }
    return try clampedByTensors(
      try low.map { try Tensor.operandTensor($0, dtype) },
      try high.map { try Tensor.operandTensor($0, dtype) }, dtype)
  }

  private func clampedByNumbers(_ low: Scalar?, _ high: Scalar?, _ dtype: DType) throws -> Tensor {
    let x = try to(dtype)
    var scalars = Scalars(-.infinity, .infinity, pi: .min, qi: .max)
    for (limit, isLow) in [(low, true), (high, false)] {
      guard let limit else { continue }
      try dtype.checkHolds(limit)
      if limit.double.isNaN { return try x * .float(.nan) }
      if isLow {
        (scalars.p, scalars.pi) = (limit.double, dtype.wrapped(limit.int64))
      } else {
        (scalars.q, scalars.qi) = (limit.double, dtype.wrapped(limit.int64))
      }
    }
    return try x.unary(.clampScalar, scalars)
  }

  private func clampedByTensors(_ low: Tensor?, _ high: Tensor?, _ dtype: DType) throws -> Tensor {
    let x = try to(dtype)
    let out: Tensor
    switch (low, high) {
    case (let low?, let high?):
      out = try elementwise(.clampTensor, [.tensor(x), .tensor(low), .tensor(high)])
    case (let low?, nil): out = try elementwise(.maximum, [.tensor(x), .tensor(low)])
    case (nil, let high?): out = try elementwise(.minimum, [.tensor(x), .tensor(high)])
    case (nil, nil): return x
    }
    let limits = [low, high].compactMap { $0 }
    let (hasLow, hasHigh) = (low != nil, high != nil)
    return try out.recorded("Clamp", inputs: [x] + limits, saving: [x] + limits) { context in
      let grad = try context.grad
      let x = ElementwiseOperand.tensor(try context.saved(0))
      let low: ElementwiseOperand? = hasLow ? .tensor(try context.saved(1)) : nil
      let high: ElementwiseOperand? = hasHigh ? .tensor(try context.saved(hasLow ? 2 : 1)) : nil
      func masked(_ masks: [Tensor], any: Bool = false) throws -> Tensor {
        var mask = masks[0]
        for other in masks.dropFirst() {
          mask = try Binary.apply(any ? .logicalOr : .logicalAnd, .tensor(mask), .tensor(other))
        }
        return try whereSelect(mask, .tensor(grad), .scalar(0.0))
      }
      var results: [Tensor?] = []
      results.append(
        try masked(
          [
            try low.map { try Binary.apply(.ge, x, $0) }, try high.map { try Binary.apply(.le, x, $0) },
          ].compactMap { $0 }))
      if let low {
        let below = try Binary.apply(.lt, x, low)
        results.append(try masked(high.map { [below, try Binary.apply(.lt, low, $0)] } ?? [below]))
      }
      if let high {
        let above = try Binary.apply(.gt, x, high)
        results.append(
          try masked(low.map { [above, try Binary.apply(.gt, $0, high)] } ?? [above], any: true))
      }
      return results
    }
  }

  static func operandTensor(_ operand: ElementwiseOperand, _ dtype: DType) throws -> Tensor {
    switch operand {
    case .tensor(let tensor): return try tensor.to(dtype)
    case .scalar(let scalar):
      try dtype.checkHolds(scalar)
      return try Tensor.scalar(scalar, dtype: dtype)
    }
  }

  /// The value at the fraction `weight` of the way from this tensor to `end`.
  public func lerp(_ end: Tensor, _ weight: ElementwiseOperand) throws -> Tensor {
    try require(
      dtype == end.dtype, "expected dtype \(dtype.cTypeName) for `end` but got dtype \(end.dtype.cTypeName)")
    if case .tensor(let tensor) = weight, tensor.dtype != dtype {
      throw SwiftNetError.runtime(
        "expected dtype \(dtype.cTypeName) for `weight` but got dtype \(tensor.dtype.cTypeName)")
    }
    try require(
      dtype.isFloatingPoint, .notImplemented, "\"lerp_kernel\" not implemented for '\(dtype.scalarTypeName)'")
    let out = try elementwise(.lerp, [.tensor(self), .tensor(end), weight])
    if case .tensor(let tensor) = weight {
      return try out.recorded("Lerp", self, end, tensor, saving: [self, end, tensor]) { context in
        let grad = try context.grad
        let weight = try context.saved(2)
        return [
          context.needs(0) ? try grad * (weight.negated() + 1.0) : nil,
          context.needs(1) ? try grad * weight : nil,
          context.needs(2) ? try grad * (context.saved(1) - context.saved(0)) : nil,
        ]
      }
    }
    let fraction = weight.scalarValue?.double ?? 0
    return try out.recorded("Lerp", self, end) {
      [try $0.grad * .float(1 - fraction), try $0.grad * .float(fraction)]
    }
  }

  /// x + value · a · b
  public func addcmul(_ a: Tensor, _ b: Tensor, value: Scalar = 1) throws -> Tensor {
    let dtype = TypePromotion.result([.tensor(self), .tensor(a), .tensor(b)])
    try Tensor.checkScale(dtype, "addcmul")
    let out = try elementwise(
      .addcmul, [.tensor(self), .tensor(a), .tensor(b)], scalars: Scalars(value.double, pi: value.int64))
    return try out.recorded("Addcmul", self, a, b, saving: [a, b]) { context in
      let grad = try context.grad
      return [
        grad, context.needs(1) ? try (grad * context.saved(1)).times(value) : nil,
        context.needs(2) ? try (grad * context.saved(0)).times(value) : nil,
      ]
    }
  }

  /// x + value · a / b
  public func addcdiv(_ a: Tensor, _ b: Tensor, value: Scalar = 1) throws -> Tensor {
    try require(
      a.dtype.isFloatingPoint || b.dtype.isFloatingPoint,
      "Integer division with addcdiv is no longer supported, and in a future  release addcdiv will perform a true "
        + "division of tensor1 and tensor2. The historic addcdiv behavior can be implemented as (input + value * "
        + "torch.trunc(tensor1 / tensor2)).to(input.dtype) for integer inputs and as (input + value * tensor1 / "
        + "tensor2) for float inputs.")
    let out = try elementwise(
      .addcdiv, [.tensor(self), .tensor(a), .tensor(b)], scalars: Scalars(value.double, pi: value.int64))
    return try out.recorded("Addcdiv", self, a, b, saving: [a, b]) { context in
      let grad = try context.grad
      let b = try context.saved(1)
      return [
        grad, context.needs(1) ? try (grad / b).times(value) : nil,
        context.needs(2) ? try (grad * (context.saved(0) / (b * b))).times(value.negated) : nil,
      ]
    }
  }

  private static func checkScale(_ dtype: DType, _ name: String) throws {
    try require(
      dtype != .bool, .notImplemented, "\"\(name)_cpu_out\" not implemented for 'Bool'")
  }
}

extension ElementwiseOperand {
  var scalarValue: Scalar? {
    if case .scalar(let scalar) = self { return scalar }
    return nil
  }
}

extension DType {
  /// Smallest and largest value of an integer type.
  var integerRange: ClosedRange<Int64>? {
    switch self {
    case .int8: -128...127
    case .int16: -32768...32767
    case .int32: -2_147_483_648...2_147_483_647
    case .int64: Int64.min...Int64.max
    case .uint8: 0...255
    case .bool: 0...1
    default: nil
    }
  }

  /// Throws unless an integer type can hold the number.
  func checkHolds(_ value: Scalar) throws {
    guard var range = integerRange, self != .bool else { return }
    // A negative number is allowed for an unsigned type, where it wraps.
    if self == .uint8 { range = -255...255 }
    try require(
      range.contains(value.int64), "value cannot be converted to type \(fixedWidthName) without overflow")
  }

  /// As the type stores an integer: a negative number wraps in an unsigned one.
  func wrapped(_ value: Int64) -> Int64 { self == .uint8 ? value & 255 : value }

  private var fixedWidthName: String {
    switch self {
    case .int8: "int8_t"
    case .int16: "int16_t"
    case .int32: "int"
    case .int64: "int64_t"
    case .uint8: "uint8_t"
    default: cTypeName
    }
  }
}
