import KernelTypes

/// The weight gradient of a convolution with one tap as a product of matrices; false where it is not one. A product packs
/// its operands, where a tile of `rowConvolutionWeightGradient` would read places whose channels lie a power of two apart,
/// in the same few lines of the first-level cache. With tiles of twelve rows, which need half as many reads, that is left to
/// the largest numbers of channels.
func pointwiseWeightGradient(
  _ type: DType, _ shape: ConvolutionShape, input: UnsafeRawPointer, inputStrides: [Int],
  gradOutput: UnsafeRawPointer, gradOutputStrides: [Int], gradWeight: UnsafeMutableRawPointer,
  gradBias: UnsafeMutableRawPointer?, table: KernelTable
) throws -> Bool {
  let one = Extents(1, 1, 1)
  let kernels = table.gemm.f32
  let isDeep =
    kernels.rows <= 6 && shape.inChannels >= 128 && shape.outChannels >= 16
    && shape.outputPixels >= max(2048, 8 * max(shape.inChannels, shape.outChannels))
  let isStrided = shape.stride != one
  guard type == .float32, shape.groups == 1, isDeep || (shape.inChannels >= 2048 && !isStrided), shape.kernel == one,
    shape.padding == Extents(0, 0, 0)
  else { return false }
  // With a stride, the places that are read are copied.
  var strides = inputStrides
  strides[2] *= shape.stride.depth
  strides[3] *= shape.stride.height
  strides[4] *= shape.stride.width
  let source = try ChannelsLast(
    input, type: type, kernels: kernels, batch: shape.batch, channels: shape.inChannels, extents: shape.output,
    strides: strides, slack: isStrided)
  let gradient = try ChannelsLast(
    gradOutput, type: type, kernels: kernels, batch: shape.batch, channels: shape.outChannels,
    extents: shape.output, strides: gradOutputStrides, slack: false)
  guard let sourceStep = source.placeStride(shape.batch, shape.output),
    let gradientStep = gradient.placeStride(shape.batch, shape.output)
  else { return false }
  try gemm(
    type, m: shape.outChannels, n: shape.inChannels, k: shape.outputPixels, alpha: 1, a: gradient.pointer,
    aRowStride: 1,
    aColumnStride: gradientStep, b: source.pointer, bRowStride: sourceStep, bColumnStride: 1, beta: 0, c: gradWeight,
    cRowStride: shape.inChannels, using: table)
  if let gradBias {
    try sumChannels(gradient, shape, kernels: kernels, to: gradBias.assumingMemoryBound(to: Float.self))
  }
  return true
}

/// The weight gradient: for each tap, sources transposed times gradients, summed over the output places.
///
/// Tasks are pairs of a part of the places and a few panels of output channels, whose sums stay in the second-level
/// cache. A task walks its places in blocks that stay in the cache and adds to sums of its own; at the end the parts are
/// added in their order. The cut depends on the shape alone. Where there is one part, a task's sums are the result: they
/// live in its thread's scratch memory and go from there into the gradient.
func rowConvolutionWeightGradient(
  _ type: DType, _ shape: ConvolutionShape, input: UnsafeRawPointer, inputStrides: [Int],
  gradOutput: UnsafeRawPointer, gradOutputStrides: [Int], gradWeight: UnsafeMutableRawPointer,
  gradBias: UnsafeMutableRawPointer?, kernels: ProductKernels
) throws {
  let size = type.size
  let merged = shape.mergedGroups(lanes: kernels.columns / 2)
  let groups = shape.groups / merged
  let channels = shape.groupInChannels * merged
  let taps = shape.kernel.count
  let run = channels
  // Tiles read quads: up to three numbers behind a stretch.
  let paddedRun = (run + 3) / 4 * 4
  let source = try ChannelsLast(
    input, type: type, kernels: kernels, batch: shape.batch, channels: shape.inChannels, extents: shape.input,
    strides: inputStrides, slack: paddedRun != run)
  let gradient = try ChannelsLast(
    gradOutput, type: type, kernels: kernels, batch: shape.batch, channels: shape.outChannels,
    extents: shape.output, strides: gradOutputStrides, slack: false)
  let axes = shape.forwardAxes(
    sourceStrides: Array(source.strides[1...]), outputStrides: Array(gradient.strides[1...]),
    mergedWidth: false)
  let pass = ConvolutionPass(batch: shape.batch, axes: axes, elementSize: size, tapUnit: 1)
  let zeroCount = max(paddedRun, shape.inChannels) + 4
  let zeros = try Scratch(bytes: zeroCount * size)
  memset(zeros.pointer, 0, zeroCount * size)

  let columns = kernels.columns
  let groupColumns = shape.groupOutChannels * merged
  let panels = (groupColumns + columns - 1) / columns
  let panelSize = taps * paddedRun * columns
  let geometry = pass.geometry(
    source: source.pointer, zeros: UnsafeRawPointer(zeros.pointer), batch: shape.batch,
    batchStride: source.strides[0] * size, outputBatchStride: gradient.strides[0])
  // So few that the lines which a tile reads of its sources stay in the first-level cache for the next tile.
  let mostRows = kernels.rows <= 6 ? 128 : 256
  var blockRows = max(64, min(mostRows, (1 << 19) / max(1, shape.inChannels * size)))
  blockRows = max(16, min(blockRows, (1 << 14) / taps))
  if geometry.imagesInnermost { blockRows = min(blockRows, shape.batch) }
  let blocks = (pass.rows + blockRows - 1) / blockRows
  // Several panels in a task share the addresses and the input's cache lines.
  let panelsPerTask = max(1, min(panels, (1 << 18) / max(1, panelSize * size)))
  let columnTasks = (panels + panelsPerTask - 1) / panelsPerTask
  // Up to 16 parts, less where the sums of a part are large or there are enough tasks anyway.
  let wanted = min(
    (16 + groups * columnTasks - 1) / (groups * columnTasks), (1 << 25) / max(1, groups * panels * panelSize * size))
  let parts = max(1, min(16, wanted, blocks))
  let blocksPerPart = (blocks + parts - 1) / parts
  let partSize = groups * panels * panelSize
  let partial = try Scratch(bytes: parts == 1 ? 0 : parts * partSize * size)
  let biasPartial = gradBias == nil ? nil : try Scratch(bytes: parts * groups * panels * columns * 8)
  let tableBytes = (taps * (blockRows + 1)) * 8
  let filter = shape.groupInChannels * taps
  let layout = FilterLayout(
    columns: groupColumns, columnStride: filter, run: channels, runStride: taps, taps: taps, tapStride: 1,
    merged: merged, groupStride: shape.groupOutChannels * filter)
  func unpack(_ sums: UnsafeRawPointer, _ group: Int, _ panel: Int) {
    kernels.unpackFilters(
      layout, sums, panel, 1, paddedRun, gradWeight + group * merged * shape.groupOutChannels * filter * size)
  }
  let ownSums = parts == 1 ? panelsPerTask * panelSize * size : 0
  let rowBytes = (blockRows * columns * size + 63) / 64 * 64
  let slots = try ScratchSlots(bytes: tableBytes + 64 + rowBytes + ownSums)

  parallelFor(parts * groups * columnTasks, grain: 1) { first, last in
    slots.with { scratch in
      let tapList = scratch.assumingMemoryBound(to: Int.self)
      let addresses = tapList + taps
      let panelRows = scratch + (tableBytes + 63) / 64 * 64
      for task in first..<last {
        let part = task / (groups * columnTasks), group = task / columnTasks % groups
        let firstPanel = task % columnTasks * panelsPerTask, lastPanel = min(panels, firstPanel + panelsPerTask)
        let number = (part * groups + group) * panels
        let results =
          parts == 1
          ? panelRows + rowBytes
          : partial.pointer + (part * partSize + (group * panels + firstPanel) * panelSize) * size
        memset(results, 0, (lastPanel - firstPanel) * panelSize * size)
        let sums = biasPartial.map { $0.of(Double.self) + number * columns }
        if let sums {
          (sums + firstPanel * columns).update(repeating: 0, count: (lastPanel - firstPanel) * columns)
        }
        var place = geometry
        place.source += group * channels * size
        for block in part * blocksPerPart..<max(part * blocksPerPart, min(blocks, (part + 1) * blocksPerPart)) {
          let row = block * blockRows
          let rows = min(blockRows, pass.rows - row)
          let active = kernels.gatherSources(&place, row, rows, tapList, addresses)
          for panel in firstPanel..<lastPanel {
            let firstColumn = group * groupColumns + panel * columns
            let width = min(columns, groupColumns - panel * columns)
            kernels.packGradient(&place, row, rows, gradient.pointer + firstColumn * size, width, panelRows)
            if let sums { kernels.addColumns(panelRows, rows, columns, sums + panel * columns) }
            var arguments = GradientArguments(
              sources: addresses, rows: rows, taps: tapList, activeTaps: active, run: paddedRun,
              gradient: panelRows, narrow: 2 * width <= columns,
              result: results + (panel - firstPanel) * panelSize * size)
            kernels.gradientBlock(&arguments)
          }
        }
        if parts == 1 {
          for panel in firstPanel..<lastPanel {
            unpack(results + (panel - firstPanel) * panelSize * size, group, panel)
          }
        }
      }
    }
  }

  func addParts<T: BinaryFloatingPoint>(_: T.Type) {
    let sums = partial.of(T.self)
    if parts > 1 {
      parallelFor(partSize, grain: 1 << 14) { first, last in
        for part in 1..<parts {
          let other = sums + part * partSize
          for i in first..<last { sums[i] += other[i] }
        }
      }
    }
    if let biasPartial, let gradBias {
      let values = biasPartial.of(Double.self)
      let bias = gradBias.assumingMemoryBound(to: T.self)
      for group in 0..<groups {
        for column in 0..<groupColumns {
          var sum = 0.0
          for part in 0..<parts {
            sum += values[((part * groups + group) * panels + column / columns) * columns + column % columns]
          }
          bias[group * groupColumns + column] = T(sum)
        }
      }
    }
  }
  if type == .float32 { addParts(Float.self) } else { addParts(Double.self) }

  if parts == 1 { return }
  parallelFor(groups * panels, grain: max(1, (1 << 14) / max(1, panelSize))) { first, last in
    for item in first..<last { unpack(partial.pointer + item * panelSize * size, item / panels, item % panels) }
  }
}
