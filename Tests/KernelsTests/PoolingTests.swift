import KernelTypes
import XCTest

@testable import SwiftNet

/// Pooling against plain loops over windows.
final class PoolingTests: XCTestCase {
  /// One axis of a window, as a layer describes it.
  private struct Axis {
    var size: Int
    var kernel = 1
    var stride = 1
    var padding = 0
    var dilation = 1
    var adaptive: Int?

    var outputSize: Int { adaptive ?? (size + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1 }

    func axis(_ countsPadding: Bool) -> PoolAxis {
      if let adaptive { return PoolAxis(adaptive: size, outputSize: adaptive) }
      return PoolAxis(
        inputSize: size, outputSize: outputSize, kernel: kernel, stride: stride, padding: padding, dilation: dilation,
        countIncludesPadding: countsPadding)
    }

    /// The positions of an output's window, those outside the input included.
    func window(_ o: Int) -> [Int] {
      if let adaptive { return Array(o * size / adaptive..<((o + 1) * size + adaptive - 1) / adaptive) }
      return (0..<kernel).map { o * stride - padding + $0 * dilation }
    }
  }

  private let shapes: [(images: Int, channels: Int, axes: [Axis])] = [
    (2, 3, [Axis(size: 1), Axis(size: 1), Axis(size: 9, kernel: 3, stride: 2, padding: 1)]),
    (2, 1, [Axis(size: 1), Axis(size: 6, kernel: 2, stride: 2), Axis(size: 7, kernel: 3, stride: 1)]),
    (1, 17, [Axis(size: 1), Axis(size: 7, kernel: 3, stride: 2, padding: 1), Axis(size: 5, kernel: 2, stride: 2)]),
    (2, 33, [Axis(size: 4, kernel: 2, stride: 1), Axis(size: 3, kernel: 3), Axis(size: 5, kernel: 3, padding: 1)]),
    (1, 16, [Axis(size: 1), Axis(size: 9, kernel: 3, stride: 2, dilation: 2), Axis(size: 8, kernel: 2, dilation: 3)]),
    (2, 5, [Axis(size: 3, adaptive: 2), Axis(size: 7, adaptive: 3), Axis(size: 5, adaptive: 5)]),
    (2, 16, [Axis(size: 4, kernel: 2), Axis(size: 5, kernel: 2), Axis(size: 7, kernel: 2)]),
    (2, 1, [Axis(size: 3, kernel: 2), Axis(size: 4, kernel: 2), Axis(size: 37, kernel: 2)]),
    (1, 3, [Axis(size: 3, kernel: 3, padding: 1), Axis(size: 6, kernel: 3, dilation: 2), Axis(size: 19, kernel: 2)]),
    (1, 19, [Axis(size: 5, kernel: 5), Axis(size: 9, kernel: 8), Axis(size: 11, kernel: 7, padding: 3)]),
    (1, 2, [Axis(size: 1), Axis(size: 17, kernel: 17), Axis(size: 40, kernel: 16)]),
  ]

  /// The position in its image that the mark of an output stands for.
  private func place<M: FixedWidthInteger>(_ mark: M, _ index: Int, _ shape: PoolShape) -> Int32 {
    let o = index / shape.channels
    let (width, height) = (shape.width.outputSize, shape.height.outputSize)
    return Int32(shape.place(Int(mark), o / width / height % shape.depth.outputSize, o / width % height, o % width))
  }

  private func check<T: TestLane>(_ table: KernelTable, _: T.Type) {
    var random = TestRandom(seed: 51)
    for (images, channels, axes) in shapes {
      let inputPixels = axes.reduce(1) { $0 * $1.size }, outputPixels = axes.reduce(1) { $0 * $1.outputSize }
      // Equal values: the first position of a window wins.
      let x = random.values(images * inputPixels * channels).map { T(($0 * 3).rounded()) }
      let g: [T] = random.lanes(images * outputPixels * channels, T.self)
      let isDilated = axes.contains { $0.dilation > 1 }
      for (countsPadding, divisor) in [(true, 0), (false, 0), (true, 5)] {
        let shape = PoolShape(
          channels: channels, depth: axes[0].axis(countsPadding), height: axes[1].axis(countsPadding),
          width: axes[2].axis(countsPadding), divisorOverride: divisor)
        var most = [Double](repeating: -.infinity, count: g.count), places = [Int32](repeating: -1, count: g.count)
        var mostGradient = [Double](repeating: 0, count: x.count), average = [Double](repeating: 0, count: g.count)
        var averageGradient = mostGradient
        for image in 0..<images {
          for o in 0..<outputPixels {
            let (od, oh) = (o / axes[2].outputSize / axes[1].outputSize, o / axes[2].outputSize % axes[1].outputSize)
            let windows = [axes[0].window(od), axes[1].window(oh), axes[2].window(o % axes[2].outputSize)]
            var positions: [Int] = []
            var extent = 1
            for (axis, window) in zip(axes, windows) {
              let inside = window.filter { $0 >= 0 && $0 < axis.size }
              extent *= countsPadding ? window.filter { $0 < axis.size + axis.padding }.count : inside.count
            }
            for d in windows[0] where d >= 0 && d < axes[0].size {
              for h in windows[1] where h >= 0 && h < axes[1].size {
                for w in windows[2] where w >= 0 && w < axes[2].size {
                  positions.append((d * axes[1].size + h) * axes[2].size + w)
                }
              }
            }
            for c in 0..<channels {
              let at = (image * outputPixels + o) * channels + c
              for position in positions {
                let value = Double(x[(image * inputPixels + position) * channels + c])
                if value > most[at] { (most[at], places[at]) = (value, Int32(position)) }
                average[at] += value / Double(divisor == 0 ? extent : divisor)
                averageGradient[(image * inputPixels + position) * channels + c] +=
                  Double(g[at]) / Double(divisor == 0 ? extent : divisor)
              }
              mostGradient[(image * inputPixels + Int(places[at])) * channels + c] += Double(g[at])
            }
          }
        }
        let label = "\(table.name) \(T.self) \(axes) channels \(channels)"
        let outputRows = 0..<images * axes[0].outputSize * axes[1].outputSize
        let inputRows = 0..<images * axes[0].size * axes[1].size
        var y = [T](repeating: .nan, count: g.count), dx = [T](repeating: .nan, count: x.count)
        table.pool.max[T.index](x, &y, nil, shape, outputRows)
        XCTAssertEqual(doubles(y), most, label)
        func checkMarks<M: FixedWidthInteger>(_: M.Type) {
          var marks = [M](repeating: 77, count: g.count)
          y = [T](repeating: .nan, count: g.count)
          table.pool.max[T.index](x, &y, &marks, shape, outputRows)
          XCTAssertEqual(doubles(y), most, label)
          XCTAssertEqual(marks.indices.map { place(marks[$0], $0, shape) }, places, label)
          table.pool.maxGradient[T.index](g, marks, &dx, shape, inputRows)
          expect(dx, mostGradient, "max gradient \(label)")
        }
        XCTAssertEqual(shape.markSize, axes.reduce(1) { $0 * $1.kernel } > 256 ? 4 : 1, label)
        if shape.markSize == 1 { checkMarks(UInt8.self) } else { checkMarks(Int32.self) }
        // Averages have no dilation.
        if isDilated { continue }
        table.pool.average[T.index](x, &y, shape, outputRows)
        expect(y, average, "average \(label)")
        table.pool.averageGradient[T.index](g, &dx, shape, inputRows)
        expect(dx, averageGradient, "average gradient \(label)")
      }
    }
  }

  func testWindows() {
    eachTable {
      check($0, Float.self)
      check($0, Double.self)
    }
  }

  /// Maxima of bfloat16, whose marks are bytes, are those of the same numbers in float32; gradients are rounded once.
  func testNarrowMaxima() {
    func wide(_ bits: [UInt16]) -> [Float] { bits.map { Float(bitPattern: UInt32($0) << 16) } }
    func narrow(_ values: [Float]) -> [UInt16] {
      values.map { UInt16(truncatingIfNeeded: ($0.bitPattern &+ 0x7fff &+ (($0.bitPattern >> 16) & 1)) >> 16) }
    }
    eachTable { table in
      var random = TestRandom(seed: 52)
      for (images, channels, axes) in shapes {
        let shape = PoolShape(
          channels: channels, depth: axes[0].axis(true), height: axes[1].axis(true), width: axes[2].axis(true))
        if shape.markSize != 1 { continue }
        let inputPixels = axes.reduce(1) { $0 * $1.size }, outputPixels = axes.reduce(1) { $0 * $1.outputSize }
        let x = narrow(random.values(images * inputPixels * channels).map { Float(($0 * 3).rounded()) })
        let g = narrow(random.values(images * outputPixels * channels).map { Float($0) })
        let outputRows = 0..<images * axes[0].outputSize * axes[1].outputSize
        let inputRows = 0..<images * axes[0].size * axes[1].size
        var y = [UInt16](repeating: 1, count: g.count), alone = y, dx = [UInt16](repeating: 1, count: x.count)
        var marks = [UInt8](repeating: 77, count: g.count), expectedMarks = marks
        var expected = [Float](repeating: .nan, count: g.count), gradient = [Float](repeating: .nan, count: x.count)
        table.pool.max[0](wide(x), &expected, &expectedMarks, shape, outputRows)
        table.pool.maxGradient[0](wide(g), expectedMarks, &gradient, shape, inputRows)
        table.pool.max[2](x, &y, &marks, shape, outputRows)
        table.pool.max[2](x, &alone, nil, shape, outputRows)
        table.pool.maxGradient[2](g, marks, &dx, shape, inputRows)
        let label = "\(table.name) \(axes) channels \(channels)"
        XCTAssertEqual(wide(y), expected, label)
        XCTAssertEqual(wide(alone), expected, label)
        XCTAssertEqual(marks, expectedMarks, label)
        XCTAssertEqual(wide(dx), wide(narrow(gradient)), label)
      }
    }
  }

  func testNaNWins() {
    eachTable { table in
      let axis = PoolAxis(inputSize: 6, outputSize: 3, kernel: 2, stride: 2, padding: 0)
      var y = [Float](repeating: 0, count: 3)
      var marks = [UInt8](repeating: 0, count: 3)
      let x: [Float] = [1, .nan, 2, 3, .nan, 9]
      let shape = PoolShape(channels: 1, width: axis)
      table.pool.max[0](x, &y, &marks, shape, 0..<1)
      XCTAssertTrue(y[0].isNaN && y[1] == 3 && y[2].isNaN, table.name)
      XCTAssertEqual(marks.indices.map { place(marks[$0], $0, shape) }, [1, 3, 4], table.name)
      // The same for vectors.
      let wide = PoolShape(channels: 16, width: axis)
      var (vectors, wideMarks) = ([Float](repeating: 0, count: 48), [UInt8](repeating: 0, count: 48))
      table.pool.max[0](x.flatMap { [Float](repeating: $0, count: 16) }, &vectors, &wideMarks, wide, 0..<1)
      XCTAssertTrue(vectors[..<16].allSatisfy(\.isNaN) && vectors[32...].allSatisfy(\.isNaN), table.name)
      XCTAssertEqual(wideMarks.indices.map { place(wideMarks[$0], $0, wide) }, (0..<48).map { [1, 3, 4][$0 / 16] })
    }
  }
}
