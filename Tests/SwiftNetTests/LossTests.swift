import SwiftNet
import XCTest

/// Losses of segmentation and labels from Swift; the parity tests in Python compare them with references.
final class LossTests: XCTestCase {
  private let logits: [Float] = [2, -1, 0.5, -3]
  private let truth: [Float] = [1, 0, 1, 0]

  private func sigmoid(_ x: Float) -> Double { 1 / (1 + exp(-Double(x))) }

  func testDiceAndJaccardAreTheirFormulas() throws {
    let (x, y) = (try Tensor(logits), try Tensor(truth))
    let p = logits.map(sigmoid)
    let both = p[0] + p[2]
    let total = p.reduce(0, +) + 2
    XCTAssertEqual(try x.diceLoss(y).item().double, 1 - (2 * both + 1) / (total + 1), accuracy: 1e-6)
    XCTAssertEqual(try x.jaccardLoss(y).item().double, 1 - (both + 1) / (total - both + 1), accuracy: 1e-6)
  }

  func testModulesTakeSettings() throws {
    let (x, y) = (try Tensor(logits), try Tensor(truth))
    let loss = try Module.make("TverskyLoss", ["alpha": 0.3, "beta": 0.7, "smooth": 0.0])
    let value = try loss(x, y).item().double
    XCTAssertEqual(value, try x.tverskyLoss(y, alpha: 0.3, beta: 0.7, smooth: 0).item().double, accuracy: 1e-7)
    try loss.set("smooth", 1.0)
    XCTAssertNotEqual(try loss(x, y).item().double, value)
    XCTAssertThrowsError(try loss.set("mode", "ternary"))
    XCTAssertThrowsError(try loss(x, try Tensor([1, 0])))
  }

  func testFocalLossOfTheMean() throws {
    let (x, y) = (try Tensor(logits), try Tensor(truth))
    let mean = try x.binaryCrossEntropyWithLogits(y).item().double
    let expected = 0.8 * pow(1 - exp(-mean), 2) * mean
    XCTAssertEqual(try Module.make("FocalLoss")(x, y).item().double, expected, accuracy: 1e-6)
  }

  func testWeightsOfRareLabels() throws {
    let (positive, negative) = try Tensor([0.25, 0.5]).deepMARWeights()
    XCTAssertEqual(try positive.doubles()[0], exp(0.75), accuracy: 1e-6)
    XCTAssertEqual(try negative.doubles()[0], exp(0.25), accuracy: 1e-6)
    let target = try Tensor([1, 0, 0, 1], shape: [2, 2])
    let weights = try target.weightedLabels(positive: positive, negative: negative).doubles()
    XCTAssertEqual(weights[0], exp(0.75), accuracy: 1e-6)
    XCTAssertEqual(weights[2], exp(0.25), accuracy: 1e-6)
    XCTAssertThrowsError(try Tensor([0.5, 1], shape: [1, 2]).weightedLabels(positive: positive, negative: negative))
  }

  func testFoldingIsTheTransposeOfUnfolding() throws {
    let x = try Tensor((0..<16).map(Float.init), shape: [1, 1, 4, 4])
    let columns = try x.unfoldPatches(kernel: [2], stride: [2])
    XCTAssertEqual(columns.shape, [1, 4, 4])
    XCTAssertEqual(try columns.doubles().prefix(4), [0, 2, 8, 10])
    XCTAssertEqual(try columns.foldPatches(size: [4], kernel: [2], stride: [2]).doubles(), try x.doubles())
  }
}
