import SwiftNet
import XCTest

/// Modules as a Swift program uses them.
final class ModuleTests: XCTestCase {
  /// A network with a child that is called by name, so that it can be replaced.
  private final class Net: Module {
    static func make() throws -> Net {
      let net = Net(typeName: "Net")
      net.setChild("hidden", try Linear(3, 4))
      net.setChild("activation", try Module.make("LeakyReLU", ["negative_slope": 0.2]))
      net.setChild("out", try Linear(4, 2))
      net.setBuffer("count", try Tensor.zeros([]))
      return net
    }

    override func forward(_ x: Tensor) throws -> Tensor {
      try child("out")(child("activation")(child("hidden")(x)))
    }
  }

  func testNamesAndState() throws {
    let net = try Net.make()
    XCTAssertEqual(net.namedModules().map(\.name), ["", "hidden", "activation", "out"])
    XCTAssertEqual(
      net.namedParameters().map(\.name), ["hidden.weight", "hidden.bias", "out.weight", "out.bias"])
    let state = try net.stateDict()
    XCTAssertEqual(state.map(\.name), ["count", "hidden.weight", "hidden.bias", "out.weight", "out.bias"])
    let other = try Net.make()
    try other.loadStateDict(state)
    let x = try Tensor.ones([2, 3])
    XCTAssertTrue(try values(net(x)) == values(other(x)))
    XCTAssertThrowsError(try other.loadStateDict(Array(state.dropFirst()))) { error in
      XCTAssertTrue(String(describing: error).contains("Missing key(s) in state_dict: \"count\""))
    }
  }

  func testReplacingChildrenAndSettings() throws {
    let net = try Net.make()
    let x = try Tensor.ones([2, 3])
    net.setChild("out", try Linear(4, 5))
    XCTAssertEqual(try net(x).shape, [2, 5])
    let convolution = try Module.make("Conv2d", ["in_channels": 1, "out_channels": 2, "kernel_size": 3])
    let image = try Tensor.ones([1, 1, 8, 8])
    XCTAssertEqual(try convolution(image).shape, [1, 2, 6, 6])
    try convolution.set("stride", [2, 2])
    XCTAssertEqual(try convolution(image).shape, [1, 2, 3, 3])
    XCTAssertThrowsError(try convolution.set("stride", "wide"))
    XCTAssertEqual(try convolution(image).shape, [1, 2, 3, 3])
    XCTAssertThrowsError(try convolution.set("colour", 1))
    XCTAssertThrowsError(try Module.make("Conv2d", ["in_channels": 1]))
    XCTAssertThrowsError(try Module.make("Conv9d", []))
  }

  func testOverridesRunInContainers() throws {
    let inner = try Linear(3, 3)
    inner.forwardOverride = { inputs in .tensor(try inputs[0].expectTensor("test") * 2.0) }
    let sequence = Sequential(inner, try Module.make("ReLU", []))
    XCTAssertEqual(try values(sequence(Tensor.ones([3]))), [2, 2, 2])
  }

  func testEveryTypeHasASchema() throws {
    XCTAssertGreaterThan(ModuleRegistry.typeNames.count, 100)
    for name in ModuleRegistry.typeNames { _ = try ModuleRegistry.schema(name) }
  }

  func testTraining() throws {
    Generator.shared.manualSeed(1)
    let net = try Net.make()
    let optimizer = try Adam(net.allParameters, lr: 0.05)
    let scheduler = Scheduler(optimizer, .exponential(gamma: 0.99))
    let x = try Tensor.ones([4, 3])
    let target = try Tensor.full([4, 2], 0.5)
    let loss = try Module.make("MSELoss", [])
    var last = 0.0
    for _ in 0..<100 {
      try optimizer.zeroGrad()
      let value = try loss(net(x), target)
      last = try value.item().double
      try Engine.backward([value], gradients: [nil])
      try optimizer.step()
      scheduler.step()
    }
    XCTAssertLessThan(last, 1e-3)
    XCTAssertEqual(optimizer.groups[0]["lr"], 0.05 * pow(0.99, 100), accuracy: 1e-12)
  }

  private func values(_ tensor: Tensor) throws -> [Double] {
    let flat = try tensor.reshape([tensor.count])
    return try (0..<flat.count).map { try flat.select(0, $0).item().double }
  }
}
