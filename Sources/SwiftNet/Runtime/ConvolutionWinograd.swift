import KernelTypes

/// A 3×3 convolution with stride 1 by Winograd's algorithm, forward or its data gradient (which is a forward
/// convolution with flipped filters and the padding turned round).
///
/// Volumes: each of the kernel's planes is such a convolution of planes, and the products of all of them are summed
/// before they are transformed back. A tile is then one of a whole stack of planes; work walks down the stack, so that
/// every plane is transformed once.
///
/// Images of bfloat16 are widened as tiles are read, and results rounded as they are written; filters are float32.
///
/// Groups are convolutions of their own, one after the other, on their channels of the images.
struct WinogradConvolution {
  private let type: DType
  private let table: KernelTable
  /// That of one group.
  private let shape: ConvolutionShape
  private let groups: Int
  private let gradient: Bool
  /// Input channels of the filters, of which `shape` may be the convolution of some only.
  private let filterChannels: Int
  private let channels: Int
  private let columns: Int
  /// Tiles of one block, whose transformed inputs stay in the second-level cache.
  private let blockTiles: Int
  private let blockMultiple: Int
  private let tiling: WinogradTiling

  private var transformFilter: WinogradFilterKernel {
    tiling.isTwoByTwo ? table.winograd.transformFilterForTwo : table.winograd.transformFilter
  }
  private var source: Extents { gradient ? shape.output : shape.input }
  private var result: Extents { gradient ? shape.input : shape.output }
  /// Whether the tiles are few, so that the work is cut by columns.
  private var sharesTiles: Bool { shape.kernel.depth == 1 && tiles <= 256 && columns >= 4 * table.gemm.f32.columns }
  /// Tiles of one plane of all stacks.
  private var tiles: Int { tiling.count }
  /// Planes of a stack.
  private var planes: Int { shape.planes(result) }

  /// nil where the shape is not one for Winograd, or where the row kernels are expected to be faster.
  ///
  /// - Parameter filterChannels: input channels of the filters, if `shape` is the convolution of some of them only; what
  ///   is faster was decided for all then.
  init?(_ type: DType, _ shape: ConvolutionShape, gradient: Bool, table: KernelTable, filterChannels: Int? = nil) {
    guard shape.allowsWinograd(type) else { return nil }
    self.type = type
    self.table = table
    groups = shape.groups
    let shape = shape.oneGroup
    self.shape = shape
    self.gradient = gradient
    self.filterChannels = filterChannels ?? shape.inChannels
    channels = gradient ? shape.outChannels : shape.inChannels
    columns = gradient ? shape.inChannels : shape.outChannels
    if channels % table.winograd.lanes != 0 { return nil }
    let result = gradient ? shape.input : shape.output
    tiling = shape.winogradTiling(result)
    // The filters come from the third-level cache for each block: the fewer, the better, as long as the block stays in the
    // second. Of volumes, several planes of it must stay.
    let rows = table.gemm.f32.rows
    blockMultiple = shape.kernel.depth > 1 ? 1 : max(1, min(36 / rows, (512 << 10) / (36 * channels * 4 * rows)))
    blockTiles = rows * blockMultiple
    let images = shape.batch * result.depth
    let cost = WinogradCost(kernels: table.gemm.f32, lanes: table.winograd.lanes)
    let winograd = cost.forward(
      shape, tiling, planes: shape.planes(result), channels: channels, columns: columns)
    let direct = cost.direct(
      shape, channels: channels, columns: columns, places: images * result.height * result.width)
    if winograd >= direct && !Backends.alwaysWinograd && filterChannels == nil { return nil }
  }

  /// Images of bfloat16 must have adjacent channels; the weight and the epilogue's bias are float32.
  func run(
    source: UnsafeRawPointer, strides: [Int], weight: UnsafeRawPointer, epilogue: ConvolutionEpilogue,
    output: UnsafeMutableRawPointer, prepared: PreparedFilters? = nil
  ) throws {
    for group in 0..<groups {
      try run(
        group: group, source: source + group * channels * strides[1] * type.size, strides: strides,
        weight: weight + group * shape.weightCount * 4,
        epilogue: epilogue.from(channel: group * columns, size: type.size, biasSize: 4),
        output: output + group * columns * type.size, prepared: prepared)
    }
  }

  private func run(
    group: Int, source pointer: UnsafeRawPointer, strides: [Int], weight: UnsafeRawPointer,
    epilogue: ConvolutionEpilogue, output: UnsafeMutableRawPointer, prepared: PreparedFilters?
  ) throws {
    let kernels = table.gemm.f32
    let input = try ChannelsLast(
      pointer, type: type, kernels: kernels, batch: shape.batch, channels: channels, extents: source,
      strides: strides, slack: false)
    let zeros = try Scratch(bytes: channels * 4)
    memset(zeros.pointer, 0, channels * 4)
    let padding = shape.gridPadding
    let images = shape.winogradImages(
      input, source, channels, padding: gradient ? (2 - padding.height, 2 - padding.width) : padding, zeros, tiling,
      inStacks: planes > 1)
    let width = kernels.columns
    let panels = (columns + width - 1) / width
    let taps = shape.kernel.count
    let layout =
      gradient
      ? FilterLayout(
        columns: columns, columnStride: taps, run: channels, runStride: filterChannels * taps, taps: taps, tapStride: 1,
        merged: 1, groupStride: 0)
      : FilterLayout(
        columns: columns, columnStride: filterChannels * taps, run: channels, runStride: taps, taps: taps, tapStride: 1,
        merged: 1, groupStride: 0)
    let arguments = Arguments(
      group: group, output: output, epilogue: epilogue, images: images, planeStride: input.strides[1], layout: layout,
      weight: weight, panels: panels)
    if sharesTiles { try runByColumns(arguments, prepared) } else { try runByTiles(arguments, prepared) }
  }

  /// What both ways to cut the work need.
  private struct Arguments {
    var group: Int
    var output: UnsafeMutableRawPointer
    var epilogue: ConvolutionEpilogue
    var images: WinogradImages
    /// From one plane of a stack to the next.
    var planeStride: Int
    var layout: FilterLayout
    var weight: UnsafeRawPointer
    var panels: Int
  }

  /// From one place of the result to the next.
  private var resultChannels: Int { groups * columns }
  private var tileColumns: Int { table.gemm.f32.columns }
  private var panelSize: Int { channels * tileColumns }
  private var outputTiling: WinogradOutput {
    WinogradOutput(
      imageStride: result.count / (planes == 1 ? result.depth : 1) * resultChannels, height: result.height,
      width: result.width, dilationHeight: shape.dilation.height,
      dilationWidth: shape.dilation.width, tiling: tiling, channels: resultChannels)
  }

  /// Numbers that the products of so many tiles take.
  private func productSize(_ tiles: Int) -> Int {
    36 * winogradProductStride(tiles, table.gemm.f32.rows, tileColumns)
  }

  /// The direct form [tap][channels][columns] of one panel of filters, or of some of their channels.
  private func packFilters(
    _ x: Arguments, _ panel: Int, _ packed: UnsafeMutableRawPointer, channels part: Range<Int>? = nil
  ) {
    let part = part ?? 0..<channels
    var layout = x.layout
    layout.run = part.count
    // The kernel writes a panel at its number times its size.
    table.gemm.f32.packFilters(
      layout, x.weight + part.lowerBound * layout.runStride * 4, panel, 1,
      packed - panel * layout.taps * part.count * tileColumns * 4)
  }

  /// The plane of the source that a plane of the kernel sees from one of the result; nil in the padding.
  private func sourcePlane(_ plane: Int, _ tap: Int) -> Int? {
    if planes == 1 { return 0 }
    let offset = tap * shape.dilation.depth - shape.padding.depth
    let seen = gradient ? plane - offset : plane + offset
    return seen >= 0 && seen < source.depth ? seen : nil
  }

  /// Products of some tiles with one panel of columns, summed over the planes of the kernel for which there are sources.
  private func multiply(
    _ sources: [UnsafePointer<Float>], _ filters: [UnsafePointer<Float>], tileStride: Int, pointStride: Int,
    _ firstTile: Int, _ count: Int, channels: Int, _ panel: Int, adding: Bool, to products: UnsafeMutablePointer<Float>
  ) {
    if sources.isEmpty {
      memset(products, 0, productSize(count) * 4)
      return
    }
    sources.withUnsafeBufferPointer { sources in
      filters.withUnsafeBufferPointer { filters in
        guard let source = sources.baseAddress, let filter = filters.baseAddress else { return }
        var work = WinogradProducts(
          sources: source, filters: filter, planes: sources.count, tileStride: tileStride, pointStride: pointStride,
          tiling: tiling, firstTile: firstTile, tiles: count, channels: channels,
          narrow: 2 * (columns - panel * tileColumns) <= tileColumns, adding: adding, products: products)
        table.winograd.multiply(&work)
      }
    }
  }

  /// Output transform and epilogue of some tiles in one plane of their stacks for one panel of columns.
  private func finish(
    _ x: Arguments, _ products: UnsafePointer<Float>, _ firstTile: Int, _ count: Int, _ plane: Int, _ panel: Int
  ) {
    var tiling = outputTiling
    let bytes = plane * result.height * result.width * resultChannels * type.size
    var e = x.epilogue
    e.residual = e.residual.map { $0 + bytes }
    var arguments = ConvolveArguments(
      finishing: panel * tileColumns, min(columns - panel * tileColumns, tileColumns), output: x.output + bytes, e,
      unused: x.weight)
    table.winograd.images(type).transformProducts(products, firstTile, count, &tiling, &arguments)
  }

  /// Many tiles: the filters are transformed once; then a task takes a block of tiles through all steps, so that
  /// the transformed tiles never leave the second-level cache.
  private func runByTiles(_ x: Arguments, _ prepared: PreparedFilters?) throws {
    let blocks = winogradBlocks(tiles, rows: table.gemm.f32.rows, multiple: blockMultiple)
    let panels = x.panels
    let filterSize = 36 * winogradPointStride(channels, tileColumns)
    let (pointStride, tileStride) = winogradTileStrides(channels)
    let sourceSize = blockTiles * tileStride
    let productSize = productSize(blockTiles)
    // The planes that one plane of the result sees are kept, each in its place of a ring.
    let depthTaps = shape.kernel.depth
    let ring = (depthTaps - 1) * shape.dilation.depth + 1
    let slots = try ScratchSlots(bytes: max(ring * sourceSize + productSize, 9 * depthTaps * panelSize) * 4)
    let form = PreparedFilters.Form(
      .winograd, [gradient ? 1 : 0, tiling.isTwoByTwo ? 1 : 0, tileColumns, x.group] + x.layout.form)
    let filters = try PreparedFilters.get(prepared, form, bytes: panels * depthTaps * filterSize * 4) { transformed in
      let target = transformed.assumingMemoryBound(to: Float.self)
      parallelFor(panels, grain: 1) { first, last in
        slots.with { scratch in
          for panel in first..<last {
            packFilters(x, panel, scratch)
            for tap in 0..<depthTaps {
              transformFilter(
                scratch.assumingMemoryBound(to: Float.self) + tap * 9 * panelSize, channels, (0, channels), gradient,
                target + (panel * depthTaps + tap) * filterSize)
            }
          }
        }
      }
    }
    parallelFor(blocks.count, grain: 1) { start, end in
      slots.with { scratch in
        let transformed = scratch.assumingMemoryBound(to: Float.self)
        let products = transformed + ring * sourceSize
        for (first, count) in blocks[start..<end] {
          var known = 0
          for plane in 0..<planes {
            let seen = (0..<depthTaps).compactMap { tap in sourcePlane(plane, tap).map { (tap: tap, plane: $0) } }
            let needed = (seen.map(\.plane).max() ?? -1) + 1
            while known < needed {
              var images = x.images
              images.pointer += known * x.planeStride * type.size
              table.winograd.images(type).transformSource(
                &images, first, count, transformed + known % ring * sourceSize, tileStride, pointStride)
              known += 1
            }
            let sources = seen.map { UnsafePointer(transformed + $0.plane % ring * sourceSize) }
            for panel in 0..<panels {
              let filters = seen.map {
                UnsafePointer(filters.of(Float.self) + (panel * depthTaps + $0.tap) * filterSize)
              }
              multiply(
                sources, filters, tileStride: tileStride, pointStride: pointStride, first, count, channels: channels,
                panel, adding: false, to: products)
              finish(x, products, first, count, plane, panel)
            }
          }
        }
      }
    }
  }

  /// Few tiles and large filters: the tiles are transformed once; then a task takes a block of columns, whose
  /// filters it transforms a few channels at a time, so that they never leave the second-level cache.
  private func runByColumns(_ x: Arguments, _ prepared: PreparedFilters?) throws {
    // 128 channels of 32 columns at 36 points, or 512 at nine: 590 kB.
    let part = tiling.isTwoByTwo ? 512 : 128
    // Of many channels, which would not stay in the third-level cache for the next panel, some at a time.
    let most = max(1, (12 << 20) / (tiles * 36 * 4 * part)) * part
    let slabs = (channels + most - 1) / most
    let slab = slabs == 1 ? channels : (channels / slabs + part - 1) / part * part
    let (pointStride, tileStride) = winogradTileStrides(slab)
    let transformed = try Scratch(bytes: tiles * tileStride * 4)
    let productSize = productSize(tiles)
    let filterSize = 36 * winogradPointStride(min(part, slab), tileColumns)
    let packedSize = 9 * slab * tileColumns
    let slots = try ScratchSlots(bytes: (productSize + packedSize + filterSize) * 4)
    let sums = slab < channels ? try Scratch(bytes: x.panels * productSize * 4) : nil
    // Where filters are kept, in the direct form: transformed they are four times as large, and come from memory.
    let form = PreparedFilters.Form(.winogradPanels, [gradient ? 1 : 0, tileColumns, x.group] + x.layout.form)
    let kept = try prepared.map {
      try PreparedFilters.get($0, form, bytes: x.panels * 9 * panelSize * 4) { packed in
        parallelFor(x.panels, grain: 1) { first, last in
          for panel in first..<last { packFilters(x, panel, packed + panel * 9 * panelSize * 4) }
        }
      }
    }
    for slabStart in stride(from: 0, to: channels, by: slab) {
      let slabChannels = slabStart..<min(slabStart + slab, channels)
      parallelFor(tiles, grain: 4) { first, last in
        var images = x.images
        images.pointer += slabStart * type.size
        images.channels = slabChannels.count
        table.winograd.images(type).transformSource(
          &images, first, last - first, transformed.of(Float.self) + first * tileStride, tileStride, pointStride)
      }
      parallelFor(x.panels, grain: 1) { start, end in
        slots.with { scratch in
          let room = scratch.assumingMemoryBound(to: Float.self)
          let filters = room + productSize + packedSize
          for panel in start..<end {
            let products = sums.map { $0.of(Float.self) + panel * productSize } ?? room
            let packed = kept.map { $0.of(Float.self) + panel * 9 * panelSize } ?? room + productSize
            if kept == nil { packFilters(x, panel, packed, channels: slabChannels) }
            let (packedChannels, packedStart) = kept == nil ? (slabChannels.count, slabStart) : (channels, 0)
            for first in stride(from: slabStart, to: slabChannels.upperBound, by: part) {
              let count = min(part, slabChannels.upperBound - first)
              transformFilter(packed, packedChannels, (first - packedStart, count), gradient, filters)
              multiply(
                [UnsafePointer(transformed.of(Float.self) + (first - slabStart))], [UnsafePointer(filters)],
                tileStride: tileStride, pointStride: pointStride, 0, tiles, channels: count, panel, adding: first > 0,
                to: products)
            }
            if slabChannels.upperBound == channels { finish(x, products, 0, tiles, 0, panel) }
          }
        }
      }
    }
  }
}

/// Blocks of tiles, the last ones smaller, so that threads end together. They depend on the number of tiles alone.
func winogradBlocks(_ tiles: Int, rows: Int, multiple: Int) -> [(first: Int, count: Int)] {
  var blocks: [(first: Int, count: Int)] = []
  var first = 0
  while first < tiles {
    let left = tiles - first
    let count = min(left, left > 4 * multiple * rows ? multiple * rows : rows)
    blocks.append((first, count))
    first += count
  }
  return blocks
}

extension ConvolutionShape {
  /// Whether Winograd's algorithm computes this convolution at all.
  func allowsWinograd(_ type: DType) -> Bool {
    Backends.winograd && (type == .float32 || type == .bfloat16) && inChannels > 0 && kernel.height == 3
      && kernel.width == 3
      && stride == Extents(1, 1, 1) && padding.height % dilation.height == 0 && padding.width % dilation.width == 0
      && (kernel.depth > 1 || padding.depth == 0 && input.depth == output.depth)
      // A group has several tasks of its own.
      && (groups == 1 || groups > 1 && min(groupInChannels, groupOutChannels) >= 64)
  }

  /// Images that count as one: planes, or stacks of them where the kernel has a depth.
  func stacks(_ extents: Extents) -> Int { kernel.depth == 1 ? batch * extents.depth : batch }

  /// Planes of one.
  func planes(_ extents: Extents) -> Int { kernel.depth == 1 ? 1 : extents.depth }

  /// Tiles of one plane of all stacks, as the longest grid of a dilated convolution needs them.
  func winogradTiling(_ result: Extents) -> WinogradTiling {
    let images = stacks(result) * grids
    let rows = (result.height + dilation.height - 1) / dilation.height
    let columns = (result.width + dilation.width - 1) / dilation.width
    if rows == 2 && columns == 2 && gridPadding == (1, 1) { return WinogradTiling(twoByTwo: images) }
    return WinogradTiling(images: images, rows: rows, columns: columns)
  }

  /// Images as the transforms read them, or stacks of planes.
  @inline(never)
  func winogradImages(
    _ x: ChannelsLast, _ extents: Extents, _ channels: Int, padding: (height: Int, width: Int), _ zeros: Scratch,
    _ tiling: WinogradTiling, inStacks: Bool
  ) -> WinogradImages {
    WinogradImages(
      pointer: x.pointer, zeros: zeros.pointer, depth: inStacks ? 1 : extents.depth, batchStride: x.strides[0],
      depthStride: x.strides[1], height: extents.height, width: extents.width, heightStride: x.strides[2],
      widthStride: x.strides[3], dilationHeight: dilation.height, dilationWidth: dilation.width,
      paddingHeight: padding.height, paddingWidth: padding.width, tiling: tiling, channels: channels)
  }

  /// The images that a dilated convolution falls into: each of every dilation-th row and column.
  var grids: Int { dilation.height * dilation.width }
  /// The padding of one.
  var gridPadding: (height: Int, width: Int) { (padding.height / dilation.height, padding.width / dilation.width) }
}

extension WinogradKernels {
  /// Those for images of a dtype.
  func images(_ type: DType) -> WinogradImageKernels { type == .bfloat16 ? narrowImages : wideImages }
}

/// A rough model of the time of both ways, in vector multiplications.
struct WinogradCost {
  let kernels: ProductKernels
  let lanes: Int

  private func panels(_ columns: Int) -> Int { (columns + kernels.columns - 1) / kernels.columns }

  func forward(
    _ shape: ConvolutionShape, _ tiling: WinogradTiling, planes: Int, channels: Int, columns: Int
  ) -> Double {
    let tiles = tiling.count * planes
    let rows = (tiles + kernels.rows - 1) / kernels.rows * kernels.rows
    // Products of one pair of channels, with empty rows of the last register tile in proportion.
    let pairs = Double(tiling.points * planes) * Double(rows) / Double(max(1, tiles))
    let products = Int(pairs) * channels * panels(columns) * 2 * shape.kernel.depth
    // A transform of one vector of channels takes about as long as 250 (input, output) or 200 (filter)
    // multiplications; where an image has four places, a quarter of that.
    let transforms = tiles * (channels + columns) / lanes * (tiling.isTwoByTwo ? 60 : 250)
    let filters = channels * panels(columns) * 2 * (tiling.isTwoByTwo ? 50 : 200) * shape.kernel.depth
    return Double(products + transforms + filters)
  }

  func direct(_ shape: ConvolutionShape, channels: Int, columns: Int, places: Int) -> Double {
    let taps = shape.kernel.width
    // Taps that only see padding are skipped on tiny images.
    func used(_ size: Int, _ padding: Int, _ input: Int, _ dilation: Int, _ step: Int) -> Double {
      var seen = 0
      for place in 0..<size {
        for tap in 0..<taps {
          let from = place * step + tap * dilation - padding
          if from >= 0 && from < input { seen += 1 }
        }
      }
      return Double(seen) / Double(max(1, size))
    }
    let tiny = shape.output.height * shape.output.width <= 64 && shape.batch >= 8
    let active =
      tiny
      ? used(
        shape.output.height, shape.padding.height, shape.input.height, shape.dilation.height, shape.stride.height)
        * used(shape.output.width, shape.padding.width, shape.input.width, shape.dilation.width, shape.stride.width)
      : Double(taps * taps)
    return active * Double(shape.kernel.depth * places * channels * panels(columns) * 2) * 1.05
  }
}

extension WinogradConvolution {
  /// Whether a convolution of bfloat16 is faster so, in float32, than directly on pairs.
  static func paysBesidePairs(_ shape: ConvolutionShape, gradient: Bool, table: KernelTable) -> Bool {
    guard let winograd = WinogradConvolution(.bfloat16, shape, gradient: gradient, table: table) else { return false }
    let cost = WinogradCost(kernels: table.gemm.f32, lanes: table.winograd.lanes)
    let result = gradient ? shape.input : shape.output
    let places = shape.batch * result.count
    let group = shape.oneGroup
    let direct = cost.direct(group, channels: winograd.channels, columns: winograd.columns, places: places)
    let transformed = cost.forward(
      group, winograd.tiling, planes: winograd.planes, channels: winograd.channels, columns: winograd.columns)
    return transformed < direct / 2
  }
}
