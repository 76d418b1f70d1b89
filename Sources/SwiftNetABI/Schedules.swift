import CSwiftNet
import SwiftNet

@c(sn_clip_grad_norm) @implementation
public func sn_clip_grad_norm(
  _ parameters: UnsafePointer<sn_tensor?>?, _ count: Int64, _ maxNorm: Double, _ p: Double, _ errorIfNotFinite: Int32
) -> sn_tensor? {
  make {
    try GradientClipping.clipNorm(
      try tensors(parameters, count), maxNorm: maxNorm, p: p, errorIfNotFinite: errorIfNotFinite != 0)
  }
}

@c(sn_clip_grad_value) @implementation
public func sn_clip_grad_value(
  _ parameters: UnsafePointer<sn_tensor?>?, _ count: Int64, _ limit: Double
) -> Int32 {
  attempt { try GradientClipping.clipValue(try tensors(parameters, count), limit) }
}

@c(sn_total_norm) @implementation
public func sn_total_norm(_ list: UnsafePointer<sn_tensor?>?, _ count: Int64, _ p: Double) -> sn_tensor? {
  make { try GradientClipping.totalNorm(try tensors(list, count), p: p) }
}

@c(sn_scale_gradients) @implementation
public func sn_scale_gradients(
  _ parameters: UnsafePointer<sn_tensor?>?, _ count: Int64, _ maxNorm: Double, _ total: sn_tensor?
) -> Int32 {
  attempt {
    try GradientClipping.scale(
      try tensors(parameters, count).compactMap(\.grad), maxNorm: maxNorm, total: try tensor(total))
  }
}

@c(sn_schedule_rate) @implementation
public func sn_schedule_rate(
  _ name: UnsafePointer<CChar>?, _ numbers: UnsafePointer<Double>?, _ count: Int64, _ epoch: Double,
  _ current: Double, _ base: Double, _ fresh: Int32, _ rate: UnsafeMutablePointer<Double>?
) -> Int32 {
  attempt {
    let values = numbers.map { pointer in (0..<max(Int(count), 0)).map { pointer[$0] } } ?? []
    rate?.pointee = try Schedule(try text(name), values).rate(
      epoch, current: current, base: base, isFresh: fresh != 0)
  }
}

@c(sn_fold_batch_norm) @implementation
public func sn_fold_batch_norm(
  _ weight: sn_tensor?, _ bias: sn_tensor?, _ mean: sn_tensor?, _ variance: sn_tensor?, _ eps: Double,
  _ scale: sn_tensor?, _ shift: sn_tensor?, _ isTransposed: Int32, _ results: UnsafeMutablePointer<sn_tensor?>?
) -> Int32 {
  attempt {
    let folded = try Tensor.foldBatchNorm(
      weight: try tensor(weight), bias: optionalTensor(bias), mean: try tensor(mean), variance: try tensor(variance),
      eps: eps, scale: optionalTensor(scale), shift: optionalTensor(shift), isTransposed: isTransposed != 0)
    results?[0] = handle(folded.weight)
    results?[1] = handle(folded.bias)
  }
}
