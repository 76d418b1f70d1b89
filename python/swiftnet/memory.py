"""The pool that tensors take their memory from."""

from swiftnet._core import ffi, lib


def statistics():
    """Bytes in use (`live`), the highest use (`peak`), bytes kept for reuse (`cached`), and how often the system was
    asked for memory (`system_allocations`)."""
    values = [ffi.new("int64_t *") for _ in range(4)]
    lib.sn_memory_statistics(*values)
    return dict(zip(("live", "peak", "cached", "system_allocations"), (v[0] for v in values), strict=True))


def peak():
    """Highest number of bytes in use since the start or the last `reset_peak()`."""
    return statistics()["peak"]


def reset_peak():
    """Starts `peak()` anew from what is in use now."""
    lib.sn_memory_reset_peak()


def empty():
    """Returns the memory that is kept for reuse to the system."""
    lib.sn_memory_empty()
