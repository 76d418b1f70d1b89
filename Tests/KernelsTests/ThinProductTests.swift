import KernelTypes
import XCTest

@testable import SwiftNet

/// Matrix products with one long dimension against sums in float64.
final class ThinProductTests: XCTestCase {
  private func check<T: TestLane>(_ table: KernelTable, _ m: Int, _ n: Int, _ k: Int, beta: Double, _: T.Type) throws {
    var random = TestRandom(seed: 71)
    // Deep: rows of a and b along k. Wide: rows of b along n, a column by column.
    let isDeep = k > n
    let (a, b): ([T], [T]) = (random.lanes(m * k, T.self), random.lanes(k * n, T.self))
    // Rows of c are wider than the product.
    let stride = n + 3
    let before: [T] = random.lanes(m * stride, T.self)
    var c = before
    let label = "\(table.name) \(T.self) \(m)×\(n)×\(k)"
    let isDone = try c.withUnsafeMutableBytes { c in
      try thinProduct(
        T.lane == .f32 ? .float32 : .float64, m: m, n: n, k: k, a: a, aRowStride: isDeep ? k : 1,
        aColumnStride: isDeep ? 1 : m, b: b,
        bRowStride: isDeep ? 1 : n, bColumnStride: isDeep ? k : 1, beta: beta,
        c: try XCTUnwrap(c.baseAddress), cRowStride: stride, using: table)
    }
    XCTAssertTrue(isDone, label)
    var expected = before.map(Double.init)
    let (wideA, wideB) = (a.map(Double.init), b.map(Double.init))
    for i in 0..<m {
      for j in 0..<n {
        var sum = beta * expected[i * stride + j]
        for l in 0..<k {
          sum += isDeep ? wideA[i * k + l] * wideB[j * k + l] : wideA[l * m + i] * wideB[l * n + j]
        }
        expected[i * stride + j] = sum
      }
    }
    expect(c, expected, label)
  }

  func testDeep() throws {
    try eachTable { table in
      for (m, n, k, beta) in [
        (9, 9, 1 << 15, 0.0), (16, 30, 40_007, 1), (13, 11, 33_333, -2), (1, 30, 33_000, 1), (7, 1, 32_771, 0),
        (1, 1, 65_537, 0), (2, 12, 1 << 15, -1),
      ] {
        try check(table, m, n, k, beta: beta, Float.self)
      }
      try check(table, 10, 13, 32_771, beta: 1, Double.self)
    }
  }

  func testWide() throws {
    try eachTable { table in
      for (m, n, k) in [(3, 1 << 14, 1), (16, 20_001, 30), (30, 16_385, 16), (37, 17_000, 5)] {
        try check(table, m, n, k, beta: 0, Float.self)
      }
      try check(table, 13, 16_391, 9, beta: 0, Double.self)
    }
  }

  /// Large results go past the caches.
  func testWideStreams() throws {
    try eachTable { table in
      let (m, n, k) = (17, 1 << 18 + 64, 3)
      var random = TestRandom(seed: 72)
      let (a, b): ([Float], [Float]) = (random.lanes(m * k, Float.self), random.lanes(k * n, Float.self))
      let c = try Scratch(bytes: m * n * 4)
      let isDone = try thinProduct(
        .float32, m: m, n: n, k: k, a: a, aRowStride: k, aColumnStride: 1, b: b, bRowStride: n, bColumnStride: 1,
        c: c.pointer, cRowStride: n, using: table)
      XCTAssertTrue(isDone)
      for i in 0..<m {
        for j in Swift.stride(from: i, to: n, by: 61) {
          let sum = (0..<k).reduce(0.0) { $0 + Double(a[i * k + $1]) * Double(b[$1 * n + j]) }
          XCTAssertEqual(Double(c.of(Float.self)[i * n + j]), sum, accuracy: 1e-5, "\(table.name) \(i) \(j)")
        }
      }
    }
  }
}
