#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Functions of mathematical physics and statistics that are rarely needed in training: computed one element at a
/// time in double precision. Those that are common have kernels and stand in `Unary` and `Binary`.
extension Tensor {
  /// `function` of every element, computed in double precision; integers give the default floating dtype.
  func mapDoubles(_ function: @escaping (Double) -> Double) throws -> Tensor {
    let result = dtype.isFloatingPoint ? dtype : TypePromotion.defaultDType
    let wide = try noGrad { try to(.float64) }
    let out = try Tensor(empty: shape, dtype: .float64)
    try copyElements(from: wide, to: out)
    let values = try out.mutablePointer().assumingMemoryBound(to: Double.self)
    parallelFor(out.count, grain: 1024) { start, end in
      for i in start..<end { values[i] = function(values[i]) }
    }
    return try noGrad { try out.to(result) }
  }

  /// The n-th derivative of the digamma function.
  public func polygamma(_ n: Int) throws -> Tensor {
    try require(n >= 0, "polygamma(n, x) does not support negative n.")
    if n == 0 { return try unary(.digamma) }
    let out: Tensor
    if n == 1 {
      out = try noGrad { try unary(.trigamma) }
    } else {
      let factor = (n % 2 == 0 ? -1 : 1) * tgamma(Double(n) + 1)
      out = try mapDoubles { factor * hurwitzZeta(Double(n) + 1, $0) }
    }
    return try out.recorded("Polygamma", self, saving: [self]) {
      [try $0.grad * $0.saved(0).polygamma(n + 1)]
    }
  }

  /// ln Γ_p(x) = p(p-1)/4 · ln π + Σ_j ln Γ(x - j/2), j = 0 ..< p.
  public func mvlgamma(_ p: Int) throws -> Tensor {
    try require(p >= 1, "p has to be greater than or equal to 1")
    try require(p <= 1 << 20, "mvlgamma: p = \(p) is too large: it is a sum of as many terms")
    try require(
      dtype != .bool, "The input tensor may not be a boolean tensor.")
    let x = dtype.isFloatingPoint ? self : try to(TypePromotion.defaultDType)
    var sum = try x.unary(.lgamma)
    for j in 1..<max(p, 1) {
      sum = try sum + (x - .float(0.5 * Double(j))).unary(.lgamma)
      try Interrupt.check()
    }
    return try sum + .float(Double(p * (p - 1)) / 4 * log(Double.pi))
  }

  /// -x ln x; 0 at 0 and -inf below.
  public func entr() throws -> Tensor {
    let out = try mapDoubles { $0 > 0 ? -$0 * log($0) : $0 == 0 ? 0 : $0.isNaN ? $0 : -.infinity }
    return try out.recorded("SpecialEntr", self, saving: [self]) {
      [try $0.grad * ($0.saved(0).unary(.log) + 1.0).negated()]
    }
  }

  /// The modified Bessel function of order 0, whose derivative is that of order 1.
  public func i0() throws -> Tensor {
    let out = try noGrad { try unary(.i0) }
    return try out.recorded("I0", self, saving: [self]) { [try $0.grad * $0.saved(0).i1()] }
  }

  /// The modified Bessel function of order 1.
  public func i1() throws -> Tensor {
    let out = try mapDoubles(besselI1)
    return try out.recorded("SpecialI1", self, saving: [self, out]) { context in
      // I1' = I0 - I1/x, and 1/2 at 0.
      let x = try context.saved(0)
      let zero = try Binary.apply(.eq, .tensor(x), .scalar(0))
      let safe = try whereSelect(zero, .scalar(1.0), .tensor(x))
      let slope = try x.i0() - context.saved(1) / safe
      return [try context.grad * whereSelect(zero, .scalar(0.5), .tensor(slope))]
    }
  }

  /// exp(x²) erfc(x).
  public func erfcx() throws -> Tensor {
    let out = try mapDoubles(scaledErfc)
    return try out.recorded("SpecialErfcx", self, saving: [self, out]) {
      [try $0.grad * ($0.saved(0) * $0.saved(1) * 2.0 - .float(M_2_SQRTPI))]
    }
  }

  /// ln of the normal distribution function.
  public func logNdtr() throws -> Tensor {
    let out = try mapDoubles { x in
      x < -1 ? log(scaledErfc(-x * M_SQRT1_2) / 2) - x * x / 2 : log1p(-erfc(x * M_SQRT1_2) / 2)
    }
    return try out.recorded("SpecialLogNdtr", self, saving: [self]) { context in
      let scaled = try context.saved(0) * .float(-M_SQRT1_2)
      return [try context.grad / scaled.erfcx() * .float(M_2_SQRTPI * M_SQRT1_2)]
    }
  }

  public func deg2rad() throws -> Tensor { try scaled(Double.pi / 180) }
  public func rad2deg() throws -> Tensor { try scaled(180 / Double.pi) }

  private func scaled(_ factor: Double) throws -> Tensor {
    try (dtype.isFloatingPoint ? self : to(TypePromotion.defaultDType)) * .float(factor)
  }

  /// a to the power b, in double precision.
  public static func floatPower(_ a: ElementwiseOperand, _ b: ElementwiseOperand) throws -> Tensor {
    func wide(_ operand: ElementwiseOperand) throws -> ElementwiseOperand {
      switch operand {
      case .tensor(let tensor): .tensor(try tensor.to(.float64))
      case .scalar(let scalar): .scalar(.float(scalar.double))
      }
    }
    return try Binary.apply(.pow, wide(a), wide(b))
  }
}

/// Σ (x + k)^-s, k = 0, 1, …: nine terms, then Euler and Maclaurin's formula (Abramowitz and Stegun 23.2.5).
private func hurwitzZeta(_ s: Double, _ x: Double) -> Double {
  if x.isNaN { return x }
  if x <= 0 {
    if x == x.rounded(.down) { return .infinity }
    // Even s only has a real value for negative x; as the sum is of whole powers, sign follows each term.
    if s != s.rounded(.down) { return .nan }
  }
  var sum = 0.0
  var a = x
  var k = 0
  while k < 9 || a <= 9 {
    let term = pow(a, -s)
    sum += term
    a += 1
    k += 1
    if abs(term) < 1e-17 * abs(sum), k > 9 { return sum }
  }
  sum += pow(a, 1 - s) / (s - 1) + 0.5 * pow(a, -s)
  // B2j / (2j)!
  let bernoulli: [Double] = [
    1.0 / 12, -1.0 / 720, 1.0 / 30240, -1.0 / 1_209_600, 1.0 / 47_900_160, -691.0 / 1_307_674_368_000,
    1.0 / 74_724_249_600, -3617.0 / 10_670_622_842_880_000,
  ]
  var factor = s
  var power = pow(a, -s - 1)
  for (j, coefficient) in bernoulli.enumerated() {
    sum += coefficient * factor * power
    let m = Double(2 * j + 1)
    factor *= (s + m) * (s + m + 1)
    power /= a * a
  }
  return sum
}

/// The power series up to 30, the asymptotic one beyond (Abramowitz and Stegun 9.6.10, 9.7.1).
private func besselI1(_ signed: Double) -> Double {
  let x = abs(signed)
  if x.isNaN { return x }
  var result: Double
  if x <= 30 {
    var term = x / 2
    result = term
    var k = 1.0
    while k < 200 {
      term *= x * x / 4 / (k * (k + 1))
      result += term
      if term < 1e-18 * result { break }
      k += 1
    }
  } else {
    var term = 1.0
    var sum = 1.0
    var k = 1.0
    while k < 60 {
      let next = -term * (4 - (2 * k - 1) * (2 * k - 1)) / (8 * k * x)
      if abs(next) >= abs(term) { break }
      term = next
      sum += term
      if abs(term) < 1e-18 * abs(sum) { break }
      k += 1
    }
    let half = exp(x / 2)
    result = half * (sum / (2 * Double.pi * x).squareRoot()) * half
  }
  return signed < 0 ? -result : result
}

/// exp(x²) erfc(x), for large x by the continued fraction (Abramowitz and Stegun 7.1.14).
private func scaledErfc(_ x: Double) -> Double {
  if x < 8 {
    // exp of the rounding error of x² restores what squaring lost.
    let square = x * x
    let rest = (-square).addingProduct(x, x)
    return exp(square) * erfc(x) * (1 + rest)
  }
  var fraction = x
  for k in stride(from: 40, to: 0, by: -1) { fraction = x + Double(k) / 2 / fraction }
  return 1 / (fraction * Double.pi.squareRoot())
}
