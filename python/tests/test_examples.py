"""The programs in examples/, on data small enough for a test."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import swiftnet
from data_folders import write_coco, write_voc
from swiftnet.datasets import CIFAR10
from swiftnet.transforms import ToTensor
from swiftnet.utils.data import DataLoader

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def program(monkeypatch, tmp_path):
    """Imports an example; `run` gives it arguments."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.chdir(tmp_path)

    def load(name, *arguments):
        module = importlib.import_module(name)
        if arguments:
            monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
            module.main()
        return module

    yield load
    for name in [path.stem for path in EXAMPLES.glob("*.py")]:
        sys.modules.pop(name, None)


def test_cifar10_keeps_weights_logs_and_infos(program, tmp_path):
    cifar10 = program("cifar10")
    root = cifar10.write_digits(tmp_path / "data", 24)
    loader = DataLoader(CIFAR10(root, transform=ToTensor(), verify=False), batch_size=16, shuffle=True)
    for number in range(2):
        dog = cifar10.Train(folder=tmp_path, width=4, layers=(1, 0, 0, 0))
        dog.train(loader, epochs=4)
        assert dog.para_path == tmp_path / f"paras/ResNet{number}.pt"
        assert dog.opti.param_groups[0]["lr"] == pytest.approx(0.01 / 100)
        info = np.load(tmp_path / f"infos/ResNet{number}.npy", allow_pickle=True).item()
        assert info["errors"].shape == info["acc_rates"].shape == (4,)
        log = (tmp_path / f"logs/ResNet{number}.txt").read_text()
        assert log.count("learning rate change!!!") == 2
        assert log.count("Accuracy of the network on 120 train images") == 4
        assert "part 7     loss: " in log
    twin = cifar10.ResNet(width=4, layers=(1, 0, 0, 0))
    twin.load_state_dict(swiftnet.load(dog.para_path))
    assert 0 <= dog.test(loader) <= 1


def test_cifar10_says_what_is_missing(program, tmp_path):
    with pytest.raises(FileNotFoundError, match="cifar-10-python.tar.gz"):
        program("cifar10", "--data", tmp_path)


def test_scenes_are_exact(program):
    scenes = program("scenes")
    data = scenes.Scenes(12, size=64, target="mask")
    image, mask = data[0]
    assert image.shape == (64, 64, 3)
    for mask, labels in zip(data.masks, data.labels, strict=True):
        found = {int(v) - 1 for v in np.unique(mask) if 0 < v < scenes.EDGE}
        assert found == set(np.flatnonzero(labels))
    again = scenes.Scenes(12, size=64)
    np.testing.assert_array_equal(again.images, data.images)


SHORT = {
    "multi_label": ["--epochs", 1, "--scenes", 64, "--width", 8],
    "multi_task": ["--epochs", 1],
    "custom_losses": ["--epochs", 1, "--scenes", 20],
    "fine_tune": ["--epochs", 1, "--width", 4, "--size", 24],
    "half_precision": ["--epochs", 1, "--width", 4, "--size", 16],
    "segmentation": ["--epochs", 1, "--scenes", 16, "--size", 33, "--width", 4, "--weights", 0, 0.4, "--seeds", 1],
}


@pytest.mark.parametrize("name", SHORT)
def test_programs_run(program, tmp_path, capsys, name):
    program(name, *SHORT[name], "--folder", tmp_path / "run")
    assert capsys.readouterr().out


# Options that are given count beside --data, whose defaults are for the whole network.
SMALL = ["--epochs", 1, "--width", 4, "--layers", 1, 1, 1, 1, "--batch-size", 2]
HEAD = ["--size", 64, "--group-channels", 8, "--class-channels", 4]
DATA = {
    "segmentation": ("segmentation", lambda folder: write_voc(folder), ["--size", 33]),
    "voc": ("multi_label", lambda folder: write_voc(folder, "2007"), HEAD),
    "coco": ("multi_label", write_coco, HEAD),
}


@pytest.mark.parametrize("case", DATA)
def test_programs_read_official_data_sets(program, tmp_path, capsys, case):
    name, write, arguments = DATA[case]
    write(tmp_path)
    program(name, "--data", tmp_path, *SMALL, *arguments, "--folder", tmp_path / "run")
    results = json.loads((tmp_path / "run/results.json").read_text())
    if name == "segmentation":
        assert list(results) == ["0.4"]
        assert (tmp_path / "run/predictions_0.4.png").exists()
    else:
        assert all(0 <= run["mAP"] <= 1 for run in results.values())
    assert capsys.readouterr().out


def test_programs_start_from_weights(program, tmp_path):
    """Backbones from files with torchvision's names, annotations from elsewhere, images read by workers."""
    write_voc(tmp_path)
    write_coco(tmp_path, "2014")
    (tmp_path / "annotations").rename(tmp_path / "elsewhere")
    elsewhere = ["--annotations", tmp_path / "elsewhere/instances_train2014.json", "--workers", 1]
    for name, deep, arguments in (("segmentation", True, ["--size", 33]), ("multi_label", False, HEAD + elsewhere)):
        backbone = swiftnet.models.ResNet("Bottleneck", [1, 1, 1, 1], width=4, deep_base=deep)
        swiftnet.save(backbone.state_dict(), tmp_path / "backbone.pt")
        arguments = [*SMALL, *arguments, "--weights-file", tmp_path / "backbone.pt"]
        program(name, "--data", tmp_path, *arguments, "--folder", tmp_path / name)
        assert (tmp_path / name / "results.json").exists()


@pytest.mark.parametrize("name", ["segmentation", "multi_label"])
def test_programs_say_which_data_are_missing(program, tmp_path, name):
    with pytest.raises(FileNotFoundError, match="VOCdevkit"):
        program(name, "--data", tmp_path)
    if name == "multi_label":
        with pytest.raises(ValueError, match="instances_val2017.json"):
            program(name, "--data", tmp_path, "--annotations", tmp_path / "instances_val2017.json")


class Shown(list):
    """What a notebook would show: the value of the last expression of each cell."""

    def run(self, path):
        import ast

        names = {"__name__": "__main__"}
        for cell in json.loads(path.read_text())["cells"]:
            if cell["cell_type"] != "code":
                continue
            tree = ast.parse("".join(cell["source"]))
            last = tree.body[-1] if isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(ast.Module(tree.body[: -1 if last else None], []), str(path), "exec"), names)
            if last is not None:
                self.append(eval(compile(ast.Expression(last.value), str(path), "eval"), names))
        return names


@pytest.mark.parametrize("name", [path.stem for path in sorted((EXAMPLES / "notebooks").glob("*.ipynb"))])
def test_notebooks(program, monkeypatch, name):
    monkeypatch.chdir(EXAMPLES / "notebooks")
    shown = Shown()
    shown.run(EXAMPLES / f"notebooks/{name}.ipynb")
    assert shown
    for value in shown:
        if hasattr(value, "_repr_html_"):
            html = value._repr_html_()
            assert html is None or html.startswith("<")


def test_tensors_and_modules_in_notebooks():
    html = swiftnet.arange(200.0).view(10, 20)._repr_html_()
    assert html.count("<tr>") == 10
    assert "…" in html
    assert "(10, 20), float32" in html
    assert "<pre>tensor(" in swiftnet.rand(2, 2, 2, requires_grad=True)._repr_html_()
    model = swiftnet.models.resnet18(num_classes=3, width=4)
    html = model._repr_html_()
    assert html.count("<details") == 1 + 4 + 8 + 3
    assert "layer4" in html
    assert "parameters" in html
