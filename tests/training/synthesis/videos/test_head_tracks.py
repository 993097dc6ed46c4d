"""Tests of head motion."""

import numpy as np

from training.synthesis.videos.head_tracks import sample_head_tracks

FPS = 25.0
TIME_S = (np.arange(300) / FPS).astype(np.float32)


def test_sample_head_tracks_is_smooth_and_within_limits():
    strength = np.tile(np.eye(7, dtype=np.float32)[0], (len(TIME_S), 1))
    for seed in range(20):
        head = sample_head_tracks(
            np.random.default_rng(seed), TIME_S, FPS, strength, np.zeros(len(TIME_S), np.float32)
        )
        step = np.abs(np.diff(head.pose_deg, axis=0))
        assert step.max() < 10  # 250 degrees a second, a fast turn
        assert np.abs(np.diff(head.pose_deg, 2, axis=0)).max() < 5
        assert head.pose_deg.std(axis=0).min() > 0.3
        assert np.abs(head.pose_deg).max(axis=0)[0] <= 45
