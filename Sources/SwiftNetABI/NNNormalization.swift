import CSwiftNet
import SwiftNet

@c(sn_batch_norm) @implementation
public func sn_batch_norm(
  _ x: sn_tensor?, _ mean: sn_tensor?, _ variance: sn_tensor?, _ weight: sn_tensor?, _ bias: sn_tensor?,
  _ training: Int32, _ momentum: Double, _ eps: Double
) -> sn_tensor? {
  make {
    try tensor(x).batchNorm(
      runningMean: optionalTensor(mean), runningVariance: optionalTensor(variance), weight: optionalTensor(weight),
      bias: optionalTensor(bias), training: training != 0, momentum: momentum, eps: eps)
  }
}

@c(sn_instance_norm) @implementation
public func sn_instance_norm(
  _ x: sn_tensor?, _ mean: sn_tensor?, _ variance: sn_tensor?, _ weight: sn_tensor?, _ bias: sn_tensor?,
  _ useInput: Int32, _ momentum: Double, _ eps: Double
) -> sn_tensor? {
  make {
    try tensor(x).instanceNorm(
      runningMean: optionalTensor(mean), runningVariance: optionalTensor(variance), weight: optionalTensor(weight),
      bias: optionalTensor(bias), useInputStatistics: useInput != 0, momentum: momentum, eps: eps)
  }
}

@c(sn_layer_norm) @implementation
public func sn_layer_norm(
  _ x: sn_tensor?, _ shape: UnsafePointer<Int64>?, _ count: Int64, _ weight: sn_tensor?, _ bias: sn_tensor?,
  _ eps: Double
) -> sn_tensor? {
  make {
    try tensor(x).layerNorm(
      integers(shape, count), weight: optionalTensor(weight), bias: optionalTensor(bias), eps: eps)
  }
}

@c(sn_group_norm) @implementation
public func sn_group_norm(
  _ x: sn_tensor?, _ groups: Int64, _ weight: sn_tensor?, _ bias: sn_tensor?, _ eps: Double
) -> sn_tensor? {
  make {
    try tensor(x).groupNorm(Int(groups), weight: optionalTensor(weight), bias: optionalTensor(bias), eps: eps)
  }
}

@c(sn_rms_norm) @implementation
public func sn_rms_norm(
  _ x: sn_tensor?, _ shape: UnsafePointer<Int64>?, _ count: Int64, _ weight: sn_tensor?, _ hasEps: Int32,
  _ eps: Double
) -> sn_tensor? {
  make {
    try tensor(x).rmsNorm(
      integers(shape, count), weight: optionalTensor(weight), eps: hasEps != 0 ? eps : nil)
  }
}

@c(sn_local_response_norm) @implementation
public func sn_local_response_norm(
  _ x: sn_tensor?, _ size: Int64, _ alpha: Double, _ beta: Double, _ k: Double
) -> sn_tensor? {
  make { try tensor(x).localResponseNorm(Int(size), alpha: alpha, beta: beta, k: k) }
}

@c(sn_normalize) @implementation
public func sn_normalize(
  _ x: sn_tensor?, _ p: Double, _ dims: UnsafePointer<Int64>?, _ count: Int64, _ eps: Double
) -> sn_tensor? {
  make { try tensor(x).normalize(p: p, dims: integers(dims, count), eps: eps) }
}

@c(sn_pdist) @implementation
public func sn_pdist(_ x: sn_tensor?, _ p: Double) -> sn_tensor? { make { try tensor(x).pairDistances(p: p) } }
