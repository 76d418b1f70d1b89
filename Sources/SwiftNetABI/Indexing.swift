import CSwiftNet
import SwiftNet

@c(sn_index_view) @implementation
public func sn_index_view(_ t: sn_tensor?, _ items: UnsafePointer<Int64>?, _ count: Int64) -> sn_tensor? {
  make {
    var list: [BasicIndex] = []
    list.reserveCapacity(Int(count))
    for k in 0..<max(Int(count), 0) {
      guard let item = items.map({ $0 + 4 * k }) else { break }
      switch item[0] {
      case 0: list.append(.at(Int(item[1])))
      case 1: list.append(.all)
      case 2: list.append(.new)
      case 3: list.append(.rest)
      case 4...7:
        list.append(
          .slice(
            item[0] & 1 != 0 ? Int(item[1]) : nil, item[0] & 2 != 0 ? Int(item[2]) : nil, step: Int(item[3])))
      default: throw SwiftNetError(.value, "unknown kind of index \(item[0])")
      }
    }
    return try tensor(t).basicIndex(list)
  }
}

@c(sn_index_slice) @implementation
public func sn_index_slice(
  _ t: sn_tensor?, _ given: Int32, _ start: Int64, _ stop: Int64, _ step: Int64
) -> sn_tensor? {
  make { try tensor(t).sliced(given & 1 != 0 ? Int(start) : nil, given & 2 != 0 ? Int(stop) : nil, step: Int(step)) }
}

@c(sn_index_at) @implementation
public func sn_index_at(_ t: sn_tensor?, _ position: Int64) -> sn_tensor? {
  make { try tensor(t).row(Int(position)) }
}

@c(sn_index) @implementation
public func sn_index(_ t: sn_tensor?, _ indices: UnsafePointer<sn_tensor?>?, _ count: Int64) -> sn_tensor? {
  make { try tensor(t).index(optionalTensors(indices, count)) }
}

@c(sn_index_put) @implementation
public func sn_index_put(
  _ t: sn_tensor?, _ indices: UnsafePointer<sn_tensor?>?, _ count: Int64, _ values: sn_tensor?,
  _ accumulate: Int32,
  _ inPlace: Int32
) -> sn_tensor? {
  make {
    let target = try tensor(t)
    let list = optionalTensors(indices, count)
    if inPlace == 0 { return try target.indexPut(list, try tensor(values), accumulate: accumulate != 0) }
    try target.indexPutInPlace(list, try tensor(values), accumulate: accumulate != 0)
    return target
  }
}

@c(sn_index_select) @implementation
public func sn_index_select(_ t: sn_tensor?, _ dim: Int64, _ index: sn_tensor?) -> sn_tensor? {
  make { try tensor(t).indexSelect(Int(dim), try tensor(index)) }
}

@c(sn_index_add) @implementation
public func sn_index_add(
  _ t: sn_tensor?, _ dim: Int64, _ index: sn_tensor?, _ source: sn_tensor?, _ alpha: sn_scalar,
  _ inPlace: Int32
) -> sn_tensor? {
  make {
    let target = try tensor(t)
    if inPlace == 0 {
      return try target.indexAdd(Int(dim), try tensor(index), try tensor(source), alpha: scalar(alpha))
    }
    try target.indexAddInPlace(Int(dim), try tensor(index), try tensor(source), alpha: scalar(alpha))
    return target
  }
}

@c(sn_index_copy) @implementation
public func sn_index_copy(
  _ t: sn_tensor?, _ dim: Int64, _ index: sn_tensor?, _ source: sn_tensor?, _ inPlace: Int32
) -> sn_tensor? {
  make(t, inPlace: inPlace) { try $0.indexCopy(Int(dim), try tensor(index), try tensor(source)) }
}

@c(sn_index_fill) @implementation
public func sn_index_fill(
  _ t: sn_tensor?, _ dim: Int64, _ index: sn_tensor?, _ value: sn_tensor?, _ number: sn_scalar,
  _ inPlace: Int32
) -> sn_tensor? {
  make(t, inPlace: inPlace) {
    if let value = optionalTensor(value) { return try $0.indexFill(Int(dim), try tensor(index), value) }
    return try $0.indexFill(Int(dim), try tensor(index), scalar(number))
  }
}

@c(sn_take) @implementation
public func sn_take(_ t: sn_tensor?, _ index: sn_tensor?) -> sn_tensor? {
  make { try tensor(t).take(try tensor(index)) }
}

@c(sn_put) @implementation
public func sn_put(
  _ t: sn_tensor?, _ index: sn_tensor?, _ source: sn_tensor?, _ accumulate: Int32, _ inPlace: Int32
) -> sn_tensor? {
  make(t, inPlace: inPlace) { try $0.put(try tensor(index), try tensor(source), accumulate: accumulate != 0) }
}

@c(sn_gather) @implementation
public func sn_gather(_ t: sn_tensor?, _ dim: Int64, _ index: sn_tensor?) -> sn_tensor? {
  make { try tensor(t).gather(Int(dim), try tensor(index)) }
}

@c(sn_take_along_dim) @implementation
public func sn_take_along_dim(_ t: sn_tensor?, _ index: sn_tensor?, _ hasDim: Int32, _ dim: Int64)
  -> sn_tensor?
{
  make { try tensor(t).takeAlong(try tensor(index), hasDim != 0 ? Int(dim) : nil) }
}

@c(sn_scatter) @implementation
public func sn_scatter(
  _ t: sn_tensor?, _ dim: Int64, _ index: sn_tensor?, _ source: sn_tensor?, _ number: sn_scalar,
  _ inPlace: Int32
) -> sn_tensor? {
  make {
    let target = try tensor(t)
    if inPlace != 0 {
      try target.scatterInPlace(Int(dim), try tensor(index), optionalTensor(source), scalar(number))
      return target
    }
    if let source = optionalTensor(source) { return try target.scatter(Int(dim), try tensor(index), source) }
    return try target.scatter(Int(dim), try tensor(index), scalar(number))
  }
}

@c(sn_scatter_add) @implementation
public func sn_scatter_add(
  _ t: sn_tensor?, _ dim: Int64, _ index: sn_tensor?, _ source: sn_tensor?, _ inPlace: Int32
) -> sn_tensor? {
  make {
    let target = try tensor(t)
    if inPlace == 0 { return try target.scatterAdd(Int(dim), try tensor(index), try tensor(source)) }
    try target.scatterAddInPlace(Int(dim), try tensor(index), try tensor(source))
    return target
  }
}

@c(sn_scatter_reduce) @implementation
public func sn_scatter_reduce(
  _ t: sn_tensor?, _ dim: Int64, _ index: sn_tensor?, _ source: sn_tensor?,
  _ reduction: UnsafePointer<CChar>?,
  _ includeSelf: Int32, _ inPlace: Int32
) -> sn_tensor? {
  make(t, inPlace: inPlace) {
    let name = reduction.map { String(cString: $0) } ?? ""
    guard let reduction = ScatterReduction(rawValue: name) else {
      throw SwiftNetError(
        .runtime, "reduce argument must be either sum, prod, mean, amax or amin, got \(name)")
    }
    return try $0.scatterReduce(
      Int(dim), try tensor(index), try tensor(source), reduction, includeSelf: includeSelf != 0)
  }
}

@c(sn_masked_fill) @implementation
public func sn_masked_fill(
  _ t: sn_tensor?, _ mask: sn_tensor?, _ value: sn_tensor?, _ number: sn_scalar, _ inPlace: Int32
) -> sn_tensor? {
  if inPlace != 0, value == nil {
    return make {
      let target = try tensor(t)
      try target.maskedFillInPlace(try tensor(mask), scalar(number))
      return target
    }
  }
  return make(t, inPlace: inPlace) {
    if let value = optionalTensor(value) { return try $0.maskedFill(try tensor(mask), value) }
    return try $0.maskedFill(try tensor(mask), scalar(number))
  }
}

@c(sn_masked_select) @implementation
public func sn_masked_select(_ t: sn_tensor?, _ mask: sn_tensor?) -> sn_tensor? {
  make { try tensor(t).maskedSelect(try tensor(mask)) }
}

@c(sn_masked_scatter) @implementation
public func sn_masked_scatter(
  _ t: sn_tensor?, _ mask: sn_tensor?, _ source: sn_tensor?, _ inPlace: Int32
) -> sn_tensor? {
  make(t, inPlace: inPlace) { try $0.maskedScatter(try tensor(mask), try tensor(source)) }
}

@c(sn_nonzero) @implementation
public func sn_nonzero(_ t: sn_tensor?) -> sn_tensor? { make { try tensor(t).nonzero() } }

@c(sn_nonzero_indices) @implementation
public func sn_nonzero_indices(_ t: sn_tensor?) -> sn_list? { makeList { try tensor(t).nonzeroIndices() } }
