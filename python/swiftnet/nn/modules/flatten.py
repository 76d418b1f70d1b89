"""Joining and splitting dimensions."""

from swiftnet._tensor import Size
from swiftnet.nn.modules.module import BuiltIn

__all__ = ["Flatten", "Unflatten"]


class Flatten(BuiltIn):
    """Joins a range of dimensions into one.

    Args:
        start_dim, end_dim: first and last dimension of the range. Default: 1 and -1.
    """

    _type = "Flatten"

    def __init__(self, start_dim=1, end_dim=-1):
        self._build(locals())

    def extra_repr(self):
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(BuiltIn):
    """Splits a dimension into several.

    Args:
        dim: the dimension.
        unflattened_size: its new sizes; one of them may be -1.
    """

    _type = "Unflatten"

    def __init__(self, dim, unflattened_size):
        if not isinstance(dim, int):
            raise TypeError(f"unflatten: dim must be an integer, not {type(dim).__name__}")
        if not isinstance(unflattened_size, (tuple, list, Size)):
            raise TypeError(
                f"unflattened_size must be a tuple of ints, but found type {type(unflattened_size).__name__}"
            )
        for position, size in enumerate(unflattened_size):
            if not isinstance(size, int):
                raise TypeError(
                    "unflattened_size must be tuple of ints, "
                    f"but found element of type {type(size).__name__} at pos {position}"
                )
        self._build(locals() | {"unflattened_size": tuple(unflattened_size)})

    def _build(self, arguments):
        super()._build({name: arguments[name] for name in ("dim", "unflattened_size")})

    def extra_repr(self):
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
