"""Hooks on registration and backward, messages of wrong calls, and the softmax over many classes, against PyTorch."""

import numpy as np
import pytest
import swiftnet
import torch

LIBRARIES = (swiftnet, torch)


def _registrations(library):
    from importlib import import_module

    module = import_module(f"{library.__name__}.nn.modules.module")
    seen = []
    handles = [
        getattr(module, f"register_module_{kind}_registration_hook")(
            lambda owner, name, value, kind=kind: seen.append((kind, type(owner).__name__, name))
        )
        for kind in ("parameter", "buffer", "module")
    ]
    nn = library.nn
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    net.register_buffer("mark", library.zeros(1))
    net.scale = nn.Parameter(library.ones(1))
    net.add_module("last", nn.Identity())
    for handle in handles:
        handle.remove()
    nn.Linear(1, 1)
    return seen


def test_registration_hooks():
    own, other = (_registrations(library) for library in LIBRARIES)
    assert sorted(own) == sorted(other)


def test_a_registration_hook_that_replaces():
    from swiftnet.nn.modules.module import register_module_parameter_registration_hook

    def frozen(module, name, parameter):
        return None if parameter is None else swiftnet.nn.Parameter(parameter.detach() * 0, requires_grad=False)

    with register_module_parameter_registration_hook(frozen):
        layer = swiftnet.nn.Linear(2, 2)
    assert not layer.weight.requires_grad
    assert float(layer(swiftnet.ones(1, 2)).abs().sum()) == 0


def test_the_two_kinds_of_backward_hooks_exclude_each_other():
    for library in LIBRARIES:
        for first, second in (
            ("register_backward_hook", "register_full_backward_hook"),
            ("register_full_backward_hook", "register_backward_hook"),
        ):
            layer = library.nn.Linear(2, 2)
            getattr(layer, first)(lambda *_: None)
            with pytest.raises(RuntimeError, match="Cannot use both regular backward hooks and full backward hooks"):
                getattr(layer, second)(lambda *_: None)


@pytest.mark.parametrize(
    "call",
    [lambda m: m(), lambda m: m(1, 2), lambda m: m(x=1)],
)
@pytest.mark.parametrize("name", ["Linear", "ReLU", "MaxPool2d"])
def test_wrong_calls_name_the_class(name, call):
    args = {"Linear": (2, 2), "ReLU": (), "MaxPool2d": (2,)}[name]
    messages = []
    for library in LIBRARIES:
        with pytest.raises(TypeError) as error:
            call(getattr(library.nn, name)(*args))
        messages.append(str(error.value))
    assert messages[0] == messages[1]


def test_names_of_types_in_messages():
    for library in LIBRARIES:
        with pytest.raises(TypeError, match=f"cannot assign '{library.__name__}.FloatTensor' as parameter 'weight'"):
            library.nn.Linear(2, 2).weight = library.zeros(2, 2)


@pytest.mark.parametrize("bias", [False, True])
def test_softmax_over_many_classes(bias):
    x = np.random.default_rng(0).standard_normal((7, 16)).astype("float32")
    y = np.array([0, 19, 4, 5, 9, 10, 11])
    seen = []
    for library in LIBRARIES:
        library.manual_seed(0)
        layer = library.nn.AdaptiveLogSoftmaxWithLoss(16, 20, [5, 10], div_value=2.0, head_bias=bias)
        given = library.tensor(x, requires_grad=True)
        result = layer(given, library.tensor(y))
        result.loss.backward()
        one = layer(given[0], library.tensor(3))
        seen.append(
            [
                repr(layer), list(layer.state_dict()), result.output, result.loss, given.grad, layer.log_prob(given),
                layer.predict(given), one.output, *[p.grad for p in layer.parameters()],
            ]
        )  # fmt: skip
    assert seen[0][:2] == seen[1][:2]
    for a, b in zip(seen[0][2:], seen[1][2:], strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-4, atol=1e-5)
    for library in LIBRARIES:
        layer = library.nn.AdaptiveLogSoftmaxWithLoss(16, 20, [5, 10])
        with pytest.raises(RuntimeError, match=r"Target values should be in \[0, 19\]"):
            layer(library.zeros(1, 16), library.tensor([20]))
        with pytest.raises(RuntimeError, match="same size in the batch dimension"):
            layer(library.zeros(1, 16), library.tensor([1, 2]))
        with pytest.raises(ValueError, match="cutoffs should be a sequence of unique, positive integers"):
            library.nn.AdaptiveLogSoftmaxWithLoss(16, 20, [10, 5])


def test_older_names():
    assert issubclass(swiftnet.nn.NLLLoss2d, swiftnet.nn.NLLLoss)
