"""Throws random calls with random, often wrong arguments at everything that swiftnet exports.

    python fuzz.py SEED ROUNDS LOG

Any exception is fine; the process must not die, and no call may hang: one that takes longer than `PATIENCE` is asked to
stop, which it must do within `GRACE`, and is counted as "hang". The call under way is in LOG, so that a crash can be
repeated.
"""

import inspect
import os
import random
import signal
import sys
import time
import warnings

import numpy as np
import swiftnet
from swiftnet import nn

DTYPES = [
    swiftnet.float32, swiftnet.float64, swiftnet.float16, swiftnet.bfloat16, swiftnet.int8, swiftnet.int16,
    swiftnet.int32, swiftnet.int64, swiftnet.uint8, swiftnet.bool,
]  # fmt: skip

# Not for a fuzzer: they change the process for all calls that follow, or the file system, or wait for input.
SKIPPED = {
    "load", "save", "set_num_threads", "set_default_dtype", "set_printoptions", "set_default_device", "show_config",
    "fall_back_to_cpu", "fork_rng", "set_grad_enabled", "set_anomaly_enabled", "set_detect_anomaly", "tofile",
    "set_interop_threads", "set_num_interop_threads", "set_autocast_enabled", "set_autocast_cpu_enabled",
    "set_autocast_dtype", "set_autocast_cpu_dtype", "set_autocast_cache_enabled",
}  # fmt: skip

WORDS = [
    "mean", "sum", "none", "constant", "reflect", "replicate", "circular", "same", "valid", "zeros", "floor", "trunc",
    "ij", "xy", "ij,jk->ik", "i,i", "...ij->...ji", "bilinear", "nearest", "fro", "nuc", "left", "linear", "relu",
    "float32", "cpu", "cuda", "inf", "", "é",
]  # fmt: skip

EXTREMES = [
    2**15, 2**31 - 1, 2**31, -(2**31), 2**32, 2**40, 2**62, 2**63 - 1, -(2**63), 2**63, 2**70, -(2**70),
]  # fmt: skip

REALS = [0.0, -0.0, 0.5, 1.0, -1.5, 1e-30, 1e30, 1e308, float("inf"), float("-inf"), float("nan")]


# Seconds that a call may take, and that it may go on after it was asked to stop.
PATIENCE = 20
GRACE = 3


class Fuzzer:
    """A stream of calls that depends on the seed alone."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.pool = []
        self.targets = self._targets()

    def _targets(self):
        """(how to say it, function, whether the first argument is a tensor)"""
        found = {}
        modules = [swiftnet, nn.functional, nn.init]
        modules += [
            getattr(swiftnet, name) for name in ("linalg", "special", "fft", "autograd") if hasattr(swiftnet, name)
        ]
        for module in modules:
            for name in sorted(dir(module)):
                value = getattr(module, name)
                if not name.startswith("_") and name not in SKIPPED and callable(value) and not inspect.isclass(value):
                    found[f"{module.__name__}.{name}"] = (value, False)
        for name in sorted(dir(swiftnet.Tensor)):
            value = getattr(swiftnet.Tensor, name)
            special = name.startswith("__") and name not in {
                "__add__", "__radd__", "__iadd__", "__mul__", "__matmul__", "__pow__", "__rpow__", "__mod__", "__and__",
                "__lshift__", "__getitem__", "__setitem__", "__truediv__", "__floordiv__", "__invert__", "__len__",
                "__bool__", "__int__", "__float__", "__index__", "__iter__", "__contains__", "__eq__", "__lt__",
                "__deepcopy__", "__reduce_ex__", "__array__", "__format__", "__dlpack__", "__repr__",
            }  # fmt: skip
            private = name.startswith("_") and not name.startswith("__")
            if not special and not private and name not in SKIPPED and callable(value):
                found[f"Tensor.{name}"] = (value, True)
        for name in sorted(dir(nn)):
            value = getattr(nn, name)
            if inspect.isclass(value) and issubclass(value, nn.Module):
                found[f"nn.{name}"] = (value, False)
        return [(name, *found[name]) for name in sorted(found)]

    # ---- values ----

    def size(self):
        return self.random.choice([0, 1, 1, 2, 2, 3, 3, 4, 5, 7, 17])

    def shape(self):
        return tuple(self.size() for _ in range(self.random.choice([0, 1, 1, 2, 2, 3, 3, 4, 4, 5])))

    def new_tensor(self):
        r = self.random
        shape, dtype = self.shape(), r.choice([swiftnet.float32, swiftnet.float32, swiftnet.float32, *DTYPES])
        values = np.random.default_rng(r.getrandbits(32)).standard_normal(shape) * r.choice([0.5, 2, 5, 1e4])
        if r.random() < 0.05 and values.size:
            values.flat[0] = r.choice(REALS)
        with np.errstate(all="ignore"):
            tensor = swiftnet.tensor(np.float32(values)).to(dtype)
        change = r.random()
        if change < 0.1 and len(shape) > 1:
            tensor = tensor.transpose(0, -1)
        elif change < 0.2 and len(shape) > 0:
            tensor = tensor[:: r.choice([1, 2])]
        elif change < 0.25:
            tensor = tensor.expand(r.choice([1, 3]), *shape)
        if dtype.is_floating_point and r.random() < 0.4:
            tensor = tensor.detach().requires_grad_()
        return tensor

    def tensor(self):
        if self.pool and self.random.random() < 0.5:
            return self.random.choice(self.pool)
        tensor = self.new_tensor()
        if len(self.pool) < 40:
            self.pool.append(tensor)
        else:
            self.pool[self.random.randrange(40)] = tensor
        return tensor

    def integer(self):
        return self.random.choice(EXTREMES) if self.random.random() < 0.05 else self.random.randint(-3, 5)

    def index(self):
        r = self.random
        return r.choice(
            [
                self.integer,
                lambda: slice(
                    r.choice([None, self.integer()]), r.choice([None, self.integer()]), r.choice([None, 1, 2, -1, 0])
                ),
                lambda: None,
                lambda: ...,
                lambda: r.random() < 0.5,
                self.tensor,
                lambda: [self.integer() for _ in range(r.randint(0, 3))],
            ]
        )()

    def anything(self):
        r = self.random
        return r.choice(
            [
                self.tensor, self.tensor, self.tensor, self.integer, self.integer,
                lambda: r.choice(REALS),
                lambda: r.random() < 0.5,
                lambda: None,
                lambda: r.choice(WORDS),
                lambda: r.choice(DTYPES),
                lambda: tuple(self.integer() for _ in range(r.randint(0, 5))),
                lambda: [self.tensor() for _ in range(r.randint(0, 3))],
                lambda: r.choice([float, int, bool, object(), b"bytes", {}, {1: 2}, {3}, 1j, lambda *a: a and a[0]]),
                lambda: np.ones(self.shape(), r.choice([np.float32, np.int64, np.uint16, np.complex64, object])),
                lambda: tuple(self.index() for _ in range(r.randint(0, 3))),
            ]
        )()  # fmt: skip

    def fitting(self, parameter):
        """A value as the parameter's name suggests."""
        r, name = self.random, parameter.name
        if name in {"dtype"}:
            return r.choice(DTYPES)
        if name in {"dim", "dim0", "dim1", "axis", "start_dim", "end_dim", "diagonal", "offset", "k", "num_classes"}:
            return r.choice([self.integer(), self.integer(), None, (0, 1)])
        if name in {"dims", "size", "shape", "repeats", "normalized_shape", "output_size", "pad", "shifts", "sizes"}:
            return r.choice([self.shape(), tuple(self.integer() for _ in range(r.randint(0, 4))), self.integer()])
        if name in {"stride", "padding", "dilation", "groups", "kernel_size", "in_channels", "out_channels", "num_features",
                    "in_features", "out_features", "n", "steps", "index", "start", "end", "length", "step"}:  # fmt: skip
            return r.choice([self.size(), self.size(), self.integer(), (1, 1), (2, 1), (1, 2, 1)])
        if name in {"tensors", "inputs"}:
            return [self.tensor() for _ in range(r.randint(0, 3))]
        if name in {"keepdim", "unbiased", "largest", "descending", "stable", "inplace", "training", "affine", "bias",
                    "ceil_mode", "return_indices", "sorted", "right", "as_tuple", "log_target", "batch_first"}:  # fmt: skip
            return r.random() < 0.5
        if name in {"reduction", "mode", "padding_mode", "equation", "rounding_mode", "indexing", "reduce"}:
            return r.choice(WORDS)
        if name in {"p", "eps", "alpha", "beta", "value", "momentum", "negative_slope", "min", "max", "weight_decay"}:
            return r.choice([*REALS, self.integer()])
        if isinstance(parameter.default, bool):
            return r.random() < 0.5
        return self.tensor()

    def arguments(self, function, method):
        r = self.random
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            parameters = []
        positional, keywords = [self.tensor()] if method else [], {}
        wild = r.random() < 0.25 or not parameters
        if wild:
            positional += [self.anything() for _ in range(r.randint(0, 4))]
            return positional, keywords
        for parameter in parameters[1 if method else 0 :]:
            value = self.anything() if r.random() < 0.1 else self.fitting(parameter)
            if parameter.kind is parameter.VAR_POSITIONAL:
                positional += [value, self.fitting(parameter)][: r.randint(0, 2)]
            elif parameter.kind is parameter.VAR_KEYWORD:
                continue
            elif parameter.default is not parameter.empty:
                if r.random() < 0.3:
                    keywords[parameter.name] = value
            elif parameter.kind is parameter.KEYWORD_ONLY:
                keywords[parameter.name] = value
            else:
                positional.append(value)
        return positional, keywords

    # ---- calls ----

    def one(self, log):
        """One random call; what it returns is used a little: read, printed, differentiated."""
        name, function, method = self.random.choice(self.targets)
        positional, keywords = self.arguments(function, method)
        note(log, name, positional, keywords)
        result = function(*positional, **keywords)
        if isinstance(result, nn.Module):
            arguments = [self.tensor() for _ in range(self.random.choice([1, 1, 1, 2, 3]))]
            note(log, f"{name} called, made of {describe(positional)} {describe(keywords)}", arguments, {})
            result = result(*arguments)
        self.use(result, log)

    def use(self, result, log):
        results = result if isinstance(result, (tuple, list)) else [result]
        for value in results[:3]:
            if not isinstance(value, swiftnet.Tensor) or value.numel() > 100_000:
                continue
            value.data_ptr()
            if self.random.random() < 0.1:
                repr(value)
            if value.requires_grad and self.random.random() < 0.5:
                log.write(" then backward\n")
                log.flush()
                value.sum().backward()
            if len(self.pool) == 40 and self.random.random() < 0.2:
                self.pool[self.random.randrange(40)] = value


def describe(value):
    if isinstance(value, swiftnet.Tensor):
        return f"Tensor({tuple(value.shape)}, {value.stride()}, {value.dtype}, grad={value.requires_grad})"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({', '.join(map(describe, value))})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {describe(item)}" for key, item in value.items()) + "}"
    return repr(value)[:200]


def note(log, name, positional, keywords):
    log.seek(0)
    log.truncate()
    log.write(f"{name} {describe(positional)} {describe(keywords)}\n")
    log.flush()


class Hang(Exception):
    """A call was interrupted."""


def too_long(*_):
    raise Hang


def main(seed, rounds, path):
    import resource

    # Large requests shall fail, not fill the machine. (AddressSanitizer reserves terabytes: it sets this to 0.)
    space = int(os.environ.get("SWIFTNET_FUZZ_ADDRESS_SPACE", 6 << 30))
    if space:
        resource.setrlimit(resource.RLIMIT_AS, (space, space))
    signal.signal(signal.SIGALRM, too_long)
    warnings.simplefilter("ignore")
    swiftnet.manual_seed(seed)
    fuzzer = Fuzzer(seed)
    outcomes = {}
    with open(path, "w") as log:
        for _ in range(rounds):
            signal.setitimer(signal.ITIMER_REAL, PATIENCE)
            start = time.monotonic()
            try:
                fuzzer.one(log)
                outcome = "fine"
            except SystemError:
                raise
            except Hang:
                outcome = "hang"
            except Exception as error:
                outcome = type(error).__name__
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            taken = time.monotonic() - start
            if outcome == "hang" or taken > PATIENCE:
                log.flush()
                with open(path) as call:
                    sys.stderr.write(f"{taken:.1f} s: {call.read()}\n")
            assert taken < PATIENCE + GRACE, f"a call did not stop for {taken - PATIENCE:.1f} s"
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
    print(outcomes)
    assert swiftnet.ones(3).sum().item() == 3


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
