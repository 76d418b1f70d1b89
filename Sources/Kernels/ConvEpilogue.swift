import KernelTypes

/// Whether finished tiles need no more than a bias, so that they can go to their places from registers.
@inline(__always)
func storesTilesDirectly(_ x: ConvolveArguments) -> Bool {
  x.scale == nil && x.shift == nil && x.residual == nil && !x.relu && x.sums == nil && x.sumsOfSquares == nil
}

/// Epilogue of a tile (bias, scale and shift, residual, relu, statistics) and its way into the output.
@inline(never)
func finishTile<T: ProductScalar>(
  _ arguments: UnsafePointer<ConvolveArguments>, _ outputs: UnsafePointer<Int>, _ rows: Int, _ column: Int,
  _ width: Int, _ buffer: UnsafeMutablePointer<T>
) {
  typealias V = T.Vector
  let lanes = V.scalarCount
  let columns = T.tileColumns
  let out = arguments.pointee.output.assumingMemoryBound(to: T.self) + column
  let bias = arguments.pointee.bias.map { $0.assumingMemoryBound(to: T.self) + column }
  let scale = arguments.pointee.scale.map { $0 + column }
  let shift = arguments.pointee.shift.map { $0 + column }
  let residual = arguments.pointee.residual.map { $0.assumingMemoryBound(to: T.self) + column }
  let relu = arguments.pointee.relu
  if bias != nil || scale != nil || shift != nil || residual != nil || relu {
    var half = 0
    while half < width {
      let valid = min(lanes, width - half)
      var b = V(), s = V(repeating: 1), t = V()
      if valid == lanes {
        if let bias { b = load(bias + half) }
        if let scale { s = loadFloats(scale + half, T.self) }
        if let shift { t = loadFloats(shift + half, T.self) }
      } else {
        for i in 0..<valid {
          if let bias { b[i] = bias[half + i] }
          if let scale { s[i] = T(scale[half + i]) }
          if let shift { t[i] = T(shift[half + i]) }
        }
      }
      for row in 0..<rows {
        let p = buffer + row * columns + half
        var value = load(p) as V
        value += b
        value *= s
        value += t
        if let residual {
          let r = residual + outputs[row] + half
          if valid == lanes {
            value += load(r)
          } else {
            for i in 0..<valid { value[i] += r[i] }
          }
        }
        store(value, p)
        if relu {
          // Over memory: a comparison of vectors would be made number by number here.
          for i in 0..<lanes { p[i] = p[i] < 0 ? 0 : p[i] }
        }
      }
      half += lanes
    }
  }
  if let sums = arguments.pointee.sums {
    addColumnSums(buffer, columns, rows, width, sums + column, squares: false)
  }
  if let sums = arguments.pointee.sumsOfSquares {
    addColumnSums(buffer, columns, rows, width, sums + column, squares: true)
  }
  for row in 0..<rows {
    let p = buffer + row * columns
    let o = out + outputs[row]
    if width == columns {
      store(load(p) as V, o)
      store(load(p + lanes) as V, o + lanes)
    } else if width == lanes {
      store(load(p) as V, o)
    } else {
      for i in 0..<width { o[i] = p[i] }
    }
  }
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
