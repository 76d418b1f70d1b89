/// The loops of the generator MT19937 (Matsumoto and Nishimura, 1998).
public struct RandomKernels {
  /// `(state, output)`: the 624 words after those of the state, which may be in its place.
  public var renew: (UnsafePointer<UInt32>, UnsafeMutablePointer<UInt32>) -> Void = { _, _ in }
  /// `(state words, output, n)`: the numbers that the words stand for.
  public var temper: (UnsafePointer<UInt32>, UnsafeMutablePointer<UInt32>, Int) -> Void = { _, _, _ in }
  /// `(numbers, output, n, bound)`: 1 where the low 53 bits of two numbers, the first one on top, are below the bound.
  public var below: (UnsafePointer<UInt32>, UnsafeMutablePointer<UInt8>, Int, Int64) -> Void = { _, _, _, _ in }

  public init() {}
}
