"""Fold, unfold, grids, pooling at random places, bags of embeddings and CTC, against PyTorch."""

import itertools
import warnings

import numpy as np
import pytest
import swiftnet
import torch
from nn_parity import arrays, compare, same_error

F64 = "float64"


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("shape", [(2, 3, 7, 6), (3, 7, 6), (0, 3, 7, 6)])
@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3},
        {"kernel_size": (2, 3), "stride": 2},
        {"kernel_size": (3, 2), "dilation": (2, 1), "padding": (1, 2), "stride": (1, 2)},
    ],
)
def test_unfold_and_fold(shape, options, dtype):
    x = arrays(shape)[0]
    second = dtype == F64
    compare(lambda f, lib, x: f.unfold(x, **options), [x], dtype=dtype, second=second)
    columns = torch.nn.functional.unfold(torch.tensor(x), **options)
    noise = arrays(tuple(columns.shape))[0]
    compare(lambda f, lib, c: f.fold(c, (7, 6), **options), [noise], dtype=dtype, second=second)
    compare(lambda f, lib, x: lib.nn.Unfold(**options)(x), [x], dtype=dtype)
    compare(lambda f, lib, c: lib.nn.Fold((7, 6), **options)(c), [noise], dtype=dtype)


def test_unfold_of_a_strided_image():
    x = arrays((2, 3, 7, 6))[0]
    compare(lambda f, lib, x: f.unfold(x.transpose(2, 3)[:, ::2], 2, stride=2), [x], dtype=F64)


@pytest.mark.parametrize(
    ("call", "shape", "match"),
    [
        (lambda f, lib, x: f.unfold(x, 9), (2, 3, 7, 6), "sliding blocks"),
        (lambda f, lib, x: f.unfold(x, 0), (2, 3, 7, 6), "greater than zero"),
        (lambda f, lib, x: f.fold(x, (4, 4), 2), (2, 6, 9), "divisible by the product of kernel_size"),
        (lambda f, lib, x: f.fold(x, (4, 4), 2), (2, 8, 8), "calculated number of sliding blocks"),
        (lambda f, lib, x: f.fold(x, (4, 4), 2), (8,), "Expected 2D or 3D"),
    ],
)
def test_mistakes_in_folding(call, shape, match):
    same_error(call, arrays(shape), match)


@pytest.mark.parametrize("align", [True, False])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_grid_sample_of_images(mode, padding, align):
    x = arrays((2, 3, 5, 6))[0]
    grid = np.random.default_rng(1).uniform(-2.5, 2.5, (2, 4, 7, 2))
    grid[0, 0, 0] = [1, -1]
    grid[0, 0, 1] = [-1, 1]
    compare(lambda f, lib, x, g: f.grid_sample(x, g, mode, padding, align), [x, grid], dtype=F64)
    small = grid.astype("float32")
    compare(lambda f, lib, x, g: f.grid_sample(x, g, mode, padding, align), [x, small], dtype="float32",
            tolerance=(1e-4, 1e-4))  # fmt: skip


@pytest.mark.parametrize("align", [True, False])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_grid_sample_of_volumes(mode, padding, align):
    x = arrays((2, 3, 4, 5, 6))[0]
    grid = np.random.default_rng(1).uniform(-2.5, 2.5, (2, 3, 2, 4, 3))
    compare(lambda f, lib, x, g: f.grid_sample(x, g, mode, padding, align), [x, grid], dtype=F64)


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_gradients_of_gradients_of_grid_sample(mode, padding):
    rng = np.random.default_rng(2)
    x, grid = rng.standard_normal((2, 3, 4, 5)), rng.uniform(-1.4, 1.4, (2, 3, 2, 2))
    for align in (False, True):
        compare(lambda f, lib, x, g, a=align: f.grid_sample(x, g, mode, padding, a), [x, grid], dtype=F64, second=True)
    if mode == "bicubic":
        return
    x, grid = rng.standard_normal((1, 2, 3, 4, 5)), rng.uniform(-1.4, 1.4, (1, 2, 2, 2, 3))
    compare(lambda f, lib, x, g: f.grid_sample(x, g, mode, padding, False), [x, grid], dtype=F64, second=True)


def test_grid_sample_far_outside_and_at_what_is_no_number():
    x = arrays((1, 1, 3, 3))[0]
    grid = np.array([1e30, -1e30, np.inf, np.nan]).repeat(2).reshape(1, 2, 2, 2)
    far = grid[:, :1]
    for padding in ("zeros", "border"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compare(lambda f, lib, x, g, p=padding: f.grid_sample(x, g, padding_mode=p), [x, far], dtype=F64,
                    grad=False)  # fmt: skip
    result = swiftnet.nn.functional.grid_sample(
        swiftnet.tensor(x), swiftnet.tensor(grid.astype("float32")), padding_mode="reflection", align_corners=False
    )
    assert result.shape == (1, 1, 2, 2)


@pytest.mark.parametrize(
    ("call", "shapes", "match"),
    [
        (lambda f, lib, x, g: f.grid_sample(x, g), [(2, 3, 4, 4), (2, 4, 4, 3)], "size 2 in last dimension"),
        (lambda f, lib, x, g: f.grid_sample(x, g), [(2, 3, 4, 4), (1, 4, 4, 2)], "same batch size"),
        (lambda f, lib, x, g: f.grid_sample(x, g), [(2, 3, 4), (2, 4, 2)], "grid_sampler(): expected"),
        (lambda f, lib, x, g: f.grid_sample(x, g, "cubic"), [(2, 3, 4, 4), (2, 4, 4, 2)], "expected mode"),
        (lambda f, lib, x, g: f.grid_sample(x, g, padding_mode="x"), [(2, 3, 4, 4), (2, 4, 4, 2)], "padding_mode"),
        (lambda f, lib, x, g: f.grid_sample(x, g, "bicubic"), [(2, 3, 4, 4, 4), (2, 4, 4, 4, 3)], "only supports 4"),
        (lambda f, lib, x, g: f.grid_sample(x.double(), g), [(2, 3, 4, 4), (2, 4, 4, 2)], "expected"),
        (lambda f, lib, x, g: f.grid_sample(x, g), [(2, 3, 0, 4), (2, 4, 4, 2)], "non-empty spatial"),
    ],
)
def test_mistakes_with_grids(call, shapes, match):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        same_error(call, arrays(*shapes), match)


@pytest.mark.parametrize("align", [True, False])
@pytest.mark.parametrize("size", [(2, 3, 4, 5), (2, 1, 1, 3), (2, 3, 4, 5, 2)])
def test_affine_grid(size, align):
    d = len(size) - 2
    theta = arrays((2, d, d + 1))[0]
    compare(lambda f, lib, t: f.affine_grid(t, size, align), [theta], dtype=F64, second=True)


def test_mistakes_in_affine_grids():
    for shape, size, match in [
        ((2, 3, 3), (2, 1, 4, 4), "Expected a batch of 2D affine matrices"),
        ((2, 2, 3), (2, 1, 4), "only supports 4D and 5D"),
        ((2, 2, 3), (2, 1, 4, 0), "Expected non-zero, positive output size"),
    ]:
        same_error(lambda f, lib, t, s=size: f.affine_grid(t, s, False), arrays(shape), match)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("spatial", [2, 3])
@pytest.mark.parametrize("options", [{"output_size": 3}, {"output_ratio": 0.6}, {"output_size": 1}])
def test_fractional_max_pooling_draws_the_same_windows(spatial, options, dtype):
    x = arrays((2, 3, 9, 8, 7)[: spatial + 2])[0]

    def run(f, lib, x):
        lib.manual_seed(3)
        name = f"fractional_max_pool{spatial}d"
        ratio = {k: (v,) * spatial if k == "output_ratio" else v for k, v in options.items()}
        first = getattr(f, name)(x, 2, return_indices=True, **ratio)
        module = getattr(lib.nn, f"FractionalMaxPool{spatial}d")((2, 3, 2)[:spatial], **options)
        return [*first, module(x), module(x[0])]

    compare(run, [x], dtype=dtype)


def test_mistakes_in_fractional_pooling():
    x = arrays((2, 3, 5, 5))
    same_error(lambda f, lib, x: f.fractional_max_pool2d(x, 2, output_size=6), x, "too large relative to input")
    same_error(lambda f, lib, x: f.fractional_max_pool2d(x, 2), x, "requires specifying either")
    same_error(lambda f, lib, x: lib.nn.FractionalMaxPool2d(2), x, "requires specifying either")
    same_error(lambda f, lib, x: lib.nn.FractionalMaxPool2d(2, output_ratio=1.5), x, "must be between 0 and 1")
    same_error(lambda f, lib, x: lib.nn.FractionalMaxPool2d(2, 3, 0.5), x, "only one of")
    given = torch.rand(2, 3, 2).numpy()
    compare(lambda f, lib, x, s: f.fractional_max_pool2d(x, 2, 3, _random_samples=s.detach()), [*x, given])
    assert repr(swiftnet.nn.FractionalMaxPool2d(2, 3)) == repr(torch.nn.FractionalMaxPool2d(2, 3))


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("padding", [None, 2, -1])
def test_embedding_bags(mode, padding):
    table = arrays((6, 3))[0]
    flat = np.array([0, 2, 2, 5, 1, 2])

    def run(f, lib, w):
        index = lib.tensor(flat)
        results = [
            f.embedding_bag(index.reshape(2, 3), w, mode=mode, padding_idx=padding),
            f.embedding_bag(index, w, lib.tensor([0, 0, 2, 6]), mode=mode, padding_idx=padding),
            f.embedding_bag(index, w, lib.tensor([0, 2, 6]), mode=mode, padding_idx=padding, include_last_offset=True),
        ]
        if mode == "sum":
            share = lib.tensor([0.5, 1, 2, -1, 3, 0.25], dtype=w.dtype)
            results.append(f.embedding_bag(index, w, lib.tensor([0, 3]), mode="sum", per_sample_weights=share))
        return results

    compare(run, [table], dtype=F64)


def test_embedding_bag_module():
    for options in [{}, {"mode": "sum", "padding_idx": 1}, {"mode": "max", "max_norm": 1.0}]:
        own, other = (_seeded(lib, options) for lib in (swiftnet, torch))
        assert repr(own) == repr(other)
        np.testing.assert_allclose(own.weight.detach().numpy(), other.weight.detach().numpy(), atol=1e-6)
        found = own(swiftnet.tensor([1, 2, 4, 5, 4]), swiftnet.tensor([0, 3]))
        wanted = other(torch.tensor([1, 2, 4, 5, 4]), torch.tensor([0, 3]))
        np.testing.assert_allclose(found.detach().numpy(), wanted.detach().numpy(), atol=1e-6)
        assert list(own.state_dict()) == list(other.state_dict())
    frozen = swiftnet.nn.EmbeddingBag.from_pretrained(swiftnet.ones(3, 2), mode="sum")
    assert not frozen.weight.requires_grad


def _seeded(library, options):
    library.manual_seed(0)
    return library.nn.EmbeddingBag(7, 3, **options)


def test_mistakes_with_bags():
    table = arrays((6, 3))
    for call, match in [
        (lambda f, lib, w: f.embedding_bag(lib.tensor([1, 2]), w), "offsets has to be a 1D Tensor"),
        (lambda f, lib, w: f.embedding_bag(lib.tensor([[1, 2]]), w, lib.tensor([0])), "offsets has to be None"),
        (lambda f, lib, w: f.embedding_bag(lib.tensor([1, 2]), w, lib.tensor([1])), "offsets[0] has to be 0"),
        (lambda f, lib, w: f.embedding_bag(lib.tensor([1, 2]), w, lib.tensor([0, 5])), "can not be greater than"),
        (lambda f, lib, w: f.embedding_bag(lib.tensor([[1, 2]]), w, mode="min"), "mode has to be one of"),
        (
            lambda f, lib, w: f.embedding_bag(
                lib.tensor([[1, 2]]), w, per_sample_weights=lib.ones(1, 2, dtype=w.dtype)
            ),
            "only supported for mode='sum'",
        ),
    ]:
        same_error(call, table, match)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("blank", [0, 3])
def test_ctc(reduction, blank):
    logits = arrays((9, 3, 5))[0]
    labels = np.array([[1, 2, 2, 4], [4, 1, 1, 2], [2, 0, 0, 0]]) if blank == 3 else np.array(
        [[1, 2, 2, 4], [4, 1, 1, 3], [2, 1, 1, 1]]
    )  # fmt: skip

    def run(f, lib, x):
        logs = x.log_softmax(2)
        lengths = (lib.tensor([9, 7, 5]), lib.tensor([4, 3, 1]))
        joined = lib.tensor(np.concatenate([labels[0], labels[1][:3], labels[2][:1]]))
        return [
            f.ctc_loss(logs, lib.tensor(labels), *lengths, blank=blank, reduction=reduction),
            f.ctc_loss(logs, joined, (9, 7, 5), (4, 3, 1), blank, reduction),
            f.ctc_loss(logs, lib.tensor(labels), (9, 2, 5), (4, 3, 0), blank, reduction, zero_infinity=True),
            f.ctc_loss(logs[:, 0], lib.tensor(labels[0]), (9,), (4,), blank, reduction),
            lib.nn.CTCLoss(blank, reduction)(logs, lib.tensor(labels), *lengths),
        ]

    compare(run, [logits], dtype=F64)
    assert repr(swiftnet.nn.CTCLoss()) == repr(torch.nn.CTCLoss())


def test_ctc_has_no_second_derivative():
    messages = []
    for library in (swiftnet, torch):
        logs = library.tensor(np.random.default_rng(1).standard_normal((5, 1, 3)), requires_grad=True)
        loss = library.nn.functional.ctc_loss(logs, library.tensor([[1, 2]]), (5,), (2,))
        (gradient,) = library.autograd.grad(loss, logs, create_graph=True)
        assert gradient.requires_grad
        with pytest.raises(RuntimeError) as raised:
            library.autograd.grad(gradient.square().sum(), logs)
        messages.append(str(raised.value))
    assert "ctc_loss_backward is not implemented" in messages[0] and "ctc_loss_backward" in messages[1]


def test_mistakes_with_ctc():
    x = arrays((4, 2, 3))
    labels = [[1, 2], [1, 1]]
    for call, match in [
        (lambda f, lib, x: f.ctc_loss(x, lib.tensor(labels), (4, 9), (2, 2)), "Expected input_lengths to have value"),
        (lambda f, lib, x: f.ctc_loss(x, lib.tensor(labels), (4,), (2, 2)), "must be of size batch_size"),
        (lambda f, lib, x: f.ctc_loss(x, lib.tensor(labels), (4, 4), (2, 2), blank=7), "blank must be in label range"),
    ]:
        same_error(call, x, match)
    with pytest.raises(RuntimeError, match="out of range"):
        swiftnet.nn.functional.ctc_loss(swiftnet.zeros(4, 1, 3), swiftnet.tensor([[1, 7]]), (4,), (2,))


@pytest.mark.parametrize("size", [(4, 9), (11, 5), (3, 3)])
def test_lanczos(size):
    x = arrays((2, 3, 7, 8))[0]
    compare(
        lambda f, lib, x: f.interpolate(x, size, mode="lanczos", antialias=True, align_corners=False), [x], dtype=F64
    )


@pytest.mark.parametrize(("spatial", "pad"), list(itertools.product((1, 2), [(-1, 2), (2, -1)])))
def test_circular_padding_that_cuts(spatial, pad):
    x = arrays((2, 3, 5, 6)[: spatial + 2])[0]
    compare(lambda f, lib, x: f.pad(x, pad * spatial, mode="circular"), [x], dtype=F64, second=True)


HUGE = 2**62


@pytest.mark.parametrize(
    "call",
    [
        lambda f, s, x: f.unfold(x, HUGE),
        lambda f, s, x: f.unfold(x, 2, padding=HUGE),
        lambda f, s, x: f.unfold(x, 2, padding=2**29),
        lambda f, s, x: f.unfold(x, 2, stride=0),
        lambda f, s, x: f.unfold(x, (1, 2, 3)),
        lambda f, s, x: f.unfold(x, ()),
        lambda f, s, x: f.fold(x.reshape(1, 4, -1), (HUGE, HUGE), 2),
        lambda f, s, x: f.fold(x.reshape(1, 4, -1), (), 2),
        lambda f, s, x: f.fold(x.reshape(1, 4, -1), (-1, 4), 2),
        lambda f, s, x: f.affine_grid(s.zeros(2, 2, 3), (2, 1, HUGE, HUGE), False),
        lambda f, s, x: f.affine_grid(s.zeros(2, 2, 3), (2, 1, 2**40, 1), False),
        lambda f, s, x: f.affine_grid(s.zeros(2), (2, 1, 4, 4), False),
        lambda f, s, x: f.grid_sample(s.zeros(()), s.zeros(()), align_corners=False),
        lambda f, s, x: f.fractional_max_pool2d(x, HUGE, 2),
        lambda f, s, x: f.fractional_max_pool2d(x, 2, HUGE),
        lambda f, s, x: f.fractional_max_pool2d(x, 2, 2, _random_samples=s.full((1, 4, 2), float("nan"))),
        lambda f, s, x: f.fractional_max_pool2d(x, 2, 2, _random_samples=s.full((1, 4, 2), 1e30)),
        lambda f, s, x: f.fractional_max_pool2d(x, 2, -1),
        lambda f, s, x: f.embedding_bag(s.tensor([1]), s.zeros(2, 2), s.tensor([0, HUGE * 2 - 1])),
        lambda f, s, x: f.embedding_bag(s.tensor([1]), s.zeros(2, 2), s.tensor([-1])),
        lambda f, s, x: f.embedding_bag(s.tensor([5]), s.zeros(2, 2), s.tensor([0])),
        lambda f, s, x: f.ctc_loss(s.zeros(3, 1, 2), s.tensor([[HUGE * 2 - 1]]), (3,), (1,)),
        lambda f, s, x: f.ctc_loss(s.zeros(3, 1, 2), s.tensor([[1]]), (3,), (HUGE,)),
        lambda f, s, x: f.ctc_loss(s.zeros(3, 1, 2), s.tensor([[1]]), (-3,), (1,)),
        lambda f, s, x: f.ctc_loss(s.zeros(3, 1, 0), s.tensor([[1]]), (3,), (1,)),
        lambda f, s, x: s.matrix_exp(s.full((2, 2), float("inf"))),
        lambda f, s, x: s.matrix_exp(s.zeros(())),
        lambda f, s, x: s.orgqr(s.zeros(2), s.zeros(2)),
        lambda f, s, x: s.geqrf(s.zeros(2)),
        lambda f, s, x: s.nn.utils.spectral_norm(s.nn.PReLU(), dim=7),
        lambda f, s, x: s.nn.utils.parametrizations.weight_norm(s.nn.Linear(2, 2), dim=9),
        lambda f, s, x: s.mvlgamma(x, HUGE),
        lambda f, s, x: s.losses.DiceLoss(ignore_index=2.5)(x, x),
        lambda f, s, x: s.losses.functional.deepmar_weights(s.zeros(())),
        lambda f, s, x: s.losses.functional.weighted_label(s.zeros(()), s.zeros(()), s.zeros(())),
        lambda f, s, x: s.losses.LovaszSoftmaxLoss(classes=[HUGE])(x, s.zeros(1, 4, 4).long()),
        lambda f, s, x: s.losses.MultiLabelSoftmaxLoss(s.zeros(3))(s.zeros(2, 3), s.zeros(2, 3)),
    ],
)
def test_extreme_arguments_raise(call):
    import swiftnet.losses

    x = swiftnet.zeros(1, 4, 4, 4)
    with pytest.raises((ValueError, RuntimeError, TypeError, IndexError, MemoryError, OverflowError, AttributeError)):
        call(swiftnet.nn.functional, swiftnet, x)


def test_empty_batches():
    f = swiftnet.nn.functional
    assert tuple(f.grid_sample(swiftnet.zeros(0, 2, 3, 3), swiftnet.zeros(0, 4, 4, 2), align_corners=False).shape) == (
        0, 2, 4, 4,
    )  # fmt: skip
    assert tuple(f.fractional_max_pool2d(swiftnet.zeros(0, 2, 5, 5), 2, 3).shape) == (0, 2, 3, 3)
    assert tuple(f.embedding_bag(swiftnet.zeros(0, 3).long(), swiftnet.zeros(4, 2)).shape) == (0, 2)
    assert tuple(swiftnet.matrix_exp(swiftnet.zeros(0, 3, 3)).shape) == (0, 3, 3)
    assert tuple(f.ctc_loss(swiftnet.zeros(3, 0, 2), swiftnet.zeros(0, 1).long(), (), (), reduction="none").shape) == (
        0,
    )
