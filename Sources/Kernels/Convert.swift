import CIntrinsics
import KernelTypes

/// An element as it lies in memory, convertible to and from the three lane types.
protocol Element {
  var asFloat: Float { get }
  var asDouble: Double { get }
  var asInt64: Int64 { get }
  init(lane: Float)
  init(lane: Double)
  init(lane: Int64)
}

/// What a lane value and an element give each other, so that one loop serves every pair of types.
protocol ConvertibleLane: LaneScalar {
  init<E: Element>(element: E)
  func element<E: Element>(_ type: E.Type) -> E
}
extension Float: ConvertibleLane {
  @inline(__always) init<E: Element>(element: E) { self = element.asFloat }
  @inline(__always) func element<E: Element>(_ type: E.Type) -> E { E(lane: self) }
}
extension Double: ConvertibleLane {
  @inline(__always) init<E: Element>(element: E) { self = element.asDouble }
  @inline(__always) func element<E: Element>(_ type: E.Type) -> E { E(lane: self) }
}
extension Int64: ConvertibleLane {
  @inline(__always) init<E: Element>(element: E) { self = element.asInt64 }
  @inline(__always) func element<E: Element>(_ type: E.Type) -> E { E(lane: self) }
}

/// Truncation: what does not fit, NaN included, gives the least integer. In C, since Swift's own conversion asks whether it
/// fits by branches, which keep a loop from becoming one of vectors.
private protocol TruncatingFloat {
  var truncated64: Int64 { get }
  var truncated32: Int32 { get }
}
extension Float: TruncatingFloat {
  @inline(__always) fileprivate var truncated64: Int64 { sn_int64_of_float(self) }
  @inline(__always) fileprivate var truncated32: Int32 { sn_int32_of_float(self) }
}
extension Double: TruncatingFloat {
  @inline(__always) fileprivate var truncated64: Int64 { sn_int64_of_double(self) }
  @inline(__always) fileprivate var truncated32: Int32 { sn_int32_of_double(self) }
}

extension Float: Element {
  @inline(__always) var asFloat: Float { self }
  @inline(__always) var asDouble: Double { Double(self) }
  @inline(__always) var asInt64: Int64 { truncated64 }
  @inline(__always) init(lane: Float) { self = lane }
  @inline(__always) init(lane: Double) { self = Float(lane) }
  @inline(__always) init(lane: Int64) { self = Float(lane) }
}
extension Double: Element {
  @inline(__always) var asFloat: Float { Float(self) }
  @inline(__always) var asDouble: Double { self }
  @inline(__always) var asInt64: Int64 { truncated64 }
  @inline(__always) init(lane: Float) { self = Double(lane) }
  @inline(__always) init(lane: Double) { self = lane }
  @inline(__always) init(lane: Int64) { self = Double(lane) }
}

/// IEEE half precision as its bits.
struct Half: Element {
  let bits: UInt16

  /// Exponent and mantissa moved into place and scaled by 2^112, which also normalises subnormals.
  @inline(__always) var asFloat: Float {
    let magnitude = UInt32(bits & 0x7fff) << 13
    let scaled = Float(bitPattern: magnitude) * 0x1p112
    let finite = scaled.bitPattern
    let special = magnitude | 0x7f80_0000
    let sign = UInt32(bits & 0x8000) << 16
    return Float(bitPattern: sign | (magnitude >= 0x0f80_0000 ? special : finite))
  }
  @inline(__always) var asDouble: Double { Double(asFloat) }
  @inline(__always) var asInt64: Int64 { asFloat.truncated64 }

  /// To nearest, ties to even. Results below the normal range come from an addition of 0.5, whose rounding
  /// drops exactly the bits that a subnormal half does not have.
  @inline(__always) init(lane: Float) {
    let magnitude = lane.bitPattern & 0x7fff_ffff
    let sign = UInt16(truncatingIfNeeded: lane.bitPattern >> 16) & 0x8000
    let special: UInt32 = magnitude > 0x7f80_0000 ? 0x7e00 : 0x7c00
    let small = (Float(bitPattern: magnitude) + 0.5).bitPattern &- 0x3f00_0000
    let rounded = magnitude &+ 0xc800_0fff &+ ((magnitude >> 13) & 1)
    let normal = rounded >> 13
    let finite = magnitude < 0x3880_0000 ? small : normal
    let result = magnitude >= 0x4780_0000 ? special : finite
    bits = UInt16(truncatingIfNeeded: result) | sign
  }
  @inline(__always) init(lane: Double) { self.init(lane: Float(lane)) }
  @inline(__always) init(lane: Int64) { self.init(lane: Float(lane)) }
}

extension BrainFloat: Element {
  @inline(__always) var asDouble: Double { Double(asFloat) }
  @inline(__always) var asInt64: Int64 { asFloat.truncated64 }
  @inline(__always) init(lane: Double) { self.init(lane: Float(lane)) }
  @inline(__always) init(lane: Int64) { self.init(lane: Float(lane)) }
}

/// A byte that is 0 or not.
struct Flag: Element {
  let byte: UInt8

  @inline(__always) var asFloat: Float { byte != 0 ? 1 : 0 }
  @inline(__always) var asDouble: Double { byte != 0 ? 1 : 0 }
  @inline(__always) var asInt64: Int64 { byte != 0 ? 1 : 0 }
  @inline(__always) init(lane: Float) { byte = lane != 0 ? 1 : 0 }
  @inline(__always) init(lane: Double) { byte = lane != 0 ? 1 : 0 }
  @inline(__always) init(lane: Int64) { byte = lane != 0 ? 1 : 0 }
}

/// Integers of up to 32 bits convert through Int32, as C++ compilers do; unsigned bytes and 64 bits through
/// Int64. The choice shows only in values that do not fit.
protocol IntegerElement: Element, FixedWidthInteger {
  static var isThroughInt32: Bool { get }
}
extension IntegerElement {
  @inline(__always) var asFloat: Float { Float(self) }
  @inline(__always) var asDouble: Double { Double(self) }
  @inline(__always) var asInt64: Int64 { Int64(truncatingIfNeeded: self) }
  @inline(__always) init(lane: Float) {
    self =
      Self.isThroughInt32 ? Self(truncatingIfNeeded: lane.truncated32) : Self(truncatingIfNeeded: lane.truncated64)
  }
  @inline(__always) init(lane: Double) {
    self =
      Self.isThroughInt32 ? Self(truncatingIfNeeded: lane.truncated32) : Self(truncatingIfNeeded: lane.truncated64)
  }
  @inline(__always) init(lane: Int64) { self = Self(truncatingIfNeeded: lane) }
}
extension Int8: IntegerElement { @inline(__always) static var isThroughInt32: Bool { true } }
extension Int16: IntegerElement { @inline(__always) static var isThroughInt32: Bool { true } }
extension Int32: IntegerElement { @inline(__always) static var isThroughInt32: Bool { true } }
extension UInt8: IntegerElement { @inline(__always) static var isThroughInt32: Bool { false } }
extension Int64: IntegerElement { @inline(__always) static var isThroughInt32: Bool { false } }

@inline(__always)
private func load<E: Element, L: ConvertibleLane>(_ type: E.Type, _ lane: L.Type) -> LoadKernel {
  LoadKernel { source, stride, out, n in
    let s = source.assumingMemoryBound(to: E.self), o = out.assumingMemoryBound(to: L.self)
    if stride == 1 {
      for i in 0..<n { o[i] = L(element: s[i]) }
    } else if stride == 0 {
      if n <= 0 { return }
      let value = L(element: s[0])
      for i in 0..<n { o[i] = value }
    } else {
      for i in 0..<n { o[i] = L(element: s[i * stride]) }
    }
  }
}

@inline(__always)
private func store<E: Element, L: ConvertibleLane>(_ type: E.Type, _ lane: L.Type) -> StoreKernel {
  StoreKernel { source, out, stride, n in
    let s = source.assumingMemoryBound(to: L.self), o = out.assumingMemoryBound(to: E.self)
    if stride == 1 {
      for i in 0..<n { o[i] = s[i].element(E.self) }
    } else {
      for i in 0..<n { o[i * stride] = s[i].element(E.self) }
    }
  }
}

/// Adjacent flags, a vector at a time: what a dropout mask is read with.
private func loadFlags(_ general: LoadKernel) -> LoadKernel {
  LoadKernel { source, stride, out, n in
    if stride != 1 { return general(source, stride, out, n) }
    var i = 0
    while i + 16 <= n {
      (out + 4 * i).storeBytes(of: sn_load_flags_f16(source + i), as: Floats.self)
      i += 16
    }
    if i < n { general(source + i, 1, out + 4 * i, n - i) }
  }
}

extension ElementwiseKernels {
  @inline(__always)
  fileprivate mutating func conversions<E: Element>(_ dtype: DType, _ type: E.Type) {
    self[load: dtype, .f32] = load(E.self, Float.self)
    self[load: dtype, .f64] = load(E.self, Double.self)
    self[load: dtype, .i64] = load(E.self, Int64.self)
    self[store: .f32, dtype] = store(E.self, Float.self)
    self[store: .f64, dtype] = store(E.self, Double.self)
    self[store: .i64, dtype] = store(E.self, Int64.self)
  }
}

func registerConversions(_ table: inout ElementwiseKernels) {
  table.conversions(.float32, Float.self)
  table.conversions(.float64, Double.self)
  table.conversions(.float16, Half.self)
  table.conversions(.bfloat16, BrainFloat.self)
  table.conversions(.int8, Int8.self)
  table.conversions(.int16, Int16.self)
  table.conversions(.int32, Int32.self)
  table.conversions(.int64, Int64.self)
  table.conversions(.uint8, UInt8.self)
  table.conversions(.bool, Flag.self)
  table[load: .bool, .f32] = loadFlags(load(Flag.self, Float.self))
}
