"""Indexing with integers, slices, None, `...`, index tensors and masks."""

import operator

from swiftnet._core import lib
from swiftnet._tensor import Tensor, wrap


def _view(tensor, index):
    """The view that the basic part of an index selects."""
    items = index if isinstance(index, tuple) else (index,)
    used = sum(1 for item in items if item is not None and item is not Ellipsis)
    result = tensor
    dim = 0
    for item in items:
        if item is None:
            result = wrap(lib.sn_unsqueeze(result._h, dim))
            dim += 1
        elif item is Ellipsis:
            dim += tensor.ndim - used
        elif isinstance(item, slice):
            result = _slice(result, dim, item)
            dim += 1
        else:
            result = wrap(lib.sn_select(result._h, dim, operator.index(item)))
    return result


def _slice(tensor, dim, item):
    step = 1 if item.step is None else operator.index(item.step)
    if step <= 0:
        raise ValueError("step must be greater than zero")
    start, stop = item.start, item.stop
    return wrap(
        lib.sn_slice(
            tensor._h, dim, start is not None, 0 if start is None else operator.index(start), stop is not None,
            0 if stop is None else operator.index(stop), step,
        )
    )  # fmt: skip


def get(tensor, index):
    """`tensor[index]`."""
    return _view(tensor, index)


def put(tensor, index, value):
    """`tensor[index] = value`."""
    target = _view(tensor, index)
    if isinstance(value, Tensor):
        target.copy_(value)
    else:
        target.fill_(value)
