"""Bootstrap intervals compared with resampling frames, and with theory."""

from __future__ import annotations

import numpy as np
import pytest

from training import metrics


def synthetic_predictions(videos: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predicted classes, labels and video of each frame; accuracy differs between videos."""
    random = np.random.default_rng(seed)
    video = np.repeat(np.arange(videos), random.integers(5, 40, videos))
    right = random.beta(4, 2, videos)[video]
    label = random.integers(-1, 7, len(video))
    return np.where(random.random(len(video)) < right, np.maximum(label, 0), 0), label, video


def test_bootstrap_of_sums_equals_resampling_frames() -> None:
    predicted, label, video = synthetic_predictions(6)
    sums = metrics.expression_sums(predicted, label, video, 6)
    weights = np.random.default_rng(9).multinomial(6, np.full(6, 1 / 6), size=50)
    scores = []
    for weight in weights:
        rows = np.concatenate([np.flatnonzero(video == v) for v in np.repeat(np.arange(6), weight)])
        scores.append(metrics.expression_score(predicted[rows], label[rows])["score"])
    bounds = metrics.bootstrap(sums, metrics.expression_metrics, resamples=50, seed=9)["score"]
    np.testing.assert_allclose(bounds, np.percentile(scores, [2.5, 97.5]))


def test_bootstrap_interval_width_matches_theory() -> None:
    """Standard error of the accuracy of V videos of equal length is std / sqrt(V)."""
    random = np.random.default_rng(1)
    accuracy = random.uniform(0.3, 0.9, 60)
    right = np.round(1000 * accuracy)
    sums = np.zeros((60, 49))
    sums[:, 0], sums[:, 1] = right, 1000 - right
    low, high = metrics.bootstrap(sums, metrics.expression_metrics, resamples=4000)["accuracy"]
    assert high - low == pytest.approx(2 * 1.96 * accuracy.std() / np.sqrt(60), rel=0.06)
    assert low < accuracy.mean() < high


def test_bootstrap_with_repeated_frames_keeps_interval_width() -> None:
    predicted, label, video = synthetic_predictions(8)
    few = metrics.expression_sums(predicted, label, video, 8)
    narrow, wide = (
        metrics.bootstrap(sums, metrics.expression_metrics)["accuracy"]
        for sums in (np.tile(few, (9, 1)), few)
    )
    np.testing.assert_array_equal(
        metrics.bootstrap(9 * few, metrics.expression_metrics)["accuracy"], wide
    )
    assert np.diff(narrow) < 0.5 * np.diff(wide)


def test_bootstrap_ignores_unlabeled_videos_and_is_nan_for_one() -> None:
    predicted, label, video = synthetic_predictions(5)
    sums = metrics.expression_sums(predicted, label, video, 5)
    padded = np.concatenate([sums, np.zeros((20, 49))])
    expected, actual = (
        metrics.bootstrap(s, metrics.expression_metrics)["score"] for s in (sums, padded)
    )
    np.testing.assert_array_equal(actual, expected)
    alone = metrics.bootstrap(sums[:1], metrics.expression_metrics)
    assert alone["f1"].shape == (2, 7)
    assert np.isnan(alone["score"]).all()


def test_bootstrap_with_same_seed_is_deterministic() -> None:
    sums = metrics.expression_sums(*synthetic_predictions(7), 7)
    first, again, other = (
        metrics.bootstrap(sums, metrics.expression_metrics, seed=s)["score"] for s in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
