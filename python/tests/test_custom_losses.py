# ruff: noqa: RET504, UP008
"""Losses that a user writes: the four classes and the function of a tutorial as they stand there, and others."""

import numpy as np
import pytest
import swiftnet
import swiftnet as torch
import swiftnet.nn as nn
import swiftnet.nn.functional as F
import torch as pytorch
from swiftnet import losses


# fmt: off
def my_loss(output, target):
    loss = torch.mean((output - target)**2)
    return loss


class DiceLoss(nn.Module):
    def __init__(self, weight=None, size_average=True):
        super(DiceLoss,self).__init__()
    def forward(self, inputs, targets, smooth=1):
        inputs = F.sigmoid(inputs)
        inputs = inputs.view(-1)
        targets = targets.view(-1)
        intersection = (inputs * targets).sum()
        dice = (2.*intersection + smooth)/(inputs.sum() + targets.sum() + smooth)
        return 1 - dice


class DiceBCELoss(nn.Module):
    def __init__(self, weight=None, size_average=True):
        super(DiceBCELoss, self).__init__()
    def forward(self, inputs, targets, smooth=1):
        inputs = F.sigmoid(inputs)
        inputs = inputs.view(-1)
        targets = targets.view(-1)
        intersection = (inputs * targets).sum()
        dice_loss = 1 - (2.*intersection + smooth)/(inputs.sum() + targets.sum() + smooth)
        BCE = F.binary_cross_entropy(inputs, targets, reduction='mean')
        Dice_BCE = BCE + dice_loss
        return Dice_BCE


class IoULoss(nn.Module):
    def __init__(self, weight=None, size_average=True):
        super(IoULoss, self).__init__()
    def forward(self, inputs, targets, smooth=1):
        inputs = F.sigmoid(inputs)
        inputs = inputs.view(-1)
        targets = targets.view(-1)
        intersection = (inputs * targets).sum()
        total = (inputs + targets).sum()
        union = total - intersection
        IoU = (intersection + smooth)/(union + smooth)
        return 1 - IoU


ALPHA = 0.8
GAMMA = 2


class FocalLoss(nn.Module):
    def __init__(self, weight=None, size_average=True):
        super(FocalLoss, self).__init__()
    def forward(self, inputs, targets, alpha=ALPHA, gamma=GAMMA, smooth=1):
        inputs = F.sigmoid(inputs)
        inputs = inputs.view(-1)
        targets = targets.view(-1)
        BCE = F.binary_cross_entropy(inputs, targets, reduction='mean')
        BCE_EXP = torch.exp(-BCE)
        focal_loss = alpha * (1-BCE_EXP)**gamma * BCE
        return focal_loss

# fmt: on


def reference(name, x, y, smooth=1, alpha=0.8, gamma=2):
    """The same in PyTorch's float64."""
    p = pytorch.sigmoid(x).reshape(-1)
    y = y.reshape(-1)
    both, total = (p * y).sum(), p.sum() + y.sum()
    dice = 1 - (2 * both + smooth) / (total + smooth)
    bce = pytorch.nn.functional.binary_cross_entropy(p, y)
    if name == "DiceLoss":
        return dice
    if name == "DiceBCELoss":
        return bce + dice
    if name == "IoULoss":
        return 1 - (both + smooth) / (total - both + smooth)
    return alpha * (1 - pytorch.exp(-bce)) ** gamma * bce


OWN = {"DiceLoss": DiceLoss, "DiceBCELoss": DiceBCELoss, "IoULoss": IoULoss, "FocalLoss": FocalLoss}


def _data(shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) * 2, (rng.random(shape) > 0.6).astype("float64")


@pytest.mark.parametrize("shape", [(7,), (3, 1, 8, 9), (2, 64, 300)])
@pytest.mark.parametrize("kind", ["own", "built-in"])
@pytest.mark.parametrize("name", OWN)
def test_the_four_losses(name, kind, shape):
    x, y = _data(shape)
    criterion = OWN[name]() if kind == "own" else getattr(losses, name)()
    given = torch.tensor(x, requires_grad=True)
    expected = pytorch.tensor(x, requires_grad=True)
    loss = criterion(given, torch.tensor(y))
    wanted = reference(name, expected, pytorch.tensor(y))
    assert loss.shape == ()
    assert float(loss) == pytest.approx(float(wanted), rel=1e-12)
    loss.backward()
    wanted.backward()
    np.testing.assert_allclose(given.grad.numpy(), expected.grad.numpy(), rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("name", OWN)
def test_arguments_of_the_call(name):
    x, y = _data((4, 5))
    options = {"alpha": 0.3, "gamma": 1.5} if name == "FocalLoss" else {"smooth": 0.25}
    wanted = float(reference(name, pytorch.tensor(x), pytorch.tensor(y), **options))
    for criterion in (OWN[name](), getattr(losses, name)()):
        before = float(criterion(torch.tensor(x), torch.tensor(y)))
        assert float(criterion(torch.tensor(x), torch.tensor(y), **options)) == pytest.approx(wanted, rel=1e-12)
        assert float(criterion(torch.tensor(x), torch.tensor(y))) == before


def test_a_function():
    x, y = _data((4, 5))
    output = torch.tensor(x, requires_grad=True)
    loss = my_loss(output, torch.tensor(y))
    assert float(loss) == pytest.approx(float(((x - y) ** 2).mean()))
    loss.backward()
    np.testing.assert_allclose(output.grad.numpy(), 2 * (x - y) / 20)


def test_training_with_them():
    for criterion in (*[cls() for cls in OWN.values()], *[getattr(losses, name)() for name in OWN], my_loss):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 1))
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        x = torch.randn(64, 3)
        y = (x.sum(1, keepdim=True) > 0).float()
        values = []
        for _ in range(30):
            optimizer.zero_grad()
            loss = criterion(net(x), y)
            loss.backward()
            optimizer.step()
            values.append(float(loss))
        assert values[-1] < values[0]


@pytest.mark.parametrize("name", OWN)
def test_float32_and_saturated_logits(name):
    x, y = _data((3, 1, 16, 16))
    x *= 20
    for criterion in (OWN[name](), getattr(losses, name)()):
        given = torch.tensor(x.astype("float32"), requires_grad=True)
        loss = criterion(given, torch.tensor(y.astype("float32")))
        loss.backward()
        assert np.isfinite(float(loss))
        assert bool(torch.isfinite(given.grad).all())


class SquaredHinge(nn.modules.loss._Loss):
    def __init__(self, margin=1.0, size_average=None, reduce=None, reduction="mean"):
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input, target):
        values = (self.margin - input * target).clamp(min=0) ** 2
        return {"mean": values.mean, "sum": values.sum, "none": lambda: values}[self.reduction]()


class WeightedSquares(nn.modules.loss._WeightedLoss):
    def forward(self, input, target):
        return F.mse_loss(input, target, reduction="none").mul(self.weight).mean()


def test_bases_of_losses():
    x = torch.tensor([0.5, -2.0], requires_grad=True)
    y = torch.tensor([1.0, 1.0])
    loss = SquaredHinge(reduction="sum")
    assert loss.reduction == "sum"
    assert isinstance(loss, nn.Module)
    assert repr(loss) == "SquaredHinge()"
    value = loss(x, y)
    value.backward()
    assert float(value) == pytest.approx(9.25)
    np.testing.assert_allclose(x.grad.numpy(), [-1, -6])
    with pytest.warns(UserWarning, match="reduction='none'"):
        assert SquaredHinge(reduce=False).reduction == "none"
    weighted = WeightedSquares(torch.tensor([1.0, 3.0]))
    assert list(weighted.state_dict()) == ["weight"]
    assert float(weighted(x, y)) == pytest.approx((0.25 + 27) / 2)
    assert WeightedSquares().weight is None


@pytest.mark.parametrize("arguments", [(True, None), (False, None), (None, False), (None, True), (True, False)])
@pytest.mark.parametrize(
    ("name", "targets"),
    [("MSELoss", "real"), ("BCEWithLogitsLoss", "binary"), ("CrossEntropyLoss", "classes"), ("L1Loss", "real")],
)
def test_size_average_and_reduce(name, targets, arguments):
    x, y = _data((4, 5))
    target = {"real": y, "binary": y, "classes": np.array([0, 2, 1, 4])}[targets]
    found = []
    for library in (swiftnet, pytorch):
        with pytest.warns(UserWarning, match="size_average and reduce args will be deprecated") as record:
            criterion = getattr(library.nn, name)(size_average=arguments[0], reduce=arguments[1])
        found.append((str(record[0].message), np.asarray(criterion(library.tensor(x), library.tensor(target)).numpy())))
    assert found[0][0] == found[1][0]
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-10)


def test_sizes_that_do_not_fit():
    """The message that the older PyTorch of the tutorials raised, with this library's name for sizes."""
    x, y = torch.zeros(4, 3), torch.zeros(4, 2)
    expected = "Target size (swiftnet.Size([4, 2])) must be the same as input size (swiftnet.Size([4, 3]))"
    for call in (F.binary_cross_entropy_with_logits, nn.BCEWithLogitsLoss(), losses.DeepMarLoss([0.1, 0.2, 0.3])):
        with pytest.raises(ValueError) as error:
            call(x, y)
        assert str(error.value) == expected
    with pytest.raises(ValueError) as theirs:
        pytorch.nn.functional.binary_cross_entropy_with_logits(pytorch.zeros(4, 3), pytorch.zeros(4, 2))
    assert str(theirs.value).replace("torch.", "swiftnet.") == expected


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_binary_cross_entropy_of_a_large_sigmoid(dtype, reduction):
    """Large enough to be deferred: the logarithms then come from the logits."""
    x, y = _data((3, 100, 300))
    x[0, 0, :6] = [200, -200, 90, -90, 20, -20]
    given = torch.tensor(x.astype(dtype), requires_grad=True)
    wide = pytorch.tensor(x, requires_grad=True)
    loss = F.binary_cross_entropy(
        F.sigmoid(given).view(-1), torch.tensor(y.astype(dtype)).view(-1), reduction=reduction
    )
    wanted = pytorch.nn.functional.binary_cross_entropy(
        pytorch.sigmoid(wide).reshape(-1), pytorch.tensor(y).reshape(-1), reduction=reduction
    )
    # Where float64's sigmoid is 1, PyTorch's logarithm is cut at -100; this one is not, up to there.
    ordinary = np.ones(x.size, bool)
    ordinary[:6] = False
    tolerance = 1e-9 if dtype == "float64" else 1e-5
    if reduction == "none":
        np.testing.assert_allclose(loss.detach().numpy()[ordinary], wanted.detach().numpy()[ordinary],
                                   rtol=10 * tolerance, atol=tolerance)  # fmt: skip
        hard = loss.detach().numpy()[:6]
        np.testing.assert_allclose(
            hard, np.where(y.reshape(-1)[:6] == (x.reshape(-1)[:6] > 0), 0, np.minimum(abs(x.reshape(-1)[:6]), 100)),
            atol=1e-6,
        )  # fmt: skip
    loss.sum().backward()
    wanted.sum().backward()
    scale = float(wide.grad.abs().max())
    np.testing.assert_allclose(
        given.grad.numpy().reshape(-1)[ordinary], wide.grad.numpy().reshape(-1)[ordinary], rtol=1e-3,
        atol=1e-4 * scale if dtype == "float32" else 1e-9 * scale,
    )  # fmt: skip


def test_binary_cross_entropy_still_checks():
    x = torch.zeros(40000)
    y = torch.zeros(40000)
    for bad in (1.5, -1e-20, float("nan")):
        with pytest.raises(RuntimeError, match="between 0 and 1"):
            p = x.clone()
            p[7] = bad
            F.binary_cross_entropy(p, y)
    x[3] = float("nan")
    for reduction in ("mean", "none"):
        with pytest.raises(RuntimeError, match="between 0 and 1"):
            F.binary_cross_entropy(torch.sigmoid(x), y, reduction=reduction)
    assert F.binary_cross_entropy(torch.zeros(0), torch.zeros(0), reduction="sum").item() == 0
    # The sigmoid of what the logits were, not of what they have become.
    logits = torch.zeros(40000)
    p = torch.sigmoid(logits)
    logits.fill_(5.0)
    assert float(F.binary_cross_entropy(p, y)) == pytest.approx(np.log(2), rel=1e-6)
