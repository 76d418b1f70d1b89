import KernelTypes

// Adafactor: a matrix of squares is remembered as the means of its rows and of its columns. All matrices of a parameter
// lie one after the other; rows are counted through all of them.

/// The columns that are added up before their sum is widened.
private let sumBlock = 512

/// A vector whose lanes from `count` on are zero, as they are not where part of a vector was loaded.
@inline(__always)
private func cut<V: FloatVector>(_ vector: V, _ count: Int) -> V {
  if count == V.scalarCount { return vector }
  var part = V.zero
  for lane in 0..<count { part[lane] = vector[lane] }
  return part
}

/// Σ x² of n elements.
@inline(__always)
private func sumOfSquares<V: WideningVector>(_ x: UnsafePointer<V.Scalar>, _ n: Int, _ vector: V.Type) -> Double {
  var sum = V.wideZero
  var start = 0
  while start < n {
    var block = V.zero
    columnBlocks(min(sumBlock, n - start), V.scalarCount) { i, count in
      let value = cut(loadLanes(x + start + i, count, V.self), count)
      block = block.adding(value, times: value)
    }
    sum = V.add(sum, block.widened)
    start += sumBlock
  }
  return total(sum, V.self)
}

/// Row means follow; Σ p² comes back.
@inline(__always)
private func factoredRows<V: WideningVector>(_ vector: V.Type) -> FactoredKernel where V.Scalar: BinaryFloatingPoint {
  { update, first, last in
    let g = UnsafePointer(update.gradient.assumingMemoryBound(to: V.Scalar.self))
    let p = UnsafePointer(update.parameter.assumingMemoryBound(to: V.Scalar.self))
    let means = update.rowMeans?.assumingMemoryBound(to: V.Scalar.self)
    var size = 0.0
    for row in first..<last {
      let start = row * update.columns
      size += sumOfSquares(p + start, update.columns, V.self)
      if let means {
        let mean = V.Scalar(sumOfSquares(g + start, update.columns, V.self) / Double(update.columns))
        means[row] += V.Scalar(update.newness) * (mean - means[row])
      }
    }
    return size
  }
}

/// Column means follow, strip by strip through all matrices; with a matrix's first strip the mean of its row means.
@inline(__always)
private func factoredColumns<V: WideningVector>(
  _ vector: V.Type
) -> FactoredKernel where V.Scalar: BinaryFloatingPoint {
  { update, first, last in
    let g = UnsafePointer(update.gradient.assumingMemoryBound(to: V.Scalar.self))
    let columnMeans = update.columnMeans.assumingMemoryBound(to: V.Scalar.self)
    let strips = update.strips
    for index in first..<last {
      let matrix = index / strips
      let firstColumn = index % strips * FactoredUpdate.stripColumns
      let start = g + matrix * update.rows * update.columns + firstColumn
      let means = columnMeans + matrix * update.columns + firstColumn
      columnBlocks(min(FactoredUpdate.stripColumns, update.columns - firstColumn), V.scalarCount) { i, count in
        var sum = V.zero
        var source = start + i
        for _ in 0..<update.rows {
          let value = loadLanes(source, count, V.self)
          sum = sum.adding(value, times: value)
          source += update.columns
        }
        let old = loadLanes(means + i, count, V.self)
        storeLanes(old.adding(V(update.newness), times: sum / V(Double(update.rows)) - old), means + i, count)
      }
      if firstColumn == 0, let rowMeans = update.rowMeans?.assumingMemoryBound(to: V.Scalar.self) {
        var sum = 0.0
        for row in 0..<update.rows { sum += Double(rowMeans[matrix * update.rows + row]) }
        update.matrixMeans[matrix] = sum / Double(update.rows)
      }
    }
    return 0
  }
}

/// Calls body(element, count, g / √max(R · C / mean(R), eps1²)) for the vectors of some rows.
@inline(__always)
private func forEachChange<V: WideningVector>(
  _ update: FactoredUpdate, _ first: Int, _ last: Int, _ vector: V.Type, _ body: (Int, Int, V) -> Void
) where V.Scalar: BinaryFloatingPoint {
  let g = UnsafePointer(update.gradient.assumingMemoryBound(to: V.Scalar.self))
  let columnMeans = UnsafePointer(update.columnMeans.assumingMemoryBound(to: V.Scalar.self))
  let rowMeans = update.rowMeans?.assumingMemoryBound(to: V.Scalar.self)
  let least = V(update.eps * update.eps)
  for row in first..<last {
    let matrix = row / update.rows
    let (start, columns) = (row * update.columns, columnMeans + matrix * update.columns)
    let rowMean = V(rowMeans.map { Double($0[row]) } ?? 1)
    let mean = V(rowMeans == nil ? 1 : max(update.matrixMeans[matrix], update.eps))
    columnBlocks(update.columns, V.scalarCount) { i, count in
      var squares = loadLanes(columns + i, count, V.self)
      if rowMeans != nil { squares = rowMean * squares / mean }
      body(start + i, count, loadLanes(g + start + i, count, V.self) / maximum(squares, least).root)
    }
  }
}

/// Σ of the squared change.
@inline(__always)
private func factoredSize<V: WideningVector>(_ vector: V.Type) -> FactoredKernel where V.Scalar: BinaryFloatingPoint {
  { update, first, last in
    var sum = V.wideZero
    forEachChange(update, first, last, V.self) { _, count, change in
      let change = cut(change, count).widened
      sum = V.addProduct(sum, change, change)
    }
    return total(sum, V.self)
  }
}

@inline(__always)
private func factoredStep<V: WideningVector>(_ vector: V.Type) -> FactoredKernel where V.Scalar: BinaryFloatingPoint {
  { update, first, last in
    let p = update.parameter.assumingMemoryBound(to: V.Scalar.self)
    forEachChange(update, first, last, V.self) { i, count, change in
      let value = loadLanes(p + i, count, V.self) * V(update.shrink)
      storeLanes(value.adding(V(-update.rate), times: change), p + i, count)
    }
    return 0
  }
}

func registerFactoredOptimizers(_ table: inout OptimizerKernels) {
  table.factoredRows = [
    stored(factoredRows(Floats.self)),
    stored(factoredRows(Doubles.self)),
  ]
  table.factoredColumns = [
    stored(factoredColumns(Floats.self)),
    stored(factoredColumns(Doubles.self)),
  ]
  table.factoredSize = [
    stored(factoredSize(Floats.self)),
    stored(factoredSize(Doubles.self)),
  ]
  table.factoredStep = [
    stored(factoredStep(Floats.self)),
    stored(factoredStep(Doubles.self)),
  ]
}
