"""The safetensors format: eight bytes with the length of a JSON header, the header, the tensors' bytes.

https://huggingface.co/docs/safetensors. Names of functions as in the package `safetensors`, which is not needed.

>>> import swiftnet
>>> content = swiftnet.safetensors.save({"weight": swiftnet.ones(2)})
>>> swiftnet.safetensors.load(content)["weight"].tolist()
[1.0, 1.0]
"""

import io
import json

from swiftnet import _dtypes
from swiftnet._core import lib
from swiftnet._files import write_whole
from swiftnet._numpy import np
from swiftnet._tensor import Tensor, wrap

__all__ = ["load", "load_file", "read_metadata", "save", "save_file"]

_NAMES = {
    "F64": _dtypes.float64, "F32": _dtypes.float32, "F16": _dtypes.float16, "BF16": _dtypes.bfloat16,
    "I64": _dtypes.int64, "I32": _dtypes.int32, "I16": _dtypes.int16, "I8": _dtypes.int8, "U8": _dtypes.uint8,
    "BOOL": _dtypes.bool_,
}  # fmt: skip
_BY_DTYPE = {dtype.name: name for name, dtype in _NAMES.items()}

# More than any real header has.
_HEADER_LIMIT = 100_000_000


def save(tensors, metadata=None):
    """The content of a file, as bytes.

    Args:
        tensors: a dictionary of tensors by name. Tensors that share memory are written one by one.
        metadata: strings by name.
    """
    file = io.BytesIO()
    _write(tensors, metadata, file)
    return file.getvalue()


def save_file(tensors, filename, metadata=None):
    """Writes a file, whole or not at all. Arguments as of `save`."""
    write_whole(filename, lambda file: _write(tensors, metadata, file))


def _write(tensors, metadata, file):
    header = {}
    if metadata is not None:
        if not all(isinstance(text, str) for pair in metadata.items() for text in pair):
            raise TypeError("metadata of safetensors is a dictionary of strings")
        header["__metadata__"] = dict(metadata)
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise TypeError(
                f"safetensors holds tensors by name, not a {type(tensor).__name__} under {name!r}: flatten the object, "
                "or use swiftnet.save"
            )
    # The widest elements first, so that all begin at multiples of their size.
    order = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    position = 0
    for name in order:
        tensor = tensors[name]
        end = position + tensor.numel() * tensor.dtype.itemsize
        header[name] = {
            "dtype": _BY_DTYPE[tensor.dtype.name], "shape": list(tensor.shape), "data_offsets": [position, end],
        }  # fmt: skip
        position = end
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little"))
    file.write(text)
    for name in order:
        tensor = tensors[name].detach().contiguous()
        if tensor.dtype is _dtypes.bfloat16:
            tensor = tensor.view(_dtypes.int16)
        array = tensor.numpy()
        if array.nbytes:
            file.write(memoryview(np.ascontiguousarray(array).reshape(-1)).cast("B"))


def load(data):
    """The tensors in the content of a file, by name."""
    return load_file(io.BytesIO(data))


def load_file(filename, device="cpu"):
    """The tensors of a file, by name.

    Args:
        filename: a path, or a file open for reading.
        device: accepted; tensors come to the CPU.

    Raises:
        RuntimeError: if it is no such file, or damaged.
    """
    if hasattr(filename, "read"):
        return _read(filename)
    with open(filename, "rb") as file:
        return _read(file)


def read_metadata(filename):
    """The metadata of a file; None if there is none."""
    if hasattr(filename, "read"):
        return _header(filename)[1]
    with open(filename, "rb") as file:
        return _header(file)[1]


def _damaged(reason):
    return RuntimeError(f"not a safetensors file, or a damaged one: {reason}")


def _unique(pairs):
    """A dictionary; a name that comes twice is an error."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _damaged("a name comes twice")
    return found


def _header(file):
    """Tensors by name: dtype, shape, first and last byte; the metadata; the number of bytes."""
    start = file.tell()
    size = file.seek(0, io.SEEK_END) - start
    file.seek(start)
    head = file.read(8)
    if len(head) < 8:
        raise _damaged("it is shorter than 8 bytes")
    length = int.from_bytes(head, "little")
    if length > min(size - 8, _HEADER_LIMIT):
        raise _damaged(f"its header would have {length} bytes, the file has {size}")
    try:
        header = json.loads(file.read(length).decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise _damaged(f"its header is no JSON: {error}") from None
    if not isinstance(header, dict):
        raise _damaged("its header is no dictionary")
    metadata = header.pop("__metadata__", None)
    if metadata is not None and not (
        isinstance(metadata, dict) and all(isinstance(text, str) for text in metadata.values())
    ):
        raise _damaged("its metadata is no dictionary of strings")
    entries = {name: _entry(name, value) for name, value in header.items()}
    position = 0
    for name, (_, _, begin, end) in sorted(entries.items(), key=lambda item: item[1][2:]):
        if begin != position:
            raise _damaged(f"'{name}' begins at byte {begin} of the data instead of {position}")
        position = end
    if position != size - 8 - length:
        raise _damaged(f"its header tells of {position} bytes of data, the file has {size - 8 - length}")
    return entries, metadata, position


def _entry(name, value):
    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
        raise _damaged(f"'{name}' has not just dtype, shape and data_offsets")
    dtype = _NAMES.get(value["dtype"]) if isinstance(value["dtype"], str) else None
    if dtype is None:
        raise _damaged(f"'{name}' has dtype {value['dtype']!r}, which swiftnet does not have")
    shape, offsets = value["shape"], value["data_offsets"]
    for numbers in (shape, offsets):
        if not isinstance(numbers, list) or not all(type(n) is int and 0 <= n < 1 << 60 for n in numbers):
            raise _damaged(f"'{name}' has sizes or offsets that are no natural numbers")
    count = 1
    for n in shape:
        count *= n
    if len(offsets) != 2 or len(shape) > 64 or offsets[1] - offsets[0] != count * dtype.itemsize:
        raise _damaged(f"'{name}' of shape {shape} and {dtype.name} does not have the bytes {offsets}")
    return dtype, shape, *offsets


def _read(file):
    from swiftnet._unpickling import _normalise, _read_into, _tensor_over

    entries, _, _ = _header(file)
    found = {}
    for name, (dtype, shape, begin, end) in sorted(entries.items(), key=lambda item: item[1][2:]):
        content = np.empty(end - begin, np.uint8)
        if _read_into(file, content) < content.nbytes:
            raise _damaged(f"'{name}' is cut off")
        _normalise(content, dtype)
        if content.nbytes:
            found[name] = _tensor_over(content, dtype).view(shape)
        else:
            found[name] = wrap(lib.sn_empty(tuple(shape), len(shape), dtype.code))
    return {name: found[name] for name in entries}
