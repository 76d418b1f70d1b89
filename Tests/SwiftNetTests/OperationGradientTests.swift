import KernelTypes
import SwiftNet
import XCTest

/// Gradients of operations of every family against finite differences, in float64.
final class OperationGradientTests: XCTestCase {
  private typealias Case = (name: String, inputs: [Tensor], function: ([Tensor]) throws -> Tensor)

  private func check(_ cases: [Case], twice: Bool = true, line: UInt = #line) {
    for one in cases { checkGradients(one.name, one.inputs, twice: twice, line: line, one.function) }
  }

  func testElementwise() throws {
    let anywhere: [ElementwiseOp] = [
      .neg, .square, .exp, .exp2, .expm1, .sin, .cos, .atan, .sinh, .cosh, .tanh, .asinh, .erf, .erfc, .sigmoid,
      .logSigmoid, .silu, .mish, .softsign, .tanhshrink, .i0, .sinc, .ndtr, .relu, .selu, .hardswish,
    ]
    for op in anywhere {
      checkGradients("\(op)", [try variable([2, 3])]) { try $0[0].unary(op) }
    }
    for op in [ElementwiseOp.reciprocal, .sqrt, .rsqrt, .log, .log2, .log10, .log1p, .lgamma, .digamma] {
      checkGradients("\(op)", [try variable([2, 3], positive: true)]) { try $0[0].unary(op) }
    }
    for op in [ElementwiseOp.asin, .acos, .atanh, .erfinv] {
      checkGradients("\(op)", [try variable([2, 3])]) { try ($0[0].tanh() * 0.8).unary(op) }
    }
    for op in [ElementwiseOp.add, .sub, .mul, .div, .pow, .atan2, .hypot, .logaddexp, .xlogy] {
      // Broadcast: gradients are summed over what was repeated.
      let inputs = [try variable([2, 3], positive: true), try variable([3], seed: 1, positive: true)]
      checkGradients("\(op)", inputs) { try Binary.apply(op, .tensor($0[0]), .tensor($0[1])) }
    }
    let x = try variable([2, 3]), y = try variable([3], seed: 1), z = try variable([2, 1], seed: 2, positive: true)
    let mask = try integers([1, 0, 1]).to(.bool)
    check([
      ("maximum", [x, y], { try Binary.apply(.maximum, .tensor($0[0]), .tensor($0[1])) }),
      ("clamp", [x], { try $0[0].clamp(.scalar(-0.5), .scalar(0.5)) }),
      ("lerp", [x, y, z], { try $0[0].lerp($0[1], .tensor($0[2])) }),
      ("addcmul", [x, y, z], { try $0[0].addcmul($0[1], $0[2], value: 0.5) }),
      ("addcdiv", [x, y, z], { try $0[0].addcdiv($0[1], $0[2], value: 0.5) }),
      ("where", [x, y], { try whereSelect(mask, .tensor($0[0]), .tensor($0[1])) }),
      ("gelu", [x], { try $0[0].gelu() }), ("gelu tanh", [x], { try $0[0].gelu(tanh: true) }),
      ("softplus", [x], { try $0[0].softplus(beta: 2) }), ("elu", [x], { try $0[0].elu(0.7) }),
      ("prelu", [x, y], { try $0[0].prelu($0[1]) }), ("glu", [try variable([3, 4])], { try $0[0].glu() }),
    ])
  }

  func testReductions() throws {
    let x = try variable([2, 3, 2]), y = try variable([2, 3, 2], seed: 3)
    check([
      ("sum", [x], { try $0[0].sum([0, 2]) }), ("mean", [x], { try $0[0].mean([1], keepdim: true) }),
      ("prod", [x], { try $0[0].prod([1]) }), ("variance", [x], { try $0[0].variance([1, 2]) }),
      ("standard deviation", [x], { try $0[0].standardDeviation([0, 2], correction: 0) }),
      ("amax", [x], { try $0[0].amax([1]) }), ("logsumexp", [x], { try $0[0].logsumexp([1, 2]) }),
      ("norm", [x], { try $0[0].vectorNorm(3, [1]) }), ("distance", [x, y], { try $0[0].dist($0[1]) }),
      ("cumsum", [x], { try $0[0].cumsum(1) }), ("cumprod", [x], { try $0[0].cumprod(2) }),
      ("logcumsumexp", [x], { try $0[0].logcumsumexp(1) }), ("median", [x], { try $0[0].median(1).values }),
      ("cosine similarity", [x, y], { try $0[0].cosineSimilarity($0[1]) }),
      ("softmax", [x], { try $0[0].softmax(1) }), ("log softmax", [x], { try $0[0].logSoftmax(-1) }),
      ("trapezoid", [x], { try $0[0].trapezoid(dim: 1) }),
    ])
  }

  func testProducts() throws {
    let a = try variable([2, 3]), b = try variable([3, 4], seed: 1), c = try variable([2, 4], seed: 2)
    let batch = try variable([2, 2, 3]), other = try variable([2, 3, 2], seed: 4), square = try variable([3, 3])
    check([
      ("mm", [a, b], { try $0[0].mm($0[1]) }), ("matmul", [batch, b], { try $0[0].matmul($0[1]) }),
      ("bmm", [batch, other], { try $0[0].bmm($0[1]) }),
      ("addmm", [c, a, b], { try $0[0].addmm($0[1], $0[2], beta: 0.5, alpha: 2) }),
      ("einsum", [batch, other], { try Einsum.apply("bij,bjk->ki", $0) }),
      ("linear", [a, try variable([5, 3]), try variable([5])], { try $0[0].linear($0[1], $0[2]) }),
      ("outer", [try variable([3]), try variable([2])], { try $0[0].outer($0[1]) }),
      ("inverse", [square], { try ($0[0] + Tensor.eye(3, dtype: .float64) * 4.0).inverse() }),
      ("solve", [square, b], { try ($0[0] + Tensor.eye(3, dtype: .float64) * 4.0).solve($0[1]) }),
      ("det", [square], { try $0[0].det() }), ("kron", [a, square], { try $0[0].kron($0[1]) }),
      ("cdist", [a, try variable([4, 3])], { try $0[0].cdist($0[1]) }),
      (
        "attention", [batch, batch, try variable([2, 2, 4])],
        { try Tensor.attention($0[0], $0[1], $0[2], isCausal: true) }
      ),
    ])
  }

  func testShapes() throws {
    let x = try variable([2, 3, 4]), y = try variable([2, 3, 4], seed: 5)
    check([
      ("cat", [x, y], { try Tensor.cat($0, 1) }), ("permute", [x], { try $0[0].permute([2, 0, 1]) }),
      ("reshape", [x], { try $0[0].transpose(0, 2).reshape([6, 4]) }),
      ("expand", [x], { try $0[0].expand([2, 2, 3, 4]) }),
      ("slice", [x], { try $0[0].slice(2, 1, nil, step: 2) }), ("flip", [x], { try $0[0].flip([0, 2]) }),
      ("roll", [x], { try $0[0].roll([1], [2]) }), ("unfold", [x], { try $0[0].unfold(2, 2, 1) }),
      ("repeat", [x], { try $0[0].repeated([1, 2, 1]) }), ("diagonal", [x], { try $0[0].diagonal(offset: 1, 1, 2) }),
      ("tril", [x], { try $0[0].tril(-1) }), ("constant", [x], { try $0[0].padded([1, -1, 0, 2]) }),
      ("reflect", [x], { try $0[0].padded([2, 1], .reflect) }),
      ("replicate", [x], { try $0[0].padded([2, 1], .replicate) }),
      ("circular", [x], { try $0[0].padded([2, 1], .circular) }),
      ("strided", [x], { try $0[0].asStrided([3, 3], [2, 1], offset: 1) }),
      ("split", [x], { try $0[0].split(2, 1)[1] }), ("diff", [x], { try $0[0].diff(2) }),
    ])
  }

  func testIndexing() throws {
    let x = try variable([3, 4]), y = try variable([2, 4], seed: 6), repeated = try integers([2, 0])
    let places = try integers([0, 2, 1, 1, 1, 0, 2, 2], [2, 4]), mask = try x.detach().unary(.sign).to(.int64)
    let isSet = try Binary.apply(.gt, .tensor(mask), .scalar(0))
    check([
      ("gather", [x], { try $0[0].gather(0, places) }),
      ("scatter add", [x, y], { try $0[0].scatterAdd(0, places, $0[1]) }),
      ("index select", [x], { try $0[0].indexSelect(1, repeated) }),
      ("index add", [x, y], { try $0[0].indexAdd(0, repeated, $0[1], alpha: 2) }),
      ("index put", [x, y], { try $0[0].indexPut([repeated], $0[1], accumulate: true) }),
      ("masked fill", [x], { try $0[0].maskedFill(isSet, 3) }),
      ("masked select", [x], { try $0[0].maskedSelect(isSet) }),
      ("take", [x], { try $0[0].take(repeated) }), ("sort", [x], { try $0[0].sort(1).values }),
      ("topk", [x], { try $0[0].topk(2, 0).values }),
      ("repeat interleave", [x], { try $0[0].repeatInterleave(repeated.narrow(0, 0, 1), 1) }),
      ("scatter reduce", [x, y], { try $0[0].scatterReduce(0, places, $0[1], .mean) }),
      ("embedding", [x], { try $0[0].embedding(places.clamp(nil, .scalar(2))) }),
      ("embedding bag", [x], { try $0[0].embeddingBag(places, mode: .mean) }),
    ])
  }

  func testConvolutionsAndPooling() throws {
    let image = try variable([2, 2, 5, 4]), volume = try variable([1, 2, 3, 3, 3]), line = try variable([2, 4, 7])
    check([
      (
        "conv2d", [image, try variable([3, 2, 3, 2]), try variable([3])],
        { try $0[0].convolution($0[1], $0[2], stride: [2, 1], padding: .explicit([1])) }
      ),
      ("conv1d", [line, try variable([4, 2, 3])], { try $0[0].convolution($0[1], dilation: [2], groups: 2) }),
      ("conv3d", [volume, try variable([2, 2, 2, 2, 2])], { try $0[0].convolution($0[1]) }),
      (
        "transposed", [image, try variable([2, 2, 3, 3]), try variable([2])],
        { try $0[0].transposedConvolution($0[1], $0[2], stride: [2], padding: [1], outputPadding: [1]) }
      ),
      ("max pool", [image], { try $0[0].maxPool(2, kernel: [2], stride: [2], ceilMode: true)[0] }),
      ("average pool", [image], { try $0[0].averagePool(2, kernel: [3], stride: [2], padding: [1]) }),
      ("adaptive", [image], { try $0[0].adaptiveAveragePool([2, 3]) }),
      ("adaptive max", [image], { try $0[0].adaptiveMaxPool([2, 3])[0] }),
      ("norm pool", [image], { try $0[0].unary(.square).normPool(2, p: 2, kernel: [2]) }),
      ("patches", [image], { try $0[0].unfoldPatches(kernel: [2], stride: [1]) }),
      ("linear interpolation", [image], { try $0[0].interpolated([7, 3], mode: .linear) }),
      ("cubic interpolation", [image], { try $0[0].interpolated([7, 5], mode: .cubic, alignCorners: true) }),
      ("pixel shuffle", [try variable([1, 4, 2, 3])], { try $0[0].pixelShuffle(2) }),
    ])
    // The grid's places have first derivatives only where it counts: corners are not smooth.
    let grid = try variable([2, 3, 3, 2])
    check([("grid sample", [image, grid], { try $0[0].gridSampled($0[1].tanh() * 0.9) })], twice: false)
  }

  func testNormalization() throws {
    let x = try variable([3, 4, 5]), weight = try variable([4]), bias = try variable([4], seed: 8)
    check([
      ("batch norm", [x, weight, bias], { try $0[0].batchNorm(weight: $0[1], bias: $0[2], training: true) }),
      (
        "layer norm", [x, try variable([5]), try variable([5], seed: 9)],
        { try $0[0].layerNorm([5], weight: $0[1], bias: $0[2]) }
      ),
      ("group norm", [x, weight, bias], { try $0[0].groupNorm(2, weight: $0[1], bias: $0[2]) }),
      ("instance norm", [x, weight], { try $0[0].instanceNorm(weight: $0[1]) }),
      ("rms norm", [x], { try $0[0].rmsNorm([5]) }), ("normalize", [x], { try $0[0].normalize() }),
      ("local response", [x], { try $0[0].localResponseNorm(3) }),
      ("weight norm", [x, try variable([3, 1, 1], seed: 1)], { try $0[0].weightNormalized($0[1], dim: 0) }),
    ])
  }

  func testLosses() throws {
    let x = try variable([4, 3]), y = try variable([4, 3], seed: 3), target = try integers([0, 2, -100, 1])
    let labels = try integers([1, 0, 1, 0, 0, 1, 1, 1, 0, 0, 1, 0], [4, 3]).to(.float64)
    let signs = try labels * 2.0 - 1.0
    check([
      ("cross entropy", [x], { try $0[0].crossEntropy(target, labelSmoothing: 0.1) }),
      ("nll", [x], { try $0[0].logSoftmax(1).nllLoss(target) }),
      ("mse", [x, y], { try $0[0].mseLoss($0[1]) }), ("l1", [x, y], { try $0[0].l1Loss($0[1]) }),
      ("huber", [x, y], { try $0[0].huberLoss($0[1], delta: 0.7) }),
      ("smooth l1", [x, y], { try $0[0].smoothL1Loss($0[1]) }),
      ("bce", [x], { try $0[0].sigmoid().binaryCrossEntropy(labels) }),
      ("bce with logits", [x], { try $0[0].binaryCrossEntropyWithLogits(labels) }),
      ("kl", [x, y], { try $0[0].logSoftmax(1).klDivergence($0[1].softmax(1), reduction: .batchMean) }),
      ("gaussian", [x, y], { try $0[0].gaussianNLLLoss($0[1], variance: $0[1].square() + 0.5) }),
      ("poisson", [x, y], { try $0[0].poissonNLLLoss($0[1]) }),
      ("hinge", [x], { try $0[0].hingeEmbeddingLoss(signs) }),
      ("soft margin", [x], { try $0[0].softMarginLoss(signs) }),
      ("triplet", [x, y], { try $0[0].tripletMarginLoss($0[1], $0[0] * 0.5) }),
      ("multi margin", [x], { try $0[0].multiMarginLoss(target.clamp(.scalar(0), nil)) }),
      ("dice", [x], { try $0[0].diceLoss(labels) }), ("jaccard", [x], { try $0[0].jaccardLoss(labels) }),
      ("tversky", [x], { try $0[0].tverskyLoss(labels, alpha: 0.3, beta: 0.7) }),
    ])
  }
}

extension Tensor {
  fileprivate func square() throws -> Tensor { try unary(.square) }
}
