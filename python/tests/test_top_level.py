"""Functions at the top level and methods that are others' further names, copies, windows, statistics; `out=`."""

import numpy as np
import pytest
import swiftnet
import torch
from nn_parity import arrays, compare, same_error

F64 = "float64"
X = arrays((4, 6))[0]
IMAGE = arrays((2, 4, 7, 6))[0]
LINE = arrays((2, 4, 9))[0]
VOLUME = arrays((2, 3, 5, 4, 4))[0]

NEURAL = [
    ("softmax", lambda lib, x: lib.softmax(x, 1), [X]),
    ("softmax dtype", lambda lib, x: x.float().softmax(0, dtype=lib.float64), [X]),
    ("log_softmax", lambda lib, x: lib.log_softmax(x, -1), [X]),
    ("log_softmax method", lambda lib, x: x.log_softmax(-1), [X]),
    ("dropout", lambda lib, x: (lib.manual_seed(0), lib.dropout(x, 0.3, True))[1], [X]),
    ("dropout in evaluation", lambda lib, x: lib.dropout(x, 0.3, False), [X]),
    ("alpha_dropout", lambda lib, x: (lib.manual_seed(0), lib.alpha_dropout(x, 0.3, True))[1], [X]),
    ("feature_dropout", lambda lib, x: (lib.manual_seed(0), lib.feature_dropout(x, 0.5, True))[1], [IMAGE]),
    ("selu", lambda lib, x: lib.selu(x), [X]),
    ("celu", lambda lib, x: lib.celu(x, 0.5), [X]),
    ("rrelu", lambda lib, x: lib.rrelu(x, 0.1, 0.3, False), [X]),
    ("threshold", lambda lib, x: lib.threshold(x, 0.1, -2.0), [X]),
    ("hardshrink", lambda lib, x: x.hardshrink(0.3), [X]),
    ("prelu", lambda lib, x, w: lib.prelu(x, w), [X, arrays((6,))[0]]),
    ("prelu method", lambda lib, x, w: x.prelu(w), [X, arrays((1,))[0]]),
    ("conv1d", lambda lib, x, w, b: lib.conv1d(x, w, b, 2, 1), [LINE, *arrays((5, 4, 3), (5,))]),
    ("conv2d", lambda lib, x, w: lib.conv2d(x, w, None, 2, 1, 1, 2), [IMAGE, *arrays((6, 2, 3, 3))]),
    ("conv3d", lambda lib, x, w: lib.conv3d(x, w), [VOLUME, *arrays((2, 3, 2, 2, 2))]),
    ("conv_transpose2d", lambda lib, x, w: lib.conv_transpose2d(x, w, None, 2, 1, 1), [IMAGE, *arrays((4, 3, 3, 3))]),
    (
        "convolution",
        lambda lib, x, w: lib.convolution(x, w, None, [2, 1], [1, 0], [1, 1], False, [0, 0], 1),
        [IMAGE, *arrays((6, 4, 3, 3))],
    ),
    ("max_pool1d", lambda lib, x: lib.max_pool1d(x, 3, 2), [LINE]),
    ("max_pool2d", lambda lib, x: lib.max_pool2d(x, 3, 2, 1), [IMAGE]),
    ("max_pool3d", lambda lib, x: lib.max_pool3d(x, 2), [VOLUME]),
    ("max_pool1d_with_indices", lambda lib, x: lib.max_pool1d_with_indices(x, 3, 2), [LINE]),
    ("avg_pool1d", lambda lib, x: lib.avg_pool1d(x, 3, 2), [LINE]),
    ("adaptive_avg_pool1d", lambda lib, x: lib.adaptive_avg_pool1d(x, 4), [LINE]),
    ("adaptive_max_pool1d", lambda lib, x: lib.adaptive_max_pool1d(x, 4), [LINE]),
    ("pixel_shuffle", lambda lib, x: lib.pixel_shuffle(x, 2), [IMAGE]),
    ("channel_shuffle", lambda lib, x: lib.channel_shuffle(x, 2), [IMAGE]),
    ("constant_pad_nd", lambda lib, x: lib.constant_pad_nd(x, (1, 2, 0, 1), 3.0), [IMAGE]),
    (
        "batch_norm",
        lambda lib, x, w, b: lib.batch_norm(x, w, b, None, None, True, 0.1, 1e-5, False),
        [IMAGE, *arrays((4,), (4,))],
    ),
    (
        "instance_norm",
        lambda lib, x, w, b: lib.instance_norm(x, w, b, None, None, True, 0.1, 1e-5, False),
        [IMAGE, *arrays((4,), (4,))],
    ),
    ("layer_norm", lambda lib, x, w, b: lib.layer_norm(x, (6,), w, b), [X, *arrays((6,), (6,))]),
    ("native_layer_norm", lambda lib, x, w, b: lib.native_layer_norm(x, (6,), w, b, 1e-5), [X, *arrays((6,), (6,))]),
    ("group_norm", lambda lib, x: lib.group_norm(x, 2), [IMAGE]),
    ("rms_norm", lambda lib, x: lib.rms_norm(x, (6,)), [X]),
    ("bilinear", lambda lib, x, y, w: lib.bilinear(x, y, w), arrays((4, 3), (4, 2), (5, 3, 2))),
    ("pdist", lambda lib, x: lib.pdist(x), [X]),
    ("embedding", lambda lib, w: lib.embedding(w, lib.tensor([[0, 2], [1, 1]])), [X]),
    ("norm_except_dim", lambda lib, x: lib.norm_except_dim(x, 2, 1), [X]),
    (
        "grid_sampler",
        lambda lib, x, g: lib.grid_sampler(x, g.tanh(), 0, 1, True),
        [IMAGE, *arrays((2, 3, 3, 2))],
    ),
    ("affine_grid_generator", lambda lib, t: lib.affine_grid_generator(t, [2, 1, 3, 3], False), arrays((2, 2, 3))),
    (
        "binary_cross_entropy_with_logits",
        lambda lib, x, y: lib.binary_cross_entropy_with_logits(x, y.sigmoid().detach(), None, None, 2),
        [X, *arrays((4, 6))],
    ),
    ("kl_div", lambda lib, x, y: lib.kl_div(x, y.sigmoid(), 1), [X, *arrays((4, 6), seed=3)]),
    ("poisson", lambda lib, x, y: lib.poisson_nll_loss(x, y.exp(), True, False, 1e-8, 1), [X, *arrays((4, 6), seed=3)]),
    ("hinge", lambda lib, x, y: lib.hinge_embedding_loss(x, y.sign().detach()), [X, *arrays((4, 6), seed=3)]),
    (
        "ranking",
        lambda lib, x, y, z: lib.margin_ranking_loss(x, y, z.sign().detach(), 0.1, 0),
        arrays((4,), (4,), (4,)),
    ),
    (
        "cosine",
        lambda lib, x, y: lib.cosine_embedding_loss(x, y, lib.tensor([1, -1, 1, 1])),
        [X, *arrays((4, 6), seed=3)],
    ),
    ("triplet", lambda lib, x, y, z: lib.triplet_margin_loss(x, y, z), arrays((4, 6), (4, 6), (4, 6))),
]


@pytest.mark.parametrize("case", NEURAL, ids=lambda c: c[0])
def test_functions_of_networks(case):
    compare(lambda f, lib, *tensors: case[1](lib, *tensors), case[2], dtype=F64)


def test_in_place_forms():
    for name, args in [("selu_", ()), ("celu_", ()), ("threshold_", (0.1, 2.0)), ("arctan_", ()), ("fix_", ()),
                       ("negative_", ()), ("rrelu_", (0.1, 0.2, False))]:  # fmt: skip
        own, other = swiftnet.tensor(X), torch.tensor(X)
        assert getattr(swiftnet, name)(own, *args) is own
        np.testing.assert_allclose(own.numpy(), getattr(torch, name)(other, *args).numpy(), rtol=1e-6, atol=1e-6)


COPIES = [
    ("as_strided_copy", ((2, 3), (1, 2))), ("detach_copy", ()), ("diagonal_copy", ()), ("expand_copy", ((2, 4, 6),)),
    ("narrow_copy", (1, 2, 3)), ("permute_copy", ((1, 0),)), ("select_copy", (0, 2)), ("split_copy", (2,)),
    ("squeeze_copy", ()), ("t_copy", ()), ("transpose_copy", (0, 1)), ("unbind_copy", (1,)), ("unfold_copy", (1, 2, 2)),
    ("unsqueeze_copy", (1,)), ("view_copy", ((6, 4),)), ("alias_copy", ()), ("slice_copy", (1, 1, 5, 2)),
    ("unsafe_chunk", (2,)), ("unsafe_split", (3,)),
]  # fmt: skip


@pytest.mark.parametrize("case", COPIES, ids=lambda c: c[0])
def test_copies(case):
    name, args = case
    compare(lambda f, lib, x: getattr(lib, name)(x, *args), [X], dtype=F64, grad=name != "detach_copy")
    if name.endswith("copy"):
        x = swiftnet.tensor(X)
        found = getattr(swiftnet, name)(x, *args)
        for part in found if isinstance(found, tuple) else [found]:
            assert part.data_ptr() != x.data_ptr()


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("length", [0, 1, 2, 7, 8])
@pytest.mark.parametrize("name", ["hann", "hamming", "blackman", "bartlett", "kaiser"])
def test_windows(name, length, periodic):
    compare(lambda f, lib: getattr(lib, f"{name}_window")(length, periodic, dtype=lib.float64), [])
    compare(lambda f, lib: getattr(lib, f"{name}_window")(length, periodic), [], tolerance=(1e-6, 1e-6))


def _spd(lib, x):
    return x @ x.mT + 4 * lib.eye(x.shape[-2], dtype=x.dtype)


STATISTICS = [
    ("cov", lambda lib, x: lib.cov(x), [X]),
    ("cov 1d", lambda lib, x: lib.cov(x[0], correction=0), [X]),
    (
        "cov weights",
        lambda lib, x: lib.cov(
            x, fweights=lib.tensor([1, 2, 1, 3, 1, 1]), aweights=lib.tensor([0.5, 1, 1, 2, 1, 1], dtype=x.dtype)
        ),
        [X],
    ),
    ("corrcoef", lambda lib, x: lib.corrcoef(x), [X]),
    ("gradient", lambda lib, x: lib.gradient(x), [X]),
    ("gradient spacing", lambda lib, x: lib.gradient(x, spacing=0.5, dim=1, edge_order=2), [X]),
    (
        "gradient coordinates",
        lambda lib, x: lib.gradient(x, spacing=[lib.tensor([0.0, 1, 3, 4, 7, 8], dtype=x.dtype)], dim=1),
        [X],
    ),
    ("vander", lambda lib, x: lib.vander(x[0]), [X]),
    ("vander increasing", lambda lib, x: lib.vander(x[0], 3, True), [X]),
    ("logdet", lambda lib, x: lib.logdet(_spd(lib, x)), [X]),
    ("fill logdet negative", lambda lib, x: lib.logdet(-_spd(lib, x[:3, :3])).detach(), [X]),
    ("matrix_exp", lambda lib, x: lib.matrix_exp(x[:4, :4]), [X]),
    ("matrix_exp batch", lambda lib, x: lib.linalg.matrix_exp(5 * x[:, :, :6, :]), [arrays((2, 4, 6, 6))[0]]),
    ("geqrf", lambda lib, x: [t.detach() for t in lib.geqrf(x)], [X]),
    ("geqrf tall", lambda lib, x: [t.detach() for t in lib.geqrf(x.mT)], [X]),
    ("orgqr", lambda lib, x, t: lib.orgqr(x.mT, t), [X, *arrays((4,))]),
    (
        "cholesky_solve",
        lambda lib, x, y: lib.cholesky_solve(y, lib.linalg.cholesky(_spd(lib, x))),
        arrays((3, 3), (3, 2)),
    ),
    ("cholesky_inverse", lambda lib, x: lib.cholesky_inverse(lib.linalg.cholesky(_spd(lib, x))), arrays((3, 3))),
    ("linalg.diagonal", lambda lib, x: lib.linalg.diagonal(x, offset=1), [X]),
    ("linalg.vander", lambda lib, x: lib.linalg.vander(x, N=3), [X]),
    ("sum_to_size", lambda lib, x: x.sum_to_size(1, 6), [X]),
    ("sum_to_size all", lambda lib, x: x.sum_to_size((1,)), [X]),
    ("fill", lambda lib, x: lib.fill(x, 2.5).detach(), [X]),
    ("positive", lambda lib, x: lib.positive(x), [X]),
    ("logspace", lambda lib: lib.logspace(-2, 3, 7, dtype=lib.float64), []),
    ("logspace base", lambda lib: lib.logspace(0, 3, 4, base=2.0, dtype=lib.float64), []),
]


NO_GRADIENT = ("vander", "geqrf", "fill", "logspace")


@pytest.mark.parametrize("case", STATISTICS, ids=lambda c: c[0])
def test_statistics_and_matrices(case):
    compare(
        lambda f, lib, *tensors: case[1](lib, *tensors),
        case[2],
        dtype=F64,
        tolerance=(1e-8, 1e-8),
        grad=case[0].split()[0] not in NO_GRADIENT,
    )


def test_unravel_index():
    index = np.array([[3, 11], [0, 23]])
    for a, b in zip(
        swiftnet.unravel_index(swiftnet.tensor(index), (2, 3, 4)), torch.unravel_index(torch.tensor(index), (2, 3, 4)),
        strict=True,
    ):  # fmt: skip
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_types_and_devices():
    for dtype in ("float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "bool"):
        own, other = (lib.zeros(2, dtype=getattr(lib, dtype)) for lib in (swiftnet, torch))
        assert own.type().split(".")[1] == other.type().split(".")[1]
        assert swiftnet.is_signed(own) == torch.is_signed(other)
    assert swiftnet.ones(1).type("swiftnet.DoubleTensor").dtype is swiftnet.float64
    assert swiftnet.ones(1).type(swiftnet.int32).dtype is swiftnet.int32
    assert swiftnet.ones(1).is_cpu
    assert swiftnet.ones(1).get_device() == -1
    swiftnet.use_deterministic_algorithms(True, warn_only=True)
    assert swiftnet.are_deterministic_algorithms_enabled()
    assert swiftnet.get_deterministic_debug_mode() == 1
    swiftnet.use_deterministic_algorithms(False)
    assert swiftnet.get_float32_matmul_precision() == "highest"


def test_asarray_and_frombuffer():
    array = np.arange(6.0)
    shared = swiftnet.asarray(array)
    shared[0] = 7
    assert array[0] == 7
    assert swiftnet.asarray(array, copy=True).data_ptr() != shared.data_ptr()
    assert swiftnet.asarray([1, 2]).dtype is swiftnet.int64
    with pytest.raises(ValueError, match="can't alias"):
        swiftnet.asarray([1, 2], copy=False)
    data = bytearray(array.astype("float32").tobytes())
    own = swiftnet.frombuffer(data, dtype=swiftnet.float32, offset=4, count=3)
    np.testing.assert_array_equal(own.numpy(), torch.frombuffer(data, dtype=torch.float32, offset=4, count=3).numpy())
    own[0] = 9
    assert np.frombuffer(data, "float32")[1] == 9
    for options in ({"count": 100}, {"offset": 99}, {"offset": 1}):
        same_error(lambda f, lib, o=options: lib.frombuffer(data, dtype=lib.float32, **o), [], "buffer length")


@pytest.mark.parametrize(("shape", "wrap"), [((3, 5), False), ((7, 3), False), ((7, 3), True), ((3, 3, 3), False)])
def test_fill_diagonal(shape, wrap):
    own, other = swiftnet.zeros(shape), torch.zeros(shape)
    np.testing.assert_array_equal(own.fill_diagonal_(2.0, wrap).numpy(), other.fill_diagonal_(2.0, wrap).numpy())


def test_apply():
    np.testing.assert_array_equal(
        swiftnet.arange(6).reshape(2, 3).apply_(lambda v: v * v).numpy(), [[0, 1, 4], [9, 16, 25]]
    )


# ---- out= ----


def _out_cases(lib):
    x, y = lib.tensor(X.astype(F64)), lib.tensor(X.astype(F64) + 1)
    return {
        "add": lambda out: lib.add(x, y, out=out),
        "add alpha": lambda out: lib.add(x, y, alpha=2, out=out),
        "exp": lambda out: lib.exp(x, out=out),
        "matmul": lambda out: lib.matmul(x, y.T, out=out),
        "sum": lambda out: lib.sum(x, dim=0, out=out),
        "cat": lambda out: lib.cat([x, y], out=out),
        "stack": lambda out: lib.stack([x, y], 1, out=out),
        "where": lambda out: lib.where(x > 0, x, y, out=out),
        "clamp": lambda out: lib.clamp(x, 0, 1, out=out),
        "zeros": lambda out: lib.zeros(2, 3, out=out),
        "arange": lambda out: lib.arange(5, out=out),
        "cumsum": lambda out: lib.cumsum(x, 1, out=out),
    }


@pytest.mark.parametrize("name", _out_cases(torch))
def test_out(name):
    results = []
    for library in (swiftnet, torch):
        out = library.empty(0, dtype=library.float64 if name not in ("zeros", "arange") else library.float32)
        found = _out_cases(library)[name](out)
        assert found is out
        results.append((str(out.dtype).split(".")[1], out.numpy()))
    assert results[0][0] == results[1][0]
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-12)


def test_out_with_several_results_views_and_mistakes():
    for library in (swiftnet, torch):
        x = library.tensor(X.astype(F64))
        values, indices = library.empty(0, dtype=x.dtype), library.empty(0, dtype=library.int64)
        found = library.max(x, 1, out=(values, indices))
        assert found.values is values
        assert indices.tolist() == x.argmax(1).tolist()
        whole = library.zeros(4, 6, dtype=x.dtype)
        library.mul(x[:, :3], 2, out=whole[:, :3])
        assert float(whole[:, 3:].abs().sum()) == 0
        assert float((whole[:, :3] - 2 * x[:, :3]).abs().sum()) == 0
        with pytest.raises(RuntimeError, match="can't be cast to the desired output type Long"):
            library.add(x, 1, out=library.zeros(4, 6, dtype=library.int64))
        with pytest.raises(RuntimeError, match="don't support automatic differentiation"):
            library.add(x.clone().requires_grad_(), 1, out=library.zeros(4, 6, dtype=x.dtype))
        with pytest.warns(UserWarning, match="was resized since it had shape"):
            library.add(x, 1, out=library.zeros(2, dtype=x.dtype))
        with pytest.raises(TypeError):
            library.add(x, 1, out="here")


def test_joining_what_is_no_list():
    x = swiftnet.tensor(X)
    for join in (swiftnet.cat, swiftnet.stack, swiftnet.linalg.multi_dot):
        with pytest.raises(TypeError, match="must be tuple of Tensors"):
            join(x)
