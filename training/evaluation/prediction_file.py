"""Predictions as a table on disk: what an evaluation writes, and what `faceaffect analyze --out`
writes.

Both have a row per face with the columns `AU1` .. `AU26` and `neutral` .. `surprise`
(probabilities), `valence`, `arousal` and, where the decisions were made already, `active_aus`
(`AU6+AU12`). They say where a row belongs in one of two ways:

    video, frame          a name of the label folder, and the number of the frame from 1 as
    in the names of the crops
    source, frame, ...    a video file or an image, and its index from 0, as the SDK writes
    it; with several faces in a
                          frame the columns `track_id` and `box_*`
                          decide
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.sources.image_files import is_image
from training.evaluation.face_choice import choose_faces
from training.evaluation.label_table import LabelTable
from training.evaluation.prediction_table import PredictionTable, no_predictions

SUFFIXES: Final = (".csv", ".parquet")
_SCORES: Final = (*AU_NAMES, *EXPRESSION_NAMES, "valence", "arousal")
_BOX: Final = ("box_x1", "box_y1", "box_x2", "box_y2")


class PredictionError(ValueError):
    """A file of predictions that cannot be used: what was wanted, what came."""


def write_predictions(path: Path, labels: LabelTable, predictions: PredictionTable) -> None:
    """The rows that are known, by video and frame from 1; probabilities keep six decimals."""
    import pyarrow as pa
    from pyarrow import csv

    rows = np.flatnonzero(predictions.known)
    columns: dict[str, Any] = {
        "video": np.array(labels.videos, np.str_)[labels.video[rows]],
        "frame": labels.frame[rows],
    }
    scores = np.concatenate(
        [predictions.au_probability, predictions.expression_probability, predictions.va], axis=1
    )[rows]
    columns |= dict(zip(_SCORES, np.round(scores.astype(np.float64), 6).T, strict=True))
    names = np.array(AU_NAMES)
    columns["active_aus"] = ["+".join(names[on]) for on in predictions.au_active[rows]]
    columns["expression"] = np.array(EXPRESSION_NAMES)[predictions.expression[rows]]
    with path.open("wb") as stream:  # pyarrow would quote the header
        stream.write((",".join(columns) + "\n").encode())
        csv.write_csv(
            pa.table(columns),
            stream,
            csv.WriteOptions(include_header=False, quoting_style="needed"),
        )


def read_predictions(
    path: Path, labels: LabelTable, thresholds: tuple[float, ...] | None
) -> tuple[PredictionTable, list[str]]:
    """The predictions for the frames of `labels`, and notes on rows that belong to none.

    `active_aus` decides which AUs are on; without that column `thresholds` [12] do. Raises
    PredictionError.
    """
    columns = _read(path)
    missing = [name for name in ("frame", *_SCORES) if name not in columns]
    if missing or not {"video", "source"} & columns.keys():
        lost = [*missing, *([] if {"video", "source"} & columns.keys() else ["video (or source)"])]
        raise PredictionError(
            f"{path}: predictions must have the columns {', '.join(lost)}; it has {sorted(columns)}"
        )
    if "active_aus" not in columns and thresholds is None:
        raise PredictionError(
            f"{path}: decisions were wanted in a column active_aus, or a bundle whose thresholds make them"
        )
    scores = np.stack([_numbers(path, columns, name) for name in _SCORES], axis=1).astype(
        np.float32
    )
    rows, target, notes = _places(path, columns, labels)
    scores = scores[rows]
    predictions = no_predictions(len(labels))
    expression_start, va_start = len(AU_NAMES), len(AU_NAMES) + len(EXPRESSION_NAMES)
    predictions.au_probability[target] = scores[:, :expression_start]
    predictions.expression_probability[target] = scores[:, expression_start:va_start]
    predictions.va[target] = scores[:, va_start:]
    if "active_aus" in columns:
        predictions.au_active[target] = _decisions(path, columns["active_aus"][rows])
    else:
        predictions.au_active[target] = scores[:, :expression_start] >= np.asarray(
            thresholds, np.float32
        )
    predictions.known[target] = True
    return predictions, notes


def _read(path: Path) -> dict[str, NDArray[Any]]:
    import pyarrow as pa
    from pyarrow import csv, parquet

    text = {name: pa.string() for name in ("video", "source", "active_aus")}
    try:
        if path.suffix.lower() == ".parquet":
            table = parquet.read_table(path)
        else:
            table = csv.read_csv(
                path,
                convert_options=csv.ConvertOptions(column_types=text, strings_can_be_null=False),
            )
    except (OSError, pa.ArrowException) as error:
        raise PredictionError(
            f"{path}: a table of predictions was wanted, it cannot be read: {error}"
        ) from None
    return {
        name: np.asarray(table.column(name).to_numpy(zero_copy_only=False))
        for name in table.column_names
    }


def _numbers(path: Path, columns: dict[str, NDArray[Any]], name: str) -> NDArray[np.float64]:
    try:
        return columns[name].astype(np.float64)
    except (TypeError, ValueError) as error:
        raise PredictionError(f"{path}: column {name} must hold numbers: {error}") from None


def _decisions(path: Path, active_aus: NDArray[Any]) -> NDArray[np.bool_]:
    """Decisions [N, 12] of cells like `AU6+AU12`; an empty one is none."""
    cells, place = np.unique(
        np.array(["" if cell is None else str(cell) for cell in active_aus], np.str_),
        return_inverse=True,
    )
    called = [{name for name in cell.split("+") if name} for cell in cells.tolist()]
    unknown = set().union(*called) - set(AU_NAMES)
    if unknown:
        raise PredictionError(
            f"{path}: active_aus must name some of {', '.join(AU_NAMES)}, got {sorted(unknown)[:5]}"
        )
    table = np.array([[name in names for name in AU_NAMES] for names in called], np.bool_).reshape(
        -1, len(AU_NAMES)
    )
    return table[place]


def _places(
    path: Path, columns: dict[str, NDArray[Any]], labels: LabelTable
) -> tuple[NDArray[np.int64], NDArray[np.int64], list[str]]:
    """Rows of the file that are used [K], the label rows [K] they are for, and notes on the others."""
    number = _numbers(path, columns, "frame")
    if not np.isfinite(number).all() or (number % 1).any():
        raise PredictionError(f"{path}: column frame must hold whole numbers")
    frame, boxes, track = number.astype(np.int64), None, np.zeros(len(number))
    if "video" in columns:
        name = columns["video"].astype(np.str_)
    else:
        name, frame = _names_of_sources(columns["source"], frame)
        if columns.keys() >= {*_BOX, "track_id"}:
            boxes = np.stack([_numbers(path, columns, side) for side in _BOX], axis=1)
            track = _numbers(path, columns, "track_id")
    rows, video, strangers = choose_faces(labels.videos, name, frame, boxes, track)
    place = labels.row_index(video, frame[rows])
    notes = []
    if strangers:
        notes.append(
            f"{len(strangers)} videos of the predictions have no labels: {', '.join(strangers[:5])}"
        )
    if (place < 0).any():
        notes.append(
            f"{int((place < 0).sum())} rows of predictions lie outside the frames of their video"
        )
    rows, place = rows[place >= 0], place[place >= 0]
    kept, count = np.unique(place, return_counts=True)
    if (count > 1).any():
        row = int(kept[count > 1][0])
        where = f"video {labels.videos[labels.video[row]]}, frame {labels.frame[row]}"
        wanted = "a frame must have one row, or boxes and track_id must tell faces apart"
        raise PredictionError(
            f"{path}: {wanted}; {int((count > 1).sum())} frames have several, first {where}"
        )
    return rows, place, notes


def _names_of_sources(
    source: NDArray[Any], frame: NDArray[np.int64]
) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """Video names and frame numbers from 1: of a crop its folder and number, of a video its name
    and index + 1.
    """
    unique, place = np.unique(source.astype(np.str_), return_inverse=True)
    paths = [Path(name) for name in unique.tolist()]
    is_crop = [is_image(path) and path.stem.isdecimal() for path in paths]
    names = np.array(
        [p.parent.name if crop else p.stem for p, crop in zip(paths, is_crop, strict=True)], np.str_
    )
    number = np.array(
        [int(p.stem) if crop else 0 for p, crop in zip(paths, is_crop, strict=True)], np.int64
    )
    return names[place], np.where(np.array(is_crop, np.bool_)[place], number[place], frame + 1)
