"""Rendered faces as a table: AU, landmark and pose truth is exact; format of `training.synthesis`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.datasets.face_table import FaceTable, empty_targets

VALIDATION_SHARE = 0.1


def load_rendered(folder: Path) -> tuple[FaceTable, NDArray[np.bool_], dict[str, NDArray[np.generic]]]:
    """The table of all shards, which faces are validation [N] (a tenth of the identities), and further columns."""
    shards = sorted(folder.glob("faces_*.npz"))
    if not shards:
        raise FileNotFoundError(
            f"rendered faces must be faces_*.npz in {folder}, none found; make them with training.synthesis"
        )
    parts: dict[str, list[NDArray[np.generic]]] = {}
    for shard in shards:
        with np.load(shard, allow_pickle=False) as arrays:
            for name in ("image", "au_intensity", "au_present", "landmarks_xy", "pose_deg", "identity", "rig", "occluded"):
                parts.setdefault(name, []).append(arrays[name])
    columns = {name: np.concatenate(values) for name, values in parts.items()}
    count = len(columns["image"])
    targets = empty_targets(count)
    targets["landmarks_xy"] = columns["landmarks_xy"].astype(np.float32)
    targets["landmark_weight"][:] = 0.5
    targets["pose_deg"] = columns["pose_deg"].astype(np.float32)
    targets["pose_weight"][:] = 1
    targets["au"] = columns["au_present"].astype(np.float32)
    targets["au_weight"][:] = 1
    # The second rig has no separate AU23: its absence there says nothing.
    targets["au_weight"][columns["rig"] == 1, 8] = 0
    table = FaceTable(name="renders", pictures=columns["image"].astype(np.uint8), **targets)
    held_out = (columns["identity"].astype(np.int64) * 2654435761 % 1000) < VALIDATION_SHARE * 1000
    return table, held_out, columns
