"""`save` and `load`, in PyTorch's file format.

A file is a zip archive: `data.pkl` is a pickle in which tensors refer to storages by number, `data/<number>` holds the
bytes of a storage. The pickle names PyTorch's functions and types, so that `torch.load` reads the files, and `load`
reads those of `torch.save`.
"""

import collections
import contextlib
import io
import os
import pickle
import sys

import numpy as np

from swiftnet import _dtypes
from swiftnet._core import lib
from swiftnet._device import check_device, device
from swiftnet._tensor import Parameter, Size, Tensor, wrap

# PyTorch's storage type for each dtype.
_STORAGES = {
    "FloatStorage": _dtypes.float32,
    "DoubleStorage": _dtypes.float64,
    "HalfStorage": _dtypes.float16,
    "BFloat16Storage": _dtypes.bfloat16,
    "CharStorage": _dtypes.int8,
    "ShortStorage": _dtypes.int16,
    "IntStorage": _dtypes.int32,
    "LongStorage": _dtypes.int64,
    "ByteStorage": _dtypes.uint8,
    "BoolStorage": _dtypes.bool_,
}
_STORAGE_NAMES = {dtype.name: name for name, dtype in _STORAGES.items()}

# Storages begin at multiples of this in the file, so that they can be mapped.
_ALIGNMENT = 64


class _Global:
    """A name in a pickle that this process need not have."""

    def __init__(self, module, name):
        self.line = f"c{module}\n{name}\n".encode()

    def __call__(self):
        raise TypeError("this stands for a name in a file")


_rebuild_tensor_name = _Global("torch._utils", "_rebuild_tensor_v2")
_rebuild_parameter_name = _Global("torch._utils", "_rebuild_parameter")
_size_name = _Global("torch", "Size")
_device_name = _Global("torch", "device")
_storage_names = {name: _Global("torch", name) for name in _STORAGES}
_dtype_names = {dtype.name: _Global("torch", dtype.name) for dtype in _dtypes.ALL}


class _StorageReference:
    """A storage as the pickle refers to it."""

    def __init__(self, key, dtype, count):
        self.key = key
        self.dtype = dtype
        self.count = count


# Python's own pickler, not the one in C: that one refuses names that it cannot import.
class _Writer(pickle._Pickler):
    dispatch = dict(pickle._Pickler.dispatch)

    def __init__(self, file):
        super().__init__(file, protocol=2)
        # By number: an array over the storage's bytes.
        self.storages = []
        self._keys = {}

    def save_name(self, name):
        self.write(name.line)
        self.memoize(name)

    def save_tensor(self, tensor):
        if not isinstance(tensor, Parameter) or type(tensor) is not Parameter:
            return self._save_plain(tensor, tensor.requires_grad)
        value = tensor.detach()
        arguments = (value, tensor.requires_grad, collections.OrderedDict())
        return self.save_reduce(_rebuild_parameter_name, arguments, obj=tensor)

    def _save_plain(self, tensor, requires_grad):
        arguments = (
            self._storage(tensor),
            tensor.storage_offset(),
            tuple(tensor.shape),
            tuple(tensor.stride()),
            requires_grad,
            collections.OrderedDict(),
        )
        self.save_reduce(_rebuild_tensor_name, arguments, obj=tensor)

    def _storage(self, tensor):
        # Asking for the address first: an identity that is meant to last needs memory that is there.
        tensor.data_ptr()
        dtype = tensor.dtype
        identity = lib.sn_storage_id(tensor._h)
        count = lib.sn_storage_bytes(tensor._h) // dtype.itemsize
        key = self._keys.get(identity)
        if key is None:
            plain = tensor.detach()
            whole = wrap(lib.sn_as_strided(plain._h, (count,), (1,), 1, 0))
            if dtype is _dtypes.bfloat16:
                whole = whole.view(_dtypes.int16)
            key = self._keys[identity] = str(len(self.storages))
            self.storages.append(whole.numpy())
        return _StorageReference(key, dtype, count)

    def persistent_id(self, obj):
        if type(obj) is not _StorageReference:
            return None
        return "storage", _storage_names[_STORAGE_NAMES[obj.dtype.name]], obj.key, "cpu", obj.count

    def reducer_override(self, obj):
        kind = type(obj)
        if kind is Size:
            return _size_name, (tuple(obj),)
        if kind is device:
            return _device_name, (obj.type,) if obj.index is None else (obj.type, obj.index)
        return NotImplemented

    def save_dtype(self, dtype):
        self.save(_dtype_names[dtype.name])

    def save_number(self, number):
        """A number of NumPy's, as Python's: it would come back as no plain number otherwise."""
        self.save(number.item())

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Tensor):
            known = self.memo.get(id(obj))
            if known is not None:
                return self.write(self.get(known[0]))
            return self.save_tensor(obj)
        if isinstance(obj, np.generic) and obj.dtype.kind in "biuf":
            obj = obj.item()
        return super().save(obj, save_persistent_id)


_Writer.dispatch[_Global] = _Writer.save_name
_Writer.dispatch[_dtypes.dtype] = _Writer.save_dtype


def save(obj, f, pickle_module=None, pickle_protocol=2, _use_new_zipfile_serialization=True):
    """Saves an object: tensors, and containers of them, numbers and strings.

    A file is written whole or not at all: under a temporary name beside `f`, then moved there.

    Args:
        obj: what to save.
        f: a path, or an object with `write`.
        pickle_module, pickle_protocol: accepted, without effect.
    """
    if hasattr(f, "write"):
        _write(obj, f)
        return
    import tempfile

    path = os.path.realpath(os.fspath(f))
    folder, name = os.path.split(path)
    if not os.path.isdir(folder):
        raise RuntimeError(f"Parent directory {folder} does not exist.")
    handle, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            # mkstemp makes files that nobody else may read.
            mask = os.umask(0)
            os.umask(mask)
            os.fchmod(file.fileno(), 0o666 & ~mask)
            _write(obj, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def _sync_folder(folder):
    """Makes a new name in a folder survive a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)


def _write(obj, file):
    import zipfile

    stream = io.BytesIO()
    writer = _Writer(stream)
    writer.dump(obj)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, "archive/data.pkl", stream.getbuffer())
        _add(archive, "archive/.format_version", b"1")
        _add(archive, "archive/.storage_alignment", str(_ALIGNMENT).encode())
        _add(archive, "archive/byteorder", sys.byteorder.encode())
        for key, array in enumerate(writer.storages):
            _add(archive, f"archive/data/{key}", memoryview(array).cast("B") if array.size else b"")
        _add(archive, "archive/version", b"3\n")


def _add(archive, name, content):
    import zipfile

    entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    # An extra field of zeros puts the content on a multiple of the alignment: 30 bytes of header, 4 of the field's.
    unpadded = archive.start_dir + 30 + len(name) + 4
    padding = -unpadded % _ALIGNMENT
    entry.extra = b"FB" + padding.to_bytes(2, "little") + bytes(padding)
    archive.writestr(entry, content)


def _rebuild_tensor(storage, offset, size, stride, requires_grad, hooks=None, metadata=None):
    if len(size) != len(stride):
        raise pickle.UnpicklingError("a tensor in the file has sizes and strides of different numbers")
    tensor = wrap(lib.sn_as_strided(storage._h, tuple(size), tuple(stride), len(size), offset))
    return tensor.requires_grad_() if requires_grad else tensor


def _rebuild_parameter(data, requires_grad, hooks=None):
    return Parameter(data, requires_grad)


class _StorageType:
    """The dtype that a storage's type in the file stands for."""

    def __init__(self, dtype):
        self.dtype = dtype


_ALLOWED = {
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch", "Size"): Size,
    ("torch", "device"): device,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "Counter"): collections.Counter,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
    ("builtins", "frozenset"): frozenset,
    ("__builtin__", "frozenset"): frozenset,
    ("builtins", "bytearray"): bytearray,
    ("__builtin__", "bytearray"): bytearray,
    ("builtins", "complex"): complex,
    ("__builtin__", "complex"): complex,
    **{("torch", name): _StorageType(dtype) for name, dtype in _STORAGES.items()},
    **{("torch", dtype.name): dtype for dtype in _dtypes.ALL},
}


def _encode(text, encoding):
    """Bytes, as pickles of protocol 2 hold them."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"unexpected encoding {encoding!r}")
    return text.encode("latin1")


_ALLOWED["_codecs", "encode"] = _encode


class _Reader(pickle.Unpickler):
    def __init__(self, file, archive, root):
        super().__init__(file, encoding="utf-8")
        self._archive = archive
        self._root = root
        self._storages = {}

    def find_class(self, module, name):
        known = _ALLOWED.get((module, name))
        if known is not None:
            return known
        raise pickle.UnpicklingError(
            f"Weights only load failed: the file names {module}.{name}, which is neither a tensor nor a plain "
            "container. swiftnet runs no code from a file: save the state_dict() instead of the object."
        )

    def persistent_load(self, reference):
        if not isinstance(reference, tuple) or len(reference) != 5 or reference[0] != "storage":
            raise pickle.UnpicklingError("the file refers to something that is no storage")
        _, kind, key, _, count = reference
        if not isinstance(kind, _StorageType) or not isinstance(key, str) or type(count) is not int:
            raise pickle.UnpicklingError("the file refers to a storage of an unknown kind")
        if key not in self._storages:
            self._storages[key] = self._read_storage(key)
        storage = self._storages[key]
        dtype = kind.dtype
        if storage.nbytes != count * dtype.itemsize:
            raise pickle.UnpicklingError(
                f"storage {key} has {storage.nbytes} bytes instead of {count} elements of {dtype.name}"
            )
        if not count:
            return wrap(lib.sn_empty((0,), 1, dtype.code))
        if dtype is _dtypes.bfloat16:
            return _shared(storage.view(np.int16)).view(dtype)
        return _shared(storage.view(dtype.numpy))

    def _read_storage(self, key):
        content = np.empty(self._archive.getinfo(f"{self._root}/data/{key}").file_size, np.uint8)
        with self._archive.open(f"{self._root}/data/{key}") as file:
            filled = 0
            while filled < content.nbytes:
                count = file.readinto(memoryview(content)[filled:])
                if not count:
                    raise EOFError(f"storage {key} is cut off")
                filled += count
        return content


def _shared(array):
    from swiftnet._functions.creation import from_numpy

    return from_numpy(array)


def load(f, map_location=None, pickle_module=None, *, weights_only=True, mmap=None, **pickle_load_args):
    """Loads what `save` or `torch.save` has written.

    Args:
        f: a path, or a file open for reading.
        map_location: accepted; tensors come to the CPU.
        weights_only, pickle_module, mmap: accepted, without effect: anything but tensors, containers, numbers and
            strings is refused, and nothing in a file is run.

    Raises:
        pickle.UnpicklingError: if the file holds anything else.
        RuntimeError: if it is not such a file.
    """
    import zipfile

    if isinstance(map_location, (str, device)):
        check_device(map_location)
    try:
        archive = zipfile.ZipFile(f)
    except zipfile.BadZipFile:
        raise RuntimeError(
            f"{f} is not a file that swiftnet.save or torch.save has written, or it is damaged"
        ) from None
    with archive:
        name = next((n for n in archive.namelist() if n.count("/") == 1 and n.endswith("/data.pkl")), None)
        if name is None:
            raise RuntimeError(f"{f} has no data.pkl: it is not a file that swiftnet.save or torch.save has written")
        root = name.partition("/")[0]
        order = f"{root}/byteorder"
        if order in archive.namelist() and archive.read(order).decode() != sys.byteorder:
            raise RuntimeError(f"{f} was written on a machine with another byte order")
        return _Reader(io.BytesIO(archive.read(name)), archive, root).load()
