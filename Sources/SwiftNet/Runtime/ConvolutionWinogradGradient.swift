import KernelTypes

/// The weight gradient of a 3×3 convolution with stride 1 by Winograd's algorithm. Of images of bfloat16, whose channels
/// must be adjacent, it is float32 all the same, and there is none of the bias.
struct WinogradWeightGradient {
  private let type: DType
  private let table: KernelTable
  /// That of one group.
  private let shape: ConvolutionShape
  private let groups: Int
  private let tiling: WinogradTiling
  /// Tiles of one plane of all stacks, in blocks: of so many that adding to the sums, which are in the third-level cache,
  /// costs little.
  private let tiles: Int
  private let blockTiles: Int
  private let blocks: Int
  /// Columns of the register tile, and of output channels so many panels.
  private let width: Int
  private let panels: Int

  private var channels: Int { shape.inChannels }
  private var columns: Int { shape.outChannels }
  private var taps: Int { shape.kernel.count }
  private var depthTaps: Int { shape.kernel.depth }
  /// Planes of a stack.
  private var planes: Int { shape.planes(shape.output) }

  /// nil where the shape is not one for Winograd, or where the direct algorithm is expected to be faster.
  init?(_ type: DType, _ shape: ConvolutionShape, table: KernelTable) {
    let lanes = table.winograd.lanes
    guard shape.allowsWinograd(type) else { return nil }
    self.type = type
    self.table = table
    groups = shape.groups
    let shape = shape.oneGroup
    self.shape = shape
    guard shape.inChannels % lanes == 0, shape.outChannels % lanes == 0 else { return nil }
    tiling = shape.winogradTiling(shape.output)
    tiles = tiling.count
    width = table.gemm.f32.columns
    panels = (shape.outChannels + width - 1) / width
    blockTiles = shape.kernel.depth == 1 ? WinogradWeightGradient.block(tiles) : min(tiles, 32)
    blocks = (tiles + blockTiles - 1) / blockTiles
    let cost = WinogradCost(kernels: table.gemm.f32, lanes: lanes)
    let direct = cost.direct(
      shape, channels: shape.inChannels, columns: shape.outChannels, places: shape.outputPixels)
    let winograd = cost.forward(
      shape, tiling, planes: shape.planes(shape.output), channels: shape.inChannels, columns: shape.outChannels)
    if winograd >= direct && !Backends.alwaysWinograd { return nil }
  }

  /// How many tiles a block has: 96; where there are few blocks, an even number of them is of one size, since each has sums
  /// of its own and two threads share them.
  private static func block(_ tiles: Int) -> Int {
    if tiles <= 96 || tiles > 1024 { return min(tiles, 96) }
    let blocks = (tiles + 255) / 256 * 2
    return (tiles + blocks - 1) / blocks
  }

  func run(
    input: UnsafeRawPointer, inputStrides: [Int], gradOutput: UnsafeRawPointer, gradOutputStrides: [Int],
    gradWeight: UnsafeMutableRawPointer, gradBias: UnsafeMutableRawPointer?
  ) throws {
    for group in 0..<groups {
      try run(
        input: input + group * channels * inputStrides[1] * type.size, inputStrides,
        gradOutput: gradOutput + group * columns * gradOutputStrides[1] * type.size, gradOutputStrides,
        gradWeight: gradWeight + group * shape.weightCount * 4, gradBias: gradBias.map { $0 + group * columns * 4 })
    }
  }

  private func run(
    input: UnsafeRawPointer, _ inputStrides: [Int], gradOutput: UnsafeRawPointer, _ gradOutputStrides: [Int],
    gradWeight: UnsafeMutableRawPointer, gradBias: UnsafeMutableRawPointer?
  ) throws {
    let kernels = table.gemm.f32
    let source = try ChannelsLast(
      input, type: type, kernels: kernels, batch: shape.batch, channels: channels, extents: shape.input,
      strides: inputStrides, slack: false)
    let gradient = try ChannelsLast(
      gradOutput, type: type, kernels: kernels, batch: shape.batch, channels: columns, extents: shape.output,
      strides: gradOutputStrides, slack: false)
    let zeroBytes = (max(channels, columns) + kernels.columns) * 4
    let zeros = try Scratch(bytes: zeroBytes)
    memset(zeros.pointer, 0, zeroBytes)
    let x = Arguments(
      inputs: shape.winogradImages(
        source, shape.input, channels, padding: shape.gridPadding, zeros, tiling, inStacks: planes > 1),
      gradients: shape.winogradImages(
        gradient, shape.output, columns, padding: (0, 0), zeros, tiling, inStacks: planes > 1),
      inputPlane: source.strides[1], gradientPlane: gradient.strides[1], gradWeight: gradWeight)
    if sharesTiles { try runByPanels(x) } else { try runByParts(x) }
    if let gradBias {
      try sumChannels(gradient, shape, kernels: kernels, to: gradBias.assumingMemoryBound(to: Float.self))
    }
    withExtendedLifetime((source, gradient, zeros)) {}
  }

  /// What both ways to cut the work need.
  private struct Arguments {
    var inputs: WinogradImages
    var gradients: WinogradImages
    /// From one plane of a stack to the next.
    var inputPlane: Int
    var gradientPlane: Int
    var gradWeight: UnsafeMutableRawPointer
  }

  /// Numbers of a block of transformed tiles of the source, and from one point of such a tile to the next.
  private func sourceSize(_ channels: Int) -> Int { 36 * winogradPointStride(blockTiles, sourceStride(channels)) }
  private func sourceStride(_ channels: Int) -> Int { winogradTileStrides(channels).point }
  /// Numbers of a block of one panel's gradients, and of its sums for one plane of the kernel.
  private var gradientSize: Int { 36 * winogradPointStride(blockTiles, width) }
  private func planeSize(_ channels: Int) -> Int { 36 * winogradPointStride(channels, width) }

  /// The first tile of a block, and how many it has.
  private func tiles(_ block: Int) -> (first: Int, count: Int) {
    (block * blockTiles, min(blockTiles, tiles - block * blockTiles))
  }

  @inline(never)
  private func transformSource(
    _ x: Arguments, _ block: Int, plane: Int, channels part: Range<Int>, _ out: UnsafeMutablePointer<Float>
  ) {
    let (tile, count) = tiles(block)
    let stride = sourceStride(part.count)
    var images = x.inputs
    images.pointer += (plane * x.inputPlane + part.lowerBound) * type.size
    images.channels = part.count
    table.winograd.images(type).transformSource(
      &images, tile, count, out, stride, winogradPointStride(count, stride))
  }

  @inline(never)
  private func transformGradient(
    _ x: Arguments, _ block: Int, plane: Int, panel: Int, _ out: UnsafeMutablePointer<Float>
  ) {
    let (tile, count) = tiles(block)
    var images = x.gradients
    images.pointer += plane * x.gradientPlane * type.size
    table.winograd.images(type).transformGradient(
      &images, tile, count, panel * width, min(width, columns - panel * width), out)
  }

  private func summing(_ channels: Int) -> WinogradSumming {
    WinogradSumming(
      table: table, tiling: tiling, channels: channels, columns: columns, panelGradients: gradientSize,
      panelSums: depthTaps * planeSize(channels), sourceStride: sourceStride(channels))
  }

  /// Writes the gradient of a panel's filters, or of some of their channels; `room` for its direct form.
  @inline(never)
  private func finish(
    _ x: Arguments, _ panel: Int, channels part: Range<Int>, _ sums: UnsafePointer<Float>,
    _ room: UnsafeMutablePointer<Float>
  ) {
    let winograd = table.winograd
    let filterGradient = tiling.isTwoByTwo ? winograd.transformFilterGradientForTwo : winograd.transformFilterGradient
    for tap in 0..<depthTaps {
      filterGradient(sums + tap * planeSize(part.count), part.count, room + tap * 9 * part.count * width)
    }
    let layout = FilterLayout(
      columns: columns, columnStride: channels * taps, run: part.count, runStride: taps, taps: taps, tapStride: 1,
      merged: 1, groupStride: 0)
    table.gemm.f32.unpackFilters(layout, room, panel, 1, part.count, x.gradWeight + part.lowerBound * taps * 4)
  }

  /// Few tiles, or filters whose sums would take more memory than all tiles: the tiles are transformed once for all
  /// panels.
  private var sharesTiles: Bool {
    let sources = blocks * sourceSize(channels)
    return depthTaps == 1 && panels >= 8 && (sources <= 1 << 22 || sources < panels * planeSize(channels))
  }

  /// Equal slices of the channels, 128 each or little less: a panel's sums stay in the second-level cache, and the tiles,
  /// which every panel reads, in the third.
  private var slices: Int {
    let wanted = (channels + 127) / 128
    return (wanted...2 * wanted).first { channels % ($0 * table.winograd.lanes) == 0 } ?? 1
  }

  /// A task sums up a slice of the channels for a panel.
  private func runByPanels(_ x: Arguments) throws {
    let slices = slices, part = channels / slices
    let sourceSize = sourceSize(part), planeSize = planeSize(part)
    let sources = try Scratch(bytes: blocks * sourceSize * 4)
    let slots = try ScratchSlots(bytes: (planeSize + gradientSize + 9 * part * width) * 4)
    // Gradients are transformed once for all slices, unless they would leave the second-level cache meanwhile.
    let sharesGradients = slices > 1 && panels * width * tiling.points <= 1 << 19
    let gradients = sharesGradients ? try Scratch(bytes: panels * blocks * gradientSize * 4) : nil
    if let gradients {
      parallelFor(panels * blocks, grain: 1) { first, last in
        for task in first..<last {
          transformGradient(
            x, task % blocks, plane: 0, panel: task / blocks, gradients.of(Float.self) + task * gradientSize)
        }
      }
    }
    let sums = summing(part)
    for slice in 0..<slices {
      let slice = slice * part..<(slice + 1) * part
      parallelFor(blocks, grain: 1) { first, last in
        for block in first..<last {
          transformSource(x, block, plane: 0, channels: slice, sources.of(Float.self) + block * sourceSize)
        }
      }
      parallelFor(panels, grain: 1) { first, last in
        slots.with { scratch in
          let target = scratch.assumingMemoryBound(to: Float.self), local = target + planeSize
          for panel in first..<last {
            for block in 0..<blocks {
              let gradient = gradients.map { $0.of(Float.self) + (panel * blocks + block) * gradientSize } ?? local
              if gradients == nil { transformGradient(x, block, plane: 0, panel: panel, local) }
              sums.add(
                tiles(block), panels: panel..<panel + 1,
                sources: [UnsafePointer(sources.of(Float.self) + block * sourceSize)], gradients: gradient,
                adding: block > 0, to: [target]
              ) { _ in 0..<1 }
            }
            finish(x, panel, channels: slice, target, local + gradientSize)
          }
        }
      }
    }
  }

  /// Tasks are pairs of a part of the tiles and a group of panels, with sums of their own. The cut depends on the shape
  /// alone.
  private func runByParts(_ x: Arguments) throws {
    let sourceSize = sourceSize(channels), planeSize = planeSize(channels), panelSize = depthTaps * planeSize
    let panelsPerTask = min(panels, max(1, (1 << 19) / (36 * channels * width * depthTaps)))
    let columnTasks = (panels + panelsPerTask - 1) / panelsPerTask
    let parts = max(
      1, min(blocks, min((8 + columnTasks - 1) / columnTasks, max(2, (1 << 22) / (panels * panelSize)))))
    let blocksPerPart = (blocks + parts - 1) / parts
    let usedParts = (blocks + blocksPerPart - 1) / blocksPerPart
    let partial = try Scratch(bytes: usedParts * panels * panelSize * 4)
    /// The planes of the input that one plane of the output sees are kept, each in its place of a ring.
    let ring = (depthTaps - 1) * shape.dilation.depth + 1
    let slots = try ScratchSlots(
      bytes: (ring * sourceSize + max(panelsPerTask * gradientSize, taps * channels * width)) * 4)
    let sums = summing(channels)
    parallelFor(usedParts * columnTasks, grain: 1) { start, end in
      slots.with { scratch in
        let transformed = scratch.assumingMemoryBound(to: Float.self)
        let gradients = transformed + ring * sourceSize
        for task in start..<end {
          let part = task / columnTasks
          let first = task % columnTasks * panelsPerTask, last = min(panels, first + panelsPerTask)
          let mine = partial.of(Float.self) + (part * panels + first) * panelSize
          if depthTaps > 1 { memset(mine, 0, (last - first) * panelSize * 4) }
          for block in part * blocksPerPart..<min(blocks, (part + 1) * blocksPerPart) {
            var known = 0
            for plane in 0..<planes {
              let needed = planes == 1 ? 1 : min(shape.input.depth, plane + ring - shape.padding.depth)
              while known < needed {
                transformSource(
                  x, block, plane: known, channels: 0..<channels, transformed + known % ring * sourceSize)
                known += 1
              }
              for panel in first..<last {
                transformGradient(x, block, plane: plane, panel: panel, gradients + (panel - first) * gradientSize)
              }
              var sources: [UnsafePointer<Float>] = []
              var targets: [UnsafeMutablePointer<Float>] = []
              for tap in 0..<depthTaps {
                let seen = depthTaps == 1 ? 0 : plane + tap * shape.dilation.depth - shape.padding.depth
                if seen < 0 || seen >= shape.input.depth { continue }
                sources.append(transformed + seen % ring * sourceSize)
                targets.append(mine + tap * planeSize)
              }
              if sources.isEmpty { continue }
              sums.add(
                tiles(block), panels: first..<last, sources: sources, gradients: gradients,
                adding: depthTaps > 1 || block > part * blocksPerPart, to: targets
              ) { _ in 0..<sources.count }
            }
          }
        }
      }
    }
    parallelFor(panels, grain: 1) { first, last in
      slots.with { scratch in
        for panel in first..<last {
          let total = partial.of(Float.self) + panel * panelSize
          addParts(total, count: panelSize, parts: usedParts, stride: panels * panelSize)
          finish(x, panel, channels: 0..<channels, total, scratch.assumingMemoryBound(to: Float.self))
        }
      }
    }
  }
}
