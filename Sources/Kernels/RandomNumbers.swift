import CIntrinsics
import KernelTypes

// MT19937, sixteen words at a time. A word depends on words at least 227 places away, so that a vector of new words
// never needs one of its own.

private typealias Words = SIMD16<UInt32>

private let stateSize = 624
private let stateOffset = 397

@inline(__always)
private func twist(_ u: UInt32, _ v: UInt32) -> UInt32 {
  let mixed = (u & 0x8000_0000) | (v & 0x7fff_ffff)
  return (mixed >> 1) ^ ((0 &- (v & 1)) & 0x9908_b0df)
}

@inline(__always)
private func twist(_ u: Words, _ v: Words) -> Words {
  let one = Words(repeating: 1)
  let mixed = (u & Words(repeating: 0x8000_0000)) | (v & Words(repeating: 0x7fff_ffff))
  return (mixed &>> one) ^ ((Words(repeating: 0) &- (v & one)) & Words(repeating: 0x9908_b0df))
}

@inline(__always)
private func words(_ pointer: UnsafePointer<UInt32>) -> Words {
  UnsafeRawPointer(pointer).loadUnaligned(as: Words.self)
}

/// New words `range` from the old ones and those `distance` away in `others`.
@inline(__always)
private func renew(
  _ s: UnsafePointer<UInt32>, _ others: UnsafePointer<UInt32>, _ range: Range<Int>, _ distance: Int,
  _ out: UnsafeMutablePointer<UInt32>
) {
  var i = range.lowerBound
  while i + 16 <= range.upperBound {
    let new = words(others + i + distance) ^ twist(words(s + i), words(s + i + 1))
    UnsafeMutableRawPointer(out + i).storeBytes(of: new, as: Words.self)
    i += 16
  }
  while i < range.upperBound {
    out[i] = others[i + distance] ^ twist(s[i], s[i + 1])
    i += 1
  }
}

@inline(__always)
private func temper(_ word: UInt32) -> UInt32 {
  var y = word
  y ^= y >> 11
  y ^= (y << 7) & 0x9d2c_5680
  y ^= (y << 15) & 0xefc6_0000
  return y ^ (y >> 18)
}

@inline(__always)
private func temper(_ word: Words) -> Words {
  var y = word
  y ^= y &>> Words(repeating: 11)
  y ^= (y &<< Words(repeating: 7)) & Words(repeating: 0x9d2c_5680)
  y ^= (y &<< Words(repeating: 15)) & Words(repeating: 0xefc6_0000)
  return y ^ (y &>> Words(repeating: 18))
}

func registerRandomNumbers(_ table: inout RandomKernels) {
  table.renew = { s, out in
    let split = stateSize - stateOffset
    renew(s, s, 0..<split, stateOffset, out)
    renew(s, out, split..<(stateSize - 1), -split, out)
    out[stateSize - 1] = out[stateOffset - 1] ^ twist(s[stateSize - 1], out[0])
  }
  table.temper = { source, out, n in
    var i = 0
    while i + 16 <= n {
      UnsafeMutableRawPointer(out + i).storeBytes(of: temper(words(source + i)), as: Words.self)
      i += 16
    }
    while i < n {
      out[i] = temper(source[i])
      i += 1
    }
  }
  table.below = { numbers, out, n, bound in
    let low53 = Longs(repeating: 1 << 53 - 1)
    var i = 0
    while i + 8 <= n {
      let pairs = UnsafeRawPointer(numbers + 2 * i).loadUnaligned(as: SIMD8<UInt64>.self)
      let swapped = (pairs &<< SIMD8(repeating: 32)) | (pairs &>> SIMD8(repeating: 32))
      let values = unsafeBitCast(swapped, to: Longs.self) & low53
      sn_store_below_l8(values, bound, out + i)
      i += 8
    }
    while i < n {
      let value = Int64(numbers[2 * i] & 0x1f_ffff) << 32 | Int64(numbers[2 * i + 1])
      out[i] = value < bound ? 1 : 0
      i += 1
    }
  }
}
