"""The context in which operations choose their precision. The choice is made in Swift, by each operation."""

import functools
import warnings

from swiftnet import _dtypes
from swiftnet._core import check, lib
from swiftnet._tensor import Tensor

__all__ = [
    "autocast",
    "autocast_decrement_nesting",
    "autocast_increment_nesting",
    "clear_autocast_cache",
    "custom_bwd",
    "custom_fwd",
    "get_autocast_cpu_dtype",
    "get_autocast_dtype",
    "get_autocast_gpu_dtype",
    "is_autocast_available",
    "is_autocast_cache_enabled",
    "is_autocast_cpu_enabled",
    "is_autocast_enabled",
    "set_autocast_cache_enabled",
    "set_autocast_cpu_dtype",
    "set_autocast_cpu_enabled",
    "set_autocast_dtype",
    "set_autocast_enabled",
]

_BY_CODE = {dtype.code: dtype for dtype in _dtypes.ALL}
_DEVICES = ("cpu", "cuda")


def _check_device(device_type):
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if device_type not in _DEVICES:
        raise RuntimeError(f"User specified an unsupported autocast device_type '{device_type}'")


def is_autocast_available(device_type):
    """Whether there is mixed precision for a device: the CPU."""
    return device_type == "cpu"


def is_autocast_enabled(device_type="cpu"):
    """Whether operations of this thread choose their precision."""
    return device_type == "cpu" and bool(lib.sn_is_autocast_enabled())


def set_autocast_enabled(device_type, enabled=None):
    """Turns the choice on or off for this thread."""
    if enabled is None:
        device_type, enabled = "cpu", device_type
    _check_device(device_type)
    if device_type == "cpu":
        lib.sn_set_autocast_enabled(bool(enabled))


def get_autocast_dtype(device_type="cpu"):
    """The half-precision dtype of a device."""
    _check_device(device_type)
    return _BY_CODE[lib.sn_autocast_dtype()] if device_type == "cpu" else _dtypes.float16


def set_autocast_dtype(device_type, dtype):
    """Sets the half-precision dtype of this thread."""
    _check_device(device_type)
    if device_type == "cpu":
        check(lib.sn_set_autocast_dtype(dtype.code))


def is_autocast_cpu_enabled():
    """As `is_autocast_enabled`."""
    return is_autocast_enabled()


def set_autocast_cpu_enabled(enabled):
    """As `set_autocast_enabled`."""
    set_autocast_enabled("cpu", enabled)


def get_autocast_cpu_dtype():
    """As `get_autocast_dtype`."""
    return get_autocast_dtype("cpu")


def set_autocast_cpu_dtype(dtype):
    """As `set_autocast_dtype`."""
    set_autocast_dtype("cpu", dtype)


def get_autocast_gpu_dtype():
    """float16, as in PyTorch."""
    return _dtypes.float16


def is_autocast_cache_enabled():
    """Whether a weight that is used several times is converted once."""
    return bool(lib.sn_is_autocast_cache_enabled())


def set_autocast_cache_enabled(enabled):
    """Sets whether a weight that is used several times is converted once."""
    lib.sn_set_autocast_cache_enabled(bool(enabled))


def autocast_increment_nesting():
    """Enters one more context; the number of contexts."""
    return lib.sn_autocast_enter()


def autocast_decrement_nesting():
    """Leaves a context; the number of contexts that remain."""
    return lib.sn_autocast_leave()


def clear_autocast_cache():
    """Forgets the converted weights."""
    lib.sn_clear_autocast_cache()


class autocast:
    """Mixed precision, as a context manager and as a decorator.

    Convolutions, linear layers and matrix products take their inputs in half precision; losses, three-dimensional and
    some other pooling and padding, products over elements and linear algebra take them in float32; joining takes the
    widest. The rest runs in what it gets. The lists are those of PyTorch on the CPU. Parameters stay float32, and so
    do their gradients. The context belongs to its thread.

    >>> import swiftnet
    >>> with swiftnet.autocast("cpu"):
    ...     (swiftnet.ones(2, 2) @ swiftnet.ones(2, 2)).dtype
    swiftnet.bfloat16

    Args:
        device_type: "cpu". Under "cuda" nothing happens, with a warning, as in PyTorch without CUDA.
        dtype: bfloat16 or float16. Default: what `get_autocast_dtype` says, bfloat16 at first.
        enabled: False makes it a region of full precision within another. Default: True.
        cache_enabled: convert a weight once in the outermost context. Default: True.
    """

    def __init__(self, device_type="cpu", dtype=None, enabled=True, cache_enabled=None):
        _check_device(device_type)
        self.device = device_type
        self.fast_dtype = get_autocast_dtype(device_type) if dtype is None else dtype
        self._cache_enabled = is_autocast_cache_enabled() if cache_enabled is None else bool(cache_enabled)
        if enabled and device_type == "cuda":
            warnings.warn("CUDA is not available: autocast is disabled", stacklevel=2)
            enabled = False
        elif enabled and self.fast_dtype not in (_dtypes.bfloat16, _dtypes.float16):
            warnings.warn(
                "In CPU autocast, but the target dtype is not supported. Disabling autocast.\n"
                "CPU Autocast only supports dtypes of bfloat16, float16 currently.",
                stacklevel=2,
            )
            enabled = False
        self._enabled = bool(enabled)
        self._before = []

    def __enter__(self):
        self._before.append((lib.sn_is_autocast_enabled(), lib.sn_autocast_dtype(), lib.sn_is_autocast_cache_enabled()))
        if self.device == "cpu":
            lib.sn_set_autocast_enabled(self._enabled)
            if self._enabled:
                check(lib.sn_set_autocast_dtype(self.fast_dtype.code))
        lib.sn_autocast_enter()
        lib.sn_set_autocast_cache_enabled(self._cache_enabled)
        return self

    def __exit__(self, *exception):
        enabled, dtype, cache = self._before.pop()
        lib.sn_autocast_leave()
        lib.sn_set_autocast_enabled(enabled)
        check(lib.sn_set_autocast_dtype(dtype))
        lib.sn_set_autocast_cache_enabled(cache)
        return False

    def _again(self):
        """Another one alike: calls of a decorated function may be nested, and come from several threads."""
        twin = object.__new__(autocast)
        twin.__dict__.update(self.__dict__, _before=[])
        return twin

    def __call__(self, func):
        if not callable(func):
            raise TypeError(
                f"autocast()(func) requires a callable, but got {type(func).__name__}. Did you mean to use autocast as "
                "a context manager?"
            )

        @functools.wraps(func)
        def run(*args, **kwargs):
            with self._again():
                return func(*args, **kwargs)

        return run


def _converted(value, dtype):
    """A value in which floating-point tensors, also within containers, have a dtype; float64 stays."""
    if isinstance(value, Tensor):
        return value.to(dtype) if value.is_floating_point() and value.dtype is not _dtypes.float64 else value
    if isinstance(value, dict):
        return {_converted(key, dtype): _converted(item, dtype) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_converted(item, dtype) for item in value)
    return value


def custom_fwd(fwd=None, *, device_type="cpu", cast_inputs=None):
    """Decorates the `forward` of a custom autograd function.

    Args:
        device_type: "cpu".
        cast_inputs: within `autocast`, convert the inputs to this dtype and run without it. Default: run as it is.
    """
    _check_device(device_type)
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def run(ctx, *args, **kwargs):
        ctx._dtype = get_autocast_dtype(device_type)
        enabled = is_autocast_enabled(device_type)
        ctx._fwd_used_autocast = enabled and cast_inputs is None
        if cast_inputs is None or not enabled:
            return fwd(ctx, *args, **kwargs)
        with autocast(device_type, enabled=False):
            return fwd(ctx, *_converted(args, cast_inputs), **_converted(kwargs, cast_inputs))

    return run


def custom_bwd(bwd=None, *, device_type="cpu"):
    """Decorates the `backward` of a custom autograd function: it runs in the precision of `forward`."""
    _check_device(device_type)
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def run(ctx, *args, **kwargs):
        with autocast(device_type, enabled=ctx._fwd_used_autocast, dtype=ctx._dtype):
            return bwd(ctx, *args, **kwargs)

    return run
