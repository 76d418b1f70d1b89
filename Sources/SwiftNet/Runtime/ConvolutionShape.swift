/// Three sizes of a volume or a window. Convolutions in one and two dimensions use 1 (offsets: 0) in front.
struct Extents: Equatable {
  var depth: Int
  var height: Int
  var width: Int

  init(_ depth: Int, _ height: Int, _ width: Int) {
    self.depth = depth
    self.height = height
    self.width = width
  }

  var count: Int { depth * height * width }
}

/// The sizes of a convolution (in the sense of deep learning: a cross-correlation):
/// `output[n, o, p] = sum over c, k of input[n, c, p * stride - padding + k * dilation] * weight[o, c, k]`,
/// where places outside the input count as zero. `padding` is what stands before the first element; the output
/// size says how much stands behind the last one.
struct ConvolutionShape: Equatable {
  var batch: Int
  var groups: Int
  var inChannels: Int
  var outChannels: Int
  var input: Extents
  var kernel: Extents
  var stride: Extents
  var padding: Extents
  var dilation: Extents
  var output: Extents

  /// Channels that one filter sees.
  var groupInChannels: Int { groups > 0 ? inChannels / groups : 0 }
  /// Filters of one group.
  var groupOutChannels: Int { groups > 0 ? outChannels / groups : 0 }
  /// The convolution of one group.
  var oneGroup: ConvolutionShape {
    var one = self
    one.groups = 1
    one.inChannels = groupInChannels
    one.outChannels = groupOutChannels
    return one
  }
  var inputPixels: Int { batch * input.count }
  var outputPixels: Int { batch * output.count }
}

/// What is done to each output element of a convolution while it is still in a register or in the first-level
/// cache, in this order: add the bias, scale and shift (a folded batch norm), add the residual, clamp at zero.
struct ConvolutionEpilogue {
  /// One element of the convolution's dtype per output channel.
  var bias: UnsafeRawPointer?
  /// One per output channel.
  var scale: UnsafePointer<Float>?
  var shift: UnsafePointer<Float>?
  /// Same dtype and layout as the output.
  var residual: UnsafeRawPointer?
  var relu: Bool

  init(
    bias: UnsafeRawPointer? = nil, scale: UnsafePointer<Float>? = nil, shift: UnsafePointer<Float>? = nil,
    residual: UnsafeRawPointer? = nil, relu: Bool = false
  ) {
    self.bias = bias
    self.scale = scale
    self.shift = shift
    self.residual = residual
    self.relu = relu
  }

  /// The same for the channels from one on, of elements of so many bytes.
  func from(channel: Int, size: Int, biasSize: Int) -> ConvolutionEpilogue {
    ConvolutionEpilogue(
      bias: bias.map { $0 + channel * biasSize }, scale: scale.map { $0 + channel }, shift: shift.map { $0 + channel },
      residual: residual.map { $0 + channel * size }, relu: relu)
  }
}
