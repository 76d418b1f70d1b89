import CSwiftNet
import SwiftNet

/// Values between C and Swift.

func text(_ pointer: UnsafePointer<CChar>?) throws -> String {
  guard let pointer else { throw SwiftNetError(.type, "expected a string, got NULL") }
  return String(cString: pointer)
}

private func items(_ value: sn_value) -> [sn_value] {
  guard let items = value.items, value.count > 0 else { return [] }
  return (0..<Int(value.count)).map { items[$0] }
}

private func doubles(_ value: sn_value) -> [Double] {
  guard let numbers = value.numbers, value.count > 0 else { return [] }
  return (0..<Int(value.count)).map { numbers[$0] }
}

private func kind(_ value: sn_value) throws -> sn_value_kind {
  guard value.kind >= 0, value.kind <= Int32(SN_OBJECT.rawValue) else {
    throw SwiftNetError(.value, "unknown kind of value \(value.kind)")
  }
  return sn_value_kind(rawValue: sn_value_kind.RawValue(value.kind))
}

/// A setting from C.
func configValue(_ value: sn_value) throws -> ConfigValue {
  switch try kind(value) {
  case SN_NONE: return .none
  case SN_TENSOR: return .tensor(try tensor(value.tensor))
  case SN_BOOL: return .bool(value.integer != 0)
  case SN_INT: return .int(Int(value.integer))
  case SN_DOUBLE: return .double(value.number)
  case SN_STRING: return .string(try text(value.text))
  case SN_INTS: return .ints(integers(value.integers, value.count))
  case SN_DOUBLES: return .doubles(doubles(value))
  default: throw SwiftNetError(.type, "a setting cannot be a list of values or an object")
  }
}

/// A module's input or output from C.
func moduleValue(_ value: sn_value) throws -> ModuleValue {
  switch try kind(value) {
  case SN_NONE: return .none
  case SN_TENSOR: return .tensor(try tensor(value.tensor))
  case SN_BOOL: return .bool(value.integer != 0)
  case SN_INT: return .int(Int(value.integer))
  case SN_DOUBLE: return .double(value.number)
  case SN_STRING: return .string(try text(value.text))
  case SN_INTS: return .tuple(integers(value.integers, value.count).map(ModuleValue.int))
  case SN_DOUBLES: return .tuple(doubles(value).map(ModuleValue.double))
  case SN_LIST: return .list(try items(value).map(moduleValue))
  case SN_TUPLE: return .tuple(try items(value).map(moduleValue))
  default: return .foreign(ForeignContext(value.object, value.release))
  }
}

func moduleValues(_ values: UnsafePointer<sn_value>?, _ count: Int64) throws -> [ModuleValue] {
  guard let values, count > 0 else { return [] }
  return try (0..<Int(count)).map { try moduleValue(values[$0]) }
}

private func empty(_ kind: sn_value_kind) -> sn_value {
  var value = sn_value()
  value.kind = Int32(kind.rawValue)
  return value
}

private func copy<T>(_ values: [T]) -> UnsafePointer<T> {
  let memory = UnsafeMutablePointer<T>.allocate(capacity: max(values.count, 1))
  memory.initialize(from: values, count: values.count)
  return UnsafePointer(memory)
}

/// A value for C, which gives it back with `sn_value_clear`.
func cValue(_ value: ModuleValue) -> sn_value {
  switch value {
  case .none: return empty(SN_NONE)
  case .tensor(let tensor):
    var result = empty(SN_TENSOR)
    result.tensor = handle(tensor)
    return result
  case .bool(let flag):
    var result = empty(SN_BOOL)
    result.integer = flag ? 1 : 0
    return result
  case .int(let number):
    var result = empty(SN_INT)
    result.integer = Int64(number)
    return result
  case .double(let number):
    var result = empty(SN_DOUBLE)
    result.number = number
    return result
  case .string(let string):
    var result = empty(SN_STRING)
    result.text = UnsafePointer(strdup(string))
    return result
  case .list(let items): return list(SN_LIST, items.map(cValue))
  case .tuple(let items): return list(SN_TUPLE, items.map(cValue))
  case .foreign(let object):
    var result = empty(SN_OBJECT)
    result.object = (object as? ForeignContext)?.pointer
    result.owner = Unmanaged.passRetained(object).toOpaque()
    return result
  }
}

private func list(_ kind: sn_value_kind, _ items: [sn_value]) -> sn_value {
  var result = empty(kind)
  result.count = Int64(items.count)
  result.items = copy(items)
  return result
}

/// A setting for C.
func cValue(_ value: ConfigValue) -> sn_value {
  switch value {
  case .none: return empty(SN_NONE)
  case .tensor(let tensor): return cValue(ModuleValue.tensor(tensor))
  case .bool(let flag): return cValue(ModuleValue.bool(flag))
  case .int(let number): return cValue(ModuleValue.int(number))
  case .double(let number): return cValue(ModuleValue.double(number))
  case .string(let string): return cValue(ModuleValue.string(string))
  case .ints(let numbers):
    var result = empty(SN_INTS)
    result.count = Int64(numbers.count)
    result.integers = copy(numbers.map(Int64.init))
    return result
  case .doubles(let numbers):
    var result = empty(SN_DOUBLES)
    result.count = Int64(numbers.count)
    result.numbers = copy(numbers)
    return result
  }
}

@c(sn_value_clear) @implementation
public func sn_value_clear(_ value: UnsafeMutablePointer<sn_value>?) {
  guard let value else { return }
  let content = value.pointee
  value.pointee = sn_value()
  sn_release(content.tensor)
  if let text = content.text { free(UnsafeMutablePointer(mutating: text)) }
  content.integers?.deallocate()
  content.numbers?.deallocate()
  if let items = content.items {
    let items = UnsafeMutablePointer(mutating: items)
    for index in 0..<Int(content.count) { sn_value_clear(items + index) }
    items.deallocate()
  }
  if let owner = content.owner { Unmanaged<AnyObject>.fromOpaque(owner).release() }
}

/// A text for C that lives until the next one on this thread.
final class TextBuffer {
  private var text: UnsafeMutablePointer<CChar>?

  private static let key: pthread_key_t = {
    var key = pthread_key_t()
    pthread_key_create(&key) { pointer in
      #if os(Linux)
        Unmanaged<TextBuffer>.fromOpaque(pointer!).release()
      #else
        Unmanaged<TextBuffer>.fromOpaque(pointer).release()
      #endif
    }
    return key
  }()

  deinit { free(text) }

  static func keep(_ string: String) -> UnsafePointer<CChar>? {
    let buffer: TextBuffer
    if let pointer = pthread_getspecific(key) {
      buffer = Unmanaged<TextBuffer>.fromOpaque(pointer).takeUnretainedValue()
    } else {
      buffer = TextBuffer()
      pthread_setspecific(key, Unmanaged.passRetained(buffer).toOpaque())
    }
    free(buffer.text)
    buffer.text = strdup(string)
    return UnsafePointer(buffer.text)
  }
}
