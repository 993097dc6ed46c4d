"""Reads and writes prediction tables: those of an evaluation, and those of `faceaffect analyze`.

Both have one row per face with the columns `AU1` .. `AU26` and `neutral` .. `surprise`
(probabilities; `other` where a network has eight expressions), `valence`, `arousal` and, if
decisions were made, `AU1_on` .. `AU26_on` (1 or 0). A row is identified in one of two ways:

    video, frame          a name in the label folder, and the frame number from 1 as in the names
                          of the crops
    source, frame, ...    a video file or image, and its index from 0, as the SDK writes it; the
                          columns `track_id` and `box_*` select among several faces of a frame
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.sinks.columns import AU_ON_NAMES
from faceaffect.sources.image_files import is_image
from training.evaluation.face_choice import choose_faces
from training.evaluation.label_table import LabelTable
from training.evaluation.prediction_table import PredictionTable, empty_predictions
from training.metrics import CHALLENGE_EXPRESSIONS

SUFFIXES: Final = (".csv", ".parquet")
_VA_NAMES: Final = ("valence", "arousal")
_BOX: Final = ("box_x1", "box_y1", "box_x2", "box_y2")


class PredictionError(ValueError):
    """Error for an unusable prediction file: expected and actual content."""


def write_predictions(path: Path, labels: LabelTable, predictions: PredictionTable) -> None:
    """Writes known rows by video and frame from 1; probabilities have six decimals."""
    import pyarrow as pa
    from pyarrow import csv

    rows = np.flatnonzero(predictions.known)
    columns: dict[str, Any] = {
        "video": np.array(labels.videos, np.str_)[labels.video[rows]],
        "frame": labels.frame[rows],
    }
    expressions = CHALLENGE_EXPRESSIONS[: predictions.expression_probability.shape[1]]
    scores = np.concatenate(
        [predictions.au_probability, predictions.expression_probability, predictions.va], axis=1
    )[rows]
    names = (*AU_NAMES, *expressions, *_VA_NAMES)
    columns |= dict(zip(names, np.round(scores.astype(np.float64), 6).T, strict=True))
    active = predictions.au_active[rows].astype(np.int64)
    columns |= dict(zip(AU_ON_NAMES, active.T, strict=True))
    columns["expression"] = np.array(expressions)[predictions.expression[rows]]
    with path.open("wb") as stream:  # written here because pyarrow quotes the header
        stream.write((",".join(columns) + "\n").encode())
        csv.write_csv(
            pa.table(columns),
            stream,
            csv.WriteOptions(include_header=False, quoting_style="needed"),
        )


def read_predictions(
    path: Path, labels: LabelTable, thresholds: tuple[float, ...] | None
) -> tuple[PredictionTable, list[str]]:
    """Reads the predictions for the frames of `labels`, and notes on unmatched rows.

    AU decisions are those of the columns `AU1_on` .., or made with `thresholds` [12] without them.
    Raises PredictionError.
    """
    columns = _read(path)
    expressions = CHALLENGE_EXPRESSIONS if "other" in columns else EXPRESSION_NAMES
    names = (*AU_NAMES, *expressions, *_VA_NAMES)
    missing = [name for name in ("frame", *names) if name not in columns]
    if not {"video", "source"} & columns.keys():
        missing.append("video (or source)")
    if missing:
        raise PredictionError(
            f"{path}: expected the columns {', '.join(missing)}, got {sorted(columns)}"
        )
    decided = [name for name in AU_ON_NAMES if name in columns]
    if decided and len(decided) < len(AU_ON_NAMES):
        raise PredictionError(
            f"{path}: expected all or none of the columns {', '.join(AU_ON_NAMES)}, got {decided}"
        )
    if not decided and thresholds is None:
        raise PredictionError(
            f"{path}: expected the columns AU1_on .. AU26_on, or a bundle with thresholds, got"
            " neither"
        )
    scores = np.stack([_numbers(path, columns, name) for name in names], axis=1).astype(np.float32)
    rows, target, notes = _match_rows(path, columns, labels)
    scores = scores[rows]
    predictions = empty_predictions(len(labels), len(expressions))
    expression_start, va_start = len(AU_NAMES), len(AU_NAMES) + len(expressions)
    predictions.au_probability[target] = scores[:, :expression_start]
    predictions.expression_probability[target] = scores[:, expression_start:va_start]
    predictions.va[target] = scores[:, va_start:]
    if decided:
        predictions.au_active[target] = _decisions(path, columns)[rows]
    else:
        predictions.au_active[target] = scores[:, :expression_start] >= np.asarray(
            thresholds, np.float32
        )
    predictions.known[target] = True
    return predictions, notes


def _read(path: Path) -> dict[str, NDArray[Any]]:
    import pyarrow as pa
    from pyarrow import csv, parquet

    text = {name: pa.string() for name in ("video", "source")}
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
            f"{path}: expected a table of predictions, failed to read it: {error}"
        ) from None
    return {
        name: np.asarray(table.column(name).to_numpy(zero_copy_only=False))
        for name in table.column_names
    }


def _numbers(path: Path, columns: dict[str, NDArray[Any]], name: str) -> NDArray[np.float64]:
    try:
        return columns[name].astype(np.float64)
    except (TypeError, ValueError) as error:
        raise PredictionError(f"{path}: expected numbers in column {name}: {error}") from None


def _decisions(path: Path, columns: dict[str, NDArray[Any]]) -> NDArray[np.bool_]:
    """Reads decisions [N, 12]; an empty cell, of a model without AUs, is no active AU."""
    cells = np.nan_to_num(np.stack([_numbers(path, columns, name) for name in AU_ON_NAMES], axis=1))
    if wrong := sorted(set(np.unique(cells).tolist()) - {0.0, 1.0}):
        raise PredictionError(f"{path}: expected AU1_on .. AU26_on to be 0 or 1, got {wrong[:5]}")
    return np.asarray(cells == 1)


def _match_rows(
    path: Path, columns: dict[str, NDArray[Any]], labels: LabelTable
) -> tuple[NDArray[np.int64], NDArray[np.int64], list[str]]:
    """Returns used rows [K] of the file, their label rows [K], and notes on the others."""
    number = _numbers(path, columns, "frame")
    if not np.isfinite(number).all() or (number % 1).any():
        raise PredictionError(f"{path}: expected integers in column frame")
    frame = number.astype(np.int64)
    boxes = None
    track = np.zeros(len(number))
    if "video" in columns:
        name = columns["video"].astype(np.str_)
    else:
        name, frame = _names_of_sources(columns["source"], frame)
        if columns.keys() >= {*_BOX, "track_id"}:
            boxes = np.stack([_numbers(path, columns, side) for side in _BOX], axis=1)
            track = _numbers(path, columns, "track_id")
    rows, video, unmatched = choose_faces(labels.videos, name, frame, boxes, track)
    label_row = labels.row_index(video, frame[rows])
    notes = []
    if unmatched:
        notes.append(
            f"{len(unmatched)} videos of the predictions have no labels: {', '.join(unmatched[:5])}"
        )
    is_outside = label_row < 0
    if is_outside.any():
        notes.append(f"{int(is_outside.sum())} rows are outside the frames of their video")
    rows = rows[~is_outside]
    label_row = label_row[~is_outside]
    kept, count = np.unique(label_row, return_counts=True)
    if (count > 1).any():
        row = int(kept[count > 1][0])
        where = f"video {labels.videos[labels.video[row]]}, frame {labels.frame[row]}"
        raise PredictionError(
            f"{path}: expected one row per frame, or boxes and track_id; "
            f"{int((count > 1).sum())} frames have several rows, first {where}"
        )
    return rows, label_row, notes


def _names_of_sources(
    source: NDArray[Any], frame: NDArray[np.int64]
) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """Returns video names and frame numbers from 1.

    For a crop these are its folder and number, for a video its name and index + 1.
    """
    unique, inverse = np.unique(source.astype(np.str_), return_inverse=True)
    paths = [Path(name) for name in unique.tolist()]
    is_crop = [is_image(path) and path.stem.isdecimal() for path in paths]
    names = np.array(
        [p.parent.name if crop else p.stem for p, crop in zip(paths, is_crop, strict=True)], np.str_
    )
    number = np.array(
        [int(p.stem) if crop else 0 for p, crop in zip(paths, is_crop, strict=True)], np.int64
    )
    is_crop_row = np.array(is_crop, np.bool_)[inverse]
    return names[inverse], np.where(is_crop_row, number[inverse], frame + 1)
