/// How the classes of a segmentation relate to each other.
public enum SegmentationMode: String, Sendable {
  /// One class or none: a score for each position.
  case binary
  /// Exactly one of C classes at each position.
  case multiclass
  /// Any number of C classes at each position.
  case multilabel
}

/// What the segmentation losses have in common.
public struct SegmentationOptions: Sendable {
  public var mode = SegmentationMode.binary
  /// Whether predictions are unnormalised; otherwise they are probabilities.
  public var fromLogits = true
  /// A value of the target that says "do not count this position".
  public var ignoreIndex: Int?
  /// Statistics of each image on its own, instead of the whole batch together.
  public var perImage = false
  /// The classes that count; all if nil.
  public var classes: [Int]?
  /// Classes that do not occur in the target have a loss of 0.
  public var skipAbsent = false

  public init() {}
}

/// Predictions and truth side by side, each of shape (N, C, positions); C is 1 in binary mode.
struct SegmentationPair {
  /// Logits or probabilities, as they were given.
  let scores: Tensor
  /// 1 where the class is there, 0 elsewhere and where the position is ignored.
  let truth: Tensor
  /// 1 where the position counts, 0 where it is ignored, (N, 1 or C, positions); nil if all count.
  let counted: Tensor?
  let options: SegmentationOptions

  init(_ scores: Tensor, _ target: Tensor, _ options: SegmentationOptions) throws {
    try require(scores.dtype.isFloatingPoint, .type, "expected floating-point predictions, got \(scores.dtype.name)")
    self.options = options
    let wide = scores.dtype.lane.dtype == scores.dtype ? scores : try scores.to(.float32)
    switch options.mode {
    case .binary:
      try SegmentationPair.checkSizes(scores.shape, target.shape)
      let images = scores.rank > 1 ? scores.shape[0] : 1
      let shape = [images, 1, images == 0 ? 0 : scores.count / images]
      self.scores = try wide.reshape(shape)
      (truth, counted) = try SegmentationPair.marked(try target.reshape(shape), wide.dtype, options.ignoreIndex)
    case .multilabel:
      try SegmentationPair.checkClasses(scores)
      try require(target.shape == scores.shape, .value, SegmentationPair.sizes(scores.shape, target.shape))
      let shape = try SegmentationPair.flat(scores.shape)
      self.scores = try wide.reshape(shape)
      (truth, counted) = try SegmentationPair.marked(try target.reshape(shape), wide.dtype, options.ignoreIndex)
    case .multiclass:
      try SegmentationPair.checkClasses(scores)
      let shape = try SegmentationPair.flat(scores.shape)
      self.scores = try wide.reshape(shape)
      if target.shape == scores.shape, target.dtype.isFloatingPoint {
        // Shares of the classes at each position.
        truth = try target.reshape(shape).to(wide.dtype)
        counted = nil
        return
      }
      try require(
        target.shape == [scores.shape[0]] + scores.shape.dropFirst(2), .value,
        SegmentationPair.sizes(scores.shape, target.shape))
      try require(
        !target.dtype.isFloatingPoint, .type,
        "expected class indices of an integer dtype as target, got \(target.dtype.name)")
      let places = try target.reshape([shape[0], 1, shape[2]]).to(.int64)
      (truth, counted) = try SegmentationPair.oneHot(places, shape[1], wide.dtype, options.ignoreIndex)
    }
  }

  /// (N, C, …) as (N, C, positions).
  private static func flat(_ shape: [Int]) throws -> [Int] {
    [shape[0], shape[1], try Shape.count(Array(shape.dropFirst(2)))]
  }

  private static func checkClasses(_ scores: Tensor) throws {
    try require(
      scores.rank >= 2, .value,
      "expected predictions of shape (N, C, …), got \(Shape.describe(scores.shape))")
  }

  private static func sizes(_ x: [Int], _ y: [Int]) -> String {
    "Target size (\(Shape.size(y))) must be the same as input size (\(Shape.size(x)))"
  }

  /// Equal up to dimensions of size one: (N, 1, H, W) goes with (N, H, W).
  private static func checkSizes(_ x: [Int], _ y: [Int]) throws {
    try require(x.filter { $0 != 1 } == y.filter { $0 != 1 }, .value, sizes(x, y))
  }

  private static func marked(_ target: Tensor, _ dtype: DType, _ ignoreIndex: Int?) throws -> (Tensor, Tensor?) {
    guard let ignoreIndex else { return (try target.to(dtype), nil) }
    let counted = try noGrad { try target.compare(.ne, Double(ignoreIndex)).to(dtype) }
    return (try whereSelect(try counted.compare(.ne, 0), .tensor(try target.to(dtype)), .scalar(0.0)), counted)
  }

  private static func oneHot(
    _ places: Tensor, _ classes: Int, _ dtype: DType, _ ignoreIndex: Int?
  ) throws -> (Tensor, Tensor?) {
    let counted = try ignoreIndex.map { try Binary.apply(.ne, .tensor(places), .scalar(.int(Int64($0)))) }
    var wrong = try Binary.apply(
      .logicalOr, .tensor(Binary.apply(.lt, .tensor(places), .scalar(0))),
      .tensor(Binary.apply(.ge, .tensor(places), .scalar(.int(Int64(classes))))))
    if let counted { wrong = try Binary.apply(.logicalAnd, .tensor(wrong), .tensor(counted)) }
    try require(
      try wrong.any().item().isZero, .index,
      "the target has a class that is out of bounds: there are \(classes) classes")
    let numbers = try Tensor.arange(0, .int(Int64(classes)), dtype: .int64).reshape([1, classes, 1])
    var truth = try Binary.apply(.eq, .tensor(places), .tensor(numbers))
    if let counted { truth = try Binary.apply(.logicalAnd, .tensor(truth), .tensor(counted)) }
    return (try truth.to(dtype), try counted?.to(dtype))
  }

  /// Probabilities of the classes, 0 where the position is ignored.
  func probabilities() throws -> Tensor {
    var p = scores
    if options.fromLogits { p = options.mode == .multiclass ? try scores.softmax(1) : try scores.sigmoid() }
    return try counted.map { try p * $0 } ?? p
  }

  /// Binary cross entropy at each position and class, also where it is ignored.
  func crossEntropies(smoothing: Double = 0, positiveWeight: Tensor? = nil) throws -> Tensor {
    let soft = smoothing == 0 ? truth : try truth * .float(1 - 2 * smoothing) + .float(smoothing)
    if !options.fromLogits {
      try require(positiveWeight == nil, .value, "pos_weight needs logits")
      return try scores.binaryCrossEntropy(soft, reduction: .none)
    }
    let weight = try positiveWeight.map { $0.count > 1 ? try $0.reshape([$0.count, 1]) : $0 }
    return try scores.binaryCrossEntropyWithLogits(soft, positiveWeight: weight, reduction: .none)
  }

  /// Sums over the positions that a statistic belongs together: (C), or (N, C) image by image.
  func total(_ values: Tensor) throws -> Tensor { try values.sum(options.perImage ? [2] : [0, 2]) }

  /// The losses of classes (and images) as one: those that count, weighted, and reduced.
  func combined(_ losses: Tensor, weight: Tensor?, _ reduction: LossReduction) throws -> Tensor {
    var losses = losses
    let axis = losses.rank - 1
    let count = losses.shape[axis]
    if options.skipAbsent {
      let present = try noGrad { try total(truth).compare(.gt, 0) }
      losses = try whereSelect(present, .tensor(losses), .scalar(0.0))
    }
    var weight = try weight?.to(losses.dtype)
    if let weight {
      try require(
        weight.shape == [count], .value,
        "expected a weight for each of \(count) classes, got "
          + Shape.describe(weight.shape))
    }
    if let classes = options.classes {
      let chosen = try Tensor(empty: [classes.count], dtype: .int64)
      let at = try chosen.mutablePointer().assumingMemoryBound(to: Int64.self)
      for (i, c) in classes.enumerated() {
        try require(c >= 0 && c < count, .index, "class \(c) is out of bounds: there are \(count) classes")
        at[i] = Int64(c)
      }
      losses = try losses.indexSelect(axis, chosen)
      weight = try weight?.indexSelect(0, chosen)
    }
    guard let weight else { return try losses.reduced(reduction) }
    let weighted = try losses * weight
    if reduction != .mean { return try weighted.reduced(reduction) }
    let images = losses.rank == 2 ? Double(losses.shape[0]) : 1
    return try weighted.sum() / (weight.sum() * .float(images))
  }

  /// Losses of positions as one; the mean is over those that count. `none` gives them in the given shape.
  func combined(positions losses: Tensor, _ reduction: LossReduction, shape: [Int]) throws -> Tensor {
    guard let counted else { return try (reduction == .none ? losses.reshape(shape) : losses).reduced(reduction) }
    let known = try losses * counted
    switch reduction {
    case .none: return try known.reshape(shape)
    case .mean: return try known.sum() / counted.expand(losses.shape).sum().atLeast(1)
    default: return try known.reduced(reduction)
    }
  }
}
