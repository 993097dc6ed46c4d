"""Moving averages of predictions, and their windows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.evaluation.label_table import LabelTable, unlabeled
from training.evaluation.prediction_table import PredictionTable, empty_predictions
from training.evaluation.smoothing import choose_windows, smooth

pytestmark = pytest.mark.train


def tables(lengths: tuple[int, ...]) -> tuple[LabelTable, PredictionTable]:
    count = sum(lengths)
    labels = LabelTable(
        videos=tuple(f"v{k}" for k in range(len(lengths))),
        video=np.repeat(np.arange(len(lengths)), lengths),
        frame=np.concatenate([np.arange(1, n + 1) for n in lengths]),
        crop=(None,) * count,
        listed={},
        **unlabeled(count),
    )
    random = np.random.default_rng(0)
    predictions = replace(
        empty_predictions(count),
        known=random.random(count) < 0.8,
        au_probability=random.random((count, 12)).astype(np.float32),
        expression_probability=random.random((count, 7)).astype(np.float32),
        va=random.uniform(-1, 1, (count, 2)).astype(np.float32),
    )
    return labels, predictions


def test_smooth_averages_known_frames_of_the_same_video() -> None:
    labels, predictions = tables((9, 4))
    smoothed = smooth(predictions, labels, {"va": 5, "au_probability": 3})
    for row in range(13):
        video = labels.rows_of(int(labels.video[row]))
        if not predictions.known[row]:
            assert (smoothed.va[row] == predictions.va[row]).all()
            continue
        near = [k for k in range(video.start, video.stop) if abs(k - row) <= 2]
        known = [k for k in near if predictions.known[k]]
        assert smoothed.va[row] == pytest.approx(predictions.va[known].mean(axis=0), abs=1e-6)
        near = [k for k in known if abs(k - row) <= 1]
        mean = predictions.au_probability[near].mean(axis=0)
        assert smoothed.au_probability[row] == pytest.approx(mean, abs=1e-6)
        assert (smoothed.au_active[row] == (mean > 0.5)).all()
    assert smoothed.expression_probability is predictions.expression_probability
    with pytest.raises(ValueError, match="expected an odd number of frames from 1, got 4"):
        smooth(predictions, labels, {"va": 4})


def test_choose_windows_smooths_noise_but_not_what_changes_each_frame() -> None:
    labels, predictions = tables((400,))
    random = np.random.default_rng(1)
    time = np.arange(400)
    slow = np.stack([np.sin(time / 60), np.cos(time / 60)], axis=1)
    blinking = np.repeat((time % 2)[:, None], 12, axis=1)
    labels = replace(labels, va=slow.astype(np.float32), au=blinking.astype(np.int8))
    predictions = replace(
        predictions,
        known=np.ones(400, bool),
        va=(slow + random.normal(0, 0.6, slow.shape)).astype(np.float32),
        au_probability=blinking.astype(np.float32),
        au_active=blinking > 0,
    )
    windows = choose_windows(predictions, labels)
    assert windows["va"] > 5
    assert windows["au_probability"] == 1
    assert windows["expression_probability"] == 1, "without labels nothing is smoothed"
