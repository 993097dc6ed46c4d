"""Simulates head pose, sway and gaze over a video."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from faceaffect.labels import EXPRESSION_NAMES
from training.synthesis.head_mesh import FloatArray
from training.synthesis.scene import PITCH_LIMIT_DEG, ROLL_LIMIT_DEG, YAW_LIMIT_DEG
from training.synthesis.videos.motion_curves import low_pass, onset_apex_offset, smooth_noise

MEAN_POSE_SD_DEG: Final = (11.0, 5.0, 3.5)
MOTION_SD_DEG: Final = (4.5, 2.6, 2.2)
MOTION_TAU_S: Final[float] = 0.45
LARGE_TURN_PROBABILITY: Final[float] = 0.3
"""Probability of a turn to 28..44 degrees of yaw, where detectors lose faces."""

FIXATION_S: Final = (0.35, 2.2)
GAZE_COMPENSATION: Final[float] = 0.75
"""Fraction of a head rotation that the eyes compensate to stay on their target."""

GAZE_LIMIT_DEG: Final = ((-24.0, -18.0), (24.0, 14.0))


@dataclass(frozen=True, slots=True)
class HeadTracks:
    """Head motion over n frames."""

    pose_deg: FloatArray  # [n, 3] yaw, pitch, roll with the signs of types.Faces
    mean_pose_deg: FloatArray  # [3] pose that the camera is zoomed to
    sway_fraction: FloatArray  # [n, 2] right and down, as a fraction of the tile
    gaze_deg: FloatArray  # [n, 2] towards the right and top of the image


def sample_head_tracks(
    rng: np.random.Generator,
    time_s: FloatArray,
    fps: float,
    strength: FloatArray,
    voice_energy: FloatArray,
) -> HeadTracks:
    """Samples head motion that depends on the emotions [n, 7] and the voice [n].

    Voice accents cause nods; sadness and anger lower the head.
    """
    count = len(time_s)
    mean_pose = rng.normal(0, MEAN_POSE_SD_DEG).clip((-24, -10, -9), (24, 10, 9))
    activity = float(rng.uniform(0.6, 1.5))
    pose = np.stack([smooth_noise(rng, count, fps, MOTION_TAU_S) for _ in range(3)], axis=1)
    speech_gain = 1 + 0.5 * low_pass(voice_energy, fps, 0.3)
    pose *= np.array(MOTION_SD_DEG) * activity * speech_gain[:, None]
    pose += mean_pose
    if rng.random() < LARGE_TURN_PROBABILITY:
        pose[:, 0] += _large_turn(rng, time_s, float(mean_pose[0]))
    by_name = {name: strength[:, k] for k, name in enumerate(EXPRESSION_NAMES)}
    drop = (
        7 * by_name["sadness"]
        + 4 * by_name["anger"]
        - 3 * by_name["surprise"]
        - 2 * by_name["fear"]
    )
    accent = voice_energy - low_pass(voice_energy, fps, 0.6)
    pose[:, 1] -= low_pass(drop, fps, 0.2) + 3.0 * low_pass(accent, fps, 0.07)
    limits = np.array([YAW_LIMIT_DEG, PITCH_LIMIT_DEG, ROLL_LIMIT_DEG])
    sway = (
        np.stack([smooth_noise(rng, count, fps, 0.7) for _ in range(2)], axis=1) * 0.010 * activity
    )
    gaze = _sample_fixations(rng, time_s) - GAZE_COMPENSATION * pose[:, :2]
    gaze[:, 1] -= 8 * by_name["sadness"]
    return HeadTracks(
        pose_deg=np.clip(pose, -limits, limits).astype(np.float32),
        mean_pose_deg=mean_pose.astype(np.float32),
        sway_fraction=sway.astype(np.float32),
        gaze_deg=np.clip(gaze, *GAZE_LIMIT_DEG).astype(np.float32),
    )


def _large_turn(rng: np.random.Generator, time_s: FloatArray, from_deg: float) -> FloatArray:
    """Samples a temporary large turn, as additional yaw [n]."""
    to_deg = float(rng.choice([-1, 1]) * rng.uniform(28, 44))
    length_s = float(rng.uniform(1.2, 2.6))
    start_s = float(rng.uniform(0, max(0.2, time_s[-1] - length_s)))
    edge_s = float(rng.uniform(0.4, 0.7))
    envelope = onset_apex_offset(time_s, start_s, start_s + length_s, edge_s, edge_s)
    return np.asarray((to_deg - from_deg) * envelope, np.float32)


def _sample_fixations(rng: np.random.Generator, time_s: FloatArray) -> FloatArray:
    """Samples gaze [n, 2] in degrees right and up of the camera: fixations joined by saccades."""
    gaze = np.zeros((len(time_s), 2), np.float32)
    now_s = 0.0
    while now_s <= time_s[-1]:
        is_camera = rng.random() < 0.55
        target = rng.normal(0, (1.5, 1.0)) if is_camera else rng.normal((0, -2), (11, 5))
        gaze[time_s >= now_s] = target
        now_s += float(rng.uniform(*FIXATION_S)) * (1.6 if is_camera else 1.0)
    return gaze
