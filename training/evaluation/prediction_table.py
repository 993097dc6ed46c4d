"""Predictions for the frames of a label table, and substitutes for missing ones."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.types import FloatArray
from training.evaluation.label_table import LabelTable

HOLD: Final = "hold"
DROP: Final = "drop"

MISSING_RULES: Final = {
    HOLD: "A frame without a prediction repeats the previous prediction of its video; frames "
    "before the first prediction are neutral: no AU, expression neutral, valence and arousal 0.",
    DROP: "A frame without a prediction is ignored; submissions contain -1 (AU, expression) and "
    "-5 (valence, arousal).",
}
"""`hold` is what most challenge entries and live systems do: a submission has a row for every
frame, and every labeled frame counts whether a face is detected or not.
"""


@dataclass(frozen=True, slots=True)
class PredictionTable:
    """Predictions of the rows of a label table; NaN and False where `known` is False."""

    known: NDArray[np.bool_]  # [N]
    au_probability: FloatArray  # [N, 12]
    au_active: NDArray[np.bool_]  # [N, 12]
    expression_probability: FloatArray  # [N, C] of seven, or eight with "other"
    va: FloatArray  # [N, 2]

    @property
    def expression(self) -> NDArray[np.int64]:
        """Most probable class [N]; -1 where unknown."""
        filled = np.where(self.known[:, None], self.expression_probability, 0)
        return np.where(self.known, filled.argmax(axis=1), -1)

    def select(self, rows: NDArray[np.bool_]) -> PredictionTable:
        """Returns the predictions of some rows."""
        return PredictionTable(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def empty_predictions(count: int, classes: int = len(EXPRESSION_NAMES)) -> PredictionTable:
    """Returns a table of `count` frames without predictions."""
    return PredictionTable(
        known=np.zeros(count, np.bool_),
        au_probability=np.full((count, len(AU_NAMES)), np.nan, np.float32),
        au_active=np.zeros((count, len(AU_NAMES)), np.bool_),
        expression_probability=np.full((count, classes), np.nan, np.float32),
        va=np.full((count, 2), np.nan, np.float32),
    )


def with_classes(predictions: PredictionTable, classes: int) -> PredictionTable:
    """The table with seven or eight expressions: "other" is dropped, or never answered."""
    own = predictions.expression_probability
    padded = np.full((len(own), max(classes, own.shape[1])), np.nan, np.float32)
    padded[predictions.known] = 0
    padded[:, : own.shape[1]] = own
    return replace(predictions, expression_probability=padded[:, :classes])


def drop_non_finite(predictions: PredictionTable) -> tuple[PredictionTable, int]:
    """Marks rows with NaN or infinity as unknown; returns the table and their number."""
    scores = (predictions.au_probability, predictions.expression_probability, predictions.va)
    is_finite = np.logical_and.reduce([np.isfinite(array).all(axis=1) for array in scores])
    return replace(predictions, known=predictions.known & is_finite), int(
        (predictions.known & ~is_finite).sum()
    )


def hold_last(predictions: PredictionTable, labels: LabelTable) -> PredictionTable:
    """Fills missing rows by the rule `hold`."""
    row = np.arange(len(labels))
    source = np.maximum.accumulate(np.where(predictions.known, row, -1))
    first_row = row - (labels.frame - 1)
    is_held = source >= first_row
    held = predictions.select(np.maximum(source, 0))
    neutral = np.eye(predictions.expression_probability.shape[1], dtype=np.float32)[0]
    mask = is_held[:, None]
    return PredictionTable(
        known=np.ones(len(labels), np.bool_),
        au_probability=np.where(mask, held.au_probability, np.float32(0)),
        au_active=held.au_active & mask,
        expression_probability=np.where(mask, held.expression_probability, neutral),
        va=np.where(mask, held.va, np.float32(0)),
    )
