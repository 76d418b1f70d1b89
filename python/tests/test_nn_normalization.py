"""Normalisation, norms and distances: parity with torch.nn.functional."""

import numpy as np
import pytest
import swiftnet
import torch
from nn_parity import arrays, compare, same_error


def channels_last(lib, x, layout):
    if layout and x.ndim in (4, 5):
        return x.contiguous(memory_format=lib.channels_last if x.ndim == 4 else lib.channels_last_3d)
    return x


@pytest.mark.parametrize(
    "shape", [(6, 3), (5, 20), (4, 3, 5), (4, 3, 5, 6), (4, 20, 5, 6), (2, 9, 3, 4, 5), (0, 3, 4, 4)]
)
@pytest.mark.parametrize("layout", [False, True])
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_batch_norm(shape, layout, affine, training):
    def call(f, lib, x, w, b):
        mean, var = lib.full((shape[1],), 0.3), lib.full((shape[1],), 1.7)
        if x.dtype == lib.float64:
            mean, var = mean.double(), var.double()
        y = f.batch_norm(channels_last(lib, x, layout) * 2 + 3, mean, var, w, b, training, 0.2, 1e-3)
        return y, mean, var

    values = arrays(shape, (shape[1],), (shape[1],))
    if not affine:
        values[1:] = [None, None]
    compare(call, values)
    if shape[0]:
        compare(call, [v if v is None else v.astype("float64") for v in values], second=True)


def test_batch_norm_without_statistics():
    compare(lambda f, lib, x: f.batch_norm(x, None, None, training=True), arrays((4, 3, 5, 5)))
    compare(lambda f, lib, x: f.batch_norm(x, None, None, training=True), arrays((4, 3, 5, 5)), "bfloat16", grad=False)


def test_batch_norm_far_from_zero():
    x = arrays((16, 24, 6, 6), dtype="float64")[0] + 1000
    exact = torch.nn.functional.batch_norm(torch.tensor(x.astype("float32")).double(), None, None, training=True)
    ours = swiftnet.nn.functional.batch_norm(swiftnet.tensor(x.astype("float32")), None, None, training=True)
    theirs = torch.nn.functional.batch_norm(torch.tensor(x.astype("float32")), None, None, training=True)
    error = np.abs(ours.numpy() - exact.numpy()).max()
    assert error <= 2 * np.abs(theirs.numpy() - exact.numpy()).max()


def test_batch_norm_errors():
    same_error(
        lambda f, lib, x: f.batch_norm(x, None, None, training=True), arrays((1, 3)), "Expected more than 1 value"
    )
    same_error(
        lambda f, lib, x: f.batch_norm(x, lib.ones(2), lib.ones(2)), arrays((2, 3)), "running_mean should contain 3"
    )
    same_error(
        lambda f, lib, x: f.batch_norm(x, lib.ones(3), lib.ones(3), lib.ones(2)),
        arrays((2, 3)),
        "weight should contain 3",
    )


@pytest.mark.parametrize("shape", [(4, 3, 5), (2, 3, 4, 5), (2, 3, 2, 3, 4)])
@pytest.mark.parametrize("affine", [False, True])
def test_instance_norm(shape, affine):
    def call(f, lib, x, w, b):
        mean, var = lib.zeros(3).to(x.dtype), lib.ones(3).to(x.dtype)
        y = f.instance_norm(x, mean, var, w, b, True, 0.2)
        z = f.instance_norm(x, mean, var, w, b, False)
        return y, z, f.instance_norm(x), mean, var

    values = arrays(shape, (3,), (3,)) if affine else [*arrays(shape), None, None]
    compare(call, values)
    compare(call, [v if v is None else v.astype("float64") for v in values], second=True)


@pytest.mark.parametrize(
    ("shape", "normalized"), [((4, 5), (5,)), ((2, 3, 40), (40,)), ((2, 3, 4, 5), (4, 5)), ((3,), (3,)), ((0, 4), (4,))]
)
@pytest.mark.parametrize("affine", [0, 1, 2])
def test_layer_norm(shape, normalized, affine):
    values = [*arrays(shape, normalized, normalized)[: 1 + affine], None, None][:3]
    compare(lambda f, lib, x, w, b: f.layer_norm(x, normalized, w, b), values)
    compare(
        lambda f, lib, x, w, b: f.layer_norm(x, normalized, w, b, 1e-3),
        [v if v is None else v.astype("float64") for v in values], second=True,
    )  # fmt: skip


def test_layer_norm_errors():
    same_error(
        lambda f, lib, x: f.layer_norm(x, (5,)),
        arrays((2, 3, 4)),
        "Given normalized_shape=[5], expected input with shape [*, 5]",
    )
    same_error(
        lambda f, lib, x, w: f.layer_norm(x, (4,), w), arrays((2, 4), (5,)), "Expected weight to be of same shape"
    )


@pytest.mark.parametrize(("shape", "groups"), [((2, 6), 3), ((2, 6, 5), 2), ((2, 6, 4, 5), 6), ((2, 6, 4, 5), 1)])
@pytest.mark.parametrize("affine", [False, True])
def test_group_norm(shape, groups, affine):
    values = arrays(shape, (6,), (6,)) if affine else [*arrays(shape), None, None]
    compare(lambda f, lib, x, w, b: f.group_norm(x, groups, w, b), values)
    compare(
        lambda f, lib, x, w, b: f.group_norm(x, groups, w, b),
        [v if v is None else v.astype("float64") for v in values], second=True,
    )  # fmt: skip
    same_error(lambda f, lib, x: f.group_norm(x, 4), arrays(shape), "to be divisible by num_groups")


@pytest.mark.parametrize(
    ("shape", "groups"),
    [((3, 16, 30, 20), 4), ((2, 6, 5, 4, 3), 3), ((3, 40, 1, 1), 8), ((1, 64, 70, 9), 1), ((2, 3, 40, 50), 3)],
)
@pytest.mark.parametrize("layout", [False, True])
def test_group_norm_in_either_memory_order(shape, groups, layout):
    values = arrays(shape, (shape[1],), (shape[1],))
    compare(lambda f, lib, x, w, b: f.group_norm(channels_last(lib, x, layout), groups, w, b), values, dtype="float64")
    if np.prod(shape[2:]) > 1:
        compare(lambda f, lib, x: f.instance_norm(channels_last(lib, x, layout) * 2), values[:1], dtype="float64")
    x = channels_last(swiftnet, swiftnet.tensor(values[0]), layout)
    assert swiftnet.nn.functional.group_norm(x, groups).stride() == x.stride()


def test_errors_of_instance_norm():
    same_error(
        lambda f, lib, x, w: f.instance_norm(x, weight=w), arrays((2, 4, 5), (3,)),
        "weight should contain 8 elements not 6",
    )  # fmt: skip
    same_error(lambda f, lib, x: f.instance_norm(x.long()), arrays((2, 4, 5)), "not implemented for 'Long'")
    same_error(lambda f, lib, x, w: f.group_norm(x, 2, w.double()), arrays((2, 4, 5), (4,)), "mixed dtype (CPU)")


@pytest.mark.parametrize("layout", [False, True])
def test_group_norm_far_from_zero(layout):
    """Neither statistics nor gradients lose digits where the mean is large beside the deviation."""
    rng = np.random.default_rng(0)
    x, g = (rng.standard_normal((2, 12, 40, 30)) + 300).astype("float32"), rng.standard_normal((2, 12, 40, 30))
    found = []
    for lib, dtype in ((swiftnet, "float32"), (torch, "float64")):
        image = channels_last(lib, lib.tensor(x).to(getattr(lib, dtype)), layout).requires_grad_()
        y = lib.nn.functional.group_norm(image, 3)
        y.backward(lib.tensor(g).to(y.dtype))
        found.append([t.detach().double().numpy() for t in (y, image.grad)])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_other_norms():
    compare(lambda f, lib, x, w: f.rms_norm(x, (5,), w), arrays((3, 4, 5), (5,)), second=True)
    compare(lambda f, lib, x: f.rms_norm(x, (4, 5), eps=1e-3), arrays((3, 4, 5)))
    compare(lambda f, lib, x: f.local_response_norm(x, 3), arrays((2, 5, 4)))
    compare(lambda f, lib, x: f.local_response_norm(x, 2, 0.1, 0.5, 2.0), arrays((2, 5, 4, 3)))


@pytest.mark.parametrize("p", [1, 2, 3.5, float("inf")])
def test_normalize(p):
    compare(lambda f, lib, x: f.normalize(x, p), arrays((4, 5), dtype="float64"), second=p == 2)
    compare(lambda f, lib, x: f.normalize(x, p, dim=(0, 2)), arrays((4, 5, 2)))
    compare(lambda f, lib, x: f.normalize(x * 0, p), arrays((4, 5)))


@pytest.mark.parametrize("p", [0.5, 1, 2, 3, float("inf")])
def test_distances(p):
    compare(lambda f, lib, x, y: f.pairwise_distance(x, y, p), arrays((4, 5), (4, 5)), tolerance=(1e-4, 1e-5))
    compare(
        lambda f, lib, x, y: f.pairwise_distance(x, y, p, keepdim=True), arrays((4, 5), (5,)), tolerance=(1e-4, 1e-5)
    )
    if p >= 1:
        compare(lambda f, lib, x: f.pdist(x, p), arrays((5, 4)))


def test_cosine_similarity():
    compare(lambda f, lib, x, y: f.cosine_similarity(x, y), arrays((4, 5), (4, 5)))
    compare(lambda f, lib, x, y: f.cosine_similarity(x, y, 0), arrays((4, 5), (4, 1)))
    compare(lambda f, lib, x, y: f.cosine_similarity(x * 0, y), arrays((4, 5), (4, 5)), grad=False)


def test_second_derivatives_where_only_the_input_is_asked_for():
    """The weight requires a gradient too, but nobody asks for it: the graph behind it must stay out of use."""
    x, w = arrays((2, 4, 5), (4,))

    found = []
    for library in (swiftnet, torch):
        given = library.tensor(x).double().requires_grad_()
        weight = library.tensor(w).double().requires_grad_()
        y = library.nn.functional.instance_norm(given, weight=weight * 2)
        (g,) = library.autograd.grad((y * y.detach().sin()).sum(), given, create_graph=True)
        found.append([t.numpy() for t in library.autograd.grad((g * g).sum(), [given, weight])])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9)


def test_counter_of_batches():
    """Every element of it counts, whatever its dtype and shape; a mean over all batches wants exactly one."""
    for lib in (swiftnet, torch):
        x = lib.arange(96.0).reshape(2, 3, 4, 4)
        for counter in (lib.empty(0, dtype=lib.int64), lib.zeros(3, dtype=lib.int64), lib.tensor(4.0), lib.tensor([7])):
            norm, plain = lib.nn.BatchNorm2d(3), lib.nn.BatchNorm2d(3, momentum=None)
            before = counter.tolist()
            norm.num_batches_tracked, plain.num_batches_tracked = counter.clone(), counter.clone()
            norm(x)
            expected = [n + 1 for n in before] if isinstance(before, list) else before + 1
            assert norm.num_batches_tracked.tolist() == expected
            if counter.numel() == 1:
                plain(x)
                seen = plain.num_batches_tracked.item()
                assert plain.running_mean[0].item() == pytest.approx(x[:, 0].mean().item() / seen, rel=1e-6)
            else:
                with pytest.raises(ValueError, match="only one element tensors can be converted"):
                    plain(x)
        with lib.inference_mode():
            norm = lib.nn.BatchNorm2d(3)
        with pytest.raises(RuntimeError, match="Inplace update to inference tensor"):
            norm(x)
