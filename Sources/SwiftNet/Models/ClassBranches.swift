/// Layers for many classes, or groups of classes, at once: what belongs to one class is never mixed with another's.

/// An affine map per class: y[b, g] = x[b, g] · W[g] + bias[g] for (B, ngroups, in_features); W (ngroups, in, out).
/// W and bias are drawn uniformly from ±1/√in_features.
public final class ClassLinear: Layer, ModuleFamily {
  static let schemas = [
    (
      name: "group_divided_linear",
      schema: ModuleSchema("ngroups", "in_features", "out_features", optional: ["bias": true])
    )
  ]

  public override func build(_ dtype: DType) throws {
    for name in ["ngroups", "in_features", "out_features"] { try requireSetting(name, atLeast: 1, atMost: 1 << 24) }
    let (groups, outputs) = (try int("ngroups"), try int("out_features"))
    try addWeights([groups, try int("in_features"), outputs], bias: [groups, outputs], dtype)
  }

  public override func resetParameters() throws { try resetUniformly() }

  public override func forward(_ x: Tensor) throws -> Tensor {
    let weight = try requiredParameter("weight")
    try require(weight.rank == 3, .value, "group_divided_linear: weight must have three dimensions")
    try require(
      x.rank == 3 && x.shape[1] == weight.shape[0] && x.shape[2] == weight.shape[1], .value,
      "group_divided_linear: expected (batch, \(weight.shape[0]), \(weight.shape[1])), but got "
        + Shape.describe(x.shape))
    let out = try x.transpose(0, 1).matmul(weight).transpose(0, 1)
    return try parameter("bias").map { try out + $0 } ?? out
  }
}

extension Module {
  /// Makes "weight" and, if the setting "bias" says so, "bias", and draws them.
  fileprivate func addWeights(_ shape: [Int], bias: [Int], _ dtype: DType) throws {
    try addParameter("weight", Tensor(empty: shape, dtype: dtype))
    if try bool("bias") {
      try addParameter("bias", Tensor(empty: bias, dtype: dtype))
    } else {
      setParameter("bias", nil)
    }
    try resetParameters()
  }

  /// Draws "weight" and "bias" uniformly from ±1/√d, d the weight's second dimension.
  fileprivate func resetUniformly() throws {
    let weight = try requiredParameter("weight")
    try require(weight.rank >= 2, .value, "\(typeName): weight must have at least two dimensions")
    let bound = 1 / Double(weight.shape[1]).squareRoot()
    try Initializer.uniform(weight, -bound, bound)
    if let bias = parameter("bias") { try Initializer.uniform(bias, -bound, bound) }
  }
}

/// From groups to their classes: class n of group g gets y[b, n] = x[b, g] · W[:, n] + bias[n], for (B, n_groups,
/// group_channels); W (group_channels, n_classes, class_channels). "nclasses_per_group" says how many classes belong to
/// each group, in order. W and bias are drawn uniformly from ±1/√n_classes.
public final class GroupLinear: Layer, ModuleFamily {
  static let schemas = [
    (
      name: "Parallel_GroupLinear",
      schema: ModuleSchema(
        "n_groups", "n_classes", "group_channels", "class_channels", "nclasses_per_group", optional: ["bias": true])
    )
  ]

  public override func configure() throws {
    for name in ["n_groups", "n_classes", "group_channels", "class_channels"] { try requireSetting(name, atLeast: 1) }
    let (groups, classes) = (try int("n_groups"), try int("n_classes"))
    let counts = try ints("nclasses_per_group")
    try require(
      counts.count == groups && counts.allSatisfy { $0 >= 0 && $0 <= classes }
        && counts.reduce(0, +) == classes, .value,
      "nclasses_per_group \(Shape.describe(counts)) must hold \(groups) numbers (one per group) whose sum is the "
        + "number of classes, \(classes)")
  }

  public override func build(_ dtype: DType) throws {
    let classes = try int("n_classes")
    let outputs = try int("class_channels")
    try addWeights([try int("group_channels"), classes, outputs], bias: [classes, outputs], dtype)
  }

  public override func resetParameters() throws { try resetUniformly() }

  public override func forward(_ x: Tensor) throws -> Tensor {
    let weight = try requiredParameter("weight")
    let counts = try ints("nclasses_per_group")
    try require(weight.rank == 3, .value, "Parallel_GroupLinear: weight must have three dimensions")
    try require(
      x.rank == 3 && x.shape[1] == counts.count && x.shape[2] == weight.shape[0], .value,
      "Parallel_GroupLinear: expected (batch, \(counts.count), \(weight.shape[0])), but got "
        + Shape.describe(x.shape))
    try require(
      counts.reduce(0, +) == weight.shape[1], .value,
      "nclasses_per_group \(Shape.describe(counts)) does not add up to the \(weight.shape[1]) classes of the weight")
    let outputs = weight.shape[2]
    var start = 0
    var parts: [Tensor] = []
    // The classes of a group share their input: one product for each group.
    for (group, count) in counts.enumerated() where count > 0 {
      let part = try weight.narrow(1, start, count).reshape([weight.shape[0], count * outputs])
      parts.append(try x.select(1, group).matmul(part).reshape([x.shape[0], count, outputs]))
      start += count
    }
    let out = try Tensor.cat(parts, 1)
    return try parameter("bias").map { try out + $0 } ?? out
  }
}

/// What is made of per-class maps: "nclass_BasicLinear", an affine map per class, batch normalisation with a mean and a
/// variance per class, and ReLU; "parallel_final_fcs_ResidualLinearBlock", x + f₂(f₁(x)) with two of those, whose inner
/// width is class_channels / reduction; "parallel_output_linear", one number per class.
public final class ClassLinearBlock: Layer, ModuleFamily {
  static let schemas = [
    (name: "nclass_BasicLinear", schema: ModuleSchema("in_features", "out_features", "fc_groups")),
    (
      name: "parallel_final_fcs_ResidualLinearBlock",
      schema: ModuleSchema("n_classes", "reduction", "class_channels")
    ),
    (name: "parallel_output_linear", schema: ModuleSchema("n_classes", "class_channels")),
  ]

  public override func build(_ dtype: DType) throws {
    func linear(_ inputs: Int, _ outputs: Int, _ classes: Int) throws -> Module {
      try Module.make(
        "group_divided_linear",
        ["ngroups": .int(classes), "in_features": .int(inputs), "out_features": .int(outputs)], dtype: dtype)
    }
    func basic(_ inputs: Int, _ outputs: Int, _ classes: Int) throws -> Module {
      try Module.make(
        "nclass_BasicLinear",
        ["in_features": .int(inputs), "out_features": .int(outputs), "fc_groups": .int(classes)], dtype: dtype)
    }
    switch typeName {
    case "nclass_BasicLinear":
      let classes = try int("fc_groups")
      setChild("fc", try linear(try int("in_features"), try int("out_features"), classes))
      setChild("bn", try Module.normalization("BatchNorm1d", classes, dtype: dtype))
      setChild("relu", try Module.relu(inPlace: false))
    case "parallel_output_linear":
      setChild("output_fc", try linear(try int("class_channels"), 1, try int("n_classes")))
    default:
      try requireSetting("reduction", atLeast: 1)
      let (classes, channels) = (try int("n_classes"), try int("class_channels"))
      let inner = try channels / int("reduction")
      setChild("fc1", try basic(channels, inner, classes))
      setChild("fc2", try basic(inner, channels, classes))
    }
  }

  public override func forward(_ x: Tensor) throws -> Tensor {
    switch typeName {
    case "nclass_BasicLinear": try child("relu")(child("bn")(child("fc")(x)))
    case "parallel_output_linear": try child("output_fc")(x)
    default: try x + child("fc2")(child("fc1")(x))
    }
  }
}
