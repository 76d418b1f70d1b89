import KernelTypes

// Samples beside each other (class stride > 1) are taken a vector at a time, samples in lines one by one with
// vectors along the classes. Exponentials are of the lane's precision, sums in Double.

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
  _ scores: UnsafePointer<T>, _ target: Int64, _ weights: UnsafePointer<T>?, _ logDenominator: Double,
  _ s: CrossEntropySettings
) -> Double {
  if target == s.ignoreIndex { return 0 }
  let t = Int(target)
  let weight = weights.map { Double($0[t]) } ?? 1
  let loss = weight * (logDenominator - Double(scores[t * s.classStride]))
  if s.labelSmoothing == 0 { return loss }
  var smooth = 0.0
  for c in 0..<s.classes {
    let w = weights.map { Double($0[c]) } ?? 1
    smooth += w * (logDenominator - Double(scores[c * s.classStride]))
  }
  return (1 - s.labelSmoothing) * loss + s.labelSmoothing / Double(s.classes) * smooth
}

/// log sum exp of a line.
@inline(__always)
private func lineLogSumExp<V: WideningVector>(_ x: UnsafePointer<V.Scalar>, _ n: Int, _ type: V.Type)
  -> Double
where V.Scalar: BinaryFloatingPoint {
  var lanes = V(-.infinity)
  columnBlocks(n, V.scalarCount) { i, count in lanes = maximum(lanes, loadLanes(x + i, count, V.self)) }
  var top = lanes[0]
  for i in 1..<V.scalarCount where lanes[i] > top || lanes[i] != lanes[i] { top = lanes[i] }
  let shift = V(repeating: top)
  var sum = V.wideZero
  columnBlocks(n, V.scalarCount) { i, count in
    sum = V.add(sum, withoutTail((loadLanes(x + i, count, V.self) - shift).exponential, count).widened)
  }
  return Double(top) + log(total(sum, V.self))
}

/// log sum exp of samples beside each other. Class planes often lie a power of two apart, in the same few lines of the
/// cache: each is read once, into `line`. (A function of its own: in the closure that gets the scratch memory, calls of
/// C functions are not inlined.)
@inline(never)
private func planesLogSumExp<V: WideningVector>(
  _ x: UnsafePointer<V.Scalar>, _ denominators: UnsafeMutablePointer<Double>, _ samples: Int,
  _ s: CrossEntropySettings, _ line: UnsafeMutablePointer<V>
) where V.Scalar: BinaryFloatingPoint {
  columnBlocks(samples, V.scalarCount) { i, count in
    var top = V(-.infinity)
    for c in 0..<s.classes {
      line[c] = loadLanes(x + (c * s.classStride + i), count, V.self)
      top = maximum(top, line[c])
    }
    var sum = V.zero
    for c in 0..<s.classes { sum = sum + (line[c] - top).exponential }
    let logarithm = sum.logarithm
    for lane in 0..<count { denominators[i + lane] = Double(top[lane]) + Double(logarithm[lane]) }
  }
}

@inline(__always)
private func crossEntropy<V: WideningVector>(_ vector: V.Type) -> CrossEntropyKernel
where V.Scalar: BinaryFloatingPoint {
  { scores, targets, weights, losses, denominators, samples, s in
    let x = scores.assumingMemoryBound(to: V.Scalar.self)
    let weights = weights?.assumingMemoryBound(to: V.Scalar.self)
    if s.classStride == 1 {
      for i in 0..<samples { denominators[i] = lineLogSumExp(x + i * s.sampleStride, s.classes, V.self) }
    } else {
      withUnsafeTemporaryAllocation(
        byteCount: max(s.classes, 1) * MemoryLayout<V>.stride, alignment: MemoryLayout<V>.alignment
      ) { scratch in
        guard let line = scratch.baseAddress?.assumingMemoryBound(to: V.self) else { return }
        planesLogSumExp(x, denominators, samples, s, line)
      }
    }
    for i in 0..<samples {
      losses[i] = sampleLoss(x + i * s.sampleStride, targets[i], weights, denominators[i], s)
    }
  }
}

/// d loss / d x[c] = g (p[c] W - v[c]), where v[c] is the weight with which class c's -log p enters the loss, and
/// W the sum of all v.
@inline(__always)
private func crossEntropyGradient<V: WideningVector>(_ vector: V.Type) -> CrossEntropyGradientKernel
where V.Scalar: BinaryFloatingPoint {
  { scores, targets, weights, denominators, gradients, output, samples, s in
    let x = scores.assumingMemoryBound(to: V.Scalar.self)
    let out = output.assumingMemoryBound(to: V.Scalar.self)
    let weights = weights?.assumingMemoryBound(to: V.Scalar.self)
    let smooth = s.labelSmoothing / Double(s.classes)
    var allWeights = Double(s.classes)
    if let weights {
      allWeights = 0
      for c in 0..<s.classes { allWeights += Double(weights[c]) }
    }
    func shares(_ i: Int) -> (own: Double, all: Double) {
      if targets[i] == s.ignoreIndex { return (0, 0) }
      let own = (1 - s.labelSmoothing) * gradients[i] * (weights.map { Double($0[Int(targets[i])]) } ?? 1)
      return (own, own + gradients[i] * smooth * allWeights)
    }
    if s.classStride == 1 {
      for i in 0..<samples {
        let line = x + i * s.sampleStride, target = out + i * s.sampleStride
        let (own, all) = shares(i)
        let (shift, scale) = (V(denominators[i]), V(all))
        let share = V(targets[i] == s.ignoreIndex ? 0 : smooth * gradients[i])
        columnBlocks(s.classes, V.scalarCount) { c, count in
          var value = scale * (loadLanes(line + c, count, V.self) - shift).exponential
          if s.labelSmoothing != 0 {
            value = value - (weights.map { share * loadLanes($0 + c, count, V.self) } ?? share)
          }
          storeLanes(value, target + c, count)
        }
        if targets[i] == s.ignoreIndex {
          for c in 0..<s.classes { target[c] = 0 }
        } else {
          target[Int(targets[i])] -= V.Scalar(own)
        }
      }
    } else {
      columnBlocks(samples, V.scalarCount) { i, count in
        var (shift, scale, share) = (V.zero, V.zero, V.zero)
        for lane in 0..<count {
          shift[lane] = V.Scalar(denominators[i + lane])
          scale[lane] = V.Scalar(shares(i + lane).all)
          share[lane] = targets[i + lane] == s.ignoreIndex ? 0 : V.Scalar(smooth * gradients[i + lane])
        }
        for c in 0..<s.classes {
          let at = c * s.classStride + i
          var value = scale * (loadLanes(x + at, count, V.self) - shift).exponential
          if s.labelSmoothing != 0 { value = value - share * (weights.map { V(repeating: $0[c]) } ?? V.one) }
          storeLanes(V.select(scale .== V.zero, V.zero, value), out + at, count)
        }
        for lane in 0..<count where targets[i + lane] != s.ignoreIndex {
          out[Int(targets[i + lane]) * s.classStride + i + lane] -= V.Scalar(shares(i + lane).own)
        }
      }
    }
  }
}

func registerCrossEntropy(_ table: inout LossKernels) {
  table.crossEntropy = [
    stored(crossEntropy(Floats.self)),
    stored(crossEntropy(Doubles.self)),
  ]
  table.crossEntropyGradient = [
    stored(crossEntropyGradient(Floats.self)),
    stored(crossEntropyGradient(Doubles.self)),
  ]
}
