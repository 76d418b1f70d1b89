#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension SIMD16 where Scalar == Float {
  /// e^x within 1 ulp: x = k ln 2 + r with |r| <= ln 2 / 2, ln 2 in two parts; a polynomial for e^r; and 2^k
  /// in two factors, so that the ends of the range (overflow, subnormals) come out by themselves.
  @inline(__always) var exponential: Self {
    // Beyond these the result is 0 or infinity anyway. NaN passes: comparisons with it are false.
    let low = Self(-104), high = Self(89)
    var x = self.replacing(with: low, where: self .< low)
    x = x.replacing(with: high, where: x .> high)
    // Adding 1.5 * 2^23 leaves the nearest integer in the low bits of the mantissa.
    let magic = Self(12582912)
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
    let y = (r + Self(1)).adding(p, times: r * r)
    let n = unsafeBitCast(shifted, to: SIMD16<Int32>.self) &- SIMD16<Int32>(repeating: 0x4b40_0000)
    let half = n &>> SIMD16<Int32>(repeating: 1)
    let rest = n &- half
    let bias = SIMD16<Int32>(repeating: 127), shift = SIMD16<Int32>(repeating: 23)
    let a = unsafeBitCast((half &+ bias) &<< shift, to: Self.self)
    let b = unsafeBitCast((rest &+ bias) &<< shift, to: Self.self)
    return y * a * b
  }
}

extension SIMD16 where Scalar == Float {
  @inline(__always) var logarithm: Self {
    var result = self
    for i in 0..<16 { result[i] = logf(self[i]) }
    return result
  }
}

extension SIMD8 where Scalar == Double {
  @inline(__always) var logarithm: Self {
    var result = self
    for i in 0..<8 { result[i] = log(self[i]) }
    return result
  }
  @inline(__always) var exponential: Self {
    var result = self
    for i in 0..<8 { result[i] = exp(self[i]) }
    return result
  }
}
