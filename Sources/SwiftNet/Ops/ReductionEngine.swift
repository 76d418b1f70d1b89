/// Folds a tensor over some of its dimensions into accumulators (Double for floats, Int64 for integers).
///
/// Dimensions are split into those kept and those reduced, each merged where neighbours lie in one row of memory.
/// Where the fastest dimension in memory is reduced, each output folds runs of a row; where it is kept, whole rows
/// are folded into columns of accumulators. Large reductions to few outputs are cut into chunks of a fixed size
/// whose partial results are combined in order: the result does not depend on the number of threads.
struct ReductionEngine {
  /// Elements per chunk of a reduction that is cut.
  private static let chunk = 1 << 16
  /// Accumulators that one call folds rows into: 8 KiB.
  private static let columns = 1024

  let op: ReduceOp
  let lane: Lane
  /// One parameter per output (the mean, say), or none.
  var parameters: [Double] = []

  private let load: LoadKernel
  private let row: ReduceRowKernel
  private let column: ReduceColumnsKernel
  private let isLane: Bool
  private let size: Int
  private let base: UnsafeRawPointer
  private let kept: Axes
  private let reduced: Axes

  /// Sizes and strides of merged dimensions, slowest first.
  private struct Axes {
    var sizes: [Int] = []
    var strides: [Int] = []
    var count: Int { sizes.reduce(1, *) }

    /// Calls body(offset, stride, done, n) for the runs along the last axis of positions start..<start+n.
    @inline(__always)
    func forEachRun(_ start: Int, _ n: Int, _ body: (Int, Int, Int, Int) -> Void) {
      guard let inner = sizes.last else {
        if n > 0 { body(0, 1, 0, 1) }
        return
      }
      var done = 0
      var outer = start / inner
      var position = start - outer &* inner
      while done < n {
        let count = min(inner - position, n - done)
        body(offset(outer) &+ position &* strides[sizes.count - 1], strides[sizes.count - 1], done, count)
        done += count
        outer += 1
        position = 0
      }
    }

    /// Offset of a position that counts all axes but the last.
    @inline(__always)
    private func offset(_ outer: Int) -> Int {
      var rest = outer
      var result = 0
      var d = sizes.count - 2
      while d >= 0 {
        let next = rest / sizes[d]
        result = result &+ (rest &- next &* sizes[d]) &* strides[d]
        rest = next
        d -= 1
      }
      return result
    }

    /// Offset of a position that counts all axes.
    func offset(of position: Int) -> Int {
      guard let inner = sizes.last else { return 0 }
      let outer = position / inner
      return offset(outer) &+ (position &- outer &* inner) &* strides[sizes.count - 1]
    }

    /// Adds an axis inside the others, merged with the last where both lie in one row of memory.
    mutating func append(_ size: Int, _ stride: Int) {
      if size == 1 { return }
      if let last = strides.last, last == stride &* size {
        sizes[sizes.count - 1] = sizes[sizes.count - 1] &* size
        strides[strides.count - 1] = stride
      } else {
        sizes.append(size)
        strides.append(stride)
      }
    }
  }

  init(_ op: ReduceOp, _ input: Tensor, reducing dims: [Bool], lane: Lane) throws {
    guard let load = kernels.elementwise[load: input.dtype, lane], let row = kernels.reduce[row: op, lane],
      let column = kernels.reduce[columns: op, lane]
    else {
      throw SwiftNetError.notImplemented("\"\(op)\" not implemented for '\(input.dtype.scalarTypeName)'")
    }
    self.op = op
    self.lane = lane
    self.load = load
    self.row = row
    self.column = column
    isLane = input.dtype.isLane && input.dtype.lane == lane
    size = input.dtype.size
    base = try input.pointer()
    var kept = Axes()
    var reduced = Axes()
    // Outputs are row-major in logical order; the reduced dimensions may be walked in any order, so in memory's.
    var order: [Int] = []
    for d in input.shape.indices {
      if dims[d] { order.append(d) } else { kept.append(input.shape[d], input.strides[d]) }
    }
    order.sort { input.strides[$0] > input.strides[$1] }
    for d in order { reduced.append(input.shape[d], input.strides[d]) }
    self.kept = kept
    self.reduced = reduced
  }

  /// Folds everything; one accumulator of eight bytes per output, in row-major order of the kept dimensions.
  func run(outputs: Int, elements: Int, _ accumulators: UnsafeMutablePointer<Int64>) {
    if outputs == 0 { return }
    let byColumns =
      !kept.sizes.isEmpty && (reduced.sizes.isEmpty || abs(kept.strides.last!) < abs(reduced.strides.last!))
      && kept.sizes.last! >= 8
    let chunks =
      outputs * 4 > elements || elements * outputs < 2 * ReductionEngine.chunk || outputs > 4096
      ? 1 : max(1, elements * min(outputs, byColumns ? ReductionEngine.columns : 1) / ReductionEngine.chunk)
    let perChunk = (elements + chunks - 1) / chunks
    if chunks == 1 {
      fold(outputs, 0, elements, byColumns, accumulators)
      return
    }
    let partial = UnsafeMutablePointer<Int64>.allocate(capacity: chunks * outputs)
    defer { partial.deallocate() }
    ThreadPool.shared.run(chunks: chunks) { c in
      let start = min(c * perChunk, elements)
      fold(outputs, start, min(perChunk, elements - start), byColumns, partial + c * outputs)
    }
    for i in 0..<outputs {
      accumulators[i] = partial[i]
      for c in 1..<chunks { op.combine(accumulators + i, partial[c * outputs + i], lane) }
    }
  }

  private func fold(
    _ outputs: Int, _ start: Int, _ n: Int, _ byColumns: Bool, _ accumulators: UnsafeMutablePointer<Int64>
  ) {
    for i in 0..<outputs { accumulators[i] = op.identity(lane) }
    if n <= 0 { return }
    if byColumns {
      let inner = kept.sizes.last!
      let tiles = (inner + ReductionEngine.columns - 1) / ReductionEngine.columns
      let tasks = outputs / inner * tiles
      parallelFor(tasks, grain: max(1, ReductionEngine.chunk / max(1, min(inner, ReductionEngine.columns) * n))) {
        for task in $0..<$1 {
          let first = task / tiles * inner + task % tiles * ReductionEngine.columns
          let width = min(ReductionEngine.columns, inner - task % tiles * ReductionEngine.columns)
          foldColumns(first, width, start, n, accumulators)
        }
      }
    } else {
      parallelFor(outputs, grain: max(1, ReductionEngine.chunk / n)) {
        for output in $0..<$1 { foldRow(output, start, n, accumulators + output) }
      }
    }
  }

  private func foldRow(_ output: Int, _ start: Int, _ n: Int, _ accumulator: UnsafeMutablePointer<Int64>) {
    let origin = base + kept.offset(of: output) &* size
    let parameter = parameters.isEmpty ? 0 : parameters[output]
    if isLane, reduced.strides.last == 1 {
      reduced.forEachRun(start, n) { offset, _, _, count in row(origin + offset &* size, count, accumulator, parameter)
      }
      return
    }
    withUnsafeTemporaryAllocation(byteCount: ElementwiseProgram.tile * 8, alignment: 64) { scratch in
      let tile = scratch.baseAddress.unsafelyUnwrapped
      reduced.forEachRun(start, n) { offset, stride, _, count in
        let from = origin + offset &* size
        if isLane, stride == 1 || count == 1 {
          row(from, count, accumulator, parameter)
          return
        }
        var done = 0
        while done < count {
          let m = min(ElementwiseProgram.tile, count - done)
          load(from + done &* stride &* size, stride, tile, m)
          row(tile, m, accumulator, parameter)
          done += m
        }
      }
    }
  }

  private func foldColumns(
    _ first: Int, _ width: Int, _ start: Int, _ n: Int, _ accumulators: UnsafeMutablePointer<Int64>
  ) {
    let origin = base + kept.offset(of: first) &* size
    let columnStride = kept.strides.last!
    let target = accumulators + first
    parameters.withUnsafeBufferPointer { values in
      let parameter = values.baseAddress.map { $0 + first }
      // Of another dtype, some rows are converted at a time: a kernel begins with sums of its own.
      let rowBytes = width * lane.size
      let rowsAtOnce = isLane && columnStride == 1 ? 0 : max(1, (1 << 15) / max(rowBytes, 1))
      withUnsafeTemporaryAllocation(byteCount: max(rowsAtOnce * rowBytes, 1), alignment: 64) { scratch in
        let tile = scratch.baseAddress.unsafelyUnwrapped
        reduced.forEachRun(start, n) { offset, stride, _, count in
          if isLane, columnStride == 1 {
            column(origin + offset &* size, count, stride &* size, width, target, parameter)
            return
          }
          for first in Swift.stride(from: 0, to: count, by: rowsAtOnce) {
            let rows = min(rowsAtOnce, count - first)
            for row in 0..<rows {
              load(
                origin + (offset &+ (first &+ row) &* stride) &* size, columnStride, tile + row &* rowBytes, width)
            }
            column(tile, rows, rowBytes, width, target, parameter)
          }
        }
      }
    }
  }
}

extension ReduceOp {
  /// What an accumulator starts from, as its eight bytes.
  func identity(_ lane: Lane) -> Int64 {
    lane == .i64 ? integerIdentity : Int64(bitPattern: identity.bitPattern)
  }

  /// Folds a partial result into an accumulator.
  func combine(_ accumulator: UnsafeMutablePointer<Int64>, _ value: Int64, _ lane: Lane) {
    if lane == .i64 {
      let a = accumulator.pointee
      switch self {
      case .prod: accumulator.pointee = a &* value
      case .min, .all: accumulator.pointee = Swift.min(a, value)
      case .max, .any: accumulator.pointee = Swift.max(a, value)
      default: accumulator.pointee = a &+ value
      }
      return
    }
    let a = Double(bitPattern: UInt64(bitPattern: accumulator.pointee))
    let b = Double(bitPattern: UInt64(bitPattern: value))
    let result: Double
    switch self {
    case .prod: result = a * b
    case .min, .all: result = a.isNaN || a < b ? a : b
    case .max, .any: result = a.isNaN || a > b ? a : b
    default: result = a + b
    }
    accumulator.pointee = Int64(bitPattern: result.bitPattern)
  }
}

/// The accumulators of a reduction, before they become a tensor.
struct Reduced {
  let shape: [Int]
  /// Elements folded into each output.
  let elements: Int
  var values: [Int64]
  let isInteger: Bool

  /// As doubles, for a float reduction.
  var doubles: [Double] { values.map { Double(bitPattern: UInt64(bitPattern: $0)) } }

  mutating func map(_ transform: (Double) -> Double) {
    for i in values.indices {
      let value = Double(bitPattern: UInt64(bitPattern: values[i]))
      values[i] = Int64(bitPattern: transform(value).bitPattern)
    }
  }

  func tensor(_ dtype: DType) throws -> Tensor {
    let result = try Tensor(empty: shape, dtype: dtype)
    guard let store = kernels.elementwise[store: isInteger ? .i64 : .f64, dtype] else {
      throw SwiftNetError.notImplemented("cannot store \(dtype.name)")
    }
    let out = try result.mutablePointer()
    values.withUnsafeBytes { bytes in
      if let from = bytes.baseAddress { store(from, out, 1, values.count) }
    }
    return result
  }
}

extension Tensor {
  /// Folds the results of a deferred program as they are computed, where each output takes elements in a row.
  private func foldDeferred(
    _ op: ReduceOp, _ mask: [Bool], outputs: Int, elements: Int, lane: Lane, _ parameters: [Double]
  ) throws -> [Int64]? {
    guard isDeferred, elements >= ElementwiseProgram.tile, isContiguous,
      let firstReduced = mask.firstIndex(of: true), mask[firstReduced...].allSatisfy({ $0 }),
      let kernel = kernels.reduce[row: op, lane]
    else { return nil }
    return try withProgramToFold(lane: lane) { program in
      if op == .sum, let sums = try overlapSums(of: program, outputs: outputs, elements: elements) {
        return sums.map { Int64(bitPattern: $0.bitPattern) }
      }
      var values = [Int64](repeating: 0, count: outputs)
      try values.withUnsafeMutableBufferPointer { buffer in
        guard let first = buffer.baseAddress else { return }
        try program.fold(
          shape: shape, outputs: outputs, elements: elements, kernel, parameters, identity: op.identity(lane),
          into: first
        ) { op.combine($0, $1, lane) }
      }
      return values
    }
  }

  /// Which dimensions a reduction covers: all for nil or an empty list.
  func reductionMask(_ dims: [Int]?) throws -> [Bool] {
    guard let dims, !dims.isEmpty else { return Array(repeating: true, count: rank) }
    var mask = [Bool](repeating: false, count: max(rank, 1))
    for d in try Shape.dimensions(dims, rank: rank) { mask[d] = true }
    return Array(mask.prefix(rank))
  }

  /// The shape left by a reduction.
  func reducedShape(_ mask: [Bool], keepdim: Bool) -> [Int] {
    var result: [Int] = []
    for d in shape.indices {
      if !mask[d] { result.append(shape[d]) } else if keepdim { result.append(1) }
    }
    return result
  }

  /// Runs a reduction; `parameters` holds one value per output.
  func reduce(
    _ op: ReduceOp, _ mask: [Bool], keepdim: Bool, lane: Lane? = nil, parameters: [Double] = []
  ) throws -> Reduced {
    let lane = lane ?? dtype.lane
    let shape = reducedShape(mask, keepdim: keepdim)
    let outputs = try Shape.count(shape)
    var elements = 1
    for d in self.shape.indices where mask[d] { elements *= self.shape[d] }
    if let values = try foldDeferred(op, mask, outputs: outputs, elements: elements, lane: lane, parameters) {
      return Reduced(shape: shape, elements: elements, values: values, isInteger: lane == .i64)
    }
    if op == .sum, lane != .i64, isContiguous, mask.drop(while: { !$0 }).allSatisfy({ $0 }),
      let sums = knownSums(outputs: outputs, elements: elements)
    {
      let values = sums.map { Int64(bitPattern: $0.bitPattern) }
      return Reduced(shape: shape, elements: elements, values: values, isInteger: false)
    }
    var engine = try ReductionEngine(op, self, reducing: mask, lane: lane)
    engine.parameters = parameters
    var values = [Int64](repeating: 0, count: outputs)
    values.withUnsafeMutableBufferPointer { buffer in
      if let first = buffer.baseAddress { engine.run(outputs: outputs, elements: elements, first) }
    }
    withExtendedLifetime(self) {}
    return Reduced(shape: shape, elements: elements, values: values, isInteger: lane == .i64)
  }
}
