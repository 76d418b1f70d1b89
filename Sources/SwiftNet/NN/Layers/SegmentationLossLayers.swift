/// Losses of segmentation and of rare labels, as modules: their settings. Formulas stand with the operations in
/// `Losses/`.
extension Loss {
  private static func definition(
    _ settings: KeyValuePairs<String, ModuleSchema.Fallback>, weights: [String] = ["weight"],
    mode: ModuleSchema.Fallback = "binary", reduces: Bool = true,
    _ prepare: @escaping @Sendable (Loss, SegmentationOptions) throws -> Function
  ) -> Definition {
    Definition(
      [
        ("mode", mode), ("from_logits", true), ("ignore_index", nil), ("per_image", false), ("classes", nil),
        ("skip_absent", false),
      ] + settings.map { ($0.key, $0.value) }, weights: weights, reduces: reduces
    ) { loss in try prepare(loss, loss.segmentationOptions()) }
  }

  private func segmentationOptions() throws -> SegmentationOptions {
    var options = SegmentationOptions()
    let name = setting("mode")?.isNone == true ? "binary" : try string("mode")
    guard let mode = SegmentationMode(rawValue: name) else {
      throw SwiftNetError.value("mode must be 'binary', 'multiclass' or 'multilabel', but got '\(name)'")
    }
    options.mode = mode
    options.fromLogits = try bool("from_logits")
    options.ignoreIndex = try optionalInt("ignore_index")
    options.perImage = try bool("per_image")
    options.classes = try optionalInts("classes")
    options.skipAbsent = try bool("skip_absent")
    return options
  }

  private static let overlap: KeyValuePairs<String, ModuleSchema.Fallback> = [
    "smooth": 1.0, "eps": 1e-7, "log_loss": false,
  ]

  private static func tversky(gamma: Double) -> Definition {
    definition(["alpha": 0.5, "beta": 0.5, "gamma": .double(gamma), "smooth": 1.0, "eps": 1e-7, "log_loss": false]) {
      loss, options in
      let (alpha, beta, gamma) = (try loss.double("alpha"), try loss.double("beta"), try loss.double("gamma"))
      let (smooth, eps, isLog) = (try loss.double("smooth"), try loss.double("eps"), try loss.bool("log_loss"))
      return {
        try $1[0].tverskyLoss(
          $1[1], options, alpha: alpha, beta: beta, gamma: gamma, smooth: smooth, eps: eps, logarithmic: isLog,
          weight: $0.buffer("weight"), reduction: $2)
      }
    }
  }

  private static let jaccard = definition(overlap) { loss, options in
    let (smooth, eps, isLog) = (try loss.double("smooth"), try loss.double("eps"), try loss.bool("log_loss"))
    return {
      try $1[0].jaccardLoss(
        $1[1], options, smooth: smooth, eps: eps, logarithmic: isLog, weight: $0.buffer("weight"), reduction: $2)
    }
  }

  static let segmentation: [(String, Definition)] = [
    (
      "DiceLoss",
      definition(overlap) { loss, options in
        let (smooth, eps, isLog) = (try loss.double("smooth"), try loss.double("eps"), try loss.bool("log_loss"))
        return {
          try $1[0].diceLoss(
            $1[1], options, smooth: smooth, eps: eps, logarithmic: isLog, weight: $0.buffer("weight"), reduction: $2)
        }
      }
    ),
    ("IoULoss", jaccard), ("JaccardLoss", jaccard), ("TverskyLoss", tversky(gamma: 1)),
    ("FocalTverskyLoss", tversky(gamma: 4.0 / 3)),
    (
      "MCCLoss",
      definition(["eps": 1e-5]) { loss, options in
        let eps = try loss.double("eps")
        return {
          try $1[0].matthewsLoss($1[1], options, eps: eps, weight: $0.buffer("weight"), reduction: $2)
        }
      }
    ),
    (
      "DiceBCELoss",
      definition(["smooth": 1.0, "eps": 1e-7, "bce_weight": 1.0, "dice_weight": 1.0], reduces: false) { loss, options in
        let (smooth, eps) = (try loss.double("smooth"), try loss.double("eps"))
        let (entropy, dice) = (try loss.double("bce_weight"), try loss.double("dice_weight"))
        return { loss, inputs, _ in
          try inputs[0].diceBCELoss(
            inputs[1], options, smooth: smooth, eps: eps, entropyWeight: entropy, diceWeight: dice,
            weight: loss.buffer("weight"))
        }
      }
    ),
    (
      "ComboLoss",
      definition(["alpha": 0.5, "beta": 0.5, "smooth": 1.0, "eps": 1e-7], weights: [], reduces: false) {
        loss, options in
        let (alpha, beta) = (try loss.double("alpha"), try loss.double("beta"))
        let (smooth, eps) = (try loss.double("smooth"), try loss.double("eps"))
        return { _, inputs, _ in
          try inputs[0].comboLoss(inputs[1], options, alpha: alpha, beta: beta, smooth: smooth, eps: eps)
        }
      }
    ),
    (
      "FocalLoss",
      definition(["alpha": nil, "gamma": 2.0, "threshold": nil, "normalized": false], mode: nil) { loss, options in
        let (alpha, gamma) = (try loss.optionalDouble("alpha"), try loss.double("gamma"))
        if loss.setting("mode")?.isNone == true {
          return { _, inputs, _ in
            try inputs[0].meanFocalLoss(inputs[1], options, alpha: alpha ?? 0.8, gamma: gamma)
          }
        }
        let (threshold, normalized) = (try loss.optionalDouble("threshold"), try loss.bool("normalized"))
        return {
          try $1[0].focalLoss(
            $1[1], options, alpha: alpha, gamma: gamma, weight: $0.buffer("weight"), threshold: threshold,
            normalized: normalized, reduction: $2)
        }
      }
    ),
    (
      "SoftBCEWithLogitsLoss",
      definition(["smooth_factor": 0.0], weights: ["weight", "pos_weight"]) { loss, options in
        let smoothing = try loss.double("smooth_factor")
        return {
          try $1[0].softBCELoss(
            $1[1], options, smoothing: smoothing, weight: $0.buffer("weight"), positiveWeight: $0.buffer("pos_weight"),
            reduction: $2)
        }
      }
    ),
    (
      "SoftCrossEntropyLoss",
      Definition([("smooth_factor", 0.0), ("ignore_index", -100)], weights: ["weight"], reduces: true) { loss in
        let (smoothing, ignored) = (try loss.double("smooth_factor"), try loss.int("ignore_index"))
        return {
          try $1[0].crossEntropy(
            $1[1], weight: $0.buffer("weight"), ignoreIndex: ignored, reduction: $2, labelSmoothing: smoothing)
        }
      }
    ),
    (
      "LovaszHingeLoss",
      Definition([("ignore_index", nil), ("per_image", false)], weights: [], reduces: false) { loss in
        let (ignored, perImage) = (try loss.optionalInt("ignore_index"), try loss.bool("per_image"))
        return { _, inputs, _ in
          try inputs[0].lovaszHingeLoss(inputs[1], ignoreIndex: ignored, perImage: perImage)
        }
      }
    ),
    (
      "LovaszSoftmaxLoss",
      Definition(
        [
          ("classes", nil), ("only_present", true), ("ignore_index", nil), ("per_image", false), ("from_logits", true),
        ], weights: [], reduces: false
      ) { loss in
        let (classes, onlyPresent) = (try loss.optionalInts("classes"), try loss.bool("only_present"))
        let (ignored, perImage) = (try loss.optionalInt("ignore_index"), try loss.bool("per_image"))
        let fromLogits = try loss.bool("from_logits")
        return { _, inputs, _ in
          try inputs[0].lovaszSoftmaxLoss(
            inputs[1], classes: classes, onlyPresent: onlyPresent, ignoreIndex: ignored, perImage: perImage,
            fromLogits: fromLogits)
        }
      }
    ),
    (
      "DeepMarLoss",
      Definition([("alpha", 1.0)], weights: ["rate"], reduces: true) { loss in
        let alpha = try loss.double("alpha")
        return {
          guard let rate = $0.buffer("rate") else { throw SwiftNetError.value("DeepMarLoss needs the labels' rates") }
          return try $1[0].deepMARLoss($1[1], rate: rate, alpha: alpha, reduction: $2)
        }
      }
    ),
    (
      "MultiLabelSoftmaxLoss",
      Definition([], weights: ["cond_prob"], reduces: true) { _ in
        { try $1[0].multilabelSoftmaxLoss($1[1], conditional: $0.buffer("cond_prob"), reduction: $2) }
      }
    ),
  ]
}
