/// Sorting and selection along one dimension. Each gives positions; the values are gathered by them, and backward
/// scatters the gradient to them. NaN counts as larger than any number.
private struct SortBody: KeyRowBody {
  let out: UnsafeMutablePointer<Int64>
  func run<Key: SortKey>(
    _ row: Int, _ keys: UnsafeMutableBufferPointer<Key>, _ scratch: UnsafeMutableBufferPointer<Key>
  ) {
    sortKeys(keys, scratch: scratch)
    let to = out + row * keys.count
    for i in 0..<keys.count { to[i] = Int64(keys[i].position) }
  }
}

private struct TopBody: KeyRowBody {
  let out: UnsafeMutablePointer<Int64>
  let count: Int
  func run<Key: SortKey>(
    _ row: Int, _ keys: UnsafeMutableBufferPointer<Key>, _ scratch: UnsafeMutableBufferPointer<Key>
  ) {
    if count == 0 { return }
    if count <= 32, count <= keys.count / 8 {
      takeFewKeys(keys, count: count)
    } else {
      selectKeys(keys, count: count)
      sortKeys(
        UnsafeMutableBufferPointer(rebasing: keys[..<count]),
        scratch: UnsafeMutableBufferPointer(rebasing: scratch[..<count]))
    }
    for i in 0..<count { out[row * count + i] = Int64(keys[i].position) }
  }
}

private struct KthBody: KeyRowBody {
  let out: UnsafeMutablePointer<Int64>
  let k: Int
  func run<Key: SortKey>(
    _ row: Int, _ keys: UnsafeMutableBufferPointer<Key>, _ scratch: UnsafeMutableBufferPointer<Key>
  ) {
    selectKeys(keys, count: k)
    out[row] = Int64(keys[k - 1].position)
  }
}

private struct MedianBody: KeyRowBody {
  let rows: KeyRows
  let out: UnsafeMutablePointer<Int64>
  let ignoresNaN: Bool
  func run<Key: SortKey>(
    _ row: Int, _ keys: UnsafeMutableBufferPointer<Key>, _ scratch: UnsafeMutableBufferPointer<Key>
  ) {
    let n = keys.count
    var nans = 0
    var firstNaN = 0
    for i in 0..<n where rows.isNaN(row, i) {
      if nans == 0 { firstNaN = i }
      nans += 1
    }
    if nans > 0, !ignoresNaN || nans == n {
      out[row] = Int64(firstNaN)
      return
    }
    let k = (n - nans - 1) / 2 + 1
    selectKeys(keys, count: k)
    out[row] = Int64(keys[k - 1].position)
  }
}

private struct ModeBody: KeyRowBody {
  let rows: KeyRows
  let out: UnsafeMutablePointer<Int64>
  func run<Key: SortKey>(
    _ row: Int, _ keys: UnsafeMutableBufferPointer<Key>, _ scratch: UnsafeMutableBufferPointer<Key>
  ) {
    sortKeys(keys, scratch: scratch)
    var best = 0
    var start = 0
    for i in 0..<keys.count {
      // NaN differs from itself, so each NaN is a run of its own.
      if i > 0, keys[i].sortValue != keys[i - 1].sortValue || rows.isNaN(row, keys[i].position) { start = i }
      if i - start + 1 > best {
        best = i - start + 1
        out[row] = Int64(keys[i].position)
      }
    }
  }
}

extension Tensor {
  /// Values and positions along a dimension.
  public typealias Ranked = (values: Tensor, indices: Tensor)

  /// This tensor's elements at `indices` (dimension d last), put back in order, recorded as `name`.
  private func ranked(_ name: String, _ d: Int, _ indices: Tensor, keepdim: Bool = true) throws -> Ranked {
    let ordered = try noGrad { try indices.movedFromEnd(d).contiguous() }
    let source = shape
    let picked = try noGrad { try gather(d, ordered) }
    let values = try picked.recorded(name, self, saving: [ordered]) { context in
      let grad = try context.grad
      return [try Tensor.zeros(source, dtype: grad.dtype).scatterAdd(d, try context.saved(0), grad)]
    }
    return keepdim ? (values, ordered) : (try values.squeeze([d]), try ordered.squeeze([d]))
  }

  /// Runs a body over the rows of a dimension; the result has `length` positions per row.
  private func positions<Body: KeyRowBody>(
    _ d: Int, _ rows: KeyRows, length: Int, _ body: (UnsafeMutablePointer<Int64>) -> Body
  ) throws -> Tensor {
    var outShape = shape
    outShape.remove(at: d)
    outShape.append(length)
    let out = try Tensor(empty: outShape, dtype: .int64)
    if out.count > 0 { rows.forEachRow(body(try out.mutablePointer().assumingMemoryBound(to: Int64.self))) }
    return out
  }

  /// The elements in order along a dimension, and their positions. Equal elements keep their order.
  public func sort(_ dim: Int = -1, descending: Bool = false) throws -> Ranked {
    let d = try Shape.dimension(dim, rank: rank)
    if rank == 0 { return try scalarRanked() }
    let order = try positions(d, KeyRows(self, d, descending: descending), length: shape[d]) {
      SortBody(out: $0)
    }
    return try ranked("Sort", d, order)
  }

  private func scalarRanked() throws -> Ranked {
    (try reshape([]), try Tensor.zeros([], dtype: .int64))
  }

  /// The positions that sort a dimension.
  public func argsort(_ dim: Int = -1, descending: Bool = false) throws -> Tensor {
    try noGrad { try sort(dim, descending: descending).indices }
  }

  /// The k largest (or smallest) elements along a dimension, in order, and their positions.
  public func topk(_ k: Int, _ dim: Int = -1, largest: Bool = true) throws -> Ranked {
    let d = try Shape.dimension(dim, rank: rank)
    try require(k >= 0 && k <= (rank == 0 ? 1 : shape[d]), "selected index k out of range")
    if rank == 0 { return try scalarRanked() }
    let order = try positions(d, KeyRows(self, d, descending: largest), length: k) {
      TopBody(out: $0, count: k)
    }
    return try ranked("Topk", d, order)
  }

  /// The k-th smallest element along a dimension (k from 1), and its position.
  public func kthvalue(_ k: Int, _ dim: Int = -1, keepdim: Bool = false) throws -> Ranked {
    let d = try Shape.dimension(dim, rank: rank)
    try require(
      k >= 1 && k <= (rank == 0 ? 1 : shape[d]),
      "kthvalue(): selected number k out of range for dimension \(d)")
    if rank == 0 { return try scalarRanked() }
    let order = try positions(d, KeyRows(self, d), length: 1) { KthBody(out: $0, k: k) }
    return try ranked("Kthvalue", d, order, keepdim: keepdim)
  }

  /// The lower median along a dimension, and its position. NaN wins unless it is ignored.
  public func median(_ dim: Int, keepdim: Bool = false, ignoringNaN: Bool = false) throws -> Ranked {
    let d = try Shape.dimension(dim, rank: rank)
    if rank == 0 { return try scalarRanked() }
    let name = ignoringNaN ? "nanmedian" : "median"
    try require(shape[d] > 0, .index, "\(name)(): Expected reduction dim \(d) to have non-zero size.")
    let rows = try KeyRows(self, d)
    let order = try positions(d, rows, length: 1) { MedianBody(rows: rows, out: $0, ignoresNaN: ignoringNaN) }
    return try ranked(capitalized(name), d, order, keepdim: keepdim)
  }

  /// The lower median of all elements; NaN for none.
  public func median(ignoringNaN: Bool = false) throws -> Tensor {
    if count == 0 {
      return try Tensor.full([], dtype.isFloatingPoint ? .float(.nan) : .int(.min), dtype: dtype)
    }
    return try reshape([count]).median(0, ignoringNaN: ignoringNaN).values
  }

  /// The most frequent element along a dimension (of several, the smallest), and its last position.
  public func mode(_ dim: Int = -1, keepdim: Bool = false) throws -> Ranked {
    let d = try Shape.dimension(dim, rank: rank)
    if rank == 0 { return try scalarRanked() }
    try require(shape[d] > 0, .index, "mode(): Expected reduction dim \(d) to have non-zero size.")
    let rows = try KeyRows(self, d)
    let order = try positions(d, rows, length: 1) { ModeBody(rows: rows, out: $0) }
    return try ranked("Mode", d, order, keepdim: keepdim)
  }
}

/// How a quantile that falls between two elements is made of them.
public enum QuantileInterpolation: String, CaseIterable, Sendable {
  case linear, lower, higher, midpoint, nearest
}

extension Tensor {
  /// Quantiles along a dimension (nil: of all elements). With `q` of one dimension the result has it in front.
  public func quantile(
    _ q: Tensor, _ dim: Int? = nil, keepdim: Bool = false, interpolation: QuantileInterpolation = .linear,
    ignoringNaN: Bool = false
  ) throws -> Tensor {
    let converted = try autocast(.float32, [self, q]) {
      try $0[0].quantile($0[1], dim, keepdim: keepdim, interpolation: interpolation, ignoringNaN: ignoringNaN)
    }
    if let converted { return converted }
    let name = ignoringNaN ? "nanquantile" : "quantile"
    try require(count > 0, "\(name)() input tensor must be non-empty")
    try require(q.rank <= 1, "\(name)() q must be a scalar or 1D tensor")
    try require(
      dtype == .float32 || dtype == .float64, "\(name)() input tensor must be either float or double dtype")
    try require(q.dtype == dtype, "\(name)() q tensor must be same dtype as the input tensor")
    for value in try q.doubles() where !(value >= 0 && value <= 1) {
      throw SwiftNetError.runtime("\(name)() q must be in the range [0, 1] but got \(value)")
    }
    let d = try dim.map { try Shape.dimension($0, rank: rank) }
    // Rows last; the kept dimensions in their order.
    let rows: Tensor
    var outShape: [Int]
    if let d, rank > 0 {
      rows = try movedToEnd(d)
      outShape = shape
      if keepdim { outShape[d] = 1 } else { outShape.remove(at: d) }
    } else {
      rows = try reshape([count])
      outShape = keepdim ? shape.map { _ in 1 } : []
    }
    let n = rows.shape[rows.rank - 1]
    let (sorted, _) = try rows.sort(-1)
    let fractions = try q.reshape([q.count])
    let (low, high, weight) = try noGrad { () -> (Tensor, Tensor, Tensor) in
      var limit = try Tensor.full(Array(rows.shape.dropLast()) + [1], .float(Double(n - 1)), dtype: dtype)
      let nans = try sorted.detach().unary(.isnan).to(.int64).sum([-1], keepdim: true)
      if ignoringNaN {
        limit = try Binary.apply(.maximum, .tensor((nans.negated() + .int(Int64(n - 1)))), .scalar(0)).to(
          dtype)
      }
      var place = try fractions * limit
      if !ignoringNaN {
        // A NaN anywhere makes the result NaN: sorting put it last.
        let hasNaN = try Binary.apply(.gt, .tensor(nans), .scalar(0))
        place = try whereSelect(hasNaN, .scalar(.float(Double(n - 1))), .tensor(place))
      }
      switch interpolation {
      case .lower: place = try place.unary(.floor)
      case .higher: place = try place.unary(.ceil)
      case .nearest: place = try place.unary(.round)
      case .linear, .midpoint: break
      }
      let below = try place.unary(.floor)
      let above = try place.unary(.ceil)
      let weight =
        interpolation == .midpoint ? try Tensor.full(place.shape, 0.5, dtype: dtype) : try place - below
      return (try below.to(.int64), try above.to(.int64), weight)
    }
    let a = try sorted.gather(-1, low)
    var result = a
    if interpolation == .linear || interpolation == .midpoint {
      let b = try sorted.gather(-1, high)
      // Where both are the same element there is nothing to interpolate, and ∞ - ∞ would give NaN.
      let same = try Binary.apply(.eq, .tensor(low), .tensor(high))
      // From the nearer end, so that infinite neighbours give what lies next to them.
      let near = try Binary.apply(.lt, .tensor(weight), .scalar(0.5))
      let step = try b - a
      let between = try whereSelect(
        near, .tensor(a + step * weight), .tensor(b - step * (weight.negated() + 1.0)))
      result = try whereSelect(same, .tensor(a), .tensor(between))
    }
    let last = result.rank - 1
    let front = try result.permute([last] + Array(0..<last))
    return try front.reshape((q.rank == 0 ? [] : [q.count]) + outShape)
  }
}
