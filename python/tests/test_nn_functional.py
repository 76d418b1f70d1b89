"""Activations, softmax, linear maps, dropout: parity with torch.nn.functional."""

import numpy as np
import pytest
import swiftnet
import swiftnet.nn.functional as F
import torch
from nn_parity import arrays, compare, same_error

ACTIVATIONS = {
    "relu": [{}, {"inplace": True}],
    "relu6": [{}],
    "leaky_relu": [{}, {"negative_slope": 0.3}],
    "elu": [{}, {"alpha": 0.7}, {"alpha": 1.3, "inplace": True}],
    "selu": [{}, {"inplace": True}],
    "celu": [{}, {"alpha": 2.0}],
    "gelu": [{}, {"approximate": "tanh"}],
    "silu": [{}],
    "mish": [{}],
    "hardtanh": [{}, {"min_val": -0.3, "max_val": 0.9}],
    "hardsigmoid": [{}],
    "hardswish": [{}],
    "sigmoid": [{}],
    "tanh": [{}],
    "logsigmoid": [{}],
    "softplus": [{}, {"beta": 3, "threshold": 1}],
    "softsign": [{}],
    "tanhshrink": [{}],
    "softshrink": [{}, {"lambd": 0.2}],
    "hardshrink": [{}, {"lambd": 1.0}],
    "threshold": [{"threshold": 0.1, "value": 20.0}],
    "rrelu": [{}, {"lower": 0.1, "upper": 0.2}],
    "softmin": [{"dim": 1}],
    "glu": [{}, {"dim": 0}],
}
CASES = [(name, options) for name, table in ACTIVATIONS.items() for options in table]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "options"), CASES)
def test_activation(name, options, dtype):
    def call(functional, library, x):
        return getattr(functional, name)(x * 2, **options)

    # PyTorch computes hardsigmoid's slope in float32.
    compare(call, arrays((4, 6)), dtype, tolerance=(1e-6, 1e-6) if name == "hardsigmoid" else None)
    compare(call, arrays((0, 6)), dtype)


@pytest.mark.parametrize(("name", "options"), [c for c in CASES if c[0] not in ("rrelu", "hardsigmoid")])
def test_activation_second_derivative(name, options):
    compare(lambda f, lib, x: getattr(f, name)(x * 2, **options), arrays((4, 6), dtype="float64"), second=True)


@pytest.mark.parametrize("name", ["relu", "gelu", "silu", "softplus", "elu", "hardswish"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_activation_narrow(name, dtype):
    compare(lambda f, lib, x: getattr(f, name)(x), arrays((3, 40)), dtype, grad=False)


@pytest.mark.parametrize("name", ["relu", "elu", "selu", "celu", "leaky_relu", "hardtanh"])
def test_activation_in_place(name):
    x = swiftnet.randn(3, 3) if hasattr(swiftnet, "randn") else swiftnet.tensor(arrays((3, 3))[0])
    result = getattr(F, name + "_")(x)
    assert result is x


@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 4), (2, 3, 4, 5), (0, 3), (3, 0), ()])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax(name, shape):
    for dim in range(-len(shape) if shape else -1, len(shape) if shape else 1):
        compare(lambda f, lib, x, d=dim: getattr(f, name)(x, d), arrays(shape))
        compare(lambda f, lib, x, d=dim: getattr(f, name)(x, d), arrays(shape, dtype="float64"), second=True)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_layouts(name):
    def strided(f, lib, x):
        return getattr(f, name)(x.transpose(0, 2), 1)

    def channels_last(f, lib, x):
        return getattr(f, name)(x.contiguous(memory_format=lib.channels_last), 1)

    compare(strided, arrays((4, 5, 6)))
    compare(channels_last, arrays((2, 5, 3, 4)))
    compare(lambda f, lib, x: getattr(f, name)(x, 1), arrays((3, 70)), "bfloat16", grad=False)
    compare(lambda f, lib, x: getattr(f, name)(x, 1, dtype=lib.float64), arrays((3, 7)))


@pytest.mark.parametrize("dim", [0, 1])
def test_softmax_of_scores_far_apart(dim):
    """Around the least normal number, e^-87.34, and far below; 0 must come out where nothing is left."""
    scores = np.repeat([[0], [-80], [-87.2], [-87.4], [-87.6], [-87.7], [-88], [-104], [-1e4], [-np.inf]], 17, 1)
    scores = np.ascontiguousarray((scores if dim == 0 else scores.T).astype(np.float32))
    exact = torch.tensor(scores, dtype=torch.float64).softmax(dim).numpy()
    result = F.softmax(swiftnet.tensor(scores), dim).numpy()
    least = np.finfo(np.float32).tiny
    np.testing.assert_allclose(result, exact, rtol=1e-6, atol=0.7 * least)
    np.testing.assert_allclose(result[exact > least], exact[exact > least], rtol=1e-6)
    assert (result[exact == 0] == 0).all()
    assert (result >= 0).all()


def test_softmax_errors():
    same_error(lambda f, lib, x: f.softmax(x, 2), arrays((2, 3)), "Dimension out of range")
    with pytest.warns(UserWarning, match="Implicit dimension"):
        F.softmax(swiftnet.ones(2, 3))


def test_gumbel_softmax():
    swiftnet.ones(1)
    logits = swiftnet.tensor(arrays((50, 4))[0], requires_grad=True)
    soft = F.gumbel_softmax(logits, tau=0.5)
    np.testing.assert_allclose(soft.sum(-1).detach().numpy(), 1, rtol=1e-5)
    hard = F.gumbel_softmax(logits, hard=True)
    assert set(np.unique(hard.detach().numpy().round(5))) == {0.0, 1.0}
    (hard * soft.detach()).sum().backward()
    assert logits.grad.abs().sum().item() > 0


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize(
    ("x", "weight", "bias"),
    [
        ((4, 3), (5, 3), (5,)), ((4, 3), (5, 3), None), ((3,), (5, 3), (5,)), ((2, 3, 4), (5, 4), (5,)),
        ((0, 3), (5, 3), (5,)), ((4, 3), (3,), None), ((2, 2, 2, 3), (1, 3), (1,)), ((70, 130), (90, 130), (90,)),
    ],
)  # fmt: skip
def test_linear(x, weight, bias, dtype):
    values = arrays(x, weight, bias if bias else (1,))
    if bias is None:
        values[2] = None
    compare(
        lambda f, lib, *a: f.linear(*a),
        values,
        dtype,
        grad=dtype != "bfloat16",
        tolerance=(2e-2, 1e-2) if dtype == "bfloat16" else None,
    )
    if dtype == "float64":
        compare(lambda f, lib, *a: f.linear(*a), values, dtype, second=True)


def test_linear_errors():
    same_error(
        lambda f, lib, *a: f.linear(*a), arrays((2, 3), (4, 5)),
        "mat1 and mat2 shapes cannot be multiplied (2x3 and 5x4)",
    )  # fmt: skip
    same_error(lambda f, lib, *a: f.linear(*a), arrays((2, 3), (4, 3), (3,)), "must match the existing size")


def test_bilinear():
    compare(lambda f, lib, *a: f.bilinear(*a), arrays((2, 4, 3), (2, 4, 5), (6, 3, 5), (6,)))
    compare(lambda f, lib, *a: f.bilinear(*a), arrays((4, 3), (4, 5), (6, 3, 5)))
    same_error(lambda f, lib, *a: f.bilinear(*a), arrays((4, 3), (4, 5), (6, 2, 5)), "does not match weight size")


@pytest.mark.parametrize(
    ("x", "weight"), [((3, 4), (4,)), ((3, 4, 5), (4,)), ((3, 4), (1,)), ((5,), (1,)), ((2, 3, 4, 4), (3,))]
)
def test_prelu(x, weight):
    compare(lambda f, lib, *a: f.prelu(*a), arrays(x, weight), second=True)


def test_prelu_error():
    same_error(lambda f, lib, *a: f.prelu(*a), arrays((3, 4), (3,)), "Found parameter numbers = 3")


def test_activation_errors():
    x = arrays((3, 3))
    same_error(lambda f, lib, a: f.glu(a), x, "Halving dimension must be even")
    same_error(lambda f, lib, a: f.hardtanh(a, 1, -1), x, "min_val")
    same_error(lambda f, lib, a: f.celu(a, 0), x, "alpha cannot be 0")
    same_error(lambda f, lib, a: f.softshrink(a, -1), x, "lambda must be")
    same_error(lambda f, lib, a: f.gelu(a, approximate="no"), x, "approximate")
    same_error(lambda f, lib, a: f.dropout(a, 1.5), x, "dropout probability")
    with pytest.raises(TypeError):
        F.relu(3)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("dropout", (40, 50)), ("alpha_dropout", (40, 50)), ("dropout1d", (6, 30, 2)), ("dropout1d", (30, 2)),
        ("dropout2d", (6, 30, 2, 3)), ("dropout3d", (6, 30, 2, 2, 2)), ("dropout3d", (30, 2, 2, 2)),
        ("feature_alpha_dropout", (6, 30, 2, 3)), ("dropout", (3, 70001)), ("dropout", (2, 19, 33, 35)),
    ],
)  # fmt: skip
def test_dropout_numbers(name, shape):
    """The same seed drops the same elements as in PyTorch."""

    def call(f, lib, x):
        lib.manual_seed(3)
        return getattr(f, name)(x, 0.3, training=True)

    compare(call, arrays(shape))


def test_dropout_of_volumes_joined():
    """What is still to be computed is computed in the place where it is joined, whatever the layouts."""

    def call(f, lib, x, y):
        lib.manual_seed(3)
        parts = [f.dropout(f.leaky_relu(part * 2), 0.2) for part in (x, y)]
        parts = [part.contiguous(memory_format=lib.channels_last_3d) for part in (parts[0], y)] + [parts[1]]
        last = x.contiguous(memory_format=lib.channels_last_3d)
        return lib.cat([f.leaky_relu(last * 3), last * 2, last], 1).reshape(2, -1), *parts

    compare(call, arrays((2, 19, 9, 10, 11), (2, 19, 9, 10, 11)))


@pytest.mark.parametrize("shape", [(2, 19, 33, 35), (1, 16, 64, 64), (3, 37, 20, 9)])
def test_dropout_whatever_the_layout(shape):
    """The same elements are dropped, in forward and backward, however the image lies in memory."""
    found = []
    for memory_format in (swiftnet.contiguous_format, swiftnet.channels_last):
        x = swiftnet.tensor(arrays(shape)[0]).contiguous(memory_format=memory_format).requires_grad_()
        swiftnet.manual_seed(3)
        y = swiftnet.cat([F.dropout(x * 3, 0.3), x], 1)
        y.backward(swiftnet.tensor(arrays(y.shape)[0]))
        found.append((y.detach().numpy(), x.grad.numpy()))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])


@pytest.mark.parametrize(
    ("batch", "features", "outputs"),
    [(16, 40003, 30), (5, 20000, 12), (9, 33000, 9), (1, 40003, 30), (7, 33000, 1), (1, 70000, 1)],
)
def test_linear_of_many_features(batch, features, outputs):
    """Sums of many terms, against PyTorch in float64."""
    x, w, b = arrays((batch, features), (outputs, features), (outputs,))
    results = []
    for lib, dtype in ((swiftnet, "float32"), (torch, "float64")):
        inputs = [lib.tensor(v.astype(dtype), requires_grad=True) for v in (x, w, b)]
        out = lib.nn.functional.linear(*inputs)
        (out * out).sum().backward()
        results.append([out.detach().numpy()] + [v.grad.numpy() for v in inputs])
    for own, other in zip(*results, strict=True):
        np.testing.assert_allclose(own, other, rtol=0, atol=3e-6 * abs(other).max())


def test_dropout():
    x = swiftnet.ones(100, 100, requires_grad=True)
    y = F.dropout(x, 0.25)
    values = y.detach().numpy()
    assert set(np.unique(values).tolist()) == {0.0, np.float32(1 / 0.75)}
    assert abs((values == 0).mean() - 0.25) < 0.02
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), values)
    assert F.dropout(x, 0.5, training=False) is x
    np.testing.assert_array_equal(F.dropout(x, 1.0).detach().numpy(), 0)
    z = swiftnet.ones(10, 10)
    assert F.dropout(z, 0.5, inplace=True) is z
    assert (z == 0).sum().item() > 0
    w = x.detach() * 1
    w.requires_grad_()
    v = w * 1
    F.dropout(v, 0.5, inplace=True)
    v.sum().backward()
    np.testing.assert_array_equal(w.grad.numpy(), v.detach().numpy())


def test_torch_is_the_oracle():
    assert torch.__version__.startswith("2.13")


@pytest.mark.parametrize("limits", [(-1.0, 1.0), (-2, 3), (-1.5, 3.7)])
def test_hardtanh_of_integers(limits):
    own, other = (lib.nn.functional.hardtanh(lib.arange(-3, 6), *limits) for lib in (swiftnet, torch))
    assert own.tolist() == other.tolist()
    assert own.dtype is swiftnet.int64
    assert swiftnet.nn.Hardtanh(*limits)(swiftnet.arange(-3, 6)).tolist() == other.tolist()


@pytest.mark.parametrize("name", ["glu", "rrelu"])
def test_activations_that_integers_do_not_have(name):
    for library in (swiftnet, torch):
        with pytest.raises(NotImplementedError, match="not implemented for 'Long'"):
            getattr(library.nn.functional, name)(library.arange(6))
