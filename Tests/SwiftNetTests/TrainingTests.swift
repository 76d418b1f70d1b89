import Foundation
import SwiftNet
import XCTest

/// Optimizers and schedules, long graphs, and threads that train at the same time.
final class TrainingTests: XCTestCase {
  /// Steps of an optimizer on a small regression; the losses.
  private func losses(_ optimizer: Optimizer, lr: Double, steps: Int, seed: UInt64 = 1) throws -> [Double] {
    let generator = Generator(seed: seed)
    let weight = try Tensor(empty: [3, 4]), x = try Tensor(empty: [8, 3]), y = try Tensor(empty: [8, 4])
    for tensor in [weight, x, y] { try tensor.normalInPlace(generator: generator) }
    try weight.setRequiresGrad(true)
    try optimizer.addGroup([weight], ["lr": lr])
    func loss() throws -> Double {
      try optimizer.zeroGrad()
      let value = try x.mm(weight).mseLoss(y)
      try Engine.backward([value], gradients: [nil])
      return try value.item().double
    }
    return try (0..<steps).map { _ in
      if optimizer is LBFGS {
        let before = try loss()
        try optimizer.step { try loss() }
        return before
      }
      let value = try loss()
      try optimizer.step()
      return value
    }
  }

  func testEveryOptimizerLowersTheLoss() throws {
    let rates: [(String, Double)] = [
      ("SGD", 0.1), ("Adam", 0.05), ("AdamW", 0.05), ("NAdam", 0.05), ("RAdam", 0.2), ("Adamax", 0.1),
      ("Adagrad", 0.3), ("Adadelta", 5), ("RMSprop", 0.03), ("Rprop", 0.05), ("ASGD", 0.1), ("Adafactor", 0.1),
      ("LBFGS", 0.5), ("Lion", 0.03), ("LAMB", 0.05),
    ]
    for (name, rate) in rates {
      let optimizer = try Optimizer.named(name)
      let found = try losses(optimizer, lr: rate, steps: 30)
      XCTAssertLessThan(found[29], 0.8 * found[0], "\(name) \(found)")
    }
    XCTAssertThrowsError(try Optimizer.named("Fast"))
  }

  func testStepsFollowTheFormulas() throws {
    let parameter = try Tensor([1, -2])
    try parameter.setRequiresGrad(true)
    let optimizer = try SGD([parameter], lr: 0.1, momentum: 0.9)
    for _ in 0..<2 {
      try optimizer.zeroGrad()
      try Engine.backward([try (parameter * parameter).sum()], gradients: [nil])
      try optimizer.step()
    }
    // p = 1: g = 2, p = 0.8; g = 1.6, buffer 0.9 · 2 + 1.6 = 3.4, p = 0.46.
    let values = try parameter.doubles()
    XCTAssertEqual(values[0], 0.46, accuracy: 1e-6)
    XCTAssertEqual(values[1], -0.92, accuracy: 1e-6)
  }

  func testSchedules() throws {
    let cases: [(Schedule, [Double])] = [
      (.step(size: 2, gamma: 0.5), [1, 1, 0.5, 0.5, 0.25]),
      (.constant(factor: 0.25, total: 2), [0.25, 0.25, 1, 1, 1]),
      (.linear(start: 0.2, end: 1, total: 4), [0.2, 0.4, 0.6, 0.8, 1]),
      (.exponential(gamma: 0.5), [1, 0.5, 0.25, 0.125, 0.0625]),
      (.polynomial(total: 4, power: 1), [1, 0.75, 0.5, 0.25, 0]),
      (.cosine(total: 4, least: 0), (0...4).map { (1 + cos(.pi * Double($0) / 4)) / 2 }),
      (.poly(total: 4, power: 2, least: 0.1), (0...4).map { 0.1 + 0.9 * pow(1 - Double($0) / 4, 2) }),
      (.cyclic(greatest: 3, up: 2, down: 2, mode: 0, gamma: 1), [1, 2, 3, 2, 1]),
    ]
    for (schedule, expected) in cases {
      let parameter = try Tensor([1])
      let optimizer = try SGD([parameter], lr: 1)
      let scheduler = Scheduler(optimizer, schedule)
      for (epoch, rate) in expected.enumerated() {
        if epoch > 0 { scheduler.step() }
        XCTAssertEqual(optimizer.groups[0]["lr"], rate, accuracy: 1e-12, "\(schedule) \(epoch)")
      }
    }
    XCTAssertThrowsError(try Schedule("step", [1]))
    XCTAssertThrowsError(try Schedule("steep", [1, 2]))
  }

  /// Neither backward nor the release of the graph goes down the stack; what backward has passed is freed.
  func testDeepChains() throws {
    let x = try Tensor([1, 2])
    try x.setRequiresGrad(true)
    var y = try x * 1.0
    // 2¹⁷ steps of x / 2¹⁷ add without rounding.
    for _ in 0..<1 << 17 { y = try y + x * 0x1p-17 }
    try Engine.backward([try y.sum()], gradients: [nil])
    XCTAssertEqual(try XCTUnwrap(x.grad).doubles(), [2, 2])
    // A graph that nobody differentiates.
    var z = try x * 1.0
    for _ in 0..<100_000 { z = try z.unary(.sin) }
    z = try x * 1.0
    XCTAssertEqual(z.shape, [2])
  }

  /// Large tensors are computed when they are read: a chain that nobody reads waits as a chain.
  func testDeepChainsOfDeferredOperations() throws {
    var x = try Tensor.ones([17_000])
    for _ in 0..<20_000 { x = try x + 1.0 }
    XCTAssertEqual(try x.amax().item().double, 20_001)
    // Several operands, and chains that end unread.
    var (a, b) = (try Tensor.ones([17_000]), try Tensor.ones([17_000]))
    for _ in 0..<5_000 { (a, b) = (try (a + b) * 0.5, try (b + a * 3.0) * 0.25) }
    XCTAssertEqual(try a.mean().item().double, 1, accuracy: 1e-3)
  }

  /// Who comes first computes what is deferred; readers of the same data come and go in other threads.
  func testThreadsReadOneDeferredTensor() throws {
    for round in 0..<50 {
      let data = try Tensor.ones([20_000])
      let shared = try data * .float(Double(round)) + 1.0
      let sums = Locked([Double](repeating: 0, count: 4))
      DispatchQueue.concurrentPerform(iterations: 4) { index in
        let own = try? (shared * 2.0 + data).sum().item().double
        let plain = try? shared.amax().item().double
        sums.change { $0[index] = (own ?? 0) + (plain ?? 0) }
      }
      let value = Double(round) + 1
      XCTAssertEqual(sums.value, [Double](repeating: 20_000 * (2 * value + 1) + value, count: 4))
    }
  }

  /// A thread changes what waiting results read, while others sum them, join them and go on from them.
  func testAThreadChangesWhatOthersRead() throws {
    for _ in 0..<50 {
      let data = try Tensor.ones([40_000])
      let waiting = try (1...3).map { try data * .float(Double($0)) + 1.0 }
      let sums = Locked([Double](repeating: 0, count: 4))
      DispatchQueue.concurrentPerform(iterations: 4) { index in
        let sum: Tensor?
        switch index {
        case 0: sum = try? waiting[0].sum()
        case 1: sum = try? Tensor.cat([waiting[1], waiting[1]]).sum()
        case 2: sum = try? (waiting[2] * 2.0 + waiting[0]).relu().sum()
        default:
          sum = nil
          try? data.fillInPlace(.float(0))
        }
        let value = try? sum?.item().double
        sums.change { $0[index] = value ?? 0 }
      }
      XCTAssertEqual(sums.value, [80_000, 240_000, 400_000, 0])
    }
  }

  func testThreadsTrainDifferentModels() throws {
    let threads = 3
    let alone = try (0..<threads).map { try losses(Adam(), lr: 0.05, steps: 40, seed: UInt64($0)) }
    let together = Locked([[Double]](repeating: [], count: threads))
    DispatchQueue.concurrentPerform(iterations: threads) { index in
      let found = try? losses(Adam(), lr: 0.05, steps: 40, seed: UInt64(index))
      together.change { $0[index] = found ?? [] }
    }
    XCTAssertEqual(together.value, alone)
  }

  /// Models of layers large enough for the thread pool, several threads at once.
  func testThreadsTrainConvolutions() throws {
    func train(_ seed: Int) throws -> [Double] {
      let generator = Generator(seed: UInt64(seed))
      let weight = try Tensor(empty: [16, 8, 3, 3]), x = try Tensor(empty: [4, 8, 20, 20])
      for tensor in [weight, x] { try tensor.normalInPlace(0, 0.1, generator: generator) }
      try weight.setRequiresGrad(true)
      let optimizer = try SGD([weight], lr: 0.1)
      return try (0..<8).map { _ in
        try optimizer.zeroGrad()
        let y = try x.convolution(weight, padding: .explicit([1])).relu().maxPool(2, kernel: [2])[0]
        let loss = try (y * y).mean()
        try Engine.backward([loss], gradients: [nil])
        try optimizer.step()
        return try loss.item().double
      }
    }
    let alone = try (0..<2).map(train)
    let together = Locked([[Double]](repeating: [], count: 2))
    DispatchQueue.concurrentPerform(iterations: 2) { index in
      let found = try? train(index)
      together.change { $0[index] = found ?? [] }
    }
    XCTAssertEqual(together.value, alone)
  }
}

/// A value that several threads change.
private final class Locked<Value>: @unchecked Sendable {
  private let lock = NSLock()
  private var stored: Value

  init(_ value: Value) { stored = value }

  var value: Value { lock.withLock { stored } }
  func change(_ body: (inout Value) -> Void) { lock.withLock { body(&stored) } }
}
