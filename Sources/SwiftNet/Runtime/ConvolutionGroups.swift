import KernelTypes

/// Convolutions of narrow groups, depthwise ones among them, whose kernels work line by line (`ConvGroups.swift`). Serves
/// the forward pass, the data gradient and the weight gradient.
struct GroupConvolution {
  let type: DType
  let kernels: ProductKernels
  let shape: ConvolutionShape
  /// Whether sources are the output's gradients and columns the input's channels.
  let gradient: Bool

  /// nil where the kernels do not apply.
  init?(_ type: DType, _ shape: ConvolutionShape, gradient: Bool = false, kernels: ProductKernels) {
    guard shape.hasNarrowGroups(kernels) else { return nil }
    (self.type, self.kernels, self.shape, self.gradient) = (type, kernels, shape, gradient)
  }

  private var channels: Int { shape.outChannels }
  /// Channels of a group.
  private var run: Int { shape.groupInChannels }
  private var lanes: Int { kernels.columns / 2 }
  private var vectors: Int { (channels + lanes - 1) / lanes }
  private var taps: Int { shape.kernel.count }
  /// Weights of one vector of columns: [number of the group][tap][lane].
  private var panelSize: Int { run * taps * lanes }

  /// The first channel of a vector: the last one ends with the last channel.
  private func firstChannel(_ vector: Int) -> Int { min(vector * lanes, channels - lanes) }

  private func pack(_ weight: UnsafeRawPointer, _ packed: UnsafeMutableRawPointer) {
    let size = type.size
    parallelFor(vectors, grain: max(1, (1 << 13) / panelSize)) { first, last in
      for vector in first..<last {
        let from = weight + firstChannel(vector) * run * taps * size, to = packed + vector * panelSize * size
        if !gradient || run == 1 {
          kernels.transpose(from, run * taps, lanes, run * taps, to, lanes)
          continue
        }
        // A group's filters lie [output][input][tap]; inputs are the lanes here.
        for group in stride(from: 0, to: lanes, by: run) {
          for index in 0..<run {
            kernels.transpose(
              from + (group + index) * run * taps * size, taps, run, taps, to + (index * taps * lanes + group) * size,
              lanes)
          }
        }
      }
    }
  }

  /// Tasks for so many lines of a pass: some ten thousand multiplications each.
  private func tasks(_ lines: Int) -> Int {
    let places = shape.batch * (gradient ? shape.input : shape.output).count
    return max(1, min(64, lines, places * vectors * taps * run / (1 << 14)))
  }

  private func lines(_ pass: ConvolutionPass, _ geometry: RowGeometry) -> Int {
    geometry.width.positions == 0 ? 0 : pass.rows / geometry.width.positions
  }

  /// Forward or data gradient.
  func run(
    source pointer: UnsafeRawPointer, strides: [Int], weight: UnsafeRawPointer, epilogue: ConvolutionEpilogue,
    output: UnsafeMutableRawPointer, prepared: PreparedFilters? = nil
  ) throws {
    let size = type.size
    let result = gradient ? shape.input : shape.output
    let source = try ChannelsLast(
      pointer, type: type, kernels: kernels, batch: shape.batch, channels: channels,
      extents: gradient ? shape.output : shape.input, strides: strides, slack: false)
    let outputStrides = channelsLastStrides(result, channels)
    let (from, to) = (Array(source.strides[1...]), Array(outputStrides[1...]))
    let axes =
      gradient
      ? shape.dataGradientAxes(sourceStrides: from, outputStrides: to)
      : [shape.forwardAxes(sourceStrides: from, outputStrides: to, mergedWidth: false)]
    let passes = axes.map {
      ConvolutionPass(batch: shape.batch, axes: $0, elementSize: size, tapUnit: lanes)
    }
    let form = PreparedFilters.Form(.groups, [gradient ? 1 : 0, shape.groups, run, taps, lanes, size])
    let packed = try PreparedFilters.get(prepared, form, bytes: vectors * panelSize * size) {
      pack(weight, $0)
    }
    let zeros = try Scratch(bytes: lanes * size)
    memset(zeros.pointer, 0, lanes * size)
    let geometries = passes.map {
      var geometry = $0.geometry(
        source: source.pointer, zeros: UnsafeRawPointer(zeros.pointer), batch: shape.batch,
        batchStride: source.strides[0] * size, outputBatchStride: outputStrides[0])
      geometry.imagesInnermost = false
      return geometry
    }
    let tasks = tasks(shape.batch * result.depth * result.height)
    let words = groupLineWords(taps: taps, along: shape.kernel.width, positions: result.width)
    let slots = try ScratchSlots(bytes: words * 8 + result.width * kernels.columns * size)
    let step = source.strides[3] * (gradient ? 1 : shape.stride.width)
    parallelFor(tasks, grain: 1) { first, last in
      slots.with { room in
        for task in first..<last {
          var arguments = ConvolveArguments(
            tables: room.assumingMemoryBound(to: Int.self), tableWords: words, tiles: 0, lastRows: 0, run: run,
            weights: packed.pointer, panelStride: panelSize, firstColumn: 0, columns: channels, output: output,
            bias: epilogue.bias, scale: epilogue.scale, shift: epilogue.shift, residual: epilogue.residual,
            relu: epilogue.relu)
          // A part of every pass, so that those of a data gradient with a stride meet the same lines in the cache.
          for (pass, geometry) in zip(passes, geometries) {
            let lines = lines(pass, geometry)
            let start = lines * task / tasks, end = lines * (task + 1) / tasks
            var geometry = geometry
            kernels.convolveGroupLines(&geometry, start, end - start, step, &arguments)
          }
        }
      }
    }
    withExtendedLifetime(passes) {}
  }

  /// Brings the sums of one vector, [distance][tap][lane of the input], which belong to the output `distance` lanes further
  /// on in the group, into the order [number in the group][tap][lane of the output].
  private func turnBack<T>(_ sums: UnsafeMutablePointer<T>) {
    let turned = Array(UnsafeBufferPointer(start: sums, count: panelSize))
    for index in 0..<run {
      for lane in 0..<lanes {
        let (distance, source) = ((lane - index) & (run - 1), (lane & -run) + index)
        for tap in 0..<taps {
          sums[(index * taps + tap) * lanes + lane] = turned[(distance * taps + tap) * lanes + source]
        }
      }
    }
  }

  /// Weight gradient: tasks sum parts of the lines, the parts are added in order.
  func weightGradient(
    input: UnsafeRawPointer, inputStrides: [Int], gradOutput: UnsafeRawPointer, gradOutputStrides: [Int],
    gradWeight: UnsafeMutableRawPointer, gradBias: UnsafeMutableRawPointer?
  ) throws {
    let size = type.size
    let source = try ChannelsLast(
      input, type: type, kernels: kernels, batch: shape.batch, channels: channels, extents: shape.input,
      strides: inputStrides, slack: false)
    let gradient = try ChannelsLast(
      gradOutput, type: type, kernels: kernels, batch: shape.batch, channels: channels, extents: shape.output,
      strides: gradOutputStrides, slack: false)
    let axes = shape.forwardAxes(
      sourceStrides: Array(source.strides[1...]), outputStrides: Array(gradient.strides[1...]), mergedWidth: false)
    let pass = ConvolutionPass(batch: shape.batch, axes: axes, elementSize: size, tapUnit: lanes)
    let zeros = try Scratch(bytes: lanes * size)
    memset(zeros.pointer, 0, lanes * size)
    var geometry = pass.geometry(
      source: source.pointer, zeros: UnsafeRawPointer(zeros.pointer), batch: shape.batch,
      batchStride: source.strides[0] * size, outputBatchStride: gradient.strides[0])
    geometry.imagesInnermost = false
    let lines = lines(pass, geometry)
    let parts = min(32, tasks(lines))
    let partSize = vectors * panelSize
    let partial = try Scratch(bytes: parts * partSize * size)
    let biasPartial = gradBias == nil ? nil : try Scratch(bytes: parts * channels * 8)
    let slots = try ScratchSlots(bytes: groupLineWords(taps: taps, along: shape.kernel.width, positions: 0) * 8)
    let place = geometry
    parallelFor(parts, grain: 1) { first, last in
      slots.with { room in
        for part in first..<last {
          let result = partial.pointer + part * partSize * size
          memset(result, 0, partSize * size)
          let sums = biasPartial.map { $0.of(Double.self) + part * channels }
          sums?.update(repeating: 0, count: channels)
          let start = lines * part / parts, end = lines * (part + 1) / parts
          var geometry = place
          var arguments = LineGradientArguments(
            firstLine: start, lines: end - start, step: source.strides[3] * shape.stride.width, run: run,
            gradient: gradient.pointer, gradientStep: gradient.strides[3], columns: channels, result: result,
            sums: sums, room: room)
          kernels.gradientGroupLines(&geometry, &arguments)
        }
      }
    }
    withExtendedLifetime(pass) {}
    func finish<T: BinaryFloatingPoint>(_: T.Type) {
      let values = partial.of(T.self), weight = gradWeight.assumingMemoryBound(to: T.self)
      parallelFor(vectors, grain: max(1, (1 << 15) / (panelSize * parts))) { first, last in
        for vector in first..<last {
          let total = values + vector * panelSize
          addParts(total, count: panelSize, parts: parts, stride: partSize)
          if run > 1 { turnBack(total) }
          kernels.transpose(total, lanes, run * taps, lanes, weight + firstChannel(vector) * run * taps, run * taps)
        }
      }
      guard let biasPartial, let gradBias else { return }
      for channel in 0..<channels {
        var sum = 0.0
        for part in 0..<parts { sum += biasPartial.of(Double.self)[part * channels + channel] }
        gradBias.assumingMemoryBound(to: T.self)[channel] = T(sum)
      }
    }
    if type == .float32 { finish(Float.self) } else { finish(Double.self) }
  }
}
