import CIntrinsics
import KernelTypes

// F(4×4, 3×3) with the points 0, ±1, ±2 and infinity: A. Lavin and S. Gray, "Fast Algorithms for Convolutional
// Neural Networks" (2016), section 4.3. Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A; the weight gradient is the adjoint,
// dg = Gᵀ[(A dY Aᵀ) ⊙ (Bᵀ d B)]G.

private typealias V = Float.Vector

/// Where a plane begins that is numbered as an image.
@inline(__always)
private func planeOffset(_ image: Int, _ x: WinogradImages) -> Int {
  x.depth == 1 ? image * x.batchStride : image / x.depth * x.batchStride + image % x.depth * x.depthStride
}

/// The image that a grid belongs to, and the grid's first row and column there.
@inline(__always)
private func gridPlace(
  _ grid: Int, _ down: Int, _ across: Int, _ first: (row: Int, column: Int)?
) -> (image: Int, top: Int, left: Int) {
  if let first { return (grid, first.row, first.column) }
  if down == 1 && across == 1 { return (grid, 0, 0) }
  let row = grid / across
  return (row / down, row % down, grid % across)
}

/// Bᵀ d B for consecutive tiles: gather 36 addresses, then 16 channels at a time, columns first.
@inline(never)
func winogradSource<S: ImageNumber>(
  _ images: UnsafePointer<WinogradImages>, _ firstTile: Int, _ tiles: Int, _ out: UnsafeMutablePointer<Float>,
  _ tileStride: Int, _ pointStride: Int, _: S.Type
) where S.Wide == Float {
  let x = images.pointee
  let base = x.pointer.assumingMemoryBound(to: S.self)
  let zeros = x.zeros.assumingMemoryBound(to: S.self)
  let lanes = V.scalarCount
  let line = 64 / MemoryLayout<S>.stride
  withUnsafeTemporaryAllocation(of: UnsafePointer<S>.self, capacity: 36) { addresses in
    WinogradPointBuffer.with { middle in
      guard let from = addresses.baseAddress else { return }
      for tile in 0..<tiles {
        let (grid, row, column, rows, columns) = x.tiling.place(firstTile + tile)
        let (image, top, left) = gridPlace(grid, x.dilationHeight, x.dilationWidth, x.firstPlace)
        let plane = base + planeOffset(image, x)
        let high = (row - x.paddingHeight) * x.dilationHeight + top
        let low = (column - x.paddingWidth) * x.dilationWidth + left
        let isInside =
          high >= 0 && high + 5 * x.dilationHeight < x.height && low >= 0 && low + 5 * x.dilationWidth < x.width
        let step = x.dilationWidth * x.widthStride
        let to = out + tile * tileStride
        let taps = x.tiling.taps
        if isInside && rows == 4 && columns == 4 && taps == 3 {
          winogradWholeSource(
            plane + (high * x.heightStride + low * x.widthStride), x.dilationHeight * x.heightStride, step, x.channels,
            to, pointStride, middle)
          continue
        }
        @inline(__always)
        func address(_ i: Int, _ j: Int) -> UnsafePointer<S> {
          let h = high + i * x.dilationHeight, w = low + j * x.dilationWidth
          let isThere = h >= 0 && h < x.height && w >= 0 && w < x.width
          return isThere ? plane + (h * x.heightStride + w * x.widthStride) : zeros
        }
        if x.tiling.isTwoByTwo {
          // Around them there is one place of padding.
          winogradSourceOfTwo(
            (address(1, 1), address(1, 2), address(2, 1), address(2, 2)), x.channels, to, pointStride)
          continue
        }
        for i in 0..<6 {
          for j in 0..<6 { from[i * 6 + j] = address(i, j) }
        }
        winogradSourceTile(
          from, (rows + taps - 1, columns + taps - 1), x.channels, 4 * step, to, pointStride, middle)
      }
    }
  }
}

/// G g Gᵀ for a panel of filters; `flipped` turns each filter by half a turn, for the data gradient. `isForTwo`: for images
/// of 2×2 places.
@inline(__always)
private func winogradFilter(
  _ panel: UnsafePointer<Float>, _ channels: Int, _ part: (first: Int, count: Int), _ flipped: Bool,
  _ out: UnsafeMutablePointer<Float>, isForTwo: Bool
) {
  @inline(__always)
  func transform(_ a: V, _ b: V, _ c: V) -> Vectors6 {
    isForTwo ? filterTransformForTwo(a, b, c) : filterTransform(a, b, c)
  }
  let points = isForTwo ? 3 : 6
  let lanes = V.scalarCount
  let panel = panel + part.first * Float.tileColumns
  let stride = channels * Float.tileColumns
  let size = part.count * Float.tileColumns
  let pointStride = winogradPointStride(part.count, Float.tileColumns)
  var offset = 0
  while offset < size {
    @inline(__always) func g(_ i: Int) -> V { load(panel + (flipped ? 8 - i : i) * stride + offset) }
    let c0 = transform(g(0), g(3), g(6))
    let c1 = transform(g(1), g(4), g(7))
    let c2 = transform(g(2), g(5), g(8))
    @inline(__always)
    func row(_ i: Int, _ a: V, _ b: V, _ c: V) {
      putPoints(transform(a, b, c), points, out + i * 6 * pointStride + offset, pointStride)
    }
    row(0, c0.0, c1.0, c2.0)
    row(1, c0.1, c1.1, c2.1)
    if !isForTwo {
      row(2, c0.2, c1.2, c2.2)
      row(3, c0.3, c1.3, c2.3)
      row(4, c0.4, c1.4, c2.4)
    }
    row(5, c0.5, c1.5, c2.5)
    offset += lanes
  }
}

/// Products of transformed tiles and filters, a register tile at a time:
///
///     for each of the 36 points (its filters stay in the first-level cache)
///       for each register tile of the tiles that need the point
///         for each plane of the kernel
func winogradMultiply(_ arguments: UnsafePointer<WinogradProducts>) {
  let x = arguments.pointee
  let columns = Float.tileColumns
  let productStride = winogradProductStride(x.tiles, tileRows, columns)
  for point in 0..<36 {
    let filter = point * winogradPointStride(x.channels, columns)
    let planes = x.isOdd ? winogradOddPlanes(point) : 0..<x.planes
    var (row, end) = x.tiling.tiles(point, x.firstTile, x.firstTile + x.tiles)
    while row < end {
      let source = point * x.pointStride + row * x.tileStride
      let out = x.products + (point * productStride + row * columns)
      let left = end - row
      let last = min(tileRows, left) - 1
      if x.narrow {
        planesTile(arguments, planes, source, last, filter, out, NarrowTile<Float>.self)
      } else if left <= 4 || left == 7 || left == 8 {
        // Seven or eight rows are two tiles of four. The transforms' tiles of small images are few.
        planesTile(arguments, planes, source, min(last, 3), filter, out, FourRows<Float>.self)
        row += 4
        continue
      } else if left <= 6 && tileRows > 6 {
        planesTile(arguments, planes, source, last, filter, out, SixRows<Float>.self)
      } else {
        planesTile(arguments, planes, source, last, filter, out, Tile<Float>.self)
      }
      row += tileRows
    }
  }
}

/// A register tile of one point's products, summed over channels and planes of the kernel. Rows beyond the last repeat it.
@inline(never)
private func planesTile<Rows: ProductTile>(
  _ arguments: UnsafePointer<WinogradProducts>, _ planes: Range<Int>, _ source: Int, _ last: Int, _ filter: Int,
  _ out: UnsafeMutablePointer<Float>, _: Rows.Type
) where Rows.T == Float {
  let stride = arguments.pointee.tileStride
  let channels = arguments.pointee.channels
  let (sources, filters) = (arguments.pointee.sources, arguments.pointee.filters)
  var tile = Rows()
  var plane = planes.lowerBound
  repeat {
    let a = sources[plane] + source
    let rows = RowPointers<Float> { a + (min($0, last) * stride + channels) }
    var b = filters[plane] + filter
    @inline(__always)
    func addTerm(_ index: Int, _ step: Int) { tile.add(row: b + step * Float.tileColumns) { rows.six($0, index) } }
    forEachTerm(from: -channels, SomeTerms.self, addTerm) { b += $0 * Float.tileColumns }
    plane += 1
  } while plane < planes.upperBound
  tile.put(out, Float.tileColumns, adding: arguments.pointee.adding)
}

/// Aᵀ m A of consecutive tiles and the epilogue, for one block of columns.
@inline(never)
func winogradProducts<S: ImageNumber>(
  _ products: UnsafePointer<Float>, _ firstTile: Int, _ tiles: Int, _ output: UnsafePointer<WinogradOutput>,
  _ epilogue: UnsafePointer<ConvolveArguments>, _: S.Type
) where S.Wide == Float {
  let x = output.pointee
  let columns = Float.tileColumns
  let lanes = V.scalarCount
  let width = min(columns, epilogue.pointee.columns)
  let pointStride = winogradProductStride(tiles, tileRows, columns)
  withUnsafeTemporaryAllocation(of: Int.self, capacity: 16) { memory in
    guard let places = memory.baseAddress else { return }
    WinogradPointBuffer.with { middle in
      WinogradPointBuffer.with { results in
        let room = middle + 24 * lanes
        let finish = ConvFinish<S>(
          epilogue.pointee, column: epilogue.pointee.firstColumn, width: width, room: room)
        for tile in 0..<tiles {
          let (grid, row, column, tileDown, tileAcross) = x.tiling.place(firstTile + tile)
          let (image, firstRow, firstColumn) = gridPlace(grid, x.dilationHeight, x.dilationWidth, x.firstPlace)
          let top = row * x.dilationHeight + firstRow, left = column * x.dilationWidth + firstColumn
          // The last tile of a grid that is shorter than others has a row or column less, maybe none.
          let rows = min(tileDown, (x.height - top + x.dilationHeight - 1) / x.dilationHeight)
          let across = min(tileAcross, (x.width - left + x.dilationWidth - 1) / x.dilationWidth)
          if rows <= 0 || across <= 0 { continue }
          let first = image * x.imageStride + (top * x.width + left) * x.channels
          if rows == 4 && across == 4 && x.tiling.taps == 3 && width % lanes == 0 {
            winogradWholeOutput(
              products + tile * columns, pointStride, finish, width, first,
              x.dilationHeight * x.width * x.channels, x.dilationWidth * x.channels, middle)
            continue
          }
          for i in 0..<rows {
            for j in 0..<across {
              let place = first + (i * x.dilationHeight * x.width + j * x.dilationWidth) * x.channels
              places[i * across + j] = place
            }
          }
          finish.fetch(places, rows * across, width)
          var half = 0
          while half < width {
            let from = products + (tile * columns + half)
            if x.tiling.isTwoByTwo {
              winogradOutputOfTwo(from, pointStride, (rows, across), results + half)
            } else if x.tiling.taps == 3 {
              winogradOutputTile(
                from, pointStride, (tileDown, tileAcross), (rows, across), results + half, middle)
            } else {
              winogradTapsOutputTile(
                from, pointStride, (tileDown, tileAcross), (rows, across),
                (x.tiling.hasLastDown, x.tiling.hasLastAcross),
                results + half, middle)
            }
            half += lanes
          }
          finish.putRows(results, places, rows * across, width)
        }
      }
    }
  }
}

/// A dY Aᵀ for consecutive tiles of up to a tile's columns of channels.
@inline(never)
func winogradGradient<S: ImageNumber>(
  _ images: UnsafePointer<WinogradImages>, _ firstTile: Int, _ tiles: Int, _ firstChannel: Int,
  _ channels: Int, _ out: UnsafeMutablePointer<Float>, _: S.Type
) where S.Wide == Float {
  let x = images.pointee
  let base = x.pointer.assumingMemoryBound(to: S.self) + firstChannel
  let zeros = x.zeros.assumingMemoryBound(to: S.self)
  let lanes = V.scalarCount
  let columns = Float.tileColumns
  let pointStride = winogradPointStride(tiles, columns)
  withUnsafeTemporaryAllocation(of: UnsafePointer<S>.self, capacity: 16) { addresses in
    WinogradPointBuffer.with { middle in
      guard let from = addresses.baseAddress else { return }
      for tile in 0..<tiles {
        let (grid, row, column, rows, across) = x.tiling.place(firstTile + tile)
        let (image, top, left) = gridPlace(grid, x.dilationHeight, x.dilationWidth, x.firstPlace)
        let plane = base + planeOffset(image, x)
        let high = row * x.dilationHeight + top, low = column * x.dilationWidth + left
        let isInside = high + 3 * x.dilationHeight < x.height && low + 3 * x.dilationWidth < x.width
        if isInside && rows == 4 && across == 4 && channels % lanes == 0 {
          winogradWholeGradient(
            plane + (high * x.heightStride + low * x.widthStride), x.dilationHeight * x.heightStride,
            x.dilationWidth * x.widthStride, channels, out + tile * columns, pointStride, middle)
          continue
        }
        @inline(__always)
        func address(_ i: Int, _ j: Int) -> UnsafePointer<S> {
          let h = high + i * x.dilationHeight, w = low + j * x.dilationWidth
          let isThere = i < rows && j < across && h < x.height && w < x.width
          return isThere ? plane + (h * x.heightStride + w * x.widthStride) : zeros
        }
        if x.tiling.isTwoByTwo {
          // The points are those of a source, the other way round.
          winogradSourceOfTwo(
            (address(1, 1), address(1, 0), address(0, 1), address(0, 0)), channels, out + tile * columns, pointStride)
          continue
        }
        for i in 0..<4 {
          for j in 0..<4 { from[i * 4 + j] = address(i, j) }
        }
        var channel = 0
        // The second vector of narrow blocks is not used.
        while channel < (channels <= lanes ? lanes : columns) {
          let present = channel < channels
          @inline(__always) func d(_ i: Int) -> V { present ? S.load(from[i] + channel) : V() }
          for j in 0..<4 {
            putPoints(gradientTransform((d(j), d(4 + j), d(8 + j), d(12 + j)), rows), 6, middle + j * lanes, 4 * lanes)
          }
          winogradGradientAcross(middle, across, out + (tile * columns + channel), pointStride)
          channel += lanes
        }
      }
    }
  }
}

/// One point: sums[plane][channel][column] = (or +=) sum over tiles of source[plane][tile][channel] *
/// gradient[tile][column]. The rows of a register tile are pairs of channels, so that those of several planes fill it.
func winogradAccumulate(_ arguments: UnsafePointer<WinogradSums>) {
  let x = arguments.pointee
  let columns = Float.tileColumns
  let perPlane = x.channels / 2
  let pairs = x.planes * perPlane
  let atOnce = tileRows / 2
  withUnsafeTemporaryAllocation(of: UnsafePointer<Float>.self, capacity: atOnce) { memory in
    guard let rows = memory.baseAddress else { return }
    TileBuffer<Float>.with { buffer in
      var first = 0
      while first < pairs {
        for i in 0..<atOnce {
          let pair = min(first + i, pairs - 1)
          let plane = pair / perPlane
          rows[i] = x.sources[plane] + (x.sourceOffset + (pair - plane * perPlane) * 2)
        }
        @inline(__always)
        func place(_ pair: Int) -> UnsafeMutablePointer<Float> {
          let plane = pair / perPlane
          return x.sums[plane] + (x.sumsOffset + (pair - plane * perPlane) * 2 * columns)
        }
        let whole = first + atOnce <= pairs && first / perPlane == (first + atOnce - 1) / perPlane
        let out = whole ? place(first) : buffer
        switch (whole, x.narrow) {
        // Within a plane the rows are neighbours: one address instead of six.
        case (true, true):
          stridedTile(
            rows[0], x.sourceStride, x.gradient, columns, x.tiles, 8 * columns, out, columns, x.adding,
            NarrowTile<Float>.self)
        case (true, false):
          stridedTile(
            rows[0], x.sourceStride, x.gradient, columns, x.tiles, 8 * columns, out, columns, x.adding,
            Tile<Float>.self)
        case (false, true): pairsTile(rows, x.sourceStride, x.gradient, x.tiles, out, NarrowTile<Float>.self)
        case (false, false): pairsTile(rows, x.sourceStride, x.gradient, x.tiles, out, Tile<Float>.self)
        }
        if !whole {
          for i in 0..<min(atOnce, pairs - first) {
            let to = place(first + i), from = buffer + 2 * i * columns
            if x.adding {
              for j in 0..<2 * columns { to[j] += from[j] }
            } else {
              for j in 0..<2 * columns { to[j] = from[j] }
            }
          }
        }
        first += atOnce
      }
    }
  }
}

/// A register tile of several planes' rows, or of their last ones: pairs of neighbours, `stride` numbers from one term to
/// the next.
@inline(never)
private func pairsTile<Rows: ProductTile>(
  _ pairs: UnsafePointer<UnsafePointer<Float>>, _ stride: Int, _ b: UnsafePointer<Float>, _ terms: Int,
  _ out: UnsafeMutablePointer<Float>, _: Rows.Type
) where Rows.T == Float {
  let columns = Float.tileColumns
  let p = (pairs[0], pairs[1], pairs[2])
  #if SN_V4
    let q = (pairs[3], pairs[4], pairs[5])
  #endif
  var tile = Rows()
  var b = b
  var index = 0
  var left = terms
  repeat {
    sn_prefetch(b + 8 * columns)
    sn_prefetch(b + (8 * columns + V.scalarCount))
    tile.add(row: b) { i in
      #if SN_V4
        if i == 6 {
          return (q.0[index], q.0[index + 1], q.1[index], q.1[index + 1], q.2[index], q.2[index + 1])
        }
      #endif
      return (p.0[index], p.0[index + 1], p.1[index], p.1[index + 1], p.2[index], p.2[index + 1])
    }
    b += columns
    index += stride
    left -= 1
  } while left > 0
  tile.put(out, columns, adding: false)
}

/// Gᵀ U G for a panel; `isForTwo`: for images of 2×2 places.
@inline(__always)
private func winogradFilterGradient(
  _ sums: UnsafePointer<Float>, _ channels: Int, _ out: UnsafeMutablePointer<Float>, isForTwo: Bool
) {
  @inline(__always)
  func adjoint(_ u: Vectors6) -> (V, V, V) { isForTwo ? filterAdjointForTwo(u) : filterAdjoint(u) }
  let lanes = V.scalarCount
  let size = channels * Float.tileColumns
  let pointStride = winogradPointStride(channels, Float.tileColumns)
  var offset = 0
  while offset < size {
    @inline(__always)
    func column(_ j: Int) -> (V, V, V) {
      @inline(__always)
      func u(_ i: Int) -> V {
        isForTwo && (2..<5).contains(i) ? V() : load(sums + (i * 6 + j) * pointStride + offset)
      }
      return isForTwo && (2..<5).contains(j) ? (V(), V(), V()) : adjoint((u(0), u(1), u(2), u(3), u(4), u(5)))
    }
    let a = column(0), b = column(1), c = column(2), d = column(3), e = column(4), f = column(5)
    @inline(__always)
    func row(_ i: Int, _ u: Vectors6) {
      let t = adjoint(u)
      store(t.0, out + (i * 3) * size + offset)
      store(t.1, out + (i * 3 + 1) * size + offset)
      store(t.2, out + (i * 3 + 2) * size + offset)
    }
    row(0, (a.0, b.0, c.0, d.0, e.0, f.0))
    row(1, (a.1, b.1, c.1, d.1, e.1, f.1))
    row(2, (a.2, b.2, c.2, d.2, e.2, f.2))
    offset += lanes
  }
}

/// G g Gᵀ for a panel of filters of 2×2 taps.
func winogradTaps(
  _ panel: UnsafePointer<Float>, _ channels: Int, _ taps: (Int, Int, Int, Int), _ out: UnsafeMutablePointer<Float>
) {
  let size = channels * Float.tileColumns
  let pointStride = winogradPointStride(channels, Float.tileColumns)
  for offset in stride(from: 0, to: size, by: V.scalarCount) {
    @inline(__always) func g(_ tap: Int) -> V { tap < 0 ? V() : load(panel + tap * size + offset) }
    let a = filterTransform(g(taps.0), g(taps.2)), b = filterTransform(g(taps.1), g(taps.3))
    @inline(__always)
    func row(_ i: Int, _ a: V, _ b: V) {
      let t = filterTransform(a, b)
      let to = out + i * 6 * pointStride + offset
      store(t.0, to)
      store(t.1, to + pointStride)
      store(t.2, to + 2 * pointStride)
      store(t.3, to + 3 * pointStride)
      store(t.5, to + 5 * pointStride)
    }
    row(0, a.0, b.0)
    row(1, a.1, b.1)
    row(2, a.2, b.2)
    row(3, a.3, b.3)
    row(5, a.5, b.5)
  }
}

/// Gᵀ U G for a panel, to those of 2×2 taps that are there.
func winogradTapsGradient(
  _ out: UnsafeMutablePointer<Float>, _ channels: Int, _ taps: (Int, Int, Int, Int), _ sums: UnsafePointer<Float>
) {
  let size = channels * Float.tileColumns
  let pointStride = winogradPointStride(channels, Float.tileColumns)
  for offset in stride(from: 0, to: size, by: V.scalarCount) {
    @inline(__always)
    func column(_ j: Int) -> (V, V) {
      @inline(__always) func u(_ i: Int) -> V { load(sums + (i * 6 + j) * pointStride + offset) }
      return tapsAdjoint((u(0), u(1), u(2), u(3), V(), u(5)))
    }
    let a = column(0), b = column(1), c = column(2), d = column(3), e = column(5)
    let top = tapsAdjoint((a.0, b.0, c.0, d.0, V(), e.0)), bottom = tapsAdjoint((a.1, b.1, c.1, d.1, V(), e.1))
    if taps.0 >= 0 { store(top.0, out + taps.0 * size + offset) }
    if taps.1 >= 0 { store(top.1, out + taps.1 * size + offset) }
    if taps.2 >= 0 { store(bottom.0, out + taps.2 * size + offset) }
    if taps.3 >= 0 { store(bottom.1, out + taps.3 * size + offset) }
  }
}

func registerWinograd(_ table: inout WinogradKernels) {
  table.lanes = V.scalarCount
  table.wideImages = imageKernels(Float.self)
  table.narrowImages = imageKernels(BrainFloat.self)
  table.transformFilter = { winogradFilter($0, $1, $2, $3, $4, isForTwo: false) }
  table.transformFilterForTwo = { winogradFilter($0, $1, $2, $3, $4, isForTwo: true) }
  table.multiply = { winogradMultiply($0) }
  table.accumulate = { winogradAccumulate($0) }
  table.transformTaps = { winogradTaps($0, $1, $2, $3) }
  table.transformTapsGradient = { winogradTapsGradient($0, $1, $2, $3) }
  table.transformFilterGradient = { winogradFilterGradient($0, $1, $2, isForTwo: false) }
  table.transformFilterGradientForTwo = { winogradFilterGradient($0, $1, $2, isForTwo: true) }
}

@inline(__always)
private func imageKernels<S: ImageNumber>(_: S.Type) -> WinogradImageKernels where S.Wide == Float {
  var kernels = WinogradImageKernels()
  kernels.transformSource = { winogradSource($0, $1, $2, $3, $4, $5, S.self) }
  kernels.transformProducts = { winogradProducts($0, $1, $2, $3, $4, S.self) }
  kernels.transformGradient = { winogradGradient($0, $1, $2, $3, $4, $5, S.self) }
  return kernels
}
