import KernelTypes

/// The weight gradient of a convolution of bfloat16 in pairs; arguments as `convolutionWeightGradient`. Sums run over
/// the output places, so a pair is one channel at two places: patches and gradients are packed so, block by block.
func pairConvolutionWeightGradient(
  _ kernels: ProductKernels, _ table: KernelTable, _ shape: ConvolutionShape, input: UnsafeRawPointer,
  inputStrides: [Int], gradOutput: UnsafeRawPointer, gradOutputStrides: [Int], gradWeight: UnsafeMutableRawPointer
) throws {
  guard let panels = NarrowPanels(.bfloat16, table) else { return }
  let source = try ChannelsLast(
    pairsOf: input, kernels: kernels, batch: shape.batch, channels: shape.inChannels, groups: shape.groups,
    extents: shape.input, strides: inputStrides)
  let gradient = try ChannelsLast(
    pairsOf: gradOutput, kernels: kernels, batch: shape.batch, channels: shape.outChannels, groups: shape.groups,
    extents: shape.output, strides: gradOutputStrides, dense: true)
  // The groups of the images are filled up to whole pairs, and the padding is read at the same offsets.
  let zeroBytes = shape.groups * ((shape.groupInChannels + 1) / 2 * 2) * 2
  let zeros = try Scratch(bytes: zeroBytes)
  memset(zeros.pointer, 0, zeroBytes)
  let passes = shape.passesOfSingleTaps(source, gradient)
  let work = PairGradientWork(shape, kernels, seenByTaps: passes.reduce(0) { $0 + $1.seen })
  let partial = try Scratch(bytes: work.parts * work.tasksPerPart * work.resultSize * 4)
  let addressBytes = work.mostPlaces * 8
  let aBytes = work.rowBlock * work.mostPlaces * 2, bBytes = work.columnBlock * work.mostPlaces * 2
  let slots = try ScratchSlots(bytes: addressBytes + aBytes + bBytes + 128)

  parallelFor(work.parts * work.tasksPerPart, grain: 1) { first, last in
    slots.with { scratch in
      let addresses = scratch.assumingMemoryBound(to: Int.self)
      let aPanels = scratch + (addressBytes + 63) / 64 * 64
      let bPanels = aPanels + (aBytes + 63) / 64 * 64
      for number in first..<last {
        let task = work.task(number % work.tasksPerPart)
        let result = partial.of(Float.self) + number * work.resultSize
        var geometry = passes[task.tap].geometry(
          source: source.pointer, zeros: UnsafeRawPointer(zeros.pointer), batch: shape.batch,
          batchStride: source.strides[0] * 4, outputBatchStride: gradient.strides[0])
        geometry.imagesInnermost = work.positionsApart
        let (step, image) = (gradient.strides[3] * 2, gradient.strides[0] * 2)
        let channel = task.group * ((shape.groupOutChannels + 1) / 2 * 2) + task.row
        let offset = task.group * ((shape.groupInChannels + 1) / 2 * 2) + task.column
        var isFirst = true
        for block in work.blocks(ofPart: number / work.tasksPerPart) {
          let (place, count) = work.places(ofBlock: block)
          var tap = 0
          if table.gemm.f32.gatherSources(&geometry, place, count, &tap, addresses) == 0 { continue }
          kernels.packSources(addresses, count, offset * 2, task.columns, bPanels)
          let first =
            work.positionsApart ? place / shape.batch * step + place % shape.batch * image : place * step
          kernels.packRows(
            gradient.pointer + (first + channel) * 2, 1, work.positionsApart ? image : step, task.rows, count, aPanels)
          let depth = (count + 1) / 2
          kernels.block(
            BlockArguments(
              m: task.rows, n: task.columns, k: depth, alpha: 1, beta: isFirst ? 0 : 1, a: aPanels, aRowStride: nil,
              b: bPanels, bRowStride: kernels.columns, bPanelStride: kernels.columns * depth, c: result,
              cRowStride: work.columnBlock))
          isFirst = false
        }
        if isFirst { result.update(repeating: 0, count: work.resultSize) }
      }
    }
  }
  try work.addParts(partial.of(Float.self), panels.store, table.gemm.f32.transpose, gradWeight)
}

/// How the weight gradient is cut: into parts of the places, and these by group, tap and block of the filter. It
/// depends on the shape alone; parts are added in their order.
private struct PairGradientWork {
  let shape: ConvolutionShape
  /// Output places of a block, at most.
  let mostPlaces = 512
  /// Whether a block has one position in many images: on tiny images taps see nothing but padding from a good part of
  /// the positions, which are left out so.
  let positionsApart: Bool
  /// Output and input channels of a task: operands and sums of a block fit in the second-level cache.
  let rowBlock: Int
  let columnBlock: Int
  let rowBlocks: Int
  let columnBlocks: Int
  let tasksPerPart: Int
  let parts: Int
  private let blockCount: Int
  private let blocksPerPart: Int

  /// - Parameter seenByTaps: positions from which a tap sees more than padding, summed over the taps.
  init(_ shape: ConvolutionShape, _ kernels: ProductKernels, seenByTaps: Int) {
    self.shape = shape
    positionsApart = shape.batch >= 64 && seenByTaps * 4 <= 3 * shape.output.count * shape.kernel.count
    func rounded(_ value: Int, _ unit: Int, _ limit: Int) -> Int { min(limit, (value + unit - 1) / unit) * unit }
    rowBlock = rounded(shape.groupOutChannels, kernels.rows, 16)
    columnBlock = rounded(shape.groupInChannels, kernels.columns, 8)
    rowBlocks = (shape.groupOutChannels + rowBlock - 1) / rowBlock
    columnBlocks = (shape.groupInChannels + columnBlock - 1) / columnBlock
    tasksPerPart = shape.groups * shape.kernel.count * rowBlocks * columnBlocks
    blockCount =
      positionsApart
      ? shape.output.count * ((shape.batch + mostPlaces - 1) / mostPlaces)
      : (shape.outputPixels + mostPlaces - 1) / mostPlaces
    // Some sixteen tasks, of as many blocks each.
    blocksPerPart = max(1, blockCount * tasksPerPart / 16)
    parts = max(1, (blockCount + blocksPerPart - 1) / blocksPerPart)
  }

  var resultSize: Int { rowBlock * columnBlock }

  struct Task {
    var group: Int
    var tap: Int
    var row: Int
    var rows: Int
    var column: Int
    var columns: Int
  }

  /// Tasks of a part: [group][row block][column block][tap].
  func task(_ index: Int) -> Task {
    let taps = shape.kernel.count
    let column = index / taps % columnBlocks * columnBlock
    let row = index / taps / columnBlocks % rowBlocks * rowBlock
    return Task(
      group: index / taps / columnBlocks / rowBlocks, tap: index % taps, row: row,
      rows: min(rowBlock, shape.groupOutChannels - row), column: column,
      columns: min(columnBlock, shape.groupInChannels - column))
  }

  /// The first place of a block and how many it has. Where positions are apart, places count the images first.
  func places(ofBlock block: Int) -> (first: Int, count: Int) {
    if !positionsApart {
      let first = block * mostPlaces
      return (first, min(mostPlaces, shape.outputPixels - first))
    }
    let blocksOfPosition = (shape.batch + mostPlaces - 1) / mostPlaces
    let image = block % blocksOfPosition * mostPlaces
    return (block / blocksOfPosition * shape.batch + image, min(mostPlaces, shape.batch - image))
  }

  func blocks(ofPart part: Int) -> Range<Int> {
    part * blocksPerPart..<min(blockCount, (part + 1) * blocksPerPart)
  }

  /// Adds the parts and writes the filters: output channel, input channel, tap.
  func addParts(
    _ partial: UnsafeMutablePointer<Float>, _ store: StoreKernel, _ transpose: TransposeKernel,
    _ gradWeight: UnsafeMutableRawPointer
  ) throws {
    let taps = shape.kernel.count
    let filter = shape.groupInChannels * taps
    let slots = try ScratchSlots(bytes: filter * 4)
    parallelFor(shape.outChannels, grain: max(1, (1 << 14) / (filter * parts))) { first, last in
      slots.with { scratch in
        let line = scratch.assumingMemoryBound(to: Float.self)
        for output in first..<last {
          let group = output / shape.groupOutChannels, row = output % shape.groupOutChannels
          for column in 0..<columnBlocks {
            let firstTask = ((group * rowBlocks + row / rowBlock) * columnBlocks + column) * taps
            let start = column * columnBlock
            let count = min(columnBlock, shape.groupInChannels - start)
            let from = partial + (firstTask * resultSize + row % rowBlock * columnBlock)
            for tap in 0..<taps {
              let sums = from + tap * resultSize
              for part in 1..<max(1, parts) {
                let other = sums + part * tasksPerPart * resultSize
                for c in 0..<count { sums[c] += other[c] }
              }
            }
            if 2 * taps > 16 {
              transpose(from, resultSize, taps, count, line + start * taps, taps)
            } else {
              for tap in 0..<taps {
                let (sums, to) = (from + tap * resultSize, line + (start * taps + tap))
                for c in 0..<count { to[c &* taps] = sums[c] }
              }
            }
          }
          store(line, gradWeight + output * filter * 2, 1, filter)
        }
      }
    }
  }
}

extension ConvolutionShape {
  /// One pass over the output places for each tap.
  fileprivate func passesOfSingleTaps(_ source: ChannelsLast, _ gradient: ChannelsLast) -> [ConvolutionPass] {
    let axes = forwardAxes(
      sourceStrides: Array(source.strides[1...]), outputStrides: Array(gradient.strides[1...]), mergedWidth: false)
    func single(_ axis: Int, _ tap: Int) -> ConvolutionPass.Axis {
      let all = axes[axis]
      return ConvolutionPass.Axis(
        positions: all.positions, taps: 1,
        sources: Array(all.sources[tap * all.positions..<(tap + 1) * all.positions]), outputs: all.outputs,
        tapNumbers: [0])
    }
    return (0..<kernel.count).map { tap in
      let depth = tap / (kernel.height * kernel.width), height = tap / kernel.width % kernel.height
      return ConvolutionPass(
        batch: batch, axes: [single(0, depth), single(1, height), single(2, tap % kernel.width)], elementSize: 4,
        tapUnit: 1)
    }
  }
}
