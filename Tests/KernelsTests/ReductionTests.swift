import Foundation
import KernelTypes
import XCTest

@testable import SwiftNet

/// Reductions, places of extremes and running sums against plain loops.
final class ReductionTests: XCTestCase {
  private let lengths = [0, 1, 7, 16, 17, 63, 130, 1025, 2500]

  private func fold(_ op: ReduceOp, _ total: Double, _ x: Double, _ p: Double) -> Double {
    switch op {
    case .sum: total + x
    case .prod: total * x
    case .min: min(total, x)
    case .max: max(total, x)
    case .sumSquares: total + x * x
    case .sumAbs: total + abs(x)
    case .sumSquaredDeviations: total + (x - p) * (x - p)
    case .sumExp: total + exp(x - p)
    case .any: x != 0 ? 1 : total
    case .all: x == 0 ? 0 : total
    case .countNonzero: total + (x != 0 ? 1 : 0)
    }
  }

  /// Values near 1 for products, a few zeros for what counts them.
  private func values(_ op: ReduceOp, _ n: Int, _ random: inout TestRandom) -> [Double] {
    random.values(n).map { x in
      switch op {
      case .prod: Double(Float(1 + 0.02 * x))
      case .any: x > 2.2 ? x : 0
      case .all: x < -2.2 ? 0 : x
      case .countNonzero: x > 0 ? x : 0
      default: x
      }
    }
  }

  private func checkRows<T: TestLane>(_ table: KernelTable, _: T.Type) throws {
    var random = TestRandom(seed: 11)
    for op in ReduceOp.allCases {
      let kernel = try XCTUnwrap(table.reduce[row: op, T.lane], "\(table.name) \(op)")
      for n in lengths {
        let x = values(op, n, &random)
        var total = op.identity
        kernel(x.map { T($0) }, n, &total, 0.25)
        let expected = x.reduce(op.identity) { fold(op, $0, $1, 0.25) }
        if total != expected {
          XCTAssertEqual(
            total, expected, accuracy: T.tolerance * max(1, Double(n)).squareRoot() * max(1, abs(expected)),
            "\(table.name) \(op) \(T.self) row of \(n)")
        }
      }
    }
  }

  private func checkColumns<T: TestLane>(_ table: KernelTable, _: T.Type) throws {
    var random = TestRandom(seed: 12)
    for op in ReduceOp.allCases {
      let kernel = try XCTUnwrap(table.reduce[columns: op, T.lane], "\(table.name) \(op)")
      for (rows, n) in [(0, 5), (1, 1), (3, 7), (5, 16), (9, 33), (67, 19), (130, 3)] {
        for hasPivots in [false, true] {
          let spacing = n + 3
          let x = values(op, rows * spacing, &random)
          let pivots = random.values(n)
          var totals = [Double](repeating: op.identity, count: n) + [77]
          x.map { T($0) }.withUnsafeBytes { bytes in
            if let start = bytes.baseAddress {
              pivots.withUnsafeBufferPointer {
                kernel(start, rows, spacing * T.lane.size, n, &totals, hasPivots ? $0.baseAddress : nil)
              }
            }
          }
          XCTAssertEqual(totals[n], 77)
          for column in 0..<n {
            let expected = (0..<rows).reduce(op.identity) {
              fold(op, $0, x[$1 * spacing + column], hasPivots ? pivots[column] : 0)
            }
            if totals[column] == expected { continue }
            XCTAssertEqual(
              totals[column], expected, accuracy: 4 * T.tolerance * max(1, abs(expected)),
              "\(table.name) \(op) \(T.self) columns \(rows)x\(n)")
          }
        }
      }
    }
  }

  func testRows() throws {
    try eachTable {
      try checkRows($0, Float.self)
      try checkRows($0, Double.self)
    }
  }

  func testColumns() throws {
    try eachTable {
      try checkColumns($0, Float.self)
      try checkColumns($0, Double.self)
    }
  }

  func testIntegers() throws {
    var random = TestRandom(seed: 13)
    try eachTable { table in
      for op in ReduceOp.allCases {
        if op == .sumSquaredDeviations || op == .sumExp {
          XCTAssertNil(table.reduce[row: op, .i64])
          continue
        }
        let rowKernel = try XCTUnwrap(table.reduce[row: op, .i64])
        let columnsKernel = try XCTUnwrap(table.reduce[columns: op, .i64])
        for n in [0, 1, 7, 33] {
          let x = random.values(3 * n).map { Int64((2 * $0).rounded()) + (op == .prod ? 1 : 0) }
          func expected(_ values: [Int64]) -> Int64 {
            values.reduce(op.integerIdentity) { total, value in
              switch op {
              case .sum: total + value
              case .prod: total &* value
              case .min: min(total, value)
              case .max: max(total, value)
              case .sumSquares: total + value * value
              case .sumAbs: total + abs(value)
              case .any: value != 0 ? 1 : total
              case .all: value == 0 ? 0 : total
              default: total + (value != 0 ? 1 : 0)
              }
            }
          }
          var total = op.integerIdentity
          rowKernel(x, n, &total, 0)
          XCTAssertEqual(total, expected(Array(x.prefix(n))), "\(table.name) \(op) \(n)")
          var totals = [Int64](repeating: op.integerIdentity, count: n)
          if n > 0 { columnsKernel(x, 3, 8 * n, n, &totals, nil) }
          XCTAssertEqual(
            totals, (0..<n).map { c in expected([x[c], x[n + c], x[2 * n + c]]) }, "\(table.name) \(op) \(n)")
        }
      }
    }
  }

  func testNaNWins() throws {
    try eachTable { table in
      for op in [ReduceOp.min, .max, .sum, .prod] {
        let row = try XCTUnwrap(table.reduce[row: op, .f32]), columns = try XCTUnwrap(table.reduce[columns: op, .f32])
        for place in [0, 15, 16, 36] {
          var x = [Float](repeating: 1, count: 37)
          x[place] = .nan
          var total = op.identity
          row(x, 37, &total, 0)
          XCTAssertTrue(total.isNaN, "\(table.name) \(op) \(place)")
          var totals = [Double](repeating: op.identity, count: 37)
          columns(x + x.map { _ in Float(2) }, 2, 4 * 37, 37, &totals, nil)
          XCTAssertEqual(totals.indices.filter { totals[$0].isNaN }, [place], "\(table.name) \(op)")
        }
      }
    }
  }

  private func checkPlaces<T: TestLane>(_ table: KernelTable, _: T.Type) {
    var random = TestRandom(seed: 14)
    for n in [1, 7, 16, 37, 513, 1100] {
      for nanPlace in [-1, n / 2] {
        // Few different values: the first of equal ones wins.
        var x = random.values(n).map { T(($0 * 2).rounded()) }
        if nanPlace >= 0 { x[nanPlace] = .nan }
        for (kernel, sign) in [(table.reduce.argmax[T.index], T(1)), (table.reduce.argmin[T.index], T(-1))] {
          var best = T.zero
          var place: Int64 = -1
          // In two pieces, as several calls see one row.
          let cut = n / 3
          x.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else { return }
            kernel(start, cut, 5, &best, &place)
            kernel(start + cut * T.lane.size, n - cut, 5 + cut, &best, &place)
          }
          var expected = 0
          for i in 1..<max(n, 2) where i < n && !x[expected].isNaN {
            if x[i].isNaN || x[i] * sign > x[expected] * sign { expected = i }
          }
          XCTAssertEqual(Int(place), expected + 5, "\(table.name) \(T.self) \(n) \(nanPlace)")
        }
      }
    }
  }

  func testPlacesOfExtremes() {
    eachTable {
      checkPlaces($0, Float.self)
      checkPlaces($0, Double.self)
      var best: Int64 = 0
      var place: Int64 = -1
      $0.reduce.argmax[Lane.i64.rawValue]([3, 9, 9, 1] as [Int64], 4, 2, &best, &place)
      XCTAssertEqual(place, 3)
      place = -1
      $0.reduce.argmin[Lane.i64.rawValue]([3, 1, 9, 1] as [Int64], 4, 0, &best, &place)
      XCTAssertEqual(place, 1)
    }
  }

  private func checkScans<T: TestLane>(_ table: KernelTable, _: T.Type) {
    var random = TestRandom(seed: 15)
    for n in [0, 1, 7, 33] {
      let x = random.values(n).map { T(1 + 0.1 * $0) }
      for isSum in [true, false] {
        var carried = 0.5, expectedCarry = 0.5
        var y = [T](repeating: 77, count: n + 1)
        (isSum ? table.reduce.cumsum : table.reduce.cumprod)[T.index](x, &y, n, &carried)
        let expected = x.map { value -> Double in
          expectedCarry = isSum ? expectedCarry + Double(value) : expectedCarry * Double(value)
          return expectedCarry
        }
        expect(y, expected + [77], "\(table.name) scan of \(n)", tolerance: T.tolerance / 2)
        XCTAssertEqual(carried, expectedCarry, accuracy: 1e-12)
      }
    }
  }

  func testScans() {
    eachTable {
      checkScans($0, Float.self)
      checkScans($0, Double.self)
      var carried: Int64 = 2
      var y = [Int64](repeating: 0, count: 3)
      $0.reduce.cumsum[2]([1, 2, 3] as [Int64], &y, 3, &carried)
      XCTAssertEqual(y, [3, 5, 8])
      $0.reduce.cumprod[2]([1, 2, 3] as [Int64], &y, 3, &carried)
      XCTAssertEqual(y, [8, 16, 48])
    }
  }
}
