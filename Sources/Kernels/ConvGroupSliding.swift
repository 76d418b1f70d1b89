import CIntrinsics
import KernelTypes

// Depthwise convolutions of three neighbouring taps along the line, in up to three rows, with stride 1: the nine weights,
// or their nine sums, stay in registers while the sources of a line pass by. Source k is what the first of a row's taps
// sees from place k; so places k, k - 1 and k - 2 see it.

/// The length of equal strips for lines of three taps, `step` bytes from one source to the next.
func slidingStrip(_ g: RowGeometry, _ step: Int) -> Int {
  let room = max(8, groupStripRoom / ((g.height.taps + 1) * step) - 2)
  let strips = (g.width.positions + room - 1) / room
  return (g.width.positions + strips - 1) / strips
}

/// Up to three rows of taps of a line; where there are fewer, zeros. Source `k` of a row lies `k * step` numbers behind
/// its pointer.
struct SlidingRows<T: ProductScalar> {
  typealias P = UnsafePointer<T>
  var p: (P, P, P)
  var step: (Int, Int, Int)
  /// Offsets of each row's weights: the tap that sees source k from place k, from place k - 1, from place k - 2.
  var weights: (Three, Three, Three)
  typealias Three = (Int, Int, Int)
  var rows: Int
  /// The row that the next line sees first.
  var next: P

  @inline(__always)
  init(_ list: UnsafePointer<Int>, _ taps: Int, _ step: Int, _ zeros: UnsafeRawPointer) {
    let words = LineTaps.words
    let isReversed = list[0] > list[words]
    let zeros = zeros.assumingMemoryBound(to: T.self)
    let rows = taps / 3
    @inline(__always)
    func row(_ i: Int) -> (P, Int, Three) {
      if i >= rows { return (zeros, 0, (0, 0, 0)) }
      let entry = list + 3 * i * words
      let near = isReversed ? entry + 2 * words : entry, far = isReversed ? entry : entry + 2 * words
      return (lineSources(near[0], T.self), step, (near[3], entry[words + 3], far[3]))
    }
    let (a, b, c) = (row(0), row(1), row(2))
    p = (a.0, b.0, c.0)
    self.step = (a.1, b.1, c.1)
    weights = (a.2, b.2, c.2)
    self.rows = rows
    let lineStep = rows > 1 ? (list[3 * words] - list[0]) / MemoryLayout<T>.stride : 0
    next = lineStep < 0 ? a.0 - lineStep : (rows == 3 ? c.0 : rows == 2 ? b.0 : a.0) + lineStep
  }
}

/// Some places of a line of three taps in up to three rows, for some vectors of channels: weights stay in registers, and
/// each source is read once and added to the three places that see it.
@inline(never)
func slidingLine<T: ProductScalar>(_ x: GroupLine<T>, _ channels: Range<Int>, _ places: Range<Int>) {
  typealias V = T.Vector
  let firstSource = max(x.sources.lowerBound, places.lowerBound)
  let endSource = min(x.sources.upperBound, places.upperBound + 2)
  let rows = SlidingRows<T>(x.list, x.count, x.step, x.zeros)
  let lanes = V.scalarCount
  let outStep = x.outStep
  // The next line's sources are fetched in the order in which they lie in memory.
  var ahead = rows.next + (firstSource * x.step + channels.lowerBound * places.count)
  var channel = channels.lowerBound
  while channel < channels.upperBound {
    let panel = x.weights + channel / lanes * x.panelStride
    let from = min(channel, x.columns - lanes)
    let start = x.bias.map { load($0 + from) } ?? V()
    @inline(__always)
    func weights(_ row: Int, _ offsets: (Int, Int, Int)) -> Three<T> {
      row < rows.rows ? (load(panel + offsets.0), load(panel + offsets.1), load(panel + offsets.2)) : (V(), V(), V())
    }
    let u = weights(0, rows.weights.0), v = weights(1, rows.weights.1), w = weights(2, rows.weights.2)
    var p = rows.p.0 + (from + firstSource * rows.step.0)
    var q = rows.p.1 + (rows.rows > 1 ? from + firstSource * rows.step.1 : 0)
    var r = rows.p.2 + (rows.rows > 2 ? from + firstSource * rows.step.2 : 0)
    var done = start, middle = start
    @inline(__always)
    func slide() -> V {
      let a: V = load(p), b: V = load(q), c: V = load(r)
      var begun = start
      multiplyAdd(&done, a, u.2)
      multiplyAdd(&middle, a, u.1)
      multiplyAdd(&begun, a, u.0)
      multiplyAdd(&done, b, v.2)
      multiplyAdd(&middle, b, v.1)
      multiplyAdd(&begun, b, v.0)
      multiplyAdd(&done, c, w.2)
      multiplyAdd(&middle, c, w.1)
      multiplyAdd(&begun, c, w.0)
      sn_prefetch(ahead)
      p += rows.step.0
      q += rows.step.1
      r += rows.step.2
      ahead += lanes
      let result = done
      done = middle
      middle = begun
      return result
    }
    var k = firstSource
    while k < min(places.lowerBound + 2, endSource) {
      _ = slide()
      k += 1
    }
    var out = x.out + (from + (k - 2) * outStep)
    while k < endSource {
      store(slide(), out)
      out += outStep
      k += 1
    }
    if k - 2 >= places.lowerBound && k - 2 < places.upperBound { store(done, out) }
    if k - 1 < places.upperBound { store(middle, out + outStep) }
    channel += lanes
  }
}

/// What a strip of a line of three taps in up to three rows adds to the weight gradient: the nine sums are in registers,
/// and a source meets the gradients of the three places that see it.
@inline(never)
func slidingGradient<T: ProductScalar>(
  _ rows: SlidingRows<T>, _ gradient: UnsafePointer<T>, _ gradientStep: Int, _ places: Range<Int>,
  _ sources: Range<Int>, _ columns: Int, _ result: UnsafeMutablePointer<T>, _ panelSize: Int
) {
  typealias V = T.Vector
  let lanes = V.scalarCount
  let firstSource = sources.lowerBound
  let whole = places.lowerBound + 2..<max(places.lowerBound + 2, places.upperBound)
  var ahead = rows.next + firstSource * rows.step.0
  var channel = 0
  while channel < columns {
    let from = min(channel, columns - lanes)
    var p = rows.p.0 + (from + firstSource * rows.step.0)
    var q = rows.p.1 + (rows.rows > 1 ? from + firstSource * rows.step.1 : 0)
    var r = rows.p.2 + (rows.rows > 2 ? from + firstSource * rows.step.2 : 0)
    var values = gradient + (from + firstSource * gradientStep)
    var near = (V(), V(), V()), middle = (V(), V(), V()), far = (V(), V(), V())
    // Sources that places k, k - 1 and k - 2 see, as far as these belong to the strip.
    @inline(__always)
    func add(_ hasNear: Bool, _ hasMiddle: Bool, _ hasFar: Bool) {
      let a: V = load(p), b: V = load(q), c: V = load(r)
      if hasNear {
        let v: V = load(values)
        multiplyAdd(&near.0, a, v)
        multiplyAdd(&near.1, b, v)
        multiplyAdd(&near.2, c, v)
      }
      if hasMiddle {
        let v: V = load(values - gradientStep)
        multiplyAdd(&middle.0, a, v)
        multiplyAdd(&middle.1, b, v)
        multiplyAdd(&middle.2, c, v)
      }
      if hasFar {
        let v: V = load(values - 2 * gradientStep)
        multiplyAdd(&far.0, a, v)
        multiplyAdd(&far.1, b, v)
        multiplyAdd(&far.2, c, v)
      }
      sn_prefetch(ahead)
      ahead += lanes
      p += rows.step.0
      q += rows.step.1
      r += rows.step.2
      values += gradientStep
    }
    var k = firstSource
    while k < min(whole.lowerBound, sources.upperBound) {
      add(k < places.upperBound, k > places.lowerBound && k <= places.upperBound, false)
      k += 1
    }
    while k < whole.upperBound {
      add(true, true, true)
      k += 1
    }
    while k < sources.upperBound {
      add(false, k <= places.upperBound, k - 2 >= places.lowerBound)
      k += 1
    }
    let panel = result + channel / lanes * panelSize
    @inline(__always)
    func put(_ row: Int, _ offsets: (Int, Int, Int), _ u: V, _ v: V, _ w: V) {
      if row >= rows.rows { return }
      store(load(panel + offsets.0) + u, panel + offsets.0)
      store(load(panel + offsets.1) + v, panel + offsets.1)
      store(load(panel + offsets.2) + w, panel + offsets.2)
    }
    put(0, rows.weights.0, near.0, middle.0, far.0)
    put(1, rows.weights.1, near.1, middle.1, far.1)
    put(2, rows.weights.2, near.2, middle.2, far.2)
    channel += lanes
  }
}
