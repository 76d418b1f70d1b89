"""Inputs, losses and comparisons for a model and the same network in PyTorch."""

import numpy as np


def image(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def labels(shape, classes, seed=1):
    return np.random.default_rng(seed).integers(0, classes, shape)


def class_loss(library, output, target):
    return library.nn.functional.cross_entropy(output, target)


def convert(library, value):
    if isinstance(value, list):
        return [convert(library, v) for v in value]
    return library.tensor(value)


def arrays(output):
    if isinstance(output, (tuple, list)):
        return [a for item in output for a in arrays(item)]
    return [output.detach().numpy()]


def close(a, b, what, rtol=1e-7):
    scale = max(1e-3, float(np.abs(b).max(initial=0)))
    np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * scale, err_msg=what)
