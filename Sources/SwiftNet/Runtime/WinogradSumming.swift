import KernelTypes

/// What weight gradients by Winograd's algorithm sum up: for each panel of output channels and each plane of the kernel,
/// transposed sources times gradients at 36 points.
struct WinogradSumming {
  let table: KernelTable
  let tiling: WinogradTiling
  let channels: Int
  let columns: Int
  /// Numbers of one panel's gradients of a block of tiles, and of its sums.
  let panelGradients: Int
  let panelSums: Int
  /// From one tile of a transformed source to the next.
  let sourceStride: Int

  /// Adds a block of tiles to the sums of some panels, or overwrites them, point by point.
  ///
  /// - Parameters:
  ///   - sources: the transformed block, for each plane.
  ///   - gradients: that of the first panel, the others behind it.
  ///   - sums: those of the first panel, for each plane.
  ///   - planes: which of them have a point.
  @inline(never)
  func add(
    _ block: (first: Int, count: Int), panels: Range<Int>, sources: [UnsafePointer<Float>],
    gradients: UnsafePointer<Float>, adding: Bool, to sums: [UnsafeMutablePointer<Float>],
    planes: (_ point: Int) -> Range<Int>
  ) {
    let width = table.gemm.f32.columns
    let pointSize = winogradPointStride(channels, width)
    sources.withUnsafeBufferPointer { sources in
      sums.withUnsafeBufferPointer { sums in
        guard let source = sources.baseAddress, let sum = sums.baseAddress else { return }
        for point in 0..<36 {
          let (start, end) = tiling.tiles(point, block.first, block.first + block.count)
          let planes = planes(point)
          for panel in panels {
            let offset = (panel - panels.lowerBound) * panelSums + point * pointSize
            if start == end {
              // Of images of 2×2 places nobody asks for the other points.
              if !adding && !tiling.isTwoByTwo { for sum in sums { memset(sum + offset, 0, pointSize * 4) } }
              continue
            }
            var work = WinogradSums(
              sources: source + planes.lowerBound,
              sourceOffset: point * winogradPointStride(block.count, sourceStride) + start * sourceStride,
              sourceStride: sourceStride, planes: planes.count, channels: channels,
              gradient: gradients
                + ((panel - panels.lowerBound) * panelGradients + point * winogradPointStride(block.count, width)
                  + start * width),
              tiles: end - start, narrow: 2 * (columns - panel * width) <= width, adding: adding,
              sums: sum + planes.lowerBound, sumsOffset: offset)
            table.winograd.accumulate(&work)
          }
        }
      }
    }
  }
}

/// Adds the sums of the other parts of a work, `stride` numbers apart, to those of the first, in order.
func addParts<T: BinaryFloatingPoint>(_ sums: UnsafeMutablePointer<T>, count: Int, parts: Int, stride: Int) {
  for part in 1..<max(parts, 1) {
    let other = sums + part * stride
    for i in 0..<count { sums[i] += other[i] }
  }
}

extension ConvolveArguments {
  /// For results that are there already: `columns` of them from `firstColumn` on, and what is done to them last.
  /// `unused` stands where the row kernel would find its operands.
  init(
    finishing firstColumn: Int, _ columns: Int, output: UnsafeMutableRawPointer, _ epilogue: ConvolutionEpilogue,
    unused: UnsafeRawPointer
  ) {
    self.init(
      tables: unused.assumingMemoryBound(to: Int.self), tableWords: 0, tiles: 0, lastRows: 0, run: 0, weights: unused,
      panelStride: 0, firstColumn: firstColumn, columns: columns, output: output, bias: epilogue.bias,
      scale: epilogue.scale, shift: epilogue.shift, residual: epilogue.residual, relu: epilogue.relu)
  }
}

/// Sums over batch and places of each channel, in chunks that depend on the shape alone.
func sumChannels(
  _ gradient: ChannelsLast, _ shape: ConvolutionShape, kernels: ProductKernels,
  to bias: UnsafeMutablePointer<Float>
) throws {
  let channels = shape.outChannels
  let rows = shape.batch * shape.output.depth * shape.output.height
  let rowsPerChunk = max(1, (rows + 31) / 32)
  let chunks = (rows + rowsPerChunk - 1) / rowsPerChunk
  let partial = try Scratch(bytes: chunks * channels * 8)
  let values = partial.of(Double.self)
  let source = gradient.pointer.assumingMemoryBound(to: Float.self)
  let slots = try ScratchSlots(bytes: channels * 4)
  parallelFor(rows, grain: rowsPerChunk) { first, last in
    slots.with { scratch in
      let line = scratch.assumingMemoryBound(to: Float.self)
      let sums = values + first / rowsPerChunk * channels
      sums.update(repeating: 0, count: channels)
      for row in first..<last {
        let plane = row / shape.output.height
        var from =
          source + plane / shape.output.depth * gradient.strides[0]
          + plane % shape.output.depth * gradient.strides[1] + row % shape.output.height * gradient.strides[2]
        line.update(repeating: 0, count: channels)
        for _ in 0..<shape.output.width {
          for c in 0..<channels { line[c] += from[c] }
          from += gradient.strides[3]
        }
        for c in 0..<channels { sums[c] += Double(line[c]) }
      }
    }
  }
  for c in 0..<channels {
    var sum = 0.0
    for chunk in 0..<chunks { sum += values[chunk * channels + c] }
    bias[c] = Float(sum)
  }
}
