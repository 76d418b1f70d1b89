import KernelTypes

/// Convolution as a product of an implicit matrix (one row per output place, gathered through tables of
/// addresses, see `RowGeometry`) and packed filters. Serves the forward pass and the data gradient alike.
///
/// All but the numbers themselves: kept with the weight for evaluation, where finding out how the work is cut would take
/// as long as the work on a small image.
final class RowConvolution {
  let sizes: Sizes
  private let work: Work
  private let panels: Int
  private let panelStride: Int
  private let packed: Scratch?
  private let zeros: Scratch

  /// With `prepared`, the filters are packed now and kept there. Otherwise, where one chunk of rows is all there is, its
  /// tasks pack the filters that they multiply, and nobody else needs them.
  init(_ sizes: Sizes, weight: UnsafeRawPointer, prepared: PreparedFilters?) throws {
    self.sizes = sizes
    let (size, width) = (sizes.type.size, sizes.kernels.columns)
    let panels = (sizes.groupColumns + width - 1) / width
    let panelStride = sizes.taps * sizes.run * width
    work = Work(sizes, panels: panels)
    packed =
      prepared == nil && work.rowChunks.count == 1
      ? nil
      : try PreparedFilters.get(
        prepared,
        PreparedFilters.Form(
          .rows, [sizes.groups, sizes.groupFilterStride, width, sizes.filterSize] + sizes.layout.form),
        bytes: sizes.groups * panels * panelStride * size
      ) { sizes.pack(weight, $0, panels: panels, panelStride: panelStride) }
    (self.panels, self.panelStride) = (panels, panelStride)
    // Every group reads the padding at its own offset.
    let zeroCount = sizes.groups * sizes.groupSourceChannels
    zeros = try Scratch(bytes: zeroCount * size)
    memset(zeros.pointer, 0, zeroCount * size)
  }

  func run(
    source: ChannelsLast, weight: UnsafeRawPointer, epilogue: ConvolutionEpilogue, output: UnsafeMutableRawPointer
  ) throws {
    // The kernels are called where they are: a copy of so many closures counts references to all of them.
    let (size, groups, tileRows, width) = (sizes.type.size, sizes.groups, sizes.kernels.rows, sizes.kernels.columns)
    let ownPanels = packed == nil ? work.panelsPerChunk * panelStride * size : 0
    // Work is cut by output places, and where these are few, by columns.
    let tableBytes = (work.tilesPerChunk * work.tableWords * 8 + 63) / 64 * 64
    let slots = try ScratchSlots(bytes: tableBytes + ownPanels)
    // All groups of a chunk in one task: they share tables and the input's cache lines.
    let groupsPerTask = work.rowChunks.count * work.columnChunks >= 16 ? groups : 1
    let groupTasks = groups / groupsPerTask
    parallelFor(work.rowChunks.count * work.columnChunks * groupTasks, grain: 1) { first, last in
      for chunk in first..<last {
        let firstGroup = chunk % groupTasks * groupsPerTask
        let rowChunk = chunk / groupTasks / work.columnChunks
        let firstPanel = chunk / groupTasks % work.columnChunks * work.panelsPerChunk
        let columns = min(sizes.groupColumns - firstPanel * width, work.panelsPerChunk * width)
        let (passIndex, firstRow, rows) = work.rowChunks[rowChunk]
        var geometry = sizes.passes[passIndex].geometry(
          source: source.pointer, zeros: UnsafeRawPointer(zeros.pointer), batch: sizes.batch,
          batchStride: source.strides[0] * size, outputBatchStride: sizes.outputBatchStride)
        let tiles = (rows + tileRows - 1) / tileRows
        slots.with { scratch in
          let tables = scratch.assumingMemoryBound(to: Int.self)
          sizes.kernels.gatherRows(&geometry, firstRow, rows, tiles, tables)
          for group in firstGroup..<firstGroup + groupsPerTask {
            var panelStart = UnsafeRawPointer(scratch + tableBytes)
            if let packed {
              panelStart = UnsafeRawPointer(packed.pointer + (group * panels + firstPanel) * panelStride * size)
            } else {
              sizes.kernels.packFilters(
                sizes.layout, weight + group * sizes.groupFilterStride * sizes.filterSize, firstPanel,
                (columns + width - 1) / width,
                scratch + (tableBytes - firstPanel * panelStride * size))
            }
            var arguments = ConvolveArguments(
              tables: tables, tableWords: geometry.tableWords(tileRows: tileRows), tiles: tiles,
              lastRows: rows - (tiles - 1) * tileRows, run: sizes.run,
              weights: panelStart,
              panelStride: panelStride, firstColumn: group * sizes.groupColumns + firstPanel * width,
              columns: columns, sourceOffset: group * sizes.groupSourceChannels, output: output,
              bias: epilogue.bias, scale: epilogue.scale, shift: epilogue.shift, residual: epilogue.residual,
              relu: epilogue.relu)
            sizes.kernels.convolveRows(&arguments)
          }
        }
      }
    }
  }

  /// How the work is cut into chunks.
  private struct Work {
    /// Pass, first row and number of rows of each chunk.
    var rowChunks: [(pass: Int, first: Int, rows: Int)] = []
    var tilesPerChunk: Int
    var panelsPerChunk: Int
    var columnChunks: Int
    var tableWords = 0

    init(_ convolution: Sizes, panels: Int) {
      let tileRows = convolution.kernels.rows
      let taps = convolution.passes.map(\.taps).max() ?? 0
      tableWords = 1 + tileRows + taps * (1 + tileRows)
      let tiles = convolution.passes.reduce(0) { $0 + ($1.rows + tileRows - 1) / tileRows }
      // Tables of a chunk take up to 64 KiB; a chunk has up to 16 tiles, more for small products.
      let terms = max(1, convolution.run * taps * panels)
      let wanted = max(16, min(64, (1 << 12) / terms))
      tilesPerChunk = max(1, min(wanted, (1 << 13) / tableWords))
      if taps == 1 {
        // The sources of a chunk pass by several panels: 256 KiB of them stay in the second-level cache.
        let tileSize = max(1, tileRows * convolution.run * convolution.type.size)
        tilesPerChunk = max(1, min(tilesPerChunk, max(4, (1 << 18) / tileSize)))
      }
      let estimate = (tiles + tilesPerChunk - 1) / tilesPerChunk * (panels == 1 ? convolution.groups : 1)
      columnChunks = estimate >= 32 ? 1 : min(panels, (32 + estimate - 1) / max(estimate, 1))
      panelsPerChunk = max(1, (panels + columnChunks - 1) / max(columnChunks, 1))
      columnChunks = (panels + panelsPerChunk - 1) / panelsPerChunk
      if estimate * columnChunks < 16 { tilesPerChunk = max(1, min(tilesPerChunk, tiles / 16)) }
      for (index, pass) in convolution.passes.enumerated() {
        for first in stride(from: 0, to: pass.rows, by: tilesPerChunk * tileRows) {
          rowChunks.append((index, first, min(tilesPerChunk * tileRows, pass.rows - first)))
        }
      }
    }
  }
}

extension RowConvolution {
  /// What follows from the sizes of a convolution and from where its source's elements lie.
  struct Sizes {
    let type: DType
    let kernels: ProductKernels
    let batch: Int
    let passes: [ConvolutionPass]
    /// Groups after merging, and sizes of one.
    let groups: Int
    let run: Int
    let groupSourceChannels: Int
    let groupColumns: Int
    let taps: Int
    let layout: FilterLayout
    /// Elements from one group's filters to the next's.
    let groupFilterStride: Int
    let outputBatchStride: Int
    /// Bytes of a number of the filters as the caller has them.
    let filterSize: Int

    fileprivate func pack(
      _ weight: UnsafeRawPointer, _ packed: UnsafeMutableRawPointer, panels: Int, panelStride: Int
    ) {
      parallelFor(groups * panels, grain: max(1, (1 << 14) / max(panelStride, 1))) { first, last in
        for item in first..<last {
          let group = item / panels
          kernels.packFilters(
            layout, weight + group * groupFilterStride * filterSize, item % panels, 1,
            packed + group * panels * panelStride * type.size)
        }
      }
    }
  }
}

/// Strides of a dense channels-last image: N, D, H, W, in elements.
func channelsLastStrides(_ extents: Extents, _ channels: Int) -> [Int] {
  [extents.count * channels, extents.height * extents.width * channels, extents.width * channels, channels]
}

extension RowConvolution.Sizes {
  /// The forward pass, or the data gradient, over sources that are channels-last images with these strides, `merged`
  /// groups computed as one. With `pairs`, an element is two numbers that are adjacent channels.
  init(
    _ type: DType, _ kernels: ProductKernels, _ shape: ConvolutionShape, gradient: Bool, sourceStrides: [Int],
    merged: Int = 1, pairs: Bool = false
  ) {
    let numbers = (gradient ? shape.groupOutChannels : shape.groupInChannels) * merged
    let columns = (gradient ? shape.groupInChannels : shape.groupOutChannels) * merged
    let run = pairs ? (numbers + 1) / 2 : numbers
    let taps = shape.kernel.count, filter = shape.groupInChannels * taps
    let outputStrides = channelsLastStrides(
      gradient ? shape.input : shape.output, gradient ? shape.inChannels : shape.outChannels)
    let (from, to) = (Array(sourceStrides[1...]), Array(outputStrides[1...]))
    let axes =
      gradient
      ? shape.dataGradientAxes(sourceStrides: from, outputStrides: to)
      : [shape.forwardAxes(sourceStrides: from, outputStrides: to, mergedWidth: false)]
    self.init(
      type: type, kernels: kernels, batch: shape.batch,
      passes: axes.map {
        ConvolutionPass(batch: shape.batch, axes: $0, elementSize: type.size, tapUnit: run * kernels.columns)
      }, groups: shape.groups / merged, run: run, groupSourceChannels: run, groupColumns: columns,
      taps: taps,
      layout: FilterLayout(
        columns: columns, columnStride: gradient ? taps : filter, run: numbers, runStride: gradient ? filter : taps,
        taps: taps, tapStride: 1, merged: merged, groupStride: merged > 1 ? shape.groupOutChannels * filter : 0),
      groupFilterStride: merged * shape.groupOutChannels * filter, outputBatchStride: outputStrides[0],
      filterSize: pairs ? 2 : type.size)
  }
}

/// `key`: under what to keep the convolution with the weight's filters, if anything is kept.
func rowConvolutionForward(
  _ type: DType, _ shape: ConvolutionShape, input: UnsafeRawPointer, inputStrides: [Int],
  weight: UnsafeRawPointer, epilogue: ConvolutionEpilogue, output: UnsafeMutableRawPointer,
  prepared: PreparedFilters? = nil, key: ConvolutionKey? = nil, kernels: ProductKernels
) throws {
  let source = try ChannelsLast(
    input, type: type, kernels: kernels, batch: shape.batch, channels: shape.inChannels, extents: shape.input,
    strides: inputStrides, slack: false)
  let convolution = try RowConvolution(
    RowConvolution.Sizes(
      type, kernels, shape, gradient: false, sourceStrides: source.strides,
      merged: shape.mergedGroups(lanes: kernels.columns / 2)),
    weight: weight, prepared: prepared)
  try convolution.run(source: source, weight: weight, epilogue: epilogue, output: output)
  if let key { prepared?.keep(convolution, as: key) }
}

func rowConvolutionDataGradient(
  _ type: DType, _ shape: ConvolutionShape, gradOutput: UnsafeRawPointer, gradOutputStrides: [Int],
  weight: UnsafeRawPointer, gradInput: UnsafeMutableRawPointer, kernels: ProductKernels
) throws {
  let source = try ChannelsLast(
    gradOutput, type: type, kernels: kernels, batch: shape.batch, channels: shape.outChannels,
    extents: shape.output, strides: gradOutputStrides, slack: false)
  try RowConvolution(
    RowConvolution.Sizes(
      type, kernels, shape, gradient: true, sourceStrides: source.strides,
      merged: shape.mergedGroups(lanes: kernels.columns / 2)),
    weight: weight, prepared: nil
  ).run(source: source, weight: weight, epilogue: ConvolutionEpilogue(), output: gradInput)
}
