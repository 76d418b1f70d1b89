import KernelTypes

/// Argmin or argmax over floats: a block's best value is found by vectors, and the block is searched for its
/// place only if it beats what came before.
@inline(__always)
private func argReduce<R: Reduction, V: FloatVector>(_ type: R.Type, _ vector: V.Type) -> ArgReduceKernel
where V.Scalar: BinaryFloatingPoint {
  { values, n, first, bestValue, bestIndex in
    let x = values.assumingMemoryBound(to: V.Scalar.self)
    let best = bestValue.assumingMemoryBound(to: V.Scalar.self)
    let w = V.scalarCount
    var start = 0
    while start < n {
      if bestIndex[0] >= 0 && best[0] != best[0] { return }
      let count = Swift.min(512, n - start)
      var lanes = V(R.op.identity)
      var i = 0
      while i + w <= count {
        lanes = R.fold(lanes, UnsafeRawPointer(x + start + i).loadUnaligned(as: V.self), lanes)
        i += w
      }
      if i < count { lanes = R.fold(lanes, loadTail(x + start + i, count - i, V.self), lanes) }
      var value = lanes[0]
      for lane in 1..<w where beats(R.self, lanes[lane], value) { value = lanes[lane] }
      if bestIndex[0] < 0 || beats(R.self, value, best[0]) {
        var place = start
        while place + 1 < start + count && !(x[place] == value || (value != value && x[place] != x[place])) {
          place += 1
        }
        best[0] = x[place]
        bestIndex[0] = Int64(first + place)
      }
      start += count
    }
  }
}

/// Whether a comes before b: better, or NaN where b is none.
@inline(__always)
private func beats<R: Reduction, T: BinaryFloatingPoint>(_ type: R.Type, _ a: T, _ b: T) -> Bool {
  if b != b { return false }
  if a != a { return true }
  return R.op == .min ? a < b : a > b
}

@inline(__always)
private func argReduce(_ isBetter: @escaping (Int64, Int64) -> Bool) -> ArgReduceKernel {
  { values, n, first, bestValue, bestIndex in
    let x = values.assumingMemoryBound(to: Int64.self)
    let best = bestValue.assumingMemoryBound(to: Int64.self)
    for i in 0..<n where bestIndex[0] < 0 || isBetter(x[i], best[0]) {
      best[0] = x[i]
      bestIndex[0] = Int64(first + i)
    }
  }
}

@inline(__always) private func less(_ a: Int64, _ b: Int64) -> Bool { a < b }
@inline(__always) private func greater(_ a: Int64, _ b: Int64) -> Bool { a > b }

func registerArgReductions(_ table: inout ReduceKernels) {
  table.argmin = [
    stored(argReduce(MinReduction.self, Floats.self)),
    stored(argReduce(MinReduction.self, Doubles.self)),
    stored(argReduce(less)),
  ]
  table.argmax = [
    stored(argReduce(MaxReduction.self, Floats.self)),
    stored(argReduce(MaxReduction.self, Doubles.self)),
    stored(argReduce(greater)),
  ]
}
