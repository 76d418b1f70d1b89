"""The loader: batches of a data set, made here or by worker processes."""

import collections
import itertools
import multiprocessing
import os
import sys
import time
import warnings
from multiprocessing.connection import wait
from typing import Generic, TypeVar

from swiftnet.utils.data import worker
from swiftnet.utils.data.collate import default_collate, default_convert
from swiftnet.utils.data.dataset import IterableDataset
from swiftnet.utils.data.fetch import make_fetch
from swiftnet.utils.data.sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler, random_seed

T = TypeVar("T")

# How long workers may take to stop by themselves before they are made to.
_STOP_SECONDS = 1.0


class _Endless(Sampler):
    """Keys for a stream of samples: None, for ever."""

    def __iter__(self):
        return itertools.repeat(None)


class DataLoader(Generic[T]):
    """Iterates over the batches of a data set.

    Args:
        dataset: a data set with keys, or an `IterableDataset`.
        batch_size: samples of a batch; None gives the samples one by one as they are. Default: 1.
        shuffle: whether each pass takes the samples in a new random order. Default: False.
        sampler: the order of the samples, an iterable of keys; excludes `shuffle`.
        batch_sampler: an iterable of lists of keys; excludes `batch_size`, `shuffle`, `sampler`, `drop_last`.
        num_workers: processes that make batches ahead; 0 makes them in this process. Default: 0.
        collate_fn: makes a batch of a list of samples. Default: `default_collate`.
        pin_memory: accepted; memory needs no pinning on the CPU.
        drop_last: whether to leave out the last batch if it is smaller. Default: False.
        timeout: seconds to wait for a batch of a worker; 0 waits as long as it takes.
        worker_init_fn: called in each worker with its number before it starts.
        multiprocessing_context: how workers start ("fork", "spawn", "forkserver" or a context). Default: fork on
            Linux, spawn elsewhere.
        generator: source of random numbers for the shuffling and the workers' seeds. Default: the global one.
        prefetch_factor: batches that each worker makes ahead. Default: 2.
        persistent_workers: whether the workers live on after a pass.
        pin_memory_device: accepted, without effect.
        in_order: whether batches come in the order of the sampler, or as workers finish them.

    >>> from swiftnet.utils.data import TensorDataset
    >>> [x.tolist() for x, in DataLoader(TensorDataset(swiftnet.arange(5)), batch_size=2)]
    [[0, 1], [2, 3], [4]]
    """

    _fixed = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")
    _ready = False

    def __init__(
        self,
        dataset,
        batch_size=1,
        shuffle=None,
        sampler=None,
        batch_sampler=None,
        num_workers=0,
        collate_fn=None,
        pin_memory=False,
        drop_last=False,
        timeout=0,
        worker_init_fn=None,
        multiprocessing_context=None,
        generator=None,
        *,
        prefetch_factor=None,
        persistent_workers=False,
        pin_memory_device="",
        in_order=True,
    ):
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        if num_workers > 0 and prefetch_factor is None:
            prefetch_factor = 2
        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.in_order = in_order
        self.generator = generator
        self.persistent_workers = persistent_workers

        streams = isinstance(dataset, IterableDataset)
        _check_sampling(streams, batch_size, shuffle, sampler, batch_sampler, drop_last)
        if batch_sampler is not None:
            batch_size, drop_last = None, False
        if sampler is None:
            if streams:
                sampler = _Endless()
            elif shuffle:
                sampler = RandomSampler(dataset, generator=generator)
            else:
                sampler = SequentialSampler(dataset)
        if batch_size is not None and batch_sampler is None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        if collate_fn is None:
            collate_fn = default_convert if batch_sampler is None else default_collate
        self.collate_fn = collate_fn
        self._iterator = None
        self._ready = True

    def __setattr__(self, name, value):
        if self._ready and name in self._fixed:
            raise ValueError(f"{name} attribute should not be set after {type(self).__name__} is initialized")
        super().__setattr__(name, value)

    @property
    def multiprocessing_context(self):
        """How workers start."""
        return self._multiprocessing_context

    @multiprocessing_context.setter
    def multiprocessing_context(self, context):
        if context is not None:
            if self.num_workers == 0:
                raise ValueError(
                    "multiprocessing_context can only be used with multi-process loading (num_workers > 0), but got "
                    f"num_workers={self.num_workers}"
                )
            if isinstance(context, str):
                methods = multiprocessing.get_all_start_methods()
                if context not in methods:
                    raise ValueError(
                        "multiprocessing_context option should specify a valid start method in "
                        f"{methods!r}, but got multiprocessing_context={context!r}"
                    )
                context = multiprocessing.get_context(context)
            if not isinstance(context, multiprocessing.context.BaseContext):
                raise TypeError(
                    "multiprocessing_context option should be a valid context object or a string specifying the start "
                    f"method, but got multiprocessing_context={context}"
                )
        self._multiprocessing_context = context

    def __iter__(self):
        if self.num_workers == 0:
            return _LocalIterator(self)
        if not self.persistent_workers:
            return _WorkerIterator(self)
        if self._iterator is None:
            self._iterator = _WorkerIterator(self)
        else:
            self._iterator.restart(self)
        return self._iterator

    def __len__(self):
        if not isinstance(self.dataset, IterableDataset):
            return len(self._keys)
        length = len(self.dataset)
        if self.batch_size is None:
            return length
        return length // self.batch_size if self.drop_last else -(-length // self.batch_size)

    @property
    def _keys(self):
        return self.sampler if self.batch_sampler is None else self.batch_sampler

    @property
    def _fetch_arguments(self):
        return self.batch_sampler is not None, self.collate_fn, self.drop_last

    def __getstate__(self):
        # A copy starts workers of its own.
        return {**self.__dict__, "_iterator": None}


def _check_workers(num_workers, timeout, prefetch_factor, persistent_workers):
    if num_workers < 0:
        raise ValueError("num_workers option should be non-negative; use num_workers=0 to disable multiprocessing.")
    if timeout < 0:
        raise ValueError("timeout option should be non-negative")
    if num_workers == 0 and prefetch_factor is not None:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing. let num_workers > 0 to enable "
            "multiprocessing, otherwise set prefetch_factor to None."
        )
    if prefetch_factor is not None and prefetch_factor < 0:
        raise ValueError("prefetch_factor option should be non-negative")
    if persistent_workers and num_workers == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")


def _check_sampling(streams, batch_size, shuffle, sampler, batch_sampler, drop_last):
    if streams:
        for name, value in (("shuffle", shuffle or None), ("sampler", sampler), ("batch_sampler", batch_sampler)):
            if value is not None:
                raise ValueError(
                    f"DataLoader with IterableDataset: expected unspecified {name} option, but got {name}={value}"
                )
    if sampler is not None and shuffle:
        raise ValueError("sampler option is mutually exclusive with shuffle")
    if batch_sampler is not None:
        if batch_size != 1 or shuffle or sampler is not None or drop_last:
            raise ValueError(
                "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last"
            )
    elif batch_size is None and drop_last:
        raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")


class _Iterator:
    """One pass. Draws the base seed first and leaves the sampler's draws to the first batch, as PyTorch does."""

    def __init__(self, loader):
        self._begin(loader)
        self._base_seed = random_seed(loader.generator)

    def _begin(self, loader):
        self._keys = iter(loader._keys)
        self._yielded = 0
        self._loader = loader

    def __iter__(self):
        return self

    def __len__(self):
        return len(self._loader._keys)

    def __next__(self):
        batch = self._next()
        self._yielded += 1
        if isinstance(self._loader.dataset, IterableDataset):
            self._compare_length()
        return batch

    def _compare_length(self):
        if not hasattr(self._loader.dataset, "__len__"):
            return
        length = len(self._loader)
        if self._yielded == length + 1:
            warnings.warn(
                f"Length of IterableDataset {self._loader.dataset} was reported to be {length} (when accessing "
                f"len(dataloader)), but {self._yielded} samples have been fetched.",
                stacklevel=3,
            )


class _LocalIterator(_Iterator):
    """Makes the batches in this process."""

    def __init__(self, loader):
        super().__init__(loader)
        self._fetch = make_fetch(loader.dataset, *loader._fetch_arguments)

    def _next(self):
        return self._fetch(next(self._keys))


class _Worker:
    """A worker process as its parent sees it."""

    def __init__(self, context, loader, base_seed, number):
        self.connection, other = context.Pipe()
        self.process = context.Process(
            target=worker.run,
            args=(
                other,
                loader.dataset,
                loader._fetch_arguments,
                base_seed,
                loader.worker_init_fn,
                number,
                loader.num_workers,
            ),
            daemon=True,
        )
        self.process.start()
        other.close()
        # Requests without a reply yet.
        self.outstanding = 0
        # False once a stream has ended.
        self.active = True

    def request(self, keys):
        self.outstanding += 1
        self.connection.send((keys,))

    def reply(self):
        try:
            reply = worker.receive(self.connection)
        except (EOFError, OSError):
            self.process.join(_STOP_SECONDS)
            raise self.death() from None
        self.outstanding -= 1
        return reply

    def death(self):
        return RuntimeError(
            f"DataLoader worker (pid {self.process.pid}) exited unexpectedly with exit code {self.process.exitcode}"
        )


class _WorkerIterator(_Iterator):
    """Hands the batches out to workers in turn, and gives their replies in the same order."""

    def __init__(self, loader):
        super().__init__(loader)
        self._process = os.getpid()
        self._workers = []
        context = loader.multiprocessing_context
        if context is None:
            context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
        for number in range(loader.num_workers):
            self._workers.append(_Worker(context, loader, self._base_seed, number))
        self._prefetch(loader)

    def _prefetch(self, loader):
        self._timeout = loader.timeout
        self._in_order = loader.in_order
        self._turn = itertools.cycle(self._workers)
        # The workers that have been asked, in the order of the batches.
        self._asked = collections.deque()
        for _ in range(max(loader.prefetch_factor, 1) * len(self._workers)):
            self._ask()

    def restart(self, loader):
        """Begins another pass with the same workers."""
        if not self._workers:
            raise RuntimeError("the loader's workers have been stopped")
        for each in self._workers:
            while each.outstanding:
                each.reply()
            each.connection.send(worker.RESTART)
            each.active = True
        self._begin(loader)
        self._prefetch(loader)

    def _ask(self):
        """Asks the worker whose turn it is for the next batch, if there is one."""
        if not any(each.active for each in self._workers):
            return
        try:
            keys = next(self._keys)
        except StopIteration:
            return
        each = next(each for each in self._turn if each.active)
        each.request(keys)
        self._asked.append(each)

    def _next(self):
        while self._asked:
            each = self._await()
            if each is None:
                continue
            kind, value = each.reply()
            if kind == worker.END:
                each.active = False
                self._ask()
                continue
            self._ask()
            if kind == worker.ERROR:
                value.reraise()
            return value
        if not self._loader.persistent_workers:
            self.stop()
        raise StopIteration

    def _await(self):
        """The worker whose reply is next, once it has come; None if that worker has none left."""
        candidates = [self._asked[0]] if self._in_order else list(dict.fromkeys(self._asked))
        idle = next((each for each in candidates if not each.active), None)
        if idle is not None:
            # It has ended before this batch: nothing to wait for but its word on it.
            self._asked.remove(idle)
            idle.reply()
            return None
        ready = set(
            wait(
                [part for each in candidates for part in (each.connection, each.process.sentinel)],
                self._timeout or None,
            )
        )
        if not ready:
            raise RuntimeError(f"DataLoader timed out after {self._timeout} seconds")
        for each in candidates:
            if each.connection in ready or each.connection.poll(0):
                self._asked.remove(each)
                return each
        dead = next(each for each in candidates if each.process.sentinel in ready)
        dead.process.join()
        raise dead.death()

    def stop(self):
        """Stops the workers; those that are in the middle of something for long are ended."""
        # A forked child has this object too, but the workers are not its own.
        if os.getpid() != self._process:
            return
        workers, self._workers = self._workers, []
        self._asked.clear()
        for each in workers:
            try:
                each.connection.send(worker.STOP)
            except OSError:
                each.process.terminate()
        deadline = time.monotonic() + _STOP_SECONDS
        for each in workers:
            each.process.join(max(deadline - time.monotonic(), 0))
            if each.process.exitcode is None:
                each.process.terminate()
                each.process.join(_STOP_SECONDS)
            if each.process.exitcode is None:
                each.process.kill()
                each.process.join()
            each.connection.close()

    def __del__(self):
        # Nothing to stop if the constructor did not come so far, or at the end of the interpreter.
        if getattr(self, "_workers", None) and not sys.is_finalizing():
            if not hasattr(self, "_asked"):
                self._asked = collections.deque()
            self.stop()
