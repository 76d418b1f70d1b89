/// What the processor can do at best, for the benchmark to compare with.
public enum Peak {
  /// Float32 operations per second of all threads together, with multiply-adds that touch no memory: the best of ten
  /// short trials.
  public static func multiplyAddRate() -> Double {
    let rounds = 20_000
    let chunks = ThreadPool.shared.threadCount * 8
    let operations = Double(2 * kernels.multiplyAddsPerRound * rounds * chunks)
    var best = 0.0
    for _ in 0..<10 {
      let start = now()
      ThreadPool.shared.run(chunks: chunks) { chunk in
        let result = kernels.multiplyAdds(rounds, 0.999)
        // Never so; the compiler cannot know.
        if result == .infinity { sched_yield() }
      }
      best = max(best, operations / (now() - start))
    }
    return best
  }

  private static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}
