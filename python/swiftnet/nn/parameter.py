"""Parameters and buffers of modules."""

from swiftnet._tensor import Parameter, Tensor

__all__ = ["Buffer", "Parameter", "is_lazy"]


class Buffer(Tensor):
    """A tensor that a module registers as a buffer when it is assigned to an attribute.

    Args:
        data: the values; the buffer shares their memory.
        persistent: whether it is part of the module's state_dict. Default: True.
    """

    __slots__ = ()

    def __new__(cls, data=None, *, persistent=True):
        from swiftnet._core import lib
        from swiftnet._tensor import wrap

        if data is None:
            data = Tensor(0)
        self = wrap(lib.sn_detach(data._h), cls)
        self.persistent = persistent
        return self

    def __init__(self, data=None, *, persistent=True):
        pass


def is_lazy(parameter):
    """Whether a parameter still waits for its shape: never here."""
    return False
