import KernelTypes

/// What each thread keeps for itself: whether operations are recorded, and nodes that wait to be freed.
public final class ThreadState {
  /// Whether operations on tensors that require gradients are recorded.
  public var isGradEnabled = true
  /// Inside `inference_mode`: results never take part in a graph.
  public var isInferenceMode = false
  /// Backward looks for NaN in every gradient and names the operation that made it.
  public var checksAnomaly = false
  /// Mixed precision: see Autocast.
  var isAutocastEnabled = false
  var autocastDType = DType.bfloat16
  var isAutocastCacheEnabled = true
  var autocastDepth = 0
  var autocastCache: [ObjectIdentifier: ConvertedWeight] = [:]
  /// What the last pass over scores and their truth found.
  var overlap: KnownOverlap?
  /// Nodes being freed one after the other instead of recursively.
  var graveyard: [GradNode.Remains] = []
  var isBurying = false

  private static let key: pthread_key_t = {
    var key = pthread_key_t()
    pthread_key_create(&key) { pointer in
      #if os(Linux)
        Unmanaged<ThreadState>.fromOpaque(pointer!).release()
      #else
        Unmanaged<ThreadState>.fromOpaque(pointer).release()
      #endif
    }
    return key
  }()

  public static var current: ThreadState {
    if let pointer = pthread_getspecific(key) {
      return Unmanaged<ThreadState>.fromOpaque(pointer).takeUnretainedValue()
    }
    let state = ThreadState()
    pthread_setspecific(key, Unmanaged.passRetained(state).toOpaque())
    return state
  }
}

/// Runs `body` without recording operations for backward.
public func noGrad<R>(_ body: () throws -> R) rethrows -> R { try withGradMode(false, body) }

/// Runs `body` with recording switched on or off.
public func withGradMode<R>(_ enabled: Bool, _ body: () throws -> R) rethrows -> R {
  let state = ThreadState.current
  let before = state.isGradEnabled
  state.isGradEnabled = enabled
  defer { state.isGradEnabled = before }
  return try body()
}
