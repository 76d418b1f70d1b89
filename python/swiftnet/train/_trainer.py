"""The training loop."""

import contextlib
import itertools
import math
import os
import random
import time

import numpy as np

import swiftnet
from swiftnet import nn
from swiftnet.train._callbacks import Callback
from swiftnet.train._logs import CSVLog, JSONLog, TensorBoardLog, draw_curves
from swiftnet.train._losses import Losses, blame
from swiftnet.train._progress import Progress

_LOGS = {
    "csv": lambda folder: CSVLog(os.path.join(folder, "log.csv")),
    "json": lambda folder: JSONLog(os.path.join(folder, "log.jsonl")),
    "tensorboard": lambda folder: TensorBoardLog(os.path.join(folder, "tensorboard")),
}


class Trainer:
    """Trains a model, evaluates it, keeps records and checkpoints.

    Args:
        model: any module.
        loss: a function of (output, target), or several with weights: see `Losses`. None: the model gives its loss
            itself, as a tensor, or as a dictionary of losses whose sum counts.
        optimizer: of the model's parameters.
        scheduler: a learning rate schedule, stepped after each epoch; ReduceLROnPlateau gets the validation loss.
        schedule: "epoch" or "step": when the schedule goes on.
        metrics: a dictionary from names to metrics (`swiftnet.metrics`), counted in training and in evaluation; those
            with several results are recorded as "name result".
        step: `step(model, batch)` gives (output, target) of a batch. Default: the model applied to all but the last of
            the batch's items, the last being the target.
        select: which of several outputs and targets the metrics get: a function of those. Default: the first.
        callbacks: objects like `Callback`.
        clip_norm, clip_value: limits of the gradients' norm or values.
        accumulate: batches whose gradients are averaged for a step of the optimizer.
        autocast: a function that gives a context for forward and loss, for mixed precision:
            `lambda: swiftnet.autocast("cpu", dtype=swiftnet.bfloat16)`.
        scaler: a `swiftnet.amp.GradScaler`, for mixed precision with float16.
        folder: where logs, checkpoints and curves go; None: nowhere.
        logs: "csv", "json", "tensorboard". Default: the first two.
        checkpoint_steps: a checkpoint after so many batches besides that after each epoch.
        progress: whether to show how far an epoch is.
    """

    def __init__(
        self, model, loss, optimizer, *, scheduler=None, schedule="epoch", metrics=None, step=None, select=None,
        callbacks=(), clip_norm=None, clip_value=None, accumulate=1, autocast=None, scaler=None, folder=None,
        logs=("csv", "json"), checkpoint_steps=None, progress=True,
    ):  # fmt: skip
        if schedule not in ("epoch", "step"):
            raise ValueError(f"schedule must be 'epoch' or 'step', but got {schedule!r}")
        if accumulate < 1:
            raise ValueError(f"accumulate must be at least 1, but got {accumulate}")
        self.model, self.optimizer = model, optimizer
        self.loss = None if loss is None else Losses(loss)
        self.scheduler, self.schedule = scheduler, schedule
        self.metrics = dict(metrics or {})
        self.step, self.select = step or _model_of_batch, select or _first
        self.clip_norm, self.clip_value, self.accumulate = clip_norm, clip_value, accumulate
        self.autocast, self.scaler = autocast or contextlib.nullcontext, scaler
        self.folder = None if folder is None else os.fspath(folder)
        self.checkpoint_steps, self.progress = checkpoint_steps, progress
        self.callbacks = list(callbacks)
        if self.folder is not None:
            os.makedirs(self.folder, exist_ok=True)
            for name in logs:
                if name not in _LOGS:
                    raise ValueError(f"logs are {', '.join(_LOGS)}, but got {name!r}")
                self.callbacks.append(_LOGS[name](self.folder))
        # Epochs that are complete, batches of the next one that are done, and records of the complete ones.
        self.epoch, self.batch, self.history = 0, 0, []
        self.finished = False
        self._stop = None
        self._sums, self._seen, self._resumed = {}, 0, None
        self._start_states = None

    @property
    def checkpoint_path(self):
        return None if self.folder is None else os.path.join(self.folder, "checkpoint.pt")

    def stop(self, reason=""):
        """Ends the training after this epoch."""
        self._stop = reason or "stopped"

    # ---- training ----

    def fit(self, loader, validation=None, epochs=1, resume=False):
        """Trains until so many epochs are complete.

        Args:
            loader: gives batches.
            validation: gives batches to evaluate on after each epoch.
            resume: go on from the checkpoint in the folder, if there is one, exactly as if nothing had come between.

        Returns:
            the records: a list of dictionaries, one for each epoch.
        """
        if resume and self.checkpoint_path is not None and os.path.exists(self.checkpoint_path):
            self.load(self.checkpoint_path)
        self._stop, self.finished = None, False
        self._call("on_fit_start")
        try:
            while self.epoch < epochs and self._stop is None:
                self._call("on_epoch_start")
                start = time.perf_counter()
                record = self._train_epoch(loader, f"epoch {self.epoch + 1}/{epochs}")
                if validation is not None:
                    record.update({f"validation {k}": v for k, v in self.evaluate(validation).items()})
                self._step_schedule("epoch", record)
                record["learning rate"] = self.optimizer.param_groups[0]["lr"]
                record["seconds"] = time.perf_counter() - start
                self.epoch, self.batch = self.epoch + 1, 0
                record = {"epoch": self.epoch, **record}
                self.history.append(record)
                self._call("on_epoch_end", record)
                if self.folder is not None:
                    self.save(self.checkpoint_path)
            self.finished = True
        finally:
            self._call("on_fit_end")
        if self.folder is not None and self.history:
            with contextlib.suppress(ImportError):
                draw_curves(self.history, os.path.join(self.folder, "curves.png"))
        return self.history

    def _call(self, name, *args):
        for callback in self.callbacks:
            getattr(callback, name, getattr(Callback, name).__get__(callback))(self, *args)

    def _batches(self, loader):
        """The epoch's batches; those before the checkpoint are passed over."""
        generator = getattr(loader, "generator", None)
        if self._resumed is None:
            self.batch, self._sums, self._seen = 0, {}, 0
            for metric in self.metrics.values():
                metric.reset()
            self._start_states = _generator_states(generator)
            yield from loader
            return
        start, now = self._resumed
        self._resumed, self._start_states = None, start
        _set_generator_states(start, generator)
        iterator = iter(loader)
        for _ in itertools.islice(iterator, self.batch):
            pass
        _set_generator_states(now, generator)
        yield from iterator

    def _train_epoch(self, loader, title):
        self.model.train()
        total = len(loader) if hasattr(loader, "__len__") else None
        progress = Progress(title, total, self.progress)
        for batch in self._batches(loader):
            losses = self._train_batch(batch)
            progress.update({name: value / self._seen for name, value in self._sums.items()})
            self._call("on_step_end", losses)
            if self._checkpoint_is_due():
                self.save(self.checkpoint_path)
        if self.batch == 0:
            raise ValueError("the loader gives no batches; with drop_last=True it needs at least one full batch")
        if self.batch % self.accumulate != 0:
            self._step_optimizer()
        record = self._results()
        progress.close(record)
        return record

    def _checkpoint_is_due(self):
        """Between steps of the optimizer only: gradients are not kept."""
        if self.folder is None or not self.checkpoint_steps:
            return False
        return self.batch % self.checkpoint_steps == 0 and self.batch % self.accumulate == 0

    def _train_batch(self, batch):
        if self.batch % self.accumulate == 0:
            self.optimizer.zero_grad()
        state = swiftnet.get_rng_state()
        loss, parts, output, target = self._forward(batch)
        if not math.isfinite(loss.item()):
            # The forward pass is repeated with the same dropout.
            swiftnet.set_rng_state(state)
            raise self._explained(batch, loss)
        size = self.accumulate
        scaled = loss / size if size > 1 else loss
        (scaled if self.scaler is None else self.scaler.scale(scaled)).backward()
        self.batch += 1
        if self.batch % size == 0:
            self._step_optimizer()
        return self._count(loss, parts, output, target, batch)

    def _step_optimizer(self):
        if self.scaler is not None and (self.clip_norm is not None or self.clip_value is not None):
            self.scaler.unscale_(self.optimizer)
        if self.clip_value is not None:
            nn.utils.clip_grad_value_(self.model.parameters(), self.clip_value)
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        self._step_schedule("step", None)

    def _step_schedule(self, when, record):
        if self.scheduler is None or self.schedule != when:
            return
        if isinstance(self.scheduler, swiftnet.optim.lr_scheduler.ReduceLROnPlateau):
            if record is None:
                raise ValueError("ReduceLROnPlateau goes on after epochs: schedule='epoch'")
            self.scheduler.step(record.get("validation loss", record["loss"]))
        else:
            self.scheduler.step()

    def _forward(self, batch):
        """The total loss, the losses by name, output and target."""
        with self.autocast():
            output, target = self.step(self.model, batch)
            if self.loss is not None:
                loss, parts = self.loss(output, target)
            elif hasattr(output, "items"):
                parts = dict(output)
                loss = sum(parts.values())
            else:
                loss, parts = output, {"loss": output}
        if loss.dim() != 0:
            raise ValueError(f"the loss must be a single number, but has the shape {tuple(loss.shape)}")
        return loss, parts, output, target

    def _explained(self, batch, loss):
        error = blame(self.model, lambda: self._forward(batch), loss)
        where = f"epoch {self.epoch + 1}, batch {self.batch + 1}"
        return type(error)(f"{where}: {error}")

    def _count(self, loss, parts, output, target, batch):
        """Adds a batch to the sums; gives its losses as numbers."""
        values = {"loss": loss.item()}
        if len(parts) > 1:
            values.update({name if name != "loss" else "loss of loss": part.item() for name, part in parts.items()})
        size = _size_of(batch)
        self._seen += size
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value * size
        if self.metrics:
            chosen, truth = self.select(output), self.select(target)
            for metric in self.metrics.values():
                metric.update(chosen, truth)
        return values

    def _results(self):
        record = {name: value / max(self._seen, 1) for name, value in self._sums.items()}
        for name, metric in self.metrics.items():
            numbers = {k: v for k, v in metric.compute().items() if isinstance(v, (int, float))}
            if len(numbers) == 1:
                record[name] = next(iter(numbers.values()))
            else:
                record.update({f"{name} {k}": v for k, v in numbers.items()})
        return record

    # ---- evaluation ----

    def evaluate(self, loader):
        """Losses and metrics over all batches, in evaluation mode; a dictionary of numbers."""
        kept = self._sums, self._seen, {name: metric.state_dict() for name, metric in self.metrics.items()}
        kept = kept[0], kept[1], {n: {k: v.clone() for k, v in s.items()} for n, s in kept[2].items()}
        modes = [(module, module.training) for module in self.model.modules()]
        self.model.eval()
        self._sums, self._seen = {}, 0
        for metric in self.metrics.values():
            metric.reset()
        try:
            with swiftnet.no_grad():
                for batch in loader:
                    self._count(*self._forward(batch), batch)
            return self._results()
        finally:
            for module, mode in modes:
                module.training = mode
            self._sums, self._seen = kept[:2]
            for name, metric in self.metrics.items():
                metric.load_state_dict(kept[2][name])

    # ---- checkpoints ----

    def write(self, state, name):
        """Saves something in the folder; it is there as a whole or not at all."""
        path = os.path.join(self.folder, name)
        beside = f"{path}.new"
        with open(beside, "wb") as file:
            swiftnet.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)

    def state_dict(self):
        """Everything that a resumed run needs: model, optimizer, schedule, random generators, place in the epoch."""
        return {
            "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
            "scheduler": None if self.scheduler is None else self.scheduler.state_dict(),
            "scaler": None if self.scaler is None else self.scaler.state_dict(),
            "callbacks": [c.state_dict() if hasattr(c, "state_dict") else {} for c in self.callbacks],
            "metrics": {name: dict(metric.state_dict()) for name, metric in self.metrics.items()},
            "epoch": self.epoch, "batch": self.batch, "history": self.history, "sums": self._sums, "seen": self._seen,
            "generators": _generator_states(None), "epoch generators": self._start_states,
        }  # fmt: skip

    def load_state_dict(self, state):
        """Takes what `state_dict` gave."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name in ("scheduler", "scaler"):
            part = getattr(self, name)
            if (part is None) != (state[name] is None):
                has = "has no" if state[name] is None else "has a"
                raise ValueError(f"the checkpoint {has} {name}, this trainer {'has none' if part is None else 'has'}")
            if part is not None:
                part.load_state_dict(state[name])
        for callback, part in zip(self.callbacks, state["callbacks"], strict=False):
            if hasattr(callback, "load_state_dict"):
                callback.load_state_dict(part)
        for name, metric in self.metrics.items():
            if name in state["metrics"]:
                metric.load_state_dict(state["metrics"][name])
        self.epoch, self.batch, self.history = state["epoch"], state["batch"], list(state["history"])
        self._sums, self._seen = dict(state["sums"]), state["seen"]
        if self.batch > 0:
            self._resumed = state["epoch generators"], state["generators"]
        else:
            self._resumed = None
            _set_generator_states(state["generators"], None)

    def save(self, path):
        """Writes a checkpoint, as a whole or not at all."""
        path = os.fspath(path)
        beside = f"{path}.new"
        with open(beside, "wb") as file:
            swiftnet.save(self.state_dict(), file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)

    def load(self, path):
        """Takes up a checkpoint."""
        self.load_state_dict(swiftnet.load(path))


def _model_of_batch(model, batch):
    """A batch is (input, …, target)."""
    if not isinstance(batch, (tuple, list)) or len(batch) < 2:
        raise TypeError(
            f"a batch must be (input, …, target), but is a {type(batch).__name__}; for others give the trainer a `step`"
        )
    return model(*batch[:-1]), batch[-1]


def _first(value):
    if isinstance(value, (tuple, list)):
        return value[0]
    return next(iter(value.values())) if hasattr(value, "values") and not hasattr(value, "dim") else value


def _size_of(batch):
    """Samples of a batch."""
    while not hasattr(batch, "dim"):
        if hasattr(batch, "values"):
            batch = list(batch.values())
        if not isinstance(batch, (tuple, list)) or not batch:
            return 1
        batch = batch[-1] if hasattr(batch[-1], "dim") else batch[0]
    return batch.shape[0] if batch.dim() else 1


def _generator_states(generator):
    """The states of all sources of random numbers: swiftnet's, a loader's, Python's, NumPy's."""
    _, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    version, internal, gauss_next = random.getstate()
    return {
        "swiftnet": swiftnet.get_rng_state(),
        "loader": None if generator is None else generator.get_state(),
        "numpy": (swiftnet.tensor(keys.astype(np.int64)), position, has_gauss, gauss),
        "python": (version, swiftnet.tensor(list(internal)), gauss_next),
    }


def _set_generator_states(states, generator):
    swiftnet.set_rng_state(states["swiftnet"])
    if generator is not None and states["loader"] is not None:
        generator.set_state(states["loader"])
    keys, position, has_gauss, gauss = states["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    version, internal, gauss_next = states["python"]
    random.setstate((version, tuple(internal.tolist()), gauss_next))
