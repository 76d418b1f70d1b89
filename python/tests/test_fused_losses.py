"""Losses that take scores and truth in one pass, against PyTorch in float64: values, gradients, and every way around."""

import numpy as np
import pytest
import swiftnet
import swiftnet.nn.functional as F
import torch
from swiftnet import losses
from swiftnet.autograd import gradcheck, gradgradcheck

TF = torch.nn.functional


def focal(x, y, gamma=2.0, alpha=None, reduction="mean"):
    entropy = TF.binary_cross_entropy_with_logits(x, y, reduction="none")
    values = (1 - (-entropy).exp()) ** gamma * entropy
    if alpha is not None:
        values = values * (alpha * y + (1 - alpha) * (1 - y))
    return values.mean() if reduction == "mean" else values.sum()


def dice(x, y):
    p = torch.sigmoid(x)
    return 1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1)


LOSSES = {
    "bce mean": (F.binary_cross_entropy_with_logits, TF.binary_cross_entropy_with_logits),
    "bce sum": (
        lambda x, y: F.binary_cross_entropy_with_logits(x, y, reduction="sum"),
        lambda x, y: TF.binary_cross_entropy_with_logits(x, y, reduction="sum"),
    ),
    "mse mean": (F.mse_loss, TF.mse_loss),
    "mse sum": (lambda x, y: F.mse_loss(x, y, reduction="sum"), lambda x, y: TF.mse_loss(x, y, reduction="sum")),
    "focal": (losses.FocalLoss("binary"), focal),
    "focal alpha": (losses.FocalLoss("binary", alpha=0.3, gamma=3.5), lambda x, y: focal(x, y, 3.5, 0.3)),
    "focal sum": (
        losses.FocalLoss("binary", alpha=0.8, gamma=1.0, reduction="sum"), lambda x, y: focal(x, y, 1.0, 0.8, "sum"),
    ),
    "focal plain": (losses.FocalLoss("binary", gamma=0.0), lambda x, y: focal(x, y, 0.0)),
    "dice": (losses.DiceLoss(), dice),
    "dice bce": (losses.DiceBCELoss(), lambda x, y: dice(x, y) + TF.binary_cross_entropy_with_logits(x, y)),
}  # fmt: skip


def _pair(shape, soft, seed=0):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal(shape) * 3, rng.random(shape)
    return x.astype("float32"), (y if soft else y > 0.5).astype("float32")


LAYOUTS = {
    "row-major": lambda t: t,
    "channels last": lambda t: t.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2),
    "transposed": lambda t: t.transpose(2, 3).contiguous().transpose(2, 3),
    "slice": lambda t: t.repeat(1, 1, 1, 2)[..., : t.shape[3]],
}


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("first", "second"), [(a, a) for a in LAYOUTS] + [("row-major", "channels last")])
@pytest.mark.parametrize("name", LOSSES)
def test_values_and_gradients(name, first, second, dtype, soft):
    x, y = _pair((2, 3, 37, 41), soft)
    ours, theirs = LOSSES[name]
    given = swiftnet.tensor(x.astype(dtype), requires_grad=True)
    wide = torch.tensor(x.astype("float64"), requires_grad=True)
    loss = ours(LAYOUTS[first](given), LAYOUTS[second](swiftnet.tensor(y.astype(dtype))))
    wanted = theirs(wide, torch.tensor(y.astype("float64")))
    assert loss.dtype == getattr(swiftnet, dtype)
    assert loss.shape == ()
    assert float(loss) == pytest.approx(float(wanted), rel=1e-6 if dtype == "float32" else 1e-12)
    loss.backward()
    wanted.backward()
    scale = float(wide.grad.abs().max())
    np.testing.assert_allclose(
        given.grad.numpy(), wide.grad.numpy(), rtol=0, atol=scale * (3e-6 if dtype == "float32" else 1e-13)
    )


@pytest.mark.parametrize("name", LOSSES)
def test_second_derivatives(name):
    x, y = _pair((2, 1, 3, 4), True)
    given = swiftnet.tensor(x.astype("float64"), requires_grad=True)
    target = swiftnet.tensor(y.astype("float64"))
    loss = LOSSES[name][0]
    assert gradcheck(lambda x: loss(x, target), (given,))
    assert gradgradcheck(lambda x: loss(x, target), (given,))


@pytest.mark.parametrize("name", LOSSES)
def test_target_with_a_gradient(name):
    x, y = _pair((2, 1, 5, 7), True)
    ours, theirs = LOSSES[name]
    found, wanted = [], []
    for library, loss, into in ((swiftnet, ours, found), (torch, theirs, wanted)):
        a = library.tensor(x.astype("float64"), requires_grad=True)
        b = library.tensor(y.astype("float64"), requires_grad=True)
        loss(a, b).backward()
        into += [a.grad.numpy(), b.grad.numpy()]
    for mine, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", LOSSES)
def test_half_precision(name, dtype):
    x, y = _pair((2, 1, 30, 40), False)
    x = np.round(x * 8) / 8
    ours, theirs = LOSSES[name]
    given = swiftnet.tensor(x).to(getattr(swiftnet, dtype)).requires_grad_()
    loss = ours(given, swiftnet.tensor(y).to(getattr(swiftnet, dtype)))
    loss.backward()
    assert given.grad.dtype == given.dtype
    assert float(loss) == pytest.approx(float(theirs(torch.tensor(x), torch.tensor(y))), rel=3e-2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("target", [0.0, 1.0])
@pytest.mark.parametrize("score", [100.0, -100.0, 1e4, -1e4, float("inf"), float("-inf"), float("nan"), 0.0, -0.0])
def test_extreme_logits(score, target, dtype):
    found = []
    for library, functional in ((swiftnet, F), (torch, TF)):
        x = library.tensor([score, 1.0], dtype=getattr(library, dtype), requires_grad=True)
        y = library.tensor([target, 1.0], dtype=getattr(library, dtype))
        loss = functional.binary_cross_entropy_with_logits(x, y, reduction="sum")
        loss.backward()
        found.append((float(loss), x.grad.numpy()))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6, nan_ok=True)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-6, atol=1e-37)


def test_focal_and_overlap_of_saturated_scores():
    x = swiftnet.tensor([[100.0, -100.0, 1e4, -1e4] * 8], requires_grad=True)
    for y in (swiftnet.zeros(1, 32), swiftnet.ones(1, 32)):
        for name in LOSSES:
            x.grad = None
            loss = LOSSES[name][0](x, y)
            loss.backward()
            assert bool(swiftnet.isfinite(loss)), name
            assert bool(swiftnet.isfinite(x.grad).all()), name


def test_no_elements():
    for library, functional in ((swiftnet, F), (torch, TF)):
        for loss in (functional.binary_cross_entropy_with_logits, functional.mse_loss):
            x = library.zeros(0, 3, requires_grad=True)
            mean = loss(x, library.zeros(0, 3))
            assert np.isnan(float(mean.detach()))
            total = loss(x, library.zeros(0, 3), reduction="sum")
            assert float(total.detach()) == 0
            total.backward()
            assert x.grad.shape == (0, 3)


def test_names_in_the_graph():
    x, y = swiftnet.zeros(3, requires_grad=True), swiftnet.zeros(3)
    assert "BinaryCrossEntropyWithLogits" in F.binary_cross_entropy_with_logits(x, y).grad_fn.name()
    assert "MseLoss" in F.mse_loss(x, y).grad_fn.name()


def test_a_target_that_changes():
    x, y = swiftnet.zeros(3, requires_grad=True), swiftnet.zeros(3)
    for loss in (F.binary_cross_entropy_with_logits, F.mse_loss, losses.FocalLoss("binary"), losses.DiceLoss()):
        value = loss(x, y)
        y += 1
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            value.backward()


def test_threads_do_not_matter():
    x, y = _pair((3, 5, 150, 101), True)
    threads = swiftnet.get_num_threads()
    found = []
    for count in (1, 2, 3):
        swiftnet.set_num_threads(count)
        row = []
        for name in LOSSES:
            given = swiftnet.tensor(x, requires_grad=True)
            loss = LOSSES[name][0](given, swiftnet.tensor(y))
            loss.backward()
            row += [loss.detach().numpy(), given.grad.numpy()]
        found.append(row)
    swiftnet.set_num_threads(threads)
    for row in found[1:]:
        for a, b in zip(found[0], row, strict=True):
            np.testing.assert_array_equal(a, b)


# ---- the same written by hand, on operations that wait ----


def _large(seed=0, shape=(4, 3, 70, 90)):
    x, y = _pair(shape, False, seed)
    return swiftnet.tensor(x, requires_grad=True), swiftnet.tensor(y), x, y


def _sigmoid(x):
    return 1 / (1 + np.exp(-x.astype("float64")))


def test_sums_in_any_order():
    for order in ([0, 1, 2], [1, 0, 2], [2, 0, 1], [0, 2, 1], [3, 1, 2, 0]):
        x, y, a, b = _large(len(order))
        p = swiftnet.sigmoid(x)
        wanted = [(_sigmoid(a) * b).sum(), _sigmoid(a).sum(), b.sum(dtype="float64"), (_sigmoid(a) + b).sum()]
        sums = [lambda p, y: (p * y).sum(), lambda p, y: p.sum(), lambda p, y: y.sum(), lambda p, y: (y + p).sum()]
        for k in order:
            assert float(sums[k](p, y)) == pytest.approx(wanted[k], rel=1e-6)
        for k in order:
            assert float(sums[k](p.view(-1), y.view(-1))) == pytest.approx(wanted[k], rel=1e-6)
        for dims in ((2, 3), (1, 2, 3), (0, 1, 2, 3)):
            found = (p * y).sum(dims)
            np.testing.assert_allclose(found.detach().numpy(), (_sigmoid(a) * b).sum(dims), rtol=1e-5)
            np.testing.assert_allclose(p.sum(dims).detach().numpy(), _sigmoid(a).sum(dims), rtol=1e-5)
            np.testing.assert_allclose(y.sum(dims).numpy(), b.sum(dims), rtol=1e-5)
            np.testing.assert_allclose(y.mean(dims).numpy(), b.mean(dims), rtol=1e-5)


def test_sums_see_changes():
    x, y, a, b = _large()
    with swiftnet.no_grad():
        p = swiftnet.sigmoid(x)
        first = float((p * y).sum())
        y.fill_(0.25)
        assert float(y.sum()) == pytest.approx(0.25 * b.size)
        assert float((p * y).sum()) == pytest.approx(0.25 * float(p.sum()), rel=1e-5)
        x.zero_()
        assert float(p.sum()) == pytest.approx(_sigmoid(a).sum(), rel=1e-6)
        assert float(swiftnet.sigmoid(x).sum()) == pytest.approx(0.5 * a.size)
        assert first == pytest.approx((_sigmoid(a) * b).sum(), rel=1e-6)
        # Through NumPy nobody is told of a change.
        shared = y.numpy()
        assert float((swiftnet.sigmoid(x) * y).sum()) == pytest.approx(0.125 * b.size, rel=1e-6)
        shared[:] = 0.5
        assert float(y.sum()) == pytest.approx(0.5 * b.size)
        assert float((swiftnet.sigmoid(x) * y).sum()) == pytest.approx(0.25 * b.size, rel=1e-6)


def test_other_tensors_are_not_taken_for_the_known_ones():
    x, y, a, b = _large()
    other, truth, c, d = _large(1)
    with swiftnet.no_grad():
        float((swiftnet.sigmoid(x) * y).sum())
        assert float(swiftnet.sigmoid(other).sum()) == pytest.approx(_sigmoid(c).sum(), rel=1e-6)
        assert float(truth.sum()) == d.sum()
        assert float((swiftnet.sigmoid(x) * truth).sum()) == pytest.approx((_sigmoid(a) * d).sum(), rel=1e-6)
        assert float(y.sum()) == b.sum()
        float((swiftnet.sigmoid(x) * y).sum())
        assert float(y[1:].sum()) == b[1:].sum()
        assert float(y[:2].sum()) == b[:2].sum()
        assert float(y.transpose(0, 1).sum()) == b.sum()
        assert float(y.int().sum()) == b.sum()
        assert float(y.sum(dtype=swiftnet.float64)) == b.sum()


FORMS = {
    "dice": lambda m, p, y: 1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1),
    "union": lambda m, p, y: (p * y).sum() / ((p + y).sum() - (p * y).sum()),
    "entropy": lambda m, p, y: m.nn.functional.binary_cross_entropy(p, y),
    "entropy sum": lambda m, p, y: m.nn.functional.binary_cross_entropy(p, y, reduction="sum"),
    "both": lambda m, p, y: m.nn.functional.binary_cross_entropy(p, y) - (p * y).sum() / p.sum(),
    "product alone": lambda m, p, y: -3 * (y * p).mean(),
    "sum alone": lambda m, p, y: p.sum(),
    "difference": lambda m, p, y: (p - y).sum() ** 2 + (p * y).sum(),
    "two truths": lambda m, p, y: (p * y).sum() + (p * (1 - y) * y.roll(1, 0)).sum(),
    "rows": lambda m, p, y: ((p * y).flatten(1).sum(1) / (p.flatten(1).sum(1) + y.flatten(1).sum(1))).mean(),
    "square": lambda m, p, y: (p * p * y).sum() + (p * y).sum(),
    "itself": lambda m, p, y: (p * (1 - p)).sum() + (p * y).sum(),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FORMS)
def test_forms_by_hand(name, dtype):
    _, _, x, y = _large(5)
    found = []
    for library, kind in ((swiftnet, dtype), (torch, "float64")):
        a = library.tensor(x.astype(kind), requires_grad=True)
        b = library.tensor(y.astype(kind))
        p = library.sigmoid(a)
        loss = FORMS[name](library, p, b)
        inner = library.autograd.grad(loss, p, retain_graph=True)[0]
        loss.backward()
        found.append([loss.detach().numpy(), a.grad.numpy(), inner.numpy()])
    tolerance = 4e-6 if dtype == "float32" else 1e-11
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=tolerance)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=0, atol=tolerance * max(abs(found[1][1]).max(), 1 / 20))
    # Divided by 1 - p, which has few digits where p is near 1.
    np.testing.assert_allclose(found[0][2], found[1][2], rtol=5e-2 if dtype == "float32" else 1e-9)


def _entropy(p, y):
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


PLAIN = {
    "entropy": lambda m, p, y: _entropy(p, y),
    "both": lambda m, p, y: _entropy(p, y) - (p * y).sum() / p.sum(),
}


@pytest.mark.parametrize("name", ["dice", "entropy", "both", "union"])
def test_second_derivatives_by_hand(name):
    _, _, x, y = _large(6, (1, 1, 140, 150))
    found = []
    for library in (swiftnet, torch):
        a = library.tensor(x.astype("float64"), requires_grad=True)
        b = library.tensor(y.astype("float64"))
        # PyTorch's own second derivative of the entropy adds 1e-12 to a divisor, and so loses digits.
        form = FORMS[name] if library is swiftnet or name not in PLAIN else PLAIN[name]
        loss = form(library, library.sigmoid(a), b)
        (gradient,) = library.autograd.grad(loss, a, create_graph=True)
        (gradient * gradient).sum().backward()
        found.append(a.grad.numpy())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6, atol=1e-8 * abs(found[1]).max())


# ---- cross entropy ----


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("shape", [(5, 3), (37, 1000), (2, 21, 50, 51), (3, 4, 16), (2, 2, 9)])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy(reduction, shape, smoothing, weighted, dtype):
    rng = np.random.default_rng(3)
    x = rng.standard_normal(shape) * 4
    t = rng.integers(0, shape[1], (shape[0], *shape[2:]))
    if t.size > 20:
        t.reshape(-1)[[0, 3, 17]] = -100
    w = rng.random(shape[1]) + 0.1
    found = []
    for library, kind in ((swiftnet, dtype), (torch, "float64")):
        a = library.tensor(x.astype(kind), requires_grad=True)
        loss = library.nn.functional.cross_entropy(
            a, library.tensor(t), weight=library.tensor(w.astype(kind)) if weighted else None, reduction=reduction,
            label_smoothing=smoothing,
        )  # fmt: skip
        factors = library.tensor(np.linspace(0.5, 2, loss.numel()).astype(kind)).reshape(loss.shape)
        (loss * factors).sum().backward()
        found.append([loss.detach().numpy(), a.grad.numpy()])
    tolerance = 3e-6 if dtype == "float32" else 1e-8
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=0, atol=tolerance * max(abs(found[1][1]).max(), 1 / 20))


def test_cross_entropy_of_one_class():
    for shape in ((6, 1), (2, 1, 20)):
        x = swiftnet.ones(*shape, requires_grad=True)
        loss = F.cross_entropy(x, swiftnet.zeros(shape[0], *shape[2:], dtype=swiftnet.int64), label_smoothing=0.1)
        loss.backward()
        assert float(loss.detach()) == pytest.approx(0, abs=1e-7)
        np.testing.assert_allclose(x.grad.numpy(), 0, atol=1e-7)


def test_cross_entropy_of_masked_classes():
    for shape in ((6, 5), (2, 5, 20)):
        for library in (swiftnet, torch):
            x = library.zeros(*shape)
            x[:, 1] = float("-inf")
            x.requires_grad_()
            target = library.zeros(shape[0], *shape[2:], dtype=library.int64)
            loss = library.nn.functional.cross_entropy(x, target)
            loss.backward()
            assert float(loss.detach()) == pytest.approx(np.log(4), rel=1e-6)
            assert float(x.grad[:, 1].abs().max()) == 0


def test_cross_entropy_says_which_target_is_wrong():
    x = swiftnet.zeros(70000, 3)
    for bad in (3, -1, -99):
        target = swiftnet.zeros(70000, dtype=swiftnet.int64)
        target[65001] = bad
        with pytest.raises(IndexError, match=f"Target {bad} is out of bounds"):
            F.cross_entropy(x, target)
    target = swiftnet.full((70000,), -100, dtype=swiftnet.int64)
    assert np.isnan(float(F.cross_entropy(x, target)))
    target[5] = 1
    assert float(F.cross_entropy(x, target)) == pytest.approx(np.log(3))


@pytest.mark.parametrize("per_image", [False, True])
@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("shape", [(2, 3, 40, 50), (40, 7), (3, 5, 4)])
@pytest.mark.parametrize("loss", ["DiceLoss", "JaccardLoss", "TverskyLoss", "MCCLoss"])
def test_classes_and_images(loss, shape, from_logits, per_image):
    """The sums in one pass are those of the composed form, which a target with a gradient takes."""
    x, y = _pair(shape, True)
    x = x if from_logits else _sigmoid(x).astype("float32")
    options = {"mode": "multilabel", "from_logits": from_logits, "per_image": per_image}
    criterion = getattr(losses, loss)(**options)
    found = []
    for target_grad in (False, True):
        a = swiftnet.tensor(x.astype("float64"), requires_grad=True)
        value = criterion(a, swiftnet.tensor(y.astype("float64"), requires_grad=target_grad))
        value.backward()
        found.append((float(value.detach()), a.grad.numpy()))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-11)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-7, atol=1e-15)
