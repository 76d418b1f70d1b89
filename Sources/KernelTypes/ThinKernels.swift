/// Matrix products with one long dimension, by element type: the long operands are read once, where they lie.
public struct ThinKernels {
  public var f32 = ThinProductKernels()
  public var f64 = ThinProductKernels()

  public init() {}
}

public struct ThinProductKernels {
  /// `(WideArguments, first column, end)`.
  public var wide: (WideArguments, Int, Int) -> Void = { _, _, _ in }
  /// `(DeepArguments, first term, end, sums [m][n], room)`.
  public var deep: (DeepArguments, Int, Int, UnsafeMutableRawPointer, UnsafeMutableRawPointer) -> Void = {
    _, _, _, _, _ in
  }
  /// Bytes of room for the sums of `deep`, from m and n.
  public var deepRoom: (Int, Int) -> Int = { _, _ in 0 }

  public init() {}
}

/// c = a · b where m and k are small and a row has many columns. The first column of a call is a multiple of the tile's
/// columns, and there are at least as many as a tile has.
public struct WideArguments {
  public var m: Int
  public var k: Int
  /// Panels of a tile's rows, as `ProductKernels.packRows` makes them.
  public var a: UnsafeRawPointer
  public var b: UnsafeRawPointer
  /// Elements from one row to the next.
  public var bRowStride: Int
  public var c: UnsafeMutableRawPointer
  public var cRowStride: Int
  /// Whether c goes past the caches to memory; its tiles' rows are then aligned to 64 bytes.
  public var streams: Bool

  public init(
    m: Int, k: Int, a: UnsafeRawPointer, b: UnsafeRawPointer, bRowStride: Int, c: UnsafeMutableRawPointer,
    cRowStride: Int, streams: Bool
  ) {
    self.m = m
    self.k = k
    self.a = a
    self.b = b
    self.bRowStride = bRowStride
    self.c = c
    self.cRowStride = cRowStride
    self.streams = streams
  }
}

/// Dot products of m rows of a with n rows of b, which have adjacent elements and many of them.
public struct DeepArguments {
  public var m: Int
  public var n: Int
  public var a: UnsafeRawPointer
  public var aRowStride: Int
  public var b: UnsafeRawPointer
  public var bRowStride: Int

  public init(m: Int, n: Int, a: UnsafeRawPointer, aRowStride: Int, b: UnsafeRawPointer, bRowStride: Int) {
    self.m = m
    self.n = n
    self.a = a
    self.aRowStride = aRowStride
    self.b = b
    self.bRowStride = bRowStride
  }
}
