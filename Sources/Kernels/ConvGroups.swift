import CIntrinsics
import KernelTypes

// Depthwise convolutions and those of narrow groups. A vector of output channels needs one vector of input channels per
// tap: lane by lane for groups of one channel; for groups of `run` channels, each number of a group in turn is spread
// over the group's lanes and multiplied by its own vector of weights. Work goes line by line: neighbouring outputs read
// places `step` numbers apart, so that an address per row of taps does for a whole line.

/// Vectors of neighbouring places, as many as a tile holds in registers.
private protocol PlaceTile {
  associatedtype T: ProductScalar
  static var places: Int { get }
  init(_ start: T.Vector)
  /// Adds `w * source(i)` for each place.
  mutating func add(_ w: T.Vector, _ source: (Int) -> T.Vector)
  /// Adds three taps whose sources are neighbours: `w.j * source(i + j)`. Each source is loaded once.
  mutating func add(_ w: Three<T>, _ source: (Int) -> T.Vector)
  func forEach(_ body: (Int, T.Vector) -> Void)
}

typealias Three<T: ProductScalar> = (T.Vector, T.Vector, T.Vector)

private struct FourPlaces<T: ProductScalar>: PlaceTile {
  var a, b, c, d: T.Vector
  @inline(__always) static var places: Int { 4 }

  @inline(__always) init(_ start: T.Vector) { (a, b, c, d) = (start, start, start, start) }

  @inline(__always)
  mutating func add(_ w: T.Vector, _ source: (Int) -> T.Vector) {
    multiplyAdd(&a, source(0), w)
    multiplyAdd(&b, source(1), w)
    multiplyAdd(&c, source(2), w)
    multiplyAdd(&d, source(3), w)
  }

  @inline(__always)
  mutating func add(_ w: Three<T>, _ source: (Int) -> T.Vector) {
    multiplyAdd(&a, source(0), w.0)
    addInner(source(1), source(2), source(3), w)
    let v = source(4)
    multiplyAdd(&c, v, w.2)
    multiplyAdd(&d, v, w.1)
    multiplyAdd(&d, source(5), w.2)
  }

  /// What the sources 1 to 3 add.
  @inline(__always)
  mutating func addInner(_ s: T.Vector, _ t: T.Vector, _ u: T.Vector, _ w: Three<T>) {
    multiplyAdd(&a, s, w.1)
    multiplyAdd(&b, s, w.0)
    multiplyAdd(&a, t, w.2)
    multiplyAdd(&b, t, w.1)
    multiplyAdd(&c, t, w.0)
    multiplyAdd(&b, u, w.2)
    multiplyAdd(&c, u, w.1)
    multiplyAdd(&d, u, w.0)
  }

  @inline(__always)
  func forEach(_ body: (Int, T.Vector) -> Void) {
    body(0, a)
    body(1, b)
    body(2, c)
    body(3, d)
  }
}

private struct EightPlaces<T: ProductScalar>: PlaceTile {
  var first, last: FourPlaces<T>
  @inline(__always) static var places: Int { 8 }

  @inline(__always) init(_ start: T.Vector) { (first, last) = (FourPlaces(start), FourPlaces(start)) }

  @inline(__always)
  mutating func add(_ w: T.Vector, _ source: (Int) -> T.Vector) {
    first.add(w, source)
    last.add(w) { source($0 + 4) }
  }

  @inline(__always)
  mutating func add(_ w: Three<T>, _ source: (Int) -> T.Vector) {
    multiplyAdd(&first.a, source(0), w.0)
    first.addInner(source(1), source(2), source(3), w)
    let s = source(4), t = source(5)
    multiplyAdd(&first.c, s, w.2)
    multiplyAdd(&first.d, s, w.1)
    multiplyAdd(&last.a, s, w.0)
    multiplyAdd(&first.d, t, w.2)
    last.addInner(t, source(6), source(7), w)
    let u = source(8)
    multiplyAdd(&last.c, u, w.2)
    multiplyAdd(&last.d, u, w.1)
    multiplyAdd(&last.d, source(9), w.2)
  }

  @inline(__always)
  func forEach(_ body: (Int, T.Vector) -> Void) {
    first.forEach(body)
    last.forEach { body($0 + 4, $1) }
  }
}

/// The taps of one line that see more than padding, in words of a list. Of each: address of the source of place 0
/// (which may lie in the padding), first place and end of the places whose sources lie inside, offset of the weights.
enum LineTaps {
  static var words: Int { 4 }

  /// Collects those of a line and returns how many; sources of neighbouring places lie `step` bytes apart. `columns` has
  /// two words for each tap along the line, see there.
  @inline(__always)
  static func collect(
    _ g: RowGeometry, _ place: RowPlace, _ step: Int, _ columns: UnsafePointer<Int>, _ list: UnsafeMutablePointer<Int>
  ) -> Int {
    var entry = list
    forEachLineTap(g, place) { address, weight, _ in
      guard let address else { return }
      for tap in 0..<g.width.taps where columns[2 * tap] < columns[2 * tap + 1] {
        let first = columns[2 * tap]
        entry[0] = address &+ g.width.sources[tap * g.width.positions + first] &- first &* step
        entry[1] = first
        entry[2] = columns[2 * tap + 1]
        entry[3] = weight + g.width.weights[tap]
        entry += words
      }
    }
    return (entry - list) / words
  }

  /// The places that each tap along the lines sees inside, first and end; returns those that all see, how many taps see
  /// anything, and how many of these make up threes with sources that are neighbours of each other: `step` bytes apart
  /// in this or, for the gradient of the input, the other direction.
  static func columns(_ g: RowGeometry, _ step: Int, _ columns: UnsafeMutablePointer<Int>) -> Columns {
    var (low, high, count, threes) = (0, g.width.positions, 0, 0)
    func start(_ tap: Int) -> Int {
      g.width.sources[tap * g.width.positions + columns[2 * tap]] - columns[2 * tap] * step
    }
    for tap in 0..<g.width.taps {
      let sources = g.width.sources + tap * g.width.positions
      var first = 0
      while first < g.width.positions && sources[first] == .min { first += 1 }
      var end = first
      while end < g.width.positions && sources[end] != .min { end += 1 }
      columns[2 * tap] = first
      columns[2 * tap + 1] = end
      if first < end {
        (low, high) = (max(low, first), min(high, end))
        count += 1
      }
    }
    if count == g.width.taps {
      while 3 * threes + 3 <= count, abs(start(3 * threes + 1) - start(3 * threes)) == step,
        start(3 * threes + 2) - start(3 * threes + 1) == start(3 * threes + 1) - start(3 * threes)
      { threes += 1 }
    }
    if low >= high { (low, high) = (g.width.positions, g.width.positions) }
    var seen = Columns(low: low, high: high, count: count, threes: threes, firstSource: 0, endSource: 0)
    guard threes == 1, count == 3 else { return seen }
    // Source k is what the tap nearest to the line's beginning sees from place k.
    let isReversed = start(0) > start(2)
    var (first, end) = (Int.max, Int.min)
    for tap in 0..<3 {
      let offset = isReversed ? 2 - tap : tap
      first = min(first, columns[2 * tap] + offset)
      end = max(end, columns[2 * tap + 1] + offset)
    }
    if first <= 2 && end >= g.width.positions { (seen.firstSource, seen.endSource) = (first, end) }
    return seen
  }

  struct Columns {
    var low: Int
    var high: Int
    var count: Int
    var threes: Int
    /// The sources of a line with three taps, all whose places see something; none elsewhere.
    var firstSource: Int
    var endSource: Int
    var slides: Bool { firstSource < endSource }
  }
}

@inline(__always)
func lineSources<T>(_ address: Int, _: T.Type) -> UnsafePointer<T> {
  UnsafePointer<T>(bitPattern: address).unsafelyUnwrapped
}

/// Output lines, with the epilogue of `ConvolveArguments`: its weights are [vector of columns][run][tap][lanes], the
/// last vector ending with the last column; its `tables` are room for `groupLineWords`, then for a line of a tile's
/// columns.
///
///     for each strip of places (what it sees stays in the first-level cache from one line to the next)
///       for each line
///         for each vector of channels
///           for each tile of the strip's places
@inline(__always)
func convolveGroupLines<S: ImageNumber>(
  _ geometry: UnsafePointer<RowGeometry>, _ firstLine: Int, _ lines: Int, _ step: Int,
  _ arguments: UnsafePointer<ConvolveArguments>, _: S.Type
) where S.Wide == S {
  typealias T = S.Wide
  let g = geometry.pointee
  let x = arguments.pointee
  let lanes = T.Vector.scalarCount
  let size = MemoryLayout<T>.stride
  let positions = g.width.positions
  // No more than a bias: results go to their places at once.
  let direct = x.scale == nil && x.residual == nil && !x.relu
  let bias = direct ? x.bias?.assumingMemoryBound(to: T.self) : nil
  let output = x.output.assumingMemoryBound(to: T.self)
  let spread = positions > 1 ? g.width.outputs[1] &- g.width.outputs[0] : 0
  let columns = UnsafeMutablePointer(mutating: x.tables)
  let seen = LineTaps.columns(g, step * size, columns)
  let list = columns + 2 * g.width.taps
  let offsets = columns + groupLineWords(taps: g.taps, along: g.width.taps, positions: 0)
  let buffer = UnsafeMutableRawPointer(offsets + positions).assumingMemoryBound(to: T.self)
  let slides = seen.slides && x.run == 1 && g.taps <= 9
  let strip =
    slides
    ? slidingStrip(g, step * size)
    : max(8, groupStripRoom / ((g.height.taps + 2) * max(step, x.columns) * size) / 8 * 8)
  var first = 0
  while first < positions {
    // Strips begin with the places that all taps see; what little is left at the end belongs to the last one.
    var end = slides ? min(first + strip, positions) : max(first, seen.low) + strip
    if !slides && end + 4 > seen.high { end = positions }
    var place = RowPlace(g, firstLine * positions)
    for _ in 0..<lines {
      let taps = LineTaps.collect(g, place, step * size, columns, list)
      let offset = lineOffset(g, place)
      var line = GroupLine(
        list: list, count: taps, columnTaps: seen.count, threes: seen.threes, run: x.run, step: step,
        columns: x.columns,
        weights: x.weights.assumingMemoryBound(to: T.self), panelStride: x.panelStride, bias: bias,
        out: output + (offset + g.width.outputs[0]), outStep: spread,
        low: taps == 0 ? positions : seen.low, high: seen.high,
        sources: slides && taps > 0 ? seen.firstSource..<seen.endSource : 0..<0, zeros: g.zeros)
      if direct {
        line.compute(0..<x.columns, first..<end)
      } else {
        for i in first..<end { offsets[i] = offset + g.width.outputs[i] }
        line.outStep = T.tileColumns
        var channel = 0
        while channel < x.columns {
          let width = min(lanes, x.columns - channel)
          let from = channel + width - min(lanes, x.columns)
          line.out = buffer - from
          line.compute(channel..<channel + width, first..<end)
          TileBuffer<T>.with { room in
            ConvFinish<S>(x, column: channel, width: width, room: room).putRows(
              buffer + (first * T.tileColumns + channel - from), offsets + first, end - first, width)
          }
          channel += lanes
        }
      }
      place.advance(g, positions)
    }
    first = end
  }
}

/// Bytes of the first-level cache that the lines of a strip may fill.
let groupStripRoom = 32 << 10

/// What the places of a line are computed from.
struct GroupLine<T: ProductScalar> {
  /// See `LineTaps`.
  var list: UnsafeMutablePointer<Int>
  var count: Int
  /// Taps in a row of taps, and threes of them.
  var columnTaps: Int
  var threes: Int
  /// Channels of a group.
  var run: Int
  var step: Int
  var columns: Int
  var weights: UnsafePointer<T>
  var panelStride: Int
  var bias: UnsafePointer<T>?
  var out: UnsafeMutablePointer<T>
  var outStep: Int
  /// The places that all taps see.
  var low: Int
  var high: Int
  /// Those of `SlidingRows`, where they serve.
  var sources: Range<Int>
  var zeros: UnsafeRawPointer

  @inline(__always)
  func compute(_ channels: Range<Int>, _ places: Range<Int>) {
    if !sources.isEmpty { return slidingLine(self, channels, places) }
    let start = max(places.lowerBound, min(low, places.upperBound)), end = min(places.upperBound, max(high, start))
    if places.lowerBound < start { groupEdge(self, channels, places.lowerBound, start) }
    var place = start
    let eights = (end - start + 3) / 8
    if eights > 0 && end - 8 >= low {
      groupTiles(self, channels, start, end - 8, eights, EightPlaces<T>.self)
      place = min(end, start + eights * 8)
    }
    if place < end && end - 4 >= low {
      groupTiles(self, channels, place, end - 4, (end - place + 3) / 4, FourPlaces<T>.self)
      place = end
    }
    if place < places.upperBound { groupEdge(self, channels, place, places.upperBound) }
  }

  /// From a vector of weights to that of the groups' next number.
  @inline(__always) var runStride: Int { panelStride / run }

  /// Calls body(first channel, weights, sum to begin with) for vectors of channels; the last one may take some again.
  @inline(__always)
  func forEachVector(_ channels: Range<Int>, _ body: (Int, UnsafePointer<T>, T.Vector) -> Void) {
    let lanes = T.Vector.scalarCount
    var channel = channels.lowerBound
    while channel < channels.upperBound {
      let first = min(channel, columns - lanes)
      body(first, weights + channel / lanes * panelStride, bias.map { load($0 + first) } ?? T.Vector())
      channel += lanes
    }
  }
}

/// Offset of a line in the output.
@inline(__always)
private func lineOffset(_ g: RowGeometry, _ place: RowPlace) -> Int {
  place.image &* g.outputBatchStride &+ g.depth.outputs[place.depth] &+ g.height.outputs[place.height]
}

/// Tiles of places that all taps see, the first `tiles` from `first` on; none begins behind `last`. (A tile that is handed
/// to a closure would stay in memory.)
@inline(never)
private func groupTiles<Places: PlaceTile>(
  _ x: GroupLine<Places.T>, _ channels: Range<Int>, _ first: Int, _ last: Int, _ tiles: Int, _: Places.Type
) {
  typealias T = Places.T
  let (step, run, stride, outStep) = (x.step, x.run, x.runStride, x.outStep)
  let list = UnsafePointer(x.list), end = UnsafePointer(x.list) + LineTaps.words * x.count
  let lanes = T.Vector.scalarCount
  let singles = x.columnTaps - 3 * x.threes, threes = x.threes
  let back = threes > 0 && list[0] > list[LineTaps.words]
  let spreading = T.spreads && run > 1
  var channel = channels.lowerBound
  while channel < channels.upperBound {
    let panel = x.weights + channel / lanes * x.panelStride
    let from = min(channel, x.columns - lanes)
    for number in 0..<tiles {
      let place = min(first + number * Places.places, last)
      let at = from + place * step
      var tile = Places(x.bias.map { load($0 + from) } ?? T.Vector())
      var entry = list
      repeat {
        for _ in 0..<threes {
          let ends = (entry, entry + 2 * LineTaps.words)
          let (a, c) = back ? (ends.1, ends.0) : ends
          let p = lineSources(a[0], T.self) + at
          let (u, v, w) = (panel + a[3], panel + entry[LineTaps.words + 3], panel + c[3])
          if spreading {
            for index in 0..<run {
              let source = T.spreading(index, run), offset = index * stride
              tile.add((load(u + offset), load(v + offset), load(w + offset)) as Three<T>) {
                T.spread(load(p + $0 * step), source)
              }
            }
          } else {
            tile.add((load(u), load(v), load(w)) as Three<T>) { load(p + $0 * step) }
          }
          entry += 3 * LineTaps.words
        }
        for _ in 0..<singles {
          let p = lineSources(entry[0], T.self) + at
          let w = panel + entry[3]
          if spreading {
            for index in 0..<run {
              let source = T.spreading(index, run)
              tile.add(load(w + index * stride)) { T.spread(load(p + $0 * step), source) }
            }
          } else {
            tile.add(load(w)) { load(p + $0 * step) }
          }
          entry += LineTaps.words
        }
      } while entry != end
      let to = x.out + (from + place * outStep)
      tile.forEach { store($1, to + $0 * outStep) }
    }
    channel += lanes
  }
}

/// Places near the edge, one by one: first the taps that see something, then all vectors of channels.
@inline(never)
private func groupEdge<T: ProductScalar>(_ x: GroupLine<T>, _ channels: Range<Int>, _ first: Int, _ end: Int) {
  let (step, run, stride) = (x.step, x.run, x.runStride)
  // What stands behind the list is room for one more.
  let seen = x.list + LineTaps.words * x.count
  for place in first..<end {
    var last = seen
    var entry = x.list
    for _ in 0..<x.count {
      if place >= entry[1] && place < entry[2] {
        last[0] = entry[0]
        last[1] = entry[3]
        last += 2
      }
      entry += LineTaps.words
    }
    x.forEachVector(channels) { channel, panel, start in
      let at = channel + place * step
      var sum = start
      var tap = seen
      if !T.spreads || run == 1 {
        while tap != last {
          multiplyAdd(&sum, load(lineSources(tap[0], T.self) + at), load(panel + tap[1]))
          tap += 2
        }
      } else {
        while tap != last {
          let v: T.Vector = load(lineSources(tap[0], T.self) + at)
          for index in 0..<run {
            multiplyAdd(&sum, T.spread(v, T.spreading(index, run)), load(panel + (tap[1] + index * stride)))
          }
          tap += 2
        }
      }
      store(sum, x.out + (channel + place * x.outStep))
    }
  }
}

/// Sums for nine taps.
private struct NineTaps<T: ProductScalar> {
  var first = FourPlaces<T>(T.Vector()), middle = FourPlaces<T>(T.Vector())
  var last = T.Vector()

  @inline(__always)
  mutating func add(_ gradient: T.Vector, _ source: (Int) -> T.Vector) {
    first.add(gradient, source)
    middle.add(gradient) { source($0 + 4) }
    multiplyAdd(&last, source(8), gradient)
  }

  @inline(__always)
  func forEach(_ body: (Int, T.Vector) -> Void) {
    first.forEach(body)
    middle.forEach { body($0 + 4, $1) }
    body(8, last)
  }
}

/// Adds what some lines contribute to the weight gradient [vector of columns][run][tap][lanes]: for each line and
/// vector of channels, nine taps at a time are summed in registers along the line. Lanes are those of the input; a group's
/// numbers meet its gradients in turn, with the gradients rotated by 0 to `run - 1` lanes of the group.
/// `room`: `groupLineWords` words.
@inline(__always)
func gradientGroupLines<T: ProductScalar>(
  _ geometry: UnsafePointer<RowGeometry>, _ arguments: UnsafePointer<LineGradientArguments>, _: T.Type
) {
  let g = geometry.pointee
  let x = arguments.pointee
  let lanes = T.Vector.scalarCount
  let positions = g.width.positions
  let columns = x.room.assumingMemoryBound(to: Int.self)
  let list = columns + 2 * g.width.taps
  let seen = LineTaps.columns(g, x.step * MemoryLayout<T>.stride, columns)
  let panelSize = g.taps * x.run * lanes
  let slides = seen.slides && x.run == 1 && g.taps <= 9
  let strip = slides ? slidingStrip(g, x.step * MemoryLayout<T>.stride) : positions
  var start = 0
  while start < positions {
    let end = min(start + strip, positions)
    var place = RowPlace(g, x.firstLine * positions)
    for _ in 0..<x.lines {
      let taps = LineTaps.collect(g, place, x.step * MemoryLayout<T>.stride, columns, list)
      let line = x.gradient.assumingMemoryBound(to: T.self) + lineOffset(g, place)
      if start == 0, let sums = x.sums { addColumnSums(line, x.gradientStep, positions, x.columns, sums) }
      if slides && taps > 0 {
        slidingGradient(
          SlidingRows<T>(list, taps, x.step, g.zeros), line, x.gradientStep, start..<end,
          max(start, seen.firstSource)..<min(end + 2, seen.endSource), x.columns,
          x.result.assumingMemoryBound(to: T.self), panelSize)
      } else if taps > 0 {
        // The last one repeated, so that there are nine to read.
        for i in taps * LineTaps.words..<(taps + 8) * LineTaps.words { list[i] = list[i - LineTaps.words] }
        var channel = 0
        while channel < x.columns {
          let first = min(channel, x.columns - lanes)
          let result = x.result.assumingMemoryBound(to: T.self) + channel / lanes * panelSize
          var tap = 0
          while tap < taps {
            for distance in 0..<x.run {
              groupGradient(
                list + LineTaps.words * tap, min(9, taps - tap), x.run, distance, first, x.step, seen.low, seen.high,
                line + first, x.gradientStep, result + distance * g.taps * lanes)
            }
            tap += 9
          }
          channel += lanes
        }
      }
      place.advance(g, positions)
    }
    start = end
  }
}

/// Up to nine taps of one line and vector of channels, with the gradients of groups of `run` rotated.
@inline(never)
private func groupGradient<T: ProductScalar>(
  _ list: UnsafePointer<Int>, _ count: Int, _ run: Int, _ distance: Int, _ channel: Int, _ step: Int,
  _ low: Int, _ high: Int, _ gradient: UnsafePointer<T>, _ gradientStep: Int, _ result: UnsafeMutablePointer<T>
) {
  let lanes = T.rotating(distance, run)
  let words = LineTaps.words
  @inline(__always) func row(_ i: Int) -> UnsafePointer<T> { lineSources(list[i * words], T.self) + channel }
  if low < high {
    let first = Six(row(0), row(1), row(2), row(3), row(4), row(5))
    let last = (row(6), row(7), row(8))
    @inline(__always)
    func tap(_ i: Int, _ at: Int) -> T.Vector {
      switch i {
      case 0: return load(first.0 + at)
      case 1: return load(first.1 + at)
      case 2: return load(first.2 + at)
      case 3: return load(first.3 + at)
      case 4: return load(first.4 + at)
      case 5: return load(first.5 + at)
      case 6: return load(last.0 + at)
      case 7: return load(last.1 + at)
      default: return load(last.2 + at)
      }
    }
    var sums = NineTaps<T>()
    var at = low * step
    let end = high * step
    var from = gradient + low * gradientStep
    if !T.spreads || distance == 0 {
      repeat {
        sums.add(load(from)) { tap($0, at) }
        from += gradientStep
        at += step
      } while at != end
    } else {
      repeat {
        sums.add(T.spread(load(from), lanes)) { tap($0, at) }
        from += gradientStep
        at += step
      } while at != end
    }
    sums.forEach { i, sum in
      if i < count {
        let to = result + list[i * words + 3]
        store(load(to) + sum, to)
      }
    }
  }
  // The places near the edges, tap by tap.
  for i in 0..<count where list[i * words + 1] < low || list[i * words + 2] > high {
    let to = result + list[i * words + 3]
    var sum: T.Vector = load(to)
    @inline(__always)
    func add(_ places: Range<Int>) {
      for place in places {
        let g: T.Vector = load(gradient + place * gradientStep)
        multiplyAdd(&sum, load(row(i) + place * step), T.spreads && distance > 0 ? T.spread(g, lanes) : g)
      }
    }
    let (start, end) = (list[i * words + 1], list[i * words + 2])
    if start < low { add(start..<min(low, end)) }
    if end > high { add(max(high, start)..<end) }
    store(sum, to)
  }
}
