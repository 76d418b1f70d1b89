import CSwiftNet
import SwiftNet

private func optimizer(_ handle: sn_optimizer?) throws -> Optimizer {
  guard let handle else { throw SwiftNetError(.type, "expected an optimizer, got NULL") }
  return Unmanaged<Optimizer>.fromOpaque(UnsafeRawPointer(handle)).takeUnretainedValue()
}

private func group(_ handle: sn_optimizer?, _ index: Int64) throws -> ParameterGroup {
  let groups = try optimizer(handle).groups
  guard index >= 0, index < groups.count else {
    throw SwiftNetError(.index, "there is no parameter group \(index)")
  }
  return groups[Int(index)]
}

@c(sn_optimizer_create) @implementation
public func sn_optimizer_create(_ type: UnsafePointer<CChar>?) -> sn_optimizer? {
  do {
    let made = try Optimizer.named(try text(type))
    return sn_optimizer(Unmanaged.passRetained(made).toOpaque())
  } catch {
    LastError.set(error)
    return nil
  }
}

@c(sn_optimizer_release) @implementation
public func sn_optimizer_release(_ handle: sn_optimizer?) {
  if let handle { Unmanaged<Optimizer>.fromOpaque(UnsafeRawPointer(handle)).release() }
}

@c(sn_optimizer_set_group) @implementation
public func sn_optimizer_set_group(
  _ handle: sn_optimizer?, _ index: Int64, _ parameters: UnsafePointer<sn_tensor?>?, _ count: Int64
) -> Int32 {
  attempt {
    let optimizer = try optimizer(handle)
    let parameters = try tensors(parameters, count)
    if index == optimizer.groups.count {
      try optimizer.addGroup(parameters)
    } else {
      try group(handle, index).parameters = parameters
    }
  }
}

@c(sn_optimizer_keep_groups) @implementation
public func sn_optimizer_keep_groups(_ handle: sn_optimizer?, _ count: Int64) -> Int32 {
  attempt { try optimizer(handle).removeGroups(from: Int(count)) }
}

@c(sn_optimizer_set_option) @implementation
public func sn_optimizer_set_option(
  _ handle: sn_optimizer?, _ index: Int64, _ name: UnsafePointer<CChar>?, _ value: Double
) -> Int32 {
  attempt { try group(handle, index)[try text(name)] = value }
}

@c(sn_optimizer_option) @implementation
public func sn_optimizer_option(
  _ handle: sn_optimizer?, _ index: Int64, _ name: UnsafePointer<CChar>?, _ value: UnsafeMutablePointer<Double>?
) -> Int32 {
  attempt {
    let name = try text(name)
    guard let found = try group(handle, index).options[name] else {
      throw SwiftNetError(.value, "there is no option '\(name)'")
    }
    value?.pointee = found
  }
}

@c(sn_optimizer_check) @implementation
public func sn_optimizer_check(_ handle: sn_optimizer?, _ index: Int64) -> Int32 {
  attempt { try optimizer(handle).check(try group(handle, index)) }
}

@c(sn_optimizer_step) @implementation
public func sn_optimizer_step(_ handle: sn_optimizer?) -> Int32 { attempt { try optimizer(handle).step() } }

@c(sn_optimizer_steps) @implementation
public func sn_optimizer_steps(_ handle: sn_optimizer?, _ parameter: sn_tensor?) -> Double {
  guard let state = try? optimizer(handle).state(tensor(parameter)) else { return -1 }
  return state.step
}

@c(sn_optimizer_set_steps) @implementation
public func sn_optimizer_set_steps(_ handle: sn_optimizer?, _ parameter: sn_tensor?, _ steps: Double) -> Int32 {
  attempt { try optimizer(handle).makeState(try tensor(parameter)).step = steps }
}

@c(sn_optimizer_number) @implementation
public func sn_optimizer_number(
  _ handle: sn_optimizer?, _ parameter: sn_tensor?, _ name: UnsafePointer<CChar>?,
  _ value: UnsafeMutablePointer<Double>?
) -> Int32 {
  number {
    guard let found = try optimizer(handle).state(try tensor(parameter))?.numbers[try text(name)] else { return 0 }
    value?.pointee = found
    return 1
  }
}

@c(sn_optimizer_set_number) @implementation
public func sn_optimizer_set_number(
  _ handle: sn_optimizer?, _ parameter: sn_tensor?, _ name: UnsafePointer<CChar>?, _ present: Int32, _ value: Double
) -> Int32 {
  attempt {
    try optimizer(handle).makeState(try tensor(parameter)).numbers[try text(name)] = present != 0 ? value : nil
  }
}

@c(sn_optimizer_prepare) @implementation
public func sn_optimizer_prepare(_ handle: sn_optimizer?) -> Int32 { attempt { try optimizer(handle).prepare() } }

@c(sn_optimizer_step_closure) @implementation
public func sn_optimizer_step_closure(
  _ handle: sn_optimizer?, _ closure: sn_closure?, _ context: UnsafeMutableRawPointer?
) -> Int32 {
  attempt {
    guard let closure else { throw SwiftNetError(.type, "closure is NULL") }
    try optimizer(handle).step {
      var loss = 0.0
      if closure(context, &loss) != 0 { throw SwiftNetError(.callback, "the closure of a step failed") }
      return loss
    }
  }
}

@c(sn_unscale) @implementation
public func sn_unscale(_ gradients: UnsafePointer<sn_tensor?>?, _ count: Int64, _ factor: Double) -> Int32 {
  number { try GradientScaling.unscale(try tensors(gradients, count), by: factor) ? 1 : 0 }
}

@c(sn_optimizer_state) @implementation
public func sn_optimizer_state(
  _ handle: sn_optimizer?, _ parameter: sn_tensor?, _ name: UnsafePointer<CChar>?
) -> sn_tensor? {
  makeOptional { try optimizer(handle).state(try tensor(parameter))?.tensors[try text(name)] }
}

@c(sn_optimizer_set_state) @implementation
public func sn_optimizer_set_state(
  _ handle: sn_optimizer?, _ parameter: sn_tensor?, _ name: UnsafePointer<CChar>?, _ value: sn_tensor?
) -> Int32 {
  attempt {
    let (parameter, name) = (try tensor(parameter), try text(name))
    let value = optionalTensor(value)
    if let value, let shape = try optimizer(handle).stateShape(name, parameter), value.shape != shape {
      throw SwiftNetError(
        .value,
        "\(name) of shape \(Shape.describe(value.shape)) does not fit a parameter of shape "
          + "\(Shape.describe(parameter.shape)), which needs \(Shape.describe(shape))")
    }
    try optimizer(handle).makeState(parameter).tensors[name] = value
  }
}

@c(sn_optimizer_clear_state) @implementation
public func sn_optimizer_clear_state(_ handle: sn_optimizer?, _ parameter: sn_tensor?) -> Int32 {
  attempt {
    let optimizer = try optimizer(handle)
    if let parameter = optionalTensor(parameter) { optimizer.clearState(parameter) } else { optimizer.clearState() }
  }
}
