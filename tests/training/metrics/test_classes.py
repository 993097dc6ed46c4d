"""Multi-class metrics compared with scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from training import metrics


@pytest.fixture
def classes() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    truth = random.integers(0, 7, 500)
    return np.where(random.random(500) < 0.6, truth, random.integers(0, 7, 500)), truth


def test_class_metrics_match_scikit_learn(classes: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, truth = classes
    macro = sklearn_metrics.f1_score(
        truth, predicted, average="macro", labels=range(7), zero_division=0
    )
    assert metrics.macro_f1(predicted, truth) == pytest.approx(macro)
    assert metrics.accuracy(predicted, truth) == pytest.approx(
        sklearn_metrics.accuracy_score(truth, predicted)
    )
    assert (
        metrics.confusion(predicted, truth) == sklearn_metrics.confusion_matrix(truth, predicted)
    ).all()


def test_macro_f1_of_absent_class_is_zero(classes: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, truth = (np.where(values == 2, 0, values) for values in classes)
    macro = sklearn_metrics.f1_score(
        truth, predicted, average="macro", labels=range(7), zero_division=0
    )
    assert metrics.macro_f1(predicted, truth) == pytest.approx(macro)


def test_class_metrics_without_rows_are_nan() -> None:
    none = np.zeros(0, np.int64)
    assert math.isnan(metrics.macro_f1(none, none))
    assert math.isnan(metrics.accuracy(none, none))
    assert not metrics.confusion(none, none).any()


def test_confusion_with_unknown_class_raises() -> None:
    with pytest.raises(ValueError, match="0 to 6, got -1 to 3"):
        metrics.confusion(np.array([3, 2]), np.array([-1, 2]))
