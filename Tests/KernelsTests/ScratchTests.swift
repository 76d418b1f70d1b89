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

  /// Each of two threads has its own piece in one loop after another, whoever comes first.
  func testEachThreadHasItsOwn() throws {
    guard MemoryPool.shared.keepsBlocks else { return }
    try withThreads(2) {
      let caller = pthread_self()
      var first: [Bool: UnsafeMutableRawPointer] = [:]
      for loop in 0..<40 {
        let slots = try ScratchSlots(bytes: loop < 2 ? 1 << 20 : 100 * (loop + 1))
        let callerIsFirst = loop % 2 == 0
        let come = Atomic<Int>(0)
        let found = Mutex([Bool: UnsafeMutableRawPointer]())
        ThreadPool.shared.run(chunks: 2) { _ in
          let isCaller = pthread_equal(pthread_self(), caller) != 0
          // Nobody leaves before both have been there, so that each thread takes one chunk.
          if isCaller != callerIsFirst { while come.load(ordering: .acquiring) < 1 { sched_yield() } }
          slots.with { place in
            found.withLock { $0[isCaller] = place }
            come.add(1, ordering: .releasing)
            while come.load(ordering: .acquiring) < 2 { sched_yield() }
          }
        }
        let places = found.withLock { $0 }
        XCTAssertEqual(places.count, 2)
        if loop == 1 { first = places }
        if loop > 1 { XCTAssertEqual(places, first) }
      }
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
      // A loop that uses a part, and meanwhile everything else is given back.
      try { () throws in
        let slots = try ScratchSlots(bytes: 1000)
        MemoryPool.shared.empty()
        withExtendedLifetime(slots) { XCTAssertGreaterThanOrEqual(MemoryPool.shared.statistics.cached, 1 << 20) }
      }()
      MemoryPool.shared.empty()
      XCTAssertEqual(MemoryPool.shared.statistics.cached, 0)
      XCTAssertEqual(MemoryPool.shared.statistics.live, before.live)
    }
  }

  /// What a thread frees while it works alone is its own the next time, and nobody else's before the pool is emptied.
  func testOwnBlocks() throws {
    let pool = MemoryPool.shared
    guard pool.keepsBlocks else { return }
    pool.empty()
    let before = pool.statistics
    func place() throws -> UnsafeMutableRawPointer { try Scratch(bytes: 1 << 20).pointer }
    let first = try pool.withOwnBlocks(place)
    XCTAssertEqual(pool.statistics.cached, before.cached + 1 << 20)
    let others = try (0..<4).map { _ in try Scratch(bytes: 1 << 20) }
    XCTAssertFalse(others.contains { $0.pointer == first })
    for _ in 0..<3 { XCTAssertEqual(try pool.withOwnBlocks(place), first) }
    // As many pieces as can be in use at a time.
    try pool.withOwnBlocks {
      let slots = try ScratchSlots(bytes: (1 << 20) - 128)
      slots.with { XCTAssertEqual($0, first) }
    }
    // More than a thread keeps goes to all.
    let (large, small) = try pool.withOwnBlocks { (try Scratch(bytes: 40 << 20).pointer, try place()) }
    XCTAssertEqual(small, first)
    XCTAssertEqual(try Scratch(bytes: 40 << 20).pointer, large)
    withExtendedLifetime(others) {}
    pool.empty()
    XCTAssertEqual(pool.statistics.cached, 0)
  }

  /// Every tile is in one block, in order.
  func testBlocksOfTiles() {
    for (rows, multiple) in [(4, 1), (6, 2), (12, 3)] {
      for tiles in Array(1...60) + [96, 97, 288, 289, 300, 512, 1000, 2304, 10_001] {
        var next = 0
        for block in winogradBlocks(tiles, rows: rows, multiple: multiple) {
          XCTAssertEqual(block.first, next)
          XCTAssertGreaterThan(block.count, 0)
          XCTAssertLessThanOrEqual(block.count, rows * multiple)
          next += block.count
        }
        XCTAssertEqual(next, tiles)
      }
    }
  }
}
