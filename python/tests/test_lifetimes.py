"""Memory shared across the border lives as long as anybody looks at it. Run under AddressSanitizer by `make sanitize`,
which sees every access to memory that is gone; so nothing here needs PyTorch."""

import copy
import gc
import pickle
import threading
import weakref

import numpy as np
import pytest
import swiftnet


def collect():
    gc.collect()
    swiftnet.memory.empty()


def test_an_array_outlives_its_tensor():
    array = swiftnet.arange(1000).view(10, 100)[2:4, ::3].numpy()
    collect()
    assert array[1, 2] == 306
    array[1, 2] = -1
    assert array.min() == -1


def test_a_tensor_outlives_its_array():
    source = np.arange(1000.0, dtype=np.float32).reshape(10, 100)
    tensor = swiftnet.from_numpy(source[::2, 5:])
    gone = weakref.ref(source)
    del source
    collect()
    assert tensor[1, 0].item() == 205
    tensor += 1
    assert tensor[1, 0].item() == 206
    del tensor
    collect()
    assert gone() is None


def test_there_and_back_and_there_again():
    tensor = swiftnet.ones(64, 64)
    for _ in range(10):
        tensor = swiftnet.from_numpy(tensor.numpy())[:, 1:]
    collect()
    assert tensor.sum().item() == 64 * 54


def test_views_of_views():
    view = swiftnet.arange(100_000).view(100, 1000)
    for _ in range(20):
        view = view[1:, 1:].transpose(0, 1)
        collect()
    assert view[0, 0].item() == 20_020


def test_dlpack_both_ways():
    tensor = swiftnet.arange(12).to(swiftnet.float32).view(3, 4)
    array = np.from_dlpack(tensor)
    del tensor
    collect()
    assert array.sum() == 66
    back = swiftnet.from_dlpack(array)
    del array
    collect()
    assert back.sum().item() == 66


def test_a_capsule_that_nobody_takes():
    for _ in range(100):
        swiftnet.ones(1000).__dlpack__()
    collect()


def test_gradients_and_graphs_that_outlive_their_tensors():
    x = swiftnet.ones(100, requires_grad=True)
    y = (x * 2).exp()
    node = y.grad_fn
    gradient = swiftnet.autograd.grad(y.sum(), x, create_graph=True)[0]
    del y
    collect()
    assert node.name()
    gradient.sum().backward()
    grad = x.grad
    del x, gradient, node
    collect()
    assert grad.numpy()[0] == pytest.approx(4 * np.exp(2), rel=1e-5)


def test_hooks_that_keep_and_drop_tensors():
    seen = []
    x = swiftnet.ones(50, requires_grad=True)
    y = x * 3
    handle = y.register_hook(lambda grad: seen.append(grad) or grad * 2)
    x.register_hook(seen.append)
    y.sum().backward()
    handle.remove()
    del x, y
    collect()
    assert [t.sum().item() for t in seen] == [50, 300]


def test_a_custom_function_in_a_graph_that_is_dropped():
    class Double(swiftnet.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return grad * 2 + 0 * x

    for _ in range(20):
        x = swiftnet.ones(1000, requires_grad=True)
        y = Double.apply(Double.apply(x))
        if _ % 2:
            y.sum().backward()
            assert x.grad[0].item() == 4
        del x, y
    collect()


def test_errors_in_callbacks_leave_nothing_behind():
    x = swiftnet.ones(10, requires_grad=True)

    def fail(grad):
        raise LookupError("in a hook")

    y = x * 1
    y.register_hook(fail)
    for _ in range(5):
        with pytest.raises(LookupError, match="in a hook"):
            y.sum().backward(retain_graph=True)
    collect()
    assert x.grad is None


def test_a_long_chain_is_freed_without_recursion():
    x = swiftnet.ones(2, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y + 1
    del y
    collect()
    y = x
    for _ in range(100_000):
        y = y * 1.0
    y.sum().backward()
    assert x.grad.tolist() == [1, 1]


def test_in_place_changes_through_shared_memory():
    array = np.zeros(10, np.float32)
    tensor = swiftnet.from_numpy(array)
    (tensor + 1).numpy()[:] = 5
    assert array.sum() == 0
    tensor.add_(2).mul_(3)
    assert array.sum() == 60
    array[:] = 1
    assert tensor.sum().item() == 10


def test_deferred_work_reads_its_operands_as_they_were():
    a = swiftnet.ones(300_000)
    b = a * 2 + 1
    a.zero_()
    del a
    collect()
    assert b.sum().item() == 900_000
    array = np.ones(300_000, np.float32)
    shared = swiftnet.from_numpy(array)
    c = shared * 2
    array[:] = 7
    assert c[0].item() in (2, 14)
    del shared, array
    collect()
    assert c.sum().item() in (600_000, 4_200_000)


def test_copies_and_pickles():
    tensor = swiftnet.arange(1000).to(swiftnet.float32).requires_grad_()
    other, third = copy.deepcopy(tensor), pickle.loads(pickle.dumps(tensor))
    del tensor
    collect()
    assert other.sum().item() == third.sum().item() == 499_500
    assert other.requires_grad and third.requires_grad


def test_many_threads_make_and_drop_tensors():
    def work():
        kept = []
        for i in range(300):
            kept.append(swiftnet.ones(i + 1).numpy())
            if len(kept) > 20:
                kept.pop(0)
            assert kept[-1].sum() == i + 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    collect()


def test_models_and_optimizers_are_freed():
    nn = swiftnet.nn
    before = None
    for i in range(6):
        model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 10))
        optimizer = swiftnet.optim.Adam(model.parameters())
        model(swiftnet.ones(4, 1, 8, 8)).sum().backward()
        optimizer.step()
        del model, optimizer
        gc.collect()
        live = swiftnet.memory.statistics()["live"]
        if i == 2:
            before = live
    assert live <= before
