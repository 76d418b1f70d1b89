import CBFloat16
import CIntrinsics
import KernelTypes

private let lanes = 16

/// Pairs of rows that are packed from end to end: pieces of as many rows stay in the first-level cache.
private let pairsAtOnce = 8

/// Packs items (rows of a, columns of b) into panels [item / width][k / 2][width] of pairs; missing items and the
/// second number of an odd last pair are zero. Strides in numbers.
@inline(__always)
func packPairs(
  _ source: UnsafeRawPointer, _ itemStride: Int, _ kStride: Int, _ items: Int, _ k: Int,
  _ output: UnsafeMutableRawPointer, width: Int
) {
  let source = source.assumingMemoryBound(to: UInt16.self)
  let out = output.assumingMemoryBound(to: UInt32.self)
  let pairs = (k + 1) / 2
  if itemStride == 1 {
    // A few rows of the source from end to end: a panel alone would take a short piece of each.
    // What the next piece reads: so many rows lie apart that the processor does not fetch them by itself.
    let ahead = 2 * pairsAtOnce * kStride
    var start = 0
    while start < pairs {
      let end = min(start + pairsAtOnce, pairs)
      var first = 0
      while first < items {
        let valid = min(width, items - first)
        var even = source + (first + 2 * start * kStride)
        var to = out + (first * pairs + start * width)
        for pair in start..<end {
          let odd = 2 * pair + 1 < k ? even + kStride : nil
          sn_prefetch(even + ahead)
          sn_prefetch(even + (ahead + kStride))
          if valid == width { storePairs(even, odd, width, width, to) } else { storePairs(even, odd, valid, width, to) }
          even += 2 * kStride
          to += width
        }
        first += width
      }
      start = end
    }
    return
  }
  var first = 0
  while first < items {
    let valid = min(width, items - first)
    let from = source + first * itemStride, to = out + first * pairs
    let done = kStride == 1 ? transposePairs(from, itemStride, valid, k / 2, to, width) : 0
    for pair in done..<pairs {
      for i in 0..<width {
        let p = from + i * itemStride + 2 * pair * kStride
        let low = i < valid ? UInt32(p[0]) : 0
        let high = i < valid && 2 * pair + 1 < k ? UInt32(p[kStride]) : 0
        to[pair * width + i] = low | high << 16
      }
    }
    first += width
  }
}

/// Panels of columns. (One function for all who make them: it is large.)
@inline(never)
func packColumnPairs(
  _ source: UnsafeRawPointer, _ itemStride: Int, _ kStride: Int, _ items: Int, _ k: Int,
  _ output: UnsafeMutableRawPointer
) {
  packPairs(source, itemStride, kStride, items, k, output, width: 2 * lanes)
}

/// A row of a panel from two rows of the source.
@inline(__always)
private func storePairs(
  _ even: UnsafePointer<UInt16>, _ odd: UnsafePointer<UInt16>?, _ valid: Int, _ width: Int,
  _ out: UnsafeMutablePointer<UInt32>
) {
  if let odd, valid == 2 * lanes && width == valid { return sn_store_pair_line(even, odd, out) }
  // Written out for whole panels, whose masks are constants.
  var i = 0
  while i < width {
    let reads = Int32(truncatingIfNeeded: max(0, min(lanes, valid - i)))
    let writes = Int32(truncatingIfNeeded: min(lanes, width - i))
    sn_store_pairs(even + i, odd.map { $0 + i }, reads, writes, out + i)
    i += lanes
  }
}

/// Items whose pairs are adjacent in memory: squares of pairs are transposed in registers. Returns the number of pairs
/// done. A panel that is no multiple of a vector wide spills into its next row, so its last rows are left to the
/// caller.
@inline(never)
private func transposePairs(
  _ source: UnsafePointer<UInt16>, _ stride: Int, _ valid: Int, _ pairs: Int, _ out: UnsafeMutablePointer<UInt32>,
  _ width: Int
) -> Int {
  let room = width % lanes == 0 ? pairs : pairs - 1
  let to = UnsafeMutableRawPointer(out).assumingMemoryBound(to: Float.self)
  var pair = 0
  while pair + lanes <= room {
    var i = 0
    while i < width {
      let rows = min(lanes, valid - i)
      if rows > 0 {
        // Too many streams for the processor to follow by itself.
        for row in i..<i + rows { sn_prefetch(source + row * stride + 2 * (pair + 8 * lanes)) }
        transposeSquare(source + i * stride + 2 * pair, stride, rows, to + pair * width + i, width)
      }
      for row in pair..<pair + lanes {
        for missing in max(i, valid)..<max(i, valid, min(width, i + lanes)) { out[row * width + missing] = 0 }
      }
      i += lanes
    }
    pair += lanes
  }
  return pair
}

/// Transposes 16 rows of 16 pairs; rows from `valid` on repeat the last one. An odd stride is no whole number of pairs:
/// such rows are copied together first.
@inline(__always)
private func transposeSquare(
  _ source: UnsafePointer<UInt16>, _ stride: Int, _ valid: Int, _ out: UnsafeMutablePointer<Float>, _ outStride: Int
) {
  if stride % 2 == 0 {
    let from = UnsafeRawPointer(source).assumingMemoryBound(to: Float.self)
    transposeBlock(from, stride / 2, valid, out, outStride)
    return
  }
  TileBuffer<Float>.with { square in
    for row in 0..<valid { sn_copy_row(source + row * stride, square + row * lanes) }
    transposeBlock(UnsafePointer(square), lanes, valid, out, outStride)
  }
}

/// As `PackSourcesKernel` says: the items at each address, two addresses to a pair.
func packAddressedPairs(
  _ addresses: UnsafePointer<Int>, _ count: Int, _ offset: Int, _ items: Int, _ output: UnsafeMutableRawPointer
) {
  let out = output.assumingMemoryBound(to: UInt32.self)
  let width = 2 * lanes
  let pairs = (count + 1) / 2
  for pair in 0..<pairs {
    let isWhole = 2 * pair + 1 < count
    guard let even = UnsafePointer<UInt16>(bitPattern: addresses[2 * pair] + offset),
      let odd = UnsafePointer<UInt16>(bitPattern: addresses[2 * pair + (isWhole ? 1 : 0)] + offset)
    else { return }
    // Each row may lie anywhere; the processor follows no more than a few.
    let later = min(2 * pair + 2 * pairsAtOnce, count - 1)
    let (nextEven, nextOdd) = (addresses[later] + offset, addresses[min(later + 1, count - 1)] + offset)
    var first = 0
    while first < items {
      sn_prefetch(UnsafeRawPointer(bitPattern: nextEven &+ 2 * first))
      sn_prefetch(UnsafeRawPointer(bitPattern: nextOdd &+ 2 * first))
      storePairs(
        even + first, isWhole ? odd + first : nil, min(width, items - first), width,
        out + first * pairs + pair * width)
      first += width
    }
  }
}

/// `gradientLines` always packs: its terms are pairs of places.
let readsLinesInPlace = false

/// The gradients of a line for `gradientLines`: [position][tile columns], where a position is two neighbouring places,
/// `step` pairs of channels apart.
@inline(__always)
func packLine<T: ProductScalar>(
  _ line: UnsafePointer<T>, _ step: Int, _ positions: Int, _ columns: Int, _ packed: UnsafeMutablePointer<T>
) {
  let width = 2 * lanes
  let from = UnsafeRawPointer(line).assumingMemoryBound(to: UInt16.self)
  let to = UnsafeMutableRawPointer(packed).assumingMemoryBound(to: UInt32.self)
  for position in 0..<positions {
    let even = from + 4 * position * step
    let odd = even + 2 * step
    if columns == width {
      sn_store_pair_line(even, odd, to + position * width)
    } else {
      storePairs(even, odd, columns, width, to + position * width)
    }
  }
}

/// Packs filters into weight panels [column block][tap][run / 2][tile columns] of pairs, see `FilterLayout`; `run`
/// counts numbers, and groups are not merged.
func packFilterPairs(
  _ x: FilterLayout, _ weight: UnsafeRawPointer, _ firstPanel: Int, _ panels: Int,
  _ output: UnsafeMutableRawPointer
) {
  let columns = 2 * lanes
  let pairs = (x.run + 1) / 2
  for panel in firstPanel..<firstPanel + panels {
    let first = panel * columns
    let width = min(columns, x.columns - first)
    let from = weight.assumingMemoryBound(to: UInt16.self) + first * x.columnStride
    let out = output.assumingMemoryBound(to: UInt32.self) + panel * x.taps * pairs * columns
    if x.taps == 1 {
      packColumnPairs(from, x.columnStride, x.runStride, width, x.run, out)
      continue
    }
    if x.tapStride == 1 {
      packTaps(x, from, width, out)
      continue
    }
    // A row of the panel after the other, all taps at a time: the stores to a tap follow each other.
    for pair in 0..<pairs {
      let isWhole = 2 * pair + 1 < x.run
      let row = out + pair * columns
      for column in 0..<width {
        let even = from + column * x.columnStride + 2 * pair * x.runStride
        for tap in 0..<x.taps {
          var value = UInt32(even[tap * x.tapStride])
          if isWhole { value |= UInt32(even[x.runStride + tap * x.tapStride]) << 16 }
          row[tap * pairs * columns + column] = value
        }
      }
      for column in width..<columns {
        for tap in 0..<x.taps { row[tap * pairs * columns + column] = 0 }
      }
    }
  }
}

/// A panel of filters whose taps are adjacent: squares of columns by taps of one pair are transposed in registers.
@inline(__always)
private func packTaps(
  _ x: FilterLayout, _ from: UnsafePointer<UInt16>, _ width: Int, _ out: UnsafeMutablePointer<UInt32>
) {
  let columns = 2 * lanes
  let pairs = (x.run + 1) / 2
  let to = UnsafeMutableRawPointer(out).assumingMemoryBound(to: Float.self)
  TileBuffer<Float>.with { square in
    for pair in 0..<pairs {
      let even = from + 2 * pair * x.runStride
      let odd = 2 * pair + 1 < x.run ? even + x.runStride : nil
      for first in stride(from: 0, to: columns, by: lanes) {
        let valid = max(0, min(lanes, width - first))
        for tap in stride(from: 0, to: x.taps, by: lanes) {
          let taps = min(lanes, x.taps - tap)
          for i in 0..<valid {
            let offset = (first + i) * x.columnStride + tap
            // Each column may lie anywhere; the processor follows no more than a few.
            sn_prefetch(even + (offset + pairsAtOnce * x.runStride))
            sn_prefetch(even + (offset + (pairsAtOnce + 1) * x.runStride))
            sn_store_pairs(
              even + offset, odd.map { $0 + offset }, Int32(truncatingIfNeeded: taps), 16, square + i * lanes)
          }
          for i in valid * lanes..<lanes * lanes { square[i] = 0 }
          transposeBlock(UnsafePointer(square), lanes, lanes, square, lanes)
          for i in 0..<taps { sn_copy_row(square + i * lanes, to + ((tap + i) * pairs + pair) * columns + first) }
        }
      }
    }
  }
}

/// From channels in planes to channels in pairs: output[column][row / 2] = (source[row][column], source[row + 1][column]).
/// The source's stride counts numbers, the output's pairs.
func transposeToPairs(
  _ source: UnsafeRawPointer, _ stride: Int, _ rows: Int, _ columns: Int, _ output: UnsafeMutableRawPointer,
  _ outStride: Int
) {
  let source = source.assumingMemoryBound(to: UInt16.self)
  let out = output.assumingMemoryBound(to: Float.self)
  let pairs = (rows + 1) / 2
  TileBuffer<Float>.with { square in
    var column = 0
    while column < columns {
      let width = min(lanes, columns - column)
      var pair = 0
      while pair < pairs {
        let height = min(lanes, pairs - pair)
        for i in 0..<height {
          let row = 2 * (pair + i)
          let even = source + row * stride + column
          sn_store_pairs(
            even, row + 1 < rows ? even + stride : nil, Int32(truncatingIfNeeded: width), 16, square + i * lanes)
        }
        let to = out + column * outStride + pair
        if height == lanes && width == lanes {
          transposeBlock(UnsafePointer(square), lanes, lanes, to, outStride)
        } else if pairs == 2 && outStride == 2 && width == lanes {
          // Images of three or four channels.
          let (low, high) = Float.riffle(load(square), load(square + lanes))
          store(low, to)
          store(high, to + lanes)
        } else {
          for c in 0..<width {
            for i in 0..<height { to[c * outStride + i] = square[i * lanes + c] }
          }
        }
        pair += lanes
      }
      column += lanes
    }
  }
}
