"""Data set of the methods: tables of both splits, images in one memory-mapped array, audio as mel
tracks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from faceaffect.geometry import TEMPLATE_SIZE_PX
from training.audio.mel_track import MelTracks
from training.datasets.crop_landmarks import with_landmarks
from training.datasets.frame_table import (
    SPLITS,
    TASKS,
    FrameTable,
    Task,
    absolute_paths,
    concat_tables,
)
from training.datasets.image_store import ImageStore, build_store, concat_stores
from training.datasets.readers import load_cached
from training.datasets.splits import Fold, training_view, with_fold
from training.datasets.table_cache import DEFAULT_CACHE
from training.methods.external_data import DataSource, open_training_rows

_CACHED_TRACKS = 512


@dataclass(frozen=True, slots=True)
class InputNeeds:
    """Size of a network's images, and whether it or its losses need audio and landmarks."""

    size_px: int
    audio: bool = False
    landmarks: bool = False

    @property
    def stored_px(self) -> int:
        """Size of the stored images: at most that of crops."""
        return min(self.size_px, TEMPLATE_SIZE_PX)


@dataclass(frozen=True)
class MethodData:
    """`train` holds the rows to train on, `validation` every row of the held-out videos, with or
    without a crop.
    """

    train: FrameTable
    validation: FrameTable
    images: ImageStore
    tracks: MelTracks | None = None


def open_method_data(
    folder: Path,
    size_px: int,
    audio: bool,
    cache: Path | None = None,
    *,
    landmarks: bool = False,
    tasks: Sequence[Task] = TASKS,
    progress: bool = True,
    evaluation_only: bool = False,
    timing: bool = False,
    more: Sequence[DataSource] = (),
    fold: Fold | None = None,
    other: bool = False,
) -> MethodData:
    """Open a data set in the layout of Aff-Wild2, such as RenderWild (synthetic videos).

    Images are stored at `size_px`, at most the 112 px of crops. `landmarks` detects those of
    every crop (for M4 and M5). A set for `evaluation_only` may have no training frame. With audio,
    or with `timing`, the frames' times are read. Tables, images, landmarks and mel power are
    computed once and kept in `cache`. Training rows of `more` data sets are added;
    `fold` replaces the official split into training and validation videos. `other` keeps the
    expression Other of ABAW3 and later as class 7.

    Raises:
        FileNotFoundError, BrokenDatasetError: as the reader of the data set.
        ValueError: no image, or no training frame.
    """
    cache = cache or DEFAULT_CACHE
    inputs = InputNeeds(size_px, audio, landmarks)
    table, images, tracks = _open_table(folder, inputs, cache, progress, timing, other=other)
    if fold is not None:
        table = with_fold(table, fold)
    train = training_view(table, tasks)
    if not evaluation_only and not train.masks.any():
        raise ValueError(
            f"{folder} has no training frame (Train_Set, with a crop) labeled for "
            f"{', '.join(tasks)}"
        )
    validation = validation_view(table, tasks)
    for source in more:
        rows, their_images = open_training_rows(
            source, inputs.stored_px, tasks, cache, landmarks=landmarks, progress=progress
        )
        train, images = concat_tables([train, rows]), concat_stores([images, their_images])
    return MethodData(train, validation, images, tracks)


def open_rows(
    folder: Path,
    inputs: InputNeeds,
    cache: Path | None = None,
    *,
    annotations: str | None = None,
    progress: bool = True,
) -> MethodData:
    """All rows of all splits, with or without labels, as both tables: for predictions."""
    table, images, tracks = _open_table(
        folder, inputs, cache or DEFAULT_CACHE, progress, False, annotations
    )
    return MethodData(table, table, images, tracks)


def _open_table(
    folder: Path,
    inputs: InputNeeds,
    cache: Path,
    progress: bool,
    timing: bool,
    annotations: str | None = None,
    other: bool = False,
) -> tuple[FrameTable, ImageStore, MelTracks | None]:
    """The table of a folder, its images and its audio, if needed."""
    table = load_cached(
        "affwild2",
        folder,
        cache=cache,
        progress=progress,
        timing=inputs.audio or timing,
        annotations=annotations,
        other=other,
    )
    images, broken = build_store(table, inputs.stored_px, cache / "images", progress)
    if inputs.landmarks:
        images = with_landmarks(images, table, cache / "images", progress)
    if broken:
        table.report.note(
            f"{len(broken)} images cannot be read and count as missing, such as {broken[0]}"
        )
        table = without_images(table, broken)
    tracks = MelTracks(max_cached=_CACHED_TRACKS, folder=cache / "mel") if inputs.audio else None
    return table, images, tracks


def validation_view(table: FrameTable, tasks: Sequence[Task]) -> FrameTable:
    """All rows of validation videos of any of `tasks`; labels of other tasks and splits are masked
    out.
    """
    held = table.splits == SPLITS.index("validation")
    for k, task in enumerate(TASKS):
        held[:, k] &= task in tasks
    view = table.select(held.any(axis=1)[table.video])
    on = (view.splits == SPLITS.index("validation"))[view.video] & [task in tasks for task in TASKS]
    return view.keep_labels(on)


def without_images(table: FrameTable, paths: Sequence[str]) -> FrameTable:
    """The table without the images at `paths`; rows are kept."""
    removed = set(paths)
    pairs: list[tuple[str | None, Any]] = list(
        zip(absolute_paths(table), table.path.to_pylist(), strict=True)
    )
    return replace(
        table,
        path=pa.array([None if path in removed else name for path, name in pairs], pa.string()),
    )
