"""Saving and loading: both libraries read each other's files; nothing runs from a file; files are whole or absent."""

import collections
import io
import os
import pickle
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
import swiftnet
import torch

DTYPES = ["float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "bool"]


def example(library):
    whole = library.arange(6).view(2, 3).to(library.float32)
    content = {name: library.ones(3).to(getattr(library, name)) for name in DTYPES}
    content.update(
        whole=whole,
        row=whole[1],
        turned=whole.t(),
        again=whole,
        empty=library.zeros(0, 2),
        scalar=library.tensor(3),
        parameter=library.nn.Parameter(library.ones(2)),
        frozen=library.nn.Parameter(library.ones(1), requires_grad=False),
        leaf=library.ones(2, requires_grad=True),
        shape=whole.shape,
        dtype=library.float16,
        device=library.device("cpu"),
        plain=[1, -(2**40), 2.5, None, True, "text", b"bytes", (1, (2,)), {"a": {3}}],
        ordered=collections.OrderedDict(b=1, a=2),
    )
    return content


def check(content, library):
    assert isinstance(content["parameter"], library.nn.Parameter)
    assert content["parameter"].requires_grad and content["leaf"].requires_grad
    assert not content["frozen"].requires_grad and not content["whole"].requires_grad
    for name in DTYPES:
        assert content[name].dtype is getattr(library, name)
        assert content[name].tolist() == [1, 1, 1]
    assert content["turned"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert content["turned"].stride() == (1, 3)
    assert content["again"] is content["whole"]
    content["whole"][1, 0] = 9
    assert content["row"].tolist() == [9, 4, 5]
    assert tuple(content["empty"].shape) == (0, 2)
    assert content["scalar"].item() == 3
    assert content["shape"] == (2, 3) and type(content["shape"]) is library.Size
    assert content["dtype"] is library.float16
    assert content["device"] == library.device("cpu")
    assert content["plain"] == [1, -(2**40), 2.5, None, True, "text", b"bytes", (1, (2,)), {"a": {3}}]
    assert list(content["ordered"]) == ["b", "a"]


@pytest.mark.parametrize("writer", [swiftnet, torch])
@pytest.mark.parametrize("reader", [swiftnet, torch])
def test_files_are_pytorchs(tmp_path, writer, reader):
    writer.save(example(writer), tmp_path / "file.pt")
    check(reader.load(tmp_path / "file.pt", weights_only=True), reader)


def test_module_and_optimizer_states_pass_both_ways(tmp_path):
    def make(library):
        model = library.nn.Sequential(library.nn.Conv2d(1, 2, 3), library.nn.BatchNorm2d(2))
        optimizer = library.optim.Adam(model.parameters(), lr=0.1)
        model(library.ones(1, 1, 4, 4)).sum().backward()
        optimizer.step()
        return model, optimizer

    for writer, reader in ((swiftnet, torch), (torch, swiftnet)):
        model, optimizer = make(writer)
        writer.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "file.pt")
        other, other_optimizer = make(reader)
        content = reader.load(tmp_path / "file.pt")
        other.load_state_dict(content["model"])
        other_optimizer.load_state_dict(content["optimizer"])
        for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True):
            assert a.tolist() == b.tolist()


def test_buffers_in_memory():
    buffer = io.BytesIO()
    swiftnet.save({"a": swiftnet.ones(2)}, buffer)
    buffer.seek(0)
    assert torch.load(buffer)["a"].tolist() == [1, 1]
    buffer.seek(0)
    assert swiftnet.load(buffer, map_location="cpu")["a"].tolist() == [1, 1]


def test_numpy_numbers_are_saved_as_numbers(tmp_path):
    swiftnet.save([np.float64(1.5), np.int32(3), np.bool_(True)], tmp_path / "file.pt")
    assert swiftnet.load(tmp_path / "file.pt") == [1.5, 3, True]


def test_storages_are_aligned(tmp_path):
    swiftnet.save([swiftnet.ones(n) for n in (1, 3, 17)], tmp_path / "file.pt")
    with zipfile.ZipFile(tmp_path / "file.pt") as archive:
        for entry in archive.infolist():
            assert (entry.header_offset + 30 + len(entry.filename) + len(entry.extra)) % 64 == 0
    # A mapped file is one that PyTorch reads in place.
    assert torch.load(tmp_path / "file.pt", mmap=True)[2].tolist() == [1] * 17


class Custom:
    pass


def test_nothing_but_plain_content_is_loaded(tmp_path):
    swiftnet.save(Custom(), tmp_path / "file.pt")
    with pytest.raises(pickle.UnpicklingError, match="Custom"):
        swiftnet.load(tmp_path / "file.pt")
    with pytest.raises(pickle.UnpicklingError, match="runs no code"):
        swiftnet.load(tmp_path / "file.pt", weights_only=False)


def archive_of(pickled, **storages):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        for key, content in storages.items():
            archive.writestr(f"archive/data/{key[1:]}", content)
    buffer.seek(0)
    return buffer


@pytest.mark.parametrize(
    "pickled",
    [
        b"cos\nsystem\n(X\x04\x00\x00\x00truetR.",
        b"cbuiltins\neval\n(X\x01\x00\x00\x001tR.",
        b"cbuiltins\ngetattr\n.",
        b"cswiftnet\nload\n.",
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x09tQ.",
        b"X\x01\x00\x00\x00aQ.",
    ],
)
def test_hostile_pickles_are_refused(pickled):
    with pytest.raises(pickle.UnpicklingError):
        swiftnet.load(archive_of(pickled, _0=bytes(8)))


def test_a_tensor_cannot_reach_beyond_its_storage():
    storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x02tQ"
    for place in (
        b"K\x00(K\x64t(K\x01t",
        b"K\x05(K\x01t(K\x01t",
        b"J\xff\xff\xff\xff(K\x01t(K\x01t",
        b"K\x00(K\x02t(K\x64t",
    ):
        pickled = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + place + b"\x89ccollections\nOrderedDict\n)RtR."
        with pytest.raises((RuntimeError, ValueError)):
            swiftnet.load(archive_of(pickled, _0=bytes(8)))


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04" + bytes(100)])
def test_damaged_files(tmp_path, content):
    (tmp_path / "file.pt").write_bytes(content)
    with pytest.raises(RuntimeError, match="swiftnet.save"):
        swiftnet.load(tmp_path / "file.pt")


def test_flipped_bits_are_found(tmp_path):
    swiftnet.save(swiftnet.ones(1000), tmp_path / "file.pt")
    content = bytearray((tmp_path / "file.pt").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "file.pt").write_bytes(content)
    with pytest.raises(zipfile.BadZipFile):
        swiftnet.load(tmp_path / "file.pt")


def test_missing_places(tmp_path):
    with pytest.raises(FileNotFoundError):
        swiftnet.load(tmp_path / "none.pt")
    with pytest.raises(RuntimeError, match="does not exist"):
        swiftnet.save(1, tmp_path / "none" / "file.pt")


def test_a_failed_save_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.pt"
    swiftnet.save("old", path)
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        swiftnet.save([swiftnet.ones(3), lambda: 0], path)
    assert swiftnet.load(path) == "old"
    assert os.listdir(tmp_path) == ["file.pt"]


def test_a_killed_save_leaves_a_whole_file(tmp_path):
    path = tmp_path / "file.pt"
    program = f"""
import swiftnet
content = [swiftnet.full((500_000,), float(i)) for i in range(4)]
while True:
    swiftnet.save(content, {str(path)!r})
    print("saved", flush=True)
"""
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    child.stdout.readline()
    time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert [t[0].item() for t in swiftnet.load(path)] == [0, 1, 2, 3]


def test_links_stay_links(tmp_path):
    swiftnet.save(1, tmp_path / "real.pt")
    (tmp_path / "link.pt").symlink_to("real.pt")
    swiftnet.save(2, tmp_path / "link.pt")
    assert (tmp_path / "link.pt").is_symlink()
    assert swiftnet.load(tmp_path / "real.pt") == 2
