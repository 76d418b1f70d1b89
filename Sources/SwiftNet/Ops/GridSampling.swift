/// What a sample outside of the image is.
public enum GridPadding: Int32, Sendable {
  case zeros = 0
  /// The nearest element of the border.
  case border
  /// The image mirrored at its border.
  case reflection
}

/// How values between the elements are found.
public enum GridMode: Int32, Sendable {
  case bilinear = 0
  case nearest
  /// Cubic convolution with a = -0.75; images only.
  case bicubic
}

extension Tensor {
  /// Elements of images (N, C, H, W) or volumes (N, C, D, H, W) at the places that a grid (N, …, 2 or 3) names: x, y
  /// (and z) from -1 to 1 (Jaderberg et al., 2015, https://arxiv.org/abs/1506.02025).
  /// PyTorch: `torch.nn.functional.grid_sample`.
  ///
  /// - Parameter alignCorners: -1 and 1 are the centres of the outermost elements, instead of their outer edges.
  public func gridSampled(
    _ grid: Tensor, mode: GridMode = .bilinear, padding: GridPadding = .zeros, alignCorners: Bool = false
  ) throws -> Tensor {
    let converted = try autocast(.float32, [self, grid]) {
      try $0[0].gridSampled($0[1], mode: mode, padding: padding, alignCorners: alignCorners)
    }
    if let converted { return converted }
    try require(
      dtype == grid.dtype,
      "grid_sampler(): expected input and grid to have same dtype, but input has \(dtype.name) and grid has "
        + grid.dtype.name)
    try require(
      (rank == 4 || rank == 5) && grid.rank == rank,
      "grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, but got input with sizes "
        + "\(Shape.describe(shape)) and grid with sizes \(Shape.describe(grid.shape))")
    try require(
      shape[0] == grid.shape[0],
      "grid_sampler(): expected grid and input to have same batch size, but got input with sizes "
        + "\(Shape.describe(shape)) and grid with sizes \(Shape.describe(grid.shape))")
    try require(
      grid.shape[rank - 1] == rank - 2,
      "grid_sampler(): expected grid to have size \(rank - 2) in last dimension, but got grid with sizes "
        + Shape.describe(grid.shape))
    try require(
      shape.dropFirst(2).allSatisfy { $0 > 0 },
      "grid_sampler(): expected input to have non-empty spatial dimensions, but input has sizes "
        + Shape.describe(shape))
    try require(
      mode != .bicubic || rank == 4, "grid_sampler(): bicubic interpolation only supports 4D input")
    try require(dtype.isFloatingPoint, "grid_sampler(): expected floating-point input, but got \(dtype.name)")
    if dtype.lane.dtype != dtype {
      return try to(.float32).gridSampled(
        grid.to(.float32), mode: mode, padding: padding, alignCorners: alignCorners
      ).to(dtype)
    }
    let plan = GridPlan(
      size: Array(shape.dropFirst(2)), mode: mode, padding: padding, alignCorners: alignCorners)
    let out =
      try dtype == .float64
      ? gridSampled(Double.self, grid, plan) : gridSampled(Float.self, grid, plan)
    let name = "GridSampler\(rank - 2)D"
    return try out.recorded(name, self, grid, saving: [self, grid]) { context in
      let (x, grid, grad) = (try context.saved(0), try context.saved(1), try context.grad)
      if context.createsGraph {
        return try context.gradients(
          ofFormula: { inputs in
            guard let x = inputs[0], let grid = inputs[1] else { throw SwiftNetError.runtime("an input is missing") }
            return try x.gridSampledByOperations(grid, plan)
          }, [x, grid])
      }
      let isWide = x.dtype == .float64
      return [
        context.needs(0)
          ? try isWide ? x.gridGradient(Double.self, grid, grad, plan) : x.gridGradient(Float.self, grid, grad, plan)
          : nil,
        context.needs(1)
          ? try isWide ? x.placeGradient(Double.self, grid, grad, plan) : x.placeGradient(Float.self, grid, grad, plan)
          : nil,
      ]
    }
  }

  private func gridSampled<T: GridNumber>(_: T.Type, _ grid: Tensor, _ plan: GridPlan) throws -> Tensor {
    let (x, g) = (try noGrad { try contiguous() }, try noGrad { try grid.contiguous() })
    let (n, c, image) = (shape[0], shape[1], plan.size.reduce(1, *))
    let places = grid.shape[1..<(rank - 1)].reduce(1, *)
    let out = try Tensor(empty: [n, c] + grid.shape[1..<(rank - 1)], dtype: dtype)
    let source = try x.pointer().assumingMemoryBound(to: T.self)
    let at = try g.pointer().assumingMemoryBound(to: T.self)
    let target = try out.mutablePointer().assumingMemoryBound(to: T.self)
    // The elements that some places of an image read are found first, and channel by channel read then: neighbours read
    // what lies together.
    let block = 128
    let blocks = (places + block - 1) / block, most = plan.mostTaps, dimensions = plan.size.count
    parallelFor(n * blocks, grain: Swift.max(1, 8192 / (block * Swift.max(1, c)))) { start, end in
      let offsets = UnsafeMutablePointer<Int>.allocate(capacity: block * most)
      let weights = UnsafeMutablePointer<T>.allocate(capacity: block * most)
      let ends = UnsafeMutablePointer<Int>.allocate(capacity: block)
      defer {
        offsets.deallocate()
        weights.deallocate()
        ends.deallocate()
      }
      plan.withTaps(T.self) { taps in
        for task in start..<end {
          let (image0, first) = (task / blocks, task % blocks * block)
          let count = Swift.min(block, places - first)
          var found = 0
          for i in 0..<count {
            taps.find(plan, at + (image0 * places + first + i) * dimensions)
            for k in 0..<taps.count { (offsets[found + k], weights[found + k]) = (taps.offsets[k], taps.weights[k]) }
            found += taps.count
            ends[i] = found
          }
          for channel in image0 * c..<(image0 + 1) * c {
            let (from, to) = (source + channel * image, target + channel * places + first)
            var k = 0
            for i in 0..<count {
              var sum: T = 0
              while k < ends[i] {
                sum += weights[k] * from[offsets[k]]
                k &+= 1
              }
              to[i] = sum
            }
          }
        }
      }
    }
    return out
  }

  /// The gradient for the images: what was read is added to. Channels are independent of each other.
  private func gridGradient<T: GridNumber>(
    _: T.Type, _ grid: Tensor, _ grad: Tensor, _ plan: GridPlan
  ) throws -> Tensor {
    let (dy, g) = (try noGrad { try grad.contiguous() }, try noGrad { try grid.contiguous() })
    let (n, c, image) = (shape[0], shape[1], plan.size.reduce(1, *))
    let places = grid.shape[1..<(rank - 1)].reduce(1, *)
    let out = try Tensor.zeros(shape, dtype: dtype)
    let source = try dy.pointer().assumingMemoryBound(to: T.self)
    let at = try g.pointer().assumingMemoryBound(to: T.self)
    let target = try out.mutablePointer().assumingMemoryBound(to: T.self)
    // The places are found once for a group of channels.
    let group = 16
    let groups = (c + group - 1) / group
    parallelFor(n * groups, grain: 1) { start, end in
      plan.withTaps(T.self) { taps in
        for job in start..<end {
          let (image0, first) = (job / groups, job % groups * group)
          for place in 0..<places {
            taps.find(plan, at + (image0 * places + place) * plan.size.count)
            for channel in first..<Swift.min(first + group, c) {
              let value = source[(image0 * c + channel) * places + place]
              let to = target + (image0 * c + channel) * image
              for k in 0..<taps.count { to[taps.offsets[k]] += taps.weights[k] * value }
            }
          }
        }
      }
    }
    return out
  }

  /// The gradient for the grid.
  private func placeGradient<T: GridNumber>(
    _: T.Type, _ grid: Tensor, _ grad: Tensor, _ plan: GridPlan
  ) throws -> Tensor {
    let (x, dy) = (try noGrad { try contiguous() }, try noGrad { try grad.contiguous() })
    let g = try noGrad { try grid.contiguous() }
    let (n, c, image) = (shape[0], shape[1], plan.size.reduce(1, *))
    let places = grid.shape[1..<(rank - 1)].reduce(1, *)
    let out = try Tensor.zeros(grid.shape, dtype: dtype)
    if plan.mode == .nearest { return out }
    let source = try x.pointer().assumingMemoryBound(to: T.self)
    let gradient = try dy.pointer().assumingMemoryBound(to: T.self)
    let at = try g.pointer().assumingMemoryBound(to: T.self)
    let target = try out.mutablePointer().assumingMemoryBound(to: T.self)
    let dimensions = plan.size.count
    parallelFor(n * places, grain: Swift.max(1, 8192 / Swift.max(1, c))) { start, end in
      plan.withTaps(T.self) { taps in
        for i in start..<end {
          taps.find(plan, at + i * dimensions)
          let from = source + i / places * c * image
          let dy = gradient + i / places * c * places + i % places
          for k in 0..<taps.count {
            var sum: T = 0
            for channel in 0..<c { sum += dy[channel * places] * from[channel * image + taps.offsets[k]] }
            for d in 0..<dimensions { target[i * dimensions + d] += taps.slopes[k * dimensions + d] * sum }
          }
        }
      }
    }
    return out
  }

  /// The grid that an affine map (N, 2, 3) or (N, 3, 4) makes of the places of an output (N, C, H, W) or (N, C, D, H,
  /// W), for `gridSampled`. PyTorch: `torch.nn.functional.affine_grid`.
  public func affineGrid(_ size: [Int], alignCorners: Bool = false) throws -> Tensor {
    try require(
      dtype.isFloatingPoint, .value, "Expected theta to have floating point type, but got \(dtype.name)")
    try require(
      size.count == 4 || size.count == 5, .notImplemented,
      "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. Got size "
        + Shape.describe(size))
    let d = size.count - 2
    try require(
      rank == 3 && shape[1] == d && shape[2] == d + 1, .value,
      "Expected a batch of \(d)D affine matrices of shape Nx\(d)x\(d + 1) for size \(Shape.describe(size)). Got "
        + "\(Shape.describe(shape)).")
    try require(
      size.allSatisfy { $0 > 0 }, .value,
      "Expected non-zero, positive output size. Got \(Shape.describe(size))")
    try require(
      size[0] == shape[0], "Expected a matrix for each of \(size[0]) images, got \(shape[0])")
    _ = try Shape.count(size)
    let spatial = Array(size.dropFirst(2))
    let base = try noGrad { () -> Tensor in
      let axes = try spatial.indices.reversed().map { axis -> Tensor in
        let n = spatial[axis]
        var steps: Tensor
        if n <= 1 {
          steps = try Tensor.zeros([n], dtype: .float64)
        } else {
          steps = try Tensor.linspace(-1, 1, count: n, dtype: .float64)
          if !alignCorners { steps = try steps * .float(Double(n - 1) / Double(n)) }
        }
        var view = [Int](repeating: 1, count: d)
        view[axis] = n
        return try steps.reshape(view).expand(spatial)
      }
      return try Tensor.stack(axes + [Tensor.ones(spatial, dtype: .float64)], d).reshape([-1, d + 1]).to(dtype)
    }
    return try base.unsqueeze(0).matmul(transpose(1, 2)).reshape([size[0]] + spatial + [d])
  }
}

/// Float or Double. (`Int` of just any floating-point number takes the compiler a call, and many steps.)
protocol GridNumber: BinaryFloatingPoint {
  var whole: Int { get }
}

extension Float: GridNumber {
  @inline(__always) var whole: Int { Int(self) }
}

extension Double: GridNumber {
  @inline(__always) var whole: Int { Int(self) }
}

/// How places of a grid become elements of an image.
struct GridPlan {
  /// Spatial sizes, the first dimension first.
  let size: [Int]
  let mode: GridMode
  let padding: GridPadding
  let alignCorners: Bool

  /// Elements that one place reads at most.
  var mostTaps: Int {
    switch mode {
    case .nearest: 1
    case .bilinear: 1 << size.count
    case .bicubic: 16
    }
  }

  /// Room for the elements that one place reads.
  func withTaps<T: GridNumber>(_: T.Type, _ body: (inout GridTaps<T>) -> Void) {
    var taps = GridTaps<T>()
    defer { taps.free() }
    body(&taps)
  }

  /// A coordinate from -1 to 1 as a position among n elements, and its slope.
  func position<T: GridNumber>(_ g: T, _ n: Int) -> (T, T) {
    let n = T(n)
    if alignCorners { return ((g + 1) / 2 * (n - 1), (n - 1) / 2) }
    return (((g + 1) * n - 1) / 2, n / 2)
  }

  /// A position brought inside, and the slope of that.
  func inside<T: GridNumber>(_ x: T, _ n: Int) -> (T, T) {
    switch padding {
    case .zeros: return (x, 1)
    case .border: return clipped(x, n)
    case .reflection:
      let (mirrored, slope) = alignCorners ? reflected(x, 0, 2 * (n - 1)) : reflected(x, -1, 2 * n - 1)
      let (clip, slope2) = clipped(mirrored, n)
      return (clip, slope * slope2)
    }
  }

  private func clipped<T: GridNumber>(_ x: T, _ n: Int) -> (T, T) {
    if !(x > 0) { return (0, 0) }
    let last = T(n - 1)
    return x >= last ? (last, 0) : (x, 1)
  }

  /// Mirrored at low / 2 and high / 2 as often as needed.
  private func reflected<T: GridNumber>(_ x: T, _ low: Int, _ high: Int) -> (T, T) {
    if low == high { return (0, 0) }
    let (least, span) = (T(low) / 2, T(high - low) / 2)
    let away = x - least
    let slope: T = away < 0 ? -1 : 1
    let distance = abs(away)
    guard distance.isFinite else { return (distance, slope) }
    let extra = distance.truncatingRemainder(dividingBy: span)
    let isEven = (distance / span).rounded(.down).truncatingRemainder(dividingBy: 2) == 0
    return isEven ? (extra + least, slope) : (span - extra + least, -slope)
  }

  /// A coordinate as a position among n elements: the element before it, how far behind that it is, and the position's
  /// slope.
  func split<T: GridNumber>(_ g: T, _ n: Int) -> (floor: Int, part: T, slope: T) {
    let (x, rate) = position(g, n)
    let (y, rate2) = inside(x, n)
    let safe = safe(y)
    let below = safe.rounded(.down)
    return (below.whole, safe - below, rate * rate2)
  }

  /// A position that an Int can hold; what is not, lies outside anyhow.
  func safe<T: GridNumber>(_ x: T) -> T { abs(x) < 1e9 ? x : -100 }
}

/// The elements that one place of a grid reads: offsets within an image, weights, and the weights' slopes in each
/// coordinate of the grid. Positions outside have no entry.
struct GridTaps<T: GridNumber> {
  let offsets = UnsafeMutablePointer<Int>.allocate(capacity: 16)
  let weights = UnsafeMutablePointer<T>.allocate(capacity: 16)
  let slopes = UnsafeMutablePointer<T>.allocate(capacity: 48)
  private(set) var count = 0

  func free() {
    offsets.deallocate()
    weights.deallocate()
    slopes.deallocate()
  }

  /// `place` holds x, y (and z): the last dimension's coordinate first.
  @inline(never)
  mutating func find(_ plan: GridPlan, _ place: UnsafePointer<T>) {
    count = 0
    switch plan.mode {
    case .bilinear: findLinear(plan, place)
    case .nearest: findNearest(plan, place)
    case .bicubic: findCubic(plan, place)
    }
  }

  private mutating func findNearest(_ plan: GridPlan, _ place: UnsafePointer<T>) {
    let d = plan.size.count
    var offset = 0
    for axis in 0..<d {
      let n = plan.size[axis]
      let (x, _) = plan.inside(plan.position(place[d - 1 - axis], n).0, n)
      let nearest = plan.safe(x).rounded(.toNearestOrEven)
      guard nearest >= 0, nearest < T(n) else { return }
      offset = offset * n + nearest.whole
    }
    offsets[0] = offset
    weights[0] = 1
    for axis in 0..<d { slopes[axis] = 0 }
    count = 1
  }

  /// The same as `findLinear` of two dimensions, without loops.
  private mutating func findInPlane(_ plan: GridPlan, _ place: UnsafePointer<T>) {
    let (height, width) = (plan.size[0], plan.size[1])
    let (x, y) = (plan.split(place[0], width), plan.split(place[1], height))
    let (left, right) = (x.floor >= 0 && x.floor < width, x.floor >= -1 && x.floor < width - 1)
    @inline(__always)
    func add(_ offset: Int, _ isInside: Bool, _ wx: T, _ wy: T, _ dx: T, _ dy: T) {
      if !isInside { return }
      offsets[count] = offset
      weights[count] = wy * wx
      slopes[2 * count] = dx * wy
      slopes[2 * count + 1] = dy * wx
      count += 1
    }
    @inline(__always)
    func addRow(_ row: Int, _ wy: T, _ dy: T) {
      if row < 0 || row >= height { return }
      add(row * width + x.floor, left, 1 - x.part, wy, -x.slope, dy)
      add(row * width + x.floor + 1, right, x.part, wy, x.slope, dy)
    }
    addRow(y.floor, 1 - y.part, -y.slope)
    addRow(y.floor + 1, y.part, y.slope)
  }

  private mutating func findLinear(_ plan: GridPlan, _ place: UnsafePointer<T>) {
    let d = plan.size.count
    if d == 2 { return findInPlane(plan, place) }
    var floors = (0, 0, 0)
    var parts = (T(0), T(0), T(0))
    var rates = (T(0), T(0), T(0))
    for axis in 0..<d {
      let (floor, part, slope) = plan.split(place[d - 1 - axis], plan.size[axis])
      switch axis {
      case 0: (floors.0, parts.0, rates.0) = (floor, part, slope)
      case 1: (floors.1, parts.1, rates.1) = (floor, part, slope)
      default: (floors.2, parts.2, rates.2) = (floor, part, slope)
      }
    }
    for corner in 0..<(1 << d) {
      var offset = 0
      var weight: T = 1
      var isInside = true
      var factors = (T(1), T(1), T(1))
      for axis in 0..<d {
        let bit = corner >> (d - 1 - axis) & 1
        let (floor, part) = axis == 0 ? (floors.0, parts.0) : axis == 1 ? (floors.1, parts.1) : (floors.2, parts.2)
        let i = floor + bit
        if i < 0 || i >= plan.size[axis] {
          isInside = false
          break
        }
        let factor = bit == 1 ? part : 1 - part
        offset = offset * plan.size[axis] + i
        weight *= factor
        switch axis {
        case 0: factors.0 = factor
        case 1: factors.1 = factor
        default: factors.2 = factor
        }
      }
      if !isInside { continue }
      offsets[count] = offset
      weights[count] = weight
      for axis in 0..<d {
        let bit = corner >> (d - 1 - axis) & 1
        let others: T
        let rate: T
        switch axis {
        case 0: (others, rate) = (factors.1 * factors.2, rates.0)
        case 1: (others, rate) = (factors.0 * factors.2, rates.1)
        default: (others, rate) = (factors.0 * factors.1, rates.2)
        }
        slopes[count * d + d - 1 - axis] = (bit == 1 ? rate : -rate) * others
      }
      count += 1
    }
  }

  private mutating func findCubic(_ plan: GridPlan, _ place: UnsafePointer<T>) {
    let (height, width) = (plan.size[0], plan.size[1])
    let (x, xRate) = plan.position(place[0], width)
    let (y, yRate) = plan.position(place[1], height)
    let (xFloor, yFloor) = (plan.safe(x.rounded(.down)), plan.safe(y.rounded(.down)))
    let (tx, ty) = (x - x.rounded(.down), y - y.rounded(.down))
    for i in 0..<4 {
      let row = plan.safe(plan.inside(yFloor + T(i - 1), height).0)
      guard row >= 0, row < T(height) else { continue }
      let (wy, dy) = cubic(ty - T(i - 1))
      for j in 0..<4 {
        let column = plan.safe(plan.inside(xFloor + T(j - 1), width).0)
        guard column >= 0, column < T(width) else { continue }
        let (wx, dx) = cubic(tx - T(j - 1))
        offsets[count] = row.whole * width + column.whole
        weights[count] = wx * wy
        slopes[count * 2] = dx * wy * xRate
        slopes[count * 2 + 1] = wx * dy * yRate
        count += 1
      }
    }
  }

  /// The weight of an element at a distance, and its slope (Keys, 1981, a = -0.75).
  private func cubic(_ t: T) -> (T, T) {
    let a: T = -0.75
    let x = abs(t)
    let sign: T = t < 0 ? -1 : 1
    if x <= 1 {
      return (((a + 2) * x - (a + 3)) * x * x + 1, sign * (3 * (a + 2) * x - 2 * (a + 3)) * x)
    }
    return (((x - 5) * x + 8) * x * a - 4 * a, sign * ((3 * x - 10) * x + 8) * a)
  }
}
