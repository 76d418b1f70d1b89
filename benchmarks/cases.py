"""What is measured below the level of networks. A case makes, for a library, the function to be timed."""

import dataclasses
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Case:
    """A row of the table."""

    group: str
    name: str
    make: Callable
    # Floating-point operations of one run, where they are worth comparing with the peak.
    operations: float = 0.0
    # Whether the libraries are measured with channels-last memory too, and PyTorch compiled.
    images: bool = False
    compiled: bool = False


def matrices():
    def product(m, n, k, batch=(), transposed=False, dtype="float32"):
        def make(library):
            a = library.random(*batch, m, k)
            b = library.random(*batch, n, k, seed=1).transpose(-1, -2) if transposed else library.random(*batch, k, n)
            a, b = (x.to(getattr(library.root, dtype)) for x in (a, b))
            return lambda: a @ b

        return make

    for size in (256, 512, 1024, 2048, 4096):
        yield Case("matrix product", f"{size}³", product(size, size, size), 2 * size**3)
    yield Case("matrix product", "1024³, b transposed", product(1024, 1024, 1024, transposed=True), 2 * 1024**3)
    yield Case("matrix product", "2048×16×2048", product(2048, 16, 2048), 2 * 2048 * 16 * 2048)
    yield Case("matrix product", "16×2048×2048", product(16, 2048, 2048), 2 * 2048 * 16 * 2048)
    yield Case("matrix product", "64 × 128³", product(128, 128, 128, batch=(64,)), 2 * 64 * 128**3)
    for size in (1024, 2048):
        # Without a share: the peak is that of float32.
        yield Case("matrix product", f"{size}³, bfloat16", product(size, size, size, dtype="bfloat16"))


def convolutions():
    def pieces(library, shape, filters, kernel, options):
        options = dict(options)
        transposed = options.pop("transposed", False)
        inputs = shape[1] // options.get("groups", 1)
        x = library.random(*shape, requires_grad=True)
        sizes = (shape[1], filters) if transposed else (filters, inputs)
        w = library.random(*sizes, *kernel, seed=1, requires_grad=True)
        name = f"conv{'_transpose' if transposed else ''}{len(kernel)}d"
        convolve = getattr(library.F, name)
        return x, w, lambda: convolve(x, w, **options)

    def forward(*arguments):
        def make(library):
            _, _, run = pieces(library, *arguments)

            def infer():
                with library.root.no_grad():
                    return run()

            return infer

        return make

    def gradient(which, *arguments):
        def make(library):
            x, w, run = pieces(library, *arguments)
            y = run()
            g = library.place(library.root.ones_like(y))
            target = (x, w)[which]
            return lambda: library.root.autograd.grad(y, target, g, retain_graph=True)

        return make

    shapes = [
        ("3×3, 64 channels, 56²", (8, 64, 56, 56), 64, (3, 3), {"padding": 1}),
        ("3×3, 128 channels, 28²", (8, 128, 28, 28), 128, (3, 3), {"padding": 1}),
        ("3×3, 256 channels, 14²", (8, 256, 14, 14), 256, (3, 3), {"padding": 1}),
        ("3×3, 512 channels, 7²", (8, 512, 7, 7), 512, (3, 3), {"padding": 1}),
        ("3×3, stride 2, 128 channels, 56²", (8, 128, 56, 56), 128, (3, 3), {"padding": 1, "stride": 2}),
        ("1×1, 64 to 256 channels, 56²", (8, 64, 56, 56), 256, (1, 1), {}),
        ("1×1, 256 to 64 channels, 56²", (8, 256, 56, 56), 64, (1, 1), {}),
        ("1×1, 512 to 128 channels, 28²", (8, 512, 28, 28), 128, (1, 1), {}),
        ("1×1, 1024 to 256 channels, 14²", (8, 1024, 14, 14), 256, (1, 1), {}),
        ("1×1, 2048 to 512 channels, 7²", (8, 2048, 7, 7), 512, (1, 1), {}),
        ("1×1, stride 2, 256 to 512 channels, 56²", (8, 256, 56, 56), 512, (1, 1), {"stride": 2}),
        ("7×7 stem, stride 2, 224²", (8, 3, 224, 224), 64, (7, 7), {"padding": 3, "stride": 2}),
        ("3×3, 32 groups, 128 channels, 28²", (8, 128, 28, 28), 128, (3, 3), {"padding": 1, "groups": 32}),
        ("3×3, depthwise, 128 channels, 28²", (8, 128, 28, 28), 128, (3, 3), {"padding": 1, "groups": 128}),
        ("3×3, dilation 2, 256 channels, 28²", (8, 256, 28, 28), 256, (3, 3), {"padding": 2, "dilation": 2}),
        (
            "4×4, transposed, stride 2, 64 channels, 28²",
            (8, 64, 28, 28),
            64,
            (4, 4),
            {"padding": 1, "stride": 2, "transposed": True},
        ),
        ("5×5, 1 to 6 channels, 28²", (64, 1, 28, 28), 6, (5, 5), {}),
        ("3×3×3, 1 to 16 channels, 32³", (16, 1, 32, 32, 32), 16, (3, 3, 3), {}),
        ("3×3×3, 16 channels, 30³", (16, 16, 30, 30, 30), 16, (3, 3, 3), {}),
    ]
    for name, shape, filters, kernel, options in shapes:
        count = shape[0] * filters * shape[1] // options.get("groups", 1)
        for size, extent in zip(shape[2:], kernel, strict=True):
            reach = options.get("dilation", 1) * (extent - 1) + 1
            outputs = (size + 2 * options.get("padding", 0) - reach) // options.get("stride", 1) + 1
            # Every place of a transposed convolution's input meets every tap.
            count *= size * extent if options.get("transposed") else outputs * extent
        arguments = (shape, filters, kernel, options)
        images = len(kernel) == 2
        yield Case("convolution, forward", name, forward(*arguments), 2 * count, images)
        if shape[1] > 3:
            yield Case("convolution, data gradient", name, gradient(0, *arguments), 2 * count, images)
        yield Case("convolution, weight gradient", name, gradient(1, *arguments), 2 * count, images)


def elementwise():
    functions = {
        "a + b": lambda root, a, b: a + b,
        "a * b + a": lambda root, a, b: a * b + a,
        "relu": lambda root, a, b: root.relu(a),
        "exp": lambda root, a, b: root.exp(a),
        "sigmoid": lambda root, a, b: root.sigmoid(a),
        "tanh": lambda root, a, b: root.tanh(a),
        "a > b": lambda root, a, b: a > b,
        "a.t() + b": lambda root, a, b: a.t() + b,
    }
    for name, function in functions.items():

        def make(library, function=function):
            a, b = library.random(2048, 2048), library.random(2048, 2048, seed=1)
            return lambda: function(library.root, a, b)

        yield Case("elementwise, 2048²", name, make)


def reductions():
    functions = {
        "sum": lambda root, a: a.sum(),
        "sum over rows": lambda root, a: a.sum(0),
        "mean of rows": lambda root, a: a.mean(1),
        "max": lambda root, a: a.max(),
        "argmax of rows": lambda root, a: a.argmax(1),
        "var of rows": lambda root, a: a.var(1),
        "softmax": lambda root, a: a.softmax(1),
        "cumsum": lambda root, a: root.cumsum(a, 1),
    }
    for name, function in functions.items():

        def make(library, function=function):
            a = library.random(2048, 2048)
            return lambda: function(library.root, a)

        yield Case("reduction, 2048²", name, make)


def selections():
    functions = {
        "topk of rows, 10": lambda root, a: a.topk(10, 1).values,
        "sort of rows": lambda root, a: a.sort(1).values,
        "nonzero": lambda root, a: (a > 0).nonzero(),
        "a[mask]": lambda root, a: a[a > 0],
        "remainder": lambda root, a: a % 0.3,
        "to int64": lambda root, a: (a * 10).long(),
        "cdist of 1024 rows": lambda root, a: root.cdist(a, a),
    }
    for name, function in functions.items():

        def make(library, function=function):
            a = library.random(1024, 1024)
            return lambda: function(library.root, a)

        yield Case("selection, 1024²", name, make)


def layers():
    def both_ways(shape, build):
        """Forward and backward of what `build` makes of a library."""

        def make(library):
            x = library.random(*shape, requires_grad=True)
            layer = build(library)
            g = library.place(library.root.ones_like(layer(x)))

            def run():
                x.grad = None
                layer(x).backward(g)
                return x.grad

            return run

        return make

    image = (16, 64, 56, 56)
    for name, build, images in [
        ("batch norm", lambda library: library.nn.BatchNorm2d(64), True),
        ("max pooling 2×2", lambda library: library.nn.MaxPool2d(2), True),
        ("max pooling 3×3, stride 2", lambda library: library.nn.MaxPool2d(3, 2, 1), True),
        ("average pooling 2×2", lambda library: library.nn.AvgPool2d(2), True),
        ("adaptive average pooling to 1", lambda library: library.nn.AdaptiveAvgPool2d(1), True),
        ("bilinear interpolation, ×2", lambda library: library.nn.Upsample(scale_factor=2, mode="bilinear"), True),
        ("nearest interpolation, ×2", lambda library: library.nn.Upsample(scale_factor=2), True),
        ("reflection padding", lambda library: library.nn.ReflectionPad2d(1), True),
        ("group norm, 8 groups", lambda library: library.nn.GroupNorm(8, 64), True),
        ("instance norm", lambda library: library.nn.InstanceNorm2d(64), True),
        ("leaky relu", lambda library: library.nn.LeakyReLU(), True),
        ("relu6", lambda library: library.nn.ReLU6(), True),
        ("dropout", lambda library: library.nn.Dropout(0.5), True),
    ]:
        yield Case("layer, both ways, 16×64×56²", name, both_ways(image, build), images=images)
    volume = (16, 16, 30, 30, 30)
    yield Case(
        "layer, both ways, 16×16×30³",
        "max pooling 2×2×2, stride 1",
        both_ways(volume, lambda library: library.nn.MaxPool3d(2, 1)),
    )
    yield Case(
        "layer, both ways, 16×16×30³", "batch norm", both_ways(volume, lambda library: library.nn.BatchNorm3d(16))
    )


def losses():
    def make_loss(shape, target, loss):
        def make(library):
            x, y = library.random(*shape, requires_grad=True), target(library)
            function = library.prepare(loss(library))

            def run():
                x.grad = None
                function(x, y).backward()
                return x.grad

            return run

        return make

    def labels(*shape, classes):
        return lambda library: library.labels(*shape, classes=classes)

    def mask(*shape):
        return lambda library: (library.fractions(*shape) > 0.5).to(library.root.float32)

    # Dice and focal loss are built in on one side only: on the other the same formula is written out.
    def dice(library):
        if library.name.startswith("swiftnet"):
            return library.root.losses.DiceLoss()

        def formula(x, y):
            p = x.sigmoid()
            return 1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1)

        return formula

    def focal(library):
        if library.name.startswith("swiftnet"):
            return library.root.losses.FocalLoss("binary")

        def formula(x, y):
            entropy = library.F.binary_cross_entropy_with_logits(x, y, reduction="none")
            return ((1 - (-entropy).exp()) ** 2 * entropy).mean()

        return formula

    small, large = (4, 21, 128, 128), (16, 21, 128, 128)
    rows = [
        ("cross entropy, 256×1000", (256, 1000), labels(256, classes=1000), lambda m: m.F.cross_entropy),
        ("cross entropy, map of 4×21×128²", small, labels(4, 128, 128, classes=21), lambda m: m.F.cross_entropy),
        ("BCE with logits, map of 16×21×128²", large, mask(*large), lambda m: m.F.binary_cross_entropy_with_logits),
        ("Dice, map of 16×21×128²", large, mask(*large), dice),
        ("focal, map of 16×21×128²", large, mask(*large), focal),
        ("mean squared error, 1024²", (1024, 1024), lambda m: m.random(1024, 1024, seed=1), lambda m: m.F.mse_loss),
    ]
    for name, shape, target, loss in rows:
        yield Case("loss, both ways", name, make_loss(shape, target, loss), compiled=True)


def optimizers():
    # 25 million parameters in tensors as a residual network has them.
    shapes = [(512, 512, 3, 3)] * 8 + [(256, 256, 3, 3)] * 8 + [(512,)] * 40 + [(1000, 512)] + [(256, 64, 1, 1)] * 20

    def make_step(build):
        def make(library):
            parameters = [library.random(*shape, seed=i, requires_grad=True) for i, shape in enumerate(shapes)]
            for i, parameter in enumerate(parameters):
                parameter.grad = library.random(*parameter.shape, seed=i + 100)
            optimizer = build(library, parameters)
            return lambda: optimizer.step()

        return make

    def fused(library):
        return {"fused": True} if library.name != "swiftnet" else {}

    yield Case(
        "optimizer, 24 M parameters",
        "SGD with momentum",
        make_step(lambda library, p: library.optim.SGD(p, 0.01, momentum=0.9, weight_decay=1e-4, **fused(library))),
    )
    yield Case(
        "optimizer, 24 M parameters",
        "Adam",
        make_step(lambda library, p: library.optim.Adam(p, 1e-3, **fused(library))),
    )


def overhead():
    functions = {
        "a + b": lambda root, a, b: a + b,
        "a * 2.0": lambda root, a, b: a * 2.0,
        "a.relu()": lambda root, a, b: a.relu(),
        "a.sum()": lambda root, a, b: a.sum(),
        "a[2:5]": lambda root, a, b: a[2:5],
        "a.view(2, 5)": lambda root, a, b: a.view(2, 5),
    }
    for recording in (False, True):
        for name, function in functions.items():

            def make(library, function=function, recording=recording):
                a = library.random(10, requires_grad=recording)
                b = library.random(10, seed=1, requires_grad=recording)

                def run():
                    # Nothing is returned, as there is nothing to wait for: so few elements are computed at once.
                    function(library.root, a, b)

                return run

            yield Case("ten elements, recorded" if recording else "ten elements", name, make)


def all_cases():
    """Every case, in the order of the table."""
    for family in (matrices, convolutions, elementwise, reductions, selections, layers, losses, optimizers, overhead):
        yield from family()
