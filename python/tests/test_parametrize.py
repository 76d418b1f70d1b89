"""Weights made from other parameters: weight norm, spectral norm, orthogonal matrices, parametrizations of one's own."""

import copy
import warnings

import numpy as np
import pytest
import swiftnet
import torch
from swiftnet.nn.utils import parametrize as P

LAYERS = [
    ("Linear", (5, 3), (4, 5)), ("Conv1d", (4, 6, 3), (2, 4, 9)), ("Conv2d", (4, 6, 3), (2, 4, 7, 7)),
    ("ConvTranspose2d", (4, 6, 3), (2, 4, 5, 5)), ("Conv3d", (2, 3, 2), (1, 2, 4, 4, 4)),
]  # fmt: skip


def _layer(library, name, args, seed=0):
    library.manual_seed(seed)
    return getattr(library.nn, name)(*args, dtype=library.float64)


def _close(own, other, tolerance=1e-9):
    np.testing.assert_allclose(own.detach().numpy(), other.detach().numpy(), rtol=tolerance, atol=tolerance)


def _both(build, name, args, shape, seed=0):
    """Builds a layer in both libraries, and trains it for three steps."""
    x = np.random.default_rng(1).standard_normal(shape)
    seen = []
    for library in (swiftnet, torch):
        layer = _layer(library, name, args, seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            layer = build(library, layer)
        optimizer = library.optim.SGD(layer.parameters(), lr=0.1)
        outputs = []
        for _ in range(3):
            optimizer.zero_grad()
            y = layer(library.tensor(x))
            (y * y).mean().backward()
            optimizer.step()
            outputs.append(y)
        layer.eval()
        outputs.append(layer(library.tensor(x)))
        seen.append((layer, outputs))
    (own, ours), (other, theirs) = seen
    for a, b in zip(ours, theirs, strict=True):
        _close(a, b)
    assert sorted(own.state_dict()) == sorted(other.state_dict())
    for key, value in other.state_dict().items():
        _close(own.state_dict()[key], value)
    return own, other, x


@pytest.mark.parametrize("dim", [0, 1, None])
@pytest.mark.parametrize("case", LAYERS, ids=lambda c: c[0])
def test_weight_norm(case, dim):
    for build in (
        lambda lib, m: lib.nn.utils.weight_norm(m, dim=dim),
        lambda lib, m: lib.nn.utils.parametrizations.weight_norm(m, dim=dim),
    ):
        own, other, x = _both(build, *case)
        assert list(own.state_dict()) == list(other.state_dict())
        _close(own.weight, other.weight)


def test_removing_weight_norm():
    for library in (swiftnet, torch):
        layer = _layer(library, "Conv2d", (2, 3, 3))
        x = library.ones(1, 2, 5, 5, dtype=library.float64)
        with pytest.warns(FutureWarning, match="deprecated"):
            library.nn.utils.weight_norm(layer)
        with pytest.raises(RuntimeError, match="Cannot register two weight_norm hooks"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            library.nn.utils.weight_norm(layer)
        before = layer(x)
        library.nn.utils.remove_weight_norm(layer)
        assert list(layer.state_dict()) == ["bias", "weight"]
        assert isinstance(layer.weight, library.nn.Parameter)
        np.testing.assert_allclose(layer(x).detach().numpy(), before.detach().numpy())
        with pytest.raises(ValueError, match="weight_norm of 'weight' not found in"):
            library.nn.utils.remove_weight_norm(layer)


@pytest.mark.parametrize("case", LAYERS, ids=lambda c: c[0])
@pytest.mark.parametrize("steps", [1, 3])
def test_spectral_norm(case, steps):
    own, other, x = _both(lambda lib, m: lib.nn.utils.spectral_norm(m, n_power_iterations=steps), *case)
    for layer, library in ((own, swiftnet), (other, torch)):
        before = layer(library.tensor(x))
        library.nn.utils.remove_spectral_norm(layer)
        _close(layer(library.tensor(x)), before)
        assert sorted(layer.state_dict()) == ["bias", "weight"]
        with pytest.raises(ValueError, match="spectral_norm of 'weight' not found in"):
            library.nn.utils.remove_spectral_norm(layer)
    own, other, x = _both(
        lambda lib, m: lib.nn.utils.parametrizations.spectral_norm(m, n_power_iterations=steps), *case
    )
    _close(own.weight, other.weight)
    assert repr(own) == repr(other)


def test_spectral_norm_of_a_vector_and_mistakes():
    for library in (swiftnet, torch):
        layer = library.nn.LayerNorm(4)
        library.nn.utils.parametrizations.spectral_norm(layer)
        assert float(layer.weight.norm()) == pytest.approx(1)
        with pytest.raises(ValueError, match="n_power_iterations to be positive"):
            library.nn.utils.spectral_norm(library.nn.Linear(2, 2), n_power_iterations=0)
        with pytest.raises(ValueError, match="has no parameter or buffer with name 'wait'"):
            library.nn.utils.parametrizations.spectral_norm(library.nn.Linear(2, 2), "wait")


@pytest.mark.parametrize("trivialization", [True, False])
@pytest.mark.parametrize("way", ["matrix_exp", "cayley", "householder", None])
@pytest.mark.parametrize("sizes", [(4, 4), (6, 3), (3, 6)])
def test_orthogonal(sizes, way, trivialization):
    if not trivialization and (way in ("matrix_exp", "cayley") or (way is None and sizes[0] == sizes[1])):
        for library in (swiftnet, torch):
            layer = library.nn.utils.parametrizations.orthogonal(
                library.nn.Linear(*sizes), orthogonal_map=way, use_trivialization=False
            )
            with pytest.raises(NotImplementedError, match="use_trivialization=False"):
                layer.weight = library.eye(sizes[1], sizes[0])
        return
    own, other, _ = _both(
        lambda lib, m: lib.nn.utils.parametrizations.orthogonal(
            m, orthogonal_map=way, use_trivialization=trivialization
        ),
        "Linear", sizes, (4, sizes[0]),
    )  # fmt: skip
    _close(own.weight, other.weight)
    weight = own.weight.detach().numpy()
    if weight.shape[0] < weight.shape[1]:
        weight = weight.T
    np.testing.assert_allclose(weight.T @ weight, np.eye(weight.shape[1]), atol=1e-12)
    square = np.linalg.qr(np.random.default_rng(3).standard_normal((6, 6)))[0]
    if sizes[0] == sizes[1]:
        square = np.linalg.qr(square[:4, :4])[0]
    wanted = square[: sizes[1], : sizes[0]]
    own.weight, other.weight = swiftnet.tensor(wanted), torch.tensor(wanted)
    _close(own.weight, other.weight)


class Symmetric(swiftnet.nn.Module):
    def forward(self, x):
        return x.triu() + x.triu(1).transpose(-1, -2)

    def right_inverse(self, a):
        return a.triu()


class Halved(swiftnet.nn.Module):
    def forward(self, x):
        return x / 2


def test_a_parametrization_of_ones_own():
    layer = swiftnet.nn.Linear(3, 3)
    parameter = layer.weight
    P.register_parametrization(layer, "weight", Symmetric())
    assert P.is_parametrized(layer)
    assert P.is_parametrized(layer, "weight")
    assert not P.is_parametrized(layer, "bias")
    assert type(layer).__name__ == "ParametrizedLinear"
    assert P.type_before_parametrizations(layer) is swiftnet.nn.Linear
    assert layer.parametrizations.weight.original is parameter
    assert swiftnet.equal(layer.weight, layer.weight.T)
    x = swiftnet.randn(4, 3)
    _close(layer(x), x @ layer.weight.T + layer.bias, 1e-6)
    layer(x).sum().backward()
    assert float(parameter.grad.tril(-1).abs().sum()) == 0
    assert sorted(dict(layer.named_parameters())) == ["bias", "parametrizations.weight.original"]
    layer.weight = swiftnet.ones(3, 3)
    assert swiftnet.equal(layer.weight, swiftnet.ones(3, 3))
    twin = copy.deepcopy(layer)
    twin.weight = swiftnet.zeros(3, 3)
    assert float(layer.weight.sum()) == 9
    assert float(twin(x).sum()) == pytest.approx(float(twin.bias.sum()) * 4, rel=1e-5)
    P.register_parametrization(layer, "weight", Halved())
    assert float(layer.weight.sum()) == 4.5
    with pytest.raises(RuntimeError, match="does not implement right_inverse"):
        layer.weight = swiftnet.ones(3, 3)
    in_net = swiftnet.nn.Sequential(layer, swiftnet.nn.Identity())
    _close(in_net(x), layer(x))
    other = P.transfer_parametrizations_and_params(layer, swiftnet.nn.Linear(3, 3))
    assert swiftnet.equal(other.weight, layer.weight)
    P.remove_parametrizations(layer, "weight")
    assert type(layer) is swiftnet.nn.Linear
    assert isinstance(layer.weight, swiftnet.nn.Parameter)
    assert float(layer.weight.sum()) == 4.5
    assert list(layer.state_dict()) == ["bias", "weight"]
    assert float(layer(swiftnet.ones(1, 3)).sum() - layer.bias.sum()) == pytest.approx(4.5)


def test_leaving_the_original():
    layer = swiftnet.nn.Linear(2, 2)
    P.register_parametrization(layer, "weight", Halved())
    original = layer.parametrizations.weight.original.detach().clone()
    P.remove_parametrizations(layer, "weight", leave_parametrized=False)
    assert swiftnet.equal(layer.weight.detach(), original)


def test_computing_once():
    calls = []

    class Counted(swiftnet.nn.Module):
        def forward(self, x):
            calls.append(1)
            return x

    layer = P.register_parametrization(swiftnet.nn.Linear(2, 2), "weight", Counted())
    calls.clear()
    with P.cached():
        layer(swiftnet.ones(1, 2))
        layer(swiftnet.ones(1, 2))
    assert len(calls) == 1
    layer(swiftnet.ones(1, 2))
    assert len(calls) == 2


def test_a_buffer_and_a_module_of_ones_own():
    class Net(swiftnet.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("scale", swiftnet.full((3,), 4.0))

        def forward(self, x):
            return x * self.scale

    net = P.register_parametrization(Net(), "scale", Halved())
    assert swiftnet.equal(net(swiftnet.ones(3)), swiftnet.full((3,), 2.0))
    assert list(net.state_dict()) == ["parametrizations.scale.original"]
    P.remove_parametrizations(net, "scale")
    assert list(net.state_dict()) == ["scale"]
    assert swiftnet.equal(net(swiftnet.ones(3)), swiftnet.full((3,), 2.0))


def test_mistakes():
    class Wider(swiftnet.nn.Module):
        def forward(self, x):
            return swiftnet.cat([x, x])

    with pytest.raises(ValueError, match="may not change the shape"):
        P.register_parametrization(swiftnet.nn.Linear(2, 2), "weight", Wider())
    with pytest.raises(ValueError, match="does not have a parameter, a buffer, or a parametrized element"):
        P.register_parametrization(swiftnet.nn.Linear(2, 2), "height", Halved())
    with pytest.raises(ValueError, match="does not have a parametrization on weight"):
        P.remove_parametrizations(swiftnet.nn.Linear(2, 2), "weight")
    layer = P.register_parametrization(swiftnet.nn.Linear(2, 2, bias=False), "weight", Wider(), unsafe=True)
    assert tuple(layer(swiftnet.ones(1, 2)).shape) == (1, 4)


def test_a_plain_tensor_as_weight():
    """What a hyper-network does: the weight is computed, and gradients flow into what it came from."""
    for library in (swiftnet, torch):
        layer = library.nn.Linear(3, 2)
        del layer.weight
        source = library.full((2, 3), 2.0, requires_grad=True)
        layer.weight = source * 3
        y = layer(library.ones(1, 3))
        y.sum().backward()
        assert float(source.grad.sum()) == 18
        assert float(y.sum() - layer.bias.sum()) == pytest.approx(36)
        assert list(layer.state_dict()) == ["bias"]
        del layer.weight
        with pytest.raises((AttributeError, RuntimeError)):
            layer(library.ones(1, 3))


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("affine", [False, True])
def test_fusing_batch_norm_into_convolutions(transpose, bias, affine):
    from swiftnet.nn.utils import fuse_conv_bn_eval

    name = "ConvTranspose2d" if transpose else "Conv2d"
    conv = getattr(swiftnet.nn, name)(3, 4, 3, bias=bias, dtype=swiftnet.float64)
    norm = swiftnet.nn.BatchNorm2d(4, affine=affine, dtype=swiftnet.float64)
    x = swiftnet.randn(2, 3, 6, 6, dtype=swiftnet.float64)
    for _ in range(3):
        norm(conv(x))
    with pytest.raises(AssertionError, match="Fusion only for eval"):
        fuse_conv_bn_eval(conv, norm, transpose)
    conv.eval()
    norm.eval()
    fused = fuse_conv_bn_eval(conv, norm, transpose)
    _close(fused(x), norm(conv(x)))
    assert (conv.bias is not None) == bias
    other = torch.nn.utils.fuse_conv_bn_weights(
        *[
            None if t is None else torch.nn.Parameter(torch.tensor(t.detach().numpy()))
            for t in (conv.weight, conv.bias)
        ],
        *[torch.tensor(t.numpy()) for t in (norm.running_mean, norm.running_var)], norm.eps,
        *[None if t is None else torch.tensor(t.detach().numpy()) for t in (norm.weight, norm.bias)], transpose,
    )  # fmt: skip
    _close(fused.weight, other[0])
    _close(fused.bias, other[1])


def test_fusing_batch_norm_into_linear_layers():
    linear, norm = swiftnet.nn.Linear(3, 4), swiftnet.nn.BatchNorm1d(4)
    x = swiftnet.randn(8, 3)
    norm(linear(x))
    fused = swiftnet.nn.utils.fuse_linear_bn_eval(linear.eval(), norm.eval())
    _close(fused(x), norm(linear(x)), 1e-5)


def test_skip_init():
    swiftnet.manual_seed(0)
    state = swiftnet.get_rng_state()
    layer = swiftnet.nn.utils.skip_init(swiftnet.nn.Linear, 3, 4)
    assert swiftnet.equal(state, swiftnet.get_rng_state())
    assert tuple(layer.weight.shape) == (4, 3)
    with pytest.raises(RuntimeError, match="Expected a Module"):
        swiftnet.nn.utils.skip_init(dict)
