"""Rates that go up and down, and momentums that go the other way."""

import math

from swiftnet.optim.lr_scheduler.scheduler import LRScheduler, each, scheduled_rate, set_option
from swiftnet.optim.optimizer import Optimizer


class _Momentum:
    """Setting the momentum, or Adam's beta1, of groups."""

    def _check_momentum(self):
        defaults = self.optimizer.defaults
        if "momentum" not in defaults and "betas" not in defaults:
            raise ValueError("optimizer must support momentum or beta1 with `cycle_momentum` option enabled")
        self.use_beta1 = "betas" in defaults

    def _set_momentum(self, group, momentum):
        if self.use_beta1:
            group["betas"] = (momentum, *group["betas"][1:])
        else:
            group["momentum"] = momentum

    def _begin_momentum(self, base_momentum, max_momentum):
        bases = each("base_momentum", self.optimizer, base_momentum)
        tops = each("max_momentum", self.optimizer, max_momentum)
        for base, top, group in zip(bases, tops, self.optimizer.param_groups, strict=True):
            self._set_momentum(group, top)
            group["max_momentum"] = top
            group["base_momentum"] = base
        return bases, tops


class CyclicLR(_Momentum, LRScheduler):
    """A triangle between base_lr and max_lr (Smith, 2015, https://arxiv.org/abs/1506.01186).

    Args:
        base_lr, max_lr: least and greatest rate, for all groups or for each.
        step_size_up, step_size_down: steps of the two flanks. Default: 2000.
        mode: "triangular", "triangular2" (half the height every cycle) or "exp_range" (× gamma^step).
        scale_fn, scale_mode: a function for the height instead, of the "cycle" or of the "iterations".
        cycle_momentum: move the momentum the other way, between base_momentum and max_momentum. Default: True.
    """

    _modes = {"triangular": 0, "triangular2": 1, "exp_range": 2}

    def __init__(
        self, optimizer, base_lr, max_lr, step_size_up=2000, step_size_down=None, mode="triangular", gamma=1.0,
        scale_fn=None, scale_mode="cycle", cycle_momentum=True, base_momentum=0.8, max_momentum=0.9, last_epoch=-1,
    ):  # fmt: skip
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        self.optimizer = optimizer
        bases = each("base_lr", optimizer, base_lr)
        if last_epoch == -1:
            for rate, group in zip(bases, optimizer.param_groups, strict=True):
                set_option(group, "lr", rate)
        self.max_lrs = each("max_lr", optimizer, max_lr)
        self._up = float(step_size_up)
        self._down = self._up if step_size_down is None else float(step_size_down)
        self.total_size = self._up + self._down
        self.step_ratio = self._up / self.total_size
        if mode not in self._modes and scale_fn is None:
            raise ValueError("mode is invalid and scale_fn is None")
        self.mode = mode
        self.gamma = gamma
        self._scale_fn_custom = scale_fn
        self.scale_mode = scale_mode if scale_fn is not None else "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._check_momentum()
            self.base_momentums = each("base_momentum", optimizer, base_momentum)
            self.max_momentums = each("max_momentum", optimizer, max_momentum)
            if last_epoch == -1:
                self._begin_momentum(base_momentum, max_momentum)
        super().__init__(optimizer, last_epoch)
        self.base_lrs = bases

    def _at(self, low, high):
        mode, gamma = self._modes.get(self.mode, 0), self.gamma
        if self._scale_fn_custom is not None:
            cycle = math.floor(1 + self.last_epoch / self.total_size)
            mode, gamma = 3, self._scale_fn_custom(cycle if self.scale_mode == "cycle" else self.last_epoch)
        return scheduled_rate(b"cyclic", (high, self._up, self._down, mode, gamma), self.last_epoch, 0, low)

    def get_lr(self):
        if self.cycle_momentum:
            for group, base, top in zip(
                self.optimizer.param_groups, self.base_momentums, self.max_momentums, strict=True
            ):
                self._set_momentum(group, self._at(top, base))
        return [self._at(base, top) for base, top in zip(self.base_lrs, self.max_lrs, strict=True)]

    def state_dict(self):
        state = super().state_dict()
        function = state.pop("_scale_fn_custom")
        plain = function is None or type(function).__name__ == "function"
        state["_scale_fn_custom"] = None if plain else dict(vars(function))
        return state

    def load_state_dict(self, state_dict):
        state = dict(state_dict)
        values = state.pop("_scale_fn_custom")
        super().load_state_dict(state)
        if "_up" not in state:
            # PyTorch keeps the whole period and the share of the way up.
            self._up = self.total_size * self.step_ratio
            self._down = self.total_size - self._up
        if values is not None:
            vars(self._scale_fn_custom).update(values)


class OneCycleLR(_Momentum, LRScheduler):
    """One rise to max_lr and one fall far below the start (Smith and Topin, 2017, https://arxiv.org/abs/1708.07120).

    Args:
        max_lr: greatest rate, for all groups or for each.
        total_steps: steps in all; or `epochs` and `steps_per_epoch`.
        pct_start: share of the rise. Default: 0.3.
        anneal_strategy: "cos" or "linear".
        cycle_momentum: move the momentum the other way, between base_momentum and max_momentum. Default: True.
        div_factor: max_lr over the first rate. Default: 25.
        final_div_factor: the first rate over the last. Default: 1e4.
        three_phase: fall back to the first rate before the last fall. Default: False.
    """

    def __init__(
        self, optimizer, max_lr, total_steps=None, epochs=None, steps_per_epoch=None, pct_start=0.3,
        anneal_strategy="cos", cycle_momentum=True, base_momentum=0.85, max_momentum=0.95, div_factor=25.0,
        final_div_factor=1e4, three_phase=False, last_epoch=-1,
    ):  # fmt: skip
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        self.optimizer = optimizer
        if total_steps is not None:
            if total_steps <= 0 or not isinstance(total_steps, int):
                raise ValueError(f"Expected positive integer total_steps, but got {total_steps}")
            self.total_steps = total_steps
        elif epochs is not None and steps_per_epoch is not None:
            if not isinstance(epochs, int) or epochs <= 0:
                raise ValueError(f"Expected positive integer epochs, but got {epochs}")
            if not isinstance(steps_per_epoch, int) or steps_per_epoch <= 0:
                raise ValueError(f"Expected positive integer steps_per_epoch, but got {steps_per_epoch}")
            self.total_steps = epochs * steps_per_epoch
        else:
            raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
        if pct_start < 0 or pct_start > 1 or not isinstance(pct_start, float):
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self._anneal_func_type = anneal_strategy
        rise = pct_start * self.total_steps
        last = self.total_steps - 1
        if three_phase:
            phases = [
                (rise - 1, "initial_lr", "max_lr", "max_momentum", "base_momentum"),
                (2 * rise - 2, "max_lr", "initial_lr", "base_momentum", "max_momentum"),
                (last, "initial_lr", "min_lr", "max_momentum", "max_momentum"),
            ]
        else:
            phases = [
                (rise - 1, "initial_lr", "max_lr", "max_momentum", "base_momentum"),
                (last, "max_lr", "min_lr", "base_momentum", "max_momentum"),
            ]
        # Last step of a phase; rates and momentums that it runs between, under PyTorch's names.
        names = ("end_step", "start_lr", "end_lr", "start_momentum", "end_momentum")
        self._schedule_phases = [dict(zip(names, phase, strict=True)) for phase in phases]
        tops = each("max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for top, group in zip(tops, optimizer.param_groups, strict=True):
                group["initial_lr"] = top / div_factor
                group["max_lr"] = top
                group["min_lr"] = group["initial_lr"] / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._check_momentum()
            if last_epoch == -1:
                self._begin_momentum(base_momentum, max_momentum)
        super().__init__(optimizer, last_epoch)

    def _between(self, start, end, share):
        name = b"cosine_fraction" if self._anneal_func_type == "cos" else b"line_fraction"
        return scheduled_rate(name, (end,), share, 0, start)

    def get_lr(self):
        step = self.last_epoch
        if step > self.total_steps:
            raise ValueError(f"Tried to step {step} times. The specified number of total steps is {self.total_steps}")
        begin = 0.0
        for phase in self._schedule_phases:
            if step <= phase["end_step"] or phase is self._schedule_phases[-1]:
                break
            begin = phase["end_step"]
        share = (step - begin) / (phase["end_step"] - begin)
        rates = []
        for group in self.optimizer.param_groups:
            rates.append(self._between(group[phase["start_lr"]], group[phase["end_lr"]], share))
            if self.cycle_momentum:
                momentum = self._between(group[phase["start_momentum"]], group[phase["end_momentum"]], share)
                self._set_momentum(group, momentum)
        return rates
