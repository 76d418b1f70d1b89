"""Memory shared with NumPy and, by DLPack, with PyTorch: both ways, and for as long as anybody uses it."""

import gc

import numpy as np
import pytest
import swiftnet
import torch
from parity import to_swiftnet, values

NUMPY_DTYPES = ["float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "bool"]


@pytest.mark.parametrize("dtype", NUMPY_DTYPES)
def test_numpy_both_ways(dtype):
    array = np.arange(12).reshape(3, 4).astype(dtype)
    t = swiftnet.from_numpy(array)
    array[1, 2] = 1
    assert t[1, 2].item() == 1 and t.dtype.name == dtype
    t[0, 0] = 1
    assert array[0, 0] == 1
    back = np.asarray(t)
    assert back.dtype == array.dtype and np.shares_memory(back, array)


def test_strided_views_share():
    array = np.arange(24.0).reshape(4, 6)
    view = swiftnet.from_numpy(array[::2, 1::2])
    assert view.tolist() == array[::2, 1::2].tolist()
    view *= 2
    assert array[0, 1] == 2
    t = swiftnet.from_numpy(array)
    back = np.asarray(t.t()[2])
    back[0] = -1
    assert array[0, 2] == -1


def test_arrays_outlive_tensors():
    t = swiftnet.arange(1000.0)
    array = np.asarray(t[10:])
    del t
    gc.collect()
    filler = [swiftnet.zeros(1000) for _ in range(20)]
    assert array[0] == 10 and array[-1] == 999
    del filler


def test_tensors_outlive_arrays():
    array = np.arange(1000.0)
    t = swiftnet.from_numpy(array[5:])
    del array
    gc.collect()
    filler = [np.zeros(1000) for _ in range(20)]
    assert t[0].item() == 5 and t[-1].item() == 999
    del filler


def test_arrays_are_released():
    class Array(np.ndarray):
        pass

    import weakref

    array = np.zeros(10).view(Array)
    reference = weakref.ref(array)
    t = swiftnet.from_numpy(array)
    view = t[2:]
    del array, t
    gc.collect()
    assert reference() is not None
    del view
    gc.collect()
    assert reference() is None


def test_from_numpy_mistakes():
    with pytest.raises(TypeError):
        swiftnet.from_numpy([1.0])
    with pytest.raises(TypeError):
        swiftnet.from_numpy(np.array(["a"]))
    with pytest.raises(ValueError, match="negative"):
        swiftnet.from_numpy(np.arange(3.0)[::-1])
    with pytest.raises(RuntimeError):
        np.asarray(swiftnet.ones(2, requires_grad=True))


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "bool"]
)
def test_dlpack_to_and_from_pytorch(dtype):
    theirs = values((3, 4), dtype)
    mine = swiftnet.from_dlpack(theirs)
    assert mine.dtype.name == dtype and mine.tolist() == theirs.tolist()
    theirs[0, 0] = 1
    assert mine[0, 0].item() == 1
    back = torch.from_dlpack(mine)
    assert back.dtype == theirs.dtype and back.data_ptr() == theirs.data_ptr()
    own = to_swiftnet(theirs)
    seen = torch.from_dlpack(own)
    own[1, 1] = 1
    assert seen[1, 1].item() == 1


@pytest.mark.parametrize(
    "view",
    [
        lambda t: t.t(),
        lambda t: t[::2, 1:],
        lambda t: t[1],
        lambda t: t[0, 0],
        lambda t: t[:0],
        lambda t: t[:1].expand(3, 6),
    ],
)
def test_dlpack_of_views(view):
    theirs = torch.arange(24.0).reshape(4, 6)
    mine = to_swiftnet(theirs)
    assert torch.from_dlpack(view(mine)).tolist() == view(theirs).tolist()
    assert swiftnet.from_dlpack(view(theirs)).tolist() == view(theirs).tolist()


def test_dlpack_with_numpy():
    array = np.arange(6.0).reshape(2, 3)
    mine = swiftnet.from_dlpack(array)
    array[0, 0] = 9
    assert mine[0, 0].item() == 9
    back = np.from_dlpack(mine)
    assert np.shares_memory(back, array)
    assert mine.__dlpack_device__() == (1, 0)


def test_dlpack_lifetimes():
    theirs = torch.from_dlpack(swiftnet.arange(1000.0))
    gc.collect()
    filler = [swiftnet.zeros(1000) for _ in range(20)]
    assert theirs[-1].item() == 999
    mine = swiftnet.from_dlpack(torch.arange(1000.0))
    gc.collect()
    filler += [torch.zeros(1000) for _ in range(20)]
    assert mine[-1].item() == 999
    # Capsules that nobody takes are given back.
    before = swiftnet.memory.stats()["live"] if hasattr(swiftnet.memory, "stats") else None
    for _ in range(10):
        swiftnet.zeros(100_000).__dlpack__()
        swiftnet.zeros(100_000).__dlpack__(max_version=(1, 0))
    gc.collect()
    if before is not None:
        assert swiftnet.memory.stats()["live"] <= before


def test_dlpack_mistakes():
    with pytest.raises(BufferError):
        swiftnet.ones(2, requires_grad=True).__dlpack__()
    capsule = swiftnet.ones(2).__dlpack__()
    swiftnet.from_dlpack(capsule)
    with pytest.raises(RuntimeError, match="only once"):
        swiftnet.from_dlpack(capsule)
    with pytest.raises(RuntimeError):
        swiftnet.from_dlpack(5)
    with pytest.raises((BufferError, TypeError, RuntimeError)):
        swiftnet.from_dlpack(np.array(["a"]))


def test_copies():
    t = swiftnet.ones(2)
    c = swiftnet.from_dlpack(t, copy=True)
    c[0] = 5
    assert t[0].item() == 1
