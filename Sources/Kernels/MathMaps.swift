import KernelTypes

/// A function of one operand, written once on doubles for both float lanes.
protocol MathFunction {
  static func apply<P: MathPrecision>(_ x: Doubles, _ s: Parameters<Doubles>, _ precision: P.Type) -> Doubles
}

/// A function of two operands.
protocol MathFunction2 {
  static func apply<P: MathPrecision>(
    _ a: Doubles, _ b: Doubles, _ s: Parameters<Doubles>, _ precision: P.Type
  ) -> Doubles
}

@inline(__always)
private func single<F: MathFunction>(_ x: Floats, _ s: Parameters<Doubles>, _ type: F.Type) -> Floats {
  let wide = x.widened
  return Floats(
    narrowing: F.apply(wide.low, s, SinglePrecision.self), F.apply(wide.high, s, SinglePrecision.self))
}

@inline(__always)
private func single<F: MathFunction2>(
  _ a: Floats, _ b: Floats, _ s: Parameters<Doubles>, _ type: F.Type
) -> Floats {
  let (x, y) = (a.widened, b.widened)
  return Floats(
    narrowing: F.apply(x.low, y.low, s, SinglePrecision.self),
    F.apply(x.high, y.high, s, SinglePrecision.self))
}

extension ElementwiseKernels {
  /// For float32 only, where the C library serves float64.
  @inline(__always)
  mutating func mathSingle<F: MathFunction>(_ op: ElementwiseOp, _ type: F.Type) {
    self[op, .f32] = { operands, out, n, scalars in
      let s = Parameters<Doubles>(scalars)
      map1(operands, out, n) { (x: Floats) in single(x, s, F.self) }
    }
  }

  @inline(__always)
  mutating func math<F: MathFunction>(_ op: ElementwiseOp, _ type: F.Type) {
    mathSingle(op, type)
    self[op, .f64] = { operands, out, n, scalars in
      let s = Parameters<Doubles>(scalars)
      map1(operands, out, n) { (x: Doubles) in F.apply(x, s, DoublePrecision.self) }
    }
  }

  @inline(__always)
  mutating func mathSingle<F: MathFunction2>(_ op: ElementwiseOp, _ type: F.Type) {
    self[op, .f32] = { operands, out, n, scalars in
      let s = Parameters<Doubles>(scalars)
      map2(operands, out, n) { (a: Floats, b: Floats) in single(a, b, s, F.self) }
    }
  }

  @inline(__always)
  mutating func math<F: MathFunction2>(_ op: ElementwiseOp, _ type: F.Type) {
    mathSingle(op, type)
    self[op, .f64] = { operands, out, n, scalars in
      let s = Parameters<Doubles>(scalars)
      map2(operands, out, n) { (a: Doubles, b: Doubles) in F.apply(a, b, s, DoublePrecision.self) }
    }
  }

  /// Two variants of one operation: the first where scalar p has the given value, else the second.
  @inline(__always)
  mutating func math<F: MathFunction, G: MathFunction>(
    _ op: ElementwiseOp, _ first: F.Type, where value: Double, _ second: G.Type
  ) {
    math(op, first)
    let (f32, f64) = (self[op, .f32], self[op, .f64])
    math(op, second)
    choose(op, value, f32, f64)
  }

  @inline(__always)
  mutating func math<F: MathFunction2, G: MathFunction2>(
    _ op: ElementwiseOp, _ first: F.Type, where value: Double, _ second: G.Type
  ) {
    math(op, first)
    let (f32, f64) = (self[op, .f32], self[op, .f64])
    math(op, second)
    choose(op, value, f32, f64)
  }

  /// Puts the given kernels before those in the table where scalar p has the value.
  private mutating func choose(
    _ op: ElementwiseOp, _ value: Double, _ f32: ElementwiseKernel?, _ f64: ElementwiseKernel?
  ) {
    for (lane, first) in [(Lane.f32, f32), (Lane.f64, f64)] {
      guard let first, let second = self[op, lane] else { continue }
      self[op, lane] = { operands, out, n, s in
        if s.p == value { first(operands, out, n, s) } else { second(operands, out, n, s) }
      }
    }
  }
}
