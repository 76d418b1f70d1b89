import KernelTypes

// Interpolation: a place of the result is a sum of few places of the source. Loop order: output, vectors of adjacent
// numbers (channels, or whole rows of the image), entries. Where numbers of one line have no neighbours to share a weight
// with (the last dimension of row-major images), outputs are taken one by one.

/// A vector of one output, from number `at` on; there is at least one entry.
@inline(__always)
private func sum<T: ProductScalar>(
  _ source: UnsafePointer<T>, _ places: UnsafePointer<Int>, _ weights: UnsafePointer<T>, _ entries: Int, _ inner: Int,
  _ at: Int
) -> T.Vector {
  var total = load(source + (places[0] * inner + at)) * T.Vector(repeating: weights[0])
  for entry in 1..<entries {
    total = T.fused(
      load(source + (places[entry] * inner + at)), T.Vector(repeating: weights[entry]), plus: total)
  }
  return total
}

/// Where a place has one number only: with one or two entries each, without a loop for an output.
@inline(__always)
private func mapSingly<T: ProductScalar>(_ x: LineMap, _: T.Type) {
  let source = x.source.assumingMemoryBound(to: T.self), target = x.target.assumingMemoryBound(to: T.self)
  let weights = x.weights.assumingMemoryBound(to: T.self), places = x.places
  let first = x.outputs.lowerBound, count = x.outputs.count
  var entry = x.starts[first]
  switch x.entries {
  case 1?:
    for output in 0..<count { target[output] = weights[entry &+ output] * source[places[entry &+ output]] }
  case 2?:
    for output in 0..<count {
      let at = entry &+ 2 &* output
      target[output] = weights[at] * source[places[at]] + weights[at &+ 1] * source[places[at &+ 1]]
    }
  default:
    for output in 0..<count {
      let end = x.starts[first &+ output &+ 1]
      var total: T = 0
      if entry < end { total = weights[entry] * source[places[entry]] }
      entry &+= 1
      while entry < end {
        total += weights[entry] * source[places[entry]]
        entry &+= 1
      }
      entry = end
      target[output] = total
    }
  }
}

@inline(__always)
private func mapLine<T: ProductScalar>(_ arguments: UnsafePointer<LineMap>, _: T.Type) {
  let x = arguments.pointee
  let source = x.source.assumingMemoryBound(to: T.self)
  let weights = x.weights.assumingMemoryBound(to: T.self)
  var target = x.target.assumingMemoryBound(to: T.self)
  let inner = x.inner, lanes = T.Vector.scalarCount
  if inner == 1 { return mapSingly(x, T.self) }
  for output in x.outputs {
    let first = x.starts[output], entries = x.starts[output + 1] - first
    let places = x.places + first, factors = weights + first
    if entries == 0 {
      for i in 0..<inner { target[i] = 0 }
    } else if inner < lanes {
      for i in 0..<inner {
        var total = factors[0] * source[places[0] * inner + i]
        for entry in 1..<entries { total += factors[entry] * source[places[entry] * inner + i] }
        target[i] = total
      }
    } else {
      var at = 0
      while at + 2 * lanes <= inner {
        let a = sum(source, places, factors, entries, inner, at)
        let b = sum(source, places, factors, entries, inner, at + lanes)
        store(a, target + at)
        store(b, target + (at + lanes))
        at += 2 * lanes
      }
      while at < inner {
        // The last vector takes some numbers again.
        let place = min(at, inner - lanes)
        store(sum(source, places, factors, entries, inner, place), target + place)
        at += lanes
      }
    }
    target += inner
  }
}

func registerResampling(_ table: inout ResamplingKernels) {
  table.f32 = { mapLine($0, Float.self) }
  table.f64 = { mapLine($0, Double.self) }
}
