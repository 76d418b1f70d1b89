/// Second derivatives of operations with fused kernels.
extension BackwardContext {
  /// The gradients of an operation from a formula of it in differentiable operations, recorded so that they can be
  /// differentiated again. This is the path for `create_graph`; a fused backward serves otherwise.
  ///
  /// - Parameters:
  ///   - inputs: the node's inputs, as saved; nil for one that `formula` does not see.
  ///   - formula: the operation's first output from the inputs.
  /// - Returns: a gradient for each input that wants one.
  func gradients(
    ofFormula formula: ([Tensor?]) throws -> Tensor, _ inputs: [Tensor?]
  ) throws -> [Tensor?] {
    let incoming = try grad
    return try withGradMode(true) {
      var linked = inputs
      var wanted: [Int] = []
      // All that are part of the graph, also where this backward has no use for the gradient: the walk must end there.
      for (position, input) in inputs.enumerated() where position < node.edges.count && node.edges[position] != nil {
        guard let input, input.requiresGrad else { continue }
        // A node of its own, at which the walk below stops.
        linked[position] = try input.alias().recorded("Alias", input) { [try $0.grad] }
        wanted.append(position)
      }
      var results = [Tensor?](repeating: nil, count: inputs.count)
      if wanted.isEmpty { return results }
      let output = try formula(linked)
      guard output.requiresGrad else { return results }
      let found = try Engine.gradientsWithin(
        [output], inputs: wanted.compactMap { linked[$0] }, gradients: [incoming])
      for (position, gradient) in zip(wanted, found) { results[position] = gradient }
      return results
    }
  }
}
