/// Sorting works on keys: an unsigned integer whose order is that of the elements, followed by the element's
/// position. No two keys are equal, so any algorithm that sorts them sorts stably, and which of several equal
/// elements is found does not depend on the algorithm.
///
/// NaN is larger than everything else, and -0 equals 0. In descending order the value bits are inverted, and
/// positions still ascend.

/// A value of 32 bits and a position in one integer.
typealias ShortKey = UInt64

/// A value of 64 bits and a position.
struct LongKey: Comparable {
  var value: UInt64
  var position: Int

  @inline(__always)
  static func < (a: LongKey, b: LongKey) -> Bool {
    a.value != b.value ? a.value < b.value : a.position < b.position
  }
}

protocol SortKey: Comparable {
  init(value: UInt64, position: Int)
  var position: Int { get }
  /// The value without its position: equal for equal elements.
  var sortValue: UInt64 { get }
  static var valueBits: Int { get }
}

extension ShortKey: SortKey {
  @inline(__always)
  init(value: UInt64, position: Int) { self = value << 32 | UInt64(truncatingIfNeeded: position) }
  @inline(__always)
  var position: Int { Int(self & 0xffff_ffff) }
  @inline(__always)
  var sortValue: UInt64 { self >> 32 }
  static var valueBits: Int { 32 }
}

extension LongKey: SortKey {
  @inline(__always)
  var sortValue: UInt64 { value }
  static var valueBits: Int { 64 }
}

/// The bits of a float as an integer of the same order.
@inline(__always)
func orderedBits(_ value: Float) -> UInt64 {
  if value != value { return 0xffff_ffff }
  let bits = (value == 0 ? 0 : value).bitPattern
  return UInt64(bits >> 31 == 1 ? ~bits : bits | 0x8000_0000)
}

@inline(__always)
func orderedBits(_ value: Double) -> UInt64 {
  if value != value { return .max }
  let bits = (value == 0 ? 0 : value).bitPattern
  return bits >> 63 == 1 ? ~bits : bits | 1 << 63
}

@inline(__always)
func orderedBits(_ value: Int64) -> UInt64 { UInt64(bitPattern: value) ^ (1 << 63) }

/// Sorts keys whose positions ascend: by digits of the value where that pays, which keeps equal values in order.
@inline(never)
func sortKeys<Key: SortKey>(_ keys: UnsafeMutableBufferPointer<Key>, scratch: UnsafeMutableBufferPointer<Key>) {
  let n = keys.count
  if n <= 24 {
    insertionSort(keys)
    return
  }
  if n < 400 {
    var slice = keys
    slice.sort()
    return
  }
  let digit = 11
  let passes = (Key.valueBits + digit - 1) / digit
  let mask = UInt64(1 << digit - 1)
  var source = keys
  var target = scratch
  withUnsafeTemporaryAllocation(of: Int.self, capacity: passes << digit) { counts in
    counts.update(repeating: 0)
    for key in keys {
      var value = key.sortValue
      for pass in 0..<passes {
        counts[pass << digit | Int(value & mask)] += 1
        value >>= UInt64(digit)
      }
    }
    for pass in 0..<passes {
      let base = pass << digit
      let shift = UInt64(pass * digit)
      // A digit that is the same everywhere moves nothing.
      if counts[base | Int(source[0].sortValue >> shift & mask)] == n { continue }
      var total = 0
      for value in base..<base + 1 << digit {
        let count = counts[value]
        counts[value] = total
        total += count
      }
      for i in 0..<n {
        let key = source[i]
        let place = base | Int(key.sortValue >> shift & mask)
        target[counts[place]] = key
        counts[place] += 1
      }
      swap(&source, &target)
    }
  }
  if source.baseAddress != keys.baseAddress, let from = source.baseAddress {
    keys.baseAddress?.update(from: from, count: n)
  }
}

private func insertionSort<Key: SortKey>(_ keys: UnsafeMutableBufferPointer<Key>) {
  for i in stride(from: 1, to: keys.count, by: 1) {
    let key = keys[i]
    var j = i
    while j > 0, key < keys[j - 1] {
      keys[j] = keys[j - 1]
      j -= 1
    }
    keys[j] = key
  }
}

/// Puts the smallest `count` keys at the front, in order: each key is compared with the last of these, and few get past it.
@inline(never)
func takeFewKeys<Key: SortKey>(_ keys: UnsafeMutableBufferPointer<Key>, count: Int) {
  insertionSort(UnsafeMutableBufferPointer(rebasing: keys[..<count]))
  for i in count..<keys.count {
    let key = keys[i]
    var j = count - 1
    if !(key < keys[j]) { continue }
    while j > 0, key < keys[j - 1] {
      keys[j] = keys[j - 1]
      j -= 1
    }
    keys[j] = key
  }
}

/// Moves the smallest `count` keys to the front, in any order (Hoare's selection). The last of them, in sorted
/// order, is then at `count - 1`.
@inline(never)
func selectKeys<Key: SortKey>(_ keys: UnsafeMutableBufferPointer<Key>, count: Int) {
  var low = 0
  var high = keys.count - 1
  let wanted = count - 1
  while low < high {
    // Median of three guards against sorted input.
    let middle = low + (high - low) / 2
    if keys[middle] < keys[low] { keys.swapAt(middle, low) }
    if keys[high] < keys[low] { keys.swapAt(high, low) }
    if keys[high] < keys[middle] { keys.swapAt(high, middle) }
    let pivot = keys[middle]
    var i = low
    var j = high
    while i <= j {
      while keys[i] < pivot { i += 1 }
      while pivot < keys[j] { j -= 1 }
      if i <= j {
        keys.swapAt(i, j)
        i += 1
        j -= 1
      }
    }
    if wanted <= j { high = j } else if wanted >= i { low = i } else { return }
  }
}

/// The rows of a tensor along one dimension as keys.
struct KeyRows {
  let tensor: Tensor
  let rows: Int
  let length: Int
  private let descending: Bool
  private let pointer: UnsafeRawPointer
  /// A copy in the lane type, with the rows contiguous.
  private let values: Tensor

  /// Whether a position and a value fit one 64-bit key.
  var isShort: Bool { values.dtype == .float32 && length <= 1 << 31 }

  init(_ tensor: Tensor, _ d: Int, descending: Bool = false) throws {
    self.tensor = tensor
    self.descending = descending
    let ordered = try noGrad { try tensor.rank == 0 ? tensor.reshape([1]) : tensor.movedToEnd(d) }
    length = ordered.shape.last ?? 1
    rows = length == 0 ? 0 : ordered.count / length
    values = try noGrad { try ordered.to(tensor.dtype.lane.dtype).contiguous() }
    pointer = try values.pointer()
  }

  /// Fills `keys` with those of one row.
  @inline(never)
  func fill<Key: SortKey>(_ keys: UnsafeMutableBufferPointer<Key>, row: Int) {
    let start = row * length
    let flip: UInt64 = descending ? (Key.valueBits == 32 ? 0xffff_ffff : .max) : 0
    switch values.dtype {
    case .float32:
      let from = pointer.assumingMemoryBound(to: Float.self) + start
      for i in 0..<length { keys[i] = Key(value: orderedBits(from[i]) ^ flip, position: i) }
    case .float64:
      let from = pointer.assumingMemoryBound(to: Double.self) + start
      for i in 0..<length { keys[i] = Key(value: orderedBits(from[i]) ^ flip, position: i) }
    default:
      let from = pointer.assumingMemoryBound(to: Int64.self) + start
      for i in 0..<length { keys[i] = Key(value: orderedBits(from[i]) ^ flip, position: i) }
    }
  }

  /// Whether an element is NaN.
  @inline(__always)
  func isNaN(_ row: Int, _ position: Int) -> Bool {
    switch values.dtype {
    case .float32: pointer.assumingMemoryBound(to: Float.self)[row * length + position].isNaN
    case .float64: pointer.assumingMemoryBound(to: Double.self)[row * length + position].isNaN
    default: false
    }
  }

  /// Calls `body(row, keys, scratch)` for every row, with its keys. (The body's type is known, so that the compiler makes
  /// its loops for the keys' type.)
  func forEachRow<Body: KeyRowBody>(_ body: Body) {
    if isShort { forEachRow(ShortKey.self, body) } else { forEachRow(LongKey.self, body) }
    withExtendedLifetime((tensor, values)) {}
  }

  private func forEachRow<Key: SortKey, Body: KeyRowBody>(_ type: Key.Type, _ body: Body) {
    parallelFor(rows, grain: max(1, (1 << 13) / max(length, 1))) { start, end in
      let memory = UnsafeMutableBufferPointer<Key>.allocate(capacity: 2 * length)
      defer { memory.deallocate() }
      let keys = UnsafeMutableBufferPointer(rebasing: memory[..<length])
      let scratch = UnsafeMutableBufferPointer(rebasing: memory[length...])
      for row in start..<end {
        fill(keys, row: row)
        body.run(row, keys, scratch)
      }
    }
  }
}

/// Work on the keys of one row, for either kind of key.
protocol KeyRowBody {
  func run<Key: SortKey>(
    _ row: Int, _ keys: UnsafeMutableBufferPointer<Key>, _ scratch: UnsafeMutableBufferPointer<Key>)
}
