"""Automatic differentiation: graphs, in-place operations, hooks, custom functions, checks, threads."""

import gc
import threading
import weakref

import pytest
import swiftnet
import torch
from parity import compare, raises_alike, to_torch, values
from swiftnet.autograd import Function, gradcheck, gradgradcheck


def both(function):
    """Runs a scenario, which returns tensors or numbers, with both modules, and compares."""
    expected, actual = function(torch), function(swiftnet)
    assert len(expected) == len(actual)
    for wanted, got in zip(expected, actual, strict=True):
        if isinstance(wanted, torch.Tensor):
            torch.testing.assert_close(to_torch(got), wanted.detach())
        else:
            assert got == wanted


def leaf(m, *shape):
    count = 1
    for size in shape:
        count *= size
    return (m.arange(count, dtype=m.float64) / 4 + 0.5).reshape(shape).requires_grad_()


# ---- changes in place, on views and their bases ----


def assigned_row(m):
    x, y = leaf(m, 3, 4), leaf(m, 4)
    z = x * 2
    z[1] = y * 3
    (z * z).sum().backward()
    return x.grad, y.grad


def scaled_slice(m):
    x = leaf(m, 4, 4)
    z = x * 1
    z[1:3, ::2] *= 3
    (z * z).sum().backward()
    return (x.grad,)


def added_to_chained_view(m):
    x, y = leaf(m, 4, 4), leaf(m, 2)
    z = x * 1
    z[:, 1:][2][:2] += y
    (z**3).sum().backward()
    return x.grad, y.grad


def changed_base_read_by_view(m):
    x = leaf(m, 3, 3)
    z = x * 1
    view = z[1]
    z *= 2
    (view * view).sum().backward()
    return x.grad, view


def changed_view_read_by_base(m):
    x = leaf(m, 3, 3)
    z = x * 1
    view = z.t()[0]
    view.mul_(5)
    (z * z).sum().backward()
    return x.grad, z


def two_views(m):
    x = leaf(m, 6)
    z = x * 1
    a, b = z[:4], z[2:]
    a *= 2
    b += 1
    (a * a).sum().backward(retain_graph=True)
    (b * z[0]).sum().backward()
    return x.grad, a, b


def into_zeros(m):
    x = leaf(m, 2, 3)
    canvas = m.zeros(4, 3, dtype=m.float64)
    canvas[1:3] = x * x
    canvas[0] = 7.0
    (canvas * canvas).sum().backward()
    return x.grad, canvas


def detached(m):
    x = leaf(m, 3)
    y = x * 2
    z = y.detach() * y
    z.sum().backward()
    return (x.grad,)


def under_no_grad(m):
    x = leaf(m, 3)
    with m.no_grad():
        x.add_(1)
        x[0] = 9.0
        y = x * 2
    (x * y).sum().backward()
    return x.grad, x, int(y.requires_grad)


def copied_and_filled(m):
    x, y = leaf(m, 3), leaf(m, 3)
    z = x * 1
    z.copy_(y * 2)
    z[0].fill_(4.0)
    z.mul_(3)
    z.sum().backward()
    return x.grad, y.grad


def view_in_no_grad_then_changed(m):
    x = leaf(m, 4)
    z = x * 2
    z.view(2, 2)[0].zero_()
    (z + 1).prod().backward()
    return (x.grad,)


def diagonal_changed(m):
    x = leaf(m, 3, 3)
    z = x * 1
    z.diagonal().add_(x[0])
    (z * z).sum().backward()
    return (x.grad,)


def unfolded_read(m):
    x = leaf(m, 6)
    (x.unfold(0, 3, 1) ** 2).sum().backward()
    return (x.grad,)


def strided_read(m):
    x = leaf(m, 6)
    (m.as_strided(x, (3, 3), (1, 1)) ** 2).sum().backward()
    return (x.grad,)


def expanded_written_by_out_of_place(m):
    x = leaf(m, 1, 3)
    y = x.expand(4, 3) * leaf(m, 4, 3).detach()
    y.sum().backward()
    return (x.grad,)


def in_place_activations(m):
    x = leaf(m, 5)
    z = (x - 1) * 1
    z.mul_(2).add_(1).sigmoid_()
    z.sum().backward()
    return x.grad, z


def zero_of_slice(m):
    x = leaf(m, 4, 4)
    z = x.clone()
    z[:, 0].zero_()
    z[0, :] = z[1, :] * 2
    (z * z).sum().backward()
    return (x.grad,)


SCENARIOS = [
    assigned_row,
    scaled_slice,
    added_to_chained_view,
    changed_base_read_by_view,
    changed_view_read_by_base,
    two_views,
    into_zeros,
    detached,
    under_no_grad,
    copied_and_filled,
    view_in_no_grad_then_changed,
    diagonal_changed,
    unfolded_read,
    strided_read,
    expanded_written_by_out_of_place,
    in_place_activations,
    zero_of_slice,
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda f: f.__name__)
def test_in_place(scenario):
    both(scenario)


def modified_input(m):
    x = leaf(m, 3)
    y = x * 1
    z = y * y
    y.add_(1)
    z.sum().backward()


def modified_output(m):
    x = leaf(m, 3)
    y = m.exp(x)
    y.add_(1)
    y.sum().backward()


def modified_through_view(m):
    x = leaf(m, 3)
    y = x * 1
    z = y**3
    y[0] = 1.0
    z.sum().backward()


def modified_leaf(m):
    leaf(m, 3).add_(1)


def modified_view_of_leaf(m):
    leaf(m, 3)[0] = 1.0


def backward_twice(m):
    y = (leaf(m, 3) ** 2).sum()
    y.backward()
    y.backward()


def backward_of_vector(m):
    (leaf(m, 3) * 2).backward()


def backward_without_graph(m):
    m.ones(1).backward()


def unused_input(m):
    m.autograd.grad((leaf(m, 2) * 2).sum(), leaf(m, 3))


def wrong_gradient_shape(m):
    (leaf(m, 3) * 2).backward(m.ones(2))


def gradient_for_integers(m):
    m.ones(2, dtype=m.int64).requires_grad_()


def numpy_of_gradient(m):
    leaf(m, 2).numpy()


def change_flag_of_result(m):
    (leaf(m, 2) * 2).requires_grad_(False)


def grad_of_wrong_shape(m):
    leaf(m, 2).grad = m.ones(3, dtype=m.float64)


@pytest.mark.parametrize(
    "mistake",
    [
        modified_input,
        modified_output,
        modified_through_view,
        modified_leaf,
        modified_view_of_leaf,
        backward_twice,
        backward_of_vector,
        backward_without_graph,
        unused_input,
        wrong_gradient_shape,
        gradient_for_integers,
        numpy_of_gradient,
        change_flag_of_result,
        grad_of_wrong_shape,
    ],
    ids=lambda f: f.__name__,
)
def test_mistakes(mistake):
    messages = raises_alike(mistake)
    for word in ("inplace operation", "leaf Variable", "a second time", "scalar outputs", "floating point"):
        assert (word in messages[0]) == (word in messages[1]), messages


# ---- graphs ----


def test_second_derivatives():
    def scenario(m):
        x = leaf(m, 4)
        y = (m.sin(x) * x**3).sum()
        (first,) = m.autograd.grad(y, x, create_graph=True)
        (second,) = m.autograd.grad(first.sum(), x, create_graph=True)
        (third,) = m.autograd.grad((second * first).sum(), x)
        return first, second, third

    both(scenario)


def test_gradient_penalty():
    def scenario(m):
        x, w = leaf(m, 2, 3), leaf(m, 3, 2)
        out = m.tanh(x @ w).sum()
        (g,) = m.autograd.grad(out, x, create_graph=True)
        ((g.norm(dim=1) - 1) ** 2).mean().backward()
        return (w.grad,)

    both(scenario)


def test_partial_graphs():
    def scenario(m):
        x, y = leaf(m, 3), leaf(m, 3)
        h = x * y
        z = (h * h).sum()
        gh, gx = m.autograd.grad(z, [h, x], retain_graph=True)
        z.backward(inputs=[y])
        unused = m.autograd.grad((y * 1).sum(), [x], allow_unused=True)[0]
        zeros = m.autograd.grad((y * 1).sum(), [x], materialize_grads=True)[0]
        return gh, gx, y.grad, int(x.grad is None), int(unused is None), zeros

    both(scenario)


def test_accumulation_and_retained_gradients():
    def scenario(m):
        x = leaf(m, 3)
        y = x * 2
        y.retain_grad()
        (y * y).sum().backward()
        (x * 3).sum().backward()
        return x.grad, y.grad, int(y.retains_grad), int(x.is_leaf), int(y.is_leaf)

    both(scenario)


def test_deep_chain():
    x = swiftnet.ones(1, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y + 1.0
    y.backward()
    assert x.grad.item() == 1
    del y
    z = x
    for _ in range(100_000):
        z = z * 1.0
    del z  # freed without a backward, and without recursion


def test_graph_is_freed():
    x = swiftnet.ones(10, requires_grad=True)

    class Marker:
        pass

    marker = Marker()
    reference = weakref.ref(marker)
    y = x * 2
    y.register_hook(lambda g, marker=marker: None)
    del marker
    assert reference() is not None
    del y
    gc.collect()
    assert reference() is None


def test_two_threads():
    errors = []

    def train(seed):
        try:
            generator = swiftnet.Generator().manual_seed(seed)
            w = swiftnet.rand(8, 8, generator=generator).requires_grad_()
            x = swiftnet.rand(16, 8, generator=generator)
            for _ in range(200):
                loss = (swiftnet.tanh(x @ w) - 0.5).square().mean()
                loss.backward()
                with swiftnet.no_grad():
                    w -= 0.5 * w.grad
                w.grad = None
            results[seed] = w.tolist()
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    runs = []
    for parallel in (True, False):
        results = {}
        threads = [threading.Thread(target=train, args=(seed,)) for seed in (1, 2)]
        for thread in threads:
            thread.start()
            if not parallel:
                thread.join()
        for thread in threads:
            thread.join()
        runs.append(results)
    assert not errors
    assert runs[0] == runs[1]


def test_shared_leaf_in_threads():
    w = swiftnet.ones(1000, requires_grad=True)

    def work():
        for _ in range(50):
            (w * 2).sum().backward()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert w.grad.tolist() == [200.0] * 1000


# ---- hooks ----


def test_hooks():
    def scenario(m):
        seen = []
        x = leaf(m, 3)
        y = x * 2
        first = y.register_hook(lambda g: g * 10)
        second = y.register_hook(lambda g: seen.append(g.tolist()))
        x.register_hook(lambda g: g + 1)
        (y * y).sum().backward(retain_graph=True)
        first.remove()
        (y * y).sum().backward()
        second.remove()
        return x.grad, str(seen)

    both(scenario)


def test_post_accumulate_hooks():
    def scenario(m):
        x = leaf(m, 3)
        seen = []

        def step(p):
            seen.append(p is x)
            with m.no_grad():
                p -= p.grad
            p.grad = None

        handle = x.register_post_accumulate_grad_hook(step)
        (x * x).sum().backward()
        handle.remove()
        (x * 2).sum().backward()
        return x, x.grad, str(seen)

    both(scenario)


def test_hook_errors():
    x = swiftnet.ones(2, requires_grad=True)

    def fail(gradient):
        raise ZeroDivisionError("in a hook")

    y = x * 2
    y.register_hook(fail)
    with pytest.raises(ZeroDivisionError, match="in a hook"):
        y.sum().backward()
    z = x * 2
    z.register_hook(lambda g: 5)
    with pytest.raises(TypeError):
        z.sum().backward()
    with pytest.raises(RuntimeError, match="doesn't require gradient"):
        swiftnet.ones(2).register_hook(fail)
    with pytest.raises(RuntimeError, match="non-leaf"):
        (x * 2).register_post_accumulate_grad_hook(fail)


# ---- custom functions ----


def cube(m):
    class Cube(m.autograd.Function):
        @staticmethod
        def forward(ctx, x, scale, name=None):
            ctx.save_for_backward(x)
            ctx.scale = scale
            return scale * x**3

        @staticmethod
        def backward(ctx, gradient):
            (x,) = ctx.saved_tensors
            return gradient * ctx.scale * 3 * x**2, None, None

    return Cube


def test_custom_function():
    def scenario(m):
        x = leaf(m, 3)
        y = cube(m).apply(x, 2.0, "name")
        (first,) = m.autograd.grad(y.sum(), x, create_graph=True)
        (second,) = m.autograd.grad(first.sum(), x)
        return y, first, second, y.grad_fn.name()

    both(scenario)
    x = values((3,), "float64")
    compare(lambda m, a: cube(m).apply(a, 0.5, None), [x])


def test_custom_function_with_several_outputs():
    def scenario(m):
        class Split(m.autograd.Function):
            @staticmethod
            def forward(ctx, x, y):
                ctx.needs = ctx.needs_input_grad
                positions = x.argmax()
                ctx.mark_non_differentiable(positions)
                product = x * y
                ctx.save_for_backward(x, y, product)
                return product, x + y, positions

            @staticmethod
            def backward(ctx, g, h, ignored):
                x, y, product = ctx.saved_tensors
                assert ctx.needs == (True, False)
                return g * y + h + 0 * product, None

        x, y = leaf(m, 3), leaf(m, 3).detach()
        product, total, positions = Split.apply(x, y)
        assert product.requires_grad and total.requires_grad and not positions.requires_grad
        product.sum().backward(retain_graph=True)
        first = x.grad.clone()
        (total * 2).sum().backward(retain_graph=True)
        return first, x.grad, positions

    both(scenario)


def test_custom_function_options():
    def scenario(m):
        seen = []

        class Pair(m.autograd.Function):
            @staticmethod
            def forward(x):
                return x * 2, x * 3

            @staticmethod
            def setup_context(ctx, inputs, output):
                ctx.set_materialize_grads(False)
                (x,) = inputs
                ctx.save_for_backward(x)

            @staticmethod
            def backward(ctx, g, h):
                seen.append((g is None, h is None))
                return g * 2 if g is not None else h * 3

        x = leaf(m, 2)
        a, b = Pair.apply(x)
        b.sum().backward(retain_graph=True)
        a.sum().backward()
        return x.grad, str(seen)

    both(scenario)


def test_custom_function_in_place():
    def scenario(m):
        class Double(m.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                x.mul_(2)
                ctx.mark_dirty(x)
                return x

            @staticmethod
            def backward(ctx, gradient):
                return gradient * 2

        x = leaf(m, 4)
        y = x * 1
        z = Double.apply(y)
        assert z is y
        (z * z).sum().backward()
        w = leaf(m, 4)
        base = w * 1
        Double.apply(base[1:3])
        (base * base).sum().backward()
        return x.grad, w.grad

    both(scenario)


def test_custom_function_identity():
    def scenario(m):
        class Same(m.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x

            @staticmethod
            def backward(ctx, gradient):
                return gradient * 5

        x = leaf(m, 2)
        y = Same.apply(x)
        y.sum().backward()
        return y, x.grad, int(y is x)

    both(scenario)


def test_custom_function_saved_tensor_changed():
    x = swiftnet.ones(3, requires_grad=True)
    y = x * 2
    z = cube(swiftnet).apply(y, 1.0)
    y.add_(1)
    with pytest.raises(RuntimeError, match="inplace operation"):
        z.sum().backward()


def test_custom_function_mistakes():
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x, y):
            return x * y

        @staticmethod
        def backward(ctx, gradient):
            return gradient

    class Failing(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, gradient):
            raise KeyError("inside")

    x = swiftnet.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="incorrect number of gradients"):
        Wrong.apply(x, x).sum().backward()
    with pytest.raises(KeyError, match="inside"):
        Failing.apply(x).sum().backward()
    with pytest.raises(RuntimeError, match="static"):
        Failing()
    with pytest.raises(NotImplementedError):
        Function.apply(x)
    y = Failing.apply(x.detach())
    assert not y.requires_grad


def test_once_differentiable():
    from swiftnet.autograd.function import once_differentiable

    class Once(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @once_differentiable
        def backward(ctx, gradient):
            (x,) = ctx.saved_tensors
            return 2 * x * gradient

    x = swiftnet.ones(2, requires_grad=True)
    (g,) = swiftnet.autograd.grad(Once.apply(x * 1).sum(), x)
    assert g.tolist() == [2, 2]
    weights = swiftnet.ones(2, requires_grad=True)
    (g,) = swiftnet.autograd.grad((Once.apply(x * 1) * weights).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        g.sum().backward()


def test_custom_function_is_freed():
    class Save(Function):
        @staticmethod
        def forward(ctx, x):
            y = x * 2
            ctx.save_for_backward(x, y)
            ctx.marker = Marker()
            references.append(weakref.ref(ctx.marker))
            return y

        @staticmethod
        def backward(ctx, gradient):
            return gradient * 2

    class Marker:
        pass

    references = []
    x = swiftnet.ones(3, requires_grad=True)
    for _ in range(3):
        Save.apply(x)
    Save.apply(x).sum().backward()
    gc.collect()
    assert [r() for r in references] == [None] * 4


# ---- gradcheck ----


def test_gradcheck():
    x = swiftnet.rand(2, 3, dtype=swiftnet.float64, requires_grad=True)
    y = swiftnet.rand(3, dtype=swiftnet.float64, requires_grad=True)
    assert gradcheck(lambda a, b: swiftnet.sin(a) * b, (x, y))
    assert gradgradcheck(lambda a, b: swiftnet.sin(a) * b, (x, y))
    assert gradcheck(lambda a: (a * 2, a.sum()), x.t())
    assert gradgradcheck(lambda a: cube(swiftnet).apply(a, 2.0), (x,))
    assert gradcheck(lambda a, n: a**n, (x, 3))

    class Wrong(Function):
        @staticmethod
        def forward(ctx, a):
            return a * 2

        @staticmethod
        def backward(ctx, gradient):
            return gradient * 3

    with pytest.raises(
        swiftnet.autograd.GradcheckError, match="Jacobian mismatch for output 0 with respect to input 0"
    ):
        gradcheck(Wrong.apply, (x,))
    assert not gradcheck(Wrong.apply, (x,), raise_exception=False)
    with pytest.raises(ValueError, match="at least one input tensor to require gradient"):
        gradcheck(Wrong.apply, (x.detach(),))

    def failing(a):
        raise KeyError("inside")

    with pytest.raises(KeyError, match="inside"):
        gradcheck(failing, (x,))


CHECKED = {
    "prod": lambda a: a.prod(1),
    "cumprod": lambda a: a.cumprod(1),
    "logsumexp": lambda a: a.logsumexp(1),
    "logcumsumexp": lambda a: a.logcumsumexp(1),
    "norm": lambda a: a.norm(dim=1),
    "norm 3": lambda a: a.norm(3, 0),
    "var": lambda a: a.var(1),
    "std": lambda a: a.std(),
    "max": lambda a: a.max(1).values,
    "amax": lambda a: a.amax(1),
    "clamp": lambda a: a.clamp(0.2, 0.8),
    "matmul": lambda a: a @ a.t(),
    "einsum": lambda a: swiftnet.einsum("ij,kj->ik", a, a),
    "softmax": lambda a: swiftnet.special.softmax(a, 1),
    "cumsum": lambda a: a.cumsum(0),
    "lerp": lambda a: a.lerp(a * a, 0.3),
    "addcdiv": lambda a: a.addcdiv(a, a + 1),
    "inv": lambda a: swiftnet.linalg.inv(a @ a.t() + swiftnet.eye(2, dtype=a.dtype)),
    "det": lambda a: swiftnet.linalg.det(a @ a.t()),
    "cdist": lambda a: swiftnet.cdist(a, a * 2 + 1),
    "cholesky": lambda a: swiftnet.linalg.cholesky(a @ a.t() + swiftnet.eye(2, dtype=a.dtype)),
    "cosine": lambda a: swiftnet.cosine_similarity(a, a * a),
    "i0": lambda a: swiftnet.i0(a),
    "entr": lambda a: swiftnet.special.entr(a),
    "atan2": lambda a: swiftnet.atan2(a, a * a + 1),
    "pow": lambda a: a ** (a + 1),
    "lgamma": lambda a: swiftnet.lgamma(a + 1),
    "slice": lambda a: a[:, 1:] * a[:, :-1],
    "gather": lambda a: a.min(0).values,
    "where": lambda a: swiftnet.where(a > 0.5, a * a, a),
}


@pytest.mark.parametrize("name", CHECKED)
def test_derivatives_twice(name):
    x = swiftnet.tensor([[0.31, 0.72, 0.53], [0.94, 0.15, 0.66]], dtype=swiftnet.float64, requires_grad=True)
    assert gradcheck(CHECKED[name], (x,))
    assert gradgradcheck(CHECKED[name], (x,), atol=1e-4)


# ---- modes ----


def test_anomaly_detection():
    x = swiftnet.zeros(2, requires_grad=True)
    with swiftnet.autograd.detect_anomaly():
        assert swiftnet.is_anomaly_enabled()
        with pytest.raises(RuntimeError, match="'SqrtBackward0' returned nan values in its 0th output"):
            (swiftnet.sqrt(x) * 0).sum().backward()
    assert not swiftnet.is_anomaly_enabled()
    (swiftnet.sqrt(x) * 0).sum().backward()
    with swiftnet.autograd.set_detect_anomaly(True):
        assert swiftnet.is_anomaly_enabled()


def test_inference_mode():
    def attempt(m, action):
        try:
            return str(action())
        except RuntimeError as error:
            return str(error)[:60]

    def scenario(m):
        x = leaf(m, 3)
        with m.inference_mode():
            y = x * 2
            inside = m.ones(3, dtype=m.float64)
            inside.add_(1)
            view = x[0]
        results = [str(y.is_inference()), str(x.is_inference()), str(y.requires_grad), str(view.is_inference())]
        results.append(attempt(m, lambda: (x * y).sum()))
        results.append(attempt(m, lambda: y.add_(1)))
        results.append(attempt(m, lambda: y.requires_grad_()))
        results.append(str((x * y.clone()).requires_grad))
        return results

    both(scenario)


def test_grad_modes():
    def scenario(m):
        x = leaf(m, 2)
        results = []
        with m.no_grad():
            results.append((x * 2).requires_grad)
            with m.enable_grad():
                results.append((x * 2).requires_grad)
        with m.set_grad_enabled(False):
            results.append(m.is_grad_enabled())

        @m.no_grad()
        def f(a):
            return a * 2

        results.append(f(x).requires_grad)
        results.append(m.is_grad_enabled())
        return [str(r) for r in results]

    both(scenario)


# ---- functional ----


def test_functional():
    def scenario(m):
        x, y = leaf(m, 2), leaf(m, 2)
        f = m.autograd.functional

        def function(a, b):
            return (a * b).sum() * a

        jacobian = f.jacobian(function, (x, y))
        hessian = f.hessian(lambda a: (a**3).sum() * a[0], x)
        value, product = f.vjp(function, (x, y), leaf(m, 2).detach())
        forward, tangent = f.jvp(lambda a: a**2 * a[0], x, leaf(m, 2).detach())
        return *jacobian, hessian, value, *product, forward, tangent

    both(scenario)
