/// How the elements of N, C, … lie in memory, for kernels that treat each channel apart.
enum ChannelLayout {
  /// A line of `columns` channels for each position.
  case rows(Int, columns: Int)
  /// A run of `positions` elements for each sample and channel.
  case planes(samples: Int, channels: Int, positions: Int)

  var isRows: Bool { if case .rows = self { true } else { false } }
}

extension Tensor {
  /// The layout, or nil if the elements lie in neither order. Few channels are taken as planes if they can be.
  var channelLayout: ChannelLayout? {
    let (samples, channels) = (shape[0], shape[1])
    let positions = shape.dropFirst(2).reduce(1, *)
    let canBeRows = rank == 2 ? isContiguous : isChannelsLast
    if canBeRows, !(isContiguous && channels < 8 && positions > 1) {
      return .rows(samples * positions, columns: channels)
    }
    return isContiguous ? .planes(samples: samples, channels: channels, positions: positions) : nil
  }

  /// This tensor or a copy of it in one of the two orders, without recording.
  func inChannelLayout() throws -> (Tensor, ChannelLayout) {
    if let layout = channelLayout { return (self, layout) }
    let copy = try Tensor(empty: shape, dtype: dtype)
    try copyElements(from: self, to: copy)
    return (
      copy, .planes(samples: shape[0], channels: shape[1], positions: shape.dropFirst(2).reduce(1, *))
    )
  }

  /// The values in the memory order of another tensor of the same shape, without recording.
  func inOrder(of other: Tensor) throws -> Tensor {
    if strides == other.strides { return self }
    let copy = try Tensor(empty: shape, dtype: dtype, strides: other.strides)
    try copyElements(from: self, to: copy)
    return copy
  }

  /// Shape [1, C, 1, …] for numbers that belong to channels.
  func channelShape(rank: Int) -> [Int] {
    var result = [Int](repeating: 1, count: rank)
    if rank > 1 { result[1] = count } else { result[0] = count }
    return result
  }

  /// Numbers as a tensor of a dtype.
  static func of(_ values: [Double], dtype: DType) throws -> Tensor {
    let wide = try Tensor(empty: [values.count], dtype: .float64)
    try wide.mutablePointer().copyMemory(from: values, byteCount: 8 * values.count)
    return try noGrad { try wide.to(dtype) }
  }

  /// Overwrites the values, in place.
  func assign(_ values: [Double]) throws {
    let source = try Tensor.of(values, dtype: dtype)
    try copyElements(from: try source.reshape(shape), to: self)
    bumpVersion()
  }
}

/// Sums over the positions of each channel, in chunks that do not depend on the number of threads: `accumulators` sums
/// per channel, in double.
struct ChannelSums {
  let layout: ChannelLayout
  /// Bytes of an element.
  let size: Int

  var channels: Int {
    switch layout {
    case .rows(_, let columns): columns
    case .planes(_, let channels, _): channels
    }
  }

  /// `rows(first element, rows, accumulators)` adds to 2·C sums, those of one kind after the other;
  /// `plane(channel, first element, accumulators)` adds to two.
  func run(
    rows: (Int, Int, UnsafeMutablePointer<Double>) -> Void, plane: (Int, Int, UnsafeMutablePointer<Double>) -> Void
  ) -> (first: [Double], second: [Double]) {
    let channels = self.channels
    var first = [Double](repeating: 0, count: channels)
    var second = first
    switch layout {
    case .rows(let count, let columns):
      let grain = max((count + 63) / 64, 16384 / max(columns, 1), 1)
      let chunks = (count + grain - 1) / grain
      let sums = UnsafeMutablePointer<Double>.allocate(capacity: max(chunks * 2 * columns, 1))
      sums.initialize(repeating: 0, count: max(chunks * 2 * columns, 1))
      defer { sums.deallocate() }
      ThreadPool.shared.run(chunks: chunks) { chunk in
        let start = chunk * grain
        rows(start * columns, min(grain, count - start), sums + chunk * 2 * columns)
      }
      for chunk in 0..<chunks {
        for c in 0..<columns {
          first[c] += sums[chunk * 2 * columns + c]
          second[c] += sums[chunk * 2 * columns + columns + c]
        }
      }
    case .planes(let samples, let channels, let positions):
      let planes = samples * channels
      let sums = UnsafeMutablePointer<Double>.allocate(capacity: max(planes * 2, 1))
      sums.initialize(repeating: 0, count: max(planes * 2, 1))
      defer { sums.deallocate() }
      parallelFor(planes, grain: max(1, 16384 / max(positions, 1))) { start, end in
        for p in start..<end { plane(p % channels, p * positions, sums + 2 * p) }
      }
      for p in 0..<planes {
        first[p % channels] += sums[2 * p]
        second[p % channels] += sums[2 * p + 1]
      }
    }
    return (first, second)
  }

  /// Calls one of the two for pieces of all elements.
  func forEach(rows: (Int, Int) -> Void, plane: (Int, Int) -> Void) {
    switch layout {
    case .rows(let count, let columns):
      parallelFor(count, grain: max(1, 16384 / max(columns, 1))) { start, end in
        rows(start * columns, end - start)
      }
    case .planes(let samples, let channels, let positions):
      parallelFor(samples * channels, grain: max(1, 16384 / max(positions, 1))) { start, end in
        for p in start..<end { plane(p % channels, p * positions) }
      }
    }
  }
}
