import XCTest

@testable import SwiftNet

/// What is in memory when convolutions that wait for each other have been computed.
final class ChainTests: XCTestCase {
  private func convolution(_ x: Tensor, _ outputs: Int) throws -> Tensor {
    try x.convolution(try Tensor.full([outputs, x.shape[1], 3, 3], .float(0.01)), padding: .explicit([1]))
  }

  private func images() throws -> Tensor { try Tensor.full([5, 8, 150, 170], .float(1)) }

  func testOnlyTheLastOne() throws {
    try noGrad {
      weak var middle: Storage?
      let last = try { () throws -> Tensor in
        let y = try convolution(try images(), 16)
        middle = y.memory
        return try convolution(y, 16)
      }()
      XCTAssertEqual(middle?.isDeferred, true)
      _ = try last.pointer()
      XCTAssertNil(middle)
    }
  }

  /// Whoever holds a result finds it there, and so does another convolution that waits for it.
  func testWhatOthersRead() throws {
    try noGrad {
      weak var middle: Storage?
      let (held, left, right) = try { () throws -> (Tensor, Tensor, Tensor) in
        let held = try convolution(try images(), 16)
        let y = try convolution(held, 16)
        middle = y.memory
        return (held, try convolution(y, 16), try convolution(y, 24))
      }()
      XCTAssertTrue(held.isDeferred)
      _ = try left.pointer()
      XCTAssertFalse(held.isDeferred)
      XCTAssertEqual(middle?.isDeferred, false)
      XCTAssertTrue(right.isDeferred)
      _ = try right.pointer()
      XCTAssertNil(middle)
    }
  }
}
