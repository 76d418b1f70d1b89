import KernelTypes

/// a before b in ascending order, NaN last.
@inline(__always) private func precedes<T: BinaryFloatingPoint>(_ a: T, _ b: T) -> Bool {
  a < b || (b != b && a == a)
}
@inline(__always) private func precedes(_ a: Int64, _ b: Int64) -> Bool { a < b }

/// Merge sort from runs that insertion has put in order, between the two arrays in turns.
@inline(__always)
private func sort<T>(_ type: T.Type, _ precedes: @escaping (T, T) -> Bool) -> SortKernel {
  { keys, order, n, isDescending, scratch in
    let x = keys.assumingMemoryBound(to: T.self)
    let isBefore: (Int64, Int64) -> Bool = { a, b in
      isDescending ? precedes(x[Int(b)], x[Int(a)]) : precedes(x[Int(a)], x[Int(b)])
    }
    let run = 16
    var start = 0
    while start < n {
      let end = Swift.min(start + run, n)
      for i in start..<end {
        var place = i
        while place > start && isBefore(Int64(i), order[place - 1]) {
          order[place] = order[place - 1]
          place -= 1
        }
        order[place] = Int64(i)
      }
      start = end
    }
    var (from, to) = (order, scratch)
    var width = run
    while width < n {
      var low = 0
      while low < n {
        let middle = Swift.min(low + width, n), high = Swift.min(low + 2 * width, n)
        var (a, b, out) = (low, middle, low)
        while a < middle && b < high {
          // Only a strictly smaller value of the right run goes first: equal ones keep their order.
          if isBefore(from[b], from[a]) {
            to[out] = from[b]
            b += 1
          } else {
            to[out] = from[a]
            a += 1
          }
          out += 1
        }
        while a < middle {
          to[out] = from[a]
          (a, out) = (a + 1, out + 1)
        }
        while b < high {
          to[out] = from[b]
          (b, out) = (b + 1, out + 1)
        }
        low = high
      }
      (from, to) = (to, from)
      width *= 2
    }
    if from != order { order.update(from: from, count: n) }
  }
}

/// A heap of the k best so far, its worst on top, then taken apart from the worst to the best.
@inline(__always)
private func topK<T>(_ type: T.Type, _ precedes: @escaping (T, T) -> Bool) -> TopKKernel {
  { keys, heap, n, k, isLargest in
    let x = keys.assumingMemoryBound(to: T.self)
    if k <= 0 || k > n { return }
    // Whether a comes before b in the result.
    let isBetter: (Int64, Int64) -> Bool = { a, b in
      let (u, v) = (x[Int(a)], x[Int(b)])
      if isLargest ? precedes(v, u) : precedes(u, v) { return true }
      if isLargest ? precedes(u, v) : precedes(v, u) { return false }
      return a < b
    }
    func sink(_ root: Int, _ count: Int) {
      var i = root
      while true {
        var worst = i
        for child in (2 * i + 1)...(2 * i + 2) where child < count && isBetter(heap[worst], heap[child]) {
          worst = child
        }
        if worst == i { return }
        (heap[i], heap[worst]) = (heap[worst], heap[i])
        i = worst
      }
    }
    for i in 0..<k { heap[i] = Int64(i) }
    for i in stride(from: k / 2 - 1, through: 0, by: -1) { sink(i, k) }
    for i in k..<n where isBetter(Int64(i), heap[0]) {
      heap[0] = Int64(i)
      sink(0, k)
    }
    for count in stride(from: k - 1, to: 0, by: -1) {
      (heap[0], heap[count]) = (heap[count], heap[0])
      sink(0, count)
    }
  }
}

@inline(__always)
private func search<T>(_ type: T.Type, _ precedes: @escaping (T, T) -> Bool) -> SearchKernel {
  { sorted, n, wanted, places, count, isRight in
    let x = sorted.assumingMemoryBound(to: T.self), values = wanted.assumingMemoryBound(to: T.self)
    for i in 0..<count {
      let value = values[i]
      var (low, high) = (0, n)
      while low < high {
        let middle = (low + high) / 2
        if isRight ? !precedes(value, x[middle]) : precedes(x[middle], value) {
          low = middle + 1
        } else {
          high = middle
        }
      }
      places[i] = Int64(low)
    }
  }
}

func registerSorting(_ table: inout SortKernels) {
  table.sort = [
    stored(sort(Float.self, precedes)),
    stored(sort(Double.self, precedes)),
    stored(sort(Int64.self, precedes)),
  ]
  table.topK = [
    stored(topK(Float.self, precedes)),
    stored(topK(Double.self, precedes)),
    stored(topK(Int64.self, precedes)),
  ]
  table.search = [
    stored(search(Float.self, precedes)),
    stored(search(Double.self, precedes)),
    stored(search(Int64.self, precedes)),
  ]
}
