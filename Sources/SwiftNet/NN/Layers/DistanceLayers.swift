/// Distances of two tensors. PyTorch: `torch.nn.PairwiseDistance`, `torch.nn.CosineSimilarity`.
public final class Distance: Module, ModuleFamily {
  static let schemas = [
    (name: "PairwiseDistance", schema: ModuleSchema(optional: ["p": 2.0, "eps": 1e-6, "keepdim": false])),
    (name: "CosineSimilarity", schema: ModuleSchema(optional: ["dim": 1, "eps": 1e-8])),
  ]

  private var compute: ((Tensor, Tensor) throws -> Tensor)?

  public override func configure() throws {
    let eps = try double("eps")
    if typeName == "PairwiseDistance" {
      let (p, keepdim) = (try double("p"), try bool("keepdim"))
      compute = { try $0.pairwiseDistance($1, p: p, eps: eps, keepdim: keepdim) }
    } else {
      let dim = try int("dim")
      compute = { try $0.cosineSimilarity($1, dim, eps: eps) }
    }
  }

  public override func forward(_ inputs: [ModuleValue]) throws -> ModuleValue {
    guard inputs.count == 2, let compute else {
      throw SwiftNetError.type("\(typeName).forward() takes 2 inputs but \(inputs.count) were given")
    }
    return .tensor(try compute(try inputs[0].expectTensor(typeName, "x1"), try inputs[1].expectTensor(typeName, "x2")))
  }
}
