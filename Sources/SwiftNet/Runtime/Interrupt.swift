import Synchronization

/// Lets a host stop long work. The host's function is asked every 50 milliseconds at most, between pieces of work
/// on the thread that called in.
public enum Interrupt {
  nonisolated(unsafe) private static var function: (@convention(c) () -> Int32)?
  private static let lastAsked = Atomic<Int>(0)
  private static let interval = 50_000_000

  /// `check` returns nonzero if the work is to stop.
  public static func install(_ check: (@convention(c) () -> Int32)?) { function = check }

  /// Throws if the host wants to stop.
  static func check() throws {
    guard let function else { return }
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    let now = time.tv_sec &* 1_000_000_000 &+ time.tv_nsec
    if now &- lastAsked.load(ordering: .relaxed) < interval { return }
    lastAsked.store(now, ordering: .relaxed)
    if function() != 0 { throw SwiftNetError(.interrupted, "interrupted") }
  }
}
