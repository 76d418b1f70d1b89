"""Random numbers: the ones that PyTorch gives on the CPU for the same seed."""

from swiftnet import _dtypes
from swiftnet._core import NULL, check, integers, lib
from swiftnet._device import check_device, cpu
from swiftnet._functions import methods
from swiftnet._functions.creation import _size
from swiftnet._tensor import Tensor, wrap


def _check_seed(seed):
    seed = int(seed)
    if not -(2**63) <= seed < 2**64:
        raise RuntimeError(f"Overflow when unpacking long long: seed {seed}")
    return seed % 2**64


class Generator:
    """A source of random numbers with a state of its own.

    Args:
        device: where it is used: the CPU.
    """

    __slots__ = ("_h", "__weakref__")

    def __init__(self, device="cpu"):
        check_device(device)
        self._h = lib.sn_generator_new()

    def __del__(self):
        if getattr(self, "_h", None):
            lib.sn_generator_release(self._h)

    @property
    def device(self):
        return cpu

    def manual_seed(self, seed):
        """Starts the stream of a seed; returns the generator."""
        check(lib.sn_manual_seed(self._h, _check_seed(seed)))
        return self

    def seed(self):
        """Seeds from the system's randomness and returns the seed."""
        return lib.sn_seed(self._h)

    def initial_seed(self):
        """The seed that the stream started from."""
        return lib.sn_initial_seed(self._h)

    def get_state(self):
        """The state, as a tensor of bytes."""
        state = wrap(lib.sn_empty((lib.sn_rng_state_size(),), 1, _dtypes.uint8.code))
        check(lib.sn_get_rng_state(self._h, lib.sn_data(state._h)))
        return state

    def set_state(self, new_state):
        """Continues from a state that `get_state` gave."""
        if not isinstance(new_state, Tensor) or new_state.dtype is not _dtypes.uint8:
            raise TypeError("RNG state must be a torch.ByteTensor")
        state = new_state.contiguous()
        check(lib.sn_set_rng_state(self._h, lib.sn_data(state._h), state.numel()))
        return self

    def clone_state(self):
        """A generator that starts from this one's state."""
        return Generator().set_state(self.get_state())

    def __reduce__(self):
        return (_restore, (self.get_state(),))


def _restore(state):
    return Generator().set_state(state)


default_generator = Generator.__new__(Generator)
default_generator._h = NULL


def manual_seed(seed):
    """Starts the default generator's stream of a seed; returns the generator."""
    return default_generator.manual_seed(seed)


def seed():
    """Seeds the default generator from the system's randomness and returns the seed."""
    return default_generator.seed()


def initial_seed():
    """The seed that the default generator started from."""
    return default_generator.initial_seed()


def get_rng_state():
    """The default generator's state, as a tensor of bytes."""
    return default_generator.get_state()


def set_rng_state(new_state):
    """Sets the default generator's state."""
    default_generator.set_state(new_state)


def _source(generator):
    if generator is None:
        return NULL
    if not isinstance(generator, Generator):
        raise TypeError(f"argument 'generator' must be swiftnet.Generator, not {type(generator).__name__}")
    return generator._h


def _fill(self, distribution, p, q, generator):
    check(lib.sn_random_(self._h, distribution, p, q, _source(generator)))
    return self


def uniform_(self, from_=0, to=1, *, generator=None, **bounds):
    """Fills with numbers from the uniform distribution on [from, to)."""
    return _fill(self, b"uniform", float(bounds.pop("from", from_)), float(to), generator)


def normal_(self, mean=0, std=1, *, generator=None):
    """Fills with numbers from the normal distribution."""
    return _fill(self, b"normal", float(mean), float(std), generator)


def exponential_(self, lambd=1, *, generator=None):
    """Fills with numbers of the density λ exp(-λx)."""
    return _fill(self, b"exponential", float(lambd), 0, generator)


def log_normal_(self, mean=1, std=2, *, generator=None):
    """Fills with numbers whose logarithm is from the normal distribution."""
    return _fill(self, b"log_normal", float(mean), float(std), generator)


def cauchy_(self, median=0, sigma=1, *, generator=None):
    """Fills with numbers from the Cauchy distribution."""
    return _fill(self, b"cauchy", float(median), float(sigma), generator)


def geometric_(self, p, *, generator=None):
    """Fills with how many trials of probability p the first success takes."""
    return _fill(self, b"geometric", float(p), 0, generator)


def bernoulli_(self, p=0.5, *, generator=None):
    """Fills with 1 at the probability p (a number, or a tensor of one for each place), else 0."""
    if isinstance(p, Tensor):
        check(lib.sn_bernoulli_(self._h, p._h, _source(generator)))
        return self
    return _fill(self, b"bernoulli", float(p), 0, generator)


def random_(self, from_=None, to=None, *, generator=None, **bounds):
    """Fills with integers in [from, to); `random_(to)` starts from 0, `random_()` takes all that the dtype holds."""
    from_ = bounds.pop("from", from_)
    if to is None and from_ is not None and not bounds and "from" not in bounds:
        from_, to = 0, from_
    if from_ is None and to is None:
        check(lib.sn_random_integers_(self._h, 0, 0, 0, _source(generator)))
    elif to is None:
        check(lib.sn_random_integers_(self._h, 1, int(from_), 0, _source(generator)))
    else:
        check(lib.sn_random_integers_(self._h, 2, int(from_ or 0), int(to), _source(generator)))
    return self


def _empty(size, dtype, device):
    check_device(device)
    shape = _size(size)
    return wrap(lib.sn_empty(shape, len(shape), _dtypes.code(dtype, _dtypes.default_code())))


def _finish(result, requires_grad):
    if requires_grad:
        result.requires_grad = True
    return result


def rand(*size, generator=None, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False):
    """Uniform numbers in [0, 1)."""
    return _finish(uniform_(_empty(size, dtype, device), generator=generator), requires_grad)


def randn(*size, generator=None, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False):
    """Normal numbers of mean 0 and variance 1."""
    return _finish(normal_(_empty(size, dtype, device), generator=generator), requires_grad)


def randint(low, high=None, size=None, *, generator=None, out=None, dtype=None, layout=None, device=None,
            requires_grad=False, pin_memory=False):  # fmt: skip
    """Integers in [low, high); `randint(high, size)` starts from 0."""
    if size is None:
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    result = _empty((tuple(integers(size)),), dtype or _dtypes.int64, device)
    return _finish(random_(result, int(low), int(high), generator=generator), requires_grad)


def randperm(n, *, generator=None, out=None, dtype=None, layout=None, device=None, requires_grad=False,
             pin_memory=False):  # fmt: skip
    """A random order of 0 … n - 1."""
    check_device(device)
    kind = _dtypes.code(dtype, _dtypes.int64.code)
    return _finish(wrap(lib.sn_randperm(n, kind, _source(generator))), requires_grad)


def _like(input, dtype, device):
    check_device(device)
    return wrap(lib.sn_empty_like(input._h, _dtypes.code(dtype)))


def rand_like(input, *, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None, generator=None):
    """Uniform numbers in [0, 1) in the shape of `input`."""
    return _finish(uniform_(_like(input, dtype, device), generator=generator), requires_grad)


def randn_like(input, *, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None, generator=None):
    """Normal numbers in the shape of `input`."""
    return _finish(normal_(_like(input, dtype, device), generator=generator), requires_grad)


def randint_like(input, low, high=None, *, dtype=None, layout=None, device=None, requires_grad=False,
                 memory_format=None, generator=None):  # fmt: skip
    """Integers in [low, high) in the shape of `input`."""
    if high is None:
        low, high = 0, low
    return _finish(random_(_like(input, dtype, device), int(low), int(high), generator=generator), requires_grad)


def normal(mean, std=1.0, size=None, *, generator=None, out=None, dtype=None, device=None, requires_grad=False):
    """Normal numbers; mean and std are tensors (then of their common shape) or numbers (then of the given size)."""
    if isinstance(std, Tensor):
        if bool((std < 0).any()):
            raise RuntimeError("normal expects all elements of std >= 0.0")
        shape = (mean + std).shape if isinstance(mean, Tensor) else std.shape
        noise = normal_(_empty((tuple(shape),), std.dtype, None), generator=generator)
        noise.mul_(std.detach())
        return noise.add_(mean.detach() if isinstance(mean, Tensor) else mean)
    if isinstance(mean, Tensor):
        noise = _empty((tuple(mean.shape),), mean.dtype, None)
        return normal_(noise, 0.0, std, generator=generator).add_(mean.detach())
    if size is None:
        raise TypeError("normal() needs a size if mean and std are numbers")
    result = normal_(_empty((tuple(integers(size)),), dtype, device), mean, std, generator=generator)
    return _finish(result, requires_grad)


def bernoulli(input, p=None, *, generator=None, out=None):
    """1 at the probability that stands at the same place of `input` (or at p), else 0."""
    result = wrap(lib.sn_empty_like(input._h, -1))
    return bernoulli_(result, input.detach() if p is None else p, generator=generator)


def multinomial(input, num_samples, replacement=False, *, generator=None, out=None):
    """Indices drawn with the weights of `input`, for each of its rows."""
    return wrap(lib.sn_multinomial(input._h, num_samples, replacement, _source(generator)))


def poisson(input, generator=None):
    """Numbers from the Poisson distributions whose rates stand in `input`."""
    return wrap(lib.sn_poisson(input._h, _source(generator)))


class fork_rng:
    """Inside, random numbers are drawn as usual; afterwards the default generator is as it was."""

    def __init__(self, devices=None, enabled=True, device_type="cpu"):
        self.enabled = enabled

    def __enter__(self):
        self._state = get_rng_state() if self.enabled else None

    def __exit__(self, *exception):
        if self._state is not None:
            set_rng_state(self._state)


methods(
    uniform_, normal_, exponential_, log_normal_, cauchy_, geometric_, bernoulli_, random_, bernoulli, multinomial,
)  # fmt: skip
