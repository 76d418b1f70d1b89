/// Initial values for parameters, as `torch.nn.init`: in place, without recording, and with the numbers that PyTorch
/// gives for the same seed.
public enum Initializer {
  /// Which way the variance is to be kept.
  public enum FanMode: String, Sendable {
    /// In the forward pass.
    case fanIn = "fan_in"
    /// In the backward pass.
    case fanOut = "fan_out"
  }

  /// The factor by which an activation's output has to be scaled to keep the variance.
  ///
  /// - Parameter slope: the negative slope of "leaky_relu".
  public static func gain(_ nonlinearity: String, slope: Double = 0.01) throws -> Double {
    switch nonlinearity {
    case "linear", "sigmoid", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
      "conv_transpose3d":
      return 1
    case "tanh": return 5.0 / 3
    case "relu": return 2.0.squareRoot()
    case "leaky_relu": return (2 / (1 + slope * slope)).squareRoot()
    case "selu": return 3.0 / 4
    default: throw SwiftNetError.value("Unsupported nonlinearity \(nonlinearity)")
    }
  }

  /// How many inputs an output sees and how many outputs an input reaches, for a weight (out, in, kernel…).
  public static func fans(_ tensor: Tensor) throws -> (in: Int, out: Int) {
    try require(
      tensor.rank >= 2, .value, "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    let field = tensor.shape.dropFirst(2).reduce(1, *)
    return (tensor.shape[1] * field, tensor.shape[0] * field)
  }

  private static func fan(_ tensor: Tensor, _ mode: FanMode) throws -> Double {
    let fans = try fans(tensor)
    return Double(mode == .fanIn ? fans.in : fans.out)
  }

  public static func constant(_ tensor: Tensor, _ value: Double) throws {
    try noGrad { try tensor.fillInPlace(.float(value)) }
  }

  /// Uniform in [a, b).
  public static func uniform(
    _ tensor: Tensor, _ a: Double = 0, _ b: Double = 1, generator: Generator = .shared
  ) throws {
    try noGrad { try tensor.uniformInPlace(a, b, generator: generator) }
  }

  public static func normal(
    _ tensor: Tensor, mean: Double = 0, std: Double = 1, generator: Generator = .shared
  ) throws {
    try noGrad { try tensor.normalInPlace(mean, std, generator: generator) }
  }

  private static func checkFloat(_ tensor: Tensor, _ name: String) throws {
    try require(
      tensor.dtype.isFloatingPoint, .notImplemented,
      "\"\(name)\" not implemented for '\(tensor.dtype.scalarTypeName)'")
  }

  /// Glorot and Bengio (2010): uniform with variance gain² · 2 / (fanIn + fanOut).
  public static func xavierUniform(_ tensor: Tensor, gain: Double = 1, generator: Generator = .shared) throws {
    let fans = try fans(tensor)
    let bound = 3.0.squareRoot() * (gain * (2 / Double(fans.in + fans.out)).squareRoot())
    try uniform(tensor, -bound, bound, generator: generator)
  }

  public static func xavierNormal(_ tensor: Tensor, gain: Double = 1, generator: Generator = .shared) throws {
    let fans = try fans(tensor)
    try normal(tensor, std: gain * (2 / Double(fans.in + fans.out)).squareRoot(), generator: generator)
  }

  /// He et al. (2015): uniform with variance gain² / fan.
  public static func kaimingUniform(
    _ tensor: Tensor, slope: Double = 0, mode: FanMode = .fanIn, nonlinearity: String = "leaky_relu",
    generator: Generator = .shared
  ) throws {
    if tensor.count == 0 { return }
    let std = try gain(nonlinearity, slope: slope) / fan(tensor, mode).squareRoot()
    let bound = 3.0.squareRoot() * std
    try uniform(tensor, -bound, bound, generator: generator)
  }

  public static func kaimingNormal(
    _ tensor: Tensor, slope: Double = 0, mode: FanMode = .fanIn, nonlinearity: String = "leaky_relu",
    generator: Generator = .shared
  ) throws {
    if tensor.count == 0 { return }
    let std = try gain(nonlinearity, slope: slope) / fan(tensor, mode).squareRoot()
    try normal(tensor, std: std, generator: generator)
  }

  /// Ones on the diagonal of a matrix.
  public static func eye(_ tensor: Tensor) throws {
    try require(tensor.rank == 2, .value, "Only tensors with 2 dimensions are supported")
    try noGrad { try tensor.copyInPlace(Tensor.eye(tensor.shape[0], tensor.shape[1], dtype: tensor.dtype)) }
  }

  /// Convolution weights that pass on as many channels as possible.
  public static func dirac(_ tensor: Tensor, groups: Int = 1) throws {
    try require(
      (3...5).contains(tensor.rank), .value, "Only tensors with 3, 4, or 5 dimensions are supported")
    try require(groups > 0, .value, "groups must be positive")
    try require(tensor.shape[0] % groups == 0, .value, "dim 0 must be divisible by groups")
    let channels = tensor.shape[0] / groups
    try noGrad {
      try tensor.fillInPlace(0)
      if tensor.shape.dropFirst(2).contains(0) { return }
      for group in 0..<groups {
        for channel in 0..<min(channels, tensor.shape[1]) {
          var element = try tensor.detach().select(0, group * channels + channel).select(0, channel)
          for size in tensor.shape.dropFirst(2) { element = try element.select(0, size / 2) }
          try element.fillInPlace(1)
        }
      }
    }
  }

  /// Normal numbers inside [a, b]: drawn again until they are (normal candidates where that is likely to succeed,
  /// uniform ones accepted with the density's probability where it is not).
  public static func truncatedNormal(
    _ tensor: Tensor, mean: Double = 0, std: Double = 1, _ a: Double = -2, _ b: Double = 2,
    generator: Generator = .shared
  ) throws {
    try checkFloat(tensor, "normal_")
    try require(a <= b, .value, "trunc_normal_ needs a <= b, but got a=\(a) and b=\(b)")
    try require(std > 0, .value, "trunc_normal_ needs std > 0, but got std=\(std)")
    func below(_ x: Double) -> Double { (1 + erf(x / 2.0.squareRoot())) / 2 }
    let inside = below((b - mean) / std) - below((a - mean) / std)
    try noGrad {
      if tensor.count == 0 { return }
      if inside > 0.3 {
        try normalByRejection(tensor, mean, std, a, b, generator)
      } else {
        try uniformByRejection(tensor, mean, std, a, b, generator)
      }
    }
  }

  private static func normalByRejection(
    _ tensor: Tensor, _ mean: Double, _ std: Double, _ a: Double, _ b: Double, _ generator: Generator
  ) throws {
    try normal(tensor, mean: mean, std: std, generator: generator)
    let low = try Tensor.scalar(.float(a), dtype: tensor.dtype)
    let high = try Tensor.scalar(.float(b), dtype: tensor.dtype)
    var result = try tensor.detach()
    while true {
      try Interrupt.check()
      let outside = try Binary.apply(
        .bitwiseOr, .tensor(Binary.apply(.lt, .tensor(result), .tensor(low))),
        .tensor(Binary.apply(.gt, .tensor(result), .tensor(high))))
      if try outside.any().item() == .bool(false) { break }
      let fresh = try Tensor(empty: tensor.shape, dtype: tensor.dtype, strides: tensor.isDense ? tensor.strides : nil)
      try normal(fresh, mean: mean, std: std, generator: generator)
      result = try whereSelect(outside, .tensor(fresh), .tensor(result))
    }
    try tensor.copyInPlace(result)
  }

  private static func uniformByRejection(
    _ tensor: Tensor, _ mean: Double, _ std: Double, _ a: Double, _ b: Double, _ generator: Generator
  ) throws {
    let mode = max(a, min(mean, b))
    let peak = -0.5 * ((mode - mean) / std) * ((mode - mean) / std)
    var result = try tensor.detach()
    var pending: Tensor?
    while true {
      try Interrupt.check()
      let candidates = try Tensor(
        empty: tensor.shape, dtype: tensor.dtype, strides: tensor.isDense ? tensor.strides : nil)
      try uniform(candidates, a, b, generator: generator)
      let distance = try (candidates - .float(mean)) / .float(std)
      let density = try (distance * distance) * -0.5 - .float(peak)
      let chance = try Tensor(empty: tensor.shape, dtype: tensor.dtype, strides: candidates.strides)
      try uniform(chance, generator: generator)
      let rejected = try Binary.apply(.gt, .tensor(chance.unary(.log)), .tensor(density))
      if let waiting = pending {
        result = try whereSelect(waiting, .tensor(candidates), .tensor(result))
        pending = try Binary.apply(.bitwiseAnd, .tensor(waiting), .tensor(rejected))
      } else {
        result = candidates
        pending = rejected
      }
      if let waiting = pending, try waiting.any().item() == .bool(false) { break }
    }
    try tensor.copyInPlace(result)
  }

  /// A random matrix with orthonormal rows or columns (Saxe et al., 2013), times `gain`; dimensions after the first
  /// count as one.
  public static func orthogonal(_ tensor: Tensor, gain: Double = 1, generator: Generator = .shared) throws {
    try require(tensor.rank >= 2, .value, "Only tensors with 2 or more dimensions are supported")
    try checkFloat(tensor, "orthogonal_")
    if tensor.count == 0 { return }
    try noGrad {
      let rows = tensor.shape[0]
      let columns = tensor.count / rows
      let drawn = try Tensor(empty: [rows, columns], dtype: tensor.dtype)
      try normal(drawn, generator: generator)
      let isWide = rows < columns
      let tall = try (isWide ? drawn.transpose(0, 1) : drawn).contiguous().to(.float64)
      let q = try Orthonormal.columns(of: tall)
      let result = try (isWide ? q.transpose(0, 1) : q).reshape(tensor.shape).to(tensor.dtype)
      try tensor.copyInPlace(result * .float(gain))
    }
  }

  /// A normal matrix in which a share of each column is set to zero (Martens, 2010).
  public static func sparse(
    _ tensor: Tensor, sparsity: Double, std: Double = 0.01, generator: Generator = .shared
  ) throws {
    try require(tensor.rank == 2, .value, "Only tensors with 2 dimensions are supported")
    let (rows, columns) = (tensor.shape[0], tensor.shape[1])
    let zeros = (sparsity * Double(rows)).rounded(.up)
    try require(zeros >= 0 && zeros <= Double(rows), .value, "sparsity must lie between 0 and 1, got \(sparsity)")
    try noGrad {
      try normal(tensor, std: std, generator: generator)
      var order = [Int64](repeating: 0, count: rows)
      let keep = try Tensor.ones([rows, columns], dtype: .float64)
      let mask = try keep.mutablePointer().assumingMemoryBound(to: Double.self)
      for column in 0..<columns {
        // The order of the rows comes from the default generator, whatever generator draws the values.
        order.withUnsafeMutableBufferPointer { buffer in
          if let base = buffer.baseAddress { Generator.shared.permutation(base, count: rows) }
        }
        for row in order.prefix(Int(zeros)) { mask[Int(row) * columns + column] = 0 }
      }
      try tensor.copyInPlace(tensor.detach() * keep.to(tensor.dtype))
    }
  }
}

/// Orthonormal bases by Householder's reflections.
enum Orthonormal {
  /// The factor Q of a tall float64 matrix, with the signs that make R's diagonal positive.
  static func columns(of matrix: Tensor) throws -> Tensor {
    let (m, n) = (matrix.shape[0], matrix.shape[1])
    let a = try matrix.pointer().assumingMemoryBound(to: Double.self)
    // Column-major work arrays: the inner loops run along columns.
    var r = [Double](repeating: 0, count: m * n)
    var q = [Double](repeating: 0, count: m * n)
    for i in 0..<m { for j in 0..<n { r[j * m + i] = a[i * n + j] } }
    var reflectors = [Double](repeating: 0, count: m * n)
    var signs = [Double](repeating: 1, count: n)
    for j in 0..<n {
      try Interrupt.check()
      var norm = 0.0
      for i in j..<m { norm += r[j * m + i] * r[j * m + i] }
      norm = norm.squareRoot()
      let pivot = r[j * m + j]
      let alpha = pivot > 0 ? -norm : norm
      signs[j] = alpha < 0 ? -1 : (alpha > 0 ? 1 : 0)
      var length = 0.0
      for i in j..<m {
        let v = r[j * m + i] - (i == j ? alpha : 0)
        reflectors[j * m + i] = v
        length += v * v
      }
      if length == 0 { continue }
      for k in j..<n { reflect(&r, k * m, reflectors, j * m, from: j, to: m, 2 / length) }
    }
    for j in 0..<n { q[j * m + j] = 1 }
    for j in (0..<n).reversed() {
      try Interrupt.check()
      var length = 0.0
      for i in j..<m { length += reflectors[j * m + i] * reflectors[j * m + i] }
      if length == 0 { continue }
      for k in j..<n { reflect(&q, k * m, reflectors, j * m, from: j, to: m, 2 / length) }
    }
    let result = try Tensor(empty: [m, n], dtype: .float64)
    let out = try result.mutablePointer().assumingMemoryBound(to: Double.self)
    for i in 0..<m { for j in 0..<n { out[i * n + j] = q[j * m + i] * signs[j] } }
    return result
  }

  /// x -= scale · v · (v · x)
  private static func reflect(
    _ x: inout [Double], _ start: Int, _ v: [Double], _ vStart: Int, from: Int, to: Int, _ scale: Double
  ) {
    var dot = 0.0
    for i in from..<to { dot += v[vStart + i] * x[start + i] }
    dot *= scale
    for i in from..<to { x[start + i] -= dot * v[vStart + i] }
  }
}
