"""A training loop with what usually surrounds it: evaluation, logs, curves, checkpoints, early stopping.

>>> accuracy = {"accuracy": metrics.Accuracy()}
>>> trainer = Trainer(model, nn.CrossEntropyLoss(), optimizer, metrics=accuracy, folder="runs/a")
>>> trainer.fit(train_loader, validation_loader, epochs=20)

Loops written by hand are just as easy; nothing else of the library knows of this one.
"""

from swiftnet.train._callbacks import BestWeights, Callback, EarlyStopping
from swiftnet.train._logs import CSVLog, JSONLog, TensorBoardLog, draw_curves
from swiftnet.train._losses import Losses, NonFiniteLossError
from swiftnet.train._trainer import Trainer

__all__ = [
    "BestWeights", "CSVLog", "Callback", "EarlyStopping", "JSONLog", "Losses", "NonFiniteLossError", "TensorBoardLog",
    "Trainer", "draw_curves",
]  # fmt: skip
