"""Custom functions with a backward of their own."""

import gc
import weakref

import pytest
import swiftnet
from autograd_parity import both, cube, leaf
from parity import compare, values
from swiftnet.autograd import Function


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
