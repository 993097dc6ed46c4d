"""One row per frame or image: where its crop lies and what is known of the face. Every reader gives
this table.

Rows hold labels and paths, no pixels; a table of all of Aff-Wild2 (2.8 million frames) fits into
half a gigabyte. What belongs to a whole video (name, source, group, split by task, media file)
is kept once a video. Still images are videos of one frame. A group is what must not be divided
between training and validation: a person where the set names people, else the source video, else
the image.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
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
"""The split of a video for a task; "" where the set gives none."""

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class FrameTable:
    """N rows of V videos. Values are 0 where their mask is off, so that no loss meets a code of an
    absent label.
    """

    root: Path  # paths are relative to it
    videos: tuple[str, ...]  # [V] names, unique
    sources: tuple[str, ...]  # [V] name of the data set
    groups: tuple[str, ...]  # [V]
    media: tuple[str, ...]  # [V] file with the audio, relative to the root; "" where there is none
    splits: NDArray[np.int8]  # [V, 3] by task, index in SPLITS
    video: NDArray[np.int32]  # [N] index in videos
    frame: NDArray[np.int32]  # [N] the set's own number of the frame
    path: pa.StringArray  # [N] image relative to the root; null where there is none
    au: NDArray[np.float32]  # [N, 12] 1 present, 0 absent
    au_mask: NDArray[np.bool_]  # [N, 12]
    expression: NDArray[np.int8]  # [N] class index
    expression_mask: NDArray[np.bool_]  # [N]
    va: NDArray[np.float32]  # [N, 2]
    va_mask: NDArray[np.bool_]  # [N]
    audio_offset_s: NDArray[
        np.float64
    ]  # [N] time of the frame in its video's audio; NaN where unknown
    au_intensity: NDArray[np.float32] | None = None  # [N, 12] 0..5, NaN where not annotated
    box: NDArray[np.float32] | None = (
        None  # [N, 4] face in the image: x1, y1, x2, y2; None if images are crops
    )
    landmarks_xy: NDArray[np.float32] | None = (
        None  # [N, 68, 2] pixels of the image, NaN where unknown
    )
    report: ScanReport = field(default_factory=lambda: ScanReport("", ""))
    cache_path: Path | None = None  # the cache's file of it

    def __post_init__(self) -> None:
        count, expected = len(self.video), _row_shapes()
        for name, shape in expected.items():
            value = getattr(self, name)
            if value is not None and value.shape != (count, *shape):
                raise ValueError(f"{name} must have shape {(count, *shape)}, got {value.shape}")
        if len(self.path) != count:
            raise ValueError(f"path must have {count} rows, got {len(self.path)}")
        lengths = {
            name: len(getattr(self, name)) for name in ("sources", "groups", "media", "splits")
        }
        if set(lengths.values()) != {len(self.videos)}:
            raise ValueError(f"there are {len(self.videos)} videos, but {lengths}")
        if len(set(self.videos)) != len(self.videos):
            raise ValueError("two videos of a table have the same name")

    def __len__(self) -> int:
        return len(self.video)

    @property
    def masks(self) -> NDArray[np.bool_]:
        """Whether a row has a label of each task [N, 3], AU where any of the twelve is known."""
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
        """Rows with a label of the task, of one split or of all, and with an image unless
        `need_crop` is off.
        """
        chosen = self.labeled(task).copy()
        if need_crop:
            chosen &= self.has_crop
        if split is not None:
            chosen &= self.in_split(task, split)
        return np.flatnonzero(chosen)

    def path_of(self, row: int) -> Path | None:
        """The image of a row, or None."""
        name = self.path[int(row)].as_py()
        return None if name is None else self.root / name

    def media_of(self, row: int) -> Path | None:
        """The file with the audio of a row's video, or None."""
        name = self.media[self.video[row]]
        return self.root / name if name else None

    def select(self, rows: Rows | NDArray[np.bool_]) -> FrameTable:
        """The same, of some rows; videos without a row are left out."""
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
    aus = len(AU_NAMES)
    return {
        "video": (), "frame": (), "au": (aus,), "au_mask": (aus,), "expression": (), "expression_mask": (), "va": (2,),
        "va_mask": (), "audio_offset_s": (), "au_intensity": (aus,), "box": (4,), "landmarks_xy": (LANDMARK_COUNT, 2),
    }  # fmt: skip


def empty_labels(count: int) -> dict[str, NDArray[Any]]:
    """The row columns of `count` rows without any label, to be filled in by a reader."""
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
    """Several sources as one table: paths become absolute, videos are renamed `source/video`.

    What only some of them have (boxes, landmarks, intensities) is NaN for the others.
    """
    if not tables:
        raise ValueError("no table to join")
    columns: dict[str, Any] = {}
    for name, shape in _row_shapes().items():
        parts = [getattr(table, name) for table in tables]
        if all(part is None for part in parts):
            columns[name] = None
            continue
        filled = [
            np.full((len(t), *shape), np.nan, np.float32) if p is None else p
            for t, p in zip(tables, parts, strict=True)
        ]
        columns[name] = np.concatenate(filled)
    first = np.cumsum([0, *(len(table.videos) for table in tables)])
    columns["video"] = np.concatenate(
        [t.video + np.int32(k) for t, k in zip(tables, first, strict=False)]
    ).astype(np.int32)
    report = ScanReport(
        " + ".join(t.report.source for t in tables), ", ".join(t.report.root for t in tables)
    )
    for table in tables:
        for what, number in table.report.found.items():
            report.count(f"{table.report.source}: {what}", number)
    return FrameTable(
        root=Path("/"),
        videos=tuple(f"{s}/{v}" for t in tables for s, v in zip(t.sources, t.videos, strict=True)),
        sources=tuple(s for t in tables for s in t.sources),
        groups=tuple(f"{s}/{g}" for t in tables for s, g in zip(t.sources, t.groups, strict=True)),
        media=tuple(str((t.root / m).resolve()) if m else "" for t in tables for m in t.media),
        splits=np.concatenate([t.splits for t in tables]),
        path=pa.chunked_array([_absolute(t) for t in tables]).combine_chunks().cast(pa.string()),
        report=report,
        **columns,
    )


def _absolute(table: FrameTable) -> pa.StringArray:
    import pyarrow.compute as pc

    root = str(table.root.resolve())
    return pc.binary_join_element_wise(root, table.path, "/")


def check_classes(table: FrameTable) -> None:
    """Raise where a labeled expression is none of our classes: a reader's mistake, found before
    training does.
    """
    classes = table.expression[table.expression_mask]
    if len(classes) and not (classes.min() >= 0 and classes.max() < len(EXPRESSION_NAMES)):
        raise ValueError(
            f"expressions must be 0 to {len(EXPRESSION_NAMES) - 1}, got {classes.min()} to {classes.max()}"
        )
