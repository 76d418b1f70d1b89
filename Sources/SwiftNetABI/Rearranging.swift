import CSwiftNet
import SwiftNet

@c(sn_tril) @implementation
public func sn_tril(_ t: sn_tensor?, _ diagonal: Int64, _ inPlace: Int32) -> sn_tensor? {
  make(t, inPlace: inPlace) { try $0.tril(Int(diagonal)) }
}

@c(sn_triu) @implementation
public func sn_triu(_ t: sn_tensor?, _ diagonal: Int64, _ inPlace: Int32) -> sn_tensor? {
  make(t, inPlace: inPlace) { try $0.triu(Int(diagonal)) }
}

@c(sn_triangle_indices) @implementation
public func sn_triangle_indices(
  _ rows: Int64, _ columns: Int64, _ offset: Int64, _ lower: Int32, _ type: Int32
) -> sn_tensor? {
  make {
    try Tensor.triangleIndices(
      Int(rows), Int(columns), offset: Int(offset), lower: lower != 0, dtype: try dtype(type))
  }
}

@c(sn_diag) @implementation
public func sn_diag(_ t: sn_tensor?, _ diagonal: Int64) -> sn_tensor? {
  make { try tensor(t).diag(Int(diagonal)) }
}

@c(sn_diag_embed) @implementation
public func sn_diag_embed(_ t: sn_tensor?, _ offset: Int64, _ dim1: Int64, _ dim2: Int64) -> sn_tensor? {
  make { try tensor(t).diagEmbed(offset: Int(offset), Int(dim1), Int(dim2)) }
}

@c(sn_trace) @implementation
public func sn_trace(_ t: sn_tensor?) -> sn_tensor? { make { try tensor(t).trace() } }

@c(sn_block_diag) @implementation
public func sn_block_diag(_ list: UnsafePointer<sn_tensor?>?, _ count: Int64) -> sn_tensor? {
  make { try Tensor.blockDiagonal(try tensors(list, count)) }
}

@c(sn_meshgrid) @implementation
public func sn_meshgrid(_ list: UnsafePointer<sn_tensor?>?, _ count: Int64, _ transposed: Int32) -> sn_list? {
  makeList { try Tensor.meshgrid(try tensors(list, count), transposed: transposed != 0) }
}

@c(sn_cartesian_prod) @implementation
public func sn_cartesian_prod(_ list: UnsafePointer<sn_tensor?>?, _ count: Int64) -> sn_tensor? {
  make { try Tensor.cartesianProduct(try tensors(list, count)) }
}

@c(sn_combinations) @implementation
public func sn_combinations(_ t: sn_tensor?, _ r: Int64, _ withReplacement: Int32) -> sn_tensor? {
  make { try tensor(t).combinations(Int(r), withReplacement: withReplacement != 0) }
}

@c(sn_broadcast_tensors) @implementation
public func sn_broadcast_tensors(_ list: UnsafePointer<sn_tensor?>?, _ count: Int64) -> sn_list? {
  makeList { try Tensor.broadcast(try tensors(list, count)) }
}

@c(sn_flip) @implementation
public func sn_flip(_ t: sn_tensor?, _ dims: UnsafePointer<Int64>?, _ count: Int64) -> sn_tensor? {
  make { try tensor(t).flip(integers(dims, count)) }
}

@c(sn_roll) @implementation
public func sn_roll(
  _ t: sn_tensor?, _ shifts: UnsafePointer<Int64>?, _ shiftCount: Int64, _ dims: UnsafePointer<Int64>?,
  _ count: Int64
) -> sn_tensor? {
  make { try tensor(t).roll(integers(shifts, shiftCount), integers(dims, count)) }
}

@c(sn_rot90) @implementation
public func sn_rot90(_ t: sn_tensor?, _ k: Int64, _ dims: UnsafePointer<Int64>?, _ count: Int64) -> sn_tensor? {
  make { try tensor(t).rot90(Int(k), integers(dims, count)) }
}

@c(sn_repeat) @implementation
public func sn_repeat(_ t: sn_tensor?, _ sizes: UnsafePointer<Int64>?, _ count: Int64) -> sn_tensor? {
  make { try tensor(t).repeated(integers(sizes, count)) }
}

@c(sn_tile) @implementation
public func sn_tile(_ t: sn_tensor?, _ sizes: UnsafePointer<Int64>?, _ count: Int64) -> sn_tensor? {
  make { try tensor(t).tile(integers(sizes, count)) }
}

@c(sn_repeat_interleave) @implementation
public func sn_repeat_interleave(
  _ t: sn_tensor?, _ repeats: sn_tensor?, _ hasDim: Int32, _ dim: Int64, _ outputSize: Int64
) -> sn_tensor? {
  make {
    try tensor(t).repeatInterleave(
      try tensor(repeats), hasDim != 0 ? Int(dim) : nil, outputSize: outputSize < 0 ? nil : Int(outputSize))
  }
}

@c(sn_movedim) @implementation
public func sn_movedim(
  _ t: sn_tensor?, _ source: UnsafePointer<Int64>?, _ sourceCount: Int64,
  _ destination: UnsafePointer<Int64>?,
  _ destinationCount: Int64
) -> sn_tensor? {
  make { try tensor(t).movedim(integers(source, sourceCount), integers(destination, destinationCount)) }
}

@c(sn_unflatten) @implementation
public func sn_unflatten(
  _ t: sn_tensor?, _ dim: Int64, _ sizes: UnsafePointer<Int64>?, _ count: Int64
) -> sn_tensor? {
  make { try tensor(t).unflatten(Int(dim), integers(sizes, count)) }
}

@c(sn_at_least) @implementation
public func sn_at_least(_ t: sn_tensor?, _ rank: Int64) -> sn_tensor? {
  make { try tensor(t).withRank(atLeast: Int(rank)) }
}

@c(sn_split) @implementation
public func sn_split(_ t: sn_tensor?, _ size: Int64, _ dim: Int64) -> sn_list? {
  makeList { try tensor(t).split(Int(size), Int(dim)) }
}

@c(sn_split_sizes) @implementation
public func sn_split_sizes(
  _ t: sn_tensor?, _ sizes: UnsafePointer<Int64>?, _ count: Int64, _ dim: Int64
) -> sn_list? {
  makeList { try tensor(t).split(sizes: integers(sizes, count), Int(dim)) }
}

@c(sn_chunk) @implementation
public func sn_chunk(_ t: sn_tensor?, _ chunks: Int64, _ dim: Int64) -> sn_list? {
  makeList { try tensor(t).chunk(Int(chunks), Int(dim)) }
}

@c(sn_tensor_split) @implementation
public func sn_tensor_split(_ t: sn_tensor?, _ sections: Int64, _ dim: Int64) -> sn_list? {
  makeList { try tensor(t).tensorSplit(sections: Int(sections), Int(dim)) }
}

@c(sn_tensor_split_indices) @implementation
public func sn_tensor_split_indices(
  _ t: sn_tensor?, _ indices: UnsafePointer<Int64>?, _ count: Int64, _ dim: Int64
) -> sn_list? {
  makeList { try tensor(t).tensorSplit(indices: integers(indices, count), Int(dim)) }
}

@c(sn_unbind) @implementation
public func sn_unbind(_ t: sn_tensor?, _ dim: Int64) -> sn_list? {
  makeList { try tensor(t).unbind(Int(dim)) }
}

@c(sn_stack) @implementation
public func sn_stack(_ list: UnsafePointer<sn_tensor?>?, _ count: Int64, _ dim: Int64) -> sn_tensor? {
  make { try Tensor.stack(try tensors(list, count), Int(dim)) }
}

@c(sn_stack_along) @implementation
public func sn_stack_along(_ list: UnsafePointer<sn_tensor?>?, _ count: Int64, _ axis: Int32) -> sn_tensor? {
  make {
    let parts = try tensors(list, count)
    switch axis {
    case 0: return try Tensor.vstack(parts)
    case 1: return try Tensor.hstack(parts)
    case 2: return try Tensor.dstack(parts)
    default: return try Tensor.columnStack(parts)
    }
  }
}

@c(sn_select_scatter) @implementation
public func sn_select_scatter(_ t: sn_tensor?, _ source: sn_tensor?, _ dim: Int64, _ index: Int64)
  -> sn_tensor?
{
  make { try tensor(t).selectScatter(try tensor(source), Int(dim), Int(index)) }
}

@c(sn_slice_scatter) @implementation
public func sn_slice_scatter(
  _ t: sn_tensor?, _ source: sn_tensor?, _ dim: Int64, _ hasStart: Int32, _ start: Int64, _ hasEnd: Int32,
  _ end: Int64, _ step: Int64
) -> sn_tensor? {
  make {
    try tensor(t).sliceScatter(
      try tensor(source), Int(dim), hasStart != 0 ? Int(start) : nil, hasEnd != 0 ? Int(end) : nil,
      step: Int(step))
  }
}

@c(sn_diagonal_scatter) @implementation
public func sn_diagonal_scatter(
  _ t: sn_tensor?, _ source: sn_tensor?, _ offset: Int64, _ dim1: Int64, _ dim2: Int64
) -> sn_tensor? {
  make { try tensor(t).diagonalScatter(try tensor(source), offset: Int(offset), Int(dim1), Int(dim2)) }
}

@c(sn_pad) @implementation
public func sn_pad(
  _ t: sn_tensor?, _ padding: UnsafePointer<Int64>?, _ count: Int64, _ mode: UnsafePointer<CChar>?,
  _ value: sn_scalar
) -> sn_tensor? {
  make {
    let mode = try PaddingMode(named: mode.map { String(cString: $0) } ?? "constant", value: scalar(value))
    return try tensor(t).padded(integers(padding, count), mode)
  }
}
