import KernelTypes

/// Runs `body` over n values of two operands, with loops of their own where one is a scalar.
@inline(__always)
func zip2<T>(
  _ operands: UnsafePointer<Operand>, _ output: UnsafeMutableRawPointer, _ n: Int, _ type: T.Type,
  _ body: (T, T) -> T
) {
  let out = output.assumingMemoryBound(to: T.self)
  let a = operands[0].pointer.assumingMemoryBound(to: T.self)
  let b = operands[1].pointer.assumingMemoryBound(to: T.self)
  switch (operands[0].isScalar, operands[1].isScalar) {
  case (false, false): for i in 0..<n { out[i] = body(a[i], b[i]) }
  case (false, true):
    let b0 = b[0]
    for i in 0..<n { out[i] = body(a[i], b0) }
  case (true, false):
    let a0 = a[0]
    for i in 0..<n { out[i] = body(a0, b[i]) }
  case (true, true):
    let value = body(a[0], b[0])
    for i in 0..<n { out[i] = value }
  }
}

func registerArithmetic(_ table: inout ElementwiseKernels) {
  table[.add, .f32] = { operands, out, n, s in
    let p = Float(s.p)
    zip2(operands, out, n, Float.self) { $0 + p * $1 }
  }
  table[.add, .f64] = { operands, out, n, s in
    let p = s.p
    zip2(operands, out, n, Double.self) { $0 + p * $1 }
  }
  table[.add, .i64] = { operands, out, n, s in
    let p = s.pi
    zip2(operands, out, n, Int64.self) { $0 &+ p &* $1 }
  }
}
