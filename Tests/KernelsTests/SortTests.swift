import KernelTypes
import XCTest

@testable import SwiftNet

/// Sorting, the greatest few, searching in order, and transposing.
final class SortTests: XCTestCase {
  /// Whether a comes before b in ascending order, NaN last.
  private func precedes(_ a: Double, _ b: Double) -> Bool { a < b || (b.isNaN && !a.isNaN) }

  private func order(_ x: [Double], descending: Bool) -> [Int64] {
    x.indices.sorted { a, b in
      let first = descending ? precedes(x[b], x[a]) : precedes(x[a], x[b])
      let second = descending ? precedes(x[a], x[b]) : precedes(x[b], x[a])
      return first || (!second && a < b)
    }.map { Int64($0) }
  }

  private func check(_ table: KernelTable, _ lane: Lane, _ x: [Double]) {
    let n = x.count
    func bytes(_ values: [Double]) -> [UInt8] {
      switch lane {
      case .f32: values.map { Float($0) }.withUnsafeBytes { Array($0) }
      case .f64: values.withUnsafeBytes { Array($0) }
      case .i64: values.map { Int64($0) }.withUnsafeBytes { Array($0) }
      }
    }
    let keys = bytes(x)
    for descending in [false, true] {
      let expected = order(x, descending: descending)
      var places = [Int64](repeating: -1, count: n), scratch = places
      table.sort.sort[lane.rawValue](keys, &places, n, descending, &scratch)
      XCTAssertEqual(places, expected, "\(table.name) \(lane) sort of \(n)")
      for k in Set([1, n / 3, n]) where k > 0 && k <= n {
        var best = [Int64](repeating: -1, count: k)
        table.sort.topK[lane.rawValue](keys, &best, n, k, descending)
        XCTAssertEqual(best, Array(expected.prefix(k)), "\(table.name) \(lane) top \(k) of \(n)")
      }
    }
    let sorted = order(x, descending: false).map { x[Int($0)] }
    let wanted = x + [-100, 100, 0]
    for isRight in [false, true] {
      var places = [Int64](repeating: -1, count: wanted.count)
      table.sort.search[lane.rawValue](bytes(sorted), n, bytes(wanted), &places, wanted.count, isRight)
      let expected = wanted.map { value in
        sorted.firstIndex { isRight ? precedes(value, $0) : !precedes($0, value) } ?? n
      }
      XCTAssertEqual(places, expected.map { Int64($0) }, "\(table.name) \(lane) search in \(n)")
    }
  }

  func testOrders() {
    var random = TestRandom(seed: 21)
    eachTable { table in
      for n in [0, 1, 2, 15, 17, 33, 100, 257] {
        for spread in [1.0, 1000] {
          let x = random.values(n).map { ($0 * spread).rounded() }
          for lane in Lane.allCases { check(table, lane, x) }
          var withNaN = x
          for i in stride(from: 1, to: n, by: 5) { withNaN[i] = .nan }
          check(table, .f32, withNaN)
          check(table, .f64, withNaN)
        }
      }
    }
  }

  func testTransposes() {
    eachTable { table in
      for (rows, columns) in [(1, 1), (3, 5), (8, 8), (16, 17), (33, 9), (40, 64), (7, 130)] {
        let (spacing, outSpacing) = (columns + 2, rows + 1)
        let x = (0..<rows * spacing).map { Float($0) }
        var single = [Float](repeating: -1, count: columns * outSpacing)
        table.gemm.f32.transpose(x, spacing, rows, columns, &single, outSpacing)
        var double = [Double](repeating: -1, count: columns * outSpacing)
        table.gemm.f64.transpose(x.map { Double($0) }, spacing, rows, columns, &double, outSpacing)
        var expected = [Double](repeating: -1, count: columns * outSpacing)
        for r in 0..<rows {
          for c in 0..<columns { expected[c * outSpacing + r] = Double(x[r * spacing + c]) }
        }
        XCTAssertEqual(single.map { Double($0) }, expected, "\(table.name) \(rows)x\(columns)")
        XCTAssertEqual(double, expected, "\(table.name) \(rows)x\(columns)")
      }
    }
  }
}
