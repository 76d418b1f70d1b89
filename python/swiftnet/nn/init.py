"""Initial values for parameters, in place, with PyTorch's numbers for a seed set by `manual_seed`."""

import warnings

from swiftnet._core import NULL, check, ffi, lib
from swiftnet._tensor import Tensor

__all__ = [
    "calculate_gain", "constant_", "dirac_", "eye_", "kaiming_normal_", "kaiming_uniform_", "normal_", "ones_",
    "orthogonal_", "sparse_", "trunc_normal_", "uniform_", "xavier_normal_", "xavier_uniform_", "zeros_",
]  # fmt: skip


def _initialize(name, tensor, *numbers, mode=None, nonlinearity=None, generator=None):
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name}_(): argument 'tensor' must be Tensor, not {type(tensor).__name__}")
    mode = NULL if mode is None else mode.encode()
    nonlinearity = NULL if nonlinearity is None else nonlinearity.encode()
    numbers = [float(n) for n in numbers]
    source = NULL if generator is None else generator._h
    check(lib.sn_initialize(name.encode(), tensor._h, numbers, len(numbers), mode, nonlinearity, source))
    return tensor


def _is_empty(tensor):
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
        return True
    return False


def calculate_gain(nonlinearity, param=None):
    """The factor by which an activation's output has to be scaled to keep the variance.

    Args:
        nonlinearity: name of the function: "linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu", …
        param: the negative slope of "leaky_relu". Default: 0.01.
    """
    slope = 0.01 if param is None else param
    if nonlinearity == "leaky_relu" and (isinstance(slope, bool) or not isinstance(slope, (int, float))):
        raise ValueError(f"negative_slope {param} not a valid number")
    gain = ffi.new("double *")
    check(lib.sn_calculate_gain(str(nonlinearity).encode(), slope if isinstance(slope, (int, float)) else 0.0, gain))
    return gain[0]


def uniform_(tensor, a=0.0, b=1.0, generator=None):
    """U(a, b)."""
    return _initialize("uniform", tensor, a, b, generator=generator)


def normal_(tensor, mean=0.0, std=1.0, generator=None):
    """N(mean, std²)."""
    return _initialize("normal", tensor, mean, std, generator=generator)


def trunc_normal_(tensor, mean=0.0, std=1.0, a=-2.0, b=2.0, generator=None):
    """N(mean, std²) restricted to [a, b]."""
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. The distribution of values may be "
            "incorrect.",
            stacklevel=2,
        )
    return _initialize("trunc_normal", tensor, mean, std, a, b, generator=generator)


def constant_(tensor, val):
    """One value everywhere."""
    return _initialize("constant", tensor, val)


def ones_(tensor):
    """Ones."""
    return _initialize("constant", tensor, 1)


def zeros_(tensor):
    """Zeros."""
    return _initialize("constant", tensor, 0)


def eye_(tensor):
    """The identity, for a matrix."""
    return _initialize("eye", tensor)


def dirac_(tensor, groups=1):
    """A convolution weight that passes on as many channels as possible."""
    return _initialize("dirac", tensor, groups)


def xavier_uniform_(tensor, gain=1.0, generator=None):
    """U(-a, a) with a = gain · √(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010)."""
    return _initialize("xavier_uniform", tensor, gain, generator=generator)


def xavier_normal_(tensor, gain=1.0, generator=None):
    """N(0, std²) with std = gain · √(2 / (fan_in + fan_out)) (Glorot and Bengio, 2010)."""
    return _initialize("xavier_normal", tensor, gain, generator=generator)


def kaiming_uniform_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """U(-b, b) with b = gain · √(3 / fan) (He et al., 2015, https://arxiv.org/abs/1502.01852).

    Args:
        a: negative slope of the activation that follows, for "leaky_relu".
        mode: "fan_in" keeps the variance in the forward pass, "fan_out" in the backward pass.
        nonlinearity: name of that activation.
    """
    if _is_empty(tensor):
        return tensor
    return _initialize("kaiming_uniform", tensor, a, mode=mode, nonlinearity=nonlinearity, generator=generator)


def kaiming_normal_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """N(0, std²) with std = gain / √fan (He et al., 2015). See `kaiming_uniform_`."""
    if _is_empty(tensor):
        return tensor
    return _initialize("kaiming_normal", tensor, a, mode=mode, nonlinearity=nonlinearity, generator=generator)


def orthogonal_(tensor, gain=1, generator=None):
    """A random matrix with orthonormal rows or columns (Saxe et al., 2013, https://arxiv.org/abs/1312.6120)."""
    return _initialize("orthogonal", tensor, gain, generator=generator)


def sparse_(tensor, sparsity, std=0.01, generator=None):
    """N(0, std²) with a share of each column set to zero (Martens, 2010)."""
    return _initialize("sparse", tensor, sparsity, std, generator=generator)


def _calculate_fan_in_and_fan_out(tensor):
    if tensor.dim() < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    field = 1
    for size in tensor.shape[2:]:
        field *= size
    return tensor.shape[1] * field, tensor.shape[0] * field


def _calculate_correct_fan(tensor, mode):
    if mode.lower() not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    return _calculate_fan_in_and_fan_out(tensor)[mode.lower() == "fan_out"]


def _deprecated(function):
    def old(*args, **kwargs):
        """The old name of the function with an underscore."""
        warnings.warn(
            f"`nn.init.{function.__name__[:-1]}` is now deprecated in favor of `nn.init.{function.__name__}`.",
            FutureWarning, stacklevel=2,
        )  # fmt: skip
        return function(*args, **kwargs)

    old.__name__ = function.__name__[:-1]
    return old


for _function in (
    uniform_, normal_, constant_, eye_, dirac_, xavier_uniform_, xavier_normal_, kaiming_uniform_, kaiming_normal_,
    orthogonal_, sparse_,
):  # fmt: skip
    globals()[_function.__name__[:-1]] = _deprecated(_function)
