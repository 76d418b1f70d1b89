"""Reading pickles of tensors and plain containers, and nothing else.

The unpickler knows a list of names, and calls nothing that is not in it; it sets no attributes of anything but ordered
dictionaries. It is the one in Python: the one in C would let a file change classes and functions that the list names,
and claim any amount of memory for its table of references.
"""

import collections
import io
import pickle
import struct
import sys
import zipfile

from swiftnet import _dtypes
from swiftnet._core import lib
from swiftnet._device import device
from swiftnet._numpy import np
from swiftnet._serialization import _STORAGES
from swiftnet._tensor import Parameter, Size, wrap

# What files of the format before PyTorch 1.6 begin with.
_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


def _rebuild_tensor(storage, offset, size, stride, requires_grad=False, hooks=None, metadata=None):
    if not hasattr(storage, "_h") or len(size) != len(stride):
        raise pickle.UnpicklingError("a tensor in the file has no storage, or sizes and strides of different numbers")
    tensor = wrap(lib.sn_as_strided(storage._h, tuple(size), tuple(stride), len(size), offset))
    return tensor.requires_grad_() if requires_grad else tensor


def _rebuild_parameter(data, requires_grad, hooks=None):
    return Parameter(data, requires_grad)


class _StorageType:
    """The dtype that a storage's type in the file stands for."""

    def __init__(self, dtype):
        self.dtype = dtype


def _encode(text, encoding):
    """Bytes, as pickles of protocol 2 hold them."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"unexpected encoding {encoding!r}")
    return text.encode("latin1")


def _bytearray(content=b"", encoding=None):
    if isinstance(content, str):
        content = _encode(content, "latin1" if encoding in ("latin-1", "latin1") else encoding)
    if not isinstance(content, (bytes, list, tuple)):
        raise pickle.UnpicklingError("a bytearray is made of bytes")
    return bytearray(content)


_ALLOWED = {
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch.nn.parameter", "Parameter"): Parameter,
    ("torch", "Size"): Size,
    ("torch", "device"): device,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "Counter"): collections.Counter,
    ("_codecs", "encode"): _encode,
    **{("torch", name): _StorageType(dtype) for name, dtype in _STORAGES.items()},
    **{("torch", dtype.name): dtype for dtype in _dtypes.ALL},
}
for _module in ("builtins", "__builtin__"):
    _ALLOWED[_module, "set"] = set
    _ALLOWED[_module, "frozenset"] = frozenset
    _ALLOWED[_module, "complex"] = complex
    _ALLOWED[_module, "bytearray"] = _bytearray

# What an object may be made of without its constructor.
_PLAIN = (collections.OrderedDict, collections.Counter, set, frozenset)


class Reader(pickle._Unpickler):
    """Reads one pickle. `storage(kind, key, count)` gives the tensor over a storage that the pickle refers to."""

    dispatch = dict(pickle._Unpickler.dispatch)

    def __init__(self, file, storage=None):
        super().__init__(file, encoding="utf-8")
        self._storage = storage

    def load(self):
        try:
            return super().load()
        except (pickle.UnpicklingError, zipfile.BadZipFile, MemoryError, RuntimeError, OSError, EOFError, ValueError):
            raise
        except Exception as error:
            raise pickle.UnpicklingError(f"the file is damaged: {type(error).__name__}: {error}") from error

    def find_class(self, module, name):
        known = _ALLOWED.get((module, name))
        if known is not None:
            return known
        raise pickle.UnpicklingError(
            f"Weights only load failed: the file names {module}.{name}, which is neither a tensor nor a plain "
            "container. swiftnet runs no code from a file: save the state_dict() instead of the object."
        )

    def persistent_load(self, reference):
        if self._storage is None or not isinstance(reference, tuple) or not reference or reference[0] != "storage":
            raise pickle.UnpicklingError("the file refers to something that is no storage")
        return self._storage(*reference[1:])

    def _load_build(self):
        state = self.stack.pop()
        target = self.stack[-1]
        if type(target) is not collections.OrderedDict or type(state) is not dict:
            raise pickle.UnpicklingError(f"Weights only load failed: the file changes a {type(target).__name__}")
        target.__dict__.update(state)

    def _load_newobj(self):
        arguments = self.stack.pop()
        made = self.stack.pop()
        if made not in _PLAIN:
            raise pickle.UnpicklingError(f"Weights only load failed: the file makes a {made!r}")
        self.append(made(*arguments))

    def _refuse(self):
        raise pickle.UnpicklingError("Weights only load failed: the file makes objects that are no plain containers")

    dispatch[pickle.BUILD[0]] = _load_build
    dispatch[pickle.NEWOBJ[0]] = _load_newobj
    for _code in (pickle.NEWOBJ_EX, pickle.INST, pickle.OBJ, pickle.EXT1, pickle.EXT2, pickle.EXT4):
        dispatch[_code[0]] = _refuse


def _dtype_of(kind, count):
    if not isinstance(kind, _StorageType) or type(count) is not int or count < 0:
        raise pickle.UnpicklingError("the file refers to a storage of an unknown kind")
    return kind.dtype


def _tensor_over(content, dtype):
    """A flat tensor over the bytes of an array."""
    from swiftnet._functions.creation import from_numpy

    if not content.nbytes:
        return wrap(lib.sn_empty((0,), 1, dtype.code))
    if dtype is _dtypes.bfloat16:
        return from_numpy(content.view(np.int16)).view(dtype)
    return from_numpy(content.view(dtype.numpy))


def _normalise(content, dtype):
    """Truth values of any byte become 0 or 1: nothing else may be in memory as one."""
    if dtype is _dtypes.bool_:
        np.not_equal(content, 0, out=content.view(np.bool_))


def read_archive(archive, root, size):
    """Reads the zip format.

    Args:
        archive: the open archive.
        root: the folder in it.
        size: bytes of the file, which nothing in it can exceed.
    """
    names = set(archive.namelist())
    contents = {}

    def entry(name):
        info = archive.getinfo(name)
        if info.compress_type != zipfile.ZIP_STORED or info.file_size > size:
            raise pickle.UnpicklingError(f"{name} is compressed, or larger than the file: no program writes that")
        return info

    def read(name):
        content = np.empty(entry(name).file_size, np.uint8)
        with archive.open(name) as file:
            filled = 0
            while filled < content.nbytes:
                count = file.readinto(memoryview(content)[filled:])
                if not count:
                    raise EOFError(f"{name} is cut off")
                filled += count
        return content

    def storage(kind, key=None, location=None, count=None):
        dtype = _dtype_of(kind, count)
        if not isinstance(key, str) or f"{root}/data/{key}" not in names:
            raise pickle.UnpicklingError(f"the file refers to a storage {key!r} that is not in it")
        if key not in contents:
            contents[key] = read(f"{root}/data/{key}")
            _normalise(contents[key], dtype)
        content = contents[key]
        if content.nbytes != count * dtype.itemsize:
            raise pickle.UnpicklingError(
                f"storage {key} has {content.nbytes} bytes instead of {count} elements of {dtype.name}"
            )
        return _tensor_over(content, dtype)

    order = f"{root}/byteorder"
    if order in names and archive.read(entry(order)).decode() != sys.byteorder:
        raise RuntimeError("the file was written on a machine with another byte order")
    return Reader(io.BytesIO(archive.read(entry(f"{root}/data.pkl"))), storage).load()


def read_legacy(file, size):
    """Reads the format of `torch.save` before PyTorch 1.6: pickles one after the other, then the storages' bytes."""
    start = file.tell()
    foreign = "it is not a file that torch.save has written, or it is damaged"
    try:
        if Reader(file).load() != _MAGIC or Reader(file).load() != _PROTOCOL:
            raise RuntimeError(foreign)
        system = Reader(file).load()
    except EOFError:
        raise RuntimeError(foreign) from None
    if not isinstance(system, dict) or bool(system.get("little_endian", True)) is not (sys.byteorder == "little"):
        raise RuntimeError("the file was written on a machine with another byte order")
    storages = {}
    promised = 0

    def storage(kind, key=None, location=None, count=None, view=None):
        nonlocal promised
        dtype = _dtype_of(kind, count)
        if not isinstance(key, (str, int)):
            raise pickle.UnpicklingError("the file refers to a storage of an unknown kind")
        if key not in storages:
            promised += count * dtype.itemsize
            if promised > size:
                raise pickle.UnpicklingError(f"the file has {size} bytes, but its storages would have {promised}")
            storages[key] = (np.zeros(count * dtype.itemsize, np.uint8), dtype)
        content, known = storages[key]
        if known is not dtype or content.nbytes != count * dtype.itemsize:
            raise pickle.UnpicklingError(f"storage {key} has two sizes or dtypes")
        if view is None:
            return _tensor_over(content, dtype)
        if not isinstance(view, tuple) or len(view) != 3:
            raise pickle.UnpicklingError(f"storage {key} has a view of an unknown kind")
        _, offset, length = view
        if type(offset) is not int or type(length) is not int or not 0 <= offset <= offset + length <= count:
            raise pickle.UnpicklingError(f"storage {key} has a view outside of it")
        return _tensor_over(content[offset * dtype.itemsize : (offset + length) * dtype.itemsize], dtype)

    result = Reader(file, storage).load()
    keys = Reader(file).load()
    if not isinstance(keys, list) or set(keys) != set(storages):
        raise pickle.UnpicklingError("the file does not have the storages that it refers to")
    for key in keys:
        content, dtype = storages[key]
        header = file.read(8)
        if len(header) < 8 or struct.unpack("<q", header)[0] * dtype.itemsize != content.nbytes:
            raise RuntimeError(f"storage {key} at byte {file.tell() - start} is cut off or of another size")
        if _read_into(file, content) < content.nbytes:
            raise RuntimeError(f"storage {key} is cut off")
        _normalise(content, dtype)
    return result


def _read_into(file, content):
    filled = 0
    while filled < content.nbytes:
        part = file.read(min(content.nbytes - filled, 1 << 24))
        if not part:
            break
        content[filled : filled + len(part)] = np.frombuffer(part, np.uint8)
        filled += len(part)
    return filled
