"""Mixed precision against torch.amp on the CPU: dtypes of every operation in its lists, gradients, contexts, scaling."""

import copy
import pickle
import threading
import warnings

import numpy as np
import pytest
import swiftnet
import torch

LIBRARIES = [swiftnet, torch]
GENERATOR = np.random.default_rng(0)


def data(*shape):
    return GENERATOR.standard_normal(shape).astype(np.float32)


MATRIX, OTHER, STACK, VECTOR = data(3, 4), data(4, 5), data(2, 3, 4), data(4)
SIGNS = np.sign(data(3, 4))
SHARES = 1 / (1 + np.exp(-data(3, 4)))
CLASSES = np.array([0, 3, 1])

# A name, arrays, and the call. Integers stay integers; floating-point arrays come in each dtype of the test.
OPERATIONS = [
    # In half precision.
    ("mm", [MATRIX, OTHER], lambda t, a, b: t.mm(a, b)),
    ("matmul", [MATRIX, OTHER], lambda t, a, b: t.matmul(a, b)),
    ("matmul of vectors", [VECTOR, VECTOR], lambda t, a, b: t.matmul(a, b)),
    ("matmul of stacks", [STACK, OTHER], lambda t, a, b: a @ b),
    ("bmm", [STACK, data(2, 4, 2)], lambda t, a, b: t.bmm(a, b)),
    ("addmm", [data(3, 5), MATRIX, OTHER], lambda t, c, a, b: t.addmm(c, a, b)),
    ("addbmm", [data(3, 2), STACK, data(2, 4, 2)], lambda t, c, a, b: t.addbmm(c, a, b)),
    ("baddbmm", [data(2, 3, 2), STACK, data(2, 4, 2)], lambda t, c, a, b: t.baddbmm(c, a, b)),
    ("linear", [MATRIX, data(2, 4), data(2)], lambda t, x, w, b: t.nn.functional.linear(x, w, b)),
    ("linear without bias", [STACK, data(2, 4)], lambda t, x, w: t.nn.functional.linear(x, w)),
    ("einsum", [MATRIX, OTHER], lambda t, a, b: t.einsum("ij,jk->ik", a, b)),
    ("tensordot", [MATRIX, OTHER], lambda t, a, b: t.tensordot(a, b, dims=1)),
    ("vecdot", [MATRIX, SHARES], lambda t, a, b: t.linalg.vecdot(a, b)),
    ("inner of vectors", [VECTOR, VECTOR], lambda t, a, b: t.inner(a, b)),
    ("tensordot to one number", [MATRIX, SHARES], lambda t, a, b: t.tensordot(a, b, dims=2)),
    ("inner", [MATRIX, data(2, 4)], lambda t, a, b: t.inner(a, b)),
    ("conv1d", [data(2, 3, 8), data(4, 3, 3), data(4)], lambda t, x, w, b: t.nn.functional.conv1d(x, w, b)),
    ("conv2d", [data(2, 3, 8, 8), data(4, 3, 3, 3), data(4)], lambda t, x, w, b: t.nn.functional.conv2d(x, w, b)),
    ("conv2d same", [data(2, 3, 8, 8), data(4, 3, 3, 3)],
     lambda t, x, w: t.nn.functional.conv2d(x, w, padding="same")),
    ("conv3d", [data(1, 2, 5, 5, 5), data(3, 2, 3, 3, 3)], lambda t, x, w: t.nn.functional.conv3d(x, w)),
    ("conv_transpose1d", [data(2, 3, 8), data(3, 2, 3)], lambda t, x, w: t.nn.functional.conv_transpose1d(x, w)),
    ("conv_transpose2d", [data(2, 3, 4, 4), data(3, 2, 3, 3)],
     lambda t, x, w: t.nn.functional.conv_transpose2d(x, w)),
    ("conv_transpose3d", [data(1, 2, 3, 3, 3), data(2, 2, 2, 2, 2)],
     lambda t, x, w: t.nn.functional.conv_transpose3d(x, w)),
    ("prelu", [MATRIX, data(1)], lambda t, x, w: t.nn.functional.prelu(x, w)),
    ("attention", [data(1, 2, 3, 4), data(1, 2, 3, 4), data(1, 2, 3, 4)],
     lambda t, q, k, v: t.nn.functional.scaled_dot_product_attention(q, k, v)),
    # In float32.
    ("mse_loss", [MATRIX, SIGNS], lambda t, x, y: t.nn.functional.mse_loss(x, y)),
    ("l1_loss", [MATRIX, SIGNS], lambda t, x, y: t.nn.functional.l1_loss(x, y)),
    ("smooth_l1_loss", [MATRIX, SIGNS], lambda t, x, y: t.nn.functional.smooth_l1_loss(x, y)),
    ("huber_loss", [MATRIX, SIGNS], lambda t, x, y: t.nn.functional.huber_loss(x, y)),
    ("kl_div", [MATRIX, SHARES], lambda t, x, y: t.nn.functional.kl_div(x, y, reduction="sum")),
    ("poisson_nll_loss", [MATRIX, SHARES], lambda t, x, y: t.nn.functional.poisson_nll_loss(x, y)),
    ("binary_cross_entropy", [SHARES, SHARES], lambda t, x, y: t.nn.functional.binary_cross_entropy(x, y)),
    ("binary_cross_entropy_with_logits", [MATRIX, SHARES],
     lambda t, x, y: t.nn.functional.binary_cross_entropy_with_logits(x, y)),
    ("cross_entropy", [MATRIX, CLASSES], lambda t, x, y: t.nn.functional.cross_entropy(x, y)),
    ("cross_entropy of probabilities", [MATRIX, SHARES], lambda t, x, y: t.nn.functional.cross_entropy(x, y)),
    ("nll_loss", [MATRIX, CLASSES], lambda t, x, y: t.nn.functional.nll_loss(x, y)),
    ("hinge_embedding_loss", [MATRIX, SIGNS], lambda t, x, y: t.nn.functional.hinge_embedding_loss(x, y)),
    ("margin_ranking_loss", [MATRIX, SHARES, SIGNS],
     lambda t, x, z, y: t.nn.functional.margin_ranking_loss(x, z, y)),
    ("soft_margin_loss", [MATRIX, SIGNS], lambda t, x, y: t.nn.functional.soft_margin_loss(x, y)),
    ("multi_margin_loss", [MATRIX, CLASSES], lambda t, x, y: t.nn.functional.multi_margin_loss(x, y)),
    ("multilabel_margin_loss", [MATRIX, np.array([[0, 2, -1, 1]] * 3)],
     lambda t, x, y: t.nn.functional.multilabel_margin_loss(x, y)),
    ("cosine_embedding_loss", [MATRIX, SHARES, np.array([1.0, -1.0, 1.0], np.float32)],
     lambda t, x, z, y: t.nn.functional.cosine_embedding_loss(x, z, y)),
    ("triplet_margin_loss", [MATRIX, SHARES, SIGNS],
     lambda t, x, y, z: t.nn.functional.triplet_margin_loss(x, y, z)),
    ("avg_pool3d", [data(1, 2, 4, 4, 4)], lambda t, x: t.nn.functional.avg_pool3d(x, 2)),
    ("max_pool3d", [data(1, 2, 4, 4, 4)], lambda t, x: t.nn.functional.max_pool3d(x, 2)),
    ("adaptive_avg_pool3d", [data(1, 2, 4, 4, 4)], lambda t, x: t.nn.functional.adaptive_avg_pool3d(x, 2)),
    ("adaptive_max_pool3d", [data(1, 2, 4, 4, 4)], lambda t, x: t.nn.functional.adaptive_max_pool3d(x, 2)),
    ("max_unpool2d", [data(1, 1, 2, 2), np.array([[[[0, 3], [8, 11]]]])],
     lambda t, x, i: t.nn.functional.max_unpool2d(x, i, 2)),
    ("max_unpool1d", [data(1, 1, 2), np.array([[[0, 3]]])], lambda t, x, i: t.nn.functional.max_unpool1d(x, i, 2)),
    ("fractional_max_pool2d", [data(2, 3, 6, 6), SHARES[:2, :3, None].repeat(2, 2)],
     lambda t, x, s: t.nn.functional.fractional_max_pool2d(x, 2, (3, 3), _random_samples=s.detach())),
    ("fractional_max_pool3d", [data(1, 2, 5, 5, 5), SHARES[:1, :2, None].repeat(3, 2)],
     lambda t, x, s: t.nn.functional.fractional_max_pool3d(x, 2, (2, 2, 2), _random_samples=s.detach())),
    ("grid_sample", [data(2, 3, 4, 5), data(2, 3, 3, 2)],
     lambda t, x, g: t.nn.functional.grid_sample(x, g, align_corners=False)),
    ("grid_sample of volumes", [data(1, 2, 3, 4, 5), data(1, 2, 3, 3, 3)],
     lambda t, x, g: t.nn.functional.grid_sample(x, g, align_corners=False)),
    ("householder_product", [data(4, 3), data(3)], lambda t, x, s: t.linalg.householder_product(x, s)),
    ("reflect 1d", [STACK], lambda t, x: t.nn.functional.pad(x, (1, 1), mode="reflect")),
    ("reflect 2d", [data(1, 1, 4, 4)], lambda t, x: t.nn.functional.pad(x, (1, 1, 1, 1), mode="reflect")),
    ("reflect 3d", [data(1, 1, 4, 4, 4)], lambda t, x: t.nn.functional.pad(x, (1,) * 6, mode="reflect")),
    ("replicate 1d", [STACK], lambda t, x: t.nn.functional.pad(x, (1, 1), mode="replicate")),
    ("replicate 3d", [data(1, 1, 4, 4, 4)], lambda t, x: t.nn.functional.pad(x, (1,) * 6, mode="replicate")),
    ("prod", [MATRIX], lambda t, x: t.prod(x)),
    ("prod along", [MATRIX], lambda t, x: t.prod(x, 1)),
    ("trace", [MATRIX], lambda t, x: t.trace(x)),
    ("cdist", [MATRIX, data(2, 4)], lambda t, x, y: t.cdist(x, y)),
    ("inverse", [data(3, 3)], lambda t, x: t.linalg.inv(x)),
    # In what is there.
    ("avg_pool2d", [data(1, 2, 4, 4)], lambda t, x: t.nn.functional.avg_pool2d(x, 2)),
    ("max_pool2d", [data(1, 2, 4, 4)], lambda t, x: t.nn.functional.max_pool2d(x, 2)),
    ("max_pool3d with indices", [data(1, 2, 4, 4, 4)],
     lambda t, x: t.nn.functional.max_pool3d(x, 2, return_indices=True)[0]),
    ("adaptive_avg_pool2d", [data(1, 2, 4, 4)], lambda t, x: t.nn.functional.adaptive_avg_pool2d(x, 2)),
    ("constant pad", [STACK], lambda t, x: t.nn.functional.pad(x, (1, 1))),
    ("circular pad", [STACK], lambda t, x: t.nn.functional.pad(x, (1, 1), mode="circular")),
    ("softmax", [MATRIX], lambda t, x: t.nn.functional.softmax(x, dim=1)),
    ("log_softmax", [MATRIX], lambda t, x: t.nn.functional.log_softmax(x, dim=1)),
    ("layer_norm", [MATRIX], lambda t, x: t.nn.functional.layer_norm(x, (4,))),
    ("sum", [MATRIX], lambda t, x: x.sum()),
    ("mean", [MATRIX], lambda t, x: x.mean(1)),
    ("exp", [MATRIX], lambda t, x: x.exp()),
    ("pow", [MATRIX], lambda t, x: x**2),
    ("norm", [MATRIX], lambda t, x: x.norm()),
    ("cumsum", [MATRIX], lambda t, x: x.cumsum(0)),
    ("gelu", [MATRIX], lambda t, x: t.nn.functional.gelu(x)),
    ("relu", [MATRIX], lambda t, x: t.relu(x)),
    ("add", [MATRIX, SHARES], lambda t, x, y: x + y),
    ("multiply", [MATRIX, SHARES], lambda t, x, y: x * y),
    ("mv", [MATRIX, VECTOR], lambda t, a, b: t.mv(a, b)),
    ("dot", [VECTOR, VECTOR], lambda t, a, b: t.dot(a, b)),
    ("outer", [VECTOR, VECTOR], lambda t, a, b: t.outer(a, b)),
    ("addmv", [data(3), MATRIX, VECTOR], lambda t, c, a, b: t.addmv(c, a, b)),
    ("bilinear", [MATRIX, SHARES, data(2, 4, 4)], lambda t, a, b, w: t.nn.functional.bilinear(a, b, w)),
    ("normalize", [MATRIX], lambda t, x: t.nn.functional.normalize(x)),
    ("multilabel_soft_margin_loss", [MATRIX, SHARES],
     lambda t, x, y: t.nn.functional.multilabel_soft_margin_loss(x, y)),
    ("embedding", [CLASSES, MATRIX], lambda t, i, w: t.nn.functional.embedding(i % 3, w)),
    # Joining.
    ("cat", [MATRIX, SHARES], lambda t, x, y: t.cat([x, y])),
    ("stack", [MATRIX, SHARES], lambda t, x, y: t.stack([x, y])),
]  # fmt: skip


def tensors(library, arrays, dtypes, requires_grad=True):
    made = []
    for position, array in enumerate(arrays):
        t = library.tensor(array)
        if array.dtype.kind == "f":
            t = t.to(getattr(library, dtypes[position % len(dtypes)]))
            if requires_grad:
                t.requires_grad_()
        made.append(t)
    return made


def name_of(dtype):
    return str(dtype).rpartition(".")[2]


@pytest.mark.parametrize("name, arrays, call", OPERATIONS, ids=[row[0] for row in OPERATIONS])
@pytest.mark.parametrize(
    ("lower", "dtypes"),
    [
        (lower, dtypes)
        for lower in ["bfloat16", "float16"]
        for dtypes in [("float32",), ("bfloat16",), ("float32", "bfloat16"), ("float64",)]
        # PyTorch does not promote the two half precisions alike.
        if lower == "bfloat16" or "bfloat16" not in dtypes
    ],
)
def test_dtypes_of_results_and_gradients(name, arrays, call, lower, dtypes):
    """Whatever torch makes of it; where torch refuses, there is nothing to compare."""
    results = []
    for library in (torch, swiftnet):
        inputs = tensors(library, arrays, dtypes)
        try:
            with library.autocast("cpu", dtype=getattr(library, lower)):
                out = call(library, *inputs)
            gradients = []
            if out.requires_grad:
                out.float().sum().backward()
                gradients = [None if t.grad is None else (name_of(t.grad.dtype), t.grad) for t in inputs]
        except (RuntimeError, NotImplementedError, TypeError):
            if library is torch:
                return
            raise
        results.append((out, gradients))
    (other, others), (own, owns) = results
    assert name_of(own.dtype) == name_of(other.dtype)
    tolerance = {"float64": 1e-6, "float32": 2e-2}.get(name_of(own.dtype), 4e-2)
    np.testing.assert_allclose(
        own.detach().to(swiftnet.float64).numpy(), other.detach().double().numpy(), rtol=tolerance, atol=tolerance
    )
    for a, b in zip(owns, others, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert a[0] == b[0]
            np.testing.assert_allclose(a[1].to(swiftnet.float64).numpy(), b[1].double().numpy(), rtol=0.05, atol=0.1)


def test_index_copy_takes_the_widest():
    with swiftnet.autocast("cpu"):
        out = swiftnet.ones(3, 2).index_copy(0, swiftnet.tensor([1]), swiftnet.zeros(1, 2, dtype=swiftnet.bfloat16))
    assert out.dtype is swiftnet.float32


def test_matrix_exp_stays_as_it_is():
    # PyTorch's own result is not a number in half precision.
    x = data(3, 3)
    found = []
    for library in LIBRARIES:
        with library.autocast("cpu"):
            found.append(library.linalg.matrix_exp(library.tensor(x)))
    assert [name_of(f.dtype) for f in found] == ["float32", "float32"]
    np.testing.assert_allclose(found[0].numpy(), found[1].numpy(), rtol=1e-5, atol=1e-6)


def net(library):
    layers = library.nn
    model = layers.Sequential(
        layers.Conv2d(1, 4, 3, padding=1), layers.BatchNorm2d(4), layers.ReLU(), layers.MaxPool2d(2), layers.Flatten(),
        layers.Linear(64, 16), layers.LayerNorm(16), layers.GELU(), layers.Linear(16, 3),
    )  # fmt: skip
    generator = np.random.default_rng(1)
    with library.no_grad():
        for parameter in model.parameters():
            parameter.copy_(library.tensor(0.3 * generator.standard_normal(tuple(parameter.shape)).astype(np.float32)))
    return model


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_net_trains_as_torchs(dtype):
    found = []
    x, y = data(8, 1, 8, 8), np.array([0, 1, 2, 0, 1, 2, 0, 1])
    for library in LIBRARIES:
        model = net(library)
        optimizer = library.optim.SGD(model.parameters(), lr=0.1)
        losses = []
        for _ in range(15):
            with library.autocast("cpu", dtype=getattr(library, dtype)):
                out = model(library.tensor(x))
                loss = library.nn.functional.cross_entropy(out, library.tensor(y))
            assert name_of(out.dtype) == dtype and name_of(loss.dtype) == "float32"
            optimizer.zero_grad()
            loss.backward()
            assert all(name_of(p.grad.dtype) == "float32" for p in model.parameters())
            optimizer.step()
            losses.append(loss.item())
        found.append(losses)
    np.testing.assert_allclose(*found, rtol=0.1, atol=0.02)
    assert found[0][-1] < found[0][0]


def test_contexts():
    def state():
        return (
            swiftnet.is_autocast_enabled("cpu"), swiftnet.get_autocast_dtype("cpu"), swiftnet.is_autocast_cache_enabled()
        )  # fmt: skip

    outside = (False, swiftnet.bfloat16, True)
    assert state() == outside
    with swiftnet.autocast("cpu", dtype=swiftnet.float16, cache_enabled=False):
        assert state() == (True, swiftnet.float16, False)
        with swiftnet.autocast("cpu", enabled=False):
            assert not swiftnet.is_autocast_enabled("cpu")
            assert (swiftnet.ones(2, 2) @ swiftnet.ones(2, 2)).dtype is swiftnet.float32
            with swiftnet.amp.autocast():
                assert swiftnet.is_autocast_enabled()
        assert state() == (True, swiftnet.float16, False)
    assert state() == outside
    with pytest.raises(ZeroDivisionError), swiftnet.autocast("cpu"):
        1 / 0  # noqa: B018
    assert state() == outside
    context = swiftnet.autocast("cpu")
    with context, context:
        assert swiftnet.is_autocast_enabled()
    assert state() == outside


def test_the_dtype_can_be_set():
    swiftnet.set_autocast_dtype("cpu", swiftnet.float16)
    try:
        assert swiftnet.get_autocast_cpu_dtype() is swiftnet.float16
        with swiftnet.autocast("cpu"):
            assert (swiftnet.ones(2, 2) @ swiftnet.ones(2, 2)).dtype is swiftnet.float16
    finally:
        swiftnet.set_autocast_cpu_dtype(swiftnet.bfloat16)
    swiftnet.set_autocast_enabled("cpu", True)
    try:
        assert (swiftnet.ones(2, 2) @ swiftnet.ones(2, 2)).dtype is swiftnet.bfloat16
    finally:
        swiftnet.set_autocast_enabled("cpu", False)


def test_threads_have_contexts_of_their_own():
    found = []
    with swiftnet.autocast("cpu"):
        thread = threading.Thread(target=lambda: found.append((swiftnet.ones(2, 2) @ swiftnet.ones(2, 2)).dtype))
        thread.start()
        thread.join()
    assert found == [swiftnet.float32]


def test_decorator_on_forward():
    from swiftnet.cuda.amp import autocast

    class Net(swiftnet.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = swiftnet.nn.Linear(4, 2)

        @autocast()
        def forward(self, x):
            assert swiftnet.is_autocast_enabled()
            return self.fc(x) if x.shape[0] == 1 else self.forward(x[:1])

    out = Net()(swiftnet.ones(2, 4))
    assert out.dtype is swiftnet.float16
    assert not swiftnet.is_autocast_enabled()
    with autocast(enabled=False):
        assert not swiftnet.is_autocast_enabled()
    with pytest.raises(TypeError, match="callable"):
        swiftnet.autocast("cpu")(3)


@pytest.mark.parametrize("device, error", [(3, ValueError), ("tpu", RuntimeError)])
def test_wrong_devices(device, error):
    with pytest.raises(error):
        swiftnet.autocast(device)


def test_what_is_not_there_is_disabled_with_a_warning():
    with pytest.warns(UserWarning, match="not supported"):
        context = swiftnet.autocast("cpu", dtype=swiftnet.float64)
    with context:
        assert not swiftnet.is_autocast_enabled()
    with pytest.warns(UserWarning, match="CUDA"):
        context = swiftnet.autocast("cuda")
    with context:
        assert not swiftnet.is_autocast_enabled()


def test_weights_are_converted_once():
    layer = swiftnet.nn.Linear(3, 3, bias=False)
    x = swiftnet.ones(2, 3)

    def memory(count):
        """Bytes that `count` products keep alive, besides the first one's."""
        before = swiftnet.memory.statistics()["live"]
        kept = [swiftnet.mm(small, big) for _ in range(count)]
        for out in kept:
            out.data_ptr()
        return swiftnet.memory.statistics()["live"] - before

    big, small = swiftnet.ones(1000, 1000, requires_grad=True), swiftnet.ones(1, 1000)
    with swiftnet.autocast("cpu"):
        swiftnet.mm(small, big)
        assert memory(8) < 1_000_000
    with swiftnet.autocast("cpu", cache_enabled=False):
        assert memory(8) > 8_000_000
    with swiftnet.autocast("cpu"):
        first, second = swiftnet.mm(x, layer.weight), swiftnet.mm(x, layer.weight)
        with swiftnet.no_grad():
            layer(x)
        first.float().sum().backward()
        second.float().sum().backward()
        assert layer.weight.grad.tolist() == [[4.0] * 3] * 3
        with swiftnet.no_grad():
            layer.weight.mul_(2)
        changed = swiftnet.mm(x, layer.weight)
        np.testing.assert_allclose(
            changed.detach().float().numpy(), 2 * first.detach().float().numpy(), rtol=0.02, atol=1e-3
        )


def test_backward_inside_of_the_context():
    p = swiftnet.ones(3, 3, requires_grad=True)
    with swiftnet.autocast("cpu"):
        (p @ p).float().sum().backward()
    assert p.grad.dtype is swiftnet.float32
    assert p.grad.tolist() == [[6.0] * 3] * 3


def test_custom_functions():
    seen = []

    class Cast(swiftnet.autograd.Function):
        @staticmethod
        @swiftnet.amp.custom_fwd(device_type="cpu", cast_inputs=swiftnet.float32)
        def forward(ctx, x, options):
            seen.append((x.dtype, options["y"].dtype, swiftnet.is_autocast_enabled()))
            return x * 2

        @staticmethod
        @swiftnet.amp.custom_bwd(device_type="cpu")
        def backward(ctx, grad):
            seen.append(swiftnet.is_autocast_enabled())
            return grad * 2, None

    class Plain(swiftnet.autograd.Function):
        @staticmethod
        @swiftnet.cuda.amp.custom_fwd
        def forward(ctx, x):
            seen.append((x.dtype, swiftnet.is_autocast_enabled()))
            return x @ x

        @staticmethod
        @swiftnet.cuda.amp.custom_bwd
        def backward(ctx, grad):
            seen.append(swiftnet.is_autocast_enabled())
            return grad.float()

    x = swiftnet.ones(2, 2, dtype=swiftnet.bfloat16, requires_grad=True)
    with swiftnet.autocast("cpu"):
        out = Cast.apply(x, {"y": x})
        other = Plain.apply(out)
    assert out.dtype is swiftnet.float32 and other.dtype is swiftnet.bfloat16
    other.float().sum().backward()
    assert seen == [
        (swiftnet.float32, swiftnet.float32, False), (swiftnet.float32, True), True, False,
    ]  # fmt: skip
    assert not swiftnet.is_autocast_enabled()


# ---- GradScaler ----


def scaled_training(library, steps, options, overflow=()):
    """Scale, growth tracker and parameter after every step; some gradients overflow."""
    p = library.nn.Parameter(library.tensor(data_of_scaling.copy()))
    optimizer = library.optim.SGD([p], lr=0.1)
    scaler = library.amp.GradScaler("cpu", **options)
    history = []
    for step in range(steps):
        optimizer.zero_grad()
        loss = (p * p).sum()
        scaler.scale(loss).backward()
        if step in overflow:
            p.grad[0] = float("inf") if step % 2 else float("nan")
        if step % 3 == 0:
            scaler.unscale_(optimizer)
        result = scaler.step(optimizer)
        assert result is None
        scaler.update()
        history.append((scaler.get_scale(), scaler._get_growth_tracker(), *p.detach().tolist()))
    return np.array(history), scaler


data_of_scaling = data(4)


@pytest.mark.parametrize(
    "options, overflow",
    [
        ({}, ()), ({"growth_interval": 3}, (2, 7, 8)), ({"init_scale": 1024.0, "growth_interval": 2}, (5,)),
        ({"growth_factor": 3.0, "backoff_factor": 0.1, "growth_interval": 4}, (0, 1, 9)),
        ({"init_scale": 2.0**126, "growth_interval": 1}, ()),
    ],
)  # fmt: skip
def test_scaling_as_torchs(options, overflow):
    (own, mine), (other, theirs) = (scaled_training(library, 14, options, overflow) for library in LIBRARIES)
    np.testing.assert_allclose(own, other, rtol=1e-6, equal_nan=True)
    assert mine.state_dict() == theirs.state_dict()
    again = swiftnet.amp.GradScaler()
    again.load_state_dict(theirs.state_dict())
    assert again.state_dict() == theirs.state_dict()
    assert pickle.loads(pickle.dumps(mine)).state_dict() == mine.state_dict()


SCALER_MISTAKES = [
    lambda library, scaler, o, loss: scaler.step(o),
    lambda library, scaler, o, loss: scaler.update(),
    lambda library, scaler, o, loss: scaler.unscale_(o),
    lambda library, scaler, o, loss: (scaler.scale(loss).backward(), scaler.unscale_(o), scaler.unscale_(o)),
    lambda library, scaler, o, loss: (scaler.scale(loss).backward(), scaler.step(o), scaler.step(o)),
    lambda library, scaler, o, loss: (scaler.scale(loss).backward(), scaler.step(o), scaler.unscale_(o)),
    lambda library, scaler, o, loss: (scaler.scale(loss), scaler.step(o)),
    lambda library, scaler, o, loss: (scaler.scale(loss), scaler.update()),
    lambda library, scaler, o, loss: (scaler.scale(loss), scaler.step(o, closure=lambda: 0)),
    lambda library, scaler, o, loss: scaler.scale(3),
    lambda library, scaler, o, loss: scaler.load_state_dict({}),
    lambda library, scaler, o, loss: library.amp.GradScaler("cpu", growth_factor=1.0),
    lambda library, scaler, o, loss: library.amp.GradScaler("cpu", backoff_factor=1.0),
]


@pytest.mark.parametrize("mistake", SCALER_MISTAKES)
def test_mistakes_with_the_scaler(mistake):
    errors = []
    for library in LIBRARIES:
        p = library.nn.Parameter(library.ones(2))
        optimizer = library.optim.SGD([p], lr=0.1)
        with pytest.raises(Exception) as error:  # noqa: B017, PT011 - whatever torch raises
            mistake(library, library.amp.GradScaler("cpu"), optimizer, (p * p).sum())
        errors.append(error.type)
    assert errors[0] is errors[1]


def test_scaler_of_several_losses_and_optimizers():
    a, b = swiftnet.nn.Parameter(swiftnet.ones(2)), swiftnet.nn.Parameter(swiftnet.ones(2))
    first, second = swiftnet.optim.SGD([a], lr=0.1), swiftnet.optim.SGD([b], lr=0.1)
    scaler = swiftnet.cuda.amp.GradScaler(init_scale=8.0)
    x, (y,) = scaler.scale([a.sum(), (b.sum() * float("inf"),)])
    assert x.item() == 16
    (x + 0 * a.sum()).backward()
    y.backward()
    scaler.step(first)
    scaler.step(second)
    assert a.tolist() == pytest.approx([0.9, 0.9])
    assert b.tolist() == [1, 1]
    scaler.update()
    assert scaler.get_scale() == 4
    scaler.update(32.0)
    assert scaler.get_scale() == 32


def test_disabled_scaler():
    p = swiftnet.nn.Parameter(swiftnet.ones(2))
    optimizer = swiftnet.optim.SGD([p], lr=0.1)
    scaler = swiftnet.amp.GradScaler(enabled=False)
    loss = p.sum()
    assert scaler.scale(loss) is loss
    loss.backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() == 1 and scaler.state_dict() == {} and not scaler.is_enabled()
    assert p.tolist() == pytest.approx([0.9, 0.9])


def test_half_gradients_are_not_unscaled():
    p = swiftnet.nn.Parameter(swiftnet.ones(2, dtype=swiftnet.float16))
    optimizer = swiftnet.optim.SGD([p], lr=0.1)
    scaler = swiftnet.amp.GradScaler(init_scale=2.0)
    scaler.scale(p.sum()).backward()
    with pytest.raises(ValueError, match="FP16"):
        scaler.unscale_(optimizer)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_models_in_half_precision_train(dtype):
    """model.half(), model.bfloat16() and to(dtype), without a context."""
    swiftnet.manual_seed(0)
    model = net(swiftnet).to(getattr(swiftnet, dtype))
    assert all(p.dtype is getattr(swiftnet, dtype) for p in model.parameters())
    twin = copy.deepcopy(net(swiftnet))
    twin = twin.half() if dtype == "float16" else twin.bfloat16()
    assert next(twin.parameters()).dtype is getattr(swiftnet, dtype)
    optimizer = swiftnet.optim.AdamW(model.parameters(), lr=0.01, eps=1e-4)
    x = swiftnet.tensor(data(12, 1, 8, 8)).to(getattr(swiftnet, dtype))
    y = swiftnet.tensor(np.arange(12) % 3)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = swiftnet.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        swiftnet.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
    assert model[0].weight.grad.dtype is getattr(swiftnet, dtype)
    model.float()
    assert model(x.float()).dtype is swiftnet.float32


def test_torch_warns_where_this_library_does():
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        swiftnet.amp.GradScaler("cuda")
    assert len(found) == 1
