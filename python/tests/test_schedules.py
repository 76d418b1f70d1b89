"""Schedules against torch.optim over 300 steps: rates, momentums and betas; averages of weights; schedules of its own."""

import copy
import math
import pickle
import sys
import warnings

import numpy as np
import pytest
import swiftnet
import torch

LIBRARIES = [swiftnet, torch]
STEPS = 300


class Decay:
    """A function with state of its own."""

    def __init__(self, rate):
        self.rate = rate

    def __call__(self, epoch):
        return self.rate**epoch


SCHEDULES = [
    ("LambdaLR", (lambda epoch: 0.98**epoch,), {}), ("LambdaLR", (lambda epoch: 1 / (1 + epoch),), {}),
    ("LambdaLR", ([Decay(0.99), lambda epoch: 1.0],), {}), ("MultiplicativeLR", (lambda epoch: 0.97,), {}),
    ("MultiplicativeLR", ([lambda epoch: 0.97, lambda epoch: 1 - 1 / (epoch + 3)],), {}),
    ("StepLR", (30,), {}), ("StepLR", (7, 0.8), {}), ("MultiStepLR", ([30, 80, 80, 200],), {}),
    ("MultiStepLR", ([1, 150],), {"gamma": 0.5}), ("ConstantLR", (), {}), ("ConstantLR", (0.3, 120), {}),
    ("LinearLR", (), {}), ("LinearLR", (0.01, 0.9, 250), {}), ("LinearLR", (1.0, 0.0, 300), {}),
    ("ExponentialLR", (0.97,), {}), ("ExponentialLR", (1.01,), {}), ("PolynomialLR", (), {}),
    ("PolynomialLR", (280, 0.9), {}), ("PolynomialLR", (300, 2.0), {}), ("CosineAnnealingLR", (300,), {}),
    ("CosineAnnealingLR", (40, 0.003), {}), ("CosineAnnealingLR", (7,), {}),
    ("CosineAnnealingWarmRestarts", (50,), {}), ("CosineAnnealingWarmRestarts", (10, 2, 0.001), {}),
    ("CyclicLR", (0.01, 0.1), {"step_size_up": 40}),
    ("CyclicLR", (0.01, 0.1), {"step_size_up": 30, "step_size_down": 50, "mode": "triangular2"}),
    ("CyclicLR", ([0.01, 0.02], [0.1, 0.3]), {"step_size_up": 25, "mode": "exp_range", "gamma": 0.99}),
    ("CyclicLR", (0.01, 0.1), {"step_size_up": 20, "base_momentum": 0.5, "max_momentum": 0.95}),
    ("CyclicLR", (0.01, 0.1), {"step_size_up": 20, "cycle_momentum": False}),
    ("CyclicLR", (0.01, 0.1), {"step_size_up": 20, "scale_fn": Decay(0.9), "scale_mode": "cycle"}),
    ("CyclicLR", (0.01, 0.1), {"step_size_up": 20, "scale_fn": Decay(0.99), "scale_mode": "iterations"}),
    ("OneCycleLR", (0.5,), {"total_steps": 300}), ("OneCycleLR", ([0.5, 0.1],), {"epochs": 30, "steps_per_epoch": 10}),
    ("OneCycleLR", (0.5,), {"total_steps": 300, "anneal_strategy": "linear", "three_phase": True}),
    ("OneCycleLR", (0.5,), {"total_steps": 310, "pct_start": 0.1, "div_factor": 10.0, "final_div_factor": 50.0,
                            "base_momentum": 0.7, "max_momentum": 0.99}),
    ("OneCycleLR", (0.5,), {"total_steps": 300, "cycle_momentum": False}),
    ("SWALR", (0.02,), {}), ("SWALR", ([0.02, 0.5],), {"anneal_epochs": 100, "anneal_strategy": "linear"}),
    ("SWALR", (0.02,), {"anneal_epochs": 0}),
]  # fmt: skip
NAMES = [f"{row[0]}-{index}" for index, row in enumerate(SCHEDULES)]


def made(library, name="SGD", **options):
    params = [library.nn.Parameter(library.ones(2)) for _ in range(3)]
    options = {"momentum": 0.9} if name == "SGD" and not options else options
    return getattr(library.optim, name)([{"params": params[:2]}, {"params": params[2:], "lr": 0.3}], lr=0.1, **options)


def schedule_of(library, name, optimizer, args, options):
    module = library.optim.swa_utils if name == "SWALR" else library.optim.lr_scheduler
    return getattr(module, name)(optimizer, *copy.deepcopy(args), **copy.deepcopy(options))


def settings(optimizer):
    return [
        value
        for group in optimizer.param_groups
        for value in (group["lr"], group.get("momentum", 0.0), *group.get("betas", ()))
    ]


def history(optimizer, schedule, steps=STEPS):
    found = []
    for _ in range(steps):
        found.append(settings(optimizer))
        assert schedule.get_last_lr() == [group["lr"] for group in optimizer.param_groups]
        optimizer.step()
        schedule.step()
    return np.array(found)


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("name, args, options", SCHEDULES, ids=NAMES)
def test_300_steps(name, args, options, optimizer):
    found = []
    for library in LIBRARIES:
        o = made(library, optimizer)
        found.append(history(o, schedule_of(library, name, o, args, options)))
    np.testing.assert_allclose(*found, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name, args, options", SCHEDULES, ids=NAMES)
def test_states_go_on(name, args, options):
    """A schedule goes on from a saved state as if nothing had happened, also from torch's state."""
    whole = made(swiftnet)
    expected = history(whole, schedule_of(swiftnet, name, whole, args, options), 60)[35:]
    for library in LIBRARIES:
        first = made(library)
        schedule = schedule_of(library, name, first, args, options)
        history(first, schedule, 35)
        state, groups = schedule.state_dict(), first.state_dict()
        assert "optimizer" not in state
        if library is swiftnet:
            state = pickle.loads(pickle.dumps(state))
        second = made(swiftnet)
        schedule = schedule_of(swiftnet, name, second, args, options)
        second.load_state_dict(groups)
        schedule.load_state_dict(state)
        np.testing.assert_allclose(history(second, schedule, 25), expected, rtol=1e-12, atol=1e-12)


KINDS = ["sequential", "chained", "nested", "warmup"]


def combined(library, kind, optimizer):
    module = library.optim.lr_scheduler
    if kind == "chained":
        return module.ChainedScheduler(
            [module.ConstantLR(optimizer, 0.1, 40), module.ExponentialLR(optimizer, 0.99)], optimizer
        )
    parts = [module.LinearLR(optimizer, 0.1, total_iters=40), module.CosineAnnealingLR(optimizer, 100)]
    if kind == "nested":
        inner = module.SequentialLR(optimizer, parts, [40])
        return module.ChainedScheduler([inner, module.StepLR(optimizer, 70, 0.5)])
    if kind == "warmup":
        parts[1] = module.CosineAnnealingWarmRestarts(optimizer, 50)
    return module.SequentialLR(optimizer, parts, [40])


@pytest.mark.parametrize("kind", KINDS)
def test_schedules_of_schedules(kind):
    found = []
    for library in LIBRARIES:
        o = made(library)
        found.append(history(o, combined(library, kind, o)))
    np.testing.assert_allclose(*found, rtol=1e-12)


PLATEAUS = [
    {}, {"mode": "max", "factor": 0.5, "patience": 3}, {"patience": 5, "cooldown": 4, "min_lr": [0.001, 0.01]},
    {"threshold": 0.05, "threshold_mode": "abs", "patience": 2}, {"factor": 0.9, "patience": 0, "eps": 1e-3},
]  # fmt: skip


@pytest.mark.parametrize("options", PLATEAUS)
def test_plateaus(options):
    metrics = np.cumsum(np.random.default_rng(0).standard_normal(STEPS)) / 10
    found = []
    for library in LIBRARIES:
        optimizer = made(library)
        schedule = library.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
        rates = []
        for metric in metrics:
            optimizer.step()
            schedule.step(metric)
            rates.append(settings(optimizer))
            assert schedule.get_last_lr() == [group["lr"] for group in optimizer.param_groups]
        found.append(rates)
        again = library.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
        again.load_state_dict(schedule.state_dict())
        assert again.best == schedule.best and again.num_bad_epochs == schedule.num_bad_epochs
    np.testing.assert_allclose(*found, rtol=1e-12)


MISTAKES = [
    ("CyclicLR", (0.01, 0.1), {"mode": "other"}), ("OneCycleLR", (0.1,), {}), ("OneCycleLR", (0.1,), {"total_steps": -1}),
    ("OneCycleLR", (0.1,), {"total_steps": 10, "pct_start": 2.0}), ("LambdaLR", ([lambda e: 1.0],), {}),
    ("OneCycleLR", (0.1,), {"total_steps": 10, "anneal_strategy": "x"}), ("ConstantLR", (2.0,), {}),
    ("LinearLR", (0.0,), {}), ("LinearLR", (0.5, 2.0), {}), ("CosineAnnealingWarmRestarts", (0,), {}),
    ("CosineAnnealingWarmRestarts", (5, 0), {}), ("ReduceLROnPlateau", (), {"factor": 1.5}),
    ("ReduceLROnPlateau", (), {"mode": "x"}), ("ReduceLROnPlateau", (), {"threshold_mode": "x"}),
    ("ReduceLROnPlateau", (), {"min_lr": [0.1]}), ("SWALR", (0.1,), {"anneal_strategy": "x"}),
    ("SWALR", (0.1,), {"anneal_epochs": -1}), ("SWALR", ([0.1],), {}),
]  # fmt: skip


@pytest.mark.parametrize("name, args, options", MISTAKES)
def test_mistakes(name, args, options):
    errors = []
    for library in LIBRARIES:
        with pytest.raises(Exception) as error:  # noqa: B017, PT011 - whatever torch raises
            schedule_of(library, name, made(library), args, options)
        errors.append(error.type)
    assert errors[0] is errors[1]


def test_the_order_of_calls():
    for library in LIBRARIES:
        schedule = library.optim.lr_scheduler.StepLR(made(library), 2)
        with pytest.warns(UserWarning, match="before `optimizer.step"):
            schedule.step()
        optimizer = made(library)
        schedule = library.optim.lr_scheduler.StepLR(optimizer, 2)
        optimizer.step()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            schedule.step()


def test_a_schedule_written_in_python():
    found = []
    for library in LIBRARIES:

        class Inverse(library.optim.lr_scheduler.LRScheduler):
            def __init__(self, optimizer, scale, last_epoch=-1):
                self.scale = scale
                super().__init__(optimizer, last_epoch)

            def get_lr(self):
                return [base / (1 + self.scale * self.last_epoch) for base in self.base_lrs]

        o = made(library)
        found.append(history(o, Inverse(o, 0.1), 50))
    np.testing.assert_allclose(*found, rtol=1e-12)


def test_a_function_that_sets_rates():
    """The way of a program without a scheduler: the Swift optimizer sees the rate at once."""

    def adjust_learning_rate(optimizer, epoch):
        lr = 0.1 * (0.1 ** (epoch // 3))
        for param_group in optimizer.param_groups:
            param_group["lr"] = lr

    found = []
    for library in LIBRARIES:
        p = library.nn.Parameter(library.ones(2, dtype=library.float64))
        optimizer = library.optim.SGD([p], lr=0.1, momentum=0.9)
        values = []
        for epoch in range(10):
            (p * p).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
            adjust_learning_rate(optimizer, epoch)
            values.append(p.detach().tolist())
        found.append(values)
    np.testing.assert_allclose(*found, rtol=1e-12)


# ---- beyond PyTorch's ----


@pytest.mark.parametrize("options", [{}, {"power": 2.0, "min_lr": 0.01}, {"power": 1.0}])
def test_poly(options):
    optimizer = made(swiftnet)
    schedule = swiftnet.optim.lr_scheduler.PolyLR(optimizer, 200, **options)
    found = history(optimizer, schedule)[:, 0]
    power, least = options.get("power", 0.9), options.get("min_lr", 0.0)
    expected = [least + (0.1 - least) * (1 - min(step, 200) / 200) ** power for step in range(STEPS)]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
    if not least:
        other = made(torch)
        theirs = history(other, torch.optim.lr_scheduler.PolynomialLR(other, 200, power))[:, 0]
        np.testing.assert_allclose(found, theirs, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(
    "mode, share",
    [
        ("linear", lambda t: 0.1 + 0.9 * t), ("constant", lambda t: 0.1 if t < 1 else 1.0),
        ("exponential", lambda t: 0.1 ** (1 - t)),
    ],
)  # fmt: skip
def test_warmup(mode, share):
    optimizer = made(swiftnet)
    after = swiftnet.optim.lr_scheduler.PolyLR(optimizer, 100)
    schedule = swiftnet.optim.lr_scheduler.WarmupLR(after, 20, mode=mode)
    found = history(optimizer, schedule, 120)[:, 0]
    expected = [0.1 * share(step / 20) if step < 20 else 0.1 * (1 - (step - 20) / 100) ** 0.9 for step in range(120)]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
    pickle.dumps(schedule.state_dict())
    for wrong in ({"mode": "x"}, {"start_factor": 0.0}, {"warmup_steps": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            swiftnet.optim.lr_scheduler.WarmupLR(after, **{"warmup_steps": 3, **wrong})


@pytest.mark.parametrize("name, args, options", SCHEDULES, ids=NAMES)
def test_looking_ahead_changes_nothing(name, args, options):
    optimizer = made(swiftnet)
    schedule = schedule_of(swiftnet, name, optimizer, args, options)
    history(optimizer, schedule, 5)
    before = copy.deepcopy([{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups])
    ahead = np.array(schedule.preview(40))
    after = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
    assert before == after
    width = len(settings(optimizer)) // 2
    np.testing.assert_array_equal(ahead, history(optimizer, schedule, 40)[:, ::width])


def test_plots():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    optimizer = made(swiftnet)
    axes = swiftnet.optim.lr_scheduler.OneCycleLR(optimizer, 0.5, total_steps=30).plot()
    assert len(axes.lines) == 2 and len(axes.lines[0].get_ydata()) == 30
    assert axes.get_title() == "OneCycleLR" and axes.get_xlabel() == "step"
    for kind in KINDS:
        optimizer = made(swiftnet)
        assert combined(swiftnet, kind, optimizer).plot(50, ax=plt.figure().gca(), color="red").lines
    plateau = swiftnet.optim.lr_scheduler.ReduceLROnPlateau(made(swiftnet), patience=1)
    with pytest.raises(ValueError, match="metrics"):
        plateau.plot(10)
    rates = plateau.plot(metrics=[1.0] * 6).lines[0].get_ydata()
    assert rates[0] > rates[-1]
    plt.close("all")


def test_plots_ask_for_matplotlib_by_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="matplotlib"):
        swiftnet.optim.lr_scheduler.StepLR(made(swiftnet), 2).plot()


# ---- averages of weights ----


def model(library):
    layers = library.nn
    net = layers.Sequential(layers.Linear(3, 4), layers.BatchNorm1d(4), layers.ReLU(), layers.Linear(4, 2))
    generator = np.random.default_rng(2)
    with library.no_grad():
        for parameter in net.parameters():
            parameter.copy_(library.tensor(generator.standard_normal(tuple(parameter.shape)).astype(np.float32)))
    return net


AVERAGES = [
    lambda utils: {}, lambda utils: {"use_buffers": True}, lambda utils: {"avg_fn": utils.get_ema_avg_fn(0.9)},
    lambda utils: {"multi_avg_fn": utils.get_ema_multi_avg_fn(0.8), "use_buffers": True},
    lambda utils: {"avg_fn": utils.get_swa_avg_fn()}, lambda utils: {"multi_avg_fn": utils.get_swa_multi_avg_fn()},
    lambda utils: {"avg_fn": lambda average, current, count: 0.5 * average + 0.5 * current},
]  # fmt: skip


@pytest.mark.parametrize("options", AVERAGES)
def test_averaged_models(options):
    batches = np.random.default_rng(3).standard_normal((6, 8, 3)).astype(np.float32)
    states = []
    for library in LIBRARIES:
        net = model(library)
        average = library.optim.swa_utils.AveragedModel(net, **options(library.optim.swa_utils))
        optimizer = library.optim.SGD(net.parameters(), lr=0.003)
        for batch in batches:
            optimizer.zero_grad()
            net(library.tensor(batch)).pow(2).sum().backward()
            optimizer.step()
            average.update_parameters(net)
        out = average(library.tensor(batches[0]))
        states.append((average.state_dict(), out.detach().numpy()))
        library.optim.swa_utils.update_bn([(library.tensor(b), 0) for b in batches], average)
        assert average.module[1].momentum == 0.1 and average.training
        states[-1] += (average(library.tensor(batches[1])).detach().numpy(), average.module[1].running_var.numpy())
    (own, *mine), (other, *theirs) = states
    assert list(own) == list(other)
    for key, value in own.items():
        np.testing.assert_allclose(value.numpy(), other[key].numpy(), rtol=2e-5, atol=1e-5, err_msg=key)
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


def test_mistakes_with_averages():
    utils = swiftnet.optim.swa_utils
    with pytest.raises(ValueError, match="decay"):
        utils.get_ema_multi_avg_fn(1.5)
    with pytest.raises(ValueError, match="decay"):
        utils.get_ema_avg_fn(-0.5)
    with pytest.raises(AssertionError, match="Only one"):
        utils.AveragedModel(model(swiftnet), avg_fn=utils.get_swa_avg_fn(), multi_avg_fn=utils.get_swa_multi_avg_fn())
    assert utils.update_bn([], swiftnet.nn.Linear(1, 1)) is None


def test_rates_as_tensors():
    for library in LIBRARIES:
        p = library.nn.Parameter(library.ones(2))
        optimizer = library.optim.SGD([p], lr=library.tensor(0.1))
        schedule = library.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        optimizer.step()
        schedule.step()
        assert math.isclose(float(optimizer.param_groups[0]["lr"]), 0.05, rel_tol=1e-6)
