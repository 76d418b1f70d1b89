import KernelTypes
import XCTest

@testable import SwiftNet

/// Maps along one dimension against plain sums, in each instruction set.
final class ResamplingTests: XCTestCase {
  private func check<T: BinaryFloatingPoint>(
    _ kernel: LineMapKernel, inner: Int, entries: Int?, _ label: String, tolerance: Double, _: T.Type
  ) {
    var random = TestRandom(seed: UInt64(inner + 1))
    let inputs = 7
    // Outputs of no, one and more entries.
    let counts = entries.map { [Int](repeating: $0, count: 7) } ?? [2, 0, 1, 4, 3, 2, 9]
    var starts = [0]
    for count in counts { starts.append(starts[starts.count - 1] + count) }
    let places = (0..<starts[counts.count]).map { _ in Int(random.uniform() * Double(inputs)) }
    let weights = random.values(places.count).map { T($0) }
    let source = random.values(inputs * inner).map { T($0) }
    for outputs in [0..<counts.count, 2..<5, 1..<2, 3..<3] {
      var target = [T](repeating: 77, count: outputs.count * inner + 1)
      /// Implicit conversions of arrays and `target` last as long as this call.
      func run(
        _ source: UnsafeRawPointer, _ target: UnsafeMutableRawPointer, _ starts: UnsafePointer<Int>,
        _ places: UnsafePointer<Int>, _ weights: UnsafeRawPointer
      ) {
        var map = LineMap(
          source: source, target: target, starts: starts, places: places, weights: weights, inner: inner,
          entries: entries, outputs: outputs)
        kernel(&map)
      }
      run(source, &target, starts, places, weights)
      XCTAssertEqual(target[target.count - 1], 77, "\(label) writes behind its end")
      for (index, output) in outputs.enumerated() {
        for i in 0..<inner {
          var expected = 0.0
          for entry in starts[output]..<starts[output + 1] {
            expected += Double(weights[entry]) * Double(source[places[entry] * inner + i])
          }
          XCTAssertEqual(Double(target[index * inner + i]), expected, accuracy: tolerance, "\(label) \(output) \(i)")
        }
      }
    }
  }

  func testLines() {
    for name in CPU.available {
      let kernels = CPU.kernelTable(named: name).resampling
      for inner in [1, 2, 3, 8, 15, 16, 17, 33, 64, 70] {
        for entries in [nil, 0, 1, 2, 3] {
          let label = "\(name), \(inner) numbers, entries \(entries.map(String.init) ?? "mixed")"
          check(kernels.f32, inner: inner, entries: entries, "float32, \(label)", tolerance: 1e-5, Float.self)
          check(kernels.f64, inner: inner, entries: entries, "float64, \(label)", tolerance: 1e-13, Double.self)
        }
      }
    }
  }
}
