"""What the parity tests share: the same data for swiftnet and PyTorch, and the comparison of results.

The rule for accuracy: the error against float64 is at most twice PyTorch's own on the same data, plus a few units in
the last place.
"""

import numpy as np
import swiftnet
import torch

FLOATS = ["float32", "float64", "float16", "bfloat16"]
INTEGERS = ["int8", "int16", "int32", "int64", "uint8"]
DTYPES = [*FLOATS, *INTEGERS, "bool"]
EPSILON = {"float32": 2.0**-23, "float64": 2.0**-52, "float16": 2.0**-10, "bfloat16": 2.0**-7}


def values(shape, dtype, seed=0, low=-3.0, high=3.0):
    """Reproducible data as a PyTorch tensor."""
    generator = torch.Generator().manual_seed(seed)
    kind = getattr(torch, dtype)
    if kind == torch.bool:
        return torch.rand(shape, generator=generator) > 0.4
    if not kind.is_floating_point:
        bottom = max(int(low), 0) if dtype == "uint8" else int(np.floor(low))
        return torch.randint(bottom, max(int(np.ceil(high)), bottom) + 1, shape, generator=generator).to(kind)
    return (torch.rand(shape, generator=generator, dtype=torch.float64) * (high - low) + low).to(kind)


def to_swiftnet(t, requires_grad=False):
    """A PyTorch tensor's values, dtype and strides in swiftnet, on memory of its own."""
    t = t.detach()
    # A dense copy that keeps the order of the dimensions in memory; strided views come from views of it.
    if t.dtype == torch.bfloat16:
        result = swiftnet.from_numpy(t.view(torch.int16).numpy().copy(order="K")).view(swiftnet.bfloat16)
    else:
        result = swiftnet.from_numpy(t.numpy().copy(order="K"))
    if requires_grad:
        result.requires_grad = True
    return result


def to_torch(t):
    """A swiftnet tensor's values and dtype in PyTorch."""
    t = t.detach()
    if t.dtype is swiftnet.bfloat16:
        return torch.from_numpy(t.contiguous().view(swiftnet.int16).numpy().copy()).view(torch.bfloat16)
    return torch.from_numpy(np.array(t.numpy()))


def dtype_name(kind):
    return str(kind).split(".")[-1]


def assert_same(actual, expected, reference=None, ulps=4, what="", sums=False):
    """Same shape, same dtype, same values: exactly for integers; floats within the accuracy rule if there is a float64
    `reference`, else within a few units in the last place. With `sums`, where terms may cancel, within a few units of
    the largest element."""
    assert isinstance(actual, swiftnet.Tensor), f"{what}: {type(actual)}"
    assert tuple(actual.shape) == tuple(expected.shape), f"{what}: {tuple(actual.shape)} != {tuple(expected.shape)}"
    assert dtype_name(actual.dtype) == dtype_name(expected.dtype), f"{what}: {actual.dtype} != {expected.dtype}"
    expected = expected.detach()
    actual = to_torch(actual)
    if not expected.dtype.is_floating_point:
        assert torch.equal(actual, expected), f"{what}: {actual} != {expected}"
        return
    eps = EPSILON[dtype_name(expected.dtype)]
    got, wanted = actual.double(), expected.double()
    truth = wanted if reference is None else reference.detach().double()
    same = (got == wanted) | (got.isnan() & wanted.isnan())
    tiny = torch.finfo(expected.dtype).tiny
    scale = truth.abs()
    if sums and scale.numel():
        finite = torch.where(scale.isfinite(), scale, 0.0)
        scale = torch.maximum(scale, finite.max().clamp_min(1.0))
    allowance = 2 * (wanted - truth).abs() + ulps * eps * scale + ulps * tiny
    close = (got - truth).abs() <= allowance
    bad = ~(same | close)
    assert not bad.any(), (
        f"{what}: {got[bad][:4].tolist()} != {wanted[bad][:4].tolist()} (exactly {truth[bad][:4].tolist()})"
    )


def compare(function, arguments, keywords=None, gradient=True, ulps=4, reference=True, what="", sums=False):
    """Calls `function(module, *arguments)` with swiftnet and with PyTorch; compares results, or the kind of error.
    Tensors among the arguments are PyTorch's. With `gradient`, also the gradients of all floating inputs."""
    keywords = keywords or {}

    def tensors(convert):
        return [convert(a) if isinstance(a, torch.Tensor) else a for a in arguments]

    def wants(a):
        return gradient and a.dtype.is_floating_point

    theirs = tensors(lambda a: a.detach().clone().requires_grad_(wants(a)))
    error = None
    try:
        expected = function(torch, *theirs, **keywords)
    except Exception as caught:  # noqa: BLE001
        error = caught
    ours = tensors(lambda a: to_swiftnet(a, wants(a)))
    if error is not None:
        try:
            got = function(swiftnet, *ours, **keywords)
        except Exception as caught:  # noqa: BLE001
            assert type(caught) is type(error), f"{what}: {caught!r} instead of {error!r}"
            return
        raise AssertionError(f"{what}: PyTorch raises {error!r}, swiftnet gives {got}")
    actual = function(swiftnet, *ours, **keywords)

    exact = None
    wide = [a for a in theirs if isinstance(a, torch.Tensor)]
    results = [expected] if isinstance(expected, torch.Tensor) else list(expected)
    floating = any(a.is_floating_point() for a in wide)
    if reference and (
        any(a.dtype in (torch.float16, torch.bfloat16, torch.float32) for a in wide)
        or (not floating and any(r.is_floating_point() for r in results))
    ):
        exact_inputs = tensors(
            lambda a: (
                a.detach().double().requires_grad_(wants(a))
                if wants(a) or not floating or a.is_floating_point()
                else a.clone()
            )
        )
        exact = function(torch, *exact_inputs, **keywords)
    if isinstance(expected, torch.Tensor):
        expected, actual, exact = [expected], [actual], None if exact is None else [exact]
    for position, value in enumerate(expected):
        truth = None if exact is None or not value.is_floating_point() else exact[position]
        assert_same(actual[position], value, truth, ulps, f"{what} result {position}", sums)
    if not gradient:
        return
    roots = [i for i, value in enumerate(expected) if value.requires_grad]
    for i, value in enumerate(actual):
        assert value.requires_grad == (i in roots), f"{what}: requires_grad of result {i}"
    if not roots:
        return
    seeds = [values(tuple(expected[i].shape), dtype_name(expected[i].dtype), 7 + i, 0.5, 1.5) for i in roots]
    try:
        torch.autograd.backward([expected[i] for i in roots], seeds)
    except RuntimeError as caught:
        try:
            swiftnet.autograd.backward([actual[i] for i in roots], [to_swiftnet(s) for s in seeds])
        except RuntimeError:
            return
        raise AssertionError(f"{what}: PyTorch's backward raises {caught!r}") from None
    swiftnet.autograd.backward([actual[i] for i in roots], [to_swiftnet(s) for s in seeds])
    if exact is not None:
        torch.autograd.backward([exact[i] for i in roots], [s.double() for s in seeds])
    for position, mine in enumerate(ours):
        if not isinstance(mine, swiftnet.Tensor) or not mine.requires_grad:
            continue
        wanted = theirs[position].grad
        if wanted is None:
            assert mine.grad is None, f"{what}: unexpected gradient of argument {position}"
            continue
        assert mine.grad is not None, f"{what}: no gradient of argument {position}"
        truth = None if exact is None else exact_inputs[position].grad
        assert_same(mine.grad, wanted, truth, 4 * ulps, f"{what} gradient {position}", sums)


def raises_alike(function, *arguments):
    """Both raise the same kind of exception; returns both messages."""
    messages = []
    kinds = []
    for module, convert in ((torch, lambda a: a), (swiftnet, lambda a: to_swiftnet(a))):
        try:
            function(module, *[convert(a) if isinstance(a, torch.Tensor) else a for a in arguments])
        except Exception as caught:  # noqa: BLE001
            kinds.append(type(caught))
            messages.append(str(caught))
        else:
            raise AssertionError(f"{module.__name__} does not raise")
    assert kinds[0] is kinds[1], f"{kinds[1].__name__}({messages[1]}) instead of {kinds[0].__name__}({messages[0]})"
    return messages
