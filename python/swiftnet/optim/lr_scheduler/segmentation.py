"""Schedules beyond PyTorch's: the poly schedule of semantic segmentation, and warming up before another schedule."""

from swiftnet.optim.lr_scheduler.combined import SequentialLR
from swiftnet.optim.lr_scheduler.decay import ConstantLR, LambdaLR, LinearLR
from swiftnet.optim.lr_scheduler.scheduler import LRScheduler, scheduled_rate


class PolyLR(LRScheduler):
    """The poly schedule (Chen et al., DeepLab, 2016, https://arxiv.org/abs/1606.00915):

        lr = min_lr + (base - min_lr) · (1 - step / total_steps)^power

    Args:
        total_steps: steps until min_lr, usually the iterations of the whole training.
        power: Default: 0.9.
        min_lr: the last rate. Default: 0.
    """

    def __init__(self, optimizer, total_steps, power=0.9, min_lr=0.0, last_epoch=-1):
        if total_steps <= 0:
            raise ValueError(f"Expected positive total_steps, but got {total_steps}")
        self.total_steps = total_steps
        self.power = power
        self.min_lr = min_lr
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        numbers = (self.total_steps, self.power, self.min_lr)
        return [scheduled_rate(b"poly", numbers, self.last_epoch, 0, base) for base in self.base_lrs]

    _get_closed_form_lr = get_lr


class _Rising:
    """factor^(1 - step / steps): from factor to 1 in even ratios."""

    def __init__(self, factor, steps):
        self.factor = factor
        self.steps = steps

    def __call__(self, step):
        return self.factor ** (1 - min(step, self.steps) / self.steps)


class WarmupLR(SequentialLR):
    """Rises to the base rate first, then follows another schedule from its beginning.

    >>> import swiftnet
    >>> optimizer = swiftnet.optim.SGD([swiftnet.nn.Parameter(swiftnet.ones(1))], lr=1.0)
    >>> after = swiftnet.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    >>> schedule = swiftnet.optim.lr_scheduler.WarmupLR(after, 2, start_factor=0.5)
    >>> [rates[0] for rates in schedule.preview(5)]
    [0.5, 0.75, 1.0, 0.5, 0.25]

    Args:
        scheduler: the schedule to follow.
        warmup_steps: steps until the base rate.
        start_factor: the first rate as a share of the base rate. Default: 0.1.
        mode: "linear", "exponential" or "constant". Default: "linear".
    """

    def __init__(self, scheduler, warmup_steps, start_factor=0.1, mode="linear"):
        if warmup_steps <= 0:
            raise ValueError(f"Expected positive warmup_steps, but got {warmup_steps}")
        if not 0 < start_factor <= 1:
            raise ValueError(f"start_factor must be greater than 0 and at most 1, got {start_factor}")
        optimizer = scheduler.optimizer
        if mode == "linear":
            rise = LinearLR(optimizer, start_factor, total_iters=warmup_steps)
        elif mode == "constant":
            rise = ConstantLR(optimizer, start_factor, total_iters=warmup_steps)
        elif mode == "exponential":
            rise = LambdaLR(optimizer, _Rising(start_factor, warmup_steps))
        else:
            raise ValueError(f"mode must be one of 'linear', 'exponential' or 'constant', got {mode}")
        super().__init__(optimizer, [rise, scheduler], [warmup_steps])
