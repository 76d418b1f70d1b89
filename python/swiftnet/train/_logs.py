"""Where the numbers of a training go: CSV, JSON lines, TensorBoard, pictures."""

import csv
import json
import math
import os
import struct
import time

from swiftnet.train._callbacks import Callback


class _FileLog(Callback):
    def __init__(self, path):
        self.path = os.fspath(path)

    def on_fit_start(self, trainer):
        os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
        # A run that is resumed does not keep what was written after its checkpoint.
        self.rewrite(trainer.history)

    def on_epoch_end(self, trainer, record):
        self.rewrite(trainer.history)

    def rewrite(self, history):
        """Writes all epochs, and puts the file in its place at once."""
        beside = self.path + ".new"
        with open(beside, "w", encoding="utf8", newline="") as file:
            self.write(file, history)
        os.replace(beside, self.path)


class CSVLog(_FileLog):
    """A table with a row for each epoch."""

    def write(self, file, history):
        names = list(dict.fromkeys(name for record in history for name in record))
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(history)


class JSONLog(_FileLog):
    """A line of JSON for each epoch."""

    def write(self, file, history):
        for record in history:
            file.write(json.dumps(record) + "\n")


def _crc(data, table=[]):  # noqa: B006 - made once
    """CRC-32C."""
    if not table:
        for n in range(256):
            for _ in range(8):
                n = (n >> 1) ^ (0x82F63B78 if n & 1 else 0)
            table.append(n)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _masked(data):
    crc = _crc(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def _field(number, content):
    """A field of a protocol buffer that has a length."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


class TensorBoardLog(Callback):
    """A file for TensorBoard, with a curve for each number; needs nothing to be installed for writing it."""

    def __init__(self, folder):
        self.folder = os.fspath(folder)
        self._file = None

    def on_fit_start(self, trainer):
        os.makedirs(self.folder, exist_ok=True)
        name = f"events.out.tfevents.{int(time.time())}.{os.getpid()}.{time.time_ns() % 10**9}"
        self._file = open(os.path.join(self.folder, name), "wb")  # noqa: SIM115 - closed when the training ends
        self._write(_field(3, b"brain.Event:2"))

    def _write(self, event):
        event = b"\x09" + struct.pack("<d", time.time()) + event
        length = struct.pack("<Q", len(event))
        self._file.write(length + struct.pack("<I", _masked(length)) + event + struct.pack("<I", _masked(event)))
        self._file.flush()

    def on_epoch_end(self, trainer, record):
        values = b""
        for name, value in record.items():
            if name != "epoch" and isinstance(value, (int, float)):
                tag = _field(1, name.replace(" ", "/").encode())
                values += _field(1, tag + b"\x15" + struct.pack("<f", value))
        self._write(b"\x10" + _varint(record["epoch"]) + _field(5, values))

    def on_fit_end(self, trainer):
        if self._file is not None:
            self._file.close()
            self._file = None


def draw_curves(history, path=None):
    """A picture with the curves of all numbers over the epochs, training and validation together. Needs matplotlib.

    Args:
        history: the records of a training.
        path: the file to write; without one, the figure is returned, which a notebook shows.
    """
    from matplotlib.figure import Figure

    plots = {}
    for name in dict.fromkeys(name for record in history for name in record):
        if name in ("epoch", "seconds"):
            continue
        points = [(r["epoch"], r[name]) for r in history if isinstance(r.get(name), (int, float))]
        points = [point for point in points if math.isfinite(point[1])]
        if points:
            plots.setdefault(name.removeprefix("validation "), []).append((name, points))
    columns = min(len(plots), 3) or 1
    rows = max(math.ceil(len(plots) / columns), 1)
    figure = Figure(figsize=(4.5 * columns, 3.2 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat[len(plots) :]:
        axis.axis("off")
    for axis, (title, curves) in zip(axes.flat, plots.items(), strict=False):
        for name, points in curves:
            axis.plot(*zip(*points, strict=True), label="validation" if name != title else "training", marker=".")
        axis.set(title=title, xlabel="epoch")
        if len(curves) > 1:
            axis.legend()
    if path is None:
        return figure
    figure.savefig(path, dpi=120)
    return None
