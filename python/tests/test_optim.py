"""Optimizers and schedules against torch.optim: 300 steps of every setting, states exchanged, groups changed midway."""

import copy
import pickle

import numpy as np
import pytest
import swiftnet
import torch

SETTINGS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 1e-3}),
    ("SGD", {"lr": 0.001, "momentum": 0.5, "maximize": True}),
    ("SGD", {"lr": 0.1, "foreach": True}),
    ("Adam", {}),
    # Larger rates go on to oscillate around the minimum, where PyTorch itself makes 2e-8 of a change of 1e-15.
    ("Adam", {"lr": 0.002, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.01}),
    ("Adam", {"lr": 0.01, "amsgrad": True}),
    ("Adam", {"lr": 0.001, "maximize": True}),
    ("Adam", {"lr": 0.01, "fused": True}),
    ("Adam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.01, "weight_decay": 0.1, "amsgrad": True}),
    ("AdamW", {"lr": 0.001, "betas": (0.5, 0.9), "maximize": True}),
    ("NAdam", {}),
    ("NAdam", {"lr": 0.002, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.05, "momentum_decay": 0.01}),
    ("NAdam", {"lr": 0.003, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("NAdam", {"lr": 0.001, "maximize": True, "foreach": True}),
    ("RAdam", {}),
    ("RAdam", {"lr": 0.002, "betas": (0.8, 0.95), "weight_decay": 0.05}),
    ("RAdam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RAdam", {"lr": 0.001, "maximize": True}),
    ("Adamax", {}),
    ("Adamax", {"lr": 0.001, "betas": (0.9, 0.99), "eps": 1e-6, "weight_decay": 0.02}),
    ("Adamax", {"lr": 0.001, "maximize": True}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.01, "weight_decay": 0.02, "initial_accumulator_value": 0.5, "eps": 1e-8}),
    ("Adagrad", {"lr": 0.01, "maximize": True}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-5, "weight_decay": 0.01}),
    ("Adadelta", {"lr": 0.1, "maximize": True}),
    ("RMSprop", {"lr": 0.002}),
    ("RMSprop", {"lr": 0.0001, "alpha": 0.9, "eps": 1e-6, "weight_decay": 0.01, "momentum": 0.8}),
    ("RMSprop", {"lr": 0.002, "centered": True}),
    ("RMSprop", {"lr": 0.001, "centered": True, "momentum": 0.5, "maximize": True}),
    ("Rprop", {}),
    ("Rprop", {"lr": 0.1, "etas": (0.4, 1.3), "step_sizes": (1e-4, 2.0)}),
    ("Rprop", {"lr": 0.001, "maximize": True}),
    ("ASGD", {}),
    ("ASGD", {"lr": 0.05, "lambd": 0.01, "alpha": 0.6, "t0": 5, "weight_decay": 0.02}),
    ("ASGD", {"lr": 0.001, "maximize": True}),
    ("Adafactor", {}),
    ("Adafactor", {"lr": 0.003, "beta2_decay": -0.5, "eps": (1e-5, 1e-2), "d": 1.5, "weight_decay": 0.05}),
    ("Adafactor", {"lr": 0.01, "maximize": True}),
]
LIBRARIES = [swiftnet, torch]
GENERATOR = np.random.default_rng(0)
VALUES = [GENERATOR.standard_normal(shape) for shape in [(6, 5), (6,), (3, 2, 2), ()]]
TARGETS = [GENERATOR.standard_normal(value.shape) for value in VALUES]


def parameters(library, dtype="float64"):
    kind = getattr(library, dtype)
    return [library.nn.Parameter(library.tensor(value, dtype=kind)) for value in VALUES]


def loss(library, params):
    total = 0
    for p, target in zip(params, TARGETS, strict=True):
        total = total + ((p - library.tensor(target, dtype=p.dtype)) ** 2).sum() + 0.1 * p.sin().sum()
    return total


def train(library, optimizer, params, steps):
    for _ in range(steps):
        optimizer.zero_grad()
        loss(library, params).backward()
        optimizer.step()


def close(own, other, tolerance):
    for p, q in zip(own, other, strict=True):
        np.testing.assert_allclose(
            p.detach().to(swiftnet.float64).numpy(), q.detach().double().numpy(), rtol=tolerance, atol=tolerance
        )


@pytest.mark.parametrize("name, options", SETTINGS)
@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-10), ("float32", 3e-5)])
def test_300_steps(name, options, dtype, tolerance):
    found = []
    for library in LIBRARIES:
        params = parameters(library, dtype)
        train(library, getattr(library.optim, name)(params, **options), params, 300)
        found.append(params)
    close(*found, tolerance)


@pytest.mark.parametrize("options", [{}, {"d": 1.2, "weight_decay": 0.1, "maximize": True}])
def test_adafactor_of_many_shapes(options):
    """Rows that are shared out over threads, wide and narrow matrices, many small ones, vectors, strided parameters."""
    shapes = [(300, 200), (3, 70001), (70001, 2), (64, 33, 3, 3), (5, 1), (1, 5), (40000,), (1,), (130, 129)]
    generator = np.random.default_rng(3)
    values = [generator.standard_normal(shape) for shape in shapes]
    gradients = [[generator.standard_normal(shape) * 10.0**-k for shape in shapes] for k in range(4)]
    found = []
    for library in LIBRARIES:
        params = [library.nn.Parameter(library.tensor(value)) for value in values]
        params[8] = library.nn.Parameter(library.tensor(values[8]).t())
        optimizer = library.optim.Adafactor(params, lr=0.02, **options)
        for step in gradients:
            for position, (param, gradient) in enumerate(zip(params, step, strict=True)):
                param.grad = library.tensor(gradient.T if position == 8 else gradient)
            optimizer.step()
        found.append(params)
    close(*found, 1e-11)


def test_adafactor_leaves_empty_parameters_alone():
    params = [swiftnet.nn.Parameter(swiftnet.ones(shape)) for shape in [(0,), (0, 3), (2, 0), (3,)]]
    for param in params:
        param.grad = swiftnet.ones_like(param)
    swiftnet.optim.Adafactor(params, lr=0.01).step()
    assert [tuple(param.shape) for param in params[:3]] == [(0,), (0, 3), (2, 0)]
    assert params[3].isfinite().all() and (params[3] != 1).all()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision(dtype):
    params = parameters(swiftnet, dtype)
    optimizer = swiftnet.optim.SGD(params, lr=0.05, momentum=0.9)
    before = float(loss(swiftnet, params))
    train(swiftnet, optimizer, params, 20)
    assert params[0].dtype is getattr(swiftnet, dtype)
    assert float(loss(swiftnet, params)) < 0.5 * before


@pytest.mark.parametrize("name, options", SETTINGS)
def test_states_are_exchanged_with_torch(name, options):
    own, other = parameters(swiftnet), parameters(torch)
    first = getattr(swiftnet.optim, name)(own, **options)
    second = getattr(torch.optim, name)(other, **options)
    train(swiftnet, first, own, 5)
    train(torch, second, other, 5)
    a, b = first.state_dict(), second.state_dict()
    assert a["param_groups"] == b["param_groups"]
    assert list(a["param_groups"][0]) == list(b["param_groups"][0])
    assert list(a["state"]) == list(b["state"])
    for key in a["state"]:
        assert list(a["state"][key]) == list(b["state"][key])
        for entry, value in b["state"][key].items():
            np.testing.assert_allclose(a["state"][key][entry].numpy(), value.numpy(), rtol=1e-10, atol=1e-12)
            assert a["state"][key][entry].dtype.name == str(value.dtype).removeprefix("torch.")
    # Each goes on from the other's state.
    third = getattr(swiftnet.optim, name)(own, lr=3.0)
    third.load_state_dict(second.state_dict())
    fourth = getattr(torch.optim, name)(other, lr=3.0)
    assert third.param_groups[0]["lr"] == second.param_groups[0]["lr"]
    fourth.load_state_dict(
        {
            "param_groups": a["param_groups"],
            "state": {
                key: {n: torch.tensor(np.array(v.numpy())) for n, v in value.items()}
                for key, value in a["state"].items()
            },
        }
    )
    train(swiftnet, third, own, 5)
    train(torch, fourth, other, 5)
    close(own, other, 1e-9)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_groups_changed_midway(name):
    found = []
    for library in LIBRARIES:
        params = parameters(library)
        options = {"momentum": 0.9} if name == "SGD" else {}
        optimizer = getattr(library.optim, name)(
            [{"params": params[:2]}, {"params": params[2], "lr": 0.2, "weight_decay": 0.1}], lr=0.01, **options
        )
        train(library, optimizer, params, 3)
        for group in optimizer.param_groups:
            group["lr"] *= 0.5
        train(library, optimizer, params, 3)
        optimizer.add_param_group({"params": [params[3]], "lr": 0.3})
        train(library, optimizer, params, 3)
        optimizer.param_groups[0]["weight_decay"] = 0.2
        optimizer.param_groups[0]["lr"] = library.tensor(0.02, dtype=library.float64)
        train(library, optimizer, params, 3)
        found.append((params, optimizer))
    close(found[0][0], found[1][0], 1e-8)
    texts = [repr(optimizer) for _, optimizer in found]
    assert texts[0] == texts[1]


def test_state_can_be_read_and_changed():
    params = parameters(swiftnet)
    optimizer = swiftnet.optim.Adam(params, lr=0.1)
    assert len(optimizer.state) == 0
    train(swiftnet, optimizer, params, 2)
    state = optimizer.state[params[0]]
    assert float(state["step"]) == 2
    assert list(state) == ["step", "exp_avg", "exp_avg_sq"]
    state["exp_avg"].zero_()
    assert float(optimizer.state[params[0]]["exp_avg"].abs().sum()) == 0
    assert len(optimizer.state) == 4
    optimizer.state.clear()
    assert len(optimizer.state) == 0
    train(swiftnet, optimizer, params, 1)
    assert float(optimizer.state[params[0]]["step"]) == 1


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_copies(duplicate):
    params = parameters(swiftnet)
    optimizer = swiftnet.optim.Adam(params, lr=0.1)
    train(swiftnet, optimizer, params, 3)
    twin = duplicate(optimizer)
    others = twin.param_groups[0]["params"]
    train(swiftnet, optimizer, params, 3)
    train(swiftnet, twin, others, 3)
    for p, q in zip(params, others, strict=True):
        assert p is not q
        np.testing.assert_array_equal(p.detach().numpy(), q.detach().numpy())


def test_closure_hooks_and_zero_grad():
    params = parameters(swiftnet)
    optimizer = swiftnet.optim.SGD(params, lr=0.1)
    log = []
    optimizer.register_step_pre_hook(lambda o, args, kwargs: log.append("pre"))
    optimizer.register_step_post_hook(lambda o, args, kwargs: log.append("post"))

    def closure():
        optimizer.zero_grad()
        value = loss(swiftnet, params)
        value.backward()
        return value

    with swiftnet.no_grad():
        assert float(optimizer.step(closure)) > 0
    assert log == ["pre", "post"]
    optimizer.zero_grad(set_to_none=False)
    assert float(params[0].grad.abs().sum()) == 0
    optimizer.zero_grad()
    assert params[0].grad is None
    before = params[0].detach().clone()
    optimizer.step()
    assert swiftnet.equal(before, params[0])


def test_an_optimizer_written_in_python():
    class Plain(swiftnet.optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        @swiftnet.no_grad()
        def step(self):
            for group in self.param_groups:
                for p in group["params"]:
                    self.state[p]["count"] = self.state[p].get("count", 0) + 1
                    p.add_(p.grad, alpha=-group["lr"])

    params, others = parameters(swiftnet), parameters(swiftnet)
    train(swiftnet, Plain(params, 0.1), params, 5)
    train(swiftnet, swiftnet.optim.SGD(others, 0.1), others, 5)
    for p, q in zip(params, others, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-12)


ERRORS = [
    ("SGD", {"lr": -1.0}), ("SGD", {"lr": 0.1, "momentum": -1.0}), ("SGD", {"lr": 0.1, "weight_decay": -1.0}),
    ("SGD", {"lr": 0.1, "nesterov": True}), ("Adam", {"lr": -1.0}), ("Adam", {"eps": -1.0}),
    ("Adam", {"betas": (1.0, 0.9)}), ("Adam", {"betas": (0.9, -0.5)}), ("AdamW", {"weight_decay": -1.0}),
    ("Adam", {"foreach": True, "fused": True}), ("NAdam", {"lr": -1.0}), ("NAdam", {"momentum_decay": -1.0}),
    ("NAdam", {"betas": (0.5, 1.5)}), ("NAdam", {"weight_decay": -0.5}), ("RAdam", {"eps": -1.0}),
    ("RAdam", {"betas": (-0.1, 0.9)}), ("Adamax", {"lr": -0.5}), ("Adamax", {"betas": (0.5, 1.0)}),
    ("Adagrad", {"lr": -1.0}), ("Adagrad", {"lr_decay": -1.0}), ("Adagrad", {"initial_accumulator_value": -1.0}),
    ("Adagrad", {"eps": -1.0}), ("Adadelta", {"rho": 2.0}), ("Adadelta", {"eps": -1.0}), ("RMSprop", {"alpha": -1.0}),
    ("RMSprop", {"momentum": -1.0}), ("Rprop", {"etas": (1.0, 2.0)}), ("Rprop", {"lr": -1.0}), ("ASGD", {"lr": -1.0}),
    ("ASGD", {"weight_decay": -1.0}), ("Adafactor", {"lr": -1.0}), ("Adafactor", {"d": 0.5}),
    ("Adafactor", {"beta2_decay": 0.5}), ("Adafactor", {"eps": (-1.0, 1e-3)}), ("Adafactor", {"eps": (None, -1.0)}),
    ("LBFGS", {"lr": -1.0}), ("SGD", {"foreach": True, "fused": True}),
]  # fmt: skip


@pytest.mark.parametrize("name, options", ERRORS)
def test_wrong_options(name, options):
    with pytest.raises(Exception) as expected:  # noqa: B017, PT011 - whatever torch raises
        getattr(torch.optim, name)(parameters(torch), **options)
    with pytest.raises(expected.type) as found:
        getattr(swiftnet.optim, name)(parameters(swiftnet), **options)
    assert str(found.value) == str(expected.value)


WRONG_PARAMETERS = [
    lambda library: [],
    lambda library: library.ones(2),
    lambda library: [3],
    lambda library: [library.ones(2, requires_grad=True) * 2],
    lambda library: [{"params": {library.ones(2)}}],
]


@pytest.mark.parametrize("make", WRONG_PARAMETERS)
def test_wrong_parameters(make):
    with pytest.raises(Exception) as expected:  # noqa: B017, PT011 - whatever torch raises
        torch.optim.SGD(make(torch), lr=0.1)
    with pytest.raises(expected.type):
        swiftnet.optim.SGD(make(swiftnet), lr=0.1)


def test_a_parameter_in_two_groups():
    p = swiftnet.ones(2, requires_grad=True)
    with pytest.raises(ValueError, match="more than one parameter group"):
        swiftnet.optim.SGD([{"params": [p]}, {"params": [p]}], lr=0.1)


def test_states_that_do_not_fit():
    optimizer = swiftnet.optim.SGD(parameters(swiftnet), lr=0.1)
    state = optimizer.state_dict()
    with pytest.raises(ValueError, match="different number of parameter groups"):
        optimizer.load_state_dict({**state, "param_groups": state["param_groups"] * 2})
    short = [{**state["param_groups"][0], "params": [0]}]
    with pytest.raises(ValueError, match="doesn't match the size"):
        optimizer.load_state_dict({**state, "param_groups": short})


SCHEDULES = [
    ("StepLR", (3,), {}), ("StepLR", (4, 0.5), {}), ("MultiStepLR", ([2, 5, 5, 9],), {"gamma": 0.3}),
    ("ConstantLR", (), {}), ("ConstantLR", (0.2, 4), {}), ("LinearLR", (), {}), ("LinearLR", (0.1, 0.8, 7), {}),
    ("ExponentialLR", (0.9,), {}), ("PolynomialLR", (8, 2.0), {}), ("PolynomialLR", (), {}),
    ("CosineAnnealingLR", (6,), {}), ("CosineAnnealingLR", (5, 0.01), {}),
    ("CosineAnnealingWarmRestarts", (3,), {}), ("CosineAnnealingWarmRestarts", (2, 2, 0.001), {}),
    ("LambdaLR", (lambda epoch: 0.9**epoch,), {}), ("MultiplicativeLR", (lambda epoch: 0.95,), {}),
    ("CyclicLR", (0.01, 0.1), {"step_size_up": 4}),
    ("CyclicLR", (0.01, 0.1), {"step_size_up": 3, "step_size_down": 5, "mode": "triangular2"}),
    ("CyclicLR", (0.01, 0.1), {"step_size_up": 3, "mode": "exp_range", "gamma": 0.9, "cycle_momentum": False}),
    ("CyclicLR", (0.01, 0.1), {"step_size_up": 3, "scale_fn": lambda x: 0.5**x, "scale_mode": "iterations"}),
    ("OneCycleLR", (0.5,), {"total_steps": 25}),
    ("OneCycleLR", (0.5,), {"epochs": 5, "steps_per_epoch": 5, "anneal_strategy": "linear", "three_phase": True}),
]  # fmt: skip


def history(library, make, steps=24):
    params = parameters(library)
    optimizer = library.optim.SGD([{"params": params[:2]}, {"params": params[2:], "lr": 0.3}], lr=0.1, momentum=0.9)
    schedule = make(library.optim.lr_scheduler, optimizer)
    rates = []
    for _ in range(steps):
        rates.append([(group["lr"], group["momentum"]) for group in optimizer.param_groups])
        assert schedule.get_last_lr() == [group["lr"] for group in optimizer.param_groups]
        optimizer.step()
        schedule.step()
    return np.array(rates), schedule


@pytest.mark.parametrize("name, args, options", SCHEDULES)
def test_schedules(name, args, options):
    own, schedule = history(swiftnet, lambda module, o: getattr(module, name)(o, *args, **options))
    other, expected = history(torch, lambda module, o: getattr(module, name)(o, *args, **options))
    np.testing.assert_allclose(own, other, rtol=1e-12, atol=1e-14)
    state = schedule.state_dict()
    assert state["last_epoch"] == expected.state_dict()["last_epoch"]
    if not any(callable(a) for a in [*args, *options.values()]):
        pickle.dumps(state)
    schedule.load_state_dict(state)


@pytest.mark.parametrize("kind", ["sequential", "chained", "nested"])
def test_schedules_of_schedules(kind):
    def make(module, optimizer):
        if kind == "chained":
            return module.ChainedScheduler(
                [module.ConstantLR(optimizer, 0.1, 4), module.ExponentialLR(optimizer, 0.9)], optimizer
            )
        parts = [module.LinearLR(optimizer, 0.1, total_iters=4), module.CosineAnnealingLR(optimizer, 10)]
        if kind == "nested":
            parts.append(module.StepLR(optimizer, 2, 0.5))
            return module.SequentialLR(optimizer, parts, [4, 12])
        return module.SequentialLR(optimizer, parts, [4])

    (own, _), (other, _) = history(swiftnet, make), history(torch, make)
    np.testing.assert_allclose(own, other, rtol=1e-12)


def test_plateau():
    metrics = [1, 0.9, 0.95, 0.95, 0.95, 0.95, 0.8, 0.85, 0.85, 0.85, 0.85, 0.85, 0.85]
    rates = []
    for library in LIBRARIES:
        params = parameters(library)
        optimizer = library.optim.SGD(params, lr=0.1)
        schedule = library.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=2, cooldown=1, min_lr=1e-3)
        found = []
        for metric in metrics:
            schedule.step(metric)
            found.append(optimizer.param_groups[0]["lr"])
        rates.append(found)
    assert rates[0] == pytest.approx(rates[1], rel=1e-12)


def test_resumed_schedule():
    for name, args in [("CosineAnnealingLR", (6,)), ("ExponentialLR", (0.9,)), ("LinearLR", ()), ("PolynomialLR", ())]:
        rates = []
        for library in LIBRARIES:
            optimizer = library.optim.SGD(parameters(library), lr=0.1)
            optimizer.param_groups[0]["initial_lr"] = 0.1
            optimizer.param_groups[0]["lr"] = 0.05
            schedule = getattr(library.optim.lr_scheduler, name)(optimizer, *args, last_epoch=2)
            found = []
            for _ in range(4):
                found.append(optimizer.param_groups[0]["lr"])
                optimizer.step()
                schedule.step()
            rates.append(found)
        assert rates[0] == pytest.approx(rates[1], rel=1e-12), name


@pytest.mark.parametrize("p", [2.0, 1.0, float("inf")])
def test_clipping(p):
    found = []
    for library in LIBRARIES:
        params = parameters(library)
        loss(library, params).backward()
        norm = library.nn.utils.clip_grad_norm_(params, 0.5, norm_type=p)
        found.append([norm, *[q.grad for q in params]])
    close(*found, 1e-10)
    found = []
    for library in LIBRARIES:
        params = parameters(library)
        loss(library, params).backward()
        library.nn.utils.clip_grad_value_(params, 0.3)
        found.append([q.grad for q in params])
    close(*found, 1e-12)
    params = parameters(swiftnet)
    params[0].grad = swiftnet.full((6, 5), float("nan"), dtype=swiftnet.float64)
    with pytest.raises(RuntimeError, match="non-finite"):
        swiftnet.nn.utils.clip_grad_norm_(params, 1.0, error_if_nonfinite=True)


def test_parameters_as_a_vector():
    params = parameters(swiftnet)
    vector = swiftnet.nn.utils.parameters_to_vector(params)
    assert vector.numel() == sum(p.numel() for p in params)
    swiftnet.nn.utils.vector_to_parameters(vector.detach() * 2, params)
    np.testing.assert_allclose(params[0].detach().numpy(), VALUES[0] * 2)


# ---- Lion and LAMB, against their papers ----


def plain_lion(value, gradient, state, t, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0, maximize=False):
    gradient = -gradient if maximize else gradient
    m = state.setdefault("exp_avg", np.zeros_like(value))
    change = np.sign(betas[0] * m + (1 - betas[0]) * gradient)
    state["exp_avg"] = betas[1] * m + (1 - betas[1]) * gradient
    return value - lr * (change + weight_decay * value)


def plain_lamb(value, gradient, state, t, lr=1e-3, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.0, maximize=False):
    gradient = -gradient if maximize else gradient
    m = betas[0] * state.get("exp_avg", 0) + (1 - betas[0]) * gradient
    v = betas[1] * state.get("exp_avg_sq", 0) + (1 - betas[1]) * gradient**2
    state.update(exp_avg=m, exp_avg_sq=v)
    direction = m / (1 - betas[0] ** t) / (np.sqrt(v / (1 - betas[1] ** t)) + eps) + weight_decay * value
    length, size = np.sqrt((value**2).sum()), np.sqrt((direction**2).sum())
    return value - lr * (length / size if length > 0 and size > 0 else 1.0) * direction


@pytest.mark.parametrize(
    "name, plain, options",
    [
        ("Lion", plain_lion, {}), ("Lion", plain_lion, {"lr": 1e-3, "betas": (0.8, 0.95), "weight_decay": 0.1}),
        ("Lion", plain_lion, {"maximize": True}), ("LAMB", plain_lamb, {}),
        ("LAMB", plain_lamb, {"lr": 1e-2, "betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.1}),
        ("LAMB", plain_lamb, {"maximize": True}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-12), ("float32", 2e-6)])
def test_optimizers_of_papers(name, plain, options, dtype, tolerance):
    params = [*parameters(swiftnet, dtype), swiftnet.nn.Parameter(swiftnet.zeros(3, dtype=getattr(swiftnet, dtype)))]
    gradients = [np.random.default_rng(i).standard_normal((25, *p.shape)) for i, p in enumerate(params)]
    values = [p.detach().to(swiftnet.float64).numpy().copy() for p in params]
    states = [{} for _ in params]
    optimizer = getattr(swiftnet.optim, name)(params, **options)
    for step in range(25):
        for i, p in enumerate(params):
            p.grad = swiftnet.tensor(gradients[i][step], dtype=p.dtype)
            values[i] = plain(values[i], gradients[i][step], states[i], step + 1, **options)
        optimizer.step()
    for p, value, state in zip(params, values, states, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), value, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(
            optimizer.state[p]["exp_avg"].numpy(), state["exp_avg"], rtol=10 * tolerance, atol=1e-6
        )
    # What was saved goes on identically.
    twin_params = [swiftnet.nn.Parameter(p.detach().clone()) for p in params]
    twin = getattr(swiftnet.optim, name)(twin_params, lr=9.0)
    twin.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for p, q in zip(params, twin_params, strict=True):
        q.grad = p.grad
    optimizer.step()
    twin.step()
    for p, q in zip(params, twin_params, strict=True):
        assert swiftnet.equal(p, q)


# ---- all of them ----

NAMES = [
    "SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "Adagrad", "Adadelta", "RMSprop", "Rprop", "ASGD", "Adafactor",
    "Lion", "LAMB",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_of_all(name, dtype):
    params = parameters(swiftnet, dtype)
    optimizer = getattr(swiftnet.optim, name)(params, lr=1.0 if name == "Adadelta" else 0.05)
    before = float(loss(swiftnet, params))
    train(swiftnet, optimizer, params, 40)
    assert params[0].dtype is getattr(swiftnet, dtype)
    assert float(loss(swiftnet, params)) < before


@pytest.mark.parametrize("name", NAMES)
def test_strided_parameters_and_gradients(name):
    """Memory order makes no difference."""
    results = []
    for turned in (False, True):
        value = np.arange(12, dtype=np.float64).reshape(3, 4) / 7 - 1
        p = swiftnet.nn.Parameter(swiftnet.tensor(value.T.copy()).t() if turned else swiftnet.tensor(value))
        assert p.is_contiguous() is not turned
        optimizer = getattr(swiftnet.optim, name)([p], lr=0.01)
        for step in range(3):
            gradient = swiftnet.tensor(np.cos(value + step))
            p.grad = gradient if step % 2 else gradient.t().contiguous().t()
            optimizer.step()
        results.append(p.detach().numpy())
    np.testing.assert_allclose(results[0], results[1], rtol=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_what_has_no_gradient_rests(name):
    frozen, used = swiftnet.nn.Parameter(swiftnet.ones(3)), swiftnet.nn.Parameter(swiftnet.ones(3))
    frozen.requires_grad = False
    optimizer = getattr(swiftnet.optim, name)([frozen, used], lr=0.1)
    (frozen * used).sum().backward()
    optimizer.step()
    assert frozen.tolist() == [1, 1, 1]
    assert used.tolist() != [1, 1, 1]
    if name != "Adagrad":
        assert frozen not in optimizer.state


@pytest.mark.parametrize("name", [name for name in NAMES[:-2] if name != "Adafactor"])
def test_differentiable_is_refused(name):
    with pytest.raises(NotImplementedError, match="differentiable"):
        getattr(swiftnet.optim, name)(parameters(swiftnet), differentiable=True)


@pytest.mark.parametrize("name", NAMES)
def test_copies_of_all(name):
    params = parameters(swiftnet)
    optimizer = getattr(swiftnet.optim, name)(params, lr=0.01)
    train(swiftnet, optimizer, params, 3)
    twin = pickle.loads(pickle.dumps(optimizer))
    others = twin.param_groups[0]["params"]
    train(swiftnet, optimizer, params, 3)
    train(swiftnet, twin, others, 3)
    for p, q in zip(params, others, strict=True):
        np.testing.assert_array_equal(p.detach().numpy(), q.detach().numpy())


def test_state_that_does_not_fit_is_refused():
    params = parameters(swiftnet)
    optimizer = swiftnet.optim.Adafactor(params, lr=0.01)
    train(swiftnet, optimizer, params, 1)
    with pytest.raises(ValueError, match="does not fit"):
        optimizer.state[params[0]]["row_var"] = swiftnet.ones(5, 5)
    with pytest.raises(KeyError):
        optimizer.state[params[0]]["unknown"] = swiftnet.ones(5, 5)


def test_hooks_on_states():
    log = []
    params = parameters(swiftnet)
    optimizer = swiftnet.optim.RMSprop(params, lr=0.1)
    optimizer.register_state_dict_pre_hook(lambda o: log.append("before saving"))
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "note": 1})
    optimizer.register_load_state_dict_pre_hook(lambda o, state: log.append(state["note"]))
    optimizer.register_load_state_dict_post_hook(lambda o: log.append("after loading"))
    optimizer.load_state_dict(optimizer.state_dict())
    assert log == ["before saving", 1, "after loading"]


@pytest.mark.parametrize("kind", ["float32", "bfloat16", "transposed"])
@pytest.mark.parametrize("name, options", [("SGD", {"momentum": 0.9, "weight_decay": 0.1}), ("Adam", {"lr": 0.01})])
def test_parameters_of_the_same_memory(name, options, kind):
    """Two parameters over the same elements are updated one after the other, as PyTorch does."""
    for _ in range(10):
        found = []
        for lib in (swiftnet, torch):
            first = lib.nn.Parameter(lib.linspace(0.5, 2, 200 * 300).reshape(200, 300))
            second = first.data
            if kind == "bfloat16":
                first = lib.nn.Parameter(second.bfloat16())
                second = first.data
            second = lib.nn.Parameter(second.t() if kind == "transposed" else second)
            third = lib.nn.Parameter(first.data[50:70])
            optimizer = getattr(lib.optim, name)([first, second, third], **{"lr": 0.1, **options})
            for _ in range(3):
                optimizer.zero_grad()
                (first.sum() * 2 + (second * second).sum() + third.sum()).backward()
                optimizer.step()
            found.append(first.detach().float().numpy())
        np.testing.assert_allclose(*found, rtol=2e-2 if kind == "bfloat16" else 1e-5)
