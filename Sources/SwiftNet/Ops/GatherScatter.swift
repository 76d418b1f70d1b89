/// Gather and scatter: element by element along one dimension. Where `index` holds i at a place, gather reads, and
/// scatter writes, the element of this tensor at that place with its coordinate along `dim` replaced by i.
///
/// The index and the source of a scatter may be smaller than the tensor in the other dimensions.
public enum ScatterReduction: String, CaseIterable, Sendable {
  case sum, prod, mean, amax, amin
}

/// The rows along one dimension that an index addresses in a tensor.
private struct Rows {
  /// Sizes of the other dimensions of the index.
  let shape: [Int]
  /// The tensor's strides there.
  let strides: [Int]
  let rows: Int
  /// Elements of one row of the index.
  let length: Int
  let stride: Int
  let size: Int
  let dim: Int
  let grain: Int

  init(_ tensor: Tensor, _ indexShape: [Int], _ d: Int) throws {
    dim = d
    var shape = indexShape
    var strides = tensor.strides
    length = shape.remove(at: d)
    stride = strides.remove(at: d)
    size = tensor.shape[d]
    self.shape = shape
    self.strides = strides
    rows = try Shape.count(shape)
    grain = max(1, (1 << 15) / max(length, 1))
  }

  /// Offset of a row in the tensor.
  @inline(__always)
  func offset(_ row: Int) -> Int {
    var rest = row
    var result = 0
    var d = shape.count - 1
    while d >= 0 {
      let next = rest / shape[d]
      result = result &+ (rest &- next &* shape[d]) &* strides[d]
      rest = next
      d -= 1
    }
    return result
  }
}

extension Tensor {
  /// The index in int64 with dimension d last and contiguous, every entry checked.
  private func rowIndex(_ name: String, _ index: Tensor, _ d: Int) throws -> Tensor {
    let rows = try noGrad { try index.to(.int64).movedToEnd(d).contiguous() }
    let values = try rows.pointer().assumingMemoryBound(to: Int64.self)
    let size = UInt64(shape[d])
    var bad: Int64?
    for i in 0..<rows.count where UInt64(bitPattern: values[i]) >= size {
      bad = values[i]
      break
    }
    if let bad {
      throw SwiftNetError.runtime("index \(bad) is out of bounds for dimension \(d) with size \(size)")
    }
    return rows
  }

  func movedToEnd(_ d: Int) throws -> Tensor {
    if d == rank - 1 { return self }
    return try permute(shape.indices.filter { $0 != d } + [d])
  }

  func movedFromEnd(_ d: Int) throws -> Tensor {
    if d == rank - 1 { return self }
    var order = Array(0..<rank - 1)
    order.insert(rank - 1, at: d)
    return try permute(order)
  }

  private func checkIndex(_ name: String, _ d: Int, _ index: Tensor, source: Tensor?) throws {
    try require(
      index.dtype == .int64 || index.dtype == .int32, "\(name)(): Expected dtype int32/int64 for index")
    if index.count == 0 { return }
    try require(
      index.rank == rank,
      "Index tensor must have the same number of dimensions as \(source == nil ? "input" : "self") tensor")
    if let source {
      try require(
        source.dtype == dtype, "\(name)(): Expected self.dtype to be equal to src.dtype")
      try require(
        source.rank == rank, "Index tensor must have the same number of dimensions as src tensor")
    }
    for k in shape.indices
    where (k != d && index.shape[k] > shape[k]) || index.shape[k] > source?.shape[k] ?? .max {
      if let source {
        throw SwiftNetError.runtime(
          "Expected index \(Shape.describe(index.shape)) to be no larger than self \(Shape.describe(shape)) apart from "
            + "dimension \(d) and to be no larger size than src \(Shape.describe(source.shape))")
      }
      throw SwiftNetError.runtime(
        "Size does not match at dimension \(k) expected index \(Shape.describe(index.shape)) to be no larger than self "
          + "\(Shape.describe(shape)) apart from dimension \(d)")
    }
  }

  /// out[…, i, …] = self[…, index[…, i, …], …].
  public func gather(_ dim: Int, _ index: Tensor) throws -> Tensor {
    let d = try Shape.dimension(dim, rank: rank)
    if rank == 0 || index.rank == 0 {
      try require(
        (rank == 0 || rank == 1) && index.rank <= 1,
        "Index tensor must have the same number of dimensions as input tensor")
      return try reshape([count]).gather(0, index.reshape([index.count])).reshape(index.shape)
    }
    try checkIndex("gather", d, index, source: nil)
    let source = shape
    let flat = index.count == 0 ? index : try gatherRows(d, index)
    let out = index.count == 0 ? try Tensor(empty: index.shape, dtype: dtype) : flat
    return try out.recorded("Gather", self, saving: [index]) { context in
      let grad = try context.grad
      return [try Tensor.zeros(source, dtype: grad.dtype).scatterAdd(d, try context.saved(0), grad)]
    }
  }

  private func gatherRows(_ d: Int, _ index: Tensor) throws -> Tensor {
    let ordered = try rowIndex("gather", index, d)
    let out = try Tensor(empty: ordered.shape, dtype: dtype)
    let rows = try Rows(self, index.shape, d)
    let positions = try ordered.pointer().assumingMemoryBound(to: Int64.self)
    let from = try pointer()
    let to = try out.mutablePointer()
    func run<T>(_ type: T.Type) {
      let source = from.assumingMemoryBound(to: T.self)
      let target = to.assumingMemoryBound(to: T.self)
      parallelFor(rows.rows, grain: rows.grain) { start, end in
        for row in start..<end {
          let base = source + rows.offset(row)
          let first = row * rows.length
          for j in first..<first + rows.length { target[j] = base[Int(positions[j]) &* rows.stride] }
        }
      }
    }
    switch dtype.size {
    case 1: run(UInt8.self)
    case 2: run(UInt16.self)
    case 4: run(UInt32.self)
    default: run(UInt64.self)
    }
    withExtendedLifetime((self, ordered)) {}
    return try noGrad { try out.movedFromEnd(d).contiguous() }
  }

  /// The part of a scatter's source that the index covers, with dimension d last, contiguous.
  private static func rowValues(_ source: Tensor, _ index: Tensor, _ d: Int) throws -> Tensor {
    try noGrad {
      var part = source
      for k in index.shape.indices where part.shape[k] != index.shape[k] {
        part = try part.narrow(k, 0, index.shape[k])
      }
      return try part.movedToEnd(d).contiguous()
    }
  }

  /// Lets a tensor or index without dimensions take part as if it had one.
  private func withOneDimension(
    _ index: Tensor, _ source: Tensor?, _ body: (Tensor, Tensor, Tensor?) throws -> Tensor
  )
    throws -> Tensor?
  {
    guard rank == 0 || index.rank == 0 else { return nil }
    try require(
      rank <= 1 && index.rank <= 1 && source?.rank ?? 0 <= 1,
      "Index tensor must have the same number of dimensions as self tensor")
    return try body(view([count]), index.reshape([index.count]), source.map { try $0.reshape([$0.count]) }).reshape(
      shape)
  }

  /// A copy with the elements of `source` written where `index` says; of several for one place the last stays.
  public func scatter(_ dim: Int, _ index: Tensor, _ source: Tensor) throws -> Tensor {
    let d = try Shape.dimension(dim, rank: rank)
    if let result = try withOneDimension(index, source, { try $0.scatter(0, $1, $2!) }) { return result }
    try checkIndex("scatter", d, index, source: source)
    let out = try noGrad { try clone() }
    if index.count > 0 { try out.writeRows(d, index, try Tensor.rowValues(source, index, d)) }
    let sourceShape = source.shape
    return try out.recorded("Scatter", self, source, saving: [index]) { context in
      let grad = try context.grad
      let index = try context.saved(0)
      return [
        context.needs(0) ? try grad.scatter(d, index, .float(0)) : nil,
        context.needs(1) ? try grad.gather(d, index).extended(to: sourceShape) : nil,
      ]
    }
  }

  /// A copy with one value written where `index` says.
  public func scatter(_ dim: Int, _ index: Tensor, _ value: Scalar) throws -> Tensor {
    let d = try Shape.dimension(dim, rank: rank)
    if let result = try withOneDimension(
      index, nil, { tensor, index, _ in try tensor.scatter(0, index, value) })
    {
      return result
    }
    try checkIndex("scatter", d, index, source: nil)
    let out = try noGrad { try clone() }
    if index.count > 0 { try out.writeRows(d, index, try Tensor.scalar(value, dtype: dtype)) }
    return try out.recorded("Scatter", self, saving: [index]) {
      [try $0.grad.scatter(d, try $0.saved(0), .float(0))]
    }
  }

  /// Writes rows of values, or one value for all, into this tensor.
  private func writeRows(_ d: Int, _ index: Tensor, _ values: Tensor) throws {
    let ordered = try rowIndex("scatter", index, d)
    let rows = try Rows(self, index.shape, d)
    let positions = try ordered.pointer().assumingMemoryBound(to: Int64.self)
    let from = try values.pointer()
    let to = try mutablePointer()
    let step = values.rank == 0 ? 0 : 1
    func run<T>(_ type: T.Type) {
      let source = from.assumingMemoryBound(to: T.self)
      let target = to.assumingMemoryBound(to: T.self)
      parallelFor(rows.rows, grain: rows.grain) { start, end in
        for row in start..<end {
          let base = target + rows.offset(row)
          let first = row * rows.length
          for j in first..<first + rows.length { base[Int(positions[j]) &* rows.stride] = source[j &* step] }
        }
      }
    }
    switch dtype.size {
    case 1: run(UInt8.self)
    case 2: run(UInt16.self)
    case 4: run(UInt32.self)
    default: run(UInt64.self)
    }
    withExtendedLifetime((ordered, values)) {}
  }

  /// Zeros behind this tensor's elements in every dimension, up to a shape.
  private func extended(to shape: [Int]) throws -> Tensor {
    if self.shape == shape { return self }
    var padding: [Int] = []
    for d in shape.indices.reversed() { padding += [0, shape[d] - self.shape[d]] }
    return try padded(padding, .constant(0))
  }

  /// A copy with the elements of `source` added where `index` says.
  public func scatterAdd(_ dim: Int, _ index: Tensor, _ source: Tensor) throws -> Tensor {
    let d = try Shape.dimension(dim, rank: rank)
    if let result = try withOneDimension(index, source, { try $0.scatterAdd(0, $1, $2!) }) { return result }
    try checkIndex("scatter", d, index, source: source)
    let out = try reducedRows(.sum, d, index, source, includeSelf: true).tensor
    let sourceShape = source.shape
    return try out.recorded("ScatterAdd", self, source, saving: [index]) { context in
      let grad = try context.grad
      return [
        grad, context.needs(1) ? try grad.gather(d, try context.saved(0)).extended(to: sourceShape) : nil,
      ]
    }
  }

  /// Folds source rows into a copy of this tensor. Also says how many values went into each element, if asked.
  private func reducedRows(
    _ op: ScatterReduction, _ d: Int, _ index: Tensor, _ source: Tensor, includeSelf: Bool,
    counts: Bool = false
  ) throws -> (tensor: Tensor, counts: Tensor?) {
    let lane = dtype.lane.dtype
    let out = try noGrad { dtype == lane ? try clone() : try to(lane) }
    var tally: Tensor?
    if counts || !includeSelf { tally = try Tensor.full(shape, includeSelf ? 1 : 0, dtype: .int64) }
    if index.count > 0 {
      let values = try noGrad { try Tensor.rowValues(source, index, d).to(lane).contiguous() }
      let ordered = try rowIndex("scatter", index, d)
      if let tally {
        let ones = try Tensor.ones(ordered.shape, dtype: .int64)
        try tally.foldRows(.sum, Int64.self, d, index.shape, ordered, ones) { $0 &+ $1 }
      }
      if !includeSelf, let tally {
        // The first value replaces what was there: start from the neutral element.
        let touched = try noGrad { try Binary.apply(.gt, .tensor(tally), .scalar(0)) }
        let start: Scalar
        switch op {
        case .sum, .mean: start = 0
        case .prod: start = 1
        case .amax: start = out.dtype.isFloatingPoint ? .float(-.infinity) : .int(.min)
        case .amin: start = out.dtype.isFloatingPoint ? .float(.infinity) : .int(.max)
        }
        try copyElements(from: try noGrad { try out.maskedFill(touched, start) }, to: out)
      }
      try out.fold(op, d, index.shape, ordered, values)
    }
    return (try noGrad { try out.to(dtype) }, tally)
  }

  /// Folds rows of lane values into this tensor of the same dtype.
  private func fold(
    _ op: ScatterReduction, _ d: Int, _ indexShape: [Int], _ ordered: Tensor, _ values: Tensor
  ) throws {
    switch dtype {
    case .float32: try foldFloats(op, Float.self, d, indexShape, ordered, values)
    case .float64: try foldFloats(op, Double.self, d, indexShape, ordered, values)
    default:
      switch op {
      case .sum, .mean: try foldRows(op, Int64.self, d, indexShape, ordered, values) { $0 &+ $1 }
      case .prod: try foldRows(op, Int64.self, d, indexShape, ordered, values) { $0 &* $1 }
      case .amax: try foldRows(op, Int64.self, d, indexShape, ordered, values) { max($0, $1) }
      case .amin: try foldRows(op, Int64.self, d, indexShape, ordered, values) { min($0, $1) }
      }
    }
  }

  /// As `scatterAdd`, in place.
  public func scatterAddInPlace(_ dim: Int, _ index: Tensor, _ source: Tensor) throws {
    let d = try Shape.dimension(dim, rank: rank)
    if needsRecording([self, source]) || !dtype.isLane || rank == 0 || index.rank == 0 {
      return try inPlace { try $0.scatterAdd(d, index, source) }
    }
    try checkIndex("scatter", d, index, source: source)
    if index.count == 0 { return }
    let ordered = try rowIndex("scatter", index, d)
    let values = try Tensor.rowValues(
      source.memory === memory ? noGrad { try source.clone() } : source, index, d)
    try fold(.sum, d, index.shape, ordered, values)
    bumpVersion()
  }

  /// As `scatter`, in place; without a source, `value` is written.
  public func scatterInPlace(_ dim: Int, _ index: Tensor, _ source: Tensor?, _ value: Scalar) throws {
    let d = try Shape.dimension(dim, rank: rank)
    if needsRecording([self] + (source.map { [$0] } ?? [])) || rank == 0 || index.rank == 0 {
      return try inPlace { before in
        if let source { return try before.scatter(d, index, source) }
        return try before.scatter(d, index, value)
      }
    }
    try checkIndex("scatter", d, index, source: source)
    if index.count == 0 { return }
    if let source {
      let own = source.memory === memory ? try noGrad { try source.clone() } : source
      try writeRows(d, index, try Tensor.rowValues(own, index, d))
    } else {
      try writeRows(d, index, try Tensor.scalar(value, dtype: dtype))
    }
    bumpVersion()
  }

  private func foldFloats<T: BinaryFloatingPoint>(
    _ op: ScatterReduction, _ type: T.Type, _ d: Int, _ indexShape: [Int], _ ordered: Tensor, _ values: Tensor
  ) throws {
    switch op {
    case .sum, .mean: try foldRows(op, type, d, indexShape, ordered, values) { $0 + $1 }
    case .prod: try foldRows(op, type, d, indexShape, ordered, values) { $0 * $1 }
    // NaN wins, as in every maximum and minimum.
    case .amax: try foldRows(op, type, d, indexShape, ordered, values) { $0 != $0 || $0 > $1 ? $0 : $1 }
    case .amin: try foldRows(op, type, d, indexShape, ordered, values) { $0 != $0 || $0 < $1 ? $0 : $1 }
    }
  }

  @inline(__always)
  private func foldRows<T>(
    _ op: ScatterReduction, _ type: T.Type, _ d: Int, _ indexShape: [Int], _ ordered: Tensor,
    _ values: Tensor,
    _ combine: (T, T) -> T
  ) throws {
    let rows = try Rows(self, indexShape, d)
    let positions = try ordered.pointer().assumingMemoryBound(to: Int64.self)
    let source = try values.pointer().assumingMemoryBound(to: T.self)
    let target = try mutablePointer().assumingMemoryBound(to: T.self)
    parallelFor(rows.rows, grain: rows.grain) { start, end in
      for row in start..<end {
        let base = target + rows.offset(row)
        let first = row * rows.length
        for j in first..<first + rows.length {
          let place = base + Int(positions[j]) &* rows.stride
          place.pointee = combine(place.pointee, source[j])
        }
      }
    }
    withExtendedLifetime((ordered, values)) {}
  }

  /// A copy in which each element that `index` addresses becomes the reduction of all source values sent there,
  /// and of its own value if `includeSelf`.
  public func scatterReduce(
    _ dim: Int, _ index: Tensor, _ source: Tensor, _ reduction: ScatterReduction, includeSelf: Bool = true
  ) throws -> Tensor {
    let d = try Shape.dimension(dim, rank: rank)
    if let result = try withOneDimension(
      index, source, { try $0.scatterReduce(0, $1, $2!, reduction, includeSelf: includeSelf) })
    {
      return result
    }
    try checkIndex("scatter", d, index, source: source)
    let (sums, counts) = try reducedRows(
      reduction, d, index, source, includeSelf: includeSelf, counts: reduction == .mean)
    var out = sums
    if reduction == .mean, let counts {
      out = try noGrad {
        let divisor = try Binary.apply(.maximum, .tensor(counts), .scalar(1))
        return dtype.isFloatingPoint
          ? try sums / divisor.to(dtype)
          : try Binary.apply(.floorDivide, .tensor(sums), .tensor(divisor)).to(dtype)
      }
    }
    let sourceShape = source.shape
    return try out.recorded("ScatterReduce", self, source, saving: [self, source, index, out]) { context in
      let (own, given) = try Tensor.scatterReduceGradients(
        context.grad, d, context.saved(0), context.saved(1), context.saved(2), context.saved(3), reduction,
        includeSelf: includeSelf)
      return [own, try given.extended(to: sourceShape)]
    }
  }

  /// Gradients of `scatterReduce` for the tensor and for the part of the source that the index covers.
  private static func scatterReduceGradients(
    _ grad: Tensor, _ d: Int, _ x: Tensor, _ source: Tensor, _ index: Tensor, _ out: Tensor,
    _ reduction: ScatterReduction, includeSelf: Bool
  ) throws -> (Tensor, Tensor) {
    var part = source
    for k in index.shape.indices where part.shape[k] != index.shape[k] {
      part = try part.narrow(k, 0, index.shape[k])
    }
    var own: Tensor
    let given: Tensor
    switch reduction {
    case .sum:
      own = grad
      given = try grad.gather(d, index)
    case .mean:
      let start = try Tensor.full(x.shape, includeSelf ? 1 : 0, dtype: x.dtype)
      let counts = try start.scatterAdd(d, index, try Tensor.ones(index.shape, dtype: x.dtype))
      let scaled = try grad / Binary.apply(.maximum, .tensor(counts), .scalar(1.0))
      own = scaled
      given = try scaled.gather(d, index)
    case .amax, .amin:
      let value = try out.gather(d, index)
      let isOwn = try Binary.apply(.eq, .tensor(x), .tensor(out)).to(x.dtype)
      let isGiven = try Binary.apply(.eq, .tensor(part), .tensor(value)).to(x.dtype)
      let start = includeSelf ? isOwn : try isOwn.scatter(d, index, .float(0))
      let share = try grad / start.scatterAdd(d, index, isGiven)
      own = try share * isOwn
      given = try share.gather(d, index) * isGiven
    case .prod:
      let one = Scalar.float(1)
      let ownZero = try Binary.apply(.eq, .tensor(x), .scalar(0))
      let safe = try x.maskedFill(ownZero, one)
      let others = try safe.scatterReduce(d, index, part, .prod, includeSelf: includeSelf)
      own = try grad * others / safe
      let zero = try Binary.apply(.eq, .tensor(part), .scalar(0))
      let zeros = try Tensor.zeros(x.shape, dtype: x.dtype).scatterAdd(d, index, zero.to(x.dtype)).gather(
        d, index)
      let single = try Binary.apply(
        .logicalAnd, .tensor(zero), .tensor(try Binary.apply(.eq, .tensor(zeros), .scalar(1))))
      let withoutZero = try x.scatterReduce(
        d, index, part.maskedFill(single, one), .prod, includeSelf: includeSelf)
      given = try whereSelect(
        single, .tensor(try (grad * withoutZero).gather(d, index)),
        .tensor(try (grad * out).gather(d, index) / part.maskedFill(zero, one)))
    }
    if !includeSelf { own = try own.scatter(d, index, .float(0)) }
    return (own, given)
  }

  /// `gather` with broadcasting of the other dimensions; without a dimension, on the flattened tensor.
  public func takeAlong(_ index: Tensor, _ dim: Int?) throws -> Tensor {
    try require(
      index.dtype == .int64,
      "torch.take_along_dim(): dtype of indices should be Long but got \(index.dtype.scalarTypeName)")
    guard let dim else { return try reshape([count]).gather(0, try index.reshape([index.count])) }
    try require(
      rank == index.rank,
      "torch.take_along_dim(): input and indices should have the same number of dimensions, but got \(rank) dimensions "
        + "for input, and \(index.rank) dimensions for indices")
    let d = try Shape.dimension(dim, rank: rank)
    if rank == 0 { return try gather(0, index) }
    var a = shape
    var b = index.shape
    a[d] = 1
    b[d] = 1
    var common = try Shape.broadcast(a, b)
    common[d] = shape[d]
    let source = try expand(common)
    common[d] = index.shape[d]
    return try source.gather(d, try index.expand(common))
  }
}
