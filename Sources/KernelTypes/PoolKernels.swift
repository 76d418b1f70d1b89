/// The windows of a pooling along one axis. Regular, ceil-mode and adaptive pooling differ in nothing else.
public struct PoolAxis: Sendable {
  public let inputSize: Int
  public let outputSize: Int
  /// Distance of a window's positions.
  public let dilation: Int
  /// By output position: the first input position inside the input, and the end.
  public let starts: [Int32]
  public let ends: [Int32]
  /// By output position: what the window counts in an average's divisor.
  public let extents: [Int32]
  /// By input position: the outputs whose windows may hold it.
  public let outputStarts: [Int32]
  public let outputEnds: [Int32]
  /// Positions of the largest window, and windows that may hold the same position.
  public let taps: Int
  public let mostWindows: Int
  /// Where runs of outputs begin, with the end behind: within a run a step in the output is a step in the input.
  public let runs: [Int32]
  /// The same for the input: within a run the outputs that may hold a position move along with it.
  public let outputRuns: [Int32]

  /// Windows of `kernel` positions every `stride`, the first one `padding` before the input.
  public init(
    inputSize: Int, outputSize: Int, kernel: Int, stride: Int, padding: Int, dilation: Int = 1,
    countIncludesPadding: Bool = true
  ) {
    var starts: [Int32] = [], ends: [Int32] = [], extents: [Int32] = []
    for o in 0..<outputSize {
      let first = o * stride - padding
      let start = first >= 0 ? first : first + (dilation - 1 - first) / dilation * dilation
      let end = Swift.min(first + (kernel - 1) * dilation + 1, inputSize)
      starts.append(Int32(start))
      ends.append(Int32(Swift.max(end, start)))
      let padded = Swift.min(first + kernel, inputSize + padding) - first
      extents.append(Int32(countIncludesPadding ? padded : Swift.max(end - start, 1)))
    }
    self.init(inputSize, outputSize, dilation, starts, ends, extents)
  }

  /// Windows that share the input out evenly: from floor(o I / O) to ceil((o + 1) I / O).
  public init(adaptive inputSize: Int, outputSize: Int) {
    var starts: [Int32] = [], ends: [Int32] = [], extents: [Int32] = []
    for o in 0..<outputSize {
      starts.append(Int32(o * inputSize / outputSize))
      ends.append(Int32(((o + 1) * inputSize + outputSize - 1) / outputSize))
      extents.append(ends[o] - starts[o])
    }
    self.init(inputSize, outputSize, 1, starts, ends, extents)
  }

  /// The axis of an image that has fewer dimensions.
  public static let single = PoolAxis(inputSize: 1, outputSize: 1, kernel: 1, stride: 1, padding: 0)

  private init(
    _ inputSize: Int, _ outputSize: Int, _ dilation: Int, _ starts: [Int32], _ ends: [Int32],
    _ extents: [Int32]
  ) {
    self.inputSize = inputSize
    self.outputSize = outputSize
    self.dilation = dilation
    self.starts = starts
    self.ends = ends
    self.extents = extents
    // Starts and ends rise with the output position.
    var first = 0, last = 0
    var outputStarts: [Int32] = [], outputEnds: [Int32] = []
    for i in 0..<inputSize {
      while first < outputSize && Int(ends[first]) <= i { first += 1 }
      while last < outputSize && Int(starts[last]) <= i { last += 1 }
      outputStarts.append(Int32(first))
      outputEnds.append(Int32(Swift.max(last, first)))
    }
    self.outputStarts = outputStarts
    self.outputEnds = outputEnds
    taps = (0..<outputSize).reduce(1) { Swift.max($0, (Int(ends[$1] - starts[$1]) + dilation - 1) / dilation) }
    mostWindows = (0..<inputSize).reduce(1) { Swift.max($0, Int(outputEnds[$1] - outputStarts[$1])) }
    runs = PoolAxis.boundaries(outputSize) { starts[$0] == starts[$0 - 1] + 1 && ends[$0] == ends[$0 - 1] + 1 }
    outputRuns = PoolAxis.boundaries(inputSize) { i in
      guard outputStarts[i] == outputStarts[i - 1] + 1, outputEnds[i] == outputEnds[i - 1] + 1 else { return false }
      return (Int(outputStarts[i])..<Int(outputEnds[i])).allSatisfy { starts[$0] == starts[$0 - 1] + 1 }
    }
  }

  /// The places at which something new begins, and the end.
  private static func boundaries(_ count: Int, _ continues: (Int) -> Bool) -> [Int32] {
    (0..<count).filter { $0 == 0 || !continues($0) }.map { Int32($0) } + [Int32(count)]
  }

  /// How many positions the window of an output has.
  @inlinable @inline(__always)
  public func windowSize(_ o: Int) -> Int {
    let extent = Int(ends[o] - starts[o])
    return dilation == 1 ? extent : (extent + dilation - 1) / dilation
  }

  /// The number of a position within the window of an output; negative if it is none of the window's.
  @inlinable @inline(__always)
  public func tap(_ i: Int, _ o: Int) -> Int {
    let distance = i - Int(starts[o])
    if dilation == 1 { return distance }
    return distance % dilation == 0 ? distance / dilation : -1
  }
}

/// Images of D × H × W positions. Channels-last: each position has `channels` values in a row. Planes
/// (contiguous N, C, D, H, W): N * C images of one channel.
public struct PoolShape: Sendable {
  public var channels: Int
  public var depth: PoolAxis
  public var height: PoolAxis
  public var width: PoolAxis
  /// The divisor of an average instead of the window's count, or 0.
  public var divisorOverride: Int
  /// Whether the gradient of an average is added to what the input's gradient holds already.
  public var addsToGradient = false

  /// Bytes of a mark, the number of a tap: ((depth) · taps + height) · taps + width.
  public var markSize: Int { depth.taps * height.taps * width.taps <= 256 ? 1 : 4 }

  /// The flat position in the image of a window's tap.
  public func place(_ mark: Int, _ od: Int, _ oh: Int, _ ow: Int) -> Int {
    let (d, h, w) = (mark / width.taps / height.taps, mark / width.taps % height.taps, mark % width.taps)
    let line =
      (Int(depth.starts[od]) + d * depth.dilation) * height.inputSize + Int(height.starts[oh]) + h * height.dilation
    // An empty window has its first position behind the image.
    return Swift.min(
      line * width.inputSize + Int(width.starts[ow]) + w * width.dilation,
      depth.inputSize * height.inputSize * width.inputSize - 1)
  }

  public init(
    channels: Int, depth: PoolAxis = .single, height: PoolAxis = .single, width: PoolAxis,
    divisorOverride: Int = 0
  ) {
    self.channels = channels
    self.depth = depth
    self.height = height
    self.width = width
    self.divisorOverride = divisorOverride
  }
}

/// `(input, output, marks or nil, shape, rows)`. A row is a line of output positions along W; rows count over image, OD,
/// OH. A mark is the number of the window's tap that was the maximum, in `markSize` bytes.
public typealias MaxPoolKernel = (
  UnsafeRawPointer, UnsafeMutableRawPointer, UnsafeMutableRawPointer?, PoolShape, Range<Int>
) -> Void

/// `(output gradient, marks, input gradient, shape, rows)`: rows of the input, counted over image, D, H. Each is written
/// whole.
public typealias MaxPoolGradientKernel = (
  UnsafeRawPointer, UnsafeRawPointer, UnsafeMutableRawPointer, PoolShape, Range<Int>
) -> Void

/// `(input, output, shape, rows)`: forward over output rows, backward (from output gradient to input gradient, written or
/// added to) over input rows.
public typealias AveragePoolKernel = (UnsafeRawPointer, UnsafeMutableRawPointer, PoolShape, Range<Int>) ->
  Void

/// By lane (f32, f64); those of maxima have a third place for bfloat16, as `DType.kernelPlace` says, where marks are
/// bytes.
public struct PoolKernels {
  public var max: [MaxPoolKernel] = []
  public var maxGradient: [MaxPoolGradientKernel] = []
  public var average: [AveragePoolKernel] = []
  public var averageGradient: [AveragePoolKernel] = []

  public init() {}
}
