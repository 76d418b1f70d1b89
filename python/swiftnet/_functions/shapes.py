"""Views of other shapes, and joining."""

from swiftnet import _dtypes
from swiftnet._core import integers, lib
from swiftnet._functions import methods
from swiftnet._tensor import Tensor, handles, wrap


def _size(size):
    if len(size) == 1 and not isinstance(size[0], int):
        return integers(size[0])
    return integers(size)


def _view(self, *shape):
    """`self.view(...)` where the sizes are not plain integers."""
    if len(shape) == 1 and isinstance(shape[0], _dtypes.dtype):
        return wrap(lib.sn_view_dtype(self._h, shape[0].code))
    size = _size(shape)
    return wrap(lib.sn_view(self._h, size, len(size)))


def view_as(self, other):
    """This tensor in the shape of another."""
    return self.view(other.shape)


def reshape(input, *shape):
    """Another shape over the same elements: a view where possible, otherwise a copy. One size may be -1."""
    size = _size(shape)
    return wrap(lib.sn_reshape(input._h, size, len(size)))


def permute(input, *dims):
    """The dimensions in another order."""
    size = _size(dims)
    return wrap(lib.sn_permute(input._h, size, len(size)))


def transpose(input, dim0, dim1):
    """Two dimensions exchanged."""
    return wrap(lib.sn_transpose(input._h, dim0, dim1))


def t(input):
    """The transpose of a matrix; vectors and scalars stay as they are."""
    if input.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D")
    return input if input.ndim < 2 else transpose(input, 0, 1)


def expand(self, *size):
    """Repeats dimensions of size one without copying; -1 keeps a size."""
    shape = _size(size)
    return wrap(lib.sn_expand(self._h, shape, len(shape)))


def expand_as(self, other):
    """This tensor expanded to the shape of another."""
    return expand(self, other.shape)


def squeeze(input, dim=None):
    """Without the dimensions of size one: all of them, or those given."""
    if dim is None:
        return wrap(lib.sn_squeeze(input._h, (), -1))
    d = integers(dim)
    return wrap(lib.sn_squeeze(input._h, d, len(d)))


def unsqueeze(input, dim):
    """With a new dimension of size one."""
    return wrap(lib.sn_unsqueeze(input._h, dim))


def flatten(input, start_dim=0, end_dim=-1):
    """The dimensions from start_dim to end_dim as one."""
    shape = tuple(input.shape)
    rank = len(shape)
    if rank == 0:
        return reshape(input, (1,))
    for d in (start_dim, end_dim):
        if not -rank <= d < rank:
            raise IndexError(f"Dimension out of range (expected to be in range of [{-rank}, {rank - 1}], but got {d})")
    start, end = start_dim % rank, end_dim % rank
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if start == end:
        return input
    merged = 1
    for size in shape[start : end + 1]:
        merged *= size
    return reshape(input, shape[:start] + (merged,) + shape[end + 1 :])


def ravel(input):
    """All elements in one dimension."""
    return reshape(input, (-1,))


def select(input, dim, index):
    """One position of a dimension, which disappears."""
    return wrap(lib.sn_select(input._h, dim, index))


def narrow(input, dim, start, length):
    """Positions start to start + length of a dimension."""
    if isinstance(start, Tensor):
        start = start.item()
    return wrap(lib.sn_narrow(input._h, dim, start, length))


def as_strided(input, size, stride, storage_offset=None):
    """A view with the given sizes and strides over the storage."""
    offset = input.storage_offset() if storage_offset is None else storage_offset
    return wrap(lib.sn_as_strided(input._h, integers(size), integers(stride), len(size), offset))


def diagonal(input, offset=0, dim1=0, dim2=1):
    """The diagonal of two dimensions, as a new last dimension."""
    return wrap(lib.sn_diagonal(input._h, offset, dim1, dim2))


def unfold(self, dimension, size, step):
    """Windows of `size` elements every `step` along a dimension, as a new last dimension."""
    return wrap(lib.sn_unfold(self._h, dimension, size, step))


def cat(tensors, dim=0, *, out=None):
    """The tensors one after another along a dimension."""
    return wrap(lib.sn_cat(handles(tensors, "cat"), len(tensors), dim))


concat = concatenate = cat


swapaxes = swapdims = transpose
# Asked for by the glue, for sizes that are not plain integers.
Tensor._view, Tensor._reshape = _view, reshape
methods(
    view_as, permute, transpose, t, expand, expand_as, squeeze, unsqueeze, flatten, ravel, select,
    narrow, as_strided, diagonal, unfold, swapaxes=transpose, swapdims=transpose,
)  # fmt: skip


def reshape_as(self, other):
    """This tensor in the shape of another, copied where a view is not possible."""
    return reshape(self, other.shape)


methods(reshape_as)
Tensor.T = property(lambda self: permute(self, tuple(range(self.ndim))[::-1]), doc="The dimensions reversed.")
Tensor.mT = property(lambda self: transpose(self, -2, -1), doc="The last two dimensions exchanged.")
