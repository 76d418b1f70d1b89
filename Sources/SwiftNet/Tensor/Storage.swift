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
