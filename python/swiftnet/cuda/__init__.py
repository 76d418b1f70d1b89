"""CUDA, as far as a program without it needs: it is not available, and asking for it says so.

Programs that call `.cuda()` without asking first run on the CPU after `swiftnet.cuda.fall_back_to_cpu()`, or with
SWIFTNET_CUDA_FALLBACK=cpu in the environment.
"""

import os
import warnings

from swiftnet._lazy import lazily as _lazily

_falls_back = os.environ.get("SWIFTNET_CUDA_FALLBACK", "").lower() == "cpu"
_warned = False


def is_available():
    """False: swiftnet computes on the CPU."""
    return False


def device_count():
    """0: there is no CUDA device."""
    return 0


def fall_back_to_cpu(enabled=True):
    """Lets `.cuda()` and `.to("cuda")` stay on the CPU, with one warning, instead of raising."""
    global _falls_back
    _falls_back = enabled


def refuse(device):
    """Raises, or warns once if programs are to stay on the CPU."""
    global _warned
    if not _falls_back:
        raise RuntimeError(
            f"swiftnet computes on the CPU and has no device '{device}'. Ask swiftnet.cuda.is_available() first, or "
            "call "
            "swiftnet.cuda.fall_back_to_cpu() (or set SWIFTNET_CUDA_FALLBACK=cpu) to run such a program on the CPU."
        )
    if not _warned:
        _warned = True
        warnings.warn(f"device '{device}' is not available: staying on the CPU", stacklevel=4)


def synchronize(device=None):
    """Nothing to wait for."""


def empty_cache():
    """Returns cached memory to the system."""
    from swiftnet import memory

    memory.empty()


def manual_seed(seed):
    """Nothing to seed: there is no CUDA device."""


def manual_seed_all(seed):
    """Nothing to seed: there is no CUDA device."""


def current_device():
    """Raises: there is no CUDA device."""
    raise RuntimeError("swiftnet has no CUDA device")


def get_device_name(device=None):
    """Raises: there is no CUDA device."""
    raise RuntimeError("swiftnet has no CUDA device")


__getattr__, __dir__ = _lazily(__name__, ["amp"])
