import Synchronization
import XCTest

@testable import SwiftNet

final class ThreadPoolTests: XCTestCase {
  /// Every chunk runs once, whatever the numbers of chunks and threads, also inside of another loop.
  func testEveryChunkOnce() {
    let saved = ThreadPool.shared.threadCount
    defer { ThreadPool.shared.threadCount = saved }
    for threads in [1, 2, 3, 7, 16] {
      ThreadPool.shared.threadCount = threads
      for chunks in [0, 1, 2, 3, 7, 8, 9, 31, 100, 1001] {
        let counts = Mutex([Int](repeating: 0, count: chunks))
        ThreadPool.shared.run(chunks: chunks) { chunk in
          counts.withLock { $0[chunk] += 1 }
        }
        XCTAssertEqual(counts.withLock { $0 }, [Int](repeating: 1, count: chunks), "\(threads) threads")
      }
      let inner = Atomic<Int>(0)
      ThreadPool.shared.run(chunks: 12) { _ in
        ThreadPool.shared.run(chunks: 5) { inner.add($0, ordering: .relaxed) }
      }
      XCTAssertEqual(inner.load(ordering: .relaxed), 120)
    }
  }

  /// A thread that is slow keeps one chunk, and the others do the rest of its share.
  func testOthersHelp() {
    let saved = ThreadPool.shared.threadCount
    defer { ThreadPool.shared.threadCount = saved }
    ThreadPool.shared.threadCount = 2
    for slow in [0, 12, 63] {
      let done = Atomic<Int>(0)
      let before = Atomic<Int>(0)
      ThreadPool.shared.run(chunks: 64) { chunk in
        if chunk == slow {
          for _ in 0..<10_000_000 where done.load(ordering: .acquiring) < 63 { sched_yield() }
          before.store(done.load(ordering: .acquiring), ordering: .relaxed)
        }
        done.add(1, ordering: .releasing)
      }
      XCTAssertEqual(before.load(ordering: .relaxed), 63)
      XCTAssertEqual(done.load(ordering: .relaxed), 64)
    }
  }
}
