/// An n-dimensional array: a dtype, a shape, and strides over a storage that other tensors may share.
///
/// Semantics are PyTorch's. Shapes are logical (N, C, H, W); the order in memory is told by the strides alone.
public final class Tensor {
  public internal(set) var dtype: DType
  public internal(set) var shape: [Int]
  public internal(set) var strides: [Int]
  /// First element, counted from the start of the storage.
  public internal(set) var offset: Int
  /// What automatic differentiation knows of this tensor; nil for most.
  var autograd: AutogradMeta?
  var memory: Storage
  /// Number of elements.
  public internal(set) var count: Int
  /// Made in inference mode: never takes part in a graph.
  public internal(set) var isInference: Bool

  init(storage: Storage, dtype: DType, shape: [Int], strides: [Int], offset: Int, count: Int) {
    self.memory = storage
    self.dtype = dtype
    self.shape = shape
    self.strides = strides
    self.offset = offset
    self.count = count
    isInference = ThreadState.current.isInferenceMode
  }

  deinit { autograd?.accumulator = nil }

  /// A new tensor with undefined contents, dense in the order of the given strides (row-major by default).
  public convenience init(empty shape: [Int], dtype: DType = .float32, strides: [Int]? = nil) throws {
    let count = try Shape.count(shape)
    let storage = try Storage(byteCount: count * dtype.size)
    self.init(
      storage: storage, dtype: dtype, shape: shape, strides: strides ?? Shape.contiguousStrides(shape), offset: 0,
      count: count)
    if let strides { storage.isArranged = !Shape.isContiguous(shape, strides) }
  }

  /// The storage, with its contents computed.
  var storage: Storage {
    get throws {
      if memory.recipe != nil { _ = try memory.pointer }
      return memory
    }
  }

  public var rank: Int { shape.count }
  public var isContiguous: Bool { Shape.isContiguous(shape, strides) }
  public var isChannelsLast: Bool { Shape.isChannelsLast(shape, strides) }
  public var isDense: Bool { Shape.isDense(shape, strides) }

  /// The first element in memory, for reading.
  func pointer() throws -> UnsafeRawPointer {
    UnsafeRawPointer(try memory.pointer + offset &* dtype.size)
  }

  /// The first element in memory, for writing. Deferred operations that read the old contents are computed first.
  func mutablePointer() throws -> UnsafeMutableRawPointer {
    try memory.willChange()
    return try memory.pointer + offset &* dtype.size
  }

  /// The size of a dimension, which may be negative.
  public func size(_ dim: Int) throws -> Int {
    try require(!shape.isEmpty, .index, "Dimension specified as \(dim) but tensor has no dimensions")
    return shape[try Shape.dimension(dim, rank: rank)]
  }

  /// Another tensor over the same storage, without a place in any graph.
  func alias(shape: [Int]? = nil, strides: [Int]? = nil, offset: Int? = nil, count: Int? = nil) throws -> Tensor {
    let result = Tensor(
      storage: memory, dtype: dtype, shape: shape ?? self.shape, strides: strides ?? self.strides,
      offset: offset ?? self.offset, count: count ?? self.count)
    result.isInference = isInference
    return result
  }

  /// The same view of another storage.
  func moved(to storage: Storage) -> Tensor {
    Tensor(storage: storage, dtype: dtype, shape: shape, strides: strides, offset: offset, count: count)
  }

  /// Throws where an in-place operation is not allowed: on a tensor made in inference mode, outside of it; and on an
  /// expanded one, whose elements share their memory, unless it writes the same to all of them.
  func checkWritable(allowsOverlap: Bool = false) throws {
    if !allowsOverlap, zip(shape, strides).contains(where: { $0 > 1 && $1 == 0 }), count > 0 {
      throw SwiftNetError.runtime(
        "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
          + "Please clone() the tensor before performing the operation.")
    }
    try require(
      !isInference || ThreadState.current.isInferenceMode,
      "Inplace update to inference tensor outside InferenceMode is not allowed.You can make a clone to get a normal "
        + "tensor before doing inplace update.See https://github.com/pytorch/rfcs/pull/17 for more details.")
  }

  /// Says that the contents have changed in place.
  func bumpVersion() { memory.version &+= 1 }
}
