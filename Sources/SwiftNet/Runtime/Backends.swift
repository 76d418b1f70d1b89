/// Global switches between algorithms that compute the same thing with different rounding or speed.
public enum Backends {
  /// Whether 3×3 convolutions may use Winograd's algorithm: two to four times fewer multiplications, and a
  /// rounding error of up to about 2e-5 of the largest output instead of 1e-6.
  nonisolated(unsafe) public static var winograd = true

  /// Whether only algorithms may be used that give the same bits in every run. All present ones do, for any
  /// number of threads; the switch exists for those that trade it for speed.
  nonisolated(unsafe) public static var deterministic = true

  /// For tests: Winograd's algorithm wherever it applies, also where it is expected to be slower.
  nonisolated(unsafe) static var alwaysWinograd = false
}
