"""Element types, with PyTorch's names."""

from swiftnet._binding import lib
from swiftnet._numpy import np


class dtype:
    """An element type. `itemsize` is in bytes; `is_floating_point`, `is_signed` and `is_complex` say what it holds."""

    __slots__ = ("code", "name", "itemsize", "is_floating_point", "is_signed", "is_complex")

    def __init__(self, code, name, itemsize, floating, signed):
        self.code = code
        self.name = name
        self.itemsize = itemsize
        self.is_floating_point = floating
        self.is_signed = signed
        self.is_complex = False

    @property
    def numpy(self):
        """NumPy's dtype; None for bfloat16, which NumPy does not have."""
        return None if self.name == "bfloat16" else np.dtype(self.name)

    def __repr__(self):
        return f"swiftnet.{self.name}"

    def __reduce__(self):
        return (_by_name, (self.name,))

    def to_complex(self):
        raise NotImplementedError("swiftnet has no complex dtypes")


ALL = tuple(
    dtype(code, name, size, floating, signed)
    for code, (name, size, floating, signed) in enumerate(
        [
            ("float32", 4, True, True),
            ("float64", 8, True, True),
            ("float16", 2, True, True),
            ("bfloat16", 2, True, True),
            ("int8", 1, False, True),
            ("int16", 2, False, True),
            ("int32", 4, False, True),
            ("int64", 8, False, True),
            ("uint8", 1, False, False),
            ("bool", 1, False, False),
        ]
    )
)
float32, float64, float16, bfloat16, int8, int16, int32, int64, uint8, bool_ = ALL
float_, double, half, short, int_, long = float32, float64, float16, int16, int32, int64

_names = {d.name: d for d in ALL}
_of_python = {float: None, int: int64, bool: bool_}


def _by_name(name):
    return _names[name]


def from_numpy_dtype(numpy_dtype):
    """The dtype of NumPy data, or TypeError."""
    found = _names.get(np.dtype(numpy_dtype).newbyteorder("=").name)
    if found is None:
        supported = ", ".join(name for name in _names if name != "bfloat16")
        raise TypeError(f"can't convert np.ndarray of type {numpy_dtype}. The only supported types are: {supported}.")
    return found


def code(value, default=-1):
    """The C interface's number for a dtype; None gives `default`."""
    if value is None:
        return default
    if type(value) is dtype:
        return value.code
    if value in _of_python:
        found = _of_python[value]
        return default_code() if found is None else found.code
    raise TypeError(f"dtype must be a swiftnet.dtype, not {type(value).__name__}")


def default_code():
    """The code of the default dtype."""
    return lib.sn_get_default_dtype()


class finfo:
    """Limits of a floating-point dtype."""

    _table = {
        "float32": (32, 2.0**-23, 3.4028234663852886e38, 1.1754943508222875e-38, 1e-06),
        "float64": (64, 2.0**-52, 1.7976931348623157e308, 2.2250738585072014e-308, 1e-15),
        "float16": (16, 2.0**-10, 65504.0, 6.103515625e-05, 0.001),
        "bfloat16": (16, 2.0**-7, 3.3895313892515355e38, 1.1754943508222875e-38, 0.01),
    }

    def __init__(self, type=None):
        type = ALL[default_code()] if type is None else type
        if not type.is_floating_point:
            raise TypeError(f"torch.finfo() requires a floating point input type. Use torch.iinfo to handle '{type}'")
        self.dtype = type.name
        self.bits, self.eps, self.max, self.tiny, self.resolution = self._table[type.name]
        self.min = -self.max
        self.smallest_normal = self.tiny

    def __repr__(self):
        return (
            f"finfo(resolution={self.resolution}, min={self.min}, max={self.max}, eps={self.eps}, "
            f"smallest_normal={self.smallest_normal}, tiny={self.tiny}, dtype={self.dtype})"
        )


class iinfo:
    """Limits of an integer dtype."""

    def __init__(self, type):
        if type.is_floating_point or type is bool_:
            raise TypeError(f"torch.iinfo() requires an integer input type. Use torch.finfo to handle '{type}'")
        self.dtype = type.name
        self.bits = 8 * type.itemsize
        self.max = 2 ** (self.bits - (1 if type.is_signed else 0)) - 1
        self.min = -self.max - 1 if type.is_signed else 0

    def __repr__(self):
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"
