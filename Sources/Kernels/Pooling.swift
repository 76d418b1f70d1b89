import KernelTypes

// Loop order: row of positions, position, block of channels, window. A position's channels lie in a row, so
// that vectors run over them; with one channel (planes) the same loops run on scalars.

/// Positions of windows, for each lane of a vector.
protocol PoolVector: FloatVector {
  associatedtype Places
  static func places(_ value: Int) -> Places
  static func choose(_ mask: Mask, _ a: Places, _ b: Places) -> Places
  static func equal(_ a: Places, _ b: Places) -> Mask
  static func either(_ a: Mask, _ b: Mask) -> Mask
  static func store(_ places: Places, _ out: UnsafeMutablePointer<Int32>, _ count: Int)
  static func load(_ source: UnsafePointer<Int32>, _ count: Int) -> Places
}

extension SIMD16: PoolVector where Scalar == Float {
  typealias Places = SIMD16<Int32>
  @inline(__always) static func places(_ value: Int) -> Places {
    Places(repeating: Int32(truncatingIfNeeded: value))
  }
  @inline(__always) static func choose(_ mask: Mask, _ a: Places, _ b: Places) -> Places {
    b.replacing(with: a, where: mask)
  }
  @inline(__always) static func equal(_ a: Places, _ b: Places) -> Mask { a .== b }
  @inline(__always) static func either(_ a: Mask, _ b: Mask) -> Mask { a .| b }
  @inline(__always) static func store(_ places: Places, _ out: UnsafeMutablePointer<Int32>, _ count: Int) {
    if count == 16 {
      UnsafeMutableRawPointer(out).storeBytes(of: places, as: Places.self)
    } else {
      for i in 0..<count { out[i] = places[i] }
    }
  }
  @inline(__always) static func load(_ source: UnsafePointer<Int32>, _ count: Int) -> Places {
    if count == 16 { return UnsafeRawPointer(source).loadUnaligned(as: Places.self) }
    var places = Places(repeating: -1)
    for i in 0..<count { places[i] = source[i] }
    return places
  }
}

extension SIMD8: PoolVector where Scalar == Double {
  typealias Places = SIMD8<Int64>
  @inline(__always) static func places(_ value: Int) -> Places { Places(repeating: Int64(value)) }
  @inline(__always) static func choose(_ mask: Mask, _ a: Places, _ b: Places) -> Places {
    b.replacing(with: a, where: mask)
  }
  @inline(__always) static func equal(_ a: Places, _ b: Places) -> Mask { a .== b }
  @inline(__always) static func either(_ a: Mask, _ b: Mask) -> Mask { a .| b }
  @inline(__always) static func store(_ places: Places, _ out: UnsafeMutablePointer<Int32>, _ count: Int) {
    for i in 0..<count { out[i] = Int32(truncatingIfNeeded: places[i]) }
  }
  @inline(__always) static func load(_ source: UnsafePointer<Int32>, _ count: Int) -> Places {
    var places = Places(repeating: -1)
    for i in 0..<count { places[i] = Int64(source[i]) }
    return places
  }
}

/// Calls `body(first channel, channels)` for vectors of channels. The last vector overlaps the one before where
/// the channels are no multiple: what a body writes depends on nothing it wrote.
@inline(__always)
func channelBlocks(_ channels: Int, _ width: Int, _ body: (Int, Int) -> Void) {
  if channels < width {
    if channels > 0 { body(0, channels) }
    return
  }
  var c = 0
  while c + width <= channels {
    body(c, width)
    c += width
  }
  if c < channels { body(channels - width, width) }
}

@inline(__always)
func loadLanes<V: Lanes>(_ pointer: UnsafePointer<V.Scalar>, _ count: Int, _ type: V.Type) -> V {
  count == V.scalarCount
    ? UnsafeRawPointer(pointer).loadUnaligned(as: V.self) : loadTail(UnsafeRawPointer(pointer), count, V.self)
}

@inline(__always)
func storeLanes<V: Lanes>(_ vector: V, _ out: UnsafeMutablePointer<V.Scalar>, _ count: Int) {
  if count == V.scalarCount {
    UnsafeMutableRawPointer(out).storeBytes(of: vector, as: V.self)
  } else {
    storeTail(vector, UnsafeMutableRawPointer(out), count)
  }
}

/// Where a line of positions lies: its image, depth and height.
@inline(__always)
private func coordinates(_ row: Int, _ depth: Int, _ height: Int) -> (image: Int, d: Int, h: Int) {
  (row / (depth * height), row / height % depth, row % height)
}

/// The window positions of an output position along one axis, or the outputs of an input position.
@inline(__always)
private func window(_ starts: [Int32], _ ends: [Int32], _ i: Int) -> (Int, Int) {
  (Int(starts[i]), Int(ends[i]))
}

@inline(__always)
private func maxPool<V: PoolVector>(_ vector: V.Type) -> MaxPoolKernel {
  { input, output, indices, shape, rows in
    let source = input.assumingMemoryBound(to: V.Scalar.self)
    let target = output.assumingMemoryBound(to: V.Scalar.self)
    let (depth, height, width, channels) = (shape.depth, shape.height, shape.width, shape.channels)
    let plane = depth.inputSize * height.inputSize * width.inputSize
    for row in rows {
      let (image, od, oh) = coordinates(row, depth.outputSize, height.outputSize)
      let (d0, d1) = window(depth.starts, depth.ends, od)
      let (h0, h1) = window(height.starts, height.ends, oh)
      for ow in 0..<width.outputSize {
        let (w0, w1) = window(width.starts, width.ends, ow)
        let outputAt = (row * width.outputSize + ow) * channels
        channelBlocks(channels, V.scalarCount) { c, count in
          var best = V(-.infinity)
          var place = V.places((d0 * height.inputSize + h0) * width.inputSize + w0)
          var d = d0
          while d < d1 {
            var h = h0
            while h < h1 {
              let line = (d * height.inputSize + h) * width.inputSize
              var w = w0
              while w < w1 {
                let x = loadLanes(source + ((image * plane + line + w) * channels + c), count, V.self)
                let wins = V.either(x .> best, x .!= x)
                best = V.select(wins, x, best)
                if indices != nil { place = V.choose(wins, V.places(line + w), place) }
                w += width.dilation
              }
              h += height.dilation
            }
            d += depth.dilation
          }
          storeLanes(best, target + outputAt + c, count)
          if let indices { V.store(place, indices + outputAt + c, count) }
        }
      }
    }
  }
}

/// Each input position asks the windows that may hold it whether it was their maximum: no scattering, so rows
/// are independent.
@inline(__always)
private func maxPoolGradient<V: PoolVector>(_ vector: V.Type) -> MaxPoolGradientKernel {
  { gradient, indices, output, shape, rows in
    let source = gradient.assumingMemoryBound(to: V.Scalar.self)
    let target = output.assumingMemoryBound(to: V.Scalar.self)
    let (depth, height, width, channels) = (shape.depth, shape.height, shape.width, shape.channels)
    for row in rows {
      let (image, d, h) = coordinates(row, depth.inputSize, height.inputSize)
      let (d0, d1) = window(depth.outputStarts, depth.outputEnds, d)
      let (h0, h1) = window(height.outputStarts, height.outputEnds, h)
      for w in 0..<width.inputSize {
        let (w0, w1) = window(width.outputStarts, width.outputEnds, w)
        let place = V.places((d * height.inputSize + h) * width.inputSize + w)
        let inputAt = (row * width.inputSize + w) * channels
        channelBlocks(channels, V.scalarCount) { c, count in
          var sum = V.zero
          for od in d0..<d1 {
            for oh in h0..<h1 {
              let line = ((image * depth.outputSize + od) * height.outputSize + oh) * width.outputSize
              for ow in w0..<w1 {
                let at = (line + ow) * channels + c
                let g = loadLanes(source + at, count, V.self)
                sum = V.select(V.equal(V.load(indices + at, count), place), sum + g, sum)
              }
            }
          }
          storeLanes(sum, target + inputAt + c, count)
        }
      }
    }
  }
}

@inline(__always)
private func averagePool<V: PoolVector>(_ vector: V.Type) -> AveragePoolKernel {
  { input, output, shape, rows in
    let source = input.assumingMemoryBound(to: V.Scalar.self)
    let target = output.assumingMemoryBound(to: V.Scalar.self)
    let (depth, height, width, channels) = (shape.depth, shape.height, shape.width, shape.channels)
    let plane = depth.inputSize * height.inputSize * width.inputSize
    for row in rows {
      let (image, od, oh) = coordinates(row, depth.outputSize, height.outputSize)
      let (d0, d1) = window(depth.starts, depth.ends, od)
      let (h0, h1) = window(height.starts, height.ends, oh)
      let area = Int(depth.extents[od]) * Int(height.extents[oh])
      for ow in 0..<width.outputSize {
        let (w0, w1) = window(width.starts, width.ends, ow)
        let count = shape.divisorOverride != 0 ? shape.divisorOverride : area * Int(width.extents[ow])
        let divisor = V(Double(count))
        let outputAt = (row * width.outputSize + ow) * channels
        channelBlocks(channels, V.scalarCount) { c, count in
          var sum = V.zero
          for d in d0..<d1 {
            for h in h0..<h1 {
              let line = image * plane + (d * height.inputSize + h) * width.inputSize
              for w in w0..<w1 { sum = sum + loadLanes(source + ((line + w) * channels + c), count, V.self) }
            }
          }
          storeLanes(sum / divisor, target + outputAt + c, count)
        }
      }
    }
  }
}

@inline(__always)
private func averagePoolGradient<V: PoolVector>(_ vector: V.Type) -> AveragePoolKernel {
  { gradient, output, shape, rows in
    let source = gradient.assumingMemoryBound(to: V.Scalar.self)
    let target = output.assumingMemoryBound(to: V.Scalar.self)
    let (depth, height, width, channels) = (shape.depth, shape.height, shape.width, shape.channels)
    for row in rows {
      let (image, d, h) = coordinates(row, depth.inputSize, height.inputSize)
      let (d0, d1) = window(depth.outputStarts, depth.outputEnds, d)
      let (h0, h1) = window(height.outputStarts, height.outputEnds, h)
      for w in 0..<width.inputSize {
        let (w0, w1) = window(width.outputStarts, width.outputEnds, w)
        let inputAt = (row * width.inputSize + w) * channels
        channelBlocks(channels, V.scalarCount) { c, count in
          var sum = V.zero
          for od in d0..<d1 {
            for oh in h0..<h1 {
              let area = Int(depth.extents[od]) * Int(height.extents[oh])
              let line = ((image * depth.outputSize + od) * height.outputSize + oh) * width.outputSize
              for ow in w0..<w1 {
                let divisor =
                  shape.divisorOverride != 0 ? shape.divisorOverride : area * Int(width.extents[ow])
                let g = loadLanes(source + ((line + ow) * channels + c), count, V.self)
                sum = sum + g / V(Double(divisor))
              }
            }
          }
          storeLanes(sum, target + inputAt + c, count)
        }
      }
    }
  }
}

func registerPooling(_ table: inout PoolKernels) {
  table.max = [
    stored(maxPool(Floats.self)),
    stored(maxPool(Doubles.self)),
  ]
  table.maxGradient = [
    stored(maxPoolGradient(Floats.self)),
    stored(maxPoolGradient(Doubles.self)),
  ]
  table.average = [
    stored(averagePool(Floats.self)),
    stored(averagePool(Doubles.self)),
  ]
  table.averageGradient = [
    stored(averagePoolGradient(Floats.self)),
    stored(averagePoolGradient(Doubles.self)),
  ]
}
