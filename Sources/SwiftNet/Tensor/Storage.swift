import Synchronization

/// A block of memory that tensors share. It counts the changes made to it, so that backward can tell whether a
/// saved tensor still holds what it held.
///
/// The contents may be deferred: then the storage holds a recipe instead of memory, until somebody needs to read or
/// write it. See `ElementwiseRecipe`.
public final class Storage: @unchecked Sendable {
  public let byteCount: Int
  /// Grows with each in-place operation on any tensor that shares this memory.
  public internal(set) var version: Int {
    get { sharedVersion?.value ?? ownVersion }
    set { if let sharedVersion { sharedVersion.value = newValue } else { ownVersion = newValue } }
  }
  private var ownVersion = 0
  /// Common to a storage and its twins.
  private var sharedVersion: SharedVersion?
  /// For a twin: whose contents it has, as long as that is there.
  private weak var original: Storage?
  /// Whether the graph holds these contents themselves for backward.
  var isSaved: Bool { saved.load(ordering: .relaxed) }
  private let saved = Atomic<Bool>(false)
  /// Whether these contents are a gradient that goes to several operations: the first one that computes them keeps them
  /// for the others.
  var isSpread: Bool { spread.load(ordering: .relaxed) }
  private let spread = Atomic<Bool>(false)
  /// Whether memory outside this library (a NumPy array, say) may read or write these bytes at any time.
  public internal(set) var isShared: Bool
  /// Whether this library chose an order of elements that is not row-major, where PyTorch would have: `view` must not
  /// fail for that.
  var isArranged = false
  /// Two threads may ask for the contents at once.
  private let isPending = Atomic<Bool>(false)
  private var kept: ElementwiseRecipe?
  /// For the weight of a convolution: what evaluation keeps of it.
  var prepared: PreparedFilters?
  /// For a running variance: what evaluation makes of it.
  var channelScale: ChannelScale.Kept?
  /// Deferred storages that will read this one.
  private var readers: [Reader] = []
  /// Whether there are any, for those who have not locked the list.
  private let hasReaders = Atomic<Bool>(false)
  private var base: UnsafeMutableRawPointer
  private var block: MemoryPool.Block?
  /// What foreign memory wants to be called at its end.
  private let release: (() -> Void)?
  private let computing = SpinLock()
  /// Tells these contents from others: 0 until somebody asks, and again when they are about to change.
  private let number = Atomic<Int>(0)
  private static let lastNumber = Atomic<Int>(0)

  /// A number that no other contents have.
  var contentsNumber: Int {
    let known = number.load(ordering: .relaxed)
    if known != 0 { return known }
    let fresh = Storage.lastNumber.add(1, ordering: .relaxed).newValue
    return number.compareExchange(expected: 0, desired: fresh, ordering: .relaxed).original == 0
      ? fresh : number.load(ordering: .relaxed)
  }

  /// Held for the moment in which `kept` or `takers` is read or changed.
  private let keptLock = SpinLock()
  /// How many are about to take the recipe over.
  private var takers = 0

  /// A storage takes itself out of such lists before it ends: while the lists are locked, all in them are there, if only
  /// on the point of ending. (A weak reference in the list would make every later use of the storage slower.)
  private typealias Reader = Unmanaged<Storage>

  /// A storage unless it is about to end.
  private struct WeakReader {
    weak var storage: Storage?
  }

  /// New memory of the pool, not cleared.
  init(byteCount: Int) throws {
    let block = try MemoryPool.shared.allocate(byteCount)
    self.block = block
    self.base = block.pointer
    self.byteCount = byteCount
    self.release = nil
    self.isShared = false
  }

  private init(_ block: MemoryPool.Block, byteCount: Int) {
    self.block = block
    self.base = block.pointer
    self.byteCount = byteCount
    self.release = nil
    self.isShared = false
  }

  /// Contents to be computed when they are needed.
  init(byteCount: Int, recipe: ElementwiseRecipe) {
    self.byteCount = byteCount
    self.kept = recipe
    self.base = UnsafeMutableRawPointer(bitPattern: MemoryPool.alignment).unsafelyUnwrapped
    self.release = nil
    self.isShared = false
    isPending.store(true, ordering: .releasing)
    enlist(for: recipe)
  }

  /// How to compute the contents; nil once they are there.
  var recipe: ElementwiseRecipe? {
    guard isPending.load(ordering: .acquiring) else { return nil }
    return usingKept { kept }
  }

  /// The recipe for somebody who takes it over into another one, or runs it without computing the contents: until the
  /// `endTaking` that must follow, nobody changes what it reads.
  func beginTaking() -> ElementwiseRecipe? {
    guard isPending.load(ordering: .acquiring) else { return nil }
    return usingKept {
      if kept != nil { takers += 1 }
      return kept
    }
  }

  func endTaking(_ recipe: ElementwiseRecipe) {
    let isOver = usingKept {
      takers -= 1
      return takers == 0 && kept == nil
    }
    if isOver { forget(recipe) }
  }

  /// Calls `body` with the recipe, or with nil if the contents are there. Nobody changes meanwhile what the recipe reads.
  func takingRecipe<R>(_ body: (ElementwiseRecipe?) throws -> R) rethrows -> R {
    guard let recipe = beginTaking() else { return try body(nil) }
    defer { endTaking(recipe) }
    return try body(recipe)
  }

  /// Whether the contents are still to be computed.
  var isDeferred: Bool { isPending.load(ordering: .acquiring) }

  private func usingKept<R>(_ body: () -> R) -> R {
    keptLock.withLock(body)
  }

  /// Memory that somebody else owns; `release` is called when no tensor uses it any more.
  public init(foreign pointer: UnsafeMutableRawPointer, byteCount: Int, release: @escaping () -> Void) {
    self.block = nil
    self.base = pointer
    self.byteCount = byteCount
    self.release = release
    self.isShared = true
  }

  deinit {
    if let kept { forget(kept) }
    if let block { MemoryPool.shared.deallocate(block) }
    release?()
  }

  /// The memory, with its contents computed.
  var pointer: UnsafeMutableRawPointer {
    get throws {
      if isPending.load(ordering: .acquiring) { try compute() }
      return base
    }
  }

  /// Calls `body` with the recipe, or with nil if the contents are there, while nobody else computes them: for those who
  /// read a part without the rest. Whoever is about to change what the recipe reads waits meanwhile.
  func whileComputing<R>(_ body: (ElementwiseRecipe?) throws -> R) throws -> R {
    try computing.withLock { try body(recipe) }
  }

  private func compute() throws {
    try whileComputing { recipe in
      if let recipe { try compute(recipe) }
    }
  }

  private func compute(_ recipe: ElementwiseRecipe) throws {
    try Interrupt.check()
    let computed = try Storage(byteCount: byteCount)
    try recipe.run(into: computed)
    take(computed, of: recipe)
  }

  /// Contents that somebody has computed elsewhere by the recipe that he is taking over; `computed` has them no longer.
  func adopt(_ computed: Storage) throws {
    try whileComputing { recipe in
      if let recipe { take(computed, of: recipe) }
    }
  }

  /// A storage with the memory of this one, which has it no longer: for a result that is written over contents that
  /// nobody reads again, but for a deferred storage that nobody reads either. nil if somebody may.
  func successor(readBy reader: Storage? = nil) -> Storage? {
    guard let block, !isDeferred, !isShared else { return nil }
    if hasReaders.load(ordering: .acquiring) {
      let known = reader.map { Unmanaged.passUnretained($0).toOpaque() }
      guard Storage.usingReaders({ readers.allSatisfy { $0.toOpaque() == known } }) else { return nil }
    }
    self.block = nil
    let storage = Storage(block, byteCount: byteCount)
    storage.isArranged = isArranged
    return storage
  }

  private func take(_ computed: Storage, of recipe: ElementwiseRecipe) {
    base = computed.base
    block = computed.block
    computed.block = nil
    // The recipe itself ends after the lock is released: what it reads may end with it.
    let isOver = usingKept {
      kept = nil
      return takers == 0
    }
    isPending.store(false, ordering: .releasing)
    if isOver { forget(recipe) }
  }

  /// How many deferred storages read this one, each as often as its recipe does.
  var readerCount: Int {
    hasReaders.load(ordering: .acquiring) ? Storage.usingReaders { readers.count } : 0
  }

  /// A view of deferred contents, the same one for all who ask with such a tensor; nil if it shows something else than all
  /// of them, or they are there.
  func commonView(_ tensor: Tensor) throws -> Tensor? {
    guard isPending.load(ordering: .acquiring) else { return nil }
    let made = try tensor.alias()
    return usingKept {
      guard let kept, kept.isAll(tensor) else { return nil }
      if let view = kept.view { return view }
      kept.view = made
      return made
    }
  }

  /// Held for the moment in which a list of readers is read or changed.
  private static let readersLock = SpinLock()

  private static func usingReaders<R>(_ body: () -> R) -> R {
    readersLock.withLock(body)
  }

  /// Puts this storage into the lists of those that its recipe reads.
  private func enlist(for recipe: ElementwiseRecipe) {
    let reader = Unmanaged.passUnretained(self)
    Storage.usingReaders {
      for case .tensor(let tensor) in recipe.program.leaves {
        tensor.memory.readers.append(reader)
        tensor.memory.hasReaders.store(true, ordering: .releasing)
      }
    }
  }

  /// Takes this storage out of the lists of those that its recipe reads.
  private func forget(_ recipe: ElementwiseRecipe) {
    let reader = Unmanaged.passUnretained(self).toOpaque()
    Storage.usingReaders {
      for case .tensor(let tensor) in recipe.program.leaves {
        let memory = tensor.memory
        memory.readers.removeAll { $0.toOpaque() == reader }
        memory.hasReaders.store(!memory.readers.isEmpty, ordering: .releasing)
      }
    }
  }

  /// Computes every deferred storage that reads this one, and waits for those who take its recipe over: called before the
  /// contents change.
  @inline(__always)
  func willChange() throws {
    number.store(0, ordering: .relaxed)
    if hasReaders.load(ordering: .acquiring) { try computeReaders() }
  }

  private func computeReaders() throws {
    while true {
      let waiting = Storage.usingReaders {
        readers.compactMap { reader -> Storage? in
          let storage = reader.takeUnretainedValue()
          // Not given up before there is another reference: if it were the last one, the storage would end here, within the
          // lock.
          return withExtendedLifetime(storage) { WeakReader(storage: storage).storage }
        }
      }
      if waiting.isEmpty { return }
      for storage in waiting {
        _ = try storage.pointer
        while storage.usingKept({ storage.takers > 0 }) { sched_yield() }
      }
      // Whoever took a recipe over is a reader himself now.
    }
  }
}

/// A recipe that is being taken over, for as long as this object lives.
final class TakenRecipe {
  let recipe: ElementwiseRecipe
  let storage: Storage

  /// nil if the contents are there.
  init?(_ storage: Storage) {
    guard let recipe = storage.beginTaking() else { return nil }
    (self.storage, self.recipe) = (storage, recipe)
  }

  deinit { storage.endTaking(recipe) }
}

/// A version that several storages have in common.
private final class SharedVersion {
  var value: Int
  private weak var twin: Storage?
  private var valueOfTwin = 0

  init(_ value: Int) { self.value = value }

  func noteTwin(_ twin: Storage) { (self.twin, valueOfTwin) = (twin, value) }

  /// The twin that was made last, unless the contents have changed since.
  var lastTwin: Storage? { value == valueOfTwin ? twin : nil }
}

extension Storage {
  /// A storage with the same contents, still to be computed, if this one's are and if that costs no memory: what they
  /// are computed from is held for backward anyway. The graph keeps such a twin instead of contents that can be had
  /// again in one pass; a change of the original makes the twin's version differ as well.
  func twin() -> Storage? {
    takingRecipe { recipe in
      recipe?.repeated { recipe in
        let twin = Storage(byteCount: byteCount, recipe: recipe)
        twin.isArranged = isArranged
        twin.follow(self)
        sharedVersion?.noteTwin(twin)
        return twin
      }
    }
  }

  /// The twin of these contents, if they have one that is still to be computed.
  var deferredTwin: Storage? {
    guard let twin = sharedVersion?.lastTwin, twin.isDeferred else { return nil }
    return twin
  }

  func noteSpread() { spread.store(true, ordering: .relaxed) }

  func noteSaved() {
    if !isSaved { saved.store(true, ordering: .relaxed) }
  }

  /// Makes this storage a twin of another.
  func follow(_ storage: Storage) {
    let shared = storage.sharedVersion ?? SharedVersion(storage.version)
    storage.sharedVersion = shared
    sharedVersion = shared
    original = storage
  }

  func isTwin(of storage: Storage) -> Bool { sharedVersion != nil && original === storage }

  /// The original if it is there and computed.
  var computedOriginal: Storage? {
    guard isDeferred, sharedVersion != nil, let original, !original.isPending.load(ordering: .acquiring) else {
      return nil
    }
    return original
  }

  /// Exchanges contents and recipes with another storage of the same size; versions stay. False if that cannot be:
  /// somebody else knows one of the addresses.
  func exchangeContents(with other: Storage) throws -> Bool {
    guard other !== self, byteCount == other.byteCount, !isShared, !other.isShared, release == nil,
      other.release == nil
    else { return false }
    try willChange()
    try other.willChange()
    if let recipe = other.recipe, recipe.reads(self) { _ = try other.pointer }
    if let recipe, recipe.reads(other) { _ = try pointer }
    let (mine, theirs) = (recipe, other.recipe)
    if let mine { forget(mine) }
    if let theirs { other.forget(theirs) }
    swap(&base, &other.base)
    swap(&block, &other.block)
    swap(&isArranged, &other.isArranged)
    usingKept { kept = theirs }
    other.usingKept { other.kept = mine }
    isPending.store(theirs != nil, ordering: .releasing)
    other.isPending.store(mine != nil, ordering: .releasing)
    if let theirs { enlist(for: theirs) }
    if let mine { other.enlist(for: mine) }
    return true
  }
}

extension Tensor {
  /// A tensor over memory that somebody else owns.
  public static func overMemory(
    _ data: UnsafeMutableRawPointer?, bytes: Int, shape: [Int], strides: [Int], offset: Int, dtype: DType,
    release: @escaping () -> Void
  ) throws -> Tensor {
    let count = try Shape.count(shape)
    try require(shape.count == strides.count, .value, "shape and strides differ in length")
    let geometry = Geometry(shape: shape, strides: strides, offset: offset)
    let extent = Tensor.extent(geometry)
    try require(
      count == 0 || (extent.lowerBound >= 0 && extent.upperBound <= bytes / dtype.size), .value,
      "shape \(Shape.describe(shape)) with strides \(Shape.describe(strides)) does not lie in \(bytes) bytes of memory")
    try require(
      !strides.contains { $0 < 0 }, .value,
      "At least one of the strides is negative, and tensors with negative strides are not currently supported. "
        + "(You can make a copy with array.copy().)")
    guard let data = data ?? (count == 0 ? UnsafeMutableRawPointer(bitPattern: 64) : nil) else {
      throw SwiftNetError.value("memory is NULL")
    }
    let storage = Storage(foreign: data, byteCount: bytes, release: release)
    return Tensor(storage: storage, dtype: dtype, shape: shape, strides: strides, offset: offset, count: count)
  }

  /// A tensor with a copy of row-major data.
  public static func copying(_ data: UnsafeRawPointer?, shape: [Int], dtype: DType) throws -> Tensor {
    let result = try Tensor(empty: shape, dtype: dtype)
    if result.count > 0, let data {
      try result.mutablePointer().copyMemory(from: data, byteCount: result.count * dtype.size)
    }
    return result
  }

  /// The first element, for memory that others will read and write from now on.
  public func exposeMemory() throws -> UnsafeMutableRawPointer {
    let storage = try self.storage
    try storage.willChange()
    storage.isShared = true
    return try storage.pointer + offset &* dtype.size
  }

  public var storageBytes: Int {
    get throws { try storage.byteCount }
  }

  public var version: Int { memory.version }

  /// Equal for tensors that share memory.
  public var storageIdentity: Int { Int(bitPattern: Unmanaged.passUnretained(memory).toOpaque()) }

  /// Takes over the memory, shape and dtype of another tensor; its own gradient and history stay.
  public func setData(_ source: Tensor) throws {
    memory = try source.storage
    dtype = source.dtype
    shape = source.shape
    strides = source.strides
    offset = source.offset
    count = source.count
    autograd?.accumulator = nil
  }
}
