import KernelTypes

// One pass over parameter, gradient and state, in the order of operations of PyTorch's single-tensor
// optimizers, each rounded where a tensor operation there would round.

@inline(__always)
private func sgd<V: FloatVector>(_ vector: V.Type) -> SGDKernel {
  { parameter, gradient, buffer, n, step in
    let p = parameter.assumingMemoryBound(to: V.Scalar.self)
    let g = gradient.assumingMemoryBound(to: V.Scalar.self)
    let state = buffer?.assumingMemoryBound(to: V.Scalar.self)
    let rate = V(-step.learningRate), decay = V(step.weightDecay)
    let momentum = V(step.momentum), fresh = V(1 - step.dampening)
    columnBlocks(n, V.scalarCount) { i, count in
      let value = loadLanes(p + i, count, V.self)
      var d = loadLanes(g + i, count, V.self)
      if step.maximize { d = d.negated }
      if step.weightDecay != 0 { d = d.adding(decay, times: value) }
      if let state {
        let moving =
          step.isFirst ? d : (loadLanes(state + i, count, V.self) * momentum).adding(fresh, times: d)
        storeLanes(moving, state + i, count)
        d = step.nesterov ? d.adding(momentum, times: moving) : moving
      }
      storeLanes(value.adding(rate, times: d), p + i, count)
    }
  }
}

@inline(__always)
private func adam<V: FloatVector>(_ vector: V.Type) -> AdamKernel {
  { parameter, gradient, first, second, greatest, n, step in
    let p = parameter.assumingMemoryBound(to: V.Scalar.self)
    let g = gradient.assumingMemoryBound(to: V.Scalar.self)
    let m = first.assumingMemoryBound(to: V.Scalar.self), v = second.assumingMemoryBound(to: V.Scalar.self)
    let most = greatest?.assumingMemoryBound(to: V.Scalar.self)
    let decay = V(step.weightDecay), shrink = V(1 - step.learningRate * step.weightDecay)
    let fresh1 = V(1 - step.beta1), beta2 = V(step.beta2), fresh2 = V(1 - step.beta2)
    // lerp counts from the nearer end.
    let isNearOld = 1 - step.beta1 < 0.5
    let old1 = V(step.beta1).negated
    let correction = V(step.biasCorrection2.squareRoot()), eps = V(step.eps)
    let rate = V(-(step.learningRate / step.biasCorrection1))
    columnBlocks(n, V.scalarCount) { i, count in
      var value = loadLanes(p + i, count, V.self)
      var d = loadLanes(g + i, count, V.self)
      if step.maximize { d = d.negated }
      if step.weightDecay != 0 {
        if step.isDecoupled { value = value * shrink } else { d = d.adding(decay, times: value) }
      }
      let old = loadLanes(m + i, count, V.self)
      let mean = isNearOld ? old.adding(fresh1, times: d - old) : d.adding(old1, times: d - old)
      var squares = (loadLanes(v + i, count, V.self) * beta2).adding(fresh2 * d, times: d)
      storeLanes(mean, m + i, count)
      storeLanes(squares, v + i, count)
      if let most {
        squares = maximum(loadLanes(most + i, count, V.self), squares)
        storeLanes(squares, most + i, count)
      }
      let denominator = squares.root / correction + eps
      storeLanes(value + rate * mean / denominator, p + i, count)
    }
  }
}

func registerOptimizers(_ table: inout OptimizerKernels) {
  table.sgd = [
    stored(sgd(Floats.self)),
    stored(sgd(Doubles.self)),
  ]
  table.adam = [
    stored(adam(Floats.self)),
    stored(adam(Doubles.self)),
  ]
  registerAdaptiveOptimizers(&table)
  registerSignOptimizers(&table)
  registerFactoredOptimizers(&table)
}
