import CIntrinsics
import KernelTypes

/// Access to one tensor over the iteration. It holds no reference: threads that counted one per tile would wait for each
/// other, and for all that they have stored.
struct StridedView {
  enum Kind {
    /// One value for all elements, already converted to the lane type.
    case scalar
    /// Lane values in iteration order.
    case contiguous
    /// Elements of another dtype in iteration order.
    case converted
    /// A row of lane values, the same for every row of the iteration; in memory repeated for a tile.
    case periodic
    /// Rows and columns of the iteration are exchanged in memory: a tile is gathered or dealt out by squares.
    case transposed
    /// Anything else: gathered tile by tile.
    case strided
  }

  var kind: Kind
  var pointer: UnsafeRawPointer
  var dtype: DType
}

/// The iteration space of one run: dimensions reordered and merged, and a view for every operand.
final class ElementwisePlan {
  let program: ElementwiseProgram
  var sizes: [Int]
  /// Strides of elements that lie in the order of the iteration.
  private var rowMajor: [Int] = []
  var leaves: [StridedView]
  var output: StridedView
  let outputPointer: UnsafeMutableRawPointer
  var isDirect: Bool
  /// Lane values of the scalar leaves.
  private let constants: UnsafeMutablePointer<Int64>
  /// Memory of the periodic leaves.
  private var patterns: [UnsafeMutableRawPointer] = []
  private let laneSize: Int
  private let loads: [LoadKernel?]
  private let store: StoreKernel
  private let rounding: [(store: StoreKernel, load: LoadKernel)?]
  private let hasRounding: Bool
  /// Exchanges rows and columns of lane values.
  private let transpose: TransposeKernel
  private var hasTransposed = false
  /// The slots that the steps read, one step after the other, and how many each reads.
  private let sources: UnsafeMutablePointer<Int>
  private let sourceCounts: UnsafeMutablePointer<Int>
  /// Whether the last step writes into the output itself.
  private var writesDirectly = false
  /// `sizes`, then the strides of each leaf and of the output: in elements, by coalesced dimension, innermost last; zeros
  /// for leaves that are not walked.
  private var extents: UnsafeMutablePointer<Int>
  private var rank = 0

  /// Without a tensor to write to, the results are lane values for whoever runs the tiles.
  ///
  /// - Parameter walk: strides of a dense tensor of the same shape, in whose order the elements are computed; the
  ///   result's where nothing else is said.
  init(_ program: ElementwiseProgram, _ shape: [Int], _ strides: [Int], walk: [Int]? = nil, _ out: Tensor?) throws {
    let program = program.merged()
    self.program = program
    laneSize = program.lane.size
    transpose = laneSize == 4 ? kernels.gemm.f32.transpose : kernels.gemm.f64.transpose
    let dtype = out?.dtype ?? program.lane.dtype
    outputPointer =
      try out?.mutablePointer() ?? UnsafeMutableRawPointer(bitPattern: MemoryPool.alignment).unsafelyUnwrapped
    constants = .allocate(capacity: max(program.leaves.count, 1))
    sizes = []
    leaves = []
    output = StridedView(kind: .contiguous, pointer: UnsafeRawPointer(outputPointer), dtype: dtype)
    isDirect = false
    let lane = program.lane
    rounding = try program.steps.map { step in
      guard let dtype = step.roundTo else { return nil }
      return (try ElementwisePlan.storeKernel(lane, dtype), try ElementwisePlan.loadKernel(dtype, lane))
    }
    hasRounding = rounding.contains { $0 != nil }
    let leafCount = program.leaves.count
    let slots = program.steps.flatMap { step in
      step.sources.map { source in
        switch source {
        case .leaf(let leaf): leaf
        case .step(let earlier): leafCount + earlier
        }
      }
    }
    sources = .allocate(capacity: max(slots.count, 1))
    sources.initialize(from: slots, count: slots.count)
    sourceCounts = .allocate(capacity: max(program.steps.count, 1))
    extents = .allocate(capacity: 1)
    for (index, step) in program.steps.enumerated() { sourceCounts[index] = step.sources.count }
    store = try ElementwisePlan.storeKernel(lane, dtype)
    loads = try program.leaves.map { leaf in
      guard case .tensor(let tensor) = leaf else { return nil }
      return try ElementwisePlan.loadKernel(tensor.dtype, lane)
    }

    var views: [(pointer: UnsafeRawPointer, dtype: DType, strides: [Int])?] = []
    var allPlain = Shape.isContiguous(shape, strides)
    for (index, leaf) in program.leaves.enumerated() {
      switch leaf {
      case .scalar(let scalar):
        write(scalar, to: index)
        views.append(nil)
      case .tensor(let tensor):
        let pointer = try tensor.pointer()
        if tensor.isOneValue {
          loads[index].unsafelyUnwrapped(pointer, 1, constants + index, 1)
          views.append(nil)
        } else {
          if allPlain, tensor.shape != shape || tensor.strides != strides { allPlain = false }
          views.append((pointer, tensor.dtype, tensor.strides))
        }
      }
    }
    if allPlain {
      // Same shape, same strides everywhere: one dimension.
      sizes = [try Shape.count(shape)]
      rowMajor = [1]
      allocateExtents([1])
      for (index, view) in views.enumerated() { leaves.append(makeView(index, view, [1])) }
    } else {
      coalesce(shape, strides, walk ?? strides, views)
    }
    hasTransposed = output.kind == .transposed || leaves.contains { $0.kind == .transposed }
    writesDirectly = output.kind == .contiguous && output.dtype.isLane && output.dtype.lane == lane
    isDirect =
      output.kind == .contiguous && output.dtype.isLane && output.dtype.lane == lane
      && leaves.allSatisfy { $0.kind == .scalar || $0.kind == .contiguous } && rounding.allSatisfy { $0 == nil }
  }

  deinit {
    constants.deallocate()
    for pattern in patterns { pattern.deallocate() }
    sources.deallocate()
    sourceCounts.deallocate()
    extents.deallocate()
  }

  private func allocateExtents(_ outStrides: [Int]) {
    rank = sizes.count
    let leafCount = program.leaves.count
    extents.deallocate()
    extents = .allocate(capacity: rank * (leafCount + 2))
    (extents + rank).initialize(repeating: 0, count: rank * leafCount)
    for d in 0..<rank {
      extents[d] = sizes[d]
      extents[(leafCount + 1) * rank + d] = outStrides[d]
    }
  }

  private static func loadKernel(_ dtype: DType, _ lane: Lane) throws -> LoadKernel {
    guard let kernel = kernels.elementwise[load: dtype, lane] else {
      throw SwiftNetError.notImplemented("no conversion from \(dtype.name) to \(lane)")
    }
    return kernel
  }

  private static func storeKernel(_ lane: Lane, _ dtype: DType) throws -> StoreKernel {
    guard let kernel = kernels.elementwise[store: lane, dtype] else {
      throw SwiftNetError.notImplemented("no conversion from \(lane) to \(dtype.name)")
    }
    return kernel
  }

  private func write(_ scalar: Scalar, to index: Int) {
    let slot = UnsafeMutableRawPointer(constants + index)
    switch program.lane {
    case .f32: slot.storeBytes(of: Float(scalar.double), as: Float.self)
    case .f64: slot.storeBytes(of: scalar.double, as: Double.self)
    case .i64: slot.storeBytes(of: scalar.int64, as: Int64.self)
    }
  }

  private func makeView(
    _ index: Int, _ view: (pointer: UnsafeRawPointer, dtype: DType, strides: [Int])?, _ strides: [Int]
  ) -> StridedView {
    guard let view else {
      return StridedView(kind: .scalar, pointer: constants + index, dtype: program.lane.dtype)
    }
    for d in 0..<rank { extents[(index + 1) * rank + d] = strides[d] }
    if sizes.count > 1, strides.last == 1, strides.dropLast().allSatisfy({ $0 == 0 }),
      sizes[sizes.count - 1] <= ElementwisePlan.longestPattern
    {
      return StridedView(
        kind: .periodic, pointer: makePattern(index, view.pointer), dtype: program.lane.dtype)
    }
    return StridedView(kind: kind(strides, view.dtype), pointer: view.pointer, dtype: view.dtype)
  }

  /// How elements with such strides are met.
  private func kind(_ strides: [Int], _ dtype: DType) -> StridedView.Kind {
    if strides == rowMajor { return dtype.isLane && dtype.lane == program.lane ? .contiguous : .converted }
    let inner = sizes.count - 1
    let isTransposed =
      inner > 0 && strides[inner - 1] == 1 && strides[inner] > 1
      && ElementwiseProgram.isForSquares(rows: sizes[inner - 1], columns: sizes[inner])
    return isTransposed ? .transposed : .strided
  }

  private static let longestPattern = 1 << 13

  /// A row of lane values, repeated so that a tile can start at any of them.
  private func makePattern(_ index: Int, _ row: UnsafeRawPointer) -> UnsafeRawPointer {
    let period = sizes[sizes.count - 1]
    let length = period + ElementwiseProgram.tile
    let pattern = UnsafeMutableRawPointer.allocate(byteCount: length * laneSize, alignment: 64)
    patterns.append(pattern)
    loads[index].unsafelyUnwrapped(row, 1, pattern, period)
    var filled = period
    while filled < length {
      let more = min(filled, length - filled)
      (pattern + filled * laneSize).copyMemory(from: pattern, byteCount: more * laneSize)
      filled += more
    }
    return UnsafeRawPointer(pattern)
  }

  /// Orders dimensions by the strides of the walk, largest first, and merges neighbours that all operands walk as one.
  private func coalesce(
    _ shape: [Int], _ outStrides: [Int], _ walk: [Int],
    _ views: [(pointer: UnsafeRawPointer, dtype: DType, strides: [Int])?]
  ) {
    var operandStrides: [[Int]] = []
    for (index, view) in views.enumerated() {
      if view != nil, case .tensor(let tensor) = program.leaves[index] {
        operandStrides.append(Shape.broadcastStrides(tensor.shape, tensor.strides, to: shape))
      } else {
        operandStrides.append([])
      }
    }
    var order = shape.indices.filter { shape[$0] != 1 }
    order.sort { walk[$0] != walk[$1] ? walk[$0] > walk[$1] : $0 < $1 }
    var mergedSizes: [Int] = []
    var mergedOut: [Int] = []
    var merged: [[Int]] = operandStrides.map { _ in [] }
    for d in order {
      let size = shape[d]
      if let last = mergedOut.last {
        var mergeable = last == outStrides[d] &* size
        for (index, strides) in operandStrides.enumerated() where mergeable && !strides.isEmpty {
          mergeable = merged[index][mergedOut.count - 1] == strides[d] &* size
        }
        if mergeable {
          let k = mergedOut.count - 1
          mergedSizes[k] = mergedSizes[k] &* size
          mergedOut[k] = outStrides[d]
          for (index, strides) in operandStrides.enumerated() where !strides.isEmpty {
            merged[index][k] = strides[d]
          }
          continue
        }
      }
      mergedSizes.append(size)
      mergedOut.append(outStrides[d])
      for (index, strides) in operandStrides.enumerated() where !strides.isEmpty {
        merged[index].append(strides[d])
      }
    }
    if mergedSizes.isEmpty {
      mergedSizes = [1]
      mergedOut = [1]
      merged = operandStrides.map { $0.isEmpty ? [] : [0] }
    }
    sizes = mergedSizes
    allocateExtents(mergedOut)
    rowMajor = Shape.contiguousStrides(sizes)
    output.kind = kind(mergedOut, output.dtype)
    // A result of another dtype is stored row by row as well.
    if output.kind == .converted { output.kind = .contiguous }
    for (index, view) in views.enumerated() { leaves.append(makeView(index, view, merged[index])) }
  }

  /// Whether the whole program is the conversion of dense elements from or to lane values: one kernel does it, without a
  /// tile between.
  var isConversion: Bool {
    guard program.steps.count == 1, program.steps[0].op == .copy, !hasRounding, leaves.count == 1,
      output.kind == .contiguous
    else { return false }
    return leaves[0].kind == .contiguous ? !writesDirectly : leaves[0].kind == .converted && writesDirectly
  }

  /// Of such a program, the elements `start..<end`.
  func convert(_ start: Int, _ end: Int) {
    let leaf = leaves[0]
    let from = leaf.pointer + start &* leaf.dtype.size, to = outputPointer + start &* output.dtype.size
    if writesDirectly { loads[0]?(from, 1, to, end - start) } else { store(from, to, 1, end - start) }
  }

  /// Runs the steps over the elements `start..<end` of the iteration; each tile of results goes to `sink`, or to the
  /// output without one. (Everything is read through unsafe buffers: counting references would cost more than a step.)
  func runTiles(_ start: Int, _ end: Int, _ sink: ((UnsafeRawPointer, Int) -> Void)?) {
    let tile = ElementwiseProgram.tile
    let slots = leaves.count + program.steps.count
    let slotBytes = tile * laneSize
    // Behind the slots: room for rounded values, and for a tile that is dealt out.
    let moreBytes = hasTransposed ? slotBytes : hasRounding ? tile * 2 : 0
    withUnsafeTemporaryAllocation(byteCount: slots * slotBytes + moreBytes, alignment: 64) { scratch in
      withUnsafeTemporaryAllocation(of: Operand.self, capacity: slots + 4) { operands in
        leaves.withUnsafeBufferPointer { leaves in
          program.steps.withUnsafeBufferPointer { steps in
            let base = scratch.baseAddress.unsafelyUnwrapped
            let slot = operands.baseAddress.unsafelyUnwrapped
            for index in leaves.indices where leaves[index].kind == .scalar {
              slot[index] = Operand(leaves[index].pointer, isScalar: true)
            }
            var position = start
            while position < end {
              let n = min(tile, end - position)
              for index in leaves.indices {
                switch leaves[index].kind {
                case .scalar: break
                case .contiguous:
                  let first = leaves[index].pointer + position &* laneSize
                  slot[index] = Operand(first)
                  // A tile is about a page, at whose border the processor's own prefetching stops.
                  if position + 2 * tile <= end { prefetch(first + slotBytes, lines: 8) }
                case .converted:
                  let (converted, size) = (base + index * slotBytes, leaves[index].dtype.size)
                  loads[index]?(leaves[index].pointer + position &* size, 1, converted, n)
                  slot[index] = Operand(converted)
                case .periodic:
                  slot[index] = Operand(leaves[index].pointer + position % extents[rank &- 1] &* laneSize)
                case .transposed:
                  let gathered = base + index * slotBytes
                  gatherSquares(index, leaves[index], position, n, gathered, base + slots * slotBytes)
                  slot[index] = Operand(gathered)
                case .strided:
                  let gathered = base + index * slotBytes
                  gather(index, leaves[index].pointer, leaves[index].dtype.size, position, n, gathered)
                  slot[index] = Operand(gathered)
                }
              }
              runSteps(steps, slot, slot + slots, base, position, n, sink)
              position += n
            }
          }
        }
      }
    }
  }

  @inline(__always)
  private func prefetch(_ pointer: UnsafeRawPointer, lines: Int) {
    for line in 0..<lines { sn_prefetch(pointer + 64 &* line) }
  }

  /// All steps for one tile. `slot` holds the leaves' operands and takes the steps' results.
  @inline(__always)
  private func runSteps(
    _ steps: UnsafeBufferPointer<ElementwiseProgram.Step>, _ slot: UnsafeMutablePointer<Operand>,
    _ arguments: UnsafeMutablePointer<Operand>, _ base: UnsafeMutableRawPointer, _ position: Int, _ n: Int,
    _ sink: ((UnsafeRawPointer, Int) -> Void)?
  ) {
    let slotBytes = ElementwiseProgram.tile * laneSize
    var source = sources
    for index in steps.indices {
      for k in 0..<sourceCounts[index] { arguments[k] = slot[source[k]] }
      source += sourceCounts[index]
      let last = index == steps.count - 1
      let direct = last && sink == nil && writesDirectly
      let result = leaves.count + index
      let target = direct ? outputPointer + position &* laneSize : base + result * slotBytes
      steps[index].kernel(arguments, target, n, steps[index].scalars)
      if hasRounding, !last || sink != nil, let round = rounding[index] {
        // Through memory behind the slots, as if the result had been stored.
        let bytes = base + (leaves.count + steps.count) * slotBytes
        round.store(target, bytes, 1, n)
        round.load(bytes, 1, target, n)
      }
      slot[result] = Operand(target)
      if last, let sink {
        sink(target, n)
      } else if last && !direct {
        if output.kind == .transposed {
          scatterSquares(target, position, n, base + (leaves.count + steps.count) * slotBytes)
        } else {
          scatter(target, position, n)
        }
      }
    }
  }

  private func gather(
    _ leaf: Int, _ pointer: UnsafeRawPointer, _ size: Int, _ position: Int, _ n: Int, _ slot: UnsafeMutableRawPointer
  ) {
    guard let load = loads[leaf] else { return }
    forEachRow(extents + (leaf + 1) * rank, position, n) { elementOffset, stride, done, count in
      load(pointer + elementOffset &* size, stride, slot + done &* laneSize, count)
    }
  }

  private func scatter(_ slot: UnsafeMutableRawPointer, _ position: Int, _ n: Int) {
    let size = output.dtype.size
    if output.dtype.isLane, output.dtype.lane == program.lane, extents[(leaves.count + 2) &* rank &- 1] == 1 {
      // Rows of adjacent elements, some of them short: a copy without a call.
      forEachRow(extents + (leaves.count + 1) * rank, position, n) { elementOffset, _, done, count in
        copyRow(slot + done &* size, outputPointer + elementOffset &* size, count &* size)
      }
      return
    }
    forEachRow(extents + (leaves.count + 1) * rank, position, n) { elementOffset, stride, done, count in
      store(slot + done &* laneSize, outputPointer + elementOffset &* size, stride, count)
    }
  }

  /// A tile of a leaf whose rows and columns are exchanged in memory.
  private func gatherSquares(
    _ leaf: Int, _ view: StridedView, _ position: Int, _ n: Int, _ slot: UnsafeMutableRawPointer,
    _ room: UnsafeMutableRawPointer
  ) {
    guard let load = loads[leaf] else { return }
    let (pointer, size) = (view.pointer, view.dtype.size)
    let isLane = view.dtype.isLane && view.dtype.lane == program.lane
    forEachBlock(extents + (leaf + 1) * rank, position, n) { elementOffset, stride, done, rows, columns in
      let (from, to) = (pointer + elementOffset &* size, slot + done &* laneSize)
      if isLane { return transpose(from, stride, columns, rows, to, columns) }
      for column in 0..<columns {
        load(from + column &* stride &* size, 1, room + column &* rows &* laneSize, rows)
      }
      transpose(room, rows, columns, rows, to, columns)
    }
  }

  /// A tile of results to an output whose rows and columns are exchanged in memory.
  private func scatterSquares(
    _ slot: UnsafeMutableRawPointer, _ position: Int, _ n: Int, _ room: UnsafeMutableRawPointer
  ) {
    let size = output.dtype.size
    let isLane = output.dtype.isLane && output.dtype.lane == program.lane
    forEachBlock(extents + (leaves.count + 1) * rank, position, n) { elementOffset, stride, done, rows, columns in
      let (from, to) = (slot + done &* laneSize, outputPointer + elementOffset &* size)
      if isLane { return transpose(from, columns, rows, columns, to, stride) }
      transpose(from, columns, rows, columns, room, rows)
      for column in 0..<columns {
        store(room + column &* rows &* laneSize, to + column &* stride &* size, 1, rows)
      }
    }
  }

  @inline(__always)
  private func copyRow(_ source: UnsafeMutableRawPointer, _ target: UnsafeMutableRawPointer, _ bytes: Int) {
    var at = 0
    while at &+ 16 <= bytes {
      (target + at).storeBytes(of: (source + at).loadUnaligned(as: SIMD4<UInt32>.self), as: SIMD4<UInt32>.self)
      at = at &+ 16
    }
    while at < bytes {
      (target + at).storeBytes(of: (source + at).load(as: UInt32.self), as: UInt32.self)
      at = at &+ 4
    }
  }

  /// Splits the elements `position..<position + n` of the iteration into runs along the innermost dimension.
  @inline(__always)
  private func forEachRow(
    _ strides: UnsafePointer<Int>, _ position: Int, _ n: Int, _ body: (Int, Int, Int, Int) -> Void
  ) {
    let sizes = extents
    let inner = rank - 1
    let innerSize = sizes[inner]
    let innerStride = strides[inner]
    var done = 0
    var row = position / innerSize
    var column = position - row &* innerSize
    while done < n {
      var offset = column &* innerStride
      var rest = row
      var d = inner - 1
      while d > 0 {
        let next = rest / sizes[d]
        offset = offset &+ (rest &- next &* sizes[d]) &* strides[d]
        rest = next
        d -= 1
      }
      if d == 0 { offset = offset &+ rest &* strides[0] }
      let count = min(innerSize - column, n - done)
      body(offset, innerStride, done, count)
      done += count
      row += 1
      column = 0
    }
  }

  /// Splits the elements `position..<position + n` of the iteration into blocks of whole rows, and parts of rows where
  /// they begin or end within one: `body(element offset, stride of a column, elements before, rows, columns)`. A row's
  /// elements are a stride apart, rows lie one element apart.
  @inline(__always)
  private func forEachBlock(
    _ strides: UnsafePointer<Int>, _ position: Int, _ n: Int, _ body: (Int, Int, Int, Int, Int) -> Void
  ) {
    let (width, height) = (extents[rank &- 1], extents[rank &- 2])
    let stride = strides[rank &- 1]
    var done = 0
    while done < n {
      let row = (position &+ done) / width
      let column = position &+ done &- row &* width
      var outer = row / height
      let first = row &- outer &* height
      var offset = first &+ column &* stride
      var d = rank &- 3
      while d >= 0 {
        let next = outer / extents[d]
        offset = offset &+ (outer &- next &* extents[d]) &* strides[d]
        outer = next
        d -= 1
      }
      let isPart = column > 0 || n &- done < width
      let columns = isPart ? min(width &- column, n &- done) : width
      let rows = isPart ? 1 : min(height &- first, (n &- done) / width)
      body(offset, stride, done, rows, columns)
      done = done &+ rows &* columns
    }
  }
}
