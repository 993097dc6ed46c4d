"""How a head moves over a video: turns, nods, leans, sway, and where the eyes look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from faceaffect.labels import EXPRESSION_NAMES
from training.synthesis.head_mesh import FloatArray
from training.synthesis.scene import PITCH_LIMIT_DEG, ROLL_LIMIT_DEG, YAW_LIMIT_DEG
from training.synthesis.videos.smooth_tracks import low_pass, onset_apex_offset, smooth_noise

MEAN_SPREAD_DEG: Final = (11.0, 5.0, 3.5)
MOVE_SPREAD_DEG: Final = (4.5, 2.6, 2.2)
MOVE_TAU_S: Final[float] = 0.45
BIG_TURN_SHARE: Final[float] = 0.3
"""Share of videos with a turn to 28..44 degrees: where detectors lose a face."""

FIXATION_S: Final = (0.35, 2.2)
EYE_SHARE: Final[float] = 0.75
"""How much of a head turn the eyes undo to stay on their target."""

GAZE_LIMIT_DEG: Final = ((-24.0, -18.0), (24.0, 14.0))


@dataclass(frozen=True, slots=True)
class HeadTracks:
    """Over n frames."""

    pose_deg: FloatArray  # [n, 3] yaw, pitch, roll with the signs of types.Faces
    mean_pose_deg: FloatArray  # [3] what the camera is framed on
    sway_share: FloatArray  # [n, 2] of the tile, right and down
    gaze_deg: FloatArray  # [n, 2] towards the image's right, up


def move_head(
    rng: np.random.Generator,
    time_s: FloatArray,
    fps: float,
    strength: FloatArray,
    voice_energy: FloatArray,
) -> HeadTracks:
    """Tracks that know of the emotions [n, 7] and of the voice [n]: accents nod, sadness and anger
    lower the head.
    """
    count = len(time_s)
    mean_pose = rng.normal(0, MEAN_SPREAD_DEG).clip((-24, -10, -9), (24, 10, 9))
    liveliness = float(rng.uniform(0.6, 1.5))
    pose = np.stack([smooth_noise(rng, count, fps, MOVE_TAU_S) for _ in range(3)], axis=1)
    talk = 1 + 0.5 * low_pass(voice_energy, fps, 0.3)
    pose *= np.array(MOVE_SPREAD_DEG) * liveliness * talk[:, None]
    pose += mean_pose
    if rng.random() < BIG_TURN_SHARE:
        pose[:, 0] += _big_turn(rng, time_s, float(mean_pose[0]))
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
        np.stack([smooth_noise(rng, count, fps, 0.7) for _ in range(2)], axis=1)
        * 0.010
        * liveliness
    )
    gaze = _look_around(rng, time_s) - EYE_SHARE * pose[:, :2]
    gaze[:, 1] -= 8 * by_name["sadness"]
    return HeadTracks(
        pose_deg=np.clip(pose, -limits, limits).astype(np.float32),
        mean_pose_deg=mean_pose.astype(np.float32),
        sway_share=sway.astype(np.float32),
        gaze_deg=np.clip(gaze, *GAZE_LIMIT_DEG).astype(np.float32),
    )


def _big_turn(rng: np.random.Generator, time_s: FloatArray, from_deg: float) -> FloatArray:
    """Extra yaw [n] that comes and goes."""
    to_deg = float(rng.choice([-1, 1]) * rng.uniform(28, 44))
    length_s = float(rng.uniform(1.2, 2.6))
    start_s = float(rng.uniform(0, max(0.2, time_s[-1] - length_s)))
    edge_s = float(rng.uniform(0.4, 0.7))
    envelope = onset_apex_offset(time_s, start_s, start_s + length_s, edge_s, edge_s)
    return np.asarray((to_deg - from_deg) * envelope, np.float32)


def _look_around(rng: np.random.Generator, time_s: FloatArray) -> FloatArray:
    """Where the person looks [n, 2], degrees right and up of the camera: fixations and jumps
    between them.
    """
    gaze = np.zeros((len(time_s), 2), np.float32)
    now_s = 0.0
    while now_s <= time_s[-1]:
        is_camera = rng.random() < 0.55
        target = rng.normal(0, (1.5, 1.0)) if is_camera else rng.normal((0, -2), (11, 5))
        gaze[time_s >= now_s] = target
        now_s += float(rng.uniform(*FIXATION_S)) * (1.6 if is_camera else 1.0)
    return gaze
