import Foundation
import KernelTypes
import XCTest

@testable import SwiftNet

/// Sums and gradients of losses beside a truth, against plain loops in Double.
final class BinaryLossTests: XCTestCase {
  private let sizes = [1, 7, 8, 16, 17, 33, 511, 1024, 1025, 3000]

  private struct Element {
    let x: Double
    let y: Double
    var p: Double { 1 / (1 + exp(-x)) }
    func entropy(_ bound: Double = .infinity) -> Double {
      let z = max(-bound, min(bound, x))
      return (1 - y) * z - min(z, 0) + log1p(exp(-abs(x)))
    }
    func slope(_ s: BinaryLossSettings) -> Double {
      let spread = exp(-abs(x)) / pow(1 + exp(-abs(x)), 2)
      let fading = s.isFading ? min(1, spread * 1e12) : 1
      return (s.both * y + s.predicted) * spread + s.entropy * fading * (p - y)
    }
    func focal(_ s: BinaryLossSettings) -> Double {
      (s.positive * y + s.negative * (1 - y)) * pow(-expm1(-entropy()), s.gamma) * entropy()
    }
    func focalSlope(_ s: BinaryLossSettings) -> Double {
      let q = -expm1(-entropy())
      let rise = pow(q, s.gamma) + s.gamma * pow(q, s.gamma - 1) * (1 - q) * entropy()
      return s.entropy * (s.positive * y + s.negative * (1 - y)) * rise * (p - y)
    }
  }

  private func data<T: TestLane>(_ n: Int, _ scale: Double, isHard: Bool, _ random: inout TestRandom, _: T.Type) -> (
    [T], [T], [Element]
  ) {
    let x: [T] = random.values(n).map { T($0 * scale) }
    let y: [T] = (0..<n).map { _ in
      let value = random.uniform()
      return isHard ? (value > 0.5 ? 1 : 0) : T(Float(value))
    }
    return (x, y, zip(x, y).map { Element(x: Double($0), y: Double($1)) })
  }

  private func sums<T: TestLane>(
    _ kernel: BinarySumsKernel, _ x: [T], _ y: [T], _ width: Int, _ settings: BinaryLossSettings
  ) -> [Double] {
    // What is there stays.
    var result = [Double](repeating: 0.5, count: width)
    kernel(x, y, x.count, &result, settings)
    return result.map { $0 - 0.5 }
  }

  private func gradient<T: TestLane>(
    _ kernel: BinaryGradientKernel, _ x: [T], _ y: [T], _ settings: BinaryLossSettings
  ) -> [T] {
    var out = [T](repeating: 77, count: x.count + 1)
    kernel(x, y, &out, x.count, settings)
    XCTAssertEqual(out.removeLast(), 77)
    return out
  }

  private func check<T: TestLane>(_ table: KernelTable, _: T.Type) {
    var random = TestRandom(seed: 77)
    let loss = table.loss, lane = T.index
    for n in sizes {
      for (scale, isHard) in [(1.0, true), (1.0, false), (12.0, true), (60.0, true), (12.0, false)] {
        let (x, y, elements) = data(n, scale, isHard: isHard, &random, T.self)
        let label = "\(table.name) \(T.self) \(n) \(scale) \(isHard)"
        func compare(_ found: [Double], _ wanted: [Double], _ what: String) {
          for (a, b) in zip(found, wanted) {
            XCTAssertEqual(a, b, accuracy: 2 * T.tolerance * (abs(b) + 1e-3 * Double(n)), "\(what) \(label)")
          }
        }
        var s = BinaryLossSettings()
        let overlap = [
          elements.reduce(0) { $0 + $1.p * $1.y }, elements.reduce(0) { $0 + $1.p }, elements.reduce(0) { $0 + $1.y },
          elements.reduce(0) { $0 + $1.entropy() },
        ]
        compare(sums(loss.overlapSums[lane], x, y, 4, s), overlap, "overlap")
        compare(sums(loss.entropySums[lane], x, y, 1, s), [overlap[3]], "entropy")
        XCTAssertEqual(sums(loss.entropySums[lane], x, y, 1, s)[0], sums(loss.overlapSums[lane], x, y, 4, s)[3], label)
        compare(
          sums(loss.probabilitySums[lane], x, y, 3, s),
          [elements.reduce(0) { $0 + $1.x * $1.y }, elements.reduce(0) { $0 + $1.x }, overlap[2]], "probability")
        compare(
          sums(loss.squareSums[lane], x, y, 1, s), [elements.reduce(0) { $0 + pow($1.x - $1.y, 2) }], "squares")
        s.countsEntropy = false
        compare(sums(loss.overlapSums[lane], x, y, 3, s), Array(overlap.prefix(3)), "overlap alone")
        s.countsEntropy = true
        s.bound = 20
        compare(
          sums(loss.entropySums[lane], x, y, 1, s), [elements.reduce(0) { $0 + $1.entropy(20) }], "bounded entropy")
        s.entropy = 0.75
        expect(
          gradient(loss.squareGradient[lane], x, y, s), elements.map { 1.5 * ($0.x - $0.y) }, "squares \(label)")
        expect(gradient(loss.overlapGradient[lane], x, y, s), elements.map { $0.slope(s) }, "entropy \(label)")
        (s.both, s.predicted) = (-1.5, 0.25)
        expect(gradient(loss.overlapGradient[lane], x, y, s), elements.map { $0.slope(s) }, "overlap \(label)")
        s.entropy = 0
        expect(gradient(loss.overlapGradient[lane], x, y, s), elements.map { $0.slope(s) }, "overlap alone \(label)")
        s.entropy = 0.75
        s.isFading = true
        expect(gradient(loss.overlapGradient[lane], x, y, s), elements.map { $0.slope(s) }, "fading \(label)")
        for gamma in [0.0, 1, 2, 2.5] {
          s.gamma = gamma
          (s.positive, s.negative) = (0.25, 0.75)
          let accuracy = scale * 8
          let found = sums(loss.focalSums[lane], x, y, 1, s)[0]
          let wanted = elements.reduce(0) { $0 + $1.focal(s) }
          XCTAssertEqual(
            found, wanted, accuracy: accuracy * T.tolerance * (wanted + 1e-3 * Double(n)), "focal \(gamma) \(label)")
          expect(
            gradient(loss.focalGradient[lane], x, y, s), elements.map { $0.focalSlope(s) }, "focal \(gamma) \(label)",
            tolerance: accuracy * T.tolerance)
        }
      }
    }
  }

  func testAgainstLoops() {
    eachTable {
      check($0, Float.self)
      check($0, Double.self)
    }
  }

  /// A model that is sure of itself: sums of tiny terms keep their digits.
  private func checkSmall<T: TestLane>(_ table: KernelTable, _: T.Type) {
    let x = (0..<2000).map { T($0 % 2 == 0 ? 15 : -14) }
    let y = (0..<2000).map { T($0 % 2 == 0 ? 1 : 0) }
    let wanted = 1000 * (log1p(exp(-15.0)) + log1p(exp(-14.0)))
    let found = sums(table.loss.entropySums[T.index], x, y, 1, BinaryLossSettings())[0]
    XCTAssertEqual(found, wanted, accuracy: wanted * 4 * max(T.tolerance, 1e-12), table.name)
  }

  func testSmallEntropies() {
    eachTable {
      checkSmall($0, Float.self)
      checkSmall($0, Double.self)
    }
  }

  private func checkExtremes<T: TestLane>(_ table: KernelTable, _: T.Type) {
    let x: [T] = [.infinity, -.infinity, 1000, -1000, .nan, 100, -100, 0]
    let s = BinaryLossSettings(gradient: 1)
    for truth in [0.0, 1] {
      let y = x.map { _ in T(truth) }
      let gradients = gradient(table.loss.overlapGradient[T.index], x, y, s)
      for (i, score) in x.enumerated() {
        let entropy = sums(table.loss.entropySums[T.index], [score], [T(truth)], 1, s)[0]
        let label = "\(table.name) \(T.self) \(score) \(truth)"
        let isRight = (score > 0) == (truth == 1)
        if score.isNaN || score == -.infinity || score == .infinity && truth == 1 {
          // 0 · ∞ and ∞ - ∞, as in PyTorch.
          XCTAssertTrue(entropy.isNaN, label)
        } else if score == .infinity {
          XCTAssertEqual(entropy, .infinity, label)
        } else if score != 0 {
          XCTAssertEqual(entropy, isRight ? 0 : Double(abs(score)), accuracy: 1e-6, label)
        }
        if score.isNaN {
          XCTAssertTrue(gradients[i].isNaN, label)
        } else {
          XCTAssertEqual(Double(gradients[i]), (score > 0 ? 1 : score < 0 ? 0 : 0.5) - truth, accuracy: 1e-6, label)
        }
      }
    }
  }

  func testExtremes() {
    eachTable {
      checkExtremes($0, Float.self)
      checkExtremes($0, Double.self)
    }
  }
}
