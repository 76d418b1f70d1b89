"""Learning rates over time. The rates are computed by the Swift library, from the rate before, so that schedules can be
chained; a scheduler keeps count and sets them in the optimizer's groups."""

from swiftnet.optim.lr_scheduler.combined import ChainedScheduler, SequentialLR
from swiftnet.optim.lr_scheduler.cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from swiftnet.optim.lr_scheduler.cyclic import CyclicLR, OneCycleLR
from swiftnet.optim.lr_scheduler.decay import (
    ConstantLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from swiftnet.optim.lr_scheduler.plateau import ReduceLROnPlateau
from swiftnet.optim.lr_scheduler.scheduler import LRScheduler
from swiftnet.optim.lr_scheduler.segmentation import PolyLR, WarmupLR

_LRScheduler = LRScheduler
