"""Scaling of losses, so that gradients in float16 do not vanish."""

import warnings

from swiftnet import _dtypes
from swiftnet._core import fail, lib
from swiftnet._tensor import Tensor, tensor

__all__ = ["GradScaler"]

_READY, _UNSCALED, _STEPPED = range(3)


class GradScaler:
    """Multiplies losses by a scale, divides the gradients by it before the optimizer's step, leaves the step out when a
    gradient has overflowed, and adapts the scale (Micikevicius et al., 2017, https://arxiv.org/abs/1710.03740).

        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    Args:
        device: "cpu". Under "cuda" it is disabled, with a warning, as in PyTorch without CUDA.
        init_scale: Default: 65536.
        growth_factor: times the scale after `growth_interval` steps without overflow. Default: 2.
        backoff_factor: times the scale after an overflow. Default: 0.5.
        growth_interval: Default: 2000.
        enabled: False makes `scale` and `step` pass everything on. Default: True.
    """

    def __init__(
        self, device="cpu", init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000,
        enabled=True,
    ):  # fmt: skip
        self._device = device
        if enabled and device == "cuda":
            warnings.warn("CUDA is not available: GradScaler is disabled", stacklevel=2)
            enabled = False
        self._enabled = enabled
        if not enabled:
            return
        if growth_factor <= 1.0:
            raise AssertionError("The growth factor must be > 1.0.")
        if backoff_factor >= 1.0:
            raise AssertionError("The backoff factor must be < 1.0.")
        self._init_scale = init_scale
        # A float32 tensor from the first call of `scale` on.
        self._scale = None
        self._growth_factor = growth_factor
        self._backoff_factor = backoff_factor
        self._growth_interval = growth_interval
        self._growth_tracker = 0
        # By the optimizer's identity: (stage, whether a gradient has overflowed).
        self._optimizers = {}

    def _check_scale(self, name):
        if self._scale is None:
            raise AssertionError(
                f"Attempted {name} but _scale is None.  This may indicate your script did not use scaler.scale(loss or "
                "outputs) earlier in the iteration."
            )

    def scale(self, outputs):
        """Tensors, or a list, tuple or other iterable of them, times the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            if self._scale is None:
                self._scale = tensor(float(self._init_scale), dtype=_dtypes.float32)
            return outputs * self._scale
        if isinstance(outputs, (list, tuple)):
            return type(outputs)(self.scale(output) for output in outputs)
        if hasattr(outputs, "__iter__"):
            return map(self.scale, outputs)
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    def unscale_(self, optimizer):
        """Divides the gradients of an optimizer's parameters by the scale; once in each iteration, before clipping."""
        if not self._enabled:
            return
        self._check_scale("unscale_")
        stage, _ = self._optimizers.get(id(optimizer), (_READY, None))
        if stage == _UNSCALED:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update().")
        if stage == _STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        gradients = []
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is None:
                    continue
                if gradient.dtype is _dtypes.float16:
                    raise ValueError("Attempting to unscale FP16 gradients.")
                gradients.append(gradient)
        inverse = self._scale.double().reciprocal().float().item()
        found = lib.sn_unscale([gradient._h for gradient in gradients], len(gradients), inverse)
        if found < 0:
            fail()
        self._optimizers[id(optimizer)] = (_UNSCALED, bool(found) if gradients else None)

    def step(self, optimizer, *args, **kwargs):
        """Unscales the gradients unless that has been done, and runs the optimizer's step unless one has overflowed."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        self._check_scale("step")
        stage, _ = self._optimizers.get(id(optimizer), (_READY, None))
        if stage == _STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if stage == _READY:
            self.unscale_(optimizer)
        _, overflowed = self._optimizers[id(optimizer)]
        if overflowed is None:
            raise AssertionError("No inf checks were recorded for this optimizer.")
        result = None if overflowed else optimizer.step(*args, **kwargs)
        self._optimizers[id(optimizer)] = (_STEPPED, overflowed)
        return result

    def update(self, new_scale=None):
        """Adapts the scale at the end of an iteration.

        Args:
            new_scale: a scale to go on with instead: a float, or a tensor with one element.
        """
        if not self._enabled:
            return
        self._check_scale("update")
        if new_scale is not None:
            if isinstance(new_scale, (int, float)):
                self._scale.fill_(float(new_scale))
            else:
                if not isinstance(new_scale, Tensor) or new_scale.numel() != 1 or new_scale.requires_grad:
                    raise AssertionError("new_scale should be a float or a 1-element tensor with requires_grad=False.")
                self._scale.fill_(float(new_scale))
        else:
            found = [overflowed for _, overflowed in self._optimizers.values() if overflowed is not None]
            if not found:
                raise AssertionError("No inf checks were recorded prior to update.")
            self._adapt(any(found))
        self._optimizers = {}

    def _adapt(self, overflowed):
        if overflowed:
            self._scale.fill_(self._scale.item() * self._backoff_factor)
            self._growth_tracker = 0
            return
        self._growth_tracker += 1
        if self._growth_tracker == self._growth_interval:
            self._growth_tracker = 0
            grown = tensor(self._scale.item() * self._growth_factor, dtype=_dtypes.float32)
            if bool(grown.isfinite()):
                self._scale = grown

    def get_scale(self):
        """The scale; 1 if disabled."""
        if not self._enabled:
            return 1.0
        return self._init_scale if self._scale is None else self._scale.item()

    def get_growth_factor(self):
        """What the scale is multiplied with when it grows."""
        return self._growth_factor

    def set_growth_factor(self, new_factor):
        """Sets what the scale is multiplied with when it grows."""
        self._growth_factor = new_factor

    def get_backoff_factor(self):
        """What the scale is multiplied with after an overflow."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor):
        """Sets what the scale is multiplied with after an overflow."""
        self._backoff_factor = new_factor

    def get_growth_interval(self):
        """Steps without overflow until the scale grows."""
        return self._growth_interval

    def set_growth_interval(self, new_interval):
        """Sets the number of steps without overflow until the scale grows."""
        self._growth_interval = new_interval

    def _get_growth_tracker(self):
        return self._growth_tracker if self._enabled else 0

    def is_enabled(self):
        """Whether anything is scaled."""
        return self._enabled

    def state_dict(self):
        """Scale, factors, interval, and the steps since the last change; empty if disabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self.get_scale(),
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._growth_tracker,
        }

    def load_state_dict(self, state_dict):
        """Takes what `state_dict` gave."""
        if not self._enabled:
            return
        if len(state_dict) == 0:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler."
            )
        self._init_scale = state_dict["scale"]
        if self._scale is not None:
            self._scale.fill_(state_dict["scale"])
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._growth_tracker = state_dict["_growth_tracker"]

    def __getstate__(self):
        state = dict(self.__dict__)
        if self._enabled:
            if self._optimizers:
                raise AssertionError(
                    "A GradScaler instance may only be pickled at the beginning of an iteration, or at the end after "
                    "scaler.update()."
                )
            state["_init_scale"] = self.get_scale()
            state["_scale"] = None
        return state
