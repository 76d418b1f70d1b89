"""Exchange of tensors without a copy, by DLPack (https://dmlc.github.io/dlpack/latest/)."""

from swiftnet._core import NULL, fail, ffi, lib
from swiftnet._functions import methods
from swiftnet._tensor import wrap

_PLAIN, _VERSIONED = b"dltensor", b"dltensor_versioned"
_api = None


def _capsules():
    """Python's functions for capsules, found on first use: most programs exchange nothing."""
    global _api
    if _api is None:
        import ctypes

        api = ctypes.pythonapi
        prototypes = {
            "PyCapsule_New": (ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]),
            "PyCapsule_IsValid": (ctypes.c_int, [ctypes.py_object, ctypes.c_char_p]),
            "PyCapsule_GetPointer": (ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]),
            "PyCapsule_SetName": (ctypes.c_int, [ctypes.py_object, ctypes.c_char_p]),
        }
        for name, (result, arguments) in prototypes.items():
            function = getattr(api, name)
            function.restype, function.argtypes = result, arguments
        _api = api
    return _api


def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
    """A capsule that lets another library use this tensor's memory."""
    if lib.sn_requires_grad(self._h):
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    if stream not in (None, -1):
        raise RuntimeError("stream must be None on the CPU")
    if dl_device is not None and tuple(dl_device) != (1, 0):
        raise BufferError(f"cannot export to device {dl_device}")
    source = self.clone() if copy else self
    versioned = max_version is not None and tuple(max_version) >= (1, 0)
    managed = lib.sn_to_dlpack_versioned(source._h) if versioned else lib.sn_to_dlpack(source._h)
    if managed == NULL:
        fail()
    destructor = "swiftnet_drop_dlpack_versioned" if versioned else "swiftnet_drop_dlpack"
    return _capsules().PyCapsule_New(
        int(ffi.cast("intptr_t", managed)),
        _VERSIONED if versioned else _PLAIN,
        int(ffi.cast("intptr_t", ffi.addressof(lib, destructor))),
    )


def __dlpack_device__(self):
    """(1, 0): the CPU."""
    return (1, 0)


def from_dlpack(ext_tensor, *, device=None, copy=None):
    """A tensor over the memory of another library's: an object with `__dlpack__`, or a DLPack capsule."""
    capsule = ext_tensor
    if hasattr(ext_tensor, "__dlpack__"):
        kind, _ = ext_tensor.__dlpack_device__()
        if kind != 1:
            raise RuntimeError(f"from_dlpack: only CPU memory can be used, got device type {int(kind)}")
        try:
            capsule = ext_tensor.__dlpack__(max_version=(1, 0))
        except TypeError:
            capsule = ext_tensor.__dlpack__()
    api = _capsules()
    if api.PyCapsule_IsValid(capsule, _VERSIONED):
        pointer = api.PyCapsule_GetPointer(capsule, _VERSIONED)
        result = wrap(lib.sn_from_dlpack_versioned(ffi.cast("sn_dl_versioned *", pointer)))
        api.PyCapsule_SetName(capsule, _USED_VERSIONED)
    elif api.PyCapsule_IsValid(capsule, _PLAIN):
        pointer = api.PyCapsule_GetPointer(capsule, _PLAIN)
        result = wrap(lib.sn_from_dlpack(ffi.cast("sn_dl_managed *", pointer)))
        api.PyCapsule_SetName(capsule, _USED)
    else:
        raise RuntimeError(
            "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed only once, so you "
            "might have already constructed a tensor from it once."
        )
    return result.clone() if copy else result


# A capsule keeps a pointer to its name, so these must live as long as the program.
_USED, _USED_VERSIONED = b"used_dltensor", b"used_dltensor_versioned"


def to_dlpack(tensor):
    """A DLPack capsule of a tensor."""
    return tensor.__dlpack__()


methods(__dlpack__, __dlpack_device__)
