import CSwiftNet
import SwiftNet

/// Converts between handles and objects, and errors and status codes. A handle is a retained reference.

func tensor(_ handle: sn_tensor?) throws -> Tensor {
  guard let handle else { throw SwiftNetError(.type, "expected a tensor, got NULL") }
  return Unmanaged<Tensor>.fromOpaque(UnsafeRawPointer(handle)).takeUnretainedValue()
}

func optionalTensor(_ handle: sn_tensor?) -> Tensor? {
  handle.map { Unmanaged<Tensor>.fromOpaque(UnsafeRawPointer($0)).takeUnretainedValue() }
}

func tensors(_ handles: UnsafePointer<sn_tensor?>?, _ count: Int64) throws -> [Tensor] {
  try (0..<max(Int(count), 0)).map { try tensor(handles?[$0]) }
}

func optionalTensors(_ handles: UnsafePointer<sn_tensor?>?, _ count: Int64) -> [Tensor?] {
  (0..<max(Int(count), 0)).map { optionalTensor(handles?[$0]) }
}

func handle(_ tensor: Tensor) -> sn_tensor {
  sn_tensor(Unmanaged.passRetained(tensor).toOpaque())
}

func integers(_ pointer: UnsafePointer<Int64>?, _ count: Int64) -> [Int] {
  guard let pointer, count > 0 else { return [] }
  return (0..<Int(count)).map { Int(pointer[$0]) }
}

func dtype(_ code: Int32) throws -> DType {
  guard let dtype = DType(rawValue: code) else { throw SwiftNetError(.type, "unknown dtype \(code)") }
  return dtype
}

func optionalDType(_ code: Int32) throws -> DType? { code < 0 ? nil : try dtype(code) }

func scalar(_ value: sn_scalar) -> Scalar { scalar(value.d, value.i, value.kind) }

func scalar(_ d: Double, _ i: Int64, _ kind: Int32) -> Scalar {
  switch kind {
  case 1: .int(i)
  case 2: .bool(i != 0)
  default: .float(d)
  }
}

func elementwiseOp(_ code: Int32) throws -> ElementwiseOp {
  guard let op = ElementwiseOp(rawValue: Int(code)) else {
    throw SwiftNetError(.value, "unknown elementwise operation \(code)")
  }
  return op
}

/// The last failure of a thread.
final class LastError {
  var status: Int32 = 0
  var text: UnsafeMutablePointer<CChar> = strdup("")

  private static let key: pthread_key_t = {
    var key = pthread_key_t()
    pthread_key_create(&key) { pointer in
      #if os(Linux)
        Unmanaged<LastError>.fromOpaque(pointer!).release()
      #else
        Unmanaged<LastError>.fromOpaque(pointer).release()
      #endif
    }
    return key
  }()

  deinit { free(text) }

  static var current: LastError {
    if let pointer = pthread_getspecific(key) {
      return Unmanaged<LastError>.fromOpaque(pointer).takeUnretainedValue()
    }
    let made = LastError()
    pthread_setspecific(key, Unmanaged.passRetained(made).toOpaque())
    return made
  }

  /// Keeps an error for the caller and returns its status.
  @discardableResult
  static func set(_ error: Error) -> Int32 {
    let known = error as? SwiftNetError ?? SwiftNetError(.runtime, String(describing: error))
    let last = current
    free(last.text)
    last.text = strdup(known.message)
    last.status = known.kind.rawValue
    return last.status
  }

  static func clear() { current.status = 0 }
}

/// Runs `body`; its tensor becomes a handle, its error a NULL and the thread's last error.
@inline(__always)
func make(_ body: () throws -> Tensor) -> sn_tensor? {
  do {
    return handle(try body())
  } catch {
    LastError.set(error)
    return nil
  }
}

/// As `make`, for a result that may be absent: then NULL, with status SN_OK.
@inline(__always)
func makeOptional(_ body: () throws -> Tensor?) -> sn_tensor? {
  do {
    LastError.clear()
    return try body().map(handle)
  } catch {
    LastError.set(error)
    return nil
  }
}

/// Runs `body`; the status says how it ended.
@inline(__always)
func attempt(_ body: () throws -> Void) -> Int32 {
  do {
    try body()
    return 0
  } catch {
    return LastError.set(error)
  }
}

/// Runs `body`, which gives a number that is not negative; -1 on failure.
@inline(__always)
func number<T: FixedWidthInteger>(_ body: () throws -> Int) -> T {
  do {
    return T(truncatingIfNeeded: try body())
  } catch {
    LastError.set(error)
    return -1
  }
}

/// Somebody else's context, released with the last reference to this.
final class ForeignContext {
  let pointer: UnsafeMutableRawPointer?
  private let release: (@convention(c) (UnsafeMutableRawPointer?) -> Void)?

  init(_ pointer: UnsafeMutableRawPointer?, _ release: (@convention(c) (UnsafeMutableRawPointer?) -> Void)?) {
    self.pointer = pointer
    self.release = release
  }

  deinit { release?(pointer) }
}
