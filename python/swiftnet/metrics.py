"""How good predictions are, over as many batches as one likes, counted in Swift.

>>> metric = swiftnet.metrics.ConfusionMatrix(3)
>>> metric.update(swiftnet.tensor([0, 1, 2]), swiftnet.tensor([0, 1, 1]))
>>> metric.update(swiftnet.tensor([2]), swiftnet.tensor([2]))
>>> metric.compute()["accuracy"]
0.75

A metric is a module: what it has counted is in its `state_dict`, and in copies and pickles of it.
"""

from swiftnet.nn.modules._binding import forward_values
from swiftnet.nn.modules.module import BuiltIn

__all__ = [
    "AUC", "Accuracy", "AveragePrecision", "ConfusionMatrix", "Metric", "MultiLabelScores", "RegressionErrors",
]  # fmt: skip


class Metric(BuiltIn):
    """Base class of metrics."""

    # The result that `value` gives.
    _main = None

    def forward(self, output, target):
        """Takes a batch: outputs of a network and what they should have been."""
        forward_values(self._sn, (output, target))

    def update(self, output, target):
        """Takes a batch: outputs of a network and what they should have been."""
        self(output, target)

    add = update

    def compute(self):
        """All results so far by name: numbers, and tensors for what there is one of per class."""
        flat = forward_values(self._sn, ())
        results = dict(zip(flat[::2], flat[1::2], strict=True))
        return {name: value.item() if value.dim() == 0 else value for name, value in results.items()}

    def value(self):
        """The main result as a number."""
        return self.compute()[self._main]

    def reset(self):
        """Forgets everything."""
        self.reset_parameters()
        return self

    def _load_from_state_dict(self, state_dict, prefix, *rest):
        # What is kept grows with the samples seen: the given tensors take the place of the own ones.
        for name in self._buffers:
            if prefix + name in state_dict:
                self._buffers[name] = state_dict[prefix + name].clone()
        super()._load_from_state_dict(state_dict, prefix, *rest)


class Accuracy(Metric):
    """The share of samples whose class is among the k with the greatest logits.

    Args:
        topk: a number or several. Default: 1.
        ignore_index: a label that does not count.

    `update` takes logits (N, C, …), or for topk = 1 classes (N, …), and labels (N, …). Results: `top1`, …
    """

    _type = "Accuracy"

    def __init__(self, topk=1, ignore_index=None):
        self._build(locals())

    def value(self):
        return next(iter(self.compute().values()))


class ConfusionMatrix(Metric):
    """How often each class was taken for which, and what follows from it.

    Args:
        num_classes.
        ignore_index: a label that does not count.

    `update` takes logits (N, C, …) or classes (N, …), and labels (N, …). Results: `matrix` (rows are true classes),
    `accuracy`; for each class `class_accuracy`, `precision`, `recall`, `f1`, `iou`, `dice`, and their means over the
    classes that occur, `mean_…`, `miou`.
    """

    _type = "ConfusionMatrix"
    _main = "accuracy"

    def __init__(self, num_classes, ignore_index=None):
        self._build(locals())


class MultiLabelScores(Metric):
    """Precision, recall and F1 of many labels per sample.

    Args:
        num_classes.
        threshold: the logit from which on a label is predicted. Default: 0.
        topk: at most so many labels per sample (more where scores are equal).
        difficult_examples: whether targets are 1 (there), -1 (not there) and 0 (difficult: counts as not there)
            instead of 1 and 0.

    Results: `OP`, `OR`, `OF1` over all decisions; `CP`, `CR`, means over the classes, and `CF1`, their harmonic mean.
    """

    _type = "MultiLabelScores"
    _main = "OF1"

    def __init__(self, num_classes, threshold=0.0, topk=None, difficult_examples=False):
        self._build(locals())


class AveragePrecision(Metric):
    """For each class the mean of the precision at each sample where the class is there, in order of the scores.

    Args:
        num_classes.
        difficult_examples: whether targets are 1 (there), -1 (not there) and 0 (difficult: left out of the ranking)
            instead of 1 and 0.

    Results: `ap` for each class, NaN for those that never occur, and `map`, their mean.
    """

    _type = "AveragePrecision"
    _main = "map"

    def __init__(self, num_classes, difficult_examples=False):
        self._build(locals())


class AUC(Metric):
    """The area under the curve of the true positive rate over the false positive rate.

    Args:
        num_classes: Default: 1, for scores and targets (N).

    Results: `auc` for each class, NaN where it occurs always or never, and their `mean`.
    """

    _type = "AUC"
    _main = "mean"

    def __init__(self, num_classes=1):
        self._build(locals())


class RegressionErrors(Metric):
    """`mae`, mean |x - y|; `mse`, mean (x - y)²; `rmse`, √mse."""

    _type = "RegressionErrors"
    _main = "rmse"

    def __init__(self):
        self._build({})
