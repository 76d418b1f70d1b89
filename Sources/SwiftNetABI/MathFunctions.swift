import CSwiftNet
import SwiftNet

/// A tensor, or where the handle is NULL the number beside it; kind -1 means neither.
func operand(_ handle: sn_tensor?, _ value: sn_scalar) -> ElementwiseOperand? {
  if let tensor = optionalTensor(handle) { return .tensor(tensor) }
  return value.kind < 0 ? nil : .scalar(scalar(value))
}

/// The same, where something must be given.
func requiredOperand(_ handle: sn_tensor?, _ value: sn_scalar) throws -> ElementwiseOperand {
  guard let operand = operand(handle, value) else {
    throw SwiftNetError(.type, "expected a tensor or a number")
  }
  return operand
}

/// Writes two results as new handles.
func write(_ first: Tensor, _ second: Tensor, _ results: UnsafeMutablePointer<sn_tensor?>?) {
  results?[0] = handle(first)
  results?[1] = handle(second)
}

@c(sn_assign) @implementation
public func sn_assign(_ target: sn_tensor?, _ result: sn_tensor?) -> Int32 {
  attempt {
    let result = try tensor(result)
    try tensor(target).changeInPlace { _ in result }
  }
}

@c(sn_clamp) @implementation
public func sn_clamp(
  _ x: sn_tensor?, _ low: sn_tensor?, _ lowValue: sn_scalar, _ high: sn_tensor?, _ highValue: sn_scalar
) -> sn_tensor? {
  make { try tensor(x).clamp(operand(low, lowValue), operand(high, highValue)) }
}

@c(sn_clamp_) @implementation
public func sn_clamp_(
  _ x: sn_tensor?, _ low: sn_tensor?, _ lowValue: sn_scalar, _ high: sn_tensor?, _ highValue: sn_scalar
) -> Int32 {
  attempt {
    try tensor(x).changeInPlace { try $0.clamp(operand(low, lowValue), operand(high, highValue)) }
  }
}

@c(sn_lerp) @implementation
public func sn_lerp(_ x: sn_tensor?, _ end: sn_tensor?, _ weight: sn_tensor?, _ weightValue: Double)
  -> sn_tensor?
{
  make {
    try tensor(x).lerp(
      try tensor(end), optionalTensor(weight).map { .tensor($0) } ?? .scalar(.float(weightValue)))
  }
}

@c(sn_addcmul) @implementation
public func sn_addcmul(_ x: sn_tensor?, _ a: sn_tensor?, _ b: sn_tensor?, _ value: sn_scalar) -> sn_tensor? {
  make { try tensor(x).addcmul(try tensor(a), try tensor(b), value: scalar(value)) }
}

@c(sn_addcdiv) @implementation
public func sn_addcdiv(_ x: sn_tensor?, _ a: sn_tensor?, _ b: sn_tensor?, _ value: sn_scalar) -> sn_tensor? {
  make { try tensor(x).addcdiv(try tensor(a), try tensor(b), value: scalar(value)) }
}

@c(sn_polygamma) @implementation
public func sn_polygamma(_ n: Int64, _ x: sn_tensor?) -> sn_tensor? {
  make { try tensor(x).polygamma(Int(n)) }
}

@c(sn_mvlgamma) @implementation
public func sn_mvlgamma(_ x: sn_tensor?, _ p: Int64) -> sn_tensor? { make { try tensor(x).mvlgamma(Int(p)) } }

@c(sn_special) @implementation
public func sn_special(_ name: UnsafePointer<CChar>?, _ x: sn_tensor?) -> sn_tensor? {
  make {
    let x = try tensor(x)
    switch try text(name) {
    case "entr": return try x.entr()
    case "i0": return try x.i0()
    case "i1": return try x.i1()
    case "erfcx": return try x.erfcx()
    case "log_ndtr": return try x.logNdtr()
    case "deg2rad": return try x.deg2rad()
    case "rad2deg": return try x.rad2deg()
    default: throw try SwiftNetError(.value, "unknown special function \(text(name))")
    }
  }
}

@c(sn_float_power) @implementation
public func sn_float_power(_ a: sn_tensor?, _ aValue: sn_scalar, _ b: sn_tensor?, _ bValue: sn_scalar)
  -> sn_tensor?
{
  make { try Tensor.floatPower(requiredOperand(a, aValue), requiredOperand(b, bValue)) }
}

@c(sn_promote_types) @implementation
public func sn_promote_types(_ a: Int32, _ b: Int32) -> Int32 {
  number { Int(TypePromotion.promote(try dtype(a), try dtype(b)).rawValue) }
}

@c(sn_can_cast) @implementation
public func sn_can_cast(_ from: Int32, _ to: Int32) -> Int32 {
  number { TypePromotion.canCast(try dtype(from), to: try dtype(to)) ? 1 : 0 }
}

@c(sn_result_type) @implementation
public func sn_result_type(_ a: sn_tensor?, _ aValue: sn_scalar, _ b: sn_tensor?, _ bValue: sn_scalar)
  -> Int32
{
  number {
    Int(TypePromotion.result([try requiredOperand(a, aValue), try requiredOperand(b, bValue)]).rawValue)
  }
}

@c(sn_cumulate) @implementation
public func sn_cumulate(_ op: UnsafePointer<CChar>?, _ x: sn_tensor?, _ dim: Int64, _ type: Int32)
  -> sn_tensor?
{
  make {
    let x = try tensor(x)
    let dtype = try optionalDType(type)
    switch try text(op) {
    case "sum": return try x.cumsum(Int(dim), dtype: dtype)
    case "prod": return try x.cumprod(Int(dim), dtype: dtype)
    case "logsumexp": return try x.logcumsumexp(Int(dim))
    default: throw try SwiftNetError(.value, "unknown running reduction \(text(op))")
    }
  }
}

@c(sn_cumulative_extremum) @implementation
public func sn_cumulative_extremum(
  _ x: sn_tensor?, _ dim: Int64, _ largest: Int32, _ results: UnsafeMutablePointer<sn_tensor?>?
) -> Int32 {
  attempt {
    let (values, indices) = largest != 0 ? try tensor(x).cummax(Int(dim)) : try tensor(x).cummin(Int(dim))
    write(values, indices, results)
  }
}

@c(sn_extremum_dim) @implementation
public func sn_extremum_dim(
  _ x: sn_tensor?, _ dim: Int64, _ keepdim: Int32, _ largest: Int32,
  _ results: UnsafeMutablePointer<sn_tensor?>?
) -> Int32 {
  attempt {
    let (values, indices) = try tensor(x).extremum(Int(dim), keepdim: keepdim != 0, largest: largest != 0)
    write(values, indices, results)
  }
}

@c(sn_extremum) @implementation
public func sn_extremum(_ x: sn_tensor?, _ largest: Int32) -> sn_tensor? {
  make { try tensor(x).extremum(largest: largest != 0) }
}

@c(sn_arg_extremum) @implementation
public func sn_arg_extremum(
  _ x: sn_tensor?, _ hasDim: Int32, _ dim: Int64, _ keepdim: Int32, _ largest: Int32
) -> sn_tensor? {
  make {
    try tensor(x).argExtremum(hasDim != 0 ? Int(dim) : nil, keepdim: keepdim != 0, largest: largest != 0)
  }
}

@c(sn_aminmax) @implementation
public func sn_aminmax(
  _ x: sn_tensor?, _ hasDim: Int32, _ dim: Int64, _ keepdim: Int32,
  _ results: UnsafeMutablePointer<sn_tensor?>?
) -> Int32 {
  attempt {
    let (low, high) = try tensor(x).aminmax(hasDim != 0 ? Int(dim) : nil, keepdim: keepdim != 0)
    write(low, high, results)
  }
}

@c(sn_diff) @implementation
public func sn_diff(
  _ x: sn_tensor?, _ n: Int64, _ dim: Int64, _ prepend: sn_tensor?, _ append: sn_tensor?
) -> sn_tensor? {
  make {
    try tensor(x).diff(Int(n), Int(dim), prepend: optionalTensor(prepend), append: optionalTensor(append))
  }
}

@c(sn_trapezoid) @implementation
public func sn_trapezoid(
  _ y: sn_tensor?, _ x: sn_tensor?, _ dx: Double, _ dim: Int64, _ cumulative: Int32
) -> sn_tensor? {
  make {
    try tensor(y).trapezoid(x: optionalTensor(x), dx: .float(dx), dim: Int(dim), cumulative: cumulative != 0)
  }
}

@c(sn_vector_norm) @implementation
public func sn_vector_norm(
  _ x: sn_tensor?, _ p: Double, _ dims: UnsafePointer<Int64>?, _ count: Int64, _ keepdim: Int32, _ type: Int32
) -> sn_tensor? {
  make {
    try tensor(x).vectorNorm(p, integers(dims, count), keepdim: keepdim != 0, dtype: try optionalDType(type))
  }
}

@c(sn_matrix_norm) @implementation
public func sn_matrix_norm(
  _ x: sn_tensor?, _ frobenius: Int32, _ order: Double, _ dims: UnsafePointer<Int64>?, _ count: Int64,
  _ keepdim: Int32
) -> sn_tensor? {
  make {
    try tensor(x).matrixNorm(frobenius != 0 ? nil : order, integers(dims, count), keepdim: keepdim != 0)
  }
}

@c(sn_logsumexp) @implementation
public func sn_logsumexp(
  _ x: sn_tensor?, _ dims: UnsafePointer<Int64>?, _ count: Int64, _ keepdim: Int32
) -> sn_tensor? {
  make { try tensor(x).logsumexp(integers(dims, count), keepdim: keepdim != 0) }
}

@c(sn_nansum) @implementation
public func sn_nansum(
  _ x: sn_tensor?, _ dims: UnsafePointer<Int64>?, _ count: Int64, _ keepdim: Int32, _ type: Int32
) -> sn_tensor? {
  make { try tensor(x).nansum(integers(dims, count), keepdim: keepdim != 0, dtype: try optionalDType(type)) }
}

@c(sn_nanmean) @implementation
public func sn_nanmean(
  _ x: sn_tensor?, _ dims: UnsafePointer<Int64>?, _ count: Int64, _ keepdim: Int32, _ type: Int32
) -> sn_tensor? {
  make { try tensor(x).nanmean(integers(dims, count), keepdim: keepdim != 0, dtype: try optionalDType(type)) }
}

@c(sn_count_nonzero) @implementation
public func sn_count_nonzero(_ x: sn_tensor?, _ dims: UnsafePointer<Int64>?, _ count: Int64) -> sn_tensor? {
  make { try tensor(x).countNonzero(integers(dims, count)) }
}

@c(sn_dist) @implementation
public func sn_dist(_ a: sn_tensor?, _ b: sn_tensor?, _ p: Double) -> sn_tensor? {
  make { try tensor(a).dist(try tensor(b), p) }
}

@c(sn_cdist) @implementation
public func sn_cdist(_ a: sn_tensor?, _ b: sn_tensor?, _ p: Double, _ products: Int32) -> sn_tensor? {
  make { try tensor(a).cdist(try tensor(b), p, usesProducts: products < 0 ? nil : products != 0) }
}

@c(sn_pairwise_distance) @implementation
public func sn_pairwise_distance(
  _ a: sn_tensor?, _ b: sn_tensor?, _ p: Double, _ eps: Double, _ keepdim: Int32
) -> sn_tensor? {
  make { try tensor(a).pairwiseDistance(try tensor(b), p: p, eps: eps, keepdim: keepdim != 0) }
}

@c(sn_cosine_similarity) @implementation
public func sn_cosine_similarity(_ a: sn_tensor?, _ b: sn_tensor?, _ dim: Int64, _ eps: Double) -> sn_tensor? {
  make { try tensor(a).cosineSimilarity(try tensor(b), Int(dim), eps: eps) }
}

@c(sn_renorm) @implementation
public func sn_renorm(_ x: sn_tensor?, _ p: Double, _ dim: Int64, _ limit: Double) -> sn_tensor? {
  make { try tensor(x).renorm(p, Int(dim), limit) }
}

@c(sn_cross) @implementation
public func sn_cross(_ a: sn_tensor?, _ b: sn_tensor?, _ hasDim: Int32, _ dim: Int64) -> sn_tensor? {
  make { try tensor(a).cross(try tensor(b), hasDim != 0 ? Int(dim) : nil) }
}
