"""Reader of FER+ as published: votes in `fer2013new.csv`, images in `fer2013.csv` or in folders.

The two tables have the same rows in the same order. The folders `FER2013{Train,Valid,Test}` have
the images under the names of the column `Image name`, whose numbers are not row numbers; rows
without a name show no face and have no file. See `training.datasets.ferplus` for the papers. The
folder form was tested on real images and votes, `fer2013.csv` on synthetic files only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import cv2
import numpy as np

from training.datasets.annotation_files import csv_rows, parse_int
from training.datasets.broken_data import BrokenFileError
from training.datasets.ferplus import IMAGE_PX, VOTE_NAMES, FerPlus
from training.datasets.progress_bar import track_progress

FOLDERS: Final = {
    "Training": "FER2013Train",
    "PublicTest": "FER2013Valid",
    "PrivateTest": "FER2013Test",
}
_VOTES: Final = ("Usage", "Image name", *VOTE_NAMES)
_PIXELS: Final = ("pixels", "Usage")


def read_ferplus_csv(folder: Path | str, *, progress: bool = True) -> FerPlus:
    """Read `fer2013new.csv` with `fer2013.csv` or, if that is missing, with the image folders.

    `fer2013.csv` yields all 35,887 rows, those without a face with an empty name; the folders
    yield only rows with a name.

    Raises:
        FileNotFoundError: votes or images are missing.
        BrokenFileError: a line is invalid, or the tables do not match.
    """
    root = Path(folder)
    votes = root / "fer2013new.csv"
    if not votes.is_file():
        raise FileNotFoundError(f"{votes} does not exist")
    if (root / "fer2013.csv").is_file():
        return _from_pixels(votes, root / "fer2013.csv", progress)
    if any((root / name).is_dir() for name in FOLDERS.values()):
        return _from_folders(votes, root, progress)
    raise FileNotFoundError(f"{root} must contain fer2013.csv, or {', '.join(FOLDERS.values())}")


def _from_pixels(votes: Path, pixels: Path, progress: bool) -> FerPlus:
    rows = list(csv_rows(votes, _VOTES))
    images, counts, usage, names = [], [], [], []
    for k, (line, row) in enumerate(
        track_progress(csv_rows(pixels, _PIXELS), pixels.name, total=len(rows), progress=progress)
    ):
        if k >= len(rows):
            raise BrokenFileError(pixels, line, f"has more rows than {votes.name}")
        if row["Usage"] != rows[k][1]["Usage"]:
            raise BrokenFileError(
                votes,
                rows[k][0],
                f"Usage must be {row['Usage']} as in {pixels.name}, got {rows[k][1]['Usage']}",
            )
        values = np.array(row["pixels"].split())
        if (
            len(values) != IMAGE_PX**2
            or not np.char.isdigit(values).all()
            or values.astype(int).max() > 255
        ):
            raise BrokenFileError(
                pixels, line, f"expected {IMAGE_PX**2} numbers 0 to 255, got {len(values)} fields"
            )
        images.append(values.astype(np.uint8).reshape(IMAGE_PX, IMAGE_PX))
        counts.append(_counts(votes, *rows[k]))
        usage.append(row["Usage"])
        names.append(rows[k][1]["Image name"])
    if len(images) != len(rows):
        raise BrokenFileError(pixels, None, f"has {len(images)} rows, {votes.name} has {len(rows)}")
    return FerPlus(np.array(images), np.array(counts), np.array(usage), np.array(names))


def _from_folders(votes: Path, root: Path, progress: bool) -> FerPlus:
    images, counts, usage, names = [], [], [], []
    rows = [(line, row) for line, row in csv_rows(votes, _VOTES) if row["Image name"]]
    for line, row in track_progress(rows, votes.name, progress=progress):
        if row["Usage"] not in FOLDERS:
            raise BrokenFileError(
                votes, line, f"Usage must be one of {', '.join(FOLDERS)}, got {row['Usage']!r}"
            )
        path = root / FOLDERS[row["Usage"]] / row["Image name"]
        image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if image is None:
            raise FileNotFoundError(f"{votes}:{line} names {path}, which cannot be read")
        if image.shape != (IMAGE_PX, IMAGE_PX):
            raise BrokenFileError(
                path, None, f"expected {IMAGE_PX} x {IMAGE_PX} pixels, got {image.shape}"
            )
        images.append(np.asarray(image, np.uint8))
        counts.append(_counts(votes, line, row))
        usage.append(row["Usage"])
        names.append(row["Image name"])
    return FerPlus(np.array(images), np.array(counts), np.array(usage), np.array(names))


def _counts(votes: Path, line: int, row: dict[str, str]) -> list[int]:
    return [parse_int(votes, line, row[name], f"votes for {name}", 0, 100) for name in VOTE_NAMES]
