"""Images of known actions on real skin (`training.real_skin`) as columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_COLUMNS: Final = ("image", "landmarks_xy", "unit", "level", "group", "person", "context")


def load_real_skin(folder: Path) -> dict[str, NDArray[Any]]:
    """Loads the columns of all shards.

    image [N, P, P, 3] uint8, landmarks_xy [N, 68, 2], unit [N] (index in
    `training.real_skin.unit_motions.UNITS`, or -1 at rest), level [N] (0 to 1), group [N],
    person [N] and context [N] (other units in the image, joined by +).
    """
    shards = sorted(folder.glob("actions_*.npz"))
    if not shards:
        raise FileNotFoundError(
            f"expected actions_*.npz in {folder}, got none; write them with training.real_skin"
        )
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in _COLUMNS}
    for shard in shards:
        with np.load(shard, allow_pickle=False) as stored:
            for name in _COLUMNS:
                parts[name].append(stored[name])
    return {name: np.concatenate(values) for name, values in parts.items()}
