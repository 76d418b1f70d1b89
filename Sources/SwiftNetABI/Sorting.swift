import CSwiftNet
import SwiftNet

private func pair(_ ranked: Tensor.Ranked) -> [Tensor] { [ranked.values, ranked.indices] }

@c(sn_sort) @implementation
public func sn_sort(_ t: sn_tensor?, _ dim: Int64, _ descending: Int32) -> sn_list? {
  makeList { pair(try tensor(t).sort(Int(dim), descending: descending != 0)) }
}

@c(sn_topk) @implementation
public func sn_topk(_ t: sn_tensor?, _ k: Int64, _ dim: Int64, _ largest: Int32) -> sn_list? {
  makeList { pair(try tensor(t).topk(Int(k), Int(dim), largest: largest != 0)) }
}

@c(sn_kthvalue) @implementation
public func sn_kthvalue(_ t: sn_tensor?, _ k: Int64, _ dim: Int64, _ keepdim: Int32) -> sn_list? {
  makeList { pair(try tensor(t).kthvalue(Int(k), Int(dim), keepdim: keepdim != 0)) }
}

@c(sn_median) @implementation
public func sn_median(_ t: sn_tensor?, _ dim: Int64, _ keepdim: Int32, _ ignoreNaN: Int32) -> sn_list? {
  makeList { pair(try tensor(t).median(Int(dim), keepdim: keepdim != 0, ignoringNaN: ignoreNaN != 0)) }
}

@c(sn_mode) @implementation
public func sn_mode(_ t: sn_tensor?, _ dim: Int64, _ keepdim: Int32) -> sn_list? {
  makeList { pair(try tensor(t).mode(Int(dim), keepdim: keepdim != 0)) }
}

@c(sn_argsort) @implementation
public func sn_argsort(_ t: sn_tensor?, _ dim: Int64, _ descending: Int32) -> sn_tensor? {
  make { try tensor(t).argsort(Int(dim), descending: descending != 0) }
}

@c(sn_median_all) @implementation
public func sn_median_all(_ t: sn_tensor?, _ ignoreNaN: Int32) -> sn_tensor? {
  make { try tensor(t).median(ignoringNaN: ignoreNaN != 0) }
}

@c(sn_quantile) @implementation
public func sn_quantile(
  _ t: sn_tensor?, _ q: sn_tensor?, _ hasDim: Int32, _ dim: Int64, _ keepdim: Int32,
  _ interpolation: UnsafePointer<CChar>?, _ ignoreNaN: Int32
) -> sn_tensor? {
  make {
    let name = interpolation.map { String(cString: $0) } ?? "linear"
    guard let interpolation = QuantileInterpolation(rawValue: name) else {
      throw SwiftNetError(
        .runtime,
        "quantile() interpolation must be one of linear, lower, higher, midpoint or nearest, but got \(name)")
    }
    return try tensor(t).quantile(
      try tensor(q), hasDim != 0 ? Int(dim) : nil, keepdim: keepdim != 0, interpolation: interpolation,
      ignoringNaN: ignoreNaN != 0)
  }
}

@c(sn_searchsorted) @implementation
public func sn_searchsorted(
  _ sorted: sn_tensor?, _ values: sn_tensor?, _ right: Int32, _ sorter: sn_tensor?
) -> sn_tensor? {
  make {
    try tensor(sorted).searchsorted(try tensor(values), right: right != 0, sorter: optionalTensor(sorter))
  }
}

@c(sn_isin) @implementation
public func sn_isin(_ t: sn_tensor?, _ test: sn_tensor?, _ invert: Int32) -> sn_tensor? {
  make { try tensor(t).isin(try tensor(test), invert: invert != 0) }
}

@c(sn_bincount) @implementation
public func sn_bincount(_ t: sn_tensor?, _ weights: sn_tensor?, _ minLength: Int64) -> sn_tensor? {
  make { try tensor(t).bincount(weights: optionalTensor(weights), minLength: Int(minLength)) }
}

@c(sn_histc) @implementation
public func sn_histc(_ t: sn_tensor?, _ bins: Int64, _ low: Double, _ high: Double) -> sn_tensor? {
  make { try tensor(t).histc(bins: Int(bins), low: low, high: high) }
}

@c(sn_one_hot) @implementation
public func sn_one_hot(_ t: sn_tensor?, _ classes: Int64) -> sn_tensor? {
  make { try tensor(t).oneHot(classes: Int(classes)) }
}

@c(sn_unique) @implementation
public func sn_unique(_ t: sn_tensor?, _ hasDim: Int32, _ dim: Int64, _ consecutive: Int32) -> sn_list? {
  makeList {
    let dim = hasDim != 0 ? Int(dim) : nil
    let distinct = consecutive != 0 ? try tensor(t).uniqueConsecutive(dim) : try tensor(t).unique(dim)
    return [distinct.values, distinct.inverse, distinct.counts]
  }
}

@c(sn_equal) @implementation
public func sn_equal(_ a: sn_tensor?, _ b: sn_tensor?) -> Int32 {
  number { try tensor(a).isEqual(try tensor(b)) ? 1 : 0 }
}

@c(sn_allclose) @implementation
public func sn_allclose(
  _ a: sn_tensor?, _ b: sn_tensor?, _ rtol: Double, _ atol: Double, _ equalNaN: Int32
) -> Int32 {
  number { try tensor(a).allClose(try tensor(b), rtol: rtol, atol: atol, equalNaN: equalNaN != 0) ? 1 : 0 }
}

@c(sn_isclose) @implementation
public func sn_isclose(
  _ a: sn_tensor?, _ b: sn_tensor?, _ rtol: Double, _ atol: Double, _ equalNaN: Int32
) -> sn_tensor? {
  make { try tensor(a).isClose(try tensor(b), rtol: rtol, atol: atol, equalNaN: equalNaN != 0) }
}
