import SwiftNet
import XCTest

/// A tensor in float64 with reproducible normal numbers, which takes part in differentiation.
func variable(_ shape: [Int], seed: UInt64 = 0, positive: Bool = false) throws -> Tensor {
  let tensor = try Tensor(empty: shape, dtype: .float64)
  try tensor.normalInPlace(0, 1, generator: Generator(seed: seed &+ UInt64(shape.reduce(7) { $0 &* 31 &+ $1 })))
  let values = positive ? try tensor.unary(.abs) + 0.3 : tensor
  let leaf = try values.detach().clone()
  try leaf.setRequiresGrad(true)
  return leaf
}

func integers(_ values: [Int], _ shape: [Int]? = nil) throws -> Tensor {
  try Tensor(values.map { Float($0) }, shape: shape).to(.int64)
}

extension XCTestCase {
  /// Checks first derivatives, and second ones where the function has some.
  func checkGradients(
    _ name: String, _ inputs: [Tensor], twice: Bool = true, line: UInt = #line,
    _ function: ([Tensor]) throws -> Tensor
  ) {
    do {
      let wrapped: GradCheck.Function = { [try function($0)] }
      if let trouble = try GradCheck.check(wrapped, inputs) { XCTFail("\(name): \(trouble)", line: line) }
      if twice, let trouble = try GradCheck.checkTwice(wrapped, inputs) {
        XCTFail("\(name), second derivatives: \(trouble)", line: line)
      }
    } catch {
      XCTFail("\(name): \(error)", line: line)
    }
  }
}
