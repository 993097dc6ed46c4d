"""Rendered faces as a table: AU, landmark and pose truth is exact; format of `training.synthesis`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.datasets.face_table import FaceTable, empty_targets
from training.labeling.label_faces import teacher_path
from training.labeling.mediapipe_teacher import LANDMARKS_68
from training.synthesis.face_renderer import VALIDATION_STRIDE

AU_SURELY_OFF: Final = 0.15
AU_SURELY_ON: Final = 0.45
"""Intensities between which the target of an AU rises from 0 to 1; a half at 0.3, where presence
begins.
"""
_SURE_POINTS: Final = (
    36,
    39,
    42,
    45,
    30,
    48,
    54,
)  # corners of eyes and mouth, tip of the nose: one definition everywhere
_TEACHER_AGREES: Final = 0.08  # mean distance of these to the mesh's own, in eye distances
# the mesh's jaw and brows lie elsewhere than the teacher's, by a tenth of the eye distance and more
_MESH_WEIGHT: Final = 0.0
_PRESENT: Final = 0.5
_COLUMNS: Final = (
    "image", "au_intensity", "au_present", "landmarks_xy", "pose_deg", "identity", "rig", "au_visible", "split",
)  # fmt: skip
RENDERS: Final = "renders"
"""Name of the table."""

RIGS: Final = ("facs", "arkit")  # the number that a shard's column `rig` holds


def load_rendered(
    folder: Path,
) -> tuple[FaceTable, NDArray[np.bool_], dict[str, NDArray[np.generic]]]:
    """The table of all shards, which faces are validation [N] (identities of their own), and
    further columns.
    """
    shards = sorted(folder.glob("faces_*.npz"))
    if not shards:
        raise FileNotFoundError(
            f"rendered faces must be faces_*.npz in {folder}, none found; make them with training.synthesis"
        )
    parts: dict[str, list[NDArray[np.generic]]] = {}
    for shard in shards:
        with np.load(shard, allow_pickle=False) as arrays:
            for name in _COLUMNS:
                parts.setdefault(name, []).append(arrays[name])
        points, weight = _landmarks(shard, parts["landmarks_xy"][-1].astype(np.float32))
        parts.setdefault("taught_xy", []).append(points)
        parts.setdefault("landmark_weight", []).append(weight)
    columns = {name: np.concatenate(values) for name, values in parts.items()}
    count = len(columns["image"])
    targets = empty_targets(count)
    targets["landmarks_xy"] = columns["taught_xy"].astype(np.float32)
    targets["landmark_weight"] = columns["landmark_weight"].astype(np.float32)
    targets["pose_deg"] = columns["pose_deg"].astype(np.float32)
    targets["pose_weight"][:] = 1
    targets["au"] = au_target(columns["au_intensity"].astype(np.float32))
    # What hair or a hand hides cannot be learned from the image, nor judged by it.
    targets["au_weight"] = columns["au_visible"].astype(np.float32)
    table = FaceTable(name=RENDERS, images=columns["image"].astype(np.uint8), **targets)
    return table, columns["split"] == 1, columns


def of_threshold_half(columns: dict[str, NDArray[np.generic]]) -> NDArray[np.bool_]:
    """Every other held-out identity [N]: those choose thresholds and calibrate, the rest give
    figures.
    """
    return np.asarray(
        (columns["split"] == 1)
        & (columns["identity"].astype(np.int64) // VALIDATION_STRIDE % 2 == 0)
    )


def au_target(intensity: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probability that a unit of this intensity is called present, so that what nobody can decide
    pulls at nothing.
    """
    return np.clip((intensity - AU_SURELY_OFF) / (AU_SURELY_ON - AU_SURELY_OFF), 0, 1).astype(
        np.float32
    )


def _landmarks(
    shard: Path, truth: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Points [n, 68, 2] and weights [n]: the landmark teacher's where it was asked and sees the
    face, else the mesh's.
    """
    points, weight = truth.copy(), np.full(len(truth), _MESH_WEIGHT, np.float32)
    path = teacher_path(shard)
    if not path.exists():
        return points, weight
    with np.load(path, allow_pickle=False) as answers:
        seen, presence = answers["points_xyz"][:, LANDMARKS_68, :2], answers["presence"]
    eyes = np.linalg.norm(truth[:, 36:42].mean(axis=1) - truth[:, 42:48].mean(axis=1), axis=1)
    sure = list(_SURE_POINTS)
    distance = np.linalg.norm(seen[:, sure] - truth[:, sure], axis=2).mean(axis=1) / np.maximum(
        eyes, 1
    )
    good = (presence > _PRESENT) & (distance < _TEACHER_AGREES)
    points[good], weight[good] = seen[good], 0.7
    return points, weight
