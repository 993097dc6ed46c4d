"""Table of frames with labels and image paths, the common output of the dataset readers.

Rows have labels and paths but no pixels; a table of all of Aff-Wild2 (2.8 million frames) takes
half a gigabyte. Values of a video (name, source, group, split by task, media file) are stored once
per video. Still images are videos of one frame. A group must not be divided between training and
validation: it is a person if the dataset names people, else the source video, else the image.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES, LANDMARK_COUNT
from training.datasets.scan_report import ScanReport

Task = Literal["AU", "EXPR", "VA"]
TASKS: Final[tuple[Task, ...]] = ("AU", "EXPR", "VA")
SPLITS: Final = ("", "train", "validation", "test")
"""Splits of a video for a task; "" if the dataset defines none."""

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class FrameTable:
    """N rows of V videos. Masked values are 0, so no loss sees the code of an absent label."""

    root: Path  # base of the relative paths
    videos: tuple[str, ...]  # [V] names, unique
    sources: tuple[str, ...]  # [V] dataset name
    groups: tuple[str, ...]  # [V]
    media: tuple[str, ...]  # [V] file with the audio, relative to the root; "" for none
    splits: NDArray[np.int8]  # [V, 3] by task, index in SPLITS
    video: NDArray[np.int32]  # [N] index in videos
    frame: NDArray[np.int32]  # [N] frame number of the dataset
    path: pa.StringArray  # [N] image relative to the root; null for none
    au: NDArray[np.float32]  # [N, 12] 1 present, 0 absent
    au_mask: NDArray[np.bool_]  # [N, 12]
    expression: NDArray[np.int8]  # [N] class index
    expression_mask: NDArray[np.bool_]  # [N]
    va: NDArray[np.float32]  # [N, 2]
    va_mask: NDArray[np.bool_]  # [N]
    audio_offset_s: NDArray[np.float64]  # [N] frame time in the video's audio; NaN if unknown
    au_intensity: NDArray[np.float32] | None = None  # [N, 12] 0..5, NaN if not annotated
    # [N, 4] face box x1, y1, x2, y2 in the image; None if the images are crops
    box: NDArray[np.float32] | None = None
    # [N, 68, 2] pixels of the image, NaN if unknown
    landmarks_xy: NDArray[np.float32] | None = None
    report: ScanReport = field(default_factory=lambda: ScanReport("", ""))
    cache_path: Path | None = None  # file of the table in the cache

    def __post_init__(self) -> None:
        count = len(self.video)
        for name, shape in _row_shapes().items():
            value = getattr(self, name)
            if value is not None and value.shape != (count, *shape):
                raise ValueError(f"{name} must have shape {(count, *shape)}, got {value.shape}")
        if len(self.path) != count:
            raise ValueError(f"path must have {count} rows, got {len(self.path)}")
        lengths = {
            name: len(getattr(self, name)) for name in ("sources", "groups", "media", "splits")
        }
        if set(lengths.values()) != {len(self.videos)}:
            raise ValueError(
                f"expected one value for each of {len(self.videos)} videos, got {lengths}"
            )
        if len(set(self.videos)) != len(self.videos):
            raise ValueError("video names must be unique")

    def __len__(self) -> int:
        return len(self.video)

    @property
    def masks(self) -> NDArray[np.bool_]:
        """Whether a row has a label of each task [N, 3]; AU if any of the twelve is labeled."""
        return np.stack([self.au_mask.any(axis=1), self.expression_mask, self.va_mask], axis=1)

    @property
    def has_crop(self) -> NDArray[np.bool_]:
        """Whether a row has an image [N]."""
        return np.asarray(self.path.is_valid().to_numpy(zero_copy_only=False), bool)

    def labeled(self, task: Task) -> NDArray[np.bool_]:
        """Whether a row has a label of the task [N]."""
        if task == "AU":
            return np.asarray(self.au_mask.any(axis=1))
        return self.expression_mask if task == "EXPR" else self.va_mask

    def in_split(self, task: Task, split: str) -> NDArray[np.bool_]:
        """Whether a row's video is in the split of that task [N]."""
        return np.asarray((self.splits[:, TASKS.index(task)] == SPLITS.index(split))[self.video])

    def rows(self, task: Task, split: str | None = None, *, need_crop: bool = True) -> Rows:
        """Rows with a label of the task and, by default, an image; of one split or all."""
        is_selected = self.labeled(task).copy()
        if need_crop:
            is_selected &= self.has_crop
        if split is not None:
            is_selected &= self.in_split(task, split)
        return np.flatnonzero(is_selected)

    def path_of(self, row: int) -> Path | None:
        """Image path of a row, or None."""
        name = self.path[int(row)].as_py()
        return None if name is None else self.root / name

    def media_of(self, row: int) -> Path | None:
        """File with the audio of a row's video, or None."""
        name = self.media[self.video[row]]
        return self.root / name if name else None

    def keep_labels(self, keep: NDArray[np.bool_]) -> FrameTable:
        """The table with the labels of a task only where `keep` [N, 3] (or [3]) is true."""
        au, expression, va = np.moveaxis(np.broadcast_to(keep, (len(self), len(TASKS))), 1, 0)
        au_mask = self.au_mask & au[:, None]
        expression_mask, va_mask = self.expression_mask & expression, self.va_mask & va
        return replace(
            self,
            au=np.where(au_mask, self.au, 0).astype(np.float32),
            au_mask=au_mask,
            expression=np.where(expression_mask, self.expression, 0).astype(np.int8),
            expression_mask=expression_mask,
            va=np.where(va_mask[:, None], self.va, 0).astype(np.float32),
            va_mask=va_mask,
        )

    def select(self, rows: Rows | NDArray[np.bool_]) -> FrameTable:
        """The table of some rows; videos without rows are dropped."""
        rows = np.flatnonzero(rows) if rows.dtype == bool else np.asarray(rows, np.int64)
        kept, video = np.unique(self.video[rows], return_inverse=True)
        arrays: dict[str, Any] = {
            name: None if getattr(self, name) is None else getattr(self, name)[rows]
            for name in _row_shapes()
        }
        arrays["video"] = video.astype(np.int32)
        for name in ("videos", "sources", "groups", "media"):
            values = getattr(self, name)
            arrays[name] = tuple(values[k] for k in kept)
        return replace(
            self, splits=self.splits[kept], path=self.path.take(pa.array(rows)), **arrays
        )


def _row_shapes() -> dict[str, tuple[int, ...]]:
    """Shape of one row of each column, without `path`."""
    return {
        "video": (),
        "frame": (),
        "au": (len(AU_NAMES),),
        "au_mask": (len(AU_NAMES),),
        "expression": (),
        "expression_mask": (),
        "va": (2,),
        "va_mask": (),
        "audio_offset_s": (),
        "au_intensity": (len(AU_NAMES),),
        "box": (4,),
        "landmarks_xy": (LANDMARK_COUNT, 2),
    }


def empty_labels(count: int) -> dict[str, NDArray[Any]]:
    """Label columns of `count` unlabeled rows, to be filled in by a reader."""
    return {
        "au": np.zeros((count, len(AU_NAMES)), np.float32),
        "au_mask": np.zeros((count, len(AU_NAMES)), bool),
        "expression": np.zeros(count, np.int8),
        "expression_mask": np.zeros(count, bool),
        "va": np.zeros((count, 2), np.float32),
        "va_mask": np.zeros(count, bool),
        "audio_offset_s": np.full(count, np.nan),
    }


def concat_tables(tables: list[FrameTable]) -> FrameTable:
    """Concatenate tables of different videos; paths become absolute.

    Boxes and landmarks that only some of them have are left out; intensities are NaN where unknown.
    """
    if any(table.au_intensity is not None for table in tables):
        tables = [_with_intensities(table) for table in tables]
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(table, name) for table in tables])
        for name in ("splits", *_row_shapes())
        if all(getattr(table, name) is not None for table in tables)
    }
    first = np.cumsum([0, *(len(table.videos) for table in tables)])
    columns["video"] = columns["video"] + np.repeat(first[:-1], [len(t) for t in tables]).astype(
        np.int32
    )
    for name in ("videos", "sources", "groups"):
        columns[name] = tuple(chain.from_iterable(getattr(table, name) for table in tables))
    return FrameTable(
        root=Path("/"),
        media=tuple(str((t.root / m).resolve()) if m else "" for t in tables for m in t.media),
        path=pa.array(chain.from_iterable(map(absolute_paths, tables)), pa.string()),
        **columns,
    )


def _with_intensities(table: FrameTable) -> FrameTable:
    if table.au_intensity is not None:
        return table
    return replace(table, au_intensity=np.full(table.au.shape, np.nan, np.float32))


def absolute_paths(table: FrameTable) -> list[str | None]:
    """Absolute path of each row's image, None for none."""
    root = table.root.resolve()
    return [None if name is None else os.path.join(root, name) for name in table.path.to_pylist()]


def check_classes(table: FrameTable) -> None:
    """Raise ValueError for an expression label out of range, which is a bug of a reader."""
    classes = table.expression[table.expression_mask]
    if len(classes) and not (classes.min() >= 0 and classes.max() < len(EXPRESSION_NAMES)):
        raise ValueError(
            f"expected expressions 0 to {len(EXPRESSION_NAMES) - 1}, got {classes.min()} to "
            f"{classes.max()}"
        )
