/// Batch and instance normalisation: settings, scale and shift, and running statistics.
public class RunningNormalization: Layer {
  fileprivate var eps = 1e-5
  fileprivate var momentum: Double? = 0.1

  /// Number of spatial dimensions in the name of the type; nil for one that takes any.
  fileprivate private(set) final var dimensions: Int?

  fileprivate static func schema(affine: Bool, tracking: Bool) -> ModuleSchema {
    ModuleSchema(
      "num_features",
      optional: [
        "eps": 1e-5, "momentum": 0.1, "affine": .bool(affine), "track_running_stats": .bool(tracking), "bias": true,
      ])
  }

  public override func configure() throws {
    dimensions = typeName.dropLast().last.flatMap { Int(String($0)) }
    eps = try double("eps")
    momentum = try optionalDouble("momentum")
  }

  public override func build(_ dtype: DType) throws {
    let shape = [try int("num_features")]
    let isAffine = try bool("affine")
    if isAffine {
      try addParameter("weight", Tensor.ones(shape, dtype: dtype))
    } else {
      setParameter("weight", nil)
    }
    if try isAffine && bool("bias") {
      try addParameter("bias", Tensor.zeros(shape, dtype: dtype))
    } else {
      setParameter("bias", nil)
    }
    let isTracking = try bool("track_running_stats")
    setBuffer("running_mean", isTracking ? try Tensor.zeros(shape, dtype: dtype) : nil)
    setBuffer("running_var", isTracking ? try Tensor.ones(shape, dtype: dtype) : nil)
    setBuffer("num_batches_tracked", isTracking ? try Tensor.zeros([], dtype: .int64) : nil)
  }

  public override func resetParameters() throws {
    try resetRunningStatistics()
    if let weight = parameter("weight") { try Initializer.constant(weight, 1) }
    if let bias = parameter("bias") { try Initializer.constant(bias, 0) }
  }

  /// Means of 0 and variances of 1.
  public final func resetRunningStatistics() throws {
    try buffer("running_mean")?.fillInPlace(0)
    try buffer("running_var")?.fillInPlace(1)
    try buffer("num_batches_tracked")?.fillInPlace(0)
  }

  fileprivate func check(_ x: Tensor, _ allowed: [Int]) throws {
    try require(
      allowed.contains(x.rank), .value,
      "expected \(allowed.map { "\($0)D" }.joined(separator: " or ")) input (got \(x.rank)D input)")
  }
}

/// Each channel normalised by the batch's mean and variance in training, by running averages of them otherwise, then
/// scaled and shifted (Ioffe and Szegedy, 2015, https://arxiv.org/abs/1502.03167).
/// PyTorch: `torch.nn.BatchNorm1d` to `BatchNorm3d`, `SyncBatchNorm`.
public final class BatchNorm: RunningNormalization, ModuleFamily {
  static let schemas = ["BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm"].map {
    (name: $0, schema: schema(affine: true, tracking: true))
  }

  public override func forward(_ x: Tensor) throws -> Tensor {
    switch dimensions {
    case 1: try check(x, [2, 3])
    case 2: try check(x, [4])
    case 3: try check(x, [5])
    default:
      try require(x.rank >= 2, .value, "expected at least 2D input (got \(x.rank)D input)")
    }
    let (mean, variance) = (buffer("running_mean"), buffer("running_var"))
    var factor = momentum ?? 0
    let isTracking = try training && bool("track_running_stats")
    if isTracking, let batches = buffer("num_batches_tracked") {
      try batches.checkWritable()
      try batches.changingNumbers(as: .int64) {
        let seen = $0.assumingMemoryBound(to: Int64.self)
        for i in 0..<batches.count { seen[i] &+= 1 }
      }
      // Without a momentum, the running statistics are plain means over all batches.
      if momentum == nil {
        try require(batches.count == 1, .value, "only one element tensors can be converted to Python scalars")
        factor = 1 / Double(try batches.item().int64)
      }
    }
    let usesBatch = training || (mean == nil && variance == nil)
    let usesRunning = try !training || bool("track_running_stats")
    return try x.batchNorm(
      runningMean: usesRunning ? mean : nil, runningVariance: usesRunning ? variance : nil,
      weight: parameter("weight"), bias: parameter("bias"), training: usesBatch, momentum: factor, eps: eps)
  }
}

/// Each channel of each sample normalised by its own mean and variance (Ulyanov et al., 2016,
/// https://arxiv.org/abs/1607.08022). PyTorch: `torch.nn.InstanceNorm1d` to `InstanceNorm3d`.
public final class InstanceNorm: RunningNormalization, ModuleFamily {
  static let schemas = (1...3).map {
    (name: "InstanceNorm\($0)d", schema: schema(affine: false, tracking: false))
  }

  public override func forward(_ x: Tensor) throws -> Tensor {
    let single = (dimensions ?? 2) + 1
    try check(x, [single, single + 1])
    let features = try int("num_features")
    let channel = x.rank - single
    if x.shape[channel] != features, try bool("affine") {
      throw SwiftNetError.value(
        "expected input's size at dim=\(channel) to match num_features (\(features)), but got: \(x.shape[channel]).")
    }
    let batched = x.rank == single ? try x.unsqueeze(0) : x
    let out = try batched.instanceNorm(
      runningMean: buffer("running_mean"), runningVariance: buffer("running_var"), weight: parameter("weight"),
      bias: parameter("bias"), useInputStatistics: try training || !bool("track_running_stats"),
      momentum: momentum ?? 0, eps: eps)
    return x.rank == single ? try out.squeeze([0]) : out
  }
}

/// Normalisations without running statistics: over the last dimensions (LayerNorm, Ba et al., 2016,
/// https://arxiv.org/abs/1607.06450; RMSNorm, Zhang and Sennrich, 2019, https://arxiv.org/abs/1910.07467), over groups
/// of channels (GroupNorm, Wu and He, 2018, https://arxiv.org/abs/1803.08494), over neighbouring channels
/// (LocalResponseNorm, Krizhevsky et al., 2012).
public final class SampleNormalization: Layer, ModuleFamily {
  static let schemas = [
    (
      name: "LayerNorm",
      schema: ModuleSchema(
        "normalized_shape", optional: ["eps": 1e-5, "elementwise_affine": true, "bias": true])
    ),
    (
      name: "RMSNorm", schema: ModuleSchema("normalized_shape", optional: ["eps": nil, "elementwise_affine": true])
    ),
    (
      name: "GroupNorm",
      schema: ModuleSchema("num_groups", "num_channels", optional: ["eps": 1e-5, "affine": true, "bias": true])
    ),
    (
      name: "LocalResponseNorm",
      schema: ModuleSchema("size", optional: ["alpha": 1e-4, "beta": 0.75, "k": 1.0])
    ),
  ]

  private var compute: ((Tensor) throws -> Tensor)?

  public override func configure() throws {
    switch typeName {
    case "LayerNorm":
      if let size = setting("normalized_shape")?.int { store("normalized_shape", .ints([size])) }
      let (shape, eps) = (try ints("normalized_shape"), try double("eps"))
      compute = { [unowned self] in
        try $0.layerNorm(shape, weight: parameter("weight"), bias: parameter("bias"), eps: eps)
      }
    case "RMSNorm":
      if let size = setting("normalized_shape")?.int { store("normalized_shape", .ints([size])) }
      let (shape, eps) = (try ints("normalized_shape"), try optionalDouble("eps"))
      compute = { [unowned self] in try $0.rmsNorm(shape, weight: parameter("weight"), eps: eps) }
    case "GroupNorm":
      let (groups, channels, eps) = (try int("num_groups"), try int("num_channels"), try double("eps"))
      try require(
        groups > 0 && channels % groups == 0, .value,
        "num_channels (\(channels)) must be divisible by num_groups (\(groups))")
      compute = { [unowned self] in
        try $0.groupNorm(groups, weight: parameter("weight"), bias: parameter("bias"), eps: eps)
      }
    default:
      let (size, alpha, beta, k) = (try int("size"), try double("alpha"), try double("beta"), try double("k"))
      compute = { try $0.localResponseNorm(size, alpha: alpha, beta: beta, k: k) }
    }
  }

  public override func build(_ dtype: DType) throws {
    let shape: [Int]
    let isAffine: Bool
    switch typeName {
    case "LocalResponseNorm": return
    case "GroupNorm": (shape, isAffine) = ([try int("num_channels")], try bool("affine"))
    default: (shape, isAffine) = (try ints("normalized_shape"), try bool("elementwise_affine"))
    }
    if isAffine { try addParameter("weight", Tensor.ones(shape, dtype: dtype)) } else { setParameter("weight", nil) }
    if typeName == "RMSNorm" { return }
    if try isAffine && bool("bias") {
      try addParameter("bias", Tensor.zeros(shape, dtype: dtype))
    } else {
      setParameter("bias", nil)
    }
  }

  public override func resetParameters() throws {
    if let weight = parameter("weight") { try Initializer.constant(weight, 1) }
    if let bias = parameter("bias") { try Initializer.constant(bias, 0) }
  }

  public override func forward(_ x: Tensor) throws -> Tensor {
    guard let compute else { throw SwiftNetError.value("there is no normalisation '\(typeName)'") }
    return try compute(x)
  }
}
