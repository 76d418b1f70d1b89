import KernelTypes
import XCTest

@testable import SwiftNet

final class ConvolutionTests: XCTestCase {
  /// A shape in one to three dimensions with the same setting on every axis that is not 1.
  private func shape(
    _ batch: Int, _ inChannels: Int, _ outChannels: Int, _ input: [Int], kernel: [Int], stride: Int = 1,
    padding: Int = 0, dilation: Int = 1, groups: Int = 1, extra: Int = 0
  ) -> ConvolutionShape {
    func extents(_ values: [Int], _ fill: Int) -> Extents {
      let v = Array(repeating: fill, count: 3 - values.count) + values
      return Extents(v[0], v[1], v[2])
    }
    let each = { (value: Int) in input.map { _ in value } }
    let output = zip(input, kernel).map {
      max(0, ($0 + 2 * padding + extra - dilation * ($1 - 1) - 1) / stride + 1)
    }
    return ConvolutionShape(
      batch: batch, groups: groups, inChannels: inChannels, outChannels: outChannels,
      input: extents(input, 1), kernel: extents(kernel, 1), stride: extents(each(stride), 1),
      padding: extents(each(padding), 0), dilation: extents(each(dilation), 1), output: extents(output, 1))
  }

  private func check<T: BinaryFloatingPoint>(
    _ s: ConvolutionShape, _: T.Type, _ type: DType, tolerance: Double, table: KernelTable,
    channelsLast: Bool, seed: UInt64, line: UInt = #line
  ) throws {
    let r = ReferenceConvolution(s, seed: seed)
    let label = "\(table.name) \(type) \(s)"
    let x = (channelsLast ? r.inputChannelsLast : r.input).map { T($0) }
    let w = r.weight.map { T($0) }
    let g = r.gradOutput.map { T($0) }
    let pixels = s.input.count
    let plane = s.input.height * s.input.width
    let c = s.inChannels
    let inputStrides =
      channelsLast
      ? [pixels * c, 1, plane * c, s.input.width * c, c] : [pixels * c, pixels, plane, s.input.width, 1]
    let o = s.outChannels
    let outPlane = s.output.height * s.output.width
    let gradStrides = [s.output.count * o, 1, outPlane * o, s.output.width * o, o]

    var y = [T](repeating: .nan, count: r.output.count)
    try convolutionForward(
      type, s, input: x, inputStrides: inputStrides, weight: w, epilogue: ConvolutionEpilogue(), output: &y,
      using: table)
    XCTAssertLessThan(relativeError(y, r.output), tolerance, "forward \(label)", line: line)

    var dx = [T](repeating: .nan, count: r.gradInput.count)
    try convolutionDataGradient(
      type, s, gradOutput: g, gradOutputStrides: gradStrides, weight: w, gradInput: &dx, using: table)
    XCTAssertLessThan(relativeError(dx, r.gradInput), tolerance, "data gradient \(label)", line: line)

    var dw = [T](repeating: .nan, count: r.gradWeight.count)
    var db = [T](repeating: .nan, count: o)
    try convolutionWeightGradient(
      type, s, input: x, inputStrides: inputStrides, gradOutput: g, gradOutputStrides: gradStrides,
      gradWeight: &dw, gradBias: &db, using: table)
    XCTAssertLessThan(relativeError(dw, r.gradWeight), tolerance, "weight gradient \(label)", line: line)
    XCTAssertLessThan(relativeError(db, r.gradBias), tolerance, "bias gradient \(label)", line: line)
  }

  private func check(_ shapes: [ConvolutionShape], winograd: Bool = false, line: UInt = #line) throws {
    let saved = Backends.winograd
    Backends.winograd = winograd
    Backends.alwaysWinograd = winograd
    defer {
      Backends.winograd = saved
      Backends.alwaysWinograd = false
    }
    for (index, s) in shapes.enumerated() {
      for name in CPU.available {
        let table = CPU.kernelTable(named: name)
        let seed = UInt64(index + 1)
        try check(
          s, Float.self, .float32, tolerance: winograd ? 2e-5 : 3e-6, table: table, channelsLast: true,
          seed: seed, line: line)
        try check(
          s, Float.self, .float32, tolerance: winograd ? 2e-5 : 3e-6, table: table, channelsLast: false,
          seed: seed, line: line)
        try check(
          s, Double.self, .float64, tolerance: 1e-13, table: table, channelsLast: index % 2 == 0, seed: seed,
          line: line)
      }
    }
  }

  func testThreeByThree() throws {
    try check([
      shape(2, 8, 40, [7, 9], kernel: [3, 3], padding: 1),
      shape(1, 16, 16, [13, 5], kernel: [3, 3]),
      shape(2, 33, 17, [6, 6], kernel: [3, 3], padding: 1),
      shape(1, 64, 64, [14, 14], kernel: [3, 3], padding: 1),
      shape(3, 5, 7, [8, 8], kernel: [3, 3], padding: 2),
    ])
  }

  func testTinyImages() throws {
    try check([
      shape(20, 24, 48, [1, 1], kernel: [3, 3], padding: 1),
      shape(17, 16, 32, [2, 2], kernel: [3, 3], padding: 1),
      shape(5, 8, 32, [4, 4], kernel: [3, 3], padding: 1),
      shape(2, 4, 6, [2, 3], kernel: [5, 5], padding: 3),
      shape(14, 12, 9, [2, 2], kernel: [3, 3], stride: 2, padding: 1),
      // Kernels of which only a part sees the image.
      shape(2, 8, 12, [3, 2], kernel: [3, 3], padding: 4, dilation: 4),
      shape(3, 6, 10, [1, 4], kernel: [3, 3], padding: 1),
      shape(2, 5, 7, [1, 1, 1], kernel: [3, 3, 3], padding: 1),
      shape(2, 8, 8, [2, 2], kernel: [5, 5], stride: 2, padding: 2),
      shape(4, 12, 12, [1, 1], kernel: [3, 3], padding: 1, groups: 3),
      shape(4, 16, 16, [1, 1], kernel: [3, 3], padding: 1, groups: 16),
    ])
  }

  /// One input channel and a vector of output channels: tiles go to their places from the registers, with a bias or not.
  func testLinesOfOneChannel() throws {
    try check(CPU.available.map { CPU.kernelTable(named: $0) }, Float.self, .float32, tolerance: 3e-6)
    try check(CPU.available.map { CPU.kernelTable(named: $0) }, Double.self, .float64, tolerance: 1e-13)
  }

  private func check<T: BinaryFloatingPoint>(
    _ tables: [KernelTable], _: T.Type, _ type: DType, tolerance: Double
  ) throws {
    for table in tables {
      let columns = (type == .float32 ? table.gemm.f32 : table.gemm.f64).columns
      for outputs in [columns / 2, columns, columns * 3 / 2] {
        for s in [
          shape(2, 1, outputs, [5, 6, 17], kernel: [3, 3, 3]),
          shape(1, 1, outputs, [3, 4, 30], kernel: [3, 3, 3], padding: 1),
          shape(2, 1, outputs, [5, 14], kernel: [2, 3]),
          shape(1, 1, outputs, [40], kernel: [5], padding: 2),
        ] {
          let r = ReferenceConvolution(s, seed: 5)
          var random = TestRandom(seed: 6)
          let bias = random.values(outputs)
          let plane = s.input.height * s.input.width
          for isBiased in [false, true] {
            var y = [T](repeating: .nan, count: r.output.count)
            try bias.map { T($0) }.withUnsafeBytes { bias in
              try convolutionForward(
                type, s, input: r.input.map { T($0) },
                inputStrides: [plane * s.input.depth, 1, plane, s.input.width, 1], weight: r.weight.map { T($0) },
                epilogue: ConvolutionEpilogue(bias: isBiased ? bias.baseAddress : nil), output: &y, using: table)
            }
            let expected = r.output.enumerated().map { $1 + (isBiased ? bias[$0 % outputs] : 0) }
            XCTAssertLessThan(relativeError(y, expected), tolerance, "\(table.name) \(type) \(s) \(isBiased)")
          }
        }
      }
    }
  }

  func testPointwise() throws {
    try check([
      shape(2, 64, 96, [5, 7], kernel: [1, 1]),
      shape(2, 20, 33, [9, 9], kernel: [1, 1], stride: 2),
      shape(1, 3, 2, [6, 6], kernel: [1, 1], padding: 1),
      shape(2, 6, 8, [11], kernel: [1]),
      shape(3, 40, 200, [11, 10], kernel: [1, 1]),
      shape(2, 300, 70, [7, 7], kernel: [1, 1]),
      // Numbers of terms that no loop over several at a time divides.
      shape(2, 7, 33, [3, 5], kernel: [1, 1]),
      shape(1, 270, 9, [4, 4], kernel: [1, 1]),
      // The weight gradient as a product of matrices.
      shape(2, 512, 40, [5, 7], kernel: [1, 1]),
      shape(1, 523, 20, [1, 1], kernel: [1, 1]),
      shape(2, 512, 9, [3, 2, 2], kernel: [1, 1, 1]),
      shape(20, 512, 24, [1, 1], kernel: [3, 3], padding: 1),
      shape(2, 130, 20, [33, 32], kernel: [1, 1]),
      shape(2, 128, 17, [65, 64], kernel: [1, 1], stride: 2),
    ])
  }

  func testStrideAndDilation() throws {
    try check([
      shape(2, 16, 24, [11, 10], kernel: [3, 3], stride: 2, padding: 1),
      shape(1, 8, 8, [12, 12], kernel: [3, 3], stride: 3),
      shape(2, 8, 8, [10, 10], kernel: [2, 2], stride: 3),
      shape(1, 12, 20, [12, 9], kernel: [3, 3], padding: 2, dilation: 2),
      shape(1, 8, 16, [15, 15], kernel: [3, 3], stride: 2, padding: 1, dilation: 3),
      shape(1, 6, 10, [9, 9], kernel: [4, 4], stride: 2, padding: 1, extra: 1),
      shape(2, 5, 6, [40], kernel: [7], stride: 4, padding: 3),
    ])
  }

  func testFewChannels() throws {
    try check([
      shape(2, 3, 64, [20, 18], kernel: [7, 7], stride: 2, padding: 3),
      shape(2, 3, 32, [10, 10], kernel: [3, 3], padding: 1),
      shape(1, 1, 16, [6, 7, 8], kernel: [3, 3, 3]),
      shape(3, 1, 16, [5, 9, 6], kernel: [3, 3, 3], padding: 1),
      shape(2, 1, 5, [28, 28], kernel: [5, 5]),
      shape(1, 2, 12, [6, 6, 6], kernel: [3, 3, 3], stride: 2, padding: 1),
      shape(1, 4, 20, [30], kernel: [5], padding: 2, dilation: 2),
      // Rows of taps whose numbers come in threes, more or fewer than nine of these.
      shape(2, 3, 16, [9, 11], kernel: [3, 3], padding: 1),
      shape(1, 3, 13, [8, 9], kernel: [4, 5], stride: 2),
      shape(1, 1, 8, [7, 8], kernel: [2, 3]),
    ])
  }

  func testGroups() throws {
    try check([
      shape(2, 32, 32, [9, 8], kernel: [3, 3], padding: 1, groups: 32),
      shape(2, 20, 20, [9, 8], kernel: [3, 3], stride: 2, padding: 1, groups: 20),
      shape(1, 6, 12, [7, 7], kernel: [3, 3], padding: 1, groups: 6),
      shape(1, 16, 16, [7, 7], kernel: [3, 3], padding: 1, groups: 4),
      shape(1, 24, 36, [6, 5], kernel: [3, 3], stride: 2, padding: 1, groups: 3),
      shape(1, 7, 7, [5, 5, 5], kernel: [3, 3, 3], padding: 1, groups: 7),
      shape(1, 64, 64, [6, 6], kernel: [1, 1], groups: 2),
      // More groups than one depthwise filter each.
      shape(1, 24, 48, [7, 6], kernel: [3, 3], padding: 1, groups: 24),
    ])
  }

  /// Groups of 1, 2, 4 and 8 channels, which have kernels of their own: numbers of channels that leave a part of a vector,
  /// lines shorter and longer than a tile, every kind of edge.
  func testNarrowGroups() throws {
    for width in [1, 2, 4, 8] {
      try check([
        shape(2, 24, 24, [5, 13], kernel: [3, 3], padding: 1, groups: 24 / width),
        shape(1, 40, 40, [6, 21], kernel: [3, 3], stride: 2, padding: 1, groups: 40 / width),
        shape(1, 16, 16, [9, 12], kernel: [3, 3], padding: 2, dilation: 2, groups: 16 / width),
        shape(2, 24, 24, [7, 11], kernel: [3, 3], stride: 2, padding: 2, dilation: 3, groups: 24 / width),
        shape(1, 32, 32, [8, 30], kernel: [5, 7], padding: 3, groups: 32 / width),
        shape(2, 16, 16, [3, 2], kernel: [3, 3], padding: 2, groups: 16 / width),
        shape(1, 40, 40, [4, 37], kernel: [3, 3], padding: 1, groups: 40 / width),
        shape(2, 24, 24, [1, 9], kernel: [2, 3], padding: 1, groups: 24 / width),
        shape(1, 32, 32, [5, 4], kernel: [3, 3], groups: 32 / width),
        shape(1, 16, 16, [11, 10], kernel: [2, 2], stride: 3, groups: 16 / width),
        shape(1, 16, 16, [4, 5, 9], kernel: [3, 3, 3], padding: 1, groups: 16 / width),
        shape(3, 16, 16, [19], kernel: [4], padding: 2, groups: 16 / width),
      ])
    }
  }

  func testThreeDimensions() throws {
    try check([
      shape(2, 8, 16, [4, 5, 6], kernel: [3, 3, 3], padding: 1),
      shape(1, 16, 8, [5, 5, 5], kernel: [2, 2, 2], stride: 2),
      shape(1, 4, 4, [3, 3, 3], kernel: [3, 1, 2]),
      shape(3, 16, 13, [6, 7, 9], kernel: [3, 3, 3]),
    ])
  }

  func testEmpty() throws {
    try check([
      shape(0, 8, 8, [6, 6], kernel: [3, 3], padding: 1),
      shape(2, 8, 8, [2, 2], kernel: [5, 5], stride: 1),
    ])
  }

  func testWinograd() throws {
    try check(
      [
        shape(2, 32, 64, [12, 12], kernel: [3, 3], padding: 1),
        shape(3, 48, 40, [14, 11], kernel: [3, 3], padding: 1),
        shape(1, 64, 33, [9, 13], kernel: [3, 3]),
        shape(8, 64, 64, [4, 4], kernel: [3, 3], padding: 1),
        shape(2, 17, 32, [28, 28], kernel: [3, 3], padding: 1),
        shape(1, 128, 96, [7, 7], kernel: [3, 3], padding: 2),
        shape(3, 32, 256, [8, 8], kernel: [3, 3], padding: 1),
        shape(1, 256, 16, [5, 5], kernel: [3, 3], padding: 1),
        shape(6, 16, 16, [2, 2], kernel: [3, 3], padding: 1),
        shape(2, 16, 32, [1, 30], kernel: [3, 3], padding: 1),
        shape(1, 16, 32, [3, 7, 6], kernel: [1, 3, 3], padding: 0),
        // Dilated: grids of different lengths, some of them shorter by a tile.
        shape(2, 32, 48, [15, 13], kernel: [3, 3], padding: 2, dilation: 2),
        shape(1, 16, 32, [11, 17], kernel: [3, 3], padding: 4, dilation: 4),
        shape(2, 32, 32, [9, 10], kernel: [3, 3], dilation: 2),
        shape(1, 32, 32, [13, 14], kernel: [3, 3], padding: 6, dilation: 3),
        // Groups: seven to nine tiles, some columns of a panel, dilation, volumes.
        shape(2, 128, 192, [7, 7], kernel: [3, 3], padding: 1, groups: 2),
        shape(1, 144, 208, [11, 9], kernel: [3, 3], groups: 2),
        shape(1, 192, 192, [9, 10], kernel: [3, 3], padding: 2, dilation: 2, groups: 3),
        shape(1, 128, 128, [3, 5, 6], kernel: [3, 3, 3], padding: 1, groups: 2),
        // The weight gradient takes some channels at a time.
        shape(2, 320, 264, [7, 6], kernel: [3, 3], padding: 1),
        shape(1, 256, 256, [28, 4], kernel: [3, 3], padding: 1),
        // More channels than the transformed tiles stay in the cache with.
        shape(4, 432, 160, [31, 31], kernel: [3, 3], padding: 1),
      ], winograd: true)
  }

  /// Images of 2×2 places, which need nine products: cut by columns and by tiles, grids of dilated convolutions, some of
  /// them shorter, groups, volumes, some channels at a time.
  func testWinogradOfTwoByTwoPlaces() throws {
    try check(
      [
        shape(1, 16, 16, [2, 2], kernel: [3, 3], padding: 1),
        shape(9, 32, 136, [2, 2], kernel: [3, 3], padding: 1),
        shape(31, 48, 40, [2, 2], kernel: [3, 3], padding: 1),
        shape(270, 16, 33, [2, 2], kernel: [3, 3], padding: 1),
        shape(5, 256, 288, [2, 2], kernel: [3, 3], padding: 1),
        shape(3, 32, 32, [4, 4], kernel: [3, 3], padding: 2, dilation: 2),
        shape(2, 32, 48, [3, 4], kernel: [3, 3], padding: 2, dilation: 2),
        shape(2, 16, 32, [5, 6], kernel: [3, 3], padding: 3, dilation: 3),
        shape(4, 128, 128, [2, 2], kernel: [3, 3], padding: 1, groups: 2),
        shape(3, 16, 32, [4, 2, 2], kernel: [3, 3, 3], padding: 1),
        // Not these: more padding, or a side of another length.
        shape(3, 32, 32, [2, 2], kernel: [3, 3], padding: 2),
        shape(3, 32, 32, [2, 3], kernel: [3, 3], padding: 1),
      ], winograd: true)
  }

  /// Stride 2 as four convolutions with stride 1: kernels of three and four taps, odd sizes, every padding.
  func testWinogradWithStride() throws {
    try check(
      [
        shape(2, 32, 64, [16, 16], kernel: [3, 3], stride: 2, padding: 1),
        shape(3, 48, 40, [15, 13], kernel: [3, 3], stride: 2, padding: 1),
        shape(1, 64, 33, [14, 15], kernel: [3, 3], stride: 2),
        shape(2, 32, 48, [9, 12], kernel: [3, 3], stride: 2, padding: 2),
        shape(2, 32, 32, [16, 18], kernel: [4, 4], stride: 2, padding: 1),
        shape(1, 48, 64, [13, 9], kernel: [4, 4], stride: 2),
        shape(2, 16, 32, [7, 10], kernel: [4, 4], stride: 2, padding: 2),
        shape(1, 16, 48, [5, 6], kernel: [4, 4], stride: 2, padding: 3),
        shape(20, 16, 16, [3, 2], kernel: [3, 3], stride: 2, padding: 1),
      ], winograd: true)
  }

  func testWinogradOfVolumes() throws {
    try check(
      [
        shape(2, 16, 16, [6, 9, 10], kernel: [3, 3, 3]),
        shape(1, 32, 40, [5, 6, 7], kernel: [3, 3, 3], padding: 1),
        shape(2, 16, 32, [2, 8, 5], kernel: [3, 3, 3], padding: 2),
        shape(1, 16, 16, [9, 7, 6], kernel: [2, 3, 3], padding: 1),
        shape(1, 16, 32, [9, 8, 9], kernel: [3, 3, 3], padding: 2, dilation: 2),
        shape(3, 16, 16, [8, 5, 6], kernel: [3, 3, 3], dilation: 2),
      ], winograd: true)
  }

  func testEpilogue() throws {
    for winograd in [false, true] {
      let saved = Backends.winograd
      Backends.winograd = winograd
      defer { Backends.winograd = saved }
      for name in CPU.available {
        let table = CPU.kernelTable(named: name)
        for s in [
          shape(2, 32, 40, [10, 9], kernel: [3, 3], padding: 1),
          shape(2, 32, 40, [10, 9], kernel: [1, 1]),
          shape(2, 300, 40, [5, 9], kernel: [1, 1]),
          shape(2, 3, 40, [10, 9], kernel: [3, 3], stride: 2),
          shape(1, 1, 16, [6, 6, 6], kernel: [3, 3, 3]),
          shape(2, 40, 40, [10, 9], kernel: [3, 3], padding: 1, groups: 40),
          shape(2, 40, 40, [10, 19], kernel: [3, 3], padding: 1, groups: 10),
          shape(1, 128, 128, [9, 8], kernel: [3, 3], padding: 1, groups: 2),
          shape(1, 16, 32, [5, 10, 9], kernel: [3, 3, 3], padding: 1),
        ] {
          let r = ReferenceConvolution(s, seed: 3)
          var random = TestRandom(seed: 9)
          let o = s.outChannels
          let bias = random.values(o).map { Float($0) }
          let scale = random.values(o).map { Float($0) }
          let shift = random.values(o).map { Float($0) }
          let residual = random.values(r.output.count).map { Float($0) }
          let x = r.inputChannelsLast.map { Float($0) }
          let w = r.weight.map { Float($0) }
          let c = s.inChannels
          let plane = s.input.height * s.input.width * c
          for (adds, clamps) in [(true, true), (true, false), (false, true), (false, false)] {
            let expected = r.output.enumerated().map { index, value in
              let c = index % o
              let scaled = (value + Double(bias[c])) * Double(scale[c]) + Double(shift[c])
              let sum = scaled + (adds ? Double(residual[index]) : 0)
              return clamps ? max(0, sum) : sum
            }
            var y = [Float](repeating: .nan, count: expected.count)
            try bias.withUnsafeBufferPointer { bias in
              try scale.withUnsafeBufferPointer { scale in
                try shift.withUnsafeBufferPointer { shift in
                  try residual.withUnsafeBufferPointer { residual in
                    let epilogue = ConvolutionEpilogue(
                      bias: bias.baseAddress.map { UnsafeRawPointer($0) }, scale: scale.baseAddress,
                      shift: shift.baseAddress,
                      residual: adds ? residual.baseAddress.map { UnsafeRawPointer($0) } : nil, relu: clamps)
                    try convolutionForward(
                      .float32, s, input: x,
                      inputStrides: [plane * s.input.depth, 1, plane, s.input.width * c, c], weight: w,
                      epilogue: epilogue, output: &y, using: table)
                  }
                }
              }
            }
            XCTAssertLessThan(
              relativeError(y, expected), winograd ? 2e-5 : 3e-6, "\(name) \(s) \(adds) \(clamps)")
          }
        }
      }
    }
  }

  /// Without an epilogue, or with a bias alone, tiles go from registers to their places.
  func testDirectStores() throws {
    for name in CPU.available {
      let table = CPU.kernelTable(named: name)
      for s in [
        shape(2, 64, 96, [5, 7], kernel: [1, 1]),
        shape(2, 20, 65, [9, 9], kernel: [1, 1], stride: 2),
        shape(1, 530, 64, [7, 7], kernel: [1, 1]),
        shape(2, 100, 64, [11, 10], kernel: [3, 3], stride: 2, padding: 1),
        shape(1, 64, 128, [9, 9], kernel: [3, 3], padding: 1, groups: 2),
        shape(2, 24, 24, [9, 15], kernel: [3, 3], padding: 1, groups: 24),
        shape(2, 24, 24, [9, 5], kernel: [3, 3], padding: 1, groups: 6),
        shape(9, 32, 64, [2, 2], kernel: [3, 3], padding: 4),
      ] {
        let r = ReferenceConvolution(s, seed: 11)
        var random = TestRandom(seed: 12)
        let o = s.outChannels, c = s.inChannels
        let bias = random.values(o).map { Float($0) }
        let x = r.inputChannelsLast.map { Float($0) }, w = r.weight.map { Float($0) }
        let plane = s.input.height * s.input.width * c
        for withBias in [false, true] {
          let expected = r.output.enumerated().map { $1 + (withBias ? Double(bias[$0 % o]) : 0) }
          var y = [Float](repeating: .nan, count: expected.count)
          try bias.withUnsafeBufferPointer { bias in
            try convolutionForward(
              .float32, s, input: x, inputStrides: [plane * s.input.depth, 1, plane, s.input.width * c, c], weight: w,
              epilogue: ConvolutionEpilogue(bias: withBias ? bias.baseAddress.map { UnsafeRawPointer($0) } : nil),
              output: &y, using: table)
          }
          XCTAssertLessThan(relativeError(y, expected), 3e-6, "\(name) \(s) \(withBias)")
        }
      }
    }
  }

  func testSameBitsForAnyThreadCount() throws {
    let saved = ThreadPool.shared.threadCount
    defer { ThreadPool.shared.threadCount = saved }
    for s in [
      shape(5, 32, 48, [14, 14], kernel: [3, 3], padding: 1),
      shape(4, 1, 16, [12, 12, 12], kernel: [3, 3, 3]),
      shape(4, 24, 24, [14, 14], kernel: [3, 3], padding: 1, groups: 24),
      shape(4, 32, 32, [14, 14], kernel: [3, 3], padding: 1, groups: 8),
      shape(5, 16, 16, [8, 12, 12], kernel: [3, 3, 3]),
      shape(3, 16, 64, [20, 20], kernel: [1, 1]),
      shape(3, 32, 32, [29, 30], kernel: [3, 3], stride: 2, padding: 1),
      shape(2, 32, 32, [26, 28], kernel: [4, 4], stride: 2, padding: 1),
    ] {
      let r = ReferenceConvolution(s, seed: 5)
      let x = r.inputChannelsLast.map { Float($0) }
      let w = r.weight.map { Float($0) }
      let g = r.gradOutput.map { Float($0) }
      let c = s.inChannels, o = s.outChannels
      let plane = s.input.height * s.input.width * c, outPlane = s.output.height * s.output.width * o
      let xs = [plane * s.input.depth, 1, plane, s.input.width * c, c]
      let gs = [outPlane * s.output.depth, 1, outPlane, s.output.width * o, o]
      var first: ([Float], [Float], [Float], [Float])?
      for threads in [1, 2, 3, 7] {
        ThreadPool.shared.threadCount = threads
        var y = [Float](repeating: 0, count: r.output.count)
        var dx = [Float](repeating: 0, count: r.gradInput.count)
        var dw = [Float](repeating: 0, count: r.weight.count)
        var db = [Float](repeating: 0, count: o)
        try convolutionForward(
          .float32, s, input: x, inputStrides: xs, weight: w, epilogue: ConvolutionEpilogue(), output: &y)
        try convolutionDataGradient(
          .float32, s, gradOutput: g, gradOutputStrides: gs, weight: w, gradInput: &dx)
        try convolutionWeightGradient(
          .float32, s, input: x, inputStrides: xs, gradOutput: g, gradOutputStrides: gs, gradWeight: &dw,
          gradBias: &db)
        if let first {
          XCTAssertTrue(first.0 == y && first.1 == dx && first.2 == dw && first.3 == db, "\(s)")
        } else {
          first = (y, dx, dw, db)
        }
      }
    }
  }
}
