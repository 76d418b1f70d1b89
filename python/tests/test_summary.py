"""What `summary` says of networks that others have counted too."""

import pytest
import swiftnet
from swiftnet import models, nn


def test_resnet18():
    model = models.resnet18()
    found = swiftnet.summary(model, (1, 3, 224, 224))
    assert found.total_params == found.trainable_params == 11689512
    # As torchvision's documentation gives them: 1.81 billion multiplications with additions.
    assert found.total_mult_adds / 1e9 == pytest.approx(1.814, abs=0.001)
    assert found.total_flops > 2 * found.total_mult_adds
    assert found.param_bytes == 4 * 11689512
    assert model.training
    text = str(found)
    assert "Conv2d: conv1" in text
    assert "[1, 512, 7, 7]" in text
    assert "Total params: 11,689,512" in text


def test_small_networks():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, groups=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 2))
    model[0].weight.requires_grad = False
    found = swiftnet.summary(model, (2, 3, 8, 8))
    conv, relu, pool, flat, linear = found.layers[1:]
    assert conv.output_shape == (2, 4, 6, 6)
    assert conv.operations == 2 * 4 * 36 * (2 * 27 + 1)
    assert relu.operations == 2 * 4 * 36
    assert pool.operations == 2 * 4 * 9 * 4
    assert flat.operations == 0
    assert linear.operations == 2 * 2 * (2 * 36 + 1)
    assert linear.parameters == 74
    assert found.trainable_params == found.total_params - 108
    assert found.input_bytes == 2 * 3 * 64 * 4
    assert found.forward_backward_bytes == 2 * 4 * 2 * (4 * 36 * 2 + 4 * 9 + 36 + 2)


def test_several_inputs_and_outputs():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.join = nn.Bilinear(3, 4, 5)
            self.unused = nn.Linear(2, 2)

        def forward(self, x, y):
            return {"a": self.join(x, y), "b": x}

    found = swiftnet.summary(Both(), [(2, 3), (2, 4)])
    assert found.layers[1].operations == 2 * 5 * (2 * 12 + 1)
    assert found.layers[2].output_shape is None
    assert "not run" in str(found)
    data = swiftnet.summary(Both(), input_data=(swiftnet.rand(2, 3), swiftnet.rand(2, 4)))
    assert data.total_flops == found.total_flops
    text = str(swiftnet.summary(models.GroupClsGat("resnet18", 2, 3, [1, 2], 8, 4, width=8), (1, 3, 32, 32), depth=1))
    assert "GroupClsGat" in text
    assert "Head: heads" in text
    with pytest.raises(TypeError, match="either input_size or input_data"):
        swiftnet.summary(Both())
