import CSwiftNet
import SwiftNet

@c(sn_initialize) @implementation
public func sn_initialize(
  _ name: UnsafePointer<CChar>?, _ t: sn_tensor?, _ numbers: UnsafePointer<Double>?, _ count: Int64,
  _ mode: UnsafePointer<CChar>?, _ nonlinearity: UnsafePointer<CChar>?, _ source: sn_generator?
) -> Int32 {
  attempt {
    let target = try tensor(t)
    let random = generator(source)
    let name = try text(name)
    func number(_ index: Int) throws -> Double {
      guard let numbers, index < count else { throw SwiftNetError(.type, "\(name) needs more arguments") }
      return numbers[index]
    }
    func fan() throws -> Initializer.FanMode {
      let text = try text(mode)
      guard let mode = Initializer.FanMode(rawValue: text.lowercased()) else {
        throw SwiftNetError(
          .value, "Mode \(text) not supported, please use one of ['fan_in', 'fan_out']")
      }
      return mode
    }
    switch name {
    case "uniform": try Initializer.uniform(target, try number(0), try number(1), generator: random)
    case "normal": try Initializer.normal(target, mean: try number(0), std: try number(1), generator: random)
    case "constant": try Initializer.constant(target, try number(0))
    case "eye": try Initializer.eye(target)
    case "dirac":
      guard let groups = Int(exactly: try number(0)) else { throw SwiftNetError(.value, "groups must be an integer") }
      try Initializer.dirac(target, groups: groups)
    case "xavier_uniform": try Initializer.xavierUniform(target, gain: try number(0), generator: random)
    case "xavier_normal": try Initializer.xavierNormal(target, gain: try number(0), generator: random)
    case "kaiming_uniform":
      try Initializer.kaimingUniform(
        target, slope: try number(0), mode: try fan(), nonlinearity: try text(nonlinearity),
        generator: random)
    case "kaiming_normal":
      try Initializer.kaimingNormal(
        target, slope: try number(0), mode: try fan(), nonlinearity: try text(nonlinearity),
        generator: random)
    case "trunc_normal":
      try Initializer.truncatedNormal(
        target, mean: try number(0), std: try number(1), try number(2), try number(3), generator: random)
    case "orthogonal": try Initializer.orthogonal(target, gain: try number(0), generator: random)
    case "sparse": try Initializer.sparse(target, sparsity: try number(0), std: try number(1), generator: random)
    default: throw SwiftNetError(.value, "there is no initializer '\(name)'")
    }
  }
}

@c(sn_calculate_gain) @implementation
public func sn_calculate_gain(
  _ nonlinearity: UnsafePointer<CChar>?, _ slope: Double, _ gain: UnsafeMutablePointer<Double>?
) -> Int32 {
  attempt { gain?.pointee = try Initializer.gain(try text(nonlinearity), slope: slope) }
}
