/// A block of memory that tensors share. It counts the changes made to it, so that backward can tell whether a
/// saved tensor still holds what it held.
public final class Storage: @unchecked Sendable {
  public let pointer: UnsafeMutableRawPointer
  public let byteCount: Int
  /// Grows with each in-place operation on any tensor that shares this memory.
  public internal(set) var version = 0
  private let block: MemoryPool.Block?
  private let release: (() -> Void)?
  /// Whether memory outside this library (a NumPy array, say) may read or write these bytes at any time.
  public internal(set) var isShared: Bool

  /// New memory of the pool, not cleared.
  init(byteCount: Int) throws {
    let block = try MemoryPool.shared.allocate(byteCount)
    self.block = block
    self.pointer = block.pointer
    self.byteCount = byteCount
    self.release = nil
    self.isShared = false
  }

  /// Memory that somebody else owns; `release` is called when no tensor uses it any more.
  public init(foreign pointer: UnsafeMutableRawPointer, byteCount: Int, release: @escaping () -> Void) {
    self.block = nil
    self.pointer = pointer
    self.byteCount = byteCount
    self.release = release
    self.isShared = true
  }

  deinit {
    if let block { MemoryPool.shared.deallocate(block) }
    release?()
  }
}

extension Tensor {
  /// A tensor over memory that somebody else owns.
  public static func overMemory(
    _ data: UnsafeMutableRawPointer?, bytes: Int, shape: [Int], strides: [Int], offset: Int, dtype: DType,
    release: @escaping () -> Void
  ) throws -> Tensor {
    let count = try Shape.count(shape)
    try require(shape.count == strides.count, .value, "shape and strides differ in length")
    let geometry = Geometry(shape: shape, strides: strides, offset: offset)
    let extent = Tensor.extent(geometry)
    try require(
      count == 0 || (extent.lowerBound >= 0 && extent.upperBound <= bytes / dtype.size), .value,
      "shape \(Shape.describe(shape)) with strides \(Shape.describe(strides)) does not lie in \(bytes) bytes of memory")
    try require(
      !strides.contains { $0 < 0 }, .value,
      "At least one of the strides is negative, and tensors with negative strides are not currently supported. "
        + "(You can make a copy with array.copy().)")
    guard let data = data ?? (count == 0 ? UnsafeMutableRawPointer(bitPattern: 64) : nil) else {
      throw SwiftNetError.value("memory is NULL")
    }
    let storage = Storage(foreign: data, byteCount: bytes, release: release)
    return Tensor(storage: storage, dtype: dtype, shape: shape, strides: strides, offset: offset, count: count)
  }

  /// A tensor with a copy of row-major data.
  public static func copying(_ data: UnsafeRawPointer?, shape: [Int], dtype: DType) throws -> Tensor {
    let result = try Tensor(empty: shape, dtype: dtype)
    if result.count > 0, let data {
      try result.mutablePointer().copyMemory(from: data, byteCount: result.count * dtype.size)
    }
    return result
  }

  /// The first element, for memory that others will read and write from now on.
  public func exposeMemory() throws -> UnsafeMutableRawPointer {
    let storage = try self.storage
    storage.isShared = true
    return storage.pointer + offset &* dtype.size
  }

  public var storageBytes: Int {
    get throws { try storage.byteCount }
  }

  public var version: Int { memory.version }

  /// Equal for tensors that share memory.
  public var storageIdentity: Int { Int(bitPattern: memory.pointer) }

  /// Takes over the memory, shape and dtype of another tensor; its own gradient and history stay.
  public func setData(_ source: Tensor) throws {
    memory = try source.storage
    dtype = source.dtype
    shape = source.shape
    strides = source.strides
    offset = source.offset
    count = source.count
  }
}
