"""The training loop: against one written by hand, interrupted and resumed, and with everything that can go wrong."""

import csv
import json
import struct

import numpy as np
import pytest
import swiftnet
from swiftnet import metrics, nn, optim
from swiftnet.train import BestWeights, Callback, EarlyStopping, Losses, NonFiniteLossError, TensorBoardLog, Trainer
from swiftnet.utils.data import DataLoader, Dataset, TensorDataset


def make_data(count=48):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((count, 6)).astype(np.float32)
    y = (x.sum(1) > 0).astype(np.int64)
    return TensorDataset(swiftnet.tensor(x), swiftnet.tensor(y))


def make_model(dropout=0.0):
    return nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 2))


def make_trainer(folder=None, dropout=0.0, lr=0.05, **settings):
    swiftnet.manual_seed(0)
    model = make_model(dropout)
    optimizer = optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    settings.setdefault("scheduler", optim.lr_scheduler.ExponentialLR(optimizer, 0.9))
    return Trainer(model, nn.CrossEntropyLoss(), optimizer, folder=folder, progress=False, **settings)


def weights(trainer):
    return {name: value.numpy().copy() for name, value in trainer.model.state_dict().items()}


def same(a, b):
    assert list(a) == list(b)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_as_a_loop_by_hand():
    trainer = make_trainer(metrics={"accuracy": metrics.Accuracy()})
    data = make_data()
    swiftnet.manual_seed(1)
    history = trainer.fit(DataLoader(data, batch_size=12, shuffle=True), DataLoader(data, batch_size=20), epochs=3)
    swiftnet.manual_seed(0)
    model = make_model()
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    swiftnet.manual_seed(1)
    loader = DataLoader(data, batch_size=12, shuffle=True)
    for record in history:
        total, correct = 0.0, 0
        for x, y in loader:
            out = model(x)
            loss = nn.functional.cross_entropy(out, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)
            correct += (out.argmax(1) == y).sum().item()
        schedule.step()
        assert record["loss"] == pytest.approx(total / 48)
        assert record["accuracy"] == pytest.approx(correct / 48)
        model.eval()
        for batch in DataLoader(data, batch_size=20):
            model(batch[0])
        next(iter(DataLoader(data))), model.train()
        break
    assert list(history[0]) == [
        "epoch", "loss", "accuracy", "validation loss", "validation accuracy", "learning rate", "seconds",
    ]  # fmt: skip
    assert [record["epoch"] for record in history] == [1, 2, 3]
    assert history[-1]["learning rate"] == pytest.approx(0.05 * 0.9**3)
    assert history[-1]["validation accuracy"] > 0.8
    assert trainer.model.training


class Augmented(Dataset):
    """Draws random numbers for every sample."""

    def __init__(self):
        self.data = make_data()

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        x, y = self.data[index]
        return x + 0.1 * swiftnet.randn(6) + float(np.random.rand()) * 0.01, y


class StopAt(Callback):
    """Interrupts a training as Ctrl-C does."""

    def __init__(self, epoch, batch):
        self.at = (epoch, batch)

    def on_step_end(self, trainer, losses):
        if (trainer.epoch, trainer.batch) == self.at:
            raise KeyboardInterrupt


@pytest.mark.parametrize("at", [(0, 3), (1, 1), (1, 4), (2, 2)])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_resumed_runs_are_bit_identical(tmp_path, at, accumulate):
    settings = {"dropout": 0.3, "accumulate": accumulate, "schedule": "step", "checkpoint_steps": 1, "clip_norm": 1.0}

    def run(folder, callbacks=(), resume=False, seed=5):
        trainer = make_trainer(folder, metrics={"accuracy": metrics.Accuracy()}, callbacks=callbacks, **settings)
        swiftnet.manual_seed(seed)
        np.random.seed(seed)
        loader = DataLoader(Augmented(), batch_size=10, shuffle=True)
        trainer.fit(loader, DataLoader(make_data(), batch_size=16), epochs=3, resume=resume)
        return trainer

    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", [StopAt(*at)])
    resumed = run(tmp_path / "parts", resume=True, seed=99)
    same(weights(resumed), weights(whole))
    strip = [[{k: v for k, v in r.items() if k != "seconds"} for r in t.history] for t in (resumed, whole)]
    assert strip[0] == strip[1]
    assert resumed.optimizer.param_groups[0]["lr"] == whole.optimizer.param_groups[0]["lr"]


def test_accumulated_gradients_are_those_of_a_larger_batch():
    data = make_data()
    found = []
    for size, accumulate in ((24, 1), (12, 2)):
        swiftnet.manual_seed(0)
        model = nn.Linear(6, 2)
        trainer = Trainer(
            model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1), accumulate=accumulate, progress=False
        )
        trainer.fit(DataLoader(data, batch_size=size), epochs=2)
        found.append(weights(trainer))
    for name in found[0]:
        np.testing.assert_allclose(found[0][name], found[1][name], rtol=1e-5, atol=1e-6)


def test_several_losses():
    out, target = swiftnet.randn(4, 3), swiftnet.tensor([0, 1, 2, 0])
    both = Losses({"main": nn.CrossEntropyLoss(), "aux": (nn.CrossEntropyLoss(), 0.4)})
    total, parts = both((out, 2 * out), target)
    expected = nn.functional.cross_entropy(out, target), nn.functional.cross_entropy(2 * out, target)
    assert total.item() == pytest.approx((expected[0] + 0.4 * expected[1]).item())
    assert parts["aux"].item() == pytest.approx(expected[1].item())
    by_name, _ = both({"aux": 2 * out, "main": out}, {"main": target, "aux": target})
    assert by_name.item() == pytest.approx(total.item())
    shared, _ = Losses([nn.CrossEntropyLoss(), nn.CrossEntropyLoss()])(out, target)
    assert shared.item() == pytest.approx(2 * expected[0].item())
    with pytest.raises(ValueError, match="3 outputs do not fit 2 losses: main, aux"):
        both((out, out, out), target)
    with pytest.raises(ValueError, match="no output for the loss 'aux'"):
        both({"main": out}, target)
    with pytest.raises(TypeError, match="must be a function"):
        Losses({"main": 3})


def test_models_that_give_their_losses():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(6, 2)

        def forward(self, x, y):
            out = self.body(x)
            loss = nn.functional.cross_entropy(out, y)
            return {"main": loss, "penalty": 0.01 * (self.body.weight**2).sum()}

    model = Own()
    trainer = Trainer(
        model, None, optim.SGD(model.parameters(), lr=0.1), step=lambda m, batch: (m(*batch), None), progress=False
    )
    (record,) = trainer.fit(DataLoader(make_data(), batch_size=12), epochs=1)
    assert record["loss"] == pytest.approx(record["main"] + record["penalty"])


def test_logs_and_files(tmp_path):
    trainer = make_trainer(
        tmp_path, metrics={"confusion": metrics.ConfusionMatrix(2)}, logs=("csv", "json", "tensorboard")
    )
    loader = DataLoader(make_data(), batch_size=16)
    trainer.fit(loader, loader, epochs=2)
    with open(tmp_path / "log.csv") as file:
        rows = list(csv.DictReader(file))
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert len(rows) == len(lines) == 2
    assert lines == trainer.history
    assert float(rows[1]["validation confusion miou"]) == pytest.approx(lines[1]["validation confusion miou"])
    assert (tmp_path / "curves.png").stat().st_size > 1000
    assert (tmp_path / "checkpoint.pt").exists()
    assert not list(tmp_path.glob("*.new"))
    (events,) = (tmp_path / "tensorboard").iterdir()
    content, records = events.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        records.append(content[12 : 12 + length])
        content = content[16 + length :]
    assert len(records) == 3
    assert b"brain.Event:2" in records[0]
    assert b"validation/loss" in records[2]
    assert struct.pack("<f", lines[1]["loss"]) in records[2]


def test_tensorboard_checksums():
    from swiftnet.train._logs import _crc

    # The check value of CRC-32C.
    assert _crc(b"123456789") == 0xE3069283
    assert TensorBoardLog("x").folder == "x"


def test_early_stopping_and_best_weights(tmp_path):
    seen = []

    class Record(Callback):
        def on_epoch_end(self, trainer, record):
            # A number that is best in the second epoch.
            record["score"] = {1: 3.0, 2: 1.0}.get(record["epoch"], 2.0)
            seen.append(weights(trainer))

    trainer = make_trainer(tmp_path, callbacks=[Record(), EarlyStopping("score", patience=3), BestWeights("score")])
    trainer.fit(DataLoader(make_data(), batch_size=16), epochs=20)
    assert trainer.epoch == 5
    same(weights(trainer), seen[1])
    best = swiftnet.load(tmp_path / "best.pt")
    np.testing.assert_array_equal(best["0.weight"].numpy(), seen[1]["0.weight"])
    with pytest.raises(ValueError, match="no 'validation loss' to watch"):
        make_trainer(callbacks=[EarlyStopping()]).fit(DataLoader(make_data(), batch_size=16))


def test_plateau_schedule():
    swiftnet.manual_seed(0)
    model = make_model()
    optimizer = optim.SGD(model.parameters(), lr=0.0)
    optimizer.param_groups[0]["lr"] = 1e-9
    plateau = optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.1, patience=0, eps=0)
    loader = DataLoader(make_data(), batch_size=48)
    trainer = Trainer(model, nn.CrossEntropyLoss(), optimizer, scheduler=plateau, progress=False)
    trainer.fit(loader, epochs=3)
    assert optimizer.param_groups[0]["lr"] < 1e-9


def test_a_loss_that_is_no_number_names_the_module():
    class Root(nn.Module):
        def forward(self, x):
            return (x - 100).sqrt()

    model = nn.Sequential(nn.Linear(6, 4), nn.Sequential(nn.ReLU(), Root()), nn.Linear(4, 2))
    trainer = Trainer(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1), progress=False)
    loader = DataLoader(make_data(), batch_size=16)
    with pytest.raises(NonFiniteLossError, match=r"epoch 1, batch 1: the loss is not a number: .*'1\.1' \(Root\)"):
        trainer.fit(loader)
    model[1][1] = nn.Identity()
    with swiftnet.no_grad():
        model[0].weight.fill_(float("inf"))
    with pytest.raises(NonFiniteLossError, match=r"parameter '0\.weight' is not finite"):
        trainer.fit(loader)
    trainer = make_trainer()
    trainer.loss = Losses(lambda out, y: (out.sum() * 0).log())
    with pytest.raises(NonFiniteLossError, match="it is the loss itself"):
        trainer.fit(loader)


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_mixed_precision(tmp_path, name):
    dtype = getattr(swiftnet, name)
    seen = []

    def run(resume=False, epochs=2):
        scaler = swiftnet.amp.GradScaler("cpu", init_scale=1024.0, enabled=name == "float16")
        trainer = make_trainer(
            tmp_path, autocast=lambda: swiftnet.autocast("cpu", dtype=dtype), scaler=scaler, clip_norm=5.0
        )
        trainer.model[0].register_forward_hook(lambda m, args, out: seen.append(out.dtype))
        trainer.fit(DataLoader(make_data(), batch_size=16), epochs=epochs, resume=resume)
        return trainer

    first = run()
    assert set(seen) == {dtype}
    assert first.history[-1]["loss"] < first.history[0]["loss"]
    assert run(resume=True, epochs=3).epoch == 3


def test_progress_is_shown(capsys):
    trainer = make_trainer()
    trainer.progress = True
    trainer.fit(DataLoader(make_data(), batch_size=16), epochs=1)
    assert "epoch 1/1" in capsys.readouterr().err


def test_mistakes(tmp_path):
    with pytest.raises(ValueError, match="schedule"):
        make_trainer(schedule="day")
    with pytest.raises(ValueError, match="accumulate"):
        make_trainer(accumulate=0)
    with pytest.raises(ValueError, match="logs are"):
        make_trainer(tmp_path, logs=("paper",))
    with pytest.raises(ValueError, match="gives no batches"):
        make_trainer().fit([])
    with pytest.raises(TypeError, match="a batch must be"):
        make_trainer().fit([swiftnet.rand(3, 6)])
    with pytest.raises(ValueError, match="single number"):
        trainer = make_trainer()
        trainer.loss = Losses(nn.CrossEntropyLoss(reduction="none"))
        trainer.fit(DataLoader(make_data(), batch_size=16))
    trainer = make_trainer(tmp_path)
    trainer.fit(DataLoader(make_data(), batch_size=16))
    with pytest.raises(ValueError, match="the checkpoint has a scheduler, this trainer has none"):
        make_trainer(tmp_path, scheduler=None).fit(DataLoader(make_data(), batch_size=16), epochs=2, resume=True)
