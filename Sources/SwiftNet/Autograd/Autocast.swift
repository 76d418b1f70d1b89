import Synchronization

/// Mixed precision, as `torch.autocast` on the CPU: while it is on, products and convolutions take their inputs in half
/// precision, operations that need digits take them in float32, and joining takes the widest. Every operation decides
/// for itself, at its entry:
///
///     if let out = try autocast(.lower, [self, other], { try $0[0].mm($0[1]) }) { return out }
///
/// The conversions are recorded, so gradients arrive in the dtype of the tensors that were converted.
public enum Autocast {
  /// What an operation wants its inputs to be.
  public enum Policy {
    /// The thread's half-precision dtype.
    case lower
    /// float32, where they are less.
    case float32
    /// The widest among them.
    case widest
  }

  /// The inputs of an operation after conversion, by position.
  struct Inputs {
    fileprivate let tensors: [Tensor?]

    /// An input that is always there.
    subscript(index: Int) -> Tensor {
      get throws {
        guard let tensor = tensors[index] else { throw SwiftNetError.type("input \(index) is missing") }
        return tensor
      }
    }

    /// An input that may be left out.
    subscript(optional index: Int) -> Tensor? { tensors[index] }

    /// All, where none is left out.
    var all: [Tensor] { tensors.compactMap { $0 } }
  }

  /// Threads that have it on: one load tells the others that there is nothing to do.
  private static let users = Atomic<Int>(0)

  /// Whether operations on this thread convert their inputs.
  @inline(__always)
  static var isOn: Bool { users.load(ordering: .relaxed) != 0 && ThreadState.current.isAutocastEnabled }

  public static var isEnabled: Bool {
    get { isOn }
    set {
      let state = ThreadState.current
      if newValue != state.isAutocastEnabled { users.add(newValue ? 1 : -1, ordering: .relaxed) }
      state.isAutocastEnabled = newValue
    }
  }

  /// float16 or bfloat16.
  public static var dtype: DType {
    get { ThreadState.current.autocastDType }
    set { ThreadState.current.autocastDType = newValue }
  }

  /// Whether a weight that is used several times is converted once.
  public static var isCacheEnabled: Bool {
    get { ThreadState.current.isAutocastCacheEnabled }
    set { ThreadState.current.isAutocastCacheEnabled = newValue }
  }

  /// Enters one more context; returns their number.
  public static func enter() -> Int {
    ThreadState.current.autocastDepth += 1
    return ThreadState.current.autocastDepth
  }

  /// Leaves a context; with the last one the converted weights are forgotten.
  public static func leave() -> Int {
    let state = ThreadState.current
    state.autocastDepth = max(0, state.autocastDepth - 1)
    if state.autocastDepth == 0 { clearCache() }
    return state.autocastDepth
  }

  public static func clearCache() { ThreadState.current.autocastCache.removeAll() }

  /// Runs `body` with conversions off: what an operation is made of does not decide again.
  @inline(__always)
  static func suspended<R>(_ body: () throws -> R) rethrows -> R {
    let wasOn = pause()
    defer { resume(wasOn) }
    return try body()
  }

  /// Turns conversions off for a while; whether they were on.
  @inline(__always)
  static func pause() -> Bool {
    guard isOn else { return false }
    ThreadState.current.isAutocastEnabled = false
    return true
  }

  /// Ends a pause that `pause` has begun.
  @inline(__always)
  static func resume(_ wasOn: Bool) {
    if wasOn { ThreadState.current.isAutocastEnabled = true }
  }

  fileprivate static func run<R>(
    _ policy: Policy, _ tensors: [Tensor?], _ body: (Inputs) throws -> R
  ) throws -> R {
    let state = ThreadState.current
    let target: DType
    switch policy {
    case .lower: target = state.autocastDType
    case .float32: target = .float32
    case .widest:
      let present = tensors.compactMap { $0?.dtype }.filter(isConverted)
      target = present.dropFirst().reduce(present.first ?? .float32) { TypePromotion.promote($0, $1) }
    }
    return try suspended {
      try body(Inputs(tensors: try tensors.map { try $0.map { try convert($0, target, state) } }))
    }
  }

  /// double stays, and so does what is no floating-point number.
  private static func isConverted(_ dtype: DType) -> Bool { dtype.isFloatingPoint && dtype != .float64 }

  private static func convert(_ tensor: Tensor, _ target: DType, _ state: ThreadState) throws -> Tensor {
    guard isConverted(tensor.dtype), tensor.dtype != target else { return tensor }
    let isWeight =
      state.isAutocastCacheEnabled && state.autocastDepth > 0 && target == state.autocastDType
      && tensor.dtype == .float32 && tensor.requiresGrad && tensor.isLeaf && tensor.autograd?.base == nil
    guard isWeight, !state.isInferenceMode else { return try tensor.to(target) }
    let key = ObjectIdentifier(tensor)
    if let known = state.autocastCache[key], known.fits(tensor, target, state) { return known.converted }
    let converted = try tensor.to(target)
    state.autocastCache[key] = ConvertedWeight(
      weight: tensor, converted: converted, version: tensor.memory.version, isRecorded: state.isGradEnabled)
    return converted
  }
}

/// A weight and its conversion. The weight is kept so that its identity stays its own.
struct ConvertedWeight {
  let weight: Tensor
  let converted: Tensor
  let version: Int
  let isRecorded: Bool

  func fits(_ tensor: Tensor, _ target: DType, _ state: ThreadState) -> Bool {
    weight === tensor && converted.dtype == target && version == tensor.memory.version
      && isRecorded == state.isGradEnabled
  }
}

/// The result of an operation on converted inputs if mixed precision is on; nil if it is off.
@inline(__always)
func autocast<R>(
  _ policy: Autocast.Policy, _ inputs: @autoclosure () -> [Tensor?], _ body: (Autocast.Inputs) throws -> R
) throws -> R? {
  guard Autocast.isOn else { return nil }
  return try Autocast.run(policy, inputs(), body)
}
