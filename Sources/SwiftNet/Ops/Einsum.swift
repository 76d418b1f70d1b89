/// Einstein's summation convention: products of tensors, summed over the indices that the result does not have.
/// https://pytorch.org/docs/stable/generated/torch.einsum.html
public enum Einsum {
  /// An index: a letter, or a position within `...` counted from its end.
  enum Label: Hashable {
    case letter(Character)
    case ellipsis(Int)
  }

  public static func apply(_ equation: String, _ operands: [Tensor]) throws -> Tensor {
    try require(!operands.isEmpty, "einsum(): must provide at least one operand")
    let text = equation.filter { $0 != " " }
    let (left, right) = try split(text)
    let terms = left.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    try require(
      terms.count <= operands.count,
      "einsum(): fewer operands were provided than specified in the equation")
    try require(
      terms.count >= operands.count,
      "einsum(): more operands were provided than specified in the equation")

    var labels: [[Label]] = []
    var ellipsis = 0
    for (position, term) in terms.enumerated() {
      let parsed = try inputLabels(term, rank: operands[position].rank, position)
      ellipsis = max(ellipsis, parsed.filter { if case .ellipsis = $0 { true } else { false } }.count)
      labels.append(parsed)
    }
    let output = try outputLabels(right, labels, ellipsis)
    return try contract(operands, labels, output)
  }

  private static func split(_ text: String) throws -> (String, String?) {
    var depth = text.startIndex
    while depth < text.endIndex {
      if text[depth] == "-" {
        let next = text.index(after: depth)
        try require(
          next < text.endIndex && text[next] == ">",
          "einsum(): found a '-' that is not part of '->' in \(text)")
        return (String(text[..<depth]), String(text[text.index(after: next)...]))
      }
      depth = text.index(after: depth)
    }
    return (text, nil)
  }

  private static func parse(_ term: String, _ place: String) throws -> (
    before: [Label], after: [Label]?, Void
  ) {
    var before: [Label] = []
    var after: [Label]?
    var rest = Substring(term)
    while let character = rest.first {
      if character == "." {
        try require(
          rest.hasPrefix("..."), "einsum(): found '.' \(place) that is not part of any ellipsis")
        try require(after == nil, "einsum(): found '.' \(place) for which an ellipsis was already found")
        rest = rest.dropFirst(3)
        after = []
        continue
      }
      try require(
        character.isASCII && character.isLetter,
        "einsum(): invalid subscript given \(place), subscripts must be in [a-zA-Z]")
      if after == nil { before.append(.letter(character)) } else { after?.append(.letter(character)) }
      rest = rest.dropFirst()
    }
    return (before, after, ())
  }

  private static func inputLabels(_ term: String, rank: Int, _ position: Int) throws -> [Label] {
    let (before, after, _) = try parse(term, "for operand \(position)")
    let named = before.count + (after?.count ?? 0)
    guard let after else {
      try require(
        named == rank,
        "einsum(): the number of subscripts in the equation (\(named)) does not match the number of dimensions "
          + "(\(rank)) for operand \(position) and no ellipsis was given")
      return before
    }
    try require(
      named <= rank,
      "einsum(): the number of subscripts in the equation (\(named)) is more than the number of dimensions (\(rank)) "
        + "for operand \(position)")
    return before + (0..<(rank - named)).reversed().map { .ellipsis($0) } + after
  }

  private static func outputLabels(_ term: String?, _ inputs: [[Label]], _ ellipsis: Int) throws -> [Label] {
    let all = (0..<ellipsis).reversed().map { Label.ellipsis($0) }
    var uses: [Character: Int] = [:]
    for case .letter(let letter) in inputs.joined() { uses[letter, default: 0] += 1 }
    guard let term else {
      // Without "->": the ellipsis, then the letters that occur once, in alphabetical order.
      return all + uses.filter { $0.value == 1 }.keys.sorted().map { .letter($0) }
    }
    let (before, after, _) = try parse(term, "in the output")
    var seen = Set<Label>()
    for label in before + (after ?? []) {
      guard case .letter(let letter) = label else { continue }
      try require(
        uses[letter] != nil,
        "einsum(): output subscript \(letter) does not appear in the equation for any input operand")
      try require(
        seen.insert(label).inserted,
        "einsum(): output subscript \(letter) appears more than once in the output")
    }
    return before + (after == nil ? [] : all) + (after ?? [])
  }

  /// Takes diagonals of repeated indices, sums over what nobody else has, and multiplies from left to right.
  private static func contract(_ operands: [Tensor], _ labels: [[Label]], _ output: [Label]) throws -> Tensor {
    var sizes: [Label: Int] = [:]
    for (position, (operand, names)) in zip(operands, labels).enumerated() {
      for (label, size) in zip(names, operand.shape) {
        let known = sizes[label] ?? 1
        try require(
          known == size || known == 1 || size == 1,
          "einsum(): subscript \(describe(label)) has size \(size) for operand \(position) which does not broadcast "
            + "with previously seen size \(known)")
        sizes[label] = max(known == 1 ? size : known, known == size ? size : (size == 1 ? known : size))
      }
    }
    var parts: [(tensor: Tensor, labels: [Label])] = []
    for (operand, names) in zip(operands, labels) { parts.append(try withoutRepeats(operand, names)) }

    var (result, names) = parts[0]
    (result, names) = try summed(result, names, keeping: Set(output + parts.dropFirst().flatMap(\.labels)))
    for position in parts.indices.dropFirst() {
      let later = Set(output + parts[(position + 1)...].flatMap(\.labels))
      var (other, otherNames) = parts[position]
      (other, otherNames) = try summed(other, otherNames, keeping: later.union(names))
      (result, names) = try multiply(result, names, other, otherNames, keeping: later)
    }
    // An index that only ever had size one may be larger elsewhere: the order is all that is left to do.
    let order = try output.map { label in
      guard let at = names.firstIndex(of: label) else {
        throw SwiftNetError.runtime("einsum(): output subscript \(describe(label)) was lost")
      }
      return at
    }
    return order == Array(0..<order.count) ? result : try result.permute(order)
  }

  private static func describe(_ label: Label) -> String {
    switch label {
    case .letter(let letter): String(letter)
    case .ellipsis: "..."
    }
  }

  private static func withoutRepeats(_ tensor: Tensor, _ names: [Label]) throws -> (Tensor, [Label]) {
    var (tensor, names) = (tensor, names)
    while true {
      var pair: (Int, Int)?
      search: for i in names.indices {
        for j in names.indices where j > i && names[j] == names[i] {
          pair = (i, j)
          break search
        }
      }
      guard let (i, j) = pair else { return (tensor, names) }
      try require(
        tensor.shape[i] == tensor.shape[j],
        "einsum(): subscript \(describe(names[i])) is repeated for an operand but the sizes don't match, "
          + "\(tensor.shape[j]) != \(tensor.shape[i])")
      tensor = try tensor.diagonal(i, j)
      let label = names[i]
      names.remove(at: j)
      names.remove(at: i)
      names.append(label)
    }
  }

  private static func summed(
    _ tensor: Tensor, _ names: [Label], keeping kept: Set<Label>
  ) throws -> (Tensor, [Label]) {
    let dims = names.indices.filter { !kept.contains(names[$0]) }
    if dims.isEmpty { return (tensor, names) }
    let sum = try tensor.sum(dims).to(tensor.dtype)
    return (sum, names.filter { kept.contains($0) })
  }

  /// One batched matrix product: indices of both that stay are the batch, indices of both that go are summed.
  private static func multiply(
    _ a: Tensor, _ aNames: [Label], _ b: Tensor, _ bNames: [Label], keeping kept: Set<Label>
  ) throws -> (Tensor, [Label]) {
    var (a, aNames, b, bNames) = (a, aNames, b, bNames)
    // An index of size 1 in one operand and larger in the other: it plays no part in the smaller one.
    for label in Set(aNames).intersection(bNames) {
      guard let i = aNames.firstIndex(of: label), let j = bNames.firstIndex(of: label),
        a.shape[i] != b.shape[j]
      else { continue }
      if a.shape[i] == 1 {
        a = try a.squeeze([i])
        aNames.remove(at: i)
      } else {
        b = try b.squeeze([j])
        bNames.remove(at: j)
      }
    }
    (a, aNames) = try summed(a, aNames, keeping: kept.union(bNames))
    (b, bNames) = try summed(b, bNames, keeping: kept.union(aNames))
    let batch = aNames.filter { bNames.contains($0) && kept.contains($0) }
    let inner = aNames.filter { bNames.contains($0) && !kept.contains($0) }
    let rows = aNames.filter { !bNames.contains($0) }
    let columns = bNames.filter { !aNames.contains($0) }
    func sizes(_ labels: [Label], _ tensor: Tensor, _ names: [Label]) -> [Int] {
      labels.compactMap { names.firstIndex(of: $0).map { tensor.shape[$0] } }
    }
    func order(_ labels: [Label], _ names: [Label]) -> [Int] {
      labels.compactMap { names.firstIndex(of: $0) }
    }
    let (s, k) = (sizes(batch, a, aNames), sizes(inner, a, aNames))
    let (m, n) = (sizes(rows, a, aNames), sizes(columns, b, bNames))
    let left = try a.permute(order(batch + rows + inner, aNames))
      .reshape([try Shape.count(s), try Shape.count(m), try Shape.count(k)])
    let right = try b.permute(order(batch + inner + columns, bNames))
      .reshape([try Shape.count(s), try Shape.count(k), try Shape.count(n)])
    // Without an inner index this is a plain product of elements.
    let product = try inner.isEmpty ? left * right : left.bmm(right)
    return (try product.reshape(s + m + n), batch + rows + columns)
  }
}

extension Tensor {
  fileprivate func diagonal(_ a: Int, _ b: Int) throws -> Tensor { try diagonal(offset: 0, a, b) }
}
