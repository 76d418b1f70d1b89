import CIntrinsics
import Synchronization

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

/// One piece of scratch memory per thread: the body of a parallel loop takes one and gives it back. Its own thread's, if it
/// is free; small pieces are at the same place in every loop, see `ThreadBlocks`.
final class ScratchSlots: @unchecked Sendable {
  /// Where the pieces are. Nothing on the way there counts references, which threads would do to one line of the cache.
  private let places: UnsafeMutablePointer<UnsafeMutableRawPointer>
  /// nil if they are the threads' own.
  private let memory: Scratch?
  private let taken: UnsafeMutablePointer<Bool>
  private let count: Int
  private let lock = SpinLock()

  init(bytes: Int) throws {
    let isAlone = sn_has_own_blocks() != 0
    let count = isAlone ? 1 : ThreadPool.shared.threadCount
    let bytes = (bytes + 127) & ~63
    if !isAlone, let own = try ThreadBlocks.shared.take(count, bytes: bytes) {
      memory = nil
      places = .allocate(capacity: count)
      for slot in 0..<count { places[slot] = own[slot].pointer }
    } else {
      let memory = try Scratch(bytes: count * bytes)
      self.memory = memory
      places = .allocate(capacity: count)
      for slot in 0..<count { places[slot] = memory.pointer + slot * bytes }
    }
    self.count = count
    taken = .allocate(capacity: count)
    taken.initialize(repeating: false, count: count)
  }

  deinit {
    places.deallocate()
    taken.deallocate()
    if memory == nil { ThreadBlocks.shared.giveBack() }
  }

  /// Runs `body` with a piece that no other thread uses meanwhile. No more bodies than threads run at a time, so a
  /// piece is always free, unless the number of threads has just been raised: then the others wait their turn.
  @inline(__always)
  func with(_ body: (UnsafeMutableRawPointer) -> Void) {
    var slot = claim()
    while slot < 0 {
      sched_yield()
      slot = claim()
    }
    body(places[slot])
    lock.withLock { taken[slot] = false }
  }

  private func claim() -> Int {
    let own = Int(sn_thread_number())
    return lock.withLock {
      if own < count, !taken[own] {
        taken[own] = true
        return own
      }
      for slot in 0..<count where !taken[slot] {
        taken[slot] = true
        return slot
      }
      return -1
    }
  }
}

/// A block of memory for each thread of the pool, in which its scratch lies in one loop after another. Where a thread writes
/// what another one has read or written before, the processor fetches each line from the other's caches, or has it thrown
/// out there, which takes long between cores that share no third-level cache.
///
/// One loop has them at a time; another, of a second caller or inside of the first, has memory of its own.
final class ThreadBlocks: @unchecked Sendable {
  static let shared = ThreadBlocks()

  /// Bytes of the largest pieces that lie here.
  private static let most = 4 << 20

  /// Who has set it owns the rest.
  private let isTaken = Atomic<Bool>(false)
  private var blocks: [MemoryPool.Block] = []
  /// Bytes that the loop under way has asked for; only these count as in use.
  private var asked = 0

  private func tryTake() -> Bool {
    isTaken.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged
  }

  func giveBack() {
    MemoryPool.shared.use(kept: -asked)
    asked = 0
    isTaken.store(false, ordering: .releasing)
  }

  /// A block of at least so many bytes for each of the threads; nil if they are too large, or not to be had now.
  func take(_ threads: Int, bytes: Int) throws -> [MemoryPool.Block]? {
    guard MemoryPool.shared.keepsBlocks, bytes <= ThreadBlocks.most, tryTake() else { return nil }
    do {
      for thread in 0..<threads where thread >= blocks.count || blocks[thread].capacity < bytes {
        if thread < blocks.count { free(blocks.remove(at: thread)) }
        let block = try MemoryPool.shared.allocate(bytes)
        MemoryPool.shared.use(kept: -block.capacity)
        blocks.insert(block, at: thread)
      }
    } catch {
      giveBack()
      throw error
    }
    asked = threads * bytes
    MemoryPool.shared.use(kept: asked)
    return blocks
  }

  private func free(_ block: MemoryPool.Block) {
    MemoryPool.shared.use(kept: block.capacity)
    MemoryPool.shared.deallocate(block)
  }

  /// Gives the memory back to the pool, unless a loop has it.
  func empty() {
    guard tryTake() else { return }
    while let block = blocks.popLast() { free(block) }
    giveBack()
  }
}
