"""Relatives of Adam."""

from swiftnet.optim.builtin import BuiltInOptimizer

__all__ = ["Adamax", "NAdam", "RAdam"]


class NAdam(BuiltInOptimizer):
    """Adam with Nesterov's momentum (Dozat, 2016, https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ).

        μₜ = β₁ · (1 - 0.96^(t · momentum_decay) / 2)
        m ← β₁ · m + (1 - β₁) · g,   v ← β₂ · v + (1 - β₂) · g²
        p ← p - lr · ((1 - μₜ) · g / (1 - Πμ) + μₜ₊₁ · m / (1 - Πμ · μₜ₊₁)) / (√(v / (1 - β₂ᵗ)) + eps)

    Args:
        params: parameters, or dictionaries with "params" and options of their own.
        lr: learning rate. Default: 2e-3.
        betas: β₁, β₂. Default: 0.9, 0.999.
        eps: Default: 1e-8.
        weight_decay: times the parameter, added to the gradient. Default: 0.
        momentum_decay: how fast the momentum grows to β₁. Default: 4e-3.
        decoupled_weight_decay: shrink the parameter by lr · weight_decay instead. Default: False.
        maximize: climb instead of descending. Default: False.
        foreach, capturable: have no effect: the step always runs over all parameters at once.
    """

    _type = "NAdam"
    _options = (
        "lr", "betas", "eps", "weight_decay", "momentum_decay", "decoupled_weight_decay", "maximize",
    )  # fmt: skip
    _state = ("step", "mu_product", "exp_avg", "exp_avg_sq")
    _numbers = ("step", "mu_product")

    def __init__(
        self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, momentum_decay=4e-3,
        decoupled_weight_decay=False, *, foreach=None, maximize=False, capturable=False, differentiable=False,
    ):  # fmt: skip
        super().__init__(
            params,
            {
                "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "momentum_decay": momentum_decay,
                "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize, "foreach": foreach,
                "capturable": capturable, "differentiable": differentiable,
            },
        )  # fmt: skip


class RAdam(BuiltInOptimizer):
    """Adam whose early steps leave the variance out while too little is known of it (Liu et al., 2019,
    https://arxiv.org/abs/1908.03265).

        ρ∞ = 2 / (1 - β₂) - 1,   ρ = ρ∞ - 2t · β₂ᵗ / (1 - β₂ᵗ)
        r = √((ρ - 4)(ρ - 2) ρ∞ / ((ρ∞ - 4)(ρ∞ - 2) ρ))
        p ← p - lr · m / (1 - β₁ᵗ) · (r · √(1 - β₂ᵗ) / (√v + eps)  if ρ > 5, else 1)

    Args:
        params: parameters, or dictionaries with "params" and options of their own.
        lr: learning rate. Default: 1e-3.
        betas: β₁, β₂. Default: 0.9, 0.999.
        eps: Default: 1e-8.
        weight_decay: times the parameter, added to the gradient. Default: 0.
        decoupled_weight_decay: shrink the parameter by lr · weight_decay instead. Default: False.
        maximize: climb instead of descending. Default: False.
        foreach, capturable: have no effect: the step always runs over all parameters at once.
    """

    _type = "RAdam"
    _options = ("lr", "betas", "eps", "weight_decay", "decoupled_weight_decay", "maximize")
    _state = ("step", "exp_avg", "exp_avg_sq")

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, decoupled_weight_decay=False, *,
        foreach=None, maximize=False, capturable=False, differentiable=False,
    ):  # fmt: skip
        super().__init__(
            params,
            {
                "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
                "foreach": foreach, "capturable": capturable, "decoupled_weight_decay": decoupled_weight_decay,
                "differentiable": differentiable,
            },
        )  # fmt: skip


class Adamax(BuiltInOptimizer):
    """Adam by the greatest magnitude instead of the mean of squares (Kingma and Ba, 2014,
    https://arxiv.org/abs/1412.6980, section 7).

        m ← β₁ · m + (1 - β₁) · g,   u ← max(β₂ · u, |g| + eps)
        p ← p - lr / (1 - β₁ᵗ) · m / u

    Args:
        params: parameters, or dictionaries with "params" and options of their own.
        lr: learning rate. Default: 2e-3.
        betas: β₁, β₂. Default: 0.9, 0.999.
        eps: Default: 1e-8.
        weight_decay: times the parameter, added to the gradient. Default: 0.
        maximize: climb instead of descending. Default: False.
        foreach, capturable: have no effect: the step always runs over all parameters at once.
    """

    _type = "Adamax"
    _options = ("lr", "betas", "eps", "weight_decay", "maximize")
    _state = ("step", "exp_avg", "exp_inf")

    def __init__(
        self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, foreach=None, *, maximize=False,
        differentiable=False, capturable=False,
    ):  # fmt: skip
        super().__init__(
            params,
            {
                "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "foreach": foreach,
                "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
            },
        )  # fmt: skip
