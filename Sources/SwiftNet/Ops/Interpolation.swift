#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// How values between the given ones are found.
public enum InterpolationMode: Int32, Sendable {
  case nearest = 0
  /// As `nearest`, but from the centre of each element.
  case nearestExact
  /// Linear, bilinear, trilinear.
  case linear
  /// Cubic convolution (Keys, 1981, https://doi.org/10.1109/TASSP.1981.1163711).
  case cubic
  /// The mean of what falls into an output element.
  case area
  /// Lanczos' windowed sinc over three elements to each side; with `antialias` only.
  case lanczos
}

extension Tensor {
  /// N, C, … resized to the given spatial sizes. PyTorch: `torch.nn.functional.interpolate`.
  ///
  /// - Parameters:
  ///   - scales: the factors from which the sizes came, if they are to be used instead of the ratio of the sizes.
  ///   - alignCorners: first and last elements stay where they are; otherwise the edges of the image do.
  ///   - antialias: when shrinking, a filter as wide as an output element (linear and cubic).
  public func interpolated(
    _ size: [Int], mode: InterpolationMode = .nearest, scales: [Double]? = nil, alignCorners: Bool = false,
    antialias: Bool = false
  ) throws -> Tensor {
    try require(
      rank == size.count + 2, .value,
      "Input and output must have the same number of spatial dimensions, but got input with spatial dimensions of "
        + "\(Shape.describe(Array(shape.dropFirst(2)))) and output size of \(Shape.describe(size)).")
    if mode == .area { return try adaptiveAveragePool(size) }
    try require(
      size.allSatisfy { $0 > 0 } && shape.dropFirst(2).allSatisfy { $0 > 0 },
      "Input and output sizes should be greater than 0, but got input \(Shape.describe(shape)) and output "
        + Shape.describe(size))
    _ = try Shape.count(Array(shape.prefix(2)) + size)
    try require(size.allSatisfy { $0 < 1 << 31 }, "interpolate: output size \(Shape.describe(size)) is too large")
    if dtype.lane.dtype != dtype || !dtype.isFloatingPoint {
      let wide = try to(dtype.isFloatingPoint ? .float32 : .float64)
      return try wide.interpolated(
        size, mode: mode, scales: scales, alignCorners: alignCorners, antialias: antialias
      ).to(dtype)
    }
    let maps = size.indices.map { d -> SparseRows? in
      let n = shape[d + 2]
      if n == size[d], scales == nil || mode == .nearest || alignCorners { return nil }
      let axis = InterpolationAxis(
        inputSize: n, outputSize: size[d], factor: scales?[d], alignCorners: alignCorners)
      return axis.rows(mode, antialias: antialias)
    }
    let result = try mapped([nil, nil] + maps, name: "Upsample")
    return result === self ? try self * 1.0 : result
  }
}

/// Where the elements of a resized dimension lie in the original.
private struct InterpolationAxis {
  let inputSize: Int
  let outputSize: Int
  let alignCorners: Bool
  /// Input elements per output element.
  let scale: Double

  init(inputSize: Int, outputSize: Int, factor: Double?, alignCorners: Bool) {
    self.inputSize = inputSize
    self.outputSize = outputSize
    self.alignCorners = alignCorners
    if alignCorners {
      scale = outputSize > 1 ? Double(inputSize - 1) / Double(outputSize - 1) : 0
    } else if let factor, factor > 0 {
      scale = 1 / factor
    } else {
      scale = Double(inputSize) / Double(outputSize)
    }
  }

  private func clamped(_ place: Int) -> Int { max(0, min(place, inputSize - 1)) }

  private func position(_ o: Int) -> Double {
    alignCorners ? Double(o) * scale : (Double(o) + 0.5) * scale - 0.5
  }

  func rows(_ mode: InterpolationMode, antialias: Bool) -> SparseRows {
    var result = SparseRows(inputSize: inputSize)
    for o in 0..<outputSize {
      switch mode {
      case .nearest, .nearestExact, .area:
        // In float32, as PyTorch does: the choice between neighbours depends on the rounding.
        let shift: Float = mode == .nearestExact ? 0.5 : 0
        result.append([(clamped(Int(((Float(o) + shift) * Float(scale)).rounded(.down))), 1)])
      case .linear, .cubic, .lanczos:
        if antialias {
          result.append(filtered(o, mode))
        } else if mode == .linear {
          let x = max(position(o), 0)
          let place = min(Int(x), inputSize - 1)
          let t = min(max(x - Double(place), 0), 1)
          result.append([(place, 1 - t), (clamped(place + 1), t)])
        } else {
          let x = position(o)
          let place = x.rounded(.down)
          let t = x - place
          result.append(
            (-1...2).map { (clamped(Int(place) + $0), cubicWeight(abs(t - Double($0)), -0.75)) })
        }
      }
    }
    return result
  }

  /// The coefficients of the filter that is as wide as an output element.
  private func filtered(_ o: Int, _ mode: InterpolationMode) -> [(place: Int, weight: Double)] {
    let width = max(scale, 1)
    let support = (mode == .cubic ? 2 : mode == .lanczos ? 3 : 1) * width
    let centre = scale * (Double(o) + 0.5)
    let first = max(Int(centre - support + 0.5), 0)
    let last = max(min(Int(centre + support + 0.5), inputSize), first + 1)
    var entries = (first..<last).map { place -> (place: Int, weight: Double) in
      let x = abs((Double(place) - centre + 0.5) / width)
      switch mode {
      case .cubic: return (clamped(place), cubicWeight(x, -0.5))
      case .lanczos: return (clamped(place), lanczosWeight(x))
      default: return (clamped(place), max(0, 1 - x))
      }
    }
    let total = entries.reduce(0) { $0 + $1.weight }
    if total != 0 { for i in entries.indices { entries[i].weight /= total } }
    return entries
  }

  private func lanczosWeight(_ x: Double) -> Double {
    if x == 0 { return 1 }
    let angle = Double.pi * x
    return x < 3 ? sin(angle) / angle * (sin(angle / 3) / (angle / 3)) : 0
  }

  private func cubicWeight(_ x: Double, _ a: Double) -> Double {
    if x <= 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0
  }
}
