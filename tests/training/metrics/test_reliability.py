"""Reliability curves compared with a loop, with closed forms and with scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest

from training import metrics


def slow_error(probability: np.ndarray, truth: np.ndarray, bins: int) -> float:
    total = 0.0
    for k in range(bins):
        inside = [
            i
            for i, p in enumerate(probability)
            if k / bins <= p < (k + 1) / bins or (k == bins - 1 and p == 1)
        ]
        if inside:
            total += abs(sum(probability[i] for i in inside) - sum(truth[i] for i in inside))
    return total / len(probability)


def test_reliability_error_matches_definition() -> None:
    random = np.random.default_rng(0)
    probability = np.append(random.random(300), [0.0, 1.0])
    truth = random.random(302) < probability**2
    for bins in (10, 15):
        assert metrics.reliability(probability, truth, bins).error == pytest.approx(
            slow_error(probability, truth, bins)
        )


def test_reliability_curve_matches_scikit_learn() -> None:
    calibration = pytest.importorskip("sklearn.calibration")
    random = np.random.default_rng(1)
    probability = 0.6 * random.random(500)
    truth = random.random(500) < probability
    curve = metrics.reliability(probability, truth, 10)
    frequency, mean = calibration.calibration_curve(truth, probability, n_bins=10)
    filled = curve.count > 0
    np.testing.assert_allclose(curve.frequency[filled], frequency)
    np.testing.assert_allclose(curve.probability[filled], mean)
    assert np.isnan(curve.frequency[~filled]).all()


def test_reliability_error_matches_closed_forms() -> None:
    truth = np.arange(100) < 70
    assert metrics.reliability(np.full(100, 0.7), truth).error == pytest.approx(0)
    assert metrics.reliability(np.full(100, 0.9), truth).error == pytest.approx(0.2)
    assert metrics.reliability(truth.astype(float), truth).error == 0
    assert math.isnan(metrics.reliability(np.zeros(0), np.zeros(0, bool)).error)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        metrics.reliability(np.array([1.5]), np.array([True]))


def test_reliability_ignores_unlabeled_rows() -> None:
    probability = np.full((10, 12), 0.5)
    label = np.tile([[1], [0]], (5, 12))
    label[:4, 2] = -1
    label[:, 3] = -1
    curves = metrics.au_reliability(probability, label)
    assert [int(curve.count.sum()) for curve in curves[:4]] == [10, 10, 6, 0]
    assert curves[2].error == pytest.approx(0)
    assert math.isnan(curves[3].error)
    classes = np.tile([0.7, 0.3, 0, 0, 0, 0, 0], (4, 1))
    assert metrics.expression_reliability(classes, np.array([0, 1, -1, -1])).error == pytest.approx(
        0.2
    )
