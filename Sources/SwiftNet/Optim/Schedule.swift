/// Learning rates over time, as `torch.optim.lr_scheduler`: the rate of an epoch (or step) from the rate before, so
/// that schedules can be chained.
public enum Schedule: Sendable {
  /// × gamma every `size` epochs.
  case step(size: Double, gamma: Double)
  /// × factor for the first `total` epochs.
  case constant(factor: Double, total: Double)
  /// × a factor that runs linearly from start to end over `total` epochs.
  case linear(start: Double, end: Double, total: Double)
  /// × gamma every epoch.
  case exponential(gamma: Double)
  /// × (1 - epoch / total)^power.
  case polynomial(total: Double, power: Double)
  /// Half a period of a cosine from the base rate to the least in `total` epochs, and on (Loshchilov and Hutter, 2016,
  /// https://arxiv.org/abs/1608.03983).
  case cosine(total: Double, least: Double)
  /// The same with epoch / total given: restarts are the caller's.
  case cosineFraction(least: Double)
  /// A straight line from the base rate to `end`; the epoch is the fraction of the way.
  case lineFraction(end: Double)
  /// A triangle between the base rate and the greatest (Smith, 2015, https://arxiv.org/abs/1506.01186). `up` and `down`
  /// count steps; mode 0 keeps the height, 1 halves it every cycle, 2 multiplies it by gamma every step, 3 multiplies it by gamma.
  case cyclic(greatest: Double, up: Double, down: Double, mode: Double, gamma: Double)
  /// least + (base - least) · (1 - epoch / total)^power: the poly schedule of semantic segmentation.
  case poly(total: Double, power: Double, least: Double)
  /// From wherever the rate is to a target in `total` epochs, along a line or half a cosine.
  case anneal(target: Double, total: Double, isCosine: Bool)

  /// By name and numbers in the order of the case's values.
  public init(_ name: String, _ numbers: [Double]) throws {
    func number(_ index: Int) throws -> Double {
      guard index < numbers.count else { throw SwiftNetError.type("schedule '\(name)' needs more numbers") }
      return numbers[index]
    }
    switch name {
    case "step": self = .step(size: try number(0), gamma: try number(1))
    case "constant": self = .constant(factor: try number(0), total: try number(1))
    case "linear": self = .linear(start: try number(0), end: try number(1), total: try number(2))
    case "exponential": self = .exponential(gamma: try number(0))
    case "polynomial": self = .polynomial(total: try number(0), power: try number(1))
    case "cosine": self = .cosine(total: try number(0), least: try number(1))
    case "cosine_fraction": self = .cosineFraction(least: try number(0))
    case "line_fraction": self = .lineFraction(end: try number(0))
    case "cyclic":
      self = .cyclic(
        greatest: try number(0), up: try number(1), down: try number(2), mode: try number(3), gamma: try number(4))
    case "poly": self = .poly(total: try number(0), power: try number(1), least: try number(2))
    case "anneal":
      self = .anneal(target: try number(0), total: try number(1), isCosine: try number(2) != 0)
    default: throw SwiftNetError.value("there is no schedule '\(name)'")
    }
  }

  /// The rate of an epoch.
  ///
  /// - Parameters:
  ///   - epoch: from 0; a fraction for `cosineFraction`.
  ///   - current: the rate of the epoch before, or the one to begin with.
  ///   - base: the rate that the schedule began with.
  ///   - isFresh: whether the schedule starts at this epoch, so that `current` is this epoch's already.
  public func rate(_ epoch: Double, current: Double, base: Double, isFresh: Bool = false) -> Double {
    switch self {
    case .step(let size, let gamma):
      return epoch == 0 || epoch.truncatingRemainder(dividingBy: size) != 0 ? current : current * gamma
    case .constant(let factor, let total):
      if epoch == 0 { return current * factor }
      return epoch == total ? current * (1 / factor) : current
    case .linear(let start, let end, let total):
      if epoch == 0 { return current * start }
      if isFresh || epoch > total { return current }
      return current * (1 + (end - start) / (total * start + (epoch - 1) * (end - start)))
    case .exponential(let gamma): return isFresh ? current : current * gamma
    case .polynomial(let total, let power):
      if isFresh || epoch > total { return current }
      return current * pow((1 - epoch / total) / (1 - (epoch - 1) / total), power)
    case .cosine(let total, let least):
      if isFresh { return current }
      if (epoch - 1 - total).truncatingRemainder(dividingBy: 2 * total) == 0 {
        return current + (base - least) * (1 - cos(Double.pi / total)) / 2
      }
      return (1 + cos(Double.pi * epoch / total)) / (1 + cos(Double.pi * (epoch - 1) / total)) * (current - least)
        + least
    case .cosineFraction(let least):
      return least + (base - least) * (1 + cos(Double.pi * epoch)) / 2
    case .lineFraction(let end): return (end - base) * epoch + base
    case .poly(let total, let power, let least):
      return least + (base - least) * pow(1 - min(epoch, total) / total, power)
    case .anneal(let target, let total, let isCosine):
      // How much of the way is done; the rate before tells where it began.
      func share(_ epoch: Double) -> Double {
        let t = max(0, min(1, epoch / max(1, total)))
        return isCosine ? (1 - cos(Double.pi * t)) / 2 : t
      }
      let now = total == 0 ? max(1, epoch) : epoch
      let before = share(now - 1)
      let start = before == 1 ? target : (current - before * target) / (1 - before)
      return target * share(now) + start * (1 - share(now))
    case .cyclic(let greatest, let up, let down, let mode, let gamma):
      let period = up + down
      let cycle = (1 + epoch / period).rounded(.down)
      let x = 1 + epoch / period - cycle
      let share = up / period
      let height = (greatest - base) * (x <= share ? x / share : (x - 1) / (share - 1))
      switch mode {
      case 1: return base + height / pow(2, cycle - 1)
      case 2: return base + height * pow(gamma, epoch)
      case 3: return base + height * gamma
      default: return base + height
      }
    }
  }
}

/// Sets the learning rates of an optimizer's groups epoch by epoch.
public final class Scheduler {
  private let optimizer: Optimizer
  private let schedule: Schedule
  private let bases: [Double]
  /// Epochs so far.
  public private(set) var epoch = 0

  /// Sets the rates of epoch 0.
  public init(_ optimizer: Optimizer, _ schedule: Schedule) {
    self.optimizer = optimizer
    self.schedule = schedule
    bases = optimizer.groups.map { $0["lr"] }
    apply(isFresh: true)
  }

  /// Goes on to the next epoch.
  public func step() {
    epoch += 1
    apply(isFresh: false)
  }

  private func apply(isFresh: Bool) {
    for (group, base) in zip(optimizer.groups, bases) {
      group["lr"] = schedule.rate(Double(epoch), current: group["lr"], base: base, isFresh: isFresh)
    }
  }
}
