"""What all schedulers have in common."""

import copy as copy_module
import warnings

from swiftnet._core import check, ffi, lib
from swiftnet._tensor import Tensor
from swiftnet.optim.optimizer import Optimizer


def scheduled_rate(name, numbers, epoch, current, base, fresh=False):
    """The rate of an epoch by a schedule of the Swift library."""
    rate = ffi.new("double *")
    numbers = [float(n) for n in numbers]
    check(
        lib.sn_schedule_rate(name, numbers, len(numbers), float(epoch), float(current), float(base), bool(fresh), rate)
    )
    return rate[0]


def each(name, optimizer, value):
    """A value for each group."""
    count = len(optimizer.param_groups)
    if isinstance(value, (list, tuple)):
        if len(value) != count:
            raise ValueError(
                f"{name} must have the same length as optimizer.param_groups. {name} has {len(value)} values, "
                f"param_groups has {count}."
            )
        return list(value)
    return [value] * count


def set_option(group, name, value):
    """Sets an option of a parameter group, in place where it is a tensor."""
    if isinstance(group[name], Tensor):
        group[name].fill_(float(value))
    else:
        group[name] = value


def copy(value):
    """A number, or a tensor of its own."""
    return value.clone() if isinstance(value, Tensor) else value


class LRScheduler:
    """Base class of schedulers, also of those written in Python, which define `get_lr`.

    Args:
        optimizer: whose groups' learning rates are set.
        last_epoch: the epoch to go on from; -1 begins.
    """

    # The Swift schedule that a subclass stands for, and its numbers.
    _schedule = None
    _starts = False

    def __init__(self, optimizer, last_epoch=-1):
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        self.optimizer = optimizer
        for index, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", copy(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{index}] when resuming scheduler with "
                    "last_epoch >= 0."
                )
        self.base_lrs = [copy(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._watch_steps()
        self._initial_step()

    def _watch_steps(self):
        """Notes whether the optimizer has stepped, for the warning about a wrong order."""
        optimizer = self.optimizer
        if "_opt_called" in optimizer.__dict__:
            return
        optimizer._opt_called = False

        def note(stepping, args, kwargs):
            stepping._opt_called = True

        optimizer.register_step_post_hook(note)

    def _initial_step(self):
        self._step_count = 0
        self._starts = True
        try:
            self.step()
        finally:
            self.__dict__.pop("_starts", None)

    def state_dict(self):
        """Everything but the optimizer."""
        return {name: value for name, value in self.__dict__.items() if name != "optimizer"}

    def load_state_dict(self, state_dict):
        """Takes what `state_dict` gave."""
        self.__dict__.update(state_dict)

    def get_last_lr(self):
        """The rates that were set last."""
        return self._last_lr

    def _numbers(self):
        """The numbers of the Swift schedule."""
        raise NotImplementedError

    def get_lr(self):
        """The rates of the current epoch, from those of the one before."""
        if self._schedule is None:
            raise NotImplementedError
        numbers = self._numbers()
        return [
            scheduled_rate(self._schedule, numbers, self.last_epoch, group["lr"], base, self._starts)
            for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=False)
        ]

    def step(self, epoch=None):
        """Goes on to the next epoch."""
        if self._step_count == 1 and not getattr(self.optimizer, "_opt_called", True):
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`. In PyTorch 1.1.0 and later, you "
                "should call them in the opposite order: `optimizer.step()` before `lr_scheduler.step()`.  Failure to "
                "do this will result in PyTorch skipping the first value of the learning rate schedule.",
                UserWarning, stacklevel=2,
            )  # fmt: skip
        self._step_count += 1
        if epoch is not None:
            warnings.warn(
                "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where possible. "
                "Please use `scheduler.step()` to step the scheduler.",
                UserWarning, stacklevel=2,
            )  # fmt: skip
        self._update_lr(epoch)

    def _update_lr(self, epoch=None):
        if epoch is None:
            self.last_epoch += 1
            values = self.get_lr()
        else:
            self.last_epoch = epoch
            closed = getattr(self, "_get_closed_form_lr", None)
            values = self.get_lr() if closed is None else closed()
        for group, value in zip(self.optimizer.param_groups, values, strict=True):
            set_option(group, "lr", value)
        self._last_lr = [copy(group["lr"]) for group in self.optimizer.param_groups]

    # ---- looking ahead ----

    def preview(self, steps=None, metrics=None):
        """The rates of the current step and of those to come, a list for each with a rate for each group. Neither the
        scheduler nor the optimizer changes.

        Args:
            steps: how many. Default: as many as the schedule has, or 100.
            metrics: what a schedule that follows a metric is told, one for each step.
        """
        ahead = copy_module.deepcopy(self, {id(self.optimizer): _Stand(self.optimizer)})
        if metrics is not None:
            metrics = list(metrics)
            steps = len(metrics) + 1 if steps is None else steps
        if steps is None:
            steps = getattr(self, "total_steps", None) or getattr(self, "T_max", None) or 100
        rates = []
        for step in range(steps):
            rates.append([float(group["lr"]) for group in ahead.optimizer.param_groups])
            if step < steps - 1:
                ahead.step() if metrics is None else ahead.step(metrics[step])
        return rates

    def plot(self, steps=None, ax=None, metrics=None, **options):
        """Draws the rates of the steps to come; needs matplotlib.

        Args:
            steps, metrics: as in `preview`.
            ax: axes to draw on. Default: new ones.
            options: for matplotlib's `plot`.

        Returns:
            The axes.
        """
        if ax is None:
            try:
                import matplotlib.pyplot as plt
            except ImportError:
                raise ImportError("plot() needs matplotlib: pip install matplotlib (or swiftnet[demo])") from None
            ax = plt.figure().gca()
        curves = list(zip(*self.preview(steps, metrics), strict=True))
        for index, curve in enumerate(curves):
            label = {"label": f"group {index}"} if len(curves) > 1 and "label" not in options else {}
            ax.plot(range(len(curve)), curve, **label, **options)
        ax.set_xlabel("step")
        ax.set_ylabel("learning rate")
        ax.set_title(type(self).__name__)
        if len(curves) > 1:
            ax.legend()
        return ax


class _Stand(Optimizer):
    """Takes an optimizer's place for looking ahead: the options of its groups, without parameters."""

    def __init__(self, optimizer):
        self.defaults = dict(optimizer.defaults)
        self.param_groups = [
            {name: copy(value) for name, value in group.items() if name != "params"} for group in optimizer.param_groups
        ]
        self._make_hooks()
        self._opt_called = True
