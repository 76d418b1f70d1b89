import SwiftNet
import XCTest

/// Layers of every family: gradients of input and parameters against finite differences, in float64.
final class LayerGradientTests: XCTestCase {
  private typealias Settings = [(name: String, value: ConfigValue)]

  private func check(_ type: String, _ settings: Settings, _ shape: [Int], twice: Bool = false, line: UInt = #line)
    throws
  {
    Generator.shared.manualSeed(1)
    let module = try Module.make(type, settings)
    try module.to(.float64)
    let inputs = [try variable(shape)] + module.allParameters
    checkGradients(type, inputs, twice: twice, line: line) { try module($0[0]) }
  }

  func testDense() throws {
    try check("Linear", [("in_features", 3), ("out_features", 2)], [4, 3], twice: true)
    let bilinear = try Module.make("Bilinear", [("in1_features", 2), ("in2_features", 3), ("out_features", 2)])
    try bilinear.to(.float64)
    checkGradients("Bilinear", [try variable([4, 2]), try variable([4, 3])] + bilinear.allParameters) {
      try bilinear($0[0], $0[1])
    }
  }

  func testConvolutions() throws {
    let settings: Settings = [("in_channels", 2), ("out_channels", 3), ("kernel_size", 3)]
    for (dimensions, shape) in [(1, [2, 2, 5]), (2, [1, 2, 4, 5]), (3, [1, 2, 3, 3, 4])] {
      try check("Conv\(dimensions)d", settings + [("padding", "same")], shape)
      try check(
        "ConvTranspose\(dimensions)d", settings + [("stride", 2)],
        Array(shape.prefix(2)) + shape.dropFirst(2).map { _ in 2 })
    }
    try check("Conv2d", settings + [("padding", 1), ("padding_mode", "reflect")], [1, 2, 4, 4], twice: true)
  }

  func testPooling() throws {
    for type in ["MaxPool", "AvgPool"] {
      for (dimensions, shape) in [(1, [2, 2, 7]), (2, [1, 2, 5, 4]), (3, [1, 2, 4, 3, 5])] {
        try check("\(type)\(dimensions)d", [("kernel_size", 2), ("stride", 1)], shape)
      }
    }
    try check("AdaptiveAvgPool2d", [("output_size", [2, 3])], [1, 2, 5, 4])
    try check("AdaptiveMaxPool1d", [("output_size", 3)], [1, 2, 7])
  }

  func testNormalization() throws {
    for (type, shape) in [("BatchNorm1d", [4, 3]), ("BatchNorm2d", [2, 3, 2, 3]), ("BatchNorm3d", [2, 3, 2, 1, 2])] {
      try check(type, [("num_features", 3)], shape)
    }
    try check("InstanceNorm2d", [("num_features", 3), ("affine", true)], [2, 3, 2, 3])
    try check("LayerNorm", [("normalized_shape", [3, 2])], [2, 3, 2])
    try check("GroupNorm", [("num_groups", 2), ("num_channels", 4)], [2, 4, 3])
    try check("RMSNorm", [("normalized_shape", [4])], [3, 4])
    try check("LocalResponseNorm", [("size", 3)], [2, 4, 3])
  }

  func testActivations() throws {
    let types = [
      "CELU", "ELU", "GELU", "GLU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "LogSigmoid",
      "Mish", "PReLU", "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid", "Softmin", "Softplus", "Softshrink", "Softsign",
      "Tanh", "Tanhshrink",
    ]
    for type in types { try check(type, type == "Softmin" ? [("dim", 1)] : [], [3, 4], twice: true) }
    try check("Softmax", [("dim", 1)], [3, 4], twice: true)
    try check("LogSoftmax", [("dim", 0)], [3, 4], twice: true)
  }

  func testShapesAndVision() throws {
    try check("Flatten", [], [2, 2, 3])
    try check("Unflatten", [("dim", 1), ("unflattened_size", [2, 2])], [3, 4])
    try check("PixelShuffle", [("upscale_factor", 2)], [1, 4, 2, 2])
    try check("Upsample", [("scale_factor", 2.0), ("mode", "bilinear")], [1, 2, 3, 2])
    try check("ReflectionPad1d", [("padding", 2)], [2, 2, 4])
    try check("ZeroPad2d", [("padding", 1)], [1, 2, 2, 3])
    try check("Unfold", [("kernel_size", 2)], [1, 2, 3, 4])
    try check("Identity", [], [2, 3])
    try check("Dropout", [("p", 0.0)], [2, 3])
  }

  func testEmbedding() throws {
    let embedding = try Module.make("Embedding", [("num_embeddings", 5), ("embedding_dim", 3), ("padding_idx", 1)])
    try embedding.to(.float64)
    let places = try integers([0, 2, 2, 4], [2, 2])
    checkGradients("Embedding", embedding.allParameters) { _ in try embedding(places) }
  }

  func testSequences() throws {
    let sequence = Sequential(try Linear(3, 4), try Module.make("Tanh", []), try Linear(4, 2))
    try sequence.to(.float64)
    checkGradients("Sequential", [try variable([3, 3])] + sequence.allParameters) { try sequence($0[0]) }
  }

  func testLosses() throws {
    let x = try variable([4, 3]), y = try variable([4, 3], seed: 2)
    for type in ["MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss"] {
      let loss = try Module.make(type, [])
      checkGradients(type, [x, y]) { try loss($0[0], $0[1]) }
    }
    let weighted = try Module.make("CrossEntropyLoss", ["label_smoothing": 0.2, "reduction": "sum"])
    let target = try integers([0, 2, 1, -100])
    checkGradients("CrossEntropyLoss", [x]) { try weighted($0[0], target) }
    let labels = try integers([1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 1], [4, 3]).to(.float64)
    for type in ["BCEWithLogitsLoss", "DiceLoss", "FocalLoss", "MultiLabelSoftMarginLoss"] {
      let loss = try Module.make(type, [])
      checkGradients(type, [x], twice: false) { try loss($0[0], labels) }
    }
  }
}
