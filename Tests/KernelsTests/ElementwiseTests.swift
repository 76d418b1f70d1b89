import Foundation
import KernelTypes
import XCTest

@testable import SwiftNet

/// Every elementwise kernel of every instruction set against its formula, element by element.
final class ElementwiseTests: XCTestCase {
  private let lengths = [0, 1, 5, 8, 15, 16, 17, 33, 67]

  /// Runs a kernel on arrays; an operand of one value stands for all places. The byte after the output must survive.
  private func run<T>(_ kernel: ElementwiseKernel, _ operands: [[T]], _ n: Int, _ scalars: Scalars, mark: T) -> [T] {
    var output = [T](repeating: mark, count: n + 1)
    let memory = operands.map { values in
      let copy = UnsafeMutablePointer<T>.allocate(capacity: max(values.count, 1))
      copy.initialize(from: values, count: values.count)
      return copy
    }
    defer { memory.forEach { $0.deallocate() } }
    let described = zip(memory, operands).map { Operand(UnsafeRawPointer($0), isScalar: n != 1 && $1.count == 1) }
    output.withUnsafeMutableBytes { bytes in
      if let start = bytes.baseAddress { kernel(described, start, n, scalars) }
    }
    return output
  }

  private func check<T: BinaryFloatingPoint>(
    _ op: ElementwiseOp, _ reference: RealOperation, _ kernel: ElementwiseKernel, _ label: String, tolerance: Double,
    _: T.Type
  ) {
    var random = TestRandom(seed: UInt64(op.rawValue + 1))
    for n in lengths {
      for scalarOperand in -1..<reference.operands where scalarOperand < 0 || (n > 1 && reference.operands > 1) {
        let operands = (0..<reference.operands).map { place in
          random.values(place == scalarOperand ? 1 : n).map { T(reference.domain(place, $0)) }
        }
        let result = run(kernel, operands, n, reference.scalars, mark: 77)
        XCTAssertEqual(result[n], 77, "\(label) writes behind its end, n \(n)")
        for i in 0..<n {
          let values = operands.map { Double($0.count == 1 ? $0[0] : $0[i]) }
          let expected = reference.formula(values, reference.scalars)
          let error = abs(Double(result[i]) - expected) / max(1, abs(expected))
          if !(error <= tolerance) {
            XCTFail("\(label) of \(values): \(result[i]), not \(expected), error \(error), n \(n)")
            return
          }
        }
      }
    }
  }

  private func checkIntegers(
    _ op: ElementwiseOp, _ reference: IntegerOperation, _ kernel: ElementwiseKernel, _ label: String
  ) {
    var random = TestRandom(seed: UInt64(op.rawValue + 1))
    for n in lengths {
      for scalarOperand in -1..<reference.operands where scalarOperand < 0 || (n > 1 && reference.operands > 1) {
        let operands = (0..<reference.operands).map { place in
          random.values(place == scalarOperand ? 1 : n).map { reference.domain(place, Int64((6 * $0).rounded())) }
        }
        let result = run(kernel, operands, n, reference.scalars, mark: 77)
        XCTAssertEqual(result[n], 77, "\(label) writes behind its end, n \(n)")
        for i in 0..<n {
          let values = operands.map { $0.count == 1 ? $0[0] : $0[i] }
          let expected = reference.formula(values, reference.scalars)
          if result[i] != expected {
            XCTFail("\(label) of \(values): \(result[i]), not \(expected), n \(n)")
            return
          }
        }
      }
    }
  }

  func testFormulas() throws {
    let real = realReferences(), integer = integerReferences()
    for name in CPU.available {
      let table = CPU.kernelTable(named: name).elementwise
      for (op, reference) in real {
        let single = try XCTUnwrap(table[op, .f32], "\(name) \(op)")
        check(op, reference, single, "\(name) \(op) float32", tolerance: reference.tolerance.single, Float.self)
        let double = try XCTUnwrap(table[op, .f64], "\(name) \(op)")
        check(op, reference, double, "\(name) \(op) float64", tolerance: reference.tolerance.double, Double.self)
      }
      for (op, reference) in integer {
        checkIntegers(op, reference, try XCTUnwrap(table[op, .i64], "\(name) \(op)"), "\(name) \(op) int64")
      }
    }
  }

  /// No kernel is left out: nextafter, which has no formula in float64 for float32, is below.
  func testEveryOperationHasAReference() {
    let real = Set(realReferences().map(\.0) + [.nextafter]), integer = Set(integerReferences().map(\.0))
    for name in CPU.available {
      let table = CPU.kernelTable(named: name).elementwise
      for op in ElementwiseOp.allCases {
        for lane in [Lane.f32, .f64] { XCTAssertEqual(table[op, lane] != nil, real.contains(op), "\(name) \(op)") }
        XCTAssertEqual(table[op, .i64] != nil, integer.contains(op), "\(name) \(op)")
      }
    }
  }

  func testNeighbours() throws {
    let a: [Float] = [1, -1, 0, 2.5, .greatestFiniteMagnitude], b: [Float] = [2, -2, 1, 2.5, .infinity]
    for name in CPU.available {
      let kernel = try XCTUnwrap(CPU.kernelTable(named: name).elementwise[.nextafter, .f32])
      XCTAssertEqual(
        run(kernel, [a, b], 5, Scalars(), mark: 0).dropLast(),
        [1 + .ulpOfOne, -(1 + .ulpOfOne), .leastNonzeroMagnitude, 2.5, .infinity])
    }
  }

  /// What IEEE numbers that are not ordinary become.
  func testUnusualNumbers() throws {
    let values: [Double] = [.nan, .infinity, -.infinity, 0, -0.0, 1]
    let isTrue: [(ElementwiseOp, [Double])] = [
      (.isnan, [1, 0, 0, 0, 0, 0]), (.isinf, [0, 1, 1, 0, 0, 0]), (.isfinite, [0, 0, 0, 1, 1, 1]),
      (.isposinf, [0, 1, 0, 0, 0, 0]), (.isneginf, [0, 0, 1, 0, 0, 0]), (.nanToNum, [7, 8, 9, 0, 0, 1]),
    ]
    let keepNaN: [ElementwiseOp] = [
      .abs, .neg, .square, .reciprocal, .sqrt, .rsqrt, .ceil, .floor, .round, .exp, .expm1, .log, .log1p, .sin, .cos,
      .tan, .tanh, .sinh, .cosh, .asin, .atan, .erf, .erfc, .lgamma, .digamma, .sigmoid, .logSigmoid, .relu, .relu6,
      .silu, .mish, .hardsigmoid, .hardswish, .softsign, .selu, .gelu, .hardtanh, .clampScalar,
    ]
    for name in CPU.available {
      let table = CPU.kernelTable(named: name).elementwise
      for (op, expected) in isTrue {
        let double = try XCTUnwrap(table[op, .f64]), single = try XCTUnwrap(table[op, .f32])
        let scalars = Scalars(7, 8, 9)
        XCTAssertEqual(Array(run(double, [values], 6, scalars, mark: 0).dropLast()), expected, "\(name) \(op)")
        let narrow = run(single, [values.map { Float($0) }], 6, scalars, mark: 0).dropLast()
        XCTAssertEqual(narrow.map { Double($0) }, expected, "\(name) \(op)")
      }
      for op in keepNaN {
        let double = try XCTUnwrap(table[op, .f64]), single = try XCTUnwrap(table[op, .f32])
        let inputs = [Double](repeating: .nan, count: 19)
        let wide = run(double, [inputs], 19, Scalars(-1, 1), mark: 0).dropLast()
        XCTAssertTrue(wide.allSatisfy(\.isNaN), "\(name) \(op)")
        let narrow = run(single, [inputs.map { Float($0) }], 19, Scalars(-1, 1), mark: 0).dropLast()
        XCTAssertTrue(narrow.allSatisfy(\.isNaN), "\(name) \(op)")
      }
      for op in [ElementwiseOp.minimum, .maximum, .fmin, .fmax] {
        let kernel = try XCTUnwrap(table[op, .f32])
        let result: [Float] = run(kernel, [[.nan, 1, .nan], [2, .nan, .nan]], 3, Scalars(), mark: 0)
        let isKept = op == .minimum || op == .maximum
        XCTAssertEqual(result[0].isNaN, isKept, "\(name) \(op)")
        XCTAssertEqual(result[1].isNaN, isKept, "\(name) \(op)")
        XCTAssertTrue(result[2].isNaN, "\(name) \(op)")
      }
    }
  }

  /// To the last bit and sign, with quotients up to all digits of a number, and for exact multiples of the divisor.
  func testRemaindersAreExact() throws {
    func check<T: BinaryFloatingPoint>(_ table: ElementwiseKernels, _ lane: Lane, _ label: String, _: T.Type) throws {
      var random = TestRandom(seed: 5)
      for scale in [1, 1e3, 1e8, 1e15, 1e25, 1e-9] as [T] {
        let b = random.values(67).map { T($0) }
        let a = random.values(67).enumerated().map { i, x in i % 3 == 0 ? T(i - 30) * b[i] : T(x) * scale }
        let remainders = zip(a, b).map { $0.truncatingRemainder(dividingBy: $1) }
        let found: [T] = run(try XCTUnwrap(table[.fmod, lane]), [a, b], 67, Scalars(), mark: 0)
        let floors: [T] = run(try XCTUnwrap(table[.remainder, lane]), [a, b], 67, Scalars(), mark: 0)
        for i in 0..<67 {
          let exact = remainders[i]
          XCTAssertEqual(found[i], exact, "\(label) fmod \(a[i]), \(b[i])")
          XCTAssertEqual(found[i].sign, a[i].sign, "\(label) fmod \(a[i]), \(b[i])")
          let floor = exact != 0 && (exact < 0) != (b[i] < 0) ? exact + b[i] : exact
          XCTAssertEqual(floors[i], floor, "\(label) remainder \(a[i]), \(b[i])")
        }
      }
    }
    for name in CPU.available {
      let table = CPU.kernelTable(named: name).elementwise
      try check(table, .f32, "\(name) float32", Float.self)
      try check(table, .f64, "\(name) float64", Double.self)
    }
  }

  /// Every element type to its lanes and back, next to each other and with gaps.
  func testConversions() throws {
    let numbers: [Double] = (0..<37).map { Double(($0 * 5) % 23) }
    for name in CPU.available {
      let table = CPU.kernelTable(named: name).elementwise
      for type in DType.allCases {
        for lane in Lane.allCases {
          for stride in [1, 3] {
            guard let load = table[load: type, lane], let store = table[store: lane, type] else {
              XCTAssertNotEqual(type.lane, lane, "\(name) \(type) \(lane)")
              continue
            }
            for n in [0, 1, 7, 16, 19, 37] {
              let size = lane.size
              var lanes = [UInt8](repeating: 0, count: size * 37), back = lanes
              for (i, number) in numbers.enumerated() { put(number, lane, &lanes, i) }
              var elements = [UInt8](repeating: 0xEE, count: type.size * (37 * stride + 1))
              store(lanes, &elements, stride, n)
              load(elements, stride, &back, n)
              for i in 0..<n {
                let expected = type == .bool ? (numbers[i] == 0 ? 0 : 1) : numbers[i]
                XCTAssertEqual(get(lane, back, i), expected, "\(name) \(type) \(lane) \(stride)")
              }
              let last = n == 0 ? 0 : ((n - 1) * stride + 1) * type.size
              XCTAssertTrue(elements[last...].allSatisfy { $0 == 0xEE }, "\(name) \(type) \(lane) writes too far")
            }
          }
        }
      }
    }
  }

  private func put(_ number: Double, _ lane: Lane, _ bytes: inout [UInt8], _ i: Int) {
    bytes.withUnsafeMutableBytes { memory in
      switch lane {
      case .f32: memory.storeBytes(of: Float(number), toByteOffset: 4 * i, as: Float.self)
      case .f64: memory.storeBytes(of: number, toByteOffset: 8 * i, as: Double.self)
      case .i64: memory.storeBytes(of: Int64(number), toByteOffset: 8 * i, as: Int64.self)
      }
    }
  }

  private func get(_ lane: Lane, _ bytes: [UInt8], _ i: Int) -> Double {
    bytes.withUnsafeBytes { memory in
      switch lane {
      case .f32: Double(memory.loadUnaligned(fromByteOffset: 4 * i, as: Float.self))
      case .f64: memory.loadUnaligned(fromByteOffset: 8 * i, as: Double.self)
      case .i64: Double(memory.loadUnaligned(fromByteOffset: 8 * i, as: Int64.self))
      }
    }
  }
}
