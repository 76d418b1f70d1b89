import CIntrinsics

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

// Elementary functions on vectors. Functions of float32 are computed in doubles to some nine digits and rounded
// once, so they come out within 0.51 ulp, and formulas that cancel or overflow in float32 need no special care.
// The activations that training runs over and over are computed in float32 throughout (`FloatPrecision`).
// Functions of float64 keep full precision.

/// The elementary functions at the precision that results of one lane need.
protocol MathPrecision {
  /// What they are computed in.
  associatedtype V: FloatVector
  static func exp(_ x: V) -> V
  static func expm1(_ x: V) -> V
  static func log(_ x: V) -> V
  static func erf(_ x: V) -> V
  static func erfc(_ x: V) -> V
  /// log(1 + x) for 0 <= x <= 1.
  static func log1pUpTo1(_ x: V) -> V
}

extension MathPrecision {
  /// log(1 + x) with the rounding error of 1 + x put back.
  @inline(__always) static func log1p(_ x: V) -> V {
    let u = V(1) + x
    let correction = (x - (u - V(1))) / u
    let sum = log(u) + correction
    return V.select(
      u.absolute .< V(.infinity), V.select(u .== V(0), log(u), sum), log(u))
  }

  /// tanh |x| = e / (e + 2) with e = exp(2 |x|) - 1, and 1 from 22 on.
  @inline(__always) static func tanh(_ x: V) -> V {
    let a = x.absolute
    let e = expm1(V.select(a .> V(22), V(44), a + a))
    return V.joinBits((e / (e + V(2))).absolute, x.signBits)
  }

  @inline(__always) static func log1pUpTo1(_ x: V) -> V { log1p(x) }

  @inline(__always) static func sigmoid(_ x: V) -> V {
    V(1) / (V(1) + exp(x.negated))
  }
}

/// c + x rest, the step of Horner's scheme.
@inline(__always)
private func horner(_ x: Doubles, _ c: Double, _ rest: Doubles) -> Doubles {
  Doubles(c).adding(rest, times: x)
}

// c0 + c1 x + c2 x² + … by number of coefficients; a list of them would become a loop.

@inline(__always)
func polynomial(_ x: Doubles, _ c0: Double, _ c1: Double, _ c2: Double, _ c3: Double) -> Doubles {
  horner(x, c0, horner(x, c1, horner(x, c2, Doubles(c3))))
}

@inline(__always)
func polynomial(
  _ x: Doubles, _ c0: Double, _ c1: Double, _ c2: Double, _ c3: Double, _ c4: Double, _ c5: Double
) -> Doubles {
  horner(x, c0, horner(x, c1, polynomial(x, c2, c3, c4, c5)))
}

@inline(__always)
func polynomial(
  _ x: Doubles, _ c0: Double, _ c1: Double, _ c2: Double, _ c3: Double, _ c4: Double, _ c5: Double,
  _ c6: Double
) -> Doubles {
  horner(x, c0, polynomial(x, c1, c2, c3, c4, c5, c6))
}

@inline(__always)
func polynomial(
  _ x: Doubles, _ c0: Double, _ c1: Double, _ c2: Double, _ c3: Double, _ c4: Double, _ c5: Double,
  _ c6: Double, _ c7: Double
) -> Doubles {
  horner(x, c0, polynomial(x, c1, c2, c3, c4, c5, c6, c7))
}

/// x = k ln 2 + r with |r| <= ln 2 / 2: r, and k as a number and as an integer.
@inline(__always)
private func reduceByLog2(_ x: Doubles) -> (r: Doubles, k: Doubles, n: Longs) {
  // Adding 1.5 * 2^52 leaves the nearest integer in the low bits of the mantissa.
  let magic = Doubles(0x1.8p52)
  let shifted = magic.adding(x, times: Doubles(1.4426950408889634))
  let k = shifted - magic
  let high = x.adding(k, times: Doubles(-6.93147180369123816490e-01))
  let r = high.adding(k, times: Doubles(-1.90821492927058770002e-10))
  let n = unsafeBitCast(shifted, to: Longs.self) &- unsafeBitCast(magic, to: Longs.self)
  return (r, k, n)
}

/// 2^n for n in the normal range.
@inline(__always)
private func powerOfTwo(_ n: Longs) -> Doubles {
  unsafeBitCast((n &+ Longs(repeating: 1023)) &<< Longs(repeating: 52), to: Doubles.self)
}

/// log x for positive finite x: x = 2^k m with m in [√½, √2), and the series of atanh in s = (m - 1) / (m + 1)
/// with fdlibm's coefficients (Sun Microsystems, e_log.c).
@inline(__always)
private func positiveLog(_ x: Doubles, _ offset: Doubles) -> Doubles {
  let bits = unsafeBitCast(x, to: Longs.self)
  let k = (bits &- Longs(repeating: 0x3fe6_a09e_667f_3bcd)) &>> Longs(repeating: 52)
  let m = unsafeBitCast(bits &- (k &<< Longs(repeating: 52)), to: Doubles.self)
  let magic = Doubles(0x1.8p52)
  let whole = unsafeBitCast(k &+ unsafeBitCast(magic, to: Longs.self), to: Doubles.self) - magic + offset
  let f = m - Doubles(1)
  let s = f / (Doubles(2) + f)
  let z = s * s
  let w = z * z
  var even = Doubles(2.222219843214978396e-01).adding(Doubles(1.531383769920937332e-01), times: w)
  even = Doubles(3.999999999940941908e-01).adding(even, times: w) * w
  var odd = Doubles(1.818357216161805012e-01).adding(Doubles(1.479819860511658591e-01), times: w)
  odd = Doubles(2.857142874366239149e-01).adding(odd, times: w)
  odd = Doubles(6.666666666666735130e-01).adding(odd, times: w) * z
  let half = Doubles(0.5) * f * f
  let tail = (whole * Doubles(1.90821492927058770002e-10)).adding(s, times: half + even + odd)
  return whole * Doubles(6.93147180369123816490e-01) - ((half - tail) - f)
}

/// The logarithm of what is not positive and finite.
@inline(__always)
private func completeLog(_ result: Doubles, _ x: Doubles) -> Doubles {
  let infinity = Doubles(.infinity)
  let regular = Doubles.select(x .> Doubles(0), result, Doubles(.nan))
  let withZero = Doubles.select(x .== Doubles(0), infinity.negated, regular)
  return Doubles.select(x .== infinity, infinity, withZero)
}

enum SinglePrecision: MathPrecision {
  /// 0 and infinity beyond ±150, where float32 has them.
  @inline(__always) static func exp(_ x: Doubles) -> Doubles {
    let (r, _, n) = reduceByLog2(bounded(x))
    let y = series(r, r * r) * r + Doubles(1)
    let high = Doubles.select(x .> Doubles(150), Doubles(.infinity), y * powerOfTwo(n))
    return Doubles.select(x .< Doubles(-150), Doubles(0), high)
  }

  @inline(__always) static func expm1(_ x: Doubles) -> Doubles {
    let (r, _, n) = reduceByLog2(bounded(x))
    let scale = powerOfTwo(n)
    return (scale - Doubles(1)).adding(series(r, r * r) * r, times: scale)
  }

  @inline(__always) private static func bounded(_ x: Doubles) -> Doubles {
    let low = Doubles.select(x .< Doubles(-200), Doubles(-200), x)
    return Doubles.select(low .> Doubles(200), Doubles(200), low)
  }

  /// (e^r - 1) / r to 1e-10, its terms taken in two chains.
  @inline(__always) private static func series(_ r: Doubles, _ z: Doubles) -> Doubles {
    let even = polynomial(z, 1, 1.0 / 6, 1.0 / 120, 1.0 / 5040)
    let odd = polynomial(z, 1.0 / 2, 1.0 / 24, 1.0 / 720, 1.0 / 40320)
    return even.adding(odd, times: r)
  }

  /// Subnormal floats are normal doubles, so there are none to care for.
  @inline(__always) static func log(_ x: Doubles) -> Doubles {
    completeLog(positiveLog(x, Doubles(0)), x)
  }

  /// exp(-x²) times the scaled function erfcx, whose product with 1 + 2x is a polynomial in
  /// t = (x - 3.75) / (x + 3.75) (the form of Shepherd and Laframboise, 1981; Chebyshev fit to 7e-10).
  @inline(__always) static func erfc(_ x: Doubles) -> Doubles {
    let a = Doubles.select(x.absolute .> Doubles(30), Doubles(30), x.absolute)
    let t = (a - Doubles(3.75)) / (a + Doubles(3.75))
    let z = t * t
    let even = polynomial(
      z, 1.2375126300326995, 0.0035854953140588564, -0.10880522754943434, -0.05868544049394865,
      -0.009770087182695968, 0.0003301674556272616, 2.204671913546009e-05)
    let odd = polynomial(
      z, -0.140240599535909, 0.08227677399010722, 0.09230393753819763, 0.028364105117654442,
      0.0017511576287475804, -0.0002843130753444003, 1.8521947258420833e-05)
    let tail = exp((a * a).negated) * even.adding(odd, times: t) / (Doubles(1) + a + a)
    return Doubles.select(x .< Doubles(0), Doubles(2) - tail, tail)
  }

  /// Below 1 an odd polynomial (Chebyshev fit to 4e-11), above from erfc.
  @inline(__always) static func erf(_ x: Doubles) -> Doubles {
    let a = x.absolute
    let near =
      a
      * polynomial(
        x * x, 1.1283791670623609, -0.37612638475990495, 0.1128378262205078, -0.026865438309826392,
        0.005221053410480893, -0.0008484396519008899, 0.00011268253654748154, -9.673590102465824e-06)
    let result = Doubles.select(a .< Doubles(1), near, Doubles(1) - erfc(a))
    return Doubles.joinBits(result.absolute, x.signBits)
  }

  /// sin and cos for |x| < 1e6: x = k π/2 + r with π/2 in two parts, of which the first has 33 bits, so that its
  /// product with k is exact; then Taylor's polynomials on |r| <= π/4.
  @inline(__always) static func sinCos(_ x: Doubles) -> (sin: Doubles, cos: Doubles, quadrant: Longs) {
    let magic = Doubles(0x1.8p52)
    let shifted = magic.adding(x, times: Doubles(0.63661977236758134))
    let k = shifted - magic
    let high = x.adding(k, times: Doubles(-1.57079632673412561417))
    let r = high.adding(k, times: Doubles(-6.07710050650619224932e-11))
    let z = r * r
    let sine = polynomial(
      z, 1, -1.0 / 6, 1.0 / 120, -1.0 / 5040, 1.0 / 362880, -1.0 / 39_916_800)
    let cosine = polynomial(
      z, 1, -1.0 / 2, 1.0 / 24, -1.0 / 720, 1.0 / 40320, -1.0 / 3_628_800, 1.0 / 479_001_600)
    return (sine * r, cosine, unsafeBitCast(shifted, to: Longs.self))
  }
}

enum DoublePrecision: MathPrecision {
  @inline(__always) private static func bounded(_ x: Doubles) -> Doubles {
    let low = Doubles.select(x .< Doubles(-750), Doubles(-750), x)
    return Doubles.select(low .> Doubles(720), Doubles(720), low)
  }

  /// (e^r - 1 - r) / r²
  @inline(__always) private static func series(_ r: Doubles) -> Doubles {
    let z = r * r
    let even = polynomial(
      z, 1.0 / 2, 1.0 / 24, 1.0 / 720, 1.0 / 40320, 1.0 / 3_628_800, 1.0 / 479_001_600)
    let odd = polynomial(
      z, 1.0 / 6, 1.0 / 120, 1.0 / 5040, 1.0 / 362880, 1.0 / 39_916_800, 1.0 / 6_227_020_800)
    return even.adding(odd, times: r)
  }

  /// 2^k goes on in two factors, so that overflow and subnormals come out by themselves.
  @inline(__always) static func exp(_ x: Doubles) -> Doubles {
    let (r, _, n) = reduceByLog2(bounded(x))
    let y = Doubles(1) + r.adding(series(r), times: r * r)
    let half = n &>> Longs(repeating: 1)
    return y * powerOfTwo(half) * powerOfTwo(n &- half)
  }

  @inline(__always) static func expm1(_ x: Doubles) -> Doubles {
    let (r, _, n) = reduceByLog2(bounded(x))
    let p = r.adding(series(r), times: r * r)
    let half = n &>> Longs(repeating: 1)
    let (a, b) = (powerOfTwo(half), powerOfTwo(n &- half))
    // From 2^54 on the 1 no longer counts, and 2^k - 1 might overflow where the result does not.
    let scale = a * b
    let small = (scale - Doubles(1)) + p * scale
    return Doubles.select(x .< Doubles(40), small, (Doubles(1) + p) * a * b)
  }

  @inline(__always) static func log(_ x: Doubles) -> Doubles {
    let isTiny = x .< Doubles(0x1p-1022)
    let scaled = Doubles.select(isTiny, x * Doubles(0x1p54), x)
    let offset = Doubles.select(isTiny, Doubles(-54), Doubles(0))
    return completeLog(positiveLog(scaled, offset), x)
  }

  @inline(__always) static func erfc(_ x: Doubles) -> Doubles {
    var result = x
    for i in 0..<8 { result[i] = cErfc(x[i]) }
    return result
  }

  @inline(__always) static func erf(_ x: Doubles) -> Doubles {
    var result = x
    for i in 0..<8 { result[i] = cErf(x[i]) }
    return result
  }
}

@inline(__always) private func cErfc(_ x: Double) -> Double { erfc(x) }
@inline(__always) private func cErf(_ x: Double) -> Double { erf(x) }

/// Float32 throughout. Rarer functions go through doubles.
enum FloatPrecision: MathPrecision {
  @inline(__always) static func exp(_ x: Floats) -> Floats { x.exponential }

  /// 2^k (e^r - 1) + (2^k - 1), x being k ln 2 + r.
  @inline(__always) static func expm1(_ x: Floats) -> Floats {
    let (q, n) = x.exponentialParts(above: Floats(-104), below: Floats(88))
    let scale = Floats.powerOfTwo(n &>> SIMD16<Int32>(repeating: 1))
    let rest = Floats.powerOfTwo(n &- (n &>> SIMD16<Int32>(repeating: 1)))
    return (scale * rest - Floats(1)).adding(q * scale, times: rest)
  }

  @inline(__always) static func log(_ x: Floats) -> Floats { x.logarithm }

  /// 2 atanh s with s = x / (2 + x), at most 1/3: eight terms of its series leave 2e-9.
  @inline(__always) static func log1pUpTo1(_ x: Floats) -> Floats {
    let s = x / (Floats(2) + x)
    let z = s * s
    var p = Floats(1.0 / 15)
    p = Floats(1.0 / 13).adding(p, times: z)
    p = Floats(1.0 / 11).adding(p, times: z)
    p = Floats(1.0 / 9).adding(p, times: z)
    p = Floats(1.0 / 7).adding(p, times: z)
    p = Floats(1.0 / 5).adding(p, times: z)
    p = Floats(1.0 / 3).adding(p, times: z)
    let twice = s + s
    return twice.adding(twice * z, times: p)
  }

  @inline(__always) static func erf(_ x: Floats) -> Floats {
    let wide = x.widened
    return Floats(narrowing: SinglePrecision.erf(wide.low), SinglePrecision.erf(wide.high))
  }

  @inline(__always) static func erfc(_ x: Floats) -> Floats {
    let wide = x.widened
    return Floats(narrowing: SinglePrecision.erfc(wide.low), SinglePrecision.erfc(wide.high))
  }
}

extension SIMD8 where Scalar == Double {
  @inline(__always) var exponential: Self { DoublePrecision.exp(self) }
  @inline(__always) var logarithm: Self { DoublePrecision.log(self) }
}

extension SIMD16 where Scalar == Float {
  @inline(__always) init(narrowing low: Doubles, _ high: Doubles) {
    self = sn_f16_from_d8(low, high)
  }
  @inline(__always) var logarithm: Self {
    let wide = widened
    return Self(narrowing: SinglePrecision.log(wide.low), SinglePrecision.log(wide.high))
  }

  /// e^x within 1 ulp: e^r times 2^k in two factors, so that the ends of the range (overflow, subnormals) come out
  /// by themselves.
  @inline(__always) var exponential: Self {
    let (q, n) = exponentialParts(above: Self(-104), below: Self(89))
    let half = n &>> SIMD16<Int32>(repeating: 1)
    return (q + Self(1)) * Self.powerOfTwo(half) * Self.powerOfTwo(n &- half)
  }

  /// e^x for x that is not above 0 (but for rounding). Below -126.5 ln 2 the power of two has no bits: the result is 0.
  @inline(__always) var decay: Self {
    let low = Self(-88)
    return Self.select(self .< low, low, self).shortExponential
  }

  /// 1 / (1 + e^-x): 0 from -89 down, where the exponential is infinite.
  @inline(__always) var logistic: Self {
    let (low, high) = (Self(-89), Self(88))
    let x = Self.select(self .< low, low, self)
    return Self(1) / (Self(1) + Self.select(x .> high, high, x).negated.shortExponential)
  }

  /// e^x between -88 and 89, where few instructions count more than the last bits: one number for ln 2 (it is 1.9e-9 less)
  /// and a polynomial for e^r, 1 + r + r² p(r), whose error is at most 3.1e-9. Relative error within 1.2e-7 down to -20,
  /// 3e-7 at the ends.
  @inline(__always) private var shortExponential: Self {
    let magic = Self(0x1.8p23)
    let shifted = magic.adding(self, times: Self(1.4426950408889634))
    let r = adding(shifted - magic, times: Self(-0.6931471805599453))
    var p = Self(1.381459878757596e-3)
    p = Self(8.368716575205326e-3).adding(p, times: r)
    p = Self(4.166838899254799e-2).adding(p, times: r)
    p = Self(1.666652113199234e-1).adding(p, times: r)
    p = Self(4.999999403953552e-1).adding(p, times: r)
    p = Self(1).adding(p, times: r)
    p = Self(1).adding(p, times: r)
    return p * Self.powerOfTwo(unsafeBitCast(shifted, to: SIMD16<Int32>.self) &- SIMD16<Int32>(repeating: 0x4b40_0000))
  }

  /// e^r - 1 and k, where x = k ln 2 + r with |r| <= ln 2 / 2: ln 2 in two parts, and a polynomial for e^r (S. Moshier,
  /// Cephes, expf). x is taken no further than the bounds; NaN passes, as comparisons with it are false.
  @inline(__always)
  fileprivate func exponentialParts(above low: Self, below high: Self) -> (Self, SIMD16<Int32>) {
    var x = self.replacing(with: low, where: self .< low)
    x = x.replacing(with: high, where: x .> high)
    // Adding 1.5 * 2^23 leaves the nearest integer in the low bits of the mantissa.
    let magic = Self(0x1.8p23)
    let shifted = magic.adding(x, times: Self(1.4426950408889634))
    let k = shifted - magic
    var r = x.adding(k, times: Self(-0.693145751953125))
    r = r.adding(k, times: Self(-1.42860682030941723212e-6))
    var p = Self(1.9875691500e-4)
    p = Self(1.3981999507e-3).adding(p, times: r)
    p = Self(8.3334519073e-3).adding(p, times: r)
    p = Self(4.1665795894e-2).adding(p, times: r)
    p = Self(1.6666665459e-1).adding(p, times: r)
    p = Self(5.0000001201e-1).adding(p, times: r)
    let n = unsafeBitCast(shifted, to: SIMD16<Int32>.self) &- SIMD16<Int32>(repeating: 0x4b40_0000)
    return (r.adding(p, times: r * r), n)
  }

  @inline(__always) fileprivate static func powerOfTwo(_ n: SIMD16<Int32>) -> Self {
    unsafeBitCast((n &+ SIMD16<Int32>(repeating: 127)) &<< SIMD16<Int32>(repeating: 23), to: Self.self)
  }
}
