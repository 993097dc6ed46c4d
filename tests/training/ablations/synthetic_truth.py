"""A FullGroundTruth out of chance, for settings: no file is there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from tests.training.datasets.synthetic_table import make_synthetic_table
from training.ablations.full_ground_truth import FullGroundTruth
from training.models.mean_shape import MEAN_SHAPE_PX

VIDEOS, FRAMES = 60, 20
VALIDATION = 12


def made_up_truth(seed: int = 0) -> FullGroundTruth:
    """60 videos of 20 frames; the last twelve validate; two videos of each person; every fifth
    video is mismatched.
    """
    random, count = np.random.default_rng(seed), VIDEOS * FRAMES
    frames = {f"video{k}": list(range(1, FRAMES + 1)) for k in range(VIDEOS)}
    au = (random.random((count, 12)) < 0.3).astype(float)
    table = make_synthetic_table(
        frames,
        au=au.tolist(),
        expression=[
            None if random.random() < 0.05 else int(random.integers(7)) for _ in range(count)
        ],
        va=[tuple(random.uniform(-1, 1, 2)) for _ in range(count)],
    )
    is_train = np.arange(VIDEOS) < VIDEOS - VALIDATION
    table = replace(
        table,
        root=table.root,
        path=pa.array([f"/nowhere/{name}" for name in table.path.to_pylist()], pa.string()),
        groups=tuple(f"person {k // 2}" for k in range(VIDEOS)),
        splits=np.where(is_train, 1, 2)[:, None].repeat(3, axis=1).astype(np.int8),
    )
    known = random.random((count, 3)) < 0.5
    official = replace(
        table,
        au_mask=table.au_mask & known[:, :1],
        au=table.au * known[:, :1],
        expression_mask=table.expression_mask & known[:, 1],
        expression=(table.expression * known[:, 1]).astype(np.int8),
        va_mask=table.va_mask & known[:, 2],
        va=table.va * known[:, 2:],
    )
    points = (MEAN_SHAPE_PX / 112)[None] + random.normal(0, 0.003, (count, 68, 2))
    return FullGroundTruth(
        table=table,
        official=official,
        is_train=is_train[table.video],
        intensity=(au * 0.8).astype(np.float32),
        strength=random.dirichlet(np.full(7, 0.3), count).astype(np.float32),
        landmarks_xy=points.astype(np.float32),
        is_occluded=np.zeros(count, bool),
        is_mismatched=(table.video % 5 == 0),
        size="people",
    )
