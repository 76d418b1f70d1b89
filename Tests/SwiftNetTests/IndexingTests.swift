import SwiftNet
import XCTest

/// Indexing, sorting and rearranging from Swift; the parity tests in Python compare every operation with PyTorch.
final class IndexingTests: XCTestCase {
  private func numbers(_ shape: [Int]) throws -> Tensor {
    try Tensor((0..<shape.reduce(1, *)).map(Float.init), shape: shape)
  }

  private func indices(_ values: [Int64]) throws -> Tensor {
    try values.withUnsafeBytes { try Tensor.copying($0.baseAddress, shape: [values.count], dtype: .int64) }
  }

  func testBasicIndexingGivesViews() throws {
    let x = try numbers([3, 4])
    let part = try x.basicIndex([.slice(1, nil, step: 1), .at(-1)])
    XCTAssertEqual(part.shape, [2])
    XCTAssertEqual(try part.doubles(), [7, 11])
    XCTAssertEqual(part.storageIdentity, x.storageIdentity)
  }

  func testIndexTensors() throws {
    let x = try numbers([3, 4])
    let rows = try indices([2, -3])
    XCTAssertEqual(try x.index([rows]).doubles(), [8, 9, 10, 11, 0, 1, 2, 3])
    XCTAssertEqual(try x.index([nil, rows]).shape, [3, 2])
    XCTAssertThrowsError(try x.index([try indices([3])])) { error in
      XCTAssertEqual("\(error)", "index 3 is out of bounds for dimension 0 with size 3")
    }
  }

  func testIndexGradientCountsRepeatedRows() throws {
    let x = try numbers([3, 2])
    try x.setRequiresGrad(true)
    try Engine.backward([try x.index([try indices([0, 0, 2])]).sum()], gradients: [nil])
    XCTAssertEqual(try x.grad?.doubles(), [2, 2, 0, 0, 1, 1])
  }

  func testSortingIsStableAndPutsNaNLast() throws {
    let x = try Tensor([2, .nan, 1, 2, -0.0, 0])
    let (values, order) = try x.sort()
    XCTAssertEqual(try order.doubles(), [4, 5, 2, 0, 3, 1])
    XCTAssertTrue(try values.doubles()[5].isNaN)
    XCTAssertEqual(try x.topk(2).indices.doubles(), [1, 0])
  }

  func testPiecesShareOneBackward() throws {
    let x = try numbers([4])
    try x.setRequiresGrad(true)
    let pieces = try x.split(3)
    try Engine.backward([try pieces[1].sum()], gradients: [nil])
    XCTAssertEqual(try x.grad?.doubles(), [0, 0, 0, 1])
  }

  func testHugeSizesThrow() throws {
    let x = try numbers([2])
    XCTAssertThrowsError(try x.repeated([.max]))
    XCTAssertThrowsError(try x.repeated([1 << 40, 1 << 40]))
    XCTAssertThrowsError(try x.padded([.max, .max]))
    XCTAssertThrowsError(try x.diagEmbed(offset: .min))
    XCTAssertThrowsError(try x.combinations(.max))
  }
}
