import CSwiftNet
import SwiftNet

@c(sn_is_autocast_enabled) @implementation
public func sn_is_autocast_enabled() -> Int32 { Autocast.isEnabled ? 1 : 0 }

@c(sn_set_autocast_enabled) @implementation
public func sn_set_autocast_enabled(_ enabled: Int32) { Autocast.isEnabled = enabled != 0 }

@c(sn_autocast_dtype) @implementation
public func sn_autocast_dtype() -> Int32 { Autocast.dtype.rawValue }

@c(sn_set_autocast_dtype) @implementation
public func sn_set_autocast_dtype(_ code: Int32) -> Int32 {
  attempt {
    let dtype = try dtype(code)
    guard dtype == .float16 || dtype == .bfloat16 || dtype == .float32 else {
      throw SwiftNetError(.type, "autocast converts to float16, bfloat16 or float32, not to \(dtype.name)")
    }
    Autocast.dtype = dtype
  }
}

@c(sn_is_autocast_cache_enabled) @implementation
public func sn_is_autocast_cache_enabled() -> Int32 { Autocast.isCacheEnabled ? 1 : 0 }

@c(sn_set_autocast_cache_enabled) @implementation
public func sn_set_autocast_cache_enabled(_ enabled: Int32) { Autocast.isCacheEnabled = enabled != 0 }

@c(sn_autocast_enter) @implementation
public func sn_autocast_enter() -> Int64 { Int64(Autocast.enter()) }

@c(sn_autocast_leave) @implementation
public func sn_autocast_leave() -> Int64 { Int64(Autocast.leave()) }

@c(sn_clear_autocast_cache) @implementation
public func sn_clear_autocast_cache() { Autocast.clearCache() }
