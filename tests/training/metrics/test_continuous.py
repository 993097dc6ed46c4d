"""Regression metrics compared with closed forms and NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest

from training import metrics
from training.metrics.continuous import moments, pearson_of_moments, sign_agreement_of_moments


def pearson(predicted: np.ndarray, truth: np.ndarray) -> float:
    return float(pearson_of_moments(moments(predicted, truth).sum(axis=0)))


def sign_agreement(predicted: np.ndarray, truth: np.ndarray) -> float:
    return float(sign_agreement_of_moments(moments(predicted, truth).sum(axis=0)))


@pytest.fixture
def series() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(2)
    truth = random.standard_normal(200)
    return 0.7 * truth + 0.4 * random.standard_normal(200) - 0.2, truth


@pytest.mark.parametrize("offset", [0, 1e4])
def test_ccc_matches_definition(series: tuple[np.ndarray, np.ndarray], offset: float) -> None:
    p, t = series
    covariance = ((p - p.mean()) * (t - t.mean())).mean()
    expected = 2 * covariance / (p.var() + t.var() + (p.mean() - t.mean()) ** 2 + 1e-8)
    assert metrics.ccc(p + offset, t + offset) == pytest.approx(expected, rel=1e-9)


def test_ccc_matches_closed_form() -> None:
    truth = np.array([-1.0, 1.0, -1.0, 1.0])  # mean 0, variance 1
    assert metrics.ccc(truth, truth) == pytest.approx(1)
    assert metrics.ccc(-truth, truth) == pytest.approx(-1)
    for shift in (0.5, 2.0):  # 2 / (2 + shift^2)
        assert metrics.ccc(truth + shift, truth) == pytest.approx(2 / (2 + shift**2))
        assert pearson(truth + shift, truth) == pytest.approx(1)  # invariant to the shift
    for factor in (0.5, 3.0):  # 2 f / (1 + f^2)
        assert metrics.ccc(factor * truth, truth) == pytest.approx(2 * factor / (1 + factor**2))
    assert metrics.ccc(np.full(4, 0.3), truth) == pytest.approx(0, abs=1e-12)
    assert metrics.ccc(np.zeros(4), np.zeros(4)) == 0


def test_pearson_and_rmse_match_numpy(series: tuple[np.ndarray, np.ndarray]) -> None:
    p, t = series
    assert pearson(p, t) == pytest.approx(np.corrcoef(p, t)[0, 1])
    assert metrics.rmse(p, t) == pytest.approx(np.sqrt(np.mean((p - t) ** 2)))
    assert sign_agreement(np.array([0.1, -0.2, 0.0, 0.0]), np.array([0.9, 0.2, 0.0, -0.1])) == 0.5


def test_continuous_metrics_of_constants_and_no_rows() -> None:
    none = np.zeros(0)
    for measure in (metrics.ccc, pearson, metrics.rmse, sign_agreement):
        assert math.isnan(measure(none, none)), measure
    assert math.isnan(pearson(np.ones(3), np.arange(3.0)))
    with pytest.raises(ValueError, match="finite"):
        metrics.ccc(np.array([math.inf, 0]), np.zeros(2))


def test_icc_matches_mean_squares_of_two_raters(series: tuple[np.ndarray, np.ndarray]) -> None:
    ratings = np.stack(series, axis=1)
    rows, raters = ratings.mean(axis=1, keepdims=True), ratings.mean(axis=0, keepdims=True)
    between = 2 * ((rows - ratings.mean()) ** 2).sum() / (len(ratings) - 1)
    residual = ((ratings - rows - raters + ratings.mean()) ** 2).sum() / (len(ratings) - 1)
    expected = (between - residual) / (between + residual)
    assert metrics.icc(*series) == pytest.approx(expected, rel=1e-9)
    assert metrics.icc(series[0] + 3, series[1]) == pytest.approx(expected, rel=1e-9)
    assert math.isnan(metrics.icc(np.zeros(3), np.zeros(3)))
