extension Optimizer {
  /// An optimizer without groups, by the name of its PyTorch class (Lion and LAMB by their own).
  public static func named(_ name: String) throws -> Optimizer {
    switch name {
    case "SGD": SGD()
    case "Adam": Adam()
    case "AdamW": Adam(decoupled: true)
    case "NAdam": try NAdam()
    case "RAdam": try RAdam()
    case "Adamax": try Adamax()
    case "Adagrad": try Adagrad()
    case "Adadelta": try Adadelta()
    case "RMSprop": try RMSprop()
    case "Rprop": try Rprop()
    case "ASGD": try ASGD()
    case "Adafactor": try Adafactor()
    case "LBFGS": try LBFGS()
    case "Lion": try Lion()
    case "LAMB": try LAMB()
    default: throw SwiftNetError(.value, "there is no optimizer '\(name)'")
    }
  }
}
