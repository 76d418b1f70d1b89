import KernelTypes
import XCTest

@testable import SwiftNet

/// Largest difference relative to the largest reference value; infinite where one is NaN or the counts differ.
func relativeError<T: BinaryFloatingPoint>(_ values: [T], _ reference: [Double]) -> Double {
  guard values.count == reference.count else { return .infinity }
  var worst = 0.0
  var scale = 1e-30
  for (value, expected) in zip(values, reference) {
    let difference = abs(Double(value) - expected)
    if difference.isNaN { return .infinity }
    worst = max(worst, difference)
    scale = max(scale, abs(expected))
  }
  return worst / scale
}

/// A number type of the kernels that come in two: its place in their arrays, and what its rounding allows.
protocol TestLane: BinaryFloatingPoint {
  static var lane: Lane { get }
  static var tolerance: Double { get }
}

extension Float: TestLane {
  static var lane: Lane { .f32 }
  static var tolerance: Double { 2e-6 }
}

extension Double: TestLane {
  static var lane: Lane { .f64 }
  static var tolerance: Double { 1e-13 }
}

extension TestLane {
  static var index: Int { lane.rawValue }
}

extension XCTestCase {
  /// Runs a check with the tables of all instruction sets that this machine has.
  func eachTable(_ check: (KernelTable) throws -> Void) rethrows {
    for name in CPU.available { try check(CPU.kernelTable(named: name)) }
  }

  func expect<T: TestLane>(
    _ values: [T], _ reference: [Double], _ label: @autoclosure () -> String, tolerance: Double = T.tolerance,
    line: UInt = #line
  ) {
    let error = relativeError(values, reference)
    if !(error <= tolerance) { XCTFail("\(T.self) \(label()): error \(error)", line: line) }
  }
}

extension TestRandom {
  /// Normal numbers of a lane's type.
  mutating func lanes<T: TestLane>(_ count: Int, _: T.Type) -> [T] { values(count).map { T($0) } }
}

func doubles<T: TestLane>(_ values: [T]) -> [Double] { values.map { Double($0) } }
