"""Binary metrics compared with scikit-learn and with exhaustive search."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from training import metrics

NONE = np.zeros(0)


def average_precision(score: np.ndarray, truth: np.ndarray) -> float:
    return metrics.precision_recall(score, truth).average_precision


@pytest.fixture(params=["continuous", "many ties", "all tied"])
def scored(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    truth = random.random(400) < 0.25
    score = random.normal(size=400) + truth
    if request.param == "many ties":
        score = np.round(score)
    return (np.zeros(400) if request.param == "all tied" else score), truth


def test_f1_matches_scikit_learn() -> None:
    random = np.random.default_rng(1)
    truth, predicted = random.random(300) < 0.2, random.random(300) < 0.3
    assert metrics.f1(predicted, truth) == pytest.approx(sklearn_metrics.f1_score(truth, predicted))
    assert metrics.f1(np.zeros(5, bool), np.zeros(5, bool)) == 0


def test_auroc_and_average_precision_match_scikit_learn(
    scored: tuple[np.ndarray, np.ndarray],
) -> None:
    score, truth = scored
    assert metrics.auroc(score, truth) == pytest.approx(sklearn_metrics.roc_auc_score(truth, score))
    assert average_precision(score, truth) == pytest.approx(
        sklearn_metrics.average_precision_score(truth, score)
    )


def test_precision_recall_matches_scikit_learn(scored: tuple[np.ndarray, np.ndarray]) -> None:
    score, truth = scored
    curve = metrics.precision_recall(score, truth)
    precision, recall, threshold = sklearn_metrics.precision_recall_curve(truth, score)
    # scikit-learn orders by ascending threshold and adds the point (1, 0).
    np.testing.assert_allclose(curve.precision[::-1], precision[:-1])
    np.testing.assert_allclose(curve.recall[::-1], recall[:-1])
    np.testing.assert_allclose(curve.threshold[::-1], threshold)


def test_downsampled_curve_is_subset_of_full_curve(scored: tuple[np.ndarray, np.ndarray]) -> None:
    curve = metrics.precision_recall(*scored)
    downsampled = curve.downsampled(20)
    assert len(downsampled.recall) <= min(22, len(curve.recall))
    assert {*zip(downsampled.recall, downsampled.precision, strict=True)} <= {
        *zip(curve.recall, curve.precision, strict=True)
    }
    assert (downsampled.recall[0], downsampled.recall[-1]) == (curve.recall[0], 1)


def test_auroc_and_average_precision_of_one_class_are_nan() -> None:
    score = np.arange(4.0)
    for truth in (np.zeros(4, bool), np.ones(4, bool)):
        assert math.isnan(metrics.auroc(score, truth))
    assert math.isnan(average_precision(score, np.zeros(4, bool)))
    assert average_precision(score, np.ones(4, bool)) == 1
    assert math.isnan(metrics.auroc(NONE, NONE.astype(bool)))
    assert math.isnan(average_precision(NONE, NONE.astype(bool)))
    assert metrics.best_f1(NONE, NONE.astype(bool)) == 0


def test_auroc_with_nan_or_unequal_shapes_raises() -> None:
    with pytest.raises(ValueError, match="1 of 3 are NaN"):
        metrics.auroc(np.array([0.1, math.nan, 0.3]), np.array([True, False, True]))
    with pytest.raises(ValueError, match=r"\(3,\) and \(2,\)"):
        average_precision(np.zeros(3), np.zeros(2, bool))


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (0.2, 0.8), (0.6, 0.9), (0.5, 0.5)])
def test_best_threshold_beats_exhaustive_search_within_bounds(bounds: tuple[float, float]) -> None:
    random = np.random.default_rng(7)
    truth = random.random(60) < 0.4
    probability = np.round(np.clip(0.3 * truth + 0.7 * random.random(60), 0, 1), 2)
    threshold = metrics.best_threshold(probability, truth, *bounds)
    assert bounds[0] <= threshold <= bounds[1]
    tried = [metrics.f1(probability >= t, truth) for t in np.linspace(*bounds, 401)]
    assert metrics.f1(probability >= threshold, truth) == pytest.approx(max(tried))
    if bounds == (0.0, 1.0):
        assert metrics.best_f1(probability, truth) == pytest.approx(max(tried))


def test_best_threshold_is_midpoint_of_separated_scores() -> None:
    truth = np.arange(100) >= 60
    probability = np.where(truth, 0.75, 0.35).astype(np.float32)
    assert metrics.best_threshold(probability, truth) == pytest.approx(0.55)
    assert metrics.best_threshold(probability, truth, low=0.7) == pytest.approx(0.725)
    assert metrics.best_threshold(probability, np.zeros(100, bool)) == 0.5
