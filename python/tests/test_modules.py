"""nn.Module: what a PyTorch user expects of it, with modules of both languages mixed."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest
import swiftnet
import swiftnet.nn as nn
import torch
import torch.nn as tnn

LIBRARIES = [swiftnet, torch]


def net_class(library):
    """The same network in either library."""

    class Block(library.nn.Module):
        def __init__(self, width):
            super().__init__()
            self.linear = library.nn.Linear(width, width)
            self.norm = library.nn.LayerNorm(width)
            self.scale = library.nn.Parameter(library.ones(width))
            self.register_buffer("seen", library.zeros(()))
            self.register_buffer("hidden", library.zeros(2), persistent=False)

        def forward(self, x):
            return x + self.scale * self.norm(self.linear(x)).relu()

    class Net(library.nn.Module):
        def __init__(self, width=4):
            super().__init__()
            self.blocks = library.nn.ModuleList([Block(width) for _ in range(2)])
            self.heads = library.nn.ModuleDict({"a": library.nn.Linear(width, 2), "b": library.nn.Linear(width, 3)})
            self.shared = self.blocks[0]
            self.unused = None
            self.register_parameter("nothing", None)

        def forward(self, x, head="a"):
            for block in self.blocks:
                x = block(x)
            return self.heads[head](x)

    return Net


Net = net_class(swiftnet)
OtherNet = net_class(torch)


def pair():
    other = OtherNet()
    own = Net()
    own.load_state_dict(other.state_dict())
    return own, other


def close(own, other, tolerance=2e-5):
    np.testing.assert_allclose(own.detach().numpy(), other.detach().numpy(), rtol=tolerance, atol=tolerance)


X = np.random.default_rng(0).standard_normal((3, 4)).astype("float32")


def test_names_orders_and_texts():
    own, other = pair()
    assert [n for n, _ in own.named_modules()] == [n for n, _ in other.named_modules()]
    assert [n for n, _ in own.named_modules(remove_duplicate=False)] == [
        n for n, _ in other.named_modules(remove_duplicate=False)
    ]
    for method in ("named_parameters", "named_buffers"):
        for options in ({}, {"recurse": False}, {"prefix": "p"}, {"remove_duplicate": False}):
            found = [n for n, _ in getattr(own, method)(**options)]
            assert found == [n for n, _ in getattr(other, method)(**options)]
    assert [n for n, _ in own.named_children()] == [n for n, _ in other.named_children()]
    assert list(own.state_dict()) == list(other.state_dict())
    assert own.state_dict()._metadata == other.state_dict()._metadata
    assert repr(own) == repr(other)
    assert {n for n in dir(other) if not n.startswith("_")} - set(dir(own)) <= {"ipu", "xpu", "mtia"}


def test_forward_backward_and_modes():
    own, other = pair()
    x, t = swiftnet.tensor(X), torch.tensor(X)
    for head in "ab":
        close(own(x, head=head), other(t, head=head))
    own(x).sum().backward()
    other(t).sum().backward()
    for (name, p), q in zip(own.named_parameters(), other.parameters(), strict=True):
        if q.grad is None:
            assert p.grad is None, name
        else:
            close(p.grad, q.grad)
    own.zero_grad(set_to_none=False)
    assert float(own.blocks[0].scale.grad.abs().sum()) == 0
    own.zero_grad()
    assert own.blocks[0].scale.grad is None
    assert own.eval() is own
    assert not own.training
    assert not own.blocks[1].norm.training
    own.train()
    assert own.blocks[1].norm.training
    with pytest.raises(ValueError, match="training mode"):
        own.train(3)
    own.requires_grad_(False)
    assert not any(p.requires_grad for p in own.parameters())
    names = []
    own.apply(lambda m: names.append(type(m).__name__))
    others = []
    other.apply(lambda m: others.append(type(m).__name__))
    assert names == others


def test_conversions_keep_parameters():
    own = Net()
    weight = own.heads["a"].weight
    own.double()
    assert own.heads["a"].weight is weight
    assert weight.dtype is swiftnet.float64
    assert own.blocks[0].seen.dtype is swiftnet.float64
    own.to(swiftnet.bfloat16)
    assert weight.dtype is swiftnet.bfloat16
    own.to(swiftnet.zeros(1)).to("cpu").cpu()
    assert weight.dtype is swiftnet.float32
    own.half().float()
    with pytest.raises(TypeError, match="floating point"):
        own.to(swiftnet.int64)
    with pytest.raises((RuntimeError, AssertionError)):
        own.to("cuda")
    assert own.share_memory() is own


def test_identity():
    own = Net()
    assert own.blocks[0] is own.shared
    assert own.get_submodule("blocks.0.linear") is own.blocks[0].linear
    assert own.get_parameter("heads.a.bias") is own.heads["a"].bias
    assert own.get_buffer("blocks.1.seen") is own.blocks[1].seen
    for path in ("blocks.7", "blocks.0.scale"):
        with pytest.raises(AttributeError):
            own.get_submodule(path)
    with pytest.raises(AttributeError):
        own.get_parameter("blocks.0.seen")
    gone = weakref.ref(own)
    del own
    gc.collect()
    assert gone() is None


def test_replacing_members():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    x = swiftnet.tensor(X)

    class Double(nn.Module):
        def forward(self, x):
            return 2 * x

    before = model(x)
    model[1] = Double()
    assert not swiftnet.equal(before, model(x))
    model.add_module("last", Double())
    hidden = model[0](x)
    expected = model[2](hidden * 2) * 2
    close(model(x), expected)
    del model[1]
    assert list(model._modules) == ["0", "1", "2"]
    model[0].weight = nn.Parameter(swiftnet.zeros(8, 4))
    model[0].bias = None
    assert float(model[0](x).abs().sum()) == 0
    model[0]._parameters["weight"] = nn.Parameter(swiftnet.ones(8, 4))
    close(model[0](x), swiftnet.tensor(X.sum(1, keepdims=True).repeat(8, 1)))
    del model[0].weight
    with pytest.raises(RuntimeError):
        model[0](x)
    with pytest.raises(AttributeError):
        model[0].weight  # noqa: B018 - the access itself is what fails


def test_override_of_a_built_in_layer_runs_in_a_swift_container():
    class Loud(nn.Linear):
        def forward(self, x):
            return super().forward(x) * 2

    layer = Loud(4, 3)
    x = swiftnet.tensor(X)
    plain = swiftnet.nn.functional.linear(x, layer.weight, layer.bias)
    close(layer(x), plain * 2)
    close(nn.Sequential(nn.Identity(), layer)(x), plain * 2)
    quiet = nn.Linear(4, 3)
    model = nn.Sequential(quiet)
    quiet.forward = lambda x: x * 5
    close(model(x), x * 5)
    del quiet.forward
    close(model(x), quiet(x))


def test_any_value_passes_a_sequential():
    class Split(nn.Module):
        def forward(self, x):
            return {"x": x, "more": [x, (x, None)], "number": 3}

    class Join(nn.Module):
        def forward(self, parts):
            assert parts["number"] == 3
            assert parts["more"][1][1] is None
            return parts["x"] + parts["more"][0]

    class Pair(nn.Module):
        def forward(self, x):
            return x, [x, 1, 2.5, "text", True, None]

    class Unpair(nn.Module):
        def forward(self, pair):
            x, rest = pair
            assert isinstance(pair, tuple)
            assert rest[1:] == [1, 2.5, "text", True, None]
            return x + rest[0]

    x = swiftnet.tensor(X)
    close(nn.Sequential(Split(), Join(), Pair(), Unpair())(x), x * 4)


def test_errors_in_python_modules_come_through_swift():
    class Broken(nn.Module):
        def forward(self, x):
            raise ZeroDivisionError("broken")

    with pytest.raises(ZeroDivisionError, match="broken"):
        nn.Sequential(nn.Sequential(Broken()))(swiftnet.ones(2))

    class Empty(nn.Module):
        pass

    with pytest.raises(NotImplementedError, match='missing the required "forward"'):
        Empty()(swiftnet.ones(2))
    with pytest.raises(TypeError):
        nn.Linear(4, 2)(X)
    with pytest.raises(TypeError):
        nn.Linear(4, 2)()
    with pytest.raises(TypeError):
        nn.Linear(4, 2)(swiftnet.ones(2, 4), 3)


def test_hooks_fire_also_below_swift_containers():
    def run(library):
        log = []
        model = library.nn.Sequential(library.nn.Linear(4, 3), library.nn.Sequential(library.nn.ReLU()))
        model.load_state_dict({"0.weight": library.ones(3, 4), "0.bias": library.zeros(3)})
        handles = [
            model[0].register_forward_pre_hook(lambda m, args: log.append(("pre", len(args))) or (args[0] * 2,)),
            model[1][0].register_forward_hook(lambda m, args, out: log.append(("post", tuple(out.shape))) or out + 1),
            model.register_forward_hook(lambda m, args, kwargs, out: log.append(("kwargs", kwargs)), with_kwargs=True),
        ]
        x = library.tensor(X)
        first = model(x)
        for handle in handles:
            handle.remove()
        second = model(x)
        return log, first, second

    (own, *results), (other, *expected) = run(swiftnet), run(torch)
    assert own == other
    for a, b in zip(results, expected, strict=True):
        close(a, b)


def test_backward_hooks():
    def run(library, change):
        log = []
        layer = library.nn.Linear(4, 3)
        layer.load_state_dict({"weight": library.ones(3, 4), "bias": library.zeros(3)})

        def hook(module, grad_input, grad_output):
            log.append([tuple(g.shape) for g in grad_input + grad_output])
            return (grad_input[0] * 3,) if change else None

        def pre_hook(module, grad_output):
            log.append([float(g.sum()) for g in grad_output])
            return (grad_output[0] * 2,) if change else None

        layer.register_full_backward_hook(hook)
        layer.register_full_backward_pre_hook(pre_hook)
        x = library.tensor(X).requires_grad_()
        (layer(x) * 2).sum().backward()
        return log, x.grad, layer.weight.grad

    for change in (False, True):
        (own, *results), (other, *expected) = run(swiftnet, change), run(torch, change)
        assert own == other
        for a, b in zip(results, expected, strict=True):
            close(a, b)


@pytest.mark.parametrize(
    "name, value",
    [("a.b", "module"), ("", "module"), (3, "module"), ("a.b", "parameter"), ("forward", "parameter"), ("", "buffer")],
)
def test_registration_errors(name, value):
    def run(library):
        module = library.nn.Module()
        if value == "module":
            module.add_module(name, library.nn.ReLU())
        elif value == "parameter":
            module.register_parameter(name, library.nn.Parameter(library.ones(1)))
        else:
            module.register_buffer(name, library.ones(1))

    with pytest.raises((KeyError, TypeError)) as expected:
        run(torch)
    with pytest.raises(expected.type) as found:
        run(swiftnet)
    assert str(found.value) == str(expected.value)


def test_assignment_errors():
    class Early(nn.Module):
        def __init__(self):
            self.weight = nn.Parameter(swiftnet.ones(1))

    with pytest.raises(AttributeError, match="before Module.__init__"):
        Early()
    layer = nn.Linear(2, 2)
    with pytest.raises(TypeError, match="as parameter 'weight'"):
        layer.weight = swiftnet.ones(2, 2)
    model = nn.Sequential(layer)
    model.child = layer
    with pytest.raises(TypeError, match="as child module 'child'"):
        model.child = 3
    model.register_buffer("count", swiftnet.zeros(1))
    with pytest.raises(TypeError, match="as buffer 'count'"):
        model.count = 3
    model.count = swiftnet.ones(1)
    assert float(model.count) == 1
    with pytest.raises(AttributeError, match="no attribute 'missing'"):
        model.missing  # noqa: B018 - the access itself is what fails


def test_load_state_dict_messages():
    def run(library, state, **options):
        model = library.nn.Sequential(library.nn.Linear(4, 3), library.nn.BatchNorm1d(3))
        return model.load_state_dict(state(library, model), **options)

    cases = [
        lambda library, model: {},
        lambda library, model: {**model.state_dict(), "extra.weight": library.ones(1), "0.more": library.ones(1)},
        lambda library, model: {**model.state_dict(), "0.weight": library.ones(2, 2)},
        lambda library, model: {**model.state_dict(), "0.weight": "text"},
    ]
    for state in cases:
        with pytest.raises(RuntimeError) as expected:
            run(torch, state)
        with pytest.raises(RuntimeError) as found:
            run(swiftnet, state)
        assert str(found.value) == str(expected.value).replace("torch.Size", "swiftnet.Size")
    for state in cases[:2]:
        own, other = run(swiftnet, state, strict=False), run(torch, state, strict=False)
        assert own.missing_keys == other.missing_keys
        assert own.unexpected_keys == other.unexpected_keys
        assert repr(own) == repr(other)
    assert repr(run(swiftnet, lambda library, model: model.state_dict())) == "<All keys matched successfully>"
    with pytest.raises(TypeError, match="dict-like"):
        nn.Linear(1, 1).load_state_dict([1])


def test_state_dict_shares_memory_and_assign():
    layer = nn.Linear(2, 2)
    state = layer.state_dict()
    state["weight"].zero_()
    assert float(layer.weight.abs().sum()) == 0
    assert not state["weight"].requires_grad
    assert layer.state_dict(keep_vars=True)["weight"] is layer.weight
    assert list(layer.state_dict(prefix="a.")) == ["a.weight", "a.bias"]
    values = {"weight": swiftnet.ones(2, 2), "bias": swiftnet.ones(2)}
    layer.load_state_dict(values, assign=True)
    values["weight"].fill_(7)
    assert float(layer.weight.sum()) == 28
    assert layer.weight.requires_grad


def test_state_dict_hooks_and_extra_state():
    class Extra(nn.Module):
        def __init__(self):
            super().__init__()
            self.count = 3

        def get_extra_state(self):
            return {"count": self.count}

        def set_extra_state(self, state):
            self.count = state["count"]

    module = Extra()
    state = module.state_dict()
    assert state == {"_extra_state": {"count": 3}}
    other = Extra()
    other.count = 0
    other.load_state_dict(state)
    assert other.count == 3
    layer = nn.Linear(1, 1)
    log = []
    layer.register_state_dict_pre_hook(lambda m, prefix, keep: log.append("pre"))
    layer.register_state_dict_post_hook(lambda m, state, prefix, meta: log.append(sorted(state)))
    layer.register_load_state_dict_pre_hook(lambda m, state, *rest: log.append("load"))
    layer.register_load_state_dict_post_hook(lambda m, keys: log.append(keys))
    layer.load_state_dict(layer.state_dict())
    assert log == ["pre", ["bias", "weight"], "load", ([], [])]


class Picklable(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, stride=2)
        self.tail = nn.Sequential(nn.BatchNorm2d(2), nn.LeakyReLU(0.3))
        self.tail[0].eval()
        self.note = {"a": [1, 2]}
        self.register_buffer("short", swiftnet.ones(1), persistent=False)

    def forward(self, x):
        return self.tail(self.conv(x))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies(duplicate):
    model = Picklable()
    model.conv.stride = (1, 1)
    model.both = nn.ModuleList([model.conv, model.conv])
    twin = duplicate(model)
    x = swiftnet.ones(2, 1, 5, 5)
    assert repr(twin) == repr(model)
    close(twin(x), model(x))
    assert twin.conv is not model.conv
    assert twin.both[0] is twin.conv
    assert twin.note == model.note
    assert twin.note is not model.note
    assert not twin.tail[0].training
    assert twin.tail.training
    assert list(twin.state_dict()) == list(model.state_dict())
    with swiftnet.no_grad():
        twin.conv.weight.zero_()
    assert float(model.conv.weight.abs().sum()) > 0
    assert twin.conv.weight.requires_grad


def test_deepcopy_of_an_overridden_layer_keeps_the_override():
    class Twice(nn.Linear):
        def forward(self, x):
            return super().forward(x) * 2

    model = copy.deepcopy(nn.Sequential(Twice(4, 4)))
    x = swiftnet.tensor(X)
    plain = swiftnet.nn.functional.linear(x, model[0].weight, model[0].bias)
    close(model(x), plain * 2)


def test_containers():
    def run(library):
        layers = library.nn
        sequence = layers.Sequential(layers.ReLU(), layers.Tanh(), layers.Sigmoid())
        parts = [repr(sequence[1:]), repr(sequence[-1]), len(sequence)]
        parts.append(repr(sequence + layers.Sequential(layers.ELU())))
        sequence.insert(1, layers.GELU())
        sequence.append(layers.Identity())
        sequence.extend([layers.Mish()])
        sequence.pop(0)
        parts.append(repr(sequence))
        modules = layers.ModuleList([layers.ReLU(), layers.ReLU()])
        modules += [layers.Tanh()]
        modules.insert(0, layers.Linear(2, 3))
        modules[-1] = layers.Sigmoid()
        parts += [repr(modules), repr(modules[1:3]), len(modules), repr(layers.ModuleList())]
        named = layers.ModuleDict([["x", layers.ReLU()]])
        named["y"] = layers.Tanh()
        named.update({"z": layers.Sigmoid()})
        parts += [list(named.keys()), repr(named.pop("x")), "x" in named, repr(named), [n for n, _ in named.items()]]
        parameters = layers.ParameterList([library.ones(2), library.zeros(3)])
        parameters.append(library.ones(1))
        parameters[0] = library.zeros(4)
        parts += [len(parameters), [tuple(p.shape) for p in parameters], list(parameters.state_dict())]
        parts.append(repr(parameters).replace("torch.FloatTensor", "swiftnet.float32").replace("torch.", "swiftnet."))
        table = layers.ParameterDict({"b": library.ones(2), "a": library.zeros(1)})
        parts += [list(table), "a" in table, [n for n, _ in table.named_parameters()], tuple(table["b"].shape)]
        del table["a"]
        parts += [list(table.keys()), len(table)]
        return parts

    own, other = run(swiftnet), run(torch)
    for a, b in zip(own, other, strict=True):
        assert a == b
    for library in LIBRARIES:
        with pytest.raises(IndexError):
            library.nn.ModuleList([library.nn.ReLU()])[3]
        with pytest.raises(TypeError):
            library.nn.ModuleDict({"a": 3})
        with pytest.raises(NotImplementedError):
            library.nn.ModuleList()(library.ones(1))


def test_global_hooks():
    from swiftnet.nn.modules.module import register_module_forward_hook

    model = nn.Sequential(nn.Linear(4, 2), nn.ReLU())
    seen = []
    handle = register_module_forward_hook(lambda m, args, out: seen.append(type(m).__name__))
    model(swiftnet.tensor(X))
    handle.remove()
    model(swiftnet.tensor(X))
    assert seen == ["Linear", "ReLU", "Sequential"]


def test_always_called_hooks():
    class Broken(nn.Module):
        def forward(self, x):
            raise ValueError("broken")

    module, seen = Broken(), []
    module.register_forward_hook(lambda m, args, out: seen.append(out), always_call=True)
    with pytest.raises(ValueError, match="broken"):
        module(swiftnet.ones(1))
    assert seen == [None]


def test_losses_written_in_python():
    class Dice(nn.modules.loss._Loss):
        def __init__(self, smooth=1.0):
            super().__init__()
            self.smooth = smooth

        def forward(self, x, y):
            return 1 - (2 * (x * y).sum() + self.smooth) / (x.sum() + y.sum() + self.smooth)

    class Weighted(nn.modules.loss._WeightedLoss):
        def forward(self, x, y):
            return ((x - y) * self.weight).sum()

    loss = Dice()
    assert loss.reduction == "mean"
    assert float(loss(swiftnet.ones(3), swiftnet.ones(3))) == pytest.approx(0)
    weighted = Weighted(weight=swiftnet.tensor([1.0, 2.0]))
    assert list(weighted.state_dict()) == ["weight"]
    assert float(weighted(swiftnet.ones(2), swiftnet.zeros(2))) == 3


def test_one_module_in_two_parents_and_many_children():
    shared = nn.Linear(4, 4)
    model = nn.Sequential(shared, shared)
    assert len(list(model.parameters())) == 2
    wide = nn.ModuleList([nn.ReLU() for _ in range(300)])
    assert len(wide) == 300
    deep = nn.Sequential(*[nn.Identity() for _ in range(300)])
    x = swiftnet.ones(2)
    close(deep(x), x)


def test_plain_attributes():
    """Attributes that are no members behave as on any object."""
    layer = nn.Linear(2, 2)
    layer.note = [1]
    layer.note.append(2)
    assert layer.note == [1, 2]
    del layer.note
    assert not hasattr(layer, "note")
    assert tnn.Linear(2, 2).extra_repr() == layer.extra_repr()
