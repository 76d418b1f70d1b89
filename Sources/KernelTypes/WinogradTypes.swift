/// Winograd's algorithm F(4×4, 3×3) in float32: tiles of 4×4 outputs from 6×6 inputs by 36 multiplications per
/// pair of channels instead of 144.
public struct WinogradKernels {
  /// Channels of the source must be a multiple of this.
  public var lanes = 1
  /// Of images in float32, and in bfloat16: these are widened while they are transformed, and results rounded.
  public var wideImages = WinogradImageKernels()
  public var narrowImages = WinogradImageKernels()
  public var transformFilter: WinogradFilterKernel = { _, _, _, _, _ in }
  public var multiply: WinogradMultiplyKernel = { _ in }
  public var accumulate: WinogradAccumulateKernel = { _, _, _, _, _, _, _ in }
  public var transformFilterGradient: WinogradFilterGradientKernel = { _, _, _ in }

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

/// Images cut into tiles. Tile number t is tile column t % tilesAcross of tile row t / tilesAcross % tilesDown of
/// image t / (tilesAcross * tilesDown). Strides in elements; channels are adjacent.
///
/// A dilated convolution is one without dilation on every dilation-th row and column: such a grid counts as an image of
/// its own, the grids of an image one after the other.
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
  /// What stands before the first row and column of a grid.
  public var paddingHeight: Int
  public var paddingWidth: Int
  public var tilesDown: Int
  public var tilesAcross: Int
  public var channels: Int

  public init(
    pointer: UnsafeRawPointer, zeros: UnsafeRawPointer, depth: Int, batchStride: Int, depthStride: Int,
    height: Int, width: Int, heightStride: Int, widthStride: Int, dilationHeight: Int, dilationWidth: Int,
    paddingHeight: Int, paddingWidth: Int, tilesDown: Int, tilesAcross: Int, channels: Int
  ) {
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
    self.tilesDown = tilesDown
    self.tilesAcross = tilesAcross
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
  /// Transformed tiles, see `WinogradSourceKernel`.
  public var source: UnsafePointer<Float>
  public var tileStride: Int
  public var pointStride: Int
  public var tiles: Int
  /// [36][channels][tile columns], points `winogradPointStride` apart.
  public var filters: UnsafePointer<Float>
  public var channels: Int
  /// Whether only the first half of the columns counts.
  public var narrow: Bool
  /// Whether to add to the products or to overwrite them.
  public var adding: Bool
  /// [register tile of tiles][36][tile rows][tile columns].
  public var products: UnsafeMutablePointer<Float>

  public init(
    source: UnsafePointer<Float>, tileStride: Int, pointStride: Int, tiles: Int,
    filters: UnsafePointer<Float>, channels: Int, narrow: Bool, adding: Bool,
    products: UnsafeMutablePointer<Float>
  ) {
    self.source = source
    self.tileStride = tileStride
    self.pointStride = pointStride
    self.tiles = tiles
    self.filters = filters
    self.channels = channels
    self.narrow = narrow
    self.adding = adding
    self.products = products
  }
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
  public var tilesDown: Int
  public var tilesAcross: Int
  public var channels: Int

  public init(
    imageStride: Int, height: Int, width: Int, dilationHeight: Int, dilationWidth: Int, tilesDown: Int,
    tilesAcross: Int, channels: Int
  ) {
    self.imageStride = imageStride
    self.height = height
    self.width = width
    self.dilationHeight = dilationHeight
    self.dilationWidth = dilationWidth
    self.tilesDown = tilesDown
    self.tilesAcross = tilesAcross
    self.channels = channels
  }
}

/// `(gradients, first tile, tiles, first channel, channels, output)`: transformed 4×4 blocks of up to a tile's
/// columns of channels, [36][tiles][tile columns]; missing channels are zero.
public typealias WinogradGradientKernel = (
  UnsafePointer<WinogradImages>, Int, Int, Int, Int, UnsafeMutablePointer<Float>
) -> Void

/// `(source [tiles][channels], channels, gradients [tiles][tile columns], tiles, narrow, adding, sums
/// [channels][tile columns])`: transposed source times gradients for one point, overwriting or adding.
public typealias WinogradAccumulateKernel = (
  UnsafePointer<Float>, Int, UnsafePointer<Float>, Int, Bool, Bool, UnsafeMutablePointer<Float>
) -> Void

/// `(sums [36][channels][tile columns] with points `winogradPointStride` apart, channels, output
/// [9][channels][tile columns])`.
public typealias WinogradFilterGradientKernel = (
  UnsafePointer<Float>, Int, UnsafeMutablePointer<Float>
) -> Void

/// Elements from one of the 36 points of a transformed block of tiles to the next. A line more than the data
/// needs: powers of two would put all points of a tile into one set of the first-level cache.
@inlinable public func winogradPointStride(_ tiles: Int, _ channels: Int) -> Int { tiles * channels + 16 }
