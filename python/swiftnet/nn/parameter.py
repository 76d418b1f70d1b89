"""Parameters and buffers of modules."""

from swiftnet import _dtypes
from swiftnet._core import lib
from swiftnet._device import check_device
from swiftnet._tensor import Parameter, Tensor, wrap

__all__ = ["Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter", "is_lazy"]


class Buffer(Tensor):
    """A tensor that a module registers as a buffer when it is assigned to an attribute.

    Args:
        data: the values; the buffer shares their memory.
        persistent: whether it is part of the module's state_dict. Default: True.
    """

    __slots__ = ()

    def __new__(cls, data=None, *, persistent=True):
        if data is None:
            data = Tensor(0)
        self = wrap(lib.sn_detach(data._h), cls)
        self.persistent = persistent
        return self

    def __init__(self, data=None, *, persistent=True):
        pass


# What a tensor without a shape can be asked for.
_KNOWN = frozenset([
    "bfloat16", "clear_grad", "cpu", "data", "device", "double", "dtype", "float", "grad", "half", "is_floating_point",
    "is_leaf", "layout", "requires_grad", "requires_grad_", "to",
])  # fmt: skip


class _Uninitialized:
    """The part of a parameter or buffer that waits for its shape."""

    __slots__ = ()

    def __getattribute__(self, name):
        if name in _KNOWN:
            return getattr(_plain(self), name)
        if name == "shape":
            raise RuntimeError(
                "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in "
                "`load_state_dict` when trying to load an uninitialized parameter into an initialized one. Call "
                "`forward` to initialize the parameters before accessing their attributes."
            )
        if name in ("materialize", "cls_to_become", "persistent") or name.startswith("__"):
            return object.__getattribute__(self, name)
        raise ValueError(
            f"Attempted to use an uninitialized parameter in {name}. This error happens when you are using a "
            f"`LazyModule` or explicitly manipulating `swiftnet.nn.parameter.{type(self).__name__}` objects. When "
            "using LazyModules Call `forward` with a dummy batch to initialize the parameters before calling swiftnet "
            "functions"
        )

    def __setattr__(self, name, value):
        if name in ("data", "grad", "requires_grad"):
            setattr(_plain(self), name, value)
        else:
            object.__setattr__(self, name, value)

    def materialize(self, shape, device=None, dtype=None):
        """Gives the tensor a shape, with undefined values; from now on it is an ordinary parameter or buffer."""
        check_device(device)
        sizes = [int(n) for n in shape]
        plain = _plain(self)
        code = (plain.dtype if dtype is None else dtype).code
        plain.data = wrap(lib.sn_empty(sizes, len(sizes), code))
        object.__setattr__(self, "__class__", self.cls_to_become)

    def __repr__(self):
        return f"<{type(self).__name__}>"

    def __reduce_ex__(self, protocol):
        return (type(self), (_plain(self).requires_grad,))

    def __deepcopy__(self, memo):
        if id(self) in memo:
            return memo[id(self)]
        plain = _plain(self)
        result = type(self)(plain.requires_grad, dtype=plain.dtype)
        memo[id(self)] = result
        return result


def _plain(tensor):
    """The tensor as it is in the library, without the guard."""
    return wrap(lib.sn_retain(Tensor._h.__get__(tensor)), object.__getattribute__(tensor, "cls_to_become"))


def _new(cls, requires_grad, device, dtype):
    check_device(device)
    code = _dtypes.code(dtype)
    self = object.__new__(cls)
    Tensor._h.__set__(self, lib.sn_empty((0,), 1, _dtypes.default_code() if code < 0 else code))
    if requires_grad:
        _plain(self).requires_grad_(True)
    return self


class UninitializedParameter(_Uninitialized, Parameter):
    """A parameter whose shape is not known yet: the first forward of a lazy module gives it one."""

    __slots__ = ()
    cls_to_become = Parameter

    def __new__(cls, requires_grad=True, device=None, dtype=None):
        return _new(cls, requires_grad, device, dtype)

    def __init__(self, requires_grad=True, device=None, dtype=None):
        pass


class UninitializedBuffer(_Uninitialized, Tensor):
    """A buffer whose shape is not known yet."""

    __slots__ = ()
    cls_to_become = Tensor

    def __new__(cls, requires_grad=False, device=None, dtype=None, persistent=True):
        self = _new(cls, requires_grad, device, dtype)
        object.__setattr__(self, "persistent", persistent)
        return self

    def __init__(self, requires_grad=False, device=None, dtype=None, persistent=True):
        pass


def is_lazy(parameter):
    """Whether a parameter or buffer still waits for its shape."""
    return isinstance(parameter, _Uninitialized)
