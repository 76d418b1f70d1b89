"""From a list of samples to one batch."""

import collections.abc as abc
import copy

import swiftnet
from swiftnet._numpy import np
from swiftnet._tensor import Tensor


def default_convert(data):
    """NumPy arrays and numbers to tensors, in containers too; everything else stays."""
    if isinstance(data, Tensor):
        return data
    if isinstance(data, (np.ndarray, np.generic)):
        return data if data.dtype.kind in "SUO" else swiftnet.as_tensor(data)
    if isinstance(data, abc.Mapping):
        return _like(data, {key: default_convert(value) for key, value in data.items()})
    if _is_named_tuple(data):
        return type(data)(*(default_convert(value) for value in data))
    if isinstance(data, tuple):
        return [default_convert(value) for value in data]
    if isinstance(data, abc.Sequence) and not isinstance(data, (str, bytes)):
        return _like(data, [default_convert(value) for value in data])
    return data


def default_collate(batch):
    """Makes one batch of a list of samples.

    Tensors, NumPy arrays and numbers become tensors with a new first dimension; strings and bytes a list; mappings,
    named tuples, tuples and other sequences are collated by their parts.

    Args:
        batch: the samples, all of one structure.

    >>> default_collate([{"x": 1, "name": "a"}, {"x": 2, "name": "b"}])
    {'x': tensor([1, 2]), 'name': ['a', 'b']}
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return swiftnet.stack(list(batch), 0)
    if isinstance(first, np.ndarray):
        _require_numbers(first)
        return default_collate([swiftnet.as_tensor(item) for item in batch])
    if isinstance(first, np.generic) and not isinstance(first, (str, bytes)):
        _require_numbers(first)
        return swiftnet.as_tensor(np.array(batch))
    if isinstance(first, float):
        return swiftnet.tensor(batch, dtype=swiftnet.float64)
    if isinstance(first, int):
        return swiftnet.tensor(batch)
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, abc.Mapping):
        return _like(first, {key: default_collate([sample[key] for sample in batch]) for key in first})
    if isinstance(first, abc.Sequence):
        return _collate_sequences(first, batch)
    raise TypeError(
        f"default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {type(first)}"
    )


def _collate_sequences(first, batch):
    if _is_named_tuple(first):
        return type(first)(*(default_collate(column) for column in zip(*batch, strict=True)))
    if any(len(sample) != len(first) for sample in batch):
        raise RuntimeError("each element in list of batch should be of equal size")
    columns = [default_collate(column) for column in zip(*batch, strict=True)]
    return columns if isinstance(first, tuple) else _like(first, columns)


def _require_numbers(value):
    if value.dtype.kind in "SUO":
        raise TypeError(
            f"default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {value.dtype}"
        )


def _is_named_tuple(data):
    return isinstance(data, tuple) and hasattr(data, "_fields")


def _like(original, converted):
    """`converted` in a container of the original's type, or as it is where that type cannot be made so."""
    try:
        if isinstance(original, abc.MutableMapping):
            # A copy keeps what a subclass has besides its items.
            result = copy.copy(original)
            result.update(converted)
            return result
        if isinstance(original, abc.MutableSequence) and not isinstance(original, list):
            result = copy.copy(original)
            for position, value in enumerate(converted):
                result[position] = value
            return result
        return type(original)(converted)
    except TypeError:
        return converted
