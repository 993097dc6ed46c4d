"""How odd a face lies at rest: brows and corners of the mouth, by landmarks of frames where they do
not move.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES
from training.ablations.full_ground_truth import FullGroundTruth

_STILL: Final = 0.1  # intensity below which a unit counts as absent
_BROW_UNITS: Final = ("AU1", "AU2", "AU4")
_MOUTH_UNITS: Final = ("AU10", "AU12", "AU15", "AU23", "AU24", "AU26")


def resting_measures(landmarks_xy: NDArray[np.float32]) -> NDArray[np.float64]:
    """Of [N, 68, 2]: height of the brows over the eyes and of the mouth's corners over its middle
    [N, 2], in nose lengths.
    """
    nose = np.linalg.norm(landmarks_xy[:, 27] - landmarks_xy[:, 33], axis=1).clip(min=1e-6)
    brows = landmarks_xy[:, 36:48, 1].mean(axis=1) - landmarks_xy[:, 17:27, 1].mean(axis=1)
    corners = landmarks_xy[:, [51, 57], 1].mean(axis=1) - landmarks_xy[:, [48, 54], 1].mean(axis=1)
    return np.stack([brows / nose, corners / nose], axis=1).astype(np.float64)


def neutral_face_outlierness(truth: FullGroundTruth) -> dict[str, float]:
    """By video: the larger distance of the two measures from the median person, in deviations of
    persons.

    A measure is the median over the video's calm frames (the calmest tenth where none is calm).
    """
    measures = resting_measures(truth.landmarks_xy)
    moved = [
        truth.intensity[:, [AU_NAMES.index(unit) for unit in units]].max(axis=1)
        for units in (_BROW_UNITS, _MOUTH_UNITS)
    ]
    at_rest = np.full((len(truth.table.videos), 2), np.nan)
    for video in range(len(at_rest)):
        rows = np.flatnonzero(truth.table.video == video)
        for k in range(2):
            limit = max(_STILL, float(np.quantile(moved[k][rows], 0.1)))
            at_rest[video, k] = np.median(measures[rows[moved[k][rows] <= limit], k])
    middle = np.median(at_rest, axis=0)
    spread = np.median(np.abs(at_rest - middle), axis=0) * 1.4826
    distance = np.abs(at_rest - middle) / np.where(spread > 0, spread, 1)
    return dict(zip(truth.table.videos, distance.max(axis=1).tolist(), strict=True))
