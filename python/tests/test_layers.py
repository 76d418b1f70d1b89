"""Every layer against torch.nn: settings, text, state_dict, outputs and gradients, in training and evaluation."""

import warnings

import numpy as np
import pytest
import swiftnet
import swiftnet.nn as nn
import torch
import torch.nn as tnn

# Name, arguments, keyword arguments, shapes of the inputs.
LAYERS = [
    ("Linear", (5, 3), {}, [(4, 5)]),
    ("Linear", (5, 3), {"bias": False}, [(2, 4, 5)]),
    ("Linear", (5, 3), {}, [(5,)]),
    ("Bilinear", (5, 3, 4), {}, [(4, 5), (4, 3)]),
    ("Bilinear", (5, 3, 4), {"bias": False}, [(2, 4, 5), (2, 4, 3)]),
    ("Identity", (), {}, [(4, 5)]),
    ("Flatten", (), {}, [(2, 3, 4)]),
    ("Flatten", (0, 1), {}, [(2, 3, 4)]),
    ("Unflatten", (1, (2, 3)), {}, [(4, 6, 2)]),
    ("Unflatten", (-1, (-1, 2)), {}, [(4, 6)]),
    ("Conv1d", (4, 6, 3), {}, [(2, 4, 9)]),
    ("Conv1d", (4, 6, 3), {"padding": "same", "dilation": 2}, [(2, 4, 9)]),
    ("Conv2d", (4, 6, 3), {}, [(2, 4, 9, 8)]),
    ("Conv2d", (4, 6, (3, 2)), {"stride": (2, 1), "padding": (1, 0), "bias": False}, [(2, 4, 9, 8)]),
    ("Conv2d", (4, 6, 3), {"groups": 2, "dilation": 2, "padding": 2}, [(2, 4, 9, 8)]),
    ("Conv2d", (4, 6, 3), {"padding": "same"}, [(4, 9, 8)]),
    ("Conv2d", (4, 6, 3), {"padding": "valid"}, [(2, 4, 9, 8)]),
    ("Conv2d", (4, 6, 3), {"padding": (1, 2), "padding_mode": "reflect"}, [(2, 4, 9, 8)]),
    ("Conv2d", (4, 6, 3), {"padding": "same", "padding_mode": "circular", "dilation": 2}, [(2, 4, 9, 8)]),
    ("Conv1d", (4, 6, 4), {"padding": 2, "padding_mode": "replicate", "stride": 2}, [(2, 4, 9)]),
    ("Conv3d", (2, 3, 3), {"padding": 1}, [(1, 2, 5, 6, 4)]),
    ("Conv3d", (2, 4, (1, 2, 3)), {"stride": 2, "groups": 2}, [(1, 2, 5, 6, 4)]),
    ("ConvTranspose1d", (4, 6, 3), {"stride": 2, "padding": 1, "output_padding": 1}, [(2, 4, 9)]),
    ("ConvTranspose2d", (4, 6, 3), {"stride": 2, "groups": 2}, [(2, 4, 5, 4)]),
    ("ConvTranspose2d", (4, 6, (3, 2)), {"dilation": 2, "bias": False}, [(4, 5, 4)]),
    ("ConvTranspose3d", (2, 3, 2), {"stride": 2}, [(1, 2, 3, 4, 2)]),
    ("MaxPool1d", (2,), {}, [(2, 3, 9)]),
    ("MaxPool2d", (3,), {"stride": 2, "padding": 1}, [(2, 3, 9, 8)]),
    ("MaxPool2d", ((3, 2),), {"ceil_mode": True, "dilation": (1, 2)}, [(2, 3, 9, 8)]),
    ("MaxPool2d", (2,), {"return_indices": True}, [(2, 3, 9, 8)]),
    ("MaxPool3d", (2,), {}, [(2, 3, 5, 6, 4)]),
    ("AvgPool1d", (2,), {"stride": 1}, [(2, 3, 9)]),
    ("AvgPool2d", (3,), {"padding": 1, "count_include_pad": False}, [(2, 3, 9, 8)]),
    ("AvgPool2d", (2,), {"divisor_override": 3}, [(2, 3, 9, 8)]),
    ("AvgPool3d", ((1, 2, 2),), {"ceil_mode": True}, [(2, 3, 5, 6, 5)]),
    ("LPPool1d", (2, 3), {}, [(2, 3, 9)]),
    ("LPPool2d", (3, 2), {"stride": 1}, [(2, 3, 9, 8)]),
    ("AdaptiveAvgPool1d", (4,), {}, [(2, 3, 9)]),
    ("AdaptiveAvgPool2d", (1,), {}, [(2, 3, 9, 8)]),
    ("AdaptiveAvgPool2d", ((None, 3),), {}, [(2, 3, 9, 8)]),
    ("AdaptiveAvgPool3d", ((2, 3, 2),), {}, [(2, 3, 5, 6, 4)]),
    ("AdaptiveMaxPool1d", (4,), {}, [(2, 3, 9)]),
    ("AdaptiveMaxPool2d", ((2, 3),), {"return_indices": True}, [(2, 3, 9, 8)]),
    ("AdaptiveMaxPool3d", (2,), {}, [(2, 3, 5, 6, 4)]),
    ("BatchNorm1d", (5,), {}, [(8, 5)]),
    ("BatchNorm1d", (5,), {"momentum": None}, [(8, 5, 3)]),
    ("BatchNorm2d", (3,), {}, [(4, 3, 5, 6)]),
    ("BatchNorm2d", (3,), {"affine": False}, [(4, 3, 5, 6)]),
    ("BatchNorm2d", (3,), {"track_running_stats": False}, [(4, 3, 5, 6)]),
    ("BatchNorm2d", (3,), {"bias": False, "eps": 1e-3, "momentum": 0.3}, [(4, 3, 5, 6)]),
    ("BatchNorm3d", (3,), {}, [(2, 3, 4, 5, 2)]),
    ("InstanceNorm1d", (3,), {}, [(2, 3, 6)]),
    ("InstanceNorm2d", (3,), {"affine": True}, [(2, 3, 5, 6)]),
    ("InstanceNorm2d", (3,), {"track_running_stats": True}, [(2, 3, 5, 6)]),
    ("InstanceNorm2d", (3,), {}, [(3, 5, 6)]),
    ("InstanceNorm3d", (3,), {"affine": True, "track_running_stats": True}, [(2, 3, 4, 5, 2)]),
    ("LayerNorm", (6,), {}, [(4, 5, 6)]),
    ("LayerNorm", ([5, 6],), {"eps": 1e-3, "bias": False}, [(4, 5, 6)]),
    ("LayerNorm", ((6,),), {"elementwise_affine": False}, [(4, 5, 6)]),
    ("RMSNorm", (6,), {}, [(4, 5, 6)]),
    ("RMSNorm", ([5, 6],), {"eps": 1e-3, "elementwise_affine": False}, [(4, 5, 6)]),
    ("GroupNorm", (2, 6), {}, [(4, 6, 5, 3)]),
    ("GroupNorm", (3, 6), {"affine": False}, [(4, 6, 5)]),
    ("LocalResponseNorm", (3,), {"alpha": 0.1}, [(2, 5, 4, 3)]),
    ("ReLU", (), {}, [(4, 5)]),
    ("ReLU6", (), {}, [(4, 5)]),
    ("SELU", (), {}, [(4, 5)]),
    ("SiLU", (), {}, [(4, 5)]),
    ("Mish", (), {}, [(4, 5)]),
    ("Hardsigmoid", (), {}, [(4, 5)]),
    ("Hardswish", (), {}, [(4, 5)]),
    ("LeakyReLU", (), {}, [(4, 5)]),
    ("LeakyReLU", (0.3,), {}, [(4, 5)]),
    ("ELU", (0.5,), {}, [(4, 5)]),
    ("CELU", (0.5,), {}, [(4, 5)]),
    ("GELU", (), {}, [(4, 5)]),
    ("GELU", ("tanh",), {}, [(4, 5)]),
    ("Hardtanh", (-0.5, 0.7), {}, [(4, 5)]),
    ("Sigmoid", (), {}, [(4, 5)]),
    ("Tanh", (), {}, [(4, 5)]),
    ("LogSigmoid", (), {}, [(4, 5)]),
    ("Softsign", (), {}, [(4, 5)]),
    ("Tanhshrink", (), {}, [(4, 5)]),
    ("Threshold", (0.1, 20), {}, [(4, 5)]),
    ("Softplus", (), {}, [(4, 5)]),
    ("Softplus", (2.0, 1.0), {}, [(4, 5)]),
    ("Hardshrink", (), {}, [(4, 5)]),
    ("Softshrink", (0.2,), {}, [(4, 5)]),
    ("PReLU", (), {}, [(4, 5)]),
    ("PReLU", (5, 0.1), {}, [(4, 5)]),
    ("GLU", (), {}, [(4, 6)]),
    ("GLU", (0,), {}, [(4, 6)]),
    ("Softmax", (1,), {}, [(4, 5)]),
    ("Softmax", (), {"dim": 0}, [(4, 5)]),
    ("LogSoftmax", (-1,), {}, [(4, 5)]),
    ("Softmin", (1,), {}, [(4, 5)]),
    ("Softmax2d", (), {}, [(2, 3, 4, 5)]),
    ("ZeroPad1d", (2,), {}, [(2, 3, 4)]),
    ("ZeroPad2d", ((1, 2, 0, 3),), {}, [(2, 3, 4, 5)]),
    ("ZeroPad2d", (-1,), {}, [(2, 3, 4, 5)]),
    ("ConstantPad2d", (2, 3.5), {}, [(2, 3, 4, 5)]),
    ("ConstantPad3d", ((1, 0, 2, 0, 0, 1), -1.0), {}, [(2, 3, 4, 5, 2)]),
    ("ReflectionPad1d", ((2, 1),), {}, [(2, 3, 4)]),
    ("ReflectionPad2d", (2,), {}, [(3, 4, 5)]),
    ("ReflectionPad3d", (1,), {}, [(2, 3, 4, 5, 2)]),
    ("ReplicationPad1d", (3,), {}, [(3, 4)]),
    ("ReplicationPad2d", ((1, 2, 0, 3),), {}, [(2, 3, 4, 5)]),
    ("ReplicationPad3d", (1,), {}, [(2, 3, 4, 5, 2)]),
    ("CircularPad1d", (2,), {}, [(2, 3, 4)]),
    ("CircularPad2d", ((1, 2, 0, 3),), {}, [(2, 3, 4, 5)]),
    ("CircularPad3d", (1,), {}, [(2, 3, 4, 5, 2)]),
    ("PixelShuffle", (2,), {}, [(2, 8, 3, 4)]),
    ("PixelUnshuffle", (2,), {}, [(2, 3, 4, 6)]),
    ("ChannelShuffle", (2,), {}, [(2, 6, 3, 4)]),
    ("Upsample", (), {"scale_factor": 2}, [(2, 3, 4, 5)]),
    ("Upsample", ((7, 9),), {"mode": "bilinear"}, [(2, 3, 4, 5)]),
    ("Upsample", (), {"scale_factor": (1.5, 2.0), "mode": "bicubic", "align_corners": True}, [(2, 3, 4, 5)]),
    ("Upsample", (8,), {"mode": "linear"}, [(2, 3, 5)]),
    ("UpsamplingNearest2d", ((6, 8),), {}, [(2, 3, 4, 5)]),
    ("UpsamplingBilinear2d", (), {"scale_factor": 2}, [(2, 3, 4, 5)]),
    ("PairwiseDistance", (), {}, [(4, 5), (4, 5)]),
    ("PairwiseDistance", (1.0,), {"keepdim": True}, [(4, 5), (4, 5)]),
    ("CosineSimilarity", (), {}, [(4, 5), (4, 5)]),
    ("CosineSimilarity", (0,), {"eps": 1e-6}, [(4, 5), (4, 5)]),
]


def _ids(cases):
    return [f"{case[0]}-{i}" for i, case in enumerate(cases)]


def _pair(name, args, kwargs, dtype="float32"):
    """A layer of each library with the same parameters and buffers."""
    other = getattr(tnn, name)(*args, **kwargs).to(getattr(torch, dtype))
    own = getattr(nn, name)(*args, **kwargs).to(getattr(swiftnet, dtype))
    own.load_state_dict(other.state_dict())
    return own, other


def _inputs(shapes, dtype="float32", seed=0):
    generator = np.random.default_rng(seed)
    return [generator.standard_normal(shape).astype(dtype) for shape in shapes]


def _flat(value):
    if isinstance(value, (tuple, list)):
        return [leaf for item in value for leaf in _flat(item)]
    return [value]


def _close(own, other, dtype="float32", tolerance=None):
    tolerance = tolerance or (2e-5 if dtype == "float32" else 1e-10)
    assert tuple(own.shape) == tuple(other.shape)
    np.testing.assert_allclose(own.detach().numpy(), other.detach().numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", LAYERS, ids=_ids(LAYERS))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_outputs_and_gradients(case, dtype):
    name, args, kwargs, shapes = case
    own, other = _pair(name, args, kwargs, dtype)
    # PyTorch's backward of it takes 1/6 as a float, also for doubles.
    tolerance = 1e-7 if name == "Hardsigmoid" and dtype == "float64" else None
    for mode in (True, True, False):
        own.train(mode)
        other.train(mode)
        arrays = _inputs(shapes, dtype)
        xs = [swiftnet.tensor(a).requires_grad_() for a in arrays]
        ts = [torch.tensor(a).requires_grad_() for a in arrays]
        results, expected = _flat(own(*xs)), _flat(other(*ts))
        assert len(results) == len(expected)
        for result, value in zip(results, expected, strict=True):
            _close(result, value, dtype)
        own.zero_grad()
        other.zero_grad()
        weights = _inputs([tuple(expected[0].shape)], dtype, seed=1)[0]
        (results[0] * swiftnet.tensor(weights)).sum().backward()
        (expected[0] * torch.tensor(weights)).sum().backward()
        for x, t in zip(xs, ts, strict=True):
            _close(x.grad, t.grad, dtype, tolerance)
        for (own_name, p), (other_name, q) in zip(own.named_parameters(), other.named_parameters(), strict=True):
            assert own_name == other_name
            _close(p.grad, q.grad, dtype)
        for (own_name, b), (other_name, c) in zip(own.named_buffers(), other.named_buffers(), strict=True):
            assert own_name == other_name
            _close(b, c, dtype)


@pytest.mark.parametrize("case", LAYERS, ids=_ids(LAYERS))
def test_text_and_state(case):
    name, args, kwargs, _ = case
    own, other = getattr(nn, name)(*args, **kwargs), getattr(tnn, name)(*args, **kwargs)
    assert repr(own) == repr(other)
    assert list(own.state_dict()) == list(other.state_dict())
    for key, value in own.state_dict().items():
        assert tuple(value.shape) == tuple(other.state_dict()[key].shape)
        assert value.dtype.name == str(other.state_dict()[key].dtype).removeprefix("torch.")
    assert {k: v.is_floating_point() for k, v in own.named_buffers()} == {
        k: v.is_floating_point() for k, v in other.named_buffers()
    }
    attributes = [n for n in vars(other) if not n.startswith("_") and n not in ("training",)]
    for attribute in attributes:
        expected = getattr(other, attribute)
        if isinstance(expected, (int, float, str, tuple, bool, type(None))):
            assert getattr(own, attribute) == expected, attribute


LOSSES = [
    ("L1Loss", {}, "regression"),
    ("MSELoss", {}, "regression"),
    ("SmoothL1Loss", {"beta": 0.5}, "regression"),
    ("HuberLoss", {"delta": 0.5}, "regression"),
    ("KLDivLoss", {}, "distribution"),
    ("KLDivLoss", {"log_target": True}, "regression"),
    ("NLLLoss", {}, "classes"),
    ("NLLLoss", {"weight": 5, "ignore_index": 2}, "classes"),
    ("CrossEntropyLoss", {}, "classes"),
    ("CrossEntropyLoss", {"weight": 5, "label_smoothing": 0.1}, "classes"),
    ("CrossEntropyLoss", {"ignore_index": 1}, "classes"),
    ("BCELoss", {}, "probabilities"),
    ("BCELoss", {"weight": 5}, "probabilities"),
    ("BCEWithLogitsLoss", {}, "logits"),
    ("BCEWithLogitsLoss", {"weight": 5, "pos_weight": 5}, "logits"),
    ("PoissonNLLLoss", {}, "distribution"),
    ("PoissonNLLLoss", {"log_input": False, "full": True}, "probabilities"),
    ("GaussianNLLLoss", {"full": True}, "gaussian"),
    ("HingeEmbeddingLoss", {"margin": 0.5}, "signs"),
    ("SoftMarginLoss", {}, "signs"),
    ("MultiLabelSoftMarginLoss", {"weight": 5}, "logits"),
    ("MultiMarginLoss", {"p": 2, "margin": 0.5, "weight": 5}, "classes"),
    ("MultiLabelMarginLoss", {}, "labels"),
    ("MarginRankingLoss", {"margin": 0.1}, "ranking"),
    ("CosineEmbeddingLoss", {"margin": 0.1}, "embedding"),
    ("TripletMarginLoss", {"margin": 0.5, "swap": True}, "triplet"),
    ("TripletMarginWithDistanceLoss", {"margin": 0.5}, "triplet"),
]


def _loss_inputs(kind):
    generator = np.random.default_rng(3)
    x, y, z = (generator.standard_normal((6, 5)).astype("float32") for _ in range(3))
    share = np.abs(y) / np.abs(y).sum(1, keepdims=True)
    signs = np.sign(y).astype("float32")
    return {
        "regression": (x, y),
        "distribution": (x, share),
        "classes": (x, generator.integers(0, 5, 6)),
        "probabilities": (1 / (1 + np.exp(-x)), (y > 0).astype("float32")),
        "logits": (x, (y > 0).astype("float32")),
        "gaussian": (x, y, np.abs(z) + 0.1),
        "signs": (x, signs),
        "labels": (x, np.array([[1, 2, -1, 0, 0]] * 6)),
        "ranking": (x, y, signs),
        "embedding": (x, y, np.array([1, -1, 1, -1, 1, 1], dtype="float32")),
        "triplet": (x, y, z),
    }[kind]


@pytest.mark.parametrize(
    ("case", "reduction"),
    [
        pytest.param(case, reduction, id=f"{reduction}-{label}")
        for case, label in zip(LOSSES, _ids(LOSSES), strict=True)
        for reduction in ["mean", "sum", "none"] + ["batchmean"] * (case[0] == "KLDivLoss")
    ],
)
def test_losses(case, reduction):
    name, options, kind = case
    generator = np.random.default_rng(4)
    tensors = {k: generator.random(v).astype("float32") for k, v in options.items() if k.endswith("weight")}
    plain = {k: v for k, v in options.items() if k not in tensors}
    own = getattr(nn, name)(reduction=reduction, **plain, **{k: swiftnet.tensor(v) for k, v in tensors.items()})
    other = getattr(tnn, name)(reduction=reduction, **plain, **{k: torch.tensor(v) for k, v in tensors.items()})
    assert repr(own) == repr(other)
    assert list(own.state_dict()) == list(other.state_dict())
    arrays = _loss_inputs(kind)
    xs = [swiftnet.tensor(a) for a in arrays]
    ts = [torch.tensor(a) for a in arrays]
    xs[0].requires_grad_()
    ts[0].requires_grad_()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result, expected = own(*xs), other(*ts)
    _close(result, expected)
    result.sum().backward()
    expected.sum().backward()
    _close(xs[0].grad, ts[0].grad)


ERRORS = [
    ("Conv2d", (4, 6, 3), {"groups": 3}, None),
    ("Conv2d", (4, 6, 3), {"groups": 0}, None),
    ("Conv2d", (4, 6, 3), {"padding_mode": "mirror"}, None),
    ("Conv2d", (4, 6, 3), {"padding": "full"}, None),
    ("Conv2d", (4, 6, 3), {"padding": "same", "stride": 2}, None),
    ("ConvTranspose2d", (4, 6, 3), {"padding_mode": "reflect"}, None),
    ("Dropout", (1.5,), {}, None),
    ("Bilinear", (0, 3, 2), {}, None),
    ("GroupNorm", (4, 6), {}, None),
    ("Linear", (5, 3), {}, (4, 6)),
    ("BatchNorm2d", (3,), {}, (4, 3, 5)),
    ("BatchNorm1d", (3,), {}, (4, 3, 5, 5)),
    ("BatchNorm3d", (3,), {}, (4, 3, 5)),
    ("BatchNorm1d", (3,), {}, (1, 3)),
    ("InstanceNorm2d", (3,), {}, (3, 5)),
    ("Conv2d", (4, 6, 3), {}, (2, 3, 9, 8)),
    ("Conv2d", (4, 6, 3), {}, (9, 8)),
    ("MaxPool2d", (3,), {}, (9,)),
    ("GLU", (), {}, (4, 5)),
    ("Linear", (5,), {}, None),
    ("Linear", (5, 3), {"wide": True}, None),
    ("CrossEntropyLoss", (), {"reduction": "product"}, "pair"),
]


@pytest.mark.parametrize("case", ERRORS, ids=_ids(ERRORS))
def test_errors(case):
    name, args, kwargs, shape = case

    def run(library, make):
        layer = getattr(library.nn, name)(*args, **kwargs)
        if shape == "pair":
            layer(make(np.zeros((2, 3), "float32")), make(np.zeros(2, "int64")))
        elif shape is not None:
            layer(make(np.zeros(shape, "float32")))

    with pytest.raises(Exception) as expected:  # noqa: B017, PT011 - whatever torch raises
        run(torch, torch.tensor)
    with pytest.raises(expected.type) as found:
        run(swiftnet, swiftnet.tensor)
    assert str(found.value)


def test_settings_take_effect_at_once():
    own, other = _pair("Conv2d", (3, 4, 3), {"padding": 1})
    x = _inputs([(2, 3, 8, 8)])[0]
    for name, value in [("stride", (2, 2)), ("padding", (0, 1)), ("dilation", (2, 1))]:
        setattr(own, name, value)
        setattr(other, name, value)
        assert getattr(own, name) == value
        _close(own(swiftnet.tensor(x)), other(torch.tensor(x)))
    with pytest.raises((TypeError, ValueError, RuntimeError)):
        own.stride = "wide"
    assert own.stride == (2, 2)


def test_dropout_in_training_and_evaluation():
    x = swiftnet.ones(1000)
    layer = nn.Dropout(0.4)
    dropped = layer(x)
    zeros = int((dropped == 0).sum())
    assert 300 < zeros < 500
    kept = dropped[dropped != 0]
    assert swiftnet.allclose(kept, swiftnet.full_like(kept, 1 / 0.6)) if hasattr(swiftnet, "allclose") else True
    assert layer.eval()(x) is x


def test_batch_norm_states_without_a_version():
    state = tnn.BatchNorm2d(3).state_dict()
    old = {k: v for k, v in state.items() if k != "num_batches_tracked"}
    assert not nn.BatchNorm2d(3).load_state_dict(old).missing_keys


@pytest.mark.parametrize(
    "options", [{}, {"padding_idx": 2}, {"padding_idx": -1, "scale_grad_by_freq": True}, {"max_norm": 1.0}]
)
def test_embedding(options):
    own, other = _pair("Embedding", (7, 3), options)
    assert repr(own) == repr(other)
    indices = np.array([[0, 2, 2], [6, 1, 6]])
    result, expected = own(swiftnet.tensor(indices)), other(torch.tensor(indices))
    _close(result, expected)
    result.sum().backward()
    expected.sum().backward()
    _close(own.weight.grad, other.weight.grad)
    _close(own.weight, other.weight)
    table = nn.Embedding.from_pretrained(swiftnet.ones(2, 3))
    assert not table.weight.requires_grad
    with pytest.raises(IndexError):
        own(swiftnet.tensor([7]))
    with pytest.raises(AssertionError):
        nn.Embedding(3, 2, padding_idx=3)


def test_max_unpool():
    x = _inputs([(2, 3, 8, 6)])[0]
    own, indices = nn.MaxPool2d(2, return_indices=True)(swiftnet.tensor(x))
    other, places = tnn.MaxPool2d(2, return_indices=True)(torch.tensor(x))
    _close(nn.MaxUnpool2d(2)(own, indices), tnn.MaxUnpool2d(2)(other, places))
    assert repr(nn.MaxUnpool2d(2)) == repr(tnn.MaxUnpool2d(2))


def test_transposed_convolution_with_output_size():
    own, other = _pair("ConvTranspose2d", (3, 4, 3), {"stride": 2, "padding": 1})
    x = _inputs([(2, 3, 5, 6)])[0]
    for size in [(9, 11), (10, 12), (2, 4, 10, 11)]:
        _close(own(swiftnet.tensor(x), output_size=list(size)), other(torch.tensor(x), output_size=list(size)))
    with pytest.raises(ValueError, match="output size"):
        own(swiftnet.tensor(x), output_size=(20, 20))
