/// Pooling by the largest element of each window.
extension Tensor {
  /// The largest element of each window and its flat position in the image (int64). The number of spatial dimensions is
  /// given, from 1 to 3; an empty stride stands for the kernel's size. PyTorch: `max_pool1d`, `2d`, `3d`.
  public func maxPool(
    _ dimensions: Int, kernel: [Int], stride: [Int] = [], padding: [Int] = [0], dilation: [Int] = [1],
    ceilMode: Bool = false, returnIndices: Bool = false
  ) throws -> [Tensor] {
    // PyTorch has the form without indices in its list, the other not.
    if dimensions == 3, !returnIndices {
      let converted = try autocast(.float32, [self]) {
        try $0[0].maxPool(
          3, kernel: kernel, stride: stride, padding: padding, dilation: dilation, ceilMode: ceilMode)
      }
      if let converted { return converted }
    }
    let name = "max_pool\(dimensions)d"
    let windows = try PoolWindows(
      name, dimensions, kernel: kernel, stride: stride, padding: padding, dilation: dilation, ceilMode: ceilMode)
    return try pooled(name, dimensions, ownType: .bfloat16) { x in
      try x.maxPooled(try windows.axes(x.shape), "MaxPool\(dimensions)DWithIndices", returnIndices)
    }
  }

  /// The largest element of each of `size` windows that share the input out evenly; -1 keeps a size. Indices as
  /// `maxPool`.
  public func adaptiveMaxPool(_ size: [Int], returnIndices: Bool = false) throws -> [Tensor] {
    if size.count == 3 {
      let converted = try autocast(.float32, [self]) { try $0[0].adaptiveMaxPool(size, returnIndices: returnIndices) }
      if let converted { return converted }
    }
    return try pooled("adaptive_max_pool\(size.count)d", size.count, ownType: .bfloat16) { x in
      try x.maxPooled(try x.adaptiveAxes(size), "AdaptiveMaxPool\(size.count)D", returnIndices)
    }
  }

  func adaptiveAxes(_ size: [Int]) throws -> [PoolAxis] {
    try require(
      size.count == rank - 2, "output_size has \(size.count) numbers, but the input has \(rank - 2) spatial dimensions")
    let sizes = size.enumerated().map { d, n in n == -1 ? shape[d + 2] : n }
    try require(
      sizes.allSatisfy { $0 >= 0 && $0 < Int(Int32.max) },
      "elements of output_size must be greater than or equal to 0 but received \(Shape.describe(size))")
    _ = try Shape.count(sizes)
    return sizes.enumerated().map { d, n in PoolAxis(adaptive: shape[d + 2], outputSize: n) }
  }

  private func maxPooled(_ axes: [PoolAxis], _ name: String, _ returnIndices: Bool) throws -> [Tensor] {
    let plan = try PoolPlan(shape, axes: axes, isChannelsLast: poolsChannelsLast)
    if dtype == .bfloat16, plan.shape.markSize != 1 {
      let results = try to(.float32).maxPooled(axes, name, returnIndices)
      return [try results[0].to(dtype)] + results.dropFirst()
    }
    let needsMarks = returnIndices || needsRecording([self])
    if !needsMarks, let waiting = try pendingPool(plan) { return [waiting] }
    let out = try Tensor(empty: plan.output, dtype: dtype, strides: plan.outputStrides)
    let marks = try Tensor(
      empty: needsMarks ? plan.output : [0], dtype: plan.shape.markSize == 1 ? .uint8 : .int32,
      strides: needsMarks ? plan.outputStrides : nil)
    if out.count > 0 {
      let x = try noGrad { try plan.laidOut(self, plan.inputStrides) }
      try PendingPool(input: x, plan: plan).run(
        into: try out.mutablePointer(), marks: needsMarks ? try marks.mutablePointer() : nil)
    }
    try out.recorded(name, self, saving: [marks]) { [try $0.grad.unpooled(try $0.saved(0), plan)] }
    return returnIndices ? [out, try marks.poolPlaces(plan)] : [out]
  }

  /// The flat positions in their images that marks of max pooling stand for.
  private func poolPlaces(_ plan: PoolPlan) throws -> Tensor {
    let out = try Tensor(empty: plan.output, dtype: .int64, strides: plan.outputStrides)
    if out.count == 0 { return out }
    let places = try out.mutablePointer().assumingMemoryBound(to: Int64.self)
    let (shape, marks) = (plan.shape, try pointer())
    let (height, width, channels) = (shape.height.outputSize, shape.width.outputSize, shape.channels)
    func run<Mark: FixedWidthInteger>(_ marks: UnsafePointer<Mark>) {
      parallelFor(plan.outputRows, grain: plan.grain) { start, end in
        for row in start..<end {
          for ow in 0..<width {
            let at = (row * width + ow) * channels
            for i in at..<at + channels {
              places[i] = Int64(
                shape.place(Int(marks[i]), row / height % shape.depth.outputSize, row % height, ow))
            }
          }
        }
      }
    }
    if shape.markSize == 1 {
      run(marks.assumingMemoryBound(to: UInt8.self))
    } else {
      run(marks.assumingMemoryBound(to: Int32.self))
    }
    return out
  }

  /// The gradient of max pooling: each element goes to where the window's largest element was; sums where windows share
  /// one.
  private func unpooled(_ marks: Tensor, _ plan: PoolPlan) throws -> Tensor {
    let pending = PendingPoolGradient(
      gradient: try noGrad { try plan.laidOut(self, plan.outputStrides) }, marks: marks, plan: plan)
    let out: Tensor
    if let waiting = try pending.waiting() {
      out = waiting
    } else {
      out = try Tensor(empty: plan.input, dtype: dtype, strides: plan.inputStrides)
      if out.count > 0 { try pending.run(into: try out.mutablePointer()) }
    }
    return try out.recorded("MaxPoolBackward", self, saving: [marks]) {
      [try $0.grad.picked(try $0.saved(0), plan)]
    }
  }

  /// The elements of this tensor, of the input's shape, that max pooling chose.
  private func picked(_ marks: Tensor, _ plan: PoolPlan) throws -> Tensor {
    let images = try reshape([plan.input[0] * plan.input[1], plan.input.dropFirst(2).reduce(1, *)])
    let places = try marks.poolPlaces(plan).reshape([
      plan.input[0] * plan.input[1], plan.output.dropFirst(2).reduce(1, *),
    ])
    return try images.picking(places).reshape(plan.output)
  }

  /// The inverse of max pooling with indices: elements at their places, zeros elsewhere. `size` has one number per
  /// spatial dimension. PyTorch: `max_unpool1d`, `2d`, `3d`.
  public func maxUnpool(_ indices: Tensor, size: [Int]) throws -> Tensor {
    if let out = try autocast(.float32, [self], { try $0[0].maxUnpool(indices, size: size) }) { return out }
    let dimensions = size.count
    try require(
      rank == dimensions + 1 || rank == dimensions + 2,
      "Input to max_unpooling\(dimensions)d should be a \(dimensions + 1)d or \(dimensions + 2)d Tensor, but got a tensor "
        + "with \(rank) dimensions")
    try require(
      indices.dtype == .int64,
      "elements in indices should be type int64 but got: \(indices.dtype.scalarTypeName)")
    try require(
      indices.shape == shape,
      "Expected shape of indices to be same as that of the input tensor (\(Shape.describe(shape))) but got indices tensor "
        + "with shape: \(Shape.describe(indices.shape))")
    let lead = Array(shape.dropLast(dimensions))
    let (rows, places) = (try Shape.count(lead), try Shape.count(size))
    let flat = try indices.reshape([rows, shape.suffix(dimensions).reduce(1, *)]).contiguous()
    let values = try flat.pointer().assumingMemoryBound(to: Int64.self)
    for i in 0..<flat.count where values[i] < 0 || values[i] >= places {
      throw SwiftNetError.runtime(
        "Found an invalid max index: \(values[i]) (output volumes are of size "
          + "\(size.map(String.init).joined(separator: "x")))")
    }
    return try reshape(flat.shape).placing(flat, columns: places, adds: false).reshape(lead + size)
  }
}

/// Of float32, float64 and bfloat16: `pooled` widens what is something else.
extension PoolPlan {
  /// The largest elements of the windows of some images, and their marks.
  func poolMaxima(
    _ source: UnsafeRawPointer, _ target: UnsafeMutableRawPointer, _ marks: UnsafeMutableRawPointer?, dtype: DType,
    images: Int
  ) {
    let kernel = kernels.pool.max[dtype.kernelPlace ?? 0]
    let rows = images * (outputRows / input[0])
    parallelFor(rows, grain: grain) { start, end in kernel(source, target, marks, shape, start..<end) }
  }

  /// The gradients of some images from those of their windows.
  func poolGradients(
    _ source: UnsafeRawPointer, _ marks: UnsafeRawPointer, _ target: UnsafeMutableRawPointer, dtype: DType, images: Int
  ) {
    let kernel = kernels.pool.maxGradient[dtype.kernelPlace ?? 0]
    let rows = images * (inputRows / input[0])
    parallelFor(rows, grain: grain) { start, end in kernel(source, marks, target, shape, start..<end) }
  }
}

/// Elements of a matrix chosen row by row.
extension Tensor {
  /// out[r, j] = self[r, places[r, j]]; the places (int64) are valid.
  func picking(_ places: Tensor) throws -> Tensor {
    let (rows, columns) = (shape[0], shape[1])
    let (x, index) = (try noGrad { try contiguous() }, try places.contiguous())
    let out = try Tensor(empty: places.shape, dtype: dtype)
    try x.withElements { (source: UnsafePointer<UInt8>, size) in
      let at = try index.pointer().assumingMemoryBound(to: Int64.self)
      let target = try out.mutablePointer()
      let n = places.shape[1]
      parallelFor(rows * n, grain: 1 << 14) { start, end in
        for i in start..<end {
          target.advanced(by: i * size).copyMemory(
            from: source + (i / n * columns + Int(at[i])) * size, byteCount: size)
        }
      }
    }
    return try out.recorded("Gather", self, saving: [index]) {
      [try $0.grad.placing(try $0.saved(0), columns: columns)]
    }
  }

  private func withElements(_ body: (UnsafePointer<UInt8>, Int) throws -> Void) throws {
    try body(try pointer().assumingMemoryBound(to: UInt8.self), dtype.size)
  }

  /// The transpose of `picking`: zeros in `columns` columns, to which self is added (or written) at the places.
  func placing(_ places: Tensor, columns: Int, adds: Bool = true) throws -> Tensor {
    let (x, index) = (try noGrad { try contiguous() }, try places.contiguous())
    let out = try Tensor.zeros([shape[0], columns], dtype: dtype)
    let (rows, n) = (shape[0], places.shape[1])
    let at = try index.pointer().assumingMemoryBound(to: Int64.self)
    func run<T: AdditiveArithmetic>(_: T.Type) throws {
      let source = try x.pointer().assumingMemoryBound(to: T.self)
      let target = try out.mutablePointer().assumingMemoryBound(to: T.self)
      parallelFor(rows, grain: max(1, 16384 / max(n, 1))) { start, end in
        for row in start..<end {
          for j in row * n..<(row + 1) * n {
            let place = row * columns + Int(at[j])
            target[place] = adds ? target[place] + source[j] : source[j]
          }
        }
      }
    }
    switch dtype {
    case .float32: try run(Float.self)
    case .float64: try run(Double.self)
    case .int64: try run(Int64.self)
    default:
      let wide: DType = dtype.isFloatingPoint ? .float32 : .int64
      return try to(wide).placing(places, columns: columns, adds: adds).to(dtype)
    }
    return try out.recorded("Scatter", self, saving: [index]) { [try $0.grad.picking(try $0.saved(0))] }
  }
}
