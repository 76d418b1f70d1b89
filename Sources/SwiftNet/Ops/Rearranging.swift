/// Dimensions and elements in another order or repeated.
extension Tensor {
  /// Dimensions moved to other places; the rest keep their order.
  public func movedim(_ source: [Int], _ destination: [Int]) throws -> Tensor {
    try require(
      source.count == destination.count,
      "movedim: Invalid source or destination dims: source (\(Shape.describe(source)) dims) should contain the same "
        + "number of dims as destination (\(Shape.describe(destination)) dims)")
    func check(_ dims: [Int], _ name: String) throws -> [Int] {
      let counted = try dims.map { try Shape.dimension($0, rank: rank) }
      try require(
        Set(counted).count == counted.count,
        "movedim: repeated dim in `\(name)` (\(Shape.describe(dims)))")
      return counted
    }
    let from = try check(source, "source")
    let to = try check(destination, "destination")
    if rank == 0 { return try reshape([]) }
    var order = [Int](repeating: -1, count: rank)
    for (a, b) in zip(from, to) { order[b] = a }
    var rest = shape.indices.filter { !from.contains($0) }.makeIterator()
    for d in order.indices where order[d] < 0 { order[d] = rest.next() ?? 0 }
    return try permute(order)
  }

  /// One dimension as several; one of the sizes may be -1.
  public func unflatten(_ dim: Int, _ sizes: [Int]) throws -> Tensor {
    try require(!sizes.isEmpty, "unflatten: sizes must be non-empty")
    let d = try Shape.dimension(dim, rank: rank)
    let length = rank == 0 ? 1 : shape[d]
    var known = 1
    for size in sizes where size != -1 { known = known.multipliedReportingOverflow(by: size).partialValue }
    let unknown = sizes.filter { $0 == -1 }.count
    try require(unknown <= 1, "only one dimension can be inferred")
    let fits =
      sizes.allSatisfy { $0 >= -1 }
      && (unknown == 0 ? known == length : known > 0 && length % known == 0)
    try require(
      fits,
      "unflatten: Provided sizes \(Shape.describe(sizes)) don't multiply up to the size of dim \(d) (\(length)) in the "
        + "input tensor")
    let filled = sizes.map { $0 == -1 ? length / known : $0 }
    return try reshape(Array(shape.prefix(d)) + filled + Array(shape.dropFirst(d + 1)))
  }

  /// The elements in reverse order along dimensions. A copy.
  public func flip(_ dims: [Int]) throws -> Tensor {
    let reversed = try Shape.dimensions(dims, rank: rank)
    let out = try Tensor(empty: shape, dtype: dtype, strides: isDense ? strides : nil)
    if count > 0 {
      var view = geometry
      for d in reversed where rank > 0 {
        view.offset += (shape[d] - 1) * strides[d]
        view.strides[d] = -strides[d]
      }
      let backwards = try alias(strides: view.strides, offset: view.offset)
      try copyElements(from: backwards, to: out)
    }
    return try out.recorded("Flip", self) { [try $0.grad.flip(dims)] }
  }

  /// Shifted along dimensions, coming in again at the other end. Without dimensions: as one flat row.
  public func roll(_ shifts: [Int], _ dims: [Int] = []) throws -> Tensor {
    if dims.isEmpty {
      try require(shifts.count == 1, "shifts and dimensions must align. shifts: \(shifts.count), dims:0")
      return try reshape([count]).roll(shifts, [0]).reshape(shape)
    }
    try require(
      !shifts.isEmpty && shifts.count == dims.count,
      shifts.isEmpty
        ? "`shifts` required"
        : "shifts and dimensions must align. shifts: \(shifts.count), dims:\(dims.count)")
    var result = self
    for (shift, dim) in zip(shifts, dims) {
      let d = try Shape.dimension(dim, rank: rank)
      guard rank > 0, shape[d] > 0 else { continue }
      let n = shape[d]
      let first = (shift % n + n) % n
      if first == 0 { continue }
      result = try Tensor.cat(
        [try result.narrow(d, n - first, first), try result.narrow(d, 0, n - first)], d)
    }
    return result === self ? try clone() : result
  }

  /// Rotated by k quarter turns in the plane of two dimensions, from the first toward the second.
  public func rot90(_ k: Int = 1, _ dims: [Int] = [0, 1]) throws -> Tensor {
    try require(
      dims.count == 2, "expected total rotation dims == 2, but got dims = \(dims.count)")
    try require(rank >= 2, "expected total dims >= 2, but got total dims = \(rank)")
    try require(
      dims[0] != dims[1] && (dims[0] &- dims[1]).magnitude != UInt(rank),
      "expected rotation dims to be different, but got dim0 = \(dims[0]) and dim1 = \(dims[1])")
    for dim in dims {
      try require(dim < rank && dim >= -rank, "Rotation dim out of range, dim = \(dim)")
    }
    switch (k % 4 + 4) % 4 {
    case 1: return try flip([dims[1]]).transpose(dims[0], dims[1])
    case 2: return try flip(dims)
    case 3: return try flip([dims[0]]).transpose(dims[0], dims[1])
    default: return try clone()
    }
  }

  /// Copies one after another along every dimension; `sizes` may have more dimensions, in front.
  public func repeated(_ sizes: [Int]) throws -> Tensor {
    try require(
      sizes.count >= rank,
      "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor")
    let lead = sizes.count - rank
    let padded = Array(repeating: 1, count: lead) + shape
    try require(
      sizes.allSatisfy { $0 >= 0 },
      "Trying to create tensor with negative dimension: \(Shape.describe(sizes))")
    for (size, times) in zip(padded, sizes) {
      try require(
        !size.multipliedReportingOverflow(by: times).overflow, .memory,
        "repeat: \(Shape.describe(sizes)) times \(Shape.describe(shape)) is too large")
    }
    let target = zip(padded, sizes).map { $0 * $1 }
    _ = try Shape.count(target)
    var wide: [Int] = []
    var narrow: [Int] = []
    for (size, times) in zip(padded, sizes) {
      narrow += [1, size]
      wide += [times, size]
    }
    let result = try reshape(narrow).expand(wide)
    return try result.clone().reshape(target)
  }

  /// As `repeated`, with as many sizes as there are: missing ones are 1.
  public func tile(_ sizes: [Int]) throws -> Tensor {
    try repeated(Array(repeating: 1, count: max(0, rank - sizes.count)) + sizes)
  }

  /// Every element of a dimension a number of times; without a dimension, of the flattened tensor.
  public func repeatInterleave(_ repeats: Tensor, _ dim: Int? = nil, outputSize: Int? = nil) throws -> Tensor {
    try require(
      repeats.dtype == .int64 || repeats.dtype == .int32, "repeats has to be Long or Int tensor")
    try require(repeats.rank <= 1, "repeat_interleave only accept 1D vector as repeat")
    let source = try dim == nil || rank == 0 ? reshape([count]) : self
    let d = try Shape.dimension(dim ?? 0, rank: source.rank)
    let n = source.shape[d]
    try require(
      repeats.count == 1 || repeats.count == n,
      "repeats must have the same size as input along dim, but got repeats.size(0) = \(repeats.count) and "
        + "input.size(\(d)) = \(n)")
    let counts = try noGrad { try repeats.to(.int64).contiguous() }
    let times = try counts.pointer().assumingMemoryBound(to: Int64.self)
    var total = 0
    for i in 0..<n {
      let value = times[repeats.count == 1 ? 0 : i]
      try require(value >= 0, "Repeats must be non-negative")
      let (sum, overflow) = total.addingReportingOverflow(Int(value))
      try require(!overflow, .memory, "repeat_interleave: the result is too large")
      total = sum
    }
    if repeats.count == 1 { try require(times[0] >= 0, "Repeats must be non-negative") }
    if let outputSize {
      try require(
        outputSize == total, "Allocated size does not match required size: \(outputSize) and \(total)")
    }
    let index = try Tensor(empty: [total], dtype: .int64)
    let out = try index.mutablePointer().assumingMemoryBound(to: Int64.self)
    var k = 0
    for i in 0..<n {
      let value = Int(times[repeats.count == 1 ? 0 : i])
      for _ in 0..<value {
        out[k] = Int64(i)
        k += 1
      }
    }
    withExtendedLifetime(counts) {}
    return try source.indexSelect(d, index)
  }

  /// All tensors expanded to their common shape.
  public static func broadcast(_ tensors: [Tensor]) throws -> [Tensor] {
    let common = try tensors.reduce([]) { try Shape.broadcast($0, $1.shape) }
    return try tensors.map { try $0.expand(common) }
  }

  /// Coordinate grids: result i has the values of tensor i along dimension i. With `transposed`
  /// the first two exchange their dimensions ("xy" indexing).
  public static func meshgrid(_ tensors: [Tensor], transposed: Bool = false) throws -> [Tensor] {
    try require(!tensors.isEmpty, "meshgrid expects a non-empty TensorList")
    for tensor in tensors {
      try require(
        tensor.rank <= 1,
        "torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: a tensor of shape "
          + Shape.describe(tensor.shape))
      try require(
        tensor.dtype == tensors[0].dtype, "torch.meshgrid expects all tensors to have the same dtype")
    }
    let swaps = transposed && tensors.count >= 2
    var vectors = tensors
    if swaps { vectors.swapAt(0, 1) }
    let sizes = vectors.map(\.count)
    var grids = try vectors.enumerated().map { d, vector in
      var shape = sizes.map { _ in 1 }
      shape[d] = vector.count
      return try vector.reshape(shape).expand(sizes)
    }
    if swaps { grids.swapAt(0, 1) }
    return grids
  }

  private func checkVector() throws {
    try require(rank == 1, "Expect a 1D vector, but got shape \(Shape.describe(shape))")
  }

  /// All tuples with one element of each vector, one row each.
  public static func cartesianProduct(_ tensors: [Tensor]) throws -> Tensor {
    try require(!tensors.isEmpty, "cartesian_prod expects a non-empty TensorList")
    for tensor in tensors { try tensor.checkVector() }
    if tensors.count == 1 { return tensors[0] }
    let columns = try meshgrid(tensors).map { try $0.reshape([$0.count]) }
    return try stack(columns, 1)
  }

  /// All combinations of r elements of a vector, one row each, in order.
  public func combinations(_ r: Int = 2, withReplacement: Bool = false) throws -> Tensor {
    try checkVector()
    try require(r >= 0, "Expect a non-negative number, but got \(r)")
    if r == 0 { return try Tensor(empty: [0], dtype: dtype) }
    let n = count
    if n == 0 || (!withReplacement && r > n) {
      try require(r < 1 << 31, .memory, "not enough memory: combinations of \(r) elements")
      return try narrow(0, 0, 0).unsqueeze(1).expand([0, r])
    }
    // The binomial coefficient (m over k), with k the smaller of the two choices.
    let m = withReplacement ? Double(n) + Double(r) - 1 : Double(n)
    let k = withReplacement ? min(r, n - 1) : min(r, n - r)
    var number = 1.0
    for i in 0..<min(k, 4096) { number *= (m - Double(i)) / Double(i + 1) }
    try require(number * Double(r) < 2e8, .memory, "combinations: \(number) rows are too many")
    var rows: [Int64] = []
    var row = (0..<r).map { withReplacement ? 0 : $0 }
    var found = 0
    while true {
      rows += row.map(Int64.init)
      found += 1
      // The last place that can still grow.
      var place = r - 1
      while place >= 0, row[place] == (withReplacement ? n - 1 : n - r + place) { place -= 1 }
      if place < 0 { break }
      row[place] += 1
      for k in stride(from: place + 1, to: r, by: 1) {
        row[k] = withReplacement ? row[place] : row[k - 1] + 1
      }
    }
    let index = try rows.withUnsafeBytes {
      try Tensor.copying($0.baseAddress, shape: [found, r], dtype: .int64)
    }
    return try self.index([index])
  }

  /// A copy with `source` written into a view of it.
  private func replaced(_ source: Tensor, _ view: (Tensor) throws -> Tensor) throws -> Tensor {
    let copy = try clone()
    let part = try view(copy)
    try require(
      part.shape == source.shape,
      "expected src to have a size equal to the slice of self. src size = \(Shape.describe(source.shape)), slice size = "
        + Shape.describe(part.shape))
    try part.copyInPlace(source)
    return copy
  }

  /// A copy with one position of a dimension replaced.
  public func selectScatter(_ source: Tensor, _ dim: Int, _ index: Int) throws -> Tensor {
    try replaced(source) { try $0.select(dim, index) }
  }

  /// A copy with a slice of a dimension replaced.
  public func sliceScatter(
    _ source: Tensor, _ dim: Int = 0, _ start: Int? = nil, _ end: Int? = nil, step: Int = 1
  )
    throws -> Tensor
  {
    try replaced(source) { try $0.slice(dim, start, end, step: step) }
  }

  /// A copy with a diagonal replaced.
  public func diagonalScatter(_ source: Tensor, offset: Int = 0, _ dim1: Int = 0, _ dim2: Int = 1) throws
    -> Tensor
  {
    try replaced(source) { try $0.diagonal(offset: offset, dim1, dim2) }
  }
}
