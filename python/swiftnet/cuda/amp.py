"""The old names of mixed precision. Programs that use them run in half precision on the CPU."""

import functools

from swiftnet import _dtypes
from swiftnet.amp import autocast_mode, grad_scaler

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd"]


class autocast(autocast_mode.autocast):
    """`swiftnet.amp.autocast` on the CPU, in float16 unless told otherwise."""

    def __init__(self, enabled=True, dtype=_dtypes.float16, cache_enabled=True):
        super().__init__("cpu", dtype=dtype, enabled=enabled, cache_enabled=cache_enabled)


class GradScaler(grad_scaler.GradScaler):
    """`swiftnet.amp.GradScaler` on the CPU."""

    def __init__(
        self, init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000, enabled=True,
    ):  # fmt: skip
        super().__init__("cpu", init_scale, growth_factor, backoff_factor, growth_interval, enabled)


custom_fwd = functools.partial(autocast_mode.custom_fwd, device_type="cpu")
custom_bwd = functools.partial(autocast_mode.custom_bwd, device_type="cpu")
