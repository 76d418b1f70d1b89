import KernelTypes

/// `c = a · b + bias` for matrices of bfloat16 or float16 with any strides (in elements); the columns of c are
/// adjacent. Sums are float32 and rounded once, to the operands' dtype or to that of `result`. `bias` has one element
/// per column.
func narrowGemm(
  _ type: DType, result: DType? = nil, batch: Int = 1, m: Int, n: Int, k: Int,
  a: UnsafeRawPointer, aBatchStride: Int = 0, aRowStride: Int, aColumnStride: Int,
  b: UnsafeRawPointer, bBatchStride: Int = 0, bRowStride: Int, bColumnStride: Int,
  bias: UnsafeRawPointer? = nil, biasStride: Int = 1, c: UnsafeMutableRawPointer, cBatchStride: Int = 0,
  cRowStride: Int, using table: KernelTable = kernels
) throws {
  if batch <= 0 || m <= 0 || n <= 0 { return }
  let resultType = result ?? type
  guard let panels = NarrowPanels(type, result: resultType, table) else {
    throw SwiftNetError.notImplemented("a matrix product is not implemented for \(type)")
  }
  let wideBias = try bias.map { _ in try Scratch(bytes: n * 4) }
  if let bias, let wideBias { panels.load(bias, biasStride, wideBias.pointer, n) }
  let product = NarrowProduct(
    panels: panels, m: m, n: n, k: k, a: a, aRowStride: aRowStride, aColumnStride: aColumnStride, b: b,
    bRowStride: bRowStride, bColumnStride: bColumnStride, bias: wideBias?.of(Float.self), c: c,
    cRowStride: cRowStride)
  func item(_ index: Int) -> NarrowProduct {
    var one = product
    one.a += index * aBatchStride * type.size
    one.b += index * bBatchStride * type.size
    one.c += index * cBatchStride * resultType.size
    return one
  }
  if batch > 1 && Double(m) * Double(n) * Double(max(k, 1)) < 0x1p21 {
    let slots = try ScratchSlots(bytes: product.soloScratch)
    parallelFor(batch, grain: max(1, (1 << 18) / (m * n * max(k, 1)))) { start, end in
      slots.with { scratch in
        for index in start..<end { item(index).runAlone(scratch) }
      }
    }
  } else {
    for index in 0..<batch { try item(index).run() }
  }
  withExtendedLifetime(wideBias) {}
}

/// How operands of 16 bits become panels: as pairs where the processor multiplies these, else widened to float32 while
/// they are packed.
struct NarrowPanels {
  let type: DType
  /// The kernels that multiply the panels.
  let kernels: ProductKernels
  /// Terms of the sum in one element of a panel.
  let terms: Int
  let load: LoadKernel
  /// Puts sums into the result.
  let store: StoreKernel
  let resultSize: Int

  init?(_ type: DType, result: DType? = nil, _ table: KernelTable) {
    guard type.isNarrow, let load = table.elementwise[load: type, .f32],
      let store = table.elementwise[store: .f32, result ?? type]
    else { return nil }
    resultSize = (result ?? type).size
    self.type = type
    self.load = load
    self.store = store
    let pairs = type == .bfloat16 ? table.gemm.bf16 : nil
    kernels = pairs ?? table.gemm.f32
    terms = pairs == nil ? 1 : 2
  }

  /// Elements of a panel for so many terms.
  func elements(_ k: Int) -> Int { (k + terms - 1) / terms }

  func packRows(
    _ source: UnsafeRawPointer, _ itemStride: Int, _ kStride: Int, _ items: Int, _ k: Int,
    _ out: UnsafeMutableRawPointer
  ) {
    pack(source, itemStride, kStride, items, k, out, width: kernels.rows, kernels.packRows)
  }

  func packColumns(
    _ source: UnsafeRawPointer, _ itemStride: Int, _ kStride: Int, _ items: Int, _ k: Int,
    _ out: UnsafeMutableRawPointer
  ) {
    pack(source, itemStride, kStride, items, k, out, width: kernels.columns, kernels.packColumns)
  }

  /// Panel by panel through a float32 copy of one, which stays in the cache.
  private func pack(
    _ source: UnsafeRawPointer, _ itemStride: Int, _ kStride: Int, _ items: Int, _ k: Int,
    _ out: UnsafeMutableRawPointer, width: Int, _ kernel: PackKernel
  ) {
    if terms == 2 { return kernel(source, itemStride, kStride, items, k, out) }
    withUnsafeTemporaryAllocation(of: Float.self, capacity: width * k) { room in
      guard let wide = room.baseAddress else { return }
      for first in stride(from: 0, to: items, by: width) {
        let count = min(width, items - first)
        let from = source + first * itemStride * type.size, to = out + first * k * 4
        if itemStride == 1 {
          for l in 0..<k { load(from + l * kStride * type.size, 1, wide + l * count, count) }
          kernel(wide, 1, count, count, k, to)
        } else {
          for i in 0..<count { load(from + i * itemStride * type.size, kStride, wide + i * k, k) }
          kernel(wide, k, 1, count, k, to)
        }
      }
    }
  }
}

/// One product. As `MatrixProduct`, with one difference: a chunk of c takes all blocks of k in turn while its float32
/// sums stay in the second-level cache, and is rounded from there. Only sums longer than a slab go through memory.
private struct NarrowProduct {
  var panels: NarrowPanels
  var m: Int
  var n: Int
  var k: Int
  var a: UnsafeRawPointer
  var aRowStride: Int
  var aColumnStride: Int
  var b: UnsafeRawPointer
  var bRowStride: Int
  var bColumnStride: Int
  var bias: UnsafePointer<Float>?
  var c: UnsafeMutableRawPointer
  var cRowStride: Int

  /// Elements of a panel that one call of the kernel takes.
  private static let kBlock = 1024
  /// Rows of b that are packed from end to end.
  private static let rowsAtOnce = 16
  /// Rows and columns packed at a time.
  private static let sideBlock = 4096
  /// Tiles of rows of a chunk, of whose panels a block takes 192 KiB if it is deep.
  private static func chunkRowTiles(_ depth: Int) -> Int { max(4, min(8, 4096 / max(depth, 1))) }
  /// Tiles of columns of a chunk: its sums take up to 96 KiB.
  private static let chunkColumnTiles = 8

  private var kernels: ProductKernels { panels.kernels }
  private var size: Int { panels.type.size }
  private var blockTerms: Int { NarrowProduct.kBlock * panels.terms }
  /// Terms packed at a time.
  private var slabTerms: Int { 2 * blockTerms }

  private func roundUp(_ value: Int, _ unit: Int) -> Int { (value + unit - 1) / unit * unit }

  /// Scratch for `runAlone`: panels of one block of k and all sums.
  var soloScratch: Int {
    let depth = min(panels.elements(max(k, 1)), NarrowProduct.kBlock)
    return (roundUp(m, kernels.rows) + roundUp(n, kernels.columns)) * depth * 4 + m * n * 4 + 128
  }

  /// A small product on this thread.
  func runAlone(_ scratch: UnsafeMutableRawPointer) {
    let sums = scratch.assumingMemoryBound(to: Float.self)
    let bPanels = scratch + roundUp(m * n * 4, 64)
    begin(sums, n, rows: m, firstColumn: 0, columns: n)
    let beta = bias == nil ? 0.0 : 1
    for l in stride(from: 0, to: k, by: blockTerms) {
      let terms = min(blockTerms, k - l), depth = panels.elements(terms)
      let aPanels = bPanels + roundUp(n, kernels.columns) * depth * 4
      panels.packColumns(b + l * bRowStride * size, bColumnStride, bRowStride, n, terms, bPanels)
      panels.packRows(a + l * aColumnStride * size, aRowStride, aColumnStride, m, terms, aPanels)
      multiply(m, n, depth, aPanels, bPanels, sums, n, beta: l == 0 ? beta : 1)
    }
    finish(sums, n, row: 0, rows: m, firstColumn: 0, columns: n)
  }

  /// The product on all threads.
  func run() throws {
    if try runFewRows() { return }
    let side = NarrowProduct.sideBlock
    let depth = panels.elements(min(max(k, 1), slabTerms))
    let bPanels = try Scratch(bytes: roundUp(min(n, side), kernels.columns) * depth * 4)
    let aPanels = try Scratch(bytes: roundUp(min(m, side), kernels.rows) * depth * 4)
    let sums = k > slabTerms ? try Scratch(bytes: min(m, side) * min(n, side) * 4) : nil
    for j in stride(from: 0, to: n, by: side) {
      for i in stride(from: 0, to: m, by: side) {
        let part = Part(
          row: i, column: j, rows: min(side, m - i), columns: min(side, n - j), sums: sums?.of(Float.self))
        for l in stride(from: 0, to: max(k, 1), by: slabTerms) {
          try Interrupt.check()
          let terms = min(slabTerms, k - l)
          packAll(part, l, terms, aPanels.pointer, bPanels.pointer)
          try multiplySlab(part, l, terms, aPanels.pointer, bPanels.pointer)
        }
      }
    }
  }

  /// A few rows by columns of b whose numbers are adjacent, as the weights of a linear layer are: these are read once, as
  /// pairs where they lie, or widened, some at a time, in the cache. Returns false for others.
  private func runFewRows() throws -> Bool {
    guard m <= 8, m < n, k >= 32, bRowStride == 1 else { return false }
    let widens = panels.terms == 1
    if !widens {
      guard k % 64 == 0, aColumnStride == 1, aRowStride % 2 == 0 || m == 1, bColumnStride % 2 == 0 else { return false }
    }
    try Interrupt.check()
    let wideRows = widens ? try Scratch(bytes: m * k * 4) : nil
    if let wideRows {
      for i in 0..<m { panels.load(a + i * aRowStride * size, aColumnStride, wideRows.pointer + i * k * 4, k) }
    }
    let left = wideRows.map { UnsafeRawPointer($0.pointer) } ?? a
    let rowStride = widens ? k : aRowStride / 2
    let vectors = 4
    let columnsAtOnce = widens ? max(1, min(16, (1 << 16) / k)) : 16
    let sumBytes = (columnsAtOnce * (vectors + 1) * 4 + 63) & ~63
    let slots = try ScratchSlots(bytes: sumBytes + (widens ? columnsAtOnce * k * 4 : 0))
    parallelFor(n, grain: max(columnsAtOnce, (1 << 15) / (k * m))) { start, end in
      slots.with { scratch in
        let sums = scratch.assumingMemoryBound(to: Float.self)
        let line = sums + columnsAtOnce * vectors
        let wide = scratch + sumBytes
        for j in stride(from: start, to: end, by: columnsAtOnce) {
          let columns = min(columnsAtOnce, end - j)
          if widens {
            for column in 0..<columns {
              panels.load(b + (j + column) * bColumnStride * size, 1, wide + column * k * 4, k)
            }
          }
          for i in stride(from: 0, to: m, by: vectors) {
            let rows = min(vectors, m - i)
            kernels.dot(
              widens ? UnsafeRawPointer(wide) : b + j * bColumnStride * size, widens ? k : bColumnStride / 2, columns,
              left + i * rowStride * 4, (rowStride, rows), panels.elements(k), sums)
            for row in 0..<rows {
              for column in 0..<columns {
                line[column] = sums[column * vectors + row] + (bias.map { $0[j + column] } ?? 0)
              }
              panels.store(line, c + ((i + row) * cRowStride + j) * panels.resultSize, 1, columns)
            }
          }
        }
      }
    }
    withExtendedLifetime(wideRows) {}
    return true
  }

  /// A block of c, and its sums where these must outlive a slab.
  private struct Part {
    var row: Int
    var column: Int
    var rows: Int
    var columns: Int
    var sums: UnsafeMutablePointer<Float>?
  }

  /// Panels of a slab: [block of k][panel][element][width].
  private func packAll(
    _ part: Part, _ l: Int, _ terms: Int, _ aPanels: UnsafeMutableRawPointer, _ bPanels: UnsafeMutableRawPointer
  ) {
    if terms == 0 { return }
    func pack(_ items: Int, _ width: Int, _ pack: (Int, Int, Int, Int, Int) -> Void) {
      let tiles = (items + width - 1) / width
      let blocks = (terms + blockTerms - 1) / blockTerms
      let tilesAtOnce = max(1, min((1 << 15) / (width * min(terms, blockTerms)), tiles / 4))
      let chunks = (tiles + tilesAtOnce - 1) / tilesAtOnce
      parallelFor(chunks * blocks, grain: 1) { first, last in
        for chunk in first..<last {
          let block = chunk / chunks, tile = chunk % chunks * tilesAtOnce
          let start = block * blockTerms, item = tile * width
          let depth = min(blockTerms, terms - start)
          pack(
            item, min(tilesAtOnce * width, items - item), start, depth,
            (start / panels.terms * roundUp(items, width) + item * panels.elements(depth)) * 4)
        }
      }
    }
    if bColumnStride == 1 && panels.terms == 2 {
      packPairsOfRows(part, l, terms, bPanels)
    } else {
      pack(part.columns, kernels.columns) { item, items, start, depth, offset in
        panels.packColumns(
          b + ((l + start) * bRowStride + (part.column + item) * bColumnStride) * size, bColumnStride, bRowStride,
          items, depth, bPanels + offset)
      }
    }
    pack(part.rows, kernels.rows) { item, items, start, depth, offset in
      panels.packRows(
        a + ((l + start) * aColumnStride + (part.row + item) * aRowStride) * size, aRowStride, aColumnStride,
        items, depth, aPanels + offset)
    }
  }

  /// Panels of b whose rows are adjacent numbers: a few rows at a time from end to end, since each begins on a page of its
  /// own, and many short pieces of rows are what the processor does not prefetch.
  private func packPairsOfRows(_ part: Part, _ l: Int, _ terms: Int, _ bPanels: UnsafeMutableRawPointer) {
    let width = kernels.columns
    let rows = NarrowProduct.rowsAtOnce
    parallelFor((terms + rows - 1) / rows, grain: max(1, (1 << 15) / (rows * part.columns))) { first, last in
      for piece in first..<last {
        let term = piece * rows
        let block = term / blockTerms * blockTerms
        let depth = panels.elements(min(blockTerms, terms - block))
        let to = bPanels + (block / 2 * roundUp(part.columns, width) + (term - block) / 2 * width) * 4
        let from = b + ((l + term) * bRowStride + part.column) * size
        for item in stride(from: 0, to: part.columns, by: width) {
          kernels.packColumns(
            from + item * size, 1, bRowStride, min(width, part.columns - item), min(rows, terms - term),
            to + item * depth * 4)
        }
      }
    }
  }

  private func multiplySlab(
    _ part: Part, _ l: Int, _ terms: Int, _ aPanels: UnsafeMutableRawPointer, _ bPanels: UnsafeMutableRawPointer
  ) throws {
    let rowTiles = roundUp(part.rows, kernels.rows) / kernels.rows
    let depth = panels.elements(min(terms, blockTerms))
    let tiles = max(1, min(NarrowProduct.chunkRowTiles(depth), rowTiles / (3 * ThreadPool.shared.threadCount)))
    let height = tiles * kernels.rows, width = NarrowProduct.chunkColumnTiles * kernels.columns
    let rowChunks = (part.rows + height - 1) / height, columnChunks = (part.columns + width - 1) / width
    let work = height * min(width, part.columns) * max(terms, 1)
    let slots = try ScratchSlots(bytes: part.sums == nil ? height * width * 4 : 64)
    parallelFor(rowChunks * columnChunks, grain: max(1, (1 << 18) / work)) { first, last in
      slots.with { scratch in
        for chunk in first..<last {
          let i = chunk / columnChunks * height, j = chunk % columnChunks * width
          let rows = min(height, part.rows - i), columns = min(width, part.columns - j)
          let stride = part.sums == nil ? width : part.columns
          let sums = part.sums.map { $0 + (i * stride + j) } ?? scratch.assumingMemoryBound(to: Float.self)
          if l == 0 { begin(sums, stride, rows: rows, firstColumn: part.column + j, columns: columns) }
          for start in Swift.stride(from: 0, to: terms, by: blockTerms) {
            let depth = panels.elements(min(blockTerms, terms - start))
            let block = start / panels.terms
            let adds = bias != nil || l + start > 0
            multiply(
              rows, columns, depth, aPanels + (block * roundUp(part.rows, kernels.rows) + i * depth) * 4,
              bPanels + (block * roundUp(part.columns, kernels.columns) + j * depth) * 4, sums, stride,
              beta: adds ? 1 : 0)
          }
          if l + terms >= k {
            finish(
              sums, stride, row: part.row + i, rows: rows, firstColumn: part.column + j, columns: columns)
          }
        }
      }
    }
  }

  private func multiply(
    _ rows: Int, _ columns: Int, _ depth: Int, _ aPanels: UnsafeMutableRawPointer,
    _ bPanels: UnsafeMutableRawPointer, _ sums: UnsafeMutablePointer<Float>, _ stride: Int, beta: Double
  ) {
    if depth == 0 { return }
    kernels.block(
      BlockArguments(
        m: rows, n: columns, k: depth, alpha: 1, beta: beta, a: aPanels, aRowStride: nil, b: bPanels,
        bRowStride: kernels.columns, bPanelStride: kernels.columns * depth, c: sums, cRowStride: stride))
  }

  /// Sums begin with the bias; without one the first block of terms overwrites what is there.
  private func begin(
    _ sums: UnsafeMutablePointer<Float>, _ stride: Int, rows: Int, firstColumn: Int, columns: Int
  ) {
    for row in 0..<rows {
      if let bias {
        (sums + row * stride).update(from: bias + firstColumn, count: columns)
      } else if k == 0 {
        (sums + row * stride).update(repeating: 0, count: columns)
      }
    }
  }

  private func finish(
    _ sums: UnsafeMutablePointer<Float>, _ stride: Int, row: Int, rows: Int, firstColumn: Int, columns: Int
  ) {
    for i in 0..<rows {
      panels.store(sums + i * stride, c + ((row + i) * cRowStride + firstColumn) * panels.resultSize, 1, columns)
    }
  }
}
