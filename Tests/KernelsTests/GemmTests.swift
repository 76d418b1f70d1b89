import KernelTypes
import XCTest

@testable import SwiftNet

final class GemmTests: XCTestCase {
  /// How a matrix lies in memory.
  private enum Layout: CaseIterable {
    case rows, columns, spaced, reversed, repeatedRow

    func strides(_ rows: Int, _ columns: Int) -> (start: Int, row: Int, column: Int, count: Int) {
      switch self {
      case .rows: (0, columns, 1, rows * columns)
      case .columns: (0, 1, rows, rows * columns)
      case .spaced: (1, 2 * columns + 3, 2, rows * (2 * columns + 3) + 1)
      case .reversed: (rows * columns - 1, -columns, -1, rows * columns)
      case .repeatedRow: (0, 0, 1, columns)
      }
    }
  }

  private func check<T: BinaryFloatingPoint>(
    _ m: Int, _ n: Int, _ k: Int, _ la: Layout, _ lb: Layout, alpha: Double, beta: Double, _: T.Type,
    _ type: DType, tolerance: Double, table: KernelTable
  ) throws {
    var random = TestRandom(seed: UInt64(m * 31 + n * 7 + k + 1))
    let sa = la.strides(m, k), sb = lb.strides(k, n)
    let a = random.values(sa.count + 1), b = random.values(sb.count + 1)
    let ldc = n + 3
    let c0 = random.values(m * ldc + 1)
    var expected = c0
    for i in 0..<m {
      for j in 0..<n {
        var sum = 0.0
        for l in 0..<k {
          sum += a[sa.start + i * sa.row + l * sa.column] * b[sb.start + l * sb.row + j * sb.column]
        }
        expected[i * ldc + j] = alpha * sum + (beta == 0 ? 0 : beta * c0[i * ldc + j])
      }
    }
    var c = c0.map { T($0) }
    if beta == 0 {
      for i in 0..<m {
        for j in 0..<n { c[i * ldc + j] = .nan }
      }
    }
    let at = a.map { T($0) }, bt = b.map { T($0) }
    try at.withUnsafeBufferPointer { at in
      try bt.withUnsafeBufferPointer { bt in
        try c.withUnsafeMutableBufferPointer { c in
          try gemm(
            type, m: m, n: n, k: k, alpha: alpha, a: at.baseAddress! + sa.start, aRowStride: sa.row,
            aColumnStride: sa.column, b: bt.baseAddress! + sb.start, bRowStride: sb.row,
            bColumnStride: sb.column, beta: beta, c: c.baseAddress!, cRowStride: ldc, using: table)
        }
      }
    }
    XCTAssertLessThan(
      relativeError(c, expected), tolerance, "\(table.name) \(m)x\(n)x\(k) \(la) \(lb) \(alpha) \(beta)")
  }

  func testSizesAndLayouts() throws {
    let sizes = [
      (1, 1, 1), (12, 32, 8), (13, 33, 5), (1, 70, 40), (70, 1, 40), (5, 3, 300), (3, 200, 7), (64, 48, 0),
      (0, 4, 4), (4, 0, 4), (25, 65, 600), (130, 97, 17), (2, 2, 1000), (100, 20, 3), (7, 100, 100),
    ]
    for name in CPU.available {
      let table = CPU.kernelTable(named: name)
      for (m, n, k) in sizes {
        for la in Layout.allCases {
          for lb in Layout.allCases {
            try check(
              m, n, k, la, lb, alpha: 1, beta: 0, Float.self, .float32, tolerance: 3e-6, table: table)
          }
        }
        for (alpha, beta) in [(1.0, 1.0), (0.5, -2.0), (0.0, 0.5)] {
          try check(
            m, n, k, .rows, .columns, alpha: alpha, beta: beta, Float.self, .float32, tolerance: 3e-6,
            table: table)
          try check(
            m, n, k, .columns, .rows, alpha: alpha, beta: beta, Double.self, .float64, tolerance: 1e-13,
            table: table)
        }
      }
    }
  }

  func testLarge() throws {
    for name in CPU.available {
      let table = CPU.kernelTable(named: name)
      try check(
        300, 530, 700, .rows, .rows, alpha: 1, beta: 0, Float.self, .float32, tolerance: 3e-6, table: table)
      try check(
        301, 130, 290, .columns, .columns, alpha: 2, beta: 1, Double.self, .float64, tolerance: 1e-13,
        table: table)
    }
  }

  /// Many terms for each result (shared out by terms and by patches of the result), few rows of many results (by columns).
  func testDeepAndWide() throws {
    for name in CPU.available {
      let table = CPU.kernelTable(named: name)
      for (m, n, k) in [(5, 35, 12_500), (140, 270, 2200), (13, 1301, 401)] {
        for (la, lb) in [(Layout.rows, Layout.columns), (.columns, .rows), (.spaced, .reversed)] {
          try check(m, n, k, la, lb, alpha: 1, beta: 0, Float.self, .float32, tolerance: 3e-6, table: table)
        }
        try check(m, n, k, .rows, .rows, alpha: 0.5, beta: -2, Float.self, .float32, tolerance: 3e-6, table: table)
        try check(
          m, n, k, .rows, .columns, alpha: 2, beta: 1, Double.self, .float64, tolerance: 1e-13, table: table)
      }
    }
  }

  func testSameBitsForAnyThreadCount() throws {
    let saved = ThreadPool.shared.threadCount
    defer { ThreadPool.shared.threadCount = saved }
    for (m, n, k) in [(5, 35, 12_500), (140, 270, 2200), (13, 1301, 401), (300, 130, 500)] {
      var random = TestRandom(seed: 8)
      let a = random.values(m * k).map { Float($0) }, b = random.values(k * n).map { Float($0) }
      var first: [Float]?
      for threads in [1, 2, 3, 7] {
        ThreadPool.shared.threadCount = threads
        var c = [Float](repeating: .nan, count: m * n)
        try gemm(
          .float32, m: m, n: n, k: k, alpha: 1, a: a, aRowStride: k, aColumnStride: 1, b: b, bRowStride: n,
          bColumnStride: 1, beta: 0, c: &c, cRowStride: n)
        if let first { XCTAssertEqual(first, c, "\(m)x\(n)x\(k) \(threads)") } else { first = c }
      }
    }
  }

  func testBatched() throws {
    for name in CPU.available {
      let table = CPU.kernelTable(named: name)
      for (batch, m, n, k) in [
        (5, 7, 9, 11), (3, 40, 33, 50), (64, 1, 8, 8), (0, 3, 3, 3), (2, 150, 150, 150),
      ] {
        var random = TestRandom(seed: 4)
        let a = random.values(batch * m * k + 1).map { Float($0) }
        let b = random.values(batch * k * n + 1).map { Float($0) }
        var c = [Float](repeating: .nan, count: batch * m * n)
        var expected = [Double](repeating: 0, count: c.count)
        for i in 0..<batch {
          for r in 0..<m {
            for j in 0..<n {
              for l in 0..<k {
                expected[(i * m + r) * n + j] +=
                  Double(a[(i * m + r) * k + l]) * Double(b[(i * k + l) * n + j])
              }
            }
          }
        }
        try gemmBatched(
          .float32, batch: batch, m: m, n: n, k: k, alpha: 1, a: a, aBatchStride: m * k, aRowStride: k,
          aColumnStride: 1, b: b, bBatchStride: k * n, bRowStride: n, bColumnStride: 1, beta: 0, c: &c,
          cBatchStride: m * n, cRowStride: n, using: table)
        XCTAssertLessThan(relativeError(c, expected), 3e-6, "\(name) \(batch) \(m) \(n) \(k)")
      }
    }
  }
}
