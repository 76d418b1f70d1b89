"""Mixed precision: products and convolutions in half precision, what needs digits in float32."""

from swiftnet.amp.autocast_mode import autocast, custom_bwd, custom_fwd, is_autocast_available
from swiftnet.amp.grad_scaler import GradScaler

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]
