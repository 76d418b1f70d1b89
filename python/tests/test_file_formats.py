"""The format before PyTorch 1.6, safetensors and npz: both ways, and what is damaged or hostile."""

import collections
import io
import json
import os
import pickle
import random
import struct
import zipfile

import numpy as np
import pytest
import safetensors.torch
import swiftnet
import torch

DTYPES = ["float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "bool"]


def legacy(obj):
    buffer = io.BytesIO()
    torch.save(obj, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def loads(content):
    return swiftnet.load(io.BytesIO(content))


# ---- the legacy format ----


@pytest.mark.parametrize("dtype", DTYPES)
def test_legacy_dtypes(dtype, tmp_path):
    content = {"a": torch.tensor([[0, 1, 2], [3, 4, 5]]).to(getattr(torch, dtype)), "empty": torch.zeros(0, 3)}
    torch.save(content, tmp_path / "file.pth", _use_new_zipfile_serialization=False)
    found = swiftnet.load(tmp_path / "file.pth")
    assert found["a"].dtype is getattr(swiftnet, dtype)
    assert found["a"].tolist() == content["a"].tolist()
    assert tuple(found["empty"].shape) == (0, 3)


def test_legacy_states_go_on():
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.Flatten())
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
    net(torch.ones(2, 1, 4, 4)).sum().backward()
    optimizer.step()
    checkpoint = {"model": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3, "best": (0.5, None)}
    found = loads(legacy(checkpoint))
    assert found["epoch"] == 3 and found["best"] == (0.5, None)
    assert type(found["model"]) is collections.OrderedDict and found["model"]._metadata
    own = swiftnet.nn.Sequential(swiftnet.nn.Conv2d(1, 2, 3), swiftnet.nn.BatchNorm2d(2), swiftnet.nn.Flatten())
    own.load_state_dict(found["model"])
    for key, value in net.state_dict().items():
        assert own.state_dict()[key].tolist() == value.tolist()
    mine = swiftnet.optim.Adam(own.parameters())
    mine.load_state_dict(found["optimizer"])
    assert mine.param_groups[0]["lr"] == 0.1


def test_legacy_shared_storages_and_parameters():
    whole = torch.arange(6.0).view(2, 3)
    parameter = torch.nn.Parameter(torch.ones(2), requires_grad=False)
    found = loads(legacy([whole, whole[1], whole.t(), parameter, whole]))
    assert found[4] is found[0]
    found[0][1, 0] = 9
    assert found[1].tolist() == [9, 4, 5]
    assert found[2].stride() == (1, 3)
    assert isinstance(found[3], swiftnet.nn.Parameter) and not found[3].requires_grad


@pytest.mark.parametrize("prefix", [b"", b"something before"])
def test_legacy_files_in_the_middle_of_others(prefix):
    buffer = io.BytesIO(prefix + legacy({"a": torch.ones(3)}))
    buffer.seek(len(prefix))
    assert swiftnet.load(buffer)["a"].tolist() == [1, 1, 1]


def test_every_truncation_of_a_legacy_file_is_an_error():
    content = legacy({"a": torch.arange(5.0), "b": torch.ones(2, 2, dtype=torch.int64)})
    for length in range(len(content)):
        with pytest.raises((RuntimeError, EOFError, pickle.UnpicklingError, ValueError)):
            loads(content[:length])


class Attack:
    """Runs when a plain unpickler reads it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("form", ["zip", "legacy", "bare"])
def test_code_in_a_file_does_not_run(tmp_path, form):
    trace = tmp_path / "trace"
    attack = {"state": torch.ones(1), "evil": Attack(trace)}
    buffer = io.BytesIO()
    if form == "bare":
        pickle.dump(attack["evil"], buffer)
    else:
        torch.save(attack, buffer, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises((pickle.UnpicklingError, RuntimeError), match=r"posix\.system|nt\.system"):
        loads(buffer.getvalue())
    assert not trace.exists()


def zipped(pickled, **storages):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        for key, content in storages.items():
            archive.writestr(f"archive/data/{key[1:]}", content)
    return buffer.getvalue()


HOSTILE = {
    "attributes of a function": b"ctorch._utils\n_rebuild_tensor_v2\n(N}X\x0c\x00\x00\x00__defaults__K\x01stb.",
    "attributes of a class": b"ctorch\nSize\n(N}X\x07\x00\x00\x00__len__K\x01stb.",
    "attributes of a dtype": b"ctorch\nfloat32\n}X\x04\x00\x00\x00nameK\x01sb.",
    "made without constructor": b"ctorch\nSize\n)\x81.",
    "made of a function": b"ctorch._utils\n_rebuild_parameter\n)\x81.",
    "made with keywords": b"\x80\x04ctorch\nSize\n)}\x92.",
    "an old instance": b"(ios\nsystem\n.",
    "an old object": b"(cbuiltins\nset\no.",
    "an extension": b"\x80\x02\x82\x01.",
    "a huge table": b"\x80\x02]r\xff\xff\xff\x7f.",
    "huge bytes": b"\x80\x03B\xff\xff\xff\x7fabc.",
    "a huge bytearray": b"cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.",
    "an empty stack": b"0.",
    "a missing mark": b"t.",
    "an unknown code": b"\xff.",
    "nothing": b"",
    "a call of no function": b"K\x01)R.",
    "a name of no module": b"c\n\n.",
    "no text": b"X\x02\x00\x00\x00\xff\xfe.",
    "an unknown memory": b"h\x05.",
    "deep nesting": b"(" * 100_000 + b"t" * 100_000 + b".",
    "no storage in a tensor": b"ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x00K\x01\x85K\x01\x85\x89Nt R.",
    "items of a number": b"K\x01K\x02K\x03s.",
    "appending to a number": b"K\x01K\x02a.",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_hostile_pickles(name, form):
    pickled = HOSTILE[name]
    start = b"".join(
        pickle.dumps(part, 2)
        for part in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}})
    )
    content = zipped(pickled) if form == "zip" else start + pickled + pickle.dumps([], 2)
    if name in ("deep nesting", "a huge table"):
        assert loads(content) is not None
        return
    with pytest.raises((pickle.UnpicklingError, RuntimeError, EOFError, ValueError)):
        loads(content)


def test_storages_that_a_file_does_not_have():
    def reference(key, count, kind=b"FloatStorage", extra=b""):
        return (
            b"(X\x07\x00\x00\x00storagectorch\n" + kind + b"\nX" + struct.pack("<I", len(key)) + key + b"X\x03\x00\x00\x00cpuJ"
            + struct.pack("<i", count) + extra + b"tQ."
        )  # fmt: skip

    start = b"".join(pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))
    for content in (
        zipped(reference(b"1", 2), _0=bytes(8)),
        zipped(reference(b"../data.pkl", 2), _0=bytes(8)),
        zipped(reference(b"0", -2), _0=bytes(8)),
        zipped(reference(b"0", 3), _0=bytes(8)),
        start + reference(b"0", 2**31 - 1, extra=b"N") + pickle.dumps(["0"], 2),
        start + reference(b"0", -1, extra=b"N") + pickle.dumps(["0"], 2),
        start + reference(b"0", 2, extra=b"N") + pickle.dumps(["1"], 2) + struct.pack("<q", 2) + bytes(8),
        start + reference(b"0", 2, extra=b"N") + pickle.dumps(["0"], 2) + struct.pack("<q", 3) + bytes(12),
        start + reference(b"0", 2, extra=b"N") + pickle.dumps(3, 2) + struct.pack("<q", 2) + bytes(8),
        start + reference(b"0", 2, extra=b"(X\x01\x00\x00\x00vK\x01K\x05t") + pickle.dumps(["0"], 2),
    ):
        with pytest.raises((pickle.UnpicklingError, RuntimeError, EOFError)):
            loads(content)


def test_compressed_storages_are_refused():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10_000_000))
    with pytest.raises(pickle.UnpicklingError, match="compressed"):
        loads(buffer.getvalue())


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors", "npz"])
def test_random_damage_is_an_error_or_harmless(form):
    tensors = {"a": swiftnet.arange(7).float(), "b": swiftnet.ones(2, 3, dtype=swiftnet.bool)}
    buffer = io.BytesIO()
    if form == "zip":
        swiftnet.save(tensors, buffer)
        content = buffer.getvalue()
    elif form == "legacy":
        content = legacy({"a": torch.arange(7.0), "b": torch.ones(2, 3, dtype=torch.bool)})
    elif form == "safetensors":
        content = swiftnet.safetensors.save(tensors)
    else:
        swiftnet.npz.save(tensors, buffer)
        content = buffer.getvalue()
    choices = random.Random(0)
    for _ in range(400):
        changed = bytearray(content)
        for _ in range(choices.choice([1, 1, 3, 20])):
            changed[choices.randrange(len(changed))] = choices.randrange(256)
        if choices.random() < 0.3:
            changed = changed[: choices.randrange(len(changed))]
        try:
            found = loads(bytes(changed))
        except (RuntimeError, ValueError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile, MemoryError, TypeError):
            continue
        for tensor in found.values() if isinstance(found, dict) else []:
            if isinstance(tensor, swiftnet.Tensor):
                repr(tensor.float().sum())


def test_truth_values_are_0_or_1():
    content = bytearray(swiftnet.safetensors.save({"b": swiftnet.ones(4, dtype=swiftnet.bool)}))
    content[-4:] = b"\x00\x02\xff\x01"
    found = swiftnet.safetensors.load(bytes(content))["b"]
    assert found.tolist() == [False, True, True, True]
    assert found.view(swiftnet.uint8).tolist() == [0, 1, 1, 1]


# ---- safetensors ----


def example():
    base = swiftnet.arange(6).float().view(2, 3)
    tensors = {name: swiftnet.ones(3, 2).to(getattr(swiftnet, name)) for name in DTYPES}
    tensors.update(
        turned=base.t(), part=base[1], scalar=swiftnet.tensor(3.5), empty=swiftnet.zeros(0, 4),
        parameter=swiftnet.nn.Parameter(swiftnet.ones(2)), größe=swiftnet.ones(1),
    )  # fmt: skip
    return tensors


def test_safetensors_both_ways(tmp_path):
    path = tmp_path / "file.safetensors"
    tensors = example()
    swiftnet.safetensors.save_file(tensors, path, {"epoch": "3"})
    assert swiftnet.safetensors.read_metadata(path) == {"epoch": "3"}
    for found in (
        swiftnet.safetensors.load_file(path), swiftnet.load(path),
        swiftnet.safetensors.load(swiftnet.safetensors.save(tensors)),
    ):  # fmt: skip
        assert set(found) == set(tensors)
        for name, tensor in tensors.items():
            assert found[name].dtype is tensor.dtype
            assert found[name].shape == tensor.shape
            assert found[name].tolist() == tensor.tolist()
            assert not found[name].requires_grad
    assert os.listdir(tmp_path) == ["file.safetensors"]


def test_safetensors_of_the_package_itself(tmp_path):
    path, tensors = tmp_path / "ours.safetensors", example()
    swiftnet.safetensors.save_file(tensors, path, {"epoch": "3"})
    read = safetensors.torch.load_file(path)
    assert set(read) == set(tensors)
    for name, tensor in tensors.items():
        assert str(read[name].dtype).rpartition(".")[2] == str(tensor.dtype).rpartition(".")[2]
        assert tuple(read[name].shape) == tuple(tensor.shape) and read[name].tolist() == tensor.tolist()
    with safetensors.safe_open(path, "pt") as file:
        assert file.metadata() == {"epoch": "3"}
    assert set(safetensors.torch.load(swiftnet.safetensors.save(tensors))) == set(tensors)

    path = tmp_path / "theirs.safetensors"
    safetensors.torch.save_file(read, path, {"by": "the package"})
    found = swiftnet.safetensors.load_file(path)
    assert swiftnet.safetensors.read_metadata(path) == {"by": "the package"}
    assert set(found) == set(tensors)
    for name, tensor in tensors.items():
        assert found[name].dtype is tensor.dtype and found[name].shape == tensor.shape
        assert found[name].tolist() == tensor.tolist()


def test_weights_travel_as_safetensors(tmp_path):
    source = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    safetensors.torch.save_file(source.state_dict(), tmp_path / "weights.safetensors")
    model = swiftnet.nn.Sequential(swiftnet.nn.Conv2d(3, 4, 3), swiftnet.nn.BatchNorm2d(4))
    model.load_state_dict(swiftnet.load(tmp_path / "weights.safetensors"))
    swiftnet.safetensors.save_file(model.state_dict(), tmp_path / "back.safetensors")
    back = safetensors.torch.load_file(tmp_path / "back.safetensors")
    assert list(source.state_dict()) == list(model.state_dict())
    for name, value in source.state_dict().items():
        assert torch.equal(back[name], value)


def test_safetensors_are_laid_out_as_the_format_says():
    """Checked by hand: there is no other library here."""
    content = swiftnet.safetensors.save(
        {"b": swiftnet.ones(2), "a": swiftnet.ones(3, dtype=swiftnet.uint8)}, {"x": "y"}
    )
    length = struct.unpack("<Q", content[:8])[0]
    assert (8 + length) % 8 == 0
    header = json.loads(content[8 : 8 + length])
    assert header == {
        "__metadata__": {"x": "y"},
        "b": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        "a": {"dtype": "U8", "shape": [3], "data_offsets": [8, 11]},
    }
    assert content[8 + length :] == np.ones(2, np.float32).tobytes() + b"\x01\x01\x01"


def foreign(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


GOOD = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
WRONG = {
    "empty": b"",
    "short": b"\x01\x02",
    "a length beyond the file": foreign({"a": GOOD}, bytes(8), 10_000),
    "a negative length": foreign({"a": GOOD}, bytes(8), 2**64 - 1),
    "no JSON": foreign(b"{nonsense", bytes(8)),
    "no text": foreign(b"{\xff\xfe}", bytes(8)),
    "a list": foreign([1, 2]),
    "deep JSON": foreign(b'{"a":' * 50_000 + b"}" * 50_000),
    "twice the same name": foreign(
        b'{"a":' + json.dumps(GOOD).encode() + b',"a":' + json.dumps(GOOD).encode() + b"}", bytes(8)
    ),
    "too little data": foreign({"a": GOOD}, bytes(7)),
    "too much data": foreign({"a": GOOD}, bytes(9)),
    "a hole": foreign({"a": GOOD, "b": {**GOOD, "data_offsets": [12, 20]}}, bytes(20)),
    "an overlap": foreign({"a": GOOD, "b": {**GOOD, "data_offsets": [4, 12]}}, bytes(12)),
    "offsets in the wrong order": foreign({"a": {**GOOD, "data_offsets": [8, 0]}}, bytes(8)),
    "a wrong shape": foreign({"a": {**GOOD, "shape": [3]}}, bytes(8)),
    "a negative shape": foreign({"a": {**GOOD, "shape": [-2]}}, bytes(8)),
    "a huge shape": foreign({"a": {**GOOD, "shape": [2**59, 2**59]}}, bytes(8)),
    "a fraction in the shape": foreign({"a": {**GOOD, "shape": [2.0]}}, bytes(8)),
    "truth in the shape": foreign({"a": {**GOOD, "shape": [True, 2]}}, bytes(8)),
    "an unknown dtype": foreign({"a": {**GOOD, "dtype": "F8_E4M3"}}, bytes(8)),
    "a dtype of no text": foreign({"a": {**GOOD, "dtype": [1]}}, bytes(8)),
    "a missing entry": foreign({"a": {"dtype": "F32", "shape": [2]}}, bytes(8)),
    "an entry too many": foreign({"a": {**GOOD, "x": 1}}, bytes(8)),
    "an entry of no dictionary": foreign({"a": 3}, bytes(8)),
    "metadata of numbers": foreign({"__metadata__": {"a": 1}}),
    "metadata of no dictionary": foreign({"__metadata__": "a"}),
}


@pytest.mark.parametrize("name", WRONG)
def test_damaged_safetensors(name):
    with pytest.raises(RuntimeError, match="safetensors"):
        swiftnet.safetensors.load(WRONG[name])


def test_what_safetensors_cannot_hold(tmp_path):
    for wrong in ({"a": 3}, {1: swiftnet.ones(1)}, {"a": {"b": swiftnet.ones(1)}}):
        with pytest.raises(TypeError, match="safetensors"):
            swiftnet.safetensors.save_file(wrong, tmp_path / "file.safetensors")
    with pytest.raises(TypeError, match="strings"):
        swiftnet.safetensors.save({}, {"epoch": 3})
    assert os.listdir(tmp_path) == []
    assert swiftnet.safetensors.load(swiftnet.safetensors.save({})) == {}


# ---- npz ----


@pytest.mark.parametrize("compressed", [False, True])
def test_npz_both_ways(tmp_path, compressed):
    path = tmp_path / "file.npz"
    tensors = example()
    swiftnet.npz.save(tensors, path, compressed=compressed)
    with np.load(path, allow_pickle=False) as arrays:
        for name, tensor in tensors.items():
            assert arrays[name].tolist() == tensor.tolist()
            assert arrays[name].shape == tuple(tensor.shape)
    for found in (swiftnet.npz.load(path), swiftnet.load(path)):
        for name, tensor in tensors.items():
            wanted = swiftnet.float32 if name == "bfloat16" else tensor.dtype
            assert found[name].dtype is wanted and found[name].tolist() == tensor.tolist()
    np.savez(path, weight=np.ones((2, 3), order="F"), big=np.arange(3, dtype=">f4"))
    found = swiftnet.npz.load(path)
    assert found["weight"].tolist() == [[1, 1, 1]] * 2 and found["big"].tolist() == [0, 1, 2]


def test_what_npz_cannot_hold(tmp_path):
    path = tmp_path / "file.npz"
    np.savez(path, objects=np.array([Attack(tmp_path / "trace")], dtype=object))
    with pytest.raises(RuntimeError, match="objects"):
        swiftnet.npz.load(path)
    assert not (tmp_path / "trace").exists()
    np.savez(path, words=np.array(["a"]))
    with pytest.raises(RuntimeError, match="words"):
        swiftnet.npz.load(path)
    with pytest.raises(TypeError, match="npz"):
        swiftnet.npz.save({"a": 3}, path)
    path.write_bytes(b"nonsense")
    with pytest.raises(RuntimeError, match="npz"):
        swiftnet.npz.load(path)


@pytest.mark.parametrize("form", ["safetensors", "npz"])
def test_a_failed_save_leaves_the_old_file(tmp_path, form):
    path = tmp_path / f"file.{form}"
    module = getattr(swiftnet, form)
    write = module.save_file if form == "safetensors" else module.save
    write({"a": swiftnet.ones(2)}, path)
    with pytest.raises(TypeError):
        write({"a": swiftnet.zeros(2), "b": "text"}, path)
    assert swiftnet.load(path)["a"].tolist() == [1, 1]
    assert os.listdir(tmp_path) == [path.name]
