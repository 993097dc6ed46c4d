"""Frame tables from plain lists, for tests without files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from training.datasets.frame_table import SPLITS, FrameTable, empty_labels


def make_synthetic_table(
    frames: dict[str, list[int]],
    *,
    au: list[list[float] | None] | None = None,
    expression: list[int | None] | None = None,
    va: list[tuple[float, float] | None] | None = None,
    no_crop: tuple[int, ...] = (),
    intensity: np.ndarray | None = None,
    split: str = "train",
    root: Path = Path("/nowhere"),
) -> FrameTable:
    """A table of frame numbers by video; labels by row or None; rows in `no_crop` have no image."""
    count = sum(len(numbers) for numbers in frames.values())
    columns = empty_labels(count)
    for name, values in (("au", au), ("expression", expression), ("va", va)):
        for k, value in enumerate(values or ()):
            if value is not None:
                columns[name][k] = value
                columns[f"{name}_mask"][k] = True
    names = tuple(frames)
    video = np.repeat(np.arange(len(names), dtype=np.int32), [len(frames[n]) for n in names])
    frame = np.array([k for n in names for k in frames[n]], np.int32)
    paths = [
        None if k in no_crop else f"{names[video[k]]}/{frame[k]:05d}.png" for k in range(count)
    ]
    return FrameTable(
        root=root,
        videos=names,
        sources=("synthetic",) * len(names),
        groups=names,
        media=("",) * len(names),
        splits=np.full((len(names), 3), SPLITS.index(split), np.int8),
        video=video,
        frame=frame,
        path=pa.array(paths, pa.string()),
        au_intensity=intensity,
        **columns,
    )
