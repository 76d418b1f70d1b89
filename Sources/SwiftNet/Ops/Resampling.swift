/// A linear map along one dimension with few nonzero coefficients: output o is Σ weight · input[place] over the entries
/// `starts[o] ..< starts[o + 1]`.
struct SparseRows {
  var inputSize: Int
  var starts: [Int] = [0]
  var places: [Int] = []
  var weights: [Double] = []

  var outputSize: Int { starts.count - 1 }

  init(inputSize: Int) { self.inputSize = inputSize }

  mutating func append(_ entries: [(place: Int, weight: Double)]) {
    for (place, weight) in entries {
      places.append(place)
      weights.append(weight)
    }
    starts.append(places.count)
  }

  func transposed() -> SparseRows {
    var columns = [[(place: Int, weight: Double)]](repeating: [], count: inputSize)
    for o in 0..<outputSize {
      for entry in starts[o]..<starts[o + 1] { columns[places[entry]].append((o, weights[entry])) }
    }
    var result = SparseRows(inputSize: outputSize)
    for column in columns { result.append(column) }
    return result
  }
}

extension Tensor {
  /// Applies a map along a dimension (not 0 or 1) of N, C, …; the memory order is kept.
  func mapped(_ rows: SparseRows, along d: Int) throws -> Tensor {
    var shape = self.shape
    shape[d] = rows.outputSize
    let channelsLast = Shape.suggestsChannelsLast(self.shape, strides)
    let x = try noGrad { channelsLast ? try self.channelsLast() : try contiguous() }
    let out = try Tensor(
      empty: shape, dtype: dtype, strides: channelsLast ? Shape.channelsLastStrides(shape) : nil)
    let inner = shape[(d + 1)...].reduce(1, *) * (channelsLast ? shape[1] : 1)
    let (n, m) = (rows.inputSize, rows.outputSize)
    func run<T: BinaryFloatingPoint>(_: T.Type) throws {
      let source = try x.pointer().assumingMemoryBound(to: T.self)
      let target = try out.mutablePointer().assumingMemoryBound(to: T.self)
      let weights = rows.weights.map { T($0) }
      parallelFor(out.count / inner, grain: max(1, 8192 / inner)) { start, end in
        for line in start..<end {
          let (outer, o) = (line / m, line % m)
          let y = target + line * inner
          var isFirst = true
          for entry in rows.starts[o]..<rows.starts[o + 1] {
            let (w, from) = (weights[entry], source + (outer * n + rows.places[entry]) * inner)
            if isFirst {
              for j in 0..<inner { y[j] = w * from[j] }
            } else {
              for j in 0..<inner { y[j] += w * from[j] }
            }
            isFirst = false
          }
          if isFirst { y.update(repeating: 0, count: inner) }
        }
      }
    }
    if out.count > 0 {
      if dtype == .float64 { try run(Double.self) } else { try run(Float.self) }
    }
    return try out.recorded("Upsample", self) { [try $0.grad.mapped(rows.transposed(), along: d)] }
  }
}
