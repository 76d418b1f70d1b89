"""Losses. Each has `reduction`: "mean", "sum" or "none"; `size_average` and `reduce` are PyTorch's older spelling."""

import warnings

from swiftnet._core import lib
from swiftnet._tensor import Tensor, wrap
from swiftnet.nn.functional._activations import handle, optional

_REDUCTIONS = {"none": 0, "mean": 1, "sum": 2}


def _reduction(reduction, size_average=None, reduce=None):
    if size_average is not None or reduce is not None:
        if reduce is False:
            reduction = "none"
        else:
            reduction = "mean" if size_average is None or size_average else "sum"
        warnings.warn(
            f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.",
            stacklevel=4,
        )
    try:
        return _REDUCTIONS[reduction]
    except (KeyError, TypeError):
        raise ValueError(f"{reduction} is not a valid value for reduction") from None


def _pointwise(name, kind, input, target, weight=None, p=0.0, reduction=1):
    h, t, w = handle(input, name), handle(target, name, "target"), optional(weight, name, "weight")
    return wrap(lib.sn_pointwise_loss(kind, h, t, w, p, reduction))


def _warn_sizes(input, target):
    if isinstance(input, Tensor) and isinstance(target, Tensor) and input.shape != target.shape:
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). "
            "This will likely lead to incorrect results due to broadcasting. "
            "Please ensure they have the same size.",
            stacklevel=3,
        )


def cross_entropy(
    input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean",
    label_smoothing=0.0,
):  # fmt: skip
    """Cross entropy between softmax(input) and the target.

    Args:
        input: logits (C), (N, C) or (N, C, …).
        target: class indices, of the input's shape without C, or probabilities of the input's shape.
        weight: a factor for each class; the mean is a weighted one then.
        ignore_index: samples of this class do not count.
        label_smoothing: this part of the target is spread evenly over all classes.
    """
    name = "cross_entropy"
    code = _reduction(reduction, size_average, reduce)
    h, t, w = handle(input, name), handle(target, name, "target"), optional(weight, name, "weight")
    return wrap(lib.sn_cross_entropy(h, t, w, ignore_index, code, label_smoothing))


def nll_loss(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"):
    """-input[target] for log probabilities (C), (N, C) or (N, C, …) and class indices. See `cross_entropy`."""
    code = _reduction(reduction, size_average, reduce)
    h, t, w = handle(input, "nll_loss"), handle(target, "nll_loss", "target"), optional(weight, "nll_loss", "weight")
    return wrap(lib.sn_nll_loss(h, t, w, ignore_index, code))


def mse_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """(input - target)²."""
    code = _reduction(reduction, size_average, reduce)
    _warn_sizes(input, target)
    return _pointwise("mse_loss", lib.SN_MSE, input, target, weight, 0.0, code)


def l1_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """|input - target|."""
    code = _reduction(reduction, size_average, reduce)
    _warn_sizes(input, target)
    return _pointwise("l1_loss", lib.SN_L1, input, target, weight, 0.0, code)


def smooth_l1_loss(input, target, size_average=None, reduce=None, reduction="mean", beta=1.0):
    """d² / (2 beta) for d = |input - target| < beta, otherwise d - beta / 2."""
    code = _reduction(reduction, size_average, reduce)
    _warn_sizes(input, target)
    return _pointwise("smooth_l1_loss", lib.SN_SMOOTH_L1, input, target, None, beta, code)


def huber_loss(input, target, reduction="mean", delta=1.0, weight=None):
    """d² / 2 for d = |input - target| < delta, otherwise delta · (d - delta / 2)."""
    code = _reduction(reduction)
    _warn_sizes(input, target)
    return _pointwise("huber_loss", lib.SN_HUBER, input, target, weight, delta, code)


def binary_cross_entropy(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """-(y ln x + (1 - y) ln(1 - x)) for probabilities x; logarithms are at least -100."""
    code = _reduction(reduction, size_average, reduce)
    return _pointwise("binary_cross_entropy", lib.SN_BCE, input, target, weight, 0.0, code)


def binary_cross_entropy_with_logits(
    input, target, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None
):
    """`binary_cross_entropy` of sigmoid(input), computed without overflow; pos_weight weighs the positive targets."""
    name = "binary_cross_entropy_with_logits"
    code = _reduction(reduction, size_average, reduce)
    return wrap(
        lib.sn_bce_with_logits(
            handle(input, name), handle(target, name, "target"), optional(weight, name, "weight"),
            optional(pos_weight, name, "pos_weight"), code,
        )
    )  # fmt: skip


def kl_div(input, target, size_average=None, reduce=None, reduction="mean", log_target=False):
    """target · (ln target - input) for log probabilities `input`; log_target: `target` holds logarithms too.

    reduction="batchmean" divides the sum by the batch size, which is the divergence; "mean" by the number of elements.
    """
    if reduction == "batchmean":
        code = 3
    else:
        code = _reduction(reduction, size_average, reduce)
        if code == 1:
            warnings.warn(
                "reduction: 'mean' divides the total loss by both the batch size and the support size."
                "'batchmean' divides only by the batch size, and aligns with the KL div math definition.",
                stacklevel=2,
            )
    return _pointwise("kl_div", lib.SN_KL_DIVERGENCE, input, target, None, float(log_target), code)


def poisson_nll_loss(
    input, target, log_input=True, full=False, size_average=None, eps=1e-8, reduce=None, reduction="mean"
):
    """e^input - target · input, or input - target · ln(input + eps); `full` adds Stirling's approximation."""
    name = "poisson_nll_loss"
    code = _reduction(reduction, size_average, reduce)
    return wrap(
        lib.sn_poisson_nll_loss(handle(input, name), handle(target, name, "target"), log_input, full, eps, code)
    )


def gaussian_nll_loss(input, target, var, full=False, eps=1e-6, reduction="mean"):
    """(ln var + (input - target)² / var) / 2, var at least eps; `full` adds ln(2π) / 2."""
    name = "gaussian_nll_loss"
    code = _reduction(reduction)
    if isinstance(var, (int, float)):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        from swiftnet._functions.creation import full_like

        var = full_like(input, float(var))
    h, t, v = handle(input, name), handle(target, name, "target"), handle(var, name, "var")
    return wrap(lib.sn_gaussian_nll_loss(h, t, v, full, eps, code))


def hinge_embedding_loss(input, target, margin=1.0, size_average=None, reduce=None, reduction="mean"):
    """input where target is 1, max(0, margin - input) where it is -1."""
    code = _reduction(reduction, size_average, reduce)
    return _pointwise("hinge_embedding_loss", lib.SN_HINGE_EMBEDDING, input, target, None, margin, code)


def margin_ranking_loss(input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"):
    """max(0, -target · (input1 - input2) + margin)."""
    name = "margin_ranking_loss"
    code = _reduction(reduction, size_average, reduce)
    a, b, t = handle(input1, name, "input1"), handle(input2, name, "input2"), handle(target, name, "target")
    return wrap(lib.sn_margin_ranking_loss(a, b, t, margin, code))


def soft_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """ln(1 + exp(-target · input))."""
    code = _reduction(reduction, size_average, reduce)
    return _pointwise("soft_margin_loss", lib.SN_SOFT_MARGIN, input, target, None, 0.0, code)


def multi_margin_loss(input, target, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"):
    """Σᵢ max(0, margin - x[y] + x[i])ᵖ / C over the classes i other than the target y."""
    name = "multi_margin_loss"
    code = _reduction(reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    h, t, w = handle(input, name), handle(target, name, "target"), optional(weight, name, "weight")
    return wrap(lib.sn_multi_margin_loss(h, t, p, margin, w, code))


def multilabel_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """Σ max(0, 1 - (x[y] - x[i])) / C over the target classes y (those before the first -1) and the others i."""
    code = _reduction(reduction, size_average, reduce)
    return _pointwise("multilabel_margin_loss", lib.SN_MULTILABEL_MARGIN, input, target, None, 0.0, code)


def multilabel_soft_margin_loss(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """The mean over the classes of the binary cross entropies of sigmoid(input)."""
    code = _reduction(reduction, size_average, reduce)
    return _pointwise("multilabel_soft_margin_loss", lib.SN_MULTILABEL_SOFT_MARGIN, input, target, weight, 0.0, code)


def cosine_embedding_loss(input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"):
    """1 - cos(input1, input2) where target is 1, max(0, cos - margin) where it is -1."""
    name = "cosine_embedding_loss"
    code = _reduction(reduction, size_average, reduce)
    a, b, t = handle(input1, name, "input1"), handle(input2, name, "input2"), handle(target, name, "target")
    return wrap(lib.sn_cosine_embedding_loss(a, b, t, margin, code))


def triplet_margin_loss(
    anchor, positive, negative, margin=1.0, p=2, eps=1e-6, swap=False, size_average=None, reduce=None,
    reduction="mean",
):  # fmt: skip
    """max(0, d(anchor, positive) - d(anchor, negative) + margin) for p-distances d.

    `swap` takes the smaller of d(anchor, negative) and d(positive, negative).
    """
    name = "triplet_margin_loss"
    code = _reduction(reduction, size_average, reduce)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    a, b, c = handle(anchor, name, "anchor"), handle(positive, name, "positive"), handle(negative, name, "negative")
    return wrap(lib.sn_triplet_margin_loss(a, b, c, margin, p, eps, swap, code))


def triplet_margin_with_distance_loss(
    anchor, positive, negative, *, distance_function=None, margin=1.0, swap=False, reduction="mean"
):
    """`triplet_margin_loss` with a distance function of one's own."""
    code = _reduction(reduction)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if distance_function is None:
        from swiftnet.nn.functional._norms import pairwise_distance as distance_function
    near, far = distance_function(anchor, positive), distance_function(anchor, negative)
    other = distance_function(positive, negative) if swap else None
    if not isinstance(near, Tensor):
        raise TypeError("distance_function must return a Tensor")
    h = optional(other, "triplet_margin_with_distance_loss", "distance")
    return wrap(lib.sn_triplet_loss(near._h, far._h, h, margin, code))


def ctc_loss(log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False):
    """-ln of the probability of label sequences over all ways to spread them over time (Graves et al., 2006).

    Args:
        log_probs: logarithms of probabilities (T, N, C) or (T, C), as `log_softmax` gives them.
        targets: labels (N, S), or all sequences one after another.
        input_lengths, target_lengths: (N), how much of each counts.
        blank: the class that stands for no label.
        reduction: "mean" divides each loss by its target's length first.
        zero_infinity: labels that do not fit the time count as 0 instead of infinity.
    """
    name = "ctc_loss"
    code = _reduction(reduction)
    h, t = handle(log_probs, name, "log_probs"), handle(targets, name, "targets")
    inputs, labels = _lengths(input_lengths), _lengths(target_lengths)
    return wrap(lib.sn_ctc_loss(h, t, inputs, len(inputs), labels, len(labels), blank, code, zero_infinity))


def _lengths(values):
    if isinstance(values, Tensor):
        if values.is_floating_point():
            raise RuntimeError("input_lengths and target_lengths must be integral")
        values = values.tolist()
    return [values] if isinstance(values, int) else [int(v) for v in values]
