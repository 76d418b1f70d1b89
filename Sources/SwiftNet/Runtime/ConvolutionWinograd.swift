import KernelTypes

/// A 3×3 convolution with stride 1 by Winograd's algorithm, forward or its data gradient (which is a forward
/// convolution with flipped filters and the padding turned round).
struct WinogradConvolution {
  private let table: KernelTable
  private let shape: ConvolutionShape
  private let gradient: Bool
  private let channels: Int
  private let columns: Int
  /// Tiles of one block, whose transformed inputs stay in the second-level cache.
  private let blockTiles: Int
  private let tilesDown: Int
  private let tilesAcross: Int

  private var source: Extents { gradient ? shape.output : shape.input }
  private var result: Extents { gradient ? shape.input : shape.output }
  private var tiles: Int { shape.batch * result.depth * tilesDown * tilesAcross }

  /// nil where the shape is not one for Winograd, or where the row kernels are expected to be faster.
  init?(_ type: DType, _ shape: ConvolutionShape, gradient: Bool, table: KernelTable) {
    guard shape.allowsWinograd(type) else { return nil }
    self.table = table
    self.shape = shape
    self.gradient = gradient
    channels = gradient ? shape.outChannels : shape.inChannels
    columns = gradient ? shape.inChannels : shape.outChannels
    if channels % table.winograd.lanes != 0 { return nil }
    let result = gradient ? shape.input : shape.output
    tilesDown = (result.height + 3) / 4
    tilesAcross = (result.width + 3) / 4
    blockTiles = WinogradCost.blockTiles(channels, table.gemm.f32)
    let images = shape.batch * result.depth
    let tiles = images * tilesDown * tilesAcross
    let cost = WinogradCost(kernels: table.gemm.f32, lanes: table.winograd.lanes)
    let winograd = cost.forward(tiles: tiles, channels: channels, columns: columns)
    let direct = cost.direct(shape, channels: channels, columns: columns, places: images * result.height * result.width)
    if winograd >= direct { return nil }
  }

  func run(
    source pointer: UnsafeRawPointer, strides: [Int], weight: UnsafeRawPointer, epilogue: ConvolutionEpilogue,
    output: UnsafeMutableRawPointer
  ) throws {
    let kernels = table.gemm.f32
    let winograd = table.winograd
    let input = try ChannelsLast(
      pointer, type: .float32, kernels: kernels, batch: shape.batch, channels: channels, extents: source,
      strides: strides, slack: false)
    let zeros = try Scratch(bytes: channels * 4)
    memset(zeros.pointer, 0, channels * 4)
    var images = WinogradImages(
      pointer: input.pointer, zeros: zeros.pointer, depth: source.depth, batchStride: input.strides[0],
      depthStride: input.strides[1], height: source.height, width: source.width,
      heightStride: input.strides[2], widthStride: input.strides[3],
      paddingHeight: gradient ? 2 - shape.padding.height : shape.padding.height,
      paddingWidth: gradient ? 2 - shape.padding.width : shape.padding.width, tilesDown: tilesDown,
      tilesAcross: tilesAcross, channels: channels)
    let width = kernels.columns
    let panels = (columns + width - 1) / width
    let panelSize = channels * width
    let layout =
      gradient
      ? FilterLayout(
        columns: columns, columnStride: 9, run: channels, runStride: columns * 9, taps: 9, tapStride: 1, merged: 1,
        groupStride: 0)
      : FilterLayout(
        columns: columns, columnStride: channels * 9, run: channels, runStride: 9, taps: 9, tapStride: 1,
        merged: 1, groupStride: 0)
    let blocks = (tiles + blockTiles - 1) / blockTiles
    // Few tiles and large filters: tasks are pairs of channel blocks, transform their own filters, and repeat the
    // transform of the input. Else tasks are blocks of tiles, and the filters are transformed once for all.
    let panelsPerTask = 2
    let byColumns = blocks < 16 && panels >= 8
    let filters = try Scratch(bytes: byColumns ? 0 : panels * 36 * panelSize * 4)
    let padded = (blockTiles + kernels.rows - 1) / kernels.rows * kernels.rows
    let sourceBytes = (36 * winogradPointStride(blockTiles, channels) * 4 + 63) & ~63
    let productBytes = (36 * (padded * width + 16) + 16 * width) * 4
    let localBytes = byColumns ? panelsPerTask * 36 * panelSize * 4 : 0
    let packBytes = 9 * panelSize * 4
    let slots = try ScratchSlots(bytes: sourceBytes + max(productBytes, 0) + localBytes + packBytes)
    let statistics = epilogue.sums != nil || epilogue.sumsOfSquares != nil
    let sumChunks = byColumns ? 1 : blocks
    let partial = statistics ? try Scratch(bytes: sumChunks * 2 * columns * 8) : nil
    if let partial { memset(partial.pointer, 0, sumChunks * 2 * columns * 8) }

    let noTables = zeros.of(Int.self)
    /// Transforms the filters of some panels; `packed` is room for one panel.
    func transformFilters(_ first: Int, _ count: Int, _ packed: UnsafeMutableRawPointer, _ out: UnsafeMutableRawPointer) {
      for panel in first..<first + count {
        // Panels are packed at their number times their size.
        kernels.packFilters(layout, weight, panel, 1, packed - panel * packBytes)
        winograd.transformFilter(
          packed.assumingMemoryBound(to: Float.self), channels, gradient,
          (out + (panel - first) * 36 * panelSize * 4).assumingMemoryBound(to: Float.self))
      }
    }
    /// One block of tiles, some panels.
    func compute(
      _ block: Int, _ firstPanel: Int, _ panelCount: Int, _ filters: UnsafeRawPointer,
      _ scratch: UnsafeMutableRawPointer, _ chunk: Int
    ) {
      let transformed = scratch.assumingMemoryBound(to: Float.self)
      let first = block * blockTiles, count = min(blockTiles, tiles - block * blockTiles)
      winograd.transformSource(&images, first, count, transformed)
      var work = WinogradTiles(
        source: transformed, channels: channels, firstTile: first, tiles: count,
        filters: filters.assumingMemoryBound(to: Float.self),
        products: (scratch + sourceBytes).assumingMemoryBound(to: Float.self), height: result.height,
        width: result.width, tilesDown: tilesDown, tilesAcross: tilesAcross, outputChannels: columns)
      let sums = partial.map { $0.of(Double.self) + chunk * 2 * columns }
      var arguments = ConvolveArguments(
        tables: UnsafePointer(noTables), tableWords: 0, tiles: 0, lastRows: 0, run: 0, weights: filters,
        panelStride: 0, firstColumn: firstPanel * width, columns: min(columns - firstPanel * width, panelCount * width),
        depthwise: false, output: output, bias: epilogue.bias, scale: epilogue.scale, shift: epilogue.shift,
        residual: epilogue.residual, relu: epilogue.relu, sums: epilogue.sums == nil ? nil : sums,
        sumsOfSquares: epilogue.sumsOfSquares == nil ? nil : sums.map { $0 + columns })
      winograd.multiply(&work, &arguments)
    }

    if byColumns {
      parallelFor(panels, grain: panelsPerTask) { first, last in
        slots.with { scratch in
          let local = scratch + sourceBytes + productBytes
          transformFilters(first, last - first, local + localBytes, local)
          for block in 0..<blocks { compute(block, first, last - first, local, scratch, 0) }
        }
      }
    } else {
      parallelFor(panels, grain: 1) { first, last in
        slots.with { scratch in
          transformFilters(
            first, last - first, scratch + sourceBytes + productBytes,
            filters.pointer + first * 36 * panelSize * 4)
        }
      }
      parallelFor(blocks, grain: 1) { first, last in
        slots.with { scratch in
          for block in first..<last { compute(block, 0, panels, filters.pointer, scratch, block) }
        }
      }
    }
    if let partial {
      let values = partial.of(Double.self)
      for (index, target) in [epilogue.sums, epilogue.sumsOfSquares].enumerated() {
        guard let target else { continue }
        for column in 0..<columns {
          var sum = 0.0
          for chunk in 0..<sumChunks { sum += values[(chunk * 2 + index) * columns + column] }
          target[column] = sum
        }
      }
    }
  }
}

extension ConvolutionShape {
  /// Whether Winograd's algorithm computes this convolution at all.
  func allowsWinograd(_ type: DType) -> Bool {
    Backends.winograd && type == .float32 && groups == 1 && kernel == Extents(1, 3, 3)
      && stride == Extents(1, 1, 1) && dilation.height == 1 && dilation.width == 1 && padding.depth == 0
      && input.depth == output.depth
  }
}

/// A rough model of the time of both ways, in vector multiplications.
struct WinogradCost {
  let kernels: ProductKernels
  let lanes: Int

  /// About half a megabyte of transformed inputs.
  static func blockTiles(_ channels: Int, _ kernels: ProductKernels) -> Int {
    max(2 * kernels.rows, min(48, (1 << 19) / (36 * channels * 4) / kernels.rows * kernels.rows))
  }

  private func panels(_ columns: Int) -> Int { (columns + kernels.columns - 1) / kernels.columns }

  func forward(tiles: Int, channels: Int, columns: Int) -> Double {
    let rows = (tiles + kernels.rows - 1) / kernels.rows * kernels.rows
    let products = 36 * rows * channels * panels(columns) * 2
    // A transform of one vector of channels takes about as long as 250 (input, output) or 200 (filter)
    // multiplications.
    let transforms = tiles * (channels + columns) / lanes * 250
    let filters = channels * panels(columns) * 2 * 200
    return Double(products + transforms + filters)
  }

  func direct(_ shape: ConvolutionShape, channels: Int, columns: Int, places: Int) -> Double {
    // Taps that only see padding are skipped on tiny images.
    func used(_ size: Int, _ padding: Int, _ input: Int) -> Double {
      var taps = 0
      for place in 0..<size {
        for tap in 0..<3 where place + tap - padding >= 0 && place + tap - padding < input { taps += 1 }
      }
      return Double(taps) / Double(max(1, size))
    }
    let tiny = shape.output.height * shape.output.width <= 64 && shape.batch >= 8
    let taps =
      tiny
      ? used(shape.output.height, shape.padding.height, shape.input.height)
        * used(shape.output.width, shape.padding.width, shape.input.width) : 9
    return taps * Double(places * channels * panels(columns) * 2) * 1.05
  }
}

/// The weight gradient by Winograd's algorithm; false where it does not apply or would not be faster.
func winogradWeightGradient(
  _ shape: ConvolutionShape, input: UnsafeRawPointer, inputStrides: [Int], gradOutput: UnsafeRawPointer,
  gradOutputStrides: [Int], gradWeight: UnsafeMutableRawPointer, gradBias: UnsafeMutableRawPointer?,
  type: DType, table: KernelTable
) throws -> Bool {
  let kernels = table.gemm.f32
  let winograd = table.winograd
  let channels = shape.inChannels, columns = shape.outChannels
  guard shape.allowsWinograd(type), channels % winograd.lanes == 0, columns % winograd.lanes == 0 else {
    return false
  }
  let tilesDown = (shape.output.height + 3) / 4, tilesAcross = (shape.output.width + 3) / 4
  let tiles = shape.batch * shape.output.depth * tilesDown * tilesAcross
  let cost = WinogradCost(kernels: kernels, lanes: winograd.lanes)
  let direct = cost.direct(shape, channels: channels, columns: columns, places: shape.outputPixels)
  if cost.forward(tiles: tiles, channels: channels, columns: columns) >= direct { return false }

  let source = try ChannelsLast(
    input, type: type, kernels: kernels, batch: shape.batch, channels: channels, extents: shape.input,
    strides: inputStrides, slack: false)
  let gradient = try ChannelsLast(
    gradOutput, type: type, kernels: kernels, batch: shape.batch, channels: columns, extents: shape.output,
    strides: gradOutputStrides, slack: false)
  let zeroBytes = (max(channels, columns) + kernels.columns) * 4
  let zeros = try Scratch(bytes: zeroBytes)
  memset(zeros.pointer, 0, zeroBytes)
  var inputs = WinogradImages(
    pointer: source.pointer, zeros: zeros.pointer, depth: shape.input.depth, batchStride: source.strides[0],
    depthStride: source.strides[1], height: shape.input.height, width: shape.input.width,
    heightStride: source.strides[2], widthStride: source.strides[3], paddingHeight: shape.padding.height,
    paddingWidth: shape.padding.width, tilesDown: tilesDown, tilesAcross: tilesAcross, channels: channels)
  var gradients = WinogradImages(
    pointer: gradient.pointer, zeros: zeros.pointer, depth: shape.output.depth,
    batchStride: gradient.strides[0], depthStride: gradient.strides[1], height: shape.output.height,
    width: shape.output.width, heightStride: gradient.strides[2], widthStride: gradient.strides[3],
    paddingHeight: 0, paddingWidth: 0, tilesDown: tilesDown, tilesAcross: tilesAcross, channels: columns)

  // Tasks are pairs of a part of the tiles and a group of channel blocks; each has sums of its own. The cut
  // depends on the shape alone.
  let width = kernels.columns
  let panels = (columns + width - 1) / width
  let panelSize = 36 * channels * width
  let blockTiles = WinogradCost.blockTiles(channels, kernels)
  let blocks = (tiles + blockTiles - 1) / blockTiles
  let panelsPerTask = channels <= 128 ? panels : 2
  let columnTasks = (panels + panelsPerTask - 1) / panelsPerTask
  let parts = max(1, min(blocks, min((16 + columnTasks - 1) / columnTasks, (1 << 25) / (panels * panelSize * 4))))
  let blocksPerPart = (blocks + parts - 1) / parts
  let sums = try Scratch(bytes: parts * panels * panelSize * 4)
  let sourceBytes = (36 * winogradPointStride(blockTiles, channels) * 4 + 127) & ~63
  let gradientBytes = (36 * winogradPointStride(blockTiles, width) * 4 + 63) & ~63
  let slots = try ScratchSlots(bytes: sourceBytes + gradientBytes)
  parallelFor(parts * columnTasks, grain: 1) { start, end in
    slots.with { scratch in
      let transformed = scratch.assumingMemoryBound(to: Float.self)
      let local = (scratch + sourceBytes).assumingMemoryBound(to: Float.self)
      for task in start..<end {
        let part = task / columnTasks
        let first = task % columnTasks * panelsPerTask, last = min(panels, first + panelsPerTask)
        let mine = sums.of(Float.self) + part * panels * panelSize
        memset(mine + first * panelSize, 0, (last - first) * panelSize * 4)
        for block in part * blocksPerPart..<max(part * blocksPerPart, min(blocks, (part + 1) * blocksPerPart)) {
          let tile = block * blockTiles, count = min(blockTiles, tiles - block * blockTiles)
          winograd.transformSource(&inputs, tile, count, transformed)
          for panel in first..<last {
            let present = min(width, columns - panel * width)
            winograd.transformGradient(&gradients, tile, count, panel * width, present, local)
            winograd.accumulate(
              transformed, channels, local, count, 2 * present <= width, mine + panel * panelSize)
          }
        }
      }
    }
  }
  // Sum of the parts, then back to 3×3 filters.
  let layout = FilterLayout(
    columns: columns, columnStride: channels * 9, run: channels, runStride: 9, taps: 9, tapStride: 1, merged: 1,
    groupStride: 0)
  let filterSlots = try ScratchSlots(bytes: 9 * channels * width * 4)
  if parts > 1 {
    let values = sums.of(Float.self)
    let size = panels * panelSize
    parallelFor(size, grain: 1 << 15) { first, last in
      for part in 1..<parts {
        let other = values + part * size
        for i in first..<last { values[i] += other[i] }
      }
    }
  }
  parallelFor(panels, grain: 1) { first, last in
    filterSlots.with { scratch in
      for panel in first..<last {
        winograd.transformFilterGradient(
          sums.of(Float.self) + panel * panelSize, channels, scratch.assumingMemoryBound(to: Float.self))
        kernels.unpackFilters(layout, scratch, panel, 1, channels, gradWeight)
      }
    }
  }
  if let gradBias {
    try sumChannels(gradient, shape, kernels: kernels, to: gradBias.assumingMemoryBound(to: Float.self))
  }
  return true
}

/// Sums over batch and places of each channel, in chunks that depend on the shape alone.
private func sumChannels(
  _ gradient: ChannelsLast, _ shape: ConvolutionShape, kernels: ProductKernels, to bias: UnsafeMutablePointer<Float>
) throws {
  let channels = shape.outChannels
  let rows = shape.batch * shape.output.depth * shape.output.height
  let rowsPerChunk = max(1, (rows + 31) / 32)
  let chunks = (rows + rowsPerChunk - 1) / rowsPerChunk
  let partial = try Scratch(bytes: chunks * channels * 8)
  let values = partial.of(Double.self)
  let source = gradient.pointer.assumingMemoryBound(to: Float.self)
  let slots = try ScratchSlots(bytes: channels * 4)
  parallelFor(rows, grain: rowsPerChunk) { first, last in
    slots.with { scratch in
      let line = scratch.assumingMemoryBound(to: Float.self)
      let sums = values + first / rowsPerChunk * channels
      sums.update(repeating: 0, count: channels)
      for row in first..<last {
        let plane = row / shape.output.height
        var from =
          source + plane / shape.output.depth * gradient.strides[0]
          + plane % shape.output.depth * gradient.strides[1] + row % shape.output.height * gradient.strides[2]
        line.update(repeating: 0, count: channels)
        for _ in 0..<shape.output.width {
          for c in 0..<channels { line[c] += from[c] }
          from += gradient.strides[3]
        }
        for c in 0..<channels { sums[c] += Double(line[c]) }
      }
    }
  }
  for c in 0..<channels {
    var sum = 0.0
    for chunk in 0..<chunks { sum += values[chunk * channels + c] }
    bias[c] = Float(sum)
  }
}
