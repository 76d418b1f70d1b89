import CSwiftNet
import SwiftNet

@c(sn_abi_version) @implementation
public func sn_abi_version() -> Int32 { 1 }

@c(sn_last_status) @implementation
public func sn_last_status() -> Int32 { LastError.current.status }

@c(sn_last_error) @implementation
public func sn_last_error() -> UnsafePointer<CChar>? { UnsafePointer(LastError.current.text) }

@c(sn_get_num_threads) @implementation
public func sn_get_num_threads() -> Int32 { Int32(ThreadPool.shared.threadCount) }

@c(sn_set_num_threads) @implementation
public func sn_set_num_threads(_ count: Int32) -> Int32 {
  attempt {
    guard count > 0 else { throw SwiftNetError(.runtime, "set_num_threads expects a positive integer") }
    ThreadPool.shared.threadCount = Int(count)
  }
}

nonisolated(unsafe) private let configuration: UnsafeMutablePointer<CChar> = {
  strdup(
    "instruction set: \(CPU.chosen) (available: \(CPU.available.joined(separator: ", ")))\n"
      + "bfloat16 dot products: \(CPU.hasBFloat16Dot ? "yes" : "no")\n")
}()

@c(sn_config) @implementation
public func sn_config() -> UnsafePointer<CChar>? { UnsafePointer(configuration) }

@c(sn_memory_statistics) @implementation
public func sn_memory_statistics(
  _ live: UnsafeMutablePointer<Int64>?, _ peak: UnsafeMutablePointer<Int64>?,
  _ cached: UnsafeMutablePointer<Int64>?, _ allocations: UnsafeMutablePointer<Int64>?
) -> Int32 {
  let statistics = MemoryPool.shared.statistics
  live?.pointee = Int64(statistics.live)
  peak?.pointee = Int64(statistics.peak)
  cached?.pointee = Int64(statistics.cached)
  allocations?.pointee = Int64(statistics.systemAllocations)
  return 0
}

@c(sn_memory_reset_peak) @implementation
public func sn_memory_reset_peak() -> Int32 {
  MemoryPool.shared.resetPeak()
  return 0
}

@c(sn_memory_empty) @implementation
public func sn_memory_empty() -> Int32 {
  MemoryPool.shared.empty()
  return 0
}

@c(sn_get_winograd) @implementation
public func sn_get_winograd() -> Int32 { Backends.winograd ? 1 : 0 }

@c(sn_set_winograd) @implementation
public func sn_set_winograd(_ enabled: Int32) -> Int32 {
  Backends.winograd = enabled != 0
  return 0
}

@c(sn_set_interrupt_check) @implementation
public func sn_set_interrupt_check(_ check: (@convention(c) () -> Int32)?) -> Int32 {
  Interrupt.install(check)
  return 0
}

@c(sn_get_default_dtype) @implementation
public func sn_get_default_dtype() -> Int32 { TypePromotion.defaultDType.rawValue }

@c(sn_set_default_dtype) @implementation
public func sn_set_default_dtype(_ code: Int32) -> Int32 {
  attempt {
    let chosen = try dtype(code)
    guard chosen.isFloatingPoint else {
      throw SwiftNetError(.type, "only floating-point types are supported as the default type")
    }
    TypePromotion.defaultDType = chosen
  }
}
