"""Aligned crops as a detector and a landmark model would have made them: with jitter, and with
misses.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from faceaffect.geometry import TEMPLATE_SIZE_PX, estimate_crop_to_frame, keypoints_from_landmarks
from faceaffect.kernels import crop_face
from faceaffect.types import Frame, PixelFormat
from training.synthesis.head_mesh import FloatArray
from training.synthesis.videos.smooth_tracks import smooth_noise

SLOW_JITTER, FAST_JITTER = 0.016, 0.010
"""Error of each anchor over the distance between the eyes: what drifts within half a second, and
what is new each frame.
"""

SLOW_JITTER_TAU_S: Final[float] = 0.4

TURNED_DEG: Final[float] = 36.0
"""Beyond this yaw a face is missed as often as not."""

OCCLUDED_MISS: Final[float] = 0.35
MISS_EVERY_S: Final[float] = 9.0
JPEG_QUALITY: Final[int] = 92


def jittered_maps(rng: np.random.Generator, landmarks_xy: FloatArray, fps: float) -> FloatArray:
    """Maps [n, 2, 3] from crop to frame pixels, fitted to the anchors of true landmarks [n, 68, 2]
    plus an error.
    """
    anchors = keypoints_from_landmarks(landmarks_xy)
    eye_span = np.linalg.norm(anchors[:, 1] - anchors[:, 0], axis=1)
    face_span = np.linalg.norm(anchors[:, 3:].mean(axis=1) - anchors[:, :2].mean(axis=1), axis=1)
    span = np.maximum(eye_span, 0.9 * face_span)  # a turned face keeps its height
    count = len(anchors)
    slow = np.stack(
        [smooth_noise(rng, count, fps, SLOW_JITTER_TAU_S) for _ in range(10)], axis=1
    ).reshape(count, 5, 2)
    error = SLOW_JITTER * slow + FAST_JITTER * rng.normal(size=(count, 5, 2))
    return estimate_crop_to_frame((anchors + error * span[:, None, None]).astype(np.float32))


def find_misses(
    rng: np.random.Generator, pose_deg: FloatArray, is_occluded: NDArray[np.bool_], fps: float
) -> NDArray[np.bool_]:
    """Frames [n] in which the detector finds no face: turned away, hidden, or for no reason; at
    least one frame.
    """
    count = len(pose_deg)
    lost = np.abs(pose_deg[:, 0]) > TURNED_DEG
    missed = lost & (rng.random() < 0.5 or rng.random(count) < 0.5)
    if is_occluded.any() and rng.random() < OCCLUDED_MISS:
        missed |= is_occluded
    for _ in range(1 + rng.poisson(count / fps / MISS_EVERY_S)):
        length = int(rng.choice([1, 1, 2, 3, max(2, round(0.25 * fps))]))
        start = int(rng.integers(0, max(1, count - length)))
        missed[start : start + length] = True
    if missed.all():
        missed[: count // 2] = False
    return missed


def write_crops(
    folder: Path,
    frames: Iterable[NDArray[np.uint8]],
    maps: FloatArray,
    is_missed: NDArray[np.bool_],
) -> None:
    """Write `00001.jpg` and on, 112 px, for RGB frames [H, W, 3]; missed ones leave a gap in the
    numbers.
    """
    folder.mkdir(parents=True)
    for k, pixels in enumerate(frames):
        if is_missed[k]:
            continue
        frame = Frame(pixels=pixels, layout=PixelFormat.RGB)
        crop = crop_face(
            frame,
            maps[k : k + 1],
            size_px=TEMPLATE_SIZE_PX,
            mean=(0.0, 0.0, 0.0),
            std=(1.0, 1.0, 1.0),
        )[0]
        image = np.rint(crop.transpose(1, 2, 0)[..., ::-1] * 255).clip(0, 255).astype(np.uint8)
        path = folder / f"{k + 1:05d}.jpg"
        if not cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]):
            raise OSError(f"could not write {path}")
