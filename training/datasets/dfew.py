"""DFEW: film clips with one expression each, five folds. Tried on made-up files only: it needs an
agreement.

`EmoLabel_DataSplit/{train,test}(single-labeled)/set_<fold>.csv` with the columns video_name,
label (1 Happy, 2 Sad, 3 Neutral, 4 Angry, 5 Surprise, 6 Disgust, 7 Fear); images in
`Clip/clip_224x224/<5 digits>/*.jpg`, or sixteen a clip in `Clip/clip_224x224_16f`. Every frame
of a clip gets the clip's label.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from training.datasets.annotation_files import csv_rows, find_folder, images_by_number, parse_int
from training.datasets.broken_data import BrokenFileError
from training.datasets.frame_table import FrameTable
from training.datasets.label_maps import DFEW, NO_CLASS
from training.datasets.progress_bar import track_progress
from training.datasets.scan_report import ScanReport
from training.datasets.table_builder import Row, TableBuilder

SOURCE: Final = "DFEW"
FOLDS: Final = 5
_PLACES: Final = (
    "Clip/clip_224x224",
    "Clip/clip_224x224_16f",
    "Clip/jpg_256",
    "clip_224x224",
    "clip_224x224_16f",
)


def read_dfew(folder: Path | str, *, fold: int = 1, progress: bool = True) -> FrameTable:
    """Scan a copy of DFEW for one of its folds: its training clips are "train", its test clips
    "validation".

    Args:
        folder: holds `EmoLabel_DataSplit` and `Clip`.
        fold: 1 to 5; every clip is tested in one fold and trained on in the others.
        progress: show a progress bar.

    Raises:
        FileNotFoundError, BrokenFileError
        ValueError: a fold that there is not, or a clip in both halves.
    """
    if not 1 <= fold <= FOLDS:
        raise ValueError(f"fold must be 1 to {FOLDS}, got {fold}")
    root = Path(folder).resolve()
    clips = find_folder(root, _PLACES, "the clips' frames")
    rows = TableBuilder(SOURCE, root, ScanReport(SOURCE, str(folder)))
    for half, split in (("train", "train"), ("test", "validation")):
        path = root / "EmoLabel_DataSplit" / f"{half}(single-labeled)" / f"set_{fold}.csv"
        if not path.is_file():
            raise FileNotFoundError(f"{path} is not there")
        for line, cells in track_progress(
            list(csv_rows(path, ("video_name", "label"))), f"{half} clips", progress=progress
        ):
            _add_clip(path, line, cells, split, clips, rows)
    return rows.table()


def _add_clip(
    path: Path, line: int, cells: dict[str, str], split: str, clips: Path, rows: TableBuilder
) -> None:
    name = f"{parse_int(path, line, cells['video_name'], 'video_name', 0, 99_999):05d}"
    expression = DFEW[parse_int(path, line, cells["label"], "label", 0, len(DFEW) - 1)]
    if rows.has_video(name):
        raise BrokenFileError(path, line, f"clip {name} is listed a second time")
    place = clips / name
    images = images_by_number(place) if place.is_dir() else {}
    if not images:
        rows.report.skip("clip without images", name)
        return
    if expression == NO_CLASS:
        rows.report.skip("clip that the voters did not agree on", name)
    prefix = os.path.relpath(place, rows.root)
    video = rows.add_video(name, group=name, split=split)
    for number in sorted(images):
        row = Row(
            number,
            f"{prefix}/{images[number]}",
            expression=None if expression == NO_CLASS else expression,
        )
        rows.add(video, row)
