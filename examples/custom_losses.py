"""Losses written by hand, as functions and as modules, on a small segmentation task: where is the digit?

Each loss trains the same network from the same start; what counts is the overlap on other images.
"""

import argparse
from pathlib import Path

import swiftnet
import swiftnet.nn.functional as F
from scenes import EDGE, Scenes
from swiftnet import metrics, nn, optim, transforms
from swiftnet.utils.data import DataLoader


def mean_squared_error(output, target):
    return swiftnet.mean((F.sigmoid(output) - target) ** 2)


class DiceLoss(nn.Module):
    """1 - 2 |X ∩ Y| / (|X| + |Y|)."""

    def __init__(self, weight=None, size_average=True):
        super().__init__()

    def forward(self, inputs, targets, smooth=1):
        inputs = F.sigmoid(inputs).view(-1)
        targets = targets.view(-1)
        intersection = (inputs * targets).sum()
        return 1 - (2.0 * intersection + smooth) / (inputs.sum() + targets.sum() + smooth)


class DiceBCELoss(nn.Module):
    """Dice loss and binary cross entropy, added."""

    def __init__(self, weight=None, size_average=True):
        super().__init__()

    def forward(self, inputs, targets, smooth=1):
        inputs = F.sigmoid(inputs).view(-1)
        targets = targets.view(-1)
        intersection = (inputs * targets).sum()
        dice_loss = 1 - (2.0 * intersection + smooth) / (inputs.sum() + targets.sum() + smooth)
        return F.binary_cross_entropy(inputs, targets, reduction="mean") + dice_loss


class IoULoss(nn.Module):
    """1 - |X ∩ Y| / |X ∪ Y|."""

    def __init__(self, weight=None, size_average=True):
        super().__init__()

    def forward(self, inputs, targets, smooth=1):
        inputs = F.sigmoid(inputs).view(-1)
        targets = targets.view(-1)
        intersection = (inputs * targets).sum()
        union = (inputs + targets).sum() - intersection
        return 1 - (intersection + smooth) / (union + smooth)


class FocalLoss(nn.Module):
    """alpha (1 - p)^gamma times the binary cross entropy, p = exp(-cross entropy) of the whole batch."""

    def __init__(self, weight=None, size_average=True):
        super().__init__()

    def forward(self, inputs, targets, alpha=0.8, gamma=2):
        inputs = F.sigmoid(inputs).view(-1)
        targets = targets.view(-1)
        entropy = F.binary_cross_entropy(inputs, targets, reduction="mean")
        return alpha * (1 - swiftnet.exp(-entropy)) ** gamma * entropy


LOSSES = {
    "squared error": mean_squared_error,
    "dice": DiceLoss(),
    "dice + entropy": DiceBCELoss(),
    "iou": IoULoss(),
    "focal": FocalLoss(),
}


def make_network(channels=12):
    def block(inputs, outputs, dilation=1):
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation, bias=False), nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )  # fmt: skip

    return nn.Sequential(
        block(3, channels), block(channels, channels, 2), block(channels, channels, 4), nn.Conv2d(channels, 1, 1)
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=None, help="not used: nothing is written")
    options = parser.parse_args()

    settings = {"size": 48, "target": "mask", "transform": transforms.ToTensor()}
    train = Scenes(options.scenes, **settings)
    test = Scenes(max(options.scenes // 4, 1), train=False, **settings)
    print(f"{'loss':<16}{'at first':>10}{'at last':>10}{'IoU':>10}{'Dice':>10}")
    for name, criterion in LOSSES.items():
        swiftnet.manual_seed(options.seed)
        model = make_network()
        optimizer = optim.Adam(model.parameters(), lr=5e-3)
        history = []
        for _ in range(options.epochs):
            for images, masks in DataLoader(train, batch_size=20, shuffle=True):
                target = (masks > 0).float().unsqueeze(1)
                loss = criterion(model(images), target)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                history.append(loss.item())
        model.eval()
        metric = metrics.ConfusionMatrix(2, ignore_index=EDGE)
        with swiftnet.no_grad():
            for images, masks in DataLoader(test, batch_size=20):
                truth = swiftnet.where(masks == EDGE, masks, (masks > 0).long())
                metric.update((model(images).squeeze(1) > 0).long(), truth)
        result = metric.compute()
        iou, dice = result["iou"][1].item(), result["dice"][1].item()
        print(f"{name:<16}{history[0]:>10.4f}{history[-1]:>10.4f}{iou:>10.2%}{dice:>10.2%}")


if __name__ == "__main__":
    main()
