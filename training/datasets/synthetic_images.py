"""Synthetic images of `training.synthesis` as a face table, with exact AUs, landmarks and pose."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.datasets.face_table import FaceTable, empty_targets
from training.labeling.label_faces import teacher_path
from training.labeling.mediapipe_teacher import LANDMARKS_68
from training.synthesis.face_renderer import VALIDATION_STRIDE

AU_ABSENT_INTENSITY: Final = 0.15
AU_PRESENT_INTENSITY: Final = 0.45
"""Intensities between which the target of an AU rises from 0 to 1; 0.5 at 0.3, the AU's onset."""
# Corners of eyes and mouth, and tip of the nose: landmarks with the same definition everywhere.
_STABLE_LANDMARKS: Final = (36, 39, 42, 45, 30, 48, 54)
_MAX_TEACHER_DISTANCE: Final = 0.08  # mean distance to those of the mesh, in eye distances
# Jaw and brows of the mesh differ from the teacher's by a tenth of the eye distance and more.
_MESH_WEIGHT: Final = 0.0
_TEACHER_WEIGHT: Final = 0.7
_PRESENT: Final = 0.5
_COLUMNS: Final = (
    "image",
    "au_intensity",
    "au_present",
    "landmarks_xy",
    "pose_deg",
    "identity",
    "rig",
    "au_visible",
    "split",
)
SYNTHETIC_IMAGES: Final = "renders"
"""Name of the table."""

RIGS: Final = ("facs", "arkit")  # index: value of the column `rig` of a shard


SyntheticFaces = tuple[FaceTable, NDArray[np.bool_], dict[str, NDArray[np.generic]]]
"""Table of N faces, which of them are validation [N], and the columns of their shards."""


def load_synthetic_images(folder: Path) -> SyntheticFaces:
    """Table of all shards, which faces are validation [N], and the columns of the shards.

    Validation faces have identities that do not occur in training.
    """
    shards = sorted(folder.glob("faces_*.npz"))
    if not shards:
        raise FileNotFoundError(
            f"expected faces_*.npz in {folder}, got none; create them with training.synthesis"
        )
    parts: dict[str, list[NDArray[np.generic]]] = {}
    for shard in shards:
        with np.load(shard, allow_pickle=False) as arrays:
            for name in _COLUMNS:
                parts.setdefault(name, []).append(arrays[name])
        points, weight = _landmarks(shard, parts["landmarks_xy"][-1].astype(np.float32))
        parts.setdefault("target_xy", []).append(points)
        parts.setdefault("landmark_weight", []).append(weight)
    columns = {name: np.concatenate(values) for name, values in parts.items()}
    count = len(columns["image"])
    targets = empty_targets(count)
    targets["landmarks_xy"] = columns["target_xy"].astype(np.float32)
    targets["landmark_weight"] = columns["landmark_weight"].astype(np.float32)
    targets["pose_deg"] = columns["pose_deg"].astype(np.float32)
    targets["pose_weight"][:] = 1
    targets["au"] = au_target(columns["au_intensity"].astype(np.float32))
    # AUs that hair or a hand hides can be neither learned from the image nor evaluated on it.
    targets["au_weight"] = columns["au_visible"].astype(np.float32)
    table = FaceTable(name=SYNTHETIC_IMAGES, images=columns["image"].astype(np.uint8), **targets)
    return table, columns["split"] == 1, columns


def in_threshold_half(columns: dict[str, NDArray[np.generic]]) -> NDArray[np.bool_]:
    """Whether a face is of every other held-out identity [N].

    Those are for thresholds and calibration; the rest of the held-out faces is for evaluation.
    """
    return np.asarray(
        (columns["split"] == 1)
        & (columns["identity"].astype(np.int64) // VALIDATION_STRIDE % 2 == 0)
    )


def au_target(intensity: NDArray[np.float32]) -> NDArray[np.float32]:
    """Soft presence targets of AU intensities; ambiguous intensities are near 0.5."""
    ramp = (intensity - AU_ABSENT_INTENSITY) / (AU_PRESENT_INTENSITY - AU_ABSENT_INTENSITY)
    return np.asarray(np.clip(ramp, 0, 1), np.float32)


def _landmarks(
    shard: Path, truth: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Landmarks [n, 68, 2] and weights [n]: the teacher's if valid, else the mesh's."""
    points = truth.copy()
    weight = np.full(len(truth), _MESH_WEIGHT, np.float32)
    path = teacher_path(shard)
    if not path.exists():
        return points, weight
    with np.load(path, allow_pickle=False) as outputs:
        teacher_xy, presence = outputs["points_xyz"][:, LANDMARKS_68, :2], outputs["presence"]
    eyes = np.linalg.norm(truth[:, 36:42].mean(axis=1) - truth[:, 42:48].mean(axis=1), axis=1)
    stable = list(_STABLE_LANDMARKS)
    distance = np.linalg.norm(teacher_xy[:, stable] - truth[:, stable], axis=2).mean(
        axis=1
    ) / np.maximum(eyes, 1)
    is_valid = (presence > _PRESENT) & (distance < _MAX_TEACHER_DISTANCE)
    points[is_valid] = teacher_xy[is_valid]
    weight[is_valid] = _TEACHER_WEIGHT
    return points, weight
