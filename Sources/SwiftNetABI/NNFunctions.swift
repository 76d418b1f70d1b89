import CSwiftNet
import SwiftNet

@c(sn_linear) @implementation
public func sn_linear(_ x: sn_tensor?, _ weight: sn_tensor?, _ bias: sn_tensor?) -> sn_tensor? {
  make { try tensor(x).linear(try tensor(weight), optionalTensor(bias)) }
}

@c(sn_bilinear) @implementation
public func sn_bilinear(
  _ x: sn_tensor?, _ y: sn_tensor?, _ weight: sn_tensor?, _ bias: sn_tensor?
) -> sn_tensor? {
  make { try Tensor.bilinear(try tensor(x), try tensor(y), try tensor(weight), optionalTensor(bias)) }
}

@c(sn_prelu) @implementation
public func sn_prelu(_ x: sn_tensor?, _ weight: sn_tensor?) -> sn_tensor? {
  make { try tensor(x).prelu(try tensor(weight)) }
}

@c(sn_glu) @implementation
public func sn_glu(_ x: sn_tensor?, _ dim: Int64) -> sn_tensor? { make { try tensor(x).glu(Int(dim)) } }

@c(sn_rrelu) @implementation
public func sn_rrelu(_ x: sn_tensor?, _ lower: Double, _ upper: Double, _ training: Int32) -> sn_tensor? {
  make { try tensor(x).rrelu(lower, upper, training: training != 0) }
}

@c(sn_softmax) @implementation
public func sn_softmax(_ x: sn_tensor?, _ dim: Int64, _ type: Int32, _ isLog: Int32) -> sn_tensor? {
  make {
    let dtype = try optionalDType(type)
    return isLog != 0
      ? try tensor(x).logSoftmax(Int(dim), dtype: dtype) : try tensor(x).softmax(Int(dim), dtype: dtype)
  }
}

@c(sn_gumbel_softmax) @implementation
public func sn_gumbel_softmax(_ x: sn_tensor?, _ tau: Double, _ hard: Int32, _ dim: Int64) -> sn_tensor? {
  make { try tensor(x).gumbelSoftmax(tau: tau, hard: hard != 0, dim: Int(dim)) }
}

@c(sn_dropout) @implementation
public func sn_dropout(_ x: sn_tensor?, _ p: Double, _ training: Int32, _ alpha: Int32, _ features: Int32)
  -> sn_tensor?
{
  make {
    if alpha != 0 { return try tensor(x).alphaDropout(p, training: training != 0, features: features != 0) }
    return features != 0
      ? try tensor(x).featureDropout(p, training: training != 0)
      : try tensor(x).dropout(p, training: training != 0)
  }
}

@c(sn_convolution) @implementation
public func sn_convolution(
  _ x: sn_tensor?, _ weight: sn_tensor?, _ bias: sn_tensor?, _ stride: UnsafePointer<Int64>?,
  _ strideCount: Int64,
  _ padding: UnsafePointer<Int64>?, _ paddingCount: Int64, _ dilation: UnsafePointer<Int64>?,
  _ dilationCount: Int64, _ groups: Int64
) -> sn_tensor? {
  make {
    let padded: ConvolutionPadding = paddingCount == -1 ? .same : .explicit(integers(padding, paddingCount))
    return try tensor(x).convolution(
      try tensor(weight), optionalTensor(bias), stride: integers(stride, strideCount), padding: padded,
      dilation: integers(dilation, dilationCount), groups: Int(groups))
  }
}

@c(sn_transposed_convolution) @implementation
public func sn_transposed_convolution(
  _ x: sn_tensor?, _ weight: sn_tensor?, _ bias: sn_tensor?, _ stride: UnsafePointer<Int64>?,
  _ strideCount: Int64,
  _ padding: UnsafePointer<Int64>?, _ paddingCount: Int64, _ outputPadding: UnsafePointer<Int64>?,
  _ outputPaddingCount: Int64, _ dilation: UnsafePointer<Int64>?, _ dilationCount: Int64, _ groups: Int64
) -> sn_tensor? {
  make {
    try tensor(x).transposedConvolution(
      try tensor(weight), optionalTensor(bias), stride: integers(stride, strideCount),
      padding: integers(padding, paddingCount), outputPadding: integers(outputPadding, outputPaddingCount),
      groups: Int(groups), dilation: integers(dilation, dilationCount))
  }
}

@c(sn_become_) @implementation
public func sn_become_(_ target: sn_tensor?, _ result: sn_tensor?) -> Int32 {
  attempt { try tensor(target).become(try tensor(result)) }
}
