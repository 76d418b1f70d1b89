import CSwiftNet
import SwiftNet

@c(sn_retain) @implementation
public func sn_retain(_ t: sn_tensor?) -> sn_tensor? { make { try tensor(t) } }

@c(sn_release) @implementation
public func sn_release(_ t: sn_tensor?) {
  if let t { Unmanaged<Tensor>.fromOpaque(UnsafeRawPointer(t)).release() }
}

@c(sn_empty) @implementation
public func sn_empty(_ shape: UnsafePointer<Int64>?, _ rank: Int64, _ type: Int32) -> sn_tensor? {
  make { try Tensor(empty: integers(shape, rank), dtype: try dtype(type)) }
}

@c(sn_full) @implementation
public func sn_full(
  _ shape: UnsafePointer<Int64>?, _ rank: Int64, _ value: sn_scalar, _ type: Int32
) -> sn_tensor? {
  make { try Tensor.full(integers(shape, rank), scalar(value), dtype: try optionalDType(type)) }
}

@c(sn_arange) @implementation
public func sn_arange(_ start: sn_scalar, _ end: sn_scalar, _ step: sn_scalar, _ type: Int32) -> sn_tensor? {
  make { try Tensor.arange(scalar(start), scalar(end), step: scalar(step), dtype: try optionalDType(type)) }
}

@c(sn_linspace) @implementation
public func sn_linspace(_ start: Double, _ end: Double, _ count: Int64, _ type: Int32) -> sn_tensor? {
  make { try Tensor.linspace(start, end, count: Int(count), dtype: try dtype(type)) }
}

@c(sn_eye) @implementation
public func sn_eye(_ rows: Int64, _ columns: Int64, _ type: Int32) -> sn_tensor? {
  make { try Tensor.eye(Int(rows), Int(columns), dtype: try dtype(type)) }
}

@c(sn_from_memory) @implementation
public func sn_from_memory(
  _ data: UnsafeMutableRawPointer?, _ bytes: Int64, _ shape: UnsafePointer<Int64>?,
  _ strides: UnsafePointer<Int64>?, _ rank: Int64, _ offset: Int64, _ type: Int32,
  _ release: (@convention(c) (UnsafeMutableRawPointer?) -> Void)?, _ context: UnsafeMutableRawPointer?
) -> sn_tensor? {
  make {
    try Tensor.overMemory(
      data, bytes: Int(bytes), shape: integers(shape, rank), strides: integers(strides, rank),
      offset: Int(offset),
      dtype: try dtype(type)
    ) { release?(context) }
  }
}

@c(sn_from_data) @implementation
public func sn_from_data(
  _ data: UnsafeRawPointer?, _ shape: UnsafePointer<Int64>?, _ rank: Int64, _ type: Int32
) -> sn_tensor? {
  make { try Tensor.copying(data, shape: integers(shape, rank), dtype: try dtype(type)) }
}

@c(sn_dtype) @implementation
public func sn_dtype(_ t: sn_tensor?) -> Int32 { number { Int(try tensor(t).dtype.rawValue) } }

@c(sn_rank) @implementation
public func sn_rank(_ t: sn_tensor?) -> Int32 { number { try tensor(t).rank } }

@c(sn_count) @implementation
public func sn_count(_ t: sn_tensor?) -> Int64 { number { try tensor(t).count } }

@c(sn_shape) @implementation
public func sn_shape(
  _ t: sn_tensor?, _ shape: UnsafeMutablePointer<Int64>?, _ strides: UnsafeMutablePointer<Int64>?,
  _ capacity: Int64
) -> Int32 {
  attempt {
    let tensor = try tensor(t)
    for d in 0..<min(tensor.rank, Int(capacity)) {
      shape?[d] = Int64(tensor.shape[d])
      strides?[d] = Int64(tensor.strides[d])
    }
  }
}

@c(sn_storage_offset) @implementation
public func sn_storage_offset(_ t: sn_tensor?) -> Int64 { number { try tensor(t).offset } }

@c(sn_storage_bytes) @implementation
public func sn_storage_bytes(_ t: sn_tensor?) -> Int64 { number { try tensor(t).storageBytes } }

@c(sn_version) @implementation
public func sn_version(_ t: sn_tensor?) -> Int64 { number { try tensor(t).version } }

@c(sn_is_contiguous) @implementation
public func sn_is_contiguous(_ t: sn_tensor?) -> Int32 { number { try tensor(t).isContiguous ? 1 : 0 } }

@c(sn_is_channels_last) @implementation
public func sn_is_channels_last(_ t: sn_tensor?) -> Int32 { number { try tensor(t).isChannelsLast ? 1 : 0 } }

@c(sn_data) @implementation
public func sn_data(_ t: sn_tensor?) -> UnsafeMutableRawPointer? {
  do { return try tensor(t).exposeMemory() } catch {
    LastError.set(error)
    return nil
  }
}

@c(sn_storage_id) @implementation
public func sn_storage_id(_ t: sn_tensor?) -> Int64 { number { try tensor(t).storageIdentity } }

@c(sn_item) @implementation
public func sn_item(_ t: sn_tensor?, _ value: UnsafeMutablePointer<sn_scalar>?) -> Int32 {
  attempt {
    switch try tensor(t).item() {
    case .float(let d): value?.pointee = sn_scalar(d: d, i: 0, kind: 0)
    case .int(let i): value?.pointee = sn_scalar(d: 0, i: i, kind: 1)
    case .bool(let b): value?.pointee = sn_scalar(d: 0, i: b ? 1 : 0, kind: 2)
    }
  }
}

@c(sn_clone) @implementation
public func sn_clone(_ t: sn_tensor?) -> sn_tensor? { make { try tensor(t).clone() } }

@c(sn_contiguous) @implementation
public func sn_contiguous(_ t: sn_tensor?) -> sn_tensor? { make { try tensor(t).contiguous() } }

@c(sn_channels_last) @implementation
public func sn_channels_last(_ t: sn_tensor?) -> sn_tensor? { make { try tensor(t).channelsLast() } }

@c(sn_to_dtype) @implementation
public func sn_to_dtype(_ t: sn_tensor?, _ type: Int32) -> sn_tensor? {
  make { try tensor(t).to(try dtype(type)) }
}

@c(sn_detach) @implementation
public func sn_detach(_ t: sn_tensor?) -> sn_tensor? { make { try tensor(t).detach() } }

@c(sn_copy_) @implementation
public func sn_copy_(_ target: sn_tensor?, _ source: sn_tensor?) -> Int32 {
  attempt { try tensor(target).copyInPlace(try tensor(source)) }
}

@c(sn_fill_) @implementation
public func sn_fill_(_ target: sn_tensor?, _ value: sn_scalar) -> Int32 {
  attempt { try tensor(target).fillInPlace(scalar(value)) }
}

@c(sn_set_data) @implementation
public func sn_set_data(_ target: sn_tensor?, _ source: sn_tensor?) -> Int32 {
  attempt { try tensor(target).setData(try tensor(source)) }
}

@c(sn_detach_) @implementation
public func sn_detach_(_ t: sn_tensor?) -> Int32 { attempt { try tensor(t).detachInPlace() } }
