import CIntrinsics

/// What the elementwise loops need of a vector: lanes that can be read and written one by one.
protocol Lanes {
  associatedtype Scalar
  static var scalarCount: Int { get }
  init(repeating: Scalar)
  subscript(_: Int) -> Scalar { get set }
}

extension SIMD16: Lanes {}
extension SIMD8: Lanes {}

/// A vector of floats on which a kernel's arithmetic is written once for both precisions: 16 floats or
/// 8 doubles, which the compiler splits into the registers of the instruction set.
protocol FloatVector: Lanes {
  associatedtype Mask
  /// The same value in all lanes.
  init(_ value: Double)
  static func + (a: Self, b: Self) -> Self
  static func - (a: Self, b: Self) -> Self
  static func * (a: Self, b: Self) -> Self
  static func / (a: Self, b: Self) -> Self
  static func .< (a: Self, b: Self) -> Mask
  static func .<= (a: Self, b: Self) -> Mask
  static func .> (a: Self, b: Self) -> Mask
  static func .>= (a: Self, b: Self) -> Mask
  static func .== (a: Self, b: Self) -> Mask
  static func .!= (a: Self, b: Self) -> Mask
  /// `a` where the mask holds, else `b`.
  static func select(_ mask: Mask, _ a: Self, _ b: Self) -> Self
  /// This vector, but zero where `y` is zero or less: without a comparison in Swift, which goes number by number.
  func masked(by y: Self) -> Self
  func rounded(_ rule: FloatingPointRoundingRule) -> Self
  var root: Self { get }
  var absolute: Self { get }
  var negated: Self { get }
  /// The lane's sign bit, all else zero.
  var signBits: Self { get }
  /// Bitwise or, to put sign bits on.
  static func joinBits(_ a: Self, _ b: Self) -> Self
  /// e to the power of each lane.
  var exponential: Self { get }
  /// The natural logarithm of each lane.
  var logarithm: Self { get }
  /// self + a * b, in one rounding where the processor has it.
  func adding(_ a: Self, times b: Self) -> Self
}

extension FloatVector {
  @inline(__always) static var zero: Self { Self(0) }
  @inline(__always) static var one: Self { Self(1) }

  @inline(__always) static prefix func - (a: Self) -> Self { a.negated }

  /// 1 where the mask holds, else 0.
  @inline(__always)
  static func flag(_ mask: Mask) -> Self { select(mask, one, zero) }
}

extension SIMD16: FloatVector where Scalar == Float {
  typealias Mask = SIMDMask<SIMD16<Int32>>
  @inline(__always) init(_ value: Double) { self.init(repeating: Float(value)) }
  @inline(__always) var root: Self { sn_sqrt_f16(self) }
  @inline(__always) static func select(_ mask: Mask, _ a: Self, _ b: Self) -> Self {
    sn_select_f16(unsafeBitCast(mask, to: SIMD16<Int32>.self), a, b)
  }
  @inline(__always) static func either(_ a: Mask, _ b: Mask) -> Mask { a .| b }
  @inline(__always) func masked(by y: Self) -> Self { sn_mask_f16(self, y) }
  @inline(__always) var bits: SIMD16<UInt32> { unsafeBitCast(self, to: SIMD16<UInt32>.self) }
  @inline(__always) init(bits: SIMD16<UInt32>) { self = unsafeBitCast(bits, to: Self.self) }
  @inline(__always) var absolute: Self { Self(bits: bits & SIMD16<UInt32>(repeating: 0x7fff_ffff)) }
  @inline(__always) var negated: Self { Self(bits: bits ^ SIMD16<UInt32>(repeating: 0x8000_0000)) }
  @inline(__always) var signBits: Self { Self(bits: bits & SIMD16<UInt32>(repeating: 0x8000_0000)) }
  @inline(__always)
  static func joinBits(_ a: Self, _ b: Self) -> Self { Self(bits: a.bits | b.bits) }
  @inline(__always) func adding(_ a: Self, times b: Self) -> Self {
    #if SN_FMA || arch(arm64)
      sn_fma_f16(a, b, self)
    #else
      self + a * b
    #endif
  }
}

extension SIMD8: FloatVector where Scalar == Double {
  typealias Mask = SIMDMask<SIMD8<Int64>>
  @inline(__always) init(_ value: Double) { self.init(repeating: value) }
  @inline(__always) var root: Self { sn_sqrt_d8(self) }
  @inline(__always) static func select(_ mask: Mask, _ a: Self, _ b: Self) -> Self {
    sn_select_d8(unsafeBitCast(mask, to: SIMD8<Int64>.self), a, b)
  }
  @inline(__always) func masked(by y: Self) -> Self { sn_mask_d8(self, y) }
  @inline(__always) var bits: SIMD8<UInt64> { unsafeBitCast(self, to: SIMD8<UInt64>.self) }
  @inline(__always) init(bits: SIMD8<UInt64>) { self = unsafeBitCast(bits, to: Self.self) }
  @inline(__always) var absolute: Self { Self(bits: bits & SIMD8<UInt64>(repeating: UInt64.max >> 1)) }
  @inline(__always) var negated: Self { Self(bits: bits ^ SIMD8<UInt64>(repeating: 1 << 63)) }
  @inline(__always) var signBits: Self { Self(bits: bits & SIMD8<UInt64>(repeating: 1 << 63)) }
  @inline(__always)
  static func joinBits(_ a: Self, _ b: Self) -> Self { Self(bits: a.bits | b.bits) }
  @inline(__always) func adding(_ a: Self, times b: Self) -> Self {
    #if SN_FMA || arch(arm64)
      sn_fma_d8(a, b, self)
    #else
      self + a * b
    #endif
  }
}

typealias Floats = SIMD16<Float>
typealias Doubles = SIMD8<Double>
typealias Longs = SIMD8<Int64>
