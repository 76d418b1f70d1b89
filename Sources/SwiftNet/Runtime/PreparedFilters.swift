import KernelTypes

/// The filters of a convolution in the forms in which kernels read them, kept with the weight for evaluation: there the
/// same filters serve image after image. Dropped when the weight changes.
final class PreparedFilters: @unchecked Sendable {
  /// Which form, and the numbers that decide it.
  struct Form: Hashable {
    enum Kind {
      /// As they are, but dense, converted to float32, or without taps that see nothing.
      case dense, wide, part
      /// Packed for the kernels of this name.
      case rows, lines, groups
      /// Transformed, or packed only, for Winograd's algorithm with stride 1; transformed for stride 2.
      case winograd, winogradPanels, stridedWinograd
    }

    private let kind: Kind
    private let numbers: [Int]

    init(_ kind: Kind, _ numbers: [Int] = []) {
      self.kind = kind
      self.numbers = numbers
    }
  }

  private let version: Int
  /// Which part of the memory the filters are.
  private let offset: Int
  private let shape: [Int]
  private let strides: [Int]
  private let dtype: DType
  /// Held where what is kept is read or changed.
  private let lock = SpinLock()
  private var forms: [Form: Scratch] = [:]
  /// The convolutions with these filters that were computed last.
  private var convolutions: [(key: ConvolutionKey, convolution: RowConvolution)] = []
  /// Taps that an optimizer has kept for the next step.
  private var taps: (form: Form, filters: Tensor)?

  private init(_ weight: Tensor) {
    version = weight.memory.version
    (offset, shape, strides) = (weight.offset, weight.shape, weight.strides)
    dtype = weight.dtype
  }

  private func isOf(_ weight: Tensor) -> Bool {
    version == weight.memory.version && dtype == weight.dtype && offset == weight.offset && shape == weight.shape
      && strides == weight.strides
  }

  /// Held where a weight's are exchanged.
  private static let weightLock = SpinLock()

  /// Those of a weight as it is now. Of several views of one memory, those of the last one are kept.
  static func of(_ weight: Tensor) -> PreparedFilters? {
    // Others may change the numbers without a word.
    if weight.memory.isShared { return nil }
    return weightLock.withLock {
      if let known = weight.memory.prepared, known.isOf(weight) { return known }
      let made = PreparedFilters(weight)
      weight.memory.prepared = made
      return made
    }
  }

  /// Gives up what is kept of a weight that is being trained.
  static func drop(_ weight: Tensor) {
    weightLock.withLock {
      if weight.memory.prepared != nil { weight.memory.prepared = nil }
    }
  }

  /// Keeps the taps that are all that matters of a weight: whoever has just changed it had them in the cache, and to read
  /// them later is to read the whole weight.
  static func keepTaps(_ filters: Tensor, _ form: Form, of weight: Tensor) {
    guard let prepared = of(weight) else { return }
    prepared.lock.withLock { prepared.taps = (form, filters) }
  }

  /// The taps that were kept of a weight, once, if it has not changed since.
  static func takeTaps(_ form: Form, of weight: Tensor) -> Tensor? {
    if weight.memory.isShared { return nil }
    guard let prepared = weightLock.withLock({ weight.memory.prepared }), prepared.isOf(weight) else { return nil }
    return prepared.lock.withLock {
      guard let kept = prepared.taps, kept.form == form else { return nil }
      prepared.taps = nil
      return kept.filters
    }
  }

  /// The form, made by `make` if it is not there.
  private func form(_ form: Form, bytes: Int, make: (UnsafeMutableRawPointer) throws -> Void) throws -> Scratch {
    if let known = lock.withLock({ forms[form] }) { return known }
    let made = try Scratch(bytes: bytes)
    try make(made.pointer)
    lock.withLock { forms[form] = made }
    return made
  }

  /// A convolution with these filters that was kept under a key.
  func convolution(_ key: ConvolutionKey) -> RowConvolution? {
    lock.withLock { convolutions.first { $0.key == key }?.convolution }
  }

  /// Keeps a convolution, one of a few: images of other sizes may be evaluated in turns.
  func keep(_ convolution: RowConvolution, as key: ConvolutionKey) {
    lock.withLock {
      if convolutions.count == 4 { convolutions.removeFirst() }
      convolutions.append((key, convolution))
    }
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

/// What decides how a convolution with known filters is computed.
struct ConvolutionKey: Equatable {
  let type: DType
  let shape: ConvolutionShape
  /// The input's, as N, C, D, H, W.
  let strides: [Int]
  /// The switch of the moment.
  let allowsWinograd = Backends.winograd
}

extension FilterLayout {
  /// The numbers that tell apart what is packed after this layout.
  var form: [Int] { [columns, columnStride, run, runStride, taps, tapStride, merged, groupStride] }
}
