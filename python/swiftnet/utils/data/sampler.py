"""Samplers: the order in which a loader takes the samples of a data set.

The random ones draw from the generators as PyTorch's do, so that a seed gives the same order of batches.
"""

import itertools
from typing import Generic, TypeVar

import swiftnet

T = TypeVar("T")


class Sampler(Generic[T]):
    """An iterable of keys of a data set; a subclass defines `__iter__`, and `__len__` if the number is known."""

    def __iter__(self):
        raise NotImplementedError


class SequentialSampler(Sampler[int]):
    """All samples, in order.

    Args:
        data_source: the data set.
    """

    def __init__(self, data_source):
        self.data_source = data_source

    def __iter__(self):
        return iter(range(len(self.data_source)))

    def __len__(self):
        return len(self.data_source)


def random_seed(generator=None):
    """A seed drawn from a generator, the global one by default."""
    return swiftnet.empty((), dtype=swiftnet.int64).random_(generator=generator).item()


def _is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


class RandomSampler(Sampler[int]):
    """Samples at random.

    Args:
        data_source: the data set.
        replacement: whether a sample may come several times.
        num_samples: how many to draw. Default: as many as there are; more than that without replacement means one
            permutation after another.
        generator: source of the numbers. Default: one of its own, seeded from the global one for each pass.
    """

    def __init__(self, data_source, replacement=False, num_samples=None, generator=None):
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        if not isinstance(replacement, bool):
            raise TypeError(f"replacement should be a boolean value, but got replacement={replacement}")
        if not isinstance(self.num_samples, int) or self.num_samples <= 0:
            raise ValueError(f"num_samples should be a positive integer value, but got num_samples={self.num_samples}")

    @property
    def num_samples(self):
        """How many samples one pass draws."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    # PyTorch draws with replacement in blocks of 32.
    _BLOCK = 32

    def __iter__(self):
        count = len(self.data_source)
        generator = self.generator
        if generator is None:
            generator = swiftnet.Generator()
            generator.manual_seed(random_seed())
        left = self.num_samples
        step = self._BLOCK if self.replacement else count
        for _ in range(left // step):
            yield from self._draw(count, step, generator)
        rest = left % step
        yield from self._draw(count, rest, generator)[:rest]

    def _draw(self, count, block, generator):
        if self.replacement:
            return swiftnet.randint(0, count, (block,), dtype=swiftnet.int64, generator=generator).tolist()
        return swiftnet.randperm(count, generator=generator).tolist()

    def __len__(self):
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """Given indices in random order, each once.

    Args:
        indices: the indices.
        generator: source of the permutation. Default: the global one.
    """

    def __init__(self, indices, generator=None):
        self.indices = indices
        self.generator = generator

    def __iter__(self):
        for i in swiftnet.randperm(len(self.indices), generator=self.generator).tolist():
            yield self.indices[i]

    def __len__(self):
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """Samples drawn with given weights.

    Args:
        weights: a weight for each sample; they need not sum to one.
        num_samples: how many to draw.
        replacement: whether a sample may come several times.
        generator: source of the numbers. Default: the global one.
    """

    def __init__(self, weights, num_samples, replacement=True, generator=None):
        if not _is_count(num_samples):
            raise ValueError(f"num_samples should be a positive integer value, but got num_samples={num_samples}")
        if not isinstance(replacement, bool):
            raise ValueError(f"replacement should be a boolean value, but got replacement={replacement}")
        weights = swiftnet.as_tensor(weights, dtype=swiftnet.float64)
        if weights.ndim != 1:
            raise ValueError(f"weights should be a 1d sequence but given weights have shape {tuple(weights.shape)}")
        self.weights = weights
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self):
        yield from swiftnet.multinomial(
            self.weights, self.num_samples, self.replacement, generator=self.generator
        ).tolist()

    def __len__(self):
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Lists of the keys that another sampler gives.

    Args:
        sampler: any iterable of keys.
        batch_size: keys of a list.
        drop_last: whether to leave out the last list if it is shorter.

    >>> list(BatchSampler(range(5), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler, batch_size, drop_last):
        if not _is_count(batch_size):
            raise ValueError(f"batch_size should be a positive integer value, but got batch_size={batch_size}")
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, but got drop_last={drop_last}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self):
        keys = iter(self.sampler)
        while batch := list(itertools.islice(keys, self.batch_size)):
            if len(batch) < self.batch_size and self.drop_last:
                return
            yield batch

    def __len__(self):
        count = len(self.sampler)
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)
