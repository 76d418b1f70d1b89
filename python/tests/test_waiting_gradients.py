"""Gradients of weights that wait until somebody reads them, mostly an optimizer, piece by piece: those of taps that alone
see more than padding, those that are larger than what they are computed from, and those of half precision that are to be
converted. None of that may show."""

import numpy as np
import pytest
import swiftnet
import torch
from test_deferred import values

# (input, weight, options of the convolution or None for x · weightᵀ + bias, or "product" for x · weight + bias, or a
# formula)
SEEN_TAPS = {
    "one place": ((8, 48, 1, 1), (40, 48, 3, 3), {"padding": 1}),
    "a corner": ((6, 48, 2, 2), (45, 48, 3, 3), {"padding": 1, "stride": 2}),
    "a line": ((5, 64, 2), (80, 64, 9), {"padding": 4}),
    "groups of volumes": ((3, 33, 1, 1, 2), (60, 11, 3, 5, 3), {"padding": (1, 2, 1), "groups": 3}),
}
LARGE = {
    "small image": ((1, 128, 5, 6), (260, 128, 3, 3), {"padding": 1}),
    "groups": ((2, 264, 3, 2), (522, 88, 3, 3), {"padding": 1, "groups": 3}),
    "volume": ((1, 65, 3, 4, 2), (256, 65, 2, 3, 3), {"padding": (1, 1, 1), "stride": 2}),
    "linear": ((5, 520), (530, 520), None),
    "matrix": ((3, 640), (640, 450), "product"),
    "stack of matrices": ((40, 3, 130), (40, 130, 60), "product"),
}
# The gradient has its dimensions in another order than the weight.
EXCHANGED = {"classes between": ((3, 40, 130), (130, 40, 60), "bnc,cnk->bnk")}
# Computed in several parts.
LARGER = {
    "many filters": ((1, 1024, 2, 3), (520, 1024, 3, 3), {"padding": 1}),
    "many groups": ((1, 1280, 2, 3), (1280, 640, 3, 3), {"padding": 1, "groups": 2}),
    "wide linear": ((2, 9000), (600, 9000), None),
    "few long rows": ((5, 20011), (23, 20011), None),
    "many matrices": ((70, 1, 300), (70, 300, 256), "product"),
    "many classes between": ((2, 70, 300), (300, 70, 256), "bnc,cnk->bnk"),
}
CASES = SEEN_TAPS | LARGE | EXCHANGED
ALL = CASES | LARGER


def loss_of(m, case, weight, bias, round_=0):
    """A loss through one layer, and its input."""
    shape, kernel, options = ALL[case]
    functional = (torch.nn if m is torch else swiftnet.nn).functional
    x = values(m, *shape, offset=round_).to(weight.dtype).requires_grad_()
    if options is None:
        y = functional.linear(x, weight, bias)
    elif options == "product":
        y = x @ weight + bias
    elif isinstance(options, str):
        y = m.einsum(options, x, weight) + bias
    else:
        y = getattr(functional, f"conv{len(kernel) - 2}d")(x, weight, bias, **options)
    return (y * y * 0.01).sum(), x


def parameters(m, case, dtype):
    _, kernel, options = ALL[case]
    outputs = kernel[-1] if isinstance(options, str) else kernel[0]
    return [p.to(getattr(m, dtype)).requires_grad_() for p in (values(m, *kernel) * 0.1, values(m, outputs))]


def compare(found, tolerance):
    for own, other in zip(*found, strict=True):
        own, other = (t.detach().double().numpy() for t in (own, other))
        np.testing.assert_allclose(own, other, rtol=tolerance, atol=tolerance * (1 + np.abs(other).max()))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-12), ("float32", 2e-5)])
def test_every_reader(case, dtype, tolerance):
    """Read as a whole, twice without `zero_grad`, limited, after half a step, and through `create_graph`."""
    found = []
    for m in (swiftnet, torch):
        weight, bias = parameters(m, case, dtype)
        optimizer = m.optim.SGD([weight, bias], lr=0.1, momentum=0.9, weight_decay=0.01)
        results = []
        for round_ in range(2):
            loss, x = loss_of(m, case, weight, bias, round_)
            loss.backward()
            results += [x.grad, bias.grad.clone(), weight.grad.clone()]
            optimizer.step()
        nn = torch.nn if m is torch else swiftnet.nn
        results.append(nn.utils.clip_grad_norm_([weight, bias], 0.5))
        results += [weight.grad.clone(), weight.grad[3:7, 1:].sum(0), weight.grad.abs().amax()]
        optimizer.zero_grad(set_to_none=False)
        loss, x = loss_of(m, case, weight, bias)
        (first,) = m.autograd.grad(loss, weight, create_graph=True)
        (second,) = m.autograd.grad(first.square().sum(), x)
        found.append([*results, weight, weight.grad, first, second])
    compare(found, tolerance)


OPTIMIZERS = ["SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "Adagrad", "Adadelta", "RMSprop", "Rprop", "ASGD"]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", [*OPTIMIZERS, "Adafactor"])
def test_optimizers_read_piece_by_piece(name, case):
    """The same bits as with gradients that somebody has read before."""
    found = []
    for reads in (False, True):
        weight, bias = parameters(swiftnet, case, "float32")
        momentum = {"momentum": 0.9} if name == "SGD" else {}
        optimizer = getattr(swiftnet.optim, name)([weight, bias], lr=0.01, **momentum)
        for round_ in range(3):
            optimizer.zero_grad()
            loss_of(swiftnet, case, weight, bias, round_)[0].backward()
            if reads:
                weight.grad.data_ptr()
            optimizer.step()
        found.append([weight, weight.grad, *optimizer.state_dict()["state"][0].values()])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(*(np.asarray(t.detach() if hasattr(t, "detach") else t) for t in (one, other)))


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("case", LARGER)
def test_several_parts(case, mixed):
    found = []
    for m in (swiftnet, torch):
        weight, bias = parameters(m, case, "float32")
        optimizer = m.optim.SGD([weight, bias], lr=0.1, momentum=0.9)
        for round_ in range(2):
            optimizer.zero_grad()
            with m.autocast("cpu", dtype=m.bfloat16, enabled=mixed):
                loss, _ = loss_of(m, case, weight, bias, round_)
            loss.backward()
            optimizer.step()
        found.append((weight, weight.grad))
    compare(found, 0.03 if mixed else 2e-5)


@pytest.mark.parametrize("case", ["one place", "small image", "linear"])
@pytest.mark.parametrize("layout", ["channels_last", "bfloat16"])
def test_other_parameters(layout, case):
    """Parameters in another order or of half precision, whose updates copy."""
    found = []
    for reads in (False, True):
        weight, bias = parameters(swiftnet, case, "float32")
        if layout == "bfloat16":
            weight, bias = (p.detach().bfloat16().requires_grad_() for p in (weight, bias))
        elif weight.dim() == 4:
            weight = weight.detach().contiguous(memory_format=swiftnet.channels_last).requires_grad_()
        else:
            weight = weight.detach().t().contiguous().t().requires_grad_()
        optimizer = swiftnet.optim.SGD([weight, bias], lr=0.01, momentum=0.9)
        for round_ in range(2):
            optimizer.zero_grad()
            loss_of(swiftnet, case, weight, bias, round_)[0].backward()
            if reads:
                weight.grad.data_ptr()
            optimizer.step()
        found.append(weight.detach().double().numpy())
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("case", CASES)
def test_mixed_precision(case):
    """The gradient of a weight that was converted waits as well, and a scaler's passes over it are PyTorch's."""
    found = []
    for m in (swiftnet, torch):
        weight, bias = parameters(m, case, "float32")
        optimizer = m.optim.SGD([weight, bias], lr=0.1)
        scaler = m.amp.GradScaler("cpu", init_scale=16.0)
        for round_ in range(2):
            optimizer.zero_grad()
            with m.autocast("cpu", dtype=m.bfloat16):
                loss, _ = loss_of(m, case, weight, bias, round_)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        found.append((weight, weight.grad, bias.grad))
    compare(found, 0.03)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_converted_gradients_are_read_piece_by_piece(name):
    """Large inputs: the gradient itself is there, in half precision; limited, it is still to be computed."""
    found = []
    for reads in (False, True):
        weight = (values(swiftnet, 72, 64, 3, 3) * 0.1).float().requires_grad_()
        optimizer = getattr(swiftnet.optim, name)([weight], lr=0.01)
        for round_ in range(3):
            optimizer.zero_grad()
            x = values(swiftnet, 4, 64, 20, 20, offset=round_).float()
            with swiftnet.autocast("cpu", dtype=swiftnet.bfloat16):
                y = swiftnet.nn.functional.conv2d(x, weight)
            (y * y).sum().backward()
            if round_ > 0:
                swiftnet.nn.utils.clip_grad_norm_([weight], 0.5)
            if reads:
                weight.grad.data_ptr()
            optimizer.step()
        found.append(weight.detach().numpy())
    np.testing.assert_array_equal(*found)


def test_a_gradient_that_reads_its_weight():
    """What the step is about to change is read before."""
    found = []
    for m in (swiftnet, torch):
        weight = values(m, 300, 100).requires_grad_()
        other = values(m, 300, 100, offset=1).requires_grad_()
        optimizer = m.optim.SGD([weight, other], lr=0.1, momentum=0.5)
        for _ in range(2):
            optimizer.zero_grad()
            (weight.square().sum() + (weight * other).sum()).backward()
            optimizer.step()
        found.append((weight, other))
    compare(found, 1e-12)


def test_operands_changed_before_the_gradient_is_read():
    found = []
    for m in (swiftnet, torch):
        weight, bias = parameters(m, "small image", "float32")
        loss, x = loss_of(m, "small image", weight, bias)
        loss.backward()
        with m.no_grad():
            x.mul_(2)
            weight.zero_()
        found.append((weight.grad, x.grad, bias.grad))
    compare(found, 2e-5)


@pytest.mark.parametrize("mixed", [False, True])
def test_zeros_of_unseen_taps_take_no_memory(mixed):
    weight = swiftnet.randn(512, 256, 3, 3).requires_grad_()
    x = swiftnet.randn(4, 256, 1, 1)
    optimizer = swiftnet.optim.SGD([weight], lr=0.1, momentum=0.9)
    for _ in range(2):
        optimizer.zero_grad()
        before = swiftnet.memory.statistics()["live"]
        with swiftnet.autocast("cpu", dtype=swiftnet.bfloat16, enabled=mixed):
            y = swiftnet.nn.functional.conv2d(x, weight, padding=1)
        y.sum().backward()
        assert weight.grad.shape == weight.shape
        optimizer.step()
        del y
        kept = swiftnet.memory.statistics()["live"] - before
    assert kept < 0.25 * weight.numel() * 4
    assert (weight.grad[:, :, 0] == 0).all() and (weight.grad[:, :, 1, 1] != 0).any()


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("case", LARGE)
def test_large_gradients_take_no_memory(case, mixed):
    weight, bias = parameters(swiftnet, case, "float32")
    optimizer = swiftnet.optim.SGD([weight, bias], lr=0.1, momentum=0.9)
    for _ in range(2):
        optimizer.zero_grad()
        before = swiftnet.memory.statistics()["live"]
        with swiftnet.autocast("cpu", dtype=swiftnet.bfloat16, enabled=mixed):
            loss, x = loss_of(swiftnet, case, weight, bias)
        loss.backward()
        optimizer.step()
        del loss, x
        kept = swiftnet.memory.statistics()["live"] - before
    assert kept < 0.25 * weight.numel() * 4
    assert np.isfinite(weight.grad.numpy()).all()


@pytest.mark.parametrize("order", [1, -1])
def test_a_learned_input(order):
    """The input of one layer is a parameter that the same step changes, and so is its weight, used twice."""
    found = []
    for m in (swiftnet, torch):
        functional = (torch.nn if m is torch else swiftnet.nn).functional
        tokens = values(m, 3, 600).requires_grad_()
        weight = (values(m, 600, 600) * 0.05).requires_grad_()
        table = (values(m, 600, 520, offset=1) * 0.05).requires_grad_()
        optimizer = m.optim.SGD([tokens, weight, table][::order], lr=0.1, momentum=0.9)
        for _ in range(3):
            optimizer.zero_grad()
            hidden = functional.linear(functional.linear(tokens, weight).tanh(), weight).tanh()
            (hidden @ table).square().mean().backward()
            optimizer.step()
        found.append((tokens, weight, table, table.grad))
    compare(found, 1e-10)


def test_a_gradient_in_another_order_is_not_there_twice():
    weight, bias = parameters(swiftnet, "many classes between", "float32")
    loss, _ = loss_of(swiftnet, "many classes between", weight, bias)
    loss.item()
    before = swiftnet.memory.statistics()["live"]
    swiftnet.memory.reset_peak()
    loss.backward()
    weight.grad.data_ptr()
    assert swiftnet.memory.peak() - before < 1.9 * weight.numel() * 4


def write_through_numpy(m, weight):
    weight.detach().numpy()[:] *= 0.5


CHANGES = {
    "none": lambda m, weight: None,
    "in place": lambda m, weight: m.no_grad()(lambda: weight.mul_(0.5))(),
    "data": lambda m, weight: weight.data.add_(0.01),
    "a view": lambda m, weight: weight.detach()[1].fill_(0.25),
    "another tensor": lambda m, weight: setattr(weight, "data", weight.data * 0.5),
    "NumPy": write_through_numpy,
    "another step": None,
}


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("case", SEEN_TAPS)
def test_weights_changed_between_steps(case, change, mixed):
    """An optimizer keeps the taps that it has just changed for the next step: of the weight as it is then."""
    found = []
    for m in (swiftnet, torch):
        weight, bias = parameters(m, case, "float32")
        optimizer = m.optim.SGD([weight, bias], lr=0.1, momentum=0.9)
        # Once with an array that has been there all along.
        aliases = [weight.detach().numpy()] if change == "NumPy" and case == "a corner" else []
        results = []
        for round_ in range(4):
            with m.autocast("cpu", m.bfloat16, enabled=mixed):
                loss, _ = loss_of(m, case, weight, bias, round_)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if change == "another step":
                optimizer.step()
            else:
                CHANGES[change](m, weight)
            for alias in aliases:
                alias[0] = 0.125
            results += [loss.detach(), weight.detach().clone()]
            if round_ == 2:
                # Evaluated between two steps.
                with m.no_grad():
                    results.append(loss_of(m, case, weight, bias)[0])
        found.append(results)
    compare(found, 2e-2 if mixed else 2e-5)
