import KernelTypes

/// The most channels for which a whole row of taps is treated as one stretch of numbers.
private let mergedWidthChannels = 8

extension ConvolutionShape {
  /// Whether a row of taps is treated as one stretch: a few channels make too short a stretch by themselves.
  var mergesWidth: Bool {
    groups == 1 && inChannels > 0 && inChannels <= mergedWidthChannels && dilation.width == 1
      && kernel.width > 1
  }

  /// Width of the input's rows with their padding, as far as any tap reaches.
  var paddedWidth: Int { (output.width - 1) * stride.width + kernel.width }
}

/// Forward convolution of an input with a few channels, line by line (see `ConvolveLinesKernel`).
/// - Parameter pairs: whether `type` is bfloat16 and the kernels are those of its pairs: a number of a stretch is then a
///   pair of channels, of which a zero is the last one where their number is odd.
func lineConvolutionForward(
  _ type: DType, _ shape: ConvolutionShape, input: UnsafeRawPointer, inputStrides: [Int],
  weight: UnsafeRawPointer, epilogue: ConvolutionEpilogue, output: UnsafeMutableRawPointer,
  prepared: PreparedFilters? = nil, kernels: ProductKernels, pairs: Bool = false
) throws {
  // Of an element of a stretch.
  let size = pairs ? 2 * type.size : type.size
  let channels = pairs ? (shape.inChannels + 1) / 2 : shape.inChannels
  let source =
    pairs
    ? try ChannelsLast(
      rowsOfPairs: input, kernels: kernels, batch: shape.batch, channels: shape.inChannels, extents: shape.input,
      strides: inputStrides, paddedWidth: shape.paddedWidth, paddingBefore: shape.padding.width)
    : try ChannelsLast(
      input, type: type, kernels: kernels, batch: shape.batch, channels: shape.inChannels, extents: shape.input,
      strides: inputStrides, slack: false, paddedWidth: shape.paddedWidth, paddingBefore: shape.padding.width)
  let columns = shape.outChannels
  let run = channels * shape.kernel.width
  let outputStrides = channelsLastStrides(shape.output, columns)
  let axes = shape.forwardAxes(
    sourceStrides: Array(source.strides[1...]), outputStrides: Array(outputStrides[1...]), mergedWidth: true)
  let taps = shape.kernel.count
  let pass = ConvolutionPass(
    batch: shape.batch, axes: axes, elementSize: size, tapUnit: channels * kernels.columns)
  let layout = FilterLayout(
    columns: columns, columnStride: shape.inChannels * taps, run: shape.inChannels, runStride: taps,
    taps: taps,
    tapStride: 1, merged: 1, groupStride: 0)
  let panels = (columns + kernels.columns - 1) / kernels.columns
  let panelStride = taps * channels * kernels.columns
  let packed = try PreparedFilters.get(
    prepared, PreparedFilters.Form(.lines, [kernels.columns, size] + layout.form), bytes: panels * panelStride * size
  ) { kernels.packFilters(layout, weight, 0, panels, $0) }

  let lines = shape.batch * shape.output.depth * shape.output.height
  let linesPerChunk = max(
    1, min((lines + 31) / 32, (1 << 20) / (shape.output.width * run * pass.taps * columns) + 1))
  let chunks = (lines + linesPerChunk - 1) / linesPerChunk
  let slots = try ScratchSlots(bytes: (2 * pass.taps + shape.output.width + kernels.rows) * 8)
  parallelFor(chunks, grain: 1) { first, last in
    slots.with { scratch in
      for chunk in first..<last {
        // Lines in the padding are left out, so no zeros are read.
        var geometry = pass.geometry(
          source: source.pointer, zeros: source.pointer, batch: shape.batch,
          batchStride: source.strides[0] * size, outputBatchStride: outputStrides[0])
        geometry.imagesInnermost = false
        var arguments = ConvolveArguments(
          tables: UnsafePointer(scratch.assumingMemoryBound(to: Int.self)), tableWords: 0, tiles: 0,
          lastRows: 0,
          run: run, weights: packed.pointer, panelStride: panelStride, firstColumn: 0, columns: columns,
          output: output, bias: epilogue.bias, scale: epilogue.scale, shift: epilogue.shift,
          residual: epilogue.residual, relu: epilogue.relu)
        let start = chunk * linesPerChunk
        kernels.convolveLines(
          &geometry, start, min(linesPerChunk, lines - start), shape.stride.width * channels, &arguments)
      }
    }
  }
}

/// The weight gradient of a convolution of an input with a few channels, line by line.
/// - Parameter pairs: of bfloat16, the kernels of its pairs: terms are then pairs of neighbouring places, whose number in a
///   line must be even. The gradient of the weight is float32, as `kernels` are, and that of a bias left to others.
func lineConvolutionWeightGradient(
  _ type: DType, _ shape: ConvolutionShape, input: UnsafeRawPointer, inputStrides: [Int],
  gradOutput: UnsafeRawPointer, gradOutputStrides: [Int], gradWeight: UnsafeMutableRawPointer,
  gradBias: UnsafeMutableRawPointer?, kernels: ProductKernels, pairs: ProductKernels? = nil
) throws {
  // Of an element of a stretch, and of the sums.
  let size = pairs == nil ? type.size : 2 * type.size
  let step = shape.stride.width * shape.inChannels
  let source: ChannelsLast, gradient: ChannelsLast
  if let pairs {
    source = try ChannelsLast(
      pairsOfPlaces: input, step, kernels: pairs, batch: shape.batch, channels: shape.inChannels,
      extents: shape.input, strides: inputStrides, paddedWidth: shape.paddedWidth, paddingBefore: shape.padding.width)
    gradient = try ChannelsLast(
      pairsOf: gradOutput, kernels: pairs, batch: shape.batch, channels: shape.outChannels, groups: 1,
      extents: shape.output, strides: gradOutputStrides)
  } else {
    source = try ChannelsLast(
      input, type: type, kernels: kernels, batch: shape.batch, channels: shape.inChannels, extents: shape.input,
      strides: inputStrides, slack: false, paddedWidth: shape.paddedWidth, paddingBefore: shape.padding.width)
    gradient = try ChannelsLast(
      gradOutput, type: type, kernels: kernels, batch: shape.batch, channels: shape.outChannels,
      extents: shape.output, strides: gradOutputStrides, slack: false)
  }
  let positions = pairs == nil ? shape.output.width : shape.output.width / 2
  var axes = shape.forwardAxes(
    sourceStrides: Array(source.strides[1...]), outputStrides: Array(gradient.strides[1...]),
    mergedWidth: true)
  // Lines are walked from end to end: of this axis only the number of positions counts.
  axes[2] = ConvolutionPass.Axis(
    positions: positions, taps: 1, sources: Array(axes[2].sources.prefix(positions)),
    outputs: Array(axes[2].outputs.prefix(positions)), tapNumbers: [0])
  let pass = ConvolutionPass(batch: shape.batch, axes: axes, elementSize: size, tapUnit: 0)
  let run = shape.inChannels * shape.kernel.width
  let zeroBytes = shape.paddedWidth * shape.inChannels * size
  let zeros = try Scratch(bytes: zeroBytes)
  memset(zeros.pointer, 0, zeroBytes)
  var geometry = pass.geometry(
    source: source.pointer, zeros: UnsafeRawPointer(zeros.pointer), batch: shape.batch,
    batchStride: source.strides[0] * size, outputBatchStride: gradient.strides[0])
  geometry.imagesInnermost = false

  let width = kernels.columns
  let columns = shape.outChannels
  let panels = (columns + width - 1) / width
  let rows = (pass.taps * run + kernels.rows - 1) / kernels.rows * kernels.rows
  let panelSize = rows * width
  let lines = shape.batch * shape.output.depth * shape.output.height
  let parts = max(1, min(lines, 32))
  let linesPerPart = (lines + parts - 1) / parts
  let usedParts = (lines + linesPerPart - 1) / linesPerPart
  let partial = try Scratch(bytes: usedParts * panels * panelSize * size)
  let biasPartial = gradBias == nil ? nil : try Scratch(bytes: usedParts * panels * width * 8)
  let slots = try ScratchSlots(bytes: (pass.taps + kernels.rows) * 8 + 64 + positions * width * size)
  parallelFor(usedParts * panels, grain: 1) { first, last in
    slots.with { scratch in
      for task in first..<last {
        let part = task / panels, panel = task % panels
        let result = partial.pointer + task * panelSize * size
        memset(result, 0, panelSize * size)
        let sums = biasPartial.map { $0.of(Double.self) + task * width }
        sums?.update(repeating: 0, count: width)
        var place = geometry
        var arguments = LineGradientArguments(
          firstLine: part * linesPerPart, lines: min(linesPerPart, lines - part * linesPerPart),
          step: pairs == nil ? step : 2 * step, run: run,
          gradient: gradient.pointer + panel * width * type.size,
          gradientStep: gradient.strides[3], columns: min(width, columns - panel * width), result: result,
          sums: sums, room: scratch)
        (pairs ?? kernels).gradientLines(&place, &arguments)
      }
    }
  }
  func addAll<T: BinaryFloatingPoint>(_: T.Type) {
    addParts(partial.of(T.self), count: panels * panelSize, parts: usedParts, stride: panels * panelSize)
    if let biasPartial, let gradBias {
      let values = biasPartial.of(Double.self)
      for column in 0..<columns {
        var sum = 0.0
        for part in 0..<usedParts { sum += values[part * panels * width + column] }
        gradBias.assumingMemoryBound(to: T.self)[column] = T(sum)
      }
    }
  }
  if type == .float64 { addAll(Double.self) } else { addAll(Float.self) }
  let layout = FilterLayout(
    columns: columns, columnStride: shape.inChannels * shape.kernel.count, run: shape.inChannels,
    runStride: shape.kernel.count, taps: shape.kernel.count, tapStride: 1, merged: 1, groupStride: 0)
  for panel in 0..<panels {
    kernels.unpackFilters(
      layout, partial.pointer + panel * panelSize * size, panel, shape.kernel.width, run, gradWeight)
  }
}
