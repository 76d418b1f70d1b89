import CIntrinsics
import KernelTypes

/// The upper half of a float32.
struct BrainFloat {
  let bits: UInt16

  @inline(__always) var asFloat: Float { Float(bitPattern: UInt32(bits) << 16) }
  @inline(__always) init(lane: Float) {
    let pattern = lane.bitPattern
    let rounded = (pattern &+ 0x7fff &+ ((pattern >> 16) & 1)) >> 16
    bits = lane != lane ? 0x7fc0 : UInt16(truncatingIfNeeded: rounded)
  }
}

/// A number as images hold it, and the one that kernels compute with.
protocol ImageNumber {
  associatedtype Wide: ProductScalar
  var wide: Wide { get }
  init(wide: Wide)
  static func load(_ p: UnsafePointer<Self>) -> Wide.Vector
  static func store(_ vector: Wide.Vector, _ p: UnsafeMutablePointer<Self>)
}

extension ImageNumber where Self: ProductScalar, Wide == Self {
  @inline(__always) var wide: Self { self }
  @inline(__always) init(wide: Self) { self = wide }
  @inline(__always) static func load(_ p: UnsafePointer<Self>) -> Vector {
    UnsafeRawPointer(p).loadUnaligned(as: Vector.self)
  }
  @inline(__always) static func store(_ vector: Vector, _ p: UnsafeMutablePointer<Self>) {
    UnsafeMutableRawPointer(p).storeBytes(of: vector, as: Vector.self)
  }
}

extension Float: ImageNumber { typealias Wide = Float }
extension Double: ImageNumber { typealias Wide = Double }

extension BrainFloat: ImageNumber {
  @inline(__always) var wide: Float { asFloat }
  @inline(__always) init(wide: Float) { self.init(lane: wide) }
  #if SN_V4
    @inline(__always) static func load(_ p: UnsafePointer<BrainFloat>) -> Float.Vector { sn_load_bfloat_f16(p) }
    @inline(__always) static func store(_ vector: Float.Vector, _ p: UnsafeMutablePointer<BrainFloat>) {
      sn_store_bfloat_f16(vector, p)
    }
  #elseif SN_V3
    @inline(__always) static func load(_ p: UnsafePointer<BrainFloat>) -> Float.Vector { sn_load_bfloat_f8(p) }
    @inline(__always) static func store(_ vector: Float.Vector, _ p: UnsafeMutablePointer<BrainFloat>) {
      sn_store_bfloat_f8(vector, p)
    }
  #else
    @inline(__always) static func load(_ p: UnsafePointer<BrainFloat>) -> Float.Vector { sn_load_bfloat_f4(p) }
    @inline(__always) static func store(_ vector: Float.Vector, _ p: UnsafeMutablePointer<BrainFloat>) {
      sn_store_bfloat_f4(vector, p)
    }
  #endif
}

/// Zero where a lane is negative. (A comparison of Swift's vectors would be made number by number.)
@inline(__always)
func clampedAtZero<T: ProductScalar>(_ vector: T.Vector, _: T.Type) -> T.Vector {
  #if SN_V4
    if T.self == Float.self {
      return unsafeBitCast(sn_relu_f16(unsafeBitCast(vector, to: SIMD16<Float>.self)), to: T.Vector.self)
    }
    return unsafeBitCast(sn_relu_d8(unsafeBitCast(vector, to: SIMD8<Double>.self)), to: T.Vector.self)
  #elseif SN_V3
    if T.self == Float.self {
      return unsafeBitCast(sn_relu_f8(unsafeBitCast(vector, to: SIMD8<Float>.self)), to: T.Vector.self)
    }
    return unsafeBitCast(sn_relu_d4(unsafeBitCast(vector, to: SIMD4<Double>.self)), to: T.Vector.self)
  #else
    if T.self == Float.self {
      return unsafeBitCast(sn_relu_f4(unsafeBitCast(vector, to: SIMD4<Float>.self)), to: T.Vector.self)
    }
    return unsafeBitCast(sn_relu_d2(unsafeBitCast(vector, to: SIMD2<Double>.self)), to: T.Vector.self)
  #endif
}
