"""Stability and false alarms: still images under noise, crops shifted by a pixel, neutral faces."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from faceaffect import open_pipeline
from faceaffect.geometry import estimate_crop_to_frame, keypoints_from_landmarks
from faceaffect.kernels.activations import sigmoid, softmax
from faceaffect.labels import AU_NAMES
from faceaffect.types import FloatArray, Frame, PixelFormat
from training.datasets.ferplus import VOTE_NAMES
from training.datasets.real_faces import load_ferplus, load_webfaces
from training.evaluation.bundle_runner import BundleRunner
from training.evaluation.crop_jitter import aligned_transforms, moved_transforms

STILL_FRAMES: Final = 30
NOISE: Final = 0.01  # standard deviation, of full scale
NEUTRAL_VOTES: Final = 8  # of ten: the face is clearly neutral
_PIXEL_SHIFTS: Final = ((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0))


def stability_metrics(
    runner: BundleRunner, bundle: Path, shared: Path, labels: Path
) -> dict[str, Any]:
    """Measures flips on still images, one-pixel sensitivity, and neutral false alarms."""
    webfaces, held_out = load_webfaces(shared, labels)
    webfaces = webfaces.select(held_out)
    return {
        "still": count_flips_on_still_images(bundle, webfaces.images),
        "one_pixel": one_pixel_change(runner, webfaces.images, webfaces.landmarks_xy),
        "neutral": count_neutral_false_alarms(runner, shared, labels),
    }


def count_flips_on_still_images(
    bundle: Path, images: NDArray[np.uint8], seed: int = 11
) -> dict[str, float]:
    """Counts AU decisions that change between frames of images [N, P, P, 3] repeated with noise.

    Uses the complete pipeline with smoothing and tracking; the first second is excluded.
    """
    random = np.random.default_rng(seed)
    flips = 0
    decisions = 0
    tracked_images = 0
    flipped_images = 0
    with open_pipeline(bundle, max_faces=1) as pipeline:
        for image in images:
            pipeline.reset()
            rows = []
            for k in range(2 * STILL_FRAMES):
                noisy = image + random.normal(0, 255 * NOISE, image.shape)
                pixels = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
                affect = pipeline.analyze(
                    Frame(pixels, PixelFormat.RGB, index=k, time_s=k / STILL_FRAMES)
                )[1]
                if len(affect.au_active) == 1 and k >= STILL_FRAMES:
                    rows.append(affect.au_active[0])
            if len(rows) < 2:
                continue
            changes = int((np.diff(np.array(rows).astype(np.int8), axis=0) != 0).sum())
            tracked_images += 1
            flips += changes
            flipped_images += changes > 0
            decisions += (len(rows) - 1) * len(AU_NAMES)
    return {
        "images": tracked_images,
        "decisions": decisions,
        "flips": flips,
        "images_with_flips": flipped_images,
    }


def one_pixel_change(
    runner: BundleRunner, images: NDArray[np.uint8], landmarks_xy: FloatArray
) -> dict[str, float]:
    """Returns the mean absolute change of raw scores when the crop shifts by one pixel."""
    aligned = estimate_crop_to_frame(keypoints_from_landmarks(landmarks_xy))
    no_rotation = np.zeros(len(aligned))
    no_scaling = np.ones(len(aligned))
    reference = _scores(runner, images, aligned)
    changes = []
    for move in _PIXEL_SHIFTS:
        shift = np.tile(np.array(move), (len(aligned), 1))
        moved = moved_transforms(aligned, no_rotation, no_scaling, shift)
        changes.append(np.abs(_scores(runner, images, moved) - reference))
    change = np.stack(changes).mean(axis=(0, 1))
    au = len(AU_NAMES)
    return {
        "au": float(change[:au].mean()),
        "au_worst": float(change[:au].max()),
        "expression": float(change[au:-2].mean()),
        "valence": float(change[-2]),
        "arousal": float(change[-1]),
    }


def count_neutral_false_alarms(runner: BundleRunner, shared: Path, labels: Path) -> dict[str, Any]:
    """Returns the mean number of active AUs on PublicTest faces that are clearly neutral."""
    table, votes, usage = load_ferplus(shared, labels)
    rows = (usage == "PublicTest") & (votes[:, VOTE_NAMES.index("neutral")] >= NEUTRAL_VOTES)
    table = table.select(rows)
    on = runner.affect(runner.predict(table.images, aligned_transforms(table))).au_active
    return {
        "faces": len(table),
        "active_aus_per_face": float(on.sum(axis=1).mean()),
        "active_fraction": {name: float(on[:, k].mean()) for k, name in enumerate(AU_NAMES)},
    }


def _scores(runner: BundleRunner, images: NDArray[np.uint8], transforms: FloatArray) -> FloatArray:
    heads = runner.predict(images, transforms)
    parts = [
        sigmoid(heads["au_logit"]),
        softmax(heads["expression_logit"]),
        np.tanh(heads["va_raw"]),
    ]
    return np.concatenate(parts, axis=1)
