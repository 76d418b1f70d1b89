import KernelTypes

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
  static func channelShape(_ channels: Int, rank: Int) -> [Int] {
    var result = [Int](repeating: 1, count: rank)
    if rank > 1 { result[1] = channels } else { result[0] = channels }
    return result
  }

  /// Numbers as a tensor of a dtype.
  static func of(_ values: [Double], dtype: DType) throws -> Tensor {
    let wide = try Tensor(empty: [values.count], dtype: .float64)
    try wide.mutablePointer().copyMemory(from: values, byteCount: 8 * values.count)
    return try noGrad { try wide.to(dtype) }
  }

  /// Calls `body` with the numbers in a row and of another dtype, to change them.
  func changingNumbers(as type: DType, _ body: (UnsafeMutableRawPointer) throws -> Void) throws {
    if dtype == type, isContiguous {
      try body(try mutablePointer())
    } else {
      let copy = try Tensor(empty: shape, dtype: type)
      try copyElements(from: self, to: copy)
      try body(try copy.mutablePointer())
      try copyElements(from: copy, to: self)
    }
    bumpVersion()
  }
}

/// Sums over the positions of each channel, in chunks that do not depend on the number of threads: `accumulators` sums
/// per channel, in double.
struct ChannelSums {
  let layout: ChannelLayout

  /// `rows(first element, rows, accumulators)` adds to 2·C sums, those of one kind after the other;
  /// `plane(channel, first element, accumulators)` adds to two. The 2·C totals go to `totals`.
  func run(
    into totals: UnsafeMutablePointer<Double>, rows: (Int, Int, UnsafeMutablePointer<Double>) -> Void,
    plane: (Int, Int, UnsafeMutablePointer<Double>) -> Void
  ) throws {
    switch layout {
    case .rows(let count, let columns):
      let grain = rowsOfChunk(count, columns)
      let shape = MatrixShape(rows: (count + grain - 1) / grain, columns: 2 * columns)
      let parts = try Scratch(bytes: 8 * shape.rows * shape.columns)
      let sums = parts.of(Double.self)
      ThreadPool.shared.run(chunks: shape.rows) { chunk in
        let start = chunk * grain
        let own = sums + chunk * shape.columns
        own.update(repeating: 0, count: shape.columns)
        rows(start * columns, min(grain, count - start), own)
      }
      parallelFor(shape.columns, grain: max(512, (1 << 14) / max(shape.rows, 1))) { first, last in
        kernels.norm.joinSums(sums + first, shape, totals + first, last - first)
      }
      withExtendedLifetime(parts) {}
    case .planes(let samples, let channels, let positions):
      let planes = samples * channels
      let parts = try Scratch(bytes: 8 * 2 * planes)
      let sums = parts.of(Double.self)
      parallelFor(planes, grain: max(1, 16384 / max(positions, 1))) { start, end in
        for p in start..<end {
          sums[2 * p] = 0
          sums[2 * p + 1] = 0
          plane(p % channels, p * positions, sums + 2 * p)
        }
      }
      totals.update(repeating: 0, count: 2 * channels)
      for p in 0..<planes {
        totals[p % channels] += sums[2 * p]
        totals[channels + p % channels] += sums[2 * p + 1]
      }
      withExtendedLifetime(parts) {}
    }
  }

  /// Many chunks, so that the threads end together; but each has sums of its own, which must stay few beside its elements.
  private func rowsOfChunk(_ count: Int, _ columns: Int) -> Int {
    max((count + 63) / 64, min((count + 15) / 16, 64), 16384 / max(columns, 1), 1)
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
