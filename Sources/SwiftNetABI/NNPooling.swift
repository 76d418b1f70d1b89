import CSwiftNet
import SwiftNet

/// Writes the results of an operation that may give indices; the first is returned.
private func first(_ results: [Tensor], _ indices: UnsafeMutablePointer<sn_tensor?>?) -> Tensor {
  if results.count > 1 { indices?.pointee = handle(results[1]) }
  return results[0]
}

@c(sn_max_pool) @implementation
public func sn_max_pool(
  _ x: sn_tensor?, _ dimensions: Int32, _ kernel: UnsafePointer<Int64>?, _ kernelCount: Int64,
  _ stride: UnsafePointer<Int64>?, _ strideCount: Int64, _ padding: UnsafePointer<Int64>?, _ paddingCount: Int64,
  _ dilation: UnsafePointer<Int64>?, _ dilationCount: Int64, _ ceilMode: Int32,
  _ indices: UnsafeMutablePointer<sn_tensor?>?
) -> sn_tensor? {
  make {
    first(
      try tensor(x).maxPool(
        Int(dimensions), kernel: integers(kernel, kernelCount), stride: integers(stride, strideCount),
        padding: integers(padding, paddingCount), dilation: integers(dilation, dilationCount),
        ceilMode: ceilMode != 0, returnIndices: indices != nil), indices)
  }
}

@c(sn_adaptive_max_pool) @implementation
public func sn_adaptive_max_pool(
  _ x: sn_tensor?, _ size: UnsafePointer<Int64>?, _ count: Int64, _ indices: UnsafeMutablePointer<sn_tensor?>?
) -> sn_tensor? {
  make {
    first(try tensor(x).adaptiveMaxPool(integers(size, count), returnIndices: indices != nil), indices)
  }
}

@c(sn_max_unpool) @implementation
public func sn_max_unpool(
  _ x: sn_tensor?, _ indices: sn_tensor?, _ size: UnsafePointer<Int64>?, _ count: Int64
) -> sn_tensor? {
  make { try tensor(x).maxUnpool(try tensor(indices), size: integers(size, count)) }
}

@c(sn_avg_pool) @implementation
public func sn_avg_pool(
  _ x: sn_tensor?, _ dimensions: Int32, _ kernel: UnsafePointer<Int64>?, _ kernelCount: Int64,
  _ stride: UnsafePointer<Int64>?, _ strideCount: Int64, _ padding: UnsafePointer<Int64>?, _ paddingCount: Int64,
  _ ceilMode: Int32, _ countIncludesPadding: Int32, _ hasDivisor: Int32, _ divisor: Int64
) -> sn_tensor? {
  make {
    try tensor(x).averagePool(
      Int(dimensions), kernel: integers(kernel, kernelCount), stride: integers(stride, strideCount),
      padding: integers(padding, paddingCount), ceilMode: ceilMode != 0,
      countIncludesPadding: countIncludesPadding != 0, divisor: hasDivisor != 0 ? Int(divisor) : nil)
  }
}

@c(sn_adaptive_avg_pool) @implementation
public func sn_adaptive_avg_pool(_ x: sn_tensor?, _ size: UnsafePointer<Int64>?, _ count: Int64) -> sn_tensor? {
  make { try tensor(x).adaptiveAveragePool(integers(size, count)) }
}

@c(sn_lp_pool) @implementation
public func sn_lp_pool(
  _ x: sn_tensor?, _ dimensions: Int32, _ p: Double, _ kernel: UnsafePointer<Int64>?, _ kernelCount: Int64,
  _ stride: UnsafePointer<Int64>?, _ strideCount: Int64, _ ceilMode: Int32
) -> sn_tensor? {
  make {
    try tensor(x).normPool(
      Int(dimensions), p: p, kernel: integers(kernel, kernelCount), stride: integers(stride, strideCount),
      ceilMode: ceilMode != 0)
  }
}
