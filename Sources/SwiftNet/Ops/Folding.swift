/// Patches of images as columns, and back (im2col, col2im). PyTorch: `torch.nn.functional.unfold`, `fold`.
struct PatchGrid {
  let kernel: [Int]
  let dilation: [Int]
  let padding: [Int]
  let stride: [Int]

  init(kernel: [Int], dilation: [Int], padding: [Int], stride: [Int]) throws {
    func pair(_ values: [Int], _ name: String, least: Int) throws -> [Int] {
      let list = values.count == 1 ? [values[0], values[0]] : values
      try require(list.count == 2, .value, "expected \(name) to be one or two numbers, got \(Shape.describe(values))")
      try require(
        list.allSatisfy { $0 >= least && $0 < ConvolutionOptions.limit },
        least == 0
          ? "padding should be non-negative, but got \(Shape.describe(list))"
          : "\(name) should be greater than zero, but got \(Shape.describe(list))")
      return list
    }
    self.kernel = try pair(kernel, "kernel_size", least: 1)
    self.dilation = try pair(dilation, "dilation", least: 1)
    self.padding = try pair(padding, "padding", least: 0)
    self.stride = try pair(stride, "stride", least: 1)
  }

  /// Number of patches in each direction of an image.
  func patches(_ size: [Int]) -> [Int] {
    (0..<2).map { d in
      let room = size[d] + 2 * padding[d] - dilation[d] * (kernel[d] - 1) - 1
      return room < 0 ? 0 : room / stride[d] + 1
    }
  }

  var positions: Int { kernel[0] * kernel[1] }

  /// The part of padded images (N, C, H, W) that kernel position (y, x) sees, one element for each patch.
  func seen(_ images: Tensor, _ y: Int, _ x: Int, _ patches: [Int]) throws -> Tensor {
    let s = images.strides
    return try images.alias(
      shape: [images.shape[0], images.shape[1]] + patches, strides: [s[0], s[1], s[2] * stride[0], s[3] * stride[1]],
      offset: images.offset + y * dilation[0] * s[2] + x * dilation[1] * s[3],
      count: images.shape[0] * images.shape[1] * patches[0] * patches[1])
  }
}

extension Tensor {
  /// (N, C, H, W) or (C, H, W) to (N, C · kernel positions, patches).
  public func unfoldPatches(
    kernel: [Int], dilation: [Int] = [1], padding: [Int] = [0], stride: [Int] = [1]
  ) throws -> Tensor {
    let grid = try PatchGrid(kernel: kernel, dilation: dilation, padding: padding, stride: stride)
    try require(
      (rank == 3 || rank == 4) && shape.dropFirst(rank - 3).allSatisfy { $0 > 0 },
      "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, but "
        + "got: \(Shape.describe(shape))")
    if rank == 3 { return try unsqueeze(0).unfolded(grid).squeeze([0]) }
    return try unfolded(grid)
  }

  private func unfolded(_ grid: PatchGrid) throws -> Tensor {
    let size = Array(shape.suffix(2))
    let patches = grid.patches(size)
    try require(
      patches[0] > 0 && patches[1] > 0,
      "Given input with spatial size (\(size[0]), \(size[1])), kernel_size=(\(grid.kernel[0]), \(grid.kernel[1])), "
        + "dilation=(\(grid.dilation[0]), \(grid.dilation[1])), padding=(\(grid.padding[0]), \(grid.padding[1])), "
        + "calculated shape of the array of sliding blocks as (\(patches[0]), \(patches[1])), but its components must be "
        + "at least one.")
    let (n, c) = (shape[0], shape[1])
    let out = try Tensor(empty: [n, c, grid.positions] + patches, dtype: dtype)
    try noGrad {
      let images = try padded([grid.padding[1], grid.padding[1], grid.padding[0], grid.padding[0]])
      for y in 0..<grid.kernel[0] {
        for x in 0..<grid.kernel[1] {
          try copyElements(
            from: grid.seen(images, y, x, patches), to: out.select(2, y * grid.kernel[1] + x))
        }
      }
    }
    let columns = try out.alias(
      shape: [n, c * grid.positions, patches[0] * patches[1]],
      strides: Shape.contiguousStrides([n, c * grid.positions, patches[0] * patches[1]]))
    return try columns.recorded("Im2Col", self) { [try $0.grad.folded(size, grid)] }
  }

  /// (N, C · kernel positions, patches) or without N to images (N, C, H, W): the sum where patches overlap.
  public func foldPatches(
    size: [Int], kernel: [Int], dilation: [Int] = [1], padding: [Int] = [0], stride: [Int] = [1]
  ) throws -> Tensor {
    let grid = try PatchGrid(kernel: kernel, dilation: dilation, padding: padding, stride: stride)
    let size = size.count == 1 ? [size[0], size[0]] : size
    try require(
      size.count == 2 && size.allSatisfy { $0 > 0 && $0 < ConvolutionOptions.limit },
      "expected output_size to be one or two positive numbers, got \(Shape.describe(size))")
    try require(
      (rank == 2 || rank == 3) && shape.dropFirst(rank - 2).allSatisfy { $0 > 0 },
      "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for input, but "
        + "got: \(Shape.describe(shape))")
    try require(
      shape[rank - 2] % grid.positions == 0,
      "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got input.size(1)="
        + "\(shape[rank - 2]) and kernel_size=(\(grid.kernel[0]), \(grid.kernel[1])).")
    let patches = grid.patches(size)
    try require(
      patches[0] * patches[1] == shape[rank - 1],
      "Given output_size=(\(size[0]), \(size[1])), kernel_size=(\(grid.kernel[0]), \(grid.kernel[1])), "
        + "dilation=(\(grid.dilation[0]), \(grid.dilation[1])), padding=(\(grid.padding[0]), \(grid.padding[1])), "
        + "stride=(\(grid.stride[0]), \(grid.stride[1])), expected size of input's dimension 2 to match the calculated "
        + "number of sliding blocks \(patches[0]) * \(patches[1]) = \(patches[0] * patches[1]), but got "
        + "input.size(2)=\(shape[rank - 1]).")
    if rank == 2 { return try unsqueeze(0).folded(size, grid).squeeze([0]) }
    return try folded(size, grid)
  }

  private func folded(_ size: [Int], _ grid: PatchGrid) throws -> Tensor {
    let patches = grid.patches(size)
    let (n, c) = (shape[0], shape[1] / grid.positions)
    let whole = [n, c, size[0] + 2 * grid.padding[0], size[1] + 2 * grid.padding[1]]
    let out = try noGrad { () -> Tensor in
      let columns = try contiguous().reshape([n, c, grid.positions] + patches)
      let images = try Tensor.zeros(whole, dtype: dtype)
      for y in 0..<grid.kernel[0] {
        for x in 0..<grid.kernel[1] {
          try grid.seen(images, y, x, patches).addInPlace(columns.select(2, y * grid.kernel[1] + x))
        }
      }
      return try images.padded([-grid.padding[1], -grid.padding[1], -grid.padding[0], -grid.padding[0]])
    }
    return try out.recorded("Col2Im", self) { [try $0.grad.unfolded(grid)] }
  }
}
