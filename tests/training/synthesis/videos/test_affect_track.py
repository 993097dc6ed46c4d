"""Tests of emotion segments, expression labels, valence and arousal."""

from itertools import pairwise

import numpy as np
import pytest

from faceaffect.labels import EXPRESSION_NAMES
from training.datasets.emotion_to_va import COORDINATES
from training.synthesis.videos import affect_track
from training.synthesis.videos.affect_track import (
    label_expressions,
    make_affect_track,
    sample_segments,
    simulate_valence_arousal,
)

FPS = 25.0
TIME_S = (np.arange(300) / FPS).astype(np.float32)


@pytest.mark.parametrize("duration_s", [2.8, 5.0, 20.0])
def test_sample_segments_fills_the_video(duration_s):
    for seed in range(30):
        segments = sample_segments(np.random.default_rng(seed), duration_s, ("anger", "happiness"))
        assert segments[0].start_s == 0
        assert segments[-1].end_s == duration_s
        for before, after in pairwise(segments):
            assert before.end_s == after.start_s
        assert any(segment.emotions for segment in segments)
        for segment in segments:
            weights = [weight for _, weight in segment.emotions]
            assert not weights or abs(sum(weights) - 1) < 1e-9


def test_label_expressions_returns_dominant_neutral_or_none():
    def row(**weights):
        emotions = [weights.get(name, 0.0) for name in EXPRESSION_NAMES[1:]]
        return [1 - sum(weights.values()), *emotions]

    strength = np.array(
        [row(), row(fear=0.2), row(fear=0.5), row(fear=0.5, anger=0.2), row(fear=0.4, anger=0.4)],
        np.float32,
    )
    fear = EXPRESSION_NAMES.index("fear")
    assert label_expressions(strength).tolist() == [0, 0, fear, fear, -1]


def test_simulate_valence_arousal_without_noise_is_first_order_response(monkeypatch):
    """Step response without noise and home base is 1 - exp(-t / tau)."""
    monkeypatch.setattr(affect_track, "VA_NOISE", 0.0)
    monkeypatch.setattr(affect_track, "HOME_BASE_SD", 0.0)
    strength = np.zeros((len(TIME_S), 7), np.float32)
    strength[:, 0] = 1
    strength[100:, 0] = 0.2
    strength[100:, EXPRESSION_NAMES.index("sadness")] = 0.8
    va = simulate_valence_arousal(np.random.default_rng(0), strength, TIME_S)
    assert np.abs(va[:100]).max() == 0
    since_s = (np.arange(200) + 1) / FPS
    expected = (
        0.8
        * (1 - np.exp(-since_s / affect_track.VA_TAU_S))[:, None]
        * np.array(COORDINATES["sadness"])
    )
    np.testing.assert_allclose(va[100:], expected, atol=1e-5)


def test_make_affect_track_is_normalized_and_continuous():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        track = make_affect_track(rng, sample_segments(rng, 12.0, ("disgust", "surprise")), TIME_S)
        np.testing.assert_allclose(track.strength.sum(axis=1), 1, atol=1e-5)
        assert track.strength.min() > -1e-6
        assert np.abs(np.diff(track.va, axis=0)).max() < 0.12  # no jumps
        assert np.abs(np.diff(track.strength, axis=0)).max() < 0.2
