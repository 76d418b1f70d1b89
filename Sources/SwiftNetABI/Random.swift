import CSwiftNet
import SwiftNet

/// NULL is the default generator.
func generator(_ handle: sn_generator?) -> Generator {
  handle.map { Unmanaged<Generator>.fromOpaque(UnsafeRawPointer($0)).takeUnretainedValue() } ?? .shared
}

@c(sn_generator_new) @implementation
public func sn_generator_new() -> sn_generator? {
  sn_generator(Unmanaged.passRetained(Generator()).toOpaque())
}

@c(sn_generator_release) @implementation
public func sn_generator_release(_ handle: sn_generator?) {
  if let handle { Unmanaged<Generator>.fromOpaque(UnsafeRawPointer(handle)).release() }
}

@c(sn_manual_seed) @implementation
public func sn_manual_seed(_ handle: sn_generator?, _ seed: UInt64) -> Int32 {
  generator(handle).manualSeed(seed)
  return 0
}

@c(sn_seed) @implementation
public func sn_seed(_ handle: sn_generator?) -> UInt64 { generator(handle).seed() }

@c(sn_initial_seed) @implementation
public func sn_initial_seed(_ handle: sn_generator?) -> UInt64 { generator(handle).initialSeed }

@c(sn_rng_state_size) @implementation
public func sn_rng_state_size() -> Int64 { Int64(Generator.stateSize) }

@c(sn_get_rng_state) @implementation
public func sn_get_rng_state(_ handle: sn_generator?, _ state: UnsafeMutableRawPointer?) -> Int32 {
  attempt {
    guard let state else { throw SwiftNetError(.value, "state is NULL") }
    generator(handle).saveState(state)
  }
}

@c(sn_set_rng_state) @implementation
public func sn_set_rng_state(_ handle: sn_generator?, _ state: UnsafeRawPointer?, _ bytes: Int64) -> Int32 {
  attempt {
    guard let state else { throw SwiftNetError(.value, "state is NULL") }
    try generator(handle).restoreState(state, count: Int(bytes))
  }
}

@c(sn_random_) @implementation
public func sn_random_(
  _ x: sn_tensor?, _ distribution: UnsafePointer<CChar>?, _ p: Double, _ q: Double, _ handle: sn_generator?
) -> Int32 {
  attempt {
    let x = try tensor(x)
    let generator = generator(handle)
    switch try text(distribution) {
    case "uniform": try x.uniformInPlace(p, q, generator: generator)
    case "normal": try x.normalInPlace(p, q, generator: generator)
    case "exponential": try x.exponentialInPlace(p, generator: generator)
    case "log_normal": try x.logNormalInPlace(p, q, generator: generator)
    case "cauchy": try x.cauchyInPlace(p, q, generator: generator)
    case "geometric": try x.geometricInPlace(p, generator: generator)
    case "bernoulli": try x.bernoulliInPlace(p, generator: generator)
    default: throw try SwiftNetError(.value, "unknown distribution \(text(distribution))")
    }
  }
}

@c(sn_random_integers_) @implementation
public func sn_random_integers_(
  _ x: sn_tensor?, _ bounds: Int32, _ from: Int64, _ to: Int64, _ handle: sn_generator?
) -> Int32 {
  attempt {
    let x = try tensor(x)
    if bounds == 0 { return try x.randomInPlace(generator: generator(handle)) }
    try x.randomInPlace(from, bounds == 1 ? nil : to, generator: generator(handle))
  }
}

@c(sn_bernoulli_) @implementation
public func sn_bernoulli_(_ x: sn_tensor?, _ probabilities: sn_tensor?, _ handle: sn_generator?) -> Int32 {
  attempt { try tensor(x).bernoulliInPlace(try tensor(probabilities), generator: generator(handle)) }
}

@c(sn_randperm) @implementation
public func sn_randperm(_ n: Int64, _ type: Int32, _ handle: sn_generator?) -> sn_tensor? {
  make { try Tensor.randperm(Int(n), dtype: try dtype(type), generator: generator(handle)) }
}

@c(sn_multinomial) @implementation
public func sn_multinomial(
  _ weights: sn_tensor?, _ samples: Int64, _ replacement: Int32, _ handle: sn_generator?
) -> sn_tensor? {
  make {
    try tensor(weights).multinomial(Int(samples), replacement: replacement != 0, generator: generator(handle))
  }
}

@c(sn_poisson) @implementation
public func sn_poisson(_ rates: sn_tensor?, _ handle: sn_generator?) -> sn_tensor? {
  make { try tensor(rates).poisson(generator: generator(handle)) }
}

@c(sn_empty_like) @implementation
public func sn_empty_like(_ t: sn_tensor?, _ type: Int32) -> sn_tensor? {
  make {
    let source = try tensor(t)
    return try Tensor(
      empty: source.shape, dtype: try optionalDType(type) ?? source.dtype,
      strides: source.isDense ? source.strides : nil)
  }
}
