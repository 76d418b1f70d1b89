import CIntrinsics
import KernelTypes

// Losses of scores beside a truth, for maps of millions of elements: one pass over memory forward, one backward. The
// sums fold in vectors within a block, blocks join in Double.
//
// log(1 + e) needs no logarithm at each element: the product of (1 + e) over the 64 vectors of a block is at most 2^64, so
// that one logarithm at its end will do. What is kept is the product less one, which has all its digits also where every
// e is tiny.

/// Vectors of a block.
private let lossBlock = 64

/// Calls body(first element, elements) for the blocks of n elements.
@inline(__always)
private func lossBlocks(_ n: Int, _ width: Int, _ body: (Int, Int) -> Void) {
  var start = 0
  while start < n {
    let size = min(lossBlock * width, n - start)
    body(start, size)
    start += size
  }
}

/// Calls body(first element, elements) for vectors, the last one partly filled. The body stands here once: what it does
/// with part of a vector is in the functions below, or the kernels would be twice as long.
@inline(__always)
private func vectors(_ n: Int, _ width: Int, _ body: (Int, Int) -> Void) {
  var i = 0
  while i < n {
    body(i, min(width, n - i))
    i += width
  }
}

/// Elements that are asked for ahead.
private let lossAhead = 1024

@inline(__always)
private func load<V: Lanes>(_ source: UnsafePointer<V.Scalar>, _ count: Int, else rest: V) -> V {
  sn_prefetch(source + lossAhead)
  return count == V.scalarCount ? UnsafeRawPointer(source).loadUnaligned(as: V.self) : loadPart(source, count, rest)
}

@inline(never)
private func loadPart<V: Lanes>(_ source: UnsafePointer<V.Scalar>, _ count: Int, _ rest: V) -> V {
  var vector = rest
  for i in 0..<count { vector[i] = source[i] }
  return vector
}

@inline(__always)
private func store<V: Lanes>(_ vector: V, _ out: UnsafeMutablePointer<V.Scalar>, _ count: Int) {
  if count == V.scalarCount {
    UnsafeMutableRawPointer(out).storeBytes(of: vector, as: V.self)
  } else {
    storePart(vector, out, count)
  }
}

@inline(never)
private func storePart<V: Lanes>(_ vector: V, _ out: UnsafeMutablePointer<V.Scalar>, _ count: Int) {
  for i in 0..<count { out[i] = vector[i] }
}

extension FloatVector {
  /// A score that with a truth of 0 adds nothing to any sum: e^-1000 is 0.
  @inline(__always) fileprivate static var nothing: Self { Self(-1000) }
}

@inline(__always)
private func pointers<T>(_ x: UnsafeRawPointer, _ y: UnsafeRawPointer, _ type: T.Type) -> (
  UnsafePointer<T>, UnsafePointer<T>
) { (x.assumingMemoryBound(to: T.self), y.assumingMemoryBound(to: T.self)) }

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

/// The sums of overlap and of entropies, or of either alone; those of the entropies are the same to the last bit.
@inline(__always)
private func entropySums<P: LossPrecision>(_ precision: P.Type, withOverlap: Bool) -> BinarySumsKernel {
  { x, y, n, sums, s in
    let (x, y) = pointers(x, y, P.V.Scalar.self)
    let bound = P.V(s.bound)
    let withEntropy = !withOverlap || s.countsEntropy
    var (both, predicted, present) = (P.V.wideZero, P.V.wideZero, P.V.wideZero)
    var entropy = P.V.wideZero
    lossBlocks(n, P.V.scalarCount) { start, size in
      var (partBoth, partPredicted, partPresent) = (P.V.zero, P.V.zero, P.V.zero)
      var (linear, product) = (P.V.zero, P.V.zero)
      vectors(size, P.V.scalarCount) { i, count in
        let score = load(x + (start + i), count, else: P.V.nothing)
        let truth = load(y + (start + i), count, else: P.V.zero)
        var e: P.V
        if withOverlap {
          let parts = sigmoidParts(score, P.self)
          e = parts.e
          partBoth = partBoth.adding(parts.p, times: truth)
          partPredicted = partPredicted + parts.p
          partPresent = partPresent + truth
        } else {
          e = P.decay(score.absolute.negated)
        }
        if withEntropy {
          linear = linear + linearPart(within(score, bound), truth)
          product = product.adding(e, times: product + P.V.one)
        }
      }
      if withEntropy { entropy = P.V.add(entropy, P.V.add(linear.widened, P.wideLog1p(product))) }
      if withOverlap {
        both = P.V.add(both, partBoth.widened)
        predicted = P.V.add(predicted, partPredicted.widened)
        present = P.V.add(present, partPresent.widened)
      }
    }
    if withOverlap {
      sums[0] += total(both, P.V.self)
      sums[1] += total(predicted, P.V.self)
      sums[2] += total(present, P.V.self)
    }
    if withEntropy { sums[withOverlap ? 3 : 0] += total(entropy, P.V.self) }
  }
}

@inline(__always)
private func probabilitySums<V: WideningVector>(_ vector: V.Type) -> BinarySumsKernel {
  { x, y, n, sums, _ in
    let (x, y) = pointers(x, y, V.Scalar.self)
    var (both, predicted, present) = (V.wideZero, V.wideZero, V.wideZero)
    lossBlocks(n, V.scalarCount) { start, size in
      var (partBoth, partPredicted, partPresent) = (V.zero, V.zero, V.zero)
      vectors(size, V.scalarCount) { i, count in
        let p = load(x + (start + i), count, else: V.zero)
        let truth = load(y + (start + i), count, else: V.zero)
        partBoth = partBoth.adding(p, times: truth)
        partPredicted = partPredicted + p
        partPresent = partPresent + truth
      }
      both = V.add(both, partBoth.widened)
      predicted = V.add(predicted, partPredicted.widened)
      present = V.add(present, partPresent.widened)
    }
    sums[0] += total(both, V.self)
    sums[1] += total(predicted, V.self)
    sums[2] += total(present, V.self)
  }
}

@inline(__always)
private func overlapGradient<P: LossPrecision>(_ precision: P.Type) -> BinaryGradientKernel {
  { x, y, out, n, s in
    let (x, y) = pointers(x, y, P.V.Scalar.self)
    let out = out.assumingMemoryBound(to: P.V.Scalar.self)
    let (a, b, c) = (P.V(s.both), P.V(s.predicted), P.V(s.entropy))
    if s.both == 0, s.predicted == 0, !s.isFading {
      vectors(n, P.V.scalarCount) { i, count in
        let parts = sigmoidParts(load(x + i, count, else: P.V.nothing), P.self)
        store(c * (parts.p - load(y + i, count, else: P.V.zero)), out + i, count)
      }
      return
    }
    // Without fading the factor is 1 wherever p (1 - p) is a number.
    let steepness = P.V(s.isFading ? 1e12 : 0), least = P.V(s.isFading ? 0 : 1)
    vectors(n, P.V.scalarCount) { i, count in
      let truth = load(y + i, count, else: P.V.zero)
      let (_, p, slope) = sigmoidParts(load(x + i, count, else: P.V.nothing), P.self)
      let rise = least.adding(slope, times: steepness)
      let fading = P.V.select(rise .> P.V.one, P.V.one, rise)
      store((c * fading * (p - truth)).adding(b.adding(a, times: truth), times: slope), out + i, count)
    }
  }
}

@inline(__always)
private func squareSums<V: WideningVector>(_ vector: V.Type) -> BinarySumsKernel {
  { x, y, n, sums, _ in
    let (x, y) = pointers(x, y, V.Scalar.self)
    var sum = V.wideZero
    lossBlocks(n, V.scalarCount) { start, size in
      var part = V.zero
      vectors(size, V.scalarCount) { i, count in
        let d = load(x + (start + i), count, else: V.zero) - load(y + (start + i), count, else: V.zero)
        part = part + d * d
      }
      sum = V.add(sum, part.widened)
    }
    sums[0] += total(sum, V.self)
  }
}

@inline(__always)
private func squareGradient<V: WideningVector>(_ vector: V.Type) -> BinaryGradientKernel {
  { x, y, out, n, s in
    let (x, y) = pointers(x, y, V.Scalar.self)
    let out = out.assumingMemoryBound(to: V.Scalar.self)
    let factor = V(2 * s.entropy)
    vectors(n, V.scalarCount) { i, count in
      store(
        factor * (load(x + i, count, else: V.nothing) - load(y + i, count, else: V.zero)), out + i, count)
    }
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

/// Whether a block of the truth holds nothing but 0 and 1.
@inline(__always)
private func isHard<V: FloatVector>(_ y: UnsafePointer<V.Scalar>, _ n: Int, _ type: V.Type) -> Bool
where V.Scalar: BinaryFloatingPoint {
  var soft = V.zero
  vectors(n, V.scalarCount) { i, count in
    let truth = load(y + i, count, else: V.zero)
    soft = soft + (truth * (V.one - truth)).absolute
  }
  for lane in 0..<V.scalarCount where soft[lane] != 0 { return false }
  return true
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
    let (x, y) = pointers(x, y, P.V.Scalar.self)
    let (negative, difference) = (P.V(s.negative), P.V(s.positive - s.negative))
    let gamma = s.gamma
    var sum = P.V.wideZero
    lossBlocks(n, P.V.scalarCount) { start, size in
      let x = x + start, y = y + start
      var part = P.V.zero
      if isHard(y, size, P.V.self) {
        vectors(size, P.V.scalarCount) { i, count in
          let truth = load(y + i, count, else: P.V.zero)
          let (entropy, _, q) = hardParts(load(x + i, count, else: P.V.nothing) * (truth + truth - P.V.one), P.self)
          let factor = negative.adding(difference, times: truth)
          part = part + factor * focus(q, gamma, P.self) * entropy
        }
      } else {
        vectors(size, P.V.scalarCount) { i, count in
          let truth = load(y + i, count, else: P.V.zero), score = load(x + i, count, else: P.V.nothing)
          let e = P.decay(score.absolute.negated)
          let entropy = linearPart(score, truth) + P.log1pUpTo1(e)
          let q = P.V.one - P.exp(entropy.negated)
          let factor = negative.adding(difference, times: truth)
          part = part + factor * focus(q, gamma, P.self) * entropy
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
    let (x, y) = pointers(x, y, P.V.Scalar.self)
    let out = out.assumingMemoryBound(to: P.V.Scalar.self)
    let negative = P.V(s.negative * s.entropy), difference = P.V((s.positive - s.negative) * s.entropy)
    let gamma = s.gamma
    let exponent = P.V(gamma)
    lossBlocks(n, P.V.scalarCount) { start, size in
      let x = x + start, y = y + start, out = out + start
      if isHard(y, size, P.V.self) {
        vectors(size, P.V.scalarCount) { i, count in
          let truth = load(y + i, count, else: P.V.zero)
          let side = truth + truth - P.V.one
          let (entropy, p, q) = hardParts(load(x + i, count, else: P.V.nothing) * side, P.self)
          let factor = side * negative.adding(difference, times: truth)
          store(
            (factor * focus(q, gamma, P.self) * q.adding(exponent * p, times: entropy)).negated, out + i, count)
        }
      } else {
        vectors(size, P.V.scalarCount) { i, count in
          let truth = load(y + i, count, else: P.V.zero), score = load(x + i, count, else: P.V.nothing)
          let (e, p, _) = sigmoidParts(score, P.self)
          let entropy = linearPart(score, truth) + P.log1pUpTo1(e)
          let kept = P.exp(entropy.negated)
          let q = P.V.one - kept
          var rise = P.V.one
          if gamma != 0 {
            let lower = focus(q, gamma - 1, P.self)
            rise = (lower * q).adding(exponent * lower * kept, times: entropy)
          }
          store(negative.adding(difference, times: truth) * rise * (p - truth), out + i, count)
        }
      }
    }
  }
}

@inline(__always)
private func register<P: LossPrecision>(_ table: inout LossKernels, _ precision: P.Type) {
  table.overlapSums.append(stored(entropySums(P.self, withOverlap: true)))
  table.entropySums.append(stored(entropySums(P.self, withOverlap: false)))
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
