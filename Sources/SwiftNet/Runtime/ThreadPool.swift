import CIntrinsics
import Synchronization

/// A fixed set of worker threads that share the iterations of one loop at a time.
///
/// Work is cut into chunks that do not depend on the number of threads, so a loop whose chunks write to places of their own
/// gives the same result for any number of them. Each thread begins with a share of its own, the same places in every loop
/// of one size: what it finds there is in the caches on its side of the processor. Whoever is done with his share helps
/// others with theirs. Workers spin for some microseconds before they sleep, which keeps the cost of a small loop below two
/// microseconds.
public final class ThreadPool: @unchecked Sendable {
  public static let shared = ThreadPool()

  /// Who begins with which chunks of a loop.
  private struct Shares {
    var chunks = 0
    var threads = 1

    subscript(thread: Int) -> Range<Int> {
      let (each, more) = chunks.quotientAndRemainder(dividingBy: threads)
      let first = thread * each + min(thread, more)
      return first..<first + each + (thread < more ? 1 : 0)
    }
  }

  /// The loop under way.
  private var job: ((Int) -> Void)?
  private var shares = Shares()
  /// For each thread the next chunk of its share, in a line of the cache of its own.
  private let next: UnsafeMutablePointer<Atomic<Int>>
  private static let nextStride = 16
  private static let mostThreads = 256
  /// Workers inside the loop under way, times two; odd while the loop is closed to newcomers. The caller waits for
  /// those inside alone: a worker that is still waking up is not waited for.
  private let inside = Atomic<Int>(1)
  /// Counts loops; a worker that sees it change joins the loop.
  private let generation = Atomic<Int>(0)
  private let sleepers = Atomic<Int>(0)
  private let busy = Atomic<Bool>(false)
  private var workers = 0
  private let requested = Atomic<Int>(1)
  private var mutex = pthread_mutex_t()
  private var wake = pthread_cond_t()

  /// How often a waiting worker looks before it sleeps; about 200 microseconds, which is longer than Python takes
  /// from one operation to the next.
  private static let spins = 10_000

  private init() {
    var threads = Int(sn_available_processors())
    if let text = environment("SWIFTNET_NUM_THREADS") ?? environment("OMP_NUM_THREADS"),
      let count = Int(text), count > 0
    {
      threads = count
    }
    let places = ThreadPool.nextStride * ThreadPool.mostThreads
    next = .allocate(capacity: places)
    for place in 0..<places { (next + place).initialize(to: Atomic(0)) }
    requested.store(min(threads, ThreadPool.mostThreads), ordering: .relaxed)
    pthread_mutex_init(&mutex, nil)
    pthread_cond_init(&wake, nil)
    // A forked child has none of the workers: it starts anew with the same number.
    pthread_atfork(nil, nil, { ThreadPool.shared.reset() })
  }

  private func reset() {
    workers = 0
    pthread_mutex_init(&mutex, nil)
    pthread_cond_init(&wake, nil)
    sleepers.store(0, ordering: .relaxed)
    inside.store(1, ordering: .relaxed)
    busy.store(false, ordering: .relaxed)
    job = nil
  }

  /// Threads that share a loop, the calling one included.
  public var threadCount: Int {
    get { requested.load(ordering: .relaxed) }
    set {
      while !tryAcquire() { sched_yield() }
      requested.store(max(1, min(newValue, ThreadPool.mostThreads)), ordering: .relaxed)
      release()
    }
  }

  private func tryAcquire() -> Bool {
    busy.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged
  }

  private func release() { busy.store(false, ordering: .releasing) }

  /// Runs `body(0)` to `body(chunks - 1)`, in any order, on all threads; returns when all are done. A loop inside
  /// a loop, or one of a second caller at the same time, runs on the calling thread alone.
  public func run(chunks: Int, _ body: (Int) -> Void) {
    if chunks <= 1 || threadCount == 1 || !tryAcquire() {
      for chunk in 0..<max(chunks, 0) { body(chunk) }
      return
    }
    defer { release() }
    startWorkers()
    withoutActuallyEscaping(body) { run in
      job = run
      shares = Shares(chunks: chunks, threads: threadCount)
      for thread in 0..<shares.threads {
        next[thread * ThreadPool.nextStride].store(shares[thread].lowerBound, ordering: .relaxed)
      }
      inside.subtract(1, ordering: .releasing)
      generation.add(1, ordering: .sequentiallyConsistent)
      if sleepers.load(ordering: .sequentiallyConsistent) > 0 {
        pthread_mutex_lock(&mutex)
        pthread_cond_broadcast(&wake)
        pthread_mutex_unlock(&mutex)
      }
      takeChunks(0)
      inside.add(1, ordering: .acquiringAndReleasing)
      var spins = 0
      while inside.load(ordering: .acquiring) != 1 {
        sn_spin_pause()
        spins += 1
        if spins > ThreadPool.spins { sched_yield() }
      }
      job = nil
    }
  }

  private func takeChunks(_ thread: Int) {
    guard let run = job else { return }
    let shares = shares
    for other in 0..<shares.threads {
      let owner = (thread + other) % shares.threads
      let end = shares[owner].upperBound
      let place = owner * ThreadPool.nextStride
      while next[place].load(ordering: .relaxed) < end {
        let chunk = next[place].add(1, ordering: .relaxed).oldValue
        if chunk >= end { break }
        run(chunk)
      }
    }
  }

  /// Brings the number of workers to `requested - 1`. Surplus workers of an earlier, larger setting stay out.
  private func startWorkers() {
    while workers < threadCount - 1 {
      let index = workers
      workers += 1
      let seen = generation.load(ordering: .relaxed)
      let start = Unmanaged.passRetained(WorkerStart(pool: self, index: index, generation: seen))
      var thread = pthread_t(bitPattern: 0)
      var attributes = pthread_attr_t()
      pthread_attr_init(&attributes)
      pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
      let status = pthread_create(
        &thread, &attributes,
        { argument in
          #if os(Linux)
            let start = Unmanaged<WorkerStart>.fromOpaque(argument!).takeRetainedValue()
          #else
            let start = Unmanaged<WorkerStart>.fromOpaque(argument).takeRetainedValue()
          #endif
          start.pool.work(index: start.index, after: start.generation)
          return nil
        }, start.toOpaque())
      pthread_attr_destroy(&attributes)
      if status != 0 {
        start.release()
        workers -= 1
        return
      }
    }
  }

  private func work(index: Int, after first: Int) {
    sn_set_thread_number(Int32(index + 1))
    var seen = first
    while true {
      var spins = 0
      while generation.load(ordering: .acquiring) == seen {
        sn_spin_pause()
        spins += 1
        if spins > ThreadPool.spins {
          pthread_mutex_lock(&mutex)
          sleepers.add(1, ordering: .sequentiallyConsistent)
          while generation.load(ordering: .sequentiallyConsistent) == seen { pthread_cond_wait(&wake, &mutex) }
          sleepers.subtract(1, ordering: .sequentiallyConsistent)
          pthread_mutex_unlock(&mutex)
        }
      }
      seen = generation.load(ordering: .acquiring)
      let isOpen = inside.add(2, ordering: .acquiringAndReleasing).oldValue & 1 == 0
      if isOpen, index < threadCount - 1 { takeChunks(index + 1) }
      inside.subtract(2, ordering: .releasing)
    }
  }
}

private final class WorkerStart {
  let pool: ThreadPool
  let index: Int
  let generation: Int

  init(pool: ThreadPool, index: Int, generation: Int) {
    self.pool = pool
    self.index = index
    self.generation = generation
  }
}

/// Runs `body(start, end)` over pieces of `0..<count` of `grain` iterations each, on all threads.
@inline(__always)
func parallelFor(_ count: Int, grain: Int, _ body: (Int, Int) -> Void) {
  if count <= grain {
    if count > 0 { body(0, count) }
    return
  }
  let chunks = (count + grain - 1) / grain
  ThreadPool.shared.run(chunks: chunks) { chunk in
    let start = chunk * grain
    body(start, Swift.min(start + grain, count))
  }
}
