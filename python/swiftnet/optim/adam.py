"""Adam and AdamW."""

from swiftnet.optim.builtin import BuiltInOptimizer

__all__ = ["Adam", "AdamW"]


class Adam(BuiltInOptimizer):
    """Adam (Kingma and Ba, 2014, https://arxiv.org/abs/1412.6980).

        m ← β₁ · m + (1 - β₁) · g,   v ← β₂ · v + (1 - β₂) · g²
        p ← p - lr · (m / (1 - β₁ᵗ)) / (√(v / (1 - β₂ᵗ)) + eps)

    Args:
        params: parameters, or dictionaries with "params" and options of their own.
        lr: learning rate. Default: 1e-3.
        betas: β₁, β₂. Default: 0.9, 0.999.
        eps: Default: 1e-8.
        weight_decay: times the parameter, added to the gradient. Default: 0.
        amsgrad: divide by the greatest v so far (Reddi et al., 2018). Default: False.
        maximize: climb instead of descending. Default: False.
        decoupled_weight_decay: AdamW: shrink the parameter by lr · weight_decay instead. Default: False.
        foreach, capturable, fused: have no effect: the step always runs over all parameters at once.
    """

    _type = "Adam"
    _options = (
        "lr", "betas", "eps", "weight_decay", "amsgrad", "maximize", "decoupled_weight_decay",
    )  # fmt: skip
    _state = ("step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq")

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, amsgrad=False, *, foreach=None,
        maximize=False, capturable=False, differentiable=False, fused=None, decoupled_weight_decay=False,
    ):  # fmt: skip
        super().__init__(
            params,
            {
                "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
                "maximize": maximize, "foreach": foreach, "capturable": capturable, "differentiable": differentiable,
                "fused": fused, "decoupled_weight_decay": decoupled_weight_decay,
            },
        )  # fmt: skip


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2017, https://arxiv.org/abs/1711.05101).

    Args:
        params, lr, betas, eps, amsgrad, maximize: as in Adam.
        weight_decay: the parameters shrink by lr · weight_decay each step. Default: 1e-2.
    """

    _type = "AdamW"

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, amsgrad=False, *, maximize=False,
        foreach=None, capturable=False, differentiable=False, fused=None,
    ):  # fmt: skip
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize, capturable=capturable,
            differentiable=differentiable, fused=fused, decoupled_weight_decay=True,
        )  # fmt: skip

    def __setstate__(self, state):
        super().__setstate__(state)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True
