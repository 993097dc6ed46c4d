"""Tests of simulated landmark errors and missed detections."""

import numpy as np

from faceaffect.geometry import (
    CANONICAL_KEYPOINTS_XY,
    invert_transforms,
    keypoints_from_landmarks,
    transform_points,
)
from training.synthesis.videos.crops import jittered_transforms, sample_missed_frames

FPS = 25.0


def test_jittered_transforms_have_documented_error():
    rng = np.random.default_rng(5)
    landmarks = np.zeros((2000, 68, 2), np.float32)
    landmarks[:, 36:42] = (100, 90)
    landmarks[:, 42:48] = (160, 92)
    landmarks[:, 30] = (130, 125)
    landmarks[:, 48] = (105, 160)
    landmarks[:, 54] = (154, 161)
    transforms = jittered_transforms(rng, landmarks, FPS)
    inside = transform_points(invert_transforms(transforms), keypoints_from_landmarks(landmarks))
    deviation = inside - inside.mean(axis=0)
    spread_px = np.sqrt((deviation**2).sum(axis=2).mean())
    assert 0.2 < spread_px < 1.6  # of 112 px: visible, but the face stays in the crop
    assert np.abs(inside.mean(axis=0) - CANONICAL_KEYPOINTS_XY).max() < 4


def test_sample_missed_frames_is_rare_except_at_large_yaw():
    pose = np.zeros((250, 3), np.float32)
    fractions = [
        sample_missed_frames(np.random.default_rng(k), pose, np.zeros(250, bool), FPS).mean()
        for k in range(60)
    ]
    assert min(fractions) > 0
    assert np.mean(fractions) < 0.08
    pose[100:150, 0] = 44
    large_yaw = [
        sample_missed_frames(np.random.default_rng(k), pose, np.zeros(250, bool), FPS)[
            100:150
        ].mean()
        for k in range(60)
    ]
    assert np.mean(large_yaw) > 0.5
