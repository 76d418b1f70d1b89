/// Arithmetic of shapes and strides. Sizes and strides count elements; dimensions may be negative, from the end.
public enum Shape {
  /// Number of elements. Throws where it does not fit a memory of any size.
  public static func count(_ shape: [Int]) throws -> Int {
    var total = 1
    for size in shape {
      if size < 0 {
        throw SwiftNetError.runtime(
          "Trying to create tensor with negative dimension \(size): \(describe(shape))")
      }
      let (product, overflow) = total.multipliedReportingOverflow(by: size)
      if overflow || product > Int.max / 16 {
        if shape.contains(0) { return 0 }
        throw SwiftNetError.memory("not enough memory: a tensor of shape \(describe(shape)) is too large")
      }
      total = product
    }
    return total
  }

  /// Strides of a dense row-major tensor.
  public static func contiguousStrides(_ shape: [Int]) -> [Int] {
    if shape.count == 1 { return [1] }
    var strides = shape
    var stride = 1
    for d in shape.indices.reversed() {
      strides[d] = stride
      stride = stride &* max(shape[d], 1)
    }
    return strides
  }

  /// Strides of a dense tensor whose dimension 1 (channels) varies fastest.
  public static func channelsLastStrides(_ shape: [Int]) -> [Int] {
    var strides = shape
    var stride = 1
    strides[1] = 1
    stride = max(shape[1], 1)
    for d in shape.indices.dropFirst(2).reversed() {
      strides[d] = stride
      stride = stride &* max(shape[d], 1)
    }
    strides[0] = stride
    return strides
  }

  public static func isContiguous(_ shape: [Int], _ strides: [Int]) -> Bool {
    var expected = 1
    for d in shape.indices.reversed() {
      if shape[d] == 0 { return true }
      if shape[d] != 1 {
        if strides[d] != expected { return shape.contains(0) }
        expected = expected &* shape[d]
      }
    }
    return true
  }

  public static func isChannelsLast(_ shape: [Int], _ strides: [Int]) -> Bool {
    guard shape.count >= 3 else { return false }
    var expected = 1
    for d in [1] + Array((2..<shape.count).reversed()) + [0] where shape[d] != 1 {
      if strides[d] != expected { return false }
      expected = expected &* shape[d]
    }
    return true
  }

  /// Whether the elements lie with channels fastest, gaps or not: a slice of channels-last maps does. Results follow it.
  public static func suggestsChannelsLast(_ shape: [Int], _ strides: [Int]) -> Bool {
    guard shape.count >= 3, strides[1] != 0 else { return false }
    var least = 0
    for d in [1] + Array((2..<shape.count).reversed()) + [0] {
      // All of one element each: any order would do.
      if shape[d] == 0 || strides[d] < least || d == 0 && least == strides[1] { return false }
      least = shape[d] > 1 ? strides[d] &* shape[d] : strides[d]
    }
    return true
  }

  /// Whether the elements fill a block of memory without gaps or overlaps, in some order of dimensions.
  public static func isDense(_ shape: [Int], _ strides: [Int]) -> Bool {
    if isContiguous(shape, strides) { return true }
    var order: [(stride: Int, size: Int)] = []
    for d in shape.indices where shape[d] != 1 { order.append((strides[d], shape[d])) }
    order.sort { $0.stride < $1.stride }
    var expected = 1
    for (stride, size) in order {
      if stride != expected { return false }
      expected = expected &* size
    }
    return true
  }

  /// The common shape by broadcasting.
  public static func broadcast(_ a: [Int], _ b: [Int]) throws -> [Int] {
    if a == b { return a }
    var result = a.count >= b.count ? a : b
    let shorter = a.count >= b.count ? b : a
    let lead = result.count - shorter.count
    for d in shorter.indices {
      let x = result[lead + d]
      let y = shorter[d]
      if x == y || y == 1 { continue }
      if x == 1 {
        result[lead + d] = y
      } else {
        let last = a.count >= b.count ? (x, y) : (y, x)
        throw SwiftNetError.runtime(
          "The size of tensor a (\(last.0)) must match the size of tensor b (\(last.1)) at non-singleton "
            + "dimension \(lead + d): shapes \(describe(a)) and \(describe(b))")
      }
    }
    return result
  }

  /// Strides with which a tensor reads as `target`, 0 where it repeats. The shapes must broadcast.
  static func broadcastStrides(_ shape: [Int], _ strides: [Int], to target: [Int]) -> [Int] {
    if shape == target { return strides }
    let lead = target.count - shape.count
    var result = [Int](repeating: 0, count: target.count)
    for d in shape.indices where shape[d] != 1 || target[lead + d] == 1 { result[lead + d] = strides[d] }
    return result
  }

  /// A dimension counted from the front. A tensor without dimensions accepts 0 and -1.
  public static func dimension(_ dim: Int, rank: Int) throws -> Int {
    let bound = max(rank, 1)
    guard dim >= -bound, dim < bound else {
      throw SwiftNetError.index(
        "Dimension out of range (expected to be in range of [\(-bound), \(bound - 1)], but got \(dim))")
    }
    return dim < 0 ? dim + bound : dim
  }

  /// Dimensions counted from the front, each at most once.
  public static func dimensions(_ dims: [Int], rank: Int) throws -> [Int] {
    var seen = [Bool](repeating: false, count: max(rank, 1))
    return try dims.map { dim in
      let d = try dimension(dim, rank: rank)
      try require(!seen[d], "dim \(d) appears multiple times in the list of dims")
      seen[d] = true
      return d
    }
  }

  /// "swiftnet.Size([2, 3])", as Python prints it.
  static func size(_ shape: [Int]) -> String { "swiftnet.Size(\(describe(shape)))" }

  /// "[2, 3]".
  public static func describe(_ shape: [Int]) -> String {
    "[" + shape.map(String.init).joined(separator: ", ") + "]"
  }
}
