#if canImport(Glibc)
  @_exported import Glibc
#elseif canImport(Musl)
  @_exported import Musl
#elseif canImport(Darwin)
  @_exported import Darwin
#endif

/// The value of an environment variable, or nil.
func environment(_ name: String) -> String? {
  getenv(name).map { String(cString: $0) }
}
