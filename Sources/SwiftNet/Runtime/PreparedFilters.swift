import KernelTypes
import Synchronization

/// The filters of a convolution in the forms in which kernels read them, kept with the weight for evaluation: there the
/// same filters serve image after image. Dropped when the weight changes.
final class PreparedFilters: Sendable {
  /// Which form: the numbers that decide it.
  typealias Form = [Int]

  private let version: Int
  /// Which part of the memory the filters are: offset, shape and strides.
  private let place: [Int]
  private let dtype: DType
  private let forms = Mutex<[Form: Scratch]>([:])

  private init(_ weight: Tensor) {
    version = weight.memory.version
    place = PreparedFilters.place(of: weight)
    dtype = weight.dtype
  }

  private static func place(of weight: Tensor) -> [Int] { [weight.offset] + weight.shape + weight.strides }

  private func isOf(_ weight: Tensor) -> Bool {
    version == weight.memory.version && dtype == weight.dtype && place == PreparedFilters.place(of: weight)
  }

  private static let lock = Mutex<Void>(())

  /// Those of a weight as it is now. Of several views of one memory, those of the last one are kept.
  static func of(_ weight: Tensor) -> PreparedFilters? {
    // Others may change the numbers without a word.
    if weight.memory.isShared { return nil }
    return lock.withLock { _ in
      if let known = weight.memory.prepared, known.isOf(weight) { return known }
      let made = PreparedFilters(weight)
      weight.memory.prepared = made
      return made
    }
  }

  /// Gives up what is kept of a weight that is being trained.
  static func drop(_ weight: Tensor) {
    lock.withLock { _ in
      if weight.memory.prepared != nil { weight.memory.prepared = nil }
    }
  }

  /// The form, made by `make` if it is not there.
  private func form(_ form: Form, bytes: Int, make: (UnsafeMutableRawPointer) throws -> Void) throws -> Scratch {
    if let known = forms.withLock({ $0[form] }) { return known }
    let made = try Scratch(bytes: bytes)
    try make(made.pointer)
    forms.withLock { $0[form] = made }
    return made
  }

  /// The form from `prepared`, or made for this call.
  static func get(
    _ prepared: PreparedFilters?, _ form: Form, bytes: Int, make: (UnsafeMutableRawPointer) throws -> Void
  ) throws -> Scratch {
    if let prepared { return try prepared.form(form, bytes: bytes, make: make) }
    let made = try Scratch(bytes: bytes)
    try make(made.pointer)
    return made
  }
}

extension FilterLayout {
  /// The numbers that tell apart what is packed after this layout.
  var form: PreparedFilters.Form { [columns, columnStride, run, runStride, taps, tapStride, merged, groupStride] }
}
