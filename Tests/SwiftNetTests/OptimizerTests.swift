import Foundation
import SwiftNet
import XCTest

/// Several steps of every optimizer against its formula in a plain loop, in double precision.
final class OptimizerTests: XCTestCase {
  /// Parameter, gradient and state, an array for each name, at step t = 1, 2, ….
  private struct Course {
    var p: [Double]
    var g: [Double] = []
    var t = 0.0
    private var state: [String: [Double]] = [:]

    init(_ p: [Double]) { self.p = p }

    /// State of one value per element, zeros at first.
    subscript(name: String, first first: Double = 0) -> [Double] {
      get { state[name] ?? [Double](repeating: first, count: p.count) }
      set { state[name] = newValue }
    }

    /// A running mean under a name.
    mutating func mean(_ name: String, _ beta: Double, _ new: (Int) -> Double) -> [Double] {
      var values = self[name]
      for i in values.indices { values[i] = beta * values[i] + (1 - beta) * new(i) }
      self[name] = values
      return values
    }
  }

  private typealias Formula = (inout Course) -> Void

  private let start = [0.75, -1.25, 0.03125, 2.125, -0.5]

  /// Gradients that change size and sign.
  private func gradient(_ step: Int) -> [Double] {
    start.indices.map { Double(Float(sin(Double(3 * step + 2 * $0)) * pow(10, Double($0 % 3) - 1))) }
  }

  /// Values that float32 holds, in float64.
  private func wide(_ values: [Double]) throws -> Tensor {
    try Tensor(values.map { Float($0) }).to(.float64)
  }

  private func check(
    _ name: String, steps: Int = 8, _ make: ([Tensor]) throws -> Optimizer, _ formula: Formula
  ) throws {
    let parameter = try wide(start)
    try parameter.setRequiresGrad(true)
    let optimizer = try make([parameter])
    var course = Course(start)
    for step in 1...steps {
      course.g = gradient(step)
      course.t = Double(step)
      parameter.grad = try wide(course.g)
      try optimizer.step()
      formula(&course)
      for (own, expected) in zip(try parameter.detach().doubles(), course.p) {
        XCTAssertEqual(own, expected, accuracy: 1e-12 * max(1, abs(expected)), "\(name), step \(step)")
      }
    }
  }

  func testGradientDescent() throws {
    try check("SGD", { try SGD($0, lr: 0.1, momentum: 0.9, dampening: 0.1, weightDecay: 0.01) }) { c in
      var buffer = c["b"]
      for i in c.p.indices {
        let d = c.g[i] + 0.01 * c.p[i]
        buffer[i] = c.t == 1 ? d : 0.9 * buffer[i] + 0.9 * d
        c.p[i] -= 0.1 * buffer[i]
      }
      c["b"] = buffer
    }
    try check("Nesterov, uphill", { try SGD($0, lr: 0.1, momentum: 0.8, nesterov: true, maximize: true) }) { c in
      var buffer = c["b"]
      for i in c.p.indices {
        buffer[i] = 0.8 * buffer[i] - c.g[i]
        c.p[i] -= 0.1 * (0.8 * buffer[i] - c.g[i])
      }
      c["b"] = buffer
    }
    try check("ASGD", { try ASGD($0, lr: 0.05, lambd: 0.01, alpha: 0.6) }) { c in
      // The library keeps the rate in the default dtype, as PyTorch does.
      let rate = Double(Float(0.05 / pow(1 + 0.01 * 0.05 * (c.t - 1), 0.6)))
      for i in c.p.indices { c.p[i] = c.p[i] * (1 - 0.01 * rate) - rate * c.g[i] }
    }
  }

  func testAdam() throws {
    func adam(_ c: inout Course, decay: Double, shrink: Double) {
      let (p, g) = (c.p, c.g)
      let m = c.mean("m", 0.9) { g[$0] + decay * p[$0] }
      let v = c.mean("v", 0.99) { pow(g[$0] + decay * p[$0], 2) }
      for i in c.p.indices {
        let spread = (v[i] / (1 - pow(0.99, c.t))).squareRoot() + 1e-8
        c.p[i] = c.p[i] * shrink - 0.02 * m[i] / (1 - pow(0.9, c.t)) / spread
      }
    }
    try check("Adam", { try Adam($0, lr: 0.02, betas: (0.9, 0.99), weightDecay: 0.1) }) {
      adam(&$0, decay: 0.1, shrink: 1)
    }
    try check("AdamW", { try Adam($0, lr: 0.02, betas: (0.9, 0.99), weightDecay: 0.1, decoupled: true) }) {
      adam(&$0, decay: 0, shrink: 1 - 0.02 * 0.1)
    }
  }

  func testAdamsRelatives() throws {
    var product = 1.0
    try check("NAdam", { try NAdam($0, lr: 0.02, betas: (0.9, 0.99)) }) { c in
      let g = c.g
      let m = c.mean("m", 0.9) { g[$0] }
      let v = c.mean("v", 0.99) { g[$0] * g[$0] }
      // The library keeps the product in the default dtype, as PyTorch does.
      let now = 0.9 * (1 - 0.5 * pow(0.96, c.t * 0.004)), next = 0.9 * (1 - 0.5 * pow(0.96, (c.t + 1) * 0.004))
      product = Double(Float(product * Double(Float(now))))
      for i in c.p.indices {
        let spread = (v[i] / (1 - pow(0.99, c.t))).squareRoot() + 1e-8
        c.p[i] -= 0.02 * ((1 - now) * g[i] / (1 - product) + next * m[i] / (1 - product * next)) / spread
      }
    }
    try check("RAdam", steps: 12, { try RAdam($0, lr: 0.02, betas: (0.9, 0.99)) }) { c in
      let g = c.g
      let m = c.mean("m", 0.9) { g[$0] }
      let v = c.mean("v", 0.99) { g[$0] * g[$0] }
      let most = 2 / (1 - 0.99) - 1
      let correction = 1 - pow(0.99, c.t)
      let rho = most - 2 * c.t * pow(0.99, c.t) / correction
      for i in c.p.indices {
        var change = m[i] / (1 - pow(0.9, c.t))
        if rho > 5 {
          let factor = ((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho)).squareRoot()
          change *= factor * correction.squareRoot() / (v[i].squareRoot() + 1e-8)
        }
        c.p[i] -= 0.02 * change
      }
    }
    try check("Adamax", { try Adamax($0, lr: 0.02, betas: (0.9, 0.99)) }) { c in
      let g = c.g
      let m = c.mean("m", 0.9) { g[$0] }
      var u = c["u"]
      for i in c.p.indices {
        u[i] = max(0.99 * u[i], abs(g[i]) + 1e-8)
        c.p[i] -= 0.02 / (1 - pow(0.9, c.t)) * m[i] / u[i]
      }
      c["u"] = u
    }
  }

  func testScalingBySquares() throws {
    try check("Adagrad", { try Adagrad($0, lr: 0.1, lrDecay: 0.01) }) { c in
      var s = c["s"]
      for i in c.p.indices {
        s[i] += c.g[i] * c.g[i]
        c.p[i] -= 0.1 / (1 + (c.t - 1) * 0.01) * c.g[i] / (s[i].squareRoot() + 1e-10)
      }
      c["s"] = s
    }
    try check("Adadelta", { try Adadelta($0, lr: 0.5, rho: 0.9) }) { c in
      let g = c.g
      let s = c.mean("s", 0.9) { g[$0] * g[$0] }
      let before = c["a"]
      let change = c.p.indices.map { (before[$0] + 1e-6).squareRoot() / (s[$0] + 1e-6).squareRoot() * g[$0] }
      _ = c.mean("a", 0.9) { change[$0] * change[$0] }
      for i in c.p.indices { c.p[i] -= 0.5 * change[i] }
    }
    try check("RMSprop", { try RMSprop($0, lr: 0.01, alpha: 0.9, momentum: 0.8, centered: true) }) { c in
      let g = c.g
      let s = c.mean("s", 0.9) { g[$0] * g[$0] }
      let middle = c.mean("c", 0.9) { g[$0] }
      var buffer = c["b"]
      for i in c.p.indices {
        buffer[i] = 0.8 * buffer[i] + g[i] / ((s[i] - middle[i] * middle[i]).squareRoot() + 1e-8)
        c.p[i] -= 0.01 * buffer[i]
      }
      c["b"] = buffer
    }
  }

  func testSteppingBySigns() throws {
    try check("Rprop", { try Rprop($0, lr: 0.01) }) { c in
      var (before, size) = (c["g"], c["size", first: 0.01])
      for i in c.p.indices {
        let agreement = before[i] * c.g[i]
        if agreement != 0 { size[i] = min(max(size[i] * (agreement > 0 ? 1.2 : 0.5), 1e-6), 50) }
        before[i] = agreement < 0 ? 0 : c.g[i]
        if before[i] != 0 { c.p[i] -= before[i] > 0 ? size[i] : -size[i] }
      }
      (c["g"], c["size"]) = (before, size)
    }
    try check("Lion", { try Lion($0, lr: 0.01, betas: (0.9, 0.95), weightDecay: 0.1) }) { c in
      let (g, m) = (c.g, c["m"])
      for i in c.p.indices {
        let direction = 0.9 * m[i] + 0.1 * g[i]
        c.p[i] -= 0.01 * ((direction > 0 ? 1 : direction < 0 ? -1 : 0) + 0.1 * c.p[i])
      }
      _ = c.mean("m", 0.95) { g[$0] }
    }
  }

  func testScalingByWholeNorms() throws {
    func length(_ values: [Double]) -> Double { values.reduce(0) { $0 + $1 * $1 }.squareRoot() }
    try check("LAMB", { try LAMB($0, lr: 0.02, betas: (0.9, 0.99), weightDecay: 0.1) }) { c in
      let (p, g) = (c.p, c.g)
      let m = c.mean("m", 0.9) { g[$0] }
      let v = c.mean("v", 0.99) { g[$0] * g[$0] }
      let direction = p.indices.map {
        m[$0] / (1 - pow(0.9, c.t)) / ((v[$0] / (1 - pow(0.99, c.t))).squareRoot() + 1e-6) + 0.1 * p[$0]
      }
      for i in p.indices { c.p[i] -= 0.02 * length(p) / length(direction) * direction[i] }
    }
    try check("Adafactor", { try Adafactor($0, lr: 0.05, eps: (1e-8, 1e-3)) }) { c in
      let (p, g) = (c.p, c.g)
      let count = Double(p.count).squareRoot()
      let v = c.mean("v", 1 - pow(c.t, -0.8)) { g[$0] * g[$0] }
      let change = p.indices.map { g[$0] / max(v[$0], 1e-16).squareRoot() }
      let rate = max(1e-3, length(p) / count) * min(0.05, 1 / c.t.squareRoot())
      for i in p.indices { c.p[i] -= rate / max(1, length(change) / count) * change[i] }
    }
  }

  /// Matrices: the mean of squares as a product of row and column means.
  func testAdafactorOfAMatrix() throws {
    let parameter = try wide([1, -2, 0.5, 3, 0.125, -1]).reshape([2, 3]).detach()
    try parameter.setRequiresGrad(true)
    let optimizer = try Adafactor([parameter], lr: 0.05, eps: (1e-8, 1e-3))
    var p = try parameter.doubles(), rows = [0.0, 0], columns = [0.0, 0, 0]
    for t in 1...4 {
      let g = (0..<6).map { Double(Float(cos(Double(t + 2 * $0)))) }
      parameter.grad = try wide(g).reshape([2, 3])
      try optimizer.step()
      let share = pow(Double(t), -0.8)
      for r in 0..<2 {
        let mean = (0..<3).reduce(0) { $0 + g[3 * r + $1] * g[3 * r + $1] } / 3
        rows[r] += share * (mean - rows[r])
      }
      for c in 0..<3 {
        let mean = (g[c] * g[c] + g[3 + c] * g[3 + c]) / 2
        columns[c] += share * (mean - columns[c])
      }
      let change = (0..<6).map { g[$0] / (rows[$0 / 3] * columns[$0 % 3] / ((rows[0] + rows[1]) / 2)).squareRoot() }
      func mean(_ values: [Double]) -> Double { (values.reduce(0) { $0 + $1 * $1 } / 6).squareRoot() }
      let rate = mean(p) * min(0.05, 1 / Double(t).squareRoot()) / max(1, mean(change))
      for i in 0..<6 { p[i] -= rate * change[i] }
      for (own, expected) in zip(try parameter.detach().doubles(), p) {
        XCTAssertEqual(own, expected, accuracy: 1e-12, "step \(t)")
      }
    }
  }
}
