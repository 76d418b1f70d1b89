import CIntrinsics
import KernelTypes

// The transforms of F(4×4, 3×3), along one axis and of whole tiles, a vector of channels at a time.

private typealias V = Float.Vector
typealias Vectors4 = (Float.Vector, Float.Vector, Float.Vector, Float.Vector)
typealias Vectors6 = Six<Float.Vector>

@inline(__always)
private func fma(_ factor: Float, _ a: V, _ b: V) -> V {
  var sum = b
  multiplyAdd(&sum, factor, a)
  return sum
}

/// Bᵀ d, one column.
@inline(__always)
func sourceTransform(_ d: Vectors6) -> Vectors6 {
  let even = fma(-4, d.2, d.4), odd = fma(-4, d.1, d.3)
  let difference = d.4 - d.2, slope = d.3 - d.1
  return (
    fma(4, d.0, fma(-5, d.2, d.4)), even + odd, even - odd, fma(2, slope, difference),
    fma(-2, slope, difference), fma(4, d.1, fma(-5, d.3, d.5))
  )
}

/// Bᵀ d of a tile with fewer inputs along the axis, whose filters are transformed as for six: each point's numbers are
/// multiplied by what the filters' lack.
@inline(__always)
func sourceTransform(_ d: Vectors6, _ inputs: Int) -> Vectors6 {
  switch inputs {
  case 6: return sourceTransform(d)
  case 5:
    let slope = d.3 - d.1
    return (
      fma(4, d.0 - d.2, 2 * slope), fma(-6, d.1, 3 * (d.3 - d.2)), fma(2, d.1, fma(-3, d.2, d.3)), 4 * slope, V(),
      fma(-2, slope, d.4 - d.2)
    )
  case 4: return (4 * (d.0 - d.2), -3 * (d.1 + d.2), 3 * (d.1 - d.2), V(), V(), d.3 - d.1)
  case 3: return (4 * (d.0 - d.1), -6 * d.1, V(), V(), V(), d.2 - d.1)
  default: return (4 * d.0, V(), V(), V(), V(), d.1)
  }
}

/// Aᵀ m, one column.
@inline(__always)
func outputTransform(_ m: Vectors6) -> Vectors4 {
  let s1 = m.1 + m.2, d1 = m.1 - m.2, s2 = m.3 + m.4, d2 = m.3 - m.4
  return (m.0 + s1 + s2, fma(2, d2, d1), fma(4, s2, s1), fma(8, d2, d1) + m.5)
}

/// Aᵀ m with fewer outputs, the first of which count; m is zero for points that are not needed.
@inline(__always)
func outputTransform(_ m: Vectors6, _ outputs: Int) -> Vectors4 {
  if outputs == 4 { return outputTransform(m) }
  let y = outputTransform((m.0, m.1, m.2, m.3, m.4, V()))
  switch outputs {
  case 3: return (y.0, y.1, y.2 + m.5, y.3)
  case 2: return (y.0, y.1 + m.5, y.2, y.3)
  default: return (y.0 + m.5, y.1, y.2, y.3)
  }
}

/// A y, one column: the adjoint of the output transform. Behind the last output, y is zero.
@inline(__always)
func gradientTransform(_ y: Vectors4, _ outputs: Int) -> Vectors6 {
  let even = y.0 + y.2, odd = y.1 + y.3
  let even2 = fma(4, y.2, y.0), odd2 = fma(8, y.3, y.1 * 2)
  let last = outputs == 4 ? y.3 : outputs == 3 ? y.2 : outputs == 2 ? y.1 : y.0
  return (y.0, even + odd, even - odd, even2 + odd2, even2 - odd2, last)
}

/// G g, one column.
@inline(__always)
func filterTransform(_ g0: Float.Vector, _ g1: Float.Vector, _ g2: Float.Vector) -> Vectors6 {
  let outer = (g0 + g2) * (-1 / 6), middle = g1 * (1 / 6)
  let outer2 = fma(1 / 24, g0, g2 * (1 / 6)), middle2 = g1 * (1 / 12)
  return (g0 * 0.25, outer - middle, outer + middle, outer2 + middle2, outer2 - middle2, g2)
}

/// G g of two taps, one column; the fifth point is not used.
@inline(__always)
func filterTransform(_ g0: Float.Vector, _ g1: Float.Vector) -> Vectors6 {
  let t = filterTransform(g0, g1, V())
  return (t.0, t.1, t.2, t.3, V(), g1)
}

/// Gᵀ u of two taps.
@inline(__always)
func tapsAdjoint(_ u: Vectors6) -> (Float.Vector, Float.Vector) {
  let t = filterAdjoint((u.0, u.1, u.2, u.3, V(), V()))
  return (t.0, t.1 + u.5)
}

/// Gᵀ u, one column: the adjoint of the filter transform.
@inline(__always)
func filterAdjoint(_ u: Vectors6) -> (Float.Vector, Float.Vector, Float.Vector) {
  let s1 = u.1 + u.2, d1 = u.2 - u.1, s2 = u.3 + u.4, d2 = u.3 - u.4
  return (
    fma(0.25, u.0, fma(-1 / 6, s1, s2 * (1 / 24))), fma(1 / 6, d1, d2 * (1 / 12)),
    fma(-1 / 6, s1, fma(1 / 6, s2, u.5))
  )
}

/// G g for images of two places along the axis, see `WinogradTiling.isTwoByTwo`: points 0, 1 and the last one.
@inline(__always)
func filterTransformForTwo(_ g0: Float.Vector, _ g1: Float.Vector, _ g2: Float.Vector) -> Vectors6 {
  (g2 - g1, g1, V(), V(), V(), g0 - g1)
}

/// Its adjoint.
@inline(__always)
func filterAdjointForTwo(_ u: Vectors6) -> (Float.Vector, Float.Vector, Float.Vector) { (u.5, u.1 - u.0 - u.5, u.0) }

/// Room for 36 vectors.
struct WinogradPointBuffer {
  private var a = SixRows<Float>(), b = SixRows<Float>(), c = SixRows<Float>()

  @inline(__always)
  static func with(_ body: (UnsafeMutablePointer<Float>) -> Void) {
    var buffer = WinogradPointBuffer()
    withUnsafeMutableBytes(of: &buffer) { bytes in
      if let base = bytes.baseAddress { body(base.assumingMemoryBound(to: Float.self)) }
    }
  }
}

/// Bᵀ d B of a tile whose 36 inputs are there.
@inline(never)
func winogradWholeSource<S: ImageNumber>(
  _ source: UnsafePointer<S>, _ rowStep: Int, _ columnStep: Int, _ channels: Int, _ out: UnsafeMutablePointer<Float>,
  _ pointStride: Int, _ middle: UnsafeMutablePointer<Float>
) where S.Wide == Float {
  let lanes = V.scalarCount
  let line = 64 / MemoryLayout<Float>.stride
  var channel = 0
  while channel < channels {
    let from = source + channel
    let beginsLine = channel & (line - 1) == 0
    for j in 0..<6 {
      let column = from + j * columnStep
      // The next tile shares two columns with this one; the others are fetched.
      if beginsLine && j >= 2 {
        let ahead = column + 4 * columnStep
        for i in 0..<6 { sn_prefetch(ahead + i * rowStep) }
      }
      @inline(__always) func d(_ i: Int) -> V { S.load(column + i * rowStep) }
      let t = sourceTransform((d(0), d(1), d(2), d(3), d(4), d(5)))
      putPoints(t, 6, middle + j * lanes, 6 * lanes)
    }
    for i in 0..<6 {
      let m = middle + i * 6 * lanes
      let t = sourceTransform(
        (load(m), load(m + lanes), load(m + 2 * lanes), load(m + 3 * lanes), load(m + 4 * lanes), load(m + 5 * lanes)))
      putPoints(t, 6, out + (i * 6 * pointStride + channel), pointStride)
    }
    channel += lanes
  }
}

/// Bᵀ d B of one tile from the addresses of up to 6×6 inputs; what the next tile needs lies `ahead`.
@inline(never)
func winogradSourceTile<S: ImageNumber>(
  _ from: UnsafePointer<UnsafePointer<S>>, _ inputs: (down: Int, across: Int), _ channels: Int, _ ahead: Int,
  _ out: UnsafeMutablePointer<Float>, _ pointStride: Int, _ middle: UnsafeMutablePointer<Float>
) where S.Wide == Float {
  let lanes = V.scalarCount
  let line = 64 / MemoryLayout<S>.stride
  var channel = 0
  while channel < channels {
    let beginsLine = channel & (line - 1) == 0
    @inline(__always)
    func down(_ count: Int) {
      for j in 0..<inputs.across {
        let column = from + j
        // The next tile shares two columns with this one; the others are fetched.
        if beginsLine && j >= 2 {
          for i in 0..<count { sn_prefetch(column[6 * i] + (channel + ahead)) }
        }
        @inline(__always) func d(_ i: Int) -> V { i < count ? S.load(column[6 * i] + channel) : V() }
        putPoints(
          sourceTransform((d(0), d(1), d(2), d(3), d(4), d(5)), count), count, middle + j * lanes, 6 * lanes)
      }
    }
    @inline(__always)
    func across(_ count: Int) {
      for i in 0..<6 where i == 5 || i < inputs.down - 1 {
        let m = middle + i * 6 * lanes
        @inline(__always) func d(_ j: Int) -> V { j < count ? load(m + j * lanes) : V() }
        putPoints(
          sourceTransform((d(0), d(1), d(2), d(3), d(4), d(5)), count), count,
          out + (i * 6 * pointStride + channel), pointStride)
      }
    }
    switch inputs.down {
    case 6: down(6)
    case 5: down(5)
    case 4: down(4)
    case 3: down(3)
    default: down(2)
    }
    switch inputs.across {
    case 6: across(6)
    case 5: across(5)
    case 4: across(4)
    case 3: across(3)
    default: across(2)
    }
    channel += lanes
  }
}

/// The same for 2×2 inputs, see `WinogradTiling.isTwoByTwo`.
@inline(never)
func winogradSourceOfTwo<S: ImageNumber>(
  _ from: (UnsafePointer<S>, UnsafePointer<S>, UnsafePointer<S>, UnsafePointer<S>), _ channels: Int,
  _ out: UnsafeMutablePointer<Float>, _ pointStride: Int
) where S.Wide == Float {
  for channel in stride(from: 0, to: channels, by: V.scalarCount) {
    let a = S.load(from.0 + channel), b = S.load(from.1 + channel)
    let c = S.load(from.2 + channel), d = S.load(from.3 + channel)
    let to = out + channel
    @inline(__always)
    func row(_ point: Int, _ left: V, _ right: V) {
      putPoints((right, left + right, V(), V(), V(), left), 3, to + point * 6 * pointStride, pointStride)
    }
    row(0, c, d)
    row(1, a + c, b + d)
    row(5, a, b)
  }
}

/// Stores those of six points along an axis that so many points need: the first ones and the last.
@inline(__always)
func putPoints(_ t: Vectors6, _ points: Int, _ out: UnsafeMutablePointer<Float>, _ stride: Int) {
  store(t.0, out)
  if points > 2 { store(t.1, out + stride) }
  if points > 3 { store(t.2, out + 2 * stride) }
  if points > 4 { store(t.3, out + 3 * stride) }
  if points > 5 { store(t.4, out + 4 * stride) }
  store(t.5, out + 5 * stride)
}

/// Aᵀ m A of one vector of columns of a tile with fewer outputs, those which `count` to [row][column][tile columns].
@inline(never)
func winogradOutputTile(
  _ products: UnsafePointer<Float>, _ pointStride: Int, _ outputs: (down: Int, across: Int),
  _ count: (down: Int, across: Int), _ out: UnsafeMutablePointer<Float>, _ middle: UnsafeMutablePointer<Float>
) {
  let lanes = V.scalarCount
  let columns = Float.tileColumns
  @inline(__always)
  func down(_ rows: Int) {
    for j in 0..<6 where j == 5 || j <= outputs.across {
      let m = products + j * pointStride
      @inline(__always) func p(_ i: Int) -> V { i == 5 || i <= rows ? load(m + 6 * i * pointStride) : V() }
      let t = outputTransform((p(0), p(1), p(2), p(3), p(4), p(5)), rows)
      store(t.0, middle + j * lanes)
      if rows > 1 { store(t.1, middle + (6 + j) * lanes) }
      if rows > 2 { store(t.2, middle + (12 + j) * lanes) }
      if rows > 3 { store(t.3, middle + (18 + j) * lanes) }
    }
  }
  @inline(__always)
  func across(_ outputs: Int) {
    for i in 0..<count.down {
      let m = middle + i * 6 * lanes
      @inline(__always) func p(_ j: Int) -> V { j == 5 || j <= outputs ? load(m + j * lanes) : V() }
      let t = outputTransform((p(0), p(1), p(2), p(3), p(4), p(5)), outputs)
      let o = out + i * count.across * columns
      store(t.0, o)
      if outputs > 1 && count.across > 1 { store(t.1, o + columns) }
      if outputs > 2 && count.across > 2 { store(t.2, o + 2 * columns) }
      if outputs > 3 && count.across > 3 { store(t.3, o + 3 * columns) }
    }
  }
  switch outputs.down {
  case 4: down(4)
  case 3: down(3)
  case 2: down(2)
  default: down(1)
  }
  switch outputs.across {
  case 4: across(4)
  case 3: across(3)
  case 2: across(2)
  default: across(1)
  }
}

/// The same for kernels of 2×2 taps, which have a point less, or two where the last tap along an axis is zero.
@inline(never)
func winogradTapsOutputTile(
  _ products: UnsafePointer<Float>, _ pointStride: Int, _ outputs: (down: Int, across: Int),
  _ count: (down: Int, across: Int), _ hasLast: (down: Bool, across: Bool), _ out: UnsafeMutablePointer<Float>,
  _ middle: UnsafeMutablePointer<Float>
) {
  let lanes = V.scalarCount
  let columns = Float.tileColumns
  for j in 0..<6 {
    let isThere = j == 5 ? hasLast.across : j < outputs.across
    let m = products + j * pointStride
    @inline(__always)
    func p(_ i: Int) -> V {
      isThere && (i == 5 ? hasLast.down : i < outputs.down) ? load(m + 6 * i * pointStride) : V()
    }
    let t = outputTransform((p(0), p(1), p(2), p(3), p(4), p(5)), outputs.down)
    store(t.0, middle + j * lanes)
    store(t.1, middle + (6 + j) * lanes)
    store(t.2, middle + (12 + j) * lanes)
    store(t.3, middle + (18 + j) * lanes)
  }
  for i in 0..<count.down {
    let m = middle + i * 6 * lanes
    let t = outputTransform(
      (load(m), load(m + lanes), load(m + 2 * lanes), load(m + 3 * lanes), load(m + 4 * lanes), load(m + 5 * lanes)),
      outputs.across)
    let o = out + i * count.across * columns
    store(t.0, o)
    if count.across > 1 { store(t.1, o + columns) }
    if count.across > 2 { store(t.2, o + 2 * columns) }
    if count.across > 3 { store(t.3, o + 3 * columns) }
  }
}

/// The same for 2×2 outputs, see `WinogradTiling.isTwoByTwo`; those which count to [row][column][tile columns].
@inline(never)
func winogradOutputOfTwo(
  _ products: UnsafePointer<Float>, _ pointStride: Int, _ count: (down: Int, across: Int),
  _ out: UnsafeMutablePointer<Float>
) {
  let columns = Float.tileColumns
  @inline(__always)
  func down(_ point: Int) -> (V, V) {
    let m = products + point * pointStride
    let shared: V = load(m + 6 * pointStride)
    return (shared + load(m), shared + load(m + 30 * pointStride))
  }
  let first = down(0), shared = down(1), last = down(5)
  store(shared.0 + first.0, out)
  if count.across > 1 { store(shared.0 + last.0, out + columns) }
  if count.down > 1 {
    let row = out + count.across * columns
    store(shared.1 + first.1, row)
    if count.across > 1 { store(shared.1 + last.1, row + columns) }
  }
}

/// Aᵀ m A of a tile with all of its 16 outputs, from `place` on, straight into the image. `width` is a multiple of the
/// vector.
@inline(never)
func winogradWholeOutput<S: ImageNumber>(
  _ products: UnsafePointer<Float>, _ pointStride: Int, _ finish: ConvFinish<S>, _ width: Int, _ place: Int,
  _ rowStep: Int, _ columnStep: Int, _ middle: UnsafeMutablePointer<Float>
) where S.Wide == Float {
  let lanes = V.scalarCount
  finish.fetch(square: place, rowStep, columnStep, width)
  var half = 0
  while half < width {
    let factors = finish.factors(half)
    for j in 0..<6 {
      let m = products + (j * pointStride + half)
      @inline(__always) func p(_ i: Int) -> V { load(m + 6 * i * pointStride) }
      let t = outputTransform((p(0), p(1), p(2), p(3), p(4), p(5)))
      store(t.0, middle + j * lanes)
      store(t.1, middle + (6 + j) * lanes)
      store(t.2, middle + (12 + j) * lanes)
      store(t.3, middle + (18 + j) * lanes)
    }
    for i in 0..<4 {
      let s = middle + i * 6 * lanes
      let t = outputTransform(
        (load(s), load(s + lanes), load(s + 2 * lanes), load(s + 3 * lanes), load(s + 4 * lanes), load(s + 5 * lanes)))
      let to = place + (i * rowStep + half)
      finish.put(t.0, factors, to)
      finish.put(t.1, factors, to + columnStep)
      finish.put(t.2, factors, to + 2 * columnStep)
      finish.put(t.3, factors, to + 3 * columnStep)
    }
    half += lanes
  }
}

/// The second half of A dY Aᵀ: along the rows.
@inline(__always)
func winogradGradientAcross(
  _ middle: UnsafeMutablePointer<Float>, _ outputs: Int, _ out: UnsafeMutablePointer<Float>, _ pointStride: Int
) {
  let lanes = V.scalarCount
  for i in 0..<6 {
    let m = middle + i * 4 * lanes
    let t = gradientTransform((load(m), load(m + lanes), load(m + 2 * lanes), load(m + 3 * lanes)), outputs)
    putPoints(t, 6, out + i * 6 * pointStride, pointStride)
  }
}

/// A dY Aᵀ of a tile whose 16 outputs are there. `channels` is a multiple of the vector; what is missing of a tile's
/// columns is not used.
@inline(never)
func winogradWholeGradient<S: ImageNumber>(
  _ source: UnsafePointer<S>, _ rowStep: Int, _ columnStep: Int, _ channels: Int, _ out: UnsafeMutablePointer<Float>,
  _ pointStride: Int, _ middle: UnsafeMutablePointer<Float>
) where S.Wide == Float {
  let lanes = V.scalarCount
  var channel = 0
  while channel < channels {
    for j in 0..<4 {
      let column = source + (j * columnStep + channel)
      @inline(__always) func d(_ i: Int) -> V { S.load(column + i * rowStep) }
      putPoints(gradientTransform((d(0), d(1), d(2), d(3)), 4), 6, middle + j * lanes, 4 * lanes)
    }
    winogradGradientAcross(middle, 4, out + channel, pointStride)
    channel += lanes
  }
}
