"""The models beside the same networks written in PyTorch: names, text, first values, outputs, gradients, training."""

import copy
import functools
import pickle

import model_originals as originals
import numpy as np
import pytest
import swiftnet
import torch
from model_parity import arrays, class_loss, close, convert, image, labels
from swiftnet import models, nn
from swiftnet.models import ccn, cifar_resnet, group_clsgat, pspnet, resnet
from swiftnet.models.feature_extraction import (
    IntermediateLayerGetter,
    create_feature_extractor,
    get_graph_node_names,
)

SMALL = (1, 2, 1, 1)


def residual(block, layers=SMALL, theirs=None, **settings):
    """Both networks out of the same settings; `theirs` replaces some for PyTorch."""
    settings = {"width": 8, "num_classes": 5, **settings}
    return (
        lambda: resnet.ResNet(getattr(resnet, block), layers, **settings),
        lambda: originals.ResNet(getattr(originals, block), layers, **{**settings, **(theirs or {})}),
    )


def plain(**settings):
    settings = {"width": 8, "out_size": 5, "layers": (1, 0, 1, 1), **settings}
    return lambda: cifar_resnet.ResNet(**settings), lambda: originals.PlainResNet(**settings)


GROUPS = {"groups": 3, "nclasses": 6, "nclasses_per_group": [1, 3, 2], "group_channels": 8, "class_channels": 4}


def group_net(backbone="resnet50", cbam=False, residual=False):
    def original():
        net = originals.ResNet(originals.Bottleneck, SMALL, width=8, cbam=cbam)
        return originals.GroupClsGat(net, 3, 6, [1, 3, 2], 8, 4, residual)

    return lambda: models.GroupClsGat(backbone, **GROUPS, width=8, layers=SMALL, residual=residual), original


def two_losses(library, outputs, target):
    loss = library.nn.functional.binary_cross_entropy_with_logits
    return loss(outputs[0], target) + 0.1 * loss(outputs[1], target)


def auxiliary_loss(library, outputs, target):
    return outputs[1] + 0.4 * outputs[2]


IMAGES = (image(3, 3, 33, 33),)
VOLUMES = [image(4, 1, 6, 7, 8, seed=seed) for seed in (2, 3)]
FLAT = [image(4, 1, 9, 8, seed=seed) for seed in (4, 5)]
CLASSES = labels((3,), 5)
SEGMENTS = np.where(labels((3, 33, 33), 9, 2) < 4, labels((3, 33, 33), 4), 255)

# name: (both constructors, inputs, target, loss)
MODELS = {
    "resnet, basic blocks": (residual("BasicBlock"), IMAGES, CLASSES, class_loss),
    "resnet, bottlenecks": (residual("Bottleneck"), IMAGES, CLASSES, class_loss),
    "resnet, groups": (residual("Bottleneck", groups=4, width_per_group=16), IMAGES, CLASSES, class_loss),
    "resnet, wide": (residual("Bottleneck", width_per_group=128), IMAGES, CLASSES, class_loss),
    "resnet, zero init": (residual("Bottleneck", zero_init_residual=True), IMAGES, CLASSES, class_loss),
    "resnet, dilated": (
        residual("Bottleneck", (1, 1, 2, 2), replace_stride_with_dilation=(False, True, True)),
        IMAGES, CLASSES, class_loss,
    ),
    "resnet, deep stem": (residual("Bottleneck", deep_base=True), IMAGES, CLASSES, class_loss),
    "resnet, padded shortcut": (residual("BasicBlock", shortcut="pad"), IMAGES, CLASSES, class_loss),
    "resnet, cbam": (residual("Bottleneck", cbam=True), IMAGES, CLASSES, class_loss),
    "resnet, group norm": (
        residual(
            "BasicBlock", norm_layer=functools.partial(nn.GroupNorm, 4), zero_init_residual=True,
            theirs={"norm_layer": functools.partial(torch.nn.GroupNorm, 4)},
        ),
        IMAGES, CLASSES, class_loss,
    ),
    "plain resnet": (plain(), IMAGES, CLASSES, class_loss),
    "plain resnet, projection": (plain(shortcut="projection"), IMAGES, CLASSES, class_loss),
    "plain resnet, padded": (plain(shortcut="pad"), IMAGES, CLASSES, class_loss),
    "pspnet": (
        (
            lambda: models.PSPNet(layers=SMALL, classes=4, dropout=0.0, width=4),
            lambda: originals.PSPNet(layers=SMALL, classes=4, dropout=0.0, width=4),
        ),
        IMAGES, SEGMENTS, auxiliary_loss,
    ),
    "pspnet, zoom 1, no pyramid": (
        (
            lambda: models.PSPNet(layers=SMALL, classes=4, dropout=0.0, width=4, zoom_factor=1, use_ppm=False),
            lambda: originals.PSPNet(layers=SMALL, classes=4, dropout=0.0, width=4, zoom_factor=1, use_ppm=False),
        ),
        IMAGES, SEGMENTS[:, ::8, ::8], auxiliary_loss,
    ),
    "group net": (group_net(), IMAGES, image(3, 6, seed=7) > 0, two_losses),
    "group net, residual attention": (group_net(residual=True), IMAGES, image(3, 6, seed=7) > 0, two_losses),
    "group net, cbam": (group_net("resnet50_cbam", cbam=True), IMAGES, image(3, 6, seed=7) > 0, two_losses),
    "feature fusion, 3-d": (
        (lambda: ccn.CCN(3, 0.0, 2, (6, 7, 8)), lambda: originals.CCN(3, 0.0, 2, (6, 7, 8))),
        (VOLUMES,), labels((4,), 30), class_loss,
    ),
    "feature fusion, 2-d": (
        (lambda: ccn.CCN(3, 0.0, 2, (9, 8), classes=5), lambda: originals.CCN(3, 0.0, 2, (9, 8), 5)),
        (FLAT,), labels((4,), 5), class_loss,
    ),
    "model fusion, 3-d": (
        (lambda: ccn.CCNModels(3, 0.0, 2, (6, 7, 8)), lambda: originals.CCNModels(3, 0.0, 2, (6, 7, 8))),
        (VOLUMES[0],), labels((4,), 30), class_loss,
    ),
    "model fusion, 2-d": (
        (lambda: ccn.CCNModels(3, 0.0, 3, (9, 8)), lambda: originals.CCNModels(3, 0.0, 3, (9, 8))),
        (FLAT[0],), labels((4,), 30), class_loss,
    ),
    "decision fusion, 3-d": (
        (
            lambda: ccn.DecisionFusion(
                ccn.CCNSingle(3, 0.0, (6, 7, 8)), ccn.CCNSingle(2, 0.0, (6, 7, 8)), weights=(0.7, 0.3)
            ),
            lambda: originals.DecisionFusion(
                originals.CCNSingle(3, 0.0, (6, 7, 8)), originals.CCNSingle(2, 0.0, (6, 7, 8)), (0.7, 0.3)
            ),
        ),
        (VOLUMES[0],), labels((4,), 30), class_loss,
    ),
}  # fmt: skip


def both(name, seed=1):
    """The two networks, drawn from the same seed."""
    (make, make_original), *_ = MODELS[name]
    swiftnet.manual_seed(seed)
    torch.manual_seed(seed)
    return make(), make_original()


@pytest.mark.parametrize("name", MODELS)
def test_names_and_first_values(name):
    ours, theirs = both(name)
    own, state = ours.state_dict(), theirs.state_dict()
    assert list(own) == list(state)
    for key, value in state.items():
        np.testing.assert_allclose(own[key].numpy(), value.numpy(), rtol=2e-5, atol=1e-6, err_msg=key)
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]


@pytest.mark.parametrize("name", MODELS)
def test_text(name):
    ours, theirs = both(name)
    text = repr(theirs).replace("PlainResNet(", "ResNet(", 1).replace("Pad()", "PaddedShortcut()")
    lines = [line.split("PaddedShortcut(")[0] for line in repr(ours).splitlines()]
    assert lines == [line.split("PaddedShortcut(")[0] for line in text.splitlines()]


@pytest.mark.parametrize("name", MODELS)
def test_outputs_gradients_and_training(name):
    _, inputs, target, loss_of = MODELS[name]
    ours, theirs = both(name)
    ours.load_state_dict(theirs.state_dict())
    runs = []
    for library, model in ((swiftnet, ours.double()), (torch, theirs.double())):
        x = [convert(library, value) for value in inputs]
        y = library.tensor(target)
        if target.dtype == bool:
            y = y.double()
        with_target = "pspnet" in name
        values = {}
        model.eval()
        with library.no_grad():
            values["evaluation"] = arrays(model(*x))
        model.train()
        optimizer = library.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)
        losses = []
        for step in range(5):
            optimizer.zero_grad()
            outputs = model(*x, y) if with_target else model(*x)
            loss = loss_of(library, outputs, y)
            loss.backward()
            if step == 0:
                values["training"] = arrays(outputs)
                for key, parameter in model.named_parameters():
                    if parameter.grad is not None:
                        values[f"gradient of {key}"] = arrays(parameter.grad)
            optimizer.step()
            losses.append(loss.item())
        values["losses"] = [np.array(losses)]
        for key, value in model.state_dict().items():
            values[f"{key} after five steps"] = arrays(value)
        runs.append(values)
    assert list(runs[0]) == list(runs[1])
    for key, expected in runs[1].items():
        assert len(runs[0][key]) == len(expected)
        for a, b in zip(runs[0][key], expected, strict=True):
            close(a, b, key, 1e-6 if "steps" in key or key == "losses" else 1e-8)


PARTS = {
    "attention": ("BGATLayer", (5, 7), {}, (2, 4, 5)),
    "residual attention": ("BGATLayer", (5, 5), {"residual": True, "alpha": 0.1}, (2, 4, 5)),
    "mean of heads": ("NHeadsBGATLayer", (3, "mean", 5, 7), {}, (2, 4, 5)),
    "heads joined": ("NHeadsBGATLayer", (3, "concat", 5, 7), {"residual": True}, (2, 4, 5)),
    "bottleneck": ("Parallel_Bottleneck", (3, 4), {}, (2, 4, 6, 6)),
    "squeezed bottleneck": ("Parallel_Bottleneck", (3, 4), {"reduction": 2}, (2, 4, 6, 6)),
    "group linear": ("Parallel_GroupLinear", (3, 6, 4, 5, [1, 3, 2]), {}, (2, 3, 4)),
    "group linear, an empty group": ("Parallel_GroupLinear", (3, 4, 4, 5, [1, 0, 3]), {}, (2, 3, 4)),
    "class linear": ("group_divided_linear", (3, 4, 5), {}, (2, 3, 4)),
    "class block": ("nclass_BasicLinear", (4, 5, 3), {}, (6, 3, 4)),
    "residual class block": ("parallel_final_fcs_ResidualLinearBlock", (3, 2, 8), {}, (6, 3, 8)),
    "class output": ("parallel_output_linear", (3, 8), {}, (6, 3, 8)),
    "head": ("Head", (3, 6, [1, 3, 2], 8, 4, 12), {}, (3, 12, 5, 5)),
    "ppm": ("PPM", (4, 2, (1, 2, 3)), {}, (2, 4, 7, 9)),
    "channel attention": ("ChannelAttention", (32,), {}, (2, 32, 5, 5)),
    "spatial attention": ("SpatialAttention", (), {}, (2, 3, 9, 9)),
}


@pytest.mark.parametrize("name", PARTS)
def test_parts_alone(name):
    kind, args, settings, shape = PARTS[name]
    module = next(m for m in (group_clsgat, pspnet, resnet) if hasattr(m, kind))
    swiftnet.manual_seed(2)
    torch.manual_seed(2)
    ours, theirs = getattr(module, kind)(*args, **settings), getattr(originals, kind)(*args, **settings)
    assert repr(ours) == repr(theirs)
    for key, value in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[key].numpy(), value.numpy(), rtol=2e-6, atol=1e-7)
    ours.load_state_dict(theirs.state_dict())
    found = []
    for library, part in ((swiftnet, ours.double()), (torch, theirs.double())):
        x = library.tensor(image(*shape), requires_grad=True)
        out = part(x)
        out = out if isinstance(out, (tuple, list)) else [out]
        total = sum((o * library.tensor(image(*o.shape, seed=9))).sum() for o in out)
        leaves = [x, *part.parameters()]
        grads = library.autograd.grad(total, leaves, allow_unused=True)
        found.append([*out, *[g for g in grads if g is not None]])
    assert len(found[0]) == len(found[1])
    for a, b in zip(*found, strict=True):
        close(a.detach().numpy(), b.detach().numpy(), name, 1e-9)


def test_attention_memory_grows_with_pairs_only():
    nodes, features = 256, 128
    layer = group_clsgat.BGATLayer(features, features)
    x = swiftnet.rand(1, nodes, features)
    swiftnet.memory.reset_peak()
    before = swiftnet.memory.statistics()["live"]
    layer(x).sum().backward()
    grown = swiftnet.memory.peak() - before
    # One tensor [1, N, N, 2C] of float32 would take 64 MB.
    assert grown < 16 * nodes * nodes * 4


VARIANTS = {
    "resnet18": 11689512, "resnet34": 21797672, "resnet50": 25557032, "resnet101": 44549160, "resnet152": 60192808,
    "resnext50_32x4d": 25028904, "resnext101_32x8d": 88791336, "resnext101_64x4d": 83455272,
    "wide_resnet50_2": 68883240, "wide_resnet101_2": 126886696,
}  # fmt: skip


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnext50_32x4d"])
def test_variants(name):
    """Numbers of parameters as torchvision's documentation gives them."""
    model = getattr(models, name)()
    assert sum(p.numel() for p in model.parameters()) == VARIANTS[name]


def test_weights_are_loaded_by_name(tmp_path):
    source = originals.ResNet(originals.BasicBlock, (2, 2, 2, 2), num_classes=1000)
    path = tmp_path / "resnet18.pth"
    torch.save(source.state_dict(), path)
    model = models.resnet18(weights=path).eval()
    x = image(1, 3, 40, 40).astype(np.float32)
    with torch.no_grad():
        expected = source.eval()(torch.tensor(x)).numpy()
    close(model(swiftnet.tensor(x)).detach().numpy(), expected, "output", 1e-4)
    assert models.resnet18(weights=source.state_dict()) is not None
    with pytest.raises(ValueError, match="downloads no weights"):
        models.resnet18(pretrained=True)
    with pytest.raises(FileNotFoundError, match="missing.pth"):
        models.resnet18(weights="missing.pth")
    with pytest.raises(RuntimeError, match="size mismatch for fc.weight"):
        models.resnet18(weights=path, num_classes=4)


def test_weights_of_backbones(tmp_path):
    torch.manual_seed(3)
    source = originals.ResNet(originals.Bottleneck, SMALL, width=8)
    path = tmp_path / "backbone.pth"
    torch.save(source.state_dict(), path)
    model = group_net()[0]()
    head = model.heads.gat.W.clone()
    model.load_backbone(path)
    np.testing.assert_array_equal(
        model.features[4][0].conv1.weight.detach().numpy(), source.layer1[0].conv1.weight.detach().numpy()
    )
    assert swiftnet.equal(model.heads.gat.W, head)
    with pytest.raises(RuntimeError, match="not the weights of the backbone.*lack 'layer0.3.weight'"):
        models.PSPNet(layers=SMALL, width=8).load_backbone(source.state_dict())
    deep = originals.ResNet(originals.Bottleneck, SMALL, width=8, deep_base=True)
    model = models.PSPNet(layers=SMALL, width=8).load_backbone(deep.state_dict())
    np.testing.assert_array_equal(model.layer0[6].weight.detach().numpy(), deep.conv3.weight.detach().numpy())
    np.testing.assert_array_equal(model.layer4[0].bn3.running_var.numpy(), deep.layer4[0].bn3.running_var.numpy())
    with pytest.raises(ValueError, match="load_backbone"):
        models.PSPNet(pretrained=True)


def small():
    return resnet.ResNet(resnet.BasicBlock, SMALL, num_classes=5, width=8)


def test_children_can_be_replaced():
    class Doubled(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(64, 3)

        def forward(self, x):
            return 2 * self.inner(x)

    model = small()
    x = swiftnet.tensor(IMAGES[0], dtype=swiftnet.float32)
    model.fc = nn.Linear(64, 4)
    assert model(x).shape == (3, 4)
    model.fc = Doubled()
    out = model(x)
    assert out.shape == (3, 3)
    out.sum().backward()
    assert model.fc.inner.weight.grad is not None
    assert model.conv1.weight.grad is not None
    assert "fc.inner.weight" in model.state_dict()
    model.layer1[0].conv1 = nn.Conv2d(8, 8, 5, padding=2)
    assert model(x).shape == (3, 3)
    assert model.layer1[0].downsample is None
    model.layer1[0].downsample = nn.Identity()
    assert model(x).shape == (3, 3)


def test_hooks_fire_inside():
    model = small()
    seen = []
    model.layer3[0].bn1.register_forward_hook(lambda m, args, out: seen.append((m, out.shape)))
    handle = model.layer4.register_forward_pre_hook(lambda m, args: seen.append("pre"))
    model(swiftnet.tensor(IMAGES[0], dtype=swiftnet.float32))
    assert seen[0] == (model.layer3[0].bn1, (3, 32, 3, 3))
    assert seen[1:] == ["pre"]
    handle.remove()


def test_frozen_backbone_learns_only_the_new_layer():
    model = small()
    for parameter in model.parameters():
        parameter.requires_grad = False
    model.fc = nn.Linear(64, 4)
    before = copy.deepcopy(model.state_dict())
    optimizer = swiftnet.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model(swiftnet.tensor(IMAGES[0], dtype=swiftnet.float32)).sum().backward()
    optimizer.step()
    changed = {k for k, v in model.state_dict().items() if not swiftnet.equal(v, before[k]) and "running" not in k}
    assert {k for k in changed if "num_batches" not in k} == {"fc.weight", "fc.bias"}


@pytest.mark.parametrize(
    "name", ["resnet, basic blocks", "pspnet", "group net, cbam", "model fusion, 2-d", "decision fusion, 3-d"]
)
def test_copies_and_pickles(name):
    _, inputs, *_ = MODELS[name]
    model, _ = both(name)
    model.eval()
    x = [swiftnet.tensor(v, dtype=swiftnet.float32) for v in inputs]
    expected = arrays(model(*x))
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert type(twin) is type(model)
        assert repr(twin) == repr(model)
        assert not twin.training
        for a, b in zip(arrays(twin(*x)), expected, strict=True):
            np.testing.assert_array_equal(a, b)
        next(twin.parameters()).data.fill_(0)
    for a, b in zip(arrays(model(*x)), expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_feature_taps():
    model = small().eval()
    x = swiftnet.tensor(IMAGES[0], dtype=swiftnet.float32)
    body = create_feature_extractor(model, {"layer1.0.conv2": "early", "layer3": "late"})
    out = body(x)
    assert list(out) == ["early", "late"]
    direct = model.layer1(model.maxpool(model.relu(model.bn1(model.conv1(x)))))
    direct = model.layer3(model.layer2(direct))
    np.testing.assert_allclose(out["late"].detach().numpy(), direct.detach().numpy(), rtol=1e-5, atol=1e-6)
    assert "fc.weight" not in body.state_dict()
    assert "layer3.0.conv1.weight" in body.state_dict()
    ran = []
    model.layer4.register_forward_hook(lambda *_: ran.append(1))
    body(x)
    assert not ran
    model(x)
    assert ran
    body.train()
    assert model.training
    out["early"].sum().backward()
    assert model.conv1.weight.grad is not None
    getter = IntermediateLayerGetter(model, {"layer2": "a", "layer4": "b"})
    assert [tuple(v.shape) for v in getter(x).values()] == [(3, 16, 5, 5), (3, 64, 2, 2)]
    assert "layer2.1.conv1" in get_graph_node_names(model)[0]
    with pytest.raises(ValueError, match="'layer9' is not present"):
        create_feature_extractor(model, ["layer9"])
    twin = copy.deepcopy(getter)
    assert list(twin(x)) == ["a", "b"]


def test_pspnet_evaluation_does_not_run_the_auxiliary_head():
    model = models.PSPNet(layers=SMALL, classes=3, width=4)
    ran = []
    model.aux.register_forward_hook(lambda *_: ran.append(1))
    x = swiftnet.tensor(IMAGES[0], dtype=swiftnet.float32)
    assert model.eval()(x).shape == (3, 3, 33, 33)
    assert not ran
    classes, main_loss, aux_loss = model.train()(x, swiftnet.zeros(3, 33, 33, dtype=swiftnet.int64))
    assert ran == [1]
    assert classes.dtype == swiftnet.int64
    assert classes.shape == (3, 33, 33)
    assert main_loss.dim() == aux_loss.dim() == 0
    model.criterion = nn.CrossEntropyLoss(ignore_index=0)
    assert "ignore" not in repr(model.criterion)


def test_optimizer_groups_of_the_group_net():
    model = group_net()[0]()
    optimizer = swiftnet.optim.SGD(model.get_config_optim(0.1, 0.01), momentum=0.9)
    assert [group["lr"] for group in optimizer.param_groups] == [0.01, 0.1]
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(model.parameters()))


def test_decision_fusion_gives_its_parts():
    model = ccn.DecisionFusion(nn.Linear(3, 2), nn.Linear(3, 2), weights=(0.25, 0.75), parts=True)
    x = swiftnet.rand(4, 3)
    total, first, second = model(x)
    np.testing.assert_allclose(total.detach().numpy(), (0.25 * first + 0.75 * second).detach().numpy(), rtol=1e-6)
    total, first, second = model([x, 2 * x])
    np.testing.assert_allclose(second.detach().numpy(), model.model1(2 * x).detach().numpy(), rtol=1e-6)


def test_mistakes():
    x = swiftnet.rand(2, 3, 33, 33)
    with pytest.raises(ValueError, match="only supports groups=1"):
        resnet.ResNet(resnet.BasicBlock, SMALL, groups=2)
    with pytest.raises(NotImplementedError, match="Dilation > 1"):
        resnet.ResNet(resnet.BasicBlock, SMALL, replace_stride_with_dilation=(False, True, True), width=8)
    with pytest.raises(ValueError, match="3-element tuple"):
        resnet.ResNet(resnet.Bottleneck, SMALL, replace_stride_with_dilation=(False, True))
    with pytest.raises(ValueError, match="four stages"):
        resnet.ResNet(resnet.Bottleneck, (1, 1))
    with pytest.raises(ValueError, match="num_classes"):
        models.resnet18(num_classes=0)
    with pytest.raises(ValueError, match="width"):
        models.resnet18(width=10**9)
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        models.resnet18(colour=3)
    with pytest.raises(TypeError, match="class of modules with an attribute 'expansion'"):
        resnet.ResNet(nn.Linear, SMALL)
    with pytest.raises(ValueError, match="no residual network 'resnet7'"):
        models.GroupClsGat("resnet7", **GROUPS)
    with pytest.raises(ValueError, match="number of classes, 6"):
        models.GroupClsGat("resnet18", **{**GROUPS, "nclasses_per_group": [1, 3, 3]}, width=8)
    with pytest.raises(ValueError, match="multiples of 8, plus 1"):
        models.PSPNet(layers=SMALL, width=4).eval()(swiftnet.rand(1, 3, 32, 32))
    with pytest.raises(TypeError, match="needs the labels"):
        models.PSPNet(layers=SMALL, width=4)(x)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        models.PSPNet(layers=SMALL, width=4)(x[:1], swiftnet.zeros(1, 33, 33, dtype=swiftnet.int64))
    with pytest.raises(ValueError, match="zoom_factor"):
        models.PSPNet(layers=SMALL, zoom_factor=3)
    with pytest.raises(ValueError, match="layers must be 50"):
        models.PSPNet(layers=18)
    with pytest.raises(ValueError, match=r"expected nodes \(batch, nodes, 5\)"):
        group_clsgat.BGATLayer(5, 5)(swiftnet.rand(2, 4))
    with pytest.raises(ValueError, match="'mean' or 'concat'"):
        group_clsgat.NHeadsBGATLayer(2, "sum", 5, 5)
    with pytest.raises(ValueError, match="expected 2 inputs"):
        ccn.CCN(3, 0.0, 2, (9, 8))([x])
    with pytest.raises(ValueError, match="greater than 3"):
        ccn.CCN(3, 0.0, 2, (3, 8))
    with pytest.raises(ValueError, match="3 weights do not fit 2 models"):
        ccn.DecisionFusion(nn.Linear(3, 2), nn.Linear(3, 2), weights=(1, 2, 3))(swiftnet.rand(1, 3))


def test_parts_that_were_tampered_with():
    layer = group_clsgat.BGATLayer(4, 4)
    layer.W = nn.Parameter(swiftnet.zeros(4))
    with pytest.raises(ValueError, match="W must have two dimensions"):
        layer(swiftnet.rand(1, 2, 4))
    layer = group_clsgat.group_divided_linear(2, 3, 4)
    layer.weight = nn.Parameter(swiftnet.zeros(4))
    with pytest.raises(ValueError, match="three dimensions"):
        layer(swiftnet.rand(1, 2, 3))
    with pytest.raises(ValueError, match="two dimensions"):
        layer.reset_parameters()
    layer = group_clsgat.Parallel_Bottleneck(2, 4)
    for value in (-1, 0, 2**40):
        with pytest.raises(ValueError, match="groups must be"):
            layer.groups = value
    layer = group_clsgat.Parallel_GroupLinear(2, 4, 3, 2, [1, 3])
    with pytest.raises(ValueError, match="number of classes"):
        layer.nclasses_per_group = (2**62, 2**62)
    model = ccn.CCNModels(3, 0.0, 2, (9, 8))
    with pytest.raises(ValueError, match="cnt must be"):
        model.cnt = -5
    net = group_net()[0]()
    net.heads.group_linear = nn.Flatten(0)
    with pytest.raises(ValueError, match="features must be"):
        net(swiftnet.rand(2, 3, 33, 33))
    shortcut = resnet.PaddedShortcut(2, 4, 2)
    with pytest.raises(ValueError, match="must not be less"):
        shortcut.out_channels = 1
    net = small()
    net.avgpool = nn.Identity()
    with pytest.raises(RuntimeError, match="mat1 and mat2|shapes"):
        net(swiftnet.rand(2, 3, 40, 40))
