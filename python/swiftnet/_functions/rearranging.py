"""Splitting, stacking, repeating, flipping; diagonals and triangles; grids."""

import builtins

from swiftnet import _dtypes
from swiftnet._core import check, integers, lib, scalar
from swiftnet._device import check_device
from swiftnet._functions import methods
from swiftnet._functions.indexing import _in_place, _tensor_handle, unpack
from swiftnet._functions.shapes import _size
from swiftnet._tensor import Size, Tensor, handles, tensor, wrap


def _list(tensors):
    """The tensors of one list argument or of many arguments."""
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        return tensors[0]
    return tensors


def split(tensor, split_size_or_sections, dim=0):
    """Views of the pieces of a dimension: of one length (the last may be shorter), or of the given lengths."""
    if isinstance(split_size_or_sections, int):
        return unpack(lib.sn_split(tensor._h, split_size_or_sections, dim))
    sizes = integers(split_size_or_sections)
    return unpack(lib.sn_split_sizes(tensor._h, sizes, len(sizes), dim))


def split_with_sizes(input, split_sizes, dim=0):
    """Views of the pieces of a dimension with the given lengths."""
    return unpack(lib.sn_split_sizes(input._h, integers(split_sizes), len(split_sizes), dim))


def chunk(input, chunks, dim=0):
    """Views of at most `chunks` pieces of equal length; the last may be shorter."""
    return unpack(lib.sn_chunk(input._h, chunks, dim))


def tensor_split(input, indices_or_sections, dim=0):
    """Views of a number of pieces of nearly equal length, or of the pieces between the given positions."""
    if isinstance(indices_or_sections, Tensor):
        indices_or_sections = indices_or_sections.tolist()
    if isinstance(indices_or_sections, int):
        return unpack(lib.sn_tensor_split(input._h, indices_or_sections, dim))
    indices = integers(indices_or_sections)
    return unpack(lib.sn_tensor_split_indices(input._h, indices, len(indices), dim))


def _axis_split(name, input, indices_or_sections, dim, rank):
    if input.ndim < rank:
        raise RuntimeError(
            f"torch.{name} requires a tensor with at least {rank} dimension, but got a tensor with {input.ndim} "
            "dimensions!"
        )
    if isinstance(indices_or_sections, int):
        size = input.shape[dim]
        if indices_or_sections <= 0 or size % indices_or_sections:
            raise RuntimeError(
                f"torch.{name} attempted to split along dimension {dim}, but the size of the dimension {size} is not "
                f"divisible by the split_size {indices_or_sections}!"
            )
    return tensor_split(input, indices_or_sections, dim)


def hsplit(input, indices_or_sections):
    """`tensor_split` along the second dimension, or the first of vectors, into equal parts."""
    return _axis_split("hsplit", input, indices_or_sections, 0 if input.ndim == 1 else 1, 1)


def vsplit(input, indices_or_sections):
    """`tensor_split` along the first dimension, into equal parts."""
    return _axis_split("vsplit", input, indices_or_sections, 0, 2)


def dsplit(input, indices_or_sections):
    """`tensor_split` along the third dimension, into equal parts."""
    return _axis_split("dsplit", input, indices_or_sections, 2, 3)


def unbind(input, dim=0):
    """Views of the slices of a dimension, without it."""
    return unpack(lib.sn_unbind(input._h, dim))


def _iterate(self):
    if self.ndim == 0:
        raise TypeError("iteration over a 0-d tensor")
    return iter(unbind(self))


Tensor.__iter__ = _iterate


def stack(tensors, dim=0):
    """The tensors along a new dimension. All shapes must be equal."""
    return wrap(lib.sn_stack(handles(tensors, "stack"), len(tensors), dim))


def vstack(tensors):
    """The tensors on top of each other, along the first dimension; vectors count as rows."""
    return wrap(lib.sn_stack_along(handles(tensors, "vstack"), len(tensors), 0))


row_stack = vstack


def hstack(tensors):
    """The tensors side by side, along the second dimension; vectors one after another."""
    return wrap(lib.sn_stack_along(handles(tensors, "hstack"), len(tensors), 1))


def dstack(tensors):
    """The tensors along the third dimension."""
    return wrap(lib.sn_stack_along(handles(tensors, "dstack"), len(tensors), 2))


def column_stack(tensors):
    """The tensors side by side, with vectors as columns."""
    return wrap(lib.sn_stack_along(handles(tensors, "column_stack"), len(tensors), 3))


def movedim(input, source, destination):
    """Dimensions moved to other places; the rest keep their order."""
    a, b = integers(source), integers(destination)
    return wrap(lib.sn_movedim(input._h, a, len(a), b, len(b)))


moveaxis = movedim


def unflatten(input, dim, sizes):
    """One dimension as several; one of the sizes may be -1."""
    s = integers(sizes)
    return wrap(lib.sn_unflatten(input._h, dim, s, len(s)))


def _at_least(rank, tensors):
    parts = _list(tensors)
    found = tuple([wrap(lib.sn_at_least(_tensor_handle(t, "tensors", f"atleast_{rank}d"), rank)) for t in parts])
    return found if len(tensors) > 1 or parts is not tensors else found[0]


def atleast_1d(*tensors):
    """Views with at least one dimension."""
    return _at_least(1, tensors)


def atleast_2d(*tensors):
    """Views with at least two dimensions; vectors become rows."""
    return _at_least(2, tensors)


def atleast_3d(*tensors):
    """Views with at least three dimensions; matrices get one behind."""
    return _at_least(3, tensors)


def broadcast_to(input, size):
    """Repeats dimensions of size one without copying."""
    shape = integers(size)
    return wrap(lib.sn_expand(input._h, shape, len(shape)))


def broadcast_tensors(*tensors):
    """Views of all tensors in their common shape."""
    parts = _list(tensors)
    return unpack(lib.sn_broadcast_tensors(handles(parts, "broadcast_tensors"), len(parts)))


def broadcast_shapes(*shapes):
    """The common shape of tensors of the given shapes."""
    result = []
    for position, shape in enumerate(shapes):
        shape = integers(shape)
        if len(shape) > len(result):
            result = [1] * (len(shape) - len(result)) + result
        for d in range(-len(shape), 0):
            if shape[d] < 0:
                raise RuntimeError(f"Trying to create tensor with negative dimension ({shape[d]}): ({shape[d]})")
            if shape[d] not in (1, result[d]):
                if result[d] != 1:
                    raise RuntimeError(
                        f"Attempting to broadcast a dimension of length {shape[d]} at {d}! Mismatching argument at "
                        f"index {position} had {tuple(shape)}; but expected shape should be broadcastable to {result}"
                    )
                result[d] = shape[d]
    return Size(result)


def flip(input, *dims):
    """The elements in reverse order along dimensions."""
    d = _size(dims)
    return wrap(lib.sn_flip(input._h, d, len(d)))


def fliplr(input):
    """Columns in reverse order."""
    if input.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return flip(input, (1,))


def flipud(input):
    """Rows in reverse order."""
    if input.ndim < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return flip(input, (0,))


def roll(input, shifts, dims=()):
    """Shifted along dimensions, coming in again at the other end; without dimensions, as one flat row."""
    s, d = integers(shifts), integers(() if dims is None else dims)
    return wrap(lib.sn_roll(input._h, s, len(s), d, len(d)))


def rot90(input, k=1, dims=(0, 1)):
    """Rotated by k quarter turns in the plane of two dimensions, from the first toward the second."""
    return wrap(lib.sn_rot90(input._h, k, integers(dims), len(dims)))


def _repeat(self, *repeats):
    """Copies one after another along every dimension; more sizes than dimensions add dimensions in front."""
    sizes = _size(repeats)
    return wrap(lib.sn_repeat(self._h, sizes, len(sizes)))


def tile(input, *dims):
    """Copies one after another along the last dimensions."""
    sizes = _size(dims)
    return wrap(lib.sn_tile(input._h, sizes, len(sizes)))


def repeat_interleave(input, repeats=None, dim=None, *, output_size=None):
    """Every element of a dimension a number of times; without a dimension, of the flattened tensor.

    With `input` alone: each position i, input[i] times.
    """
    if repeats is None:
        positions = wrap(
            lib.sn_arange({"d": 0, "i": 0, "kind": 1}, scalar(input.numel()), scalar(1), _dtypes.int64.code)
        )
        return repeat_interleave(positions, input, 0, output_size=output_size)
    if not isinstance(repeats, Tensor):
        repeats = tensor(repeats)
    size = -1 if output_size is None else output_size
    return wrap(lib.sn_repeat_interleave(input._h, repeats._h, dim is not None, dim or 0, size))


def tril(input, diagonal=0):
    """The elements on and below a diagonal of the last two dimensions, zeros above."""
    return wrap(lib.sn_tril(input._h, diagonal, 0))


def triu(input, diagonal=0):
    """The elements on and above a diagonal of the last two dimensions, zeros below."""
    return wrap(lib.sn_triu(input._h, diagonal, 0))


def tril_(self, diagonal=0):
    """Sets the elements above a diagonal to zero."""
    return _in_place(self, lib.sn_tril(self._h, diagonal, 1))


def triu_(self, diagonal=0):
    """Sets the elements below a diagonal to zero."""
    return _in_place(self, lib.sn_triu(self._h, diagonal, 1))


def tril_indices(row, col, offset=0, *, dtype=_dtypes.int64, device=None, layout=None):
    """Row and column of every element of the lower triangle of a matrix, as the rows of a 2 × n tensor."""
    check_device(device)
    return wrap(lib.sn_triangle_indices(row, col, offset, 1, _dtypes.code(dtype)))


def triu_indices(row, col, offset=0, *, dtype=_dtypes.int64, device=None, layout=None):
    """Row and column of every element of the upper triangle of a matrix, as the rows of a 2 × n tensor."""
    check_device(device)
    return wrap(lib.sn_triangle_indices(row, col, offset, 0, _dtypes.code(dtype)))


def diag(input, diagonal=0):
    """A matrix with this vector on a diagonal; or the diagonal of this matrix."""
    return wrap(lib.sn_diag(input._h, diagonal))


def diagflat(input, offset=0):
    """A matrix with the flattened elements on a diagonal."""
    return diag(input.reshape(-1), offset)


def diag_embed(input, offset=0, dim1=-2, dim2=-1):
    """Zeros but for the values of the last dimension, which become diagonals of two new dimensions."""
    return wrap(lib.sn_diag_embed(input._h, offset, dim1, dim2))


def trace(input):
    """The sum of the diagonal of a matrix."""
    return wrap(lib.sn_trace(input._h))


def block_diag(*tensors):
    """The matrices along the diagonal of one larger matrix, zeros elsewhere."""
    return wrap(lib.sn_block_diag(handles(tensors, "block_diag"), len(tensors)))


def meshgrid(*tensors, indexing="ij"):
    """Coordinate grids: result i has the values of tensor i along dimension i ("xy": the first two exchanged)."""
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    parts = _list(tensors)
    return unpack(lib.sn_meshgrid(handles(parts, "meshgrid"), len(parts), indexing == "xy"))


def cartesian_prod(*tensors):
    """All tuples with one element of each vector, one row each."""
    return wrap(lib.sn_cartesian_prod(handles(tensors, "cartesian_prod"), len(tensors)))


def combinations(input, r=2, with_replacement=False):
    """All combinations of r elements of a vector, one row each."""
    return wrap(lib.sn_combinations(input._h, r, with_replacement))


def select_scatter(input, src, dim, index):
    """A copy of `input` with one position of a dimension replaced."""
    return wrap(lib.sn_select_scatter(input._h, src._h, dim, index))


def slice_scatter(input, src, dim=0, start=None, end=None, step=1):
    """A copy of `input` with a slice of a dimension replaced."""
    return wrap(
        lib.sn_slice_scatter(
            input._h, src._h, dim, start is not None, 0 if start is None else builtins.min(start, 2**62),
            end is not None, 0 if end is None else builtins.min(end, 2**62), step,
        )
    )  # fmt: skip


def diagonal_scatter(input, src, offset=0, dim1=0, dim2=1):
    """A copy of `input` with a diagonal replaced."""
    return wrap(lib.sn_diagonal_scatter(input._h, src._h, offset, dim1, dim2))


def numel(input):
    """Number of elements."""
    return lib.sn_count(_tensor_handle(input, "input", "numel"))


def is_tensor(obj):
    """Whether an object is a tensor."""
    return isinstance(obj, Tensor)


def is_floating_point(input):
    """Whether the elements are floating-point numbers."""
    _tensor_handle(input, "input", "is_floating_point")
    return input.dtype.is_floating_point


def is_complex(input):
    """False: there are no complex dtypes."""
    return False


def is_nonzero(input):
    """Whether the only element is not zero."""
    return bool(input)


def is_same_size(input, other):
    """Whether the shapes are equal."""
    return input.shape == other.shape


methods(
    split, split_with_sizes, chunk, tensor_split, hsplit, vsplit, dsplit, unbind, movedim, unflatten, broadcast_to,
    flip, fliplr, flipud, roll, rot90, tile, repeat_interleave, tril, triu, tril_, triu_, diag, diagflat, diag_embed,
    trace, select_scatter, slice_scatter, diagonal_scatter, is_nonzero, is_same_size, moveaxis=movedim, repeat=_repeat,
)  # fmt: skip


def _reshape_in_place(name, function, doc):
    def method(self, *args, **kwargs):
        if lib.sn_requires_grad(self._h):
            raise RuntimeError(f"{name}: a tensor that requires grad cannot change its shape in place; use {name[:-1]}")
        result = function(self, *args, **kwargs)
        check(lib.sn_set_data(self._h, result._h))
        return self

    method.__name__ = method.__qualname__ = name
    method.__doc__ = doc
    return method


for _name in ("squeeze", "unsqueeze", "t", "transpose", "swapaxes", "swapdims"):
    setattr(
        Tensor, _name + "_",
        _reshape_in_place(_name + "_", getattr(Tensor, _name), f"`{_name}` in place: the tensor becomes the view."),
    )  # fmt: skip


def resize_(self, *sizes, memory_format=None):
    """Gives the tensor another size: over the same memory while it lasts, else over new memory with the old contents
    at its start and the rest undefined."""
    if lib.sn_requires_grad(self._h):
        raise RuntimeError("cannot resize variables that require grad")
    shape = _size(sizes)
    strides = []
    count = 1
    for size in reversed(shape):
        if size < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {size}: {list(shape)}")
        strides.insert(0, count)
        count *= builtins.max(size, 1)
    need = 0 if 0 in shape else count
    old = self.detach()
    width = self.itemsize
    offset = lib.sn_storage_offset(self._h)
    available = lib.sn_storage_bytes(self._h) // width - offset
    if need > available:
        fresh = wrap(lib.sn_empty((need,), 1, self.dtype.code))
        if available > 0:
            old = wrap(lib.sn_as_strided(old._h, (available,), (1,), 1, offset))
            part = wrap(lib.sn_narrow(fresh._h, 0, 0, available))
            check(lib.sn_copy_(part._h, old._h))
        old, offset = fresh, 0
    result = wrap(lib.sn_as_strided(old._h, tuple(shape), tuple(strides), len(shape), offset))
    check(lib.sn_set_data(self._h, result._h))
    return self


def resize_as_(self, the_template, *, memory_format=None):
    """`resize_` to the size of another tensor."""
    return resize_(self, the_template.shape)


methods(resize_, resize_as_)
