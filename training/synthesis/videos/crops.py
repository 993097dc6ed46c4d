"""Writes aligned face crops with simulated landmark jitter and missed detections."""

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
from training.synthesis.videos.motion_curves import smooth_noise

SLOW_JITTER = 0.016
FAST_JITTER = 0.010
"""Keypoint error relative to the interocular distance: drift within half a second, and per-frame
noise.
"""

SLOW_JITTER_TAU_S: Final[float] = 0.4

MISS_YAW_DEG: Final[float] = 36.0
"""Faces beyond this yaw are missed with probability 0.5 or more."""

OCCLUSION_MISS_PROBABILITY: Final[float] = 0.35
MEAN_MISS_INTERVAL_S: Final[float] = 9.0
JPEG_QUALITY: Final[int] = 92


def jittered_transforms(
    rng: np.random.Generator, landmarks_xy: FloatArray, fps: float
) -> FloatArray:
    """Fits crop to frame transforms [n, 2, 3] to landmarks [n, 68, 2] with simulated errors."""
    keypoints = keypoints_from_landmarks(landmarks_xy)
    eye_span = np.linalg.norm(keypoints[:, 1] - keypoints[:, 0], axis=1)
    face_span = np.linalg.norm(
        keypoints[:, 3:].mean(axis=1) - keypoints[:, :2].mean(axis=1), axis=1
    )
    span = np.maximum(eye_span, 0.9 * face_span)  # yaw does not shorten the face height
    count = len(keypoints)
    slow = np.stack(
        [smooth_noise(rng, count, fps, SLOW_JITTER_TAU_S) for _ in range(10)], axis=1
    ).reshape(count, 5, 2)
    error = SLOW_JITTER * slow + FAST_JITTER * rng.normal(size=(count, 5, 2))
    return estimate_crop_to_frame((keypoints + error * span[:, None, None]).astype(np.float32))


def sample_missed_frames(
    rng: np.random.Generator, pose_deg: FloatArray, is_occluded: NDArray[np.bool_], fps: float
) -> NDArray[np.bool_]:
    """Samples frames [n] without a detection, at least one: large yaw, occlusion, or random."""
    count = len(pose_deg)
    has_large_yaw = np.abs(pose_deg[:, 0]) > MISS_YAW_DEG
    missed = has_large_yaw & (rng.random() < 0.5 or rng.random(count) < 0.5)
    if is_occluded.any() and rng.random() < OCCLUSION_MISS_PROBABILITY:
        missed |= is_occluded
    for _ in range(1 + rng.poisson(count / fps / MEAN_MISS_INTERVAL_S)):
        length = int(rng.choice([1, 1, 2, 3, max(2, round(0.25 * fps))]))
        start = int(rng.integers(0, max(1, count - length)))
        missed[start : start + length] = True
    if missed.all():
        missed[: count // 2] = False
    return missed


def write_crops(
    folder: Path,
    frames: Iterable[NDArray[np.uint8]],
    transforms: FloatArray,
    is_missed: NDArray[np.bool_],
) -> None:
    """Writes 112 px crops `00001.jpg`, ... of RGB frames [H, W, 3]; missed frames are skipped."""
    folder.mkdir(parents=True)
    for k, pixels in enumerate(frames):
        if is_missed[k]:
            continue
        frame = Frame(pixels=pixels, pixel_format=PixelFormat.RGB)
        crop = crop_face(
            frame,
            transforms[k : k + 1],
            size_px=TEMPLATE_SIZE_PX,
            mean=(0.0, 0.0, 0.0),
            std=(1.0, 1.0, 1.0),
        )[0]
        image = np.rint(crop.transpose(1, 2, 0)[..., ::-1] * 255).clip(0, 255).astype(np.uint8)
        path = folder / f"{k + 1:05d}.jpg"
        if not cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]):
            raise OSError(f"failed to write {path}")
