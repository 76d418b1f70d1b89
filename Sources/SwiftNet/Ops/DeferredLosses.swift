import KernelTypes

// Losses written by hand, on operations that wait: sums of a sigmoid, of a truth and of their product, the cross entropy
// of the two, and the gradients that these have in common. Each of the sums asks for the same two tensors, so the first
// one finds all of them, and what flows back to the sigmoid becomes one pass as well.

/// The sums that a pass over scores and a truth has found, as long as neither changes.
struct KnownOverlap {
  fileprivate struct Place: Equatable {
    let contents: Int
    let offset: Int
    let strides: [Int]

    /// nil for memory that others may write to without a word.
    init?(_ tensor: Tensor) {
      if tensor.memory.isShared { return nil }
      contents = tensor.memory.contentsNumber
      offset = tensor.offset
      strides = Shape.squeezed(tensor.shape, tensor.strides)
    }
  }

  fileprivate let x: Place
  fileprivate let y: Place
  fileprivate let dtype: DType
  /// Elements of each row.
  fileprivate let length: Int
  /// p y, p, y and the cross entropy, row by row.
  fileprivate let sums: [Double]

  fileprivate func values(_ k: Int) -> [Double] { stride(from: k, to: sums.count, by: 4).map { sums[$0] } }

  /// The bound of the logarithms of a probability.
  fileprivate static let settings = {
    var settings = BinaryLossSettings()
    settings.bound = 100
    return settings
  }()
}

extension Shape {
  /// The strides of what remains when neighbours that lie in one row of memory are merged.
  fileprivate static func squeezed(_ shape: [Int], _ strides: [Int]) -> [Int] {
    var merged: [Int] = []
    for (d, size) in shape.enumerated() where size != 1 {
      if let last = merged.last, last == strides[d] &* size { merged.removeLast() }
      merged.append(strides[d])
    }
    return merged
  }
}

extension LossPair {
  /// The sums of p y, p, y and the cross entropy in each row, p being the sigmoid of the scores.
  fileprivate func overlap(rows: Int) throws -> [Double] {
    let places = KnownOverlap.Place(x).flatMap { x in KnownOverlap.Place(y).map { (x, $0) } }
    if let known = ThreadState.current.overlap, let (x, y) = places, known.x == x, known.y == y,
      known.dtype == self.x.dtype, known.length * rows == self.x.count
    {
      return known.sums
    }
    let sums = try self.sums(kernels.loss.overlapSums[x.dtype.lane.rawValue], 4, rows: rows, KnownOverlap.settings)
    ThreadState.current.overlap = places.map {
      KnownOverlap(x: $0, y: $1, dtype: x.dtype, length: x.count / rows, sums: sums)
    }
    return sums
  }

  /// The sum of the cross entropies of the sigmoid of the scores, which are cut at ±100.
  func entropyOfSigmoid() throws -> Double {
    if let known = ThreadState.current.overlap, known.dtype == x.dtype, known.length == x.count,
      let a = KnownOverlap.Place(x), let b = KnownOverlap.Place(y), known.x == a, known.y == b
    {
      return known.sums[3]
    }
    return try sums(kernels.loss.entropySums[x.dtype.lane.rawValue], 1, KnownOverlap.settings)[0]
  }
}

extension ElementwiseProgram {
  fileprivate func wholeLeaf(_ source: Source, count: Int) -> Tensor? {
    guard case .leaf(let index) = source, case .tensor(let tensor) = leaves[index], tensor.count == count,
      tensor.dtype == lane.dtype, tensor.isContiguous
    else { return nil }
    return tensor
  }

  /// What a step is the sigmoid of, if it is one of a whole tensor.
  fileprivate func logits(_ source: Source, count: Int) -> Tensor? {
    guard case .step(let index) = source, steps[index].op == .sigmoid else { return nil }
    return wholeLeaf(steps[index].sources[0], count: count)
  }
}

extension Tensor {
  /// Sums of rows of sigmoid(x), sigmoid(x) · y or sigmoid(x) + y, for a program that is nothing else.
  func overlapSums(of program: ElementwiseProgram, outputs: Int, elements: Int) throws -> [Double]? {
    guard program.lane != .i64, outputs > 0, elements > 0, let last = program.steps.last,
      program.steps.allSatisfy({ $0.roundTo == nil })
    else { return nil }
    let count = outputs * elements
    if program.steps.count == 1, let x = program.logits(.step(0), count: count) {
      guard let known = ThreadState.current.overlap, known.length == elements, known.dtype == dtype,
        known.x == KnownOverlap.Place(x)
      else { return nil }
      return known.values(1)
    }
    guard program.steps.count == 2, last.op == .mul || (last.op == .add && last.scalars.p == 1) else { return nil }
    for (p, y) in [(last.sources[0], last.sources[1]), (last.sources[1], last.sources[0])] {
      guard let x = program.logits(p, count: count), let y = program.wholeLeaf(y, count: count),
        let pair = LossPair(try x.alias(), try y.alias())
      else { continue }
      let sums = try pair.overlap(rows: outputs)
      let isProduct = last.op == .mul
      return (0..<outputs).map { (row: Int) -> Double in
        isProduct ? sums[4 * row] : sums[4 * row + 1] + sums[4 * row + 2]
      }
    }
    return nil
  }

  /// The sums of the rows of this tensor, if it was the truth of the last pass over a pair.
  func knownSums(outputs: Int, elements: Int) -> [Double]? {
    guard let known = ThreadState.current.overlap, known.length == elements, known.dtype == dtype,
      known.sums.count == 4 * outputs, !isDeferred, known.y == KnownOverlap.Place(self)
    else { return nil }
    return known.values(2)
  }
}

// MARK: Backward

/// The gradient of a sigmoid p beside a truth y, as far as losses of the two have made it: both y + predicted + entropy
/// (p - y) / (p (1 - p)).
private struct SlopeForm {
  var both = 0.0
  var predicted = 0.0
  var entropy = 0.0

  var isNumber: Bool { both == 0 && entropy == 0 }

  func scaled(_ factor: Double) -> SlopeForm {
    SlopeForm(both: both * factor, predicted: predicted * factor, entropy: entropy * factor)
  }

  func adding(_ other: SlopeForm, times factor: Double) -> SlopeForm {
    SlopeForm(
      both: both + other.both * factor, predicted: predicted + other.predicted * factor,
      entropy: entropy + other.entropy * factor)
  }
}

extension ElementwiseProgram {
  /// For the backward of a sigmoid whose incoming gradient has the form above: the kernel that does it all at once.
  func runOverlapGradient(into output: Tensor) throws -> Bool {
    guard let last = steps.last, last.op == .sigmoidBackward, lane != .i64, output.dtype == lane.dtype,
      steps.allSatisfy({ $0.roundTo == nil }), let x = logits(last.sources[1], count: output.count),
      case .step(let p) = last.sources[1], x.shape == output.shape, output.isContiguous
    else { return false }
    var truth: Tensor?
    /// Of the truth, whose leaf must be the same everywhere.
    func isTruth(_ source: Source) -> Bool {
      guard let tensor = wholeLeaf(source, count: output.count), tensor.shape == output.shape else { return false }
      if let truth { return truth === tensor }
      truth = tensor
      return true
    }
    func number(_ leaf: ElementwiseOperand) throws -> Double? {
      switch leaf {
      case .scalar(let scalar): return scalar.double
      case .tensor(let tensor):
        if tensor.count == 1 { return try tensor.item().double }
        guard tensor.isOneValue else { return nil }
        return try tensor.alias(shape: [], strides: [], count: 1).item().double
      }
    }
    var forms: [SlopeForm?] = []
    func form(_ source: Source) throws -> SlopeForm? {
      switch source {
      case .step(let index): return forms[index]
      case .leaf(let index):
        if let value = try number(leaves[index]) { return SlopeForm(predicted: value) }
        return isTruth(source) ? SlopeForm(both: 1) : nil
      }
    }
    for (index, step) in steps.dropLast().enumerated() {
      if index == p {
        forms.append(nil)
        continue
      }
      if step.op == .entropySlope {
        guard case .step(p) = step.sources[0], isTruth(step.sources[1]) else { return false }
        forms.append(SlopeForm(entropy: 1))
        continue
      }
      guard let a = try form(step.sources[0]) else { return false }
      let b = step.sources.count > 1 ? try form(step.sources[1]) : nil
      switch (step.op, b) {
      case (.add, let b?): forms.append(a.adding(b, times: step.scalars.p))
      case (.sub, let b?): forms.append(a.adding(b, times: -step.scalars.p))
      case (.mul, let b?) where b.isNumber: forms.append(a.scaled(b.predicted))
      case (.mul, let b?) where a.isNumber: forms.append(b.scaled(a.predicted))
      case (.neg, nil): forms.append(a.scaled(-1))
      default: return false
      }
    }
    guard let form = try form(last.sources[0]), let y = truth, let pair = LossPair(try x.alias(), try y.alias()) else {
      return false
    }
    var settings = BinaryLossSettings(gradient: form.entropy)
    (settings.both, settings.predicted) = (form.both, form.predicted)
    settings.isFading = form.entropy != 0
    _ = try pair.gradient(kernels.loss.overlapGradient[lane.rawValue], into: output) { _ in settings }
    return true
  }
}
