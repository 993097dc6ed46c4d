"""Full ground truth of RenderWild: labels of all tasks, identity and landmarks of every crop.

RenderWild (synthetic videos in the layout of Aff-Wild2) annotates some tasks of some videos, as
Aff-Wild2 does. Scenarios start with the full labels of its `truth/` files and remove some.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from faceaffect.geometry import TEMPLATE_SIZE_PX, invert_transforms, transform_points
from training.datasets.affwild2 import load_cached
from training.datasets.frame_table import FrameTable, Rows, absolute_paths, concat_tables
from training.datasets.table_cache import DEFAULT_CACHE
from training.synthesis.expression_sampler import PRESENT_INTENSITY

NOTE: Final = "renderwild.json"


@dataclass(frozen=True, slots=True, eq=False)
class FullGroundTruth:
    """Table whose rows all have a crop and labels of all tasks, with further arrays by row.

    Blends of expressions have no expression label. Groups are identities. `official` has the
    labels of the annotation files for the same rows.
    """

    table: FrameTable
    official: FrameTable
    is_train: NDArray[np.bool_]  # [N]
    intensity: NDArray[np.float32]  # [N, 12] 0..1
    strength: NDArray[np.float32]  # [N, 7] of each expression
    landmarks_xy: NDArray[np.float32]  # [N, 68, 2] in crop sides: 0 and 1 are the outer edges
    is_occluded: NDArray[np.bool_]  # [N]
    is_mismatched: NDArray[np.bool_]  # [N] audio is of another utterance
    size: str  # name of RenderWild's size

    def __len__(self) -> int:
        return len(self.table)

    def select(self, rows: Rows | NDArray[np.bool_]) -> FullGroundTruth:
        rows = np.flatnonzero(rows) if rows.dtype == bool else np.asarray(rows, np.int64)
        arrays: dict[str, Any] = {name: getattr(self, name)[rows] for name in _ROW_ARRAYS}
        return replace(
            self, table=self.table.select(rows), official=self.official.select(rows), **arrays
        )


_ROW_ARRAYS: Final = (
    "is_train",
    "intensity",
    "strength",
    "landmarks_xy",
    "is_occluded",
    "is_mismatched",
)


def read_full_ground_truth(folder: Path, cache: Path = DEFAULT_CACHE) -> FullGroundTruth:
    """Read a RenderWild folder.

    Raises:
        FileNotFoundError: The folder has no ground truth files.
    """
    size = renderwild_size(folder)
    official = load_cached(folder, cache=cache, progress=False)
    official = official.select(np.flatnonzero(official.has_crop))
    columns = _row_columns(folder, official)
    notes = [
        json.loads((folder / "truth" / f"{video}.json").read_text(encoding="utf-8"))
        for video in official.videos
    ]
    video = official.video
    train = np.array([note["split"] == "Train_Set" for note in notes])
    table = replace(
        official,
        path=pa.array(absolute_paths(official), pa.string()),
        groups=tuple(f"person {note['identity']}" for note in notes),
        splits=np.where(train, 1, 2)[:, None].repeat(3, axis=1).astype(np.int8),
        au=(columns["au_intensity"] >= PRESENT_INTENSITY).astype(np.float32),
        au_mask=np.ones((len(official), columns["au_intensity"].shape[1]), bool),
        expression=np.maximum(columns["expression"], 0).astype(np.int8),
        expression_mask=columns["expression"] >= 0,
        va=columns["va"].astype(np.float32),
        va_mask=np.ones(len(official), bool),
    )
    return FullGroundTruth(
        table=table,
        official=replace(official, path=table.path, groups=table.groups),
        is_train=train[video],
        intensity=columns["au_intensity"].astype(np.float32),
        strength=columns["strength"].astype(np.float32),
        landmarks_xy=columns["landmarks"],
        is_occluded=columns["occluded"].astype(bool),
        is_mismatched=np.array([note["voice"]["mismatched"] for note in notes])[video],
        size=size,
    )


def renderwild_size(folder: Path) -> str:
    """Name of the size of a RenderWild folder.

    Raises:
        FileNotFoundError: Not a RenderWild folder.
    """
    note = folder / NOTE
    if not note.is_file() or not (folder / "truth").is_dir():
        raise FileNotFoundError(
            f"expected a RenderWild folder with {NOTE} and truth/, got {folder}; create one with "
            "`python -m training.synthesis videos`"
        )
    return str(json.loads(note.read_text(encoding="utf-8"))["size"])


def _row_columns(folder: Path, table: FrameTable) -> dict[str, NDArray[Any]]:
    """Ground truth of each row. Frame numbers start at 1."""
    columns: dict[str, list[NDArray[Any]]] = {}
    order: list[NDArray[np.int64]] = []
    for k, video in enumerate(table.videos):
        rows = np.flatnonzero(table.video == k)
        frames = table.frame[rows] - 1
        with np.load(folder / "truth" / f"{video}.npz", allow_pickle=False) as arrays:
            of_video = {
                name: arrays[name]
                for name in ("au_intensity", "strength", "expression", "va", "occluded", "cropped")
            }
            to_crop = invert_transforms(arrays["crop_to_frame"])
            landmarks = transform_points(to_crop, arrays["landmarks_xy"])
        if not of_video["cropped"][frames].all():
            raise ValueError(
                f"{folder}: {video} has crops that are not in truth/{video}.npz; do the files "
                "belong to the same RenderWild?"
            )
        of_video["landmarks"] = ((landmarks + 0.5) / TEMPLATE_SIZE_PX).astype(np.float32)
        for name, values in of_video.items():
            columns.setdefault(name, []).append(values[frames])
        order.append(rows)
    back = np.argsort(np.concatenate(order))
    return {name: np.concatenate(values)[back] for name, values in columns.items()}


def concat_ground_truth(truths: list[FullGroundTruth]) -> FullGroundTruth:
    """Concatenate ground truths of several RenderWilds.

    Videos are prefixed with the size; equal identity numbers are the same identity.
    """
    if len({truth.size for truth in truths}) != len(truths):
        raise ValueError(
            f"expected RenderWilds of different sizes, got {[truth.size for truth in truths]}"
        )
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(truth, name) for truth in truths]) for name in _ROW_ARRAYS
    }
    videos = [tuple(f"{truth.size}/{video}" for video in truth.table.videos) for truth in truths]
    table, official = (
        concat_tables(
            [
                replace(getattr(truth, name), videos=names)
                for truth, names in zip(truths, videos, strict=True)
            ]
        )
        for name in ("table", "official")
    )
    return FullGroundTruth(table, official, size="+".join(t.size for t in truths), **arrays)
