"""Face score on hard cases: occluded or degraded faces, and crops without a face."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from faceaffect.geometry import transform_scale
from faceaffect.types import FloatArray
from training.datasets.face_table import FaceTable
from training.evaluation.bundle_runner import BundleRunner, face_probability
from training.evaluation.crop_jitter import (
    aligned_transforms,
    background_transforms,
    moved_transforms,
    tracking_transforms,
)

Image = NDArray[np.uint8]


def hard_face_recall(runner: BundleRunner, table: FaceTable, seed: int = 8) -> dict[str, float]:
    """Returns the fraction of faces with a score above 0.5, by kind of corruption."""
    aligned = aligned_transforms(table)
    tracked = tracking_transforms(aligned, seed)
    scales = [float(transform_scale(each[None])[0]) for each in tracked]
    fractions = {}
    for name, corrupt in _CORRUPTIONS.items():
        images = map(corrupt, table.images, table.landmarks_xy, scales)
        fractions[name] = _recall(runner, images, tracked)
    random = np.random.default_rng(seed)
    angle = random.uniform(0, 2 * np.pi, len(table))
    shift = 0.2 * 112 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    loose = moved_transforms(
        aligned,
        random.uniform(-0.5, 0.5, len(table)),
        np.exp(random.uniform(-0.25, 0.25, len(table))),
        shift,
    )
    fractions["placed as by a coarse detector"] = _recall(runner, table.images, loose)
    return fractions


def _recall(runner: BundleRunner, images: Iterable[Image], transforms: FloatArray) -> float:
    return float((face_probability(runner.predict(images, transforms)) > 0.5).mean())


def off_face_scores(runner: BundleRunner, table: FaceTable, seed: int = 6) -> FloatArray:
    """Returns face scores [N] of crops that miss the face."""
    transforms = background_transforms(aligned_transforms(table), seed)
    return face_probability(runner.predict(table.images, transforms))


def _motion_blur(image: Image, landmarks_xy: FloatArray, frame_px_per_crop_px: float) -> Image:
    length = max(3, round(12 * frame_px_per_crop_px))
    return np.asarray(cv2.blur(image, (length, 1)), np.uint8)


def _occlude_mouth(image: Image, landmarks_xy: FloatArray, frame_px_per_crop_px: float) -> Image:
    occluded = image.copy()
    mouth = landmarks_xy[48:68].mean(axis=0)
    half = 17 * frame_px_per_crop_px
    skin = image[
        tuple(np.clip(landmarks_xy[30, ::-1], 0, np.array(image.shape[:2]) - 1).astype(int))
    ].tolist()
    center = (int(mouth[0]), int(mouth[1] + 0.3 * half))
    return np.asarray(
        cv2.ellipse(occluded, center, (int(1.7 * half), int(half)), 20, 0, 360, skin, -1), np.uint8
    )


def _hide_side(image: Image, landmarks_xy: FloatArray, frame_px_per_crop_px: float) -> Image:
    hidden = image.copy()
    hidden[:, : max(0, int(landmarks_xy[36:42, 0].mean()))] = 0
    return np.asarray(hidden, np.uint8)


_CORRUPTIONS: Final[dict[str, Callable[[Image, FloatArray, float], Image]]] = {
    "moved as in tracking": lambda image, landmarks_xy, scale: image,
    "motion blur over a third of the eye distance": _motion_blur,
    "mouth covered": _occlude_mouth,
    "one side outside the frame": _hide_side,
}
