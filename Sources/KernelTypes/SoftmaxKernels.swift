/// `(x, y, shape)`: each row's softmax (or its logarithm). y may be x.
public typealias SoftmaxRowsKernel = (UnsafeRawPointer, UnsafeMutableRawPointer, MatrixShape) -> Void

/// `(gradient, y, dx, shape)`, y the forward result. dx may be gradient.
public typealias SoftmaxRowsGradientKernel = (
  UnsafeRawPointer, UnsafeRawPointer, UnsafeMutableRawPointer, MatrixShape
) -> Void

/// `(x, y, rows, stride, count)`: down `count` columns of a matrix whose lines are `stride` values
/// apart; the pointers stand at the first column of the range.
public typealias SoftmaxColumnsKernel = (
  UnsafeRawPointer, UnsafeMutableRawPointer, Int, Int, Int
) -> Void

/// `(gradient, y, dx, rows, stride, count)`
public typealias SoftmaxColumnsGradientKernel = (
  UnsafeRawPointer, UnsafeRawPointer, UnsafeMutableRawPointer, Int, Int, Int
) -> Void

/// By lane (f32, f64).
public struct SoftmaxKernels {
  public var rows: [SoftmaxRowsKernel] = []
  public var logRows: [SoftmaxRowsKernel] = []
  public var rowsGradient: [SoftmaxRowsGradientKernel] = []
  public var logRowsGradient: [SoftmaxRowsGradientKernel] = []
  public var columns: [SoftmaxColumnsKernel] = []
  public var logColumns: [SoftmaxColumnsKernel] = []
  public var columnsGradient: [SoftmaxColumnsGradientKernel] = []
  public var logColumnsGradient: [SoftmaxColumnsGradientKernel] = []

  public init() {}
}
