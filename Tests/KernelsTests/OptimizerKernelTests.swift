import Foundation
import KernelTypes
import XCTest

@testable import SwiftNet

/// The optimizers' kernels against the formulas of their documentation, a few steps on odd sizes.
final class OptimizerKernelTests: XCTestCase {
  /// Parameter, gradient and state of one element, changed in place.
  private typealias Formula = (inout [Double], UpdateStep) -> Void
  private typealias Family = (name: String, states: Int, kernels: (OptimizerKernels) -> [UpdateKernel], Formula)

  /// The gradient uphill, with weight decay.
  private func direction(_ v: [Double], _ s: UpdateStep) -> Double {
    (s.maximize ? -v[1] : v[1]) + s.weightDecay * v[0]
  }

  private func mean(_ old: Double, _ new: Double, _ beta: Double) -> Double { beta * old + (1 - beta) * new }

  private var families: [Family] {
    [
      (
        "nadam", 2, { $0.nadam },
        { v, s in
          let d = self.direction(v, s)
          v[2] = self.mean(v[2], d, s.beta1)
          v[3] = self.mean(v[3], d * d, s.beta2)
          let spread = (v[3] / s.correction).squareRoot() + s.eps
          v[0] = v[0] * s.shrink - s.rate * d / spread - s.momentumRate * v[2] / spread
        }
      ),
      (
        "radam", 2, { $0.radam },
        { v, s in
          let d = self.direction(v, s)
          v[2] = self.mean(v[2], d, s.beta1)
          v[3] = self.mean(v[3], d * d, s.beta2)
          v[0] = v[0] * s.shrink - s.rate * v[2] / (s.isAdaptive ? v[3].squareRoot() + s.eps : 1)
        }
      ),
      (
        "adamax", 2, { $0.adamax },
        { v, s in
          let d = self.direction(v, s)
          v[2] = self.mean(v[2], d, s.beta1)
          v[3] = max(v[3] * s.beta2, abs(d) + s.eps)
          v[0] -= s.rate * v[2] / v[3]
        }
      ),
      (
        "adagrad", 1, { $0.adagrad },
        { v, s in
          let d = self.direction(v, s)
          v[2] += d * d
          v[0] -= s.rate * d / (v[2].squareRoot() + s.eps)
        }
      ),
      (
        "adadelta", 2, { $0.adadelta },
        { v, s in
          let d = self.direction(v, s)
          v[2] = self.mean(v[2], d * d, s.beta2)
          let change = ((v[3] + s.eps) / (v[2] + s.eps)).squareRoot() * d
          v[3] = self.mean(v[3], change * change, s.beta2)
          v[0] -= s.rate * change
        }
      ),
      (
        "rmsprop", 3, { $0.rmsprop },
        { v, s in
          let d = self.direction(v, s)
          v[2] = self.mean(v[2], d * d, s.beta2)
          if s.isAdaptive { v[3] = self.mean(v[3], d, s.beta2) }
          let change = d / ((s.isAdaptive ? v[2] - v[3] * v[3] : v[2]).squareRoot() + s.eps)
          // Without centring the buffer comes right behind the squares.
          let buffer = s.isAdaptive ? 4 : 3
          if s.momentum > 0 { v[buffer] = s.momentum * v[buffer] + change }
          v[0] -= s.rate * (s.momentum > 0 ? v[buffer] : change)
        }
      ),
      (
        "rprop", 2, { $0.rprop },
        { v, s in
          var d = s.maximize ? -v[1] : v[1]
          let product = d * v[2]
          let factor = product > 0 ? s.growing : product < 0 ? s.shrinking : 1
          v[3] = min(max(v[3] * factor, s.least), s.greatest)
          if product < 0 { d = 0 }
          v[2] = d
          v[0] -= v[3] * (d > 0 ? 1 : d < 0 ? -1 : 0)
        }
      ),
      (
        "asgd", 1, { $0.asgd },
        { v, s in
          v[0] = v[0] * s.shrink - s.rate * self.direction(v, s)
          v[2] += s.momentum * (v[0] - v[2])
        }
      ),
      (
        "lion", 1, { $0.lion },
        { v, s in
          let d = s.maximize ? -v[1] : v[1]
          let sum = s.beta1 * v[2] + (1 - s.beta1) * d
          v[2] = self.mean(v[2], d, s.beta2)
          v[0] = v[0] * s.shrink - s.rate * (sum > 0 ? 1 : sum < 0 ? -1 : 0)
        }
      ),
      (
        "lamb", 3, { $0.lamb },
        { v, s in
          let d = s.maximize ? -v[1] : v[1]
          v[2] = self.mean(v[2], d, s.beta1)
          v[3] = self.mean(v[3], d * d, s.beta2)
          v[4] = s.rate * v[2] / ((v[3] / s.correction).squareRoot() + s.eps) + s.weightDecay * v[0]
        }
      ),
    ]
  }

  private func check<T: TestLane>(_ table: KernelTable, _: T.Type) {
    var random = TestRandom(seed: 61)
    for (name, states, kernels, formula) in families {
      for n in [0, 1, 7, 16, 17, 33] {
        for variant in 0..<8 {
          var step = UpdateStep()
          (step.rate, step.momentumRate, step.eps, step.correction) = (0.03, 0.02, 1e-3, 0.7)
          (step.beta1, step.beta2) = variant & 1 == 0 ? (0.9, 0.95) : (0.4, 0.3)
          (step.shrinking, step.growing, step.least, step.greatest) = (0.5, 1.2, 1e-3, 0.4)
          step.maximize = variant & 1 == 1
          step.isAdaptive = variant & 2 != 0
          step.momentum = variant & 4 != 0 ? 0.5 : 0
          if variant & 4 != 0 { (step.weightDecay, step.shrink) = (0.1, 0.99) }
          // State that a square root is taken of is positive.
          var memory = (0..<2 + states).map { place in
            random.values(n).map { T(place < 2 ? $0 : abs($0) + 0.3) } + [T(77)]
          }
          if name == "rmsprop" && step.isAdaptive {
            memory[3].replaceSubrange(0..<n, with: [T](repeating: 0, count: n))
          }
          var elements = (0..<n).map { i in memory.map { Double($0[i]) } }
          for _ in 0..<3 {
            let gradient: [T] = random.lanes(n, T.self)
            memory[1].replaceSubrange(0..<n, with: gradient)
            let pointers = memory.map { values in
              let copy = UnsafeMutablePointer<T>.allocate(capacity: n + 1)
              copy.initialize(from: values, count: n + 1)
              return copy
            }
            kernels(table.optimizers)[T.index](pointers.map { UnsafeMutableRawPointer($0) }, n, step)
            memory = pointers.map { Array(UnsafeBufferPointer(start: $0, count: n + 1)) }
            pointers.forEach { $0.deallocate() }
            for i in 0..<n {
              elements[i][1] = Double(gradient[i])
              formula(&elements[i], step)
            }
          }
          for (place, values) in memory.enumerated() where place != 1 {
            expect(
              Array(values.prefix(n)), elements.map { $0[place] }, "\(table.name) \(name) \(n) \(variant) \(place)",
              tolerance: 20 * T.tolerance)
            XCTAssertEqual(values[n], 77, "\(table.name) \(name) \(n)")
          }
        }
      }
    }
  }

  func testUpdates() {
    eachTable {
      check($0, Float.self)
      check($0, Double.self)
    }
  }

  private func checkSGD<T: TestLane>(_ table: KernelTable, _: T.Type) {
    var random = TestRandom(seed: 62)
    for n in [1, 7, 16, 33] {
      for variant in 0..<8 {
        let hasMomentum = variant & 1 != 0
        var settings = SGDStep(
          learningRate: 0.1, momentum: hasMomentum ? 0.9 : 0, dampening: variant & 2 != 0 ? 0 : 0.25,
          weightDecay: variant & 4 != 0 ? 0.1 : 0, nesterov: hasMomentum && variant & 2 != 0,
          maximize: variant & 4 != 0)
        var p: [T] = random.lanes(n, T.self), buffer = [T](repeating: .nan, count: n)
        var expected = doubles(p), moving = [Double](repeating: 0, count: n)
        for round in 0..<3 {
          settings.isFirst = round == 0
          let g: [T] = random.lanes(n, T.self)
          buffer.withUnsafeMutableBytes {
            table.optimizers.sgd[T.index](&p, g, hasMomentum ? $0.baseAddress : nil, n, settings)
          }
          for i in 0..<n {
            var d = (settings.maximize ? -1 : 1) * Double(g[i]) + settings.weightDecay * expected[i]
            if hasMomentum {
              moving[i] = round == 0 ? d : settings.momentum * moving[i] + (1 - settings.dampening) * d
              d = settings.nesterov ? d + settings.momentum * moving[i] : moving[i]
            }
            expected[i] -= settings.learningRate * d
          }
        }
        expect(p, expected, "\(table.name) sgd \(n) \(variant)", tolerance: 4 * T.tolerance)
      }
    }
  }

  private func checkAdam<T: TestLane>(_ table: KernelTable, _: T.Type) {
    var random = TestRandom(seed: 63)
    for n in [1, 7, 16, 33] {
      for variant in 0..<8 {
        let hasGreatest = variant & 1 != 0
        var p: [T] = random.lanes(n, T.self), m = [T](repeating: 0, count: n), v = m, most = m
        var expected = doubles(p), mean = expected.map { _ in 0.0 }, squares = mean, greatest = mean
        for round in 1...3 {
          let settings = AdamStep(
            learningRate: 0.05, beta1: variant & 4 != 0 ? 0.3 : 0.9, beta2: 0.9, eps: 1e-4,
            weightDecay: variant & 4 != 0 ? 0.1 : 0, isDecoupled: variant & 2 != 0, maximize: variant & 2 != 0,
            biasCorrection1: 1 - pow(0.9, Double(round)), biasCorrection2: 1 - pow(0.8, Double(round)))
          let g: [T] = random.lanes(n, T.self)
          most.withUnsafeMutableBytes {
            table.optimizers.adam[T.index](&p, g, &m, &v, hasGreatest ? $0.baseAddress : nil, n, settings)
          }
          for i in 0..<n {
            var d = (settings.maximize ? -1 : 1) * Double(g[i])
            if settings.isDecoupled {
              expected[i] *= 1 - settings.learningRate * settings.weightDecay
            } else {
              d += settings.weightDecay * expected[i]
            }
            mean[i] = self.mean(mean[i], d, settings.beta1)
            squares[i] = self.mean(squares[i], d * d, settings.beta2)
            greatest[i] = max(greatest[i], squares[i])
            let spread = ((hasGreatest ? greatest[i] : squares[i]) / settings.biasCorrection2).squareRoot()
            expected[i] -= settings.learningRate * mean[i] / settings.biasCorrection1 / (spread + settings.eps)
          }
        }
        expect(p, expected, "\(table.name) adam \(n) \(variant)", tolerance: 4 * T.tolerance)
        expect(v, squares, "\(table.name) adam squares \(n) \(variant)")
        if hasGreatest { expect(most, greatest, "\(table.name) amsgrad \(n) \(variant)") }
      }
    }
  }

  func testSGDAndAdam() {
    eachTable {
      checkSGD($0, Float.self)
      checkSGD($0, Double.self)
      checkAdam($0, Float.self)
      checkAdam($0, Double.self)
    }
  }

  private func checkUnscale<T: TestLane>(_ table: KernelTable, _: T.Type) {
    var random = TestRandom(seed: 64)
    for n in [0, 1, 17, 33] {
      let g: [T] = random.lanes(n, T.self) + [T(77)]
      var scaled = g
      XCTAssertFalse(table.optimizers.unscale[T.index](&scaled, n, 0.25), table.name)
      expect(scaled, g.enumerated().map { $0 < n ? 0.25 * Double($1) : 77 }, "\(table.name) unscale \(n)")
      for place in Set([0, n / 2, n - 1]) where place >= 0 && place < n {
        for trouble in [T.infinity, -T.infinity, T.nan] {
          var broken = g
          broken[place] = trouble
          XCTAssertTrue(table.optimizers.unscale[T.index](&broken, n, 0.25), "\(table.name) \(place) of \(n)")
        }
      }
    }
  }

  func testUnscaling() {
    eachTable {
      checkUnscale($0, Float.self)
      checkUnscale($0, Double.self)
    }
  }
}
