"""Losses of segmentation and of labels, against plain float64 references written here."""

import numpy as np
import pytest
import swiftnet
import torch
from swiftnet import losses
from swiftnet.autograd import gradcheck

TF = torch.nn.functional

# ---- references ----


def _layout(x, y, mode, from_logits=True, ignore_index=None):
    """Probabilities, truth and what counts, each (N, C, positions)."""
    if mode == "binary":
        n = x.shape[0]
        x, y = x.reshape(n, 1, -1), y.reshape(n, 1, -1).to(x.dtype)
        p = torch.sigmoid(x) if from_logits else x
        counted = torch.ones_like(y) if ignore_index is None else (y != ignore_index).to(x.dtype)
        return p, torch.where(counted > 0, y, 0.0), counted
    n, c = x.shape[:2]
    if mode == "multilabel":
        x, y = x.reshape(n, c, -1), y.reshape(n, c, -1).to(x.dtype)
        p = torch.sigmoid(x) if from_logits else x
        counted = torch.ones_like(y) if ignore_index is None else (y != ignore_index).to(x.dtype)
        return p, torch.where(counted > 0, y, 0.0), counted
    x, y = x.reshape(n, c, -1), y.reshape(n, -1)
    counted = torch.ones_like(y) if ignore_index is None else (y != ignore_index)
    one_hot = TF.one_hot(torch.where(counted > 0, y, 0), c).permute(0, 2, 1).to(x.dtype)
    counted = counted.unsqueeze(1).to(x.dtype)
    p = torch.softmax(x, 1) if from_logits else x
    return p, one_hot * counted, counted


def _overlap(
    kind, x, y, mode="binary", smooth=1.0, eps=1e-7, log_loss=False, weight=None, from_logits=True, ignore_index=None,
    classes=None, skip_absent=False, per_image=False, reduction="mean", alpha=0.5, beta=0.5, gamma=1.0,
):  # fmt: skip
    p, t, counted = _layout(x, y, mode, from_logits, ignore_index)
    p = p * counted
    dims = (2,) if per_image else (0, 2)
    both, ps, ts = (p * t).sum(dims), p.sum(dims), t.sum(dims)
    if kind == "mcc":
        size = counted.expand(p.shape).sum(dims)
        tp, fp, fn = both + eps, ps - both + eps, ts - both + eps
        tn = size - ps - ts + both + eps
        values = 1 - (tp * tn - fp * fn) / ((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)).sqrt()
    else:
        above, below = {
            "dice": lambda: (2 * both + smooth, ps + ts + smooth),
            "jaccard": lambda: (both + smooth, ps + ts - both + smooth),
            "tversky": lambda: (both + smooth, both + alpha * (ps - both) + beta * (ts - both) + smooth),
        }[kind]()
        score = above / below.clamp_min(eps)
        values = -score.clamp_min(eps).log() if log_loss else 1 - score
        values = values**gamma
    if skip_absent:
        values = values * (ts > 0)
    weight = torch.ones(values.shape[-1], dtype=values.dtype) if weight is None else weight
    if classes is not None:
        values, weight = values[..., classes], weight[classes]
    values = values * weight
    if reduction == "mean":
        return values.sum() / (weight.sum() * (values.numel() / values.shape[-1]))
    return values.sum() if reduction == "sum" else values


def _focal(
    x, y, mode, alpha=None, gamma=2.0, weight=None, threshold=None, normalized=False, from_logits=True,
    ignore_index=None, reduction="mean",
):  # fmt: skip
    p, t, counted = _layout(x, y, mode, from_logits, ignore_index)
    if mode == "multiclass":
        right = (p * t).sum(1, keepdim=True) + (1 - counted)
        factor = 1 if weight is None else (t * weight.reshape(1, -1, 1)).sum(1, keepdim=True)
        shape = (x.shape[0], *x.shape[2:])
    else:
        right = torch.where(t > 0, p, 1 - p)
        factor = 1 if alpha is None else t * alpha + (1 - t) * (1 - alpha)
        factor = factor if weight is None else factor * weight.reshape(1, -1, 1)
        shape = x.shape
    focus = (1 - right) ** gamma
    if threshold is not None:
        focus = torch.where(right < threshold, 1.0, ((1 - right) / threshold) ** gamma)
    values = focus * -right.log() * factor
    if normalized:
        values = values / (focus * counted).sum().clamp_min(1e-7)
    values = values * counted
    if reduction == "mean":
        return values.sum() / counted.expand(values.shape).sum()
    return values.sum() if reduction == "sum" else values.reshape(shape)


def _lovasz_slopes(truth):
    total = truth.sum()
    jaccard = 1 - (total - truth.cumsum(0)) / (total + (1 - truth).cumsum(0))
    jaccard[1:] = jaccard[1:] - jaccard[:-1].clone()
    return jaccard


def _lovasz_hinge(x, y, per_image=False, ignore_index=None):
    if per_image:
        each = [_lovasz_hinge(a[None], b[None], False, ignore_index) for a, b in zip(x, y, strict=True)]
        return sum(each) / len(each)
    x, y = x.reshape(-1), y.reshape(-1).to(x.dtype)
    if ignore_index is not None:
        x, y = x[y != ignore_index], y[y != ignore_index]
    errors, order = (1 - x * (2 * y - 1)).sort(descending=True)
    return torch.dot(errors.clamp_min(0), _lovasz_slopes(y[order]))


def _lovasz_softmax(x, y, classes=None, only_present=True, per_image=False, ignore_index=None):
    if per_image:
        each = [_lovasz_softmax(a[None], b[None], classes, only_present, False, ignore_index)
                for a, b in zip(x, y, strict=True)]  # fmt: skip
        return sum(each) / len(each)
    p = torch.softmax(x, 1).transpose(0, 1).reshape(x.shape[1], -1)
    y = y.reshape(-1)
    if ignore_index is not None:
        p, y = p[:, y != ignore_index], y[y != ignore_index]
    values = []
    for c in range(len(p)) if classes is None else classes:
        truth = (y == c).to(x.dtype)
        if classes is None and only_present and truth.sum() == 0:
            continue
        errors, order = (truth - p[c]).abs().sort(descending=True)
        values.append(torch.dot(errors, _lovasz_slopes(truth[order])))
    return torch.stack(values).mean()


# ---- data ----

CLASSES = 3
SHAPE = (2, CLASSES, 4, 5)


def _data(mode, from_logits=True, ignore_index=None, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, 1, 4, 5) if mode == "binary" else SHAPE)
    if mode == "multiclass":
        y = rng.integers(0, CLASSES - 1, (2, 4, 5))
        if not from_logits:
            e = np.exp(x)
            x = e / e.sum(1, keepdims=True)
    else:
        y = (rng.random(x.shape) > 0.6).astype("float64")
        if mode == "multilabel":
            y[:, -1] = 0
        if not from_logits:
            x = 1 / (1 + np.exp(-x))
    if ignore_index is not None:
        y[..., 1:3] = ignore_index
    return x, y


def _compare(ours, theirs, x, y, tolerance=1e-10):
    a = swiftnet.tensor(x, requires_grad=True)
    b = torch.tensor(x, requires_grad=True)
    found, wanted = ours(a, swiftnet.tensor(y)), theirs(b, torch.tensor(y))
    assert tuple(found.shape) == tuple(wanted.shape)
    np.testing.assert_allclose(found.detach().numpy(), wanted.detach().numpy(), rtol=tolerance, atol=tolerance)
    (found * found).sum().backward()
    (wanted * wanted).sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-8, atol=tolerance)


OPTIONS = [
    {},
    {"smooth": 0.0},
    {"smooth": 0.5, "log_loss": True},
    {"from_logits": False},
    {"ignore_index": 7},
    {"per_image": True},
    {"per_image": True, "reduction": "none"},
    {"skip_absent": True, "smooth": 0.0},
    {"reduction": "sum"},
    {"reduction": "none"},
]
OF_CLASSES = [
    {"weight": [0.5, 2.0, 1.0]},
    {"classes": [0, 2]},
    {"classes": [1], "weight": [0.5, 2.0, 1.0], "per_image": True},
]


def _tensors(library, options):
    given = dict(options)
    if "weight" in given:
        given["weight"] = library.tensor(given["weight"], dtype=library.float64)
    return given


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        (mode, options)
        for mode in ["binary", "multiclass", "multilabel"]
        for options in (OPTIONS if mode == "binary" else OPTIONS + OF_CLASSES)
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("name", "kind", "extra"),
    [
        ("DiceLoss", "dice", {}),
        ("JaccardLoss", "jaccard", {}),
        ("IoULoss", "jaccard", {}),
        ("TverskyLoss", "tversky", {"alpha": 0.3, "beta": 0.8}),
        ("FocalTverskyLoss", "tversky", {"alpha": 0.7, "beta": 0.3, "gamma": 0.75}),
        ("MCCLoss", "mcc", {"eps": 1e-5}),
    ],
)
def test_losses_of_overlap(name, kind, extra, mode, options):
    if kind == "mcc":
        options = {k: v for k, v in options.items() if k not in ("smooth", "log_loss")}
    options = {**options, **extra}
    if options.get("gamma", 1) < 1 and options.get("smooth") == 0:
        # Without smoothing the slope of a class without error is infinite.
        options["smooth"] = 1e-3
    x, y = _data(mode, options.get("from_logits", True), options.get("ignore_index"))
    ours = getattr(losses, name)(mode, **_tensors(swiftnet, options))
    _compare(ours, lambda a, b: _overlap(kind, a, b, mode, **_tensors(torch, options)), x, y)


def test_functions_do_what_modules_do():
    for name, function, args in [
        ("DiceLoss", "dice_loss", {"smooth": 0.5}),
        ("JaccardLoss", "iou_loss", {}),
        ("TverskyLoss", "tversky_loss", {"alpha": 0.1}),
        ("FocalTverskyLoss", "focal_tversky_loss", {}),
        ("MCCLoss", "mcc_loss", {}),
        ("DiceBCELoss", "dice_bce_loss", {"bce_weight": 0.5}),
        ("ComboLoss", "combo_loss", {"alpha": 0.2}),
        ("FocalLoss", "focal_loss", {"gamma": 1.5}),
        ("FocalLoss", "focal_loss", {"mode": "binary", "alpha": 0.25}),
        ("LovaszHingeLoss", "lovasz_hinge_loss", {"per_image": True}),
        ("SoftBCEWithLogitsLoss", "soft_bce_with_logits", {"smooth_factor": 0.1}),
    ]:
        x, y = (swiftnet.tensor(v) for v in _data("binary"))
        module, direct = getattr(losses, name)(**args), getattr(losses.functional, function)
        assert float(module(x, y)) == float(direct(x, y, **args))
    x, y = (swiftnet.tensor(v) for v in _data("multiclass"))
    assert float(losses.LovaszSoftmaxLoss()(x, y)) == float(losses.functional.lovasz_softmax_loss(x, y))
    assert float(losses.SoftCrossEntropyLoss()(x, y)) == float(losses.functional.soft_cross_entropy(x, y))


@pytest.mark.parametrize("mode", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize(
    "options",
    [
        {}, {"gamma": 0.0}, {"gamma": 3.0, "alpha": 0.25}, {"threshold": 0.5}, {"normalized": True},
        {"ignore_index": 7}, {"ignore_index": 7, "reduction": "none"}, {"reduction": "sum"}, {"from_logits": False},
        {"ignore_index": 7, "normalized": True, "reduction": "sum"}, {"weight": [0.5, 2.0, 1.0]},
    ],
    ids=str,
)  # fmt: skip
def test_focal_loss(mode, options):
    if mode == "multiclass" and "alpha" in options:
        with pytest.raises(ValueError, match="use weight"):
            losses.FocalLoss(mode, **options)(swiftnet.zeros(1, 2, 2), swiftnet.zeros(1, 2).long())
        return
    if mode == "binary" and "weight" in options:
        options = {"weight": options["weight"][:1]}
    x, y = _data(mode, options.get("from_logits", True), options.get("ignore_index"))
    ours = losses.FocalLoss(mode, **_tensors(swiftnet, options))
    _compare(ours, lambda a, b: _focal(a, b, mode, **_tensors(torch, options)), x, y)


@pytest.mark.parametrize(
    "options", [{}, {"per_image": True}, {"ignore_index": 7}, {"per_image": True, "ignore_index": 7}]
)
def test_lovasz_hinge(options):
    x, y = _data("binary", ignore_index=options.get("ignore_index"))
    _compare(losses.LovaszHingeLoss(**options), lambda a, b: _lovasz_hinge(a, b, **options), x, y)
    _compare(losses.LovaszHingeLoss(**options), lambda a, b: _lovasz_hinge(a, b, **options), x[:, 0], y[:, 0])


@pytest.mark.parametrize(
    "options",
    [{}, {"per_image": True}, {"ignore_index": 1}, {"only_present": False}, {"classes": [0, 2]},
     {"per_image": True, "ignore_index": -1}],
)  # fmt: skip
def test_lovasz_softmax(options):
    x, y = _data("multiclass", ignore_index=options.get("ignore_index"))
    _compare(losses.LovaszSoftmaxLoss(**options), lambda a, b: _lovasz_softmax(a, b, **options), x, y)


def test_lovasz_of_nothing():
    x = swiftnet.randn(2, 3, 4, requires_grad=True)
    loss = losses.LovaszSoftmaxLoss(ignore_index=0)(x, swiftnet.zeros(2, 4).long())
    loss.backward()
    assert float(loss) == 0
    assert float(x.grad.abs().sum()) == 0
    assert float(losses.LovaszHingeLoss(ignore_index=0)(swiftnet.randn(3), swiftnet.zeros(3))) == 0


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_soft_binary_cross_entropy(reduction):
    x, y = _data("multilabel", ignore_index=7)
    weight, pos = np.array([0.5, 2.0, 1.5]).reshape(3, 1, 1), np.array([1.0, 3.0, 0.5])

    def reference(a, b):
        counted = (b != 7).to(a.dtype)
        soft = torch.where(b != 7, b, 0.0)
        soft = (1 - soft) * 0.1 + soft * 0.9
        values = (
            TF.binary_cross_entropy_with_logits(
                a, soft, torch.tensor(weight), pos_weight=torch.tensor(pos).reshape(3, 1, 1), reduction="none"
            )
            * counted
        )
        return values.sum() / counted.sum() if reduction == "mean" else values.sum() if reduction == "sum" else values

    ours = losses.SoftBCEWithLogitsLoss(
        swiftnet.tensor(weight), ignore_index=7, reduction=reduction, smooth_factor=0.1, pos_weight=swiftnet.tensor(pos)
    )
    _compare(ours, reference, x, y)
    x, y = _data("binary")
    _compare(
        losses.SoftBCEWithLogitsLoss(reduction=reduction),
        lambda a, b: TF.binary_cross_entropy_with_logits(a, b, reduction=reduction), x, y,
    )  # fmt: skip


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_soft_cross_entropy(reduction):
    x, y = _data("multiclass", ignore_index=-1)
    _compare(
        losses.SoftCrossEntropyLoss(reduction, 0.2, ignore_index=-1),
        lambda a, b: TF.cross_entropy(a, b, ignore_index=-1, label_smoothing=0.2, reduction=reduction), x, y,
    )  # fmt: skip


@pytest.mark.parametrize("mode", ["binary", "multilabel", "multiclass"])
@pytest.mark.parametrize("ignore_index", [None, 7])
def test_dice_with_cross_entropy(mode, ignore_index):
    x, y = _data(mode, ignore_index=ignore_index)

    def reference(a, b):
        entropy = _focal(a, b, mode, gamma=0.0, ignore_index=ignore_index)
        return 0.5 * entropy + 2 * _overlap("dice", a, b, mode, smooth=0.3, ignore_index=ignore_index)

    _compare(
        losses.DiceBCELoss(mode, bce_weight=0.5, dice_weight=2.0, smooth=0.3, ignore_index=ignore_index),
        reference,
        x,
        y,
    )
    if mode == "multiclass":
        return

    def combo(a, b):
        entropy = _focal(a, b, mode, alpha=0.7, gamma=0.0, ignore_index=ignore_index)
        return 0.4 * entropy - 0.6 * (1 - _overlap("dice", a, b, mode, ignore_index=ignore_index))

    _compare(losses.ComboLoss(mode, alpha=0.4, beta=0.7, ignore_index=ignore_index), combo, x, y)


def test_multiclass_targets_as_shares():
    x, y = _data("multiclass")
    one_hot = TF.one_hot(torch.tensor(y), CLASSES).permute(0, 3, 1, 2).double().numpy()
    for name in ("DiceLoss", "JaccardLoss", "MCCLoss"):
        loss = getattr(losses, name)("multiclass")
        given = swiftnet.tensor(x)
        assert float(loss(given, swiftnet.tensor(one_hot))) == pytest.approx(float(loss(given, swiftnet.tensor(y))))


def test_bounds():
    perfect = swiftnet.tensor([[[[30.0, -30.0]]]])
    truth = swiftnet.tensor([[[[1.0, 0.0]]]])
    for name in ("DiceLoss", "JaccardLoss", "TverskyLoss", "MCCLoss", "DiceBCELoss", "LovaszHingeLoss"):
        assert abs(float(getattr(losses, name)()(perfect, truth))) < 5e-5, name
        assert float(getattr(losses, name)()(-perfect, truth)) > 0.49, name
    assert float(losses.ComboLoss()(perfect, truth)) == pytest.approx(-0.5)
    none = swiftnet.full((1, 1, 2, 2), -30.0)
    assert float(losses.DiceLoss()(none, swiftnet.zeros(1, 1, 2, 2))) < 1e-5
    assert float(losses.DiceLoss(smooth=0, skip_absent=True)(none, swiftnet.zeros(1, 1, 2, 2))) == 0


def test_gradients_numerically():
    logits = swiftnet.tensor(_data("multiclass")[0][:1, :, :2, :2], requires_grad=True)
    labels = swiftnet.tensor([[[0, 1], [2, 1]]])
    for name in ("DiceLoss", "JaccardLoss", "TverskyLoss", "FocalTverskyLoss", "MCCLoss", "DiceBCELoss"):
        loss = getattr(losses, name)("multiclass")
        assert gradcheck(lambda x, f=loss: f(x, labels), [logits]), name
        assert swiftnet.autograd.gradgradcheck(lambda x, f=loss: f(x, labels), [logits]), name
    assert gradcheck(lambda x: losses.FocalLoss("multiclass")(x, labels), [logits])
    assert gradcheck(lambda x: losses.LovaszSoftmaxLoss()(x, labels), [logits])
    some = swiftnet.tensor([[0.35, -1.2, 0.8, 2.0], [0.1, 0.2, -0.3, 1.1]], dtype=swiftnet.float64, requires_grad=True)
    marks = swiftnet.tensor([[1.0, 0, 0, 1], [0, 1, 0, 0]], dtype=swiftnet.float64)
    for loss in (
        losses.FocalLoss(), losses.FocalLoss("binary", alpha=0.3), losses.LovaszHingeLoss(), losses.ComboLoss(),
        losses.SoftBCEWithLogitsLoss(smooth_factor=0.1), losses.DeepMarLoss([0.1, 0.2, 0.5, 0.9]),
        losses.MultiLabelSoftmaxLoss(), losses.MultiLabelSoftmaxLoss(swiftnet.rand(4, 4)),
    ):  # fmt: skip
        assert gradcheck(lambda x, f=loss: f(x, marks), [some]), loss


# ---- labels ----


def test_deepmar_weights():
    rate = [0.2, 0.5, 0.013]
    weights = losses.DeepMarWeights(1.5, rate)
    np.testing.assert_allclose(weights.weight_pos.numpy(), np.exp(1.5 * (1 - np.array(rate))), rtol=1e-6)
    np.testing.assert_allclose(weights.weight_neg.numpy(), np.exp(1.5 * np.array(rate)), rtol=1e-6)
    target = (np.random.default_rng(0).random((20, 3)) > 0.5).astype("float32")
    expected = np.zeros((20, 3))
    for i in range(20):
        for j in range(3):
            expected[i, j] = np.exp(1.5 * (1 - rate[j])) if target[i, j] == 1 else np.exp(1.5 * rate[j])
    found = weights.weighted_label(swiftnet.tensor(target).detach())
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)
    assert not found.requires_grad
    np.testing.assert_allclose(
        losses.DeepMarLoss(rate, 1.5).weighted_label(swiftnet.tensor(target)).numpy(), expected, rtol=1e-6
    )
    with pytest.raises(ValueError, match="labels must be 0 or 1"):
        weights.weighted_label(swiftnet.tensor([[0.5, 1, 0]]))
    with pytest.raises(ValueError, match="do not fit"):
        weights.weighted_label(swiftnet.zeros(2, 4))
    with pytest.raises(ValueError, match="between 0 and 1"):
        losses.DeepMarWeights(rate=[0.2, 1.4])
    with pytest.raises(TypeError):
        losses.DeepMarWeights(weight=1)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_deepmar_loss(reduction):
    rate = np.array([0.2, 0.5, 0.013, 0.99])
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((6, 4)), (rng.random((6, 4)) > 0.5).astype("float64")
    weight = np.where(y == 1, np.exp(1 - rate), np.exp(rate))
    loss = losses.DeepMarLoss(swiftnet.tensor(rate), reduction=reduction)
    _compare(
        loss,
        lambda a, b: TF.binary_cross_entropy_with_logits(a, b, torch.tensor(weight), reduction=reduction), x, y,
    )  # fmt: skip
    # As the trainer of the repository writes it.
    criterion = swiftnet.nn.functional.binary_cross_entropy_with_logits
    weights = losses.DeepMarWeights(rate=swiftnet.tensor(rate)).weighted_label(swiftnet.tensor(y).detach())
    found = criterion(swiftnet.tensor(x), swiftnet.tensor(y), weight=weights, reduction=reduction)
    np.testing.assert_allclose(found.numpy(), loss(swiftnet.tensor(x), swiftnet.tensor(y)).numpy(), rtol=1e-12)
    assert list(loss.state_dict()) == ["rate"]


def _label_softmax(x, y, conditional, reduction):
    rows = []
    for scores, marks in zip(x, y, strict=True):
        positive, negative = (marks == 1).nonzero().reshape(-1), (marks == 0).nonzero().reshape(-1)
        if len(positive) == 0:
            rows.append(scores.sum() * 0)
            continue
        given = torch.zeros(len(x[0]), len(x[0]), dtype=x.dtype) if conditional is None else conditional
        shares = torch.softmax(given[negative][:, positive], 1)
        against = (scores[negative].exp()[:, None] * shares).sum(0)
        rows.append(-(scores[positive].exp() / (against + scores[positive].exp())).log().sum())
    rows = torch.stack(rows)
    return {"none": rows, "sum": rows.sum(), "mean": rows.sum() / max(float(y.sum()), 1)}[reduction]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("with_conditional", [True, False])
def test_multilabel_softmax(with_conditional, reduction):
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((5, 4)), (rng.random((5, 4)) > 0.5).astype("float64")
    y[0], y[1] = 0, 1
    conditional = rng.random((4, 4)) if with_conditional else None
    own = losses.MultiLabelSoftmaxLoss(None if conditional is None else swiftnet.tensor(conditional), reduction)
    given = None if conditional is None else torch.tensor(conditional)
    _compare(own, lambda a, b: _label_softmax(a, b, given, reduction), x, y)


def test_multilabel_softmax_of_large_scores():
    x = swiftnet.tensor([[500.0, -500.0, 400.0], [-900.0, 0.0, 300.0]], requires_grad=True)
    y = swiftnet.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0]])
    loss = losses.MultiLabelSoftmaxLoss(reduction="none")(x, y)
    loss.sum().backward()
    np.testing.assert_allclose(loss.detach().numpy(), [1100 - 2 * np.log(2), 900 - np.log(2)], rtol=1e-6)
    assert bool(swiftnet.isfinite(x.grad).all())


# ---- mistakes, copies, narrow types ----


@pytest.mark.parametrize(
    ("call", "kind", "match"),
    [
        (lambda: losses.DiceLoss("ternary"), ValueError, "mode must be"),
        (lambda: losses.DiceLoss()(swiftnet.zeros(2, 3), swiftnet.zeros(2, 4)), ValueError, "must be the same"),
        (
            lambda: losses.DiceLoss("multiclass")(swiftnet.zeros(2, 3, 4), swiftnet.zeros(2, 5).long()),
            ValueError, "must be the same",
        ),
        (
            lambda: losses.DiceLoss("multiclass")(swiftnet.zeros(2, 3, 4), swiftnet.full((2, 4), 3)),
            IndexError, "out of bounds",
        ),
        (
            lambda: losses.DiceLoss("multiclass")(swiftnet.zeros(2, 3, 4), swiftnet.zeros(2, 4)),
            TypeError, "class indices",
        ),
        (
            lambda: losses.DiceLoss("multilabel", weight=swiftnet.ones(2))(
                swiftnet.zeros(2, 3, 4), swiftnet.zeros(2, 3, 4)
            ),
            ValueError, "weight for each of 3",
        ),
        (
            lambda: losses.DiceLoss("multilabel", classes=[5])(swiftnet.zeros(2, 3, 4), swiftnet.zeros(2, 3, 4)),
            IndexError, "out of bounds",
        ),
        (lambda: losses.DiceLoss(reduction="most")(swiftnet.zeros(2), swiftnet.zeros(2)), ValueError, "reduction"),
        (lambda: losses.DiceLoss()(swiftnet.zeros(2).long(), swiftnet.zeros(2)), TypeError, "floating-point"),
        (lambda: losses.functional.dice_loss(1.0, swiftnet.zeros(2)), TypeError, "must be Tensor"),
        (lambda: losses.LovaszSoftmaxLoss()(swiftnet.zeros(2), swiftnet.zeros(2).long()), ValueError, r"\(N, C, …\)"),
        (
            lambda: losses.MultiLabelSoftmaxLoss()(swiftnet.zeros(2, 2), swiftnet.full((2, 2), 0.5)),
            ValueError, "labels must be",
        ),
        (lambda: losses.ComboLoss("multiclass")(swiftnet.zeros(2, 3, 4), swiftnet.zeros(2, 4).long()),
         ValueError, "binary or multilabel"),
    ],
)  # fmt: skip
def test_mistakes(call, kind, match):
    with pytest.raises(kind, match=match):
        call()


def test_copies_and_states():
    import copy
    import pickle

    loss = losses.TverskyLoss("multilabel", alpha=0.2, weight=swiftnet.tensor([1.0, 2.0]))
    x, y = swiftnet.randn(3, 2, 4), swiftnet.zeros(3, 2, 4)
    for twin in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        assert float(twin(x, y)) == float(loss(x, y))
        assert twin.alpha == 0.2
    assert list(loss.state_dict()) == ["weight"]
    loss.alpha = 0.9
    assert float(loss(x, y)) != float(twin(x, y))
    assert repr(loss) == "TverskyLoss(mode='multilabel')"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_narrow_types(dtype):
    x, y = _data("multiclass")
    for name in ("DiceLoss", "FocalLoss", "MCCLoss"):
        loss = getattr(losses, name)("multiclass")
        wide = float(loss(swiftnet.tensor(x), swiftnet.tensor(y)))
        given = swiftnet.tensor(x).to(getattr(swiftnet, dtype)).requires_grad_()
        found = loss(given, swiftnet.tensor(y))
        assert found.dtype is given.dtype
        assert float(found) == pytest.approx(wide, rel=2e-2)
        found.backward()
        assert given.grad.dtype is given.dtype
