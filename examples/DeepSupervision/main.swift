// Trains a small scene parser with and without deep supervision, in Swift alone:
//
//     swift run -c release DeepSupervision
//
// Scenes are made of squares and discs on a noisy ground; the truth is known for every pixel.
import SwiftNet

/// Images (N, 3, 33, 33) and labels (N, 33, 33): 0 ground, 1 square, 2 disc.
func makeScenes(_ count: Int) throws -> (images: Tensor, labels: Tensor) {
  let size = 33
  let noise = try Tensor.zeros([count, 3, size, size])
  try Initializer.normal(noise, std: 0.3)
  let draws = try Tensor.zeros([count, 2, 4])
  try Initializer.uniform(draws)
  let random = try draws.doubles()
  var shapes = [Float](repeating: 0, count: count * 3 * size * size)
  var labels = [Float](repeating: 0, count: count * size * size)
  for scene in 0..<count {
    for kind in 0..<2 {
      let numbers = random[(scene * 2 + kind) * 4..<(scene * 2 + kind + 1) * 4].map { $0 }
      let (x, y, radius) = (5 + 23 * numbers[0], 5 + 23 * numbers[1], 3 + 4 * numbers[2])
      for row in 0..<size {
        for column in 0..<size {
          let (dx, dy) = (Double(column) - x, Double(row) - y)
          let isInside = kind == 0 ? max(abs(dx), abs(dy)) < radius : dx * dx + dy * dy < radius * radius
          if !isInside { continue }
          labels[(scene * size + row) * size + column] = Float(kind + 1)
          // Both have the same colours: only the form tells them apart.
          for channel in 0..<3 {
            shapes[((scene * 3 + channel) * size + row) * size + column] = Float(0.5 + 0.5 * numbers[3])
          }
        }
      }
    }
  }
  let images = try Tensor(shapes, shape: [count, 3, size, size]) + noise
  return (images, try Tensor(labels, shape: [count, size, size]).to(.int64))
}

/// Trains a network and returns its mean intersection over union on other scenes.
func train(auxiliaryWeight: Double, steps: Int) throws -> Double {
  Generator.shared.manualSeed(1)
  let model = try Module.make("PSPNet", ["layers": [1, 1, 1, 1], "classes": 3, "width": 8, "dropout": 0.0])
  let optimizer = try Adam(model.allParameters, lr: 3e-3)
  for step in 1...steps {
    let (images, labels) = try makeScenes(8)
    try optimizer.zeroGrad()
    guard let outputs = try model.call([.tensor(images), .tensor(labels)]).items else { return 0 }
    let mainLoss = try outputs[1].expectTensor("main loss")
    let auxiliaryLoss = try outputs[2].expectTensor("auxiliary loss")
    let loss = try mainLoss + auxiliaryLoss * .float(auxiliaryWeight)
    try Engine.backward([loss], gradients: [nil])
    try optimizer.step()
    if step % max(steps / 4, 1) == 0 { print("  step \(step): main loss \(try mainLoss.item().double)") }
  }
  model.eval()
  guard let metric = try Module.make("ConfusionMatrix", ["num_classes": 3]) as? Metric else { return 0 }
  Generator.shared.manualSeed(99)
  for _ in 0..<4 {
    let (images, labels) = try makeScenes(8)
    try metric.update(noGrad { try model(images) }, labels)
  }
  return try metric.result("miou").item().double
}

let steps = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 120
for weight in [0.0, 0.4] {
  print("auxiliary weight \(weight)")
  print("  mean IoU on new scenes: \(try train(auxiliaryWeight: weight, steps: steps))")
}
