import CBFloat16
import KernelTypes

/// Tiles are float32 until they are rounded on their way out.
@inline(__always)
func storesTilesDirectly(_ x: ConvolveArguments) -> Bool { false }

/// The way of a finished tile into the output: plus the bias (float32), rounded to bfloat16 once.
@inline(never)
func finishTile<T: ProductScalar>(
  _ arguments: UnsafePointer<ConvolveArguments>, _ outputs: UnsafePointer<Int>, _ rows: Int, _ column: Int,
  _ width: Int, _ buffer: UnsafeMutablePointer<T>
) {
  let lanes = 16
  let out = arguments.pointee.output.assumingMemoryBound(to: UInt16.self) + column
  let tile = UnsafeRawPointer(buffer).assumingMemoryBound(to: Float.self)
  var half = 0
  while half < width {
    let valid = min(lanes, width - half)
    var bias = SIMD16<Float>()
    if let values = arguments.pointee.bias?.assumingMemoryBound(to: Float.self) {
      for i in 0..<valid { bias[i] = values[column + half + i] }
    }
    for row in 0..<rows {
      let value: SIMD16<Float> = load(tile + row * 2 * lanes + half)
      sn_store_rounded(value + bias, out + outputs[row] + half, Int32(truncatingIfNeeded: valid))
    }
    half += lanes
  }
}
