"""Losses."""

from swiftnet._core import fail, lib
from swiftnet._tensor import wrap
from swiftnet.nn.modules._binding import forward_values
from swiftnet.nn.modules.linear import forward2
from swiftnet.nn.modules.module import BuiltIn, Module

__all__ = [
    "BCELoss", "BCEWithLogitsLoss", "CTCLoss", "CosineEmbeddingLoss", "CrossEntropyLoss", "GaussianNLLLoss",
    "HingeEmbeddingLoss", "HuberLoss", "KLDivLoss", "L1Loss", "MSELoss", "MarginRankingLoss", "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss", "MultiMarginLoss", "NLLLoss", "NLLLoss2d", "PoissonNLLLoss", "SmoothL1Loss",
    "SoftMarginLoss", "TripletMarginLoss", "TripletMarginWithDistanceLoss",
]  # fmt: skip


def _reduction(reduction, size_average, reduce):
    """The reduction that old arguments stand for."""
    if size_average is None and reduce is None:
        return reduction
    import warnings

    kept = "mean" if size_average is None or size_average else "sum"
    reduction = "none" if reduce is False else kept
    warnings.warn(
        f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.", stacklevel=4
    )
    return reduction


class _Loss(BuiltIn):
    """Base class of losses; also for losses written in Python, which set `reduction` and define `forward`."""

    def __init__(self, size_average=None, reduce=None, reduction="mean"):
        reduction = _reduction(reduction, size_average, reduce)
        if self._type is None:
            self._attach(lib.sn_module_foreign(type(self).__name__.encode()))
            self.reduction = reduction
        else:
            self._build({"reduction": reduction})

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if cls._type is None:
            cls._overrides = True

    def _build(self, arguments):
        arguments = dict(arguments)
        average, reduce = arguments.pop("size_average", None), arguments.pop("reduce", None)
        arguments["reduction"] = _reduction(arguments.get("reduction", "mean"), average, reduce)
        super()._build(arguments)

    def forward(self, input, target):
        return forward2(self, input, target)


class _WeightedLoss(_Loss):
    """Base class of losses with a weight for each class or element."""

    def __init__(self, weight=None, size_average=None, reduce=None, reduction="mean"):
        if self._type is None:
            super().__init__(size_average, reduce, reduction)
            self.register_buffer("weight", weight)
        else:
            self._build(locals())


class _PointwiseLoss(_Loss):
    """A loss of two tensors of one size."""

    def forward(self, input, target):
        h = lib.sn_module_forward2(self._sn, _handle(self, input, "input"), _handle(self, target, "target"))
        if not h:
            fail()
        if input.shape != target.shape:
            import warnings

            warnings.warn(
                f"Using a target size ({target.size()}) that is different to the input size ({input.size()}). This "
                "will likely lead to incorrect results due to broadcasting. Please ensure they have the same size.",
                stacklevel=3,
            )
        return wrap(h)


def _handle(module, value, name):
    try:
        return value._h
    except AttributeError:
        raise TypeError(f"{module._get_name()}: argument '{name}' must be Tensor, not {type(value).__name__}") from None


_REDUCTION = """
        reduction: "none", "mean" or "sum". Default: "mean".
    """


class L1Loss(_PointwiseLoss):
    __doc__ = "|x - y|.\n\n    Args:" + _REDUCTION
    _type = "L1Loss"

    def __init__(self, size_average=None, reduce=None, reduction="mean"):
        self._build(locals())


class MSELoss(_PointwiseLoss):
    __doc__ = "(x - y)².\n\n    Args:" + _REDUCTION
    _type = "MSELoss"

    def __init__(self, size_average=None, reduce=None, reduction="mean"):
        self._build(locals())


class SmoothL1Loss(_PointwiseLoss):
    __doc__ = (
        """(x - y)² / (2 beta) where |x - y| < beta, otherwise |x - y| - beta / 2 (Girshick, 2015).

    Args:
        beta: Default: 1."""
        + _REDUCTION
    )
    _type = "SmoothL1Loss"

    def __init__(self, size_average=None, reduce=None, reduction="mean", beta=1.0):
        self._build(locals())


class HuberLoss(_PointwiseLoss):
    __doc__ = (
        """(x - y)² / 2 where |x - y| < delta, otherwise delta · (|x - y| - delta / 2) (Huber, 1964).

    Args:
        delta: Default: 1."""
        + _REDUCTION
    )
    _type = "HuberLoss"

    def __init__(self, reduction="mean", delta=1.0):
        self._build(locals())


class KLDivLoss(_Loss):
    __doc__ = """The Kullback-Leibler divergence y · (ln y - x), x being logarithms of probabilities.

    Args:
        reduction: "none", "mean", "sum", or "batchmean": the sum over the batch size, the divergence proper.
        log_target: whether y is given as logarithms too. Default: False.
    """
    _type = "KLDivLoss"

    def __init__(self, size_average=None, reduce=None, reduction="mean", log_target=False):
        self._build(locals())


class NLLLoss(_WeightedLoss):
    __doc__ = (
        """-w[y] · x[y] of logarithms of probabilities x (N, C, …) and classes y (N, …).

    Args:
        weight: of each class, (C). The mean is divided by the weights' sum.
        ignore_index: a class that does not count. Default: -100."""
        + _REDUCTION
    )
    _type = "NLLLoss"

    def __init__(self, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"):
        self._build(locals())


class CrossEntropyLoss(_WeightedLoss):
    __doc__ = (
        """-w[y] · ln softmax(x)[y] of unnormalised x (N, C, …) and classes y (N, …) or probabilities y (N, C, …).

    Args:
        weight: of each class, (C). The mean is divided by the weights' sum.
        ignore_index: a class that does not count. Default: -100.
        label_smoothing: share of a uniform distribution over all classes mixed into the target (Szegedy et al., 2015).
            Default: 0."""
        + _REDUCTION
    )
    _type = "CrossEntropyLoss"

    def __init__(
        self, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean", label_smoothing=0.0
    ):
        self._build(locals())


class BCELoss(_WeightedLoss):
    __doc__ = (
        """-w · (y ln x + (1 - y) ln(1 - x)) of probabilities x, the logarithms at least -100.

    Args:
        weight: w, of each element."""
        + _REDUCTION
    )
    _type = "BCELoss"


class BCEWithLogitsLoss(_WeightedLoss):
    __doc__ = (
        """Binary cross entropy of sigmoid(x), computed without overflow.

    Args:
        weight: of each element.
        pos_weight: times the part of the positive examples."""
        + _REDUCTION
    )
    _type = "BCEWithLogitsLoss"

    def __init__(self, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None):
        self._build(locals())


class PoissonNLLLoss(_Loss):
    __doc__ = (
        """eˣ - y · x, or x - y · ln(x + eps) without log_input.

    Args:
        log_input: whether x is the logarithm of the rate. Default: True.
        full: add Stirling's approximation of ln(y!). Default: False.
        eps: Default: 1e-8."""
        + _REDUCTION
    )
    _type = "PoissonNLLLoss"

    def __init__(self, log_input=True, full=False, size_average=None, eps=1e-8, reduce=None, reduction="mean"):
        self._build(locals())

    def forward(self, log_input, target):
        return forward2(self, log_input, target)


class GaussianNLLLoss(_Loss):
    __doc__ = (
        """(ln var + (x - y)² / var) / 2, the variance at least eps.

    Args:
        full: add ln(2π) / 2. Default: False.
        eps: Default: 1e-6."""
        + _REDUCTION
    )
    _type = "GaussianNLLLoss"

    def __init__(self, *, full=False, eps=1e-6, reduction="mean"):
        self._build(locals())

    def forward(self, input, target, var):
        return forward_values(self._sn, (input, target, _variance(input, var)))


def _variance(input, var):
    if isinstance(var, float):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        from swiftnet import full

        return full((1,) * max(input.dim(), 1), var, dtype=input.dtype).expand(input.shape)
    return var


class HingeEmbeddingLoss(_Loss):
    __doc__ = (
        """x where y is 1, max(0, margin - x) where y is -1.

    Args:
        margin: Default: 1."""
        + _REDUCTION
    )
    _type = "HingeEmbeddingLoss"

    def __init__(self, margin=1.0, size_average=None, reduce=None, reduction="mean"):
        self._build(locals())


class SoftMarginLoss(_Loss):
    __doc__ = "ln(1 + e^(-y · x)), y being 1 or -1.\n\n    Args:" + _REDUCTION
    _type = "SoftMarginLoss"

    def __init__(self, size_average=None, reduce=None, reduction="mean"):
        self._build(locals())


class MultiLabelMarginLoss(_Loss):
    __doc__ = (
        """Σ max(0, 1 - (x[y[j]] - x[i])) / C over the target classes j and all others i.

    Args:"""
        + _REDUCTION
    )
    _type = "MultiLabelMarginLoss"

    def __init__(self, size_average=None, reduce=None, reduction="mean"):
        self._build(locals())


class MultiLabelSoftMarginLoss(_WeightedLoss):
    __doc__ = (
        """Binary cross entropy of sigmoid(x), the mean over the classes.

    Args:
        weight: of each class."""
        + _REDUCTION
    )
    _type = "MultiLabelSoftMarginLoss"


class MultiMarginLoss(_WeightedLoss):
    __doc__ = (
        """Σ max(0, margin - x[y] + x[i])ᵖ / C over the classes i ≠ y, times the weight of class y.

    Args:
        p: 1 or 2. Default: 1.
        margin: Default: 1.
        weight: of each class."""
        + _REDUCTION
    )
    _type = "MultiMarginLoss"

    def __init__(self, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"):
        self._build(locals())


class _ThreeInputs(_Loss):
    def forward(self, input1, input2, target):
        return forward_values(self._sn, (input1, input2, target))


class MarginRankingLoss(_ThreeInputs):
    __doc__ = (
        """max(0, -y · (x₁ - x₂) + margin).

    Args:
        margin: Default: 0."""
        + _REDUCTION
    )
    _type = "MarginRankingLoss"

    def __init__(self, margin=0.0, size_average=None, reduce=None, reduction="mean"):
        self._build(locals())


class CosineEmbeddingLoss(_ThreeInputs):
    __doc__ = (
        """1 - cos(x₁, x₂) where y is 1, max(0, cos(x₁, x₂) - margin) where y is -1.

    Args:
        margin: Default: 0."""
        + _REDUCTION
    )
    _type = "CosineEmbeddingLoss"

    def __init__(self, margin=0.0, size_average=None, reduce=None, reduction="mean"):
        self._build(locals())


class TripletMarginLoss(_Loss):
    __doc__ = (
        """max(0, d(anchor, positive) - d(anchor, negative) + margin) (Balntas et al., 2016).

    Args:
        margin: Default: 1.
        p: of the norm of the distances. Default: 2.
        eps: Default: 1e-6.
        swap: take the nearer of anchor and positive to the negative. Default: False."""
        + _REDUCTION
    )
    _type = "TripletMarginLoss"

    def __init__(self, margin=1.0, p=2.0, eps=1e-6, swap=False, size_average=None, reduce=None, reduction="mean"):
        self._build(locals())

    def forward(self, anchor, positive, negative):
        return forward_values(self._sn, (anchor, positive, negative))


class TripletMarginWithDistanceLoss(Module):
    __doc__ = (
        """`TripletMarginLoss` with a distance function of one's own.

    Args:
        distance_function: of two tensors. Default: `nn.PairwiseDistance()`.
        margin: Default: 1.
        swap: take the nearer of anchor and positive to the negative. Default: False."""
        + _REDUCTION
    )

    def __init__(self, *, distance_function=None, margin=1.0, swap=False, reduction="mean"):
        super().__init__()
        if margin <= 0:
            raise ValueError(
                f"TripletMarginWithDistanceLoss: expected margin to be greater than 0, got {margin} instead"
            )
        from swiftnet.nn.modules.distance import PairwiseDistance

        self.distance_function = PairwiseDistance() if distance_function is None else distance_function
        self.margin, self.swap, self.reduction = margin, swap, reduction

    def forward(self, anchor, positive, negative):
        from swiftnet.nn.functional import triplet_margin_with_distance_loss

        return triplet_margin_with_distance_loss(
            anchor, positive, negative, distance_function=self.distance_function, margin=self.margin, swap=self.swap,
            reduction=self.reduction,
        )  # fmt: skip


class NLLLoss2d(NLLLoss):
    """The older name of `NLLLoss`."""


class CTCLoss(_Loss):
    """Connectionist temporal classification (Graves et al., 2006): see `nn.functional.ctc_loss`.

    Args:
        blank: the class that stands for no label. Default: 0.
        reduction: "none", "mean" or "sum"; "mean" divides each loss by its target's length first. Default: "mean".
        zero_infinity: labels that do not fit the time count as 0 instead of infinity. Default: False.
    """

    def __init__(self, blank=0, reduction="mean", zero_infinity=False):
        super().__init__(reduction=reduction)
        self.blank, self.zero_infinity = blank, zero_infinity

    def forward(self, log_probs, targets, input_lengths, target_lengths):
        from swiftnet.nn.functional import ctc_loss

        return ctc_loss(
            log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction, self.zero_infinity
        )
