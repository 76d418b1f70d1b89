"""`save` and `load`, in PyTorch's file format.

A file is a zip archive: `data.pkl` is a pickle in which tensors refer to storages by number, `data/<number>` holds the
bytes of a storage. The pickle names PyTorch's functions and types, so that `torch.load` reads the files, and `load`
reads those of `torch.save`.
"""

import collections
import io
import pickle
import sys

from swiftnet import _dtypes
from swiftnet._core import lib
from swiftnet._device import check_device, device
from swiftnet._files import write_whole
from swiftnet._numpy import np
from swiftnet._tensor import Parameter, Size, Tensor, wrap

__all__ = ["load", "save"]

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
    write_whole(f, lambda file: _write(obj, file))


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


def load(f, map_location=None, pickle_module=None, *, weights_only=True, mmap=None, **pickle_load_args):
    """Loads what `save` or `torch.save` has written, in the format of today and in that before PyTorch 1.6; also
    `.safetensors` and `.npz`. The content tells which it is.

    Args:
        f: a path, or a file open for reading.
        map_location: accepted; tensors come to the CPU.
        weights_only, pickle_module, mmap: accepted, without effect: anything but tensors, containers, numbers and
            strings is refused, and nothing in a file is run.

    Raises:
        pickle.UnpicklingError: if the file holds anything else.
        RuntimeError: if it is not such a file.
    """
    if isinstance(map_location, (str, device)):
        check_device(map_location)
    if hasattr(f, "read"):
        return _load(f, f)
    with open(f, "rb") as file:
        return _load(file, f)


def _load(file, name):
    if not (hasattr(file, "seek") and file.seekable()):
        file = io.BytesIO(file.read())
    start = file.tell()
    head = file.read(9)
    size = file.seek(0, io.SEEK_END) - start
    file.seek(start)
    try:
        if head[:4] == b"PK\x03\x04" or head[:4] == b"PK\x05\x06":
            return _load_archive(file, name, size)
        if len(head) == 9 and head[8:] == b"{":
            from swiftnet import safetensors

            return safetensors.load_file(file)
        if head[:1] == b"\x80":
            from swiftnet._unpickling import read_legacy

            return read_legacy(file, size)
    except (EOFError, KeyError, UnicodeDecodeError) as error:
        raise RuntimeError(f"{name} is damaged: {error}") from error
    raise RuntimeError(f"{name} is not a file that swiftnet.save or torch.save has written, or it is damaged")


def _load_archive(file, name, size):
    import zipfile

    from swiftnet._unpickling import read_archive

    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError):
        raise RuntimeError(
            f"{name} is not a file that swiftnet.save or torch.save has written, or it is damaged"
        ) from None
    with archive:
        names = archive.namelist()
        pickled = next((n for n in names if n.count("/") == 1 and n.endswith("/data.pkl")), None)
        if pickled is not None:
            return read_archive(archive, pickled.partition("/")[0], size)
        if names and all(n.endswith(".npy") for n in names):
            from swiftnet import npz

            return npz.read(archive)
    raise RuntimeError(f"{name} has no data.pkl: it is not a file that swiftnet.save or torch.save has written")
