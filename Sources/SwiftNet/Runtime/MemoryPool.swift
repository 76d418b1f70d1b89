import Synchronization

/// The memory of tensors. Freed blocks are kept and given out again, so that a training step that repeats finds
/// the pages of the step before: no page faults, no clearing by the kernel.
///
/// Small blocks come in size classes (four per power of two) with a list each. Large ones (over 1 MiB) are
/// mapped by themselves, rounded to 64 KiB, and reused for any request that leaves at most an eighth unused.
public final class MemoryPool: @unchecked Sendable {
  public static let shared = MemoryPool()

  public struct Statistics: Sendable {
    /// Bytes in use by tensors.
    public var live = 0
    /// Highest value of `live` since the start or `resetPeak()`.
    public var peak = 0
    /// Bytes kept for reuse.
    public var cached = 0
    /// How often the system was asked for memory.
    public var systemAllocations = 0
  }

  /// A block of the pool: `capacity` bytes at `pointer`, aligned to 64 bytes.
  struct Block {
    var pointer: UnsafeMutableRawPointer
    var capacity: Int
  }

  static let alignment = 64
  private static let largeLimit = 1 << 20
  private static let largeUnit = 1 << 16

  private struct State {
    var statistics = Statistics()
    /// By size class.
    var small: [[UnsafeMutableRawPointer]] = Array(repeating: [], count: 128)
    /// Sorted by capacity.
    var large: [Block] = []
  }

  private var state = State()
  private let lock = Atomic<Bool>(false)
  private let physicalMemory: Int
  /// With SWIFTNET_MEMORY_POOL=0 in the environment every block comes from the system, exactly as large as asked for,
  /// and goes back at once: what a memory checker needs to see.
  private let keepsBlocks = environment("SWIFTNET_MEMORY_POOL") != "0"

  private init() {
    physicalMemory = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))
    pthread_atfork(
      { MemoryPool.shared.acquire() }, { MemoryPool.shared.release() }, { MemoryPool.shared.release() })
  }

  private func acquire() {
    while !lock.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged {
      sched_yield()
    }
  }

  private func release() { lock.store(false, ordering: .releasing) }

  /// Class and capacity of a small request: powers of two from 64, in four steps each.
  private static func sizeClass(_ bytes: Int) -> (index: Int, capacity: Int) {
    if bytes <= 64 { return (0, 64) }
    let exponent = Int.bitWidth - 1 - (bytes - 1).leadingZeroBitCount
    let step = 1 << (exponent - 2)
    let quarter = (bytes - 1 - (1 << exponent)) / step
    return ((exponent - 6) * 4 + quarter + 1, (1 << exponent) + (quarter + 1) * step)
  }

  /// Throws for a size that this machine cannot have.
  func checkPossible(_ bytes: Int) throws {
    try require(bytes <= physicalMemory, .memory, outOfMemory(bytes).message)
  }

  func allocate(_ bytes: Int) throws -> Block {
    if !keepsBlocks { return try allocateUnpooled(bytes) }
    if bytes <= MemoryPool.largeLimit {
      let (index, capacity) = MemoryPool.sizeClass(bytes)
      acquire()
      let cached = state.small[index].popLast()
      count(capacity, cached: cached != nil)
      release()
      if let cached { return Block(pointer: cached, capacity: capacity) }
      var pointer: UnsafeMutableRawPointer?
      if posix_memalign(&pointer, MemoryPool.alignment, capacity) == 0, let pointer {
        return Block(pointer: pointer, capacity: capacity)
      }
      uncount(capacity)
      throw outOfMemory(bytes)
    }
    try checkPossible(bytes)
    let capacity = (bytes + MemoryPool.largeUnit - 1) & ~(MemoryPool.largeUnit - 1)
    acquire()
    var low = 0
    var high = state.large.count
    while low < high {
      let middle = (low + high) / 2
      if state.large[middle].capacity < capacity { low = middle + 1 } else { high = middle }
    }
    if low < state.large.count, state.large[low].capacity - capacity <= capacity / 8 {
      let block = state.large.remove(at: low)
      count(block.capacity, cached: true)
      release()
      return block
    }
    count(capacity, cached: false)
    release()
    if let pointer = MemoryPool.map(capacity) { return Block(pointer: pointer, capacity: capacity) }
    empty()
    if let pointer = MemoryPool.map(capacity) { return Block(pointer: pointer, capacity: capacity) }
    uncount(capacity)
    throw outOfMemory(bytes)
  }

  private func allocateUnpooled(_ bytes: Int) throws -> Block {
    try require(bytes <= physicalMemory, .memory, outOfMemory(bytes).message)
    var pointer: UnsafeMutableRawPointer?
    guard posix_memalign(&pointer, MemoryPool.alignment, max(bytes, 1)) == 0, let pointer else {
      throw outOfMemory(bytes)
    }
    acquire()
    count(bytes, cached: false)
    release()
    return Block(pointer: pointer, capacity: bytes)
  }

  func deallocate(_ block: Block) {
    acquire()
    state.statistics.live -= block.capacity
    if !keepsBlocks {
      release()
      free(block.pointer)
      return
    }
    state.statistics.cached += block.capacity
    if block.capacity <= MemoryPool.largeLimit {
      state.small[MemoryPool.sizeClass(block.capacity).index].append(block.pointer)
    } else {
      var low = 0
      var high = state.large.count
      while low < high {
        let middle = (low + high) / 2
        if state.large[middle].capacity < block.capacity { low = middle + 1 } else { high = middle }
      }
      state.large.insert(block, at: low)
    }
    release()
  }

  private func count(_ capacity: Int, cached: Bool) {
    state.statistics.live += capacity
    state.statistics.peak = max(state.statistics.peak, state.statistics.live)
    if cached { state.statistics.cached -= capacity } else { state.statistics.systemAllocations += 1 }
  }

  private func uncount(_ capacity: Int) {
    acquire()
    state.statistics.live -= capacity
    release()
  }

  private func outOfMemory(_ bytes: Int) -> SwiftNetError {
    .memory("not enough memory: you tried to allocate \(bytes) bytes")
  }

  private static func map(_ bytes: Int) -> UnsafeMutableRawPointer? {
    #if os(Linux)
      let flags = MAP_PRIVATE | MAP_ANONYMOUS
    #else
      let flags = MAP_PRIVATE | MAP_ANON
    #endif
    guard let pointer = mmap(nil, bytes, PROT_READ | PROT_WRITE, flags, -1, 0), pointer != MAP_FAILED else {
      return nil
    }
    #if os(Linux)
      // Huge pages where the system has them: fewer page faults and TLB misses.
      if bytes >= 4 << 20 { madvise(pointer, bytes, Int32(MADV_HUGEPAGE)) }
    #endif
    return pointer
  }

  /// Returns all cached memory to the system.
  public func empty() {
    acquire()
    let small = state.small
    let large = state.large
    state.small = Array(repeating: [], count: small.count)
    state.large = []
    state.statistics.cached = 0
    release()
    for list in small {
      for pointer in list { free(pointer) }
    }
    for block in large { munmap(block.pointer, block.capacity) }
  }

  public var statistics: Statistics {
    acquire()
    defer { release() }
    return state.statistics
  }

  /// Starts `peak` anew from what is live now.
  public func resetPeak() {
    acquire()
    state.statistics.peak = state.statistics.live
    release()
  }
}
