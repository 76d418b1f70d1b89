import KernelTypes

/// The index tables of a convolution's implicit matrix for one pass over (a part of) the output places. The
/// forward pass and the weight gradient need one; the data gradient with a stride needs one per remainder of the
/// place by the stride, since only every stride-th tap reaches a place.
final class ConvolutionPass {
  private let memory: UnsafeMutablePointer<Int>
  private let axes: [Axis]
  private let offsets: [Int]
  /// On images of few places most taps see padding for some places; rows that stand for the same place of many
  /// images skip them together.
  private let imagesInnermost: Bool
  let rows: Int
  let taps: Int

  /// One axis: the source coordinate of each pair of position and tap, or nil outside.
  struct Axis {
    var positions: Int
    var taps: Int
    /// [tap * positions + position], in elements, or `Int.min`.
    var sources: [Int]
    /// [position], in elements of the output.
    var outputs: [Int]
    /// [tap], in units of taps of the whole filter.
    var tapNumbers: [Int]
  }

  /// `tapUnit`: elements of a weight panel per tap.
  init(batch: Int, axes: [Axis], elementSize: Int, tapUnit: Int) {
    self.axes = axes
    let total = axes.reduce(0) { $0 + $1.sources.count + $1.outputs.count + $1.tapNumbers.count }
    memory = .allocate(capacity: max(total, 1))
    var at = 0
    var offsets: [Int] = []
    for axis in axes {
      offsets.append(at)
      for value in axis.sources {
        memory[at] = value == .min ? .min : value * elementSize
        at += 1
      }
      for value in axis.outputs {
        memory[at] = value
        at += 1
      }
      for value in axis.tapNumbers {
        memory[at] = value * tapUnit
        at += 1
      }
    }
    self.offsets = offsets
    let places = axes.reduce(1) { $0 * $1.positions }
    imagesInnermost = batch >= 8 && places <= 64 && axes.contains { $0.sources.contains(.min) }
    rows = axes.reduce(batch) { $0 * $1.positions }
    taps = axes.reduce(1) { $0 * $1.taps }
  }

  deinit { memory.deallocate() }

  /// Pairs of a position and a tap that sees more than padding from there.
  var seen: Int { axes.reduce(1) { $0 * $1.sources.count { $0 != .min } } }

  private func axis(_ index: Int) -> RowGeometry.Axis {
    let axis = axes[index]
    let start = memory + offsets[index]
    return RowGeometry.Axis(
      positions: axis.positions, taps: axis.taps, sources: start, outputs: start + axis.sources.count,
      weights: start + axis.sources.count + axis.outputs.count)
  }

  /// Valid while this object lives.
  func geometry(
    source: UnsafeRawPointer, zeros: UnsafeRawPointer, batch: Int, batchStride: Int, outputBatchStride: Int
  ) -> RowGeometry {
    RowGeometry(
      source: source, zeros: zeros, batch: batch, batchStride: batchStride,
      outputBatchStride: outputBatchStride, imagesInnermost: imagesInnermost, depth: axis(0),
      height: axis(1), width: axis(2))
  }
}

/// The three sizes of a setting as an array: depth, height, width.
extension Extents {
  var all: [Int] { [depth, height, width] }
}

extension ConvolutionShape {
  /// Axes of the forward pass: places are those of the output, sources those of the input. With `mergedWidth`,
  /// the input's rows have their padding in memory and a row of taps is one stretch.
  func forwardAxes(sourceStrides: [Int], outputStrides: [Int], mergedWidth: Bool) -> [ConvolutionPass.Axis] {
    let units = [kernel.height * kernel.width, kernel.width, 1]
    return (0..<3).map { axis in
      let positions = output.all[axis], taps = kernel.all[axis], size = input.all[axis]
      let outputs = (0..<positions).map { $0 * outputStrides[axis] }
      if axis == 2 && mergedWidth {
        return ConvolutionPass.Axis(
          positions: positions, taps: 1,
          sources: (0..<positions).map { $0 * stride.width * sourceStrides[2] },
          outputs: outputs, tapNumbers: [0])
      }
      var sources: [Int] = []
      sources.reserveCapacity(positions * taps)
      for tap in 0..<taps {
        for position in 0..<positions {
          let place = position * stride.all[axis] - padding.all[axis] + tap * dilation.all[axis]
          sources.append(place >= 0 && place < size ? place * sourceStrides[axis] : .min)
        }
      }
      return ConvolutionPass.Axis(
        positions: positions, taps: taps, sources: sources, outputs: outputs,
        tapNumbers: (0..<taps).map { $0 * units[axis] })
    }
  }

  /// Axes of the data gradient, one list per remainder of the input place by the stride: places are those of the
  /// input, sources those of the output's gradient.
  func dataGradientAxes(sourceStrides: [Int], outputStrides: [Int]) -> [[ConvolutionPass.Axis]] {
    let units = [kernel.height * kernel.width, kernel.width, 1]
    let phases: [[ConvolutionPass.Axis]] = (0..<3).map { axis in
      let step = stride.all[axis], size = input.all[axis], count = output.all[axis]
      return (0..<min(step, size)).map { phase in
        let places = Array(Swift.stride(from: phase, to: size, by: step))
        let taps = (0..<kernel.all[axis]).filter {
          (phase + padding.all[axis] - $0 * dilation.all[axis]) % step == 0
        }
        var sources: [Int] = []
        sources.reserveCapacity(places.count * taps.count)
        for tap in taps {
          for place in places {
            let shifted = place + padding.all[axis] - tap * dilation.all[axis]
            let position = shifted / step
            sources.append(shifted >= 0 && position < count ? position * sourceStrides[axis] : .min)
          }
        }
        return ConvolutionPass.Axis(
          positions: places.count, taps: taps.count, sources: sources,
          outputs: places.map { $0 * outputStrides[axis] }, tapNumbers: taps.map { $0 * units[axis] })
      }
    }
    var result: [[ConvolutionPass.Axis]] = []
    for depth in phases[0] {
      for height in phases[1] {
        for width in phases[2] { result.append([depth, height, width]) }
      }
    }
    return result
  }

  /// How many groups to compute as one, with a block-diagonal filter: narrow groups would leave most of a
  /// vector unused.
  func mergedGroups(lanes: Int) -> Int {
    let wide = max(groupInChannels, groupOutChannels)
    if groups == 1 || wide == 0 || 2 * wide > lanes { return 1 }
    var merged = min(groups, lanes / wide)
    while groups % merged != 0 { merged -= 1 }
    return merged
  }

  /// Whether the kernels of narrow groups compute this convolution: groups of one width on both sides, and at least
  /// a vector of channels.
  func hasNarrowGroups(_ kernels: ProductKernels) -> Bool {
    let width = groupInChannels
    return groups > 1 && width == groupOutChannels && width <= kernels.groupWidth && width & (width - 1) == 0
      && width > 0 && outChannels >= kernels.columns / 2
  }
}

/// An image tensor whose channels are adjacent, as the row kernels need it: the caller's memory, or a copy.
struct ChannelsLast {
  let pointer: UnsafeRawPointer
  /// Elements: N, D, H, W.
  let strides: [Int]
  private let copy: Scratch?

  init(pointer: UnsafeRawPointer, strides: [Int], copy: Scratch?) {
    self.pointer = pointer
    self.strides = strides
    self.copy = copy
  }

  /// The distance from place to place, all images' one after the other, if it is the same everywhere.
  func placeStride(_ batch: Int, _ extents: Extents) -> Int? {
    var step: Int?
    var places = 1
    for (size, stride) in zip([extents.width, extents.height, extents.depth, batch], strides.reversed()) where size > 1
    {
      if let step, stride != step * places { return nil }
      step = step ?? stride
      places *= size
    }
    return step ?? 1
  }

  /// - Parameters:
  ///   - strides: N, C, D, H, W.
  ///   - slack: whether some elements behind the last one must be readable.
  ///   - paddedWidth: if not nil, rows of that width are wanted, with `paddingBefore` zeros in front, or nothing else.
  init(
    _ source: UnsafeRawPointer, type: DType, kernels: ProductKernels, batch: Int, channels: Int,
    extents: Extents, strides s: [Int], slack: Bool, paddedWidth: Int? = nil, paddingBefore: Int = 0
  ) throws {
    let width = paddedWidth ?? extents.width
    let paddingBefore = min(paddingBefore, width)
    let dense = s[4] == channels || extents.width == 1
    let fits = paddedWidth == nil || (paddingBefore == 0 && width <= extents.width && dense)
    if (channels == 1 || s[1] == 1) && fits && !slack {
      pointer = source
      strides = [s[0], s[2], s[3], s[4]]
      copy = nil
      return
    }
    let size = type.size
    let rows = batch * extents.depth * extents.height
    let memory = try Scratch(bytes: (rows * width * channels + 16) * size)
    pointer = UnsafeRawPointer(memory.pointer)
    strides = [
      extents.count / max(extents.width, 1) * width * channels, extents.height * width * channels,
      width * channels, channels,
    ]
    copy = memory
    // The part of each row that has a source; a window may end before the source does.
    let count = max(0, min(extents.width, width - paddingBefore))
    if paddedWidth == nil && s[4] == 1 && s[3] == extents.width && channels > 4 {
      // Planes that follow each other without gaps count as one. Long pieces: every channel is a stream of its own,
      // which the processor must find out each time.
      let depth = s[2] == extents.height * extents.width ? 1 : extents.depth
      let pixels = extents.count / max(depth, 1)
      let block = max(64, (1 << 14) / channels / 64 * 64)
      let blocks = (pixels + block - 1) / block
      parallelFor(batch * depth * blocks, grain: max(1, (1 << 14) / (block * channels))) { first, last in
        for item in first..<last {
          let plane = item / blocks, start = item % blocks * block
          let from = source + (plane / depth * s[0] + plane % depth * s[2] + start) * size
          kernels.transpose(
            from, s[1], channels, min(block, pixels - start),
            memory.pointer + (plane * pixels + start) * channels * size, channels)
        }
      }
      return
    }
    func run<T>(_: T.Type) {
      let from = source.assumingMemoryBound(to: T.self)
      let to = memory.of(T.self)
      parallelFor(rows, grain: max(1, (1 << 13) / max(1, width * channels))) { first, last in
        for row in first..<last {
          let plane = row / extents.height
          let x =
            from + plane / extents.depth * s[0] + plane % extents.depth * s[2] + row % extents.height * s[3]
          let y = to + row * width * channels
          if paddedWidth != nil {
            memset(y, 0, paddingBefore * channels * size)
            let tail = width - paddingBefore - count
            memset(y + (paddingBefore + count) * channels, 0, tail * channels * size)
          }
          let z = y + paddingBefore * channels
          if s[1] == 1 || channels == 1, s[4] == channels {
            memcpy(z, x, count * channels * size)
          } else if s[1] == 1 {
            for i in 0..<count { memcpy(z + i * channels, x + i * s[4], channels * size) }
          } else {
            for c in 0..<channels {
              var i = c
              var j = c * s[1]
              for _ in 0..<count {
                z[i] = x[j]
                i &+= channels
                j &+= s[4]
              }
            }
          }
        }
      }
    }
    if size == 4 { run(Float.self) } else { run(Double.self) }
  }
}
