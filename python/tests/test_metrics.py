"""Metrics beside scikit-learn's, and beside definitions written out."""

import copy
import pickle

import numpy as np
import pytest
import sklearn.metrics as reference
import swiftnet
from swiftnet import metrics

RNG = np.random.default_rng(0)
LOGITS = RNG.standard_normal((60, 5))
LABELS = RNG.integers(0, 5, 60)
SCORES = np.round(RNG.standard_normal((40, 4)), 1)
TRUTH = (RNG.random((40, 4)) < 0.4).astype(float)


def fed(metric, output, target, size=7):
    for start in range(0, len(output), size):
        metric.update(swiftnet.tensor(output[start : start + size]), swiftnet.tensor(target[start : start + size]))
    return metric.compute()


def test_accuracy():
    result = fed(metrics.Accuracy(topk=(1, 3, 5)), LOGITS, LABELS)
    for k in (1, 3, 5):
        expected = 1.0 if k == 5 else reference.top_k_accuracy_score(LABELS, LOGITS, k=k)
        assert result[f"top{k}"] == pytest.approx(expected)
    metric = metrics.Accuracy()
    fed(metric, LOGITS.argmax(1), LABELS)
    assert metric.value() == pytest.approx(result["top1"])
    metric.reset()
    metric.update(swiftnet.zeros(2, 3, 4, 4), swiftnet.zeros(2, 4, 4, dtype=swiftnet.int64))
    assert metric.value() == 1.0
    metric = metrics.Accuracy(ignore_index=3)
    keep = LABELS != 3
    assert fed(metric, LOGITS, LABELS)["top1"] == pytest.approx((LOGITS.argmax(1) == LABELS)[keep].mean())


def test_confusion_matrix():
    predicted = LOGITS.argmax(1)
    result = fed(metrics.ConfusionMatrix(5), LOGITS, LABELS)
    np.testing.assert_array_equal(result["matrix"].numpy(), reference.confusion_matrix(LABELS, predicted))
    assert result["accuracy"] == pytest.approx(reference.accuracy_score(LABELS, predicted))
    assert result["mean_class_accuracy"] == pytest.approx(reference.balanced_accuracy_score(LABELS, predicted))
    for name, function in (
        ("precision", reference.precision_score),
        ("recall", reference.recall_score),
        ("f1", reference.f1_score),
        ("iou", reference.jaccard_score),
    ):
        np.testing.assert_allclose(result[name].numpy(), function(LABELS, predicted, average=None))
        mean = result["miou" if name == "iou" else f"mean_{name}"]
        assert mean == pytest.approx(function(LABELS, predicted, average="macro"))
    np.testing.assert_allclose(result["dice"].numpy(), result["f1"].numpy())


def test_confusion_of_images_and_absent_classes():
    metric = metrics.ConfusionMatrix(4, ignore_index=255)
    output = np.array([[[0, 1], [1, 1]]])
    target = np.array([[[0, 1], [255, 2]]])
    result = fed(metric, output, target)
    assert result["accuracy"] == pytest.approx(2 / 3)
    np.testing.assert_allclose(result["iou"].numpy(), [1, 0.5, 0, np.nan])
    assert result["miou"] == pytest.approx(0.5)
    assert result["mean_f1"] == pytest.approx((1 + 2 / 3 + 0) / 3)
    before = metric.matrix.clone()
    with pytest.raises(IndexError, match="label 7 is out of range for 4 classes"):
        metric.update(swiftnet.tensor(output), swiftnet.tensor([[[0, 1], [7, 2]]]))
    assert swiftnet.equal(metric.matrix, before)


def test_multi_label_scores():
    for k in (None, 1, 2):
        guess = np.greater_equal(SCORES, 0.2)
        if k is not None:
            guess &= np.greater_equal(SCORES, np.sort(SCORES, axis=1)[:, -k][:, None])
        result = fed(metrics.MultiLabelScores(4, threshold=0.2, topk=k), SCORES, TRUTH)
        precision, recall = reference.precision_score, reference.recall_score
        assert result["OP"] == pytest.approx(precision(TRUTH, guess, average="micro"))
        assert result["OR"] == pytest.approx(recall(TRUTH, guess, average="micro"))
        assert result["OF1"] == pytest.approx(reference.f1_score(TRUTH, guess, average="micro"))
        assert result["CP"] == pytest.approx(precision(TRUTH, guess, average="macro", zero_division=0))
        assert result["CR"] == pytest.approx(recall(TRUTH, guess, average="macro"))
        assert result["CF1"] == pytest.approx(2 * result["CP"] * result["CR"] / (result["CP"] + result["CR"]))


def average_precision(scores, targets, difficult):
    """Precision at each sample that is there, as a loop over the ranking."""
    found = seen = total = 0
    for index in np.argsort(-scores, kind="stable"):
        if difficult and targets[index] == 0:
            continue
        seen += 1
        if targets[index] == 1:
            found += 1
            total += found / seen
    return total / found if found else np.nan


def test_average_precision():
    result = fed(metrics.AveragePrecision(4), SCORES, TRUTH)
    np.testing.assert_allclose(
        result["ap"].numpy(), [average_precision(*c, False) for c in zip(SCORES.T, TRUTH.T, strict=True)]
    )
    distinct = SCORES + np.arange(SCORES.size).reshape(SCORES.shape) * 1e-6
    result = fed(metrics.AveragePrecision(4), distinct, TRUTH)
    for column in range(4):
        expected = reference.average_precision_score(TRUTH[:, column], distinct[:, column])
        assert result["ap"][column].item() == pytest.approx(expected)
    targets = RNG.integers(-1, 2, SCORES.shape).astype(float)
    targets[:, 3] = -1
    metric = metrics.AveragePrecision(4, difficult_examples=True)
    result = fed(metric, SCORES, targets)
    expected = [average_precision(*c, True) for c in zip(SCORES.T, targets.T, strict=True)]
    np.testing.assert_allclose(result["ap"].numpy(), expected)
    assert metric.value() == pytest.approx(np.nanmean(expected))


def test_auc():
    result = fed(metrics.AUC(4), SCORES, TRUTH)
    expected = [reference.roc_auc_score(TRUTH[:, c], SCORES[:, c]) for c in range(4)]
    np.testing.assert_allclose(result["auc"].numpy(), expected)
    assert result["mean"] == pytest.approx(np.mean(expected))
    assert fed(metrics.AUC(), SCORES[:, 0], TRUTH[:, 0])["mean"] == pytest.approx(expected[0])


def test_regression_errors():
    result = fed(metrics.RegressionErrors(), SCORES, TRUTH)
    assert result["mae"] == pytest.approx(reference.mean_absolute_error(TRUTH, SCORES))
    assert result["mse"] == pytest.approx(reference.mean_squared_error(TRUTH, SCORES))
    assert result["rmse"] == pytest.approx(result["mse"] ** 0.5)


@pytest.mark.parametrize(
    "make", [lambda: metrics.AveragePrecision(4), lambda: metrics.AUC(4), lambda: metrics.MultiLabelScores(4)]
)
def test_copies_and_states(make):
    metric = make()
    fed(metric, SCORES[:20], TRUTH[:20])
    twins = [copy.deepcopy(metric), pickle.loads(pickle.dumps(metric)), make()]
    twins[2].load_state_dict(metric.state_dict())
    expected = fed(metric, SCORES[20:], TRUTH[20:])
    for twin in twins:
        found = fed(twin, SCORES[20:], TRUTH[20:])
        assert list(found) == list(expected)
        for name, value in expected.items():
            np.testing.assert_array_equal(np.asarray(found[name]), np.asarray(value))
    metric.reset()
    again = fed(metric, SCORES, TRUTH)
    for name, value in expected.items():
        np.testing.assert_array_equal(np.asarray(again[name]), np.asarray(value))


def test_mistakes():
    with pytest.raises(ValueError, match="topk must be positive"):
        metrics.Accuracy(topk=0)
    with pytest.raises(IndexError, match="label 9"):
        metrics.Accuracy(topk=(1, 2)).update(swiftnet.rand(1, 3), swiftnet.tensor([9]))
    with pytest.raises(TypeError, match="whole numbers"):
        metrics.Accuracy().update(swiftnet.rand(1, 3), swiftnet.rand(1))
    with pytest.raises(ValueError, match="logits"):
        metrics.ConfusionMatrix(3).update(swiftnet.rand(2, 3), swiftnet.tensor([1]))
    with pytest.raises(ValueError, match="targets must be 0 or 1"):
        metrics.AveragePrecision(2).update(swiftnet.rand(1, 2), swiftnet.tensor([[1.0, -1.0]]))
    with pytest.raises(ValueError, match=r"must be \(N, 2\)"):
        metrics.AUC(2).update(swiftnet.rand(1, 3), swiftnet.zeros(1, 3))
    with pytest.raises(TypeError, match="must be Tensor"):
        metrics.AUC().update([1.0], [1.0])
    with pytest.raises(ValueError, match="same shape"):
        metrics.RegressionErrors().update(swiftnet.rand(2), swiftnet.rand(3))
    assert np.isnan(metrics.Accuracy().value())


def test_replaced_counts_and_settings_are_noticed():
    metric = metrics.ConfusionMatrix(3)
    metric.matrix = swiftnet.zeros(1, dtype=swiftnet.int64)
    with pytest.raises(ValueError, match="'matrix' must be"):
        metric.update(swiftnet.tensor([0]), swiftnet.tensor([0]))
    metric = metrics.ConfusionMatrix(3)
    metric.num_classes = 30
    with pytest.raises(ValueError, match="make a new metric"):
        metric.update(swiftnet.tensor([0]), swiftnet.tensor([0]))
    with pytest.raises(ValueError, match="num_classes must be positive"):
        metric.num_classes = -1
    metric = metrics.Accuracy(topk=(1, 2))
    metric.correct = swiftnet.zeros(1, dtype=swiftnet.int64)
    with pytest.raises(ValueError, match="'correct' must be"):
        metric.update(swiftnet.rand(1, 3), swiftnet.tensor([0]))
    metric = metrics.AUC()
    metric.count.fill_(10**6)
    with pytest.raises(ValueError, match="rows"):
        metric.compute()
    metric = metrics.MultiLabelScores(2)
    with pytest.raises(ValueError, match="topk must be positive"):
        metric.topk = -1
