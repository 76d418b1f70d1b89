import KernelTypes

/// Whether finished tiles need no more than a bias, so that they can go to their places from registers.
@inline(__always)
func storesTilesDirectly(_ x: ConvolveArguments) -> Bool {
  x.scale == nil && x.shift == nil && x.residual == nil && !x.relu && x.sums == nil && x.sumsOfSquares == nil
}

/// Bytes of a number of the output.
@inline(__always)
func outputSize<T: ProductScalar>(_: T.Type) -> Int { MemoryLayout<T>.stride }

/// The epilogue of a tile of float32 or float64, see there.
@inline(__always)
func finishTile<T: ProductScalar>(
  _ arguments: UnsafePointer<ConvolveArguments>, _ outputs: UnsafePointer<Int>, _ rows: Int, _ column: Int,
  _ width: Int, _ buffer: UnsafeMutablePointer<T>
) {
  if T.self == Float.self {
    finishTile(
      arguments, outputs, rows, column, width, UnsafeMutableRawPointer(buffer).assumingMemoryBound(to: Float.self),
      as: Float.self)
  } else {
    finishTile(
      arguments, outputs, rows, column, width, UnsafeMutableRawPointer(buffer).assumingMemoryBound(to: Double.self),
      as: Double.self)
  }
}
