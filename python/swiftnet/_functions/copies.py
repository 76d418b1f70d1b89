"""Functions that give a copy where others give a view, and further names of old ones."""

from swiftnet import _dtypes
from swiftnet._core import integers
from swiftnet._device import check_device
from swiftnet._functions import methods
from swiftnet._functions import rearranging as _rearranging
from swiftnet._functions import shapes as _shapes
from swiftnet._functions.limits import in_place
from swiftnet._tensor import Tensor, tensor

_SCALAR_TYPES = {
    "float32": "Float", "float64": "Double", "float16": "Half", "bfloat16": "BFloat16", "int8": "Char",
    "int16": "Short", "int32": "Int", "int64": "Long", "uint8": "Byte", "bool": "Bool",
}  # fmt: skip


def _copying(name):
    def copying(input, *args, **kwargs):
        found = getattr(input, name)(*args, **kwargs)
        return tuple(part.clone() for part in found) if isinstance(found, (tuple, list)) else found.clone()

    copying.__name__ = copying.__qualname__ = f"{name}_copy"
    copying.__doc__ = f"`Tensor.{name}` with memory of its own."
    return copying


as_strided_copy = _copying("as_strided")
detach_copy = _copying("detach")
diagonal_copy = _copying("diagonal")
expand_copy = _copying("expand")
narrow_copy = _copying("narrow")
permute_copy = _copying("permute")
select_copy = _copying("select")
split_copy = _copying("split")
split_with_sizes_copy = _copying("split_with_sizes")
squeeze_copy = _copying("squeeze")
t_copy = _copying("t")
transpose_copy = _copying("transpose")
unbind_copy = _copying("unbind")
unfold_copy = _copying("unfold")
unsqueeze_copy = _copying("unsqueeze")
view_copy = _copying("view")


def alias_copy(input):
    """A copy."""
    return input.clone()


def slice_copy(input, dim=0, start=None, end=None, step=1):
    """A copy of the positions start to end of a dimension, every `step`."""
    index = [slice(None)] * (dim % input.ndim) + [slice(start, end, step)]
    return input[tuple(index)].clone()


def unsafe_chunk(input, chunks, dim=0):
    """`chunk`."""
    return _rearranging.chunk(input, chunks, dim)


def unsafe_split(input, split_size, dim=0):
    """`split`."""
    return _rearranging.split(input, split_size, dim)


unsafe_split_with_sizes = unsafe_split


def detach(input):
    """The same values outside of the graph, sharing memory."""
    return input.detach()


def detach_(input):
    """Takes the tensor itself out of its graph."""
    return input.detach_()


def fill(input, value):
    """A tensor of the same shape and dtype, filled with a value."""
    return input.clone().fill_(value)


def positive(input):
    """The tensor itself."""
    if input.dtype is _dtypes.bool_:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


def is_signed(input):
    """Whether the dtype has negative numbers."""
    return input.dtype not in (_dtypes.uint8, _dtypes.bool_)


def asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=False):
    """A tensor from a tensor, an array, a buffer or numbers, sharing memory where possible and not unwanted.

    Args:
        copy: True: always copy; False: fail where it is necessary; None: copy only where it is necessary.
    """
    import numpy as np

    from swiftnet._functions.creation import from_numpy

    check_device(device)
    if isinstance(obj, Tensor):
        result = obj
    elif isinstance(obj, np.ndarray):
        result = from_numpy(obj)
    elif copy is False:
        raise ValueError("can't alias arbitrary sequence into a tensor.")
    else:
        return tensor(obj, dtype=dtype, requires_grad=requires_grad)
    if dtype is not None and result.dtype is not dtype:
        if copy is False:
            raise ValueError(f"can't alias tensor with dtype '{result.dtype}' into dtype '{dtype}'.")
        result = result.to(dtype)
    elif copy:
        result = result.clone()
    if requires_grad and not result.requires_grad:
        result = result.detach().requires_grad_()
    return result


def frombuffer(buffer, *, dtype, count=-1, offset=0, requires_grad=False):
    """A one-dimensional tensor over the memory of a buffer (bytes, bytearray, memoryview, array).

    Args:
        count: number of elements; -1: as many as there are.
        offset: bytes to leave out at the beginning.
    """
    import numpy as np

    from swiftnet._functions.creation import from_numpy

    data = np.frombuffer(buffer, np.uint8)
    size = dtype.itemsize
    if len(data) == 0:
        raise ValueError(f"both buffer length ({len(data)}) and count ({count}) must not be 0")
    if not 0 <= offset < len(data):
        raise ValueError(f"offset ({offset} bytes) must be non-negative and no greater than buffer length ({len(data)} "
                         "bytes) minus 1")  # fmt: skip
    if count < 0 and (len(data) - offset) % size:
        raise ValueError(
            f"buffer length ({len(data) - offset} bytes) after offset ({offset} bytes) must be a multiple of element "
            f"size ({size})"
        )
    number = (len(data) - offset) // size if count < 0 else count
    if offset + number * size > len(data):
        raise ValueError(
            f"requested buffer length ({count} * {size} bytes) after offset ({offset} bytes) must not be greater than "
            f"actual buffer length ({len(data)} bytes)"
        )
    part = data[offset : offset + number * size]
    if not part.flags.writeable:
        part = part.copy()
    result = from_numpy(part).view(dtype)
    return result.requires_grad_() if requires_grad else result


def type(self, dtype=None, non_blocking=False):
    """The name of the tensor's type ("swiftnet.FloatTensor"), or the tensor converted to a dtype."""
    if dtype is None:
        return f"swiftnet.{_SCALAR_TYPES[str(self.dtype).split('.')[-1]]}Tensor"
    if isinstance(dtype, str):
        name = dtype.split(".")[-1].removesuffix("Tensor")
        found = [key for key, value in _SCALAR_TYPES.items() if value == name]
        if not found:
            raise ValueError(f"invalid type: '{dtype}'")
        dtype = _dtypes.bool_ if found[0] == "bool" else getattr(_dtypes, found[0])
    return self.to(dtype)


def sum_to_size(self, *size):
    """Summed over the dimensions that would have to be broadcast, so that it has the given size."""
    shape = integers(size[0]) if len(size) == 1 and not isinstance(size[0], int) else size
    lead = self.ndim - len(shape)
    fits = lead >= 0 and all(n in (1, m) for n, m in zip(shape, tuple(self.shape)[lead:], strict=True))
    if not fits:
        raise RuntimeError(f"size {{{list(shape)}}} is not expandable to size {{{list(self.shape)}}}.")
    dims = [*range(lead), *[d + lead for d, n in enumerate(shape) if n == 1 and self.shape[d + lead] != 1]]
    result = self.sum(dims, keepdim=True) if dims else self
    return result.reshape(tuple(shape))


def get_device(self):
    """The number of the device: -1 for the CPU."""
    return -1


def fill_diagonal_(self, fill_value, wrap=False):
    """Writes a value to the diagonal, in place."""
    if self.ndim < 2:
        raise RuntimeError("dimensions must larger than 1")
    if self.ndim > 2 and len(set(self.shape)) != 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    if not wrap or self.ndim > 2:
        stride = sum(self.stride())
        _shapes.as_strided(self, (min(self.shape),), (stride,)).fill_(fill_value)
        return self
    rows, columns = self.shape
    for start in range(0, rows, columns + 1):
        part = self[start : start + columns]
        _shapes.as_strided(part, (min(part.shape),), (sum(self.stride()),)).fill_(fill_value)
    return self


def apply_(self, callable):
    """Replaces each element by what a Python function makes of it. Slow."""
    values = [callable(value) for value in self.detach().reshape(-1).tolist()]
    return self.copy_(tensor(values, dtype=self.dtype).reshape(self.shape))


methods(
    type, sum_to_size, get_device, fill_diagonal_, apply_, positive, narrow_copy, unsafe_chunk, unsafe_split,
    unsafe_split_with_sizes,
)  # fmt: skip
Tensor.is_cpu = property(lambda self: True, doc="Whether the memory is the processor's: always.")
Tensor.H = property(lambda self: self.T, doc="The transpose of a matrix, for real numbers.")
Tensor.mH = property(lambda self: self.mT, doc="The last two dimensions exchanged, for real numbers.")


def _attach_in_place():
    """In-place forms at the top level of functions whose methods have them."""
    from swiftnet._functions import elementwise, linalg

    made = {}
    for source, names in (
        (elementwise, ("arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "fix", "negative", "gcd", "lcm",
                       "ldexp", "xlogy")),
        (linalg, ("addmv",)),
    ):  # fmt: skip
        for name in names:
            function = getattr(source, name, None)
            if function is not None:
                made[name + "_"] = getattr(Tensor, name + "_", None) or in_place(function)
    return made


globals().update(_attach_in_place())
__all__ = sorted(
    name for name, value in globals().items()
    if callable(value) and not name.startswith("_") and name not in (
        "Tensor", "check_device", "fill_diagonal_", "in_place", "integers", "methods", "sum_to_size", "tensor", "type",
        "apply_",
    )
)  # fmt: skip
