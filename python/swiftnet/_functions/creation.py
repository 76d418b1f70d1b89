"""New tensors."""

from swiftnet import _dtypes
from swiftnet._core import check, ffi, integers, lib, scalar
from swiftnet._device import check_device
from swiftnet._functions import methods
from swiftnet._numpy import np
from swiftnet._tensor import Tensor, tensor, wrap

_arrays = {}


def _size(size):
    if len(size) == 1 and not isinstance(size[0], int) and not hasattr(size[0], "__index__"):
        return integers(size[0])
    return integers(size)


def _new(size, value, dtype, device, requires_grad):
    check_device(device)
    shape = _size(size)
    code = _dtypes.code(dtype)
    if code < 0 and value is not None and type(value) is int:
        code = _dtypes.default_code()
    if value is None:
        result = wrap(lib.sn_empty(shape, len(shape), _dtypes.default_code() if code < 0 else code))
    else:
        result = wrap(lib.sn_full(shape, len(shape), scalar(value), code))
    if requires_grad:
        result.requires_grad = True
    return result


def empty(
    *size, dtype=None, device=None, requires_grad=False, layout=None, memory_format=None, pin_memory=False, out=None
):
    """A tensor with undefined contents."""
    return _new(size, None, dtype, device, requires_grad)


def zeros(*size, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False, out=None):
    """A tensor of zeros."""
    return _new(size, 0, dtype, device, requires_grad)


def ones(*size, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False, out=None):
    """A tensor of ones."""
    return _new(size, 1, dtype, device, requires_grad)


def full(size, fill_value, *, dtype=None, device=None, requires_grad=False, layout=None, out=None):
    """A tensor filled with one value; the dtype is the value's unless given."""
    check_device(device)
    shape = integers(size)
    if isinstance(fill_value, Tensor):
        fill_value = fill_value.item()
    result = wrap(lib.sn_full(shape, len(shape), scalar(fill_value), _dtypes.code(dtype)))
    if requires_grad:
        result.requires_grad = True
    return result


def empty_like(input, *, dtype=None, device=None, requires_grad=False, layout=None, memory_format=None):
    """A tensor of the shape and dtype of `input`, with undefined contents."""
    return _new((tuple(input.shape),), None, dtype or input.dtype, device, requires_grad)


def zeros_like(input, *, dtype=None, device=None, requires_grad=False, layout=None, memory_format=None):
    """Zeros in the shape and dtype of `input`."""
    return _new((tuple(input.shape),), 0, dtype or input.dtype, device, requires_grad)


def ones_like(input, *, dtype=None, device=None, requires_grad=False, layout=None, memory_format=None):
    """Ones in the shape and dtype of `input`."""
    return _new((tuple(input.shape),), 1, dtype or input.dtype, device, requires_grad)


def full_like(input, fill_value, *, dtype=None, device=None, requires_grad=False, layout=None, memory_format=None):
    """One value in the shape and dtype of `input`."""
    return full(input.shape, fill_value, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad)


def arange(start, end=None, step=1, *, dtype=None, device=None, requires_grad=False, layout=None, out=None):
    """start, start + step, … up to but not including end. With one argument: from 0."""
    check_device(device)
    if end is None:
        start, end = 0, start
    result = wrap(lib.sn_arange(scalar(start), scalar(end), scalar(step), _dtypes.code(dtype)))
    if requires_grad:
        result.requires_grad = True
    return result


def linspace(start, end, steps, *, dtype=None, device=None, requires_grad=False, layout=None, out=None):
    """`steps` values from start to end, both included."""
    check_device(device)
    code = _dtypes.code(dtype, _dtypes.default_code())
    result = wrap(lib.sn_linspace(float(start), float(end), steps, code))
    if requires_grad:
        result.requires_grad = True
    return result


def eye(n, m=None, *, dtype=None, device=None, requires_grad=False, layout=None, out=None):
    """The identity matrix, n by m."""
    check_device(device)
    result = wrap(lib.sn_eye(n, n if m is None else m, _dtypes.code(dtype, _dtypes.default_code())))
    if requires_grad:
        result.requires_grad = True
    return result


def from_numpy(array):
    """A tensor over the memory of a NumPy array, strided or not: changes are seen on both sides."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(array).__name__})")
    kind = _dtypes.from_numpy_dtype(array.dtype)
    if not array.dtype.isnative:
        raise ValueError("given numpy array has byte order different from the native byte order")
    size = kind.itemsize
    strides = []
    for extent, stride in zip(array.shape, array.strides, strict=True):
        if stride < 0:
            raise ValueError(
                "At least one stride in the given numpy array is negative, and tensors with negative strides are not "
                "currently supported. (You can probably work around this by making a copy of your array  with "
                "array.copy().)"
            )
        if stride % size and extent > 1:
            raise ValueError("given numpy array strides not a multiple of the element byte size")
        strides.append(stride // size)
    if not array.flags.writeable:
        import warnings

        warnings.warn("the NumPy array is not writable; writing to the tensor changes it all the same", stacklevel=2)
    reach = sum((n - 1) * s for n, s in zip(array.shape, strides, strict=True)) + 1 if array.size else 0
    handle = ffi.new_handle(array)
    _arrays[handle] = array
    h = lib.sn_from_memory(
        ffi.cast("void *", array.ctypes.data), reach * size, array.shape, strides, array.ndim, 0, kind.code,
        lib.swiftnet_release, handle,
    )  # fmt: skip
    return wrap(h)


def keep(value):
    """A handle that keeps a Python object alive until the Swift library releases it."""
    handle = ffi.new_handle(value)
    _arrays[handle] = value
    return handle


@ffi.def_extern()
def swiftnet_release(context, arrays=_arrays):
    """Lets go of what a handle keeps alive; the library calls it, even when the interpreter has cleared this module."""
    arrays.pop(context, None)


def as_tensor(data, dtype=None, device=None):
    """The data as a tensor, over the same memory where that is possible."""
    check_device(device)
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)
    result = from_numpy(data) if isinstance(data, np.ndarray) else tensor(data)
    return result if dtype is None else result.to(dtype)


def scalar_tensor(value, *, dtype=None, device=None):
    """A tensor without dimensions."""
    return full((), value, dtype=dtype or _dtypes.ALL[_dtypes.default_code()], device=device)


def new_tensor(self, data, *, dtype=None, device=None, requires_grad=False):
    """A tensor with the given data and this tensor's dtype."""
    return tensor(data, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad)


def new_empty(self, *size, dtype=None, device=None, requires_grad=False):
    """A tensor of the given size and this tensor's dtype, with undefined contents."""
    return _new(size, None, dtype or self.dtype, device, requires_grad)


def new_zeros(self, *size, dtype=None, device=None, requires_grad=False):
    """Zeros of the given size and this tensor's dtype."""
    return _new(size, 0, dtype or self.dtype, device, requires_grad)


def new_ones(self, *size, dtype=None, device=None, requires_grad=False):
    """Ones of the given size and this tensor's dtype."""
    return _new(size, 1, dtype or self.dtype, device, requires_grad)


def new_full(self, size, fill_value, *, dtype=None, device=None, requires_grad=False):
    """One value in the given size and this tensor's dtype."""
    return full(size, fill_value, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad)


methods(new_tensor, new_empty, new_zeros, new_ones, new_full)


def set_default_dtype(d):
    """Sets the dtype that Python floats and new tensors take."""
    check(lib.sn_set_default_dtype(_dtypes.code(d)))


def get_default_dtype():
    """The dtype that Python floats and new tensors take."""
    return _dtypes.ALL[_dtypes.default_code()]
