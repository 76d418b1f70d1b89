/// Padding of a convolution.
public enum ConvolutionPadding: Sendable {
  /// Zeros on both sides, one number or one for each dimension.
  case explicit([Int])
  /// So many that the output has the input's size; an odd one is put behind. Needs stride 1.
  case same
  /// None.
  case valid
}

/// The taps of a weight that see more than padding, where others see nothing else. Forward gathers them for backward as
/// well: they lie so far apart that to read them is to read the whole weight.
private struct SeenTaps {
  /// The convolution with these taps only.
  let shape: ConvolutionShape
  let weight: Tensor

  /// nil if all taps see something.
  init?(_ whole: ConvolutionShape, _ weight: Tensor) throws {
    guard weight.count > 0, whole.outputPixels > 0, let part = whole.kernelPart else { return nil }
    shape = part.shape
    self.weight = try noGrad {
      // Of a weight that is still to be converted, the taps alone are.
      let taken = TakenRecipe(weight.memory)
      let source = taken.flatMap { weight.unconverted($0.recipe) } ?? weight
      if let kept = PreparedFilters.takeTaps(part.form, of: source) { return try kept.to(weight.dtype) }
      let filter = try source.contiguous()
      let taps = try Tensor(empty: [part.shape.weightCount], dtype: source.dtype)
      part.gather(try filter.pointer(), of: whole, size: source.dtype.size, into: try taps.mutablePointer())
      withExtendedLifetime((filter, taken)) {}
      return try taps.to(weight.dtype)
    }
  }
}

/// Convolutions, in the sense of deep learning (cross-correlations), and their gradients. The three recorded operations
/// are each other's derivatives, so any order of derivative works. Results are channels-last in memory.
extension Tensor {
  /// Convolution of N, C, … or C, … with a weight (out, in / groups, …); the number of spatial dimensions is the
  /// weight's. PyTorch: `torch.nn.functional.conv1d`, `conv2d`, `conv3d`.
  public func convolution(
    _ weight: Tensor, _ bias: Tensor? = nil, stride: [Int] = [1], padding: ConvolutionPadding = .explicit([0]),
    dilation: [Int] = [1], groups: Int = 1
  ) throws -> Tensor {
    let converted = try autocast(.lower, [self, weight, bias]) {
      try $0[0].convolution(
        $0[1], $0[optional: 2], stride: stride, padding: padding, dilation: dilation, groups: groups)
    }
    if let converted { return converted }
    let dimensions = weight.rank - 2
    let name = "conv\(dimensions)d"
    try require(
      dimensions >= 1 && dimensions <= 3,
      "weight should have at least three dimensions and at most five, but got weight of size: "
        + Shape.describe(weight.shape))
    try require(
      rank == dimensions + 1 || rank == dimensions + 2,
      "Expected \(dimensions + 1)D (unbatched) or \(dimensions + 2)D (batched) input to \(name), but got input of size: "
        + Shape.describe(shape))
    if rank == dimensions + 1 {
      return try unsqueeze(0).convolution(
        weight, bias, stride: stride, padding: padding, dilation: dilation, groups: groups
      ).squeeze([0])
    }
    var options = ConvolutionOptions(
      stride: try spatialList(stride, dimensions, "stride"), padding: [Int](repeating: 0, count: dimensions),
      dilation: try spatialList(dilation, dimensions, "dilation"), groups: groups)
    let kernel = Array(weight.shape.dropFirst(2))
    var total = options.padding
    switch padding {
    case .valid: break
    case .explicit(let sizes):
      options.padding = try spatialList(sizes, dimensions, "padding")
      try options.check(name)
      total = options.padding.map { 2 * $0 }
    case .same:
      try require(
        options.stride.allSatisfy { $0 == 1 }, "padding='same' is not supported for strided convolutions")
      try options.check(name)
      total = kernel.indices.map { options.span(kernel[$0], $0) - 1 }
      options.padding = total.map { $0 / 2 }
    }
    try options.check(name)
    try Tensor.checkConvolution(self, weight, bias, options, transposed: false)
    var output = [shape[0], weight.shape[0]]
    var isTooLarge = false
    for d in 0..<dimensions {
      let room = shape[d + 2] + total[d] - options.span(kernel[d], d)
      isTooLarge = isTooLarge || room < 0
      output.append(max(room, 0) / options.stride[d] + 1)
    }
    if isTooLarge {
      func sizes(_ value: (Int) -> Int) -> String { (0..<dimensions).map { "\(value($0))" }.joined(separator: " x ") }
      throw SwiftNetError.runtime(
        "Calculated padded input size per channel: (\(sizes { shape[$0 + 2] + total[$0] })). Kernel size: "
          + "(\(sizes { options.span(kernel[$0], $0) })). Kernel size can't be greater than actual input size")
    }
    return try convolved(weight, bias, options, output)
  }

  static func checkConvolution(
    _ input: Tensor, _ weight: Tensor, _ bias: Tensor?, _ options: ConvolutionOptions, transposed: Bool
  ) throws {
    let (w, groups) = (weight.shape, options.groups)
    try require(
      !w.contains(0) || w[0] == 0 && !w.dropFirst().contains(0),
      "kernel size should be greater than zero, but got weight of size \(Shape.describe(w))")
    try require(
      w.dropFirst(2).allSatisfy { $0 < ConvolutionOptions.limit } && input.shape.allSatisfy { $0 < 1 << 40 },
      "convolution: sizes \(Shape.describe(w)) and \(Shape.describe(input.shape)) are too large")
    try require(
      w[0] >= groups,
      "Given groups=\(groups), expected weight to be at least \(groups) at dimension 0, but got weight of size "
        + "\(Shape.describe(w)) instead")
    try require(
      w[0] % groups == 0,
      "Given groups=\(groups), expected weight to be divisible by \(groups) at dimension 0, but got weight of size "
        + "\(Shape.describe(w)) instead")
    let expected = transposed ? w[0] : w[1] * groups
    try require(
      input.shape[1] == expected,
      "Given \(transposed ? "transposed=1" : "groups=\(groups)"), weight of size \(Shape.describe(w)), expected input"
        + "\(Shape.describe(input.shape)) to have \(expected) channels, but got \(input.shape[1]) channels instead")
    let outputs = transposed ? w[1] * groups : w[0]
    if let bias {
      try require(
        bias.shape == [outputs],
        "Given \(transposed ? "transposed=1, " : "")weight of size \(Shape.describe(w)), expected bias to be "
          + "1-dimensional with \(outputs) elements, but got bias of size \(Shape.describe(bias.shape)) instead")
    }
    for other in [weight, bias].compactMap({ $0 }) where other.dtype != input.dtype {
      throw SwiftNetError.runtime(
        "Input type (\(input.dtype.cTypeName)) and \(other === weight ? "weight" : "bias") type "
          + "(\(other.dtype.cTypeName)) should be the same")
    }
    try require(
      input.dtype.isFloatingPoint, .notImplemented,
      "\"convolution\" not implemented for '\(input.dtype.scalarTypeName)'")
  }

  /// The recorded convolution; all arguments are checked.
  func convolved(
    _ weight: Tensor, _ bias: Tensor?, _ options: ConvolutionOptions, _ output: [Int]
  ) throws -> Tensor {
    let shape = ConvolutionShape(input: self.shape, weight: weight.shape, output: output, options)
    let waiting = try pendingConvolution(shape, weight, bias, output)
    if let waiting, !ThreadState.current.isGradEnabled { return waiting }
    let out = try waiting ?? Tensor(empty: output, dtype: dtype, strides: Shape.channelsLastStrides(output))
    // The input matters to nothing but the gradient of the weight.
    let inputs = [self, weight] + (bias.map { [$0] } ?? [])
    var saved = try Tensor.save([weight] + (weight.requiresGrad ? [self] : []), forInputs: inputs)
    let taps = waiting == nil && saved != nil && requiresGrad ? try SeenTaps(shape, weight) : nil
    if ThreadState.current.isGradEnabled { PreparedFilters.drop(weight) }
    let tapsAt = taps == nil ? nil : saved?.count
    if let taps {
      saved?.append(try SavedTensor(taps.weight))
      let bias = try noGrad { try bias?.to(dtype.isNarrow ? .float32 : dtype).contiguous() }
      let (filter, epilogue) = (try taps.weight.pointer(), ConvolutionEpilogue(bias: try bias?.pointer()))
      if dtype.isNarrow {
        try narrowForward(taps.shape, filter, epilogue, try out.mutablePointer(), prepared: nil)
      } else {
        try convolutionForward(
          dtype, taps.shape, input: try pointer(), inputStrides: volumeStrides, weight: filter, epilogue: epilogue,
          output: try out.mutablePointer())
      }
      withExtendedLifetime(bias) {}
    } else if out.count > 0 && waiting == nil {
      let filter = try noGrad { try weight.contiguous() }
      let bias = try noGrad { try bias?.to(dtype.isNarrow ? .float32 : dtype).contiguous() }
      let prepared = ThreadState.current.isGradEnabled ? nil : PreparedFilters.of(weight)
      if dtype.isNarrow {
        try narrowForward(
          shape, try filter.pointer(), ConvolutionEpilogue(bias: try bias?.pointer()), try out.mutablePointer(),
          prepared: prepared)
      } else {
        try convolutionForward(
          dtype, shape, input: try pointer(), inputStrides: volumeStrides, weight: try filter.pointer(),
          epilogue: ConvolutionEpilogue(bias: try bias?.pointer()), output: try out.mutablePointer(),
          prepared: prepared)
      }
      withExtendedLifetime((filter, bias)) {}
    }
    let size = self.shape
    return try out.recorded("Convolution", inputs: inputs, saved: saved) { context in
      let (grad, w) = (try context.grad, try context.saved(0))
      let taps = context.createsGraph ? nil : try tapsAt.map { try context.saved($0) }
      let needsBias = context.node.edges.count > 2 && context.needs(2)
      var (dw, db): (Tensor?, Tensor?)
      if context.needs(1) {
        let isPlain = !context.createsGraph && !w.dtype.isNarrow
        if needsBias && isPlain { db = try Tensor(empty: [w.shape[0]], dtype: w.dtype) }
        let isLast = isPlain && !context.needs(0) && (!needsBias || db != nil)
        dw = try context.readingLast(1) { x in
          try x.convolutionWeightGradient(grad, options, w.shape, bias: db, isLast: isLast)
        }
      }
      if needsBias && db == nil { db = try grad.sumOverPlaces() }
      if context.needs(0), !context.createsGraph, context.node.edges[0]?.node.isCat == true,
        let dx = try grad.waitingDataGradient(w, options, size)
      {
        return [dx, dw, db]
      }
      return [context.needs(0) ? try grad.convolutionDataGradient(w, options, size, taps: taps) : nil, dw, db]
    }
  }

  /// Σ over all but dimension 1.
  func sumOverPlaces() throws -> Tensor { try sum(shape.indices.filter { $0 != 1 }) }

  /// The gradient of a convolution's input, of shape `input`, from that of its output (self); at the same time the
  /// transposed convolution. `taps` are those of `SeenTaps`, if forward gathered them.
  func convolutionDataGradient(
    _ weight: Tensor, _ options: ConvolutionOptions, _ input: [Int], taps: Tensor? = nil
  ) throws -> Tensor {
    let out = try Tensor(empty: input, dtype: dtype, strides: Shape.channelsLastStrides(input))
    if out.count > 0 {
      var sizes = ConvolutionShape(input: input, weight: weight.shape, output: shape, options)
      if taps != nil, let part = sizes.kernelPart { sizes = part.shape }
      let filter = try taps ?? noGrad { try weight.contiguous() }
      if dtype.isNarrow {
        try narrowDataGradient(sizes, try filter.pointer(), out)
      } else {
        try SwiftNet.convolutionDataGradient(
          dtype, sizes, gradOutput: try pointer(), gradOutputStrides: volumeStrides, weight: try filter.pointer(),
          gradInput: try out.mutablePointer())
      }
      withExtendedLifetime(filter) {}
    }
    return try out.recorded("Convolution", self, weight, saving: [self, weight]) { context in
      let (grad, y, w) = (try context.grad, try context.saved(0), try context.saved(1))
      return [
        context.needs(0) ? try grad.convolved(w, nil, options, y.shape) : nil,
        context.needs(1) ? try grad.convolutionWeightGradient(y, options, w.shape) : nil,
      ]
    }
  }

  /// The gradient of a convolution's weight, from its input (self) and the gradient of its output. `bias` receives that
  /// of the bias. `isLast`: nothing else reads the output's gradient after this.
  @inline(never)
  func convolutionWeightGradient(
    _ grad: Tensor, _ options: ConvolutionOptions, _ weight: [Int], bias: Tensor? = nil, isLast: Bool = false
  ) throws -> Tensor {
    let sizes = ConvolutionShape(input: shape, weight: weight, output: grad.shape, options)
    if count > 0, grad.count > 0, let waiting = try gradientOfSeenTaps(grad, sizes, weight, bias: bias) {
      return waiting
    }
    if count > 0, grad.count > 0,
      let waiting = try PendingWeightGradient.waiting(self, grad, .convolution(sizes), weight)
    {
      if let bias { try copyElements(from: grad.sumOverPlaces(), to: bias) }
      return waiting
    }
    let out = try Tensor(empty: weight, dtype: dtype)
    if count == 0 || grad.count == 0 {
      try out.fillUnrecorded(0)
      try bias?.fillUnrecorded(0)
    } else if out.count > 0 {
      try computeWeightGradient(grad, sizes, into: out, bias: bias, isLast: isLast)
    }
    return try out.recorded("ConvolutionWeight", self, grad, saving: [self, grad]) { context in
      let (dw, x, g) = (try context.grad, try context.saved(0), try context.saved(1))
      return [
        context.needs(0) ? try g.convolutionDataGradient(dw, options, x.shape) : nil,
        context.needs(1) ? try x.convolved(dw, nil, options, g.shape) : nil,
      ]
    }
  }

  /// The same into a row-major tensor, unrecorded; neither input nor gradient is empty.
  func computeWeightGradient(
    _ grad: Tensor, _ sizes: ConvolutionShape, into out: Tensor, bias: Tensor? = nil, isLast: Bool = false
  ) throws {
    if dtype.isNarrow { return try narrowWeightGradient(sizes, grad, out) }
    if isLast, try weightGradientByImages(grad, sizes, to: out, bias: bias) { return }
    try SwiftNet.convolutionWeightGradient(
      dtype, sizes, input: try pointer(), inputStrides: volumeStrides, gradOutput: try grad.pointer(),
      gradOutputStrides: grad.volumeStrides, gradWeight: try out.mutablePointer(),
      gradBias: try bias?.mutablePointer())
  }
}
