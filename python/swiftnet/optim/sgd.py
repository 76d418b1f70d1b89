"""Stochastic gradient descent."""

from swiftnet.optim.builtin import BuiltInOptimizer

__all__ = ["SGD"]


class SGD(BuiltInOptimizer):
    """Stochastic gradient descent.

        g ← ∇f(p) + weight_decay · p
        b ← momentum · b + (1 - dampening) · g       (b ← g in the first step)
        p ← p - lr · b                               (nesterov: p - lr · (g + momentum · b))

    Args:
        params: parameters, or dictionaries with "params" and options of their own.
        lr: learning rate. Default: 1e-3.
        momentum, dampening, weight_decay: Default: 0.
        nesterov: Nesterov's momentum (Sutskever et al., 2013). Default: False.
        maximize: climb instead of descending. Default: False.
        foreach, fused: have no effect: the step always runs over all parameters at once.
    """

    _type = "SGD"
    _options = ("lr", "momentum", "dampening", "weight_decay", "nesterov", "maximize")
    _state = ("momentum_buffer",)

    def __init__(
        self, params, lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False, *, maximize=False, foreach=None,
        differentiable=False, fused=None,
    ):  # fmt: skip
        super().__init__(
            params,
            {
                "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
                "nesterov": nesterov, "maximize": maximize, "foreach": foreach, "differentiable": differentiable,
                "fused": fused,
            },
        )  # fmt: skip
