"""A data set as the methods train on it: tables of both splits, images in one mapped array, audio
as mel tracks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from torch import Tensor

from faceaffect.geometry import TEMPLATE_SIZE_PX
from training.audio.mel_track import MelTracks
from training.datasets.crop_landmarks import with_landmarks
from training.datasets.frame_table import SPLITS, TASKS, FrameTable, Task
from training.datasets.image_store import ImageStore, absolute_paths, build_store
from training.datasets.readers import load_cached
from training.datasets.splits import training_view
from training.datasets.table_cache import DEFAULT_CACHE

Change = Callable[[dict[str, Tensor], NDArray[np.int64], np.random.Generator], dict[str, Tensor]]
"""(inputs by name, their rows, chance) -> inputs: images are RGB in 0..1, neither jittered nor
normalized yet.
"""

_MAX_CACHED_TRACKS = 512


@dataclass(frozen=True)
class MethodData:
    """`train` holds what may be trained on, `validation` every row of the held-out videos, those
    without a crop too.
    """

    train: FrameTable
    validation: FrameTable
    images: ImageStore
    tracks: MelTracks | None = None
    change: Change | None = None


def open_method_data(
    folder: Path, size_px: int, audio: bool, cache: Path | None = None, *,
    landmarks: bool = False, tasks: Sequence[Task] = TASKS, progress: bool = True, to_judge: bool = False,
    timing: bool = False,
) -> MethodData:  # fmt: skip
    """A data set in the layout of Aff-Wild2 (RenderWild's too).

    Images are kept at `size_px`, but not above the 112 px that crops have. `landmarks` finds
    those of every crop (M4's and M5's networks want them). A set `to_judge` by needs nothing to
    train on. With audio, or with `timing`, the frames' times are read. `cache` keeps tables,
    images, landmarks and mel power; they are made once.

    Raises:
        FileNotFoundError, BrokenDatasetError: as the reader of the data set.
        ValueError: there is no image, or nothing to train on.
    """
    cache = cache or DEFAULT_CACHE
    table = load_cached("affwild2", folder, cache=cache, progress=progress, timing=audio or timing)
    side = min(size_px, TEMPLATE_SIZE_PX)
    images, broken = build_store(table, side, cache / "images", progress)
    if landmarks:
        images = with_landmarks(images, table, cache / "images", progress)
    if broken:
        table.report.note(
            f"{len(broken)} images cannot be read and count as not there, such as {broken[0]}"
        )
        table = without_images(table, broken)
    train = training_view(table, tasks)
    if not to_judge and not train.masks.any():
        raise ValueError(
            f"{folder} holds no labeled frame of {', '.join(tasks)} that may be trained on (Train_Set, with a crop)"
        )
    tracks = MelTracks(max_cached=_MAX_CACHED_TRACKS, folder=cache / "mel") if audio else None
    return MethodData(train, validation_view(table, tasks), images, tracks)


def validation_view(table: FrameTable, tasks: Sequence[Task]) -> FrameTable:
    """All rows of videos that a task of `tasks` validates on; labels of other tasks and splits are
    off.
    """
    held = table.splits == SPLITS.index("validation")
    for k, task in enumerate(TASKS):
        held[:, k] &= task in tasks
    view = table.select(held.any(axis=1)[table.video])
    on = (view.splits == SPLITS.index("validation"))[view.video] & [task in tasks for task in TASKS]
    return replace(
        view,
        au_mask=view.au_mask & on[:, :1],
        expression_mask=view.expression_mask & on[:, 1],
        va_mask=view.va_mask & on[:, 2],
    )


def without_images(table: FrameTable, paths: Sequence[str]) -> FrameTable:
    """The table whose rows have lost some of their images."""
    lost = set(paths)
    pairs: list[tuple[str | None, Any]] = list(
        zip(absolute_paths(table), table.path.to_pylist(), strict=True)
    )
    return replace(
        table, path=pa.array([None if path in lost else name for path, name in pairs], pa.string())
    )
