/// Every elementwise operation: one output element from the elements of up to four operands at the same place.
/// Comparisons and predicates give 0 or 1 in the lane type. The case name is the name under which the C ABI
/// finds the operation. `a`, `b`, `c` are the operands, `p`, `q`, `r` the scalars (`Scalars`).
public enum ElementwiseOp: Int, CaseIterable, Sendable {
  // One operand.
  case copy, abs, neg, sign, sgn, square, reciprocal, sqrt, rsqrt
  case ceil, floor, trunc, round, frac
  /// round to p decimals
  case roundDecimals
  case exp, exp2, expm1, log, log2, log10, log1p
  case sin, cos, tan, asin, acos, atan, sinh, cosh, tanh, asinh, acosh, atanh
  case erf, erfc, erfinv, lgamma, digamma, trigamma, i0, sinc, logit, ndtr, ndtri
  case sigmoid, logSigmoid, relu, relu6, silu, mish, hardsigmoid, hardswish, softsign, tanhshrink, selu
  /// a > 0 ? a : p * a
  case leakyRelu
  /// ELU with alpha p, scale q, input scale r
  case elu
  case celu
  /// GELU, p = 0: exact (erf), p = 1: tanh approximation
  case gelu
  /// Softplus with beta p, threshold q
  case softplus
  case hardshrink, softshrink
  /// min(max(a, p), q)
  case hardtanh
  /// a > p ? a : q
  case threshold
  /// min(max(a, p), q), NaN stays NaN; integers compare with `pi`, `qi`
  case clampScalar
  case nanToNum
  case logicalNot, bitwiseNot
  case isnan, isinf, isfinite, isposinf, isneginf, signbit

  // Two operands.
  /// a + p * b
  case add
  /// a - p * b
  case sub
  case mul, div, floorDivide, truncDivide, remainder, fmod, pow
  case minimum, maximum, fmin, fmax, atan2, hypot, copysign, nextafter, logaddexp, logaddexp2, xlogy, xlog1py
  case eq, ne, lt, le, gt, ge
  case logicalAnd, logicalOr, logicalXor
  case bitwiseAnd, bitwiseOr, bitwiseXor, shiftLeft, shiftRight
  case heaviside, gcd, lcm, ldexp
  /// PReLU: a > 0 ? a : b * a
  case prelu

  // Backward rules in one pass; a is the incoming gradient.
  /// b > p ? a : 0 (b: the saved input or output)
  case thresholdBackward
  /// p < b < q ? a : 0
  case hardtanhBackward
  /// b > 0 ? a : p * a
  case leakyReluBackward
  /// a * b * (1 - b) (b: the saved output)
  case sigmoidBackward
  /// a * (1 - b²) (b: the saved output)
  case tanhBackward
  /// b: the saved input; p, q, r as elu
  case eluBackward
  case celuBackward
  case seluBackward
  case geluBackward
  case siluBackward
  case mishBackward
  case logSigmoidBackward
  case softplusBackward
  case hardsigmoidBackward
  case hardswishBackward
  case softshrinkBackward
  case hardshrinkBackward
  /// The derivative of the binary cross entropy of a probability a, with the target b.
  case entropySlope

  // Three operands.
  /// a != 0 ? b : c
  case `where`
  /// a + p * b * c
  case addcmul
  /// a + p * b / c
  case addcdiv
  /// a + c * (b - a)
  case lerp
  /// min(max(a, b), c)
  case clampTensor

  // What programs make of several steps, see `ElementwiseProgram.merged`.
  /// max(a + p * b, 0)
  case addRelu
  /// max(a + p * b * c, 0)
  case addcmulRelu
  /// max(a + p * b * c + d, 0)
  case addcmulAddRelu

  /// The spelling in the C ABI and in messages.
  public var name: String { self == .where ? "where" : String(describing: self) }
}

/// Scalar parameters of an elementwise operation, as floating point and as integers.
public struct Scalars: Sendable {
  public var p: Double
  public var q: Double
  public var r: Double
  public var pi: Int64
  public var qi: Int64

  @inlinable public init(_ p: Double = 0, _ q: Double = 0, _ r: Double = 0, pi: Int64 = 0, qi: Int64 = 0) {
    self.p = p
    self.q = q
    self.r = r
    self.pi = pi
    self.qi = qi
  }
}

/// One operand of an elementwise kernel: `n` lane values in a row, or one value that stands for all.
public struct Operand {
  public var pointer: UnsafeRawPointer
  public var isScalar: Bool

  @inlinable public init(_ pointer: UnsafeRawPointer, isScalar: Bool = false) {
    self.pointer = pointer
    self.isScalar = isScalar
  }
}

// Kernels that run tile by tile are structures around their functions. An array of bare functions, or an optional one,
// would keep each in its most general form, behind a converting closure of its own, whose references two threads count
// in one place: that took as long as the arithmetic of a tile.

/// `(operands, output, n, scalars)`: output may be one of the operands.
public struct ElementwiseKernel {
  public typealias Function = (UnsafePointer<Operand>, UnsafeMutableRawPointer, Int, Scalars) -> Void
  @usableFromInline let function: Function

  @inlinable @inline(__always) public init(_ function: @escaping Function) { self.function = function }

  @inlinable @inline(__always)
  public func callAsFunction(
    _ operands: UnsafePointer<Operand>, _ output: UnsafeMutableRawPointer, _ n: Int, _ scalars: Scalars
  ) { function(operands, output, n, scalars) }
}

/// `(source, source stride in elements, output, n)`: elements of a dtype to lane values.
public struct LoadKernel {
  public typealias Function = (UnsafeRawPointer, Int, UnsafeMutableRawPointer, Int) -> Void
  @usableFromInline let function: Function

  @inlinable @inline(__always) public init(_ function: @escaping Function) { self.function = function }

  @inlinable @inline(__always)
  public func callAsFunction(_ source: UnsafeRawPointer, _ stride: Int, _ output: UnsafeMutableRawPointer, _ n: Int) {
    function(source, stride, output, n)
  }
}

/// `(lane values, output, output stride in elements, n)`: lane values to elements of a dtype.
/// Floats narrow to nearest even; integers wrap; float to integer truncates; to bool: nonzero (NaN included).
public struct StoreKernel {
  public typealias Function = (UnsafeRawPointer, UnsafeMutableRawPointer, Int, Int) -> Void
  @usableFromInline let function: Function

  @inlinable @inline(__always) public init(_ function: @escaping Function) { self.function = function }

  @inlinable @inline(__always)
  public func callAsFunction(_ values: UnsafeRawPointer, _ output: UnsafeMutableRawPointer, _ stride: Int, _ n: Int) {
    function(values, output, stride, n)
  }
}
