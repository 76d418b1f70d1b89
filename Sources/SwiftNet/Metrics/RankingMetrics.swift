/// Metrics that need all scores: how well they put what is there before what is not.
public class RankingMetric: Metric {
  fileprivate func checkUpdate(_ output: Tensor, _ target: Tensor) throws {}

  public override func configure() throws { _ = try requireCount("num_classes") }

  public override func build(_ dtype: DType) throws {
    try addCounts("count", [])
    for name in ["scores", "targets"] { try addCounts(name, [0, try int("num_classes")], .float64) }
  }

  /// One of the two tables, with room for more rows than are used.
  private func table(_ name: String) throws -> Tensor {
    try counts(name, [buffer(name)?.shape.first ?? 0, try int("num_classes")], .float64)
  }

  /// Rows in use.
  private func rowCount() throws -> Int {
    let count = try counts("count", []).item().int64
    let room = try Int64(min(table("scores").shape[0], table("targets").shape[0]))
    try require(count >= 0 && count <= room, .value, "\(typeName): count is \(count), but there are \(room) rows")
    return Int(count)
  }

  public override func resetParameters() throws {
    try super.resetParameters()
    for name in ["scores", "targets"] {
      try buffer(name)?.setData(try Tensor.zeros([0, try int("num_classes")], dtype: .float64))
    }
  }

  public override func update(_ output: Tensor, _ target: Tensor) throws {
    var (output, target) = (output, target)
    if output.rank == 1 && target.rank == 1 { (output, target) = (try output.unsqueeze(1), try target.unsqueeze(1)) }
    try checkUpdate(output, target)
    let count = try rowCount()
    let rows = output.shape[0]
    for (name, values) in [("scores", output), ("targets", target)] {
      let buffer = try table(name)
      if buffer.shape[0] < count + rows {
        // Room for twice as many, so that the copies do not add up.
        let larger = try Tensor.zeros([max(2 * buffer.shape[0], count + rows), buffer.shape[1]], dtype: .float64)
        if count > 0 { try larger.narrow(0, 0, count).copyInPlace(buffer.narrow(0, 0, count)) }
        try buffer.setData(larger)
      }
      if rows > 0 { try buffer.detach().narrow(0, count, rows).copyInPlace(values) }
    }
    try add("count", [Int64(rows)], [])
  }

  /// Scores and targets of each class.
  fileprivate func columns() throws -> [(scores: [Double], targets: [Double])] {
    let count = try rowCount()
    let (scores, targets) = (
      try table("scores").narrow(0, 0, count).transposed().doubles(),
      try table("targets").narrow(0, 0, count).transposed().doubles()
    )
    return (0..<(try int("num_classes"))).map {
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
