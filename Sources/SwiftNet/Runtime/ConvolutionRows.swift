import KernelTypes

/// Convolution as a product of an implicit matrix (one row per output place, gathered through tables of
/// addresses, see `RowGeometry`) and packed filters. Serves the forward pass and the data gradient alike.
struct RowConvolution {
  var type: DType
  var kernels: ProductKernels
  var batch: Int
  var passes: [ConvolutionPass]
  var source: ChannelsLast
  /// Groups after merging, and sizes of one.
  var groups: Int
  var run: Int
  var groupSourceChannels: Int
  var groupColumns: Int
  var taps: Int
  var layout: FilterLayout
  /// Elements from one group's filters to the next's.
  var groupFilterStride: Int
  var outputBatchStride: Int
  /// Bytes of a number of the filters as the caller has them.
  var filterSize: Int

  func run(
    weight: UnsafeRawPointer, epilogue: ConvolutionEpilogue, output: UnsafeMutableRawPointer,
    prepared: PreparedFilters? = nil
  ) throws {
    let size = type.size
    let panels = (groupColumns + kernels.columns - 1) / kernels.columns
    let panelStride = taps * run * kernels.columns
    let form = [1, groups, groupFilterStride, kernels.columns, filterSize] + layout.form
    let work = Work(self, panels: panels)
    // Where one chunk of rows is all there is, its tasks pack the filters that they multiply, and nobody else needs them.
    let packsInTasks = prepared == nil && work.rowChunks.count == 1
    let packed =
      packsInTasks
      ? nil
      : try PreparedFilters.get(prepared, form, bytes: groups * panels * panelStride * size) {
        pack(weight, $0, panels: panels, panelStride: panelStride)
      }
    let ownPanels = packsInTasks ? work.panelsPerChunk * panelStride * size : 0
    // Every group reads the padding at its own offset.
    let zeroCount = groups * groupSourceChannels
    let zeros = try Scratch(bytes: zeroCount * size)
    memset(zeros.pointer, 0, zeroCount * size)

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
        let columns = min(groupColumns - firstPanel * kernels.columns, work.panelsPerChunk * kernels.columns)
        let (passIndex, firstRow, rows) = work.rowChunks[rowChunk]
        var geometry = passes[passIndex].geometry(
          source: source.pointer, zeros: UnsafeRawPointer(zeros.pointer), batch: batch,
          batchStride: source.strides[0] * size, outputBatchStride: outputBatchStride)
        let tiles = (rows + kernels.rows - 1) / kernels.rows
        slots.with { scratch in
          let tables = scratch.assumingMemoryBound(to: Int.self)
          kernels.gatherRows(&geometry, firstRow, rows, tiles, tables)
          for group in firstGroup..<firstGroup + groupsPerTask {
            var panelStart = UnsafeRawPointer(scratch + tableBytes)
            if let packed {
              panelStart = UnsafeRawPointer(packed.pointer + (group * panels + firstPanel) * panelStride * size)
            } else {
              kernels.packFilters(
                layout, weight + group * groupFilterStride * filterSize, firstPanel,
                (columns + kernels.columns - 1) / kernels.columns,
                scratch + (tableBytes - firstPanel * panelStride * size))
            }
            var arguments = ConvolveArguments(
              tables: tables, tableWords: geometry.tableWords(tileRows: kernels.rows), tiles: tiles,
              lastRows: rows - (tiles - 1) * kernels.rows, run: run,
              weights: panelStart,
              panelStride: panelStride, firstColumn: group * groupColumns + firstPanel * kernels.columns,
              columns: columns, sourceOffset: group * groupSourceChannels, output: output,
              bias: epilogue.bias, scale: epilogue.scale, shift: epilogue.shift, residual: epilogue.residual,
              relu: epilogue.relu)
            kernels.convolveRows(&arguments)
          }
        }
      }
    }
  }

  private func pack(
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

  /// How the work is cut into chunks.
  private struct Work {
    /// Pass, first row and number of rows of each chunk.
    var rowChunks: [(pass: Int, first: Int, rows: Int)] = []
    var tilesPerChunk: Int
    var panelsPerChunk: Int
    var columnChunks: Int
    var tableWords = 0

    init(_ convolution: RowConvolution, panels: Int) {
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

/// Strides of a dense channels-last image: N, D, H, W, in elements.
func channelsLastStrides(_ extents: Extents, _ channels: Int) -> [Int] {
  [extents.count * channels, extents.height * extents.width * channels, extents.width * channels, channels]
}

extension RowConvolution {
  /// The forward pass, or the data gradient, over sources that are there as channels-last images, `merged` groups
  /// computed as one. With `pairs`, an element is two numbers that are adjacent channels.
  init(
    _ type: DType, _ kernels: ProductKernels, _ shape: ConvolutionShape, gradient: Bool, source: ChannelsLast,
    merged: Int = 1, pairs: Bool = false
  ) {
    let numbers = (gradient ? shape.groupOutChannels : shape.groupInChannels) * merged
    let columns = (gradient ? shape.groupInChannels : shape.groupOutChannels) * merged
    let run = pairs ? (numbers + 1) / 2 : numbers
    let taps = shape.kernel.count, filter = shape.groupInChannels * taps
    let outputStrides = channelsLastStrides(
      gradient ? shape.input : shape.output, gradient ? shape.inChannels : shape.outChannels)
    let (from, to) = (Array(source.strides[1...]), Array(outputStrides[1...]))
    let axes =
      gradient
      ? shape.dataGradientAxes(sourceStrides: from, outputStrides: to)
      : [shape.forwardAxes(sourceStrides: from, outputStrides: to, mergedWidth: false)]
    self.init(
      type: type, kernels: kernels, batch: shape.batch,
      passes: axes.map {
        ConvolutionPass(batch: shape.batch, axes: $0, elementSize: type.size, tapUnit: run * kernels.columns)
      }, source: source, groups: shape.groups / merged, run: run, groupSourceChannels: run, groupColumns: columns,
      taps: taps,
      layout: FilterLayout(
        columns: columns, columnStride: gradient ? taps : filter, run: numbers, runStride: gradient ? filter : taps,
        taps: taps, tapStride: 1, merged: merged, groupStride: merged > 1 ? shape.groupOutChannels * filter : 0),
      groupFilterStride: merged * shape.groupOutChannels * filter, outputBatchStride: outputStrides[0],
      filterSize: pairs ? 2 : type.size)
  }
}

func rowConvolutionForward(
  _ type: DType, _ shape: ConvolutionShape, input: UnsafeRawPointer, inputStrides: [Int],
  weight: UnsafeRawPointer, epilogue: ConvolutionEpilogue, output: UnsafeMutableRawPointer,
  prepared: PreparedFilters? = nil, kernels: ProductKernels
) throws {
  let source = try ChannelsLast(
    input, type: type, kernels: kernels, batch: shape.batch, channels: shape.inChannels, extents: shape.input,
    strides: inputStrides, slack: false)
  try RowConvolution(
    type, kernels, shape, gradient: false, source: source, merged: shape.mergedGroups(lanes: kernels.columns / 2)
  ).run(weight: weight, epilogue: epilogue, output: output, prepared: prepared)
}

func rowConvolutionDataGradient(
  _ type: DType, _ shape: ConvolutionShape, gradOutput: UnsafeRawPointer, gradOutputStrides: [Int],
  weight: UnsafeRawPointer, gradInput: UnsafeMutableRawPointer, kernels: ProductKernels
) throws {
  let source = try ChannelsLast(
    gradOutput, type: type, kernels: kernels, batch: shape.batch, channels: shape.outChannels,
    extents: shape.output, strides: gradOutputStrides, slack: false)
  try RowConvolution(
    type, kernels, shape, gradient: true, source: source, merged: shape.mergedGroups(lanes: kernels.columns / 2)
  ).run(weight: weight, epilogue: ConvolutionEpilogue(), output: gradInput)
}
