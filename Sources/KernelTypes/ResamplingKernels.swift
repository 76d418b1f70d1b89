/// Linear maps along one dimension with few nonzero coefficients, by element type: interpolation and its gradient.
public struct ResamplingKernels {
  public var f32: LineMapKernel = { _ in }
  public var f64: LineMapKernel = { _ in }

  public init() {}
}

public typealias LineMapKernel = (UnsafePointer<LineMap>) -> Void

/// Outputs `outputs` of a map: each is Σ weight · source[place] over the entries `starts[o] ..< starts[o + 1]`, for
/// `inner` adjacent numbers.
public struct LineMap {
  public var source: UnsafeRawPointer
  /// Of the first output.
  public var target: UnsafeMutableRawPointer
  public var starts: UnsafePointer<Int>
  public var places: UnsafePointer<Int>
  /// Of the elements' type.
  public var weights: UnsafeRawPointer
  public var inner: Int
  /// Of every output; nil if their numbers differ.
  public var entries: Int?
  public var outputs: Range<Int>

  public init(
    source: UnsafeRawPointer, target: UnsafeMutableRawPointer, starts: UnsafePointer<Int>, places: UnsafePointer<Int>,
    weights: UnsafeRawPointer, inner: Int, entries: Int?, outputs: Range<Int>
  ) {
    self.source = source
    self.target = target
    self.starts = starts
    self.places = places
    self.weights = weights
    self.inner = inner
    self.entries = entries
    self.outputs = outputs
  }
}
