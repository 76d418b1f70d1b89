/// A line search to the strong Wolfe conditions (Nocedal and Wright, Numerical Optimization, algorithms 3.5 and 3.6):
/// first outward until an interval holds a good step, then inward by cubic interpolation. Bounds and tolerances are
/// those of `torch.optim.LBFGS`.
struct WolfeSearch {
  /// The function along the line, t steps from the start.
  struct Point {
    var t: Double
    var loss: Double
    var slope: Double
    var gradient: Tensor
  }

  /// Where the search starts.
  let origin: Point
  /// The greatest magnitude in the direction.
  let reach: Double
  /// How much of the promised decrease has to come, and how much of the slope may remain.
  let decrease = 1e-4
  let curvature = 0.9
  let tolerance: Double
  let limit: Int

  /// A good point, and how often the function was evaluated. `evaluate` gives the point t steps along the line.
  func run(
    from t: Double, _ evaluate: (Double) throws -> Point
  ) throws -> (point: Point, evaluations: Int) {
    var before = origin
    var point = try evaluate(t)
    var rounds = 0
    var interval: (Point, Point)?
    while rounds < limit {
      let overshoots = isTooHigh(point) || (rounds > 1 && point.loss >= before.loss)
      if !overshoots, isFlat(point) { return (point, rounds + 1) }
      if overshoots || point.slope >= 0 {
        interval = (before, point)
        break
      }
      let next = WolfeSearch.cubicMinimum(
        before, point, from: point.t + 0.01 * (point.t - before.t), to: point.t * 10)
      before = point
      point = try evaluate(next)
      rounds += 1
    }
    return try narrow(interval ?? (origin, point), &rounds, evaluate)
  }

  /// The decrease is less than promised.
  private func isTooHigh(_ point: Point) -> Bool { point.loss > origin.loss + decrease * point.t * origin.slope }

  private func isFlat(_ point: Point) -> Bool { abs(point.slope) <= -curvature * origin.slope }

  /// Makes the interval smaller until its lower end is good enough.
  private func narrow(
    _ interval: (Point, Point), _ rounds: inout Int, _ evaluate: (Double) throws -> Point
  ) throws -> (Point, Int) {
    var ends = [interval.0, interval.1]
    var low = ends[0].loss <= ends[1].loss ? 0 : 1
    var stalled = false
    var isDone = false
    while !isDone, rounds < limit {
      let (left, right) = (min(ends[0].t, ends[1].t), max(ends[0].t, ends[1].t))
      if (right - left) * reach < tolerance { break }
      var t = WolfeSearch.cubicMinimum(ends[0], ends[1], from: left, to: right)
      // Two steps in a row close to an end would hardly shrink the interval: the second keeps a tenth away.
      let margin = 0.1 * (right - left)
      if min(right - t, t - left) < margin {
        if stalled || t >= right || t <= left {
          t = abs(t - right) < abs(t - left) ? right - margin : left + margin
          stalled = false
        } else {
          stalled = true
        }
      } else {
        stalled = false
      }
      let point = try evaluate(t)
      rounds += 1
      if isTooHigh(point) || point.loss >= ends[low].loss {
        ends[1 - low] = point
        low = ends[0].loss <= ends[1].loss ? 0 : 1
        continue
      }
      if isFlat(point) {
        isDone = true
      } else if point.slope * (ends[1 - low].t - ends[low].t) >= 0 {
        ends[1 - low] = ends[low]
      }
      ends[low] = point
    }
    return (ends[low], rounds + 1)
  }

  /// The minimum of the cubic through two points with their slopes, within bounds; their middle where there is none.
  static func cubicMinimum(_ a: Point, _ b: Point, from least: Double, to greatest: Double) -> Double {
    let (left, right) = a.t <= b.t ? (a, b) : (b, a)
    let mean = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    let square = mean * mean - a.slope * b.slope
    guard square >= 0 else { return (least + greatest) / 2 }
    let root = square.squareRoot()
    let t =
      right.t - (right.t - left.t) * ((right.slope + root - mean) / (right.slope - left.slope + 2 * root))
    return min(max(t, least), greatest)
  }
}
