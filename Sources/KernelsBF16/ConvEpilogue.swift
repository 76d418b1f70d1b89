import KernelTypes

/// Tiles are float32 until they are rounded on their way out.
@inline(__always)
func storesTilesDirectly(_ x: ConvolveArguments) -> Bool { false }

/// Bytes of a number of the output.
@inline(__always)
func outputSize<T: ProductScalar>(_: T.Type) -> Int { 2 }

/// The epilogue of a tile whose sums are float32, bias included, and whose results are bfloat16.
@inline(__always)
func finishTile<T: ProductScalar>(
  _ arguments: UnsafePointer<ConvolveArguments>, _ outputs: UnsafePointer<Int>, _ rows: Int, _ column: Int,
  _ width: Int, _ buffer: UnsafeMutablePointer<T>
) {
  finishTile(
    arguments, outputs, rows, column, width, UnsafeMutableRawPointer(buffer).assumingMemoryBound(to: Float.self),
    as: BrainFloat.self)
}
