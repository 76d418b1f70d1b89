"""Fine-tuning: a residual network trained on the digits 0 to 5 learns to tell 6, 7, 8 and 9 apart.

The weights are saved and loaded into a new network, whose classifier is replaced; then either everything is trained on,
or all but the new classifier is frozen. With --weights the start is a file with torchvision's weights for ResNet-18.
"""

import argparse
from pathlib import Path

import swiftnet
from digits import accuracy, digit_images
from swiftnet import models, nn, optim
from swiftnet.utils.data import DataLoader


def set_parameter_requires_grad(model, feature_extracting):
    if feature_extracting:
        for param in model.parameters():
            param.requires_grad = False


def train(model, data, epochs, lr):
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = optim.SGD(parameters, lr=lr, momentum=0.9, weight_decay=1e-4)
    model.train()
    for _ in range(epochs):
        for images, labels in DataLoader(data, batch_size=32, shuffle=True, drop_last=True):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
    return sum(p.numel() for p in parameters)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--width", type=int, default=16, help="planes of the first stage; 64 is ResNet-18 proper")
    parser.add_argument("--weights", type=Path, default=None, help="torchvision's file for ResNet-18")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("runs/fine_tune"))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    swiftnet.manual_seed(options.seed)

    path, width, classes = options.weights, 64, 1000
    if path is None:
        path, width, classes = options.folder / "source.pt", options.width, 6
        train_data, test_data = digit_images(options.size, [0, 1, 2, 3, 4, 5], 0.3)
        source = models.resnet18(num_classes=classes, width=width)
        train(source, train_data, options.epochs, 0.02)
        print(f"source network: {accuracy(source, test_data):.2%} of the digits 0 to 5")
        swiftnet.save(source.state_dict(), path)

    train_data, test_data = digit_images(options.size, [6, 7, 8, 9], 0.3)
    print(f"{'start':<26}{'trained parameters':>20}{'accuracy on 6 to 9':>20}")
    for name, pretrained, frozen in (
        ("new", False, False), ("fine-tuned", True, False), ("frozen, new classifier", True, True),
    ):  # fmt: skip
        swiftnet.manual_seed(options.seed)
        model = models.resnet18(weights=path if pretrained else None, num_classes=classes, width=width)
        set_parameter_requires_grad(model, frozen)
        num_ftrs = model.fc.in_features
        model.fc = nn.Linear(in_features=num_ftrs, out_features=4, bias=True)
        count = train(model, train_data, options.epochs, 0.02)
        print(f"{name:<26}{count:>20,}{accuracy(model, test_data):>20.2%}")


if __name__ == "__main__":
    main()
