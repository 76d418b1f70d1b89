import Synchronization
import XCTest

@testable import SwiftNet

final class ScratchTests: XCTestCase {
  private func withThreads(_ count: Int, _ body: () throws -> Void) rethrows {
    let saved = ThreadPool.shared.threadCount
    ThreadPool.shared.threadCount = count
    defer { ThreadPool.shared.threadCount = saved }
    try body()
  }

  /// Where the bodies of a loop find their pieces. Each fills its own with a number and looks at it again later.
  private func places(_ slots: ScratchSlots, bytes: Int, chunks: Int = 64) -> Set<UnsafeMutableRawPointer> {
    let found = Mutex(Set<UnsafeMutableRawPointer>())
    ThreadPool.shared.run(chunks: chunks) { chunk in
      slots.with { place in
        let numbers = place.assumingMemoryBound(to: Int.self)
        let count = bytes / MemoryLayout<Int>.stride
        for i in 0..<count { numbers[i] = chunk }
        sched_yield()
        XCTAssertFalse((0..<count).contains { numbers[$0] != chunk })
        found.withLock { _ = $0.insert(place) }
      }
    }
    return found.withLock { $0 }
  }

  func testOnePieceForEachThread() throws {
    for threads in [1, 2, 5] {
      try withThreads(threads) {
        for bytes in [8, 1000, 300_000, 5 << 20] {
          let found = places(try ScratchSlots(bytes: bytes), bytes: bytes)
          XCTAssertLessThanOrEqual(found.count, threads)
        }
      }
    }
  }

  /// A thread that is not one of the pool's has the same piece in one loop after another, whatever the pool has given out.
  func testSamePlaceInEveryLoop() throws {
    guard MemoryPool.shared.keepsBlocks else { return }
    try withThreads(2) {
      func place(bytes: Int) throws -> UnsafeMutableRawPointer? {
        let slots = try ScratchSlots(bytes: bytes)
        var found: UnsafeMutableRawPointer?
        slots.with { found = $0 }
        return found
      }
      let first = try place(bytes: 1 << 20)
      let held = try Scratch(bytes: 2 << 20)
      for bytes in [100, 5000, 1 << 20] { XCTAssertEqual(try place(bytes: bytes), first) }
      withExtendedLifetime(held) {}
    }
  }

  /// While a loop has the threads' blocks, another one has memory of its own.
  func testLoopsAtTheSameTime() throws {
    try withThreads(2) {
      let (outer, inner) = (try ScratchSlots(bytes: 4096), try ScratchSlots(bytes: 4096))
      XCTAssertTrue(places(outer, bytes: 4096).isDisjoint(with: places(inner, bytes: 4096)))
      outer.with { mine in
        mine.storeBytes(of: 7, as: Int.self)
        MemoryPool.shared.empty()
        inner.with { $0.storeBytes(of: 8, as: Int.self) }
        XCTAssertEqual(mine.load(as: Int.self), 7)
      }
    }
  }

  /// What is kept for the threads is in use during a loop and cached between loops.
  func testStatistics() throws {
    guard MemoryPool.shared.keepsBlocks else { return }
    try withThreads(2) {
      MemoryPool.shared.empty()
      let before = MemoryPool.shared.statistics
      XCTAssertEqual(before.cached, 0)
      let during = try { () throws -> MemoryPool.Statistics in
        let slots = try ScratchSlots(bytes: 1 << 20)
        return withExtendedLifetime(slots) { MemoryPool.shared.statistics }
      }()
      XCTAssertGreaterThanOrEqual(during.live, before.live + 2 << 20)
      let after = MemoryPool.shared.statistics
      XCTAssertEqual(after.live, before.live)
      XCTAssertGreaterThanOrEqual(after.cached, 2 << 20)
      MemoryPool.shared.empty()
      XCTAssertEqual(MemoryPool.shared.statistics.cached, 0)
      XCTAssertEqual(MemoryPool.shared.statistics.live, before.live)
    }
  }

  /// Every tile is in one block, in order; the halves, of which two threads have one each, differ by less than a block.
  func testBlocksOfTiles() {
    for rows in [4, 6, 12] {
      for multiple in [1, 2, 3] {
        for tiles in Array(1...60) + [96, 97, 288, 289, 300, 512, 1000, 2304, 10_001] {
          let blocks = winogradBlocks(tiles, rows: rows, multiple: multiple)
          var next = 0
          for block in blocks {
            XCTAssertEqual(block.first, next)
            XCTAssertGreaterThan(block.count, 0)
            XCTAssertLessThanOrEqual(block.count, rows * multiple)
            next += block.count
          }
          XCTAssertEqual(next, tiles)
          let half = blocks[..<((blocks.count + 1) / 2)].reduce(0) { $0 + $1.count }
          XCTAssertLessThanOrEqual(abs(2 * half - tiles), 3 * rows * multiple, "\(tiles) tiles")
        }
      }
    }
  }
}
