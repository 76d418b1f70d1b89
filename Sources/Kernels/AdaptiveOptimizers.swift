import KernelTypes

// Updates that divide by a running magnitude of the gradient. Every loop is one pass over parameter, gradient and
// state.

/// Reads and writes one tensor of an update, a vector at a time.
struct UpdateLanes<V: FloatVector> {
  private let start: UnsafeMutablePointer<V.Scalar>

  @inline(__always)
  init(_ pointer: UnsafeMutableRawPointer) { start = pointer.assumingMemoryBound(to: V.Scalar.self) }

  @inline(__always)
  func load(_ i: Int, _ count: Int) -> V { loadLanes(start + i, count, V.self) }

  @inline(__always)
  func store(_ value: V, _ i: Int, _ count: Int) { storeLanes(value, start + i, count) }
}

/// The gradient as the formulas mean it: pointing uphill, with the weight decay in it.
@inline(__always)
func direction<V: FloatVector>(_ gradient: V, _ value: V, _ step: UpdateStep) -> V {
  var d = gradient
  if step.maximize { d = d.negated }
  if step.weightDecay != 0 { d = d.adding(V(step.weightDecay), times: value) }
  return d
}

/// `beta · old + (1 - beta) · new`, counted from the nearer end.
@inline(__always)
func runningMean<V: FloatVector>(_ old: V, _ new: V, _ beta: Double) -> V {
  1 - beta < 0.5 ? old.adding(V(1 - beta), times: new - old) : new.adding(V(-beta), times: new - old)
}

/// `beta · old + (1 - beta) · new²`.
@inline(__always)
func runningSquare<V: FloatVector>(_ old: V, _ new: V, _ beta: Double) -> V {
  (old * V(beta)).adding(V(1 - beta) * new, times: new)
}

@inline(__always)
private func nadam<V: FloatVector>(_ vector: V.Type) -> UpdateKernel {
  { pointers, n, step in
    let (p, g) = (UpdateLanes<V>(pointers[0]), UpdateLanes<V>(pointers[1]))
    let (m, v) = (UpdateLanes<V>(pointers[2]), UpdateLanes<V>(pointers[3]))
    columnBlocks(n, V.scalarCount) { i, count in
      var value = p.load(i, count)
      let d = direction(g.load(i, count), value, step)
      if step.shrink != 1 { value = value * V(step.shrink) }
      let mean = runningMean(m.load(i, count), d, step.beta1)
      let squares = runningSquare(v.load(i, count), d, step.beta2)
      m.store(mean, i, count)
      v.store(squares, i, count)
      let denominator = (squares / V(step.correction)).root + V(step.eps)
      value = value - V(step.rate) * d / denominator
      p.store(value - V(step.momentumRate) * mean / denominator, i, count)
    }
  }
}

@inline(__always)
private func radam<V: FloatVector>(_ vector: V.Type) -> UpdateKernel {
  { pointers, n, step in
    let (p, g) = (UpdateLanes<V>(pointers[0]), UpdateLanes<V>(pointers[1]))
    let (m, v) = (UpdateLanes<V>(pointers[2]), UpdateLanes<V>(pointers[3]))
    columnBlocks(n, V.scalarCount) { i, count in
      var value = p.load(i, count)
      let d = direction(g.load(i, count), value, step)
      if step.shrink != 1 { value = value * V(step.shrink) }
      let mean = runningMean(m.load(i, count), d, step.beta1)
      let squares = runningSquare(v.load(i, count), d, step.beta2)
      m.store(mean, i, count)
      v.store(squares, i, count)
      let change = V(step.rate) * mean
      p.store(value - (step.isAdaptive ? change / (squares.root + V(step.eps)) : change), i, count)
    }
  }
}

@inline(__always)
private func adamax<V: FloatVector>(_ vector: V.Type) -> UpdateKernel {
  { pointers, n, step in
    let (p, g) = (UpdateLanes<V>(pointers[0]), UpdateLanes<V>(pointers[1]))
    let (m, u) = (UpdateLanes<V>(pointers[2]), UpdateLanes<V>(pointers[3]))
    columnBlocks(n, V.scalarCount) { i, count in
      let value = p.load(i, count)
      let d = direction(g.load(i, count), value, step)
      let mean = runningMean(m.load(i, count), d, step.beta1)
      let most = maximum(u.load(i, count) * V(step.beta2), d.absolute + V(step.eps))
      m.store(mean, i, count)
      u.store(most, i, count)
      p.store(value - V(step.rate) * mean / most, i, count)
    }
  }
}

@inline(__always)
private func adagrad<V: FloatVector>(_ vector: V.Type) -> UpdateKernel {
  { pointers, n, step in
    let (p, g) = (UpdateLanes<V>(pointers[0]), UpdateLanes<V>(pointers[1]))
    let sum = UpdateLanes<V>(pointers[2])
    columnBlocks(n, V.scalarCount) { i, count in
      let value = p.load(i, count)
      let d = direction(g.load(i, count), value, step)
      let squares = sum.load(i, count).adding(d, times: d)
      sum.store(squares, i, count)
      p.store(value - V(step.rate) * d / (squares.root + V(step.eps)), i, count)
    }
  }
}

@inline(__always)
private func adadelta<V: FloatVector>(_ vector: V.Type) -> UpdateKernel {
  { pointers, n, step in
    let (p, g) = (UpdateLanes<V>(pointers[0]), UpdateLanes<V>(pointers[1]))
    let (s, a) = (UpdateLanes<V>(pointers[2]), UpdateLanes<V>(pointers[3]))
    columnBlocks(n, V.scalarCount) { i, count in
      let value = p.load(i, count)
      let d = direction(g.load(i, count), value, step)
      let squares = runningSquare(s.load(i, count), d, step.beta2)
      let before = a.load(i, count)
      let change = (before + V(step.eps)).root / (squares + V(step.eps)).root * d
      s.store(squares, i, count)
      a.store(runningSquare(before, change, step.beta2), i, count)
      p.store(value.adding(V(-step.rate), times: change), i, count)
    }
  }
}

@inline(__always)
private func rmsprop<V: FloatVector>(_ vector: V.Type) -> UpdateKernel {
  { pointers, n, step in
    let (p, g) = (UpdateLanes<V>(pointers[0]), UpdateLanes<V>(pointers[1]))
    let s = UpdateLanes<V>(pointers[2])
    let centre = step.isAdaptive ? UpdateLanes<V>(pointers[3]) : s
    let buffer = step.momentum > 0 ? UpdateLanes<V>(pointers[step.isAdaptive ? 4 : 3]) : s
    columnBlocks(n, V.scalarCount) { i, count in
      let value = p.load(i, count)
      let d = direction(g.load(i, count), value, step)
      let squares = runningSquare(s.load(i, count), d, step.beta2)
      s.store(squares, i, count)
      var spread = squares
      if step.isAdaptive {
        let mean = runningMean(centre.load(i, count), d, step.beta2)
        centre.store(mean, i, count)
        spread = squares.adding(mean.negated, times: mean)
      }
      let denominator = spread.root + V(step.eps)
      if step.momentum > 0 {
        let moving = buffer.load(i, count) * V(step.momentum) + d / denominator
        buffer.store(moving, i, count)
        p.store(value.adding(V(-step.rate), times: moving), i, count)
      } else {
        p.store(value - V(step.rate) * d / denominator, i, count)
      }
    }
  }
}

@inline(__always)
private func lamb<V: FloatVector>(_ vector: V.Type) -> UpdateKernel {
  { pointers, n, step in
    let (p, g) = (UpdateLanes<V>(pointers[0]), UpdateLanes<V>(pointers[1]))
    let (m, v) = (UpdateLanes<V>(pointers[2]), UpdateLanes<V>(pointers[3]))
    let out = UpdateLanes<V>(pointers[4])
    columnBlocks(n, V.scalarCount) { i, count in
      let value = p.load(i, count)
      var d = g.load(i, count)
      if step.maximize { d = d.negated }
      let mean = runningMean(m.load(i, count), d, step.beta1)
      let squares = runningSquare(v.load(i, count), d, step.beta2)
      m.store(mean, i, count)
      v.store(squares, i, count)
      let change = V(step.rate) * mean / ((squares / V(step.correction)).root + V(step.eps))
      out.store(change.adding(V(step.weightDecay), times: value), i, count)
    }
  }
}

func registerAdaptiveOptimizers(_ table: inout OptimizerKernels) {
  table.nadam = [
    stored(nadam(Floats.self)),
    stored(nadam(Doubles.self)),
  ]
  table.radam = [
    stored(radam(Floats.self)),
    stored(radam(Doubles.self)),
  ]
  table.adamax = [
    stored(adamax(Floats.self)),
    stored(adamax(Doubles.self)),
  ]
  table.adagrad = [
    stored(adagrad(Floats.self)),
    stored(adagrad(Doubles.self)),
  ]
  table.adadelta = [
    stored(adadelta(Floats.self)),
    stored(adadelta(Doubles.self)),
  ]
  table.rmsprop = [
    stored(rmsprop(Floats.self)),
    stored(rmsprop(Doubles.self)),
  ]
  table.lamb = [
    stored(lamb(Floats.self)),
    stored(lamb(Doubles.self)),
  ]
}
