/// What stands outside of a padded tensor.
public enum PaddingMode: Sendable {
  case constant(Scalar)
  /// Mirrored at the border element, which is not repeated.
  case reflect
  /// The border element.
  case replicate
  /// The tensor again.
  case circular

  public init(named name: String, value: Scalar) throws {
    switch name {
    case "constant": self = .constant(value)
    case "reflect": self = .reflect
    case "replicate": self = .replicate
    case "circular": self = .circular
    default: throw SwiftNetError.notImplemented("Unrecognised padding mode \(name)")
    }
  }
}

extension PaddingMode {
  /// Whether PyTorch's autocast pads in float32: mirrored in one or two dimensions, repeated in any.
  fileprivate func isAutocastToFloat32(dimensions: Int) -> Bool {
    switch self {
    case .reflect: dimensions <= 2
    case .replicate: true
    default: false
    }
  }
}

extension Tensor {
  /// Padded before and after, from the last dimension on: (last before, last after, second to last before, …).
  /// Negative amounts cut off. Modes other than constant pad one to three dimensions, and want one or two in front.
  public func padded(_ padding: [Int], _ mode: PaddingMode = .constant(0)) throws -> Tensor {
    if mode.isAutocastToFloat32(dimensions: padding.count / 2),
      let out = try autocast(.float32, [self], { try $0[0].padded(padding, mode) })
    {
      return out
    }
    try require(padding.count % 2 == 0, "Padding length must be divisible by 2")
    try require(
      padding.count <= 2 * rank,
      "Padding length should be less than or equal to two times the input dimension but got padding length "
        + "\(padding.count) and input of dimension \(rank)")
    var pairs = [(before: Int, after: Int)](repeating: (0, 0), count: rank)
    for k in 0..<padding.count / 2 { pairs[rank - 1 - k] = (padding[2 * k], padding[2 * k + 1]) }
    for d in shape.indices {
      let (size, overflow) = shape[d].addingReportingOverflow(pairs[d].before)
      let (total, overflow2) = size.addingReportingOverflow(pairs[d].after)
      try require(
        !overflow && !overflow2 && total >= 0,
        "The input size \(shape[d]), plus negative padding \(pairs[d].before) and \(pairs[d].after), resulted in a "
          + "negative output size, which is invalid. Check dimension \(d) of your input.")
    }
    if case .constant(let value) = mode { return try padded(pairs, value) }
    try require(
      (1...3).contains(padding.count / 2) && (rank == padding.count / 2 + 1 || rank == padding.count / 2 + 2),
      .notImplemented,
      "Padding size \(padding.count) is not supported for \(rank)D input tensor.\nSupported combinations for "
        + "non-constant padding:\n  - 2D or 3D input: padding size = 2 (pads last dimension)\n  - 3D or 4D input: "
        + "padding size = 4 (pads last 2 dimensions)\n  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)"
    )
    if case .circular = mode, padding.contains(where: { $0 < 0 }) {
      // What is cut off is cut off first: it does not come back on the other side.
      let cut = try padded(pairs.map { (Swift.min($0.before, 0), Swift.min($0.after, 0)) }, 0)
      return try cut.padded(padding.map { Swift.max($0, 0) }, mode)
    }
    for d in shape.indices where pairs[d] != (0, 0) {
      let n = shape[d]
      let (before, after) = pairs[d]
      switch mode {
      case .reflect:
        try require(
          before < n && after < n,
          "Argument #4: Padding size should be less than the corresponding input dimension, but got: padding "
            + "(\(before), \(after)) at dimension \(d) of input \(Shape.describe(shape))")
      case .circular:
        try require(before <= n && after <= n, "Padding value causes wrapping around more than once.")
      default: break
      }
      try require(
        n > 0, "Expected input to have non-zero size at dimension \(d), but got \(Shape.describe(shape))")
    }
    if pairs.allSatisfy({ $0 == (0, 0) }) { return try clone() }
    if dtype.isFloatingPoint, dtype.lane.dtype == dtype {
      // Numbers of two dimensions in one pass, in either memory order.
      let isBatch = rank == padding.count / 2 + 2
      let out = try (isBatch ? self : unsqueeze(0)).mapped(mode, isBatch ? pairs : [(0, 0)] + pairs)
      return isBatch ? out : try out.squeeze([0])
    }
    return try selected(mode, pairs)
  }

  /// For N, C, …
  private func mapped(_ mode: PaddingMode, _ pairs: [(before: Int, after: Int)]) throws -> Tensor {
    let maps = shape.indices.map { d -> SparseRows? in
      guard pairs[d] != (0, 0) else { return nil }
      var rows = SparseRows(inputSize: shape[d])
      for i in 0..<shape[d] + pairs[d].before + pairs[d].after {
        rows.append([(mode.source(of: i - pairs[d].before, shape[d]), 1)])
      }
      return rows
    }
    return try mapped(maps, name: mode.operation(dimensions: rank - 2))
  }

  /// For elements of any type.
  private func selected(_ mode: PaddingMode, _ pairs: [(before: Int, after: Int)]) throws -> Tensor {
    // What selects planes makes row-major tensors: channels that vary fastest are to stay so.
    let channelsLast = rank >= 4 && Shape.suggestsChannelsLast(shape, strides)
    var result = channelsLast ? try movedim([1], [-1]) : self
    for d in shape.indices where pairs[d] != (0, 0) {
      let n = shape[d]
      let index = try Tensor(empty: [n + pairs[d].before + pairs[d].after], dtype: .int64)
      let out = try index.mutablePointer().assumingMemoryBound(to: Int64.self)
      for i in 0..<index.count { out[i] = Int64(mode.source(of: i - pairs[d].before, n)) }
      result = try result.indexSelect(channelsLast ? (d == 1 ? rank : d) - 1 : d, index)
    }
    if !channelsLast { return result }
    // A tensor of its own, no view.
    return try noGrad { try result.movedim([-1], [1]) }.recorded("Pad", result) { [try $0.grad.movedim([1], [-1])] }
  }

  private func padded(_ pairs: [(before: Int, after: Int)], _ value: Scalar) throws -> Tensor {
    var inside = try alias()
    let outShape = shape.indices.map { shape[$0] + pairs[$0].before + pairs[$0].after }
    let out = try Tensor(
      empty: outShape, dtype: dtype,
      strides: Shape.suggestsChannelsLast(shape, strides) ? Shape.channelsLastStrides(outShape) : nil)
    try out.fillUnrecorded(value)
    var target = try out.alias()
    try noGrad {
      for d in shape.indices {
        // Where both sides overlap after cutting, nothing is left to copy.
        let cutFront = Swift.min(Swift.max(0, -pairs[d].before), shape[d])
        let length = Swift.max(0, shape[d] - cutFront - Swift.max(0, -pairs[d].after))
        inside = try inside.narrow(d, cutFront, length)
        target = try target.narrow(d, length == 0 ? 0 : Swift.max(0, pairs[d].before), length)
      }
      try copyElements(from: inside, to: target)
    }
    return try out.recorded("ConstantPadNd", self) {
      [try $0.grad.padded(pairs.map { (-$0.before, -$0.after) }, 0)]
    }
  }
}

extension PaddingMode {
  /// PyTorch's name for it in a graph.
  fileprivate func operation(dimensions: Int) -> String {
    switch self {
    case .reflect: "ReflectionPad\(dimensions)D"
    case .replicate: "ReplicationPad\(dimensions)D"
    default: "Pad"
    }
  }

  /// The position of a tensor of n elements that stands at position i, which may lie outside.
  fileprivate func source(of i: Int, _ n: Int) -> Int {
    switch self {
    case .reflect: i < 0 ? -i : (i >= n ? 2 * (n - 1) - i : i)
    case .circular: i < 0 ? i + n : (i >= n ? i - n : i)
    default: Swift.max(0, Swift.min(i, n - 1))
    }
  }
}
