/// Memory of the pool that lives as long as this object.
final class Scratch {
  private let block: MemoryPool.Block
  let pointer: UnsafeMutableRawPointer

  init(bytes: Int) throws {
    block = try MemoryPool.shared.allocate(max(bytes, 64))
    pointer = block.pointer
  }

  deinit { MemoryPool.shared.deallocate(block) }

  func of<T>(_: T.Type) -> UnsafeMutablePointer<T> { pointer.assumingMemoryBound(to: T.self) }
}

/// One piece of scratch memory per thread: the body of a parallel loop takes one and gives it back.
final class ScratchSlots: @unchecked Sendable {
  private let memory: Scratch
  private let bytes: Int
  private let taken: UnsafeMutablePointer<Bool>
  private let count: Int
  private let lock = SpinLock()

  init(bytes: Int) throws {
    count = ThreadPool.shared.threadCount
    self.bytes = (bytes + 127) & ~63
    memory = try Scratch(bytes: count * self.bytes)
    taken = .allocate(capacity: count)
    taken.initialize(repeating: false, count: count)
  }

  deinit { taken.deallocate() }

  /// Runs `body` with a piece that no other thread uses meanwhile. No more bodies than threads run at a time, so a
  /// piece is always free, unless the number of threads has just been raised: then the others wait their turn.
  @inline(__always)
  func with(_ body: (UnsafeMutableRawPointer) -> Void) {
    var slot = claim()
    while slot < 0 {
      sched_yield()
      slot = claim()
    }
    body(memory.pointer + slot * bytes)
    lock.withLock { taken[slot] = false }
  }

  private func claim() -> Int {
    lock.withLock {
      for slot in 0..<count where !taken[slot] {
        taken[slot] = true
        return slot
      }
      return -1
    }
  }
}
