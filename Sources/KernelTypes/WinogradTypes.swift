/// Winograd's algorithm F(4×4, 3×3) in float32: tiles of 4×4 outputs from 6×6 inputs by 36 multiplications per
/// pair of channels instead of 144. With kernels of 2×2 taps, tiles of 4×4 outputs from 5×5 inputs by the same points
/// but the fifth. Images of 2×2 places have an algorithm of their own, see `WinogradTiling.isTwoByTwo`.
public struct WinogradKernels {
  /// Channels of the source must be a multiple of this.
  public var lanes = 1
  /// Of images in float32, and in bfloat16: these are widened while they are transformed, and results rounded.
  public var wideImages = WinogradImageKernels()
  public var narrowImages = WinogradImageKernels()
  public var transformFilter: WinogradFilterKernel = { _, _, _, _, _ in }
  /// For images of 2×2 places.
  public var transformFilterForTwo: WinogradFilterKernel = { _, _, _, _, _ in }
  public var multiply: WinogradMultiplyKernel = { _ in }
  public var accumulate: WinogradAccumulateKernel = { _ in }
  public var transformFilterGradient: WinogradFilterGradientKernel = { _, _, _ in }
  public var transformFilterGradientForTwo: WinogradFilterGradientKernel = { _, _, _ in }
  public var transformTaps: WinogradTapsKernel = { _, _, _, _ in }
  public var transformTapsGradient: WinogradTapsKernel = { _, _, _, _ in }

  public init() {}
}

/// Those that read or write images.
public struct WinogradImageKernels {
  public var transformSource: WinogradSourceKernel = { _, _, _, _, _, _ in }
  /// The epilogue's bias is float32.
  public var transformProducts: WinogradOutputKernel = { _, _, _, _, _ in }
  public var transformGradient: WinogradGradientKernel = { _, _, _, _, _, _ in }

  public init() {}
}

/// How outputs are cut into tiles of 4×4. The last tile along an axis may have fewer outputs, and then needs fewer of the
/// six points along that axis: with r outputs of a kernel of three taps, points 0 to r and the last one, of two taps,
/// points 0 to r - 1 and the last one.
///
/// Tiles are numbered so that those which need a point follow each other: first those that are short across only, then
/// whole ones, then those that are short downwards only, and at last the short corners; in each of these classes image by
/// image, row by row.
public struct WinogradTiling {
  /// Images, or grids of dilated convolutions.
  public var images: Int
  public var tilesDown: Int
  public var tilesAcross: Int
  /// Outputs of the last tile along each axis, 1 to 4.
  public var lastRows: Int
  public var lastColumns: Int
  /// Whole tiles along each axis.
  public var wholeDown: Int
  public var wholeAcross: Int

  /// Of the kernel along each axis, 2 or 3.
  public var taps: Int
  /// Whether images have two rows and two columns, around which three taps see nothing but padding. Then along an axis
  /// three products do, at the points 0, 1 and the last one, as for two taps:
  ///
  ///     y₀ = w₁ x₀ + w₂ x₁ = w₁ (x₀ + x₁) + (w₂ - w₁) x₁
  ///     y₁ = w₀ x₀ + w₁ x₁ = w₁ (x₀ + x₁) + (w₀ - w₁) x₀
  public var isTwoByTwo = false
  /// Whether the last point is needed along each axis: not where the last tap is zero.
  public var hasLastDown: Bool
  public var hasLastAcross: Bool

  /// Of images of so many rows and columns.
  public init(
    images: Int, rows: Int, columns: Int, taps: Int = 3, hasLastDown: Bool = true, hasLastAcross: Bool = true
  ) {
    self.images = images
    self.taps = taps
    self.hasLastDown = hasLastDown
    self.hasLastAcross = hasLastAcross
    tilesDown = (rows + 3) / 4
    tilesAcross = (columns + 3) / 4
    lastRows = rows - 4 * (tilesDown - 1)
    lastColumns = columns - 4 * (tilesAcross - 1)
    wholeDown = rows / 4
    wholeAcross = columns / 4
  }

  /// Of images of 2×2 places.
  public init(twoByTwo images: Int) {
    self.init(images: images, rows: 2, columns: 2, taps: 2)
    isTwoByTwo = true
  }

  public var count: Int { images * tilesDown * tilesAcross }
  /// Products of all tiles: 36 for each whole one.
  public var points: Int {
    let down = (taps + 3) * wholeDown + (wholeDown < tilesDown ? lastRows + taps - 1 : 0)
    let across = (taps + 3) * wholeAcross + (wholeAcross < tilesAcross ? lastColumns + taps - 1 : 0)
    return images * (hasLastDown ? down : down - tilesDown) * (hasLastAcross ? across : across - tilesAcross)
  }

  @inlinable var shortAcross: Int { images * wholeDown * (tilesAcross - wholeAcross) }
  @inlinable var whole: Int { images * wholeDown * wholeAcross }
  @inlinable var shortDown: Int { images * (tilesDown - wholeDown) * wholeAcross }

  /// Image, first row and column, and how many rows and columns of outputs.
  @inlinable
  public func place(_ tile: Int) -> (image: Int, row: Int, column: Int, rows: Int, columns: Int) {
    var tile = tile
    if tile < shortAcross {
      return (tile / wholeDown, tile % wholeDown * 4, wholeAcross * 4, 4, lastColumns)
    }
    tile -= shortAcross
    if tile < whole {
      let row = tile / wholeAcross
      return (row / wholeDown, row % wholeDown * 4, tile % wholeAcross * 4, 4, 4)
    }
    tile -= whole
    if tile < shortDown {
      return (tile / wholeAcross, wholeDown * 4, tile % wholeAcross * 4, lastRows, 4)
    }
    return (tile - shortDown, wholeDown * 4, wholeAcross * 4, lastRows, lastColumns)
  }

  /// The first and the end of those tiles of `first..<end` that need a point, 0 to 35, counted from `first`.
  @inlinable
  public func tiles(_ point: Int, _ first: Int, _ end: Int) -> (Int, Int) {
    let i = point / 6, j = point % 6
    if i == 5 ? !hasLastDown : i > taps + 1 { return (0, 0) }
    if j == 5 ? !hasLastAcross : j > taps + 1 { return (0, 0) }
    let down = i == 5 || i < lastRows + taps - 2, across = j == 5 || j < lastColumns + taps - 2
    let from = across ? 0 : shortAcross
    let to = down ? (across ? count : shortAcross + whole + shortDown) : shortAcross + whole
    let start = max(from, first)
    return (start - first, max(start, min(to, end)) - first)
  }
}

/// Images cut into tiles of the result. Strides in elements; channels are adjacent.
///
/// A dilated convolution is one without dilation on every dilation-th row and column: such a grid counts as an image of
/// its own, the grids of an image one after the other. Other grids are taken one at a time, from a first row and column on.
public struct WinogradImages {
  public var pointer: UnsafeRawPointer
  /// As many zeros as there are channels.
  public var zeros: UnsafeRawPointer
  /// Images are numbered batch index * depth + plane.
  public var depth: Int
  public var batchStride: Int
  public var depthStride: Int
  public var height: Int
  public var width: Int
  public var heightStride: Int
  public var widthStride: Int
  /// From a row or column of a grid to its next.
  public var dilationHeight: Int
  public var dilationWidth: Int
  /// If there is but one grid in each image: its first row and column.
  public var firstPlace: (row: Int, column: Int)?
  /// What stands before the first row and column of a grid.
  public var paddingHeight: Int
  public var paddingWidth: Int
  public var tiling: WinogradTiling
  public var channels: Int

  public init(
    pointer: UnsafeRawPointer, zeros: UnsafeRawPointer, depth: Int, batchStride: Int, depthStride: Int,
    height: Int, width: Int, heightStride: Int, widthStride: Int, dilationHeight: Int, dilationWidth: Int,
    paddingHeight: Int, paddingWidth: Int, tiling: WinogradTiling, channels: Int,
    firstPlace: (row: Int, column: Int)? = nil
  ) {
    self.firstPlace = firstPlace
    self.pointer = pointer
    self.zeros = zeros
    self.depth = depth
    self.batchStride = batchStride
    self.depthStride = depthStride
    self.height = height
    self.width = width
    self.heightStride = heightStride
    self.widthStride = widthStride
    self.dilationHeight = dilationHeight
    self.dilationWidth = dilationWidth
    self.paddingHeight = paddingHeight
    self.paddingWidth = paddingWidth
    self.tiling = tiling
    self.channels = channels
  }
}

/// `(images, first tile, tiles, output, tile stride, point stride)`: transformed 6×6 blocks, 36 points of all
/// channels per tile; strides in elements.
public typealias WinogradSourceKernel = (
  UnsafePointer<WinogradImages>, Int, Int, UnsafeMutablePointer<Float>, Int, Int
) -> Void

/// `(panel [9][channels][tile columns], channels, (first, count), flipped, output [36][count][tile columns])`:
/// filters of some of the channels; points `winogradPointStride(count, tile columns)` apart.
public typealias WinogradFilterKernel = (
  UnsafePointer<Float>, Int, (first: Int, count: Int), Bool, UnsafeMutablePointer<Float>
) -> Void

/// `(arguments)`: products of transformed tiles and filters, point by point.
public typealias WinogradMultiplyKernel = (UnsafePointer<WinogradProducts>) -> Void

public struct WinogradProducts {
  /// Transformed tiles, see `WinogradSourceKernel`, and filters [36][channels][tile columns], points
  /// `winogradPointStride` apart: for each plane of the kernel, whose products are added.
  public var sources: UnsafePointer<UnsafePointer<Float>>
  public var filters: UnsafePointer<UnsafePointer<Float>>
  public var planes: Int
  public var tileStride: Int
  public var pointStride: Int
  public var tiling: WinogradTiling
  public var firstTile: Int
  public var tiles: Int
  public var channels: Int
  /// Whether the filters' planes are those of 2×2 taps of a kernel of 3×3: (0, 1), (0, 0), (1, 0), (1, 1), of which those
  /// with a 1 have no last point along that axis.
  public var isOdd: Bool
  /// Whether only the first half of the columns counts.
  public var narrow: Bool
  /// Whether to add to the products or to overwrite them.
  public var adding: Bool
  /// [36][tiles][tile columns], points `winogradProductStride` apart.
  public var products: UnsafeMutablePointer<Float>

  public init(
    sources: UnsafePointer<UnsafePointer<Float>>, filters: UnsafePointer<UnsafePointer<Float>>, planes: Int,
    tileStride: Int, pointStride: Int, tiling: WinogradTiling, firstTile: Int, tiles: Int, channels: Int, narrow: Bool,
    adding: Bool, products: UnsafeMutablePointer<Float>, isOdd: Bool = false
  ) {
    self.isOdd = isOdd
    self.sources = sources
    self.filters = filters
    self.planes = planes
    self.tileStride = tileStride
    self.pointStride = pointStride
    self.tiling = tiling
    self.firstTile = firstTile
    self.tiles = tiles
    self.channels = channels
    self.narrow = narrow
    self.adding = adding
    self.products = products
  }
}

/// Which of the four planes with `isOdd` have a point.
@inlinable public func winogradOddPlanes(_ point: Int) -> Range<Int> {
  (point % 6 == 5 ? 1 : 0)..<(point / 6 == 5 ? 2 : point % 6 == 5 ? 3 : 4)
}

/// `(products, first tile, tiles, tiling of the output, epilogue)`: output transform of one block of columns and
/// its epilogue; of the epilogue's arguments, those that describe the multiplication are not used.
public typealias WinogradOutputKernel = (
  UnsafePointer<Float>, Int, Int, UnsafePointer<WinogradOutput>, UnsafePointer<ConvolveArguments>
) -> Void

/// A dense channels-last output and its tiling, of grids as in `WinogradImages`.
public struct WinogradOutput {
  /// Elements from one image to the next.
  public var imageStride: Int
  public var height: Int
  public var width: Int
  public var dilationHeight: Int
  public var dilationWidth: Int
  public var firstPlace: (row: Int, column: Int)?
  public var tiling: WinogradTiling
  public var channels: Int

  public init(
    imageStride: Int, height: Int, width: Int, dilationHeight: Int, dilationWidth: Int,
    tiling: WinogradTiling, channels: Int, firstPlace: (row: Int, column: Int)? = nil
  ) {
    self.firstPlace = firstPlace
    self.imageStride = imageStride
    self.height = height
    self.width = width
    self.dilationHeight = dilationHeight
    self.dilationWidth = dilationWidth
    self.tiling = tiling
    self.channels = channels
  }
}

/// `(gradients, first tile, tiles, first channel, channels, output)`: transformed 4×4 blocks of up to a tile's
/// columns of channels, [36][tiles][tile columns]; missing channels are zero.
public typealias WinogradGradientKernel = (
  UnsafePointer<WinogradImages>, Int, Int, Int, Int, UnsafeMutablePointer<Float>
) -> Void

/// `(arguments)`: transposed sources times gradients for one point.
public typealias WinogradAccumulateKernel = (UnsafePointer<WinogradSums>) -> Void

public struct WinogradSums {
  /// [tiles][channels], a multiple of 4, for each plane of the kernel.
  public var sources: UnsafePointer<UnsafePointer<Float>>
  /// What is to be added to each of them.
  public var sourceOffset: Int
  /// From one tile to the next.
  public var sourceStride: Int
  public var planes: Int
  public var channels: Int
  /// [tiles][tile columns].
  public var gradient: UnsafePointer<Float>
  public var tiles: Int
  /// Whether only the first half of the columns counts.
  public var narrow: Bool
  /// Whether to add to the sums or to overwrite them.
  public var adding: Bool
  /// [channels][tile columns] for each plane.
  public var sums: UnsafePointer<UnsafeMutablePointer<Float>>
  public var sumsOffset: Int

  public init(
    sources: UnsafePointer<UnsafePointer<Float>>, sourceOffset: Int, sourceStride: Int, planes: Int,
    channels: Int, gradient: UnsafePointer<Float>, tiles: Int, narrow: Bool, adding: Bool,
    sums: UnsafePointer<UnsafeMutablePointer<Float>>, sumsOffset: Int
  ) {
    self.sources = sources
    self.sourceOffset = sourceOffset
    self.sourceStride = sourceStride
    self.planes = planes
    self.channels = channels
    self.gradient = gradient
    self.tiles = tiles
    self.narrow = narrow
    self.adding = adding
    self.sums = sums
    self.sumsOffset = sumsOffset
  }
}

/// `(sums [36][channels][tile columns] with points `winogradPointStride` apart, channels, output
/// [9][channels][tile columns])`.
public typealias WinogradFilterGradientKernel = (
  UnsafePointer<Float>, Int, UnsafeMutablePointer<Float>
) -> Void

/// `(panel [tap][channels][tile columns], channels, taps, transformed [36][channels][tile columns])`: a filter of 2×2 taps
/// of which some may be missing (-1), in rows; from a panel to points, or from sums of points to the taps of a panel.
public typealias WinogradTapsKernel = (
  UnsafeMutablePointer<Float>, Int, (Int, Int, Int, Int), UnsafeMutablePointer<Float>
) -> Void

/// Elements from one of the 36 points of a transformed block of tiles to the next. A line more than the data
/// needs: powers of two would put all points of a tile into one set of the first-level cache.
@inlinable public func winogradPointStride(_ tiles: Int, _ channels: Int) -> Int { tiles * channels + 16 }

/// Elements from one of the 36 points of a transformed tile of all channels to the next, and from tile to tile. From 512
/// bytes on, powers of two would put the points into so few sets of the first-level cache that it could not hold a line of
/// each.
@inlinable public func winogradTileStrides(_ channels: Int) -> (point: Int, tile: Int) {
  let point = channels % 128 == 0 ? channels + 16 : channels
  return (point, 36 * point + 16)
}

/// Elements from one point's products of some tiles to the next's. Behind the last tile is room for another register tile.
@inlinable public func winogradProductStride(_ tiles: Int, _ rows: Int, _ columns: Int) -> Int {
  (tiles + rows) * columns + 16
}
