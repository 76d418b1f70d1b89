import KernelTypes

/// Running fold along a row: the carried value in the accumulator's type, each output rounded from it.
@inline(__always)
private func scan<T, A>(
  _ type: T.Type, _ fold: @escaping (A, T) -> A, _ round: @escaping (A) -> T
) -> ScanKernel {
  { values, output, n, carried in
    let x = values.assumingMemoryBound(to: T.self), out = output.assumingMemoryBound(to: T.self)
    let carry = carried.assumingMemoryBound(to: A.self)
    var total = carry[0]
    for i in 0..<n {
      total = fold(total, x[i])
      out[i] = round(total)
    }
    carry[0] = total
  }
}

@inline(__always) private func add(_ a: Double, _ x: Float) -> Double { a + Double(x) }
@inline(__always) private func add(_ a: Double, _ x: Double) -> Double { a + x }
@inline(__always) private func add(_ a: Int64, _ x: Int64) -> Int64 { a &+ x }
@inline(__always) private func multiply(_ a: Double, _ x: Float) -> Double { a * Double(x) }
@inline(__always) private func multiply(_ a: Double, _ x: Double) -> Double { a * x }
@inline(__always) private func multiply(_ a: Int64, _ x: Int64) -> Int64 { a &* x }
@inline(__always) private func round(_ a: Double) -> Float { Float(a) }
@inline(__always) private func round(_ a: Double) -> Double { a }
@inline(__always) private func round(_ a: Int64) -> Int64 { a }

func registerScans(_ table: inout ReduceKernels) {
  table.cumsum = [
    stored(scan(Float.self, add, round)),
    stored(scan(Double.self, add, round)),
    stored(scan(Int64.self, add, round)),
  ]
  table.cumprod = [
    stored(scan(Float.self, multiply, round)),
    stored(scan(Double.self, multiply, round)),
    stored(scan(Int64.self, multiply, round)),
  ]
}
