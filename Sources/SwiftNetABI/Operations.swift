import CSwiftNet
import SwiftNet

/// Made once: Python asks for more than a hundred codes when it is imported, and the name of a case is slow to have.
private let elementwiseCodes = Dictionary(
  uniqueKeysWithValues: ElementwiseOp.allCases.map { ($0.name, Int32($0.rawValue)) })

@c(sn_elementwise_code) @implementation
public func sn_elementwise_code(_ name: UnsafePointer<CChar>?) -> Int32 {
  guard let name else { return -1 }
  return elementwiseCodes[String(cString: name)] ?? -1
}

@c(sn_unary) @implementation
public func sn_unary(_ op: Int32, _ a: sn_tensor?, _ p: Double, _ q: Double, _ r: Double) -> sn_tensor? {
  make { try tensor(a).unary(try elementwiseOp(op), Scalars(p, q, r)) }
}

@c(sn_unary_) @implementation
public func sn_unary_(_ op: Int32, _ a: sn_tensor?, _ p: Double, _ q: Double, _ r: Double) -> Int32 {
  attempt { try tensor(a).unaryInPlace(try elementwiseOp(op), Scalars(p, q, r)) }
}

@c(sn_binary) @implementation
public func sn_binary(_ op: Int32, _ a: sn_tensor?, _ b: sn_tensor?) -> sn_tensor? {
  make { try Binary.apply(try elementwiseOp(op), .tensor(try tensor(a)), .tensor(try tensor(b))) }
}

@c(sn_binary_scalar) @implementation
public func sn_binary_scalar(
  _ op: Int32, _ a: sn_tensor?, _ d: Double, _ i: Int64, _ kind: Int32, _ reversed: Int32
) -> sn_tensor? {
  make {
    let number = ElementwiseOperand.scalar(scalar(d, i, kind))
    let operand = ElementwiseOperand.tensor(try tensor(a))
    return reversed != 0
      ? try Binary.apply(try elementwiseOp(op), number, operand)
      : try Binary.apply(try elementwiseOp(op), operand, number)
  }
}

@c(sn_binary_) @implementation
public func sn_binary_(_ op: Int32, _ a: sn_tensor?, _ b: sn_tensor?) -> Int32 {
  attempt { try tensor(a).binaryInPlace(try elementwiseOp(op), .tensor(try tensor(b))) }
}

@c(sn_binary_scalar_) @implementation
public func sn_binary_scalar_(_ op: Int32, _ a: sn_tensor?, _ d: Double, _ i: Int64, _ kind: Int32) -> Int32 {
  attempt { try tensor(a).binaryInPlace(try elementwiseOp(op), .scalar(scalar(d, i, kind))) }
}

@c(sn_add_scaled) @implementation
public func sn_add_scaled(_ op: Int32, _ a: sn_tensor?, _ b: sn_tensor?, _ alpha: sn_scalar) -> sn_tensor? {
  make {
    try Binary.apply(
      try elementwiseOp(op), .tensor(try tensor(a)), .tensor(try tensor(b)), alpha: scalar(alpha))
  }
}

@c(sn_add_scaled_) @implementation
public func sn_add_scaled_(_ op: Int32, _ a: sn_tensor?, _ b: sn_tensor?, _ alpha: sn_scalar) -> Int32 {
  attempt {
    try tensor(a).binaryInPlace(try elementwiseOp(op), .tensor(try tensor(b)), alpha: scalar(alpha))
  }
}

@c(sn_where) @implementation
public func sn_where(
  _ condition: sn_tensor?, _ a: sn_tensor?, _ aValue: sn_scalar, _ b: sn_tensor?, _ bValue: sn_scalar
) -> sn_tensor? {
  make {
    try whereSelect(
      try tensor(condition), optionalTensor(a).map { .tensor($0) } ?? .scalar(scalar(aValue)),
      optionalTensor(b).map { .tensor($0) } ?? .scalar(scalar(bValue)))
  }
}

@c(sn_sum) @implementation
public func sn_sum(
  _ t: sn_tensor?, _ dims: UnsafePointer<Int64>?, _ count: Int64, _ keepdim: Int32, _ type: Int32
) -> sn_tensor? {
  make { try tensor(t).sum(integers(dims, count), keepdim: keepdim != 0, dtype: try optionalDType(type)) }
}

@c(sn_mean) @implementation
public func sn_mean(
  _ t: sn_tensor?, _ dims: UnsafePointer<Int64>?, _ count: Int64, _ keepdim: Int32, _ type: Int32
) -> sn_tensor? {
  make { try tensor(t).mean(integers(dims, count), keepdim: keepdim != 0, dtype: try optionalDType(type)) }
}

@c(sn_prod) @implementation
public func sn_prod(
  _ t: sn_tensor?, _ dims: UnsafePointer<Int64>?, _ count: Int64, _ keepdim: Int32, _ type: Int32
) -> sn_tensor? {
  make { try tensor(t).prod(integers(dims, count), keepdim: keepdim != 0, dtype: try optionalDType(type)) }
}

@c(sn_amax) @implementation
public func sn_amax(
  _ t: sn_tensor?, _ dims: UnsafePointer<Int64>?, _ count: Int64, _ keepdim: Int32
) -> sn_tensor? {
  make { try tensor(t).amax(integers(dims, count), keepdim: keepdim != 0) }
}

@c(sn_amin) @implementation
public func sn_amin(
  _ t: sn_tensor?, _ dims: UnsafePointer<Int64>?, _ count: Int64, _ keepdim: Int32
) -> sn_tensor? {
  make { try tensor(t).amin(integers(dims, count), keepdim: keepdim != 0) }
}

@c(sn_any) @implementation
public func sn_any(
  _ t: sn_tensor?, _ dims: UnsafePointer<Int64>?, _ count: Int64, _ keepdim: Int32
) -> sn_tensor? {
  make { try tensor(t).any(integers(dims, count), keepdim: keepdim != 0) }
}

@c(sn_all) @implementation
public func sn_all(
  _ t: sn_tensor?, _ dims: UnsafePointer<Int64>?, _ count: Int64, _ keepdim: Int32
) -> sn_tensor? {
  make { try tensor(t).all(integers(dims, count), keepdim: keepdim != 0) }
}

@c(sn_var) @implementation
public func sn_var(
  _ t: sn_tensor?, _ dims: UnsafePointer<Int64>?, _ count: Int64, _ correction: Double, _ keepdim: Int32
) -> sn_tensor? {
  make { try tensor(t).variance(integers(dims, count), correction: correction, keepdim: keepdim != 0) }
}

@c(sn_std) @implementation
public func sn_std(
  _ t: sn_tensor?, _ dims: UnsafePointer<Int64>?, _ count: Int64, _ correction: Double, _ keepdim: Int32
) -> sn_tensor? {
  make {
    try tensor(t).standardDeviation(integers(dims, count), correction: correction, keepdim: keepdim != 0)
  }
}

@c(sn_matmul) @implementation
public func sn_matmul(_ a: sn_tensor?, _ b: sn_tensor?) -> sn_tensor? {
  make { try tensor(a).matmul(try tensor(b)) }
}

@c(sn_mm) @implementation
public func sn_mm(_ a: sn_tensor?, _ b: sn_tensor?) -> sn_tensor? { make { try tensor(a).mm(try tensor(b)) } }

@c(sn_bmm) @implementation
public func sn_bmm(_ a: sn_tensor?, _ b: sn_tensor?) -> sn_tensor? {
  make { try tensor(a).bmm(try tensor(b)) }
}
