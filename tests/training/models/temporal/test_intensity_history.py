"""Intensity histories compared with NumPy loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from training.models.temporal.intensity_history import (
    LEVELS,
    RunningHistory,
    feature_count,
    logit_of,
    whole_video_features,
)

pytestmark = pytest.mark.train


def values(steps: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    intensity = np.clip(rng.normal(-0.3, 0.4, (steps, 12)), -1, 1)
    return torch.from_numpy(intensity).float(), torch.from_numpy(rng.random((steps, 12))).float()


def test_feature_count_of_published_window_is_1221() -> None:
    assert feature_count(600) == 1221
    assert feature_count(60) == 141
    assert whole_video_features(*values(10)).shape == (10, 12, 1221)


def test_whole_video_features_match_reference_loops() -> None:
    s, c = values(40)
    c[:, 3] *= 0.6  # no frame of AU 3 reaches the last level
    features = whole_video_features(s, c, window=7).numpy()
    for k in (0, 3):
        sk, ck = s[:, k].numpy(), c[:, k].numpy()
        levels: list[float] = []
        for level in LEVELS:
            chosen = sk[ck >= level]
            row = (
                [*np.percentile(chosen, [0, 10, 20]), len(chosen) / 40]
                if len(chosen)
                else levels[-4:]
            )
            levels += row
        for t in (0, 3, 39):
            indices = [min(max(t + d, 0), 39) for d in [*range(1, 8), *range(-1, -8, -1)]]
            expected = [
                sk[t],
                *np.percentile(sk, [0, 10, 20]),
                *levels,
                *sk[indices],
                *ck[indices],
                ck[t],
            ]
            assert np.allclose(features[t, k], expected, atol=1e-5)


def test_running_history_percentiles_match_numpy() -> None:
    s, c = values(400)
    history = RunningHistory(window=10, stride=5, bins=64)
    features = history(s[None], c[None])[0]
    for t in (200, 399):  # after the warm-up
        for k in (0, 11):
            past = s[: t + 1, k].numpy()
            assert features[t, k, 1:4].numpy() == pytest.approx(
                np.percentile(past, [0, 10, 20]), abs=2 / 64
            )
            confident = past[c[: t + 1, k].numpy() >= 0.5]
            at = 4 + 2 * 4
            assert features[t, k, at : at + 3].numpy() == pytest.approx(
                np.percentile(confident, [0, 10, 20]), abs=2 / 64
            )
            assert float(features[t, k, at + 3]) == pytest.approx(len(confident) / (t + 1))
            assert features[t, k, 20:22].tolist() == [float(s[t - 5, k]), float(s[t - 10, k])]


def test_running_history_starts_from_population() -> None:
    s, c = values(5)
    history = RunningHistory(window=10, stride=5)
    history.fit_population(torch.full((10, 12), -0.8))
    assert history(s[None], c[None])[0, 0, :, 1:4].sub(-0.8).abs().max() < 0.02


def test_running_history_of_empty_level_repeats_previous() -> None:
    s, _ = values(30)
    features = RunningHistory(window=10, stride=5)(s[None], torch.full((1, 30, 12), 0.3))[0]
    assert torch.equal(features[..., 12:16], features[..., 8:12])
    assert torch.equal(features[..., 16:20], features[..., 8:12])


def test_running_history_is_causal() -> None:
    s, c = values(40)
    history = RunningHistory(window=20, stride=5)
    other = s.clone()
    other[25:] = 1
    assert torch.equal(history(s[None], c[None])[:, :25], history(other[None], c[None])[:, :25])


def test_logit_of_inverts_sigmoid_within_limits() -> None:
    assert torch.sigmoid(logit_of(torch.tensor([0.2, 0.5, 7.0, -3.0]))).tolist() == pytest.approx(
        [0.2, 0.5, 0.99, 0.01]
    )
