extension Tensor {
  public static func zeros(_ shape: [Int], dtype: DType = TypePromotion.defaultDType) throws -> Tensor {
    let result = try Tensor(empty: shape, dtype: dtype)
    let bytes = result.count * dtype.size
    let pointer = try result.mutablePointer()
    parallelFor(bytes, grain: 1 << 20) { start, end in memset(pointer + start, 0, end - start) }
    return result
  }

  public static func ones(_ shape: [Int], dtype: DType = TypePromotion.defaultDType) throws -> Tensor {
    try full(shape, 1, dtype: dtype)
  }

  /// A tensor filled with one value; the dtype is the value's if not given.
  public static func full(_ shape: [Int], _ value: Scalar, dtype: DType? = nil) throws -> Tensor {
    let result = try Tensor(empty: shape, dtype: dtype ?? value.dtype)
    try result.fillUnrecorded(value)
    return result
  }

  /// A tensor without dimensions.
  public static func scalar(_ value: Scalar, dtype: DType? = nil) throws -> Tensor {
    try full([], value, dtype: dtype)
  }

  /// start, start + step, … up to but not including end.
  public static func arange(_ start: Scalar, _ end: Scalar, step: Scalar = 1, dtype: DType? = nil) throws -> Tensor {
    let isFloat = [start, end, step].contains { $0.dtype.isFloatingPoint }
    let dtype = dtype ?? (isFloat ? TypePromotion.defaultDType : .int64)
    try require(!step.isZero, "step must be nonzero")
    let span = (end.double - start.double) / step.double
    try require(
      span.isFinite, "unsupported range: \(start.double) -> \(end.double)")
    try require(span >= 0, "upper bound and lower bound inconsistent with step sign")
    let count = span.rounded(.up)
    try require(count < Double(Int.max / 16), .memory, "arange of \(count) elements is too large")
    let result = try Tensor(empty: [Int(count)], dtype: dtype)
    if dtype.lane == .i64 {
      let (first, increment) = (start.int64, step.int64)
      try result.fillLanes(Int64.self) { first &+ Int64($0) &* increment }
    } else {
      let (first, increment) = (start.double, step.double)
      try result.fillLanes(Double.self) { first + Double($0) * increment }
    }
    return result
  }

  /// `count` values from start to end, both included.
  public static func linspace(
    _ start: Double, _ end: Double, count: Int, dtype: DType = TypePromotion.defaultDType
  ) throws -> Tensor {
    try require(count >= 0, "number of steps must be non-negative")
    let result = try Tensor(empty: [count], dtype: dtype)
    let step = count > 1 ? (end - start) / Double(count - 1) : 0
    // Both halves count from their own end, so that the last value is exact.
    try result.fillLanes(Double.self) { i in
      i < count / 2 || count == 1 ? start + step * Double(i) : end - step * Double(count - 1 - i)
    }
    return result
  }

  /// The identity matrix, or its first m columns.
  public static func eye(_ n: Int, _ m: Int? = nil, dtype: DType = TypePromotion.defaultDType) throws -> Tensor {
    let m = m ?? n
    try require(n >= 0 && m >= 0, "n must be greater or equal to 0, got \(min(n, m))")
    let result = try zeros([n, m], dtype: dtype)
    let diagonal = try result.alias(shape: [min(n, m)], strides: [m + 1], offset: 0, count: min(n, m))
    try diagonal.fillUnrecorded(1)
    return result
  }

  /// Fills a contiguous tensor from a function of the position.
  private func fillLanes<T>(_ type: T.Type, _ value: (Int) -> T) throws {
    if count == 0 { return }
    let lane: Lane = type == Int64.self ? .i64 : .f64
    guard let store = kernels.elementwise[store: lane, dtype] else {
      throw SwiftNetError.notImplemented("cannot store \(dtype.name)")
    }
    let out = try mutablePointer()
    let size = dtype.size
    parallelFor(count, grain: ElementwiseProgram.grain) { start, end in
      withUnsafeTemporaryAllocation(of: T.self, capacity: ElementwiseProgram.tile) { tile in
        var position = start
        while position < end {
          let n = min(ElementwiseProgram.tile, end - position)
          for i in 0..<n { tile[i] = value(position + i) }
          store(UnsafeRawPointer(tile.baseAddress.unsafelyUnwrapped), out + position &* size, 1, n)
          position += n
        }
      }
    }
  }

  /// Sets every element, without recording and without counting a change.
  func fillUnrecorded(_ value: Scalar) throws {
    if dtype.isFloatingPoint, try fillDirectly(value.double) { return }
    guard let kernel = kernels.elementwise[.copy, dtype.lane] else {
      throw SwiftNetError.notImplemented("fill of \(dtype.name)")
    }
    let program = ElementwiseProgram(
      lane: dtype.lane, leaves: [.scalar(value)],
      steps: [.init(.copy, kernel: kernel, sources: [.leaf(0)], scalars: Scalars(), roundTo: nil)])
    try program.run(into: self)
  }

  /// The value of a tensor with one element.
  public func item() throws -> Scalar {
    try require(count == 1, "a Tensor with \(count) elements cannot be converted to Scalar")
    guard let load = kernels.elementwise[load: dtype, dtype.isFloatingPoint ? .f64 : .i64] else {
      throw SwiftNetError.notImplemented("cannot load \(dtype.name)")
    }
    var bits: Int64 = 0
    load(try pointer(), 1, &bits, 1)
    if dtype == .bool { return .bool(bits != 0) }
    return dtype.isFloatingPoint ? .float(Double(bitPattern: UInt64(bitPattern: bits))) : .int(bits)
  }

  /// A tensor with the given values, row-major.
  public convenience init(_ values: [Float], shape: [Int]? = nil) throws {
    let shape = shape ?? [values.count]
    try self.init(empty: shape, dtype: .float32)
    try require(
      values.count == count, .value, "\(values.count) values do not fill a tensor of shape \(Shape.describe(shape))")
    try mutablePointer().copyMemory(from: values, byteCount: 4 * count)
  }

  /// All elements, row-major, as doubles.
  public func doubles() throws -> [Double] {
    if dtype == .float32, isContiguous {
      let pointer = try pointer().assumingMemoryBound(to: Float.self)
      return (0..<count).map { Double(pointer[$0]) }
    }
    let wide = try noGrad { try to(.float64).contiguous() }
    let pointer = try wide.pointer().assumingMemoryBound(to: Double.self)
    return Array(UnsafeBufferPointer(start: pointer, count: count))
  }
}
