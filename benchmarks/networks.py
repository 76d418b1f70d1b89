"""The networks whose training step is measured: written as a user would, for either library."""


def fusion3d(library, filters=16, branches=2, size=32, classes=30):
    """Model fusion of volumes: a convolutional extractor per branch, the features concatenated and classified."""
    nn, root = library.nn, library.root

    def extractor():
        return nn.Sequential(
            nn.Conv3d(1, filters, 3, bias=False),
            nn.MaxPool3d(2, 1, 0),
            nn.BatchNorm3d(filters),
            nn.LeakyReLU(),
            nn.Dropout(0.1),
        )

    class Fusion(nn.Module):
        def __init__(self):
            super().__init__()
            self.extractors = nn.ModuleList([extractor() for _ in range(branches)])
            self.classifier = nn.Linear(branches * filters * (size - 3) ** 3, classes)

        def forward(self, inputs):
            features = [extractor(inputs) for extractor in self.extractors]
            return self.classifier(root.cat(features, dim=1).flatten(1))

    return Fusion()


def resnet34(library, blocks=(2, 3, 5, 2), classes=10):
    """A residual network for small images: a 7×7 stem, then four groups of blocks of two 3×3 convolutions."""
    nn, F = library.nn, library.F

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride=1, shortcut=None):
            super().__init__()
            self.long = nn.Sequential(
                nn.Conv2d(inputs, outputs, 3, stride, 1),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
                nn.Conv2d(outputs, outputs, 3, 1, 1),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
            )
            self.shortcut = shortcut

        def forward(self, x):
            identity = x if self.shortcut is None else self.shortcut(x)
            return F.relu(self.long(x) + identity)

    def group(inputs, outputs, count, stride):
        first = Block(inputs, outputs, stride, nn.Conv2d(inputs, outputs, 1, stride))
        return nn.Sequential(first, *(Block(outputs, outputs) for _ in range(count)))

    return nn.Sequential(
        nn.Conv2d(3, 64, 7, 2, 3),
        nn.BatchNorm2d(64),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
        group(64, 64, blocks[0], 1),
        group(64, 128, blocks[1], 2),
        group(128, 256, blocks[2], 2),
        group(256, 512, blocks[3], 2),
        nn.AdaptiveAvgPool2d((1, 1)),
        nn.Flatten(),
        nn.Linear(512, classes),
    )


# By name: how to make it, the shape of its input, its classes.
NETWORKS = {
    "two-branch Conv3d net, 16×1×32³": (fusion3d, (16, 1, 32, 32, 32), 30),
    "ResNet of small images, 128×3×32×32": (resnet34, (128, 3, 32, 32), 10),
}


def training_step(library, name):
    """A function that does one step: forward, loss, backward, SGD with momentum and weight decay."""
    make, shape, classes = NETWORKS[name]
    model = make(library)
    model.train()
    # The optimizer holds the parameters themselves, whatever compiles the forward pass.
    optimizer = library.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    forward = library.prepare(model)
    inputs, labels = library.random(*shape), library.labels(shape[0], classes=classes)

    def step():
        optimizer.zero_grad()
        loss = library.F.cross_entropy(forward(inputs), labels)
        loss.backward()
        optimizer.step()
        return loss

    return step


def measure_memory(library_name, name):
    """Bytes that three steps add to what the process holds after import: run in a process of its own."""
    import libraries
    from measure import force, peak_bytes

    library = getattr(libraries, library_name)()
    before = peak_bytes()
    step = training_step(library, name)
    for _ in range(3):
        force(step())
    return peak_bytes() - before
