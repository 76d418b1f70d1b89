import CIntrinsics
import KernelTypes

// Losses of scores beside a truth, for maps of millions of elements: one pass over memory forward, one backward. The
// sums fold in vectors within a block, blocks join in Double.
//
// log(1 + e) needs no logarithm at each element: the product of (1 + e) over the 64 vectors of a block is at most 2^64, so
// that one logarithm at its end will do. What is kept is the product less one, which has all its digits also where every
// e is tiny.

/// Elements that are asked for ahead.
private let lossAhead = 1024

extension FloatVector {
  /// A score that with a truth of 0 adds nothing to any sum: e^-1000 is 0.
  @inline(__always) fileprivate static var nothing: Self { Self(-1000) }
}

/// Up to 64 vectors of scores and truths.
private struct LossBlock<V: FloatVector> {
  typealias Source = UnsafePointer<V.Scalar>
  let x: Source
  let y: Source
  /// Where gradients of the scores go.
  let out: UnsafeMutablePointer<V.Scalar>?
  let elements: Int

  /// Calls body with the blocks of n elements. Those at the end that fill no vector become a block of one vector in memory
  /// of its own, beside scores of `filler` and truths of 0: a loop with a call in it, for part of a vector, would keep its
  /// sums in memory.
  @inline(__always)
  static func forEach(
    _ x: UnsafeRawPointer, _ y: UnsafeRawPointer, _ n: Int, _ out: UnsafeMutableRawPointer? = nil,
    filler: V = V.nothing, _ body: (LossBlock) -> Void
  ) {
    let (x, y) = (x.assumingMemoryBound(to: V.Scalar.self), y.assumingMemoryBound(to: V.Scalar.self))
    let out = out?.assumingMemoryBound(to: V.Scalar.self)
    let width = V.scalarCount
    var part = (filler, V.zero)
    withUnsafeMutableBytes(of: &part) { room in
      guard let lastX = room.baseAddress?.assumingMemoryBound(to: V.Scalar.self) else { return }
      let lastY = lastX + width
      var start = 0
      while start < n {
        let whole = min(64 * width, (n - start) / width * width), rest = n - start
        var block = LossBlock(x: x + start, y: y + start, out: out.map { $0 + start }, elements: whole)
        if whole == 0 {
          for i in 0..<rest { (lastX[i], lastY[i]) = (x[start + i], y[start + i]) }
          block = LossBlock(x: Source(lastX), y: Source(lastY), out: lastX, elements: width)
        }
        body(block)
        if whole == 0 {
          if let out { for i in 0..<rest { out[start + i] = lastX[i] } }
          return
        }
        start += whole
      }
    }
  }

  @inline(__always)
  private func load(_ source: Source) -> V {
    sn_prefetch(source + lossAhead)
    return UnsafeRawPointer(source).loadUnaligned(as: V.self)
  }

  /// Calls body(score, truth) for the vectors.
  @inline(__always)
  func forEach(_ body: (V, V) -> Void) {
    var i = 0
    while i < elements {
      body(load(x + i), load(y + i))
      i += V.scalarCount
    }
  }

  /// The gradients of the scores: body(score, truth) for the vectors.
  @inline(__always)
  func putGradients(_ body: (V, V) -> V) {
    guard let out else { return }
    var i = 0
    while i < elements {
      UnsafeMutableRawPointer(out + i).storeBytes(of: body(load(x + i), load(y + i)), as: V.self)
      i += V.scalarCount
    }
  }
}

extension LossBlock where V.Scalar: BinaryFloatingPoint {
  /// Whether the truth is nothing but 0 and 1.
  @inline(__always)
  fileprivate var isHard: Bool {
    var soft = V.zero
    forEach { _, truth in soft = soft + (truth * (V.one - truth)).absolute }
    for lane in 0..<V.scalarCount where soft[lane] != 0 { return false }
    return true
  }
}

/// The least of x and bound, the greatest of that and -bound; NaN stays.
@inline(__always)
private func within<V: FloatVector>(_ x: V, _ bound: V) -> V {
  let low = V.select(x .< bound.negated, bound.negated, x)
  return V.select(low .> bound, bound, low)
}

/// (1 - y) x - min(x, 0)
@inline(__always)
private func linearPart<V: FloatVector>(_ x: V, _ y: V) -> V {
  (V.one - y) * x - V.select(x .> V.zero, V.zero, x)
}

/// Where x lies beside its sigmoid: e^-|x|, p and p (1 - p).
@inline(__always)
private func sigmoidParts<P: LossPrecision>(_ x: P.V, _ p: P.Type) -> (e: P.V, p: P.V, slope: P.V) {
  let e = P.decay(x.absolute.negated)
  let r = P.V.one / (P.V.one + e)
  let other = e * r
  return (e, P.V.select(x .< P.V.zero, other, r), other * r)
}

/// Σ p y, Σ p and Σ y.
private struct Overlap<V: WideningVector> {
  var both: V.Wide
  var predicted: V.Wide
  var present: V.Wide

  @inline(__always) init() { (both, predicted, present) = (V.wideZero, V.wideZero, V.wideZero) }

  @inline(__always)
  mutating func add(_ part: (both: V, predicted: V, present: V)) {
    both = V.add(both, part.both.widened)
    predicted = V.add(predicted, part.predicted.widened)
    present = V.add(present, part.present.widened)
  }

  @inline(__always)
  func put(_ sums: UnsafeMutablePointer<Double>) {
    sums[0] += total(both, V.self)
    sums[1] += total(predicted, V.self)
    sums[2] += total(present, V.self)
  }
}

@inline(__always)
private func add<V: FloatVector>(_ p: V, _ truth: V, _ part: inout (both: V, predicted: V, present: V)) {
  part.both = part.both.adding(p, times: truth)
  part.predicted = part.predicted + p
  part.present = part.present + truth
}

/// The sums of a block's entropies.
private struct Entropies<P: LossPrecision> {
  var linear = P.V.zero
  var product = P.V.zero

  @inline(__always)
  mutating func add(_ score: P.V, _ truth: P.V, _ bound: P.V, _ e: P.V) {
    linear = linear + linearPart(within(score, bound), truth)
    product = product.adding(e, times: product + P.V.one)
  }

  @inline(__always) var sum: P.V.Wide { P.V.add(linear.widened, P.wideLog1p(product)) }
}

/// The sums of overlap, and of the entropies where these are wanted.
@inline(__always)
private func overlapSums<P: LossPrecision>(_ precision: P.Type) -> BinarySumsKernel {
  { x, y, n, sums, s in
    var overlap = Overlap<P.V>()
    if !s.countsEntropy && P.hasSpecialLoops {
      LossBlock<P.V>.forEach(x, y, n) { block in
        var part = (both: P.V.zero, predicted: P.V.zero, present: P.V.zero)
        block.forEach { score, truth in add(P.logistic(score), truth, &part) }
        overlap.add(part)
      }
      return overlap.put(sums)
    }
    let bound = P.V(s.bound)
    var entropy = P.V.wideZero
    LossBlock<P.V>.forEach(x, y, n) { block in
      var part = (both: P.V.zero, predicted: P.V.zero, present: P.V.zero)
      var entropies = Entropies<P>()
      block.forEach { score, truth in
        let (e, p, _) = sigmoidParts(score, P.self)
        add(p, truth, &part)
        entropies.add(score, truth, bound, e)
      }
      overlap.add(part)
      entropy = P.V.add(entropy, entropies.sum)
    }
    overlap.put(sums)
    if s.countsEntropy { sums[3] += total(entropy, P.V.self) }
  }
}

/// Those of the entropies alone, the same to the last bit.
@inline(__always)
private func entropySums<P: LossPrecision>(_ precision: P.Type) -> BinarySumsKernel {
  { x, y, n, sums, s in
    let bound = P.V(s.bound)
    var entropy = P.V.wideZero
    LossBlock<P.V>.forEach(x, y, n) { block in
      var entropies = Entropies<P>()
      block.forEach { score, truth in entropies.add(score, truth, bound, P.decay(score.absolute.negated)) }
      entropy = P.V.add(entropy, entropies.sum)
    }
    sums[0] += total(entropy, P.V.self)
  }
}

@inline(__always)
private func probabilitySums<V: WideningVector>(_ vector: V.Type) -> BinarySumsKernel {
  { x, y, n, sums, _ in
    var overlap = Overlap<V>()
    LossBlock<V>.forEach(x, y, n, filler: V.zero) { block in
      var part = (both: V.zero, predicted: V.zero, present: V.zero)
      block.forEach { p, truth in add(p, truth, &part) }
      overlap.add(part)
    }
    overlap.put(sums)
  }
}

@inline(__always)
private func overlapGradient<P: LossPrecision>(_ precision: P.Type) -> BinaryGradientKernel {
  { x, y, out, n, s in
    let (a, b, c) = (P.V(s.both), P.V(s.predicted), P.V(s.entropy))
    if s.entropy == 0 && P.hasSpecialLoops {
      LossBlock<P.V>.forEach(x, y, n, out) { block in
        block.putGradients { score, truth in sigmoidParts(score, P.self).slope * b.adding(a, times: truth) }
      }
    } else if s.both == 0, s.predicted == 0, !s.isFading, P.hasSpecialLoops {
      LossBlock<P.V>.forEach(x, y, n, out) { block in
        block.putGradients { score, truth in c * (sigmoidParts(score, P.self).p - truth) }
      }
    } else {
      // Without fading the factor is 1 wherever p (1 - p) is a number.
      let steepness = P.V(s.isFading ? 1e12 : 0), least = P.V(s.isFading ? 0 : 1)
      LossBlock<P.V>.forEach(x, y, n, out) { block in
        block.putGradients { score, truth in
          let (_, p, slope) = sigmoidParts(score, P.self)
          let rise = least.adding(slope, times: steepness)
          let fading = P.V.select(rise .> P.V.one, P.V.one, rise)
          return (c * fading * (p - truth)).adding(b.adding(a, times: truth), times: slope)
        }
      }
    }
  }
}

@inline(__always)
private func squareSums<V: WideningVector>(_ vector: V.Type) -> BinarySumsKernel {
  { x, y, n, sums, _ in
    var sum = V.wideZero
    LossBlock<V>.forEach(x, y, n, filler: V.zero) { block in
      var part = V.zero
      block.forEach { x, y in part = part.adding(x - y, times: x - y) }
      sum = V.add(sum, part.widened)
    }
    sums[0] += total(sum, V.self)
  }
}

@inline(__always)
private func squareGradient<V: WideningVector>(_ vector: V.Type) -> BinaryGradientKernel {
  { x, y, out, n, s in
    let factor = V(2 * s.entropy)
    LossBlock<V>.forEach(x, y, n, out) { block in block.putGradients { x, y in factor * (x - y) } }
  }
}

// MARK: Focal loss

/// q^gamma. Nearly all take the exponent 2; for others the call costs little beside the logarithm, and code in place
/// would double the kernels.
@inline(__always)
private func focus<P: LossPrecision>(_ q: P.V, _ gamma: Double, _ p: P.Type) -> P.V {
  if gamma == 2 { return q * q }
  if gamma == 1 { return q }
  if gamma == 0 { return P.V.one }
  return power(q, gamma, P.self)
}

@inline(never)
private func power<P: LossPrecision>(_ q: P.V, _ gamma: Double, _ p: P.Type) -> P.V {
  P.exp(P.V(gamma) * P.log(q))
}

/// For a truth of 0 or 1, with u the score on its side: H, the sigmoid of u, and that of -u.
@inline(__always)
private func hardParts<P: LossPrecision>(_ u: P.V, _ p: P.Type) -> (entropy: P.V, p: P.V, q: P.V) {
  let e = P.decay(u.absolute.negated)
  let r = P.V.one / (P.V.one + e)
  let isPositive = u .> P.V.zero
  let entropy = P.log1pUpTo1(e) - P.V.select(isPositive, P.V.zero, u)
  return (entropy, P.V.select(isPositive, r, e * r), P.V.select(isPositive, e * r, r))
}

@inline(__always)
private func focalSums<P: LossPrecision>(_ precision: P.Type) -> BinarySumsKernel {
  { x, y, n, sums, s in
    let (negative, difference) = (P.V(s.negative), P.V(s.positive - s.negative))
    let gamma = s.gamma
    var sum = P.V.wideZero
    LossBlock<P.V>.forEach(x, y, n) { block in
      var part = P.V.zero
      @inline(__always)
      func add(_ truth: P.V, _ q: P.V, _ entropy: P.V) {
        part = part + negative.adding(difference, times: truth) * focus(q, gamma, P.self) * entropy
      }
      if block.isHard {
        block.forEach { score, truth in
          let (entropy, _, q) = hardParts(score * (truth + truth - P.V.one), P.self)
          add(truth, q, entropy)
        }
      } else {
        block.forEach { score, truth in
          let entropy = linearPart(score, truth) + P.log1pUpTo1(P.decay(score.absolute.negated))
          add(truth, P.V.one - P.exp(entropy.negated), entropy)
        }
      }
      sum = P.V.add(sum, part.widened)
    }
    sums[0] += total(sum, P.V.self)
  }
}

/// With q = 1 - e^-H, dH/dx = p - y: (q^gamma + gamma q^(gamma - 1) (1 - q) H) (p - y).
@inline(__always)
private func focalGradient<P: LossPrecision>(_ precision: P.Type) -> BinaryGradientKernel {
  { x, y, out, n, s in
    let negative = P.V(s.negative * s.entropy), difference = P.V((s.positive - s.negative) * s.entropy)
    let gamma = s.gamma
    let exponent = P.V(gamma)
    LossBlock<P.V>.forEach(x, y, n, out) { block in
      if block.isHard {
        block.putGradients { score, truth in
          let side = truth + truth - P.V.one
          let (entropy, p, q) = hardParts(score * side, P.self)
          let factor = side * negative.adding(difference, times: truth)
          return (factor * focus(q, gamma, P.self) * q.adding(exponent * p, times: entropy)).negated
        }
      } else {
        block.putGradients { score, truth in
          let (e, p, _) = sigmoidParts(score, P.self)
          let entropy = linearPart(score, truth) + P.log1pUpTo1(e)
          let kept = P.exp(entropy.negated)
          let q = P.V.one - kept
          var rise = P.V.one
          if gamma != 0 {
            let lower = focus(q, gamma - 1, P.self)
            rise = (lower * q).adding(exponent * lower * kept, times: entropy)
          }
          return negative.adding(difference, times: truth) * rise * (p - truth)
        }
      }
    }
  }
}

@inline(__always)
private func register<P: LossPrecision>(_ table: inout LossKernels, _ precision: P.Type) {
  table.overlapSums.append(stored(overlapSums(P.self)))
  table.entropySums.append(stored(entropySums(P.self)))
  table.probabilitySums.append(stored(probabilitySums(P.V.self)))
  table.overlapGradient.append(stored(overlapGradient(P.self)))
  table.squareSums.append(stored(squareSums(P.V.self)))
  table.squareGradient.append(stored(squareGradient(P.V.self)))
  table.focalSums.append(stored(focalSums(P.self)))
  table.focalGradient.append(stored(focalGradient(P.self)))
}

func registerBinaryLosses(_ table: inout LossKernels) {
  register(&table, FloatPrecision.self)
  register(&table, DoublePrecision.self)
}
