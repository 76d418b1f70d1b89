import CIntrinsics
import KernelTypes

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

// Three passes: the greatest value, the sum of exponentials of what lies below it, the result. Exponentials of
// float32 are float32, as is their sum within a block; blocks add up in Double. While a row is computed the next one is
// fetched: the first pass would wait for memory, and the second, which computes most, leaves it idle.

@inline(__always)
func greatest<V: FloatVector>(_ x: UnsafePointer<V.Scalar>, _ n: Int, _ type: V.Type) -> V.Scalar
where V.Scalar: BinaryFloatingPoint {
  // Four chains: each comparison would wait for the one before it.
  let width = V.scalarCount
  var lanes = V(-.infinity), second = lanes, third = lanes, fourth = lanes
  var first = 0
  while first + 4 * width <= n {
    lanes = maximum(lanes, loadLanes(x + first, width, V.self))
    second = maximum(second, loadLanes(x + (first + width), width, V.self))
    third = maximum(third, loadLanes(x + (first + 2 * width), width, V.self))
    fourth = maximum(fourth, loadLanes(x + (first + 3 * width), width, V.self))
    first += 4 * width
  }
  lanes = maximum(maximum(lanes, second), maximum(third, fourth))
  columnBlocks(n - first, width) { i, count in lanes = maximum(lanes, loadLanes(x + (first + i), count, V.self)) }
  var best = lanes[0]
  for i in 1..<V.scalarCount where lanes[i] > best || lanes[i] != lanes[i] { best = lanes[i] }
  return best
}

/// Elements whose exponentials are added up before the sum goes on in Double.
private let softmaxBlock = 512

@inline(__always)
private func softmaxRows<V: WideningVector>(_ vector: V.Type, isLog: Bool) -> SoftmaxRowsKernel
where V.Scalar: BinaryFloatingPoint {
  { x, y, shape in
    let n = shape.columns
    for row in 0..<shape.rows {
      let x = x.assumingMemoryBound(to: V.Scalar.self) + row * n
      let y = y.assumingMemoryBound(to: V.Scalar.self) + row * n
      let top = V(repeating: greatest(x, n, V.self))
      var sum = V.wideZero
      let ahead = row + 1 < shape.rows ? n : 0
      var first = 0
      while first < n {
        let size = min(softmaxBlock, n - first)
        var part = V.zero
        columnBlocks(size, V.scalarCount) { k, count in
          let i = first + k
          let e = (loadLanes(x + i, count, V.self) - top).exponential
          sn_prefetch(x + (i + ahead))
          if !isLog { storeLanes(e, y + i, count) }
          sn_prefetch_write(y + (i + ahead))
          part = part + withoutTail(e, count)
        }
        sum = V.add(sum, part.widened)
        first += size
      }
      let denominator = total(sum, V.self)
      if isLog {
        let offset = V(log(denominator))
        columnBlocks(n, V.scalarCount) { i, count in
          storeLanes(loadLanes(x + i, count, V.self) - top - offset, y + i, count)
        }
      } else {
        let factor = V(1 / denominator)
        columnBlocks(n, V.scalarCount) { i, count in
          storeLanes(loadLanes(y + i, count, V.self) * factor, y + i, count)
        }
      }
    }
  }
}

/// softmax: dx = y (g - sum g y). log-softmax: dx = g - exp(y) sum g.
@inline(__always)
private func softmaxRowsGradient<V: WideningVector>(_ vector: V.Type, isLog: Bool)
  -> SoftmaxRowsGradientKernel
where V.Scalar: BinaryFloatingPoint {
  { gradient, y, dx, shape in
    let n = shape.columns
    for row in 0..<shape.rows {
      let g = gradient.assumingMemoryBound(to: V.Scalar.self) + row * n
      let y = y.assumingMemoryBound(to: V.Scalar.self) + row * n
      let out = dx.assumingMemoryBound(to: V.Scalar.self) + row * n
      var sum = V.wideZero
      columnBlocks(n, V.scalarCount) { i, count in
        let value = withoutTail(loadLanes(g + i, count, V.self), count).widened
        sum =
          isLog
          ? V.add(sum, value) : V.addProduct(sum, value, loadLanes(y + i, count, V.self).widened)
      }
      let s = V(total(sum, V.self))
      columnBlocks(n, V.scalarCount) { i, count in
        let (value, result) = (loadLanes(g + i, count, V.self), loadLanes(y + i, count, V.self))
        storeLanes(isLog ? value - result.exponential * s : result * (value - s), out + i, count)
      }
    }
  }
}

/// The lanes behind the end become zero.
@inline(__always)
func withoutTail<V: FloatVector>(_ vector: V, _ count: Int) -> V {
  if count == V.scalarCount { return vector }
  var result = V.zero
  for i in 0..<count { result[i] = vector[i] }
  return result
}

@inline(__always)
private func softmaxColumns<V: FloatVector>(_ vector: V.Type, isLog: Bool) -> SoftmaxColumnsKernel {
  { x, y, rows, stride, columns in
    let x = x.assumingMemoryBound(to: V.Scalar.self), y = y.assumingMemoryBound(to: V.Scalar.self)
    columnBlocks(columns, V.scalarCount) { c, count in
      var top = V(-.infinity)
      for row in 0..<rows { top = maximum(top, loadLanes(x + (row * stride + c), count, V.self)) }
      var sum = V.zero
      for row in 0..<rows {
        let e = (loadLanes(x + (row * stride + c), count, V.self) - top).exponential
        if !isLog { storeLanes(e, y + (row * stride + c), count) }
        sum = sum + e
      }
      if isLog {
        let offset = sum.logarithm
        for row in 0..<rows {
          let at = row * stride + c
          storeLanes(loadLanes(x + at, count, V.self) - top - offset, y + at, count)
        }
      } else {
        for row in 0..<rows {
          let at = row * stride + c
          storeLanes(loadLanes(y + at, count, V.self) / sum, y + at, count)
        }
      }
    }
  }
}

@inline(__always)
private func softmaxColumnsGradient<V: FloatVector>(_ vector: V.Type, isLog: Bool)
  -> SoftmaxColumnsGradientKernel
{
  { gradient, y, dx, rows, stride, columns in
    let g = gradient.assumingMemoryBound(to: V.Scalar.self), y = y.assumingMemoryBound(to: V.Scalar.self)
    let out = dx.assumingMemoryBound(to: V.Scalar.self)
    columnBlocks(columns, V.scalarCount) { c, count in
      var sum = V.zero
      for row in 0..<rows {
        let at = row * stride + c
        let value = loadLanes(g + at, count, V.self)
        sum = isLog ? sum + value : sum.adding(value, times: loadLanes(y + at, count, V.self))
      }
      for row in 0..<rows {
        let at = row * stride + c
        let (value, result) = (loadLanes(g + at, count, V.self), loadLanes(y + at, count, V.self))
        storeLanes(isLog ? value - result.exponential * sum : result * (value - sum), out + at, count)
      }
    }
  }
}

func registerSoftmax(_ table: inout SoftmaxKernels) {
  table.rows = [
    stored(softmaxRows(Floats.self, isLog: false)),
    stored(softmaxRows(Doubles.self, isLog: false)),
  ]
  table.logRows = [
    stored(softmaxRows(Floats.self, isLog: true)),
    stored(softmaxRows(Doubles.self, isLog: true)),
  ]
  table.rowsGradient = [
    stored(softmaxRowsGradient(Floats.self, isLog: false)),
    stored(softmaxRowsGradient(Doubles.self, isLog: false)),
  ]
  table.logRowsGradient = [
    stored(softmaxRowsGradient(Floats.self, isLog: true)),
    stored(softmaxRowsGradient(Doubles.self, isLog: true)),
  ]
  table.columns = [
    stored(softmaxColumns(Floats.self, isLog: false)),
    stored(softmaxColumns(Doubles.self, isLog: false)),
  ]
  table.logColumns = [
    stored(softmaxColumns(Floats.self, isLog: true)),
    stored(softmaxColumns(Doubles.self, isLog: true)),
  ]
  table.columnsGradient = [
    stored(softmaxColumnsGradient(Floats.self, isLog: false)),
    stored(softmaxColumnsGradient(Doubles.self, isLog: false)),
  ]
  table.logColumnsGradient = [
    stored(softmaxColumnsGradient(Floats.self, isLog: true)),
    stored(softmaxColumnsGradient(Doubles.self, isLog: true)),
  ]
}
