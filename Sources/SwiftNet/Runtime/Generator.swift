import KernelTypes
import Synchronization

/// A source of random numbers that gives the numbers PyTorch's CPU generator gives for the same seed. All
/// methods are thread-safe; each fills `count` elements in a row under one lock.
public final class Generator: Sendable {
  /// What PyTorch's default generator starts from.
  public static let defaultSeed: UInt64 = 67_280_421_310_721

  /// The generator that `manual_seed` seeds and everything draws from by default.
  public static let shared = Generator()

  private let engine: Mutex<MersenneTwister>

  public init(seed: UInt64 = Generator.defaultSeed) {
    engine = Mutex(MersenneTwister(seed: seed))
  }

  public func manualSeed(_ seed: UInt64) {
    engine.withLock { $0 = MersenneTwister(seed: seed) }
  }

  /// Seeds from the operating system's randomness and returns the seed.
  public func seed() -> UInt64 {
    // 53 bits, so that the seed survives as a Python or JSON number.
    let value = UInt64.random(in: 0..<(1 << 53))
    manualSeed(value)
    return value
  }

  public var initialSeed: UInt64 { engine.withLock { $0.seed } }

  /// Bytes of a state, `torch.get_rng_state()`'s.
  public static var stateSize: Int { MersenneTwister.stateBytes }

  /// Writes the state as `torch.get_rng_state()` lays it out, `stateSize` bytes.
  public func saveState(_ out: UnsafeMutableRawPointer) { engine.withLock { $0.save(out) } }

  public func restoreState(_ bytes: UnsafeRawPointer, count: Int) throws {
    try require(count == Self.stateSize, .type, "expected a state of \(Self.stateSize) bytes, got \(count)")
    guard let restored = MersenneTwister(state: bytes) else {
      throw SwiftNetError(.runtime, "invalid mt19937 state")
    }
    engine.withLock { $0 = restored }
  }

  /// A word from the stream, for seeding something else.
  public func random() -> UInt32 { engine.withLock { $0.word() } }
  public func random64() -> UInt64 { engine.withLock { $0.longWord() } }

  // MARK: Uniform

  /// Uniform in [from, to): 53 random bits for float64, 24 for the other types; a result that rounds up to
  /// `to` becomes `from`.
  public func uniform(
    _ out: UnsafeMutableRawPointer, count: Int, dtype: DType, from: Double = 0, to: Double = 1
  ) {
    engine.withLock { engine in
      if dtype == .float64 {
        let target = out.assumingMemoryBound(to: Double.self)
        engine.uniforms(target, count)
        if from == 0 && to == 1 { return }
        for i in 0..<count { target[i] = from.addingProduct(target[i], to - from) }
        return
      }
      let low = Float(from), high = Float(to)
      let limit = narrowed(high, dtype)
      engine.blocks(count) { engine, start, block in
        let values = UnsafeMutablePointer<Float>.allocate(capacity: block)
        defer { values.deallocate() }
        engine.uniforms(values, block)
        if from != 0 || to != 1 {
          // In double precision, where product and sum are exact: without a fused instruction faster than in single.
          let base = Double(low), width = Double(high - low)
          for i in 0..<block { values[i] = Float(base + Double(values[i]) * width) }
        }
        if dtype != .float32 {
          for i in 0..<block where narrowed(values[i], dtype) == limit { values[i] = low }
        }
        store(values, .f32, out, start, block, dtype)
      }
    }
  }

  // MARK: Normal

  /// Normal numbers by Box and Muller's transformation. From 16 elements on in blocks of 16, where one half of
  /// a block gives the radii and the other the angles; below 16 in pairs, one of which the generator keeps.
  public func normal(
    _ out: UnsafeMutableRawPointer, count: Int, dtype: DType, mean: Double = 0, std: Double = 1
  ) {
    engine.withLock { engine in
      if count < 16 {
        engine.serial(out, count, dtype) { $0.normal() * std + mean }
      } else if dtype == .float64 {
        engine.normalBlocks(out.assumingMemoryBound(to: Double.self), count, mean, std)
      } else if dtype == .float32 {
        engine.normalBlocks(out.assumingMemoryBound(to: Float.self), count, Float(mean), Float(std))
      } else {
        engine.narrowNormalBlocks(out, count, dtype, Float(mean), Float(std))
      }
    }
  }

  /// Normal numbers one at a time in double precision, as PyTorch fills tensors that are not contiguous.
  public func serialNormal(
    _ out: UnsafeMutableRawPointer, count: Int, dtype: DType, mean: Double = 0, std: Double = 1
  ) {
    engine.withLock { engine in engine.serial(out, count, dtype) { $0.normal() * std + mean } }
  }

  // MARK: Integers

  /// Integers in [from, from + range), in any dtype; `range` 0 stands for 2^64.
  public func integers(
    _ out: UnsafeMutableRawPointer, count: Int, dtype: DType, from: Int64, range: UInt64
  ) {
    engine.withLock { engine in
      // From 2^28 on 32 bits would favour the lower values noticeably.
      let isWide = range == 0 || range >= 1 << 28
      engine.integers(out, count, dtype, isWide: isWide) { word in
        from &+ Int64(bitPattern: range == 0 ? word : word % range)
      }
    }
  }

  /// `random_()` without bounds: all non-negative integers that the dtype holds exactly.
  public func integers(_ out: UnsafeMutableRawPointer, count: Int, dtype: DType) {
    let range: UInt64 =
      switch dtype {
      case .float32: 1 << 24 + 1
      case .float64: 1 << 53 + 1
      case .float16: 1 << 11 + 1
      case .bfloat16: 1 << 8 + 1
      case .bool: 2
      case .uint8: 1 << 8
      case .int8: 1 << 7
      case .int16: 1 << 15
      case .int32: 1 << 31
      case .int64: 1 << 63
      }
    engine.withLock { engine in
      engine.integers(out, count, dtype, isWide: dtype == .float64 || dtype == .int64) {
        Int64(bitPattern: $0 % range)
      }
    }
  }

  /// A random order of 0 ..< n, by Fisher and Yates' shuffle from the front.
  public func permutation(_ out: UnsafeMutablePointer<Int64>, count: Int) {
    for i in 0..<count { out[i] = Int64(i) }
    engine.withLock { engine in
      engine.blocks(max(0, count - 1)) { engine, start, block in
        let words = UnsafeMutablePointer<UInt32>.allocate(capacity: block)
        defer { words.deallocate() }
        engine.words(words, block)
        for i in 0..<block {
          let place = start + i
          let other = place + Int(words[i]) % (count - place)
          (out[place], out[other]) = (out[other], out[place])
        }
      }
    }
  }

  // MARK: Other distributions

  /// 1 with probability p, else 0.
  public func bernoulli(_ out: UnsafeMutableRawPointer, count: Int, dtype: DType, probability p: Double) {
    serial(out, count, dtype) { $0 < p ? 1 : 0 }
  }

  /// The same as bool. A number k / 2^53 is below p where k is below p · 2^53: no floating-point work. The generator's
  /// words come one after another, but only just: while one thread makes the next ones, the others work on these.
  public func bernoulli(_ out: UnsafeMutablePointer<UInt8>, count: Int, probability p: Double) {
    let bound = Int64((p * 0x1p53).rounded(.up))
    let block = 1 << 16, piece = 1 << 13, inCache = 1 << 11
    engine.withLock { engine in
      guard count > piece, let room = try? Scratch(bytes: 2 * min(block, count) * 8) else {
        return engine.below(out, count, bound)
      }
      var words = room.of(UInt32.self)
      var nextWords = words + 2 * min(block, count)
      engine.words(words, 2 * min(block, count), tempers: false)
      var start = 0
      while start < count {
        let n = min(block, count - start)
        let later = min(block, count - start - n)
        parallelFor(1 + (n + piece - 1) / piece, grain: 1) { first, last in
          for task in first..<last {
            if task == 0 {
              if later > 0 { engine.words(nextWords, 2 * later, tempers: false) }
              continue
            }
            let end = min(task * piece, n)
            for from in stride(from: (task - 1) * piece, to: end, by: inCache) {
              let length = min(inCache, end - from)
              kernels.random.temper(words + 2 * from, words + 2 * from, 2 * length)
              kernels.random.below(words + 2 * from, out + start + from, length, bound)
            }
          }
        }
        swap(&words, &nextWords)
        start += n
      }
      withExtendedLifetime(room) {}
    }
  }

  /// 1 with the probability that stands at the same place, in float32 (24 random bits each).
  public func bernoulli(
    _ out: UnsafeMutableRawPointer, count: Int, dtype: DType, probabilities: UnsafePointer<Float>
  ) {
    engine.withLock { engine in
      engine.blocks(count) { engine, start, block in
        let values = UnsafeMutablePointer<Float>.allocate(capacity: block)
        defer { values.deallocate() }
        engine.uniforms(values, block)
        for i in 0..<block { values[i] = values[i] < probabilities[start + i] ? 1 : 0 }
        store(values, .f32, out, start, block, dtype)
      }
    }
  }

  /// The same with probabilities in float64 (53 random bits each).
  public func bernoulli(
    _ out: UnsafeMutableRawPointer, count: Int, dtype: DType, probabilities: UnsafePointer<Double>
  ) {
    engine.withLock { engine in
      engine.blocks(count) { engine, start, block in
        let values = UnsafeMutablePointer<Double>.allocate(capacity: block)
        defer { values.deallocate() }
        engine.uniforms(values, block)
        for i in 0..<block { values[i] = values[i] < probabilities[start + i] ? 1 : 0 }
        store(values, .f64, out, start, block, dtype)
      }
    }
  }

  /// Density λ exp(-λx).
  public func exponential(_ out: UnsafeMutableRawPointer, count: Int, dtype: DType, lambda: Double = 1) {
    serial(out, count, dtype) { -1 / lambda * log1p(-$0) }
  }

  public func cauchy(
    _ out: UnsafeMutableRawPointer, count: Int, dtype: DType, median: Double = 0, sigma: Double = 1
  ) {
    serial(out, count, dtype) { median + sigma * tan(Double.pi * ($0 - 0.5)) }
  }

  /// How many trials the first success takes.
  public func geometric(_ out: UnsafeMutableRawPointer, count: Int, dtype: DType, probability p: Double) {
    serial(out, count, dtype) { (log($0) / log1p(-p)).rounded(.up) }
  }

  public func logNormal(
    _ out: UnsafeMutableRawPointer, count: Int, dtype: DType, mean: Double = 1, std: Double = 2
  ) {
    engine.withLock { engine in engine.serial(out, count, dtype) { exp($0.normal() * std + mean) } }
  }

  /// Uniform doubles in [0, 1), the numbers that sampling with replacement consumes.
  public func uniforms(_ out: UnsafeMutablePointer<Double>, count: Int) {
    engine.withLock { $0.uniforms(out, count) }
  }

  /// `transform` of one uniform double per element.
  private func serial(
    _ out: UnsafeMutableRawPointer, _ count: Int, _ dtype: DType, _ transform: (Double) -> Double
  ) {
    engine.withLock { engine in
      engine.blocks(count) { engine, start, block in
        let values = UnsafeMutablePointer<Double>.allocate(capacity: block)
        defer { values.deallocate() }
        engine.uniforms(values, block)
        for i in 0..<block { values[i] = transform(values[i]) }
        store(values, .f64, out, start, block, dtype)
      }
    }
  }
}

/// The float rounded to the dtype and back.
private func narrowed(_ value: Float, _ dtype: DType) -> Float {
  guard dtype == .float16 || dtype == .bfloat16 else { return value }
  var lane = value, bits: UInt16 = 0
  kernels.elementwise[store: .f32, dtype]?(&lane, &bits, 1, 1)
  kernels.elementwise[load: dtype, .f32]?(&bits, 1, &lane, 1)
  return lane
}

/// Lane values to elements `start...` of the output.
private func store(
  _ values: UnsafeRawPointer, _ lane: Lane, _ out: UnsafeMutableRawPointer, _ start: Int, _ count: Int,
  _ dtype: DType
) {
  kernels.elementwise[store: lane, dtype]?(values, out + start * dtype.size, 1, count)
}

extension MersenneTwister {
  /// Calls `body(engine, first element, elements)` for blocks that fit into the first-level cache.
  fileprivate mutating func blocks(
    _ count: Int, _ body: (inout MersenneTwister, Int, Int) -> Void
  ) {
    var start = 0
    while start < count {
      let block = min(1024, count - start)
      body(&self, start, block)
      start += block
    }
  }

  /// Uniform in [0, 1) with 24 bits.
  fileprivate mutating func uniforms(_ out: UnsafeMutablePointer<Float>, _ count: Int) {
    withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 1024) { words in
      guard let base = words.baseAddress else { return }
      blocks(count) { engine, start, block in
        engine.words(base, block)
        for i in 0..<block { out[start + i] = Float(base[i] & 0xff_ffff) * 0x1p-24 }
      }
    }
  }

  /// Uniform in [0, 1) with 53 bits, two words each.
  fileprivate mutating func uniforms(_ out: UnsafeMutablePointer<Double>, _ count: Int) {
    withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 2048) { words in
      guard let base = words.baseAddress else { return }
      blocks(count) { engine, start, block in
        engine.words(base, 2 * block)
        for i in 0..<block {
          let word = UInt64(base[2 * i]) << 32 | UInt64(base[2 * i + 1])
          out[start + i] = Double(Int64(bitPattern: word & (1 << 53 - 1))) * 0x1p-53
        }
      }
    }
  }

  fileprivate mutating func integers(
    _ out: UnsafeMutableRawPointer, _ count: Int, _ dtype: DType, isWide: Bool, _ value: (UInt64) -> Int64
  ) {
    blocks(count) { engine, start, block in
      let words = UnsafeMutablePointer<UInt32>.allocate(capacity: 2 * block)
      let values = UnsafeMutablePointer<Int64>.allocate(capacity: block)
      defer {
        words.deallocate()
        values.deallocate()
      }
      if isWide {
        engine.words(words, 2 * block)
        for i in 0..<block { values[i] = value(UInt64(words[2 * i]) << 32 | UInt64(words[2 * i + 1])) }
      } else {
        engine.words(words, block)
        for i in 0..<block { values[i] = value(UInt64(words[i])) }
      }
      store(values, .i64, out, start, block, dtype)
    }
  }

  /// One standard normal number; of each pair the second is kept for the next call.
  fileprivate mutating func normal() -> Double {
    if let kept = cachedNormal {
      cachedNormal = nil
      return kept
    }
    let angle = 2 * Double.pi * uniform()
    let radius = (-2 * log1p(-uniform())).squareRoot()
    cachedNormal = radius * sin(angle)
    return radius * cos(angle)
  }

  fileprivate mutating func serial(
    _ out: UnsafeMutableRawPointer, _ count: Int, _ dtype: DType, _ draw: (inout MersenneTwister) -> Double
  ) {
    blocks(count) { engine, start, block in
      let values = UnsafeMutablePointer<Double>.allocate(capacity: block)
      defer { values.deallocate() }
      for i in 0..<block { values[i] = draw(&engine) }
      store(values, .f64, out, start, block, dtype)
    }
  }

  /// Fills with uniform numbers and turns each 16 of them into normal ones; where the count is no multiple of
  /// 16, the last 16 are drawn anew, overlapping the block before.
  fileprivate mutating func normalBlocks(
    _ out: UnsafeMutablePointer<Double>, _ count: Int, _ mean: Double, _ std: Double
  ) {
    uniforms(out, count)
    for start in stride(from: 0, through: count - 16, by: 16) { boxMuller(out + start, mean, std) }
    if count % 16 != 0 {
      uniforms(out + count - 16, 16)
      boxMuller(out + count - 16, mean, std)
    }
  }
  fileprivate mutating func normalBlocks(
    _ out: UnsafeMutablePointer<Float>, _ count: Int, _ mean: Float, _ std: Float
  ) {
    blocks(count / 16 * 16) { engine, start, block in
      engine.uniforms(out + start, block)
      boxMuller(out + start, groups: block / 16, mean, std)
    }
    let rest = count % 16
    if rest != 0 {
      // Drawn, though not used: PyTorch fills with all uniform numbers first.
      uniforms(out + count - rest, rest)
      uniforms(out + count - 16, 16)
      boxMuller(out + count - 16, groups: 1, mean, std)
    }
  }

  /// For float16 and bfloat16: the blocks are drawn one by one in float32, so the rest of the last block is
  /// not drawn before the overlapping one.
  fileprivate mutating func narrowNormalBlocks(
    _ out: UnsafeMutableRawPointer, _ count: Int, _ dtype: DType, _ mean: Float, _ std: Float
  ) {
    withUnsafeTemporaryAllocation(of: Float.self, capacity: 16) { values in
      guard let base = values.baseAddress else { return }
      var starts = Array(stride(from: 0, through: count - 16, by: 16))
      if count % 16 != 0 { starts.append(count - 16) }
      for start in starts {
        uniforms(base, 16)
        boxMuller(base, groups: 1, mean, std)
        store(base, .f32, out, start, 16, dtype)
      }
    }
  }
}

/// 16 uniform numbers to normal ones: number j and number j + 8 are a pair.
private func boxMuller(_ x: UnsafeMutablePointer<Double>, _ mean: Double, _ std: Double) {
  for j in 0..<8 {
    let radius = (-2 * log(1 - x[j])).squareRoot()
    let angle = 2 * Double.pi * x[j + 8]
    x[j] = mean.addingProduct(radius * cos(angle), std)
    x[j + 8] = mean.addingProduct(radius * sin(angle), std)
  }
}

/// The same in single precision for groups of 16, at most 64 of them: logarithms, sines and cosines by the kernels.
private func boxMuller(_ x: UnsafeMutablePointer<Float>, groups: Int, _ mean: Float, _ std: Float) {
  withUnsafeTemporaryAllocation(of: Float.self, capacity: 3 * 512) { scratch in
    guard let radii = scratch.baseAddress else { return }
    let angles = radii + 512, cosines = angles + 512
    let pairs = groups * 8
    for group in 0..<groups {
      for j in 0..<8 {
        radii[8 * group + j] = 1 - x[16 * group + j]
        angles[8 * group + j] = 2 * Float.pi * x[16 * group + 8 + j]
      }
    }
    for (op, input, output) in [
      (ElementwiseOp.log, radii, radii), (.cos, angles, cosines), (.sin, angles, angles),
    ] {
      var operand = Operand(input)
      kernels.elementwise[op, .f32]?(&operand, output, pairs, Scalars())
    }
    for i in 0..<pairs { radii[i] = (-2 * radii[i]).squareRoot() }
    let base = Double(mean), scale = Double(std)
    for group in 0..<groups {
      for j in 0..<8 {
        let place = 8 * group + j
        x[16 * group + j] = Float(base + Double(radii[place] * cosines[place]) * scale)
        x[16 * group + 8 + j] = Float(base + Double(radii[place] * angles[place]) * scale)
      }
    }
  }
}

extension MersenneTwister {
  /// 1 where the low 53 bits of the next two words are below the bound.
  fileprivate mutating func below(_ out: UnsafeMutablePointer<UInt8>, _ count: Int, _ bound: Int64) {
    let block = 4096
    withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 2 * block) { buffer in
      guard let numbers = buffer.baseAddress else { return }
      var start = 0
      while start < count {
        let n = min(block, count - start)
        words(numbers, 2 * n)
        kernels.random.below(numbers, out + start, n, bound)
        start += n
      }
    }
  }
}
