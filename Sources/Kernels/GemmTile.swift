import CIntrinsics
import KernelTypes

/// An element type of the matrix kernels, with the widest vector of this build's instruction set.
protocol ProductScalar: BinaryFloatingPoint, SIMDScalar {
  associatedtype Vector: SIMD where Vector.Scalar == Self
  /// The elements of two vectors in turn: a0 b0 a1 b1 …; the first halves' and the second halves'.
  static func riffle(_ a: Vector, _ b: Vector) -> (Vector, Vector)
  /// a · b + c, in one rounding where the instruction set has it, as one instruction: what Swift's `addProduct` does lane
  /// by lane, the optimizer may leave in pieces, and then takes the vectors that come there to pieces from the start.
  static func fused(_ a: Vector, _ b: Vector, plus c: Vector) -> Vector
  /// Whether `spread` is there.
  static var spreads: Bool { get }
  /// Which lane each lane takes.
  associatedtype Selector = Int
  /// Groups of `run` lanes, a power of two: each lane takes number `index` of its group.
  static func spreading(_ index: Int, _ run: Int) -> Selector
  /// The same groups: each lane takes the one `distance` further on in its group, which begins again at its end.
  static func rotating(_ distance: Int, _ run: Int) -> Selector
  static func spread(_ vector: Vector, _ lanes: Selector) -> Vector
}

extension ProductScalar where Selector == Int {
  @inline(__always) static var spreads: Bool { false }
  @inline(__always) static func spreading(_ index: Int, _ run: Int) -> Int { index }
  @inline(__always) static func rotating(_ distance: Int, _ run: Int) -> Int { distance }
  @inline(__always) static func spread(_ vector: Vector, _ lanes: Int) -> Vector { vector }
}

extension Float {
  @inline(__always)
  static func riffle(_ a: Vector, _ b: Vector) -> (Vector, Vector) {
    var low = a, high = a
    low.evenHalf = a.lowHalf
    low.oddHalf = b.lowHalf
    high.evenHalf = a.highHalf
    high.oddHalf = b.highHalf
    return (low, high)
  }
}

extension Double {
  @inline(__always)
  static func riffle(_ a: Vector, _ b: Vector) -> (Vector, Vector) {
    #if SN_FMA
      var low = a, high = a
      low.evenHalf = a.lowHalf
      low.oddHalf = b.lowHalf
      high.evenHalf = a.highHalf
      high.oddHalf = b.highHalf
      return (low, high)
    #else
      return (Vector(a[0], b[0]), Vector(a[1], b[1]))
    #endif
  }
}

#if SN_V4
  extension Float: ProductScalar {
    typealias Vector = SIMD16<Float>
    @inline(__always) static var spreads: Bool { true }
    @inline(__always)
    static func spreading(_ index: Int, _ run: Int) -> SIMD16<Int32> {
      (laneNumbers & SIMD16(repeating: Int32(truncatingIfNeeded: -run)))
        &+ SIMD16(
          repeating: Int32(truncatingIfNeeded: index))
    }
    @inline(__always)
    static func rotating(_ distance: Int, _ run: Int) -> SIMD16<Int32> {
      spreading(0, run)
        | ((laneNumbers &+ SIMD16(repeating: Int32(truncatingIfNeeded: distance)))
          & SIMD16(repeating: Int32(truncatingIfNeeded: run - 1)))
    }
    @inline(__always)
    private static var laneNumbers: SIMD16<Int32> { SIMD16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) }
    @inline(__always)
    static func spread(_ vector: Vector, _ lanes: SIMD16<Int32>) -> Vector { sn_permute_f16(vector, lanes) }
    @inline(__always)
    static func fused(_ a: Vector, _ b: Vector, plus c: Vector) -> Vector { sn_fma_f16(a, b, c) }
  }
  extension Double: ProductScalar {
    typealias Vector = SIMD8<Double>
    @inline(__always)
    static func fused(_ a: Vector, _ b: Vector, plus c: Vector) -> Vector { sn_fma_d8(a, b, c) }
  }
  /// 12 rows of two vectors fill 24 of the 32 vector registers; two more hold a row of b.
  let tileRows = 12
  let termsAtOnce = 1
#elseif SN_V3
  extension Float: ProductScalar {
    typealias Vector = SIMD8<Float>
    @inline(__always) static var spreads: Bool { true }
    @inline(__always)
    static func spreading(_ index: Int, _ run: Int) -> SIMD8<Int32> {
      (laneNumbers & SIMD8(repeating: Int32(truncatingIfNeeded: -run)))
        &+ SIMD8(
          repeating: Int32(truncatingIfNeeded: index))
    }
    @inline(__always)
    static func rotating(_ distance: Int, _ run: Int) -> SIMD8<Int32> {
      spreading(0, run)
        | ((laneNumbers &+ SIMD8(repeating: Int32(truncatingIfNeeded: distance)))
          & SIMD8(repeating: Int32(truncatingIfNeeded: run - 1)))
    }
    @inline(__always)
    private static var laneNumbers: SIMD8<Int32> { SIMD8(0, 1, 2, 3, 4, 5, 6, 7) }
    @inline(__always)
    static func spread(_ vector: Vector, _ lanes: SIMD8<Int32>) -> Vector { sn_permute_f8(vector, lanes) }
    @inline(__always)
    static func fused(_ a: Vector, _ b: Vector, plus c: Vector) -> Vector { sn_fma_f8(a, b, c) }
  }
  extension Double: ProductScalar {
    typealias Vector = SIMD4<Double>
    @inline(__always)
    static func fused(_ a: Vector, _ b: Vector, plus c: Vector) -> Vector { sn_fma_d4(a, b, c) }
  }
  /// 6 rows of two vectors fill 12 of the 16 vector registers.
  let tileRows = 6
  /// A term of this tile has 12 multiplications beside 8 loads. Two threads that share a core have three instructions per
  /// cycle each, so that every other instruction of the loop costs time: it takes four terms in a row.
  let termsAtOnce = 4
#else
  extension Float: ProductScalar {
    typealias Vector = SIMD4<Float>
    @inline(__always) static func fused(_ a: Vector, _ b: Vector, plus c: Vector) -> Vector { a * b + c }
  }
  extension Double: ProductScalar {
    typealias Vector = SIMD2<Double>
    @inline(__always) static func fused(_ a: Vector, _ b: Vector, plus c: Vector) -> Vector { a * b + c }
  }
  let tileRows = 6
  let termsAtOnce = 1
#endif

extension ProductScalar {
  /// Columns of a register tile.
  @inline(__always) static var tileColumns: Int { 2 * Vector.scalarCount }
  /// Bytes of a row of a register tile.
  @inline(__always) static var tileBytes: Int { 2 * MemoryLayout<Vector>.size }
}

@inline(__always)
func load<V: SIMD>(_ pointer: UnsafePointer<V.Scalar>, as _: V.Type = V.self) -> V {
  UnsafeRawPointer(pointer).loadUnaligned(as: V.self)
}

@inline(__always)
func store<V: SIMD>(_ vector: V, _ pointer: UnsafeMutablePointer<V.Scalar>) {
  UnsafeMutableRawPointer(pointer).storeBytes(of: vector, as: V.self)
}

/// Six scalars that multiply one row of b.
typealias Six<T> = (T, T, T, T, T, T)

/// A tile of results in registers.
protocol ProductTile {
  associatedtype T: ProductScalar
  init()
  /// Adds a row of b, as wide as the tile, times numbers of a: `a(i)` gives the six that start at row i.
  mutating func add(row b: UnsafePointer<T>, _ a: (Int) -> Six<T>)
  /// Stores the tile, or adds it to what is there.
  func put(_ out: UnsafeMutablePointer<T>, _ stride: Int, adding: Bool)
}

/// Six rows of a tile, two vectors each; in memory: row-major.
struct SixRows<T: ProductScalar>: ProductTile {
  typealias V = T.Vector
  var l0 = V(), r0 = V(), l1 = V(), r1 = V(), l2 = V(), r2 = V()
  var l3 = V(), r3 = V(), l4 = V(), r4 = V(), l5 = V(), r5 = V()

  @inline(__always) init() {}

  /// Adds a row of b times six numbers.
  @inline(__always)
  mutating func add(_ x: Six<T>, _ l: V, _ r: V) {
    @inline(__always) func all(_ number: T) -> V { V(repeating: number) }
    add((all(x.0), all(x.1), all(x.2), all(x.3), all(x.4), all(x.5)) as Six<V>, l, r)
  }

  @inline(__always)
  mutating func add(row b: UnsafePointer<T>, _ a: (Int) -> Six<T>) { add(a(0), load(b), load(b + V.scalarCount)) }

  /// Products of vectors, number by number, instead of a row of b with six numbers.
  @inline(__always)
  mutating func add(_ x: Six<V>, _ l: V, _ r: V) {
    multiplyAdd(&l0, x.0, l)
    multiplyAdd(&r0, x.0, r)
    multiplyAdd(&l1, x.1, l)
    multiplyAdd(&r1, x.1, r)
    multiplyAdd(&l2, x.2, l)
    multiplyAdd(&r2, x.2, r)
    multiplyAdd(&l3, x.3, l)
    multiplyAdd(&r3, x.3, r)
    multiplyAdd(&l4, x.4, l)
    multiplyAdd(&r4, x.4, r)
    multiplyAdd(&l5, x.5, l)
    multiplyAdd(&r5, x.5, r)
  }

  /// Calls `body(row, left, right)` for each row.
  @inline(__always)
  func forEach(_ body: (Int, V, V) -> Void) {
    body(0, l0, r0)
    body(1, l1, r1)
    body(2, l2, r2)
    body(3, l3, r3)
    body(4, l4, r4)
    body(5, l5, r5)
  }

  /// Stores the rows, or adds them to what is there.
  @inline(__always)
  func put(_ out: UnsafeMutablePointer<T>, _ stride: Int, adding: Bool) {
    forEach { row, l, r in putRow(l, r, out + row * stride, adding: adding) }
  }
}

/// Stores a row of two vectors, or adds it to what is there.
@inline(__always)
private func putRow<V: SIMD>(_ l: V, _ r: V, _ out: UnsafeMutablePointer<V.Scalar>, adding: Bool)
where V.Scalar: FloatingPoint {
  let half = V.scalarCount
  store(adding ? load(out) + l : l, out)
  store(adding ? load(out + half) + r : r, out + half)
}

/// Four rows of a tile, for the last few: no fewer could hide the latency of multiplications.
struct FourRows<T: ProductScalar>: ProductTile {
  typealias V = T.Vector
  var l0 = V(), r0 = V(), l1 = V(), r1 = V(), l2 = V(), r2 = V(), l3 = V(), r3 = V()

  @inline(__always) init() {}

  /// The last two of the six numbers are not used.
  @inline(__always)
  mutating func add(row b: UnsafePointer<T>, _ a: (Int) -> Six<T>) {
    let x = a(0)
    let l: V = load(b), r: V = load(b + V.scalarCount)
    multiplyAdd(&l0, x.0, l)
    multiplyAdd(&r0, x.0, r)
    multiplyAdd(&l1, x.1, l)
    multiplyAdd(&r1, x.1, r)
    multiplyAdd(&l2, x.2, l)
    multiplyAdd(&r2, x.2, r)
    multiplyAdd(&l3, x.3, l)
    multiplyAdd(&r3, x.3, r)
  }

  @inline(__always)
  func put(_ out: UnsafeMutablePointer<T>, _ stride: Int, adding: Bool) {
    putRow(l0, r0, out, adding: adding)
    putRow(l1, r1, out + stride, adding: adding)
    putRow(l2, r2, out + 2 * stride, adding: adding)
    putRow(l3, r3, out + 3 * stride, adding: adding)
  }
}

/// Six rows of one vector each.
struct SixNarrowRows<T: ProductScalar> {
  typealias V = T.Vector
  var l0 = V(), l1 = V(), l2 = V(), l3 = V(), l4 = V(), l5 = V()

  @inline(__always) init() {}

  @inline(__always)
  mutating func add(_ x: Six<T>, _ l: V) {
    multiplyAdd(&l0, x.0, l)
    multiplyAdd(&l1, x.1, l)
    multiplyAdd(&l2, x.2, l)
    multiplyAdd(&l3, x.3, l)
    multiplyAdd(&l4, x.4, l)
    multiplyAdd(&l5, x.5, l)
  }

  @inline(__always)
  func forEach(_ body: (Int, V) -> Void) {
    body(0, l0)
    body(1, l1)
    body(2, l2)
    body(3, l3)
    body(4, l4)
    body(5, l5)
  }
}

/// A tile of `tileRows` rows and two vectors. `a(i)` gives the six scalars that start at row i.
struct Tile<T: ProductScalar>: ProductTile {
  typealias V = T.Vector
  var top = SixRows<T>()
  #if SN_V4
    var bottom = SixRows<T>()
  #endif

  @inline(__always) init() {}

  @inline(__always)
  mutating func add(row b: UnsafePointer<T>, _ a: (Int) -> Six<T>) { add(load(b), load(b + V.scalarCount), a) }

  @inline(__always)
  mutating func add(_ l: V, _ r: V, _ a: (Int) -> Six<T>) {
    top.add(a(0), l, r)
    #if SN_V4
      bottom.add(a(6), l, r)
    #endif
  }

  @inline(__always)
  func forEach(_ body: (Int, V, V) -> Void) {
    top.forEach(body)
    #if SN_V4
      bottom.forEach { body($0 + 6, $1, $2) }
    #endif
  }

  /// Stores the tile, or adds it to what is there.
  @inline(__always)
  func put(_ out: UnsafeMutablePointer<T>, _ stride: Int, adding: Bool) {
    let half = V.scalarCount
    if adding {
      forEach { row, l, r in
        let p = out + row * stride
        store(load(p) + l, p)
        store(load(p + half) + r, p + half)
      }
    } else {
      forEach { row, l, r in
        let p = out + row * stride
        store(l, p)
        store(r, p + half)
      }
    }
  }
}

/// A tile of `tileRows` rows and one vector, for the last few columns.
struct NarrowTile<T: ProductScalar>: ProductTile {
  typealias V = T.Vector
  var top = SixNarrowRows<T>()
  #if SN_V4
    var bottom = SixNarrowRows<T>()
  #endif

  @inline(__always) init() {}

  @inline(__always)
  mutating func add(row b: UnsafePointer<T>, _ a: (Int) -> Six<T>) { add(load(b), a) }

  @inline(__always)
  mutating func add(_ l: V, _ a: (Int) -> Six<T>) {
    top.add(a(0), l)
    #if SN_V4
      bottom.add(a(6), l)
    #endif
  }

  @inline(__always)
  func forEach(_ body: (Int, V) -> Void) {
    top.forEach(body)
    #if SN_V4
      bottom.forEach { body($0 + 6, $1) }
    #endif
  }

  @inline(__always)
  func put(_ out: UnsafeMutablePointer<T>, _ stride: Int, adding: Bool) {
    forEach { row, l in
      let p = out + row * stride
      store(adding ? load(p) + l : l, p)
    }
  }
}

/// What lies between the first row of a tile and the others, in elements.
struct RowDistances {
  let top: Six<Int>
  #if SN_V4
    let bottom: Six<Int>
  #endif

  /// `distance(i)` gives that of row i.
  @inline(__always)
  init(_ distance: (Int) -> Int) {
    top = (distance(0), distance(1), distance(2), distance(3), distance(4), distance(5))
    #if SN_V4
      bottom = (distance(6), distance(7), distance(8), distance(9), distance(10), distance(11))
    #endif
  }
}

/// Pointers to the rows of a tile.
struct RowPointers<T: ProductScalar> {
  typealias P = UnsafePointer<T>
  let top: Six<P>
  #if SN_V4
    let bottom: Six<P>
  #endif

  /// `address(i)` gives the pointer to row i.
  @inline(__always)
  init(_ address: (Int) -> P) {
    top = (address(0), address(1), address(2), address(3), address(4), address(5))
    #if SN_V4
      bottom = (address(6), address(7), address(8), address(9), address(10), address(11))
    #endif
  }

  @inline(__always)
  init(_ base: P, _ d: RowDistances) {
    top = (base + d.top.0, base + d.top.1, base + d.top.2, base + d.top.3, base + d.top.4, base + d.top.5)
    #if SN_V4
      let b = d.bottom
      bottom = (base + b.0, base + b.1, base + b.2, base + b.3, base + b.4, base + b.5)
    #endif
  }

  /// The elements at `index` of the six rows from row i on.
  @inline(__always)
  func six(_ i: Int, _ index: Int) -> Six<T> {
    #if SN_V4
      if i == 6 {
        return (
          bottom.0[index], bottom.1[index], bottom.2[index], bottom.3[index], bottom.4[index], bottom.5[index]
        )
      }
    #endif
    return (top.0[index], top.1[index], top.2[index], top.3[index], top.4[index], top.5[index])
  }
}

/// How many terms of a tile follow each other without a test.
protocol TermCount { static var count: Int { get } }
enum OneTerm: TermCount { @inline(__always) static var count: Int { 1 } }
/// As many as this instruction set wants.
enum SomeTerms: TermCount { @inline(__always) static var count: Int { termsAtOnce } }

/// The loop over the terms of a tile: `body(index, step)` adds the term `index`, which counts up from `-count`, `step`
/// terms behind where `next(terms)` has moved to; `fetching(step)` asks for what comes later. The number of terms must be
/// a multiple of those at once, and not 0.
@inline(__always)
func forEachTerm<Terms: TermCount>(
  from first: Int, to end: Int = 0, _: Terms.Type, fetching: (Int) -> Void = { _ in }, _ body: (Int, Int) -> Void,
  next: (Int) -> Void
) {
  var index = first
  repeat {
    for step in 0..<Terms.count { fetching(step) }
    for step in 0..<Terms.count { body(index + step, step) }
    next(Terms.count)
    index += Terms.count
  } while index != end
}

/// The same for any number of terms but 0.
@inline(__always)
func forEachTerm(
  _ count: Int, fetching: (Int) -> Void = { _ in }, _ body: (Int, Int) -> Void, next: (Int) -> Void
) {
  let rest = termsAtOnce > 1 ? count % termsAtOnce : 0
  if rest < count { forEachTerm(from: -count, to: -rest, SomeTerms.self, fetching: fetching, body, next: next) }
  if rest > 0 { forEachTerm(from: -rest, OneTerm.self, fetching: fetching, body, next: next) }
}

/// Room for one tile: edges are computed in full and copied in part.
struct TileBuffer<T: ProductScalar> {
  private var tile = Tile<T>()

  init() {}

  /// Calls `body` with the buffer's address.
  @inline(__always)
  static func with(_ body: (UnsafeMutablePointer<T>) -> Void) {
    var buffer = TileBuffer<T>()
    withUnsafeMutableBytes(of: &buffer) { bytes in
      if let base = bytes.baseAddress { body(base.assumingMemoryBound(to: T.self)) }
    }
  }
}
