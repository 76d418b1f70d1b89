import KernelTypes

// Updates by the sign of the gradient, the averaged one, and the unscaling of gradients for mixed precision.

@inline(__always)
private func rprop<V: FloatVector>(_ vector: V.Type) -> UpdateKernel {
  { pointers, n, step in
    let (p, g) = (UpdateLanes<V>(pointers[0]), UpdateLanes<V>(pointers[1]))
    let (before, sizes) = (UpdateLanes<V>(pointers[2]), UpdateLanes<V>(pointers[3]))
    let (least, greatest) = (V(step.least), V(step.greatest))
    columnBlocks(n, V.scalarCount) { i, count in
      var d = g.load(i, count)
      if step.maximize { d = d.negated }
      let product = d * before.load(i, count)
      let turned = V.flag(product .< V.zero)
      let factor = V.select(
        product .> V.zero, V(step.growing), V.select(product .< V.zero, V(step.shrinking), V.one))
      let size = minimum(maximum(sizes.load(i, count) * factor, least), greatest)
      // Where the sign has changed, the parameter rests.
      d = V.select(turned .> V.zero, V.zero, d)
      sizes.store(size, i, count)
      before.store(d, i, count)
      p.store(p.load(i, count) - sign(d) * size, i, count)
    }
  }
}

@inline(__always)
private func asgd<V: FloatVector>(_ vector: V.Type) -> UpdateKernel {
  { pointers, n, step in
    let (p, g) = (UpdateLanes<V>(pointers[0]), UpdateLanes<V>(pointers[1]))
    let average = UpdateLanes<V>(pointers[2])
    columnBlocks(n, V.scalarCount) { i, count in
      var value = p.load(i, count)
      let d = direction(g.load(i, count), value, step)
      value = (value * V(step.shrink)).adding(V(-step.rate), times: d)
      p.store(value, i, count)
      if step.momentum == 1 {
        average.store(value, i, count)
      } else {
        let mean = average.load(i, count)
        average.store(mean + (value - mean) * V(step.momentum), i, count)
      }
    }
  }
}

@inline(__always)
private func lion<V: FloatVector>(_ vector: V.Type) -> UpdateKernel {
  { pointers, n, step in
    let (p, g) = (UpdateLanes<V>(pointers[0]), UpdateLanes<V>(pointers[1]))
    let m = UpdateLanes<V>(pointers[2])
    columnBlocks(n, V.scalarCount) { i, count in
      var d = g.load(i, count)
      if step.maximize { d = d.negated }
      let mean = m.load(i, count)
      let change = sign((mean * V(step.beta1)).adding(V(1 - step.beta1), times: d))
      m.store((mean * V(step.beta2)).adding(V(1 - step.beta2), times: d), i, count)
      p.store((p.load(i, count) * V(step.shrink)).adding(V(-step.rate), times: change), i, count)
    }
  }
}

@inline(__always)
private func unscale<V: FloatVector>(_ vector: V.Type) -> UnscaleKernel {
  { pointer, n, factor in
    let g = UpdateLanes<V>(pointer)
    // x - x is 0 for finite x and NaN otherwise.
    var trouble = V.zero
    columnBlocks(n, V.scalarCount) { i, count in
      let value = g.load(i, count)
      trouble = trouble + (value - value)
      g.store(value * V(factor), i, count)
    }
    let found = V.flag(trouble .!= V.zero)
    return withUnsafeBytes(of: found) { $0.contains { $0 != 0 } }
  }
}

func registerSignOptimizers(_ table: inout OptimizerKernels) {
  table.rprop = [
    stored(rprop(Floats.self)),
    stored(rprop(Doubles.self)),
  ]
  table.asgd = [
    stored(asgd(Floats.self)),
    stored(asgd(Doubles.self)),
  ]
  table.lion = [
    stored(lion(Floats.self)),
    stored(lion(Doubles.self)),
  ]
  table.unscale = [
    stored(unscale(Floats.self)),
    stored(unscale(Doubles.self)),
  ]
}
