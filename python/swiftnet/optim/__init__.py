"""Optimizers and learning-rate schedules."""

from swiftnet.optim import lr_scheduler
from swiftnet.optim.adam import Adam, AdamW
from swiftnet.optim.optimizer import Optimizer
from swiftnet.optim.sgd import SGD
