"""Rprop, ASGD, Adafactor, Lion and LAMB."""

from swiftnet.optim.builtin import BuiltInOptimizer

__all__ = ["ASGD", "LAMB", "Adafactor", "Lion", "Rprop"]


class Rprop(BuiltInOptimizer):
    """Resilient backpropagation (Riedmiller and Braun, 1993): every element has a step size of its own, which grows
    while the gradient keeps its sign and shrinks when it turns. For gradients of the whole data.

    Args:
        params: parameters, or dictionaries with "params" and options of their own.
        lr: first step size. Default: 1e-2.
        etas: factors for a turned and for a kept sign. Default: 0.5, 1.2.
        step_sizes: least and greatest. Default: 1e-6, 50.
        maximize: climb instead of descending. Default: False.
        foreach, capturable: have no effect: the step always runs over all parameters at once.
    """

    _type = "Rprop"
    _options = ("lr", "etas", "step_sizes", "maximize")
    _pairs = {"etas": ("eta1", "eta2"), "step_sizes": ("step_size1", "step_size2")}  # noqa: RUF012 - not changed
    _state = ("step", "prev", "step_size")

    def __init__(
        self, params, lr=1e-2, etas=(0.5, 1.2), step_sizes=(1e-6, 50), *, capturable=False, foreach=None,
        maximize=False, differentiable=False,
    ):  # fmt: skip
        super().__init__(
            params,
            {
                "lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach, "maximize": maximize,
                "differentiable": differentiable, "capturable": capturable,
            },
        )  # fmt: skip


class ASGD(BuiltInOptimizer):
    """Averaged stochastic gradient descent (Polyak and Juditsky, 1992, https://doi.org/10.1137/0330046).

        p ← (1 - lambd · η) · p - η · g,   ax ← ax + μ · (p - ax)
        η ← lr / (1 + lambd · lr · t)^alpha,   μ ← 1 / max(1, t - t0)

    Args:
        params: parameters, or dictionaries with "params" and options of their own.
        lr: learning rate. Default: 1e-2.
        lambd: decay of the parameters. Default: 1e-4.
        alpha: power of the rate's decay. Default: 0.75.
        t0: step from which on the parameters are averaged. Default: 1e6.
        weight_decay: times the parameter, added to the gradient. Default: 0.
        maximize: climb instead of descending. Default: False.
        foreach, capturable: have no effect: the step always runs over all parameters at once.
    """

    _type = "ASGD"
    _options = ("lr", "lambd", "alpha", "t0", "weight_decay", "maximize")
    _state = ("step", "eta", "mu", "ax")
    _numbers = ("step", "eta", "mu")

    def __init__(
        self, params, lr=1e-2, lambd=1e-4, alpha=0.75, t0=1e6, weight_decay=0, foreach=None, maximize=False,
        differentiable=False, capturable=False,
    ):  # fmt: skip
        super().__init__(
            params,
            {
                "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay, "foreach": foreach,
                "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
            },
        )  # fmt: skip


class Adafactor(BuiltInOptimizer):
    """Adafactor (Shazeer and Stern, 2018, https://arxiv.org/abs/1804.04235): the mean of squares of a matrix is kept as
    its row and column means.

        R ← R + t^beta2_decay · (mean of g² over columns - R),   C likewise over rows
        V = R · C / mean(R),   u = g / √max(V, eps₁²)
        p ← (1 - lr · weight_decay) · p - max(eps₂, rms(p)) · min(lr, 1/√t) · u / max(1, rms(u) / d)

    Args:
        params: parameters, or dictionaries with "params" and options of their own.
        lr: greatest relative learning rate. Default: 1e-2.
        beta2_decay: Default: -0.8.
        eps: eps₁ (None: the precision of the dtype) and eps₂. Default: None, 1e-3.
        d: the change is clipped to this root mean square. Default: 1.
        weight_decay: decoupled. Default: 0.
        maximize: climb instead of descending. Default: False.
        foreach: has no effect.
    """

    _type = "Adafactor"
    _options = ("lr", "beta2_decay", "eps", "d", "weight_decay", "maximize")
    _pairs = {"eps": ("eps1", "eps2")}  # noqa: RUF012 - not changed
    _state = ("step", "row_var", "col_var", "variance")

    def __init__(
        self, params, lr=1e-2, beta2_decay=-0.8, eps=(None, 1e-3), d=1.0, weight_decay=0.0, *, foreach=None,
        maximize=False,
    ):  # fmt: skip
        super().__init__(
            params,
            {
                "lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay,
                "foreach": foreach, "maximize": maximize,
            },
        )  # fmt: skip


class Lion(BuiltInOptimizer):
    """Lion (Chen et al., 2023, https://arxiv.org/abs/2302.06675): the sign of a mean of gradient and momentum. Its
    learning rate is three to ten times smaller than Adam's, its weight decay as much larger.

        c = β₁ · m + (1 - β₁) · g
        p ← p - lr · (sign(c) + weight_decay · p),   m ← β₂ · m + (1 - β₂) · g

    Args:
        params: parameters, or dictionaries with "params" and options of their own.
        lr: learning rate. Default: 1e-4.
        betas: β₁, β₂. Default: 0.9, 0.99.
        weight_decay: decoupled. Default: 0.
        maximize: climb instead of descending. Default: False.
    """

    _type = "Lion"
    _options = ("lr", "betas", "weight_decay", "maximize")
    _state = ("exp_avg",)

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0, *, maximize=False):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize})


class LAMB(BuiltInOptimizer):
    """LAMB (You et al., 2019, https://arxiv.org/abs/1904.00962): Adam's direction, as long as the parameter itself, for
    large batches.

        m ← β₁ · m + (1 - β₁) · g,   v ← β₂ · v + (1 - β₂) · g²
        r = (m / (1 - β₁ᵗ)) / (√(v / (1 - β₂ᵗ)) + eps) + weight_decay · p
        p ← p - lr · ‖p‖ / ‖r‖ · r                 (the ratio is 1 where a norm is 0)

    Args:
        params: parameters, or dictionaries with "params" and options of their own.
        lr: learning rate. Default: 1e-3.
        betas: β₁, β₂. Default: 0.9, 0.999.
        eps: Default: 1e-6.
        weight_decay: Default: 0.
        maximize: climb instead of descending. Default: False.
    """

    _type = "LAMB"
    _options = ("lr", "betas", "eps", "weight_decay", "maximize")
    _state = ("step", "exp_avg", "exp_avg_sq")

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.0, *, maximize=False):
        super().__init__(
            params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        )
