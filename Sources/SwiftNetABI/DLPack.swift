import CSwiftNet
import SwiftNet

/// Exchange of tensors without a copy, https://dmlc.github.io/dlpack/latest/.
private enum DLPack {
  static let cpu: Int32 = 1
  static let integer: UInt8 = 0
  static let unsigned: UInt8 = 1
  static let float: UInt8 = 2
  static let bfloat: UInt8 = 4
  static let bool: UInt8 = 6

  static func code(_ dtype: DType) -> UInt8 {
    switch dtype {
    case .float32, .float64, .float16: float
    case .bfloat16: bfloat
    case .int8, .int16, .int32, .int64: integer
    case .uint8: unsigned
    case .bool: bool
    }
  }

  static func dtype(_ type: sn_dl_dtype) throws -> DType {
    for dtype in DType.allCases
    where code(dtype) == type.code && dtype.size * 8 == Int(type.bits) && type.lanes == 1 {
      return dtype
    }
    throw SwiftNetError(
      .type,
      "from_dlpack: no dtype for DLPack code \(type.code) with \(type.bits) bits and \(type.lanes) lanes")
  }

  /// Shape and strides in one block that lives as long as the exported tensor.
  static func describe(_ tensor: Tensor) throws -> sn_dl_tensor {
    let rank = tensor.rank
    let numbers = UnsafeMutablePointer<Int64>.allocate(capacity: max(2 * rank, 1))
    for d in 0..<rank {
      numbers[d] = Int64(tensor.shape[d])
      // Strides of dimensions of size one say nothing; row-major ones please everybody.
      numbers[rank + d] = Int64(tensor.strides[d])
    }
    let data: UnsafeMutableRawPointer
    do { data = try tensor.exposeMemory() } catch {
      numbers.deallocate()
      throw error
    }
    return sn_dl_tensor(
      data: data, device: sn_dl_device(device_type: cpu, device_id: 0), ndim: Int32(rank),
      dtype: sn_dl_dtype(code: code(tensor.dtype), bits: UInt8(tensor.dtype.size * 8), lanes: 1),
      shape: numbers,
      strides: numbers + rank, byte_offset: 0)
  }

  static func open(_ source: sn_dl_tensor, release: @escaping () -> Void) throws -> Tensor {
    guard source.device.device_type == cpu else {
      throw SwiftNetError(
        .runtime, "from_dlpack: only CPU memory can be used, got device type \(source.device.device_type)")
    }
    let rank = Int(source.ndim)
    guard rank >= 0, rank == 0 || source.shape != nil else {
      throw SwiftNetError(.value, "from_dlpack: no shape")
    }
    let dtype = try dtype(source.dtype)
    let shape = (0..<rank).map { Int(source.shape[$0]) }
    let strides =
      source.strides.map { strides in (0..<rank).map { Int(strides[$0]) } } ?? Shape.contiguousStrides(shape)
    guard try Shape.count(shape) > 0 else {
      release()
      return try Tensor(empty: shape, dtype: dtype)
    }
    var last = 0
    for (size, stride) in zip(shape, strides) where stride > 0 {
      let (span, overflow) = (size - 1).multipliedReportingOverflow(by: stride)
      guard !overflow, span < Int.max / 32, last < Int.max / 32 else {
        throw SwiftNetError(.value, "from_dlpack: strides \(Shape.describe(strides)) are too large")
      }
      last += span
    }
    return try Tensor.overMemory(
      source.data.map { $0 + Int(source.byte_offset) }, bytes: (last + 1) * dtype.size, shape: shape,
      strides: strides,
      offset: 0, dtype: dtype, release: release)
  }
}

@c(sn_to_dlpack) @implementation
public func sn_to_dlpack(_ t: sn_tensor?) -> UnsafeMutablePointer<sn_dl_managed>? {
  do {
    let source = try tensor(t)
    let managed = UnsafeMutablePointer<sn_dl_managed>.allocate(capacity: 1)
    do {
      managed.initialize(to: sn_dl_managed(tensor: try DLPack.describe(source), context: nil, deleter: nil))
    } catch {
      managed.deallocate()
      throw error
    }
    managed.pointee.context = Unmanaged.passRetained(source).toOpaque()
    managed.pointee.deleter = { managed in
      guard let managed else { return }
      managed.pointee.tensor.shape.deallocate()
      if let context = managed.pointee.context { Unmanaged<Tensor>.fromOpaque(context).release() }
      managed.deallocate()
    }
    return managed
  } catch {
    LastError.set(error)
    return nil
  }
}

@c(sn_to_dlpack_versioned) @implementation
public func sn_to_dlpack_versioned(_ t: sn_tensor?) -> UnsafeMutablePointer<sn_dl_versioned>? {
  do {
    let source = try tensor(t)
    let managed = UnsafeMutablePointer<sn_dl_versioned>.allocate(capacity: 1)
    do {
      managed.initialize(
        to: sn_dl_versioned(
          major: 1, minor: 0, context: nil, deleter: nil, flags: 0, tensor: try DLPack.describe(source)))
    } catch {
      managed.deallocate()
      throw error
    }
    managed.pointee.context = Unmanaged.passRetained(source).toOpaque()
    managed.pointee.deleter = { managed in
      guard let managed else { return }
      managed.pointee.tensor.shape.deallocate()
      if let context = managed.pointee.context { Unmanaged<Tensor>.fromOpaque(context).release() }
      managed.deallocate()
    }
    return managed
  } catch {
    LastError.set(error)
    return nil
  }
}

@c(sn_from_dlpack) @implementation
public func sn_from_dlpack(_ managed: UnsafeMutablePointer<sn_dl_managed>?) -> sn_tensor? {
  make {
    guard let managed else { throw SwiftNetError(.type, "from_dlpack: NULL") }
    return try DLPack.open(managed.pointee.tensor) { managed.pointee.deleter?(managed) }
  }
}

@c(sn_from_dlpack_versioned) @implementation
public func sn_from_dlpack_versioned(_ managed: UnsafeMutablePointer<sn_dl_versioned>?) -> sn_tensor? {
  make {
    guard let managed else { throw SwiftNetError(.type, "from_dlpack: NULL") }
    guard managed.pointee.major == 1 else {
      throw SwiftNetError(.runtime, "from_dlpack: DLPack version \(managed.pointee.major) is not supported")
    }
    return try DLPack.open(managed.pointee.tensor) { managed.pointee.deleter?(managed) }
  }
}
