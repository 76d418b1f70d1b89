"""swiftnet and PyTorch behind the same names, so that each benchmark is written once."""

import dataclasses
import importlib
import types

import numpy as np


@dataclasses.dataclass(frozen=True)
class Library:
    """One library, in one of its settings."""

    name: str
    root: types.ModuleType
    channels_last: bool = False
    compiled: bool = False

    @property
    def nn(self):
        return self.root.nn

    @property
    def F(self):
        return self.root.nn.functional

    @property
    def optim(self):
        return self.root.optim

    def random(self, *shape, seed=0, requires_grad=False):
        """Normal float32 numbers, the same in every library."""
        values = np.random.default_rng([seed, *shape]).standard_normal(shape, np.float32)
        return self.place(self.root.tensor(values)).requires_grad_(requires_grad)

    def labels(self, *shape, classes):
        """Class numbers, the same in every library."""
        return self.root.tensor(np.random.default_rng(shape).integers(0, classes, shape))

    def fractions(self, *shape):
        """Numbers in [0, 1], the same in every library."""
        return self.root.tensor(np.random.default_rng(shape).random(shape, np.float32))

    def place(self, tensor):
        """The tensor in the memory order of this setting."""
        if self.channels_last and tensor.ndim == 4:
            return tensor.contiguous(memory_format=self.root.channels_last)
        return tensor

    def half(self, wanted=True):
        """The context of mixed precision in bfloat16, or one that changes nothing."""
        return self.root.autocast("cpu", self.root.bfloat16, enabled=wanted)

    def prepare(self, model):
        """The model, or function, in this setting."""
        if self.channels_last:
            model = model.to(memory_format=self.root.channels_last)
        return self.root.compile(model) if self.compiled else model


def swiftnet(channels_last=False):
    root = importlib.import_module("swiftnet")
    for name in ("nn", "nn.functional", "optim"):
        importlib.import_module(f"swiftnet.{name}")
    return Library("swiftnet channels_last" if channels_last else "swiftnet", root, channels_last)


def torch(channels_last=False, compiled=False):
    setting = "compiled" if compiled else "channels_last" if channels_last else "eager"
    return Library(f"torch {setting}", importlib.import_module("torch"), channels_last, compiled)


def versions():
    """What was measured."""
    import swiftnet
    import torch

    return {"swiftnet": swiftnet.__version__, "torch": torch.__version__, "threads": swiftnet.get_num_threads()}
