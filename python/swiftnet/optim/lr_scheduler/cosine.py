"""Rates along a cosine."""

import math

from swiftnet.optim.lr_scheduler.scheduler import LRScheduler, copy, scheduled_rate, set_option


class CosineAnnealingLR(LRScheduler):
    """Half a period of a cosine from the base rate to eta_min in T_max epochs, then back and on (Loshchilov and Hutter,
    2016, https://arxiv.org/abs/1608.03983, without restarts)."""

    _schedule = b"cosine"

    def __init__(self, optimizer, T_max, eta_min=0.0, last_epoch=-1):
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def _numbers(self):
        return self.T_max, self.eta_min

    def _get_closed_form_lr(self):
        share = self.last_epoch / self.T_max
        return [scheduled_rate(b"cosine_fraction", (self.eta_min,), share, 0, base) for base in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half a cosine from the base rate to eta_min in T_0 epochs, then from the start in T_0 · T_mult, and so on
    (Loshchilov and Hutter, 2016, https://arxiv.org/abs/1608.03983)."""

    def __init__(self, optimizer, T_0, T_mult=1, eta_min=0.0, last_epoch=-1):
        if T_0 <= 0 or not isinstance(T_0, int):
            raise ValueError(f"Expected positive integer T_0, but got {T_0}")
        if T_mult < 1 or not isinstance(T_mult, int):
            raise ValueError(f"Expected integer T_mult >= 1, but got {T_mult}")
        if not isinstance(eta_min, (float, int)):
            raise ValueError(f"Expected float or int eta_min, but got {eta_min} of type {type(eta_min)}")
        self.T_0 = T_0
        self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        share = self.T_cur / self.T_i
        return [scheduled_rate(b"cosine_fraction", (self.eta_min,), share, 0, base) for base in self.base_lrs]

    def step(self, epoch=None):
        """Goes on to the next epoch, or to the given one, which may be a fraction."""
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur -= self.T_i
                self.T_i *= self.T_mult
        else:
            if epoch < 0:
                raise ValueError(f"Expected non-negative epoch, but got {epoch}")
            if epoch < self.T_0:
                self.T_i, self.T_cur = self.T_0, epoch
            elif self.T_mult == 1:
                self.T_i, self.T_cur = self.T_0, epoch % self.T_0
            else:
                n = int(math.log(epoch / self.T_0 * (self.T_mult - 1) + 1, self.T_mult))
                self.T_cur = epoch - self.T_0 * (self.T_mult**n - 1) / (self.T_mult - 1)
                self.T_i = self.T_0 * self.T_mult**n
        self.last_epoch = math.floor(epoch)
        for group, rate in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            set_option(group, "lr", rate)
        self._last_lr = [copy(group["lr"]) for group in self.optimizer.param_groups]
