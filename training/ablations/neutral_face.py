"""Outlierness of a person's neutral face: brow height and mouth corner height, by landmarks."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES
from training.ablations.full_ground_truth import FullGroundTruth

_MAX_NEUTRAL_INTENSITY: Final = 0.1  # AU intensity up to which a frame is neutral
_BROW_AUS: Final = ("AU1", "AU2", "AU4")
_MOUTH_AUS: Final = ("AU10", "AU12", "AU15", "AU23", "AU24", "AU26")


def neutral_face_measures(landmarks_xy: NDArray[np.float32]) -> NDArray[np.float64]:
    """Height of the brows above the eyes and of the mouth corners above the mouth center.

    Args:
        landmarks_xy: [N, 68, 2].

    Returns:
        [N, 2], in nose lengths.
    """
    nose = np.linalg.norm(landmarks_xy[:, 27] - landmarks_xy[:, 33], axis=1).clip(min=1e-6)
    brows = landmarks_xy[:, 36:48, 1].mean(axis=1) - landmarks_xy[:, 17:27, 1].mean(axis=1)
    corners = landmarks_xy[:, [51, 57], 1].mean(axis=1) - landmarks_xy[:, [48, 54], 1].mean(axis=1)
    return np.stack([brows / nose, corners / nose], axis=1).astype(np.float64)


def neutral_face_outlierness(truth: FullGroundTruth) -> dict[str, float]:
    """Distance of each video's neutral face from the median: the larger robust z-score of the two
    measures.

    A measure is the median over the video's neutral frames (those of the lowest decile of
    intensity if none is neutral). The deviation is 1.4826 times the median absolute deviation.
    """
    measures = neutral_face_measures(truth.landmarks_xy)
    intensity = [
        truth.intensity[:, [AU_NAMES.index(au) for au in aus]].max(axis=1)
        for aus in (_BROW_AUS, _MOUTH_AUS)
    ]
    neutral = np.full((len(truth.table.videos), 2), np.nan)
    for video in range(len(neutral)):
        rows = np.flatnonzero(truth.table.video == video)
        for k in range(2):
            threshold = max(_MAX_NEUTRAL_INTENSITY, float(np.quantile(intensity[k][rows], 0.1)))
            neutral[video, k] = np.median(measures[rows[intensity[k][rows] <= threshold], k])
    median = np.median(neutral, axis=0)
    spread = np.median(np.abs(neutral - median), axis=0) * 1.4826
    distance = np.abs(neutral - median) / np.where(spread > 0, spread, 1)
    return dict(zip(truth.table.videos, distance.max(axis=1).tolist(), strict=True))
