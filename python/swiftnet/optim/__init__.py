"""Optimizers, learning-rate schedules, and averages of weights."""

from swiftnet.optim import lr_scheduler, swa_utils
from swiftnet.optim.adam import Adam, AdamW
from swiftnet.optim.adam_variants import Adamax, NAdam, RAdam
from swiftnet.optim.lbfgs import LBFGS
from swiftnet.optim.optimizer import Optimizer
from swiftnet.optim.other import ASGD, LAMB, Adafactor, Lion, Rprop
from swiftnet.optim.sgd import SGD
from swiftnet.optim.square_scaled import Adadelta, Adagrad, RMSprop
