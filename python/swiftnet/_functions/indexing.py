"""`tensor[...]`, and the functions that read and write by index or mask."""

import operator

from swiftnet import _dtypes
from swiftnet._core import NULL, check, fail, ffi, lib, scalar
from swiftnet._functions import methods
from swiftnet._numpy import np
from swiftnet._tensor import Tensor, _from_sequence, tensor, wrap

_WHOLE = slice(None)
_ZERO = {"d": 0.0, "i": 0, "kind": 1}

# Kinds of basic indices, as `sn_index_view` takes them.
_AT, _ALL, _NEW, _REST, _SLICE = range(5)


def unpack(handle):
    """The tensors of a list that the library returned; raises its error if there is none."""
    if not handle:
        fail()
    count = lib.sn_list_count(handle)
    results = ffi.new("sn_tensor[]", count or 1)
    lib.sn_list_take(handle, results)
    return tuple([wrap(results[position]) for position in range(count)])


def _in_place(self, handle):
    """Takes the second handle that an operation in place returns; gives the tensor back."""
    if not handle:
        fail()
    lib.sn_release(handle)
    return self


def _slice_entry(item):
    step = 1 if item.step is None else operator.index(item.step)
    if step <= 0:
        raise ValueError("step must be greater than zero")
    start, stop = item.start, item.stop
    kind = _SLICE + (start is not None) + 2 * (stop is not None)
    return (
        kind, 0 if start is None else _bound(start), 0 if stop is None else _bound(stop), min(step, 2**62),
    )  # fmt: skip


def _bound(value):
    return max(-(2**62), min(operator.index(value), 2**62))


def _is_sequence(item):
    return isinstance(item, (list, tuple, range))


def _as_tuple(index):
    """An index as a tuple of entries. A short list that holds more than numbers is meant as a tuple."""
    if type(index) is tuple:
        return index
    if isinstance(index, list) and len(index) < 32:
        for item in index:
            if item is None or item is Ellipsis or isinstance(item, (Tensor, slice, np.ndarray)) or _is_sequence(item):
                return tuple(index)
    return (index,)


def _entry(item):
    """An entry that is no plain integer, slice, None or Ellipsis: an integer, a bool or an index tensor."""
    if isinstance(item, np.ndarray):
        item = tensor(item)
    elif _is_sequence(item):
        item = _from_sequence(list(item)) if len(item) else wrap(lib.sn_empty((0,), 1, _dtypes.int64.code))
    if isinstance(item, Tensor):
        if item.ndim:
            return item
        kind = item.dtype
        if kind.is_floating_point:
            raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
        value = item.item()
        return bool(value) if kind is _dtypes.uint8 else value
    if isinstance(item, (bool, np.bool_)):
        return bool(item)
    if isinstance(item, str):
        raise TypeError("new(): invalid data type 'str'")
    if hasattr(item, "__index__"):
        return operator.index(item)
    raise IndexError(
        "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices "
        f"(got {type(item).__name__})"
    )


def _covered(item):
    """How many dimensions an entry indexes."""
    if item is None or item is Ellipsis or item is True or item is False:
        return 0
    if isinstance(item, Tensor) and item.dtype in (_dtypes.bool_, _dtypes.uint8):
        return item.ndim
    return 1


def _plan(self, index):
    """An index as entries for `sn_index_view` (None for the tensor as it is), and index tensors by dimension."""
    entries = [
        item if type(item) is int or type(item) is slice or item is None or item is Ellipsis else _entry(item)
        for item in _as_tuple(index)
    ]
    view = []
    tensors = []
    plain = True
    advanced = False
    for item in entries:
        kind = type(item)
        if kind is int:
            view += (_AT, item, 0, 0)
            plain = False
        elif kind is slice:
            if item == _WHOLE:
                view += (_ALL, 0, 0, 0)
            else:
                view += _slice_entry(item)
                plain = False
            tensors.append(None)
        elif item is None:
            view += (_NEW, 0, 0, 0)
            tensors.append(None)
            plain = False
        elif item is Ellipsis:
            view += (_REST, 0, 0, 0)
            tensors += [None] * max(0, self.ndim - sum(map(_covered, entries)))
        elif kind is bool:
            view += (_NEW, 0, 0, 0)
            tensors.append(tensor([0] if item else [], dtype=_dtypes.int64))
            plain = False
            advanced = True
        else:
            view += (_ALL, 0, 0, 0) * _covered(item)
            tensors.append(item)
            advanced = True
    return None if plain else view, tensors if advanced else None


def _handles(tensors):
    return [NULL if item is None else item._h for item in tensors]


def _get(self, index):
    """`self[index]` where the index is not an integer or a plain slice: a view for integers, slices, None and `...`; a
    copy where tensors, lists or masks take part.
    """
    view, tensors = _plan(self, index)
    if tensors is None:
        view = view or (_REST, 0, 0, 0)
        return wrap(lib.sn_index_view(self._h, view, len(view) // 4))
    source = self if view is None else wrap(lib.sn_index_view(self._h, view, len(view) // 4))
    return wrap(lib.sn_index(source._h, _handles(tensors), len(tensors)))


def _set(self, index, value):
    """`self[index] = value`, for a number or a tensor that broadcasts."""
    is_tensor = isinstance(value, Tensor)
    if not is_tensor:
        try:
            number = scalar(value)
        except TypeError:
            kind = type(value)
            module = "" if kind.__module__ == "builtins" else kind.__module__ + "."
            raise TypeError(f"can't assign a {module}{kind.__name__} to a swiftnet.{self.dtype.name} tensor") from None
    view, tensors = _plan(self, index)
    target = self if view is None else wrap(lib.sn_index_view(self._h, view, len(view) // 4))
    if is_tensor:
        shape = value.shape
        lead = 0
        while lead < len(shape) and shape[lead] == 1:
            lead += 1
        if lead and (tensors is not None or len(shape) > target.ndim):
            value = value.reshape(shape[lead:])
    if tensors is None:
        if is_tensor:
            check(lib.sn_copy_(target._h, value._h))
        else:
            check(lib.sn_fill_(target._h, number))
        return
    if len(tensors) == 1 and tensors[0].dtype is _dtypes.bool_ and tensors[0].shape == target.shape:
        if not is_tensor:
            _in_place(target, lib.sn_masked_fill(target._h, tensors[0]._h, NULL, number, 1))
            return
        if value.ndim == 0:
            _in_place(target, lib.sn_masked_fill(target._h, tensors[0]._h, value._h, _ZERO, 1))
            return
    if not is_tensor:
        value = wrap(lib.sn_full((), 0, number, target.dtype.code))
    _in_place(target, lib.sn_index_put(target._h, _handles(tensors), len(tensors), value._h, 0, 1))


# Asked for by the glue, for `self[index]`.
Tensor._get = _get
Tensor.__setitem__ = _set


def _tensor_handle(value, name, function):
    if not isinstance(value, Tensor):
        raise TypeError(f"{function}(): argument '{name}' must be Tensor, not {type(value).__name__}")
    return value._h


def _value(value):
    """A number or tensor as the pair of arguments that the C interface takes."""
    if isinstance(value, Tensor):
        return value._h, _ZERO
    return NULL, scalar(value)


def _index_put(input, indices, values, accumulate, in_place):
    entries = [None if item is None else _entry(item) for item in indices]
    return lib.sn_index_put(
        input._h, _handles(entries), len(entries), _tensor_handle(values, "values", "index_put"), accumulate, in_place
    )


def index_put(input, indices, values, accumulate=False):
    """A copy of `input` with `values` written to, or added to, the elements that a tuple of index tensors selects."""
    return wrap(_index_put(input, indices, values, accumulate, 0))


def index_put_(self, indices, values, accumulate=False):
    """Writes `values` to, or adds them to, the elements that a tuple of index tensors selects."""
    return _in_place(self, _index_put(self, indices, values, accumulate, 1))


def index_select(input, dim, index):
    """The slices of a dimension that a vector of indices names."""
    return wrap(lib.sn_index_select(input._h, dim, _tensor_handle(index, "index", "index_select")))


def index_add(input, dim, index, source, *, alpha=1):
    """A copy of `input` with alpha · source added to the slices of a dimension that `index` names."""
    return wrap(lib.sn_index_add(input._h, dim, index._h, source._h, scalar(alpha), 0))


def index_add_(self, dim, index, source, *, alpha=1):
    """Adds alpha · source to the slices of a dimension that `index` names."""
    return _in_place(self, lib.sn_index_add(self._h, dim, index._h, source._h, scalar(alpha), 1))


def index_copy(input, dim, index, source):
    """A copy of `input` with the slices of `source` in place of those that `index` names."""
    return wrap(lib.sn_index_copy(input._h, dim, index._h, source._h, 0))


def index_copy_(self, dim, index, source):
    """Writes the slices of `source` over those that `index` names."""
    return _in_place(self, lib.sn_index_copy(self._h, dim, index._h, source._h, 1))


def index_fill(input, dim, index, value):
    """A copy of `input` with one value in the slices of a dimension that `index` names."""
    return wrap(lib.sn_index_fill(input._h, dim, index._h, *_value(value), 0))


def index_fill_(self, dim, index, value):
    """Writes one value to the slices of a dimension that `index` names."""
    return _in_place(self, lib.sn_index_fill(self._h, dim, index._h, *_value(value), 1))


def take(input, index):
    """The elements at the given positions of the flattened tensor, in the shape of `index`."""
    return wrap(lib.sn_take(input._h, _tensor_handle(index, "index", "take")))


def put_(self, index, source, accumulate=False):
    """Writes `source` to, or adds it to, the given positions of the flattened tensor."""
    return _in_place(self, lib.sn_put(self._h, index._h, source._h, accumulate, 1))


def put(input, index, source, accumulate=False):
    """A copy with `source` at, or added to, the given positions of the flattened tensor."""
    return wrap(lib.sn_put(input._h, index._h, source._h, accumulate, 0))


def gather(input, dim, index, *, sparse_grad=False):
    """out[…, i, …] = input[…, index[…, i, …], …] along a dimension."""
    return wrap(lib.sn_gather(input._h, dim, _tensor_handle(index, "index", "gather")))


def take_along_dim(input, indices, dim=None):
    """`gather` with broadcasting of the other dimensions; without a dimension, on the flattened tensor."""
    return wrap(lib.sn_take_along_dim(input._h, indices._h, dim is not None, dim or 0))


_missing = object()


def _scatter(self, dim, index, src, value, reduce, in_place):
    source = value if src is _missing else src
    if source is _missing:
        raise TypeError("scatter() missing 1 required positional argument: 'src'")
    h = _tensor_handle(index, "index", "scatter")
    if reduce is None:
        return lib.sn_scatter(self._h, dim, h, *_value(source), in_place)
    if reduce not in ("add", "multiply"):
        raise RuntimeError("reduce argument must be either add or multiply.")
    if not isinstance(source, Tensor):
        source = wrap(lib.sn_full(index.shape, index.ndim, scalar(source), self.dtype.code))
    name = b"sum" if reduce == "add" else b"prod"
    return lib.sn_scatter_reduce(self._h, dim, h, source._h, name, 1, in_place)


def scatter(input, dim, index, src=_missing, value=_missing, *, reduce=None):
    """A copy of `input` in which src (a tensor or a number) is written where `index` says, along a dimension.

    Args:
        reduce: "add" or "multiply" combines with what is there.
    """
    return wrap(_scatter(input, dim, index, src, value, reduce, 0))


def scatter_(self, dim, index, src=_missing, value=_missing, *, reduce=None):
    """Writes src (a tensor or a number) where `index` says, along a dimension."""
    return _in_place(self, _scatter(self, dim, index, src, value, reduce, 1))


def scatter_add(input, dim, index, src):
    """A copy of `input` with src added where `index` says, along a dimension."""
    return wrap(lib.sn_scatter_add(input._h, dim, index._h, _tensor_handle(src, "src", "scatter_add"), 0))


def scatter_add_(self, dim, index, src):
    """Adds src where `index` says, along a dimension."""
    return _in_place(self, lib.sn_scatter_add(self._h, dim, index._h, _tensor_handle(src, "src", "scatter_add_"), 1))


def scatter_reduce(input, dim, index, src, reduce, *, include_self=True):
    """A copy of `input` with every element replaced by the reduction of the src values that `index` sends there.

    Args:
        reduce: "sum", "prod", "mean", "amax" or "amin".
        include_self: whether the element itself takes part.
    """
    return wrap(lib.sn_scatter_reduce(input._h, dim, index._h, src._h, reduce.encode(), include_self, 0))


def scatter_reduce_(self, dim, index, src, reduce, *, include_self=True):
    """Replaces every element by the reduction of the src values that `index` sends there."""
    return _in_place(self, lib.sn_scatter_reduce(self._h, dim, index._h, src._h, reduce.encode(), include_self, 1))


def masked_fill(input, mask, value):
    """`value` where the mask is set, `input` elsewhere."""
    return wrap(lib.sn_masked_fill(input._h, _tensor_handle(mask, "mask", "masked_fill"), *_value(value), 0))


def masked_fill_(self, mask, value):
    """Writes `value` where the mask is set."""
    return _in_place(self, lib.sn_masked_fill(self._h, _tensor_handle(mask, "mask", "masked_fill_"), *_value(value), 1))


def masked_select(input, mask):
    """The elements where the mask is set, in one dimension."""
    return wrap(lib.sn_masked_select(input._h, _tensor_handle(mask, "mask", "masked_select")))


def masked_scatter(input, mask, source):
    """A copy of `input` in which elements where the mask is set are taken from `source`, one after the other."""
    return wrap(lib.sn_masked_scatter(input._h, mask._h, source._h, 0))


def masked_scatter_(self, mask, source):
    """Takes elements where the mask is set from `source`, one after the other."""
    return _in_place(self, lib.sn_masked_scatter(self._h, mask._h, source._h, 1))


def nonzero(input, *, as_tuple=False):
    """The indices of all nonzero elements: one row each, or one tensor per dimension."""
    if as_tuple:
        return unpack(lib.sn_nonzero_indices(input._h))
    return wrap(lib.sn_nonzero(input._h))


def argwhere(input):
    """The indices of all nonzero elements, one row each."""
    return wrap(lib.sn_nonzero(input._h))


methods(
    index_put, index_put_, index_select, index_add, index_add_, index_copy, index_copy_, index_fill, index_fill_,
    take, put_, gather, take_along_dim, scatter, scatter_, scatter_add, scatter_add_, scatter_reduce,
    scatter_reduce_, masked_fill, masked_fill_, masked_select, masked_scatter, masked_scatter_, nonzero, argwhere,
    put,
)  # fmt: skip
