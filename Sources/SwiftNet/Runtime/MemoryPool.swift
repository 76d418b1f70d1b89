import CIntrinsics

/// The memory of tensors. Freed blocks are kept and given out again, so that a training step that repeats finds
/// the pages of the step before: no page faults, no clearing by the kernel.
///
/// Small blocks come in size classes (four per power of two) with a list each, and what lies in the list of one size
/// serves no other. So those of over 64 KiB are cut out of large segments of address space, see `LargeBlocks`.
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
  private static let largeLimit = 1 << 16
  /// Free bytes that a thread has of its own.
  private static let mostOwn = 32 << 20

  private struct State {
    var statistics = Statistics()
    /// By size class.
    var small: [[UnsafeMutableRawPointer]] = Array(repeating: [], count: 128)
    var large = LargeBlocks()
    /// Those of each thread, see `withOwnBlocks`.
    var own: [LargeBlocks] = []
    /// Bytes kept for the threads that no loop uses.
    var unused = 0

    mutating func takeFree(_ capacity: Int) -> UnsafeMutableRawPointer? {
      let thread = Int(sn_thread_number())
      if sn_has_own_blocks() != 0, thread < own.count, let pointer = own[thread].takeFree(capacity) { return pointer }
      return large.takeFree(capacity)
    }

    mutating func put(_ block: Block) {
      let thread = Int(sn_thread_number())
      while sn_has_own_blocks() != 0, own.count <= thread { own.append(LargeBlocks()) }
      if sn_has_own_blocks() != 0, own[thread].freeBytes + block.capacity <= MemoryPool.mostOwn {
        own[thread].put(block)
      } else {
        large.put(block)
      }
    }

    /// Bytes that nobody uses.
    var freeBytes: Int { statistics.cached + large.freeBytes + unused + own.reduce(0) { $0 + $1.freeBytes } }
  }

  private var state = State()
  private let lock = SpinLock()
  private let physicalMemory: Int
  /// With SWIFTNET_MEMORY_POOL=0 in the environment every block comes from the system, exactly as large as asked for,
  /// and goes back at once: what a memory checker needs to see.
  let keepsBlocks = environment("SWIFTNET_MEMORY_POOL") != "0"

  private init() {
    physicalMemory = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))
    pthread_atfork(
      { MemoryPool.shared.lock.acquire() }, { MemoryPool.shared.lock.release() },
      { MemoryPool.shared.lock.release() })
  }

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
      lock.acquire()
      let cached = state.small[index].popLast()
      if cached != nil { state.statistics.cached -= capacity }
      count(capacity, isNew: cached == nil)
      lock.release()
      if let cached { return Block(pointer: cached, capacity: capacity) }
      var pointer: UnsafeMutableRawPointer?
      if posix_memalign(&pointer, MemoryPool.alignment, capacity) == 0, let pointer {
        return Block(pointer: pointer, capacity: capacity)
      }
      uncount(capacity)
      throw outOfMemory(bytes)
    }
    try checkPossible(bytes)
    let capacity = LargeBlocks.rounded(bytes)
    for attempt in 0..<2 {
      lock.acquire()
      if let pointer = state.takeFree(capacity) {
        count(capacity, isNew: false)
        lock.release()
        return Block(pointer: pointer, capacity: capacity)
      }
      if let pointer = state.large.takeFresh(capacity) {
        count(capacity, isNew: true)
        lock.release()
        return Block(pointer: pointer, capacity: capacity)
      }
      lock.release()
      if attempt == 0 { empty() }
    }
    throw outOfMemory(bytes)
  }

  private func allocateUnpooled(_ bytes: Int) throws -> Block {
    try require(bytes <= physicalMemory, .memory, outOfMemory(bytes).message)
    var pointer: UnsafeMutableRawPointer?
    guard posix_memalign(&pointer, MemoryPool.alignment, max(bytes, 1)) == 0, let pointer else {
      throw outOfMemory(bytes)
    }
    lock.acquire()
    count(bytes, isNew: true)
    lock.release()
    return Block(pointer: pointer, capacity: bytes)
  }

  func deallocate(_ block: Block) {
    lock.acquire()
    state.statistics.live -= block.capacity
    if !keepsBlocks {
      lock.release()
      free(block.pointer)
      return
    }
    if block.capacity <= MemoryPool.largeLimit {
      state.statistics.cached += block.capacity
      state.small[MemoryPool.sizeClass(block.capacity).index].append(block.pointer)
    } else {
      state.put(block)
    }
    lock.release()
  }

  /// Runs `body`, which does without the help of other threads, with large blocks that this thread alone has used before,
  /// as far as there are any; what it frees is kept for the thread's next time. See `ThreadBlocks` for what that saves.
  func withOwnBlocks<R>(_ body: () throws -> R) rethrows -> R {
    let before = sn_has_own_blocks()
    sn_set_own_blocks(1)
    defer { sn_set_own_blocks(before) }
    return try body()
  }

  private func count(_ capacity: Int, isNew: Bool) {
    state.statistics.live += capacity
    state.statistics.peak = max(state.statistics.peak, state.statistics.live)
    if isNew { state.statistics.systemAllocations += 1 }
  }

  private func uncount(_ capacity: Int) {
    lock.acquire()
    state.statistics.live -= capacity
    lock.release()
  }

  private func outOfMemory(_ bytes: Int) -> SwiftNetError {
    .memory("not enough memory: you tried to allocate \(bytes) bytes")
  }

  /// Counts bytes that are kept for the threads as in use, or no longer.
  func use(kept bytes: Int) {
    lock.acquire()
    state.unused -= bytes
    state.statistics.live += bytes
    state.statistics.peak = max(state.statistics.peak, state.statistics.live)
    lock.release()
  }

  /// Returns all cached memory to the system.
  public func empty() {
    ThreadBlocks.shared.empty()
    lock.acquire()
    let small = state.small
    var large = state.large.removeFree()
    for thread in state.own.indices { large += state.own[thread].removeFree() }
    state.small = Array(repeating: [], count: small.count)
    state.statistics.cached = 0
    lock.release()
    for list in small {
      for pointer in list { free(pointer) }
    }
    for block in large { munmap(block.pointer, block.capacity) }
  }

  public var statistics: Statistics {
    lock.acquire()
    defer { lock.release() }
    var statistics = state.statistics
    statistics.cached = state.freeBytes
    return statistics
  }

  /// Starts `peak` anew from what is live now.
  public func resetPeak() {
    lock.acquire()
    state.statistics.peak = state.statistics.live
    lock.release()
  }
}

/// Blocks of more than 64 KiB. They lie in a segment of address space as large as the machine's memory, which the system
/// backs with memory where it is written. A request takes the smallest free range that holds it, or else the start of what
/// nobody has used yet; free neighbours are joined. So the memory that a step needs is little more than what it holds at a
/// time, whatever the sizes of its tensors.
struct LargeBlocks {
  /// A page: what is free can be given back.
  private static let unit = max(1 << 12, sysconf(Int32(_SC_PAGESIZE)))
  /// Where the system grants no such segment, and whenever one is used up.
  private static let smallSegment = 1 << 28
  private static let segment = max(
    smallSegment, sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE)) / smallSegment * smallSegment)

  private struct FreeRange {
    var start: UnsafeMutableRawPointer
    var size: Int
    var end: UnsafeMutableRawPointer { start + size }
  }

  /// Sorted by address.
  private var free: [FreeRange] = []
  private(set) var freeBytes = 0
  /// The rest of the newest segment.
  private var fresh: FreeRange?

  static func rounded(_ bytes: Int) -> Int { (bytes + unit - 1) & ~(unit - 1) }

  /// The start of the smallest free range of at least so many bytes, the first one of several.
  mutating func takeFree(_ capacity: Int) -> UnsafeMutableRawPointer? {
    var best: (index: Int, size: Int)?
    for (index, range) in free.enumerated() where range.size >= capacity {
      if best.map({ range.size < $0.size }) ?? true { best = (index, range.size) }
    }
    guard let index = best?.index else { return nil }
    let start = free[index].start
    freeBytes -= capacity
    if free[index].size == capacity {
      free.remove(at: index)
    } else {
      free[index].start += capacity
      free[index].size -= capacity
    }
    return start
  }

  /// Memory that was not used before, behind what is free just before it; nil if the system has none.
  mutating func takeFresh(_ capacity: Int) -> UnsafeMutableRawPointer? {
    if let rest = fresh, let index = free.firstIndex(where: { $0.end == rest.start }),
      free[index].size + rest.size >= capacity
    {
      let before = free.remove(at: index)
      freeBytes -= before.size
      fresh = FreeRange(start: before.start, size: before.size + rest.size)
    }
    if (fresh?.size ?? 0) < capacity {
      var size = max(capacity, fresh == nil ? LargeBlocks.segment : LargeBlocks.smallSegment)
      var mapped = LargeBlocks.map(size)
      if mapped == nil {
        size = max(capacity, LargeBlocks.smallSegment)
        mapped = LargeBlocks.map(size)
      }
      guard let start = mapped else { return nil }
      if let rest = fresh, rest.size > 0 { put(rest) }
      fresh = FreeRange(start: start, size: size)
    }
    let start = fresh?.start
    fresh?.start += capacity
    fresh?.size -= capacity
    return start
  }

  mutating func put(_ block: MemoryPool.Block) { put(FreeRange(start: block.pointer, size: block.capacity)) }

  private mutating func put(_ range: FreeRange) {
    freeBytes += range.size
    var low = 0
    var high = free.count
    while low < high {
      let middle = (low + high) / 2
      if free[middle].start < range.start { low = middle + 1 } else { high = middle }
    }
    let joinsNext = low < free.count && range.end == free[low].start
    if low > 0, free[low - 1].end == range.start {
      free[low - 1].size += range.size
      if joinsNext {
        free[low - 1].size += free[low].size
        free.remove(at: low)
      }
    } else if joinsNext {
      free[low].start = range.start
      free[low].size += range.size
    } else {
      free.insert(range, at: low)
    }
  }

  /// Gives up all free ranges; they are to be unmapped.
  mutating func removeFree() -> [MemoryPool.Block] {
    defer { (free, freeBytes) = ([], 0) }
    return free.map { MemoryPool.Block(pointer: $0.start, capacity: $0.size) }
  }

  private static func map(_ bytes: Int) -> UnsafeMutableRawPointer? {
    #if os(Linux)
      let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
    #else
      let flags = MAP_PRIVATE | MAP_ANON
    #endif
    guard let pointer = mmap(nil, bytes, PROT_READ | PROT_WRITE, flags, -1, 0), pointer != MAP_FAILED else {
      return nil
    }
    #if os(Linux)
      // Huge pages where the system has them: fewer page faults and TLB misses.
      madvise(pointer, bytes, Int32(MADV_HUGEPAGE))
    #endif
    return pointer
  }
}
