/// The kernels of one instruction set. Each kernel module fills one table; the runtime picks a table at start.
/// A kernel works on raw memory that the caller owns: it neither allocates nor starts threads.
///
/// Tables are objects that do not change once they are filled: a copy of a structure would count the references of each
/// of its functions.
public final class KernelTable: @unchecked Sendable {
  /// "baseline", "avx2" or "avx512".
  public let name: String
  public var elementwise = ElementwiseKernels()
  public var reduce = ReduceKernels()
  public var gemm = GemmKernels()
  public var thin = ThinKernels()
  public var pool = PoolKernels()
  public var resampling = ResamplingKernels()
  public var norm = NormKernels()
  public var softmax = SoftmaxKernels()
  public var optimizers = OptimizerKernels()
  public var sort = SortKernels()
  public var loss = LossKernels()
  public var winograd = WinogradKernels()
  public var random = RandomKernels()
  /// `(rounds, factor)`: multiplies and adds in registers, for the benchmark; the result means nothing.
  public var multiplyAdds: (Int, Float) -> Float = { _, _ in 0 }
  /// Multiplications (and as many additions) of one round.
  public var multiplyAddsPerRound = 1

  public init(name: String) {
    self.name = name
  }
}

/// Elementwise operations by lane, and the conversions between dtypes and lanes.
public struct ElementwiseKernels {
  private var operations: [ElementwiseKernel?]
  private var loads: [LoadKernel?]
  private var stores: [StoreKernel?]

  public init() {
    operations = Array(repeating: nil, count: ElementwiseOp.allCases.count * Lane.allCases.count)
    loads = Array(repeating: nil, count: DType.allCases.count * Lane.allCases.count)
    stores = loads.map { _ in nil }
  }

  /// nil where the operation does not exist for the lane (a bitwise operation on floats, say).
  public subscript(op: ElementwiseOp, lane: Lane) -> ElementwiseKernel? {
    get { operations[op.rawValue * Lane.allCases.count + lane.rawValue] }
    set { operations[op.rawValue * Lane.allCases.count + lane.rawValue] = newValue }
  }

  public subscript(load dtype: DType, lane: Lane) -> LoadKernel? {
    get { loads[Int(dtype.rawValue) * Lane.allCases.count + lane.rawValue] }
    set { loads[Int(dtype.rawValue) * Lane.allCases.count + lane.rawValue] = newValue }
  }

  public subscript(store lane: Lane, dtype: DType) -> StoreKernel? {
    get { stores[Int(dtype.rawValue) * Lane.allCases.count + lane.rawValue] }
    set { stores[Int(dtype.rawValue) * Lane.allCases.count + lane.rawValue] = newValue }
  }
}

/// Reductions by lane.
public struct ReduceKernels {
  private var rows: [ReduceRowKernel?]
  private var columns: [ReduceColumnsKernel?]
  /// By lane.
  public var argmin: [ArgReduceKernel] = []
  public var argmax: [ArgReduceKernel] = []
  public var cumsum: [ScanKernel] = []
  public var cumprod: [ScanKernel] = []

  public init() {
    rows = Array(repeating: nil, count: ReduceOp.allCases.count * Lane.allCases.count)
    columns = rows.map { _ in nil }
  }

  public subscript(row op: ReduceOp, lane: Lane) -> ReduceRowKernel? {
    get { rows[op.rawValue * Lane.allCases.count + lane.rawValue] }
    set { rows[op.rawValue * Lane.allCases.count + lane.rawValue] = newValue }
  }

  public subscript(columns op: ReduceOp, lane: Lane) -> ReduceColumnsKernel? {
    get { columns[op.rawValue * Lane.allCases.count + lane.rawValue] }
    set { columns[op.rawValue * Lane.allCases.count + lane.rawValue] = newValue }
  }
}
