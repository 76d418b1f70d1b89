"""What can be hung into a training."""

import copy
import math


class Callback:
    """Base class; a subclass defines what it needs."""

    def on_fit_start(self, trainer):
        """Before the first epoch."""

    def on_epoch_start(self, trainer):
        """Before an epoch; `trainer.epoch` counts from 0."""

    def on_step_end(self, trainer, losses):
        """After a batch; `losses` are numbers by name."""

    def on_epoch_end(self, trainer, record):
        """After an epoch and its evaluation; `record` are numbers by name."""

    def on_fit_end(self, trainer):
        """After the last epoch, also if an error or Ctrl-C ended it."""

    def state_dict(self):
        """What a checkpoint is to keep."""
        return {}

    def load_state_dict(self, state):
        """Takes what `state_dict` gave."""


class _Watching(Callback):
    """Compares a number of the records."""

    def __init__(self, monitor, mode):
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be 'min' or 'max', but got {mode!r}")
        self.monitor, self.mode = monitor, mode
        self.best = math.inf if mode == "min" else -math.inf
        self.best_epoch = None

    def _value(self, record):
        if self.monitor not in record:
            raise ValueError(f"there is no '{self.monitor}' to watch; there are {', '.join(record)}")
        return record[self.monitor]

    def _improved(self, record, by=0.0):
        value = self._value(record)
        if value < self.best - by if self.mode == "min" else value > self.best + by:
            self.best, self.best_epoch = value, record["epoch"]
            return True
        return False


class EarlyStopping(_Watching):
    """Ends the training when a number has not become better for some epochs.

    Args:
        monitor: the number's name in the records. Default: "validation loss".
        patience: epochs without improvement. Default: 5.
        mode: "min" or "max".
        min_delta: what counts as improvement. Default: anything.
    """

    def __init__(self, monitor="validation loss", patience=5, mode="min", min_delta=0.0):
        super().__init__(monitor, mode)
        self.patience, self.min_delta, self.waited = patience, min_delta, 0

    def on_epoch_end(self, trainer, record):
        self.waited = 0 if self._improved(record, self.min_delta) else self.waited + 1
        if self.waited >= self.patience:
            trainer.stop(f"'{self.monitor}' has not become better for {self.patience} epochs")

    def state_dict(self):
        return {"best": self.best, "best_epoch": self.best_epoch, "waited": self.waited}

    def load_state_dict(self, state):
        self.__dict__.update(state)


class BestWeights(_Watching):
    """Keeps the weights of the best epoch, in memory and as `best.pt` in the trainer's folder if it has one.

    Args:
        monitor, mode: as for `EarlyStopping`.
        restore: whether the model gets them back at the end. Default: True.
    """

    def __init__(self, monitor="validation loss", mode="min", restore=True):
        super().__init__(monitor, mode)
        self.restore, self.weights = restore, None

    def on_epoch_end(self, trainer, record):
        if self._improved(record):
            self.weights = copy.deepcopy(trainer.model.state_dict())
            if trainer.folder is not None:
                trainer.write(self.weights, "best.pt")

    def on_fit_end(self, trainer):
        if self.restore and self.weights is not None and trainer.finished:
            trainer.model.load_state_dict(self.weights)

    def state_dict(self):
        return {"best": self.best, "best_epoch": self.best_epoch, "weights": self.weights}

    def load_state_dict(self, state):
        self.__dict__.update(state)
