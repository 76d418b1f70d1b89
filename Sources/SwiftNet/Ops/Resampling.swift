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
  /// Applies maps along dimensions, those of neighbours together; the first two have none.
  func mapped(_ maps: [SparseRows?], name: String) throws -> Tensor {
    var result = self
    var d = 0
    while d < maps.count {
      let next = d + 1 < maps.count ? maps[d + 1] : nil
      if let map = maps[d] {
        result = try result.mapped(map, then: next, along: d, name: name)
        if next != nil { d += 1 }
      }
      d += 1
    }
    return result
  }

  /// Applies a map along a dimension (not 0 or 1) of N, C, …, and another one along the dimension behind it; the memory
  /// order is kept. A line of the first map's result goes through the second one while it is in the cache.
  ///
  /// - Parameter name: the operation's, in a graph.
  func mapped(_ rows: SparseRows, then columns: SparseRows? = nil, along d: Int, name: String) throws -> Tensor {
    var shape = self.shape
    shape[d] = rows.outputSize
    if let columns { shape[d + 1] = columns.outputSize }
    let channelsLast = Shape.suggestsChannelsLast(self.shape, strides)
    let x = try noGrad { channelsLast ? try self.channelsLast() : try contiguous() }
    let out = try Tensor(
      empty: shape, dtype: dtype, strides: channelsLast ? Shape.channelsLastStrides(shape) : nil)
    /// Adjacent numbers of a place of a dimension.
    func inner(_ d: Int) -> Int { self.shape[(d + 1)...].reduce(1, *) * (channelsLast ? self.shape[1] : 1) }
    if out.count > 0 {
      let (source, target, size) = (try x.pointer(), try out.mutablePointer(), dtype.size)
      let first = LineMapper(rows, inner: inner(d), dtype)
      let second = columns.map { LineMapper($0, inner: inner(d + 1), dtype) }
      defer {
        first.deallocate()
        second?.deallocate()
      }
      let lineSize = second.map { $0.inner * $0.outputSize } ?? first.inner
      parallelFor(out.count / lineSize, grain: max(1, 8192 / max(lineSize, first.inner))) { start, end in
        let room = second == nil ? 1 : first.inner * size
        withUnsafeTemporaryAllocation(byteCount: room, alignment: MemoryPool.alignment) { room in
          let middle = room.baseAddress.unsafelyUnwrapped
          for line in start..<end {
            let (outer, o) = (line / first.outputSize, line % first.outputSize)
            let image = source + outer * first.inputSize * first.inner * size
            let place = target + line * lineSize * size
            guard let second else {
              first.run(image, o..<o + 1, to: place)
              continue
            }
            let same = first.line(o, of: image)
            if same == nil { first.run(image, o..<o + 1, to: middle) }
            second.run(same ?? UnsafeRawPointer(middle), 0..<second.outputSize, to: place)
          }
        }
      }
    }
    return try out.recorded(name, self) {
      [try $0.grad.mapped(rows.transposed(), then: columns?.transposed(), along: d, name: name)]
    }
  }
}

/// A map with coefficients of a type, for the kernel. Nothing in it counts references, which the threads would do to one line
/// of the cache; so it ends by `deallocate`.
private struct LineMapper {
  let inner: Int
  let inputSize: Int
  let outputSize: Int
  private let starts: UnsafeMutablePointer<Int>
  private let places: UnsafeMutablePointer<Int>
  private let weights: UnsafeMutableRawPointer
  /// The place that an output is nothing but a copy of, or -1.
  private let copied: UnsafeMutablePointer<Int>
  private let entries: Int?
  private let size: Int
  private let kernel: LineMapKernel

  init(_ rows: SparseRows, inner: Int, _ dtype: DType) {
    self.inner = inner
    kernel = dtype == .float64 ? kernels.resampling.f64 : kernels.resampling.f32
    size = dtype.size
    inputSize = rows.inputSize
    outputSize = rows.outputSize
    starts = .allocate(capacity: rows.starts.count)
    starts.initialize(from: rows.starts, count: rows.starts.count)
    places = .allocate(capacity: rows.places.count)
    places.initialize(from: rows.places, count: rows.places.count)
    weights = .allocate(byteCount: rows.weights.count * size, alignment: MemoryPool.alignment)
    for (i, weight) in rows.weights.enumerated() {
      if dtype == .float64 {
        weights.storeBytes(of: weight, toByteOffset: 8 * i, as: Double.self)
      } else {
        weights.storeBytes(of: Float(weight), toByteOffset: 4 * i, as: Float.self)
      }
    }
    let counts = (0..<rows.outputSize).map { rows.starts[$0 + 1] - rows.starts[$0] }
    entries = counts.allSatisfy { $0 == counts[0] } ? counts.first : nil
    copied = .allocate(capacity: rows.outputSize)
    for (output, count) in counts.enumerated() {
      let entry = rows.starts[output]
      (copied + output).initialize(to: count == 1 && rows.weights[entry] == 1 ? rows.places[entry] : -1)
    }
  }

  func deallocate() {
    starts.deallocate()
    places.deallocate()
    weights.deallocate()
    copied.deallocate()
  }

  /// The line of an image that an output is a copy of, if there is one.
  func line(_ output: Int, of image: UnsafeRawPointer) -> UnsafeRawPointer? {
    copied[output] < 0 ? nil : image + copied[output] * inner * size
  }

  /// Some outputs of the map of a line, from the first number of its first place on.
  func run(_ source: UnsafeRawPointer, _ outputs: Range<Int>, to target: UnsafeMutableRawPointer) {
    var map = LineMap(
      source: source, target: target, starts: starts, places: places, weights: weights, inner: inner, entries: entries,
      outputs: outputs)
    kernel(&map)
  }
}
