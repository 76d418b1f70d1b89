import CSwiftNet
import SwiftNet

func module(_ handle: sn_module?) throws -> Module {
  guard let handle else { throw SwiftNetError(.type, "expected a module, got NULL") }
  return Unmanaged<Module>.fromOpaque(UnsafeRawPointer(handle)).takeUnretainedValue()
}

private func makeModule(_ body: () throws -> Module?) -> sn_module? {
  do {
    LastError.clear()
    return try body().map { sn_module(Unmanaged.passRetained($0).toOpaque()) }
  } catch {
    LastError.set(error)
    return nil
  }
}

private func name(_ body: () throws -> String) -> UnsafePointer<CChar>? {
  do {
    return TextBuffer.keep(try body())
  } catch {
    LastError.set(error)
    return nil
  }
}

@c(sn_module_create) @implementation
public func sn_module_create(
  _ type: UnsafePointer<CChar>?, _ names: UnsafePointer<UnsafePointer<CChar>?>?, _ values: UnsafePointer<sn_value>?,
  _ count: Int64, _ dtype: Int32, _ build: Int32
) -> sn_module? {
  makeModule {
    var settings: [(name: String, value: ConfigValue)] = []
    if let names, let values, count > 0 {
      for index in 0..<Int(count) { settings.append((try text(names[index]), try configValue(values[index]))) }
    }
    return try Module.make(try text(type), settings, dtype: try optionalDType(dtype), building: build != 0)
  }
}

@c(sn_module_foreign) @implementation
public func sn_module_foreign(_ type: UnsafePointer<CChar>?) -> sn_module? {
  makeModule { ForeignModule(typeName: try text(type)) }
}

@c(sn_module_retain) @implementation
public func sn_module_retain(_ m: sn_module?) -> sn_module? { makeModule { try module(m) } }

@c(sn_module_release) @implementation
public func sn_module_release(_ m: sn_module?) {
  if let m { Unmanaged<Module>.fromOpaque(UnsafeRawPointer(m)).release() }
}

@c(sn_module_type) @implementation
public func sn_module_type(_ m: sn_module?) -> UnsafePointer<CChar>? { name { try module(m).typeName } }

@c(sn_module_forward) @implementation
public func sn_module_forward(_ m: sn_module?, _ input: sn_tensor?) -> sn_tensor? {
  make { try module(m).forward(try tensor(input)) }
}

@c(sn_module_forward2) @implementation
public func sn_module_forward2(_ m: sn_module?, _ input: sn_tensor?, _ other: sn_tensor?) -> sn_tensor? {
  make {
    let module = try module(m)
    return try module.forward([.tensor(try tensor(input)), .tensor(try tensor(other))])
      .expectTensor(module.typeName, "output")
  }
}

@c(sn_module_forward_values) @implementation
public func sn_module_forward_values(
  _ m: sn_module?, _ inputs: UnsafePointer<sn_value>?, _ count: Int64, _ result: UnsafeMutablePointer<sn_value>?
) -> Int32 {
  attempt { result?.pointee = cValue(try module(m).forward(try moduleValues(inputs, count))) }
}

@c(sn_module_call) @implementation
public func sn_module_call(
  _ m: sn_module?, _ inputs: UnsafePointer<sn_value>?, _ count: Int64, _ result: UnsafeMutablePointer<sn_value>?
) -> Int32 {
  attempt { result?.pointee = cValue(try module(m).call(try moduleValues(inputs, count))) }
}

@c(sn_module_reset_parameters) @implementation
public func sn_module_reset_parameters(_ m: sn_module?) -> Int32 { attempt { try module(m).resetParameters() } }

@c(sn_module_training) @implementation
public func sn_module_training(_ m: sn_module?) -> Int32 { number { try module(m).training ? 1 : 0 } }

@c(sn_module_set_training) @implementation
public func sn_module_set_training(_ m: sn_module?, _ training: Int32) -> Int32 {
  attempt { try module(m).training = training != 0 }
}

@c(sn_module_set_override) @implementation
public func sn_module_set_override(
  _ m: sn_module?, _ function: sn_forward_function?, _ context: UnsafeMutableRawPointer?,
  _ release: (@convention(c) (UnsafeMutableRawPointer?) -> Void)?
) -> Int32 {
  let owner = ForeignContext(context, release)
  return attempt {
    let module = try module(m)
    guard let function else {
      module.forwardOverride = nil
      return
    }
    module.forwardOverride = { inputs in
      var values = inputs.map(cValue)
      var result = sn_value()
      let status = function(owner.pointer, values, Int64(values.count), &result)
      for index in values.indices { sn_value_clear(&values[index]) }
      if status != 0 { throw SwiftNetError(.callback, "the forward of a module failed") }
      return try adopt(result)
    }
  }
}

/// Takes over a value that a callback made; the tensors in it are handles of its own.
private func adopt(_ value: sn_value) throws -> ModuleValue {
  let result = try moduleValue(value)
  releaseTensors(value)
  return result
}

private func releaseTensors(_ value: sn_value) {
  sn_release(value.tensor)
  if let items = value.items {
    for index in 0..<max(Int(value.count), 0) { releaseTensors(items[index]) }
  }
}

@c(sn_module_setting_count) @implementation
public func sn_module_setting_count(_ m: sn_module?) -> Int64 { number { try module(m).settings.count } }

@c(sn_module_setting_name) @implementation
public func sn_module_setting_name(_ m: sn_module?, _ index: Int64) -> UnsafePointer<CChar>? {
  name { try element(try module(m).settings.names, index) }
}

private func element(_ names: [String], _ index: Int64) throws -> String {
  guard index >= 0, index < names.count else { throw SwiftNetError(.index, "index \(index) is out of range") }
  return names[Int(index)]
}

@c(sn_module_setting) @implementation
public func sn_module_setting(
  _ m: sn_module?, _ name: UnsafePointer<CChar>?, _ value: UnsafeMutablePointer<sn_value>?
) -> Int32 {
  attempt {
    let (module, name) = (try module(m), try text(name))
    guard let setting = module.setting(name) else {
      throw SwiftNetError(.value, "\(module.typeName) has no setting '\(name)'")
    }
    value?.pointee = cValue(setting)
  }
}

@c(sn_module_set_setting) @implementation
public func sn_module_set_setting(
  _ m: sn_module?, _ name: UnsafePointer<CChar>?, _ value: UnsafePointer<sn_value>?
) -> Int32 {
  attempt {
    guard let value else { throw SwiftNetError(.type, "value is NULL") }
    try module(m).set(try text(name), try configValue(value.pointee))
  }
}

private func memberNames(_ m: sn_module?, _ kind: Int32) throws -> [String] {
  let module = try module(m)
  switch kind {
  case 0: return module.parameters.names
  case 1: return module.buffers.names
  case 2: return module.children.names
  default: throw SwiftNetError(.value, "unknown kind of member \(kind)")
  }
}

@c(sn_module_member_count) @implementation
public func sn_module_member_count(_ m: sn_module?, _ kind: Int32) -> Int64 {
  number { try memberNames(m, kind).count }
}

@c(sn_module_member_name) @implementation
public func sn_module_member_name(_ m: sn_module?, _ kind: Int32, _ index: Int64) -> UnsafePointer<CChar>? {
  name { try element(try memberNames(m, kind), index) }
}

@c(sn_module_remove_member) @implementation
public func sn_module_remove_member(_ m: sn_module?, _ kind: Int32, _ name: UnsafePointer<CChar>?) -> Int32 {
  attempt {
    let (module, name) = (try module(m), try text(name))
    switch kind {
    case 0: module.removeParameter(name)
    case 1: module.removeBuffer(name)
    case 2: module.removeChild(name)
    default: throw SwiftNetError(.value, "unknown kind of member \(kind)")
    }
  }
}

@c(sn_module_tensor) @implementation
public func sn_module_tensor(_ m: sn_module?, _ kind: Int32, _ name: UnsafePointer<CChar>?) -> sn_tensor? {
  makeOptional {
    let (module, name) = (try module(m), try text(name))
    return kind == 0 ? module.parameter(name) : module.buffer(name)
  }
}

@c(sn_module_child) @implementation
public func sn_module_child(_ m: sn_module?, _ name: UnsafePointer<CChar>?) -> sn_module? {
  makeModule { try module(m).children[try text(name)] ?? nil }
}

@c(sn_module_set_tensor) @implementation
public func sn_module_set_tensor(
  _ m: sn_module?, _ kind: Int32, _ name: UnsafePointer<CChar>?, _ tensor: sn_tensor?, _ persistent: Int32
) -> Int32 {
  attempt {
    let (module, name) = (try module(m), try text(name))
    if kind == 0 {
      module.setParameter(name, optionalTensor(tensor))
    } else {
      module.setBuffer(name, optionalTensor(tensor), persistent: persistent != 0)
    }
  }
}

@c(sn_module_set_child) @implementation
public func sn_module_set_child(_ m: sn_module?, _ name: UnsafePointer<CChar>?, _ child: sn_module?) -> Int32 {
  attempt { try module(m).setChild(try text(name), try child.map { try module($0) }) }
}

@c(sn_module_buffer_is_persistent) @implementation
public func sn_module_buffer_is_persistent(_ m: sn_module?, _ name: UnsafePointer<CChar>?) -> Int32 {
  number { try module(m).buffers[try text(name)]?.isPersistent == true ? 1 : 0 }
}
