/// `(keys, order, n, descending, scratch)`: the stable order of n lane values in a row; NaN counts as greater than
/// all. `scratch` holds n Int64.
public typealias SortKernel = (
  UnsafeRawPointer, UnsafeMutablePointer<Int64>, Int, Bool, UnsafeMutablePointer<Int64>
) -> Void

/// `(keys, order, n, k, largest)`: the places of the k greatest (least) values in their order, equal ones by
/// place; NaN counts as greatest.
public typealias TopKKernel = (UnsafeRawPointer, UnsafeMutablePointer<Int64>, Int, Int, Bool) -> Void

/// `(sorted values, n, wanted values, places, count, right)`: the first place whose value is not less (with
/// `right`: greater) than the wanted one.
public typealias SearchKernel = (
  UnsafeRawPointer, Int, UnsafeRawPointer, UnsafeMutablePointer<Int64>, Int, Bool
) -> Void

/// By lane (f32, f64, i64).
public struct SortKernels {
  public var sort: [SortKernel] = []
  public var topK: [TopKKernel] = []
  public var search: [SearchKernel] = []

  public init() {}
}
