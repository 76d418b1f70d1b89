/// MT19937 (Matsumoto and Nishimura, 1998), the engine of PyTorch's CPU generator, with its two cached halves
/// of normal pairs.
struct MersenneTwister {
  static let size = 624

  private(set) var seed: UInt64
  private var state: [UInt32]
  /// Words left before the state is renewed, and the next one's place: as PyTorch counts them.
  private var left = 1
  private var next = 0
  /// The second value of a pair of normal numbers, unscaled.
  var cachedNormal: Double?
  /// Kept only so that a state from PyTorch survives the round trip.
  private var cachedFloatNormal: Float?

  init(seed: UInt64) {
    self.seed = seed
    state = Array(repeating: 0, count: Self.size)
    state[0] = UInt32(truncatingIfNeeded: seed)
    for i in 1..<Self.size {
      let last = state[i - 1]
      state[i] = 1_812_433_253 &* (last ^ (last >> 30)) &+ UInt32(i)
    }
  }

  private mutating func renew() {
    left = Self.size
    next = 0
    state.withUnsafeMutableBufferPointer { s in
      if let first = s.baseAddress { kernels.random.renew(first, first) }
    }
  }

  /// The next `count` 32-bit words; without tempering, for whoever does that later.
  mutating func words(_ out: UnsafeMutablePointer<UInt32>, _ count: Int, tempers: Bool = true) {
    var done = 0
    while done < count {
      if left == 1, !tempers, count - done >= Self.size {
        done += states(out + done, (count - done) / Self.size)
        continue
      }
      if left == 1 { renew() } else { left -= 1 }
      let taken = min(count - done, Self.size - next)
      state.withUnsafeBufferPointer { s in
        guard let first = s.baseAddress else { return }
        if tempers {
          kernels.random.temper(first + next, out + done, taken)
        } else {
          (out + done).update(from: first + next, count: taken)
        }
      }
      next += taken
      left -= taken - 1
      done += taken
    }
  }

  /// Whole states one behind the other, each made from the one before where it stands. Returns the number of words.
  private mutating func states(_ out: UnsafeMutablePointer<UInt32>, _ count: Int) -> Int {
    state.withUnsafeMutableBufferPointer { s in
      guard let first = s.baseAddress else { return }
      var last = first
      for block in 0..<count {
        kernels.random.renew(last, out + block * Self.size)
        last = out + block * Self.size
      }
      first.update(from: last, count: Self.size)
    }
    next = Self.size
    return count * Self.size
  }

  mutating func word() -> UInt32 {
    var value: UInt32 = 0
    words(&value, 1)
    return value
  }

  /// Two words, the first one on top.
  mutating func longWord() -> UInt64 {
    let high = UInt64(word())
    return high << 32 | UInt64(word())
  }

  /// Uniform in [0, 1) with 53 bits.
  mutating func uniform() -> Double { Double(longWord() & (1 << 53 - 1)) * 0x1p-53 }
}

/// The layout of `torch.get_rng_state()`: seed, words left (i32), seeded flag (i32), next (u64), 624 words in
/// 64 bits each, three doubles of which the second is the cached normal, its flag (i32), and a float with its
/// flag.
extension MersenneTwister {
  static let stateBytes = 5056
  private static let wordsAt = 24
  private static let normalAt = wordsAt + size * 8

  func save(_ out: UnsafeMutableRawPointer) {
    out.initializeMemory(as: UInt8.self, repeating: 0, count: Self.stateBytes)
    out.storeBytes(of: seed, as: UInt64.self)
    out.storeBytes(of: Int32(left), toByteOffset: 8, as: Int32.self)
    out.storeBytes(of: 1, toByteOffset: 12, as: Int32.self)
    out.storeBytes(of: UInt64(next), toByteOffset: 16, as: UInt64.self)
    for i in 0..<Self.size {
      out.storeBytes(of: UInt64(state[i]), toByteOffset: Self.wordsAt + 8 * i, as: UInt64.self)
    }
    if let cachedNormal {
      out.storeBytes(of: cachedNormal, toByteOffset: Self.normalAt + 8, as: Double.self)
      out.storeBytes(of: 1, toByteOffset: Self.normalAt + 24, as: Int32.self)
    }
    if let cachedFloatNormal {
      out.storeBytes(of: cachedFloatNormal, toByteOffset: Self.normalAt + 32, as: Float.self)
      out.storeBytes(of: 1, toByteOffset: Self.normalAt + 36, as: UInt8.self)
    }
  }

  /// nil if the bytes are no state.
  init?(state bytes: UnsafeRawPointer) {
    let left = Int(bytes.loadUnaligned(fromByteOffset: 8, as: Int32.self))
    let seeded = bytes.loadUnaligned(fromByteOffset: 12, as: Int32.self)
    let next = bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
    guard seeded == 1, (1...Self.size).contains(left), next <= UInt64(Self.size) else { return nil }
    // The two counts say the same; a state in which they differ would read past the end.
    guard left == 1 || Int(next) + left == Self.size + 1 else { return nil }
    seed = bytes.loadUnaligned(as: UInt64.self)
    self.left = left
    self.next = Int(next)
    state = (0..<Self.size).map {
      UInt32(truncatingIfNeeded: bytes.loadUnaligned(fromByteOffset: Self.wordsAt + 8 * $0, as: UInt64.self))
    }
    if bytes.loadUnaligned(fromByteOffset: Self.normalAt + 24, as: Int32.self) != 0 {
      cachedNormal = bytes.loadUnaligned(fromByteOffset: Self.normalAt + 8, as: Double.self)
    }
    if bytes.loadUnaligned(fromByteOffset: Self.normalAt + 36, as: UInt8.self) != 0 {
      cachedFloatNormal = bytes.loadUnaligned(fromByteOffset: Self.normalAt + 32, as: Float.self)
    }
  }
}
