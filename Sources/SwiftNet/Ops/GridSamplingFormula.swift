/// Grid sampling in differentiable operations, for gradients of gradients. It is exact, but reads the image once for
/// each element that a place needs.
extension Tensor {
  /// Σ over the elements that a place reads, of element · weight. Which elements these are is constant; their weights
  /// are polynomials of the grid.
  func gridSampledByOperations(_ grid: Tensor, _ plan: GridPlan) throws -> Tensor {
    let (n, c, d) = (shape[0], shape[1], plan.size.count)
    let output = Array(grid.shape[1..<(rank - 1)])
    let places = try Shape.count(output)
    let images = try reshape([n, c, try Shape.count(plan.size)])
    let coordinates = try grid.reshape([n, places, d])
    var reads = [GridRead(offsets: [Int](repeating: 0, count: n * places), weight: nil)]
    for axis in 0..<d {
      let own = try coordinates.select(2, d - 1 - axis)
      let taps = try dtype == .float64 ? plan.reads(Double.self, own, axis) : plan.reads(Float.self, own, axis)
      reads = try reads.flatMap { read in try taps.map { try read.joined($0, size: plan.size[axis]) } }
    }
    // Where no weight depends on the grid, its gradient is zero all the same.
    var sum = try (coordinates.sum([2]) * 0.0).unsqueeze(1)
    for read in reads {
      let indices = try Tensor.of(read.offsets.map { Double(Swift.max($0, 0)) }, dtype: .int64).reshape([n, 1, places])
      let isInside = try Tensor.of(read.offsets.map { $0 < 0 ? 0 : 1 }, dtype: dtype).reshape([n, places])
      let weight = try read.weight.map { try $0 * isInside } ?? isInside
      sum = try sum + images.gather(2, indices.expand([n, c, places])) * weight.unsqueeze(1)
    }
    return try sum.expand([n, c, places]).reshape([n, c] + output)
  }
}

/// An element that every place reads: where it is, -1 for outside, and its weight, nil for 1.
private struct GridRead {
  let offsets: [Int]
  let weight: Tensor?

  /// The element at this place of the dimensions before, and at another's in the next one, of the given size.
  func joined(_ next: GridRead, size: Int) throws -> GridRead {
    let offsets = zip(offsets, next.offsets).map { $0 < 0 || $1 < 0 || $1 >= size ? -1 : $0 * size + $1 }
    guard let weight, let other = next.weight else { return GridRead(offsets: offsets, weight: weight ?? next.weight) }
    return GridRead(offsets: offsets, weight: try weight * other)
  }
}

extension GridPlan {
  /// What is read along one axis, for coordinates (N, places).
  fileprivate func reads<T: GridNumber>(_: T.Type, _ grid: Tensor, _ axis: Int) throws -> [GridRead] {
    let n = size[axis]
    let values = try noGrad { try grid.detach().doubles() }
    var floors: [Int] = [], parts: [Double] = [], slopes: [Double] = []
    for value in values {
      let (x, rate) = position(T(value), n)
      if mode == .bicubic {
        floors.append(Int(safe(x.rounded(.down))))
        parts.append(Double(x - x.rounded(.down)))
        slopes.append(Double(rate))
        continue
      }
      let (y, rate2) = inside(x, n)
      let at = safe(y)
      floors.append(Int(mode == .nearest ? at.rounded(.toNearestOrEven) : at.rounded(.down)))
      parts.append(Double(at - at.rounded(.down)))
      slopes.append(Double(rate * rate2))
    }
    if mode == .nearest { return [GridRead(offsets: floors, weight: nil)] }
    let part = try Tensor.of(parts, dtype: grid.dtype).reshape(grid.shape)
    let slope = try Tensor.of(slopes, dtype: grid.dtype).reshape(grid.shape)
    // The value is a constant, the slope is the map's.
    let t = try part + slope * (grid - grid.detach())
    if mode == .bilinear {
      return [
        GridRead(offsets: floors, weight: try t * -1.0 + 1.0), GridRead(offsets: floors.map { $0 + 1 }, weight: t),
      ]
    }
    return try (0..<4).map { tap in
      let offsets = floors.map { Int(safe(inside(T($0 + tap - 1), n).0)) }
      // The distance from the element, which is 1 + t, t, 1 - t, 2 - t.
      let distance = try tap < 2 ? t + .float(Double(1 - tap)) : t * -1.0 + .float(Double(tap - 1))
      return GridRead(offsets: offsets, weight: try cubicWeight(distance, isNear: tap == 1 || tap == 2))
    }
  }

  /// Keys' cubic, a = -0.75, of distances up to 1 or from 1 to 2.
  private func cubicWeight(_ x: Tensor, isNear: Bool) throws -> Tensor {
    let a = -0.75
    if isNear { return try (x * .float(a + 2) - .float(a + 3)) * x * x + 1.0 }
    return try ((x - 5.0) * x + 8.0) * x * .float(a) - .float(4 * a)
  }
}
