/// The walk of indexing: which elements of a tensor a set of index tensors selects, and loops that read them, write
/// them and add to them. An element is found as outer offset + index offset + inner offset, where the outer
/// dimensions come before the indexed ones and the inner ones after.
struct IndexWalk {
  /// Offsets of all positions of the outer dimensions, row-major.
  let outer: [Int]
  /// Offset of each position of the index tensors' common shape: int64, contiguous, checked against the sizes.
  let offsets: Tensor
  /// Offsets of all positions of the inner dimensions; empty where they lie in one row of memory.
  let inner: [Int]
  let innerCount: Int
  /// Shape of what the indices select.
  let shape: [Int]

  /// Elements that are worth a thread of their own.
  private static let grain = 1 << 15
  /// Elements of an inner row that one task of a write covers.
  private static let column = 1 << 10

  var count: Int { outer.count * offsets.count * innerCount }

  /// - Parameters:
  ///   - indices: int64 index tensors of one shape, each with the dimension of `tensor` that it selects from.
  ///   - outOfRange: the message for an index that is out of range.
  init(
    _ tensor: Tensor, _ indices: [(dim: Int, index: Tensor)], indexShape: [Int],
    outOfRange: (Int64, Int, Int) -> SwiftNetError
  ) throws {
    let dims = indices.map(\.dim)
    let rank = tensor.rank
    let first = dims.first ?? 0
    let adjacent = zip(dims, dims.dropFirst()).allSatisfy { $1 == $0 + 1 }
    let outerDims = adjacent ? Array(0..<first) : []
    let innerDims = (adjacent ? Array(first..<rank) : Array(0..<rank)).filter { !dims.contains($0) }
    outer = IndexWalk.positions(outerDims.map { tensor.shape[$0] }, outerDims.map { tensor.strides[$0] })
    let innerShape = innerDims.map { tensor.shape[$0] }
    let innerStrides = innerDims.map { tensor.strides[$0] }
    innerCount = innerShape.reduce(1, *)
    inner =
      Shape.isContiguous(innerShape, innerStrides) ? [] : IndexWalk.positions(innerShape, innerStrides)
    shape = outerDims.map { tensor.shape[$0] } + indexShape + innerShape
    _ = try Shape.count(shape)
    let n = try Shape.count(indexShape)
    let sums = try Tensor(empty: [n], dtype: .int64)
    let out = try sums.mutablePointer().assumingMemoryBound(to: Int64.self)
    if indices.isEmpty { out.update(repeating: 0, count: n) }
    for (position, (dim, index)) in indices.enumerated() {
      let values = try index.pointer().assumingMemoryBound(to: Int64.self)
      let size = Int64(tensor.shape[dim])
      let stride = Int64(tensor.strides[dim])
      for i in 0..<n {
        var value = values[i]
        if value < 0 { value &+= size }
        if value < 0 || value >= size { throw outOfRange(values[i], dim, Int(size)) }
        out[i] = position == 0 ? value &* stride : out[i] &+ value &* stride
      }
      withExtendedLifetime(index) {}
    }
    offsets = sums
  }

  /// Offsets of all positions of a shape, row-major.
  static func positions(_ shape: [Int], _ strides: [Int]) -> [Int] {
    var result = [0]
    for (size, stride) in zip(shape, strides) {
      if size == 1 { continue }
      var next = [Int]()
      next.reserveCapacity(result.count * size)
      for start in result { for i in 0..<size { next.append(start &+ i &* stride) } }
      result = next
    }
    return result
  }

  /// Copies the selected elements of `source`, row-major, to `out`.
  func read(_ source: Tensor, to out: Tensor) throws {
    if count == 0 { return }
    let from = try source.pointer()
    let to = try out.mutablePointer()
    switch source.dtype.size {
    case 1: try read(from.assumingMemoryBound(to: UInt8.self), to.assumingMemoryBound(to: UInt8.self))
    case 2: try read(from.assumingMemoryBound(to: UInt16.self), to.assumingMemoryBound(to: UInt16.self))
    case 4: try read(from.assumingMemoryBound(to: UInt32.self), to.assumingMemoryBound(to: UInt32.self))
    default: try read(from.assumingMemoryBound(to: UInt64.self), to.assumingMemoryBound(to: UInt64.self))
    }
  }

  private func read<T>(_ source: UnsafePointer<T>, _ out: UnsafeMutablePointer<T>) throws {
    let m = offsets.count
    let n = innerCount
    let index = try offsets.pointer().assumingMemoryBound(to: Int64.self)
    parallelFor(outer.count * m, grain: max(1, IndexWalk.grain / n)) { start, end in
      var block = start / m
      var i = start - block * m
      var to = out + start * n
      for _ in start..<end {
        let from = source + (outer[block] &+ Int(index[i]))
        if n == 1 {
          to.pointee = from.pointee
        } else if inner.isEmpty {
          to.update(from: from, count: n)
        } else {
          for k in 0..<n { to[k] = from[inner[k]] }
        }
        to += n
        i += 1
        if i == m {
          i = 0
          block += 1
        }
      }
    }
  }

  /// Calls `body(target offset, value offset, count)` for runs that lie in one row on both sides, and for single
  /// elements otherwise. Runs that may touch the same element are visited in order by one thread.
  @inline(__always)
  private func forEachRun(_ body: (Int, Int, Int) -> Void) throws {
    let m = offsets.count
    let n = innerCount
    let index = try offsets.pointer().assumingMemoryBound(to: Int64.self)
    let columns = (n + IndexWalk.column - 1) / IndexWalk.column
    let width = (n + columns - 1) / columns
    parallelFor(outer.count * columns, grain: max(1, IndexWalk.grain / (m * width))) { start, end in
      for task in start..<end {
        let block = task / columns
        let first = task % columns * width
        let last = min(first + width, n)
        if first >= last { continue }
        for i in 0..<m {
          let target = outer[block] &+ Int(index[i])
          let value = (block * m + i) * n
          if inner.isEmpty {
            body(target + first, value + first, last - first)
          } else {
            for k in first..<last { body(target + inner[k], value + k, 1) }
          }
        }
      }
    }
  }

  /// Writes `values` (contiguous, of `shape`; or a single element for all) to the selected elements. Of several
  /// values for one element the last stays.
  func write(_ values: Tensor, to target: Tensor) throws {
    if count == 0 { return }
    let from = try values.pointer()
    let to = try target.mutablePointer()
    let single = values.count == 1
    switch target.dtype.size {
    case 1:
      try write(from.assumingMemoryBound(to: UInt8.self), single, to.assumingMemoryBound(to: UInt8.self))
    case 2:
      try write(from.assumingMemoryBound(to: UInt16.self), single, to.assumingMemoryBound(to: UInt16.self))
    case 4:
      try write(from.assumingMemoryBound(to: UInt32.self), single, to.assumingMemoryBound(to: UInt32.self))
    default:
      try write(from.assumingMemoryBound(to: UInt64.self), single, to.assumingMemoryBound(to: UInt64.self))
    }
    withExtendedLifetime(values) {}
  }

  private func write<T>(_ values: UnsafePointer<T>, _ single: Bool, _ target: UnsafeMutablePointer<T>) throws {
    if single {
      let value = values.pointee
      try forEachRun { to, _, n in (target + to).update(repeating: value, count: n) }
    } else {
      try forEachRun { to, from, n in (target + to).update(from: values + from, count: n) }
    }
  }

  /// Adds `values` to the selected elements, one after the other. Both tensors hold lane values.
  func add(_ values: Tensor, to target: Tensor) throws {
    if count == 0 { return }
    let from = try values.pointer()
    let to = try target.mutablePointer()
    let step = values.count == 1 ? 0 : 1
    switch target.dtype {
    case .float32:
      try add(from.assumingMemoryBound(to: Float.self), step, to.assumingMemoryBound(to: Float.self))
    case .float64:
      try add(from.assumingMemoryBound(to: Double.self), step, to.assumingMemoryBound(to: Double.self))
    default:
      let source = from.assumingMemoryBound(to: Int64.self)
      let sums = to.assumingMemoryBound(to: Int64.self)
      try forEachRun { to, from, n in
        for k in 0..<n { sums[to + k] &+= source[(from + k) &* step] }
      }
    }
    withExtendedLifetime(values) {}
  }

  private func add<T: FloatingPoint>(
    _ values: UnsafePointer<T>, _ step: Int, _ target: UnsafeMutablePointer<T>
  ) throws {
    try forEachRun { to, from, n in
      let sums = target + to
      if step == 0 {
        for k in 0..<n { sums[k] += values[0] }
      } else {
        let source = values + from
        for k in 0..<n { sums[k] += source[k] }
      }
    }
  }
}
