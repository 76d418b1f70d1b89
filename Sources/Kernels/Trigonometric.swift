import KernelTypes

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

@inline(__always) private func sine(_ x: Double) -> Double { sin(x) }
@inline(__always) private func cosine(_ x: Double) -> Double { cos(x) }
@inline(__always) private func tangent(_ x: Double) -> Double { tan(x) }
@inline(__always) private func arcSine(_ x: Double) -> Double { asin(x) }
@inline(__always) private func arcCosine(_ x: Double) -> Double { acos(x) }
@inline(__always) private func arcTangent(_ x: Double) -> Double { atan(x) }
@inline(__always) private func hyperbolicSine(_ x: Double) -> Double { sinh(x) }
@inline(__always) private func hyperbolicCosine(_ x: Double) -> Double { cosh(x) }
@inline(__always) private func hyperbolicTangent(_ x: Double) -> Double { tanh(x) }
@inline(__always) private func areaSine(_ x: Double) -> Double { asinh(x) }
@inline(__always) private func areaCosine(_ x: Double) -> Double { acosh(x) }
@inline(__always) private func areaTangent(_ x: Double) -> Double { atanh(x) }
@inline(__always) private func arcTangent2(_ a: Double, _ b: Double) -> Double { atan2(a, b) }
/// sin(πx) / (πx)
@inline(__always) private func sinc(_ x: Double) -> Double {
  let y = Double.pi * x
  return y == 0 ? 1 : sin(y) / y
}

func registerTrigonometry(_ table: inout ElementwiseKernels) {
  table.scalarUnary(.sin, sine)
  table.scalarUnary(.cos, cosine)
  table.scalarUnary(.tan, tangent)
  table.scalarUnary(.asin, arcSine)
  table.scalarUnary(.acos, arcCosine)
  table.scalarUnary(.atan, arcTangent)
  table.scalarUnary(.sinh, hyperbolicSine)
  table.scalarUnary(.cosh, hyperbolicCosine)
  table.scalarUnary(.tanh, hyperbolicTangent)
  table.scalarUnary(.asinh, areaSine)
  table.scalarUnary(.acosh, areaCosine)
  table.scalarUnary(.atanh, areaTangent)
  table.scalarUnary(.sinc, sinc)
  table.scalarBinary(.atan2, arcTangent2)
}
