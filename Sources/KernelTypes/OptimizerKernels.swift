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

/// By lane (f32, f64).
public struct OptimizerKernels {
  public var sgd: [SGDKernel] = []
  public var adam: [AdamKernel] = []

  public init() {}
}
