"""What the examples on single digits share: scikit-learn's digits as images, and the accuracy of a network on them."""

import swiftnet
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from swiftnet import metrics, nn
from swiftnet.utils.data import DataLoader, TensorDataset


def digit_images(size, classes=range(10), test_share=0.25):
    """Images (N, 3, size, size) from -1 to 1 and labels 0, 1, … of some digits, for training and for testing."""
    digits, classes = load_digits(), list(classes)
    keep = [int(label) in classes for label in digits.target]
    images = swiftnet.tensor(digits.images[keep], dtype=swiftnet.float32).unsqueeze(1) / 8 - 1
    images = nn.functional.interpolate(images, size=(size, size), mode="bilinear").repeat(1, 3, 1, 1)
    labels = [classes.index(int(label)) for label in digits.target[keep]]
    order = train_test_split(range(len(labels)), test_size=test_share, random_state=0, stratify=labels)
    return [TensorDataset(images[part], swiftnet.tensor([labels[i] for i in part])) for part in order]


def accuracy(model, data):
    """The share of images whose class a network names."""
    model.eval()
    metric = metrics.Accuracy()
    with swiftnet.no_grad():
        for images, labels in DataLoader(data, batch_size=256):
            metric.update(model(images), labels)
    return metric.value()
