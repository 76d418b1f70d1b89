"""NumPy's .npz format: an archive of arrays by name.

>>> import io, swiftnet
>>> file = io.BytesIO()
>>> swiftnet.npz.save({"weight": swiftnet.ones(2)}, file)
>>> swiftnet.npz.load(file)["weight"].tolist()
[1.0, 1.0]
"""

import io

from swiftnet import _dtypes
from swiftnet._files import write_whole
from swiftnet._numpy import np
from swiftnet._tensor import Tensor

__all__ = ["load", "save"]


def save(tensors, f, compressed=False):
    """Writes tensors by name, whole or not at all. bfloat16, which NumPy does not have, is written as float32.

    Args:
        tensors: a dictionary of tensors by name.
        f: a path, or a file open for writing.
        compressed: Default: False.
    """
    arrays = {}
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise TypeError(
                f"an .npz file holds tensors by name, not a {type(tensor).__name__} under {name!r}: flatten the "
                "object, or use swiftnet.save"
            )
        tensor = tensor.detach()
        arrays[name] = (tensor.float() if tensor.dtype is _dtypes.bfloat16 else tensor).numpy()

    def write(file):
        import zipfile

        method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
        with zipfile.ZipFile(file, "w", method) as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, np.asanyarray(array), allow_pickle=False)

    if hasattr(f, "write"):
        write(f)
    else:
        write_whole(f, write)


def load(f):
    """The tensors of a file, by name.

    Args:
        f: a path, or a file open for reading.

    Raises:
        RuntimeError: if it is no such file, or damaged, or holds anything but arrays of numbers.
    """
    import zipfile

    if hasattr(f, "seek"):
        f.seek(0)
    try:
        with zipfile.ZipFile(f) as archive:
            return read(archive)
    except zipfile.BadZipFile as error:
        raise RuntimeError(f"{f} is not an .npz file, or it is damaged: {error}") from None


def read(archive):
    """The tensors of an open archive, by name."""
    from swiftnet._functions.creation import from_numpy

    found = {}
    for name in archive.namelist():
        key = name.removesuffix(".npy")
        try:
            with archive.open(name) as entry:
                array = np.lib.format.read_array(io.BufferedReader(entry), allow_pickle=False)
        except (ValueError, EOFError, NotImplementedError) as error:
            raise RuntimeError(f"{name} in the file is no array of numbers, or damaged: {error}") from error
        if not array.dtype.isnative:
            array = array.astype(array.dtype.newbyteorder("="))
        try:
            found[key] = from_numpy(np.ascontiguousarray(array).reshape(array.shape))
        except TypeError as error:
            raise RuntimeError(f"{name} in the file has dtype {array.dtype}, which swiftnet does not have") from error
    return found
