"""The tensor: a handle on one of the Swift library, with PyTorch's methods.

Operations that are also functions are written once, in the modules of `swiftnet._functions`, and attached to the class
there. Here are construction, properties, operators, conversion and automatic differentiation.
"""

from swiftnet import _dtypes
from swiftnet._core import NULL, TensorHandle, check, connect, fail, ffi, integers, lib, number, scalar, wrap
from swiftnet._device import cpu
from swiftnet._numpy import np


class Size(tuple):
    """A shape: a tuple of sizes."""

    __slots__ = ()

    def numel(self):
        """Number of elements."""
        result = 1
        for size in self:
            result *= size
        return result

    def __repr__(self):
        return f"swiftnet.Size([{', '.join(map(str, self))}])"

    def __getitem__(self, index):
        item = tuple.__getitem__(self, index)
        return Size(item) if isinstance(index, slice) else item

    def __add__(self, other):
        return Size(tuple.__add__(self, tuple(other)))


def _codes(*names):
    result = []
    for name in names:
        code = lib.sn_elementwise_code(name.encode())
        if code < 0:
            raise ImportError(f"the Swift library does not know the operation {name}: rebuild it")
        result.append(code)
    return result


_NOT, _ABS = _codes("bitwiseNot", "abs")


class Tensor(TensorHandle):
    """An n-dimensional array that shares its memory with NumPy and records operations for backward.

    The handle, the operators, and what else should cost little, are in its base: see tensor_type.c.

    Args:
        *size: sizes of a new tensor with undefined contents, or one sequence of values.
    """

    __slots__ = ()

    # NumPy arrays leave `array + tensor` to the tensor.
    __array_priority__ = 1000

    def __new__(cls, *args, **kwargs):
        if cls is Tensor and (args or not kwargs):
            if len(args) == 1 and not isinstance(args[0], int):
                if isinstance(args[0], Tensor):
                    return args[0]
                return tensor(args[0], dtype=_dtypes.ALL[_dtypes.default_code()])
            return wrap(lib.sn_empty(integers(args), len(args), _dtypes.default_code()))
        return object.__new__(cls)

    # ---- properties ----

    @property
    def device(self):
        return cpu

    @property
    def layout(self):
        return strided

    @property
    def itemsize(self):
        return self.dtype.itemsize

    @property
    def nbytes(self):
        return self.numel() * self.dtype.itemsize

    is_cuda = False
    is_mps = False
    is_sparse = False
    is_quantized = False
    is_meta = False

    def element_size(self):
        """Bytes of one element."""
        return self.dtype.itemsize

    def _size(self, dim):
        """`self.size(dim)` for a dim that is not a plain integer in range."""
        shape = self.shape
        if dim is None:
            return shape
        try:
            return tuple.__getitem__(shape, dim)
        except IndexError:
            rank = max(len(shape), 1)
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-rank}, {rank - 1}], but got {dim})"
            ) from None

    def stride(self, dim=None):
        """Steps in elements from one index to the next, of all dimensions or of one."""
        rank = lib.sn_rank(self._h)
        strides = ffi.new("int64_t[]", rank or 1)
        lib.sn_shape(self._h, NULL, strides, rank)
        result = tuple(ffi.unpack(strides, rank))
        return result if dim is None else result[dim]

    def storage_offset(self):
        return lib.sn_storage_offset(self._h)

    def data_ptr(self):
        """Address of the first element."""
        pointer = lib.sn_data(self._h)
        return int(ffi.cast("intptr_t", pointer)) if self.numel() else 0

    def is_contiguous(self, memory_format=None):
        """Whether the elements lie in memory row by row (or channels last, if that is asked for)."""
        if memory_format in (channels_last, channels_last_3d):
            return bool(lib.sn_is_channels_last(self._h))
        return bool(lib.sn_is_contiguous(self._h))

    def is_floating_point(self):
        return self.dtype.is_floating_point

    def is_complex(self):
        return False

    def is_signed(self):
        return self.dtype.is_signed

    def is_inference(self):
        """Whether this tensor was made in inference mode, so that it takes no part in any graph."""
        return bool(lib.sn_is_inference(self._h))

    @property
    def _version(self):
        return lib.sn_version(self._h)

    def is_set_to(self, other):
        return self.data_ptr() == other.data_ptr() and self.shape == other.shape and self.stride() == other.stride()

    # ---- operators ----

    def __pos__(self):
        return self

    def __abs__(self):
        return wrap(lib.sn_unary(_ABS, self._h, 0, 0, 0))

    def __invert__(self):
        if self.dtype.is_floating_point:
            raise TypeError("~ (operator.invert) is only implemented on integer and Boolean-type tensors")
        return wrap(lib.sn_unary(_NOT, self._h, 0, 0, 0))

    __hash__ = object.__hash__

    # ---- conversion ----

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __index__(self):
        value = self.item()
        if isinstance(value, float):
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(value)

    def __bool__(self):
        if self.numel() != 1:
            if self.numel() == 0:
                raise RuntimeError("Boolean value of Tensor with no values is ambiguous")
            raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
        return bool(self.item())

    def __format__(self, spec):
        if self.ndim == 0:
            return self.item().__format__(spec)
        return object.__format__(self, spec)

    def __len__(self):
        if self.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def tolist(self):
        """The values as nested lists of Python numbers."""
        if self.ndim == 0:
            return self.item()
        return _memory_view(self.detach().to(_dtypes.float32) if self.dtype is _dtypes.bfloat16 else self).tolist()

    def numpy(self, *, force=False):
        """A NumPy array over the same memory."""
        if lib.sn_requires_grad(self._h):
            if not force:
                raise RuntimeError(
                    "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
                )
            return self.detach().numpy()
        return _memory_view(self)

    def __array__(self, dtype=None, copy=None):
        array = self.numpy()
        if dtype is not None and np.dtype(dtype) != array.dtype:
            return array.astype(dtype)
        return array.copy() if copy else array

    def __deepcopy__(self, memo):
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the "
                "moment."
                " Use .detach().clone() if a copy without history is meant."
            )
        if id(self) in memo:
            return memo[id(self)]
        source = self.detach()
        copy = wrap(lib.sn_clone(source._h), type(self))
        memo[id(self)] = copy
        if self.requires_grad:
            copy.requires_grad = True
        if self.grad is not None:
            copy.grad = self.grad.detach().clone()
        if self.__dict__:
            import copy as copying

            copy.__dict__.update(copying.deepcopy(self.__dict__, memo))
        return copy

    def __reduce_ex__(self, protocol):
        if not self.is_leaf:
            raise RuntimeError("cannot pickle a tensor that is not a leaf: use .detach()")
        data = self.detach().contiguous()
        name = self.dtype.name
        if name == "bfloat16":
            data = data.view(_dtypes.int16)
        return (_rebuild, (type(self), data.numpy(), name, self.requires_grad, dict(self.__dict__)))

    # ---- automatic differentiation ----

    def requires_grad_(self, requires_grad=True):
        """Turns the collection of gradients on or off; returns the tensor."""
        check(lib.sn_set_requires_grad(self._h, bool(requires_grad)))
        return self

    @property
    def is_leaf(self):
        return bool(lib.sn_is_leaf(self._h))

    @property
    def grad(self):
        """The gradient that backward has collected, or None."""
        handle = lib.sn_grad(self._h)
        if not handle:
            return None
        known = self.__dict__.get("_grad")
        if known is not None and known._h == handle:
            lib.sn_release(handle)
            return known
        result = wrap(handle)
        self.__dict__["_grad"] = result
        return result

    @grad.setter
    def grad(self, value):
        if value is None:
            self.__dict__.pop("_grad", None)
            check(lib.sn_set_grad(self._h, NULL))
            return
        if not isinstance(value, Tensor):
            raise TypeError(
                f"assigned grad expected to be a Tensor or None but got grad of type {type(value).__name__}"
            )
        if value is self:
            raise RuntimeError("can't assign Variable as its own grad")
        check(lib.sn_set_grad(self._h, value._h))
        self.__dict__["_grad"] = value

    @grad.deleter
    def grad(self):
        self.grad = None

    @property
    def grad_fn(self):
        """The recorded operation that made this tensor, or None for a leaf."""
        from swiftnet.autograd.graph import Node

        return Node.of(lib.sn_grad_fn(self._h))

    @property
    def data(self):
        """The same values and memory, outside of any graph."""
        return wrap(lib.sn_detach(self._h))

    @data.setter
    def data(self, value):
        if not isinstance(value, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
        check(lib.sn_set_data(self._h, value._h))

    def retain_grad(self):
        """Keeps the gradient of a tensor that is not a leaf."""
        check(lib.sn_retain_grad(self._h))

    def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
        """Adds the gradients of this tensor to the `grad` of every leaf that it depends on.

        Args:
            gradient: gradient of this tensor, of its shape; may be left out for one element.
            retain_graph: keep what was saved so that backward can run again. Default: `create_graph`.
            create_graph: record backward itself, for higher derivatives.
            inputs: if given, only these tensors receive gradients.
        """
        from swiftnet import autograd

        autograd.backward(self, gradient, retain_graph, create_graph, inputs=inputs)

    def __repr__(self):
        from swiftnet._printing import describe

        return describe(self)

    def _repr_html_(self):
        from swiftnet._display import tensor_html

        return tensor_html(self)

    def __dir__(self):
        return object.__dir__(self)


class Parameter(Tensor):
    """A tensor that is a parameter of a module: a leaf that requires a gradient.

    Args:
        data: the values; the parameter shares their memory.
        requires_grad: whether backward computes its gradient. Default: True.
    """

    __slots__ = ()

    def __new__(cls, data=None, requires_grad=True):
        if data is None:
            data = wrap(lib.sn_empty((0,), 1, _dtypes.default_code()))
        if not isinstance(data, Tensor):
            raise TypeError(f"Parameter expects a Tensor, got {type(data).__name__}")
        self = wrap(lib.sn_detach(data._h), cls)
        if requires_grad:
            check(lib.sn_set_requires_grad(self._h, 1))
        return self

    def __init__(self, data=None, requires_grad=True):
        pass

    def __repr__(self):
        return "Parameter containing:\n" + Tensor.__repr__(self)


def handles(tensors, name):
    """The handles of a list of tensors. A tensor is no such list: its rows would be gone before they are read."""
    if isinstance(tensors, Tensor):
        raise TypeError(f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor")
    for position, item in enumerate(tensors):
        if not isinstance(item, Tensor):
            raise TypeError(f"expected Tensor as element {position} in argument 0, but got {type(item).__name__}")
    return [item._h for item in tensors]


def _with_number(op, tensor, other, mode):
    """A binary operator for what is neither a tensor nor a plain float or integer. Modes are those of tensor_type.c."""
    try:
        other = number(other)
    except TypeError:
        return NotImplemented
    if mode < 2:
        return wrap(lib.sn_binary_scalar(op, tensor._h, *other, mode))
    check(lib.sn_binary_scalar_(op, tensor._h, *other))
    return tensor


# From here on `wrap` makes tensors, and those have operators.
connect(ffi.typeof("sn_tensor"), Tensor, Parameter, Size, _dtypes.ALL, fail, _with_number)


class _Memory:
    """What a NumPy array over a tensor's memory holds on to."""

    __slots__ = ("__array_interface__", "_tensor")


def _memory_view(t):
    if t.dtype.numpy is None:
        raise TypeError("Got unsupported ScalarType BFloat16: NumPy has no such type; convert with .float() first")
    shape = tuple(t.shape)
    if t.numel() == 0:
        return np.empty(shape, t.dtype.numpy)
    memory = _Memory()
    memory._tensor = wrap(lib.sn_detach(t._h))
    size = t.dtype.itemsize
    memory.__array_interface__ = {
        "version": 3,
        "shape": shape,
        "typestr": t.dtype.numpy.str,
        "data": (t.data_ptr(), False),
        "strides": tuple(s * size for s in t.stride()),
    }
    return np.asarray(memory)


def _rebuild(cls, array, name, requires_grad, attributes):
    wanted = next(d for d in _dtypes.ALL if d.name == name)
    result = tensor(array)
    if wanted is _dtypes.bfloat16:
        result = result.view(wanted)
    result = wrap(lib.sn_detach(result._h), cls)
    if requires_grad:
        result.requires_grad = True
    result.__dict__.update(attributes)
    return result


def tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """A new tensor with a copy of the data.

    Args:
        data: a number, nested sequences of numbers, a NumPy array or a tensor.
        dtype: element type. Default: that of the data; Python floats take the default dtype, integers int64.
        requires_grad: whether backward computes its gradient.
    """
    from swiftnet._device import check_device

    check_device(device)
    if isinstance(data, Tensor):
        result = data.detach().clone()
    elif isinstance(data, (np.ndarray, np.generic)):
        result = _from_array(np.asarray(data))
    else:
        result = _from_sequence(data, dtype if isinstance(dtype, _dtypes.dtype) and dtype.is_floating_point else None)
    if dtype is not None:
        result = wrap(lib.sn_to_dtype(result._h, _dtypes.code(dtype)))
    if requires_grad:
        result.requires_grad = True
    return result


def _from_array(array):
    kind = _dtypes.from_numpy_dtype(array.dtype)
    shape = array.shape
    array = np.ascontiguousarray(array, dtype=kind.numpy)
    return wrap(lib.sn_from_data(ffi.cast("void *", array.ctypes.data), shape, len(shape), kind.code))


def _plain(data):
    """Nested sequences with tensors and NumPy numbers turned into Python's."""
    if isinstance(data, (list, tuple)):
        return [_plain(item) for item in data]
    if isinstance(data, Tensor):
        return data.tolist()
    if isinstance(data, (np.ndarray, np.generic)):
        return data.tolist()
    return data


def _holds_arrays(data):
    if isinstance(data, (list, tuple)):
        return any(_holds_arrays(item) for item in data)
    return isinstance(data, (Tensor, np.ndarray, np.generic))


def _from_sequence(data, floating=None):
    """A tensor of Python data. `floating` is the dtype that Python floats take, if not the default one."""
    if type(data) in (float, int, bool):
        return wrap(lib.sn_full((), 0, scalar(data), -1 if floating is None else floating.code))
    first = data
    while isinstance(first, (list, tuple)) and first:
        first = first[0]
    if isinstance(first, (Tensor, np.ndarray, np.generic)) or _holds_arrays(data):
        kind = _dtypes.from_numpy_dtype(first.dtype) if isinstance(first, (np.ndarray, np.generic)) else None
        if isinstance(first, Tensor):
            kind = first.dtype
        result = _from_sequence(_plain(data), kind if kind is not None and kind.is_floating_point else None)
        return result if kind is None else wrap(lib.sn_to_dtype(result._h, kind.code))
    if hasattr(data, "__array__") or hasattr(data, "__array_interface__"):
        return _from_array(np.asarray(data))
    try:
        array = np.array(data)
    except ValueError as error:
        raise ValueError(f"expected sequences of equal lengths: {error}") from None
    if array.dtype == np.float64:
        default = floating or _dtypes.ALL[_dtypes.default_code()]
        if default is not _dtypes.float64:
            wide = _from_array(array)
            return wrap(lib.sn_to_dtype(wide._h, default.code))
    elif array.dtype.kind == "O" or array.dtype.kind in "US":
        raise TypeError(f"new(): invalid data type '{type(first).__name__}'")
    elif array.dtype.kind == "u":
        raise RuntimeError("Overflow when unpacking long")
    if array.size == 0 and array.dtype == np.float64:
        return wrap(lib.sn_empty(array.shape, array.ndim, default.code))
    return _from_array(array)


class layout:
    """How the elements of a tensor are stored: there is one way, strided."""

    __slots__ = ("name",)

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return f"swiftnet.{self.name}"


class memory_format(layout):
    """An order of the elements in memory."""


strided = layout("strided")
contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last")
channels_last_3d = memory_format("channels_last_3d")
