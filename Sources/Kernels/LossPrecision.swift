/// A precision, with what losses need beyond the functions of all.
protocol LossPrecision: MathPrecision where V: WideningVector, V.Scalar: BinaryFloatingPoint {
  /// Whether losses that want less than all have loops of their own: code for float32 alone.
  static var hasSpecialLoops: Bool { get }
  /// e^x for x <= 0.
  static func decay(_ x: V) -> V
  /// 1 / (1 + e^-x)
  static func logistic(_ x: V) -> V
  /// log(1 + x) for x >= 0.
  static func wideLog1p(_ x: V) -> V.Wide
  static func wideLog(_ x: V) -> V.Wide
}

extension FloatPrecision: LossPrecision {
  @inline(__always) static var hasSpecialLoops: Bool { true }
  @inline(__always) static func decay(_ x: Floats) -> Floats { x.decay }
  @inline(__always) static func logistic(_ x: Floats) -> Floats { x.logistic }
  @inline(__always) static func wideLog1p(_ x: Floats) -> WidePair {
    let wide = x.widened
    return WidePair(low: SinglePrecision.log1p(wide.low), high: SinglePrecision.log1p(wide.high))
  }
  @inline(__always) static func wideLog(_ x: Floats) -> WidePair {
    let wide = x.widened
    return WidePair(low: SinglePrecision.log(wide.low), high: SinglePrecision.log(wide.high))
  }
}

extension DoublePrecision: LossPrecision {
  @inline(__always) static var hasSpecialLoops: Bool { false }
  @inline(__always) static func decay(_ x: Doubles) -> Doubles { exp(x) }
  @inline(__always) static func logistic(_ x: Doubles) -> Doubles { Doubles(1) / (Doubles(1) + exp(x.negated)) }
  @inline(__always) static func wideLog1p(_ x: Doubles) -> Doubles { log1p(x) }
  @inline(__always) static func wideLog(_ x: Doubles) -> Doubles { log(x) }
}
