"""Random numbers: the same as PyTorch's for the same seed."""

import itertools

import numpy as np
import pytest
import swiftnet
import torch
from parity import FLOATS, dtype_name, to_swiftnet, to_torch, values

SIZES = [(0,), (1,), (5,), (15,), (16,), (17,), (100,), (3, 7), (1000,), (2, 3, 50), ()]


def same(function, seed=3, close=0.0):
    """The function draws the same with both modules, twice in a row."""
    torch.manual_seed(seed)
    swiftnet.manual_seed(seed)
    for _ in range(2):
        expected, actual = function(torch), function(swiftnet)
        assert tuple(actual.shape) == tuple(expected.shape)
        assert dtype_name(actual.dtype) == dtype_name(expected.dtype)
        got, wanted = to_torch(actual), expected.detach()
        if close and wanted.is_floating_point():
            np.testing.assert_allclose(got.double().numpy(), wanted.double().numpy(), rtol=close, atol=close)
        else:
            assert torch.equal(got, wanted), (got.flatten()[:5], wanted.flatten()[:5])


# PyTorch rounds sines and cosines of normal draws a little differently from element to element.
LAST_BIT = {"float32": 4e-6, "float64": 1e-15, "float16": 1e-3, "bfloat16": 8e-3}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_uniform_and_normal(size, dtype):
    kind = {"dtype": dtype}
    same(lambda m: m.rand(size, dtype=getattr(m, kind["dtype"])))
    same(lambda m: m.randn(size, dtype=getattr(m, dtype)), close=LAST_BIT[dtype])
    same(lambda m: m.empty(size, dtype=getattr(m, dtype)).uniform_(-2, 3), close=LAST_BIT[dtype])
    same(lambda m: m.empty(size, dtype=getattr(m, dtype)).normal_(1, 0.5), close=LAST_BIT[dtype])


@pytest.mark.parametrize(
    "dtype", ["int64", "int32", "uint8", "float32", "float64", "bool", "int8", "float16", "bfloat16"]
)
def test_integers(dtype):
    same(lambda m: m.empty((20,), dtype=getattr(m, dtype)).random_())
    high = 2 if dtype == "bool" else 100
    same(lambda m: m.randint(high, (20,), dtype=getattr(m, dtype)))
    if dtype in ("int64", "float64"):
        same(lambda m: m.randint(-5, 2**40, (20,), dtype=getattr(m, dtype)))
        same(lambda m: m.empty((20,), dtype=getattr(m, dtype)).random_(-100, 2**33))


def test_further_creation():
    same(lambda m: m.randint(5, 10, (4, 6)))
    same(lambda m: m.randint(0, 10, (4, 6), dtype=m.int32))
    for n in (0, 1, 2, 10, 1000):
        same(lambda m: m.randperm(n))
    same(lambda m: m.randperm(50, dtype=m.int32))
    same(lambda m: m.rand_like(m.zeros(3, 4)))
    same(lambda m: m.randn_like(m.zeros(3, 4)), close=4e-6)
    same(lambda m: m.randn_like(m.zeros(30, 4).t()), close=4e-6)
    same(lambda m: m.randint_like(m.zeros(3, 4), 10))
    same(lambda m: m.normal(0.0, 1.0, (3, 7)), close=4e-6)
    same(lambda m: m.normal(m.arange(20.0), 2.0), close=4e-6)
    same(lambda m: m.normal(m.arange(20.0), m.arange(20.0) + 1), close=1e-5)
    same(lambda m: m.normal(1.0, m.arange(20.0) + 1), close=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_distributions(dtype):
    def filled(name, *arguments):
        return lambda m: getattr(m.empty((50,), dtype=getattr(m, dtype)), name)(*arguments)

    close = 2e-6 if dtype == "float32" else 1e-13
    same(filled("log_normal_", 0.5, 0.25), close=close)
    same(filled("cauchy_", 1, 2), close=2e-5 if dtype == "float32" else 1e-12)
    same(filled("geometric_", 0.3))
    same(filled("exponential_"), close=close)
    same(filled("exponential_", 2.5), close=close)
    same(filled("bernoulli_", 0.3))
    same(lambda m: m.bernoulli(m.linspace(0, 1, 40, dtype=getattr(m, dtype))))
    same(lambda m: m.empty(40).bernoulli_(m.linspace(0, 1, 40, dtype=getattr(m, dtype))))


def test_poisson():
    same(lambda m: m.poisson(m.linspace(0, 9, 30)))
    same(lambda m: m.poisson(m.linspace(9, 100, 30, dtype=m.float64)))


def test_multinomial():
    weights = values((3, 20), "float32", low=0.1, high=1)
    for replacement, samples in [(True, 1), (False, 1), (True, 30), (False, 5), (False, 20)]:
        same(lambda m: m.multinomial(weights if m is torch else to_swiftnet(weights), samples, replacement))
    same(lambda m: m.multinomial(weights[0] if m is torch else to_swiftnet(weights[0]), 4, True))


@pytest.mark.parametrize("layout", ["transposed", "sliced", "channels last"])
def test_layouts(layout):
    def make(m):
        if layout == "transposed":
            return m.zeros(10, 8).t()
        if layout == "sliced":
            return m.zeros(10, 8)[::2, 1::3]
        return m.zeros(2, 3, 4, 5).contiguous(memory_format=m.channels_last)

    same(lambda m: make(m).uniform_())
    same(lambda m: make(m).normal_(), close=4e-6)
    same(lambda m: make(m).random_(100))


def test_generators():
    mine, theirs = swiftnet.Generator(), torch.Generator()
    mine.manual_seed(11)
    theirs.manual_seed(11)
    assert mine.initial_seed() == 11 and mine.device == swiftnet.device("cpu")
    swiftnet.manual_seed(1)
    before = swiftnet.rand(3).tolist()
    swiftnet.manual_seed(1)
    assert torch.equal(to_torch(swiftnet.rand(4, generator=mine)), torch.rand(4, generator=theirs))
    assert swiftnet.rand(3).tolist() == before
    assert torch.equal(to_torch(swiftnet.randperm(9, generator=mine)), torch.randperm(9, generator=theirs))
    state = mine.get_state()
    first = swiftnet.rand(5, generator=mine).tolist()
    mine.set_state(state)
    assert swiftnet.rand(5, generator=mine).tolist() == first
    assert isinstance(mine.seed(), int)
    with pytest.raises(TypeError):
        mine.set_state(swiftnet.zeros(3))
    with pytest.raises((TypeError, RuntimeError)):
        mine.set_state(swiftnet.zeros(3, dtype=swiftnet.uint8))
    with pytest.raises(TypeError):
        swiftnet.rand(3, generator=5)


def test_states_travel():
    torch.manual_seed(5)
    torch.randn(7)
    state = torch.get_rng_state()
    swiftnet.set_rng_state(to_swiftnet(state))
    assert torch.equal(to_torch(swiftnet.rand(10)), torch.rand(10))
    torch.set_rng_state(to_torch(swiftnet.get_rng_state()))
    assert torch.equal(torch.rand(10), to_torch(swiftnet.rand(10)))
    with swiftnet.random.fork_rng():
        first = swiftnet.rand(3).tolist()
    assert swiftnet.rand(3).tolist() == first
    assert swiftnet.manual_seed(8).initial_seed() == 8 == swiftnet.initial_seed()


def test_threads_do_not_matter():
    results = []
    before = swiftnet.get_num_threads()
    for threads, _ in itertools.product((1, 2, 3), range(2)):
        swiftnet.set_num_threads(threads)
        swiftnet.manual_seed(0)
        results.append(swiftnet.randn(100_000).sum().item())
    swiftnet.set_num_threads(before)
    assert len(set(results)) == 1


def test_autograd():
    x = swiftnet.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf"):
        x.uniform_()
    y = x * 2
    y.normal_()
    y.sum().backward()
    assert x.grad.tolist() == [0, 0, 0]
    with swiftnet.no_grad():
        x.uniform_()


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.empty(3).uniform_(2, 1),
        lambda m: m.empty(3).normal_(0, -1),
        lambda m: m.empty(3).random_(5, 5),
        lambda m: m.empty(3).bernoulli_(2),
        lambda m: m.empty(3).exponential_(-1),
        lambda m: m.empty(3).geometric_(0),
        lambda m: m.empty(3, dtype=m.int64).normal_(),
        lambda m: m.empty(3, dtype=m.int64).uniform_(),
        lambda m: m.multinomial(m.ones(3), 4),
        lambda m: m.multinomial(m.zeros(3), 1),
        lambda m: m.multinomial(-m.ones(3), 1),
        lambda m: m.multinomial(m.ones(3, dtype=m.int64), 1),
        lambda m: m.randperm(-1),
        lambda m: m.randint(5, 5, (2,)),
        lambda m: m.bernoulli(m.ones(3) * 2),
        lambda m: m.rand(-1),
        lambda m: m.poisson(-m.ones(2)),
        lambda m: m.empty(3, dtype=m.uint8).random_(0, 1000),
    ],
)
def test_errors(call):
    with pytest.raises(Exception) as expected:
        call(torch)
    with pytest.raises(Exception) as actual:
        call(swiftnet)
    assert actual.type is expected.type, (actual.value, expected.value)


@pytest.mark.parametrize("before", [0, 5, 311])
@pytest.mark.parametrize("count", [312, 624, 8193, 100_001])
def test_the_state_after_many_numbers_at_once(count, before):
    """Large masks take whole states of the generator, wherever the last draw has left it."""
    states = []
    for lib in (swiftnet, torch):
        lib.manual_seed(count)
        lib.rand(before)
        lib.nn.functional.dropout(lib.ones(count), 0.3)
        states.append((lib.get_rng_state().numpy(), lib.rand(7).numpy()))
    for actual, expected in zip(*states, strict=True):
        np.testing.assert_array_equal(actual, expected)
