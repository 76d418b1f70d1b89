"""Automatic differentiation: graphs, hooks, threads, modes."""

import gc
import threading
import weakref

import pytest
import swiftnet
from autograd_parity import both, leaf


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


@pytest.mark.parametrize("shape", [(3,), (64, 1024)])
def test_a_gradient_that_somebody_holds_is_not_the_leafs_own(shape):
    """Changes of `grad` in place (clipping, zeroing, the next backward) reach nobody else."""

    def scenario(m):
        def leaf():
            return m.ones(shape, requires_grad=True)

        seen = []
        hooked, retained, watched, first, second, asked = (leaf() for _ in range(6))
        y = hooked.clone()
        y.register_hook(lambda g: seen.append(g))
        (y * 3).sum().backward()
        z = retained.clone()
        z.retain_grad()
        (z * 3).sum().backward()
        watched.register_hook(lambda g: seen.append(g))
        (watched * 3).sum().backward()
        given = m.ones(shape)
        (first + second).backward(given)
        w = asked.clone()
        w.retain_grad()
        (w * 3).sum().backward(inputs=[asked, w])
        for t in (hooked, retained, watched, first, asked):
            t.grad.zero_()
        return *seen, z.grad, second.grad, given, w.grad

    both(scenario)


def test_retained_gradients_see_hooks_and_add_up():
    def scenario(m):
        x = leaf(m, 3)
        y = x * 2
        y.register_hook(lambda g: g * 2)
        y.retain_grad()
        y.register_hook(lambda g: g * 5)
        loss = (y * 3).sum()
        loss.backward(retain_graph=True)
        loss.backward()
        given = x * 1
        given.retain_grad()
        given.grad = m.ones(3, dtype=x.dtype)
        (given * 3).sum().backward()
        return y.grad, x.grad, given.grad

    both(scenario)


def test_inputs_that_are_no_leaves_retain_their_gradients():
    def scenario(m):
        x = leaf(m, 3)
        y = x * 2
        loss = (y * 3).sum()
        loss.backward(inputs=[y], retain_graph=True)
        once, alone = y.grad.clone(), int(x.grad is None)
        loss.backward()
        z = x * 2
        z.retain_grad()
        (z * 3).sum().backward(inputs=[x, z])
        return once, alone, int(y.retains_grad), y.grad, x.grad, z.grad

    both(scenario)


def test_retained_gradients_follow_a_change_in_place():
    def scenario(m):
        x = leaf(m, 3)
        y, z, whole = x * 1, x * 1, x * 1
        view = whole[1:]
        for t in (y, z, view):
            t.retain_grad()
        y.mul_(2)
        z[0] = 5.0
        view.mul_(3)
        ((y + z).sum() * 3 + (view * 3).sum()).backward()
        return x.grad, y.grad, z.grad, view.grad

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
        # A gradient of a slice, which otherwise is added to the whole one in place.
        with pytest.raises(RuntimeError, match="'SelectBackward0' returned nan values in its 0th output"):
            (swiftnet.ones(3, requires_grad=True) * 2)[0].backward(swiftnet.tensor(float("nan")))


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
