"""Assembles the table of Aff-Wild2 from its annotations and crops."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from training.datasets.affwild2_annotations import TaskLabels
from training.datasets.affwild2_layout import Affwild2Files, video_file, without_position
from training.datasets.affwild2_times import times_at
from training.datasets.frame_table import SPLITS, TASKS, FrameTable, Task, empty_labels
from training.datasets.scan_report import ScanReport

SOURCE: Final = "Aff-Wild2"
OTHER_CLASS: Final = "expression Other (class 7), outside the seven"
"""Skip reason in the report."""


@dataclass(slots=True)
class AnnotatedVideo:
    """Labels and splits of one annotation name."""

    split: dict[Task, str] = field(default_factory=dict)
    labels: dict[Task, TaskLabels] = field(default_factory=dict)
    frames: dict[Task, NDArray[np.int32]] = field(default_factory=dict)  # of the labels' lines


def assemble_table(
    layout: Affwild2Files,
    videos: dict[str, AnnotatedVideo],
    offsets: dict[str, NDArray[np.float64]],
    report: ScanReport,
    keep_empty: bool,
) -> FrameTable:
    """Return the table of all videos; raises ValueError if there is none."""
    names, parts, paths = [], [], []
    for name in sorted(videos):
        columns_of_video, path = _rows_of(name, videos[name], layout, offsets.get(name), report)
        if layout.crops and name not in layout.crops:
            report.skip("video without a crop folder (cropped_aligned/<video>)", name)
        if not len(path):
            report.skip("listed video with neither labels nor crops", name)
            if not keep_empty:
                continue
        names.append(name)
        parts.append(columns_of_video)
        paths.append(path)
    if not names:
        raise ValueError(
            f"{layout.root} has neither labels nor crops; expected <video>.txt with lines below "
            "the header"
        )
    counts = [len(part["frame"]) for part in parts]
    columns: dict[str, Any] = {
        key: np.concatenate([part[key] for part in parts]) for key in parts[0]
    }
    media = [video_file(name, layout.videos) for name in names]
    table = FrameTable(
        root=layout.root,
        videos=tuple(names),
        sources=(SOURCE,) * len(names),
        groups=tuple(_group(name, layout) for name in names),
        media=tuple(
            "" if p is None or p in layout.silent else p.relative_to(layout.root).as_posix()
            for p in media
        ),
        splits=np.array(
            [[SPLITS.index(videos[n].split.get(t, "")) for t in TASKS] for n in names], np.int8
        ),
        video=np.repeat(np.arange(len(names), dtype=np.int32), counts),
        path=pa.concat_arrays(paths),
        report=report,
        **columns,
    )
    _count(table, report)
    return table


def _group(name: str, layout: Affwild2Files) -> str:
    return name if name in layout.videos else without_position(name)


def _rows_of(
    name: str,
    video: AnnotatedVideo,
    layout: Affwild2Files,
    times: NDArray[np.float64] | None,
    report: ScanReport,
) -> tuple[dict[str, NDArray[Any]], pa.StringArray]:
    """Rows of one video: all frames with a label line or a crop, ordered by number."""
    crops = layout.crops.get(name)
    listed = list(video.frames.values()) + ([] if crops is None else [crops.numbers])
    frame = np.unique(np.concatenate(listed)) if listed else np.zeros(0, np.int32)
    columns = empty_labels(len(frame)) | {"frame": frame.astype(np.int32)}
    for task, labels in video.labels.items():
        at = np.searchsorted(frame, video.frames[task])
        if task == "AU":
            columns["au"][at], columns["au_mask"][at] = labels.values, labels.mask
        elif task == "EXPR":
            columns["expression"][at] = labels.values[:, 0]
            columns["expression_mask"][at] = labels.mask
        else:
            columns["va"][at], columns["va_mask"][at] = labels.values, labels.mask
        numbers = frame[:0] if crops is None else crops.numbers
        _report_lines(name, task, labels, video.frames[task], numbers, report)
    if times is not None:
        columns["audio_offset_s"] = times_at(times, frame)
    names: list[str | None] = [None] * len(frame)
    if crops is not None:
        for at, file in zip(
            np.searchsorted(frame, crops.numbers), crops.names.to_pylist(), strict=True
        ):
            names[at] = f"{crops.folder}/{file}"
    return columns, pa.array(names, pa.string())


def _report_lines(
    name: str,
    task: Task,
    labels: TaskLabels,
    frames: NDArray[np.int32],
    crops: NDArray[np.int32],
    report: ScanReport,
) -> None:
    valid = labels.mask.any(axis=1) if task == "AU" else labels.mask
    for reason, lines in (
        (f"{task} line marked as not annotated", ~valid & ~labels.other),
        (OTHER_CLASS, labels.other),
        ("AU line with some columns absent: dropped, counted as not annotated", labels.partly),
        (f"valid {task} label of a frame without a crop", valid & ~np.isin(frames, crops)),
    ):
        report.skip(reason, name, int(lines.sum()))
    if len(frames):
        report.skip(f"crop without an {task} line", name, int((~np.isin(crops, frames)).sum()))
    else:
        report.skip(f"{task} file without lines below the header", name)


def _count(table: FrameTable, report: ScanReport) -> None:
    report.count("videos", len(table.videos))
    report.count("frames", len(table))
    report.count("frames with a crop", int(table.has_crop.sum()))
    report.count("frames with an audio offset", int(np.isfinite(table.audio_offset_s).sum()))
    for task in TASKS:
        for split in ("train", "validation"):
            report.count(f"usable frames, {task} {split}", len(table.rows(task, split)))
    masks = table.masks
    for pattern in product((True, False), repeat=3):
        number = int((masks == pattern).all(axis=1).sum())
        if number:
            named = " + ".join(task for task, on in zip(TASKS, pattern, strict=True) if on)
            report.count(f"frames labeled for {named or 'nothing'}", number)
    if not table.has_crop.any():
        report.note(
            "there are no crops (cropped_aligned/<video>/NNNNN.jpg): no row can be trained on"
        )
