import KernelTypes

/// A linear map along one dimension with few nonzero coefficients: output o is Σ weight · input[place] over the entries
/// `starts[o] ..< starts[o + 1]`.
struct SparseRows {
  var inputSize: Int
  var starts: [Int] = [0]
  var places: [Int] = []
  var weights: [Double] = []

  var outputSize: Int { starts.count - 1 }

  init(inputSize: Int) { self.inputSize = inputSize }

  mutating func append(_ entries: [(place: Int, weight: Double)]) {
    for (place, weight) in entries {
      places.append(place)
      weights.append(weight)
    }
    starts.append(places.count)
  }

  func transposed() -> SparseRows {
    var columns = [[(place: Int, weight: Double)]](repeating: [], count: inputSize)
    for o in 0..<outputSize {
      for entry in starts[o]..<starts[o + 1] { columns[places[entry]].append((o, weights[entry])) }
    }
    var result = SparseRows(inputSize: outputSize)
    for column in columns { result.append(column) }
    return result
  }
}

extension Tensor {
  /// Applies a map along a dimension (not 0 or 1) of N, C, …, and another one along the dimension behind it; the memory
  /// order is kept. A line of the first map's result goes through the second one while it is in the cache.
  func mapped(_ rows: SparseRows, then columns: SparseRows? = nil, along d: Int) throws -> Tensor {
    var shape = self.shape
    shape[d] = rows.outputSize
    if let columns { shape[d + 1] = columns.outputSize }
    let channelsLast = Shape.suggestsChannelsLast(self.shape, strides)
    let x = try noGrad { channelsLast ? try self.channelsLast() : try contiguous() }
    let out = try Tensor(
      empty: shape, dtype: dtype, strides: channelsLast ? Shape.channelsLastStrides(shape) : nil)
    /// Adjacent numbers of a place of a dimension.
    func inner(_ d: Int) -> Int { self.shape[(d + 1)...].reduce(1, *) * (channelsLast ? self.shape[1] : 1) }
    func run<T: BinaryFloatingPoint>(_: T.Type, _ kernel: @escaping LineMapKernel) throws {
      let source = try x.pointer().assumingMemoryBound(to: T.self)
      let target = try out.mutablePointer().assumingMemoryBound(to: T.self)
      let first = LineMapper<T>(rows, inner: inner(d), kernel)
      let second = columns.map { LineMapper<T>($0, inner: inner(d + 1), kernel) }
      let lineSize = second.map { $0.inner * $0.outputSize } ?? first.inner
      parallelFor(out.count / lineSize, grain: max(1, 8192 / max(lineSize, first.inner))) { start, end in
        withUnsafeTemporaryAllocation(of: T.self, capacity: second == nil ? 1 : first.inner) { room in
          let middle = room.baseAddress.unsafelyUnwrapped
          for line in start..<end {
            let (outer, o) = (line / first.outputSize, line % first.outputSize)
            let image = source + outer * first.inputSize * first.inner
            let place = target + line * lineSize
            first.run(image, o..<o + 1, to: second == nil ? place : middle)
            if let second { second.run(middle, 0..<second.outputSize, to: place) }
          }
        }
      }
    }
    if out.count > 0 {
      let kernels = kernels.resampling
      if dtype == .float64 { try run(Double.self, kernels.f64) } else { try run(Float.self, kernels.f32) }
    }
    return try out.recorded("Upsample", self) {
      [try $0.grad.mapped(rows.transposed(), then: columns?.transposed(), along: d)]
    }
  }
}

/// A map with coefficients of a type, for the kernel.
private struct LineMapper<T: BinaryFloatingPoint> {
  let inner: Int
  let inputSize: Int
  let outputSize: Int
  private let rows: SparseRows
  private let weights: [T]
  private let kernel: LineMapKernel

  init(_ rows: SparseRows, inner: Int, _ kernel: @escaping LineMapKernel) {
    self.rows = rows
    self.inner = inner
    self.kernel = kernel
    inputSize = rows.inputSize
    outputSize = rows.outputSize
    weights = rows.weights.map { T($0) }
  }

  /// Some outputs of the map of a line, from the first number of its first place on.
  func run(_ source: UnsafePointer<T>, _ outputs: Range<Int>, to target: UnsafeMutablePointer<T>) {
    rows.starts.withUnsafeBufferPointer { starts in
      rows.places.withUnsafeBufferPointer { places in
        weights.withUnsafeBufferPointer { weights in
          guard let starts = starts.baseAddress, let places = places.baseAddress, let weights = weights.baseAddress
          else { return }
          var map = LineMap(
            source: source, target: target, starts: starts, places: places, weights: weights, inner: inner,
            outputs: outputs)
          kernel(&map)
        }
      }
    }
  }
}
