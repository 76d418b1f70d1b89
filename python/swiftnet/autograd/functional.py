"""Derivatives of functions: Jacobian, Hessian, and products with them."""

from swiftnet._functions.creation import zeros_like
from swiftnet._functions.rearranging import stack
from swiftnet._tensor import Tensor
from swiftnet.autograd.grad_mode import enable_grad


def _tuple(value):
    return (value, False) if isinstance(value, tuple) else ((value,), True)


def _prepare(func, inputs, create_graph):
    values, single = _tuple(inputs)
    for value in values:
        if not isinstance(value, Tensor):
            raise TypeError(
                f"The inputs given to the function must be either a Tensor or a tuple of Tensors but the value is a "
                f"{type(value).__name__}"
            )
    with enable_grad():
        if create_graph:
            leaves = tuple(v.view_as(v) if v.requires_grad else v.detach().requires_grad_() for v in values)
        else:
            leaves = tuple(v.detach().requires_grad_() for v in values)
        outputs, single_output = _tuple(func(*leaves))
    return leaves, single, outputs, single_output


def _gradients(output, leaves, gradient, create_graph, strict):
    from swiftnet import autograd

    if not output.requires_grad:
        if strict:
            raise RuntimeError("The output of the user-provided function is independent of the input.")
        return tuple(zeros_like(leaf) for leaf in leaves)
    found = autograd.grad(output, leaves, gradient, retain_graph=True, create_graph=create_graph, allow_unused=True)
    if strict and any(g is None for g in found):
        raise RuntimeError("The output of the user-provided function is independent of an input. This is not allowed "
                           "in strict mode.")  # fmt: skip
    return tuple(zeros_like(leaf) if g is None else g for g, leaf in zip(found, leaves, strict=True))


def jacobian(func, inputs, create_graph=False, strict=False, vectorize=False, strategy="reverse-mode"):
    """The Jacobian: for each output and input a tensor of the shapes of both together."""
    with enable_grad():
        leaves, single, outputs, single_output = _prepare(func, inputs, create_graph)
        result = []
        for output in outputs:
            rows = [[] for _ in leaves]
            for position in range(output.numel()):
                seed = zeros_like(output.detach())
                seed.view(-1)[position] = 1
                for row, g in zip(rows, _gradients(output, leaves, seed, create_graph, strict), strict=True):
                    row.append(g)
            parts = tuple(
                stack(row).reshape(tuple(output.shape) + tuple(leaf.shape))
                for row, leaf in zip(rows, leaves, strict=True)
            )
            result.append(parts[0] if single else parts)
    return result[0] if single_output else tuple(result)


def hessian(func, inputs, create_graph=False, strict=False, vectorize=False, outer_jacobian_strategy="reverse-mode"):
    """The matrix of second derivatives of a function with one number as its result."""
    single = not isinstance(inputs, tuple)

    def gradient(*values):
        output = func(*values)
        if not isinstance(output, Tensor) or output.numel() != 1:
            raise RuntimeError("The Tensor returned by the function given to hessian should contain a single element")
        found = _gradients(output.reshape(()), values, None, True, strict)
        return found[0] if single else found

    return jacobian(gradient, inputs, create_graph=create_graph, strict=strict)


def vjp(func, inputs, v=None, create_graph=False, strict=False):
    """The function's outputs, and vᵀ times its Jacobian."""
    from swiftnet import autograd

    with enable_grad():
        leaves, single, outputs, single_output = _prepare(func, inputs, create_graph)
        if v is None:
            if len(outputs) != 1 or outputs[0].numel() != 1:
                raise RuntimeError(
                    "The vector v can only be None if the user-provided function returns a single Tensor with a single "
                    "element."
                )
            seeds = [None]
        else:
            seeds = list(_tuple(v)[0])
        found = autograd.grad(outputs, leaves, seeds, create_graph=create_graph, allow_unused=True)
    found = tuple(zeros_like(leaf) if g is None else g for g, leaf in zip(found, leaves, strict=True))
    values = outputs if create_graph else tuple(o.detach() for o in outputs)
    return (values[0] if single_output else values), (found[0] if single else found)


def jvp(func, inputs, v=None, create_graph=False, strict=False):
    """The function's outputs, and its Jacobian times v, by differentiating the transposed product in its vector."""
    from swiftnet import autograd

    with enable_grad():
        leaves, single, outputs, single_output = _prepare(func, inputs, create_graph)
        if v is None:
            if len(leaves) != 1 or leaves[0].numel() != 1:
                raise RuntimeError(
                    "The vector v can only be None if the input to the user-provided function is a single Tensor with "
                    "a single element."
                )
            vectors = [leaves[0].detach() * 0 + 1]
        else:
            vectors = list(_tuple(v)[0])
        dummies = [zeros_like(o.detach()).requires_grad_() for o in outputs]
        found = autograd.grad(outputs, leaves, dummies, create_graph=True, allow_unused=True)
        pairs = [(g, w) for g, w in zip(found, vectors, strict=True) if g is not None]
        result = autograd.grad(
            [g for g, _ in pairs], dummies, [w for _, w in pairs], create_graph=create_graph, allow_unused=True
        )
    result = tuple(zeros_like(d.detach()) if g is None else g for g, d in zip(result, dummies, strict=True))
    values = outputs if create_graph else tuple(o.detach() for o in outputs)
    if single_output:
        return values[0], result[0]
    return values, result
