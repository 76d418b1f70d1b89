import CIntrinsics
import KernelTypes

// Samples beside each other (class stride > 1) are taken a vector at a time, samples in lines one by one with
// vectors along the classes. Class planes often lie a power of two apart, in the same few lines of the cache: each line
// of them is read once, into memory of its own, where the target's class is found again without a search, and the next
// ones are fetched ahead. Exponentials are of the lane's precision; sums of many are in Double.

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The loss of a sample, given its log-denominator, by strided access to its scores.
@inline(__always)
private func sampleLoss<T: BinaryFloatingPoint>(
  _ scores: UnsafePointer<T>, _ stride: Int, _ target: Int64, _ weights: UnsafePointer<T>?, _ logDenominator: Double,
  _ s: CrossEntropySettings
) -> Double {
  if target == s.ignoreIndex { return 0 }
  let t = Int(target)
  var loss = logDenominator - Double(scores[t * stride])
  if let weights { loss *= Double(weights[t]) }
  if s.labelSmoothing == 0 { return loss }
  var smooth = 0.0
  for c in 0..<s.classes {
    let w = weights.map { Double($0[c]) } ?? 1
    smooth += w * (logDenominator - Double(scores[c * stride]))
  }
  return (1 - s.labelSmoothing) * loss + s.labelSmoothing / Double(s.classes) * smooth
}

/// Vectors whose sum goes on in Double.
private let classBlock = 64

/// The greatest number of a line, and the sum of e^(x - it), whose terms are written to `out` if that is given.
@inline(__always)
private func lineSumExp<P: LossPrecision>(
  _ x: UnsafePointer<P.V.Scalar>, _ n: Int, _ out: UnsafeMutablePointer<P.V.Scalar>?, _ precision: P.Type
) -> (top: Double, sum: Double) {
  let top = greatest(x, n, P.V.self)
  let shift = P.V(repeating: top)
  var sum = P.V.wideZero
  var first = 0
  while first < n {
    let size = min(classBlock * P.V.scalarCount, n - first)
    var part = P.V.zero
    columnBlocks(size, P.V.scalarCount) { i, count in
      let value = P.decay(loadLanes(x + (first + i), count, P.V.self) - shift)
      if let out { storeLanes(value, out + (first + i), count) }
      part = part + withoutTail(value, count)
    }
    sum = P.V.add(sum, part.widened)
    first += size
  }
  return (Double(top), total(sum, P.V.self))
}

/// The gradient of a sample's loss, times a factor, in the place of its exponentials: p[c], less 1 for the target.
@inline(__always)
private func finishGradient<V: FloatVector>(
  _ line: UnsafeMutablePointer<V.Scalar>, _ target: Int64, _ sum: Double, _ s: CrossEntropySettings, _: V.Type
) where V.Scalar: BinaryFloatingPoint {
  if target == s.ignoreIndex {
    for c in 0..<s.classes { line[c] = 0 }
    return
  }
  line[Int(target)] -= V.Scalar(sum)
  let scale = V(repeating: V.Scalar(s.factor / sum))
  columnBlocks(s.classes, V.scalarCount) { c, count in
    storeLanes(scale * loadLanes(line + c, count, V.self), line + c, count)
  }
}

/// Fetches the vectors of all classes two steps on.
@inline(__always)
private func prefetchClasses<T>(_ x: UnsafePointer<T>, _ width: Int, _ s: CrossEntropySettings) {
  for c in 0..<s.classes { sn_prefetch(x + (c * s.classStride + 2 * width)) }
}

/// The losses of samples beside each other, and with `out` (float32 only) their gradients. `line` has two vectors more
/// than there are classes. (A function of its own: in the closure that gets the scratch memory, calls of C functions are
/// not inlined.)
@inline(never)
private func planesLoss<P: LossPrecision>(
  _ x: UnsafePointer<P.V.Scalar>, _ targets: UnsafePointer<Int64>, _ weights: UnsafePointer<P.V.Scalar>?,
  _ losses: UnsafeMutablePointer<Double>, _ denominators: UnsafeMutablePointer<Double>,
  _ out: UnsafeMutablePointer<P.V.Scalar>?, _ samples: Int, _ s: CrossEntropySettings,
  _ line: UnsafeMutablePointer<P.V>, _ precision: P.Type
) {
  let width = P.V.scalarCount
  let lanes = UnsafeMutableRawPointer(line).assumingMemoryBound(to: P.V.Scalar.self)
  let (own, sums) = (lanes + s.classes * width, lanes + (s.classes + 1) * width)
  columnBlocks(samples, width) { i, count in
    var top = P.V(-.infinity)
    prefetchClasses(x + i, width, s)
    for c in 0..<s.classes {
      line[c] = loadLanes(x + (c * s.classStride + i), count, P.V.self)
      top = maximum(top, line[c])
    }
    var sum = P.V.zero
    if P.hasSpecialLoops, let out {
      // The targets' scores, before exponentials take their place.
      for lane in 0..<count {
        let target = targets[i + lane]
        own[lane] = target == s.ignoreIndex ? 0 : lanes[Int(target) * width + lane]
      }
      for c in 0..<s.classes {
        line[c] = P.decay(line[c] - top)
        sum = sum + line[c]
      }
      storeLanes(P.V.add(P.wideLog(sum), top.widened), denominators + i, count, P.V.self)
      line[s.classes + 1] = sum
      for lane in 0..<count where targets[i + lane] != s.ignoreIndex {
        lanes[Int(targets[i + lane]) * width + lane] -= sums[lane]
      }
      var scale = P.V(s.factor) / sum
      if isIgnored(targets + i, count, s) {
        for lane in 0..<count { sums[lane] = targets[i + lane] == s.ignoreIndex ? 0 : 1 }
        let counts = line[s.classes + 1] .!= P.V.zero
        scale = P.V.select(counts, scale, P.V.zero)
        for c in 0..<s.classes { line[c] = P.V.select(counts, line[c], P.V.zero) }
      }
      for c in 0..<s.classes { storeLanes(scale * line[c], out + (c * s.classStride + i), count) }
      for lane in 0..<count {
        let counts = targets[i + lane] != s.ignoreIndex
        losses[i + lane] = counts ? denominators[i + lane] - Double(own[lane]) : 0
      }
      return
    }
    for c in 0..<s.classes { sum = sum + P.decay(line[c] - top) }
    storeLanes(P.V.add(P.wideLog(sum), top.widened), denominators + i, count, P.V.self)
    for lane in 0..<count {
      losses[i + lane] = sampleLoss(lanes + lane, width, targets[i + lane], weights, denominators[i + lane], s)
    }
  }
}

@inline(__always)
private func storeLanes<V: WideningVector>(
  _ wide: V.Wide, _ out: UnsafeMutablePointer<Double>, _ count: Int, _ type: V.Type
) {
  for lane in 0..<count { out[lane] = 0 }
  V.accumulate(wide, out, count)
}

/// Calls body with memory for a vector of each class.
@inline(__always)
private func withLine<V: FloatVector>(_ classes: Int, _ type: V.Type, _ body: (UnsafeMutablePointer<V>) -> Void) {
  withUnsafeTemporaryAllocation(
    byteCount: max(classes, 1) * MemoryLayout<V>.stride, alignment: MemoryLayout<V>.alignment
  ) { scratch in
    if let line = scratch.baseAddress?.assumingMemoryBound(to: V.self) { body(line) }
  }
}

@inline(__always)
private func crossEntropy<P: LossPrecision>(_ precision: P.Type) -> CrossEntropyKernel {
  { scores, targets, weights, losses, denominators, gradients, samples, s in
    let x = scores.assumingMemoryBound(to: P.V.Scalar.self)
    let weights = weights?.assumingMemoryBound(to: P.V.Scalar.self)
    let out = P.hasSpecialLoops ? gradients?.assumingMemoryBound(to: P.V.Scalar.self) : nil
    if s.classStride == 1 {
      for i in 0..<samples {
        let line = x + i * s.sampleStride, gradient = out.map { $0 + i * s.sampleStride }
        let (top, sum) = lineSumExp(line, s.classes, gradient, P.self)
        denominators[i] = top + log(sum)
        losses[i] = sampleLoss(line, 1, targets[i], weights, denominators[i], s)
        if let gradient { finishGradient(gradient, targets[i], sum, s, P.V.self) }
      }
    } else {
      withLine(s.classes + 2, P.V.self) {
        planesLoss(x, targets, weights, losses, denominators, out, samples, s, $0, P.self)
      }
    }
  }
}

/// How the gradient of a sample reaches its scores: d loss / d x[c] = g (p[c] W - v[c]), where v[c] is the weight with
/// which class c's -log p enters the loss, and W the sum of all v.
private struct SampleShares {
  /// v of the target's class without smoothing, times g; and W times g.
  var own = 0.0
  var all = 0.0
  /// What each class has by smoothing.
  var spread = 0.0
}

@inline(__always)
private func shares<T: BinaryFloatingPoint>(
  _ target: Int64, _ gradient: Double, _ weights: UnsafePointer<T>?, _ allWeights: Double, _ s: CrossEntropySettings
) -> SampleShares {
  if target == s.ignoreIndex { return SampleShares() }
  var own = gradient
  if let weights { own *= Double(weights[Int(target)]) }
  if s.labelSmoothing == 0 { return SampleShares(own: own, all: own) }
  own *= 1 - s.labelSmoothing
  let spread = gradient * s.labelSmoothing / Double(s.classes)
  return SampleShares(own: own, all: own + spread * allWeights, spread: spread)
}

@inline(__always)
private func isIgnored(_ targets: UnsafePointer<Int64>, _ count: Int, _ s: CrossEntropySettings) -> Bool {
  var found = false
  for i in 0..<count where targets[i] == s.ignoreIndex { found = true }
  return found
}

/// Gradients of samples beside each other. `line` has three vectors more than there are classes.
@inline(never)
private func planesGradient<P: LossPrecision>(
  _ x: UnsafePointer<P.V.Scalar>, _ targets: UnsafePointer<Int64>, _ weights: UnsafePointer<P.V.Scalar>?,
  _ allWeights: Double, _ denominators: UnsafePointer<Double>, _ gradients: UnsafePointer<Double>,
  _ out: UnsafeMutablePointer<P.V.Scalar>, _ samples: Int, _ s: CrossEntropySettings,
  _ line: UnsafeMutablePointer<P.V>, _ precision: P.Type
) {
  let width = P.V.scalarCount
  let lanes = UnsafeMutableRawPointer(line).assumingMemoryBound(to: P.V.Scalar.self)
  let perSample = UnsafeMutableRawPointer(line + s.classes).assumingMemoryBound(to: P.V.Scalar.self)
  for lane in 0..<3 * width { perSample[lane] = 0 }
  let isWeighted = weights != nil || s.labelSmoothing != 0
  columnBlocks(samples, width) { i, count in
    prefetchClasses(x + i, width, s)
    let shift = P.V.narrowed(P.V.loadWide(denominators + i, count))
    var scale = P.V(gradients[i * s.gradientStride]), share = P.V.zero
    if s.gradientStride == 1 { scale = P.V.narrowed(P.V.loadWide(gradients + i, count)) }
    // Vectors put together from single numbers have to wait for these: only where samples differ in more.
    let isPlain = !isWeighted && !isIgnored(targets + i, count, s)
    for lane in 0..<count where !isPlain {
      let share = shares(targets[i + lane], gradients[(i + lane) * s.gradientStride], weights, allWeights, s)
      perSample[lane] = P.V.Scalar(share.own)
      perSample[width + lane] = P.V.Scalar(share.all)
      perSample[2 * width + lane] = P.V.Scalar(share.spread)
    }
    if !isPlain { (scale, share) = (line[s.classes + 1], line[s.classes + 2]) }
    let counts = scale .!= P.V.zero
    for c in 0..<s.classes {
      var value = scale * P.decay(loadLanes(x + (c * s.classStride + i), count, P.V.self) - shift)
      if s.labelSmoothing != 0 { value = value - share * (weights.map { P.V(repeating: $0[c]) } ?? P.V.one) }
      line[c] = P.V.select(counts, value, P.V.zero)
    }
    for lane in 0..<count where targets[i + lane] != s.ignoreIndex {
      let own = isPlain ? P.V.Scalar(gradients[(i + lane) * s.gradientStride]) : perSample[lane]
      lanes[Int(targets[i + lane]) * width + lane] -= own
    }
    for c in 0..<s.classes { storeLanes(line[c], out + (c * s.classStride + i), count) }
  }
}

@inline(__always)
private func crossEntropyGradient<P: LossPrecision>(_ precision: P.Type) -> CrossEntropyGradientKernel {
  { scores, targets, weights, denominators, gradients, output, samples, s in
    let x = scores.assumingMemoryBound(to: P.V.Scalar.self)
    let out = output.assumingMemoryBound(to: P.V.Scalar.self)
    let weights = weights?.assumingMemoryBound(to: P.V.Scalar.self)
    var allWeights = Double(s.classes)
    if let weights {
      allWeights = 0
      for c in 0..<s.classes { allWeights += Double(weights[c]) }
    }
    if s.classStride != 1 {
      withLine(s.classes + 3, P.V.self) {
        planesGradient(x, targets, weights, allWeights, denominators, gradients, out, samples, s, $0, P.self)
      }
      return
    }
    for i in 0..<samples {
      let line = x + i * s.sampleStride, target = out + i * s.sampleStride
      if targets[i] == s.ignoreIndex {
        for c in 0..<s.classes { target[c] = 0 }
        continue
      }
      let share = shares(targets[i], gradients[i * s.gradientStride], weights, allWeights, s)
      let (shift, scale, spread) = (P.V(denominators[i]), P.V(share.all), P.V(share.spread))
      columnBlocks(s.classes, P.V.scalarCount) { c, count in
        var value = scale * P.decay(loadLanes(line + c, count, P.V.self) - shift)
        if s.labelSmoothing != 0 {
          value = value - (weights.map { spread * loadLanes($0 + c, count, P.V.self) } ?? spread)
        }
        storeLanes(value, target + c, count)
      }
      target[Int(targets[i])] -= P.V.Scalar(share.own)
    }
  }
}

func registerCrossEntropy(_ table: inout LossKernels) {
  table.crossEntropy = [
    stored(crossEntropy(FloatPrecision.self)),
    stored(crossEntropy(DoublePrecision.self)),
  ]
  table.crossEntropyGradient = [
    stored(crossEntropyGradient(FloatPrecision.self)),
    stored(crossEntropyGradient(DoublePrecision.self)),
  ]
}
