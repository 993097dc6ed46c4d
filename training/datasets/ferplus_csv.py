"""FER+ as it is published: votes in `fer2013new.csv`, images in `fer2013.csv` or in the folders
made of it.

The two tables have the same rows in the same order. The folders `FER2013{Train,Valid,Test}` hold
the images under the names of the column `Image name`, whose numbers are not the tables' rows;
rows without a name were found to show no face and have no file. `training.datasets.ferplus`
reads the same images and votes out of atlases. The folder form was tried on real images and
votes, `fer2013.csv` on made-up ones.
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
    """Read `fer2013new.csv` with `fer2013.csv`, or, where that is not there, with the folders of
    images.

    Out of `fer2013.csv` come all 35,887 rows, those without a face with an empty name; out of
    folders only rows with a name.

    Raises:
        FileNotFoundError: no votes, no images, or an image that a row names is not there.
        BrokenFileError: a line that does not hold what it should, or tables that do not match.
    """
    root = Path(folder)
    votes = root / "fer2013new.csv"
    if not votes.is_file():
        raise FileNotFoundError(f"{votes} is not there")
    if (root / "fer2013.csv").is_file():
        return _from_pixels(votes, root / "fer2013.csv", progress)
    if any((root / name).is_dir() for name in FOLDERS.values()):
        return _from_folders(votes, root, progress)
    raise FileNotFoundError(f"{root} must hold fer2013.csv, or {', '.join(FOLDERS.values())}")


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
                pixels, line, f"wanted {IMAGE_PX**2} numbers 0 to 255, got {len(values)} fields"
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
                path, None, f"wanted {IMAGE_PX} x {IMAGE_PX} pixels, got {image.shape}"
            )
        images.append(np.asarray(image, np.uint8))
        counts.append(_counts(votes, line, row))
        usage.append(row["Usage"])
        names.append(row["Image name"])
    return FerPlus(np.array(images), np.array(counts), np.array(usage), np.array(names))


def _counts(votes: Path, line: int, row: dict[str, str]) -> list[int]:
    return [parse_int(votes, line, row[name], f"votes for {name}", 0, 100) for name in VOTE_NAMES]
