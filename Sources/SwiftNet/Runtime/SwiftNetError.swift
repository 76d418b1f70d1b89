/// What every throwing function of this library throws. The kind says which Python exception it becomes.
public struct SwiftNetError: Error, CustomStringConvertible {
  public enum Kind: Int32, Sendable {
    case runtime = 1
    case value
    case type
    case index
    case memory
    case notImplemented
    /// The user pressed Ctrl-C.
    case interrupted
    /// A callback into another language failed; that language keeps the exception.
    case callback
    /// Reading or writing a file.
    case io
  }

  public let kind: Kind
  public let message: String

  public init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }

  public var description: String { message }

  static func runtime(_ message: String) -> SwiftNetError { SwiftNetError(.runtime, message) }
  static func value(_ message: String) -> SwiftNetError { SwiftNetError(.value, message) }
  static func type(_ message: String) -> SwiftNetError { SwiftNetError(.type, message) }
  static func index(_ message: String) -> SwiftNetError { SwiftNetError(.index, message) }
  static func memory(_ message: String) -> SwiftNetError { SwiftNetError(.memory, message) }
  static func notImplemented(_ message: String) -> SwiftNetError { SwiftNetError(.notImplemented, message) }
}

/// Throws unless the condition holds; the message is only built when needed.
@inline(__always)
func require(
  _ condition: Bool, _ kind: SwiftNetError.Kind, _ message: @autoclosure () -> String
) throws {
  if !condition { throw SwiftNetError(kind, message()) }
}

/// Throws a runtime error unless the condition holds.
@inline(__always)
func require(_ condition: Bool, _ message: @autoclosure () -> String) throws {
  if !condition { throw SwiftNetError(.runtime, message()) }
}
