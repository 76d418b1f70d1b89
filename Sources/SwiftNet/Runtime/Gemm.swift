import KernelTypes

/// `c = alpha * a · b + beta * c` for an m×k matrix a and a k×n matrix b, whose strides (in elements) are
/// arbitrary; the columns of c are adjacent. With beta 0, c is not read.
func gemm(
  _ type: DType, m: Int, n: Int, k: Int, alpha: Double,
  a: UnsafeRawPointer, aRowStride: Int, aColumnStride: Int,
  b: UnsafeRawPointer, bRowStride: Int, bColumnStride: Int,
  beta: Double, c: UnsafeMutableRawPointer, cRowStride: Int, using table: KernelTable = kernels
) throws {
  try gemmBatched(
    type, batch: 1, m: m, n: n, k: k, alpha: alpha, a: a, aBatchStride: 0, aRowStride: aRowStride,
    aColumnStride: aColumnStride, b: b, bBatchStride: 0, bRowStride: bRowStride, bColumnStride: bColumnStride,
    beta: beta, c: c, cBatchStride: 0, cRowStride: cRowStride, using: table)
}

/// `gemm` for `batch` matrices that lie the given strides (in elements) apart. Small matrices run one per
/// thread, large ones one after the other on all threads.
func gemmBatched(
  _ type: DType, batch: Int, m: Int, n: Int, k: Int, alpha: Double,
  a: UnsafeRawPointer, aBatchStride: Int, aRowStride: Int, aColumnStride: Int,
  b: UnsafeRawPointer, bBatchStride: Int, bRowStride: Int, bColumnStride: Int,
  beta: Double, c: UnsafeMutableRawPointer, cBatchStride: Int, cRowStride: Int,
  using table: KernelTable = kernels
) throws {
  if batch <= 0 || m <= 0 || n <= 0 { return }
  let kernels: ProductKernels
  switch type {
  case .float32: kernels = table.gemm.f32
  case .float64: kernels = table.gemm.f64
  default: throw SwiftNetError.notImplemented("gemm is not implemented for \(type)")
  }
  let size = type.size
  let product = MatrixProduct(
    type: type, kernels: kernels, m: m, n: n, k: k, alpha: alpha, beta: beta, a: a, aRowStride: aRowStride,
    aColumnStride: aColumnStride, b: b, bRowStride: bRowStride, bColumnStride: bColumnStride, c: c,
    cRowStride: cRowStride)
  func item(_ index: Int) -> MatrixProduct {
    var one = product
    one.a += index * aBatchStride * size
    one.b += index * bBatchStride * size
    one.c += index * cBatchStride * size
    return one
  }
  if k <= 0 || alpha == 0 {
    for index in 0..<batch { item(index).scaleResult() }
    return
  }
  if batch == 1 || m * n * k > 1 << 21 {
    for index in 0..<batch { try item(index).run() }
    return
  }
  let slots = try ScratchSlots(bytes: product.soloScratch)
  parallelFor(batch, grain: max(1, (1 << 18) / (m * n * k))) { start, end in
    slots.with { scratch in
      for index in start..<end { item(index).runAlone(scratch) }
    }
  }
}

/// One matrix product. Blocking follows Goto and van de Geijn, "Anatomy of High-Performance Matrix
/// Multiplication" (2008): `depth` rows of b in panels of the tile's width, `depth` columns of a likewise. Blocks are
/// deep, so that c passes through the caches seldom; a few tiles of a stay in the second-level cache, while panels of b
/// stream by.
private struct MatrixProduct {
  var type: DType
  var kernels: ProductKernels
  var m: Int
  var n: Int
  var k: Int
  var alpha: Double
  var beta: Double
  var a: UnsafeRawPointer
  var aRowStride: Int
  var aColumnStride: Int
  var b: UnsafeRawPointer
  var bRowStride: Int
  var bColumnStride: Int
  var c: UnsafeMutableRawPointer
  var cRowStride: Int
  /// False where rows of a come from memory, in more streams than the processor prefetches by itself.
  var mayKeepA = true
  /// On one thread alone: the greatest depth of a block, and whether the operands of the next block are fetched beside
  /// the work on one.
  var blockDepth = MatrixProduct.kBlock
  var fetchesAhead = false

  /// Greatest depth of a block. Partial sums this long also keep the rounding error near that of a blocked summation.
  private static let kBlock = 384
  /// The same for products of many rows, whose panels of b are used often.
  private static let deepBlock = 1024
  /// Columns of b packed at a time (8 MiB of floats).
  private static let nBlock = 2048
  /// Rows of a packed at a time.
  private static let mBlock = 4096

  /// c = beta * c, what remains of a product without terms.
  func scaleResult() {
    func run<T: BinaryFloatingPoint>(_: T.Type) {
      let c = c.assumingMemoryBound(to: T.self)
      for i in 0..<m {
        let row = c + i * cRowStride
        if beta == 0 {
          row.update(repeating: 0, count: n)
        } else if beta != 1 {
          for j in 0..<n { row[j] *= T(beta) }
        }
      }
    }
    if type == .float32 { run(Float.self) } else { run(Double.self) }
  }

  private func roundUp(_ value: Int, _ unit: Int) -> Int { (value + unit - 1) / unit * unit }

  /// Whether a is used in place instead of being packed: its rows have adjacent elements and too few columns of
  /// b come by to pay for the copy.
  private var keepsA: Bool { mayKeepA && aColumnStride == 1 && n <= 256 }

  /// Scratch for `runAlone`.
  var soloScratch: Int {
    let depth = min(k, blockDepth)
    let width = min(roundUp(n, kernels.columns), MatrixProduct.nBlock)
    return (roundUp(min(m, MatrixProduct.mBlock), kernels.rows) + width) * depth * type.size + 128
  }

  /// Items (rows of a, columns of b) of some terms, where they lie in rows.
  private func rows(
    _ first: UnsafeRawPointer, _ itemStride: Int, _ kStride: Int, _ items: Int, _ depth: Int
  ) -> RowsAhead? {
    if kStride == 1 {
      return RowsAhead(first: first, stride: itemStride * type.size, rows: items, rowBytes: depth * type.size)
    }
    return itemStride == 1
      ? RowsAhead(first: first, stride: kStride * type.size, rows: depth, rowBytes: items * type.size) : nil
  }

  /// The product on this thread alone.
  func runAlone(_ scratch: UnsafeMutableRawPointer) {
    let size = type.size
    let columns = kernels.columns
    for j in stride(from: 0, to: n, by: MatrixProduct.nBlock) {
      let width = min(MatrixProduct.nBlock, n - j)
      for l in stride(from: 0, to: k, by: blockDepth) {
        let depth = min(blockDepth, k - l)
        let bPanels = scratch
        kernels.packColumns(
          b + (l * bRowStride + j * bColumnStride) * size, bColumnStride, bRowStride, width, depth, bPanels)
        let aPanels = scratch + roundUp(roundUp(width, columns) * depth * size, 64)
        for i in stride(from: 0, to: m, by: MatrixProduct.mBlock) {
          let height = min(MatrixProduct.mBlock, m - i)
          let source = a + (i * aRowStride + l * aColumnStride) * size
          if !keepsA { kernels.packRows(source, aRowStride, aColumnStride, height, depth, aPanels) }
          let next = l + depth, nextDepth = min(blockDepth, k - next)
          let ahead =
            fetchesAhead && nextDepth > 0
            ? (
              rows(source + depth * aColumnStride * size, aRowStride, aColumnStride, height, nextDepth),
              rows(b + (next * bRowStride + j * bColumnStride) * size, bColumnStride, bRowStride, width, nextDepth)
            ) : (nil, nil)
          kernels.block(
            BlockArguments(
              m: height, n: width, k: depth, alpha: alpha, beta: l == 0 ? beta : 1,
              a: keepsA ? source : UnsafeRawPointer(aPanels), aRowStride: keepsA ? aRowStride : nil,
              b: bPanels, bRowStride: columns, bPanelStride: columns * depth,
              c: c + (i * cRowStride + j) * size, cRowStride: cRowStride, ahead: ahead))
        }
      }
    }
  }

  /// The product on all threads.
  func run() throws {
    if try runSkinny() { return }
    if try runDeep() || runWide() { return }
    if m * n * k <= 1 << 15 {
      let scratch = try Scratch(bytes: soloScratch)
      return runAlone(scratch.pointer)
    }
    let size = type.size
    let columns = kernels.columns
    // Blocks of equal depth.
    let limit = m >= 32 * kernels.rows ? MatrixProduct.deepBlock : MatrixProduct.kBlock
    let blocks = (k + limit - 1) / limit
    let depthLimit = (k + blocks - 1) / blocks
    let bPanels = try Scratch(bytes: roundUp(min(n, MatrixProduct.nBlock), columns) * depthLimit * size)
    for j in stride(from: 0, to: n, by: MatrixProduct.nBlock) {
      let width = min(MatrixProduct.nBlock, n - j)
      for l in stride(from: 0, to: k, by: depthLimit) {
        let depth = min(depthLimit, k - l)
        try Interrupt.check()
        parallelFor(roundUp(width, columns) / columns, grain: packGrain(width, depth)) { first, last in
          let start = first * columns, count = min(last * columns, width) - start
          kernels.packColumns(
            b + (l * bRowStride + (j + start) * bColumnStride) * size, bColumnStride, bRowStride, count,
            depth,
            bPanels.pointer + start * depth * size)
        }
        for i in stride(from: 0, to: m, by: MatrixProduct.mBlock) {
          let height = min(MatrixProduct.mBlock, m - i)
          let source = a + (i * aRowStride + l * aColumnStride) * size
          try multiplyBlock(
            height, width, depth, source, bPanels, alpha: alpha, beta: l == 0 ? beta : 1,
            c + (i * cRowStride + j) * size)
        }
      }
    }
  }

  /// Panels of b that one chunk packs: wide enough to read b's rows in long stretches.
  private func packGrain(_ width: Int, _ depth: Int) -> Int {
    max(1, min((1 << 17) / (kernels.columns * depth), width / (kernels.columns * 4)))
  }

  /// One block of a times packed b: each chunk packs its rows of a and multiplies them with all panels of b.
  private func multiplyBlock(
    _ height: Int, _ width: Int, _ depth: Int, _ source: UnsafeRawPointer, _ bPanels: Scratch, alpha: Double,
    beta: Double, _ c: UnsafeMutableRawPointer
  ) throws {
    let size = type.size
    let columns = kernels.columns
    let rows = kernels.rows
    let rowTiles = roundUp(height, rows) / rows
    let columnTiles = roundUp(width, columns) / columns
    let threads = ThreadPool.shared.threadCount
    let pieces = Pieces(
      rowTiles: rowTiles, columnTiles: columnTiles, tilesAtOnce: keepsA ? 16 : (1 << 17) / (rows * depth * size),
      threads: threads)
    // Rows that several pieces share are packed beforehand, those of one piece into a place of its thread's.
    let shared = keepsA || !pieces.sharesRows ? nil : try Scratch(bytes: rowTiles * rows * depth * size)
    let slots = keepsA || pieces.sharesRows ? nil : try ScratchSlots(bytes: pieces.mostRows * rows * depth * size)
    if let shared {
      parallelFor(rowTiles, grain: max(1, (1 << 14) / (rows * depth))) { first, last in
        let start = first * rows, count = min(last * rows, height) - start
        kernels.packRows(
          source + start * aRowStride * size, aRowStride, aColumnStride, count, depth,
          shared.pointer + start * depth * size)
      }
    }
    /// The rows of a that this thread will probably pack next.
    func rowsAfter(_ index: Int) -> RowsAhead? {
      guard aColumnStride == 1, index + threads < pieces.count else { return nil }
      let next = pieces[index + threads].rows
      let first = next.lowerBound * rows
      return self.rows(
        source + first * aRowStride * size, aRowStride, aColumnStride, min(next.upperBound * rows, height) - first,
        depth)
    }
    func multiply(_ indices: Range<Int>, _ own: UnsafeMutableRawPointer?) {
      for index in indices {
        let piece = pieces[index]
        let i = piece.rows.lowerBound * rows, j = piece.columns.lowerBound * columns
        let m = min(piece.rows.upperBound * rows, height) - i
        var left = source + i * aRowStride * size
        if let own {
          kernels.packRows(left, aRowStride, aColumnStride, m, depth, own)
          left = UnsafeRawPointer(own)
        } else if let shared {
          left = UnsafeRawPointer(shared.pointer + i * depth * size)
        }
        kernels.block(
          BlockArguments(
            m: m, n: min(piece.columns.upperBound * columns, width) - j, k: depth, alpha: alpha, beta: beta, a: left,
            aRowStride: keepsA ? aRowStride : nil, b: bPanels.pointer + j * depth * size, bRowStride: columns,
            bPanelStride: columns * depth, c: c + (i * cRowStride + j) * size, cRowStride: cRowStride,
            ahead: (own == nil ? nil : rowsAfter(index), nil)))
      }
    }
    parallelFor(pieces.count, grain: 1) { first, last in
      if let slots { slots.with { multiply(first..<last, $0) } } else { multiply(first..<last, nil) }
    }
  }

  /// How a block is shared out, in tiles: groups of rows with all columns, the later the smaller, so that threads end
  /// together. Where rows are few, all are cut by columns.
  private struct Pieces {
    private let columnTiles: Int
    private let columnGroups: Int
    /// Where each group of rows begins, and where the last one ends.
    private var starts = [0]

    /// A group has at most `tilesAtOnce` tiles, and half of what each thread would get of those that are left.
    init(rowTiles: Int, columnTiles: Int, tilesAtOnce: Int, threads: Int) {
      self.columnTiles = columnTiles
      let width = rowTiles >= 16 ? columnTiles : max(1, min(columnTiles, columnTiles * rowTiles / 16))
      columnGroups = (columnTiles + width - 1) / width
      var start = 0
      while start < rowTiles {
        let share = (rowTiles - start + 2 * threads - 1) / (2 * threads)
        start = min(rowTiles, start + max(2, min(tilesAtOnce, share)))
        starts.append(start)
      }
    }

    var sharesRows: Bool { columnGroups > 1 }
    var mostRows: Int { starts[1] }
    var count: Int { (starts.count - 1) * columnGroups }

    subscript(index: Int) -> (rows: Range<Int>, columns: Range<Int>) {
      let (group, part) = (index / columnGroups, index % columnGroups)
      return (
        starts[group]..<starts[group + 1],
        part * columnTiles / columnGroups..<(part + 1) * columnTiles / columnGroups
      )
    }
  }

  /// Products with few rows or columns, which memory bounds: the large operand is read once, in place. Returns
  /// false where the blocked product serves better.
  private func runSkinny() throws -> Bool {
    if n <= 8 && aColumnStride == 1 && m > n {
      try dotProducts(
        rows: a, aRowStride, m, vectors: b, elementStride: bRowStride, vectorStride: bColumnStride, n,
        resultStrides: (cRowStride, 1))
      return true
    }
    if m <= 8 && bRowStride == 1 && n > m {
      try dotProducts(
        rows: b, bColumnStride, n, vectors: a, elementStride: aColumnStride, vectorStride: aRowStride, m,
        resultStrides: (1, cRowStride))
      return true
    }
    if m <= 2 && bColumnStride == 1 && n > 1 {
      try addRows()
      return true
    }
    if m <= kernels.rows && bColumnStride == 1 && n >= kernels.columns {
      try multiplyInPlace()
      return true
    }
    return false
  }

  /// Every result is a dot product of one of many rows and one of a few vectors.
  private func dotProducts(
    rows: UnsafeRawPointer, _ rowStride: Int, _ rowCount: Int, vectors: UnsafeRawPointer, elementStride: Int,
    vectorStride: Int, _ vectorCount: Int, resultStrides: (row: Int, vector: Int)
  ) throws {
    func run<T: BinaryFloatingPoint>(_: T.Type) throws {
      let c = c.assumingMemoryBound(to: T.self)
      let packed = try Scratch(bytes: vectorCount * k * type.size)
      let vector = packed.of(T.self)
      let source = vectors.assumingMemoryBound(to: T.self)
      for v in 0..<vectorCount {
        for l in 0..<k { vector[v * k + l] = source[v * vectorStride + l * elementStride] }
      }
      let alpha = T(alpha), beta = T(beta)
      let rowsAtOnce = 16
      let slots = try ScratchSlots(bytes: rowsAtOnce * 4 * type.size)
      let grain = max(rowsAtOnce, (1 << 15) / (k * vectorCount))
      parallelFor(rowCount, grain: grain) { start, end in
        slots.with { scratch in
          let results = scratch.assumingMemoryBound(to: T.self)
          for first in stride(from: start, to: end, by: rowsAtOnce) {
            let count = min(rowsAtOnce, end - first)
            for v in stride(from: 0, to: vectorCount, by: 4) {
              let some = min(4, vectorCount - v)
              kernels.dot(
                rows + first * rowStride * type.size, rowStride, count, vector + v * k, (k, some), k, scratch)
              for i in 0..<count {
                for j in 0..<some {
                  let at = c + (first + i) * resultStrides.row + (v + j) * resultStrides.vector
                  let value = alpha * results[i * 4 + j]
                  at.pointee = beta == 0 ? value : value + beta * at.pointee
                }
              }
            }
          }
        }
      }
    }
    if type == .float32 { try run(Float.self) } else { try run(Double.self) }
  }

  /// One or two rows of a times b, as sums of b's rows: long streams through b.
  private func addRows() throws {
    func run<T: BinaryFloatingPoint>(_: T.Type) throws {
      let packed = try Scratch(bytes: m * k * type.size)
      let factors = packed.of(T.self)
      let source = a.assumingMemoryBound(to: T.self)
      for i in 0..<m {
        for l in 0..<k { factors[i * k + l] = T(alpha) * source[i * aRowStride + l * aColumnStride] }
      }
      let c = c.assumingMemoryBound(to: T.self)
      parallelFor(n, grain: max(512, (1 << 15) / (k * m))) { start, end in
        for i in 0..<m {
          let row = c + (i * cRowStride + start)
          if beta == 0 {
            row.update(repeating: 0, count: end - start)
          } else if beta != 1 {
            for j in 0..<end - start { row[j] *= T(beta) }
          }
        }
        // Both rows of a while eight rows of b are in the cache.
        for l in stride(from: 0, to: k, by: 8) {
          for i in 0..<m {
            kernels.addRows(
              b + (l * bRowStride + start) * type.size, bRowStride, min(8, k - l), factors + (i * k + l),
              end - start, c + (i * cRowStride + start))
          }
        }
      }
    }
    if type == .float32 { try run(Float.self) } else { try run(Double.self) }
  }

  /// Products with many terms for each result: a task takes a patch of the results and a part of the terms, with sums of
  /// its own, and the parts are added in their order. What it packs of a and b at a time and its sums stay in its
  /// second-level cache, and no task waits for another. The cut depends on the shape alone. Returns false for others.
  private func runDeep() throws -> Bool {
    func pieces(_ count: Int, of size: Int) -> Int { (count + size - 1) / size }
    /// The size of equal pieces, at most `size` each but for the rounding.
    func size(_ count: Int, _ size: Int, unit: Int) -> Int {
      roundUp(pieces(count, of: pieces(count, of: size)), unit)
    }
    if k < 2048 || k < 8 * max(m, n) { return false }
    var corner = self
    (corner.m, corner.n) = (size(m, 256, unit: kernels.rows), size(n, 256, unit: kernels.columns))
    let (down, across) = (pieces(m, of: corner.m), pieces(n, of: corner.n))
    let patches = down * across
    if patches > 16 { return false }
    corner.k = size(k, max(1024, k * patches / 32), unit: 64)
    let parts = pieces(k, of: corner.k)
    corner.blockDepth = size(
      corner.k, min(MatrixProduct.kBlock, (1 << 18) / ((corner.m + corner.n) * type.size)) & ~3, unit: 4)
    corner.fetchesAhead = true
    corner.alpha = 1
    corner.beta = 0
    corner.cRowStride = n
    corner.mayKeepA = false
    let sums = try Scratch(bytes: parts * m * n * type.size)
    let slots = try ScratchSlots(bytes: corner.soloScratch)
    try Interrupt.check()
    parallelFor(parts * patches, grain: 1) { first, last in
      slots.with { scratch in
        for task in first..<last {
          let (part, patch) = (task / patches, task % patches)
          let (i, j, l) = (patch / across * corner.m, patch % across * corner.n, part * corner.k)
          var one = corner
          (one.m, one.n, one.k) = (min(corner.m, m - i), min(corner.n, n - j), min(corner.k, k - l))
          one.a += (i * aRowStride + l * aColumnStride) * type.size
          one.b += (l * bRowStride + j * bColumnStride) * type.size
          one.c = sums.pointer + ((part * m + i) * n + j) * type.size
          one.runAlone(scratch)
        }
      }
    }
    func addParts<T: BinaryFloatingPoint>(_: T.Type) {
      let sums = sums.of(T.self)
      let c = c.assumingMemoryBound(to: T.self)
      let alpha = T(alpha), beta = T(beta)
      parallelFor(m, grain: max(1, (1 << 14) / (n * parts))) { start, end in
        for i in start..<end {
          let total = sums + i * n
          for part in 1..<parts {
            let other = total + part * m * n
            for j in 0..<n { total[j] += other[j] }
          }
          let row = c + i * cRowStride
          for j in 0..<n { row[j] = beta == 0 ? alpha * total[j] : alpha * total[j] + beta * row[j] }
        }
      }
    }
    if type == .float32 { addParts(Float.self) } else { addParts(Double.self) }
    return true
  }

  /// Products with a few rows of many results: a task packs some columns of b and multiplies them at once, while they
  /// are in the second-level cache. Returns false for others.
  private func runWide() throws -> Bool {
    let depth = min(k, MatrixProduct.kBlock)
    let width = max(1, (1 << 18) / (depth * kernels.columns * type.size)) * kernels.columns
    if m > 4 * kernels.rows || n < 8 * width { return false }
    var slice = self
    slice.n = width
    let slots = try ScratchSlots(bytes: slice.soloScratch)
    try Interrupt.check()
    parallelFor(n, grain: width) { start, end in
      slots.with { scratch in
        var one = self
        one.b += start * bColumnStride * type.size
        one.c += start * type.size
        one.n = end - start
        one.runAlone(scratch)
      }
    }
    return true
  }

  /// A few rows of a times all of b, which is not packed but read where it lies.
  private func multiplyInPlace() throws {
    let size = type.size
    let columns = kernels.columns
    let aPanel = try Scratch(bytes: kernels.rows * k * size)
    let depthLimit = MatrixProduct.kBlock
    for l in stride(from: 0, to: k, by: depthLimit) {
      let depth = min(depthLimit, k - l)
      kernels.packRows(
        a + l * aColumnStride * size, aRowStride, aColumnStride, m, depth,
        aPanel.pointer + kernels.rows * l * size)
    }
    let whole = n / columns
    let tail = n - whole * columns
    let tailPanel = tail > 0 ? try Scratch(bytes: columns * k * size) : nil
    if let tailPanel {
      for l in stride(from: 0, to: k, by: depthLimit) {
        kernels.packColumns(
          b + (l * bRowStride + whole * columns) * size, 1, bRowStride, tail, min(depthLimit, k - l),
          tailPanel.pointer + columns * l * size)
      }
    }
    parallelFor(whole + (tail > 0 ? 1 : 0), grain: max(1, (1 << 15) / (columns * k * m))) { first, last in
      for l in stride(from: 0, to: k, by: depthLimit) {
        for panel in first..<last {
          let packed = panel == whole ? tailPanel : nil
          kernels.block(
            BlockArguments(
              m: m, n: packed == nil ? columns : tail, k: min(depthLimit, k - l), alpha: alpha,
              beta: l == 0 ? beta : 1, a: aPanel.pointer + kernels.rows * l * size, aRowStride: nil,
              b: packed.map { UnsafeRawPointer($0.pointer + columns * l * size) }
                ?? b + (l * bRowStride + panel * columns) * size,
              bRowStride: packed == nil ? bRowStride : columns, bPanelStride: 0,
              c: c + panel * columns * size,
              cRowStride: cRowStride))
        }
      }
    }
  }
}
