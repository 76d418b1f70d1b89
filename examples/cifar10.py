"""A residual network of 34 layers on CIFAR-10.

    python examples/cifar10.py --data ../../data

reads the official files, in either version, from that folder; nothing is downloaded. With --digits it first writes a
small data set of handwritten digits in the same format into the run's folder, and trains on that.

In the run's folder: paras/ the weights, logs/ the course of the training, infos/ accuracies and errors for plots, with
the same number for what belongs together; and curves.png.
"""

import argparse
from pathlib import Path

import numpy as np
import swiftnet
from swiftnet import metrics, nn
from swiftnet.datasets import CIFAR10
from swiftnet.models.cifar_resnet import ResNet
from swiftnet.transforms import Compose, Normalize, RandomCrop, RandomHorizontalFlip, ToTensor
from swiftnet.utils.data import DataLoader


class Train:
    def __init__(self, lr=0.01, momentum=0.9, weight_decay=0.0001, folder=".", **network):
        self.net = ResNet(**network)
        self.criterion = nn.CrossEntropyLoss()
        self.opti = swiftnet.optim.SGD(self.net.parameters(), lr=lr, momentum=momentum, weight_decay=weight_decay)
        self.gpu()
        self.generate_path(Path(folder))
        self.acc_rates = []
        self.errors = []

    def gpu(self):
        self.device = swiftnet.device("cuda:0" if swiftnet.cuda.is_available() else "cpu")
        self.net = self.net.to(self.device)

    def generate_path(self, folder):
        """Folders for what is kept, and the names of this run's files."""
        paths = [folder / name for name in ("paras", "logs", "infos")]
        for path in paths:
            path.mkdir(parents=True, exist_ok=True)
        name = type(self.net).__name__
        number = max(len(list(path.iterdir())) for path in paths)
        self.para_path, self.log_path, self.info_path = (
            path / f"{name}{number}.{suffix}" for path, suffix in zip(paths, ("pt", "txt", "npy"))
        )

    def log(self, strings):
        with open(self.log_path, "a", encoding="utf8") as f:
            f.write(strings)

    def save(self):
        swiftnet.save(self.net.state_dict(), self.para_path)

    def decrease_lr(self, multi=10):
        for group in self.opti.param_groups:
            group["lr"] /= multi

    def train(self, trainloader, epochs=50):
        part = max(trainloader.batch_size // 2, 1)
        self.net.train()
        for epoch in range(epochs):
            running_loss = total_loss = 0.0
            acc_count = data_size = 0
            if epochs > 1 and (epoch + 1) % (epochs // 2) == 0:
                self.decrease_lr()
                self.log("learning rate change!!!\n")
            for i, (imgs, labels) in enumerate(trainloader):
                imgs = imgs.to(self.device)
                labels = labels.to(self.device)
                out = self.net(imgs)
                loss = self.criterion(out, labels)
                _, pre = swiftnet.max(out, 1)
                acc_count += (pre == labels).sum().item()
                self.opti.zero_grad()
                loss.backward()
                self.opti.step()
                data_size += len(labels)
                total_loss += loss.item() * len(labels)
                running_loss += loss.item()
                if (i + 1) % part == 0:
                    self.log(f"epoch {epoch:<3} part {i:<5} loss: {running_loss / part:<.7f}\n")
                    running_loss = 0.0
            self.acc_rates.append(acc_count / data_size)
            self.errors.append(total_loss / data_size)
            rate = acc_count / data_size * 100
            self.log(f"Accuracy of the network on {data_size} train images: {rate:.0f} %\n")
            self.save()
            np.save(self.info_path, {"acc_rates": np.array(self.acc_rates), "errors": np.array(self.errors)})
            print(f"epoch {epoch + 1}/{epochs}  loss {self.errors[-1]:.4f}  accuracy {rate:.2f} %", flush=True)

    def test(self, testloader):
        self.net.eval()
        metric = metrics.Accuracy()
        with swiftnet.no_grad():
            for imgs, labels in testloader:
                metric.update(self.net(imgs), labels)
        return metric.value()


def write_digits(folder, per_batch):
    """Scenes of one digit each, in the format of CIFAR-10's binary version."""
    from scenes import Scenes

    inner = folder / "cifar-10-batches-bin"
    inner.mkdir(parents=True, exist_ok=True)
    train, test = (Scenes(n, size=32, train=t, digits=(1, 2)) for n, t in ((5 * per_batch, True), (per_batch, False)))
    for index in range(6):
        data, first = (train, index * per_batch) if index < 5 else (test, 0)
        images = data.images[first : first + per_batch].transpose(0, 3, 1, 2).reshape(per_batch, -1)
        labels = data.labels[first : first + per_batch].argmax(1).astype(np.uint8)
        name = f"data_batch_{index + 1}.bin" if index < 5 else "test_batch.bin"
        (inner / name).write_bytes(np.concatenate([labels[:, None], images], axis=1).tobytes())
    (inner / "batches.meta.txt").write_text("\n".join(str(digit) for digit in range(10)) + "\n")
    return folder


def draw(info_path, path):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    info = np.load(info_path, allow_pickle=True).item()
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    left.plot(info["errors"])
    left.set(title="loss", xlabel="epoch")
    right.plot(info["acc_rates"])
    right.set(title="accuracy on the training images", xlabel="epoch", ylim=(0, 1))
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../../data"), help="folder with CIFAR-10's files")
    parser.add_argument("--digits", type=int, default=0, metavar="N", help="write N digits per batch and take those")
    parser.add_argument("--epochs", type=int, default=1000)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--shortcut", choices=["convolution", "projection", "pad"], default="convolution")
    parser.add_argument("--augment", action="store_true", help="random crops and, for CIFAR-10, reflections")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("runs/cifar10"))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)

    root = write_digits(options.folder / "data", options.digits) if options.digits else options.data
    plain = [ToTensor(), Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))]
    extra = [RandomCrop(32, padding=4)] if options.augment else []
    if options.augment and not options.digits:
        extra.append(RandomHorizontalFlip())
    official = not options.digits
    trainset = CIFAR10(root=root, train=True, transform=Compose(extra + plain), verify=official)
    testset = CIFAR10(root=root, train=False, transform=Compose(plain), verify=official)

    swiftnet.manual_seed(options.seed)
    train_loader = DataLoader(trainset, batch_size=options.batch_size, shuffle=True, num_workers=options.workers)
    dog = Train(lr=options.lr, folder=options.folder, width=options.width, shortcut=options.shortcut)
    dog.train(train_loader, epochs=options.epochs)
    print(f"accuracy on {len(testset)} test images: {dog.test(DataLoader(testset, batch_size=256)):.2%}")
    draw(dog.info_path, options.folder / "curves.png")
    print(f"weights, logs and curves are in {options.folder}/")


if __name__ == "__main__":
    main()
