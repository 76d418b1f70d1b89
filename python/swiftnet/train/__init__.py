"""A training loop with what usually surrounds it: evaluation, logs, curves, checkpoints, early stopping.

>>> model = nn.Linear(4, 3)
>>> optimizer = optim.SGD(model.parameters(), lr=0.1)
>>> accuracy = {"accuracy": swiftnet.metrics.Accuracy()}
>>> trainer = Trainer(model, nn.CrossEntropyLoss(), optimizer, metrics=accuracy, progress=False)
>>> loader = [(swiftnet.rand(8, 4), swiftnet.randint(0, 3, (8,)))]
>>> history = trainer.fit(loader, validation=loader, epochs=2)
>>> list(history[0])[:4]
['epoch', 'loss', 'accuracy', 'validation loss']

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
