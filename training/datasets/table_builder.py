"""Builds a frame table row by row."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES, LANDMARK_COUNT
from training.datasets.frame_table import SPLITS, TASKS, FrameTable, check_classes
from training.datasets.scan_report import ScanReport


@dataclass(slots=True)
class Row:
    """One frame or image; None for unknown values."""

    frame: int
    path: str | None
    au: dict[int, float] | None = None  # by AU column
    intensity: dict[int, float] | None = None  # by AU column
    expression: int | None = None
    va: tuple[float, float] | None = None
    box: tuple[float, float, float, float] | None = None
    landmarks_xy: NDArray[np.float32] | None = None


class TableBuilder:
    """Collects videos of a dataset in `folder` and their rows."""

    def __init__(self, source: str, folder: Path | str) -> None:
        self.source, self.root = source, Path(folder).resolve()
        self.report = ScanReport(source, str(folder))
        self._videos: dict[str, int] = {}
        self._groups: list[str] = []
        self._splits: list[list[int]] = []
        self._video_of_row: list[int] = []
        self._rows: list[Row] = []

    def add_video(self, name: str, group: str, split: str = "") -> int:
        """Add a video with one split for all tasks and return its index; names must be unique."""
        if name in self._videos:
            raise ValueError(f"{self.source}: {name} is listed twice")
        self._videos[name] = len(self._videos)
        self._groups.append(group)
        self._splits.append([SPLITS.index(split)] * len(TASKS))
        return self._videos[name]

    def has_video(self, name: str) -> bool:
        """Whether a video of that name was added."""
        return name in self._videos

    def add(self, video: int, row: Row) -> None:
        """Add a row to a video."""
        self._video_of_row.append(video)
        self._rows.append(row)

    def build(self) -> FrameTable:
        """The table of all rows; ValueError if there are none."""
        if not self._rows:
            skipped = "; ".join(
                f"{reason}: {entry.count}" for reason, entry in self.report.skipped.items()
            )
            raise ValueError(
                f"{self.source}: no usable row in {self.root} ({skipped or 'empty label files'})"
            )
        rows = self._rows
        table = FrameTable(
            root=self.root,
            videos=tuple(self._videos),
            sources=(self.source,) * len(self._videos),
            groups=tuple(self._groups),
            media=("",) * len(self._videos),
            splits=np.array(self._splits, np.int8),
            video=np.array(self._video_of_row, np.int32),
            frame=np.array([row.frame for row in rows], np.int32),
            path=pa.array([row.path for row in rows], pa.string()),
            audio_offset_s=np.full(len(rows), np.nan),
            report=self.report,
            **_labels(rows),
            **_geometry(rows),
        )
        if len(set(self._video_of_row)) < len(self._videos):
            table = table.select(np.arange(len(rows)))  # drops videos without rows
        check_classes(table)
        count_rows(table, self.report)
        return table


def count_rows(table: FrameTable, report: ScanReport) -> None:
    """Add the counts that all datasets have in common to a report."""
    report.count("videos or images", len(table.videos))
    report.count("groups (people, videos or images)", len(set(table.groups)))
    report.count("rows", len(table))
    report.count("rows with an image", int(table.has_crop.sum()))
    for task in TASKS:
        for split in SPLITS:
            number = len(table.rows(task, split))
            if number:
                report.count(f"usable rows, {task}{f' {split}' if split else ''}", number)


def _labels(rows: list[Row]) -> dict[str, Any]:
    au, known = _by_column([row.au for row in rows], 0)
    return {
        "au": au,
        "au_mask": known,
        "expression": np.array([row.expression or 0 for row in rows], np.int8),
        "expression_mask": np.array([row.expression is not None for row in rows], bool),
        "va": np.array([row.va or (0, 0) for row in rows], np.float32),
        "va_mask": np.array([row.va is not None for row in rows], bool),
        "au_intensity": None
        if all(r.intensity is None for r in rows)
        else _by_column([r.intensity for r in rows], np.nan)[0],
    }


def _geometry(rows: list[Row]) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    if any(row.box is not None for row in rows):
        columns["box"] = np.array([row.box or (np.nan,) * 4 for row in rows], np.float32)
    if any(row.landmarks_xy is not None for row in rows):
        unknown = np.full((LANDMARK_COUNT, 2), np.nan, np.float32)
        columns["landmarks_xy"] = np.stack(
            [unknown if row.landmarks_xy is None else row.landmarks_xy for row in rows]
        )
    return columns


def _by_column(
    values: list[dict[int, float] | None], empty: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    dense = np.full((len(values), len(AU_NAMES)), empty, np.float32)
    known = np.zeros(dense.shape, bool)
    for k, row in enumerate(values):
        for column, value in (row or {}).items():
            dense[k, column] = value
            known[k, column] = True
    return dense, known
