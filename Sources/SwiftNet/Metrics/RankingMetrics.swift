/// Metrics that need all scores: how well they put what is there before what is not.
public class RankingMetric: Metric {
  fileprivate func checkUpdate(_ output: Tensor, _ target: Tensor) throws {}

  public override func build(_ dtype: DType) throws {
    try addCounts("count", [])
    try addCounts("scores", [0, try requireCount("num_classes")], .float64)
    try addCounts("targets", [0, try int("num_classes")], .float64)
  }

  public override func resetParameters() throws {
    try super.resetParameters()
    for name in ["scores", "targets"] {
      let buffer = try counts(name)
      try buffer.setData(try Tensor.zeros([0, buffer.shape[1]], dtype: .float64))
    }
  }

  public override func update(_ output: Tensor, _ target: Tensor) throws {
    var (output, target) = (output, target)
    if output.rank == 1 && target.rank == 1 { (output, target) = (try output.unsqueeze(1), try target.unsqueeze(1)) }
    try checkUpdate(output, target)
    let number = try counts("count")
    let count = Int(try number.item().int64)
    let rows = output.shape[0]
    for (name, values) in [("scores", output), ("targets", target)] {
      let buffer = try counts(name)
      if buffer.shape[0] < count + rows {
        // Room for twice as many, so that the copies do not add up.
        let larger = try Tensor.zeros([max(2 * buffer.shape[0], count + rows), buffer.shape[1]], dtype: .float64)
        if count > 0 { try larger.narrow(0, 0, count).copyInPlace(buffer.narrow(0, 0, count)) }
        try buffer.setData(larger)
      }
      if rows > 0 { try buffer.detach().narrow(0, count, rows).copyInPlace(values) }
    }
    try number.fillInPlace(.int(Int64(count + rows)))
  }

  /// Scores and targets of each class.
  fileprivate func columns() throws -> [(scores: [Double], targets: [Double])] {
    let count = Int(try counts("count").item().int64)
    let (scores, targets) = (
      try counts("scores").narrow(0, 0, count).transposed().doubles(),
      try counts("targets").narrow(0, 0, count).transposed().doubles()
    )
    return (0..<(try counts("scores").shape[1])).map {
      (Array(scores[$0 * count..<($0 + 1) * count]), Array(targets[$0 * count..<($0 + 1) * count]))
    }
  }
}

/// For each class, the mean, over the samples where it is there, of the precision among the samples with at least that
/// score ("ap"), and the mean over the classes that occur ("map"). Targets are 0 and 1; with "difficult_examples" -1
/// (not there), 1 (there) and 0: difficult, left out of the ranking.
public final class AveragePrecision: RankingMetric, ModuleFamily {
  static let schemas = [
    (
      name: "AveragePrecision",
      schema: ModuleSchema("num_classes", optional: ["difficult_examples": false])
    )
  ]

  fileprivate override func checkUpdate(_ output: Tensor, _ target: Tensor) throws {
    try requireLabels(output, target, try int("num_classes"), difficult: try bool("difficult_examples"))
  }

  public override func results() throws -> [(name: String, value: Tensor)] {
    let difficult = try bool("difficult_examples")
    let values = try columns().map { scores, targets -> Double in
      let order = scores.indices.sorted { scores[$0] > scores[$1] || (scores[$0] == scores[$1] && $0 < $1) }
      var (found, seen, sum) = (0.0, 0.0, 0.0)
      for index in order where !(difficult && targets[index] == 0) {
        seen += 1
        if targets[index] == 1 {
          found += 1
          sum += found / seen
        }
      }
      return ratio(sum, found, otherwise: .nan)
    }
    return [("ap", try tensor(values, [values.count])), ("map", try tensor([meanOfDefined(values)]))]
  }
}

/// The area under the curve of the true positive rate over the false positive rate: the probability that a sample where
/// the class is there has a greater score than one where it is not, ties counting half. Results: "auc" for each class,
/// NaN where there is only one kind of sample, and "mean".
public final class AUC: RankingMetric, ModuleFamily {
  static let schemas = [(name: "AUC", schema: ModuleSchema(optional: ["num_classes": 1]))]

  fileprivate override func checkUpdate(_ output: Tensor, _ target: Tensor) throws {
    try requireLabels(output, target, try int("num_classes"), difficult: false)
  }

  public override func results() throws -> [(name: String, value: Tensor)] {
    let values = try columns().map { scores, targets -> Double in
      let order = scores.indices.sorted { scores[$0] < scores[$1] }
      var (rankSum, positives) = (0.0, 0.0)
      var start = 0
      while start < order.count {
        var end = start + 1
        while end < order.count && scores[order[end]] == scores[order[start]] { end += 1 }
        // Equal scores share the mean of their ranks start + 1 … end.
        let rank = Double(start + 1 + end) / 2
        for index in order[start..<end] where targets[index] == 1 {
          rankSum += rank
          positives += 1
        }
        start = end
      }
      let negatives = Double(order.count) - positives
      return ratio(rankSum - positives * (positives + 1) / 2, positives * negatives, otherwise: .nan)
    }
    return [("auc", try tensor(values, [values.count])), ("mean", try tensor([meanOfDefined(values)]))]
  }
}
