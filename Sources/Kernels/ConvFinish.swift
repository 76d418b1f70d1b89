import CIntrinsics
import KernelTypes

/// The last steps of a convolution for up to a tile's columns of channels, on the way into images of `S`:
/// `sum · scale + shift` (bias and batch normalisation in one), then the residual, then ReLU.
struct ConvFinish<S: ImageNumber> {
  typealias T = S.Wide
  typealias V = T.Vector

  /// Of a tile's columns each.
  private let scale: UnsafePointer<T>
  private let shift: UnsafePointer<T>
  private let residual: UnsafePointer<S>?
  private let relu: Bool
  /// Whether sums go into the image as they are.
  private let isPlain: Bool
  private let out: UnsafeMutablePointer<S>

  /// `room`: two rows of a tile's columns, which must live as long as this.
  @inline(__always)
  init(_ x: ConvolveArguments, column: Int, width: Int, room: UnsafeMutablePointer<T>) {
    let scales = room, shifts = room + T.tileColumns
    for i in 0..<T.tileColumns {
      scales[i] = 1
      shifts[i] = 0
    }
    if let bias = x.bias.map({ $0.assumingMemoryBound(to: T.self) + column }) {
      for i in 0..<width { shifts[i] = bias[i] }
    }
    if let scale = x.scale.map({ $0 + column }), let shift = x.shift.map({ $0 + column }) {
      for i in 0..<width {
        scales[i] = T(scale[i])
        shifts[i] = shifts[i] * scales[i] + T(shift[i])
      }
    }
    self.scale = UnsafePointer(scales)
    self.shift = UnsafePointer(shifts)
    residual = x.residual.map { $0.assumingMemoryBound(to: S.self) + column }
    relu = x.relu
    isPlain = x.bias == nil && x.scale == nil && x.residual == nil && !x.relu
    out = x.output.assumingMemoryBound(to: S.self) + column
  }

  /// Asks for the lines of `width` channels at some places.
  @inline(__always)
  func fetch(_ places: UnsafePointer<Int>, _ count: Int, _ width: Int) {
    for row in 0..<count { fetch(places[row], width) }
  }

  @inline(__always)
  private func fetch(_ place: Int, _ width: Int) {
    sn_prefetch_write(out + place)
    if T.tileBytes > 64 { sn_prefetch_write(out + (place + width - 1)) }
    if let residual {
      sn_prefetch(residual + place)
      if T.tileBytes > 64 { sn_prefetch(residual + (place + width - 1)) }
    }
  }

  /// The same for a square of 4×4 places.
  @inline(__always)
  func fetch(square place: Int, _ rowStep: Int, _ columnStep: Int, _ width: Int) {
    for i in 0..<4 {
      for j in 0..<4 { fetch(place + (i * rowStep + j * columnStep), width) }
    }
  }

  /// A vector of scales and one of shifts.
  @inline(__always)
  func factors(_ column: Int) -> (scale: V, shift: V) { (load(scale + column), load(shift + column)) }

  /// One vector of channels from `place` on.
  @inline(__always)
  func put(_ sum: V, _ factors: (scale: V, shift: V), _ place: Int) { put(sum, factors, place, residual, relu) }

  @inline(__always)
  private func put(
    _ sum: V, _ factors: (scale: V, shift: V), _ place: Int, _ residual: UnsafePointer<S>?, _ relu: Bool
  ) {
    // Not `multiplyAdd`, which means pairs in one of the modules that share this file.
    var value = T.fused(sum, factors.scale, plus: factors.shift)
    if let residual { value += S.load(residual + place) }
    if relu { value = clampedAtZero(value, T.self) }
    S.store(value, out + place)
  }

  /// Rows of sums in memory, each of a tile's columns, of which the first `width` count.
  @inline(never)
  func putRows(_ sums: UnsafePointer<T>, _ places: UnsafePointer<Int>, _ count: Int, _ width: Int) {
    let lanes = V.scalarCount
    var half = 0
    while half + lanes <= width {
      let factors = factors(half)
      for row in 0..<count { put(load(sums + (row * T.tileColumns + half)), factors, places[row] + half) }
      half += lanes
    }
    if half < width { putRest(sums, places, count, half..<width) }
  }

  /// Fewer columns than fill a vector, by way of a vector in memory. (In a loop over single ones the compiler would load a
  /// residual that is not there, under a mask, which takes the processor a hundred cycles.)
  @inline(__always)
  private func putRest(
    _ sums: UnsafePointer<T>, _ places: UnsafePointer<Int>, _ count: Int, _ columns: Range<Int>
  ) {
    let (column, bytes) = (columns.lowerBound, columns.count * MemoryLayout<S>.stride)
    let factors = factors(column)
    var part = V()
    withUnsafeMutableBytes(of: &part) { part in
      guard let room = part.baseAddress?.assumingMemoryBound(to: S.self) else { return }
      for row in 0..<count {
        let place = places[row] + column
        var value = T.fused(load(sums + (row * T.tileColumns + column)), factors.scale, plus: factors.shift)
        if let residual {
          sn_copy_part(room, residual + place, bytes)
          value += S.load(room)
        }
        if relu { value = clampedAtZero(value, T.self) }
        S.store(value, room)
        sn_copy_part(out + place, room, bytes)
      }
    }
  }
}

extension ConvFinish {
  /// A tile with earlier sums, if there are any, to its rows' places. Which steps there are is asked once for all vectors:
  /// with few terms, the way out is a fair part of a tile's instructions.
  @inline(__always)
  func put<Rows: ImageTile>(
    _ tile: Rows, _ places: UnsafePointer<Int>, adding earlier: UnsafePointer<T>?
  ) where Rows.T == T {
    if isPlain && earlier == nil {
      return tile.forEachVector { sum, row, column in S.store(sum, out + (places[row] + column)) }
    }
    let left = factors(0), right = factors(V.scalarCount)
    @inline(__always)
    func putAll(_ residual: UnsafePointer<S>?, _ relu: Bool, adding earlier: UnsafePointer<T>?) {
      tile.forEachVector { sum, row, column in
        var sum = sum
        if let earlier { sum += load(earlier + (row * T.tileColumns + column)) }
        put(sum, column == 0 ? left : right, places[row] + column, residual, relu)
      }
    }
    if earlier != nil {
      putAll(residual, relu, adding: earlier)
    } else if let residual {
      putAll(residual, relu, adding: nil)
    } else if relu {
      putAll(nil, true, adding: nil)
    } else {
      putAll(nil, false, adding: nil)
    }
  }
}

/// A tile that goes into an image vector by vector.
protocol ImageTile: ProductTile {
  /// Calls `body(vector, row, first column)` for each vector.
  func forEachVector(_ body: (T.Vector, Int, Int) -> Void)
}

extension Tile: ImageTile {
  @inline(__always)
  func forEachVector(_ body: (V, Int, Int) -> Void) {
    forEach { row, l, r in
      body(l, row, 0)
      body(r, row, V.scalarCount)
    }
  }
}

extension SixRows: ImageTile {
  @inline(__always)
  func forEachVector(_ body: (V, Int, Int) -> Void) {
    forEach { row, l, r in
      body(l, row, 0)
      body(r, row, V.scalarCount)
    }
  }
}

extension NarrowTile: ImageTile {
  @inline(__always)
  func forEachVector(_ body: (V, Int, Int) -> Void) { forEach { row, l in body(l, row, 0) } }
}

/// Adds the column sums of a block with the given row stride: a vector at a time over the rows, then in Double.
@inline(__always)
func addColumnSums<T: ProductScalar>(
  _ values: UnsafePointer<T>, _ stride: Int, _ rows: Int, _ columns: Int, _ sums: UnsafeMutablePointer<Double>
) {
  typealias V = T.Vector
  let lanes = V.scalarCount
  var column = 0
  while column + lanes <= columns {
    var sum = V()
    for row in 0..<rows { sum += load(values + row * stride + column) as V }
    for i in 0..<lanes { sums[column + i] += Double(sum[i]) }
    column += lanes
  }
  while column < columns {
    var sum: T = 0
    for row in 0..<rows { sum += values[row * stride + column] }
    sums[column] += Double(sum)
    column += 1
  }
}
