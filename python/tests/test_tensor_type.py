"""The tensor as a Python object: what its base in C has to get right besides arithmetic."""

import copy
import gc
import inspect
import pickle
import threading
import weakref

import numpy as np
import pytest
import swiftnet as sn
from swiftnet import memory


def test_attributes_and_weak_references():
    x = sn.ones(3)
    x.note = "mine"
    assert x.__dict__ == {"note": "mine"} and x.note == "mine"
    reference = weakref.ref(x)
    assert reference() is x
    del x
    assert reference() is None


def test_a_cycle_is_collected():
    x = sn.ones(3)
    x.me = x
    reference = weakref.ref(x)
    del x
    gc.collect()
    assert reference() is None


def test_memory_comes_back():
    def work():
        x = sn.ones(1000, requires_grad=True)
        ones = sn.ones(2, 2)
        y = (x * 2 + 1).relu()[1:5].view(2, 2) @ ones
        y -= 1.0
        return y.sum().item(), y.shape, y.detach()

    work()
    gc.collect()
    before = memory.statistics()["live"]
    for _ in range(50):
        work()
    gc.collect()
    assert memory.statistics()["live"] == before


def test_subclasses():
    class Mine(sn.Tensor):
        pass

    class Adding(sn.Tensor):
        def __add__(self, other):
            return "mine"

        __radd__ = __add__

    x = Mine(2, 3)
    assert type(x) is Mine
    assert type(sn.nn.Parameter(sn.ones(2)) + 1) is sn.Tensor
    plain = sn.ones(2)
    y = sn._tensor.wrap(sn._core.lib.sn_clone(plain._h), Adding)
    assert y + 1 == "mine" and 1 + y == "mine" and plain + y == "mine"
    assert type(y * 2) is sn.Tensor
    with pytest.raises(TypeError):
        sn._tensor.wrap(sn._core.NULL, int)


def test_shape_is_a_size():
    x = sn.zeros(2, 3)
    assert type(x.shape) is sn.Size and x.shape == (2, 3)
    assert hash(x.shape) == hash((2, 3)) and {(2, 3): 1}[x.shape] == 1
    assert sn.zeros([1] * 12).shape == (1,) * 12 and sn.zeros([1] * 12).size(-1) == 1
    assert x.size() == (2, 3) and x.size(-1) == 3 and x.size(dim=0) == 2 and x.size(None) == (2, 3)
    assert x.size(np.int64(1)) == 3
    for wrong in (2, -3, 2**70):
        with pytest.raises(IndexError):
            x.size(wrong)
    with pytest.raises(TypeError):
        x.size(0, 1)
    with pytest.raises(TypeError):
        x.size(axis=0)


def test_what_is_not_plain():
    x = sn.arange(6).float()
    with pytest.raises(TypeError):
        x + "a"
    with pytest.raises(TypeError):
        pow(x, 2, 3)
    with pytest.raises(OverflowError):
        x + 2**70
    with pytest.raises(OverflowError):
        x[2**70]
    with pytest.raises(OverflowError):
        x.view(2**70)
    assert x != "a" and (x == "a") is False
    assert (np.float32(2) * x).tolist() == (x * np.float32(2)).tolist() == (x * 2).tolist()
    assert x[-(2**62) : 2**70 : 2**40].tolist() == [0]
    assert x.view([2, 3]).shape == x.view(sn.Size([2, 3])).shape == x.reshape((np.int64(2), -1)).shape == (2, 3)
    assert x[None, ..., 1:3].shape == (1, 2) and x[()].shape == (6,) and x[[1, 2]].tolist() == [1, 2]
    x += np.float32(1)
    assert x.tolist() == [1, 2, 3, 4, 5, 6]
    x **= 2
    x @= sn.ones(6, 6)
    assert x.shape == (6,)


def test_signatures_and_copies():
    assert str(inspect.signature(sn.Tensor.relu)) == "(self, /)"
    assert str(inspect.signature(sn.Tensor.size)) == "(self, /, dim=None)"
    assert "max(x, 0)" in sn.Tensor.relu.__doc__ and sn.Tensor.relu.__name__ == "relu"
    x = sn.ones(2, requires_grad=True)
    for twin in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert twin.tolist() == [1, 1] and twin.requires_grad


def test_threads():
    shared = sn.ones(10, requires_grad=True)
    failures = []

    def work():
        try:
            for _ in range(500):
                y = (shared * 2.0 + shared).relu()
                y.note = [y]
                z = y[2:5].view(3, 1)
                assert z.shape == (3, 1) and z.sum().item() == 9
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.collect()
    assert not failures


@pytest.mark.parametrize("operation", ["add", "mul", "sub", "truediv", "pow"])
def test_in_place_on_parts_of_the_same_memory(operation):
    """What is written must not be read afterwards as an operand."""
    values = np.arange(1, 9, dtype=np.float32)
    for left, right in ((slice(0, 6), slice(2, 8)), (slice(2, 8), slice(0, 6)), (slice(1, 7), slice(1, 7))):
        x = sn.tensor(values)
        getattr(x[left], f"__i{operation}__")(x[right])
        expected = values.copy()
        expected[left] = getattr(values[left], f"__{operation}__")(values[right])
        np.testing.assert_allclose(x.numpy(), expected, rtol=1e-6)
    assert sn.tensor(values)._version == 0
    x = sn.tensor(values)
    x += 1
    x.exp_()
    assert x._version == 2
