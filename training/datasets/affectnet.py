"""AffectNet in both published forms. Tried on made-up files only: the images are given out under an
agreement.

- 2017: `Manually_Annotated_file_lists/{training,validation}.csv` (also
  `Automatically_Annotated_file_lists/
  automatically_annotated.csv`) with the columns subDirectory_filePath, face_x, face_y,
  face_width, face_height,
  facial_landmarks (x;y;...), expression, valence, arousal, and the images below
  `Manually_Annotated_Images`.
- 2021: `{train_set,val_set}/images/<id>.jpg` (224 px crops) and
  `annotations/<id>_{exp,val,aro,lnd}.npy`.

Contempt, none, uncertain and no-face (7 to 10) are none of our seven expressions and are masked;
a valence or arousal of
-2 means that there is none.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import LANDMARK_COUNT
from training.datasets.annotation_files import FileIndex, csv_rows, parse_float, parse_int
from training.datasets.broken_data import BrokenFileError
from training.datasets.frame_table import FrameTable
from training.datasets.label_maps import AFFECTNET, NO_CLASS
from training.datasets.progress_bar import track_progress
from training.datasets.scan_report import ScanReport
from training.datasets.table_builder import Row, TableBuilder

SOURCE: Final = "AffectNet"
NO_VA: Final = -2.0
_COLUMNS: Final = (
    "subDirectory_filePath", "face_x", "face_y", "face_width", "face_height", "facial_landmarks", "expression", "valence",
    "arousal",
)  # fmt: skip
_LISTS: Final = (
    ("training.csv", "train", "Manually_Annotated"),
    ("validation.csv", "validation", "Manually_Annotated"),
)
_AUTOMATIC: Final = ("automatically_annotated.csv", "train", "Automatically_Annotated")


def read_affectnet(
    folder: Path | str, *, automatic: bool = False, landmarks: bool = True, progress: bool = True
) -> FrameTable:
    """Scan a copy of AffectNet.

    Args:
        folder: the folder of either form.
        automatic: read the half that a network annotated too (form of 2017).
        landmarks: keep the 68 landmarks (0.5 kB an image).
        progress: show a progress bar.

    Raises:
        FileNotFoundError: neither form is there.
        BrokenFileError: a line or file that does not hold what it should.
    """
    root = Path(folder).resolve()
    rows = TableBuilder(SOURCE, root, ScanReport(SOURCE, str(folder)))
    sets = [
        (root / name, split) for name, split in (("train_set", "train"), ("val_set", "validation"))
    ]
    if any((place / "annotations").is_dir() for place, _ in sets):
        for place, split in sets:
            if (place / "annotations").is_dir():
                _read_files(place, split, rows, landmarks, progress)
        return rows.table()
    lists = [*_LISTS, _AUTOMATIC] if automatic else list(_LISTS)
    found = [
        (path, split, kind)
        for name, split, kind in lists
        if (path := _list_path(root, kind, name)) is not None
    ]
    if not found:
        raise FileNotFoundError(
            f"{root} must hold training.csv and validation.csv (in Manually_Annotated_file_lists or itself), or "
            "train_set/annotations and val_set/annotations"
        )
    for path, split, kind in found:
        _read_list(path, split, _image_folder(root, kind), rows, landmarks, progress)
    return rows.table()


def expression_and_va(
    path: Path, line: int | None, cells: tuple[str, str, str], where: str, report: ScanReport
) -> tuple[int | None, tuple[float, float] | None]:
    """Our class and values of AffectNet's (expression, valence, arousal); None where there is none."""
    code = parse_int(path, line, cells[0], "expression", 0, len(AFFECTNET) - 1)
    valence, arousal = (
        parse_float(path, line, text, "valence and arousal", NO_VA, 1) for text in cells[1:]
    )
    values = None
    if valence != NO_VA and arousal != NO_VA:
        for value in (valence, arousal):
            if value < -1:
                raise BrokenFileError(
                    path, line, f"valence and arousal must be from -1 to 1, or -2, got {value:g}"
                )
        values = (valence, arousal)
    else:
        report.skip("no valence and arousal (-2)", where)
    expression = AFFECTNET[code] if AFFECTNET[code] != NO_CLASS else None
    if expression is None:
        report.skip(
            "expression that is none of our seven (contempt, none, uncertain, no face)", where
        )
    return expression, values


def _read_list(
    path: Path, split: str, images: Path, rows: TableBuilder, landmarks: bool, progress: bool
) -> None:
    there = FileIndex(images)
    prefix = os.path.relpath(images, rows.root)
    for line, cells in track_progress(
        csv_rows(path, _COLUMNS, may_lack_header=True), path.name, progress=progress
    ):
        name = cells["subDirectory_filePath"]
        if rows.has_video(name):
            rows.report.skip("image listed twice", name)
            continue
        expression, va = expression_and_va(
            path, line, (cells["expression"], cells["valence"], cells["arousal"]), name, rows.report
        )
        if name not in there:
            rows.report.skip("image that is not there", name)
            continue
        x, y, width, height = (
            parse_float(path, line, cells[c], c, -1e5, 1e5) for c in _COLUMNS[1:5]
        )
        points = _points(path, line, cells["facial_landmarks"].split(";")) if landmarks else None
        rows.add(
            rows.add_video(name, group=name, split=split),
            Row(
                0,
                f"{prefix}/{name}",
                expression=expression,
                va=va,
                box=(x, y, x + width, y + height),
                landmarks_xy=points,
            ),
        )


def _read_files(
    place: Path, split: str, rows: TableBuilder, landmarks: bool, progress: bool
) -> None:
    images, notes = place / "images", place / "annotations"
    there = FileIndex(rows.root)
    names = sorted(
        name[: -len("_exp.npy")] for name in os.listdir(notes) if name.endswith("_exp.npy")
    )
    if not names:
        raise FileNotFoundError(f"no <id>_exp.npy in {notes}")
    for name in track_progress(names, place.name, progress=progress):
        values = tuple(
            str(_array(notes / f"{name}_{part}.npy").item()) for part in ("exp", "val", "aro")
        )
        where = f"{place.name}/{name}"
        expression, va = expression_and_va(
            notes / f"{name}_exp.npy", None, (values[0], values[1], values[2]), where, rows.report
        )
        image = f"{images.relative_to(rows.root).as_posix()}/{name}.jpg"
        if image not in there:
            rows.report.skip("image that is not there", image)
            continue
        points = None
        if landmarks and (path := notes / f"{name}_lnd.npy").is_file():
            points = _points(path, None, [str(value) for value in _array(path).ravel()])
        row = Row(0, image, expression=expression, va=va, landmarks_xy=points)
        rows.add(rows.add_video(where, group=where, split=split), row)


def _array(path: Path) -> NDArray[Any]:
    # Some copies keep the numbers as text; arrays of objects, which would have to be unpickled, are
    # refused.
    try:
        value = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise BrokenFileError(
            path, None, "the file is not there, though others of that image are"
        ) from None
    except (ValueError, OSError, EOFError) as error:
        raise BrokenFileError(path, None, f"not an array of numbers or text ({error})") from None
    if not path.name.endswith("_lnd.npy") and value.size != 1:
        raise BrokenFileError(path, None, f"wanted one value, got shape {value.shape}")
    return np.asarray(value)


def _points(path: Path, line: int | None, cells: list[str]) -> NDArray[np.float32]:
    cells = [cell for cell in cells if cell.strip()]
    if len(cells) != 2 * LANDMARK_COUNT:
        raise BrokenFileError(
            path, line, f"wanted {LANDMARK_COUNT} landmarks as x;y;..., got {len(cells)} numbers"
        )
    values = [parse_float(path, line, cell, "a landmark", -1e5, 1e5) for cell in cells]
    return np.array(values, np.float32).reshape(LANDMARK_COUNT, 2)


def _list_path(root: Path, kind: str, name: str) -> Path | None:
    for place in (f"{kind}_file_lists", kind, f"{kind}/{kind}_file_lists", "."):
        if (root / place / name).is_file():
            return root / place / name
    return None


def _image_folder(root: Path, kind: str) -> Path:
    for place in (f"{kind}_Images", f"{kind}/{kind}_Images", kind):
        if (root / place).is_dir():
            return root / place
    raise FileNotFoundError(f"{root} must hold the images in {kind}_Images")
