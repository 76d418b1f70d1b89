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

/// `(scores, targets, class weights or nil, losses (double), log denominators (double), samples, settings)`: each
/// sample's weighted loss, (1 - s) w[t] (-log p[t]) + s / C sum w[c] (-log p[c]), and the logarithm of its
/// softmax's denominator for the backward pass. Targets must be in range or ignored.
public typealias CrossEntropyKernel = (
  UnsafeRawPointer, UnsafePointer<Int64>, UnsafeRawPointer?, UnsafeMutablePointer<Double>,
  UnsafeMutablePointer<Double>, Int, CrossEntropySettings
) -> Void

/// `(scores, targets, class weights or nil, log denominators, gradients per sample (double), score gradients,
/// samples, settings)`
public typealias CrossEntropyGradientKernel = (
  UnsafeRawPointer, UnsafePointer<Int64>, UnsafeRawPointer?, UnsafePointer<Double>, UnsafePointer<Double>,
  UnsafeMutableRawPointer, Int, CrossEntropySettings
) -> Void

/// By lane (f32, f64).
public struct LossKernels {
  public var crossEntropy: [CrossEntropyKernel] = []
  public var crossEntropyGradient: [CrossEntropyGradientKernel] = []

  public init() {}
}
