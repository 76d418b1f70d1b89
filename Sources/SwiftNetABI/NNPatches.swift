import CSwiftNet
import SwiftNet

@c(sn_unfold_patches) @implementation
public func sn_unfold_patches(
  _ x: sn_tensor?, _ kernel: UnsafePointer<Int64>?, _ kernelCount: Int64, _ dilation: UnsafePointer<Int64>?,
  _ dilationCount: Int64, _ padding: UnsafePointer<Int64>?, _ paddingCount: Int64, _ stride: UnsafePointer<Int64>?,
  _ strideCount: Int64
) -> sn_tensor? {
  make {
    try tensor(x).unfoldPatches(
      kernel: integers(kernel, kernelCount), dilation: integers(dilation, dilationCount),
      padding: integers(padding, paddingCount), stride: integers(stride, strideCount))
  }
}

@c(sn_fold_patches) @implementation
public func sn_fold_patches(
  _ x: sn_tensor?, _ size: UnsafePointer<Int64>?, _ sizeCount: Int64, _ kernel: UnsafePointer<Int64>?,
  _ kernelCount: Int64, _ dilation: UnsafePointer<Int64>?, _ dilationCount: Int64, _ padding: UnsafePointer<Int64>?,
  _ paddingCount: Int64, _ stride: UnsafePointer<Int64>?, _ strideCount: Int64
) -> sn_tensor? {
  make {
    try tensor(x).foldPatches(
      size: integers(size, sizeCount), kernel: integers(kernel, kernelCount),
      dilation: integers(dilation, dilationCount), padding: integers(padding, paddingCount),
      stride: integers(stride, strideCount))
  }
}

@c(sn_grid_sample) @implementation
public func sn_grid_sample(
  _ x: sn_tensor?, _ grid: sn_tensor?, _ mode: Int32, _ padding: Int32, _ alignCorners: Int32
) -> sn_tensor? {
  make {
    guard let mode = GridMode(rawValue: mode), let padding = GridPadding(rawValue: padding) else {
      throw SwiftNetError(.value, "unknown mode \(mode) or padding \(padding) of grid_sample")
    }
    return try tensor(x).gridSampled(
      try tensor(grid), mode: mode, padding: padding, alignCorners: alignCorners != 0)
  }
}

@c(sn_affine_grid) @implementation
public func sn_affine_grid(
  _ theta: sn_tensor?, _ size: UnsafePointer<Int64>?, _ count: Int64, _ alignCorners: Int32
) -> sn_tensor? {
  make { try tensor(theta).affineGrid(integers(size, count), alignCorners: alignCorners != 0) }
}

@c(sn_fractional_max_pool) @implementation
public func sn_fractional_max_pool(
  _ x: sn_tensor?, _ kernel: UnsafePointer<Int64>?, _ kernelCount: Int64, _ size: UnsafePointer<Int64>?,
  _ count: Int64, _ samples: sn_tensor?
) -> sn_list? {
  makeList {
    let (values, indices) = try tensor(x).fractionalMaxPool(
      kernel: integers(kernel, kernelCount), size: integers(size, count), samples: optionalTensor(samples))
    return [values, indices]
  }
}

@c(sn_embedding_bag) @implementation
public func sn_embedding_bag(
  _ table: sn_tensor?, _ indices: sn_tensor?, _ offsets: sn_tensor?, _ mode: Int32, _ weights: sn_tensor?,
  _ hasPadding: Int32, _ padding: Int64, _ maxNorm: Double, _ normType: Double, _ scaleByFrequency: Int32,
  _ includesLast: Int32
) -> sn_tensor? {
  make {
    guard let mode = BagMode(rawValue: mode) else {
      throw SwiftNetError(.value, "mode has to be one of sum, mean or max")
    }
    return try tensor(table).embeddingBag(
      try tensor(indices), offsets: optionalTensor(offsets), mode: mode, weights: optionalTensor(weights),
      padding: hasPadding != 0 ? Int(padding) : nil, maxNorm: maxNorm < 0 ? nil : maxNorm, normType: normType,
      scaleByFrequency: scaleByFrequency != 0, includesLast: includesLast != 0)
  }
}

@c(sn_ctc_loss) @implementation
public func sn_ctc_loss(
  _ logs: sn_tensor?, _ targets: sn_tensor?, _ inputLengths: UnsafePointer<Int64>?, _ inputCount: Int64,
  _ targetLengths: UnsafePointer<Int64>?, _ targetCount: Int64, _ blank: Int64, _ reduction: Int32,
  _ zeroInfinity: Int32
) -> sn_tensor? {
  make {
    try tensor(logs).ctcLoss(
      try tensor(targets), inputLengths: integers(inputLengths, inputCount),
      targetLengths: integers(targetLengths, targetCount), blank: Int(blank), reduction: try lossReduction(reduction),
      zeroInfinity: zeroInfinity != 0)
  }
}

@c(sn_deepmar_weights) @implementation
public func sn_deepmar_weights(_ rates: sn_tensor?, _ alpha: Double) -> sn_list? {
  makeList {
    let (positive, negative) = try tensor(rates).deepMARWeights(alpha: alpha)
    return [positive, negative]
  }
}

@c(sn_weighted_labels) @implementation
public func sn_weighted_labels(
  _ target: sn_tensor?, _ positive: sn_tensor?, _ negative: sn_tensor?
) -> sn_tensor? {
  make { try tensor(target).weightedLabels(positive: try tensor(positive), negative: try tensor(negative)) }
}
