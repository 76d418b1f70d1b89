import CSwiftNet
import SwiftNet

private func dimension(_ has: Int32, _ dim: Int64) -> Int? { has != 0 ? Int(dim) : nil }

@c(sn_norm_except) @implementation
public func sn_norm_except(_ v: sn_tensor?, _ hasDim: Int32, _ dim: Int64) -> sn_tensor? {
  make { try tensor(v).normExcept(dimension(hasDim, dim)) }
}

@c(sn_weight_norm) @implementation
public func sn_weight_norm(
  _ v: sn_tensor?, _ magnitude: sn_tensor?, _ hasDim: Int32, _ dim: Int64
) -> sn_tensor? {
  make { try tensor(v).weightNormalized(try tensor(magnitude), dim: dimension(hasDim, dim)) }
}

@c(sn_flattened_matrix) @implementation
public func sn_flattened_matrix(_ weight: sn_tensor?, _ dim: Int64) -> sn_tensor? {
  make { try tensor(weight).flattenedMatrix(Int(dim)) }
}

@c(sn_iterate_power) @implementation
public func sn_iterate_power(
  _ matrix: sn_tensor?, _ u: sn_tensor?, _ v: sn_tensor?, _ steps: Int64, _ eps: Double, _ startsWithV: Int32
) -> Int32 {
  attempt {
    try tensor(matrix).iteratePower(
      try tensor(u), try tensor(v), steps: Int(steps), eps: eps, startsWithV: startsWithV != 0)
  }
}

@c(sn_spectral_norm) @implementation
public func sn_spectral_norm(_ weight: sn_tensor?, _ u: sn_tensor?, _ v: sn_tensor?, _ dim: Int64) -> sn_tensor? {
  make { try tensor(weight).spectralNormalized(try tensor(u), try tensor(v), dim: Int(dim)) }
}

@c(sn_matrix_exp) @implementation
public func sn_matrix_exp(_ a: sn_tensor?) -> sn_tensor? { make { try tensor(a).matrixExponential() } }

@c(sn_householder_product) @implementation
public func sn_householder_product(_ a: sn_tensor?, _ tau: sn_tensor?) -> sn_tensor? {
  make { try tensor(a).householderProduct(try tensor(tau)) }
}

@c(sn_geqrf) @implementation
public func sn_geqrf(_ a: sn_tensor?) -> sn_list? {
  makeList {
    let (factors, tau) = try tensor(a).reflections()
    return [factors, tau]
  }
}
