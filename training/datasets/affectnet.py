"""Reader of AffectNet: web images with expression, valence and arousal, in both published forms.

- 2017: `Manually_Annotated_file_lists/{training,validation}.csv` (optionally
  `Automatically_Annotated_file_lists/automatically_annotated.csv`) with the columns
  subDirectory_filePath, face_x, face_y, face_width, face_height, facial_landmarks (x;y;...),
  expression, valence, arousal; images below `Manually_Annotated_Images`.
- 2021: `{train_set,val_set}/images/<id>.jpg` (224 px crops) and
  `annotations/<id>_{exp,val,aro,lnd}.npy`.

Contempt, none, uncertain and no-face (7 to 10) are not among the seven expressions and are
masked. A valence or arousal of -2 marks a missing label.

Mollahosseini et al., "AffectNet: A Database for Facial Expression, Valence, and Arousal Computing
in the Wild", IEEE Transactions on Affective Computing 2019. The images require an agreement. The
reader was tested on synthetic files only, not on the real dataset.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import LANDMARK_COUNT
from training.datasets.annotation_files import (
    FileIndex,
    csv_rows,
    find_folder,
    parse_float,
    parse_int,
)
from training.datasets.broken_data import BrokenFileError
from training.datasets.frame_table import FrameTable
from training.datasets.label_maps import AFFECTNET, NO_CLASS
from training.datasets.progress_bar import track_progress
from training.datasets.scan_report import ScanReport
from training.datasets.table_builder import Row, TableBuilder

SOURCE: Final = "AffectNet"
NO_VA: Final = -2.0
_BOX_COLUMNS: Final = ("face_x", "face_y", "face_width", "face_height")
_LABEL_COLUMNS: Final = ("expression", "valence", "arousal")
_COLUMNS: Final = (
    "subDirectory_filePath",
    *_BOX_COLUMNS,
    "facial_landmarks",
    *_LABEL_COLUMNS,
)
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
        folder: a copy of either form.
        automatic: also read the automatically annotated half (form of 2017).
        landmarks: keep the 68 landmarks (0.5 kB per image).
        progress: show a progress bar.

    Raises:
        FileNotFoundError: `folder` has neither form.
        BrokenFileError: a file is not as described in the module.
    """
    root = Path(folder).resolve()
    rows = TableBuilder(SOURCE, folder)
    sets = [
        (root / name, split) for name, split in (("train_set", "train"), ("val_set", "validation"))
    ]
    sets = [(half, split) for half, split in sets if (half / "annotations").is_dir()]
    if sets:
        for half, split in sets:
            _read_files(half, split, rows, landmarks, progress)
        return rows.build()
    lists = [*_LISTS, _AUTOMATIC] if automatic else list(_LISTS)
    files = [
        (path, split, kind)
        for name, split, kind in lists
        if (path := _list_path(root, kind, name)) is not None
    ]
    if not files:
        raise FileNotFoundError(
            f"{root} must contain training.csv and validation.csv (in it or in "
            "Manually_Annotated_file_lists), or train_set/annotations and val_set/annotations"
        )
    for path, split, kind in files:
        _read_list(path, split, _image_folder(root, kind), rows, landmarks, progress)
    return rows.build()


def expression_and_va(
    path: Path, line: int | None, cells: tuple[str, ...], where: str, report: ScanReport
) -> tuple[int | None, tuple[float, float] | None]:
    """Class index and (valence, arousal) of three label cells; None for a missing one."""
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
        report.skip("expression outside the seven (contempt, none, uncertain, no face)", where)
    return expression, values


def _read_list(
    path: Path, split: str, images: Path, rows: TableBuilder, landmarks: bool, progress: bool
) -> None:
    files = FileIndex(images)
    prefix = os.path.relpath(images, rows.root)
    for line, cells in track_progress(
        csv_rows(path, _COLUMNS, may_lack_header=True), path.name, progress=progress
    ):
        name = cells["subDirectory_filePath"]
        if rows.has_video(name):
            rows.report.skip("image listed twice", name)
            continue
        expression, va = expression_and_va(
            path, line, tuple(cells[c] for c in _LABEL_COLUMNS), name, rows.report
        )
        if name not in files:
            rows.report.skip("missing image", name)
            continue
        x, y, width, height = (
            parse_float(path, line, cells[c], c, -1e5, 1e5) for c in _BOX_COLUMNS
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
    folder: Path, split: str, rows: TableBuilder, landmarks: bool, progress: bool
) -> None:
    images = folder / "images"
    annotations = folder / "annotations"
    files = FileIndex(rows.root)
    names = sorted(
        name[: -len("_exp.npy")] for name in os.listdir(annotations) if name.endswith("_exp.npy")
    )
    if not names:
        raise FileNotFoundError(f"no <id>_exp.npy in {annotations}")
    for name in track_progress(names, folder.name, progress=progress):
        values = tuple(
            str(_array(annotations / f"{name}_{part}.npy").item()) for part in ("exp", "val", "aro")
        )
        where = f"{folder.name}/{name}"
        expression, va = expression_and_va(
            annotations / f"{name}_exp.npy", None, values, where, rows.report
        )
        image = f"{images.relative_to(rows.root).as_posix()}/{name}.jpg"
        if image not in files:
            rows.report.skip("missing image", image)
            continue
        points = None
        if landmarks and (path := annotations / f"{name}_lnd.npy").is_file():
            points = _points(path, None, [str(value) for value in _array(path).ravel()])
        row = Row(0, image, expression=expression, va=va, landmarks_xy=points)
        rows.add(rows.add_video(where, group=where, split=split), row)


def _array(path: Path) -> NDArray[Any]:
    # Some copies store the numbers as text. Object arrays, which need pickle, are rejected.
    try:
        value = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise BrokenFileError(
            path, None, "missing, although the image has other annotation files"
        ) from None
    except (ValueError, OSError, EOFError) as error:
        raise BrokenFileError(path, None, f"not an array of numbers or text ({error})") from None
    if not path.name.endswith("_lnd.npy") and value.size != 1:
        raise BrokenFileError(path, None, f"expected one value, got shape {value.shape}")
    return np.asarray(value)


def _points(path: Path, line: int | None, cells: list[str]) -> NDArray[np.float32]:
    cells = [cell for cell in cells if cell.strip()]
    if len(cells) != 2 * LANDMARK_COUNT:
        raise BrokenFileError(
            path, line, f"expected {LANDMARK_COUNT} landmarks as x;y;..., got {len(cells)} numbers"
        )
    values = [parse_float(path, line, cell, "a landmark", -1e5, 1e5) for cell in cells]
    return np.array(values, np.float32).reshape(LANDMARK_COUNT, 2)


def _list_path(root: Path, kind: str, name: str) -> Path | None:
    for folder in (f"{kind}_file_lists", kind, f"{kind}/{kind}_file_lists", "."):
        if (root / folder / name).is_file():
            return root / folder / name
    return None


def _image_folder(root: Path, kind: str) -> Path:
    names = (f"{kind}_Images", f"{kind}/{kind}_Images", kind)
    return find_folder(root, names, "the images")
