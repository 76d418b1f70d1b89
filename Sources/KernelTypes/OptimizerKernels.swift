/// Settings of one SGD step, as `torch.optim.SGD`'s.
public struct SGDStep: Sendable {
  public var learningRate: Double
  public var momentum: Double
  public var dampening: Double
  public var weightDecay: Double
  public var nesterov: Bool
  public var maximize: Bool
  /// The first step of a parameter: the momentum buffer is set to the gradient.
  public var isFirst: Bool

  public init(
    learningRate: Double, momentum: Double = 0, dampening: Double = 0, weightDecay: Double = 0,
    nesterov: Bool = false, maximize: Bool = false, isFirst: Bool = false
  ) {
    self.learningRate = learningRate
    self.momentum = momentum
    self.dampening = dampening
    self.weightDecay = weightDecay
    self.nesterov = nesterov
    self.maximize = maximize
    self.isFirst = isFirst
  }
}

/// Settings of one Adam or AdamW step, as `torch.optim.Adam`'s; the bias corrections are 1 - betaⁿ.
public struct AdamStep: Sendable {
  public var learningRate: Double
  public var beta1: Double
  public var beta2: Double
  public var eps: Double
  public var weightDecay: Double
  /// AdamW: the decay shrinks the parameter and stays out of the moments.
  public var isDecoupled: Bool
  public var maximize: Bool
  public var biasCorrection1: Double
  public var biasCorrection2: Double

  public init(
    learningRate: Double, beta1: Double = 0.9, beta2: Double = 0.999, eps: Double = 1e-8,
    weightDecay: Double = 0, isDecoupled: Bool = false, maximize: Bool = false, biasCorrection1: Double,
    biasCorrection2: Double
  ) {
    self.learningRate = learningRate
    self.beta1 = beta1
    self.beta2 = beta2
    self.eps = eps
    self.weightDecay = weightDecay
    self.isDecoupled = isDecoupled
    self.maximize = maximize
    self.biasCorrection1 = biasCorrection1
    self.biasCorrection2 = biasCorrection2
  }
}

/// `(parameter, gradient, momentum buffer or nil, n, settings)`
public typealias SGDKernel = (
  UnsafeMutableRawPointer, UnsafeRawPointer, UnsafeMutableRawPointer?, Int, SGDStep
) -> Void

/// `(parameter, gradient, first moment, second moment, greatest second moment (AMSGrad) or nil, n, settings)`
public typealias AdamKernel = (
  UnsafeMutableRawPointer, UnsafeRawPointer, UnsafeMutableRawPointer, UnsafeMutableRawPointer,
  UnsafeMutableRawPointer?, Int, AdamStep
) -> Void

/// Numbers of one step of an optimizer. Each uses those that its formula has; the rest stay as they are here.
public struct UpdateStep: Sendable {
  /// What the change is multiplied with, bias corrections included.
  public var rate = 0.0
  /// NAdam: the same for the momentum's share of the change.
  public var momentumRate = 0.0
  /// Times the parameter, added to the gradient.
  public var weightDecay = 0.0
  /// Decoupled weight decay: what the parameter is multiplied with beforehand.
  public var shrink = 1.0
  public var maximize = false
  public var eps = 0.0
  /// How much remains of the running mean, and of the running mean of squares.
  public var beta1 = 0.0
  public var beta2 = 0.0
  /// What the running mean of squares is divided by.
  public var correction = 1.0
  /// RMSprop: how much remains of the momentum buffer. ASGD: how far the average follows.
  public var momentum = 0.0
  /// RAdam: the second moment takes part. RMSprop: the mean gradient is subtracted.
  public var isAdaptive = false
  /// Rprop: factors for a changed and for a kept sign, least and greatest step.
  public var shrinking = 0.0
  public var growing = 0.0
  public var least = 0.0
  public var greatest = 0.0

  public init() {}
}

/// `(parameter, gradient and state, n, settings)`
public typealias UpdateKernel = ([UnsafeMutableRawPointer], Int, UpdateStep) -> Void

/// Multiplies n gradients by a factor; whether one of them was not finite. `(gradients, n, factor)`
public typealias UnscaleKernel = (UnsafeMutableRawPointer, Int, Double) -> Bool

/// One parameter of an Adafactor step: its matrices, one after the other, and what is remembered of their squares.
public struct FactoredUpdate {
  public var parameter: UnsafeMutableRawPointer
  public var gradient: UnsafeMutableRawPointer
  /// One per row of each matrix; nil if the squares themselves are remembered, as `columnMeans` of single rows.
  public var rowMeans: UnsafeMutableRawPointer?
  /// One per column of each matrix.
  public var columnMeans: UnsafeMutableRawPointer
  /// The mean of a matrix's row means, one per matrix.
  public var matrixMeans: UnsafeMutablePointer<Double>
  /// Sizes of a matrix.
  public var rows: Int
  public var columns: Int
  /// How far the means go towards those of this step.
  public var newness: Double
  /// Least mean of row means; its square is the least mean of squares.
  public var eps: Double
  /// What the parameter is multiplied with, and what the change is multiplied with.
  public var shrink = 1.0
  public var rate = 0.0

  public init(
    parameter: UnsafeMutableRawPointer, gradient: UnsafeMutableRawPointer, rowMeans: UnsafeMutableRawPointer?,
    columnMeans: UnsafeMutableRawPointer, matrixMeans: UnsafeMutablePointer<Double>, rows: Int, columns: Int,
    newness: Double, eps: Double
  ) {
    self.parameter = parameter
    self.gradient = gradient
    self.rowMeans = rowMeans
    self.columnMeans = columnMeans
    self.matrixMeans = matrixMeans
    self.rows = rows
    self.columns = columns
    self.newness = newness
    self.eps = eps
  }

  /// Columns that are added up at a time.
  public static var stripColumns: Int { 128 }
  /// Strips of a matrix.
  public var strips: Int { (columns + FactoredUpdate.stripColumns - 1) / FactoredUpdate.stripColumns }
}

/// A part of a step, for some rows or strips, counted through all matrices: `(update, first, last)`. Returns a sum.
public typealias FactoredKernel = (FactoredUpdate, Int, Int) -> Double

/// By lane (f32, f64).
public struct OptimizerKernels {
  public var sgd: [SGDKernel] = []
  public var adam: [AdamKernel] = []
  /// Parameter, gradient, mean, mean of squares.
  public var nadam: [UpdateKernel] = []
  public var radam: [UpdateKernel] = []
  /// Parameter, gradient, mean, greatest magnitude.
  public var adamax: [UpdateKernel] = []
  /// Parameter, gradient, sum of squares.
  public var adagrad: [UpdateKernel] = []
  /// Parameter, gradient, mean of squares, mean of squared changes.
  public var adadelta: [UpdateKernel] = []
  /// Parameter, gradient, mean of squares, then the mean gradient if centered, then the momentum buffer if there is one.
  public var rmsprop: [UpdateKernel] = []
  /// Parameter, gradient, gradient before, step size.
  public var rprop: [UpdateKernel] = []
  /// Parameter, gradient, average of the parameter.
  public var asgd: [UpdateKernel] = []
  /// Parameter, gradient, mean.
  public var lion: [UpdateKernel] = []
  /// Parameter, gradient, mean, mean of squares, and where the direction goes.
  public var lamb: [UpdateKernel] = []
  /// Adafactor's parts in their order: row means (returns Σ p²), column means, Σ change², and the change itself.
  public var factoredRows: [FactoredKernel] = []
  public var factoredColumns: [FactoredKernel] = []
  public var factoredSize: [FactoredKernel] = []
  public var factoredStep: [FactoredKernel] = []
  public var unscale: [UnscaleKernel] = []

  public init() {}
}
