"""Adagrad, Adadelta and RMSprop: steps divided by a running magnitude of the gradient."""

from swiftnet._core import check, lib
from swiftnet.optim.builtin import BuiltInOptimizer

__all__ = ["Adadelta", "Adagrad", "RMSprop"]


class Adagrad(BuiltInOptimizer):
    """Adagrad (Duchi et al., 2011, https://jmlr.org/papers/v12/duchi11a.html).

        s ← s + g²,   p ← p - lr / (1 + (t - 1) · lr_decay) · g / (√s + eps)

    Args:
        params: parameters, or dictionaries with "params" and options of their own.
        lr: learning rate. Default: 1e-2.
        lr_decay: Default: 0.
        weight_decay: times the parameter, added to the gradient. Default: 0.
        initial_accumulator_value: what s begins with. Default: 0.
        eps: Default: 1e-10.
        maximize: climb instead of descending. Default: False.
        foreach, fused: have no effect: the step always runs over all parameters at once.
    """

    _type = "Adagrad"
    _options = ("lr", "lr_decay", "eps", "weight_decay", "initial_accumulator_value", "maximize")
    _state = ("step", "sum")

    def __init__(
        self, params, lr=1e-2, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1e-10, foreach=None, *,
        maximize=False, differentiable=False, fused=None,
    ):  # fmt: skip
        super().__init__(
            params,
            {
                "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value, "foreach": foreach, "maximize": maximize,
                "differentiable": differentiable, "fused": fused,
            },
        )  # fmt: skip

    def add_param_group(self, param_group):
        super().add_param_group(param_group)
        self._tell()
        check(lib.sn_optimizer_prepare(self._h))

    def share_memory(self):
        """Has no effect: the state belongs to the Swift library."""


class Adadelta(BuiltInOptimizer):
    """Adadelta (Zeiler, 2012, https://arxiv.org/abs/1212.5701).

        s ← rho · s + (1 - rho) · g²,   Δ = √(a + eps) / √(s + eps) · g
        a ← rho · a + (1 - rho) · Δ²,   p ← p - lr · Δ

    Args:
        params: parameters, or dictionaries with "params" and options of their own.
        lr: learning rate. Default: 1.
        rho: how much remains of the running means. Default: 0.9.
        eps: Default: 1e-6.
        weight_decay: times the parameter, added to the gradient. Default: 0.
        maximize: climb instead of descending. Default: False.
        foreach, capturable: have no effect: the step always runs over all parameters at once.
    """

    _type = "Adadelta"
    _options = ("lr", "rho", "eps", "weight_decay", "maximize")
    _state = ("step", "square_avg", "acc_delta")

    def __init__(
        self, params, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0, foreach=None, *, capturable=False, maximize=False,
        differentiable=False,
    ):  # fmt: skip
        super().__init__(
            params,
            {
                "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
                "capturable": capturable, "foreach": foreach, "differentiable": differentiable,
            },
        )  # fmt: skip


class RMSprop(BuiltInOptimizer):
    """RMSprop (Hinton, 2012, lecture 6 of "Neural Networks for Machine Learning"); `centered` after Graves (2013,
    https://arxiv.org/abs/1308.0850).

        s ← alpha · s + (1 - alpha) · g²,   centered: c ← alpha · c + (1 - alpha) · g,   s' = s - c²
        b ← momentum · b + g / (√s' + eps),   p ← p - lr · b

    Args:
        params: parameters, or dictionaries with "params" and options of their own.
        lr: learning rate. Default: 1e-2.
        alpha: how much remains of the running means. Default: 0.99.
        eps: Default: 1e-8.
        weight_decay: times the parameter, added to the gradient. Default: 0.
        momentum: Default: 0.
        centered: divide by an estimate of the standard deviation. Default: False.
        maximize: climb instead of descending. Default: False.
        foreach, capturable: have no effect: the step always runs over all parameters at once.
    """

    _type = "RMSprop"
    _options = ("lr", "momentum", "alpha", "eps", "centered", "weight_decay", "maximize")
    _state = ("step", "square_avg", "momentum_buffer", "grad_avg")

    def __init__(
        self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False, capturable=False,
        foreach=None, maximize=False, differentiable=False,
    ):  # fmt: skip
        super().__init__(
            params,
            {
                "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
                "weight_decay": weight_decay, "capturable": capturable, "foreach": foreach, "maximize": maximize,
                "differentiable": differentiable,
            },
        )  # fmt: skip
