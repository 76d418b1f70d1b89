/// The share of samples whose class is among the k classes with the greatest logits, for each k of "topk". Samples with
/// the label "ignore_index" do not count. Results: "top1", "top5", …
public final class Accuracy: Metric, ModuleFamily {
  static let schemas = [
    (name: "Accuracy", schema: ModuleSchema(optional: ["topk": 1, "ignore_index": nil]))
  ]

  public override func configure() throws {
    let ks = try ints("topk")
    try require(
      !ks.isEmpty && ks.allSatisfy { $0 > 0 }, .value, "topk must be positive, but got \(Shape.describe(ks))")
  }

  public override func build(_ dtype: DType) throws {
    try addCounts("correct", [try ints("topk").count])
    try addCounts("total", [])
  }

  public override func update(_ output: Tensor, _ target: Tensor) throws {
    let labels = try target.labels("Accuracy", "target")
    let ignored = try optionalInt("ignore_index").map(Int64.init)
    let ks = try ints("topk")
    var correct = [Int](repeating: 0, count: ks.count)
    var total = 0
    if ks == [1] {
      let predicted = try output.classes(for: target, "Accuracy").labels("Accuracy", "output")
      for (guess, label) in zip(predicted, labels) where label != ignored {
        total += 1
        if guess == label { correct[0] += 1 }
      }
    } else {
      _ = try output.classes(for: target, "Accuracy")
      try require(
        output.rank == target.rank + 1, .value, "Accuracy: for topk > 1, output must be logits (N, C, …)")
      let classes = output.shape[1]
      let scores = try output.movedim([1], [-1]).doubles()
      for (row, label) in labels.enumerated() where label != ignored {
        try require(
          label >= 0 && label < classes, .index, "Accuracy: label \(label) is out of range for \(classes) classes")
        total += 1
        let own = scores[row * classes + Int(label)]
        var better = own.isNaN ? classes : 0
        for j in 0..<classes where j != label {
          let score = scores[row * classes + j]
          if score > own || score.isNaN || (score == own && j < label) { better += 1 }
        }
        for (index, k) in ks.enumerated() where better < k { correct[index] += 1 }
      }
    }
    try add("correct", correct.map(Int64.init), [ks.count])
    try add("total", [Int64(total)], [])
  }

  public override func results() throws -> [(name: String, value: Tensor)] {
    let ks = try ints("topk")
    let (correct, total) = (try counts("correct", [ks.count]).doubles(), try counts("total", []).item().double)
    return try zip(ks, correct).map {
      ("top\($0)", try tensor([ratio($1, total, otherwise: .nan)]))
    }
  }
}

/// How often each class was taken for which: rows are true classes, columns predicted ones. Everything that can be said
/// of classes one by one follows:
///
/// - "accuracy", over all samples; "class_accuracy" (recall) and its mean over the classes that occur;
/// - "precision", "recall", "f1" for each class, 0 where undefined, and their means over the classes that occur;
/// - "iou" = |X ∩ Y| / |X ∪ Y| and "dice" = 2 |X ∩ Y| / (|X| + |Y|) for each class, NaN where neither occurs, and their
///   means over the others.
public final class ConfusionMatrix: Metric, ModuleFamily {
  static let schemas = [
    (name: "ConfusionMatrix", schema: ModuleSchema("num_classes", optional: ["ignore_index": nil]))
  ]

  public override func configure() throws {
    let classes = try requireCount("num_classes")
    try require(classes <= 1 << 13, .value, "ConfusionMatrix: \(classes) classes are too many")
  }

  public override func build(_ dtype: DType) throws {
    let classes = try int("num_classes")
    try addCounts("matrix", [classes, classes])
  }

  public override func update(_ output: Tensor, _ target: Tensor) throws {
    let classes = try int("num_classes")
    let ignored = try optionalInt("ignore_index").map(Int64.init)
    let predicted = try output.classes(for: target, "ConfusionMatrix").labels("ConfusionMatrix", "output")
    let labels = try target.labels("ConfusionMatrix", "target")
    // Counted aside, so that a wrong label changes nothing.
    var fresh = [Int64](repeating: 0, count: classes * classes)
    for (guess, label) in zip(predicted, labels) where label != ignored {
      try require(
        label >= 0 && label < classes && guess >= 0 && guess < classes, .index,
        "ConfusionMatrix: \(label < 0 || label >= classes ? "label \(label)" : "prediction \(guess)") is out of range "
          + "for \(classes) classes" + (ignored == nil ? "; ignore_index leaves out a label" : ""))
      fresh[Int(label) * classes + Int(guess)] += 1
    }
    try add("matrix", fresh, [classes, classes])
  }

  public override func results() throws -> [(name: String, value: Tensor)] {
    let n = try int("num_classes")
    let matrix = try counts("matrix", [n, n]).doubles()
    var hits = [Double](repeating: 0, count: n)
    var (actual, predicted) = (hits, hits)
    for row in 0..<n {
      hits[row] = matrix[row * n + row]
      for column in 0..<n {
        actual[row] += matrix[row * n + column]
        predicted[column] += matrix[row * n + column]
      }
    }
    let occurs = (0..<n).map { actual[$0] + predicted[$0] > 0 }
    func mean(_ values: [Double]) -> Double { meanOfDefined((0..<n).map { occurs[$0] ? values[$0] : .nan }) }
    let precision = (0..<n).map { ratio(hits[$0], predicted[$0]) }
    let recall = (0..<n).map { ratio(hits[$0], actual[$0]) }
    let f1 = (0..<n).map { ratio(2 * hits[$0], actual[$0] + predicted[$0]) }
    let iou = (0..<n).map { ratio(hits[$0], actual[$0] + predicted[$0] - hits[$0], otherwise: .nan) }
    let dice = (0..<n).map { ratio(2 * hits[$0], actual[$0] + predicted[$0], otherwise: .nan) }
    let classAccuracy = (0..<n).map { ratio(hits[$0], actual[$0], otherwise: .nan) }
    func perClass(_ values: [Double]) throws -> Tensor { try tensor(values, [n]) }
    return [
      ("matrix", try counts("matrix", [n, n]).clone()),
      ("accuracy", try tensor([ratio(hits.reduce(0, +), actual.reduce(0, +), otherwise: .nan)])),
      ("class_accuracy", try perClass(classAccuracy)),
      ("mean_class_accuracy", try tensor([meanOfDefined(classAccuracy)])),
      ("precision", try perClass(precision)), ("mean_precision", try tensor([mean(precision)])),
      ("recall", try perClass(recall)), ("mean_recall", try tensor([mean(recall)])),
      ("f1", try perClass(f1)), ("mean_f1", try tensor([mean(f1)])),
      ("iou", try perClass(iou)), ("miou", try tensor([meanOfDefined(iou)])),
      ("dice", try perClass(dice)), ("mean_dice", try tensor([meanOfDefined(dice)])),
    ]
  }
}

/// Precision, recall and F1 of many labels per sample, overall (OP, OR, OF1: over all decisions) and per class (CP, CR,
/// CF1: means over the classes, and the harmonic mean of those). A label is predicted if its logit reaches "threshold",
/// with "topk" only if it is among so many greatest of its sample besides. Targets are 0 and 1, or -1, 0 and 1 with
/// "difficult_examples": 1 is there, -1 is not, 0 is difficult and counts as not there.
public final class MultiLabelScores: Metric, ModuleFamily {
  static let schemas = [
    (
      name: "MultiLabelScores",
      schema: ModuleSchema("num_classes", optional: ["threshold": 0.0, "topk": nil, "difficult_examples": false])
    )
  ]

  public override func configure() throws {
    _ = try requireCount("num_classes")
    if let k = try optionalInt("topk") {
      try require(k > 0, .value, "topk must be positive, but got \(k)")
    }
  }

  public override func build(_ dtype: DType) throws {
    let classes = try int("num_classes")
    for name in ["correct", "predicted", "actual"] { try addCounts(name, [classes]) }
  }

  public override func update(_ output: Tensor, _ target: Tensor) throws {
    let classes = try int("num_classes")
    try requireLabels(output, target, classes, difficult: try bool("difficult_examples"))
    let (scores, truth) = (try output.doubles(), try target.doubles())
    let (threshold, k) = (try double("threshold"), try optionalInt("topk"))
    var sums = [[Int64]](repeating: [Int64](repeating: 0, count: classes), count: 3)
    for row in 0..<output.shape[0] {
      let own = scores[row * classes..<(row + 1) * classes]
      var least = threshold
      if let k, k < classes {
        // Ties at the k-th place all count.
        least = max(least, own.sorted(by: >)[k - 1])
      }
      for (column, score) in own.enumerated() {
        let (guessed, there) = (score >= least, truth[row * classes + column] == 1)
        if guessed && there { sums[0][column] += 1 }
        if guessed { sums[1][column] += 1 }
        if there { sums[2][column] += 1 }
      }
    }
    for (name, values) in zip(["correct", "predicted", "actual"], sums) { try add(name, values, [classes]) }
  }

  public override func results() throws -> [(name: String, value: Tensor)] {
    let shape = [try int("num_classes")]
    let (correct, predicted, actual) = (
      try counts("correct", shape).doubles(), try counts("predicted", shape).doubles(),
      try counts("actual", shape).doubles()
    )
    func f1(_ p: Double, _ r: Double) -> Double { ratio(2 * p * r, p + r) }
    let precision = ratio(correct.reduce(0, +), predicted.reduce(0, +))
    let recall = ratio(correct.reduce(0, +), actual.reduce(0, +))
    let classPrecision = meanOfDefined(zip(correct, predicted).map { ratio($0, $1) })
    let classRecall = meanOfDefined(zip(correct, actual).map { ratio($0, $1, otherwise: .nan) })
    return [
      ("OP", try tensor([precision])), ("OR", try tensor([recall])), ("OF1", try tensor([f1(precision, recall)])),
      ("CP", try tensor([classPrecision])), ("CR", try tensor([classRecall])),
      ("CF1", try tensor([f1(classPrecision, classRecall)])),
    ]
  }
}

extension Metric {
  /// Checks scores (N, C) and targets of the same shape with values 0 and 1, or -1, 0 and 1.
  final func requireLabels(_ output: Tensor, _ target: Tensor, _ classes: Int, difficult: Bool) throws {
    try require(
      output.rank == 2 && output.shape == target.shape && output.shape[1] == classes, .value,
      "\(typeName): output and target must be (N, \(classes)), but have shapes \(Shape.describe(output.shape)) and "
        + Shape.describe(target.shape))
    for value in try target.doubles() where !(value == 1 || value == 0 || (difficult && value == -1)) {
      throw SwiftNetError.value(
        "\(typeName): targets must be 0 or 1"
          + (difficult ? ", or -1 (not there; 0 is difficult)" : "; with difficult_examples=True also -1")
          + ", but got \(value)")
    }
  }
}
