import Foundation
import KernelTypes
import XCTest

@testable import SwiftNet

/// Softmax along rows and columns, and cross entropy, against their formulas.
final class SoftmaxTests: XCTestCase {
  private let sizes = [(1, 1), (3, 5), (2, 16), (5, 17), (4, 33), (3, 130)]

  private func softmax(_ x: [Double]) -> [Double] {
    let top = x.max() ?? 0
    let e = x.map { exp($0 - top) }
    let sum = e.reduce(0, +)
    return e.map { $0 / sum }
  }

  private func check<T: TestLane>(_ table: KernelTable, _: T.Type) {
    var random = TestRandom(seed: 31)
    let kernels = table.softmax
    for (lines, n) in sizes {
      for isLog in [false, true] {
        // A line of large numbers shows whether the greatest is subtracted.
        var x: [T] = random.lanes(lines * n, T.self)
        for i in 0..<n { x[i] = x[i] * 20 + 150 }
        let g: [T] = random.lanes(lines * n, T.self)
        var y: [Double] = [], dx: [Double] = []
        for line in 0..<lines {
          let p = softmax(x[line * n..<(line + 1) * n].map { Double($0) })
          let values = isLog ? x[line * n..<(line + 1) * n].map { Double($0) } : p
          let top = values.max() ?? 0
          let logSum = isLog ? top + log(values.reduce(0) { $0 + exp($1 - top) }) : 0
          let out = isLog ? values.map { $0 - logSum } : p
          let line = g[line * n..<(line + 1) * n].map { Double($0) }
          let dot = isLog ? line.reduce(0, +) : zip(line, p).reduce(0) { $0 + $1.0 * $1.1 }
          y += out
          dx += zip(line, p).map { isLog ? $0 - $1 * dot : $1 * ($0 - dot) }
        }
        let label = "\(table.name) \(lines)x\(n)"
        var result = [T](repeating: .nan, count: lines * n), gradient = result
        let shape = MatrixShape(rows: lines, columns: n)
        (isLog ? kernels.logRows : kernels.rows)[T.index](x, &result, shape)
        expect(result, y, "rows \(label)", tolerance: 4 * T.tolerance)
        (isLog ? kernels.logRowsGradient : kernels.rowsGradient)[T.index](g, result, &gradient, shape)
        expect(gradient, dx, "rows gradient \(label)", tolerance: 30 * T.tolerance)

        // The same lines down the columns of a wider matrix; what lies between stays.
        let stride = lines + 2
        func columns(_ values: [T], _ fill: T) -> [T] {
          var matrix = [T](repeating: fill, count: n * stride)
          for line in 0..<lines {
            for i in 0..<n { matrix[i * stride + line] = values[line * n + i] }
          }
          return matrix
        }
        let xs = columns(x, 0), gs = columns(g, 0)
        var ys = columns(result.map { _ in 0 }, 77), dxs = ys
        (isLog ? kernels.logColumns : kernels.columns)[T.index](xs, &ys, n, stride, lines)
        (isLog ? kernels.logColumnsGradient : kernels.columnsGradient)[T.index](gs, ys, &dxs, n, stride, lines)
        for i in 0..<n {
          XCTAssertEqual(ys[i * stride + lines], 77, label)
          XCTAssertEqual(dxs[i * stride + lines], 77, label)
        }
        func rows(_ matrix: [T]) -> [T] { (0..<lines * n).map { matrix[$0 % n * stride + $0 / n] } }
        expect(rows(ys), y, "columns \(label)", tolerance: 4 * T.tolerance)
        expect(rows(dxs), dx, "columns gradient \(label)", tolerance: 30 * T.tolerance)
      }
    }
  }

  func testSoftmax() {
    eachTable {
      check($0, Float.self)
      check($0, Double.self)
    }
  }

  private func checkLoss<T: TestLane>(_ table: KernelTable, _: T.Type) {
    var random = TestRandom(seed: 32)
    for (samples, classes) in [(1, 1), (5, 3), (17, 10), (3, 33), (33, 7)] {
      for isLines in [true, false] {
        for hasWeights in [false, true] {
          for smoothing in [0.0, 0.1] {
            let (classStride, sampleStride) = isLines ? (1, classes + 2) : (samples + 3, 1)
            let size = isLines ? samples * sampleStride : classes * classStride
            var settings = CrossEntropySettings(classes: classes, sampleStride: sampleStride)
            settings.classStride = classStride
            settings.labelSmoothing = smoothing
            let x: [T] = random.lanes(size, T.self)
            let weights: [T] = random.values(classes).map { T(abs($0) + 0.1) }
            let targets = (0..<samples).map { $0 % 4 == 3 ? -100 : Int64(($0 * 7) % classes) }
            let g = random.values(samples)
            var expected: [Double] = [], gradient = [Double](repeating: 77, count: size)
            for i in 0..<samples {
              let p = softmax((0..<classes).map { Double(x[$0 * classStride + i * sampleStride]) })
              var shares = (0..<classes).map { c in smoothing / Double(classes) * (hasWeights ? Double(weights[c]) : 1)
              }
              if targets[i] >= 0 {
                let t = Int(targets[i])
                shares[t] += (1 - smoothing) * (hasWeights ? Double(weights[t]) : 1)
              } else {
                shares = shares.map { _ in 0 }
              }
              expected.append(zip(shares, p).reduce(0) { $0 - $1.0 * log($1.1) })
              let all = shares.reduce(0, +)
              for c in 0..<classes { gradient[c * classStride + i * sampleStride] = g[i] * (p[c] * all - shares[c]) }
            }
            var losses = [Double](repeating: .nan, count: samples), denominators = losses
            var dx = [T](repeating: 77, count: size)
            weights.withUnsafeBytes { bytes in
              let weights = hasWeights ? bytes.baseAddress : nil
              table.loss.crossEntropy[T.index](x, targets, weights, &losses, &denominators, nil, samples, settings)
              table.loss.crossEntropyGradient[T.index](
                x, targets, weights, denominators, g, &dx, samples, settings)
            }
            let label = "\(table.name) \(T.self) \(samples)x\(classes) lines \(isLines) \(hasWeights) \(smoothing)"
            XCTAssertLessThan(relativeError(losses, expected), 2 * T.tolerance, "loss \(label)")
            // What lies between the lines stays; relative to the scores' gradients, not to the mark.
            for i in 0..<size {
              XCTAssertEqual(Double(dx[i]), gradient[i], accuracy: 4 * T.tolerance, "gradient \(label)")
            }
            if hasWeights || smoothing != 0 || T.self != Float.self { continue }
            // The loss and its gradient at once.
            settings.factor = 0.7
            (losses, dx) = ([Double](repeating: .nan, count: samples), [T](repeating: 77, count: size))
            table.loss.crossEntropy[T.index](x, targets, nil, &losses, &denominators, &dx, samples, settings)
            XCTAssertLessThan(relativeError(losses, expected), 2 * T.tolerance, "loss at once \(label)")
            for i in 0..<samples {
              for c in 0..<classes {
                let at = c * classStride + i * sampleStride
                XCTAssertEqual(
                  Double(dx[at]), gradient[at] / g[i] * 0.7, accuracy: 4 * T.tolerance, "gradient at once \(label)")
                dx[at] = 77
              }
            }
            XCTAssertTrue(dx.allSatisfy { $0 == 77 }, "between the lines \(label)")
          }
        }
      }
    }
  }

  func testCrossEntropy() {
    eachTable {
      checkLoss($0, Float.self)
      checkLoss($0, Double.self)
    }
  }
}
