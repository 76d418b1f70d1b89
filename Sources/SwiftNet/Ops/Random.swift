#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Random numbers in place and new random tensors: the numbers that PyTorch's CPU generator gives for the same seed.
extension Tensor {
  /// Fills the memory in the order of its strides, as PyTorch does; not differentiable, so history ends here.
  private func fillRandom(_ name: String, _ fill: (UnsafeMutableRawPointer, Int) throws -> Void) throws {
    try checkWritable()
    if needsRecording([self]) {
      try inPlace { before in
        let fresh = try Tensor(
          empty: before.shape, dtype: before.dtype, strides: before.isDense ? before.strides : nil)
        try fresh.fillInMemoryOrder(fill)
        return try fresh.recorded(name, before) { [try $0.grad.times(0.0)] }
      }
      return
    }
    try fillInMemoryOrder(fill)
    bumpVersion()
  }

  private func fillInMemoryOrder(_ fill: (UnsafeMutableRawPointer, Int) throws -> Void) throws {
    if count == 0 { return }
    if isDense { return try fill(try mutablePointer(), count) }
    let order = shape.indices.sorted { strides[$0] != strides[$1] ? strides[$0] > strides[$1] : $0 < $1 }
    let values = try Tensor(empty: order.map { shape[$0] }, dtype: dtype)
    try fill(try values.mutablePointer(), count)
    try copyElements(
      from: values, to: try alias(shape: values.shape, strides: order.map { strides[$0] }))
  }

  private func checkFloating(_ kernel: String) throws {
    try require(
      dtype.isFloatingPoint, .notImplemented, "\"\(kernel)\" not implemented for '\(dtype.scalarTypeName)'")
  }

  /// Uniform in [from, to).
  public func uniformInPlace(_ from: Double = 0, _ to: Double = 1, generator: Generator = .shared) throws {
    try checkFloating("check_uniform_bounds")
    try require(
      from <= to, "uniform_ expects to return a [from, to) range, but found from=\(from) > to=\(to)")
    let dtype = self.dtype
    try fillRandom("Uniform") { generator.uniform($0, count: $1, dtype: dtype, from: from, to: to) }
  }

  public func normalInPlace(_ mean: Double = 0, _ std: Double = 1, generator: Generator = .shared) throws {
    try require(std >= 0, "normal expects std >= 0.0, but found std \(std)")
    try checkFloating("normal_kernel_cpu")
    let (dtype, plain) = (self.dtype, isContiguous)
    try fillRandom("Normal") {
      if plain {
        generator.normal($0, count: $1, dtype: dtype, mean: mean, std: std)
      } else {
        generator.serialNormal($0, count: $1, dtype: dtype, mean: mean, std: std)
      }
    }
  }

  /// Integers in [from, to), in any dtype; without `to`, up to the largest that the dtype holds.
  public func randomInPlace(_ from: Int64, _ to: Int64?, generator: Generator = .shared) throws {
    let dtype = self.dtype
    let top: Int64 =
      switch dtype {
      case .float32: 1 << 24
      case .float64: 1 << 53
      case .float16: 1 << 11
      case .bfloat16: 1 << 8
      default: dtype.integerRange?.upperBound ?? .max
      }
    if let to {
      try require(from < to, "random_ expects 'from' to be less than 'to', but got from=\(from) >= to=\(to)")
      if let range = dtype.integerRange {
        try require(range.contains(from), "from is out of bounds for \(dtype.cTypeName)")
        try require(range.contains(to - 1), "to - 1 is out of bounds for \(dtype.cTypeName)")
      }
    }
    // Without an end, the last integer itself belongs to the range; 0 stands for all of 64 bits.
    let range = to.map { UInt64(bitPattern: $0 &- from) } ?? (UInt64(bitPattern: top &- from) &+ 1)
    try fillRandom("Random") { generator.integers($0, count: $1, dtype: dtype, from: from, range: range) }
  }

  /// All non-negative integers that the dtype holds exactly.
  public func randomInPlace(generator: Generator = .shared) throws {
    let dtype = self.dtype
    try fillRandom("Random") { generator.integers($0, count: $1, dtype: dtype) }
  }

  /// 1 with probability p, else 0.
  public func bernoulliInPlace(_ p: Double, generator: Generator = .shared) throws {
    try require(p >= 0 && p <= 1, "bernoulli_ expects p to be in [0, 1], but got p=\(p)")
    let dtype = self.dtype
    try fillRandom("Bernoulli") { generator.bernoulli($0, count: $1, dtype: dtype, probability: p) }
  }

  /// 1 with the probability that stands at the same place in `p`, else 0.
  public func bernoulliInPlace(_ p: Tensor, generator: Generator = .shared) throws {
    try require(
      p.dtype.isFloatingPoint,
      "expected probabilities tensor to have floating type, got \(p.dtype.scalarTypeName)")
    let wide: DType = p.dtype == .float64 ? .float64 : .float32
    let probabilities = try noGrad { try p.expand(shape).to(wide).contiguous() }
    let valid = try noGrad { () -> Bool in
      let low = try Binary.apply(.ge, .tensor(probabilities), .scalar(0.0))
      let high = try Binary.apply(.le, .tensor(probabilities), .scalar(1.0))
      return try !Binary.apply(.logicalAnd, .tensor(low), .tensor(high)).all().item().isZero
    }
    try require(valid, "Expected p_in >= 0 && p_in <= 1 to be true, but got false.")
    let drawn = try Tensor(empty: shape, dtype: dtype)
    let target = try drawn.mutablePointer()
    if wide == .float64 {
      generator.bernoulli(
        target, count: count, dtype: dtype,
        probabilities: try probabilities.pointer().assumingMemoryBound(to: Double.self))
    } else {
      generator.bernoulli(
        target, count: count, dtype: dtype,
        probabilities: try probabilities.pointer().assumingMemoryBound(to: Float.self))
    }
    try noGrad { try copyInPlace(drawn) }
  }

  /// Density λ exp(-λx).
  public func exponentialInPlace(_ lambda: Double = 1, generator: Generator = .shared) throws {
    try require(lambda > 0, "exponential_ expects lambda > 0.0, but found lambda=\(lambda)")
    try checkFloating("exponential_cpu")
    let dtype = self.dtype
    try fillRandom("Exponential") { generator.exponential($0, count: $1, dtype: dtype, lambda: lambda) }
  }

  public func logNormalInPlace(_ mean: Double = 1, _ std: Double = 2, generator: Generator = .shared) throws {
    try require(std > 0, "log_normal_ expects std > 0.0, but found std=\(std)")
    try checkFloating("log_normal_cpu")
    let dtype = self.dtype
    try fillRandom("LogNormal") { generator.logNormal($0, count: $1, dtype: dtype, mean: mean, std: std) }
  }

  public func cauchyInPlace(_ median: Double = 0, _ sigma: Double = 1, generator: Generator = .shared) throws {
    try require(sigma > 0, "cauchy_ expects sigma > 0.0, but found sigma=\(sigma)")
    try checkFloating("cauchy_cpu")
    let dtype = self.dtype
    try fillRandom("Cauchy") { generator.cauchy($0, count: $1, dtype: dtype, median: median, sigma: sigma) }
  }

  /// How many trials the first success takes.
  public func geometricInPlace(_ p: Double, generator: Generator = .shared) throws {
    try require(p > 0 && p < 1, "geometric_ expects p to be in (0, 1), but got p=\(p)")
    try require(dtype != .bool, .notImplemented, "\"geometric_cpu\" not implemented for 'Bool'")
    let dtype = self.dtype
    try fillRandom("Geometric") { generator.geometric($0, count: $1, dtype: dtype, probability: p) }
  }

  /// A random order of 0 ..< n.
  public static func randperm(_ n: Int, dtype: DType = .int64, generator: Generator = .shared) throws
    -> Tensor
  {
    try require(n >= 0, "n must be non-negative, got\(n)")
    try require(dtype != .bool, .notImplemented, "\"randperm\" not implemented for 'Bool'")
    let limit: Int =
      switch dtype {
      case .float16: 1 << 11
      case .bfloat16: 1 << 8
      case .float32: 1 << 24
      default: Int(dtype.integerRange?.upperBound ?? 1 << 53)
      }
    try require(n <= limit, "n is too large for result tensor type: '\(dtype.scalarTypeName)'")
    let order = try Tensor(empty: [n], dtype: .int64)
    if n > 0 {
      generator.permutation(try order.mutablePointer().assumingMemoryBound(to: Int64.self), count: n)
    }
    return try order.to(dtype)
  }

  /// Indices drawn with the given weights, row by row.
  public func multinomial(_ samples: Int, replacement: Bool = false, generator: Generator = .shared) throws
    -> Tensor
  {
    try require(
      dtype.isFloatingPoint,
      "multinomial only supports floating-point dtypes for input, got: \(dtype.scalarTypeName)")
    try require(rank == 1 || rank == 2, "prob_dist must be 1 or 2 dim")
    try require(samples > 0, "cannot sample n_sample <= 0 samples")
    let n = shape[rank - 1]
    try require(
      replacement || samples <= n, "cannot sample n_sample > prob_dist.size(-1) samples without replacement")
    let weights = try noGrad { try detach() }
    let valid = try noGrad { () -> (Bool, Bool) in
      let finite = try weights.unary(.isfinite)
      let positive = try Binary.apply(.ge, .tensor(weights), .scalar(0.0))
      let all = try Binary.apply(.logicalAnd, .tensor(finite), .tensor(positive)).all().item()
      let totals = try weights.sum([-1])
      return (!all.isZero, try !Binary.apply(.gt, .tensor(totals), .scalar(0.0)).all().item().isZero)
    }
    try require(valid.0, "probability tensor contains either `inf`, `nan` or element < 0")
    try require(valid.1, "invalid multinomial distribution (sum of probabilities <= 0)")
    if !replacement || samples == 1 {
      // Efraimidis and Spirakis (2006): the largest of weight / exponential noise are a sample without replacement.
      let noise = try Tensor(empty: shape, dtype: dtype)
      try noise.exponentialInPlace(1, generator: generator)
      let scores = try noGrad { try weights / noise }
      if samples == 1 { return try scores.argExtremum(-1, keepdim: true, largest: true) }
      return try scores.largestIndices(samples)
    }
    return try weights.drawn(samples, generator)
  }

  /// Indices of the k largest elements of each row, largest first.
  private func largestIndices(_ k: Int) throws -> Tensor {
    let n = shape[rank - 1]
    let values = try doubles()
    let out = try Tensor(empty: Array(shape.dropLast()) + [k], dtype: .int64)
    let target = try out.mutablePointer().assumingMemoryBound(to: Int64.self)
    for row in 0..<(count / max(n, 1)) {
      let order = (0..<n).sorted {
        let (a, b) = (values[row * n + $0], values[row * n + $1])
        return a != b ? a > b : $0 < $1
      }
      for i in 0..<k { target[row * k + i] = Int64(order[i]) }
    }
    return out
  }

  /// Independent draws by bisection of the running sum, one uniform number each.
  private func drawn(_ samples: Int, _ generator: Generator) throws -> Tensor {
    let n = shape[rank - 1]
    let rows = count / n
    let out = try Tensor(empty: Array(shape.dropLast()) + [samples], dtype: .int64)
    let target = try out.mutablePointer().assumingMemoryBound(to: Int64.self)
    let isDouble = dtype == .float64
    let values = try doubles()
    var uniforms = [Double](repeating: 0, count: rows * samples)
    uniforms.withUnsafeMutableBufferPointer { generator.uniforms($0.baseAddress!, count: rows * samples) }
    for row in 0..<rows {
      // The running sum is rounded as PyTorch rounds it, so that draws on a boundary fall on the same side.
      var sums = [Double](repeating: 0, count: n)
      var total = 0.0
      for i in 0..<n {
        total = isDouble ? total + values[row * n + i] : Double(Float(total) + Float(values[row * n + i]))
        sums[i] = total
      }
      for i in 0..<n { sums[i] = isDouble ? sums[i] / total : Double(Float(sums[i]) / Float(total)) }
      sums[n - 1] = 1
      for sample in 0..<samples {
        let u = uniforms[row * samples + sample]
        var (low, high) = (0, n)
        while high > low {
          let middle = low + (high - low) / 2
          if sums[middle] < u { low = middle + 1 } else { high = middle }
        }
        target[row * samples + sample] = Int64(low)
      }
    }
    return out
  }

  /// Poisson numbers with the rates that stand in this tensor: products of uniforms for small rates, Hörmann's
  /// transformed rejection (1993) from 10 on.
  public func poisson(generator: Generator = .shared) throws -> Tensor {
    try checkFloating("poisson_cpu")
    let rates = try doubles()
    try require(!rates.contains { $0 < 0 }, "invalid Poisson rate, expected rate to be non-negative")
    let out = try Tensor(empty: shape, dtype: .float64)
    let target = try out.mutablePointer().assumingMemoryBound(to: Double.self)
    func uniform() -> Double {
      var u = 0.0
      generator.uniforms(&u, count: 1)
      return u
    }
    for (i, rate) in rates.enumerated() { target[i] = samplePoisson(rate, uniform) }
    return try noGrad { try out.to(dtype) }.recorded("Poisson", self) { [try $0.grad.times(0.0)] }
  }
}

private func samplePoisson(_ rate: Double, _ uniform: () -> Double) -> Double {
  if rate == 0 || rate.isNaN { return rate }
  if rate < 10 {
    let limit = exp(-rate)
    var product = 1.0
    var k = 0.0
    while true {
      product *= uniform()
      if product <= limit { return k }
      k += 1
    }
  }
  let root = rate.squareRoot()
  let logRate = log(rate)
  let b = 0.931 + 2.53 * root
  let a = -0.059 + 0.02483 * b
  let inverseAlpha = 1.1239 + 1.1328 / (b - 3.4)
  let vr = 0.9277 - 3.6224 / (b - 2)
  while true {
    let u = uniform() - 0.5
    let v = uniform()
    let us = 0.5 - abs(u)
    let k = ((2 * a / us + b) * u + rate + 0.43).rounded(.down)
    if us >= 0.07 && v <= vr { return k }
    if k < 0 || (us < 0.013 && v > us) { continue }
    if log(v) + log(inverseAlpha) - log(a / (us * us) + b) <= -rate + k * logRate - lgamma(k + 1) { return k }
  }
}
