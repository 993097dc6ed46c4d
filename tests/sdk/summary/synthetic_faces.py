"""Rows with known bouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.sinks import open_sink
from faceaffect.types import Affect, Faces, FrameInfo

Bouts = Mapping[str, Sequence[tuple[int, int]]]
"""First and last frame of each bout of an AU."""


def write_clip(
    path: Path,
    source: str,
    frames: int,
    bouts: Bouts,
    *,
    fps: float = 25.0,
    track_id: int = 1,
    missing: Sequence[int] = (),
    valence: float = 0.5,
) -> Path:
    """Write a face in `frames` frames except `missing`; happy where AU12 is active."""
    with open_sink(path) as sink:
        sink.begin(source)
        for index in range(frames):
            on = np.array(
                [any(a <= index <= b for a, b in bouts.get(name, ())) for name in AU_NAMES]
            )
            count = 0 if index in missing else 1
            expression = np.zeros((count, 7), np.float32)
            name = "happiness" if on[AU_NAMES.index("AU12")] else "neutral"
            expression[:, EXPRESSION_NAMES.index(name)] = 1
            faces = Faces(
                np.full((count, 4), 9.0, np.float32),
                np.zeros((count, 68, 2), np.float32),
                np.full(count, track_id),
                np.full(count, 0.9, np.float32),
                np.full(count, 0.8, np.float32),
                np.tile(np.float32([10, 20, 30]), (count, 1)),
            )
            affect = Affect(
                np.tile(np.where(on, 0.9, 0.1).astype(np.float32), (count, 1)),
                np.tile(on, (count, 1)),
                expression,
                np.full(count, valence if index % 2 else -valence, np.float32),
                np.full(count, 0.25, np.float32),
            )
            sink.write(FrameInfo(source, index, index / fps), faces, affect)
        sink.end(source)
    return path
