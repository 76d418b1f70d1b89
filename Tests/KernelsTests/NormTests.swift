import Foundation
import KernelTypes
import XCTest

@testable import SwiftNet

/// The kernels of normalisation layers against plain loops: rows (channels-last) and planes.
final class NormTests: XCTestCase {
  private let sizes = [(1, 1), (3, 7), (5, 16), (9, 33), (70, 5), (4, 130)]

  private func checkRows<T: TestLane>(_ table: KernelTable, _: T.Type) {
    var random = TestRandom(seed: 41)
    let kernels = table.norm
    for (rows, n) in sizes {
      let shape = MatrixShape(rows: rows, columns: n)
      let label = "\(table.name) \(rows)x\(n)"
      let x: [T] = random.lanes(rows * n, T.self), g: [T] = random.lanes(rows * n, T.self)
      let residual: [T] = random.lanes(rows * n, T.self)
      for hasPivots in [false, true] {
        let pivots = random.values(n)
        var sums = [Double](repeating: 1, count: 2 * n)
        pivots.withUnsafeBufferPointer {
          kernels.statisticsRows[T.index](x, hasPivots ? $0.baseAddress : nil, &sums, shape)
        }
        var expected = [Double](repeating: 1, count: 2 * n)
        for i in x.indices {
          let d = Double(x[i]) - (hasPivots ? pivots[i % n] : 0)
          expected[i % n] += d
          expected[n + i % n] += d * d
        }
        XCTAssertLessThan(relativeError(sums, expected), T.tolerance, "statistics \(label)")
      }
      for kind in ["no mask", "output", "scale and shift"] {
        let label = "\(label) \(kind)"
        let means = random.values(n)
        let a: [T] = random.lanes(n, T.self), b: [T] = random.lanes(n, T.self), k: [T] = random.lanes(n, T.self)
        let scale: [T] = random.lanes(n, T.self), shift: [T] = random.lanes(n, T.self)
        let masked = x.indices.map { i -> Double in
          let counts =
            switch kind {
            case "output": residual[i] > 0
            case "no mask": true
            default: shift[i % n].addingProduct(scale[i % n], x[i]) > 0
            }
          return counts ? Double(g[i]) : 0
        }
        var sums = [Double](repeating: 0, count: 2 * n)
        var dx = [T](repeating: .nan, count: rows * n)
        let numbers = means.map { T($0) } + a + b + k + scale + shift
        residual.withUnsafeBytes { residual in
          numbers.withUnsafeBytes { numbers in
            guard let output = residual.baseAddress, let start = numbers.baseAddress else { return }
            func number(_ row: Int) -> UnsafeRawPointer { start + row * n * MemoryLayout<T>.stride }
            var mask = NormMask()
            if kind == "output" { mask = NormMask(output: output) }
            if kind == "scale and shift" { mask = NormMask(scale: number(4), shift: number(5)) }
            let coefficients = NormGradientCoefficients(mean: number(0), a: number(1), b: number(2), k: number(3))
            kernels.gradientSumsRows[T.index](g, x, means, mask, &sums, shape)
            kernels.gradientRows[T.index](g, x, mask, &dx, coefficients, shape)
          }
        }
        var expectedSums = [Double](repeating: 0, count: 2 * n)
        for i in x.indices {
          expectedSums[i % n] += masked[i]
          expectedSums[n + i % n] += masked[i] * (Double(x[i]) - means[i % n])
        }
        XCTAssertLessThan(relativeError(sums, expectedSums), 2 * T.tolerance, "gradient sums \(label)")
        let expected = x.indices.map { i -> Double in
          let c = i % n
          return Double(a[c]) * masked[i] + Double(b[c]) * (Double(x[i]) - means[c]) + Double(k[c])
        }
        expect(dx, expected, "gradient \(label)")
      }
    }
  }

  private func checkPlanes<T: TestLane>(_ table: KernelTable, _: T.Type) {
    var random = TestRandom(seed: 42)
    let kernels = table.norm
    for n in [1, 7, 16, 33, 200] {
      let label = "\(table.name) plane of \(n)"
      let x: [T] = random.lanes(n, T.self), g: [T] = random.lanes(n, T.self), output: [T] = random.lanes(n, T.self)
      var sums = [0.0, 0.0]
      kernels.statisticsPlane[T.index](x, n, 0.25, &sums)
      let deviations = doubles(x).map { $0 - 0.25 }
      let expected = [deviations.reduce(0, +), deviations.reduce(0) { $0 + $1 * $1 }]
      XCTAssertLessThan(relativeError(sums, expected), T.tolerance, "statistics \(label)")
      let numbers: [T] = [0.25, 0.5, -0.75, 0.125, 1.5, -0.5]
      for usesOutput in [true, false] {
        let masked = x.indices.map { i -> Double in
          (usesOutput ? output[i] : numbers[5].addingProduct(numbers[4], x[i])) > 0 ? Double(g[i]) : 0
        }
        sums = [0, 0]
        var dx = [T](repeating: .nan, count: n)
        output.withUnsafeBytes { output in
          numbers.withUnsafeBytes { numbers in
            guard let output = output.baseAddress, let start = numbers.baseAddress else { return }
            func number(_ index: Int) -> UnsafeRawPointer { start + index * MemoryLayout<T>.stride }
            let mask = usesOutput ? NormMask(output: output) : NormMask(scale: number(4), shift: number(5))
            let coefficients = NormGradientCoefficients(mean: number(0), a: number(1), b: number(2), k: number(3))
            kernels.gradientSumsPlane[T.index](g, x, 0.25, mask, &sums, n)
            kernels.gradientPlane[T.index](g, x, mask, &dx, coefficients, MatrixShape(rows: 1, columns: n))
          }
        }
        let expectedSums = [masked.reduce(0, +), zip(masked, deviations).reduce(0) { $0 + $1.0 * $1.1 }]
        XCTAssertLessThan(relativeError(sums, expectedSums), 2 * T.tolerance, "gradient sums \(label)")
        expect(dx, zip(masked, deviations).map { 0.5 * $0 - 0.75 * $1 + 0.125 }, "gradient \(label)")
      }
    }
  }

  private func checkLayerNorm<T: TestLane>(_ table: KernelTable, _: T.Type) {
    var random = TestRandom(seed: 43)
    for (rows, n) in sizes {
      for isAffine in [false, true] {
        let shape = MatrixShape(rows: rows, columns: n)
        let label = "\(table.name) \(rows)x\(n) \(isAffine)"
        let x: [T] = random.values(rows * n).map { T($0 + 3) }, g: [T] = random.lanes(rows * n, T.self)
        let weight: [T] = random.lanes(n, T.self), bias: [T] = random.lanes(n, T.self)
        var y = [T](repeating: .nan, count: rows * n), dx = y
        var means = [Double](repeating: .nan, count: rows), inverses = means
        var sums = [Double](repeating: 0, count: 2 * n)
        weight.withUnsafeBytes { w in
          bias.withUnsafeBytes { b in
            let (w, b) = isAffine ? (w.baseAddress, b.baseAddress) : (nil, nil)
            table.norm.layerNorm[T.index](x, &y, w, b, &means, &inverses, 1e-3, shape)
            table.norm.layerNormGradient[T.index](g, x, w, means, inverses, &dx, &sums, shape)
          }
        }
        var expected: [Double] = [], gradient: [Double] = [], expectedSums = [Double](repeating: 0, count: 2 * n)
        for row in 0..<rows {
          let line = x[row * n..<(row + 1) * n].map { Double($0) }
          let mean = line.reduce(0, +) / Double(n)
          let inverse = 1 / (line.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(n) + 1e-3).squareRoot()
          XCTAssertEqual(means[row], mean, accuracy: 10 * T.tolerance, label)
          XCTAssertEqual(inverses[row], inverse, accuracy: 20 * T.tolerance * inverse, label)
          let normal = line.map { ($0 - mean) * inverse }
          expected += (0..<n).map { isAffine ? normal[$0] * Double(weight[$0]) + Double(bias[$0]) : normal[$0] }
          let scaled = (0..<n).map { Double(g[row * n + $0]) * (isAffine ? Double(weight[$0]) : 1) }
          let average = scaled.reduce(0, +) / Double(n)
          let along = zip(scaled, normal).reduce(0) { $0 + $1.0 * $1.1 } / Double(n)
          gradient += (0..<n).map { inverse * (scaled[$0] - average - normal[$0] * along) }
          for c in 0..<n {
            expectedSums[c] += Double(g[row * n + c]) * normal[c]
            expectedSums[n + c] += Double(g[row * n + c])
          }
        }
        expect(y, expected, "layer norm \(label)", tolerance: 4 * T.tolerance)
        if n > 1 { expect(dx, gradient, "gradient \(label)", tolerance: 10 * T.tolerance) }
        XCTAssertLessThan(relativeError(sums, expectedSums), 4 * T.tolerance, "parameters \(label)")
      }
    }
  }

  /// What is done once per channel, against plain arithmetic.
  private func checkChannels<T: TestLane>(_: T.Type) {
    var random = TestRandom(seed: 44)
    let lane: Lane = T.index == 1 ? .f64 : .f32
    for n in [1, 7, 64] {
      let x: [T] = random.lanes(3 * n, T.self)
      var pivots = [Double](repeating: .nan, count: n)
      ChannelStatistics.pivots(x, lane.dtype, stride: 3, n, to: &pivots)
      XCTAssertEqual(pivots, (0..<n).map { Double(x[3 * $0]) })
      for positions in [1.0, 2, 50] {
        let deviations = random.values(n), excess = random.values(n).map { abs($0) + 0.25 }
        let squares = zip(deviations, excess).map { positions * ($1 + $0 * $0 / positions / positions) }
        var statistics = deviations + squares
        ChannelStatistics.finish(&statistics, pivots: pivots, positions: positions, n)
        let expected = (0..<n).map { pivots[$0] + deviations[$0] / positions }
        XCTAssertLessThan(relativeError(statistics, expected + excess), 1e-12, "statistics of \(n)")
        var running: [T] = random.lanes(n, T.self)
        let before = running
        ChannelStatistics.move(&running, lane, toward: statistics, momentum: 0.3, factor: 2, n)
        expect(running, (0..<n).map { 0.7 * Double(before[$0]) + 0.6 * expected[$0] }, "running mean of \(n)")
        statistics.withUnsafeMutableBufferPointer {
          guard let first = $0.baseAddress else { return }
          ChannelStatistics.invert(first + n, eps: 1e-3, n)
        }
        let inverse = excess.map { 1 / ($0 + 1e-3).squareRoot() }
        XCTAssertLessThan(relativeError(statistics, expected + inverse), 1e-12, "inverses of \(n)")
        for isAffine in [false, true] { checkParameters(statistics, positions, isAffine, lane, T.self) }
      }
    }
  }

  /// The scale of a normalisation, and the numbers that its gradient is made with.
  private func checkParameters<T: TestLane>(
    _ statistics: [Double], _ positions: Double, _ isAffine: Bool, _ lane: Lane, _: T.Type
  ) {
    var random = TestRandom(seed: 45)
    let n = statistics.count / 2
    let (means, inverse) = (Array(statistics[..<n]), Array(statistics[n...]))
    let weight: [T] = random.lanes(n, T.self), bias: [T] = random.lanes(n, T.self)
    let sums = random.values(2 * n)
    var scale = [T](repeating: .nan, count: 2 * n), coefficients = [T](repeating: .nan, count: 4 * n)
    var gradients = scale
    weight.withUnsafeBytes { w in
      bias.withUnsafeBytes { b in
        let (w, b) = isAffine ? (w.baseAddress, b.baseAddress) : (nil, nil)
        ChannelStatistics.scale(statistics, lane, weight: w, bias: b, n, to: &scale)
        gradients.withUnsafeMutableBytes { gradients in
          let first = gradients.baseAddress
          ChannelStatistics.coefficients(
            sums, statistics, lane, weight: w, positions: positions, n, to: &coefficients, weightGradient: first,
            biasGradient: first.map { $0 + gradients.count / 2 })
        }
      }
    }
    let factors = (0..<n).map { inverse[$0] * (isAffine ? Double(weight[$0]) : 1) }
    let summands = (0..<n).map { (isAffine ? Double(bias[$0]) : 0) - means[$0] * factors[$0] }
    expect(scale, factors + summands, "scale of \(n)")
    expect(gradients, (0..<n).map { sums[n + $0] * inverse[$0] } + Array(sums[..<n]), "parameters of \(n)")
    let b = (0..<n).map { -factors[$0] * inverse[$0] * inverse[$0] * sums[n + $0] / positions }
    let k = (0..<n).map { -factors[$0] * sums[$0] / positions }
    expect(coefficients, means + factors + b + k, "coefficients of \(n)")
  }

  func testJoinedSums() {
    eachTable { table in
      var random = TestRandom(seed: 47)
      for (rows, n) in [(1, 1), (2, 8), (5, 19), (3, 64)] {
        let parts = random.values(rows * 2 * n)
        var sums = [Double](repeating: .nan, count: n)
        table.norm.joinSums(parts, MatrixShape(rows: rows, columns: 2 * n), &sums, n)
        let expected = (0..<n).map { c in (0..<rows).reduce(0) { $0 + parts[$1 * 2 * n + c] } }
        XCTAssertLessThan(relativeError(sums, expected), 1e-14, "\(table.name) \(rows)x\(n)")
      }
    }
  }

  func testChannels() {
    checkChannels(Float.self)
    checkChannels(Double.self)
  }

  func testRows() {
    eachTable {
      checkRows($0, Float.self)
      checkRows($0, Double.self)
    }
  }

  func testPlanes() {
    eachTable {
      checkPlanes($0, Float.self)
      checkPlanes($0, Double.self)
    }
  }

  func testLayerNorm() {
    eachTable {
      checkLayerNorm($0, Float.self)
      checkLayerNorm($0, Double.self)
    }
  }
}
