import KernelTypes

/// What the losses of overlap need to know of a pair: sums over the positions of each class, (C), or (N, C) image by
/// image.
struct OverlapTotals {
  /// Σ p·y
  let both: Tensor
  /// Σ p
  let predicted: Tensor
  /// Σ y
  let present: Tensor
  /// The sum of the binary cross entropies, where it came for nothing.
  var entropy: Tensor?
}

extension SegmentationPair {
  /// - Parameter entropy: whether the sum of the entropies is wanted too, where one pass gives it.
  func totals(entropy: Bool = false) throws -> OverlapTotals {
    let entropy = entropy && options.fromLogits
    if options.mode != .multiclass || !options.fromLogits, counted == nil, let sums = try fusedTotals(entropy) {
      return OverlapTotals(
        both: try sums.select(0, 0), predicted: try sums.select(0, 1), present: try sums.select(0, 2),
        entropy: entropy ? try sums.select(0, 3) : nil)
    }
    let p = try probabilities()
    return OverlapTotals(both: try total(p * truth), predicted: try total(p), present: try total(truth))
  }

  /// The sums one behind the other, (3, C) or (3, N, C), with the entropies 4 instead of 3, from one pass over scores and
  /// truth, with one pass backward.
  private func fusedTotals(_ entropy: Bool) throws -> Tensor? {
    let (fromLogits, perImage, lane) = (options.fromLogits, options.perImage, scores.dtype.lane.rawValue)
    let (images, classes) = (scores.shape[0], scores.shape[1])
    let rows = classes == 1 && !perImage ? 1 : images * classes
    // Rows of a few elements are not worth a call each.
    guard scores.isContiguous, rows == 1 || scores.shape[2] >= 32, let pair = LossPair(scores, truth) else {
      return nil
    }
    let width = entropy ? 4 : 3
    let kernel = fromLogits ? kernels.loss.overlapSums[lane] : kernels.loss.probabilitySums[lane]
    var settings = BinaryLossSettings()
    settings.countsEntropy = entropy
    let found = try pair.sums(kernel, width, rows: rows, settings)
    let outputs = perImage ? rows : classes
    var values = [Double](repeating: 0, count: width * outputs)
    for row in 0..<rows {
      for k in 0..<width { values[k * outputs + row % outputs] += found[row * width + k] }
    }
    let out = try Tensor(empty: [width] + (perImage ? [images, classes] : [classes]), dtype: scores.dtype)
    try out.fill(values)
    return try out.recorded("OverlapSums", scores, saving: [scores, truth]) { context in
      let (x, y) = (try context.saved(0), try context.saved(1))
      if context.createsGraph {
        return try context.gradients(
          ofFormula: { linked in
            guard let x = linked[0] else { throw SwiftNetError.runtime("overlap loss: scores missing") }
            return try SegmentationPair.totals(x, y, fromLogits, perImage, entropy)
          }, [x])
      }
      let slopes = try context.grad.doubles()
      if !fromLogits {
        let shape = perImage ? [images, classes, 1] : [1, classes, 1]
        let grad = try context.grad
        return [try y * grad.select(0, 0).reshape(shape) + grad.select(0, 1).reshape(shape)]
      }
      guard let pair = LossPair(x, y) else { throw SwiftNetError.runtime("overlap loss: the target has changed") }
      let gradient = try pair.gradient(kernels.loss.overlapGradient[lane], rows: rows) { row in
        var settings = BinaryLossSettings(gradient: entropy ? slopes[3 * outputs + row % outputs] : 0)
        settings.both = slopes[row % outputs]
        settings.predicted = slopes[outputs + row % outputs]
        return settings
      }
      return [gradient]
    }
  }

  /// The same in differentiable operations.
  private static func totals(
    _ x: Tensor, _ y: Tensor, _ fromLogits: Bool, _ perImage: Bool, _ entropy: Bool
  ) throws -> Tensor {
    let dims = perImage ? [2] : [0, 2]
    let p = fromLogits ? try x.sigmoid() : x
    var sums = [try (p * y).sum(dims), try p.sum(dims), try y.sum(dims)]
    if entropy { sums.append(try x.binaryCrossEntropyWithLogits(y, reduction: .none).sum(dims)) }
    return try Tensor.stack(sums)
  }

  /// The mean of the binary cross entropies over the positions that count.
  func meanEntropy(_ shape: [Int]) throws -> Tensor {
    if counted == nil, options.fromLogits { return try scores.binaryCrossEntropyWithLogits(truth, reduction: .mean) }
    return try combined(positions: crossEntropies(), .mean, shape: shape)
  }
}

extension Tensor {
  /// Writes numbers into a contiguous tensor of floats.
  fileprivate func fill(_ values: [Double]) throws {
    let target = try mutablePointer()
    for (i, value) in values.enumerated() {
      if dtype == .float32 {
        target.storeBytes(of: Float(value), toByteOffset: 4 * i, as: Float.self)
      } else {
        target.storeBytes(of: value, toByteOffset: 8 * i, as: Double.self)
      }
    }
  }
}
