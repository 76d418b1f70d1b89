"""Runs one call in both libraries, on the same arrays, and compares results and gradients."""

import numpy as np
import swiftnet
import swiftnet.nn.functional
import torch

LIBRARIES = (swiftnet, torch)
TOLERANCE = {"float32": (2e-5, 2e-5), "float64": (1e-11, 1e-11), "float16": (2e-3, 2e-3), "bfloat16": (2e-2, 2e-2)}


def arrays(*shapes, seed=0, dtype="float32"):
    """Normal numbers of the given shapes."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def tensors(library, values, grad=True, dtype=None):
    result = []
    for value in values:
        t = library.tensor(value) if value is not None else None
        if t is not None and t.is_floating_point():
            if dtype is not None:
                t = t.to(getattr(library, dtype))
            if grad:
                t.requires_grad_(True)
        result.append(t)
    return result


def numpy(t):
    if isinstance(t, torch.Tensor):
        return t.detach().to(torch.float64).numpy(force=True)
    return np.asarray(t.detach().to(swiftnet.float64).numpy())


def outputs(result):
    return list(result) if isinstance(result, (tuple, list)) else [result]


def compare(call, values, dtype=None, grad=True, second=False, tolerance=None):
    """`call(functional, library, *tensors)` gives the same results, shapes, dtypes and gradients in both libraries.

    With `second`, gradients of gradients are compared too.
    """
    found = []
    for library in LIBRARIES:
        inputs = tensors(library, values, grad, dtype)
        results = outputs(call(library.nn.functional, library, *inputs))
        leaves = [t for t in inputs if t is not None and t.requires_grad]
        values_found = list(results)
        if grad and leaves:
            total = None
            for index, r in enumerate(results):
                if r.is_floating_point() and r.requires_grad:
                    rng = np.random.default_rng(index + 100)
                    weight = library.tensor(rng.standard_normal(tuple(r.shape))).to(r.dtype)
                    term = (r * weight).sum()
                    total = term if total is None else total + term
            grads = library.autograd.grad(total, leaves, create_graph=second, allow_unused=True)
            values_found += [g for g in grads if g is not None]
            if second:
                squares = None
                for g in grads:
                    if g is not None and g.requires_grad:
                        squares = (g * g).sum() if squares is None else squares + (g * g).sum()
                if squares is None:
                    values_found += [library.zeros_like(x) for x in leaves]
                else:
                    again = library.autograd.grad(squares, leaves, allow_unused=True)
                    values_found += [
                        g if g is not None else library.zeros_like(x) for g, x in zip(again, leaves, strict=True)
                    ]
        found.append(values_found)
    ours, theirs = found
    assert len(ours) == len(theirs)
    for position, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        assert tuple(a.shape) == tuple(b.shape), position
        assert str(a.dtype).split(".")[1] == str(b.dtype).split(".")[1], position
        rtol, atol = tolerance or TOLERANCE.get(str(b.dtype).split(".")[1], (0, 0))
        scale = max(1.0, float(np.max(np.abs(numpy(b)), initial=0.0, where=np.isfinite(numpy(b)))))
        np.testing.assert_allclose(numpy(a), numpy(b), rtol=rtol, atol=atol * scale, err_msg=f"result {position}")


def same_error(call, values, match):
    """Both libraries raise the same kind of exception, and the message contains `match`."""
    kinds = []
    for library in LIBRARIES:
        inputs = tensors(library, values, grad=False)
        try:
            call(library.nn.functional, library, *inputs)
        except Exception as error:
            kinds.append((type(error), str(error)))
        else:
            kinds.append((None, ""))
    ours, theirs = kinds
    assert theirs[0] is not None, "PyTorch accepts this"
    assert ours[0] is theirs[0], f"{ours} {theirs}"
    assert match in theirs[1], theirs[1]
    assert match in ours[1], ours[1]
