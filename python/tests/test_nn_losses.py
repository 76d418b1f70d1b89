"""Losses: parity with torch.nn.functional."""

import warnings
from decimal import Decimal, localcontext

import numpy as np
import pytest
import swiftnet
import swiftnet.nn.functional as F
import torch
from nn_parity import arrays, compare, same_error

warnings.filterwarnings("ignore", category=UserWarning)
REDUCTIONS = ["none", "mean", "sum"]


def classes(*shape, count=5, seed=1):
    return np.random.default_rng(seed).integers(0, count, shape)


def probabilities(*shape, seed=0):
    return np.random.default_rng(seed).uniform(0.05, 0.95, shape).astype("float32")


def signs(*shape):
    return np.where(np.random.default_rng(4).random(shape) < 0.5, -1.0, 1.0).astype("float32")


def both(call, values, wide_tolerance=None, **options):
    compare(call, values, **options)
    wide = [v.astype("float64") if v is not None and v.dtype == np.float32 else v for v in values]
    compare(call, wide, second=True, tolerance=wide_tolerance)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("shape", [(6, 5), (5,), (3, 5, 4), (2, 5, 3, 4), (2, 5, 3, 4, 2), (6, 70)])
def test_cross_entropy(shape, smoothing, weighted, reduction):
    count = shape[0] if len(shape) == 1 else shape[1]
    target = classes(*(shape[:1] + shape[2:] if len(shape) > 1 else ()), count=count)
    target = np.asarray(target)
    if target.ndim:
        target.reshape(-1)[0] = 3
    weight = np.abs(arrays((count,), seed=5)[0]) if weighted else None

    def call(f, lib, x, t, w):
        w = None if w is None else w.detach()
        return f.cross_entropy(x, t, w, ignore_index=3, reduction=reduction, label_smoothing=smoothing)

    both(call, [*arrays(shape), target, weight])


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("shape", [(6, 5), (5,), (2, 5, 3, 4)])
def test_cross_entropy_of_probabilities(shape, smoothing, weighted, reduction):
    weight = np.abs(arrays((5,), seed=5)[0]) if weighted else None

    def call(f, lib, x, t, w):
        w = None if w is None else w.detach()
        return f.cross_entropy(x, t, w, reduction=reduction, label_smoothing=smoothing)

    both(call, [*arrays(shape), probabilities(*shape), weight])


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(6, 5), (5,), (3, 5, 4), (2, 5, 3, 4)])
def test_nll_loss(shape, reduction):
    target = np.asarray(classes(*(shape[:1] + shape[2:] if len(shape) > 1 else ())))
    weight = np.abs(arrays((5,), seed=5)[0])
    both(
        lambda f, lib, x, t, w: f.nll_loss(x, t, w.detach(), ignore_index=2, reduction=reduction),
        [*arrays(shape), target, weight],
    )
    both(lambda f, lib, x, t: f.nll_loss(f.log_softmax(x, 0), t, reduction=reduction), [*arrays(shape), target])


def test_cross_entropy_special_cases():
    x = arrays((3, 5))
    compare(lambda f, lib, x, t: f.cross_entropy(x, t), [*x, np.full(3, -100)], grad=False)
    compare(lambda f, lib, x, t: f.cross_entropy(x, t, reduction="sum"), [np.zeros((0, 5), "float32"), classes(0)])
    compare(lambda f, lib, x, t: f.cross_entropy(x, t), [*x, classes(3)], "bfloat16", grad=False)
    compare(lambda f, lib, x, t: f.cross_entropy(x, t, size_average=False), [*x, classes(3)])
    compare(lambda f, lib, x, t: f.cross_entropy(x * 1e4, t), [*x, classes(3)])
    compare(
        lambda f, lib, x, t: f.cross_entropy(x.contiguous(memory_format=lib.channels_last), t),
        [*arrays((2, 5, 3, 4)), classes(2, 3, 4)],
    )


@pytest.mark.parametrize(
    ("x", "target", "options", "match"),
    [
        ((3, 5), np.array([0, 1, 7]), {}, "Target 7 is out of bounds."),
        ((3, 5), np.array([0, -1, 2]), {}, "Target -1 is out of bounds."),
        ((3, 5), np.array([0, 1]), {}, "to match target batch_size (2)."),
        ((3, 5), np.array([0.0, 1, 2], "float32"), {}, "expected target dtype to be Long or Byte, but got Float"),
        ((2, 5, 4), np.zeros((2, 5), "int64"), {}, "Expected target size [2, 4], got [2, 5]"),
        ((3, 5), np.zeros((3, 2), "int64"), {}, "multi-target not supported"),
        ((3, 5), np.array([0, 1, 2]), {"label_smoothing": 2}, "label_smoothing must be between 0.0 and 1.0"),
        ((3, 5), np.array([0, 1, 2]), {"reduction": "foo"}, "foo is not a valid value for reduction"),
    ],
)
def test_cross_entropy_errors(x, target, options, match):
    same_error(lambda f, lib, a, t: f.cross_entropy(a, t, **options), [*arrays(x), target], match)


def test_cross_entropy_weight_error():
    same_error(
        lambda f, lib, x, t, w: f.cross_entropy(x, t, w), [*arrays((3, 5)), classes(3), np.ones(3, "float32")],
        "should be defined either for all 5 classes",
    )  # fmt: skip


SIMPLE = [
    ("mse_loss", {}), ("l1_loss", {}), ("smooth_l1_loss", {}), ("smooth_l1_loss", {"beta": 0.3}),
    ("smooth_l1_loss", {"beta": 0}), ("huber_loss", {}), ("huber_loss", {"delta": 0.4}),
]  # fmt: skip


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("name", "options"), SIMPLE)
def test_regression(name, options, reduction):
    def call(f, lib, x, y):
        return getattr(f, name)(x, y, reduction=reduction, **options)

    both(call, arrays((4, 5), (4, 5)))
    compare(call, arrays((4, 5), (5,)))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss"])
def test_weighted_regression(name, reduction):
    def call(f, lib, x, y, w):
        return getattr(f, name)(x, y, reduction=reduction, weight=w.detach().abs())

    compare(call, arrays((4, 5), (4, 5), (4, 5)))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weight", [None, (5,), (4, 5)])
def test_binary_cross_entropy(reduction, weight):
    w = None if weight is None else probabilities(*weight)

    def plain(f, lib, x, t, w):
        return f.binary_cross_entropy(x, t.detach(), None if w is None else w.detach(), reduction=reduction)

    def logits(f, lib, x, t, w):
        w = None if w is None else w.detach()
        return (
            f.binary_cross_entropy_with_logits(x * (3 if x.dtype == lib.float64 else 30), t, w, reduction=reduction),
            f.binary_cross_entropy_with_logits(x, t, w, reduction=reduction, pos_weight=lib.ones(5).to(x.dtype) * 1.5),
        )

    # In the second derivative s (1 - s), s the sigmoid, both libraries form 1 - s from a rounded s, PyTorch where x is
    # large, swiftnet where x is very negative: exact to 1e-16, but with few digits of their own there. So the
    # derivatives of float64 are compared over a smaller range; the test below has both ends.
    # PyTorch adds 1e-12 to x and to 1 - x in the second derivative: an error of 4e-11 at the smallest of these.
    both(plain, [probabilities(4, 5), probabilities(4, 5, seed=3), w], wide_tolerance=(2e-10, 2e-10))
    both(logits, [*arrays((4, 5)), probabilities(4, 5, seed=3), w])
    compare(plain, [np.round(probabilities(4, 5)), np.round(probabilities(4, 5, seed=3)), w], grad=False)


def test_second_derivative_of_large_logits():
    """Loss and derivatives against their formulas in long arithmetic, far out on both sides."""
    xs = [-90.0, -40.0, -30.0, -20.0, -10.0, 0.0, 10.0, 20.0, 30.0, 40.0, 90.0]
    x = swiftnet.tensor(xs, dtype=swiftnet.float64, requires_grad=True)
    target = swiftnet.full([len(xs)], 0.3, dtype=swiftnet.float64)
    loss = F.binary_cross_entropy_with_logits(x, target, reduction="none")
    (first,) = swiftnet.autograd.grad(loss.sum(), x, create_graph=True)
    (second,) = swiftnet.autograd.grad(first.sum(), x)
    for i, value in enumerate(xs):
        with localcontext() as context:
            context.prec = 60
            s = 1 / (1 + Decimal(-value).exp())
            t = Decimal(0.3)
            exact = -t * s.ln() - (1 - t) * (1 - s).ln()
            assert abs(Decimal(loss[i].item()) - exact) <= Decimal(4e-16) * (1 + abs(exact))
            assert abs(Decimal(first[i].item()) - (s - t)) <= Decimal(4e-16)
            assert abs(Decimal(second[i].item()) - s * (1 - s)) <= Decimal(4e-16)


@pytest.mark.parametrize("reduction", [*REDUCTIONS, "batchmean"])
@pytest.mark.parametrize("log_target", [False, True])
def test_kl_div(reduction, log_target):
    target = probabilities(4, 5)
    both(
        lambda f, lib, x, t: f.kl_div(f.log_softmax(x, 1), t, reduction=reduction, log_target=log_target),
        [*arrays((4, 5)), np.log(target) if log_target else target],
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_likelihoods(reduction):
    target = classes(4, 5, count=7).astype("float32")
    for options in ({}, {"full": True}, {"log_input": False}):
        compare(
            lambda f, lib, x, t, o=options: f.poisson_nll_loss(x, t.detach(), reduction=reduction, **o),
            [probabilities(4, 5), target],
        )
    for var in (probabilities(4, 5, seed=9), probabilities(4, seed=9), probabilities(4, 1, seed=9)):
        both(
            lambda f, lib, x, t, v: f.gaussian_nll_loss(x, t, v, full=True, reduction=reduction),
            [*arrays((4, 5), (4, 5)), var],
        )
    compare(lambda f, lib, x, t: f.gaussian_nll_loss(x, t, 0.5, reduction=reduction), arrays((4, 5), (4, 5)))


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_margins(reduction):
    both(
        lambda f, lib, x, t: f.hinge_embedding_loss(x, t.detach(), 0.7, reduction=reduction),
        [*arrays((4, 5)), signs(4, 5)],
    )
    both(lambda f, lib, x, t: f.soft_margin_loss(x, t.detach(), reduction=reduction), [*arrays((4, 5)), signs(4, 5)])
    both(
        lambda f, lib, x, y, t: f.margin_ranking_loss(x, y, t.detach(), 0.3, reduction=reduction),
        [*arrays((4, 5), (4, 5)), signs(4, 5)],
    )
    for p in (1, 2):
        for weight in (None, probabilities(5)):
            compare(
                lambda f, lib, x, t, w, p=p: f.multi_margin_loss(
                    x, t, p, 0.8, None if w is None else w.detach(), reduction=reduction
                ),
                [*arrays((4, 5)), classes(4), weight],
            )
    target = np.array([[3, 0, -1, 1, 2], [-1, 0, 1, 2, 3], [0, 1, 2, 3, 4], [4, -1, -1, -1, -1]])
    compare(lambda f, lib, x, t: f.multilabel_margin_loss(x, t, reduction=reduction), [*arrays((4, 5)), target])
    both(
        lambda f, lib, x, t, w: f.multilabel_soft_margin_loss(x, t.detach(), w.detach(), reduction=reduction),
        [*arrays((4, 5)), np.round(probabilities(4, 5)), probabilities(5)],
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_embeddings(reduction):
    both(
        lambda f, lib, x, y, t: f.cosine_embedding_loss(x, y, t.detach(), 0.1, reduction=reduction),
        [*arrays((4, 5), (4, 5)), signs(4)],
    )
    for swap in (False, True):
        both(
            lambda f, lib, a, p, n, s=swap: f.triplet_margin_loss(a, p, n, 1.5, swap=s, reduction=reduction),
            arrays((4, 5), (4, 5), (4, 5)),
        )
        compare(
            lambda f, lib, a, p, n, s=swap: f.triplet_margin_with_distance_loss(
                a, p, n, distance_function=lambda x, y: 1 - f.cosine_similarity(x, y), swap=s, reduction=reduction
            ),
            arrays((4, 5), (4, 5), (4, 5)),
        )


@pytest.mark.parametrize(
    ("call", "shapes", "match"),
    [
        (lambda f, lib, x, y: f.binary_cross_entropy_with_logits(x, y), [(3,), (2,)], "must be the same as input size"),
        (lambda f, lib, x, y: f.binary_cross_entropy(x, y), [(3,), (2,)], "Please ensure they have the same size"),
        (lambda f, lib, x, y: f.binary_cross_entropy(x * 9, y), [(30,), (30,)], "should be between 0 and 1"),
        (lambda f, lib, x, y: f.mse_loss(x, y), [(3,), (2,)], "must match the size of tensor b"),
        (lambda f, lib, x, y: f.mse_loss(x, y, reduction="x"), [(3,), (3,)], "x is not a valid value for reduction"),
        (lambda f, lib, x, y: f.huber_loss(x, y, delta=-1), [(3,), (3,)], "non-positive values for delta"),
        (lambda f, lib, x, y: f.smooth_l1_loss(x, y, beta=-1), [(3,), (3,)], "negative values for beta"),
        (lambda f, lib, x, y: f.gaussian_nll_loss(x, x, y.abs()), [(3, 5), (2,)], "var is of incorrect size"),
        (lambda f, lib, x, y: f.gaussian_nll_loss(x, x, -y.abs()), [(3, 5), (3, 5)], "var has negative"),
        (lambda f, lib, x, y: f.cosine_embedding_loss(x, x, y), [(3, 5), (3, 5)], "multi-target not supported"),
        (lambda f, lib, x, y: f.triplet_margin_loss(x, x, y), [(3, 5), (5,)], "same number of dimensions"),
    ],
)
def test_errors(call, shapes, match):
    same_error(call, arrays(*shapes), match)


def test_target_errors():
    same_error(
        lambda f, lib, x, t: f.multi_margin_loss(x, t), [*arrays((3, 5)), np.array([1, 2, 8])], "target out of range"
    )
    same_error(
        lambda f, lib, x, t: f.multi_margin_loss(x, t, p=3), [*arrays((3, 5)), classes(3)], "only p == 1 and p == 2"
    )
    with pytest.raises(TypeError):
        F.mse_loss(swiftnet.ones(3), 3)


@pytest.mark.parametrize("shape", [(6, 5), (40, 1000), (3, 7, 9, 11), (2, 21, 40, 30)])
@pytest.mark.parametrize("order", ["contiguous", "channels last"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_cross_entropy_and_its_gradient_at_once(shape, order, reduction):
    """The gradient comes from the pass forward: times any factor, more than once, and together with other gradients."""
    rng = np.random.default_rng(len(shape))
    values = rng.standard_normal(shape).astype("float32") * 4
    targets = rng.integers(0, shape[1], (shape[0], *shape[2:]))
    targets[rng.random(targets.shape) < 0.2] = -100
    found = []
    for lib in (swiftnet, torch):
        x = lib.tensor(values)
        if order == "channels last" and x.ndim == 4:
            x = x.contiguous(memory_format=lib.channels_last)
        x.requires_grad_()
        target = lib.tensor(targets)
        results = []
        for factor in (1, 0.4):
            loss = lib.nn.functional.cross_entropy(x, target, reduction=reduction) * factor
            x.grad = None
            loss.backward(retain_graph=True)
            results.append(x.grad.clone())
            loss.backward()
            results += [x.grad.clone(), loss.detach()]
        both = lib.nn.functional.cross_entropy(x, target, reduction=reduction)
        x.grad = None
        (both + both * 2 + (x**2).mean()).backward()
        results.append(x.grad)
        again = lib.nn.functional.cross_entropy(x, target, reduction=reduction)
        first = lib.autograd.grad(again, x, create_graph=True)[0]
        results += [first.detach(), lib.autograd.grad((first**2).sum(), x)[0]]
        found.append([t.numpy() for t in results])
    for own, other in zip(*found, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-5 * max(abs(other).max(), 1e-3))


def test_cross_entropy_of_scores_that_are_no_numbers():
    for special in (float("nan"), float("inf"), -float("inf")):
        found = []
        for lib in (swiftnet, torch):
            values = np.zeros((4, 3, 20), "float32")
            values[1, 2, 5] = values[2, 0, 7] = special
            x = lib.tensor(values).requires_grad_()
            target = lib.zeros(4, 20, dtype=lib.int64)
            target[2, 8] = -100
            target[1, 6] = -100
            loss = lib.nn.functional.cross_entropy(x, target, reduction="sum")
            loss.backward()
            found.append([loss.item(), x.grad.numpy()])
        np.testing.assert_equal(found[0][0], found[1][0])
        np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-5, atol=1e-6)


def test_cross_entropy_where_no_sample_counts():
    found = []
    for lib in (swiftnet, torch):
        x = lib.ones(3, 4, requires_grad=True)
        loss = lib.nn.functional.cross_entropy(x, lib.full((3,), -100))
        loss.backward()
        found.append([loss.item(), x.grad.numpy()])
    np.testing.assert_equal(found[0], found[1])
