import CSwiftNet
import SwiftNet

@c(sn_is_inference) @implementation
public func sn_is_inference(_ t: sn_tensor?) -> Int32 { number { try tensor(t).isInference ? 1 : 0 } }

@c(sn_retains_grad) @implementation
public func sn_retains_grad(_ t: sn_tensor?) -> Int32 { number { try tensor(t).retainsGrad ? 1 : 0 } }

@c(sn_is_anomaly_enabled) @implementation
public func sn_is_anomaly_enabled() -> Int32 { ThreadState.current.checksAnomaly ? 1 : 0 }

@c(sn_set_anomaly_enabled) @implementation
public func sn_set_anomaly_enabled(_ enabled: Int32) -> Int32 {
  ThreadState.current.checksAnomaly = enabled != 0
  return 0
}

@c(sn_register_accumulate_hook) @implementation
public func sn_register_accumulate_hook(
  _ t: sn_tensor?, _ hook: sn_accumulate_hook?, _ context: UnsafeMutableRawPointer?,
  _ release: (@convention(c) (UnsafeMutableRawPointer?) -> Void)?
) -> Int64 {
  let owner = ForeignContext(context, release)
  return number {
    guard let hook else { throw SwiftNetError(.type, "hook is NULL") }
    return try tensor(t).registerPostAccumulateHook {
      if hook(owner.pointer) != 0 {
        throw SwiftNetError(.callback, "a hook on an accumulated gradient failed")
      }
    }
  }
}

/// A C function of tensors as a Swift one.
private func swiftFunction(_ function: sn_function?, _ context: UnsafeMutableRawPointer?) throws
  -> GradCheck.Function
{
  guard let function else { throw SwiftNetError(.type, "function is NULL") }
  let capacity = 64
  return { inputs in
    let handles: [sn_tensor?] = inputs.map { sn_tensor(Unmanaged.passUnretained($0).toOpaque()) }
    var outputs = [sn_tensor?](repeating: nil, count: capacity)
    var count: Int64 = 0
    let status = withExtendedLifetime(inputs) {
      function(context, handles, Int64(handles.count), &outputs, Int64(capacity), &count)
    }
    let made = outputs.prefix(max(0, min(Int(count), capacity))).compactMap { adopt($0) }
    if status != 0 { throw SwiftNetError(.callback, "the function under test failed") }
    return made
  }
}

private func verdict(_ body: () throws -> String?) -> Int32 {
  do {
    guard let message = try body() else { return 1 }
    LastError.set(SwiftNetError(.runtime, message))
    return 0
  } catch {
    LastError.set(error)
    return -1
  }
}

@c(sn_gradcheck) @implementation
public func sn_gradcheck(
  _ function: sn_function?, _ context: UnsafeMutableRawPointer?, _ inputs: UnsafePointer<sn_tensor?>?,
  _ count: Int64,
  _ eps: Double, _ atol: Double, _ rtol: Double, _ nondeterminism: Double
) -> Int32 {
  verdict {
    try GradCheck.check(
      try swiftFunction(function, context), try tensors(inputs, count),
      .init(eps: eps, atol: atol, rtol: rtol, nondeterminism: nondeterminism))
  }
}

@c(sn_gradgradcheck) @implementation
public func sn_gradgradcheck(
  _ function: sn_function?, _ context: UnsafeMutableRawPointer?, _ inputs: UnsafePointer<sn_tensor?>?,
  _ count: Int64,
  _ gradOutputs: UnsafePointer<sn_tensor?>?, _ gradCount: Int64, _ eps: Double, _ atol: Double,
  _ rtol: Double,
  _ nondeterminism: Double
) -> Int32 {
  verdict {
    try GradCheck.checkTwice(
      try swiftFunction(function, context), try tensors(inputs, count),
      gradOutputs: gradCount < 0 ? nil : try tensors(gradOutputs, gradCount),
      .init(eps: eps, atol: atol, rtol: rtol, nondeterminism: nondeterminism))
  }
}
