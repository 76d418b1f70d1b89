import CSwiftNet
import SwiftNet

@c(sn_view) @implementation
public func sn_view(_ t: sn_tensor?, _ shape: UnsafePointer<Int64>?, _ rank: Int64) -> sn_tensor? {
  make { try tensor(t).view(integers(shape, rank)) }
}

@c(sn_reshape) @implementation
public func sn_reshape(_ t: sn_tensor?, _ shape: UnsafePointer<Int64>?, _ rank: Int64) -> sn_tensor? {
  make { try tensor(t).reshape(integers(shape, rank)) }
}

@c(sn_view_dtype) @implementation
public func sn_view_dtype(_ t: sn_tensor?, _ type: Int32) -> sn_tensor? {
  make { try tensor(t).view(as: try dtype(type)) }
}

@c(sn_permute) @implementation
public func sn_permute(_ t: sn_tensor?, _ dims: UnsafePointer<Int64>?, _ count: Int64) -> sn_tensor? {
  make { try tensor(t).permute(integers(dims, count)) }
}

@c(sn_transpose) @implementation
public func sn_transpose(_ t: sn_tensor?, _ dim0: Int64, _ dim1: Int64) -> sn_tensor? {
  make { try tensor(t).transpose(Int(dim0), Int(dim1)) }
}

@c(sn_expand) @implementation
public func sn_expand(_ t: sn_tensor?, _ shape: UnsafePointer<Int64>?, _ rank: Int64) -> sn_tensor? {
  make { try tensor(t).expand(integers(shape, rank)) }
}

@c(sn_squeeze) @implementation
public func sn_squeeze(_ t: sn_tensor?, _ dims: UnsafePointer<Int64>?, _ count: Int64) -> sn_tensor? {
  make { try tensor(t).squeeze(count < 0 ? nil : integers(dims, count)) }
}

@c(sn_unsqueeze) @implementation
public func sn_unsqueeze(_ t: sn_tensor?, _ dim: Int64) -> sn_tensor? {
  make { try tensor(t).unsqueeze(Int(dim)) }
}

@c(sn_select) @implementation
public func sn_select(_ t: sn_tensor?, _ dim: Int64, _ index: Int64) -> sn_tensor? {
  make { try tensor(t).select(Int(dim), Int(index)) }
}

@c(sn_slice) @implementation
public func sn_slice(
  _ t: sn_tensor?, _ dim: Int64, _ hasStart: Int32, _ start: Int64, _ hasEnd: Int32, _ end: Int64,
  _ step: Int64
) -> sn_tensor? {
  make {
    try tensor(t).slice(
      Int(dim), hasStart != 0 ? Int(start) : nil, hasEnd != 0 ? Int(end) : nil, step: Int(step))
  }
}

@c(sn_narrow) @implementation
public func sn_narrow(_ t: sn_tensor?, _ dim: Int64, _ start: Int64, _ length: Int64) -> sn_tensor? {
  make { try tensor(t).narrow(Int(dim), Int(start), Int(length)) }
}

@c(sn_as_strided) @implementation
public func sn_as_strided(
  _ t: sn_tensor?, _ shape: UnsafePointer<Int64>?, _ strides: UnsafePointer<Int64>?, _ rank: Int64,
  _ offset: Int64
) -> sn_tensor? {
  make { try tensor(t).asStrided(integers(shape, rank), integers(strides, rank), offset: Int(offset)) }
}

@c(sn_diagonal) @implementation
public func sn_diagonal(_ t: sn_tensor?, _ offset: Int64, _ dim1: Int64, _ dim2: Int64) -> sn_tensor? {
  make { try tensor(t).diagonal(offset: Int(offset), Int(dim1), Int(dim2)) }
}

@c(sn_unfold) @implementation
public func sn_unfold(_ t: sn_tensor?, _ dim: Int64, _ size: Int64, _ step: Int64) -> sn_tensor? {
  make { try tensor(t).unfold(Int(dim), Int(size), Int(step)) }
}

@c(sn_cat) @implementation
public func sn_cat(_ list: UnsafePointer<sn_tensor?>?, _ count: Int64, _ dim: Int64) -> sn_tensor? {
  make { try Tensor.cat(try tensors(list, count), Int(dim)) }
}
