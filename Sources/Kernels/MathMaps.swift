import KernelTypes

/// A function of one operand, written once for all precisions.
protocol MathFunction {
  static func apply<P: MathPrecision>(_ x: P.V, _ s: Parameters<P.V>, _ precision: P.Type) -> P.V
}

/// A function of two operands.
protocol MathFunction2 {
  static func apply<P: MathPrecision>(
    _ a: P.V, _ b: P.V, _ s: Parameters<P.V>, _ precision: P.Type
  ) -> P.V
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

/// The loop of bodies so long that one copy of them must do: scalar operands and the values left at the end are
/// laid out in scratch vectors, so that every step looks the same.
@inline(__always)
private func mapOnce<V: Lanes>(
  _ operands: UnsafePointer<Operand>, _ operandCount: Int, _ out: UnsafeMutableRawPointer, _ n: Int,
  _ type: V.Type, _ body: (V, V) -> V
) {
  if n <= 0 { return }
  let step = MemoryLayout<V>.stride
  let first = operands[0], second = operands[operandCount - 1]
  withUnsafeTemporaryAllocation(byteCount: 3 * step, alignment: MemoryLayout<V>.alignment) { scratch in
    guard let a = scratch.baseAddress else { return }
    let b = a + step, result = a + 2 * step
    var pointerA = first.pointer, pointerB = second.pointer, target = out
    let stepA = first.isScalar ? 0 : step, stepB = second.isScalar ? 0 : step
    if first.isScalar {
      a.storeBytes(of: broadcast(first, V.self), as: V.self)
      pointerA = UnsafeRawPointer(a)
    }
    if second.isScalar {
      b.storeBytes(of: broadcast(second, V.self), as: V.self)
      pointerB = UnsafeRawPointer(b)
    }
    var left = n
    while left > 0 {
      let isLast = left < V.scalarCount
      if isLast {
        if !first.isScalar {
          a.storeBytes(of: loadTail(pointerA, left, V.self), as: V.self)
          pointerA = UnsafeRawPointer(a)
        }
        if !second.isScalar {
          b.storeBytes(of: loadTail(pointerB, left, V.self), as: V.self)
          pointerB = UnsafeRawPointer(b)
        }
        target = result
      }
      let value = body(pointerA.loadUnaligned(as: V.self), pointerB.loadUnaligned(as: V.self))
      target.storeBytes(of: value, as: V.self)
      if isLast {
        let place = out.assumingMemoryBound(to: V.Scalar.self) + (n - left)
        let lanes = result.assumingMemoryBound(to: V.Scalar.self)
        for i in 0..<left { place[i] = lanes[i] }
      }
      pointerA += stepA
      pointerB += stepB
      target += step
      left -= V.scalarCount
    }
  }
}

extension ElementwiseKernels {
  /// For float32 only, where the C library serves float64.
  @inline(__always)
  mutating func mathSingle<F: MathFunction>(_ op: ElementwiseOp, _ type: F.Type) {
    self[op, .f32] = ElementwiseKernel { operands, out, n, scalars in
      let s = Parameters<Doubles>(scalars)
      mapOnce(operands, 1, out, n, Floats.self) { x, _ in single(x, s, F.self) }
    }
  }

  @inline(__always)
  mutating func math<F: MathFunction>(_ op: ElementwiseOp, _ type: F.Type) {
    mathSingle(op, type)
    self[op, .f64] = ElementwiseKernel { operands, out, n, scalars in
      let s = Parameters<Doubles>(scalars)
      mapOnce(operands, 1, out, n, Doubles.self) { x, _ in F.apply(x, s, DoublePrecision.self) }
    }
  }

  @inline(__always)
  mutating func mathSingle<F: MathFunction2>(_ op: ElementwiseOp, _ type: F.Type) {
    self[op, .f32] = ElementwiseKernel { operands, out, n, scalars in
      let s = Parameters<Doubles>(scalars)
      mapOnce(operands, 2, out, n, Floats.self) { a, b in single(a, b, s, F.self) }
    }
  }

  @inline(__always)
  mutating func math<F: MathFunction2>(_ op: ElementwiseOp, _ type: F.Type) {
    mathSingle(op, type)
    self[op, .f64] = ElementwiseKernel { operands, out, n, scalars in
      let s = Parameters<Doubles>(scalars)
      mapOnce(operands, 2, out, n, Doubles.self) { a, b in F.apply(a, b, s, DoublePrecision.self) }
    }
  }

  /// As `math`, with float32 computed in float32 throughout: three times as fast, and within two units in the last
  /// place where the formula does not cancel.
  @inline(__always)
  mutating func fastMath<F: MathFunction>(_ op: ElementwiseOp, _ type: F.Type) {
    math(op, type)
    self[op, .f32] = ElementwiseKernel { operands, out, n, scalars in
      let s = Parameters<Floats>(scalars)
      mapOnce(operands, 1, out, n, Floats.self) { x, _ in F.apply(x, s, FloatPrecision.self) }
    }
  }

  @inline(__always)
  mutating func fastMath<F: MathFunction2>(_ op: ElementwiseOp, _ type: F.Type) {
    math(op, type)
    self[op, .f32] = ElementwiseKernel { operands, out, n, scalars in
      let s = Parameters<Floats>(scalars)
      mapOnce(operands, 2, out, n, Floats.self) { a, b in F.apply(a, b, s, FloatPrecision.self) }
    }
  }

  /// Two variants of one operation: the first where scalar p has the given value, else the second, which is fast.
  @inline(__always)
  mutating func math<F: MathFunction, G: MathFunction>(
    _ op: ElementwiseOp, _ first: F.Type, where value: Double, _ second: G.Type
  ) {
    math(op, first)
    let (f32, f64) = (self[op, .f32], self[op, .f64])
    fastMath(op, second)
    choose(op, value, f32, f64)
  }

  @inline(__always)
  mutating func math<F: MathFunction2, G: MathFunction2>(
    _ op: ElementwiseOp, _ first: F.Type, where value: Double, _ second: G.Type
  ) {
    math(op, first)
    let (f32, f64) = (self[op, .f32], self[op, .f64])
    fastMath(op, second)
    choose(op, value, f32, f64)
  }

  /// Puts the given kernels before those in the table where scalar p has the value.
  private mutating func choose(
    _ op: ElementwiseOp, _ value: Double, _ f32: ElementwiseKernel?, _ f64: ElementwiseKernel?
  ) {
    for (lane, first) in [(Lane.f32, f32), (Lane.f64, f64)] {
      guard let first, let second = self[op, lane] else { continue }
      self[op, lane] = ElementwiseKernel { operands, out, n, s in
        if s.p == value { first(operands, out, n, s) } else { second(operands, out, n, s) }
      }
    }
  }
}
