"""Switches that programs for PyTorch set. Results here are always the same on every run, so most have no effect."""

import warnings

from swiftnet._device import check_device, device

__all__ = [
    "are_deterministic_algorithms_enabled", "get_default_device", "get_deterministic_debug_mode",
    "get_float32_matmul_precision", "get_num_interop_threads", "is_deterministic_algorithms_warn_only_enabled",
    "is_warn_always_enabled", "set_default_device", "set_deterministic_debug_mode", "set_float32_matmul_precision",
    "set_flush_denormal", "set_num_interop_threads", "set_warn_always", "use_deterministic_algorithms",
]  # fmt: skip

_state = {"deterministic": False, "warn_only": False, "precision": "highest", "interop": 1, "warn_always": False}


def use_deterministic_algorithms(mode, *, warn_only=False):
    """Remembers the choice; all algorithms here are deterministic."""
    _state.update(deterministic=bool(mode), warn_only=bool(warn_only))


def are_deterministic_algorithms_enabled():
    """What `use_deterministic_algorithms` was given."""
    return _state["deterministic"]


def is_deterministic_algorithms_warn_only_enabled():
    """What `use_deterministic_algorithms` was given as warn_only."""
    return _state["warn_only"]


def set_deterministic_debug_mode(debug_mode):
    """ "default" or 0, "warn" or 1, "error" or 2; remembered like `use_deterministic_algorithms`."""
    names = {"default": 0, "warn": 1, "error": 2}
    code = names.get(debug_mode, debug_mode)
    if code not in (0, 1, 2):
        raise RuntimeError(f"invalid value of debug_mode, expected 0, 1, or 2, but got {debug_mode}")
    use_deterministic_algorithms(code > 0, warn_only=code == 1)


def get_deterministic_debug_mode():
    """0, 1 or 2: see `set_deterministic_debug_mode`."""
    return (1 if _state["warn_only"] else 2) if _state["deterministic"] else 0


def set_float32_matmul_precision(precision):
    """ "highest", "high" or "medium": remembered; products of float32 matrices are always computed in float32."""
    if precision not in ("highest", "high", "medium"):
        warnings.warn(f"{precision} is not one of 'highest', 'high', or 'medium'", stacklevel=2)
        return
    _state["precision"] = precision


def get_float32_matmul_precision():
    """What `set_float32_matmul_precision` was given."""
    return _state["precision"]


def set_num_interop_threads(count):
    """Remembered: operations run one after the other here."""
    if count < 1:
        raise RuntimeError("expects a positive integer")
    _state["interop"] = count


def get_num_interop_threads():
    """What `set_num_interop_threads` was given."""
    return _state["interop"]


def set_warn_always(enabled):
    """Remembered: warnings here follow Python's filters."""
    _state["warn_always"] = bool(enabled)


def is_warn_always_enabled():
    """What `set_warn_always` was given."""
    return _state["warn_always"]


def set_flush_denormal(mode):
    """False: denormal numbers are always kept."""
    return False


def set_default_device(device):
    """Checks that the device is the CPU, or None."""
    check_device(device)


def get_default_device():
    """The CPU."""
    return device("cpu")
