"""Training rows of further data sets, joined to those of Aff-Wild2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import pyarrow as pa

from training.datasets.crop_landmarks import with_landmarks
from training.datasets.ferplus import clear_majority, read_ferplus
from training.datasets.ferplus_csv import read_ferplus_csv
from training.datasets.frame_table import SPLITS, FrameTable, Task
from training.datasets.image_store import ImageStore, build_store
from training.datasets.readers import READERS, load_cached
from training.datasets.splits import training_view
from training.datasets.table_builder import Row, TableBuilder

FERPLUS: Final = "ferplus"
KINDS: Final = (*READERS, FERPLUS)


@dataclass(frozen=True, slots=True)
class DataSource:
    """A data set: its kind, one of `KINDS`, and its folder."""

    kind: str
    folder: Path

    @classmethod
    def parse(cls, text: str) -> DataSource:
        """KIND:FOLDER, or FOLDER for affwild2."""
        kind, colon, folder = text.partition(":")
        if not colon or (kind not in KINDS and Path(text).exists()):
            kind, folder = "affwild2", text
        if kind not in KINDS:
            raise ValueError(f"expected KIND:FOLDER with a kind of {', '.join(KINDS)}, got {text}")
        return cls(kind, Path(folder))


def open_training_rows(
    source: DataSource,
    size_px: int,
    tasks: Sequence[Task],
    cache: Path,
    *,
    landmarks: bool = False,
    progress: bool = True,
) -> tuple[FrameTable, ImageStore]:
    """Training rows of a data set with labels of `tasks`, and their images.

    Videos and images without a split count as training ones. Several faces of one image are told
    apart by their row.

    Raises:
        ValueError: there is no training row labeled for any of `tasks`.
    """
    if source.kind == FERPLUS:
        table, images = _open_ferplus(source.folder, size_px, progress)
    else:
        table = load_cached(source.kind, source.folder, cache=cache, progress=progress)
        images, broken = build_store(table, size_px, cache / "images", progress)
        if landmarks:
            images = with_landmarks(images, table, cache / "images", progress)
        table, images = _unique_paths(table, images, set(broken))
    splits = np.where(table.splits == SPLITS.index(""), SPLITS.index("train"), table.splits)
    train = training_view(replace(table, splits=splits.astype(np.int8)), tasks)
    train = _own_names(source, train.select(np.flatnonzero(train.masks.any(axis=1))))
    if not len(train):
        raise ValueError(
            f"{source.folder} ({source.kind}) has no training row labeled for {', '.join(tasks)}; "
            "leave it out"
        )
    return train, images


def _own_names(source: DataSource, table: FrameTable) -> FrameTable:
    """Names of videos and groups after their folder's: BP4D and BP4D+ share those of sessions."""
    folder = source.folder.resolve()
    return replace(
        table,
        videos=tuple(f"{folder}/{name}" for name in table.videos),
        groups=tuple(f"{folder}/{name}" for name in table.groups),
    )


def _unique_paths(
    table: FrameTable, images: ImageStore, broken: set[str]
) -> tuple[FrameTable, ImageStore]:
    """The same with a name for each row in place of paths that rows may share."""
    names: list[str | None] = [None] * len(table)
    stored = []
    for row, path in zip(np.flatnonzero(table.has_crop), images.paths, strict=True):
        stored.append(f"{path}#{row}")
        if path not in broken:
            names[row] = stored[-1]
    return (
        replace(table, root=Path("/"), path=pa.array(names, pa.string()), box=None),
        ImageStore(stored, images.array, images.points),
    )


def _open_ferplus(folder: Path, size_px: int, progress: bool) -> tuple[FrameTable, ImageStore]:
    """The images that most annotators agree on, enlarged to `size_px` in memory."""
    is_compact = (folder / "labels.csv").is_file()
    faces = read_ferplus(folder) if is_compact else read_ferplus_csv(folder, progress=progress)
    expression = clear_majority(faces.votes)
    builder = TableBuilder("FER+", folder)
    kept = np.flatnonzero((expression >= 0) & (faces.usage == "Training"))
    for row in kept:
        name = f"/ferplus/{row}"
        video = builder.add_video(name, group=name, split="train")
        builder.add(video, Row(0, name, expression=int(expression[row])))
    images = np.stack([cv2.resize(faces.images[row], (size_px, size_px)) for row in kept]).astype(
        np.uint8
    )
    store = ImageStore([f"/ferplus/{row}" for row in kept], np.repeat(images[..., None], 3, axis=3))
    return builder.build(), store
