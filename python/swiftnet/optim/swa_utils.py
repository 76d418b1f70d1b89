"""Averages of weights over the course of training: equal (SWA) and exponential (EMA)."""

import copy
import itertools

from swiftnet._tensor import Tensor, tensor
from swiftnet.autograd.grad_mode import no_grad
from swiftnet.nn.modules.module import Module
from swiftnet.optim.lr_scheduler.scheduler import LRScheduler, each, scheduled_rate

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]


def _check_decay(decay):
    if decay < 0.0 or decay > 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


def get_ema_multi_avg_fn(decay=0.999):
    """A function that moves lists of averages, in place: average ← decay · average + (1 - decay) · current."""
    _check_decay(decay)

    @no_grad()
    def update(averages, currents, _):
        for average, current in zip(averages, currents, strict=True):
            if average.is_floating_point():
                average.lerp_(current, 1 - decay)
            else:
                average.copy_(average * decay + current * (1 - decay))

    return update


def get_swa_multi_avg_fn():
    """A function that moves lists of averages of n models, in place, to those of n + 1."""

    @no_grad()
    def update(averages, currents, count):
        share = 1 / (int(count) + 1)
        for average, current in zip(averages, currents, strict=True):
            if average.is_floating_point():
                average.lerp_(current, share)
            else:
                average.copy_(average + (current - average) * share)

    return update


def get_ema_avg_fn(decay=0.999):
    """A function that gives decay · average + (1 - decay) · current."""
    _check_decay(decay)

    @no_grad()
    def update(average, current, count):
        return decay * average + (1 - decay) * current

    return update


def get_swa_avg_fn():
    """A function that gives the average of n + 1 models from that of n and the next."""

    @no_grad()
    def update(average, current, count):
        return average + (current - average) / (count + 1)

    return update


class AveragedModel(Module):
    """A copy of a model whose parameters are averages of the model's (Izmailov et al., 2018,
    https://arxiv.org/abs/1803.05407).

    >>> import swiftnet
    >>> model = swiftnet.nn.Linear(2, 1)
    >>> average = swiftnet.optim.swa_utils.AveragedModel(model)
    >>> average.update_parameters(model)
    >>> int(average.n_averaged)
    1

    Args:
        model: the model.
        device: accepted; the copy is on the CPU.
        avg_fn: (average, current, number of models so far) → average. Default: all count the same.
        multi_avg_fn: the same for lists of tensors, in place. Only one of the two can be given.
        use_buffers: average the buffers too instead of copying them. Default: False.
    """

    def __init__(self, model, device=None, avg_fn=None, multi_avg_fn=None, use_buffers=False):
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)

    @no_grad()
    def update_parameters(self, model):
        """Takes the model's current parameters into the averages; the first time they are copied."""
        own, others = [self.module.parameters()], [model.parameters()]
        if self.use_buffers:
            own.append(self.module.buffers())
            others.append(model.buffers())
        averages = [p.detach() for p in itertools.chain(*own)]
        currents = [p.detach() for p in itertools.chain(*others)]
        if int(self.n_averaged) == 0:
            for average, current in zip(averages, currents, strict=True):
                average.copy_(current)
        elif self.avg_fn is not None:
            for average, current in zip(averages, currents, strict=True):
                average.copy_(self.avg_fn(average, current, self.n_averaged))
        else:
            (self.multi_avg_fn or get_swa_multi_avg_fn())(averages, currents, self.n_averaged)
        if not self.use_buffers:
            for own_buffer, buffer in zip(self.module.buffers(), model.buffers(), strict=True):
                own_buffer.detach().copy_(buffer.detach())
        self.n_averaged += 1


@no_grad()
def update_bn(loader, model, device=None):
    """Computes the batch-norm statistics of a model anew from one pass over data.

    Args:
        loader: batches: tensors, or lists or tuples whose first element is one.
        model: the model.
        device: where the batches are sent to.
    """
    from swiftnet.nn.modules.batchnorm import _BatchNorm

    momenta = {}
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.reset_running_stats()
            momenta[module] = module.momentum
    if not momenta:
        return
    was_training = model.training
    model.train()
    try:
        for module in momenta:
            module.momentum = None
        for batch in loader:
            if isinstance(batch, (list, tuple)):
                batch = batch[0]
            if device is not None and isinstance(batch, Tensor):
                batch = batch.to(device)
            model(batch)
    finally:
        for module, momentum in momenta.items():
            module.momentum = momentum
        model.train(was_training)


class SWALR(LRScheduler):
    """Moves the rate to a constant one in `anneal_epochs` epochs and stays there.

    Args:
        swa_lr: the rate, for all groups or for each.
        anneal_epochs: Default: 10.
        anneal_strategy: "cos" or "linear".
    """

    def __init__(self, optimizer, swa_lr, anneal_epochs=10, anneal_strategy="cos", last_epoch=-1):
        for rate, group in zip(each("swa_lr", optimizer, swa_lr), optimizer.param_groups, strict=True):
            group["swa_lr"] = rate
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        cosine = self._anneal_strategy == "cos"
        return [
            scheduled_rate(
                b"anneal", (group["swa_lr"], self.anneal_epochs, cosine), self._step_count - 1, group["lr"], 0
            )
            for group in self.optimizer.param_groups
        ]
