import CIntrinsics
import KernelTypes

/// One reduction: what a value does to an accumulator, and how two accumulators join. Float32 values fold in
/// float32 vectors within a block, blocks join in Double; `isWide` reductions are in Double throughout.
protocol Reduction {
  static var op: ReduceOp { get }
  static var isWide: Bool { get }
  static func fold<V: FloatVector>(_ accumulator: V, _ x: V, _ p: V) -> V
  static func join<V: FloatVector>(_ a: V, _ b: V) -> V
}
extension Reduction {
  @inline(__always) static var isWide: Bool { false }
  @inline(__always) static func join<V: FloatVector>(_ a: V, _ b: V) -> V { a + b }
}

enum SumReduction: Reduction {
  static let op = ReduceOp.sum
  @inline(__always) static func fold<V: FloatVector>(_ a: V, _ x: V, _ p: V) -> V { a + x }
}
enum ProductReduction: Reduction {
  static let op = ReduceOp.prod
  @inline(__always) static var isWide: Bool { true }
  @inline(__always) static func fold<V: FloatVector>(_ a: V, _ x: V, _ p: V) -> V { a * x }
  @inline(__always) static func join<V: FloatVector>(_ a: V, _ b: V) -> V { a * b }
}
enum MinReduction: Reduction {
  static let op = ReduceOp.min
  @inline(__always) static func fold<V: FloatVector>(_ a: V, _ x: V, _ p: V) -> V { minimum(a, x) }
  @inline(__always) static func join<V: FloatVector>(_ a: V, _ b: V) -> V { minimum(a, b) }
}
enum MaxReduction: Reduction {
  static let op = ReduceOp.max
  @inline(__always) static func fold<V: FloatVector>(_ a: V, _ x: V, _ p: V) -> V { maximum(a, x) }
  @inline(__always) static func join<V: FloatVector>(_ a: V, _ b: V) -> V { maximum(a, b) }
}
enum SquaresReduction: Reduction {
  static let op = ReduceOp.sumSquares
  @inline(__always) static var isWide: Bool { true }
  @inline(__always) static func fold<V: FloatVector>(_ a: V, _ x: V, _ p: V) -> V { a.adding(x, times: x) }
}
enum MagnitudesReduction: Reduction {
  static let op = ReduceOp.sumAbs
  @inline(__always) static func fold<V: FloatVector>(_ a: V, _ x: V, _ p: V) -> V { a + x.absolute }
}
enum DeviationsReduction: Reduction {
  static let op = ReduceOp.sumSquaredDeviations
  @inline(__always) static var isWide: Bool { true }
  @inline(__always) static func fold<V: FloatVector>(_ a: V, _ x: V, _ p: V) -> V {
    let d = x - p
    return a.adding(d, times: d)
  }
}
enum SumExpReduction: Reduction {
  static let op = ReduceOp.sumExp
  @inline(__always) static func fold<V: FloatVector>(_ a: V, _ x: V, _ p: V) -> V {
    a + (x - p).exponential
  }
}
enum AnyReduction: Reduction {
  static let op = ReduceOp.any
  @inline(__always) static func fold<V: FloatVector>(_ a: V, _ x: V, _ p: V) -> V {
    V.select(x .!= V.zero, V.one, a)
  }
  @inline(__always) static func join<V: FloatVector>(_ a: V, _ b: V) -> V { maximum(a, b) }
}
enum AllReduction: Reduction {
  static let op = ReduceOp.all
  @inline(__always) static func fold<V: FloatVector>(_ a: V, _ x: V, _ p: V) -> V {
    V.select(x .== V.zero, V.zero, a)
  }
  @inline(__always) static func join<V: FloatVector>(_ a: V, _ b: V) -> V { minimum(a, b) }
}
enum CountReduction: Reduction {
  static let op = ReduceOp.countNonzero
  @inline(__always) static func fold<V: FloatVector>(_ a: V, _ x: V, _ p: V) -> V {
    a + V.flag(x .!= V.zero)
  }
}

/// Values that fold within one block before the accumulator takes the block's result.
let reductionBlock = 1024

/// Bytes that a reduction fetches ahead of itself, over the pages where the processor ends its own fetching.
private let fetchedAhead = 16 << 10

/// Joins the lanes pairwise, in a fixed order.
@inline(__always)
private func joinLanes<R: Reduction>(_ type: R.Type, _ v: Doubles) -> Double {
  var lanes = v
  var width = 4
  while width > 0 {
    for i in 0..<width {
      lanes[i] = R.join(Doubles(repeating: lanes[i]), Doubles(repeating: lanes[i + width]))[0]
    }
    width /= 2
  }
  return lanes[0]
}

@inline(__always)
private func widen(_ v: Floats) -> (Doubles, Doubles) {
  (sn_low_d8(v), sn_high_d8(v))
}

/// Folds a block with four accumulators, so that additions overlap.
@inline(__always)
private func foldBlock<R: Reduction, V: FloatVector>(
  _ type: R.Type, _ values: UnsafeRawPointer, _ n: Int, _ p: V, _ start: V, _ load: (Int) -> V,
  _ loadRest: (Int, Int) -> V
) -> V {
  let w = V.scalarCount
  var a = start, b = start, c = start, d = start
  var i = 0
  while i + 4 * w <= n {
    a = R.fold(a, load(i), p)
    b = R.fold(b, load(i + w), p)
    c = R.fold(c, load(i + 2 * w), p)
    d = R.fold(d, load(i + 3 * w), p)
    i += 4 * w
  }
  while i + w <= n {
    a = R.fold(a, load(i), p)
    i += w
  }
  if i < n {
    // Lanes behind the end keep the accumulator they had.
    let folded = R.fold(b, loadRest(i, n - i), p)
    for lane in 0..<(n - i) { b[lane] = folded[lane] }
  }
  return R.join(R.join(a, b), R.join(c, d))
}

@inline(__always)
private func reduceRow<R: Reduction>(_ type: R.Type, _ lane: Float.Type) -> ReduceRowKernel {
  ReduceRowKernel { values, n, accumulator, p in
    let x = values.assumingMemoryBound(to: Float.self)
    let out = accumulator.assumingMemoryBound(to: Double.self)
    var total = Doubles(repeating: R.op.identity)
    var start = 0
    while start < n {
      let count = Swift.min(reductionBlock, n - start)
      let block = UnsafeRawPointer(x + start)
      if R.isWide {
        let part = foldBlock(
          R.self, block, count, Doubles(repeating: p), Doubles(repeating: R.op.identity),
          { sn_d8_from_f8(block.loadUnaligned(fromByteOffset: $0 * 4, as: SIMD8<Float>.self)) },
          { sn_d8_from_f8(loadTail(block + $0 * 4, $1, SIMD8<Float>.self)) })
        total = R.join(total, part)
      } else {
        let part = foldBlock(
          R.self, block, count, Floats(p), Floats(R.op.identity),
          {
            sn_prefetch(block + ($0 * 4 + fetchedAhead))
            return block.loadUnaligned(fromByteOffset: $0 * 4, as: Floats.self)
          },
          { loadTail(block + $0 * 4, $1, Floats.self) })
        let (low, high) = widen(part)
        total = R.join(total, R.join(low, high))
      }
      start += count
    }
    out[0] = R.join(Doubles(repeating: out[0]), Doubles(repeating: joinLanes(R.self, total)))[0]
  }
}

@inline(__always)
private func reduceRow<R: Reduction>(_ type: R.Type, _ lane: Double.Type) -> ReduceRowKernel {
  ReduceRowKernel { values, n, accumulator, p in
    let x = values.assumingMemoryBound(to: Double.self)
    let out = accumulator.assumingMemoryBound(to: Double.self)
    var total = Doubles(repeating: R.op.identity)
    var start = 0
    while start < n {
      let count = Swift.min(reductionBlock, n - start)
      let block = UnsafeRawPointer(x + start)
      let part = foldBlock(
        R.self, block, count, Doubles(repeating: p), Doubles(repeating: R.op.identity),
        { block.loadUnaligned(fromByteOffset: $0 * 8, as: Doubles.self) },
        { loadTail(block + $0 * 8, $1, Doubles.self) })
      total = R.join(total, part)
      start += count
    }
    out[0] = R.join(Doubles(repeating: out[0]), Doubles(repeating: joinLanes(R.self, total)))[0]
  }
}

/// Accumulator j takes column j, four rows in one pass, so that accumulators are read and written once for four.
@inline(__always)
private func foldColumns<R: Reduction, V: FloatVector>(
  _ type: R.Type, _ rows: Int, _ n: Int, _ accumulators: UnsafeMutablePointer<V.Scalar>, _ p: (Int, Int) -> V,
  _ load: (Int, Int, Int) -> V
) {
  var row = 0
  while row < rows {
    let isFour = row + 4 <= rows
    var i = 0
    while i < n {
      let count = Swift.min(V.scalarCount, n - i)
      let q = p(i, count)
      var a = R.fold(loadLanes(accumulators + i, count, V.self), load(row, i, count), q)
      if isFour {
        a = R.fold(a, load(row + 1, i, count), q)
        a = R.fold(a, load(row + 2, i, count), q)
        a = R.fold(a, load(row + 3, i, count), q)
      }
      storeLanes(a, accumulators + i, count)
      i += V.scalarCount
    }
    row += isFour ? 4 : 1
  }
}

/// Rows of floats that fold in float32 before the accumulators take them.
private let rowsPerBlock = 64

/// Floats fold in float32 vectors over a block of rows; wide reductions in Double from the start.
@inline(__always)
private func reduceColumns<R: Reduction>(_ type: R.Type, _ lane: Float.Type) -> ReduceColumnsKernel {
  ReduceColumnsKernel { values, rows, stride, n, accumulators, p in
    let out = accumulators.assumingMemoryBound(to: Double.self)
    if R.isWide {
      foldColumns(R.self, rows, n, out, { at, lanes in exact(p, at, lanes) }) {
        let x = (values + ($0 * stride)).assumingMemoryBound(to: Float.self) + $1
        return sn_d8_from_f8(loadLanes(x, $2, SIMD8<Float>.self))
      }
      return
    }
    withUnsafeTemporaryAllocation(byteCount: 4 * max(n, 1), alignment: 64) { scratch in
      guard let sums = scratch.baseAddress?.assumingMemoryBound(to: Float.self) else { return }
      var row = 0
      while row < rows {
        let count = Swift.min(rowsPerBlock, rows - row)
        let first = values + row * stride
        for i in 0..<n { sums[i] = Float(R.op.identity) }
        foldColumns(R.self, count, n, sums, { at, lanes in narrowed(p, at, lanes) }) {
          loadLanes((first + ($0 * stride)).assumingMemoryBound(to: Float.self) + $1, $2, Floats.self)
        }
        for i in 0..<n { out[i] = R.join(Doubles(repeating: out[i]), Doubles(repeating: Double(sums[i])))[0] }
        row += count
      }
    }
  }
}

@inline(__always)
private func exact(_ p: UnsafePointer<Double>?, _ at: Int, _ count: Int) -> Doubles {
  if let p { return loadLanes(p + at, count, Doubles.self) }
  return Doubles(0)
}

@inline(__always)
private func narrowed(_ p: UnsafePointer<Double>?, _ at: Int, _ count: Int) -> Floats {
  var result = Floats(0)
  if let p { for i in 0..<count { result[i] = Float(p[at + i]) } }
  return result
}

@inline(__always)
private func reduceColumns<R: Reduction>(_ type: R.Type, _ lane: Double.Type) -> ReduceColumnsKernel {
  ReduceColumnsKernel { values, rows, stride, n, accumulators, p in
    let out = accumulators.assumingMemoryBound(to: Double.self)
    foldColumns(R.self, rows, n, out, { at, lanes in exact(p, at, lanes) }) {
      loadLanes((values + ($0 * stride)).assumingMemoryBound(to: Double.self) + $1, $2, Doubles.self)
    }
  }
}

extension ReduceKernels {
  @inline(__always)
  fileprivate mutating func reduction<R: Reduction>(_ type: R.Type) {
    self[row: R.op, .f32] = reduceRow(R.self, Float.self)
    self[row: R.op, .f64] = reduceRow(R.self, Double.self)
    self[columns: R.op, .f32] = reduceColumns(R.self, Float.self)
    self[columns: R.op, .f64] = reduceColumns(R.self, Double.self)
  }

  @inline(__always)
  fileprivate mutating func integers(_ op: ReduceOp, _ fold: @escaping (Int64, Int64) -> Int64) {
    self[row: op, .i64] = ReduceRowKernel { values, n, out, _ in
      let x = values.assumingMemoryBound(to: Int64.self), o = out.assumingMemoryBound(to: Int64.self)
      var total = o[0]
      for i in 0..<n { total = fold(total, x[i]) }
      o[0] = total
    }
    self[columns: op, .i64] = ReduceColumnsKernel { values, rows, stride, n, out, _ in
      let o = out.assumingMemoryBound(to: Int64.self)
      for row in 0..<rows {
        let x = (values + row * stride).assumingMemoryBound(to: Int64.self)
        for i in 0..<n { o[i] = fold(o[i], x[i]) }
      }
    }
  }
}

@inline(__always) private func integerSum(_ a: Int64, _ x: Int64) -> Int64 { a &+ x }
@inline(__always) private func integerProduct(_ a: Int64, _ x: Int64) -> Int64 { a &* x }
@inline(__always) private func integerMin(_ a: Int64, _ x: Int64) -> Int64 { x < a ? x : a }
@inline(__always) private func integerMax(_ a: Int64, _ x: Int64) -> Int64 { x > a ? x : a }
@inline(__always) private func integerSquares(_ a: Int64, _ x: Int64) -> Int64 { a &+ x &* x }
@inline(__always) private func integerMagnitudes(_ a: Int64, _ x: Int64) -> Int64 {
  a &+ (x < 0 ? 0 &- x : x)
}
@inline(__always) private func integerAny(_ a: Int64, _ x: Int64) -> Int64 { x != 0 ? 1 : a }
@inline(__always) private func integerAll(_ a: Int64, _ x: Int64) -> Int64 { x == 0 ? 0 : a }
@inline(__always) private func integerCount(_ a: Int64, _ x: Int64) -> Int64 { x != 0 ? a &+ 1 : a }

func registerReductions(_ table: inout ReduceKernels) {
  table.reduction(SumReduction.self)
  table.reduction(ProductReduction.self)
  table.reduction(MinReduction.self)
  table.reduction(MaxReduction.self)
  table.reduction(SquaresReduction.self)
  table.reduction(MagnitudesReduction.self)
  table.reduction(DeviationsReduction.self)
  table.reduction(SumExpReduction.self)
  table.reduction(AnyReduction.self)
  table.reduction(AllReduction.self)
  table.reduction(CountReduction.self)

  table.integers(.sum, integerSum)
  table.integers(.prod, integerProduct)
  table.integers(.min, integerMin)
  table.integers(.max, integerMax)
  table.integers(.sumSquares, integerSquares)
  table.integers(.sumAbs, integerMagnitudes)
  table.integers(.any, integerAny)
  table.integers(.all, integerAll)
  table.integers(.countNonzero, integerCount)
}
