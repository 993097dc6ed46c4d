"""Synthetic frame results."""

from __future__ import annotations

import numpy as np

from faceaffect.segments.frame_result import FrameResult
from faceaffect.types import Affect, Faces


def result(index: int, *faces: tuple[int, float], fps: float = 25.0) -> FrameResult:
    """Return a frame with faces (track id, left edge), 100 px wide, with distinct scores."""
    count = len(faces)
    left = np.array([x for _, x in faces], np.float32)
    row = np.arange(count, dtype=np.float32) + index
    return FrameResult(
        index,
        index / fps,
        0.001 * index,
        Faces(
            np.stack([left, 0 * left, left + 100, 0 * left + 100], axis=1),
            np.tile(row[:, None, None], (1, 68, 2)),
            np.array([key for key, _ in faces], np.int64),
            row / 1000,
            row / 2000,
            np.tile(row[:, None], (1, 3)),
        ),
        Affect(
            np.tile(row[:, None] / 3000, (1, 12)),
            np.tile(row[:, None] % 2 == 0, (1, 12)),
            np.full((count, 7), 1 / 7, np.float32),
            row / 4000,
            -row / 4000,
        ),
    )
