extension Tensor {
  /// softmax(q · kᵀ · scale + mask) · v for queries (…, L, E), keys (…, S, E) and values (…, S, Ev) (Vaswani et al.,
  /// 2017, https://arxiv.org/abs/1706.03762). PyTorch: `scaled_dot_product_attention`.
  ///
  /// - Parameters:
  ///   - mask: broadcasts to (…, L, S); bool: true takes part; otherwise added to the scores.
  ///   - dropout: probability with which attention weights are dropped.
  ///   - isCausal: query i sees keys 0 … i only.
  ///   - scale: default 1 / √E.
  ///   - groups: query heads share key and value heads (dimension -3).
  public static func attention(
    _ query: Tensor, _ key: Tensor, _ value: Tensor, mask: Tensor? = nil, dropout: Double = 0, isCausal: Bool = false,
    scale: Double? = nil, sharesHeads: Bool = false
  ) throws -> Tensor {
    let converted = try autocast(.lower, [query, key, value, mask]) {
      try Tensor.attention(
        $0[0], $0[1], $0[2], mask: $0[optional: 3], dropout: dropout, isCausal: isCausal, scale: scale,
        sharesHeads: sharesHeads)
    }
    if let converted { return converted }
    try require(
      query.rank >= 2 && key.rank >= 2 && value.rank >= 2,
      "scaled_dot_product_attention: Expected query, key, and value to all be  at least 2 dimensional, but got query: "
        + "\(query.rank), key: \(key.rank), value: \(value.rank)")
    try require(
      query.dtype == key.dtype && query.dtype == value.dtype,
      "Expected query, key, and value to have the same dtype, but got query.dtype: \(query.dtype.cTypeName) key.dtype: "
        + "\(key.dtype.cTypeName) and value.dtype: \(value.dtype.cTypeName) instead.")
    try require(
      mask == nil || !isCausal,
      "_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True")
    var (key, value) = (key, value)
    if sharesHeads, query.rank >= 3 {
      func repeated(_ x: Tensor) throws -> Tensor {
        let heads = query.shape[query.rank - 3]
        let own = x.shape[x.rank - 3]
        try require(
          own > 0 && heads % own == 0,
          "Number of heads in key and value must divide the number of heads in query, got \(own) and \(heads)")
        let d = x.rank - 3
        var wide = x.shape
        wide.insert(heads / own, at: d + 1)
        var target = x.shape
        target[d] = heads
        return try x.unsqueeze(d + 1).expand(wide).reshape(target)
      }
      (key, value) = (try repeated(key), try repeated(value))
    }
    let size = query.shape[query.rank - 1]
    let factor = scale ?? 1 / Double(max(size, 1)).squareRoot()
    var scores = try (query * .float(factor)).matmul(key.transpose(-2, -1))
    var mask = mask
    if isCausal {
      let (l, s) = (query.shape[query.rank - 2], key.shape[key.rank - 2])
      let rows = try Tensor.arange(0, .int(Int64(l))).unsqueeze(1)
      let columns = try Tensor.arange(0, .int(Int64(s))).unsqueeze(0)
      mask = try Binary.apply(.ge, .tensor(rows), .tensor(columns))
    }
    if let mask {
      scores =
        mask.dtype == .bool
        ? try whereSelect(mask, .tensor(scores), .scalar(.float(-.infinity))) : try scores + mask
    }
    var weights = try scores.softmax(-1)
    if let mask, mask.dtype == .bool {
      // A query that sees no key gets zeros.
      let sees = try mask.any([-1], keepdim: true)
      weights = try whereSelect(sees, .tensor(weights), .scalar(0.0))
    }
    if dropout > 0 { weights = try weights.dropout(dropout) }
    return try weights.matmul(value)
  }
}
