"""Residual networks out of blocks that a user writes in Python, beside the same in PyTorch."""

import copy

import model_originals as originals
import numpy as np
import pytest
import swiftnet
import torch
from model_parity import arrays, class_loss, close, image, labels
from swiftnet import nn
from swiftnet.models import resnet

SMALL = (1, 2, 1, 1)


def custom_blocks(nn, bottleneck, resnet):
    """Blocks as programs define them, for either library: derived from the bottleneck, and on their own."""

    class Squeezing(bottleneck):
        expansion = 2

        def __init__(self, inplanes, planes, *args, **kwargs):
            super().__init__(inplanes, planes, *args, **kwargs)
            channels = planes * self.expansion
            self.squeeze = nn.Sequential(
                nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, 4, 1), nn.ReLU(), nn.Conv2d(4, channels, 1), nn.Sigmoid()
            )

        def forward(self, x):
            out = self.relu(self.bn1(self.conv1(x)))
            out = self.relu(self.bn2(self.conv2(out)))
            out = self.bn3(self.conv3(out))
            out = out * self.squeeze(out)
            return self.relu(out + (x if self.downsample is None else self.downsample(x)))

    class PreActivated(nn.Module):
        expansion = 1

        def __init__(
            self, inplanes, planes, stride=1, downsample=None, groups=1, base_width=64, dilation=1, norm_layer=None
        ):
            super().__init__()
            self.bn1 = norm_layer(inplanes)
            self.conv1 = nn.Conv2d(inplanes, planes, 3, stride, dilation, dilation, bias=False)
            self.bn2 = norm_layer(planes)
            self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
            self.downsample = downsample

        def forward(self, x):
            before = nn.functional.relu(self.bn1(x))
            out = self.conv2(nn.functional.relu(self.bn2(self.conv1(before))))
            return out + (x if self.downsample is None else self.downsample(before))

    class Stages(resnet):
        def _make_layer(self, block, planes, blocks, stride=1, dilate=False):
            return nn.Sequential(super()._make_layer(block, planes, blocks, stride, dilate), nn.Dropout(0.0))

        def _forward_impl(self, x):
            return super()._forward_impl(x) * 2

    return Squeezing, PreActivated, Stages


class TorchvisionBottleneck(originals.Bottleneck):
    """The original with the expansion of the class and torchvision's constructor."""

    def __init__(
        self, inplanes, planes, stride=1, downsample=None, groups=1, base_width=64, dilation=1, norm_layer=None
    ):
        norm = norm_layer or torch.nn.BatchNorm2d
        super().__init__(inplanes, planes, stride, None, groups, base_width, dilation, norm, False)
        width = self.conv3.in_channels
        self.conv3, self.bn3 = originals.conv(width, planes * self.expansion, 1), norm(planes * self.expansion)
        self.downsample = downsample


class TorchvisionResNet(originals.ResNet):
    """The original with torchvision's way to make stages."""

    def stage(self, planes, blocks, stride, dilate):
        return self._make_layer(self.settings[0], planes, blocks, stride, dilate)

    def _make_layer(self, block, planes, blocks, stride=1, dilate=False):
        _, groups, base_width, norm, _, _ = self.settings
        before = self.dilation
        if dilate:
            self.dilation, stride = self.dilation * stride, 1
        outputs = planes * block.expansion
        shortcut = None
        if stride != 1 or self.inplanes != outputs:
            shortcut = torch.nn.Sequential(originals.conv(self.inplanes, outputs, 1, stride), norm(outputs))
        layers = [block(self.inplanes, planes, stride, shortcut, groups, base_width, before, norm)]
        self.inplanes = outputs
        for _ in range(1, blocks):
            more = {"groups": groups, "base_width": base_width, "dilation": self.dilation, "norm_layer": norm}
            layers.append(block(self.inplanes, planes, **more))
        return torch.nn.Sequential(*layers)

    def forward(self, x):
        return self._forward_impl(x)

    def _forward_impl(self, x):
        return super().forward(x)


@pytest.mark.parametrize("kind", ["derived", "own", "dilated", "stages", "deep stem"])
def test_blocks_written_in_python(kind):
    nets = []
    for library, bottleneck, network in (
        (swiftnet, resnet.Bottleneck, resnet.ResNet),
        (torch, TorchvisionBottleneck, TorchvisionResNet),
    ):
        squeezing, pre_activated, stages = custom_blocks(library.nn, bottleneck, network)
        settings = {"width": 8, "num_classes": 5}
        if kind == "dilated":
            settings["replace_stride_with_dilation"] = (False, True, True)
        if kind == "deep stem":
            settings["deep_base"] = True
        library.manual_seed(4)
        nets.append(
            (stages if kind == "stages" else network)(
                squeezing if kind == "derived" else pre_activated, (2, 1, 2, 1), **settings
            )
        )
    ours, theirs = nets
    own, state = ours.state_dict(), theirs.state_dict()
    assert list(own) == list(state)
    for key, value in state.items():
        assert tuple(own[key].shape) == tuple(value.shape)
        if kind != "derived":  # the test's original draws a convolution twice
            np.testing.assert_allclose(own[key].numpy(), value.numpy(), rtol=2e-5, atol=1e-6, err_msg=key)
    ours.load_state_dict(state)
    x = image(3, 3, 33, 33)
    for mode in ("train", "eval"):
        found = []
        for library, model in ((swiftnet, ours.double()), (torch, theirs.double())):
            getattr(model, mode)()
            model.zero_grad()
            out = model(library.tensor(x))
            class_loss(library, out, library.tensor(labels((3,), 5))).backward()
            found.append(arrays(out) + [p.grad.numpy() for p in model.parameters()])
        for a, b in zip(*found, strict=True):
            close(a, b, mode, 1e-8)
    again = copy.deepcopy(ours)
    np.testing.assert_array_equal(again(swiftnet.tensor(x)).detach().numpy(), found[0][0])


def test_settings_of_blocks_written_in_python():
    squeezing, pre_activated, _ = custom_blocks(nn, resnet.Bottleneck, resnet.ResNet)
    model = resnet.ResNet(squeezing, SMALL, width=8, num_classes=3, zero_init_residual=True)
    assert model.layer1[0].bn3.weight.abs().sum().item() == 0 and model.fc.in_features == 8 * 8 * 2
    assert model.inplanes == 128 and model.layer2[0].stride == 2 and model.layer4[0].conv2.stride == (2, 2)
    groups = resnet.ResNet(
        pre_activated, SMALL, width=8, norm_layer=lambda n: nn.GroupNorm(2, n), dtype=swiftnet.float64
    )
    assert isinstance(groups.bn1, nn.GroupNorm) and groups.fc.weight.dtype is swiftnet.float64
    with pytest.raises(ValueError, match="four stages"):
        resnet.ResNet(pre_activated, (1, 1))
    with pytest.raises(ValueError, match="shortcut must be"):
        resnet.ResNet(pre_activated, SMALL, shortcut="none")
