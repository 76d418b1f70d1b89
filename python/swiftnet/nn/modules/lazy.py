"""Modules that learn the size of their input from the first batch."""

import itertools

from swiftnet.nn.modules import _binding
from swiftnet.nn.modules.batchnorm import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
)
from swiftnet.nn.modules.conv import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from swiftnet.nn.modules.linear import Linear
from swiftnet.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy

__all__ = [
    "LazyBatchNorm1d", "LazyBatchNorm2d", "LazyBatchNorm3d", "LazyConv1d", "LazyConv2d", "LazyConv3d",
    "LazyConvTranspose1d", "LazyConvTranspose2d", "LazyConvTranspose3d", "LazyInstanceNorm1d", "LazyInstanceNorm2d",
    "LazyInstanceNorm3d", "LazyLinear",
]  # fmt: skip


class LazyModuleMixin:
    """Makes parameters wait for the first forward, which calls `initialize_parameters` with its inputs.

    A subclass derives from this and from the module proper, sets parameters to `UninitializedParameter()`, and gives
    them shapes in `initialize_parameters`. After that the object's class becomes `cls_to_become`, if there is one.
    """

    cls_to_become = None

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._load_hook = self._register_load_state_dict_pre_hook(self._lazy_load_hook)
        self._initialize_hook = self.register_forward_pre_hook(self._infer_parameters, with_kwargs=True)

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        transient = self._non_persistent_buffers_set
        buffers = ((name, b) for name, b in self._buffers.items() if name not in transient)
        for name, value in itertools.chain(self._parameters.items(), buffers):
            if value is not None:
                destination[prefix + name] = value if keep_vars or is_lazy(value) else value.detach()

    def _lazy_load_hook(self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs):
        """Gives what waits the shapes of what is about to be loaded."""
        for name, value in itertools.chain(self._parameters.items(), self._buffers.items()):
            given = state_dict.get(prefix + name)
            if value is not None and given is not None and is_lazy(value) and not is_lazy(given):
                value.materialize(given.shape)

    def initialize_parameters(self, *args, **kwargs):
        """Gives the parameters shapes and values; the arguments are those of forward."""
        raise NotImplementedError(f"initialize_parameters is not implemented for {type(self).__name__}")

    def has_uninitialized_params(self):
        """Whether any parameter or buffer waits for its shape."""
        return any(is_lazy(value) for value in itertools.chain(self._parameters.values(), self._buffers.values()))

    def _infer_parameters(self, module, args, kwargs=None):
        module.initialize_parameters(*args, **(kwargs or {}))
        if module.has_uninitialized_params():
            raise RuntimeError(f"module {self._get_name()} has not been fully initialized")
        module._initialize_hook.remove()
        module._load_hook.remove()
        del module._initialize_hook, module._load_hook
        if module.cls_to_become is not None:
            module.__class__ = module.cls_to_become
            if not (module._forward_pre_hooks or module._forward_hooks or module._backward_hooks):
                # Nothing is left to look for: the library may run the module by itself again.
                module.__dict__.pop("_hooked", None)
                if not (module._hooked or module._overrides):
                    _binding.set_override(module._sn, False)


class LazyLinear(LazyModuleMixin, Linear):
    """`Linear` whose in_features is the last size of the first input.

    Args:
        out_features: size of the last dimension of the output.
        bias: whether to add a bias. Default: True.
    """

    cls_to_become = Linear

    def __init__(self, out_features, bias=True, device=None, dtype=None):
        super().__init__(0, 0, False)
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        self.out_features = out_features
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self):
        if not self.has_uninitialized_params() and self.in_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input):
        if self.has_uninitialized_params():
            self.in_features = input.shape[-1]
            self.weight.materialize((self.out_features, self.in_features))
            if self.bias is not None:
                self.bias.materialize((self.out_features,))
            self.reset_parameters()
        if self.in_features == 0:
            self.in_features = self.weight.shape[-1]


class _LazyConv(LazyModuleMixin):
    """The part of lazy convolutions that is about their weights."""

    def _wait(self, out_channels, bias, device, dtype):
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        self.out_channels = out_channels
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self):
        if not self.has_uninitialized_params() and self.in_channels != 0:
            super().reset_parameters()

    def initialize_parameters(self, input, *args, **kwargs):
        if self.has_uninitialized_params():
            self.in_channels = self._channels_of(input)
            if self.in_channels % self.groups != 0:
                raise ValueError("in_channels must be divisible by groups")
            first, second = self.out_channels, self.in_channels
            if self.transposed:
                first, second = second, first
            self.weight.materialize((first, second // self.groups, *self.kernel_size))
            if self.bias is not None:
                self.bias.materialize((self.out_channels,))
            self.reset_parameters()
        if self.in_channels == 0:
            self.in_channels = self.weight.shape[0] if self.transposed else self.weight.shape[1] * self.groups

    def _channels_of(self, input):
        spatial = len(self.kernel_size)
        if input.dim() not in (spatial + 1, spatial + 2):
            raise RuntimeError(
                f"Expected {spatial + 1}D (unbatched) or {spatial + 2}D (batched) input to {type(self).__name__}, but "
                f"got input of size: {input.shape}"
            )
        return input.shape[-spatial - 1]


_CONVOLUTION = """ whose in_channels is that of the first input.

    The arguments are those of the class without in_channels.
    """


def _lazy_convolution(base):
    class Lazy(_LazyConv, base):
        __doc__ = f"`{base.__name__}`" + _CONVOLUTION
        cls_to_become = base

        def __init__(
            self, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
            padding_mode="zeros", device=None, dtype=None,
        ):  # fmt: skip
            super().__init__(0, 0, kernel_size, stride, padding, dilation, groups, False, padding_mode, device, dtype)
            self._wait(out_channels, bias, device, dtype)

    return _named(Lazy, base)


def _lazy_transposed(base):
    class Lazy(_LazyConv, base):
        __doc__ = f"`{base.__name__}`" + _CONVOLUTION
        cls_to_become = base

        def __init__(
            self, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True, dilation=1,
            padding_mode="zeros", device=None, dtype=None,
        ):  # fmt: skip
            super().__init__(
                0, 0, kernel_size, stride, padding, output_padding, groups, False, dilation, padding_mode, device, dtype
            )
            self._wait(out_channels, bias, device, dtype)

    return _named(Lazy, base)


def _lazy_normalization(base, affine, tracking):
    class Lazy(LazyModuleMixin, base):
        __doc__ = f"""`{base.__name__}` whose num_features is the number of channels of the first input.

    The arguments are those of the class without num_features.
    """
        cls_to_become = base

        def __init__(
            self, eps=1e-5, momentum=0.1, affine=affine, track_running_stats=tracking, device=None, dtype=None
        ):
            super().__init__(0, eps, momentum, False, False, device, dtype)
            self.affine, self.track_running_stats = affine, track_running_stats
            if affine:
                self.weight = UninitializedParameter(device=device, dtype=dtype)
                self.bias = UninitializedParameter(device=device, dtype=dtype)
            if track_running_stats:
                from swiftnet import tensor

                self.running_mean = UninitializedBuffer(device=device, dtype=dtype)
                self.running_var = UninitializedBuffer(device=device, dtype=dtype)
                self.num_batches_tracked = tensor(0)

        def reset_parameters(self):
            if not self.has_uninitialized_params() and self.num_features != 0:
                super().reset_parameters()

        def initialize_parameters(self, input):
            waiting = self.has_uninitialized_params()
            if waiting:
                self._check(input)
            if waiting or self.num_features == 0:
                channel = 1 if input.dim() > self._single else 0
                self.num_features = input.shape[channel]
            if waiting:
                for value in itertools.chain(self._parameters.values(), self._buffers.values()):
                    if is_lazy(value):
                        value.materialize((self.num_features,))
                self.reset_parameters()

        # Rank of an input without batch, where there is such a thing.
        _single = int(base.__name__[-2]) + 1 if base.__name__.startswith("Instance") else 0

        def _check(self, input):
            spatial = int(base.__name__[-2])
            ranks = (spatial + 1, spatial + 2) if spatial == 1 or self._single else (spatial + 2,)
            if input.dim() not in ranks:
                wanted = " or ".join(f"{rank}D" for rank in ranks)
                raise ValueError(f"expected {wanted} input (got {input.dim()}D input)")

    return _named(Lazy, base)


def _named(cls, base):
    cls.__name__ = cls.__qualname__ = "Lazy" + base.__name__
    cls.__module__ = __name__
    return cls


LazyConv1d = _lazy_convolution(Conv1d)
LazyConv2d = _lazy_convolution(Conv2d)
LazyConv3d = _lazy_convolution(Conv3d)
LazyConvTranspose1d = _lazy_transposed(ConvTranspose1d)
LazyConvTranspose2d = _lazy_transposed(ConvTranspose2d)
LazyConvTranspose3d = _lazy_transposed(ConvTranspose3d)
LazyBatchNorm1d = _lazy_normalization(BatchNorm1d, True, True)
LazyBatchNorm2d = _lazy_normalization(BatchNorm2d, True, True)
LazyBatchNorm3d = _lazy_normalization(BatchNorm3d, True, True)
LazyInstanceNorm1d = _lazy_normalization(InstanceNorm1d, True, True)
LazyInstanceNorm2d = _lazy_normalization(InstanceNorm2d, True, True)
LazyInstanceNorm3d = _lazy_normalization(InstanceNorm3d, True, True)
