"""Data sets, samplers and loaders against PyTorch's."""

import collections
import os
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
import swiftnet
import swiftnet.utils.data as ours
import torch
import torch.utils.data as theirs

Point = collections.namedtuple("Point", ["x", "y"])
SIDES = [(swiftnet, ours), (torch, theirs)]


def plain(value):
    """Tensors of either library as (dtype, lists), in containers too, so that both sides compare."""
    if isinstance(value, (swiftnet.Tensor, torch.Tensor)):
        return str(value.dtype).split(".")[-1], value.tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(plain, value))
    if isinstance(value, (list, tuple)):
        return type(value)(map(plain, value))
    return value


def same(function):
    """Runs `function(library, its data module)` for both libraries and compares what they return or raise."""
    results = []
    for library, data in SIDES:
        try:
            results.append(("returned", plain(function(library, data))))
        except Exception as error:
            results.append(("raised", type(error)))
    assert results[0] == results[1]
    return results[0]


def batches(library, data, *arguments, count=23, seed=5, passes=2, **options):
    library.manual_seed(seed)
    dataset = data.TensorDataset(library.arange(count), library.arange(count) * 0.5)
    loader = data.DataLoader(dataset, *arguments, **options)
    return [list(loader) for _ in range(passes)], len(loader), library.rand(2)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_size": 4},
        {"batch_size": 4, "shuffle": True},
        {"batch_size": 4, "shuffle": True, "drop_last": True},
        {"batch_size": None},
        {"batch_size": None, "shuffle": True},
        {"batch_size": 100, "drop_last": True},
        {"batch_size": 5, "shuffle": True, "num_workers": 2},
        {"batch_size": 5, "shuffle": True, "num_workers": 3, "prefetch_factor": 1, "persistent_workers": True},
        {"batch_sampler": [[1, 2], [3], [0, 0, 0]]},
        {"sampler": [3, 1, 2], "batch_size": 2},
    ],
    ids=str,
)
def test_batches_come_in_the_same_order(options):
    assert same(lambda library, data: batches(library, data, **options))[0] == "returned"


def test_generator_of_a_loader():
    def run(library, data):
        generator = library.Generator()
        generator.manual_seed(3)
        loader = data.DataLoader(range(10), batch_size=3, shuffle=True, generator=generator)
        return list(loader), list(loader)

    same(run)


@pytest.mark.parametrize(
    "make",
    [
        lambda library, data: data.SequentialSampler(range(5)),
        lambda library, data: data.RandomSampler(range(50)),
        lambda library, data: data.RandomSampler(range(7), num_samples=17),
        lambda library, data: data.RandomSampler(range(7), replacement=True, num_samples=70),
        lambda library, data: data.RandomSampler(range(7), replacement=True, num_samples=64),
        lambda library, data: data.SubsetRandomSampler([3, 5, 8, 13]),
        lambda library, data: data.WeightedRandomSampler([0.1, 0.9, 0.4, 0.7, 3.0, 0.6], 5),
        lambda library, data: data.WeightedRandomSampler([0.9, 0.4, 0.05, 0.2, 0.3, 0.1], 5, replacement=False),
        lambda library, data: data.BatchSampler(data.SequentialSampler(range(10)), 3, False),
        lambda library, data: data.BatchSampler(range(10), 3, True),
        lambda library, data: data.BatchSampler(range(10), 0, True),
        lambda library, data: data.BatchSampler(range(10), True, True),
        lambda library, data: data.BatchSampler(range(10), 3, 1),
        lambda library, data: data.RandomSampler([]),
        lambda library, data: data.RandomSampler(range(3), replacement=1),
        lambda library, data: data.RandomSampler(range(3), num_samples=-1),
        lambda library, data: data.WeightedRandomSampler([[0.1]], 5),
        lambda library, data: data.WeightedRandomSampler([0.1], 0),
        lambda library, data: data.WeightedRandomSampler([0.1], 5, replacement=1),
    ],
)
def test_samplers(make):
    def run(library, data):
        library.manual_seed(11)
        sampler = make(library, data)
        return list(sampler), list(sampler), len(sampler)

    same(run)


@pytest.mark.parametrize(
    "lengths", [[6, 4], [0.7, 0.3], [0.35, 0.35, 0.3], [1.0], [10], [5, 4], [0.5, 0.4], [1.5, -0.5]]
)
def test_random_split(lengths):
    def run(library, data):
        library.manual_seed(2)
        global_parts = [list(part) for part in data.random_split(range(10), lengths)]
        generator = library.Generator().manual_seed(42)
        return global_parts, [part.indices for part in data.random_split(range(10), lengths, generator=generator)]

    same(run)


def test_datasets():
    def run(library, data):
        a = data.TensorDataset(library.arange(4), library.arange(8).view(4, 2))
        joined = a + data.TensorDataset(library.arange(2), library.ones(2, 2))
        stacked = data.StackDataset(a, range(4))
        named = data.StackDataset(whole=a, number=range(4))
        part = data.Subset(a, [2, 0])
        return (
            [a[1], a[-1], a[1:3], len(a)],
            [joined[4], joined[-1], len(joined), joined.cumulative_sizes],
            [stacked[2], stacked.__getitems__([0, 3]), named[1], named.__getitems__([1]), len(named)],
            [part[0], part[1], len(part), part.__getitems__([1, 0]), part[[0, 1]]],
        )

    assert same(run)[0] == "returned"


@pytest.mark.parametrize(
    "run",
    [
        lambda library, data: data.TensorDataset(library.ones(2), library.ones(3)),
        lambda library, data: data.StackDataset(range(2), range(3)),
        lambda library, data: data.StackDataset(),
        lambda library, data: data.StackDataset(range(2), a=range(2)),
        lambda library, data: data.ConcatDataset([]),
        lambda library, data: data.ConcatDataset([range(2)])[-3],
        lambda library, data: data.Dataset()[0],
        lambda library, data: data.DataLoader(range(3), num_workers=-1),
        lambda library, data: data.DataLoader(range(3), timeout=-1),
        lambda library, data: data.DataLoader(range(3), prefetch_factor=2),
        lambda library, data: data.DataLoader(range(3), persistent_workers=True),
        lambda library, data: data.DataLoader(range(3), sampler=[1], shuffle=True),
        lambda library, data: data.DataLoader(range(3), batch_sampler=[[1]], shuffle=True),
        lambda library, data: data.DataLoader(range(3), batch_size=None, drop_last=True),
        lambda library, data: data.DataLoader(range(3), batch_size=0),
        lambda library, data: data.DataLoader(range(3), multiprocessing_context="fork"),
        lambda library, data: data.DataLoader(range(3), num_workers=1, multiprocessing_context="none"),
        lambda library, data: setattr(data.DataLoader(range(3)), "batch_size", 2),
        lambda library, data: list(data.DataLoader([object()])),
        lambda library, data: list(data.DataLoader([[1, 2], [1]], batch_size=2)),
        lambda library, data: list(data.DataLoader([np.array(["a"])])),
        lambda library, data: list(data.DataLoader({"a": 1})),
    ],
)
def test_mistakes_are_told_apart_as_in_pytorch(run):
    assert same(run)[0] == "raised"


@pytest.mark.parametrize(
    "samples",
    [
        [1, 2, 3],
        [1.5, 2.5],
        [True, False],
        ["a", "b"],
        [b"a", b"b"],
        [np.float32(1), np.float32(2)],
        [np.int16(1), np.int16(2)],
        [np.ones((2, 3)), np.zeros((2, 3))],
        [np.ones(2, np.uint8), np.zeros(2, np.uint8)],
        [(1, 2.0), (3, 4.0)],
        [[1, "x"], [3, "y"]],
        [{"a": 1, "b": [1, 2]}, {"a": 2, "b": [3, 4]}],
        [Point(1, 2.0), Point(3, 4.0)],
        [{"p": Point(1, np.arange(2)), "q": ("s", [1, 2])}] * 2,
        [collections.OrderedDict(a=1), collections.OrderedDict(a=2)],
    ],
    ids=str,
)
def test_collate(samples):
    assert same(lambda library, data: data.default_collate(samples))[0] == "returned"
    assert same(lambda library, data: [data.default_convert(sample) for sample in samples])[0] == "returned"


def test_collate_stacks_tensors():
    same(lambda library, data: data.default_collate([(library.ones(2), {"x": library.zeros(1)})] * 3))
    same(lambda library, data: data.default_collate([library.ones(2), library.ones(3)]))


def stream(data, length):
    class Stream(data.IterableDataset):
        def __iter__(self):
            info = data.get_worker_info()
            first, step = (0, 1) if info is None else (info.id, info.num_workers)
            return iter(range(first, length, step))

    return Stream()


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
@pytest.mark.parametrize(
    "options", [{"batch_size": 3}, {"batch_size": 3, "drop_last": True}, {"batch_size": None}], ids=str
)
def test_streams(workers, options):
    def run(library, data):
        loader = data.DataLoader(stream(data, 17), num_workers=workers, **options)
        return list(loader), list(loader)

    assert same(run)[0] == "returned"


def test_chained_streams():
    same(lambda library, data: list(data.ChainDataset([stream(data, 3), stream(data, 2)])))
    same(lambda library, data: list(data.ChainDataset([range(3)])))
    same(lambda library, data: data.DataLoader(stream(data, 3), shuffle=True))
    same(lambda library, data: data.DataLoader(stream(data, 3), sampler=[1]))


def random_numbers(library, data):
    class Numbers(data.Dataset):
        def __len__(self):
            return 6

        def __getitem__(self, index):
            import random

            info = data.get_worker_info()
            return index, info.id, info.seed, random.random(), np.random.rand(), library.rand(1)

    library.manual_seed(8)
    return list(data.DataLoader(Numbers(), batch_size=2, num_workers=2))


def test_workers_draw_the_same_random_numbers():
    assert same(random_numbers)[0] == "returned"


class Failing(ours.Dataset):
    def __init__(self, error):
        self.error = error

    def __len__(self):
        return 4

    def __getitem__(self, index):
        if index == 2:
            raise self.error
        return index


class Unusual(Exception):
    def __init__(self, code, text):
        super().__init__(f"{code}: {text}")


@pytest.mark.parametrize("error", [KeyError("lost"), ValueError("bad"), IndexError("far"), Unusual(1, "odd")])
def test_errors_of_workers_carry_their_traceback(error):
    expected = RuntimeError if isinstance(error, Unusual) else type(error)
    loader = iter(ours.DataLoader(Failing(error), num_workers=2))
    assert next(loader).item() == 0
    assert next(loader).item() == 1
    with pytest.raises(
        expected, match=rf"(?s){type(error).__name__} in DataLoader worker process 0.*__getitem__.*raise self.error"
    ):
        next(loader)
    assert next(loader).item() == 3


def test_an_error_in_worker_init_fn_reaches_the_parent():
    def fail(number):
        raise OSError(f"no {number}")

    with pytest.raises(OSError, match="no 0"):
        list(ours.DataLoader(range(4), num_workers=1, worker_init_fn=fail))


class Dying(ours.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        os._exit(7)


def test_a_dead_worker_is_an_error_not_a_hang():
    with pytest.raises(RuntimeError, match="exited unexpectedly with exit code 7"):
        list(ours.DataLoader(Dying(), num_workers=1))


class Slow(ours.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        time.sleep(30)
        return index


def test_timeout_and_quick_end():
    start = time.monotonic()
    with pytest.raises(RuntimeError, match="timed out after 0.2 seconds"):
        list(ours.DataLoader(Slow(), num_workers=2, timeout=0.2))
    assert time.monotonic() - start < 10


def test_batches_may_come_out_of_order():
    class Uneven(ours.Dataset):
        def __len__(self):
            return 6

        def __getitem__(self, index):
            time.sleep(0.5 if index == 0 else 0)
            return index

    values = [x.item() for x in ours.DataLoader(Uneven(), num_workers=2, in_order=False)]
    assert sorted(values) == list(range(6))
    assert values[0] != 0


def test_tensors_of_all_kinds_come_back_from_workers():
    class Kinds(ours.Dataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return {
                "half": swiftnet.ones(2).to(swiftnet.bfloat16),
                "empty": swiftnet.zeros(0, 3),
                "strided": swiftnet.arange(6).view(2, 3).t(),
                "text": "a",
                "parameter": swiftnet.nn.Parameter(swiftnet.ones(1)),
                "big": swiftnet.arange(300_000),
            }

    here = list(ours.DataLoader(Kinds(), batch_size=None))
    there = list(ours.DataLoader(Kinds(), batch_size=None, num_workers=1))
    assert plain(here) == plain(there)
    assert isinstance(there[0]["parameter"], swiftnet.nn.Parameter)
    there[0]["big"] += 1
    assert there[0]["big"][0].item() == 1


def test_spawned_workers():
    program = """
import swiftnet
from swiftnet.utils.data import DataLoader, TensorDataset

if __name__ == "__main__":
    loader = DataLoader(TensorDataset(swiftnet.arange(4)), 2, num_workers=1, multiprocessing_context="spawn")
    print([x.tolist() for x, in loader])
"""
    path = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"swiftnet_spawn_{os.getpid()}.py")
    with open(path, "w") as file:
        file.write(program)
    try:
        done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=60)
    finally:
        os.unlink(path)
    assert done.stdout == "[[0, 1], [2, 3]]\n", done.stderr


def test_a_pass_may_be_left_early():
    loader = ours.DataLoader(range(100), num_workers=2)
    for _ in range(3):
        assert next(iter(loader)).item() == 0
    persistent = ours.DataLoader(range(100), num_workers=2, persistent_workers=True)
    for _ in range(3):
        iterator = iter(persistent)
        assert [next(iterator).item() for _ in range(5)] == [0, 1, 2, 3, 4]


def test_length_of_a_stream_that_tells_a_wrong_one():
    class Wrong(ours.IterableDataset):
        def __iter__(self):
            return iter(range(5))

        def __len__(self):
            return 3

    loader = ours.DataLoader(Wrong(), batch_size=1)
    assert len(loader) == 3
    with pytest.warns(UserWarning, match="was reported to be 3"):
        list(loader)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="sends signals to a group of processes")
def test_ctrl_c_ends_loader_and_workers():
    # Whoever runs the tests in the background may have its children ignore the signal.
    program = """
import signal, time
from swiftnet.utils.data import DataLoader, Dataset

signal.signal(signal.SIGINT, signal.default_int_handler)

class Slow(Dataset):
    def __len__(self):
        return 100

    def __getitem__(self, index):
        if index > 1:
            time.sleep(60)
        return index

try:
    for batch in DataLoader(Slow(), num_workers=2):
        print("batch", flush=True)
except KeyboardInterrupt:
    print("stopped", flush=True)
"""
    child = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert child.stdout.readline() == "batch\n"
        assert child.stdout.readline() == "batch\n"
        os.killpg(child.pid, signal.SIGINT)
        start = time.monotonic()
        out, err = child.communicate(timeout=20)
        assert out == "stopped\n", err
        assert err == ""
        assert time.monotonic() - start < 10
        with pytest.raises(ProcessLookupError):
            os.killpg(child.pid, 0)
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)


def test_pin_memory_is_accepted():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(list(ours.DataLoader(range(3), pin_memory=True))) == 3
