"""Functions that are called with gradients during backward."""

from swiftnet import _core
from swiftnet._core import NULL, check, fail, ffi, lib
from swiftnet._functions import methods
from swiftnet._functions.creation import keep
from swiftnet._tensor import Tensor, wrap


class RemovableHandle:
    """Takes a hook away again, by `remove()` or as a context manager."""

    __slots__ = ("_tensor", "id")

    def __init__(self, tensor, identity):
        self._tensor = tensor
        self.id = identity

    def remove(self):
        if self._tensor is not None:
            check(lib.sn_remove_hook(self._tensor._h, self.id))
            self._tensor = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.remove()


@ffi.def_extern()
def swiftnet_hook(context, grad, status):
    """What the library calls."""
    try:
        result = ffi.from_handle(context)(wrap(lib.sn_retain(grad)))
        if result is None:
            return NULL
        if not isinstance(result, Tensor):
            raise TypeError(f"expected a hook to return a Tensor or None, got {type(result).__name__}")
        return lib.sn_retain(result._h)
    except BaseException as error:
        _core.keep_exception(error)
        status[0] = 1
        return NULL


@ffi.def_extern()
def swiftnet_accumulate_hook(context):
    """What the library calls."""
    try:
        hook, reference = ffi.from_handle(context)
        tensor = reference()
        if tensor is not None:
            hook(tensor)
        return 0
    except BaseException as error:
        _core.keep_exception(error)
        return 1


def register_hook(self, hook):
    """Calls `hook(gradient)` whenever a gradient of this tensor has been computed; a tensor that it returns takes the
    gradient's place. Returns a handle with `remove()`."""
    identity = lib.sn_register_hook(self._h, lib.swiftnet_hook, keep(hook), lib.swiftnet_release)
    if identity < 0:
        fail()
    return RemovableHandle(self, identity)


def register_post_accumulate_grad_hook(self, hook):
    """Calls `hook(tensor)` each time backward has added to this leaf's `grad`. Returns a handle with `remove()`."""
    import weakref

    context = keep((hook, weakref.ref(self)))
    identity = lib.sn_register_accumulate_hook(self._h, lib.swiftnet_accumulate_hook, context, lib.swiftnet_release)
    if identity < 0:
        fail()
    return RemovableHandle(self, identity)


methods(register_hook, register_post_accumulate_grad_hook)
Tensor.retains_grad = property(
    lambda self: bool(lib.sn_retains_grad(self._h)), doc="Whether `retain_grad` was called on this result."
)
