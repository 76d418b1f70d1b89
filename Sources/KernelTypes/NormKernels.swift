/// Values of one type in a matrix, `rows` lines of `columns` values in a row.
///
/// Normalisation sees data in two ways. *Rows*: channels-last images, a line per position, a column per
/// channel; parameters are arrays over the columns. *Planes*: one line per channel plane; parameters are
/// numbers. Channel parameters are of the lane's type, statistics are doubles.
public struct MatrixShape: Sendable {
  public var rows: Int
  public var columns: Int

  public init(rows: Int, columns: Int) {
    self.rows = rows
    self.columns = columns
  }
}

/// `(x, pivots or nil, accumulators, shape)`: adds sum(x - pivot) of each column to accumulator c and
/// sum((x - pivot)²) to accumulator columns + c. A pivot near the mean keeps float64 exact.
public typealias StatisticsRowsKernel = (
  UnsafeRawPointer, UnsafePointer<Double>?, UnsafeMutablePointer<Double>, MatrixShape
) -> Void

/// `(x, n, pivot, accumulators)`: the same for one plane, two accumulators.
public typealias StatisticsPlaneKernel = (
  UnsafeRawPointer, Int, Double, UnsafeMutablePointer<Double>
) -> Void

/// `(parts, shape, sums, count)`: the sums of the first `count` columns of a matrix.
public typealias JoinSumsKernel = (UnsafePointer<Double>, MatrixShape, UnsafeMutablePointer<Double>, Int) -> Void

/// Where the gradient of a normalisation counts: where a ReLU behind it was positive. Everywhere if there is none.
public struct NormMask {
  /// The ReLU's output, as large as x.
  public var output: UnsafeRawPointer?
  /// Or what makes it from x: its sign is that of `x · scale + shift`, numbers of a channel in the lane's type.
  public var scale: UnsafeRawPointer?
  public var shift: UnsafeRawPointer?

  public init(output: UnsafeRawPointer? = nil, scale: UnsafeRawPointer? = nil, shift: UnsafeRawPointer? = nil) {
    self.output = output
    self.scale = scale
    self.shift = shift
  }

  /// The mask from an element on, and from a channel on; both in bytes.
  public func from(_ element: Int, channel: Int = 0) -> NormMask {
    NormMask(
      output: output.map { $0 + element }, scale: scale.map { $0 + channel }, shift: shift.map { $0 + channel })
  }
}

/// `(gradient, x, means, mask, accumulators, shape)`: with g the masked gradient: adds sum g to accumulator c and
/// sum(g (x - mean)) to columns + c.
public typealias NormGradientSumsRowsKernel = (
  UnsafeRawPointer, UnsafeRawPointer, UnsafePointer<Double>, NormMask, UnsafeMutablePointer<Double>, MatrixShape
) -> Void

/// `(gradient, x, mean, mask, accumulators, n)`
public typealias NormGradientSumsPlaneKernel = (
  UnsafeRawPointer, UnsafeRawPointer, Double, NormMask, UnsafeMutablePointer<Double>, Int
) -> Void

/// The input gradient of a normalisation: dx = a g + b (x - mean) + k, with g the masked gradient and coefficients by
/// channel in the lane's type.
public struct NormGradientCoefficients {
  public var mean: UnsafeRawPointer
  public var a: UnsafeRawPointer
  public var b: UnsafeRawPointer
  public var k: UnsafeRawPointer

  public init(mean: UnsafeRawPointer, a: UnsafeRawPointer, b: UnsafeRawPointer, k: UnsafeRawPointer) {
    self.mean = mean
    self.a = a
    self.b = b
    self.k = k
  }
}

/// `(gradient, x, mask, dx, coefficients, shape)`. dx may be gradient. Planes: shape is one row, and each coefficient
/// pointer holds one value (`NormKernels.gradientPlane`).
public typealias NormGradientKernel = (
  UnsafeRawPointer, UnsafeRawPointer, NormMask, UnsafeMutableRawPointer, NormGradientCoefficients, MatrixShape
) -> Void

/// What `NormalizeRowsKernel` reads, in this order; only x must be there.
public struct NormalizeOperands {
  public var x: UnsafeRawPointer
  /// By column.
  public var scale: UnsafePointer<Float>?
  public var shift: UnsafePointer<Float>?
  /// As large as x, added.
  public var residual: UnsafeRawPointer?
  /// As large as x: where it is zero or less, so is the result.
  public var mask: UnsafeRawPointer?

  public init(
    x: UnsafeRawPointer, scale: UnsafePointer<Float>? = nil, shift: UnsafePointer<Float>? = nil,
    residual: UnsafeRawPointer? = nil, mask: UnsafeRawPointer? = nil
  ) {
    self.x = x
    self.scale = scale
    self.shift = shift
    self.residual = residual
    self.mask = mask
  }
}

/// `(operands, relu, y, shape)`: y = x · scale + shift + residual, in bfloat16.
public typealias NormalizeRowsKernel = (
  UnsafePointer<NormalizeOperands>, Bool, UnsafeMutableRawPointer, MatrixShape
) -> Void

/// `(x, y, weight or nil, bias or nil, means, inverse deviations, eps, shape)`: each row normalised by its own
/// mean and variance; the statistics are kept as doubles.
public typealias LayerNormKernel = (
  UnsafeRawPointer, UnsafeMutableRawPointer, UnsafeRawPointer?, UnsafeRawPointer?,
  UnsafeMutablePointer<Double>, UnsafeMutablePointer<Double>, Double, MatrixShape
) -> Void

/// `(gradient, x, weight or nil, means, inverse deviations, dx, accumulators or nil, shape)`: accumulators get
/// the weight's gradient (columns doubles), then the bias's.
public typealias LayerNormGradientKernel = (
  UnsafeRawPointer, UnsafeRawPointer, UnsafeRawPointer?, UnsafePointer<Double>, UnsafePointer<Double>,
  UnsafeMutableRawPointer, UnsafeMutablePointer<Double>?, MatrixShape
) -> Void

/// By lane (f32, f64); those of a normalisation by channels have a third place for bfloat16, whose parameters are float32
/// (`DType.kernelPlace`).
public struct NormKernels {
  public var joinSums: JoinSumsKernel = { _, _, _, _ in }
  public var statisticsRows: [StatisticsRowsKernel] = []
  public var statisticsPlane: [StatisticsPlaneKernel] = []
  public var gradientSumsRows: [NormGradientSumsRowsKernel] = []
  public var gradientSumsPlane: [NormGradientSumsPlaneKernel] = []
  public var gradientRows: [NormGradientKernel] = []
  public var gradientPlane: [NormGradientKernel] = []
  public var normalizeNarrowRows: NormalizeRowsKernel = { _, _, _, _ in }
  public var layerNorm: [LayerNormKernel] = []
  public var layerNormGradient: [LayerNormGradientKernel] = []

  public init() {}
}
