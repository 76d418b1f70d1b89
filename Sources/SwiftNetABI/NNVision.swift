import CSwiftNet
import SwiftNet

@c(sn_interpolate) @implementation
public func sn_interpolate(
  _ x: sn_tensor?, _ size: UnsafePointer<Int64>?, _ count: Int64, _ scales: UnsafePointer<Double>?, _ mode: Int32,
  _ alignCorners: Int32, _ antialias: Int32
) -> sn_tensor? {
  make {
    guard let mode = InterpolationMode(rawValue: mode) else {
      throw SwiftNetError(.value, "unknown interpolation mode \(mode)")
    }
    let factors = scales.map { scales in (0..<max(Int(count), 0)).map { scales[$0] } }
    return try tensor(x).interpolated(
      integers(size, count), mode: mode, scales: factors, alignCorners: alignCorners != 0, antialias: antialias != 0)
  }
}

@c(sn_pixel_shuffle) @implementation
public func sn_pixel_shuffle(_ x: sn_tensor?, _ factor: Int64) -> sn_tensor? {
  make { try tensor(x).pixelShuffle(Int(factor)) }
}

@c(sn_pixel_unshuffle) @implementation
public func sn_pixel_unshuffle(_ x: sn_tensor?, _ factor: Int64) -> sn_tensor? {
  make { try tensor(x).pixelUnshuffle(Int(factor)) }
}

@c(sn_channel_shuffle) @implementation
public func sn_channel_shuffle(_ x: sn_tensor?, _ groups: Int64) -> sn_tensor? {
  make { try tensor(x).channelShuffle(Int(groups)) }
}

@c(sn_embedding) @implementation
public func sn_embedding(
  _ weight: sn_tensor?, _ indices: sn_tensor?, _ padding: Int64, _ maxNorm: Double, _ normType: Double,
  _ scaleByFrequency: Int32
) -> sn_tensor? {
  make {
    try tensor(weight).embedding(
      try tensor(indices), padding: padding < 0 ? nil : Int(padding), maxNorm: maxNorm < 0 ? nil : maxNorm,
      normType: normType, scaleByFrequency: scaleByFrequency != 0)
  }
}

@c(sn_attention) @implementation
public func sn_attention(
  _ query: sn_tensor?, _ key: sn_tensor?, _ value: sn_tensor?, _ mask: sn_tensor?, _ dropout: Double,
  _ isCausal: Int32, _ hasScale: Int32, _ scale: Double, _ sharesHeads: Int32
) -> sn_tensor? {
  make {
    try Tensor.attention(
      try tensor(query), try tensor(key), try tensor(value), mask: optionalTensor(mask), dropout: dropout,
      isCausal: isCausal != 0, scale: hasScale != 0 ? scale : nil, sharesHeads: sharesHeads != 0)
  }
}
