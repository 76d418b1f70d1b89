/// The Lovász extension of the Jaccard loss: a surrogate for intersection over union that is optimised directly
/// (Berman et al., 2018, https://arxiv.org/abs/1705.08790).
extension Tensor {
  /// Of the hinge errors 1 - x·(2y - 1), for logits of one class, or of several classes taken together.
  public func lovaszHingeLoss(
    _ target: Tensor, ignoreIndex: Int? = nil, perImage: Bool = false
  ) throws -> Tensor {
    var options = SegmentationOptions()
    options.ignoreIndex = ignoreIndex
    let pair = try SegmentationPair(self, target, options)
    return try pair.images(perImage).mean { x, y, _ in
      let errors = try (x * (y * 2.0 - 1.0)).negated() + 1.0
      return try errors.lovasz(y, positivePart: true)
    }.to(dtype)
  }

  /// Of the errors |y - p| of softmax probabilities, the mean over the classes.
  ///
  /// - Parameters:
  ///   - classes: those that count; nil: those that occur in the target.
  ///   - fromLogits: otherwise the predictions are probabilities.
  public func lovaszSoftmaxLoss(
    _ target: Tensor, classes: [Int]? = nil, onlyPresent: Bool = true, ignoreIndex: Int? = nil,
    perImage: Bool = false, fromLogits: Bool = true
  ) throws -> Tensor {
    var options = SegmentationOptions()
    options.mode = .multiclass
    options.ignoreIndex = ignoreIndex
    options.fromLogits = fromLogits
    let pair = try SegmentationPair(self, target, options)
    let p = fromLogits ? try pair.scores.softmax(1) : pair.scores
    let chosen = classes ?? Array(0..<pair.scores.shape[1])
    for c in chosen {
      try require(
        c >= 0 && c < pair.scores.shape[1], .index,
        "class \(c) is out of bounds: there are \(pair.scores.shape[1]) classes")
    }
    return try pair.images(perImage, scores: p).mean { p, y, empty in
      var losses: [Tensor] = []
      for c in chosen {
        let (mine, true_) = (try p.select(0, c), try y.select(0, c))
        if onlyPresent, classes == nil, try true_.sum().item().isZero { continue }
        losses.append(try (true_ - mine).unary(.abs).lovasz(true_, positivePart: false))
      }
      if losses.isEmpty { return empty }
      return try Tensor.stack(losses).mean()
    }.to(dtype)
  }

  /// Σ eᵢ·(J(i) - J(i - 1)) over errors e in descending order, J(i) being the Jaccard loss of the first i of them.
  fileprivate func lovasz(_ truth: Tensor, positivePart: Bool) throws -> Tensor {
    if count == 0 { return try sum() }
    let sorted = try sort(0, descending: true)
    let steps = try noGrad { () -> Tensor in
      let y = try truth.gather(0, sorted.indices)
      let total = try y.sum()
      let left = try total - y.cumsum(0)
      let union = try total + (y.negated() + 1.0).cumsum(0)
      let jaccard = try (left / union).negated() + 1.0
      if count == 1 { return jaccard }
      return try Tensor.cat(
        [jaccard.narrow(0, 0, 1), jaccard.narrow(0, 1, count - 1) - jaccard.narrow(0, 0, count - 1)])
    }
    return try ((positivePart ? sorted.values.relu() : sorted.values) * steps).sum()
  }
}

extension SegmentationPair {
  /// Predictions and truth of one group of positions that belong together: (positions) or (C, positions).
  fileprivate struct Group {
    let scores: Tensor
    let truth: Tensor
  }

  fileprivate struct Groups {
    let groups: [Group]

    /// The mean of the groups' losses; the last argument of `body` is a loss of 0 that is still part of the graph.
    func mean(_ body: (Tensor, Tensor, Tensor) throws -> Tensor) throws -> Tensor {
      let losses = try groups.map { group in
        try body(group.scores, group.truth, group.scores.sum() * 0.0)
      }
      if losses.count == 1 { return losses[0] }
      try require(!losses.isEmpty, "the batch is empty")
      return try Tensor.stack(losses).mean()
    }
  }

  /// Each image, or all in one, without the positions that are ignored.
  fileprivate func images(_ perImage: Bool, scores given: Tensor? = nil) throws -> Groups {
    let scores = given ?? self.scores
    let (n, classes, positions) = (scores.shape[0], scores.shape[1], scores.shape[2])
    func group(_ x: Tensor, _ y: Tensor, _ counted: Tensor?) throws -> Group {
      guard let counted else { return Group(scores: x, truth: y) }
      let places = try noGrad { try counted.compare(.ne, 0).nonzero().reshape([-1]) }
      let axis = x.rank - 1
      return Group(scores: try x.indexSelect(axis, places), truth: try y.indexSelect(axis, places))
    }
    let isBinary = options.mode == .binary
    func shaped(_ t: Tensor, _ count: Int) throws -> Tensor {
      try t.reshape(isBinary ? [count] : [classes, count])
    }
    if perImage {
      return Groups(
        groups: try (0..<n).map { i in
          try group(
            try shaped(try scores.select(0, i), positions), try shaped(try truth.select(0, i), positions),
            try counted?.select(0, i).reshape([positions]))
        })
    }
    func joined(_ t: Tensor) throws -> Tensor { try shaped(try t.permute([1, 0, 2]), n * positions) }
    return Groups(
      groups: [try group(try joined(scores), try joined(truth), try counted?.reshape([n * positions]))])
  }
}
