"""nn.init and the layers' own initial values: the numbers that PyTorch gives for the same seed."""

import numpy as np
import pytest
import swiftnet
import swiftnet.nn as nn
import torch
import torch.nn as tnn

FUNCTIONS = [
    ("uniform_", {}), ("uniform_", {"a": -2.0, "b": 3.0}), ("normal_", {}), ("normal_", {"mean": 1.0, "std": 0.3}),
    ("constant_", {"val": 0.3}), ("ones_", {}), ("zeros_", {}), ("xavier_uniform_", {}),
    ("xavier_uniform_", {"gain": 1.7}), ("xavier_normal_", {"gain": 0.5}), ("kaiming_uniform_", {}),
    ("kaiming_uniform_", {"a": 0.3, "mode": "fan_out"}), ("kaiming_normal_", {"nonlinearity": "relu"}),
    ("kaiming_normal_", {"mode": "fan_out", "nonlinearity": "tanh"}), ("trunc_normal_", {}),
    ("trunc_normal_", {"std": 0.02, "a": -0.01, "b": 0.03}), ("trunc_normal_", {"a": 1.0, "b": 2.0}),
    ("orthogonal_", {}), ("orthogonal_", {"gain": 2.0}),
]  # fmt: skip
SHAPES = [(7, 5), (5, 7), (6, 4, 3, 3), (16, 16), (3, 2, 2)]


def _same(own, other, tolerance=1e-6):
    np.testing.assert_allclose(own.detach().numpy(), other.detach().numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name, options", FUNCTIONS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers(name, options, shape, dtype):
    own = swiftnet.empty(shape, dtype=getattr(swiftnet, dtype))
    other = torch.empty(shape, dtype=getattr(torch, dtype))
    swiftnet.manual_seed(11)
    torch.manual_seed(11)
    assert getattr(nn.init, name)(own, **options) is own
    getattr(tnn.init, name)(other, **options)
    _same(own, other, 2e-5 if name == "orthogonal_" and dtype == "float32" else 1e-6)
    assert float(swiftnet.rand(1)) == float(torch.rand(1))


@pytest.mark.parametrize("shape", [(4, 4), (3, 5)])
def test_eye_sparse(shape):
    _same(nn.init.eye_(swiftnet.empty(shape)), tnn.init.eye_(torch.empty(shape)))
    swiftnet.manual_seed(5)
    torch.manual_seed(5)
    _same(nn.init.sparse_(swiftnet.empty(shape), 0.4), tnn.init.sparse_(torch.empty(shape), 0.4))


@pytest.mark.parametrize("shape", [(4, 2, 3), (4, 6, 3, 3), (2, 2, 1, 2, 3)])
@pytest.mark.parametrize("groups", [1, 2])
def test_dirac(shape, groups):
    _same(nn.init.dirac_(swiftnet.empty(shape), groups), tnn.init.dirac_(torch.empty(shape), groups))


def test_transposed_tensor():
    own, other = swiftnet.empty(5, 8), torch.empty(5, 8)
    swiftnet.manual_seed(2)
    torch.manual_seed(2)
    nn.init.normal_(own.t())
    tnn.init.normal_(other.t())
    _same(own, other)


@pytest.mark.parametrize("name", ["linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"])
def test_gain(name):
    assert nn.init.calculate_gain(name) == pytest.approx(tnn.init.calculate_gain(name), rel=1e-15)
    if name == "leaky_relu":
        assert nn.init.calculate_gain(name, 0.2) == pytest.approx(tnn.init.calculate_gain(name, 0.2), rel=1e-15)


LAYERS = [
    ("Linear", (20, 30)), ("Bilinear", (5, 6, 7)), ("Conv1d", (4, 6, 3)), ("Conv2d", (4, 6, (3, 2))),
    ("Conv3d", (2, 3, 3)), ("ConvTranspose2d", (4, 6, 3)), ("BatchNorm2d", (4,)), ("PReLU", (3,)), ("LayerNorm", (5,)),
    ("Embedding", (5, 4, 1)),
]  # fmt: skip


@pytest.mark.parametrize("name, args", LAYERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layers_begin_with_pytorchs_numbers(name, args, dtype):
    swiftnet.manual_seed(3)
    torch.manual_seed(3)
    own = getattr(nn, name)(*args, dtype=getattr(swiftnet, dtype))
    other = getattr(tnn, name)(*args, dtype=getattr(torch, dtype))
    for (name_own, p), (name_other, q) in zip(own.named_parameters(), other.named_parameters(), strict=True):
        assert name_own == name_other
        assert p.dtype is getattr(swiftnet, dtype)
        _same(p, q, 1e-7)
    swiftnet.manual_seed(3)
    before = [p.detach().clone() for p in own.parameters()]
    own.reset_parameters()
    for p, q in zip(own.parameters(), before, strict=True):
        _same(p, q)


ERRORS = [
    ("xavier_uniform_", (5,), {}), ("kaiming_normal_", (5,), {}), ("kaiming_normal_", (5, 5), {"mode": "sideways"}),
    ("kaiming_normal_", (5, 5), {"nonlinearity": "unknown"}), ("orthogonal_", (5,), {}), ("eye_", (5,), {}),
    ("dirac_", (5, 5), {}), ("dirac_", (5, 5, 3), {"groups": 2}), ("sparse_", (5, 5, 3), {"sparsity": 0.1}),
]  # fmt: skip


@pytest.mark.parametrize("name, shape, options", ERRORS)
def test_errors(name, shape, options):
    with pytest.raises(Exception) as expected:  # noqa: B017, PT011 - whatever torch raises
        getattr(tnn.init, name)(torch.empty(shape), **options)
    with pytest.raises(expected.type) as found:
        getattr(nn.init, name)(swiftnet.empty(shape), **options)
    assert str(found.value) == str(expected.value)


def test_empty_tensors_only_warn():
    with pytest.warns(UserWarning, match="zero-element"):
        nn.init.kaiming_uniform_(swiftnet.empty(0, 5))
