import KernelTypes

/// Convolutions of 3×3 and 4×4 taps with stride 2 by Winograd's algorithm. Every second row and column of the input and of
/// the kernel make four convolutions with stride 1 of at most 2×2 taps, whose outputs are added: F(4×4, 2×2) needs 25
/// multiplications for each of them and 16 outputs instead of 64, and where a kernel of three has only one tap along an
/// axis, the last point is left out: 81 instead of 144. The products of all four are added before they are transformed
/// back. In the data gradient each of the four gives every second row and column of the result.
struct StridedWinograd {
  private let table: KernelTable
  private let shape: ConvolutionShape
  private let channels: Int
  private let columns: Int
  private let gradient: Bool

  /// One of the four: which remainder of rows and columns.
  private struct Part {
    var row: Int
    var column: Int
  }
  /// In the order that `WinogradProducts.isOdd` expects.
  private static let parts = [
    Part(row: 0, column: 1), Part(row: 0, column: 0), Part(row: 1, column: 0), Part(row: 1, column: 1),
  ]

  /// nil where the shape is not one for this, or where the row kernels are expected to be faster.
  init?(_ type: DType, _ shape: ConvolutionShape, gradient: Bool, table: KernelTable) {
    guard shape.allowsStridedWinograd(type) else { return nil }
    self.table = table
    self.shape = shape
    self.gradient = gradient
    channels = gradient ? shape.outChannels : shape.inChannels
    columns = gradient ? shape.inChannels : shape.outChannels
    if channels % table.winograd.lanes != 0 { return nil }
    if !isFaster { return nil }
  }

  private var kernel: Int { shape.kernel.width }
  private var isOdd: Bool { kernel == 3 }
  private var width: Int { table.gemm.f32.columns }
  private var panels: Int { (columns + width - 1) / width }
  private var panelSize: Int { channels * width }
  private var filterSize: Int { 36 * winogradPointStride(channels, width) }
  private var taps: Int { kernel * kernel }
  private var images: Int { shape.batch * shape.output.depth }

  /// Tiles of the output.
  private var tiling: WinogradTiling {
    WinogradTiling(images: images, rows: shape.output.height, columns: shape.output.width, taps: 2)
  }

  /// Tiles of the output as far as one part needs their points, or, of the data gradient, of that part of the result.
  private func tiling(_ part: Part) -> WinogradTiling {
    let first = place(part).first
    let result =
      gradient
      ? (rows: (shape.input.height - first.row + 1) / 2, columns: (shape.input.width - first.column + 1) / 2)
      : (rows: shape.output.height, columns: shape.output.width)
    return WinogradTiling(
      images: images, rows: result.rows, columns: result.columns, taps: 2, hasLastDown: hasTwo(part.row),
      hasLastAcross: hasTwo(part.column))
  }

  private func hasTwo(_ remainder: Int) -> Bool { remainder + 2 < kernel }

  /// Where a part of the input begins, and what stands before it in steps of two.
  private func place(_ part: Part) -> (first: (row: Int, column: Int), padding: (row: Int, column: Int)) {
    let down = (shape.padding.height - part.row + 1) >> 1, across = (shape.padding.width - part.column + 1) >> 1
    return (
      (part.row - shape.padding.height + 2 * down, part.column - shape.padding.width + 2 * across), (down, across)
    )
  }

  /// The numbers of a part's taps in rows; where there is only one along an axis, it counts as the first.
  private func taps(_ part: Part) -> (Int, Int, Int, Int) {
    func pair(_ remainder: Int) -> (Int, Int) {
      if !hasTwo(remainder) { return (remainder, -1) }
      return gradient ? (remainder + 2, remainder) : (remainder, remainder + 2)
    }
    let rows = pair(part.row), columns = pair(part.column)
    func tap(_ row: Int, _ column: Int) -> Int { row < 0 || column < 0 ? -1 : row * kernel + column }
    return (
      tap(rows.0, columns.0), tap(rows.0, columns.1), tap(rows.1, columns.0), tap(rows.1, columns.1)
    )
  }

  private var isFaster: Bool {
    if Backends.alwaysWinograd { return true }
    // Every block of tiles reads all filters, sixteen times as large as they are given (12 MB).
    if panels * 4 * filterSize > 3 << 20 { return false }
    let cost = WinogradCost(kernels: table.gemm.f32, lanes: table.winograd.lanes)
    let tilings = StridedWinograd.parts.map { tiling($0) }
    let places = images * (gradient ? shape.input : shape.output).height * (gradient ? shape.input : shape.output).width
    let taken = cost.strided(tilings, gradient: gradient, channels: channels, columns: columns)
    let direct = cost.direct(shape, channels: channels, columns: columns, places: places)
    return taken < (gradient ? direct / 4 : direct)
  }

  /// The transformed filters of all panels: [panel][part].
  private func transformFilters(_ weight: UnsafeRawPointer, _ target: UnsafeMutablePointer<Float>) throws {
    let layout = FilterLayout(
      columns: columns, columnStride: gradient ? taps : channels * taps, run: channels,
      runStride: gradient ? columns * taps : taps, taps: taps, tapStride: 1, merged: 1, groupStride: 0)
    let slots = try ScratchSlots(bytes: taps * panelSize * 4)
    parallelFor(panels, grain: 1) { first, last in
      slots.with { scratch in
        for panel in first..<last {
          table.gemm.f32.packFilters(layout, weight, panel, 1, scratch - panel * taps * panelSize * 4)
          for (number, part) in StridedWinograd.parts.enumerated() {
            table.winograd.transformTaps(
              scratch.assumingMemoryBound(to: Float.self), channels, taps(part),
              target + (panel * 4 + number) * filterSize)
          }
        }
      }
    }
  }

  /// The source as one part sees it.
  private func images(_ source: ChannelsLast, _ zeros: Scratch, _ part: Part, _ channels: Int) -> WinogradImages {
    let extents = gradient ? shape.output : shape.input
    let place = place(part)
    let step = gradient ? 1 : 2
    return WinogradImages(
      pointer: source.pointer, zeros: zeros.pointer, depth: extents.depth, batchStride: source.strides[0],
      depthStride: source.strides[1], height: extents.height, width: extents.width, heightStride: source.strides[2],
      widthStride: source.strides[3], dilationHeight: step, dilationWidth: step,
      paddingHeight: gradient ? (hasTwo(part.row) ? 1 : 0) - place.padding.row : place.padding.row,
      paddingWidth: gradient ? (hasTwo(part.column) ? 1 : 0) - place.padding.column : place.padding.column,
      tiling: gradient ? tiling(part) : tiling, channels: channels,
      firstPlace: gradient ? (0, 0) : place.first)
  }

  /// Forward or data gradient.
  func run(
    source pointer: UnsafeRawPointer, strides: [Int], weight: UnsafeRawPointer, epilogue: ConvolutionEpilogue,
    output: UnsafeMutableRawPointer, prepared: PreparedFilters? = nil
  ) throws {
    let input = try ChannelsLast(
      pointer, type: .float32, kernels: table.gemm.f32, batch: shape.batch, channels: channels,
      extents: gradient ? shape.output : shape.input, strides: strides, slack: false)
    let zeros = try Scratch(bytes: channels * 4)
    memset(zeros.pointer, 0, channels * 4)
    let form = PreparedFilters.Form(.stridedWinograd, [gradient ? 1 : 0, width, kernel, channels, columns])
    let filters = try PreparedFilters.get(prepared, form, bytes: panels * 4 * filterSize * 4) {
      try transformFilters(weight, $0.assumingMemoryBound(to: Float.self))
    }
    let result = gradient ? shape.input : shape.output
    let parts = StridedWinograd.parts.map { images(input, zeros, $0, channels) }
    // What is computed at once: all parts into the same places, or each into its own.
    let passes = gradient ? (0..<4).map { $0..<$0 + 1 } : [0..<4]
    // Filters come from the third-level cache for each block of tiles, whose transformed inputs stay in the second.
    let points = gradient ? 25 : isOdd ? 81 : 100
    let rows = table.gemm.f32.rows
    let multiple = max(1, min(36 / rows, (640 << 10) / (points * channels * 4 * rows)))
    let blockTiles = rows * multiple
    var tasks: [(pass: Range<Int>, first: Int, count: Int)] = []
    for pass in passes {
      for block in winogradBlocks(parts[pass.lowerBound].tiling.count, rows: rows, multiple: multiple) {
        tasks.append((pass, block.first, block.count))
      }
    }
    let (pointStride, tileStride) = winogradTileStrides(channels)
    let sourceSize = blockTiles * tileStride
    let productSize = 36 * winogradProductStride(blockTiles, table.gemm.f32.rows, width)
    let slots = try ScratchSlots(bytes: ((gradient ? 1 : 4) * sourceSize + productSize) * 4)
    parallelFor(tasks.count, grain: 1) { start, end in
      slots.with { scratch in
        let transformed = scratch.assumingMemoryBound(to: Float.self)
        let products = transformed + (gradient ? 1 : 4) * sourceSize
        for (pass, first, count) in tasks[start..<end] {
          let tiling = parts[pass.lowerBound].tiling
          for part in pass {
            var images = parts[part]
            table.winograd.wideImages.transformSource(
              &images, first, count, transformed + (part - pass.lowerBound) * sourceSize, tileStride, pointStride)
          }
          let sources = pass.map { UnsafePointer(transformed + ($0 - pass.lowerBound) * sourceSize) }
          let own = StridedWinograd.parts[pass.lowerBound]
          let step = gradient ? 2 : 1
          var target = WinogradOutput(
            imageStride: result.height * result.width * columns, height: result.height, width: result.width,
            dilationHeight: step, dilationWidth: step, tiling: tiling, channels: columns,
            firstPlace: gradient ? place(own).first : (0, 0))
          for panel in 0..<panels {
            let panelFilters = pass.map { UnsafePointer(filters.of(Float.self) + (panel * 4 + $0) * filterSize) }
            sources.withUnsafeBufferPointer { sources in
              panelFilters.withUnsafeBufferPointer { filters in
                guard let source = sources.baseAddress, let filter = filters.baseAddress else { return }
                var work = WinogradProducts(
                  sources: source, filters: filter, planes: pass.count, tileStride: tileStride,
                  pointStride: pointStride,
                  tiling: tiling, firstTile: first, tiles: count, channels: channels,
                  narrow: 2 * (columns - panel * width) <= width, adding: false, products: products,
                  isOdd: isOdd && !gradient)
                table.winograd.multiply(&work)
              }
            }
            var arguments = ConvolveArguments(
              finishing: panel * width, min(columns - panel * width, width), output: output, epilogue, unused: weight)
            table.winograd.wideImages.transformProducts(products, first, count, &target, &arguments)
          }
        }
      }
    }
  }

  /// Whether the sums of the weight gradient are few enough (4 MB) to pass by with every block of tiles.
  var sumsFit: Bool { columns % table.winograd.lanes == 0 && panels * 4 * 36 * panelSize <= 1 << 20 }

  /// The weight gradient: tasks take parts of the tiles, with sums of their own, which are added in order.
  func weightGradient(
    input: UnsafeRawPointer, inputStrides: [Int], gradOutput: UnsafeRawPointer, gradOutputStrides: [Int],
    gradWeight: UnsafeMutableRawPointer, gradBias: UnsafeMutableRawPointer?
  ) throws {
    let kernels = table.gemm.f32, winograd = table.winograd
    let source = try ChannelsLast(
      input, type: .float32, kernels: kernels, batch: shape.batch, channels: channels, extents: shape.input,
      strides: inputStrides, slack: false)
    let gradient = try ChannelsLast(
      gradOutput, type: .float32, kernels: kernels, batch: shape.batch, channels: columns, extents: shape.output,
      strides: gradOutputStrides, slack: false)
    let zeroBytes = (max(channels, columns) + width) * 4
    let zeros = try Scratch(bytes: zeroBytes)
    memset(zeros.pointer, 0, zeroBytes)
    let tiling = tiling
    let tiles = tiling.count
    let parts = StridedWinograd.parts.map { images(source, zeros, $0, channels) }
    let gradients = WinogradImages(
      pointer: gradient.pointer, zeros: zeros.pointer, depth: shape.output.depth, batchStride: gradient.strides[0],
      depthStride: gradient.strides[1], height: shape.output.height, width: shape.output.width,
      heightStride: gradient.strides[2], widthStride: gradient.strides[3], dilationHeight: 1, dilationWidth: 1,
      paddingHeight: 0, paddingWidth: 0, tiling: tiling, channels: columns, firstPlace: (0, 0))
    let pointSize = winogradPointStride(channels, width)
    let panelSums = 4 * 36 * pointSize
    let blockTiles = min(tiles, 48)
    let blocks = (tiles + blockTiles - 1) / blockTiles
    let sourceStride = winogradTileStrides(channels).point
    let sourceSize = 36 * winogradPointStride(blockTiles, sourceStride)
    let gradientSize = 36 * winogradPointStride(blockTiles, width)
    let wanted = max(1, min(blocks, min(8, max(2, (1 << 22) / (panels * panelSums)))))
    let blocksPerPart = (blocks + wanted - 1) / wanted
    let usedParts = (blocks + blocksPerPart - 1) / blocksPerPart
    let sums = try Scratch(bytes: usedParts * panels * panelSums * 4)
    let summing = WinogradSumming(
      table: table, tiling: tiling, channels: channels, columns: columns, panelGradients: gradientSize,
      panelSums: panelSums, sourceStride: sourceStride)
    let slots = try ScratchSlots(
      bytes: (4 * sourceSize + max(panels * gradientSize, taps * channels * width)) * 4)
    parallelFor(usedParts, grain: 1) { start, end in
      slots.with { scratch in
        let transformed = scratch.assumingMemoryBound(to: Float.self)
        let local = transformed + 4 * sourceSize
        for part in start..<end {
          let mine = sums.of(Float.self) + part * panels * panelSums
          for block in part * blocksPerPart..<min(blocks, (part + 1) * blocksPerPart) {
            let tile = block * blockTiles, count = min(blockTiles, tiles - tile)
            for number in 0..<4 {
              var images = parts[number]
              winograd.wideImages.transformSource(
                &images, tile, count, transformed + number * sourceSize, sourceStride,
                winogradPointStride(count, sourceStride))
            }
            var images = gradients
            for panel in 0..<panels {
              winograd.wideImages.transformGradient(
                &images, tile, count, panel * width, min(width, columns - panel * width),
                local + panel * gradientSize)
            }
            summing.add(
              (tile, count), panels: 0..<panels, sources: (0..<4).map { UnsafePointer(transformed + $0 * sourceSize) },
              gradients: local, adding: block > part * blocksPerPart,
              to: (0..<4).map { mine + $0 * 36 * pointSize }
            ) { isOdd ? winogradOddPlanes($0) : 0..<4 }
          }
        }
      }
    }
    let layout = FilterLayout(
      columns: columns, columnStride: channels * taps, run: channels, runStride: taps, taps: taps, tapStride: 1,
      merged: 1, groupStride: 0)
    parallelFor(panels, grain: 1) { first, last in
      slots.with { scratch in
        for panel in first..<last {
          let total = sums.of(Float.self) + panel * panelSums
          addParts(total, count: panelSums, parts: usedParts, stride: panels * panelSums)
          for (number, part) in StridedWinograd.parts.enumerated() {
            winograd.transformTapsGradient(
              scratch.assumingMemoryBound(to: Float.self), channels, taps(part), total + number * 36 * pointSize)
          }
          kernels.unpackFilters(layout, scratch, panel, 1, channels, gradWeight)
        }
      }
    }
    if let gradBias {
      try sumChannels(gradient, shape, kernels: kernels, to: gradBias.assumingMemoryBound(to: Float.self))
    }
  }
}

extension ConvolutionShape {
  /// Whether `StridedWinograd` computes this convolution at all.
  func allowsStridedWinograd(_ type: DType) -> Bool {
    Backends.winograd && type == .float32 && groups == 1 && inChannels > 0 && kernel.depth == 1
      && kernel.height == kernel.width && (kernel.width == 3 || kernel.width == 4)
      && stride == Extents(1, 2, 2) && dilation == Extents(1, 1, 1) && padding.depth == 0
      && input.depth == output.depth
  }
}

extension WinogradCost {
  /// Of the four parts, whose tiles are the same places, or places of their own.
  func strided(_ parts: [WinogradTiling], gradient: Bool, channels: Int, columns: Int) -> Double {
    let panels = (columns + kernels.columns - 1) / kernels.columns
    let tiles = parts[0].count
    let rows = Double((tiles + kernels.rows - 1) / kernels.rows * kernels.rows) / Double(max(1, tiles))
    let products = rows * Double(parts.reduce(0) { $0 + $1.points } * channels * panels * 2)
    let transforms = tiles * (4 * channels + (gradient ? 4 : 1) * columns) / lanes * 180
    let filters = 4 * channels * panels * 2 * 130
    return products + Double(transforms + filters)
  }
}
