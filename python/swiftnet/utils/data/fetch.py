"""From the keys that a sampler gives to a batch; the same in this process and in a worker."""

import itertools

import swiftnet
from swiftnet.utils.data.collate import default_collate
from swiftnet.utils.data.dataset import IterableDataset, Subset, TensorDataset


def make_fetch(dataset, batched, collate_fn, drop_last):
    """A function from keys to a batch; for a stream of samples it raises StopIteration at the end.

    Args:
        dataset: where the samples come from.
        batched: whether the keys are a list, for a batch, or one key.
        collate_fn: makes a batch of a list of samples, or converts one sample.
        drop_last: whether a stream's last batch is left out if it is short.
    """
    if isinstance(dataset, IterableDataset):
        return _stream(iter(dataset), batched, collate_fn, drop_last)
    if not batched:
        return lambda key: collate_fn(dataset[key])
    if collate_fn is default_collate:
        rows = _rows(dataset)
        if rows is not None:
            return rows
    at_once = getattr(dataset, "__getitems__", None)
    if callable(at_once):
        return lambda keys: collate_fn(at_once(keys))
    return lambda keys: collate_fn([dataset[key] for key in keys])


def _stream(samples, batched, collate_fn, drop_last):
    def fetch(keys):
        if not batched:
            return collate_fn(next(samples))
        batch = list(itertools.islice(samples, len(keys)))
        if not batch or (drop_last and len(batch) < len(keys)):
            raise StopIteration
        return collate_fn(batch)

    return fetch


def _rows(dataset):
    """Takes all rows of a batch at once, which gives what stacking one row after another would; None if the data set
    is of another kind."""
    if type(dataset) is TensorDataset:
        return lambda keys: [swiftnet.index_select(t, 0, swiftnet.tensor(keys)) for t in dataset.tensors]
    if type(dataset) is Subset:
        whole = _rows(dataset.dataset)
        return whole and (lambda keys: whole([int(dataset.indices[key]) for key in keys]))
    return None
