"""Modules that learn the size of their input from the first batch, against PyTorch."""

import copy
import pickle

import numpy as np
import pytest
import swiftnet
import torch
from swiftnet.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy

LAYERS = [
    ("LazyLinear", (5,), {}, (2, 7)),
    ("LazyLinear", (5, False), {}, (2, 3, 7)),
    *[(f"LazyConv{d}d", (4, 3), {"stride": 2, "padding": 1}, (2, 6, 7, 6, 5)[: d + 2]) for d in (1, 2, 3)],
    ("LazyConv2d", (4, 3), {"groups": 2, "bias": False, "padding_mode": "circular", "padding": 1}, (6, 7, 6)),
    *[
        (f"LazyConvTranspose{d}d", (4, 3), {"stride": 2, "output_padding": 1}, (2, 6, 5, 4, 3)[: d + 2])
        for d in (1, 2, 3)
    ],
    *[(f"LazyBatchNorm{d}d", (), {}, (2, 6, 5, 4, 3)[: d + 2]) for d in (1, 2, 3)],
    ("LazyBatchNorm1d", (), {"affine": False, "momentum": None}, (4, 6)),
    ("LazyBatchNorm2d", (), {"track_running_stats": False}, (2, 6, 5, 4)),
    *[(f"LazyInstanceNorm{d}d", (), {}, (2, 6, 5, 4, 3)[: d + 2]) for d in (1, 2, 3)],
    ("LazyInstanceNorm2d", (), {"track_running_stats": False}, (2, 6, 5, 4)),
]


@pytest.mark.parametrize("case", LAYERS, ids=lambda c: f"{c[0]}-{len(c[3])}d-{len(c[2])}")
def test_layers(case):
    name, args, kwargs, shape = case
    x = np.random.default_rng(0).standard_normal(shape).astype("float32")
    seen = []
    for library in (swiftnet, torch):
        library.manual_seed(5)
        layer = getattr(library.nn, name)(*args, **kwargs)
        before = (repr(layer), list(layer.state_dict()), layer.has_uninitialized_params())
        output = layer(library.tensor(x))
        values = [output, *layer.state_dict().values()]
        seen.append((before, type(layer).__name__, repr(layer), list(layer.state_dict()), values))
    own, other = seen
    assert own[:4] == other[:4]
    for a, b in zip(own[4], other[4], strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-4, atol=1e-5)


def _mlp(library):
    class Net(library.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = library.nn.LazyLinear(6)
            self.second = library.nn.LazyLinear(2)

        def forward(self, x):
            return self.second(self.first(x).relu())

    return Net()


def test_in_a_net_and_in_a_sequential():
    results = []
    for library in (swiftnet, torch):
        library.manual_seed(0)
        net = library.nn.Sequential(
            library.nn.LazyConv2d(4, 3), library.nn.LazyBatchNorm2d(), library.nn.Flatten(), _mlp(library)
        )
        x = library.ones(2, 3, 6, 6)
        y = net(x).sum()
        y.backward()
        results.append((float(y), repr(net), [tuple(p.grad.shape) for p in net.parameters()], float(net(x).sum())))
    assert results[0][1:3] == results[1][1:3]
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-5)
    assert results[0][3] == pytest.approx(results[1][3], rel=1e-5)


def test_what_waits_cannot_be_used():
    layer = swiftnet.nn.LazyLinear(3)
    assert isinstance(layer.weight, UninitializedParameter)
    assert is_lazy(layer.weight)
    assert not is_lazy(swiftnet.nn.Linear(2, 3).weight)
    assert repr(layer.weight) == "<UninitializedParameter>"
    for use in (
        lambda: layer.weight.sum(), lambda: layer.weight + 1, lambda: swiftnet.add(layer.weight, 1),
        lambda: swiftnet.nn.functional.relu(layer.weight), lambda: layer.weight[0],
    ):  # fmt: skip
        with pytest.raises(ValueError, match="uninitialized parameter"):
            use()
    with pytest.raises(RuntimeError, match="Can't access the shape"):
        _ = layer.weight.shape
    assert layer.weight.requires_grad
    layer.weight.requires_grad_(False)
    assert not layer.weight.requires_grad
    layer.double()
    assert layer.weight.dtype is swiftnet.float64
    assert layer(swiftnet.ones(1, 2, dtype=swiftnet.float64)).dtype is swiftnet.float64
    assert not layer.weight.requires_grad
    with pytest.raises(RuntimeError, match="Expected 3D"):
        swiftnet.nn.LazyConv2d(3, 2)(swiftnet.ones(2, 2))


def test_states():
    for library in (swiftnet, torch):
        full = library.nn.Linear(4, 5)
        lazy = library.nn.LazyLinear(5)
        lazy.load_state_dict(full.state_dict())
        assert tuple(lazy.weight.shape) == (5, 4)
        assert tuple(lazy(library.ones(1, 4)).shape) == (1, 5)
        assert type(lazy) is library.nn.Linear
        assert lazy.in_features == 4
        with pytest.raises(RuntimeError, match="Can't access the shape"):
            full.load_state_dict(library.nn.LazyLinear(5).state_dict())
        library.nn.LazyLinear(5).load_state_dict(library.nn.LazyLinear(5).state_dict())


def test_copies_and_pickles():
    lazy = swiftnet.nn.LazyConv1d(3, 2)
    twin = copy.deepcopy(lazy)
    assert tuple(twin(swiftnet.ones(1, 2, 5)).shape) == (1, 3, 4)
    assert lazy.has_uninitialized_params()
    parameter = pickle.loads(pickle.dumps(lazy.weight))
    assert is_lazy(parameter)


def test_a_buffer_of_ones_own():
    buffer = UninitializedBuffer()
    assert is_lazy(buffer)
    assert not buffer.requires_grad
    buffer.materialize((2, 3))
    assert type(buffer) is swiftnet.Tensor
    assert tuple(buffer.shape) == (2, 3)


def test_a_lazy_module_of_ones_own():
    from swiftnet.nn.modules.lazy import LazyModuleMixin

    class Scale(LazyModuleMixin, swiftnet.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = UninitializedParameter()

        def initialize_parameters(self, x):
            self.scale.materialize((x.shape[-1],))
            self.scale.data.fill_(2.0)

        def forward(self, x):
            return x * self.scale

    scale = Scale()
    assert swiftnet.equal(scale(swiftnet.ones(2, 3)), swiftnet.full((2, 3), 2.0))
    assert type(scale) is Scale
