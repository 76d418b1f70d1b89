import Synchronization

/// A lock whose waiters yield, mostly for the moment in which a few words are read or changed. It is an atomic alone, which
/// ThreadSanitizer sees; of a `Mutex` that threads wait for, it sees no more than a system call.
struct SpinLock: ~Copyable, Sendable {
  private let isHeld = Atomic<Bool>(false)

  @inline(__always)
  func acquire() {
    while !isHeld.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged { sched_yield() }
  }

  @inline(__always)
  func release() { isHeld.store(false, ordering: .releasing) }

  @inline(__always)
  func withLock<R>(_ body: () throws -> R) rethrows -> R {
    acquire()
    defer { release() }
    return try body()
  }
}
