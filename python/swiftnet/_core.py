"""The way into the Swift library: calls, errors, and numbers as the C interface takes them."""

import operator

from swiftnet._binding import ffi, lib

NULL = ffi.NULL

_EXCEPTIONS = {
    1: RuntimeError,
    2: ValueError,
    3: TypeError,
    4: IndexError,
    5: MemoryError,
    6: NotImplementedError,
    7: KeyboardInterrupt,
    9: OSError,
}

# Exceptions raised inside callbacks, kept until the Swift call that led there returns. By thread.
_pending = {}


def keep_exception(error):
    """Remembers an exception that a callback cannot raise through Swift."""
    import threading

    _pending[threading.get_ident()] = error


def fail():
    """Raises the exception for the last failure on this thread."""
    if _pending:
        import threading

        error = _pending.pop(threading.get_ident(), None)
        if error is not None:
            raise error
    status = lib.sn_last_status()
    message = ffi.string(lib.sn_last_error()).decode()
    if status == 7:
        raise KeyboardInterrupt
    raise _EXCEPTIONS.get(status, RuntimeError)(message)


def check(status):
    """Raises if a status is not SN_OK."""
    if status:
        fail()


def scalar(value):
    """A number as `sn_scalar`: kind 0 float, 1 integer, 2 bool."""
    kind = type(value)
    if kind is bool:
        return {"d": 0.0, "i": int(value), "kind": 2}
    if kind is int:
        return {"d": 0.0, "i": value, "kind": 1}
    if kind is float:
        return {"d": value, "i": 0, "kind": 0}
    d, i, k = number(value)
    return {"d": d, "i": i, "kind": k}


def number(value):
    """A number as (double, integer, kind)."""
    kind = type(value)
    if kind is float:
        return value, 0, 0
    if kind is int:
        return 0.0, value, 1
    if kind is bool:
        return 0.0, int(value), 2
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return number(value.item())
    if hasattr(value, "__index__"):
        return 0.0, operator.index(value), 1
    if hasattr(value, "__float__"):
        return float(value), 0, 0
    raise TypeError(f"expected a number, got {kind.__name__}")


def is_number(value):
    """Whether a value is a number, Python's or NumPy's."""
    return isinstance(value, (int, float)) or (
        hasattr(value, "dtype") and getattr(value, "ndim", 1) == 0 and not hasattr(value, "_h")
    )


def integers(values):
    """A tuple of integers from one integer or a sequence of them."""
    if type(values) is int:
        return (values,)
    if isinstance(values, (tuple, list)):
        for value in values:
            if type(value) is not int:
                return tuple(operator.index(v) for v in values)
        return values
    if hasattr(values, "__index__"):
        return (operator.index(values),)
    return tuple(operator.index(v) for v in values)


def dims(values):
    """Dimensions of a reduction: None stands for all."""
    return () if values is None else integers(values)


if lib.swiftnet_install():
    raise ImportError("the glue does not fit the Swift library: rebuild both")

# Put into the module by that call; see tensor_type.c.
from swiftnet._binding import TensorHandle, connect, unary_method, wrap  # noqa: E402, F401

lib.sn_set_interrupt_check(ffi.addressof(lib, "swiftnet_check_signals"))
