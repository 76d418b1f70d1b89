"""The networks that are measured, twice each: as a user writes them out of plain layers, for either library, and as
swiftnet's built-in models."""

import dataclasses
import importlib.util
import types
from collections.abc import Callable
from pathlib import Path

ORIGINALS = Path(__file__).parent.parent / "python" / "tests" / "model_originals.py"
# Classes of COCO by supercategory.
GROUPS = [1, 8, 5, 10, 5, 10, 7, 10, 6, 6, 5, 7]


@dataclasses.dataclass(frozen=True)
class Network:
    """How to make a network, the shape of its input and labels, and the loss that it is trained with."""

    # From the module of the originals, and from swiftnet.models.
    original: Callable
    builtin: Callable
    shape: tuple
    # Shape and number of classes; with 0 classes, numbers in [0, 1].
    labels: tuple
    # From the library, the model, inputs and labels.
    loss: Callable


def classification(library, model, inputs, labels):
    return library.F.cross_entropy(model(inputs), labels)


def with_auxiliary_loss(library, model, inputs, labels):
    _, main, auxiliary = model(inputs, labels)
    return main + 0.4 * auxiliary


def with_supplement_loss(library, model, inputs, labels):
    output, supplement = model(inputs)
    loss = library.F.binary_cross_entropy_with_logits
    return loss(output, labels) + 0.1 * loss(supplement, labels)


NETWORKS = {
    "two-branch Conv3d net, 16×1×32³": Network(
        lambda m: m.CCNModels(16, 0.1, 2, (32, 32, 32)),
        lambda m: m.ccn.CCNModels(16, 0.1, 2, (32, 32, 32)),
        (16, 1, 32, 32, 32),
        ((16,), 30),
        classification,
    ),
    "ResNet of small images, 128×3×32×32": Network(
        lambda m: m.PlainResNet(),
        lambda m: m.cifar_resnet.ResNet(),
        (128, 3, 32, 32),
        ((128,), 10),
        classification,
    ),
    "ResNet-50, 8×3×224²": Network(
        lambda m: m.ResNet(m.Bottleneck, (3, 4, 6, 3)),
        lambda m: m.resnet.resnet50(),
        (8, 3, 224, 224),
        ((8,), 1000),
        classification,
    ),
    "PSPNet-50, 2×3×233²": Network(
        lambda m: m.PSPNet((3, 4, 6, 3), classes=21),
        lambda m: m.pspnet.PSPNet(50, classes=21),
        (2, 3, 233, 233),
        ((2, 233, 233), 21),
        with_auxiliary_loss,
    ),
    "GroupClsGat, ResNet-50, 2×3×224²": Network(
        lambda m: m.GroupClsGat(m.ResNet(m.Bottleneck, (3, 4, 6, 3)), 12, 80, GROUPS, 512, 256),
        lambda m: m.group_clsgat.GroupClsGat("resnet50", 12, 80, GROUPS, 512, 256),
        (2, 3, 224, 224),
        ((2, 80), 0),
        with_supplement_loss,
    ),
}


def originals(library):
    """The networks as a user writes them: a PyTorch program, of which only the import lines change."""
    if library.root.__name__ == "torch":
        spec = importlib.util.spec_from_file_location("originals", ORIGINALS)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    name = library.root.__name__
    source = ORIGINALS.read_text()
    for line, changed in (
        ("import torch\n", f"import {name} as torch\n"),
        ("import torch.nn.functional as F", f"import {name}.nn.functional as F"),
        ("from torch import nn", f"from {name} import nn"),
    ):
        source = source.replace(line, changed)
    module = types.ModuleType(f"originals_{name}")
    exec(compile(source, str(ORIGINALS), "exec"), module.__dict__)
    return module


def make(library, name, builtin=False, seed=0):
    """The network of a library."""
    library.root.manual_seed(seed)
    network = NETWORKS[name]
    if not builtin:
        return network.original(originals(library))
    from swiftnet import models

    return network.builtin(models)


def training_step(library, name, builtin=False, half=False):
    """A function that does one step: forward, loss, backward, SGD with momentum and weight decay; `half`: forward and
    loss in mixed precision."""
    network = NETWORKS[name]
    model = make(library, name, builtin)
    model.train()
    # The optimizer holds the parameters themselves, whatever compiles the forward pass.
    optimizer = library.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    forward = library.prepare(model)
    inputs = library.random(*network.shape)
    shape, classes = network.labels
    labels = library.labels(*shape, classes=classes) if classes else library.fractions(*shape)

    def step():
        optimizer.zero_grad()
        with library.half(half):
            loss = network.loss(library, forward, inputs, labels)
        loss.backward()
        optimizer.step()
        return loss

    return step


# What is trained and what is evaluated in bfloat16 too.
HALF = ("ResNet of small images, 128×3×32×32", "ResNet-50, 8×3×224²")
EVALUATED_HALF = ("ResNet-50, 8×3×224²",)

# What is evaluated: a network and its numbers of images.
EVALUATED = {
    "two-branch Conv3d net, 16×1×32³": (1, 16),
    "ResNet of small images, 128×3×32×32": (1, 128),
    "ResNet-50, 8×3×224²": (1, 8),
}


def evaluation(library, name, images, builtin=False, half=False):
    """A function that evaluates a network without gradients; `half`: weights and images in bfloat16."""
    model = make(library, name, builtin).eval()
    inputs = library.random(images, *NETWORKS[name].shape[1:])
    if half:
        model, inputs = model.to(library.root.bfloat16), inputs.to(library.root.bfloat16)
    forward = library.prepare(model)

    def run():
        with library.root.inference_mode():
            return forward(inputs)

    return run


def openvino_evaluation(library, name, images, threads, half=False):
    """The same by OpenVINO, from PyTorch's network."""
    import openvino

    model = make(library, name).eval()
    inputs = library.random(images, *NETWORKS[name].shape[1:])
    compiled = openvino.Core().compile_model(
        openvino.convert_model(model, example_input=inputs),
        "CPU",
        {
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
        },
    )
    request = compiled.create_infer_request()
    values = inputs.numpy()

    def run():
        request.infer({0: values})

    return run


def measure_memory(library_name, name, kind=""):
    """Bytes that three steps add to what the process holds after import: run in a process of its own."""
    import libraries
    import numpy as np
    from measure import force, peak_bytes

    library = getattr(libraries, library_name)()
    # What draws the inputs is the benchmark's, not the library's.
    np.random.default_rng()
    before = peak_bytes()
    step = training_step(library, name, kind == "builtin")
    for _ in range(3):
        force(step())
    return peak_bytes() - before
