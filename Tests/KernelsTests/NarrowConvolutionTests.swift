import KernelTypes
import XCTest

@testable import SwiftNet

/// A number of bfloat16 as its bits.
private func bits(_ value: Double) -> UInt16 {
  let pattern = Float(value).bitPattern
  return UInt16(truncatingIfNeeded: (pattern &+ 0x7fff &+ ((pattern >> 16) & 1)) >> 16)
}

private func number(_ bits: UInt16) -> Double { Double(Float(bitPattern: UInt32(bits) << 16)) }

private func rounded(_ value: Double) -> Double { number(bits(value)) }

/// Kernels that read and write bfloat16 against plain loops: sums are float32, and what they write is rounded once.
final class NarrowConvolutionTests: XCTestCase {
  /// Half a unit in the last place, relative to the largest result, and what is lost in float32.
  private let tolerance = 1.0 / 256 + 2e-5

  private func shape(
    _ batch: Int, _ inChannels: Int, _ outChannels: Int, _ input: [Int], kernel: Int, stride: Int = 1, padding: Int = 0,
    dilation: Int = 1, groups: Int = 1
  ) -> ConvolutionShape {
    let axes = [Int](repeating: 1, count: 3 - input.count)
    func extents(_ fill: Int, _ values: [Int]) -> Extents {
      let all = axes.map { _ in fill } + values
      return Extents(all[0], all[1], all[2])
    }
    func each(_ value: Int) -> [Int] { input.map { _ in value } }
    let output = input.map { ($0 + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1 }
    return ConvolutionShape(
      batch: batch, groups: groups, inChannels: inChannels, outChannels: outChannels, input: extents(1, input),
      kernel: extents(1, each(kernel)), stride: extents(1, each(stride)), padding: extents(0, each(padding)),
      dilation: extents(1, each(dilation)), output: extents(1, output))
  }

  private func strides(_ extents: Extents, _ channels: Int) -> [Int] {
    let outer = channelsLastStrides(extents, channels)
    return [outer[0], 1, outer[1], outer[2], outer[3]]
  }

  /// Calls body with an epilogue of everything, or of nothing, and what it makes of the reference's results.
  private func withEpilogue(
    _ s: ConvolutionShape, _ plain: [Double], isEmpty: Bool,
    _ body: (ConvolutionEpilogue, _ expected: [Double]) throws -> Void
  ) rethrows {
    if isEmpty { return try body(ConvolutionEpilogue(), plain) }
    var random = TestRandom(seed: 9)
    let o = s.outChannels
    let (bias, scale, shift) = (
      random.values(o).map { Float($0) }, random.values(o).map { Float($0) }, random.values(o).map { Float($0) }
    )
    let residual = random.values(plain.count).map(bits)
    let expected = plain.enumerated().map { index, value in
      let scaled = (value + Double(bias[index % o])) * Double(scale[index % o]) + Double(shift[index % o])
      return max(0, scaled + number(residual[index]))
    }
    try bias.withUnsafeBytes { bias in
      try scale.withUnsafeBufferPointer { scale in
        try shift.withUnsafeBufferPointer { shift in
          try residual.withUnsafeBytes { residual in
            let epilogue = ConvolutionEpilogue(
              bias: bias.baseAddress, scale: scale.baseAddress, shift: shift.baseAddress,
              residual: residual.baseAddress, relu: true)
            try body(epilogue, expected)
          }
        }
      }
    }
  }

  /// Winograd's algorithm on images of bfloat16, in each instruction set.
  func testWinograd() throws {
    Backends.alwaysWinograd = true
    defer { Backends.alwaysWinograd = false }
    try eachTable { table in
      for (index, s) in [
        shape(2, 32, 40, [10, 9], kernel: 3, padding: 1),
        shape(1, 48, 16, [13, 5], kernel: 3),
        shape(3, 16, 33, [4, 4], kernel: 3, padding: 2),
        shape(2, 32, 32, [9, 11], kernel: 3, padding: 2, dilation: 2),
        shape(1, 16, 160, [6, 7], kernel: 3, padding: 1),
        shape(2, 128, 144, [6, 7], kernel: 3, padding: 1, groups: 2),
        shape(1, 16, 32, [5, 10, 9], kernel: 3, padding: 1),
        shape(5, 32, 48, [2, 2], kernel: 3, padding: 1),
      ].enumerated() {
        let r = ReferenceConvolution(s, seed: UInt64(index + 1), rounded: rounded)
        let label = "\(table.name) \(s)"
        let x = r.inputChannelsLast.map(bits), g = r.gradOutput.map(bits), w = r.weight.map { Float($0) }
        let (inputStrides, gradStrides) = (strides(s.input, s.inChannels), strides(s.output, s.outChannels))
        guard let forward = WinogradConvolution(.bfloat16, s, gradient: false, table: table) else {
          XCTFail("no Winograd for \(label)")
          continue
        }
        for isEmpty in [true, false] {
          try withEpilogue(s, r.output, isEmpty: isEmpty) { epilogue, expected in
            var y = [UInt16](repeating: 0x7fff, count: expected.count)
            try forward.run(source: x, strides: inputStrides, weight: w, epilogue: epilogue, output: &y)
            XCTAssertLessThan(relativeError(y.map(number), expected), tolerance, "forward \(label)")
          }
        }
        if let backward = WinogradConvolution(.bfloat16, s, gradient: true, table: table) {
          var dx = [UInt16](repeating: 0x7fff, count: x.count)
          try backward.run(
            source: g, strides: gradStrides, weight: w, epilogue: ConvolutionEpilogue(), output: &dx)
          XCTAssertLessThan(relativeError(dx.map(number), r.gradInput), tolerance, "data gradient \(label)")
        }
        if let gradient = WinogradWeightGradient(.bfloat16, s, table: table) {
          var dw = [Float](repeating: .nan, count: w.count)
          try gradient.run(
            input: x, inputStrides: inputStrides, gradOutput: g, gradOutputStrides: gradStrides, gradWeight: &dw,
            gradBias: nil)
          XCTAssertLessThan(relativeError(dw, r.gradWeight), 2e-5, "weight gradient \(label)")
        }
      }
    }
  }

  /// Convolutions on pairs, where the processor has them.
  func testPairs() throws {
    try eachTable { table in
      guard let pairs = table.gemm.bf16 else { return }
      for (index, s) in [
        shape(2, 32, 40, [10, 9], kernel: 3, padding: 1),
        shape(2, 64, 96, [5, 7], kernel: 1),
        shape(3, 17, 33, [9, 9], kernel: 1, stride: 2),
        shape(1, 530, 64, [7, 7], kernel: 1),
        shape(2, 20, 16, [6, 5], kernel: 5, padding: 2),
        shape(2, 66, 38, [7, 6], kernel: 3, stride: 2, padding: 1, groups: 2),
        shape(9, 32, 48, [2, 2], kernel: 3, padding: 1),
      ].enumerated() {
        let r = ReferenceConvolution(s, seed: UInt64(index + 1), rounded: rounded)
        let label = "\(table.name) \(s)"
        let x = r.inputChannelsLast.map(bits), g = r.gradOutput.map(bits), w = r.weight.map(bits)
        let (inputStrides, gradStrides) = (strides(s.input, s.inChannels), strides(s.output, s.outChannels))
        for isEmpty in [true, false] {
          try withEpilogue(s, r.output, isEmpty: isEmpty) { epilogue, expected in
            var y = [UInt16](repeating: 0x7fff, count: expected.count)
            try pairConvolutionForward(
              pairs, s, input: x, inputStrides: inputStrides, weight: w, epilogue: epilogue, output: &y)
            XCTAssertLessThan(relativeError(y.map(number), expected), tolerance, "forward \(label)")
          }
        }
        var dx = [UInt16](repeating: 0x7fff, count: x.count)
        try pairConvolutionDataGradient(
          pairs, s, gradOutput: g, gradOutputStrides: gradStrides, weight: w, gradInput: &dx)
        XCTAssertLessThan(relativeError(dx.map(number), r.gradInput), tolerance, "data gradient \(label)")
        var dw = [UInt16](repeating: 0x7fff, count: w.count)
        try pairConvolutionWeightGradient(
          pairs, table, s, input: x, inputStrides: inputStrides, gradOutput: g, gradOutputStrides: gradStrides,
          gradWeight: &dw)
        XCTAssertLessThan(relativeError(dw.map(number), r.gradWeight), tolerance, "weight gradient \(label)")
      }
    }
  }

  /// The kernels of batch normalisation on bfloat16.
  func testNormalization() throws {
    try eachTable { table in
      let kernels = table.norm
      guard let place = DType.bfloat16.kernelPlace else { return XCTFail("no kernels") }
      var random = TestRandom(seed: 5)
      for (rows, n) in [(1, 1), (5, 16), (9, 33), (70, 5), (4, 130)] {
        let label = "\(table.name) \(rows)x\(n)"
        let shape = MatrixShape(rows: rows, columns: n)
        let x = random.values(rows * n).map(bits), g = random.values(rows * n).map(bits)
        let means = random.values(n).map { Double(Float($0)) }
        var sums = [Double](repeating: 0, count: 2 * n), gradientSums = sums
        kernels.statisticsRows[place](x, means, &sums, shape)
        kernels.gradientSumsRows[place](g, x, means, NormMask(), &gradientSums, shape)
        var expected = [Double](repeating: 0, count: 2 * n), expectedGradient = expected
        for i in x.indices {
          let d = number(x[i]) - means[i % n]
          expected[i % n] += d
          expected[n + i % n] += d * d
          expectedGradient[i % n] += number(g[i])
          expectedGradient[n + i % n] += number(g[i]) * d
        }
        XCTAssertLessThan(relativeError(sums, expected), 1e-12, "statistics \(label)")
        XCTAssertLessThan(relativeError(gradientSums, expectedGradient), 1e-12, "gradient sums \(label)")
        var plane = [0.0, 0.0]
        kernels.statisticsPlane[place](x, x.count, 0.25, &plane)
        let deviations = x.map { number($0) - 0.25 }
        let wanted = [deviations.reduce(0, +), deviations.reduce(0) { $0 + $1 * $1 }]
        XCTAssertLessThan(relativeError(plane, wanted), 1e-12, "plane \(label)")
        plane = [0, 0]
        kernels.gradientSumsPlane[place](g, x, 0.25, NormMask(), &plane, x.count)
        let wantedGradient = [
          g.reduce(0) { $0 + number($1) }, zip(g, deviations).reduce(0) { $0 + number($1.0) * $1.1 },
        ]
        XCTAssertLessThan(relativeError(plane, wantedGradient), 1e-12, "gradient plane \(label)")

        let coefficients = (0..<4).map { _ in random.values(n).map { Float($0) } }
        var dx = [UInt16](repeating: 0x7fff, count: x.count)
        coefficients[0].withUnsafeBytes { mean in
          coefficients[1].withUnsafeBytes { a in
            coefficients[2].withUnsafeBytes { b in
              coefficients[3].withUnsafeBytes { k in
                guard let mean = mean.baseAddress, let a = a.baseAddress, let b = b.baseAddress, let k = k.baseAddress
                else { return }
                let packed = NormGradientCoefficients(mean: mean, a: a, b: b, k: k)
                kernels.gradientRows[place](g, x, NormMask(), &dx, packed, shape)
              }
            }
          }
        }
        let gradients = x.indices.map { i -> Double in
          let c = coefficients.map { Double($0[i % n]) }
          return c[1] * number(g[i]) + c[2] * (number(x[i]) - c[0]) + c[3]
        }
        XCTAssertLessThan(relativeError(dx.map(number), gradients), tolerance, "gradient \(label)")
      }
    }
  }
}
