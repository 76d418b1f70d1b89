import CIntrinsics
import KernelTypes

/// Convolutions of bfloat16 on the processor's dot products of pairs. A pair is two adjacent channels, so the row
/// addresses of the float32 convolution serve: to them a pair is one number.
extension ConvolutionShape {
  /// Whether pairs of channels fill the vectors. Narrow groups and few channels are left to the kernels that merge
  /// groups.
  var suitsPairs: Bool { groupInChannels >= 16 && groupOutChannels >= 16 }

  /// Whether pairs of a few channels, a row of taps at a time, make fewer terms than their numbers.
  var suitsLinesOfPairs: Bool { mergesWidth && inChannels > 1 }

  /// The same for pairs of places, the terms of the weight gradient: the second of the last pair may not be missing, as no
  /// zero makes up for an infinite number.
  var suitsLinesOfPairedPlaces: Bool { mergesWidth && output.width > 0 && output.width % 2 == 0 }
}

extension ChannelsLast {
  /// An image tensor of bfloat16 as pairs of channels, strides in pairs: the caller's memory, or a copy in which every
  /// group has an even number of channels.
  /// - Parameters:
  ///   - strides: N, C, D, H, W.
  ///   - dense: whether places must follow each other without gaps.
  init(
    pairsOf source: UnsafeRawPointer, kernels: ProductKernels, batch: Int, channels: Int, groups: Int,
    extents: Extents, strides s: [Int], dense: Bool = false
  ) throws {
    let numbers = channels / groups
    let pairs = (numbers + 1) / 2
    let places = channelsLastStrides(extents, groups * pairs)
    let outer = [s[0], s[2], s[3], s[4]]
    let isDense = zip([batch] + extents.all, zip(outer, places)).allSatisfy { $0 == 1 || $1.0 == 2 * $1.1 }
    if s[1] == 1 && numbers % 2 == 0 && outer.allSatisfy({ $0 % 2 == 0 }) && (isDense || !dense) {
      self.init(pointer: source, strides: isDense ? places : outer.map { $0 / 2 }, copy: nil)
      return
    }
    let memory = try Scratch(bytes: batch * places[0] * 4)
    self.init(pointer: UnsafeRawPointer(memory.pointer), strides: places, copy: memory)
    let pixels = extents.height * extents.width
    if s[4] == 1 && s[3] == extents.width {
      // Channels lie in planes.
      let block = 64
      let blocks = (pixels + block - 1) / block
      parallelFor(batch * extents.depth * blocks, grain: max(1, (1 << 14) / (block * channels))) { first, last in
        for item in first..<last {
          let plane = item / blocks, start = item % blocks * block
          let from = plane / extents.depth * s[0] + plane % extents.depth * s[2] + start
          let to = memory.pointer + (plane * pixels + start) * groups * pairs * 4
          for group in 0..<groups {
            kernels.transpose(
              source + (from + group * numbers * s[1]) * 2, s[1], numbers, min(block, pixels - start),
              to + group * pairs * 4, groups * pairs)
          }
        }
      }
      return
    }
    let from = source.assumingMemoryBound(to: UInt16.self)
    let to = memory.of(UInt16.self)
    parallelFor(batch * extents.depth * pixels, grain: max(1, (1 << 13) / channels)) { first, last in
      for place in first..<last {
        let row = place / extents.width, plane = row / extents.height
        let x =
          from + plane / extents.depth * s[0] + plane % extents.depth * s[2] + row % extents.height * s[3]
          + place % extents.width * s[4]
        for group in 0..<groups {
          let y = to + (place * groups + group) * 2 * pairs
          for c in 0..<numbers { y[c] = x[(group * numbers + c) * s[1]] }
          if numbers % 2 == 1 { y[numbers] = 0 }
        }
      }
    }
  }
}

extension ChannelsLast {
  /// A copy of a bfloat16 image tensor in rows of pairs of channels that have their padding in memory, see the initializer
  /// of other types; strides in pairs.
  init(
    rowsOfPairs source: UnsafeRawPointer, kernels: ProductKernels, batch: Int, channels: Int, extents: Extents,
    strides s: [Int], paddedWidth: Int, paddingBefore: Int
  ) throws {
    let pairs = (channels + 1) / 2
    let rows = batch * extents.depth * extents.height
    let rowBytes = paddedWidth * pairs * 4
    let memory = try Scratch(bytes: rows * rowBytes)
    // A window may end before the source does, or begin behind it.
    let count = max(0, min(extents.width, paddedWidth - paddingBefore))
    let before = min(paddingBefore, paddedWidth) * pairs * 4
    parallelFor(rows, grain: max(1, (1 << 13) / max(1, paddedWidth * channels))) { first, last in
      for row in first..<last {
        let plane = row / extents.height
        let from =
          source
          + (plane / extents.depth * s[0] + plane % extents.depth * s[2] + row % extents.height * s[3]) * 2
        let to = memory.pointer + row * rowBytes
        memset(to, 0, before)
        memset(to + (before + count * pairs * 4), 0, rowBytes - before - count * pairs * 4)
        if s[4] == 1 {
          // A row of each plane is too short for the processor to fetch the next by itself.
          for c in 0..<channels {
            let next = from + (c * s[1] + s[3]) * 2
            for offset in stride(from: 0, to: count * 2, by: 64) { sn_prefetch(next + offset) }
          }
          kernels.transpose(from, s[1], channels, count, to + before, pairs)
          continue
        }
        let x = from.assumingMemoryBound(to: UInt16.self)
        let y = (to + before).assumingMemoryBound(to: UInt16.self)
        for i in 0..<count {
          for c in 0..<channels { y[2 * pairs * i + c] = x[i * s[4] + c * s[1]] }
          if channels % 2 == 1 { y[2 * pairs * i + channels] = 0 }
        }
      }
    }
    self.init(
      pointer: UnsafeRawPointer(memory.pointer),
      strides: [
        extents.depth * extents.height * paddedWidth * pairs, extents.height * paddedWidth * pairs, paddedWidth * pairs,
        pairs,
      ], copy: memory)
  }
}

extension ChannelsLast {
  /// The same rows as pairs of places: each number beside the one `step` numbers further on in its row, or a zero. Strides
  /// in pairs; there is one for each number.
  init(
    pairsOfPlaces source: UnsafeRawPointer, _ step: Int, kernels: ProductKernels, batch: Int, channels: Int,
    extents: Extents, strides s: [Int], paddedWidth: Int, paddingBefore: Int
  ) throws {
    let rows = batch * extents.depth * extents.height
    // Rows of whole panels, since packing fills the last one up.
    let length = paddedWidth * channels
    let pitch = (length + kernels.columns - 1) / kernels.columns * kernels.columns
    let memory = try Scratch(bytes: rows * pitch * 4)
    let count = max(0, min(extents.width, paddedWidth - paddingBefore))
    let slots = try ScratchSlots(bytes: (length + step) * 2)
    parallelFor(rows, grain: max(1, (1 << 13) / max(1, length))) { first, last in
      slots.with { scratch in
        memset(scratch, 0, (length + step) * 2)
        let y = scratch.assumingMemoryBound(to: UInt16.self) + min(paddingBefore, paddedWidth) * channels
        for row in first..<last {
          let plane = row / extents.height
          let x =
            source.assumingMemoryBound(to: UInt16.self)
            + (plane / extents.depth * s[0] + plane % extents.depth * s[2] + row % extents.height * s[3])
          if channels == 1 || s[1] == 1, s[4] == channels {
            memcpy(y, x, count * channels * 2)
          } else {
            for c in 0..<channels {
              for i in 0..<count { y[i &* channels &+ c] = x[i &* s[4] &+ c &* s[1]] }
            }
          }
          let addresses = [Int(bitPattern: scratch), Int(bitPattern: scratch) + step * 2]
          kernels.packSources(addresses, 2, 0, length, memory.pointer + row * pitch * 4)
        }
      }
    }
    self.init(
      pointer: UnsafeRawPointer(memory.pointer),
      strides: [extents.depth * extents.height * pitch, extents.height * pitch, pitch, channels], copy: memory)
  }
}

/// Arguments as `convolutionForward`; the epilogue's bias is float32, its residual bfloat16.
func pairConvolutionForward(
  _ kernels: ProductKernels, _ shape: ConvolutionShape, input: UnsafeRawPointer, inputStrides: [Int],
  weight: UnsafeRawPointer, epilogue: ConvolutionEpilogue, output: UnsafeMutableRawPointer,
  prepared: PreparedFilters? = nil
) throws {
  if shape.mergesWidth {
    return try lineConvolutionForward(
      .bfloat16, shape, input: input, inputStrides: inputStrides, weight: weight, epilogue: epilogue, output: output,
      prepared: prepared, kernels: kernels, pairs: true)
  }
  let source = try ChannelsLast(
    pairsOf: input, kernels: kernels, batch: shape.batch, channels: shape.inChannels, groups: shape.groups,
    extents: shape.input, strides: inputStrides)
  let key = ConvolutionKey(type: .bfloat16, shape: shape, strides: inputStrides)
  if let known = prepared?.convolution(key) {
    return try known.run(source: source, weight: weight, epilogue: epilogue, output: output)
  }
  let convolution = try RowConvolution(
    RowConvolution.Sizes(.float32, kernels, shape, gradient: false, sourceStrides: source.strides, pairs: true),
    weight: weight, prepared: prepared)
  try convolution.run(source: source, weight: weight, epilogue: epilogue, output: output)
  prepared?.keep(convolution, as: key)
}

/// Arguments as `convolutionDataGradient`.
func pairConvolutionDataGradient(
  _ kernels: ProductKernels, _ shape: ConvolutionShape, gradOutput: UnsafeRawPointer, gradOutputStrides: [Int],
  weight: UnsafeRawPointer, gradInput: UnsafeMutableRawPointer
) throws {
  let source = try ChannelsLast(
    pairsOf: gradOutput, kernels: kernels, batch: shape.batch, channels: shape.outChannels, groups: shape.groups,
    extents: shape.output, strides: gradOutputStrides)
  try RowConvolution(
    RowConvolution.Sizes(.float32, kernels, shape, gradient: true, sourceStrides: source.strides, pairs: true),
    weight: weight, prepared: nil
  ).run(source: source, weight: weight, epilogue: ConvolutionEpilogue(), output: gradInput)
}
