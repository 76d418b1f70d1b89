import SwiftNet
import XCTest

/// The models as a Swift program builds and trains them.
final class ModelTests: XCTestCase {
  /// Trains on one batch and checks that the loss falls.
  private func train(
    _ model: Module, steps: Int = 15, lr: Double = 0.01, _ loss: (Module) throws -> Tensor
  ) throws {
    let optimizer = try Adam(model.allParameters, lr: lr)
    var losses: [Double] = []
    for _ in 0..<steps {
      try optimizer.zeroGrad()
      let value = try loss(model)
      losses.append(try value.item().double)
      try Engine.backward([value], gradients: [nil])
      try optimizer.step()
    }
    XCTAssertTrue(losses.allSatisfy(\.isFinite), "\(losses)")
    XCTAssertLessThan(losses[steps - 1], 0.7 * losses[0], "\(losses)")
  }

  private func images(_ shape: [Int]) throws -> Tensor {
    let tensor = try Tensor.zeros(shape)
    try Initializer.normal(tensor)
    return tensor
  }

  private func labels(_ values: [Int], _ shape: [Int]? = nil) throws -> Tensor {
    try Tensor(values.map(Float.init), shape: shape).to(.int64)
  }

  private let small: (name: String, value: ConfigValue) = ("layers", [1, 1, 1, 1])
  private let narrow: (name: String, value: ConfigValue) = ("width", 8)

  func testResNetStartsFromPyTorchsNumbers() throws {
    Generator.shared.manualSeed(0)
    let model = try ResNet.make("resnet18")
    func first(_ name: String) throws -> [Double] {
      let parameter = try XCTUnwrap(model.namedParameters().first { $0.name == name }).tensor
      return Array(try parameter.doubles().prefix(3))
    }
    // torch.manual_seed(0); torchvision.models.resnet18()
    let expected: [(String, [Double])] = [
      ("conv1.weight", [0.024109674617648125, 0.007528774905949831, 0.04665837436914444]),
      ("layer4.1.conv2.weight", [0.02886549010872841, 0.011732267215847969, -0.014587409794330597]),
      ("fc.weight", [-0.020315496250987053, 0.018677866086363792, 0.03755621984601021]),
    ]
    for (name, values) in expected {
      for (a, b) in zip(try first(name), values) { XCTAssertEqual(a, b, accuracy: 1e-6, name) }
    }
    XCTAssertEqual(model.allParameters.reduce(0) { $0 + $1.count }, 11_689_512)
  }

  func testResNetTrains() throws {
    Generator.shared.manualSeed(1)
    let x = try images([4, 3, 32, 32])
    let y = try labels([0, 1, 2, 3])
    for variant in ["resnet18", "resnet50"] {
      let model = try ResNet.make(variant, [small, narrow, ("num_classes", 4)])
      try train(model) { try $0(x).crossEntropy(y) }
    }
    for shortcut in ["convolution", "projection", "pad"] {
      let model = try Module.make(
        "PlainResNet", ["out_size": 4, "layers": [1, 0, 1, 0], "width": 8, "shortcut": .string(shortcut)])
      try train(model) { try $0(x).crossEntropy(y) }
    }
  }

  func testPSPNetTrains() throws {
    Generator.shared.manualSeed(2)
    let x = try images([2, 3, 33, 33])
    let y = try labels((0..<2 * 33 * 33).map { $0 % 33 < 16 ? 0 : ($0 % 33 < 30 ? 1 : 255) }, [2, 33, 33])
    let model = try Module.make("PSPNet", ["layers": [1, 1, 1, 1], "classes": 2, "width": 8, "dropout": 0.0])
    try train(model) { model in
      let outputs = try XCTUnwrap(model.call([.tensor(x), .tensor(y)]).items)
      return try outputs[1].expectTensor("test") + outputs[2].expectTensor("test") * 0.4
    }
    model.eval()
    XCTAssertEqual(try model(x).shape, [2, 2, 33, 33])
    XCTAssertThrowsError(try model(x.narrow(2, 0, 32)))
  }

  func testGroupClassNetTrains() throws {
    Generator.shared.manualSeed(3)
    let x = try images([4, 3, 32, 32])
    let y = try Tensor((0..<4 * 5).map { Float($0 % 3 == 0 ? 1 : 0) }, shape: [4, 5])
    for backbone in ["resnet50", "resnet50_cbam"] {
      let model = try Module.make(
        "GroupClsGat",
        [
          ("backbone", .string(backbone)), ("groups", 2), ("nclasses", 5), ("nclasses_per_group", [2, 3]),
          ("group_channels", 8), ("class_channels", 8), small, narrow,
        ])
      try train(model) { model in
        let outputs = try XCTUnwrap(model.call([.tensor(x)]).items)
        let main = try outputs[0].expectTensor("test").binaryCrossEntropyWithLogits(y)
        return try main + outputs[1].expectTensor("test").binaryCrossEntropyWithLogits(y) * 0.1
      }
    }
  }

  func testFusionNetsTrain() throws {
    Generator.shared.manualSeed(4)
    let x = try images([4, 1, 6, 6, 6])
    let y = try labels([0, 1, 2, 0])
    let settings: [(name: String, value: ConfigValue)] = [
      ("num", 4), ("p", 0.0), ("input_size", [6, 6, 6]), ("classes", 3),
    ]
    let features = try Module.make("CCN", settings + [("cnt", 2)])
    try train(features) {
      try $0.call([.list([.tensor(x), .tensor(x * 2.0)])]).expectTensor("test").crossEntropy(y)
    }
    try train(try Module.make("CCNModels", settings + [("cnt", 3)])) { try $0(x).crossEntropy(y) }
    let decision = try DecisionFusion(
      [try Module.make("CCNSingle", settings), try Module.make("CCNSingle", settings)], weights: [0.6, 0.4])
    try train(decision) { try $0(x).crossEntropy(y) }
  }

  /// Without recording, an extractor's convolution and pooling and what follows them are computed image by image, each
  /// thread its own.
  func testFusionNetByImages() throws {
    let model = try Module.make(
      "CCNModels", [("num", 16), ("p", 0.5), ("input_size", [26, 30, 30]), ("cnt", 2), ("classes", 3)]
    ).eval()
    let x = try images([5, 1, 26, 30, 30])
    let expected = try model(x).doubles()
    for _ in 0..<3 {
      let actual = try noGrad { try model(x).doubles() }
      for (a, b) in zip(actual, expected) { XCTAssertEqual(a, b, accuracy: 1e-5) }
    }
  }

  func testOutputsOfParts() throws {
    let model = try ResNet.make("resnet18", [small, narrow, ("num_classes", 4)]).eval()
    let x = try images([2, 3, 32, 32])
    let (output, features) = try model.outputs(of: ["layer2", "layer4.0.conv1"], from: .tensor(x))
    XCTAssertEqual(features["layer2"]?.tensor?.shape, [2, 16, 4, 4])
    XCTAssertEqual(features["layer4.0.conv1"]?.tensor?.shape, [2, 64, 1, 1])
    XCTAssertEqual(output.tensor?.shape, [2, 4])
    XCTAssertNil(try model.child("layer2").forwardOverride)
    XCTAssertThrowsError(try model.outputs(of: ["layer9"], from: .tensor(x)))
    XCTAssertThrowsError(try ResNet.make("resnet7"))
  }

  func testMetrics() throws {
    let matrix = try XCTUnwrap(Module.make("ConfusionMatrix", ["num_classes": 3, "ignore_index": 255]) as? Metric)
    try matrix.update(labels([0, 1, 1, 2]), labels([0, 1, 2, 255]))
    XCTAssertEqual(try matrix.result("accuracy").item().double, 2.0 / 3, accuracy: 1e-12)
    XCTAssertEqual(try matrix.result("iou").doubles(), [1, 0.5, 0])
    XCTAssertThrowsError(try matrix.update(labels([0]), labels([3])))
    let precision = try XCTUnwrap(Module.make("AveragePrecision", ["num_classes": 1]) as? Metric)
    try precision.update(Tensor([0.9, 0.2], shape: [2, 1]), Tensor([1, 1], shape: [2, 1]))
    try precision.update(Tensor([0.5, 0.1], shape: [2, 1]), Tensor([0, 0], shape: [2, 1]))
    XCTAssertEqual(try precision.result("map").item().double, (1 + 2.0 / 3) / 2, accuracy: 1e-12)
    try precision.resetParameters()
    XCTAssertTrue(try precision.result("map").item().double.isNaN)
  }
}
