"""ExpW (Expression in-the-Wild). Tried on made-up files only: the images are given out on request.

`label/label.lst` has no header; a line is `image face_id top left right bottom confidence
expression`. Images lie in `image/origin`. An image may hold several faces: each is a row, and
all of an image are one group.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from training.datasets.affwild2_annotations import text_lines
from training.datasets.annotation_files import FileIndex, find_folder, parse_float, parse_int
from training.datasets.broken_data import BrokenFileError
from training.datasets.frame_table import FrameTable
from training.datasets.label_maps import EXPW
from training.datasets.progress_bar import track_progress
from training.datasets.scan_report import ScanReport
from training.datasets.table_builder import Row, TableBuilder

SOURCE: Final = "ExpW"
_FIELDS: Final = "image face_id top left right bottom confidence expression"


def read_expw(
    folder: Path | str, *, min_confidence: float = 0.0, progress: bool = True
) -> FrameTable:
    """Scan a copy of ExpW; it has no split of its own (`splits.with_group_split` gives one).

    Args:
        folder: holds `label/label.lst` (or `label.lst`) and `image/origin` (or `origin`, or
        `image`).
        min_confidence: leave out faces whose box the set's detector trusted less.
        progress: show a progress bar.

    Raises:
        FileNotFoundError, BrokenFileError
    """
    root = Path(folder).resolve()
    lists = [root / "label" / "label.lst", root / "label.lst"]
    path = next((each for each in lists if each.is_file()), None)
    if path is None:
        raise FileNotFoundError(f"{root} must hold label/label.lst")
    images = find_folder(root, ("image/origin", "origin", "image"), "the images")
    there, prefix = FileIndex(images), os.path.relpath(images, root)
    rows = TableBuilder(SOURCE, root, ScanReport(SOURCE, str(folder)))
    for line, text in track_progress(
        list(enumerate(text_lines(path), 1)), path.name, progress=progress
    ):
        cells = text.split()
        if len(cells) != len(_FIELDS.split()):
            raise BrokenFileError(path, line, f"wanted {_FIELDS}, got {len(cells)} fields")
        name, face = cells[0], f"{cells[0]}#{cells[1]}"
        top, left, right, bottom = (
            float(parse_int(path, line, cell, "a box", -100_000, 100_000)) for cell in cells[2:6]
        )
        if right <= left or bottom <= top:
            raise BrokenFileError(
                path, line, f"a box must be top left right bottom, got {' '.join(cells[2:6])}"
            )
        confidence = parse_float(path, line, cells[6], "the confidence", 0, float("inf"))
        code = parse_int(path, line, cells[7], "expression", 0, len(EXPW) - 1)
        if name not in there:
            rows.report.skip("image that is not there", name)
        elif rows.has_video(face):
            rows.report.skip("face listed twice", face)
        elif confidence < min_confidence:
            rows.report.skip(f"confidence below {min_confidence:g}", face)
        else:
            row = Row(0, f"{prefix}/{name}", expression=EXPW[code], box=(left, top, right, bottom))
            rows.add(rows.add_video(face, group=name), row)
    return rows.table()
