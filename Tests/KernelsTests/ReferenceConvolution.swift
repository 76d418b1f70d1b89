import KernelTypes

@testable import SwiftNet

/// A small generator of reproducible numbers (xorshift64*), roughly normal with mean 0 and deviation 1.
struct TestRandom {
  private var state: UInt64

  init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

  mutating func uniform() -> Double {
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    return Double((state &* 0x2545_F491_4F6C_DD1D) >> 11) / Double(1 << 53)
  }

  mutating func normal() -> Double {
    (uniform() + uniform() + uniform() + uniform() - 2) * 1.7320508
  }

  mutating func values(_ count: Int) -> [Double] { (0..<count).map { _ in Double(Float(normal())) } }
}

/// Plain loops in float64: what the drivers must agree with.
struct ReferenceConvolution {
  let shape: ConvolutionShape
  /// N, C, D, H, W contiguous.
  let input: [Double]
  let weight: [Double]
  /// Channels-last.
  let gradOutput: [Double]
  private(set) var output: [Double]
  private(set) var gradInput: [Double]
  private(set) var gradWeight: [Double]
  private(set) var gradBias: [Double]

  /// - Parameter rounded: what is done to each of the random numbers.
  init(_ shape: ConvolutionShape, seed: UInt64, rounded: (Double) -> Double = { $0 }) {
    self.shape = shape
    var random = TestRandom(seed: seed)
    let s = shape
    input = random.values(s.inputPixels * s.inChannels).map(rounded)
    weight = random.values(s.outChannels * s.groupInChannels * s.kernel.count).map(rounded)
    gradOutput = random.values(s.outputPixels * s.outChannels).map(rounded)
    output = Array(repeating: 0, count: gradOutput.count)
    gradInput = Array(repeating: 0, count: input.count)
    gradWeight = Array(repeating: 0, count: weight.count)
    gradBias = Array(repeating: 0, count: s.outChannels)
    let cg = s.groupInChannels, og = s.groupOutChannels
    var pixel = 0
    for n in 0..<s.batch {
      for d in 0..<s.output.depth {
        for h in 0..<s.output.height {
          for w in 0..<s.output.width {
            for o in 0..<s.outChannels {
              let index = pixel * s.outChannels + o
              gradBias[o] += gradOutput[index]
              for c in 0..<cg {
                let channel = o / og * cg + c
                for kd in 0..<s.kernel.depth {
                  let id = d * s.stride.depth - s.padding.depth + kd * s.dilation.depth
                  if id < 0 || id >= s.input.depth { continue }
                  for kh in 0..<s.kernel.height {
                    let ih = h * s.stride.height - s.padding.height + kh * s.dilation.height
                    if ih < 0 || ih >= s.input.height { continue }
                    for kw in 0..<s.kernel.width {
                      let iw = w * s.stride.width - s.padding.width + kw * s.dilation.width
                      if iw < 0 || iw >= s.input.width { continue }
                      let wi =
                        (((o * cg + c) * s.kernel.depth + kd) * s.kernel.height + kh) * s.kernel.width + kw
                      let plane = (n * s.inChannels + channel) * s.input.depth + id
                      let x = (plane * s.input.height + ih) * s.input.width + iw
                      let last =
                        (((n * s.input.depth + id) * s.input.height + ih) * s.input.width + iw) * s.inChannels
                        + channel
                      output[index] += input[x] * weight[wi]
                      gradInput[last] += gradOutput[index] * weight[wi]
                      gradWeight[wi] += gradOutput[index] * input[x]
                    }
                  }
                }
              }
            }
            pixel += 1
          }
        }
      }
    }
  }

  /// The input in channels-last order.
  var inputChannelsLast: [Double] {
    let pixels = shape.input.count, channels = shape.inChannels
    var result = input
    for n in 0..<shape.batch {
      for c in 0..<channels {
        for p in 0..<pixels {
          result[(n * pixels + p) * channels + c] = input[(n * channels + c) * pixels + p]
        }
      }
    }
    return result
  }
}
