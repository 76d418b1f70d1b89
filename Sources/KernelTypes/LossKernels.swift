/// Classification scores against class indices. Rows: a line of `classes` scores per sample. Columns: scores of
/// one class lie `stride` apart, samples beside each other ([N, C, inner], one N per call).
public struct CrossEntropySettings: Sendable {
  public var classes: Int
  /// Samples with this target count nothing.
  public var ignoreIndex: Int64
  public var labelSmoothing: Double
  /// Distance between a sample's classes, and between samples.
  public var classStride: Int
  public var sampleStride: Int
  /// Distance between the gradients of samples: 1, or 0 if all have the same.
  public var gradientStride = 1
  /// Of the gradients that the loss computes besides.
  public var factor = 1.0

  public init(
    classes: Int, ignoreIndex: Int64 = -100, labelSmoothing: Double = 0, classStride: Int = 1,
    sampleStride: Int
  ) {
    self.classes = classes
    self.ignoreIndex = ignoreIndex
    self.labelSmoothing = labelSmoothing
    self.classStride = classStride
    self.sampleStride = sampleStride
  }
}

/// `(scores, targets, class weights or nil, losses (double), log denominators (double), score gradients or nil, samples,
/// settings)`: each sample's weighted loss, (1 - s) w[t] (-log p[t]) + s / C sum w[c] (-log p[c]), and the logarithm of its
/// softmax's denominator for the backward pass, or at once the gradient times the factor, which knows no weights and no
/// smoothing (float32 only). Targets must be in range or ignored.
public typealias CrossEntropyKernel = (
  UnsafeRawPointer, UnsafePointer<Int64>, UnsafeRawPointer?, UnsafeMutablePointer<Double>,
  UnsafeMutablePointer<Double>, UnsafeMutableRawPointer?, Int, CrossEntropySettings
) -> Void

/// `(scores, targets, class weights or nil, log denominators, gradients per sample (double), score gradients,
/// samples, settings)`
public typealias CrossEntropyGradientKernel = (
  UnsafeRawPointer, UnsafePointer<Int64>, UnsafeRawPointer?, UnsafePointer<Double>, UnsafePointer<Double>,
  UnsafeMutableRawPointer, Int, CrossEntropySettings
) -> Void

/// Losses of scores x beside a truth y, element by element. With p = sigmoid(x), the binary cross entropy of an element
/// is H = (1 - y) x - min(x, 0) + log(1 + e^-|x|).
public struct BinaryLossSettings: Sendable {
  /// Whether the sums of overlap are followed by that of the entropies.
  public var countsEntropy = true
  /// Scores beyond ±bound count as ±bound in H.
  public var bound = Double.infinity
  /// The gradient of H fades where p (1 - p) is below 1e-12, as that of logarithms which end at some value.
  public var isFading = false
  /// The gradient is (both y + predicted) p (1 - p) + entropy (p - y).
  public var both = 0.0
  public var predicted = 0.0
  public var entropy = 0.0
  /// A focal loss is (positive y + negative (1 - y)) (1 - e^-H)^gamma H.
  public var gamma = 0.0
  public var positive = 1.0
  public var negative = 1.0

  public init() {}
}

/// `(x, y, n, sums, settings)`: adds to the sums.
public typealias BinarySumsKernel = (
  UnsafeRawPointer, UnsafeRawPointer, Int, UnsafeMutablePointer<Double>, BinaryLossSettings
) -> Void

/// `(x, y, gradient of x, n, settings)`
public typealias BinaryGradientKernel = (
  UnsafeRawPointer, UnsafeRawPointer, UnsafeMutableRawPointer, Int, BinaryLossSettings
) -> Void

/// By lane (f32, f64).
public struct LossKernels {
  public var crossEntropy: [CrossEntropyKernel] = []
  public var crossEntropyGradient: [CrossEntropyGradientKernel] = []
  /// Four sums: p y, p, y, H.
  public var overlapSums: [BinarySumsKernel] = []
  /// Three sums, x being p itself: p y, p, y.
  public var probabilitySums: [BinarySumsKernel] = []
  /// One sum: H.
  public var entropySums: [BinarySumsKernel] = []
  public var overlapGradient: [BinaryGradientKernel] = []
  /// One sum: the focal loss.
  public var focalSums: [BinarySumsKernel] = []
  /// `entropy` times the gradient of the focal loss.
  public var focalGradient: [BinaryGradientKernel] = []
  /// One sum: (x - y)².
  public var squareSums: [BinarySumsKernel] = []
  /// `entropy` times 2 (x - y).
  public var squareGradient: [BinaryGradientKernel] = []

  public init() {}
}
