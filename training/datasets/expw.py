"""Reader of ExpW (Expression in-the-Wild): web images with an expression per face.

`label/label.lst` has no header; a line is `image face_id top left right bottom confidence
expression`. Images are in `image/origin`. An image may have several faces: each is a row, and all
faces of an image are one group.

Zhang et al., "From Facial Expression Recognition to Interpersonal Relation Prediction",
International Journal of Computer Vision 2018. The images are available on request. The reader was
tested on synthetic files only, not on the real dataset.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from training.datasets.annotation_files import (
    FileIndex,
    find_folder,
    parse_float,
    parse_int,
    text_lines,
)
from training.datasets.broken_data import BrokenFileError
from training.datasets.frame_table import FrameTable
from training.datasets.label_maps import EXPW
from training.datasets.progress_bar import track_progress
from training.datasets.table_builder import Row, TableBuilder

SOURCE: Final = "ExpW"
_FIELDS: Final = "image face_id top left right bottom confidence expression"


def read_expw(
    folder: Path | str, *, min_confidence: float = 0.0, progress: bool = True
) -> FrameTable:
    """Scan a copy of ExpW. It has no split.

    Args:
        folder: contains `label/label.lst` (or `label.lst`) and `image/origin` (or `origin`, or
            `image`).
        min_confidence: skip faces whose published detection confidence is lower.
        progress: show a progress bar.

    Raises:
        FileNotFoundError: labels or images are missing.
        BrokenFileError: a file is not as described in the module.
    """
    root = Path(folder).resolve()
    lists = [root / "label" / "label.lst", root / "label.lst"]
    path = next((each for each in lists if each.is_file()), None)
    if path is None:
        raise FileNotFoundError(f"{root} must contain label/label.lst")
    images = find_folder(root, ("image/origin", "origin", "image"), "the images")
    files = FileIndex(images)
    prefix = os.path.relpath(images, root)
    rows = TableBuilder(SOURCE, folder)
    for line, text in track_progress(
        list(enumerate(text_lines(path), 1)), path.name, progress=progress
    ):
        cells = text.split()
        if len(cells) != len(_FIELDS.split()):
            raise BrokenFileError(path, line, f"expected {_FIELDS}, got {len(cells)} fields")
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
        if name not in files:
            rows.report.skip("missing image", name)
        elif rows.has_video(face):
            rows.report.skip("face listed twice", face)
        elif confidence < min_confidence:
            rows.report.skip(f"confidence below {min_confidence:g}", face)
        else:
            row = Row(0, f"{prefix}/{name}", expression=EXPW[code], box=(left, top, right, bottom))
            rows.add(rows.add_video(face, group=name), row)
    return rows.build()
