/// How far numbers are from what they should be: "mae" = mean |x - y|, "mse" = mean (x - y)², "rmse" = √mse.
public final class RegressionErrors: Metric, ModuleFamily {
  static let schemas = [(name: "RegressionErrors", schema: ModuleSchema())]

  public override func build(_ dtype: DType) throws {
    try addCounts("absolute", [], .float64)
    try addCounts("squared", [], .float64)
    try addCounts("total", [])
  }

  public override func update(_ output: Tensor, _ target: Tensor) throws {
    try require(
      output.shape == target.shape, .value,
      "RegressionErrors: output and target must have the same shape, but have \(Shape.describe(output.shape)) and "
        + Shape.describe(target.shape))
    var (absolute, squared) = (0.0, 0.0)
    for (x, y) in zip(try output.doubles(), try target.doubles()) {
      absolute += abs(x - y)
      squared += (x - y) * (x - y)
    }
    for (name, value) in [("absolute", absolute), ("squared", squared)] {
      let sum = try counts(name, [], .float64)
      try sum.fillInPlace(.float(try sum.item().double + value))
    }
    try add("total", [Int64(output.count)], [])
  }

  public override func results() throws -> [(name: String, value: Tensor)] {
    let total = try counts("total", []).item().double
    let mae = ratio(try counts("absolute", [], .float64).item().double, total, otherwise: .nan)
    let mse = ratio(try counts("squared", [], .float64).item().double, total, otherwise: .nan)
    return [("mae", try tensor([mae])), ("mse", try tensor([mse])), ("rmse", try tensor([mse.squareRoot()]))]
  }
}
