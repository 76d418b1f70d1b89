import CSwiftNet
import SwiftNet

@c(sn_mv) @implementation
public func sn_mv(_ a: sn_tensor?, _ b: sn_tensor?) -> sn_tensor? { make { try tensor(a).mv(try tensor(b)) } }

@c(sn_dot) @implementation
public func sn_dot(_ a: sn_tensor?, _ b: sn_tensor?) -> sn_tensor? {
  make { try tensor(a).dot(try tensor(b)) }
}

@c(sn_inner) @implementation
public func sn_inner(_ a: sn_tensor?, _ b: sn_tensor?) -> sn_tensor? {
  make { try tensor(a).inner(try tensor(b)) }
}

@c(sn_outer) @implementation
public func sn_outer(_ a: sn_tensor?, _ b: sn_tensor?) -> sn_tensor? {
  make { try tensor(a).outer(try tensor(b)) }
}

@c(sn_add_product) @implementation
public func sn_add_product(
  _ op: UnsafePointer<CChar>?, _ x: sn_tensor?, _ a: sn_tensor?, _ b: sn_tensor?, _ beta: sn_scalar,
  _ alpha: sn_scalar
) -> sn_tensor? {
  make {
    let (x, a, b) = (try tensor(x), try tensor(a), try tensor(b))
    let (beta, alpha) = (scalar(beta), scalar(alpha))
    switch try text(op) {
    case "addmm": return try x.addmm(a, b, beta: beta, alpha: alpha)
    case "addmv": return try x.addmv(a, b, beta: beta, alpha: alpha)
    case "addbmm": return try x.addbmm(a, b, beta: beta, alpha: alpha)
    case "baddbmm": return try x.baddbmm(a, b, beta: beta, alpha: alpha)
    case "addr": return try x.addr(a, b, beta: beta, alpha: alpha)
    default: throw try SwiftNetError(.value, "unknown product \(text(op))")
    }
  }
}

@c(sn_multi_dot) @implementation
public func sn_multi_dot(_ list: UnsafePointer<sn_tensor?>?, _ count: Int64) -> sn_tensor? {
  make { try Tensor.multiDot(try tensors(list, count)) }
}

@c(sn_tensordot) @implementation
public func sn_tensordot(
  _ a: sn_tensor?, _ b: sn_tensor?, _ dimsA: UnsafePointer<Int64>?, _ countA: Int64,
  _ dimsB: UnsafePointer<Int64>?, _ countB: Int64
) -> sn_tensor? {
  make { try tensor(a).tensordot(try tensor(b), integers(dimsA, countA), integers(dimsB, countB)) }
}

@c(sn_einsum) @implementation
public func sn_einsum(
  _ equation: UnsafePointer<CChar>?, _ list: UnsafePointer<sn_tensor?>?, _ count: Int64
) -> sn_tensor? {
  make { try Einsum.apply(text(equation), try tensors(list, count)) }
}

@c(sn_kron) @implementation
public func sn_kron(_ a: sn_tensor?, _ b: sn_tensor?) -> sn_tensor? {
  make { try tensor(a).kron(try tensor(b)) }
}

@c(sn_matrix_power) @implementation
public func sn_matrix_power(_ x: sn_tensor?, _ n: Int64) -> sn_tensor? {
  make { try tensor(x).matrixPower(Int(n)) }
}

@c(sn_inverse) @implementation
public func sn_inverse(_ x: sn_tensor?) -> sn_tensor? { make { try tensor(x).inverse() } }

@c(sn_solve) @implementation
public func sn_solve(_ a: sn_tensor?, _ b: sn_tensor?) -> sn_tensor? {
  make { try tensor(a).solve(try tensor(b)) }
}

@c(sn_det) @implementation
public func sn_det(_ x: sn_tensor?) -> sn_tensor? { make { try tensor(x).det() } }

@c(sn_slogdet) @implementation
public func sn_slogdet(_ x: sn_tensor?, _ results: UnsafeMutablePointer<sn_tensor?>?) -> Int32 {
  attempt {
    let (sign, logarithm) = try tensor(x).slogdet()
    write(sign, logarithm, results)
  }
}

@c(sn_cholesky) @implementation
public func sn_cholesky(_ x: sn_tensor?, _ upper: Int32) -> sn_tensor? {
  make { try tensor(x).cholesky(upper: upper != 0) }
}

// MARK: Decompositions

@c(sn_linalg_qr) @implementation
public func sn_linalg_qr(_ x: sn_tensor?, _ mode: UnsafePointer<CChar>?) -> sn_list? {
  makeList {
    let (q, r) = try tensor(x).qr(mode: text(mode))
    return [q, r]
  }
}

@c(sn_linalg_eigh) @implementation
public func sn_linalg_eigh(_ x: sn_tensor?, _ upper: Int32) -> sn_list? {
  makeList {
    let (values, vectors) = try tensor(x).eigh(upper: upper != 0)
    return [values, vectors]
  }
}

@c(sn_linalg_svd) @implementation
public func sn_linalg_svd(_ x: sn_tensor?, _ full: Int32) -> sn_list? {
  makeList {
    let (u, s, vt) = try tensor(x).svd(full: full != 0)
    return [u, s, vt]
  }
}

@c(sn_linalg_lu_factor) @implementation
public func sn_linalg_lu_factor(_ x: sn_tensor?) -> sn_list? {
  makeList {
    let (lu, pivots) = try tensor(x).luFactor()
    return [lu, pivots]
  }
}

@c(sn_linalg_permutation) @implementation
public func sn_linalg_permutation(_ pivots: sn_tensor?, _ rows: Int64, _ code: Int32) -> sn_tensor? {
  make { try Tensor.permutation(tensor(pivots), rows: Int(rows), dtype: dtype(code)) }
}

@c(sn_linalg_pinv) @implementation
public func sn_linalg_pinv(_ x: sn_tensor?, _ absolute: Double, _ relative: Double) -> sn_tensor? {
  make { try tensor(x).pinv(absolute: absolute.isNaN ? nil : absolute, relative: relative.isNaN ? nil : relative) }
}

@c(sn_linalg_matrix_rank) @implementation
public func sn_linalg_matrix_rank(_ x: sn_tensor?, _ absolute: Double, _ relative: Double) -> sn_tensor? {
  make {
    try tensor(x).matrixRank(absolute: absolute.isNaN ? nil : absolute, relative: relative.isNaN ? nil : relative)
  }
}
