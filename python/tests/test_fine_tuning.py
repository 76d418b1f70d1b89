"""Fine-tuning: frozen parts cost neither backward nor memory; batch norm folded into the layer before it."""

import copy

import numpy as np
import pytest
import swiftnet
import torch

LIBRARIES = [swiftnet, torch]


def body(library, width=64, depth=6):
    layers = []
    for _ in range(depth):
        layers += [library.nn.Linear(width, width), library.nn.ReLU()]
    return library.nn.Sequential(*layers)


def freeze(module):
    for parameter in module.parameters():
        parameter.requires_grad = False


def names_in_graph(tensor):
    """The names of all nodes behind a tensor."""
    found, waiting = [], [tensor.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None:
            found.append(node.name())
            waiting += [next_node for next_node, _ in node.next_functions]
    return found


def test_frozen_parts_record_nothing():
    frozen, head = body(swiftnet), swiftnet.nn.Linear(64, 3)
    freeze(frozen)
    features = frozen(swiftnet.ones(2, 64))
    assert features.grad_fn is None and not features.requires_grad
    assert sorted(names_in_graph(head(features))) == ["AccumulateGrad", "AccumulateGrad", "AddmmBackward0"]


def test_frozen_parts_keep_no_activations():
    def live(model, x):
        before = swiftnet.memory.statistics()["live"]
        out = model(x)
        out.data_ptr()
        return swiftnet.memory.statistics()["live"] - before, out

    x = swiftnet.ones(256, 512)
    model = body(swiftnet, 512, 8)
    activation = 256 * 512 * 4
    trained, out = live(model, x)
    del out
    freeze(model)
    frozen, out = live(model, x)
    assert trained > 6 * activation
    assert frozen < 2.5 * activation


def test_only_the_head_moves():
    found = []
    for library in LIBRARIES:
        frozen, head = body(library, 8, 2), library.nn.Linear(8, 3)
        generator = np.random.default_rng(0)
        model = library.nn.Sequential(frozen, library.nn.BatchNorm1d(8), head)
        with library.no_grad():
            for p in model.parameters():
                p.copy_(library.tensor(generator.standard_normal(tuple(p.shape)).astype(np.float32)))
        freeze(frozen)
        freeze(model[1])
        model[1].eval()
        before = copy.deepcopy(frozen.state_dict())
        optimizer = library.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
        for _ in range(5):
            optimizer.zero_grad()
            x = library.tensor(generator.standard_normal((4, 8)).astype(np.float32))
            model(x).pow(2).sum().backward()
            optimizer.step()
        for name, value in frozen.state_dict().items():
            assert bool((value == before[name]).all())
        assert all(p.grad is None for p in frozen.parameters())
        assert model[1].num_batches_tracked.item() == 0
        assert len(optimizer.state) == 2
        found.append(head.weight.detach().numpy())
    np.testing.assert_allclose(*found, rtol=2e-4, atol=1e-5)


def test_learning_rates_by_part():
    """A tenth of the rate for what is pretrained, and parts that thaw later."""
    found = []
    for library in LIBRARIES:
        frozen, head = body(library, 4, 1), library.nn.Linear(4, 2)
        with library.no_grad():
            for p in [*frozen.parameters(), *head.parameters()]:
                p.copy_(library.arange(p.numel()).view(p.shape).float() / 10)
        optimizer = library.optim.SGD(
            [{"params": head.parameters()}, {"params": frozen.parameters(), "lr": 0.001}], lr=0.01, momentum=0.9
        )
        freeze(frozen)
        for epoch in range(6):
            if epoch == 3:
                frozen.requires_grad_(True)
            optimizer.zero_grad()
            head(frozen(library.ones(1, 4))).sum().backward()
            optimizer.step()
        found.append(np.concatenate([p.detach().numpy().ravel() for p in [*frozen.parameters(), *head.parameters()]]))
    np.testing.assert_allclose(*found, rtol=1e-5)


def test_the_head_is_replaced(tmp_path):
    torch.manual_seed(0)
    source = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 10))
    torch.save(source.state_dict(), tmp_path / "source.pth")
    model = swiftnet.nn.Sequential(swiftnet.nn.Linear(4, 6), swiftnet.nn.ReLU(), swiftnet.nn.Linear(6, 10))
    model.load_state_dict(swiftnet.load(tmp_path / "source.pth"))
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    np.testing.assert_allclose(
        model(swiftnet.tensor(x)).detach().numpy(), source(torch.tensor(x)).detach().numpy(), rtol=1e-5, atol=1e-6
    )
    freeze(model)
    model[2] = swiftnet.nn.Linear(model[2].in_features, 3)
    assert [name for name, p in model.named_parameters() if p.requires_grad] == ["2.weight", "2.bias"]
    assert model(swiftnet.tensor(x)).shape == (3, 3)


# ---- batch norm folded ----

LAYERS = [
    ("Conv1d", (3, 4, 3), {}, (2, 3, 8)), ("Conv2d", (3, 4, 3), {"bias": False}, (2, 3, 8, 8)),
    ("Conv2d", (4, 6, 3), {"groups": 2}, (2, 4, 8, 8)), ("Conv3d", (2, 3, 2), {}, (2, 2, 4, 4, 4)),
    ("ConvTranspose2d", (3, 4, 3), {}, (2, 3, 5, 5)), ("Linear", (5, 4), {}, (6, 5)),
    ("Linear", (5, 4), {"bias": False}, (6, 5)),
]  # fmt: skip


@pytest.mark.parametrize("name, args, options, shape", LAYERS)
@pytest.mark.parametrize("affine", [True, False])
def test_folded_batch_norm(name, args, options, shape, affine):
    generator = np.random.default_rng(0)
    outputs, results = [], []
    arrays = {}

    def fill(library, key, tensor, positive=False):
        if key not in arrays:
            arrays[key] = generator.standard_normal(tuple(tensor.shape)).astype(np.float32)
            if positive:
                arrays[key] = np.abs(arrays[key]) + 0.5
        tensor.copy_(library.tensor(arrays[key]))

    # torch folds no linear layer into a batch norm without weights.
    for library in LIBRARIES if affine or name != "Linear" else [swiftnet]:
        layer = getattr(library.nn, name)(*args, **options)
        kind = "BatchNorm1d" if name == "Linear" else f"BatchNorm{name[-2]}d"
        bn = getattr(library.nn, kind)(args[1], affine=affine, eps=1e-3)
        with library.no_grad():
            for key, p in [*layer.named_parameters(), *[(f"bn.{k}", p) for k, p in bn.named_parameters()]]:
                fill(library, key, p)
            fill(library, "mean", bn.running_mean)
            fill(library, "var", bn.running_var, positive=True)
        with pytest.raises(AssertionError, match="eval"):
            library.nn.utils.fusion.fuse_conv_bn_eval(layer, bn)
        layer.eval(), bn.eval()
        layer.weight.requires_grad = False
        utils = library.nn.utils.fusion
        if name == "Linear":
            fused = utils.fuse_linear_bn_eval(layer, bn)
        else:
            fused = utils.fuse_conv_bn_eval(layer, bn, transpose="Transpose" in name)
        fill(library, "x", library.zeros(*shape)) if "x" not in arrays else None
        x = library.tensor(arrays["x"])
        outputs.append((fused(x).detach().numpy(), bn(layer(x)).detach().numpy()))
        results.append((fused.weight, fused.bias))
        assert not fused.weight.requires_grad
    for fused, plain in outputs:
        np.testing.assert_allclose(fused, plain, rtol=1e-4, atol=1e-5)
    for own, other in zip(results[0], results[-1], strict=True):
        np.testing.assert_allclose(own.detach().numpy(), other.detach().numpy(), rtol=1e-5, atol=1e-6)
        assert own.requires_grad == other.requires_grad


def test_folded_transposed_convolution_with_groups():
    layer = swiftnet.nn.ConvTranspose2d(4, 6, 3, groups=2).eval()
    bn = swiftnet.nn.BatchNorm2d(6)
    bn(swiftnet.arange(6 * 8).float().view(2, 6, 2, 2).sin())
    bn.eval()
    x = swiftnet.ones(1, 4, 3, 3)
    fused = swiftnet.nn.utils.fuse_conv_bn_eval(layer, bn, transpose=True)
    np.testing.assert_allclose(fused(x).detach().numpy(), bn(layer(x)).detach().numpy(), rtol=1e-4, atol=1e-5)


def test_folding_mistakes():
    utils = swiftnet.nn.utils
    with pytest.raises(AssertionError, match="out_features"):
        utils.fuse_linear_bn_eval(swiftnet.nn.Linear(3, 4).eval(), swiftnet.nn.BatchNorm1d(5).eval())
    with pytest.raises(RuntimeError, match="channels"):
        utils.fuse_conv_bn_eval(swiftnet.nn.Conv2d(3, 4, 1).eval(), swiftnet.nn.BatchNorm2d(5).eval())


@pytest.mark.parametrize("foreach", [None, True, False])
@pytest.mark.parametrize("p", [0.5, 1.0, 2.0, 3, float("inf"), "inf"])
def test_clipping_with_all_norms(p, foreach):
    found = []
    for library in LIBRARIES:
        params = [library.nn.Parameter(library.ones(3) * k) for k in range(1, 4)]
        for k, q in enumerate(params[:2]):
            q.grad = library.tensor([1.0, -2.0, 3.0]) * (k + 1)
        norm = library.nn.utils.clip_grad_norm_(iter(params), 1.5, norm_type=float(p), foreach=foreach)
        found.append([float(norm), *[q.grad.tolist() for q in params[:2]]])
        one = params[0]
        library.nn.utils.clip_grad_value_(one, 0.1, foreach=foreach)
        found[-1].append(one.grad.tolist())
        total = library.nn.utils.get_total_norm([q.grad for q in params[:2]], norm_type=float(p))
        library.nn.utils.clip_grads_with_norm_(params, 0.2, total)
        found[-1] += [float(total), one.grad.tolist()]
    for own, other in zip(*found, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-5)


@pytest.mark.parametrize("wrong", [float("inf"), float("nan")])
def test_clipping_of_what_is_not_finite(wrong):
    for library in LIBRARIES:
        p = library.nn.Parameter(library.ones(2))
        p.grad = library.tensor([1.0, wrong])
        with pytest.raises(RuntimeError, match="non-finite"):
            library.nn.utils.clip_grad_norm_([p], 1.0, error_if_nonfinite=True)
        assert p.grad[0].item() == 1
        library.nn.utils.clip_grad_norm_([p], 1.0)
        assert not np.isfinite(p.grad.numpy()).all()


def test_parameters_as_a_vector_and_back():
    vectors = []
    for library in LIBRARIES:
        params = [library.nn.Parameter(library.arange(6).float().view(2, 3)), library.nn.Parameter(library.ones(2))]
        vector = library.nn.utils.parameters_to_vector(params)
        (vector * vector).sum().backward()
        assert params[0].grad.tolist() == [[0, 2, 4], [6, 8, 10]]
        library.nn.utils.vector_to_parameters(vector.detach() + 1, params)
        vectors.append(library.nn.utils.parameters_to_vector(params).tolist())
        assert params[0].requires_grad and params[0].is_leaf
        with pytest.raises(TypeError):
            library.nn.utils.vector_to_parameters([1.0], params)
    assert vectors[0] == vectors[1]
