import KernelTypes

// The loops of all elementwise kernels. A body is a named generic function marked @inline(__always), which
// the compiler then merges into the loop; closure literals it would call.

/// The operation's scalars, spread over a vector.
struct Parameters<V: FloatVector> {
  let p: V
  let q: V
  let r: V

  @inline(__always) init(_ s: Scalars) {
    p = V(s.p)
    q = V(s.q)
    r = V(s.r)
  }
}

/// The vector at a byte offset, or for a scalar operand its value in all lanes.
@inline(__always)
func loadVector<V: Lanes>(_ operand: Operand, _ offset: Int, _ value: V) -> V {
  operand.isScalar ? value : operand.pointer.loadUnaligned(fromByteOffset: offset, as: V.self)
}

@inline(__always)
func broadcast<V: Lanes>(_ operand: Operand, _ type: V.Type) -> V {
  V(repeating: operand.pointer.assumingMemoryBound(to: V.Scalar.self)[0])
}

/// The `count` values left at the end; the lanes behind them repeat the first one, so that they are harmless.
@inline(__always)
func loadTail<V: Lanes>(_ operand: Operand, _ offset: Int, _ count: Int, _ value: V) -> V {
  if operand.isScalar { return value }
  return loadLastTail(operand.pointer + offset, count, V.self)
}

/// As `loadTail`, for the end of a long run, where a call costs little: one function for all operations, each of which
/// would hold it otherwise.
@inline(never)
private func loadLastTail<V: Lanes>(_ pointer: UnsafeRawPointer, _ count: Int, _ type: V.Type) -> V {
  loadTail(pointer, count, type)
}

@inline(__always)
func loadTail<V: Lanes>(_ pointer: UnsafeRawPointer, _ count: Int, _ type: V.Type) -> V {
  let source = pointer.assumingMemoryBound(to: V.Scalar.self)
  var vector = V(repeating: source[0])
  for i in 1..<max(1, count) { vector[i] = source[i] }
  return vector
}

@inline(__always)
func storeTail<V: Lanes>(_ vector: V, _ out: UnsafeMutableRawPointer, _ count: Int) {
  let target = out.assumingMemoryBound(to: V.Scalar.self)
  for i in 0..<count { target[i] = vector[i] }
}

@inline(__always)
func fill<V: Lanes>(_ out: UnsafeMutableRawPointer, _ n: Int, _ vector: V) {
  let target = out.assumingMemoryBound(to: V.Scalar.self)
  let value = vector[0]
  for i in 0..<n { target[i] = value }
}

@inline(__always)
func map1<V: Lanes>(
  _ operands: UnsafePointer<Operand>, _ out: UnsafeMutableRawPointer, _ n: Int, _ body: (V) -> V
) {
  let a = operands[0]
  if a.isScalar { return fill(out, n, body(broadcast(a, V.self))) }
  let step = MemoryLayout<V>.stride
  var offset = 0
  for _ in 0..<(n / V.scalarCount) {
    let x = a.pointer.loadUnaligned(fromByteOffset: offset, as: V.self)
    out.storeBytes(of: body(x), toByteOffset: offset, as: V.self)
    offset += step
  }
  let rest = n % V.scalarCount
  if rest > 0 { storeTail(body(loadLastTail(a.pointer + offset, rest, V.self)), out + offset, rest) }
}

@inline(__always)
func map2<V: Lanes>(
  _ operands: UnsafePointer<Operand>, _ out: UnsafeMutableRawPointer, _ n: Int, _ body: (V, V) -> V
) {
  let a = operands[0], b = operands[1]
  if n <= 0 { return }
  let a0 = broadcast(a, V.self), b0 = broadcast(b, V.self)
  let step = MemoryLayout<V>.stride
  let blocks = n / V.scalarCount, rest = n % V.scalarCount
  var offset = 0
  switch (a.isScalar, b.isScalar) {
  case (false, false):
    for _ in 0..<blocks {
      let x = a.pointer.loadUnaligned(fromByteOffset: offset, as: V.self)
      let y = b.pointer.loadUnaligned(fromByteOffset: offset, as: V.self)
      out.storeBytes(of: body(x, y), toByteOffset: offset, as: V.self)
      offset += step
    }
  case (false, true):
    for _ in 0..<blocks {
      let x = a.pointer.loadUnaligned(fromByteOffset: offset, as: V.self)
      out.storeBytes(of: body(x, b0), toByteOffset: offset, as: V.self)
      offset += step
    }
  case (true, false):
    for _ in 0..<blocks {
      let y = b.pointer.loadUnaligned(fromByteOffset: offset, as: V.self)
      out.storeBytes(of: body(a0, y), toByteOffset: offset, as: V.self)
      offset += step
    }
  case (true, true): return fill(out, n, body(a0, b0))
  }
  if rest > 0 {
    let result = body(loadTail(a, offset, rest, a0), loadTail(b, offset, rest, b0))
    storeTail(result, out + offset, rest)
  }
}

@inline(__always)
func map3<V: Lanes>(
  _ operands: UnsafePointer<Operand>, _ out: UnsafeMutableRawPointer, _ n: Int, _ body: (V, V, V) -> V
) {
  let a = operands[0], b = operands[1], c = operands[2]
  if n <= 0 { return }
  let a0 = broadcast(a, V.self), b0 = broadcast(b, V.self), c0 = broadcast(c, V.self)
  let step = MemoryLayout<V>.stride
  let rest = n % V.scalarCount
  var offset = 0
  for _ in 0..<(n / V.scalarCount) {
    let result = body(
      loadVector(a, offset, a0), loadVector(b, offset, b0), loadVector(c, offset, c0))
    out.storeBytes(of: result, toByteOffset: offset, as: V.self)
    offset += step
  }
  if rest > 0 {
    let result = body(
      loadTail(a, offset, rest, a0), loadTail(b, offset, rest, b0), loadTail(c, offset, rest, c0))
    storeTail(result, out + offset, rest)
  }
}

@inline(__always)
func map4<V: Lanes>(
  _ operands: UnsafePointer<Operand>, _ out: UnsafeMutableRawPointer, _ n: Int, _ body: (V, V, V, V) -> V
) {
  let a = operands[0], b = operands[1], c = operands[2], d = operands[3]
  if n <= 0 { return }
  let a0 = broadcast(a, V.self), b0 = broadcast(b, V.self), c0 = broadcast(c, V.self), d0 = broadcast(d, V.self)
  let step = MemoryLayout<V>.stride
  let rest = n % V.scalarCount
  var offset = 0
  for _ in 0..<(n / V.scalarCount) {
    let result = body(
      loadVector(a, offset, a0), loadVector(b, offset, b0), loadVector(c, offset, c0), loadVector(d, offset, d0))
    out.storeBytes(of: result, toByteOffset: offset, as: V.self)
    offset += step
  }
  if rest > 0 {
    let result = body(
      loadTail(a, offset, rest, a0), loadTail(b, offset, rest, b0), loadTail(c, offset, rest, c0),
      loadTail(d, offset, rest, d0))
    storeTail(result, out + offset, rest)
  }
}

/// Scalar loops, for functions that come from the C library or branch a lot. `In` is the lane's type and `T`
/// the type of the arithmetic.
@inline(__always)
func scalarMap<In: LaneScalar>(
  _ operands: UnsafePointer<Operand>, _ count: Int, _ out: UnsafeMutableRawPointer, _ n: Int,
  _ type: In.Type, _ body: (In, In, In) -> In
) {
  let target = out.assumingMemoryBound(to: In.self)
  let a = operands[0].pointer.assumingMemoryBound(to: In.self)
  let b = operands[count > 1 ? 1 : 0].pointer.assumingMemoryBound(to: In.self)
  let c = operands[count > 2 ? 2 : 0].pointer.assumingMemoryBound(to: In.self)
  let stepA = operands[0].isScalar ? 0 : 1
  let stepB = operands[count > 1 ? 1 : 0].isScalar ? 0 : 1
  let stepC = operands[count > 2 ? 2 : 0].isScalar ? 0 : 1
  for i in 0..<n { target[i] = body(a[i * stepA], b[i * stepB], c[i * stepC]) }
}

/// The scalar type of a lane.
protocol LaneScalar {
  static var lane: Lane { get }
}
extension Float: LaneScalar { static var lane: Lane { .f32 } }
extension Double: LaneScalar { static var lane: Lane { .f64 } }
extension Int64: LaneScalar { static var lane: Lane { .i64 } }

extension ElementwiseKernels {
  // Vector functions, one generic source for both float lanes: pass the same function twice.

  @inline(__always)
  mutating func unary(
    _ op: ElementwiseOp, _ f: @escaping (Floats) -> Floats, _ d: @escaping (Doubles) -> Doubles
  ) {
    self[op, .f32] = ElementwiseKernel { a, out, n, _ in map1(a, out, n, f) }
    self[op, .f64] = ElementwiseKernel { a, out, n, _ in map1(a, out, n, d) }
  }

  @inline(__always)
  mutating func unary(
    _ op: ElementwiseOp, _ f: @escaping (Floats, Parameters<Floats>) -> Floats,
    _ d: @escaping (Doubles, Parameters<Doubles>) -> Doubles
  ) {
    self[op, .f32] = ElementwiseKernel { a, out, n, s in
      let parameters = Parameters<Floats>(s)
      map1(a, out, n) { f($0, parameters) }
    }
    self[op, .f64] = ElementwiseKernel { a, out, n, s in
      let parameters = Parameters<Doubles>(s)
      map1(a, out, n) { d($0, parameters) }
    }
  }

  @inline(__always)
  mutating func binary(
    _ op: ElementwiseOp, _ f: @escaping (Floats, Floats) -> Floats,
    _ d: @escaping (Doubles, Doubles) -> Doubles
  ) {
    self[op, .f32] = ElementwiseKernel { a, out, n, _ in map2(a, out, n, f) }
    self[op, .f64] = ElementwiseKernel { a, out, n, _ in map2(a, out, n, d) }
  }

  @inline(__always)
  mutating func binary(
    _ op: ElementwiseOp, _ f: @escaping (Floats, Floats, Parameters<Floats>) -> Floats,
    _ d: @escaping (Doubles, Doubles, Parameters<Doubles>) -> Doubles
  ) {
    self[op, .f32] = ElementwiseKernel { a, out, n, s in
      let parameters = Parameters<Floats>(s)
      map2(a, out, n) { f($0, $1, parameters) }
    }
    self[op, .f64] = ElementwiseKernel { a, out, n, s in
      let parameters = Parameters<Doubles>(s)
      map2(a, out, n) { d($0, $1, parameters) }
    }
  }

  @inline(__always)
  mutating func ternary(
    _ op: ElementwiseOp, _ f: @escaping (Floats, Floats, Floats, Parameters<Floats>) -> Floats,
    _ d: @escaping (Doubles, Doubles, Doubles, Parameters<Doubles>) -> Doubles
  ) {
    self[op, .f32] = ElementwiseKernel { a, out, n, s in
      let parameters = Parameters<Floats>(s)
      map3(a, out, n) { f($0, $1, $2, parameters) }
    }
    self[op, .f64] = ElementwiseKernel { a, out, n, s in
      let parameters = Parameters<Doubles>(s)
      map3(a, out, n) { d($0, $1, $2, parameters) }
    }
  }

  @inline(__always)
  mutating func quaternary(
    _ op: ElementwiseOp, _ f: @escaping (Floats, Floats, Floats, Floats, Parameters<Floats>) -> Floats,
    _ d: @escaping (Doubles, Doubles, Doubles, Doubles, Parameters<Doubles>) -> Doubles
  ) {
    self[op, .f32] = ElementwiseKernel { a, out, n, s in
      let parameters = Parameters<Floats>(s)
      map4(a, out, n) { f($0, $1, $2, $3, parameters) }
    }
    self[op, .f64] = ElementwiseKernel { a, out, n, s in
      let parameters = Parameters<Doubles>(s)
      map4(a, out, n) { d($0, $1, $2, $3, parameters) }
    }
  }

  // Functions of doubles, which also serve float32: their result is then rounded once.

  @inline(__always)
  mutating func scalarUnary(_ op: ElementwiseOp, _ f: @escaping (Double) -> Double) {
    self[op, .f32] = ElementwiseKernel { a, out, n, _ in
      scalarMap(a, 1, out, n, Float.self) { x, _, _ in Float(f(Double(x))) }
    }
    self[op, .f64] = ElementwiseKernel { a, out, n, _ in scalarMap(a, 1, out, n, Double.self) { x, _, _ in f(x) } }
  }

  @inline(__always)
  mutating func scalarUnary(_ op: ElementwiseOp, _ f: @escaping (Double, Scalars) -> Double) {
    self[op, .f32] = ElementwiseKernel { a, out, n, s in
      scalarMap(a, 1, out, n, Float.self) { x, _, _ in Float(f(Double(x), s)) }
    }
    self[op, .f64] = ElementwiseKernel { a, out, n, s in scalarMap(a, 1, out, n, Double.self) { x, _, _ in f(x, s) } }
  }

  @inline(__always)
  mutating func scalarBinary(_ op: ElementwiseOp, _ f: @escaping (Double, Double) -> Double) {
    self[op, .f32] = ElementwiseKernel { a, out, n, _ in
      scalarMap(a, 2, out, n, Float.self) { x, y, _ in Float(f(Double(x), Double(y))) }
    }
    self[op, .f64] = ElementwiseKernel { a, out, n, _ in scalarMap(a, 2, out, n, Double.self) { x, y, _ in f(x, y) } }
  }

  @inline(__always)
  mutating func scalarBinary(_ op: ElementwiseOp, _ f: @escaping (Double, Double, Scalars) -> Double) {
    self[op, .f32] = ElementwiseKernel { a, out, n, s in
      scalarMap(a, 2, out, n, Float.self) { x, y, _ in Float(f(Double(x), Double(y), s)) }
    }
    self[op, .f64] = ElementwiseKernel { a, out, n, s in scalarMap(a, 2, out, n, Double.self) { x, y, _ in f(x, y, s) }
    }
  }

  /// Where float32 and float64 each have a function of their own (nextafter, fmod).
  @inline(__always)
  mutating func scalarBinary(
    _ op: ElementwiseOp, _ f: @escaping (Float, Float) -> Float, _ d: @escaping (Double, Double) -> Double
  ) {
    self[op, .f32] = ElementwiseKernel { a, out, n, _ in scalarMap(a, 2, out, n, Float.self) { x, y, _ in f(x, y) } }
    self[op, .f64] = ElementwiseKernel { a, out, n, _ in scalarMap(a, 2, out, n, Double.self) { x, y, _ in d(x, y) } }
  }

  @inline(__always)
  mutating func integerUnary(_ op: ElementwiseOp, _ f: @escaping (Int64, Scalars) -> Int64) {
    self[op, .i64] = ElementwiseKernel { a, out, n, s in scalarMap(a, 1, out, n, Int64.self) { x, _, _ in f(x, s) } }
  }

  @inline(__always)
  mutating func integerBinary(_ op: ElementwiseOp, _ f: @escaping (Int64, Int64) -> Int64) {
    self[op, .i64] = ElementwiseKernel { a, out, n, _ in scalarMap(a, 2, out, n, Int64.self) { x, y, _ in f(x, y) } }
  }

  @inline(__always)
  mutating func integerVector(_ op: ElementwiseOp, _ f: @escaping (Longs, Longs, Int64) -> Longs) {
    self[op, .i64] = ElementwiseKernel { a, out, n, s in
      let p = s.pi
      map2(a, out, n) { f($0, $1, p) }
    }
  }

  @inline(__always)
  mutating func integerTernary(
    _ op: ElementwiseOp, _ f: @escaping (Int64, Int64, Int64, Scalars) -> Int64
  ) {
    self[op, .i64] = ElementwiseKernel { a, out, n, s in scalarMap(a, 3, out, n, Int64.self) { f($0, $1, $2, s) } }
  }
}
