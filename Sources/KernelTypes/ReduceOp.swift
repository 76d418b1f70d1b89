/// Reductions over lane values. Accumulators are Double for the floating lanes and Int64 for integers.
public enum ReduceOp: Int, CaseIterable, Sendable {
  case sum, prod
  /// NaN wins, as in PyTorch.
  case min, max
  /// Sum of a².
  case sumSquares
  /// Sum of |a|.
  case sumAbs
  /// Sum of (a - p)².
  case sumSquaredDeviations
  /// Sum of exp(a - p).
  case sumExp
  /// Whether any (all) element is nonzero, as 0 or 1.
  case any, all
  /// Number of nonzero elements.
  case countNonzero

  /// What an accumulator starts from.
  @inlinable public var identity: Double {
    switch self {
    case .prod, .all: 1
    case .min: .infinity
    case .max: -.infinity
    default: 0
    }
  }

  @inlinable public var integerIdentity: Int64 {
    switch self {
    case .prod, .all: 1
    case .min: .max
    case .max: .min
    default: 0
    }
  }
}

/// `(values, n, accumulator, p)`: folds n lane values in a row into one accumulator.
public struct ReduceRowKernel {
  public typealias Function = (UnsafeRawPointer, Int, UnsafeMutableRawPointer, Double) -> Void
  @usableFromInline let function: Function

  @inlinable @inline(__always) public init(_ function: @escaping Function) { self.function = function }

  @inlinable @inline(__always)
  public func callAsFunction(_ values: UnsafeRawPointer, _ n: Int, _ accumulator: UnsafeMutableRawPointer, _ p: Double)
  { function(values, n, accumulator, p) }
}

/// `(values, rows, bytes from row to row, n, accumulators, p)`: folds value j of each row into accumulator j, for a
/// reduction over an outer dimension. `p` points at n doubles or is nil.
public struct ReduceColumnsKernel {
  public typealias Function = (
    UnsafeRawPointer, Int, Int, Int, UnsafeMutableRawPointer, UnsafePointer<Double>?
  ) -> Void
  @usableFromInline let function: Function

  @inlinable @inline(__always) public init(_ function: @escaping Function) { self.function = function }

  @inlinable @inline(__always)
  public func callAsFunction(
    _ values: UnsafeRawPointer, _ rows: Int, _ stride: Int, _ n: Int, _ accumulators: UnsafeMutableRawPointer,
    _ p: UnsafePointer<Double>?
  ) { function(values, rows, stride, n, accumulators, p) }
}

/// `(values, n, first index, best value (lane), best index)`: argmin or argmax; the first of equal ones wins,
/// and NaN wins over all. The best index is -1 at the start.
public typealias ArgReduceKernel = (
  UnsafeRawPointer, Int, Int, UnsafeMutableRawPointer, UnsafeMutablePointer<Int64>
) -> Void

/// `(values, output, n, carried value (accumulator))`: running sum or product along a row of lane values.
public typealias ScanKernel = (UnsafeRawPointer, UnsafeMutableRawPointer, Int, UnsafeMutableRawPointer) ->
  Void
