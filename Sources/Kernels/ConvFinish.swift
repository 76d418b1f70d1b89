import CIntrinsics
import KernelTypes

/// Epilogue of a tile (bias, scale and shift, residual, relu, statistics) and its way into an output of `S`.
@inline(never)
func finishTile<S: ImageNumber>(
  _ arguments: UnsafePointer<ConvolveArguments>, _ outputs: UnsafePointer<Int>, _ rows: Int, _ column: Int,
  _ width: Int, _ buffer: UnsafeMutablePointer<S.Wide>, as _: S.Type
) {
  typealias T = S.Wide
  typealias V = T.Vector
  let lanes = V.scalarCount
  let columns = T.tileColumns
  let x = arguments.pointee
  let out = x.output.assumingMemoryBound(to: S.self) + column
  let bias = x.bias.map { $0.assumingMemoryBound(to: T.self) + column }
  let scale = x.scale.map { $0 + column }
  let shift = x.shift.map { $0 + column }
  let residual = x.residual.map { $0.assumingMemoryBound(to: S.self) + column }
  let relu = x.relu
  let statistics = x.sums != nil || x.sumsOfSquares != nil
  var half = 0
  while half < width {
    let valid = min(lanes, width - half)
    if valid == lanes {
      var b = V(), s = V(repeating: 1), t = V()
      if let bias { b = load(bias + half) }
      if let scale { s = loadFloats(scale + half, T.self) }
      if let shift { t = loadFloats(shift + half, T.self) }
      for row in 0..<rows {
        let p = buffer + row * columns + half
        let place = outputs[row] + half
        var value = load(p) as V
        value += b
        value *= s
        value += t
        if let residual { value += S.load(residual + place) }
        if relu { value = clampedAtZero(value, T.self) }
        S.store(value, out + place)
        if statistics { store(S.load(out + place), p) }
      }
    } else {
      for row in 0..<rows {
        for i in half..<half + valid {
          let place = outputs[row] + i
          var value = buffer[row * columns + i]
          if let bias { value += bias[i] }
          if let scale { value *= T(scale[i]) }
          if let shift { value += T(shift[i]) }
          if let residual { value += residual[place].wide }
          if relu && value < 0 { value = 0 }
          out[place] = S(wide: value)
          buffer[row * columns + i] = out[place].wide
        }
      }
    }
    half += lanes
  }
  if let sums = x.sums { addColumnSums(buffer, columns, rows, width, sums + column, squares: false) }
  if let sums = x.sumsOfSquares { addColumnSums(buffer, columns, rows, width, sums + column, squares: true) }
}

/// A vector's worth of floats as the product's numbers.
@inline(__always)
private func loadFloats<T: ProductScalar>(_ p: UnsafePointer<Float>, _: T.Type) -> T.Vector {
  if T.self == Float.self { return load(UnsafeRawPointer(p).assumingMemoryBound(to: T.self)) }
  var v = T.Vector()
  for i in 0..<T.Vector.scalarCount { v[i] = T(p[i]) }
  return v
}

/// Adds the column sums of a block with the given row stride, or the sums of squares: a vector at a time over the
/// rows, then in Double.
@inline(__always)
func addColumnSums<T: ProductScalar>(
  _ values: UnsafePointer<T>, _ stride: Int, _ rows: Int, _ columns: Int,
  _ sums: UnsafeMutablePointer<Double>,
  squares: Bool
) {
  typealias V = T.Vector
  let lanes = V.scalarCount
  var column = 0
  while column + lanes <= columns {
    var sum = V()
    for row in 0..<rows {
      let v: V = load(values + row * stride + column)
      if squares { multiplyAdd(&sum, v, v) } else { sum += v }
    }
    for i in 0..<lanes { sums[column + i] += Double(sum[i]) }
    column += lanes
  }
  while column < columns {
    var sum: T = 0
    for row in 0..<rows {
      let v = values[row * stride + column]
      sum += squares ? v * v : v
    }
    sums[column] += Double(sum)
    column += 1
  }
}
