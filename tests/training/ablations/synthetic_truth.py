"""Random FullGroundTruth for tests of scenarios; its image files do not exist."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from tests.training.datasets.synthetic_table import make_synthetic_table
from training.ablations.full_ground_truth import FullGroundTruth
from training.models.mean_shape import MEAN_SHAPE_PX

VIDEOS, FRAMES = 60, 20
VALIDATION = 12


def synthetic_truth(seed: int = 0) -> FullGroundTruth:
    """Create 60 videos of 20 frames, two per person; the last twelve are validation videos, and
    every fifth has mismatched audio.
    """
    rng = np.random.default_rng(seed)
    count = VIDEOS * FRAMES
    frames = {f"video{k}": list(range(1, FRAMES + 1)) for k in range(VIDEOS)}
    au = (rng.random((count, 12)) < 0.3).astype(float)
    table = make_synthetic_table(
        frames,
        au=au.tolist(),
        expression=[None if rng.random() < 0.05 else int(rng.integers(7)) for _ in range(count)],
        va=[tuple(rng.uniform(-1, 1, 2)) for _ in range(count)],
    )
    is_train = np.arange(VIDEOS) < VIDEOS - VALIDATION
    table = replace(
        table,
        root=table.root,
        path=pa.array([f"/nowhere/{name}" for name in table.path.to_pylist()], pa.string()),
        groups=tuple(f"person {k // 2}" for k in range(VIDEOS)),
        splits=np.where(is_train, 1, 2)[:, None].repeat(3, axis=1).astype(np.int8),
    )
    known = rng.random((count, 3)) < 0.5
    official = replace(
        table,
        au_mask=table.au_mask & known[:, :1],
        au=table.au * known[:, :1],
        expression_mask=table.expression_mask & known[:, 1],
        expression=(table.expression * known[:, 1]).astype(np.int8),
        va_mask=table.va_mask & known[:, 2],
        va=table.va * known[:, 2:],
    )
    points = (MEAN_SHAPE_PX / 112)[None] + rng.normal(0, 0.003, (count, 68, 2))
    return FullGroundTruth(
        table=table,
        official=official,
        is_train=is_train[table.video],
        intensity=(au * 0.8).astype(np.float32),
        strength=rng.dirichlet(np.full(7, 0.3), count).astype(np.float32),
        landmarks_xy=points.astype(np.float32),
        is_occluded=np.zeros(count, bool),
        is_mismatched=(table.video % 5 == 0),
        size="people",
    )
