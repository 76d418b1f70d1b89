import CIntrinsics
import KernelTypes

/// Calls `body(first column, columns)` for vectors of columns, the last one partly filled.
@inline(__always)
func columnBlocks(_ columns: Int, _ width: Int, _ body: (Int, Int) -> Void) {
  var c = 0
  // The body stands here twice: in the loop the count is a constant, and the code for part of a vector falls away.
  while c + width <= columns {
    body(c, width)
    c += width
  }
  if c < columns { body(c, columns - c) }
}

/// Float vectors as two vectors of doubles, double vectors as themselves: sums that must not lose digits.
protocol WideningVector: FloatVector {
  associatedtype Wide
  static var wideZero: Wide { get }
  var widened: Wide { get }
  static func loadWide(_ source: UnsafePointer<Double>, _ count: Int) -> Wide
  static func accumulate(_ wide: Wide, _ into: UnsafeMutablePointer<Double>, _ count: Int)
  static func add(_ a: Wide, _ b: Wide) -> Wide
  static func subtract(_ a: Wide, _ b: Wide) -> Wide
  static func addProduct(_ a: Wide, _ b: Wide, _ c: Wide) -> Wide
  static func narrowed(_ wide: Wide) -> Self
}

/// Sixteen doubles.
struct WidePair {
  var low: Doubles
  var high: Doubles
}

extension SIMD16: WideningVector where Scalar == Float {
  typealias Wide = WidePair
  @inline(__always) static var wideZero: WidePair { WidePair(low: Doubles(0), high: Doubles(0)) }
  @inline(__always) var widened: WidePair {
    WidePair(low: sn_low_d8(self), high: sn_high_d8(self))
  }
  @inline(__always) static func loadWide(_ source: UnsafePointer<Double>, _ count: Int) -> WidePair {
    WidePair(
      low: loadLanes(source, Swift.min(count, 8), Doubles.self),
      high: count > 8 ? loadLanes(source + 8, count - 8, Doubles.self) : Doubles(0))
  }
  @inline(__always)
  static func accumulate(_ wide: WidePair, _ into: UnsafeMutablePointer<Double>, _ count: Int) {
    Doubles.accumulate(wide.low, into, Swift.min(count, 8))
    if count > 8 { Doubles.accumulate(wide.high, into + 8, count - 8) }
  }
  @inline(__always) static func add(_ a: WidePair, _ b: WidePair) -> WidePair {
    WidePair(low: a.low + b.low, high: a.high + b.high)
  }
  @inline(__always) static func subtract(_ a: WidePair, _ b: WidePair) -> WidePair {
    WidePair(low: a.low - b.low, high: a.high - b.high)
  }
  @inline(__always) static func addProduct(_ a: WidePair, _ b: WidePair, _ c: WidePair) -> WidePair {
    WidePair(low: a.low.adding(b.low, times: c.low), high: a.high.adding(b.high, times: c.high))
  }
  @inline(__always) static func narrowed(_ wide: WidePair) -> Self { Self(narrowing: wide.low, wide.high) }
}

extension SIMD8: WideningVector where Scalar == Double {
  typealias Wide = Doubles
  @inline(__always) static var wideZero: Doubles { Doubles(0) }
  @inline(__always) var widened: Doubles { self }
  @inline(__always) static func loadWide(_ source: UnsafePointer<Double>, _ count: Int) -> Doubles {
    loadLanes(source, count, Doubles.self)
  }
  @inline(__always)
  static func accumulate(_ wide: Doubles, _ into: UnsafeMutablePointer<Double>, _ count: Int) {
    storeLanes(loadLanes(into, count, Doubles.self) + wide, into, count)
  }
  @inline(__always) static func add(_ a: Doubles, _ b: Doubles) -> Doubles { a + b }
  @inline(__always) static func subtract(_ a: Doubles, _ b: Doubles) -> Doubles { a - b }
  @inline(__always) static func addProduct(_ a: Doubles, _ b: Doubles, _ c: Doubles) -> Doubles {
    a.adding(b, times: c)
  }
  @inline(__always) static func narrowed(_ wide: Doubles) -> Doubles { wide }
}

/// A number in memory that is computed with as a lane of `V`.
protocol NormNumber {
  associatedtype V: WideningVector
  static func load(_ p: UnsafePointer<Self>, _ count: Int) -> V
  static func store(_ vector: V, _ p: UnsafeMutablePointer<Self>, _ count: Int)
  var asDouble: Double { get }
}

extension Float: NormNumber {
  @inline(__always) static func load(_ p: UnsafePointer<Float>, _ count: Int) -> Floats {
    loadLanes(p, count, Floats.self)
  }
  @inline(__always) static func store(_ vector: Floats, _ p: UnsafeMutablePointer<Float>, _ count: Int) {
    storeLanes(vector, p, count)
  }
}

extension Double: NormNumber {
  @inline(__always) static func load(_ p: UnsafePointer<Double>, _ count: Int) -> Doubles {
    loadLanes(p, count, Doubles.self)
  }
  @inline(__always) static func store(_ vector: Doubles, _ p: UnsafeMutablePointer<Double>, _ count: Int) {
    storeLanes(vector, p, count)
  }
}

extension BrainFloat: NormNumber {
  @inline(__always) static func load(_ p: UnsafePointer<BrainFloat>, _ count: Int) -> Floats {
    if count == Floats.scalarCount { return sn_load_bfloat_f16(p) }
    var lanes = Floats(repeating: 0)
    for i in 0..<count { lanes[i] = p[i].asFloat }
    return lanes
  }
  @inline(__always) static func store(_ vector: Floats, _ p: UnsafeMutablePointer<BrainFloat>, _ count: Int) {
    if count == Floats.scalarCount { return sn_store_bfloat_f16(vector, p) }
    for i in 0..<count { p[i] = BrainFloat(lane: vector[i]) }
  }
}

/// The doubles of a vector added up in a fixed order.
@inline(__always)
func total<V: WideningVector>(_ wide: V.Wide, _ type: V.Type) -> Double {
  withUnsafeTemporaryAllocation(of: Double.self, capacity: 16) { lanes in
    guard let base = lanes.baseAddress else { return 0 }
    for i in 0..<V.scalarCount { base[i] = 0 }
    V.accumulate(wide, base, V.scalarCount)
    var width = V.scalarCount / 2
    while width > 0 {
      for i in 0..<width { base[i] += base[i + width] }
      width /= 2
    }
    return base[0]
  }
}

/// Rows that one pass over the columns takes, so that they stay in the first-level cache. Within them memory is read in
/// steps of a row, which the processor does not fetch ahead: what the next rows have at the same place is asked for.
private let rowTile = 16

/// From a row to the one that is fetched meanwhile. Long rows lie in the same few lines of the first-level cache, where
/// the next ones would drive them out.
@inline(__always)
private func rowsAhead(_ columns: Int) -> Int { columns < 1024 ? rowTile * columns : 0 }

/// Elements that are asked for ahead where memory is read in order.
private let lineAhead = 1024

// MARK: Statistics

@inline(__always)
private func statisticsRows<S: NormNumber>(_: S.Type) -> StatisticsRowsKernel {
  { x, pivots, accumulators, shape in
    typealias V = S.V
    let x = x.assumingMemoryBound(to: S.self)
    let columns = shape.columns
    let ahead = rowsAhead(columns)
    var start = 0
    while start < shape.rows {
      let end = Swift.min(start + rowTile, shape.rows)
      columnBlocks(columns, V.scalarCount) { c, count in
        let pivot = pivots.map { V.loadWide($0 + c, count) } ?? V.wideZero
        var sum = V.wideZero, squares = V.wideZero
        for row in start..<end {
          let at = row * columns + c
          sn_prefetch(x + (at + ahead))
          let d = V.subtract(S.load(x + at, count).widened, pivot)
          sum = V.add(sum, d)
          squares = V.addProduct(squares, d, d)
        }
        V.accumulate(sum, accumulators + c, count)
        V.accumulate(squares, accumulators + columns + c, count)
      }
      start = end
    }
  }
}

/// As `JoinSumsKernel` says.
@inline(never)
private func joinSums(
  _ parts: UnsafePointer<Double>, _ shape: MatrixShape, _ sums: UnsafeMutablePointer<Double>, _ count: Int
) {
  columnBlocks(count, Doubles.scalarCount) { c, n in
    var sum = Doubles(0)
    for part in 0..<shape.rows { sum = sum + loadLanes(parts + (part * shape.columns + c), n, Doubles.self) }
    storeLanes(sum, sums + c, n)
  }
}

@inline(__always)
private func widePivot<V: WideningVector>(_ value: Double, _ type: V.Type) -> V.Wide {
  withUnsafeTemporaryAllocation(of: Double.self, capacity: 16) { lanes in
    guard let base = lanes.baseAddress else { return V.wideZero }
    for i in 0..<V.scalarCount { base[i] = value }
    return V.loadWide(base, V.scalarCount)
  }
}

/// Sums of x - pivot and of its square over a row.
@inline(__always)
private func rowSums<S: NormNumber>(_ x: UnsafePointer<S>, _ n: Int, _ pivot: Double) -> (Double, Double) {
  typealias V = S.V
  let center = widePivot(pivot, V.self)
  var sum = V.wideZero, squares = V.wideZero
  let whole = n / V.scalarCount * V.scalarCount
  var i = 0
  while i < whole {
    let d = V.subtract(S.load(x + i, V.scalarCount).widened, center)
    sum = V.add(sum, d)
    squares = V.addProduct(squares, d, d)
    i += V.scalarCount
  }
  var (s, q) = (total(sum, V.self), total(squares, V.self))
  while i < n {
    let d = x[i].asDouble - pivot
    s += d
    q += d * d
    i += 1
  }
  return (s, q)
}

@inline(__always)
private func statisticsPlane<S: NormNumber>(_: S.Type) -> StatisticsPlaneKernel {
  { x, n, pivot, accumulators in
    let (sum, squares) = rowSums(x.assumingMemoryBound(to: S.self), n, pivot)
    accumulators[0] += sum
    accumulators[1] += squares
  }
}

// MARK: Backward

/// As `NormMask` says.
private struct GradientMask<S: NormNumber> {
  private let output: UnsafePointer<S>?
  private let scale: UnsafePointer<S.V.Scalar>?
  private let shift: UnsafePointer<S.V.Scalar>?
  private let isPlane: Bool

  @inline(__always)
  init(_ mask: NormMask, isPlane: Bool) {
    output = mask.output?.assumingMemoryBound(to: S.self)
    scale = mask.scale?.assumingMemoryBound(to: S.V.Scalar.self)
    shift = mask.shift?.assumingMemoryBound(to: S.V.Scalar.self)
    self.isPlane = isPlane
  }

  /// Asks for what a later call reads.
  @inline(__always)
  func prefetch(_ at: Int) {
    if let output { sn_prefetch(output + at) }
  }

  /// Elements of the gradient, at places `at` of column `c`, where x is known.
  @inline(__always)
  func callAsFunction(_ gradient: S.V, _ x: S.V, _ at: Int, _ c: Int, _ count: Int) -> S.V {
    if let output { return gradient.masked(by: S.load(output + at, count)) }
    guard let scale, let shift else { return gradient }
    if isPlane { return gradient.masked(by: S.V(repeating: shift[0]).adding(x, times: S.V(repeating: scale[0]))) }
    return gradient.masked(
      by: loadLanes(shift + c, count, S.V.self).adding(x, times: loadLanes(scale + c, count, S.V.self)))
  }
}

@inline(__always)
private func gradientSumsRows<S: NormNumber>(_: S.Type) -> NormGradientSumsRowsKernel {
  { gradient, x, means, mask, accumulators, shape in
    typealias V = S.V
    let g = gradient.assumingMemoryBound(to: S.self), x = x.assumingMemoryBound(to: S.self)
    let masked = GradientMask<S>(mask, isPlane: false)
    let columns = shape.columns
    let ahead = rowsAhead(columns)
    var start = 0
    while start < shape.rows {
      let end = Swift.min(start + rowTile, shape.rows)
      columnBlocks(columns, V.scalarCount) { c, count in
        let mean = V.loadWide(means + c, count)
        var sum = V.wideZero, products = V.wideZero
        for row in start..<end {
          let at = row * columns + c
          sn_prefetch(x + (at + ahead))
          sn_prefetch(g + (at + ahead))
          masked.prefetch(at + ahead)
          let xs = S.load(x + at, count)
          let value = masked(S.load(g + at, count), xs, at, c, count).widened
          let d = V.subtract(xs.widened, mean)
          sum = V.add(sum, value)
          products = V.addProduct(products, value, d)
        }
        V.accumulate(sum, accumulators + c, count)
        V.accumulate(products, accumulators + columns + c, count)
      }
      start = end
    }
  }
}

@inline(__always)
private func gradientSumsPlane<S: NormNumber>(_: S.Type) -> NormGradientSumsPlaneKernel {
  { gradient, x, mean, mask, accumulators, n in
    typealias V = S.V
    let g = gradient.assumingMemoryBound(to: S.self), x = x.assumingMemoryBound(to: S.self)
    let masked = GradientMask<S>(mask, isPlane: true)
    let center = widePivot(mean, V.self)
    var sum = V.wideZero, products = V.wideZero
    columnBlocks(n, V.scalarCount) { i, count in
      let xs = S.load(x + i, count)
      let value = withoutTail(masked(S.load(g + i, count), xs, i, 0, count), count).widened
      sum = V.add(sum, value)
      products = V.addProduct(products, value, V.subtract(xs.widened, center))
    }
    accumulators[0] += total(sum, V.self)
    accumulators[1] += total(products, V.self)
  }
}

@inline(__always)
private func normGradient<S: NormNumber>(_: S.Type, isPlane: Bool) -> NormGradientKernel {
  { gradient, x, mask, dx, coefficients, shape in
    typealias V = S.V
    let g = gradient.assumingMemoryBound(to: S.self), x = x.assumingMemoryBound(to: S.self)
    let masked = GradientMask<S>(mask, isPlane: isPlane)
    let out = dx.assumingMemoryBound(to: S.self)
    let mean = coefficients.mean.assumingMemoryBound(to: V.Scalar.self)
    let a = coefficients.a.assumingMemoryBound(to: V.Scalar.self)
    let b = coefficients.b.assumingMemoryBound(to: V.Scalar.self)
    let k = coefficients.k.assumingMemoryBound(to: V.Scalar.self)
    let (mean0, a0, b0, k0) = (
      V(repeating: mean[0]), V(repeating: a[0]), V(repeating: b[0]), V(repeating: k[0])
    )
    for row in 0..<shape.rows {
      columnBlocks(shape.columns, V.scalarCount) { c, count in
        let at = row * shape.columns + c
        sn_prefetch(x + (at + lineAhead))
        sn_prefetch(g + (at + lineAhead))
        let xs = S.load(x + at, count)
        let value = masked(S.load(g + at, count), xs, at, c, count)
        let center = isPlane ? mean0 : loadLanes(mean + c, count, V.self)
        let d = xs - center
        let shifted = (isPlane ? k0 : loadLanes(k + c, count, V.self))
          .adding(isPlane ? b0 : loadLanes(b + c, count, V.self), times: d)
        let result = shifted.adding(isPlane ? a0 : loadLanes(a + c, count, V.self), times: value)
        S.store(result, out + at, count)
      }
    }
  }
}

// MARK: Scale and shift

/// As `NormalizeRowsKernel` says.
@inline(never)
private func normalizeRows(
  _ operands: UnsafePointer<NormalizeOperands>, _ relu: Bool, _ out: UnsafeMutableRawPointer, _ shape: MatrixShape
) {
  let o = operands.pointee
  let x = o.x.assumingMemoryBound(to: BrainFloat.self)
  let residual = o.residual?.assumingMemoryBound(to: BrainFloat.self)
  let mask = o.mask?.assumingMemoryBound(to: BrainFloat.self)
  let y = out.assumingMemoryBound(to: BrainFloat.self)
  for row in 0..<shape.rows {
    columnBlocks(shape.columns, Floats.scalarCount) { c, count in
      let at = row * shape.columns + c
      var value = BrainFloat.load(x + at, count)
      if let scale = o.scale, let shift = o.shift {
        value = loadLanes(shift + c, count, Floats.self).adding(value, times: loadLanes(scale + c, count, Floats.self))
      }
      if let residual { value = value + BrainFloat.load(residual + at, count) }
      if let mask { value = value.masked(by: BrainFloat.load(mask + at, count)) }
      if relu { value = sn_relu_f16(value) }
      BrainFloat.store(value, y + at, count)
    }
  }
}

// MARK: Rows with statistics of their own

@inline(__always)
private func layerNorm<V: WideningVector>(_ vector: V.Type) -> LayerNormKernel
where V.Scalar: BinaryFloatingPoint & NormNumber, V.Scalar.V == V {
  { x, y, weight, bias, means, deviations, eps, shape in
    let x = x.assumingMemoryBound(to: V.Scalar.self), y = y.assumingMemoryBound(to: V.Scalar.self)
    let weight = weight?.assumingMemoryBound(to: V.Scalar.self)
    let bias = bias?.assumingMemoryBound(to: V.Scalar.self)
    let n = shape.columns
    for row in 0..<shape.rows where n > 0 {
      let line = x + row * n
      // The first value as pivot keeps the two sums apart from cancellation.
      let pivot = Double(line[0])
      let (sum, squares) = rowSums(line, n, pivot)
      let offset = sum / Double(n)
      let mean = pivot + offset
      let variance = Swift.max(squares / Double(n) - offset * offset, 0)
      let inverse = 1 / (variance + eps).squareRoot()
      means[row] = mean
      deviations[row] = inverse
      let (center, scale) = (V(mean), V(inverse))
      columnBlocks(n, V.scalarCount) { c, count in
        var value = (loadLanes(line + c, count, V.self) - center) * scale
        if let weight { value = value * loadLanes(weight + c, count, V.self) }
        if let bias { value = value + loadLanes(bias + c, count, V.self) }
        storeLanes(value, y + (row * n + c), count)
      }
    }
  }
}

/// With h = g w and x̂ the normalised row: dx = (h - mean(h) - x̂ mean(h x̂)) / deviation.
@inline(__always)
private func layerNormGradient<V: WideningVector>(_ vector: V.Type) -> LayerNormGradientKernel
where V.Scalar: BinaryFloatingPoint {
  { gradient, x, weight, means, deviations, dx, accumulators, shape in
    let g = gradient.assumingMemoryBound(to: V.Scalar.self), x = x.assumingMemoryBound(to: V.Scalar.self)
    let weight = weight?.assumingMemoryBound(to: V.Scalar.self)
    let out = dx.assumingMemoryBound(to: V.Scalar.self)
    let n = shape.columns
    for row in 0..<shape.rows {
      let at = row * n
      let (center, scale) = (V(means[row]), V(deviations[row]))
      var sum = V.wideZero, products = V.wideZero
      columnBlocks(n, V.scalarCount) { c, count in
        let value = loadLanes(g + at + c, count, V.self)
        let normal = (loadLanes(x + at + c, count, V.self) - center) * scale
        let h = withoutTail(weight.map { value * loadLanes($0 + c, count, V.self) } ?? value, count)
        sum = V.add(sum, h.widened)
        products = V.addProduct(products, h.widened, normal.widened)
        if let accumulators {
          V.accumulate((value * normal).widened, accumulators + c, count)
          V.accumulate(value.widened, accumulators + n + c, count)
        }
      }
      let meanOfH = V(total(sum, V.self) / Double(n)), meanOfProduct = V(total(products, V.self) / Double(n))
      columnBlocks(n, V.scalarCount) { c, count in
        let value = loadLanes(g + at + c, count, V.self)
        let normal = (loadLanes(x + at + c, count, V.self) - center) * scale
        let h = weight.map { value * loadLanes($0 + c, count, V.self) } ?? value
        storeLanes((h - meanOfH - normal * meanOfProduct) * scale, out + at + c, count)
      }
    }
  }
}

func registerNormalization(_ table: inout NormKernels) {
  table.joinSums = { joinSums($0, $1, $2, $3) }
  table.statisticsRows = [
    stored(statisticsRows(Float.self)),
    stored(statisticsRows(Double.self)),
    stored(statisticsRows(BrainFloat.self)),
  ]
  table.statisticsPlane = [
    stored(statisticsPlane(Float.self)),
    stored(statisticsPlane(Double.self)),
    stored(statisticsPlane(BrainFloat.self)),
  ]
  table.gradientSumsRows = [
    stored(gradientSumsRows(Float.self)),
    stored(gradientSumsRows(Double.self)),
    stored(gradientSumsRows(BrainFloat.self)),
  ]
  table.gradientSumsPlane = [
    stored(gradientSumsPlane(Float.self)),
    stored(gradientSumsPlane(Double.self)),
    stored(gradientSumsPlane(BrainFloat.self)),
  ]
  table.gradientRows = [
    stored(normGradient(Float.self, isPlane: false)),
    stored(normGradient(Double.self, isPlane: false)),
    stored(normGradient(BrainFloat.self, isPlane: false)),
  ]
  table.gradientPlane = [
    stored(normGradient(Float.self, isPlane: true)),
    stored(normGradient(Double.self, isPlane: true)),
    stored(normGradient(BrainFloat.self, isPlane: true)),
  ]
  table.normalizeNarrowRows = { normalizeRows($0, $1, $2, $3) }
  table.layerNorm = [
    stored(layerNorm(Floats.self)),
    stored(layerNorm(Doubles.self)),
  ]
  table.layerNormGradient = [
    stored(layerNormGradient(Floats.self)),
    stored(layerNormGradient(Doubles.self)),
  ]
}
