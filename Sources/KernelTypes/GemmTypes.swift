/// Matrix products and convolutions by element type.
public struct GemmKernels {
  public var f32 = ProductKernels()
  public var f64 = ProductKernels()
  /// Products of bfloat16 numbers summed in float32, where the processor has an instruction for two terms at a
  /// time. An element of a panel, of a stretch and of its strides is then a pair of numbers, neighbours in the
  /// direction of summation. What reads plain matrices (`packRows`, `packColumns`, `packFilters`, `transpose`,
  /// `packSources`) takes sizes and strides in single numbers and fills up the last pair with a zero. `dot` takes
  /// multiples of 32 pairs. Results of `block` and `dot` are float32, those of `convolveRows` and `convolveLines`
  /// bfloat16 with a float32 bias. Terms of `gradientLines` are pairs of places, and its sums float32. Kernels that are
  /// not named here do nothing.
  public var bf16: ProductKernels?

  public init() {}
}

/// The building blocks of matrix products and convolutions for one element type. A register tile is `rows` by
/// `columns` results; operands are packed into panels as wide as the tile.
public final class ProductKernels: @unchecked Sendable {
  /// Rows of a register tile.
  public var rows = 1
  /// Columns of a register tile: two vectors.
  public var columns = 1
  public var packRows: PackKernel = { _, _, _, _, _, _ in }
  public var packColumns: PackKernel = { _, _, _, _, _, _ in }
  public var block: BlockKernel = { _ in }
  public var dot: DotKernel = { _, _, _, _, _, _, _ in }
  public var addRows: AddRowsKernel = { _, _, _, _, _, _ in }
  public var gatherRows: GatherRowsKernel = { _, _, _, _, _ in }
  public var convolveRows: ConvolveRowsKernel = { _ in }
  public var gatherSources: GatherSourcesKernel = { _, _, _, _, _ in 0 }
  public var gradientBlock: GradientBlockKernel = { _ in }
  public var convolveLines: ConvolveLinesKernel = { _, _, _, _, _ in }
  public var gradientLines: GradientLinesKernel = { _, _ in }
  public var packGradient: PackGradientKernel = { _, _, _, _, _, _ in }
  /// Channels that a group may have in the two kernels below: a power of two up to this.
  public var groupWidth = 1
  public var convolveGroupLines: ConvolveLinesKernel = { _, _, _, _, _ in }
  public var gradientGroupLines: GradientLinesKernel = { _, _ in }
  public var packFilters: PackFiltersKernel = { _, _, _, _, _ in }
  public var unpackFilters: UnpackFiltersKernel = { _, _, _, _, _, _ in }
  public var addColumns: AddColumnsKernel = { _, _, _, _ in }
  public var transpose: TransposeKernel = { _, _, _, _, _, _ in }
  /// Of pairs only.
  public var packSources: PackSourcesKernel = { _, _, _, _, _ in }

  public init() {}
}

/// `(source, item stride, k stride, items, k, output)`: packs rows of the left matrix or columns of the right
/// one into panels [item / width][k][width]; what stands for missing items of the last panel is not used. Strides in
/// elements.
public typealias PackKernel = (UnsafeRawPointer, Int, Int, Int, Int, UnsafeMutableRawPointer) -> Void

/// `(BlockArguments)`: `c = alpha * a · b + beta * c` for operands that fit in the cache.
public typealias BlockKernel = (BlockArguments) -> Void

/// Rows of memory that will be read next, to be fetched beside other work.
public struct RowsAhead {
  public var first: UnsafeRawPointer
  /// Bytes from one row to the next.
  public var stride: Int
  public var rows: Int
  public var rowBytes: Int

  public init(first: UnsafeRawPointer, stride: Int, rows: Int, rowBytes: Int) {
    self.first = first
    self.stride = stride
    self.rows = rows
    self.rowBytes = rowBytes
  }
}

/// Operands of a block of a matrix product.
public struct BlockArguments {
  public var m: Int
  public var n: Int
  public var k: Int
  public var alpha: Double
  public var beta: Double
  public var a: UnsafeRawPointer
  /// Elements from one row of a to the next, when a's columns are adjacent; nil when a is packed.
  public var aRowStride: Int?
  public var b: UnsafeRawPointer
  /// Elements from one row of b to the next, when b's columns are adjacent and n is a multiple of the tile's
  /// columns or b is packed (then: the tile's columns).
  public var bRowStride: Int
  /// Elements from one panel of columns to the next.
  public var bPanelStride: Int
  public var c: UnsafeMutableRawPointer
  public var cRowStride: Int
  /// Brought into the second-level cache meanwhile, one after the other.
  public var ahead: (RowsAhead?, RowsAhead?)

  public init(
    m: Int, n: Int, k: Int, alpha: Double, beta: Double, a: UnsafeRawPointer, aRowStride: Int?,
    b: UnsafeRawPointer, bRowStride: Int, bPanelStride: Int, c: UnsafeMutableRawPointer, cRowStride: Int,
    ahead: (RowsAhead?, RowsAhead?) = (nil, nil)
  ) {
    self.m = m
    self.n = n
    self.k = k
    self.alpha = alpha
    self.beta = beta
    self.a = a
    self.aRowStride = aRowStride
    self.b = b
    self.bRowStride = bRowStride
    self.bPanelStride = bPanelStride
    self.c = c
    self.cRowStride = cRowStride
    self.ahead = ahead
  }
}

/// `(rows, row stride, row count, vectors, vector stride, k, results)`: dot products of up to 4 vectors with
/// every row, all of length k with adjacent elements; results [row][4].
public typealias DotKernel = (
  UnsafeRawPointer, Int, Int, UnsafeRawPointer, (stride: Int, count: Int), Int, UnsafeMutableRawPointer
) -> Void

/// `(rows, row stride, row count, factors, columns, result)`: adds rows times their factors to the result.
public typealias AddRowsKernel = (
  UnsafeRawPointer, Int, Int, UnsafeRawPointer, Int, UnsafeMutableRawPointer
) -> Void

/// How the rows of an implicit matrix (one row per output place, one stretch of `run` numbers per tap) lie in
/// memory. An axis has positions and taps; a table gives for each pair the byte offset of the source place, or
/// `Int.min` where it lies in the padding.
public struct RowGeometry {
  public struct Axis {
    public var positions: Int
    public var taps: Int
    /// [tap][position], bytes.
    public var sources: UnsafePointer<Int>
    /// [position], elements of the output.
    public var outputs: UnsafePointer<Int>
    /// [tap], elements of a weight panel.
    public var weights: UnsafePointer<Int>

    public init(
      positions: Int, taps: Int, sources: UnsafePointer<Int>, outputs: UnsafePointer<Int>,
      weights: UnsafePointer<Int>
    ) {
      self.positions = positions
      self.taps = taps
      self.sources = sources
      self.outputs = outputs
      self.weights = weights
    }
  }

  public var source: UnsafeRawPointer
  /// `run` zeros.
  public var zeros: UnsafeRawPointer
  public var batch: Int
  /// Bytes from one image to the next.
  public var batchStride: Int
  /// Elements of the output from one image to the next.
  public var outputBatchStride: Int
  /// Whether rows run over the images first, then over places: on tiny images the rows of a tile then share
  /// the taps that only see padding, and these are left out.
  public var imagesInnermost: Bool
  public var depth: Axis
  public var height: Axis
  public var width: Axis

  public init(
    source: UnsafeRawPointer, zeros: UnsafeRawPointer, batch: Int, batchStride: Int, outputBatchStride: Int,
    imagesInnermost: Bool, depth: Axis, height: Axis, width: Axis
  ) {
    self.source = source
    self.zeros = zeros
    self.batch = batch
    self.batchStride = batchStride
    self.outputBatchStride = outputBatchStride
    self.imagesInnermost = imagesInnermost
    self.depth = depth
    self.height = height
    self.width = width
  }

  public var taps: Int { depth.taps * height.taps * width.taps }
  public var rows: Int { batch * depth.positions * height.positions * width.positions }

  /// Words of one tile's table: number of taps, an output offset per row, and per tap the weight offset and
  /// one address per row.
  public func tableWords(tileRows: Int) -> Int { 1 + tileRows + taps * (1 + tileRows) }
}

/// `(geometry, first row, valid rows per tile, tiles, tables)`: fills in the tables of consecutive tiles. Rows
/// beyond the last repeat it.
public typealias GatherRowsKernel = (
  UnsafePointer<RowGeometry>, Int, Int, Int, UnsafeMutablePointer<Int>
) -> Void

/// `(arguments)`: computes tiles of a convolution over columns of output channels.
public typealias ConvolveRowsKernel = (UnsafePointer<ConvolveArguments>) -> Void

public struct ConvolveArguments {
  public var tables: UnsafePointer<Int>
  public var tableWords: Int
  public var tiles: Int
  /// Valid rows of the last tile; the others are full.
  public var lastRows: Int
  /// Numbers per tap.
  public var run: Int
  /// Weight panels [column block][tap][run][tile columns].
  public var weights: UnsafeRawPointer
  public var panelStride: Int
  /// First output channel and number of channels.
  public var firstColumn: Int
  public var columns: Int
  /// Elements from the tables' addresses to the first channel of this group.
  public var sourceOffset: Int
  public var output: UnsafeMutableRawPointer
  public var bias: UnsafeRawPointer?
  public var scale: UnsafePointer<Float>?
  public var shift: UnsafePointer<Float>?
  public var residual: UnsafeRawPointer?
  public var relu: Bool

  public init(
    tables: UnsafePointer<Int>, tableWords: Int, tiles: Int, lastRows: Int, run: Int,
    weights: UnsafeRawPointer, panelStride: Int, firstColumn: Int, columns: Int, sourceOffset: Int = 0,
    output: UnsafeMutableRawPointer, bias: UnsafeRawPointer?, scale: UnsafePointer<Float>?,
    shift: UnsafePointer<Float>?, residual: UnsafeRawPointer?, relu: Bool
  ) {
    self.tables = tables
    self.tableWords = tableWords
    self.tiles = tiles
    self.lastRows = lastRows
    self.run = run
    self.weights = weights
    self.panelStride = panelStride
    self.firstColumn = firstColumn
    self.columns = columns
    self.sourceOffset = sourceOffset
    self.output = output
    self.bias = bias
    self.scale = scale
    self.shift = shift
    self.residual = residual
    self.relu = relu
  }
}

/// `(geometry, first row, rows, tap list, sources)`: addresses [active tap][row] of consecutive rows, and the
/// numbers of the taps that see more than padding; returns how many.
public typealias GatherSourcesKernel = (
  UnsafePointer<RowGeometry>, Int, Int, UnsafeMutablePointer<Int>, UnsafeMutablePointer<Int>
) -> Int

/// `(arguments)`: adds to a block of the weight gradient what a block of output places contributes.
public typealias GradientBlockKernel = (UnsafePointer<GradientArguments>) -> Void

public struct GradientArguments {
  /// [active tap][row], addresses.
  public var sources: UnsafePointer<Int>
  /// Output places of this block.
  public var rows: Int
  public var taps: UnsafePointer<Int>
  public var activeTaps: Int
  /// Numbers per tap, a multiple of 4.
  public var run: Int
  /// Gradients of the outputs, [row][tile columns].
  public var gradient: UnsafeRawPointer
  /// Whether only the first half of the columns counts.
  public var narrow: Bool
  /// [tap][run][tile columns], added to.
  public var result: UnsafeMutableRawPointer

  public init(
    sources: UnsafePointer<Int>, rows: Int, taps: UnsafePointer<Int>, activeTaps: Int, run: Int,
    gradient: UnsafeRawPointer, narrow: Bool, result: UnsafeMutableRawPointer
  ) {
    self.sources = sources
    self.rows = rows
    self.taps = taps
    self.activeTaps = activeTaps
    self.run = run
    self.gradient = gradient
    self.narrow = narrow
    self.result = result
  }
}

/// `(geometry, first line, lines, step, arguments)`: output lines of a convolution whose width taps form one
/// stretch; neighbouring places lie `step` elements apart in the input. `tables` of the arguments are room for
/// two words per tap.
public typealias ConvolveLinesKernel = (
  UnsafePointer<RowGeometry>, Int, Int, Int, UnsafePointer<ConvolveArguments>
) -> Void

/// Words that the kernels of narrow groups need for a line: two for each tap along it, six for each tap at all and for
/// eight more, one for each place.
@inlinable public func groupLineWords(taps: Int, along: Int, positions: Int) -> Int {
  2 * along + 6 * (taps + 8) + positions
}

/// `(geometry, arguments)`: adds to the weight gradient what some output lines contribute.
public typealias GradientLinesKernel = (
  UnsafePointer<RowGeometry>, UnsafePointer<LineGradientArguments>
) -> Void

public struct LineGradientArguments {
  public var firstLine: Int
  public var lines: Int
  /// Elements of the input from one place to the next.
  public var step: Int
  /// Numbers per tap.
  public var run: Int
  /// Gradients of the outputs at the block's first channel, adjacent channels.
  public var gradient: UnsafeRawPointer
  /// Elements from one place to the next.
  public var gradientStep: Int
  public var columns: Int
  /// [tap][run][tile columns], padded to whole register tiles; added to.
  public var result: UnsafeMutableRawPointer
  /// Sums of the gradients per channel, added to.
  public var sums: UnsafeMutablePointer<Double>?
  /// Words for taps and rows of a tile, then elements for a line of a tile's columns.
  public var room: UnsafeMutableRawPointer

  public init(
    firstLine: Int, lines: Int, step: Int, run: Int, gradient: UnsafeRawPointer, gradientStep: Int,
    columns: Int, result: UnsafeMutableRawPointer, sums: UnsafeMutablePointer<Double>?,
    room: UnsafeMutableRawPointer
  ) {
    self.firstLine = firstLine
    self.lines = lines
    self.step = step
    self.run = run
    self.gradient = gradient
    self.gradientStep = gradientStep
    self.columns = columns
    self.result = result
    self.sums = sums
    self.room = room
  }
}

/// `(geometry, first row, rows, gradients, columns, panel)`: gradients of consecutive output places, one row of
/// the tile's width each.
public typealias PackGradientKernel = (
  UnsafePointer<RowGeometry>, Int, Int, UnsafeRawPointer, Int, UnsafeMutableRawPointer
) -> Void

/// `(layout, filters, first panel, panels, output)`.
public typealias PackFiltersKernel = (FilterLayout, UnsafeRawPointer, Int, Int, UnsafeMutableRawPointer) ->
  Void

/// `(layout, panel data, panel number, taps per stretch, padded stretch, filters)`.
public typealias UnpackFiltersKernel = (
  FilterLayout, UnsafeRawPointer, Int, Int, Int, UnsafeMutableRawPointer
) -> Void

/// How filters lie in memory, seen as a matrix of (tap, run) by columns. Forward, columns are output channels
/// and the run goes over input channels; for the data gradient it is the other way round.
public struct FilterLayout {
  public var columns: Int
  public var columnStride: Int
  public var run: Int
  public var runStride: Int
  public var taps: Int
  public var tapStride: Int
  /// Several narrow groups may be computed as one with a block-diagonal matrix: how many, and the elements from
  /// one group's filters to the next's. `columns` and `run` are those of the whole.
  public var merged: Int
  public var groupStride: Int

  public init(
    columns: Int, columnStride: Int, run: Int, runStride: Int, taps: Int, tapStride: Int, merged: Int,
    groupStride: Int
  ) {
    self.columns = columns
    self.columnStride = columnStride
    self.run = run
    self.runStride = runStride
    self.taps = taps
    self.tapStride = tapStride
    self.merged = merged
    self.groupStride = groupStride
  }
}

/// `(values, rows, columns, sums)`: adds the column sums of a dense block.
public typealias AddColumnsKernel = (UnsafeRawPointer, Int, Int, UnsafeMutablePointer<Double>) -> Void

/// `(source, source row stride, rows, columns, output, output row stride)`: output[c][r] = source[r][c].
public typealias TransposeKernel = (
  UnsafeRawPointer, Int, Int, Int, UnsafeMutableRawPointer, Int
) -> Void

/// `(addresses, count, byte offset, items, output)`: packs `items` adjacent numbers at each address, one step of the
/// summation per address, into panels [item / tile columns][count / 2][tile columns].
public typealias PackSourcesKernel = (UnsafePointer<Int>, Int, Int, Int, UnsafeMutableRawPointer) -> Void
