import CSwiftNet
import SwiftNet

/// The results of one operation, until the caller takes them.
final class TensorList {
  let tensors: [Tensor]
  init(_ tensors: [Tensor]) { self.tensors = tensors }
}

/// Runs `body`; its tensors become a list, its error a NULL and the thread's last error.
func makeList(_ body: () throws -> [Tensor]) -> sn_list? {
  do {
    return sn_list(Unmanaged.passRetained(TensorList(try body())).toOpaque())
  } catch {
    LastError.set(error)
    return nil
  }
}

@c(sn_list_count) @implementation
public func sn_list_count(_ list: sn_list?) -> Int64 {
  guard let list else { return 0 }
  return Int64(Unmanaged<TensorList>.fromOpaque(UnsafeRawPointer(list)).takeUnretainedValue().tensors.count)
}

@c(sn_list_take) @implementation
public func sn_list_take(_ list: sn_list?, _ results: UnsafeMutablePointer<sn_tensor?>?) {
  guard let list else { return }
  let taken = Unmanaged<TensorList>.fromOpaque(UnsafeRawPointer(list)).takeRetainedValue()
  for (position, tensor) in taken.tensors.enumerated() { results?[position] = handle(tensor) }
}

/// Runs an operation, in place if asked: then the handle is another one on the tensor itself.
@inline(__always)
func make(_ t: sn_tensor?, inPlace: Int32, _ operation: (Tensor) throws -> Tensor) -> sn_tensor? {
  make {
    let target = try tensor(t)
    if inPlace == 0 { return try operation(target) }
    try target.replaceInPlace(operation)
    return target
  }
}
