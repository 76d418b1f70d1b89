import CIntrinsics
import KernelTypes

// Loop order of averages: row of positions, position, block of channels, window. A position's channels lie in a row, so
// that vectors run over them; with one channel (planes) the same loops run on scalars.
//
// Maxima: row of positions, run of positions that see their windows alike, vector, window. With stride 1 a run is all of
// a row but its edges, whatever the number of channels: a tap of the run is a stretch of adjacent numbers. A mark tells
// which tap of its window a maximum was: a byte for each output, where a place in the image would be a word.

/// Numbers that a kernel keeps of each maximum. Comparisons give lanes with all bits set or none.
protocol PoolVector: FloatVector where Scalar: BinaryFloatingPoint {
  associatedtype Marks
  static func marks(_ value: Int) -> Marks
  /// Where `x` is more than `best`, or no number: the last of these wins.
  static func wins(_ x: Self, _ best: Self) -> Marks
  static func choose(_ wins: Marks, _ a: Self, _ b: Self) -> Self
  static func choose(_ wins: Marks, _ a: Marks, _ b: Marks) -> Marks
  static func store(_ marks: Marks, _ out: UnsafeMutablePointer<UInt8>)
  static func store(_ marks: Marks, _ out: UnsafeMutablePointer<Int32>)
  /// self + g where the mark at the lane's place is the given one.
  func adding(_ g: Self, where marks: UnsafePointer<UInt8>, are mark: Int) -> Self
  func adding(_ g: Self, where marks: UnsafePointer<Int32>, are mark: Int) -> Self
}

extension SIMD16: PoolVector where Scalar == Float {
  typealias Marks = SIMD16<Int32>
  @inline(__always) static func marks(_ value: Int) -> Marks { Marks(repeating: Int32(truncatingIfNeeded: value)) }
  @inline(__always) static func wins(_ x: Self, _ best: Self) -> Marks { sn_wins_f16(x, best) }
  @inline(__always) static func choose(_ wins: Marks, _ a: Self, _ b: Self) -> Self { sn_select_f16(wins, a, b) }
  @inline(__always) static func choose(_ wins: Marks, _ a: Marks, _ b: Marks) -> Marks {
    sn_choose_i16(wins, a, b)
  }
  @inline(__always) static func store(_ marks: Marks, _ out: UnsafeMutablePointer<UInt8>) {
    sn_store_bytes_i16(marks, out)
  }
  @inline(__always) static func store(_ marks: Marks, _ out: UnsafeMutablePointer<Int32>) {
    UnsafeMutableRawPointer(out).storeBytes(of: marks, as: Marks.self)
  }
  @inline(__always) func adding(_ g: Self, where marks: UnsafePointer<UInt8>, are mark: Int) -> Self {
    sn_add_marked_bytes_f16(self, g, marks, Int32(truncatingIfNeeded: mark))
  }
  @inline(__always) func adding(_ g: Self, where marks: UnsafePointer<Int32>, are mark: Int) -> Self {
    sn_add_marked_words_f16(self, g, marks, Int32(truncatingIfNeeded: mark))
  }
}

extension SIMD8: PoolVector where Scalar == Double {
  typealias Marks = SIMD8<Int64>
  @inline(__always) static func marks(_ value: Int) -> Marks { Marks(repeating: Int64(value)) }
  @inline(__always) static func wins(_ x: Self, _ best: Self) -> Marks { sn_wins_d8(x, best) }
  @inline(__always) static func choose(_ wins: Marks, _ a: Self, _ b: Self) -> Self { sn_select_d8(wins, a, b) }
  @inline(__always) static func choose(_ wins: Marks, _ a: Marks, _ b: Marks) -> Marks {
    sn_choose_l8(wins, a, b)
  }
  @inline(__always) static func store(_ marks: Marks, _ out: UnsafeMutablePointer<UInt8>) {
    sn_store_bytes_l8(marks, out)
  }
  @inline(__always) static func store(_ marks: Marks, _ out: UnsafeMutablePointer<Int32>) {
    sn_store_words_l8(marks, out)
  }
  @inline(__always) func adding(_ g: Self, where marks: UnsafePointer<UInt8>, are mark: Int) -> Self {
    sn_add_marked_bytes_d8(self, g, marks, Int32(truncatingIfNeeded: mark))
  }
  @inline(__always) func adding(_ g: Self, where marks: UnsafePointer<Int32>, are mark: Int) -> Self {
    sn_add_marked_words_d8(self, g, marks, Int32(truncatingIfNeeded: mark))
  }
}

/// A number in memory whose maxima are taken as lanes of `V`.
protocol PoolNumber: NormNumber where V: PoolVector {
  init(lane: V.Scalar)
  var lane: V.Scalar { get }
}

extension Float: PoolNumber {
  @inline(__always) var lane: Float { self }
}

extension Double: PoolNumber {
  @inline(__always) var lane: Double { self }
}

extension BrainFloat: PoolNumber {
  @inline(__always) var lane: Float { asFloat }
}

/// How a mark lies in memory: a byte, if all taps have a number that small, or a word.
protocol PoolMark: FixedWidthInteger {
  static func store<V: PoolVector>(_ marks: V.Marks, _ out: UnsafeMutablePointer<Self>, _: V.Type)
  static func add<V: PoolVector>(_ sum: V, _ g: V, _ marks: UnsafePointer<Self>, _ mark: Int) -> V
}

extension UInt8: PoolMark {
  @inline(__always) static func store<V: PoolVector>(_ marks: V.Marks, _ out: UnsafeMutablePointer<UInt8>, _: V.Type) {
    V.store(marks, out)
  }
  @inline(__always) static func add<V: PoolVector>(_ sum: V, _ g: V, _ marks: UnsafePointer<UInt8>, _ mark: Int) -> V {
    sum.adding(g, where: marks, are: mark)
  }
}

extension Int32: PoolMark {
  @inline(__always) static func store<V: PoolVector>(_ marks: V.Marks, _ out: UnsafeMutablePointer<Int32>, _: V.Type) {
    V.store(marks, out)
  }
  @inline(__always) static func add<V: PoolVector>(_ sum: V, _ g: V, _ marks: UnsafePointer<Int32>, _ mark: Int) -> V {
    sum.adding(g, where: marks, are: mark)
  }
}

/// Calls `body(first channel, channels)` for vectors of channels. The last vector overlaps the one before where
/// the channels are no multiple: what a body writes depends on nothing it wrote.
@inline(__always)
func channelBlocks(_ channels: Int, _ width: Int, _ body: (Int, Int) -> Void) {
  if channels < width {
    if channels > 0 { body(0, channels) }
    return
  }
  var c = 0
  while c + width <= channels {
    body(c, width)
    c += width
  }
  if c < channels { body(channels - width, width) }
}

@inline(__always)
func loadLanes<V: Lanes>(_ pointer: UnsafePointer<V.Scalar>, _ count: Int, _ type: V.Type) -> V {
  count == V.scalarCount
    ? UnsafeRawPointer(pointer).loadUnaligned(as: V.self) : loadTail(UnsafeRawPointer(pointer), count, V.self)
}

@inline(__always)
func storeLanes<V: Lanes>(_ vector: V, _ out: UnsafeMutablePointer<V.Scalar>, _ count: Int) {
  if count == V.scalarCount {
    UnsafeMutableRawPointer(out).storeBytes(of: vector, as: V.self)
  } else {
    storeTail(vector, UnsafeMutableRawPointer(out), count)
  }
}

/// Where a line of positions lies: its image, depth and height.
@inline(__always)
private func coordinates(_ row: Int, _ depth: Int, _ height: Int) -> (image: Int, d: Int, h: Int) {
  (row / (depth * height), row / height % depth, row % height)
}

/// The positions of a run.
@inline(__always)
private func bounds(_ runs: [Int32], _ run: Int) -> (Int, Int) { (Int(runs[run]), Int(runs[run + 1])) }

/// The window positions of an output position along one axis, or the outputs of an input position.
@inline(__always)
private func window(_ starts: [Int32], _ ends: [Int32], _ i: Int) -> (Int, Int) {
  (Int(starts[i]), Int(ends[i]))
}

/// A place that a kernel looks at for a number of its result: how far it lies, and its mark.
private struct Candidate {
  var offset: Int
  var mark: Int
}

/// The taps of a window.
private struct Window: Equatable {
  var depth: Int
  var height: Int
  var width: Int

  var count: Int { depth * height * width }
}

/// The largest tap of some adjacent outputs so far, and its number.
private struct Maxima<V: PoolVector> {
  var best = V(-.infinity)
  var mark = V.marks(0)

  @inline(__always) init() {}

  @inline(__always)
  mutating func take(_ x: V, _ number: V.Marks, _ keepsMarks: Bool) {
    let wins = V.wins(x, best)
    best = V.choose(wins, x, best)
    if keepsMarks { mark = V.choose(wins, number, mark) }
  }
}

/// Bytes that are fetched ahead of what is read first: the last tap's, or the last candidate's.
private let poolAhead = 4096

/// Asks for the line of each of some vectors.
@inline(__always)
private func prefetch<S: PoolNumber>(_ place: UnsafePointer<S>, vectors: Int) {
  for vector in 0..<vectors {
    sn_prefetch(UnsafeRawPointer(place + vector * S.V.scalarCount) + poolAhead)
  }
}

/// The largest tap of each of `count` outputs whose windows lie one element apart, and its number.
@inline(__always)
private func largest<S: PoolNumber, M: PoolMark>(
  _ source: UnsafePointer<S>, _ taps: UnsafeBufferPointer<Candidate>, _ count: Int,
  _ out: UnsafeMutablePointer<S>, _ marks: UnsafeMutablePointer<M>, _ keepsMarks: Bool, _: S.Type
) {
  typealias V = S.V
  let lanes = V.scalarCount
  if count < lanes {
    for i in 0..<count {
      var best = -V.Scalar.infinity
      var mark = 0
      for tap in taps {
        let x = source[i + tap.offset].lane
        if x > best || x != x {
          best = x
          mark = tap.mark
        }
      }
      out[i] = S(lane: best)
      if keepsMarks { marks[i] = M(truncatingIfNeeded: mark) }
    }
    return
  }
  @inline(__always)
  func put(_ found: Maxima<V>, _ at: Int) {
    S.store(found.best, out + at, lanes)
    if keepsMarks { M.store(found.mark, marks + at, V.self) }
  }
  var i = 0
  // Two vectors at a time: each comparison waits for the one before. (Of four, maxima and marks take all 16 registers of
  // AVX2, and some of them lie in memory.)
  while i + 2 * lanes <= count {
    if let last = taps.last { prefetch(source + (i + last.offset), vectors: 2) }
    var a = Maxima<V>(), b = Maxima<V>()
    for tap in taps {
      let from = source + (i + tap.offset)
      let number = V.marks(tap.mark)
      a.take(S.load(from, lanes), number, keepsMarks)
      b.take(S.load(from + lanes, lanes), number, keepsMarks)
    }
    put(a, i)
    put(b, i + lanes)
    i += 2 * lanes
  }
  while i < count {
    // The last vector takes some places again.
    let at = min(i, count - lanes)
    var found = Maxima<V>()
    for tap in taps { found.take(S.load(source + (at + tap.offset), lanes), V.marks(tap.mark), keepsMarks) }
    put(found, at)
    i += lanes
  }
}

/// The same with and without marks, each compiled by itself.
@inline(never)
private func largestMarked<S: PoolNumber, M: PoolMark>(
  _ source: UnsafePointer<S>, _ taps: UnsafeBufferPointer<Candidate>, _ count: Int,
  _ out: UnsafeMutablePointer<S>, _ marks: UnsafeMutablePointer<M>, _: S.Type
) { largest(source, taps, count, out, marks, true, S.self) }

@inline(never)
private func largestAlone<S: PoolNumber, M: PoolMark>(
  _ source: UnsafePointer<S>, _ taps: UnsafeBufferPointer<Candidate>, _ count: Int,
  _ out: UnsafeMutablePointer<S>, _ marks: UnsafeMutablePointer<M>, _: S.Type
) { largest(source, taps, count, out, marks, false, S.self) }

/// The places of a window's taps, seen from the first.
@inline(__always)
private func fill(_ taps: UnsafeMutablePointer<Candidate>, _ window: Window, _ shape: PoolShape) {
  let (depth, height, width, channels) = (shape.depth, shape.height, shape.width, shape.channels)
  let line = width.inputSize * channels
  var index = 0
  for d in 0..<window.depth {
    for h in 0..<window.height {
      for w in 0..<window.width {
        taps[index] = Candidate(
          offset: (d * depth.dilation * height.inputSize + h * height.dilation) * line + w * width.dilation * channels,
          mark: (d * height.taps + h) * width.taps + w)
        index += 1
      }
    }
  }
}

@inline(never)
private func maxPoolRows<S: PoolNumber, M: PoolMark>(
  _ source: UnsafePointer<S>, _ target: UnsafeMutablePointer<S>, _ marks: UnsafeMutablePointer<M>,
  _ keepsMarks: Bool, _ shape: PoolShape, _ rows: Range<Int>, _ taps: UnsafeMutablePointer<Candidate>, _: S.Type
) {
  let (depth, height, width, channels) = (shape.depth, shape.height, shape.width, shape.channels)
  let lineSize = width.inputSize * channels
  var known = Window(depth: 0, height: 0, width: 0)
  for row in rows {
    let (image, od, oh) = coordinates(row, depth.outputSize, height.outputSize)
    let (d0, h0) = (Int(depth.starts[od]), Int(height.starts[oh]))
    let first = source + ((image * depth.inputSize + d0) * height.inputSize + h0) * lineSize
    for run in 0..<width.runs.count - 1 {
      let (ow, end) = bounds(width.runs, run)
      let window = Window(depth: depth.windowSize(od), height: height.windowSize(oh), width: width.windowSize(ow))
      if window != known {
        fill(taps, window, shape)
        known = window
      }
      let outputAt = (row * width.outputSize + ow) * channels
      let (from, to) = (first + Int(width.starts[ow]) * channels, target + outputAt)
      let list = UnsafeBufferPointer(start: taps, count: window.count)
      if keepsMarks {
        largestMarked(from, list, (end - ow) * channels, to, marks + outputAt, S.self)
      } else {
        largestAlone(from, list, (end - ow) * channels, to, marks, S.self)
      }
    }
  }
}

@inline(__always)
private func maxPool<S: PoolNumber>(_ number: S.Type, onlyBytes: Bool = false) -> MaxPoolKernel {
  { input, output, marks, shape, rows in
    let source = input.assumingMemoryBound(to: S.self)
    let target = output.assumingMemoryBound(to: S.self)
    // Without marks a pointer stands there that nothing is written to.
    let room = marks ?? output
    let most = shape.depth.taps * shape.height.taps * shape.width.taps
    withUnsafeTemporaryAllocation(of: Candidate.self, capacity: max(most, 1)) { memory in
      guard let taps = memory.baseAddress else { return }
      if onlyBytes || shape.markSize == 1 {
        let bytes = room.assumingMemoryBound(to: UInt8.self)
        maxPoolRows(source, target, bytes, marks != nil, shape, rows, taps, number)
      } else {
        let words = room.assumingMemoryBound(to: Int32.self)
        maxPoolRows(source, target, words, marks != nil, shape, rows, taps, number)
      }
    }
  }
}

/// The gradients of `count` adjacent inputs: those of the candidates whose marks agree.
@inline(__always)
private func collect<S: PoolNumber, M: PoolMark>(
  _ gradient: UnsafePointer<S>, _ marks: UnsafePointer<M>, _ candidates: UnsafePointer<Candidate>,
  _ candidateCount: Int, _ count: Int, _ out: UnsafeMutablePointer<S>, _: S.Type
) {
  typealias V = S.V
  if count < V.scalarCount {
    for i in 0..<count {
      var sum: V.Scalar = 0
      for index in 0..<candidateCount {
        let at = candidates[index].offset + i
        if Int(truncatingIfNeeded: marks[at]) == candidates[index].mark { sum += gradient[at].lane }
      }
      out[i] = S(lane: sum)
    }
    return
  }
  let lanes = V.scalarCount
  @inline(__always)
  func adding(_ sum: V, _ from: Int, _ mark: Int) -> V {
    M.add(sum, S.load(gradient + from, lanes), marks + from, mark)
  }
  var i = 0
  while i + 4 * lanes <= count {
    if candidateCount > 0 {
      let newest = candidates[candidateCount - 1].offset + i
      prefetch(gradient + newest, vectors: 4)
      sn_prefetch(UnsafeRawPointer(marks + newest) + poolAhead)
    }
    var a = V.zero, b = V.zero, c = V.zero, d = V.zero
    for index in 0..<candidateCount {
      let from = candidates[index].offset + i, mark = candidates[index].mark
      a = adding(a, from, mark)
      b = adding(b, from + lanes, mark)
      c = adding(c, from + 2 * lanes, mark)
      d = adding(d, from + 3 * lanes, mark)
    }
    S.store(a, out + i, lanes)
    S.store(b, out + (i + lanes), lanes)
    S.store(c, out + (i + 2 * lanes), lanes)
    S.store(d, out + (i + 3 * lanes), lanes)
    i += 4 * lanes
  }
  while i < count {
    let at = min(i, count - lanes)
    var sum = V.zero
    for index in 0..<candidateCount { sum = adding(sum, candidates[index].offset + at, candidates[index].mark) }
    S.store(sum, out + at, lanes)
    i += lanes
  }
}

@inline(never)
private func maxPoolGradientRows<S: PoolNumber, M: PoolMark>(
  _ source: UnsafePointer<S>, _ marks: UnsafePointer<M>, _ target: UnsafeMutablePointer<S>,
  _ shape: PoolShape, _ rows: Range<Int>, _ candidates: UnsafeMutablePointer<Candidate>, _: S.Type
) {
  let (depth, height, width, channels) = (shape.depth, shape.height, shape.width, shape.channels)
  for row in rows {
    let (image, d, h) = coordinates(row, depth.inputSize, height.inputSize)
    let (d0, d1) = window(depth.outputStarts, depth.outputEnds, d)
    let (h0, h1) = window(height.outputStarts, height.outputEnds, h)
    for run in 0..<width.outputRuns.count - 1 {
      let (w, end) = bounds(width.outputRuns, run)
      let (w0, w1) = window(width.outputStarts, width.outputEnds, w)
      var count = 0
      for od in d0..<d1 {
        let depthTap = depth.tap(d, od)
        if depthTap < 0 { continue }
        for oh in h0..<h1 {
          let heightTap = height.tap(h, oh)
          if heightTap < 0 { continue }
          let line = ((image * depth.outputSize + od) * height.outputSize + oh) * width.outputSize
          for ow in w0..<w1 {
            let tap = width.tap(w, ow)
            if tap < 0 { continue }
            candidates[count] = Candidate(
              offset: (line + ow) * channels, mark: (depthTap * height.taps + heightTap) * width.taps + tap)
            count += 1
          }
        }
      }
      collect(
        source, marks, candidates, count, (end - w) * channels, target + (row * width.inputSize + w) * channels, S.self)
    }
  }
}

/// Each input position asks the windows that may hold it whether it was their maximum: no scattering, so rows
/// are independent.
@inline(__always)
private func maxPoolGradient<S: PoolNumber>(_ number: S.Type, onlyBytes: Bool = false) -> MaxPoolGradientKernel {
  { gradient, marks, output, shape, rows in
    let source = gradient.assumingMemoryBound(to: S.self)
    let target = output.assumingMemoryBound(to: S.self)
    let most = shape.depth.mostWindows * shape.height.mostWindows * shape.width.mostWindows
    withUnsafeTemporaryAllocation(of: Candidate.self, capacity: max(most, 1)) { room in
      guard let candidates = room.baseAddress else { return }
      if onlyBytes || shape.markSize == 1 {
        maxPoolGradientRows(
          source, marks.assumingMemoryBound(to: UInt8.self), target, shape, rows, candidates, number)
      } else {
        maxPoolGradientRows(
          source, marks.assumingMemoryBound(to: Int32.self), target, shape, rows, candidates, number)
      }
    }
  }
}

@inline(__always)
private func averagePool<V: PoolVector>(_ vector: V.Type) -> AveragePoolKernel {
  { input, output, shape, rows in
    let source = input.assumingMemoryBound(to: V.Scalar.self)
    let target = output.assumingMemoryBound(to: V.Scalar.self)
    let (depth, height, width, channels) = (shape.depth, shape.height, shape.width, shape.channels)
    let plane = depth.inputSize * height.inputSize * width.inputSize
    for row in rows {
      let (image, od, oh) = coordinates(row, depth.outputSize, height.outputSize)
      let (d0, d1) = window(depth.starts, depth.ends, od)
      let (h0, h1) = window(height.starts, height.ends, oh)
      let area = Int(depth.extents[od]) * Int(height.extents[oh])
      for ow in 0..<width.outputSize {
        let (w0, w1) = window(width.starts, width.ends, ow)
        let count = shape.divisorOverride != 0 ? shape.divisorOverride : area * Int(width.extents[ow])
        let divisor = V(Double(count))
        let outputAt = (row * width.outputSize + ow) * channels
        channelBlocks(channels, V.scalarCount) { c, count in
          var sum = V.zero
          for d in d0..<d1 {
            for h in h0..<h1 {
              let line = image * plane + (d * height.inputSize + h) * width.inputSize
              for w in w0..<w1 { sum = sum + loadLanes(source + ((line + w) * channels + c), count, V.self) }
            }
          }
          storeLanes(sum / divisor, target + outputAt + c, count)
        }
      }
    }
  }
}

@inline(__always)
private func averagePoolGradient<V: PoolVector>(_ vector: V.Type) -> AveragePoolKernel {
  { gradient, output, shape, rows in
    let source = gradient.assumingMemoryBound(to: V.Scalar.self)
    let target = output.assumingMemoryBound(to: V.Scalar.self)
    let (depth, height, width, channels) = (shape.depth, shape.height, shape.width, shape.channels)
    for row in rows {
      let (image, d, h) = coordinates(row, depth.inputSize, height.inputSize)
      let (d0, d1) = window(depth.outputStarts, depth.outputEnds, d)
      let (h0, h1) = window(height.outputStarts, height.outputEnds, h)
      var w = 0
      while w < width.inputSize {
        // Places that the same outputs see have the same gradient.
        let (w0, w1) = window(width.outputStarts, width.outputEnds, w)
        var next = w + 1
        while next < width.inputSize && window(width.outputStarts, width.outputEnds, next) == (w0, w1) { next += 1 }
        let inputAt = (row * width.inputSize + w) * channels, places = next - w
        channelBlocks(channels, V.scalarCount) { c, count in
          var sum = V.zero
          for od in d0..<d1 {
            for oh in h0..<h1 {
              let area = Int(depth.extents[od]) * Int(height.extents[oh])
              let line = ((image * depth.outputSize + od) * height.outputSize + oh) * width.outputSize
              for ow in w0..<w1 {
                let divisor =
                  shape.divisorOverride != 0 ? shape.divisorOverride : area * Int(width.extents[ow])
                let g = loadLanes(source + ((line + ow) * channels + c), count, V.self)
                sum = sum + g / V(Double(divisor))
              }
            }
          }
          let first = target + (inputAt + c)
          if shape.addsToGradient {
            for place in 0..<places {
              let at = first + place * channels
              storeLanes(loadLanes(at, count, V.self) + sum, at, count)
            }
          } else {
            for place in 0..<places { storeLanes(sum, first + place * channels, count) }
          }
        }
        w = next
      }
    }
  }
}

func registerPooling(_ table: inout PoolKernels) {
  table.max = [
    stored(maxPool(Float.self)),
    stored(maxPool(Double.self)),
    stored(maxPool(BrainFloat.self, onlyBytes: true)),
  ]
  table.maxGradient = [
    stored(maxPoolGradient(Float.self)),
    stored(maxPoolGradient(Double.self)),
    stored(maxPoolGradient(BrainFloat.self, onlyBytes: true)),
  ]
  table.average = [
    stored(averagePool(Floats.self)),
    stored(averagePool(Doubles.self)),
  ]
  table.averageGradient = [
    stored(averagePoolGradient(Floats.self)),
    stored(averagePoolGradient(Doubles.self)),
  ]
}
